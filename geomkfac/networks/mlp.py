"""Multilayer perceptrons without coordinates: affine maps and activations between affine spaces.

An `MLP` holds spaces and activation functions, no weights; weights are a point of its weight space,
the product of the spaces of affine maps.  Source: LG 3.1, 3.5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from geomkfac.arrays import floating
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind
from geomkfac.errors import ShapeError
from geomkfac.maps import AffineMaps, SmoothMap
from geomkfac.maps.activations.activation import Activation
from geomkfac.networks.building.arrays_in import checked_layers, stacked_arrays
from geomkfac.networks.building.builder import ActivationOf, activation_between
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.passes.stages import ActivationStage, DenseStage, Stage
from geomkfac.required import check_type, listed
from geomkfac.spaces import AffineSpace, Parameterization, Point


@final
class MLP(FeedForward):
    """An abstract multilayer perceptron.

    Parameters
    ----------
    inputs : AffineSpace A_0
    activations : smooth maps rho_i: Z_i -> A_i of the hidden layers, in order
    outputs : AffineSpace Z_L, the last pre-activation space; output families are placed on it

    Attributes
    ----------
    layers : AffineMaps(A_{i-1}, Z_i), one per layer
    weight_space : their product

    Source: LG 3.1.
    """

    __slots__ = ("activations",)

    def __init__(self, inputs: AffineSpace, activations: Sequence[SmoothMap], outputs: AffineSpace) -> None:
        activations = listed("the activations", activations)
        for rho in activations:
            check_type("an activation between spaces", rho, SmoothMap, "Activations by name are for from_widths.")
        domains: list[Any] = [inputs, *(rho.codomain for rho in activations)]
        codomains: list[Any] = [*(rho.domain for rho in activations), outputs]
        self.activations: tuple[SmoothMap, ...] = tuple(activations)
        stages: list[Stage] = []
        for index, (a, z) in enumerate(zip(domains, codomains, strict=True)):
            stages.append(DenseStage(a, z, (AffineMaps(a, z),), index))
            if index < len(self.activations):
                stages.append(ActivationStage(self.activations[index], ()))
        super().__init__(inputs, stages)

    # -- from arrays, and back ---------------------------------------------------------------------
    @staticmethod
    def from_widths(
        widths: Sequence[int], activation: str | Activation | ActivationOf = "tanh", *, kind: Kind = floating
    ) -> tuple[MLP, Parameterization]:
        """A network of these layer widths and the parameterization ``iota`` in which it is coordinatewise.

        Parameters
        ----------
        widths : (n_0, ..., n_L), inputs first
        activation : of the hidden layers: name or Activation; or a callable that makes a smooth map of two frames
        kind : kind of scalar
        """
        widths = listed("the widths", widths)
        if len(widths) < 2:
            raise ShapeError(f"a network needs at least an input and an output width, not {list(widths)}.")
        inputs = AffineSpace("A0", widths[0], kind)
        frames = [inputs.frame("iota")]
        rhos = []
        for index, width in enumerate(widths[1:-1], start=1):
            before, after = AffineSpace(f"Z{index}", width, kind), AffineSpace(f"A{index}", width, kind)
            source, target = before.frame("iota"), after.frame("iota")
            frames += [source, target]
            rhos.append(activation_between(activation, source, target))
        outputs = AffineSpace(f"Z{len(widths) - 1}", widths[-1], kind)
        frames.append(outputs.frame("iota"))
        iota = Parameterization(frames, inputs=inputs, outputs=outputs, name="iota")
        return MLP(inputs, rhos, outputs), iota

    @staticmethod
    def from_arrays(
        Ws: Sequence[Array], bs: Sequence[Array], activation: str | Activation = "tanh", *, kind: Kind = floating
    ) -> tuple[MLP, Point, Parameterization]:
        """A network, its weights, and the arrays' own frames ``iota``.

        Parameters
        ----------
        Ws : arrays (m_i, m_{i-1}), copied
        bs : arrays (m_i,), copied
        activation : of the hidden layers, in the arrays' own frames; the outputs have none

        Raises
        ------
        ShapeError, KindError, ValuesError, UnknownNameError
        """
        widths = checked_layers(kind, Ws, bs)
        net, iota = MLP.from_widths(widths, activation, kind=kind)
        return net, net.weights_from_arrays(Ws, bs, iota), iota

    def weights_from_arrays(
        self, Ws: Sequence[Array], bs: Sequence[Array], parameterization: Parameterization
    ) -> Point:
        """The weights with these coordinates, (W_i b_i), in a parameterization."""
        parts = stacked_arrays(self.layers, Ws, bs)
        weights: Point = self.weight_space.from_coordinates(parts, parameterization)
        return weights

    def __repr__(self) -> str:
        widths = "-".join(str(width) for width in (self.inputs.dim, *(layer.codomain.dim for layer in self.layers)))
        return f"MLP({widths} over {self.inputs.kind!r})"
