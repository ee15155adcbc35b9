"""Is there a screen, and the virtual one where there is none."""

import socket
import sys
from pathlib import Path

import pytest

from napari_localdisc.cli import screen as system_libraries
from napari_localdisc.cli import screen as virtual_screen
from napari_localdisc.cli.screen import has_screen
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


def test_virtual_screen_is_there_within_the_block_only():
    with virtual_screen.virtual_screen(320, 240) as environ:
        assert environ["QT_QPA_PLATFORM"] == "xcb"
        assert has_screen(environ)
        with virtual_screen.virtual_screen(320, 240) as other:
            assert other["DISPLAY"] != environ["DISPLAY"]
        assert not has_screen(other)
    assert not has_screen(environ)


def test_server_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = tmp_path / "Xvfb"
    server.write_text("#!/bin/sh\necho no room on this ship >&2\nexit 1\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with (
        pytest.raises(LocalDiscError, match="did not start: no room on this ship"),
        virtual_screen.virtual_screen(),
    ):
        pytest.fail("the block must not run")


def test_server_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = tmp_path / "Xvfb"
    server.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/number\nexec sleep 60\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(virtual_screen, "START_SECONDS", 0.5)
    with (
        pytest.raises(LocalDiscError, match="it gave no reason"),
        virtual_screen.virtual_screen(),
    ):
        pytest.fail("the block must not run")
    number = (tmp_path / "number").read_text().strip()
    assert not Path("/proc", number).exists()


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(system_libraries.LIBRARIES, "libnone.so.9", "libnone9")
    monkeypatch.setattr(system_libraries, "FONT_FOLDERS", (str(tmp_path),))
    expected = {"libnone9", "xvfb", "xauth", "fonts-dejavu-core"}
    assert expected <= set(system_libraries.missing_packages(virtual_screen=True))
    assert "xvfb" not in system_libraries.missing_packages(virtual_screen=False)
    with (
        pytest.raises(LocalDiscError, match=r"apt-get install .*libnone9.* xvfb"),
        virtual_screen.virtual_screen(),
    ):
        pytest.fail("the block must not run")


def test_nothing_is_missing_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert system_libraries.missing_packages(virtual_screen=True) == []
    assert has_screen({})
