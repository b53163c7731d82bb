"""Files of a command: the network and the data that it reads, and where it may write its arrays."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.arrays.mapped import in_memory, is_mapped
from geomkfac.cli.device_option import onto
from geomkfac.cli.network_problem import NetworkProblem
from geomkfac.cli.options import ProblemOptions
from geomkfac.errors import FileFormatError, ValuesError
from geomkfac.interop import load_digits, load_digits_network, open_data, read_data, read_network, read_sequences
from geomkfac.metrics import family
from geomkfac.networks import MLP, ConvolutionalNetwork, RecurrentNetwork, architecture
from geomkfac.networks.building.architecture import Recurrence
from geomkfac.spaces import Parameterization, Sample

SUFFIXES = (".npz", ".safetensors")
ENTRIES_AT_A_TIME = 1 << 22
"""Numbers of mapped data that are moved to a device together."""


def load(asked: ProblemOptions, device: str = "cpu") -> NetworkProblem:
    """Read both files, or the built-in `digits`, and place the output family on the given coordinates."""
    if asked.architecture is not None:
        return _load_shared(asked, architecture(asked.architecture), device)
    Ws, bs = load_digits_network() if asked.network == "digits" else read_network(asked.network, widen=asked.widen)
    net, weights, given = MLP.from_arrays(onto(device, Ws), onto(device, bs), asked.activation or "identity")
    loss = family(asked.output).on(given)
    X, y = load_digits(Ws[0].dtype) if asked.data == "digits" else _data(asked, 2)
    return NetworkProblem(net, weights, given, _sample(given, device, X, y), loss)


def _data(asked: ProblemOptions, ndim: int) -> tuple[Any, Any]:
    """Inputs and targets: of a folder mapped, of a file read."""
    if Path(asked.data).is_dir():
        X, y, _ = open_data(asked.data, ndim=ndim)
        return X, y
    return read_data(asked.data, ndim=ndim, widen=asked.widen)


def _sample(given: Parameterization, device: str, X: Any, y: Any, lengths: Any = None) -> Sample:
    """The data on a device; what is mapped goes there chunk by chunk."""
    inputs = given.inputs
    if device == "cpu" or not is_mapped(X) or inputs is None:
        X, y = onto(device, [X, y])
        return given.sample(X, y, lengths=lengths)
    if lengths is not None:
        raise ValuesError(
            "mapped sequences of different lengths are for the CPU.\n  required: --device cpu, or no lengths.npy\n"
            f"  came    : --device {device}\nWrite one .npz file if the data fit into the memory of the device."
        )
    rows = max(1, ENTRIES_AT_A_TIME // math.prod(X.shape[1:]))

    def batches() -> Iterator[Any]:
        for start in range(0, X.shape[0], rows):
            yield tuple(onto(device, [in_memory(array[start : start + rows]) for array in (X, y)]))

    return Sample.from_batches(batches, given[inputs], count=X.shape[0])


def _load_shared(asked: ProblemOptions, stages: list[Any], device: str) -> NetworkProblem:
    """A convolutional or recurrent network, and its data."""
    if asked.network == "digits":
        raise ValuesError(
            "the built-in network 'digits' is fully connected.\n  required: a file, or no --architecture\n"
            "  came    : digits, and --architecture\nUse --activation tanh with it."
        )
    Ws, bs = (onto(device, arrays) for arrays in read_network(asked.network, chained=False, widen=asked.widen))
    if len(stages) == 1 and isinstance(stages[0], Recurrence):
        return _load_recurrence(Ws, bs, stages[0], asked, device)
    axes = max(W.ndim for W in Ws)
    if asked.data == "digits":
        X, y = load_digits(namespace_of(Ws[0]).name.split()[1])
        X = X.reshape(-1, 1, 8, 8)
    else:
        X, y = _data(asked, axes)
    maps = namespace_of(X).permute(X, [0, *range(2, X.ndim), 1])
    net, weights, given = ConvolutionalNetwork.from_arrays(Ws, bs, maps.shape[1:-1], stages)
    return NetworkProblem(net, weights, given, _sample(given, device, maps, y), family(asked.output).on(given))


def _load_recurrence(
    Ws: list[Any], bs: list[Any], spec: Recurrence, asked: ProblemOptions, device: str
) -> NetworkProblem:
    if asked.data == "digits":
        raise ValuesError("the digits are no sequences; name a file with X (N, T, n).")
    folder = Path(asked.data).is_dir()
    X, y, lengths = open_data(asked.data, ndim=3) if folder else read_sequences(asked.data, widen=asked.widen)
    ns = namespace_of(bs[0])
    initial = spec.initial if isinstance(spec.initial, str) else ns.stack([ns.scalar(entry) for entry in spec.initial])
    if (spec.initial == "learned") != (len(bs) == 4):
        raise ValuesError(
            "a learned initial state is the bias of a fourth layer, of weight (h, 0).\n"
            f"  required: initial='learned' and 4 layers, or neither\n"
            f"  came    : initial={spec.initial!r} and {len(bs)} layers"
        )
    net, weights, given = RecurrentNetwork.from_arrays(
        Ws[:3], bs, X.shape[1], spec.activation, initial="zeros" if len(bs) == 4 else initial, at=spec.at
    )
    data_given = _sample(given, device, X, y, lengths)
    return NetworkProblem(net, weights, given, data_given, family(asked.output).on(given))


def checked_output(path: str | None) -> None:
    """Refuse, before any work, a path to which nothing could be written."""
    if path is None:
        return
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise FileFormatError(
            f"cannot write {path}: its suffix says no format.\n  required: {' or '.join(SUFFIXES)}\n"
            f"  came    : {target.suffix or 'no suffix'}\nName the file with one of these."
        )
    if not target.parent.is_dir():
        raise FileFormatError(f"cannot write {path}: there is no folder {target.parent}.\nMake it first.")
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        what = "it is a folder" if target.is_dir() else f"the folder {target.parent} cannot be written to"
        raise FileFormatError(f"cannot write {path}: {what}.\nName another file.")


def entries(array: Any) -> Any:
    """An array as NumPy's, for files."""
    return namespace_of(array).to_numpy(array)
