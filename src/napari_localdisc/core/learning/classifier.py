"""A few labelled pixels → a classifier on the embedding → labels of whole images.

The embedding has learned, without labels, what tells structures apart; a linear model
on it and on a few features of the picture, multinomial logistic regression, needs few
labelled pixels, is fitted while the hand moves to the next stroke, and consists of
nothing but arrays.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.errors import ModelError, PromptError
from napari_localdisc.core.image.grid import FloatImage

from .features import VECTORS, best_features, pixel_features, weights_of

SAMPLES_PER_CLASS = 2000
"""Labelled pixels of the working grid that a class is learned from, at most."""

INVERSE_REGULARISATION = 0.1
"""Of the logistic regression; of 0.01 to 1 the best Dice over vessels (DRIVE training),
optic discs and hard exudates (IDRiD) learned from strokes."""

NEIGHBOURHOOD = 1 / 40
"""Side of the square, as a part of the working grid's longer side, over which the gain
of a label is averaged: what a stroke would cover."""

_REACH = 0.25
_LARGEST_LABEL = int(np.iinfo(np.uint16).max)


class Prediction(NamedTuple):
    """What a classifier says of an image."""

    labels: NDArray[np.unsignedinteger]
    """(H, W) predicted labels; 0 outside the field of view."""
    uncertainty: FloatImage
    """(H, W) float32: 0 sure, 1 not at all."""
    next_point: tuple[int, int]
    """(row, column) whose label would help most."""


@dataclass(frozen=True)
class Classifier:
    """Multinomial logistic regression on the pixels' features; made by `learn`.

    Attributes
    ----------
    classes : ndarray
        (K,) int labels, ascending.
    coefficients : ndarray
        (K, F) float32, for features as they are.
    intercepts : ndarray
        (K,) float32.
    model_name, model_hash : str
        Of the model whose embeddings it reads.
    features : str
        What it reads: one of `FEATURES`.
    """

    classes: NDArray[np.int64]
    coefficients: FloatImage
    intercepts: FloatImage
    model_name: str
    model_hash: str
    features: str = VECTORS

    def predict(self, embedding: Embedding) -> NDArray[np.unsignedinteger]:
        """Label every pixel of an image of the same model.

        Parameters
        ----------
        embedding : Embedding
            Of the image learned from, or of another one.

        Returns
        -------
        ndarray
            (H, W) uint8, or uint16 where a label exceeds 255: the most probable class;
            0 outside the field of view.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        """
        return self._labels(embedding, self._probability(embedding))

    def _labels(
        self, embedding: Embedding, scores: torch.Tensor
    ) -> NDArray[np.unsignedinteger]:
        shape, grid = embedding.field_of_view.shape, embedding.grid
        small = self.classes[-1] <= np.iinfo(np.uint8).max
        labels = np.zeros(shape, np.uint8 if small else np.uint16)
        best = torch.zeros(shape)
        for label, score in zip(self.classes, scores, strict=True):
            # One class at a time: K maps of the image's size would be too much
            spread = grid.spread(score)
            labels[(spread > best).numpy()] = label
            torch.maximum(best, spread, out=best)
        labels[~embedding.field_of_view] = 0
        return labels

    def probability(self, embedding: Embedding) -> FloatImage:
        """Return the probability of each class on the working grid.

        Returns
        -------
        ndarray
            (K, h, w) float32, summing to 1 over the classes.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        """
        return np.asarray(self._probability(embedding).numpy())

    def uncertainty(self, embedding: Embedding) -> FloatImage:
        """Return how undecided the classifier is.

        Returns
        -------
        ndarray
            (H, W) float32: the entropy of the classes' probabilities over its largest
            value, log K: 0 sure, 1 all classes alike; 0 outside the field of view.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        """
        return _on_image(embedding, self._entropy(self._probability(embedding)))

    def where_next(self, embedding: Embedding, labels: ArrayLike) -> tuple[int, int]:
        """Return the spot whose label would help most.

        The spot has the largest product of three maps on the working grid, the first
        two averaged over the size of a stroke (1/40 of the grid): uncertainty
        (entropy); representativeness, the mean of (1 + cosine) / 2 between the pixel
        and all pixels of the field of view; and distance d to the nearest labelled
        pixel, as min(1, d / (a quarter of the grid)).

        Parameters
        ----------
        embedding : Embedding
            Of the same model.
        labels : array_like
            (H, W) int, 0 = unlabelled.

        Returns
        -------
        tuple of int
            (y, x), a pixel of the image inside its field of view.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        PromptError
            If the labels do not fit the image.
        """
        entropy = self._entropy(self._probability(embedding))
        return _next_spot(embedding, _checked(embedding, labels), entropy)

    def read(self, embedding: Embedding, labels: ArrayLike) -> Prediction:
        """Ask at once for `predict`, `uncertainty` and `where_next`.

        Parameters
        ----------
        embedding, labels
            As for `where_next`.
        """
        probability = self._probability(embedding)
        predicted = self._labels(embedding, probability)
        entropy = self._entropy(probability)
        spot = _next_spot(embedding, _checked(embedding, labels), entropy)
        return Prediction(predicted, _on_image(embedding, entropy), spot)

    def _entropy(self, probability: torch.Tensor) -> FloatImage:
        some = probability.clamp(min=1e-12)
        entropy = -(some * some.log()).sum(0) / np.log(len(self.classes))
        return np.asarray(entropy.numpy())

    @torch.no_grad()
    def _probability(self, embedding: Embedding) -> torch.Tensor:
        self.check(embedding)
        scores = torch.from_numpy(self.intercepts).to(embedding.matrix)[:, None]
        start = 0
        for planes in pixel_features(embedding, self.features):
            stop = start + len(planes)
            weights = torch.from_numpy(self.coefficients[:, start:stop]).to(planes)
            scores = torch.addmm(scores, weights, planes)
            start = stop
        return scores.softmax(0).view(-1, *embedding.grid.shape).cpu()

    def check(self, embedding: Embedding) -> None:
        """Raise a ModelError where an embedding is of another model."""
        if embedding.model_hash != self.model_hash:
            raise ModelError(
                f"These classes were learned with the model {self.model_name!r} "
                f"({self.model_hash}), but the image was embedded with "
                f"{embedding.card.name!r} ({embedding.model_hash}): choose the first "
                "model for the image, or learn the classes again."
            )


def learn(
    embedding: Embedding, labels: ArrayLike, *, features: str | None = None
) -> Classifier:
    """Learn classes from a few labelled pixels of an image.

    Classes count alike, however many pixels each has; of a class with many at most
    2,000, chosen evenly, are used, so that the time hardly depends on the strokes.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    labels : array_like
        (H, W) int, 0 = unlabelled; pixels outside the field of view are ignored.
    features : str, optional
        One of `FEATURES`; by default all that the embedding has: its vectors and,
        weighing half as much each, 14 features of the picture.

    Returns
    -------
    Classifier
        For this and for other images of the same model.

    Raises
    ------
    PromptError
        If the labels do not fit the image or hold fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    strokes = _checked(embedding, labels)
    pixels, given = _samples(embedding, strokes)
    classes = np.unique(given)
    if len(classes) < 2:
        found = f"only class {classes[0]}" if len(classes) else "no class"
        raise PromptError(
            f"The labels hold {found} inside the field of view: paint a few pixels of "
            "at least two classes (the background is one)."
        )
    features = features or best_features(embedding)
    at = torch.from_numpy(pixels).to(embedding.matrix.device)
    blocks = [planes[:, at].T for planes in pixel_features(embedding, features)]
    samples = torch.cat(blocks, 1).cpu().numpy().astype(np.float64)
    mean, deviation = samples.mean(axis=0), samples.std(axis=0)
    deviation[deviation < 1e-6] = 1
    deviation /= weights_of(features, len(embedding.matrix), len(deviation))
    # Threads that wait for each other over small products take 40 times as long
    # on a processor that does other work too
    with threadpool_limits(1):
        fitted = LogisticRegression(
            C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=100, tol=1e-3
        ).fit((samples - mean) / deviation, given)
    weights, shift = fitted.coef_ / deviation, fitted.intercept_
    shift = shift - weights @ mean
    if len(classes) == 2:  # scikit-learn keeps the second class's logit alone
        weights, shift = (
            np.vstack([-weights, weights]) / 2,
            np.array([-1, 1]) * shift / 2,
        )
    return Classifier(
        classes.astype(np.int64),
        weights.astype(np.float32),
        shift.astype(np.float32),
        embedding.card.name,
        embedding.model_hash,
        features,
    )


