"""Maps between spaces: linear, affine, smooth; activations; and maps of which nothing is known."""

from __future__ import annotations

from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.by_name import ACTIVATIONS, activation
from geomkfac.maps.activations.polynomials import Identity, Polynomial, identity, polynomial
from geomkfac.maps.activations.rectifiers import Elu, LeakyRelu, Relu, Softplus, elu, leaky_relu, relu, softplus
from geomkfac.maps.activations.self_gated import Gelu, GeluTanh, Mish, Silu, gelu, gelu_tanh, mish, silu
from geomkfac.maps.activations.sigmoids import Logistic, Softsign, Tanh, logistic, softsign, tanh
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
    "softsign",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
    "polynomial",
    "Identity",
    "Tanh",
    "Logistic",
    "Softsign",
    "Relu",
    "LeakyRelu",
    "Elu",
    "Softplus",
    "Silu",
    "Gelu",
    "GeluTanh",
    "Mish",
    "Polynomial",
]
