"""Arguments and options that commands share, so that they mean the same everywhere."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from napari_localdisc.core.files import given_path

from .output import WrongUse


def _at_home(value: Any) -> Any:
    """Let ``~`` be the home folder, also where no shell has seen it."""
    return given_path(value) if isinstance(value, Path) else value


def argument(metavar: str, text: str) -> Any:
    """Return an argument as typer takes it; ``text`` is its help."""
    return typer.Argument(metavar=metavar, help=text, callback=_at_home)


def option(metavar: str | None, text: str, *names: str, **how: Any) -> Any:
    """Return an option with a value, called after its parameter without ``names``."""
    return typer.Option(
        *names, metavar=metavar, help=text, **{"callback": _at_home, **how}
    )


def flag(name: str, text: str) -> Any:
    """Return an option that is given or not."""
    return typer.Option(name, metavar="", help=text)


class Command(TyperCommand):
    """Refuses an option that is given twice: the first would be lost in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, or say what is given twice."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param, times in Counter(map(id, order)).items():
            (option, *_) = (each for each in order if id(each) == param)
            if times == 1 or not isinstance(option, TyperOption):
                continue
            if not (option.multiple or option.is_flag or option.count):
                raise typer.BadParameter(
                    f"given {times} times, but it takes one value.", ctx, option
                )
        return super().parse_args(ctx, args)


def _check_flips(flips: int) -> int:
    if flips not in (1, 2, 4):
        raise typer.BadParameter(f"must be 1, 2 or 4, not {flips}")
    return flips


Images = Annotated[
    list[str],
    argument(
        "IMAGE…", "Image files, folders or quoted patterns such as 'scans/*.tif'."
    ),
]
OutputFolder = Annotated[
    Path, option("DIR", "Folder for the results; made if need be.", "-o", "--output")
]
ModelName = Annotated[
    str, option("MODEL", "Name (see 'models') or file of a model.", "-m", "--model")
]
Device = Annotated[
    str | None,
    option(
        "NAME",
        "Where to compute, for instance cpu or cuda; by default a GPU if there is one.",
    ),
]
Flips = Annotated[
    int,
    option(
        "1|2|4", "Mirrored copies to average: better and slower.", callback=_check_flips
    ),
]
Magnification = Annotated[
    float | None,
    option(
        "N",
        "How much larger than usual the network sees an image, 0.25 to 4; by default "
        "1, or 1.33 where vessels are as narrow as a wide angle shows them.",
        min=0.25,
        max=4,
    ),
]
TableFile = Annotated[
    Path, option("FILE.csv", "The table of all images.", "-o", "--output")
]
PixelSize = Annotated[
    float | None,
    option(
        "MM",
        "Millimetres of a pixel; by default what files say.",
        "--mm-per-pixel",
        min=1e-9,
    ),
]
DiscSize = Annotated[
    float | None,
    option(
        "MM",
        "Take the optic disc for so many millimetres (1.8, say) where there is no "
        "scale.",
        min=1e-9,
    ),
]
Pieces = Annotated[
    bool,
    typer.Option(
        "--pieces/--no-pieces",
        help="Rows for each lesion and each segment of a vessel.",
    ),
]
Overwrite = Annotated[
    bool, flag("--overwrite", "Replace results that are there already.")
]
DryRun = Annotated[bool, flag("--dry-run", "Only say what would be written.")]
Scheduler = Annotated[
    str | None,
    option(
        "ADDRESS|FILE",
        "Work on a dask cluster that is running: its scheduler's address or scheduler "
        "file.  Every machine must see the same folders.",
    ),
]
TlsCa = Annotated[
    Path | None,
    option(
        "FILE",
        "Certificate of who is believed, for a cluster that speaks TLS; with "
        "--tls-cert and --tls-key.",
        "--tls-ca-file",
    ),
]
TlsCertificate = Annotated[
    Path | None, option("FILE", "Certificate to show to the cluster.", "--tls-cert")
]
TlsKey = Annotated[Path | None, option("FILE", "Its key.", "--tls-key")]
Workers = Annotated[
    int | None,
    option("N", "Images at once on this machine; by default one a core.", min=1),
]
NoCache = Annotated[
    bool,
    flag(
        "--no-cache",
        "Neither look for the image's embedding on disk nor keep it there.",
    ),
]
AsJson = Annotated[bool, flag("--json", "Print JSON instead of text and tables.")]
NewModel = Annotated[
    Path,
    option(
        "MODEL",
        "The new model's file; what belongs to it lies beside it: card, log, pictures, "
        "checkpoint.",
        "-o",
        "--output",
    ),
]
Resume = Annotated[bool, flag("--resume", "Go on from the checkpoint.")]
Seed = Annotated[int, option("N", "Decides all chance.")]


def label_pairs(given: list[str], option: str) -> dict[int, str]:
    """Return what an option says of labels, each given as ``LABEL=WHAT``."""
    pairs = {}
    for text in given:
        value, _, said = text.partition("=")
        if not value.strip().lstrip("-").isdigit() or not said.strip():
            raise WrongUse(
                f"{option} takes a label and what it is, for instance {option} "
                f"1={'vessel' if option == '--name' else '#ff8800'}, not {text!r}."
            )
        pairs[int(value)] = said.strip()
    return pairs
