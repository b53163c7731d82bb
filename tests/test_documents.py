"""What the documents and docstrings show runs as printed.

In README.md, docs/*.md and CONTRIBUTING.md, the blocks of a document run in order, in one namespace and one
empty folder.  ```python blocks are executed, as doctests where they hold a prompt; ```bash and ```console
blocks run where the marker ``<!-- run -->`` stands directly above them.  ```text blocks that begin with
``$ geomkfac`` are what that command prints, to the letter but for seconds.  Other blocks are left alone.
Where ``<!-- needs: torch -->`` stands above a block, or in the first line for the whole document, it runs where these
modules are installed; the test of a document of which a block did not run is reported as skipped.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import geomkfac

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LONG = {"audit.md", "certificates.md"}
FENCE = re.compile(
    r"^(?:<!-- needs: (?P<needs>[\w ]+) -->\n\s*)?(?P<marker><!-- run -->\n\s*)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```\s*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, code, line number, whether the marker stands above it, and modules it needs."""

    language: str
    code: str
    line: int
    marked: bool
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """A module that is needed and not installed."""
        return next((name for name in self.needs if importlib.util.find_spec(name) is None), "")


def blocks_of(text: str) -> list[Block]:
    whole = re.match(r"<!-- needs: ([\w ]+) -->\n", text)
    everywhere = tuple(whole[1].split()) if whole else ()
    return [
        Block(
            match["language"],
            match["code"],
            text.count("\n", 0, match.start("code")) + 1,
            match["marker"] is not None,
            (*everywhere, *(match["needs"] or "").split()),
        )
        for match in FENCE.finditer(text)
    ]


def run_python(block: Block, name: str, namespace: dict[str, Any], flags: int) -> None:
    """Execute a block; one with prompts is compared with what it prints."""
    if ">>>" not in block.code:
        padding = "\n" * (block.line - 1)
        exec(compile(padding + block.code, name, "exec", dont_inherit=True), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.code, namespace, name, name, block.line - 1)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=flags)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    if runner.failures:
        pytest.fail("".join(report), pytrace=False)


def run_shell(block: Block, name: str, folder: Path, bin_folder: Path) -> None:
    """Run a marked block with bash; `geomkfac` is the package under test."""
    code = block.code
    if block.language == "console":
        code = "\n".join(line[2:] for line in code.splitlines() if line.startswith("$ "))
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(Path(geomkfac.__file__).parents[1]),
    }
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        printed = f"{code}\n{result.stdout}{result.stderr}"
        pytest.fail(f"{name}, line {block.line}: exit status {result.returncode}\n{printed}", pytrace=False)


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "geomkfac"
    command.write_text(f"#!{sys.executable}\nfrom geomkfac.cli import main\nmain()\n")
    command.chmod(0o755)
    return folder


@pytest.fixture
def flags(request: pytest.FixtureRequest) -> int:
    """The doctest options of setup.cfg."""
    names = request.config.getini("doctest_optionflags")
    return sum(doctest.OPTIONFLAGS_BY_NAME[name] for name in names)


def documents(paths: list[Path]) -> list[Any]:
    """Parameters: one document each; slow are those that take long."""
    marks = {path: [pytest.mark.slow] * (path.name in LONG) for path in paths}
    return [pytest.param(path, id=path.name, marks=marks[path]) for path in paths]


