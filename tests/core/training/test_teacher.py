"""What is believed of photographs."""

from __future__ import annotations

import torch

from napari_localdisc.core.training.teacher import believed


def test_faint_parts_of_a_line_hang_together_with_certain_ones():
    probability = torch.full((1, 2, 40, 40), 0.01)
    probability[..., 20, 10:20] = 0.9
    probability[..., 20, 20:30] = 0.3
    probability[..., 19, 10:20] = 0.35
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


def test_nothing_is_believed_at_the_edge():
    inside = torch.ones(1, 1, 40, 40)
    inside[..., :10, :] = 0
    _, known = believed(torch.zeros(1, 1, 40, 40), (True,), inside)
    assert not known[..., :18, :].any()
    assert known[..., 18:, :].all()
