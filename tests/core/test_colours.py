"""Colours between text and numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_localdisc.core.colours import colour_rows, from_hex, to_hex

bytes_of_rgb = st.tuples(*[st.integers(0, 255)] * 3)


@given(bytes_of_rgb)
def test_there_and_back(rgb):
    text = "#" + bytes(rgb).hex()
    assert to_hex(from_hex(text)) == text
    assert to_hex(np.array([*from_hex(text.upper()), 0.5], np.float32)) == text


def test_values():
    assert from_hex("#ff0033") == (1, 0, 0.2)
    assert from_hex("#ff003380") == (1, 0, 0.2)
    assert to_hex((0, 0.5, 1)) == "#0080ff"


def test_rows_by_label():
    clear, white = (0, 0, 0, 0), (1, 1, 1, 1)
    rows = colour_rows({3: "#ff0033", 1: "#00ff00"})
    assert rows.tolist() == [
        list(row) for row in (clear, (0, 1, 0, 1), white, (1, 0, 0.2, 1))
    ]
    assert colour_rows({}).tolist() == [list(clear)]


@pytest.mark.parametrize("text", ["", "red", "ff0033", "#ff00", "#ff003g", "# f0033"])
def test_other_writings_are_refused(text):
    with pytest.raises(ValueError, match="#rrggbb"):
        from_hex(text)
