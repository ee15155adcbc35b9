"""Session files: whole, complete, and refused in a sentence when they are not."""

import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.session import (
    DOCUMENT,
    Autosave,
    SavedImage,
    SavedLabels,
    Session,
    crashed_sessions,
    read_session,
    remove_autosave,
    write_session,
)

IMAGE = SavedImage(
    "eye", "/data/eye.png", "napari", None, "ab" * 20, [6, 7, 3], "uint8", True
)


@pytest.fixture
def session():
    labels = SavedLabels(
        "eye labels",
        np.arange(42, dtype=np.uint16).reshape(6, 7),
        {"scale": [0.5, 2.0], "units": ["um", "um"]},
        {"null": [1, 1, 1, 1], "1": [0, 1, 0, 1]},
        {"opacity": 0.6, "visible": False},
        {"classes": {"1": "disc"}},
    )
    strokes = SavedLabels("strokes", np.zeros((1, 6, 7), np.uint8))
    image = SavedImage(
        **{
            **vars(IMAGE),
            "annotation": {"chosen": 1, "log": []},
            "labels": 0,
            "strokes": [[[0, None, None], 1]],
            "pixels": np.ones((6, 7, 3), np.float32),
        }
    )
    return Session("fundus", "0f", 6, 0, (image, IMAGE), (labels, strokes), "now")


def as_values(session):
    """Plain values that can be compared."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.tolist()
        if isinstance(value, Session | SavedImage | SavedLabels):
            return plain(vars(value))
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return value

    return plain(session)


def test_everything_comes_back(session, tmp_path):
    path = write_session(session, tmp_path / "new" / "mine")
    assert path.name == "mine.localdisc"
    assert as_values(read_session(path)) == as_values(session)
    assert write_session(session, path) == path
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    # With nothing but a zip program and numpy
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        labels = np.load(archive.open("labels/0.npy"))
    np.testing.assert_array_equal(labels, session.labels[0].data)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]),
        array_shapes(min_dims=2, max_dims=4, max_side=6),
    ),
    st.text(),
)
def test_labels_of_any_kind_come_back(tmp_path, data, name):
    saved = Session(labels=(SavedLabels(name, data),))
    (labels,) = read_session(write_session(saved, tmp_path / "a")).labels
    assert labels.name == name
    assert labels.data.dtype == data.dtype
    np.testing.assert_array_equal(labels.data, data)


def test_numbers_of_numpy_are_numbers(tmp_path):
    saved = SavedLabels("a", np.zeros((2, 2), np.uint8), {"scale": np.ones(2)})
    session = Session(labels=(saved,), structures=np.int64(3))
    read = read_session(write_session(session, tmp_path / "a"))
    assert read.structures == 3
    assert read.labels[0].placement == {"scale": [1.0, 1.0]}


def test_damage_is_a_sentence(session, tmp_path):
    with pytest.raises(FileError, match="no session file"):
        read_session(tmp_path / "nothing")
    path = write_session(session, tmp_path / "a")
    whole = path.read_bytes()
    for harm in (b"", b"text", whole[:200], whole[:-30]):
        path.write_bytes(harm)
        with pytest.raises(FileError, match="damaged or not a session"):
            read_session(path)
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read = read_session(path)
        except FileError:
            continue
        expected = {labels.name: labels.data for labels in session.labels}
        for labels in read.labels:
            np.testing.assert_array_equal(labels.data, expected[labels.name])
        assert len(read.labels) == len(expected) or read.faults


def rewritten(path, **changes):
    """Change a session's description."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(files[DOCUMENT]) | changes
    files[DOCUMENT] = json.dumps(document).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 99}, "later version"),
        ({"format": None}, "damaged"),
        ({"format": []}, "damaged"),
    ],
)
def test_other_documents_are_refused(session, tmp_path, changes, said):
    path = write_session(session, tmp_path / "a")
    rewritten(path, **changes)
    with pytest.raises(FileError, match=said):
        read_session(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": 7}, None),
        ({"images": [{"name": "a"}]}, None),
        ({"images": [7]}, "image 1 is damaged"),
        ({"images": 7}, "The images of the session are damaged"),
        ({"surprise": 1}, "The surprise of the session"),
        ({"structures": "many"}, "The structures of the session"),
        ({"magnification": 99.0}, "The magnification of the session"),
        ({"model": {}}, "The model of the session"),
        ({"labels": []}, "Labels or strokes of “eye” are not there"),
    ],
)
def test_a_bad_detail_costs_that_detail(session, tmp_path, changes, said):
    path = write_session(session, tmp_path / "a")
    rewritten(path, **changes)
    read = read_session(path)
    assert len(read.labels) == (0 if "labels" in changes else len(session.labels))
    if said is None:
        assert not read.faults
    else:
        assert any(said in fault for fault in read.faults)
    assert read.chosen is None or read.chosen < len(read.images)


