"""What the averaged network believes of photographs, for another look at them."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import apply_hysteresis_threshold
from torch import Tensor

CERTAIN, POSSIBLE, IMPOSSIBLE = 0.5, 0.25, 0.05
"""Of a line: the probability of its core, of what hangs together with a core, and
below which there is none."""

_CERTAIN_SPOT, _IMPOSSIBLE_SPOT = 0.8, 0.04
_BESIDE, _IMPOSSIBLE_BESIDE = 2, 0.3
"""Pixels next to a line's core that may be its soft border, and the probability below
which they are not: without it masks widen from one teacher to the next."""
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
        grown = [
            apply_hysteresis_threshold(v, POSSIBLE, CERTAIN)
            for v in values[:, 0].cpu().numpy()
        ]
        faint = torch.from_numpy(np.stack(grown)).to(high.device)
        core = (values > CERTAIN).float()
        beside = F.max_pool2d(core, 2 * _BESIDE + 1, 1, _BESIDE)[:, 0] > 0
        # Lines go on, but do not widen: beside a core what is not core is nearly none
        high[:, k] = (core[:, 0] > 0) | (faint & ~beside)
        limit = torch.where(beside, _IMPOSSIBLE_BESIDE, IMPOSSIBLE)
        low[:, k] = values[:, 0] < limit
    deep = -F.max_pool2d(-inside, 2 * _EDGE + 1, 1, _EDGE)
    return high.float(), (high | low).float() * deep
