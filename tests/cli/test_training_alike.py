"""Panel and command line ask for one training: same images, priors and modality."""

import dataclasses

import pytest
from napari.components import ViewerModel
from PIL import Image
from tests.tiny_training import fundus_like
from typer.testing import CliRunner

from napari_localdisc.cli.app import build_app
from napari_localdisc.core.model.model import load_model
from napari_localdisc.viewer.training import control as training_control
from napari_localdisc.viewer.training.control import TrainingControl
from napari_localdisc.viewer.training.process import Orders, Reporter, run
from napari_localdisc.viewer.training.request import TrainingRequest, model_file


class TrainingAskedForError(Exception):
    """Stands for the training itself."""


@pytest.fixture
def asked(monkeypatch):
    """What the last training was asked for; it does not begin."""
    heard = {}

    def train(images, out, **options):
        heard.clear()
        heard.update(options, images=images)
        raise TrainingAskedForError

    for module in (
        "core.training.train",
        "core.training.adapt",
        "viewer.training.process",
    ):
        monkeypatch.setattr(f"napari_localdisc.{module}.train", train)
    return heard


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(fundus_like(number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def in_the_panel(asked, tmp_path, monkeypatch):
    """Start in the panel, and let its process read the request here."""
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path / "models"))
    requests = []

    class Job:
        def __init__(self, request, planes, current):
            requests.append(request)

        def start(self):
            pass

    monkeypatch.setattr(training_control, "TrainingJob", Job)

    def done(name, folder, **fields):
        wanted = TrainingRequest(str(model_file(name)), str(folder), **fields)
        TrainingControl(ViewerModel()).start(wanted)
        request = TrainingRequest.from_json(requests[-1].to_json())
        reporter = Reporter(None, tmp_path, Orders(tmp_path), 30)
        with pytest.raises(TrainingAskedForError):
            run(request, tmp_path, reporter)
        return dict(asked)

    return done


@pytest.fixture
def on_the_command_line(asked, tmp_path):
    def done(*arguments):
        out = str(tmp_path / "new.safetensors")
        given = [str(part) for part in (*arguments, "-o", out)]
        result = CliRunner().invoke(build_app(), given)
        assert isinstance(result.exception, TrainingAskedForError), result.output
        return dict(asked)

    return done


def settings_of(options):
    return dataclasses.replace(options["settings"], steps=1, minutes=None)


@pytest.mark.parametrize(
    ("modality", "priors"),
    [("frame", ("lungs", "heart")), ("fundus", ("vessel-tree", "disc"))],
)
def test_a_new_model_is_trained_alike(
    in_the_panel, on_the_command_line, scans, modality, priors
):
    named = [part for prior in priors for part in ("--prior", prior)]
    there = on_the_command_line("train", scans, "--modality", modality, *named)
    here = in_the_panel(
        "mine", scans, modality=modality, settings={"priors": list(priors)}
    )
    assert settings_of(here) == settings_of(there)
    assert here["settings"].modality == modality
    assert here["details"] == there["details"]


def test_a_chest_is_neither_mirrored_nor_turned_in_the_panel(in_the_panel, scans):
    asked = in_the_panel("thorax", scans, modality="frame", minutes=12)
    settings = asked["settings"]
    assert settings.working_diameter == settings.crop_size == 256
    assert settings.augmentation.radiographs
    assert not settings.augmentation.mirror
    assert settings.augmentation.largest_turn == 10
    assert settings.weights.fitted == 5
    assert settings.minutes == 12


def test_settings_of_a_request_change_those_of_its_modality(in_the_panel, scans):
    changes = {"working_diameter": 128, "weights": {"fitted": 2.0}}
    asked = in_the_panel("thorax", scans, modality="frame", settings=changes)
    settings = asked["settings"]
    assert settings.crop_size == 128
    assert settings.weights.fitted == 2
    assert settings.augmentation.radiographs


@pytest.mark.parametrize("model", ["chest", "fundus"])
def test_a_model_is_adapted_alike(in_the_panel, on_the_command_line, scans, model):
    there = on_the_command_line("adapt", scans, "--model", model, "--minutes", "7")
    here = in_the_panel("mine", scans, model=model, minutes=7)
    assert here["settings"] == there["settings"]
    assert here["details"] == there["details"]
    trained = load_model(model, "cpu").card.details["settings"]
    assert here["settings"].augmentation.radiographs == (model == "chest")
    assert here["settings"].working_diameter == trained["working_diameter"]


def test_the_help_names_all_priors():
    from napari_localdisc.core.priors import PRIORS

    shown = CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), ["train", "--help"])
    assert [name for name in PRIORS if name not in shown.output] == []
