"""Groups of changes of a network's parameters that leave its function alone, and the order between them.

Most are changes of basis of some of the network's spaces: an action on one kind of place.  The others change
units and their activation together, the scale of the loss, how parameters are stored, or are smooth and
nonlinear.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.audit.problem import Problem
from geomkfac.audit.storage import PLAIN, STORAGES, Storage
from geomkfac.spaces import Parameterization

SPREAD = 4.0
"""The largest stretch of a random basis; its condition number is at most this."""

Pair = tuple[Any, Any]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Double:
    """How a network's double is written down.

    Attributes
    ----------
    parameterization : the frames of its weights, inputs and outputs
    condition : of the change of basis from the problem's frames, the largest of one space, the homogeneous coordinate
        included
    storage : how its weights lie in parameters
    loss_scale : its loss is multiplied by this
    """

    parameterization: Parameterization
    condition: float = 1.0
    storage: Storage = PLAIN
    loss_scale: float = 1.0

    def is_trivial(self, problem: Problem) -> bool:
        """Whether it is the problem itself, so that every optimizer would pass."""
        changes = (
            self.parameterization.base_frame(space).change_from(problem.iota.base_frame(space))
            for space in problem.iota
        )
        same = all(np.array_equal(matrix, np.eye(len(shift))) and not shift.any() for matrix, shift in changes)
        return same and self.storage is PLAIN and self.loss_scale == 1


class Group(ABC):
    """A group, with a way to draw a member for a problem.

    Attributes
    ----------
    name : as shown
    """

    __slots__ = ()

    name: str

    def unfit(self, problem: Problem) -> str:
        """Why this group does not act on a problem; empty where it does."""
        return ""

    @abstractmethod
    def double(self, problem: Problem, rng: Any) -> Double:
        """The double that a random member makes.  A function of the generator's numbers and the problem alone."""


def _translation(n: int, rng: Any) -> Pair:
    return None, rng.uniform(0.5, 1.0, n) * rng.choice([-1.0, 1.0], n)


def _sign(n: int, rng: Any) -> Pair:
    signs = rng.choice([-1.0, 1.0], n)
    # Neither all nor none, where there are two.
    signs[0] = -1.0
    if n > 1 and (signs < 0).all():
        signs[-1] = 1.0
    return np.diag(rng.permutation(signs)), None


def _permutation(n: int, rng: Any) -> Pair:
    # Not a cyclic one, where there are others: an update may go round.
    cyclic = {tuple(np.roll(np.arange(n), k)) for k in range(n if n > 2 else 1)}
    order = rng.permutation(n)
    while n > 1 and tuple(order) in cyclic:
        order = rng.permutation(n)
    return np.eye(n)[order], None


def _scalar(n: int, rng: Any) -> Pair:
    return np.eye(n) * rng.uniform(1.5, 2.5), None


def _stretch(n: int, rng: Any) -> Any:
    return np.exp(rng.uniform(-0.5, 0.5, n) * np.log(SPREAD))


def _diagonal(n: int, rng: Any) -> Pair:
    return np.diag(_stretch(n, rng)), None


def _unitwise(n: int, rng: Any) -> Pair:
    return np.diag(_stretch(n, rng)), rng.uniform(-0.5, 0.5, n)


def _turn(n: int, rng: Any) -> Any:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def _orthogonal(n: int, rng: Any) -> Pair:
    return _turn(n, rng), None


def _affine(n: int, rng: Any) -> Pair:
    return _turn(n, rng) @ np.diag(_stretch(n, rng)) @ _turn(n, rng), rng.uniform(-0.5, 0.5, n)


ACTIONS: Mapping[str, Callable[[int, Any], Pair]] = {
    "translation": _translation,
    "sign": _sign,
    "permutation": _permutation,
    "scalar": _scalar,
    "diagonal": _diagonal,
    "unit-wise affine": _unitwise,
    "orthogonal": _orthogonal,
    "affine": _affine,
}
"""Members ``y_new = B y_old + c`` of the groups of one space, (B, c); None for what stays."""

BELOW: Mapping[str, tuple[str, ...]] = {
    "sign": ("orthogonal",),
    "permutation": ("orthogonal",),
    "scalar": ("diagonal",),
    "diagonal": ("unit-wise affine",),
    "translation": ("unit-wise affine",),
    "unit-wise affine": ("affine",),
    "orthogonal": ("affine",),
    "whitening": ("affine",),
    "affine": (),
}
"""The next larger groups.  A whitening is one member of the affine group, the one that K-FAC's invariance is about."""

PLACES = ("input", "activation", "pre-activation", "output")


