"""The framework itself can fail: a check that compares nothing, a fault that nobody asks for, a false claim."""

from __future__ import annotations

import math

import pytest

from geomkfac.arrays import GF, floating, generator
from geomkfac.errors import VacuousCheckError, ValuesError
from geomkfac.theorems import Check, Mutant, Sizes, Statement, World, given, run, same
from geomkfac.theorems.engine.comparing import agree, relative_gap
from geomkfac.theorems.engine.numeric_evidence import FAR

SIZES = (Sizes((1,)), Sizes((2,)), Sizes((3,)))


def statement(*checks, mutants=()):
    return Statement("T", "none", "title", "text", "x = x", ("none",), tuple(checks), tuple(mutants))


def check(grade, identity, over="GF(p)", **options):
    return Check(grade, "check", identity, SIZES, over, **options)


def only(report):
    (evidence,) = report.results
    return evidence


# -- identities, true and false ------------------------------------------------------------------------
def products_commute(world):
    x, y = world.array(3), world.array(3)
    if world.planted("one factor left out"):
        y = y * 0 + 1
    yield same("x y = y x", x * y, (y if not world.planted("another factor") else y + 1) * x)


def matrices_commute(world):
    (n,) = world.sizes.widths
    a, b = world.array(n, n), world.array(n, n)
    yield same("a b = b a", a @ b, b @ a)


def no_comparison(world):
    world.array(3)
    yield from ()


def premises_alone(world):
    x = world.array(2)
    yield given("x = x", x, x)


def always_singular(world):
    x = world.array(2, 1)
    yield same("inverse", world.ns.inverse(x @ x.mT), x @ x.mT)


def of_other_shapes(world):
    yield same("x", world.array(2), world.array(3))


def of_nothing(world):
    yield same("nothing", world.array(0), world.array(0))


# -- what is refused as vacuous ----------------------------------------------------------------------------
@pytest.mark.parametrize("grade", ["X", "N", "C"])
@pytest.mark.parametrize("identity", [no_comparison, premises_alone])
def test_a_check_that_claims_nothing_is_an_error(grade, identity):
    with pytest.raises(VacuousCheckError, match="made no comparison"):
        run(statement(check(grade, identity, "floating" if grade == "N" else "GF(p)")))


@pytest.mark.parametrize("over", ["GF(p)", "floating"])
@pytest.mark.parametrize("grade", ["X", "C"])
def test_sides_of_different_shapes_are_an_error_and_not_a_disagreement(grade, over):
    with pytest.raises(VacuousCheckError, match="not of one shape"):
        run(statement(check("N" if over == "floating" else grade, of_other_shapes, over)))


def test_a_comparison_of_empty_arrays_is_an_error():
    with pytest.raises(VacuousCheckError, match="compares nothing"):
        run(statement(check("X", of_nothing)))


@pytest.mark.parametrize("identity", [products_commute, matrices_commute])
def test_a_fault_that_is_not_asked_for_is_an_error_whatever_the_check_says(identity):
    with pytest.raises(VacuousCheckError, match="never asked for it"):
        run(statement(mutants=[Mutant("no such fault", identity, SIZES[-1])]))


@pytest.mark.parametrize("over", ["GF(p)", "floating"])
def test_a_dropped_hypothesis_that_is_not_asked_for_is_an_error(over):
    with pytest.raises(VacuousCheckError, match="never asked for it"):
        run(statement(check("C", matrices_commute, over, drops="no such hypothesis")))


@pytest.mark.parametrize("over", ["GF(p)", "Q", "floating"])
def test_what_is_singular_always_is_not_drawn_again_for_ever(over):
    with pytest.raises(VacuousCheckError, match="singular always"):
        run(statement(check("N" if over == "floating" else "X", always_singular, over)))


def test_a_hypothesis_that_is_not_met_is_drawn_again_and_counted():
    met = []

    def identity(world):
        met.append(len(met) % 3 == 2)
        world.assume("every third instance", met[-1])
        x = world.number()
        yield same("x", x, x)

    evidence = only(run(statement(check("X", identity, "Q")), trials=2))
    assert evidence.holds
    assert evidence.details["redraws"] == 4


# -- verdicts ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("over", ["GF(p)", "Q"])
def test_a_true_identity_holds_and_a_false_one_fails_exactly(over):
    assert only(run(statement(check("X", products_commute, over)))).holds
    assert not only(run(statement(check("X", matrices_commute, over)))).holds
    assert only(run(statement(check("C", matrices_commute, over)))).holds
    assert not only(run(statement(check("C", products_commute, over)))).holds


def test_a_true_identity_holds_and_a_false_one_fails_in_floating_point():
    assert only(run(statement(check("N", products_commute, "floating")))).holds
    assert not only(run(statement(check("N", matrices_commute, "floating")))).holds
    assert only(run(statement(check("C", matrices_commute, "floating")))).holds
    assert not only(run(statement(check("C", products_commute, "floating")))).holds


def test_a_mutant_that_survives_makes_the_statement_not_hold():
    survivor = Mutant("one factor left out", products_commute, SIZES[-1])
    killed = Mutant("another factor", products_commute, SIZES[-1])
    report = run(statement(check("X", products_commute), mutants=[survivor, killed]))
    assert [evidence.holds for evidence in report.results] == [True, False, True]
    assert not report.holds
    assert "SURVIVES" in report.results[1].text


def test_a_report_without_results_does_not_hold():
    assert not run(statement()).holds


