"""Paths of menus that the documentation names are napari's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = re.compile(
    r"\*\*((?:Plugins|Layers|File > Open Sample|File > IO)[^*]* > [^*]+)\*\*"
)


def paths(menu, before: tuple[str, ...]) -> set[str]:
    """Return the paths of a menu's commands, as they are written."""
    menu.aboutToShow.emit()
    found = set()
    for action in menu.actions():
        here = (*before, action.text().replace("&", ""))
        if action.menu() is not None:
            found |= paths(action.menu(), here)
        found.add(" > ".join(here))
    return found


def test_menu_paths_in_the_documentation_are_there(make_napari_viewer):
    viewer = make_napari_viewer()
    there = set()
    for action in viewer.window._qt_window.menuBar().actions():
        there |= paths(action.menu(), (action.text().replace("&", ""),))
    # Of another plugin's command of this name, ours says whose it is
    there |= {path.removesuffix(" (napari-localdisc)") for path in there}
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    told = {
        " ".join(path.split())
        for file in files
        if file.name not in ("experiments.md", "changelog.md")
        for path in PATH.findall(file.read_text(encoding="utf-8"))
    }
    assert told
    assert told <= there
