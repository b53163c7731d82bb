"""``geomkfac audit``: tables, JSON, the page, options, and errors on one line."""

from __future__ import annotations

import json
import sys

import pytest

from geomkfac.arrays import LIBRARY_ON
from geomkfac.audit import GROUPS, ChangeOfBasis, Stored
from geomkfac.cli import main
from geomkfac.theorems.instances.basis_groups import GROUPS as TABLE


def run(capsys, *words):
    """Exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as stop:
        main(["audit", *words])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


RULE = "geomkfac.updates:GradientDescent"


def test_the_table_has_a_cell_for_every_group(capsys):
    code, out, _ = run(capsys, "geomkfac.updates:Kfac", "--steps", "3", "--option", "joint=false")
    assert code == 0
    assert "Kfac(joint=False" in out
    table = [line.split() for line in out.splitlines() if line.strip().startswith("translation")]
    verdicts = [word for word in table[0] if word in ("broken", "invariant")]
    assert verdicts == ["broken", "broken", "invariant", "invariant"]
    for group in GROUPS:
        assert isinstance(group, ChangeOfBasis | Stored) or group.name in out
    assert "put weight and bias in one block" in out
    assert "not here: order of parameters" in out


def test_a_row_of_numbers_for_every_group(capsys):
    code, out, _ = run(capsys, RULE, "--steps", "3", "--details", "--lr", "0.1")
    assert code == 0
    # All groups but layouts; those of one space, decided exactly too, of both sides; and the line that explains.  A
    # table on a narrow terminal folds names.
    words = out.split()
    audited = sum(not isinstance(group, Stored) for group in GROUPS)
    exactly = sum(one.audited for one in TABLE.values())
    assert sum(words.count(verdict) for verdict in ("invariant", "broken")) == audited + 2 * exactly + 1
    assert "GradientDescent(momentum=0), learning rate 0.1," in out
    assert "slope" in out


def test_one_document_with_everything(capsys):
    code, out, _ = run(
        capsys, RULE, "--group", "activation diagonal", "--group", "activation orthogonal", "--json", "--lie-algebra",
        "--counterexamples",
    )  # fmt: skip
    document = json.loads(out)
    assert code == 0
    assert [finding["verdict"] for finding in document["findings"]] == ["broken", "invariant"]
    assert document["lie_algebra"]["dimension"] == document["lie_algebra"]["at_most"] == 13
    assert document["lie_algebra"]["undecided"] == []
    assert document["lie_algebra"]["of"] == 36
    assert "activation orthogonal" in document["lie_algebra"]["holds"]
    assert list(document["counterexamples"]) == ["activation diagonal"]
    assert "W1' =" in document["counterexamples"]["activation diagonal"]


def test_the_page_shows_the_same(capsys, tmp_path):
    page = tmp_path / "page.html"
    code, out, _ = run(capsys, RULE, "--steps", "3", "--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert code == 0
    assert "GradientDescent" in out
    for group in GROUPS:
        assert group.name in text
    code, _, _ = run(capsys, RULE, "--steps", "3", "--group", "activation sign", "--html", str(page))
    assert code == 0
    assert "activation sign" in page.read_text(encoding="utf-8")


def test_exponents_of_an_option(capsys):
    words = ["geomkfac.updates:DampedKfac", "--vary", "damping=1e-11,1e-9", "--steps", "2"]
    groups = ["--group", "activation orthogonal", "--group", "pre-activation scalar"]
    code, out, _ = run(capsys, *words, *groups[:2])
    assert code == 0
    assert "round-off" in out
    code, out, _ = run(capsys, *words, *groups, "--json")
    found = json.loads(out)["groups"]
    assert found["activation orthogonal"]["exponent"] is None
    assert found["pre-activation scalar"]["exponent"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("module:name", ["torch.optim.Adam"]),
        ("no activations of that name|Did you mean 'activation sign'", [RULE, "--group", "activation sing"]),
        ("NAME=VALUE", [RULE, "--option", "momentum"]),
        ("Did you mean 'momentum'", [RULE, "--option", "momentun=1"]),
        ("takes no --html", [RULE, "--vary", "momentum=1,2", "--html", "x.html"]),
        ("NAME=V,V", [RULE, "--vary", "momentum=high"]),
        ("two positive values", [RULE, "--vary", "momentum=1"]),
        ("came 'transformer'", [RULE, "--network", "transformer"]),
    ],
)
def test_bad_input_is_two(capsys, text, words):
    import re

    code, out, err = run(capsys, *words)
    assert code == 2
    assert not out
    assert re.search(text, err)
    assert "Traceback" not in err


def test_optimizers_of_pytorch(capsys):
    pytest.importorskip("torch")
    code, out, _ = run(
        capsys, "torch.optim:SGD", "--option", "momentum=0.9", "--option", "nesterov=true", "--steps", "3", "--json",
        "--group", "activation orthogonal", "--group", "transposed weights",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    assert document["optimizer"] == "SGD(momentum=0.9, nesterov=True)"
    assert {finding["verdict"] for finding in document["findings"]} == {"invariant"}


def test_an_optimizer_of_pytorch_without_pytorch_names_the_extra(capsys, monkeypatch):
    for name in ("torch", "torch.optim"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = run(capsys, "torch.optim:Adam")
    assert code == 2
    assert "geomkfac[torch]" in err


@pytest.mark.parametrize("more", [(), pytest.param(("--counterexamples", "--lie-algebra"), marks=pytest.mark.slow)])
def test_the_device_is_told_or_named_where_it_is_missing(capsys, monkeypatch, more):
    words = (RULE, "--group", "activation orthogonal", "--steps", "2", "--json", *more)
    monkeypatch.setitem(LIBRARY_ON, "device1", "array_api_strict")
    code, out, _ = run(capsys, *words, "--device", "device1")
    document = json.loads(out)
    assert code == 0
    assert document["how"] == "on device1"
    assert [finding["verdict"] for finding in document["findings"]] == ["invariant"]
    code, _, err = run(capsys, *words, "--device", "device7")
    assert code == 2
    assert "unknown device 'device7'" in err
