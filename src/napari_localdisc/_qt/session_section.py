"""Sessions: saved, opened, offered after a crash, and copied as a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.io.session import SUFFIX

from .section import Section

if TYPE_CHECKING:
    from napari_localdisc.autosave import Autosaver
    from napari_localdisc.io.autosaves import Crashed
    from napari_localdisc.script_control import Script, Scripts
    from napari_localdisc.sessions import Sessions

FILTER = f"Session (*{SUFFIX})"


class SessionSection(Section):
    """Buttons for what was done in the viewer as a whole.

    Parameters
    ----------
    sessions : Sessions
        Saves and opens them.
    scripts : Scripts
        Writes scripts.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self, sessions: Sessions, scripts: Scripts, parent: QWidget | None = None
    ) -> None:
        super().__init__("Session", parent=parent)
        self._sessions = sessions
        self._scripts = scripts
        self.save_button = QPushButton("Save session…")
        self.save_button.setToolTip(
            "Save prompts, classes, labels and where the images are, to go on later.\n"
            "It is also saved by itself every minute, in case of a crash."
        )
        self.open_button = QPushButton("Open session…")
        self.open_button.setToolTip("Open its images, and put everything back")
        self.copy_button = QPushButton("Copy as Python")
        self.copy_button.setToolTip(
            "Copy a script that repeats what was done on this image and makes the same "
            "labels"
        )
        row = QHBoxLayout()
        row.addWidget(self.save_button)
        row.addWidget(self.open_button)
        self.body.addLayout(row)
        self.body.addWidget(self.copy_button)
        self.save_button.clicked.connect(self._save)
        self.open_button.clicked.connect(self._open)
        self.copy_button.clicked.connect(self._copy)
        sessions.opened.connect(self._on_opened)
        scripts.written.connect(self._on_script)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save session", f"session{SUFFIX}", FILTER
        )
        if path:
            self._sessions.save(path)

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open session", "", FILTER)
        if path:
            self._sessions.open(path)

    def _on_opened(self, troubles: list[str]) -> None:
        for trouble in troubles:
            show_warning(trouble)

    def _copy(self) -> None:
        self._scripts.write()

    def _on_script(self, script: Script) -> None:
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(script.text)
        if script.remark:
            show_warning(script.remark)


class CrashNotice(QWidget):
    """Offers what a crash left behind; hidden when there is nothing.

    Parameters
    ----------
    autosaver : Autosaver
        Finds, restores and discards it.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(self, autosaver: Autosaver, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._autosaver = autosaver
        self._crashed: Crashed | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Put back what was done until then")
        self.discard_button = QPushButton("Discard")
        self.discard_button.setToolTip("Forget it")
        row = QHBoxLayout()
        row.addWidget(self.restore_button)
        row.addWidget(self.discard_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.restore_button.clicked.connect(self._restore)
        self.discard_button.clicked.connect(self._discard)
        autosaver.failed.connect(show_warning)
        self._show(autosaver.crashed())

    def _show(self, crashed: list[Crashed]) -> None:
        self._crashed = crashed[0] if crashed else None
        if self._crashed is not None:
            when = self._crashed.saved_at.strftime("%d %B, %H:%M")
            self.text.setText(f"napari did not end well. Your work of {when} is saved.")
        if self._crashed is None:  # not shown here: it is shown with its parent
            self.hide()

    def _restore(self) -> None:
        if self._crashed is not None:
            self._autosaver.restore(self._crashed)
        self.hide()

    def _discard(self) -> None:
        if self._crashed is not None:
            self._autosaver.discard(self._crashed)
        self._show(self._autosaver.crashed())
