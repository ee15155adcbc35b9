"""Long work is killed at a random moment, and the same command is given again.

What is there then must be whole, nothing that was there before may be lost, and nothing
half made may be left.  Workers are forked from a process that has imported all that is
slow to import, so that the kill hits the work.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_PRELOADED = [
    "fuzzing.killed",
    "napari_localdisc.cli.app",
    "napari_localdisc.core.training.train",
    "napari_localdisc.io.cache",
    "napari_localdisc.io.session",
    "napari_localdisc.batch.run",
    "ome_zarr.writer",
]
_LONGEST = 600.0
"""Seconds that a run may take on a busy machine."""
_TRIES = 3
"""Runs for each that is to be killed: some end before."""


@dataclass(frozen=True)
class Scenario:
    """A command and what must be true after it.

    Attributes
    ----------
    prepare : callable
        Folder → nothing: makes what the command needs.
    work : callable
        Folder → nothing: the command; the same after a kill.
    faults : callable
        Folder → what is wrong, in sentences.
    """

    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    faults: Callable[[Path], list[str]]


@dataclass
class Report:
    """What came of killing a scenario."""

    name: str
    kills: int = 0
    ended: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _picture(seed: int, size: int = 96) -> np.ndarray:
    """Draw a lit disc in a dark frame: (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = rng.normal((150, 80, 40), 9, (size, size, 3))
    image[np.hypot(y, x - rng.uniform(-9, 9)) < 9] += (70, 90, 60)
    image[np.hypot(y, x) > 0.47 * size] = 0
    return image.clip(0, 255).astype(np.uint8)


def _pictures(folder: Path, count: int) -> None:
    from PIL import Image

    (folder / "images").mkdir()
    for seed in range(count):
        Image.fromarray(_picture(seed)).save(folder / "images" / f"{seed}.png")


def _model(folder: Path) -> None:
    from napari_localdisc.core.model.model import Model, save_model

    tiny = Model.random(
        name="tiny", working_diameter=96, width=4, structures={"vessel": 0}
    )
    save_model(tiny, folder / "tiny")


def _command(*arguments: str) -> None:
    from napari_localdisc.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    if code:
        raise SystemExit(code)


# Training


def _prepare_training(folder: Path) -> None:
    _pictures(folder, 4)


def _train(folder: Path) -> None:
    from napari_localdisc.core.training.settings import TrainingSettings
    from napari_localdisc.core.training.train import train

    settings = TrainingSettings(
        steps=12,
        priors=("disc",),
        working_diameter=96,
        clusters=4,
        embedding_dim=8,
        width=2,
        crop_size=48,
        pixel_pairs=32,
        patch_grid=4,
        held_out=1,
        validate_every=3,
        checkpoint_minutes=1e-3,
    )
    out = folder / "mine.safetensors"
    resume = out.with_suffix(".checkpoint").exists()
    train(
        folder / "images", out, settings=settings, device="cpu", resume=resume,
        cache=folder / "prepared",
    )  # fmt: skip


def _training_faults(folder: Path) -> list[str]:
    from napari_localdisc.core.model.model import load_model

    load_model(folder / "mine.safetensors", "cpu")
    steps = [
        int(line.split(",")[0])
        for line in (folder / "mine.csv").read_text("utf-8").splitlines()
        if line[:1].isdigit()
    ]
    return [] if steps == sorted(set(steps)) else [f"the log has the steps {steps}"]


# Folders and large images


def _prepare_folder(folder: Path) -> None:
    _pictures(folder, 4)
    _model(folder)


def _cluster(folder: Path) -> None:
    _command(
        "cluster", str(folder / "images"), "-o", str(folder / "out"), "-m",
        str(folder / "tiny.safetensors"), "--device", "cpu",
    )  # fmt: skip


def _folder_faults(folder: Path) -> list[str]:
    from napari_localdisc.io.labels import read_labels

    made = sorted((folder / "out").iterdir())
    shapes = [labels.array.shape for path in made for labels in read_labels(path)]
    return [] if shapes == [(96, 96)] * 4 else [f"{made}: {shapes}"]


def _prepare_large(folder: Path) -> None:
    import zarr

    (folder / "images").mkdir()
    large = np.tile(_picture(0, 192), (2, 2, 1))
    zarr.save_array(folder / "images" / "large.zarr", large, zarr_format=3)
    _model(folder)


def _large_faults(folder: Path) -> list[str]:
    from napari_localdisc.io.labels import read_labels

    (made,) = (folder / "out").iterdir()
    (labels,) = read_labels(made)
    is_whole = labels.array.shape == (384, 384) and labels.array.max() > 0
    return [] if is_whole else [f"{made} has {labels.array.shape}"]


# Export


def _prepare_export(folder: Path) -> None:
    from napari_localdisc.io.labels import LabelMap, write_labels

    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 9, (7, 7)), np.ones((100, 100)))
    labels = LabelMap(blocks.astype(np.uint8), names={1: "vessel"})
    (folder / "labels").mkdir()
    write_labels(folder / "labels" / "eye.png", labels)


