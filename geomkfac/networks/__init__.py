"""Abstract networks: spaces and activations, no weights."""

from __future__ import annotations

from geomkfac.networks.assumptions import LayerAssumptions
from geomkfac.networks.building.architecture import AveragePooling, Convolution, Dense, MaxPooling, architecture
from geomkfac.networks.building.sequences import pad_sequences
from geomkfac.networks.convolution import ConvolutionalNetwork
from geomkfac.networks.mlp import MLP
from geomkfac.networks.moments.kfac_moments import KfacMoments, LayerMoments
from geomkfac.networks.network import Network
from geomkfac.networks.recurrent import RecurrentNetwork
from geomkfac.networks.running.progress import Progress
from geomkfac.networks.running.summing import Running, worker_processes

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "Network",
    "MLP",
    "ConvolutionalNetwork",
    "RecurrentNetwork",
    "Convolution",
    "Dense",
    "AveragePooling",
    "MaxPooling",
    "architecture",
    "pad_sequences",
    "LayerAssumptions",
    "KfacMoments",
    "LayerMoments",
    "Running",
    "Progress",
    "worker_processes",
]
