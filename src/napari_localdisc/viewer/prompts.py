"""Find similar: prompts, their map and their mask, and the mask into the labels."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image, Points, Shapes
from psygnal import Signal

from napari_localdisc.annotation.sources import Prompts as MaskSource
from napari_localdisc.annotation.state import (
    PlaneAnnotation,
    PlaneKey,
    Point,
    Prompt,
    upright,
    with_edited,
)
from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.errors import ImageError, PromptError
from napari_localdisc.layers.colours import ramp
from napari_localdisc.layers.frames import PromptFrames
from napari_localdisc.layers.ours import Look, update_thumbnails
from napari_localdisc.layers.plane import point_on_plane
from napari_localdisc.layers.points import PromptPoints

from .classes import Classes
from .embeddings import Embedded
from .mouse import TOOLS, ClickMode, HoverPreview, World
from .prompt_mask import PromptMask
from .shown import Place, Shown
from .work import disconnect_all, run_beside
from .workspace import Workspace
from .writing import LabelWriting, of_source

SKETCH = "frame"
"""What is being drawn is called, among our layers."""

THRESHOLD_STEP = 0.02
"""What a key press moves the threshold by."""


class Prompts:
    """Points that are, or are not, like what is looked for, and how they are read.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What the mask becomes.
    writing : LabelWriting
        Writes it into the labels.
    mask : PromptMask
        Shows it.

    Attributes
    ----------
    hover : HoverPreview
        The preview under the cursor.
    """

    changed = Signal()
    """Prompts or options are others, or map and mask that show them."""
    finding_changed = Signal(bool)
    """Clicks became prompts, or stopped to."""
    tool_changed = Signal(str)
    """A drag draws something else, see `TOOLS`."""

    def __init__(
        self,
        workspace: Workspace,
        classes: Classes,
        writing: LabelWriting,
        mask: PromptMask,
    ) -> None:
        self._workspace = workspace
        self._classes = classes
        self._writing = writing
        self._mask = mask
        self._clicks = ClickMode(workspace.viewer, self._on_click, self._on_frame)
        self.hover = HoverPreview(workspace, lambda: self._clicks.takes_clicks)
        workspace.image_changed.connect(self.invite)
        workspace.replaced.connect(self._on_replaced)
        workspace.embeddings.abandoned.connect(self._on_abandoned)

    def close(self) -> None:
        """Give the viewer its own mouse back, and let go of all listeners."""
        self._clicks.leave()
        self.hover.close()
        disconnect_all(self)

    # What there is

    @property
    def annotation(self) -> PlaneAnnotation:
        """Prompts on the plane that is shown, and how they become a mask."""
        place = self._workspace.place_or_none()
        return place.state.annotation if place is not None else PlaneAnnotation()

    @property
    def points(self) -> tuple[Prompt, ...]:
        """Prompts on the plane that is shown."""
        return self.annotation.prompts

    @property
    def options(self) -> MaskOptions:
        """How the prompts of the plane that is shown become a mask."""
        return self.annotation.options

    @property
    def similarity_layer(self) -> Image | None:
        """The similarity map of the plane that is shown, if it is in the viewer."""
        return self._workspace.layer("similarity")

    @property
    def points_layer(self) -> Points | None:
        """The prompts of the plane that is shown as points, if in the viewer."""
        return self._workspace.layer("prompts")

    @property
    def frames_layer(self) -> Shapes | None:
        """The frames of the plane that is shown, if in the viewer."""
        return self._workspace.layer("frames")

    # The mode

    @property
    def tool(self) -> str:
        """What a drag in the canvas does, one of `TOOLS`."""
        return self._clicks.tool

    def set_tool(self, tool: str) -> None:
        """Let drags pan (``"click"``), or draw a ``"box"`` or a ``"lasso"``."""
        if tool not in TOOLS:
            raise ValueError(f"a tool is one of {TOOLS}, not {tool!r}")
        if tool != self._clicks.tool:
            self._clicks.tool = tool
            self.tool_changed.emit(tool)
            self.invite()
        if tool != TOOLS[0]:
            self.set_finding(True)

    def choose_next_tool(self) -> None:
        """Choose the tool that follows in `TOOLS`; outside of the mode a box."""
        number = TOOLS.index(self.tool) if self.is_finding else 0
        self.set_tool(TOOLS[(number + 1) % len(TOOLS)])

    @property
    def is_finding(self) -> bool:
        """Whether clicks in the canvas are prompts."""
        return self._clicks.is_active

    def set_finding(self, finding: bool) -> None:
        """Let clicks in the canvas be prompts, or stop to."""
        if finding == self._clicks.is_active:
            return
        if finding:
            self._clicks.enter()
            self.hover.start()
        else:
            self.hover.stop()
            self._clicks.leave()
        self.finding_changed.emit(finding)
        self.invite()
        if finding and self._workspace.images.current is not None:
            self._workspace.do("prepare", self._prepare)

    def _prepare(self, place: Place, known: Embedded) -> None:
        """Have what the first click needs made before it comes."""
        workspace = self._workspace
        run_beside(workspace.runner, known.embedding.get_ready, workspace.report)
        self.invite()

    def invite(self, prompts: Sequence[Prompt] | None = None, taken: str = "") -> None:
        """Say what can be done next with these prompts, or those that are shown.

        ``taken`` says what they are taken to mean.
        """
        workspace = self._workspace
        if prompts is None and workspace.images.current is None:
            text = "Open an image, or take the one in File > Open Sample."
        elif workspace.models.name is None:
            text = "No model is installed."
        elif not self._clicks.is_active:
            text = "Cluster the structures, or find what is similar to a click."
        else:
            prompts = self.points if prompts is None else prompts
            if self._clicks.tool != TOOLS[0]:
                what = "Draw around it"
                text = f"{what}; with Shift around what is not meant; or click."
                text = f"{taken} {text}".strip()
            elif any(prompt.positive for prompt in prompts):
                text = "Click on more of it; Shift + click on what is not meant."
                text = f"{taken} {text}".strip()
            else:
                text = "Click on what you look for; Shift + click on what it is not."
        workspace.status.say(text)

    # Prompts and options

    def add(self, point: Sequence[float], positive: bool = True) -> None:
        """Add a point that is, or is not, like what is looked for.

        Parameters
        ----------
        point : sequence of float
            (row, column) in pixels of the plane that is shown.
        positive : bool
            Whether similar pixels are wanted or unwanted.
        """
        with self._workspace.reporting():
            self._add(self._workspace.place(), point, positive)

    def _add(self, place: Place, point: Sequence[float], positive: bool) -> None:
        row, column = (float(value) for value in point)
        text = "add a prompt" if positive else "add a negative prompt"
        before = place.state.annotation
        prompts = (*before.prompts, Prompt(row, column, positive))
        self._propose(place, before, prompts, text)

    def add_frame(self, corners: Sequence[Point], positive: bool = True) -> None:
        """Add what is drawn around an object that is, or is not, looked for.

        Parameters
        ----------
        corners : sequence of (row, column)
            In pixels of the plane that is shown: two opposite ones of a box, or three
            and more of a lasso.  What lies off the image is cut off.
        positive : bool
            Whether what is in it is wanted or unwanted.
        """
        with self._workspace.reporting():
            place = self._workspace.place()
            limits = np.array(place.plane.shape) - 1
            framed = np.clip(np.asarray(corners, float), 0, limits)
            if len(framed) < 2 or (np.ptp(framed, axis=0) < 1).any():
                raise PromptError("Draw around something on the image.")
            before = place.state.annotation
            added = Prompt.around([(row, column) for row, column in framed], positive)
            kind = "box" if len(framed) == 2 else "lasso"
            text = f"add a {kind}" if positive else f"add a negative {kind}"
            self._propose(place, before, (*before.prompts, added), text)

    def set(self, prompts: Sequence[Prompt], text: str = "change the prompts") -> None:
        """Replace the prompts of the plane that is shown.

        Parameters
        ----------
        prompts : sequence of Prompt
            All of them.
        text : str
            What was done, for Undo's tooltip.
        """
        with self._workspace.reporting():
            place = self._workspace.place()
            self._propose(place, place.state.annotation, tuple(prompts), text)

    def clear(self) -> None:
        """Forget the prompts of the plane that is shown, their map and their mask."""
        if self.points:
            self.set((), "clear the prompts")

    def set_options(self, **changes: Any) -> None:
        """Change ``threshold``, ``connected``, ``smooth`` or ``minimum_size``.

        Raises
        ------
        PromptError
            If a threshold is not in [0, 1], or a size is negative.
        """
        with self._workspace.reporting():
            place = self._workspace.place()
            before = place.state.annotation
            options = replace(before.options, **changes)
            threshold = options.threshold
            if threshold is not None and not 0 <= threshold <= 1:
                raise PromptError(f"A threshold is between 0 and 1, not {threshold:g}.")
            if options.minimum_size < 0:
                raise PromptError("A piece cannot have fewer than 0 pixels.")
            if options == before.options:
                self._mask.end_preview(place.shown)
                return
            names = (name.replace("_", " ") for name in sorted(changes))
            text = f"change {' and '.join(names)}"
            wanted = replace(before, options=options)
            place.document.propose(place.plane.index, "options", text, wanted)
            self.refresh(place)

    def move_threshold(self, steps: int) -> None:
        """Move the threshold of a mask up or down."""
        threshold = self._mask.threshold
        if threshold is not None:
            wanted = min(1.0, max(0.0, threshold + steps * THRESHOLD_STEP))
            self.set_options(threshold=round(wanted, 4))

    def _propose(
        self,
        place: Place,
        before: PlaneAnnotation,
        prompts: tuple[Prompt, ...],
        text: str,
    ) -> None:
        points = [(prompt.row, prompt.column) for prompt in prompts]
        if not place.plane.contains(*points):
            raise PromptError(
                f"The point is outside “{place.layer.name}”: choose one on the image."
            )
        into = before.into if prompts else None
        wanted = replace(before, prompts=prompts, into=into)
        self.hover.hide(place)
        place.document.propose(place.plane.index, "prompts", text, wanted)
        self.refresh(place)

    # Map, points and mask

    def refresh(self, place: Place) -> None:
        """Show a plane's prompts, map and mask anew; errors are raised."""
        state = place.state
        try:
            self._workspace.request(place, "similarity", self._show)
        finally:
            if state.pending or place.shown.prompts != state.committed.prompts:
                self.changed.emit()  # the result, which comes later, says so again

    def _show(self, place: Place, known: Embedded) -> None:
        field_of_view = known.embedding.field_of_view
        outside = place.document.commit(place.plane.index, field_of_view)
        annotation = place.state.committed
        prompts = place.shown.prompts = annotation.prompts
        source = MaskSource.of(prompts, annotation.options)
        taken = waits_for = ""
        if source.positive or source.frames:
            reading, embedding = source.read(known.embedding), known.embedding
            waits_for = reading.waits_for
            if waits_for:  # meanwhile what the first look shows
                reading = source.read(embedding, closer=False)
            points = list(source.positive), list(source.negative)
            made = known.provenance(positive=points[0], negative=points[1])
            if source.frames or source.negative_frames:
                made["frames"] = list(source.frames)
                made["negative_frames"] = list(source.negative_frames)
            values = np.where(embedding.inside, reading.map_on_grid, np.float32(0))
            look = Look(ramp("similarity"))
            layers = (
                place.show("similarity", values, look, made, grid=embedding.grid),
                self._mask.show(place, reading, made),
            )
            if place.shown.mask is not None:
                meaning = place.shown.mask.meaning or "what looks like this"
                taken = f"Taken as: {meaning}."
            self._show_points(place, prompts)
            soon = partial(update_thumbnails, layers)
            self._workspace.pacer.soon("thumbnails", 500, soon)
        else:
            place.shown.remove("similarity")
            self._show_points(place, prompts)
            self._mask.clear(place.shown)
        self.changed.emit()
        self.invite(prompts, taken)
        if waits_for:
            self._workspace.request(place, "similarity", self._show, waits_for)
        if outside:
            raise PromptError(
                "The point is outside the field of view: choose one where the image "
                "shows something."
            )

    def _show_points(self, place: Place, prompts: tuple[Prompt, ...]) -> None:
        """Show the prompts as a Points layer, which is taken away with the last one."""
        framed = [each for each in prompts if each.frame]
        if framed:
            self._show_frames(place, framed)
            prompts = tuple([each for each in prompts if not each.frame])
        elif "frames" in place.shown.ours:
            place.shown.remove("frames")
        if not prompts:
            place.shown.remove("prompts")
            return
        points = place.shown.ours.get("prompts")
        if not (
            isinstance(points, PromptPoints) and points.show(prompts, place.placement)
        ):
            points = place.shown.ours["prompts"] = PromptPoints(
                self._workspace.viewer,
                place.plane,
                place.placement,
                place.name("prompts"),
                self._edited(place.layer, place.plane.index),
            )
            points.show(prompts, place.placement)

    def _show_frames(self, place: Place, frames: Sequence[Prompt]) -> None:
        """Show frames as a Shapes layer."""
        known = place.shown.ours.get("frames")
        if isinstance(known, PromptFrames) and known.show(frames, place.placement):
            return
        known = place.shown.ours["frames"] = PromptFrames(
            self._workspace.viewer,
            place.plane,
            place.placement,
            place.name("frames"),
            self._edited(place.layer, place.plane.index, is_frames=True),
        )
        known.show(frames, place.placement)

    def _edited(
        self, layer: Image, key: PlaneKey, is_frames: bool = False
    ) -> Callable[[tuple[Prompt, ...]], None]:
        """Return what takes over what the user does to a layer of points or frames."""
        reference = weakref.ref(layer)  # the points must not keep the image alive

        def edited(prompts: tuple[Prompt, ...]) -> None:
            layer, workspace = reference(), self._workspace
            if layer is None or workspace.is_closed:
                return
            if layer in workspace.viewer.layers:
                self._on_edited(workspace.place_of(layer, key), prompts, is_frames)

        return edited

    def _on_edited(
        self, place: Place, prompts: tuple[Prompt, ...], is_frames: bool
    ) -> None:
        before = place.state.annotation
        edited = [each for each in before.prompts if bool(each.frame) is is_frames]
        more = len(prompts) - len(edited)
        done = "move" if more == 0 else "add" if more > 0 else "delete"
        every = with_edited(before.prompts, prompts, is_frames)
        try:
            with self._workspace.reporting():
                self._propose(place, before, every, f"{done} a prompt")
        finally:
            wanted = place.state.annotation.prompts
            if wanted != every:
                self._show_points(place, wanted)

    def _on_frame(self, corners: list[World], positive: bool, done: bool) -> None:
        """Show what is being drawn; take it over once it is done."""
        workspace, place = self._workspace, self._workspace.place_or_none()
        dims = workspace.viewer.dims
        if place is None or dims.ndisplay != 2:
            return
        if done:
            place.shown.remove(SKETCH)
        with workspace.reporting():
            points = [
                point_on_plane(place.layer, place.plane, corner, dims)
                for corner in corners
            ]
            if done:
                self.add_frame(upright(points), positive)
                return
        sketch = place.shown.ours.get(SKETCH)
        if not isinstance(sketch, PromptFrames):
            sketch = place.shown.ours[SKETCH] = PromptFrames(
                workspace.viewer, place.plane, place.placement, place.name(SKETCH)
            )
        if len(points) > 2:
            sketch.show([Prompt.around(points, positive)], place.placement)

    def _on_click(self, position: tuple[float, ...], positive: bool) -> None:
        dims = self._workspace.viewer.dims
        with self._workspace.reporting():
            if dims.ndisplay != 2:
                raise ImageError("Switch to 2-D display before you click on the image.")
            place = self._workspace.place()
            point = point_on_plane(place.layer, place.plane, position, dims)
            self._add(place, point, positive)

    # What happens elsewhere

    def _take_away(self, shown: Shown) -> None:
        """Take away what shows prompts that are no longer there."""
        shown.remove("similarity", "prompts", "frames", SKETCH)
        shown.prompts = ()
        self._mask.clear(shown)

    def _on_replaced(self, layer: Image) -> None:
        if layer in self._workspace.viewer.layers:  # it has other data
            for shown in self._workspace.shown_of(layer).values():
                self._take_away(shown)

    def _on_abandoned(self, place: Place) -> None:
        place.state.pending.clear()
        if (
            place.layer in self._workspace.viewer.layers
            and place.shown.prompts != place.state.committed.prompts
        ):
            self._take_away(place.shown)  # an undo whose result did not come
        self.changed.emit()
        self.invite()

    # Into the labels

    def add_mask(self) -> None:
        """Write the mask as the class of ``mask.destination``; the prompts are done."""
        self._workspace.do("add mask", self._add_mask)

    def _add_mask(self, place: Place, known: Embedded) -> None:
        place.document.commit(place.plane.index, known.embedding.field_of_view)
        annotation = place.state.committed
        source = MaskSource.of(annotation.prompts, annotation.options)
        if not source.is_positive:
            raise PromptError(
                "There is no mask yet: turn on Find similar and click on what you look "
                "for."
            )
        reading = source.read(known.embedding)
        if reading.waits_for:
            self._workspace.request(
                place, "add mask", self._add_mask, reading.waits_for
            )
            return
        source = replace(source, threshold=reading.threshold)
        meaning = reading.meaning
        into, _ = self._classes.destination(place, meaning)
        entry = into.entry or self._classes.new(into.name)
        options = replace(annotation.options, threshold=None)
        done = replace(annotation, prompts=(), options=options, into=None)
        text = f"add the mask to “{entry.name}”"
        writing = of_source(known, source, text, entry, reading.mask, meaning)
        written = self._writing.write(place, known, writing, done)
        self.refresh(place)
        self._workspace.status.say(written)
