"""`assert_invariant`: is an update the same in other bases?  For test-suites of optimizers.

A rule is written over the array contract, from what it may know: weights, inputs and derivatives of
every layer.  It is run on a random network and on its double in other affine bases, LG (2.11); afterwards
the two must compute the same function.  Exactly, with activations and losses of which nothing is assumed,
where the rule is rational; else in floating point.  Any other optimizer is audited on small networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from geomkfac.audit import ARCHITECTURES, AuditReport, Finding, Problem, audit, counterexample
from geomkfac.audit.contestants.contestant import Contestant
from geomkfac.counts import checked_count
from geomkfac.errors import KindError
from geomkfac.names import look_up
from geomkfac.theorems import Check, Evidence, Sizes
from geomkfac.theorems.engine.exact_evidence import exact
from geomkfac.theorems.engine.numeric_evidence import numeric
from geomkfac.theorems.instances.basis_groups import GROUPS
from geomkfac.theorems.instances.invariance_claim import InvarianceClaim
from geomkfac.updates import Update

Over = Literal["auto", "GF(p)", "floating"]


@overload
def assert_invariant(
    update: Update,
    *,
    activations: str = "affine",
    preactivations: str = "affine",
    widths: Sequence[int] = (2, 3, 2),
    data: int | None = None,
    covectors: int | None = None,
    steps: int = 2,
    over: Over = "auto",
    trials: int = 2,
    seed: int = 0,
) -> Evidence: ...


@overload
def assert_invariant(
    update: Any,
    group: str,
    *,
    rate: float | None = None,
    network: str | Problem = "fully connected",
    steps: int = 10,
    trials: int = 2,
    seed: int = 0,
) -> tuple[Finding, ...]: ...


def assert_invariant(update: Any, group: str | None = None, **settings: Any) -> Evidence | tuple[Finding, ...]:
    """Raise unless an update gives the same function in other bases.

    In two forms.  Of a *rule* over the array contract, ``assert_invariant(rule, activations=..., preactivations=...)``:
    the claim, with activations and losses of which nothing is assumed, exactly where the rule is rational.  Of *any
    optimizer* and one group, ``assert_invariant(torch.optim.Adam, "unit permutation")``: what `geomkfac.audit` finds
    on small networks; the message shows the smallest counterexample, to type in.

    Parameters
    ----------
    update : the rule, which must depend on its argument alone; in the second form what `geomkfac.audit` takes, such as
        a class of `torch.optim`, a rule of `geomkfac.updates`, ``on_rule(...)`` or ``on_module(...)``
    group : name of a group of `geomkfac.audit.GROUPS`; None for the first form
    activations, preactivations : first form: which changes of basis, by the names of the table
        `geomkfac.theorems.instances.basis_groups.GROUPS`: ``"affine"``, ``"linear"``, ``"translation"``,
        ``"orthogonal"``, ``"rigid"`` (orthogonal and translated), ``"similarity"`` (times a number besides),
        ``"shear"``, ``"diagonal"``, ``"fixed"``, ...; the inputs and outputs of the network are activations;
        ``"affine"`` by default
    widths : first form: dimensions of the layers, inputs first; ``(1, 1)`` at least
    data : first form: N; by default enough for every A to be invertible
    covectors : first form: K, of the output metric at each datum; by default enough for every G to be invertible
    over : first form: ``"GF(p)"``: exactly, for rational rules; ``"floating"``; ``"auto"``: exactly unless the rule
        asks for floats, roots or order
    rate : second form: the learning rate; None for the optimizer's own
    network : second form: 'fully connected', 'convolutional', 'recurrent', or one's own `problem_of(...)`
    steps : updates that follow each other; 2, or 10 in the second form
    trials : random instances
    seed : nonnegative integer

    Returns
    -------
    Evidence, with the bound on the probability of a false pass, or the tolerance; in the second form a Finding for
    each instance

    Raises
    ------
    AssertionError : the functions differ; it says where, at the smallest sizes at which they do.  In the second form
        also where round-off leaves it undecided.
    UnknownNameError : no such group.
    ShapeError : the rule returned arrays of other shapes than the weights'.
    UnauditableError : second form: the optimizer cannot be run, with the reason.

    Examples
    --------
    >>> def gradient_descent(network):
    ...     return [layer.weights - network.rate * layer.gradient for layer in network.layers]
    >>> def kfac(network):
    ...     solve = network.ns.solve
    ...     return [
    ...         layer.weights - network.rate * solve(layer.G, solve(layer.A, layer.gradient.mT).mT)
    ...         for layer in network.layers
    ...     ]
    >>> assert_invariant(kfac).grade
    'X'
    >>> evidence = assert_invariant(gradient_descent, activations="orthogonal", preactivations="translation")
    >>> assert_invariant(gradient_descent, activations="translation")
    Traceback (most recent call last):
    AssertionError: the update is not invariant ...
    >>> from geomkfac.updates import GradientDescent
    >>> findings = assert_invariant(GradientDescent(), "activation orthogonal")
    >>> assert_invariant(GradientDescent(), "activation translation")
    Traceback (most recent call last):
    AssertionError: GradientDescent(momentum=0) is not invariant: activation translation ...
    """
    if group is None:
        return _of_rule(update, **settings)
    return _of_optimizer(update, group, **settings)


def _of_rule(
    update: Update,
    *,
    activations: str = "affine",
    preactivations: str = "affine",
    widths: Sequence[int] = (2, 3, 2),
    data: int | None = None,
    covectors: int | None = None,
    steps: int = 2,
    over: Over = "auto",
    trials: int = 2,
    seed: int = 0,
) -> Evidence:
    if isinstance(update, type | Contestant):
        raise KindError(
            f"a rule is a function of what it may know of a network; came {update!r}.\nName a group for any other "
            'optimizer: assert_invariant(optimizer, "activation translation").'
        )
    for group in (activations, preactivations):
        look_up("group of changes of basis", group, GROUPS)
    look_up("kind of scalars", over, dict.fromkeys(("auto", "GF(p)", "floating")))
    rule = InvarianceClaim(update, activations, preactivations)
    name = getattr(update, "__qualname__", type(update).__name__)
    key = (seed, "assert_invariant", activations, preactivations)
    sizes = _sizes(tuple(widths), data, covectors, steps)
    evidence = None
    if over != "floating":
        try:
            evidence = exact(Check("X", name, rule, sizes, "GF(p)"), key, trials)
        except KindError:
            if over == "GF(p)":
                raise
    if evidence is None:
        # The full round-off of a basis change there and back, for the metric and for the step.
        many = tuple(Sizes(one.widths, 5 * one.data, one.covectors, one.steps) for one in sizes)
        evidence = numeric(Check("N", name, rule, many, "floating", condition_power=4), key, trials)
    if not evidence.holds:
        raise AssertionError(
            f"the update is not invariant under {activations} changes of the activations' bases and "
            f"{preactivations} changes of the pre-activations'.\n  rule : {name}\n  found: {evidence.text}\n"
            f"Again: assert_invariant({name}, activations={activations!r}, preactivations={preactivations!r}, "
            f"widths={tuple(widths)}, steps={steps}, seed={seed})"
        )
    return evidence


def _of_optimizer(
    optimizer: Any,
    group: str,
    *,
    rate: float | None = None,
    network: str | Problem = "fully connected",
    steps: int = 10,
    trials: int = 2,
    seed: int = 0,
) -> tuple[Finding, ...]:
    checked_count("the number of random instances", trials)
    found = []
    for one in range(seed, seed + trials):
        report = audit(optimizer, groups=[group], rate=rate, network=network, steps=steps, seed=one, exact=False)
        finding = report.finding(group)
        if finding.verdict != "invariant":
            raise AssertionError(_refuted(report, finding, optimizer, rate, one))
        found.append(finding)
    return tuple(found)


def _refuted(report: AuditReport, finding: Finding, optimizer: Any, rate: float | None, seed: int) -> str:
    verdict = "is not invariant" if finding.verdict in ("broken", "first order") else "could not be decided"
    lines = [
        f"{report.optimizer} {verdict}: {finding.group} ({finding.verdict}).",
        f"  discrepancy of the functions, relative to how far they moved: {finding.first:.2g} after one step, "
        f"{finding.last:.2g} after {report.steps}; round-off explains {finding.floor:.2g}",
        f"  a {report.network} network, learning rate {report.rate:g}, seed {seed}",
    ]
    if finding.verdict == "first order":
        lines.append(f"  to first order it is: the discrepancy falls as the learning rate to the {finding.slope:.2f}")
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    if finding.verdict == "broken" and report.network in ARCHITECTURES:
        example = counterexample(optimizer, finding.group, rate=rate, steps=report.steps, seed=seed)
        if example is not None:
            lines += ["The smallest network found:", *(f"  {line}" for line in str(example).splitlines())]
    return "\n".join(lines)


def _sizes(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> tuple[Sizes, ...]:
    """The sizes asked for, last, and smaller ones to shrink a failure to."""
    asked = _filled(widths, data, covectors, steps)
    smaller = [(1, 1), (1, 1, 1), (2, 2), (2, 2, 2)]
    fitting = [one for one in smaller if sum(one) < sum(widths)]
    return (*(_filled(one, None, None, count) for one in fitting for count in dict.fromkeys((1, steps))), asked)


def _filled(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> Sizes:
    enough = max(widths) + 2
    return Sizes(widths, data or enough, covectors or max(1, -(-max(widths) // enough) + 1), steps)
