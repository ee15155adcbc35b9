"""What accepted masks teach: a bank of pixels that sharpens what is proposed next.

An accepted image gives a few hundred pixels of each structure, and of what is beside it
or was taken for it: its *lesson*.  A linear model on all lessons (logistic regression
on the embedding, the picture and what the model itself says of the pixel) tells what
the next image holds.  The network is never trained; a lesson that is taken back is
forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.learning.features import best_features, pixel_features

Mask = NDArray[np.bool_]
Lesson = Mapping[str, NDArray[Any]]
"""``features`` (n, F), ``labels`` (n,) 0 or 1, ``weights`` (n,): pixels of the working
grid that each one stands for."""

INSIDE, AROUND, MISTAKEN, ELSEWHERE = 500, 300, 300, 500
"""Pixels that a lesson takes, at most: of the structure, of what is next to it, of what
the model took for it, of the rest."""

_NEXT_TO = 4
_TAKEN_FOR = 0.2
_LEAST = 8
"""Pixels of a structure below which an image says only what it is not."""

INVERSE_REGULARISATION = 0.1
CUT = 0.5
"""Of maps that a bank makes."""

_CUTS = np.linspace(0.05, 0.95, 37)


def take_lesson(
    embedding: Embedding, masks: Mapping[str, Mask], structures: Iterable[str]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Take pixels of an image that a grader has accepted.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    masks : mapping of str to ndarray
        (H, W) bool by structure; what is missing is nowhere.
    structures : iterable of str
        Of which.

    Returns
    -------
    dict
        Structure → `Lesson`.
    """
    inside = embedding.inside
    taken: dict[str, dict[str, NDArray[Any]]] = {}
    for name in structures:
        mask = masks.get(name)
        if mask is None:
            mask = np.zeros(embedding.shape, bool)
        wanted = _on_grid(embedding, mask) & inside
        near = ndimage.binary_dilation(wanted, iterations=_NEXT_TO) & inside & ~wanted
        seen = embedding.presence.get(name)
        mistaken = np.zeros(inside.shape, bool)
        if seen is not None:
            mistaken = (seen.cpu().numpy() > _TAKEN_FOR) & inside & ~wanted & ~near
        rest = inside & ~wanted & ~near & ~mistaken
        at, labels, weights = [], [], []
        for part, most, label in (
            (wanted, INSIDE, 1),
            (near, AROUND, 0),
            (mistaken, MISTAKEN, 0),
            (rest, ELSEWHERE, 0),
        ):
            pixels = np.flatnonzero(part)
            count = min(len(pixels), most)
            if not count:
                continue
            steps = np.linspace(0, len(pixels) - 1, count).astype(np.intp)
            at.append(pixels[steps])
            labels.append(np.full(count, label, np.uint8))
            weights.append(np.full(count, len(pixels) / count, np.float32))
        if not at:
            continue
        places = torch.from_numpy(np.concatenate(at)).to(embedding.matrix.device)
        features = torch.cat([planes[:, places].T for planes in _planes(embedding)], 1)
        taken[name] = {
            "features": features.cpu().numpy().astype(np.float16),
            "labels": np.concatenate(labels),
            "weights": np.concatenate(weights),
        }
    return taken


def _on_grid(embedding: Embedding, mask: Mask) -> Mask:
    """Bring a mask to the working grid; what is thinner than its pixels stays."""
    share = embedding.grid.to_working(mask.astype(np.float32))
    return np.asarray(share >= 0.5)


def _planes(embedding: Embedding) -> list[torch.Tensor]:
    """Blocks, (F, h·w) each, of what a bank sees of pixels."""
    blocks = list(pixel_features(embedding, best_features(embedding)))
    if embedding.presence:
        seen = torch.stack(
            [values.reshape(-1) for values in embedding.presence.values()]
        )
        blocks.append(torch.logit(seen.float(), 1e-3))
    return blocks


