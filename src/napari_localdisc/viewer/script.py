"""“Copy as Python”: what was done on the plane that is shown, as a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation.script import (
    SAMPLE,
    ModelKey,
    Picture,
    differences,
    model_key,
    models_used,
    python_script,
    replay,
)
from napari_localdisc.annotation.state import Run
from napari_localdisc.core.errors import LocalDiscError, ModelError
from napari_localdisc.io.cache import EmbeddingCache
from napari_localdisc.layers.labels import read_plane
from napari_localdisc.layers.plane import METADATA_KEY, Plane

from .controller import Controller
from .embeddings import Embedded
from .preferences import preferred_cache
from .shown import Place

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

    from .session.session import Sessions

RETINA = ("napari-localdisc", "retina")


@dataclass(frozen=True)
class Script:
    """A script, and what is to be said about it.

    Attributes
    ----------
    text : str
        Python.
    remark : str
        What its user must do first; empty if nothing.
    """

    text: str
    remark: str = ""


class Scripts:
    """Writes scripts of what was done in a controller's viewer.

    Parameters
    ----------
    controller : Controller
        Of the viewer.
    sessions : Sessions
        Runs the work.
    """

    written = Signal(object)
    """A `Script` is there."""

    def __init__(self, controller: Controller, sessions: Sessions) -> None:
        self._controller = controller
        self._sessions = sessions

    def write(self) -> None:
        """Write a script of the plane that is shown; `written` is emitted with it.

        Its labels are those of the labels layer, also where they were painted by hand.
        """
        workspace = self._controller.workspace
        with workspace.reporting():
            work = self._work(workspace.place())
            workspace.status.say("Writing the script…")
            self._sessions.run(work, self._on_script)

    def _on_script(self, script: Script) -> None:
        status = self._controller.workspace.status
        status.say(script.remark or "The script is in the clipboard.")
        self.written.emit(script)

    def _work(self, place: Place) -> Callable[[], Script]:
        """Take down what was done there; return what makes a script of it."""
        plane, name, source = place.plane, place.layer.name, place.layer.source
        log, classes = place.document.history.log, place.document.classes
        layers = self._controller.classes.layers
        labels = {
            group: read_plane(each, plane).copy() for group, each in layers.items()
        }
        clusters, shown = place.shown.layer("structures"), None
        if clusters is not None:
            made = clusters.metadata.get(METADATA_KEY, {})
            shown = model_key(made), int(made["structures"])
        known, cache = self._controller.workspace.known(place), preferred_cache()

        def work() -> Script:
            from napari_localdisc.io.cache import content_hash

            pixels = plane.read()
            digest = content_hash(pixels)
            code, remark = _reading(name, source, plane, digest)
            painted: dict[int, list[Run]] = {}
            dtype = "uint8"
            if labels:
                embeddings = {
                    key: _embedding(key, pixels, digest, known, cache)
                    for key in models_used(log, plane.index)
                }
                made = replay(log, plane.index, plane.shape, embeddings.__getitem__)
                nothing = np.zeros(plane.shape, np.uint16)
                for group in sorted({*labels, *made}):
                    there = labels.get(group, nothing), made.get(group, nothing)
                    painted[group] = differences(*there)
                # Wide enough for what is written before it is erased
                widest = np.min_scalar_type(
                    max(int(each.max()) for each in made.values())
                )
                dtypes = (each.dtype for each in labels.values())
                dtype = str(np.result_type(widest, *dtypes))
            from_file = not remark
            picture = Picture(name, code, plane.index, digest, plane.shape, from_file)
            names = {entry.value: entry.name for entry in classes}
            text = python_script(log, picture, dtype, painted, shown, names)
            return Script(text, remark)

        return work


def _embedding(
    key: ModelKey,
    pixels: NDArray[Any],
    digest: str,
    known: Embedded | None,
    cache: EmbeddingCache | None,
) -> Embedding:
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.model.model import load_model

    name, model_hash, magnification = key
    same = known is not None and known.magnification == magnification
    if known is not None and same and known.model.hash == model_hash:
        # Remembered cosines may differ in the last bit, and a script starts afresh
        return known.embedding.fresh()
    model = load_model(name)
    if model.hash != model_hash:
        raise ModelError(
            f"The model {name!r} is another one than the labels were made with "
            f"({model_hash}): what was done cannot be repeated."
        )
    kept = cache and cache.load(
        pixels, model, magnification=magnification, image_hash=digest
    )
    return kept or embed(pixels, model, magnification=magnification)


def _reading(image: str, source: Any, plane: Plane, digest: str) -> tuple[str, str]:
    """Return an expression that reads an image, and what to say if it is not so."""
    from napari_localdisc.core.image.files import how_stored, read_image
    from napari_localdisc.io.cache import content_hash

    if source.sample is not None and tuple(source.sample) == RETINA:
        return SAMPLE, ""
    file = Path(source.path or "")
    if file.is_file():
        hidden = [axis for axis, at in enumerate(plane.index) if at is not None]
        page = None
        if hidden:
            sides = [plane.data.shape[axis] for axis in hidden]
            places = [at for at in plane.index if at is not None]
            page = int(np.ravel_multi_index(places, sides))
        try:
            if content_hash(read_image(file, page)) == digest:
                chosen = "" if page is None else f", page={page}"
                return f"ld.read_image({str(file)!r}{chosen})", ""
        except LocalDiscError:
            pass  # another plugin's file, which only that one reads
    name = f"{image}.npy"
    reason = "is in no file that the script could read:"
    if file.is_file() and how_stored(file):
        reason = (
            "is shown as its file stores it, but scripts read it as it is meant: turn "
            "it before you work on it, or"
        )
    return f"np.load({name!r})", (
        f"“{image}” {reason} save its pixels as “{name}” beside the script, with "
        "numpy.save."
    )
