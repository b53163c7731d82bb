"""How the time of the factors grows with data, width, depth and classes: exponents, and a figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ours import Ours
from problems import Problem
from tables import Record, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "draw", "lines", "records", "targets"]

PACKAGES = ()

FIGURE = "scaling.svg"

EXPECTED = {"data": 1, "width": 2, "depth": 1, "classes": 1}
"""What the products alone would give; the width's also has a part that does not depend on it."""

TEXT = """Softmax networks in float32 with tanh units: 256 data and three hidden layers of 256 units unless that is
what varies; the exact Fisher metric for classes, the sampled one else. Exponents are fitted to the larger half of the
sizes, where overhead no longer counts, with their 99 % intervals. The products are linear in data, depth and
covectors (classes less one) and quadratic in the width."""


def cases(quick: bool) -> Iterator[tuple[str, int, Problem]]:
    """What varies, its size, and the problem."""
    sizes = {
        "data": [64, 128] if quick else [256, 512, 1024, 2048, 4096, 8192, 16384, 32768],
        "width": [16, 32] if quick else [64, 128, 192, 256, 384, 512, 768, 1024, 1536],
        "depth": [1, 2] if quick else [1, 2, 4, 8, 16, 32, 64, 128],
        "classes": [4, 8] if quick else [4, 8, 16, 32, 64, 128, 256],
    }
    for what, numbers in sizes.items():
        for size in numbers:
            width, depth, classes, data = 256, 3, 10, 256
            if what == "width":
                width = size
            elif what == "depth":
                depth = size
            elif what == "classes":
                classes = size
            else:
                data = size
            widths = (width, *[width] * depth, classes)
            fisher = "exact" if what == "classes" else "sampled"
            yield what, size, Problem("classifier", widths, fisher, data, "float32")  # type: ignore[arg-type]


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each size."""
    found = []
    for what, size, problem in cases(quick):
        ours = Ours(problem)
        contestants: dict[str, Any] = {"geomkfac": lambda ours=ours: ours.metric}
        seconds = medians(interleaved(contestants, repeats=repeats))["geomkfac"]
        found.append({"what": what, "size": size, "seconds": seconds})
        print(f"{what} {size}: {seconds:.4f} s", flush=True)
    return found


def _series(found: list[Record], what: str) -> tuple[list[float], list[float]]:
    rows = [(float(one["size"]), float(one["seconds"])) for one in found if one["what"] == what]
    return [size for size, _ in rows], [seconds for _, seconds in rows]


def _exponents(found: list[Record]) -> dict[str, Any]:
    from geomkfac.arrays import fitted_exponent

    fits = {}
    for what in EXPECTED:
        sizes, seconds = _series(found, what)
        half = len(sizes) // 2
        fits[what] = fitted_exponent([(sizes[half:], seconds[half:])])
    return fits


def lines(found: list[Record]) -> list[str]:
    """The exponents, and the figure."""
    fits = _exponents(found)
    rows = []
    for what, fit in fits.items():
        sizes, seconds = _series(found, what)
        between = f"{sizes[0]:.0f} to {sizes[-1]:.0f}", f"{seconds[0]:.4f} to {seconds[-1]:.4f}"
        rows.append((what, *between, f"**{fit.value:.2f}**", f"{fit.low:.2f} to {fit.high:.2f}", EXPECTED[what]))
    header = ("what varies", "sizes", "seconds", "exponent", "99 % interval", "of the products")
    picture = f"![Time of the factors against data, width, depth and classes](figures/{FIGURE})"
    return [*table(header, rows), "", picture, "", *paragraph(TEXT)]


def draw(found: list[Record], folder: Path) -> None:
    """The figure, into a folder."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    fits = _exponents(found)
    # The same records give the same file.
    with mpl.rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 2.5), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        for axes, (what, fit) in zip(figure.subplots(1, len(fits), sharey=True), fits.items(), strict=True):
            sizes, seconds = _series(found, what)
            axes.loglog(sizes, seconds, "o-", color="#1f4e79", markersize=4, linewidth=1)
            axes.set_xlabel(what)
            axes.set_title(f"exponent {fit.value:.2f}", fontsize=9)
            axes.grid(True, color="#dddddd", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
            if what == "data":
                axes.set_ylabel("seconds")
        canvas.print_svg(str(folder / FIGURE), metadata={"Date": None})


def targets(found: list[Record]) -> list:
    """None: the design has none."""
    return []
