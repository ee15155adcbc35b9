"""Files in and out; knows neither napari nor Qt."""
