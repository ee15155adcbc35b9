"""A folder's collection: made, kept up to date, searched; library and command line."""

import io
import json
import os
import shutil
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import napari_localdisc as ld
from napari_localdisc.batch import collecting
from napari_localdisc.batch.run import run_tasks
from napari_localdisc.batch.tasks import Job
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.embedding.patches import CELL, describe_regions
from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.image.files import find_images
from napari_localdisc.io.collection import KEY, NAME, find_collection


@pytest.fixture
def folder(tmp_path, picture, models):
    """Three images, one of which is another kind of file and none."""
    images = tmp_path / "images"
    images.mkdir()
    pixels = (picture * 255).astype(np.uint8)
    for name, part in (("a", pixels), ("b", pixels[::-1]), ("c", pixels[:, ::-1])):
        Image.fromarray(part).save(images / f"{name}.png")
    return images


def states(folder, **how):
    """Index a folder; return what became of each image."""
    done = {}

    def note(outcome):
        done[outcome.task.source.stem] = outcome.state

    made = ld.index(folder, model="tiny", progress=note, **how)
    return made, done


@pytest.fixture
def collection(folder):
    return states(folder)[0]


@pytest.fixture
def embedding(folder):
    return ld.embed(ld.read_image(folder / "b.png"), ld.load_model("tiny"))


def test_a_collection_says_what_it_holds(folder, collection):
    assert collection.path == folder / NAME
    assert [image.path for image in collection.images] == ["a.png", "b.png", "c.png"]
    assert len(collection) == sum(image.regions for image in collection.images)
    assert len(collection) >= 48
    assert "3 images" in str(collection)
    small = Image.open(io.BytesIO(collection.picture(1)))
    assert (small.format, small.size) == ("JPEG", (40, 48))
    assert not list(folder.glob(".*"))


