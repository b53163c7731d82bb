"""Command lines at random: whatever words come, a status that is documented, no traceback, and no file left over.

Words are drawn from a grammar of the commands and their options, with values that are good, bad, and hostile.  What
takes long is left out: good numbers of workers, addresses of schedulers that do not answer, audits that would run.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from geomkfac.cli import main
from geomkfac.interop import write_arrays, write_network

from .conftest import ROOT, Finished, run_process

USUAL = ["--activation", "tanh", "--output", "categorical"]
DEEP = 5000
DEEP_MINUS = f"dense({'-' * DEEP}1)"
HOSTILE = [
    "", " ", "-", "--", "-1", "0", "1", "3", "1e400", "nan", "inf", "9" * DEEP, "x" * 10_000, "é\u202e", "\x1b[31m",
    "a\nb", "(", ")", "'", "[" * 300, "None", ".", "..", "/", "nowhere/there", "\udcff", "=",
    "a=b", ":", DEEP_MINUS, f"dense({'(' * DEEP}1{')' * DEEP})", f"tanh({'9' * DEEP})",
    "polynomial(1/0)", "polynomial()",
    "leaky_relu(__import__('os'))", "leaky_relu(1e400)", f"leaky_relu({'-' * DEEP}1)", "convolution(padding=1e400)",
    "convolution(kernel=3, padding='same', stride=2) tanh dense", "max(0) dense", "recurrence(at=1)", "dense(**{})",
    "dense dense(3, 4)", "tanh", "dense()()", "1is 2", "'\\d'",
]  # fmt: skip
"""Values for any option: numbers, names, paths and texts that make no sense, or little."""
OPTIMIZERS = [
    ".:x", ":x", "x:", "..x:y", "this:x", "no.such:thing", "json:dumps", "sys:exit", "builtins:exit",
    "geomkfac.updates:", "geomkfac:errors", "torch.optim:", "torch.optim:Adm", "\udcff:x", "x" * DEEP + ":y",
]  # fmt: skip
NUMBERS = ["0", "1", "2", "7", "-3", "1.5", "1e3", "9" * 30]
NETWORK: dict[str, list[str]] = {
    "--activation": ["tanh", "relu", "leaky_relu(0.2)", "polynomial(0, 1)"],
    "--architecture": ["dense", "dense tanh dense", "recurrence", "convolution(padding=1) tanh dense"],
    "--output": ["categorical", "gaussian", "bernoulli", "poisson", "nope"],
    "--basis": ["given", "centered", "whitened", "random"],
    "--norm": ["given", "none"],
    "--fisher": ["exact", "sampled", "empirical"],
    "--samples": [*NUMBERS, "1" + "0" * 15],
    "--seed": NUMBERS,
    "--chunk": NUMBERS,
    "--memory": ["1", "1kB", "200 kB", "1GiB", "1 XB"],
    "--workers": ["0", "-1", "1000000"],
    "--out": ["out.npz", "out.safetensors", "out.txt"],
    "--device": ["cpu", "nope"],
    "--json": [],
}
COMMANDS: dict[str, dict[str, list[str]]] = {
    "factors": NETWORK | {"--state": ["state.npz", "out.npz"]},
    "step": NETWORK | {"--damping": ["0.1", "0", "-1"], "--rate": NUMBERS, "--lr": NUMBERS},
    "verify": {
        "--list": [], "--mutants": [], "--explain": [], "--trials": ["1", "0", "1000000000"], "--seed": NUMBERS,
        "--library": ["numpy", "nope"], "--device": ["cpu", "nope"], "--jobs": ["1", "0", "-1"], "--json": [],
        "--certificate": ["certificates"], "--resume": [], "--html": ["page.html"],
    },
    "audit": {
        "--lr": NUMBERS, "--option": ["momentum=0.9", "a=[", f"a={'-' * DEEP}1"], "--steps": NUMBERS, "--seed": NUMBERS,
        "--group": ["loss scale"], "--vary": ["eps=1,2", "eps=x", "eps"], "--html": ["page.html"], "--json": [],
    },
    "catalogue": {
        "--package": ["", ".", "..x", "no.such", "json", "this"], "--steps": NUMBERS, "--jobs": ["1", "0"],
        "--limit": NUMBERS, "--json": ["catalogue.json"], "--html": ["page.html"], "--markdown": ["page.md"],
        "--figure": ["figure.svg"],
    },
    "info": {"--json": []},
}  # fmt: skip


def words_for(command: str, networks: list[str], data: list[str]) -> st.SearchStrategy[list[str]]:
    """The words of a command: what it needs, mostly good, and some of its options."""
    hostile = st.sampled_from(HOSTILE)
    positional: list[st.SearchStrategy[str]] = []
    if command in ("factors", "step"):
        positional = [st.sampled_from(networks) | hostile, st.sampled_from(data) | hostile]
    elif command == "audit":
        positional = [st.sampled_from(OPTIMIZERS) | hostile]
    elif command == "verify":
        # Where none is named, all are run.
        positional = [st.just("GK-11"), st.sampled_from(["GK-11", "LG-L3.5", "lg", "LG-T2.l"]) | hostile]
    needed = st.tuples(*positional).map(list)
    if command in ("factors", "step"):
        usual = st.sampled_from([USUAL, USUAL, ["--architecture", "dense"], []])
        needed = st.tuples(needed, usual).map(lambda parts: [*parts[0], *parts[1]])
    if command == "catalogue":
        # What is installed would be audited, and that takes hours.
        needed = needed.map(lambda words: [*words, "--no-rules", "--no-libraries", "--package", "no.such"])

    @st.composite
    def one_option(draw: st.DrawFn) -> list[str]:
        option, values = draw(st.sampled_from(list(COMMANDS[command].items())))
        return [option, draw(st.sampled_from(values) | hostile)] if values else [option]

    options = st.lists(one_option(), max_size=4).map(lambda chosen: list(itertools.chain(*chosen)))
    return st.tuples(needed, options).map(lambda parts: [command, *parts[0], *parts[1]])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a network and data, good and bad."""
    with tempfile.TemporaryDirectory() as name:
        rng = np.random.default_rng(0)
        Ws = [rng.standard_normal((m, n)) for n, m in ((5, 4), (4, 3))]
        write_network(Path(name, "network.npz"), Ws, [rng.standard_normal(m) for m in (4, 3)])
        write_arrays(Path(name, "data.npz"), {"X": rng.standard_normal((40, 5)), "y": rng.integers(0, 3, 40)})
        Path(name, "damaged.npz").write_bytes(Path(name, "data.npz").read_bytes()[:300])
        Path(name, "empty.safetensors").write_bytes(b"")
        yield Path(name)


