"""The audit, checked against itself: reference rules get exactly their proven profiles, over five seeds."""

from __future__ import annotations

import pytest

from geomkfac.audit import GROUPS, ChangeOfBasis, OfUnits, audit
from geomkfac.updates import EigenvalueCorrectedKfac, NaturalGradient, Newton, PolarStep, Shampoo

from ..updates.profiles import FLOATING, RATIONAL, kept

RULES = RATIONAL | FLOATING
SIDES = {"input": 0, "activation": 0, "pre-activation": 1, "output": 1}
UNITS = {
    "unit permutation": ("permutation", "permutation"),
    "unit sign": ("sign", "sign"),
    "unit rescaling": ("diagonal", "diagonal"),
    "logistic to tanh": ("unit-wise affine", "scalar"),
}
SCALED = (Newton(), PolarStep(), Shampoo())
"""Rules whose step does not change with the scale of the loss, where the metric stays: of degree 0 in the gradient."""

EXACTLY = (0, 3)
"""Seeds with which exact arithmetic is asked besides."""


def expected(rule):
    """The names of all groups to which a rule is invariant."""
    profile, found = RULES[rule], set()
    for group in GROUPS:
        if isinstance(group, ChangeOfBasis):
            # G of independent binary outputs is diagonal, and so is its root.
            whitening = "unit-wise affine" if group.place == "output" else "affine"
            if kept(profile, SIDES[group.place], whitening if group.action == "whitening" else group.action):
                found.add(group.name)
        elif isinstance(group, OfUnits):
            sides = UNITS[group.name]
            if all(kept(profile, side, action) for side, action in enumerate(sides)):
                found.add(group.name)
    if isinstance(rule, EigenvalueCorrectedKfac):
        # Its eigenbasis of a diagonal G is that of the coordinates, which a diagonal change keeps.
        found |= {"output diagonal", "output unit-wise affine", "output whitening"}
    return found | ({"loss scale"} if rule in SCALED else set())


def audited(rule, seed, steps):
    # On a second network, with a louder loss, for one of the seeds.
    common = {"seed": seed, "exact": seed in EXACTLY, "networks": 2 if seed == 1 else 1, "steps": steps}
    if isinstance(rule, NaturalGradient):
        # The Fisher matrix of all weights is nearly degenerate, the more so the wider the network.
        return audit(rule, widths=(2, 2, 2), data=200, rate=1e-3, **common)
    return audit(rule, widths=(2, 3, 2), data=30, rate=1e-3 if isinstance(rule, Newton) else None, **common)


SHORT = [pytest.param(rule, index % 5, 2, id=f"{rule}-{index % 5}-2 steps") for index, rule in enumerate(RULES)]
"""Every rule once, and every seed."""
LONG = [
    pytest.param(rule, seed, 10, id=f"{rule}-{seed}", marks=pytest.mark.slow) for rule in RULES for seed in range(5)
]


@pytest.mark.parametrize(("rule", "seed", "steps"), [*SHORT, *LONG])
def test_reference_rules_get_exactly_their_proven_profiles(rule, seed, steps):
    report = audited(rule, seed, steps)
    invariant = {finding.group for finding in report.findings if finding.verdict == "invariant"}
    broken = {finding.group for finding in report.findings if finding.verdict == "broken"}
    assert invariant == expected(rule) - set(report.left_out)
    assert invariant | broken == {finding.group for finding in report.findings}
    # Layouts are of parameters, which rules do not see; and undamped metrics degenerate with the units of some groups.
    assert {name for name in report.left_out if name not in UNITS} == {
        group.name for group in GROUPS if hasattr(group, "storage")
    }
    # Where exact arithmetic has a say, it says the same.
    for finding in report.findings:
        assert finding.exact in ("", finding.verdict)
    assert any(finding.exact for finding in report.findings) == (rule in RATIONAL and seed in EXACTLY)
