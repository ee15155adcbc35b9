"""The main job on the bundled sample: napari, a retina, its clusters.

`run` is what `localdisc demo` calls. A picture is drawn by a process of its own on a
virtual screen where there is no real one.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_localdisc.core.errors import FileError, LocalDiscError

from .screen import (
    ScreenError,
    has_screen,
    missing_packages,
    missing_sentence,
    virtual_screen,
)

if TYPE_CHECKING:
    from napari import Viewer

    from napari_localdisc.viewer.controller import Controller

PLUGIN = "napari-localdisc"
SAMPLE = "retina"
WIDGET = "Local discrimination"
PICTURE_SIZE = (1600, 900)
PANEL_WIDTH = 350
CLUSTER_SECONDS = 900.0
SETTLE_SECONDS = 1.5
BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def run(screenshot: Path | None = None) -> None:
    """Open napari with the sample image and cluster it.

    Parameters
    ----------
    screenshot : Path, optional
        File to write a picture of the window to, once the clusters are there; the
        window is then not shown to anybody. None: the window stays until it is closed.

    Raises
    ------
    LocalDiscError
        Where there is no screen and no picture is asked for, where a system library
        or a Qt binding is missing, where the picture cannot be written, or where
        clustering fails.
    """
    require_binding()
    if screenshot is None:
        if not has_screen():
            raise ScreenError(
                "There is no screen to open a window on; for a picture of it use: "
                "localdisc demo --screenshot demo.png"
            )
        packages = missing_packages(virtual_screen=False)
        if packages:
            raise ScreenError(missing_sentence(packages))
        _show()
        return
    target = _picture_file(screenshot)
    if sys.platform.startswith("linux"):
        with virtual_screen(*PICTURE_SIZE) as environ:
            _draw(target, environ)
    else:
        _draw(target, dict(os.environ))


def require_binding() -> None:
    """Raise unless napari and a Qt binding are installed.

    Raises
    ------
    LocalDiscError
        Naming what is missing and how to install it.
    """
    if importlib.util.find_spec("napari") is None or not any(
        importlib.util.find_spec(name) for name in BINDINGS
    ):
        raise LocalDiscError(
            "A window needs napari with a Qt binding: "
            "python -m pip install 'napari-localdisc[all]'"
        )


def open_demo() -> tuple[Viewer, Controller]:
    """Open a viewer with the sample and the plugin, and begin to cluster."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(title="napari-localdisc")
    viewer.open_sample(PLUGIN, SAMPLE)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    dock.setMinimumWidth(PANEL_WIDTH)  # its whole title can be read
    width, height = PICTURE_SIZE
    screen = QApplication.primaryScreen()
    if screen is not None:
        room = screen.availableGeometry()
        width, height = min(width, room.width()), min(height, room.height())
    viewer.window.resize(width, height)
    QApplication.processEvents()
    viewer.reset_view()
    controller: Controller = widget.controller
    controller.clusters.show()
    return viewer, controller


def save_picture(target: Path) -> None:
    """Open the demo, wait for the clusters, and save a picture of the window.

    Parameters
    ----------
    target : Path
        Picture file, replaced as a whole.

    Raises
    ------
    LocalDiscError
        With napari's own words where clustering failed, or when it takes too long.
    """
    from napari.utils.notifications import notification_manager
    from qtpy.QtWidgets import QApplication

    viewer, controller = open_demo()
    viewer.window.set_geometry(0, 0, *PICTURE_SIZE)
    end = time.monotonic() + CLUSTER_SECONDS
    while controller.workspace.work.is_busy and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    if controller.clusters.layer is None:
        said = [record.message for record in notification_manager.records]
        raise LocalDiscError(
            "The sample could not be clustered: "
            + (said[-1] if said else f"not done after {CLUSTER_SECONDS:.0f} seconds")
        )
    # Side by side: the photograph, and its structures
    controller.clusters.layer.opacity = 1.0
    viewer.grid.enabled = True
    viewer.grid.shape = (1, 2)
    viewer.reset_view()
    settled = time.monotonic() + SETTLE_SECONDS  # the last frame, the status line
    while time.monotonic() < settled:
        QApplication.processEvents()
        time.sleep(0.01)
    unfinished = target.with_name(f".{target.name}.part{target.suffix}")
    try:
        viewer.screenshot(str(unfinished), canvas_only=False, flash=False)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
        viewer.close()


def _show() -> None:
    import napari

    open_demo()
    napari.run()


def _picture_file(path: Path) -> Path:
    """Check, before anything is opened, that a picture can be written there."""
    path = Path(path).absolute()
    if path.suffix.lower() not in {".png", ".jpg", ".jpeg", ".tif", ".tiff"}:
        raise FileError(f"{path.name} is no picture's name: end it with .png")
    if path.is_dir():
        raise FileError(f"{path} is a folder; name a picture file in it")
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"{path} cannot be written: {path.parent} is read-only")
    return path


def _draw(target: Path, environ: dict[str, str]) -> None:
    """Draw the picture in a process of its own, which Qt may end as it likes."""
    with tempfile.TemporaryDirectory() as folder:
        # The user's own napari settings neither change the picture nor are changed
        environ = {**environ, "NAPARI_CONFIG": str(Path(folder) / "settings.yaml")}
        done = subprocess.run(
            [sys.executable, "-m", "napari_localdisc.cli.demo", str(target)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise LocalDiscError(
            lines[-1] if lines else f"napari ended with status {done.returncode}"
        )


def _main() -> int:
    try:
        save_picture(Path(sys.argv[1]))
    except LocalDiscError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the process that waits
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
