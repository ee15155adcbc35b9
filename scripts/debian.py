"""Debian packages that a window needs: which are missing, install or name them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

from napari_localdisc.core.errors import LocalDiscError

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

PROGRAMS = {"xvfb-run": "xvfb", "Xvfb": "xvfb", "xauth": "xauth"}
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


def install(packages: list[str]) -> None:
    """Install Debian packages.

    Raises
    ------
    LocalDiscError
        Naming the packages, where this is not root on Debian or apt-get fails.
    """
    if not can_install():
        raise LocalDiscError(
            "This machine lacks what a window needs; on Debian install it with: "
            f"apt-get install {' '.join(packages)}"
        )
    print(f"== apt-get install {' '.join(packages)}", flush=True)
    # A bare machine has no package lists yet; old ones still do when there is no net.
    _apt_get("update")
    if not _apt_get("install", "--yes", "--no-install-recommends", *packages):
        raise LocalDiscError(
            "apt-get could not install what is missing (its own words are above): "
            + " ".join(packages)
        )


def can_install() -> bool:
    """Tell whether this is root on a system with apt-get."""
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def _apt_get(*arguments: str) -> bool:
    """Run apt-get; show what it says only if it fails."""
    done = subprocess.run(
        ["apt-get", "--quiet=2", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode == 0