def _export(folder: Path) -> None:
    for form in ("ome-zarr", "tiff", "coco", "masks"):
        made = str(folder / form)
        _command(
            "export",
            str(folder / "labels"),
            "-o",
            made,
            "--format",
            form,
            "--overwrite",
        )


def _export_faults(folder: Path) -> list[str]:
    from napari_localdisc.io.labels import read_labels

    (before,) = read_labels(folder / "labels" / "eye.png")
    faults = []
    for form in ("ome-zarr", "tiff", "coco"):
        (made,) = (folder / form).iterdir()
        (labels,) = read_labels(made)
        if not (labels.array == before.array).all():
            faults.append(f"{made} holds other labels")
    masks = len(list((folder / "masks").iterdir()))
    return faults if masks == 8 else [*faults, f"{masks} masks"]


# Autosave


def _nothing(folder: Path) -> None:
    pass


_SAVED = 12


def _autosave(folder: Path) -> None:
    from napari_localdisc.io.session import (
        Autosave,
        SavedLabels,
        Session,
        crashed_sessions,
        read_session,
        remove_autosave,
    )

    sessions = folder / "sessions"
    found = []
    for crashed in crashed_sessions(sessions):
        (labels,) = read_session(crashed.path).labels
        if len(np.unique(labels.data)) != 1:
            raise ValueError(f"{crashed.path} mixes two states")
        found.append(int(labels.data[0, 0]))
        remove_autosave(crashed.path)
    (folder / "restored.json").write_text(json.dumps(found))
    autosave = Autosave(sessions)
    for number in range(_SAVED):
        data = np.full((400, 400), number, np.uint8)
        autosave.write(Session(labels=(SavedLabels("labels", data),)))
        (folder / "last").write_text(str(number))
    autosave.end()


def _autosave_faults(folder: Path) -> list[str]:
    left = [path.name for path in (folder / "sessions").iterdir()]
    return [f"{left} are left"] if left else []


# Cache


def _prepare_cache(folder: Path) -> None:
    _model(folder)


def _fill_cache(folder: Path) -> None:
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.cache import EmbeddingCache, cached_embed

    model = load_model(folder / "tiny.safetensors", "cpu")
    cache = EmbeddingCache(folder / "cache")
    for seed in range(4):
        cached_embed(_picture(seed), model, cache)


def _cache_faults(folder: Path) -> list[str]:
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.cache import EmbeddingCache

    model = load_model(folder / "tiny.safetensors", "cpu")
    cache = EmbeddingCache(folder / "cache")
    return [
        f"the embedding of picture {seed} is not kept"
        for seed in range(4)
        if cache.load(_picture(seed), model) is None
    ]


