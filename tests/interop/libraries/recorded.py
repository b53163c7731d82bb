"""The factors that other libraries computed, as tests/data/record_libraries.py wrote them down."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import geomkfac as gk
from geomkfac.interop import (
    BACKPACK,
    CURVLINOPS,
    CURVLINOPS_SEPARATE,
    KFAC_JAX,
    NNGEOMETRY,
    FactorSetting,
    LayerFactors,
    layer_scalings,
)

from ...data.record_libraries import MODELS, N, written_in

RECORDED = Path(__file__).parents[2] / "data" / "library-factors.npz"
CONVENTIONS = {
    "curvlinops": CURVLINOPS,
    "curvlinops-separate": CURVLINOPS_SEPARATE,
    "nngeometry": NNGEOMETRY,
    "backpack": BACKPACK,
    "kfac-jax": KFAC_JAX,
}
FAMILIES = {"cross-entropy": gk.Categorical, "squared": gk.Gaussian, "binary cross-entropy": gk.Bernoulli}
MIXED_UP = "map.iota.kfac-jax.cross-entropy.mean"
"""kfac-jax' exact Fisher of several softmaxes for each datum, which is none."""

with np.load(RECORDED) as file:
    ARRAYS = dict(file)

KEYS = sorted({key.rsplit(".", 2)[0] for key in ARRAYS if ".layer" in key})
"""'<model>.<frame>.<library>.<loss>.<reduction>[.empirical]'."""

model = cache(lambda name: MODELS[name]())


def parts_of(key):
    """Model, frame, library, setting."""
    name, frame, library, loss, reduction, *fisher = key.split(".")
    return model(name), frame, library, FactorSetting(N, loss, reduction, *(fisher or ["exact"]))


def factors_of(key):
    """One LayerFactors a layer."""
    pairs = [[ARRAYS.get(f"{key}.layer{k}.{part}") for part in ("A", "G", "bias")] for k in (1, 2)]
    return [LayerFactors(*pair) for pair in pairs]


@cache
def kfac_metric(name, loss, fisher="exact", sharing="expand", frame="iota"):
    """This package's, of the recorded arrays and data in some frame, computed in that frame."""
    one = model(name)
    written, changes = written_in(one, frame)
    parameterization = one.iota if frame == "iota" else one.iota.change(changes)
    targets = written.Y[..., 0] if loss == "cross-entropy" else written.Y.astype(float)
    data = parameterization.sample(ARRAYS[f"{name}.iota.X"] if frame == "iota" else written.X, targets)
    return one.net.kfac_metric(one.weights, data, FAMILIES[loss]().on(one.iota), fisher=fisher, sharing=sharing)


def terms(net, setting):
    """Roundings of one entry of a factor: a sum over data, places and outputs, of what went through all layers."""
    scalings = layer_scalings(net, setting)
    widths = sum(layer.domain.dim + 1 + layer.codomain.dim for layer in net.layers)
    return N * max(one.places for one in scalings) * net.outputs.dim + 2 * widths


def rounding(key):
    """Relative to a factor's largest entry: both sides sum `terms` products, in orders of their own.

    NNGeometry subtracts a softmax's probabilities from 1, and divides by what is left: an error of the size of
    rounding, in G of the outputs and all that follow from it, which may themselves be much smaller than 1.
    """
    one, _, library, setting = parts_of(key)
    smaller = 1.0
    if library == "nngeometry" and setting.loss == "cross-entropy":
        G = kfac_metric(one.kind, setting.loss).coordinates(one.iota).blocks[-1].factors[1]
        smaller = float(np.diag(G).max())
    return 2 * terms(one.net, setting) * np.finfo(float).eps / smaller
