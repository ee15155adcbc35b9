"""Cluster maps worth looking at: structures, few parts, no frame, no specks."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.embedding.clusters import ClusterMaps
from napari_localdisc.core.embedding.regions import SPECK, Named, find_regions
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.card import ModelCard

SIDE = 240
STRUCTURES = {"vessel": 0, "optic disc": 1, "dark lesion": 2}
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
ROUND = np.hypot(ROWS - SIDE / 2 + 0.5, COLUMNS - SIDE / 2 + 0.5) < SIDE / 2
CUT = ROUND & (ROWS > 40) & (ROWS < 200)
"""A field of view that is cut straight above and below."""


def depth_in(view):
    depth = ndimage.distance_transform_edt(np.pad(view, 1))[1:-1, 1:-1]
    return depth / max(np.ptp(part) + 1 for part in np.nonzero(view))


def maps_of(view, presence, parts=None, shape=(SIDE, SIDE)):
    """Cluster maps with given presence of structures and parts of the background."""
    found = {
        name: np.where(presence.get(name, np.zeros(shape, bool)), 0.9, 0.05)
        for name in STRUCTURES
    }
    probability = np.random.default_rng(0).random((16, *shape)).astype(np.float32)
    probability *= 0.05
    if parts is None:
        parts = np.full(shape, 5)
    for leaf in np.unique(parts):
        probability[leaf][parts == leaf] = 1
    for name, leaf in STRUCTURES.items():
        probability[leaf] = found[name]
    card = ModelCard("m", working_diameter=SIDE, structures=STRUCTURES)
    centres = np.random.default_rng(1).normal(size=(16, 32)).astype(np.float32)
    return ClusterMaps(
        torch.from_numpy(probability / probability.sum(0)),
        view,
        WorkingGrid(shape, 0, 0, *shape, shape),
        card,
        centres,
        {k: torch.from_numpy(v.astype(np.float32)) for k, v in found.items()},
    )


def pieces(labels, label):
    names, _ = ndimage.label(labels == label, np.ones((3, 3)))
    return np.bincount(names.ravel())[1:]


LINE = abs(ROWS - 120) < 3
DISC = np.hypot(ROWS - 120, COLUMNS - 70) < 20


def test_structures_have_their_labels_at_every_number():
    seen = maps_of(ROUND, {"vessel": LINE, "optic disc": DISC})
    for n in range(2, 17):
        labels = seen.clusters(n)
        assert (labels[LINE & ~DISC & (depth_in(ROUND) > 0.01)] == 1).mean() > 0.95
        assert (labels[DISC] == (3 if n > 2 else 2)).mean() > 0.95
        assert labels[ROWS < 20].max() <= n


def test_a_vessel_makes_no_hole_in_a_disc_and_reaches_the_edge():
    labels = maps_of(ROUND, {"vessel": LINE, "optic disc": DISC}).clusters(8)
    assert len(pieces(labels, 3)) == 1
    assert (labels[120][ROUND[120]] == 1).sum() > 190
    assert labels[120][ROUND[120]][-1] == 1


@pytest.mark.parametrize("view", [ROUND, CUT], ids=["round", "cut straight"])
@pytest.mark.parametrize("structure", [None, "vessel", "dark lesion"])
def test_no_cluster_lives_along_the_edge(view, structure):
    frame = view & (depth_in(view) < 0.035)
    presence = {"optic disc": DISC}
    parts = np.where(frame & (ROWS < 120), 9, 5)
    if structure:
        presence[structure] = frame
    else:
        parts[frame & (ROWS > 120)] = 10
    seen = maps_of(view, presence, parts)
    rim = view & (depth_in(view) <= 0.03)
    for n in range(2, 17):
        labels = seen.clusters(n)
        for label in np.unique(labels[view]):
            region = labels == label
            assert (region & rim).sum() <= region.sum() / 2


def test_specks_join_what_surrounds_them_but_for_sure_lesions():
    rng = np.random.default_rng(4)
    speck = np.zeros((SIDE, SIDE), bool)
    for row, column in rng.integers(50, 190, (40, 2)):
        speck[row : row + 3, column : column + 3] = True
    parts = np.where(rng.random((SIDE, SIDE)) < 0.3, 7, 5)
    spots = (ROWS % 40 < 3) & (COLUMNS % 40 < 3) & (depth_in(ROUND) > 0.1)
    seen = maps_of(ROUND, {"vessel": speck, "dark lesion": spots}, parts)
    for n in (2, 4, 8, 16):
        labels = seen.clusters(n)
        for label in np.unique(labels[ROUND]):
            lesion = n >= 4 and label == 4
            assert lesion or pieces(labels, label).min() >= SPECK
    assert (seen.clusters(8)[spots] == 4).mean() > 0.9
    unsure = np.where(spots, 0.55, 0).astype(np.float32)
    seen.presence["dark lesion"] = torch.from_numpy(unsure)
    vars(seen).pop("regions", None), vars(seen).pop("_dominant", None)
    assert not (seen.clusters(8) == 4).any()


def test_the_background_is_few_smooth_parts():
    noise = np.random.default_rng(5).random((SIDE, SIDE))
    light = ndimage.gaussian_filter(noise, 2) + (COLUMNS > 120) * 0.1
    parts = 4 + np.digitize(light, np.quantile(light, (0.25, 0.5, 0.75)))
    labels = maps_of(ROUND, {}, parts).clusters(16)
    counts = [len(pieces(labels, label)) for label in np.unique(labels[ROUND])]
    assert sum(counts) <= 16
    before = sum(len(pieces(np.where(ROUND, parts, 0), leaf)) for leaf in range(4, 8))
    assert before > 5 * sum(counts)


def test_a_field_of_view_without_an_inner_part_has_regions_too():
    probability = torch.rand(4, 20, 20, generator=torch.Generator().manual_seed(0))
    for inside in (np.zeros((20, 20), bool), np.eye(20, dtype=bool)):
        found = find_regions(probability, [], inside, True)
        assert len(found.scores) == len(found.leaves)
    everywhere = Named("vessel", 0, np.ones((20, 20), np.float32))
    found = find_regions(probability, [everywhere], np.ones((20, 20), bool), True)
    assert found.leaves.tolist() == [0]
