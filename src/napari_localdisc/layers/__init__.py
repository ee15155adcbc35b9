"""napari layers without a memory of their own: where they lie, how they look."""
