"""Gauge programs: networks, files, the command line."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac import interop, maps
from geomkfac.arrays.namespace import Kind
from geomkfac.theorems import STATEMENTS, run

from .registry import FIELD, numbers, program


def network(kind: Kind, activation: Any = None) -> tuple[Any, Any, Any]:
    """A network of widths 2-3-2 with a polynomial activation, so that it runs over every kind."""
    scale = 1 if kind.is_exact else 0.5
    Ws = [numbers(kind, 3, 2, seed=1) * scale, numbers(kind, 2, 3, seed=2) * scale]
    bs = [numbers(kind, 3, seed=3) * scale, numbers(kind, 2, seed=4) * scale]
    return gk.MLP.from_arrays(Ws, bs, activation or maps.polynomial(0, 1, 1), kind=kind)


@program(
    "MLP", "MLP.from_arrays", "MLP.from_widths", "MLP.to_arrays", "MLP.weights_from_arrays", "MLP.random_weights",
    "MLP.inputs", "MLP.outputs", "MLP.layers", "MLP.activations", "MLP.weight_space", rounds_nothing=False, slots=2,
)
def values_of_a_network(kind: Kind) -> Any:
    net, weights, iota = network(kind)
    points = net.inputs.from_coordinates(numbers(kind, 5, 2), iota)
    arrays = net.to_arrays(weights, iota)
    again = net.weights_from_arrays([W for W, _ in arrays], [b for _, b in arrays], iota)
    drawn = net.random_weights(np.random.default_rng(0), iota)
    return (
        net(weights, points).coordinates(iota), arrays, net(again, points).coordinates(iota),
        net(drawn, points).coordinates(iota),
    )


@program(
    "MLP.kfac_metric", "MLP.moments", "MLP.differential", "KfacMoments", "LayerMoments", rounds_nothing=False,
    slots=2, solves=1000.0,
)
def the_kfac_metric_and_its_step(kind: Kind) -> Any:
    net, weights, iota = network(kind)
    data = iota.sample(numbers(kind, 12, 2, seed=9), numbers(kind, 12, 2, seed=10))
    loss = gk.Gaussian().on(iota)
    g = net.kfac_metric(weights, data, loss)
    halves = [iota.sample(numbers(kind, 12, 2, seed=9)[part, :]) for part in (slice(0, 5), slice(5, 12))]
    merged = net.moments(weights, halves[0], loss) + net.moments(weights, halves[1], loss)
    dh = net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=iota.euclidean)
    factors = tuple(factor for block in g.coordinates(iota).blocks for factor in block.factors)
    second = tuple(factor for block in merged.metric().coordinates(iota).blocks for factor in block.factors)
    return factors, second, dh.coordinates(iota), step.coordinates(iota), net.to_arrays(weights - step, iota)


@program("Checkpoint", rounds_nothing=False, slots=2)
def moments_saved_and_read_again(kind: Kind) -> Any:
    net, weights, iota = network(kind)
    kappa = iota.change({net.inputs: (numbers(kind, 2, 2, seed=3) + 4 * kind.default_namespace.eye(2), None)})
    data, loss = iota.sample(numbers(kind, 12, 2, seed=9)), gk.Gaussian().on(iota)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as executor:
        how = {"chunk_size": 5, "checkpoint": interop.Checkpoint(f"{folder}/sums.npz", kappa)}
        first = net.kfac_metric(weights, data, loss, executor=executor, **how)
        again = net.kfac_metric(weights, data, loss, **how)
        saved = interop.read_arrays(f"{folder}/sums.npz")
    # Exact numbers are written as text.  Sums of inputs stand about a point that the file names.
    written = []
    for index in (1, 2):
        A, G, origin, per_unit = (
            saved[f"layer{index}.{name}"].astype(float) for name in ("activations", "covectors", "origin", "per_unit")
        )
        T = np.eye(len(A))
        if origin.size:
            T[:-1, -1] = origin
        if per_unit.size:
            T[:-1, :-1] /= per_unit
        written += [T @ A @ T.T, G]
    factors = (factor for g in (first, again) for block in g.coordinates(iota).blocks for factor in block.factors)
    return *written, *factors


@program("MLP.fisher_metric", "MLP.gauss_newton_metric", rounds_nothing=False, slots=2)
def exact_metrics_of_a_network(kind: Kind) -> Any:
    net, weights, iota = network(kind)
    data = iota.sample(numbers(kind, 12, 2, seed=9))
    frame = iota[net.weight_space.direction]
    euclidean = gk.EuclideanMetric(iota[net.outputs])
    return (
        net.fisher_metric(weights, data, gk.Gaussian().on(iota)).coordinates(frame),
        net.gauss_newton_metric(weights, data, euclidean).coordinates(frame),
    )


@program("MLP.loss", "MLP.loss_and_differential", "MLP.predictions", exact=False, rounds_nothing=False, slots=2)
def losses_predictions_and_sampled_metrics(kind: Kind) -> Any:
    net, weights, iota = network(kind, "tanh")
    X = numbers(kind, 12, 2, seed=9)
    data, loss = iota.sample(X, np.arange(12) % 2), gk.Categorical().on(iota)
    points = net.inputs.from_coordinates(X, iota)
    sampled = net.kfac_metric(weights, data, loss, fisher="sampled", samples=3, seed=1)
    empirical = net.kfac_metric(weights, data, loss, fisher="empirical")
    factors = [factor for g in (sampled, empirical) for block in g.coordinates(iota).blocks for factor in block.factors]
    both = net.loss_and_differential(weights, iota.sample(X, np.arange(12) % 2), loss)
    return (
        net.loss(weights, data, loss), net.predictions(weights, points, loss), factors,
        both[0], both[1].coordinates(iota),
    )


@program(
    "Parameterization.centered", "Parameterization.whitened", exact=False, rounds_nothing=False, slots=2, solves=1000.0,
)
def centred_and_whitened_coordinates(kind: Kind) -> Any:
    net, weights, iota = network(kind, "tanh")
    data, loss = iota.sample(numbers(kind, 12, 2, seed=9)), gk.Categorical().on(iota)
    g = net.kfac_metric(weights, data, loss)
    centered = iota.centered(g)
    whitened = iota.whitened(g, norm=iota.euclidean)
    factors = [factor for kappa in (centered, whitened) for b in g.coordinates(kappa).blocks for factor in b.factors]
    return factors, net.to_arrays(weights, centered)


@program(
    "read_arrays", "read_data", "read_network", "write_arrays", "write_data", "write_network", exact=False,
    rounds_nothing=False, slots=2,
)
def through_files_and_back(kind: Kind) -> Any:
    net, weights, iota = network(kind, "tanh")
    arrays = net.to_arrays(weights, iota)
    X = numbers(kind, 12, 2, seed=9)
    with tempfile.TemporaryDirectory() as folder:
        file, table = Path(folder) / "net.npz", Path(folder) / "data.npz"
        interop.write_network(file, [W for W, _ in arrays], [b for _, b in arrays])
        interop.write_data(table, X, np.arange(12) % 2)
        Ws, bs = interop.read_network(file)
        inputs, targets = interop.read_data(table)
        interop.write_arrays(Path(folder) / "plain.npz", {"X": inputs})
        plain = interop.read_arrays(Path(folder) / "plain.npz")["X"]
    again, read, iota = gk.MLP.from_arrays(Ws, bs, activation="tanh")
    return again.loss(read, iota.sample(plain, targets), gk.Categorical().on(iota))


def command(*words: str) -> Any:
    """Run a command on a small network and data; the numbers that it prints as JSON, and the file that it writes."""
    import contextlib
    import io

    from geomkfac.cli import main

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("net.npz", "data.npz", "out.npz")]
        interop.write_network(
            paths[0], [rng.standard_normal((3, 2)), rng.standard_normal((2, 3))],
            [rng.standard_normal(3), rng.standard_normal(2)],
        )
        interop.write_data(paths[1], rng.standard_normal((20, 2)), rng.integers(0, 2, 20))
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            asked = ["--activation", "tanh", "--output", "categorical", "--json", "--out", paths[2]]
            main([words[0], *paths[:2], *asked, *words[1:]])
        written = interop.read_arrays(paths[2])
    printed = np.asarray(list(_numbers(json.loads(text.getvalue()))))
    return printed, tuple(written[name] for name in sorted(written))


def _numbers(document: Any) -> Any:
    if isinstance(document, dict | list):
        for part in document.values() if isinstance(document, dict) else document:
            yield from _numbers(part)
    elif isinstance(document, int | float):
        yield float(document)


@program("geomkfac factors", "main", exact=False, rounds_nothing=False, slots=2, solves=1000.0)
def the_command_factors(kind: Kind) -> Any:
    return command("factors", "--basis", "whitened", "--norm", "given")


@program("geomkfac step", exact=False, rounds_nothing=False, slots=2, solves=1000.0)
def the_command_step(kind: Kind) -> Any:
    return command("step", "--basis", "random", "--norm", "given", "--rate", "0.5")


@program("geomkfac verify", "run", floats=False)
def a_verified_statement(kind: Kind) -> Any:
    report = run(STATEMENTS["LG-P3.7"], trials=1, seed=0)
    ns: Any = FIELD.default_namespace
    return ns.asarray([int(report.holds), len(report.results)])
