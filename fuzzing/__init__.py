"""Damaged files, killed runs and random actions: what must not lose or break anything.

``python -m fuzzing readers`` hands damaged files to every reader, ``killed`` kills long
work at random moments, ``viewer`` does random things in a real viewer.  What the last
runs found is in ``docs/reliability.md``.
"""
