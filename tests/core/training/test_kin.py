"""A structure that a model does not know begins as the nearest that it knows."""

from types import SimpleNamespace

import pytest
import torch

from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.training.kin import (
    FOUND,
    begin_from_kin,
    found_when_drawn,
    known_to,
)


def test_kinds_begin_as_their_union():
    network = LocalDiscriminationNet(6, 4, 8, 4)
    last = network.clustering_branch[-1]
    before = last.weight.detach().clone()
    known = {"vessel": 0, "bright lesion": 2, "dark lesion": 3}
    wanted = {"vessel": 0, "hard exudate": 2, "haemorrhage": 3, "microaneurysm": 5}
    begin_from_kin(network, wanted, known)
    assert torch.equal(last.weight[5], before[3])
    for same in (0, 1, 2, 3, 4, 6, 7):
        assert torch.equal(last.weight[same], before[same])


def test_what_is_known_stays_and_what_is_new_begins_by_itself():
    network = LocalDiscriminationNet(6, 4, 8, 4)
    before = network.clustering_branch[-1].weight.detach().clone()
    known = {"haemorrhage": 1, "dark lesion": 3}
    begin_from_kin(network, {"haemorrhage": 1, "lung": 2}, known)
    assert torch.equal(network.clustering_branch[-1].weight, before)


def test_a_kind_that_a_model_never_finds_begins_as_another_of_its_union():
    card = ModelCard(
        "first",
        clusters=4,
        structures={"haemorrhage": 1, "microaneurysm": 3, "vessel": 0},
        details={FOUND: {"haemorrhage": 0.4, "microaneurysm": 0.0}},
    )
    network = LocalDiscriminationNet(6, 4, 8, 4)
    last = network.clustering_branch[-1]
    before = last.weight.detach().clone()
    begin_from_kin(network, card.structures, known_to(card))
    assert torch.equal(last.weight[3], before[1])
    assert torch.equal(last.weight[:3], before[:3])


@pytest.mark.parametrize("said", [None, "all", 3, {"vessel": "0.0"}, {3: 0.0}])
def test_what_a_foreign_card_says_of_it_does_not_stop_a_training(said):
    card = ModelCard("mine", structures={"vessel": 0}, details={FOUND: said})
    assert known_to(card) == {"vessel": 0}


def test_what_is_found_when_drawn_is_counted_over_all_batches():
    """Of two drawn structures one is found in part, and one is not shown."""
    drawn = torch.zeros(2, 2, 8, 8)
    drawn[:, 0, :4] = 1
    batch = SimpleNamespace(
        drawn=drawn, drawn_known=torch.ones_like(drawn), images=torch.zeros(6, 3, 8, 8)
    )
    logits = torch.full((2, 4, 8, 8), -1.0)
    logits[:, 2, :2] = 1
    found = found_when_drawn([batch] * 2, [2, 3], lambda images: (images, logits))
    assert found == {2: pytest.approx(2 * 16 / (16 + 32))}
