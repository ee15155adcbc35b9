"""An image in a few hundred vectors: what a collection is searched by.

The working grid is cut into square cells.  A cell that shows two things, a vessel and
what it runs over, say, becomes two regions, so that what is small is not averaged away.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_localdisc.core.image.grid import FloatImage

from .embedding import Embedding

CELL = 36
"""Pixels of the working grid along a cell's side: some 400 regions an image."""

_TWO_THINGS = 0.8
"""Two parts of a cell whose mean vectors have a larger cosine are one thing."""

_SMALLEST = 4
"""Pixels of the working grid that a region has at least."""

_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Regions:
    """What an image shows, region by region.

    Attributes
    ----------
    vectors : ndarray
        (n, D) float32 unit vectors: the mean over a region's pixels, normalised.
    points : ndarray
        (n, 2) float32 (row, column) in the image's pixels: of each region, the pixel
        whose vector is most like its mean.
    """

    vectors: FloatImage
    points: NDArray[np.float32]


@torch.no_grad()
def describe_regions(embedding: Embedding, cell: int = CELL) -> Regions:
    """Describe an image by the mean vectors of its regions.

    Each cell of ``cell``×``cell`` working pixels that the field of view touches is
    divided in two by k-means on the sphere, begun at the pixel that is least like the
    cell's mean and the one that is least like that; where the two parts are alike they
    are one.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    cell : int
        Side of a cell in pixels of the working grid at its usual size.
    """
    height, width = embedding.grid.shape
    # As many regions where the image was looked at more closely
    cell = max(1, round(cell * max(height, width) / embedding.card.working_diameter))
    pad = (0, -width % cell, 0, -height % cell)
    matrix = embedding.matrix.view(-1, height, width)
    vectors = _cells(F.pad(matrix, pad), cell)
    inside = torch.from_numpy(embedding.inside).to(matrix)[None]
    seen = _cells(F.pad(inside, pad), cell)[..., 0] > 0
    used = seen.any(1)
    vectors, seen = vectors[used], seen[used]
    cells = torch.arange(len(used), device=matrix.device)[used]
    first, second = _divided(vectors, seen)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    two = (first * second).sum(1) < _TWO_THINGS
    nearer = _cosines(vectors, first) >= _cosines(vectors, second)
    for part in (seen & (nearer | ~two[:, None]), seen & ~nearer & two[:, None]):
        some = part.sum(1) >= _SMALLEST
        mean = _mean(vectors[some], part[some])
        likeness = _cosines(vectors[some], mean).masked_fill(~part[some], -2)
        found.append((mean, cells[some], likeness.argmax(1)))
    means, at, pixel = (torch.cat(parts) for parts in zip(*found, strict=True))
    across = -(-width // cell)
    rows = at // across * cell + pixel // cell
    columns = at % across * cell + pixel % cell
    order = (rows * width + columns).argsort()
    places = torch.stack([rows, columns], 1)[order].cpu().numpy()
    points = embedding.grid.points_to_image(places)
    return Regions(
        np.ascontiguousarray(means[order].float().cpu().numpy()),
        points.astype(np.float32),
    )


def _cells(planes: Tensor, cell: int) -> Tensor:
    """Cut (D, h, w) planes into (n, cell², D) cells, row by row."""
    parts = planes.unfold(1, cell, cell).unfold(2, cell, cell)
    return parts.permute(1, 2, 3, 4, 0).reshape(-1, cell * cell, len(planes))


def _divided(vectors: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return two (n, D) unit vectors, the centres of each cell's parts."""
    mean = _mean(vectors, seen)
    first = _least_like(vectors, seen, mean)
    second = _least_like(vectors, seen, first)
    for _ in range(_ROUNDS):
        nearer = _cosines(vectors, first) >= _cosines(vectors, second)
        first = _mean(vectors, seen & nearer)
        # Where all pixels are alike nothing is left for the other
        rest = seen & ~nearer
        second = torch.where(rest.any(1)[:, None], _mean(vectors, rest), first)
    return first, second


def _least_like(vectors: Tensor, seen: Tensor, centre: Tensor) -> Tensor:
    worst = _cosines(vectors, centre).masked_fill(~seen, 2).argmin(1)
    return vectors[torch.arange(len(vectors), device=vectors.device), worst]


def _mean(vectors: Tensor, part: Tensor) -> Tensor:
    total = torch.bmm(part.to(vectors)[:, None], vectors)[:, 0]
    return F.normalize(total, dim=1)


def _cosines(vectors: Tensor, centre: Tensor) -> Tensor:
    """(n, P) cosines of each cell's (n, P, D) vectors to its (n, D) centre."""
    return torch.bmm(vectors, centre[..., None])[..., 0]
