"""Memory kept for the next step and given back afterwards."""

import resource
import sys

import numpy as np
import pytest

from napari_localdisc.core.work import reused_memory

LARGE = 60_000_000


def faults_of_an_array() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = bytearray(LARGE)
    assert np.frombuffer(array, np.uint8)[-1] == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it does nothing")
def test_freed_memory_is_used_again_inside_and_given_back_outside():
    with reused_memory():
        faults_of_an_array()
        with reused_memory():
            pass
        again = faults_of_an_array()
    after = faults_of_an_array()
    assert again < 0.1 * after


def test_an_error_inside_comes_through():
    with pytest.raises(KeyError), reused_memory():
        raise KeyError
