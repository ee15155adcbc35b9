"""The demo: what it refuses, and the picture it draws."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from napari_localdisc.cli.app import build_app


def run(*arguments: object) -> Result:
    given = ["demo", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(build_app(), given)


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start a shell script in the place of Python."""

    def written(*lines: str) -> None:
        file = tmp_path / "python"
        file.write_text("\n".join(["#!/bin/sh", *lines]))
        file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(file))

    return written


on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="about X screens"
)


@on_linux
def test_no_screen_points_to_the_picture(no_screen):
    result = run()
    assert result.exit_code == 1
    assert "no screen" in result.stderr
    assert "--screenshot demo.png" in result.stderr


@on_linux
def test_no_virtual_screen_names_what_to_install(no_screen, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    result = run("--screenshot", tmp_path / "demo.png")
    assert result.exit_code == 1
    assert "apt-get install xvfb xauth" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["napari", "qt"])
def test_missing_qt_is_named(monkeypatch: pytest.MonkeyPatch, missing):
    known = importlib.util.find_spec
    hidden = {"napari": ("napari",)}.get(missing, ("PyQt", "PySide"))
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name.startswith(hidden) else known(name),
    )
    result = run()
    assert result.exit_code == 1
    assert "napari-localdisc[all]" in result.stderr


def test_unwritable_pictures_are_refused_at_once(tmp_path: Path, python):
    python(f"touch {tmp_path}/started")
    (tmp_path / "folder.png").mkdir()
    for name, said in (
        ("demo.docx", "demo.docx is no picture"),
        ("folder.png", "folder.png is a folder"),
        ("nowhere/demo.png", "there is no folder"),
    ):
        result = run("--screenshot", tmp_path / name)
        assert result.exit_code == 1
        assert said in result.stderr
    assert not (tmp_path / "started").exists()


@on_linux
def test_picture_shows_the_photograph_and_its_structures(no_screen, tmp_path: Path):
    """The whole path, in the process and on the screen that the command uses."""
    target = tmp_path / "demo.png"
    result = run("--screenshot", target)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{target}\n"
    picture = np.asarray(Image.open(target).convert("RGB"))
    assert picture.shape == (900, 1600, 3)
    left, right = picture[200:700, 340:800], picture[200:700, 800:1260]
    red = (left[..., 0] > 150) & (left[..., 2] < 120)
    assert red.mean() > 0.3  # the photograph
    colours, count = np.unique(right.reshape(-1, 3), axis=0, return_counts=True)
    shown = colours[count > 1000]
    assert len(shown) >= 4  # flat colours on black
    assert [path.name for path in tmp_path.iterdir()] == ["demo.png"]


@on_linux
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("echo a warning >&2", "echo no luck >&2", "exit 1"), "no luck"),
        (("echo no >&2", "echo luck >&2", "exit 134"), "no luck"),
        (("exit 3",), "napari ended with status 3"),
    ],
)
def test_failure_of_the_drawing_process_is_told(tmp_path: Path, python, lines, said):
    python(*lines)
    result = run("--screenshot", tmp_path / "demo.png")
    assert result.exit_code == 1
    assert result.stderr == f"error: {said}\n"
    assert not (tmp_path / "demo.png").exists()


@on_linux
def test_the_window_is_a_process_whose_end_is_awaited(tmp_path: Path, python):
    python(f'echo "$@" > {tmp_path}/asked', "exit 3")
    result = run()
    assert (tmp_path / "asked").read_text() == "-m napari_localdisc._qt.demo\n"
    assert result.exit_code == 3
