"""Frames among the prompts as a Shapes layer: outlines, to be moved or deleted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_localdisc.annotation.state import Frame, Prompt

from .ours import Ours, place
from .plane import METADATA_KEY, Plane
from .points import COLOURS

_FEATURE = "positive"
_SETTLED = {"added", "removed", "changed"}
_WIDTH = 1 / 400
"""Of a line, in the image's longer side."""


class PromptFrames(Ours):
    """Shows the frames of a plane, and reports what the user does to them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    plane : Plane
        What they are on.
    placement : dict
        From `Plane.placement`.
    name : str
        Of the new layer.
    on_edit : callable, optional
        Gets the frames as the user has changed them; without it they are a sketch.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        plane: Plane,
        placement: dict[str, Any],
        name: str,
        on_edit: Callable[[tuple[Prompt, ...]], None] | None = None,
    ) -> None:
        self._axes = list(plane.axes)
        self._ndim = len(plane.index)
        self._width = max(0.5, _WIDTH * max(plane.shape))
        self._on_edit = on_edit
        self._prompts: tuple[Prompt, ...] = ()
        self._drawn: list[NDArray[np.float64]] = []
        layer = Shapes(
            ndim=self._ndim,
            name=name,
            metadata={METADATA_KEY: {"frames": True}},
            **placement,
        )
        super().__init__(viewer, layer)
        layer.events.data.connect(self._on_data)

    def show(self, prompts: Sequence[Prompt], placement: dict[str, Any]) -> bool:
        """Show other frames; false if the layer is gone."""
        layer = self.layer
        if layer is None:
            return False
        if self._read(layer) != tuple(prompts):
            self._write(layer, prompts)
        place(layer, placement)
        return True

    def _write(self, layer: Shapes, prompts: Sequence[Prompt]) -> None:
        self._prompts = tuple(prompts)
        self._drawn = [self._corners(prompt.frame) for prompt in prompts]
        colours = [COLOURS[prompt.positive] for prompt in prompts]
        with layer.events.data.blocker():
            layer.selected_data = set()
            layer.data = []
            if self._drawn:
                layer.add(
                    self._drawn,
                    shape_type="polygon",
                    edge_width=self._width,
                    edge_color=colours,
                    face_color="transparent",
                )
                layer.features = {_FEATURE: [prompt.positive for prompt in prompts]}
        layer.current_edge_color = COLOURS[True]
        layer.current_face_color = "transparent"
        layer.feature_defaults = {_FEATURE: True}

    def _corners(self, frame: Frame) -> NDArray[np.float64]:
        points = np.array(frame, float)
        if len(points) == 2:
            (top, left), (bottom, right) = points
            points = np.array(
                [(top, left), (top, right), (bottom, right), (bottom, left)]
            )
        corners = np.zeros((len(points), self._ndim))
        corners[:, self._axes] = points
        return corners

    def _read(self, layer: Shapes) -> tuple[Prompt, ...]:
        known = [(corners, prompt) for corners, prompt in self._known()]
        sides = layer.features.get(_FEATURE)
        found = []
        for number, corners in enumerate(layer.data):
            same = [prompt for old, prompt in known if _is_same(old, corners)]
            positive = sides is None or bool(sides.to_numpy()[number])
            points = [tuple(point) for point in corners[:, self._axes].tolist()]
            found.append(same[0] if same else Prompt.around(points, positive))
        return tuple(found)

    def _known(self) -> list[tuple[NDArray[np.float64], Prompt]]:
        return list(zip(self._drawn, self._prompts, strict=True))

    def _on_data(self, event: Any) -> None:
        action = str(getattr(event.action, "value", event.action))
        if action in _SETTLED and self._on_edit is not None:
            self._on_edit(self._read(event.source))


def _is_same(old: NDArray[np.float64], new: NDArray[np.float64]) -> bool:
    return old.shape == new.shape and bool(np.allclose(old, new))
