"""Labels of DICOM images as DICOM SEG, and no patient's name in anything else."""

import json
import subprocess
import sys

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager
from typer.testing import CliRunner

from napari_localdisc.cli.app import build_app
from napari_localdisc.core.errors import FileError
from napari_localdisc.io.labels import LabelMap, read_labels, write_labels

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

from tests.core.image.dicoms import PATIENT, dicom, film  # noqa: E402


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "scans" / "film.dcm"
    path.parent.mkdir()
    spacing = {"PixelSpacing": [0.2, 0.1], "WindowCenter": 2048, "WindowWidth": 4096}
    dicom(path, film(12), "MONOCHROME1", 12, **spacing)
    return path


@pytest.fixture
def labels(image):
    array = np.zeros((64, 72), np.uint8)
    array[10:30, 10:30], array[40:50, 40:60] = 2, 7
    names = {2: "lung", 7: "heart, left"}
    return LabelMap(array, names=names, image="film.dcm", source=str(image))


def test_classes_become_segments_and_come_back(labels, tmp_path):
    path = tmp_path / "film.seg.dcm"
    assert write_labels(path, labels) == [path]
    whole = pydicom.dcmread(path)
    assert str(whole.PatientName) == PATIENT
    assert whole.StudyInstanceUID == pydicom.dcmread(labels.source).StudyInstanceUID
    assert [s.SegmentLabel for s in whole.SegmentSequence] == ["lung", "heart, left"]
    (found,) = read_labels(path)
    np.testing.assert_array_equal(found.labels, labels.labels)
    assert found.names == labels.names
    assert found.placement["scale"] == [0.2, 0.1]


def test_labels_of_other_images_get_a_sentence(labels, tmp_path):
    for source in ("", str(tmp_path / "eye.png")):
        other = LabelMap(labels.labels, image="eye.png", source=source)
        with pytest.raises(FileError, match=r"came from DICOM.*eye\.png"):
            write_labels(tmp_path / "a.seg.dcm", other)
    small = LabelMap(np.eye(5, dtype=np.uint8), source=labels.source)
    with pytest.raises(FileError, match="5×5 pixels"):
        write_labels(tmp_path / "a.seg.dcm", small)
    assert not (tmp_path / "a.seg.dcm").exists()


def test_without_highdicom_a_sentence(labels, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(FileError, match=r"napari-localdisc\[dicom\]"):
        write_labels(tmp_path / "a.seg.dcm", labels)


def holds_patient(folder):
    """Files that say the patient's name, in whichever spelling, but the SEG."""
    names = [PATIENT.encode(), b"Malade", b"MI-1673", "Malade".encode("utf-16-le")]
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(name in path.read_bytes() for name in names)
    ]


def test_a_folder_of_dicom_from_the_command_line(image, models, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "cache"))

    def localdisc(*given):
        return CliRunner().invoke(build_app(), [str(part) for part in given])

    out = tmp_path / "out"
    given = (image.parent, "-o", out, "-m", "tiny", "--structure", "vessel", "--json")
    made = localdisc("segment", *given)
    assert made.exit_code == 0, made.stderr
    (found,) = read_labels(out / "film_vessel.tif")
    assert found.placement["scale"] == [0.2, 0.1]
    given = ("similar", image, "--at", "20,20", "-o", out / "s.tif", "-m", "tiny")
    said = localdisc(*given)
    assert said.exit_code == 0, said.stderr
    refused = localdisc("export", out / "film_vessel.tif", "-o", out, "--format", "png")
    assert refused.exit_code == 0, refused.stderr
    assert holds_patient(tmp_path) == ["film.dcm"]
    texts = made.stdout + made.stderr + said.stdout + said.stderr
    assert "Malade" not in texts
    given = ("export", out / "film_vessel.tif", "-o", tmp_path / "seg")
    lost = localdisc(*given, "--format", "dicom-seg")
    assert lost.exit_code == 1
    assert "came from DICOM" in lost.stderr
    seg = localdisc(*given, "--format", "dicom-seg", "--images", image.parent)
    assert seg.exit_code == 0, seg.stderr
    assert holds_patient(tmp_path) == ["film.dcm", "film_vessel.seg.dcm"]
    # Which is no image, wherever it lies
    (tmp_path / "seg" / "film_vessel.seg.dcm").rename(image.with_name("film.seg.dcm"))
    again = localdisc("cluster", image.parent, "-o", out, "-m", "tiny", "--json")
    assert [row["image"] for row in json.loads(again.stdout)] == [str(image)]


def test_in_napari_with_scale_session_and_export(image, models, tmp_path):
    from napari_localdisc.layers.files import label_map_of
    from napari_localdisc.viewer.controller import Controller
    from napari_localdisc.viewer.session.session import Sessions

    PluginManager.instance().discover()
    viewer = ViewerModel()
    (layer,) = viewer.open(image, plugin="napari-localdisc")
    np.testing.assert_array_equal(layer.scale, (0.2, 0.1))
    assert str(layer.units[0]) == "millimeter"
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.classes.add("lung")
    controller.prompts.add((20, 30))
    controller.prompts.add_mask()
    area = controller.class_areas.measured()[1]
    assert area.unit == "mm"
    assert area.area == pytest.approx(area.pixels * 0.02)
    Sessions(controller).save(tmp_path / "a.localdisc")
    other = Controller(ViewerModel())
    Sessions(other).open(tmp_path / "a.localdisc")
    for each in (controller, other):
        data, attributes, _ = each.labels_layer.as_layer_data_tuple()
        path = tmp_path / "film.seg.dcm"
        write_labels(path, label_map_of(data, attributes))
        (found,) = read_labels(path)
        np.testing.assert_array_equal(found.labels, data)
        assert found.names == {1: "lung"}
        path.unlink()
        each.close()
    assert holds_patient(tmp_path) == ["film.dcm"]


def test_importing_the_package_imports_no_pydicom():
    code = (
        "import sys, napari_localdisc.core.image.files; print('pydicom' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("by", ["labels", "model"])
def test_measures_have_the_file_s_unit(models, tmp_path, by):
    import csv

    image = tmp_path / "scans" / "film.dcm"
    image.parent.mkdir()
    dicom(image, film(12, (160, 180)), "MONOCHROME2", 12, PixelSpacing=[0.2, 0.2])
    table = tmp_path / "table.csv"
    given = [
        "measure",
        image.parent,
        "-o",
        table,
        "--model",
        "tiny",
        "--kind",
        "fundus",
    ]
    if by == "labels":
        array = np.zeros((160, 180), np.uint8)
        array[20:60, 30:80] = 1
        labels = tmp_path / "labels" / "film_haemorrhage.tif"
        labels.parent.mkdir()
        placement = {"scale": [0.2, 0.2], "units": ["millimeter"] * 2}
        names = {1: "haemorrhage"}
        write_labels(labels, LabelMap(array, names=names, placement=placement))
        given = ["measure", labels, "-o", table]
    made = CliRunner().invoke(build_app(), [str(part) for part in given])
    assert made.exit_code == 0, made.stderr
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    units = {row["unit"] for row in rows}
    assert any(unit.startswith("mm") for unit in units), units


def test_a_segmentation_of_another_program_is_not_replaced(labels, tmp_path):
    path = tmp_path / "film.seg.dcm"
    write_labels(path, labels)
    write_labels(path, labels)
    whole = pydicom.dcmread(path)
    whole.Manufacturer = "somebody else"
    whole.save_as(path)
    before = path.read_bytes()
    with pytest.raises(FileError):
        write_labels(path, labels)
    assert path.read_bytes() == before
