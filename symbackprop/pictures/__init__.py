"""Networks and computation graphs as drawings, and drawings as TikZ and SVG."""
