"""The session of a viewer: saved to a file, and restored from one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_localdisc.annotation.state import ImageAnnotation, groups_of
from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.work import T
from napari_localdisc.io.session import (
    SavedImage,
    SavedLabels,
    Session,
    read_session,
    write_session,
)
from napari_localdisc.layers.plane import show_point
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.embeddings import Embedded
from napari_localdisc.viewer.pieces import LAYER as PIECE
from napari_localdisc.viewer.shown import Place
from napari_localdisc.viewer.tuning import LAYER as TUNED
from napari_localdisc.viewer.work import reporting, run_beside

from . import layers


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
        workspace = self._controller.workspace
        return not any(
            isinstance(layer, Labels) for layer in workspace.viewer.layers
        ) and not any(map(self._was_annotated, workspace.images.images))

    def _was_annotated(self, layer: Image) -> bool:
        annotations = self._controller.workspace.annotations
        return annotations.of(layer).describe() != ImageAnnotation()

    def draft(self) -> Session:
        """Take down what is there now, for `finished`; later changes are not in it."""
        workspace = self._controller.workspace
        chosen = workspace.images.current
        images = [
            layer
            for layer in workspace.images.images
            if layer is chosen or self._was_annotated(layer)
        ]
        remade = self._remade(images)
        labels = [
            layer
            for layer in workspace.viewer.layers
            if isinstance(layer, Labels) and layer not in remade
        ]
        known = workspace.known(workspace.place_or_none())
        kinds: dict[str, list[Any]] = {"images": images, "labels": labels}
        order = [
            [kind, members.index(layer)]
            for layer in workspace.viewer.layers
            for kind, members in kinds.items()
            if layer in members
        ]
        return Session(
            model=workspace.models.name,
            model_hash=None if known is None else known.model.hash,
            magnification=workspace.models.magnification,
            structures=self._controller.clusters.number,
            chosen=images.index(chosen) if chosen is not None else None,
            images=tuple(self._describe(image, labels) for image in images),
            labels=tuple(self._describe_labels(layer) for layer in labels),
            order=order,
            saved_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        )

    def _remade(self, images: list[Image]) -> set[Labels]:
        """Return the layers that come again by themselves."""
        made = [
            shown.layer(what)
            for image in images
            for shown in self._controller.workspace.shown_of(image).values()
            for what in ("mask", "prediction", TUNED, PIECE)
        ]
        made.append(self._controller.writing.preview.layer)
        return {layer for layer in made if layer is not None}

    def _describe(self, image: Image, labels: list[Labels]) -> SavedImage:
        workspace = self._controller.workspace
        document = workspace.annotations.of(image)
        maps = {
            group: (layer.name, labels.index(layer))
            for group, layer in document.labels.items()
            if layer in labels
        }
        strokes = []
        for key, shown in workspace.shown_of(image).items():
            layer = shown.layer("strokes")
            if layer in labels:
                strokes.append([list(key), labels.index(layer)])
        described = layers.describe_image(image)
        is_seen = self._controller.one_image.is_meant_to_show(image)
        name, index = maps.pop(0, (None, None))
        classes = self._controller.classes
        by_hand = [
            [list(key), runs]
            for layer in document.labels.values()
            if layer in labels
            for key, runs in classes.runs_by_hand(layer)
        ]
        return replace(
            described,
            looks={**described.looks, "visible": is_seen},
            annotation=document.describe(name).to_json(),
            labels=index,
            groups=[[group, at] for group, (_, at) in maps.items()],
            strokes=strokes,
            by_hand=by_hand,
        )

    def _describe_labels(self, layer: Labels) -> SavedLabels:
        """Describe labels; those of another image are seen again with it."""
        saved = layers.describe_labels(layer)
        controller = self._controller
        is_seen = controller.one_image.is_meant_to_show(layer)
        is_seen |= controller.workspace.overlays.is_meant_to_show(layer)
        return replace(saved, looks={**saved.looks, "visible": is_seen})

    def save(self, path: str | Path) -> None:
        """Save everything to a file; `saved` is emitted when it is there.

        Parameters
        ----------
        path : str or Path
            Its name gets the ending ``.localdisc`` unless it has it.
        """
        draft, status = self.draft(), self._controller.workspace.status

        def done(written: Path) -> None:
            status.say(f"The session is saved in {written}.")
            self.saved.emit(written)

        self.run(
            lambda: write_session(layers.finished(draft), path), done, must_finish=True
        )

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[Exception], None] | None = None,
        must_finish: bool = False,
    ) -> None:
        """Run work on files off the GUI thread; once closed, nothing is done after.

        Errors are reported, unless ``failed`` takes them.  What must finish does, also
        where the window is closed before it began.
        """
        workspace = self._controller.workspace

        def finished(result: T) -> None:
            if not workspace.is_closed:
                done(result)

        run_beside(
            workspace.runner, work, failed or workspace.report, finished, must_finish
        )

    # Restoring

    def open(
        self, path: str | Path, then: Callable[[list[str]], None] | None = None
    ) -> None:
        """Restore what a file holds; `opened` is emitted when it is there.

        Parameters
        ----------
        path : str or Path
            What `save` wrote.
        then : callable, optional
            Called after that with what is not as it was, as `restore` returns it.
        """
        path = given_path(path)
        folder = path.parent

        def restored(troubles: list[str]) -> None:
            if then is not None:
                then(troubles)

        def done(session: Session) -> None:
            # Each layer takes napari a tenth of a second
            steps = self._steps(session, folder, restored)
            self._controller.workspace.pacer.take(steps)

        self.run(lambda: read_session(path), done)

    def restore(self, session: Session, folder: Path) -> list[str]:
        """Put a session back into the viewer at once, beside what is in it.

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
        restored: list[list[str]] = []
        for _ in self._steps(session, folder, restored.append):
            pass
        return restored[0]

    def _steps(
        self, session: Session, folder: Path, then: Callable[[list[str]], None]
    ) -> Iterator[None]:
        """Put a session back, a layer a step; what users do meanwhile is theirs."""
        workspace = self._controller.workspace
        workspace.status.say("The session is being restored…")
        troubles = list(session.faults)
        # First what was made by hand; strokes wait for their images
        added: dict[int | None, Labels] = {}
        strokes = {at for saved in session.images for _, at in saved.strokes}
        for index in range(len(session.labels)):
            if index not in strokes:
                self._restore_labels(session, index, added, troubles)
                yield
        troubles += self._restore_model(session)
        restored: dict[int, Image] = {}
        for index, saved in enumerate(session.images):
            yield
            image, trouble = layers.open_image(workspace.viewer, saved, folder)
            if trouble:
                troubles.append(trouble)
            if image is not None:
                restored[index] = image
                if saved.looks:
                    layers.show_as_it_was(image, saved, troubles)
                    seen = bool(saved.looks.get("visible", True))
                    self._controller.one_image.set_meant_to_show(image, seen)
        # Earlier versions saved no order: labels are above the images then
        order = session.order or [["labels", index] for index in added]
        stack = workspace.viewer.layers
        for kind, index in order:
            yield
            layer: Layer | None = (restored if kind == "images" else added).get(index)
            if layer in stack:
                stack.move(stack.index(layer), len(stack))
        fitting = {
            index: session.images[index]
            for index, image in restored.items()
            if image in stack and layers.fits(image, session.images[index])
        }
        put: set[int] = set()
        for index, saved in fitting.items():
            yield
            try:
                image = restored[index]
                yield from self._annotate(image, saved, added, troubles)
                yield from self._put_strokes(image, saved, session, put)
            # From a file that may be damaged: whatever it is, labels are there
            except Exception as error:
                reason = str(error).partition("\n")[0]
                troubles.append(f"What was done on “{saved.name}” is lost: {reason}.")
        for index in sorted(strokes - put):
            self._restore_labels(session, index, added, troubles)
            yield
        chosen = None if session.chosen is None else restored.get(session.chosen)
        if chosen in stack:
            workspace.images.choose(chosen)
            if session.chosen in fitting:
                with reporting(lambda error: troubles.append(str(error))):
                    self._check_hash(session)
        workspace.status.say("The session is restored.")
        self.opened.emit(troubles)
        then(troubles)

    def _restore_model(self, session: Session) -> list[str]:
        controller = self._controller
        if session.model is None:
            return []
        if session.model not in controller.workspace.models.names:
            return [
                f"The model {session.model!r} is not installed here: labels are as "
                "they were, but what prompts show comes from another model."
            ]
        controller.set_model(session.model)
        controller.set_magnification(session.magnification)
        try:
            controller.clusters.set_number(session.structures)
        except (TypeError, ValueError) as error:
            return [f"The number of structures is left out: {error}."]
        return []

    def _restore_labels(
        self,
        session: Session,
        index: int,
        added: dict[int | None, Labels],
        troubles: list[str],
    ) -> None:
        saved = session.labels[index]
        try:
            layer = layers.make_labels(saved, troubles)
        except (TypeError, ValueError) as error:
            troubles.append(f"The labels “{saved.name}” are left out: {error}.")
        else:
            added[index] = self._controller.workspace.viewer.add_layer(layer)

    def _annotate(
        self,
        image: Image,
        saved: SavedImage,
        added: dict[int | None, Labels],
        troubles: list[str],
    ) -> Iterator[None]:
        controller, workspace = self._controller, self._controller.workspace
        workspace.images.choose(image)
        yield
        workspace.images.choose(image)  # others may have been chosen meanwhile
        annotation = annotation_of(saved, troubles)
        there = workspace.viewer.layers
        places = {0: saved.labels, **dict(saved.groups)}
        held = {
            group: added[at]
            for group, at in places.items()
            if at in added and added[at] in there
        }
        others = {group: layer for group, layer in held.items() if group}
        controller.restore_annotation(annotation, held.get(0), others)
        groups = groups_of(annotation.classes)
        for key, runs in saved.by_hand:
            plane = workspace.place_of(image, tuple(key)).plane
            for group, layer in held.items():
                own = [run for run in runs if groups.get(run[0], 0) == group]
                if own:
                    controller.classes.by_hand(layer, plane).take(own)

    def _put_strokes(
        self,
        image: Image,
        saved: SavedImage,
        session: Session,
        put: set[int],
    ) -> Iterator[None]:
        """Lay strokes on their image; those that went there are in ``put`` after."""
        controller, workspace = self._controller, self._controller.workspace
        for key, index in saved.strokes:
            yield
            workspace.images.choose(image)
            place = workspace.place_of(image, tuple(key))
            show_point(workspace.viewer, image, place.plane)
            pixels = session.labels[index].data.reshape(place.plane.shape)
            controller.strokes.put(place, pixels)
            put.add(index)

    def _check_hash(self, session: Session) -> None:
        """Say so where the model's weights are others than they were."""
        wanted = session.model_hash
        workspace = self._controller.workspace
        if wanted is None or workspace.models.name != session.model:
            return

        def check(place: Place, known: Embedded) -> None:
            if known.model.hash != wanted:
                workspace.report(
                    ModelError(
                        f"The model {session.model!r} is another one than when the "
                        "session was saved: labels are as they were, but what prompts "
                        "show may differ."
                    )
                )

        workspace.do("session", check)


def annotation_of(saved: SavedImage, troubles: list[str]) -> ImageAnnotation:
    """Read what was done on an image; each part that is damaged costs that part."""
    try:
        return ImageAnnotation.from_json(saved.annotation)
    except (KeyError, TypeError, ValueError):
        kept: dict[str, Any] = {"planes": []}
        for part, value in saved.annotation.items():
            try:
                ImageAnnotation.from_json({**kept, part: value})
            except (KeyError, TypeError, ValueError):
                troubles.append(f"The {part} of “{saved.name}” are damaged: left out.")
            else:
                kept[part] = value
        return ImageAnnotation.from_json(kept)
