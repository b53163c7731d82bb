"""Groups of changes of a network's parameters that leave its function alone, and the order between them.

Most are changes of basis of some of the network's spaces: a group of one space, of the table in
`geomkfac.theorems.instances.basis_groups`, at one kind of place.  The others change units and their activation
together, the scale of the loss, how parameters are stored, or are smooth and nonlinear.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.arrays import floating
from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.problem import Problem
from geomkfac.audit.twins.storage import STORAGES, Storage
from geomkfac.spaces import Parameterization
from geomkfac.theorems.instances.basis_groups import GROUPS as OF_ONE_SPACE
from geomkfac.theorems.instances.basis_groups import Numbers, larger_groups

SPREAD = 4.0
"""The largest stretch of a random basis; its condition number is at most this."""


@final
class _WellConditioned(Numbers):
    """Numbers of float64: bases of bounded condition, and changes well away from the identity."""

    ns = floating.default_namespace

    def __init__(self, rng: Any) -> None:
        self.rng = rng

    def array(self, *shape: int) -> Any:
        return self.rng.uniform(-0.5, 0.5, shape)

    def translation(self, n: int) -> Any:
        return self.rng.uniform(0.5, 1.0, n) * self.rng.choice([-1.0, 1.0], n)

    def positive(self, *shape: int) -> Any:
        return self.rng.uniform(1.5, 2.5, shape) if shape == (1,) else self._stretch(shape)

    def _stretch(self, shape: tuple[int, ...]) -> Any:
        return np.exp(self.rng.uniform(-0.5, 0.5, shape) * np.log(SPREAD))

    def orthogonal(self, n: int) -> Any:
        return np.linalg.qr(self.rng.standard_normal((n, n)))[0]

    def invertible(self, n: int) -> Any:
        return self.orthogonal(n) @ np.diag(self._stretch((n,))) @ self.orthogonal(n)


class Group(ABC):
    """A group, with a way to draw a member for a problem.

    Attributes
    ----------
    name : as shown
    activation : of the hidden units that a problem must have; None for any
    """

    __slots__ = ()

    name: str
    activation: str | None = None

    def unfit(self, problem: Problem) -> str:
        """Why this group does not act on a problem; empty where it does."""
        return ""

    def double(self, problem: Problem, rng: Any) -> Double:
        """The double that a random member makes.  A function of the generator's numbers and the problem alone."""
        return self.made_of(_WellConditioned(rng), problem)

    @abstractmethod
    def made_of(self, numbers: Numbers, problem: Problem) -> Double:
        """The double that a member makes."""


ACTIONS = (*(one.name for one in OF_ONE_SPACE.values() if one.audited and one.name != "affine"), "whitening", "affine")
"""Of changes of basis.  A whitening is one member of the affine group, the one that K-FAC's invariance is about."""

PLACES = ("input", "activation", "pre-activation", "output")


def larger_actions(action: str) -> frozenset[str]:
    """Those whose members make all that the members of an action make."""
    return frozenset({"affine"}) if action == "whitening" else larger_groups(action)


def contains(action: str, other: str) -> bool:
    """Whether members of one action make all those of another; a whitening, all that an affine change makes."""
    group = "affine" if action == "whitening" else action
    return group == other or group in larger_groups(other)


@final
@dataclass(frozen=True)
class ChangeOfBasis(Group):
    """An action on every space at one kind of place.

    Attributes
    ----------
    action : one of `ACTIONS`
    place : 'input', 'activation' (hidden ones), 'pre-activation' (hidden ones) or 'output'
    """

    action: str
    place: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """``activation translation``, ``pre-activation shift``, ..."""
        shifted = self.action == "translation" and self.place in ("pre-activation", "output")
        return f"{self.place} {'shift' if shifted else self.action}"

    def unfit(self, problem: Problem) -> str:
        return "" if problem.spaces_at(self.place) else f"this network has no {self.place}s"

    def made_of(self, numbers: Numbers, problem: Problem) -> Double:
        spaces, iota = problem.spaces_at(self.place), problem.iota
        if self.action == "whitening":
            white = problem.whitened()
            chosen = [(white if space in spaces else iota).base_frame(space) for space in iota]
            kappa = Parameterization(chosen, inputs=iota.inputs, outputs=iota.outputs, name="whitened")
        else:
            member = OF_ONE_SPACE[self.action].member
            kappa = iota.change({space: member(numbers, space.dim) for space in spaces}, name=self.name)
        return Double.in_frames(problem, kappa)


