"""What statements are about: random networks, textbook K-FAC in arrays, groups, invariance of an update."""
