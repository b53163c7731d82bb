"""Convolutions against curvlinops, and recurrences; the contestants are in shared.py."""

from __future__ import annotations

import one_thread
from tables import Record, Target, paragraph, table

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("torch", "curvlinops-for-pytorch")

TEXT = """Three convolutions (5x5, 5x5, 3x3; 32, 32, 64 maps; 32x32 pixels of three channels) and a softmax layer;
'pooled' takes means over 2x2 after each, 'plain' keeps all maps at 32x32. Patches are never all formed. One axis is
expanded, five copies instead of 25; and a product of two patches depends, up to borders, on the difference of two
offsets alone, so the activation factor is a sum over differences and not over pairs: about a third of the products,
nothing subtracted. PyTorch's convolutions are faster than what NumPy makes of them; what remains of the time here is
mostly theirs, once for every output covector.

The recurrence has 64 units over 100 steps, 16 inputs and 10 classes; curvlinops has no recurrences. With a loss at
every step the exact Fisher metric has 1,000 covectors a sequence; forms of 64 x 64 are pulled back instead, one for
each datum, whatever the number of steps."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each network, Fisher metric and dtype."""
    one_thread.limit_torch()
    from shared import shared_records

    return list(shared_records(quick, repeats))


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for record in found:
        seconds = record["seconds"]
        what = (record["problem"], record["fisher"], record["batch"], record["dtype"], f"{seconds['geomkfac']:.3f}")
        if "curvlinops" not in seconds:
            rows.append((*what, "none", "", ""))
            continue
        ratio = seconds["geomkfac"] / seconds["curvlinops"]
        rows.append((*what, f"{seconds['curvlinops']:.3f}", f"**{ratio:.2f}**", f"{record['gap']:.0e}"))
    header = ("network", "Fisher", "batch", "dtype", "geomkfac, s", "curvlinops, s", "/ curvlinops", "gap")
    first, second = TEXT.split("\n\n")
    return [*table(header, rows), "", *paragraph(first), *paragraph(second)]


def targets(found: list[Record]) -> list[Target]:
    """0.7 of curvlinops' time for the exact Fisher, half of it for the sampled one."""
    wanted = []
    for fisher, limit in (("exact", 0.7), ("sampled", 0.5)):
        seconds = [one["seconds"] for one in found if one["fisher"] == fisher and "curvlinops" in one["seconds"]]
        ratios = [one["geomkfac"] / one["curvlinops"] for one in seconds]
        wanted.append(Target(f"factors of convolutions, {fisher} Fisher, of curvlinops' time", limit, ratios))
    return wanted
