"""Damped solves against curvlinops: the first, the next ones, ten in all, several right-hand sides together."""

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

BEFORE = 60
"""Solves before a later one is timed: as many as the narrowest right-hand side needs until inverses are made."""

TEN = 10

TEXT = f"""Both damp the two factors of a layer, balanced by their traces. *First* includes damping and factorising;
*second*, *third* and *later* (after {BEFORE} others) keep the factorisations; *ten* is a new damped metric and ten
solves, one after the other. {TOGETHER} right-hand sides come together as one batch here, as columns of one matrix
there.

curvlinops inverts both factors at first use. Here the first solves are triangular ones with Cholesky factors, a third
of the work of an inverse, and the inverse of a factor is made once as many columns have been solved as it has rows,
because products with it are faster (`geomkfac.operators.cholesky_solver` says why they are as accurate). So the
second or third solve, in which inverses are made, takes longer than one of curvlinops', and later ones less: what is
asked for is to be read off *ten*."""


def records(quick: bool, repeats: int) -> list[Record]:
    """Median seconds for each problem."""
    one_thread.limit_torch()
    chosen = [p for p in problems(quick=quick) if p.fisher == "exact" or p.name == "autoencoder"]
    # The batch does not enter a solve.
    batches = {p.batch for p in chosen}
    return [_record(problem, repeats) for problem in chosen if problem.batch == min(batches)]


def _record(problem: Problem, repeats: int) -> Record:
    import torch
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
    columns = [torch.stack([part * (1 + i / (TOGETHER - 1)) for i in range(TOGETHER)], dim=-1) for part in vector]

    def after(count: int) -> Any:
        fresh = metric.damped(norm, GAMMA, "factored")
        for _ in range(count):
            fresh.sharp(dh)
        return lambda: fresh.sharp(dh)

    def ten() -> None:
        fresh = metric.damped(norm, GAMMA, "factored")
        for _ in range(TEN):
            fresh.sharp(dh)

    def ten_of_theirs() -> None:
        fresh = peer.inverse(operator, GAMMA)
        for _ in range(TEN):
            fresh @ vector

    contestants: dict[str, Any] = {
        "geomkfac, first": lambda: lambda: metric.damped(norm, GAMMA, "factored").sharp(dh),
        "curvlinops, first": lambda: lambda: peer.inverse(operator, GAMMA) @ vector,
        "geomkfac, second": lambda: after(1),
        "geomkfac, third": lambda: after(2),
        "geomkfac, later": lambda: lambda: damped.sharp(dh),
        "curvlinops, later": lambda: lambda: inverse @ vector,
        "geomkfac, ten": lambda: ten,
        "curvlinops, ten": lambda: ten_of_theirs,
        "geomkfac, together": lambda: lambda: damped.sharp(several),
        "curvlinops, together": lambda: lambda: inverse @ columns,
    }
    record = {**problem.described(), "gap": gap, "seconds": medians(interleaved(contestants, repeats=3 * repeats))}
    print(f"{problem.label:46s} " + "  ".join(f"{w} {_ratio(record, w):.2f}" for w in WHICH), flush=True)
    return record


WHICH = ("first", "second", "third", "later", "ten", "together")

KEPT = ("second", "third", "later")
"""Solves that are one product of curvlinops'."""


def _ratio(record: Record, which: str) -> float:
    seconds = record["seconds"]
    theirs = "later" if which in KEPT else which
    return float(seconds[f"geomkfac, {which}"] / seconds[f"curvlinops, {theirs}"])


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for record in found:
        seconds = record["seconds"]
        times = (f"{seconds['geomkfac, first']:.4f}", f"{seconds['curvlinops, later']:.4f}")
        ratios = (f"**{_ratio(record, which):.2f}**" for which in WHICH)
        rows.append((record["problem"], record["dtype"], *times, *ratios, f"{record['gap']:.0e}"))
    header = ("network", "dtype", "geomkfac, first, s", "curvlinops, later, s", *(f"{w} / curvlinops" for w in WHICH),
              "gap")  # fmt: skip
    first, second = TEXT.split("\n\n")
    return [*table(header, rows), "", *paragraph(first), *paragraph(second)]


def targets(found: list[Record]) -> list[Target]:
    """At most curvlinops' time."""
    making = "the solve in which inverses are made"
    wanted = {
        "damped solve, first": (("first",), ""),
        "damped solve, second and third": (("second", "third"), making),
        f"damped solve, after {BEFORE} others": (("later",), ""),
        "damping and ten solves": (("ten",), ""),
        f"damped solve, {TOGETHER} right-hand sides together": (
            ("together",), "a batch of matrices here is one wide matrix there"
        ),
    }  # fmt: skip
    return [
        Target(f"{what}, of curvlinops' time", 1.0, [_ratio(one, which) for one in found for which in chosen], why=why)
        for what, (chosen, why) in wanted.items()
    ]
