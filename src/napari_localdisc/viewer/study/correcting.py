"""Clicks that correct what is proposed for one structure of a study's image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.work import Steps
from napari_localdisc.io.study import StudyImage
from napari_localdisc.layers.structures import structure_values
from napari_localdisc.viewer.chosen import clicks_wanted
from napari_localdisc.viewer.mouse import ClickMode
from napari_localdisc.viewer.status import Status
from napari_localdisc.viewer.work import Runner, Slot, disconnect_all

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

Mask = NDArray[np.bool_]

OBEYED = 0.004
"""Of the image's longer side: radius of the disc around a click that is what it says,
whatever the embedding thinks."""


class Place(Protocol):
    """What is worked on: a `StudyControl`."""

    status: Status
    current: StudyImage | None
    layers: dict[str, Labels]

    @property
    def image(self) -> Image | None:
        """The layer of the image."""

    @property
    def structure(self) -> str | None:
        """What is annotated."""

    def look(self, number: int) -> Embedding:
        """Return the embedding of an image, with what was taught."""

    def save_soon(self) -> None:
        """Save what was drawn."""


class Correcting:
    """Takes clicks while it is on; each changes the structure's layer.

    A click says that a place is of the structure that is selected, with Shift that it
    is not.  Only what the clicks change in the proposal is written: what was painted
    by hand stays.

    Parameters
    ----------
    viewer : ViewerModel
        Whose canvas.
    runner, report
        As of `Workspace`.
    place : Place
        What is worked on.

    Attributes
    ----------
    work : Slot
        What a click waits for.
    """

    changed = Signal(bool)
    """It was switched on or off."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner,
        report: Callable[[Exception], None],
        place: Place,
    ) -> None:
        self._viewer = viewer
        self._report = report
        self._place = place
        self.work = Slot(runner, report)
        self._mode = ClickMode(viewer, self.click)
        self._number: int | None = None
        self._embedding: Embedding | None = None
        self._points: dict[str, tuple[list[tuple[float, float]], ...]] = {}
        self._found: dict[str, Mask] = {}
        clicks_wanted.connect(self._on_clicks_wanted)

    @property
    def is_on(self) -> bool:
        """Whether clicks are taken."""
        return self._mode.is_active

    def toggle(self) -> None:
        """Switch on or off."""
        self.set_on(not self.is_on)

    def set_on(self, on: bool) -> None:
        """Take clicks, or no longer."""
        if on == self.is_on:
            return
        if on:
            clicks_wanted.emit(self._viewer, self)
            self._mode.enter()
            self._place.status.say(
                "Click what was missed; with Shift, what is too much. Ctrl+Z undoes."
            )
        else:
            self._mode.leave()
        self.changed.emit(on)

    def forget(self) -> None:
        """Begin anew: another image is shown."""
        self.work.cancel()
        self._number, self._embedding = None, None
        self._points.clear()
        self._found.clear()

    def close(self) -> None:
        """Take clicks no longer, and tell nobody any more."""
        self.set_on(False)
        clicks_wanted.disconnect(self._on_clicks_wanted)
        disconnect_all(self, self.work)
        self.forget()

    def click(self, position: tuple[float, ...], positive: bool) -> None:
        """Say of a point of the world whether it is of the structure."""
        place = self._place
        image, current, structure = place.image, place.current, place.structure
        if image is None or current is None or structure is None:
            return
        row, column = map(float, image.world_to_data(position)[-2:])
        height, width = image.data.shape[:2]
        if not (-0.5 <= row < height - 0.5 and -0.5 <= column < width - 0.5):
            return
        number = current.id
        if number != self._number:
            self.forget()
            self._number = number
        points = self._points.setdefault(structure, ([], []))
        points[0 if positive else 1].append((row, column))
        # Told to a worker, which must not see later clicks
        given = [list(own) for own in points]

        def work() -> Steps[tuple[Mask, Mask]]:
            yield 0, 0
            known = self._embedding
            if known is None:
                known = place.look(number)
                yield 0, 0
            if structure not in known.presence:
                raise PromptError(
                    f"Nothing is known of “{structure}” yet: paint it, or use Find "
                    "similar, and accept the image; then clicks correct what is "
                    "proposed in the next ones."
                )
            if number == self._number:
                self._embedding = known
            before = self._found.get(structure)
            if before is None:
                before = known.corrected(structure)
            yield 0, 0
            return before, known.corrected(structure, *given)

        def write(found: tuple[Mask, Mask]) -> None:
            if place.current is not None and place.current.id == number:
                before, after = found
                self._found[structure] = after
                layer = place.layers[structure]
                value = structure_values(list(place.layers))[structure]
                count = change(layer, value, before, after, (row, column), positive)
                place.save_soon()
                place.status.say(
                    f"{structure}: {count} pixels changed. Click what was missed; "
                    "with Shift, what is too much."
                )

        def failed(error: Exception) -> None:
            points[0 if positive else 1].remove((row, column))
            self._report(error)

        if self._embedding is None:
            place.status.say("Looking at the image…")
        self.work.run(work, write, failed=failed)

    def _on_clicks_wanted(self, viewer: ViewerModel, who: object) -> None:
        if viewer is self._viewer and who is not self:
            self.set_on(False)


def change(
    layer: Labels,
    value: int,
    before: Mask,
    after: Mask,
    point: tuple[float, float],
    positive: bool,
) -> int:
    """Write into a structure's layer what a click changed; one step to undo.

    Parameters
    ----------
    layer : Labels
        Of the structure.
    value : int
        That stands for it.
    before, after : ndarray
        (H, W) bool: what was found before the click, and with it.
    point : tuple of float
        Of the click: around it the layer is what it says.
    positive : bool
        Whether it is of the structure.

    Returns
    -------
    int
        How many pixels are others now.
    """
    data = np.asarray(layer.data)
    wanted = np.where(after != before, after, data == value)
    reach = max(1.0, OBEYED * max(data.shape))
    rows, columns = np.ogrid[: data.shape[0], : data.shape[1]]
    wanted[np.hypot(rows - point[0], columns - point[1]) <= reach] = positive
    places = np.nonzero(wanted != (data == value))
    if len(places[0]):
        values = np.where(wanted[places], value, 0).astype(data.dtype)
        layer.data_setitem(places, values)
    return len(places[0])
