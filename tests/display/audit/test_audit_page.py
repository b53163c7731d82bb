"""The page of one audit and of many: everything that was found, as text, in one file."""

from __future__ import annotations

import copy
import json
import re

import pytest

from geomkfac.audit import audit, subgroups
from geomkfac.display.audit.audit_page import audit_page
from geomkfac.display.audit.checked_reports import amount
from geomkfac.display.audit.order import VERDICTS, Order
from geomkfac.display.templates import templates
from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.updates import GradientDescent

from ..test_ledger_page import read

ORDER = subgroups()
NAMES = list(ORDER)
SIGNS = templates().get_template("marks.jinja").module.signs


def finding(group, verdict="broken", **changes):
    entry = {"group": group, "verdict": verdict, "first": 0.125, "last": 0.25, "floor": 1.5e-13, "condition": 2.0,
             "growth": 1.0, "slope": None, "exact": "", "hint": ""}  # fmt: skip
    return entry | changes


def report(name, *findings, order=ORDER):
    """A report of which some findings are given; all other groups are invariant."""
    given = {one["group"]: one for one in findings}
    every = [given.get(group, finding(group, "invariant", first=0.0)) for group in order]
    return {"optimizer": name, "network": "fully connected", "rate": 0.01, "steps": 7, "seed": 3, "how": "",
            "findings": every, "left_out": {}}  # fmt: skip


@pytest.fixture(scope="module")
def measured():
    return audit(GradientDescent(), steps=2, data=8, exact=False).to_json()


@pytest.fixture(scope="module")
def many():
    """Five profiles that follow the order, of optimizers that share a name."""
    kept = [["input affine"], ["input orthogonal", "loss scale"], ["output sign"], ["unit sign"], []]
    broken = [[name for name in NAMES if name not in Order.of(ORDER).implied(one)] for one in kept]
    return {f"library:O{index}": report("O", *map(finding, broken[index % 5])) for index in range(25)}


def text_of(page):
    return " ".join(" ".join(read(page).text).split())


def hrefs(page):
    return set(re.findall(r'href="([^"]*)"', page))


def test_the_page_of_one_audit_has_every_number_of_every_group(measured):
    page = audit_page([measured], ORDER, title="what was found")
    reader = read(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert {f"group-{index}" for index in range(len(NAMES))} <= set(reader.ids)
    found = {one["group"]: one for one in measured["findings"]}
    assert set(found) | set(measured["left_out"]) == set(NAMES)
    for index, name in enumerate(NAMES):
        card = re.search(rf'<article class="card" id="group-{index}">(.*?)</article>', page, re.DOTALL)[1]
        assert f"<h3>{name}</h3>" in card
        if name in found:
            assert found[name]["verdict"] in card
            for key in ("first", "last", "floor", "condition", "growth"):
                assert f"<dd>{amount(found[name][key])}</dd>" in card
        else:
            assert measured["left_out"][name] in text_of(page)
    assert "what was found" in text_of(page)


@pytest.mark.parametrize("kind", ["one", "many"])
def test_every_link_leads_to_something_on_the_page(kind, measured, many):
    page = audit_page([measured] if kind == "one" else many, ORDER, title="t")
    ids = set(read(page).ids) | set(re.findall(r'<symbol id="([^"]*)"', page))
    targets = hrefs(page)
    assert {one[0] for one in targets} == {"#"}
    assert {one[1:] for one in targets} - ids == set()
    # Every group is reached from the table and from both pictures.
    expected = 3 if kind == "one" else 2
    assert all(len(re.findall(f'href="#group-{index}"', page)) >= expected for index in range(len(NAMES)))


@pytest.mark.parametrize("kind", ["one", "many"])
def test_the_page_refers_to_nothing_outside_itself(kind, measured, many):
    page = audit_page([measured] if kind == "one" else many, ORDER, title="t")
    assert not {name for _, name in read(page).attributes} & {"src", "srcset", "data", "poster", "xlink:href"}
    assert "url(" not in page and "@import" not in page and "fetch(" not in page and "import(" not in page
    spaces = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\"'\s<]*", page)) == spaces


