"""The audit on one network: a finding for every group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import final

import numpy as np

from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.groups import Group
from geomkfac.audit.twins.problem import Problem
from geomkfac.audit.verdicts.discrepancies import Discrepancies, DivergedError
from geomkfac.audit.verdicts.judging import judged
from geomkfac.audit.verdicts.other_draws import apart_by_draws, weighed
from geomkfac.audit.verdicts.report import Finding

PLAIN_ACTIVATION = "tanh"
"""Of the hidden units, where a group asks for none."""
LOWER = (1.0, 0.1, 0.01, 0.001)
"""Of an optimizer's own rate, where that diverges."""


@final
class OnNetwork:
    """The audit of one optimizer on one network, with hidden units of the activations that groups ask for.

    Parameters
    ----------
    contestant : the optimizer
    rate : learning rate; None for the optimizer's own, or a lower one where that diverges
    steps : of a run
    problem : the network, by the activation of its hidden units
    seed : of members of groups
    """

    def __init__(
        self,
        contestant: Contestant,
        rate: float | None,
        steps: int,
        problem: Callable[[str], Problem],
        seed: int,
    ) -> None:
        self._contestant, self._steps, self._problem, self._seed = contestant, steps, cache(problem), seed
        self._rates = [rate] if rate is not None else [contestant.rate_of(None) * share for share in LOWER]
        self._lowered = False
        self._measured: dict[str, Discrepancies | str] = {}
        self._apart_by_draws = cache(apart_by_draws)

    @property
    def rate(self) -> float:
        """The learning rate; lower than the optimizer's own where that diverges."""
        return self._rates[0]

    @property
    def rounding(self) -> float:
        """What the optimizer's own arithmetic rounds, relative to its first step; 0 where that is double precision."""
        found = [one.own_rounding[0] for one in self._measured.values() if isinstance(one, Discrepancies)]
        return max(found, default=0.0)

    @property
    def how(self) -> str:
        """In what way it was run, where that is not the plain one."""
        parts = [self._contestant.how]
        if self._lowered:
            parts.append(f"at its own learning rate {self._contestant.rate_of(None):g} it diverges here")
        return "; ".join(filter(None, parts))

    def findings(
        self, groups: Sequence[Group], progress: Callable[[str], None] | None = None
    ) -> tuple[list[Finding], dict[str, str]]:
        """What is found for each group; and for the others, why nothing."""
        found: list[Finding] = []
        left_out: dict[str, str] = {}
        for group in groups:
            asked = self._asked(group)
            if isinstance(asked, str):
                left_out[group.name] = asked
                continue
            if progress is not None:
                progress(group.name)
            measured, double = asked
            finding = judged(measured, group, double)
            found.append(weighed(finding, self._apart_by_draws(measured)) if self._contestant.draws else finding)
        return found, left_out

    def _asked(self, group: Group) -> tuple[Discrepancies, Double] | str:
        """What tells about a group, and the double that a member makes; or why there is none."""
        activation = group.activation or PLAIN_ACTIVATION
        problem = self._problem(activation)
        reason = group.unfit(problem)
        if reason:
            return reason
        measured = self._on(activation)
        if isinstance(measured, str):
            return measured
        double = group.double(problem, np.random.default_rng([self._seed, *map(ord, group.name)]))
        if double.is_trivial(problem):
            return "its member is the identity here"
        if double.loss_scale != 1 and not self._contestant.scales:
            return "its loss is one of PyTorch's, which has no scale"
        return self._contestant.unfit(double.storage) or (measured, double)

    def _on(self, activation: str) -> Discrepancies | str:
        """With hidden units of an activation; or why not."""
        if activation not in self._measured:
            try:
                self._measured[activation] = self._repeatable(self._problem(activation))
            except UnauditableError as error:
                # What goes wrong with the units of one group alone says nothing of the others.
                if activation == PLAIN_ACTIVATION:
                    raise
                self._measured[activation] = f"with {activation} units, {str(error).splitlines()[0]}".rstrip(".")
        return self._measured[activation]

    def _repeatable(self, problem: Problem) -> Discrepancies:
        """At the first of the rates at which it does not diverge."""
        while True:
            measured = Discrepancies(self._contestant, problem, self.rate, self._steps)
            try:
                measured.check_repeatable()
            except DivergedError:
                if len(self._rates) == 1 or self._measured:
                    raise
                del self._rates[0]
                self._lowered = True
            else:
                return measured
