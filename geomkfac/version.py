"""The version of the package: said here, and read by its metadata."""

__version__ = "0.2.0"
