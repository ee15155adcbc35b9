"""The network, and models on disk.

``network`` is the paper's, ``card`` what a user must know of a model (without torch),
``model`` loads and saves, ``inference`` makes the network fast, ``tiles`` runs it over
grids of any size.
"""
