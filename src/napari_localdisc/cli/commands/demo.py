"""`localdisc demo`."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """[bold]Examples[/bold]

localdisc demo

localdisc demo --screenshot demo.png"""


def demo(
    screenshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a picture of the window instead of showing it; works without "
            "a screen.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open napari with a retina photograph and cluster it."""
    from napari_localdisc.cli.demo import run
    from napari_localdisc.cli.output import say

    run(screenshot=screenshot)
    if screenshot is not None:
        say(str(screenshot))
