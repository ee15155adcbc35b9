"""What a training says after each step; without torch, for those who only listen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What a training reports after each step.

    Attributes
    ----------
    step, steps : int
        Steps done and planned.
    share : float
        Progress in [0, 1], by steps or by time.
    seconds : float
        Time trained so far.
    losses : dict of str to float
        Each weighted term and ``total``.
    validation : dict of str to float, optional
        After a validation, what it measured.
    """

    step: int
    steps: int
    share: float
    seconds: float
    losses: dict[str, float]
    validation: dict[str, float] | None = None
