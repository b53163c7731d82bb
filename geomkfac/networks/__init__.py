"""Abstract networks: spaces and activations, no weights."""

from __future__ import annotations

from geomkfac.networks.mlp import MLP
from geomkfac.networks.moments import KfacMoments, LayerMoments

__all__ = ["MLP", "KfacMoments", "LayerMoments"]
