"""The categorical family, with logits as its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import KindError, ShapeError
from geomkfac.metrics.families.by_name import registered
from geomkfac.metrics.families.family_targets import as_rows, dtype_kind, refuse_entries, shape_of
from geomkfac.metrics.families.output_family import LossInPyTorch, OutputFamily, sample_weights


@registered
@final
@dataclass(frozen=True, slots=True)
class Categorical(OutputFamily):
    r"""One of m classes, with probabilities ``p = softmax(z)``.

    Targets are integer labels 0, ..., m-1 of shape (N,), or probabilities of shape (N, m).  Labels may lie
    where the outputs do, and stay there, or be NumPy's; probabilities lie where the outputs do.  Adding one
    number to all logits changes no probability, so the Fisher metric ``diag(p) - p pᵀ`` has rank m-1.
    """

    name: ClassVar[str] = "categorical"
    outputs: ClassVar[str] = "logits"
    pytorch: ClassVar[LossInPyTorch | None] = LossInPyTorch("CrossEntropyLoss", labels=True)

    def check_dimension(self, m: int) -> None:
        if m < 2:
            raise ShapeError(
                "the categorical family needs two classes or more.\n"
                f"  required: dimension of the outputs 2 or more\n  came    : {m}\n"
                "Use the Bernoulli family for a single logit."
            )

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        kind, shape = dtype_kind(targets), shape_of(targets)
        if kind in ("i", "u") and shape is not None and len(shape) == 1:
            labels = ns.integers(targets, what="labels")
            bad = (labels < 0) | (labels >= m)
            refuse_entries(
                ns, bad, labels, "label", f"0, ..., {m - 1}, one label for each of {m} logits", "Count from 0."
            )
            return labels
        if shape is None or len(shape) == 1 or kind in ("i", "u", "b"):
            raise KindError(
                "targets of the categorical family must be integer labels, or rows of probabilities.\n"
                f"  required: integers of shape (N,), or floating-point probabilities of shape (N, {m})\n"
                f"  came    : {getattr(targets, 'dtype', type(targets).__name__)} of shape {shape}\n"
                "Convert labels with numpy.asarray(y, dtype=int), one-hot rows to the dtype of the outputs."
            )
        rows = as_rows(ns, ns.asarray(targets, what="targets"), m, "probabilities")
        advice = "Divide every row by its sum, or pass integer labels."
        refuse_entries(ns, rows < 0, rows, "probability", "nonnegative", advice)
        # Normalising rounds m - 1 sums and a quotient, summing again m - 1 more: below m epsilon in all.
        sums = ns.sum(rows, axis=1)
        refuse_entries(
            ns,
            _ordered(ns).abs(sums - 1) > m * ns.epsilon,
            sums,
            "a row's sum of probabilities",
            f"1, within {m * ns.epsilon:.1g}",
            advice,
        )
        return rows

    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return -ns.sum(_distributions(ns, targets, z) * _log_softmax(_ordered(ns), z), axis=-1)

    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        return self.predictions(ns, z) - _distributions(ns, targets, z)

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        r"""``diag(p) - p pᵀ`` as a family of K = m-1 covectors, in closed form.

        With ``s_k = p_0 + ... + p_k``, for k = 1, ..., m-1::

            w_k = p_k s_{k-1} / s_k,      phi_k = e_k - sum_{j<k} (p_j / s_{k-1}) e_j

        which is elimination of the logits from the last to the first.  All quotients are at most 1.
        """
        ordered = _ordered(ns)
        m, batch = z.shape[-1], z.shape[:-1]
        p = self.predictions(ns, z)
        sums = ordered.cumulative_sum(p, axis=-1)
        before = _first(ns, sums[..., :-1])
        upto = _first(ns, sums[..., 1:])
        # Where all that stands before underflows, the weight is zero and any covector serves.
        weights = _first(ns, p[..., 1:]) * (before / ordered.where(upto > 0, upto, 1.0))
        unit = ns.eye(m)
        earlier = ordered.cumulative_sum(unit, axis=0) - unit
        slots = (m - 1, *(1 for _ in batch), m)
        heads = ns.reshape(earlier[1:, :], slots) * p[None, ...]
        heads = heads / ordered.where(before > 0, before, 1.0)[..., None]
        return weights, ns.reshape(unit[1:, :], slots) - heads

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        ordered = _ordered(ns)
        count = z.shape[0]
        p = self.predictions(ns, z)
        sums = ordered.cumulative_sum(p, axis=-1)
        total = sums[:, -1:]
        uniform = ordered.cast_numpy(draws.uniform(first, count, samples))
        level = ns.permute(uniform, (1, 0))[:, :, None] * total[None, ...]
        # The label is the first class whose cumulative sum exceeds the level.  No class after the sum
        # is complete can be it, even where the level was rounded up to the total.
        ones, zeros = ns.ones((samples, *z.shape)), ns.zeros((samples, *z.shape))
        reached = ordered.where((sums[None, ...] > level) | (sums >= total)[None, ...], ones, zeros)
        label = reached - ns.concat([zeros[..., :1], reached[..., :-1]], axis=-1)
        return sample_weights(ns, samples, count), p[None, ...] - label

    def predictions(self, ns: Namespace, z: Array) -> Array:
        ordered = _ordered(ns)
        e = ordered.exp(z - ordered.max(z, axis=-1, keepdims=True))
        return e / ns.sum(e, axis=-1)[..., None]

    def radical(self, ns: Namespace, m: int) -> Array:
        """The constants: one direction, (1, ..., 1)."""
        return ns.ones((1, m))


def _ordered(ns: Namespace) -> OrderedNamespace:
    return ns.ordered("the categorical family (exponentials of logits)")


def _log_softmax(ns: OrderedNamespace, z: Array) -> Array:
    shifted = z - ns.max(z, axis=-1, keepdims=True)
    return shifted - ns.log(ns.sum(ns.exp(shifted), axis=-1))[..., None]


def _distributions(ns: Namespace, targets: Array, z: Array) -> Array:
    """Labels (N,) as one-hot rows (N, m); probabilities as they are."""
    return targets if targets.ndim == z.ndim else ns.take(ns.eye(z.shape[-1]), targets, axis=0)


def _first(ns: Namespace, x: Array) -> Array:
    """The last axis moved to the front."""
    return ns.permute(x, (x.ndim - 1, *range(x.ndim - 1)))
