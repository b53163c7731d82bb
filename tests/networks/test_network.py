"""What every network has: random weights of the variance that is said, and predictions at every place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import GF, rational
from geomkfac.metrics.families.by_name import FAMILIES

from .cut_data import ARCHITECTURES, problem


def normal(count: int) -> float:
    """How far a mean of so many squares of standard normal numbers is from 1, but for one time in 1e9."""
    return 6 * np.sqrt(2 / count)


@pytest.mark.parametrize("name", ["fully connected", "convolutions", "recurrent, at every step"])
def test_random_weights_have_variance_one_over_the_number_of_inputs_and_biases_are_zero(name: str) -> None:
    net, iota, _ = ARCHITECTURES[name](gk.floating, "tanh")
    rng, drawn = np.random.default_rng(0), 400
    stacks = zip(*(net.random_weights(rng, iota).coordinates(iota) for _ in range(drawn)), strict=True)
    for layer, stack in zip(net.layers, stacks, strict=True):
        matrices = np.stack(stack)
        assert not matrices[..., -1].any()
        count = matrices[..., :-1].size
        assert abs(np.mean(matrices[..., :-1] ** 2) * layer.domain.dim - 1) <= normal(count)
        assert abs(np.mean(matrices[..., :-1])) <= 6 / np.sqrt(count * layer.domain.dim)


@pytest.mark.parametrize("kind", [GF(2**31 - 1), rational], ids=["GF(p)", "Q"])
def test_random_weights_over_exact_kinds_are_random_with_their_biases(kind: Any) -> None:
    net, iota = gk.MLP.from_widths((3, 4, 2), "identity", kind=kind)
    ns = kind.default_namespace
    one, other = (net.random_weights(np.random.default_rng(seed), iota).coordinates(iota) for seed in (0, 1))
    for first, second in zip(one, other, strict=True):
        assert not ns.is_zero(first[:, -1])
        assert not ns.equal(first, second)


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_those_of_the_family_at_the_outputs_place_by_place(family: str) -> None:
    given = problem("recurrent, at every step", "gaussian, float64", weighted=False)
    own, points = FAMILIES[family](), next(iter(given.sample().chunks())).points
    predicted = given.net.predictions(given.weights, points, own.on(given.iota))
    z = given.net(given.weights, points).coordinates(given.iota)
    for datum, place in np.ndindex(*z.shape[:2]):
        assert np.array_equal(predicted[datum, place], own.predictions(given.ns, z[datum, place][None])[0])
