"""The field of view's surroundings, filled from inside: the picture goes on there.

A network that sees a field of view end learns what its end looks like, and finds
nothing there.  So the picture is mirrored at its edge, as far as that says anything.
"""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def surrounded(colour: Tensor, inside: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Mirror images at the edge of their field of view, whatever its shape.

    A pixel outside gets the colour of the pixel inside that lies as far from the edge,
    seen from the nearest pixel of the edge.

    Parameters
    ----------
    colour : Tensor
        (B, C, H, W) float.
    inside : Tensor
        (B, 1, H, W) float32, 1 inside the field of view and 0 outside.  The picture
        is taken to go on beyond the array as it does within.
    reach : int
        Pixels around the field of view that are filled; 0: none.

    Returns
    -------
    colour : Tensor
        (B, C, H, W), as it was inside; 0 further away than ``reach``.
    seen : Tensor
        (B, 1, H, W) float32, 1 where there is colour now.

    Notes
    -----
    A pixel depends on what lies within ``2 * reach`` of it and on nothing else, so
    that a part of an image is filled as the whole is.
    """
    if not reach:
        return colour, inside
    filled, seen = colour * inside, inside.clone()
    for k, mask in enumerate(inside[:, 0].cpu().numpy() > 0):
        if mask.all() or not mask.any():
            continue
        rows, columns, from_rows, from_columns = _mirror(mask, reach)
        filled[k, :, rows, columns] = filled[k, :, from_rows, from_columns]
        seen[k, 0, rows, columns] = 1
    return filled, seen


def _mirror(mask: np.ndarray, reach: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rows and columns of the surroundings, and those they are mirrored from."""
    nearest = ndimage.distance_transform_edt(
        ~mask, return_distances=False, return_indices=True
    )
    rows, columns = np.nonzero(~mask)
    edge = nearest[:, rows, columns]
    away = np.stack([rows, columns]) - edge
    squared = (away**2).sum(0)
    near = squared <= reach**2
    rows, columns, edge, away = rows[near], columns[near], edge[:, near], away[:, near]
    # The edge runs between two pixels, half of one beyond the nearest
    inward = away * (1 - 1 / np.sqrt(squared[near]))
    last = np.array(mask.shape)[:, None] - 1
    mirrored = np.clip(np.rint(edge - inward).astype(np.intp), 0, last)
    # Where the field of view is narrower than that, its edge is repeated
    mirrored = np.where(mask[mirrored[0], mirrored[1]], mirrored, edge)
    kinds = rows, columns, mirrored[0], mirrored[1]
    a, b, c, d = (torch.from_numpy(np.asarray(kind, np.int64)) for kind in kinds)
    return a, b, c, d
