"""A line on stderr for what takes longer than a second: what is being done, and only then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import click

PATIENCE = "SYMBACKPROP_PATIENCE"
"""The environment variable that says after how many seconds the line comes; 1 by default."""


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Say what is being done if it isn't done within a second.

    >>> with progress("adding two numbers"):
    ...     total = 1 + 1
    """
    timer = Timer(_patience(), click.echo, [f"symbackprop: {what} ..."], {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _patience() -> float:
    try:
        return max(float(os.environ.get(PATIENCE, "1")), 0.0)
    except ValueError:
        return 1.0
