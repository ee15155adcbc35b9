"""Fixtures that stack: model → viewer → image → controller."""

import gc
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import settings

# Continuous integration tries the same examples each time; developers try new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

TINY = "tiny"


@pytest.fixture(scope="module", autouse=True)
def libraries_are_no_garbage() -> None:
    """Spare collections a look at what libraries, loaded by now, keep for good.

    napari's viewer fixture collects several times a test, a third of a second each.
    """
    gc.collect()
    gc.freeze()


class NetworkForbidden(OSError):
    """A test wanted to talk to another machine."""


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let tests talk to this machine alone: nothing of ours asks for the network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _at_home(getattr(socket.socket, name)))
        yield


def _at_home(method: Callable[..., Any]) -> Callable[..., Any]:
    def checked(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host not in ("localhost", "::1") and not host.startswith("127."):
                raise NetworkForbidden(f"{host} is another machine")
        return method(self, *arguments)

    return checked


@pytest.fixture(autouse=True)
def no_cache_on_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep the user's files and preferences out of tests, also of their processes.

    A test of the cache switches it on: see ``cache_on_disk``.
    """
    from napari_localdisc.viewer import preferences

    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("LOCALDISC_CACHE", str(base / "cache"))
    monkeypatch.setenv("LOCALDISC_SESSIONS", str(base / "sessions"))
    off = Mock(enabled=False, clear=False, show=False)
    monkeypatch.setattr(preferences, "_page", lambda name="cache": off)


@pytest.fixture
def cache_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Switch the cache on, in a folder of the test's own."""
    from napari_localdisc.viewer import preferences

    folder = tmp_path / "embeddings"
    monkeypatch.setenv("LOCALDISC_CACHE", str(folder))
    monkeypatch.setattr(preferences, "_page", lambda name="cache": None)
    return folder


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small real network of random weights, for 144-pixel grids."""
    from napari_localdisc.core.model.model import Model, save_model

    folder = tmp_path_factory.mktemp("models")
    tiny = Model.random(
        name=TINY, working_diameter=144, width=4, structures={"vessel": 0}
    )
    save_model(tiny, folder / TINY)
    other = Model.random(seed=1, name="other", working_diameter=64, width=4, clusters=6)
    save_model(other, folder / "other")
    return folder


@pytest.fixture
def models(saved_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package find the saved models."""
    monkeypatch.setitem(os.environ, "LOCALDISC_MODELS", str(saved_models))
    return saved_models


@pytest.fixture
def picture() -> np.ndarray:
    """(48, 40, 3) float32 noise: no two pixels are alike, and all are bright."""
    noise = np.random.default_rng(0).random((48, 40, 3), dtype=np.float32)
    return noise * np.float32(0.7) + np.float32(0.2)


class SteppedRunner:
    """Runs work when a test says so, one step at a time."""

    def __init__(self) -> None:
        self.runs: list[tuple] = []

    def start(self, job) -> None:
        self.runs.append((job, job.work()))

    def step(self, run: int = -1) -> bool:
        """Do one step of a run; say whether there are more."""
        job, steps = self.runs[run]
        if job.cancelled:
            steps.close()
            return False
        try:
            progress = next(steps)
        except StopIteration as end:
            job.on_result(end.value)
            return False
        except Exception as error:
            job.on_error(error)
            return False
        job.on_progress(progress)
        return True

    def finish(self, run: int = -1) -> None:
        """Do all steps of a run."""
        while self.step(run):
            pass


@pytest.fixture
def stepped() -> SteppedRunner:
    """A runner whose work waits for the test."""
    return SteppedRunner()
