"""The file of a catalogue, damaged or foreign: refused, or shown."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.audit.catalogues.document import figure, markdown, page
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.errors import FileFormatError, GeomkfacError

from ...damages import altered, damaged

PUBLISHED = Path(__file__).parents[3] / "docs" / "invariance.json"


@cache
def small() -> Any:
    """One optimizer of the published catalogue, with few groups."""
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    report = document["reports"]["torch.optim"]["SGD"]
    report["findings"] = dict(list(report["findings"].items())[:5])
    document["reports"] = {"torch.optim": {"SGD": report}}
    return document


@given(st.data())
def test_a_catalogue_that_someone_else_wrote_is_refused_or_shown(data: st.DataObject) -> None:
    document = data.draw(altered(small()))
    try:
        made = Catalogue.from_json(document)
        for shown in (page, figure, markdown):
            shown(made).encode("utf-8", "surrogatepass")
    except GeomkfacError:
        return
    assert Catalogue.from_json(made.to_json()).to_json() == made.to_json()


@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_what_it_says(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.json"
        path.write_bytes(data.draw(damaged(json.dumps(small()).encode())))
        try:
            made = Catalogue.read(path)
        except FileFormatError:
            return
        assert made.to_json()["reports"] == {
            package: found for package, found in json.loads(path.read_bytes())["reports"].items() if found
        }


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("steps",), "10", "steps holds '10'"),
        (("versions",), [], "versions is no object"),
        (("reports", "torch.optim", "SGD", "rate"), None, "rate holds 'None'"),
        (("reports", "torch.optim", "SGD", "findings", "input sign"), [1], "input sign is no row of 9"),
        (("reports", "torch.optim", "SGD", "findings", "input sign", 0), "kept", "input sign holds 'kept'"),
        (("reports", "torch.optim", "SGD", "findings", "input sign", 1), 10**400, "input sign holds"),
        (("reports", "torch.optim", "SGD"), {}, "SGD is no object with optimizer"),
    ],
)
def test_what_is_wrong_is_named(place: tuple[Any, ...], value: Any, said: str) -> None:
    document = json.loads(json.dumps(small()))
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(FileFormatError, match=said):
        Catalogue.from_json(document)
