"""Where what is shown and what is computed from may not be the same picture.

Each doubt is a sentence and what can be done about it; nothing is done unasked.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_localdisc.annotation.state import ImageAnnotation
from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.upright import Stored
from napari_localdisc.layers.as_meant import show_as_meant, stored
from napari_localdisc.layers.as_shown import (
    as_shown,
    has_far_limits,
    is_inverted,
    range_of,
)

from .work import disconnect_all, run_beside
from .workspace import Workspace


@dataclass(frozen=True)
class Choice:
    """What can be done about a doubt.

    Attributes
    ----------
    title : str
        Of its button.
    about : str
        What it does.
    do : callable
        Does it.
    """

    title: str
    about: str
    do: Callable[[], None]


@dataclass(frozen=True)
class Doubt:
    """A sentence about the image that is worked on, and the choices there are."""

    text: str
    choices: tuple[Choice, ...]


class Doubts:
    """Finds what is doubtful about the image that is worked on.

    Parameters
    ----------
    workspace : Workspace
        Whose image.
    """

    changed = Signal()
    """There is another doubt, or none."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settled: weakref.WeakKeyDictionary[Image, set[str]]
        self._settled = weakref.WeakKeyDictionary()
        self._followed: weakref.ref[Image] | None = None
        self._how: Stored | None = None
        self.current: Doubt | None = None
        workspace.image_changed.connect(self._on_image)
        workspace.replaced.connect(self._on_replaced)
        self._on_image()

    def close(self) -> None:
        """Follow the image no longer."""
        self._follow(None)
        disconnect_all(self)

    def _follow(self, layer: Image | None) -> None:
        before = self._followed() if self._followed is not None else None
        for image, verb in ((before, "disconnect"), (layer, "connect")):
            if image is not None:
                for event in (image.events.colormap, image.events.contrast_limits):
                    getattr(event, verb)(self._look)
        self._followed = None if layer is None else weakref.ref(layer)

    def _on_image(self) -> None:
        self._follow(self._workspace.images.current)
        self._look()

    def _on_replaced(self, layer: Image) -> None:
        if layer is self._workspace.images.current:
            self._look()

    def _look(self, event: Any = None) -> None:
        layer = self._workspace.images.current
        if event is None and layer is not None:
            # Colours and limits change many times a second, the file does not
            self._how = stored(layer)
        doubt = None if layer is None else self._doubt(layer)
        if doubt is not None or self.current is not None:
            self.current = doubt
            self.changed.emit()

    def _doubt(self, layer: Image) -> Doubt | None:
        settled = self._settled.get(layer, set())
        how = self._how if "stored" not in settled else None
        if how:
            title = "Turn upright" if how.orientation > 1 else "Show as meant"
            return Doubt(
                f"“{layer.name}” is shown as its file stores it, but the file says "
                f"that {how}.",
                (
                    Choice(
                        title,
                        "Show the picture that the file means, as files are read "
                        "everywhere else",
                        partial(self._show_as_meant, layer),
                    ),
                    self._leave(layer, "stored"),
                ),
            )
        if "shown" in settled:
            return None
        inverted, far = is_inverted(layer), has_far_limits(layer)
        if not inverted and not far:
            return None
        low, high = (f"{value:.4g}" for value in layer.contrast_limits)
        said = []
        if inverted:
            said.append(f"inverted ({layer.colormap.name})")
        if far:
            first, last = (f"{value:.4g}" for value in range_of(layer))
            said.append(
                f"with contrast limits {low} to {high}, while its values go from "
                f"{first} to {last}"
            )
        return Doubt(
            f"“{layer.name}” is shown {' and '.join(said)}: the model sees its values, "
            "not what is shown.",
            (
                Choice(
                    "Use as shown",
                    "Work on a copy whose values are those of the picture on the "
                    "screen; this layer stays as it is",
                    partial(self._use_as_shown, layer),
                ),
                Choice(
                    "Show its values",
                    "Show the layer as the model sees it",
                    partial(self._show_values, layer),
                ),
                self._leave(layer, "shown"),
            ),
        )

    def _leave(self, layer: Image, what: str) -> Choice:
        return Choice(
            "Leave", "Everything stays as it is", partial(self._settle, layer, what)
        )

    def _settle(self, layer: Image, what: str) -> None:
        self._settled.setdefault(layer, set()).add(what)
        self._look()

    def _show_as_meant(self, layer: Image) -> None:
        workspace = self._workspace
        with workspace.reporting():
            document = workspace.annotations.of(layer)
            if document.describe() != ImageAnnotation() or document.layers:
                raise ImageError(
                    f"What was done on “{layer.name}” was done as it is shown, and "
                    "stays so: open the file once more, and turn that."
                )
        path = str(layer.source.path)

        def work() -> Any:
            from napari_localdisc.core.image.files import read_image

            return read_image(path)

        def done(picture: Any) -> None:
            if workspace.is_closed or layer not in workspace.viewer.layers:
                return
            with workspace.reporting():
                show_as_meant(layer, picture)
                workspace.status.say(f"“{layer.name}” is shown as its file means it.")

        run_beside(workspace.runner, work, workspace.report, done)

    def _use_as_shown(self, layer: Image) -> None:
        workspace = self._workspace
        data = layer.data
        with workspace.reporting():
            if not isinstance(data, np.ndarray):
                raise ImageError(
                    f"“{layer.name}” is not in memory, and is worked on by its values."
                )
        if not isinstance(data, np.ndarray):
            return
        limits = float(layer.contrast_limits[0]), float(layer.contrast_limits[1])
        inverted = is_inverted(layer)
        placed = {
            key: getattr(layer, key)
            for key in ("scale", "translate", "rotate", "shear", "units", "axis_labels")
        }

        def work() -> Any:
            return as_shown(data, limits, inverted=inverted)

        def done(picture: Any) -> None:
            if workspace.is_closed or layer not in workspace.viewer.layers:
                return
            full = np.iinfo(picture.dtype).max
            copy = Image(
                picture,
                name=f"{layer.name} as shown",
                contrast_limits=(0, full),
                affine=layer.affine.affine_matrix,
                **placed,
            )
            workspace.viewer.add_layer(copy)
            layer.visible = False
            self._settle(copy, "shown")
            workspace.images.choose(copy)

        run_beside(workspace.runner, work, workspace.report, done)

    def _show_values(self, layer: Image) -> None:
        if is_inverted(layer):
            layer.colormap = "gray"
        if has_far_limits(layer):
            low, high = range_of(layer)
            layer.contrast_limits = (low, max(high, low + 1e-6))
        self._look()
