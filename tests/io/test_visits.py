"""Patient, eye and visit from names of files."""

import time

import pytest

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.visits import origin_of


@pytest.mark.parametrize(
    ("name", "patient", "eye", "visit"),
    [
        ("IDRiD_01", "IDRiD_01", "", ""),
        ("21_training", "21_training", "", ""),
        ("P017_OD_visit_2", "P017", "right", "visit 2"),
        ("P017-os-V02", "P017", "left", "visit 2"),
        ("smith left m06", "smith", "left", "month 6"),
        ("0042_R_baseline", "0042", "right", "baseline"),
        ("0042_L_20240531", "0042", "left", "2024-05-31"),
        ("0042_2024-05-31_le", "0042", "left", "2024-05-31"),
        ("week12.re.a7", "a7", "right", "week 12"),
        ("20249931_x", "20249931_x", "", ""),
    ],
)
def test_usual_names(name, patient, eye, visit):
    assert origin_of(name) == (patient, eye, visit)


def test_a_pattern_of_ones_own():
    pattern = r"(?P<visit>\d)x(?P<patient>[a-z]+)(?P<eye>OS|OD)"
    assert origin_of("3xannaOS", pattern) == ("anna", "left", "3")
    assert origin_of("something else", pattern) == ("", "", "")


def test_names_that_are_no_unicode():
    assert origin_of("é\udc801x", r"(?P<patient>\pL+).(?P<visit>\d)") == ("é", "", "1")


@pytest.mark.parametrize("pattern", ["(", "[a-z]+", "(?P<name>.*)"])
def test_a_pattern_that_says_nothing(pattern):
    with pytest.raises(FileError):
        origin_of("a", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<patient>(a|aa)+)$",
        r"(?P<patient>(a+)+)b",
        "(?P<visit>" + "(?:a?)" * 100 + "a" * 100 + ")b",
    ],
)
def test_no_pattern_tries_for_ever(pattern):
    """As a stranger's study may bring it; Python's own engine takes years."""
    began = time.process_time()
    assert origin_of("a" * 200 + "!", pattern) == ("", "", "")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "pattern", ["(?P<eye>(a{999}){999})", "(?P<eye>a)(?=b)", r"(?P<eye>a)\1"]
)
def test_patterns_that_would_take_much_are_refused(pattern):
    with pytest.raises(FileError, match="no regular expression"):
        origin_of("a", pattern)
