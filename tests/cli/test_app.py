"""The command line, through Typer's runner and as a process."""

import json
import os
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_localdisc.cli import commands, main
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.embedding.tuning import StructureOptions, structure_mask
from napari_localdisc.core.model.model import Model, save_model

COMMANDS = (
    *("demo", "cluster", "segment", "similar", "measure"),
    *("study", "compare", "index", "find", "landmark"),
    *("train", "adapt", "finetune"),
    *("evaluate", "export", "models", "cache"),
)


@pytest.fixture
def localdisc(models):
    """Call the command line with the small models."""
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})

    def call(*arguments):
        given = [str(argument) for argument in arguments]
        result = runner.invoke(build_app(), given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def folder(tmp_path):
    """Two photographs of a disc in a dark frame, with masks of the disc."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :130] - 60
    view = np.hypot(rows, columns) < 56
    images = tmp_path / "images"
    images.mkdir()
    for name, place in (("a", 20), ("b", -15)):
        disc = np.hypot(rows - place, columns) < 10
        image = rng.integers(80, 120, (120, 130, 3)) + 100 * disc[..., None]
        Image.fromarray((image * view[..., None]).astype(np.uint8)).save(
            images / f"{name}.jpg"
        )
        Image.fromarray(disc.astype(np.uint8) * 255).save(images / f"{name}_vessel.png")
    return images


@pytest.fixture
def scans(folder, tmp_path):
    """The photographs alone."""
    alone = tmp_path / "scans"
    alone.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (alone / name).write_bytes((folder / name).read_bytes())
    return alone


def test_every_module_of_a_command_is_a_command():
    assert {module.name for module in pkgutil.iter_modules(commands.__path__)} == {
        *COMMANDS
    }


def test_help_lists_what_there_is(localdisc):
    result = localdisc("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_examples(localdisc, command):
    result = localdisc(command, "--help")
    assert result.exit_code == 0
    assert f"localdisc {command}" in result.stdout.split("Examples")[1]


def test_cluster_writes_labels_of_the_image_own_size(localdisc, scans, tmp_path):
    out = tmp_path / "out"
    result = localdisc("cluster", scans / "a.jpg", "-o", out, "-m", "tiny", "-n", 6)
    assert result.exit_code == 0, result.stderr
    labels = tifffile.imread(out / "a_clusters.tif")
    assert labels.shape == (120, 130)
    assert labels[0, 0] == 0
    inside = labels[30:90, 30:90]
    assert inside.min() >= 1
    assert inside.max() <= 6
    assert "a_clusters.tif" in result.stdout


def test_one_bad_image_does_not_stop_the_rest(localdisc, scans, tmp_path):
    (scans / "aa.png").write_text("no picture")
    Image.new("RGB", (50, 50)).save(scans / "black.png")
    Image.new("L", (1, 1), 9).save(scans / "dot.png")
    out = tmp_path / "out"
    result = localdisc("cluster", scans, "-o", out, "-m", "tiny")
    assert result.exit_code == 1
    names = sorted(path.name for path in out.iterdir())
    assert names == ["a_clusters.tif", "b_clusters.tif"]
    errors = sorted(result.stderr.strip().splitlines())
    assert len(errors) == 3
    assert "aa.png is not an image" in errors[0]
    assert "black.png" in errors[1]
    assert "dot.png" in errors[2]
    assert "5 images: 2 written, 3 failed" in result.stdout


def test_the_second_time_nothing_is_done(localdisc, scans, tmp_path):
    given = ("cluster", f"{scans}/*.jpg", "-o", tmp_path, "-m", "tiny", "--json")
    dry = json.loads(localdisc(*given, "--dry-run").stdout)
    assert [row["state"] for row in dry] == ["planned", "planned"]
    first = json.loads(localdisc(*given).stdout)
    assert [row["state"] for row in first] == ["written", "written"]
    assert first[0]["outputs"] == [str(tmp_path / "a_clusters.tif")]
    second = json.loads(localdisc(*given).stdout)
    assert [row["state"] for row in second] == ["skipped", "skipped"]
    again = json.loads(localdisc(*given, "--overwrite").stdout)
    assert [row["state"] for row in again] == ["written", "written"]
    other = localdisc(*given, "--clusters", 3)
    assert other.exit_code == 1
    assert "other settings" in other.stderr


@pytest.mark.parametrize("images", [1, 2])
def test_the_model_is_loaded_once(localdisc, scans, tmp_path, monkeypatch, images):
    from napari_localdisc.core.model import model as models

    loaded = []

    class Counted(models.Model):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            loaded.append(self.hash)

    monkeypatch.setattr(models, "Model", Counted)
    sources = [scans / name for name in ("a.jpg", "b.jpg")][:images]
    result = localdisc("cluster", *sources, "-o", tmp_path / "out", "-m", "tiny")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").iterdir())) == images
    assert len(loaded) == 1


def test_segment_finds_several_structures_in_one_run(localdisc, scans, tmp_path):
    two = Model.random(
        working_diameter=144, width=4, structures={"vessel": 0, "disc": 1}
    )
    model = save_model(two, tmp_path / "two")
    given = ("segment", scans, "-o", tmp_path / "both", "-m", model)
    both = localdisc(*given, "-s", "Vessel", "-s", "disc", "-s", "vessel")
    assert both.exit_code == 0, both.output
    assert "2 images, 2 structures each: 4 written" in both.stdout
    for name in ("vessel", "disc"):
        alone = ("segment", scans, "-o", tmp_path / name, "-m", model, "-s", name)
        assert localdisc(*alone).exit_code == 0
        for file in sorted((tmp_path / name).glob("*.tif")):
            together = tifffile.imread(tmp_path / "both" / file.name)
            np.testing.assert_array_equal(together, tifffile.imread(file))
    again = localdisc(*given, "-s", "vessel", "-s", "disc", "--json")
    assert [each["state"] for each in json.loads(again.stdout)] == ["skipped"] * 4


def test_segment_writes_mask_and_probability(localdisc, scans, tmp_path):
    given = ("segment", scans, "--structure", "Vessel", "-o", tmp_path, "-m", "tiny")
    result = localdisc(*given)
    assert result.exit_code == 0, result.stderr
    mask = tifffile.imread(tmp_path / "b_vessel.tif")
    probability = tifffile.imread(tmp_path / "b_vessel_probability.tif")
    assert mask.shape == probability.shape == (120, 130)
    assert probability.dtype == np.float32
    np.testing.assert_array_equal(mask, probability >= 0.5)
    shape = ("--minimum-size", 40, "--largest-only", "--fill-holes", "--bridge-gaps", 2)
    assert "other settings" in localdisc(*given, *shape).stderr
    result = localdisc(*given, *shape, "--overwrite")
    assert result.exit_code == 0, result.stderr
    tuned = tifffile.imread(tmp_path / "b_vessel.tif")
    options = StructureOptions(0.5, 2, True, 40, True)
    np.testing.assert_array_equal(tuned, structure_mask(probability, options))
    without = ("segment", scans, "-c", "x", "-o", tmp_path, "--fill-holes")
    assert localdisc(*without).exit_code == 2


def test_similar_writes_floats_and_a_mask(localdisc, scans, tmp_path):
    out, mask = tmp_path / "similar.tif", tmp_path / "mask.tif"
    given = ("similar", scans / "a.jpg", "--at", "80,60", "--not", "40,60", "-o", out)
    result = localdisc(*given, "--mask", mask, "-m", "tiny")
    assert result.exit_code == 0, result.stderr
    similarity = tifffile.imread(out)
    assert similarity.dtype == np.float32
    assert similarity.shape == (120, 130)
    assert similarity[80, 60] > similarity[40, 60]
    assert similarity[0, 0] == 0
    marked = tifffile.imread(mask)
    assert marked[80, 60] == 1
    refused = localdisc(*given, "-m", "tiny")
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr
    assert localdisc(*given, "-m", "tiny", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("--threshold", 0.4), {"threshold": 0.4}),
        (("--connected",), {"connected": True}),
        (("--smooth", "--minimum-size", 30), {"smooth": True, "minimum_size": 30}),
    ],
)
def test_similar_shapes_the_mask_as_asked(localdisc, scans, tmp_path, options, asked):
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.model.model import load_model

    given = ("similar", scans / "a.jpg", "--at", "80,60", "-m", "tiny")
    given = (*given, "-o", tmp_path / "similar.tif", *options)
    refused = localdisc(*given)
    assert refused.exit_code == 2
    assert "--mask FILE" in refused.stderr
    result = localdisc(*given, "--mask", tmp_path / "mask.tif")
    assert result.exit_code == 0, result.stderr
    image = np.asarray(Image.open(scans / "a.jpg"))
    embedding = embed(image, load_model("tiny", "cpu"))
    mask = tifffile.imread(tmp_path / "mask.tif")
    np.testing.assert_array_equal(mask, embedding.mask([(80, 60)], **asked))
    assert not np.array_equal(mask, embedding.mask([(80, 60)]))


def test_similar_takes_boxes(localdisc, scans, tmp_path):
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.model.model import load_model

    out, mask = tmp_path / "similar.tif", tmp_path / "mask.tif"
    boxes = ("--box", "60,40,90,80", "--not-box", "60,40,70,50")
    given = ("similar", scans / "a.jpg", *boxes, "-o", out, "--mask", mask)
    result = localdisc(*given, "-m", "tiny")
    assert result.exit_code == 0, result.stderr
    image = np.asarray(Image.open(scans / "a.jpg"))
    frames = {
        "frames": [[(60, 40), (90, 80)]],
        "negative_frames": [[(60, 40), (70, 50)]],
    }
    wanted = embed(image, load_model("tiny", "cpu")).mask(**frames)
    np.testing.assert_array_equal(tifffile.imread(mask), wanted)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--at", "80"), "--at takes a row and a column"),
        (("--at", "80,x"), "not '80,x'"),
        (("--at", "500,60"), "lies outside the image"),
        (("--at", "1,1"), "field of view"),
        (("--at", "80,60", "--not", "1;2"), "--not takes a row"),
        (("--box", "80,60"), "--box takes two opposite corners"),
        (("--at", "80,60", "--not-box", "1,2,3,x"), "not '1,2,3,x'"),
        ((), "--at Y,X, or --box"),
    ],
)
def test_wrong_points_are_wrong_use(localdisc, scans, tmp_path, arguments, sentence):
    out = tmp_path / "x.tif"
    result = localdisc("similar", scans / "a.jpg", *arguments, "-o", out, "-m", "tiny")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not out.exists()


def test_similar_keeps_the_embedding_for_the_next_time(
    localdisc, scans, tmp_path, monkeypatch
):
    from napari_localdisc.core.model.inference import FastNetwork

    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "kept"))
    given = ("similar", scans / "a.jpg", "-m", "tiny", "--overwrite", "--at")
    outs = [tmp_path / f"{name}.tif" for name in "abc"]
    localdisc(*given, "80,60", "-o", outs[0], "--no-cache")
    assert not (tmp_path / "kept").exists()
    localdisc(*given, "80,60", "-o", outs[1])
    monkeypatch.setattr(FastNetwork, "fill", None)
    assert localdisc(*given, "80,60", "-o", outs[2]).exit_code == 0
    images = [tifffile.imread(out) for out in outs]
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])
    said = json.loads(localdisc("cache", "--json").stdout)
    assert said["folder"] == str(tmp_path / "kept")
    assert said["bytes"] > 0
    freed = json.loads(localdisc("cache", "--clear", "--json").stdout)
    assert freed["freed"] == said["bytes"]
    assert freed["bytes"] == 0


@pytest.mark.parametrize(
    "command", [("cluster",), ("segment", "--structure", "vessel")]
)
def test_folders_leave_the_cache_alone(
    localdisc, scans, tmp_path, monkeypatch, command
):
    """Neither read nor filled, as their help says."""
    cache = tmp_path / "kept"
    monkeypatch.setenv("LOCALDISC_CACHE", str(cache))
    given = ("similar", scans / "a.jpg", "-m", "tiny", "--at", "80,60")
    assert localdisc(*given, "-o", tmp_path / "similar.tif").exit_code == 0
    (kept,) = cache.iterdir()
    os.utime(kept, (1000, 1000))
    result = localdisc(*command, scans, "-o", tmp_path / "out", "-m", "tiny")
    assert result.exit_code == 0, result.output
    assert list(cache.iterdir()) == [kept]
    assert kept.stat().st_mtime == 1000
    help_text = " ".join(localdisc(command[0], "--help").output.split())
    assert "cache of embeddings is neither read nor filled" in help_text


def test_similar_works_where_nothing_can_be_kept(
    localdisc, scans, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "file" / "cache"))
    out = tmp_path / "a.tif"
    result = localdisc(
        "similar", scans / "a.jpg", "--at", "80,60", "-o", out, "-m", "tiny"
    )
    assert result.exit_code == 0
    assert out.exists()
    assert "cannot be used" in result.stderr


def test_similar_needs_a_tiff_name(localdisc, scans, tmp_path):
    out = tmp_path / "x.png"
    result = localdisc("similar", scans / "a.jpg", "--at", "80,60", "-o", out)
    assert result.exit_code == 1
    assert "must end with .tif" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("cluster", "SCANS", "-m", "nothing"), 2, "no model 'nothing'"),
        (("cluster", "SCANS", "-m", "broken"), 2, "damaged"),
        (("cluster", "SCANS", "-m", "tiny", "-n", "17"), 2, "17"),
        (("cluster", "SCANS", "-m", "other", "-n", "7"), 2, "7"),
        (("cluster", "SCANS", "-m", "tiny", "--flips", "3"), 2, "1, 2 or 4"),
        (("cluster", "nowhere/*.png", "-m", "tiny"), 1, "No file matches"),
        (("cluster", "-m", "tiny"), 2, "IMAGE"),
        (("segment", "SCANS", "-s", "fovea", "-m", "tiny"), 2, "no structure 'fovea'"),
        (("cluster", "SCANS", "-m", "tiny", "--device", "abacus"), 2, "abacus"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    localdisc, scans, tmp_path, monkeypatch, arguments, code, sentence
):
    if "broken" in arguments:
        (tmp_path / "broken.safetensors").write_bytes(b"\0" * 100)
        monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    given = [scans if argument == "SCANS" else argument for argument in arguments]
    out = tmp_path / "out"
    result = localdisc(*given, "-o", out)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()


def test_evaluate_prints_tables(localdisc, folder):
    Image.new("RGB", (60, 60), "gray").save(folder / "c.jpg")
    result = localdisc("evaluate", folder, "--structure", "vessel", "-m", "tiny")
    assert result.exit_code == 0, result.stderr
    said = result.stdout
    assert "2 images, 1 more without a mask of it" in said
    for word in ("Sato + Otsu", "Lab colour", "scikit-image features", "10 clicks"):
        assert word in said


def test_evaluate_as_json(localdisc, folder):
    given = ("evaluate", folder, "-s", "vessel", "-m", "tiny", "--json", "--limit", 1)
    report = json.loads(localdisc(*given, "--measures", "structure,clusters").stdout)
    assert report["of"] == "vessel"
    assert report["images"] == 1
    assert report["model"] == "tiny"
    assert set(report["structure"]["localdisc"]) >= {"dice", "auc"}
    assert set(report["clusters"]) == {"4", "8", "16"}
    assert not report["clicks"]


def test_evaluate_measures_the_rest_where_one_mask_is_wrong(localdisc, folder):
    Image.new("L", (9, 9), 255).save(folder / "a_vessel.png")
    given = ("evaluate", folder, "-s", "vessel", "-m", "tiny", "--json")
    result = localdisc(*given, "--measures", "structure")
    assert result.exit_code == 1
    assert "a_vessel.png has 9×9 pixels" in result.stderr
    assert json.loads(result.stdout)["images"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("-s", "fovea"), 1, "structures with masks there: vessel"),
        (("-s", "vessel", "--as", "disc"), 2, "names no structure 'disc'"),
        (("-s", "vessel", "--measures", "dice"), 2, "Unknown measure 'dice'"),
    ],
)
def test_evaluate_says_what_it_cannot_do(localdisc, folder, arguments, code, sentence):
    result = localdisc("evaluate", folder, *arguments, "-m", "tiny")
    assert result.exit_code == code
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["evaluate", "x", "-s", "disc", "--structure", "cup"], "--structure"),
        (["cluster", "x", "-o", "a", "--output", "b"], "--output"),
        (["study", "new", "x", "-m", "a", "-m", "a"], "--model"),
    ],
)
def test_an_option_given_twice_is_not_half_heard(localdisc, arguments, option):
    result = localdisc(*arguments)
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())
    assert f"'{option}': given 2 times, but it takes one value" in said


@pytest.mark.parametrize(
    "command", [("train",), ("adapt",), ("finetune", "--structure", "vessel")]
)
def test_no_model_is_replaced_unasked(localdisc, folder, tmp_path, command):
    file = tmp_path / "mine.safetensors"
    given = (command[0], folder, *command[1:], "-o", file)
    dry = localdisc(*given, "--dry-run", "--json")
    assert json.loads(dry.stdout)["state"] == "planned"
    assert not file.exists()
    file.write_text("precious")
    refused = localdisc(*given)
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr
    assert file.read_text() == "precious"


def test_models_are_listed_and_shown(localdisc, models):
    rows = json.loads(localdisc("models", "--json").stdout)
    own = {row["name"]: row for row in rows}
    assert own["tiny"]["structures"] == ["vessel"]
    assert own["other"]["clusters"] == 6
    assert "tiny" in localdisc("models").stdout
    assert localdisc("models", "tiny").stdout.startswith("# tiny")
    assert json.loads(localdisc("models", "tiny", "--json").stdout)["name"] == "tiny"
    assert localdisc("models", "nothing").exit_code == 2


def test_a_damaged_model_is_named_and_the_others_listed(
    localdisc, models, tmp_path, monkeypatch
):
    (tmp_path / "bad.safetensors").write_bytes(b"junk")
    tiny = "tiny.safetensors"
    (tmp_path / tiny).write_bytes((models / tiny).read_bytes())
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    result = localdisc("models")
    assert result.exit_code == 1
    assert "bad.safetensors is damaged" in result.stderr
    assert "tiny" in result.stdout


def test_main_returns_the_exit_code(models, scans, tmp_path, capfd):
    out = str(tmp_path / "out")
    assert main(["cluster", str(scans), "-o", out, "-m", "tiny"]) == 0
    assert main(["cluster", str(scans), "-o", out, "-m", "nothing"]) == 2
    assert main(["--version"]) == 0
    assert "no model 'nothing'" in capfd.readouterr().err


def test_as_a_process_help_is_quick_and_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from napari_localdisc.cli import main; status = main(['--help']);"
        "heavy = {'torch', 'napari', 'numpy', 'scipy', 'skimage', 'qtpy'};"
        "sys.exit(status or ','.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_as_a_process_errors_are_one_sentence(models, tmp_path):
    command = [sys.executable, "-m", "napari_localdisc", "cluster", "gone.png"]
    result = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "-m", "tiny"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.strip() == "error: There is no file gone.png."
    assert not (tmp_path / "out").exists()
