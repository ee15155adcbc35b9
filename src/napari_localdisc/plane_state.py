"""What is kept for an image layer of a viewer while it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .annotation_state import AnnotationClass, PlaneAnnotation, PlaneKey, Prompt
from .history import History

if TYPE_CHECKING:
    import weakref

    import numpy as np
    from napari.layers import Labels
    from numpy.typing import NDArray

    from .derived import DerivedLabels, DerivedMap
    from .prompt_points import PromptPoints
    from .stroke_layers import StrokeLayers


class Proposal(NamedTuple):
    """A change of prompts or options that waits for the embedding."""

    kind: str
    text: str
    annotation: PlaneAnnotation


@dataclass
class PlaneState:
    """What was done on one plane, and the layers that show it."""

    annotation: PlaneAnnotation = field(default_factory=PlaneAnnotation)
    """Prompts and options as the user wants them."""
    committed: PlaneAnnotation = field(default_factory=PlaneAnnotation)
    """The same without what waits for the embedding: cancelling goes back to it."""
    pending: list[Proposal] = field(default_factory=list)
    shown: tuple[Prompt, ...] = ()
    """The prompts that map and mask show."""
    threshold: float | None = None
    """The similarity that the mask is cut at."""
    wanted: NDArray[np.bool_] | None = None
    """(H, W) mask of the prompts."""
    taken: dict[int, int] = field(default_factory=dict)
    """Its pixels that other classes have, per class."""
    hides_mask: bool = False
    """Whether the mask is out of sight because a threshold is being dragged."""
    clusters: DerivedLabels | None = None
    similarity: DerivedMap | None = None
    mask: DerivedLabels | None = None
    points: PromptPoints | None = None
    preview: DerivedMap | None = None
    strokes: StrokeLayers | None = None
    structures: dict[str, DerivedMap] = field(default_factory=dict)


@dataclass
class ImageState:
    """What was done on one image layer."""

    planes: dict[PlaneKey, PlaneState] = field(default_factory=dict)
    classes: tuple[AnnotationClass, ...] = ()
    chosen: int | None = None
    labels: weakref.ref[Labels] | None = None
    history: History = field(default_factory=History)

    def plane(self, key: PlaneKey) -> PlaneState:
        """Return what was done on a plane."""
        return self.planes.setdefault(key, PlaneState())
