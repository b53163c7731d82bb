"""Forms at a point: by a matrix, by covectors, as tensor products, as direct sums; perhaps degenerate."""
