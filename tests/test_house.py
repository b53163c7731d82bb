"""Rules about the code itself."""

from __future__ import annotations

import ast
import configparser
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import geomkfac

ROOT = Path(__file__).parents[1]
PACKAGE = Path(geomkfac.__file__).parent
LONGEST_FILE = 400
HEAVY = ["scipy", "sympy", "matplotlib", "torch", "cupy", "flint", "hypothesis", "jinja2"]
MAY_IMPORT_ARRAY_LIBRARIES = {"arrays", "operators", "display", "interop", "testing", "audit"}
WITHOUT_CODE = {"data"}

MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(
    path.stem for path in PACKAGE.iterdir()
    if (path / "__init__.py").exists() and path.name not in WITHOUT_CODE
)  # fmt: skip


def test_the_house_has_rooms() -> None:
    assert {"arrays", "spaces", "maps", "metrics", "networks"} <= set(ROOMS)


ONE_FILE = [PACKAGE / "data" / "check_certificate.py"]
"""A program that people carry elsewhere, and read whole."""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path not in ONE_FILE], ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("room", ["geomkfac", *(f"geomkfac.{room}" for room in ROOMS)])
def test_every_room_lists_its_public_names_and_has_them(room: str) -> None:
    module = importlib.import_module(room)
    names = module.__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_check_is_an_assert_statement(path: Path) -> None:
    """Python drops assert statements under -O."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


def test_importing_the_package_leaves_heavy_libraries_alone() -> None:
    program = f"import sys, geomkfac; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.split() == []


def test_every_room_is_guarded_by_the_contract_on_array_libraries() -> None:
    """A new room must be added to the contract in setup.cfg, or be allowed here on purpose."""
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    guarded = settings["importlinter:contract:array-libraries"]["source_modules"].split()
    plain_modules = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    expected = {*ROOMS, *plain_modules} - MAY_IMPORT_ARRAY_LIBRARIES
    assert sorted(guarded) == sorted(f"geomkfac.{name}" for name in expected)
