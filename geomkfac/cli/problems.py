"""What `factors` and `step` share: a network, its data, an output family, and a basis."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from geomkfac.arrays import generator, namespace_of
from geomkfac.arrays.mapped import in_memory, is_mapped
from geomkfac.cli.devices import onto
from geomkfac.cli.how_to_run import HowToRun
from geomkfac.errors import DegenerateMetricError, FileFormatError, ValuesError
from geomkfac.interop import (
    Checkpoint,
    load_digits,
    load_digits_network,
    open_data,
    read_data,
    read_network,
    read_sequences,
)
from geomkfac.metrics import DirectSumTensor, PlacedFamily, family
from geomkfac.metrics.families.output_family import Fisher
from geomkfac.names import look_up
from geomkfac.networks import MLP, ConvolutionalNetwork, KfacMoments, RecurrentNetwork, architecture
from geomkfac.networks.building.architecture import Recurrence
from geomkfac.spaces import Euclidean, Parameterization, Point, Sample, Vector

BASES = ("given", "centered", "whitened", "random")
FISHERS: dict[str, Fisher] = {"exact": "exact", "sampled": "sampled", "empirical": "empirical"}
SUFFIXES = (".npz", ".safetensors")
ENTRIES_AT_A_TIME = 1 << 22
"""Numbers of mapped data that are moved to a device together."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A network with its weights and data, in the coordinates in which they came."""

    net: MLP | ConvolutionalNetwork | RecurrentNetwork
    weights: Point
    given: Parameterization
    data: Sample
    loss: PlacedFamily

    def stored_in(self, chosen: Parameterization) -> Problem:
        """The same problem, weights and data stored in another basis, so that all runs there."""
        weights, data = self.weights.expressed_in(chosen), self.data.expressed_in(chosen)
        return Problem(self.net, weights, self.given, data, self.loss)

    def mean_loss(self, weights: Point, how: HowToRun) -> float:
        """The mean loss over the data, which also checks every target."""
        with how.running("loss", self.data.count) as running:
            return float(self.net.loss(weights, self.data, self.loss, **running))

    def loss_and_differential(self, how: HowToRun) -> tuple[float, Vector]:
        """The mean loss at the weights, and its differential, from one pass."""
        with how.running("differential", self.data.count) as running:
            loss, dh = self.net.loss_and_differential(self.weights, self.data, self.loss, **running)
        return float(loss), dh


@final
@dataclass(frozen=True, slots=True)
class Measurement:
    """How a K-FAC metric is to be measured, checked."""

    fisher: Fisher
    samples: int
    seed: int
    how: HowToRun

    def moments(self, problem: Problem, state: str | None = None) -> KfacMoments:
        """The moments and the loss of the problem, with a progress bar; saved on the way in the file `state`."""
        checkpoint = None if state is None else Checkpoint(state, problem.given)
        with self.how.running("metric", problem.data.count) as running:
            return problem.net.moments(
                problem.weights,
                problem.data,
                problem.loss,
                fisher=self.fisher,
                samples=self.samples,
                seed=self.seed,
                with_loss=True,
                checkpoint=checkpoint,
                **running,
            )

    def metric(self, problem: Problem) -> DirectSumTensor:
        """The K-FAC metric of the problem."""
        return self.moments(problem).metric()


def measurement(fisher: str, samples: int | None, seed: int, how: HowToRun) -> Measurement:
    """The options, refused where they cannot be meant."""
    kind = look_up("--fisher", fisher, FISHERS)
    if samples is not None and kind != "sampled":
        raise ValuesError(
            f"--samples goes with --fisher sampled alone.\n  required: --fisher sampled, or no --samples\n"
            f"  came    : --fisher {fisher} --samples {samples}\nLeave one of them out."
        )
    for name, value, least in (("--samples", samples, 1), ("--seed", seed, 0)):
        if value is not None and value < least:
            raise ValuesError(
                f"{name} must be {'positive' if least else 'nonnegative'}.\n"
                f"  required: an integer, {least} or more\n  came    : {value}\nThe default is a good choice."
            )
    return Measurement(kind, 1 if samples is None else samples, seed, how)


