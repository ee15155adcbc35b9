"""Shape priors: what tells a structure by its shape alone (section 2.3).

A prior either *draws* simulated shapes into photographs that had theirs taken out, or
*fits* a shape to each photograph.  Both give the network masks to learn from without a
single manual label.  To add one, write its module and enter it in `PRIORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import TrainingError

from .disc import fit_disc
from .lesions import simulate_spots
from .lungs import heart_map, lungs_map
from .masks import drawn_mask, fitted_map, read_masks
from .vessel_tree import simulate_vessel_trees

Drawing = tuple[NDArray[np.float32], NDArray[np.float32]]

_DOUBTFUL_CONFIDENCE = 1.3


@dataclass(frozen=True)
class DrawnPrior:
    """Simulated shapes that are drawn into photographs.

    Attributes
    ----------
    name : str
        As given on the command line.
    structure : str
        What the model card calls the structure.
    draw : callable
        (size, working_diameter, rng) → depth and mask, each (size, size) float32.
    tint : tuple
        Lowest and highest share of the depth in red, green and blue light.
    brightens : bool
        Whether the structure is brighter than its surroundings.
    """

    name: str
    structure: str
    draw: Callable[[int, int, np.random.Generator], Drawing]
    tint: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    brightens: bool = False


@dataclass(frozen=True)
class FittedPrior:
    """A shape that is fitted to each photograph.

    Attributes
    ----------
    name, structure : str
        As for `DrawnPrior`.
    fit : callable
        (rgb, inside) on the working grid → (h, w) uint8: 255 the structure, 0 not,
        127 unknown.
    version : int
        Of the fit: what was prepared with another one is prepared again.
    """

    name: str
    structure: str
    fit: Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.uint8]]
    version: int = 1


Prior = DrawnPrior | FittedPrior


def _disc_map(rgb: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    fit = fit_disc(rgb, inside)
    return fitted_map(fit.mask, fit.confidence < _DOUBTFUL_CONFIDENCE)


_BLOOD = ((0.15, 0.7), (1.0, 1.0), (0.4, 1.1))
_LIPID = ((0.5, 1.0), (0.8, 1.0), (0.1, 0.7))

PRIORS: dict[str, Prior] = {
    prior.name: prior
    for prior in (
        DrawnPrior("vessel-tree", "vessel", simulate_vessel_trees, _BLOOD),
        FittedPrior("disc", "optic disc", _disc_map),
        DrawnPrior("bright-lesion", "bright lesion", simulate_spots, _LIPID, True),
        DrawnPrior("dark-lesion", "dark lesion", simulate_spots, _BLOOD),
        FittedPrior("lungs", "lung", lungs_map, version=2),
        FittedPrior("heart", "heart", heart_map),
    )
}


def get_prior(name: str) -> Prior:
    """Return a prior by its name, or one that draws the masks of a folder.

    Raises
    ------
    TrainingError
        If it is neither.
    """
    if name in PRIORS:
        return PRIORS[name]
    folder = Path(name)
    if not folder.is_dir():
        raise TrainingError(
            f"There is no prior {name!r}: give one of {', '.join(PRIORS)} or a folder "
            "of binary masks."
        )
    masks = read_masks(folder)

    def draw(size: int, working_diameter: int, rng: np.random.Generator) -> Drawing:
        return drawn_mask(masks, size, rng)

    return DrawnPrior(str(folder), folder.name, draw, _BLOOD)
