"""The Bernoulli family: independent binary outputs, with logits as parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.maps.activations.sigmoids import logistic
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.family_targets import as_rows, dtype_kind, refuse_entries
from geomkfac.metrics.families.output_family import LossInPyTorch, OutputFamily, diagonal_factor, sample_weights


@registered
@final
@dataclass(frozen=True, slots=True)
class Bernoulli(OutputFamily):
    """m independent answers yes or no, with probabilities ``p = 1 / (1 + exp(-z))`` of yes.

    Targets are 0 and 1, booleans, or probabilities, of shape (N, m), or (N,) where m is 1.
    """

    name: ClassVar[str] = "bernoulli"
    outputs: ClassVar[str] = "logits"
    pytorch: ClassVar[LossInPyTorch | None] = LossInPyTorch("BCEWithLogitsLoss")

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        ordered = _ordered(ns)
        if dtype_kind(targets) in ("i", "u", "b"):
            targets = ordered.from_integers(ordered.integers(targets, what="targets"))
        rows = as_rows(ns, ns.asarray(targets, what="targets"), m, "targets of the Bernoulli family")
        refuse_entries(
            ns,
            (rows < 0) | (rows > 1),
            rows,
            "target",
            "0, 1, or a probability between them",
            "Rescale the targets, or use another family.",
        )
        return rows

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """Cross-entropy, summed over the m outputs, shape (*batch)."""
        ordered = _ordered(ns)
        # max(z, 0) - y z is exact for y in {0, 1}, so that confident answers keep all their digits.
        tail = ordered.log1p(ordered.exp(-ordered.abs(z)))
        return ns.sum((ordered.maximum(z, 0.0) - targets * z) + tail, axis=-1)

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return self.predictions(ns, z) - targets

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """Weights ``p_k (1 - p_k)`` on the standard basis: K = m."""
        return diagonal_factor(ns, logistic.derivative(_ordered(ns), z))

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        ordered = _ordered(ns)
        count, m = z.shape
        uniform = ns.reshape(
            ordered.cast_numpy(draws.uniform(first, count, samples * m)), (count, samples, m)
        )
        p = self.predictions(ns, z)[None, ...]
        shape = (samples, count, m)
        yes = ordered.where(ns.permute(uniform, (1, 0, 2)) < p, ns.ones(shape), ns.zeros(shape))
        return sample_weights(ns, samples, count), p - yes

    def predictions(self, ns: Namespace, z: Array) -> Array:
        return logistic.value(_ordered(ns), z)


def _ordered(ns: Namespace) -> OrderedNamespace:
    return ns.ordered("the Bernoulli family (exponentials of logits)")
