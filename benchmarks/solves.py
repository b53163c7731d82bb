"""Damped solves against curvlinops: the first, the next ones, and several right-hand sides together."""

from __future__ import annotations

from typing import Any

import numpy as np
import one_thread
from factors import relative_gap
from ours import Ours
from problems import Problem, problems
from tables import Record, Target, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("torch", "curvlinops-for-pytorch")

GAMMA = 1e-2
"""The damping of the solves."""

TOGETHER = 8
"""Right-hand sides solved at once."""

BEFORE = 40
"""Solves before a kept one is timed: as many as the narrowest right-hand side needs until inverses are made."""

TEXT = f"""Both damp the two factors of a layer, balanced by their traces. *First* includes damping and factorising;
*kept* is a right-hand side after {BEFORE} others; the last column solves {TOGETHER} together, against {TOGETHER} in a
loop there, where one operator takes one vector. curvlinops inverts both factors at first use. Here the first solves are
triangular ones with Cholesky factors, a third of the work of an inverse; after as many columns as a factor has rows its
inverse is made too, as a product is 5 to 25 percent faster than two triangular solves, with the same bound for the
forward error (`geomkfac.operators.cholesky_solver`). A single *first* solve never pays for it."""


def records(quick: bool, repeats: int) -> list[Record]:
    """Median seconds for each problem."""
    one_thread.limit_torch()
    chosen = [p for p in problems(quick=quick) if p.fisher == "exact" or p.name == "autoencoder"]
    # The batch does not enter a solve.
    batches = {p.batch for p in chosen}
    return [_record(problem, repeats) for problem in chosen if problem.batch == min(batches)]


def _record(problem: Problem, repeats: int) -> Record:
    from peer import Peer

    ours, peer = Ours(problem), Peer(problem)
    metric, dh = ours.metric(), ours.differential()
    norm = ours.iota.euclidean
    operator = peer.operator_with(ours.factors(metric))
    vector = peer.tensors([np.asarray(part) for part in dh.coordinates(ours.iota)])
    damped, inverse = metric.damped(norm, GAMMA, "factored"), peer.inverse(operator, GAMMA)
    mine = damped.sharp(dh).coordinates(ours.iota)
    theirs = peer.blocks(inverse @ vector)
    gap = max(relative_gap(np.asarray(x), y) for x, y in zip(mine, theirs, strict=True))
    for _ in range(BEFORE):
        damped.sharp(dh)
    several = dh[None].scaled(np.linspace(1, 2, TOGETHER).astype(problem.dtype))
    contestants: dict[str, Any] = {
        "geomkfac, first": lambda: lambda: metric.damped(norm, GAMMA, "factored").sharp(dh),
        "curvlinops, first": lambda: lambda: peer.inverse(operator, GAMMA) @ vector,
        "geomkfac, kept": lambda: lambda: damped.sharp(dh),
        "curvlinops, kept": lambda: lambda: inverse @ vector,
        "geomkfac, several": lambda: lambda: damped.sharp(several),
        "curvlinops, several": lambda: lambda: [inverse @ vector for _ in range(TOGETHER)],
    }
    record = {**problem.described(), "gap": gap, "seconds": medians(interleaved(contestants, repeats=repeats))}
    print(f"{problem.label:46s} " + "  ".join(f"{w} {_ratio(record, w):.2f}" for w in WHICH), flush=True)
    return record


WHICH = ("first", "kept", "several")


def _ratio(record: Record, which: str) -> float:
    seconds = record["seconds"]
    return float(seconds[f"geomkfac, {which}"] / seconds[f"curvlinops, {which}"])


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = [
        (record["problem"], record["dtype"], *(f"{record['seconds'][f'geomkfac, {w}']:.4f}" for w in WHICH),
         *(f"**{_ratio(record, w):.2f}**" for w in WHICH), f"{record['gap']:.0e}")
        for record in found
    ]  # fmt: skip
    header = ("network", "dtype", "first, s", "kept, s", f"{TOGETHER} together, s", "first / curvlinops",
              "kept / curvlinops", "together / curvlinops", "gap")  # fmt: skip
    return [*table(header, rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list[Target]:
    """At most curvlinops' time."""
    return [
        Target(f"damped solve, {what}, of curvlinops' time", 1.0, [_ratio(record, which) for record in found])
        for which, what in (("first", "first"), ("kept", "factorisations kept"), ("several", "several right sides"))
    ]