def run_here(words: list[str], cwd: Path) -> Finished:
    """Run the program in this process, in a folder of its own, with streams as a shell gives them."""
    output, error = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, status = os.getcwd(), None
    os.chdir(cwd)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error), pytest.raises(SystemExit) as stop:
            main(words)
        status = stop.value.code
    finally:
        os.chdir(before)
    texts: list[Any] = [stream.buffer.getvalue().decode() for stream in (output, error)]
    return Finished(int(status or 0), *texts)


def check(words: list[str], finished: Finished, there: list[str]) -> None:
    """A status that is documented, no traceback, a message where it is refused, and no file that nobody asked for."""
    assert finished.status in ((0, 1, 2) if words[0] == "verify" else (0, 2)), words
    assert "Traceback" not in finished.error, words
    assert finished.status != 2 or finished.error.strip(), words
    if finished.status == 2:
        # What was found on the way is kept for the next run.
        kept = {"factors": "--state", "catalogue": "--json"}.get(words[0])
        asked = {value for option, value in itertools.pairwise(words) if option == kept}
        assert set(there) <= asked, (words, there)
    else:
        assert set(there) <= set(words), (words, there)


def in_a_folder_of_its_own(words: list[str], folder: Path, run: Any) -> None:
    own = Path(tempfile.mkdtemp(dir=folder))
    before = sorted(path.name for path in folder.iterdir())
    try:
        finished = run(words, own)
        check(words, finished, [path.name for path in own.iterdir()])
        assert sorted(path.name for path in folder.iterdir()) == before, words
    finally:
        shutil.rmtree(own)


