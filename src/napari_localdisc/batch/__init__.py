"""Folders of images: what is made of each, and who does the work."""
