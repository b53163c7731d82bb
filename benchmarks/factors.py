"""Time Kronecker factors of dense, convolutional and recurrent networks, damped solves and frame changes.

Run: python benchmarks/factors.py [--quick] [--repeats R] [--json FILE] [--markdown FILE]; see README.md.
One thread, float32 and float64, contestants interleaved, medians.  Nothing is timed before both libraries
are seen to compute the same factors.
"""

from __future__ import annotations

import one_thread  # first: it limits the threads of everything imported after it

# isort: split
import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from floor import Floor
from machine import machine
from memory import peaks
from ours import Ours
from peer import Peer
from problems import Problem, problems
from shared import memory_of_maps, shared_records
from table import markdown, text_row
from timing import interleaved, medians

GAMMA = 1e-2
"""The damping of the solves."""


def relative_gap(ours: Any, theirs: Any) -> float:
    """``|x - y| / |y|``."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def agreement(problem: Problem) -> float:
    """The largest relative gap between a factor, A or G, of both libraries, the known scales removed.

    Sampled metrics draw different targets, so they are compared at given ones ('empirical').
    """
    same = problem if problem.fisher == "exact" else problem.empirical()
    ours, peer = Ours(same), Peer(same)
    operator = peer.operator()
    operator.compute_kronecker_factors()
    scale = 1.0 if same.is_categorical else 4.0 / same.widths[-1]  # see peer.py
    pairs = zip(ours.factors(ours.metric()), peer.factors(operator), strict=True)
    return max(max(relative_gap(A, B), relative_gap(G * scale, H)) for (A, G), (B, H) in pairs)


def time_factors(problem: Problem, repeats: int) -> dict[str, float]:
    """Median seconds of the factors."""
    floor, ours, peer = Floor(problem), Ours(problem), Peer(problem)
    contestants = {
        "floor": lambda: floor,
        "geomkfac": lambda: ours.metric,
        "curvlinops": lambda: peer.operator().compute_kronecker_factors,
    }
    return medians(interleaved(contestants, repeats=repeats))


def time_solves(problem: Problem, repeats: int) -> dict[str, Any]:
    """Median seconds of a solve with factored damping: factorising first, and with factorisations kept."""
    ours, peer = Ours(problem), Peer(problem)
    metric, dh = ours.metric(), ours.differential()
    norm = ours.iota.euclidean
    operator = peer.operator_with(ours.factors(metric))
    vector = peer.tensors([np.asarray(part) for part in dh.coordinates(ours.iota)])
    damped, inverse = metric.damped(norm, GAMMA, "factored"), peer.inverse(operator, GAMMA)
    mine = damped.sharp(dh).coordinates(ours.iota)
    theirs = peer.blocks(inverse @ vector)
    gap = max(relative_gap(np.asarray(x), y) for x, y in zip(mine, theirs, strict=True))
    contestants = {
        "geomkfac, first": lambda: lambda: metric.damped(norm, GAMMA, "factored").sharp(dh),
        "curvlinops, first": lambda: lambda: peer.inverse(operator, GAMMA) @ vector,
        "geomkfac, kept": lambda: lambda: damped.sharp(dh),
        "curvlinops, kept": lambda: lambda: inverse @ vector,
    }
    return {"gap": gap, "seconds": medians(interleaved(contestants, repeats=repeats))}


def time_changes(problem: Problem, repeats: int) -> dict[str, float]:
    """Median seconds of reading factors, and of expressing a step, in the whitened basis."""
    ours = Ours(problem)
    metric, dh = ours.metric(), ours.differential()
    norm = ours.iota.euclidean
    kappa = ours.iota.whitened(metric, norm=norm)
    step = metric.damped(norm, GAMMA, "factored").sharp(dh)
    metric.coordinates(kappa)  # the matrices of a basis are inverted and cast once
    step.coordinates(kappa)
    contestants = {
        "factors": lambda: ours.metric,
        "change of the factors": lambda: lambda: metric.coordinates(kappa),
        "change of a step": lambda: lambda: step.coordinates(kappa),
    }
    return medians(interleaved(contestants, repeats=repeats))


def measured(quick: bool, repeats: int) -> Iterator[dict[str, Any]]:
    """One record per problem."""
    for problem in problems(quick=quick):
        gap = agreement(problem)
        # Both sum the same products in another order.  A sum of n terms rounds by at most n epsilon; each
        # datum goes forth and back through sums of the widths' lengths, and a factor sums over the batch.
        lengths = problem.batch + 2 * sum(problem.widths)
        if not gap < lengths * float(np.finfo(problem.dtype).eps):
            raise SystemExit(f"{problem}: the factors of both libraries differ by {gap:.1e}; nothing is timed.")
        record: dict[str, Any] = {
            "problem": problem.name,
            "fisher": problem.fisher,
            "batch": problem.batch,
            "dtype": problem.dtype,
            "gap": gap,
            "factors": time_factors(problem, repeats),
        }
        if problem.fisher == "exact" or problem.name == "autoencoder":
            record["solves"] = time_solves(problem, repeats)
            record["changes"] = time_changes(problem, repeats)
        print(text_row(record), flush=True)
        yield record


def main() -> None:
    """Time everything, print ratios, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks and batches: a smoke test")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each contestant")
    parser.add_argument("--json", type=Path, help="write all medians here")
    parser.add_argument("--markdown", type=Path, help="write the table of docs/benchmarks.md here")
    options = parser.parse_args()
    one_thread.limit_torch()
    warnings.simplefilter("ignore")
    records = list(measured(options.quick, options.repeats))
    shared = list(shared_records(options.quick, options.repeats))
    document = {
        "machine": machine(one_thread.THREADS),
        "repeats": options.repeats,
        "records": records,
        "shared": shared,
        "memory": peaks(options.quick) + memory_of_maps(options.quick),
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(document))


if __name__ == "__main__":
    main()
