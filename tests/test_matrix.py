"""The command that tests with the lowest and the newest versions."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
if not SCRIPTS.is_dir():
    pytest.skip("the scripts are in the repository only", allow_module_level=True)
sys.path.insert(0, str(SCRIPTS))

import matrix  # noqa: E402


def test_lowest_are_the_versions_that_are_named():
    assert matrix.lowest(["dask[array]>=2024.8", "torch>=2.4", "zarr>=3", "other"]) == [
        "dask==2024.8",
        "zarr==3",
    ]


def test_every_row_has_one_torch():
    for row in matrix.ROWS:
        limits = matrix.constraints(row)
        assert [line for line in limits if line.startswith("torch")] == limits[:1]
        assert (len(limits) > 20) == row.startswith("lowest")


def test_a_row_that_fails_is_named(monkeypatch, tmp_path, capsys):
    ran = []

    def run(command, **how):
        ran.append((how["env"]["QT_API"], command[-1]))
        return type("Done", (), {"returncode": how["env"]["QT_API"] == "pyside6"})

    monkeypatch.setattr(matrix.subprocess, "run", run)
    monkeypatch.setattr(matrix, "prepare", lambda row, folder: Path("python"))
    rows = ["newest-pyqt6", "newest-pyside6"]
    monkeypatch.setattr(sys, "argv", ["matrix", *rows, "--", "tests/io"])
    assert matrix.main() == 1
    assert ran == [("pyqt6", "tests/io"), ("pyside6", "tests/io")]
    assert "Failed: newest-pyside6" in capsys.readouterr().out
