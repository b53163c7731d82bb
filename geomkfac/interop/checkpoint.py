"""Moments saved on the way, so that an interrupted run goes on from where it was.

A file holds the sums over the first data of a sample, in named frames, and a description of the pass that they
belong to: no other pass goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import numpy as np

from geomkfac.arrays import PrimeField, RationalField
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import FileFormatError, KindError, ShapeError, ValuesError
from geomkfac.interop.files import PathLike, read_arrays, write_arrays
from geomkfac.networks.moments import KfacMoments, LayerMoments
from geomkfac.networks.running_moments import RunningMoments
from geomkfac.networks.tasks import MomentsTask
from geomkfac.spaces import Parameterization, Point, Sample, Span
from geomkfac.spaces.change import map_components
from geomkfac.spaces.targets import parts_of

__all__ = ["Checkpoint"]

FORMAT = "geomkfac moments, 1"
FIRST_DATA = 64
PROBES = 8


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where moments are saved, chunk by chunk, and from where an interrupted run goes on.

    After every chunk the sums are written, all or nothing: what kills the run costs the chunk in hand.  With an
    executor it costs what its workers had in hand, at most two chunks for each.  Where the sums are complete the file
    stays, and the same call reads them from it; delete it to begin anew.

    Parameters
    ----------
    path : a ``.npz`` file, made by the first chunk
    parameterization : the frames in which the sums are written.  Where the weights are stored in these, what is read
        again is bit for bit what was saved

    Raises
    ------
    FileFormatError : the suffix is another, or the file is damaged.
    ValuesError : the file belongs to another pass: other weights, data, seed, ...; the message says what differs.

    Examples
    --------
    >>> from geomkfac.interop import Checkpoint
    >>> g = net.kfac_metric(weights, data, loss, checkpoint=Checkpoint("run.npz", iota))  # doctest: +SKIP
    """

    path: PathLike
    parameterization: Parameterization

    def __post_init__(self) -> None:
        if Path(self.path).suffix != ".npz":
            raise FileFormatError(
                f"sums are saved as .npz.\n  required: a path that ends in .npz\n  came    : {os.fspath(self.path)!r}"
            )
        if not isinstance(self.parameterization, Parameterization):
            raise KindError(
                "sums are written in named frames.\n  required: a Parameterization, such as the network's iota\n"
                f"  came    : {type(self.parameterization).__name__}"
            )

    def of(self, task: MomentsTask, sample: Sample, weights: Point, chunk_size: int) -> _SavedPass:
        """The saving of one pass."""
        ns = weights._ns
        if not ns.epsilon and not isinstance(ns.kind, PrimeField | RationalField):
            raise KindError(f"sums over {ns.name} cannot be saved; only floating point, GF(p) and Q can.")
        return _SavedPass(self, task, ns, *_described(self.parameterization, task, sample, weights, chunk_size))


