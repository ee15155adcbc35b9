"""Which way up a picture is: the orientation that cameras and scanners write down."""

from typing import Any

UPRIGHT = 1
"""The orientation of a picture that is stored as it is to be seen."""


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
