"""Moments saved on the way, so that an interrupted run goes on from where it was.

A file holds the sums over the first data of a sample, in named frames, and a description of the pass that they
belong to: no other pass goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import numpy as np

from geomkfac.arrays import PrimeField, RationalField
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import FileFormatError, KindError, ShapeError, ValuesError
from geomkfac.inputs import parsed_json
from geomkfac.interop.files import PathLike, read_arrays, write_arrays
from geomkfac.networks.moments.kfac_moments import KfacMoments, LayerMoments
from geomkfac.networks.moments.reference import continued, layer_frame_about, single
from geomkfac.networks.moments.second_moments import RunningMoments
from geomkfac.networks.running.summing import Keeper, Saving
from geomkfac.networks.running.tasks import MomentsTask
from geomkfac.spaces import Chunk, Parameterization, Point, Sample, Span
from geomkfac.spaces.samples.rounding import Doubt
from geomkfac.spaces.samples.targets import parts_of

FORMAT = "geomkfac moments, 3"

SUMS = ("activations", "covectors", "places")
"""What is saved of every layer, as `LayerMoments` calls it."""

EXACT = re.compile(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?")
"""An exact number, as a file holds it."""
FIRST_DATA = 64
PROBES = 8
PROBED = {"outputs": 0, "weights of the output metric": 1, "covectors of the output metric": 1}
"""What the network makes of the first data, and the axis on which these stand."""


@final
@dataclass(frozen=True, slots=True)
class Checkpoint(Keeper):
    """Where moments are saved, chunk by chunk, and from where an interrupted run goes on.

    After every chunk the sums are written, all or nothing: what kills the run costs the chunk in hand.  With an
    executor it costs what its workers had in hand, at most two chunks for each.  A run may go on in chunks of another
    size.  Where the sums are complete the file stays, and the same call reads them from it; delete it to begin anew.

    Parameters
    ----------
    path : a ``.npz`` file, made by the first chunk
    parameterization : the frames in which the sums are written.  Where the weights are stored in these, what is read
        again is bit for bit what was saved.  For `kfac_of_module` none: they are those of the module's parameters
    every : seconds that must have passed since the sums were written last, but for the end; 0 for every chunk.  What
        kills a run then costs the work of these seconds

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
    parameterization: Parameterization | None = None
    every: float = 0.0

    def __post_init__(self) -> None:
        if Path(self.path).suffix != ".npz":
            raise FileFormatError(
                f"sums are saved as .npz.\n  required: a path that ends in .npz\n  came    : {os.fspath(self.path)!r}"
            )
        if not isinstance(self.parameterization, Parameterization | None):
            raise _unnamed(self.parameterization)

    def for_module(self, iota: Parameterization) -> Checkpoint:
        """The same for a module, whose parameters are coordinates in `iota`."""
        if self.parameterization is not None:
            raise KindError(
                "the sums of a module are written in the frames of its parameters.\n  required: Checkpoint(path)\n"
                f"  came    : Checkpoint(path, {self.parameterization!r})\nLeave the parameterization out."
            )
        return replace(self, parameterization=iota)

    def of(self, task: MomentsTask, sample: Sample, weights: Point | None) -> _SavedPass:
        """The saving of one pass."""
        if self.parameterization is None:
            raise _unnamed(None)
        folder = Path(self.path).parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise FileFormatError(
                f"sums cannot be saved as {os.fspath(self.path)!r}.\n  required: a folder that exists and can be "
                f"written to\n  came    : {os.fspath(folder)!r}\nMake it first, or name another file."
            )
        ns = task.layers[0].omega.namespace
        if ns.kind.is_exact and not isinstance(ns.kind, PrimeField | RationalField):
            raise KindError(f"sums over {ns.name} cannot be saved; only floating point, GF(p) and Q can.")
        facts, probes = _described(self.parameterization, task, sample, weights)
        return _SavedPass(self, self.parameterization, task, ns, sample, facts, probes)


def _unnamed(came: object) -> KindError:
    return KindError(
        "sums are written in named frames.\n  required: a Parameterization, such as the network's iota\n"
        f"  came    : {type(came).__name__}"
    )


