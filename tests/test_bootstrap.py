"""The set-up script: what it reuses, what it installs, what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_localdisc.core.errors import LocalDiscError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
if not SCRIPTS.is_dir():
    pytest.skip(
        "the set-up scripts are in the repository only", allow_module_level=True
    )
sys.path.insert(0, str(SCRIPTS))

import bootstrap  # noqa: E402
import debian  # noqa: E402
import environment  # noqa: E402
import torch_build  # noqa: E402


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    for name in environment.REQUIREMENTS:
        (tmp_path / name).write_text("one")
    return tmp_path


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the extras that pip is asked for, and install nothing."""
    asked: list[str] = []
    monkeypatch.setattr(
        environment, "_pip_install", lambda root, python, extra: asked.append(extra)
    )
    monkeypatch.setattr(environment, "create", lambda folder: folder.mkdir())
    monkeypatch.setattr(environment, "works", lambda python: python.parents[1].exists())
    return asked


def test_installs_once_for_each_extra(checkout: Path, installs: list[str]):
    for extra in ("pyqt6", "dev", "pyqt6", "dev"):
        environment.prepare(checkout, extra)
    assert installs == ["pyqt6", "dev"]


@pytest.mark.parametrize("name", environment.REQUIREMENTS)
def test_installs_again_when_requirements_change(
    checkout: Path, installs: list[str], name: str
):
    environment.prepare(checkout, "dev")
    (checkout / name).write_text("two")
    environment.prepare(checkout, "dev")
    assert installs == ["dev", "dev"]


def test_installs_again_after_a_failure(
    checkout: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise LocalDiscError("no net")

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_pip_install", fail)
        with pytest.raises(LocalDiscError, match="no net"):
            environment.prepare(checkout, "dev")
    environment.prepare(checkout, "dev")
    assert installs == ["dev"]


def test_broken_stamp_counts_as_none(checkout: Path, installs: list[str]):
    environment.prepare(checkout, "dev")
    (checkout / environment.FOLDER / environment.STAMP).write_text("{")
    environment.prepare(checkout, "dev")
    assert installs == ["dev", "dev"]


def test_environment_of_another_python_does_not_work(tmp_path: Path):
    python = tmp_path / "python"
    assert not environment.works(python)
    python.write_text("#!/bin/sh\necho 3 5\n")
    python.chmod(0o755)
    assert not environment.works(python)
    assert environment.works(Path(sys.executable))


def test_missing_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(debian.LIBRARIES, "libnone.so.9", "libnone9")
    monkeypatch.setattr(debian, "FONT_FOLDERS", (str(tmp_path),))
    expected = {"libnone9", "xvfb", "xauth", "fonts-dejavu-core"}
    assert expected <= set(debian.missing_packages(virtual_screen=True))
    assert "xvfb" not in debian.missing_packages(virtual_screen=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert debian.missing_packages(virtual_screen=True) == []


def test_packages_are_named_where_they_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalDiscError, match="apt-get install libone1 libtwo2"):
        debian.install(["libone1", "libtwo2"])


@pytest.mark.parametrize("works", [True, False])
def test_packages_are_installed_by_root(
    works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = tmp_path / "log"
    tool = tmp_path / "apt-get"
    tool.write_text(
        f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {log}\nexit {0 if works else 100}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if works:
        debian.install(["libone1"])
    else:
        with pytest.raises(LocalDiscError, match=r"could not install .* libone1"):
            debian.install(["libone1"])
    update, install = log.read_text().splitlines()
    assert update.startswith("noninteractive")
    assert update.endswith("update")
    assert install.endswith("install --yes --no-install-recommends libone1")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about X screens")
def test_demo_without_a_screen_says_what_to_do():
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DISPLAY", "WAYLAND_DISPLAY"}
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "bootstrap.py"), "demo"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no screen" in done.stderr
    assert "--screenshot demo.png" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_arguments_of_pytest_are_passed_on(monkeypatch: pytest.MonkeyPatch):
    seen: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "run_tests", lambda given: seen.append(given) or 0)
    assert bootstrap.main(["test"]) == 0
    assert bootstrap.main(["test", "-k", "package", "--lf", "tests/core"]) == 0
    assert seen == [[], ["-k", "package", "--lf", "tests/core"]]


def report(*packages: tuple[str, str]) -> bytes:
    """Say as pip does what it would install."""
    items = [
        {
            "metadata": {"name": name, "version": version},
            "download_info": {"url": Path(__file__).as_uri()},
        }
        for name, version in packages
    ]
    return json.dumps({"install": items}).encode()


@pytest.mark.parametrize(
    ("packages", "gpu", "said"),
    [
        ([("torch", "2.13.0+cpu"), ("sympy", "1.14")], False, False),
        ([("torch", "2.13.0"), ("nvidia-cudnn-cu13", "9.1")], False, True),
        ([("torch", "2.13.0"), ("nvidia-cudnn-cu13", "9.1")], True, False),
        ([], False, False),
    ],
)
def test_a_large_torch_without_a_gpu_is_said_before_it_is_fetched(
    packages, gpu, said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pip = tmp_path / "python"
    answer = tmp_path / "report"
    answer.write_bytes(report(*packages))
    pip.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 1\ncat {answer}\n')
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch_build, "has_gpu", lambda: gpu)
    warning = torch_build.warning(pip, tmp_path / "constraints.txt")
    assert bool(warning) == said
    if said:
        assert "GB" in warning
        assert "avoid" in warning
