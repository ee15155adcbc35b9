"""Where numbers come from, plots, and a page about an image."""

import base64
import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from tests.core import phantoms

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.measure import evidence as drawn
from napari_localdisc.core.measure.choosing import MEASURE_GROUPS, choose_rows
from napari_localdisc.core.measure.evidence import evidence, middle_of
from napari_localdisc.core.measure.examined import examine
from napari_localdisc.core.measure.measure import tabulate
from napari_localdisc.core.measure.plots import every_plot
from napari_localdisc.core.measure.report import write_report
from napari_localdisc.core.measure.table import value_text

SHAPE = (260, 300)
FOVEA, DISC, RADIUS = (130.0, 90.0), (128.0, 210.0), 24
LESIONS = ((150, 110, 6), (90, 60, 4))
NAMES = {1: "vein", 2: "optic disc", 3: "optic cup", 4: "hard exudate", 5: "artery"}


@pytest.fixture(scope="module")
def labels():
    made = np.zeros(SHAPE, np.uint8)
    made[phantoms.disc(SHAPE, DISC, RADIUS)] = 2
    made[phantoms.disc(SHAPE, DISC, 10)] = 3
    for row, column, radius in LESIONS:
        made[phantoms.disc(SHAPE, (row, column), radius)] = 4
    made[phantoms.tube(SHAPE, [np.array([(30, 20), (50, 260)])], 6).mask] = 1
    made[phantoms.tube(SHAPE, [np.array([(220, 20), (240, 260)])], 5).mask] = 5
    return made


@pytest.fixture(scope="module")
def examined(labels):
    return examine(
        labels, names=NAMES, fovea=FOVEA, disc_mm=1.8, regions=["field", "zones"]
    )


@pytest.fixture(scope="module")
def table(examined):
    return tabulate(examined)


def drawings(examined, table, **wanted):
    row = next(iter(table.where(**wanted)))
    return {each.what: each for each in evidence(examined, row)}


def lengths(lines):
    return np.hypot(*(lines[:, 1] - lines[:, 0]).T)


def test_calibres_are_bars_across_the_vessel(examined, table):
    found = drawings(examined, table, structure="vein", measure="calibre median")
    bars = lengths(found[drawn.CALIBRE].lines)
    median = table.value(
        structure="vein", measure="calibre median", region="image", unit="pixel"
    )
    assert np.median(bars) == pytest.approx(median, abs=0.01)
    along = lengths(found[drawn.SKELETON].lines).sum()
    length = table.value(
        structure="vein", measure="skeleton length", region="image", unit="pixel"
    )
    assert along == pytest.approx(length, rel=0.01)
    across = np.diff(found[drawn.CALIBRE].lines, axis=1)[:, 0]
    assert np.abs(across[:, 0]).min() > 4  # the vessel runs from left to right


def test_a_tortuosity_is_arc_and_chord(examined, table):
    rows = {"structure": "vein", "measure": "tortuosity arc/chord", "piece": 1}
    found = drawings(examined, table, **rows)
    (chord,) = lengths(found[drawn.CHORD].lines)
    arc = lengths(found[drawn.SKELETON].lines).sum()
    value = table.value(**rows)
    assert arc / chord == pytest.approx(value, abs=0.003)
    row, column = middle_of(examined, next(iter(table.where(**rows))))
    assert (row, column) == pytest.approx((40, 140), abs=4)


def test_a_region_is_outlined_and_its_part_alone_drawn(examined, table):
    found = drawings(
        examined,
        table,
        structure="vein",
        measure="calibre mean",
        region="zone C",
        unit="pixel",
    )
    away = np.hypot(*(found[drawn.REGION].lines[:, 0] - DISC).T)
    edges = (0.5 + np.array([0.5, 2])) * 2 * RADIUS
    inner, outer = np.abs(away[:, None] - edges).T
    in_view = np.minimum(inner, outer) < 3
    assert in_view.mean() > 0.6  # the rest is the image's border
    middles = found[drawn.CALIBRE].lines.mean(axis=1)
    assert (np.hypot(*(middles - DISC).T) < edges[1] + 1).all()


@pytest.mark.parametrize(
    ("measure", "what", "length"),
    [
        ("vertical diameter", drawn.DISTANCE, 2 * RADIUS + 1),
        ("horizontal diameter", drawn.DISTANCE, 2 * RADIUS + 1),
        ("cup vertical diameter", drawn.DISTANCE, 21),
    ],
)
def test_diameters_are_lines(examined, table, measure, what, length):
    found = drawings(examined, table, structure="optic disc", measure=measure)
    (line,) = lengths(found[what].lines)
    value = table.value(structure="optic disc", measure=measure, unit="pixel")
    assert line == pytest.approx(value)
    assert value == pytest.approx(length, abs=2)


def test_distances_lead_from_lesions_to_the_fovea(examined, table):
    wanted = {"structure": "hard exudate", "unit": "pixel", "region": "image"}
    found = drawings(examined, table, **wanted, measure="nearest distance to the fovea")
    (way,) = lengths(found[drawn.DISTANCE].lines)
    value = table.value(**wanted, measure="nearest distance to the fovea")
    assert way == pytest.approx(value)
    found = drawings(examined, table, **wanted, measure="mean distance to the disc")
    value = table.value(**wanted, measure="mean distance to the disc")
    assert lengths(found[drawn.DISTANCE].lines).mean() == pytest.approx(value)
    areas = wanted | {"unit": "pixel²", "measure": "largest area"}
    largest = drawings(examined, table, **areas)
    middle = largest[drawn.OUTLINE].lines.mean(axis=(0, 1))
    assert middle == pytest.approx(LESIONS[0][:2], abs=0.5)


