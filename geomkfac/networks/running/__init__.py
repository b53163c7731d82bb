"""Sums over data: what one is, and how it is run: in chunks, within a limit on memory, by workers, saved on the way."""
