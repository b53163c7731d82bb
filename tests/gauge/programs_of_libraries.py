"""Gauge programs: factors in the conventions of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from geomkfac import interop
from geomkfac.arrays.namespace import Kind

from .programs_of_networks import network
from .registry import numbers, program


def factors(kind: Kind, *, joint: bool = True) -> list[Any]:
    """Factors of the layers of `network`: widths 2, 3, 2."""
    found = []
    for seed, (n, m) in enumerate([(2, 3), (3, 2)]):
        rows = np.asarray(numbers(kind, 5, n + joint, seed=seed))
        covectors = np.asarray(numbers(kind, 5, m, seed=7 + seed))
        if joint:
            rows[:, n] = 1.0
        found.append((rows.T @ rows / 4, covectors.T @ covectors / 2))
    return found


@program(
    "from_convention", "to_convention", "layer_scalings", "FactorConvention", "FactorSetting", "LayerFactors",
    "LayerScaling", "CURVLINOPS", "CURVLINOPS_SEPARATE", "KFAC_JAX", "BACKPACK",
    exact=False, rounds_nothing=False, slots=2,
)  # fmt: skip
def factors_of_other_libraries(kind: Kind) -> Any:
    net, _, iota = network(kind)
    setting = interop.FactorSetting(5, "squared", "sum")
    kappa = iota.change({net.inputs: (2.0 * np.eye(2), np.ones(2))})
    results: list[Any] = []
    for convention in (interop.CURVLINOPS, interop.CURVLINOPS_SEPARATE):
        g = interop.from_convention(factors(kind, joint=convention.is_joint), net, iota, convention, setting)
        results += [block.dense() for block in g.coordinates(kappa).blocks]
        for other in (interop.KFAC_JAX, interop.BACKPACK):
            for layer in interop.to_convention(g, net, kappa, other, setting):
                results += [layer.activations, layer.gradients]
    return results


@program("NNGEOMETRY", "transforms_as_metric", "TransformationReport", "LayerTransformation", exact=False)
def whether_factors_are_one_metric(kind: Kind) -> Any:
    """Its discrepancies are rounding, or arrays; the verdicts are what a user takes away."""
    net, _, iota = network(kind)
    kappa = iota.change({net.inputs: (2.0 * np.eye(2), np.ones(2))})
    setting = interop.FactorSetting(5, "squared")
    g = interop.from_convention(factors(kind), net, iota, interop.NNGEOMETRY, setting)
    here, there = (interop.to_convention(g, net, frames, interop.NNGEOMETRY, setting) for frames in (iota, kappa))
    verdicts = [
        layer.verdict == "transforms"
        for second in (there, here)
        for layer in interop.transforms_as_metric(here, second, net, iota, kappa, interop.NNGEOMETRY, setting).layers
    ]
    return np.asarray(verdicts, dtype=float)
