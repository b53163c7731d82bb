"""What is written is there whole or not at all: each call to the system that can fail is made to, one by one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac import outputs
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.errors import FileFormatError
from geomkfac.inputs import read_json
from geomkfac.interop import write_arrays, write_network
from geomkfac.outputs import replacing, write_text
from geomkfac.theorems import CertificateDirectory

FULL = OSError(28, "No space left on device")
ROOT = Path(__file__).parents[1]


class Faulty:
    """A file whose methods count as calls to the system."""

    def __init__(self, file: Any, called: Callable[[], None]) -> None:
        self.file, self.called = file, called

    def write(self, content: Any) -> int:
        self.called()
        return int(self.file.write(content))

    def flush(self) -> None:
        self.called()
        self.file.flush()

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
        if error[0] is None:
            self.called()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@contextmanager
def failing(at: int, error: BaseException) -> Iterator[list[int]]:
    """Let the call number `at`, from 0, fail, of those with which files are opened, written, flushed, synced, moved."""
    calls = [0]

    def called() -> None:
        calls[0] += 1
        if calls[0] == at + 1:
            raise error

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            called()
            return function(*arguments, **keywords)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "open", lambda *a: Faulty(counted(open)(*a), called), raising=False)
        for name in ("fsync", "replace"):
            patch.setattr(outputs.os, name, counted(getattr(os, name)))
        patch.setattr(outputs.shutil, "copymode", counted(outputs.shutil.copymode))
        yield calls


def certificates(folder: Path) -> None:
    CertificateDirectory(folder, trials=1, seed=0, resume=True).close([])


WEIGHTS = [np.arange(6.0).reshape(2, 3)], [np.arange(2.0)]
WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "text": ("page.html", lambda path: write_text(path, "new" * 99)),
    "an archive": ("net.npz", lambda path: write_network(path, *WEIGHTS)),
    "safetensors": ("net.safetensors", lambda path: write_network(path, *WEIGHTS)),
    "a catalogue": ("made.json", lambda path: Catalogue(10, 0, {"Python": "3"}).write(path)),
    "a manifest": ("manifest.json", lambda path: certificates(path.parent)),
}


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), MemoryError()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("old", [None, b"what was there before"], ids=["new", "replaced"])
@pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS.keys())
def test_whatever_call_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, name: str, write: Callable[[Path], None], old: bytes | None, error: BaseException
) -> None:
    for at in count():
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / name
        if old is not None:
            path.write_bytes(old)
        try:
            with failing(at, error) as calls:
                write(path)
        except (FileFormatError, KeyboardInterrupt, MemoryError) as raised:
            assert isinstance(raised, FileFormatError if error is FULL else type(error))
        if calls[0] <= at:
            break  # So many calls there are, and each has failed.
        left = {entry.name: entry.read_bytes() for entry in folder.iterdir()}
        # Where a second file comes after the first, that one is whole.
        whole = left.pop("manifest.json", None) if name == "manifest.json" and left.get(name) != old else None
        assert left == ({} if old is None or whole is not None else {name: old}), at
    assert at >= 5
    assert path.read_bytes() != old


FACTORS = ("factors", "digits", "digits", "--activation", "tanh", "--output", "categorical")
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
from geomkfac.cli import main
main(sys.argv[1:])
"""
"""A disk with room for 4096 bytes a file."""


def limited(folder: Path, *words: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-B", "-W", "error", "-c", LIMITED, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("verify", "J-49..52", "--trials", "1", "--html", "out.html"), "out.html"),
        pytest.param(("verify", "J-49..52", "--trials", "1", "--certificate", "out"), "out", marks=pytest.mark.slow),
        pytest.param((*FACTORS, "--out", "o.npz"), "o.npz", marks=pytest.mark.slow),
        ((*FACTORS, "--state", "s.npz"), "s.npz"),
    ],
    ids=["html", "certificate", "out", "state"],
)
def test_where_the_disk_is_full_a_command_ends_with_status_2_and_leaves_nothing(
    tmp_path: Path, words: tuple[str, ...], name: str
) -> None:
    if name.endswith(".html"):
        (tmp_path / name).write_text("an older page")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    finished = limited(tmp_path, *words)
    assert finished.returncode == 2, finished.stderr
    assert "cannot be written" in finished.stderr
    assert "Traceback" not in finished.stderr
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # For a certificate of less than that there is room: it is whole.
    assert before == {path: content for path, content in left.items() if path.suffix != ".json" or not read_json(path)}


def test_a_new_file_has_the_permissions_of_any_and_a_replaced_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    write_text(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "any").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_text(tmp_path / "new", "y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_file_that_may_not_be_written_to_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(outputs.os, "access", lambda path, mode: False)
    with pytest.raises(FileFormatError, match="Permission denied"):
        write_text(path, "new")
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "target"
    link.symlink_to("there/target")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    assert [entry.name for entry in target.parent.iterdir()] == ["target"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through a pipe")
    reader.join()
    assert read == ["through a pipe"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_is_written_to_and_a_full_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*paths: object) -> None:
        raise AssertionError(paths)  # And not done: whoever runs the tests may be allowed to replace a device.

    monkeypatch.setattr(outputs.os, "replace", moved)
    write_text(os.devnull, "x")
    with pytest.raises(FileFormatError, match="No space left"):
        write_text("/dev/full", "x")


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout")
@pytest.mark.parametrize("linked", [False, True])
def test_standard_output_is_written_to_where_it_is_a_file(tmp_path: Path, linked: bool) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = "import sys; from geomkfac.outputs import write_text; write_text(sys.argv[1], 'page')"
    with (tmp_path / "out").open("w") as out:
        where = str(tmp_path / "link") if linked else "/dev/stdout"
        command = [sys.executable, "-c", program, where]
        subprocess.run(command, stdout=out, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        assert os.path.samestat(os.fstat(out.fileno()), os.stat(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "page"


@pytest.mark.parametrize("path", ["folder", "nowhere/file", "file/file", "with\0zero", "loop", "x" * 300])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileFormatError, match="cannot be written"):
        write_text(tmp_path / path, "x")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "[a]*?", " ", "-", ".hidden"])
def test_every_name_that_a_file_can_have_is_written_to(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_what_a_killed_run_left_is_removed_by_the_next_after_an_hour(tmp_path: Path) -> None:
    left = {name: tmp_path / name for name in (".o.npz.0123456789abcdef.tmp", ".o.npz.fedcba9876543210.tmp",
                                               ".o.npz.tmp", ".p.npz.0123456789abcdef.tmp", "o.npz.bak")}  # fmt: skip
    for path in left.values():
        path.touch()
        os.utime(path, (0, 0))
    os.utime(left[".o.npz.fedcba9876543210.tmp"])
    write_arrays(tmp_path / "o.npz", {"a": np.ones(2)})
    assert {path.name for path in tmp_path.iterdir()} == {*left, "o.npz"} - {".o.npz.0123456789abcdef.tmp"}


KILLED = """
import os, signal, sys
from geomkfac.outputs import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    command = [sys.executable, "-c", KILLED, str(path)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (left,) = set(tmp_path.iterdir()) - {path}
    os.utime(left, (0, 0))
    write_text(path, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_it_is_on_the_disk_before_it_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(outputs.os, name, lambda *a, name=name, do=function: (order.append(name), do(*a)))
    write_text(tmp_path / "page", "x")
    assert order == ["fsync", "replace"]


def test_what_stands_there_is_seen_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "page"
    write_text(path, "old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
