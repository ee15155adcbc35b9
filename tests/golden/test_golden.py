"""What the package gave, it gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.golden import results
from tests.golden.comparing import Results, Tolerance, differences, load, thinned

LAST_BITS = Tolerance(labels=0.999, mean=1e-6, largest=2e-4, numbers=1e-4)
"""Sums in another order, as other processors do them: 1e-5 at most but for what a
solver that stops early has learned, and there 3e-5, at a pixel or two."""
PRECISION = Tolerance(labels=0.99, mean=0.003, largest=0.05, numbers=0.05)
"""What bfloat16 and float32 may differ by: three times what they do."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with results.one_thread():
        yield


def committed(name: str, work: str) -> Results:
    every = load(results.FILES, name)
    start = f"{work}/"
    found = {k.removeprefix(start): v for k, v in every.items() if k.startswith(start)}
    assert found
    return found


def as_committed(found: Results) -> Results:
    return {
        key: thinned(value) if isinstance(value, np.ndarray) else results.plain(value)
        for key, value in found.items()
    }


def changes(work: str, found: Results, name: str, tolerance: Tolerance) -> list[str]:
    return differences(committed(name, work), as_committed(found), tolerance)


@pytest.mark.usefixtures("cache_on_disk")
@pytest.mark.parametrize("work", results.EXACT)
def test_what_follows_from_an_embedding(work: str, tmp_path: Path):
    found = results.computed(results.EXACT[work], tmp_path / "work")
    assert changes(work, found, "exact", LAST_BITS) == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_the_network_sees(precision: str, tmp_path: Path):
    found = results.network(tmp_path, precision)
    assert changes("network", found, "network", PRECISION) == []


@pytest.mark.usefixtures("cache_on_disk")
def test_what_the_command_line_makes(tmp_path: Path):
    found = results.computed(results.commands, tmp_path / "work")
    assert changes("commands", found, "network", PRECISION) == []


def test_a_training_goes_on_from_a_checkpoint(tmp_path: Path):
    found = results.training(tmp_path)
    assert changes("training", found, "network", PRECISION) == []
    assert found["steps"] == 4


@pytest.mark.usefixtures("cache_on_disk")
def test_the_script_gives_the_labels(tmp_path: Path):
    found = results.computed(results.script_run, tmp_path / "work")
    np.testing.assert_array_equal(found["script"], found["viewer"])
    assert len(np.unique(found["script"])) > 2


def test_another_result_is_seen():
    kept = committed("exact", "asking")
    key = "eye/clusters 5"
    other = {**kept, key: np.roll(kept[key], 1, axis=0)}
    (said,) = differences(kept, other, LAST_BITS)
    assert said.startswith(key)
