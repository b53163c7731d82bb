"""One trial: a check walked through once, in a world drawn from a seed.

Where a draw is singular the trial is drawn again, and counted; what is singular at every draw raises,
as a determinant that is identically zero would else be redrawn for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

from geomkfac.arrays import GF, DegreeField, floating, generator, random_prime, rational
from geomkfac.arrays.namespace import Kind, RandomSource
from geomkfac.errors import (
    DegenerateMetricError,
    DivisionByZeroError,
    NotPositiveError,
    SingularMatrixError,
    VacuousCheckError,
)
from geomkfac.theorems.comparing import agree
from geomkfac.theorems.statement import Comparison, Identity, Over, Sizes
from geomkfac.theorems.world import World

__all__ = ["REDRAWS", "Key", "Trial", "draw_kind", "exact_trial", "require_claims", "require_consulted", "with_redraws"]

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
    """

    kind: Kind
    key: Key
    redraws: int
    compared: int
    failed: Comparison | None

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
    prime = random_prime(rng)
    return DegreeField(prime) if degrees else GF(prime)


def exact_trial(
    identity: Identity, sizes: Sizes, over: Over, key: Key, *, fault: str | None = None, degrees: bool = False
) -> Trial:
    """Walk through `identity` until a comparison fails, or to its end.

    Raises
    ------
    VacuousCheckError : nothing was compared, a planted fault was not asked for, or every draw is singular.
    """

    def walk(rng: RandomSource, redraws: int) -> Trial:
        world = World(draw_kind(over, rng, degrees=degrees), rng, sizes, fault)
        compared, claims, failed = 0, 0, None
        for comparison in identity(world):
            claims += not comparison.premise
            if not agree(world.ns, comparison):
                failed = comparison
                break
            compared += 1
        if failed is None:
            require_claims(claims, key)
        require_consulted(world, fault)
        return Trial(world.kind, key, redraws, compared, failed)

    return with_redraws(walk, key)


def with_redraws(walk: Callable[[RandomSource, int], Result], key: Key) -> Result:
    """`walk` with a generator made from `key`, again where a draw was singular."""
    last: Exception | None = None
    for redraws in range(REDRAWS):
        try:
            return walk(generator(*key, redraws), redraws)
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
