"""Figures of KFC's assumptions: correlations of activations and of derivatives, in space and across maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.display.figures import matplotlib_classes, save_figure
from geomkfac.errors import ShapeError
from geomkfac.networks import LayerAssumptions


def draw_correlations(
    layers: Sequence[LayerAssumptions], path: str | Path, *, maps: int = 3, dpi: int = 150
) -> None:
    """Draw absolute correlations of every convolution, one row each, like GM's figures 1 and 2.

    From the left: autocorrelations of some maps of derivatives, correlations across maps at one location;
    then the same of activations.  White is 0 and black is 1; displacement 0 is in the middle.

    Parameters
    ----------
    layers : what `ConvolutionalNetwork.assumptions` gave, for two spatial axes
    path : where the figure is written; the suffix says the format
    maps : how many maps' autocorrelations are drawn

    Raises
    ------
    MissingExtraError : matplotlib is not installed.
    ShapeError : there is no layer, or its maps have no two axes.
    FileFormatError : it cannot be written, or matplotlib knows no such format.
    """
    if not layers or any(layer.activations.ndim != 3 for layer in layers):
        raise ShapeError("a figure of correlations needs at least one convolution on maps of two axes.")
    figure_class, canvas_class = matplotlib_classes()
    columns = 2 * (maps + 1)
    figure = figure_class(figsize=(1.5 * columns, 1.55 * len(layers) + 0.4), layout="constrained")
    canvas_class(figure)
    axes = figure.subplots(len(layers), columns, squeeze=False)
    for row, layer in enumerate(layers):
        axes[row][0].set_ylabel(f"layer {layer.layer}")
        halves = ((layer.derivatives, layer.across_derivatives), (layer.activations, layer.across_activations))
        for half, (auto, across) in enumerate(halves):
            start = half * (maps + 1)
            for column in range(maps):
                _draw(axes[row][start + column], auto[column, ...] if column < auto.shape[0] else None)
            image = _draw(axes[row][start + maps], across)
    for half, name in enumerate(("derivatives", "activations")):
        start = half * (maps + 1)
        axes[0][start].set_title(f"{name}, in space", loc="left")
        axes[0][start + maps].set_title("across maps")
    figure.colorbar(image, ax=axes, shrink=0.7, label="|correlation|", ticks=[0, 0.5, 1])
    save_figure(figure, path, dpi)


def _draw(axes: Any, values: Any) -> Any:
    axes.set_xticks([])
    axes.set_yticks([])
    if values is None:
        axes.set_axis_off()
        return None
    return axes.imshow(
        namespace_of(values).to_numpy(values), cmap="Greys", vmin=0.0, vmax=1.0, interpolation="nearest"
    )
