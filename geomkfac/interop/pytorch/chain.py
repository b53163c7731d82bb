"""The forward pass of a PyTorch module as a chain of operations, by symbolic tracing.

Each operation takes what the one before it gave, and nothing else.  What is no chain (a sum of two branches, a
value that is used twice, control flow on data) has no place here and is refused, with the name of the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, final

from geomkfac.interop.pytorch.support import first_line, refusal

CONSTANTS = {"zeros", "zeros_like", "new_zeros"}


@final
@dataclass(frozen=True, slots=True)
class Link:
    """One operation.

    Attributes
    ----------
    name : qualified name of a module; of a function the name that tracing gave it
    operation : nn.Module, or the name of a function
    arguments, keywords : what a function took besides the value that is handed on
    before, after : shapes of what it took and gave; () where that was no tensor
    """

    name: str
    operation: Any
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ForwardGraph:
    """The graph of one forward pass.

    Attributes
    ----------
    root : the module, or a Sequential of it where it is a layer itself
    graph : of torch.fx; nodes that nothing reads are left out
    values : what every node gives on the example, by its name
    bare : whether the module is a layer itself; names are then empty
    """

    root: Any
    graph: Any
    values: dict[str, Any]
    bare: bool

    def called(self, node: Any) -> tuple[str, Any] | None:
        """(qualified name, module) of a node that calls a module; None of others."""
        if node.op != "call_module":
            return None
        return "" if self.bare else str(node.target), self.root.get_submodule(node.target)

    def is_zeros(self, node: Any) -> bool:
        """Whether a node is a constant of zeros, made while the pass runs."""
        if node.op == "get_attr":
            return str(node.target).startswith("_tensor_constant") and not self.values[node.name].any()
        return node.op != "call_module" and name_of(node) in CONSTANTS


def trace_of(module: Any, example: Any, check: Callable[[str, Any], None]) -> ForwardGraph:
    """The graph of one forward pass, and its values on an example.

    Parameters
    ----------
    module : nn.Module
    example : tensor, an input
    check : told every module that the pass calls, with its name, before anything runs; it raises where one is
        not taken

    Raises
    ------
    UnplaceableModuleError : the pass cannot be traced, or does not take the example.
    """
    torch, fx = import_module("torch"), import_module("torch.fx")
    bare = fx.Tracer().is_leaf_module(module, "") and not isinstance(module, torch.nn.Sequential)
    root = torch.nn.Sequential(module) if bare else module
    try:
        graph = _graph(fx, root, example, any(isinstance(part, torch.nn.RNNCellBase) for part in module.modules()))
    except Exception as error:  # whatever the module's own code raises on a symbolic value
        raise refusal(
            "", module, "its forward pass cannot be traced by torch.fx, as it depends on data or does more than a "
            f"chain of modules does: {first_line(error)}"
        ) from error  # fmt: skip
    for node in reversed(list(graph.nodes)):
        # Such as the last state of a recurrence of which all states are read.
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)
    found = ForwardGraph(root, graph, {}, bare)
    for node in graph.nodes:
        called = found.called(node)
        if called is not None:
            check(*called)
    try:
        _record(fx, torch, found, example)
    except Exception as error:  # whatever PyTorch raises on an input of another shape or dtype
        raise refusal(
            "", module, f"it does not take the example, of shape {tuple(example.shape)} and dtype {example.dtype}: "
            f"{first_line(error)}", "Pass one batch of inputs, as the module takes them."
        ) from error  # fmt: skip
    return found


def chain_of(trace: ForwardGraph) -> list[Link]:
    """The operations of one forward pass, in order.

    Raises
    ------
    UnplaceableModuleError : the pass is no chain.
    """
    walk = _Walk(trace)
    for node in trace.graph.nodes:
        walk.take(node)
    return walk.links


def _graph(fx: Any, root: Any, example: Any, stepwise: bool) -> Any:
    """The graph; of a module with cells the sizes of the example are known, so that its loop over steps unrolls."""
    if not stepwise:
        return fx.Tracer().trace(root)

    class Sized(fx.Proxy):  # type: ignore[misc]
        shape = example.shape

        def size(self, axis: int | None = None) -> Any:
            return example.shape if axis is None else example.shape[axis]

        def __len__(self) -> int:
            return len(example)

    class Tracer(fx.Tracer):  # type: ignore[misc]
        def proxy(self, node: Any) -> Any:
            first = node.op == "placeholder" and node.prev.op == "root"
            return Sized(node, self) if first else super().proxy(node)

        def iter(self, obj: Any) -> Any:
            node, axis = obj.node, 0
            if name_of(node) == "unbind":
                axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
                node = node.args[0]
            if node.op != "placeholder":
                return super().iter(obj)
            return iter([obj[step] for step in range(example.shape[axis])])

    return Tracer().trace(root)


def _record(fx: Any, torch: Any, trace: ForwardGraph, example: Any) -> None:
    """Fill in what every node gives on the example."""

    class Recorder(fx.Interpreter):  # type: ignore[misc]
        def run_node(self, n: Any) -> Any:
            trace.values[n.name] = found = super().run_node(n)
            return found

    with torch.no_grad():
        Recorder(fx.GraphModule(trace.root, trace.graph)).run(example)


@final
class _Walk:
    """From node to node: `current` is the one whose value is handed on."""

    def __init__(self, trace: ForwardGraph) -> None:
        self._trace, self._values, self._tensor = trace, trace.values, import_module("torch").Tensor
        self._current: Any = None
        self._constants: set[str] = set()
        self._called: set[str] = set()
        self.links: list[Link] = []

    def take(self, node: Any) -> None:
        """One node more."""
        if node.op == "placeholder":
            self._placeholder(node)
        elif self._trace.is_zeros(node):
            self._constants.add(node.name)
        elif node.op == "get_attr":
            raise refusal(node.target, "a parameter or buffer", "it is used outside of a layer")
        elif node.op == "output":
            if node.args[0] is not self._current:
                raise refusal(
                    "output", "what forward returns", "it is not the value at the end of one chain of operations"
                )
        elif not self._is_tensor(node):
            # Shapes and sizes: what is made of them shows in the shape of the next tensor.
            return
        else:
            self._operation(node)

    def _is_tensor(self, node: Any) -> bool:
        value = self._values[node.name]
        return isinstance(value, self._tensor) or (
            isinstance(value, tuple) and any(isinstance(part, self._tensor) for part in value)
        )

    def _placeholder(self, node: Any) -> None:
        if self._current is None:
            self._current = node
        elif not node.args:
            raise refusal(str(node.target), "an argument of forward", "a network has one input")

    def _operation(self, node: Any) -> None:
        called = self._trace.called(node)
        name, what = called or (str(node.name), name_of(node))
        tensors = [n for n in node.all_input_nodes if self._is_tensor(n) and n.name not in self._constants]
        if tensors != [self._current] or not node.args or node.args[0] is not self._current:
            raise refusal(
                name, what, "a network is one chain of operations; here a value is used twice, or two are combined"
            )
        if called is not None:
            if node.target in self._called:
                raise refusal(name, what, "it is applied twice, and each layer of a network has weights of its own")
            self._called.add(node.target)
        before = self._values[self._current.name]
        self._current = node
        arguments = tuple(self._plain(argument) for argument in node.args[1:])
        keywords = {key: self._plain(value) for key, value in node.kwargs.items()}
        self.links.append(Link(name, what, arguments, keywords, _shape(before), _shape(self._values[node.name])))

    def _plain(self, argument: Any) -> Any:
        """An argument with nodes replaced by their values; constants by their name."""
        if isinstance(argument, tuple | list):
            return tuple(self._plain(part) for part in argument)
        name = str(getattr(argument, "name", ""))
        if name in self._constants:
            return "zeros"
        return self._values.get(name, argument)


def name_of(node: Any) -> str:
    """The name of what a node of a graph calls."""
    return str(node.target) if isinstance(node.target, str) else str(getattr(node.target, "__name__", node.target))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))
