"""One-shot landmarks: a point marked in one image is found in others.

A single pixel's vector does not tell a fovea from any other dark place: what tells it
is what lies around it, and where.  So the surroundings of the mark are compared, on a
coarse grid of patch embeddings, with the surroundings of every place of another image;
the most alike place is the landmark.  Patch embeddings are whitened by each image's own
covariance, else the background, which is everywhere, decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.similarity import check_points
from napari_localdisc.core.errors import ModelError, PromptError
from napari_localdisc.core.image.grid import FloatImage, Mask

PATCHES = 36
"""Patches along the longer side of the working grid."""

SPREAD = 0.35
"""Standard deviation, as a part of that side, of the Gaussian that weighs what lies
around a mark."""

_REACH = 2.2
"""Standard deviations that are looked at."""

_RIDGE = 0.02
"""Of the largest variance, added to none: smaller ones count as this."""

_LEAST_SHARE = 0.5
"""Of the template's weight that another image must show, to count in full."""


class FoundLandmark(NamedTuple):
    """Where a landmark is in an image."""

    point: tuple[float, float]
    """(row, column) in the image's pixels."""
    likeness: float
    """How alike its surroundings are: 1 the image that was marked, 0 not at all."""


@dataclass(frozen=True, eq=False)
class Landmark:
    """What lies around a mark; made by `landmark`.

    Attributes
    ----------
    template : ndarray
        (k, k, D) float32 whitened patch embeddings, k odd: around the patch that holds
        the mark, 0 where nothing is seen.
    seen : ndarray
        (k, k) bool: which patches lie in the field of view.
    offset : ndarray
        (2,) float32 of the mark from the middle of its patch, in patches.
    model_name, model_hash : str
        Of the model whose embeddings it reads.
    """

    template: FloatImage
    seen: Mask
    offset: NDArray[np.float32]
    model_name: str
    model_hash: str

    def find(self, embedding: Embedding) -> FoundLandmark:
        """Find the landmark in an image.

        Photographs of left and right eyes are mirror images of each other: with a model
        of photographs the mirrored surroundings are looked for as well.

        Parameters
        ----------
        embedding : Embedding
            Of the image, by the landmark's model.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        """
        if embedding.model_hash != self.model_hash:
            raise ModelError(
                f"The landmark was marked with the model {self.model_name!r} "
                f"({self.model_hash}), but the image was embedded with "
                f"{embedding.card.name!r} ({embedding.model_hash}): choose the first "
                "model, or mark it again."
            )
        patches, seen, side = _patches(embedding)
        template = torch.from_numpy(self.template).permute(2, 0, 1).to(patches)
        weight = _weight(len(self.seen)).to(patches) * torch.from_numpy(self.seen).to(
            patches
        )
        offsets = [self.offset]
        kernels, weights = [template * weight], [weight[None]]
        if embedding.card.modality == "fundus":
            kernels.append(kernels[0].flip(2))
            weights.append(weights[0].flip(2))
            offsets.append(self.offset * (1, -1))
        room = len(self.seen) // 2
        alike = F.conv2d(patches[None], torch.stack(kernels), padding=room)[0]
        shown = F.conv2d(seen[None, None], torch.stack(weights), padding=room)[0]
        alike /= shown.clamp_min(_LEAST_SHARE * float(weight.sum()))
        alike = alike.masked_fill(seen == 0, -torch.inf)
        way, row, column = np.unravel_index(int(alike.argmax()), alike.shape)
        likeness = float(alike[way, row, column]) / self._own_likeness
        at = _peak(alike[way].cpu().numpy(), int(row), int(column)) + offsets[way]
        working = (at + 0.5) * side - 0.5
        (point,) = embedding.grid.points_to_image([working])
        limits = np.array(embedding.shape) - 1
        point = np.clip(point, 0, limits)
        return FoundLandmark((float(point[0]), float(point[1])), likeness)

    @property
    def _own_likeness(self) -> float:
        weight = _weight(len(self.seen)).numpy() * self.seen
        own = (np.square(self.template).sum(2) * weight).sum() / weight.sum()
        return max(float(own), 1e-12)


