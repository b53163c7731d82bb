"""The smallest counterexample to an invariance: a network that one can type in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.arrays import floating
from geomkfac.audit.auditing import chosen_groups
from geomkfac.audit.contestants.choosing import contestant_of
from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.groups import Group, Stored
from geomkfac.audit.twins.problem import Problem
from geomkfac.audit.verdicts.discrepancies import LOST, Discrepancies, quiet
from geomkfac.audit.verdicts.judging import judged
from geomkfac.audit.verdicts.on_network import PLAIN_ACTIVATION
from geomkfac.metrics import Bernoulli
from geomkfac.networks import MLP
from geomkfac.theorems.instances.basis_groups import Numbers

SHAPES = (((1, 1), 1), ((1, 1), 2), ((2, 1), 2), ((1, 2), 2), ((1, 1, 1), 1), ((1, 1, 1), 3), ((2, 1), 4), ((1, 2), 3),
          ((2, 2), 4), ((1, 2, 1), 3), ((2, 2, 1), 4), ((2, 2, 2), 5))  # fmt: skip
"""Widths and numbers of data, small ones first."""
TRIES = 4
VISIBLE = 1e-3
"""A discrepancy relative to the movement that shows in few digits; smaller ones are taken where there is no other."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Counterexample:
    """A small network and its double, which compute one function, and two functions after some steps.

    Attributes
    ----------
    optimizer, group : names
    rate, steps : of the run
    activation : of the hidden units; outputs are logits of probabilities
    weights, biases : lists of arrays (m, n) and (m,)
    X, y : the data
    changes : {name of a space: (B, c)}, ``y_new = B y + c``
    double_weights, double_biases, double_X : the double's
    remark : what else is different there, such as the scale of its loss
    probe : an input, and its coordinates in the double
    before, here, there : what the two predict for the probe: before, and after the steps
    """

    optimizer: str
    group: str
    rate: float
    steps: int
    activation: str
    weights: tuple[Any, ...]
    biases: tuple[Any, ...]
    X: Any
    y: Any
    changes: Mapping[str, tuple[Any, Any]]
    double_weights: tuple[Any, ...]
    double_biases: tuple[Any, ...]
    double_X: Any
    remark: str
    probe: Any
    before: Any
    here: Any
    there: Any

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        hidden = f", {self.activation} units" if len(self.weights) > 1 else ""
        widths = "-".join(str(n) for n in (self.X.shape[1], *(len(b) for b in self.biases)))
        yield f"a network {widths}{hidden}, logits of probabilities; {self.optimizer}, learning rate {self.rate:g}"
        yield from _arrays(self.weights, self.biases, self.X, "")
        yield f"  y  = {_text(self.y)}"
        for space, (matrix, shift) in self.changes.items():
            yield f"  change of {space}: y' = {_text(matrix)} y + {_text(shift)}"
        if self.remark:
            yield f"  {self.remark}"
        else:
            yield "its double"
            yield from _arrays(self.double_weights, self.double_biases, self.double_X, "'")
        after = "1 step" if self.steps == 1 else f"{self.steps} steps"
        yield f"both predict {_text(self.before)} at x = {_text(self.probe)}; after {after}"
        digits = 10 if np.abs(self.here - self.there).max() > 1e-9 else 16
        yield f"  the network  {_text(self.here, digits)}"
        yield f"  its double   {_text(self.there, digits)}"


def _arrays(weights: tuple[Any, ...], biases: tuple[Any, ...], X: Any, mark: str) -> Iterator[str]:
    for index, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        yield f"  W{index}{mark} = {_text(W)}   b{index}{mark} = {_text(b)}"
    yield f"  X{mark}  = {_text(X)}"


def _text(array: Any, digits: int = 6) -> str:
    return np.array2string(np.asarray(array), precision=digits, separator=", ", floatmode="maxprec").replace("\n", "")


