"""From what a user passes to the contestant that it is."""

from __future__ import annotations

from typing import Any

from geomkfac.audit.contestants.contestant import Contestant
from geomkfac.audit.contestants.named import is_rule
from geomkfac.audit.contestants.pytorch.optimizer import TorchContestant
from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.errors import KindError


def contestant_of(optimizer: Any, rate: float | None, device: str = "cpu") -> Contestant:
    """What is to be audited, on a device: a PyTorch optimizer's class or factory, a rule, or a `Contestant`."""
    if isinstance(optimizer, Contestant):
        return optimizer if device == "cpu" else optimizer.on(device)
    if not callable(optimizer):
        advice = "Pass its class, or a function that makes one of parameters."
        if isinstance(optimizer, str):
            advice = "Import it first: the name is for the command line, geomkfac audit torch.optim:Adam."
        raise KindError(
            "an audit takes an optimizer class, a function of parameters, or a rule.\n"
            f"  came: {optimizer if isinstance(optimizer, str) else type(optimizer).__name__}\n{advice}"
        )
    if str(getattr(optimizer, "__module__", "")).startswith("geomkfac.audit.libraries"):
        return contestant_of(optimizer(), rate, device)
    if is_rule(optimizer):
        return RuleContestant(optimizer() if isinstance(optimizer, type) else optimizer, device=device)
    return TorchContestant(optimizer, rate, device=device)
