"""Activations: scalar functions with derivatives that are stable at both ends, by families."""
