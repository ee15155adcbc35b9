"""Named structures tuned by hand: a live outline, and what it does to the area."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_localdisc.annotation.state import PlaneAnnotation
from napari_localdisc.core.embedding.tuning import StructureOptions
from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.layers.colours import mask_colours
from napari_localdisc.layers.ours import Look

from .embeddings import Embedded
from .shown import Place
from .work import disconnect_all
from .workspace import Workspace

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

OPACITY = 0.9
LAYER = "tuned structure"
"""What the outline is called among our layers."""


@dataclass(frozen=True)
class TunedArea:
    """How large a structure is as tuned, and as it is found by default.

    Attributes
    ----------
    pixels, usual : int
        As tuned, and by default.
    seen : int
        Of the field of view.
    """

    pixels: int
    usual: int
    seen: int

    def __str__(self) -> str:
        text = f"{self.pixels:,} pixels, {self.pixels / max(1, self.seen):.2%} of the "
        text += "field of view"
        if self.pixels == self.usual:
            return f"{text}, as by default."
        change = self.pixels - self.usual
        share = f" ({change / self.usual:+.1%})" if self.usual else ""
        return f"{text}; {change:+,}{share} against the default."


class Tuning:
    """Options of the structures of each plane; one structure is tuned at a time.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    """

    changed = Signal()
    """Another structure is tuned, or none; its options or area are others."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.name = ""
        """The structure that is tuned; empty: none."""
        self.area: TunedArea | None = None
        """Of the plane that is shown; None while it is not known."""
        self._dragged: StructureOptions | None = None
        self._found: tuple[weakref.ref[Embedding], str, FloatImage] | None = None
        workspace.plane_changed.connect(self._on_plane)
        workspace.model_changed.connect(self._on_model)
        workspace.embeddings.abandoned.connect(self._on_abandoned)

    def close(self) -> None:
        """Take the outline away, and let go of all listeners."""
        self.tune("")
        disconnect_all(self)

    @property
    def layer(self) -> Labels | None:
        """The outline of what is tuned, if it is in the viewer."""
        return self._workspace.layer(LAYER)

    @property
    def options(self) -> StructureOptions:
        """How the structure that is tuned becomes a mask."""
        place = self._workspace.place_or_none()
        if self._dragged is not None:
            return self._dragged
        if place is None:
            return StructureOptions()
        return options_of(place.state.annotation, self.name)

    def tune(self, name: str) -> None:
        """Tune a structure, whose outline shows then; empty: none any more."""
        if name == self.name:
            return
        self._take_away()
        self.name = name
        self._dragged = self.area = None
        self.changed.emit()
        if name:
            with self._workspace.reporting():
                place = self._workspace.place()
                self._workspace.request(place, "tune", self._show, name)

    def preview(self, **changes: Any) -> None:
        """Show what other options would do, while a hand drags."""
        self._dragged = replace(self.options, **changes)
        place = self._workspace.place_or_none()
        known = self._workspace.known(place)
        if place is None or known is None or not self.name:
            return
        if known.embedding.is_looked_at(self.name):
            self._draw(place, known, self._dragged)

    def set_options(self, **changes: Any) -> None:
        """Change options of the structure that is tuned, as a step to be undone.

        Raises
        ------
        PromptError
            If one is impossible.
        """
        with self._workspace.reporting():
            place = self._workspace.place()
            before = place.state.annotation
            options = replace(options_of(before, self.name), **changes)
            self._dragged = None
            options.check()
            tuned = {**before.structures, self.name: options}
            if not options.given:
                del tuned[self.name]
            if not self.name or tuned == before.structures:
                self.refresh(place)
                return
            wanted = replace(before, structures=tuned)
            index, text = place.plane.index, f"tune {self.name}"
            place.document.propose(index, "structures", text, wanted)
            self._workspace.request(place, "tune", self._show, self.name)

    def reset(self) -> None:
        """Find the structure as by default."""
        self.set_options(**vars(StructureOptions()))

    def refresh(self, place: Place) -> None:
        """Show the outline of a plane anew, if a structure is tuned and it is known."""
        known = self._workspace.known(place)
        if self.name and known is not None:
            self._workspace.request(place, "tune", self._show, self.name)
        else:
            self.changed.emit()

    def _show(self, place: Place, known: Embedded) -> None:
        place.document.commit(place.plane.index, known.embedding.field_of_view)
        if self.name:
            self._draw(place, known, options_of(place.state.annotation, self.name))
            self._workspace.status.say(
                "Drag the threshold: the outline follows. What is written is what you "
                "see outlined."
            )

    def _draw(self, place: Place, known: Embedded, options: StructureOptions) -> None:
        probability = self._probability(known, self.name)
        mask: Mask = known.embedding.tuned(probability, options)
        usual = np.count_nonzero(probability >= StructureOptions().threshold)
        seen = np.count_nonzero(known.embedding.field_of_view)
        self.area = TunedArea(int(np.count_nonzero(mask)), int(usual), int(seen))
        colour = self._workspace.models.colours[self.name]
        look = Look(mask_colours(colour)[:2], OPACITY, below="prompts", editable=False)
        made = known.provenance(structure=self.name, **vars(options))
        name = f"{self.name} outline"
        place.show(LAYER, mask.view(np.uint8), look, made, name=name)
        self.changed.emit()

    def _probability(self, known: Embedded, name: str) -> FloatImage:
        """Ask once for what every move of a slider cuts."""
        found = self._found
        if found is None or found[0]() is not known.embedding or found[1] != name:
            probability = known.embedding.structure(name)
            self._found = weakref.ref(known.embedding), name, probability
            return probability
        return found[2]

    # What happens elsewhere

    def _take_away(self) -> None:
        for image in self._workspace.images.images:
            for shown in self._workspace.shown_of(image).values():
                shown.remove(LAYER)

    def _on_plane(self) -> None:
        self._dragged = self.area = None
        place = self._workspace.place_or_none()
        if place is not None:
            self.refresh(place)

    def _on_model(self) -> None:
        if self.name not in self._workspace.models.structures:
            self.tune("")
        else:
            self._on_plane()

    def _on_abandoned(self, place: Place) -> None:
        self._dragged = None
        self.changed.emit()


def options_of(annotation: PlaneAnnotation, name: str) -> StructureOptions:
    """Return how a structure becomes a mask on a plane."""
    return annotation.structures.get(name, StructureOptions())
