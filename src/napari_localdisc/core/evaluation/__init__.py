"""Dice, AUC, clicks needed and clusters found: what benchmarks and docs report."""

from __future__ import annotations

from .agreement import area_under_curve, dice, dice_by_threshold, pair_dice
from .clicks import Click, Segmenter, click_through, dice_after
from .evaluate import Case, evaluate, evaluate_case
from .measures import MEASURES, Measure
from .report import CaseResult, Failure, Report

__all__ = [
    "MEASURES",
    "Case",
    "CaseResult",
    "Click",
    "Failure",
    "Measure",
    "Report",
    "Segmenter",
    "area_under_curve",
    "click_through",
    "dice",
    "dice_after",
    "dice_by_threshold",
    "evaluate",
    "evaluate_case",
    "pair_dice",
]
