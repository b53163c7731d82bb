"""The conformance files of the array layer, on every GPU that is here."""

from __future__ import annotations

from typing import Any

import pytest

from ..arrays import test_theme_contract, test_theme_ordered_tier
from ..places import GPU, namespace


def _reasons() -> list[str]:
    """Why no place with a GPU can be used; empty where one can."""
    found = []
    for name in GPU:
        try:
            namespace(f"{name}-float32")
        except pytest.skip.Exception as reason:
            found.append(str(reason))
        else:
            return []
    return found


if reasons := _reasons():
    pytest.skip("; ".join(reasons), allow_module_level=True)


def _tests_of(module: Any) -> dict[str, Any]:
    # What is about exact kinds has no GPU.
    return {name: value for name, value in vars(module).items() if name.startswith("test_")}


globals().update(_tests_of(test_theme_contract) | _tests_of(test_theme_ordered_tier))
