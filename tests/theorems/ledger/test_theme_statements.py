"""Every statement holds, every mutant is refuted, every counterexample fails, at several seeds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from geomkfac.arrays import floating, generator
from geomkfac.errors import UnknownNameError
from geomkfac.theorems import STATEMENTS, World, find, run
from geomkfac.theorems.engine import numeric_evidence as numeric
from geomkfac.theorems.engine.comparing import relative_gap
from geomkfac.theorems.engine.trials import exact_trial

ALL = list(STATEMENTS.values())
ONE_OF_A_KIND = ("LG-T2.1", "GK-7", "J-49..52", "E1")
"""Of the statements that are tried every time where a test is about how statements are run; CI tries all."""


def each(statements=ALL, usual=None):
    """Parameters: one statement each; slow are those that are not usual."""
    rare = [] if usual is None else [s for s in statements if s.id not in usual]
    return [pytest.param(s, id=s.id, marks=[pytest.mark.slow] * (s in rare)) for s in statements]


def graded(grade):
    """The statements that have a check of a grade."""
    return [s for s in ALL if any(check.grade == grade for check in s.checks)]


def failures(statement, checks, mutants=(), **how):
    """What does not hold of some checks and mutants of a statement, in words."""
    report = run(replace(statement, checks=tuple(checks), mutants=tuple(mutants)), **how)
    return [f"{result.grade} {result.name}: {result.text}" for result in report.results if not result.holds]


LEDGER_GRADES = {
    # LG 2
    "LG-2.2": "SN", "LG-2.1.1-KL": "N", "LG-2.1.2": "NC", "LG-2.8": "XNC", "LG-2.9/2.10": "XSN", "LG-laws": "X",
    "LG-T2.1": "XSNC", "LG-1-perm": "XC", "LG-2.2.2": "XC", "LG-2.2.3": "X", "LG-2.12": "X", "LG-2.2.4": "XSN",
    "LG-2.2.5": "XSNC",
    # LG 3
    "LG-3.3": "XSN", "LG-3.4": "XSN", "LG-3.1-tanh": "SN", "LG-T3.1": "XNC", "LG-E3.2": "XSN", "LG-E3.3": "XNC",
    "LG-E3.4": "SN", "LG-3.4-ev": "XS", "LG-L3.5": "XSN", "LG-T3.6a": "XN", "LG-T3.6b": "SXNC", "LG-P3.7": "XSN",
    "LG-R3.8": "XN", "LG-3.7": "XSNC", "LG-D3.9": "XN", "LG-T3.10": "XN", "LG-functor": "XN", "LG-R3.11": "XN",
    "LG-R3.12": "CNX",
    # LG 4, 5
    "LG-4.2/4.3": "XN", "LG-4.4": "XN", "LG-4.5/LG-D4.3": "XSN", "LG-T4.2": "XNC", "LG-T4.4": "XN",
    "LG-5.3/LG-D5.3": "XSN", "LG-T5.2": "XNC", "LG-T5.4": "XN",
    # LG appendix
    "LG-TA.1/LG-CA.2": "XS", "LG-A.1/LG-A.2": "XSC",
    # J
    "J-8/17": "SN", "J-13": "S", "J-4-damp": "N", "J-19..22": "SN", "J-38": "X", "J-40..43": "SN", "J-46..48": "SN",
    "J-49..52": "XNC", "J-53/54": "SNC", "J-8-store": "S",
    # GM
    "GM-9/10": "NC", "GM-32/33": "N", "GM-36..38": "XN", "GM-39..44": "XN",
    "GM-L1/GM-T1": "XC", "GM-T2": "XN", "GM-3.1": "NC", "GM-L2/GM-L3/GM-T3": "XNC", "GM-T4": "XN", "GM-Alg1": "XN",
    # NN
    "NN-3..5": "SN", "NN-6": "XNC", "NN-8/9": "XN", "NN-2.3": "XC", "NN-10/11": "N", "NN-12..14": "XN",
    "NN-15..21": "XN", "NN-22/23": "XN", "NN-24": "XNC", "NN-25": "N", "NN-5.5": "X", "NN-26/27": "XN",
    "NN-Alg1": "N", "NN-PST": "N",
    # ours
    "GK-1": "XNC", "GK-2": "XN", "GK-3": "XC", "GK-4": "XNC", "GK-5": "XNC", "GK-6": "NC",
    "GK-7": "XNC", "GK-8": "NC", "GK-9": "N", "GK-10": "N", "GK-11": "XNC", "GK-12": "X",
    # errata: as corrected something holds, as printed something fails, or is refused by the types
    **dict.fromkeys(["E1", "E6", "E8", "E10", "E14", "E17", "E19", "E22", "E23", "E24"], "XC"),
    **dict.fromkeys(["E25", "E26", "E27", "E32", "E33"], "XC"),
    **dict.fromkeys(["E2", "E9", "E29", "E30", "E31"], "SC"), "E20": "NC", "E28": "NC", "E35": "XC",
    "E7": "X", "E34": "X", "E36": "X", "E11": "X", "E18": "X", "E38": "X",
    **dict.fromkeys(["E3", "E4", "E5", "E12", "E13", "E15", "E16", "E21", "E37", "E39"], "XC"),
}  # fmt: skip
"""Every row of the ledger, with the grades that it must have."""


@pytest.mark.parametrize("statement", each())
@pytest.mark.parametrize(
    ("seed", "trials"), [(0, 1), pytest.param(3, 1, marks=pytest.mark.slow), pytest.param(5, 2, marks=pytest.mark.slow)]
)
def test_every_check_is_as_it_must_be(statement, seed, trials):
    assert failures(statement, statement.checks, trials=trials, seed=seed) == []


@pytest.mark.parametrize("statement", each([s for s in ALL if s.mutants]))
@pytest.mark.parametrize("seed", [0, pytest.param(5, marks=pytest.mark.slow)])
def test_every_mutant_is_refuted_at_the_first_trial(statement, seed):
    assert failures(statement, (), statement.mutants, trials=1, seed=seed) == []


EXACT_ALONE = {"chain in the other order": "tanh has a diagonal Jacobian, which is its own transpose"}
NUMERIC = {
    s.id: [
        (m, c)
        for m in s.mutants
        for c in s.checks
        if c.grade == "N" and c.identity is m.identity and m.over != "floating" and m.fault not in EXACT_ALONE
    ]
    for s in ALL
}


@pytest.mark.parametrize("statement", each([s for s in ALL if NUMERIC[s.id]]))
def test_floating_point_sees_every_mutant_of_its_checks_too(statement):
    """So that a tolerance is not wide enough to hide one."""
    hidden = []
    for mutant, check in NUMERIC[statement.id]:
        key, sizes = (1, statement.id, mutant.fault), replace(mutant.sizes, data=40)
        without = numeric._drawn(replace(check, sizes=(sizes,)), key, floating.default_namespace).gaps
        tolerance = max(gap.tolerance for gap in without)
        world = World(floating, generator(*key), sizes, mutant.fault)
        # One after the other: beyond the first that shows the fault, nothing is sure to exist.
        gaps = (relative_gap(world.ns, comparison) for comparison in mutant.identity(world))
        if not any(gap > numeric.FAR * tolerance for gap in gaps):
            hidden.append(f"{mutant.fault}: no gap is far beyond the tolerance {tolerance}")
    assert hidden == []


@pytest.mark.parametrize("statement", each(graded("X")))
def test_exact_checks_hold_at_the_sizes_that_a_failure_is_shrunk_to(statement):
    wrong = []
    for check in (check for check in statement.checks if check.grade == "X"):
        for sizes in check.sizes:
            trial = exact_trial(check.identity, sizes, check.over, (2, statement.id, check.name))
            if trial.failed is not None or (trial.redraws and check.over != "Q"):
                wrong.append(f"{check.name} at {sizes}: failed {trial.failed}, {trial.redraws} redraws")
    assert wrong == []


@pytest.mark.parametrize("statement", each(usual=ONE_OF_A_KIND))
def test_the_negation_of_every_check_is_reported_as_failing(statement):
    """A claim is no counterexample, and a counterexample no claim: the verdict turns with the grade."""
    for check in statement.checks:
        grade = "C" if check.grade != "C" else ("N" if check.over == "floating" else "X")
        turned = replace(check, grade=grade)
        if check.drops is not None and grade == "X":
            turned = replace(turned, identity=_with_fault(check), drops=None)
        assert failures(statement, [turned], trials=1, seed=3), f"{grade} {check.name} holds too"


def _with_fault(check):
    """The same identity with the dropped hypothesis dropped for good."""

    def identity(world):
        planted = world.planted
        world = _Planted(world, planted, check.drops)
        yield from check.identity(world)

    return identity


class _Planted:
    """A world that has one more fault."""

    def __init__(self, world, planted, fault):
        self._world, self._planted, self._fault = world, planted, fault

    def planted(self, fault):
        return self._planted(fault) or fault == self._fault

    def __getattr__(self, name):
        return getattr(self._world, name)


def test_every_statement_has_the_grades_of_the_ledger_and_two_mutants():
    for statement in ALL:
        missing = set(LEDGER_GRADES.get(statement.id, "")) - {check.grade for check in statement.checks}
        assert not missing, f"{statement.id} has no check of grade {sorted(missing)}, which LEDGER_GRADES asks for"
        # A counterexample is a planted fault too.
        faults = len(statement.mutants) + sum(check.grade == "C" for check in statement.checks)
        assert faults >= (1 if statement.erratum else 2), statement.id
        assert statement.source and statement.text and statement.latex and statement.hypotheses, statement.id


def test_names_of_checks_and_mutants_are_unique():
    for statement in ALL:
        names = [(check.grade, check.name) for check in statement.checks]
        faults = [mutant.fault for mutant in statement.mutants]
        assert len(set(names)) == len(names), statement.id
        assert len(set(faults)) == len(faults), statement.id


def test_every_statement_has_its_row_of_grades():
    without, gone = sorted(STATEMENTS.keys() - LEDGER_GRADES), sorted(LEDGER_GRADES.keys() - STATEMENTS)
    assert not without, f"give {without} grades in LEDGER_GRADES, and make docs/paper-map.md again"
    assert not gone, f"{gone} of LEDGER_GRADES are no statements"


def test_the_registry_is_in_the_order_of_the_ledger():
    ids = [id for id in STATEMENTS if STATEMENTS[id].erratum is None]
    assert ids == [id for id in LEDGER_GRADES if id in ids]
    errata = [int(id[1:]) for id in STATEMENTS if STATEMENTS[id].erratum is not None]
    assert errata == sorted(errata)
    assert find() == ALL
    assert [s.id for s in find(["GK-2", "LG-3.3"])] == ["GK-2", "LG-3.3"]


def test_an_unknown_id_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"nearest are 'LG-T2\.1'"):
        find(["LG-T2.l"])
    with pytest.raises(UnknownNameError, match="None is near"):
        find(["?"])


def test_a_report_goes_through_json_unchanged():
    report = run(STATEMENTS["LG-P3.7"], trials=2, seed=1)
    plain = report.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["holds"] is True
    statement = STATEMENTS["LG-P3.7"]
    names = [check.grade for check in statement.checks] + ["M"] * len(statement.mutants)
    assert [r["grade"] for r in plain["results"]] == names


def _outcomes(report):
    return [(e.grade, e.name, e.holds, e.text, e.details) for e in report.results]


def test_the_same_seed_gives_the_same_evidence_and_another_seed_another():
    statement = STATEMENTS["LG-3.3"]
    one, again, other = (run(statement, trials=1, seed=seed) for seed in (7, 7, 8))
    assert _outcomes(one) == _outcomes(again)
    assert one.results[0].details["primes"] != other.results[0].details["primes"]


@pytest.mark.parametrize("statement", each(usual=ONE_OF_A_KIND))
def test_the_bound_is_small_and_shrinks_with_trials(statement):
    for check in statement.checks:
        if check.grade != "X" or check.over != "GF(p)" or "refused" in check.name:
            continue
        one, three = (
            run(replace(statement, checks=(check,), mutants=()), trials=trials).results[0].details["probability"]
            for trials in (1, 3)
        )
        # p lies between 2^30 and 2^31, so that two further trials are within a factor 4 each of the first.
        assert (one / 4) ** 2 * one <= three <= (one * 4) ** 2 * one
        assert one < 1e-3


def test_progress_is_told_of_every_check_and_every_mutant():
    seen = []
    report = run(STATEMENTS["LG-3.7"], trials=1, progress=seen.append)
    assert tuple(seen) == report.results
    assert len(seen) == len(STATEMENTS["LG-3.7"].checks) + len(STATEMENTS["LG-3.7"].mutants)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("statement", each(graded("N"), usual=ONE_OF_A_KIND))
def test_numeric_checks_hold_with_arrays_of_other_libraries(statement, library):
    pytest.importorskip(library)
    checks = tuple(check for check in statement.checks if check.grade == "N")
    report = run(replace(statement, checks=checks, mutants=()), trials=1, seed=1, library=library)
    assert report.holds, [result.text for result in report.results if not result.holds]
    assert {result.details["scalars"] for result in report.results} == {f"{library} float64"}
