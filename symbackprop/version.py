"""The version, kept in one place."""

__version__ = "0.1.0"
GENERATOR = f"symbackprop {__version__}"
