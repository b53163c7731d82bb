"""Ways to take a step with a PyTorch optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, final

Evaluate: TypeAlias = Callable[[], Any]
"""Sets derivatives anew, and returns the loss."""


@final
@dataclass(frozen=True)
class Way:
    """A way to take a step.

    Attributes
    ----------
    says : what a report says of it; empty for the usual ones
    step : called with the optimizer, what evaluates the loss and sets derivatives, and what evaluates the loss alone
    fits : whether an optimizer has the methods
    """

    says: str
    step: Callable[[Any, Evaluate, Evaluate], None]
    fits: Callable[[Any], bool] = lambda optimizer: hasattr(optimizer, "step")


def _closure(optimizer: Any, evaluate: Evaluate, loss: Evaluate) -> None:
    optimizer.step(evaluate)


def _both(optimizer: Any, evaluate: Evaluate, loss: Evaluate) -> None:
    evaluate()
    optimizer.step(evaluate)


def _before(optimizer: Any, evaluate: Evaluate, loss: Evaluate) -> None:
    evaluate()
    optimizer.step()


def _two_steps(optimizer: Any, evaluate: Evaluate, loss: Evaluate) -> None:
    evaluate()
    optimizer.first_step()
    evaluate()
    optimizer.second_step()


def _fused(optimizer: Any, evaluate: Evaluate, loss: Evaluate) -> None:
    optimizer.fused_backward(loss(), optimizer.lr)


CLOSURE = Way("", _closure)
BOTH = Way("with a closure, and derivatives before every step", _both)
BEFORE = Way("", _before)
TWO_STEPS = Way("through first_step and second_step", _two_steps, lambda one: hasattr(one, "second_step"))
FUSED = Way("through fused_backward", _fused, lambda one: hasattr(one, "fused_backward"))
USUAL = CLOSURE, BOTH, BEFORE
"""``step(closure)``; that, with derivatives already there; ``step()``.  Which of them agree tells which is meant."""
