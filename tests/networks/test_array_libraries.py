"""The target experience over other array libraries, from arrays to a step and back."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

import geomkfac as gk


def run(convert: Any, labels: Any) -> list[Any]:
    rng = np.random.default_rng(3)
    Ws = [rng.standard_normal((4, 3)), rng.standard_normal((3, 4))]
    bs = [rng.standard_normal(4), rng.standard_normal(3)]
    X, y = rng.standard_normal((12, 3)), rng.integers(0, 3, 12)
    X[:, 1] = 0.5  # a constant input: the metric is degenerate there too
    net, weights, iota = gk.MLP.from_arrays([convert(W) for W in Ws], [convert(b) for b in bs], activation="tanh")
    data, loss = iota.sample(convert(X), labels(y)), gk.Categorical().on(iota)
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=iota.euclidean)
    kappa = iota.whitened(g, norm=iota.euclidean)
    there = net.kfac_metric(weights.expressed_in(kappa), data.expressed_in(kappa), loss, fisher="sampled", chunk_size=5)
    arrays = [
        net.loss(weights, data, loss), net.predictions(weights, net.inputs.from_coordinates(convert(X), iota), loss),
        *step.coordinates(iota), *(factor for block in g.coordinates(kappa).blocks for factor in block.factors),
        *there.damped(iota.euclidean, 0.1, "factored").sharp(dh).coordinates(iota),
        *(array for pair in net.to_arrays(weights - 0.1 * step, kappa) for array in pair),
    ]  # fmt: skip
    # A constant input for each of 4 units, and a constant for each of 5 functionals of the last layer.
    assert g.nullity == 4 + 5
    return arrays


def strict(values: Any) -> Any:
    return array_api_strict.asarray(np.asarray(values))


def assert_agree(found: list[Any], to_numpy: Any) -> None:
    for x, y in zip(found, run(np.asarray, np.asarray), strict=True):
        # One program in two libraries: other orders of sums, through solves of condition 1e4 or less.
        assert np.linalg.norm(to_numpy(x) - y) <= 1e4 * 16 * 12 * 2.0**-52 * max(np.linalg.norm(y), 1.0)


def test_the_strict_array_api_is_enough() -> None:
    found = run(strict, strict)
    assert {type(x) for x in found} == {type(strict(0.0))}
    assert_agree(found, np.asarray)


def test_pytorch_tensors_stay_pytorch_tensors() -> None:
    torch = pytest.importorskip("torch")
    found = run(torch.tensor, torch.tensor)
    assert {x.dtype for x in found} == {torch.float64}
    assert_agree(found, lambda x: x.numpy())
