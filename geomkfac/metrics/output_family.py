"""What a family of distributions on the outputs gives, in coordinates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from geomkfac.arrays.draws import Draws
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import ShapeError

if TYPE_CHECKING:
    from geomkfac.metrics.output import PlacedFamily

__all__ = ["OutputFamily"]


class OutputFamily(ABC):
    """Distributions r(y|z) over targets y, one for every output z of m coordinates.

    Throughout, `ns` is the namespace of `z`, and `z` has shape (*batch, m).  Nothing is summed or
    averaged over the batch.  Covectors are gradients in the coordinates of z.
    """

    __slots__ = ()

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
        from geomkfac.metrics.output import place

        return place(self, frame)

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


def diagonal_factor(ns: Namespace, diagonal: Array) -> tuple[Array, Array]:
    """The form with this diagonal, (*batch, m), and no other entries: weights on the standard basis, K = m."""
    m, batch = diagonal.shape[-1], tuple(diagonal.shape)[:-1]
    basis = ns.reshape(ns.eye(m), (m, *(1 for _ in batch), m))
    weights = ns.permute(diagonal, (diagonal.ndim - 1, *range(diagonal.ndim - 1)))
    return weights, ns.broadcast_to(basis, (m, *batch, m))


def sample_weights(ns: Namespace, samples: int, count: int) -> Array:
    """The weights of `samples` equally likely draws for each of `count` data: 1/S, shape (S, N)."""
    return ns.broadcast_to(ns.scalar(1.0 / samples), (samples, count))
