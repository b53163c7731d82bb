"""Random numbers that depend on a key and an index alone, and can be drawn again anywhere."""
