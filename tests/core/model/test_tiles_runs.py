"""What happens when a device has too little memory for the tiles."""

import warnings

import numpy as np
import pytest
import torch

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.model import tiles as tile_runs
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.model.tiles import is_out_of_memory, plan_attempts

NO_ROOM = torch.OutOfMemoryError("CUDA out of memory.")


@pytest.fixture(scope="module")
def model():
    return Model.random(modality="frame", working_diameter=400, width=2)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 255, (400, 320, 3), np.uint8)


@pytest.fixture
def refuse(monkeypatch):
    """Make the network run out of memory for windows of more than some pixels."""
    raw = LocalDiscriminationNet.raw
    refused = []

    def limit(pixels, error=NO_ROOM):
        def limited(self, x, *args, **more):
            if x.shape[-1] * x.shape[-2] > pixels:
                refused.append(tuple(x.shape[-2:]))
                raise error
            return raw(self, x, *args, **more)

        monkeypatch.setattr(LocalDiscriminationNet, "raw", limited)
        return refused

    return limit


def test_smaller_tiles_give_the_same_embedding(model, image, refuse):
    whole = embed(image, model, precision="float32")
    refused = refuse(300 * 300)
    with pytest.warns(UserWarning, match="out of memory.*tiles of 272 pixels"):
        tiled = embed(image, model, tile_size=544, precision="float32")
    assert refused == [(400, 320)]
    np.testing.assert_allclose(tiled.vectors, whole.vectors, atol=2e-4)
    np.testing.assert_allclose(tiled.probability, whole.probability, atol=2e-4)


def test_the_processor_is_the_last_resort(model, image, refuse, monkeypatch):
    whole = embed(image, model, precision="float32")
    other = torch.device("cpu", 0)  # stands for a GPU: not equal to the model's device
    monkeypatch.setattr(
        tile_runs,
        "plan_attempts",
        lambda device, size: [(device, 300), (other, size)],
    )
    calls = []

    class Copying(tile_runs.FastNetwork):
        def __init__(self, network, *settings):
            calls.append(network is model.network)
            super().__init__(network, *settings)
            self.is_first = len(calls) == 1

        def fill(self, *arguments):
            if self.is_first:
                raise torch.OutOfMemoryError("no room")
            super().fill(*arguments)

    monkeypatch.setattr(tile_runs, "FastNetwork", Copying)
    with pytest.warns(UserWarning, match="on the processor"):
        result = embed(image, model, precision="float32")
    assert calls == [True, False]
    np.testing.assert_allclose(result.vectors, whole.vectors, atol=2e-4)


def test_too_little_memory_for_anything_is_one_sentence(model, image, refuse):
    refuse(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(LocalDiscError, match="not enough memory"):
            embed(image, model)


def test_other_errors_come_through(model, image, refuse):
    refuse(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        embed(image, model)


def test_attempts_halve_the_tiles_then_leave_the_device():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert plan_attempts(cpu, 1024) == [(cpu, 1024), (cpu, 512), (cpu, 272)]
    assert plan_attempts(gpu, 300) == [(gpu, 300), (gpu, 272), (cpu, 300), (cpu, 272)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("whatever"), True),
        (RuntimeError("MPS backend out of memory (allocated: 3 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate"), True),
        (RuntimeError("sizes must match"), False),
    ],
)
def test_devices_say_it_in_several_ways(error, expected):
    assert is_out_of_memory(error) is expected
