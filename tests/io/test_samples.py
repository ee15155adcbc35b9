"""The sample image and its attribution come with the package."""

import numpy as np

from napari_localdisc.io.samples import open_retina, sample_path


def test_retina():
    ((data, options, kind),) = open_retina()
    assert kind == "image"
    assert options["name"] == "retina"
    assert data.shape == (1411, 1411, 3)
    assert data.dtype == np.uint8


def test_attribution_is_beside_it():
    text = sample_path().with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert sample_path().name in text
    assert "Mikael Häggström" in text
    assert "CC0" in text
