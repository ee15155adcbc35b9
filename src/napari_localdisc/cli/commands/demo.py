"""`localdisc demo`."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.screen import has_screen, on_virtual_screen
from napari_localdisc.core.errors import FileError, LocalDiscError

EXAMPLES = """[bold]Examples[/bold]

localdisc demo

localdisc demo --screenshot demo.png"""

BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def demo(
    screenshot: Annotated[
        Path | None,
        options.option(
            "FILE",
            "Write a picture of the window instead of showing it; works without a "
            "screen.",
        ),
    ] = None,
) -> None:
    """Open napari with a retina photograph and cluster it."""
    if importlib.util.find_spec("napari") is None or not any(
        importlib.util.find_spec(name) for name in BINDINGS
    ):
        raise LocalDiscError(
            "A window needs napari with a Qt binding: "
            "python -m pip install 'napari-localdisc[all]'"
        )
    # A process of its own, which Qt may end as it likes
    command = [sys.executable, "-m", "napari_localdisc._qt.demo"]
    if screenshot is not None:
        _draw(command, _picture_file(screenshot))
        typer.echo(str(screenshot))
    elif has_screen():
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    else:
        raise LocalDiscError(
            "There is no screen to open a window on; for a picture of it use: "
            "localdisc demo --screenshot demo.png"
        )


def _picture_file(path: Path) -> Path:
    """Check, before anything is opened, that a picture can be written there."""
    path = path.absolute()
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise FileError(f"{path.name} is no picture's name: end it with .png")
    if path.is_dir():
        raise FileError(f"{path} is a folder; name a picture file in it")
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"{path} cannot be written: {path.parent} is read-only")
    return path


def _draw(command: list[str], target: Path) -> None:
    command = [*command, str(target)]
    if shutil.which("xvfb-run") or not has_screen():  # nobody needs to see the window
        command = on_virtual_screen(command, 1600, 900)
    with tempfile.TemporaryDirectory() as folder:
        # The user's own napari settings neither change the picture nor are changed
        environ = {**os.environ, "NAPARI_CONFIG": str(Path(folder) / "settings.yaml")}
        done = subprocess.run(
            command,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # Ours and Python's own words end with the reason; Qt's have several lines
        said = lines[-1] if done.returncode == 1 and lines else " ".join(lines)
        raise LocalDiscError(said or f"napari ended with status {done.returncode}")