@final
@dataclass(frozen=True, slots=True)
class Wanted:
    """What network the arrays of a file are to make: an activation for fully connected layers, or an architecture.

    Raises
    ------
    ValuesError : both came, or neither.
    """

    activation: str | None
    architecture: str | None

    def __post_init__(self) -> None:
        if (self.activation is None) == (self.architecture is None):
            came = "neither" if self.activation is None else "both"
            raise ValuesError(
                "a network needs either --activation, for fully connected layers, or --architecture.\n"
                f"  required: one of them\n  came    : {came}\nFor instance --activation tanh."
            )


def load(network: str, data: str, wanted: Wanted, output: str, device: str = "cpu") -> Problem:
    """Read both files, or the built-in `digits`, and place the output family on the given coordinates."""
    if wanted.architecture is not None:
        return _load_shared(network, data, architecture(wanted.architecture), output, device)
    Ws, bs = load_digits_network() if network == "digits" else read_network(network)
    net, weights, given = MLP.from_arrays(onto(device, Ws), onto(device, bs), wanted.activation or "identity")
    loss = family(output).on(given)
    X, y = load_digits(Ws[0].dtype) if data == "digits" else _data(data, 2)
    return Problem(net, weights, given, _sample(given, device, X, y), loss)


def _data(path: str, ndim: int) -> tuple[Any, Any]:
    """Inputs and targets: of a folder mapped, of a file read."""
    if Path(path).is_dir():
        X, y, _ = open_data(path, ndim=ndim)
        return X, y
    return read_data(path, ndim=ndim)


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


def _load_shared(network: str, data: str, stages: list[Any], output: str, device: str) -> Problem:
    """A convolutional or recurrent network, and its data."""
    if network == "digits":
        raise ValuesError(
            "the built-in network 'digits' is fully connected.\n  required: a file, or no --architecture\n"
            "  came    : digits, and --architecture\nUse --activation tanh with it."
        )
    Ws, bs = (onto(device, arrays) for arrays in read_network(network, chained=False))
    if len(stages) == 1 and isinstance(stages[0], Recurrence):
        return _load_recurrence(Ws, bs, stages[0], data, output, device)
    axes = max(W.ndim for W in Ws)
    if data == "digits":
        X, y = load_digits(namespace_of(Ws[0]).name.split()[1])
        X = X.reshape(-1, 1, 8, 8)
    else:
        X, y = _data(data, axes)
    maps = namespace_of(X).permute(X, [0, *range(2, X.ndim), 1])
    net, weights, given = ConvolutionalNetwork.from_arrays(Ws, bs, maps.shape[1:-1], stages)
    return Problem(net, weights, given, _sample(given, device, maps, y), family(output).on(given))


def _load_recurrence(Ws: list[Any], bs: list[Any], spec: Recurrence, data: str, output: str, device: str) -> Problem:
    if data == "digits":
        raise ValuesError("the digits are no sequences; name a file with X (N, T, n).")
    X, y, lengths = open_data(data, ndim=3) if Path(data).is_dir() else read_sequences(data)
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
    return Problem(net, weights, given, data_given, family(output).on(given))


def basis(
    name: str, problem: Problem, norm: Euclidean | None, how: Measurement, metric: DirectSumTensor | None = None
) -> Parameterization:
    """The basis of that name; means and covariances are read from the factors of the metric in the given basis."""
    look_up("basis", name, dict.fromkeys(BASES))
    if name == "given":
        return problem.given
    if name == "random":
        return problem.given.random(generator(how.seed, "basis"))
    measured = how.metric(problem) if metric is None else metric
    if name == "centered":
        return problem.given.centered(measured)
    with advice("On the command line: name a norm, --norm given, or choose another basis."):
        return problem.given.whitened(measured, norm=norm)


@contextmanager
def advice(line: str) -> Iterator[None]:
    """Add what to do on the command line to an error about a degenerate metric."""
    try:
        yield
    except DegenerateMetricError as error:
        raise DegenerateMetricError(f"{error}\n{line}") from error


def named_norm(name: str, given: Parameterization) -> Euclidean | None:
    """The norm of that name: 'given', the Euclidean one of the given basis, or 'none'."""
    return look_up("norm", name, {"given": given.euclidean, "none": None})


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
