"""What is imported is required, what is required is imported, and every requirement says its lowest version.

CI installs these lowest versions, and runs the tests with them (``.ci/lowest.py``).
"""

from __future__ import annotations

import ast
import configparser
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import geomkfac
from geomkfac.audit.libraries import UPDATES

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".ci" / "lowest.py"
PACKAGE = Path(geomkfac.__file__).parent
INSTALLED_BY = {"flint": "python-flint", "cupy": "cupy-cuda12x", "cupyx": "cupy-cuda12x", "dask": "distributed"}
"""The distribution of a module, where its name does not say it."""
LIBRARY_EXTRAS = ("torch", "gpu", "jax")
AUDITED = {name.replace("_", "-") for name in UPDATES}
"""K-FAC libraries: audited where somebody has them."""
LOWEST: dict[str, Any] = runpy.run_path(str(PROGRAM))


def required(section: str, option: str) -> set[str]:
    """The distributions that one option of setup.cfg names."""
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(LOWEST["pins"](settings[section][option].split("\n")))


def imported(text: str) -> Iterator[str]:
    """The top-level modules that a file imports, by a statement anywhere in it or by name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from (str(name.value).partition(".")[0] for name in node.args[:1] if isinstance(name, ast.Constant))


def distributions(folder: Path) -> set[str]:
    """What must be installed, beside geomkfac and the standard library, for what the files of a folder import."""
    files = [*folder.rglob("*.py")]
    # Files of the package are found by its name alone; tests and examples also import their neighbours.
    own = {"geomkfac"} if folder == PACKAGE else {"geomkfac", "tests", *(file.stem for file in files)}
    names = {name for file in files for name in imported(file.read_text("utf-8"))} - own - sys.stdlib_module_names
    return {INSTALLED_BY.get(name, name.replace("_", "-")) for name in names}


def test_what_the_package_imports_is_required_and_what_is_required_is_imported() -> None:
    always, there = required("options", "install_requires"), distributions(PACKAGE)
    assert always - there == set()
    extras = {"figures", "distributed", "test", *LIBRARY_EXTRAS}
    optional = {name for extra in extras for name in required("options.extras_require", extra)}
    assert there - always - optional - AUDITED == set()


@pytest.mark.parametrize("folder", ["tests", "examples"])
def test_what_the_tests_and_examples_import_is_required(folder: str) -> None:
    extras = {name for extra in ("test", "dev", *LIBRARY_EXTRAS) for name in required("options.extras_require", extra)}
    known = {*required("options", "install_requires"), *extras, *AUDITED}
    assert distributions(ROOT / folder) - known == set()


def test_imports_are_seen_wherever_they_stand() -> None:
    text = 'import a.b\ndef f():\n    from c.d import e\n    importlib.import_module("g.h")\n    from .i import j'
    assert [*imported(text)] == ["a", "c", "g"]


def lowest(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program run."""
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_requirement_becomes_a_constraint_at_its_lowest_version() -> None:
    done = lowest()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line) for line in lines)
    settings = (ROOT / "setup.cfg").read_text("utf-8")
    assert {line.replace("==", ">=") for line in lines if "curvlinops" not in line} <= set(settings.split())
    assert required("options", "install_requires") <= {line.partition("==")[0] for line in lines}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["numpy"], "'numpy' says no lowest version: write it as NAME>=VERSION"),
        (["numpy<3"], "'numpy<3' says no lowest version"),
        (["numpy>2"], "'numpy>2' says no lowest version"),
        (["numpy>=2.0.0", "numpy>=2.1.0"], "'numpy>=2.1.0' differs from numpy 2.0.0"),
    ],
)
def test_a_requirement_without_one_lowest_version_is_named(lines: Iterable[str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        LOWEST["pins"](lines)


def test_a_package_that_is_installed_in_another_version_is_named(tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    there = LOWEST["version"]("pytest")
    constraints.write_text(f"pytest=={there}\nno-such-package==1.0\n")
    assert lowest("--installed", str(constraints)).returncode == 0
    constraints.write_text("pytest==0.1\n")
    done = lowest("--installed", str(constraints))
    assert (done.returncode, done.stderr) == (1, f"pytest {there} is installed, not 0.1\n")


def test_the_documents_name_the_version() -> None:
    head = re.search(r"^## \[(.+?)\] - ", (ROOT / "docs" / "changelog.md").read_text("utf-8"), re.MULTILINE)
    assert head is not None
    assert head[1] == geomkfac.__version__
    named = re.findall(r"geomkfac-([0-9.]+)-py3-none-any\.whl", (ROOT / "README.md").read_text("utf-8"))
    assert set(named) == {geomkfac.__version__}
