"""The checkout's virtual environment: made once, used until requirements change."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import debian
import torch_build
from napari_localdisc.core.errors import LocalDiscError

FOLDER = ".venv"
STAMP = "napari-localdisc.json"
REQUIREMENTS = ("pyproject.toml", "requirements/constraints.txt")
OLDEST_PIP = (22, 3)  # the first that installs into another environment


def prepare(root: Path, extra: str) -> Path:
    """Return the environment's Python, with the package and one extra installed.

    Parameters
    ----------
    root : Path
        The checkout; the environment is its folder `.venv`.
    extra : str
        Name of an extra of the package.

    Raises
    ------
    LocalDiscError
        If the environment cannot be made or pip fails.
    """
    folder = root / FOLDER
    python = python_of(folder)
    wanted = signature(root)
    if not works(python):
        print(f"== making the environment {folder}", flush=True)
        create(folder)
    extras = installed_extras(folder, wanted)
    if extra not in extras:
        print(f"== installing the package and its requirements ({extra})", flush=True)
        (folder / STAMP).unlink(missing_ok=True)
        _pip_install(root, python, extra)
        write_stamp(folder, wanted, sorted({*extras, extra}))
    return python


def python_of(folder: Path) -> Path:
    """Return where a virtual environment has its Python."""
    if os.name == "nt":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def signature(root: Path) -> str:
    """Return a hash of all that decides what must be installed."""
    digest = hashlib.sha256(f"{root}\n{sys.version_info[:2]}\n".encode())
    for name in REQUIREMENTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def works(python: Path) -> bool:
    """Tell whether an environment has the Python that runs now, and pip."""
    code = "import sys, pip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return done.stdout.split() == [str(part) for part in sys.version_info[:2]]


def installed_extras(folder: Path, wanted: str) -> list[str]:
    """Return the extras that were installed under a signature."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
        return list(stamp["extras"]) if stamp["signature"] == wanted else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_stamp(folder: Path, wanted: str, extras: list[str]) -> None:
    """Note what is installed."""
    stamp = {"signature": wanted, "extras": extras}
    (folder / STAMP).write_text(json.dumps(stamp) + "\n")


def create(folder: Path) -> None:
    """Make an empty environment with pip.

    Debian's Python has no ensurepip unless python3-venv is installed; then the pip
    that is there puts another into the environment, and failing that apt-get helps.
    """
    if importlib.util.find_spec("ensurepip") and _create_with_ensurepip(folder):
        return
    if pip_version() >= OLDEST_PIP:
        venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(folder)
        python = str(python_of(folder))
        pip = [sys.executable, "-m", "pip", "--python", python]
        done = subprocess.run([*pip, "install", "--quiet", "pip"], check=False)
        if done.returncode == 0 and works(python_of(folder)):
            return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    debian.install([package])
    importlib.invalidate_caches()
    if not _create_with_ensurepip(folder):
        raise LocalDiscError(
            f"{sys.executable} cannot make a virtual environment: install the Debian "
            f"package {package}, or start this with another Python"
        )


def pip_version() -> tuple[int, ...]:
    """Return the version of the pip beside this Python; empty without one."""
    done = subprocess.run(
        [sys.executable, "-c", "import pip; print(pip.__version__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    numbers = done.stdout.strip().split(".")
    return tuple(int(part) for part in numbers[:2] if part.isdigit())


def _create_with_ensurepip(folder: Path) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        venv.EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=True).create(
            folder
        )
    return works(python_of(folder))


def _pip_install(root: Path, python: Path, extra: str) -> None:
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        command.append("--quiet")
    constraints = root / "requirements" / "constraints.txt"
    if said := torch_build.warning(python, constraints):
        print(said, flush=True)
    command += ["-c", str(constraints), "-e", f"{root}[{extra}]"]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise LocalDiscError(
            "pip could not install the requirements; its own words are above"
        )
