"""The picture of the lattice, and the order beneath it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geomkfac.audit import GROUPS, ChangeOfBasis, subgroups
from geomkfac.display.audit.lattice import draw_lattice, lattice_svg
from geomkfac.display.audit.order import VERDICTS, Order
from geomkfac.display.audit.profiles import profiles, standing
from geomkfac.display.templates import templates
from geomkfac.errors import UnknownNameError, ValuesError

SVG = "{http://www.w3.org/2000/svg}"
ORDER = subgroups()
NAMES = list(ORDER)
MARKS = templates().get_template("marks.jinja").module


def verdicts_of(kept):
    """Invariant to some groups and all that these imply, and to no other."""
    implied = Order.of(ORDER).implied(kept)
    return {name: "invariant" if name in implied else "broken" for name in ORDER}


def nodes(picture):
    """{group: its element}, by the title that says its name and verdict."""
    found = {}
    for one in ElementTree.fromstring(picture).iter():
        title = one.find(f"{SVG}title")
        if title is not None and one.tag in (f"{SVG}g", f"{SVG}a"):
            found[title.text.rpartition(": ")[0]] = one
    return found


def boxes(picture):
    """{group: (left, top, right, bottom)} of a picture with links."""
    found = {}
    for name, node in nodes(picture).items():
        ring = next(one for one in node.iter(f"{SVG}rect") if one.get("class") == "ring")
        x, y, width, height = (float(ring.get(key)) for key in ("x", "y", "width", "height"))
        found[name] = x, y, x + width, y + height
    return found


@st.composite
def orders(draw):
    """Orders of a few groups at places, some of which need two larger ones together."""
    count = draw(st.integers(1, 14))
    places = draw(st.lists(st.sampled_from(["input", "output", "long place", ""]), min_size=count, max_size=count))
    kinds = draw(st.lists(st.sampled_from(["sign", "permutation", "a change with a long name", "unitwise"]),
                          min_size=count, max_size=count))  # fmt: skip
    names = [f"{place} {kind} {index}".strip() for index, (place, kind) in enumerate(zip(places, kinds, strict=True))]
    order = {}
    for index, name in enumerate(names):
        above = st.lists(st.sampled_from(names[:index]), min_size=1, max_size=2, unique=True) if index else st.nothing()
        order[name] = tuple(map(tuple, draw(st.lists(above, max_size=2)))) if index else ()
    return order


def test_every_group_has_the_mark_of_its_verdict_by_colour_and_by_shape():
    verdicts = {name: VERDICTS[index % len(VERDICTS)] for index, name in enumerate(NAMES)}
    found = nodes(lattice_svg(ORDER, {"some": verdicts}))
    assert set(found) == set(NAMES)
    for name, node in found.items():
        shape = next(one for one in node.iter(f"{SVG}g") if one.get("class") in {v.replace(" ", "-") for v in VERDICTS})
        assert shape.get("class") == verdicts[name].replace(" ", "-")
        colours = {one.get(kind) for one in shape.iter() for kind in ("fill", "stroke")}
        assert MARKS.colours[verdicts[name]] in colours
        # The sign within the shape: a second path, or a letter.
        assert len(list(shape)) == 2
    assert len({re.sub("#[0-9a-f]+", "", MARKS.mark(verdict)) for verdict in VERDICTS}) == len(VERDICTS)


def test_another_verdict_changes_the_picture_at_its_group_alone():
    before = verdicts_of(["input affine"])
    one, other = (
        {name: ElementTree.tostring(node) for name, node in nodes(lattice_svg(ORDER, {"some": verdicts})).items()}
        for verdicts in (before, before | {"output sign": "inconclusive"})
    )
    assert [name for name in NAMES if one[name] != other[name]] == ["output sign"]


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_larger_groups_of_a_place_stand_above_smaller_ones(columns):
    found = boxes(lattice_svg(ORDER, {"some": verdicts_of([])}, columns=columns, link=lambda name: "#x"))
    pairs = [(above, name) for name in ORDER for above in Order.of(ORDER).parents(name)]
    # Every change of basis but the largest stands below another one.
    bases = {group.name for group in GROUPS if isinstance(group, ChangeOfBasis) and group.action != "affine"}
    assert {name for _, name in pairs} == bases
    assert all(found[above][3] < found[name][1] for above, name in pairs)


@pytest.mark.parametrize("columns", [1, 2])
def test_a_group_that_is_added_to_the_order_is_in_the_picture(columns):
    more = ORDER | {"input shear": (("input affine",),), "unit shear": (("activation sign", "input shear"),), "new": ()}
    before, after = (
        lattice_svg(order, {"some": dict.fromkeys(order, "broken")}, columns=columns, link=lambda name: "#x")
        for order in (ORDER, more)
    )
    found = boxes(after)
    assert set(found) - set(boxes(before)) == {"input shear", "unit shear", "new"}
    assert found["input affine"][3] < found["input shear"][1]
    assert after.count('class="edge"') == before.count('class="edge"') + 1
    shown = {name: [one.text for one in node.iter(f"{SVG}text")] for name, node in nodes(after).items()}
    assert shown["input shear"] == ["shear"] and shown["new"] == ["new"]
    assert " ".join(shown["unit shear"]) == "unit shear within activation sign and input shear"


@given(orders(), st.integers(1, 3), st.booleans())
def test_no_two_groups_overlap_and_none_leaves_the_picture(order, columns, many):
    verdicts = dict.fromkeys(order, "invariant")
    shown = {"some": verdicts, "other": dict.fromkeys(order, "broken")} if many else {"some": verdicts}
    picture = lattice_svg(order, shown, columns=columns, link=lambda name: "#x")
    width, height = (float(ElementTree.fromstring(picture).get(key)) for key in ("width", "height"))
    found = list(boxes(picture).values())
    assert len(found) == len(order)
    for index, (left, top, right, bottom) in enumerate(found):
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        for u, v, x, y in found[:index]:
            assert right <= u or x <= left or bottom <= v or y <= top


def test_the_picture_refers_to_nothing_outside_itself():
    picture = lattice_svg(ORDER, {"some": verdicts_of(NAMES)})
    assert re.findall(r"https?://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]
    assert "href" not in picture and "url(" not in picture and "@import" not in picture
    linked = lattice_svg(ORDER, {"some": verdicts_of(NAMES)}, link=lambda name: f"#{NAMES.index(name)}")
    assert len(re.findall('href="#', linked)) == len(NAMES)


def test_names_are_text_and_not_markup():
    order = {"<a> & \x00": (), 'b "c"': (("<a> & \x00",),)}
    picture = lattice_svg(order, {"<i>": dict.fromkeys(order, "broken")}, link=lambda name: '"><script>', title="<t>")
    assert "<script" not in picture and "<i>" not in picture and "<t>" not in picture
    assert {"<a> & \ufffd", 'b "c"'} == set(nodes(picture))


def test_many_optimizers_stand_at_their_largest_groups_and_each_is_named_once():
    kept = [["input affine"], ["input orthogonal", "loss scale"], ["output sign"], []]
    shown = {f"optimizer {index:03d}": verdicts_of(kept[index * index % 7 % 4]) for index in range(150)}
    classes = profiles(Order.of(ORDER), shown)
    assert sorted(name for one in classes for name in one.optimizers) == sorted(shown)
    assert [len(one.optimizers) for one in classes] == sorted((len(one.optimizers) for one in classes), reverse=True)
    assert {one.largest for one in classes} <= set(map(tuple, kept))
    picture = lattice_svg(ORDER, shown)
    words = " ".join("".join(one.itertext()) for one in ElementTree.fromstring(picture).iter(f"{SVG}text"))
    assert all(words.count(name) == 1 for name in shown)
    found = nodes(picture)
    for group in NAMES:
        texts = [one.text for one in found[group].iter(f"{SVG}text")]
        letters = [one.letter for one in classes if group in one.largest]
        count = sum(verdicts[group] == "invariant" for verdicts in shown.values())
        assert f"✓ {count}" in texts
        assert (" ".join(letters) in texts) == bool(letters)


def test_where_a_profile_stands_is_said_by_kinds_and_places():
    everywhere = [f"{place} sign" for place in ("input", "activation", "pre-activation", "output")]
    (one,) = profiles(Order.of(ORDER), {"some": verdicts_of([*everywhere, "output shift", "loss scale"])})
    assert standing(Order.of(ORDER), one) == "at sign (everywhere); shift (output); loss scale"


def test_after_z_letters_are_doubled():
    kept = [[name] for name in NAMES[:30]]
    found = profiles(Order.of(ORDER), {str(index): verdicts_of(one) for index, one in enumerate(kept)})
    assert [one.letter for one in found][24:29] == ["Y", "Z", "AA", "AB", "AC"]


@given(orders(), st.data())
def test_the_largest_groups_imply_all_the_others_and_none_of_themselves(order, data):
    known = Order.of(order)
    kept = data.draw(st.sets(st.sampled_from(list(order))))
    largest = known.largest(kept)
    assert known.implied(largest) == known.implied(kept)
    for name in largest:
        assert name not in known.implied(set(largest) - {name})


@given(orders(), st.data())
def test_a_part_of_an_order_implies_what_the_whole_does(order, data):
    known = Order.of(order)
    part = data.draw(st.sets(st.sampled_from(list(order)), min_size=1))
    kept = data.draw(st.sets(st.sampled_from(sorted(part))))
    assert known.restricted(part).implied(kept) == known.implied(kept) & part


@given(orders(), st.data())
def test_verdicts_that_follow_the_order_are_not_contradicted_and_others_are(order, data):
    known = Order.of(order)
    kept = known.implied(data.draw(st.sets(st.sampled_from(list(order)))))
    verdicts = {name: "invariant" if name in kept else "broken" for name in order}
    assert known.contradicted(verdicts) == ()
    implied = [name for name in kept if name in known.implied(kept - {name})]
    assume(implied)
    assert known.contradicted(verdicts | {implied[0]: "first order"}) == (implied[0],)
    assert known.contradicted(verdicts | {implied[0]: "inconclusive"}) == ()


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ({}, ValuesError, "at least one group"),
        ({"a": (("b",),)}, UnknownNameError, "above 'a' stands 'b'"),
        ({"a": ("b",), "b": ()}, ValuesError, "must be tuples of names"),
        ({"a": ((),)}, ValuesError, "must be tuples of names"),
        ({"a": (("a",),)}, ValuesError, "round in a circle"),
        ({"a": (("b",),), "b": (("c",),), "c": (("a",),)}, ValuesError, "round in a circle"),
        ({"a": (("b", "c"),), "b": (), "c": (("a",),)}, ValuesError, "round in a circle"),
    ],
)
def test_what_is_no_order_is_refused(order, error, words):
    with pytest.raises(error, match=words):
        lattice_svg(order, {"some": dict.fromkeys(order, "broken")})


@pytest.mark.parametrize(
    ("verdicts", "error", "words"),
    [
        ({}, ValuesError, "at least one optimizer"),
        ({"some": {"a": "broken"}}, ValuesError, "no verdict of 'some' on 'b'"),
        ({"some": {"a": "broken", "b": "fine"}}, ValuesError, "the verdict 'fine' on 'b'"),
        ({"some": {"a": "broken", "b": "broken", "c": "broken"}}, UnknownNameError, "'c', which is not one"),
    ],
)
def test_verdicts_that_do_not_fit_the_order_are_refused(verdicts, error, words):
    order = {"a": (), "b": (("a",),)}
    lattice_svg(order, {"some": {"a": "broken", "b": "broken"}})
    with pytest.raises(error, match=words):
        lattice_svg(order, verdicts)


def test_a_part_of_unknown_groups_and_no_column_are_refused():
    with pytest.raises(UnknownNameError, match="'c' is not one of the groups"):
        Order.of({"a": ()}).restricted(["a", "c"])
    with pytest.raises(ValuesError, match="one column or more"):
        lattice_svg({"a": ()}, {"some": {"a": "broken"}}, columns=0)


def test_a_figure_is_written_as_svg_and_as_nothing_else(tmp_path):
    shown = {"some": verdicts_of(["input sign"])}
    draw_lattice(ORDER, shown, tmp_path / "lattice.svg", title="a title")
    assert (tmp_path / "lattice.svg").read_text(encoding="utf-8") == lattice_svg(ORDER, shown, title="a title")
    with pytest.raises(ValuesError, match=r"write it to 'lattice.svg'"):
        draw_lattice(ORDER, shown, tmp_path / "lattice.png")


def test_what_two_groups_imply_together_none_of_them_implies_alone():
    known = Order.of(ORDER)
    both = ("activation sign", "pre-activation sign")
    assert known.joints("unit sign") == (both,)
    assert "unit sign" in known.implied(both)
    assert all("unit sign" not in known.implied([one]) for one in both)
    assert known.largest([*both, "unit sign"]) == both
    assert known.largest([both[0], "unit sign"]) == (both[0], "unit sign")
