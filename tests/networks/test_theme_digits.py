"""The main job on real data: the handwritten digits, with three constant pixels and a softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import DegenerateMetricError
from geomkfac.interop import load_digits, load_digits_network

DEAD = [0, 32, 39]
"""The pixels that are zero in every image."""


@pytest.fixture(scope="module", params=["float64", "float32"])
def digits(request: Any) -> Any:
    X, y = load_digits(request.param)
    Ws, bs = load_digits_network()
    net, weights, iota = gk.MLP.from_arrays([W.astype(X.dtype) for W in Ws], [b.astype(X.dtype) for b in bs])
    data, loss = iota.sample(X, y), gk.Categorical().on(iota)
    return net, weights, iota, data, loss, net.kfac_metric(weights, data, loss), X.dtype


def test_the_radical_is_three_pixels_and_the_constants(digits: Any) -> None:
    g, dtype = digits[5], digits[6]
    first, last = g.parts[0].domain_form, g.parts[-1].codomain_form
    assert last.nullity == 1
    assert first.nullity == 3 or dtype == np.float32
    iota = digits[2]
    basis = first.radical.basis().coordinates(iota)
    span = np.linalg.qr(basis.T)[0]
    # Eigenvectors mix with kept ones by n epsilon over the smallest of these.
    bound = 65 * np.finfo(dtype).eps * _condition(g.parts[0], iota)
    for pixel in DEAD:
        unit = np.eye(65)[pixel]
        assert np.linalg.norm(unit - span @ (span.T @ unit)) <= bound
    if dtype == np.float64:
        assert [part.codomain_form.nullity for part in g.parts] == [0, 0, 1]
        assert g.nullity == 3 * 32 + 17


def test_the_step_solves_and_is_the_same_in_every_storage_frame(digits: Any) -> None:
    net, weights, iota, data, loss, g, dtype = digits
    with pytest.raises(DegenerateMetricError, match="radical"):
        g.sharp(net.differential(weights, data, loss))
    dh = net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=iota.euclidean)
    if dtype == np.float32:
        assert {part.dtype for part in step.coordinates(iota)} == {dtype}
        return
    back = g.flat(step)
    for found, wanted, part in zip(back.coordinates(iota), dh.coordinates(iota), g.parts, strict=True):
        condition = _condition(part, iota)
        assert np.linalg.norm(found - wanted) <= 64 * 65 * 2.0**-52 * condition * np.linalg.norm(wanted)
    kappa = iota.random(np.random.default_rng(0))
    there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
    other = net.kfac_metric(there, moved, loss)
    assert other.nullity == g.nullity
    again = other.minimal_solution(net.differential(there, moved, loss), norm=iota.euclidean)
    for found, wanted, part in zip(again.coordinates(iota), step.coordinates(iota), g.parts, strict=True):
        # Hidden frames have condition 10 and a translation: at most 100 for each of two slots.
        bound = 1e4 * 65 * 2.0**-52 * _condition(part, iota)
        assert np.linalg.norm(found - wanted) <= bound * np.linalg.norm(wanted)


def _condition(part: Any, iota: Any) -> float:
    """Of the factors scaled to unit diagonal, their null directions left out."""
    product = 1.0
    for form in part.kronecker_factors()[0]:
        M = form.coordinates(iota)
        lengths = np.sqrt(np.where(np.diag(M) > 0, np.diag(M), 1.0))
        values = np.linalg.eigvalsh(M / np.outer(lengths, lengths))[form.nullity :]
        product *= values[-1] / values[0]
    return product


def test_a_step_from_the_trained_network_is_never_refused(digits: Any) -> None:
    net, weights, iota, data, loss, _, dtype = digits
    if dtype == np.float32:
        pytest.skip("undamped steps are for float64")
    for _ in range(3):
        g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
        weights = weights - 0.05 * g.minimal_solution(dh, norm=iota.euclidean)
    assert float(net.loss(weights, data, loss)) < 1.0


def test_whitened_coordinates_leave_projections(digits: Any) -> None:
    iota, g, dtype = digits[2], digits[5], digits[6]
    if dtype == np.float32:
        pytest.skip("roots of an ill conditioned factor need float64")
    kappa = iota.whitened(g, norm=iota.euclidean)
    for part, block in zip(g.parts, g.coordinates(kappa).blocks, strict=True):
        for form, factor in zip(part.kronecker_factors()[0], block.factors, strict=True):
            values = np.linalg.eigvalsh(factor)
            condition = _condition(part, iota)
            assert np.abs(values[: form.nullity]).max(initial=0.0) <= 64 * 65 * 2.0**-52 * condition
            assert np.abs(values[form.nullity :] - 1).max() <= 64 * 65 * 2.0**-52 * condition
