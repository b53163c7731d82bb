"""How other libraries write down Kronecker factors: conventions as named objects.

A layer's metric is a tensor product, in coordinates the product of A and G; a library stores the two in an
order of the columns, with a homogeneous coordinate somewhere or without one, and scaled in its own way.  Only
products are comparable, (c A, G / c) being the same metric (GK-11), so the scales below belong together.
The formulas were checked against the libraries themselves; tests/data/record_libraries.py records what they give.

C outputs, N data, T places of a layer, R loss terms of a datum (its output places).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal, TypeAlias, final, get_args

import numpy as np

from geomkfac.counts import checked_count
from geomkfac.errors import UnknownNameError

Homogeneous: TypeAlias = Literal["last", "first", "apart"]
Columns: TypeAlias = Literal["channel_major", "offset_major"]
Loss: TypeAlias = Literal["cross-entropy", "binary cross-entropy", "squared"]
Reduction: TypeAlias = Literal["mean", "sum"]
Expectation: TypeAlias = Literal["exact", "sampled", "empirical"]

CHOICES: dict[str, tuple[str, ...]] = {
    "loss": get_args(Loss),
    "reduction": get_args(Reduction),
    "fisher": get_args(Expectation),
}


@final
@dataclass(frozen=True, slots=True)
class FactorSetting:
    """For what a library computed its factors.

    Parameters
    ----------
    data : N, how many data
    loss : 'cross-entropy' of a softmax, 'binary cross-entropy' of logits, or 'squared' as the library has it
    reduction : 'mean' or 'sum', of the loss that was given to the library
    fisher : 'exact' (type-2), 'sampled' (Monte Carlo) or 'empirical'

    Raises
    ------
    UnknownNameError, ValuesError
    """

    data: int
    loss: Loss = "cross-entropy"
    reduction: Reduction = "mean"
    fisher: Expectation = "exact"

    def __post_init__(self) -> None:
        checked_count("the number of data", self.data)
        for field, names in CHOICES.items():
            value = getattr(self, field)
            if value not in names:
                raise UnknownNameError(f"{field} must be one of {', '.join(map(repr, names))}; came {value!r}.")


@final
@dataclass(frozen=True, slots=True)
class LayerScaling:
    """What the scales of one layer's factors depend on.

    Attributes
    ----------
    setting : FactorSetting
    places : T, at how many places the layer is applied
    outputs : C
    loss_terms : R, how many terms the loss of one datum has
    """

    setting: FactorSetting
    places: int
    outputs: int
    loss_terms: int

    def loss_factor(self, *, mean_over_outputs: bool) -> float:
        """The library's loss over the negative log-likelihood: 2, or with a mean over outputs as well 2 / C, ...

        A squared loss without the half has twice the curvature of a Gaussian of unit variance; PyTorch's means
        of squared and of binary losses divide by C too.  Empirical gradients enter squared, their 2 with them; the
        mean over outputs does not (curvlinops multiplies gradients by sqrt(C) first).
        """
        setting = self.setting
        factor = 2.0 if setting.loss == "squared" else 1.0
        if setting.fisher == "empirical":
            factor **= 2
        if mean_over_outputs and setting.reduction == "mean" and setting.loss != "cross-entropy":
            factor /= self.outputs
        return factor


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerFactors:
    """The factors of one layer, as a library stores them: arrays, never intrinsic.

    Attributes
    ----------
    activations : array, shape (n + 1, n + 1); (n, n) where weight and bias stand apart
    gradients : array, shape (m, m)
    bias : array, shape (m, m), the bias' own block where it stands apart; None where it is `gradients`
    """

    activations: Any
    gradients: Any
    bias: Any = None


Scale: TypeAlias = Callable[[LayerScaling], float]


def _one(scaling: LayerScaling) -> float:
    return 1.0


@final
@dataclass(frozen=True, slots=True)
class FactorConvention:
    """How a library writes down the Kronecker factors of a layer.

    Attributes
    ----------
    name : of the library
    homogeneous : 'last' or 'first', where the coordinate 1 of [a; 1] stands; 'apart': there is none, weight and bias
        have a block each, and no cross block
    columns : of a layer on patches or on a whole map; 'channel_major' (offsets within a channel, PyTorch) or
        'offset_major' (channels within an offset: this package, and the HWIO of JAX)
    transposed : whether a weight is stored as (in, out), so that its block on row-major arrays is kron(A, G); the block
        of an (out, in) weight is kron(G, A)
    activation_scale : LayerScaling -> their A over ours (a mean over data and places)
    gradient_scale : LayerScaling -> their G over ours (a mean over data of sums over places)
    block_scale : LayerScaling -> what the library multiplies the product of both by when it uses it
    fishers : which expectations the scales were checked for

    Examples
    --------
    >>> import numpy as np
    >>> A, G = np.array([[2.0, 1.0], [1.0, 1.0]]), np.diag([3.0, 5.0])
    >>> NNGEOMETRY.block(LayerFactors(A, G)).shape
    (4, 4)
    """

    name: str
    homogeneous: Homogeneous
    columns: Columns
    transposed: bool = False
    activation_scale: Scale = _one
    gradient_scale: Scale = _one
    block_scale: Scale = _one
    fishers: tuple[Expectation, ...] = ("exact", "sampled")

    @property
    def is_joint(self) -> bool:
        """Whether weight and bias share one block."""
        return self.homogeneous != "apart"

    def scales(self, scaling: LayerScaling) -> tuple[float, float]:
        """``(a, g)``: their A is a times ours, their G is g times ours.

        Raises
        ------
        UnknownNameError : the library's scale for this expectation is not known.
        """
        if scaling.setting.fisher not in self.fishers:
            raise UnknownNameError(
                f"the scales of {self.name} are known for fisher = {', '.join(map(repr, self.fishers))}.\n"
                f"  came: {scaling.setting.fisher!r}\nUse one of these, or a FactorConvention with scales of your own."
            )
        return self.activation_scale(scaling), self.gradient_scale(scaling)

    def block(self, factors: LayerFactors, scaling: LayerScaling | None = None) -> Any:
        """The matrix of the layer on the library's own parameters: the weight, row-major as stored, then the bias.

        Parameters
        ----------
        factors : as the library stores them
        scaling : where the library multiplies its products by a scale; None for none

        Returns
        -------
        array, shape (m (n + 1), m (n + 1))
        """
        A, G = np.asarray(factors.activations), np.asarray(factors.gradients)
        own = G if factors.bias is None else np.asarray(factors.bias)
        if self.is_joint:
            n, first = A.shape[0] - 1, int(self.homogeneous == "first")
            one, rest = (0 if first else n), slice(first, first + n)
            weight, cross, own = A[rest, rest], A[rest, one][:, None], A[one, one] * G
        else:
            weight, cross = A, np.zeros((A.shape[0], 1), A.dtype)
        pairs = (weight, G), (cross, G)
        both, mixed = (np.kron(x, y) if self.transposed else np.kron(y, x) for x, y in pairs)
        scale = 1.0 if scaling is None else self.block_scale(scaling)
        return scale * np.block([[both, mixed], [mixed.T, own]])


def _torch_loss(scaling: LayerScaling) -> float:
    """PyTorch's losses: 'sum' leaves out 1 / N; 'mean' is over loss terms too, and over outputs but for softmax."""
    factor = scaling.loss_factor(mean_over_outputs=True)
    return factor * (scaling.setting.data if scaling.setting.reduction == "sum" else 1.0 / scaling.loss_terms)


