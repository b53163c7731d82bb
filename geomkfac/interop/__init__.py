"""Files and data sets: arrays in and out."""

from __future__ import annotations

from geomkfac.interop.conventions import channel_major, offset_major
from geomkfac.interop.datasets import load_digits, load_digits_network
from geomkfac.interop.files import (
    read_arrays,
    read_data,
    read_network,
    read_sequences,
    write_arrays,
    write_data,
    write_network,
)

__all__ = [
    "channel_major",
    "load_digits",
    "load_digits_network",
    "offset_major",
    "read_arrays",
    "read_data",
    "read_network",
    "read_sequences",
    "write_arrays",
    "write_data",
    "write_network",
]