@final
@dataclass(frozen=True, slots=True, eq=False)
class _SavedPass:
    """One pass, its facts, and what it makes of the first data."""

    checkpoint: Checkpoint
    task: MomentsTask
    ns: Namespace
    facts: dict[str, str]
    probes: dict[str, Array]

    @property
    def _path(self) -> Path:
        return Path(self.checkpoint.path)

    def resume(self, sums: RunningMoments) -> int:
        """Add what was saved to empty sums; returns how many data that were."""
        # What a killed run left half written.
        for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
            left.unlink(missing_ok=True)
        if not self._path.exists():
            return 0
        try:
            arrays = read_arrays(self._path)
            about = json.loads(bytes(arrays.pop("about")).decode())
            facts, done, terms = dict(about["facts"]), int(about["done"]), about["terms"]
        except FileFormatError as error:
            raise FileFormatError(f"{error}\nOr delete it, and the sums begin anew.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"no description ({error})") from error
        self._compare(facts, arrays)
        try:
            sums.absorb(self._moments(arrays, terms))
        except (KeyError, IndexError, TypeError, ShapeError) as error:
            raise self._damaged(f"sums that do not fit the network ({error})") from error
        return done

    def _damaged(self, came: str) -> FileFormatError:
        return FileFormatError(
            f"{os.fspath(self._path)!r} holds no saved sums.\n  required: a file that a Checkpoint wrote\n"
            f"  came    : {came}\nDelete it, and the sums begin anew; or name another file."
        )

    def _compare(self, facts: dict[str, str], arrays: dict[str, Any]) -> None:
        other = [name for name, fact in self.facts.items() if facts.get(name) != fact]
        lines = [f"  {name}: now {self.facts[name]}, saved {facts.get(name, 'nothing')}" for name in other]
        if not other:
            probes = (name for name in self.probes if self._differs(name, arrays))
            lines = [f"  {name} of the first data: other numbers" for name in probes]
        if lines:
            raise ValuesError(
                f"the sums in {os.fspath(self._path)!r} belong to another pass.\n" + "\n".join(lines) + "\n"
                "Call with what they were made from, or delete the file (or name another) to begin anew."
            )

    def _differs(self, name: str, arrays: dict[str, Any]) -> bool:
        saved = arrays.get(f"probe.{name}")
        now = _stored(self.ns, self.probes[name])
        if saved is None or saved.shape != now.shape:
            return True
        if not self.ns.epsilon:
            return bool((saved != now).any())
        # Gross differences alone: another machine rounds otherwise.
        few = self.ns.epsilon**0.25
        return not float(np.linalg.norm(saved - now)) <= few * float(np.linalg.norm(now))

    def save(self, sums: RunningMoments, done: int) -> None:
        """Write the sums over the first `done` data in the place of those before."""
        ns, iota, found = self.ns, self.checkpoint.parameterization, sums.moments()
        about = {"facts": self.facts, "done": done, "terms": [layer.terms for layer in found.layers]}
        arrays = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
        for index, layer in enumerate(found.layers, start=1):
            there = layer.stored_in(iota[layer.space], ns)
            arrays[f"layer{index}.activations"] = _stored(ns, there.activations)
            arrays[f"layer{index}.covectors"] = _stored(ns, there.covectors)
            arrays[f"layer{index}.places"] = _stored(ns, there.places)
        arrays["weight"] = _stored(ns, found.weight)
        if found.loss is not None:
            arrays["loss"] = _stored(ns, found.loss)
        if found.known is not None:
            arrays["known"] = _stored(ns, found.known.basis().coordinates(iota))
        arrays |= {f"probe.{name}": _stored(ns, probe) for name, probe in self.probes.items()}
        write_arrays(self._path, arrays)

    def _moments(self, arrays: dict[str, Any], terms: list[list[int]]) -> KfacMoments:
        ns, iota, task = self.ns, self.checkpoint.parameterization, self.task
        layers = []
        for index, layer in enumerate(task.layers):
            m, n = layer.space.codomain.dim, layer.space.domain.dim + 1
            A, G, places = (
                _restored(ns, arrays[f"layer{index + 1}.{name}"], shape)
                for name, shape in (("activations", (n, n)), ("covectors", (m, m)), ("places", ()))
            )
            first, second = terms[index]
            layers.append(LayerMoments(layer.space, iota[layer.space], A, G, (int(first), int(second)), places))
        weight = _restored(ns, arrays["weight"], ())
        loss = None if task.losses is None else _restored(ns, arrays["loss"], ())
        known = None
        if "known" in arrays:
            direction = task.net.outputs.direction
            rows = _restored(ns, arrays["known"], (arrays["known"].shape[0], direction.dim))
            known = Span(direction.from_coordinates(rows, iota))
        return KfacMoments(tuple(layers), weight, known, ns, task.net.output_layer, task.sharing, loss)


# -- what a pass is ---------------------------------------------------------------------------------------------
def _described(
    iota: Parameterization, task: MomentsTask, sample: Sample, weights: Point, chunk_size: int
) -> tuple[dict[str, str], dict[str, Array]]:
    """Facts that must be the same, and numbers that must be nearly so."""
    ns, first = weights._ns, next(sample.chunks(FIRST_DATA))
    facts = {
        "format": FORMAT,
        "network": repr(task.net),
        "arrays": ns.name,
        "weights": _digest(ns, weights.coordinates(iota)),
        "output": repr(task.output),
        "fisher": task.fisher,
        "samples": str(task.samples),
        "seed": str(task.seed),
        "sharing": task.sharing,
        "losses": "none" if task.losses is None else "summed",
        "chunk size": str(chunk_size),
        "data": "streamed" if sample.count is None else str(sample.count),
        f"first {FIRST_DATA} data": _digest(
            ns, (first.points.coordinates(iota), first.weights, *(part for _, part in parts_of(first.targets)))
        ),
    }
    probe = first.part(0, min(PROBES, first.count))
    run = task.run(probe)
    family = task.tensor_of()(run, probe)
    probes = {
        "outputs": run.outputs.coordinates(iota),
        "weights of the output metric": family.weights,
        "covectors of the output metric": family.covectors.coordinates(iota),
    }
    return facts, probes


def _digest(ns: Namespace, tree: Any) -> str:
    """A short hash of arrays, bit for bit."""
    digest = hashlib.sha256()

    def add(leaf: Any) -> None:
        if leaf is None:
            digest.update(b"none")
            return
        array = np.ascontiguousarray(leaf) if isinstance(leaf, np.ndarray) else _stored(ns, leaf)
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())

    map_components(add, tree)
    return digest.hexdigest()[:16]


def _stored(ns: Namespace, x: Array) -> Any:
    """An array as a file holds it: exact numbers as text."""
    array = np.asarray(ns.to_numpy(x))
    return array.astype(str) if array.dtype == object else array


def _restored(ns: Namespace, array: Any, shape: tuple[int, ...]) -> Array:
    if array.shape != shape:
        raise ShapeError(f"an array of shape {shape} is required; came {array.shape}.")
    if ns.epsilon:
        return ns.ordered("saved sums").cast_numpy(array)
    exact = np.empty(shape, dtype=object)
    for index, entry in np.ndenumerate(array):
        exact[index] = Fraction(str(entry))
    return ns.asarray(exact)
