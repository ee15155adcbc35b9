"""What the averaged network believes of photographs, for another look at them."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import skeletonize
from torch import Tensor

CERTAIN, POSSIBLE, IMPOSSIBLE = 0.5, 0.25, 0.05
"""Of a line: the probability of its core, of what hangs together with a core, and
below which there is none."""

_CERTAIN_SPOT, _IMPOSSIBLE_SPOT = 0.8, 0.04
_BESIDE, _IMPOSSIBLE_BESIDE = 2, 0.4
"""Pixels next to a line's core that may be its soft border, and the probability below
which they are not: without it masks widen from one teacher to the next."""
_THIN_RADIUS, _CERTAIN_THIN = 2.5, 0.7
"""Radius in pixels below which a line is thin, and the probability from which it is
certain beside its centre line: a thin line's place is known to a pixel or so, and the
probability that follows from this is wider than the line is."""
_EDGE = 8
"""Pixels next to the field of view's edge where nothing is believed."""


def believed(
    probability: Tensor, lines: Sequence[bool], inside: Tensor
) -> tuple[Tensor, Tensor]:
    """Turn a teacher's probabilities into masks to learn from, and where they count.

    Parameters
    ----------
    probability : Tensor
        (B, P, S, S) float32 of the drawn structures.
    lines : sequence of bool
        Which of them are lines, whose faint parts hang together with certain ones.
    inside : Tensor
        (B, 1, S, S) float32, the field of view.

    Returns
    -------
    masks, known : Tensor
        (B, P, S, S) float32, 0 or 1.
    """
    high = probability > _CERTAIN_SPOT
    low = probability < _IMPOSSIBLE_SPOT
    for k, is_line in enumerate(lines):
        if not is_line:
            continue
        values = probability[:, k : k + 1]
        each = values[:, 0].cpu().numpy()
        sure = torch.from_numpy(np.stack([_as_wide_as_lines(v) for v in each]))
        grown = [
            skeletonize(apply_hysteresis_threshold(v, POSSIBLE, CERTAIN)) for v in each
        ]
        faint = torch.from_numpy(np.stack(grown)).to(high.device)
        core = (values > CERTAIN).float()
        beside = F.max_pool2d(core, 2 * _BESIDE + 1, 1, _BESIDE)[:, 0] > 0
        # Lines go on, but do not widen: beside a core what is not core is nearly none
        high[:, k] = sure.to(high.device) | (faint & ~beside)
        limit = torch.where(beside, _IMPOSSIBLE_BESIDE, IMPOSSIBLE)
        low[:, k] = values[:, 0] < limit
    deep = -F.max_pool2d(-inside, 2 * _EDGE + 1, 1, _EDGE)
    return high.float(), (high | low).float() * deep


def _as_wide_as_lines(probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return wide lines' cores, and of thin ones the middle and what is surer still."""
    core = probability > CERTAIN
    deep = ndimage.distance_transform_edt(np.pad(core, 1)) >= _THIN_RADIUS
    wide = ndimage.distance_transform_edt(~deep)[1:-1, 1:-1] < _THIN_RADIUS
    thin = skeletonize(core) | (probability > _CERTAIN_THIN)
    found: NDArray[np.bool_] = core & (wide | thin)
    return found
