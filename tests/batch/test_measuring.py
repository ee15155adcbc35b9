"""`localdisc measure`: files and folders into one table."""

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image
from tests.core import phantoms
from typer.testing import CliRunner

import napari_localdisc as ld
from napari_localdisc.batch import measuring
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.measure.structures import split_name
from napari_localdisc.io.labels import LabelMap, write_labels, write_map
from napari_localdisc.io.measured import find_measured

SHAPE = (120, 150)


@pytest.fixture
def tube():
    return phantoms.tube(SHAPE, [np.array([(60, 20), (70, 130)])], 6)


@pytest.fixture
def folder(tmp_path, tube):
    """Two images: one with picture, field of view and probability, one with classes."""
    place = tmp_path / "masks"
    place.mkdir()
    disc = phantoms.disc(SHAPE, (30, 40), 12)
    write_labels(place / "a_vessel.tif", LabelMap(tube.mask, names={1: "vessel"}))
    write_map(place / "a_vessel_probability.tif", tube.probability)
    Image.fromarray(disc).save(place / "a_optic_disc.png")
    grey = np.full((*SHAPE, 3), 90, np.uint8)
    Image.fromarray(grey).save(place / "a.jpg")
    view = np.ones(SHAPE, bool)
    view[:, 140:] = False
    Image.fromarray(view).save(place / "a_fov.png")
    classes = np.where(disc, 2, 0) + tube.mask
    placement = {"scale": [10.0, 10.0], "units": ["micrometer"] * 2}
    labels = LabelMap(classes, names={1: "Vein", 2: "Drusen"}, placement=placement)
    write_labels(place / "b.tif", labels)
    return place


@pytest.fixture
def study(tmp_path):
    def call(*arguments, out="study.csv"):
        given = ["measure", *arguments, "-o", tmp_path / out]
        return CliRunner().invoke(build_app(), [str(part) for part in given])

    return call


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pick(rows, **wanted):
    (row,) = [
        row
        for row in rows
        if not row["piece"] and all(row[k] == v for k, v in wanted.items())
    ]
    return row


def test_what_belongs_together(folder):
    first, second = find_measured([folder])
    assert first.name == "a"
    assert {path.name for path in first.labels} == {"a_vessel.tif", "a_optic_disc.png"}
    assert first.picture.name == "a.jpg"
    assert first.field_of_view.name == "a_fov.png"
    assert [name for name, _ in first.probabilities] == ["vessel"]
    assert (second.name, second.picture) == ("b", None)
    assert split_name(folder / "IDRiD_01_hard_exudates.png") == (
        "IDRiD_01",
        "hard_exudates",
    )
    assert split_name(folder / "my_labels.png") == ("my_labels", None)
    with pytest.raises(FileError, match="No labels"):
        find_measured([folder / "a_fov.png"])


