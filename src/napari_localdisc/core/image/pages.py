"""Files that hold several pictures: one is chosen, or a sentence says how to."""

from pathlib import Path

from napari_localdisc.core.errors import FileError


def chosen_page(path: Path, count: int, page: int | None, what: str = "") -> int:
    """Return which of a file's pictures is read.

    Parameters
    ----------
    path : Path
        The file, for the sentence.
    count : int
        How many pictures it holds.
    page : int, optional
        The one that is asked for, from 0.
    what : str
        What the pictures are, where the file says it.

    Raises
    ------
    FileError
        If there are several and none is asked for, or one that is not there.
    """
    if page is None:
        if count == 1:
            return 0
        about = f" ({what})" if what else ""
        raise FileError(
            f"{path} holds {count} pictures{about}: choose one of them with "
            f"ld.read_image(path, page=…), 0 to {count - 1}, or save the one that is "
            "meant as an image of its own."
        )
    if not 0 <= page < count:
        held = "one picture, page 0" if count == 1 else f"pages 0 to {count - 1}"
        raise FileError(f"{path} has no page {page}: it holds {held}.")
    return page
