"""Models as packages of bioimage.io (spec 0.5), for programs that know nothing of us.

The package holds the weights, one file of Python that is the whole network with what
comes before it and imports nothing of ours, a test, and the model card as its
documentation.  What only we need (the card, the clusters' centres) is attached, so that
a package becomes the same model again.
"""

from __future__ import annotations

import ast
import inspect
import io
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.files import given_path, new_file
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.version import __version__

if TYPE_CHECKING:
    import torch

    from napari_localdisc.core.model.model import Model

KEY = "napari_localdisc"
"""Of our part of a package's ``config``."""

ENDING = ".zip"
REPOSITORY = "https://github.com/napari-localdisc/napari-localdisc"
PAPER = (
    "Chen, Li, Wang, Huang, Meng, Meng, Peng, Wang: Unsupervised Local Discrimination "
    "for Medical Images",
    "10.48550/arXiv.2108.09440",
)
TEST_SIDE = 128

_WEIGHTS, _ARCHITECTURE, _CARD = "weights.pt", "localdisc_network.py", "card.json"
_CENTRES, _DOCUMENT = "centres.npy", "README.md"
_LONGEST_TEXT = 1 << 18
"""Bytes of a description or a card; ours have a few thousand."""
_NEEDED = "name: localdisc\nchannels: [conda-forge]\ndependencies: [{}]\n".format(
    ", ".join(["python>=3.11", "pytorch>=2.4", "numpy", "scipy"])
)


def export_bioimageio(model: Model, path: str | Path) -> Path:
    """Write a model as a package of bioimage.io.

    Parameters
    ----------
    model : Model
        What to write.
    path : str or Path
        Gets the ending ``.zip`` unless it has it.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileError
        If ``bioimageio.core`` is not installed, or something else is there, or the
        file cannot be written.
    """
    described = _spec()
    path = given_path(path)
    if not path.name.endswith(ENDING):
        path = path.with_name(path.name + ENDING)
    with (
        new_file(path, is_package) as temporary,
        tempfile.TemporaryDirectory() as folder,
    ):
        package = _describe(model, Path(folder), described)
        whole = Path(folder) / f"package{ENDING}"
        from bioimageio.spec import save_bioimageio_package

        save_bioimageio_package(package, output_path=whole)
        temporary.write_bytes(whole.read_bytes())
    return path


def import_bioimageio(path: str | Path) -> Model:
    """Read a model from a package of bioimage.io that `export_bioimageio` wrote.

    Nothing in the package is run: of its weights numbers alone are read, and the
    network is our own.

    Parameters
    ----------
    path : str or Path
        The package.

    Returns
    -------
    Model
        Embeds as the one that was exported, bit for bit.

    Raises
    ------
    ModelError
        If there is none, or it is damaged, or another program's.
    """
    from napari_localdisc.core.model.model import Model, check_tensors, wanted_tensors

    path = given_path(path)
    if not path.is_file():
        raise ModelError(f"There is no package {path}.")
    try:
        with zipfile.ZipFile(path) as package:
            ours = _config(package)
            if ours is None:
                raise ModelError(
                    f"{path} is not a model of napari-localdisc: its network is "
                    "another one."
                )
            card = ModelCard.from_json(_read(package, _CARD, _LONGEST_TEXT).decode())
            wanted = wanted_tensors(card)
            # What is there beside the numbers is short
            most = sum(t.numel() * t.element_size() for t in wanted.values()) + (
                1 << 20
            )
            centres = np.load(
                io.BytesIO(_read(package, _CENTRES, most)), allow_pickle=False
            )
            state = _weights(_read(package, _WEIGHTS, most))
            state["centres"] = _tensor_of(centres)
    except ModelError:
        raise
    # Archives, YAML and what is pickled in them raise errors of many kinds
    except Exception as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"{path} is damaged or not a package of bioimage.io ({said})."
        ) from error
    check_tensors(path, {n: (list(t.shape), t.dtype) for n, t in state.items()}, wanted)
    if not all(bool(part.isfinite().all()) for part in state.values()):
        raise ModelError(f"{path} is damaged: some of its weights are no numbers.")
    network = card.network()
    centres = state.pop("centres").numpy()
    network.load_state_dict(state)
    return Model(card, network, centres)


def is_package(path: Path) -> bool:
    """Whether a file is a package of ours."""
    try:
        with zipfile.ZipFile(path) as package:
            return _config(package) is not None
    # As in `import_bioimageio`
    except Exception:
        return False


