"""The tour of the README, its arrays replaced by those of another library or device, and nothing else."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from geomkfac.arrays import FloatingNamespace, namespace_of

from .places import GPU, HOST, arrays_of, namespace, parameters

ROOT = Path(__file__).parents[1]
PLACES = {name: place for name, place in (HOST | GPU).items() if name != "numpy"}


def tour() -> list[doctest.Example]:
    """The first block of Python under the heading "The tour"."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("## The tour")[1].split("```python\n")[1].split("```")[0]
    return doctest.DocTestParser().get_examples(block)


def run(ns: FloatingNamespace) -> tuple[dict[str, Any], Any]:
    """What the tour leaves: its names, and the value of its last line."""
    make, names, value = arrays_of(ns), {}, None
    for example in tour():
        try:
            value = eval(example.source, names)
        except SyntaxError:
            exec(example.source, names)
        if "Ws, bs =" in example.source:
            names["X"], names["y"] = make(names["X"]), make(names["y"])
            names["Ws"], names["bs"] = list(map(make, names["Ws"])), list(map(make, names["bs"]))
    return names, value


@pytest.mark.parametrize("parameter", parameters(PLACES, "float64", "float32"))
def test_the_tour_runs_unchanged_on_arrays_of_any_library(parameter: str) -> None:
    if parameter == "jax-float64":
        pytest.skip("JAX compiles every operation and shape for itself: float32 is enough")
    ns = namespace(parameter)
    names, shapes = run(ns)
    assert [(tuple(W), tuple(b)) for W, b in shapes] == [((32, 64), (32,)), ((16, 32), (16,)), ((10, 16), (10,))]
    for name in ("A0", "G1", "A0w", "G1w"):
        assert namespace_of(names[name]) is ns, name
    found = [array for name in ("step", "dh") for array in names[name].coordinates(names["iota"])]
    after = names["net"].to_arrays(names["weights"] - 0.1 * names["step"], names["kappa"])
    found += [array for pair in after for array in pair]
    assert {namespace_of(array).name for array in found} == {ns.name}


def test_the_tour_is_what_the_readme_shows() -> None:
    sources = [example.source for example in tour()]
    assert any("minimal_solution" in source for source in sources)
    assert any("whitened" in source for source in sources)
    assert tour()[-1].want.startswith("[((32, 64)")
