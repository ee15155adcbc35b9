"""A folder worked on from napari, without Qt."""

import csv
import os
from functools import partial

import dask.array
import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_localdisc.batch import dask_cluster as cluster_work
from napari_localdisc.batch.recipes import ClusterRecipe, StructureRecipe
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.image.files import read_image
from napari_localdisc.io.areas import class_areas
from napari_localdisc.io.labels import LabelMap
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.folder import FolderControl, read_concept

FOUR = partial(ClusterRecipe, 4)


@pytest.fixture(autouse=True)
def one_image_at_a_time(monkeypatch):
    """Two cores: one is the window's."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.fixture
def folder(tmp_path, picture):
    """Three images, one of which is none."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a", "c"):
        pixels = (picture * 255).astype(np.uint8)
        Image.fromarray(pixels if name == "a" else pixels[::-1]).save(
            images / f"{name}.png"
        )
    (images / "b.png").write_text("no picture")
    return images


@pytest.fixture
def control(models):
    control = FolderControl(ViewerModel())
    control.set_model("tiny")
    return control


def test_areas_of_labels():
    labels = LabelMap(np.array([[0, 2], [2, 7]]), {1: "cup", 2: "disc"}, image="e.jpg")
    cup, disc, other = class_areas(labels)
    assert (cup.name, cup.pixels, cup.percent) == ("cup", 0, 0)
    assert (disc.image, disc.pixels, disc.percent) == ("e.jpg", 2, 50)
    assert (other.title, other.pixels) == ("7", 1)
    lazy = LabelMap(dask.array.from_array(labels.labels, chunks=1), labels.names)
    assert [area.pixels for area in class_areas(lazy)] == [0, 2, 1]


def test_clusters_of_a_folder_with_a_table(control, folder, tmp_path):
    added = []
    control.row_added.connect(added.append)
    control.run(folder, tmp_path / "out", FOUR)
    names = [row.outcome.task.source.name for row in control.rows]
    assert names == ["a.png", "b.png", "c.png"]
    assert [row.outcome.state for row in added] == ["written", "failed", "written"]
    assert "b.png is not an image" in added[1].outcome.reason
    assert sum(area.pixels for area in added[0].areas) == 48 * 40
    with control.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"a.png", "c.png"}
    assert sum(int(row["pixels"]) for row in rows) == 2 * 48 * 40
    assert "2 written, 1 failed" in control.status.text
    assert "b.png is not an image" in control.status.text
    assert control.status.is_error
    control.run(folder, tmp_path / "out", FOUR)
    assert [row.outcome.state for row in control.rows] == [
        "skipped",
        "failed",
        "skipped",
    ]
    assert control.rows[0].areas == added[0].areas


def test_several_are_found_in_one_run_and_runs_share_a_table(control, folder, tmp_path):
    out, vessel = tmp_path / "out", partial(StructureRecipe, "vessel")
    control.run(folder, out, [FOUR, vessel])
    assert {row.made for row in control.rows} == {"tiny: 4 clusters", "tiny: vessel"}
    assert len(control.rows) == 6
    assert "4 written, 2 failed" in control.status.text
    control.run(folder, out, partial(ClusterRecipe, 3), overwrite=True)
    assert len(control.rows) == 9
    control.run(folder, out, vessel)
    assert len(control.rows) == 9  # what is made again takes the place
    assert "2 skipped, 1 failed" in control.status.text
    fresh = FolderControl(ViewerModel())
    fresh.set_model("tiny")
    fresh.run(folder, out, vessel)
    with control.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["made"] for row in rows} == {
        "tiny: 4 clusters",
        "tiny: 3 clusters",
        "tiny: vessel",
    }
    of_view = [
        float(row["percent of field of view"])
        for row in rows
        if (row["made"], row["image"]) == ("tiny: 3 clusters", "a.png")
    ]
    assert sum(of_view) == pytest.approx(100, abs=0.1)
    control.clear()
    assert control.rows == []


def test_a_table_that_was_edited_is_not_lost(control, folder, tmp_path):
    control.run(folder, tmp_path / "out", FOUR)
    text = control.table.read_text().replace(",1,", ",one,")
    control.table.write_text(text)
    with pytest.raises(FileError, match="cannot be read"):
        control.run(folder, tmp_path / "out", FOUR)
    assert control.table.read_text() == text


def test_a_structure_is_named_in_the_table(control, folder, tmp_path):
    control.run(folder, tmp_path / "out", partial(StructureRecipe, "vessel"))
    assert {area.name for row in control.rows for area in row.areas} == {"vessel"}


def test_a_concept_is_found_in_every_image(control, folder, tmp_path, picture):
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.learning.concept import Concept
    from napari_localdisc.core.model.model import load_model

    embedding = embed(picture, load_model("tiny", "cpu"))
    concept = Concept.from_prompts("spot", embedding, [(20, 20)])
    file = concept.save(tmp_path / "spot")
    control.run(folder, tmp_path / "out", partial(read_concept, file))
    states = [row.outcome.state for row in control.rows]
    assert states == ["written", "failed", "written"]
    assert {area.name for row in control.rows for area in row.areas} == {"spot"}
    with pytest.raises(FileError, match="concept's file first"):
        control.run(folder, tmp_path / "out", partial(read_concept, " "))