SCENARIOS = {
    "training": Scenario(_prepare_training, _train, _training_faults),
    "folder": Scenario(_prepare_folder, _cluster, _folder_faults),
    "large": Scenario(_prepare_large, _cluster, _large_faults),
    "export": Scenario(_prepare_export, _export, _export_faults),
    "autosave": Scenario(_nothing, _autosave, _autosave_faults),
    "cache": Scenario(_prepare_cache, _fill_cache, _cache_faults),
}


def kill(name: str, times: int, seed: int) -> Report:
    """Kill a scenario's work, give the command again, and look at what is there.

    When it is killed is drawn from the processor time that the work takes: by the
    clock, what else a machine does would decide.
    """
    report, draw = Report(name), random.Random(f"{name} {seed}")
    scenario, started = SCENARIOS[name], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        usual = _usual(name, scenario, Path(folder))
    for number in range(_TRIES * times):
        if report.kills == times:
            break
        with tempfile.TemporaryDirectory(prefix="killed-") as folder:
            place = Path(folder)
            scenario.prepare(place)
            before = _contents(place)
            child = _start(name, place)
            if _used(child, draw.uniform(0, usual)) is None:
                child.kill()
                report.kills += 1
            else:
                report.ended += 1
            child.join()
            try:
                faults = _after(name, scenario, place, before)
            # What is read back is what was made: whatever is raised is a finding
            except Exception as error:
                faults = [f"{type(error).__name__}: {error}"]
            report.faults += [f"kill {number}: {fault}" for fault in faults]
    report.seconds = time.monotonic() - started
    return report


def _usual(name: str, scenario: Scenario, folder: Path) -> float:
    """Return the processor time that the work takes, when nobody kills it."""
    scenario.prepare(folder)
    _context().Process(target=int).start()  # imports what is preloaded
    child = _start(name, folder)
    child.join(_LONGEST)
    for path in sorted(folder.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    scenario.prepare(folder)
    child = _start(name, folder)
    took = _used(child, math.inf)
    child.join()
    if took is None or child.exitcode or scenario.faults(folder):
        raise RuntimeError(f"{name} does not work: {_said(folder)}")
    return took


def _used(child: Any, most: float) -> float | None:
    """Return the processor time that a child used; None: it has used the most."""
    used, end = 0.0, time.monotonic() + _LONGEST
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.pid)
        while child.is_alive() and time.monotonic() < end:
            used = sum(process.cpu_times()[:2])
            if used >= most:
                return None
            time.sleep(0.001)
    return None if child.is_alive() else used


def _after(
    name: str, scenario: Scenario, folder: Path, before: dict[str, bytes]
) -> list[str]:
    faults = [
        f"{path} is lost or changed"
        for path, content in before.items()
        if not (folder / path).is_file() or (folder / path).read_bytes() != content
    ]
    again = _start(name, folder)
    again.join(_LONGEST)
    if again.is_alive():
        again.kill()
        return [*faults, "the same command does not end"]
    if again.exitcode:
        return [*faults, f"the same command fails: {_said(folder)}"]
    faults += scenario.faults(folder)
    faults += [
        f"{path.relative_to(folder)} is left"
        for path in folder.rglob(".*")
        if path.name.startswith((".localdisc-", ".making-"))
    ]
    return faults


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _start(name: str, folder: Path) -> Any:
    child = _context().Process(target=_child, args=(name, str(folder)))
    child.start()
    return child


def _child(name: str, folder: str) -> None:
    import torch

    os.environ["LOCALDISC_CACHE"] = str(Path(folder) / "embeddings")
    torch.set_num_threads(1)
    with open(Path(folder) / "said.txt", "w") as said:
        os.dup2(said.fileno(), 2)
        SCENARIOS[name].work(Path(folder))


def _said(folder: Path) -> str:
    return (folder / "said.txt").read_text("utf-8").strip()[-500:]
