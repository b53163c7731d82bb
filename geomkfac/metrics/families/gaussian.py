"""The Gaussian family with a known covariance, with the mean as its parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import NotPositiveError, ShapeError
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.family_targets import as_rows
from geomkfac.metrics.families.output_family import LossInPyTorch, OutputFamily, sample_weights


@registered
@final
@dataclass(frozen=True, slots=True, eq=False)
class Gaussian(OutputFamily):
    r"""``y ~ N(z, C)`` with a known covariance C.

    Parameters
    ----------
    covariance : array, shape (m, m), in the frame on which the family is placed; None is the unit matrix
        Symmetric positive definite.  Over an exact kind it must have nonzero leading minors.

    Notes
    -----
    The gradient of the loss is ``C⁻¹ (z - y)`` and the Fisher metric is ``C⁻¹``, whatever z is: field
    arithmetic, so that these two run over every kind of scalar.  Loss and samples need an ordered one.

    Raises
    ------
    ShapeError, NotPositiveError
        If the covariance is not square, or not symmetric positive definite.
    """

    name: ClassVar[str] = "gaussian"
    outputs: ClassVar[str] = "means, of unit covariance where none is given"

    covariance: Array | None = None
    _weights: Array = field(init=False, repr=False)
    _covectors: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = covectors = None
        if self.covariance is not None:
            ns = namespace_of(self.covariance)
            covariance = _checked_covariance(ns, self.covariance)
            weights, covectors = _inverse_family(ns, covariance)
            object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "_weights", weights)
        object.__setattr__(self, "_covectors", covectors)

    def __repr__(self) -> str:
        given = "" if self.covariance is None else f"covariance of shape {tuple(self.covariance.shape)}"
        return f"Gaussian({given})"

    @property
    def pytorch(self) -> LossInPyTorch | None:
        """The mean squared error, of a unit covariance alone."""
        return LossInPyTorch("MSELoss") if self.covariance is None else None

    def check_dimension(self, m: int) -> None:
        OutputFamily.check_dimension(self, m)
        if self.covariance is not None and self.covariance.shape[0] != m:
            raise ShapeError(
                "the covariance of a Gaussian family does not fit the outputs.\n"
                f"  required: shape ({m}, {m})\n  came    : {tuple(self.covariance.shape)}\n"
                "Pass the covariance of one target, in the frame of the outputs."
            )

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        return as_rows(ns, ns.asarray(targets, what="targets"), m, "targets of the Gaussian family")

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """``½ (y-z)ᵀ C⁻¹ (y-z) + ½ log det C + (m/2) log 2π``, shape (*batch)."""
        ordered = _ordered(ns)
        weights, covectors = self._family(ns, z.shape[-1])
        residual = ns.apply(covectors, targets - z, -1)
        # Over floating kinds the covectors are the rows of the inverse Cholesky factor.
        log_determinant = -2 * ns.sum(ordered.log(ns.diagonal(covectors)))
        constant = (log_determinant + z.shape[-1] * math.log(2 * math.pi)) / 2
        return ns.sum(residual * residual * weights, axis=-1) / 2 + constant

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        residual = z - targets
        if self.covariance is None:
            return residual
        weights, covectors = self._family(ns, z.shape[-1])
        return ns.apply(covectors.mT, ns.apply(covectors, residual, -1) * weights, -1)

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """``C⁻¹`` as a family of K = m covectors, the same for every datum."""
        m, batch = z.shape[-1], z.shape[:-1]
        weights, covectors = self._family(ns, m)
        ones = tuple(1 for _ in batch)
        return (
            ns.broadcast_to(ns.reshape(weights, (m, *ones)), (m, *batch)),
            ns.broadcast_to(ns.reshape(covectors, (m, *ones, m)), (m, *batch, m)),
        )

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        count, m = z.shape
        normal = _ordered(ns).cast_numpy(draws.normal(first, count, samples * m, epsilon=ns.epsilon))
        noise = ns.permute(ns.reshape(normal, (count, samples, m)), (1, 0, 2))
        if self.covariance is not None:
            # y - z = L noise with L Lᵀ = C, and the covectors are L⁻¹.
            noise = ns.apply(self._family(ns, m)[1].mT, noise, -1)
        return sample_weights(ns, samples, count), -noise

    def predictions(self, ns: Namespace, z: Array) -> Array:
        return z

    def _family(self, ns: Namespace, m: int) -> tuple[Array, Array]:
        """Weights (m,) and covectors (m, m) of the inverse covariance, in `ns`."""
        if self.covariance is None:
            return ns.ones((m,)), ns.eye(m)
        what = "the covariance of a Gaussian"
        return ns.cast_table(self._weights, what=what), ns.cast_table(self._covectors, what=what)


def _ordered(ns: Namespace) -> OrderedNamespace:
    return ns.ordered("the density of a Gaussian")


def _checked_covariance(ns: Namespace, covariance: Array) -> Array:
    """A copy, exactly symmetric."""
    covariance = ns.copy(ns.asarray(covariance, what="covariance"))
    shape = tuple(covariance.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ShapeError(
            "a covariance must be a square matrix.\n"
            f"  required: shape (m, m)\n  came    : {shape}\n"
            "Pass the covariance of one target; numpy.diag makes one from variances."
        )
    defect = covariance - covariance.mT
    if ns.is_zero(defect):
        return covariance
    if not ns.kind.is_exact:
        ordered = ns.ordered("the covariance of a Gaussian")
        size, largest = float(ordered.max(ordered.abs(defect))), float(ordered.max(ordered.abs(covariance)))
        # Two sums of m products, each off by m/2 epsilon at most.
        if size <= shape[0] * ns.epsilon * largest:
            return (covariance + covariance.mT) / 2
    raise NotPositiveError(
        "a covariance must be symmetric.\n"
        "  required: C = Cᵀ\n  came    : a matrix that differs from its transpose\n"
        "Pass (C + C.T) / 2 if the difference is an accident."
    )


def _inverse_family(ns: Namespace, covariance: Array) -> tuple[Array, Array]:
    """Weights (m,) and rows phi_k (m, m) with ``sum_k w_k phi_k phi_kᵀ`` the inverse of `covariance`."""
    m = covariance.shape[0]
    if ns.kind.is_exact:
        return _inverse_family_without_roots(ns, covariance)
    ordered = ns.ordered("the covariance of a Gaussian")
    factor = ordered.cholesky(covariance)
    return ns.ones((m,)), ordered.triangular_solve(factor, ns.eye(m))


def _inverse_family_without_roots(ns: Namespace, covariance: Array) -> tuple[Array, Array]:
    """``C = L D Lᵀ`` by elimination on [C | 1], which leaves [D Lᵀ | L⁻¹]: weights D⁻¹, rows of L⁻¹."""
    m = covariance.shape[0]
    remaining = ns.concat([covariance, ns.eye(m)], axis=1)
    pivots, rows = [], []
    for k in range(m):
        top, remaining = remaining[0], remaining[1:]
        if ns.is_zero(top[k]):
            raise NotPositiveError(
                f"a covariance must be positive definite, and its leading minor of size {k + 1} is zero.\n"
                "  required: nonzero leading minors\n  came    : a zero pivot\n"
                "Pass another covariance, or order the outputs differently."
            )
        pivots.append(top[k])
        rows.append(top[m:])
        remaining = remaining - (remaining[:, k] / top[k])[:, None] * top[None, :]
    return 1 / ns.stack(pivots), ns.stack(rows)
