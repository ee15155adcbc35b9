"""Where an operation works, and what is shown there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_localdisc.annotation.document import Document, PlaneState
from napari_localdisc.annotation.state import AnnotationClass, Prompt
from napari_localdisc.layers.ours import Look, OurLayers
from napari_localdisc.layers.plane import Plane

if TYPE_CHECKING:
    from napari_localdisc.core.image.grid import WorkingGrid
    from napari_localdisc.core.learning.classifier import Classifier, Prediction


@dataclass(frozen=True)
class Learned:
    """What one round of learning gives.

    Attributes
    ----------
    strokes : ndarray
        (H, W) labels that it was learned from.
    classifier : Classifier
        What was learned.
    prediction : Prediction
        What that says of the image.
    """

    strokes: NDArray[np.integer]
    classifier: Classifier
    prediction: Prediction


@dataclass(frozen=True)
class Destination:
    """The class that a mask becomes.

    Attributes
    ----------
    entry : AnnotationClass or None
        It; None: a new one.
    name : str
        Its name, or the new one's; empty: the new one has only a number.
    """

    entry: AnnotationClass | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.entry is not None:
            return f"“{self.entry.name}”"
        return f"new “{self.name}”" if self.name else "a new class"


@dataclass
class ShownMask:
    """The mask of a plane's prompts, as it is shown.

    Attributes
    ----------
    wanted : ndarray
        (H, W) bool.
    threshold : float
        The similarity that it is cut at.
    made : dict
        How it was made.
    pixels : int
        How many it has.
    taken : dict of int to int
        Its pixels that other classes have, per class.
    by_hand : int
        Pixels that it leaves as a hand left them.
    is_hidden : bool
        Whether it is out of sight because a threshold is being dragged.
    meaning : str
        The structure that the prompts are taken to mean; empty: what looks like them.
    destination : Destination
        The class that it becomes.
    """

    wanted: NDArray[np.bool_]
    threshold: float
    made: dict[str, Any]
    pixels: int = 0
    taken: dict[int, int] = field(default_factory=dict)
    by_hand: int = 0
    is_hidden: bool = False
    meaning: str = ""
    destination: Destination = Destination()


class Shown(OurLayers):
    """What is shown of one plane: our layers, and what they were made of.

    Attributes
    ----------
    prompts : tuple of Prompt
        Those that map and mask show.
    mask : ShownMask or None
        Of these prompts.
    learned : Learned or None
        What was learned last from the strokes.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        dress: Callable[[Labels], None] = lambda layer: None,
    ) -> None:
        super().__init__(viewer, dress)
        self.prompts: tuple[Prompt, ...] = ()
        self.mask: ShownMask | None = None
        self.learned: Learned | None = None


@dataclass(frozen=True, eq=False)
class Place:
    """Where an operation works; asked for once, and handed down.

    Attributes
    ----------
    layer : Image
        The image.
    plane : Plane
        Its plane.
    document : Document
        What was done on the image.
    state : PlaneState
        What was done on the plane.
    shown : Shown
        What is shown of the plane.
    """

    layer: Image
    plane: Plane
    document: Document
    state: PlaneState
    shown: Shown

    @cached_property
    def placement(self) -> dict[str, Any]:
        """Where a layer of the plane's pixels lies."""
        return self.plane.placement(self.layer)

    def placed(self, grid: WorkingGrid) -> dict[str, Any]:
        """Return where a layer of the working grid's pixels lies."""
        return self.plane.placement(self.layer, *grid.on_image)

    def name(self, what: str) -> str:
        """Name a layer after what it shows, and after image and slice."""
        return f"{self.layer.name} {what}{self.plane.caption}"

    def coordinates(self, point: tuple[float, float]) -> NDArray[np.float64]:
        """(ndim,) coordinates of a (row, column) point on such a layer."""
        at = np.zeros(len(self.plane.index))
        at[list(self.plane.axes)] = point
        return at

    def show(
        self,
        what: str,
        pixels: NDArray[Any],
        look: Look,
        metadata: dict[str, Any],
        *,
        name: str = "",
        grid: WorkingGrid | None = None,
    ) -> Any:
        """Show pixels over the plane, in our layer or a new one.

        Parameters
        ----------
        what : str
            What they are.
        pixels : ndarray
            (H, W), or (h, w) of the working grid.
        look, metadata
            As for `OurLayers.show`.
        name : str
            Of a new layer, after the image's; by default what they are.
        grid : WorkingGrid, optional
            Whose pixels they are, where they are not the plane's own.
        """
        return self.shown.show(
            what,
            self.plane.expand(pixels),
            look,
            self.placement if grid is None else self.placed(grid),
            lambda: self.name(name or what),
            metadata,
        )
