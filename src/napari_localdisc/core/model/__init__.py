"""The network, its card, its files, and how it is run over an image."""
