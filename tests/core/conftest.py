"""Fixtures of several modules of core."""

import pytest


@pytest.fixture(scope="session")
def embedding():
    """Three kinds of tissue: background, a bar of kind 1 and two squares of kind 2."""
    from tests.core.tissue import make_embedding

    return make_embedding()