def test_images_of_one_name_are_told_apart(study, tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    for place, size in (("left", 5), ("right", 7), ("left/old", 9)):
        (tmp_path / place).mkdir()
        mask[:size, :size] = 1
        Image.fromarray(mask).save(tmp_path / place / "eye.png")
        Image.fromarray(mask).save(tmp_path / place / f"eye{size}_vessel.png")
    write_labels(tmp_path / "left" / "eye.tif", LabelMap(mask))
    folders = [tmp_path / name for name in ("left", "right", "left/old")]
    result = study(*folders, "--kind", "any", "--no-pieces")
    assert result.exit_code == 0, result.output
    areas = {
        row["image"]: row["value"]
        for row in read(tmp_path / "study.csv")
        if row["measure"] == "area"
    }
    assert areas == {
        "eye.png": "25",
        "eye.tif": "81",
        "right/eye": "49",
        "old/eye": "81",
        "eye5": "25",
        "eye7": "49",
        "eye9": "81",
    }


def test_two_masks_of_one_structure_are_refused(folder):
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(folder / "a_vessel.png")
    with pytest.raises(FileError, match="both masks of vessel"):
        find_measured([folder])


def test_pictures_of_one_name_are_told_apart(study, models, tmp_path):
    noise = np.random.default_rng(0).integers(60, 220, (64, 64, 3), np.uint8)
    for place in "ab":
        (tmp_path / place).mkdir()
        Image.fromarray(noise).save(tmp_path / place / "x.png")
    result = study(tmp_path / "a", tmp_path / "b", "--model", "tiny", "--no-pieces")
    assert result.exit_code == 0, result.output
    assert {row["image"] for row in read(tmp_path / "study.csv")} == {"a/x", "b/x"}


def test_a_folder_becomes_one_table(study, folder, tmp_path, tube):
    result = study(folder, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [entry["state"] for entry in said] == ["written"] * 2
    assert {entry["outputs"][0] for entry in said} == {str(tmp_path / "study.csv")}
    rows = read(tmp_path / "study.csv")
    assert [*dict.fromkeys(row["image"] for row in rows)] == ["a", "b"]
    calibre = pick(
        rows,
        image="a",
        structure="vessel",
        measure="calibre median",
        region="field of view",
        unit="pixel",
    )
    assert "probability" in calibre["method"]
    assert float(calibre["value"]) == pytest.approx(6, abs=0.1)
    view = np.ones(SHAPE, bool)
    view[:, 140:] = False
    alone = ld.measure(
        {"optic disc": phantoms.disc(SHAPE, (30, 40), 12), "vessel": tube.mask},
        field_of_view=view,
        probability={"vessel": tube.probability},
        image=np.full((*SHAPE, 3), 90, np.uint8),
    )
    density = pick(rows, image="a", measure="density", region="field of view")
    assert float(density["value"]) == pytest.approx(
        alone.value(measure="density", region="field of view")
    )
    # Micrometres of the file's own placement
    drusen = pick(
        rows, image="b", structure="Drusen", measure="largest area", unit="mm²"
    )
    area = np.count_nonzero(phantoms.disc(SHAPE, (30, 40), 12) & ~tube.mask)
    assert float(drusen["value"]) == pytest.approx(area * 0.01**2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "study.csv"]


def test_names_and_options_are_heeded(study, folder, tmp_path):
    result = study(
        folder / "b.tif",
        "--name",
        "1=artery",
        "--regions",
        "field",
        "--no-pieces",
        "--mm-per-pixel",
        0.5,
    )
    assert result.exit_code == 0, result.output
    rows = read(tmp_path / "study.csv")
    assert {row["structure"] for row in rows} == {"artery", "Drusen"}
    assert {row["piece"] for row in rows} == {""}
    assert {row["region"] for row in rows} == {"image"}
    size = {
        row["unit"]: float(row["value"])
        for row in rows
        if row["measure"] == "skeleton length"
    }
    assert size["mm"] == pytest.approx(size["pixel"] / 2)


def test_stopped_work_goes_on(study, folder, tmp_path, monkeypatch):
    broken = folder / "c_vessel.png"
    broken.write_bytes(b"no picture")
    result = study(folder)
    assert result.exit_code == 1
    assert "c_vessel.png" in result.output
    # What could be done is done
    assert {row["image"] for row in read(tmp_path / "study.csv")} == {"a", "b"}
    assert measuring.parts_folder(tmp_path / "study.csv").is_dir()
    Image.fromarray(np.eye(40, dtype=bool)).save(broken)
    edited = np.zeros(SHAPE, np.uint8)
    write_labels(folder / "b.tif", LabelMap(edited, names={1: "Vein"}))
    os.utime(folder / "b.tif", (1, 1))
    result = study(folder, "--overwrite", "--json")
    assert result.exit_code == 0, result.output
    states = {
        entry["image"].rpartition("/")[2]: entry["state"]
        for entry in json.loads(result.stdout)
    }
    assert states["c_vessel.png"] == "written"
    assert states["b.tif"] == "written"
    assert list(states.values()).count("skipped") == 1
    rows = read(tmp_path / "study.csv")
    assert {row["image"] for row in rows} == {"a", "b", "c"}
    assert pick(rows, image="b", measure="density")["value"] == "0"
    assert not measuring.parts_folder(tmp_path / "study.csv").exists()


def test_nothing_is_replaced_unasked(study, folder, tmp_path):
    assert study(folder, "--dry-run").exit_code == 0
    (folder / "c_vessel.png").write_bytes(b"no picture")
    assert study(folder, "--dry-run").exit_code == 1
    (folder / "c_vessel.png").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    assert study(folder).exit_code == 0
    before = (tmp_path / "study.csv").read_bytes()
    result = study(folder)
    assert result.exit_code == 1
    assert "--overwrite" in result.output
    (tmp_path / "mine.csv").write_text("name,age\n")
    result = study(folder, "--overwrite", out="mine.csv")
    assert result.exit_code == 1
    assert (tmp_path / "mine.csv").read_text() == "name,age\n"
    assert (tmp_path / "study.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing/"], 1, "missing"),
        (["none*.png"], 1, "No file matches"),
        ([".", "--kind", "knee"], 2, "no kind"),
        ([".", "--regions", "moon"], 2, "--regions"),
        ([".", "--name", "vessel"], 2, "--name"),
    ],
)
def test_wrong_use_is_said(study, folder, monkeypatch, arguments, code, said):
    monkeypatch.chdir(folder)
    result = study(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.output


def test_a_table_ends_with_csv(study, folder):
    result = study(folder, out="study.xlsx")
    assert result.exit_code == 2
    assert ".csv" in result.output


def test_what_a_model_finds(study, models, tmp_path):
    rng = np.random.default_rng(0)
    pictures = tmp_path / "scans"
    pictures.mkdir()
    for name in "xy":
        noise = rng.integers(60, 220, (96, 90, 3), np.uint8)
        Image.fromarray(noise).save(pictures / f"{name}.png")
    result = study(pictures, "--model", "tiny", "--no-pieces")
    assert result.exit_code == 0, result.output
    assert "2 images: 2 written" in result.output
    rows = read(tmp_path / "study.csv")
    assert {row["image"] for row in rows} == {"x", "y"}
    assert {row["structure"] for row in rows} == {"vessel"}
    assert pick(rows, image="x", measure="density")["unit"] == "share"


def test_on_a_cluster(study, folder, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=None,
        protocol="tcp",
        host="127.0.0.1",  # else it asks the network for its own address
    ) as cluster:
        result = study(folder, "--scheduler", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    assert {row["image"] for row in read(tmp_path / "study.csv")} == {"a", "b"}
