"""Figures: the factors of one metric in several bases, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.errors import FrameError, KindError, MissingExtraError
from geomkfac.metrics import DirectSumTensor
from geomkfac.outputs import replacing
from geomkfac.spaces import Parameterization


def draw_factors(
    metric: DirectSumTensor, bases: Mapping[str, Parameterization], path: str | Path, *, dpi: int = 150
) -> None:
    """Draw every Kronecker factor of a K-FAC metric, one row per basis and one column per factor.

    Each picture has its own symmetric colour scale, blue below zero and red above; white is zero.

    Parameters
    ----------
    metric : a K-FAC metric, as `MLP.kfac_metric` gives it
    bases : names and parameterizations, one row each, in order
    path : where the figure is written; the suffix says the format (.png, .svg, .pdf)
    dpi : resolution of pixel formats

    Raises
    ------
    MissingExtraError : matplotlib is not installed.
    FrameError, KindError
    FileFormatError : it cannot be written, or matplotlib knows no such format.
    """
    if not bases:
        raise FrameError("a figure of factors needs at least one basis; pass {'given': iota}.")
    if metric.kind.is_exact:
        raise KindError(f"factors are drawn in floating point; this metric is over {metric.kind!r}.")
    figure_class, canvas_class = matplotlib_classes()
    names = [name for index in range(len(metric.parts)) for name in (f"A{index}", f"G{index + 1}")]
    figure = figure_class(figsize=(2.6 * len(names), 2.2 * len(bases) + 0.3), layout="constrained")
    canvas_class(figure)
    axes = figure.subplots(len(bases), len(names), squeeze=False)
    for row, (basis, parameterization) in enumerate(bases.items()):
        axes[row][0].set_ylabel(basis)
        for column, (name, factor) in enumerate(zip(names, _factors(metric, parameterization), strict=True)):
            axes[0][column].set_title(name)
            _draw(figure, axes[row][column], factor)
    save_figure(figure, path, dpi)


def _draw(figure: Any, axes: Any, factor: Any) -> None:
    size = float(abs(factor).max()) or 1.0
    image = axes.imshow(factor, cmap="RdBu_r", vmin=-size, vmax=size, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    figure.colorbar(image, ax=axes, shrink=0.8, format="%.1g", ticks=[-size, 0, size])


def _factors(metric: DirectSumTensor, basis: Parameterization) -> list[Any]:
    blocks = metric.coordinates(basis).blocks
    return [namespace_of(factor).to_numpy(factor) for block in blocks for factor in block.factors]


def save_figure(figure: Any, path: str | Path, dpi: int) -> None:
    """Write a figure, all or nothing, in the format that the suffix says."""
    with replacing(path) as file:
        figure.savefig(file, format=Path(path).suffix.removeprefix(".") or None, dpi=dpi)


def matplotlib_classes() -> tuple[Any, Any]:
    """Figure and canvas of matplotlib, without a window."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "figures need matplotlib, which is not installed.\nInstall the extra: pip install 'geomkfac[figures]'."
        ) from error
    return Figure, FigureCanvasAgg
