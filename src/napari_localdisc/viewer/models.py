"""The models there are: their cards, the user's own files, a new one from labels."""

from __future__ import annotations

import html
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import LocalDiscError, ModelError, TrainingError
from napari_localdisc.core.model.card import (
    ModelCard,
    ModelFile,
    list_models,
    read_card,
    user_model_folder,
)
from napari_localdisc.core.priors.derived import every_structure
from napari_localdisc.core.work import Steps
from napari_localdisc.layers.labels import read_plane

from .chosen import model_wanted, models_changed
from .training.control import all_planes
from .training.request import delete_model, free_name, model_file
from .work import Slot, disconnect_all, reporting
from .workspace import Workspace

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model

STEPS = 300
"""Of a fine-tuning."""

PACKAGE = ".zip"
"""Ending of packages of bioimage.io."""

_LOOK_SECONDS = 0.1
_IMAGES = {"fundus": "round, in a dark frame", "frame": "the whole picture"}


@dataclass(frozen=True)
class Example:
    """A picture, and where the structure is in it: (H, W[, C]), (H, W) bool."""

    picture: NDArray[Any]
    mask: NDArray[np.bool_]


class ModelFiles:
    """Models as files, and a new one from the labels of the open images.

    Parameters
    ----------
    workspace : Workspace
        Whose images, labels and chosen model.

    Attributes
    ----------
    work : Slot
        The fine-tuning.
    """

    changed = Signal()
    """There may be other classes to learn from."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.work = Slot(workspace.runner, workspace.report)
        workspace.annotations.classes_changed.connect(self.changed.emit)
        workspace.images.listed.connect(self.changed.emit)

    def close(self) -> None:
        """Stop the fine-tuning; nothing comes of it."""
        self.work.cancel()
        disconnect_all(self, self.work)

    # Files

    @property
    def folder(self) -> Path:
        """Where the user's own models are."""
        return user_model_folder()

    def is_own(self, name: str | None) -> bool:
        """Whether a model is the user's own, and not one that comes with the plugin."""
        path = list_models().get(name or "")
        return path is not None and path.resolve().parent == self.folder.resolve()

    def import_file(self, path: str | Path) -> None:
        """Copy a model's file to the user's models, and choose it.

        A package of bioimage.io that holds a model of ours is taken as well.
        """
        with reporting(self._workspace.report):
            if Path(path).suffix.lower() == PACKAGE:
                self._import_package(path)
                return
            read_card(Path(path))
            name = free_name(Path(path).stem)
            target = model_file(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            self._tell(name, f"“{name}” is imported and chosen.")

    def _import_package(self, path: str | Path) -> None:
        from napari_localdisc.core.model.model import save_model
        from napari_localdisc.io.bioimageio import import_bioimageio

        model = import_bioimageio(path)
        name = free_name(model.card.name)
        save_model(
            replace(model, card=replace(model.card, name=name)), model_file(name)
        )
        self._tell(name, f"“{name}” is imported and chosen.")

    def export_package(self, path: str | Path) -> None:
        """Write the chosen model as a package of bioimage.io."""
        with reporting(self._workspace.report):
            from napari_localdisc.core.model.model import load_model
            from napari_localdisc.io.bioimageio import export_bioimageio

            name = str(self._workspace.models.name)
            written = export_bioimageio(load_model(name, "cpu"), path)
            self._workspace.status.say(f"“{name}” is written to {written}.")

    def rename(self, name: str, wanted: str) -> None:
        """Give a model of the user's own another name, also on its card."""
        with reporting(self._workspace.report):
            from napari_localdisc.core.model.model import load_model, save_model

            self._check_own(name)
            target = model_file(wanted)
            if target.exists():
                raise ModelError(
                    f"There is a model “{wanted}” already: choose another name."
                )
            model = load_model(name, "cpu")
            save_model(replace(model, card=replace(model.card, name=wanted)), target)
            delete_model(list_models()[name])
            self._tell(wanted, f"“{name}” is called “{wanted}” now.")

    def delete(self, name: str) -> None:
        """Delete a model of the user's own, and what its training left beside it."""
        with reporting(self._workspace.report):
            self._check_own(name)
            delete_model(list_models()[name])
            left = next(iter(list_models()), "")
            self._tell(left, f"“{name}” is deleted.")

    def _check_own(self, name: str) -> None:
        if not self.is_own(name):
            raise ModelError(f"“{name}” comes with the plugin: it stays as it is.")

    def _tell(self, chosen: str, said: str) -> None:
        models_changed.emit()
        if chosen:
            model_wanted.emit(self._workspace.viewer, chosen)
        self._workspace.status.say(said)

    # The card

    def card(self) -> str:
        """Describe the chosen model in a few lines of HTML."""
        name = self._workspace.models.name
        if name is None:
            return "No model is installed."
        try:
            return described(read_card(ModelFile.of(name).path))
        except LocalDiscError as error:
            return html.escape(str(error))

    # A new model from labels

    @property
    def structures(self) -> list[str]:
        """Classes that the labels of open images hold, in the order of their names."""
        found = set()
        for image in self._workspace.images.images:
            document = self._workspace.annotations.of(image)
            held = document.labels
            found |= {
                c.name for c in document.classes if not c.background and c.group in held
            }
        return sorted(found)

    def examples(self, structure: str) -> list[Example]:
        """Return each open image, or slice, whose labels hold a structure."""
        found = []
        for image in self._workspace.images.images:
            document = self._workspace.annotations.of(image)
            own = [c for c in document.classes if c.name == structure]
            labels = document.labels.get(own[0].group) if own else None
            if labels is not None:
                found += _examples(image, labels, own[0].value)
        return found

    def finetune(self, structure: str) -> None:
        """Train a network that segments one structure, from the labels there are.

        It starts from the chosen model, which stays as it is, and is chosen itself when
        it is there.
        """
        workspace = self._workspace
        with reporting(workspace.report):
            if self.work.is_busy:
                raise TrainingError("Wait until the other fine-tuning is done.")
            examples = self.examples(structure)
            if not examples:
                raise TrainingError(
                    f"No open image has labels of “{structure}”: add or paint some "
                    "first."
                )
            start, name = str(workspace.models.name), free_name(f"{structure} tuned")
            out = model_file(name)
            out.parent.mkdir(parents=True, exist_ok=True)
            many = f"{len(examples)} image{'s' if len(examples) > 1 else ''}"
            workspace.status.say(f"Learning “{structure}” from {many}…")

            def then(model: Model) -> None:
                self._tell(
                    name, f"“{name}” learnt “{structure}” from {many}, and is chosen."
                )

            def dropped() -> None:
                workspace.status.say("The fine-tuning is stopped: there is no model.")

            self.work.run(
                lambda: finetune_steps(start, examples, structure, out),
                then,
                dropped=dropped,
                progressed=lambda done, total: workspace.status.say(
                    f"Learning “{structure}” from {many}: step {done} of {total}."
                ),
            )


def _examples(image: Image, labels: Labels, value: int) -> list[Example]:
    found = []
    for plane in all_planes(image):
        mask = np.asarray(read_plane(labels, plane)) == value
        if mask.any():
            found.append(Example(plane.read(), mask))
    return found


def finetune_steps(
    start: str, examples: list[Example], structure: str, out: Path
) -> Steps[Model]:
    """Fine-tune a model, and save what comes of it.

    Yields
    ------
    done, total : int
        Steps.

    Raises
    ------
    LocalDiscError
        If the model or the labels cannot be used.
    """
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.core.training.finetune import FinetuneSettings, finetune

    model = load_model(start, "cpu")
    at, stop = [0], threading.Event()
    result: list[Model | Exception] = []

    def train() -> None:
        try:
            result.append(
                finetune(
                    model,
                    [example.picture for example in examples],
                    [example.mask for example in examples],
                    structure,
                    out,
                    settings=FinetuneSettings(steps=STEPS),
                    progress=lambda step, steps, loss: at.__setitem__(0, step),
                    cancel=stop.is_set,
                )
            )
        except Exception as error:  # raised again by whoever waits
            result.append(error)

    thread = threading.Thread(target=train, name="localdisc fine-tuning", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield at[0], STEPS
            thread.join(_LOOK_SECONDS)
    finally:  # a thread that computes while Python ends crashes it
        stop.set()
        thread.join()
    (outcome,) = result
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def described(card: ModelCard) -> str:
    """Say of a model what a user must know, in HTML."""
    details = card.details
    quality = details.get("measured quality") or details.get("measured_quality") or {}
    validation = details.get("validation") or {}
    lines = {
        "Structures": ", ".join(every_structure(card.structures)) or "none by name",
        "Images": _IMAGES[card.modality],
        "Working size": f"{card.working_diameter} pixels, {card.clusters} clusters",
        "Data": details.get("data", ""),
        "Licence": details.get("licence", ""),
        "Labels used": details.get("labels_used", ""),
        "Trained": f"{details['steps']} steps, {details.get('date', '')}"
        if "steps" in details
        else "",
        "Adapted from": details.get("adapted_from", ""),
        "Measured": _table(quality),
        "Validation": _table(validation),
    }
    title = details.get("description") or card.name
    rows = "".join(
        f"<tr><td valign='top'><b>{name}</b>&nbsp;</td><td>{text}</td></tr>"
        for name, value in lines.items()
        if (text := value if name in _HTML else html.escape(str(value)))
    )
    return f"<p>{html.escape(str(title))}</p><table>{rows}</table>"


_HTML = "Measured", "Validation"


def _table(figures: Any) -> str:
    if not isinstance(figures, dict):
        return html.escape(str(figures))
    pairs = (f"{name}: {value}" for name, value in figures.items())
    return "<br>".join(html.escape(pair) for pair in pairs)
