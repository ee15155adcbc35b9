"""Whether an image is of the kind that a model learned from, and what to do if not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from napari_localdisc.core.names import Modality

from .grid import FloatImage, Mask

Typical = Mapping[str, tuple[float, float]]
"""Name of a measure of `Looks` → its 1st and 99th percentile over training images."""

_HALF, _BLURRED = 0.5, 0.7
"""Parts of what is typical at least, below which an image does not fit."""

_SCALES = 1 / 576, 4 / 576, 12 / 576
"""Fine and coarse blur, and what is left out along the edge, in longer sides."""


@dataclass(frozen=True)
class Looks:
    """What can be said of an image before any network sees it.

    Attributes
    ----------
    colour : float
        Median saturation within the field of view, in [0, 1]; 0 for a grey image.
    light : float
        90th percentile of the brightest channel, in [0, 1].
    sharpness : float
        Deviation of what is finer than a pixel of 576 by that of what is coarser.
    corners : float
        Share of the corners that the field of view fills; 0 for a round one.
    """

    colour: float
    light: float
    sharpness: float
    corners: float

    @classmethod
    def of(cls, colour: FloatImage, inside: Mask) -> "Looks":
        """Measure (h, w, 3) colours in [0, 1] within an (h, w) field of view."""
        pixels = colour[inside]
        most, least = pixels.max(1), pixels.min(1)
        saturation = float(np.median((most - least) / np.maximum(most, 0.02)))
        side = max(inside.shape)
        fine, coarse, rim = (scale * side for scale in _SCALES)
        green = colour[..., 1]
        blurred = ndimage.gaussian_filter(green, fine)
        deep = ndimage.binary_erosion(inside, iterations=max(1, round(rim)))
        deep = deep if deep.any() else inside
        detail = float((green - blurred)[deep].std())
        shapes = float((blurred - ndimage.gaussian_filter(green, coarse))[deep].std())
        part = max(1, min(inside.shape) // 20)
        rows, columns = (
            (slice(part), slice(-part, None)),
            (slice(part), slice(-part, None)),
        )
        corners = [inside[row, column].mean() for row in rows for column in columns]
        return cls(
            saturation,
            float(np.percentile(most, 90)),
            detail / (shapes + 1e-4),
            float(np.mean(corners)),
        )

    def as_dict(self) -> dict[str, float]:
        """Return the measures by their names."""
        return asdict(self)


def misfit(looks: Looks, typical: Typical, modality: Modality) -> str:
    """Say in one sentence why an image is of another kind, and what to do.

    Parameters
    ----------
    looks : Looks
        Of the image.
    typical : mapping
        Of the model's training images.
    modality : {"fundus", "frame"}
        What these were.

    Returns
    -------
    str
        Empty where it fits.
    """
    least = {name: low for name, (low, _) in typical.items()}
    most = {name: high for name, (_, high) in typical.items()}
    is_fundus = modality == "fundus"
    if looks.colour < _HALF * least["colour"]:
        return (
            "This image has no colour and the model learned from colour photographs: "
            "choose a model of images like this one, for instance “chest” for a chest "
            "film."
        )
    if looks.colour > most["colour"] + 0.1:
        return (
            "This image has colours and the model learned from grey ones: choose a "
            "model of images like this one, for instance “fundus” for a photograph of "
            "a retina."
        )
    if is_fundus and looks.corners > (1 + most["corners"]) / 2:
        return (
            "No round field of view is seen in this image, so structures may be taken "
            "for larger or smaller than they are: open the whole photograph, with its "
            "dark frame."
        )
    if looks.light < _HALF * least["light"]:
        return (
            "This image is much darker than those the model learned from: brighten it, "
            "or take it again with more light."
        )
    if looks.sharpness < _BLURRED * least["sharpness"]:
        return (
            "This image is much more blurred than those the model learned from, so "
            "thin structures will be missed: take it again in focus, or open it at its "
            "full size."
        )
    return ""
