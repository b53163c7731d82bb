"""The categorical family in C - 1 logits: that of the last class is 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.output_family import OutputFamily

_ALL = Categorical()


@registered
@final
@dataclass(frozen=True, slots=True)
class ReducedCategorical(OutputFamily):
    """One of C = m + 1 classes, with probabilities ``p = softmax(z_1, ..., z_m, 0)``.

    The pullback of the categorical family by ``z -> (z, 0)``.  Every distribution with all classes possible has just
    one z, so its Fisher metric, ``diag(p) - p pᵀ`` without the last row and column, is nondegenerate.

    Targets are integer labels 0, ..., m of shape (N,), or probabilities of shape (N, m + 1); so are predictions.
    """

    name: ClassVar[str] = "reduced_categorical"
    outputs: ClassVar[str] = "logits of all classes but the last, whose logit is 0"

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        return _ALL.check_targets(ns, targets, m + 1)

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return _ALL.loss(ns, _with_zero(ns, z), targets)

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return _ALL.loss_gradient(ns, _with_zero(ns, z), targets)[..., :-1]

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """The categorical family's covectors without their last coordinate: K = m."""
        weights, covectors = _ALL.fisher_factor(ns, _with_zero(ns, z))
        return weights, covectors[..., :-1]

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        weights, covectors = _ALL.sampled_factor(ns, _with_zero(ns, z), draws, first, samples)
        return weights, covectors[..., :-1]

    def predictions(self, ns: Namespace, z: Array) -> Array:
        """The probabilities of all classes, shape (*batch, m + 1)."""
        return _ALL.predictions(ns, _with_zero(ns, z))


def _with_zero(ns: Namespace, z: Array) -> Array:
    return ns.concat([z, ns.zeros((*tuple(z.shape)[:-1], 1))], axis=-1)
