"""Networks so small that nothing but the overhead of Python is measured."""

from __future__ import annotations

import one_thread
from factors import agreement, checked_gap
from ours import Ours
from problems import Problem
from tables import Record, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("torch", "curvlinops-for-pytorch")

WIDTHS = ((2, 4, 3), (4, 8, 8, 3), (10, 20, 20, 20, 20, 5), (64, 32, 16, 10))

TEXT = """Softmax outputs, 32 data, float64. There is no target: a millisecond is the overhead of a few hundred small
calls, in either library."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each network and Fisher metric."""
    one_thread.limit_torch()
    from peer import Peer

    found = []
    for widths in WIDTHS[:1] if quick else WIDTHS:
        for fisher in ("sampled", "exact"):
            problem = Problem("classifier", widths, fisher, 32, "float64")  # type: ignore[arg-type]
            checked_gap(problem, agreement(problem))
            ours, peer = Ours(problem), Peer(problem)
            contestants = {
                "geomkfac": lambda ours=ours: ours.metric,
                "curvlinops": lambda peer=peer: peer.operator().compute_kronecker_factors,
            }
            seconds = medians(interleaved(contestants, repeats=5 * repeats))
            found.append({"widths": list(widths), "fisher": fisher, "seconds": seconds})
            print(widths, fisher, f"{seconds['geomkfac'] / seconds['curvlinops']:.2f}", flush=True)
    return found


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for record in found:
        ours, theirs = (record["seconds"][name] for name in ("geomkfac", "curvlinops"))
        network = "-".join(map(str, record["widths"]))
        rows.append((network, record["fisher"], f"{ours * 1e3:.2f}", f"{theirs * 1e3:.2f}", f"**{ours / theirs:.2f}**"))
    header = ("network", "Fisher", "geomkfac, ms", "curvlinops, ms", "/ curvlinops")
    return [*table(header, rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list:
    """None: the design has none."""
    return []