def landmark(embedding: Embedding, point: ArrayLike) -> Landmark:
    """Mark a point in one image, to find it in others.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    point : array_like
        (row, column) in the image's pixels, inside the field of view.

    Returns
    -------
    Landmark
        Its ``find`` takes the embedding of another image of the same model.

    Raises
    ------
    PromptError
        If it is no such point.
    """
    points = check_points(point, embedding.field_of_view)
    if len(points) != 1:
        raise PromptError("A landmark is one point.")
    patches, seen, side = _patches(embedding)
    place = (embedding.grid.points_to_working(points)[0] + 0.5) / side - 0.5
    limits = np.array(seen.shape) - 1
    row, column = np.clip(np.rint(place), 0, limits).astype(int).tolist()
    room = int(_REACH * SPREAD * PATCHES)
    rows, columns = slice(row, row + 2 * room + 1), slice(column, column + 2 * room + 1)
    around = F.pad(patches, (room,) * 4)[:, rows, columns]
    shown = F.pad(seen, (room,) * 4)[rows, columns] > 0
    return Landmark(
        np.ascontiguousarray(around.permute(1, 2, 0).cpu().numpy()),
        np.ascontiguousarray(shown.cpu().numpy()),
        (place - (row, column)).astype(np.float32),
        embedding.card.name,
        embedding.model_hash,
    )


def landmark_from(
    arrays: Mapping[str, NDArray[Any]], model_name: str, model_hash: str
) -> Landmark:
    """Make a landmark of arrays that come from a file.

    Raises
    ------
    KeyError, ValueError
        If they are not those of a landmark.
    """
    template, seen, offset = arrays["template"], arrays["seen"], arrays["offset"]
    size = len(seen)
    square = seen.shape == (size, size) and template.shape[:-1] == (size, size)
    if not square or size % 2 == 0 or template.ndim != 3 or offset.shape != (2,):
        raise ValueError("its surroundings are not of that form")
    if seen.dtype != np.bool_ or not seen.any() or np.abs(offset).max() > 1:
        raise ValueError("its surroundings show nothing")
    return Landmark(
        template.astype(np.float32),
        seen,
        offset.astype(np.float32),
        model_name,
        model_hash,
    )


@torch.no_grad()
def _patches(embedding: Embedding) -> tuple[Tensor, Tensor, int]:
    """Return (D, h, w) whitened patches, (h, w) which are seen, and their side."""
    grid = embedding.grid.shape
    side = max(1, round(max(grid) / PATCHES))
    vectors = embedding.matrix.view(-1, *grid)
    inside = torch.from_numpy(embedding.inside).to(vectors)[None]
    pad = (0, -grid[1] % side, 0, -grid[0] % side)
    total = F.avg_pool2d(F.pad(vectors * inside, pad)[None], side)[0]
    share = F.avg_pool2d(F.pad(inside, pad)[None], side)[0, 0]
    seen = (share > 0.5).float()
    patches = total / share.clamp_min(0.5)
    count = seen.sum().clamp_min(1)
    mean = (patches * seen).flatten(1).sum(1) / count
    patches = (patches - mean[:, None, None]) * seen
    flat = patches.flatten(1)
    values, axes = torch.linalg.eigh((flat @ flat.T / count).double())
    scale = (values.clamp_min(0) + _RIDGE * values.max() + 1e-12).rsqrt()
    whitening = (axes * scale @ axes.T).to(flat)
    return (whitening @ flat).view_as(patches), seen, side


def _weight(size: int) -> Tensor:
    """(k, k) Gaussian around the middle."""
    away = torch.arange(size).float() - size // 2
    squared = away[:, None].square() + away.square()
    return torch.exp(-0.5 * squared / (SPREAD * PATCHES) ** 2)


def _peak(values: FloatImage, row: int, column: int) -> NDArray[np.float64]:
    """Return the top of the parabolas through a maximum and its neighbours."""
    at = [float(row), float(column)]
    for axis, line, place in ((0, values[:, column], row), (1, values[row], column)):
        if 0 < place < len(line) - 1:
            before, here, after = line[place - 1 : place + 2].astype(float)
            bend = 2 * here - before - after
            if np.isfinite(bend) and bend > 0:
                at[axis] += 0.5 * (after - before) / bend
    return np.array(at)
