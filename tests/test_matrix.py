"""The command that tests with the lowest and the newest versions."""

import sys
import tomllib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
if not SCRIPTS.is_dir():
    pytest.skip("the scripts are in the repository only", allow_module_level=True)
sys.path.insert(0, str(SCRIPTS))

import matrix  # noqa: E402


def test_lowest_and_newest_versions_with_either_binding():
    lowest = matrix.commands("lowest-pyside6")
    assert "lowest-direct" in lowest[1]
    assert lowest[-1][-1].startswith("PySide6")
    assert not any("lowest-direct" in part for part in matrix.commands("newest-pyqt6"))
    for row in matrix.ROWS:
        first, package, tools = matrix.commands(row)
        assert matrix.single() in first
        assert matrix.single() in package  # and so is not replaced
        assert any(tool.startswith("pytest>=") for tool in tools)
        assert not any("napari-localdisc" in tool for tool in tools)


def test_bindings_are_those_that_the_extras_allow():
    project = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text("utf-8"))
    extra = project["project"]["optional-dependencies"]["pyside6"]
    assert any(asked.startswith(f"{matrix.BINDINGS['pyside6']};") for asked in extra)


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


def test_the_quick_part_is_there(monkeypatch):
    ran = []
    done = type("Done", (), {"returncode": 0})
    monkeypatch.setattr(
        matrix.subprocess, "run", lambda command, **how: ran.append(command) or done
    )
    monkeypatch.setattr(matrix, "prepare", lambda row, folder: Path("python"))
    monkeypatch.setattr(sys, "argv", ["matrix", "newest-pyqt6", "--quick", "--", "-x"])
    assert matrix.main() == 0
    assert ran[0][-len(matrix.QUICK) - 1 :] == [*matrix.QUICK, "-x"]
    assert all((SCRIPTS.parent / tests).exists() for tests in matrix.QUICK)


def test_the_workflow_tests_each_row():
    import yaml

    file = SCRIPTS.parent / ".github" / "workflows" / "tests.yml"
    job = yaml.safe_load(file.read_text("utf-8"))["jobs"]["dependencies"]
    assert job["strategy"]["matrix"]["row"] == matrix.ROWS
    assert "scripts/matrix.py ${{ matrix.row }}" in job["steps"][-1]["run"]
