"""Problems of every architecture, what is summed over their data, and the ways of cutting these."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.interop import Checkpoint
from geomkfac.maps import polynomial
from geomkfac.metrics import OutputModel, PlacedFamily
from geomkfac.networks import Convolution, Network
from geomkfac.spaces import Sample
from geomkfac.spaces.samples.pieces import pieces_of_chunk
from geomkfac.testing import integer_array

COUNT = 6
FIELD = GF(2**31 - 1)

Made: TypeAlias = tuple[Network, Any, tuple[int, ...] | None]
"""A network, its frames, and the lengths of the data where these are sequences."""


# -- architectures -----------------------------------------------------------------------------------------------
def convolutional(shape: tuple[int, ...], channels: int, *stages: Any) -> Callable[[Any, Any], Made]:
    """A convolutional network; the activation of the kind stands for None."""

    def make(kind: Any, phi: Any) -> Made:
        chosen = [phi if stage is None else stage for stage in stages]
        return *gk.ConvolutionalNetwork.from_shape(shape, channels, chosen, kind=kind), None

    return make


def recurrent(lengths: tuple[int, ...] | None, **how: Any) -> Callable[[Any, Any], Made]:
    """A recurrent network over 4 steps."""
    return lambda kind, phi: (*gk.RecurrentNetwork.from_widths(2, 3, 2, 4, phi, kind=kind, **how), lengths)


LENGTHS = (4, 1, 3, 2, 4, 1)
ARCHITECTURES: dict[str, Callable[[Any, Any], Made]] = {
    "fully connected": lambda kind, phi: (*gk.MLP.from_widths((3, 4, 2), phi, kind=kind), None),
    "convolutions": convolutional(
        (5,), 2, Convolution(2, 3, padding=1), None, gk.AveragePooling(2), Convolution(3, 2), None, gk.Dense(2)
    ),
    "outputs at places": convolutional(
        (3, 4), 2, Convolution(4, 2, stride=(1, 2), padding=1, groups=2, border="circular"), None, Convolution(2, 1)
    ),
    "largest of windows": convolutional((6,), 1, Convolution(2, 2), None, gk.MaxPooling(2), Convolution(2, 1)),
    "recurrent, at every step": recurrent(None),
    "recurrent, after the last step": recurrent(None, at="last"),
    "sequences with lengths": recurrent(LENGTHS, initial="learned"),
    "sequences with lengths, after the last step": recurrent(LENGTHS, at="last", initial="learned"),
}
ORDERED = {"largest of windows"}
"""Those that run in floating point alone."""


# -- problems ----------------------------------------------------------------------------------------------------
@final
class DrawnExactly(OutputModel):
    """Unit Gaussians over any kind; covectors that are "sampled" are integers drawn, added to the outputs."""

    __slots__ = ("placed", "space")

    def __init__(self, placed: PlacedFamily) -> None:
        self.placed, self.space = placed, placed.space

    def loss(self, outputs: Any, targets: Any) -> Any:
        return self.placed.loss(outputs, targets)

    def differential(self, outputs: Any, targets: Any) -> Any:
        return self.placed.differential(outputs, targets)

    def fisher(self, outputs: Any) -> Any:
        return self.placed.fisher(outputs)

    def sampled(self, outputs: Any, draws: Any, first: int, samples: int) -> Any:
        ns, frame, (count,), m = outputs.namespace, self.placed.frame, outputs.batch_shape, self.space.dim
        numbers = np.floor(draws.uniform(first, count, samples * m) * 9) - 4
        noise = integer_array(ns, np.moveaxis(numbers.reshape(count, samples, m), 1, 0))
        rows = outputs.components_in(frame)[None, ...] + noise
        covectors: Any = self.space.direction.dual.from_components(frame.linear.dual, rows, ns)
        return gk.CovectorTensor(ns.ones((samples, count)), covectors, "drawn")


@final
@dataclass(frozen=True)
class Problem:
    """A network at weights, data for it, and a loss."""

    net: Network
    weights: Any
    iota: Any
    loss: Any
    X: Any
    y: Any
    shares: Any
    lengths: tuple[int, ...] | None

    @property
    def ns(self) -> Any:
        return self.weights.namespace

    @property
    def exact(self) -> bool:
        return bool(self.ns.kind.is_exact)

    def sample(self, start: int = 0, stop: int = COUNT) -> Sample:
        """Some of the data, numbered from 0."""
        rows, X, y, shares = slice(start, stop), self.X, self.y, self.shares
        lengths = None if self.lengths is None else self.lengths[rows]
        weights = None if shares is None else shares[rows]
        made: Sample = self.iota.sample(X[rows, ...], y[rows, ...], weights=weights, lengths=lengths)
        return made

    def numbered(self, start: int, stop: int) -> Sample:
        """Some of the data, with the numbers that they have among all: so that the same targets are drawn."""
        whole = self.sample()
        (chunk,) = whole.chunks()
        part = chunk.part(start, stop)
        return Sample(
            whole.space, lambda size: pieces_of_chunk(part, size), part.count, weights=part.weights,
            lengths=part.lengths,
        )  # fmt: skip

    def parts(self, sizes: tuple[int, ...], *, numbered: bool) -> list[Sample]:
        """The data in parts of these sizes."""
        ends = np.cumsum(sizes).tolist()
        make = self.numbered if numbered else self.sample
        return [make(end - size, end) for size, end in zip(sizes, ends, strict=True)]

    def batches(self, sizes: tuple[int, ...]) -> Sample:
        """The data streamed in batches of these sizes."""
        found = []
        for part in self.parts(sizes, numbered=False):
            (chunk,) = part.chunks()
            found.append((chunk.points.coordinates(self.iota), chunk.targets, chunk.weights))
        made: Sample = self.iota.sample([batch if batch[2] is not None else batch[:2] for batch in found])
        return made

    def mapped(self, folder: Path) -> Problem:
        """The same with its data in files."""
        found = []
        for name, array in (("X", self.X), ("y", self.y)):
            np.save(folder / f"{name}.npy", array)
            found.append(np.load(folder / f"{name}.npy", mmap_mode="r"))
        return replace(self, X=found[0], y=found[1])

    @property
    def places(self) -> int:
        """The most places at which a layer is applied."""
        grids = [getattr(stage, "grid", ()) for stage in getattr(self.net, "stages", ())]
        return max([getattr(self.net, "steps", 1), *map(math.prod, grids)])

    @property
    def allowed(self) -> float:
        """How far two ways of summing may be apart, in units of the largest sum of squares among the layers.

        A value is off by the roundings on its way, kappa of them, each at most epsilon times the largest value met,
        as no layer and no activation enlarges errors; so a sum of N products of two is off by
        ``2 kappa sqrt(N) epsilon`` of the largest sum of squares (Cauchy and Schwarz), and by ``N epsilon`` of it for
        the additions.  Both ways are off by so much.
        """
        kappa = sum(layer.domain.dim + layer.codomain.dim + 16 for layer in self.net.layers)
        kappa *= getattr(self.net, "steps", 1)
        terms = COUNT * self.places * self.net._output_entries
        return 2 * (terms + 2 * kappa * math.sqrt(terms)) * float(self.ns.epsilon)


def problem(name: str, arithmetic: str, *, weighted: bool, seed: int = 0) -> Problem:
    """A problem of an architecture; `arithmetic` is GF(p), or a family in floating point with a dtype."""
    exact, rng = arithmetic == "GF(p)", np.random.default_rng(seed)
    family, _, dtype = arithmetic.partition(", ")
    kind = FIELD if exact else gk.floating
    ns: Any = kind.default_namespace if exact else gk.namespace_of(np.zeros(1, dtype))
    net, iota, lengths = ARCHITECTURES[name](kind, polynomial(0, 1, 1) if exact else "tanh")

    def drawn(*shape: int) -> Any:
        return integer_array(ns, rng.integers(-3, 4, shape)) if exact else ns.cast_numpy(rng.standard_normal(shape))

    # In floating point of norm at most 1, but for a very rare draw: errors do not grow from layer to layer.
    parts = [drawn(*layer.slots) * (1 if exact else 0.5 / max(layer.slots)) for layer in net.layers]
    weights: Any = net.weight_space.from_coordinates(parts, iota)
    X, m = drawn(COUNT, *net.inputs.slots), net.outputs.dim
    if exact or family == "gaussian":
        y = drawn(COUNT, *net.output_places, m)
        placed = gk.Gaussian().on(iota)
    else:
        y, placed = rng.integers(0, m, (COUNT, *net.output_places)), gk.Categorical().on(iota)
    shares = integer_array(ns, rng.integers(1, 5, COUNT)) if weighted else None
    return Problem(net, weights, iota, DrawnExactly(placed) if exact else placed, X, y, shares, lengths)


# -- what is summed ----------------------------------------------------------------------------------------------
Run: TypeAlias = Callable[..., Any]
"""Makes moments of a sample, with what `Running` has."""


def moments_of(given: Problem, fisher: Any, sharing: Any) -> Run:
    """The moments of a sample, with the losses where the kind has these."""

    def run(sample: Sample, weights: Any = None, **running: Any) -> Any:
        return given.net.moments(
            given.weights if weights is None else weights, sample, given.loss, fisher=fisher, samples=2, seed=3,
            sharing=sharing, with_loss=not given.exact, **running,
        )  # fmt: skip

    return run


def of_losses(given: Problem) -> Run:
    """The mean loss, where the kind has one, and the differential."""

    def run(sample: Sample, **running: Any) -> Any:
        if given.exact:
            return given.net.differential(given.weights, sample, given.loss, **running)
        return given.net.loss_and_differential(given.weights, sample, given.loss, **running)

    return run


# -- ways of cutting ---------------------------------------------------------------------------------------------
class StoppedError(Exception):
    """A run that is interrupted."""


def in_chunks(size: int) -> Callable[[Problem, Run], Any]:
    return lambda given, run: run(given.sample(), chunk_size=size)


def by_threads(given: Problem, run: Run) -> Any:
    with ThreadPoolExecutor(3) as executor:
        return run(given.sample(), chunk_size=2, executor=executor)


def in_batches(*sizes: int) -> Callable[[Problem, Run], Any]:
    return lambda given, run: run(given.batches(sizes))


def from_files(given: Problem, run: Run) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return run(given.mapped(Path(folder)).sample(), chunk_size=3)


ALL: dict[str, Callable[[Problem, Run], Any]] = {
    "chunks of 1": in_chunks(1),
    "chunks of 4": in_chunks(4),
    "chunks of more than there are": in_chunks(COUNT + 5),
    "threads": by_threads,
    "batches": in_batches(3, 1, 2),
    "files": from_files,
}
"""Ways that are open to whatever is summed."""


def merged(*sizes: int, numbered: bool = True) -> Callable[[Problem, Run], Any]:
    def cut(given: Problem, run: Run) -> Any:
        first, *others = (run(part) for part in given.parts(sizes, numbered=numbered))
        for other in others:
            first = first + other
        return first

    return cut


def in_other_frames(given: Problem, run: Run) -> Any:
    """Two parts merged, of which one was made in other frames."""
    here, there = given.parts((2, 4), numbered=True)
    kappa = given.iota.random(np.random.default_rng(7))
    return run(here) + run(there.expressed_in(kappa), weights=given.weights.expressed_in(kappa))


def resumed(first: int, stop: int, then: int) -> Callable[[Problem, Run], Any]:
    """Interrupted after `stop` data in chunks of `first`, and gone on with in chunks of `then`."""

    def told(progress: Any) -> None:
        if progress.done >= stop:
            raise StoppedError

    def cut(given: Problem, run: Run) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            saved = Checkpoint(Path(folder) / "sums.npz", given.iota)
            with suppress(StoppedError):
                run(given.sample(), chunk_size=first, checkpoint=saved, progress=told)
            return run(given.sample(), chunk_size=then, checkpoint=saved)

    return cut


OF_MOMENTS: dict[str, Callable[[Problem, Run], Any]] = ALL | {
    "two parts merged": merged(4, 2),
    "parts of one datum merged": merged(*(1,) * COUNT),
    "parts numbered from 0 merged": merged(1, 3, 2, numbered=False),
    "parts in other frames merged": in_other_frames,
    "resumed": resumed(2, 3, 3),
}


def is_open(cutting: str, given: Problem, fisher: str = "exact") -> bool:
    """Batches have no lengths, files hold floating point, and the targets drawn go by the numbers of the data.

    Conversions round more than the bound knows of.
    """
    return not (
        (cutting == "batches" and given.lengths)
        or (cutting == "files" and given.exact)
        or (cutting == "parts in other frames merged" and not given.exact)
        or (cutting == "parts numbered from 0 merged" and fisher == "sampled")
    )
