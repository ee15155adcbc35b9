"""A point marked in one image is found in others; as a concept, and by the command."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import napari_localdisc as ld
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.learning.concept import KEY, Concept, load_concept

POINT = (50.0, 80.0)


def eye(shift=(0, 0), size=(120, 150)):
    """Draw a disc, two arcades and a dark place between them, in a round view."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    view = np.hypot(rows - 59.5, columns - 74.5) < 58
    rows, columns = rows - shift[0], columns - shift[1]
    disc = np.hypot(rows - 50, columns - 110) < 10
    arcades = np.abs(np.abs(rows - 50) - 30 + 0.01 * (columns - 80) ** 2) < 2
    fovea = np.exp(-(np.hypot(rows - POINT[0], columns - POINT[1]) ** 2) / 60)
    tones = 120 + 90 * disc - 60 * arcades * (columns < 110) - 30 * fovea
    picture = tones[..., None] * np.array([1, 0.6, 0.3]) * view[..., None]
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def model(models):
    return ld.load_model("tiny", "cpu")


@pytest.fixture
def marked(model):
    return ld.embed(eye(), model)


def away(found, point):
    return np.hypot(found.point[0] - point[0], found.point[1] - point[1])


def test_it_is_found_where_it_was_marked(marked):
    found = ld.landmark(marked, POINT).find(marked)
    assert away(found, POINT) < 2
    assert found.likeness == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("shift", [(6, -5), (-7, 4)])
def test_it_is_found_where_its_surroundings_are(marked, model, shift):
    there = ld.embed(eye(shift), model)
    found = ld.landmark(marked, POINT).find(there)
    assert away(found, np.add(POINT, shift)) < 5
    assert 0.2 < found.likeness < 1
    larger = ld.embed(eye(shift).repeat(2, 0).repeat(2, 1), model)
    twice = ld.landmark(marked, POINT).find(larger)
    assert away(twice, 2 * np.add(POINT, shift) + 0.5) < 10


def test_the_other_eye_is_a_mirror_image(marked, model):
    other = ld.embed(eye((3, 2))[:, ::-1].copy(), model)
    found = ld.landmark(marked, POINT).find(other)
    assert away(found, (POINT[0] + 3, 149 - POINT[1] - 2)) < 6


def test_what_is_no_mark(marked, model):
    with pytest.raises(PromptError, match="outside the field of view"):
        ld.landmark(marked, (0, 0))
    for points in ([POINT, POINT], []):
        with pytest.raises(PromptError, match="one point"):
            ld.landmark(marked, points)
    other = ld.embed(eye(), ld.load_model("other"))
    with pytest.raises(ModelError, match="mark it again"):
        ld.landmark(marked, POINT).find(other)


def test_a_concept_of_kind_point(marked, tmp_path):
    mark = ld.landmark(marked, POINT)
    path = Concept.from_landmark("fovea", mark, colour="#112233").save(tmp_path / "f")
    concept = load_concept(path)
    assert (concept.kind, concept.name) == ("point", "fovea")
    assert concept.rule.find(marked) == mark.find(marked)
    labels = concept.labels(marked)
    rows, columns = np.nonzero(labels)
    assert labels.dtype == np.uint8
    assert away(mark.find(marked), (rows.mean(), columns.mean())) < 1
    assert 2 <= np.ptp(rows) <= 5  # 1/40 of the diameter
    with pytest.raises(PromptError, match="no threshold"):
        concept.with_threshold(0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("template", np.zeros((3, 4, 32), np.float32)),
        ("seen", np.zeros((3, 3), bool)),
        ("offset", np.zeros(3, np.float32)),
        ("offset", np.full(2, np.nan, np.float32)),
    ],
)
def test_a_file_that_is_wrong_says_so(marked, tmp_path, name, value):
    path = Concept.from_landmark("fovea", ld.landmark(marked, POINT)).save(
        tmp_path / "f"
    )
    arrays = load_file(path)
    text = path.read_bytes()
    length = int.from_bytes(text[:8], "little")
    header = json.loads(text[8 : 8 + length])["__metadata__"][KEY]
    assert json.loads(header)["format"] == 3
    save_file(arrays | {name: value}, path, {KEY: header})
    with pytest.raises(FileError, match="not a whole concept"):
        load_concept(path)


def test_the_command(models, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for name, shift in (("a", (0, 0)), ("b", (5, 5))):
        Image.fromarray(eye(shift)).save(scans / f"{name}.png")
    (scans / "c.png").write_text("no picture")

    def localdisc(*arguments):
        given = ["landmark", *(str(argument) for argument in arguments), "--no-cache"]
        return CliRunner().invoke(build_app(), given)

    mark = ("--marked", scans / "a.png", "--at", "50,80", "-m", "tiny")
    table, kept = tmp_path / "f.csv", tmp_path / "fovea"
    done = localdisc(scans, *mark, "-o", table, "--save", kept, "--json")
    assert done.exit_code == 1, done.stderr
    assert "c.png" in done.stderr
    first, second = json.loads(done.stdout)
    assert first["likeness"] > second["likeness"]
    assert abs(second["row"] - 55) < 5
    with table.open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [
            first["image"],
            second["image"],
        ]
    concept = f"{kept}.concept.safetensors"
    again = localdisc(scans / "b.png", "--concept", concept, "--json")
    assert json.loads(again.stdout) == [second]
    assert localdisc(scans / "b.png", *mark, "-o", table).exit_code == 1
    assert "likeness" in localdisc(scans / "b.png", *mark).stdout
    for wrong in (
        (scans, "--marked", scans / "a.png"),
        (scans, *mark, "--concept", concept),
        (scans, "--concept", concept, "--save", kept),
        (scans, *mark, "-o", tmp_path / "f.txt"),
        (scans, "--marked", scans / "a.png", "--at", "5"),
    ):
        assert localdisc(*wrong).exit_code == 2
