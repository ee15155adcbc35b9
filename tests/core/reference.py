"""The two references that network and losses are held against."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve()
PAPER_CODE = Path(
    os.environ.get(
        "LOCALDISC_PAPER_REFERENCE",
        HERE.parents[3] / "shared" / "data" / "reference" / "paper_code.npz",
    )
)
RANDOM = HERE.parents[1] / "data" / "random_reference.npz"


def paper_code() -> dict[str, np.ndarray]:
    """Inputs and outputs of the paper's released code, or skip the test."""
    if not PAPER_CODE.is_file():
        pytest.skip(
            f"the released code's figures are not at {PAPER_CODE}; set "
            "LOCALDISC_PAPER_REFERENCE to the file"
        )
    with np.load(PAPER_CODE) as file:
        return dict(file)


def random_reference() -> dict[str, np.ndarray]:
    """Our own committed figures."""
    with np.load(RANDOM) as file:
        return dict(file)
