"""Set this checkout up on a bare machine, then open the demo or run the tests.

    python3 scripts/bootstrap.py demo [--screenshot FILE]
    python3 scripts/bootstrap.py test [PYTEST ARGUMENT ...]
    python3 scripts/bootstrap.py docs

It needs Python alone. Everything goes into a virtual environment, `.venv` in this
checkout, which is used again until the requirements change. System libraries that are
missing are installed where this runs as root on Debian, and named anywhere else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)

if sys.version_info < OLDEST_PYTHON:
    sys.exit("napari-localdisc needs Python 3.11 or newer: start this with python3.11")
# The package's own modules that need the standard library alone.
sys.path.insert(0, str(ROOT / "src"))

import debian  # noqa: E402
import environment  # noqa: E402
from napari_localdisc.cli.screen import has_screen  # noqa: E402
from napari_localdisc.core.errors import LocalDiscError  # noqa: E402

STYLE_CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)
DOCS = ("sphinx-build", "-q", "-W", "--keep-going", "docs", "build/docs")
"""Also runs the notebooks; a warning is an error."""

SIDE_BY_SIDE = (
    *("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile"),
    *("--max-worker-restart", "0"),
)
"""How all tests are run; a process needs up to 2 GB."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Set this checkout up, then open the demo or run the tests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="open napari with the sample image, clustered"
    )
    demo.add_argument(
        "--screenshot",
        metavar="FILE",
        type=Path,
        help="write a picture of the window instead; needs no screen",
    )
    commands.add_parser(
        "test",
        help="style, types and tests; with pytest arguments, those tests alone",
        prefix_chars="\0",  # what follows is pytest's, options too
    ).add_argument("pytest_arguments", nargs="*", metavar="PYTEST_ARGUMENT")
    commands.add_parser("docs", help="build the documentation: build/docs/index.html")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "demo":
            return run_demo(chosen.screenshot)
        if chosen.command == "docs":
            return run([DOCS])
        return run_tests(chosen.pytest_arguments)
    except LocalDiscError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run_demo(screenshot: Path | None) -> int:
    """Open the demo, or write its picture to a file."""
    if screenshot is None and not has_screen():
        raise LocalDiscError(
            "There is no screen to open a window on; for a picture of it use: "
            "python3 scripts/bootstrap.py demo --screenshot demo.png"
        )
    ensure_libraries(virtual_screen=screenshot is not None)
    python = environment.prepare(ROOT, extra="pyqt6")
    command = [str(python), "-m", "napari_localdisc", "demo"]
    if screenshot is not None:
        command += ["--screenshot", str(screenshot)]
    return subprocess.run(command, check=False).returncode


def run_tests(pytest_arguments: list[str]) -> int:
    """Run checks, documentation and tests; with arguments, those tests alone."""
    if pytest_arguments:
        return run([("pytest", *pytest_arguments)])
    return run([*STYLE_CHECKS, DOCS, ("pytest", *SIDE_BY_SIDE)])


def run(commands: list[tuple[str, ...]]) -> int:
    """Run commands of the environment, all of them in any case."""
    ensure_libraries(virtual_screen=True)
    python = environment.prepare(ROOT, extra="dev")
    environ = {**os.environ, "QT_API": "pyqt6"}
    environ.pop("QT_QPA_PLATFORM", None)  # "offscreen" draws nothing
    failed = []
    for command in commands:
        say(" ".join(command))
        done = subprocess.run(
            [str(python.with_name(command[0])), *command[1:]],
            cwd=ROOT,
            env=environ,
            check=False,
        )
        if done.returncode:
            failed.append(" ".join(command[:2]))
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def ensure_libraries(*, virtual_screen: bool) -> None:
    """Install the system libraries that are missing, or name them."""
    packages = debian.missing_packages(virtual_screen=virtual_screen)
    if packages:
        debian.install(packages)


def say(message: str) -> None:
    """Print a line that shows what begins now."""
    print(f"== {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
