"""Dice, AUC, clicks needed and clusters found: what benchmarks and docs report."""