def test_every_row_of_every_kind_can_be_drawn(examined, table):
    for row in table:
        found = evidence(examined, row)
        if row.value is None:
            assert {each.what for each in found} <= {drawn.REGION}
        elif row.value:
            assert found, row
        for each in found:
            assert np.isfinite(each.lines).all()
            assert each.lines.shape[1:] == (2, 2)
            assert each.points.shape[1:] == (2,)


def test_a_chest_is_drawn():
    masks = {
        "lung": phantoms.disc(SHAPE, (130, 80), 50)
        | phantoms.disc(SHAPE, (130, 220), 50),
        "heart": phantoms.disc(SHAPE, (150, 150), 30),
    }
    chest = examine(masks, "chest")
    rows = tabulate(chest)
    found = drawings(chest, rows, measure="cardiothoracic ratio")
    heart, thorax = lengths(found[drawn.DISTANCE].lines)
    assert heart / thorax == pytest.approx(rows.value(measure="cardiothoracic ratio"))
    for row in rows:
        assert evidence(chest, row), row


def test_what_did_not_change_is_not_traced_again(labels, examined):
    edited = labels.copy()
    edited[phantoms.disc(SHAPE, (200, 40), 5)] = 4
    how = {"names": NAMES, "fovea": FOVEA, "disc_mm": 1.8}
    again = examine(edited, **how, before=examined)
    assert again.vessels["vein"] is examined.vessels["vein"]
    assert again.pieces["optic disc"] is examined.pieces["optic disc"]
    assert again.pieces["hard exudate"].count == 3
    assert tabulate(again) == tabulate(examine(edited, **how))
    edited[30:50, 100] = 0
    assert len(examine(edited, **how, before=again).vessels["vein"].winding.arc) == 2


def test_plots_hold_what_was_measured(examined, table):
    plots = every_plot(examined)
    assert list(plots) == ["calibre", "density by ring", "lesions by distance"]
    calibre = plots["calibre"]
    assert {series.name for series in calibre.series} == {"vein", "artery", "vessel"}
    micrometres = 1000 * 1.8 / examined.landmarks.disc.diameter
    for name, wide in (("vein", 6), ("artery", 5)):
        (series,) = (each for each in calibre.series if each.name == name)
        assert series.heights.sum() == pytest.approx(100)
        fullest = int(np.argmax(series.heights))
        step = calibre.edges[1]
        middle = calibre.edges[fullest] + step / 2
        assert middle == pytest.approx(wide * micrometres, abs=step)
    ring = plots["density by ring"]
    assert "fovea in mm" in ring.across
    (vein,) = (series for series in ring.series if series.name == "vein")
    assert vein.heights[0] == 0  # nothing at the fovea
    assert 0 < vein.heights.max() < 20
    lesions = plots["lesions by distance"]
    assert sum(series.heights.sum() for series in lesions.series) == 2
    away = np.hypot(LESIONS[0][0] - FOVEA[0], LESIONS[0][1] - FOVEA[1])
    at = np.digitize(away * micrometres / 1000, lesions.edges) - 1
    assert lesions.series[0].heights[at] == 1
    nothing = np.zeros(SHAPE, np.uint8)
    assert every_plot(examine(nothing, names={1: "exudate"})) == {}


def test_rows_are_chosen_by_measure_and_unit(table):
    some = choose_rows(table, ["calibre"])
    assert {row.measure.split()[0] for row in some} == {
        "calibre",
        "CRAE",
        "CRVE",
        "AVR",
    }
    assert {row.unit for row in some if row.measure != "AVR"} == {"mm"}
    pixels = choose_rows(table, (), "pixel")
    assert "mm" not in {row.unit for row in pixels}
    keys = [(r.structure, r.piece, r.region, r.measure) for r in table]
    assert len(pixels) == len(set(keys)) == len(choose_rows(table))
    in_groups = choose_rows(table, MEASURE_GROUPS)
    assert len(in_groups) == len(pixels)  # each measure is in some group


def test_a_report_is_one_file(examined, table, tmp_path):
    path = tmp_path / "eye.html"
    rows = choose_rows(table, MEASURE_GROUPS[:1])
    settings = {"model": "fundus <1>"}
    write_report(path, examined, rows, title="eye & co", settings=settings)
    page = path.read_text("utf-8")
    assert "eye &amp; co" in page
    assert "fundus &lt;1&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count("<svg") == 3
    value = table.value(
        structure="vein", measure="calibre median", region="image", unit="mm"
    )
    assert f">{value_text(value)}<" in page
    assert "6 vessels must cross zone B" in page  # why something is missing
    (held,) = re.findall(r"base64,([^\"]+)", page.split("<svg")[0])
    with Image.open(io.BytesIO(base64.b64decode(held))) as picture:
        assert picture.size == SHAPE[::-1]
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 5


def test_values_are_read_easily():
    said = {None: "–", 0.0: "0", 227343.0: "227343", 0.12345: "0.1235", 2.0: "2"}
    assert {value: value_text(value) for value in said} == said
    assert value_text(1.5e-6) == "1.500e-06"


def test_parquet_is_written_where_it_can_be(table, tmp_path, monkeypatch):
    path = tmp_path / "eye.parquet"
    pandas = pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FileError, match="pyarrow"):
        table.to_parquet(path)
    assert not path.exists()
    monkeypatch.undo()
    pytest.importorskip("pyarrow")
    table.to_parquet(path)
    assert len(pandas.read_parquet(path)) == len(table)
