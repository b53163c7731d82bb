"""What `factors` and `step` share: a network, its data, an output family, and a basis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from geomkfac.arrays import generator
from geomkfac.errors import FileFormatError, UnknownNameError, ValuesError
from geomkfac.interop import load_digits, load_digits_network, read_data, read_network
from geomkfac.metrics import DirectSumTensor, PlacedFamily, family
from geomkfac.names import look_up
from geomkfac.networks import MLP
from geomkfac.spaces import Euclidean, Parameterization, Point, Sample

__all__ = ["Problem", "basis", "checked_output", "load", "named_norm"]

BASES = ("given", "centered", "whitened", "random")
NORMS = ("given",)
SUFFIXES = (".npz", ".safetensors")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A network with its weights and data, in the coordinates in which they came."""

    net: MLP
    weights: Point
    given: Parameterization
    data: Sample
    loss: PlacedFamily


def load(network: str, data: str, activation: str, output: str) -> Problem:
    """Read both files, or the built-in `digits`, and place the output family on the given coordinates."""
    if network == "digits":
        Ws, bs = load_digits_network()
    else:
        Ws, bs = read_network(network)
    X, y = load_digits(Ws[0].dtype) if data == "digits" else read_data(data)
    net, weights, given = MLP.from_arrays(Ws, bs, activation)
    loss = family(output).on(given)
    return Problem(net, weights, given, given.sample(X, y), loss)


def basis(name: str, problem: Problem, metric: DirectSumTensor, norm: Euclidean | None, seed: int) -> Parameterization:
    """The basis of that name; means and covariances are read from the metric's own factors."""
    look_up("basis", name, dict.fromkeys(BASES))
    if name == "centered":
        return problem.given.centered(metric)
    if name == "whitened":
        return problem.given.whitened(metric, norm=norm)
    if name == "random":
        return problem.given.random(generator(checked_seed(seed), "basis"))
    return problem.given


def named_norm(name: str | None, given: Parameterization) -> Euclidean | None:
    """The norm of that name; none where no name was given."""
    if name is None:
        return None
    if name not in NORMS:
        raise UnknownNameError(
            f"there is no norm of that name.\n  required: one of {', '.join(NORMS)}\n  came    : {name}\n"
            "'given' is the Euclidean norm of the given coordinates."
        )
    return given.euclidean


def checked_seed(seed: int) -> int:
    """`seed`, which must not be negative."""
    if seed < 0:
        raise ValuesError(f"the seed must be a nonnegative integer, not {seed}.")
    return seed


def checked_output(path: str | None) -> str | None:
    """`path`, refused before any work where nothing could be written to it."""
    if path is None:
        return None
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise FileFormatError(
            f"cannot write {path}: its suffix says no format.\n  required: {' or '.join(SUFFIXES)}\n"
            f"  came    : {target.suffix or 'no suffix'}\nName the file with one of these."
        )
    if not target.parent.is_dir():
        raise FileFormatError(f"cannot write {path}: there is no folder {target.parent}.\nMake it first.")
    return path


def entries(array: Any) -> Any:
    """An array as NumPy's, for files."""
    from geomkfac.arrays import namespace_of

    return namespace_of(array).to_numpy(array)
