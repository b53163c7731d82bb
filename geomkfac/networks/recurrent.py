"""Recurrent networks without coordinates: one affine map, applied at every step.

``zeta_t = omega(alpha_{t-1}) + V(xi_t)``, ``alpha_t = rho(zeta_t)``, and outputs ``U(alpha_t)``: omega is an
affine map A -> Z, V one from X to the *direction* of Z (two points cannot be added), U one from A to the
outputs, and the initial state alpha_0 a point of A, fixed or learned.  In PyTorch's names omega is
(weight_hh, bias_hh) and V is (weight_ih, bias_ih).  Source: LG 5.1, 5.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final, get_args

from geomkfac.arrays import floating
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.counts import checked_count
from geomkfac.errors import ShapeError, SpaceMismatchError, UnknownNameError
from geomkfac.maps import AffineMaps, SmoothMap
from geomkfac.maps.activations.activation import Activation
from geomkfac.names import check_word
from geomkfac.networks.building.arrays_in import stacked_arrays
from geomkfac.networks.building.builder import activation_between
from geomkfac.networks.network import Network
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.passes.recurrent_pass import At, RecurrentPass, stacked
from geomkfac.networks.running.memory_limit import Demand
from geomkfac.required import check_type, listed, shown
from geomkfac.spaces import AffineSpace, Parameterization, Point, PowerSpace, ProductSpace, Vector


@final
class RecurrentNetwork(Network):
    """An abstract recurrent network.

    Parameters
    ----------
    inputs : AffineSpace X of one step's input
    activation : smooth map rho: Z -> A
    outputs : AffineSpace of the outputs; output families are placed on it
    steps : T, the length of the sequences (shorter ones come with their lengths)
    initial : Point of A, the state before the first step; or, to learn it, an AffineSpace of dimension 0
    at : whether there is an output (and a loss) at 'every' step or after the 'last' one

    Attributes
    ----------
    inputs : PowerSpace X^T
    layers : omega in AffineMaps(A, Z), V in AffineMaps(X, TZ), U in AffineMaps(A, outputs); and, where the
        initial state is learned, an affine map to A from a space of one point: which is a point of A

    Source: LG 5.1.2, 5.3.
    """

    __slots__ = ("activation", "at", "initial", "steps")

    def __init__(
        self,
        inputs: AffineSpace,
        activation: SmoothMap,
        outputs: AffineSpace,
        steps: int,
        *,
        initial: Point | AffineSpace,
        at: At = "every",
    ) -> None:
        check_word("at", at, get_args(At))
        check_type("the activation between spaces", activation, SmoothMap)
        checked_count("the number of steps of a sequence", steps)
        states: Any = activation.codomain
        fixed = isinstance(initial, Point) and initial.space is states and not initial.batch_shape
        if not fixed and not (isinstance(initial, AffineSpace) and initial.dim == 0):
            raise SpaceMismatchError(
                f"the initial state is one point of {shown(states)}, or an AffineSpace of dimension 0 to learn it.\n"
                f"  came: {shown(initial)}"
            )
        self.inputs: PowerSpace = PowerSpace(inputs, (steps,))
        self.activation, self.outputs, self.steps, self.initial, self.at = activation, outputs, steps, initial, at
        before: Any = activation.domain
        layers = [AffineMaps(states, before), AffineMaps(inputs, before.direction), AffineMaps(states, outputs)]
        if isinstance(initial, AffineSpace):
            layers.append(AffineMaps(initial, states))
        self.layers = tuple(layers)
        self.weight_space = ProductSpace(*self.layers)

    # -- from arrays, and back ------------------------------------------------------------------------
    @staticmethod
    def from_widths(
        inputs: int,
        hidden: int,
        outputs: int,
        steps: int,
        activation: Any = "tanh",
        *,
        initial: Any = "zeros",
        at: At = "every",
        kind: Kind = floating,
    ) -> tuple[RecurrentNetwork, Parameterization]:
        """A network of these widths and the parameterization ``iota`` in which it is coordinatewise.

        Parameters
        ----------
        activation : name or Activation; or a callable that makes a smooth map of two frames
        initial : 'zeros' (the point with coordinates 0 in iota), an array (hidden,), the coordinates of
            another point in iota, or 'learned'
        """
        X, Z = AffineSpace("X", inputs, kind), AffineSpace("Z", hidden, kind)
        A, Y = AffineSpace("A", hidden, kind), AffineSpace("Y", outputs, kind)
        frames = [space.frame("iota") for space in (X, Z, A, Y)]
        rho = activation_between(activation, frames[1], frames[2])
        start: Any
        if isinstance(initial, str) and initial == "learned":
            start = AffineSpace("start", 0, kind)
            frames.append(start.frame("iota"))
        elif isinstance(initial, str) and initial != "zeros":
            raise UnknownNameError(f"initial must be 'zeros', 'learned' or an array, not {shown(initial)}.")
        else:
            values = kind.default_namespace.zeros((hidden,)) if isinstance(initial, str) else initial
            start = A.from_coordinates(values, frames[2])
        net = RecurrentNetwork(X, rho, Y, steps, initial=start, at=at)
        iota = Parameterization(frames, inputs=net.inputs, outputs=Y, name="iota")
        return net, iota

    @staticmethod
    def from_arrays(
        Ws: Sequence[Array],
        bs: Sequence[Array],
        steps: int,
        activation: str | Activation = "tanh",
        *,
        initial: Any = "zeros",
        at: At = "every",
        kind: Kind = floating,
    ) -> tuple[RecurrentNetwork, Point, Parameterization]:
        """A network, its weights, and the arrays' own frames ``iota``.

        Parameters
        ----------
        Ws : arrays W (h, h), V (h, n), U (m, h): recurrent, input and output weights
        bs : arrays (h,), (h,), (m,): their biases
        initial : as for `from_widths`; a learned initial state comes as a fourth bias (h,)
        """
        Ws, bs = listed("the weights", Ws), listed("the biases", bs)
        learned = len(bs) == 4
        if len(Ws) != 3 or len(bs) not in (3, 4):
            raise ShapeError(
                "a recurrent network has weights W (h, h), V (h, n), U (m, h) and biases (h,), (h,), (m,), and a "
                f"learned initial state as a fourth bias (h,).\n  came: {len(Ws)} weights and {len(bs)} biases."
            )
        shapes = [tuple(getattr(array, "shape", ())) for array in Ws]
        h = shapes[0][0] if shapes[0] else 0
        fits = all(len(shape) == 2 for shape in shapes) and shapes[0] == (h, h) and shapes[1][0] == h
        if not fits or shapes[2][1] != h:
            raise ShapeError(
                f"the weights do not fit together.\n  required: W (h, h), V (h, n), U (m, h)\n  came    : {shapes}"
            )
        net, iota = RecurrentNetwork.from_widths(
            shapes[1][1],
            h,
            shapes[2][0],
            steps,
            activation,
            initial="learned" if learned else initial,
            at=at,
            kind=kind,
        )
        return net, net.weights_from_arrays(Ws, bs, iota), iota

    def weights_from_arrays(
        self, Ws: Sequence[Array], bs: Sequence[Array], parameterization: Parameterization
    ) -> Point:
        """The weights with these coordinates in a parameterization; arrays as for `from_arrays`."""
        Ws, bs = listed("the weights", Ws), listed("the biases", bs)
        count = len(self.layers)
        if len(Ws) != 3 or len(bs) != count:
            raise ShapeError(f"this network takes 3 weights and {count} biases; came {len(Ws)} and {len(bs)}.")
        # A learned initial state is an affine map of the one point of a space of dimension 0.
        start = [self.inputs.kind.namespace_of(b).zeros((self.layers[0].domain.dim, 0)) for b in bs[3:]]
        parts = stacked_arrays(self.layers, [*Ws, *start], bs)
        weights: Point = self.weight_space.from_coordinates(parts, parameterization)
        return weights

    def over(self, steps: int) -> RecurrentNetwork:
        """The same network, with the same weights, for sequences of another length."""
        base: Any = self.inputs.base
        return RecurrentNetwork(base, self.activation, self.outputs, steps, initial=self.initial, at=self.at)

    # -- passes -----------------------------------------------------------------------------------------
    @property
    def output_places(self) -> tuple[int, ...]:
        return (self.steps,) if self.at == "every" else ()

    @property
    def output_layer(self) -> int | None:
        return 2

    @property
    def _widest(self) -> int:
        return self.steps * max(int(space.dim) for space in (self.inputs.base, self.layers[0].domain, self.outputs))

    def _demand(self, covectors: int, lifted: bool, itemsize: int) -> Demand:
        h, n, m = (int(space.dim) for space in (self.layers[0].domain, self.inputs.base, self.outputs))
        outputs = covectors * m * (math.prod(self.output_places) if lifted else 1)
        datum = self.steps * (6 * h + 2 * n + 3 * m) + 4 * outputs
        return Demand(self._entries_of_sums(itemsize), 0, datum, 4 * self._widest, itemsize)

    def _start(self, layers: tuple[Layer, ...], points: Point) -> Point:
        """The initial state of every datum, (N,)."""
        ns, (count,) = points.namespace, points.batch_shape
        if isinstance(self.initial, AffineSpace):
            nowhere: Point = self.initial.from_components(layers[3].frame.parts[0], ns.zeros((count, 0)), ns)
            start: Point = layers[3].omega(nowhere)
            return start
        frame = layers[0].frame.parts[0]
        row = ns.cast(self.initial.components_in(frame))
        made: Point = frame.space.from_components(frame, ns.broadcast_to(row, (count, row.shape[0])), ns)
        return made

    def _run(self, layers: tuple[Layer, ...], points: Point, lengths: Any) -> RecurrentPass:
        ns, steps = points.namespace, self.steps
        xi = self.inputs.spread(points)
        driven: Vector = layers[1].omega(xi)
        alpha = self._start(layers, points)
        states, derivatives = [alpha], []
        for t in range(steps):
            zeta = layers[0].omega(alpha) + driven[:, t]
            alpha, derivative = self.activation.linearize(zeta)  # type: ignore[assignment]
            states.append(alpha)
            derivatives.append(derivative)
        valid = None if lengths is None else _mask(ns, lengths, steps)
        frame = layers[2].frame.parts[0]
        after = stacked(ns, states[1:], frame)
        ends: Array = None
        if self.at == "last":
            ends = _ends(ns, lengths, steps, points.batch_shape[0])
            after = _selected(ns, after, ends)
        outputs: Point = layers[2].omega(after)
        return RecurrentPass(
            self.at, layers, tuple(states), tuple(derivatives), xi, after, ends, valid, outputs
        )

    def __repr__(self) -> str:
        widths = f"{self.inputs.base.dim}-{self.layers[0].domain.dim}-{self.outputs.dim}"
        return f"RecurrentNetwork({widths}, {self.steps} steps, outputs at {self.at} over {self.inputs.kind!r})"


def _mask(ns: Namespace, lengths: Any, steps: int) -> Array:
    """Ones at the steps that count, (N, T)."""
    return ns.stack([_row(ns, [t < int(length) for t in range(steps)]) for length in lengths], axis=0)


def _ends(ns: Namespace, lengths: Any, steps: int, count: int) -> Array:
    """A one at the last step that counts, (N, T)."""
    if lengths is None:
        return ns.broadcast_to(_row(ns, [t == steps - 1 for t in range(steps)]), (count, steps))
    return ns.stack([_row(ns, [t == int(length) - 1 for t in range(steps)]) for length in lengths], axis=0)


def _row(ns: Namespace, flags: Sequence[bool]) -> Array:
    eye = ns.eye(len(flags))
    chosen = [index for index, flag in enumerate(flags) if flag]
    return ns.sum(ns.take(eye, chosen, 0), axis=0)


def _selected(ns: Namespace, states: Point, ends: Array) -> Point:
    """The state after the last step that counts: an affine combination whose weights are 0 and 1."""
    selected: Point = states.with_components(ns.sum(states._components * ends[..., None], axis=1))
    return selected
