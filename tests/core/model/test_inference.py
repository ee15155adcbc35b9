"""The network made fast gives what the network gives."""

import pytest
import torch
import torch.nn.functional as F

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.model.inference import (
    FastNetwork,
    choose_precision,
    fold_batch_norm,
    write_probabilities,
    write_unit_vectors,
)
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.network import cluster_probability

CPU = torch.device("cpu")


@pytest.fixture
def network():
    """A network whose batch norms have statistics of their own."""
    network = Model.random(seed=3).network
    generator = torch.Generator().manual_seed(3)
    for name, buffer in network.named_buffers():
        if buffer.ndim:
            low = 0.5 if name.endswith("var") else -0.2
            buffer.uniform_(low, low + 0.5, generator=generator)
    return network


@pytest.fixture
def image():
    return torch.randn(1, 6, 64, 80, generator=torch.Generator().manual_seed(0))


def test_folding_keeps_the_outputs_and_the_network(network, image):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_batch_norm(network)
    assert not any("BatchNorm" in type(m).__name__ for m in folded.modules())
    for got, expected in zip(folded.raw(image), network.raw(image), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_weights_are_prepared_once_and_again_when_they_change(network, image):
    first = FastNetwork(network, "float32")
    assert FastNetwork(network, "float32").network is first.network
    assert FastNetwork(network, "bfloat16").network is not first.network
    with torch.no_grad():
        network.embedding_branch[1].bias.add_(1)
    got = FastNetwork(network, "float32")(image)
    for part, expected in zip(got, network.raw(image), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


def test_float32_results_are_the_networks(network, image):
    got = FastNetwork(network, "float32")(image)
    for part, expected in zip(got, network.raw(image), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_results_are_close(network, image):
    fast = FastNetwork(network, "bfloat16")
    assert fast.dtype is torch.bfloat16
    vectors, logits = fast(image)
    cosine = F.cosine_similarity(vectors.float(), network.raw(image)[0])
    assert cosine.min() > 0.99
    expected = cluster_probability(network.raw(image)[1])
    assert (cluster_probability(logits) - expected).abs().max() < 0.01


@pytest.mark.parametrize("has_instructions", [True, False])
def test_precision_follows_the_processor(monkeypatch, has_instructions):
    for query in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, query, lambda: has_instructions, raising=False)
    expected = torch.bfloat16 if has_instructions else torch.float32
    assert choose_precision(CPU) is expected
    assert choose_precision(CPU, "float32") is torch.float32
    assert choose_precision(CPU, "bfloat16") is torch.bfloat16


def test_unknown_settings_are_refused(network):
    with pytest.raises(LocalDiscError, match="float16"):
        choose_precision(CPU, "float16")
    with pytest.raises(LocalDiscError, match="flips must be 1, 2 or 4"):
        FastNetwork(network, flips=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_are_written_normalised(dtype):
    raw = torch.randn(5, 300, 70).to(dtype)
    raw[:, 2, 3] = 0
    before = raw.clone()
    vectors, probability = torch.empty(5, 300, 70), torch.empty(5, 300, 70)
    write_unit_vectors(raw, vectors)
    write_probabilities(raw, probability)
    torch.testing.assert_close(vectors, F.normalize(raw.float(), dim=0))
    torch.testing.assert_close(probability, cluster_probability(raw[None])[0])
    assert torch.equal(raw, before)


def test_mirrored_copies_are_averaged(network, image):
    fast = FastNetwork(network, "float32", flips=2)
    vectors, probability = torch.empty(32, 60, 70), torch.empty(16, 60, 70)
    maps = vectors, probability, torch.empty(0, 60, 70)
    fast.fill(image, (slice(0, 64), slice(0, 80)), maps)
    plain, mirrored = network(image), network(image.flip(3))
    mean = plain[0] + mirrored[0].flip(3)
    torch.testing.assert_close(
        vectors, F.normalize(mean, dim=1)[0, :, :60, :70], rtol=1e-4, atol=1e-5
    )
    mean = (plain[1] + mirrored[1].flip(3)) / 2
    torch.testing.assert_close(probability, mean[0, :, :60, :70], rtol=1e-4, atol=1e-5)
