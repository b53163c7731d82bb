r"""Activations that multiply their argument with a distribution function: SiLU, GELU and Mish.

``phi(z) = z F(z)``.  Of SiLU and GELU F is symmetric, ``F(z) + F(-z) = 1``, so that all is known from the tail
F(-a), a = |z|::

    phi = max(z, 0) - a F(-a),      phi' = d for z < 0, else 1 - d, with d = F(-a) - a f(a),
    phi'' = 2 f(a) + a f'(a).

The tails underflow.  They are kept as ``root * (root * factor)`` with a root that does not, so that the last
product alone rounds.  Near a zero of a derivative, the error is relative to its two terms.

Of Mish F is not symmetric: 1 - F falls as ``exp(-2z)``, twice as fast as F on the other side.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.maps.activations.activation import Activation, InPyTorch
from geomkfac.maps.activations.by_name import registered


class SymmetricallyGated(Activation):
    """``phi(z) = z F(z)`` for a symmetric distribution function F."""

    __slots__ = ()

    far: ClassVar[float] = 40.0
    """Beyond it the tails underflow in every dtype; a is taken no larger, and nothing overflows."""

    @abstractmethod
    def _tail(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array, Array]:
        """``(root, F(-a) / root², f(a) / root²)`` for 0 <= a <= `far`."""

    @abstractmethod
    def _bend(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array]:
        """``(root, (2 f(a) + a f'(a)) / root²)`` for 0 <= a <= `far`."""

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered(self.name)
        a = ordered.minimum(ordered.abs(z), self.far)
        root, tail, density = self._tail(ordered, a)
        below = root * (root * (tail - a * density))
        value = ordered.maximum(z, 0.0) - root * (root * (tail * a))
        return value, ordered.where(z < 0, below, 1 - below)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        ordered = ns.ordered(self.name)
        root, factor = self._bend(ordered, ordered.minimum(ordered.abs(z), self.far))
        return root * (root * factor)


@final
@dataclass(frozen=True, slots=True)
class Silu(SymmetricallyGated):
    """``phi(z) = z / (1 + exp(-z))``, also called swish."""

    name: ClassVar[str] = "silu"
    formula: ClassVar[str] = "z/(1 + exp(-z))"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("SiLU", "silu")
    far: ClassVar[float] = 800.0

    def _tail(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array, Array]:
        root = ns.exp(a * -0.5)
        r = 1 / (1 + root * root)
        return root, r, r * r

    def _bend(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array]:
        root, _, density = self._tail(ns, a)
        return root, density * (2 - a * ns.tanh(a / 2))


@final
@dataclass(frozen=True, slots=True)
class Gelu(SymmetricallyGated):
    """``phi(z) = z P(Z <= z)``, Z standard normal.  Source: Hendrycks and Gimpel (2016)."""

    name: ClassVar[str] = "gelu"
    formula: ClassVar[str] = "z*erfc(-z/sqrt(2))/2"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("GELU", "gelu", settings={"approximate": "none"})

    def _tail(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array, Array]:
        density = ns.broadcast_to(ns.scalar(1 / math.sqrt(2 * math.pi)), tuple(a.shape))
        return _root_of_normal(ns, a), ns.erfcx(a * math.sqrt(0.5)) / 2, density

    def _bend(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array]:
        return _root_of_normal(ns, a), (2 - a * a) * (1 / math.sqrt(2 * math.pi))


@final
@dataclass(frozen=True, slots=True)
class GeluTanh(SymmetricallyGated):
    """``phi(z) = z (1 + tanh(w/2)) / 2`` with ``w = 2 sqrt(2/pi) (z + 0.044715 z³)``: an approximation of GELU.

    In the left tail the rounding of w shows: the relative error is some |w| epsilon.
    """

    name: ClassVar[str] = "gelu_tanh"
    formula: ClassVar[str] = "z*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3)))/2"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("GELU", "gelu", settings={"approximate": "tanh"})

    def _tail(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array, Array]:
        root, r, slope = self._argument(ns, a)
        return root, r, r * r * slope

    def _bend(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array]:
        root, r, slope = self._argument(ns, a)
        curvature = (12 * _CUBIC * _LINEAR) * a
        # f'(a) = sigma'(w) (w'' - w'² tanh(w/2)), and tanh(w/2) = (1 - exp(-w)) r.
        change = curvature - slope * slope * ((1 - root) * (1 + root) * r)
        return root, r * r * (2 * slope + a * change)

    def _argument(self, ns: OrderedNamespace, a: Array) -> tuple[Array, Array, Array]:
        """``exp(-w/2)``, ``1 / (1 + exp(-w))`` and the slope w'."""
        square = a * a
        root = ns.exp(a * (1 + square * _CUBIC) * -_LINEAR)
        return root, 1 / (1 + root * root), (1 + square * (3 * _CUBIC)) * (2 * _LINEAR)


_CUBIC = 0.044715
_LINEAR = math.sqrt(2 / math.pi)


def _root_of_normal(ns: OrderedNamespace, a: Array) -> Array:
    """``exp(-a²/4)`` for 0 <= a <= 40, with a² = h² + (a - h) (a + h), h in sixteenths, so that h² is exact."""
    grid = 1.5 / (16 * ns.epsilon)
    h = (a + grid) - grid
    return ns.exp(h * h * -0.25) * ns.exp((h - a) * (h + a) * 0.25)


@final
@dataclass(frozen=True, slots=True)
class Mish(Activation):
    """``phi(z) = z F(z)`` with ``F(z) = tanh(log(1 + exp(z)))``.  Source: Misra (2019).

    With ``e = exp(-a)``, a = |z|, below zero ``F = e (2 + e) / N``, ``F' = 4 e (1 + e) / N²`` and
    ``F'' = 4 e (2 + 2e - 3e² - 2e³) / N³``, ``N = 2 + 2e + e²``; above it ``F = (1 + 2e) / N``,
    ``F' = 4 e² (1 + e) / N²`` and ``F'' = -4 e² (2 + 3e - 2e² - 2e³) / N³``, ``N = 1 + 2e + 2e²``.
    """

    name: ClassVar[str] = "mish"
    formula: ClassVar[str] = "z*tanh(log(1 + exp(z)))"
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Mish", "mish")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        ordered = ns.ordered("mish")
        root, e, norm = self._tails(ordered, z)
        gate = ordered.where(z < 0, 2 + e, 1 + 2 * e) / norm
        value, linear = z * gate, z * ((1 + e) / (norm * norm))
        below, above = (4 * root) * (root * (gate / 4 + linear)), gate + (4 * root) * (root * linear)
        return ordered.where(z < 0, root * (root * value), value), ordered.where(z < 0, below, above)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        ordered = ns.ordered("mish")
        root, e, norm = self._tails(ordered, z)
        half_bend = ordered.where(z < 0, 1 + e * (1 - e * (1.5 + e)), e * (e * (1 + e) - 1.5) - 1)
        return (8 * root) * (root * ((1 + e) / (norm * norm) + z * (half_bend / (norm * norm * norm))))

    def _tails(self, ns: OrderedNamespace, z: Array) -> tuple[Array, Array, Array]:
        """A root of what F' is a multiple of (e below zero, e² above), e itself, and N."""
        root = ns.exp(ns.minimum(z / 2, -z))
        e = ns.where(z < 0, root * root, root)
        return root, e, ns.where(z < 0, 2 + e * (2 + e), 1 + 2 * e * (1 + e))


silu = registered(Silu())
gelu = registered(Gelu())
gelu_tanh = registered(GeluTanh())
mish = registered(Mish())
