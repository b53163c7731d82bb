"""Factors of other K-FAC libraries: their conventions, and whether they transform as a metric must."""
