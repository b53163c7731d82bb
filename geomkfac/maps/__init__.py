"""Maps between spaces: linear, affine, smooth; activations; and maps of which nothing is known."""

from __future__ import annotations

from geomkfac.maps.activation import (
    ACTIVATIONS,
    Activation,
    Identity,
    Logistic,
    Polynomial,
    Relu,
    Softplus,
    Tanh,
    activation,
    identity,
    logistic,
    polynomial,
    relu,
    softplus,
    tanh,
)
from geomkfac.maps.affine import AffineMap, AffineMaps, Evaluation
from geomkfac.maps.coordinatewise import CoordinatewiseMap
from geomkfac.maps.generic import GenericMap
from geomkfac.maps.linear import LinearMap
from geomkfac.maps.smooth import Composition, Derivative, HomDerivative, SmoothMap

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "SmoothMap",
    "Derivative",
    "Composition",
    "LinearMap",
    "HomDerivative",
    "AffineMaps",
    "AffineMap",
    "Evaluation",
    "CoordinatewiseMap",
    "GenericMap",
    "Activation",
    "activation",
    "ACTIVATIONS",
    "identity",
    "tanh",
    "logistic",
    "relu",
    "softplus",
    "polynomial",
    "Identity",
    "Tanh",
    "Logistic",
    "Relu",
    "Softplus",
    "Polynomial",
]
