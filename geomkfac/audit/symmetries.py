"""The infinitesimal symmetries of any optimizer's update: the Lie algebra of changes of basis that it does not see.

The first update of a random network is compared with that of its double in bases moved a little along one
generator, mapped back.  What of this is zero on several random networks at once is the algebra (GK-10); the rules
of `geomkfac.updates` are measured so, with generic activations, by `geomkfac.theorems.instances.lie_algebra`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from geomkfac.arrays import floating
from geomkfac.audit.contestants.choosing import contestant_of
from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.twins.groups import ChangeOfBasis
from geomkfac.audit.twins.problem import Problem, random_problem
from geomkfac.audit.twins.twin import Twin
from geomkfac.audit.verdicts.discrepancies import quiet
from geomkfac.errors import ConditioningError, ValuesError
from geomkfac.theorems.instances.basis_groups import GROUPS as OF_ONE_SPACE
from geomkfac.theorems.instances.basis_groups import Numbers
from geomkfac.theorems.instances.symmetry_condition import Generator, Symmetries, solved


def symmetries(
    optimizer: Any,
    *,
    rate: float | None = None,
    network: str = "fully connected",
    widths: Sequence[int] = (2, 3, 2),
    data: int = 60,
    instances: int = 4,
    seed: int = 0,
    device: str = "cpu",
) -> Symmetries:
    """The Lie algebra of the infinitesimal symmetries of an optimizer's first update.

    Parameters
    ----------
    optimizer, rate, network, widths, data, seed, device : as for `audit`
    instances : how many random networks must have a symmetry together; few of them have accidental ones, and
        fewer equations than unknowns

    Returns
    -------
    Symmetries: `dimension`, `generators` of the whole affine group (named by spaces), and a `basis`

    Raises
    ------
    UnauditableError : the update cannot be taken, or does not move.
    """
    if instances < 1:
        raise ValuesError(f"symmetries take one random network or more, not {instances}.")
    contestant = contestant_of(optimizer, rate, device)
    own = contestant.rate_of(rate)
    # Seeds of instances do not meet those of neighbouring calls.
    problems = [
        random_problem(network, widths=widths, data=data, seed=seed + 1000 * instance) for instance in range(instances)
    ]
    generators = tuple(
        Generator(str(space.name), row, column)
        for space in problems[0].iota for row in range(space.dim) for column in range(space.dim + 1)
    )  # fmt: skip
    each = [_on_problem(contestant, problem, own) for problem in problems]
    ns = floating.default_namespace.ordered("symmetries")
    return solved(ns, generators, lambda change: np.concatenate([moved(change) for moved in each]))


def _on_problem(contestant: Contestant, problem: Problem, rate: float) -> Callable[[Any], Any]:
    """The update in changed bases, mapped back, in units of its length."""
    here = Twin(problem, problem.iota)
    length = float(np.linalg.norm(_updated(contestant, here, rate) - _entries(problem, problem.weights)))
    if not 0 < length < np.inf:
        raise UnauditableError(f"{contestant.name} does not move at rate {rate:g}: its first update is {length}.")

    def moved(change: Any) -> Any:
        bases = problem.iota.change(_near_identity(problem, change))
        return _updated(contestant, Twin(problem, bases), rate) / length

    return moved


def _near_identity(problem: Problem, change: Any) -> dict[Any, tuple[Any, Any]]:
    """For every space that moves, the identity plus its part of a combination of generators."""
    moved = {}
    for space in problem.iota:
        n = space.dim
        block, change = change[: n * (n + 1)].reshape(n, n + 1), change[n * (n + 1) :]
        if block.any():
            moved[space] = np.eye(n) + block[:, :-1], block[:, -1]
    return moved


def _updated(contestant: Contestant, twin: Twin, rate: float) -> Any:
    with quiet():
        (after,) = contestant.run(twin, twin.start, rate=rate, steps=1)
    return _entries(twin.problem, twin.point(after))


def _entries(problem: Problem, weights: Any) -> Any:
    parts = weights.coordinates(problem.iota)
    return np.concatenate([np.asarray(part).ravel() for part in parts])


def contains(found: Symmetries, problem: Problem, group: ChangeOfBasis) -> bool | None:
    """Whether the Lie algebra of a group lies in an update's; None for groups that have none.

    Parameters
    ----------
    problem : of the architecture on which `found` was found, of the same widths

    Raises
    ------
    ConditioningError : errors are as large as what decides; see `Symmetries.has`.
    """
    rows = [
        np.array([block[one.row, one.column] if one.space == str(space.name) else 0.0 for one in found.generators])
        for space in problem.spaces_at(group.place)
        for block in _algebra(group.action, space.dim)
    ]
    if not rows:
        return None
    # All of them are asked: one that is seen decides, and one that cannot be told refuses where none is.
    refused: ConditioningError | None = None
    for row in rows:
        try:
            if not found.has(row):
                return False
        except ConditioningError as error:
            refused = error
    if refused is not None:
        raise refused
    return True


def _algebra(action: str, n: int) -> list[Any]:
    """Arrays (n, n + 1) that span the algebra of an action on one space: matrices, and shifts beside them."""
    found: list[Any] = []
    while action in OF_ONE_SPACE:
        numbers = _NextToTheIdentity(len(found))
        matrix, shift = OF_ONE_SPACE[action].member(numbers, n)
        if numbers.beyond >= 0:
            break
        found.append(np.column_stack([matrix - np.eye(n), shift]))
    return found


@final
class _NextToTheIdentity(Numbers):
    """The numbers of the identity, but for one that is larger by 1.  In each of them members are affine.

    Attributes
    ----------
    beyond : by how much its position exceeds those of the numbers asked for so far; negative where it was among them
    """

    ns = floating.default_namespace

    def __init__(self, position: int) -> None:
        self.beyond = position

    def _moved(self, start: Any, directions: Any) -> Any:
        at, self.beyond = self.beyond, self.beyond - len(directions)
        return start + directions[at] if 0 <= at < len(directions) else start

    def _entry_by_entry(self, start: Any) -> Any:
        return self._moved(start, np.eye(start.size).reshape(-1, *start.shape))

    def array(self, *shape: int) -> Any:
        return self._entry_by_entry(np.zeros(shape))

    def positive(self, *shape: int) -> Any:
        return self._entry_by_entry(np.ones(shape))

    def invertible(self, n: int) -> Any:
        return self._entry_by_entry(np.eye(n))

    def orthogonal(self, n: int) -> Any:
        entries = np.eye(n * n).reshape(n, n, n, n)
        return self._moved(np.eye(n), [entries[i, j] - entries[j, i] for i in range(n) for j in range(i)])

    def signs(self, n: int) -> list[int]:
        return [1] * n

    def order(self, n: int) -> list[int]:
        return list(range(n))
