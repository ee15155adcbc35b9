"""Find similar in one viewer: prompts, their map and their mask."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_localdisc.annotation.state import PlaneKey, Prompt
from napari_localdisc.core.errors import ImageError, PromptError
from napari_localdisc.layers.plane import Plane, point_on_plane
from napari_localdisc.layers.points import PromptPoints

from .classes import Classes
from .mouse import ClickMode, HoverPreview
from .prompt_mask import Masks
from .shown import clear_similarity, show_similarity
from .work import Pacer, Runner, raise_error
from .workspace import Workspace
from .writing import LabelWriting

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Points

    from napari_localdisc.annotation.document import PlaneState

    from .embeddings import Embedded


class Finding(Workspace):
    """Prompts and what they find; parameters and parts as in `Controller`."""

    finding_changed = Signal(bool)
    """Clicks became prompts, or stopped to."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        pacer: Pacer | None = None,
    ) -> None:
        super().__init__(viewer, runner, report, pacer)
        self._clicks = ClickMode(viewer, self._on_click)
        self.classes = Classes(self)
        self.masks = Masks(self, self.classes)
        self.writing = LabelWriting(self, self.classes)
        self.hover = HoverPreview(self, lambda: self._clicks.takes_clicks)

    def close(self) -> None:
        """Stop all work and give the viewer its own behaviour back; layers stay."""
        self._clicks.leave()
        for part in (self.hover, self.masks, self.writing, self.classes):
            part.close()
        super().close()

    def set_model(self, name: str) -> None:
        """Choose a model; prompts are shown anew."""
        if name == self.model:
            return
        self.hover.hide()
        super().set_model(name)
        if self.prompts:
            self.request("similarity", self._show_similarity)

    def _layer_here(self, name: str) -> Any | None:
        state = self.state_here()
        derived = getattr(state, name) if state is not None else None
        return derived.layer(self.viewer) if derived is not None else None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts on the plane that is shown."""
        state = self.state_here()
        return state.annotation.prompts if state is not None else ()

    @property
    def similarity_layer(self) -> Image | None:
        """The similarity map of the plane that is shown, if it is in the viewer."""
        return self._layer_here("similarity")

    @property
    def prompts_layer(self) -> Points | None:
        """The prompts of the plane that is shown as points, if in the viewer."""
        return self._layer_here("points")

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
        if finding and self.image is not None:
            self.request("prepare", lambda layer, plane, known: self.invite())

    def add_prompt(self, point: Sequence[float], positive: bool = True) -> None:
        """Add a point that is, or is not, like what is looked for.

        Parameters
        ----------
        point : sequence of float
            (row, column) in pixels of the plane that is shown.
        positive : bool
            Whether similar pixels are wanted or unwanted.
        """
        row, column = (float(value) for value in point)
        text = "add a prompt" if positive else "add a negative prompt"
        with self.reporting():
            layer, plane = self.here()
            state = self.annotations.on(layer, plane)
            prompts = (*state.annotation.prompts, Prompt(row, column, positive))
            self._propose_prompts(layer, plane, prompts, text)

    def set_prompts(self, prompts: Sequence[Prompt], text: str = "") -> None:
        """Replace the prompts of the plane that is shown.

        Parameters
        ----------
        prompts : sequence of Prompt
            All of them.
        text : str
            What was done, for Undo's tooltip.
        """
        with self.reporting():
            layer, plane = self.here()
            self._propose_prompts(layer, plane, prompts, text or "change the prompts")

    def clear_prompts(self) -> None:
        """Forget the prompts of the plane that is shown, their map and their mask."""
        if self.prompts:
            self.set_prompts((), "clear the prompts")

    def _propose_prompts(
        self, layer: Image, plane: Plane, prompts: Sequence[Prompt], text: str
    ) -> None:
        for prompt in prompts:
            if not plane.contains(prompt.point):
                raise PromptError(
                    f"The point is outside “{layer.name}”: choose one on the image."
                )
        state = self.annotations.on(layer, plane)
        annotation = replace(state.annotation, prompts=tuple(prompts))
        self.hover.hide()
        self.annotations.propose(layer, plane, "prompts", text, annotation)
        self.prompts_changed.emit()
        self.refresh_plane(layer, plane)

    def refresh_plane(self, layer: Image, plane: Plane) -> None:
        """Show a plane's prompts, map and mask anew."""
        self.request_for(layer, plane, "similarity", self._show_similarity)

    def _show_similarity(self, layer: Image, plane: Plane, known: Embedded) -> None:
        outside = self.annotations.commit(layer, plane, known.embedding.field_of_view)
        state = self.annotations.on(layer, plane)
        state.shown = state.committed.prompts
        show_similarity(self.viewer, state, layer, plane, known)
        show_prompts(self.viewer, state, layer, plane, self._edited(layer, plane.key))
        self.masks.show(layer, plane, known)
        self.prompts_changed.emit()
        self.invite()
        if outside:
            raise PromptError(
                "The point is outside the field of view: choose one where the image "
                "shows something."
            )

    def _take_away(self, state: PlaneState) -> None:
        """Take away what shows prompts that are no longer there."""
        clear_similarity(self.viewer, state)
        self.masks.clear(state)
        state.shown = ()

    def _on_replaced(self, layer: Image) -> None:
        super()._on_replaced(layer)
        if layer in self.viewer.layers:  # it has other data
            for state in self.annotations.planes(layer):
                self._take_away(state)

    def _on_abandoned(self, layer: Image | None, plane: Plane) -> None:
        super()._on_abandoned(layer, plane)
        if layer is not None and layer in self.viewer.layers:
            state = self.annotations.on(layer, plane)
            if state.shown != state.committed.prompts:
                self._take_away(state)  # an undo whose result did not come

    def _edited(
        self, layer: Image, key: PlaneKey
    ) -> Callable[[tuple[Prompt, ...]], None]:
        """Return what takes over what the user does to a Points layer of prompts."""
        reference = weakref.ref(layer)  # the points must not keep the image alive

        def edited(prompts: tuple[Prompt, ...]) -> None:
            layer = reference()
            if layer is None or self._is_closed or layer not in self.viewer.layers:
                return
            self._on_points(layer, self.plane_of(layer, key), prompts)

        return edited

    def _on_points(
        self, layer: Image, plane: Plane, prompts: tuple[Prompt, ...]
    ) -> None:
        state = self.annotations.on(layer, plane)
        more = len(prompts) - len(state.annotation.prompts)
        done = "move" if more == 0 else "add" if more > 0 else "delete"
        try:
            with self.reporting():
                self._propose_prompts(layer, plane, prompts, f"{done} a prompt")
        finally:
            if state.annotation.prompts != prompts and state.points is not None:
                placement = plane.placement(layer)
                state.points.show(self.viewer, state.annotation.prompts, placement)

    def _on_click(self, position: tuple[float, ...], positive: bool) -> None:
        dims = self.viewer.dims
        with self.reporting():
            if dims.ndisplay != 2:
                raise ImageError("Switch to 2-D display before you click on the image.")
            layer, plane = self.here()
            point = point_on_plane(layer, plane, position, dims)
            self.add_prompt(point, positive)

    def invite(self) -> None:
        """Say what can be done next."""
        if self.image is None or self.model is None or not self.is_finding:
            super().invite()
        elif any(prompt.positive for prompt in self.prompts):
            self.say("Click on more of it; Shift + click on what is not meant.")
        else:
            self.say("Click on what you look for; Shift + click on what it is not.")


def show_prompts(
    viewer: ViewerModel,
    state: PlaneState,
    layer: Image,
    plane: Plane,
    on_edit: Callable[[tuple[Prompt, ...]], None],
) -> None:
    """Show the prompts as a Points layer, which is taken away with the last one."""
    prompts = state.committed.prompts
    if not prompts:
        if state.points is not None:
            state.points.remove(viewer)
        state.points = None
        return
    placement = plane.placement(layer)
    if state.points is None or not state.points.show(viewer, prompts, placement):
        name = f"{layer.name} prompts{plane.caption}"
        state.points = PromptPoints(viewer, plane, placement, name, on_edit)
        state.points.show(viewer, prompts, placement)
