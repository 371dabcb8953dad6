"""The index algebra: quantities and equations, calculus on them, and rules that rewrite them."""
