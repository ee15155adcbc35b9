"""A dry run counts what the run counts, and two sources never share a target."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_localdisc.cli.app import build_app
from napari_localdisc.io.labels.tiff import write_tiff


@pytest.fixture
def localdisc(models):
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})

    def call(*arguments):
        result = runner.invoke(build_app(), [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def mixed(tmp_path):
    """A folder as folders are: two photographs, a mask, a result, and what is wrong."""
    folder = tmp_path / "scans"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(60, 200, (64, 70, 3), dtype=np.uint8)
    mask = np.zeros((64, 70), np.uint8)
    mask[20:30, 20:30] = 255
    for name, pixels in (("a", picture), ("b", picture), ("a_vessel", mask)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    write_tiff(folder / "a_clusters.tif", mask // 255, {"made": "clusters"})
    tifffile.imwrite(folder / "stack.tif", np.stack([picture[..., 0]] * 5))
    Image.fromarray(picture * 0).save(folder / "black.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


def states(result):
    return {
        row["image"].rsplit("/", 1)[-1]: row["state"]
        for row in json.loads(result.stdout)
    }


@pytest.mark.parametrize("command", ["cluster", "segment"])
def test_a_dry_run_of_a_folder_counts_what_the_run_counts(
    localdisc, mixed, tmp_path, command
):
    given = (command, mixed, "-o", tmp_path / "out", "-m", "tiny", "--json")
    given += ("--structure", "vessel") if command == "segment" else ()
    dry, real = localdisc(*given, "--dry-run"), localdisc(*given)
    assert dry.exit_code == real.exit_code == 1
    assert states(real) == {
        "a.png": "written",
        "b.png": "written",
        "black.png": "failed",
        "broken.jpg": "failed",
        "stack.tif": "failed",
    }
    planned = {"written": "planned", "failed": "failed"}
    assert states(dry) == {name: planned[said] for name, said in states(real).items()}
    assert "ld.read_image(path, page=…)" in dry.stderr
    for result in (dry, real):
        assert "a_clusters.tif was made by this program" in result.stderr
        assert "1 mask of another image" in result.stderr


def test_results_in_the_same_folder_are_never_inputs(localdisc, mixed):
    given = ("cluster", mixed, "-o", mixed, "-m", "tiny", "--json")
    first, second = localdisc(*given, "--overwrite"), localdisc(*given)
    assert states(first).keys() == states(second).keys()
    assert states(second)["a.png"] == "skipped"


def test_a_result_is_refused_by_name(localdisc, mixed, tmp_path):
    result = mixed / "a_clusters.tif"
    said = localdisc("cluster", result, "-o", tmp_path / "out", "-m", "tiny")
    assert said.exit_code == 1
    assert "it is a result" in said.stderr
    given = ("similar", result, "--at", "3,3", "-o", tmp_path / "s.tif", "-m", "tiny")
    for more in ((), ("--dry-run",)):
        said = localdisc(*given, *more)
        assert said.exit_code == 1
        assert "it is a result" in said.stderr


def test_a_dry_training_counts_what_it_would_learn_from(localdisc, mixed, tmp_path):
    out = tmp_path / "new.safetensors"
    dry = localdisc("train", mixed, "-o", out, "--dry-run", "--json")
    assert json.loads(dry.stdout)["images"] == 3  # black is seen as such later
    assert "broken.jpg" in dry.stderr
    assert "stack.tif" in dry.stderr
    given = ("finetune", mixed, "--structure", "vessel", "-o", out, "--dry-run")
    assert json.loads(localdisc(*given, "--json").stdout)["images"] == 1


@pytest.mark.parametrize("command", ["cluster", "segment"])
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--overwrite",)])
def test_two_images_for_one_target_are_refused_before_any_work(
    localdisc, mixed, tmp_path, command, more
):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes((mixed / "a.png").read_bytes())
    out = tmp_path / "out"
    given = (command, mixed, other, "-o", out, "-m", "tiny", *more)
    given += ("--structure", "vessel") if command == "segment" else ()
    refused = localdisc(*given)
    assert refused.exit_code == 1
    assert "would both become" in refused.stderr
    assert not out.exists()


def test_an_image_is_no_target(localdisc, mixed):
    mask = mixed / "a_vessel.tif"
    tifffile.imwrite(mask, np.full((64, 70), 70, np.uint8))
    given = ("segment", mixed / "a.png", mask, "-o", mixed, "--structure", "vessel")
    before = mask.read_bytes()
    refused = localdisc(*given, "-m", "tiny", "--overwrite")
    assert refused.exit_code == 1
    assert "which is one of the images" in refused.stderr
    assert mask.read_bytes() == before


def test_the_home_folder_and_brackets(localdisc, mixed, monkeypatch):
    home = mixed.parent
    monkeypatch.setenv("HOME", str(home))
    odd = home / "eyes [left] é"
    odd.mkdir()
    (odd / "a [1].png").write_bytes((mixed / "a.png").read_bytes())
    given = ("cluster", f"~/{odd.name}/*.png", "--output=~/out", "-m", "tiny")
    result = localdisc(*given)
    assert result.exit_code == 0, result.stderr
    assert (home / "out" / "a [1]_clusters.tif").exists()
