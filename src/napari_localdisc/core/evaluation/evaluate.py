"""One image, or a set of them, through all measures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.names import find_name, plain_name

from . import baselines
from .clicks import REPORTED_CLICKS, Segmenter, click_through, dice_after
from .measures import area_under_curve, dice, dice_by_threshold, pair_dice

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model

MEASURES = ("structure", "clicks", "clusters", "baselines")
CLUSTER_COUNTS = (4, 8, 16)
OURS = "localdisc"
RIDGES = "Sato + Otsu"

THRESHOLDS = np.arange(0.05, 0.96, 0.05)
_VESSEL = "vessel"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """An image with its reference mask.

    Attributes
    ----------
    name : str
        For reports.
    image : ndarray
        (H, W), (H, W, 3) or (H, W, 4).
    reference : ndarray
        (H, W) bool: where the structure is.
    field_of_view : ndarray, optional
        (H, W) bool: pixels that are measured; by default those that `embed` finds.
    """

    name: str
    image: NDArray[Any]
    reference: Mask
    field_of_view: Mask | None = None


@dataclass
class CaseResult:
    """What was measured on one image.

    Attributes
    ----------
    name : str
        Of the case.
    area : float
        Fraction of the field of view that the structure covers.
    structure : dict
        Method → ``{"dice", "auc"}``; for the model also ``"by_threshold"``, a list.
    clicks : dict
        Method → clicks → Dice.
    first_click_auc : dict
        Method → area under the curve of the similarity to the first click.
    clusters : dict
        n → (n, n) Dice of every union of two clusters; one cluster on the diagonal.
    """

    name: str
    area: float
    structure: dict[str, dict[str, Any]] = field(default_factory=dict)
    clicks: dict[str, dict[int, float]] = field(default_factory=dict)
    first_click_auc: dict[str, float] = field(default_factory=dict)
    clusters: dict[int, NDArray[np.float64]] = field(default_factory=dict)


def evaluate_case(
    case: Case,
    model: Model,
    structure: str | None,
    measures: Collection[str] = MEASURES,
    *,
    ridge_filter: bool = False,
    flips: int = 1,
) -> CaseResult:
    """Measure one image.

    Parameters
    ----------
    case : Case
        Image and reference.
    model : Model
        To be measured.
    structure : str, optional
        The name that the model's card has for the structure; None: it has none, and
        the measure ``"structure"`` is left out for the model.
    measures : collection of str
        Of `MEASURES`.
    ridge_filter : bool
        Whether the ridge filter is a baseline for this structure.
    flips : int
        Mirrored copies that `embed` averages.

    Returns
    -------
    CaseResult

    Raises
    ------
    LocalDiscError
        If the image cannot be embedded, or its reference has another size or is
        empty within the field of view.
    """
    if case.reference.shape != case.image.shape[:2]:
        raise PromptError(
            f"The reference mask of {case.name} has another size than the image."
        )
    embedding = embed(case.image, model, flips=flips)
    seen = embedding.field_of_view if case.field_of_view is None else case.field_of_view
    wanted = case.reference & seen
    if not (wanted & embedding.field_of_view).any():
        raise PromptError(
            f"The reference mask of {case.name} is empty within the field of view."
        )
    result = CaseResult(case.name, float(wanted.sum() / seen.sum()))
    if "structure" in measures:
        if structure is not None:
            score = embedding.structure(structure)
            result.structure[OURS] = _structure(score, 0.5, wanted, seen) | {
                "by_threshold": dice_by_threshold(
                    score[seen], wanted[seen], THRESHOLDS
                ).tolist()
            }
        if ridge_filter and "baselines" in measures:
            ridge, threshold = baselines.ridges(case.image, embedding)
            result.structure[RIDGES] = _structure(ridge, threshold, wanted, seen)
    if "clusters" in measures:
        for n in CLUSTER_COUNTS:
            if n <= model.card.clusters:
                labels = embedding.clusters(n)[seen]
                result.clusters[n] = pair_dice(labels, wanted[seen], n)
    if "clicks" in measures:
        # A click must be on a pixel that the embedding has
        clickable = seen & embedding.field_of_view
        _click(result, OURS, embedding, wanted, clickable)
        if "baselines" in measures:
            for name, make in baselines.FEATURES.items():
                features = make(case.image, embedding)
                _click(result, name, features, wanted, clickable)
    return result


def _structure(
    score: NDArray[np.float32], threshold: float, wanted: Mask, seen: Mask
) -> dict[str, Any]:
    inside = score[seen]
    return {
        "dice": dice(inside >= threshold, wanted[seen]),
        "auc": area_under_curve(inside, wanted[seen]),
    }


def _click(
    result: CaseResult, name: str, embedding: Embedding, wanted: Mask, seen: Mask
) -> None:
    segmenter: Segmenter = embedding
    made = click_through(segmenter, wanted, seen)
    result.clicks[name] = dice_after(made, REPORTED_CLICKS)
    similarity = embedding.similarity([made[0].point])
    result.first_click_auc[name] = area_under_curve(similarity[seen], wanted[seen])


@dataclass
class Failure:
    """An image that could not be measured, and why."""

    name: str
    reason: str


def evaluate(
    cases: Iterable[Callable[[], Case]],
    model: Model,
    structure: str,
    measures: Collection[str] = MEASURES,
    *,
    named: str | None = None,
    flips: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[CaseResult], list[Failure]]:
    """Measure a model on images; one that cannot be measured does not stop the rest.

    Parameters
    ----------
    cases : iterable of callable
        Each gives a `Case` when called, so that one image is in memory at a time.
    model : Model
        To be measured.
    structure : str
        What the reference masks show.
    measures : collection of str
        Of `MEASURES`.
    named : str, optional
        The card's name for the structure, where it is not ``structure`` itself.
    flips : int
        Mirrored copies that `embed` averages.
    progress : callable, optional
        Called with the number of cases done.

    Returns
    -------
    results : list of CaseResult
        In the order of the cases.
    failures : list of Failure
        Images left out.

    Raises
    ------
    LocalDiscError
        If a measure is unknown, or nothing is left to measure.
    """
    unknown = sorted(set(measures) - set(MEASURES))
    if unknown:
        raise LocalDiscError(
            f"Unknown measure {unknown[0]!r}; there are {', '.join(MEASURES)}."
        )
    channel_name = _card_name(model, named or structure, required=named is not None)
    ridge_filter = plain_name(structure) == _VESSEL
    if channel_name is None and not _measurable(measures, ridge_filter):
        known = ", ".join(model.card.structures) or "none"
        raise LocalDiscError(
            f"The model {model.card.name!r} does not name {structure!r} (it names: "
            f"{known}), so clicks and clusters are what can be measured."
        )
    results: list[CaseResult] = []
    failures: list[Failure] = []
    for done, load in enumerate(cases, 1):
        name = f"image {done}"
        try:
            case = load()
            name = case.name
            results.append(
                evaluate_case(
                    case,
                    model,
                    channel_name,
                    measures,
                    ridge_filter=ridge_filter,
                    flips=flips,
                )
            )
        except LocalDiscError as error:
            failures.append(Failure(name, str(error)))
        if progress is not None:
            progress(done)
    return results, failures


def _measurable(measures: Collection[str], ridge_filter: bool) -> bool:
    if "clicks" in measures or "clusters" in measures:
        return True
    return "structure" in measures and "baselines" in measures and ridge_filter


def _card_name(model: Model, name: str, *, required: bool) -> str | None:
    """Return the card's own spelling of a structure: blanks, case and - _ are alike."""
    known_name = find_name(model.card.structures, name)
    if known_name is not None:
        return known_name
    if required:
        known = ", ".join(model.card.structures) or "none"
        raise LocalDiscError(
            f"The model {model.card.name!r} names no structure {name!r}; "
            f"it names: {known}."
        )
    return None
