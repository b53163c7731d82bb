"""The whole ledger as one HTML page: self-contained, formulas in MathML, filterable; no network, no library.

Formulas are turned into MathML, which browsers lay out themselves, when the page is made.
"""

from __future__ import annotations

from collections.abc import Sequence

from geomkfac.display.mathml import mathml
from geomkfac.display.templates import rendered
from geomkfac.theorems import CHAPTERS, GRADES, Report, explain
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
    chapters = {
        title: [report for report in reports if report.statement.id in {one.id for one in statements}]
        for title, statements in CHAPTERS.items()
    }
    return rendered(
        "ledger.html.jinja",
        version=__version__,
        reports=reports,
        chapters={title: found for title, found in chapters.items() if found},
        grades={grade: GRADES[grade] for grade in _ORDER},
        explain=explain,
        mathml=mathml,
    )
