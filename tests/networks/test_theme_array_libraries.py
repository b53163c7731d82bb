"""Whole programs over other array libraries: on the device where the arrays lie, in their dtype.

Arrays of array-api-strict on 'device1' cannot be read by NumPy, nor meet arrays of another device, just as
those of a GPU: what passes there moves nothing behind the user's back.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import FloatingNamespace, floating_namespace
from geomkfac.errors import KindError

from ..device_programs import (
    NAMES,
    PROGRAMS,
    assert_all_of,
    assert_solves_agree,
    assert_sums_agree,
    four_frames,
    problem_on,
    solves,
    sums,
)
from ..places import HOST, arrays_of, namespace, parameters

LIBRARIES = {name: HOST[name] for name in HOST if name != "strict"}


@pytest.fixture(params=parameters(LIBRARIES, "float64", "float32", usual={f"{name}-float64" for name in LIBRARIES}))
def ns(request: Any) -> FloatingNamespace:
    return namespace(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_sums_stay_where_they_are_and_agree_with_numpy(name: str, ns: FloatingNamespace) -> None:
    assert_sums_agree(name, ns)


@pytest.mark.parametrize("name", NAMES)
def test_steps_stay_where_they_are_and_agree_with_numpy(name: str, ns: FloatingNamespace) -> None:
    if ns.name.startswith("jax") and (name != "chain" or ns.epsilon > 1e-10):
        pytest.skip("JAX compiles every operation and shape for itself, which takes a minute")
    assert_solves_agree(name, ns)


@pytest.fixture
def no_way_to_the_host(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every copy from a device to the host that geomkfac asks for, by its size."""
    moved: list[str] = []
    to_numpy = FloatingNamespace.to_numpy

    def counted(self: Any, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            moved.append(f"{self.name} {tuple(x.shape)}")
        return to_numpy(self, x)

    monkeypatch.setattr(FloatingNamespace, "to_numpy", counted)
    return moved


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_copied_to_the_host_but_to_make_a_frame(
    name: str, dtype: str, no_way_to_the_host: list[str]
) -> None:
    problem = problem_on(name, namespace(f"strict-device-{dtype}"))
    frames = four_frames(problem)
    # The means and factors that centre and whiten; else this list could not fill.
    assert no_way_to_the_host
    no_way_to_the_host.clear()
    sums(problem)
    solves(problem, frames)
    # Origins of the frames of sums, and which eigenvalues are zero, are vectors; nothing else is read.
    assert all(re.fullmatch(r".* \(\d*,\)", copy) for copy in no_way_to_the_host)


def test_a_transfer_behind_the_back_would_be_noticed() -> None:
    there = namespace("strict-device-float64").zeros((2,))
    with pytest.raises(RuntimeError, match="Can't convert"):
        np.asarray(there)
    with pytest.raises(ValueError, match="different devices"):
        there + namespace("strict-float64").zeros((2,))
    with pytest.raises(AssertionError):
        assert_all_of({"x": there}, namespace("strict-float64"))


@pytest.mark.parametrize("parameter", ["strict-device-float64", "torch-float32", "jax-float32"])
def test_labels_may_lie_where_the_outputs_do_or_be_numpys(parameter: str) -> None:
    ns = namespace(parameter)
    make = arrays_of(ns)
    net, weights, iota, data, loss = problem_on("chain", ns)
    chunk = next(data.chunks())
    labels, X = np.array(ns.to_numpy(chunk.targets)), chunk.points.coordinates(iota)
    there = net.loss(weights, iota.sample(X, chunk.targets), loss)
    for dtype in ("int8", "uint8", "int32", "int64", "uint64"):
        from_host = iota.sample(X, labels.astype(dtype))
        assert ns.equal(net.loss(weights, from_host, loss), there)
    narrow = iota.sample(X, make(labels.astype("uint8")))
    assert ns.equal(net.loss(weights, narrow, loss), there)
    # One that is wrong is found where it lies, and shown.
    labels[3] = 3
    for wrong in (labels, make(labels)):
        with pytest.raises(ValueError, match=r"label 3 at index 3(?s:.*)0, \.\.\., 2"):
            net.loss(weights, iota.sample(X, wrong), loss)


def test_labels_of_another_library_or_device_are_refused() -> None:
    net, weights, iota, data, loss = problem_on("chain", namespace("strict-device-float64"))
    X = next(data.chunks()).points.coordinates(iota)
    elsewhere = arrays_of(namespace("strict-float64"))(np.zeros(12, dtype=int))
    with pytest.raises(KindError, match=r"labels must be integers of NumPy(?s:.*)device1(?s:.*)on cpu"):
        net.loss(weights, iota.sample(X, elsewhere), loss)
    with pytest.raises(KindError, match="labels must be integers"):
        problem = problem_on("chain", namespace("numpy-float64"))
        problem[0].loss(problem[1], problem[2].sample(np.zeros((12, 3)), elsewhere), problem[4])


@pytest.mark.parametrize("name", NAMES)
def test_a_device_without_doubles_is_enough_for_single_precision(name: str) -> None:
    # Apple's are of this sort.  Frames keep doubles, on the host.
    ns = floating_namespace("array_api_strict", "float32", "no_float64")
    assert_sums_agree(name, ns)
    assert_solves_agree(name, ns)


@pytest.mark.parametrize("parameter", [f"{name}-float64" for name in ("numpy", "torch", "strict-device")])
@pytest.mark.parametrize("name", NAMES)
def test_no_array_that_came_in_is_written_to(name: str, parameter: str) -> None:
    ns, given = namespace(parameter), []
    convert = arrays_of(ns)

    def remembered(values: Any) -> Any:
        array = convert(np.array(values))
        given.append((array, np.array(values)))
        return array

    problem = PROGRAMS[name](remembered)
    sums(problem)
    solves(problem, four_frames(problem))
    assert len(given) >= 6
    for array, before in given:
        assert np.array_equal(ns.to_numpy(array), before)


def test_labels_of_every_step_may_be_numpys() -> None:
    ns = namespace("strict-device-float64")
    net, weights, iota, data, loss = problem_on("sequence", ns)
    chunk = next(data.chunks())
    X, labels = chunk.points.coordinates(iota), np.array(ns.to_numpy(chunk.targets))
    there, from_host = iota.sample(X, chunk.targets), iota.sample(X, labels)
    assert ns.equal(net.loss(weights, from_host, loss, chunk_size=5), net.loss(weights, there, loss, chunk_size=5))