def test_damaged_labels_cost_no_others(session, tmp_path):
    path = write_session(session, tmp_path / "a")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["labels/0.npy"] = files["labels/0.npy"][:-3]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    read = read_session(path)
    (fault, lost) = read.faults
    assert fault.startswith(f"The pixels of “{session.labels[0].name}” are left out")
    assert "are not there" in lost
    assert [labels.name for labels in read.labels] == [
        labels.name for labels in session.labels[1:]
    ]
    # What the image says of labels that moved up means the same ones
    assert read.images[0].labels is None
    assert read.images[0].strokes == [[[0, None, None], 0]]


def test_pickles_are_not_read(session, tmp_path):
    path = write_session(session, tmp_path / "a")
    np.save(tmp_path / "evil.npy", np.array([{}]), allow_pickle=True)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["labels/0.npy"] = (tmp_path / "evil.npy").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    read = read_session(path)
    assert "allow_pickle=False" in read.faults[0]
    assert len(read.labels) == len(session.labels) - 1


def test_failed_write_leaves_what_was_there(session, tmp_path, monkeypatch):
    path = write_session(session, tmp_path / "a")
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(FileError, match="cannot be written: No space left"):
        write_session(session, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


LEFT_BEHIND = """
import os, signal, sys
from pathlib import Path
from napari_localdisc.io.session import Autosave, Session, crashed_sessions

folder = Path(sys.argv[1])
mine = Autosave(folder)
mine.write(Session(sys.argv[2]))
assert mine.path not in [crashed.path for crashed in crashed_sessions(folder)]
if sys.argv[3] == "wait":
    print("written", flush=True)
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_behind(folder, model, *then, **options):
    command = [sys.executable, "-c", LEFT_BEHIND, str(folder), model, *then]
    return subprocess.Popen(command, text=True, **options)


LOCK_LEFT_BEHIND = """
import os, signal, sys
from pathlib import Path
from napari_localdisc.io import session

def killed(*given, **more):
    os.kill(os.getpid(), signal.SIGKILL)

session.write_session = killed
session.Autosave(Path(sys.argv[1])).write(None)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_lock_of_a_process_that_was_killed_before_it_saved_goes(tmp_path):
    subprocess.run([sys.executable, "-c", LOCK_LEFT_BEHIND, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".lock"
    mine = Autosave(tmp_path)
    mine.write(Session("tiny"))
    assert crashed_sessions(tmp_path) == []
    assert not left.exists()
    assert mine.path.with_name(f"{mine.path.name}.lock").exists()
    mine.end()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_what_a_killed_process_left_is_found(tmp_path):
    mine = Autosave(tmp_path)
    assert list(tmp_path.iterdir()) == []
    mine.write(Session("mine"))
    (tmp_path / "autosave-x.localdisc").write_text("")
    # Of an earlier version: with a process number, here one that was used again
    before = tmp_path / f"autosave-{os.getpid()}-12345-abcdef00.localdisc"
    write_session(Session("before"), before)
    os.utime(before, (1e9, 1e9))
    killed = left_behind(tmp_path, "fundus", "")
    assert killed.wait(timeout=100) == -signal.SIGKILL
    for _ in range(2):  # to ask changes nothing
        newest, oldest = crashed_sessions(tmp_path)
        assert read_session(newest.path).model == "fundus"
        assert oldest.path == before
        assert read_session(oldest.path).model == "before"
    for crashed in (newest, oldest):
        remove_autosave(crashed.path)
    mine.end()
    assert [path.name for path in tmp_path.iterdir()] == ["autosave-x.localdisc"]
    assert crashed_sessions(tmp_path / "absent") == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_session_that_goes_on_is_not_called_crashed(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with left_behind(tmp_path, "fundus", "wait", **pipes) as process:
        assert process.stdout.readline() == "written\n"
        assert crashed_sessions(tmp_path) == []
        process.stdin.close()  # and it kills itself
        process.wait(timeout=100)
        assert len(crashed_sessions(tmp_path)) == 1


def test_another_computer_s_session_is_never_called_crashed(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_localdisc.io.session._HOST", "their-host.of-old")
    theirs = Autosave(tmp_path)
    theirs.write(Session("theirs"))
    theirs._lock.release()  # killed, for all that can be seen from here
    monkeypatch.undo()
    assert crashed_sessions(tmp_path) == []
    monkeypatch.setattr("napari_localdisc.io.session._HOST", "their-host.of-old")
    assert [crashed.path for crashed in crashed_sessions(tmp_path)] == [theirs.path]


def test_where_nothing_can_be_locked_it_is_saved_all_the_same(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    saved = Autosave(tmp_path)
    saved.write(Session("fundus"))
    assert read_session(saved.path).model == "fundus"
    assert crashed_sessions(tmp_path) == []
    saved.end()
    assert not saved.path.exists()
