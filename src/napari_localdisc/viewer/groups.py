"""Which classes exclude each other: those of one group, which lie in one layer."""

from napari.layers import Labels
from pydantic_core import to_jsonable_python

from napari_localdisc.annotation.by_hand import HandedOn
from napari_localdisc.annotation.state import (
    AnnotationClass,
    changed_class,
    free_group,
    groups_in,
)
from napari_localdisc.layers.labels import (
    LabelsEdit,
    check_value,
    move_class,
    values_in,
)

from .classes import Classes
from .shown import Place
from .workspace import Workspace


class Groups:
    """Moves classes of the image that is worked on from group to group.

    Parameters
    ----------
    workspace : Workspace
        Whose image it is.
    classes : Classes
        The table, and the layers that hold the classes.
    """

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes

    def use_labels(self, labels: Labels | None) -> None:
        """Let masks go into one of the user's layers, as `Classes.use_labels`.

        The chosen class moves into a layer that holds another group.
        """
        chosen = self._classes.chosen
        for group, held in self._classes.layers.items():
            if held is labels:
                if chosen is not None:
                    self.set_group(chosen.value, group)
                return
        self._classes.use_labels(labels)

    def set_alone(self, value: int, alone: bool) -> None:
        """Let a class overlap all others, or exclude those of the first group."""
        others = [entry for entry in self._classes.entries if entry.value != value]
        first = next(iter(groups_in(others)), 0)
        self.set_group(value, free_group(others) if alone else first)

    def set_group(self, value: int, group: int) -> None:
        """Put a class into another group, with its pixels, as a step to be undone.

        Where a class of that group is already it stays, and this one is no more.
        """
        entry, place = self._classes.find(value), self._workspace.place()
        if entry.background or entry.group == group:
            return
        with self._classes.writing():
            edits = self.regroup(place, entry, group)
            classes = changed_class(self._classes.entries, value, group=group)
            others = [e.name for e in groups_in(classes)[group] if e.value != value]
            kept = " and ".join(f"“{name}”" for name in others)
            text = f"let “{entry.name}” overlap other classes"
            if kept:
                text = f"let “{entry.name}” exclude {kept}"
            place.document.do(
                place.plane.index,
                "group",
                text,
                {
                    "value": value,
                    "group": group,
                    "classes": to_jsonable_python(classes),
                },
                classes=classes,
                edits=edits,
            )
        lost = sum(edit.gone for edit in edits if isinstance(edit, LabelsEdit))
        said = f"{text[0].upper()}{text[1:]}: done"
        said += f"; {lost:,} pixels of it are {kept} alone now." if lost else "."
        self._workspace.status.say(said)

    def regroup(
        self, place: Place, entry: AnnotationClass, group: int
    ) -> tuple[LabelsEdit | HandedOn, ...]:
        """Move a class's pixels into another group's layer; return what was done."""
        source = self._classes.of(place.layer, place.document, entry.group)[1]
        if source is None or entry.value not in values_in(source):
            return ()
        target = self._classes.target(place, group, entry.name)
        check_value(target, entry.value)
        return move_class(source, target, entry.value, self._classes.by_hand)
