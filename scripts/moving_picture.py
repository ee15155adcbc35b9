"""Draw README's moving picture in the real plugin: python scripts/moving_picture.py.

On the bundled retina: Cluster structures, more and fewer clusters, what is like the
pixel under the cursor, two clicks, their mask as a class. A machine with no screen gets
a virtual one. The picture is docs/images/moving.webp, or the file that is given.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tutorial_pictures import PLUGIN, ROOT, Desk, show_tab

WINDOW = (1280, 800)
WIDTH = 960
QUALITY = 72
HOLD = 1400
"""Milliseconds that a picture stays; of those that move a quarter."""


def draw(path: Path) -> None:
    """Do it, and save what was seen."""
    desk = Desk(path.parent)
    desk.viewer.window.set_geometry(0, 0, *WINDOW)
    frames: list[tuple[Any, int]] = []

    def see(milliseconds: int = HOLD) -> None:
        desk.settle()
        frames.append(
            (desk.viewer.screenshot(canvas_only=False, flash=False), milliseconds)
        )

    desk.viewer.open_sample(PLUGIN, "retina")
    widget = desk.open_widget()
    desk.controller.workspace.overlays.choose("fill")  # seen at this size
    see()
    widget.cluster_panel.button.click()
    desk.finish_work()
    see()
    for number in (4, 12, 16, 10):
        widget.cluster_panel.slider.setValue(number)
        see(HOLD // 2)
    desk.viewer.layers["retina structures"].visible = False
    show_tab(widget, "Find similar")
    widget.similar_panel.button.click()
    for point in ((420, 300), (560, 560), (704, 707), (640, 216)):
        desk.hover((float(point[0]), float(point[1])))
        see(HOLD // 2)
    desk.controller.prompts.add((640.0, 216.0))
    see()
    desk.controller.prompts.add((704.0, 707.0), positive=False)
    see()
    widget.similar_panel.add_button.click()
    desk.finish_work()
    see(2 * HOLD)
    desk.close()
    save(frames, path)


def save(frames: list[tuple[Any, int]], path: Path) -> None:
    """Write frames and their times as one animated WebP."""
    from PIL import Image

    pictures = [Image.fromarray(pixels[..., :3]) for pixels, _ in frames]
    height = round(WIDTH * pictures[0].height / pictures[0].width)
    small = [
        each.resize((WIDTH, height), Image.Resampling.LANCZOS) for each in pictures
    ]
    unfinished = path.with_name(f".{path.name}.part.webp")
    small[0].save(
        unfinished,
        save_all=True,
        append_images=small[1:],
        duration=[time for _, time in frames],
        loop=0,
        quality=QUALITY,
        method=6,
    )
    unfinished.replace(path)
    print(f"{path.name}: {len(frames)} frames, {path.stat().st_size // 1000} kB")


def main() -> int:
    """Draw on the screen there is, or on a virtual one."""
    from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    given = sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/images/moving.webp"
    path = Path(given).absolute()
    if has_screen():
        draw(path)
        return 0
    command = on_virtual_screen([sys.executable, __file__, str(path)], 1600, 1000)
    with tempfile.TemporaryDirectory() as settings:
        environ = os.environ | {
            "NAPARI_CONFIG": str(Path(settings) / "settings.yaml"),
            "LOCALDISC_SESSIONS": str(Path(settings) / "sessions"),
        }
        return subprocess.run(command, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
