"""The work of learning from strokes, as steps.  torch is imported here, off the GUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stroke_layers import Learned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .core.embedding import Embedding
    from .running import Steps


def prepare_steps(embedding: Embedding) -> Steps[None]:
    """Do what the first stroke would have to wait for: it takes about a second.

    Yields
    ------
    done, total : int
        Once, before the work.
    """
    yield 0, 0
    from sklearn.linear_model import LogisticRegression  # noqa: F401

    from .core.features import best_features, pixel_features

    pixel_features(embedding, best_features(embedding))


def learn_steps(embedding: Embedding, strokes: NDArray[np.integer]) -> Steps[Learned]:
    """Learn classes from strokes and predict the whole image.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    strokes : ndarray
        (H, W) labels, 0 = not painted; not changed meanwhile.

    Yields
    ------
    done, total : int
        Between the steps, where it can be cancelled.

    Returns
    -------
    Learned
        As the generator's value.
    """
    from .core.annotation import learn

    yield 0, 4
    classifier = learn(embedding, strokes)
    yield 1, 4
    labels = classifier.predict(embedding)
    yield 2, 4
    uncertainty = classifier.uncertainty(embedding)
    yield 3, 4
    point = classifier.where_next(embedding, strokes)
    return Learned(strokes, classifier, labels, uncertainty, point)
