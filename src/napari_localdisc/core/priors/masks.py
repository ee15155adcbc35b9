"""A shape prior from a folder of binary masks, for instance another modality's."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread
from skimage.transform import resize, rotate

from napari_localdisc.core.errors import TrainingError

UNKNOWN = 127
"""Value of a fitted prior's map where it does not say."""

_SUFFIXES = {".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg"}


def read_masks(folder: str | Path) -> list[NDArray[np.bool_]]:
    """Read every image of a folder as a mask: brighter than half its maximum.

    Raises
    ------
    TrainingError
        If the folder has no readable image.
    """
    files = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in _SUFFIXES)
    masks = []
    for file in files:
        image = np.asarray(imread(file), dtype=np.float32)
        if image.ndim == 3:
            image = image[..., :3].max(-1)
        if image.ndim == 2 and image.max() > 0:
            masks.append(image > image.max() / 2)
    if not masks:
        raise TrainingError(
            f"There is no mask in {folder}: a prior is a name or a folder of binary "
            "images."
        )
    return masks


def random_mask(
    masks: list[NDArray[np.bool_]], size: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Flip, turn by any angle, crop by up to 10 % and resize one of the masks.

    These are the paper's augmentations of a prior's masks (section 3).  The result is
    (size, size) float32, 0 or 1.
    """
    mask = masks[rng.integers(len(masks))].astype(np.float32)
    if rng.random() < 0.5:
        mask = mask[:, ::-1]
    mask = rotate(mask, rng.uniform(0, 360), order=1, mode="reflect")
    keep = rng.uniform(0.9, 1.0)
    height, width = (round(side * keep) for side in mask.shape)
    top = rng.integers(mask.shape[0] - height + 1)
    left = rng.integers(mask.shape[1] - width + 1)
    cropped = mask[top : top + height, left : left + width]
    resized = resize(cropped, (size, size), order=1, anti_aliasing=True)
    binary: NDArray[np.float32] = (resized > 0.5).astype(np.float32)
    return binary


def drawn_mask(
    masks: list[NDArray[np.bool_]], size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a random mask as something to draw: its (size, size) depth and mask."""
    mask = random_mask(masks, size, rng)
    radius = ndimage.distance_transform_edt(mask).astype(np.float32)
    profile = np.minimum(1, 0.5 + 0.25 * radius) * mask
    return (profile * rng.uniform(0.12, 0.45)).astype(np.float32), mask


def fitted_map(mask: NDArray[np.bool_], is_doubtful: bool) -> NDArray[np.uint8]:
    """Say what a fitted mask says: 255 the structure, 0 not; 127 where in doubt."""
    if is_doubtful:
        return np.full(mask.shape, UNKNOWN, np.uint8)
    return mask.astype(np.uint8) * np.uint8(255)


def closed_path(
    gain: NDArray[np.floating], cost: NDArray[np.floating], turns: int
) -> NDArray[np.intp]:
    """Find the best closed path through (K, S) gains: an index for each of K places.

    A step between two of the S indices costs ``cost[from, to]``.  The path goes round
    so many times, and its middle turn is kept: its ends meet, near enough.
    """
    count, steps = gain.shape
    rounds = np.concatenate([gain] * turns)
    index = np.arange(steps)
    total, origins = rounds[0], []
    for row in rounds[1:]:
        candidates = total[:, None] - cost
        origins.append(candidates.argmax(0))
        total = candidates[origins[-1], index] + row
    path = [int(total.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    start = count * (turns - 1) // 2
    return np.roll(np.array(path[::-1][start : start + count], np.intp), start % count)
