"""Lists of the viewer's images and of the models, and how far the work is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox
from qtpy.QtWidgets import (
    QButtonGroup,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc._qt.parts import (
    BAR,
    Choice,
    StatusLine,
    button,
    follow,
    row,
    tell_progress,
)
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.doubts import Doubts
from napari_localdisc.viewer.overlays import View
from napari_localdisc.viewer.workspace import Workspace

if TYPE_CHECKING:  # what they need is for their own widgets to import
    from napari_localdisc.viewer.collection import CollectionControl
    from napari_localdisc.viewer.folder import FolderControl
    from napari_localdisc.viewer.study.control import StudyControl


def image_choice(controller: Controller) -> Choice:
    """Return the viewer's image layers; renames, removals and insertions show."""
    choice = Choice(
        lambda: controller.workspace.images.images,
        lambda: controller.workspace.images.current,
        "no image is open",
        label="Image",
        tooltip="The image to work on.\nOf a stack the slice that is shown counts, of "
        "a multiscale image the finest level.",
    )
    choice.changed.connect(controller.workspace.images.choose)
    follow(
        choice.reset_choices,
        controller.workspace.images.listed,
        controller.workspace.image_changed,
    )
    return choice


class AloneChoice(CheckBox):
    """Whether other images are hidden; seen while there are any."""

    def __init__(self, controller: Controller) -> None:
        self._one_image = controller.one_image
        self._images = controller.workspace.images
        super().__init__(
            text="Hide other images",
            tooltip="Layers of images that are not worked on are out of sight, and "
            "come back with their image.\nTo work on an image, select it or a layer "
            "of it.",
        )
        self.changed.connect(self._one_image.set_alone)
        follow(self._show, self._images.listed, self._one_image.changed)

    def _show(self) -> None:
        with self.changed.blocked():
            self.value = self._one_image.alone
        self.visible = len(self._images.images) > 1


class ViewChoice(QWidget):
    """Three buttons, one of them down: how our layers are seen."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._overlays = controller.workspace.overlays
        layout = row()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        group = QButtonGroup(self)
        self.buttons = {}
        for view, about in _VIEWS.items():
            made = button(
                view.capitalize(),
                about + controller.keys.hint("outline, fill, off"),
                partial(self._overlays.choose, view),
            )
            made.setCheckable(True)
            group.addButton(made)
            layout.addWidget(made)
            self.buttons[view] = made
        self.setLayout(layout)
        follow(self._show, self._overlays.changed)

    def _show(self) -> None:
        self.buttons[self._overlays.view].setChecked(True)


_VIEWS: dict[View, str] = {
    "outline": "Outlines only of masks, clusters and labels: the picture is seen",
    "fill": "Masks, clusters and labels in full",
    "off": "The picture alone; what is found next shows again",
}


def model_choice(controller: Controller) -> Choice:
    """Return the models that there are."""
    choice = Choice(
        lambda: controller.workspace.models.names,
        lambda: controller.workspace.models.name,
        "no model is installed",
        label="Model",
        tooltip="The network that looks at the image.\nBundled models come first, "
        "then your own.",
    )
    choice.changed.connect(controller.set_model)
    follow(
        choice.reset_choices,
        controller.workspace.model_changed,
        controller.workspace.models.listed,
    )
    return choice


class ProgressRow(QWidget):
    """Status, progress bar and Cancel, which are seen only while there is work.

    Parameters
    ----------
    doing : Workspace, FolderControl, CollectionControl or StudyControl
        What is done.
    tooltip : str
        What Cancel does.
    """

    def __init__(
        self,
        doing: Workspace | FolderControl | CollectionControl | StudyControl,
        tooltip: str,
    ) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(BAR)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.cancel_button = button("Cancel", tooltip, doing.cancel)
        self.status = StatusLine()
        self.status.setToolTip("What was done, and what can be done next")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 0, 2, 0)
        layout.setSpacing(2)
        layout.addWidget(self.bar)
        line = row(self.status, self.cancel_button)
        line.setStretch(0, 1)
        layout.addLayout(line)
        self._doing = doing
        self._show_status()
        doing.work.busy_changed.connect(self._show_busy)
        doing.work.progressed.connect(self._show_progress)
        doing.status.changed.connect(self._show_status)
        self._show_busy(doing.work.is_busy)

    def _show_busy(self, busy: bool) -> None:
        tell_progress(self.bar, 0, 0)
        self.bar.setVisible(busy)
        self.cancel_button.setVisible(busy)

    def _show_status(self) -> None:
        status = self._doing.status
        self.status.tell(status.text, status.is_error)

    def _show_progress(self, done: int, total: int) -> None:
        tell_progress(self.bar, done, total)


class DoubtNotice(QWidget):
    """Says where what is shown is not what is computed from; hidden otherwise."""

    def __init__(self, doubts: Doubts) -> None:
        super().__init__()
        self._doubts = doubts
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.buttons: list[QPushButton] = []
        self._row = row()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(self._row)
        doubts.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        for old in self.buttons:
            self._row.removeWidget(old)
            old.deleteLater()
        doubt = self._doubts.current
        choices = () if doubt is None else doubt.choices
        self.buttons = [button(c.title, c.about, c.do) for c in choices]
        for new in self.buttons:
            self._row.addWidget(new)
        self.text.setText("" if doubt is None else doubt.text)
        if doubt is None:
            self.hide()
        elif self.parentWidget() is not None:  # else it is shown with its parent
            self.show()
