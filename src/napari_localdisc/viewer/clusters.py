"""Clusters of what is shown, and structures that the model knows by name."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_localdisc.core.embedding.named import cluster_names
from napari_localdisc.core.model.card import FEWEST, MOST
from napari_localdisc.layers.colours import structure_colormap, with_one_lit
from napari_localdisc.layers.ours import Look

from .embeddings import Embedded, Then
from .large import is_large
from .shown import Place
from .work import disconnect_all
from .workspace import Workspace
from .writing import LabelWriting, class_of_clusters

DEFAULT_NUMBER = 8


def seen_at(known: Embedded) -> str:
    """Say how much larger than usual the network saw an image, and why."""
    why = "as its vessels are narrow: a wide angle"
    if known.magnification is not None:
        why = "as you chose" if known.was_chosen else "as its scale says"
    return (
        f"The image was seen at {known.embedding.magnification:g} times the usual "
        f"size, {why}; change that under “Models”."
    )


class Clusters:
    """Labels what looks alike, and maps what the model's card names.

    Parameters
    ----------
    workspace : Workspace
        Image, model and embeddings.
    writing : LabelWriting
        Writes clusters into the labels.
    """

    number_changed = Signal(int)
    """Another number of clusters."""
    changed = Signal()
    """Cluster labels were written."""
    pointed = Signal(int)
    """The cluster under the cursor is another one; 0: none."""

    def __init__(self, workspace: Workspace, writing: LabelWriting) -> None:
        self._workspace = workspace
        self._writing = writing
        self._wanted = self._last = DEFAULT_NUMBER
        workspace.model_changed.connect(self._on_number)
        workspace.large.shown.connect(self._on_large)
        self._pointed = 0
        self._lit: tuple[weakref.ref[Labels], Any] | None = None
        self._cursor = workspace.viewer.cursor.events.position
        self._cursor.connect(self._on_cursor)

    def close(self) -> None:
        """Follow the cursor no longer."""
        self.light(0)
        self._cursor.disconnect(self._on_cursor)
        disconnect_all(self)

    @property
    def layer(self) -> Labels | None:
        """The cluster labels of the plane that is shown, if they are in the viewer."""
        return self._workspace.layer("structures")

    @property
    def number(self) -> int:
        """How many clusters an image is shown in."""
        return min(self._wanted, self._workspace.models.most_structures)

    @property
    def names(self) -> dict[int, str]:
        """Labels that have a name → the structure."""
        return self._workspace.models.cluster_names(self.number)

    def set_number(self, number: int) -> None:
        """Show more or fewer clusters; those that are shown follow at once.

        They follow after new work only if the embedding is no longer in memory.
        """
        self._wanted = max(
            FEWEST, min(int(number), self._workspace.models.most_structures)
        )
        if self._on_number() and self.layer is not None:
            self.show()

    def _on_number(self) -> bool:
        changed = self.number != self._last
        self._last = self.number
        if changed:
            self.number_changed.emit(self.number)
        return changed

    def show(self) -> None:
        """Label the clusters of the plane that is shown.

        Lazy planes of more than 67 megapixels are read, labelled and shown block by
        block, from the disk.
        """
        self._ask(self.number, "clusters", self._show)

    def light(self, cluster: int) -> None:
        """Let one cluster stand out in the image; 0: none."""
        if self._lit is not None:
            layer, colormap = self._lit[0](), self._lit[1]
            self._lit = None
            if layer is not None:
                layer.colormap = colormap
        layer = self.layer
        if cluster and layer is not None:
            self._lit = weakref.ref(layer), layer.colormap
            layer.colormap = with_one_lit(layer.colormap, cluster)

    def _on_cursor(self, event: Any) -> None:
        layer, value = self.layer, None
        if layer is not None and layer.visible:
            value = layer.get_value(event.value, world=True)
        label = int(value) if isinstance(value, int | np.integer) else 0
        if label != self._pointed:
            self._pointed = label
            self.pointed.emit(label)

    def _ask(self, wanted: int | str, purpose: str, show: Then) -> None:
        """Show so many clusters, or a structure; by blocks where the plane is large."""
        with self._workspace.reporting():
            place, workspace = self._workspace.place(), self._workspace
            if is_large(place.plane):
                workspace.large.label(place, workspace.models.file, wanted)
            else:
                structure = wanted if isinstance(wanted, str) else ""
                workspace.request(place, purpose, show, structure)

    def _show(self, place: Place, known: Embedded) -> None:
        from napari_localdisc.core.embedding.clusters import cluster_colours

        self.light(0)
        most = min(MOST, len(known.model.centres))
        number = min(self.number, most)
        edited = place.shown.edited("structures")
        names = cluster_names(known.model.card, most)
        labels = known.embedding.clusters(number)
        place.show(
            "structures",
            labels,
            Look(cluster_colours(known.model, most), selects=True, names=names),
            known.provenance(structures=number, classes=names),
        )
        self.changed.emit()
        if edited:
            text = "You painted on the labels, so new ones are in their own layer."
        else:
            there = int(np.count_nonzero(np.bincount(labels.ravel())[1:]))
            count = f"{number} structures"
            text = (
                f"{count if there == number else f'{count}, {there} of them here'}. "
                "Move the slider for more or fewer; a colour means the same in every "
                "image."
            )
        if known.embedding.magnification != 1:
            text += f" {seen_at(known)}"
        self._workspace.status.say(text)

    def _on_large(self, labels: Labels) -> None:
        self.changed.emit()
        self._workspace.status.say(
            f"“{labels.name}”: the labels of so large an image are on the disk; export "
            "them to keep them."
        )

    def add(self, clusters: Sequence[int]) -> None:
        """Write clusters that are shown, merged, into the labels as a class."""
        make = self._writing.clusters(clusters, self.number)
        self._writing.add("add clusters", make)

    def class_name(self, clusters: Sequence[int]) -> str:
        """Name the class that `add` writes."""
        return class_of_clusters(clusters, self.names)

    def preview(self, clusters: Sequence[int]) -> None:
        """Show what `add` would do, until ``writing.preview.hide``."""
        self._writing.preview.show(self._writing.clusters(clusters, self.number))

    def show_structure(self, name: str) -> None:
        """Lay the probability of a structure that the model names over the image.

        Over planes that `show` labels block by block, the mask at 0.5 is laid.
        """

        def show(place: Place, known: Embedded) -> None:
            place.show(
                f"{name} probability",
                known.embedding.structure(name),
                Look(structure_colormap(self._workspace.models.colours[name])),
                known.provenance(structure=name),
            )
            self._workspace.overlays.wake()
            self._workspace.status.say(f"The stronger, the more probably {name}.")

        self._ask(name, f"structure {name}", show)
