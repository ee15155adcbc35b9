"""The command `localdisc`."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0: done.  1: something could not be done, for instance one of many images.
        2: the command cannot work as it was given.
    """
    from .app import build_app

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build_app()(given, prog_name="localdisc")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0
