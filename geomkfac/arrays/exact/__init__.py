"""Arrays that this package computes with itself: GF(p), the rationals, symbols, and values with their degrees."""
