"""A screen for a machine that has none: is there one, and if not, Xvfb."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from napari_localdisc.core.errors import LocalDiscError

START_SECONDS = 30.0


class ScreenError(LocalDiscError):
    """There is no screen, or none could be made; the message says what to do."""


def has_screen(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether a window can be opened.

    A display that is named but does not answer (a closed remote session, say) does
    not count: Qt would end the whole process over it.

    Parameters
    ----------
    environ : mapping, optional
        Environment to read, by default the process's own.

    Returns
    -------
    bool
        True on systems other than Linux.
    """
    if not sys.platform.startswith("linux"):
        return True
    environ = os.environ if environ is None else environ
    wayland = environ.get("WAYLAND_DISPLAY")
    if wayland:
        path = os.path.join(environ.get("XDG_RUNTIME_DIR", ""), wayland)
        if _answers(socket.AF_UNIX, path):
            return True
    # [protocol/]host:display.screen, as in X(7)
    match = re.fullmatch(
        r"(?:\w+/)?(?P<host>[^:]*):(?P<number>\d+)(?:\.\d+)?",
        environ.get("DISPLAY", ""),
    )
    if match is None:
        return False
    host, number = match["host"], int(match["number"])
    if host in {"", "unix"}:
        path = f"/tmp/.X11-unix/X{number}"
        return _answers(socket.AF_UNIX, path) or _answers(socket.AF_UNIX, "\0" + path)
    return _answers(socket.AF_INET, (host, 6000 + number))


@contextlib.contextmanager
def virtual_screen(width: int = 1600, height: int = 1200) -> Iterator[dict[str, str]]:
    """Run a virtual screen for the length of a `with` block.

    Start the program that draws on it as a process of its own and end that within
    the block: Qt ends a process whose screen goes away.

    Parameters
    ----------
    width, height : int
        Size in pixels.

    Yields
    ------
    dict of str to str
        The environment to start the program with.

    Raises
    ------
    ScreenError
        Where Xvfb or a library is missing (by the names of their Debian packages),
        or Xvfb does not start.
    """
    packages = missing_packages(virtual_screen=True)
    if packages:
        raise ScreenError(missing_sentence(packages))
    read_end, write_end = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read_end)
        log = stack.enter_context(tempfile.TemporaryFile())
        try:
            # It picks a free number itself and writes it once it is ready.
            server = subprocess.Popen(
                [
                    shutil.which("Xvfb") or "Xvfb",
                    *("-displayfd", str(write_end)),
                    *("-screen", "0", f"{width}x{height}x24"),
                    *("-nolisten", "tcp", "-noreset"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write_end],
            )
        finally:
            os.close(write_end)
        stack.callback(_stop, server)
        number = _read_number(read_end, START_SECONDS)
        if number is None:
            _stop(server)
            log.seek(0)
            said = " ".join(log.read().decode(errors="replace").split())
            raise ScreenError(
                "The virtual screen (Xvfb) did not start: "
                f"{said or 'it gave no reason'}"
            )
        environ = dict(os.environ)
        environ.pop("WAYLAND_DISPLAY", None)
        environ.update(
            DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb", XDG_SESSION_TYPE="x11"
        )
        yield environ


def _answers(family: int, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(address)
    except OSError:
        return False
    return True


def _read_number(file: int, seconds: float) -> int | None:
    """Read a line with a number from a pipe; None when it closes or takes too long."""
    text = b""
    end = time.monotonic() + seconds
    while not text.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([file], [], [], left)[0]:
            return None
        piece = os.read(file, 16)
        if not piece:
            return None
        text += piece
    return int(text)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""Shared library → the Debian package that holds it."""

PROGRAMS = {"Xvfb": "xvfb", "xauth": "xauth"}
"""Program of a virtual screen → the Debian package that holds it."""

FONT_PACKAGE = "fonts-dejavu-core"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts")


def missing_packages(*, virtual_screen: bool) -> list[str]:
    """Name the Debian packages that are missing for a window on Linux.

    Parameters
    ----------
    virtual_screen : bool
        Whether the window is to appear on a virtual screen (Xvfb).

    Returns
    -------
    list of str
        Names of packages, sorted; empty on other systems than Linux.
    """
    if not sys.platform.startswith("linux"):
        return []
    missing = {package for name, package in LIBRARIES.items() if not _has_library(name)}
    if not _has_fonts():
        missing.add(FONT_PACKAGE)  # without any, Qt draws boxes for letters
    if virtual_screen:
        missing |= {
            package for name, package in PROGRAMS.items() if not shutil.which(name)
        }
    return sorted(missing)


def missing_sentence(packages: list[str]) -> str:
    """Say in one sentence which packages are missing and how to install them."""
    return (
        "This machine lacks system libraries that a window needs; on Debian install "
        f"them with: apt-get install {' '.join(packages)}"
    )


def _has_library(name: str) -> bool:
    if (Path(sys.prefix) / "lib" / name).exists():  # conda brings its own
        return True
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _has_fonts() -> bool:
    if (Path(sys.prefix) / "fonts").is_dir():  # conda again
        return True
    return any(
        path.suffix.lower() in {".ttf", ".otf", ".pfb"}
        for folder in FONT_FOLDERS
        for path in Path(folder).expanduser().rglob("*.*")
    )
