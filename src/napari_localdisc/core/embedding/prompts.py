"""What is asked of an embedding: points, frames, and how they become a mask."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Prompts:
    """Points that are, and points that are not, like what is looked for; and frames.

    There is at least one positive point or frame.

    Attributes
    ----------
    positive, negative : array_like
        (k, 2) points (row, column) in the image's pixels.
    frames, negative_frames : sequence of array_like
        (k, 2) corners, likewise, of what is drawn around an object that is, or is not,
        looked for: two opposite ones of a box, or three and more of a lasso.
    """

    positive: ArrayLike
    negative: ArrayLike = ()
    frames: Sequence[ArrayLike] = ()
    negative_frames: Sequence[ArrayLike] = ()


@dataclass(frozen=True)
class MaskOptions:
    """How prompts become a mask.

    Attributes
    ----------
    threshold : float or None
        Similarity from which a pixel belongs to it; None: chosen automatically.
    connected : bool
        Only what is connected to a positive prompt.
    smooth : bool
        Round the outline, over 0.75 pixels of the working grid.
    minimum_size : int
        Pixels of the image below which a connected piece is left out.
    """

    threshold: float | None = None
    connected: bool = False
    smooth: bool = False
    minimum_size: int = 0
