"""The audit: what is an optimizer invariant to?  Trajectories of twin networks, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from geomkfac.audit.contestants.choosing import contestant_of
from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.audit.twins.groups import GROUPS, Group
from geomkfac.audit.twins.problem import Problem, random_problem
from geomkfac.audit.verdicts.exact_verdict import exact_verdict
from geomkfac.audit.verdicts.on_network import OnNetwork
from geomkfac.audit.verdicts.other_networks import LOUDNESS, MOST, WIDTHS, refuted
from geomkfac.audit.verdicts.repairs import hinted
from geomkfac.audit.verdicts.report import AuditReport, Finding
from geomkfac.counts import checked_count, is_count
from geomkfac.errors import GeomkfacError, ValuesError
from geomkfac.names import look_up


def chosen_groups(names: Sequence[str] | None) -> tuple[Group, ...]:
    """Groups by their names; all of them for None."""
    if isinstance(names, str):
        raise ValuesError(f"groups are a list of names; came the text {names!r}.  Write groups=[{names!r}].")
    known = {group.name: group for group in GROUPS}
    return GROUPS if names is None else tuple(look_up("group", name, known) for name in names)


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
    chosen, contestant = chosen_groups(groups), contestant_of(optimizer, rate, device)
    count = 1 if isinstance(network, Problem) else networks
    shapes = WIDTHS if widths is None else (tuple(widths),) * count

    def problem(index: int, activation: str) -> Problem:
        if isinstance(network, Problem):
            return network
        return random_problem(
            network, activation=activation, widths=shapes[index], data=data, seed=seed + index, family=contestant.family
        )

    first = OnNetwork(contestant, rate, steps, partial(problem, 0), seed)
    findings, left_out = first.findings(chosen, progress)
    if groups is not None and left_out:
        name, reason = next(iter(left_out.items()))
        raise UnauditableError(f"{name!r} cannot be audited for {contestant.name} here: {reason}.")
    told = [first.how]
    for index in range(1, count):
        invariant = {finding.group for finding in findings if finding.verdict == "invariant"}
        kept = [group for group in chosen if group.name in invariant]
        others, reason = _elsewhere(
            contestant, kept, first.rate, steps, partial(problem, index), LOUDNESS[index], seed + index
        )
        findings = refuted(findings, others)
        told.append(reason)
    if exact and isinstance(contestant, RuleContestant):
        by_name = {group.name: group for group in chosen}
        # Exact runs are of two steps: they have no say in what shows later.
        findings = [
            one
            if one.first <= one.floor < one.last
            else replace(one, exact=exact_verdict(contestant, by_name[one.group], seed))
            for one in findings
        ]
    label = network if isinstance(network, str) else network.name
    return AuditReport(
        contestant.name, label, first.rate, steps, seed, count, "; ".join(filter(None, told)), first.rounding,
        hinted(findings), left_out,
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


def _elsewhere(
    contestant: Contestant,
    groups: Sequence[Group],
    rate: float,
    steps: int,
    problem: Callable[[str], Problem],
    factors: Sequence[float],
    seed: int,
) -> tuple[Sequence[Finding], str]:
    """What is found on a further network, and why nothing is where it cannot be run there."""
    reason = ""
    for factor in factors if contestant.scales else (1.0,):

        def louder(activation: str, factor: float = factor) -> Problem:
            return replace(problem(activation), loudness=factor)

        try:
            found, _ = OnNetwork(contestant, rate, steps, louder, seed).findings(groups)
        except GeomkfacError as error:
            reason = f"on one network less, as on another {str(error).splitlines()[0]}".rstrip(".")
        else:
            return found, ""
    return (), reason
