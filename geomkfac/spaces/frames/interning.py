"""One lock for all that is made once: threads that ask for the same space or frame get the same object."""

from __future__ import annotations

from threading import RLock

MAKING = RLock()
"""Held while a space or frame is looked for a second time, and made.  The first look needs no lock."""
