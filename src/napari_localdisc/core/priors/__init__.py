"""Shape priors: what tells a structure by its shape alone (section 2.3).

A prior either *draws* simulated shapes into photographs that had theirs taken out, or
*fits* a shape to each photograph.  Both give the network masks to learn from without a
single manual label.  To add one, write its module and enter it in `PRIORS`: panel and
command line offer what is there.  Modules are imported when a prior is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.names import Modality

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Drawing = tuple[NDArray[np.float32], ...]
    Fit = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.uint8]]


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
        (size, working_diameter, rng) → depth, mask and, where there are two kinds and
        bright stripes in their middle, kind and reflex, each (size, size) float32.
    tint : tuple
        Lowest and highest share of the depth in red, green and blue light.
    brightens : bool
        Whether the structure is brighter than its surroundings.
    is_line : bool
        Whether it is a dark, connected line: fainter pixels next to certain ones
        belong to it, and faint ridges that photographs had already may be some.
    explanation : str
        What it looks like, for who is to choose it.
    modality : {"fundus", "frame"}
        Images that it is for, as in the model card.
    fit : callable, optional
        As of `FittedPrior`, where photographs themselves say something as well.
    version : int
        Of the fit.
    """

    name: str
    structure: str
    draw: Callable[[int, int, np.random.Generator], Drawing]
    tint: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    brightens: bool = False
    is_line: bool = False
    explanation: str = ""
    modality: Modality = "fundus"
    fit: Fit | None = None
    version: int = 1


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
    is_single : bool
        Whether an image shows it once, in one piece.
    explanation, modality : str
        As for `DrawnPrior`.
    """

    name: str
    structure: str
    fit: Fit
    version: int = 1
    is_single: bool = False
    explanation: str = ""
    modality: Modality = "fundus"


Prior = DrawnPrior | FittedPrior


def _of(module: str, function: str, *given: Any) -> Any:
    """Call a function of a module of this package, which is imported only now."""
    return getattr(import_module(f".{module}", __name__), function)(*given)


_BLOOD = ((0.15, 0.7), (1.0, 1.0), (0.4, 1.1))
_LIPID = ((0.5, 1.0), (0.8, 1.0), (0.1, 0.7))
_WOOL = ((0.3, 1.0), (0.85, 1.0), (0.5, 1.1))

_trees = partial(_of, "vessel_tree", "simulate_vessel_trees")
_spots = partial(_of, "lesions", "simulate_spots")
_exudates = partial(_of, "lesions", "simulate_exudates")
_cotton_wool = partial(_of, "lesions", "simulate_cotton_wool")
_haemorrhages = partial(_of, "lesions", "simulate_haemorrhages")
_microaneurysms = partial(_of, "lesions", "simulate_microaneurysms")
_candidates = partial(partial, _of, "candidates", "candidate_map")
_disc = partial(_of, "disc", "disc_map")
_lungs, _heart = partial(_of, "lungs", "lungs_map"), partial(_of, "heart", "heart_map")
_clavicles = partial(_of, "clavicles", "clavicles_map")

PRIORS: dict[str, Prior] = {
    prior.name: prior
    for prior in (
        DrawnPrior(
            "vessel-tree",
            "vessel",
            _trees,
            _BLOOD,
            is_line=True,
            explanation="Dark branching lines; trees are simulated",
        ),
        FittedPrior(
            "disc",
            "optic disc",
            _disc,
            version=2,
            is_single=True,
            explanation="The one bright disc of a retina",
        ),
        DrawnPrior(
            "bright-lesion",
            "bright lesion",
            _spots,
            _LIPID,
            brightens=True,
            explanation="Small bright spots",
        ),
        DrawnPrior(
            "dark-lesion",
            "dark lesion",
            _spots,
            _BLOOD,
            explanation="Small dark spots",
        ),
        DrawnPrior(
            "hard-exudate",
            "hard exudate",
            _exudates,
            _LIPID,
            brightens=True,
            explanation="Yellow spots with sharp borders, in groups and rings",
            fit=_candidates("hard exudate"),
        ),
        DrawnPrior(
            "cotton-wool-spot",
            "cotton wool spot",
            _cotton_wool,
            _WOOL,
            brightens=True,
            explanation="White patches with soft borders",
            fit=_candidates("cotton wool spot"),
        ),
        DrawnPrior(
            "haemorrhage",
            "haemorrhage",
            _haemorrhages,
            _BLOOD,
            explanation="Dark red blots and flames",
            fit=_candidates("haemorrhage"),
        ),
        DrawnPrior(
            "microaneurysm",
            "microaneurysm",
            _microaneurysms,
            _BLOOD,
            explanation="Dark red dots, hardly wider than thin vessels",
            fit=_candidates("microaneurysm"),
        ),
        FittedPrior(
            "lungs",
            "lung",
            _lungs,
            version=2,
            explanation="The pair of dark fields of a chest radiograph",
            modality="frame",
        ),
        FittedPrior(
            "heart",
            "heart",
            _heart,
            version=2,
            explanation="What lies between the lungs of a chest radiograph",
            modality="frame",
        ),
        FittedPrior(
            "clavicles",
            "clavicle",
            _clavicles,
            explanation="The two bright bars across the tops of the lungs",
            modality="frame",
        ),
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
    folder = given_path(name)
    if not folder.is_dir():
        raise TrainingError(
            f"There is no prior {name!r}: give one of {', '.join(PRIORS)} or a folder "
            "of binary masks."
        )
    from .masks import drawn_mask, read_masks

    masks = read_masks(folder)

    def draw(size: int, working_diameter: int, rng: np.random.Generator) -> Drawing:
        return drawn_mask(masks, size, rng)

    return DrawnPrior(str(folder), folder.name, draw, _BLOOD)