def architecture() -> str:
    """Return the source of the network with what comes before it, as one module.

    Its class is ``PictureNetwork``; it imports torch, numpy and scipy alone.
    """
    from napari_localdisc.core.image import contrast, mirrored
    from napari_localdisc.core.model import alone, network

    head = (
        f'"""The network of napari-localdisc {__version__}, and what is before it.\n\n'
        f'Made of several modules of {REPOSITORY} (BSD-3-Clause).\n"""\n\n'
        "from __future__ import annotations\n"
    )
    return head + "\n\n".join(map(_alone, (mirrored, contrast, network, alone)))


def _alone(module: ModuleType) -> str:
    """Return a module's source without its docstring and its imports of ours."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    for number, node in enumerate(ast.parse(source).body):
        ours = isinstance(node, ast.ImportFrom) and (
            node.level > 0 or (node.module or "").startswith("napari_localdisc")
        )
        is_docstring = number == 0 and isinstance(node, ast.Expr)
        if ours or is_docstring:
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [""] * (
                node.end_lineno - node.lineno + 1
            )
    return "\n".join(lines).strip() + "\n"


def arguments(card: ModelCard) -> dict[str, Any]:
    """Return the arguments of ``PictureNetwork`` for a model."""
    from napari_localdisc.core.model.tiles import margin_of

    return {
        "in_channels": card.in_channels,
        "embedding_dim": card.embedding_dim,
        "clusters": card.clusters,
        "width": card.width,
        "working_diameter": card.working_diameter,
        "surround": card.surround_pixels,
        "margin": margin_of(card),
        "is_round": card.modality == "fundus",
        "structures": list(card.structures.values()),
    }


def _describe(model: Model, folder: Path, spec: Any) -> Any:
    """Write a package's files into a folder; return its description."""
    import torch

    from napari_localdisc.core.model.alone import PictureNetwork

    card = model.card
    state = {k: v.cpu().contiguous() for k, v in model.network.state_dict().items()}
    torch.save(state, folder / _WEIGHTS)
    np.save(folder / _CENTRES, model.centres)
    (folder / _CARD).write_text(card.to_json(), "utf-8")
    (folder / _ARCHITECTURE).write_text(architecture(), "utf-8")
    (folder / _DOCUMENT).write_text(_document(model), "utf-8")
    (folder / "environment.yaml").write_text(_NEEDED, "utf-8")
    network = PictureNetwork(**arguments(card)).eval()
    network.load_state_dict(state)
    picture = picture_to_test(card)
    outputs = [part.numpy() for part in network(torch.from_numpy(picture))]
    axes = [spec.BatchAxis()]
    space = [
        spec.SpaceInputAxis(id=axis, size=spec.ParameterizedSize(min=64, step=16))
        for axis in ("y", "x")
    ]
    image = _tensor(folder, "image", picture)
    colours = spec.ChannelAxis(channel_names=["red", "green", "blue"])
    inputs = [
        spec.InputTensorDescr(
            id="image",
            description=_what_it_takes(card),
            axes=[*axes, colours, *space],
            test_tensor=spec.FileDescr(source=image),
            data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        )
    ]
    described = []
    for name, about, channels, values in zip(*_outputs(card), outputs, strict=False):
        file = _tensor(folder, name, values)
        sizes = [
            spec.SpaceOutputAxis(
                id=axis, size=spec.SizeReference(tensor_id="image", axis_id=axis)
            )
            for axis in ("y", "x")
        ]
        described.append(
            spec.OutputTensorDescr(
                id=name,
                description=about,
                axes=[*axes, spec.ChannelAxis(channel_names=channels), *sizes],
                test_tensor=spec.FileDescr(source=file),
            )
        )
    weights = spec.PytorchStateDictWeightsDescr(
        source=folder / _WEIGHTS,
        architecture=spec.ArchitectureFromFileDescr(
            source=folder / _ARCHITECTURE,
            callable="PictureNetwork",
            kwargs=arguments(card),
        ),
        pytorch_version=torch.__version__.partition("+")[0],
        dependencies=spec.FileDescr(source=folder / "environment.yaml"),
    )
    return spec.ModelDescr(
        name=_plain(f"napari-localdisc {card.name}"),
        description=str(
            card.details.get("description")
            or "Unsupervised local "
            "discrimination: an embedding and clusters of every pixel"
        )[:1000],
        authors=[spec.Author(name="The napari-localdisc developers")],
        cite=[spec.CiteEntry(text=PAPER[0], doi=PAPER[1])],
        license="BSD-3-Clause",
        git_repo=REPOSITORY,
        documentation=spec.FileDescr(source=folder / _DOCUMENT),
        tags=["pytorch", "segmentation", "clustering", "unsupervised", "2d"],
        inputs=inputs,
        outputs=described,
        weights=spec.WeightsDescr(pytorch_state_dict=weights),
        attachments=[
            spec.FileDescr(source=folder / name) for name in (_CARD, _CENTRES)
        ],
        config=spec.Config(**{KEY: {"version": __version__, "hash": model.hash}}),
    )


