"""Several things of the same images: the model looks at each image once."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_localdisc as ld
from napari_localdisc.batch import recipes as module
from napari_localdisc.batch.recipes import (
    ClusterRecipe,
    ConceptRecipe,
    StructureRecipe,
)
from napari_localdisc.batch.run import run_several, run_tasks
from napari_localdisc.batch.tasks import Job, plan_tasks
from napari_localdisc.core.learning.concept import Concept
from napari_localdisc.core.model.model import load_model


@pytest.fixture
def images(tmp_path):
    """Two pictures, and a file that is none between them."""
    folder = tmp_path / "images"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(60, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "a.png")
    (folder / "b.png").write_text("no picture")
    Image.fromarray(noise[::-1]).save(folder / "c.png")
    return sorted(folder.iterdir())


@pytest.fixture
def looks(monkeypatch):
    """Note each look of the model: whether it embeds."""
    noted, look = [], module.look

    def counted(image, model, embeds, *given, **how):
        noted.append(embeds)
        return look(image, model, embeds, *given, **how)

    for place in ("recipes", "tasks"):
        monkeypatch.setattr(f"napari_localdisc.batch.{place}.look", counted)
    return noted


def made(wanted, images, folder):
    """Make recipes of images; return state by number of the recipe and image."""
    model = load_model("tiny", "cpu")
    jobs = [Job(each, "tiny", model.hash, "cpu") for each in wanted]
    plans = [plan_tasks(images, folder, each.endings) for each in wanted]
    with closing(run_several(plans, jobs, model=model, spare_cores=1)) as outcomes:
        ended = [each for each in outcomes if each is not None]
    return {
        (number, outcome.task.source.stem): outcome.state for number, outcome in ended
    }


STATES = {"a": "written", "b": "failed", "c": "written"}


def test_clusters_and_structures_need_one_look(images, looks, models, tmp_path):
    tuned = StructureRecipe("vessel", 0.502, minimum_size=3)
    wanted = [ClusterRecipe(4), tuned, ClusterRecipe(5)]
    wanted[2] = replace(wanted[2], flips=2)  # another way of looking
    folder = tmp_path / "out"
    states = made(wanted[:2], images, folder)
    assert states == {(n, k): state for n in range(2) for k, state in STATES.items()}
    assert looks == [False, False]
    alone = tmp_path / "alone"
    model = load_model("tiny", "cpu")
    for each in wanted[:2]:
        tasks = plan_tasks(images, alone, each.endings)
        list(run_tasks(tasks, Job(each, "tiny", model.hash, "cpu"), model=model))
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in folder.iterdir())
    for name in names:
        np.testing.assert_array_equal(
            tifffile.imread(folder / name), tifffile.imread(alone / name)
        )
    looks.clear()
    states = made(wanted[:2], images, folder)
    assert set(states.values()) == {"skipped", "failed"}
    assert looks == []
    made([tuned, wanted[2]], images, tmp_path / "other")
    assert len(looks) == 4  # by two images


def test_a_concept_and_a_structure_share_an_embedding(images, looks, models, tmp_path):
    picture = ld.read_image(images[0])
    embedding = ld.embed(picture, load_model("tiny", "cpu"))
    concept = Concept.from_prompts("spot", embedding, [(20, 20)])
    wanted = [StructureRecipe("vessel"), ConceptRecipe(concept)]
    states = made(wanted, images, tmp_path / "out")
    assert states[1, "c"] == "written"
    assert looks == [True, True]
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "a_spot.tif"), concept.labels(embedding)
    )
