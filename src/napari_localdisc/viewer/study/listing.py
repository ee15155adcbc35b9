"""The list of a study's images: which are shown, and in what order."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from psygnal import Signal

from napari_localdisc.io.study import State, StudyImage

ORDERS: dict[str, Callable[[StudyImage], Any]] = {
    "as added": lambda image: image.id,
    "by name": lambda image: image.name.lower(),
    "by patient, eye, visit": lambda image: (*image.origin, image.name),
    "least certain first": lambda image: (
        image.certainty is None,
        image.certainty or 0.0,
    ),
    "longest worked on first": lambda image: -image.seconds,
}
"""What a list of images may be sorted by."""

EVERY = "all"


class StudyList:
    """Every image of a study as it is known now, and those that are listed.

    Attributes
    ----------
    state : str
        Images in this state are listed; or `EVERY`.
    order : str
        One of `ORDERS`.
    """

    changed = Signal()
    """Other images are listed, or in another order."""

    def __init__(self) -> None:
        self.state: str = EVERY
        self.order = next(iter(ORDERS))
        self._images: dict[int, StudyImage] = {}

    def __contains__(self, number: object) -> bool:
        return number in self._images

    def __getitem__(self, number: int) -> StudyImage:
        return self._images[number]

    def fill(self, images: Iterable[StudyImage]) -> None:
        """Take another study's images."""
        self._images = {image.id: image for image in images}

    def put(self, image: StudyImage) -> None:
        """Take what an image is now."""
        self._images[image.id] = image

    @property
    def every(self) -> list[StudyImage]:
        """All images, in the list's order."""
        return sorted(self._images.values(), key=ORDERS[self.order])

    @property
    def images(self) -> list[StudyImage]:
        """The images that are listed, in their order."""
        return [image for image in self.every if self.state in (EVERY, image.state)]

    def only(self, state: str) -> None:
        """List the images in a state, or all."""
        self.state = state
        self.changed.emit()

    def sort(self, order: str) -> None:
        """Sort the list; see `ORDERS`."""
        self.order = order
        self.changed.emit()

    def count(self, *states: State) -> int:
        """Return how many images are in one of these states; all without any."""
        return sum(
            not states or image.state in states for image in self._images.values()
        )

    @property
    def progress(self) -> str:
        """How far the study is, and how long an image takes, in a line."""
        done = self.count("accepted", "rejected")
        worked = [image.seconds for image in self._images.values() if image.seconds]
        pace = f", {np.mean(worked):.0f} s an image" if worked else ""
        return f"{done} of {self.count()} images done{pace}"

    def neighbours(self, current: StudyImage | None, by: int) -> list[int]:
        """Return the listed images after the current one, or before it, nearest first.

        Parameters
        ----------
        current : StudyImage or None
            It need not be listed; None: all are after it.
        by : {1, -1}
            After, or before.
        """
        numbers = [image.id for image in self.images]
        if current is None:
            return numbers
        every = [image.id for image in self.every]
        at = every.index(current.id)
        beside = every[at + 1 :] if by > 0 else every[:at][::-1]
        return [number for number in beside if number in numbers]
