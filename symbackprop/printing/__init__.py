"""Formulas as LaTeX, in the order of paper and in lines that fit."""
