"""`localdisc study` and `localdisc compare`: a folder, two graders, one table."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_localdisc.batch import studying
from napari_localdisc.batch.run import run_tasks
from napari_localdisc.batch.studying import ProposeRecipe, plan_study
from napari_localdisc.batch.tasks import Job
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io.study import Study

NAMES = ("p1_OD", "p1_OS", "p2_OD")


@pytest.fixture
def folder(tmp_path, models):
    """Three photographs of noise in a dark frame."""
    place = tmp_path / "scans"
    place.mkdir()
    rng = np.random.default_rng(0)
    view = np.hypot(*(np.mgrid[:120, :130] - 60)) < 56
    for name in NAMES:
        image = rng.integers(80, 200, (120, 130, 3)) * view[..., None]
        Image.fromarray(image.astype(np.uint8)).save(place / f"{name}.png")
    return place


@pytest.fixture
def localdisc(tmp_path):
    def call(*arguments, fails=False):
        given = [str(part) for part in arguments]
        result = CliRunner(env={"COLUMNS": "120"}).invoke(build_app(), given)
        assert bool(result.exit_code) == fails, result.output
        return result.output if fails else result.stdout

    return call


@pytest.fixture
def study(folder, localdisc):
    localdisc("study", "new", folder, "-m", "tiny", "-s", "Vessel", "-s", "optic disc")
    return Study(folder)


def grade(study, grader, grow):
    """Let a grader draw a square disc in each image; the last one is rejected."""
    for number, image in enumerate(study.images(grader)):
        masks = {name: np.zeros((120, 130), bool) for name in study.about.structures}
        masks["optic disc"][40 : 60 + grow + number, 40:60] = True
        state = "rejected" if number == 2 else "accepted"
        study.save(replace(image, state=state, seconds=20), grader, masks)


def test_new_names_structures_as_the_model_does(study):
    assert study.about.structures == ("vessel", "optic disc")
    assert study.about.kind == "fundus"
    assert [image.name for image in study.images("")] == list(NAMES)


def test_proposals_are_made_once(study, localdisc, folder):
    said = json.loads(localdisc("study", "propose", folder, "--json"))
    assert {row["state"] for row in said} == {"written"}
    image = study.image(1, "anna")
    assert image.state == "proposed"
    assert 0 <= image.certainty <= 1
    masks = study.masks(1, "anna")
    assert masks["vessel"].shape == (120, 130)
    assert not masks["optic disc"].any()  # the model does not know it
    assert len(study.thumbnails()) == 3
    said = json.loads(localdisc("study", "propose", folder, "--json"))
    assert {row["state"] for row in said} == {"skipped"}


def test_stopped_proposals_go_on(study, localdisc, folder, monkeypatch):
    model = load_model("tiny")
    job = Job(ProposeRecipe(study), "tiny", model.hash)
    work = run_tasks(plan_study(study, study.images("")), job, model=model, workers=1)
    next(outcome for outcome in work if outcome is not None)
    work.close()
    before = sum(bool(study.proposed_by(n)) for n in (1, 2, 3))
    assert before < 3
    made = []
    whole = studying.look_at
    monkeypatch.setattr(
        studying, "look_at", lambda *given: made.append(1) or whole(*given)
    )
    localdisc("study", "propose", folder)
    assert len(made) == 3 - before
    assert all(study.proposed_by(n) for n in (1, 2, 3))


def test_a_picture_that_cannot_be_read_stops_nothing(study, localdisc, folder):
    (folder / "p1_OS.png").write_text("no picture")
    said = localdisc("study", "propose", folder, fails=True)
    assert "p1_OS.png" in said
    assert [bool(study.proposed_by(n)) for n in (1, 2, 3)] == [True, False, True]


def test_status_lists_the_least_certain_first(study, localdisc, folder):
    for number, sure in ((1, 0.9), (2, 0.2), (3, 0.5)):
        masks = {name: np.zeros((4, 4), bool) for name in study.about.structures}
        study.propose(number, masks, sure, "so")
    grade(study, "anna", 0)
    given = ("study", "status", folder, "--grader", "anna")
    said = json.loads(localdisc(*given, "--least-certain-first", "--json"))
    assert [row["certainty"] for row in said["images"]] == [0.2, 0.5, 0.9]
    assert said["states"]["accepted"] == 2
    assert said["seconds"] == 60
    text = localdisc(*given, "--states", "rejected")
    assert "2 accepted, 1 rejected" in text
    assert "1 minutes on 3 images, 20 seconds each" in text
    assert "p2_OD" in text
    assert "p1_OD" not in text
    localdisc(*given, "--states", "finished", fails=True)


def test_one_table_of_the_study(study, localdisc, folder, tmp_path):
    grade(study, "anna", 0)
    out = tmp_path / "t.csv"
    given = ("study", "table", folder, "-o", out, "--grader", "anna")
    localdisc(*given)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["image"], row["eye"], row["state"]) for row in rows} == {
        ("p1_OD", "right", "accepted"),
        ("p1_OS", "left", "accepted"),
    }
    area = {
        row["image"]: float(row["value"])
        for row in rows
        if (row["structure"], row["measure"], row["unit"])
        == ("optic disc", "area", "pixel²")
        and row["region"] == "field of view"
    }
    assert area == {"p1_OD": 400, "p1_OS": 420}
    assert "already" in localdisc(*given, fails=True)
    said = json.loads(localdisc(*given, "--overwrite", "--json"))
    assert {row["state"] for row in said} == {"skipped"}  # nothing has changed
    other = tmp_path / "notes.csv"
    other.write_text("mine\n")
    localdisc("study", "table", folder, "-o", other, "--overwrite", fails=True)
    assert other.read_text() == "mine\n"


def test_masks_as_files(study, localdisc, folder, tmp_path):
    grade(study, "anna", 0)
    out = tmp_path / "masks"
    localdisc("study", "export", folder, "-o", out, "--grader", "anna")
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}_{structure}.tif"
        for name in NAMES[:2]
        for structure in ("vessel", "optic_disc")
    )
    assert tifffile.imread(out / "p1_OS_optic_disc.tif").sum() == 420


def test_two_graders_of_one_study(study, localdisc, folder, tmp_path):
    grade(study, "anna", 0)
    grade(study, "ben", 4)
    out = tmp_path / "agreement"
    given = ("compare", folder, "--graders", "anna,ben", "-o", out)
    said = json.loads(localdisc(*given, "--json"))
    disc = {row["structure"]: row for row in said["masks"]}["optic disc"]
    assert disc["images"] == 2
    assert disc["dice"] == pytest.approx((2 * 20 / 44 + 2 * 21 / 46) / 2)
    with (out / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (area,) = [
        row
        for row in rows
        if (row["structure"], row["measure"], row["unit"], row["region"])
        == ("optic disc", "area", "pixel²", "field of view")
    ]
    assert float(area["bias"]) == -80
    assert (out / "bland_altman.png").stat().st_size > 10_000
    assert len((out / "agreement.csv").read_text().splitlines()) == 5
    assert "optic disc" in localdisc("compare", folder, "--graders", "anna,ben")
    assert "say whom" in localdisc("compare", folder, folder, fails=True)
    assert "already" in localdisc(*given, fails=True)


def test_a_study_and_a_folder_of_masks(study, localdisc, folder, tmp_path):
    grade(study, "anna", 0)
    out = tmp_path / "masks"
    localdisc("study", "export", folder, "-o", out, "--grader", "anna")
    said = json.loads(localdisc("compare", folder, out, "--json"))
    assert [row["dice"] for row in said["masks"]] == [1, 1]
    assert (said["first"], said["second"]) == ("anna", "masks")
    nobody = ("study", "export", folder, "-o", out, "--grader", "ben")
    said = localdisc(*nobody, fails=True)
    assert "no image of ben that is corrected or accepted to export" in said
    assert "(3 new)" in said
    assert "--states" in said
