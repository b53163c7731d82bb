"""What a statement of the ledger is: words, formulas, and checks that could have failed.

A *check* is one piece of readable mathematics: a function that builds a random instance in a `World`
and yields comparisons, ``same(name, left, right)``.  The same function runs over GF(p), over a kind
that computes the probability of error, over Q, with symbols, and in floating point; and once more for
every *mutant*, with a named fault planted in the construction, where it must fail.

What is a limit, ``order(name, steps, gaps, exponent)``, is measured: gaps against steps, and an
exponent with its confidence interval.  What the types must refuse is ``refuses(name, error, action)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias, final

from geomkfac.errors import GeomkfacError
from geomkfac.theorems.engine.world import Sizes, World

Grade = Literal["X", "N", "C", "S", "M"]
Over = Literal["GF(p)", "Q", "symbols", "floating"]

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


@final
@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """A gap that vanishes like a power of a step: the exponent is measured.

    Attributes
    ----------
    name : what vanishes, in words
    steps : h_1, ..., h_k > 0, two or more of them apart by a factor 2 or so, all in the regime of the limit
    gaps : at these steps, nonnegative; well above rounding, or 0 throughout where nothing is left over
    exponent : of the claim ``gap ~ h^exponent``
    at_least : whether the claim is ``gap = O(h^exponent)``, so that a larger exponent, or no gap at all, is as good
    """

    name: str
    steps: tuple[float, ...]
    gaps: tuple[float, ...]
    exponent: float
    at_least: bool = False
    premise: bool = False


Comparisons: TypeAlias = Iterator[Comparison | Order]


def same(name: str, left: Any, right: Any, frame: Any = None) -> Comparison:
    """The claim that two sides agree; of geometric objects, their coordinates in `frame`."""
    if frame is None:
        return Comparison(name, left, right)
    return Comparison(name, left.coordinates(frame), right.coordinates(frame))


def given(name: str, left: Any, right: Any, frame: Any = None) -> Comparison:
    """A premise: what must agree in a counterexample too, so that it fails for the right reason."""
    return replace(same(name, left, right, frame), premise=True)


def order(
    name: str, steps: Sequence[float], gaps: Sequence[float], exponent: float, *, at_least: bool = False
) -> Order:
    """The claim that `gaps` fall like the power `exponent` of `steps`; see `Order`.  In floating point alone."""
    return Order(name, tuple(map(float, steps)), tuple(map(float, gaps)), float(exponent), at_least)


def refuses(name: str, error: type[GeomkfacError], action: Callable[[], object]) -> Comparison:
    """The claim that the package refuses `action` with this error: a formula with a fault in its types."""
    try:
        action()
    except GeomkfacError as raised:
        return Comparison(name, type(raised).__name__, error.__name__)
    return Comparison(name, "accepted", error.__name__)


Identity: TypeAlias = Callable[[World], Comparisons]
"""One piece of mathematics: builds a random instance in a world, and yields what must agree there."""


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One executable check of a statement.

    Parameters
    ----------
    grade : 'X' (must hold exactly), 'S' (with symbols), 'N' (must hold up to rounding), 'C' (must FAIL)
    name : what it checks, in a few words; unique in its statement for its grade
    identity : the mathematics
    sizes : instances from small to large; the last one is run, the others serve to shrink a failure
    over : the scalars
    drops : a hypothesis or term that a counterexample drops: planted as a fault
    condition_power : round-off grows with this power of the condition number of a basis
    decides : whether a failure over GF(p) proves the statement false; not so with a hypothesis of
        order or rank
    recipe : the name under which the independent checker of certificates computes it again, or None
    """

    grade: Grade
    name: str
    identity: Identity
    sizes: tuple[Sizes, ...]
    over: Over
    drops: str | None = None
    condition_power: int = 2
    decides: bool = True
    recipe: str | None = None


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
class Erratum:
    """Where a paper prints what its authors did not mean.

    Parameters
    ----------
    where : document and place
    printed : as it stands there, in words or a formula of plain text
    corrected : as it must read
    note : whether it is a slip of types or indices, or perhaps a fault of the text extraction
    """

    where: str
    printed: str
    corrected: str
    note: str = ""


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
    objects : public names of this package that are the statement's subject: ``"metrics.IndependenceMetric"``
    erratum : what is misprinted, where the statement is an entry of the list of errata
    """

    id: str
    source: str
    title: str
    text: str
    latex: str
    hypotheses: tuple[str, ...]
    checks: tuple[Check, ...]
    mutants: tuple[Mutant, ...]
    objects: tuple[str, ...] = ()
    erratum: Erratum | None = None

    @property
    def items(self) -> tuple[Check | Mutant, ...]:
        """What is run, in order: all checks, then all mutants."""
        return (*self.checks, *self.mutants)

    @property
    def grades(self) -> str:
        """The grades of its checks, in the ledger's order: ``"X N C"``."""
        found = {check.grade for check in self.checks}
        return " ".join(grade for grade in "XSNC" if grade in found)


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
        return asdict(self)
