"""Arrays in, arrays out: the method itself, without napari or Qt."""
