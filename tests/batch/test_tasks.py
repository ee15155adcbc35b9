"""Folders of images: one pure function per image."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_localdisc.batch.recipes import ClusterRecipe, StructureRecipe
from napari_localdisc.batch.tasks import Job, Outcome, Task, plan_tasks, run_task
from napari_localdisc.core.errors import Cancelled, FileError, LocalDiscError
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io.labels import read_made_by


@pytest.fixture
def model(models):
    return load_model("tiny", "cpu")


def make(task: Task, recipe, model, progress=None, **options) -> Outcome:
    job = Job(recipe, model.card.name, model.hash, **options)
    return run_task(task, job, model, progress)


@pytest.fixture
def task(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    return plan_tasks([path], tmp_path / "out", ClusterRecipe().endings)[0]


def test_labels_are_written_with_what_made_them(task, model):
    seen = []
    recipe = ClusterRecipe(5)
    outcome = make(task, recipe, model, progress=lambda *tile: seen.append(tile))
    assert outcome.state == "written"
    assert seen[-1][0] == seen[-1][1]
    labels = tifffile.imread(task.outputs[0])
    assert labels.shape == (48, 40)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= set(range(6))
    made_by = read_made_by(task.outputs[0])
    assert made_by["clusters"] == 5
    assert made_by["model_hash"] == model.hash


def test_done_is_skipped_and_other_settings_are_refused(task, model):
    assert make(task, ClusterRecipe(5), model).state == "written"
    before = task.outputs[0].stat().st_mtime_ns
    assert make(task, ClusterRecipe(5), model).state == "skipped"
    refused = make(task, ClusterRecipe(6), model)
    assert refused.state == "failed"
    assert "other settings" in refused.reason
    assert task.outputs[0].stat().st_mtime_ns == before
    replaced = make(task, ClusterRecipe(6), model, overwrite=True)
    assert replaced.state == "written"
    assert read_made_by(task.outputs[0])["clusters"] == 6


def test_a_file_of_another_program_is_not_touched(task, model):
    output = task.outputs[0]
    output.parent.mkdir()
    output.write_text("precious")
    assert make(task, ClusterRecipe(), model).state == "failed"
    assert output.read_text() == "precious"


def test_a_dry_run_writes_nothing(task, model):
    assert make(task, ClusterRecipe(), model, dry_run=True).state == "planned"
    assert not task.outputs[0].parent.exists()


def test_a_half_done_structure_is_done_again(task, model, tmp_path):
    recipe = StructureRecipe("vessel")
    (pair,) = plan_tasks([task.source], tmp_path, recipe.endings)
    assert make(pair, recipe, model).state == "written"
    mask, probability = (tifffile.imread(path) for path in pair.outputs)
    assert mask.dtype == np.uint8
    assert probability.dtype == np.float32
    np.testing.assert_array_equal(mask, probability >= 0.5)
    pair.outputs[1].unlink()
    assert make(pair, recipe, model).state == "written"


def test_trouble_is_an_outcome_that_names_the_image(model, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    sources = [tmp_path / "bad.png", tmp_path / "gone.png"]
    tasks = plan_tasks(sources, tmp_path / "out", ClusterRecipe().endings)
    reasons = [make(task, ClusterRecipe(), model).reason for task in tasks]
    assert "bad.png is not an image" in reasons[0]
    assert "There is no file" in reasons[1]
    assert not (tmp_path / "out").exists()


def test_even_a_fault_of_ours_is_an_outcome(task, model, monkeypatch):
    def fault(self, *_):
        raise KeyError("oh")

    monkeypatch.setattr(ClusterRecipe, "make", fault)
    outcome = make(task, ClusterRecipe(), model)
    assert outcome.state == "failed"
    assert "a.png: unexpected KeyError" in outcome.reason


def test_cancelling_is_not_a_failure(task, model):
    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        make(task, ClusterRecipe(), model, progress=stop)


def test_recipes_check_the_model(model):
    with pytest.raises(LocalDiscError):
        ClusterRecipe(17).check(model)
    with pytest.raises(LocalDiscError, match="fovea"):
        StructureRecipe("fovea").check(model)
    assert StructureRecipe("Optic disc").endings[0] == "_optic_disc.tif"


def test_two_images_cannot_become_one_file():
    sources = [Path("left/a.png"), Path("right/a.jpg")]
    with pytest.raises(FileError, match="would both become"):
        plan_tasks(sources, Path("out"), ["_clusters.tif"])


@pytest.fixture
def ome_zarr_image(tmp_path):
    """An OME-Zarr image with channels first, as most are."""
    import zarr
    from ome_zarr.writer import write_image

    noise = np.random.default_rng(0).integers(60, 255, (3, 600, 640)).astype(np.uint8)
    path = tmp_path / "slide.ome.zarr"
    write_image(
        noise,
        zarr.open_group(path, mode="w", zarr_format=3),
        axes=["c", "y", "x"],
        scale_factors=[2],
        scale={"c": 1.0, "y": 0.5, "x": 0.25},
        axes_units={"y": "micrometer", "x": "micrometer"},
    )
    return path


def test_an_ome_zarr_image_becomes_ome_zarr_labels(ome_zarr_image, model, tmp_path):
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.image.files import find_images, read_image
    from napari_localdisc.io.labels import read_labels

    recipe = ClusterRecipe(5)
    sources = find_images([tmp_path])
    assert sources == [ome_zarr_image]
    (task,) = plan_tasks(sources, tmp_path / "out", recipe.endings)
    assert task.outputs == (tmp_path / "out" / "slide_clusters.ome.zarr",)
    outcome = make(task, recipe, model)
    assert outcome.state == "written", outcome.reason
    (labels,) = read_labels(task.outputs[0])
    assert labels.placement["scale"] == [0.5, 0.25]
    assert labels.placement["units"] == ["micrometer", "micrometer"]
    assert labels.image == "slide.ome.zarr"
    expected = embed(read_image(ome_zarr_image), model).clusters(5)
    assert np.mean(labels.labels.compute() == expected) > 0.99
    assert make(task, recipe, model).state == "skipped"
    assert make(task, ClusterRecipe(6), model).state == "failed"
    structure = StructureRecipe("vessel")
    (task,) = plan_tasks(sources, tmp_path / "out", structure.endings)
    assert task.outputs == (tmp_path / "out" / "slide_vessel.ome.zarr",)
    assert make(task, structure, model).state == "written"
    (mask,) = read_labels(task.outputs[0])
    assert mask.names == {1: "vessel"}
    expected = embed(read_image(ome_zarr_image), model).structure("vessel") >= 0.5
    assert np.mean(mask.labels.compute() == expected) > 0.999
    tuned = StructureRecipe("vessel", minimum_size=9)
    assert "block by block" in make(task, tuned, model, overwrite=True).reason
    refused = make(task, StructureRecipe("vessel", flips=2), model, overwrite=True)
    assert "leave out --flips" in refused.reason


def test_a_very_large_tiff_is_read_by_blocks(model, tmp_path, monkeypatch):
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.image import files as large
    from napari_localdisc.io.labels import read_labels

    noise = np.random.default_rng(0).integers(60, 255, (600, 640, 3)).astype(np.uint8)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, noise, tile=(128, 128), compression="zlib")
    assert not large.is_large(path)
    large.check_fits(path)
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    with pytest.raises(FileError, match="600×640 pixels and is not read whole"):
        large.check_fits(path)
    (task,) = plan_tasks([path], tmp_path / "out", ClusterRecipe().endings)
    outcome = make(task, ClusterRecipe(), model)
    assert outcome.state == "written", outcome.reason
    (labels,) = read_labels(task.outputs[0])
    expected = embed(noise, model).clusters(8)
    assert np.mean(labels.labels.compute() == expected) > 0.99
