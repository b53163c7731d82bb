"""From a PyTorch module to the network that it computes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from geomkfac.errors import KindError, ShapeError, UnknownNameError
from geomkfac.interop.pytorch.cells import read_cells
from geomkfac.interop.pytorch.chain import ForwardGraph, chain_of, trace_of
from geomkfac.interop.pytorch.imported import ImportedModule, Network
from geomkfac.interop.pytorch.reading import Reading, Recurrent, read_chain, read_recurrence
from geomkfac.interop.pytorch.stage_layers import check_module
from geomkfac.interop.pytorch.support import pytorch, refusal
from geomkfac.maps import CoordinatewiseMap
from geomkfac.networks.building.architecture import Dense
from geomkfac.networks.convolution import ConvolutionalNetwork
from geomkfac.networks.mlp import MLP
from geomkfac.networks.recurrent import RecurrentNetwork


def from_module(module: Any, example: Any, *, library: str = "torch") -> ImportedModule:
    """The network that a PyTorch module computes, with its weights and the frames that they stand in.

    A module is taken where its forward pass is one chain of Linear, Conv1d, 2d and 3d, activations that geomkfac has
    (docs/conventions.md says which they are in PyTorch), AvgPool, MaxPool, AdaptiveAvgPool, padding modules, Flatten
    and Dropout out of training, as modules or functions, in nested Sequentials or in a `forward` of its own that
    torch.fx can trace; or nn.RNN (one layer, one direction, tanh or relu), or an nn.RNNCell in a loop over the steps,
    of which all states, or the last, are read by one Linear layer.

    Parameters
    ----------
    module : torch.nn.Module, float32 or float64
    example : tensor, one batch of inputs as the module takes them; grids and numbers of steps are read from it
    library : 'torch' to keep tensors, of the module's dtype and device, or 'numpy'

    Raises
    ------
    UnplaceableModuleError : with the name of the part, the reason, and what to do.
    MissingExtraError : PyTorch is not installed.

    Notes
    -----
    At last module and network are run on the example and compared, to a quarter of the digits: a hook or a
    subclass that computes something else is found so.
    """
    torch = pytorch("from_module")
    _check(torch, module, example, library)
    trace = trace_of(module, example, check_module)
    _check_parameters(module, trace)
    recurrent = read_cells(trace)
    if recurrent is None:
        links = chain_of(trace)
        recurrent = read_recurrence(links)
    if recurrent is not None:
        found = _recurrent(recurrent, library)
    else:
        found = _feed_forward(read_chain(links, tuple(example.shape)), library)
    _compare(torch, module, example, found)
    return found


def _library(library: str) -> Any:
    """Tensors as arrays of a library; the network copies them."""
    return (lambda tensor: tensor.detach().cpu().numpy()) if library == "numpy" else (lambda tensor: tensor.detach())


def _check(torch: Any, module: Any, example: Any, library: str) -> None:
    if library not in ("torch", "numpy"):
        raise UnknownNameError(f"library must be 'torch' or 'numpy', not {library!r}.")
    if not isinstance(module, torch.nn.Module):
        raise KindError(f"from_module takes a torch.nn.Module, not {type(module).__name__}.")
    if not isinstance(example, torch.Tensor) or example.ndim < 2 or not example.shape[0]:
        came = tuple(example.shape) if isinstance(example, torch.Tensor) else type(example).__name__
        raise ShapeError(f"the example is one batch of inputs, a tensor with data on its first axis.\n  came: {came}")
    parameters = dict(module.named_parameters())
    if not parameters:
        raise refusal("", module, "it has no parameters")
    first = next(iter(parameters.items()))
    for name, parameter in parameters.items():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise refusal(name, "a parameter", f"its dtype is {parameter.dtype}; required: float32 or float64",
                          "Convert the module, for example with module.double().")  # fmt: skip
        if (parameter.dtype, parameter.device) != (first[1].dtype, first[1].device):
            raise refusal(
                name, "a parameter", f"it is {parameter.dtype} on {parameter.device}, and {first[0]!r} is "
                f"{first[1].dtype} on {first[1].device}", "Move the module to one dtype and device.",
            )  # fmt: skip


def _check_parameters(module: Any, trace: ForwardGraph) -> None:
    """Parameters that layers share, or that no layer has."""
    owners: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in owners:
            raise refusal(
                name, "a parameter", f"it is shared with {owners[id(parameter)]!r}; each layer of a network has "
                "weights of its own"
            )  # fmt: skip
        owners[id(parameter)] = name
    called = [part for node in trace.graph.nodes if (part := trace.called(node)) is not None]
    used = {id(parameter) for _, part in called for parameter in part.parameters()}
    unused = [name for key, name in owners.items() if key not in used]
    if unused:
        owner, _, own = unused[0].rpartition(".")
        raise refusal(
            owner, module.get_submodule(owner), f"its parameter {own!r} is that of no layer that forward calls",
            "Remove it from the module; and use the layers of torch.nn, not subclasses of them.",
        )  # fmt: skip


# -- networks ----------------------------------------------------------------------------------------------
def _entries(name: str) -> tuple[str, str]:
    prefix = f"{name}." if name else ""
    return f"{prefix}weight", f"{prefix}bias"


def _feed_forward(reading: Reading, library: str) -> ImportedModule:
    own = _library(library)
    Ws = [own(part.weight) for _, part in reading.layers]
    bs = [own(part.bias) for _, part in reading.layers]
    activations = _of_an_mlp(reading)
    network: Network
    if activations is not None:
        # Each hidden layer has an activation of its own.
        names = iter(activations)
        widths = [reading.channels, *(len(b) for b in bs)]
        network, iota = MLP.from_widths(widths, lambda z, a: CoordinatewiseMap(z, a, next(names)))
        layers = [name for name, _ in reading.layers]
    else:
        network, iota = ConvolutionalNetwork.from_shape(reading.grid, reading.channels, reading.stages)
        layers = []
        for name, part in reading.layers:
            groups = getattr(part, "groups", 1)
            layers += [name] if groups == 1 else [f"{name}[{k}]" for k in range(groups)]
    weights = network.weights_from_arrays(Ws, bs, iota)
    like, entries = reading.layers[0][1].weight.detach(), tuple(_entries(name) for name, _ in reading.layers)
    return ImportedModule(network, weights, iota, entries, tuple(layers), library, like, reading.flattened, False)


def _of_an_mlp(reading: Reading) -> list[str] | None:
    """Activations between dense layers, at most one; None where something else stands somewhere."""
    found: list[str] = []
    stages = reading.stages
    if reading.grid or not isinstance(stages[0], Dense) or not isinstance(stages[-1], Dense):
        return None
    for before, stage in pairwise(stages):
        if isinstance(stage, Dense):
            found.append("identity" if isinstance(before, Dense) else before)
        elif not isinstance(stage, str) or not isinstance(before, Dense):
            return None
    return found


def _recurrent(reading: Recurrent, library: str) -> ImportedModule:
    own, (name, rnn), (reader, linear) = _library(library), reading.rnn, reading.linear
    prefix = f"{name}." if name else ""
    names = [tuple(f"{sort}_{which}{reading.suffix}" for sort in ("weight", "bias")) for which in ("hh", "ih")]
    pairs = [*((getattr(rnn, W), getattr(rnn, b)) for W, b in names), (linear.weight, linear.bias)]
    Ws, bs = ([own(pair[k]) for pair in pairs] for k in (0, 1))
    network, weights, iota = RecurrentNetwork.from_arrays(Ws, bs, reading.steps, rnn.nonlinearity, at=reading.at)
    entries = (*((f"{prefix}{W}", f"{prefix}{b}") for W, b in names), _entries(reader))
    layers, like = (f"{prefix}hh", f"{prefix}ih", reader), linear.weight.detach()
    return ImportedModule(network, weights, iota, entries, layers, library, like, False, not reading.batch_first)


def _compare(torch: Any, module: Any, example: Any, found: ImportedModule) -> None:
    """Both on the example: what tracing cannot see, such as a hook, shows here."""
    with torch.no_grad():
        theirs = module(example)
    points = found.network.inputs.from_coordinates(found._inside(example), found.iota)
    outputs = torch.as_tensor(found.network(found.weights, points).coordinates(found.iota))
    if found._time_first and found.network.output_places:
        outputs = outputs.swapaxes(0, 1)
    elif outputs.ndim > 2 and not isinstance(found.network, RecurrentNetwork):
        outputs = outputs.movedim(-1, 1)
    # Gross differences alone: rounding has its own laws, through layers of any condition.
    few = float(torch.finfo(theirs.dtype).eps) ** 0.25
    same = outputs.shape == theirs.shape
    if not same or not float((outputs.to(theirs.device) - theirs).abs().max()) <= few * float(theirs.abs().max()):
        raise refusal(
            "", module, "it computes something else than its modules do one after the other"
            + ("" if same else f": shape {tuple(theirs.shape)}, and not {tuple(outputs.shape)}"),
            "Look for hooks, and for subclasses with a __call__ of their own.",
        )  # fmt: skip
