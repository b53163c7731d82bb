"""Recurrences as the paper prints them: states, sums over steps, back-propagation through time.

Written apart from `geomkfac.networks` on purpose.  Rows are data, a list has one entry for every step.
Source: LG (5.1) to (5.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.smooth_functions import RowActivation, RowLoss
from geomkfac.theorems.instances.textbook.fully_connected import (
    homogeneous,
    perhaps_damped,
    total_of,
    weighted_squares,
)


@final
@dataclass(frozen=True, slots=True)
class MatrixRecurrence:
    """A recurrence in coordinates.

    Attributes
    ----------
    W_bar, V_bar : (W b) and (V c), arrays (h, h + 1) and (h, n + 1)
    start : a_0, an array (h,)
    phi : one for every step, as each meets its own pre-activations
    loss : of all states of a datum, rows (N, T h)
    """

    W_bar: Array
    V_bar: Array
    start: Array
    phi: tuple[RowActivation, ...]
    loss: RowLoss


@final
@dataclass(frozen=True, slots=True)
class RecurrencePass:
    """Inputs x_1, ..., x_T, states a_0, ..., a_T and pre-activations z'_1, ..., z'_T, arrays (N, .)."""

    inputs: list[Array]
    states: list[Array]
    preactivations: list[Array]

    def outputs(self, ns: Namespace) -> Array:
        """All states of a datum in one row."""
        return ns.concat(self.states[1:], axis=1)


def forward(ns: Namespace, network: MatrixRecurrence, inputs: list[Array]) -> RecurrencePass:
    """``z'_t = W a_{t-1} + b + V x_t + c``, ``a_t = phi(z'_t)``.  Source: LG 5.1.1."""
    count = inputs[0].shape[0]
    states, z = [ns.broadcast_to(network.start, (count, network.start.shape[0]))], []
    for x, phi in zip(inputs, network.phi, strict=True):
        z.append(homogeneous(ns, states[-1]) @ network.W_bar.mT + homogeneous(ns, x) @ network.V_bar.mT)
        states.append(phi(z[-1]))
    return RecurrencePass(inputs, states, z)


def backward(ns: Namespace, network: MatrixRecurrence, run: RecurrencePass, covectors: list[Array]) -> list[Array]:
    """``D z_1, ..., D z_T``, arrays (K, N, h), from covectors (K, N, h) on every state: through time."""
    Dz: list[Array] = []
    flow: Array = None
    for t in reversed(range(len(run.preactivations))):
        Da = covectors[t] if flow is None else covectors[t] + flow
        Dz.insert(0, network.phi[t].pullback(run.preactivations[t], Da))
        flow = Dz[0] @ network.W_bar[:, :-1]
    return Dz


def split(covectors: Array, steps: int) -> list[Array]:
    """Rows (K, N, T h) step by step."""
    h = covectors.shape[-1] // steps
    return [covectors[..., t * h : (t + 1) * h] for t in range(steps)]


def factors(world: World, network: MatrixRecurrence, run: RecurrencePass) -> tuple[Array, Array, Array]:
    """``E_T[a a^T]``, ``E_T[x x^T]`` (with their ones), and ``T E_T[Dz Dz^T]``.  Source: LG (5.3)."""
    ns, T, count = world.ns, len(run.inputs), run.inputs[0].shape[0]
    weights, covectors = network.loss.metric(run.outputs(ns))
    parts: list[Array] = []
    local = split(covectors, T)
    derivatives = backward(ns, network, run, local)
    if world.planted("the output of the same step alone"):
        triples = zip(network.phi, run.preactivations, local, strict=True)
        derivatives = [phi.pullback(z, Da) for phi, z, Da in triples]
    for t, Dz in enumerate(derivatives):
        if t == 0 and world.planted("one time step dropped"):
            continue
        parts.append(weighted_squares(ns, weights, Dz) / count)
    total = total_of(parts)
    if world.planted("mean for sum over steps"):
        total = total / T
    A, X = (_mean_square(ns, rows) for rows in (run.states[:-1], run.inputs))
    if world.planted("a_t for a_{t-1}"):
        A = _mean_square(ns, run.states[1:])
    return *perhaps_damped(world, [A]), X, total


def _mean_square(ns: Namespace, rows: list[Array]) -> Array:
    stacked = homogeneous(ns, ns.concat(rows, axis=0))
    return stacked.mT @ stacked / stacked.shape[0]


def kfac_update(world: World, network: MatrixRecurrence, inputs: list[Array], rate: Array) -> MatrixRecurrence:
    """``W_bar <- W_bar - epsilon F^{-1} grad h``, for recurrent and input weights alike.  Source: LG (5.4)."""
    ns, count = world.ns, inputs[0].shape[0]
    run = forward(ns, network, inputs)
    A, X, G = factors(world, network, run)
    differential = network.loss.differential(run.outputs(ns))[None, ...]
    Dz = [rows[0, ...] for rows in backward(ns, network, run, split(differential, len(inputs)))]
    on_W = total_of([d.mT @ homogeneous(ns, a) / count for d, a in zip(Dz, run.states, strict=False)])
    on_V = total_of([d.mT @ homogeneous(ns, x) / count for d, x in zip(Dz, inputs, strict=True)])
    if not world.planted("gradient descent"):
        # One inverse for both: its degree counts once.
        back = ns.inverse(G)
        on_W, on_V = back @ on_W @ ns.inverse(A), back @ on_V @ ns.inverse(X)
    return replace(network, W_bar=network.W_bar - rate * on_W, V_bar=network.V_bar - rate * on_V)
