"""Files that appear whole or not at all, and replace only what is ours."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import (
    check_replaceable,
    new_file,
    new_folder,
    unfinished_folder,
)

WRITE = """
import sys, time
from pathlib import Path
from napari_localdisc.core.files import new_file, new_folder
make = new_file if sys.argv[1] == "file" else new_folder
with make(Path(sys.argv[2]), lambda path: True) as temporary:
    if sys.argv[1] == "folder":
        temporary.mkdir()
    print("begun", flush=True)
    time.sleep(60)
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def ours(path):
    return path.read_text().startswith("ours")


def write(path, text="ours", **options):
    with new_file(path, **options) as temporary:
        temporary.write_text(text)


@pytest.fixture
def writer(tmp_path):
    """Start a process that does not finish what it writes."""
    begun = []

    def start(kind, name):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, kind, str(tmp_path / name)],
            stdout=subprocess.PIPE,
        )
        begun.append(process)
        assert process.stdout.readline().strip() == b"begun"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o666 & ~umask


def test_a_replaced_file_keeps_its_mode(tmp_path):
    write(tmp_path / "old")
    (tmp_path / "old").chmod(0o640)
    write(tmp_path / "old", "ours again")
    assert mode(tmp_path / "old") == 0o640
    assert (tmp_path / "old").read_text() == "ours again"


def test_a_private_file_is_private_from_the_beginning(tmp_path):
    with new_file(tmp_path / "private", mode=0o600) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_text("ours")
    assert mode(tmp_path / "private") == 0o600


def test_names_may_be_as_long_as_the_system_takes(tmp_path):
    path = tmp_path / ("眼" * 83 + ".txt")  # 253 bytes
    with new_file(path) as temporary:
        temporary.write_text("all of it")
    assert path.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    target.write_text("ours")
    link.symlink_to(target)
    write(link, "ours again")
    assert link.is_symlink()
    assert target.read_text() == "ours again"
    assert {path.name for path in tmp_path.iterdir()} == {"far", "link"}


def test_only_what_is_ours_is_replaced(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("weeks of work")
    with pytest.raises(FileError, match="not made by napari-localdisc"):
        write(theirs, is_ours=ours)
    assert theirs.read_text() == "weeks of work"
    folder = tmp_path / "folder"
    folder.mkdir()
    check_replaceable(folder, lambda path: False)  # an empty one may go
    (folder / "theirs").write_text("weeks of work")
    with (
        pytest.raises(FileError, match="not made by"),
        new_folder(folder, lambda path: False),
    ):
        pytest.fail("it must be refused before the work is done")
    assert (folder / "theirs").read_text() == "weeks of work"


def test_what_fails_leaves_everything_as_it_was(tmp_path):
    write(tmp_path / "old")
    with pytest.raises(ValueError, match="in the middle"), new_file(tmp_path / "old"):
        raise ValueError("in the middle")
    assert (tmp_path / "old").read_text() == "ours"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_second_rename_that_fails_undoes_the_first(tmp_path, monkeypatch):
    old = tmp_path / "old"
    old.mkdir()
    (old / "labels").write_text("ours")
    rename = os.rename

    def refuse(self, target):
        if self.name == "new":
            raise OSError("the disk is gone for a moment")
        rename(self, target)

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with (
        pytest.raises(FileError, match="cannot be written"),
        new_folder(old, lambda path: True) as new,
    ):
        new.mkdir()
    assert (old / "labels").read_text() == "ours"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_killed_runs_left_is_removed_and_the_same_goes_on(tmp_path, writer, kind):
    process = writer(kind, "target")
    process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    process.wait()
    (left,) = tmp_path.iterdir()
    write(tmp_path / "other")
    assert not left.exists()
    with new_folder(tmp_path / "target", lambda path: True) as folder:
        folder.mkdir()
    assert {path.name for path in tmp_path.iterdir()} == {"other", "target"}


def test_what_a_living_process_makes_is_left_alone(tmp_path, writer):
    writer("file", "target")
    time.sleep(0.01)
    (making,) = tmp_path.iterdir()
    write(tmp_path / "other")
    with unfinished_folder(tmp_path / "third") as folder:
        write(tmp_path / "fourth")
        assert folder.is_dir()
    assert making.exists()


def test_what_another_computer_makes_is_left_alone(tmp_path):
    theirs = tmp_path / ".localdisc-elsewhere-1-0123abcd-4567cdef-labels.tif"
    theirs.write_text("going on")
    write(tmp_path / "other")
    assert theirs.exists()


def test_what_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match="cannot be written"):
        write(tmp_path / "file" / "labels.tif")
