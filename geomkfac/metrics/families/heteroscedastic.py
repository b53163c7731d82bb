"""The Gaussian family whose variances are learned: means and log variances as parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import ShapeError
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.family_targets import as_rows
from geomkfac.metrics.families.output_family import OutputFamily, diagonal_factor, sample_weights
from geomkfac.metrics.families.overflow import refuse_overflow


@registered
@final
@dataclass(frozen=True, slots=True)
class HeteroscedasticGaussian(OutputFamily):
    r"""k independent numbers ``y_i ~ N(mu_i, exp(s_i))``, with outputs ``z = (mu_1, ..., mu_k, s_1, ..., s_k)``.

    All means come first, then all log variances: m = 2k coordinates.  Targets and predictions have shape (N, k).

    Notes
    -----
    The Fisher metric is diagonal: ``exp(-s_i)`` on the means, 1/2 on the log variances.  Source: LG Example 3.2.
    """

    name: ClassVar[str] = "heteroscedastic_gaussian"
    outputs: ClassVar[str] = "all means, then all log variances"

    def check_dimension(self, m: int) -> None:
        if m < 2 or m % 2:
            raise ShapeError(
                f"the {self.name} family needs a mean and a log variance for every target.\n"
                f"  required: an even dimension of the outputs, 2 or more\n  came    : {m}\n"
                "Order the outputs as all means, then all log variances."
            )

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        return as_rows(ns, ns.asarray(targets, what="targets"), m // 2, f"targets of the {self.name} family")

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """``sum_i ½ (y_i - mu_i)² exp(-s_i) + ½ s_i + ½ log 2π``, shape (*batch)."""
        mean, log_variance, inverse = _read(_ordered(ns), z)
        residual = (targets - mean) * inverse
        constant = mean.shape[-1] * math.log(2 * math.pi) / 2
        return ns.sum(residual * residual + log_variance, axis=-1) / 2 + constant

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        mean, _, inverse = _read(_ordered(ns), z)
        residual = (targets - mean) * inverse
        return _gradient(ns, residual, inverse)

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """Weights ``exp(-s_i)`` and 1/2 on the standard basis: K = m."""
        _, log_variance, inverse = _read(_ordered(ns), z)
        halves = ns.broadcast_to(ns.scalar(0.5), tuple(log_variance.shape))
        return diagonal_factor(ns, ns.concat([inverse * inverse, halves], axis=-1))

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        ordered = _ordered(ns)
        _, log_variance, inverse = _read(ordered, z)
        count, k = log_variance.shape
        normal = ordered.cast_numpy(draws.normal(first, count, samples * k, epsilon=ns.epsilon))
        residual = ns.permute(ns.reshape(normal, (count, samples, k)), (1, 0, 2))
        return sample_weights(ns, samples, count), _gradient(ns, residual, inverse)

    def predictions(self, ns: Namespace, z: Array) -> Array:
        """The means, shape (*batch, m / 2)."""
        return z[..., : z.shape[-1] // 2]


def _ordered(ns: Namespace) -> OrderedNamespace:
    return ns.ordered("the Gaussian family with learned variance (exponentials of log variances)")


def _read(ns: OrderedNamespace, z: Array) -> tuple[Array, Array, Array]:
    """``mu``, ``s`` and ``exp(-s/2)``, whose square is a number too; (*batch, k) each."""
    k = z.shape[-1] // 2
    log_variance = z[..., k:]
    advice = "Scale the targets, or keep the log variances of the network from running away."
    refuse_overflow(ns, -log_variance, "negative log variance", advice)
    return z[..., :k], log_variance, ns.exp(log_variance * -0.5)


def _gradient(ns: Namespace, residual: Array, inverse: Array) -> Array:
    """Of the loss, from ``r = (y - mu) exp(-s/2)``: ``-r exp(-s/2)`` and ``½ (1 - r²)``."""
    return ns.concat([-residual * inverse, (1 - residual * residual) / 2], axis=-1)
