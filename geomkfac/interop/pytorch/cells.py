"""A recurrence that is written out step by step: one nn.RNNCell in a loop, and a Linear layer that reads its states."""

from __future__ import annotations

from importlib import import_module
from typing import Any, final

from geomkfac.interop.pytorch import stage_layers as torch_stages
from geomkfac.interop.pytorch.chain import ForwardGraph, name_of
from geomkfac.interop.pytorch.reading import Recurrent
from geomkfac.interop.pytorch.support import refusal


def read_cells(trace: ForwardGraph) -> Recurrent | None:
    """A pass with nn.RNNCell as a recurrence; None of a pass without one.

    Every step t takes ``x[:, t]`` (or ``x[t]``, with time first) and the state before it; the first takes zeros.
    One Linear layer reads the last state, or all of them: stacked, or one by one and then stacked.

    Raises
    ------
    UnplaceableModuleError : something else is done with the cell.
    """
    calls = [called for node in trace.graph.nodes if (called := trace.called(node)) is not None]
    cell = next((called for called in calls if type(called[1]).__name__ == "RNNCell"), None)
    return None if cell is None else _Cells(trace, cell).reading()


@final
class _Cells:
    """The graph, read from its output to its input."""

    def __init__(self, trace: ForwardGraph, cell: tuple[str, Any]) -> None:
        self._trace, self._cell = trace, cell
        self._input = next(node for node in trace.graph.nodes if node.op == "placeholder")

    def reading(self) -> Recurrent:
        """What the graph is."""
        if not self._cell[1].bias:
            raise self._refusal("bias=False; a recurrence here has bias=True")
        output = self._before(next(node for node in self._trace.graph.nodes if node.op == "output").args[0])
        at, axis, linear, states = self._what_is_read(output)
        chain = self._chain(states[-1])
        if at == "every" and chain != states:
            raise self._refusal("its states are read in another order than that of its steps, or not all of them")
        axes = {self._axis_of_step(node, step) for step, node in enumerate(chain)}
        steps = self._trace.values[self._input.name].shape
        if len(axes) > 1 or steps[next(iter(axes))] != len(chain):
            raise self._refusal(
                f"it makes {len(chain)} steps on inputs of shape {tuple(steps)}; required: one for each of theirs"
            )
        (time,) = axes
        if axis not in (None, time):
            raise self._refusal(f"its states are stacked along axis {axis}, and its inputs along axis {time}")
        return Recurrent(self._cell, linear, at, len(chain), batch_first=time == 1, suffix="")

    def _what_is_read(self, output: Any) -> tuple[str, int | None, tuple[str, Any], list[Any]]:
        """'every' or 'last', the axis of the states that are stacked, what reads them, and the states read."""
        linear = self._linear(output)
        if linear is None:
            rows, axis = self._stacked(output)
            readers = [reader for row in rows if (reader := self._linear(row)) is not None]
            if not rows or len(readers) < len(rows) or len({name for name, _ in readers}) > 1:
                raise self._refusal("its states must be read by one Linear layer, and by nothing else")
            return "every", axis, readers[0], [self._before(row.args[0]) for row in rows]
        inner = self._before(output.args[0])
        rows, axis = self._stacked(inner)
        return ("every", axis, linear, rows) if rows else ("last", None, linear, [inner])

    def _stacked(self, node: Any) -> tuple[list[Any], int]:
        """What a node stacks, and along which axis; nothing where it is no stack."""
        if node.op == "call_module" or name_of(node) != "stack":
            return [], 0
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        return [self._before(row) for row in node.args[0]], axis % len(self._trace.values[node.name].shape)

    def _chain(self, state: Any) -> list[Any]:
        """The states, first to last, of which this is the last."""
        chain: list[Any] = []
        while state is not None and not self._trace.is_zeros(state):
            called = self._trace.called(state)
            if called is None or called[0] != self._cell[0]:
                name, part = called or (str(state.name), name_of(state))
                raise refusal(
                    name, part, "it stands where a state of the recurrence is needed, or zeros before its first step"
                )
            chain.insert(0, state)
            before = state.args[1] if len(state.args) > 1 else state.kwargs.get("hx")
            state = None if before is None else self._before(before)
        return chain

    def _axis_of_step(self, node: Any, step: int) -> int:
        """The axis of time, of the inputs of which a state takes one step."""
        taken = self._before(node.args[0] if node.args else node.kwargs["input"])
        if taken.op != "call_module" and name_of(taken) == "getitem":
            source, index = taken.args
            where = index if isinstance(index, tuple) else (index,)
            while len(where) > 1 and where[-1] in (slice(None), Ellipsis):
                where = where[:-1]
            axis = len(where) - 1
            if source.op != "placeholder" and name_of(source) == "unbind" and not axis:
                axis = source.args[1] if len(source.args) > 1 else source.kwargs.get("dim", 0)
                source = source.args[0]
            if source is self._input and axis in (0, 1) and where[:-1] in ((), (slice(None),)) and where[-1] == step:
                return int(axis)
        raise self._refusal(f"step {step} does not take the inputs of this step themselves, as x[:, {step}]")

    def _linear(self, node: Any) -> tuple[str, Any] | None:
        called = self._trace.called(node)
        return called if called is not None and type(called[1]) is import_module("torch").nn.Linear else None

    def _before(self, node: Any) -> Any:
        """The node before the ones that do nothing."""
        called = self._trace.called(node)
        while called is not None and torch_stages.is_nothing(called[1]):
            node = node.args[0]
            called = self._trace.called(node)
        return node

    def _refusal(self, reason: str) -> Exception:
        return refusal(*self._cell, reason)