def counterexample(
    optimizer: Any, group: str, *, rate: float | None = None, steps: int = 10, seed: int = 0, device: str = "cpu"
) -> Counterexample | None:
    """The smallest network found on which an optimizer is not invariant to a group; None where none was found.

    Networks are tried from one input, one output and one datum on, with weights that are multiples of a half and
    members of the group with few digits; each with one step, and then with `steps`.

    Parameters
    ----------
    optimizer, rate, device : as for `audit`
    group : name of a change of basis, of a group of units, or 'loss scale'
    """
    (wanted,) = chosen_groups([group])
    # Layouts have no numbers, and a whitening has too many digits.
    if isinstance(wanted, Stored) or getattr(wanted, "action", "") == "whitening":
        return None
    contestant = contestant_of(optimizer, rate, device)
    own = contestant.rate_of(rate)
    faint: Counterexample | None = None
    for count in (1, steps):
        for widths, data in SHAPES:
            for attempt in range(TRIES):
                found = _tried(contestant, wanted, own, count, widths, data, seed + attempt)
                if found is None:
                    continue
                if found[1] > VISIBLE:
                    return found[0]
                faint = faint or found[0]
    return faint


def _tried(
    contestant: Contestant, group: Group, rate: float, steps: int, widths: tuple[int, ...], data: int, seed: int
) -> tuple[Counterexample, float] | None:
    problem = _small(widths, data, seed, group.activation or PLAIN_ACTIVATION)
    if group.unfit(problem):
        return None
    double = group.made_of(_FewDigits(), problem)
    if double.is_trivial(problem):
        return None
    try:
        finding = judged(Discrepancies(contestant, problem, rate, steps), group, double)
    except (UnauditableError, *LOST):
        return None
    gap = finding.first if steps == 1 else finding.last
    # What falls with the rate is no counterexample; nor is what float32 would amplify.
    if finding.verdict != "broken" or not np.isfinite(gap) or gap <= finding.floor:
        return None
    return _shown(contestant, group, problem, double, rate, steps), gap


def _small(widths: tuple[int, ...], data: int, seed: int, activation: str) -> Problem:
    """Weights that are multiples of a half, whole inputs, targets 0 and 1."""
    rng = np.random.default_rng([seed, data, *widths])
    net, iota = MLP.from_widths(widths, activation)
    halves = [
        (rng.integers(1, 4, (m, n + 1)) * rng.choice([-1, 1], (m, n + 1))) / 2
        for m, n in zip(widths[1:], widths[:-1], strict=True)
    ]
    weights = net.weight_space.from_coordinates(halves, iota)
    inputs = rng.permutation(np.array([[i // 4, i % 4] for i in range(16)]) - 1.0)[:data, : widths[0]]
    inputs = inputs + (np.abs(inputs).sum(axis=1, keepdims=True) == 0)
    targets = rng.integers(0, 2, (data, widths[-1])).astype(float)
    return Problem("small", net, weights, iota, inputs, targets, inputs, Bernoulli())


@final
class _FewDigits(Numbers):
    """Numbers that one can type in."""

    ns = floating.default_namespace

    def array(self, *shape: int) -> Any:
        return np.ones(shape)

    def positive(self, *shape: int) -> Any:
        return np.where(np.arange(math.prod(shape)) % 2 == 0, 2.0, 1.0).reshape(shape)

    def invertible(self, n: int) -> Any:
        return np.diag(self.positive(n)) + np.eye(n, k=1)

    def orthogonal(self, n: int) -> Any:
        turn = np.eye(n)
        if n > 1:
            turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
        return turn

    def signs(self, n: int) -> list[int]:
        return [-1] * n

    def order(self, n: int) -> list[int]:
        return [n - 1, *range(n - 1)]


def _shown(
    contestant: Contestant, group: Group, problem: Problem, double: Double, rate: float, steps: int
) -> Counterexample:
    here, there = Double(problem.iota).twin(problem), double.twin(problem)
    with quiet():
        one, two = (contestant.run(twin, twin.start, rate=rate, steps=steps)[-1] for twin in (here, there))
        before, after, other = here.predictions(here.start), here.predictions(one), there.predictions(two)
    # The datum at which the two differ most.
    at = int(np.argmax(np.abs(after - other).sum(axis=1)))
    remark = f"its double: the same, with its loss times {double.loss_scale:g}" if double.loss_scale != 1 else ""
    return Counterexample(
        contestant.name, group.name, rate, steps, problem.units[0].activation if problem.units else "",
        tuple(W for W, _ in here.start), tuple(b for _, b in here.start), problem.inputs, problem.targets,
        {str(space.name): pair for space, pair in double.changes(problem).items()},
        tuple(W for W, _ in there.start), tuple(b for _, b in there.start), there.inputs, remark,
        problem.inputs[at], before[at], after[at], other[at],
    )  # fmt: skip
