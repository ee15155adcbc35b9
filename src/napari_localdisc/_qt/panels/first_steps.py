"""What a newcomer sees: what to do with no image open, and the tour."""

from collections.abc import Callable

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout

from napari_localdisc._qt.parts import button, follow, row
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.preferences import PLUGIN
from napari_localdisc.viewer.tour import NO_IMAGE, Tour

END = "End the tour; File > Preferences brings it back"
NEXT, DONE = ("Next", "The next step"), ("Done", END)
"""What the button says, and its tooltip."""


class Notice(QFrame):
    """A framed sentence with buttons, which is there or not."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(6, 4, 6, 4)
        self.body.addWidget(self.text)

    def show_if(self, wanted: bool) -> None:
        """Show or hide it, but not before its parent is shown."""
        if not wanted:
            self.hide()
        elif self.parentWidget() is not None:
            self.show()


class EmptyNotice(Notice):
    """Says how to begin while no image is open."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._images = controller.workspace.images
        viewer = controller.workspace.viewer
        self.text.setText(NO_IMAGE)
        self.sample_button = button(
            "Open the sample",
            "A photograph of a normal left eye (CC0)",
            lambda: viewer.open_sample(PLUGIN, "retina"),
        )
        self.body.addLayout(row(self.sample_button))
        follow(self._show, controller.workspace.image_changed)

    def _show(self) -> None:
        self.show_if(self._images.current is None)


class TourNotice(Notice):
    """Tells one step of the tour at a time, once there is an image.

    Parameters
    ----------
    tour : Tour
        The steps.
    controller : Controller
        Of the viewer.
    show_tab : callable
        Brings the tab with a title to the front.
    """

    def __init__(
        self, tour: Tour, controller: Controller, show_tab: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._tour = tour
        self._images = controller.workspace.images
        self._show_tab = show_tab
        self.next_button = button(*NEXT, self._go_on)
        self.end_button = button("Not again", END, tour.end)
        self.body.addLayout(row(self.next_button, self.end_button))
        follow(self._show, tour.changed, controller.workspace.image_changed)

    def _go_on(self) -> None:
        self._tour.go_on()
        if self._tour.step is not None and self._tour.step.tab:
            self._show_tab(self._tour.step.tab)

    def _show(self) -> None:
        step = self._tour.step
        if step is not None:
            self.text.setText(f"<b>{self._tour.place}</b>&nbsp; {step.text}")
            label, tip = DONE if self._tour.is_last else NEXT
            self.next_button.setText(label)
            self.next_button.setToolTip(tip)
        self.show_if(step is not None and self._images.current is not None)
