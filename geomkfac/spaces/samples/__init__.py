"""Data: weighted batches of points with targets, in memory or in files, taken piece by piece."""
