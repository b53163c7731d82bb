"""Groups of changes of basis of one space: the table from which theorems, the audit and tests draw.

A member ``y_new = B y_old + c`` is written once, in numbers that it asks of `Numbers`.  So one line makes members over
any kind of scalar, members that condition well, members of few digits, and the Lie algebra: the derivatives by these
numbers at the identity.  What restricts a group are equations, so that tests can ask of any change whether it is one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from geomkfac.arrays import generator
from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.namespace import Namespace
from geomkfac.names import look_up
from geomkfac.theorems.engine.world import World

Change: TypeAlias = tuple[Array, Array]
"""A matrix B (n, n) and a shift c (n,)."""


# -- the numbers that members are made of ------------------------------------------------------------------------
class Numbers(ABC):
    """The numbers of which a member of a group is made.

    Attributes
    ----------
    ns : the namespace of the arrays
    rng : numpy.random.Generator
    """

    ns: Namespace
    rng: RandomSource

    @abstractmethod
    def array(self, *shape: int) -> Array:
        """Any numbers."""

    @abstractmethod
    def positive(self, *shape: int) -> Array:
        """Positive numbers, wherever that has a meaning."""

    @abstractmethod
    def invertible(self, n: int) -> Array:
        """An invertible matrix (n, n)."""

    def translation(self, n: int) -> Array:
        """A shift (n,), where nothing but that changes."""
        return self.array(n)

    def orthogonal(self, n: int) -> Array:
        """Cayley's transform ``(1 - S) (1 + S)^{-1}`` of a skew matrix S: rational, so that it runs over any field."""
        ns, free = self.ns, self.array(n, n)
        skew = (free - free.mT) / 2
        return (ns.eye(n) - skew) @ ns.inverse(ns.eye(n) + skew)

    def signs(self, n: int) -> Sequence[int]:
        """Numbers (n,) that are 1 or -1: one of each at least, where there are two."""
        rng = self.rng
        signs = rng.choice([-1, 1], n)
        signs[0] = -1
        if n > 1 and (signs < 0).all():
            signs[-1] = 1
        return [int(sign) for sign in rng.permutation(signs)]

    def order(self, n: int) -> Sequence[int]:
        """An order of n things: not a cyclic one, where there are others, as an update may go round."""
        rng, order = self.rng, tuple(range(n))
        cyclic = [(*order[start:], *order[:start]) for start in (order if n > 2 else (0,))]
        while n > 1 and order in cyclic:
            order = tuple(map(int, rng.permutation(n)))
        return order


@final
class NumbersOfWorld(Numbers):
    """What a world draws, over its kind of scalar."""

    def __init__(self, world: World) -> None:
        self._world, self.ns = world, world.ns

    @property
    def rng(self) -> RandomSource:
        """NumPy's, from an integer of the world's: that of a certificate draws nothing but integers."""
        return generator("group", int(self._world.rng.integers(0, 2**31)))

    def array(self, *shape: int) -> Array:
        return self._world.array(*shape)

    def positive(self, *shape: int) -> Array:
        return self._world.positive(*shape)

    def invertible(self, n: int) -> Array:
        return self._world.invertible(n)


# -- members -----------------------------------------------------------------------------------------------------
def _one(draw: Numbers, n: int) -> Array:
    return draw.ns.eye(n)


def _signs(draw: Numbers, n: int) -> Array:
    return draw.ns.eye(n) * draw.ns.stack([draw.ns.scalar(sign) for sign in draw.signs(n)])


def _permutation(draw: Numbers, n: int) -> Array:
    return draw.ns.take(draw.ns.eye(n), list(draw.order(n)), 0)


def _shear(draw: Numbers, n: int) -> Array:
    return draw.ns.eye(n) + _corner(draw.ns, n) * draw.array(1)


def _corner(ns: Namespace, n: int) -> Array:
    """1 in the second column of the first row, and zeros; zero for n = 1."""
    first = ns.eye(n)[:, :1]
    return first @ ns.eye(n)[1:2, :] if n > 1 else first * 0


def _scalar(draw: Numbers, n: int) -> Array:
    return draw.ns.eye(n) * draw.positive(1)


def _diagonal(draw: Numbers, n: int) -> Array:
    return draw.ns.eye(n) * draw.positive(n)


def _orthogonal(draw: Numbers, n: int) -> Array:
    return draw.orthogonal(n)


def _conformal(draw: Numbers, n: int) -> Array:
    return draw.orthogonal(n) * draw.positive(1)


def _any(draw: Numbers, n: int) -> Array:
    return draw.invertible(n)


def _shift(draw: Numbers, n: int) -> Array:
    return draw.array(n)


def _shift_alone(draw: Numbers, n: int) -> Array:
    return draw.translation(n)


