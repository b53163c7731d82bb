"""The Hessian of a twin's loss, by its own weights in its own frames; for fully connected networks."""

from __future__ import annotations

import numpy as np

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.audit.twins.storage import Arrays
from geomkfac.audit.twins.twin import Twin
from geomkfac.maps.activations.activation import Activation as ScalarFunction
from geomkfac.maps.activations.polynomials import identity
from geomkfac.metrics import Bernoulli
from geomkfac.networks import MLP
from geomkfac.networks.passes.stages import ActivationStage
from geomkfac.theorems.instances.second_derivatives import hessian
from geomkfac.theorems.instances.smooth_functions import (
    BernoulliLoss,
    Elementwise,
    RowActivation,
    Transformed,
    TransformedLoss,
)
from geomkfac.theorems.instances.textbook.fully_connected import MatrixNetwork


def has_hessian(twin: Twin) -> bool:
    """Whether `hessian_of` knows it: a fully connected network and a Bernoulli family."""
    problem = twin.problem
    return isinstance(problem.network, MLP) and isinstance(problem.family, Bernoulli)


def hessian_of(twin: Twin, arrays: Arrays) -> Array:
    """Of the mean loss times its scale, array (d, d): layer after layer, the rows of (W b) after one another.

    The network is written out in the twin's frames as LG (2.11) has it: activations ``Omega phi(Phi z + tau) + gamma``.
    """
    problem, ns = twin.problem, namespace_of(twin.inputs)
    activations: list[RowActivation] = [
        Transformed(
            Elementwise(ns, _function_of(stage)),
            *twin.into_problem(stage.map.domain),
            *twin.out_of_problem(stage.map.codomain),
        )
        for stage in problem.network.stages
        if isinstance(stage, ActivationStage)
    ]
    activations.append(Elementwise(ns, identity))
    matrix, shift = twin.out_of_problem(problem.network.outputs)
    loss = TransformedLoss(BernoulliLoss(ns, twin.targets), np.linalg.inv(matrix).astype(twin.dtype), shift)
    weights = tuple(np.column_stack([W, b]) for W, b in arrays)
    found: Array = hessian(ns, MatrixNetwork(weights, tuple(activations), loss), twin.inputs)
    return found * twin.loss_scale


def _function_of(stage: ActivationStage) -> ScalarFunction:
    function: ScalarFunction = getattr(stage.map, "function")  # noqa: B009 - a map with coordinates has one
    return function
