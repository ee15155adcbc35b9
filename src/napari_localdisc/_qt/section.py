"""A titled part of the dock widget."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget


class Section(QFrame):
    """A heading, one line of explanation, and what belongs under it.

    Parameters
    ----------
    title : str
        The heading.
    explanation : str
        Small print under it; none if empty.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self, title: str, explanation: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 8, 10, 10)
        self.body.setSpacing(6)
        heading = QLabel(title)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self.body.addWidget(heading)
        if explanation:
            self.body.addWidget(small_print(explanation))


def small_print(text: str) -> QLabel:
    """Return a dimmed label that wraps its lines."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("color: palette(mid);")
    return label