def test_beside_every_colour_of_a_verdict_stands_a_mark(many):
    verdicts = [finding(name, VERDICTS[index % 4], first=1.0) for index, name in enumerate(NAMES)]
    one = audit_page([report("O", *verdicts)], ORDER, title="t")
    cells = re.findall(r'<td class="([a-z-]+)"><a [^>]*>(.*?)</a>', one, re.DOTALL)
    assert len(cells) == len(NAMES)
    for verdict, cell in cells:
        assert f'href="#mark-{verdict}"' in cell and f">{verdict.replace('-', ' ')}<" in cell
    signs = {verdict.replace(" ", "-"): sign for verdict, sign in SIGNS.items()}
    rows = re.findall(r'<td class="([a-z-]+)(?: edge)?" data-group="\d+">(.)</td>', audit_page(many, ORDER, title="t"))
    assert len(rows) == len(NAMES) * len(many)
    assert all(signs[verdict] == sign for verdict, sign in rows)
    assert len(set(signs.values())) == len(VERDICTS)


def test_hints_counterexamples_algebra_reasons_and_how_it_was_run_are_shown():
    one = report("O", finding(NAMES[2], hint="damp by a metric", exact="broken", slope=0.75, first=3.2e-7))
    one["findings"] = [entry for entry in one["findings"] if entry["group"] != "loss scale"]
    one |= {"left_out": {"loss scale": "there is no loss"}, "how": "on matrices alone"}
    page = audit_page(
        [one], ORDER, title="t", counterexamples={"O": {NAMES[2]: "W1 = [[1]]\n  b1 = [0]"}},
        algebra={"O": {"dimension": 4, "of": 36, "holds": ["output shift"]}},
    )  # fmt: skip
    words = text_of(page)
    for expected in ("damp by a metric", "there is no loss", "on matrices alone", "dimension 4 of 36", "output shift",
                     "3.2·10⁻⁷", "0.75", "learning rate 0.01, 7 steps", "seed 3"):  # fmt: skip
        assert expected in words, expected
    assert "<pre>W1 = [[1]]\n  b1 = [0]</pre>" in page
    inside = one | {"counterexamples": {NAMES[2]: "W1 = [[1]]\n  b1 = [0]"},
                    "lie_algebra": {"dimension": 4, "of": 36, "holds": ["output shift"]}}  # fmt: skip
    assert audit_page([inside], ORDER, title="t") == page


def test_verdicts_at_odds_with_each_other_are_pointed_out():
    fine = audit_page([report("O", finding("input affine"))], ORDER, title="t")
    assert "At odds" not in fine
    page = audit_page([report("O", finding("input sign"))], ORDER, title="t")
    assert "At odds" in page and "input sign</a> is broken" in page
    page = audit_page([report("O", finding("input sign", "invariant", exact="broken"))], ORDER, title="t")
    assert "input sign</a> is invariant, and broken in exact arithmetic" in page


def test_the_catalogue_has_every_optimizer_with_its_numbers(many):
    page = audit_page(many, ORDER, title="t", unaudited=[{"name": "strange", "reason": "needs <two> GPUs"}])
    words = text_of(page)
    assert "25 optimizers" in words and "1 could not be audited" in words
    assert "strange" in words and "needs &lt;two&gt; GPUs" in page
    document = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert document["optimizers"] == list(many)
    assert document["groups"] == NAMES
    for row, one in zip(document["found"], many.values(), strict=True):
        verdicts = {entry["group"]: entry["verdict"] for entry in one["findings"]}
        assert [VERDICTS[found[0]] for found in row] == [verdicts[name] for name in NAMES]
        assert all(found[1] == ("0.125" if found[0] == 2 else "0") for found in row)
        assert all(found[2:6] == ["0.25", "1.5·10⁻¹³", "2", "1"] for found in row)
    for index, name in enumerate(many):
        assert f'id="optimizer-{index}"><h3>{name}</h3>' in page
    letters = re.findall(r'id="profile-([A-Z]+)"', page)
    assert letters == ["A", "B", "C", "D", "E"]


def test_what_stands_in_reports_is_text_and_not_markup():
    evil = "</script><script>alert(1)</script><img src=x>&\"'\x00"
    order = {evil: (), "b": ((evil,),)}
    one = report(evil, finding(evil, hint=evil), order=order)
    one |= {"how": evil, "network": evil, "left_out": {"b": evil}, "findings": one["findings"][:1],
            "counterexamples": {evil: evil}, "lie_algebra": {"dimension": evil, "of": 1, "holds": [evil]}}  # fmt: skip
    pages = (
        audit_page([one], order, title=evil),
        audit_page({evil: one, "other:" + evil: one}, order, title=evil, unaudited=[{"name": evil, "reason": evil}]),
    )
    plain = audit_page([report("a", order={"a": ()})], {"a": ()}, title="t")
    for page in pages:
        reader = read(page)
        assert ("img", "src") not in reader.attributes
        assert "\x00" not in page
        # As many as where nobody tries, but for the numbers of a catalogue.
        assert page.count("</script>") == plain.count("</script>") + (page is pages[1])
        assert "alert(1)" in "".join(reader.text)
    document = json.loads(re.search(r'id="data">(.*?)</script>', pages[1], re.DOTALL)[1])
    assert document["groups"] == [evil, "b"]


