"""What a user has today: colour, classical filter features, a ridge filter.

They get the same field of view, working grid, similarity, automatic threshold and
corrections by further clicks as the network's embedding; they know no structure.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.feature import multiscale_basic_features
from skimage.filters import sato, threshold_otsu

from napari_localdisc.core.embedding.clusters import deep_inside
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.core.image.working import as_rgb, working_image

COLOUR_RADIUS = 1.4
FILTER_RADIUS = 6.0
"""Distances, in standard deviations per feature, that count as a unit of distance on
the hypersphere.  Of 0.15 to 12 the ones with the best Dice after 1, 3 and 5 clicks over
vessel (DRIVE training), optic disc (Drishti), hard exudate and haemorrhage (IDRiD)."""

_FINEST, _COARSEST = 0.5 / 540, 16 / 540
_RIDGE_CALIBRES = (1 / 540, 2 / 540, 3 / 540)
_BACKGROUND = 15 / 540


class FeatureImage(Embedding):
    """Features of any kind under `Embedding`'s similarity, threshold and masks.

    The squared Euclidean distance of standardised features takes the place of the
    squared distance on the hypersphere, 2 - 2 cos.  As |x - q|² = |x|² - 2 x·q + |q|²,
    the prompt (q, 1 - |q|²/2, 1) times the pixel (x, 1, -|x|²/2) is 1 - |x - q|²/2,
    which is what a cosine would be.

    Parameters
    ----------
    features : ndarray
        (h, w, F) on the working grid of ``embedding``.
    embedding : Embedding
        Whose field of view and grid are used.
    radius : float
        Root mean square distance per feature, in standard deviations within the field
        of view, that counts as a unit.
    """

    def __init__(
        self, features: FloatImage, embedding: Embedding, radius: float
    ) -> None:
        planes = np.moveaxis(features, -1, 0).reshape(features.shape[-1], -1)
        seen = planes[:, embedding.inside.ravel()]
        mean = seen.mean(axis=1, keepdims=True, dtype=np.float64)
        deviation = seen.std(axis=1, keepdims=True, dtype=np.float64)
        unit = radius * np.sqrt(len(planes)) * np.maximum(deviation, 1e-6)
        scaled = ((planes - mean) / unit).astype(np.float32)
        matrix = np.concatenate(
            [
                scaled,
                np.ones((1, scaled.shape[1]), np.float32),
                -0.5 * np.square(scaled).sum(axis=0, keepdims=True),
            ]
        )
        super().__init__(
            torch.from_numpy(matrix),
            embedding.cluster_probability,
            embedding.field_of_view,
            embedding.grid,
            embedding.card,
            embedding.centres,
            embedding.model_hash,
        )

    @property
    def _means_more(self) -> bool:
        """They are corrected by clicks as ours are, though they know no structure."""
        return True

    def _vectors(self, on_grid: NDArray[np.float64]) -> FloatImage:
        """(k, F + 2) prompts at (k, 2) points of the working grid."""
        planes = self.matrix[:-2].numpy().reshape(-1, *self.grid.shape)
        at = [
            ndimage.map_coordinates(plane, on_grid.T, order=1, mode="nearest")
            for plane in planes
        ]
        values = np.stack(at, axis=1).astype(np.float32)
        square = np.square(values).sum(axis=1, keepdims=True)
        ones = np.ones((len(values), 1), np.float32)
        return np.concatenate([values, 1 - square / 2, ones], axis=1)


def colour(image: ArrayLike, embedding: Embedding) -> FeatureImage:
    """Lab colour of every pixel (CIE 1976), as a magic wand sees it."""
    rgb, _ = _on_grid(image, embedding)
    return FeatureImage(rgb2lab(rgb).astype(np.float32), embedding, COLOUR_RADIUS)


def filters(image: ArrayLike, embedding: Embedding) -> FeatureImage:
    """Intensity, edges and texture at six scales: scikit-image's pixel features.

    They are what trainable segmentation with scikit-image, ilastik or Weka shows a
    classifier; scales grow with the working diameter.
    """
    rgb, inside = _on_grid(image, embedding)
    diameter = max(embedding.grid.shape)
    features = multiscale_basic_features(
        _frame_filled(rgb, inside),
        sigma_min=_FINEST * diameter,
        sigma_max=_COARSEST * diameter,
        channel_axis=-1,
        workers=1,
    )
    return FeatureImage(np.asarray(features, np.float32), embedding, FILTER_RADIUS)


FEATURES: dict[str, Callable[[ArrayLike, Embedding], FeatureImage]] = {
    "Lab colour": colour,
    "scikit-image features": filters,
}
"""Baselines that answer clicks."""


def ridges(image: ArrayLike, embedding: Embedding) -> tuple[FloatImage, float]:
    """Dark ridges by the Sato filter, and Otsu's threshold: vessels without learning.

    The green channel minus its background (a Gaussian of 15/540 of the field of
    view's diameter), ridges of 1, 2 and 3/540 (Sato et al., Med. Image Anal. 1998),
    the outermost 6/540 left out.

    Parameters
    ----------
    image : array_like
        The image that ``embedding`` was made of.
    embedding : Embedding
        Whose field of view and grid are used.

    Returns
    -------
    ridge : ndarray
        (H, W) float32, on the image's grid.
    threshold : float
        Otsu's, within the field of view.
    """
    rgb, inside = _on_grid(image, embedding)
    diameter = max(embedding.grid.shape)
    green = rgb[..., 1]
    seen = inside.astype(np.float32)
    sigma = _BACKGROUND * diameter
    weight = ndimage.gaussian_filter(seen, sigma) + 1e-3
    flat = (green - ndimage.gaussian_filter(green * seen, sigma) / weight) * seen
    calibres = [calibre * diameter for calibre in _RIDGE_CALIBRES]
    interior = deep_inside(inside).numpy() > 0
    ridge = sato(flat, sigmas=calibres, black_ridges=True) * interior
    threshold = float(threshold_otsu(ridge[interior]))
    return embedding.grid.to_image(ridge.astype(np.float32)), threshold


def _on_grid(image: ArrayLike, embedding: Embedding) -> tuple[FloatImage, Mask]:
    return working_image(as_rgb(image), embedding.field_of_view, embedding.grid)


def _frame_filled(rgb: FloatImage, inside: Mask) -> FloatImage:
    """Give every pixel of the dark frame the colour of the nearest one inside."""
    if inside.all():
        return rgb
    nearest: NDArray[np.intp] = ndimage.distance_transform_edt(
        ~inside, return_distances=False, return_indices=True
    )
    filled: FloatImage = rgb[tuple(nearest)]
    return filled
