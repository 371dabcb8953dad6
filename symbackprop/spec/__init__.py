"""From what a user writes to a network: TOML, widths and formulas, validated."""
