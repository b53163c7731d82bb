"""What a network refuses, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import (
    GeomkfacError,
    KindError,
    NotInRangeError,
    ShapeError,
    SingularMatrixError,
    SpaceMismatchError,
    UnknownNameError,
    ValuesError,
)

W, B, X, Y = np.ones((2, 3)), np.ones(2), np.ones((4, 3)), np.array([0, 1, 1, 0])


def net_of(*args: Any, **kwargs: Any) -> Any:
    return gk.MLP.from_arrays([W], [B])


def spoiled(array: Any, value: float) -> Any:
    copy = np.array(array)
    copy.flat[1] = value
    return copy


WEIGHTS = {
    "no layers": ([], [], ShapeError, "at least one"),
    "a bias missing": ([W], [], ShapeError, "one bias for each weight"),
    "a bias of another length": ([W], [np.ones(3)], ShapeError, r"the bias must be \(2,\)"),
    "a weight with one axis": ([np.ones(3)], [B], ShapeError, "must have 2 axes"),
    "layers that do not chain": ([W, W], [B, B], ShapeError, "shapes must chain"),
    "NaN": ([spoiled(W, np.nan)], [B], ValuesError, "the weight of layer 1 must hold finite numbers"),
    "infinity": ([W], [spoiled(B, np.inf)], ValuesError, "the bias of layer 1 must hold finite numbers"),
    "integers": ([W.astype(int)], [B], KindError, "int"),
    "mixed dtypes": ([W], [B.astype(np.float32)], GeomkfacError, "float32"),
    "layers of two dtypes": ([W, np.ones((2, 2), np.float32)], [B, np.ones(2, np.float32)], KindError, "float32"),
    "lists": ([[[1.0, 2.0]]], [[1.0]], KindError, "must be an array, not list"),
}


@pytest.mark.parametrize("case", WEIGHTS, ids=str)
def test_weights_that_make_no_network_are_refused(case: str) -> None:
    Ws, bs, error, message = WEIGHTS[case]
    with pytest.raises(error, match=message):
        gk.MLP.from_arrays(Ws, bs)


def test_an_unknown_activation_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="tanh"):
        gk.MLP.from_arrays([W, np.ones((2, 2))], [B, B], activation="tahn")


def test_an_unknown_output_family_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'categorical'"):
        gk.metrics.family("categoric")


SAMPLES = {
    "another width": ((np.ones((4, 2)), Y), ShapeError, r"\(\*batch, 3\)"),
    "NaN": ((spoiled(X, np.nan), Y), ValuesError, "finite"),
    "infinity": ((spoiled(X, -np.inf), Y), ValuesError, "finite"),
    "no data": ((np.ones((0, 3)), np.ones(0, int)), ValuesError, "at least one datum"),
    "integers": ((X.astype(int), Y), KindError, "int"),
    "other counts": ((X, Y[:3]), ShapeError, "one target per point"),
    "a list of targets": ((X, [0, 1, 1, 0]), KindError, "targets must be an array"),
}


@pytest.mark.parametrize("case", SAMPLES, ids=str)
def test_data_that_make_no_sample_are_refused(case: str) -> None:
    _, _, iota = net_of()
    arguments, error, message = SAMPLES[case]
    with pytest.raises(error, match=message):
        iota.sample(*arguments)


def test_weights_of_data_must_be_nonnegative_and_not_all_zero() -> None:
    _, _, iota = net_of()
    with pytest.raises(ValuesError, match="nonnegative"):
        iota.sample(X, Y, weights=np.array([1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(ValuesError, match="sum to zero"):
        iota.sample(X, Y, weights=np.zeros(4))


TARGETS = {
    "a label out of range": (np.array([0, 1, 2, 0]), "categorical", ValuesError, "label 2 at index 2"),
    "a negative label": (np.array([0, -1, 1, 0]), "categorical", ValuesError, "label -1"),
    "floating labels": (np.array([0.0, 1.0, 1.0, 0.0]), "categorical", KindError, "integer labels"),
    "no probabilities": (np.full((4, 2), 0.7), "categorical", ValuesError, "sum of probabilities"),
    "a negative probability": (np.tile([1.5, -0.5], (4, 1)), "categorical", ValuesError, "probability"),
    "no Bernoulli target": (np.full((4, 2), 2.0), "bernoulli", ValuesError, "target"),
    "targets of another width": (np.ones((4, 3)), "gaussian", ShapeError, r"\(N, 2\)"),
    "none at all": (None, "gaussian", ValuesError, "needs targets"),
}


@pytest.mark.parametrize("case", TARGETS, ids=str)
def test_targets_that_the_family_cannot_have_are_refused(case: str) -> None:
    net, weights, iota = net_of()
    targets, output, error, message = TARGETS[case]
    loss = gk.metrics.family(output).on(iota)
    data = iota.sample(X, targets)
    for use in (net.loss, net.differential, lambda *a: net.kfac_metric(*a, fisher="empirical")):
        with pytest.raises(error, match=message):
            use(weights, data, loss)


def test_mixed_dtypes_and_spaces_are_refused_with_both_sides() -> None:
    net, weights, iota = net_of()
    _, other, elsewhere = net_of()
    data, loss = iota.sample(X, Y), gk.Categorical().on(iota)
    with pytest.raises(KindError, match="float32"):
        net.kfac_metric(weights, iota.sample(X.astype(np.float32), Y), loss)
    with pytest.raises(SpaceMismatchError, match="weights must be a point of"):
        net.kfac_metric(other, data, loss)
    with pytest.raises(SpaceMismatchError, match="takes a Sample of"):
        net.kfac_metric(weights, elsewhere.sample(X, Y), loss)
    with pytest.raises(SpaceMismatchError, match="outputs of this network live in"):
        net.kfac_metric(weights, data, gk.Categorical().on(elsewhere))
    with pytest.raises(SpaceMismatchError, match="outputs of this network live in"):
        net.kfac_metric(weights, data, gk.EuclideanMetric(elsewhere[elsewhere.outputs]))
    with pytest.raises(SpaceMismatchError, match="an output family on a frame"):
        net.differential(weights, data, gk.Categorical())  # type: ignore[arg-type]
    with pytest.raises(SpaceMismatchError, match="predictions need an output family"):
        net.predictions(weights, net.inputs.from_coordinates(X, iota), gk.EuclideanMetric(iota[net.outputs]))  # type: ignore[arg-type]
    with pytest.raises(SpaceMismatchError, match="takes points of"):
        net(weights, weights)


def test_settings_of_a_pass_are_checked() -> None:
    net, weights, iota = net_of()
    data, loss = iota.sample(X, Y), gk.Categorical().on(iota)
    with pytest.raises(UnknownNameError, match="'exact', 'sampled', 'empirical'"):
        net.kfac_metric(weights, data, loss, fisher="mc")  # type: ignore[arg-type]
    with pytest.raises(ValuesError, match="positive int"):
        net.kfac_metric(weights, data, loss, fisher="sampled", samples=0)
    with pytest.raises(ValuesError, match="chunk size"):
        net.kfac_metric(weights, data, loss, chunk_size=0)
    with pytest.raises(ValuesError, match="seed"):
        net.kfac_metric(weights, data, loss, fisher="sampled", seed=-1)
    with pytest.raises(KindError, match="no targets to be sampled"):
        net.kfac_metric(weights, data, gk.EuclideanMetric(iota[net.outputs]), fisher="sampled")


def test_a_singular_change_of_basis_is_refused() -> None:
    net, _, iota = net_of()
    with pytest.raises(SingularMatrixError, match="must be invertible"):
        iota.change({net.inputs: (np.ones((3, 3)), None)})


def test_a_differential_from_other_data_is_refused_with_its_restriction() -> None:
    rng = np.random.default_rng(0)
    net, weights, iota = gk.MLP.from_arrays([rng.standard_normal((2, 3))], [rng.standard_normal(2)])
    few = rng.standard_normal((10, 3))
    few[:, 1] = 0.0
    loss = gk.Categorical().on(iota)
    g = net.kfac_metric(weights, iota.sample(few), loss)
    y = rng.integers(0, 2, 10)
    inside = net.differential(weights, iota.sample(few, y), loss)
    assert net.weight_space.direction is g.minimal_solution(inside, norm=iota.euclidean).space
    outside = net.differential(weights, iota.sample(rng.standard_normal((10, 3)), y), loss)
    with pytest.raises(NotInRangeError, match="null directions of E"):
        g.minimal_solution(outside, norm=iota.euclidean)


def test_moments_of_two_networks_do_not_merge() -> None:
    one, other = net_of(), net_of()
    parts = [
        net.moments(weights, iota.sample(X, Y), gk.Categorical().on(iota)) for net, weights, iota in (one, other)
    ]
    with pytest.raises(SpaceMismatchError, match="of one network"):
        parts[0] + parts[1]


def test_a_stream_whose_weights_are_all_zero_has_no_mean() -> None:
    net, iota = gk.MLP.from_widths([2, 3])
    weights, loss = net.random_weights(np.random.default_rng(0), iota), gk.Categorical().on(iota)
    stream = iota.sample([(np.ones((4, 2)), np.zeros(4, dtype=int), np.zeros(4))])
    for mean in (net.loss, net.differential):
        with pytest.raises(gk.errors.ValuesError, match="sum to zero"):
            mean(weights, stream, loss)
