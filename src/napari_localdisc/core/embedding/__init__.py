"""From an image to its embedding, and everything that is asked of it.

``embed`` makes an `Embedding` (``embedding``), or its `ClusterMaps` (``clusters``)
alone.  What ``prompts`` ask is read in four steps: ``similarity`` to their vectors,
their ``meaning``, the map and its ``correction``, the outlines of ``masks``.
``large`` labels images that do not fit in memory.
"""
