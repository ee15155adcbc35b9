"""How sure a model is of what it found in an image, as one number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_LEAST_SHARE = 0.01
"""Of what can be seen: a structure of less counts as so large, so that a few doubtful
pixels where there is nothing do not look like doubt about everything."""


def certainty(
    probability: NDArray[np.floating], mask: Mask, field_of_view: Mask
) -> float:
    """Say how sure a probability is of its mask.

    1 − Σ min(p, 1 − p) / max(|mask|, 1 % of the field of view): the pixels that are
    expected to be wrong if the probability is right, over the structure's size.

    Parameters
    ----------
    probability : ndarray
        (H, W) in [0, 1].
    mask, field_of_view : ndarray
        (H, W) bool: what was found, and what can be seen.

    Returns
    -------
    float
        In [0, 1]: 1 sure, 0 not at all.
    """
    seen = probability[field_of_view]
    if not seen.size:
        return 0.0
    doubt = float(np.minimum(seen, 1 - seen).sum(dtype=np.float64))
    size = max(float((mask & field_of_view).sum()), _LEAST_SHARE * seen.size)
    return max(0.0, 1 - doubt / size)


def certainty_of_all(
    probabilities: Mapping[str, NDArray[np.floating]],
    masks: Mapping[str, Mask],
    field_of_view: Mask,
) -> float:
    """Return the mean of `certainty` over structures; 1 where there is none."""
    found = [
        certainty(values, masks[name], field_of_view)
        for name, values in probabilities.items()
    ]
    return float(np.mean(found)) if found else 1.0
