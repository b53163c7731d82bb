"""Verdicts: what rules deserve on every architecture, what drowns, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import LIBRARY_ON, namespace_of
from geomkfac.audit import (
    GROUPS,
    ChangeOfBasis,
    OfUnits,
    UnauditableError,
    audit,
    on_rule,
    problem_of,
    random_problem,
)
from geomkfac.audit.contestants.named import named_optimizer
from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.audit.counterexample import counterexample
from geomkfac.audit.symmetries import contains, symmetries
from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.groups import PLACES
from geomkfac.audit.twins.twin import Twin
from geomkfac.audit.verdicts.discrepancies import Discrepancies
from geomkfac.audit.verdicts.judging import judged
from geomkfac.errors import ConditioningError, KindError, UnknownNameError, ValuesError
from geomkfac.metrics import Categorical, Gaussian
from geomkfac.updates import DampedKfac, DiagonalFisher, Foof, GradientDescent, Kfac, NaturalGradient, Newton, PolarStep

ISOMETRIES = {
    f"{place} {action}"
    for place in ("input", "activation", "pre-activation", "output")
    for action in ("sign", "permutation", "orthogonal")
} | {"pre-activation shift", "output shift", "unit permutation", "unit sign"}


def first_only(cases):
    """The first of some cases, and the others where slow tests are asked for."""
    first, *others = cases
    return [first, *(pytest.param(case, marks=pytest.mark.slow) for case in others)]


def verdicts(report, verdict="invariant"):
    return {finding.group for finding in report.findings if finding.verdict == verdict}


def one(rule, group, **settings):
    """The finding of a rule that is written in a test."""
    return audit(RuleContestant(rule, "planted"), groups=[group], **settings).findings[0]


# -- devices -----------------------------------------------------------------------------------------------
@pytest.fixture
def elsewhere(monkeypatch):
    """A device whose arrays NumPy cannot read, by the name of one that every machine has."""
    monkeypatch.setitem(LIBRARY_ON, "device1", "array_api_strict")
    return "device1"


@pytest.mark.parametrize(
    "rule", first_only([PolarStep(), GradientDescent(momentum=0.5), Kfac(joint=False), Newton()]), ids=str
)
def test_rules_compute_on_a_device_and_have_the_same_profiles(rule, elsewhere):
    seen = []

    def watched(network):
        seen.append((network.ns.name, {namespace_of(part).name for layer in network.layers for part in parts(layer)}))
        return rule(network)

    settings = {"steps": 3, "exact": False, "networks": 1}
    there, here = audit(RuleContestant(watched, "watched"), device=elsewhere, **settings), audit(rule, **settings)
    assert there.how == "on device1"
    assert not here.how
    assert [(one.group, one.verdict) for one in there.findings] == [(one.group, one.verdict) for one in here.findings]
    assert all("device1" in name and names == {name} for name, names in seen)


def parts(layer):
    return layer.weights, layer.inputs, layer.derivatives, layer.coefficients, layer.covectors


def test_a_rule_must_stay_on_the_device(elsewhere):
    def leaves(network):
        return [np.zeros(layer.weights.shape) for layer in network.layers]

    with pytest.raises(UnauditableError, match=r"arrays of float64 \(array_api_strict float64 on device1\)"):
        audit(RuleContestant(leaves, "leaves"), device=elsewhere)


@pytest.mark.parametrize("widths", first_only([(1, 2, 1), (2, 3, 2)]))
def test_counterexamples_and_symmetries_are_found_on_a_device(elsewhere, widths):
    group, rule = "activation diagonal", GradientDescent()
    there, here = counterexample(rule, group, device=elsewhere), counterexample(rule, group)
    # Everything but the last digits of what was trained.
    assert str(there).splitlines()[:-2] == str(here).splitlines()[:-2]
    dimensions = [symmetries(rule, widths=widths, device=device).dimension for device in (elsewhere, "cpu")]
    assert dimensions[0] == dimensions[1]


# -- architectures with shared weights ---------------------------------------------------------------------
@pytest.mark.parametrize("rule", first_only([Kfac(joint=False), Kfac(), GradientDescent()]), ids=str)
@pytest.mark.parametrize("architecture", ["convolutional", "recurrent"])
def test_profiles_are_the_same_where_weights_are_shared(architecture, rule):
    report = audit(rule, network=architecture, steps=3, exact=False)
    everything = {finding.group for finding in report.findings}
    moved = {"translation", "unit-wise affine", "affine", "whitening"}
    lost = {f"{place} {action}" for place in ("input", "activation") for action in moved} | {"logistic to tanh"}
    expected = {
        GradientDescent(): ISOMETRIES,
        Kfac(): everything - {"loss scale"},
        Kfac(joint=False): everything - lost - {"loss scale"},
    }
    assert verdicts(report) == expected[rule]
    assert verdicts(report, "broken") == everything - expected[rule]


def test_ones_own_network_is_audited_with_its_own_family():
    rng = np.random.default_rng(0)
    Ws = [rng.standard_normal(shape) for shape in ((4, 3), (2, 4))]
    net, weights, iota = gk.MLP.from_arrays(Ws, [rng.standard_normal(len(W)) for W in Ws], activation="logistic")
    X = rng.standard_normal((80, 3))
    regression = problem_of(net, weights, iota, X, rng.standard_normal((80, 2)), Gaussian())
    report = audit(Kfac(), network=regression, steps=3, rate=1e-3)
    assert report.network == "given"
    assert verdicts(report, "broken") == {"loss scale"}
    assert report.finding("logistic to tanh").verdict == "invariant"
    assert "odd" in report.left_out["unit sign"] or "tanh" in report.left_out["unit sign"]
    # Logits of classes have a null direction: an undamped rule has no step, and says so.
    classes = problem_of(net, weights, iota, X, rng.integers(0, 2, 80), Categorical())
    with pytest.raises(UnauditableError, match="singular to working precision"):
        audit(Kfac(), network=classes)
    damped = audit(DampedKfac(1), network=classes, steps=3, groups=["activation affine", "activation orthogonal"])
    assert [finding.verdict for finding in damped.findings] == ["broken", "invariant"]


# -- how a verdict comes about -----------------------------------------------------------------------------
def test_a_gap_that_vanishes_with_the_rate_is_invariance_to_first_order():
    """The natural gradient, and a term of second order in the rate that belongs to no basis."""

    def rule(network):
        steps = NaturalGradient()(network)
        return [new + network.rate**2 * layer.gradient for new, layer in zip(steps, network.layers, strict=True)]

    finding = one(rule, "activation affine", widths=(2, 2, 2), data=200, rate=1e-3)
    assert finding.verdict == "first order"
    assert finding.slope == pytest.approx(1, abs=0.15)


def test_a_real_gap_is_the_same_in_float32_and_round_off_is_not():
    lost = audit(GradientDescent(), groups=["activation diagonal"], networks=1).findings[0]
    assert lost.growth == pytest.approx(1, abs=1e-3)
    kept = audit(GradientDescent(), groups=["activation orthogonal"], networks=1).findings[0]
    # Of the order of the two units of rounding, 2^-24 and 2^-53.
    assert kept.growth > 1e6
    assert np.isfinite(kept.growth)


def test_a_gap_that_shows_after_the_first_step_alone_is_seen():
    """Gradient descent that adds the gradient of its second step, scaled entry by entry."""

    def rule(network):
        scale = 1.0 if network.step == 0 else np.arange(1.0, 4.0)
        return [
            layer.weights - network.rate * layer.gradient * (scale if layer.gradient.shape[1] == 3 else 1.0)
            for layer in network.layers
        ]

    finding = one(rule, "input orthogonal", steps=5, rate=0.1)
    assert finding.first <= finding.floor
    assert finding.verdict == "broken"


def test_a_change_of_basis_that_drowns_the_answer_is_inconclusive():
    problem = random_problem()
    (hidden, _) = problem.spaces_at("activation")
    measured = Discrepancies(RuleContestant(Kfac()), problem, 0.01, 2)
    group = next(group for group in GROUPS if group.name == "activation diagonal")
    found = {}
    for stretch in (4.0, 1e7):
        kappa = problem.iota.change({hidden: (np.diag([1.0, stretch, 1.0]), None)})
        found[stretch] = judged(measured, group, Double(kappa, stretch))
    assert found[4.0].verdict == "invariant"
    assert found[1e7].verdict == "inconclusive"
    assert found[1e7].condition == 1e7
    assert found[1e7].floor > 0.1


@pytest.mark.parametrize("digits", [8, 11, 15, 24])
@pytest.mark.parametrize("seed", first_only(range(5)))
def test_an_optimizer_that_rounds_more_than_its_parameters_is_not_called_broken(digits, seed):
    """Its rounding is measured, and is part of the floor; a difference far beyond that is still one."""

    def rule(network):
        return [layer.weights - network.rate * rounded(layer.gradient) for layer in network.layers]

    def rounded(g):
        mantissa, exponent = np.frexp(g)
        return np.ldexp(np.round(mantissa * 2**digits) / 2**digits, exponent).astype(g.dtype)

    groups = ["activation orthogonal", "pre-activation orthogonal", "activation translation"]
    report = audit(on_rule(rule), groups=groups, rate=0.1, seed=seed, networks=1)
    *kept, lost = report.findings
    # The rounding of entries of 29, against the step: within two orders of magnitude of its unit.
    assert 2.0**-digits / 100 <= report.rounding <= 100 * 2.0**-digits
    for finding in kept:
        assert finding.first > 1e-10
        assert finding.verdict in ("invariant", "inconclusive")
    # A gap of about 1; with 8 digits round-off may explain it.
    assert lost.verdict == "broken" or (digits == 8 and lost.verdict == "inconclusive")


@pytest.mark.parametrize("rule", [GradientDescent(), Kfac(), DampedKfac(1), PolarStep()], ids=str)
@pytest.mark.parametrize("seed", first_only(range(3)))
def test_a_smooth_step_has_no_rounding_of_its_own(rule, seed):
    report = audit(rule, groups=["activation orthogonal"], seed=seed, networks=1, exact=False)
    # Of an ill-conditioned metric double precision itself shows.
    assert report.rounding < 1e-10


def test_an_update_that_goes_round_is_no_friend_of_permutations():
    """A cyclic coupling of units commutes with cyclic permutations, and with no others."""

    def rule(network):
        return [
            layer.weights - network.rate * (layer.gradient + 0.5 * np.roll(layer.gradient, 1, axis=0))
            for layer in network.layers
        ]

    report = audit(on_rule(rule), groups=["pre-activation permutation", "unit permutation"], rate=0.1)
    assert verdicts(report, "broken") == {"pre-activation permutation", "unit permutation"}


def test_jumps_of_a_rule_are_not_taken_for_rounding():
    report = audit(
        RuleContestant(lambda network: [x.weights - 0.01 * np.sign(x.gradient) for x in network.layers], "signs"),
        groups=["activation permutation", "activation orthogonal", "unit rescaling"],
    )
    assert report.rounding == 0
    assert [finding.verdict for finding in report.findings] == ["invariant", "broken", "broken"]


def test_what_one_network_keeps_by_luck_another_one_refutes():
    """Clipped at 1, where gradients are about 0.01: on a network with a louder loss they are not."""

    def rule(network):
        return [layer.weights - network.rate * np.clip(layer.gradient, -1, 1) for layer in network.layers]

    groups = ["activation orthogonal", "activation sign"]
    once = audit(on_rule(rule), groups=groups, networks=1)
    assert [finding.verdict for finding in once.findings] == ["invariant", "invariant"]
    twice = audit(on_rule(rule), groups=groups)
    assert [finding.verdict for finding in twice.findings] == ["broken", "invariant"]
    assert (once.networks, twice.networks) == (1, 2)


# -- the same answer by other means ------------------------------------------------------------------------
RULES = (GradientDescent(), Kfac(), Kfac(joint=False), Foof(), DiagonalFisher())
BARELY_DAMPED = Kfac(damping=Fraction(1, 10**9))


@pytest.mark.parametrize("rule", first_only([Kfac(joint=False), *RULES[:2], *RULES[3:], BARELY_DAMPED]), ids=str)
def test_the_lie_algebra_holds_what_the_audit_calls_invariant(rule):
    found = symmetries(rule, widths=(2, 3, 2))
    problem = random_problem(widths=(2, 3, 2))
    report = audit(rule, widths=(2, 3, 2), exact=False)
    for group in GROUPS:
        if isinstance(group, ChangeOfBasis):
            holds = contains(found, problem, group)
            # All but the discrete groups, and the one member that whitens, have an algebra.
            assert (holds is None) == (group.action in ("sign", "permutation", "whitening"))
            assert holds in (None, report.verdict(group.name) == "invariant"), group.name


# Of the affine groups of spaces of 2, 3, 3 and 2 dimensions: 6 + 12 + 12 + 6.
DIMENSIONS = {
    # Rotations of every space, and shifts of pre-activations and outputs.
    GradientDescent(): (1 + 3 + 3 + 1) + (3 + 2),
    Kfac(): 36,
    Kfac(joint=False): 36 - 5,
    # Everything of inputs and activations; of the others what gradient descent has.
    Foof(): (6 + 12) + (3 + 1) + (3 + 2),
    DiagonalFisher(): (2 + 3 + 3 + 2) + (3 + 2),
}


@pytest.mark.parametrize("rule", first_only(RULES), ids=str)
def test_the_dimension_of_the_algebra_is_that_of_theory(rule):
    assert symmetries(rule, widths=(2, 3, 2)).dimension == DIMENSIONS[rule]


def test_a_damping_of_1e_9_leaves_no_algebra_of_all_changes():
    found = symmetries(BARELY_DAMPED, widths=(2, 3, 2))
    least, most = found.bounds
    # What gradient descent keeps, and all but what rounding hides.
    assert least >= 13 and most < 36
    if least < most:
        with pytest.raises(ConditioningError, match=f"between {least} and {most}"):
            found.dimension  # noqa: B018


# -- counterexamples ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "group"),
    [
        (GradientDescent(), "activation diagonal"),
        (GradientDescent(), "input translation"),
        (Kfac(joint=False), "activation translation"),
        (DiagonalFisher(), "pre-activation orthogonal"),
        (Foof(), "unit rescaling"),
    ],
    ids=str,
)
def test_a_counterexample_is_one_when_typed_in(rule, group):
    found = counterexample(rule, group)
    assert found.group == group
    if isinstance(next(one for one in GROUPS if one.name == group), OfUnits):
        assert found.activation == "relu"
    probabilities = []
    # From the printed arrays alone: two networks that are built apart, and trained.
    for Ws, bs, X, changes in (
        (found.weights, found.biases, found.X, {}),
        (found.double_weights, found.double_biases, found.double_X, found.changes),
    ):
        net, iota = gk.MLP.from_widths((X.shape[1], *map(len, bs)), found.activation or "tanh")
        kappa = iota.change({space: changes[str(space.name)] for space in iota if str(space.name) in changes})
        weights = net.weights_from_arrays(list(Ws), list(bs), kappa)
        data, loss = kappa.sample(X, found.y), gk.Bernoulli().on(iota)
        from geomkfac.updates import NetworkToUpdate
        from geomkfac.updates.on_networks import layers_to_update

        state = {}
        for step in range(found.steps):
            layers = layers_to_update(net, weights, data, loss)
            moved = rule(NetworkToUpdate(layers, np.asarray(found.rate), step, state, layers[0].ns))
            weights = net.weight_space.from_coordinates(moved, kappa)
        probe = net.inputs.from_coordinates(found.probe[None, :], iota)
        probabilities.append(np.asarray(net.predictions(weights, probe, loss))[0])
    assert np.abs(probabilities[0] - found.here).max() <= 1e-12
    assert np.abs(probabilities[1] - found.there).max() <= 1e-12
    assert np.abs(found.here - found.there).max() > 1e-9
    text = str(found)
    assert "its double" in text
    assert "W1 " in text
    assert "b1' =" in text


def test_where_a_rule_is_invariant_no_counterexample_is_found():
    assert counterexample(GradientDescent(), "activation orthogonal", steps=3) is None


# -- refusals ----------------------------------------------------------------------------------------------
NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("not deterministic", lambda net: [x.weights + 1e-3 * NOISE.random() for x in net.layers]),
        ("does not move", lambda net: [x.weights for x in net.layers]),
        ("diverges at rate 1e-05 .*not finite", lambda net: [x.weights * np.nan for x in net.layers]),
        ("diverges at rate 1e-05 .*its loss goes", lambda net: [x.weights + 1e3 for x in net.layers]),
    ],
)
def test_what_gives_no_answer_is_refused(text, rule):
    with pytest.raises(UnauditableError, match=text):
        one(rule, "activation sign")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("came    : NoneType", lambda net: None),
        ("float64 \\(1, 3\\)", lambda net: [x.weights[:1] for x in net.layers]),
        ("does not return new weights", lambda net: [x.weights for x in net.layers][:1]),
        ("arrays of float64", lambda net: [x.weights.astype("float32") for x in net.layers]),
        ("cannot solve: Singular matrix", lambda net: [np.linalg.solve(0 * x.G, x.weights) for x in net.layers]),
        ("cannot take a step: ZeroDivisionError", lambda net: [x.weights / (1 // 0) for x in net.layers]),
    ],
)
def test_what_a_rule_does_wrong_is_said_of_the_rule(text, rule):
    with pytest.raises(UnauditableError, match=text) as failure:
        one(rule, "activation sign")
    assert "planted" in str(failure.value)


def test_a_rule_for_numpy_arrays_has_no_exact_evidence():
    def rule(network):
        return [x.weights - network.rate * np.asarray(x.gradient) for x in network.layers]

    finding = one(rule, "activation orthogonal", networks=1)
    assert (finding.verdict, finding.exact) == ("invariant", "")


def test_a_rate_at_which_it_diverges_is_lowered_and_said():
    def rule(network):
        return [x.weights - 3e5 * network.rate * x.gradient for x in network.layers]

    report = audit(RuleContestant(rule, "hasty"), groups=["activation orthogonal"])
    assert report.rate < 0.01
    assert "at its own learning rate 0.01 it diverges here" in report.how
    assert report.verdict("activation orthogonal") == "invariant"
    with pytest.raises(UnauditableError, match=r"diverges at rate 0\.01"):
        audit(RuleContestant(rule, "hasty"), groups=["activation orthogonal"], rate=0.01)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ValuesError, "2 steps or more", lambda: audit(Kfac(), steps=1)),
        (ValuesError, "2 steps or more", lambda: audit(Kfac(), steps=True)),
        (ValuesError, "1 to 3 networks, not 0", lambda: audit(Kfac(), networks=0)),
        (ValuesError, "1 to 3 networks, not 4", lambda: audit(Kfac(), networks=4)),
        (UnknownNameError, "Did you mean 'activation affine'", lambda: audit(Kfac(), groups=["activation afine"])),
        (ValuesError, "came 'transformer'", lambda: audit(Kfac(), network="transformer")),
        (KindError, "Import it first", lambda: audit("Adam")),
        (KindError, "Pass its class", lambda: audit(3)),
        (ValuesError, "Write groups", lambda: audit(Kfac(), groups="activation sign")),
        (ValuesError, "a positive number, not nan", lambda: audit(Kfac(), rate=float("nan"))),
        (ValuesError, "a seed must be a nonnegative int", lambda: audit(Kfac(), seed=-1)),
        (ValuesError, "two positive integers", lambda: audit(Kfac(), widths=(2, 0, 2))),
        (ValuesError, "have their own", lambda: audit(Kfac(), widths=(2, 2), network="recurrent")),
        (UnauditableError, "one layout", lambda: audit(Kfac(), groups=["transposed weights"])),
        (UnauditableError, "no activations", lambda: audit(Kfac(), groups=["activation sign"], widths=(2, 2))),
        (ValuesError, "one random network or more", lambda: symmetries(Kfac(), instances=0)),
        (ValuesError, "module:name", lambda: named_optimizer("torch.optim.Adam")),
        (UnknownNameError, "cannot be imported", lambda: named_optimizer("no_such_module:Adam")),
        (UnknownNameError, "Did you mean 'Kfac'", lambda: named_optimizer("geomkfac.updates:Kfca")),
    ],
)
def test_what_makes_no_sense_is_refused(error, text, call):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("text", "X", "y"),
    [
        ("float32", np.zeros((4, 2), dtype="float32"), np.zeros((4, 2))),
        ("two data", np.zeros((1, 2)), np.zeros((1, 2))),
    ],
)
def test_data_that_cannot_be_compared_on_are_refused(text, X, y):
    net, iota = gk.MLP.from_widths((2, 2))
    weights = net.random_weights(np.random.default_rng(0), iota)
    with pytest.raises(ValuesError, match=text):
        problem_of(net, weights, iota, X, y, Gaussian())


def test_a_twin_has_its_dtype():
    problem = random_problem(data=4)
    short = Twin(problem, problem.iota, "float32")
    assert {part.dtype for pair in short.start for part in pair} == {np.dtype("float32")}
    assert short.inputs.dtype == np.float32


# -- reports -----------------------------------------------------------------------------------------------
JOINED = ["input diagonal", "activation translation", "activation diagonal", "activation orthogonal"]
DAMPED = [f"{place} {action}" for place in PLACES for action in ("scalar", "diagonal", "orthogonal")]


@pytest.mark.parametrize("groups", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["some groups", "all"])
def test_hints_are_given_where_they_help(groups):
    def audited(rule, names):
        return audit(rule, groups=names if groups else None, exact=False)

    assert "one block" in audited(Kfac(joint=False), JOINED).finding("activation translation").hint
    assert not any(finding.hint for finding in audited(GradientDescent(), [*JOINED, *DAMPED]).findings)
    faint = audited(RuleContestant(Kfac(damping=1e-9), "faintly damped"), DAMPED)
    assert "damp by a metric" in faint.finding("activation diagonal").hint


def test_a_report_is_plain_data():
    report = audit(Kfac(), groups=["activation sign", "loss scale"])
    data = json.loads(json.dumps(report.to_json()))
    assert [finding["group"] for finding in data["findings"]] == ["activation sign", "loss scale"]
    assert [finding["verdict"] for finding in data["findings"]] == ["invariant", "broken"]
    with pytest.raises(UnknownNameError, match="loss scale"):
        report.finding("loss scales")
