"""The Poisson family: independent counts, with log rates as parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import KindError
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.family_targets import as_rows, dtype_kind, refuse_entries
from geomkfac.metrics.families.output_family import LossInPyTorch, OutputFamily, diagonal_factor, sample_weights
from geomkfac.metrics.families.overflow import refuse_overflow
from geomkfac.metrics.families.poisson_counts import counts_from_uniform, minus_log_probability


@registered
@final
@dataclass(frozen=True, slots=True)
class Poisson(OutputFamily):
    """m independent counts with rates ``exp(z)``.

    Targets are counts 0, 1, 2, ... of shape (N, m), or (N,) where m is 1: integers of any dtype, or floats that are
    whole numbers.  Of a rate or a mean of counts the family has no density, so other floats are refused.

    Notes
    -----
    The Fisher metric is diagonal, with the rates on its diagonal.  Source: LG Example 3.2.
    """

    name: ClassVar[str] = "poisson"
    outputs: ClassVar[str] = "log rates"
    pytorch: ClassVar[LossInPyTorch | None] = LossInPyTorch("PoissonNLLLoss", {"full": True})

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        ordered, kind, most = _ordered(ns), dtype_kind(targets), 1 / ns.epsilon
        if kind == "b":
            raise KindError(
                "targets of the Poisson family are counts.\n  required: integers, or floats that are whole numbers\n"
                f"  came    : {targets.dtype}\nConvert with numpy.asarray(y, dtype=int), or use the Bernoulli family."
            )
        whole = kind in ("i", "u")
        counts = ordered.from_integers(ordered.integers(targets, what="targets")) if whole else targets
        counts = ns.asarray(counts, what="targets")
        bad = (counts < 0) | (counts != ordered.floor(counts))
        advice = "Pass counts, not means of counts: those are no outcomes, and have no probability."
        refuse_entries(ns, bad, counts, "target", "0, 1, 2, ...", advice)
        required = f"{most:g} or less, a count that {ns.name} holds exactly"
        refuse_entries(ns, counts > most, counts, "target", required, "Count in larger units, or use float64 outputs.")
        return as_rows(ns, counts, m, "targets of the Poisson family")

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """``sum_i exp(z_i) - y_i z_i + log y_i!``, shape (*batch)."""
        ordered = _ordered(ns)
        return ns.sum(minus_log_probability(ordered, z, _rates(ordered, z), targets), axis=-1)

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return self.predictions(ns, z) - targets

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """Weights ``exp(z_i)`` on the standard basis: K = m."""
        return diagonal_factor(ns, self.predictions(ns, z))

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        ordered = _ordered(ns)
        count, m = z.shape
        drawn = ordered.cast_numpy(draws.uniform(first, count, samples * m))
        uniform = ns.permute(ns.reshape(drawn, (count, samples, m)), (1, 0, 2))
        rates = _rates(ordered, z)
        counts = counts_from_uniform(ordered, z[None, ...], rates[None, ...], uniform)
        return sample_weights(ns, samples, count), rates[None, ...] - counts

    def predictions(self, ns: Namespace, z: Array) -> Array:
        """The rates, shape (*batch, m)."""
        return _rates(_ordered(ns), z)


def _ordered(ns: Namespace) -> OrderedNamespace:
    return ns.ordered("the Poisson family (exponentials of log rates)")


def _rates(ns: OrderedNamespace, z: Array) -> Array:
    refuse_overflow(ns, z, "log rate", "Count in larger units, or keep the outputs from running away.")
    return ns.exp(z)
