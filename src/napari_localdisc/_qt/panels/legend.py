"""Coloured chips, one a structure, each as wide as its share of the image."""

import weakref
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qtpy.QtCore import Signal as QtSignal
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_localdisc._qt.parts import follow
from napari_localdisc.viewer.controller import Controller

HEIGHT = 20
GAP = 1
NARROWEST = 6
"""Pixels of a chip, however small its structure is."""


def label_areas(labels: NDArray[Any]) -> list[int]:
    """Count the pixels of each label, from 0 on."""
    if labels.dtype == np.uint8:
        # Several times faster than numpy, which first makes 64-bit integers of them
        flat = labels.reshape(labels.shape[0], -1)
        counts: list[int] = Image.fromarray(flat).histogram()
        return counts[: max(np.flatnonzero(counts), default=0) + 1]
    return [int(count) for count in np.bincount(labels.ravel())]


class Legend(QWidget):
    """Shows what each label's colour covers; clicks choose labels.

    A click chooses one label and makes it napari's selected label; with Ctrl or Shift
    it chooses one more, or one less.
    """

    chosen_changed = QtSignal()

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.chips: list[tuple[int, float, QColor]] = []
        self.chosen: set[int] = set()
        self._shown: weakref.ref[Labels] | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        controller.workspace.plane_changed.connect(self._follow)
        follow(self.refresh, controller.clusters.changed)

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(100, HEIGHT)

    def refresh(self) -> None:
        """Read label, share and colour off the labels layer, if there is one."""
        layer = self._controller.clusters.layer
        self._shown = None if layer is None else weakref.ref(layer)
        self.chips = []
        if layer is not None:
            areas = label_areas(np.asarray(layer.data))[1:]
            colours = layer.colormap.map(np.arange(1, len(areas) + 1))
            total = max(1, sum(areas))
            self.chips = [
                (label, area / total, QColor.fromRgbF(*(float(c) for c in colour)))
                for label, (area, colour) in enumerate(
                    zip(areas, colours, strict=True), 1
                )
                if area
            ]
        self._choose(self.chosen & {label for label, _, _ in self.chips})

    def _choose(self, labels: set[int]) -> None:
        self.chosen = labels
        self.update()
        self.chosen_changed.emit()

    def _follow(self) -> None:
        """Refresh if another plane, with labels of its own, is shown."""
        shown = self._shown() if self._shown is not None else None
        if shown is not self._controller.clusters.layer:
            self.refresh()

    def _boxes(self) -> list[QRectF]:
        room = self.width() - (NARROWEST + GAP) * len(self.chips)
        boxes, left = [], 0.0
        for _, share, _ in self.chips:
            width = NARROWEST + share * room
            boxes.append(QRectF(left, 0, width, self.height()))
            left += width + GAP
        return boxes

    def _chip_at(self, position: QPointF) -> tuple[int, float] | None:
        """Return label and share of the chip at a position."""
        for box, (label, share, _) in zip(self._boxes(), self.chips, strict=True):
            if box.contains(position):
                return label, share
        return None

    def paintEvent(self, event: Any) -> None:
        """Draw the chips, chosen ones in a ring."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QPen(self.palette().text().color(), 2)
        for box, (label, _, colour) in zip(self._boxes(), self.chips, strict=True):
            chosen = label in self.chosen
            painter.setBrush(colour)
            painter.setPen(ring if chosen else QPen(Qt.PenStyle.NoPen))
            inner = box.adjusted(1, 1, -1, -1) if chosen else box
            painter.drawRoundedRect(inner, 3, 3)
        painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Choose the label that was clicked, for napari's own tools too."""
        chip, layer = self._chip_at(event.position()), self._controller.clusters.layer
        if chip is None or layer is None:
            return
        label, _ = chip
        more = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        if event.modifiers() & more:
            self._choose(self.chosen ^ {label})
        else:
            self._choose({label})
            layer.selected_label = label

    def event(self, event: Any) -> bool:
        """Say in a tooltip what a chip stands for."""
        if event.type() == QEvent.Type.ToolTip:
            chip = self._chip_at(QPointF(event.pos()) + QPointF(0.5, 0.5))
            if chip is not None:
                label, share = chip
                name = self._controller.clusters.names.get(label)
                what = name or f"Structure {label}"
                text = (
                    f"{what}: {share:.1%} of the field of view\n"
                    "Click to choose it, Ctrl + click to choose several"
                )
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return bool(super().event(event))
