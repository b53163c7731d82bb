"""The audit: what is an optimizer invariant to?  Trajectories of twin networks, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, final

import numpy as np

from geomkfac.audit.confirming import LOUDNESS, MOST, WIDTHS, Louder, refuted
from geomkfac.audit.contestants.choosing import contestant
from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.audit.exactly import exactly
from geomkfac.audit.groups import GROUPS, Double, Group
from geomkfac.audit.hints import hinted
from geomkfac.audit.problem import Problem, random_problem
from geomkfac.audit.random_updates import apart_by_draws, weighed
from geomkfac.audit.session import DivergedError, Session
from geomkfac.audit.verdicts import AuditReport, Finding, judged
from geomkfac.counts import checked_count, is_count
from geomkfac.errors import GeomkfacError, ValuesError
from geomkfac.metrics import Bernoulli, Gaussian
from geomkfac.names import look_up

PLAIN_ACTIVATION = "tanh"
"""Of the hidden units, where a group asks for none."""
RULE_RATE = 0.01
"""The learning rate of rules, which have no default."""
LOWER = (1.0, 0.1, 0.01, 0.001)
"""Of an optimizer's own rate, where that diverges."""


def chosen_groups(names: Sequence[str] | None) -> tuple[Group, ...]:
    """Groups by their names; all of them for None."""
    if isinstance(names, str):
        raise ValuesError(f"groups are a list of names; came the text {names!r}.  Write groups=[{names!r}].")
    known = {group.name: group for group in GROUPS}
    return GROUPS if names is None else tuple(look_up("group", name, known) for name in names)


def rate_of(runner: Contestant, rate: float | None) -> float:
    """The learning rate asked for, the optimizer's own, or that of rules."""
    return rate if rate is not None else RULE_RATE if runner.rate is None else runner.rate


def audit(
    optimizer: Any,
    *,
    groups: Sequence[str] | None = None,
    rate: float | None = None,
    steps: int = 10,
    network: str | Problem = "fully connected",
    widths: Sequence[int] | None = None,
    data: int = 60,
    seed: int = 0,
    networks: int = 2,
    exact: bool = True,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> AuditReport:
    """What an optimizer is invariant to: it trains a network and its double in other bases, and they are compared.

    The two networks compute the same function, in other coordinates of activations and pre-activations.  After
    one step and after `steps`, what they predict on held-out inputs is compared, relative to how far they moved.
    Round-off is told from a difference by a floor measured for this very optimizer: its own weights changed in the
    last digit, and what it loses by arithmetic that is shorter than its parameters', times the square of the
    condition number; and by repeating in float32.  What is invariant is asked again on another network, of another
    shape and with a louder loss.

    Parameters
    ----------
    optimizer : class or function that takes parameters and ``lr=`` (any of `torch.optim`), a rule of
        `geomkfac.updates`, `on_rule(...)` or `on_module(...)`
    groups : names of groups; None for all that act here
    rate : learning rate; None for the optimizer's default, or a tenth, a hundredth or a thousandth of it where that
        diverges
    steps : how many updates; at least 2, as one may look invariant by accident
    network : an architecture: 'fully connected', 'convolutional' or 'recurrent'; or one's own `problem_of(...)`
    widths : of the fully connected networks, inputs first; None for 2-3-3-2, and other ones for the further networks
    data : N
    seed : of weights, data and bases
    networks : on how many networks, at most 3; one's own network is one
    exact : whether rational rules are decided over GF(p) besides, with other networks
    device : 'cpu', or 'cuda': PyTorch optimizers then get parameters there, rules CuPy's arrays; the networks
        themselves are small, and stay on the host
    progress : called with the name of each group that is audited

    Raises
    ------
    UnauditableError : it cannot be run on plain parameters, does not do the same twice, does not move, or diverges;
        or a group that was asked for by name does not act here.
    UnknownNameError, ValuesError
    MissingExtraError, DeviceError : the device, or the library for it, is not there.
    """
    if not is_count(steps, 2):
        raise ValuesError(f"an audit takes 2 steps or more, not {steps}: one step may look invariant by accident.")
    if not is_count(networks) or networks > MOST:
        raise ValuesError(f"an audit takes 1 to {MOST} networks, not {networks!r}.")
    _check_numbers(rate, seed, network, widths)
    chosen, runner = chosen_groups(groups), contestant(optimizer, rate, device)
    count = 1 if isinstance(network, Problem) else networks
    shapes = WIDTHS if widths is None else (tuple(widths),) * count

    def problem(index: int, activation: str) -> Problem:
        if isinstance(network, Problem):
            return network
        family = Gaussian() if runner.squares else Bernoulli()
        return random_problem(
            network, activation=activation, widths=shapes[index], data=data, seed=seed + index, family=family
        )

    first = _OnNetwork(_Sessions(runner, rate, steps, partial(problem, 0)), seed)
    findings, left_out = first.findings(chosen, progress)
    if groups is not None and left_out:
        name, reason = next(iter(left_out.items()))
        raise UnauditableError(f"{name!r} cannot be audited for {runner.name} here: {reason}.")
    told = [first.sessions.how]
    for index in range(1, count):
        kept = [group for group in chosen if _verdicts(findings).get(group.name) == "invariant"]
        others, reason = _elsewhere(
            runner, kept, first.sessions.rate, steps, partial(problem, index), LOUDNESS[index], seed + index
        )
        findings = refuted(findings, others)
        told.append(reason)
    if exact and isinstance(runner, RuleContestant):
        by_name = {group.name: group for group in chosen}
        # Exact runs are of two steps: they have no say in what shows later.
        findings = [
            one if one.first <= one.floor < one.last else replace(one, exact=exactly(runner, by_name[one.group], seed))
            for one in findings
        ]
    label = network if isinstance(network, str) else network.name
    return AuditReport(
        runner.name, label, first.sessions.rate, steps, seed, count, "; ".join(filter(None, told)),
        first.sessions.rounding, hinted(findings), left_out,
    )  # fmt: skip


def _check_numbers(rate: Any, seed: Any, network: str | Problem, widths: Sequence[int] | None) -> None:
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < float("inf")):
        raise ValuesError(f"a learning rate is a positive number, not {rate!r}.")
    checked_count("a seed", seed, 0)
    if widths is not None:
        if network != "fully connected":
            raise ValuesError("widths are those of fully connected networks; other architectures have their own.")
        if len(widths) < 2 or not all(isinstance(n, int) and n > 0 for n in widths):
            raise ValuesError(f"widths are two positive integers or more, inputs first; came {tuple(widths)}.")


