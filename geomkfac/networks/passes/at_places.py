"""Losses and output metrics where a datum has outputs at many places: at every location, or every step.

The loss of a datum is the *sum* over its places, as the log-likelihood of a sequence or a picture is.  So
its output metric is the direct sum of the places' metrics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, final, get_args

from geomkfac.arrays.array import Array
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.metrics.families.output_family import Fisher, OutputModel
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.names import check_word
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.required import shown
from geomkfac.spaces import Chunk, Element, Point, Span, Vector
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.samples.targets import map_targets

ElementT = TypeVar("ElementT", bound=Element)

Output: TypeAlias = OutputModel | Metric
"""What a network's outputs are measured by: a loss with a Fisher metric, or any metric on them."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class CovectorsAtPlaces:
    """The metric on the outputs of every datum as a weighted family of covectors.

    A `CovectorTensor` is a form on single outputs, one at a time; this is one on all outputs of a datum together.

    Attributes
    ----------
    weights : array, shape (K, N); where they are local (K, N, *places)
    covectors : batch shape (K, N, *places)
    known : null directions that provenance gives, or None
    local : whether each covector stands for one at every place, which is zero at the others
    """

    weights: Array
    covectors: Vector
    known: Span | None
    local: bool = False

    def lifted(self) -> CovectorsAtPlaces:
        """The same metric with covectors on all places together: K times as many as there are places, if local."""
        if not self.local:
            return self
        k, count, *places = self.covectors.batch_shape
        ns, total = self.covectors.namespace, math.prod(places)
        eye = ns.reshape(ns.eye(total), (1, total, 1, *places))
        spread = ns.broadcast_to(eye, (k, total, count, *places))
        each = regrouped(self.covectors[:, None].scaled(spread), (k * total, count, *places))
        weights = ns.permute(ns.reshape(self.weights, (k, count, total)), (0, 2, 1))
        return CovectorsAtPlaces(ns.reshape(weights, (k * total, count)), each, self.known)


def regrouped(element: ElementT, batch: tuple[int, ...]) -> ElementT:
    """The same elements with their batch reshaped."""
    old = element.batch_shape
    if old == batch:
        return element
    ns, rank = element.namespace, len(old)
    return element.with_components(
        map_components(lambda leaf: ns.reshape(leaf, (*batch, *tuple(leaf.shape)[rank:])), element._components)
    )


def flat_targets(run: Pass, targets: Any) -> Any:
    """Targets (N, *places, ...) with data and places on one axis."""
    places = run.places
    if targets is None or not places:
        return targets
    return map_targets(lambda part: _flat(run, part), targets)


def _flat(run: Pass, targets: Any) -> Any:
    places, shape = run.places, tuple(targets.shape)
    if shape[: 1 + len(places)] != (run.outputs.batch_shape[0], *places):
        raise ShapeError(
            "this network has an output at every place, and needs a target for each.\n"
            f"  required: targets of shape ({run.outputs.batch_shape[0]}, {', '.join(map(str, places))}, ...)\n"
            f"  came    : {shape}"
        )
    joined = (math.prod(shape[: 1 + len(places)]), *shape[1 + len(places) :])
    return targets.reshape(joined) if hasattr(targets, "reshape") else run.outputs.namespace.reshape(targets, joined)


def _one_by_one(run: Pass) -> Point:
    """The outputs with data and places on one axis."""
    return regrouped(run.outputs, (math.prod(run.outputs.batch_shape),))


def losses(output: OutputModel, run: Pass, chunk: Chunk) -> Array:
    """The loss of each datum, summed over its places; (N,)."""
    each = output.loss(_one_by_one(run), flat_targets(run, chunk.targets))
    if not run.places:
        return each
    ns, count = run.outputs.namespace, run.outputs.batch_shape[0]
    shaped = ns.reshape(each, (count, *run.places))
    if run.valid is not None:
        shaped = shaped * run.valid
    return ns.sum(ns.reshape(shaped, (count, -1)), axis=1)


def differentials(output: OutputModel, run: Pass, chunk: Chunk) -> Vector:
    """The differential of each datum's loss in all its outputs; batch shape (N, *places)."""
    flat = output.differential(_one_by_one(run), flat_targets(run, chunk.targets))
    shaped = regrouped(flat, run.outputs.batch_shape)
    return shaped if run.valid is None else shaped.scaled(run.valid)


@final
@dataclass(frozen=True, slots=True, eq=False)
class OutputMetric:
    """The metric on the outputs with which a pass is taken.

    Parameters
    ----------
    output : a loss with a Fisher metric, or any metric on the outputs
    fisher : 'exact' (expectation over the model's targets), 'sampled', or 'empirical'; for a metric 'exact'
    samples : targets drawn per datum, for 'sampled'
    seed : of these draws

    Raises
    ------
    UnknownNameError : `fisher` is another word.
    SpaceMismatchError : `output` is neither.
    KindError : a metric is to be sampled, or empirical.
    """

    output: Output
    fisher: Fisher = "exact"
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_word("fisher", self.fisher, get_args(Fisher))
        if not isinstance(self.output, Metric):
            checked_output(self.output)
        elif self.fisher != "exact":
            raise KindError(f"a metric has no targets to be {self.fisher}; use fisher='exact', or an output family.")

    def covectors(self, entries: int) -> int:
        """About how many covectors it has for each datum, whose outputs have so many entries."""
        return {"exact": entries, "sampled": self.samples, "empirical": 1}[self.fisher]

    def of(self, run: Pass, chunk: Chunk) -> CovectorsAtPlaces:
        """The metric at the outputs of a pass."""
        found: Any
        if isinstance(self.output, Metric):
            found = self.output.at(_one_by_one(run))
            if not isinstance(found, CovectorTensor):
                raise SpaceMismatchError(f"the output metric must come in covectors, not as {found!r}.")
        else:
            targets, first = flat_targets(run, chunk.targets), chunk.first * math.prod(run.places)
            found = self.output.tensor(
                _one_by_one(run), targets, self.fisher, Draws(self.seed), first, self.samples
            )
        return _at_places(run, found, joint=self.fisher != "exact")


def checked_output(output: Any) -> OutputModel:
    """The output, if it is a loss.

    Raises
    ------
    SpaceMismatchError : it is none.
    """
    if not isinstance(output, OutputModel):
        raise SpaceMismatchError(
            f"required: an output family on a frame, such as Categorical().on(iota); came: {shown(output)}.\n"
            "A family needs a frame on the outputs."
        )
    return output


def _at_places(run: Pass, tensor: CovectorTensor, *, joint: bool) -> CovectorsAtPlaces:
    """A tensor on single outputs as one on the outputs of a datum, all places together.

    With targets, the covector of a datum is the differential of its whole loss (`joint`), at all places at
    once: its square has the direct sum as its mean, as targets of different places are drawn independently.
    Else every covector stands at one place, and is zero at the others.
    """
    places = run.places
    if not places:
        return CovectorsAtPlaces(tensor.weights, tensor.covectors, tensor._known)
    ns, count, total = tensor.namespace, run.outputs.batch_shape[0], math.prod(places)
    k = tensor.weights.shape[0]
    covectors = regrouped(tensor.covectors, (k, count, *places))
    if run.valid is not None:
        covectors = covectors.scaled(run.valid)
    weights = ns.reshape(tensor.weights, (k, count, total))
    if joint:
        return CovectorsAtPlaces(weights[:, :, 0], covectors, tensor._known)
    return CovectorsAtPlaces(ns.reshape(weights, (k, count, *places)), covectors, tensor._known, local=True)