def _own_loss(scaling: LayerScaling) -> float:
    """A squared loss without the half, and a mean over data whatever the reduction.

    Where one datum has several softmaxes, `multiply_fisher_factor_replicated_one_hot_unweighted` of kfac-jax 0.0.8
    subtracts the probabilities at every place instead of one: what it then calls the exact Fisher is not.
    """
    setting = scaling.setting
    if setting.loss == "cross-entropy" and setting.fisher == "exact" and scaling.loss_terms > 1:
        raise UnknownNameError(
            "kfac-jax 0.0.8 mixes up the places of a softmax: its 'fisher_exact' is no Fisher metric there.\n"
            f"  required: one softmax for each datum, or fisher='sampled'\n  came    : {scaling.loss_terms}"
        )
    return scaling.loss_factor(mean_over_outputs=False)


def _root_of_outputs(scaling: LayerScaling) -> float:
    """NNGeometry's n_output: how many backward passes it makes, C - 1 for the exact Fisher of a softmax."""
    if scaling.setting.fisher == "sampled":
        raise UnknownNameError(
            "NNGeometry scales its factors by the root of the number of trials, which a FactorSetting does not hold.\n"
            "Multiply A by 1 / sqrt(trials) and G by sqrt(trials), and say fisher='exact'."
        )
    reduced = scaling.setting.loss == "cross-entropy"
    return sqrt(scaling.outputs * scaling.loss_terms - reduced)


CURVLINOPS = FactorConvention(
    "curvlinops, weight and bias in one block",
    "last",
    "channel_major",
    gradient_scale=_torch_loss,
    fishers=("exact", "sampled", "empirical"),
)
"""``KFACLinearOperator(..., separate_weight_and_bias=False)``: A a mean over data and places, the loss' scale in G.

Its 'reduce' is this package's sharing='reduce', with the same scales.  Of outputs at several places it takes axis 1
as C for a softmax, the last axis for other losses; it passes all their losses back at once, so that there the factors
are ours for 'expand' alone, and where later layers act on each place by itself."""

CURVLINOPS_SEPARATE = replace(CURVLINOPS, name="curvlinops, weight and bias apart", homogeneous="apart")
"""curvlinops' default: kron(G, A) for the weight, G alone for the bias."""

NNGEOMETRY = FactorConvention(
    "NNGeometry",
    "last",
    "channel_major",
    activation_scale=lambda scaling: scaling.places * _root_of_outputs(scaling),
    gradient_scale=lambda scaling: 1.0 / (scaling.places * _root_of_outputs(scaling)),
    fishers=("exact",),
)
"""``PMatKFAC``: A a sum over places, times sqrt(n_output); G a mean over places, over sqrt(n_output).

Its squared loss has unit variance, as ours: the product is ours, whatever loss='squared' says elsewhere."""

BACKPACK = FactorConvention(
    "BackPACK",
    "apart",
    "channel_major",
    activation_scale=lambda scaling: float(scaling.places),
    gradient_scale=_torch_loss,
)
"""``KFLR`` and ``KFAC``: weight [G, A], bias [G].  For a convolution A is a sum over places ('expand'), and G is of
gradients summed over places first ('reduce'): with one place ours, with several its own metric."""

KFAC_JAX = FactorConvention(
    "kfac-jax",
    "last",
    "offset_major",
    transposed=True,
    gradient_scale=lambda scaling: _own_loss(scaling) / scaling.places,
    block_scale=lambda scaling: float(scaling.places),
)
"""``BlockDiagonalCurvature``: factors[0] is A, factors[1] is G, both means over data and places; the block is
multiplied by the number of places when it is used.  The bias is the last row of an (in, out) weight."""