def command_lines(folder: Path) -> st.SearchStrategy[list[str]]:
    bad = ("damaged.npz", "empty.safetensors", "x")
    networks, data = (
        [str(folder / good)] * 3 + [str(folder / name) for name in (*bad, other)]
        for good, other in (("network.npz", "data.npz"), ("data.npz", "network.npz"))
    )
    # A catalogue takes a while to see what is installed.
    commands = [*("factors", "step") * 4, *("verify", "audit") * 2, "catalogue", "info"]
    return st.sampled_from(commands).flatmap(lambda command: words_for(command, networks, data))


@given(data=st.data())
def test_any_words_end_with_a_status_and_a_message(folder: Path, data: st.DataObject) -> None:
    in_a_folder_of_its_own(data.draw(command_lines(folder)), folder, run_here)


@pytest.mark.slow
@settings(max_examples=500)
@given(data=st.data())
def test_five_hundred_command_lines_in_one_process(folder: Path, data: st.DataObject) -> None:
    in_a_folder_of_its_own(data.draw(command_lines(folder)), folder, run_here)


@pytest.mark.slow
@settings(max_examples=30, phases=[Phase.generate])
@given(data=st.data())
def test_thirty_as_processes(folder: Path, data: st.DataObject) -> None:
    words = data.draw(command_lines(folder))
    in_a_folder_of_its_own(words, folder, lambda words, cwd: run_process(cwd, *words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("factors", "network.npz", "data.npz", "--output", "categorical", "--architecture", DEEP_MINUS), "'dense"),
        (("catalogue", "--no-rules", "--no-libraries", "--package", "", "--json", "kept.json"), "0 audited"),
        (("audit", ".:x"), "cannot be imported"),
        (("audit", "sys:exit"), "exit cannot be made"),
        (("verify", "GK-11", "--trials", "1000000000"), "1000"),
        (("factors", "network.npz", "data.npz", *USUAL, "--workers", "1000000"), "--workers"),
        (("factors", "network.npz", "data.npz", *USUAL, "--samples", "1" + "0" * 30, "--fisher", "sampled"), "memory"),
    ],
)
def test_what_ended_in_a_traceback_or_in_no_time_is_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    if words[0] in ("audit", "catalogue"):
        pytest.importorskip("torch")

    def run(words: list[str], own: Path) -> Finished:
        finished = run_here(words, own)
        assert said in finished.output + finished.error
        return finished

    there = [str(folder / word) if word in ("network.npz", "data.npz") else word for word in words]
    in_a_folder_of_its_own(there, folder, run)


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_streams_that_a_shell_closed_are_no_fault(closed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    for words, status in ((["verify", "--list"], None), (["factors", "nowhere", "x", *USUAL], 2)):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert (stop.value.code or None) == status
    for name in closed:
        getattr(sys, name).close()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell closes streams there")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_of_a_process_are_none(closed: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -W error -c 'from geomkfac.cli import main; main()' verify --list {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_path_that_is_no_text_is_escaped_where_it_is_printed(folder: Path) -> None:
    words = ["factors", str(folder / "network.npz"), str(folder / "data.npz"), *USUAL, "--out", "\udcff.npz"]

    def run(words: list[str], own: Path) -> Finished:
        finished = run_here(words, own)
        assert finished.status == 0, finished.error
        assert "\\udcff.npz" in finished.output
        return finished

    in_a_folder_of_its_own(words, folder, run)
