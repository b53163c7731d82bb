"""A report in words, for a reader of the paper: what was assumed, drawn, compared, and what it is worth."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

from geomkfac.theorems.engine.run import Report
from geomkfac.theorems.engine.statement import Check, Evidence

_HOW = {
    "X": "exactly",
    "S": "with symbols",
    "N": "in floating point",
}


@final
@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it: paragraphs, each perhaps with points."""

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


def explain(report: Report) -> Iterator[Section]:
    """The report, section by section."""
    statement = report.statement
    yield Section(f"{statement.id}: {statement.title}", (statement.source, statement.text, statement.latex))
    if statement.erratum is not None:
        erratum = statement.erratum
        lines = (f"where: {erratum.where}", f"printed: {erratum.printed}", f"correct: {erratum.corrected}")
        yield Section("What is misprinted", points=(*lines, *((f"note: {erratum.note}",) if erratum.note else ())))
    yield Section("What is assumed", points=statement.hypotheses)
    if len(report.results) != len(statement.items):
        yield Section("Stopped", tuple(result.text for result in report.results))
        return
    pairs = list(zip(statement.items, report.results, strict=True))
    for item, evidence in pairs:
        if isinstance(item, Check) and item.grade != "C":
            yield _check(item, evidence)
    failing = [pair for pair in pairs if pair[1].grade == "C"]
    if failing:
        points = tuple(f"{one.name}: {sentence(item.identity)} It {one.text}" for item, one in failing)
        yield Section("What must fail, and does", ("Each drops a hypothesis, or prints a formula wrong.",), points)
    mutants = [evidence for _, evidence in pairs if evidence.grade == "M"]
    if mutants:
        points = tuple(f"{one.name}: {one.text}" for one in mutants)
        yield Section("Faults planted, and refuted", ("Each was built into the construction above.",), points)


def _check(item: Check, evidence: Evidence) -> Section:
    details = evidence.details
    points = [
        f"drawn at random: {drawn_in_words(details.get('drawn', []))}; sizes {details.get('sizes')}",
        f"compared: {'; '.join(dict.fromkeys(details.get('compared', [])))}",
        f"evidence: {evidence.text}",
        *_worth(item, details),
    ]
    return Section(f"Checked {_HOW[item.grade]}: {item.name}", (sentence(item.identity),), tuple(points))


def _worth(item: Check, details: Any) -> Iterator[str]:
    """How the bound or the tolerance arises."""
    if "degree" in details:
        d, e, b = details["degree"], details["denominator_degree"], details["log2_norm"]
        p = details["primes"][0]
        yield (
            "the bound: run again with degrees, the same code finds that whatever it took for zero is a fraction whose "
            f"numerator has degree at most {d} and coefficients of sum at most 2^{b}, its denominator degree at most "
            f"{e}.  At a prime p = {p}, drawn among 50.7 million, a false identity passes with probability at most "
            f"b / (30 * 5.06e7) + d / (p - e) = {b / (30 * 5.06e7) + d / (p - e):.1e}; "
            f"{details['trials']} trials multiply to {details['probability']:.1e}"
        )
    elif item.over == "Q":
        yield "over Q nothing is bounded: both sides agree exactly, at random fractions that meet the hypotheses"
    elif item.over == "symbols":
        yield "symbols stand for all real numbers at once: nothing is random, and nothing is bounded"
    if details.get("redraws"):
        yield f"{details['redraws']} draws were singular, or did not meet a hypothesis, and were drawn again"


def drawn_in_words(drawn: list[Any]) -> str:
    """``W (3, 4), x (2)``: names and shapes; repeated ones are counted."""
    if not drawn:
        return "nothing: the instance is fixed, or drawn by the package's own objects"
    named = ((name.replace("\\", "") if name else "array", shape) for name, shape in drawn)
    described = Counter(f"{name} ({', '.join(map(str, shape))})" for name, shape in named)
    return ", ".join(text if count == 1 else f"{count} x {text}" for text, count in described.items())


def sentence(identity: Any) -> str:
    """The first paragraph of a check's docstring, as plain text."""
    return " ".join((inspect.getdoc(identity) or "").split("\n\n")[0].replace("``", "").split())
