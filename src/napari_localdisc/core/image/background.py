"""Photographs without their vessels and lesions, for structures to be drawn into.

Nothing here knows where a vessel really is.  Whatever is narrow and darker (or
brighter) than its surroundings is filled with them, and given back a texture that is
borrowed from elsewhere in the same photograph, so that only the drawn structures
carry the shape that a prior describes.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from .contrast import gaussian_blur
from .mirrored import surrounded

_RIDGE_SCALES = (1.0, 1.8, 3.0)
_DARK_SCALES = (1.0, 1.8, 3.0, 4.5)
_BRIGHT_SCALES = (1.0, 1.8)
_WIDEST_SPOT = 2.0
_REFERENCE_DIAMETER = 540
_TEXTURE_SHIFTS = ((37, 53), (-61, 29), (23, -71))
_SHORTEST_LINE = 20
_SURROUND = 24
"""Pixels around the field of view that are filled, so that ridges reach its edge."""
_FAINTEST_SHARE = 0.5
"""Of the threshold of what is filled: fainter ridges may be vessels that stayed."""


def ridge_strength(grey: Tensor, scales: tuple[float, ...] = _RIDGE_SCALES) -> Tensor:
    """Strength of dark ridges and small spots, from the Hessian's eigenvalues.

    Spots count at scales up to 2 pixels: what is as wide and as long as that is no
    vessel or lesion but the fovea, say.  Of (B, 1, H, W) images the strongest response
    over the scales, standard deviations in pixels, is kept; it is 0 and above and
    normalised for scale.
    """
    strongest = torch.zeros_like(grey)
    for sigma in scales:
        smooth = F.pad(gaussian_blur(grey, sigma), (2, 2, 2, 2), mode="replicate")
        rows, columns = smooth.diff(dim=-2), smooth.diff(dim=-1)
        yy = rows.diff(dim=-2)[..., 1:-1, 2:-2]
        xx = columns.diff(dim=-1)[..., 2:-2, 1:-1]
        centred = smooth[..., 2:, :] - smooth[..., :-2, :]
        xy = ((centred[..., 2:] - centred[..., :-2]) / 4)[..., 1:-1, 1:-1]
        root = ((yy - xx).square() / 4 + xy.square()).sqrt()
        largest = (yy + xx) / 2 + root
        if sigma > _WIDEST_SPOT:
            largest = largest - ((yy + xx) / 2 - root).clamp_min(0)
        strongest = torch.maximum(strongest, largest.clamp_min(0) * sigma**2)
    return strongest


def clean_background(
    rgb: NDArray[np.float32], inside: NDArray[np.bool_], working_diameter: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Fill everything narrow in a photograph with its surroundings.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    working_diameter : int
        Diameter of the field of view in pixels.

    Returns
    -------
    background : ndarray
        (h, w, 3) float32 in [0, 1].
    doubtful : ndarray
        (h, w) bool: faint dark ridges that were left, of which nobody knows.
    """
    scale = working_diameter / _REFERENCE_DIAMETER
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None]
    m = torch.from_numpy(inside)[None, None].float()
    # The picture goes on beyond its edge, and so do ridges
    x, m = F.pad(x, (_SURROUND,) * 4), F.pad(m, (_SURROUND,) * 4)
    x, seen = surrounded(x, m, _SURROUND)
    green = x[:, 1:2]
    weight = gaussian_blur(seen, 14 * scale) + 1e-3
    level = gaussian_blur(green * seen, 14 * scale) / weight
    flat = (green - level) / (level + 0.05) * seen
    narrow, doubtful = torch.zeros_like(m), torch.zeros_like(m)
    for sign, scales, share in ((1, _DARK_SCALES, 0.75), (-1, _BRIGHT_SCALES, 1.5)):
        wide = tuple(s * scale for s in scales)
        ridge = ridge_strength(sign * flat, wide) * m
        values = ridge[m > 0]
        threshold = float(threshold_otsu(values.numpy())) * share
        narrow = torch.maximum(narrow, (ridge > threshold).float())
        if sign > 0:
            doubtful = (ridge > _FAINTEST_SHARE * threshold).float()
    reach = 2 * max(1, round(2 * scale)) + 1
    narrow = F.max_pool2d(narrow, reach, 1, reach // 2)
    keep = m * (1 - narrow)
    fill = _normalised_blur(x, keep, 3.5 * scale)
    texture = x - _normalised_blur(x, keep, 2.5 * scale)
    fill = fill + _borrowed(texture, keep)
    blend = gaussian_blur(narrow, 0.8 * scale).clamp(0, 1)
    result = ((x * (1 - blend) + fill * blend) * m).clamp(0, 1)
    doubtful = F.max_pool2d(doubtful * (1 - narrow), 3, 1, 1)
    doubtful = (F.avg_pool2d(doubtful, 5, 1, 2) > 0.5) & (m > 0)
    within = slice(_SURROUND, -_SURROUND)
    result, doubtful = (t[0, :, within, within] for t in (result, doubtful))
    background = np.ascontiguousarray(result.permute(1, 2, 0).numpy())
    return background, _lines(doubtful[0].numpy(), _SHORTEST_LINE * scale)


def _lines(mask: NDArray[np.bool_], shortest: float) -> NDArray[np.bool_]:
    """Keep the connected parts that are as long as that; specks are texture."""
    names, _ = ndimage.label(mask, np.ones((3, 3)))
    extents = [
        np.hypot(*(part.stop - part.start for part in box))
        for box in ndimage.find_objects(names)
    ]
    kept = np.array([False, *(extent >= shortest for extent in extents)])
    return np.asarray(kept[names])


def _normalised_blur(x: Tensor, keep: Tensor, sigma: float) -> Tensor:
    """Blur what is kept; where little is, ever wider surroundings fill in."""
    result = x.mean((-2, -1), keepdim=True)
    for widening in (16, 4, 1):
        weight = gaussian_blur(keep, sigma * widening)
        total = gaussian_blur(x * keep, sigma * widening)
        result = (total + 0.03 * result) / (weight + 0.03)
    return result


def _borrowed(texture: Tensor, keep: Tensor) -> Tensor:
    """Texture from elsewhere, wherever one of a few shifts finds some."""
    result, found = torch.zeros_like(texture), torch.zeros_like(keep)
    texture = texture * keep
    for shift in _TEXTURE_SHIFTS:
        available = torch.roll(keep, shift, (-2, -1)) * (1 - found)
        result = result + torch.roll(texture, shift, (-2, -1)) * available
        found = found + available
    return result
