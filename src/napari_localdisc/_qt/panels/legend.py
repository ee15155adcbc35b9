"""Coloured chips, one a structure, with its name and its share of the image."""

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

GAP = 3
SQUARE = 14
"""Pixels of a colour's width."""

_NARROWEST, _USUAL_WIDTH = 100, 300
_STEPS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Down: 1,
}


def label_areas(labels: NDArray[Any]) -> list[int]:
    """Count the pixels of each label, from 0 on."""
    if labels.dtype == np.uint8:
        # Several times faster than numpy, which first makes 64-bit integers of them
        flat = labels.reshape(labels.shape[0], -1)
        counts: list[int] = Image.fromarray(flat).histogram()
        return counts[: max(np.flatnonzero(counts), default=0) + 1]
    return [int(count) for count in np.bincount(labels.ravel())]


class Legend(QWidget):
    """Says what each label's colour stands for and covers; clicks choose labels.

    A click chooses one label and makes it napari's selected label; with Ctrl or Shift
    it chooses one more, or one less.  By keys: arrows, and Space with or without Ctrl.
    What is pointed at, here or in the image, stands out in both.
    """

    chosen_changed = QtSignal()

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.chips: list[tuple[int, float, QColor]] = []
        self.chosen: set[int] = set()
        self.pointed = 0
        """The label that is pointed at; 0: none."""
        self._at = 0
        self._shown: weakref.ref[Labels] | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Clusters")
        controller.workspace.plane_changed.connect(self._follow)
        controller.clusters.pointed.connect(self._point)
        follow(self.refresh, controller.clusters.changed)

    def sizeHint(self) -> QSize:
        """As wide as there is room, and as high as the rows that it takes."""
        width = max(self.width(), _USUAL_WIDTH)
        return QSize(_NARROWEST, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Not less than the rows that it takes."""
        return QSize(_NARROWEST, self.heightForWidth(max(self.width(), _USUAL_WIDTH)))

    def hasHeightForWidth(self) -> bool:
        """Take more rows where there is less room."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of the rows."""
        boxes = self._boxes(width)
        return int(boxes[-1].bottom()) + 1 if boxes else self._line

    def resizeEvent(self, event: Any) -> None:
        """Other rows may be another height."""
        super().resizeEvent(event)
        self.updateGeometry()

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
        self.setVisible(bool(self.chips))
        self.updateGeometry()
        self._choose(self.chosen & {label for label, _, _ in self.chips})

    def text(self, label: int, share: float) -> str:
        """Return a chip's text: the structure's name, or its number, and its share."""
        name = self._controller.clusters.names.get(label)
        return f"{name or label} {percent(share)}"

    def _choose(self, labels: set[int]) -> None:
        self.chosen = labels
        self.update()
        self.chosen_changed.emit()

    def _point(self, label: int) -> None:
        if label != self.pointed:
            self.pointed = label
            self.update()

    def _light(self, label: int) -> None:
        if label != self.pointed:
            self._point(label)
            self._controller.clusters.light(label)

    def _follow(self) -> None:
        """Refresh if another plane, with labels of its own, is shown."""
        shown = self._shown() if self._shown is not None else None
        if shown is not self._controller.clusters.layer:
            self.refresh()

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 4

    def _boxes(self, width: int | None = None) -> list[QRectF]:
        room = self.width() if width is None else width
        boxes: list[QRectF] = []
        left = top = 0.0
        for label, share, _ in self.chips:
            text = self.text(label, share)
            wide = SQUARE + 12 + self.fontMetrics().horizontalAdvance(text)
            if boxes and left + wide > room:
                left, top = 0.0, top + self._line + GAP
            boxes.append(QRectF(left, top, wide, self._line))
            left += wide + 2 * GAP
        return boxes

    def _chip_at(self, position: QPointF) -> tuple[int, float] | None:
        """Return label and share of the chip at a position."""
        for box, (label, share, _) in zip(self._boxes(), self.chips, strict=True):
            if box.contains(position):
                return label, share
        return None

    def paintEvent(self, event: Any) -> None:
        """Draw colours and texts; chosen ones in a ring, what is pointed at lighter."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().text().color()
        none = QPen(Qt.PenStyle.NoPen)
        for at, (box, (label, share, colour)) in enumerate(
            zip(self._boxes(), self.chips, strict=True)
        ):
            square = QRectF(box.left() + 3, box.top() + 3, SQUARE, box.height() - 6)
            if label == self.pointed:
                painter.setPen(none)
                painter.setBrush(QColor(text.red(), text.green(), text.blue(), 50))
                painter.drawRoundedRect(box, 3, 3)
            if label in self.chosen or (self.hasFocus() and at == self._at):
                dotted = label not in self.chosen
                style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.SolidLine
                painter.setPen(QPen(text, 1 if dotted else 2, style))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 3, 3)
            painter.setPen(none)
            painter.setBrush(colour)
            painter.drawRoundedRect(square, 2, 2)
            painter.setPen(QPen(text))
            painter.drawText(
                box.adjusted(SQUARE + 6, 0, 0, 0),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
                self.text(label, share),
            )
        painter.end()

    def mouseMoveEvent(self, event: Any) -> None:
        """Let what is pointed at stand out in the image."""
        chip = self._chip_at(event.position())
        self._light(chip[0] if chip is not None else 0)

    def leaveEvent(self, event: Any) -> None:
        """Show all of the image again."""
        self._light(0)

    def focusOutEvent(self, event: Any) -> None:
        """Show all of the image again."""
        super().focusOutEvent(event)
        self._light(0)
        self.update()

    def mousePressEvent(self, event: Any) -> None:
        """Choose the label that was clicked, for napari's own tools too."""
        chip = self._chip_at(event.position())
        if chip is not None:
            self._at = [label for label, _, _ in self.chips].index(chip[0])
            self._press(chip[0], event.modifiers())

    def _press(self, label: int, modifiers: Any) -> None:
        layer = self._controller.clusters.layer
        if layer is None:
            return
        more = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        if modifiers & more:
            self._choose(self.chosen ^ {label})
        else:
            self._choose({label})
            layer.selected_label = label

    def keyPressEvent(self, event: Any) -> None:
        """Go from one to the next by the arrows, and choose by Space."""
        step = _STEPS.get(event.key())
        if not self.chips or (step is None and event.key() != Qt.Key.Key_Space):
            super().keyPressEvent(event)
            return
        self._at = min(max(self._at + (step or 0), 0), len(self.chips) - 1)
        label = self.chips[self._at][0]
        if step is None:
            self._press(label, event.modifiers())
        self._light(label)

    def event(self, event: Any) -> bool:
        """Say in a tooltip what a chip stands for."""
        if event.type() == QEvent.Type.ToolTip:
            chip = self._chip_at(QPointF(event.pos()) + QPointF(0.5, 0.5))
            if chip is not None:
                label, share = chip
                name = self._controller.clusters.names.get(label)
                what = name or f"Structure {label}"
                text = (
                    f"{what}: {share:.2%} of the field of view\n"
                    "Click to choose it, Ctrl + click to choose several"
                )
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return bool(super().event(event))


def percent(share: float) -> str:
    """Return a share as short as it can be told: 71 %, 3.4 %, 0.02 %."""
    value = 100 * share
    digits = 0 if value >= 9.95 else 1 if value >= 0.095 else 2
    return f"{value:.{digits}f} %" if value >= 0.005 else "<0.01 %"
