"""``geomkfac factors``: the K-FAC matrices of a network, in the coordinates of choice."""

from __future__ import annotations

from typing import Any

import typer

from geomkfac.arrays import namespace_of
from geomkfac.arrays.namespace import Array
from geomkfac.cli import options
from geomkfac.cli.loading import Problem, basis, checked_output, entries, load, named_norm
from geomkfac.cli.output import number, print_json, progress_bar, table, write_line
from geomkfac.interop import write_arrays
from geomkfac.metrics import DirectSumTensor
from geomkfac.spaces import BaseFrame, Parameterization

__all__ = ["degeneracies", "factors", "measured_metric"]


def factors(
    network: str = options.NETWORK,
    data: str = options.DATA,
    activation: str = options.ACTIVATION,
    output: str = options.OUTPUT,
    basis_name: str = options.BASIS,
    fisher: str = options.FISHER,
    samples: int = options.SAMPLES,
    norm: str = options.NORM,
    seed: int = options.SEED,
    chunk: int = options.CHUNK,
    out: str = typer.Option(None, "--out", help="Write the factors and the basis to this .npz or .safetensors file."),
    as_json: bool = options.JSON,
) -> None:
    """The Kronecker factors A and G of every layer, in a basis of choice and in the given one.

    The file of --out holds <layer>.A and <layer>.G in the chosen basis, and the basis itself:
    <space>.matrix B and <space>.translation c with y_chosen = B y_given + c, for the spaces A0, Z1, A1, ...
    """
    checked_output(out)
    problem = load(network, data, activation, output)
    metric = measured_metric(problem, fisher, samples, seed, chunk)
    chosen = basis(basis_name, problem, metric, named_norm(norm, problem.given), seed)
    layers = [
        _layer(index, metric, problem.given, chosen) for index in range(len(metric.parts))
    ]
    notes = degeneracies(metric)
    if out is not None:
        write_arrays(out, _arrays(problem, metric, chosen))
    if as_json:
        print_json({"basis": basis_name, "norm": norm, "fisher": fisher, "layers": layers, "notes": notes, "out": out})
        return
    _show(layers, basis_name)
    for note in notes:
        write_line(note)
    if basis_name == "whitened" and norm is not None and notes:
        write_line(f"In null directions the whitened basis keeps the lengths of the norm you named: {norm}.")
    if out is not None:
        write_line(f"Written to {out}.")


def measured_metric(problem: Problem, fisher: str, samples: int, seed: int, chunk: int | None) -> DirectSumTensor:
    """The K-FAC metric of the problem, with a progress bar."""
    with progress_bar("factors", problem.data.count) as advance:
        return problem.net.moments(
            problem.weights,
            problem.data,
            problem.loss,
            fisher=fisher,  # type: ignore[arg-type]
            samples=samples,
            seed=seed,
            chunk_size=chunk,
            progress=advance,
        ).metric()


def degeneracies(metric: DirectSumTensor) -> list[str]:
    """Sentences about the null directions of the factors."""
    notes = []
    for index, (activations, preactivations) in enumerate(metric.kronecker_factors()):
        if activations.nullity:
            notes.append(
                f"A{index} is degenerate in {_directions(activations.nullity)}: affine functions of the inputs of "
                f"layer {index + 1} that vanish on all data (a constant or dependent coordinate is one)."
            )
        if preactivations.nullity:
            last = index == len(metric.parts) - 1
            why = " (for a softmax: a constant added to all logits)" if last else ""
            notes.append(
                f"G{index + 1} is degenerate in {_directions(preactivations.nullity)}: moves of the pre-activations "
                f"of layer {index + 1} that the output metric does not see{why}."
            )
    return notes


def _directions(count: int) -> str:
    return "one direction" if count == 1 else f"{count} directions"


def _layer(index: int, metric: DirectSumTensor, given: Parameterization, chosen: Parameterization) -> dict[str, Any]:
    part = metric.parts[index]
    activations, preactivations = part.kronecker_factors()[0]  # type: ignore[attr-defined]
    result: dict[str, Any] = {"layer": index + 1}
    for name, form in (("A", activations), ("G", preactivations)):
        nullity = form.nullity
        result[name] = {
            "size": form.space.dim,
            "rank": form.rank,
            "condition": condition(form.coordinates(chosen[form.space]), nullity),
            "condition_given": condition(form.coordinates(given[form.space]), nullity),
        }
    return result


def condition(matrix: Array, nullity: int) -> float:
    """The largest eigenvalue over the smallest that is not null."""
    ns = namespace_of(matrix).ordered("a condition number")
    values = ns.to_numpy(ns.eigh(matrix)[0])
    if nullity >= len(values):
        return float("inf")
    smallest = float(values[nullity])
    return float(values[-1]) / smallest if smallest > 0 else float("inf")


def _arrays(problem: Problem, metric: DirectSumTensor, chosen: Parameterization) -> dict[str, Any]:
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


def _show(layers: list[dict[str, Any]], basis_name: str) -> None:
    rows = []
    for layer in layers:
        for name, offset in (("A", -1), ("G", 0)):
            factor = layer[name]
            rows.append(
                [
                    f"{name}{layer['layer'] + offset}",
                    f"{factor['size']} x {factor['size']}",
                    str(factor["rank"]),
                    number(factor["condition_given"]),
                    number(factor["condition"]),
                ]
            )
    columns = ["factor", "size", "rank", "condition, given basis", f"condition, {basis_name} basis"]
    table("", columns, rows)
    write_line("Condition: the largest eigenvalue over the smallest that is not null.")
