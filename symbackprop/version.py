"""The version, kept in one place."""

__version__ = "0.1.0"
GENERATOR = f"symbackprop {__version__}"

RELEASED = "2026/11/25"
"""The date of this version, as LaTeX packages give it."""
