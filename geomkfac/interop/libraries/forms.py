"""From the arrays of other libraries to metrics, and back.

What a library calls its K-FAC matrix is the array of a metric in the frames in which the model was written down.
Read with these frames it becomes an intrinsic object, to be shown in any other ones, compared, and solved with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from geomkfac.arrays import floating
from geomkfac.arrays.array import Array
from geomkfac.errors import KindError, NotPositiveError, ShapeError, SpaceMismatchError
from geomkfac.interop.libraries.column_orders import channel_major, offset_major
from geomkfac.interop.libraries.conventions import FactorConvention, FactorSetting, LayerFactors, LayerScaling
from geomkfac.interop.libraries.gap import along
from geomkfac.maps import AffineMaps
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.passes.stages import AffineStage
from geomkfac.spaces import Frame, Parameterization


def layer_scalings(network: FeedForward, setting: FactorSetting) -> tuple[LayerScaling, ...]:
    """What the scales of each layer's factors depend on: places, outputs and loss terms are the network's.

    Raises
    ------
    SpaceMismatchError : a recurrent network, or groups of channels, for which no library has a convention here.
    """
    if not isinstance(network, FeedForward):
        raise SpaceMismatchError(
            f"conventions are known for fully connected and convolutional networks.\n  came: {network!r}"
        )
    loss_terms = prod(network.output_places)
    scalings = []
    for stage in network.stages:
        if not isinstance(stage, AffineStage):
            continue
        if len(stage.maps) != 1:
            raise SpaceMismatchError(
                f"a convolution in {len(stage.maps)} groups has that many pairs of factors here, and one in other "
                "libraries, which do not agree on it.\n  required: convolutions with groups = 1"
            )
        scalings.append(LayerScaling(setting, prod(stage.grid), network.outputs.dim, loss_terms))
    return tuple(scalings)


def to_convention(
    metric: DirectSumTensor,
    network: FeedForward,
    parameterization: Parameterization,
    convention: FactorConvention,
    setting: FactorSetting,
) -> list[LayerFactors]:
    """The factors of a K-FAC metric as a library would store them for the model written down in these frames.

    For a convention with weight and bias apart the cross block, the mean activation, is dropped: what is returned
    then is no longer the metric, and which part of it is left depends on the frames.

    Parameters
    ----------
    metric : on the network's weight space, a tensor product for each layer
    parameterization : the frames of the model's coordinates
    convention : CURVLINOPS, NNGEOMETRY, ...
    setting : what the library's scales depend on

    Returns
    -------
    One LayerFactors per layer, NumPy arrays.  Compare products A (x) G only: (c A, G / c) is the same metric.

    Examples
    --------
    >>> import numpy as np
    >>> import geomkfac as gk
    >>> from geomkfac.interop import KFAC_JAX, FactorSetting, to_convention
    >>> net, weights, iota = gk.MLP.from_arrays([np.eye(2, 3)], [np.zeros(2)])
    >>> data = iota.sample(np.arange(12.0).reshape(4, 3))
    >>> g = net.kfac_metric(weights, data, gk.Gaussian().on(iota))
    >>> (layer,) = to_convention(g, net, iota, KFAC_JAX, FactorSetting(4, "squared"))
    >>> print(layer.gradients)  # a squared loss without the half
    [[2. 0.]
     [0. 2.]]
    """
    if not isinstance(metric, DirectSumTensor) or metric.space is not network.weight_space.direction:
        raise SpaceMismatchError(
            f"required: a K-FAC metric of {network!r}, a form on {network.weight_space.direction!r}.\n"
            f"  came    : {metric!r}"
        )
    _check_floating(network)
    found = []
    scalings = layer_scalings(network, setting)
    for layer, scaling, pair in zip(network.layers, scalings, metric.kronecker_factors(), strict=True):
        frames = _frames(layer, parameterization)
        A, G = (form.namespace.to_numpy(form.coordinates(frame)) for form, frame in zip(pair, frames, strict=True))
        a, g = convention.scales(scaling)
        corner = A[-1, -1]
        if corner > 0:
            # In our gauge, in which the conventions' scales are stated.
            A, G = A / corner, G * corner
        A, G = _columns(A, layer, convention, back=False) * A.dtype.type(a), G * G.dtype.type(g)
        if convention.homogeneous == "first":
            A = np.roll(A, 1, axis=(0, 1))
        bias = None
        if not convention.is_joint:
            A, bias = A[:-1, :-1].copy(), G.copy()
        found.append(LayerFactors(A, G, bias))
    return found


def from_convention(
    factors: Iterable[LayerFactors | Sequence[Any]],
    network: FeedForward,
    parameterization: Parameterization,
    convention: FactorConvention,
    setting: FactorSetting,
) -> DirectSumTensor:
    """The metric that a library's factors are, for the model written down in these frames; in this package's scale.

    A convention with weight and bias apart has no cross block.  Where the bias' block is a multiple c of G, this is
    the tensor product of diag(A, c) and G; otherwise a sum of two, kept as one matrix.  Either way the form *depends
    on the frame*: it says that the mean activation is the frame's origin, so that the same library, given the same
    function with its activations moved, gives another metric.

    Parameters
    ----------
    factors : one for each layer, in order; LayerFactors, or (A, G) or (A, G, G of the bias), arrays of one dtype
        that NumPy reads, or tensors
    parameterization : the frames of the model's coordinates
    convention, setting : how the library wrote them down, and for what

    Raises
    ------
    ShapeError, NotPositiveError, KindError, SpaceMismatchError

    Examples
    --------
    >>> import numpy as np
    >>> import geomkfac as gk
    >>> from geomkfac.interop import NNGEOMETRY, FactorSetting, from_convention
    >>> net, iota = gk.MLP.from_widths([1, 1])
    >>> A, G = np.array([[5.0, 2.0], [2.0, 1.0]]), np.array([[3.0]])
    >>> g = from_convention([(A, G)], net, iota, NNGEOMETRY, FactorSetting(7, "squared"))
    >>> kappa = iota.change({net.inputs: (None, np.array([-2.0]))})
    >>> print(g.coordinates(kappa).blocks[0].left)  # centred
    [[1. 0.]
     [0. 1.]]
    """
    _check_floating(network)
    given = [_as_factors(one, index) for index, one in enumerate(factors, start=1)]
    scalings = layer_scalings(network, setting)
    if len(given) != len(network.layers):
        raise ShapeError(
            f"required: factors of {len(network.layers)} layers, in order.\n  came    : {len(given)}\n"
            "Leave out what belongs to no weighted layer of this network."
        )
    parts: list[MetricTensor] = []
    for index, (layer, scaling, own) in enumerate(zip(network.layers, scalings, given, strict=True), start=1):
        _check_shapes(own, layer, convention, index)
        a, g = convention.scales(scaling)
        squares = setting.data * scaling.places * np.array([1, scaling.outputs * scaling.loss_terms])
        G = own.gradients / own.gradients.dtype.type(g)
        A = own.activations / own.activations.dtype.type(a)
        frames = _frames(layer, parameterization)
        if convention.is_joint:
            if convention.homogeneous == "first":
                A = np.roll(A, -1, axis=(0, 1))
            A = _columns(A, layer, convention, back=True)
            parts.append(_product(A, G, frames, squares, index))
            continue
        weight = _columns(_with_corner(A, 0.0), layer, convention, back=True)
        bias = G if own.bias is None else own.bias / own.bias.dtype.type(g)
        parts.append(_apart(weight, G, bias, frames, squares, index))
    return DirectSumTensor(*parts)


def _apart(weight: Any, G: Any, bias: Any, frames: tuple[Frame, Frame], squares: Any, index: int) -> MetricTensor:
    """diag(A, 0) (x) G + diag(0, 1) (x) G_bias: one product where G_bias is a multiple of G."""
    ratio, rest = along(G, bias)
    rounding = max(squares[1], G.shape[0]) * float(np.finfo(G.dtype).eps)
    if np.linalg.norm(rest) <= rounding * np.linalg.norm(bias):
        joint = weight.copy()
        joint[-1, -1] = ratio
        return _product(joint, G, frames, squares, index)
    corner = np.zeros_like(weight)
    corner[-1, -1] = 1
    return _product(weight, G, frames, squares, index) + _product(corner, bias, frames, squares, index)


def _product(A: Any, G: Any, frames: tuple[Frame, Frame], squares: Any, index: int) -> KroneckerTensor:
    """A (x) G; they are sums of `squares` squares, (of A, of G)."""
    h = _form(A, frames[0], int(squares[0]), f"A of layer {index}")
    return KroneckerTensor(h, _form(G, frames[1], int(squares[1]), f"G of layer {index}"))


def _form(matrix: Any, frame: Frame, terms: int, what: str) -> DenseTensor:
    """A form from a matrix that is a sum of `terms` squares, symmetric and semidefinite up to their rounding."""
    space: Any = frame.space
    ns = space.kind.namespace_of(matrix)
    checked = ns.asarray(matrix, what=what)
    symmetric = (checked + checked.mT) / 2
    # A sum of that many products, however ordered, errs by so much of its absolute value; and so does the library's
    # division by their number.
    rounding = 2 * max(terms, matrix.shape[0]) * ns.epsilon * float(np.linalg.norm(matrix))
    skew = float(np.linalg.norm(matrix - matrix.T))
    smallest = float(np.linalg.eigvalsh(symmetric)[0])
    if skew > rounding or smallest < -rounding:
        raise NotPositiveError(
            f"{what} must be symmetric and positive semidefinite, up to a rounding of {rounding:.1e}.\n"
            f"  came: smallest eigenvalue {smallest:.1e}, |M - M.T| = {skew:.1e}\n"
            "Is this the factor itself, and not its inverse root or a product of several?"
        )
    return DenseTensor(space, frame, symmetric, ns, what, terms=terms)


def _frames(layer: AffineMaps, parameterization: Parameterization) -> tuple[Frame, Frame]:
    """The frames of Hull(A)* and of TZ in which A and G stand."""
    return parameterization[layer.domain].hull.dual, parameterization[layer.codomain].linear


def _columns(A: Any, layer: AffineMaps, convention: FactorConvention, *, back: bool) -> Any:
    """Rows and columns of A, homogeneous coordinate last, from our order to the convention's, or back."""
    offsets = getattr(layer.domain, "places", 1)
    if convention.columns == "offset_major" or offsets == 1:
        return A
    return (offset_major if back else channel_major)(A, offsets)


