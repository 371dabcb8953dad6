"""Writing files: whole or not at all, and an error that names the file that was asked for."""

import os
import stat

import pytest

from symbackprop.rendering.render import write


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
