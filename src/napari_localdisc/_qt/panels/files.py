"""Sessions, concepts, labels from and to files, and what a crash left behind."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from magicgui.widgets import ComboBox
from napari.utils.notifications import show_info, show_warning
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc._qt.parts import (
    Choice,
    Section,
    button,
    follow,
    narrow,
    open_widget,
    row,
)
from napari_localdisc._qt.threads import QtRunner
from napari_localdisc.io.labels import FORMATS
from napari_localdisc.io.session import SUFFIX, Crashed, remove_autosave
from napari_localdisc.viewer.concepts import Concepts
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.export import ExportControl
from napari_localdisc.viewer.plugin import CONCEPT_SUFFIX
from napari_localdisc.viewer.script import Script, Scripts
from napari_localdisc.viewer.session.autosave import Autosaver
from napari_localdisc.viewer.session.session import Sessions
from napari_localdisc.viewer.workspace import Workspace

LABELS_FILTER = "Labels (*.png *.tif *.tiff *.json)"
CONCEPT_FILTER = f"Concept (*{CONCEPT_SUFFIX})"
SESSION, SESSION_FILTER = f"session{SUFFIX}", f"Session (*{SUFFIX})"


class Dialogs:
    """Asks for files, beginning where the image is, or where it was last.

    Parameters
    ----------
    parent : QWidget
        What is asked from.
    workspace : Workspace
        Whose image.
    """

    def __init__(self, parent: QWidget, workspace: Workspace) -> None:
        self._parent, self._workspace = parent, workspace

    def save(
        self, title: str, name: str, kinds: str, save: Callable[[str], object]
    ) -> None:
        """Ask for a file to write, and write it unless the user thinks better of it."""
        start = str(self._workspace.folder / name)
        path, _ = QFileDialog.getSaveFileName(self._parent, title, start, kinds)
        if path:
            self._workspace.remember(path)
            save(path)

    def open(self, title: str, kinds: str, read: Callable[[str], object]) -> None:
        """Ask for a file to read, and read it unless the user thinks better of it."""
        start = str(self._workspace.folder)
        path, _ = QFileDialog.getOpenFileName(self._parent, title, start, kinds)
        if path:
            self._workspace.remember(path)
            read(path)


def _grey_out(formats: ComboBox) -> None:
    """Let no format be chosen whose library is missing; say what brings it."""
    items = formats.native.model()
    for at, form in enumerate(FORMATS.values()):
        if form.missing:
            item = items.item(at)
            item.setEnabled(False)
            item.setToolTip(f"Not installed; to bring it: {form.missing}")


class ExportSection(Section):
    """Writes a Labels layer in another program's format; opens such files."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Labels as files")
        workspace, self._status = controller.workspace, controller.workspace.status
        viewer = workspace.viewer
        self._dialogs = Dialogs(self, workspace)
        self._workspace = workspace
        control = self.control = ExportControl(
            viewer, QtRunner(), workspace.report, workspace.beside
        )
        self.layers = Choice(
            lambda: control.layers,
            placeholder="no labels yet",
            tooltip="The labels to write",
        )
        self.formats = ComboBox(
            choices=[(form.title, form.key) for form in FORMATS.values()],
            tooltip="Values stay as they are; names, colours and pixel size go along "
            "where the format has a place for them",
        )
        narrow(self.formats)
        _grey_out(self.formats)
        self.save_button = button("Export…", "Write these labels to a file", self._save)
        self.open_button = button(
            "Open labels…",
            "PNG, TIFF or COCO files, as they were exported",
            lambda: self._dialogs.open("Open labels", LABELS_FILTER, control.open),
        )
        self.zarr_button = button(
            "Open OME-Zarr…",
            "A folder that holds an OME-Zarr label image",
            self._open_zarr,
        )
        self.folder_button = button(
            "Work on a folder",
            "Clusters or a structure of every image of a folder, with a table of areas",
            lambda: open_widget(viewer, "Work on a folder"),
        )
        self.collection_button = button(
            "Search a collection",
            "Find what you clicked in all images of a folder",
            lambda: open_widget(viewer, "Search a collection"),
        )
        self.add(self.layers)
        self.add(self.formats, self.save_button)
        self.add(self.open_button, self.zarr_button, self.folder_button)
        self.add(self.collection_button)
        follow(self.layers.reset_choices, control.layers_changed)
        follow(self._show_enabled, control.layers_changed, control.busy_changed)
        control.saved.connect(self._tell)
        self.destroyed.connect(control.close)

    def _show_enabled(self) -> None:
        self.save_button.setEnabled(self.layers.enabled and not self.control.is_busy)

    def _save(self) -> None:
        layer, form = self.layers.value, self.formats.value
        name = self.control.suggested_name(layer, form)
        save = partial(self.control.save, layer, form=form)
        self._dialogs.save("Export labels", name, "", save)

    def _open_zarr(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, "Open an OME-Zarr label image", str(self._workspace.folder)
        )
        if path:
            self.control.open(path)

    def _tell(self, files: list[Path]) -> None:
        text = f"Written: {', '.join(str(file) for file in files)}"
        self._status.say(text)
        show_info(text)