def _outputs(card: ModelCard) -> tuple[list[str], list[str], list[list[str]]]:
    names, about, channels = ["vectors", "clusters"], [], []
    about.append("A unit vector a pixel; alike pixels have alike vectors.")
    channels.append([f"d{k}" for k in range(card.embedding_dim)])
    about.append("Probabilities of the clusters, summing to 1.")
    channels.append([f"cluster {k}" for k in range(card.clusters)])
    if card.structures:
        names.append("structures")
        about.append("How likely each named structure is there, from 0 to 1.")
        channels.append(list(card.structures))
    return names, about, channels


def _tensor(folder: Path, name: str, values: np.ndarray[Any, Any]) -> Path:
    path = folder / f"test_{name}.npy"
    np.save(path, values)
    return path


def picture_to_test(card: ModelCard) -> np.ndarray[Any, Any]:
    """Draw a picture to test a package by: (1, 3, 128, 128) float32 in [0, 1]."""
    rows, columns = np.mgrid[:TEST_SIDE, :TEST_SIDE] - (TEST_SIDE - 1) / 2
    waves = np.sin(rows / 5) * np.cos(columns / 7)
    line = np.exp(-(((rows - 12 * np.sin(columns / 20)) / 2) ** 2))
    disc = np.exp(-((np.hypot(rows + 10, columns - 30) / 12) ** 4))
    tones = 0.45 + 0.05 * waves - 0.15 * line + 0.3 * disc
    picture = np.stack([tones, 0.6 * tones, 0.3 * tones]).astype(np.float32)
    if card.modality == "fundus":
        picture *= np.hypot(rows, columns) < TEST_SIDE / 2 - 2
    return picture[None]


def _what_it_takes(card: ModelCard) -> str:
    if card.modality == "fundus":
        return (
            "Red, green and blue between 0 and 1, black outside of the field of view, "
            f"whose diameter has {card.working_diameter} pixels."
        )
    return (
        "Red, green and blue (alike where the image is grey) between 0 and 1; the "
        f"longer side has {card.working_diameter} pixels."
    )


def _document(model: Model) -> str:
    """Return the card, and what somebody else must know of the network."""
    return (
        f"{model}\n\n## Input\n\n{_what_it_takes(model.card)}\n\n"
        "## Validation\n\nWhat was measured is in the list above; research use only.\n"
    )


def _plain(name: str) -> str:
    """Return a name of the letters that the format allows."""
    allowed = "".join(c if c.isalnum() or c in "_- ()" else "-" for c in name)
    return allowed.encode("ascii", "replace").decode().replace("?", "-")[:128]


def _config(package: zipfile.ZipFile) -> dict[str, Any] | None:
    """Return our part of a package's description; None: another program's."""
    import yaml

    names = {Path(name).name: name for name in package.namelist()}
    for name in ("rdf.yaml", "bioimageio.yaml"):
        if name in names:
            text = _read(package, names[name], _LONGEST_TEXT)
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            described = yaml.load(text, loader)
            config = described.get("config") if isinstance(described, dict) else None
            ours = config.get(KEY) if isinstance(config, dict) else None
            return ours if isinstance(ours, dict) else None
    raise ValueError("it has no description")


def _read(package: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Unpack a file; a ValueError where it is longer than such a file is."""
    if package.getinfo(name).file_size > most:
        raise ValueError(f"{name} is too long")
    return package.read(name)


def _tensor_of(array: np.ndarray[Any, Any]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _weights(content: bytes) -> dict[str, torch.Tensor]:
    """Read numbers; a ValueError for anything else."""
    import torch

    state = torch.load(io.BytesIO(content), "cpu", weights_only=True)
    if not isinstance(state, dict) or not all(
        type(part) is torch.Tensor and part.layout is torch.strided and not part.is_meta
        for part in state.values()
    ):
        raise ValueError(f"{_WEIGHTS} holds something else than weights")
    return dict(state)


def _spec() -> Any:
    """Return what describes models of spec 0.5."""
    try:
        import bioimageio.core  # noqa: F401
        from bioimageio.spec.model import v0_5
    except ImportError as error:
        raise FileError(
            "Packages of bioimage.io need bioimageio.core: pip install "
            "'napari-localdisc[bioimageio]'."
        ) from error
    return v0_5
