"""``geomkfac factors``: the K-FAC matrices of a network, in the coordinates of choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.cli import options
from geomkfac.cli.degeneracy import RANKS, degeneracies
from geomkfac.cli.device_option import DEVICE
from geomkfac.cli.network_files import checked_output, entries, load
from geomkfac.cli.network_problem import Measurement, NetworkProblem, basis, named_norm
from geomkfac.cli.printing import number, print_json, table, write_line
from geomkfac.errors import ValuesError
from geomkfac.interop import write_arrays
from geomkfac.metrics import DenseTensor, DirectSumTensor
from geomkfac.spaces import BaseFrame, Parameterization, PowerSpace

OUT: Any = typer.Option(
    "--out", metavar="FILE", help="Write the factors and the basis to this .npz or .safetensors file."
)


@options.with_groups
def factors(
    asked: options.ProblemOptions,
    measured: Measurement,
    state: Annotated[str | None, options.STATE] = None,
    device: Annotated[str, DEVICE] = "cpu",
    out: Annotated[str | None, OUT] = None,
    as_json: Annotated[bool, options.JSON] = False,
) -> None:
    """The Kronecker factors A and G of every layer, in a basis of choice and in the given one.

    The file of --out holds <layer>.A (n+1, n+1) and <layer>.G (m, m) in the chosen basis, and the basis
    itself: for each of the spaces A0, Z1, A1, ... <space>.matrix B and <space>.translation c with
    y_chosen = B y_given + c.  The layers are called layer1, layer2, ...
    """
    checked_output(out)
    if state is not None and out is not None and Path(state).absolute() == Path(out).absolute():
        raise ValuesError(f"--state and --out name one file, {out}.\nGive each a file of its own.")
    problem = load(asked, device)
    norm = named_norm(asked.norm, problem.given)
    moments = measured.moments(problem, state)
    metric, loss = moments.metric(), float(moments.mean_loss())
    chosen = basis(asked.basis, problem, norm, measured, metric)
    notes = degeneracies(metric, asked.output, problem.net.output_layer)
    white = _white(metric, chosen) if asked.basis == "whitened" else None
    report: dict[str, Any] = {
        "basis": asked.basis,
        "norm": asked.norm,
        "fisher": measured.fisher,
        "samples": measured.drawn,
        "seed": measured.seed,
        "device": device,
        "data": problem.data.count,
        "loss": loss,
        "layers": _layers(metric, problem.given, chosen),
        "notes": notes,
        "choice": _choice(asked.basis, asked.norm, any(form.nullity for form in _forms(metric)), white),
        "out": out,
    }
    if out is not None:
        write_arrays(out, _arrays(problem, metric, chosen))
    if as_json:
        print_json(report)
    else:
        _show(report)


def _choice(basis_name: str, norm: str, degenerate: bool, white: tuple[float, float] | None) -> str:
    """What was chosen where the factors are degenerate, and by whom; what whitened ones were measured to be."""
    if white is None:
        if degenerate:
            return "These are the factors as they are: nothing was chosen in their null directions."
        return "No factor is degenerate: no norm was needed."
    zero, one = white
    made = f"eigenvalues of the whitened factors were measured to be within {one:.1e} of 1"
    if not degenerate:
        return f"No factor is degenerate: no norm was needed. The {made}."
    return (
        f"Whitening leaves the lengths of null directions open; they keep those of the norm that you named: {norm}, "
        f"the Euclidean norm of the given basis. The {made}, and on null directions within {zero:.1e} of 0."
    )


def _forms(metric: DirectSumTensor) -> list[DenseTensor]:
    return [form for pair in metric.kronecker_factors() for form in pair]


def _white(metric: DirectSumTensor, chosen: Parameterization) -> tuple[float, float]:
    """How far eigenvalues of whitened factors are from 0 on null directions, and from 1 elsewhere.

    Factors of patches are left out: they are whitened at single places.
    """
    zero = one = 0.0
    for form in _forms(metric):
        space: Any = form.space
        if isinstance(getattr(space.of, "of", None), PowerSpace):
            continue
        matrix = form.coordinates(chosen[form.space])
        ns = namespace_of(matrix).ordered("eigenvalues")
        values = ns.to_numpy(ns.eigh(matrix)[0])
        zero = max(zero, *abs(values[: form.nullity]), 0.0)
        one = max(one, *abs(values[form.nullity :] - 1), 0.0)
    return float(zero), float(one)


def _layers(metric: DirectSumTensor, given: Parameterization, chosen: Parameterization) -> list[dict[str, Any]]:
    layers = []
    for index, forms in enumerate(metric.kronecker_factors(), start=1):
        layer: dict[str, Any] = {"layer": f"layer{index}"}
        for name, form in zip("AG", forms, strict=True):
            layer[name] = {
                "size": form.space.dim,
                "rank": form.rank,
                "condition_given": condition(form.coordinates(given[form.space]), form.nullity),
                "condition": condition(form.coordinates(chosen[form.space]), form.nullity),
            }
        layers.append(layer)
    return layers


def condition(matrix: Array, nullity: int) -> float:
    """The largest eigenvalue over the smallest that is not null; infinite where that cannot be told from zero."""
    ns = namespace_of(matrix).ordered("a condition number")
    values = ns.to_numpy(ns.eigh(matrix)[0])
    if nullity >= len(values):
        return float("inf")
    smallest, largest = float(values[nullity]), float(values[-1])
    return largest / smallest if smallest > len(values) * ns.epsilon * largest else float("inf")


def _arrays(problem: NetworkProblem, metric: DirectSumTensor, chosen: Parameterization) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for index, block in enumerate(metric.coordinates(chosen).blocks, start=1):
        A, G = block.factors
        arrays[f"layer{index}.A"], arrays[f"layer{index}.G"] = entries(A), entries(G)
    for space in chosen:
        old, new = problem.given[space], chosen[space]
        if isinstance(old, BaseFrame) and isinstance(new, BaseFrame):
            matrix, translation = new.change_from(old)
            arrays[f"{space.name}.matrix"] = entries(matrix)
            arrays[f"{space.name}.translation"] = entries(translation)
    return arrays


def _show(report: dict[str, Any]) -> None:
    fisher = f"{report['fisher']} Fisher" + (f", {report['samples']} per datum" if report["samples"] else "")
    write_line(f"K-FAC factors over {report['data']} data ({fisher}); mean loss {report['loss']:.6g}.")
    write_line()
    elsewhere = report["basis"] != "given"
    rows = []
    for index, layer in enumerate(report["layers"], start=1):
        for name, label in (("A", f"A{index - 1}"), ("G", f"G{index}")):
            factor = layer[name]
            size = f"{factor['size']} x {factor['size']}"
            row = [layer["layer"], label, size, str(factor["rank"]), number(factor["condition_given"])]
            rows.append([*row, number(factor["condition"])] if elsewhere else row)
    columns = ["layer", "factor", "size", "rank", "condition (given)"]
    table([*columns, f"condition ({report['basis']})"] if elsewhere else columns, rows)
    write_line(
        "Condition: the largest eigenvalue over the smallest that is not null, in the basis in brackets; inf where "
        "arithmetic there cannot tell that from zero."
    )
    for note in report["notes"]:
        write_line(f"- {note}")
    write_line(report["choice"])
    if report["notes"]:
        write_line(RANKS)
    if report["out"] is not None:
        write_line(f"Written to {report['out']}: the factors in the {report['basis']} basis, and that basis.")
