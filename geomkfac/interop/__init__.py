"""Files and data sets: arrays in and out."""

from __future__ import annotations

from geomkfac.interop.datasets import load_digits, load_digits_network
from geomkfac.interop.files import (
    read_arrays,
    read_data,
    read_network,
    write_arrays,
    write_data,
    write_network,
)

__all__ = [
    "load_digits",
    "load_digits_network",
    "read_arrays",
    "read_data",
    "read_network",
    "write_arrays",
    "write_data",
    "write_network",
]
