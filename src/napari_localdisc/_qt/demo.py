"""The main job on the bundled sample: napari, a retina, its clusters.

``localdisc demo`` starts this as a process: ``python -m napari_localdisc._qt.demo``
stays until the window is closed, with a file's name it writes a picture of the window.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.viewer.controller import Controller

PLUGIN = "napari-localdisc"
SAMPLE = "retina"
WIDGET = "Local discrimination"
PICTURE_SIZE = (1600, 900)
PANEL_WIDTH = 350
CLUSTER_SECONDS = 900.0
SETTLE_SECONDS = 1.5


def open_demo() -> tuple[napari.Viewer, Controller]:
    """Open a viewer with the sample and the plugin, and begin to cluster."""
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
    viewer, controller = open_demo()
    viewer.window.set_geometry(0, 0, *PICTURE_SIZE)
    _wait(CLUSTER_SECONDS, lambda: controller.workspace.work.is_busy)
    if controller.clusters.layer is None:
        said = [record.message for record in notification_manager.records]
        raise LocalDiscError(
            "The sample could not be clustered: "
            + (said[-1] if said else f"not done after {CLUSTER_SECONDS:.0f} seconds")
        )
    # Side by side: the photograph, and its structures
    controller.clusters.layer.opacity = 1.0
    controller.workspace.overlays.choose("fill")  # beside the picture, nothing hides
    viewer.grid.enabled = True
    viewer.grid.shape = (1, 2)
    viewer.reset_view()
    _wait(SETTLE_SECONDS)  # the last frame, the status line
    unfinished = target.with_name(f".{target.name}.part{target.suffix}")
    try:
        viewer.screenshot(str(unfinished), canvas_only=False, flash=False)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
        viewer.close()


def _wait(seconds: float, going_on: Callable[[], bool] = lambda: True) -> None:
    end = time.monotonic() + seconds
    while going_on() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> int:
    """Write a picture to the file that is named, or show the window."""
    try:
        if sys.argv[1:]:
            save_picture(Path(sys.argv[1]))
        else:
            open_demo()
            napari.run()
    except LocalDiscError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the process that waits
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