# -- what restricts them -----------------------------------------------------------------------------------------
def _is_one(ns: Namespace, B: Array) -> Array:
    return B - ns.eye(B.shape[0])


def _is_shear(ns: Namespace, B: Array) -> Array:
    return _is_one(ns, B) - B * _corner(ns, B.shape[0])


def _is_scalar(ns: Namespace, B: Array) -> Array:
    return B - B[0, 0] * ns.eye(B.shape[0])


def _is_diagonal(ns: Namespace, B: Array) -> Array:
    return B - B * ns.eye(B.shape[0])


def _is_positive(ns: Namespace, B: Array) -> Array:
    """Of a diagonal matrix; asks nothing where numbers have no order."""
    return ns.zeros(B.shape) if ns.kind.is_exact else B - ns.ordered("positive numbers").abs(B)


def _is_zeros_and_ones(ns: Namespace, B: Array) -> Array:
    return B * B - B


def _is_orthogonal(ns: Namespace, B: Array) -> Array:
    return _is_one(ns, B @ B.mT)


def _is_conformal(ns: Namespace, B: Array) -> Array:
    return _is_scalar(ns, B @ B.mT)


# -- the table ---------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True, slots=True)
class BasisGroup:
    """A group of changes of basis of one space.

    Attributes
    ----------
    name : as shown
    words : its members ``y_new = B y_old + c``, in words
    matrix, shift : B (n, n) and c (n,) of a member, made of numbers that these functions ask for; None for no shift
    equations : functions of a namespace and B, whose arrays are zero for the matrices of members
    within : the next larger groups
    audited : whether optimizers are asked for it, at every place of a network
    """

    name: str
    words: str
    matrix: Callable[[Numbers, int], Array]
    shift: Callable[[Numbers, int], Array] | None
    equations: tuple[Callable[[Namespace, Array], Array], ...]
    within: tuple[str, ...]
    audited: bool = False

    def member(self, draw: Numbers, n: int) -> Change:
        """A member, in dimension n."""
        return self.matrix(draw, n), draw.ns.zeros((n,)) if self.shift is None else self.shift(draw, n)

    def residuals(self, ns: Namespace, change: Change) -> tuple[Array, ...]:
        """Arrays that are all zero if and only if a change is a member."""
        found = tuple(equation(ns, change[0]) for equation in self.equations)
        return (*found, change[1]) if self.shift is None else found


_GROUPS = (
    BasisGroup("fixed", "the identity alone", _one, None, (_is_one,),
               ("sign", "permutation", "shear", "scalar", "translation")),
    BasisGroup("sign", "B diagonal, of signs", _signs, None, (_is_diagonal, _is_orthogonal), ("orthogonal",), True),
    BasisGroup("permutation", "B a permutation", _permutation, None, (_is_zeros_and_ones, _is_orthogonal),
               ("orthogonal",), True),
    BasisGroup("shear", "B = 1 but for one number beside the diagonal", _shear, None, (_is_shear,), ("linear",)),
    BasisGroup("scalar", "B a positive number", _scalar, None, (_is_scalar, _is_positive),
               ("diagonal", "similarity"), True),
    BasisGroup("diagonal", "B diagonal and positive", _diagonal, None, (_is_diagonal, _is_positive),
               ("unit-wise affine", "linear"), True),
    BasisGroup("translation", "B = 1, and c", _one, _shift_alone, (_is_one,),
               ("unit-wise affine", "rigid"), True),
    BasisGroup("unit-wise affine", "B diagonal and positive, and c", _diagonal, _shift,
               (_is_diagonal, _is_positive), ("affine",), True),
    BasisGroup("orthogonal", "B orthogonal", _orthogonal, None, (_is_orthogonal,), ("rigid", "linear"), True),
    BasisGroup("rigid", "B orthogonal, and c", _orthogonal, _shift, (_is_orthogonal,), ("similarity",)),
    BasisGroup("similarity", "B orthogonal times a positive number, and c", _conformal, _shift,
               (_is_conformal,), ("affine",)),
    BasisGroup("linear", "any invertible B", _any, None, (), ("affine",)),
    BasisGroup("affine", "any invertible B, and c", _any, _shift, (), (), True),
)  # fmt: skip

GROUPS: Mapping[str, BasisGroup] = {group.name: group for group in _GROUPS}
"""By their names, smaller groups before larger ones."""


def random_change(world: World, group: str, n: int) -> Change:
    """A random member (B, c) of a group of changes ``y_new = B y + c``.

    Raises
    ------
    UnknownNameError : there is no such group.
    """
    return look_up("group of changes of basis", group, GROUPS).member(NumbersOfWorld(world), n)


def larger_groups(group: str) -> frozenset[str]:
    """The groups that contain a group properly."""
    above = GROUPS[group].within
    return frozenset(above).union(*map(larger_groups, above))
