"""The package's version, which results say."""

__version__ = "0.1.0"
