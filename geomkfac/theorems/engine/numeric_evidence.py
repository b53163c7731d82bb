"""Numeric evidence: the same check in floating point, against a tolerance that is derived.

How sensitive an instance is, is measured: every draw is changed in its last digit, and the sides move
by the *noise floor*, epsilon times the condition number of the whole computation.  A backward stable
computation in another basis rounds as if its inputs were perturbed by epsilon times a sum's length,
times the condition number of the basis for every conversion there and back.  So the tolerance is

    noise floor x condition^power x sqrt(length),

with condition 10, power 2 for a form that is converted (4 where the form on all weights is made and
solved with), and the number of terms of the longest sum, whose roundings add like a random walk.
Source: Higham & Mary, "A new approach to probabilistic rounding error analysis" (2019), for the root.

What is a limit is measured as an exponent with its confidence interval, by `geomkfac.theorems.engine.orders`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays import FloatingNamespace, floating, floating_namespace, generator
from geomkfac.errors import VacuousCheckError
from geomkfac.theorems.engine.comparing import relative_difference, relative_gap, sides
from geomkfac.theorems.engine.orders import Measured, measured_orders
from geomkfac.theorems.engine.statement import Check, Comparison, Evidence, Grade, Mutant, Order
from geomkfac.theorems.engine.trials import Key, require_claims, require_consulted, with_redraws
from geomkfac.theorems.engine.world import CONDITION, Sizes, World

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

    @property
    def is_broken(self) -> bool:
        """Whether rounding does not explain it."""
        return self.error > self.tolerance

    @property
    def is_far(self) -> bool:
        """Whether rounding is far from explaining it."""
        return self.error > FAR * self.tolerance


@final
@dataclass(frozen=True, slots=True)
class DrawnInstance:
    """The gaps of one instance, and what it measured of limits."""

    gaps: list[Gap]
    orders: list[Order]
    names: tuple[str, ...]
    drawn: tuple[tuple[str | None, tuple[int, ...]], ...]


def numeric(check: Check, key: Key, trials: int, library: str = "numpy") -> Evidence:
    """Evidence that an N check holds: every gap is within the tolerance, every exponent as claimed."""
    ns = floating_namespace(library)
    done = [_drawn(check, (*key, number), ns) for number in range(trials)]
    gaps, orders = [gap for one in done for gap in one.gaps], _orders(done)
    holds, parts = all(order.holds for order in orders), [order.text for order in orders]
    details = _details(check, key, trials, done[0], ns) | {"orders": [order.to_json() for order in orders]}
    if gaps:
        worst = max(gaps, key=lambda gap: gap.error / gap.tolerance)
        holds = holds and not worst.is_broken
        details |= _of_gap(worst)
        parts.insert(
            0,
            f"worst relative error {worst.error:.1e} ({worst.name}), tolerance {worst.tolerance:.1e} = noise floor "
            f"{worst.noise:.1e} x condition {CONDITION:.0f}^{check.condition_power} "
            f"x sqrt({_length(check.sizes[-1])})",
        )
    text = f"{'holds' if holds else 'FAILS'}; {'; '.join(parts)}; {_instances(trials)}"
    if not holds:
        text += "; rounding does not explain it, and it is no proof: see the exact check"
    return Evidence("N", check.name, holds, text, details)


def counterexample(check: Check, key: Key, trials: int) -> Evidence:
    """Evidence that a C check fails in floating point, by far more than rounding explains, in every instance."""
    return _failing(check, "C", check.name, key, trials)


def refuted(mutant: Mutant, key: Key, trials: int) -> Evidence:
    """Evidence that a fault planted in floating point is refuted, by far more than rounding explains."""
    check = Check("C", mutant.fault, mutant.identity, (mutant.sizes,), mutant.over, drops=mutant.fault)
    return _failing(check, "M", mutant.fault, key, trials)


def _failing(check: Check, grade: Grade, name: str, key: Key, trials: int) -> Evidence:
    ns = floating.default_namespace
    done = [_drawn(check, (*key, number), ns) for number in range(trials)]
    details = _details(check, key, trials, done[0], ns)
    broken = [gap for one in done for gap in one.gaps if gap.premise and gap.is_broken]
    if broken:
        text = f"the premise {broken[0].name!r} fails by {broken[0].error:.1e}: the counterexample shows nothing"
        return Evidence(grade, name, False, text, details | _of_gap(broken[0]))
    orders = _orders(done)
    details |= {"orders": [order.to_json() for order in orders]}
    wrong = [order for order in orders if order.is_far]
    verdict = "refuted" if grade == "M" else "fails, as it must"
    if wrong:
        return Evidence(grade, name, True, f"{verdict}: {wrong[0].text}; {_instances(trials)}", details)
    claims = [[gap for gap in one.gaps if not gap.premise] for one in done]
    if not all(claims):
        text = f"the claim does NOT fail: {'; '.join(order.text for order in orders)}"
        return Evidence(grade, name, False, text, details)
    widest = [max(gaps, key=lambda gap: gap.error / gap.tolerance) for gaps in claims]
    gap = min(widest, key=lambda gap: gap.error / gap.tolerance)
    text = (
        f"{verdict if gap.is_far else 'the claim does NOT fail clearly'}: {gap.name!r} differs by "
        f"{gap.error:.1e} at least; rounding explains {gap.tolerance:.1e}; {_instances(trials)}"
    )
    return Evidence(grade, name, gap.is_far, text, details | _of_gap(gap))


def _instances(trials: int) -> str:
    return f"{trials} {'instance' if trials == 1 else 'instances'}"


def _orders(done: Sequence[DrawnInstance]) -> list[Measured]:
    return measured_orders([one.orders for one in done])


def _drawn(check: Check, key: Key, ns: FloatingNamespace) -> DrawnInstance:
    """One instance; drawn again where its metric degenerates to rounding, against the hypothesis."""
    return with_redraws(lambda _, redraws: _instance(check, (*key, redraws), ns), key)


def _instance(check: Check, key: Key, ns: FloatingNamespace) -> DrawnInstance:
    """Every comparison, with the noise floor of each of its sides."""
    sizes = check.sizes[-1]
    base, orders, drawn = _walk(check, key, None, ns)
    noises = [ns.epsilon] * len(base)
    # Whole numbers, such as dimensions, have no last digit to lose.
    rounds = any(not isinstance(side, int) for one in base for side in (one.left, one.right))
    for number in range(_PERTURBATIONS if rounds else 0):
        moved, _, _ = _walk(check, key, number, ns)
        pairs = zip(base, moved, strict=True)
        noises = [max(noise, _moved(ns, one, two)) for noise, (one, two) in zip(noises, pairs, strict=True)]
    factor = CONDITION**check.condition_power * _length(sizes) ** 0.5
    gaps = [
        Gap(one.name, one.premise, relative_gap(ns, one), noise, noise * factor)
        for one, noise in zip(base, noises, strict=True)
    ]
    return DrawnInstance(gaps, orders, (*(one.name for one in base), *(one.name for one in orders)), drawn)


def _moved(ns: FloatingNamespace, one: Comparison, two: Comparison) -> float:
    """How far the sides moved when every draw changed in its last digit."""
    left = (pair[0] for pair in sides(ns, one)), (pair[0] for pair in sides(ns, two))
    right = (pair[1] for pair in sides(ns, one)), (pair[1] for pair in sides(ns, two))
    pairs = [*zip(*left, strict=True), *zip(*right, strict=True)]
    return max(relative_difference(ns, before, after) for before, after in pairs)


def _walk(
    check: Check, key: Key, perturbation: int | None, ns: FloatingNamespace
) -> tuple[list[Comparison], list[Order], tuple[tuple[str | None, tuple[int, ...]], ...]]:
    jitter = None if perturbation is None else generator(*key, "jitter", perturbation)
    world = World(floating, generator(*key), check.sizes[-1], check.drops, jitter, ns)
    yielded = list(check.identity(world))
    comparisons = [one for one in yielded if not isinstance(one, Order)]
    orders = [one for one in yielded if isinstance(one, Order)]
    require_claims(sum(not comparison.premise for comparison in yielded), key)
    require_consulted(world, check.drops)
    return comparisons, orders, tuple(world.drawn)


def _length(sizes: Sizes) -> int:
    """The number of terms of the longest sum, over data and covectors or over parameters."""
    return max(sizes.data * sizes.covectors, max(sizes.widths) + 1)


def _of_gap(gap: Gap) -> dict[str, Any]:
    return {"comparison": gap.name, "error": gap.error, "noise_floor": gap.noise, "tolerance": gap.tolerance}


def _details(check: Check, key: Key, trials: int, done: DrawnInstance, ns: FloatingNamespace) -> dict[str, Any]:
    if not done.names:
        raise VacuousCheckError(f"the check {check.name!r} compared nothing.")
    return {
        "sizes": str(check.sizes[-1]),
        "trials": trials,
        "scalars": ns.name,
        "seeds": [[*key, number] for number in range(trials)],
        "drawn": [[name, list(shape)] for name, shape in done.drawn],
        "compared": list(done.names),
        "condition": CONDITION,
        "condition_power": check.condition_power,
    }
