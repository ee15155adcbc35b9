"""The line that says what was done, what to do next, and how far long work is."""

from psygnal import Signal

from napari_localdisc.core.errors import LocalDiscError


class Status:
    """A line of text; what is said aside gives way to what is said.

    An error is said like anything else, and stays until something else is said.
    """

    changed = Signal(str)
    """Another text is shown."""

    def __init__(self) -> None:
        self._said = ""
        self._aside: str | None = None
        self._is_error = False

    @property
    def text(self) -> str:
        """What is shown."""
        return self._aside or self._said

    @property
    def is_error(self) -> bool:
        """Whether what is shown is what went wrong."""
        return self._is_error and not self._aside

    def say(self, text: str) -> None:
        """Show a text; nothing more is said aside until `begin_aside`."""
        self._is_error = False
        self._show(text, None)

    def fail(self, error: Exception) -> None:
        """Show what went wrong, in place of what went well before."""
        was, self._is_error = self._is_error, True
        before = self.text
        self._show(_sentence(error), None)
        if not was and self.text == before:
            self.changed.emit(self.text)

    def begin_aside(self) -> None:
        """Let `say_aside` speak."""
        self._aside = self._aside or ""

    def say_aside(self, text: str) -> None:
        """Show a text until `end_aside`, unless something was said meanwhile."""
        if self._aside is not None:
            self._show(self._said, text)

    def end_aside(self) -> None:
        """Show again what was said before."""
        self._show(self._said, None)

    def _show(self, said: str, aside: str | None) -> None:
        before = self.text
        self._said, self._aside = said, aside
        if self.text != before:
            self.changed.emit(self.text)


def _sentence(error: Exception) -> str:
    """Say an error: a sentence of ours, or what kind of surprise it was."""
    if isinstance(error, LocalDiscError):
        return str(error)
    kind = type(error).__name__
    return f"That failed by a mistake in the program ({kind}: {error})."


def looking(tiles: int, total: int) -> str:
    """Say how far the network is with an image."""
    if total == 0:
        return "Getting ready to look at the image…"
    return f"Looking at the image: {tiles} of {total} tiles."


def looking_by_blocks(blocks: int, total: int) -> str:
    """Say how far a large image is labelled, or made smaller."""
    return f"Looking at a large image, block by block: {blocks} of {total}."


def reading_images(done: int, total: int) -> str:
    """Say how far the images are read that a network is to learn from."""
    if 0 < total == done:
        return "The images are read; getting ready to train…"
    return f"Reading images: {done} of {total}."


def training(step: int, steps: int, loss: float, seconds: float, share: float) -> str:
    """Say how far a training is, and how long the rest takes.

    So many steps were done of those planned, the last with this loss, a share of the
    whole in some seconds.  The clock counts from the end of the first step, which says
    how long one takes.
    """
    done = f"{step} {'step' if step == 1 else 'steps'}"
    if seconds <= 0:
        return f"{done} done, loss {loss:.3f}; how long one takes shows with the next."
    by_time = share > step / steps + 1e-9
    planned = f"about {_round(step / max(share, 1e-6)):,}" if by_time else f"{steps:,}"
    left = seconds * (1 / max(share, 1e-6) - 1)
    if left < 90:
        rest = f"{max(1, round(left))} seconds"
    elif left < 5400:
        rest = f"{round(left / 60)} minutes"
    else:
        rest = f"{left / 3600:.1f} hours"
    return f"{step:,} of {planned} steps, loss {loss:.3f}; about {rest} left."


def _round(number: float) -> int:
    """Return a number of two significant digits: what an estimate is worth."""
    return int(float(f"{number:.2g}"))


def working_on_folder(done: int, total: int) -> str:
    """Say how far a folder is."""
    return f"{done} of {total} images."
