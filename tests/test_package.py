"""The package as a whole: what importing it costs, and its public names."""

import socket
import subprocess
import sys

import pytest

import napari_localdisc

HEAVY = {"torch", "numpy", "napari", "qtpy", "skimage", "scipy", "sklearn", "zarr"}


def imported_by(code: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter holds after `code`."""
    tail = "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_brings_in_nothing_heavy():
    loaded = imported_by("import napari_localdisc")
    assert "napari_localdisc" in loaded
    assert not loaded & HEAVY


def test_error_class_needs_no_torch():
    loaded = imported_by("from napari_localdisc import LocalDiscError")
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", napari_localdisc.__all__)
def test_public_names_are_there(name):
    assert getattr(napari_localdisc, name) is not None
    assert name in dir(napari_localdisc)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = napari_localdisc.no_such_name


def test_tests_reach_no_other_machine():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked,
        pytest.raises(OSError, match="another machine"),
    ):
        asked.connect(("192.0.2.1", 80))