@dataclass(frozen=True, eq=False)
class Bank:
    """What lessons say of one structure.

    Attributes
    ----------
    coefficients : ndarray
        (F,) float32.
    intercept : float
        So that one half is the cut at which the lessons' Dice is best.
    images : int
        How many lessons there were.
    """

    coefficients: NDArray[np.float32]
    intercept: float
    images: int

    @property
    def mark(self) -> str:
        """What tells it from others."""
        digest = hashlib.sha256(self.coefficients.tobytes())
        digest.update(repr(self.intercept).encode())
        return digest.hexdigest()[:16]

    @torch.no_grad()
    def probability(self, embedding: Embedding) -> torch.Tensor:
        """Return the (h, w) float32 map of the structure, to be cut at one half.

        Raises
        ------
        ModelError
            If the lessons were of another model.
        """
        scores = torch.full((embedding.matrix.shape[1],), self.intercept).to(
            embedding.matrix
        )
        start = 0
        for planes in _planes(embedding):
            some = self.coefficients[start : start + len(planes)]
            if len(some) == len(planes):
                scores += torch.from_numpy(some).to(planes) @ planes
            start += len(planes)
        if start != len(self.coefficients):
            raise ModelError(
                "What the study was taught is of another model: accept its images "
                "again, or switch off that they teach."
            )
        return scores.sigmoid().view(embedding.grid.shape)


def learn_bank(lessons: Sequence[Lesson]) -> Bank | None:
    """Learn a structure from lessons.

    Parameters
    ----------
    lessons : sequence of Lesson
        Of accepted images, of embeddings by one model.

    Returns
    -------
    Bank or None
        None as long as no lesson shows the structure, or all show nothing else.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    lessons = [lesson for lesson in lessons if len(lesson["labels"])]
    if not lessons or len({each["features"].shape[1] for each in lessons}) > 1:
        return None
    features, labels, weights = (
        np.concatenate([np.asarray(lesson[key], np.float64) for lesson in lessons])
        for key in ("features", "labels", "weights")
    )
    if np.count_nonzero(labels) < _LEAST or labels.all():
        return None
    mean = np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    deviation[deviation < 1e-6] = 1
    samples = (features - mean) / deviation
    with threadpool_limits(1):
        fitted = LogisticRegression(
            C=INVERSE_REGULARISATION, max_iter=200, tol=1e-3
        ).fit(samples, labels, weights / weights.mean())
    cut = _best_cut(fitted.predict_proba(samples)[:, 1], labels, weights)
    coefficients = fitted.coef_[0] / deviation
    intercept = float(fitted.intercept_[0] - coefficients @ mean)
    intercept -= float(np.log(cut / (1 - cut)))
    return Bank(coefficients.astype(np.float32), intercept, len(lessons))


def _best_cut(
    probability: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    """Return the probability at which the Dice of all lessons together is best."""
    found = probability[None] >= _CUTS[:, None]
    hit = (found * (weights * labels)).sum(1)
    size = (found * weights).sum(1) + (weights * labels).sum()
    return float(_CUTS[np.argmax(2 * hit / np.maximum(size, 1e-9))])


def learn_banks(
    lessons: Mapping[str, Mapping[int, Lesson]], without: int | None = None
) -> dict[str, Bank]:
    """Learn each structure from the lessons of a study.

    Parameters
    ----------
    lessons : mapping
        Structure → image → `Lesson`.
    without : int, optional
        An image that does not count: what it taught says nothing new of itself.
    """
    found = {}
    for name, by_image in lessons.items():
        own = [lesson for image, lesson in by_image.items() if image != without]
        bank = learn_bank(own)
        if bank is not None:
            found[name] = bank
    return found


def sharpened(embedding: Embedding, banks: Mapping[str, Bank]) -> Embedding:
    """Return an embedding whose maps of structures are what banks say.

    Its clusters stay; `structure`, masks of clicks and their meaning follow the banks.
    """
    return embedding.with_presence(
        {name: bank.probability(embedding) for name, bank in banks.items()}
    )
