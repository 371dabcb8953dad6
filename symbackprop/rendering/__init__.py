"""Filling templates: escaping, prose, templates of a user's own, files, and pdflatex."""
