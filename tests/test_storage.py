"""Writing files: all of a run or none of them, and an error that names the file that was asked for."""

import os
import stat

import pytest

from symbackprop.rendering.storage import write, write_all


def test_text_and_bytes(tmp_path):
    write(tmp_path / "new" / "a.txt", "ä\n")
    write(tmp_path / "new" / "b.bin", b"\x00\xff")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "ä\n".encode()
    assert (tmp_path / "new" / "b.bin").read_bytes() == b"\x00\xff"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.txt", "b.bin"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "new"


def test_a_link_to_itself_is_an_error_or_a_file_and_no_crash(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    try:
        write(tmp_path / "loop", "text")
    except OSError as error:
        assert error.filename == str(tmp_path / "loop")


def _failing(name):
    def fail(*args, **options):
        raise OSError(28, "No space left on device", name)

    return fail


@pytest.mark.parametrize("what", ["replace", "chmod", "fdopen"])
def test_an_error_names_the_file_that_was_asked_for(tmp_path, monkeypatch, what):
    (tmp_path / "file.txt").write_text("old")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, what, _failing(str(tmp_path / ".file.txt.temporary")))
    with pytest.raises(OSError, match="No space left") as caught:
        write(type(tmp_path)("file.txt"), "new")
    assert caught.value.filename == "file.txt"
    monkeypatch.undo()
    assert (tmp_path / "file.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "plain").write_text("a file")
    with pytest.raises(NotADirectoryError) as caught:
        write(tmp_path / "plain" / "code.py", "text")
    assert caught.value.filename == str(tmp_path / "plain" / "code.py")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        write(tmp_path, "text")
    assert caught.value.filename == str(tmp_path)


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(OSError, match="too long") as caught:
        write(tmp_path / ("x" * 300), "text")
    assert caught.value.filename.endswith("x" * 300)


def test_the_mode_follows_the_umask(tmp_path):
    write(tmp_path / "a", "text")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


# --- several files at once -------------------------------------------------------------------------


def _tree(folder):
    """Every file below a folder with its text, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _three(folder):
    return {folder / name: f"new {name}" for name in ("a.txt", "deep/er/b.txt", "c.txt")}


def test_all_of_them_are_written(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    write_all(_three(tmp_path))
    texts = {"a.txt": "new a.txt", "deep/er/b.txt": "new deep/er/b.txt", "c.txt": "new c.txt"}
    assert _tree(tmp_path) == {**texts, "deep": None, "deep/er": None}


@pytest.mark.parametrize("what", ["replace", "fdopen", "chmod"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("links", [True, False])
def test_whatever_fails_wherever_nothing_has_changed(tmp_path, monkeypatch, what, count, error, links):
    """The first, the second or the third call fails: the files are as they were, new folders are gone."""
    (tmp_path / "c.txt").write_text("old c")
    if links:
        (tmp_path / "a.txt").write_text("old a")
    else:
        monkeypatch.setattr(os, "link", _failing("link"))
    before, real, calls = _tree(tmp_path), getattr(os, what), []

    def fail(*args, **options):
        calls.append(args)
        if len(calls) == count:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(os, what, fail)
    with pytest.raises(type(error)) as caught:
        write_all(_three(tmp_path))
    assert _tree(tmp_path) == before
    if isinstance(error, OSError):
        assert caught.value.filename == str([*_three(tmp_path)][count - 1])
        assert caught.value.strerror == "No space left on device; no file was written or changed"


def test_a_folder_in_the_place_of_one_of_them(tmp_path):
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_all(_three(tmp_path))
    assert caught.value.filename == str(tmp_path / "c.txt") and _tree(tmp_path) == {"c.txt": None}


def test_a_device_is_written_to(tmp_path):
    write_all({tmp_path / "a.txt": "text", type(tmp_path)(os.devnull): "text"})
    assert _tree(tmp_path) == {"a.txt": "text"}
