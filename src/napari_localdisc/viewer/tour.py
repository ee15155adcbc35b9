"""What a newcomer is told: what to do with no image, and a tour of four steps."""

from dataclasses import dataclass

from psygnal import Signal

from . import preferences

NO_IMAGE = (
    "Open a fundus photograph or a chest film: drag it here, or File > Open. "
    "Or look at the sample first."
)


@dataclass(frozen=True)
class Step:
    """One step of the tour.

    Attributes
    ----------
    text : str
        What to do, and with which key.
    tab : str
        Title of the tab where it is done; empty: on none.
    """

    text: str
    tab: str = ""


STEPS = (
    Step(
        "Press “Cluster structures”. The network looks at the image once, a few "
        "seconds; then move the slider for more or fewer.",
        "Structures",
    ),
    Step(
        "Turn on “Find similar” (key Q) and click a structure: all that looks like it "
        "lights up. Shift + click on what it is not. “Add to” (key K) keeps it as a "
        "class.",
        "Find similar",
    ),
    Step(
        "Not enough? “Paint strokes” of each class; “Where next?” (key W) shows "
        "the spot that helps most.",
        "Strokes",
    ),
    Step(
        "Your classes are listed below: correct them with napari's brush, Undo (key "
        "U), Save labels. Nothing is lost: sessions are on the tab Files."
    ),
)


class Tour:
    """Where in the tour a user is; once it was ended it does not come again.

    Attributes
    ----------
    changed : Signal
        Another step, or none.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._at = 0 if preferences.shows_tour() else None

    @property
    def step(self) -> Step | None:
        """The step that is told, or None if there is no tour (any more)."""
        return None if self._at is None else STEPS[self._at]

    @property
    def place(self) -> str:
        """Which step of how many: “2 of 4”; empty without a tour."""
        return "" if self._at is None else f"{self._at + 1} of {len(STEPS)}"

    @property
    def is_last(self) -> bool:
        """Whether no other step follows."""
        return self._at == len(STEPS) - 1

    def go_on(self) -> None:
        """Tell the next step; after the last one the tour is over."""
        if self._at is None:
            return
        if self.is_last:
            self.end()
            return
        self._at += 1
        self.changed.emit()

    def end(self) -> None:
        """End it for ever: napari's Preferences bring it back."""
        self._at = None
        preferences.end_tour()
        self.changed.emit()