def test_numbers_have_few_digits_and_what_is_not_finite_is_said():
    assert [amount(one) for one in (0.0, 1, 0.12345, 12345.6, 3.16e-15, -2e-7, 1e100)] == [
        "0", "1", "0.123", "1.2·10⁴", "3.2·10⁻¹⁵", "-2·10⁻⁷", "1·10¹⁰⁰",
    ]  # fmt: skip
    assert [amount(one) for one in ("inf", "nan", float("inf"), "-inf")] == ["∞", "not a number", "∞", "-∞"]
    page = audit_page([report("O", finding("input sign", "inconclusive", first="inf", growth="nan"))], ORDER, title="t")
    assert "∞" in page and "not a number" in page


def without(key):
    def change(one):
        del one[key]

    return change


def with_finding(**changes):
    def change(one):
        one["findings"][3] |= changes

    return change


MALFORMED = [
    (without("optimizer"), ValuesError, "has no 'optimizer'"),
    (without("findings"), ValuesError, "has no 'findings'"),
    (without("left_out"), ValuesError, "has no 'left_out'"),
    (without("rate"), ValuesError, "has no 'rate'"),
    (lambda one: one["findings"].pop(), ValuesError, f"no verdict of 'O' on '{NAMES[-1]}'"),
    (lambda one: one["findings"][0].pop("first"), ValuesError, "has no 'first'"),
    (lambda one: one["findings"].append(finding(NAMES[0])), ValuesError, f"two entries for '{NAMES[0]}'"),
    (lambda one: one["left_out"].update({NAMES[0]: "why"}), ValuesError, f"two entries for '{NAMES[0]}'"),
    (lambda one: one["left_out"].update({"other": "why"}), UnknownNameError, "'other', which is not one of the groups"),
    (with_finding(verdict="fine"), ValuesError, "the verdict 'fine'"),
    (with_finding(exact="perhaps"), ValuesError, "says 'perhaps' of exact arithmetic"),
    (with_finding(first="0.1"), ValuesError, "'0.1' where a number is required"),
    (with_finding(last=None), ValuesError, "None where a number is required"),
    (with_finding(growth=True), ValuesError, "True where a number is required"),
    (lambda one: one.update(counterexamples={"other": "W"}), UnknownNameError, "counterexample for 'other'"),
    (lambda one: one.update(lie_algebra={"dimension": 1}), ValuesError, "has no 'holds'"),
]


@pytest.mark.parametrize(("spoil", "error", "words"), MALFORMED)
def test_a_malformed_report_is_refused_by_name(spoil, error, words):
    one = copy.deepcopy(report("O"))
    audit_page([one], ORDER, title="t")
    spoil(one)
    with pytest.raises(error, match=re.escape(words)):
        audit_page([one], ORDER, title="t")


def test_no_report_two_of_one_name_and_notes_on_others_are_refused():
    with pytest.raises(ValuesError, match="at least one report"):
        audit_page([], ORDER, title="t")
    with pytest.raises(ValuesError, match="two reports are of 'O'"):
        audit_page([report("O"), report("O")], ORDER, title="t")
    with pytest.raises(UnknownNameError, match="counterexamples came for 'P'"):
        audit_page([report("O")], ORDER, title="t", counterexamples={"P": {}})
    with pytest.raises(ValuesError, match="round in a circle"):
        audit_page([report("O")], ORDER | {"input affine": (("input sign",),)}, title="t")
    with pytest.raises(ValuesError, match="an optimizer that could not be audited has no 'reason'"):
        audit_page([report("O")], ORDER, title="t", unaudited=[{"name": "P"}])


def test_a_part_of_the_groups_is_shown_with_the_order_between_them():
    part = Order.of(ORDER).restricted(["input affine", "input scalar", "loss scale"]).above
    assert part == {"input scalar": (("input affine",),), "input affine": (), "loss scale": ()}
    words = text_of(audit_page([report("O", order=part)], part, title="t"))
    assert "3 groups" in words
