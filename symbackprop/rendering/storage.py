"""Files on the disk: all of a run's files or none of them, as nearly as a file system allows.

Everything is written beside its place first, which is when a disk turns out to be full, and put into its
place by renaming at the end. Should a renaming fail, those before it are taken back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from errno import EISDIR, ENOTDIR
from pathlib import Path

Content = str | bytes


def write(path: Path, content: Content) -> None:
    """Write a file whole or not at all: an interrupted run leaves the old one.

    What a symbolic link leads to is written, and the link stays; a device is written to as it is.

    Raises:
        OSError: with the path as it was given, whatever it was that failed on the way.
    """
    write_all({path: content})


def write_all(files: Mapping[Path, Content]) -> None:
    """Write several files, or leave everything as it was.

    Raises:
        OSError: with the path as it was given of the file that could not be written.
    """
    with ExitStack() as clearing, ExitStack() as undoing:
        ready = [(path, _prepared(path, content, undoing)) for path, content in files.items()]
        for path, put_into_place in ready:
            with _named(path):
                put_into_place(undoing, clearing)
        undoing.pop_all()


Placing = Callable[[ExitStack, ExitStack], object]
"""Puts a file into its place; the first stack gets how to take it back, the second what to clear."""


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error of the system with the path that was asked for, and what became of the files."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}; no file was written or changed"
        raise OSError(error.errno, reason, str(path)) from error


def _prepared(path: Path, content: Content, undoing: ExitStack) -> Placing:
    """A file written beside its place, and how it gets there; a device is written to when it is its turn."""
    data = content.encode() if isinstance(content, str) else content
    with _named(path):
        place = Path(os.path.realpath(path))
        if place.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        if place.exists() and not place.is_file():
            return lambda *_: place.write_bytes(data)
        _make_folder(place.parent, undoing)
        temporary = _beside(place, data, undoing)
    return lambda undoing, clearing: _rename(temporary, place, undoing, clearing)


def _make_folder(folder: Path, undoing: ExitStack) -> None:
    """A folder with all that it is in; those that are new go again where something fails."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
    for new in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        new.mkdir(exist_ok=True)
        undoing.callback(_quietly, new.rmdir)


def _beside(place: Path, data: bytes, undoing: ExitStack) -> Path:
    """A file of another name in the same folder."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:40]}.")
    undoing.callback(Path(name).unlink, missing_ok=True)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(name, 0o666 & ~_umask())
    return Path(name)


def _rename(temporary: Path, place: Path, undoing: ExitStack, clearing: ExitStack) -> None:
    """Put a file into its place; the old one is kept under another name until all are in theirs."""
    kept = temporary.with_name(f"{temporary.name}.old")
    old = place.exists()
    if old:
        with suppress(OSError):  # a file system without links: the old file can't be kept
            os.link(place, kept)
            clearing.callback(kept.unlink, missing_ok=True)
    os.replace(temporary, place)
    if kept.exists():
        undoing.callback(_quietly, lambda: os.replace(kept, place))
    elif not old:
        undoing.callback(place.unlink, missing_ok=True)


def _quietly(undo: Callable[[], object]) -> None:
    with suppress(OSError):
        undo()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
