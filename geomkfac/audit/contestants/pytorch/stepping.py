"""Ways to take a step with a PyTorch optimizer, and one run of it on a twin in a way that is known."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from geomkfac.audit.contestants.pytorch.construction import NotMadeError
from geomkfac.audit.contestants.pytorch.surroundings import alone, drew, narrowings, surrounded, widened
from geomkfac.audit.contestants.pytorch.twin_loss import TwinLoss
from geomkfac.audit.twins.storage import Arrays

# -- ways to take a step -----------------------------------------------------------------------------------
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


# -- a run -------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True)
class Setting:
    """In what way an optimizer is run.

    Attributes
    ----------
    form : of its parameters, a name of `making.FORMS`
    way : to take a step
    graph : whether derivatives can be differentiated
    wide : whether what is asked for in narrower types comes in the parameters'
    grouped : whether there is a process group
    """

    form: str = "list"
    way: Way = CLOSURE
    graph: bool = False
    wide: bool = False
    grouped: bool = False


@final
@dataclass(eq=False)
class Trace:
    """A run, and what happened on the way.

    Attributes
    ----------
    weights : after every step; in the optimizer's eval mode, where it has one
    second : how often products with the Hessian were asked for
    drew : whether random numbers were drawn
    made_move : whether making the optimizer changed its parameters
    modes : whether it has a train and an eval mode
    narrow : names of types narrower than the parameters' that occurred, where the run was watched
    """

    weights: list[list[tuple[Any, Any]]] = field(default_factory=list)
    second: int = 0
    drew: bool = False
    made_move: bool = False
    modes: bool = False
    narrow: frozenset[str] = frozenset()


def traced(
    loss: TwinLoss,
    made: Callable[[list[Any]], Any],
    setting: Setting,
    start: Arrays,
    steps: int,
    *,
    watched: bool = False,
    seed: int = 0,
) -> Trace:
    """Train a twin from `start`.

    Parameters
    ----------
    loss : of the twin, with the layout of the parameters
    made : an optimizer of parameters
    watched : whether types of numbers are watched for, which takes time
    seed : of random numbers
    """
    torch, twin, trace = loss.torch, loss.twin, Trace()
    dtype = getattr(torch, twin.dtype)
    parameters = [torch.nn.Parameter(loss.tensor(part)) for part in loss.storage.parameters(twin.cast(start))]

    def evaluate() -> Any:
        with torch.enable_grad():
            for one in parameters:
                one.grad = None
            value = loss(parameters)
            value.backward(create_graph=setting.graph)
        return value if setting.graph else value.detach()

    def alive() -> Any:
        with torch.enable_grad():
            return loss(parameters)

    with contextlib.ExitStack() as stack:
        stack.enter_context(alone(torch, setting.grouped))
        stack.enter_context(surrounded(torch, dtype, seed))
        if setting.wide:
            stack.enter_context(widened(torch, dtype))
        seen = stack.enter_context(narrowings(torch, dtype)) if watched else None
        before = [one.detach().clone() for one in parameters]
        optimizer = made(parameters)
        trace.made_move = not all(map(torch.equal, before, parameters))
        if not setting.way.fits(optimizer):
            raise NotMadeError(f"{type(optimizer).__name__} has no step().")
        trace.modes = callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None))
        for _ in range(steps):
            if trace.modes:
                optimizer.train()
            setting.way.step(optimizer, evaluate, alive)
            if trace.modes:
                optimizer.eval()
            trace.weights.append(twin.cast(loss.weights(parameters)))
        trace.second, trace.drew = loss.second, drew(torch, seed)
        trace.narrow = frozenset(seen.found) if seen is not None else frozenset()
    # What a graph holds would keep its tensors alive.
    for one in parameters:
        one.grad = None
    return trace
