"""The whole ledger as one HTML page: self-contained, formulas in MathML, filterable; no network, no library.

Formulas are turned into MathML, which browsers lay out themselves, when the page is made.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib import import_module, resources

from geomkfac.theorems import CHAPTERS, GRADES, Evidence, Report, Section, explain
from geomkfac.version import __version__

_ORDER = "XSNCM"


def ledger_page(reports: Sequence[Report]) -> str:
    """The page, as text.

    Parameters
    ----------
    reports : of the statements to be shown, in the order to be shown; chapters are the ledger's

    Notes
    -----
    Each statement has its formula, its hypotheses, every piece of evidence, and the explanation that
    ``geomkfac verify ID --explain`` gives, folded.
    """
    style, script = (_resource(name) for name in ("ledger.css", "ledger.js"))
    chapters = [
        (title, [report for report in reports if report.statement.id in {one.id for one in statements}])
        for title, statements in CHAPTERS.items()
    ]
    body = "\n".join(_chapter(title, found) for title, found in chapters if found)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>geomkfac: the ledger, executed</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{_head(reports)}\n<main>\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _head(reports: Sequence[Report]) -> str:
    results = [result for report in reports for result in report.results]
    mutants = [result for result in results if result.grade == "M"]
    held = sum(report.holds for report in reports)
    seconds = sum(report.seconds for report in reports)
    trials = ", ".join(sorted({str(report.trials) for report in reports})) or "no"
    legend = "".join(
        f'<label class="chip"><input type="checkbox" name="grade" value="{grade}"> '
        f'<b class="grade {grade}">{grade}</b> {GRADES[grade]}</label>'
        for grade in _ORDER
    )
    return f"""<header>
<h1>The ledger, executed</h1>
<p class="summary"><strong>{held} of {len(reports)}</strong> statements hold ·
<strong>{len(results) - len(mutants)}</strong> checks ·
<strong>{sum(result.holds for result in mutants)} of {len(mutants)}</strong> planted faults refuted ·
{trials} trials · {seconds:.0f} s · geomkfac {escape(__version__)}</p>
<p class="guide">Exact checks compute modulo random 31-bit primes, with activation functions whose values and
derivatives are free; a false statement would pass with the probability that each of them states. A counterexample
passes only where its claim fails. A mutant is a fault planted in the construction, and must be refuted.
LG is Luk &amp; Grosse, <i>A coordinate-free construction of scalable natural gradient</i>; J Johnson, <i>Natural
gradients and K-FAC</i>; GM Grosse &amp; Martens on convolution layers; NN Grosse, <i>Neural net training dynamics</i>,
chapter 4; GK are our own, E errata.</p>
<form id="filter" role="search">
<label class="search">Search <input type="search" name="text" placeholder="id or words" autocomplete="off"></label>
<div class="chips">{legend}
<label class="chip"><input type="checkbox" name="errata"> errata</label>
<label class="chip"><input type="checkbox" name="failed"> failing</label></div>
<p id="count" role="status"></p>
</form>
</header>"""


def _chapter(title: str, reports: Iterable[Report]) -> str:
    statements = "\n".join(_statement(report) for report in reports)
    return f'<section class="chapter"><h2>{escape(title)}</h2>\n{statements}\n</section>'


def _statement(report: Report) -> str:
    statement = report.statement
    grades = {result.grade for result in report.results}
    marks = "".join(
        f'<b class="grade {grade}" title="{GRADES[grade]}">{grade}</b>' for grade in _ORDER if grade in grades
    )
    verdict = '<span class="holds">holds</span>' if report.holds else '<span class="fails">FAILS</span>'
    rows = "\n".join(_row(result) for result in report.results)
    hypotheses = "".join(f"<li>{escape(one)}</li>" for one in statement.hypotheses)
    erratum = statement.erratum
    misprint = (
        f'<dl class="erratum"><dt>{escape(erratum.where)}</dt><dd>printed: {escape(erratum.printed)}</dd>'
        f"<dd>correct: {escape(erratum.corrected)}</dd></dl>"
        if erratum is not None
        else ""
    )
    return f"""<article id="{escape(statement.id)}" data-grades="{"".join(sorted(grades))}" \
data-holds="{str(report.holds).lower()}" data-erratum="{str(erratum is not None).lower()}">
<h3><a href="#{escape(statement.id)}">{escape(statement.id)}</a>
<span class="title">{escape(statement.title)}</span></h3>
<p class="meta">{verdict} {marks} <span class="source">{escape(statement.source)}</span>
<span class="time">{report.seconds:.2f} s</span></p>
<p>{escape(statement.text)}</p>
<div class="formula">{mathml(statement.latex)}</div>
{misprint}<details><summary>hypotheses and evidence</summary>
<ul class="hypotheses">{hypotheses}</ul>
<table><thead><tr><th>grade</th><th>check</th><th>evidence</th></tr></thead>
<tbody>
{rows}
</tbody></table></details>
<details><summary>what was drawn, compared, and what it is worth</summary>
{"".join(_section(section) for section in list(explain(report))[1:])}</details>
</article>"""


def _row(result: Evidence) -> str:
    return (
        f'<tr class="{"ok" if result.holds else "bad"}"><td><b class="grade {result.grade}">{result.grade}</b></td>'
        f"<td>{escape(result.name)}</td><td>{escape(result.text)}</td></tr>"
    )


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs if text)
    points = "".join(f"<li>{escape(point)}</li>" for point in section.points)
    return f"<h4>{escape(section.title)}</h4>{paragraphs}{f'<ul>{points}</ul>' if points else ''}\n"


@cache
def mathml(latex: str) -> str:
    """A formula in MathML, as a block.

    Letters of a mathematical alphabet are written as the characters that Unicode has for them, as browsers
    do not heed the attribute that would choose one.

    Raises
    ------
    Whatever latex2mathml raises for what is no LaTeX.
    """
    text: str = import_module("latex2mathml.converter").convert(latex, display="block")
    return _GREEK.sub(r'<mi mathvariant="normal">\1</mi>', _STYLED.sub(_in_unicode, text))


_STYLED = re.compile(r'<(mi|mn|mo) mathvariant="([a-z-]+)">(?:&#x([0-9A-Fa-f]+);|(.))</\1>')
# TeX sets capital Greek letters upright, browsers a single letter slanted.
_GREEK = re.compile(r"<mi>(&#x0039[1-9A-F];|&#x003A[0-9];)</mi>")
_ALPHABETS = {"bold": "BOLD", "double-struck": "DOUBLE-STRUCK", "script": "SCRIPT", "fraktur": "FRAKTUR"}


def _in_unicode(found: re.Match[str]) -> str:
    tag, style, code, letter = found.groups()
    character = chr(int(code, 16)) if code else letter
    alphabet, name = _ALPHABETS.get(style), unicodedata.name(character, "").split()
    if alphabet is None or not name or name[0] not in {"LATIN", "GREEK", "DIGIT"}:
        return found[0]
    # "LATIN CAPITAL LETTER E" becomes "MATHEMATICAL DOUBLE-STRUCK CAPITAL E"; some are "DOUBLE-STRUCK CAPITAL R".
    rest = f"{alphabet} {' '.join(name) if name[0] == 'DIGIT' else ' '.join([name[1], *name[3:]])}"
    for full in (f"MATHEMATICAL {rest}", rest):
        try:
            return f"<{tag}>{unicodedata.lookup(full)}</{tag}>"
        except KeyError:
            continue
    return found[0]


def _resource(name: str) -> str:
    return resources.files("geomkfac.data").joinpath(name).read_text(encoding="utf-8")
