"""K-FAC steps: joint or with weight and bias apart, averaged, damped a little; and with G = I (FOOF, PRONG)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.names import look_up
from geomkfac.updates.rule import LayerToUpdate, NetworkToUpdate


@final
@dataclass(frozen=True, slots=True)
class Kfac:
    """``(W b) <- (W b) - epsilon G^{-1} grad A^{-1}``, and its common variants.

    Parameters
    ----------
    joint : whether weight and bias are in one block; apart, translations of activations are lost (GK-3)
    damping : gamma, added to A and to G as a multiple of the identity of the coordinates at hand; 0 for none.
        `DampedKfac` has other dampings
    keep : of the factors of the update before, in an exponential average; 0 for none
    start : what averages start from: ``"data"``, the factors of the first update; or ``"identity"``, that of the
        coordinates at hand

    Notes
    -----
    Undamped, joint and not started from the identity, it is invariant to every affine change of basis (LG-T2.1).
    With weight and bias apart: to linear changes of activations and affine ones of pre-activations (GK-3).  Damped, or
    averaged from the identity: to orthogonal changes of activations, and to orthogonal ones and shifts of
    pre-activations.
    """

    joint: bool = True
    damping: int | Fraction = 0
    keep: int | Fraction = 0
    start: Literal["data", "identity"] = "data"

    def __post_init__(self) -> None:
        look_up("start of averages", self.start, dict.fromkeys(("data", "identity")))

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns, new = network.ns, []
        for index, layer in enumerate(network.layers):
            A, G = layer.A, layer.G
            if self.keep:
                before = network.state.get(index)
                if before is None and self.start == "identity":
                    before = ns.eye(A.shape[0]), ns.eye(G.shape[0])
                if before is not None:
                    old, fresh = ns.scalar(self.keep), ns.scalar(1 - self.keep)
                    A, G = before[0] * old + A * fresh, before[1] * old + G * fresh
                network.state[index] = (A, G)
            if self.damping:
                gamma = ns.scalar(self.damping)
                A, G = A + gamma * ns.eye(A.shape[0]), G + gamma * ns.eye(G.shape[0])
            step = solved(ns, A, G, layer.gradient) if self.joint else _apart(ns, A, G, layer)
            new.append(layer.weights - network.rate * step)
        return new


def solved(ns: Namespace, A: Array, G: Array, gradient: Array) -> Array:
    """``G^{-1} gradient A^{-1}``."""
    return ns.solve(G, ns.solve(A, gradient.mT).mT)


def _apart(ns: Namespace, A: Array, G: Array, layer: LayerToUpdate) -> Array:
    """A block for W, without the homogeneous coordinate, and one for b."""
    weight = solved(ns, A[:-1, :-1], G, layer.gradient[:, :-1])
    return ns.concat([weight, ns.solve(G, layer.gradient[:, -1:])], axis=1)


@final
@dataclass(frozen=True, slots=True)
class Foof:
    """``(W b) <- (W b) - epsilon grad A^{-1}``: K-FAC with G = I, as PRONG and FOOF take it.

    PRONG descends where activations are whitened: where A is the identity, and so all of A that there is.

    Invariant to affine changes of activations, and to orthogonal ones and shifts of pre-activations (GK-5).
    """

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns = network.ns
        return [layer.weights - network.rate * ns.solve(layer.A, layer.gradient.mT).mT for layer in network.layers]
