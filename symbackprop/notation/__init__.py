"""Notations and words as data."""
