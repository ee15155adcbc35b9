"""The dock widget “Search a collection”: what was clicked, in a folder of images."""

from functools import lru_cache
from pathlib import Path

import napari.viewer
from magicgui.widgets import CheckBox
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem, QVBoxLayout

from napari_localdisc.io.collection import Found
from napari_localdisc.viewer.collection import CollectionControl
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.plugin import PLUGIN, WIDGET

from .help import HelpButton
from .panels.choosers import ProgressRow
from .parts import Docked, button, form, path_field, path_text, row, viewer_of
from .threads import QtRunner, report

SIDE = 96
"""Pixels of a thumbnail."""

_SHARE = 0.22
"""Of an image's longer side that a thumbnail shows."""


class CollectionWidget(Docked):
    """A thin skin on `CollectionControl`; closing it stops, and what is done stays.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        viewer = viewer_of(napari_viewer)

        def controller() -> Controller:
            _, main = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET, tabify=False)
            found: Controller = main.controller
            return found

        control = CollectionControl(viewer, controller, QtRunner(), report)
        self.control = control
        self.folder = path_field(
            "Images",
            "Folder of images",
            tooltip="The folder whose images are searched",
        )
        self.index_button = button(
            "Make searchable",
            "Look at the images that are new or were changed; a second or two each.\n"
            "What is kept lies in the folder, as one file.",
            lambda: control.index(path_text(self.folder)),
        )
        self.find_button = button(
            "Find what I clicked",
            "List the regions of all images that are most like the clicks (+) of the "
            "current image\nand not like those on what is not meant (−)",
            control.find,
        )
        self.others = CheckBox(
            text="Other images only",
            tooltip="Leave out the image that is clicked on",
            value=control.others,
        )
        self.help_button = HelpButton("Search a collection")
        self.results = FoundList(control)
        self.progress_row = ProgressRow(control, "Stop; it goes on from there")
        layout = QVBoxLayout(self)
        layout.addWidget(form(self.folder).native)
        layout.addWidget(self.index_button)
        layout.addLayout(row(self.find_button, self.others, self.help_button))
        layout.addWidget(self.progress_row)
        layout.addWidget(self.results, stretch=1)
        self.folder.changed.connect(self._choose)
        self.others.changed.connect(self._set_others)
        control.work.busy_changed.connect(self._show_enabled)
        control.collection_changed.connect(self._show_enabled)
        self.destroyed.connect(control.close)
        self._show_enabled()

    def _choose(self) -> None:
        self.control.choose(path_text(self.folder))

    def _set_others(self, others: bool) -> None:
        self.control.others = others

    def _show_enabled(self) -> None:
        busy = self.control.work.is_busy
        self.index_button.setEnabled(not busy)
        self.find_button.setEnabled(not busy and self.control.collection is not None)

    def leave(self) -> None:
        """Stop; what is done stays."""
        self.control.close()


class FoundList(QListWidget):
    """A thumbnail a region; a click, or Return, opens its image there."""

    def __init__(self, control: CollectionControl) -> None:
        super().__init__()
        self._control = control
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setIconSize(QSize(SIDE, SIDE))
        self.setSpacing(4)
        self.setUniformItemSizes(True)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName("What was found")
        self.setToolTip("Most similar first; a click opens the image there")
        self.itemClicked.connect(self._open)
        self.itemActivated.connect(self._open)
        control.found_changed.connect(self._show)

    def _show(self) -> None:
        self.clear()
        collection = self._control.collection
        if collection is None:
            return

        @lru_cache(maxsize=32)
        def picture(number: int) -> QPixmap:
            whole = QPixmap()
            whole.loadFromData(collection.picture(number), "JPEG")
            return whole

        for found in self._control.found:
            image = collection.images[found.number]
            icon = thumbnail(picture(found.number), found, (image.height, image.width))
            text = f"{found.path.stem}\n{found.similarity:.2f}"
            item = QListWidgetItem(QIcon(icon), text)
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            item.setSizeHint(QSize(SIDE + 12, SIDE + 3 * self.fontMetrics().height()))
            where, point = Path(image.path), found.point
            item.setToolTip(f"{where}, row {point[0]:.0f}, column {point[1]:.0f}")
            self.addItem(item)

    def _open(self, item: QListWidgetItem) -> None:
        self._control.open(self._control.found[self.row(item)])


def thumbnail(whole: QPixmap, found: Found, shape: tuple[int, int]) -> QPixmap:
    """Cut a square about what was found out of the small picture of an image.

    Parameters
    ----------
    whole : QPixmap
        The small picture.
    found : Found
        What to show.
    shape : tuple of int
        (H, W) of the image.
    """
    scale = max(whole.width(), whole.height()) / max(shape)
    row, column = ((value + 0.5) * scale for value in found.point)
    side = _SHARE * max(whole.width(), whole.height())
    made = QPixmap(SIDE, SIDE)
    made.fill(QColor("black"))
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # Beyond the picture it stays black
    zoom = SIDE / side
    painter.drawPixmap(
        QRectF(
            SIDE / 2 - column * zoom,
            SIDE / 2 - row * zoom,
            whole.width() * zoom,
            whole.height() * zoom,
        ),
        whole,
        QRectF(whole.rect()),
    )
    for colour, width in (("black", 3.5), ("yellow", 1.5)):
        painter.setPen(QPen(QColor(colour), width))
        painter.drawEllipse(QRectF(SIDE / 2 - 10, SIDE / 2 - 10, 20, 20))
    painter.end()
    return made
