"""Output families placed on an output space: losses, their differentials, and the output Fisher metric.

A family of distributions is given in coordinates; a frame on the outputs makes it intrinsic.  Targets
are outcomes, not points: labels, or arrays that the family reads in its own frame.
Source: LG 3.2, Example 3.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, final, get_args

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.counts import checked_count
from geomkfac.errors import FrameError, KindError, ShapeError, SpaceMismatchError, ValuesError
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.names import check_word
from geomkfac.required import check_type, shown
from geomkfac.spaces import AffineSpace, Frame, Parameterization, Point, Span, Vector
from geomkfac.spaces.samples.targets import parts_of

Fisher = Literal["exact", "sampled", "empirical"]


class OutputModel(ABC):
    """A loss on an output space that also has a Fisher metric: what a network needs of its outputs.

    Attributes
    ----------
    space : the output space
    """

    __slots__ = ("__weakref__",)

    space: AffineSpace

    @abstractmethod
    def loss(self, outputs: Point, targets: Any) -> Array:
        """The loss of each datum, shape (N,); nothing is summed."""

    @abstractmethod
    def differential(self, outputs: Point, targets: Any) -> Vector:
        """The differential of each datum's loss in its output: covectors, batch shape (N,)."""

    @abstractmethod
    def fisher(self, outputs: Point) -> CovectorTensor:
        """The output Fisher metric at each output, exactly: a batch (N,) of tensors.  Source: LG Example 3.2."""

    @abstractmethod
    def sampled(self, outputs: Point, draws: Draws, first: int, samples: int) -> CovectorTensor:
        """The same from targets drawn from the model; datum i uses row ``first + i`` of the draws alone."""

    def empirical(self, outputs: Point, targets: Any) -> CovectorTensor:
        """The same from the targets themselves (the "empirical Fisher")."""
        covectors = self.differential(outputs, targets)
        ns = covectors.namespace
        return CovectorTensor(ns.ones((1, *covectors.batch_shape)), covectors[None], "dL (x) dL at the targets")

    def tensor(
        self, outputs: Point, targets: Any, fisher: Fisher, draws: Draws, first: int, samples: int
    ) -> CovectorTensor:
        """The tensor of the kind that `fisher` names."""
        check_word("fisher", fisher, get_args(Fisher))
        if fisher == "exact":
            return self.fisher(outputs)
        if fisher == "sampled":
            return self.sampled(outputs, draws, first, samples)
        return self.empirical(outputs, targets)

    @property
    def metric(self) -> FisherMetric:
        """The output Fisher metric, as a field."""
        return FisherMetric(self)


@final
class FisherMetric(Metric):
    """The Fisher metric of an output model: ``g(z) = E_y[dL (x) dL]``, y drawn from the model at z."""

    __slots__ = ("model", "space")

    def __init__(self, model: OutputModel) -> None:
        check_type("the model of a Fisher metric", model, OutputModel, "For instance Categorical().on(iota).")
        self.model, self.space = model, model.space

    def _at(self, point: Any) -> CovectorTensor:
        return self.model.fisher(point)


@final
@dataclass(frozen=True, slots=True)
class LossInPyTorch:
    """PyTorch's loss of a family, up to a factor and terms without outputs; nothing of PyTorch's is imported.

    Attributes
    ----------
    module : of torch.nn, which takes ``(outputs, targets)``: ``"MSELoss"``
    settings : arguments that it is made with
    labels : whether targets are integer labels there, and not of the outputs' dtype
    """

    module: str
    settings: Mapping[str, object] = field(default_factory=dict)
    labels: bool = False


