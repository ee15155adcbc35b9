"""A kind of lesions that a model does not know begins as the union that it knows."""

import torch

from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.training.trainer import begin_from_unions


def test_kinds_begin_as_their_union():
    network = LocalDiscriminationNet(6, 4, 8, 4)
    last = network.clustering_branch[-1]
    before = last.weight.detach().clone()
    known = {"vessel": 0, "bright lesion": 2, "dark lesion": 3}
    wanted = {"vessel": 0, "hard exudate": 2, "haemorrhage": 3, "microaneurysm": 5}
    begin_from_unions(network, wanted, known)
    assert torch.equal(last.weight[5], before[3])
    for same in (0, 1, 2, 3, 4, 6, 7):
        assert torch.equal(last.weight[same], before[same])


def test_what_is_known_stays_and_what_is_new_begins_by_itself():
    network = LocalDiscriminationNet(6, 4, 8, 4)
    before = network.clustering_branch[-1].weight.detach().clone()
    known = {"haemorrhage": 1, "dark lesion": 3}
    begin_from_unions(network, {"haemorrhage": 1, "lung": 2}, known)
    assert torch.equal(network.clustering_branch[-1].weight, before)
