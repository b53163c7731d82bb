"""Whole programs, from arrays to a step and back, that tests run on every array library and device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import FloatingNamespace, namespace_of

from .places import arrays_of

DATA = 12
WIDEST = 16
"""The longest sum over units in the networks below: the inputs of the convolutions' and recurrences' layers."""


def _layers(rng: Any, *shapes: tuple[int, int]) -> tuple[list[Any], list[Any]]:
    Ws = [rng.standard_normal((m, n)) / n**0.5 for m, n in shapes]
    return Ws, [rng.standard_normal(m) / 4 for m, _ in shapes]


def chain(make: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A fully connected network: (net, weights, iota, data, loss)."""
    rng = np.random.default_rng(3)
    Ws, bs = _layers(rng, (4, 3), (3, 4))
    X, y = rng.standard_normal((DATA, 3)), rng.integers(0, 3, DATA)
    X[:, 1] = 0.5  # a constant input: the metric is degenerate there too
    net, weights, iota = gk.MLP.from_arrays([make(W) for W in Ws], [make(b) for b in bs], activation="tanh")
    return net, weights, iota, iota.sample(make(X), make(y)), gk.Categorical().on(iota)


def convolution(make: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A convolutional network with padding, pooling and a dense layer; independent binary outputs."""
    rng = np.random.default_rng(4)
    stages = [gk.Convolution(2, kernel=2, padding=1), "softplus", gk.MaxPooling(2), gk.Dense(2)]
    Ws, bs = [rng.standard_normal((2, 1, 2, 2)) / 2, rng.standard_normal((2, 8)) / 3], [np.ones(2) / 4, np.ones(2) / 8]
    X, y = rng.standard_normal((DATA, 1, 3, 3)), rng.integers(0, 2, (DATA, 2))
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays(
        [make(W) for W in Ws], [make(b) for b in bs], grid=(3, 3), stages=stages
    )
    return net, weights, iota, iota.sample(make(np.moveaxis(X, 1, -1)), make(y)), gk.Bernoulli().on(iota)


def recurrence(make: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A recurrence over sequences of different lengths; a Gaussian output at its end."""
    rng = np.random.default_rng(5)
    Ws, bs = _layers(rng, (3, 3), (3, 2), (2, 3))
    X, y = rng.standard_normal((DATA, 4, 2)), rng.standard_normal((DATA, 2))
    arrays = [make(W) for W in Ws], [make(b) for b in bs]
    net, weights, iota = gk.RecurrentNetwork.from_arrays(*arrays, steps=4, at="last")
    data = iota.sample(make(X), make(y), lengths=[1 + n % 4 for n in range(DATA)])
    return net, weights, iota, data, gk.Gaussian(np.asarray([[2.0, 0.5], [0.5, 1.0]])).on(iota)


def sequence(make: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A recurrence with a label at every step."""
    rng = np.random.default_rng(6)
    Ws, bs = _layers(rng, (3, 3), (3, 2), (3, 3))
    X, y = rng.standard_normal((DATA, 4, 2)), rng.integers(0, 3, (DATA, 4))
    arrays = [make(W) for W in Ws], [make(b) for b in bs]
    net, weights, iota = gk.RecurrentNetwork.from_arrays(*arrays, steps=4)
    return net, weights, iota, iota.sample(make(X), make(y)), gk.Categorical().on(iota)


PROGRAMS = {"chain": chain, "convolution": convolution, "recurrence": recurrence, "sequence": sequence}
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name != "chain")) for name in PROGRAMS]
"""Of the programs; one from end to end is tried every time, the others in CI."""


def sums(problem: Any) -> dict[str, Any]:
    """What is made of sums and products alone, in the frames that the arrays came in."""
    net, weights, iota, data, loss = problem
    found = {"loss": net.loss(weights, data, loss)}
    for index, part in enumerate(net.differential(weights, data, loss, chunk_size=5).coordinates(iota)):
        found[f"differential {index}"] = part
    for fisher in ("exact", "sampled", "empirical"):
        g = net.kfac_metric(weights, data, loss, fisher=fisher, chunk_size=5)
        for index, block in enumerate(g.coordinates(iota).blocks):
            found |= {f"{fisher} {name}{index}": x for name, x in zip("AG", block.factors, strict=True)}
    found["predictions"] = net.predictions(weights, next(data.chunks()).points, loss)
    return found


def solves(problem: Any, frames: dict[str, Any] | None = None) -> dict[str, Any]:
    """Steps by the metric of every frame, damped and not, and arrays of the network after one."""
    net, weights, iota, data, loss = problem
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    frames = {"given": iota} if frames is None else frames
    found = {}
    for name, kappa in frames.items():
        there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
        h = net.kfac_metric(there, moved, loss)
        steps = {
            "minimal": lambda h=h: h.minimal_solution(dh, norm=iota.euclidean),
            "exactly damped": lambda h=h: h.damped(iota.euclidean, 0.1, "exact").sharp(dh),
            "damped in factors": lambda h=h: h.damped(iota.euclidean, 0.1, "factored").sharp(dh),
        }
        for kind, step in steps.items():
            after = net.to_arrays(weights - 0.1 * step(), kappa)
            found |= {f"{kind} {name} {index}": part for index, part in enumerate(step().coordinates(iota))}
            found |= {f"{kind} {name} after {index}": W for index, (W, _) in enumerate(after)}
        found |= {f"identity damped {name}": x for x in g.coordinates(kappa).damped_by_identity(0.5).solve(
            dh.coordinates(kappa))}  # fmt: skip
    return found


def four_frames(problem: Any) -> dict[str, Any]:
    """The given frames, centred, whitened and random ones: making them reads the device."""
    net, weights, iota, data, loss = problem
    g = net.kfac_metric(weights, data, loss)
    return {
        "given": iota,
        "centered": iota.centered(g),
        "whitened": iota.whitened(g, norm=iota.euclidean),
        "random": iota.random(np.random.default_rng(0)),
    }


def rounding_of_sums(problem: Any, ns: FloatingNamespace) -> float:
    """A bound, relative to what is bounded or to 1, of how far two ways of summing are apart.

    Every number on the way is at most the product over layers of ``1 + ||(W b)||``, squared with the way back;
    each is a sum of at most WIDEST products, as often as there are layers, two ways, then a mean over the data.
    """
    net, weights, iota, *_ = problem
    growth = 1.0
    for part in weights.coordinates(iota):
        growth *= 1.0 + ns.norm(part)
    return 2 * (2 * len(net.layers) * WIDEST + DATA) * ns.epsilon * growth**2


def reference(name: str, run: Any, **arguments: Any) -> dict[str, Any]:
    """The same program on NumPy in double."""
    return run(PROGRAMS[name](np.asarray), **arguments)


def problem_on(name: str, ns: FloatingNamespace) -> Any:
    return PROGRAMS[name](arrays_of(ns))


def assert_all_of(found: dict[str, Any], ns: FloatingNamespace) -> None:
    """Every array that comes out has the library, the dtype and the device of what went in."""
    assert {name: namespace_of(x).name for name, x in found.items()} == dict.fromkeys(found, ns.name)


def assert_sums_agree(name: str, ns: FloatingNamespace) -> None:
    """What is made of sums comes out where it went in, and agrees with NumPy to the rounding of sums."""
    problem = problem_on(name, ns)
    bound, wanted = rounding_of_sums(problem, ns), reference(name, sums)
    # Single precision must leave room for errors to show: TF32's are 2**-11.
    assert bound <= 2.0**-4
    found = sums(problem)
    assert_all_of(found, ns)
    assert found.keys() == wanted.keys()
    for key, x in found.items():
        assert np.linalg.norm(ns.to_numpy(x) - wanted[key]) <= bound * max(np.linalg.norm(wanted[key]), 1.0), key


def assert_solves_agree(name: str, ns: FloatingNamespace) -> None:
    """Steps and arrays after them, in four bases: everything stays; in double it agrees with NumPy's."""
    problem, there = problem_on(name, ns), PROGRAMS[name](np.asarray)
    found, wanted = solves(problem, four_frames(problem)), solves(there, four_frames(there))
    assert_all_of(found, ns)
    condition = max(condition_of(there, kappa) for kappa in four_frames(there).values())
    if ns.epsilon > 1e-10:
        # In single precision the bound would allow anything; dtypes and devices are what is tested.
        return
    bound = rounding_of_sums(problem, ns) * condition
    assert bound <= 2.0**-10
    for key, x in found.items():
        assert np.linalg.norm(ns.to_numpy(x) - wanted[key]) <= bound * max(np.linalg.norm(wanted[key]), 1.0), key


def condition_of(problem: Any, kappa: Any) -> float:
    """How much solving with a layer's two factors magnifies rounding, in the worse basis; null ones left out."""
    net, weights, iota, data, loss = problem
    worst = 1.0
    for part in net.kfac_metric(weights, data, loss).parts:
        product = 1.0
        for form in part.kronecker_factors()[0]:
            spectra = [np.linalg.eigvalsh(form.coordinates(frame))[form.nullity :] for frame in (iota, kappa)]
            product *= max(values[-1] / values[0] for values in spectra)
        worst = max(worst, product)
    return worst
