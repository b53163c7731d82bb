"""For tests of code that uses geomkfac: Hypothesis strategies, conformance checks, gauge fuzzing.

Strategies need Hypothesis, which the extra `test` installs; it is imported where it is first used.
"""

from __future__ import annotations

from geomkfac.spaces.frames.gauge import gauge_fuzzing
from geomkfac.testing.arrays import changes_of_basis, integer_array, kinds, namespaces, small_arrays
from geomkfac.testing.comparison import Bench, LawViolatedError
from geomkfac.testing.conformance import check_smooth_map, check_space_laws
from geomkfac.testing.gauge import check_gauge
from geomkfac.testing.invariance import assert_invariant
from geomkfac.testing.metrics import check_metric_tensor
from geomkfac.testing.networks import (
    convolutional_networks,
    covector_metrics,
    forms,
    networks,
    recurrent_networks,
)
from geomkfac.testing.strategies import (
    activations,
    affine_maps,
    affine_spaces,
    base_spaces_of,
    elements,
    frames,
    parameterizations,
    points,
    samples,
    spaces,
    vector_spaces,
    vectors,
)
from geomkfac.updates.rule import LayerToUpdate, NetworkToUpdate, Update

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "check_space_laws",
    "check_smooth_map",
    "check_metric_tensor",
    "LawViolatedError",
    "Bench",
    "assert_invariant",
    "NetworkToUpdate",
    "LayerToUpdate",
    "Update",
    "gauge_fuzzing",
    "check_gauge",
    "kinds",
    "namespaces",
    "integer_array",
    "small_arrays",
    "changes_of_basis",
    "vector_spaces",
    "affine_spaces",
    "spaces",
    "base_spaces_of",
    "frames",
    "parameterizations",
    "elements",
    "points",
    "vectors",
    "affine_maps",
    "samples",
    "activations",
    "networks",
    "convolutional_networks",
    "recurrent_networks",
    "covector_metrics",
    "forms",
]