class OutputFamily(ABC):
    """Distributions r(y|z) over targets y, one for every output z of m coordinates.

    Throughout, `ns` is the namespace of `z`, and `z` has shape (*batch, m).  Nothing is summed or
    averaged over the batch.  Covectors are gradients in the coordinates of z.
    """

    __slots__ = ()

    outputs: ClassVar[str] = ""
    """What the coordinates of z are, in a few words: ``"log rates"``."""

    @property
    def pytorch(self) -> LossInPyTorch | None:
        """PyTorch's loss module; None where it has none, or none of outputs and targets alone."""
        return None

    @property
    @abstractmethod
    def name(self) -> str:
        """The name, as `family` takes it."""

    def on(self, frame: Any) -> PlacedFamily:
        """The family read in a frame of the outputs: an intrinsic loss, with its Fisher metric.

        Parameters
        ----------
        frame : Frame of the output space, or a Parameterization that names its outputs
        """
        if isinstance(frame, Parameterization):
            if frame.outputs is None:
                raise FrameError(f"{shown(frame)} names no output space; pass a frame of the outputs.")
            frame = frame[frame.outputs]
        if not isinstance(frame, Frame):
            raise KindError(
                f"an output family is placed on a Frame or a Parameterization, not on {type(frame).__name__}."
            )
        return PlacedFamily(self, frame)

    def check_dimension(self, m: int) -> None:
        """Raise `ShapeError` unless z may have `m` coordinates."""
        if m < 1:
            raise ShapeError(
                f"the {self.name} family needs outputs.\n"
                f"  required: dimension 1 or more\n  came    : {m}\n"
                "Place it on the output space of a network."
            )

    @abstractmethod
    def check_targets(self, ns: Namespace, targets: Any, m: int) -> Array:
        """The `targets` of N data, checked, as the other methods take them.

        Parameters
        ----------
        ns : namespace of the outputs
        targets : array with N rows, as a user passes it; of families side by side a tuple or dict of such
        m : number of coordinates of an output

        Raises
        ------
        ShapeError, KindError, ValuesError
            If they are no targets of this family.
        """

    @abstractmethod
    def loss(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """``-log r(y|z)`` with all normalising constants, shape (*batch); needs an ordered kind.

        Where the targets are distributions, the mean over them (the cross-entropy).
        """

    @abstractmethod
    def loss_gradient(self, ns: Namespace, z: Array, targets: Array) -> Array:
        """Gradient of the loss in z, shape (*batch, m)."""

    @abstractmethod
    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """The output Fisher metric as a weighted family of covectors, without roots.

        Returns
        -------
        weights : array, shape (K, *batch), nonnegative where the kind is ordered
        covectors : array, shape (K, *batch, m)
            ``sum_k w_k phi_k phi_kᵀ = E[grad grad ᵀ]`` over y ~ r(y|z).  Source: LG Example 3.2.
        """

    @abstractmethod
    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        """The same from loss gradients at targets drawn from the model; its mean is `fisher_factor`'s.

        Parameters
        ----------
        z : array, shape (N, m); the data `first`, ..., `first` + N - 1
        draws : random numbers, of which datum i uses row i alone
        samples : S, the number of targets drawn for each datum

        Returns
        -------
        weights : array, shape (S, N), all 1/S
        covectors : array, shape (S, N, m)
        """

    @abstractmethod
    def predictions(self, ns: Namespace, z: Array) -> Array:
        """Mean of y given z, shape (*batch, k): probabilities, rates, or the mean itself; k is m but where said."""

    def radical(self, ns: Namespace, m: int) -> Array:
        """Directions in which the Fisher metric vanishes whatever z is: a basis as rows, shape (r, m)."""
        return ns.zeros((0, m))


@final
class PlacedFamily(OutputModel):
    """An output family read in one frame of the outputs.  Made by ``family.on(frame)``.

    Parameters
    ----------
    family : OutputFamily
    frame : frame of the output space
    """

    __slots__ = ("family", "frame", "space")

    def __init__(self, family: OutputFamily, frame: Frame) -> None:
        check_type("what is placed on a frame", family, OutputFamily)
        check_type("what an output family is placed on", frame, Frame, error=FrameError)
        space = frame.space
        if not isinstance(space, AffineSpace):
            raise SpaceMismatchError(f"an output family is placed on an AffineSpace, not on {space!r}.")
        family.check_dimension(space.dim)
        self.family, self.frame = family, frame
        self.space: AffineSpace = space

    def _read(self, outputs: Point) -> Array:
        if not isinstance(outputs, Point) or outputs.space is not self.space:
            raise SpaceMismatchError(f"{self!r} takes outputs in {self.space!r}.\n  came: {shown(outputs)}")
        return outputs.components_in(self.frame)

    def _targets(self, outputs: Point, targets: Any) -> Any:
        if targets is None:
            raise ValuesError(f"{self!r} needs targets, and the sample has none.\nMake it with sample(X, y).")
        checked = self.family.check_targets(outputs.namespace, targets, self.space.dim)
        for _, part in parts_of(checked):
            if part.shape[0] != outputs.batch_shape[0]:
                raise ShapeError(f"there are {outputs.batch_shape[0]} outputs and {part.shape[0]} targets.")
        return checked

    def _family(self, weights: Array, rows: Array, outputs: Point, provenance: str) -> CovectorTensor:
        ns, dual = outputs.namespace, self.space.direction.dual
        covectors: Vector = dual.from_components(self.frame.linear.dual, rows, ns)
        return CovectorTensor(weights, covectors, provenance, self._known(ns))

    def _known(self, ns: Any) -> Span | None:
        rows = self.family.radical(ns, self.space.dim)
        if rows.shape[0] == 0:
            return None
        return Span(self.space.direction.from_components(self.frame.linear, rows, ns))

    def loss(self, outputs: Point, targets: Any) -> Array:
        """``-log r(y | z)`` of each datum, shape (N,)."""
        z = self._read(outputs)
        return self.family.loss(outputs.namespace, z, self._targets(outputs, targets))

    def differential(self, outputs: Point, targets: Any) -> Vector:
        z, ns = self._read(outputs), outputs.namespace
        gradient = self.family.loss_gradient(ns, z, self._targets(outputs, targets))
        made: Vector = self.space.direction.dual.from_components(self.frame.linear.dual, gradient, ns)
        return made

    def fisher(self, outputs: Point) -> CovectorTensor:
        z = self._read(outputs)
        weights, rows = self.family.fisher_factor(outputs.namespace, z)
        return self._family(weights, rows, outputs, "E_y[dL (x) dL]")

    def sampled(self, outputs: Point, draws: Draws, first: int, samples: int) -> CovectorTensor:
        checked_count("the number of sampled targets", samples)
        z = self._read(outputs)
        weights, rows = self.family.sampled_factor(outputs.namespace, z, draws, first, samples)
        return self._family(weights, rows, outputs, "mean of dL (x) dL at sampled targets")

    def predictions(self, outputs: Point) -> Array:
        """The mean of the targets at each output: probabilities, or means in this family's frame; (N, k).

        As many columns as the family says: m, but for those that have more or fewer means than coordinates.
        """
        z = self._read(outputs)
        return self.family.predictions(outputs.namespace, z)

    def __repr__(self) -> str:
        return f"{self.family!r} on {self.space!r}"


def diagonal_factor(ns: Namespace, diagonal: Array) -> tuple[Array, Array]:
    """The form with this diagonal, (*batch, m), and no other entries: weights on the standard basis, K = m."""
    m, batch = diagonal.shape[-1], tuple(diagonal.shape)[:-1]
    basis = ns.reshape(ns.eye(m), (m, *(1 for _ in batch), m))
    weights = ns.permute(diagonal, (diagonal.ndim - 1, *range(diagonal.ndim - 1)))
    return weights, ns.broadcast_to(basis, (m, *batch, m))


def sample_weights(ns: Namespace, samples: int, count: int) -> Array:
    """The weights of `samples` equally likely draws for each of `count` data: 1/S, shape (S, N)."""
    return ns.broadcast_to(ns.scalar(1.0 / samples), (samples, count))