def _checked(embedding: Embedding, labels: ArrayLike) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.shape != embedding.field_of_view.shape:
        sizes = [
            "×".join(str(side) for side in shape)
            for shape in (array.shape, embedding.field_of_view.shape)
        ]
        raise PromptError(
            f"The labels' shape is {sizes[0]}, but the image has {sizes[1]} pixels: "
            "labels need the image's own size."
        )
    if array.dtype.kind not in "bui":
        raise PromptError(
            f"Labels are whole numbers (0 = unlabelled), not of type {array.dtype}."
        )
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.size and (array.min() < 0 or array.max() > _LARGEST_LABEL):
        raise PromptError(f"Labels must be between 0 and {_LARGEST_LABEL}.")
    return array


def _samples(
    embedding: Embedding, strokes: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
    """Pixels of the working grid and their labels, each pair once."""
    points = np.nonzero((strokes > 0) & embedding.field_of_view)
    given = strokes[points]
    index = embedding.grid.indices(np.stack(points, axis=1))
    pairs = np.unique(np.stack([given.astype(np.intp), index]), axis=1)
    chosen = []
    for label in np.unique(pairs[0]):
        own = np.flatnonzero(pairs[0] == label)
        step = np.linspace(0, len(own) - 1, min(len(own), SAMPLES_PER_CLASS))
        chosen.append(own[step.astype(np.intp)])
    kept = pairs[:, np.concatenate(chosen)] if chosen else pairs
    return kept[1], kept[0]


def _on_image(embedding: Embedding, entropy: FloatImage) -> FloatImage:
    spread = np.clip(embedding.grid.to_image(entropy), 0, 1)
    return np.asarray(spread * embedding.field_of_view, np.float32)


def _next_spot(
    embedding: Embedding, strokes: NDArray[np.integer], entropy: FloatImage
) -> tuple[int, int]:
    inside = embedding.inside
    seen = torch.from_numpy(inside.ravel()).to(embedding.matrix)
    mean = (embedding.matrix @ seen) / seen.sum()
    typical = ((mean @ embedding.matrix + 1) / 2).view(embedding.grid.shape)
    side = max(1, round(NEIGHBOURHOOD * max(inside.shape)))
    gain = ndimage.uniform_filter(
        entropy * typical.cpu().numpy() * inside, side, mode="constant"
    )
    # A little, so that there is a spot where nothing is uncertain
    gain = (gain + 1e-6) * _distance(embedding, strokes) * inside
    spots = np.stack(np.unravel_index(np.argmax(gain), gain.shape))
    point = np.rint(embedding.grid.points_to_image(spots[None])[0]).astype(int)
    return _nearest_inside(embedding, (int(point[0]), int(point[1])))


def _distance(embedding: Embedding, strokes: NDArray[np.integer]) -> FloatImage:
    """Distance to the nearest stroke: 0 on it, 1 from a quarter of the grid."""
    shape = embedding.grid.shape
    free = np.ones(shape, dtype=bool)
    points = np.argwhere((strokes > 0) & embedding.field_of_view)
    if len(points) == 0:
        return np.ones(shape, np.float32)
    free.ravel()[embedding.grid.indices(points)] = False
    distance = ndimage.distance_transform_edt(free) / (_REACH * max(shape))
    return np.asarray(np.minimum(distance, 1), np.float32)


def _nearest_inside(embedding: Embedding, point: tuple[int, int]) -> tuple[int, int]:
    """Return the pixel of the field of view that is nearest to a point."""
    height, width = embedding.field_of_view.shape
    y, x = min(max(point[0], 0), height - 1), min(max(point[1], 0), width - 1)
    if embedding.field_of_view[y, x]:
        return y, x
    inside = np.argwhere(embedding.field_of_view)
    nearest = inside[np.argmin(np.square(inside - [y, x]).sum(axis=1))]
    return int(nearest[0]), int(nearest[1])
