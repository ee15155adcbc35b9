"""`measure`: the table, its units, regions and reasons."""

import csv
import math
import sys

import numpy as np
import pytest
from tests.core import phantoms

import napari_localdisc as ld
from napari_localdisc.core.errors import FileError, PromptError
from napari_localdisc.core.measure.table import COLUMNS, Table

SHAPE = (420, 420)
FOVEA, DISC = (210, 160), (205.0, 310.0)
DISC_RADIUS = 36


@pytest.fixture(scope="module")
def eye():
    """A right eye: disc with cup, vessels across it, three lesions."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[phantoms.disc(SHAPE, DISC, DISC_RADIUS)] = 2
    labels[phantoms.disc(SHAPE, DISC, 18)] = 3
    for row, column, radius in ((210, 200, 5), (190, 120, 8), (300, 160, 3)):
        labels[phantoms.disc(SHAPE, (row, column), radius)] = 4
    line = [np.array([(90, 330), (320, 290)])]
    labels[phantoms.tube(SHAPE, line, 6).mask] = 1
    return labels


NAMES = {1: "vessel", 2: "optic disc", 3: "optic cup", 4: "hard exudate"}


@pytest.fixture(scope="module")
def table(eye):
    return ld.measure(eye, names=NAMES, fovea=FOVEA, disc_mm=1.8, name="eye.png")


def test_every_row_says_what_it_is(table):
    assert len(table) > 300
    for row in table:
        assert row.image == "eye.png"
        assert row.version == ld.__version__
        assert row.structure
        assert row.region
        assert row.measure
        assert 0 <= row.share_in_view <= 1
        assert (row.value is None) == bool(row.reason), row
        assert row.value is None or math.isfinite(row.value)
    keys = [(r.structure, r.piece, r.region, r.measure, r.unit) for r in table]
    assert len(set(keys)) == len(keys)


def test_units_are_those_known(eye, table):
    size = table.value(structure="optic disc", measure="diameter", unit="pixel")
    assert size == pytest.approx(2 * DISC_RADIUS, rel=0.01)
    wanted = {"structure": "hard exudate", "measure": "largest area", "region": "image"}
    area = table.value(**wanted, unit="pixel²")
    assert area == pytest.approx(np.pi * 64, rel=0.03)
    assert table.value(**wanted, unit="disc diameter²") == pytest.approx(area / size**2)
    assert table.value(**wanted, unit="mm²") == pytest.approx(area * (1.8 / size) ** 2)
    (said,) = table.where(**wanted, unit="mm²")
    assert "a disc taken as 1.8 mm" in said.method
    scaled = ld.measure(eye, names=NAMES, scale=(0.02, 0.02), disc_mm=1.8)
    (said,) = scaled.where(**wanted, unit="mm²")
    assert said.value == pytest.approx(area * 0.02**2)
    assert "the scale" in said.method
    without = ld.measure(eye, names=NAMES)
    assert {"mm", "mm²"}.isdisjoint({row.unit for row in without})
    plain = ld.measure(eye == 4, names="hard exudate")
    units = {row.unit for row in plain}
    assert {"disc diameter", "mm"}.isdisjoint(units)
    assert "pixel²" in units


def test_disc_is_whole_under_vessels(table):
    def value(measure, unit="pixel", structure="optic disc"):
        return table.value(
            structure=structure, measure=measure, unit=unit, region="image"
        )

    assert value("vertical diameter") == pytest.approx(72, abs=1)
    assert value("horizontal diameter") == pytest.approx(72, abs=1)
    assert value("vertical cup-to-disc ratio", "ratio") == pytest.approx(0.5, abs=0.02)
    whole = np.pi * DISC_RADIUS**2
    # The vessel took its pixels from both
    assert value("area", "pixel²") == pytest.approx(whole, rel=0.01)
    cup = np.pi * 18**2
    assert value("cup area", "pixel²") == pytest.approx(cup, rel=0.02)
    assert value("area", "pixel²", "optic cup") == pytest.approx(cup, rel=0.02)
    sectors = [
        value(f"rim area {name}", "pixel²")
        for name in ("superior", "inferior", "nasal", "temporal")
    ]
    assert sum(sectors) == pytest.approx(value("rim area", "pixel²"))
    assert value("rim area", "pixel²") + value("cup area", "pixel²") == pytest.approx(
        whole, rel=0.01
    )
    assert sectors[2] == pytest.approx(np.pi * (36**2 - 18**2) / 4, rel=0.05)


def test_lesions_per_piece_and_summed(table):
    whole = {"structure": "hard exudate", "region": "image"}
    assert table.value(**whole, measure="count") == 3
    near = table.value(**whole, measure="nearest distance to the fovea", unit="pixel")
    assert near == pytest.approx(40, abs=0.1)
    areas = {
        row.piece: row.value
        for row in table.where(**whole, measure="area", unit="pixel²")
    }
    assert areas.pop(None) == sum(areas.values())
    assert sorted(areas) == [1, 2, 3]
    away = [
        row.value
        for row in table.where(
            **whole, measure="distance to the disc", unit="disc diameter"
        )
    ]
    truth = sorted(
        (math.dist(DISC, at) - DISC_RADIUS) / (2 * DISC_RADIUS)
        for at in ((210, 200), (190, 120), (300, 160))
    )
    assert sorted(away) == pytest.approx(truth, abs=0.02)
    # A right eye's nose is on the right of the picture
    count = {
        name: table.value(
            structure="hard exudate", region=f"{name} quadrant", measure="count"
        )
        for name in ("superior", "inferior", "nasal", "temporal")
    }
    assert count == {"superior": 0, "inferior": 1, "nasal": 1, "temporal": 1}
    assert table.value(
        measure="nearest distance to the fovea", unit="pixel", region="nasal quadrant"
    ) == pytest.approx(40, abs=0.1)


def test_the_parts_of_the_grid_make_the_whole(table):
    def area(region, structure="hard exudate"):
        return table.value(
            structure=structure, region=region, measure="area", unit="pixel²"
        )

    directions = ("superior", "inferior", "nasal", "temporal")
    total = sum(area(f"{name} quadrant") for name in directions)
    assert total == area("image")
    for ring in ("inner", "outer"):
        parts = sum(area(f"ETDRS {ring} {name}") for name in directions)
        assert parts == area(f"ETDRS {ring} ring")


def test_values_are_missing_where_too_little_is_in_view(eye):
    view = np.zeros(SHAPE, bool)
    view[:, :300] = True
    found = ld.measure(
        eye, names=NAMES, field_of_view=view, fovea=FOVEA, disc=(*DISC, 72), scale=0.025
    )
    assert "optic disc" in {row.structure for row in found}
    for zone in ("zone A", "zone B"):
        rows = found.where(structure="vessel", region=zone)
        assert rows
        for row in rows:
            assert row.value is None
            assert row.share_in_view < 0.5
            assert row.reason == (
                f"only {100 * row.share_in_view:.0f} % of the region is in view"
            )
    (ring,) = found.where(
        structure="vessel", region="ETDRS inner ring", measure="density"
    )
    assert ring.share_in_view == pytest.approx(1, abs=0.01)
    assert ring.value is not None
    assert found.value(region="field of view", measure="density") > 0
    # The disc is cut by the edge of the view
    (ratio,) = found.where(measure="vertical cup-to-disc ratio")
    assert ratio.value is None
    assert "cut off" in ratio.reason


def test_regions_that_cannot_be_laid_out_say_why(eye):
    vessels = eye == 1
    found = ld.measure(
        vessels, names="vessel", regions=["field", "etdrs", "quadrants", "zones"]
    )
    reasons = {row.region: row.reason for row in found.where(measure="density")}
    assert not reasons["image"]
    assert "fovea is not known" in reasons["ETDRS centre"]
    assert "fovea is not known" in reasons["superior quadrant"]
    assert "disc is not known" in reasons["zone B"]
    found = ld.measure(vessels, names="vessel", regions=["etdrs"], fovea=FOVEA)
    (row,) = found.where(measure="density", region="ETDRS outer left")
    assert "millimetre" in row.reason
    assert {row.region for row in ld.measure(vessels, names="vessel")} == {"image"}


def test_a_mapping_of_masks_may_overlap(eye):
    vessels = phantoms.tube(SHAPE, [np.array([(90, 330), (320, 290)])], 6).mask
    disc = phantoms.disc(SHAPE, DISC, DISC_RADIUS)
    found = ld.measure({"Vessel": vessels, "optic_disc": disc})
    assert found.value(
        structure="optic_disc", measure="area", unit="pixel²", region="image"
    ) == np.count_nonzero(disc)
    assert found.value(
        structure="Vessel", measure="area", unit="pixel²", region="image"
    ) == np.count_nonzero(vessels)


def test_any_labels():
    labels = np.zeros((80, 90), np.int32)
    labels[5:15, 5:25] = 7
    labels[40:60, 30:40] = 300
    labels[40:60, 60:70] = 300
    picture = np.arange(80 * 90, dtype=float).reshape(80, 90)
    found = ld.measure(labels, "any", image=picture, scale=0.5)
    assert {row.structure for row in found} == {"label 7", "label 300"}
    seven = found.where(structure="label 7")
    assert seven.value(measure="area", unit="mm²") == 50
    assert seven.value(measure="mean intensity") == picture[5:15, 5:25].mean()
    assert seven.value(measure="centroid row") == 9.5
    both = found.where(structure="label 300")
    assert both.value(measure="area", unit="pixel²") == 400
    assert [
        row.value for row in both.where(measure="area", unit="pixel²") if row.piece
    ] == [200, 200]
    assert not ld.measure(labels, "any", pieces=False).where(piece=1)


def test_shapes_are_those_of_scikit_image():
    from skimage.measure import regionprops

    rng = np.random.default_rng(4)
    labels = np.zeros((200, 200), np.uint8)
    for value in range(1, 6):
        tall, wide = rng.uniform(8, 25, 2)
        centre = 20 + 38 * value, 100
        labels[phantoms.ellipse(labels.shape, centre, tall / 2, wide, 30 * value)] = (
            value
        )
    found = ld.measure(labels, "any")
    for shape in regionprops(labels):
        mine = found.where(structure=f"label {shape.label}")
        for measure, truth in (
            ("area", shape.area),
            ("equivalent diameter", shape.equivalent_diameter_area),
            ("eccentricity", shape.eccentricity),
            ("centroid row", shape.centroid[0]),
            ("centroid column", shape.centroid[1]),
        ):
            assert mine.value(measure=measure) == pytest.approx(truth, rel=1e-6)
        assert mine.value(measure="solidity") == pytest.approx(shape.solidity, abs=0.04)
        perimeter = mine.value(measure="perimeter")
        assert perimeter == pytest.approx(shape.perimeter_crofton, rel=0.05)


def test_nothing_labelled():
    found = ld.measure(np.zeros((50, 50), np.uint8), names={1: "vessel", 2: "lesion"})
    assert found.value(measure="density", structure="vessel") == 0
    (calibre,) = found.where(measure="calibre median")
    assert calibre.value is None
    assert calibre.reason == "no vessel there"
    assert found.value(measure="count", structure="lesion") == 0


@pytest.mark.parametrize("dots", [[(5, 5)], [(5, 5), (5, 6)], [(0, 0), (1, 1), (2, 2)]])
def test_specks_do_no_harm(dots):
    mask = np.zeros((30, 30), bool)
    mask[tuple(np.transpose(dots))] = True
    found = ld.measure(mask, names="vessel")
    assert found.value(measure="area") == len(dots)
    assert ld.measure(mask, names="haemorrhage").value(measure="count") == 1


@pytest.mark.parametrize("structure", ["vessel", "optic disc", "drusen", "other"])
@pytest.mark.parametrize(
    "mask",
    [
        np.random.default_rng(0).random((90, 90)) > 0.7,
        np.ones((40, 40), bool),
        np.ones((1, 50), bool),
        np.ones((1, 1), bool),
        np.pad(np.zeros((40, 40), bool), 3, constant_values=True),
        np.indices((30, 30)).sum(0) % 2 == 0,
    ],
    ids=["noise", "full", "row", "pixel", "frame", "chequers"],
)
def test_every_value_is_a_number_or_has_a_reason(mask, structure):
    for row in ld.measure(mask, names=structure):
        assert (row.value is None) == bool(row.reason)
        assert row.value is None or math.isfinite(row.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "knee"}, "no kind"),
        ({"regions": ["moon"]}, "no regions"),
        ({"scale": (1, 2)}, "not square"),
        ({"scale": -1}, "scale"),
        ({"disc_mm": 0}, "above 0"),
        ({"disc": (5, 5, -1)}, "above 0"),
        ({"eye": "third"}, "left or right"),
        ({"image": np.zeros((5, 5))}, "another size"),
        ({"field_of_view": np.ones((5, 5))}, "another size"),
        ({"probability": np.ones((5, 5))}, "another size"),
        ({"probability": np.full((50, 50), 7.0)}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with pytest.raises(PromptError, match=said):
        ld.measure(np.eye(50, dtype=np.uint8), **{"names": "vessel", **options})


def test_labels_are_whole_numbers_in_a_plane():
    with pytest.raises(PromptError, match="whole numbers"):
        ld.measure(np.ones((5, 5)))
    with pytest.raises(PromptError, match="one plane"):
        ld.measure(np.ones((5, 5, 5), np.uint8))
    with pytest.raises(PromptError, match="differ"):
        ld.measure({"a": np.ones((5, 5)), "b": np.ones((5, 6))})


def test_csv_and_data_frame(table, tmp_path, monkeypatch):
    path = tmp_path / "new" / "eye.csv"
    text = table.to_csv(path)
    assert path.read_text("utf-8") == text
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(table)
    for read, row in zip(rows, table, strict=True):
        assert (read["value"] == "") == (row.value is None)
        if row.value is not None:
            assert float(read["value"]) == pytest.approx(row.value, rel=1e-8)
    assert list(tmp_path.rglob(".*")) == []
    pandas = pytest.importorskip("pandas")
    frame = table.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(COLUMNS)
    assert frame["value"].dtype == "float64"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(FileError, match="not installed"):
        table.to_dataframe()


def test_a_table_is_a_sequence(table):
    assert table[0].image == "eye.png"
    assert table[:5] + table[5:] == table
    assert len(table[:5]) == 5
    assert "1 image" in repr(table)
    with pytest.raises(KeyError, match="0 rows"):
        table.value(measure="beauty")
    assert len(Table()) == 0
    assert Table().to_csv().strip() == ",".join(COLUMNS)


def test_needs_no_torch():
    import subprocess

    code = (
        "import sys, numpy as np, napari_localdisc as ld\n"
        "ld.measure(np.eye(40, dtype='uint8'), names='vessel')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