def _condition(problem: Problem, kappa: Parameterization) -> float:
    found = 1.0
    for space in problem.iota:
        matrix, shift = kappa.base_frame(space).change_from(problem.iota.base_frame(space))
        n = space.dim
        whole = np.eye(n + 1)
        whole[:n, :n], whole[:n, n] = matrix, shift
        found = max(found, float(np.linalg.cond(whole)))
    return found


@final
@dataclass(frozen=True)
class ChangeOfBasis(Group):
    """An action on every space at one kind of place.

    Attributes
    ----------
    action : a name of `ACTIONS`, or 'whitening'
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

    def double(self, problem: Problem, rng: Any) -> Double:
        spaces = problem.spaces_at(self.place)
        if self.action == "whitening":
            white = problem.whitened()
            chosen = [
                white.base_frame(space) if space in spaces else problem.iota.base_frame(space) for space in problem.iota
            ]
            kappa = Parameterization(
                chosen, inputs=problem.iota.inputs, outputs=problem.iota.outputs, name="whitened"
            )
        else:
            draw = ACTIONS[self.action]
            kappa = problem.iota.change({space: draw(space.dim, rng) for space in spaces}, name=self.name)
        return Double(kappa, _condition(problem, kappa))


@final
@dataclass(frozen=True)
class OfUnits(Group):
    """Hidden units changed together with their activation, so that this stays the same function or another known one.

    Attributes
    ----------
    action : 'permutation'; 'sign', for odd activations; 'rescaling' (positive), for homogeneous ones; 'logistic to
        tanh', where one of the two is there
    """

    action: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """``unit permutation``, ..."""
        return self.action if " " in self.action else f"unit {self.action}"

    @property
    def activation(self) -> str | None:
        """The activation that a problem must have."""
        return "relu" if self.action == "rescaling" else None

    def unfit(self, problem: Problem) -> str:
        needs = {
            "sign": ("tanh", "identity"),
            "rescaling": ("relu", "identity"),
            "logistic to tanh": ("tanh", "logistic"),
        }
        if not problem.units:
            return "this network has no hidden units"
        wanted = needs.get(self.action)
        if wanted is not None and any(unit.activation not in wanted for unit in problem.units):
            return f"it takes units of {' or '.join(wanted)}"
        return ""

    def double(self, problem: Problem, rng: Any) -> Double:
        changes: dict[Any, Pair] = {}
        for unit in problem.units:
            n = unit.before.dim
            if self.action == "logistic to tanh":
                # tanh(z) = 2 logistic(2 z) - 1.
                up = unit.activation == "tanh"
                changes[unit.before] = (np.eye(n) * (2.0 if up else 0.5), None)
                changes[unit.after] = (np.eye(n) * (0.5 if up else 2.0), np.full(n, 0.5 if up else -1.0))
                continue
            pair = ACTIONS["diagonal" if self.action == "rescaling" else self.action](n, rng)
            changes[unit.before] = changes[unit.after] = pair
        kappa = problem.iota.change(changes, name=self.name)
        return Double(kappa, _condition(problem, kappa))


@final
@dataclass(frozen=True)
class LossScale(Group):
    """The loss multiplied by a positive number."""

    name: str = "loss scale"
    factor: float = 3.0

    def double(self, problem: Problem, rng: Any) -> Double:
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

    def double(self, problem: Problem, rng: Any) -> Double:
        return Double(problem.iota, storage=self.storage)


GROUPS: tuple[Group, ...] = (
    *(ChangeOfBasis(action, place) for action in BELOW for place in PLACES),
    *(OfUnits(action) for action in ("permutation", "sign", "rescaling", "logistic to tanh")),
    LossScale(),
    *(Stored(storage) for storage in STORAGES),
)
"""The groups that are audited."""

OF_UNITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "permutation": (("permutation", "activation"), ("permutation", "pre-activation")),
    "sign": (("sign", "activation"), ("sign", "pre-activation")),
    "rescaling": (("diagonal", "activation"), ("diagonal", "pre-activation")),
    "logistic to tanh": (("unit-wise affine", "activation"), ("scalar", "pre-activation")),
}


def subgroups() -> dict[str, tuple[tuple[str, ...], ...]]:
    """The order of the groups, by their names.

    Returns
    -------
    {name: groups above}: each group above is a tuple of names, whose *joint* invariance implies this one's.  One
    name where this is a subgroup of one group; two where it needs both.
    """
    named = {(one.action, one.place): one.name for one in GROUPS if isinstance(one, ChangeOfBasis)}
    order: dict[str, tuple[tuple[str, ...], ...]] = {}
    for group in GROUPS:
        if isinstance(group, ChangeOfBasis):
            order[group.name] = tuple((named[above, group.place],) for above in BELOW[group.action])
        elif isinstance(group, OfUnits):
            order[group.name] = (tuple(named[pair] for pair in OF_UNITS[group.action]),)
        else:
            order[group.name] = ()
    return order
