"""The audit: reference rules get exactly their proven profiles; PyTorch optimizers what their sources say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from geomkfac.audit import GROUPS, UnauditableError, audit
from geomkfac.audit.loading import named_optimizer
from geomkfac.audit.problem import Problem, draw_bases, identity_bases
from geomkfac.errors import KindError, UnknownNameError, ValuesError
from geomkfac.updates import (
    DiagonalFisher,
    EigenvalueCorrectedKfac,
    Foof,
    GradientDescent,
    Kfac,
    NaturalGradient,
    UnitwiseNaturalGradient,
)

NAMES = tuple(group.name for group in GROUPS if group.name != "loss scale")
EVERYTHING = set(NAMES)
ISOMETRIES = {"permutation", "sign", "pre-activation shift", "activation orthogonal", "pre-activation orthogonal"}
OF_ACTIVATIONS = {name for name in NAMES if name.startswith("activation")}
UNITS = {"permutation", "sign", "pre-activation shift", "pre-activation scalar", "pre-activation diagonal"}
PROFILES = {
    GradientDescent(): ISOMETRIES,
    GradientDescent(momentum=Fraction(1, 2)): ISOMETRIES,
    NaturalGradient(): EVERYTHING,
    Kfac(): EVERYTHING,
    Kfac(joint=False): EVERYTHING - {"activation translation", "activation affine"},
    Kfac(damping=1): ISOMETRIES,
    Foof(): OF_ACTIVATIONS | ISOMETRIES,
    DiagonalFisher(): UNITS | {"activation scalar", "activation diagonal"},
    UnitwiseNaturalGradient(): UNITS | OF_ACTIVATIONS,
    EigenvalueCorrectedKfac(): ISOMETRIES | {"pre-activation scalar"},
}


@pytest.mark.parametrize("rule", PROFILES, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_reference_rules_get_their_proven_profiles(rule, seed):
    # The exact Fisher matrix of a deep tanh network is nearly degenerate: of one hidden layer it is not.
    sizes = {"widths": (2, 2), "rate": 1e-3} if isinstance(rule, NaturalGradient) else {}
    report = audit(rule, groups=NAMES, seed=seed, **sizes)
    kept = {finding.group for finding in report.findings if finding.verdict == "invariant"}
    assert kept == PROFILES[rule]
    assert {finding.verdict for finding in report.findings} <= {"invariant", "broken"}


def test_a_double_computes_the_same_function():
    problem = Problem.random((3, 4, 2), 10, 0)
    here = problem.probabilities(problem.weights, identity_bases(problem.widths))
    for group in GROUPS:
        bases = draw_bases(problem.widths, group, np.random.default_rng(1))
        weights, inputs = problem.double(bases)
        # Two layers of 4 products, in bases of the condition number that is known.
        allowed = 16 * bases.condition**2 * np.finfo(float).eps
        assert np.abs(problem.probabilities(weights, bases) - here).max() <= allowed, group.name
        assert np.abs(inputs - problem.moved(problem.inputs, bases)).max() == 0


def test_a_smooth_but_curved_update_is_invariant_to_first_order():
    """The exact natural gradient, and a term of second order in the rate that belongs to no basis."""

    def rule(network):
        steps = NaturalGradient()(network)
        return [new + network.rate**2 * layer.gradient for new, layer in zip(steps, network.layers, strict=True)]

    from geomkfac.audit.runs import RuleContestant
    from geomkfac.audit.verdicts import _Session

    group = next(group for group in GROUPS if group.name == "activation affine")
    problem = Problem.random((2, 2), 60, 0)
    session = _Session(RuleContestant(rule, "curved"), problem, 0.05, 2)
    finding = session.finding(group, draw_bases(problem.widths, group, np.random.default_rng(1)))
    assert finding.verdict == "first order"
    assert finding.slope == pytest.approx(1, abs=0.2)


def test_a_rule_that_is_not_deterministic_is_refused():
    from geomkfac.audit.runs import RuleContestant
    from geomkfac.audit.verdicts import _Session

    rng = np.random.default_rng(0)
    noisy = RuleContestant(lambda network: [layer.weights + rng.random() for layer in network.layers], "noisy")
    with pytest.raises(UnauditableError, match="noisy is not deterministic"):
        _Session(noisy, Problem.random((2, 2), 5, 0), 0.1, 2).check_repeatable()


def test_a_rule_that_diverges_is_inconclusive():
    from geomkfac.audit.runs import RuleContestant
    from geomkfac.audit.verdicts import _Session

    lost = RuleContestant(lambda network: [layer.weights * np.nan for layer in network.layers], "lost")
    group, problem = GROUPS[0], Problem.random((2, 2), 5, 0)
    session = _Session(lost, problem, 0.1, 2)
    assert session.finding(group, draw_bases(problem.widths, group, None)).verdict == "inconclusive"
    with pytest.raises(UnauditableError, match="Use a smaller rate"):
        audit(NaturalGradient(), data=2)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValuesError, "2 steps or more", lambda: audit(Kfac(), steps=1)),
        (UnknownNameError, "Did you mean 'activation affine'", lambda: audit(Kfac(), groups=["activation afine"])),
        (KindError, "an optimizer class, a function", lambda: audit("Adam")),
        (ValuesError, "module:name", lambda: named_optimizer("torch.optim.Adam")),
        (UnknownNameError, "cannot be imported", lambda: named_optimizer("no_such_module:Adam")),
        (UnknownNameError, "Did you mean 'Kfac'", lambda: named_optimizer("geomkfac.updates:Kfca")),
    ],
)
def test_what_makes_no_sense_is_refused(error, text, call):
    with pytest.raises(error, match=text):
        call()


# -- PyTorch -----------------------------------------------------------------------------------------------
def test_torch_optimizers_are_what_their_sources_say():
    torch = pytest.importorskip("torch")
    assert {f.group for f in audit(torch.optim.SGD, groups=NAMES).findings if f.verdict == "invariant"} == ISOMETRIES
    adam = audit(torch.optim.Adam)
    # Entry by entry, so permutations and signs; gradients of pre-activation shifts are the same.
    kept = {finding.group for finding in adam.findings if finding.verdict == "invariant"}
    assert kept == {"permutation", "sign", "pre-activation shift"}
    # Its epsilon, 1e-8, shows against the scale of the loss, and nothing else does.
    scale = adam.findings[-1]
    assert scale.group == "loss scale"
    assert scale.verdict == "broken"
    assert 1e-9 < scale.first < 1e-4
    # Weight decay pulls to the zero of the coordinates.
    decayed = audit(torch.optim.AdamW, groups=["pre-activation shift"]).findings[0]
    assert decayed.verdict == "broken"
    assert decayed.first < 0.1


def test_rules_and_torch_take_the_same_steps():
    torch = pytest.importorskip("torch")
    one = audit(GradientDescent(), rate=0.1, groups=["activation translation"]).findings[0]
    two = audit(torch.optim.SGD, rate=0.1, groups=["activation translation"]).findings[0]
    assert one.first == pytest.approx(two.first, rel=1e-10)
    assert one.last == pytest.approx(two.last, rel=1e-8)


def test_optimizers_with_demands_are_handled_or_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(UnauditableError, match=r"SparseAdam cannot take a step here: .*dense"):
        audit(torch.optim.SparseAdam)
    # A closure is always passed.
    report = audit(torch.optim.LBFGS, rate=0.1, groups=["permutation"], steps=2)
    assert report.optimizer == "LBFGS"
    if hasattr(torch.optim, "Muon"):
        muon = audit(torch.optim.Muon, groups=["permutation"])
        assert "weight matrices alone" in muon.how
    with pytest.raises(UnauditableError, match="cannot be made of parameters alone"):
        audit(lambda parameters, momentum, lr=0.1: torch.optim.SGD(parameters, lr=lr, momentum=momentum))


def test_the_command_prints_a_row_for_every_group(capsys):
    import json

    from geomkfac.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["audit", "geomkfac.updates:Kfac", "--steps", "3"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(group.name in out for group in GROUPS)
    with pytest.raises(SystemExit):
        main(["audit", "geomkfac.updates:GradientDescent", "--group", "activation translation", "--json"])
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["verdict"] == "broken"


def test_the_hint_of_a_joint_bias_is_given_where_it_helps():
    findings = {finding.group: finding for finding in audit(Kfac(joint=False)).findings}
    assert "one block" in findings["activation translation"].hint
    assert not any(finding.hint for finding in audit(GradientDescent()).findings)
