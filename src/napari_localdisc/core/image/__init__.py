"""Any picture → RGB, field of view, working grid, network input.

``files`` reads, ``rgb`` scales values, ``field_of_view`` finds the subject, ``grid``
maps pixels to the working grid and back; ``working`` joins them for images in memory
and ``blocks`` for those that are read block by block.  ``contrast`` makes the
network's input, ``appearance`` a classifier's, ``background`` a photograph without
vessels.
"""
