"""The package's version, which results say; it comes from git's tags."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("napari-localdisc")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0+unknown"
