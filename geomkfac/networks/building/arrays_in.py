"""Arrays of weights on their way in: shapes that chain, one dtype, one bias per weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geomkfac.arrays.array import Array, check_random_source
from geomkfac.arrays.namespace import Kind
from geomkfac.errors import KindError, ShapeError
from geomkfac.maps import AffineMaps
from geomkfac.required import listed


def checked_layers(kind: Kind, Ws: Sequence[Array], bs: Sequence[Array]) -> list[int]:
    """The widths (n_0, ..., n_L) of weights (m_i, m_{i-1}) and biases (m_i,)."""
    Ws, bs = listed("the weights", Ws), listed("the biases", bs)
    if len(Ws) != len(bs) or not Ws:
        raise ShapeError(f"a network needs one bias for each weight, at least one; came {len(Ws)} and {len(bs)}.")
    widths: list[int] = []
    for index, (matrix, bias) in enumerate(zip(Ws, bs, strict=True), start=1):
        for array, what, ndim in ((matrix, "weight", 2), (bias, "bias", 1)):
            shape = getattr(array, "shape", None)
            if shape is None:
                raise KindError(f"the {what} of layer {index} must be an array, not {type(array).__name__}.")
            if len(shape) != ndim:
                raise ShapeError(f"the {what} of layer {index} must have {ndim} axes; its shape is {tuple(shape)}.")
        m, n = matrix.shape
        if tuple(bias.shape) != (m,):
            came = tuple(bias.shape)
            raise ShapeError(f"layer {index} has weight ({m}, {n}) and bias {came}; the bias must be ({m},).")
        if widths and widths[-1] != n:
            raise ShapeError(
                f"layer {index} takes {n} inputs and layer {index - 1} gives {widths[-1]} outputs; shapes must chain."
            )
        widths = widths or [n]
        widths.append(m)
    return widths


def stacked_arrays(layers: tuple[AffineMaps, ...], Ws: Sequence[Array], bs: Sequence[Array]) -> list[Any]:
    """One array (m, n + 1) per layer, (W b), copied and checked."""
    Ws, bs = listed("the weights", Ws), listed("the biases", bs)
    if len(Ws) != len(layers) or len(bs) != len(layers):
        raise ShapeError(f"this network has {len(layers)} layers; came {len(Ws)} weights and {len(bs)} biases.")
    parts = []
    for index, (layer, matrix, bias) in enumerate(zip(layers, Ws, bs, strict=True), start=1):
        ns = layer.kind.namespace_of(matrix)
        W = ns.asarray(matrix, what=f"the weight of layer {index}")
        b = ns.asarray(bias, what=f"the bias of layer {index}")
        m, n = layer.codomain.dim, layer.domain.dim
        if tuple(W.shape) != (m, n) or tuple(b.shape) != (m,):
            raise ShapeError(
                f"layer {index} has weight ({m}, {n}) and bias ({m},); came {tuple(W.shape)} and {tuple(b.shape)}."
            )
        parts.append(ns.concat([W, ns.reshape(b, (m, 1))], axis=1))
    return parts


def random_parts(layers: tuple[AffineMaps, ...], rng: Any, like: Array | None) -> list[Any]:
    """Coordinates (m, n + 1) for every layer: W normal of variance 1/n and b zero; over exact kinds all random."""
    check_random_source(rng)
    kind = layers[0].kind
    ns = kind.default_namespace if like is None else kind.namespace_of(like)
    parts = []
    for layer in layers:
        m, n = layer.codomain.dim, layer.domain.dim
        if kind.is_exact:
            parts.append(ns.random(rng, (m, n + 1)))
            continue
        matrix = ns.random(rng, (m, n)) * (1.0 / max(n, 1) ** 0.5)
        parts.append(ns.concat([matrix, ns.zeros((m, 1))], axis=1))
    return parts
