"""What is learned from a hand.

``classifier`` learns classes from labelled pixels, seen as ``features``; a ``concept``
is a classifier, prompts or a ``landmark`` as a small file, for other images.
"""