def test_regions_hold_the_pixels_that_are_most_like_them(embedding):
    regions = describe_regions(embedding, CELL)
    lengths = np.linalg.norm(regions.vectors, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    here = embedding.vectors.reshape(-1, regions.vectors.shape[1])[
        embedding.grid.indices(regions.points)
    ]
    cosines = (here * regions.vectors).sum(1)
    assert (cosines > 0.5).all()
    rows, columns = embedding.grid.nearest(
        embedding.grid.points_to_working(regions.points)
    ).T
    cells = set(zip((rows // CELL).tolist(), (columns // CELL).tolist(), strict=True))
    height, width = embedding.grid.shape
    assert len(cells) == -(-height // CELL) * -(-width // CELL)
    assert len(regions.points) <= 2 * len(cells)


def test_a_cell_of_one_thing_is_one_region(embedding):
    embedding.matrix[:] = 0
    embedding.matrix[3] = 1
    regions = describe_regions(embedding, CELL)
    height, width = embedding.grid.shape
    assert len(regions.points) == -(-height // CELL) * -(-width // CELL)
    np.testing.assert_array_equal(
        regions.vectors, np.eye(32)[[3] * len(regions.points)]
    )


def test_a_thin_thing_is_not_averaged_away(embedding):
    embedding.matrix[:] = 0
    planes = embedding.matrix.view(32, *embedding.grid.shape)
    planes[3] = 1
    planes[3, :, 44:47], planes[8, :, 44:47] = 0, 1
    regions = describe_regions(embedding, CELL)
    thin = regions.vectors[:, 8] == 1
    assert thin.sum() == -(-embedding.grid.shape[0] // CELL)
    columns = embedding.grid.points_to_working(regions.points[thin])[:, 1]
    assert ((columns > 43.5) & (columns < 46.5)).all()
    assert (regions.vectors[~thin, 3] == 1).all()


def test_a_region_is_found_where_it_is(folder, collection, embedding):
    regions = describe_regions(embedding, CELL)
    found = collection.search(regions.vectors[5], number=9)
    similarities = [one.similarity for one in found]
    assert similarities == sorted(similarities, reverse=True)
    (own,) = [
        one
        for one in found
        if one.path == folder / "b.png"
        and one.point == pytest.approx(tuple(regions.points[5]))
    ]
    assert own.similarity > 0.99
    found = ld.find(folder, embedding, [(10, 20)], number=5)
    assert len(found) == 5
    assert found == collection.search(embedding.vectors_at([(10, 20)]), number=5)


def test_a_search_compares_all_regions(collection, embedding):
    like, unlike = embedding.vectors_at([(10, 20), (30, 10)])
    held = load_file(collection.path)
    vectors = held["vectors"].astype(np.float32)
    near = np.exp((vectors @ np.stack([like, unlike]).T - 1) / 0.2)
    cosines = vectors @ np.stack([like, unlike]).T
    wanted = near[:, 0] / (1 + np.exp(-(cosines[:, 0] - cosines[:, 1]) / 0.1))
    order = np.argsort(-wanted)
    found = collection.search(like, unlike, number=len(collection), per_image=None)
    np.testing.assert_allclose(
        [one.similarity for one in found], wanted[order], rtol=1e-3
    )
    np.testing.assert_allclose(
        [one.point for one in found[:3]], held["points"][order[:3]]
    )


def test_no_image_fills_the_list(folder, collection, embedding):
    def owners(**how):
        found = ld.find(collection, embedding, [(10, 20)], **how)
        return [one.path.stem for one in found]

    assert {owners(per_image=2).count(name) for name in "abc"} == {2}
    assert set(owners(without=folder / "b.png")) == {"a", "c"}
    assert len(owners(number=1000, per_image=None)) == len(collection)


def test_only_what_is_new_or_changed_is_looked_at(folder, collection, picture):
    before = collection.path.stat().st_mtime_ns
    again, done = states(folder)
    assert set(done.values()) == {"skipped"}
    assert again.path.stat().st_mtime_ns == before
    (folder / "a.png").unlink()
    Image.fromarray((255 * picture[:40]).astype(np.uint8)).save(folder / "c.png")
    shutil.copy(folder / "b.png", folder / "d.png")
    held = collection.entry(1).vectors.copy()
    now, done = states(folder)
    assert done == {"b": "skipped", "c": "written", "d": "written"}
    assert [(image.path, image.height) for image in now.images] == [
        ("b.png", 48),
        ("c.png", 40),
        ("d.png", 48),
    ]
    np.testing.assert_array_equal(now.entry(0).vectors, held)
    np.testing.assert_array_equal(now.entry(2).vectors, held)
    assert states(folder, overwrite=True)[1] == dict.fromkeys("bcd", "written")


def test_stopped_work_goes_on(folder):
    model = ld.load_model("tiny")
    job = Job(collecting.IndexRecipe(CELL), "tiny", model.hash)
    path = folder / NAME
    tasks = collecting.plan_index(find_images([folder]), path, job, "tiny")
    with closing(run_tasks(tasks, job, model=model, workers=1)) as work:
        next(outcome for outcome in work if outcome is not None)
    assert not path.exists()
    assert states(folder)[1]["a"] == "skipped"
    assert path.exists()
    assert not list(folder.glob(".*"))


def test_what_cannot_be_read_is_left_out(folder):
    (folder / "b.png").write_text("no picture")
    made, done = states(folder)
    assert done == {"a": "written", "b": "failed", "c": "written"}
    assert [image.path for image in made.images] == ["a.png", "c.png"]
    for name in "ac":
        (folder / f"{name}.png").write_text("nor this")
    with pytest.raises(FileError, match="No image could be looked at"):
        states(folder)


def test_a_folder_that_was_moved_is_searched_where_it_is(
    folder, collection, embedding, tmp_path
):
    moved = folder.rename(tmp_path / "elsewhere")
    found = ld.find(moved, embedding, [(10, 20)])
    assert {one.path.parent for one in found} == {moved}
    assert find_collection(moved / "a.png") == moved / NAME
    with pytest.raises(FileError, match="beside"):
        find_collection(tmp_path / "a.png")


def test_a_file_elsewhere_and_several_folders(folder, tmp_path):
    out = tmp_path / "all.collection.safetensors"
    made = ld.index([folder / "a.png", folder / "c.png"], out, "tiny")
    assert [made.file_of(image) for image in made.images] == [
        folder / "a.png",
        folder / "c.png",
    ]
    with pytest.raises(FileError, match="where the collection goes"):
        ld.index([folder / "a.png"], model="tiny")
    with pytest.raises(FileError, match="must end with"):
        ld.index(folder, tmp_path / "all.bin", "tiny")


def test_another_model_is_refused(folder, collection, embedding):
    with pytest.raises(ModelError, match="overwrite it"):
        ld.index(folder, model="other")
    other = ld.embed(ld.read_image(folder / "b.png"), ld.load_model("other"))
    with pytest.raises(ModelError, match="choose the first model"):
        ld.find(collection, other, [(10, 20)])
    assert ld.index(folder, model="other", overwrite=True).about.model == "other"


def test_questions_that_mean_nothing(collection, embedding):
    with pytest.raises(PromptError, match="positive"):
        ld.find(collection, embedding, [])
    with pytest.raises(PromptError, match="outside the image"):
        ld.find(collection, embedding, [(100, 3)])
    with pytest.raises(PromptError, match="At least one"):
        ld.find(collection, embedding, [(10, 3)], number=0)


def _with(collection, **changes):
    """Write the collection's file again with another header or other arrays."""
    arrays = load_file(collection.path)
    text = collection.path.read_bytes()
    length = int.from_bytes(text[:8], "little")
    header = json.loads(json.loads(text[8 : 8 + length])["__metadata__"][KEY])
    for name, value in changes.items():
        (arrays if name in arrays else header)[name] = value
    save_file(arrays, collection.path, {KEY: json.dumps(header)})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "later version"),
        ({"format": "new"}, "not a whole collection: format"),
        ({"images": [{"path": "a.png"}]}, "not a whole collection: images.0"),
        ({"images": []}, "what its header says"),
        ({"points": np.zeros((3, 2), np.float32)}, "what its header says"),
        ({"vectors": np.zeros((9, 32), np.float32)}, "what its header says"),
    ],
)
def test_a_file_that_is_wrong_says_so(collection, changes, said):
    _with(collection, **changes)
    with pytest.raises(FileError, match=said):
        ld.open_collection(collection.path)


def test_damage_is_seen(folder, collection, embedding):
    whole = collection.path.read_bytes()
    broken = np.full((len(collection), 32), np.nan, np.float16)
    _with(collection, vectors=broken)
    with pytest.raises(FileError, match="is damaged"):
        ld.find(folder, embedding, [(10, 20)])
    collection.path.write_bytes(whole[:-100])
    with pytest.raises(FileError, match="is damaged"):
        ld.open_collection(folder)
    save_file({"a": np.zeros(3)}, collection.path)
    with pytest.raises(FileError, match="not a collection"):
        ld.open_collection(folder)
    with pytest.raises(FileError, match="was not made by napari-localdisc"):
        states(folder)
    collection.path.unlink()
    with pytest.raises(FileError, match="localdisc index"):
        ld.open_collection(folder)


@pytest.fixture
def localdisc():
    def call(*arguments):
        given = [str(argument) for argument in arguments]
        return CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), given)

    return call


def test_commands(folder, localdisc):
    planned = localdisc("index", folder, "-m", "tiny", "--dry-run", "--json")
    assert {row["state"] for row in json.loads(planned.stdout)} == {"planned"}
    assert not (folder / NAME).exists()
    made = localdisc("index", folder, "-m", "tiny")
    assert made.exit_code == 0, made.stderr
    assert "3 images: 3 written" in made.stdout
    given = ("find", "--image", folder / "b.png", "--at", "10,20", "-n", "4")
    listed = localdisc(*given, "--json")
    assert listed.exit_code == 0, listed.stderr
    rows = json.loads(listed.stdout)
    assert len(rows) == 4
    assert rows[0].keys() == {"image", "row", "column", "similarity"}
    others = localdisc(*given, "--others", "--per-image", "1")
    assert "b.png" not in others.stdout
    assert others.stdout.count(".png") == 2
    lost = localdisc("find", "--image", folder.parent / "x.png", "--at", "1,2")
    assert lost.exit_code == 1
    assert "localdisc index" in lost.stderr
    assert localdisc("index", folder / "a.png", "-m", "tiny").exit_code == 2
    (folder / "b.png").write_text("no picture")
    failed = localdisc("index", folder, "-m", "tiny")
    assert failed.exit_code == 1
    assert "b.png" in failed.stderr
    assert "2 images" in failed.stdout


def test_home_is_meant(folder, monkeypatch):
    monkeypatch.setitem(os.environ, "HOME", str(folder.parent))
    assert collecting.collection_path(["~/images"], None) == (
        given_path("~/images") / NAME
    )
