"""Debian packages: install them as root, or name them in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess

from napari_localdisc.cli.screen import missing_sentence
from napari_localdisc.core.errors import LocalDiscError


def install(packages: list[str]) -> None:
    """Install Debian packages.

    Raises
    ------
    LocalDiscError
        Naming the packages, where this is not root on Debian or apt-get fails.
    """
    if not can_install():
        raise LocalDiscError(missing_sentence(packages))
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
