"""Where a laid-out derivation is read: paper, slides, the web, Markdown, notebooks."""
