"""K-FAC on devices: whole programs, the digits in four bases, more data than one chunk, and memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import FloatingNamespace, namespace_of
from geomkfac.arrays.floats.memory import free_memory
from geomkfac.interop import load_digits, load_digits_network

from ..device_programs import NAMES, assert_solves_agree, assert_sums_agree, rounding_of_sums
from ..places import arrays_of

PIXELS = 65
"""The longest sum over units of the digits' network: 64 pixels and a one."""


@pytest.mark.parametrize("name", NAMES)
def test_whole_programs_stay_on_the_device_and_agree_with_numpy(name: str, place: FloatingNamespace) -> None:
    if place.name.startswith("jax") and name != "chain":
        pytest.skip("JAX compiles every operation and shape for itself, which takes minutes")
    assert_sums_agree(name, place)
    assert_solves_agree(name, place)


def digits(make: Any, dtype: str = "float64") -> Any:
    """The digits' network: (net, weights, iota, data, loss)."""
    X, y = load_digits(dtype)
    Ws, bs = (list(map(make, arrays)) for arrays in load_digits_network())
    net, weights, iota = gk.MLP.from_arrays(Ws, bs)
    return net, weights, iota, iota.sample(make(X), make(y)), gk.Categorical().on(iota)


def factors(g: Any, kappa: Any) -> list[Any]:
    return [factor for block in g.coordinates(kappa).blocks for factor in block.factors]


def test_the_digits_factors_agree_with_numpys_in_chunks_of_any_size(place: FloatingNamespace) -> None:
    net, weights, iota, data, loss = problem = digits(arrays_of(place))
    whole = factors(net.kfac_metric(weights, data, loss), iota)
    parts = factors(net.kfac_metric(weights, data, loss, chunk_size=500), iota)
    there, there_weights, there_iota, there_data, there_loss = digits(np.asarray)
    wanted = factors(there.kfac_metric(there_weights, there_data, there_loss), there_iota)
    # Sums over pixels and data; tanh and softmax shrink what comes in, so the growth of the bound is that of inputs.
    bound = (1797 + 2 * 4 * PIXELS) * place.epsilon * 16**2
    assert rounding_of_sums(problem, place) > bound / 16
    assert bound < 2.0**-3
    for one, some, exact in zip(whole, parts, wanted, strict=True):
        assert namespace_of(one) is namespace_of(some) is place
        scale = max(np.linalg.norm(exact), 1.0)
        assert np.linalg.norm(place.to_numpy(one) - exact) <= bound * scale
        assert np.linalg.norm(place.to_numpy(some) - place.to_numpy(one)) <= bound * scale


def test_the_digits_step_is_the_same_in_four_bases(place: FloatingNamespace) -> None:
    net, weights, iota, data, loss = digits(arrays_of(place))
    g = net.kfac_metric(weights, data, loss)
    bases = {
        "given": iota,
        "centered": iota.centered(g),
        "whitened": iota.whitened(g, norm=iota.euclidean),
        "random": iota.random(np.random.default_rng(0)),
    }
    steps = {}
    for name, kappa in bases.items():
        there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
        metric, dh = net.kfac_metric(there, moved, loss), net.differential(there, moved, loss)
        steps[name] = metric.damped(iota.euclidean, 0.1, "factored").sharp(dh).coordinates(iota)
        assert {namespace_of(part).name for part in steps[name]} == {place.name}
    condition = [_damped_condition(part, iota, place) for part in g.parts]
    for name in bases:
        for index, (found, wanted) in enumerate(zip(steps[name], steps["given"], strict=True)):
            # Frames of condition 1e2 at most (whitening: the root of the factors'), in and out, for two slots.
            bound = 1e2 * 2 * PIXELS * place.epsilon * condition[index]
            gap = np.linalg.norm(place.to_numpy(found) - place.to_numpy(wanted))
            assert gap <= bound * np.linalg.norm(place.to_numpy(wanted)), (name, index, gap, bound)


def _damped_condition(part: Any, iota: Any, ns: FloatingNamespace) -> float:
    """How much solving with both damped factors magnifies rounding: each has 0.1**0.5 added, shared out by size."""
    product = 1.0
    for form in part.kronecker_factors()[0]:
        values = np.linalg.eigvalsh(ns.to_numpy(form.coordinates(iota)).astype("float64"))
        product *= 1.0 + values[-1] / 0.1**0.5
    return product


# -- memory ------------------------------------------------------------------------------------------------------
@contextmanager
def peak_memory(ns: FloatingNamespace) -> Iterator[list[int]]:
    """The most bytes that arrays held on a GPU within it, in a list of one."""
    found: list[int] = []
    library = ns.name.split()[0]
    if ns.place == "cpu" or library not in ("torch", "cupy"):
        pytest.skip(f"{ns.name} does not count its memory")
    if library == "torch":
        import torch

        torch.cuda.reset_peak_memory_stats(ns.device)
        yield found
        found.append(torch.cuda.max_memory_allocated(ns.device))
        return
    import cupy

    if not hasattr(cupy.cuda, "MemoryHook"):
        pytest.skip("this CuPy is planted, and does not count its memory")
    pool = cupy.get_default_memory_pool()

    class Peak(cupy.cuda.MemoryHook):
        name = "Peak"
        most = 0

        def malloc_postprocess(self, **_: object) -> None:
            Peak.most = max(Peak.most, pool.used_bytes())

    with Peak():
        yield found
    found.append(Peak.most)


def test_the_peak_beyond_the_data_is_one_chunk_whatever_their_number(place: FloatingNamespace) -> None:
    rng, make = np.random.default_rng(0), arrays_of(place)
    widths, chunk = [64, 256, 10], 1024
    Ws = [make(rng.standard_normal((m, n)) / n**0.5) for n, m in itertools.pairwise(widths)]
    net, weights, iota = gk.MLP.from_arrays(Ws, [make(np.zeros(m)) for m in widths[1:]])
    loss, beyond = gk.Categorical().on(iota), []
    for count in (4 * chunk, 4 * chunk, 16 * chunk):  # The first one fills caches and workspaces.
        X, y = make(rng.standard_normal((count, widths[0]))), make(rng.integers(0, 10, count))
        data = iota.sample(X, y)
        with peak_memory(place) as peak:
            net.kfac_metric(weights, data, loss, chunk_size=chunk)
        beyond.append(peak[0] - X.size * X.dtype.itemsize - y.size * y.dtype.itemsize)
    # A chunk holds ten covectors of 256 numbers for each datum, some times over; another one would show.
    one_chunk = chunk * 10 * 256 * X.dtype.itemsize
    assert beyond[2] - beyond[1] < one_chunk / 2


def test_free_memory_is_known(place: FloatingNamespace) -> None:
    free = free_memory(place)
    if place.place == "cpu" or "cuda" in place.place:
        assert free is None or free > 2**20
    else:
        assert free is None
