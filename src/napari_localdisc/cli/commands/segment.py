"""`localdisc segment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from napari_localdisc.batch.recipes import Recipe

EXAMPLES = """[bold]Examples[/bold]

localdisc segment retina.jpg --structure vessel -o out/

localdisc segment scans/ --structure 'optic disc' --threshold 0.3 -o out/

localdisc segment scans/ --concept lesion.concept.safetensors -o out/"""


def segment(
    images: options.Images,
    output: options.OutputFolder,
    structure: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--structure",
            metavar="NAME",
            help="A structure that the model's card names (see 'models').",
        ),
    ] = None,
    concept: Annotated[
        Path | None,
        typer.Option(
            "-c",
            "--concept",
            metavar="FILE",
            help="What was saved as a concept, in napari or by Concept.save.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Name (see 'models') or file of a model; by default the concept's "
            "own, or fundus.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Probability of the structure (by default 0.5) or similarity to the "
            "concept (by default its own) from which a pixel is in the mask.",
        ),
    ] = None,
    flips: options.Flips = 1,
    device: options.Device = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
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
    from napari_localdisc.cli.folders import make_files
    from napari_localdisc.cli.output import WrongUse

    if (structure is None) == (concept is None):
        raise WrongUse("Say what to find: either --structure NAME or --concept FILE.")
    if concept is not None:
        recipe, model = _concept_recipe(concept, model, threshold, flips)
    else:
        model = model or "fundus"
        recipe = _structure_recipe(str(structure), model, threshold, flips)
    make_files(
        images,
        output,
        recipe,
        model,
        device,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        scheduler=scheduler,
        workers=workers,
    )


def _structure_recipe(
    structure: str, model: str, threshold: float | None, flips: int
) -> "Recipe":
    from napari_localdisc.batch.recipes import StructureRecipe
    from napari_localdisc.core.model.card import list_models, read_card
    from napari_localdisc.core.names import find_name

    file = list_models().get(model, Path(model))
    known = read_card(file).structures if file.is_file() else ()
    name = find_name(known, structure) or structure
    return StructureRecipe(name, 0.5 if threshold is None else threshold, flips=flips)


def _concept_recipe(
    path: Path, model: str | None, threshold: float | None, flips: int
) -> "tuple[Recipe, str]":
    from napari_localdisc.batch.recipes import ConceptRecipe
    from napari_localdisc.core.learning.concept import load_concept

    concept = load_concept(path)
    if threshold is not None:
        concept = concept.with_threshold(threshold)
    return ConceptRecipe(concept, flips=flips), model or concept.model_name
