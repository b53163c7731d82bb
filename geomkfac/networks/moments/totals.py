"""Sums that grow chunk by chunk, and are added to the sums over other data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self, TypeAlias, final

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ValuesError
from geomkfac.networks.moments.reference import Reference
from geomkfac.spaces import Frame
from geomkfac.spaces.samples.rounding import Doubt


@final
class Total:
    """One sum, which grows in place where its arrays allow it.

    It is of twice the precision of what is added; where the library has no such numbers, what each addition rounds is
    summed beside it.

    Parameters
    ----------
    value : the sum, in the wide namespace of what is added; None of nothing.  A sum of lists is their concatenation
    terms : how many products were summed for an entry of it
    """

    __slots__ = ("_narrow", "_rounded", "_sum", "terms")

    def __init__(self, value: Array = None, terms: int = 0) -> None:
        self._sum, self._rounded, self.terms = value, None, terms
        self._narrow = value is not None and _is_narrow(namespace_of(value))

    @property
    def value(self) -> Array:
        return self._sum if self._rounded is None else self._sum + self._rounded

    def add(self, part: Array, terms: int = 0) -> None:
        """Add what nobody else holds: it may become the sum itself."""
        self.terms += terms
        if self._sum is None:
            self._sum = part
            if not isinstance(part, list):
                ns = namespace_of(part)
                self._narrow = _is_narrow(ns)
                if ns.wide is not ns:
                    self._sum = ns.wide.cast(part)
        elif not self._narrow:
            self._sum += part
        else:
            # Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
            total = self._sum + part
            there = total - self._sum
            lost = (self._sum - (total - there)) + (part - there)
            self._sum, self._rounded = total, lost if self._rounded is None else self._rounded + lost

    def absorb(self, other: Total) -> None:
        """Add the sum over other data, which is lost."""
        if other.value is not None:
            self.add(other.value, other.terms)


def _is_narrow(ns: Namespace) -> bool:
    """Whether numbers have few digits, and none have more."""
    return ns.wide is ns and ns.epsilon > 1e-10


Chosen: TypeAlias = tuple[bytes, list[Frame], tuple[Reference, ...]]
"""The data, in short, and the frames of the layers for which references were chosen, and these."""


class Sums(ABC):
    """What is summed in one pass over data.

    Attributes
    ----------
    weight : of the weights w of the data
    loss : of w L; of nothing where it is not asked for
    references : where the sums of every layer are taken; None where none was chosen yet, or none is needed
    chosen : what chose them, and the references; None where these came from elsewhere
    doubt : the space of the data, and the coordinate of them that second moments see least of; None where they see all
    """

    __slots__ = ("chosen", "doubt", "loss", "references", "weight")

    def __init__(self) -> None:
        self.weight, self.loss = Total(), Total()
        self.references: tuple[Reference, ...] | None = None
        self.chosen: Chosen | None = None
        self.doubt: tuple[Any, Doubt] | None = None

    def reference(self, index: int) -> Reference:
        """Where the sums of one layer are taken."""
        if self.references is None:
            raise RuntimeError("a reference is chosen before data are added")
        return self.references[index]

    def doubt_of(self, space: Any, doubt: Doubt | None) -> None:
        """Take note of a doubt about data of a space."""
        if doubt is not None and (self.doubt is None or doubt.seen < self.doubt[1].seen):
            self.doubt = space, doubt

    @property
    @abstractmethod
    def more(self) -> list[Total]:
        """The totals beside these two, in an order of their own."""

    def mean(self, total: Total) -> Array:
        """One of the totals, divided by the weight of the data."""
        return total.value / nonzero(self.weight.value)

    def absorb(self, others: Self) -> None:
        """Add the sums over other data, which are lost; they are taken about the same points."""
        theirs = (others.weight, others.loss, *others.more)
        for mine, other in zip((self.weight, self.loss, *self.more), theirs, strict=True):
            mine.absorb(other)
        if others.doubt is not None:
            self.doubt_of(*others.doubt)


def nonzero(weight: Array) -> Array:
    """The total weight of the data, refused where it is zero."""
    if namespace_of(weight).is_zero(weight):
        raise ValuesError("the weights of the data sum to zero; there is no mean.\nGive some datum a positive weight.")
    return weight
