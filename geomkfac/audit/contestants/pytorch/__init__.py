"""Optimizers of PyTorch as contestants: how they are made, stepped, and looked at from outside."""
