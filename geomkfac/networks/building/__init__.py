"""What a network is built from: architectures in words and stages, arrays of weights, sequences of data."""
