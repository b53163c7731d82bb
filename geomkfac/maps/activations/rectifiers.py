"""Activations that let positive numbers through and bend at 0: ReLU, leaky ReLU, ELU, softplus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.counts import as_float
from geomkfac.errors import ValuesError
from geomkfac.maps.activations.activation import Activation, InPyTorch, decay
from geomkfac.maps.activations.by_name import registered, with_parameters
from geomkfac.maps.activations.sigmoids import logistic
from geomkfac.required import shown


@final
@dataclass(frozen=True, slots=True)
class Relu(Activation):
    """``phi(z) = max(z, 0)``; at the kink the derivative is taken as 0."""

    name: ClassVar[str] = "relu"
    formula: ClassVar[str] = "Piecewise((z, z > 0), (0, True))"
    smooth: ClassVar[bool] = False
    positively_homogeneous: ClassVar[bool] = True
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("ReLU", "relu")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("relu")
        zeros = ns.zeros(z.shape)
        return ordered.maximum(z, 0.0), ordered.where(z > 0, ns.ones(z.shape), zeros)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        """Zero: the second derivative away from the kink."""
        return ns.ordered("relu").zeros(z.shape)


@final
@dataclass(frozen=True, slots=True)
class LeakyRelu(Activation):
    """``phi(z) = z`` for z > 0, else ``slope z``; at the kink the derivative is taken as `slope`.

    Parameters
    ----------
    slope : finite number
    """

    slope: float = 0.01

    formula: ClassVar[str] = "Piecewise((z, z > 0), (slope*z, True))"
    smooth: ClassVar[bool] = False
    positively_homogeneous: ClassVar[bool] = True
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("LeakyReLU", "leaky_relu", {"slope": "negative_slope"})

    def __post_init__(self) -> None:
        _check("slope", "leaky_relu", self.slope)

    @property
    def name(self) -> str:
        """``leaky_relu``, with the slope in brackets where it is another than 0.01."""
        return "leaky_relu" if self.slope == 0.01 else f"leaky_relu({self.slope})"

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("leaky_relu")
        slope = ns.scalar(self.slope)
        return ordered.where(z > 0, z, z * slope), ordered.where(z > 0, ns.ones(z.shape), slope)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        """Zero: the second derivative away from the kink."""
        return ns.ordered("leaky_relu").zeros(z.shape)


@final
@dataclass(frozen=True, slots=True)
class Elu(Activation):
    """``phi(z) = z`` for z > 0, else ``alpha (exp(z) - 1)``; at 0 derivatives are those from below.

    Parameters
    ----------
    alpha : finite number; with 1 the derivative has no jump, and the second derivative has
    """

    alpha: float = 1.0

    formula: ClassVar[str] = "Piecewise((z, z > 0), (alpha*(exp(z) - 1), True))"
    smooth: ClassVar[bool] = False
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("ELU", "elu", {"alpha": "alpha"})

    def __post_init__(self) -> None:
        _check("alpha", "elu", self.alpha)

    @property
    def name(self) -> str:
        """``elu``, with alpha in brackets where it is another than 1."""
        return "elu" if self.alpha == 1 else f"elu({self.alpha})"

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("elu")
        alpha, below = ns.scalar(self.alpha), ordered.minimum(z, 0.0)
        value = ordered.where(z > 0, z, alpha * ordered.expm1(below))
        return value, ordered.where(z > 0, 1.0, alpha * ordered.exp(below))

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        ordered = ns.ordered("elu")
        below = ns.scalar(self.alpha) * ordered.exp(ordered.minimum(z, 0.0))
        return ordered.where(z > 0, 0.0, below)


@final
@dataclass(frozen=True, slots=True)
class Softplus(Activation):
    """``phi(z) = log(1 + exp(z))``, whose derivative is the logistic function."""

    name: ClassVar[str] = "softplus"
    formula: ClassVar[str] = "log(1 + exp(z))"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Softplus", "softplus")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("softplus")
        e = decay(ordered, z)
        r = 1 / (1 + e)
        return ordered.maximum(z, 0.0) + ordered.log1p(e), ordered.where(z < 0, e * r, r)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        return logistic.derivative(ns.ordered("softplus"), z)


def _check(what: str, name: str, value: object) -> None:
    """Refuse a parameter that is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(as_float(value)):
        raise ValuesError(
            f"the {what} of {name} must be a number.\n  required: a finite int or float\n"
            f"  came    : {shown(value)}\nPass it as {name}(0.1), or leave it out."
        )


relu = registered(Relu())


@with_parameters
def leaky_relu(slope: float = 0.01) -> LeakyRelu:
    """The activation ``phi(z) = z`` for z > 0, else ``slope z``.

    Examples
    --------
    >>> leaky_relu(0.2).name
    'leaky_relu(0.2)'
    """
    return LeakyRelu(slope)


@with_parameters
def elu(alpha: float = 1.0) -> Elu:
    """The activation ``phi(z) = z`` for z > 0, else ``alpha (exp(z) - 1)``.

    Examples
    --------
    >>> elu().name
    'elu'
    """
    return Elu(alpha)


registered(leaky_relu())
registered(elu())
softplus = registered(Softplus())
