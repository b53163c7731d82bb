"""The table on the README's first screen is what the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomkfac.audit import Catalogue

ROOT = Path(__file__).parents[3]
COLUMNS = {
    "activations centred": "activation translation",
    "activations in any basis": "activation affine",
    "ReLU units rescaled": "unit rescaling",
    "units permuted": "unit permutation",
    "loss scaled": "loss scale",
}
WORDS = {"invariant": "yes", "broken": "no", "inconclusive": "?", "first order": "to first order"}


def table(text):
    """Header and rows of the first Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head, rows


def wrong(text, made):
    """The cells of the table that are not the catalogue's."""
    head, rows = table(text)
    assert head == ["", *COLUMNS]
    assert len(rows) >= 8
    found = []
    for name, *cells in rows:
        package, _, optimizer = name.replace("`", "").partition(": ")
        findings = {one["group"]: one["verdict"] for one in made.reports[package][optimizer]["findings"]}
        for column, cell in zip(COLUMNS, cells, strict=True):
            expected = WORDS.get(findings.get(COLUMNS[column], ""), "")
            if cell != expected:
                found.append((name, column, cell, expected))
    return found


def test_the_table_is_the_catalogues():
    made = Catalogue.read(ROOT / "docs" / "invariance.json")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert wrong(text, made) == []


@pytest.mark.parametrize("fault", [("| yes |", "| no |"), ("| no |", "| yes |")])
def test_a_wrong_cell_is_seen(fault):
    made = Catalogue.read(ROOT / "docs" / "invariance.json")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(wrong(text.replace(*fault, 1), made)) == 1
