"""docs/paper-map.md is what the statements say, and every object in it is public."""

from __future__ import annotations

import importlib
from pathlib import Path

from geomkfac.theorems import CHAPTERS, STATEMENTS
from geomkfac.theorems.paper_map import paper_map

DOCUMENT = Path(__file__).parents[2] / "docs" / "paper-map.md"


def test_the_document_is_the_one_made_from_the_statements():
    """Else run: python -m geomkfac.theorems.paper_map > docs/paper-map.md."""
    assert DOCUMENT.read_text(encoding="utf-8") == paper_map()


def test_every_statement_has_one_row():
    rows = [line.split(" | ")[1] for line in paper_map().splitlines() if line.startswith("| ") and "---" not in line]
    assert [row for row in rows if row != "id"] == [one.id for ones in CHAPTERS.values() for one in ones]


def test_the_objects_of_a_statement_are_public():
    for statement in STATEMENTS.values():
        for name in statement.objects:
            room, _, rest = name.partition(".")
            module = importlib.import_module(f"geomkfac.{room}")
            first, _, attribute = rest.partition(".")
            assert first in module.__all__, (statement.id, name)
            if attribute:
                assert hasattr(getattr(module, first), attribute), (statement.id, name)
