"""`localdisc export`, on what `localdisc cluster` and `segment` write."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_localdisc.cli.app import build_app
from napari_localdisc.io.labels import FORMATS, LabelMap, read_labels, write_labels
from napari_localdisc.io.labels.tiff import write_tiff

RED = (1.0, 0.0, 0.0, 1.0)


def localdisc(*arguments):
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
    result = runner.invoke(build_app(), [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def labelled(tmp_path):
    """Two files as `localdisc segment` writes them."""
    folder = tmp_path / "out"
    for name, row in (("a", 3), ("b", 9)):
        mask = np.zeros((20, 24), bool)
        mask[row : row + 4, 5:9] = True
        path = folder / f"{name}_vessel.tif"
        write_tiff(path, mask, {"made": "structure"}, names={1: "vessel"}, image=name)
    return folder


def test_each_file_becomes_one_of_the_format(labelled, tmp_path):
    out = tmp_path / "png"
    result = localdisc("export", labelled, "-o", out, "--format", "png")
    assert result.exit_code == 0, result.stderr
    names = sorted(path.name for path in out.iterdir())
    assert names == ["a_vessel.png", "b_vessel.png"]
    (found,) = read_labels(out / "a_vessel.png")
    assert found.names == {1: "vessel"}
    assert found.labels.sum() == 16
    assert "a_vessel.png" in result.stdout


def test_all_files_become_one_coco_data_set(labelled, tmp_path):
    out = tmp_path / "all.json"
    result = localdisc("export", f"{labelled}/*.tif", "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    assert [row["state"] for row in json.loads(result.stdout)] == ["written"] * 2
    content = json.loads(out.read_text())
    assert [image["file_name"] for image in content["images"]] == ["a", "b"]
    assert [c["name"] for c in content["categories"]] == ["vessel"]
    refused = localdisc("export", labelled, "-o", out)
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr
    assert localdisc("export", labelled, "-o", out, "--overwrite").exit_code == 0


def test_names_and_colours_can_be_given(labelled, tmp_path):
    given = ("--name", "1=artery", "--colour", "1=#ff0000")
    result = localdisc("export", labelled, "-o", tmp_path / "png", *given)
    assert result.exit_code == 0, result.stderr
    (found,) = read_labels(tmp_path / "png" / "a_vessel.png")
    assert found.names == {1: "artery"}
    assert found.colours[1] == RED


def test_done_is_skipped_and_a_dry_run_writes_nothing(labelled, tmp_path):
    given = ("export", labelled, "-o", tmp_path / "m", "--format", "tiff", "--json")
    dry = json.loads(localdisc(*given, "--dry-run").stdout)
    assert [row["state"] for row in dry] == ["planned"] * 2
    assert not (tmp_path / "m").exists()
    assert [r["state"] for r in json.loads(localdisc(*given).stdout)] == ["written"] * 2
    assert [r["state"] for r in json.loads(localdisc(*given).stdout)] == ["skipped"] * 2


def test_one_bad_file_does_not_stop_the_rest(labelled, tmp_path):
    Image.new("RGB", (4, 4)).save(labelled / "photo.png")
    (labelled / "x.tif").write_text("nothing")
    result = localdisc("export", labelled, "-o", tmp_path / "png")
    assert result.exit_code == 1
    assert "photo.png is a picture, not labels" in result.stderr
    assert "x.tif cannot be read" in result.stderr
    assert len(list((tmp_path / "png").iterdir())) == 2


def test_what_the_format_cannot_hold_is_said(tmp_path):
    path = tmp_path / "a.tif"
    write_labels(path, LabelMap(np.full((4, 4), 70000)))
    result = localdisc("export", path, "-o", tmp_path / "png")
    assert result.exit_code == 1
    assert "hold 70000" in result.stderr
    assert not (tmp_path / "png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--format", "bmp"), "no format 'bmp'"),
        (("--name", "vessel"), "--name takes a label"),
        (("--colour", "1=pink"), "#RRGGBB"),
        (("--segmentation", "x"), "auto, polygon or rle"),
    ],
)
def test_wrong_use_is_said(labelled, tmp_path, arguments, sentence):
    result = localdisc("export", labelled, "-o", tmp_path / "out2", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_help_has_examples():
    result = localdisc("export", "--help")
    assert result.exit_code == 0
    assert "localdisc export" in result.stdout.split("Examples")[1]


def test_help_names_every_format():
    said = localdisc("export", "--help").stdout
    words = said.replace(",", " ").replace("(", " ").split()
    assert set(FORMATS) <= set(words)


@pytest.fixture
def same_names(tmp_path):
    """Two folders with a file of one name, for one image name."""
    for folder, row in (("A", 3), ("B", 9)):
        mask = np.zeros((20, 24), bool)
        mask[row : row + 4, 5:9] = True
        path = tmp_path / folder / "eye_disc.tif"
        write_tiff(path, mask, names={1: "disc"}, image="eye.png")
    return tmp_path / "A", tmp_path / "B"


@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--dry-run",)])
@pytest.mark.parametrize("form", [*FORMATS, "one file"])
def test_two_sources_for_one_target_are_refused_before_any_work(
    same_names, tmp_path, form, more
):
    out = tmp_path / "out"
    where = ("-o", f"{out}.json") if form == "one file" else ("-o", out)
    chosen = () if form == "one file" else ("--format", form)
    result = localdisc("export", *same_names, *where, *chosen, *more)
    assert result.exit_code == 1
    assert f"{same_names[0] / 'eye_disc.tif'} and {same_names[1]}" in result.stderr
    assert "would both be" in result.stderr
    assert not out.exists()
    assert not out.with_suffix(".json").exists()


def test_a_source_is_no_target(labelled, tmp_path):
    png = labelled / "a_vessel.png"
    write_labels(png, LabelMap(np.eye(20, dtype=np.uint8)))
    result = localdisc(
        "export", labelled, "-o", labelled, "--format", "png", "--overwrite"
    )
    assert result.exit_code == 1
    assert "would both become" in result.stderr or "read itself" in result.stderr
    (found,) = read_labels(png)
    assert found.labels.sum() == 20


def test_a_dry_run_says_what_one_coco_file_cannot_hold(labelled, tmp_path):
    write_labels(labelled / "c.tif", LabelMap(np.eye(20, dtype=np.uint8)))
    given = ("export", labelled, "-o", tmp_path / "all.json")
    dry, real = localdisc(*given, "--dry-run"), localdisc(*given)
    assert dry.exit_code == real.exit_code == 1
    assert dry.stderr == real.stderr
    assert "is called" in dry.stderr


def test_classes_that_overlap_go_on_to_masks_and_coco(tmp_path):
    disc, cup = np.zeros((2, 20, 20), np.uint8)
    disc[4:16, 4:16] = 1
    cup[8:12, 8:12] = 2
    other = LabelMap(cup, names={2: "cup"}, made_by={"group": 1})
    whole = LabelMap(disc, names={1: "disc"}, name="eye", others=(other,))
    folder = tmp_path / "labels"
    folder.mkdir()
    write_labels(folder / "eye.png", whole)
    assert len([*folder.iterdir()]) == 2
    for form, names in (
        ("masks", ["eye_cup.png", "eye_rim.png"]),
        ("tiff", ["eye.map2.tif", "eye.tif"]),
    ):
        out = tmp_path / form
        given = ("export", folder, "-o", out, "--format", form, "--name", "1=rim")
        assert localdisc(*given).exit_code == 0
        assert sorted(path.name for path in out.iterdir()) == names
    assert localdisc("export", folder, "-o", tmp_path / "all.json").exit_code == 0
    (back,) = read_labels(tmp_path / "all.json")
    assert [int((each.array > 0).sum()) for each in back.maps] == [144, 16]
