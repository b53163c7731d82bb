"""Kronecker factors of fully connected networks, against curvlinops and the floor of matrix products.

Run: python benchmarks/factors.py [--quick], or as a section of run.py.
"""

from __future__ import annotations

import one_thread  # first: it limits the threads of everything imported after it

# isort: split
from typing import Any

import numpy as np
from floor import Floor
from ours import Ours
from problems import Problem, problems
from tables import Record, Target, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "agreement", "checked_gap", "lines", "records", "relative_gap", "targets"]

PACKAGES = ("torch", "curvlinops-for-pytorch")

ABOVE = """Networks: autoencoder 784-1000-500-250-30-250-500-1000-784 with Gaussian outputs, classifier 784-512-512-10
with softmax outputs; tanh hidden layers, random weights and data. curvlinops runs with weight and bias in one block,
so that both libraries compute the same factors; their largest relative gap is the last column (sampled metrics draw
different targets and are compared at given ones). It is told the number of data, so that it makes no pass to count.
The floor is the matrix products and symmetric rank-k updates that the factors need, in NumPy with all memory
allocated before: no activation, no bias, no sampling."""

BELOW = """With one sampled target curvlinops stands about twice above the floor (the last column but one), so that
half of its time is about the floor itself, and whatever is not a product of matrices is over it; where it needs less
than twice the floor, no program that makes these products meets the target. What is left above the floor: tanh, the
normal numbers of the Gaussian's targets (which belong to the datum and not to the chunk), and pages of memory that
the system hands out afresh. Smaller chunks were tried: with 128 or 256 rows most cases were slower, with 512 or more
none differed by more than the noise of the machine."""


def relative_gap(ours: Any, theirs: Any) -> float:
    """``|x - y| / |y|``."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def agreement(problem: Problem) -> float:
    """The largest relative gap between a factor, A or G, of both libraries, the known scales removed.

    Sampled metrics draw different targets, so they are compared at given ones ('empirical').
    """
    from peer import Peer

    same = problem if problem.fisher == "exact" else problem.empirical()
    ours, peer = Ours(same), Peer(same)
    operator = peer.operator()
    operator.compute_kronecker_factors()
    scale = 1.0 if same.is_categorical else 4.0 / same.widths[-1]  # see peer.py
    pairs = zip(ours.factors(ours.metric()), peer.factors(operator), strict=True)
    return max(max(relative_gap(A, B), relative_gap(G * scale, H)) for (A, G), (B, H) in pairs)


def checked_gap(problem: Problem, gap: float) -> float:
    """`gap`, where it is rounding.

    Both sum the same products in another order.  A sum of n terms rounds by at most n epsilon; each datum goes
    forth and back through sums of the widths' lengths, and a factor sums over the batch.
    """
    lengths = problem.batch + 2 * sum(problem.widths)
    if not gap < lengths * float(np.finfo(problem.dtype).eps):
        raise SystemExit(f"{problem}: the factors of both libraries differ by {gap:.1e}; nothing is timed.")
    return gap


def records(quick: bool, repeats: int) -> list[Record]:
    """One record per problem: median seconds of the floor and of both libraries."""
    one_thread.limit_torch()
    from peer import Peer

    found = []
    for problem in problems(quick=quick):
        gap = checked_gap(problem, agreement(problem))
        floor, ours, peer = Floor(problem), Ours(problem), Peer(problem)
        contestants = {
            "floor": lambda floor=floor: floor,
            "geomkfac": lambda ours=ours: ours.metric,
            "curvlinops": lambda peer=peer: peer.operator().compute_kronecker_factors,
        }
        seconds = medians(interleaved(contestants, repeats=repeats))
        record = {**problem.described(), "gap": gap, "seconds": seconds}
        to_peer, to_floor = _ratios(record)
        print(f"{problem.label:46s} geomkfac/curvlinops {to_peer:.2f}   geomkfac/floor {to_floor:.2f}", flush=True)
        found.append(record)
    return found


def _ratios(record: Record) -> tuple[float, float]:
    seconds = record["seconds"]
    return seconds["geomkfac"] / seconds["curvlinops"], seconds["geomkfac"] / seconds["floor"]


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for record in found:
        seconds, (to_peer, to_floor) = record["seconds"], _ratios(record)
        times = (f"{seconds[name]:.3f}" for name in ("geomkfac", "curvlinops", "floor"))
        what = (record[key] for key in ("problem", "fisher", "batch", "dtype"))
        rows.append((*what, *times, f"**{to_peer:.2f}**", f"**{to_floor:.2f}**",
                     f"{seconds['curvlinops'] / seconds['floor']:.2f}", f"{record['gap']:.0e}"))  # fmt: skip
    header = ("network", "Fisher", "batch", "dtype", "geomkfac, s", "curvlinops, s", "floor, s", "/ curvlinops",
              "/ floor", "curvlinops / floor", "gap")  # fmt: skip
    return [*paragraph(ABOVE), *table(header, rows), "", *paragraph(BELOW)]


def targets(found: list[Record]) -> list[Target]:
    """Half of curvlinops' time; 1.3 times the floor."""
    wanted = []
    for fisher, why in (("exact", ""), ("sampled", "curvlinops is itself only about twice above the floor")):
        ratios = [_ratios(record)[0] for record in found if record["fisher"] == fisher]
        wanted.append(Target(f"factors, {fisher} Fisher, of curvlinops' time", 0.5, ratios, why=why))
    floor = [_ratios(record)[1] for record in found]
    return [*wanted, Target("factors, of the floor", 1.3, floor, why="page faults and a busy machine")]


if __name__ == "__main__":
    from run import main

    main(["factors"])
