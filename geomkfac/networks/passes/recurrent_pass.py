"""One pass of a recurrent network, and back-propagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.maps import Derivative
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layer_inputs import PointUse, Use
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import Frame, Point, Vector

At: TypeAlias = Literal["every", "last"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class RecurrentPass(Pass):
    """The pass of a recurrent network: states alpha_0, ..., alpha_T, and derivatives of the activation."""

    at: At
    layers: tuple[Layer, ...]
    states: tuple[Point, ...]
    derivatives: tuple[Derivative, ...]
    inputs: Point
    after: Point
    ends: Any
    steps_valid: Array | None
    outputs: Point

    @property
    def valid(self) -> Array | None:  # type: ignore[override]
        return self.steps_valid if self.at == "every" else None

    def uses(self) -> Sequence[Use]:
        ns = self.outputs.namespace
        before = stacked(ns, list(self.states[:-1]), self.layers[0].frame.parts[0])
        found: list[Use] = [
            PointUse(self.layers[0].inputs(ns, before, self.layers[0].frame), self.steps_valid),
            PointUse(self.layers[1].inputs(ns, self.inputs, self.layers[1].frame), self.steps_valid),
            PointUse(self.layers[2].inputs(ns, self.after, self.layers[2].frame), self.valid),
        ]
        if len(self.layers) == 4:
            found.append(PointUse(ns.zeros((before.batch_shape[0], 0))))
        return found

    def backward(self, covectors: Vector) -> Iterator[tuple[int, Array]]:
        recurrent, driving, reading = self.layers[:3]
        ns = covectors.namespace
        yield 2, covectors.components_in(reading.frame.parts[1].linear.dual)
        on_states = reading.derivative.pullback(covectors)
        flow: Vector | None = None
        pulled: list[Array] = []
        steps, frame = len(self.derivatives), recurrent.frame.parts[1].linear.dual
        for t in range(steps - 1, -1, -1):
            arriving: Any = self._arriving(on_states, t)
            if flow is not None:
                arriving = flow if arriving is None else flow + arriving
            on_zeta = self.derivatives[t]._pull(arriving)
            pulled.append(on_zeta.components_in(frame))
            flow = recurrent.derivative.pullback(on_zeta)
        rows = ns.stack(pulled[::-1], axis=2)
        yield 0, rows
        direction = frame.space
        own: Vector = direction.from_components(frame, rows, ns)
        yield 1, own.components_in(driving.frame.parts[1].dual)
        if len(self.layers) == 4 and flow is not None:
            yield 3, flow.components_in(self.layers[3].frame.parts[1].linear.dual)

    def summed_forms(self, covectors: Vector, weights: Array | None) -> dict[int, Array] | None:
        """Forms pulled back step by step, h x h for each datum: their number does not grow with that of the steps.

        With an output at every step, covectors would be as many as steps times classes.
        """
        ns, (recurrent, driving, reading) = covectors.namespace, self.layers[:3]
        rows = ns.permute(covectors.components_in(reading.frame.parts[1].linear.dual), (1, 2, 0, 3))
        scaled = rows if weights is None else rows * ns.permute(weights, (1, 2, 0))[..., None]
        local = ns.matmul(scaled.mT, rows)
        on_state, on_zeta = reading.frame.parts[0].linear.dual, recurrent.frame.parts[1].linear.dual
        after: Array = None
        total: Array = None
        for t in range(len(self.derivatives) - 1, -1, -1):
            arriving = _pulled_form(
                ns, reading.derivative, local[:, t, ...], reading.frame.parts[1].linear.dual, on_state
            )
            after = arriving if after is None else after + arriving
            form = _pulled_form(ns, self.derivatives[t], after, on_state, on_zeta)
            part = ns.row_sum(form)
            total = part if total is None else total + part
            after = _pulled_form(ns, recurrent.derivative, form, on_zeta, on_state)
        forms = {2: ns.row_sum(ns.sum(local, axis=1)), 0: total}
        forms[1] = _form_in(ns, total, on_zeta, driving.frame.parts[1].dual)
        if len(self.layers) == 4:
            own = self.layers[3].frame.parts[1].linear.dual
            forms[3] = _form_in(ns, ns.row_sum(after), on_state, own)
        return forms

    def _arriving(self, on_states: Vector, t: int) -> Vector | None:
        """What the outputs send back to the state after step t, (K, N)."""
        if self.at == "every":
            return on_states[:, :, t]
        if self.steps_valid is None:
            return on_states if t == len(self.derivatives) - 1 else None
        return on_states.scaled(self.ends[None, :, t])


def _pulled_form(ns: Namespace, derivative: Derivative, form: Array, source: Frame, target: Frame) -> Array:
    """``J^T M J`` for forms (N, m, m) in `source`, by pulling rows back, twice; (N, n, n) in `target`."""
    for _ in range(2):
        rows: Vector = source.space.from_components(source, ns.permute(form, (2, 0, 1)), ns)
        form = ns.permute(derivative._pull(rows).components_in(target), (1, 0, 2))
    return form


def _form_in(ns: Namespace, form: Array, source: Frame, target: Frame) -> Array:
    """One form (m, m) on another frame of its space."""
    for _ in range(2):
        rows: Vector = source.space.from_components(source, form, ns)
        form = rows.components_in(target).mT
    return form


def stacked(ns: Namespace, states: Sequence[Point], frame: Any) -> Point:
    """States (N,) of several steps as one batch (N, T)."""
    made: Point = frame.space.from_components(
        frame, ns.stack([state.components_in(frame) for state in states], axis=1), ns
    )
    return made
