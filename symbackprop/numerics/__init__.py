"""Forms of an expression that a computer can evaluate where the formula overflows or cancels."""