@final
@dataclass(frozen=True)
class OfUnits(Group):
    """Hidden units changed together with their activation, so that this stays the same function or another known one.

    Attributes
    ----------
    action : one of `OF_UNITS`: 'permutation'; 'sign', for odd activations; 'rescaling' (positive), for homogeneous
        ones; 'logistic to tanh', where one of the two is there
    """

    action: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """``unit permutation``, ..."""
        return self.action if " " in self.action else f"unit {self.action}"

    @property
    def activation(self) -> str | None:  # type: ignore[override]
        """The activation that a problem must have."""
        return "relu" if self.action == "rescaling" else None

    def unfit(self, problem: Problem) -> str:
        if not problem.units:
            return "this network has no hidden units"
        wanted = OF_UNITS[self.action].functions
        if wanted and any(unit.activation not in wanted for unit in problem.units):
            return f"it takes units of {' or '.join(wanted)}"
        return ""

    def made_of(self, numbers: Numbers, problem: Problem) -> Double:
        changes: dict[Any, tuple[Any, Any]] = {}
        for unit in problem.units:
            n = unit.before.dim
            if self.action == "logistic to tanh":
                # tanh(z) = 2 logistic(2 z) - 1.
                up = unit.activation == "tanh"
                changes[unit.before] = (np.eye(n) * (2.0 if up else 0.5), None)
                changes[unit.after] = (np.eye(n) * (0.5 if up else 2.0), np.full(n, 0.5 if up else -1.0))
            else:
                member = OF_ONE_SPACE[OF_UNITS[self.action].after].member
                changes[unit.before] = changes[unit.after] = member(numbers, n)
        return Double.in_frames(problem, problem.iota.change(changes, name=self.name))


@final
@dataclass(frozen=True, slots=True)
class UnitAction:
    """What a change of units is made of.

    Attributes
    ----------
    before, after : actions on pre-activations and on activations in which it lies
    functions : the activations that it takes; empty for any
    """

    before: str
    after: str
    functions: tuple[str, ...] = ()


OF_UNITS: Mapping[str, UnitAction] = {
    "permutation": UnitAction("permutation", "permutation"),
    "sign": UnitAction("sign", "sign", ("tanh", "identity")),
    "rescaling": UnitAction("diagonal", "diagonal", ("relu", "identity")),
    "logistic to tanh": UnitAction("scalar", "unit-wise affine", ("tanh", "logistic")),
}
"""Changes of units, by their names; but for the last one, a member of one group, on both sides of the activation."""


@final
@dataclass(frozen=True)
class LossScale(Group):
    """The loss multiplied by a positive number."""

    name: str = "loss scale"
    factor: float = 3.0

    def made_of(self, numbers: Numbers, problem: Problem) -> Double:
        return Double(problem.iota, loss_scale=self.factor)


@final
@dataclass(frozen=True)
class Stored(Group):
    """The same weights, laid out otherwise in the optimizer's parameters; or a nonlinear function of these.

    Attributes
    ----------
    storage : the layout
    """

    storage: Storage

    @property
    def name(self) -> str:  # type: ignore[override]
        """The layout's."""
        return self.storage.name

    def made_of(self, numbers: Numbers, problem: Problem) -> Double:
        return Double(problem.iota, storage=self.storage)


GROUPS: tuple[Group, ...] = (
    *(ChangeOfBasis(action, place) for action in ACTIONS for place in PLACES),
    *map(OfUnits, OF_UNITS),
    LossScale(),
    *map(Stored, STORAGES),
)
"""The groups that are audited."""


def subgroups(names: Collection[str] | None = None) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The order of the groups, by their names.

    Parameters
    ----------
    names : of some of them, between which alone the order is asked for; None for all

    Returns
    -------
    {name: groups above}: each group above is a tuple of names, whose *joint* invariance implies this one's.  One
    name where this is a subgroup of one group; two where it needs both.
    """
    known = {group.name: group for group in GROUPS if names is None or group.name in names}
    bases = [group for group in known.values() if isinstance(group, ChangeOfBasis)]
    order: dict[str, tuple[tuple[str, ...], ...]] = {}
    for name, group in known.items():
        order[name] = ()
        if isinstance(group, ChangeOfBasis):
            above = [one for one in bases if one.place == group.place and one.action in larger_actions(group.action)]
            beyond = frozenset().union(*(larger_actions(one.action) for one in above))
            order[name] = tuple((one.name,) for one in above if one.action not in beyond)
        elif isinstance(group, OfUnits):
            parts = OF_UNITS[group.action]
            both = ChangeOfBasis(parts.after, "activation").name, ChangeOfBasis(parts.before, "pre-activation").name
            order[name] = (both,) if known.keys() >= set(both) else ()
    return order