class ConceptSection(Section):
    """Two buttons with menus: what to save, and where to look for it."""

    def __init__(self, controller: Controller, concepts: Concepts) -> None:
        super().__init__("The same on other images")
        self._controller = controller
        self._concepts = concepts
        self._dialogs = Dialogs(self, controller.workspace)
        self.save_prompts = QAction("What the clicks mean…", self)
        self.save_prompts.setToolTip(
            "What several clicks correct around themselves stays with this image"
        )
        self.save_point = QAction("Where the click is, a landmark…", self)
        self.save_point.setToolTip(
            "In other images the place with the same surroundings is found, as with a "
            "fovea"
        )
        self.save_classes = QAction("What the strokes taught…", self)
        self.apply_here = QAction("To this image…", self)
        self.apply_to_all = QAction("To all open images…", self)
        self.save_button = button(
            "Save concept",
            "Save what you look for as a small file, for other images of this model",
        )
        self.apply_button = button(
            "Apply concept", "Find what was saved; it becomes a labels layer"
        )
        for opener, actions in (
            (
                self.save_button,
                [self.save_prompts, self.save_point, self.save_classes],
            ),
            (self.apply_button, [self.apply_here, self.apply_to_all]),
        ):
            menu = QMenu(self)
            menu.setToolTipsVisible(True)
            menu.addActions(actions)
            menu.aboutToShow.connect(self._show_kinds)
            opener.setMenu(menu)
        self.add(self.save_button, self.apply_button)
        self.save_prompts.triggered.connect(lambda: self._save_prompts())
        self.save_point.triggered.connect(lambda: self._save_point())
        self.save_classes.triggered.connect(lambda: self._save_classes())
        self.apply_here.triggered.connect(lambda: self._apply(to_all=False))
        self.apply_to_all.triggered.connect(lambda: self._apply(to_all=True))
        follow(self._show_enabled, controller.workspace.image_changed)

    def _show_kinds(self) -> None:
        kinds = self._concepts.kinds
        self.save_prompts.setEnabled("prompts" in kinds)
        self.save_point.setEnabled(self._concepts.point is not None)
        self.save_classes.setEnabled("classifier" in kinds)

    def _show_enabled(self) -> None:
        has_image = self._controller.workspace.images.current is not None
        self.save_button.setEnabled(has_image)
        self.apply_button.setEnabled(has_image)

    def _save_prompts(self) -> None:
        self._save(self._concepts.save_prompts, self._concepts.prompts_name)

    def _save_point(self) -> None:
        self._save(self._concepts.save_point, self._concepts.prompts_name)

    def _save_classes(self) -> None:
        chosen = self._controller.classes.chosen
        name = "" if chosen is None else chosen.name
        self._save(self._concepts.save_classes, name)

    def _save(self, save: Callable[[str, str], object], name: str) -> None:
        """Ask for a file, whose name is the concept's."""
        name = name or "concept"

        def write(path: str) -> None:
            given = Path(path).name.removesuffix(CONCEPT_SUFFIX)
            save(given.removesuffix(".safetensors"), path)

        file = f"{name}{CONCEPT_SUFFIX}"
        self._dialogs.save("Save concept", file, CONCEPT_FILTER, write)

    def _apply(self, to_all: bool) -> None:
        apply = partial(self._concepts.apply_file, to_all=to_all)
        self._dialogs.open("Apply concept", CONCEPT_FILTER, apply)


class SessionSection(Section):
    """Buttons for what was done in the viewer as a whole."""

    def __init__(
        self, workspace: Workspace, sessions: Sessions, scripts: Scripts
    ) -> None:
        super().__init__("Session")
        dialogs = Dialogs(self, workspace)
        self.save_button = button(
            "Save session…",
            "Save prompts, classes, labels and where the images are, to go on later.\n"
            "It is also saved by itself every minute, in case of a crash.",
            lambda: dialogs.save(
                "Save session", SESSION, SESSION_FILTER, sessions.save
            ),
        )
        self.open_button = button(
            "Open session…",
            "Open its images, and put everything back",
            lambda: dialogs.open("Open session", SESSION_FILTER, sessions.open),
        )
        self.copy_button = button(
            "Copy as Python",
            "Copy a script that repeats what was done on this image and makes the same "
            "labels",
            scripts.write,
        )
        self.add(self.save_button, self.open_button, self.copy_button)
        sessions.opened.connect(self._on_opened)
        scripts.written.connect(self._on_script)

    def _on_opened(self, troubles: list[str]) -> None:
        for trouble in troubles:
            show_warning(trouble)

    def _on_script(self, script: Script) -> None:
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(script.text)
        if script.remark:
            show_warning(script.remark)


class CacheSection(Section):
    """What is kept on the disk so that an image opens faster again."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("")
        self.clear_button = button(
            "Clear the cache",
            "Remove the embeddings of images that are kept on the disk; how many there "
            "may be is set in File > Preferences",
            workspace.clear_disk,
        )
        self.add(QLabel("Embeddings kept on the disk"), None, self.clear_button)


class CrashNotice(QWidget):
    """Offers what a crash left behind; hidden when there is nothing."""

    def __init__(self, autosaver: Autosaver) -> None:
        super().__init__()
        self._autosaver = autosaver
        self._crashed: Crashed | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.restore_button = button(
            "Restore", "Put back what was done until then", self._restore
        )
        self.discard_button = button("Discard", "Forget it", self._discard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row(self.restore_button, self.discard_button))
        autosaver.failed.connect(show_warning)
        self._show()

    def _show(self) -> None:
        self._crashed = next(iter(self._autosaver.crashed()), None)
        if self._crashed is None:  # not shown here: it is shown with its parent
            self.hide()
            return
        when = self._crashed.saved_at.strftime("%d %B, %H:%M")
        self.text.setText(f"napari did not end well. Your work of {when} is saved.")

    def _restore(self) -> None:
        if self._crashed is not None:
            self._autosaver.restore(self._crashed)
        self.hide()

    def _discard(self) -> None:
        if self._crashed is not None:
            remove_autosave(self._crashed.path)
        self._show()
