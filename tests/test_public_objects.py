"""What is public, called with anything: errors of geomkfac alone come out, with messages that can be read.

Every public function, constructor and method of the rooms that compute is called with objects of every sort and with
values that are none.  Public are the names of the rooms' ``__all__`` and what has no underscore there; apart from

- what takes a namespace, and the doors named in `INNER`: they are for the rooms above, and check nothing;
- classes that are public to be recognised, and are made by others: `MADE_BY_OTHERS`.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geomkfac.errors import LONGEST_MESSAGE, GeomkfacError, KindError, _shortened
from geomkfac.required import shown

from .public_objects import public_objects, strange_values

ROOMS = ("geomkfac", "geomkfac.spaces", "geomkfac.maps", "geomkfac.metrics", "geomkfac.networks", "geomkfac.operators")
INNER = {
    "components_in", "from_components", "with_components", "flatten", "unflatten", "require_same_namespace",
    "frame_from", "check_dimension",
}  # fmt: skip
MADE_BY_OTHERS = {
    "BaseFrame", "DerivedFrame", "Dual", "Direction", "Chunk", "Piece", "Element", "Point", "Vector", "Space",
    "Subspace", "LinearSpace", "PointSpace", "LayerMoments", "KfacMoments", "Operand", "CanonicalIsomorphism",
    "gauge_fuzzing", "errors",
}  # fmt: skip
OPERATORS = (
    "__call__", "__add__", "__sub__", "__mul__", "__rmul__", "__truediv__", "__matmul__", "__getitem__", "__eq__",
)  # fmt: skip
LONG = 2000
"""Characters that a message has at most."""

LIKELY = {
    "frame": ("frame", "output frame", "parameterization"), "weights": ("weights",),
    "sample": ("sample", "streamed"),
    "output": ("loss", "generic family"), "parameterization": ("parameterization",), "point": ("point", "points"),
    "points": ("points",), "metric": ("euclidean metric", "pullback"), "vector": ("vector", "step"),
    "like": ("vector",),
    "covector": ("covector", "differential"), "phi": ("differential",), "norm": ("euclidean", "kfac"), "g": ("kfac",),
    "other": ("vector", "points", "block diagonal", "kfac"), "g0": ("euclidean", "kfac"),
    "element": ("weights", "tensor"),
    "domain": ("affine space", "vector space"), "codomain": ("affine space", "vector space"),
    "kind": ("floating", "kind"),
    "source": ("exact frame", "frame"), "target": ("exact frame", "frame"), "space": ("affine space",),
}  # fmt: skip
"""Objects that fit parameters of these names."""

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@cache
def public_calls() -> dict[str, tuple[Any, inspect.Signature]]:
    """Everything public that can be called, by name."""
    found: dict[str, Any] = {}
    for room in map(import_module, ROOMS):
        for name in room.__all__:
            made = getattr(room, name)
            if name in MADE_BY_OTHERS or not callable(made) or inspect.isabstract(made):
                continue
            found[name] = made
            for attribute in (vars(made) if inspect.isclass(made) else ()):
                if not attribute.startswith("_") and isinstance(vars(made)[attribute], staticmethod | classmethod):
                    found[f"{name}.{attribute}"] = getattr(made, attribute)
    for name, thing in public_objects().items():
        if name in ("chunk", "piece"):
            continue
        for attribute in dir(type(thing)):
            static = inspect.getattr_static(type(thing), attribute)
            if attribute in INNER or not callable(static) or (attribute.startswith("_") and attribute not in OPERATORS):
                continue
            if not isinstance(static, type):
                found[f"({name}).{attribute}"] = getattr(thing, attribute)
    calls = {}
    for name, called in found.items():
        try:
            signature = inspect.signature(called)
        except (TypeError, ValueError):  # A class of typing.
            continue
        module = getattr(called, "__module__", None) or ""
        if module.startswith("geomkfac") and not {"ns", "namespace"} & set(signature.parameters):
            calls[name] = called, signature
    return calls


def check_call(name: str, called: Any, arguments: list[Any], named: dict[str, Any]) -> None:
    """The call returns, or an error of ours comes out that can be read."""
    try:
        returned = called(*arguments, **named)
        if isinstance(returned, Iterator):
            next(returned, None)
    except GeomkfacError as error:
        assert len(str(error)) <= LONG, f"{name} says {len(str(error))} characters"
    except (MemoryError, RuntimeWarning):
        pass  # Of arrays that are too large, and of numbers that overflow: what came made sense.
    except Exception as error:
        allowed = (
            # Python's own protocols: of operators that know not what came, and of indices that end a loop.
            (isinstance(error, TypeError) and "unsupported operand" in str(error))
            or (isinstance(error, IndexError) and name.endswith("__getitem__"))
        )
        assert allowed, f"{name}({_told(arguments, named)}): {error!r}"


def _told(arguments: list[Any], named: dict[str, Any]) -> str:
    return ", ".join([*map(shown, arguments), *(f"{name}={shown(value)}" for name, value in named.items())])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any]]:
    """Something public, and arguments: right ones by the names of the parameters, wrong ones, and strange ones."""
    things, strange = public_objects(), strange_values()
    name = draw(st.sampled_from(sorted(public_calls())))
    right = dict(LIKELY)
    values = st.sampled_from(list(things.values())) | st.sampled_from(strange)
    kinds = inspect.Parameter
    arguments: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in public_calls()[name][1].parameters.values():
        likely = [things[one] for one in right.get(parameter.name, ())]
        drawn = st.sampled_from(likely) | values if likely else values
        if parameter.kind is kinds.VAR_POSITIONAL:
            arguments += draw(st.lists(drawn, max_size=3))
        elif parameter.kind is kinds.VAR_KEYWORD or (parameter.default is not kinds.empty and draw(st.booleans())):
            # What is left out, and all that is positional after it.
            if parameter.kind is not kinds.KEYWORD_ONLY and parameter.kind is not kinds.VAR_KEYWORD:
                break
        elif parameter.kind is kinds.KEYWORD_ONLY:
            named[parameter.name] = draw(drawn)
        else:
            arguments.append(draw(drawn))
    return name, arguments, named


def test_what_is_public_is_found() -> None:
    names = set(public_calls())
    assert len(names) > 400
    assert {"AdditiveMetric", "tensor", "Sample.from_batches", "(network).moments", "(radical).basis"} <= names


@settings(max_examples=max(150, settings.default.max_examples))
@given(call=calls())
def test_any_call_returns_or_is_refused_in_words(call: tuple[str, list[Any], dict[str, Any]]) -> None:
    name, arguments, named = call
    check_call(name, public_calls()[name][0], arguments, named)


def test_one_value_of_any_sort_is_no_fault() -> None:
    """Every function, with each strange value for all that it needs."""
    strange = strange_values()
    for name, (called, signature) in public_calls().items():
        parameters = [one for one in signature.parameters.values() if one.default is one.empty]
        count = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
        named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
        for value in strange if count else ():
            check_call(name, called, [value] * count, dict.fromkeys(named, value))


@pytest.mark.parametrize("how", COPIES)
def test_everything_public_can_be_pickled_and_copied(how: str) -> None:
    for name, thing in public_objects().items():
        again = COPIES[how](thing)
        assert type(again) is type(thing), name
        if " object at 0x" not in repr(thing):
            assert repr(again) == repr(thing), name


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", ["sample", "streamed", "listed", "stored"])
def test_a_copy_of_a_sample_holds_the_same_data(name: str, how: str) -> None:
    sample: Any = public_objects()[name]
    again = COPIES[how](sample)
    frame = public_objects()["parameterization"][sample.space]
    assert again.space is sample.space
    for mine, other in itertools.zip_longest(sample.chunks(4), again.chunks(4)):
        assert np.array_equal(mine.points.coordinates(frame), other.points.coordinates(frame))
        assert np.array_equal(mine.targets, other.targets)
        assert mine.first == other.first


def test_what_cannot_be_pickled_says_so() -> None:
    import geomkfac as gk

    parts = public_objects()
    made = [parts["parameterization"].sample(lambda: []), gk.CovectorMetric(parts["frame"], lambda z: (z, z))]
    for thing in made:
        with pytest.raises(KindError, match="cannot be pickled"):
            pickle.dumps(thing)
        assert type(copy.copy(thing)) is type(copy.deepcopy(thing)) is type(thing)


def test_a_large_value_costs_a_message_no_more_than_a_small_one() -> None:
    """Formatting 2**24 numbers along 24 axes would take minutes."""
    hull, large = public_objects()["hull"], np.zeros((2,) * 24)
    began = time.process_time()
    with pytest.raises(GeomkfacError) as caught:
        hull.point_of(large)
    assert time.process_time() - began < 5
    assert "ndarray of shape (2, 2, 2" in str(caught.value)


@given(st.text(min_size=0, max_size=50), st.integers(0, 10**4))
def test_a_message_keeps_its_two_ends(text: str, times: int) -> None:
    message = f"begin {text * times} end"
    kept = str(GeomkfacError(message))
    assert len(kept) <= LONGEST_MESSAGE
    assert _shortened(kept) == kept
    assert kept.startswith("begin")
    assert kept.endswith("end")
    assert kept == message or len(message) > LONGEST_MESSAGE
