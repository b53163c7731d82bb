"""`assert_invariant`: is an update rule the same in other bases?  For test-suites of optimizers.

The rule is written over the array contract, from what it may know: weights, inputs and derivatives of
every layer.  It is run on a random network and on its double in other affine bases, LG (2.11); afterwards
the two must compute the same function.  Exactly, with activations and losses of which nothing is assumed,
where the rule is rational; else in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from geomkfac.errors import KindError
from geomkfac.names import look_up
from geomkfac.theorems import Check, Evidence, Sizes
from geomkfac.theorems.exact import exact
from geomkfac.theorems.groups import GROUPS
from geomkfac.theorems.invariance import InvarianceClaim
from geomkfac.theorems.numeric import numeric
from geomkfac.updates import LayerToUpdate, NetworkToUpdate, Update

__all__ = ["LayerToUpdate", "NetworkToUpdate", "Update", "assert_invariant"]


Over = Literal["auto", "GF(p)", "floating"]


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
) -> Evidence:
    """Raise unless an update rule gives the same function in other bases.

    Parameters
    ----------
    update : the rule; it must depend on its argument alone
    activations, preactivations : which changes of basis: ``"affine"``, ``"linear"``, ``"translation"``,
        ``"orthogonal"``, ``"rigid"`` (orthogonal and translated), ``"similarity"`` (times a number besides),
        ``"shear"``, ``"diagonal"``, ``"scalar"``, ``"permutation"`` (the cyclic one) or ``"fixed"``; the inputs and
        outputs of the network are activations
    widths : dimensions of the layers, inputs first; ``(1, 1)`` at least
    data : N; by default enough for every A to be invertible
    covectors : K, of the output metric at each datum; by default enough for every G to be invertible
    steps : updates that follow each other
    over : ``"GF(p)"``: exactly, for rational rules; ``"floating"``; ``"auto"``: exactly unless the rule asks
        for floats, roots or order
    trials : random instances
    seed : nonnegative integer

    Returns
    -------
    Evidence, with the bound on the probability of a false pass, or the tolerance

    Raises
    ------
    AssertionError : the functions differ; it says where, at the smallest widths at which they do.
    UnknownNameError : no such group.
    ShapeError : the rule returned arrays of other shapes than the weights'.

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
    """
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


def _sizes(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> tuple[Sizes, ...]:
    """The sizes asked for, last, and smaller ones to shrink a failure to."""
    asked = _filled(widths, data, covectors, steps)
    smaller = [(1, 1), (1, 1, 1), (2, 2), (2, 2, 2)]
    fitting = [one for one in smaller if sum(one) < sum(widths)]
    return (*(_filled(one, None, None, count) for one in fitting for count in dict.fromkeys((1, steps))), asked)


def _filled(widths: tuple[int, ...], data: int | None, covectors: int | None, steps: int) -> Sizes:
    enough = max(widths) + 2
    return Sizes(widths, data or enough, covectors or max(1, -(-max(widths) // enough) + 1), steps)
