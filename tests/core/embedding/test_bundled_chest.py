"""The bundled chest model on simulated radiographs, which it has never seen."""

import numpy as np
import pytest
from scipy import ndimage
from tests.core.radiograph import overlap, radiograph

import napari_localdisc as ld
from napari_localdisc.core.model.card import list_models, read_card


@pytest.fixture(scope="module")
def chest():
    return ld.load_model("chest", device="cpu")


@pytest.fixture(scope="module", params=[0, 1])
def simulated(request, chest):
    rgb, lungs = radiograph(request.param, size=384, variation=0.3)
    return ld.embed(rgb[..., 0], chest), lungs


def test_the_chooser_s_card_names_the_structures():
    path = list_models()["chest"]
    card = read_card(path)
    assert card.modality == "frame"
    assert list(card.structures) == ["lung", "heart", "clavicle"]
    assert path.stat().st_size <= 8e6


def test_the_card_says_what_it_was_made_of(chest):
    details = chest.card.details
    assert details["labels_used"] == "none"
    for field in ("data", "licence", "seed", "steps", "device", "command"):
        assert str(details[field])
    assert any("lung" in name for name in details["measured_quality"])


def test_lungs_are_found_by_name(simulated):
    embedding, lungs = simulated
    assert embedding.structure("lung").shape == lungs.shape
    assert overlap(embedding.structure("lung") > 0.5, lungs) > 0.75


def test_the_heart_lies_between_the_lungs(simulated):
    embedding, lungs = simulated
    heart = embedding.structure("heart") > 0.5
    assert 0.01 < heart.mean() < 0.25
    assert (heart & lungs).sum() < 0.2 * heart.sum()
    rows, columns = np.nonzero(heart)
    assert rows.mean() > np.nonzero(lungs)[0].mean()
    assert abs(columns.mean() / lungs.shape[1] - 0.5) < 0.15


def test_what_resembles_a_click_on_a_lung_is_lung(simulated):
    embedding, lungs = simulated
    depth = ndimage.distance_transform_edt(lungs)
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    alike = embedding.similarity([(row, column)])
    assert np.median(alike[lungs]) > np.quantile(alike[~lungs], 0.75)


def test_an_unwindowed_radiograph_is_seen_as_well(chest):
    rgb, lungs = radiograph(0, size=256, variation=0.3)
    pale = (235 + 18 * rgb[..., 0]).astype(np.uint8)
    assert overlap(ld.embed(pale, chest).structure("lung") > 0.5, lungs) > 0.7
