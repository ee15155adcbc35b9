"""Is there a screen, and the virtual one where there is none."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_localdisc.cli.screen import has_screen, on_virtual_screen
from napari_localdisc.core.errors import LocalDiscError

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="X servers are for Linux"
)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"DISPLAY": ""},
        {"DISPLAY": "nonsense"},
        {"DISPLAY": ":4711"},
        {"DISPLAY": "localhost:4711.0"},
        {"WAYLAND_DISPLAY": "wayland-4711", "XDG_RUNTIME_DIR": "/nowhere"},
    ],
)
def test_no_screen(environ: dict[str, str]):
    assert not has_screen(environ)


def test_wayland_screen_that_answers(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as compositor:
        compositor.bind(str(tmp_path / "wayland-0"))
        compositor.listen()
        environ = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}
        assert has_screen(environ)


def test_virtual_screen_is_there_for_the_command_only(
    monkeypatch: pytest.MonkeyPatch,
):
    code = (
        "import os; from napari_localdisc.cli.screen import has_screen;"
        "print(has_screen(), os.environ['DISPLAY'], os.environ['QT_QPA_PLATFORM'])"
    )
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    command = on_virtual_screen([sys.executable, "-c", code], 320, 240)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, display, platform = said.split()
    assert found == "True"
    assert platform == "xcb"
    end = time.monotonic() + 10  # it is told to end, and not awaited
    while has_screen({"DISPLAY": display}) and time.monotonic() < end:
        time.sleep(0.05)
    assert not has_screen({"DISPLAY": display})


def test_the_status_of_the_command_is_passed_on():
    command = on_virtual_screen([sys.executable, "-c", "raise SystemExit(7)"])
    assert subprocess.run(command, check=False).returncode == 7


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalDiscError, match="apt-get install xvfb xauth"):
        on_virtual_screen(["true"])


def test_there_is_always_a_screen_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert has_screen({})
