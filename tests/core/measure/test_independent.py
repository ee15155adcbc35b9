"""Other programs' figures, recorded by ``tests/data/make_independent_measures.py``.

Where definitions agree, so do the values, within 3 %; docs/measures.md says where they
do not.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.core import phantoms

import napari_localdisc as ld
from napari_localdisc.core.measure.equivalents import ARTERY, VEIN, equivalent
from napari_localdisc.core.measure.skeleton import find_skeleton

DATA = Path(__file__).parents[2] / "data"
RECORDED = json.loads((DATA / "independent_measures.json").read_text("utf-8"))
WITHIN = 0.03


@pytest.fixture(scope="module", params=sorted(RECORDED["masks"]))
def both(request):
    """A mask and what others say of it."""
    mask = np.asarray(Image.open(DATA / "measures" / f"{request.param}.png")) > 0
    return mask, RECORDED["masks"][request.param]


def test_pixel_paths_and_end_points(both):
    mask, others = both
    skeleton = find_skeleton(mask)
    arcs = [np.hypot(*np.diff(path, axis=0).T).sum() for path in skeleton.paths]
    skan = others["skan"]
    assert sum(arcs) == pytest.approx(skan["length of pixel paths"], rel=WITHIN)
    chords = [np.hypot(*(path[-1] - path[0])) for path in skeleton.paths]
    ratio = np.median(
        [arc / chord for arc, chord in zip(arcs, chords, strict=True) if arc > 10]
    )
    known = skan["median arc over chord of branches over 10 pixels"]
    assert ratio == pytest.approx(known, rel=WITHIN)
    assert ratio == pytest.approx(others["PVBM"]["median tortuosity"], rel=WITHIN)
    table = ld.measure(mask, names="vessel", pieces=False)
    for program in ("skan", "PVBM"):
        ends = others[program]["end points"]
        assert table.value(measure="end points") == pytest.approx(ends, rel=WITHIN)


def test_area_perimeter_and_dimension(both):
    mask, others = both
    table = ld.measure(mask, "any", names="vessel", pieces=False)
    assert table.value(measure="area") == others["PVBM"]["area"]
    crofton = others["scikit-image"]["perimeter by Crofton"]
    assert table.value(measure="perimeter") == pytest.approx(crofton, rel=WITHIN)
    if mask.size > 1e6:  # a small tree is thick for the boxes of either
        table = ld.measure(mask, names="vessel", pieces=False)
        known = others["PVBM"]["dimension D0"]
        found = table.value(measure="fractal dimension")
        assert found == pytest.approx(known, rel=WITHIN)


def test_smooth_lengths_and_calibres_are_nearer_to_what_was_drawn():
    """Steps of pixels are longer than a line; a distance to pixels is not its width."""
    mask, curves = phantoms.drawn_tree()
    stored = np.asarray(Image.open(DATA / "measures" / "drawn_tree.png")) > 0
    np.testing.assert_array_equal(mask, stored)
    lengths = {
        width: sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lines)
        for width, lines in curves.items()
    }
    truth = sum(lengths.values())
    table = ld.measure(mask, names="vessel", pieces=False)
    length = table.value(measure="skeleton length", unit="pixel")
    assert length == pytest.approx(truth, rel=0.02)  # branches of 10 to 20 radii
    others = RECORDED["masks"]["drawn_tree"]["skan"]
    assert others["length of pixel paths"] > 1.04 * truth
    mean = sum(width * length for width, length in lengths.items()) / truth
    found = table.value(measure="calibre mean", unit="pixel")
    assert found == pytest.approx(mean, abs=0.2)
    # 7.04 is in the middle of the length
    width = table.value(measure="calibre median", unit="pixel")
    assert width == pytest.approx(7.04, abs=0.1)
    assert table.value(measure="branch points") == 22


def test_central_equivalents():
    known = RECORDED["equivalents"]
    for name, kind, coefficient in (
        ("CRAE", "arteries", ARTERY),
        ("CRVE", "veins", VEIN),
    ):
        assert equivalent(known[kind], coefficient) == pytest.approx(known[name])
