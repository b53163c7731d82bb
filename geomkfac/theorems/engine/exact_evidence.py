"""Exact evidence: the same check at random points of finite fields, with a bound on what could slip through.

Over GF(p) each trial draws a fresh 31-bit prime and a fresh point.  The first trial is walked through
once more over the kind that carries degrees, which bounds the probability that a false identity passes:
``b / (30 * 5.06e7) + d / (p - e)`` for each trial, and trials multiply.  Over Q nothing is bounded: a
random rational instance that meets the hypotheses either agrees or does not.
Source: docs/evidence.md.
"""

from __future__ import annotations

import math
from typing import Any

from geomkfac.arrays import DegreeField, false_identity_bound
from geomkfac.errors import GeomkfacError, VacuousCheckError
from geomkfac.theorems.engine.comparing import side_digests, witness
from geomkfac.theorems.engine.statement import Check, Evidence, Mutant, Over
from geomkfac.theorems.engine.trials import Key, Trial, exact_trial
from geomkfac.theorems.engine.world import Sizes


def exact(check: Check, key: Key, trials: int, *, record: bool = False) -> Evidence:
    """Evidence that an X or S check holds: every trial agrees, and the bound says what that is worth.

    With `record` the details hold what a certificate says of every trial: stream, prime, hashes of both sides.
    """
    sizes = check.sizes[-1]
    done: list[Trial] = []
    for number in range(trials):
        done.append(
            exact_trial(check.identity, sizes, check.over, (*key, number), digest=side_digests if record else None)
        )
        if done[-1].failed is not None:
            return _failure(check, done[-1])
    details = _details(sizes, done) | {"comparisons": done[0].compared}
    if record:
        details["recorded"] = [_recorded(trial) for trial in done]
    if check.over == "symbols":
        text = (
            f"holds; both sides are the same expressions, in all {done[0].compared} "
            f"{'comparison' if done[0].compared == 1 else 'comparisons'} ({sizes})"
        )
        return Evidence(check.grade, check.name, True, text, details)
    if check.over == "Q":
        text = f"holds; agrees exactly at {trials} random rational instances that meet the hypotheses ({sizes})"
        return Evidence("X", check.name, True, text, details)
    d, e, b = _degrees(check, (*key, 0))
    logs = [math.log10(max(false_identity_bound(d, e, b, trial.prime or 0), 1e-300)) for trial in done]
    exponent = sum(logs)
    bound = 10.0 ** max(exponent, -300.0)
    details |= {"degree": d, "denominator_degree": e, "log2_norm": b, "probability": bound}
    if bound >= 1.0:
        text = f"agrees, which is no evidence: the bound on the error probability is 1 (degree {d}); reduce the sizes"
        return Evidence("X", check.name, False, text, details)
    primes = ", ".join(str(trial.prime) for trial in done)
    text = (
        f"holds; a false statement passes with probability <= {bound:.1e} "
        f"({trials} {'trial' if trials == 1 else 'trials'}, primes {primes}, degree {d})"
    )
    return Evidence("X", check.name, True, text, details)


def _recorded(trial: Trial) -> dict[str, Any]:
    pairs = zip(trial.names, trial.digests, strict=True)
    return {
        "stream": "/".join(map(str, (*trial.key, trial.redraws))),
        "redraws": trial.redraws,
        "prime": trial.prime,
        "comparisons": [{"name": name, "left": left, "right": right} for name, (left, right) in pairs],
    }


def _degrees(check: Check, key: Key) -> tuple[int, int, int]:
    """(d, e, b) of everything that the first trial found to be zero, from running it again with degrees."""
    trial = exact_trial(check.identity, check.sizes[-1], check.over, key, degrees=True)
    kind = trial.kind
    if trial.failed is not None or not isinstance(kind, DegreeField):
        raise VacuousCheckError(
            f"the check {check.name!r} agrees over GF(p) and not over the same field with degrees.\n"
            "  required: the same branches\n  came    : another outcome from the same seed\n"
            "Draw from world.rng alone, and compute with world.ns."
        )
    return kind.bound


