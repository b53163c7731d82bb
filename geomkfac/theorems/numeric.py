"""Numeric evidence: the same check in floating point, against a tolerance that is derived.

How sensitive an instance is, is measured: every draw is changed in its last digit, and the sides move
by the *noise floor*, epsilon times the condition number of the whole computation.  A backward stable
computation in another basis rounds as if its inputs were perturbed by epsilon times a sum's length,
times the condition number of the basis for every conversion there and back.  So the tolerance is

    noise floor x condition^power x sqrt(length),

with condition 10, power 2 for a form that is converted (4 where the form on all weights is made and
solved with), and the number of terms of the longest sum, whose roundings add like a random walk.
Source: Higham & Mary, "A new approach to probabilistic rounding error analysis" (2019), for the root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays import floating, generator
from geomkfac.theorems.comparing import relative_difference, relative_gap, sides
from geomkfac.theorems.statement import Check, Comparison, Evidence, Identity, Sizes
from geomkfac.theorems.trials import Key, require_claims, require_consulted, with_redraws
from geomkfac.theorems.world import CONDITION, World

__all__ = ["FAR", "counterexample", "numeric"]

FAR = 1000.0
"""A counterexample in floating point misses by at least this many tolerances."""

_PERTURBATIONS = 2


@final
@dataclass(frozen=True, slots=True)
class Gap:
    """How far two sides are apart, relatively, and what rounding could explain."""

    name: str
    premise: bool
    error: float
    noise: float
    tolerance: float


def numeric(check: Check, key: Key, trials: int) -> Evidence:
    """Evidence that an N check holds: every gap is within the tolerance."""
    gaps = [gap for number in range(trials) for gap in _drawn(check, (*key, number))]
    worst = max(gaps, key=lambda gap: gap.error / gap.tolerance)
    holds = worst.error <= worst.tolerance
    details = _details(check, key, trials, worst)
    text = (
        f"{'holds' if holds else 'FAILS'}; worst relative error {worst.error:.1e} ({worst.name}), tolerance "
        f"{worst.tolerance:.1e} = noise floor {worst.noise:.1e} x condition {CONDITION:.0f}^{check.condition_power} "
        f"x sqrt({_length(check.sizes[-1])}); {trials} {'instance' if trials == 1 else 'instances'}"
    )
    if not holds:
        text += "; rounding does not explain it, and it is no proof: see the exact check"
    return Evidence("N", check.name, holds, text, details)


def counterexample(check: Check, key: Key, trials: int) -> Evidence:
    """Evidence that a C check fails in floating point, by far more than rounding explains."""
    least: Gap | None = None
    for number in range(trials):
        gaps = _drawn(check, (*key, number))
        broken = [gap for gap in gaps if gap.premise and gap.error > gap.tolerance]
        if broken:
            text = f"the premise {broken[0].name!r} fails by {broken[0].error:.1e}: the counterexample shows nothing"
            return Evidence("C", check.name, False, text, _details(check, key, trials, broken[0]))
        claims = [gap for gap in gaps if not gap.premise]
        widest = max(claims, key=lambda gap: gap.error / gap.tolerance)
        if least is None or widest.error / widest.tolerance < least.error / least.tolerance:
            least = widest
    if least is None:
        require_claims(0, key)
    gap = least or Gap("", False, 0.0, 0.0, 1.0)
    holds = gap.error > FAR * gap.tolerance
    text = (
        f"{'fails, as it must' if holds else 'the claim does NOT fail clearly'}: {gap.name!r} differs by "
        f"{gap.error:.1e} at least; rounding explains {gap.tolerance:.1e}; {trials} instances"
    )
    return Evidence("C", check.name, holds, text, _details(check, key, trials, gap))


def _drawn(check: Check, key: Key) -> list[Gap]:
    """The gaps of one instance; drawn again where its metric degenerates to rounding, against the hypothesis."""
    return with_redraws(lambda _, redraws: _gaps(check, (*key, redraws)), key)


def _gaps(check: Check, key: Key) -> list[Gap]:
    """Every comparison of one instance; an instance that is degenerate to rounding is drawn again."""
    return with_redraws(lambda _, redraws: _gaps_of(check, (*key, redraws)), key)


def _gaps_of(check: Check, key: Key) -> list[Gap]:
    """Every comparison, with the noise floor of each of its sides."""
    sizes = check.sizes[-1]
    base = _walk(check.identity, sizes, key, check.drops, None)
    ns = floating.default_namespace
    noises = [ns.epsilon] * len(base)
    for number in range(_PERTURBATIONS):
        moved = _walk(check.identity, sizes, key, check.drops, number)
        pairs = zip(base, moved, strict=True)
        noises = [max(noise, _moved(one, two)) for noise, (one, two) in zip(noises, pairs, strict=True)]
    factor = CONDITION**check.condition_power * _length(sizes) ** 0.5
    return [
        Gap(one.name, one.premise, relative_gap(ns, one), noise, noise * factor)
        for one, noise in zip(base, noises, strict=True)
    ]


def _moved(one: Comparison, two: Comparison) -> float:
    """How far the sides moved when every draw changed in its last digit."""
    ns = floating.default_namespace
    left = (pair[0] for pair in sides(ns, one)), (pair[0] for pair in sides(ns, two))
    right = (pair[1] for pair in sides(ns, one)), (pair[1] for pair in sides(ns, two))
    pairs = [*zip(*left, strict=True), *zip(*right, strict=True)]
    return max(relative_difference(ns, before, after) for before, after in pairs)


def _walk(
    identity: Identity, sizes: Sizes, key: Key, fault: str | None, perturbation: int | None
) -> list[Comparison]:
    jitter = None if perturbation is None else generator(*key, "jitter", perturbation)
    world = World(floating, generator(*key), sizes, fault, jitter)
    comparisons = list(identity(world))
    require_claims(sum(not comparison.premise for comparison in comparisons), key)
    require_consulted(world, fault)
    return comparisons


def _length(sizes: Sizes) -> int:
    """The number of terms of the longest sum, over data and covectors or over parameters."""
    return max(sizes.data * sizes.covectors, max(sizes.widths) + 1)


def _details(check: Check, key: Key, trials: int, gap: Gap) -> dict[str, Any]:
    return {
        "sizes": str(check.sizes[-1]),
        "trials": trials,
        "scalars": floating.default_namespace.name,
        "seeds": [[*key, number] for number in range(trials)],
        "comparison": gap.name,
        "error": gap.error,
        "noise_floor": gap.noise,
        "tolerance": gap.tolerance,
        "condition": CONDITION,
        "condition_power": check.condition_power,
    }
