"""K-FAC as the papers print it, in arrays: matrices, homogeneous coordinates, sums over places; no geometry."""
