"""`localdisc cache`."""

from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import print_json

EXAMPLES = """[bold]Examples[/bold]

localdisc cache

localdisc cache --clear"""


def cache(
    clear: Annotated[bool, options.flag("--clear", "Remove all embeddings.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show where embeddings of images are kept and what they take, or clear them.

    An image that was opened before, in napari or by 'similar', needs no new look by
    the network.  The folder is the user's cache folder, or what LOCALDISC_CACHE names.
    """
    from napari_localdisc.io.cache import EmbeddingCache

    kept = EmbeddingCache()
    size = kept.total_size()
    if clear:
        kept.clear()
    if as_json:
        taken = kept.total_size()
        print_json({"folder": str(kept.folder), "bytes": taken, "freed": size - taken})
    else:
        done = "freed" if clear else "in"
        typer.echo(f"{size / 1e6:.0f} MB {done} {kept.folder}")
