"""How large the classes of an image are, and where."""

import numpy as np

from napari_localdisc.core.errors import PromptError
from napari_localdisc.io.areas import ClassArea
from napari_localdisc.layers.labels import read_plane
from napari_localdisc.layers.plane import show_point
from napari_localdisc.layers.scale import pixel_area

from .classes import Classes
from .workspace import Workspace


class ClassAreas:
    """Areas of the classes of the image that is worked on.

    Parameters
    ----------
    workspace : Workspace
        Whose image it is.
    classes : Classes
        The table, and the layers that hold the classes.
    """

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes

    def measured(self) -> dict[int, ClassArea]:
        """Measure each class on the plane that is shown."""
        place, layers = self._workspace.place_or_none(), self._classes.layers
        image, size, unit, whole = "", None, "", 0
        most = max((entry.value for entry in self._classes.entries), default=0)
        counts = {}
        if place is not None and layers:
            image, whole = place.layer.name, int(np.prod(place.plane.shape))
            size, unit = pixel_area(place.layer, place.plane)
            for group, labels in layers.items():
                pixels = read_plane(labels, place.plane).ravel()
                counts[group] = np.bincount(pixels, minlength=most + 1)
        areas = {}
        for entry in self._classes.entries:
            held = counts.get(entry.group)
            count = 0 if held is None else int(held[entry.value])
            share = 100 * count / max(1, whole)
            area = None if size is None else float(count * size)
            areas[entry.value] = ClassArea(
                image, entry.value, entry.name, count, share, area, unit
            )
        return areas

    def jump_to(self, value: int) -> None:
        """Move the view to the pixel of a class that is nearest to its middle."""
        entry, place = self._classes.find(value), self._workspace.place_or_none()
        labels = self._classes.layers.get(entry.group)
        points = np.zeros((0, 2), int)
        if place is not None and labels is not None:
            points = np.argwhere(read_plane(labels, place.plane) == value)
        if place is None or not len(points):
            raise PromptError(f"There is no pixel of “{entry.name}” in what is shown.")
        middle = points[np.argmin(np.square(points - points.mean(0)).sum(1))]
        point = float(middle[0]), float(middle[1])
        show_point(self._workspace.viewer, place.layer, place.plane, point)
        self._classes.choose(value)