def _failure(check: Check, trial: Trial) -> Evidence:
    """A witness: what differs, where, at the smallest sizes at which it does, and what that means."""
    smallest, shown = _shrunk(check, trial)
    if check.over == "Q":
        meaning = "an instance over Q that meets the hypotheses: a proof that the statement is false as checked"
    elif check.over == "symbols":
        meaning = "the difference is not shown to be zero by simplification"
    elif check.decides:
        meaning = "for a rational identity this is a proof that it is false as checked"
    else:
        meaning = "no proof: a hypothesis of order or rank means something else over a finite field"
    details = _details(smallest, [shown]) | _witness(shown) | {"meaning": meaning}
    found = details["witness"]
    text = (
        f"FAILS: {details['comparison']!r}: {found.get('left')} is not {found.get('right')} over {shown.kind} "
        f"(seed {shown.key[0]}; smallest sizes: {smallest}); {meaning}"
    )
    return Evidence(check.grade, check.name, False, text, details)


def _shrunk(check: Check, trial: Trial) -> tuple[Sizes, Trial]:
    for sizes in check.sizes[:-1]:
        try:
            smaller = exact_trial(check.identity, sizes, check.over, trial.key)
        except VacuousCheckError:
            continue
        if smaller.failed is not None:
            return sizes, smaller
    return check.sizes[-1], trial


def counterexample(check: Check, key: Key, trials: int) -> Evidence:
    """Evidence that a C check fails, in every trial, and in a claim rather than in a premise."""
    sizes = check.sizes[-1]
    done: list[Trial] = []
    for number in range(trials):
        trial = exact_trial(check.identity, sizes, check.over, (*key, number), fault=check.drops)
        done.append(trial)
        if trial.failed is None:
            text = f"the claim HOLDS here ({sizes}, over {trial.kind}), and should not: the counterexample is none"
            return Evidence("C", check.name, False, text, _details(sizes, done))
        if trial.failed.premise:
            text = f"the premise {trial.failed.name!r} fails over {trial.kind}: the counterexample shows nothing"
            return Evidence("C", check.name, False, text, _details(sizes, done) | _witness(trial))
    smallest, shown = _smallest_witness(check, done[0], key)
    details = _details(sizes, done) | _witness(shown) | {"smallest": str(smallest), "witness_over": shown.kind.name}
    found = details["witness"]
    text = (
        f"fails, as it must, in {trials} of {trials} trials ({sizes}); smallest witness found ({smallest}, over "
        f"{shown.kind}): {details['comparison']!r}: {found.get('left')} is not {found.get('right')}"
    )
    return Evidence("C", check.name, True, text, details)


def _smallest_witness(check: Check, trial: Trial, key: Key) -> tuple[Sizes, Trial]:
    """The claim at the smallest sizes at which it fails; over Q where it can be, as its numbers can be read."""
    overs: tuple[Over, ...] = ("Q", check.over) if check.over == "GF(p)" else (check.over,)
    for sizes in check.sizes:
        for over in overs:
            try:
                smaller = exact_trial(check.identity, sizes, over, (*key, "witness"), fault=check.drops)
            except GeomkfacError:
                continue
            if smaller.failed is not None and not smaller.failed.premise:
                return sizes, smaller
    return check.sizes[-1], trial


def refuted(mutant: Mutant, key: Key, trials: int) -> Evidence:
    """Evidence that a planted fault is refuted, in one of the trials."""
    done: list[Trial] = []
    for number in range(trials):
        trial = exact_trial(mutant.identity, mutant.sizes, mutant.over, (*key, number), fault=mutant.fault)
        done.append(trial)
        if trial.failed is not None:
            details = _details(mutant.sizes, [trial]) | _witness(trial)
            text = f"refuted by {details['comparison']!r} over {trial.kind}"
            return Evidence("M", mutant.fault, True, text, details)
    text = f"SURVIVES {trials} trials ({mutant.sizes}): the check cannot see this fault"
    return Evidence("M", mutant.fault, False, text, _details(mutant.sizes, done))


def _details(sizes: Sizes, trials: list[Trial]) -> dict[str, Any]:
    return {
        "sizes": str(sizes),
        "trials": len(trials),
        "scalars": "GF(p)" if trials[0].prime else trials[0].kind.name,
        "drawn": [[name, list(shape)] for name, shape in trials[0].drawn],
        "compared": list(trials[0].names),
        "primes": [trial.prime for trial in trials if trial.prime],
        "seeds": [list(trial.key) for trial in trials],
        "redraws": sum(trial.redraws for trial in trials),
    }


def _witness(trial: Trial) -> dict[str, Any]:
    if trial.failed is None:
        return {}
    found = witness(trial.kind.default_namespace, trial.failed)
    return {"comparison": trial.failed.name, "witness": found}
