"""`adapt`: a few more minutes of label-free training on the user's own images.

A camera that the model has never seen differs in sharpness, colour and grain.  The
same priors that trained the model are drawn into the user's photographs and fitted to
them, at a low learning rate and with the statistics of batch norm left as they are; the
result is the mean of the weights before and after.  So what the model knows is kept.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.model.card import SUFFIX
from napari_localdisc.core.model.model import Model, load_model

from .progress import Progress
from .settings import TrainingSettings
from .train import Images, train
from .trainer import Trainer

DEFAULT_MINUTES = 5.0
_LEARNING_RATE = 2e-4
_AVERAGING = 0.99
_START_SHARE = 0.5
_DRAWINGS = 200
MOST_STEPS = 100_000
"""The time budget ends a training earlier."""


def adapt(
    model: Model | str | Path,
    images: Images,
    out: str | Path,
    *,
    minutes: float = DEFAULT_MINUTES,
    steps: int | None = None,
    resume: bool = False,
    device: str = "auto",
    cache: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    preparing: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    keep_best: bool = False,
    watch: Callable[[Trainer], None] | None = None,
) -> Model:
    """Train a model on with unlabelled images of a camera; one is enough.

    Parameters
    ----------
    model : Model, str or Path
        The model to go on from: bundled or the user's own, trained by `train`.
    images : str, Path or iterable
        A folder, or files and arrays.
    out : str or Path
        The new model's file; ``model`` itself stays as it is.
    minutes : float
        Time budget, from the first step on.
    steps : int, optional
        A number of steps instead of a time budget.
    resume, device, cache, progress, preparing, cancel, keep_best, watch
        As for `train`.

    Returns
    -------
    Model
        The adapted model, saved.

    Raises
    ------
    TrainingError
        If ``out`` is the model's own file, the model's card does not say how it was
        trained, or the images cannot be used.
    Cancelled
        If ``cancel`` says so.
    """
    if isinstance(model, str | Path):
        files = (given_path(file).with_suffix(SUFFIX) for file in (model, out))
        old, new = (file.resolve() for file in files)
        if old == new:
            raise TrainingError(
                "The adapted model needs a file of its own: the model to start from "
                "would be overwritten."
            )
        model = load_model(model, "cpu")
    settings = adaptation_settings(model, minutes, steps)
    return train(
        images,
        out,
        settings=settings,
        start=model,
        resume=resume,
        device=device,
        cache=cache,
        details={
            "adapted_from": f"{model.card.name} ({model.hash})",
            **{
                key: model.card.details[key]
                for key in ("data", "licence")
                if key in model.card.details
            },
        },
        fewest=1,
        progress=progress,
        preparing=preparing,
        cancel=cancel,
        keep_best=keep_best,
        watch=watch,
    )


def adaptation_settings(
    model: Model, minutes: float | None, steps: int | None = None
) -> TrainingSettings:
    """Return the settings a model was trained with, made gentle.

    Raises
    ------
    TrainingError
        If the model's card does not hold them.
    """
    kept = model.card.details.get("settings")
    if not isinstance(kept, dict):
        raise TrainingError(
            f"The card of {model.card.name!r} does not say how it was trained, so it "
            "cannot be adapted; choose a bundled model or one trained here."
        )
    settings = TrainingSettings.from_dict(kept)
    return dataclasses.replace(
        settings,
        steps=steps or MOST_STEPS,
        minutes=None if steps else minutes,
        learning_rate=_LEARNING_RATE,
        averaging=_AVERAGING,
        start_share=_START_SHARE,
        keep_statistics=True,
        stage1_share=0.0,
        self_training_from=0.0,
        validate_every=50,
        drawings=min(_DRAWINGS, settings.drawings),
    )
