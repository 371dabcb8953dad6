"""What the README's figures of the derivation come from: ``python -m benchmarks`` prints them all."""
