"""Test with the lowest and the newest versions of what the package needs.

    python3 scripts/matrix.py [ROW …] [--quick] [--folder FOLDER] [-- ARGUMENT …]

Each row has an environment of its own, made in FOLDER the first time. Rows are
`lowest-pyqt6`, `lowest-pyside6`, `newest-pyqt6` and `newest-pyside6`. Lowest are the
versions that `pyproject.toml` names; of torch the one in `requirements/constraints.txt`
is taken in every row, as one build is at hand. Newest are whatever pip finds.
`--quick` runs what depends on these most: the windows, napari's layers, files, and the
package as a whole. What follows `--` goes to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6!=6.12.0"}
"""Their requirements, as the extras have them."""
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
ROWS = [f"{versions}-{binding}" for versions in RESOLUTIONS for binding in BINDINGS]
WARNINGS = {
    "lowest": [
        *("-W", "default::DeprecationWarning"),
        *("-W", "default::FutureWarning"),
    ],
    "newest": [],
}
"""For pytest: old libraries use what newer ones under them warn of."""
SINGLE = "torch"
"""Of this one version is tested."""
EXTRAS = "cluster,coco,dicom,ome-zarr"
QUICK = (
    *("tests/_qt", "tests/layers", "tests/viewer/session", "tests/io"),
    *("tests/core/image", "tests/core/model"),
    *("tests/test_manifest.py", "tests/test_package.py"),
)
"""Tests of `--quick`."""


def testing_tools() -> list[str]:
    """Return what runs the tests: the requirements of `testing` without the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tools: list[str] = project["optional-dependencies"]["testing"]
    return [tool for tool in tools if not tool.startswith(project["name"])]


def single() -> str:
    """Return the requirement of what is tested in one version."""
    pinned = (ROOT / "requirements" / "constraints.txt").read_text("utf-8")
    return next(line for line in pinned.splitlines() if line.startswith(f"{SINGLE}=="))


def commands(row: str) -> list[list[str]]:
    """Return what to run with a new environment's Python, one after the other.

    The one version comes first, by pip, which knows where its build is.
    """
    versions, _, binding = row.partition("-")
    pip, uv = ["pip", "install", "-q"], ["uv", "pip", "install", "-q"]
    resolution = ["--resolution", RESOLUTIONS[versions]]
    return [
        [*pip, single(), "uv"],
        [*uv, *resolution, "-e", f"{ROOT}[{EXTRAS}]", single()],
        [*uv, *testing_tools(), BINDINGS[binding]],
    ]


def prepare(row: str, folder: Path) -> Path:
    """Make a row's environment, if it is not there; return its Python."""
    place = folder / row
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = place / "installed"
    if not done.exists():
        venv.create(place, with_pip=True, clear=True)
        env = os.environ | {"VIRTUAL_ENV": str(place)}
        for command in commands(row):
            subprocess.run([python, "-m", *command], check=True, env=env)
        done.touch()
    return python


def main() -> int:
    """Test each row; return 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help=", ".join(QUICK))
    parser.add_argument("--folder", type=Path, default=ROOT / ".tox" / "matrix")
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    arguments, tests = parser.parse_args(given[:at]), given[at + 1 :]
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    tests = [*(QUICK if arguments.quick else ()), *tests]
    failed = []
    for row in arguments.rows or ROWS:
        print(f"== {row}", flush=True)
        try:
            python = prepare(row, arguments.folder.resolve())
        except subprocess.CalledProcessError:
            failed.append(row)
            continue
        versions, _, binding = row.partition("-")
        api = os.environ | {"QT_API": binding, "PYTEST_QT_API": binding}
        command = [python, "-m", "pytest", *WARNINGS[versions], "-q", *tests]
        if subprocess.run(command, cwd=ROOT, env=api, check=False).returncode:
            failed.append(row)
    print(f"Failed: {', '.join(failed)}" if failed else "All rows passed.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
