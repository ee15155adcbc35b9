"""Prompts as a Points layer: to be dragged, deleted, added to and saved."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Points
from numpy.typing import NDArray

from napari_localdisc.annotation.state import Prompt

from .ours import Ours
from .plane import METADATA_KEY, Plane

SYMBOLS = {True: "cross", False: "hbar"}
"""A plus and a minus: they can be told apart without their colours."""

COLOURS = {True: "#00d45a", False: "#ff2ec4"}
_FEATURE = "positive"
_SETTLED = {"added", "removed", "changed"}


class PromptPoints(Ours):
    """Shows the prompts of a plane, and reports what the user does to them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    plane : Plane
        What the prompts are on.
    placement : dict
        From `Plane.placement`.
    name : str
        Of the new layer.
    on_edit : callable
        Gets the prompts as the user has changed them.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        plane: Plane,
        placement: dict[str, Any],
        name: str,
        on_edit: Callable[[tuple[Prompt, ...]], None],
    ) -> None:
        self._axes = list(plane.axes)
        self._ndim = len(plane.index)
        self._on_edit = on_edit
        layer = Points(
            np.zeros((0, len(plane.index))),
            name=name,
            features={_FEATURE: np.zeros(0, bool)},
            size=max(plane.shape) / 45,
            symbol=SYMBOLS[True],
            face_color=COLOURS[True],
            border_color=COLOURS[True],  # in a small canvas it covers all of it
            canvas_size_limits=(11, 26),
            metadata={METADATA_KEY: {"prompts": True}},
            **placement,
        )
        layer.feature_defaults = {_FEATURE: True}
        super().__init__(viewer, layer)
        layer.events.data.connect(self._on_data)

    def show(self, prompts: Sequence[Prompt], placement: dict[str, Any]) -> bool:
        """Show other prompts; false if the layer is gone."""
        layer = self.placed(placement)
        if layer is None:
            return False
        if self._read(layer) != tuple(prompts):
            self._write(layer, prompts)
        return True

    def _write(self, layer: Points, prompts: Sequence[Prompt]) -> None:
        positive = [prompt.positive for prompt in prompts]
        # Drawn once, when all of it is there
        with layer.events.blocker_all():
            layer.selected_data = set()
            layer.data = self._coordinates(prompts)
            layer.features = {_FEATURE: positive}
            layer.symbol = [SYMBOLS[side] for side in positive]
            layer.face_color = layer.border_color = [COLOURS[at] for at in positive]
            layer.feature_defaults = {_FEATURE: True}
        layer.refresh()

    def _coordinates(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        coordinates = np.zeros((len(prompts), self._ndim))
        for row, prompt in zip(coordinates, prompts, strict=True):
            row[self._axes] = prompt.row, prompt.column
        return coordinates

    def _read(self, layer: Points) -> tuple[Prompt, ...]:
        points = np.asarray(layer.data, float)[:, self._axes]
        sides = layer.features[_FEATURE].to_numpy()
        return tuple(
            Prompt(float(row), float(column), bool(positive))
            for (row, column), positive in zip(points, sides, strict=True)
        )

    def _on_data(self, event: Any) -> None:
        action = str(getattr(event.action, "value", event.action))
        if action in _SETTLED:
            self._on_edit(self._read(event.source))
