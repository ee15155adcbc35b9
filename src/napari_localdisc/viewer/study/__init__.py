"""A study worked through in one viewer: its images, and clicks that correct them."""
