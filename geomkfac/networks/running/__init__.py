"""How a sum over data is run: in chunks, within a limit on memory, by workers, saved on the way."""
