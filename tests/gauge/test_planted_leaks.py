"""Programs that read a hidden frame on purpose: gauge fuzzing must see each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import floating
from geomkfac.testing import LawViolatedError, check_gauge

from .programs_of_metrics import full_rank
from .programs_of_networks import network
from .registry import FIELD, PROGRAMS, numbers, tolerance

LOOSEST = max(tolerance(entry) for entry in PROGRAMS) if PROGRAMS else 0.1


def pseudo_inverse_of_storage_components() -> Any:
    V = gk.VectorSpace("V", 3)
    e = V.frame("e")
    family = V.dual.from_coordinates(full_rank(floating, 3)[:2, :], e.dual)
    g = gk.CovectorTensor(np.ones(2), family)
    phi = g.flat(V.from_coordinates(numbers(floating, 3), e))
    hidden = g.covectors.storage_frame.dual
    solution = np.linalg.pinv(g.coordinates(hidden)) @ phi.coordinates(hidden.dual)
    return V.from_coordinates(solution, hidden).coordinates(e)


def euclidean_norm_of_storage_components() -> Any:
    V = gk.VectorSpace("V", 3)
    v = V.from_coordinates(numbers(floating, 3), V.frame("e"))
    return np.asarray(np.linalg.norm(v._components))


def damping_of_each_factor_in_its_storage_frame() -> Any:
    net, weights, iota = network(floating, "tanh")
    data = iota.sample(numbers(floating, 12, 2, seed=9), np.arange(12) % 2)
    loss = gk.Categorical().on(iota)
    block = net.kfac_metric(weights, data, loss).parts[0]
    dh = net.differential(weights, data, loss)
    part = dh.space.split(dh)[0]
    hidden = block.storage_frame
    A, G = block.coordinates(hidden).factors
    D = part.coordinates(hidden.dual)
    step = np.linalg.solve(G + 0.1 * np.eye(len(G)), np.linalg.solve(A + 0.1 * np.eye(len(A)), D.T).T)
    return block.space.from_coordinates(step, hidden).coordinates(iota)


def storage_components() -> Any:
    A = gk.AffineSpace("A", 2)
    return A.from_coordinates(numbers(floating, 3, 2), A.frame("iota"))._components


def a_gradient_step_on_storage_components() -> Any:
    net, weights, iota = network(floating, "tanh")
    data = iota.sample(numbers(floating, 12, 2, seed=9), np.arange(12) % 2)
    dh = net.differential(weights, data, gk.Categorical().on(iota))
    hidden = weights.storage_frame
    moved = [x - 0.5 * d for x, d in zip(weights._components, dh.coordinates(hidden.linear.dual), strict=True)]
    return net.to_arrays(net.weight_space.from_coordinates(moved, hidden), iota)


LEAKS = [
    pseudo_inverse_of_storage_components,
    euclidean_norm_of_storage_components,
    damping_of_each_factor_in_its_storage_frame,
    storage_components,
    a_gradient_step_on_storage_components,
]


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_caught(leak: Callable[[], Any]) -> None:
    with pytest.raises(LawViolatedError, match="hidden frame shows"):
        check_gauge(leak, np.random.default_rng(0), rtol=LOOSEST)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_dyadic_frames_catch_it_too(leak: Callable[[], Any]) -> None:
    with pytest.raises(LawViolatedError, match="hidden frame shows"):
        check_gauge(leak, np.random.default_rng(0), draws="dyadic", rtol=LOOSEST)


def test_a_leak_is_caught_exactly_over_a_finite_field() -> None:
    def leak() -> Any:
        V = gk.VectorSpace("V", 3, FIELD)
        e = V.frame("e")
        g = gk.DenseTensor.from_coordinates(full_rank(FIELD, 3), e)
        phi = V.dual.from_coordinates(numbers(FIELD, 3), e.dual)
        ns = FIELD.default_namespace
        hidden = phi.storage_frame.dual
        damped = g.coordinates(hidden) + ns.eye(3)
        return V.from_coordinates(ns.inverse(damped) @ phi.coordinates(hidden.dual), hidden).coordinates(e)

    with pytest.raises(LawViolatedError, match="hidden frame shows"):
        check_gauge(leak, np.random.default_rng(0))
