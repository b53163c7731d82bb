"""Formats of files of arrays, read so that nothing is believed which the file does not bear out."""

from __future__ import annotations

__all__: list[str] = []
