"""The benchmarks run; their figures count only where nothing else runs.

Each is tried once on a small image, so that a change of the package cannot break it
unseen.
"""

import contextlib
import importlib
import json
import sys

import numpy as np
import pytest
from skimage.transform import resize

pytest.importorskip("benchmarks", reason="only in a check-out")

from benchmarks import machine, training_step, ways
from benchmarks.__main__ import put

from napari_localdisc.core.model.model import Model
from napari_localdisc.io.samples import open_retina


@pytest.fixture(scope="module")
def small_retina():
    image = resize(open_retina()[0][0], (300, 300), preserve_range=True)
    return image.astype("uint8")


@pytest.fixture
def trial(monkeypatch, small_retina):
    """Load a benchmark with constants of a trial; call its `run`."""
    monkeypatch.setattr(machine, "RUNS", 1)

    def try_out(name, **constants):
        module = importlib.import_module(f"benchmarks.{name}")
        monkeypatch.setattr(module, "retina", lambda: small_retina)
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        return module.run().splitlines()

    return try_out


@pytest.mark.parametrize(
    ("name", "rows", "constants"),
    [
        ("click", 6, {}),
        ("sliders", 3, {}),
        ("strokes", 3, {"COUNTS": (200, 400, 800)}),
        ("embedding_speed", 10, {"SIDE": 64, "HALF": "float32"}),
        ("training_step", 4, {"SIDE": 64}),
        ("alternatives", 4, {"SIDES": (56, 70)}),
        ("measure_speed", 5, {}),
    ],
)
def test_prints_a_table(trial, name, rows, constants):
    lines = trial(name, **constants)
    cells = [line.count("|") for line in lines if line.startswith("|")]
    assert len(cells) == rows + 2
    assert len(set(cells)) == 1


def test_the_released_step_learns():
    step = training_step.ReleasedStep(side=32)
    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_works_take_turns():
    order = []
    seconds = machine.interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    )
    assert order == ["a", "b"] * (machine.RUNS + 1)
    assert set(seconds) == {"a", "b"}


def test_a_small_collection_is_asked(monkeypatch):
    from benchmarks import collection

    monkeypatch.setattr(machine, "RUNS", 1)
    monkeypatch.setattr(collection, "SIZES", (4000,))
    *_, row = collection.run().splitlines()
    assert row.startswith("| 4,000 | 0 |")


def test_a_mark_is_measured_in_all_other_images(models, small_retina):
    from benchmarks import landmarks

    import napari_localdisc as ld

    embedding = ld.embed(small_retina, ld.load_model("tiny"))
    row = landmarks.measured("fovea", [(embedding, (150.0, 150.0), 50.0)] * 3)
    assert row[:2] == ("fovea", 3)
    assert float(row[2]) < 0.1


def test_a_page_keeps_one_table_of_each():
    page = put("# Page\n", "click", "first")
    page = put(page, "hover", "other")
    page = put(page, "click", "second \\1")
    assert "first" not in page
    assert page.index("second \\1") < page.index("other")
    assert page.count("<!-- click -->") == 1


def test_strokes_with_and_without_the_picture(
    monkeypatch, tmp_path, models, small_retina
):
    from benchmarks import stroke_features
    from PIL import Image

    mask = np.zeros(small_retina.shape[:2], bool)
    mask[120:150, 30:60] = True
    Image.fromarray(small_retina).save(tmp_path / "eye.png")
    Image.fromarray(mask).save(tmp_path / "eye_optic_disc.png")
    monkeypatch.setattr(stroke_features, "MODEL", "tiny")
    *_, row = stroke_features.run(str(tmp_path)).splitlines()
    assert row.startswith("| optic_disc | 1 | 0.")


def test_other_cameras_are_simulated_from_an_image():
    from benchmarks import cameras

    rows, columns = np.mgrid[:240, :260]
    inside = np.hypot(rows - 120, columns - 130) < 100
    vessels = inside & (abs(columns - 130) < 3)
    image = np.where(vessels[..., None], 60, 150).astype(np.uint8) * inside[..., None]
    image = np.repeat(image, 3, axis=2)
    _, near, seen, there = cameras.narrow(image, vessels, inside)
    assert 2 * np.sqrt(seen.sum() / np.pi) == pytest.approx(133, abs=2)
    assert near.shape == seen.shape
    assert near[seen].sum() == vessels[there].sum() > 0
    wider, found, scored, there = cameras.wide(image, vessels, inside)
    assert scored.sum() == inside.sum()
    assert found.sum() == vessels.sum()
    assert (there == inside).all()
    lit = wider[..., 0] > 0
    assert 2 * np.sqrt(lit.sum() / np.pi) == pytest.approx(267, abs=3)
    middle = lit.shape[1] // 2
    assert wider[lit.any(1).argmax() + 12, middle, 0] == 60  # the vessel goes on


