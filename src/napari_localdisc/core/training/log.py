"""What a training leaves to look at: a table of losses, and pictures."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_localdisc.core.files import atomic_path

from .photographs import INSIDE, PHOTOGRAPH, Photographs
from .progress import Progress

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model

COLUMNS = (
    "step",
    "seconds",
    "total",
    "patch",
    "pixel",
    "mixup",
    "region",
    "entropy",
    "balance",
    "view_agreement",
    "branch_agreement",
    "drawn",
    "fitted",
    "self_training",
    "adversarial",
    "validation_drawn",
    "validation_fitted",
    "validation_agreement",
    "validation_score",
)


class Log:
    """Means of the losses between two rows of a CSV file.

    Parameters
    ----------
    path : Path
        The file; rows after ``from_step`` of an earlier run are dropped.
    every : int
        Steps between rows.
    from_step : int
        Where the training goes on.
    """

    def __init__(self, path: Path, every: int = 25, from_step: int = 0) -> None:
        self.path, self.every = path, every
        self.rows = [r for r in read_log(path) if int(r["step"]) <= from_step]
        self._pending: dict[str, list[float]] = {}

    def add(self, progress: Progress) -> None:
        """Take in a step; write a row when one is due."""
        for name, value in progress.losses.items():
            self._pending.setdefault(name, []).append(value)
        if progress.step % self.every and not progress.validation:
            return
        row = {k: f"{np.mean(v):.4f}" for k, v in self._pending.items()}
        for name, value in (progress.validation or {}).items():
            row[f"validation_{name}"] = f"{value:.4f}"
        row |= {"step": str(progress.step), "seconds": f"{progress.seconds:.1f}"}
        self._pending = {}
        self.rows.append(row)
        self.write()

    def write(self) -> None:
        """Write all rows; the file appears whole."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with not_ending_the_training(), atomic_path(self.path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")


@contextmanager
def not_ending_the_training() -> Iterator[None]:
    """Warn of a file to look at that cannot be written: the training matters more."""
    try:
        yield
    except OSError as error:
        warnings.warn(
            f"{error.filename} cannot be written: {error.strerror}.", stacklevel=3
        )


def is_log(path: Path) -> bool:
    """Whether a file is a training's table, of whatever version."""
    try:
        return path.read_bytes().startswith(",".join(COLUMNS[:2]).encode())
    except OSError:
        return False


def read_log(path: Path) -> list[dict[str, str]]:
    """Return a log's rows: what can be read of them where somebody edited it."""
    rows: list[dict[str, str]] = []
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                rows += _numbers(row)
    except (OSError, ValueError, csv.Error):
        pass  # it ends there
    return rows


def _numbers(row: dict[str, str]) -> list[dict[str, str]]:
    """Return a row without what is no number; nothing where it has no step."""
    kept = {}
    for name in COLUMNS:
        with suppress(KeyError, ValueError, TypeError):
            if math.isfinite(float(row[name])):
                kept[name] = row[name]
    return [kept] if kept.get("step", "").isdecimal() else []


def draw_losses(rows: list[dict[str, str]], path: Path) -> None:
    """Plot a log's losses and validation measures against the step."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, measures = figure.subplots(1, 2)
    for name in COLUMNS[2:]:
        points = [(int(r["step"]), float(r[name])) for r in rows if r.get(name)]
        if points:
            axes = measures if name.startswith("validation") else losses
            label = name.removeprefix("validation_").replace("_", " ")
            axes.plot(*zip(*points, strict=True), label=label, linewidth=1.2)
    for axes, title in ((losses, "weighted losses"), (measures, "validation")):
        axes.set_title(title)
        axes.set_xlabel("step")
        if axes.lines:
            axes.legend(fontsize=7, ncols=2)
    with not_ending_the_training(), atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def cluster_pictures(
    model: Model, photographs: Photographs, count: int = 4
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Cluster a few prepared photographs.

    Returns
    -------
    list of (ndarray, ndarray)
        (S, S, 3) uint8 photograph and (S, S) uint8 labels, 0 outside.
    """
    from napari_localdisc.core.image.contrast import network_input

    pictures = []
    chosen = np.linspace(0, len(photographs) - 1, min(count, len(photographs)))
    for k in chosen.astype(int):
        array = photographs.arrays[k]
        rgb = torch.from_numpy(array[PHOTOGRAPH].copy())[None].float() / 255
        inside = torch.from_numpy(array[INSIDE].copy())[None].float()
        seen = network_input(
            rgb,
            inside,
            model.card.working_diameter,
            model.card.in_channels,
            surround=model.card.surround_pixels,
        )
        with torch.inference_mode():
            _, probability = model.network(seen.to(model.device))
        labels = (probability[0].argmax(0).cpu() + 1) * (inside[0, 0] > 0)
        photograph = np.ascontiguousarray(array[PHOTOGRAPH].transpose(1, 2, 0))
        pictures.append((photograph, labels.numpy().astype(np.uint8)))
    return pictures


def draw_clusters(model: Model, photographs: Photographs, path: Path) -> None:
    """Save photographs beside their clusters as one picture."""
    from PIL import Image

    from napari_localdisc.core.embedding.clusters import cluster_colours

    colours = cluster_colours(model, model.card.clusters)
    palette = np.round(np.asarray(colours)[:, :3] * 255).astype(np.uint8)
    columns = [
        np.concatenate([photograph, palette[labels]])
        for photograph, labels in cluster_pictures(model, photographs)
    ]
    picture = Image.fromarray(np.concatenate(columns, axis=1))
    with not_ending_the_training(), atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")
