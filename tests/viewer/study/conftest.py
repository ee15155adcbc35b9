"""A study of three photographs of noise, and viewers that open it."""

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image

from napari_localdisc.io.study import About, Study
from napari_localdisc.viewer.study.control import StudyControl

SHAPE = (120, 130)
NAMES = ("p1_OD", "p1_OS", "p2_OD")


@pytest.fixture
def folder(tmp_path, models):
    """Three photographs of noise in a dark frame, and a study of them."""
    rng = np.random.default_rng(0)
    view = np.hypot(*(np.mgrid[: SHAPE[0], : SHAPE[1]] - 60)) < 56
    paths = [tmp_path / f"{name}.png" for name in NAMES]
    for path in paths:
        image = rng.integers(80, 200, (*SHAPE, 3)) * view[..., None]
        Image.fromarray(image.astype(np.uint8)).save(path)
    about = About(
        model="tiny",
        model_hash="0",
        kind="fundus",
        structures=("vessel", "drusen"),
    )
    Study.create(tmp_path, paths, about)
    return tmp_path


@pytest.fixture
def open_study(folder):
    """Open the study in a viewer of its own, as another program would."""
    made = []

    def opened(grader="anna", **how):
        control = StudyControl(ViewerModel(), **how)
        made.append(control)
        control.open(folder, grader)
        return control

    yield opened
    for control in made:
        control.close()
