"""What a hand did to an image, as values: neither napari nor Qt."""
