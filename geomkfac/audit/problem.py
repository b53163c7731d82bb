"""A small problem, and its double in other affine bases: the same function, other parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.arrays import floating
from geomkfac.theorems.basis import transformed_weights

__all__ = ["GROUPS", "Bases", "Problem", "Transformation", "draw_bases"]

SPREAD = 4.0
"""The largest stretch of a random basis; its condition number is at most this."""


@final
@dataclass(frozen=True, slots=True)
class Transformation:
    """A group of changes of basis.

    Attributes
    ----------
    name : as shown
    activations, preactivations : how a member acts on hidden and input activations, and on pre-activations:
        'fixed', 'translation', 'sign', 'permutation', 'diagonal', 'scalar', 'orthogonal', 'affine'
    loss_scale : the loss is multiplied by this
    """

    name: str
    activations: str = "fixed"
    preactivations: str = "fixed"
    loss_scale: float = 1.0


GROUPS: tuple[Transformation, ...] = (
    Transformation("permutation", "permutation", "permutation"),
    Transformation("sign", "sign", "sign"),
    Transformation("activation translation", "translation"),
    Transformation("pre-activation shift", preactivations="translation"),
    Transformation("activation scalar", "scalar"),
    Transformation("pre-activation scalar", preactivations="scalar"),
    Transformation("activation diagonal", "diagonal"),
    Transformation("pre-activation diagonal", preactivations="diagonal"),
    Transformation("activation orthogonal", "orthogonal"),
    Transformation("pre-activation orthogonal", preactivations="orthogonal"),
    Transformation("activation affine", "affine"),
    Transformation("pre-activation affine", preactivations="affine"),
    Transformation("loss scale", loss_scale=3.0),
)
"""The groups that are audited, from small ones to large ones."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Bases:
    """``a' = Omega a + gamma`` of A_0, ..., A_{L-1}, and ``z = Phi z' + tau`` of Z_1, ..., Z_L: float64 arrays."""

    Omega: tuple[Any, ...]
    gamma: tuple[Any, ...]
    Phi: tuple[Any, ...]
    tau: tuple[Any, ...]

    @property
    def condition(self) -> float:
        """The largest condition number of a matrix, homogeneous coordinate included."""
        found = 1.0
        for matrix, shift in (*zip(self.Omega, self.gamma, strict=True), *zip(self.Phi, self.tau, strict=True)):
            n = len(shift)
            whole = np.block([[matrix, shift[:, None]], [np.zeros((1, n)), np.ones((1, 1))]])
            found = max(found, float(np.linalg.cond(whole)))
        return found


def draw_bases(widths: Sequence[int], group: Transformation, rng: Any) -> Bases:
    """Random members of a group for every space."""
    activations = [_member(group.activations, n, rng) for n in widths[:-1]]
    preactivations = [_member(group.preactivations, m, rng) for m in widths[1:]]
    return Bases(*zip(*activations, strict=True), *zip(*preactivations, strict=True))


def _member(group: str, n: int, rng: Any) -> tuple[Any, Any]:
    zero = np.zeros(n)
    if group == "fixed":
        return np.eye(n), zero
    if group == "translation":
        return np.eye(n), rng.uniform(0.5, 1.0, n) * rng.choice([-1.0, 1.0], n)
    if group == "sign":
        return np.diag(np.where(np.arange(n) % 2 == 0, -1.0, 1.0)), zero
    if group == "permutation":
        return np.roll(np.eye(n), 1, axis=0), zero
    if group == "scalar":
        return np.eye(n) * rng.uniform(1.5, 2.5), zero
    stretch = np.exp(rng.uniform(-0.5, 0.5, n) * np.log(SPREAD))
    if group == "diagonal":
        return np.diag(stretch), zero
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    if group == "orthogonal":
        return left, zero
    return left @ np.diag(stretch) @ right, rng.uniform(-0.5, 0.5, n)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A tanh network with independent logits, data, and held-out probes; in float64.

    Logits of independent binary targets, and not of classes, so that no direction of the outputs is null and
    undamped natural gradient steps exist.

    Attributes
    ----------
    weights : arrays (m, n + 1), the bias last
    inputs, targets : the data, (N, n_0) and (N, n_L) of probabilities
    probes : inputs on which functions are compared
    """

    weights: tuple[Any, ...]
    inputs: Any
    targets: Any
    probes: Any

    @staticmethod
    def random(widths: Sequence[int], data: int, seed: int) -> Problem:
        """A random instance: inputs that are neither centred nor of one scale."""
        rng = np.random.default_rng(seed)
        pairs = zip(widths[1:], widths[:-1], strict=True)
        weights = tuple(rng.standard_normal((m, n + 1)) / n**0.5 for m, n in pairs)
        inputs = rng.standard_normal((data, widths[0])) * rng.uniform(0.5, 1.5, widths[0]) + 0.3
        bare = Problem(weights, inputs, None, inputs)
        near = bare.probabilities(weights, identity_bases(widths))
        # Near what it predicts already, so that steps of second order are not long.
        targets = np.clip(near + 0.3 * (rng.random(near.shape) - 0.5), 0.0, 1.0)
        return Problem(weights, inputs, targets, rng.standard_normal((50, widths[0])))

    @property
    def widths(self) -> tuple[int, ...]:
        """(n_0, ..., n_L)."""
        return (self.weights[0].shape[1] - 1, *(W.shape[0] for W in self.weights))

    def double(self, bases: Bases) -> tuple[tuple[Any, ...], Any]:
        """Weights (LG (3.3)) and inputs of the double in other bases."""
        ns = floating.default_namespace
        parts = zip(self.weights, bases.Omega, bases.gamma, bases.Phi, bases.tau, strict=True)
        return tuple(transformed_weights(ns, *part) for part in parts), self.moved(self.inputs, bases)

    def moved(self, inputs: Any, bases: Bases) -> Any:
        """Inputs in the double's coordinates."""
        return inputs @ bases.Omega[0].T + bases.gamma[0]

    def probabilities(self, weights: Sequence[Any], bases: Bases) -> Any:
        """What the network with these weights, in these bases, predicts for the probes; computed in float64."""
        a = self.moved(self.probes, bases)
        last = len(weights) - 1
        for i, W in enumerate(weights):
            z = (a @ np.asarray(W, dtype=float)[:, :-1].T + W[:, -1]) @ bases.Phi[i].T + bases.tau[i]
            a = np.tanh(z) @ bases.Omega[i + 1].T + bases.gamma[i + 1] if i < last else z
        return 0.5 * (1.0 + np.tanh(0.5 * a))


def identity_bases(widths: Sequence[int]) -> Bases:
    """No change."""
    return draw_bases(widths, Transformation("none"), None)
