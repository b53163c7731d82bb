"""Templates: what is put into them is text, and a name without a meaning is an error."""

from __future__ import annotations

import jinja2
import pytest

from geomkfac.display.templates import rendered, templates

EVIL = "</script><script>alert(1)</script>"


@pytest.mark.parametrize("name", templates().list_templates(extensions=["jinja"]))
def test_what_is_put_into_a_template_is_text_but_in_markdown(name):
    escaping = templates().autoescape
    assert escaping(name) == (not name.endswith(".md.jinja"))


def test_markup_that_is_put_into_a_template_is_escaped_and_what_xml_forbids_is_replaced():
    template = templates().from_string("<p title='{{ one }}'>{{ one }}{{ forbidden }}</p>{{ one|safe }}")
    escaped = "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    found = template.render(one=EVIL, forbidden="\x00\ufffe\t")
    assert found == f"<p title='{escaped}'>{escaped}\ufffd\ufffd\t</p>{EVIL}"


def test_data_for_a_script_cannot_end_it():
    found = templates().from_string("{{ data|tojson }}").render(data={"name": [EVIL, "é"]})
    assert "<" not in found and "é" in found


def test_a_value_that_is_missing_is_an_error_and_not_an_empty_place():
    with pytest.raises(jinja2.UndefinedError, match="'reports' is undefined"):
        rendered("ledger.html.jinja", chapters={}, grades={}, version="")


def test_stylesheets_and_scripts_are_taken_as_they_are():
    text, _, _ = templates().loader.get_source(templates(), "pages.css")
    assert templates().from_string("{{ verbatim('pages.css') }}").render() == text
