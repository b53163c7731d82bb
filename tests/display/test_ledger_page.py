"""The ledger as one page: everything that was found, nothing from a network."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from geomkfac.display import ledger_page
from geomkfac.theorems import STATEMENTS, Evidence, Report, find, run

VOID = {"meta", "input", "link", "br", "hr", "img"}


class Reader(HTMLParser):
    """Tags that open and close in order; attributes seen; text."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.text, self.ids = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """MathML closes its own: <mspace/>."""
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def reports():
    return [run(statement, trials=1) for statement in find(["LG-3.3", "LG-T3.6b", "GK-2"])]


def test_the_page_has_every_statement_and_every_piece_of_evidence(reports):
    reader = read(ledger_page(reports))
    text = " ".join(" ".join(reader.text).split())
    for report in reports:
        assert report.statement.id in reader.ids
        assert report.statement.title in text
        for result in report.results:
            assert " ".join(result.text.split()) in text
        for hypothesis in report.statement.hypotheses:
            assert hypothesis in text
    assert "3 of 3 statements hold" in text
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_refers_to_nothing_outside_itself(reports):
    page = ledger_page(reports)
    reader = read(page)
    assert not {name for _, name in reader.attributes} & {"src", "srcset", "data", "poster"}
    assert re.findall(r"href=\"[^#]", page) == []
    assert "url(" not in page
    assert "import" not in re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]


def test_what_a_statement_says_is_text_and_not_markup():
    statement = replace(STATEMENTS["LG-3.3"], title="<b>a & b</b>", checks=(), mutants=())
    page = ledger_page([Report(statement, (Evidence("X", "<i>", False, "1 < 2"),), 1, 0)])
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page
    assert "&lt;i&gt;" in page
    assert "FAILS" in page
    read(page)


def test_a_failing_statement_is_marked_as_such():
    report = run(replace(STATEMENTS["LG-3.3"], checks=(), mutants=()))
    assert 'data-holds="false"' in ledger_page([report])
