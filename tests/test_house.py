"""Rules about the code itself: one walk over all files, which names every offender."""

from __future__ import annotations

import ast
import configparser
import importlib
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import geomkfac

ROOT = Path(__file__).parents[1]
PACKAGE = Path(geomkfac.__file__).parent
LONGEST_FILE = 400
FULLEST_FOLDER = 16
"""Files and folders of one folder, besides its ``__init__.py`` and ``__main__.py``."""
HEAVY = ["scipy", "sympy", "matplotlib", "torch", "cupy", "flint", "hypothesis", "jinja2"]
MAY_IMPORT_ARRAY_LIBRARIES = {"arrays", "operators", "display", "interop", "testing", "audit"}
WITHOUT_CODE = {"data"}
READ_WHOLE = {"data/check_certificate.py"}
"""A program that people carry elsewhere, and read whole: it may be longer."""
MAY_BE_FULL = {".", "theorems/ledger", "data"}
"""The package has a folder for each room; the ledger a file for each section of the papers."""
THEMES = {"gauge", "gpu"}
"""Folders of tests that are about no room: every file there is a theme."""
SAME_NAME = {
    "affine": "affine spaces, and the maps between them",
    "by_name": "what is registered, found by its name: activations, output families",
    "dense": "a structured matrix that is dense, and the metric tensor of one",
    "gauge": "hidden frames drawn anew, and the check that none shows",
    "kronecker": "a structured matrix that is a Kronecker product, and the metric tensor of one",
}
"""Names that two files of the package have, and the concept, which is one."""

FILES = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
"""Every file of the package, by its place in it."""
TESTS = sorted(path.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py"))
ROOMS = sorted({place.split("/")[0] for place in FILES if place.count("/")} - WITHOUT_CODE)


def faults_of_a_file(place: str, text: str) -> Iterator[str]:
    """What is wrong with one file of the package."""
    length = len(text.splitlines())
    if length > LONGEST_FILE and place not in READ_WHOLE:
        yield f"{place} has {length} lines, more than {LONGEST_FILE}"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{place}:{node.lineno} checks by an assert statement, which Python drops under -O"
        if isinstance(node, ast.Name) and node.id == "__all__" and not place.endswith("__init__.py"):
            yield f"{place}:{node.lineno} has an __all__: public names are listed by rooms, in __init__.py"
    if place.endswith("__init__.py"):
        summary = (ast.get_docstring(tree) or "").partition("\n\n")[0]
        if not summary.endswith(".") or ". " in summary.replace("\n", " "):
            yield f"{place} must begin with a docstring whose first paragraph is one sentence: what the room holds"


def faults_of_the_folders(places: Iterable[str]) -> Iterator[str]:
    """What is wrong with how the files lie in folders."""
    entries, named = defaultdict(set), defaultdict(list)
    for place in places:
        path = Path(place)
        for inner, outer in zip((path, *path.parents), path.parents, strict=False):
            entries[outer.as_posix()].add(inner.name)
        if path.stem.strip("_") not in ("init", "main"):
            named[path.stem].append(place)
    for folder, names in entries.items():
        names -= {"__init__.py", "__main__.py"}
        if len(names) > FULLEST_FOLDER and folder not in MAY_BE_FULL:
            yield f"{folder} has {len(names)} entries, more than {FULLEST_FOLDER}: rooms within it are missing"
    for name, there in named.items():
        if len(there) > 1 and name not in SAME_NAME:
            yield f"{' and '.join(there)} have one name: give each the name of what it alone holds"
        if len(there) == 1 and name in SAME_NAME:
            yield f"{there[0]} is alone with its name: strike it from SAME_NAME"
    yield from (f"{name} is the name of no file: strike it from SAME_NAME" for name in SAME_NAME if name not in named)


def faults_of_the_tests(tests: Iterable[str], places: Iterable[str]) -> Iterator[str]:
    """Tests that are not where one looks for them; those of no room, directly in tests/, are themes."""
    places = set(places)
    for test in tests:
        folder, _, name = test.rpartition("/")
        tested = f"{folder}/{name.removeprefix('test_')}"
        if folder and folder not in THEMES and tested not in places and not name.startswith("test_theme_"):
            yield f"tests/{test} tests no file geomkfac/{tested}: name it after one, or test_theme_..."


def test_every_file_keeps_the_rules() -> None:
    faults = [fault for place, text in FILES.items() for fault in faults_of_a_file(place, text)]
    assert not faults, "\n".join(faults)


def test_every_file_is_where_one_looks_for_it_and_so_is_its_test() -> None:
    assert {"arrays", "spaces", "maps", "metrics", "networks"} <= set(ROOMS)
    assert {"test_house.py", "maps/test_affine.py"} <= set(TESTS)
    faults = [*faults_of_the_folders(FILES), *faults_of_the_tests(TESTS, FILES)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        ("maps/long.py", "\n" * (LONGEST_FILE + 1), "has 401 lines"),
        ("maps/checked.py", "def f(x):\n    assert x", "checked.py:2 checks by an assert"),
        ("maps/listed.py", "__all__ = []", "listed.py:1 has an __all__"),
        ("maps/__init__.py", "", "one sentence"),
        ("maps/__init__.py", '"""One. Two."""', "one sentence"),
        ("maps/__init__.py", '"""A heading\n\nA sentence."""', "one sentence"),
    ],
)
def test_a_file_with_a_fault_is_named(place: str, text: str, said: str) -> None:
    assert said in "\n".join(faults_of_a_file(place, text))


