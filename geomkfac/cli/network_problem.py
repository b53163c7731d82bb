"""What `factors` and `step` compute with: a network with its data, how its metric is measured, and a basis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, final

from geomkfac.arrays import generator
from geomkfac.cli import options
from geomkfac.cli.how_to_run import HowToRun
from geomkfac.errors import DegenerateMetricError, ValuesError
from geomkfac.interop import Checkpoint
from geomkfac.metrics import DirectSumTensor, PlacedFamily
from geomkfac.metrics.families.output_family import Fisher
from geomkfac.names import look_up
from geomkfac.networks import MLP, ConvolutionalNetwork, KfacMoments, RecurrentNetwork
from geomkfac.spaces import Euclidean, Parameterization, Point, Sample, Vector

BASES = ("given", "centered", "whitened", "random")
FISHERS: dict[str, Fisher] = {"exact": "exact", "sampled": "sampled", "empirical": "empirical"}


@final
@dataclass(frozen=True, slots=True, eq=False)
class NetworkProblem:
    """A network with its weights and data, in the coordinates in which they came."""

    net: MLP | ConvolutionalNetwork | RecurrentNetwork
    weights: Point
    given: Parameterization
    data: Sample
    loss: PlacedFamily

    def stored_in(self, chosen: Parameterization) -> NetworkProblem:
        """The same problem, weights and data stored in another basis, so that all runs there."""
        weights, data = self.weights.expressed_in(chosen), self.data.expressed_in(chosen)
        return NetworkProblem(self.net, weights, self.given, data, self.loss)

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
@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How a K-FAC metric is to be measured: the options --fisher, --samples and --seed, and how data are gone through.

    Raises
    ------
    UnknownNameError, ValuesError : an option makes no sense, or contradicts another.
    """

    fisher: Annotated[str, options.FISHER] = "exact"
    samples: Annotated[int | None, options.SAMPLES] = None
    seed: Annotated[int, options.SEED] = 0
    how: HowToRun

    def __post_init__(self) -> None:
        kind = look_up("--fisher", self.fisher, FISHERS)
        if self.samples is not None and kind != "sampled":
            raise ValuesError(
                f"--samples goes with --fisher sampled alone.\n  required: --fisher sampled, or no --samples\n"
                f"  came    : --fisher {self.fisher} --samples {self.samples}\nLeave one of them out."
            )
        for name, value, least in (("--samples", self.samples, 1), ("--seed", self.seed, 0)):
            if value is not None and value < least:
                raise ValuesError(
                    f"{name} must be {'positive' if least else 'nonnegative'}.\n"
                    f"  required: an integer, {least} or more\n  came    : {value}\nThe default is a good choice."
                )

    @property
    def drawn(self) -> int | None:
        """How many targets are drawn for each datum; None where none are."""
        return (self.samples or 1) if self.fisher == "sampled" else None

    def moments(self, problem: NetworkProblem, state: str | None = None) -> KfacMoments:
        """The moments and the loss of the problem, with a progress bar; saved on the way in the file `state`."""
        checkpoint = None if state is None else Checkpoint(state, problem.given)
        with self.how.running("metric", problem.data.count) as running:
            return problem.net.moments(
                problem.weights,
                problem.data,
                problem.loss,
                fisher=FISHERS[self.fisher],
                samples=self.drawn or 1,
                seed=self.seed,
                with_loss=True,
                checkpoint=checkpoint,
                **running,
            )

    def metric(self, problem: NetworkProblem) -> DirectSumTensor:
        """The K-FAC metric of the problem."""
        return self.moments(problem).metric()


def basis(
    name: str, problem: NetworkProblem, norm: Euclidean | None, how: Measurement, metric: DirectSumTensor | None = None
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