@final
@dataclass(slots=True, eq=False)
class _SavedPass(Saving):
    """One pass, its facts, what it makes of the first data; when its sums were written last, and over how many data."""

    checkpoint: Checkpoint
    iota: Parameterization
    task: MomentsTask
    ns: Namespace
    sample: Sample
    facts: dict[str, str]
    probes: dict[str, Any]
    written_at: float = 0.0
    written: int = -1

    @property
    def _path(self) -> Path:
        return Path(self.checkpoint.path)

    def resume(self, sums: RunningMoments) -> int:
        """Add what was saved to empty sums; returns how many data that were."""
        if not self._path.exists():
            return 0
        try:
            arrays = read_arrays(self._path)
            about = parsed_json(arrays.pop("about").tobytes())
            facts, done = dict(about["facts"]), about["done"]
        except FileFormatError as error:
            raise FileFormatError(f"{error}\nOr delete it, and the sums begin anew.") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(f"no description ({error})") from error
        self._compare(facts, arrays)
        if type(done) is not int or not 0 < done <= (self.sample.count or done):
            raise self._damaged(f"sums over {done!r} data")
        try:
            self.task.resume(sums, self._moments(arrays, about, done))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(f"sums that do not fit the network ({error})") from error
        return done

    def _damaged(self, came: str) -> FileFormatError:
        return FileFormatError(
            f"{os.fspath(self._path)!r} holds no saved sums.\n  required: a file that a Checkpoint wrote\n"
            f"  came    : {came}\nDelete it, and the sums begin anew; or name another file."
        )

    def _compare(self, facts: dict[str, str], arrays: dict[str, Any]) -> None:
        other = [name for name, fact in self.facts.items() if facts.get(name) != fact]
        if "format" in other:  # Of another version: what else differs may do so for that reason alone.
            other = ["format"]
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
        now = self.probes[name]
        if saved is None or saved.shape != now.shape or saved.dtype.kind != now.dtype.kind:
            return True
        if self.ns.kind.is_exact:
            return bool((saved != now).any())
        # Weights and data are the same bit for bit, but another machine sums in another order: as many roundings as
        # a pass has terms, and sixteen times that for what cancels.
        terms = sum(layer.space.domain.dim + layer.space.codomain.dim for layer in self.task.layers)
        few = 16 * terms * self.ns.epsilon
        with np.errstate(all="ignore"):  # Of what is saved nothing is known.
            return not float(np.linalg.norm(saved - now)) <= few * float(np.linalg.norm(now))

    def save(self, sums: RunningMoments, done: int, *, last: bool = False) -> None:
        """Write the sums over the first `done` data in the place of those before, if it is time to, or the `last`."""
        if done == self.written or (not last and time.monotonic() - self.written_at < self.checkpoint.every):
            return
        self._write(sums, done)
        self.written_at, self.written = time.monotonic(), done

    def _write(self, sums: RunningMoments, done: int) -> None:
        ns, iota, found = self.ns, self.iota, self.task.moments(sums)
        about = {
            "facts": self.facts,
            "done": done,
            "terms": [layer.terms for layer in found.layers],
            "doubts": [None if layer.doubt is None else [layer.doubt.seen, layer.doubt.why] for layer in found.layers],
        }
        arrays = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
        for index, layer in enumerate(found.layers, start=1):
            about_data = continued(ns, layer.space, iota[layer.space], layer)
            there = layer.stored_in(about_data.frame, ns.wide)
            origin = None if about_data.origin is None else ns.wide.cast(about_data.origin)
            arrays |= {f"layer{index}.{name}": _stored(ns.wide, getattr(there, name)) for name in SUMS}
            arrays |= {
                f"layer{index}.origin": _stored(ns.wide, origin),
                f"layer{index}.per_unit": _stored(ns, about_data.per_unit),
                f"layer{index}.noise": _stored(ns, there.noise),
            }
        arrays["weight"] = _stored(ns.wide, found.weight)
        if found.loss is not None:
            arrays["loss"] = _stored(ns.wide, found.loss)
        if found.known is not None:
            arrays["known"] = _stored(ns, found.known.basis().coordinates(iota))
        arrays |= {f"probe.{name}": probe for name, probe in self.probes.items()}
        write_arrays(self._path, arrays)

    def _moments(self, arrays: dict[str, Any], about: dict[str, Any], done: int) -> KfacMoments:
        ns, iota, task, terms, doubts = self.ns, self.iota, self.task, about["terms"], about["doubts"]
        layers = []
        for index, layer in enumerate(task.layers):
            m, n = layer.space.codomain.dim, layer.space.domain.dim + 1
            shapes = zip(SUMS, ((n, n), (m, m), ()), strict=True)
            named = {name: arrays[f"layer{index + 1}.{name}"] for name in (*SUMS, "origin", "per_unit", "noise")}
            A, G, places = (_restored(ns.wide, named[name], shape) for name, shape in shapes)
            first, second = terms[index]
            own = single(layer.space.domain).dim
            origin, per_unit, noise = (_vector(ns, named[name], own) for name in ("origin", "per_unit", "noise"))
            frame = layer_frame_about(layer.space, iota[layer.space], origin, per_unit)
            counts, doubt = (int(first), int(second)), None if doubts[index] is None else Doubt(*doubts[index])
            layers.append(LayerMoments(layer.space, frame, A, G, counts, places, noise, doubt))
        weight = _restored(ns.wide, arrays["weight"], ())
        if not self.sample.streamed and self.sample.weights is None and not _is_count(ns, weight, done):
            raise ValueError(f"a total weight that is not {done}")
        loss = None if task.losses is None else _restored(ns.wide, arrays["loss"], ())
        known = None
        if "known" in arrays:
            direction = task.function.outputs.direction
            rows = _restored(ns, arrays["known"], (arrays["known"].shape[0], direction.dim))
            known = Span(direction.from_coordinates(rows, iota))
        return KfacMoments(tuple(layers), weight, known, ns, task.function.output_layer, task.sharing, loss)