def test_a_concept_is_read_by_the_worker(models, folder, tmp_path, stepped):
    control = FolderControl(ViewerModel(), stepped)
    control.set_model("tiny")
    gone = partial(read_concept, tmp_path / "gone")
    control.run(folder, tmp_path / "out", gone)
    assert control.work.is_busy
    with pytest.raises(LocalDiscError, match="gone"):
        stepped.finish()
    assert not control.work.is_busy


def test_a_row_opens_the_image_and_its_labels(control, folder, tmp_path):
    control.run(folder, tmp_path / "out", FOUR)
    image, labels = control.open_row(control.rows[0])
    assert list(control.viewer.layers) == [image, labels]
    assert image.rgb
    assert labels.data.shape == (48, 40)
    np.testing.assert_allclose(
        labels.get_color(1)[:3], (0.337, 0.706, 0.914), atol=0.01
    )


def test_a_row_is_laid_on_the_image_that_is_open(control, folder, tmp_path):
    """Wherever that lies; and is hidden and shown with it."""
    viewer = control.viewer
    small = viewer.add_image(np.zeros((9, 7, 3), np.uint8), name="small")
    placed = {"scale": (0.5, 3), "translate": (-7, 11), "rotate": 33}
    pixels = read_image(folder / "a.png")
    opened = viewer.add_image(pixels, name="mine", **placed)
    controller = Controller(viewer)
    controller.workspace.images.choose(small)
    control.run(folder, tmp_path / "out", FOUR)
    before = len(viewer.layers)
    image, labels = control.open_row(control.rows[0])
    assert image is opened
    assert controller.workspace.images.current is opened
    assert len(viewer.layers) == before + 1
    at = np.array([[0, 0], [47, 39]])
    for corner in at:
        np.testing.assert_allclose(
            labels.data_to_world(corner), opened.data_to_world(corner)
        )
    assert control.open_row(control.rows[0]) == [image, labels]
    viewer.layers.selection.active = small
    assert not opened.visible
    assert not labels.visible
    viewer.layers.selection.active = opened
    assert opened.visible
    assert labels.visible
    other, _ = control.open_row(control.rows[-1])
    assert other.source.path == str(folder / "c.png")
    assert not labels.visible
    viewer.layers.remove(opened)
    assert control.open_row(control.rows[0])[0] not in (opened, other)
    controller.close()


def test_what_is_missing_is_said(control, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_work, "CONNECT_SECONDS", 0.2)
    with pytest.raises(FileError, match="folder of images first"):
        control.run("", tmp_path, FOUR)
    with pytest.raises(FileError, match="folder for the results"):
        control.run(folder, "", FOUR)
    with pytest.raises(FileError, match="no image file"):
        control.run(tmp_path, tmp_path, FOUR)
    with pytest.raises(FileError, match="There is no folder"):
        control.run(tmp_path / "nowhere", tmp_path, FOUR)
    for scheduler, said in (
        ("gone.json", "no scheduler file gone.json"),
        ("tcp://127.0.0.1:1", "No dask scheduler answers"),
    ):
        with pytest.raises(FileError, match=said):
            control.run(folder, tmp_path, FOUR, scheduler=scheduler)
    assert not control.work.is_busy


def test_cancel_keeps_what_is_done(models, folder, tmp_path, stepped):
    control = FolderControl(ViewerModel(), stepped)
    control.set_model("tiny")
    control.run(folder, tmp_path / "out", FOUR)
    while not control.rows:
        stepped.step()
    assert control.work.is_busy
    assert len(control.rows) == 1
    control.cancel()
    assert not control.work.is_busy
    assert "after 1 images" in control.status.text
    assert not stepped.step()
    assert len(control.rows) == 1
    assert (tmp_path / "out" / "a_clusters.tif").exists()
    assert (tmp_path / "out" / "areas.csv").exists()
    assert not (tmp_path / "out" / "c_clusters.tif").exists()


def test_closing_keeps_what_is_done_and_says_no_more(models, folder, tmp_path, stepped):
    viewer = ViewerModel()
    control = FolderControl(viewer, stepped)
    control.set_model("tiny")
    heard = []
    control.work.progressed.connect(lambda *done: heard.append(done))
    control.run(folder, tmp_path / "out", FOUR)
    while not control.rows:
        stepped.step()
    viewer.layers.clear()
    control.close()
    control.close()
    heard.clear()
    stepped.finish()
    assert not heard
    assert not control.work.is_busy
    assert (tmp_path / "out" / "a_clusters.tif").exists()
    assert not (tmp_path / "out" / "c_clusters.tif").exists()
