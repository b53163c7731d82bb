"""Rational rules, decided over GF(p): with activations and losses of which nothing is assumed."""

from __future__ import annotations

from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.audit.twins.groups import ChangeOfBasis, Group
from geomkfac.theorems import Check, Sizes
from geomkfac.theorems.engine.exact_evidence import exact
from geomkfac.theorems.instances.basis_groups import GROUPS as OF_ONE_SPACE
from geomkfac.theorems.instances.invariance_claim import InvarianceClaim


def exact_verdict(contestant: RuleContestant, group: Group, seed: int) -> str:
    """'invariant' or 'broken' over GF(p); empty where the rule takes roots or order, or the group is of no one space.

    Exact checks act on all activations, inputs among them, or on all pre-activations: 'activation' and
    'pre-activation' groups alone are decided.
    """
    if not isinstance(group, ChangeOfBasis) or group.action not in OF_ONE_SPACE:
        return ""
    sides = {"activation": (group.action, "fixed"), "pre-activation": ("fixed", group.action)}
    if group.place not in sides:
        return ""
    # Data and covectors enough for every metric to be invertible: 8 parameters more than one product of two.
    sizes = Sizes((2, 3, 2), 12, 2, 2)
    claim = InvarianceClaim(contestant.rule, *sides[group.place])
    try:
        evidence = exact(Check("X", contestant.name, claim, (sizes,), "GF(p)"), (seed, "audit", group.name), 1)
    except Exception:  # It takes roots or order, or is written for NumPy and not over the array contract.
        return ""
    return "invariant" if evidence.holds else "broken"
