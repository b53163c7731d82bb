"""Activations that saturate on both sides: tanh, the logistic function, softsign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.maps.activations.activation import Activation, InPyTorch, decay
from geomkfac.maps.activations.by_name import registered


@final
@dataclass(frozen=True, slots=True)
class Tanh(Activation):
    """``phi(z) = tanh z``.

    `derivative` has full relative accuracy in the tails.  `value_and_derivative` takes ``1 - a²`` from
    the value ``a``, in a third of the time, with an *absolute* error of two units of rounding.
    """

    name: ClassVar[str] = "tanh"
    formula: ClassVar[str] = "tanh(z)"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Tanh", "tanh")

    def value(self, ns: Namespace, z: Array) -> Array:
        return ns.ordered("tanh").tanh(z)

    def derivative(self, ns: Namespace, z: Array) -> Array:
        e = decay(ns.ordered("tanh"), z * 2)
        r = 2 / (1 + e)
        return e * r * r

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        a = self.value(ns, z)
        slope = a * a
        slope *= -1
        slope += 1
        return a, slope

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        return -2 * self.value(ns, z) * self.derivative(ns, z)


@final
@dataclass(frozen=True, slots=True)
class Logistic(Activation):
    """``phi(z) = 1 / (1 + exp(-z))``."""

    name: ClassVar[str] = "logistic"
    formula: ClassVar[str] = "1/(1 + exp(-z))"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Sigmoid", "sigmoid")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("the logistic function")
        e = decay(ordered, z)
        r = 1 / (1 + e)
        return ordered.where(z < 0, e * r, r), e * r * r

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        # 1 - 2 phi = -tanh(z/2), without the cancellation at zero
        return -self.derivative(ns, z) * ns.ordered("the logistic function").tanh(z / 2)


@final
@dataclass(frozen=True, slots=True)
class Softsign(Activation):
    """``phi(z) = z / (1 + |z|)``; its second derivative jumps at 0, where it is taken as 0."""

    name: ClassVar[str] = "softsign"
    formula: ClassVar[str] = "z/(1 + Abs(z))"
    smooth: ClassVar[bool] = False
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Softsign", "softsign")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        total = 1 + ns.ordered("softsign").abs(z)
        r = 1 / total
        return z / total, r * r

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        ordered = ns.ordered("softsign")
        r = 1 / (1 + ordered.abs(z))
        return -2 * ordered.sign(z) * (r * r * r)


tanh = registered(Tanh())
logistic = registered(Logistic())
softsign = registered(Softsign())
