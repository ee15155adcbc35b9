"""What is believed of photographs."""

from __future__ import annotations

import torch

from napari_localdisc.core.training.teacher import believed


def test_faint_parts_of_a_line_hang_together_with_certain_ones():
    probability = torch.full((1, 2, 40, 40), 0.01)
    probability[..., 20, 10:20] = 0.9
    probability[..., 20, 20:30] = 0.3
    probability[..., 19, 10:20] = 0.45
    probability[..., 21, 10:20] = 0.2
    probability[..., 30, 10:30] = 0.3
    inside = torch.ones(1, 1, 40, 40)
    masks, known = believed(probability, (True, False), inside)
    line, spot = masks[0]
    assert line[20, 10:20].all()
    assert line[20, 22:30].all()
    assert line.sum() == 18  # no wider, and nothing that hangs alone
    assert spot[20, 10:20].all()
    assert spot.sum() == 10
    # What is neither certain nor impossible counts nowhere
    assert not known[0, :, 30, 10:30].any()
    assert not known[0, 0, 19, 10:20].any()
    # But next to a line it is not as wide as it may be
    assert known[0, 0, 21, 10:20].all()
    assert not known[0, 1, 20, 20:30].any()
    assert known[0, :, :15].all()


def test_a_thin_line_is_as_wide_as_what_is_surer_still_and_a_wide_one_as_its_core():
    probability = torch.full((1, 1, 48, 60), 0.01)
    probability[..., 12, 10:50] = 0.9  # its middle, and two rows that might be it
    probability[..., [11, 13], 10:50] = 0.6
    probability[..., 28:36, 10:50] = 0.6
    probability[..., 31:33, 10:50] = 0.9
    masks, known = believed(probability, (True,), torch.ones(1, 1, 48, 60))
    line, sure = masks[0, 0], known[0, 0]
    assert line[12, 12:48].all()
    assert not line[[11, 13], 12:48].any()
    assert not sure[[11, 13], 12:48].any()
    assert line[28:36, 14:46].all()
    assert not line[[27, 36]].any()


def test_a_faint_stretch_is_believed_along_its_middle_alone():
    probability = torch.full((1, 1, 40, 60), 0.01)
    probability[..., 20, 10:20] = 0.9
    probability[..., 19:22, 20:50] = 0.3
    masks, known = believed(probability, (True,), torch.ones(1, 1, 40, 60))
    assert masks[0, 0, 20, 24:46].all()
    assert not masks[0, 0, [19, 21], 24:46].any()
    assert not known[0, 0, [19, 21], 24:46].any()


def test_nothing_is_believed_at_the_edge():
    inside = torch.ones(1, 1, 40, 40)
    inside[..., :10, :] = 0
    _, known = believed(torch.zeros(1, 1, 40, 40), (True,), inside)
    assert not known[..., :18, :].any()
    assert known[..., 18:, :].all()