def test_a_failure_shows_a_witness_at_the_smallest_sizes_and_says_what_it_means():
    evidence = only(run(statement(check("X", matrices_commute)), seed=11))
    # Numbers commute; matrices of order 2 do not.
    assert evidence.details["sizes"] == str(SIZES[1])
    assert evidence.details["comparison"] == "a b = b a"
    assert set(evidence.details["witness"]) == {"left", "right", "entry"}
    assert evidence.details["witness"]["left"] != evidence.details["witness"]["right"]
    assert evidence.details["seeds"] == [[11, "T", "X", "check", 0]]
    assert "proof that it is false" in evidence.text
    (prime,) = evidence.details["primes"]
    assert 2**30 < prime < 2**31


def test_a_failure_under_a_hypothesis_of_order_is_not_called_a_proof():
    evidence = only(run(statement(check("X", matrices_commute, decides=False))))
    assert "no proof" in evidence.text


def test_a_counterexample_whose_premise_fails_shows_nothing():
    def identity(world):
        x = world.number()
        yield given("a premise", x, x + 1)
        yield same("a claim", x, x + 2)

    for over in ("GF(p)", "floating"):
        evidence = only(run(statement(check("C", identity, over))))
        assert not evidence.holds
        assert "premise" in evidence.text


def test_a_counterexample_must_miss_by_far_more_than_rounding_explains():
    def nearly(world):
        x = world.array(4)
        yield same("x", x, x * (1 + 1e-12))

    evidence = only(run(statement(check("C", nearly, "floating"))))
    assert not evidence.holds
    assert evidence.details["error"] < FAR * evidence.details["tolerance"]


@pytest.mark.parametrize("gamma", [1e-9, 1e-6])
def test_a_small_damping_is_seen_exactly_and_hardly_in_floating_point(gamma):
    """Why exact evidence: over GF(p) any nonzero damping is as large as any other."""

    def identity(world):
        a, b = world.array(3, 3), world.array(3, 1)
        damping = world.number() if world.is_exact else gamma
        yield same("a solution", world.ns.solve(a, b), world.ns.solve(a + world.ns.eye(3) * damping, b))

    assert not only(run(statement(check("X", identity)))).holds
    assert only(run(statement(check("N", identity, "floating")), trials=1)).details["error"] < 1e4 * gamma


# -- the bound ----------------------------------------------------------------------------------------------------
def test_the_bound_is_the_one_computed_by_hand():
    def identity(world):
        x, y = world.number(), world.number()
        yield same("(x + y)^2", (x + y) * (x + y), x * x + x * y * 2 + y * y)

    details = only(run(statement(check("X", identity)), trials=2)).details
    p, q = details["primes"]
    # Both sides have degree 2 and 1-norm 4: the difference has 1-norm at most 2^3, rounded up.
    assert (details["degree"], details["denominator_degree"], details["log2_norm"]) == (2, 0, 3 + 1)
    by_hand = math.prod(4 / (30 * 5.06e7) + 2 / prime for prime in (p, q))
    assert details["probability"] == pytest.approx(by_hand, rel=1e-12)


def test_a_bound_of_one_is_no_evidence():
    def identity(world):
        x = world.number()
        y = x
        for _ in range(40):
            y = y * y
        yield same("a huge power", y, y)

    evidence = only(run(statement(check("X", identity)), trials=1))
    assert not evidence.holds
    assert "no evidence" in evidence.text


def test_code_that_takes_other_branches_with_degrees_is_found():
    def identity(world):
        x = world.number()
        yield same("x", x, x if "degrees" not in world.kind.name else x + 1)

    with pytest.raises(VacuousCheckError, match="with degrees"):
        run(statement(check("X", identity)))


# -- worlds and comparisons -----------------------------------------------------------------------------------
def test_random_bases_in_floating_point_have_condition_number_below_ten():
    ns = floating.default_namespace
    for seed in range(20):
        values = ns.singular_values(World(floating, generator(seed), SIZES[0]).invertible(4))
        assert values[0] / values[-1] <= 10 * (1 + 16 * ns.epsilon)


def test_jitter_moves_every_draw_by_its_last_digit_and_nothing_else():
    ns = floating.default_namespace
    plain = World(floating, generator(0), SIZES[0]).array(50)
    moved = World(floating, generator(0), SIZES[0], jitter=generator(1)).array(50)
    ratio = abs(moved / plain - 1)
    assert (ratio > 0).all()
    assert (ratio <= 2 * ns.epsilon).all()


def test_relative_gaps_and_agreement_go_through_nested_sides():
    field, ns = GF(101).default_namespace, floating.default_namespace
    x = field.asarray([1, 2])
    assert agree(field, same("x", [x, (x, 3)], [x, (x, 3)]))
    assert not agree(field, same("x", [x, (x, 3)], [x, (x + 1, 3)]))
    assert not agree(field, same("a rank", 2, 3))
    y = ns.ones((2,))
    assert relative_gap(ns, same("y", [y, 1], [y * 2, 1])) == 0.5
    assert relative_gap(ns, same("y", [y, 1], [y, 2])) == 1.0
    assert relative_gap(ns, same("y", y * float("nan"), y)) == math.inf


@pytest.mark.parametrize(("trials", "seed"), [(0, 0), (1, -1), (True, 0), (1.0, 0), (1, "0")])
def test_trials_and_seed_are_checked(trials, seed):
    with pytest.raises(ValuesError, match=r"must be a (positive|nonnegative) int, not"):
        run(statement(check("X", products_commute)), trials=trials, seed=seed)