def _with_corner(A: Any, corner: float) -> Any:
    n = A.shape[0]
    joint = np.zeros((n + 1, n + 1), A.dtype)
    joint[:n, :n], joint[n, n] = A, corner
    return joint


def _check_floating(network: FeedForward) -> None:
    if isinstance(network, FeedForward) and network.inputs.kind.is_exact:
        raise KindError(f"other libraries compute in floating point; {network!r} is over {network.inputs.kind!r}.")


def _as_factors(one: Any, index: int) -> LayerFactors:
    if isinstance(one, LayerFactors):
        parts: list[Any] = [one.activations, one.gradients] + ([] if one.bias is None else [one.bias])
    else:
        parts = list(one) if isinstance(one, Sequence) else []
    if len(parts) not in (2, 3):
        raise ShapeError(
            f"required: factors of layer {index} as LayerFactors, or (A, G), or (A, G, G of the bias).\n"
            f"  came    : {type(one).__name__}\nBackPACK's [G, A] is turned around first."
        )
    return LayerFactors(*(_to_numpy(part) for part in parts))


def _to_numpy(array: Any) -> Array:
    """A copy in NumPy of an array of any library; integers and half precision are refused."""
    if hasattr(array, "detach"):
        array = array.detach()
    ns = floating.namespace_of(array)
    return ns.to_numpy(array)


def _check_shapes(own: LayerFactors, layer: AffineMaps, convention: FactorConvention, index: int) -> None:
    n, m = layer.domain.dim + convention.is_joint, layer.codomain.dim
    wanted = {"A": (n, n), "G": (m, m)}
    came = {"A": tuple(own.activations.shape), "G": tuple(own.gradients.shape)}
    if own.bias is not None:
        if convention.is_joint:
            raise ShapeError(f"layer {index} has a block of its bias, and {convention.name} has none: use another.")
        wanted["G of the bias"], came["G of the bias"] = (m, m), tuple(own.bias.shape)
    if wanted == came:
        return
    lines = "\n".join(f"  {name}: required {wanted[name]}, came {came[name]}" for name in wanted)
    hint = "Is the order A, then G, layer by layer?"
    turned = (came["A"], came["G"]) == (wanted["G"], wanted["A"])
    if not turned and came["A"] in ((n - 1, n - 1), (n + 1, n + 1)):
        hint = "Are weight and bias apart, in a convention in which they are not, or the other way round?"
    raise ShapeError(f"the factors of layer {index} do not fit {layer!r} as {convention.name}.\n{lines}\n{hint}")
