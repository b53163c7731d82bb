"""Arrays that the library, the dtype or the device of the others does not fit, wherever arrays come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import namespace_of, recording_gradients
from geomkfac.errors import KindError, NotPositiveError, SingularMatrixError

from ..places import arrays_of, namespace

ENTRANCES: dict[str, Callable[[Any, Any], Any]] = {}
"""Everywhere that arrays come in, for two functions that make an array of ones, of a kind each."""


def entrance(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    ENTRANCES[function.__name__] = function
    return function


def _network(make: Any) -> Any:
    return gk.MLP.from_arrays([make((2, 3)), make((2, 2))], [make((2,)), make((2,))])


@entrance
def bias_and_weight(one: Any, other: Any) -> Any:
    return gk.MLP.from_arrays([one((2, 3))], [other((2,))])


@entrance
def two_layers(one: Any, other: Any) -> Any:
    return gk.MLP.from_arrays([one((2, 3)), other((2, 2))], [one((2,)), other((2,))])


@entrance
def layers_of_a_convolution(one: Any, other: Any) -> Any:
    stages = [gk.Convolution(2, kernel=2), "relu", gk.Dense(2)]
    arrays = [one((2, 1, 2, 2)), other((2, 8))], [one((2,)), other((2,))]
    return gk.ConvolutionalNetwork.from_arrays(*arrays, grid=(3, 3), stages=stages)


@entrance
def parts_of_a_recurrence(one: Any, other: Any) -> Any:
    return gk.RecurrentNetwork.from_arrays(
        [one((2, 2)), one((2, 3)), other((1, 2))], [one((2,)), one((2,)), other((1,))], steps=2
    )


@entrance
def data_and_weights(one: Any, other: Any) -> Any:
    net, weights, iota = _network(one)
    return net.kfac_metric(weights, iota.sample(other((4, 3)), np.zeros(4, dtype=int)), gk.Categorical().on(iota))


@entrance
def data_and_their_weights(one: Any, other: Any) -> Any:
    return _network(one)[2].sample(one((4, 3)), np.zeros(4, dtype=int), weights=other((4,)))


@entrance
def targets_that_are_floats(one: Any, other: Any) -> Any:
    net, weights, iota = _network(one)
    return net.loss(weights, iota.sample(one((4, 3)), other((4, 2))), gk.Gaussian().on(iota))


@entrance
def parts_of_coordinates(one: Any, other: Any) -> Any:
    net, _, iota = _network(one)
    return net.weight_space.from_coordinates([one((2, 4)), other((2, 3))], iota)


@entrance
def two_vectors(one: Any, other: Any) -> Any:
    V = gk.VectorSpace("V", 2)
    e = V.frame("e")
    return V.from_coordinates(one((2,)), e) + V.from_coordinates(other((2,)), e)


@entrance
def a_scalar_and_a_vector(one: Any, other: Any) -> Any:
    V = gk.VectorSpace("V", 2)
    return V.from_coordinates(one((2,)), V.frame("e")) * other((1,))[0, ...]


@entrance
def weights_of_an_affine_combination(one: Any, other: Any) -> Any:
    A = gk.AffineSpace("A", 2)
    return gk.affine_combination(A.from_coordinates(one((1, 2)), A.frame("iota")), other((1,)))


@entrance
def predictions_elsewhere(one: Any, other: Any) -> Any:
    net, weights, iota = _network(one)
    return net.predictions(weights, net.inputs.from_coordinates(other((4, 3)), iota), gk.Categorical().on(iota))


@entrance
def a_step_elsewhere(one: Any, other: Any) -> Any:
    net, weights, iota = _network(one)
    parts = [other((2, 4)), other((2, 3))]
    return weights - net.weight_space.direction.from_coordinates(parts, iota)


@entrance
def two_arrays(one: Any, other: Any) -> Any:
    return namespace_of(one((2,)), other((2,)))


def maker(parameter: str) -> Any:
    ns = namespace(parameter)
    return ns.ones


PAIRS = [
    ("numpy-float64", "numpy-float32"),
    ("numpy-float64", "torch-float64"),
    ("torch-float32", "numpy-float32"),
    ("torch-float32", "torch-float64"),
    ("strict-float64", "strict-device-float64"),
    ("strict-device-float64", "numpy-float64"),
    ("strict-device-float64", "strict-device-float32"),
    ("jax-float64", "jax-float32"),
    ("jax-float32", "numpy-float32"),
    ("numpy-float64", "jax-float64"),
]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("name", ENTRANCES)
def test_two_libraries_dtypes_or_devices_are_refused_and_both_named(name: str, pair: tuple[str, str]) -> None:
    one, other = maker(pair[0]), maker(pair[1])
    with pytest.raises(KindError) as refused:
        ENTRANCES[name](one, other)
    for parameter in pair:
        assert namespace(parameter).name in str(refused.value), str(refused.value)


@pytest.mark.parametrize("name", ENTRANCES)
def test_one_of_each_is_let_in(name: str) -> None:
    one = maker("strict-device-float32")
    ENTRANCES[name](one, one)


def test_a_covariance_is_of_numpy_or_lies_where_the_outputs_do() -> None:
    torch = pytest.importorskip("torch")
    net, weights, iota = _network(maker("numpy-float64"))
    data = iota.sample(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(KindError, match=r"the covariance of a Gaussian(?s:.*)numpy(?s:.*)torch"):
        net.loss(weights, data, gk.Gaussian(torch.eye(2, dtype=torch.float64)).on(iota))
    net.loss(weights, data, gk.Gaussian(np.eye(2)).on(iota))


def test_frames_take_arrays_of_any_library_and_keep_them_on_the_host() -> None:
    there = namespace("strict-device-float64")
    A = gk.AffineSpace("A", 2)
    iota = A.frame("iota")
    here = iota.change(np.asarray([[2.0, 1.0], [0.0, 1.0]]), np.asarray([1.0, 2.0]))
    x = A.from_coordinates(there.ones((2,)), iota).coordinates(here)
    assert there.to_numpy(x).tolist() == [4.0, 3.0]
    assert namespace_of(x) is there


# -- precision -----------------------------------------------------------------------------------------------
def test_half_precision_is_refused_with_why() -> None:
    V = gk.VectorSpace("V", 2)
    e = V.frame("e")
    for narrow in _narrow():
        with pytest.raises(KindError, match=r"keeps [23] digits(?s:.*)both need more(?s:.*)float32"):
            gk.floating.namespace_of(narrow)
        with pytest.raises(KindError, match=r"keeps [23] digits"):
            V.from_coordinates(narrow, e)


def _narrow() -> list[Any]:
    found = [np.zeros(2, dtype="float16")]
    for name in ("torch", "jax"):
        try:
            xp = pytest.importorskip(name)
        except pytest.skip.Exception:
            continue
        xp = __import__("jax.numpy").numpy if name == "jax" else xp
        found += [xp.zeros(2, dtype=xp.float16), xp.zeros(2, dtype=xp.bfloat16)]
    return found


# -- what looks like an array of numbers and is none ------------------------------------------------------------
def test_tensors_that_record_gradients_are_refused_with_what_to_do() -> None:
    torch = pytest.importorskip("torch")
    W = torch.ones((2, 3), requires_grad=True)
    for recording in (W, W * 2, torch.nn.Linear(3, 2).weight):
        with pytest.raises(KindError, match=r"records gradients(?s:.*)\.detach\(\)"):
            gk.MLP.from_arrays([recording], [torch.ones(2)])
    gk.MLP.from_arrays([W.detach()], [torch.ones(2)])


def test_gradients_are_recorded_where_that_is_asked_for() -> None:
    torch = pytest.importorskip("torch")
    X = torch.arange(12.0, dtype=torch.float64).reshape(4, 3)
    W = torch.ones((2, 3), dtype=torch.float64, requires_grad=True)
    with recording_gradients():
        net, weights, iota = gk.MLP.from_arrays([W], [torch.ones(2, dtype=torch.float64)])
        data = iota.sample(X, torch.zeros((4, 2), dtype=torch.float64))
        loss = net.loss(weights, data, gk.Gaussian().on(iota))
        A, _ = net.kfac_metric(weights, data, gk.Gaussian().on(iota)).coordinates(iota).blocks[0].factors
    (slope,) = torch.autograd.grad(loss, W)
    wanted = net.differential(weights.expressed_in(iota), data, gk.Gaussian().on(iota)).coordinates(iota)[0]
    # Means of four products of two numbers below 36.
    assert float((slope - wanted[:, :3]).detach().abs().max()) <= 8 * 2.0**-52 * 36 * 12
    assert not A.requires_grad
    with pytest.raises(KindError, match="recording_gradients"):
        iota.sample(W, None)


def test_sparse_tensors_and_those_without_numbers_are_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(KindError, match=r"dense(?s:.*)to_dense"):
        gk.MLP.from_arrays([torch.eye(2).to_sparse()], [torch.ones(2)])
    with pytest.raises(KindError, match=r"no numbers(?s:.*)meta"):
        gk.MLP.from_arrays([torch.ones(2, 2, device="meta")], [torch.ones(2, device="meta")])


def test_jax_arrays_are_refused_while_they_are_traced() -> None:
    jax = pytest.importorskip("jax")
    namespace("jax-float64")

    def loss(W: Any) -> Any:
        net, weights, iota = gk.MLP.from_arrays([W], [jax.numpy.ones(2)])
        return net.to_arrays(weights, iota)[0][0]

    W = jax.numpy.ones((2, 3))
    assert loss(W).shape == (2, 3)
    for transformed in (jax.jit(loss), jax.jacobian(loss), lambda W: jax.vmap(loss)(W[None])):
        with pytest.raises(KindError, match=r"outside of jax\.jit"):
            transformed(W)


def test_weakly_typed_jax_arrays_take_their_own_dtype() -> None:
    jax = pytest.importorskip("jax")
    ns = namespace("jax-float32")
    weak = jax.numpy.broadcast_to(jax.numpy.add(1.0, 1.0), (2,))
    assert weak.weak_type
    inside = gk.floating.namespace_of(weak).asarray(weak)
    assert not inside.weak_type
    assert (inside * ns.ones((2,)).astype(weak.dtype)).dtype == weak.dtype


def test_jax_doubles_are_refused_where_jax_would_round_them() -> None:
    jax = pytest.importorskip("jax")
    x = namespace("jax-float64").ones((2,))
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(KindError, match="jax_enable_x64"):
            gk.floating.namespace_of(x).asarray(x)
    finally:
        jax.config.update("jax_enable_x64", True)


# -- linear algebra ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("parameter", ["torch-float32", "jax-float32", "strict-device-float32", "numpy-float32"])
def test_the_errors_of_all_libraries_are_ours(parameter: str) -> None:
    ns = namespace(parameter)
    make = arrays_of(ns)
    for matrix in (np.ones((2, 2)), np.zeros((2, 2)), np.asarray([[1.0, 2.0], [2.0, 4.0]])):
        for attempt in (ns.inverse, lambda a: ns.solve(a, ns.eye(2))):
            with pytest.raises(SingularMatrixError):
                attempt(make(matrix))
    for matrix in (np.asarray([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 2), np.nan), -np.eye(2)):
        with pytest.raises(NotPositiveError):
            ns.cholesky(make(matrix))
    with pytest.raises(SingularMatrixError):
        ns.triangular_solve(make(np.asarray([[1.0, 0.0], [1.0, 0.0]])), ns.eye(2))


@pytest.mark.parametrize("width", [1023, 1024, 2051])
def test_products_made_of_halves_are_exactly_symmetric_and_right(width: int) -> None:
    ns = namespace("strict-device-float64")
    x = ns.random(np.random.default_rng(0), (3, width))
    gram = ns.gram(x)
    assert ns.equal(gram, gram.mT)
    wanted = ns.to_numpy(x).T @ ns.to_numpy(x)
    # Sums of three products.
    assert np.abs(ns.to_numpy(gram) - wanted).max() <= 3 * ns.epsilon * np.abs(ns.to_numpy(x)).max() ** 2 * 3
