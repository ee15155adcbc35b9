"""What a model trained before says of lesions, for a student to learn."""

import numpy as np
import pytest

from napari_localdisc.core.model.model import Model
from napari_localdisc.core.training.taught import Teacher, taught

SHAPE = (40, 50)


@pytest.mark.parametrize("kind", ["hard exudate", "haemorrhage"])
def test_sure_unknown_and_none(kind):
    probability = np.zeros(SHAPE, np.float32)
    probability[5:9, 5:9] = 0.9
    probability[20:24, 20:24] = 0.4
    said = taught(kind, np.zeros(SHAPE, np.uint8), probability)
    assert said.dtype == np.uint8
    assert (said[5:9, 5:9] == 255).all()
    assert (said[20:24, 20:24] == 127).all()
    assert said[4, 6] == 127  # beside what is sure nothing is said
    assert said[30, 30] == 0


def test_candidates_keep_what_may_be_a_haemorrhage_unknown():
    candidates = np.zeros(SHAPE, np.uint8)
    candidates[10:14, 10:14], candidates[20:24, 20:24] = 255, 127
    nothing = np.zeros(SHAPE, np.float32)
    said = taught("haemorrhage", candidates, nothing)
    assert (said[10:14, 10:14] == 127).all()
    assert (said[20:24, 20:24] == 127).all()
    assert not taught("hard exudate", candidates, nothing).any()


def test_a_teacher_looks_on_the_working_grid():
    known = {"vessel": 0, "hard exudate": 1, "microaneurysm": 2}
    model = Model.random(working_diameter=96, width=4, structures=known)
    rows, columns = np.mgrid[:150, :160]
    inside = np.hypot(rows - 75, columns - 80) < 70
    texture = np.random.default_rng(0).integers(60, 200, (150, 160, 3))
    image = np.where(inside[..., None], texture, 0).astype(np.uint8)
    said = Teacher(model).looks_at(image)
    assert list(said) == ["hard exudate", "microaneurysm"]
    for values in said.values():
        assert max(values.shape) == 96
        assert 0 <= values.min() <= values.max() <= 1
