"""Formulas in MathML: nothing is left over, and letters of other alphabets are characters."""

from __future__ import annotations

import re

import pytest

from geomkfac.display.mathml import mathml
from geomkfac.theorems import STATEMENTS

from .test_ledger_page import read


@pytest.mark.parametrize("id", STATEMENTS)
def test_every_formula_becomes_mathml_without_anything_left_over(id):
    text = mathml(STATEMENTS[id].latex)
    reader = read(text)
    words = "".join(reader.text)
    assert words.strip()
    assert "\\" not in words, words
    # Alphabets are characters: browsers heed no attribute but "normal".
    assert set(re.findall(r'mathvariant="([a-z-]+)"', text)) <= {"normal"}


@pytest.mark.parametrize(
    ("latex", "character"),
    [
        (r"\mathbb R", "\N{DOUBLE-STRUCK CAPITAL R}"),
        (r"\mathbb E", "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL E}"),
        (r"\mathbf a", "\N{MATHEMATICAL BOLD SMALL A}"),
        (r"\mathcal D", "\N{MATHEMATICAL SCRIPT CAPITAL D}"),
        (r"\mathcal L", "\N{SCRIPT CAPITAL L}"),
    ],
)
def test_letters_of_other_alphabets_are_characters(latex, character):
    assert f"<mi>{character}</mi>" in mathml(latex)


def test_capital_greek_letters_are_upright_and_small_ones_are_not():
    assert '<mi mathvariant="normal">&#x003A6;</mi>' in mathml(r"\Phi")
    assert "mathvariant" not in mathml(r"\phi")