def test_a_folder_with_a_fault_is_named() -> None:
    full = ["maps/optics/__init__.py", *(f"maps/optics/a{index}.py" for index in range(FULLEST_FOLDER))]
    assert [*faults_of_the_folders([*FILES, *full])] == []
    assert [*faults_of_the_folders([*FILES, *full, "maps/optics/b.py"])] == [
        f"maps/optics has {FULLEST_FOLDER + 1} entries, more than {FULLEST_FOLDER}: rooms within it are missing"
    ]
    (twice,) = faults_of_the_folders([*FILES, "audit/smooth.py"])
    assert "maps/smooth.py and audit/smooth.py have one name" in twice
    (stale,) = faults_of_the_folders(place for place in FILES if place != "maps/affine.py")
    assert "spaces/affine.py is alone with its name" in stale


@pytest.mark.parametrize("test", ["maps/test_affinity.py", "optics/test_lens.py", "maps/activations/test_affine.py"])
def test_a_test_that_nobody_finds_is_named(test: str) -> None:
    assert [*faults_of_the_tests([test, "maps/test_theme_optics.py", "gpu/test_kfac.py"], FILES)] == [
        f"tests/{test} tests no file geomkfac/{test.replace('test_', '')}: name it after one, or test_theme_..."
    ]


def test_every_room_lists_its_public_names_and_has_them() -> None:
    for room in ("geomkfac", *(f"geomkfac.{room}" for room in ROOMS)):
        module = importlib.import_module(room)
        names = module.__all__
        assert len(set(names)) == len(names), room
        assert [f"{room}.{name}" for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", ["geomkfac", "geomkfac.cli.program", "geomkfac.interop"])
def test_importing_the_package_leaves_heavy_libraries_alone(module: str) -> None:
    program = f"import sys; from {module} import *; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.split() == []


def test_every_room_is_guarded_by_the_contract_on_array_libraries() -> None:
    """A new room must be added to the contract in setup.cfg, or be allowed here on purpose."""
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    guarded = settings["importlinter:contract:array-libraries"]["source_modules"].split()
    plain_modules = [Path(place).stem for place in FILES if "/" not in place and place != "__init__.py"]
    expected = {*ROOMS, *plain_modules} - MAY_IMPORT_ARRAY_LIBRARIES
    assert sorted(guarded) == sorted(f"geomkfac.{name}" for name in expected)
