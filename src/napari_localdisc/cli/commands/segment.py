"""`localdisc segment`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import make_files
from napari_localdisc.cli.output import WrongUse

EXAMPLES = """[bold]Examples[/bold]

localdisc segment retina.jpg --structure vessel -o out/

localdisc segment scans/ --structure 'optic disc' --threshold 0.3 -o out/

localdisc segment scans/ -s vessel -s 'optic disc' -o out/

localdisc segment scans/ -s vessel --bridge-gaps 6 --minimum-size 40 -o out/

localdisc segment scans/ --concept lesion.concept.safetensors -o out/"""


def segment(
    ctx: typer.Context,
    images: options.Images,
    output: options.OutputFolder,
    structures: Annotated[
        list[str] | None,
        options.option(
            "NAME",
            "A structure that the model knows (see 'models'); may be given again: the "
            "model looks at each image once.",
            "-s",
            "--structure",
        ),
    ] = None,
    concept: Annotated[
        Path | None,
        options.option(
            "FILE",
            "What was saved as a concept, in napari or by Concept.save.",
            "-c",
            "--concept",
        ),
    ] = None,
    model: Annotated[
        str | None,
        options.option(
            "MODEL",
            "Name (see 'models') or file of a model; by default the concept's own, or "
            "fundus.",
            "-m",
            "--model",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        options.option(
            None,
            "Probability of the structure (by default 0.5) or similarity to the "
            "concept (by default its own) from which a pixel is in the mask.",
            min=0,
            max=1,
        ),
    ] = None,
    bridge_gaps: Annotated[
        int,
        options.option(
            "PIXELS", "Join pieces of the structure that are no farther apart.", min=0
        ),
    ] = 0,
    fill_holes: Annotated[
        bool, options.flag("--fill-holes", "Holes belong to the structure.")
    ] = False,
    minimum_size: Annotated[
        int,
        options.option(
            "PIXELS", "Leave smaller pieces of the structure out of the mask.", min=0
        ),
    ] = 0,
    largest_only: Annotated[
        bool,
        options.flag("--largest-only", "Only the largest piece of the structure."),
    ] = False,
    flips: options.Flips = 1,
    magnification: options.Magnification = None,
    device: options.Device = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    tls_ca: options.TlsCa = None,
    tls_certificate: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Find a named structure, or a concept that was learned on another image.

    A structure makes NAME_vessel.tif (0 and 1) and NAME_vessel_probability.tif, 32-bit
    floats from 0 to 1; a concept makes NAME_concept.tif, with its classes.  All have
    the image's own size.  Of OME-Zarr images, and TIFF images of more than 8192×8192
    pixels, structures are found block by block: NAME_vessel.ome.zarr, the mask alone.

    The cache of embeddings is neither read nor filled: structures need no embedding,
    and those that a concept needs would, for a folder, push out the ones that you work
    with.
    """
    from napari_localdisc.batch.recipes import ConceptRecipe, Recipe, StructureRecipe

    recipes: list[Recipe]
    how: dict[str, Any] = {"flips": flips, "magnification": magnification}
    shapes = bridge_gaps or fill_holes or minimum_size or largest_only
    if not structures and shapes:
        raise WrongUse("What shapes the mask is for structures: --structure NAME.")
    if structures and concept is None:
        model = model or "fundus"
        recipes = [
            StructureRecipe(
                name,
                0.5 if threshold is None else threshold,
                bridge_gaps,
                fill_holes,
                minimum_size,
                largest_only,
                **how,
            )
            for name in _names_in_card(model, structures)
        ]
    elif concept is not None and not structures:
        from napari_localdisc.core.learning.concept import load_concept

        learned = load_concept(concept)
        if threshold is not None:
            learned = learned.with_threshold(threshold)
        recipes = [ConceptRecipe(learned, **how)]
        model = model or learned.model_name
    else:
        raise WrongUse("Say what to find: either --structure NAME or --concept FILE.")
    make_files(ctx, recipes, model)


def _names_in_card(model: str, structures: list[str]) -> list[str]:
    """Return each structure once, as the card names it where it does."""
    from napari_localdisc.core.model.card import list_models, read_card
    from napari_localdisc.core.names import find_name
    from napari_localdisc.core.priors.derived import every_structure

    file = list_models().get(model, Path(model))
    known = every_structure(read_card(file).structures) if file.is_file() else ()
    return list(dict.fromkeys(find_name(known, name) or name for name in structures))
