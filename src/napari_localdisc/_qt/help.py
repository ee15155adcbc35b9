"""The way from a panel to what the documentation says of it."""

from importlib.metadata import PackageNotFoundError, metadata

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QToolButton

from napari_localdisc.viewer.preferences import PLUGIN

_HOME = "https://github.com/napari-localdisc/napari-localdisc"
_BRANCH = "blob/main/docs"

PAGES = {
    "Structures": "tutorial.md#four-clicks-to-a-saved-mask",
    "Find similar": "tutorial.md#find-anything-by-a-click",
    "Strokes": "tutorial.md#learn-from-strokes",
    "Measure": "measuring.md",
    "Models": "panels.md#models",
    "Files": "panels.md#files",
    "Train a model": "panels.md#train-a-model",
    "Images": "studies.md",
    "Agreement": "studies.md#two-people",
    "Work on a folder": "panels.md#work-on-a-folder",
    "Search a collection": "collection.md",
}
"""What is explained → file of docs/ and its heading."""


def page_of(what: str) -> str:
    """Return the address of the documentation of a tab or a widget."""
    return f"{_home()}/{_BRANCH}/{PAGES[what]}"


def _home() -> str:
    """Return where the source code is, as the installed package says."""
    try:
        urls = metadata(PLUGIN).get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    named: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return named.get("Source Code", _HOME)


class HelpButton(QToolButton):
    """Opens the documentation of what is shown, in the user's browser."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.setText("Help")
        self.setAutoRaise(True)
        self.clicked.connect(self._open)
        self.show_for(what)

    def show_for(self, what: str) -> None:
        """Explain something else."""
        self.what = what
        self.setToolTip(f"What the documentation says of “{what}”")

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl(page_of(self.what)))
