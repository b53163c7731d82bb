"""``geomkfac step``: one natural gradient step, computed in one basis and written in another."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from geomkfac.arrays import namespace_of
from geomkfac.cli import options
from geomkfac.cli.degeneracy import RANKS, degeneracies
from geomkfac.cli.device_option import DEVICE
from geomkfac.cli.network_files import checked_output, entries, load
from geomkfac.cli.network_problem import Measurement, NetworkProblem, advice, basis, named_norm
from geomkfac.cli.printing import print_json, progress_bar, write_line
from geomkfac.errors import ValuesError
from geomkfac.interop import write_network
from geomkfac.metrics import MetricTensor
from geomkfac.names import look_up
from geomkfac.spaces import Euclidean, Parameterization, Vector

DAMPED = {
    "metric": "Damped by {damping:g} times the Euclidean metric of the given basis, carried along: the same step from "
    "every basis.",
    "factored": "Both factors damped, strength {damping:g}, by the Euclidean metric of the given basis, carried along: "
    "the same step from every basis.",
    "identity": "Damped by {damping:g} times the identity matrix of the {basis} basis: another basis gives another "
    "step.",
}
"""The kinds of damping, and what is said about each."""


RATE: Any = typer.Option("--rate", metavar="X", help="The learning rate.")
DAMPING: Any = typer.Option("--damping", metavar="X", help="Its strength, positive; none by default.")
DAMPING_KIND: Any = typer.Option(
    "--damping-kind",
    metavar="NAME",
    help="metric (the default): by the Euclidean metric of the given basis, carried along, exactly; factored: by "
    "the same, each factor for itself; identity: by the identity matrix of the chosen basis, on which the step "
    "then depends.",
)
OUT: Any = typer.Option("--out", metavar="FILE", help="Write the network after the step, in the given basis.")


@options.with_groups
def step(
    asked: options.ProblemOptions,
    rate: Annotated[float, RATE] = 1.0,
    damping: Annotated[float | None, DAMPING] = None,
    damping_kind: Annotated[str | None, DAMPING_KIND] = None,
    *,
    measured: Measurement,
    device: Annotated[str, DEVICE] = "cpu",
    out: Annotated[str | None, OUT] = None,
    as_json: Annotated[bool, options.JSON] = False,
) -> None:
    """One K-FAC step, computed natively in the chosen basis and written in the given one.

    Weights and data are stored in the chosen basis, and everything runs there.
    """
    checked_output(out)
    kind = _checked_kind(rate, damping, damping_kind)
    problem = load(asked, device)
    norm = named_norm(asked.norm, problem.given)
    chosen = basis(asked.basis, problem, norm, measured)

    there = problem.stored_in(chosen)
    metric = measured.metric(there)
    before, dh = there.loss_and_differential(measured.how)
    with progress_bar("step"):
        vector = _solved(metric, dh, there, chosen, damping, kind, norm)
    after = there.weights - rate * vector
    loss = _finite(problem.mean_loss(after, measured.how))

    if out is not None:
        arrays = problem.net.to_arrays(after, problem.given)
        chained = asked.architecture is None
        write_network(out, [entries(W) for W, _ in arrays], [entries(b) for _, b in arrays], chained=chained)
    report = {
        "basis": asked.basis,
        "rate": rate,
        "damping": damping,
        "damping_kind": kind,
        "norm": asked.norm,
        "fisher": measured.fisher,
        "samples": measured.drawn,
        "seed": measured.seed,
        "device": device,
        "loss_before": before,
        "loss_after": loss,
        "loss_rose": loss > before,
        "predicted_decrease": rate * float(dh(vector)),
        # Undamped, the step's square is what dh says of it, which null directions of the metric cannot spoil.
        "length_in_metric": abs(rate) * math.sqrt(max(0.0, float(metric(vector, vector) if kind else dh(vector)))),
        "length_given": abs(rate) * _length(vector, problem.given),
        "notes": degeneracies(metric, asked.output, problem.net.output_layer),
        "out": out,
    }
    report["choice"] = _choice(report, metric.nullity > 0)
    if as_json:
        print_json(report)
    else:
        _show(report)


def _solved(
    metric: MetricTensor,
    dh: Vector,
    problem: NetworkProblem,
    chosen: Parameterization,
    damping: float | None,
    kind: str | None,
    norm: Euclidean | None,
) -> Vector:
    """The natural gradient, damped as asked."""
    if damping is None:
        with advice("On the command line: name a norm (--norm given), or damp the step (--damping)."):
            return metric.sharp(dh) if norm is None else metric.minimal_solution(dh, norm=norm)
    if kind == "identity":
        operator = metric.coordinates(chosen).damped_by_identity(damping)
        components = operator.solve(dh.coordinates(chosen))
        vector: Vector = problem.net.weight_space.direction.from_coordinates(list(components), chosen)
        return vector
    return metric.damped(problem.given.euclidean, damping, "factored" if kind == "factored" else "exact").sharp(dh)


def _checked_kind(rate: float, damping: float | None, kind: str | None) -> str | None:
    """The kind of damping, None where there is none; all three options checked."""
    if not math.isfinite(rate):
        raise ValuesError(f"--rate must be a finite number.\n  came: {rate}\nThe default is 1.")
    if damping is None:
        if kind is not None:
            raise ValuesError(
                f"--damping-kind goes with --damping alone.\n  came: --damping-kind {kind}, and no --damping\n"
                "Add its strength, for instance --damping 0.01."
            )
        return None
    if not (math.isfinite(damping) and damping > 0):
        raise ValuesError(f"--damping must be a positive number.\n  came: {damping}\nLeave it out for no damping.")
    name = "metric" if kind is None else kind
    look_up("kind of damping", name, DAMPED)
    return name


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ValuesError(
            f"the step leaves what floating point can hold.\n  required: a finite loss after it\n  came    : {loss}\n"
            "Use a smaller --rate, or more --damping."
        )
    return loss


def _length(vector: Vector, frame: Parameterization) -> float:
    """The Euclidean length of the coordinates in `frame`."""
    parts = vector.coordinates(frame)
    return math.sqrt(sum(float(namespace_of(part).sum(part * part)) for part in parts))


def _choice(report: dict[str, Any], degenerate: bool) -> str:
    """What decided the step in null directions of the metric, and by whom it was chosen."""
    if report["damping_kind"] is not None:
        said = DAMPED[report["damping_kind"]].format(**report)
        idle = report["norm"] != "none" and report["basis"] != "whitened"
        return f"{said} It is nondegenerate: the norm that you named was not needed." if idle else said
    if not degenerate:
        return "The metric is nondegenerate: it alone decides the step."
    return (
        f"Of all solutions, the one smallest in the norm that you named: {report['norm']}, the Euclidean norm of the "
        "given basis."
    )


def _show(report: dict[str, Any]) -> None:
    write_line(f"One K-FAC step at rate {report['rate']:g}, computed in the {report['basis']} basis.")
    for note in report["notes"]:
        write_line(f"- {note}")
    write_line(report["choice"])
    if report["notes"] and report["damping_kind"] is None:
        write_line(RANKS)
    write_line()
    write_line(f"loss before              {report['loss_before']:.12g}")
    write_line(f"loss after               {report['loss_after']:.12g}")
    write_line(f"decrease to first order  {report['predicted_decrease']:.6g}")
    if report["loss_rose"]:
        write_line("The loss rose: the step is too long for its first order. Take a smaller --rate, or add --damping.")
    write_line(f"length of the step       {report['length_in_metric']:.6g} in the K-FAC metric")
    write_line(f"                         {report['length_given']:.6g} in the given basis")
    if report["out"] is not None:
        write_line()
        write_line(f"Written to {report['out']}: the network after the step, in the given basis.")
