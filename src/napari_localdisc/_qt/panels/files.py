"""Export: which labels, in which format; and labels from files."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc._qt.parts import Section
from napari_localdisc._qt.threads import QtRunner, report
from napari_localdisc.io.session import SUFFIX, Crashed
from napari_localdisc.viewer.export import ExportControl

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_localdisc.viewer.concepts import Concepts
    from napari_localdisc.viewer.controller import Controller
    from napari_localdisc.viewer.script import Script, Scripts
    from napari_localdisc.viewer.session.autosave import Autosaver
    from napari_localdisc.viewer.session.session import Sessions

PLUGIN, FOLDER_WIDGET = "napari-localdisc", "Work on a folder"


class ExportSection(Section):
    """Writes a Labels layer in another program's format; opens such files.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__("Files", parent=parent)
        self.control = ExportControl(viewer, QtRunner(), report)
        self._layers: list[weakref.ref[Labels]] = []
        self.layers = QComboBox()
        self.layers.setPlaceholderText("no labels yet")
        self.layers.setToolTip("The labels to write")
        self.formats = QComboBox()
        for key, title in self.control.formats.items():
            self.formats.addItem(title, key)
        self.formats.setToolTip(
            "Values stay as they are; names, colours and pixel size go along where "
            "the format has a place for them"
        )
        for box in (self.layers, self.formats):
            box.setMinimumContentsLength(8)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.save_button = QPushButton("Export…")
        self.save_button.setToolTip("Write these labels to a file")
        self.open_button = QPushButton("Open labels…")
        self.open_button.setToolTip("PNG, TIFF or COCO files, as they were exported")
        self.zarr_button = QPushButton("Open OME-Zarr…")
        self.zarr_button.setToolTip("A folder that holds an OME-Zarr label image")
        self.folder_button = QPushButton("Work on a folder")
        self.folder_button.setToolTip(
            "Clusters or a structure of every image of a folder, with a table of areas"
        )
        self._lay_out()
        self.save_button.clicked.connect(self._save)
        self.open_button.clicked.connect(self._open_file)
        self.zarr_button.clicked.connect(self._open_zarr)
        self.folder_button.clicked.connect(self._open_folder_widget)
        self.control.layers_changed.connect(self._refresh)
        self.control.busy_changed.connect(self._show_enabled)
        self.control.saved.connect(self._tell)
        self.destroyed.connect(self.control.close)
        self._refresh()

    def _lay_out(self) -> None:
        for widgets in (
            (self.layers,),
            (self.formats, self.save_button),
            (self.open_button, self.zarr_button),
            (self.folder_button,),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, stretch=1 if widget is self.formats else 0)
            self.body.addLayout(row)
        self.layers.setSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        )

    def close_control(self) -> None:
        """Stop following the viewer."""
        self.control.close()

    @property
    def layer(self) -> Labels | None:
        """The chosen labels, while they are in the viewer."""
        index = self.layers.currentIndex()
        layer = self._layers[index]() if 0 <= index < len(self._layers) else None
        return layer if layer in self.control.layers else None

    def _refresh(self) -> None:
        chosen = self.layer
        layers = self.control.layers
        self._layers = [weakref.ref(layer) for layer in layers]
        blocker = QSignalBlocker(self.layers)
        self.layers.clear()
        self.layers.addItems([layer.name for layer in layers])
        index = layers.index(chosen) if chosen in layers else min(0, len(layers) - 1)
        self.layers.setCurrentIndex(index)
        blocker.unblock()
        self._show_enabled()

    def _show_enabled(self, busy: bool = False) -> None:
        free = bool(self._layers) and not self.control.is_busy
        self.save_button.setEnabled(free)

    def _save(self) -> None:
        layer, form = self.layer, self.formats.currentData()
        if layer is None:
            return
        name = self.control.suggested_name(layer, form)
        path, _ = QFileDialog.getSaveFileName(self, "Export labels", name)
        if path:
            self.control.save(layer, path, form)

    def _open_file(self) -> None:
        kinds = "Labels (*.png *.tif *.tiff *.json)"
        path, _ = QFileDialog.getOpenFileName(self, "Open labels", "", kinds)
        if path:
            self.control.open(path)

    def _open_zarr(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open an OME-Zarr label image")
        if path:
            self.control.open(path)

    def _open_folder_widget(self) -> None:
        window = getattr(self.control.viewer, "window", None)
        if window is not None:
            dock, _ = window.add_plugin_dock_widget(PLUGIN, FOLDER_WIDGET, tabify=True)
            dock.show()
            dock.raise_()

    def _tell(self, files: list[Path]) -> None:
        show_info(f"Written: {', '.join(str(file) for file in files)}")


CONCEPT_SUFFIX = ".concept.safetensors"

CONCEPT_FILTER = f"Concept (*{CONCEPT_SUFFIX})"


class ConceptSection(Section):
    """Two buttons with menus: what to save, and where to look for it.

    Parameters
    ----------
    controller : Controller
        Says when there is something to save.
    concepts : Concepts
        Saves and applies.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self,
        controller: Controller,
        concepts: Concepts,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("The same on other images", parent=parent)
        self._controller = controller
        self._concepts = concepts
        self.save_button = QPushButton("Save concept")
        self.save_button.setToolTip(
            "Save what you look for as a small file, for other images of this model"
        )
        save_menu = QMenu(self)
        self.save_prompts = QAction("What the clicks mean…", self)
        self.save_classes = QAction("What the strokes taught…", self)
        self.save_prompts.setToolTip(
            "What several clicks correct around themselves stays with this image"
        )
        save_menu.setToolTipsVisible(True)
        save_menu.addActions([self.save_prompts, self.save_classes])
        self.save_button.setMenu(save_menu)
        self.apply_button = QPushButton("Apply concept")
        self.apply_button.setToolTip("Find what was saved; it becomes a labels layer")
        apply_menu = QMenu(self)
        self.apply_here = QAction("To this image…", self)
        self.apply_to_all = QAction("To all open images…", self)
        apply_menu.addActions([self.apply_here, self.apply_to_all])
        self.apply_button.setMenu(apply_menu)
        row = QHBoxLayout()
        row.addWidget(self.save_button)
        row.addWidget(self.apply_button)
        self.body.addLayout(row)
        self.save_prompts.triggered.connect(self._save_prompts)
        self.save_classes.triggered.connect(self._save_classes)
        self.apply_here.triggered.connect(self._apply_here)
        self.apply_to_all.triggered.connect(self._apply_to_all)
        save_menu.aboutToShow.connect(self._show_enabled)
        controller.prompts.changed.connect(self._show_enabled)
        controller.workspace.plane_changed.connect(self._show_enabled)
        self._show_enabled()

    def _show_enabled(self) -> None:
        kinds = self._concepts.kinds
        self.save_prompts.setEnabled("prompts" in kinds)
        self.save_classes.setEnabled("classifier" in kinds)
        has_image = self._controller.workspace.images.current is not None
        self.save_button.setEnabled(has_image)
        self.apply_button.setEnabled(has_image)

    def _ask_where(self) -> tuple[str, str]:
        """Ask for a file; its name is the concept's."""
        chosen = self._controller.classes.chosen
        name = "concept" if chosen is None else chosen.name
        path, _ = QFileDialog.getSaveFileName(
            self, "Save concept", f"{name}{CONCEPT_SUFFIX}", CONCEPT_FILTER
        )
        given = Path(path).name
        return given.removesuffix(CONCEPT_SUFFIX).removesuffix(".safetensors"), path

    def _save_prompts(self) -> None:
        name, path = self._ask_where()
        if path:
            self._concepts.save_prompts(name, path)

    def _save_classes(self) -> None:
        name, path = self._ask_where()
        if path:
            self._concepts.save_classes(name, path)

    def _apply(self, to_all: bool) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Apply concept", "", CONCEPT_FILTER)
        if path:
            self._concepts.apply_file(path, to_all)

    def _apply_here(self) -> None:
        self._apply(to_all=False)

    def _apply_to_all(self) -> None:
        self._apply(to_all=True)


SESSION_FILTER = f"Session (*{SUFFIX})"


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
            self, "Save session", f"session{SUFFIX}", SESSION_FILTER
        )
        if path:
            self._sessions.save(path)

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open session", "", SESSION_FILTER)
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
