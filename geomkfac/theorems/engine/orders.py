"""Limits, measured: the exponent with which a gap vanishes, and its confidence interval.

All instances of a check are fitted together, each with a constant of its own.  Orders are multiples of a
half, so an exponent is as claimed where its 99 % interval lies within a quarter of the claimed one (for a
claim of *at least*: above a quarter less), and is refuted where the interval lies outside of that.  A gap that
vanishes altogether, to rounding, is of any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays import Exponent, fitted_exponent, floating
from geomkfac.errors import VacuousCheckError
from geomkfac.theorems.engine.statement import Order

CLOSE = 0.25


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """One limit, over all instances.

    Attributes
    ----------
    order : the claim, as the first instance has it
    exponent : measured; None where nothing is left over at any step
    """

    order: Order
    exponent: Exponent | None

    @property
    def holds(self) -> bool:
        """Whether the interval is close to the claim."""
        claim, measured = self.order.exponent, self.exponent
        if measured is None:
            return self.order.at_least
        return measured.low > claim - CLOSE and (self.order.at_least or measured.high < claim + CLOSE)

    @property
    def is_far(self) -> bool:
        """Whether the interval excludes the claim."""
        claim, measured = self.order.exponent, self.exponent
        if measured is None:
            return not self.order.at_least
        return measured.high < claim - CLOSE or (not self.order.at_least and measured.low > claim + CLOSE)

    @property
    def text(self) -> str:
        """The evidence in words."""
        claimed = f"{'at least ' if self.order.at_least else ''}{self.order.exponent:g}"
        found = "vanishes altogether" if self.exponent is None else f"has exponent {self.exponent}"
        return f"{self.order.name} {found}; claimed {claimed}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the points of the first instance."""
        exponent = self.exponent
        return {
            "name": self.order.name,
            "claimed": self.order.exponent,
            "at_least": self.order.at_least,
            "measured": None if exponent is None else [exponent.value, exponent.low, exponent.high],
            "steps": list(self.order.steps),
            "gaps": list(self.order.gaps),
        }


def measured_orders(instances: Sequence[Sequence[Order]]) -> list[Measured]:
    """Every limit that the instances measured, by position; all of them yield the same ones.

    Raises
    ------
    VacuousCheckError : instances yield different ones, or a gap vanishes at some steps and not at others.
    """
    names = {tuple(order.name for order in orders) for orders in instances}
    if len(names) != 1:
        raise VacuousCheckError(f"instances of one check measured different limits: {sorted(names)}.")
    return [_measured(same) for same in zip(*instances, strict=True)]


def _measured(orders: Sequence[Order]) -> Measured:
    epsilon: float = floating.default_namespace.epsilon
    vanished = [gap <= epsilon for order in orders for gap in order.gaps]
    if all(vanished):
        return Measured(orders[0], None)
    if any(vanished):
        raise VacuousCheckError(
            f"the gap of {orders[0].name!r} vanishes at some steps, and not at others.\n"
            f"  steps: {orders[0].steps}\n  gaps : {orders[0].gaps}\n"
            "Take larger steps, at which it stands clear of rounding."
        )
    return Measured(orders[0], fitted_exponent([(order.steps, order.gaps) for order in orders]))
