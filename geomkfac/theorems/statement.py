"""What a statement of the ledger is: words, formulas, and checks that could have failed.

A *check* is one piece of readable mathematics: a function that builds a random instance in a `World`
and yields comparisons, ``same(name, left, right)``.  The same function runs over GF(p), over a kind
that computes the probability of error, over Q, and in floating point; and once more for every
*mutant*, with a named fault planted in the construction, where it must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

if TYPE_CHECKING:
    from geomkfac.theorems.world import World

__all__ = [
    "GRADES",
    "Check",
    "Comparison",
    "Comparisons",
    "Evidence",
    "Grade",
    "Identity",
    "Mutant",
    "Over",
    "Sizes",
    "Statement",
    "given",
    "same",
]

Grade = Literal["X", "N", "C", "S", "M"]
Over = Literal["GF(p)", "Q", "floating"]

GRADES: Mapping[str, str] = {
    "X": "exact",
    "N": "numeric",
    "C": "counterexample",
    "S": "symbolic",
    "M": "mutant",
}
"""What the letters stand for.  A mutant is no grade of the ledger; its evidence is reported beside."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two sides that must agree.

    Attributes
    ----------
    name : what is compared, in words
    left, right : arrays, numbers, or sequences of these, of the same structure
    premise : whether it must hold even where the claim is expected to fail (counterexamples)
    """

    name: str
    left: Any
    right: Any
    premise: bool = False


Comparisons: TypeAlias = Iterator[Comparison]


def same(name: str, left: Any, right: Any, frame: Any = None) -> Comparison:
    """The claim that two sides agree; of geometric objects, their coordinates in `frame`."""
    if frame is None:
        return Comparison(name, left, right)
    return Comparison(name, left.coordinates(frame), right.coordinates(frame))


def given(name: str, left: Any, right: Any, frame: Any = None) -> Comparison:
    """A premise: what must agree in a counterexample too, so that it fails for the right reason."""
    claim = same(name, left, right, frame)
    return Comparison(name, claim.left, claim.right, premise=True)


@final
@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a random instance.

    Parameters
    ----------
    widths : dimensions of the layers (n_0, ..., n_L), or of the spaces that occur
    data : N, the number of data
    covectors : K, the number of covectors of the output metric at each datum
    steps : how many updates follow each other
    extra : other sizes by name (locations, times, ...)
    """

    widths: tuple[int, ...]
    data: int = 1
    covectors: int = 1
    steps: int = 1
    extra: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        parts = ["-".join(map(str, self.widths)), f"{self.data} data", f"{self.covectors} covectors"]
        parts += [f"{self.steps} steps"] if self.steps > 1 else []
        return ", ".join([*parts, *(f"{value} {name}" for name, value in self.extra)])

    def __getitem__(self, name: str) -> int:
        return dict(self.extra)[name]


Identity: TypeAlias = Callable[["World"], Comparisons]
"""One piece of mathematics: builds a random instance in a world, and yields what must agree there."""


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One executable check of a statement.

    Parameters
    ----------
    grade : 'X' (must hold exactly), 'N' (must hold up to rounding), 'C' (must FAIL)
    name : what it checks, in a few words; unique in its statement for its grade
    identity : the mathematics
    sizes : instances from small to large; the last one is run, the others serve to shrink a failure
    over : the scalars
    drops : a hypothesis or term that a counterexample drops: planted as a fault
    condition_power : round-off grows with this power of the condition number of a basis
    decides : whether a failure over GF(p) proves the statement false; not so with a hypothesis of
        order or rank
    """

    grade: Grade
    name: str
    identity: Identity
    sizes: tuple[Sizes, ...]
    over: Over
    drops: str | None = None
    condition_power: int = 2
    decides: bool = True


@final
@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault that, planted in the construction, must be refuted by a check.

    Parameters
    ----------
    fault : the name that the construction asks for with `World.planted`
    identity : the mathematics in which it is planted
    sizes : of the instance
    over : the scalars
    """

    fault: str
    identity: Identity
    sizes: Sizes
    over: Over = "GF(p)"


@final
@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of the ledger.

    Parameters
    ----------
    id : in the ledger: ``"LG-T2.1"``
    source : document and number
    title : a few words
    text : the statement in words
    latex : its formula
    hypotheses : everything that it assumes
    checks : what must hold, and what must fail
    mutants : faults that the checks must refute
    """

    id: str
    source: str
    title: str
    text: str
    latex: str
    hypotheses: tuple[str, ...]
    checks: tuple[Check, ...]
    mutants: tuple[Mutant, ...]


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What one check or one mutant gave.

    Attributes
    ----------
    grade : 'X', 'N', 'C', 'S', or 'M' of a mutant
    name : of the check, or of the fault
    holds : whether all is as it must be: claims hold, counterexamples fail, mutants are refuted
    text : the evidence in one sentence
    details : the same as plain data, JSON-serialisable
    seconds : how long it took
    """

    grade: Grade
    name: str
    holds: bool
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "grade": self.grade,
            "name": self.name,
            "holds": self.holds,
            "text": self.text,
            "details": dict(self.details),
            "seconds": self.seconds,
        }
