"""What each reference rule keeps, of activations and of pre-activations; the rest of `BASIC` it loses."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from geomkfac import updates
from geomkfac.updates import (
    DampedKfac,
    DiagonalFisher,
    EigenvalueCorrectedKfac,
    Foof,
    GradientDescent,
    Kfac,
    NaturalGradient,
    Newton,
    PolarStep,
    QuasiDiagonalNaturalGradient,
    Shampoo,
    UnitwiseNaturalGradient,
)

BASIC = ("translation", "scalar", "diagonal", "permutation", "orthogonal", "linear")
GENERATED = {
    "sign": ({"orthogonal"}, {"diagonal"}),
    "shear": ({"linear"},),
    "unit-wise affine": ({"translation", "diagonal"},),
    "rigid": ({"translation", "orthogonal"},),
    "similarity": ({"translation", "orthogonal", "scalar"},),
    "affine": ({"translation", "linear"},),
}
"""Groups of the table that are kept if and only if others are: all of these, or all of those."""

ALL = set(BASIC)
ORTHOGONAL = {"permutation", "orthogonal"}
RIGID = ORTHOGONAL | {"translation"}
SIMILAR = RIGID | {"scalar"}
SCALED = {"scalar", "diagonal", "permutation"}
EUCLIDEAN = (ORTHOGONAL, RIGID)
"""What a rule keeps that takes the coordinates at hand for orthonormal ones."""

RATIONAL = {
    GradientDescent(): EUCLIDEAN,
    GradientDescent(momentum=2): EUCLIDEAN,
    Newton(): (ALL, ALL),
    Newton(damping=1): EUCLIDEAN,
    NaturalGradient(): (ALL, ALL),
    NaturalGradient(damping=1): EUCLIDEAN,
    Kfac(): (ALL, ALL),
    Kfac(keep=2): (ALL, ALL),
    Kfac(keep=2, start="identity"): EUCLIDEAN,
    Kfac(joint=False): (ALL - {"translation"}, ALL),
    Kfac(damping=1): EUCLIDEAN,
    DampedKfac(2): EUCLIDEAN,
    DampedKfac(2, "relative"): (ORTHOGONAL, SIMILAR),
    DampedKfac(2, by="first"): (ALL, ALL),
    DampedKfac(2, "relative", "first"): (ALL, ALL),
    Foof(): (ALL, RIGID),
    DiagonalFisher(): (SCALED, SCALED | {"translation"}),
    QuasiDiagonalNaturalGradient(): (SCALED | {"translation"}, SCALED | {"translation"}),
    UnitwiseNaturalGradient(): (ALL, SCALED | {"translation"}),
}
FLOATING = {
    DampedKfac(2, "factored"): EUCLIDEAN,
    DampedKfac(2, "factored", norm="frobenius"): EUCLIDEAN,
    DampedKfac(2, "relative", norm="frobenius"): (ORTHOGONAL, SIMILAR),
    DampedKfac(2, "factored", "first"): (ALL, ALL),
    DampedKfac(2, "factored", "first", "frobenius"): (ALL, ALL),
    EigenvalueCorrectedKfac(): (ORTHOGONAL, SIMILAR),
    Shampoo(): EUCLIDEAN,
    Shampoo(identity=0.1): EUCLIDEAN,
    Shampoo(Fraction(1, 2)): (ORTHOGONAL, SIMILAR),
    Shampoo(Fraction(1, 2), identity=0.1): EUCLIDEAN,
    PolarStep(): EUCLIDEAN,
    PolarStep(joint=False): EUCLIDEAN,
}


def is_rule(thing: object) -> bool:
    """Whether a name of `geomkfac.updates` is a rule, and not a type of what rules take."""
    return isinstance(thing, type) and "__call__" in vars(thing)


def without_profile(names: Iterable[str], profiles: Iterable[object]) -> list[str]:
    """Which of these names of `geomkfac.updates` are rules of which no profile is known, each with what to do."""
    known = {type(rule).__name__ for rule in profiles}
    return [
        f"give {name} a profile in RATIONAL or FLOATING of tests/updates/profiles.py"
        for name in names
        if is_rule(getattr(updates, name)) and name not in known
    ]


def kept(profile: tuple[set[str], set[str]], side: int, group: str) -> bool:
    """Whether a profile keeps a group, of activations (0) or of pre-activations (1)."""
    return any(generators <= profile[side] for generators in GENERATED.get(group, ({group},)))
