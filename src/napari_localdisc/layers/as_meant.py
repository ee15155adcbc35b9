"""Image layers whose file means another picture than the numbers that are shown.

napari's own reader shows numbers as they are stored: photographs on their side,
radiographs that count darkness inverted.  What it opened stays so until its user wants
it otherwise.
"""

from typing import Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.files import how_stored
from napari_localdisc.core.image.upright import ORIENTATION, Stored, is_turned

AS_MEANT = "napari-localdisc as meant"
"""Key in the metadata of layers that show a file's picture as it is meant."""

_OWN_READER = "napari"  # the only one known to leave orientation and darkness alone
_NOTHING = Stored()


def stored(layer: Layer) -> Stored:
    """Return how a layer's numbers differ from the picture that its file means."""
    is_whole = isinstance(layer, Image) and isinstance(layer.data, np.ndarray)
    path, reader = layer.source.path, layer.source.reader_plugin
    if not is_whole or path is None or reader != _OWN_READER:
        return _NOTHING
    if layer.metadata.get(AS_MEANT) or layer.ndim != 2:
        return _NOTHING
    return how_stored(path)


def show_as_meant(layer: Image, picture: NDArray[Any]) -> None:
    """Show the picture that is meant in a layer, which lies where it lay.

    Parameters
    ----------
    layer : Image
        From napari's own reader.
    picture : ndarray
        From `read_image`.

    Raises
    ------
    ImageError
        If one is of colours and the other of grey.
    """
    how = stored(layer)
    is_colour = picture.ndim == 3
    if is_colour != bool(layer.rgb):
        raise ImageError(
            f"“{layer.name}” means a picture of another kind than its layer can hold: "
            "open the file by ld.read_image."
        )
    layer.metadata = {**layer.metadata, AS_MEANT: True}
    scale = np.array(layer.scale)
    layer.data = picture
    if how.orientation >= 5:
        layer.scale = scale[::-1]
    if how.is_inverted and not is_colour:
        layer.contrast_limits = layer.contrast_limits_range
        layer.reset_contrast_limits()


def as_stored_note(layer: Image) -> dict[str, int]:
    """Return what labels made on a layer must remember of how it lies."""
    orientation = stored(layer).orientation
    return {ORIENTATION: orientation} if is_turned(orientation) else {}
