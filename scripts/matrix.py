"""Test with the lowest and the newest versions of what the package needs.

    python3 scripts/matrix.py [ROW ...] [--folder FOLDER] [-- PYTEST ARGUMENT ...]

Each row has an environment of its own, made in FOLDER the first time. Rows are
`lowest-pyqt6`, `lowest-pyside6`, `newest-pyqt6` and `newest-pyside6`. Lowest are the
versions that `pyproject.toml` names; of torch the one in `requirements/constraints.txt`
is taken in every row, as one build is at hand. Newest are whatever pip finds.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6"}
ROWS = [f"{which}-{binding}" for which in ("lowest", "newest") for binding in BINDINGS]
SINGLE = "torch"
"""Of this one version is tested."""
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^]]*\])?>=(?P<version>[\w.]+)")


def lowest(requirements: Iterable[str]) -> list[str]:
    """Return constraints to the lowest versions that requirements allow."""
    found = (_REQUIREMENT.match(requirement) for requirement in requirements)
    return [
        f"{match['name']}=={match['version']}"
        for match in found
        if match and match["name"] != SINGLE
    ]


def constraints(row: str) -> list[str]:
    """Return the constraints of a row."""
    pinned = (ROOT / "requirements" / "constraints.txt").read_text("utf-8")
    single = [line for line in pinned.splitlines() if line.startswith(f"{SINGLE}==")]
    if row.startswith("newest"):
        return single
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [
        requirement
        for extra in ("cluster", "coco", "dicom", "ome-zarr")
        for requirement in extras[extra]
    ]
    return [*single, *lowest([*project["dependencies"], *named])]


def prepare(row: str, folder: Path) -> Path:
    """Make a row's environment, if it is not there; return its Python."""
    place = folder / row
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = place / "installed"
    if done.exists():
        return python
    venv.create(place, with_pip=True, clear=True)
    limits = place / "constraints.txt"
    limits.write_text("\n".join(constraints(row)) + "\n", "utf-8")
    binding = BINDINGS[row.partition("-")[2]]
    subprocess.run(
        [
            *(python, "-m", "pip", "install", "-q", "-c", limits),
            *("-e", f"{ROOT}[testing]", binding),
        ],
        check=True,
    )
    done.touch()
    return python


def main() -> int:
    """Test each row; return 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--folder", type=Path, default=ROOT / ".tox" / "matrix")
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    arguments, tests = parser.parse_args(given[:at]), given[at + 1 :]
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    failed = []
    for row in arguments.rows or ROWS:
        print(f"== {row}", flush=True)
        try:
            python = prepare(row, arguments.folder.resolve())
        except subprocess.CalledProcessError:
            failed.append(row)
            continue
        binding = row.partition("-")[2]
        api = os.environ | {"QT_API": binding, "PYTEST_QT_API": binding}
        command = [python, "-m", "pytest", *(tests or ["-q"])]
        if subprocess.run(command, cwd=ROOT, env=api, check=False).returncode:
            failed.append(row)
    print(f"Failed: {', '.join(failed)}" if failed else "All rows passed.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
