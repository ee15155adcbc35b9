"""Which way up a picture is: the orientation that cameras and scanners write down."""

from dataclasses import dataclass
from typing import Any

UPRIGHT = 1
"""The orientation of a picture that is stored as it is to be seen."""

ORIENTATION = "orientation"
"""Key in the note of labels that were made on a picture as it is stored."""


def turned(picture: Any, orientation: int) -> Any:
    """Turn a picture as its orientation asks for.

    Parameters
    ----------
    picture : array_like
        (H, W) or (H, W, C), NumPy's or dask's.
    orientation : int
        1 to 8, as EXIF and TIFF (tag 274) number them; anything else counts as 1.

    Returns
    -------
    array_like
        A view; rows and columns have changed places from 5 on.
    """
    if orientation in (5, 6, 7, 8):
        picture = picture.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return picture


def is_turned(orientation: int) -> bool:
    """Whether a picture of this orientation is not stored upright."""
    return 2 <= orientation <= 8


@dataclass(frozen=True)
class Stored:
    """How a file's numbers differ from the picture that is meant.

    Attributes
    ----------
    orientation : int
        See `turned`.
    is_inverted : bool
        Whether they count darkness.
    """

    orientation: int = UPRIGHT
    is_inverted: bool = False

    def __bool__(self) -> bool:
        return is_turned(self.orientation) or self.is_inverted

    def __str__(self) -> str:
        said = []
        if is_turned(self.orientation):
            said.append("it is not upright")
        if self.is_inverted:
            said.append("black and white are exchanged")
        return " and ".join(said)
