"""`train`: from a folder of photographs to a model file."""

import dataclasses
import datetime
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from napari_localdisc.core.errors import Cancelled
from napari_localdisc.core.files import check_replaceable, given_path
from napari_localdisc.core.model.card import SUFFIX
from napari_localdisc.core.model.model import (
    Model,
    check_model_target,
    load_model,
    save_model,
)
from napari_localdisc.core.priors import get_prior
from napari_localdisc.core.work import reused_memory

from .checkpoint import read_checkpoint
from .devices import group_ended_after, make_fabric
from .log import Log, draw_clusters, draw_losses, is_log
from .photographs import Photographs, photograph_files, prepare_photographs
from .progress import Progress
from .settings import TrainingSettings
from .trainer import Trainer

Images = str | Path | Iterable[str | Path | NDArray[np.generic]]


def default_cache() -> Path:
    """Folder where prepared photographs are kept."""
    return platformdirs.user_cache_path("napari-localdisc", appauthor=False) / "train"


def train(
    images: Images,
    out: str | Path,
    *,
    settings: TrainingSettings | None = None,
    start: str | Path | Model | None = None,
    resume: bool = False,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    cache: str | Path | None = None,
    details: dict[str, Any] | None = None,
    fewest: int = 2,
    progress: Callable[[Progress], None] | None = None,
    preparing: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    keep_best: bool = False,
    watch: Callable[[Trainer], None] | None = None,
) -> Model:
    """Train a model without labels.

    Parameters
    ----------
    images : str, Path or iterable
        A folder, or files and arrays; (H, W[, C]) of any size.
    out : str or Path
        The model file.  Its card (``.md``), log (``.csv``), pictures
        (``_losses.png``, ``_clusters.png``) and checkpoint (``.checkpoint``) lie
        beside it.
    settings : TrainingSettings, optional
        What to train; the bundled models' by default.  A resumed training keeps
        its own, except for ``steps`` and ``minutes``.
    start : str, Path or Model, optional
        A model to go on from instead of random weights.
    resume : bool
        Go on from the checkpoint beside ``out``.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    devices, nodes, strategy
        Number of devices of each node, number of nodes, and how they share the work,
        as Lightning Fabric takes them; see `make_fabric`.
    cache : str or Path, optional
        Folder of the prepared photographs.
    details : dict, optional
        More fields for the model card, for instance the images' licence.
    fewest : int
        Fewer usable images are an error.
    progress : callable, optional
        Called after each step.
    preparing : callable, optional
        Called with (done, total) while photographs are read.
    cancel : callable, optional
        Asked before each step; True stops.  The checkpoint is written, so that
        ``resume`` goes on.
    keep_best : bool
        When ``cancel`` stops after a step or more, save and return the best model so
        far, as if the training were over.
    watch : callable, optional
        Called with the trainer after each step in the main process; may look at it.

    Returns
    -------
    Model
        The best by validation, saved.

    Raises
    ------
    TrainingError
        If images, settings or checkpoint cannot be used.
    Cancelled
        If ``cancel`` says so and there is no best model to keep.
    """
    out = given_path(out).with_suffix(SUFFIX)
    checkpoint = out.with_suffix(".checkpoint")
    settings = settings or TrainingSettings()
    kept = read_checkpoint(checkpoint) if resume else None
    if kept is not None:
        settings = dataclasses.replace(
            TrainingSettings.from_dict(kept["settings"]),
            steps=settings.steps,
            minutes=settings.minutes,
        )
    check_model_target(out)
    check_replaceable(out.with_suffix(".csv"), is_log)
    priors = [get_prior(name) for name in settings.priors]
    sources = (
        photograph_files(images) if isinstance(images, str | Path) else list(images)
    )
    if isinstance(start, str | Path):
        start = load_model(start, "cpu")
    fabric = make_fabric(device, devices, strategy, nodes)
    photographs = prepare_photographs(
        sources,
        working_diameter=settings.working_diameter,
        modality=settings.modality,
        priors=priors,
        cache=given_path(cache) if cache else default_cache(),
        fewest=fewest,
        progress=preparing,
        cancel=cancel,
    )
    with group_ended_after(fabric):
        fabric.launch()  # other processes begin here and find all in the cache
        trainer = Trainer(settings, photographs, priors, fabric, start)
        if kept is not None:
            trainer.load(kept)
        out.parent.mkdir(parents=True, exist_ok=True)
        with reused_memory():
            _run(trainer, out, checkpoint, progress, cancel, keep_best, watch)
        card_details = _details(trainer, fabric, photographs) | (details or {})
        model = trainer.model(out.stem, card_details)
        if fabric.is_global_zero:
            save_model(model, out)
            draw_clusters(model, trainer.held_out, _beside(out, "_clusters.png"))
    return model


def _run(
    trainer: Trainer,
    out: Path,
    checkpoint: Path,
    progress: Callable[[Progress], None] | None,
    cancel: Callable[[], bool] | None,
    keep_best: bool,
    watch: Callable[[Trainer], None] | None,
) -> None:
    """Train, log and keep checkpoints."""
    main = trainer.fabric.is_global_zero
    log = Log(out.with_suffix(".csv"), from_step=trainer.step)
    due = time.monotonic() + 60 * trainer.settings.checkpoint_minutes
    stopped = False
    try:
        for state in trainer.run(cancel):
            if main:
                log.add(state)
                if time.monotonic() > due:
                    trainer.save(checkpoint)
                    draw_losses(log.rows, _beside(out, "_losses.png"))
                    due = time.monotonic() + 60 * trainer.settings.checkpoint_minutes
                if watch is not None:
                    watch(trainer)
            if progress is not None:
                progress(state)
    except (Cancelled, KeyboardInterrupt) as stop:
        if main:
            trainer.save(checkpoint)
        if not (keep_best and isinstance(stop, Cancelled) and trainer.step):
            raise
        stopped = True
    if main:
        trainer.validate()
        if not stopped:  # else resuming would differ from never having stopped
            trainer.save(checkpoint)
        draw_losses(log.rows, _beside(out, "_losses.png"))


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.stem + ending)


def _details(
    trainer: Trainer, fabric: Fabric, photographs: Photographs
) -> dict[str, Any]:
    settings = trainer.settings
    weights = {k: v for k, v in settings.as_dict()["weights"].items() if v}
    return {
        "photographs": len(photographs),
        "photographs_skipped": len(photographs.skipped),
        "labels_used": "none",
        "priors": ", ".join(settings.priors) or "none",
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "device": f"{fabric.device} ({platform.machine()}, torch {torch.__version__})",
        "seed": settings.seed,
        "date": datetime.date.today().isoformat(),
        "loss_weights": weights,
        "validation": {k: round(v, 4) for k, v in trainer.best.items()},
        "settings": settings.as_dict(),
    }