def _verdicts(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.group: finding.verdict for finding in findings}


def _elsewhere(
    runner: Contestant,
    groups: Sequence[Group],
    rate: float,
    steps: int,
    problem: Callable[[str], Problem],
    factors: Sequence[float],
    seed: int,
) -> tuple[Sequence[Finding], str]:
    """What is found on a further network, and why nothing is where it cannot be run there."""
    reason = ""
    for factor in factors if runner.scales else (1.0,):
        louder = runner if factor == 1 else Louder(runner, factor)
        try:
            found, _ = _OnNetwork(_Sessions(louder, rate, steps, problem), seed).findings(groups, None)
        except GeomkfacError as error:
            reason = f"on one network less, as on another {str(error).splitlines()[0]}".rstrip(".")
        else:
            return found, ""
    return (), reason


@final
class _OnNetwork:
    """The audit on one network.

    Attributes
    ----------
    sessions : with this network, by activations
    """

    def __init__(self, sessions: _Sessions, seed: int) -> None:
        self.sessions, self._seed = sessions, seed
        self._apart: dict[Session, tuple[float, float]] = {}

    def findings(
        self, groups: Sequence[Group], progress: Callable[[str], None] | None
    ) -> tuple[list[Finding], dict[str, str]]:
        """What is found for each group; and for the others, why nothing."""
        found: list[Finding] = []
        left_out: dict[str, str] = {}
        for group in groups:
            session, reason = self.sessions.for_group(group)
            if session is None:
                left_out[group.name] = reason
                continue
            double = group.double(session.problem, np.random.default_rng([self._seed, *map(ord, group.name)]))
            reason = _unfit(session, double)
            if reason:
                left_out[group.name] = reason
                continue
            if progress is not None:
                progress(group.name)
            found.append(self._weighed(session, judged(session, group, double)))
        return found, left_out

    def _weighed(self, session: Session, finding: Finding) -> Finding:
        if not session.runner.draws:
            return finding
        if session not in self._apart:
            self._apart[session] = apart_by_draws(session.runner, session)
        return weighed(finding, self._apart[session])


def _unfit(session: Session, double: Double) -> str:
    """Why a double says nothing of this optimizer; empty where it does."""
    if double.is_trivial(session.problem):
        return "its member is the identity here"
    if double.loss_scale != 1 and not session.runner.scales:
        return "its loss is one of PyTorch's, which has no scale"
    return session.runner.unfit(double.storage)


@final
class _Sessions:
    """Sessions of one optimizer, with networks of the activations that groups ask for.

    Attributes
    ----------
    rate : the learning rate of all of them; lower than the optimizer's own where that diverges
    """

    def __init__(
        self, runner: Contestant, rate: float | None, steps: int, problem: Callable[[str], Problem]
    ) -> None:
        self._runner, self._steps, self._problem = runner, steps, problem
        self._rates = [rate] if rate is not None else [rate_of(runner, None) * share for share in LOWER]
        self._lowered = False
        self._problems: dict[str, Problem] = {}
        self._sessions: dict[str, Session | str] = {}

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self._rates[0]

    @property
    def rounding(self) -> float:
        """What the optimizer's own arithmetic rounds, relative to its first step; 0 where that is double precision."""
        found = [one.own_rounding()[0] for one in self._sessions.values() if isinstance(one, Session)]
        return max(found, default=0.0)

    @property
    def how(self) -> str:
        """In what way it was run, where that is not the plain one."""
        parts = [self._runner.how]
        if self._lowered:
            parts.append(f"at its own learning rate {rate_of(self._runner, None):g} it diverges here")
        return "; ".join(filter(None, parts))

    def for_group(self, group: Group) -> tuple[Session | None, str]:
        """The session with a network on which a group acts, or None and why there is none."""
        activation = getattr(group, "activation", None) or PLAIN_ACTIVATION
        if activation not in self._problems:
            self._problems[activation] = self._problem(activation)
        reason = group.unfit(self._problems[activation])
        if reason:
            return None, reason
        if activation not in self._sessions:
            try:
                self._sessions[activation] = self._opened(self._problems[activation])
            except UnauditableError as error:
                # What goes wrong with the units of one group alone says nothing of the others.
                if activation == PLAIN_ACTIVATION:
                    raise
                self._sessions[activation] = f"with {activation} units, {str(error).splitlines()[0]}".rstrip(".")
        found = self._sessions[activation]
        return (None, found) if isinstance(found, str) else (found, "")

    def _opened(self, problem: Problem) -> Session:
        while True:
            session = Session(self._runner, problem, self.rate, self._steps)
            try:
                session.check_repeatable()
            except DivergedError:
                if len(self._rates) == 1 or self._sessions:
                    raise
                del self._rates[0]
                self._lowered = True
            else:
                return session