# -- what a pass is ---------------------------------------------------------------------------------------------
def _described(
    iota: Parameterization, task: MomentsTask, sample: Sample, weights: Point | None
) -> tuple[dict[str, str], dict[str, Any]]:
    """Facts that must be the same, and numbers that must be nearly so."""
    ns, metric = task.layers[0].omega.namespace, task.metric
    rows: dict[str, list[Any]] = {}
    for chunk, count in _first(sample, FIRST_DATA):
        parts = {"points": chunk.points.coordinates(iota), "weights": chunk.weights, **dict(parts_of(chunk.targets))}
        for name, part in parts.items():
            rows.setdefault(name, []).append(_stored(ns, None if part is None else part[:count, ...]))
    facts = {
        "format": FORMAT,
        **task.function._facts,
        "arrays": ns.name,
        "weights": _digest(*(_stored(ns, part) for part in (() if weights is None else weights.coordinates(iota)))),
        "output": repr(metric.output),
        "fisher": metric.fisher,
        "samples": str(metric.samples),
        "seed": str(metric.seed),
        "sharing": task.sharing,
        "losses": "none" if task.losses is None else "summed",
        "data": "streamed" if sample.streamed else str(sample.count),
        "weights of the data": _digest(_stored(ns, sample.weights)),
        "lengths": _digest(np.asarray(sample.lengths or ())),
        # Of all that was cut into chunks or batches, so that it does not depend on how.
        f"first {FIRST_DATA} data": _digest(*(np.concatenate(parts) for _, parts in sorted(rows.items()))),
    }
    probes: list[list[Any]] = [[] for _ in PROBED]
    for chunk, count in _first(sample, PROBES):
        some = chunk.part(0, count)
        run = task.function._pass_of(task.layers, some)
        found = metric.of(run, some)
        arrays = run.outputs.coordinates(iota), found.weights, found.covectors.coordinates(iota)
        for parts_so_far, array in zip(probes, arrays, strict=True):
            parts_so_far.append(_stored(ns, array))
    joined = zip(PROBED.items(), probes, strict=True)
    return facts, {name: np.concatenate(parts, axis=axis) for (name, axis), parts in joined}


def _first(sample: Sample, count: int) -> Iterator[tuple[Chunk, int]]:
    """The first `count` data of a sample: chunks, and how many of each."""
    for chunk in sample.chunks(count):
        yield chunk, min(chunk.count, count - chunk.first)
        if chunk.first + chunk.count >= count:
            return


def _digest(*arrays: Any) -> str:
    """A short hash of arrays, bit for bit."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _stored(ns: Namespace, x: Array) -> Any:
    """An array as a file holds it: exact numbers as text; an empty one for None."""
    if x is None:
        return np.empty(0)
    array = x if isinstance(x, np.ndarray) else np.asarray(ns.to_numpy(x))
    return array.astype(str) if array.dtype == object else array


def _restored(ns: Namespace, array: Any, shape: tuple[int, ...]) -> Array:
    if array.shape != shape:
        raise ShapeError(f"an array of shape {shape} is required; came {array.shape}.")
    if not ns.kind.is_exact:
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError("numbers that are not finite")
        return ns.ordered("saved sums").cast_numpy(array)
    if array.dtype.kind != "U" or not all(map(EXACT.fullmatch, array.ravel().tolist())):
        raise ValueError("other things than exact numbers")
    exact = np.empty(shape, dtype=object)
    for index, entry in np.ndenumerate(array):
        exact[index] = Fraction(str(entry))
    return ns.asarray(exact)


def _vector(ns: Namespace, array: Any, n: int) -> Array:
    """An array (n,), or None where an empty one stands for it."""
    return _restored(ns, array, (n,)) if array.size else None


def _is_count(ns: Namespace, weight: Array, count: int) -> bool:
    """Whether a sum of ones is that many, to what float32 makes of more than it can count."""
    if ns.kind.is_exact:
        return ns.equal(weight, ns.scalar(count))
    return bool(abs(float(weight) - count) <= count * ns.epsilon**0.5)
