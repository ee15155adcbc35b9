"""What is learned from a hand.

``classifier`` learns classes from labelled pixels, seen as ``features``; a ``concept``
is a classifier or prompts as a small file, for other images.
"""