def test_other_cameras_are_measured(monkeypatch, tmp_path, small_retina):
    from benchmarks import cameras
    from PIL import Image

    model = Model.random(working_diameter=96, width=2, structures={"vessel": 0})
    monkeypatch.setattr(cameras, "load_model", lambda name: model)
    mask = np.zeros(small_retina.shape[:2], bool)
    mask[100:200, 140:146] = True
    Image.fromarray(small_retina).save(tmp_path / "eye.png")
    Image.fromarray(mask).save(tmp_path / "eye_vessel.png")
    _, _, *rows = cameras.run(str(tmp_path)).splitlines()
    assert [row.split(" | ")[0] for row in rows] == [f"| {v}" for v in cameras.VIEWS]


def test_measures_of_ours_beside_those_by_hand(monkeypatch, tmp_path, models):
    from benchmarks import measures
    from PIL import Image

    from napari_localdisc.core.model.model import Model, save_model

    rng = np.random.default_rng(0)
    tube = np.zeros((90, 96), bool)
    tube[40:46, 8:88] = True
    heart, lung = np.zeros((2, 90, 96), bool)
    heart[50:70, 40:60] = True
    lung[20:70, 10:35] = lung[20:70, 62:90] = True
    for folder, masks in (
        ("fundus/drive/training", {"vessel": tube}),
        ("fundus/drive/test", {"vessel": tube}),
        ("chest/jsrt", {"heart": heart, "lung": lung}),
    ):
        place = tmp_path / folder
        place.mkdir(parents=True)
        for name in "abcd":
            noise = rng.integers(60, 220, (90, 96, 3), np.uint8)
            Image.fromarray(noise).save(place / f"{name}.png")
            for structure, mask in masks.items():
                Image.fromarray(mask).save(place / f"{name}_{structure}.png")
    chest = Model.random(
        name="ribs", working_diameter=64, width=4, structures={"lung": 0, "heart": 1}
    )
    save_model(chest, tmp_path / "ribs.safetensors")
    monkeypatch.setattr(
        measures,
        "MODELS",
        {"fundus": "tiny", "chest": str(tmp_path / "ribs.safetensors")},
    )
    monkeypatch.setattr(measures, "find_vessels", lambda values, seen: tube)
    ratios = iter([(0.5, 0.52), (0.45, 0.44)] * 2)
    monkeypatch.setattr(measures, "heart_ratios", lambda image, model: next(ratios))
    training, test, hearts = measures.run(str(tmp_path)).split("\n\n")
    for table in (training, test):
        rows = table.splitlines()
        assert len(rows) == 2 + len(measures.VESSELS) + 2
        assert len({row.count("|") for row in rows}) == 1
    *_, report = hearts.splitlines()
    assert "| 0.010 | ≤ 0.04, aim 0.02 | yes, aim yes |" in report


def test_a_way_is_counted_by_files(tmp_path, monkeypatch):
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cellar.py").write_text(
        "def fetch():\n    yield 1\n    yield 2\n\ndef key(n):\n    return -n\n"
    )
    (package / "hall.py").write_text(
        "from .cellar import fetch, key\n\n"
        "def serve():\n    return sorted([n for n in list(fetch())], key=key)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    hall = importlib.import_module("house.hall")
    counted = ways.Ways(package)
    with counted.counting("serve"):
        hall.serve()
    way = counted.ways["serve"]
    # There and back for each of three resumes, and for each of two keys
    assert way.moves == {
        ("hall.py", "cellar.py"): 5,
        ("cellar.py", "hall.py"): 5,
    }
    assert way.count() == {
        "calls": 6,
        "functions": 3,
        "files": 2,
        "moves": 10,
        "returns": 9,
    }
    assert sys.getprofile() is None


def test_the_ways_story_can_be_told(models, cache_on_disk, picture):
    told = []

    def counting(name):
        told.append(name)
        return contextlib.nullcontext()

    ways.tell(picture, counting, "tiny")
    before = json.loads(ways.BEFORE.read_text("utf-8"))["counts"]
    assert [*told, "folder of two"] == list(before)
    assert set(ways.CLAIMED) < set(before)
    rows = ways.compare(before, before, "then").splitlines()[2:]
    assert [row.endswith("**no** |") for row in rows] == [
        name in ways.CLAIMED for name in before
    ]
