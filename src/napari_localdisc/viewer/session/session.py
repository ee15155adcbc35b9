"""The session of a viewer: saved to a file, and restored from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_localdisc.annotation.state import ImageAnnotation
from napari_localdisc.core.errors import LocalDiscError, ModelError
from napari_localdisc.io.session import (
    SavedImage,
    SavedLabels,
    Session,
    read_session,
    write_session,
)
from napari_localdisc.viewer.work import Job

from . import layers

if TYPE_CHECKING:
    from napari_localdisc.core.work import Steps
    from napari_localdisc.viewer.controller import Controller
    from napari_localdisc.viewer.embeddings import Embedded


@dataclass(frozen=True, eq=False)
class Draft:
    """A session as it is now, and the pixels that a worker still has to look at."""

    session: Session
    pixels: tuple[Any, ...]

    def finish(self) -> Session:
        """Read what takes time: for a worker."""
        images = zip(self.session.images, self.pixels, strict=True)
        return replace(
            self.session,
            images=tuple(layers.complete(image, data) for image, data in images),
            labels=tuple(
                replace(labels, data=np.asarray(labels.data))
                for labels in self.session.labels
            ),
        )


class Sessions:
    """Saves what was done in a controller's viewer, and restores it.

    Parameters
    ----------
    controller : Controller
        Of the viewer.
    """

    saved = Signal(object)
    """A session was saved to this path, because the user asked for it."""
    opened = Signal(object)
    """A session was restored; a list of sentences: what is not as it was."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    # Saving

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done yet."""
        controller = self._controller
        return not any(
            isinstance(layer, Labels) for layer in controller.viewer.layers
        ) and not any(map(self._was_annotated, controller.images))

    def _was_annotated(self, layer: Image) -> bool:
        return self._controller.annotations.describe(layer, None) != ImageAnnotation()

    def draft(self) -> Draft:
        """Take down what is there now; later changes are not in it."""
        controller = self._controller
        viewer = controller.viewer
        chosen = controller.image
        images = [
            layer
            for layer in controller.images
            if layer is chosen or self._was_annotated(layer)
        ]
        remade = self._remade(images)
        labels = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Labels) and layer not in remade
        ]
        known = controller.known_here()
        session = Session(
            model=controller.model,
            model_hash=None if known is None else known.model.hash,
            structures=controller.number_of_structures,
            chosen=images.index(chosen) if chosen is not None else None,
            images=tuple(self._describe(image, labels) for image in images),
            labels=tuple(layers.describe_labels(layer) for layer in labels),
            saved_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        return Draft(session, tuple(layers.pixels_of(image) for image in images))

    def _remade(self, images: list[Image]) -> set[Labels]:
        """Return the layers that come again by themselves."""
        viewer = self._controller.viewer
        found = []
        for image in images:
            for state in self._controller.annotations.planes(image):
                found.append(state.mask)
                found.append(state.strokes.prediction if state.strokes else None)
        made = [derived.layer(viewer) for derived in found if derived is not None]
        made.append(self._controller.writing.preview.layer)
        return {layer for layer in made if layer is not None}

    def _describe(self, image: Image, labels: list[Labels]) -> SavedImage:
        controller = self._controller
        state = controller.annotations.of(image)
        own = state.labels() if state.labels is not None else None
        strokes = []
        for key, plane in state.planes.items():
            layer = plane.strokes and plane.strokes.strokes_in(controller.viewer)
            if layer in labels:
                strokes.append([list(key), labels.index(layer)])
        name = index = None
        if own is not None and own in labels:
            name, index = own.name, labels.index(own)
        return replace(
            layers.describe_image(image),
            annotation=controller.annotations.describe(image, name).to_json(),
            labels=index,
            strokes=strokes,
        )

    def save(self, path: str | Path) -> None:
        """Save everything to a file; `saved` is emitted when it is there.

        Parameters
        ----------
        path : str or Path
            Its name gets the ending ``.localdisc`` unless it has it.
        """
        draft = self.draft()
        controller = self._controller

        def work() -> Steps[Path]:
            yield 0, 0
            return write_session(draft.finish(), path)

        def done(written: Path) -> None:
            controller.say(f"The session is saved in {written}.")
            self.saved.emit(written)

        self.run(work, done, controller.report)

    def run(
        self,
        work: Callable[[], Steps[Any]],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> Job:
        """Run work on files off the GUI thread; once closed, nothing is done after."""
        job = Job()
        controller = self._controller

        def finished(result: Any) -> None:
            if not controller.is_closed:
                done(result)

        controller.runner.start(job, work, lambda progress: None, finished, failed)
        return job

    # Restoring

    def open(self, path: str | Path) -> None:
        """Restore what a file holds; `opened` is emitted when it is there.

        Parameters
        ----------
        path : str or Path
            What `save` wrote.
        """
        path = Path(path)

        def work() -> Steps[Session]:
            yield 0, 0
            return read_session(path)

        def done(session: Session) -> None:
            self.restore(session, path.parent)

        self.run(work, done, self._controller.report)

    def restore(self, session: Session, folder: Path) -> list[str]:
        """Put a session back into the viewer, beside what is in it.

        Parameters
        ----------
        session : Session
            What was saved.
        folder : Path
            Where it was saved: images that were moved are looked for there, too.

        Returns
        -------
        list of str
            What is not as it was, in sentences.  Labels are restored in any case.
        """
        controller = self._controller
        troubles = self._restore_model(session)
        restored: dict[int, Image] = {}
        used: set[int] = set()
        for index, saved in enumerate(session.images):
            image, trouble = self._find_or_open(saved, folder)
            if trouble:
                troubles.append(trouble)
            if image is not None:
                restored[index] = image
        added = self._add_labels(session, restored, used)
        for index, image in restored.items():
            saved = session.images[index]
            labels = None if saved.labels is None else added[saved.labels]
            try:
                self._annotate(image, saved, labels, session.labels)
            except (LocalDiscError, KeyError, TypeError, ValueError) as error:
                troubles.append(f"“{saved.name}”: {error}")
        if session.chosen in restored:
            image = restored[session.chosen]
            controller.set_image(image)
            if layers.fits(image, session.images[session.chosen]):
                try:
                    self._check_hash(session)
                except LocalDiscError as error:
                    troubles.append(str(error))
        controller.say("The session is restored.")
        self.opened.emit(troubles)
        return troubles

    def _restore_model(self, session: Session) -> list[str]:
        controller = self._controller
        if session.model is None:
            return []
        if session.model not in controller.models:
            return [
                f"The model {session.model!r} is not installed here: labels are as "
                "they were, but what prompts show comes from another model."
            ]
        controller.set_model(session.model)
        controller.set_number_of_structures(session.structures)
        return []

    def _find_or_open(
        self, saved: SavedImage, folder: Path
    ) -> tuple[Image | None, str]:
        image = layers.find_open(self._controller.viewer, saved)
        if image is not None:
            return image, ""
        return layers.open_image(self._controller.viewer, saved, folder)

    def _add_labels(
        self, session: Session, restored: dict[int, Image], used: set[int]
    ) -> dict[int, Labels]:
        """Add all labels but the strokes that are put back with their images."""
        for index, image in restored.items():
            saved = session.images[index]
            if layers.fits(image, saved):
                used.update(labels for _, labels in saved.strokes)
        added = {}
        for index, entry in enumerate(session.labels):
            if index not in used:
                layer = layers.make_labels(entry)
                self._controller.viewer.add_layer(layer)
                added[index] = layer
        return added

    def _annotate(
        self,
        image: Image,
        saved: SavedImage,
        labels: Labels | None,
        all_labels: tuple[SavedLabels, ...],
    ) -> None:
        if not layers.fits(image, saved):
            return
        controller = self._controller
        controller.set_image(image)
        annotation = ImageAnnotation.from_json(saved.annotation)
        controller.restore_annotation(annotation, labels)
        for key, index in saved.strokes:
            plane = controller.plane_of(image, tuple(key))
            controller.look_at(image, plane)
            controller.strokes.put(all_labels[index].data.reshape(plane.shape))

    def _check_hash(self, session: Session) -> None:
        """Say so where the model's weights are others than they were."""
        wanted = session.model_hash
        controller = self._controller
        if wanted is None or controller.model != session.model:
            return

        def check(layer: Image, plane: Any, known: Embedded) -> None:
            if known.model.hash != wanted:
                controller.report(
                    ModelError(
                        f"The model {session.model!r} is another one than when the "
                        "session was saved: labels are as they were, but what prompts "
                        "show may differ."
                    )
                )

        controller.request("session", check)
