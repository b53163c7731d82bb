"""The version of the package: said here, and read by its metadata."""

__version__ = "0.1.0"
