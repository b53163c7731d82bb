"""``geomkfac step``: one natural gradient step, computed in one basis and written in another."""

from __future__ import annotations

import math
from typing import Any

import typer

from geomkfac.cli import options
from geomkfac.cli.factors import degeneracies, measured_metric
from geomkfac.cli.loading import Problem, basis, checked_output, entries, load, named_norm
from geomkfac.cli.output import print_json, write_line
from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.interop import write_network
from geomkfac.metrics import MetricTensor
from geomkfac.spaces import Euclidean, Parameterization, Vector

__all__ = ["step"]

KINDS = ("metric", "factored", "identity")


def step(
    network: str = options.NETWORK,
    data: str = options.DATA,
    activation: str = options.ACTIVATION,
    output: str = options.OUTPUT,
    basis_name: str = options.BASIS,
    rate: float = typer.Option(1.0, "--rate", help="The learning rate."),
    damping: float = typer.Option(None, "--damping", help="The strength of the damping, positive; none by default."),
    damping_kind: str = typer.Option(
        "metric",
        "--damping-kind",
        help="metric: by the Euclidean metric of the given coordinates, carried along, exactly; factored: the same "
        "added to each factor; identity: by the identity matrix of the chosen basis, which depends on that basis.",
    ),
    fisher: str = options.FISHER,
    samples: int = options.SAMPLES,
    norm: str = options.NORM,
    seed: int = options.SEED,
    chunk: int = options.CHUNK,
    out: str = typer.Option(None, "--out", help="Write the network after the step, in the given basis."),
    as_json: bool = options.JSON,
) -> None:
    """One K-FAC step computed natively in the chosen basis, written in the given one; loss before and after."""
    checked_output(out)
    _check_numbers(rate, damping, damping_kind)
    problem = load(network, data, activation, output)
    metric = measured_metric(problem, fisher, samples, seed, chunk)
    named = named_norm(norm, problem.given)
    chosen = basis(basis_name, problem, metric, named, seed)

    there = _stored_in(problem, chosen)
    metric = measured_metric(there, fisher, samples, seed, chunk)
    dh = there.net.differential(there.weights, there.data, there.loss, chunk_size=chunk)
    vector = solved(metric, dh, there, chosen, damping, damping_kind, named)
    after = there.weights - rate * vector

    losses = [float(problem.net.loss(w, problem.data, problem.loss)) for w in (problem.weights, after)]
    if not math.isfinite(losses[1]):
        raise ValuesError(f"the loss after the step is {losses[1]}: the step was too long; use a smaller --rate.")
    if out is not None:
        arrays = problem.net.to_arrays(after, problem.given)
        write_network(out, [entries(W) for W, _ in arrays], [entries(b) for _, b in arrays])
    report = {
        "basis": basis_name,
        "rate": rate,
        "damping": damping,
        "damping_kind": None if damping is None else damping_kind,
        "norm": norm,
        "loss_before": losses[0],
        "loss_after": losses[1],
        "predicted_decrease": rate * float(dh(vector)),
        "notes": degeneracies(metric),
        "out": out,
    }
    if as_json:
        print_json(report)
    else:
        _show(report)


def solved(
    metric: MetricTensor,
    dh: Vector,
    problem: Problem,
    chosen: Parameterization,
    damping: float | None,
    kind: str,
    norm: Euclidean | None,
) -> Vector:
    """The natural gradient, damped as asked."""
    if damping is None:
        return metric.sharp(dh) if norm is None else metric.minimal_solution(dh, norm=norm)
    if kind == "identity":
        operator = metric.coordinates(chosen).damped_by_identity(damping)
        components = operator.solve(dh.coordinates(chosen))
        vector: Vector = problem.net.weight_space.direction.from_coordinates(list(components), chosen)
        return vector
    carried = problem.given.euclidean
    return metric.damped(carried, damping, "factored" if kind == "factored" else "exact").sharp(dh)


def _stored_in(problem: Problem, chosen: Parameterization) -> Problem:
    """The same problem, weights and data stored in the chosen basis, so that all runs there."""
    weights, data = problem.weights.expressed_in(chosen), problem.data.expressed_in(chosen)
    return Problem(problem.net, weights, problem.given, data, problem.loss)


def _check_numbers(rate: float, damping: float | None, kind: str) -> None:
    if not math.isfinite(rate):
        raise ValuesError(f"--rate must be a finite number, not {rate}.")
    if damping is not None and not (math.isfinite(damping) and damping > 0):
        raise ValuesError(f"--damping must be a positive number, not {damping}.\nLeave it out for no damping.")
    if kind not in KINDS:
        raise UnknownNameError(
            f"there is no such kind of damping.\n  required: one of {', '.join(KINDS)}\n  came    : {kind}"
        )


def _show(report: dict[str, Any]) -> None:
    for note in report["notes"]:
        write_line(note)
    if report["damping"] is not None:
        write_line(_DAMPED[report["damping_kind"]].format(**report))
    elif report["norm"] is not None and report["notes"]:
        write_line(f"Of all solutions, the one smallest in the norm you named: {report['norm']}.")
    write_line(f"step computed in the {report['basis']} basis, rate {report['rate']:g}")
    write_line(f"loss before      : {report['loss_before']:.12g}")
    write_line(f"loss after       : {report['loss_after']:.12g}")
    write_line(f"decrease, to first order: {report['predicted_decrease']:.6g}")
    if report["out"] is not None:
        write_line(f"Written to {report['out']}, in the given basis.")


_DAMPED = {
    "metric": "Damped by {damping:g} times the Euclidean metric of the given basis, carried along: the same in every "
    "basis.",
    "factored": "Both factors damped, strength {damping:g}, by the Euclidean metric of the given basis, carried along: "
    "the same in every basis.",
    "identity": "Damped by {damping:g} times the identity matrix of the {basis} basis: another basis gives another "
    "step.",
}
