"""One image, or a set of them, through all measures."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.image.grid import Mask
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.names import find_name, plain_name
from napari_localdisc.core.priors.derived import every_structure

from .measures import BASELINES, MEASURES, Subject
from .report import CaseResult, Failure, Report

NAMES = (*MEASURES, BASELINES)
"""What can be asked for."""


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


def evaluate_case(
    case: Case,
    model: Model,
    structure: str | None,
    measures: Collection[str] = NAMES,
    *,
    ridge_filter: bool = False,
    flips: int = 1,
    magnification: float | None = None,
) -> CaseResult:
    """Measure one image.

    Parameters
    ----------
    case : Case
        Image and reference.
    structure : str, optional
        The name that the model's card has for the structure; None: it has none, and
        the measure ``"structure"`` is left out for the model.
    ridge_filter : bool
        Whether the ridge filter is a baseline for this structure.
    model, measures, flips, magnification
        As of `evaluate`.

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
    embedding = embed(case.image, model, flips=flips, magnification=magnification)
    seen = embedding.field_of_view if case.field_of_view is None else case.field_of_view
    wanted = case.reference & seen
    if not (wanted & embedding.field_of_view).any():
        raise PromptError(
            f"The reference mask of {case.name} is empty within the field of view."
        )
    others = BASELINES in measures
    ridges = others and ridge_filter
    subject = Subject(case.image, embedding, wanted, seen, structure, others, ridges)
    tables = {
        name: measure.of_image(subject)
        for name, measure in MEASURES.items()
        if name in measures
    }
    return CaseResult(case.name, float(wanted.sum() / seen.sum()), tables)


def evaluate(
    cases: Iterable[Callable[[], Case]],
    model: Model,
    structure: str,
    measures: Collection[str] = NAMES,
    *,
    named: str | None = None,
    flips: int = 1,
    magnification: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
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
        Of `NAMES`.
    named : str, optional
        The card's name for the structure, where it is not ``structure`` itself.
    flips : int
        Mirrored copies that `embed` averages.
    magnification : float, optional
        As `embed` takes it.
    progress : callable, optional
        Called with the number of cases done.

    Raises
    ------
    LocalDiscError
        If a measure is unknown, or nothing is left to measure.
    """
    unknown = sorted(set(measures) - set(NAMES))
    if unknown:
        raise LocalDiscError(
            f"Unknown measure {unknown[0]!r}; there are {', '.join(NAMES)}."
        )
    every = every_structure(model.card.structures)
    channel_name = find_name(every, named or structure)
    known = ", ".join(every) or "none"
    if channel_name is None and named is not None:
        raise LocalDiscError(
            f"The model {model.card.name!r} names no structure {named or structure!r}; "
            f"it names: {known}."
        )
    ridge_filter = plain_name(structure) == "vessel"
    nameless = any(
        not measure.needs_name or (ridge_filter and BASELINES in measures)
        for key, measure in MEASURES.items()
        if key in measures
    )
    if channel_name is None and not nameless:
        raise LocalDiscError(
            f"The model {model.card.name!r} does not name {structure!r} (it names: "
            f"{known}), so clicks and clusters are what can be measured."
        )
    report = Report([], [])
    for done, load in enumerate(cases, 1):
        name = f"image {done}"
        try:
            case = load()
            name = case.name
            report.results.append(
                evaluate_case(
                    case,
                    model,
                    channel_name,
                    measures,
                    ridge_filter=ridge_filter,
                    flips=flips,
                    magnification=magnification,
                )
            )
        except LocalDiscError as error:
            report.failures.append(Failure(name, str(error)))
        if progress is not None:
            progress(done)
    return report
