"""Labels layers to files and back, for panels; written off the GUI thread."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from psygnal import Signal

from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.files import given_path
from napari_localdisc.io.labels import (
    FORMATS,
    LabelMap,
    format_of,
    read_labels,
    write_labels,
)
from napari_localdisc.layers.files import group_of, label_map_of, layer_data_of

from .work import (
    Runner,
    disconnect_all,
    raise_error,
    reporting,
    run_beside,
)


class ExportControl:
    """The labels layers of a viewer, and the formats that they can be written in.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers.
    runner, report
        As of `Workspace`.
    beside : callable, optional
        Returns the layers of the classes that a layer's classes may overlap.
    """

    layers_changed = Signal()
    """Layers came, went, moved or were renamed."""
    busy_changed = Signal(bool)
    """A file is being written, or not any more."""
    saved = Signal(object)
    """List of the files written."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        beside: Callable[[Labels], Sequence[Labels]] = lambda layer: (),
    ) -> None:
        self.viewer = viewer
        self._beside = beside
        self._runner = runner or Runner()
        self._report = report
        self.is_busy = False
        viewer.layers.events.connect(self._on_layers)

    def close(self) -> None:
        """Follow the viewer no longer; a file that is being written gets finished."""
        self.viewer.layers.events.disconnect(self._on_layers)
        disconnect_all(self)

    @property
    def layers(self) -> list[Labels]:
        """Labels layers of the viewer, topmost first."""
        return [la for la in reversed(self.viewer.layers) if isinstance(la, Labels)]

    def suggested_name(self, layer: Labels, form: str) -> str:
        """Return a file name for a layer in a format."""
        name = "".join(c if c.isalnum() or c in " -_." else "_" for c in layer.name)
        return f"{name}{FORMATS[form].endings[0]}"

    def save(self, layer: Labels, path: str | Path, form: str | None = None) -> None:
        """Write a layer as it is now; data that are on the disk, as they are read.

        Layers of classes that may overlap these go along: into the same file where the
        format holds masks, else into files of their own.

        Parameters
        ----------
        layer : Labels
            A layer of the viewer.
        path : str or Path
            Where to; the format's ending is added where it is missing.
        form : str, optional
            Key of the format; by default the one that the file's name asks for.
        """
        with reporting(self._report):
            if self.is_busy:
                raise FileError("Wait until the other file is written.")
            path = given_path(path)
            chosen = format_of(path) if form is None else FORMATS[form]
            if not chosen.fits(path):
                path = path.with_name(path.name + chosen.endings[0])
            others = [_as_it_is(other) for other in self._beside(layer)]
            maps = sorted(
                [_as_it_is(layer), *others], key=lambda each: group_of(each.made_by)
            )
            labels = replace(maps[0], others=tuple(maps[1:]))
            self._set_busy(True)
            run_beside(
                self._runner,
                lambda: write_labels(path, labels, chosen.key),
                partial(self._finish, self._report),
                partial(self._finish, self.saved.emit),
                must_finish=True,
            )

    def open(self, path: str | Path) -> list[Labels]:
        """Add the labels of a file to the viewer, as they were saved."""
        try:
            found = [
                layer_data_of(each)
                for labels in read_labels(path)
                for each in labels.maps
            ]
        except LocalDiscError as error:
            self._report(error)
            return []
        return [self.viewer.add_labels(data, **about) for data, about, _ in found]

    def _finish(self, then: Callable[[Any], None], outcome: Any) -> None:
        self._set_busy(False)
        then(outcome)

    def _set_busy(self, busy: bool) -> None:
        self.is_busy = busy
        self.busy_changed.emit(busy)

    def _on_layers(self, event: Any) -> None:
        """Hear all events of the list and of its layers."""
        if event.type in ("inserted", "removed", "reordered", "name"):
            self.layers_changed.emit()


def _as_it_is(layer: Labels) -> LabelMap:
    data, attributes, _ = layer.as_layer_data_tuple()
    labels = label_map_of(data, attributes)
    if isinstance(labels.labels, np.ndarray):  # the user may go on painting
        labels = replace(labels, labels=labels.labels.copy())
    return labels