@pytest.mark.parametrize("path", documents(DOCUMENTS))
def test_the_code_blocks_of_a_document_run(
    path: Path, tmp_path: Path, bin_folder: Path, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    left_out = []
    for block in blocks_of(path.read_text(encoding="utf-8")):
        if block.missing:
            left_out.append(f"line {block.line} needs {block.missing}")
        elif block.language == "python":
            run_python(block, path.name, namespace, flags)
        elif block.marked:
            run_shell(block, path.name, folder, bin_folder)
    if left_out:
        pytest.skip("; ".join(left_out))


def alone(path: Path) -> list[Block]:
    """The Python blocks of a document that need nothing, where others do."""
    blocks = [block for block in blocks_of(path.read_text(encoding="utf-8")) if block.language == "python"]
    free = [block for block in blocks if not block.needs]
    return free if len(free) < len(blocks) else []


@pytest.mark.parametrize("path", documents([path for path in DOCUMENTS if alone(path)]))
def test_blocks_that_need_nothing_run_without_those_that_do(
    path: Path, tmp_path: Path, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an extra's block imports is not there for who has not installed it."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in blocks_of(path.read_text(encoding="utf-8")) if block.language == "python"]
    if all(block.missing for block in blocks if block.needs):
        pytest.skip("none of those that need something runs here anyway")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in alone(path):
        run_python(block, path.name, namespace, flags)


def modules() -> list[str]:
    """Those with an example somewhere."""
    package = Path(geomkfac.__file__).parent
    paths = [path for path in sorted(package.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(package.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_the_docstrings_of_a_module_run(
    name: str, flags: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: ModuleType = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=flags)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    if runner.failures:
        pytest.fail("".join(report), pytrace=False)


FAULTY = {
    "python": "```python\nassert 1 == 2\n```\n",
    "later block": "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
    "doctest": "```python\n>>> 1 + 1\n3\n```\n",
    "bash": "<!-- run -->\n```bash\nfalse\n```\n",
    "console": "<!-- run -->\n\n```console\n$ false\nwhatever\n```\n",
}


@pytest.mark.parametrize("text", FAULTY.values(), ids=FAULTY.keys())
def test_a_document_with_a_faulty_block_is_refused(
    text: str, tmp_path: Path, bin_folder: Path, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "faulty.md"
    document.write_text(text)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test_the_code_blocks_of_a_document_run(document, tmp_path, bin_folder, flags, monkeypatch)


SECONDS = re.compile(r"\d+\.\d+ s\b")
SCREENS = [
    (path, block)
    for path in DOCUMENTS
    for block in blocks_of(path.read_text(encoding="utf-8"))
    if block.language == "text" and block.code.startswith("$ geomkfac")
]


def test_the_readme_shows_a_screen() -> None:
    assert any(path.name == "README.md" for path, _ in SCREENS)


@pytest.mark.parametrize(
    ("path", "block"),
    [
        pytest.param(path, block, id=f"{path.name}-{block.line}", marks=[pytest.mark.slow] * (path.name in LONG))
        for path, block in SCREENS
    ],
)
def test_a_screen_that_is_shown_is_what_the_command_prints(path: Path, block: Block, tmp_path: Path) -> None:
    if block.missing:
        pytest.skip(f"it needs {block.missing}")
    command, _, shown = block.code.partition("\n")
    words = shlex.split(command.removeprefix("$ geomkfac "))
    result = subprocess.run(
        [sys.executable, "-c", "from geomkfac.cli import main; main()", *words],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(Path(geomkfac.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert SECONDS.sub("# s", result.stdout).strip() == SECONDS.sub("# s", shown).strip()


def test_a_block_that_needs_what_is_missing_is_left_out_visibly(
    tmp_path: Path, bin_folder: Path, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "<!-- needs: no_such_module -->\n```python\nassert 1 == 2\n```\n"
    for document in (text, "<!-- needs: no_such_module -->\n\n# Title\n\n```python\nassert 1 == 2\n```\n"):
        path = tmp_path / "needs.md"
        path.write_text(document)
        with pytest.raises(pytest.skip.Exception, match="needs no_such_module"):
            test_the_code_blocks_of_a_document_run(path, tmp_path, bin_folder, flags, monkeypatch)
        (tmp_path / "folder").rmdir()
    # What is installed runs, and fails.
    path.write_text(text.replace("no_such_module", "numpy"))
    with pytest.raises(AssertionError):
        test_the_code_blocks_of_a_document_run(path, tmp_path, bin_folder, flags, monkeypatch)
