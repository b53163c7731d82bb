"""Whether a library's factors transform as a metric must.

A model and its twin compute the same function, written down in the frames iota and kappa.  A library computes its
factors for both.  Were they the coordinates of one metric, each would determine the other; here they are compared,
layer by layer, in common coordinates, against what rounding explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, TypeAlias, final

import numpy as np

from geomkfac.errors import VacuousCheckError
from geomkfac.interop.libraries.conventions import FactorConvention, FactorSetting, LayerFactors
from geomkfac.interop.libraries.forms import from_convention, layer_scalings
from geomkfac.interop.libraries.gap import FormGap, diagonal_of, gap_between
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.passes.stages import ActivationStage, MaxStage, Stage
from geomkfac.spaces import Parameterization, PowerSpace

Verdict: TypeAlias = Literal["transforms", "does not", "undecided"]
UNDECIDED = 0.1
"""Where rounding may explain a tenth of the metric itself, agreement tells nothing."""


@final
@dataclass(frozen=True, slots=True)
class LayerTransformation:
    """What was found for one layer.

    Attributes
    ----------
    layer : its number, from 1
    changed : what the change of basis does to its spaces, such as 'activations: translation'
    floor : the discrepancy that rounding explains
    gap : how the two forms differ, part by part
    kinked : whether the network has activations or poolings with kinks
    """

    layer: int
    changed: tuple[str, ...]
    floor: float
    gap: FormGap
    kinked: bool

    @property
    def discrepancy(self) -> float:
        """Of the two forms, relative to the larger, in common coordinates."""
        return self.gap.discrepancy

    @property
    def verdict(self) -> Verdict:
        """'transforms'; 'does not'; or 'undecided' where rounding could hide anything."""
        if self.discrepancy > self.floor:
            return "does not"
        return "undecided" if self.floor > UNDECIDED else "transforms"

    @property
    def sizes(self) -> dict[str, float]:
        """How far each part is from transforming: 'linear part of A', 'cross block', 'G' but for its scale."""
        gap = self.gap
        return {"linear part of A": gap.linear, "cross block": gap.cross, "G": gap.gradients}

    @property
    def parts(self) -> tuple[str, ...]:
        """Which parts do not transform, of 'linear part of A', 'cross block', 'G', 'scale'."""
        if self.verdict != "does not":
            return ()
        found = [name for name, size in self.sizes.items() if size > self.floor]
        # A scale is one only where nothing else differs: otherwise it has no meaning of its own.
        return tuple(found) or ("scale",)

    @property
    def reason(self) -> str:
        """What is wrong, or what would decide, in words; empty where it transforms."""
        if self.verdict == "undecided":
            return "compute the factors in float64, of fewer data, or choose a milder change of basis"
        if self.parts == ("scale",):
            return f"a pure scale: there the product is {self.gap.scale:.6g} times what it is here"
        differing = [f"{name} differs by {self.sizes[name]:.1e}" for name in self.parts]
        if self.kinked and "G" in self.parts:
            differing[self.parts.index("G")] += " (or a pre-activation stands on a kink)"
        moved = any("activations" in change and "translation" in change for change in self.changed[:1])
        if not (differing and moved and self.gap.missing_cross):
            return ", ".join(differing)
        # An absent cross block shows in all of A.
        others = [text for name, text in zip(self.parts, differing, strict=True) if name == "G"]
        missing = "the cross block of weight and bias is missing: it is zero in both frames, whose origins differ"
        return f"{', '.join([missing, *others])}. Put weight and bias in one block"


@final
@dataclass(frozen=True, slots=True)
class TransformationReport:
    """Whether factors for two models of one function are one metric.

    Attributes
    ----------
    library : name of the convention
    layers : one LayerTransformation each
    condition : by how much numbers cancel on the way from kappa to iota; see `transforms_as_metric`
    spread : by how much they may have cancelled in units that are smaller than others; likewise
    dtype : of the factors
    """

    library: str
    layers: tuple[LayerTransformation, ...]
    condition: float
    spread: float
    dtype: str

    @property
    def verdict(self) -> Verdict:
        """That of the worst layer."""
        found = {layer.verdict for layer in self.layers}
        order: tuple[Verdict, ...] = ("does not", "undecided")
        return next((verdict for verdict in order if verdict in found), "transforms")

    def __str__(self) -> str:
        said = {
            "transforms": "transforms as a metric",
            "does not": "does not transform as a metric",
            "undecided": "cannot be decided: rounding could hide any discrepancy",
        }[self.verdict]
        lines = [f"{self.library}: {said}  ({self.dtype}, condition {self.condition:.1f}, spread {self.spread:.1f})"]
        for one in self.layers:
            changed = "; ".join(one.changed) or "same frames"
            sizes = f"discrepancy {one.discrepancy:.1e}, rounding {one.floor:.1e}"
            lines.append(f"  layer {one.layer}  {one.verdict:10s}  {sizes}  [{changed}]")
            if one.reason:
                lines.append(f"           {one.reason}.")
        return "\n".join(lines)


def transforms_as_metric(
    factors_here: Iterable[LayerFactors | Sequence[Any]],
    factors_there: Iterable[LayerFactors | Sequence[Any]],
    network: FeedForward,
    iota: Parameterization,
    kappa: Parameterization,
    convention: FactorConvention,
    setting: FactorSetting,
) -> TransformationReport:
    """Whether a library's factors for a model and for its twin are one metric, in two frames.

    Both are read as metrics, each with its own frames, and compared in iota, scaled there to unit diagonals.  The
    difference of two products has four orthogonal parts: its scale, G but for the scale, A, and both; so it is
    found to full precision without forming the products.

    Round-off is ``condition * max(condition, spread) * epsilon * size``.  An entry of a factor is a sum of N T C R
    products at most and is then converted twice, along rows and along columns; a conversion loses up to `condition`,
    the largest ``(|P| d')_i / d_i`` over all factors, where P takes vectors of kappa's coordinates to iota's and d', d
    are the roots of the factors' diagonals there and here (at most the condition number of P so scaled).  A unit that
    is smaller than others, or than 1, has come about by cancellation: `spread` is the largest d_i / d_j among hidden
    activations with their 1, and among gradients; and 1 / G[j, j] of outputs with probabilities, which differ from 0
    and 1 by that.  In the twin that error is converted once.  `size` counts roundings that follow one another: N T C R,
    and the widths of all layers, through which activations and covectors go; twice, for two models.  Activations are
    taken to have slopes of about 1, and no kink where a pre-activation stands exactly: there two ways of computing it
    may fall on two sides, and G differs.

    Parameters
    ----------
    factors_here, factors_there : of the model in iota's coordinates and of its twin in kappa's, as for
        `from_convention`
    network : whose layers they are
    iota, kappa : parameterizations; activations, pre-activations or both may differ
    convention, setting : how the library wrote both down

    Raises
    ------
    VacuousCheckError : the two parameterizations have the same frames for all layers, and anything transforms.

    Examples
    --------
    >>> import numpy as np
    >>> import geomkfac as gk
    >>> from geomkfac.interop import CURVLINOPS, CURVLINOPS_SEPARATE, FactorSetting, transforms_as_metric
    >>> net, iota = gk.MLP.from_widths([2, 1])
    >>> kappa = iota.change({net.inputs: (None, np.array([1.0, 2.0]))})
    >>> X, G = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]]), np.eye(1)
    >>> def joint(X):
    ...     ones = np.column_stack([X, np.ones(3)])
    ...     return [(ones.T @ ones / 3, G)]
    >>> def separate(X):
    ...     return [(X.T @ X / 3, G)]
    >>> there = X + [1.0, 2.0]
    >>> setting = FactorSetting(3, "squared", "mean")
    >>> print(transforms_as_metric(joint(X), joint(there), net, iota, kappa, CURVLINOPS, setting).verdict)
    transforms
    >>> report = transforms_as_metric(separate(X), separate(there), net, iota, kappa, CURVLINOPS_SEPARATE, setting)
    >>> print(report.layers[0].reason)
    the cross block of weight and bias is missing: it is zero in both frames, whose origins differ. Put weight and ...
    """
    here = from_convention(factors_here, network, iota, convention, setting)
    there = from_convention(factors_there, network, kappa, convention, setting)
    changes = [
        (*_changes("activations", layer.domain, iota, kappa), *_changes("pre-activations", layer.codomain, iota, kappa))
        for layer in network.layers
    ]
    if not any(changes):
        raise VacuousCheckError(
            "iota and kappa have the same frames for every layer, in which anything transforms.\n"
            "Write the twin down in other frames: kappa = iota.change({space: (B, c)}), or iota.random(rng)."
        )
    pairs = zip(here.parts, there.parts, network.layers, strict=True)
    gaps = [gap_between(first, second, layer, iota, kappa) for first, second, layer in pairs]
    condition = max(gap.condition for gap in gaps)
    squares = max(one.places * one.outputs * one.loss_terms for one in layer_scalings(network, setting))
    widths = sum(layer.domain.dim + 1 + layer.codomain.dim for layer in network.layers)
    epsilon = max(here.namespace.epsilon, there.namespace.epsilon)
    spread = _spread(here, network, iota, setting)
    floor = condition * max(condition, spread) * epsilon * 2 * (setting.data * squares + widths)
    kinked = any(map(_has_kinks, network.stages))
    layers = tuple(
        LayerTransformation(number, changed, floor, gap, kinked)
        for number, (gap, changed) in enumerate(zip(gaps, changes, strict=True), start=1)
    )
    dtype = "float64" if epsilon < 1e-10 else "float32"
    return TransformationReport(convention.name, layers, condition, spread, dtype)


def _spread(here: DirectSumTensor, network: FeedForward, iota: Parameterization, setting: FactorSetting) -> float:
    """The largest quotient of sizes of units, where the smaller may be what larger numbers left; at least 1."""
    diagonals = [diagonal_of(*pair, iota) for pair in zip(here.parts, network.layers, strict=True)]
    # Inputs are given, not computed; so is the curvature of a squared loss.
    squares = [diagonal.sum(axis=1) for diagonal in diagonals[1:]]
    squares += [diagonal.sum(axis=0) for diagonal in diagonals[:-1]]
    if setting.loss != "squared":
        squares.append(np.append(diagonals[-1][-1], 1.0) ** 2)
    positive = [square[square > 0] for square in squares]
    return max([1.0, *(sqrt(square.max() / square.min()) for square in positive if square.size)])


def _has_kinks(stage: Stage) -> bool:
    activation = getattr(stage.map, "function", None) if isinstance(stage, ActivationStage) else None
    return isinstance(stage, MaxStage) or not getattr(activation, "smooth", True)


def _changes(what: str, space: Any, iota: Parameterization, kappa: Parameterization) -> tuple[str, ...]:
    """What the change of basis does to a space: its linear part, its origin."""
    base = space.base if isinstance(space, PowerSpace) else space
    if iota[base] is kappa[base]:
        return ()
    matrix, translation = kappa[base].change_from(iota[base])  # type: ignore[attr-defined]
    found = [] if np.array_equal(matrix, np.eye(base.dim)) else ["linear"]
    found += ["translation"] if np.any(translation) else []
    return (f"{what}: {' and '.join(found)}",) if found else ()
