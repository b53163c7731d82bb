"""One trial: a check walked through once, in a world drawn from a seed.

Where a draw is singular the trial is drawn again, and counted; what is singular at every draw raises,
as a determinant that is identically zero would else be redrawn for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

from geomkfac.arrays import GF, DegreeField, Stream, floating, generator, random_prime, rational, symbolic
from geomkfac.arrays.array import RandomSource
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.errors import (
    DegenerateMetricError,
    DivisionByZeroError,
    NotPositiveError,
    SingularMatrixError,
    VacuousCheckError,
)
from geomkfac.theorems.engine.comparing import agree
from geomkfac.theorems.engine.statement import Comparison, Identity, Order, Over
from geomkfac.theorems.engine.world import Sizes, World

Result = TypeVar("Result")

REDRAWS = 8
"""How often a singular draw is drawn again.  Over GF(p) even one is an accident of probability 1e-7."""

T = TypeVar("T")

Key = tuple[int | str, ...]
"""What a trial's random numbers depend on."""


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """What one exact trial gave.

    Attributes
    ----------
    kind : the kind of scalar, with its account of degrees where it keeps one
    key : the seed
    redraws : how many singular draws came before
    compared : how many comparisons agreed
    failed : the first comparison that did not, or None
    names : what was compared, in order
    drawn : what was drawn, in order: names, where one was given, and shapes
    digests : of both sides of every comparison that agreed, where they were asked for
    """

    kind: Kind
    key: Key
    redraws: int
    compared: int
    failed: Comparison | None
    names: tuple[str, ...] = ()
    drawn: tuple[tuple[str | None, tuple[int, ...]], ...] = ()
    digests: tuple[tuple[str, str], ...] = ()

    @property
    def prime(self) -> int | None:
        """The characteristic of the field; None over Q."""
        return getattr(self.kind, "characteristic", None)


def draw_kind(over: Over, rng: RandomSource, *, degrees: bool = False) -> Kind:
    """The scalars of one trial; over GF(p) with a fresh random prime."""
    if over == "floating":
        return floating
    if over == "Q":
        return rational
    if over == "symbols":
        return symbolic
    prime = random_prime(rng)
    return DegreeField(prime) if degrees else GF(prime)


def exact_trial(
    identity: Identity,
    sizes: Sizes,
    over: Over,
    key: Key,
    *,
    fault: str | None = None,
    degrees: bool = False,
    digest: Callable[[Namespace, Comparison], tuple[str, str]] | None = None,
) -> Trial:
    """Walk through `identity` until a comparison fails, or to its end.

    Parameters
    ----------
    digest : for certificates: what identifies the two sides of a comparison

    Raises
    ------
    VacuousCheckError : nothing was compared, a planted fault was not asked for, or every draw is singular.
    """

    def walk(rng: RandomSource, redraws: int) -> Trial:
        world = World(draw_kind(over, rng, degrees=degrees), rng, sizes, fault)
        names: list[str] = []
        digests: list[tuple[str, str]] = []
        claims, failed = 0, None
        for comparison in identity(world):
            if isinstance(comparison, Order):
                raise VacuousCheckError(f"the order {comparison.name!r} is measured in floating point, and not {over}.")
            names.append(comparison.name)
            claims += not comparison.premise
            if digest is not None:
                digests.append(digest(world.ns, comparison))
            if not agree(world.ns, comparison):
                failed = comparison
                break
        if failed is None:
            require_claims(claims, key)
        require_consulted(world, fault)
        compared = len(names) - (failed is not None)
        return Trial(world.kind, key, redraws, compared, failed, tuple(names), tuple(world.drawn), tuple(digests))

    return with_redraws(walk, key, source=generator if over == "floating" else Stream)


def with_redraws(
    walk: Callable[[RandomSource, int], Result], key: Key, source: Callable[..., RandomSource] = generator
) -> Result:
    """`walk` with a `source` of random numbers made from `key`, again where a draw was singular."""
    last: Exception | None = None
    for redraws in range(REDRAWS):
        try:
            return walk(source(*key, redraws), redraws)
        except (SingularMatrixError, DivisionByZeroError, DegenerateMetricError, NotPositiveError) as error:
            last = error
    raise VacuousCheckError(
        f"the check of {key[1:]} met something singular in {REDRAWS} draws out of {REDRAWS}: it is singular always.\n"
        f"  seed: {key[0]}\n  last: {type(last).__name__}: {str(last).splitlines()[0]}\n"
        "Give it more data, more covectors or smaller widths."
    ) from last


def require_claims(claims: int, key: Key) -> None:
    """Raise `VacuousCheckError` where a check has claimed nothing."""
    if not claims:
        raise VacuousCheckError(
            f"the check of {key[1:]} made no comparison, and so could not have failed.\n"
            "  required: one claim or more, same(name, left, right)\n  came    : none\nYield what must agree."
        )


def require_consulted(world: World, fault: str | None) -> None:
    """Raise `VacuousCheckError` where a planted fault was not asked for by the construction."""
    if fault is not None and fault not in world.consulted:
        raise VacuousCheckError(
            f"the fault {fault!r} was planted, and the construction never asked for it.\n"
            f"  required: world.planted({fault!r})\n  came    : {sorted(world.consulted)}\n"
            "Ask for it where the fault belongs, before the comparison that must refute it."
        )
