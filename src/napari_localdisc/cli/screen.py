"""Is there a screen, and a virtual one for a command where there is none.

It needs the standard library alone: the set-up script uses it.
"""

import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence

from napari_localdisc.core.errors import LocalDiscError


def has_screen(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a window can be opened; other systems than Linux always can.

    A display that is named but does not answer (a closed remote session, say) does
    not count: Qt would end the process over it.
    """
    if not sys.platform.startswith("linux"):
        return True
    wayland = environ.get("WAYLAND_DISPLAY")
    if wayland and _answers(os.path.join(environ.get("XDG_RUNTIME_DIR", ""), wayland)):
        return True
    # [protocol/]host:display.screen, as in X(7)
    named = environ.get("DISPLAY", "")
    match = re.fullmatch(r"(?:\w+/)?([^:]*):(\d+)(?:\.\d+)?", named)
    if match is None:
        return False
    host, number = match[1], int(match[2])
    if host not in ("", "unix"):
        return _answers((host, 6000 + number))
    path = f"/tmp/.X11-unix/X{number}"
    return _answers(path) or _answers(f"\0{path}")


def _answers(address: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(address)
    except OSError:
        return False
    return True


def on_virtual_screen(
    command: Sequence[str], width: int = 1600, height: int = 1200
) -> list[str]:
    """Return the command that runs another one on a virtual screen (``xvfb-run``).

    Raises
    ------
    LocalDiscError
        Where the program is missing; the sentence says what to install.
    """
    if shutil.which("xvfb-run") is None:
        raise LocalDiscError(
            "A picture without a screen needs the program xvfb-run; on Debian: "
            "apt-get install xvfb xauth"
        )
    screen = f"-screen 0 {width}x{height}x24 -nolisten tcp"
    # Qt may have been told to draw elsewhere
    qt = ("QT_QPA_PLATFORM=xcb", "XDG_SESSION_TYPE=x11")
    environ = ("env", "-u", "WAYLAND_DISPLAY", *qt)
    return [*environ, "xvfb-run", "-a", "-s", screen, *command]
