"""Saved moments: what kills a run costs the chunk in hand, and no other pass goes on from the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF, DegreeField, rational
from geomkfac.errors import FileFormatError, KindError, ValuesError
from geomkfac.interop import Checkpoint, read_arrays, write_arrays
from geomkfac.interop import checkpoint as checkpoints
from geomkfac.maps import polynomial
from geomkfac.testing import integer_array

ROOT = Path(__file__).parents[2]
CHUNK = 4
KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational, "floating": gk.floating}


class Stopped(Exception):
    """A run that is interrupted."""


def problem(kind: Any = gk.floating, activation: Any = None, family: Any = None) -> tuple[Any, ...]:
    ns, rng = kind.default_namespace, np.random.default_rng(3)

    def drawn(*shape: int) -> Any:
        return integer_array(ns, rng.integers(-3, 4, shape)) * (1 if kind.is_exact else 0.3)

    net, weights, iota = gk.MLP.from_arrays(
        [drawn(4, 3), drawn(3, 4)], [drawn(4), drawn(3)], activation or polynomial(0, 1, 1), kind=kind
    )
    X = drawn(18, 3)
    if family is None:
        return net, weights, iota.sample(X, drawn(18, 3)), gk.Gaussian().on(iota), iota
    return net, weights, iota.sample(X, rng.integers(0, 3, 18)), family.on(iota), iota


def stop_after(count: int) -> Any:
    def told(progress: Any) -> None:
        if progress.done >= count:
            raise Stopped

    return told


def arrays_of(moments: Any, iota: Any) -> list[Any]:
    return [factor for block in moments.metric().coordinates(iota).blocks for factor in block.factors]


@pytest.mark.parametrize("executor", [None, lambda: ThreadPoolExecutor(2)], ids=["alone", "threads"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_an_interrupted_run_goes_on_and_comes_to_the_same(kind: Any, executor: Any, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(kind)
    checkpoint, told = Checkpoint(tmp_path / "sums.npz", iota), []
    how: dict[str, Any] = {"chunk_size": CHUNK, "executor": executor, "checkpoint": checkpoint}
    with pytest.raises(Stopped):
        net.moments(weights, data, loss, progress=stop_after(8), **how)
    resumed = net.moments(weights, data, loss, progress=told.append, **how)
    assert [(progress.done, progress.resumed) for progress in told] == [(8, 8), (12, 8), (16, 8), (18, 8)]
    whole = net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor)
    equal = kind.default_namespace.equal
    # Bit for bit in floating point too: the weights are stored in the frames in which the sums are written.
    assert all(equal(x, y) for x, y in zip(arrays_of(resumed, iota), arrays_of(whole, iota), strict=True))
    assert resumed.layers[0].terms == whole.layers[0].terms
    again = net.moments(weights, data, loss, progress=stop_after(19), **how)
    assert all(equal(x, y) for x, y in zip(arrays_of(again, iota), arrays_of(whole, iota), strict=True))


def test_losses_and_known_null_directions_are_saved_as_well(tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(activation="tanh", family=gk.Categorical())
    how: dict[str, Any] = {
        "chunk_size": CHUNK, "checkpoint": Checkpoint(tmp_path / "sums.npz", iota), "with_loss": True,
    }  # fmt: skip
    net.moments(weights, data, loss, **how)
    read = net.moments(weights, data, loss, progress=stop_after(19), **how)
    whole = net.moments(weights, data, loss, chunk_size=CHUNK, with_loss=True)
    assert read.mean_loss() == whole.mean_loss()
    assert read.known is not None
    assert (read.known.basis().coordinates(iota) == whole.known.basis().coordinates(iota)).all()
    assert read.metric().nullity == whole.metric().nullity


def test_sums_are_written_in_the_named_frames_wherever_the_pass_runs(tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(GF(2**31 - 1))
    kappa = iota.random(np.random.default_rng(1))
    there: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(tmp_path / "there.npz", iota)}
    moved = weights.expressed_in(kappa), data.expressed_in(kappa), loss
    with pytest.raises(Stopped):
        net.moments(*moved, progress=stop_after(8), **there)
    with pytest.raises(Stopped):
        net.moments(
            weights, data, loss, chunk_size=CHUNK, checkpoint=Checkpoint(tmp_path / "here.npz", iota),
            progress=stop_after(8),
        )  # fmt: skip
    here, other = read_arrays(tmp_path / "here.npz"), read_arrays(tmp_path / "there.npz")
    assert here.keys() == other.keys()
    assert all((here[name] == other[name]).all() for name in here)
    # And the pass in either basis goes on from either file.
    resumed = net.moments(weights, data, loss, **there)
    whole = net.moments(weights, data, loss, chunk_size=CHUNK)
    equal = iota[net.inputs].space.kind.default_namespace.equal
    assert all(equal(x, y) for x, y in zip(arrays_of(resumed, iota), arrays_of(whole, iota), strict=True))


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 1}, "seed: now 1, saved 0"),
    "fisher": ({"fisher": "sampled"}, "fisher: now sampled, saved exact"),
    "losses": ({"with_loss": True}, "losses: now summed, saved none"),
    "sharing": ({"sharing": "kfc"}, "sharing: now kfc, saved expand"),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES.keys())
def test_another_pass_does_not_go_on_from_the_file(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(activation="tanh", family=gk.Categorical())
    checkpoint = Checkpoint(tmp_path / "sums.npz", iota)
    net.moments(weights, data, loss, chunk_size=CHUNK, checkpoint=checkpoint)
    with pytest.raises(ValuesError, match=said):
        net.moments(weights, data, loss, **{"chunk_size": CHUNK, "checkpoint": checkpoint} | change)


def test_of_a_file_of_another_version_the_version_alone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, weights, data, loss, iota = problem()
    checkpoint = Checkpoint(tmp_path / "sums.npz", iota)
    with monkeypatch.context() as before:
        before.setattr(checkpoints, "FORMAT", "geomkfac moments, 0")
        net.moments(weights, data, loss, chunk_size=CHUNK, checkpoint=checkpoint)
    with pytest.raises(ValuesError, match=r"format: now .*saved geomkfac moments, 0") as refused:
        net.moments(net.random_weights(np.random.default_rng(9), iota), data, loss, checkpoint=checkpoint)
    assert "weights" not in str(refused.value)


def test_other_weights_data_activations_and_families_do_not_go_on_from_the_file(tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(activation="tanh", family=gk.Categorical())
    path = tmp_path / "sums.npz"
    how: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(path, iota)}
    net.moments(weights, data, loss, **how)
    step = net.differential(weights, data, loss)
    moved = net.weights_from_arrays(
        *zip(*((W + 1e-9, b) for W, b in net.to_arrays(weights, iota)), strict=True), iota
    )
    with pytest.raises(ValuesError, match="weights: now"):
        net.moments(moved, data, loss, **how)
    (whole,) = data.chunks()
    X = whole.points.coordinates(iota)
    with pytest.raises(ValuesError, match="first 64 data: now"):
        net.moments(weights, iota.sample(X[::-1], whole.targets[::-1]), loss, **how)
    with pytest.raises(ValuesError, match="data: now 17, saved 18"):
        net.moments(weights, iota.sample(X[:17], whole.targets[:17]), loss, **how)
    other, same, frames = gk.MLP.from_arrays(
        *zip(*net.to_arrays(weights, iota), strict=True), activation="logistic"
    )
    with pytest.raises(ValuesError, match="outputs of the first data: other numbers"):
        other.moments(
            same, frames.sample(X, whole.targets), gk.Categorical().on(frames), chunk_size=CHUNK,
            checkpoint=Checkpoint(path, frames),
        )  # fmt: skip
    twisted = iota.change({net.outputs: (np.diag([1.0, 2.0, 3.0]), None)})
    with pytest.raises(ValuesError, match="output metric of the first data: other numbers"):
        net.moments(weights, data, gk.Categorical().on(twisted), **how)
    assert step.space is net.weight_space.direction.dual


@given(st.integers(1, 18), st.integers(1, 18), st.integers(1, 20), st.booleans())
def test_a_run_goes_on_in_chunks_or_batches_of_another_size(first: int, then: int, stop: int, streamed: bool) -> None:
    kind = GF(2**31 - 1)
    net, weights, data, loss, iota = problem(kind)
    (whole,) = data.chunks()
    X, y = whole.points.coordinates(iota), whole.targets

    def how(size: int) -> tuple[Any, dict[str, Any]]:
        if not streamed:
            return data, {"chunk_size": size}
        return iota.sample([(X[i : i + size, :], y[i : i + size, :]) for i in range(0, 18, size)]), {}

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "sums.npz", iota)
        sample, keywords = how(first)
        with suppress(Stopped):
            net.moments(weights, sample, loss, checkpoint=checkpoint, progress=stop_after(stop), **keywords)
        sample, keywords = how(then)
        resumed = net.moments(weights, sample, loss, checkpoint=checkpoint, **keywords)
    expected, ns = net.moments(weights, data, loss), kind.default_namespace
    assert ns.equal(resumed.weight, ns.scalar(18))
    assert all(ns.equal(x, y) for x, y in zip(arrays_of(resumed, iota), arrays_of(expected, iota), strict=True))


def test_sums_over_more_data_than_a_stream_holds_are_refused(tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem()
    (whole,) = data.chunks()
    X, y = np.tile(whole.points.coordinates(iota), (5, 1)), np.tile(whole.targets, (5, 1))
    checkpoint = Checkpoint(tmp_path / "sums.npz", iota)
    net.moments(weights, iota.sample([(X, y)]), loss, checkpoint=checkpoint)
    with pytest.raises(ValuesError, match=r"(?s)more data than there are.*saved: 90 data.*now  : 70"):
        net.moments(weights, iota.sample([(X[:70], y[:70])]), loss, checkpoint=checkpoint)


def test_all_weights_and_lengths_of_the_data_are_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    net, weights, iota = gk.MLP.from_arrays([rng.standard_normal((2, 3))], [np.zeros(2)])
    X, y, loss = rng.standard_normal((100, 3)), np.arange(100) % 2, gk.Categorical().on(iota)
    checkpoint, ones = Checkpoint(tmp_path / "sums.npz", iota), np.ones(100)
    net.moments(weights, iota.sample(X, y, weights=ones), loss, checkpoint=checkpoint)
    ones[99] = 2.0
    with pytest.raises(ValuesError, match="weights of the data: now"):
        net.moments(weights, iota.sample(X, y, weights=ones), loss, checkpoint=checkpoint)
    Ws = [rng.standard_normal(shape) for shape in ((3, 3), (3, 2), (2, 3))]
    net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, [np.zeros(m) for m in (3, 3, 2)], 4, at="last")
    X, loss = rng.standard_normal((100, 4, 2)), gk.Categorical().on(iota)
    checkpoint, lengths = Checkpoint(tmp_path / "steps.npz", iota), np.full(100, 4)
    net.moments(weights, iota.sample(X, y, lengths=lengths), loss, checkpoint=checkpoint)
    lengths[99] = 2
    with pytest.raises(ValuesError, match="lengths: now"):
        net.moments(weights, iota.sample(X, y, lengths=lengths), loss, checkpoint=checkpoint)


@pytest.mark.parametrize(("dtype", "change"), [("float64", 1e-9), ("float32", 1e-3)])
def test_a_covariance_that_is_a_little_different_is_noticed(dtype: str, change: float, tmp_path: Path) -> None:
    net, weights, iota = gk.MLP.from_arrays([np.eye(3, dtype=dtype)], [np.zeros(3, dtype)])
    data, path = iota.sample(np.eye(3, dtype=dtype), np.eye(3, dtype=dtype)), tmp_path / "sums.npz"
    for covariance in (np.eye(3), np.eye(3)):
        loss = gk.Gaussian(covariance).on(iota)
        net.moments(weights, data, loss, checkpoint=Checkpoint(path, iota))
    with pytest.raises(ValuesError, match="output metric of the first data"):
        loss = gk.Gaussian((1 + change) * np.eye(3)).on(iota)
        net.moments(weights, data, loss, checkpoint=Checkpoint(path, iota))


def test_sums_are_written_now_and_then_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, weights, data, loss, iota = problem()
    seconds, written = iter(range(100)), []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(checkpoints, "write_arrays", lambda path, arrays: written.append(arrays))
    for every, count in ((0.0, 9), (3.0, 4), (1e9, 1)):
        written.clear()
        net.moments(weights, data, loss, chunk_size=2, checkpoint=Checkpoint(tmp_path / "s.npz", iota, every=every))
        assert len(written) == count
        assert json.loads(bytes(written[-1]["about"]))["done"] == 18


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    """One bit of the first matrix."""
    content = bytearray(path.read_bytes())
    where = bytes(content).index(b"layer1.activations") + 400
    content[where] ^= 1
    path.write_bytes(bytes(content))


def strip(path: Path) -> None:
    write_arrays(path, {key: array for key, array in read_arrays(path).items() if key != "about"})


def shrink(path: Path) -> None:
    arrays = read_arrays(path)
    write_arrays(path, arrays | {"layer1.covectors": arrays["layer1.covectors"][:-1]})


def lose(path: Path) -> None:
    write_arrays(path, {key: array for key, array in read_arrays(path).items() if key != "layer2.places"})


def garble(path: Path) -> None:
    path.write_text("no archive")


def poison(path: Path) -> None:
    arrays = read_arrays(path)
    arrays["layer1.activations"][0, 0] = np.nan
    write_arrays(path, arrays)


def miscount(done: Any) -> Any:
    def damage(path: Path) -> None:
        arrays = read_arrays(path)
        about = json.loads(bytes(arrays["about"])) | {"done": done}
        write_arrays(path, arrays | {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)})

    return damage


def told(text: str) -> Any:
    """A state whose description is some text."""

    def damage(path: Path) -> None:
        write_arrays(path, read_arrays(path) | {"about": np.frombuffer(text.encode(), dtype=np.uint8)})

    return damage


def enlarge(path: Path) -> None:
    """As a number of bytes, which NumPy's integers can be taken for."""
    write_arrays(path, read_arrays(path) | {"about": np.asarray(10**12)})


FOREIGN = [told(text) for text in ("[" * 100_000, '{"facts": {}, "facts": {}}', "[]", "3", '{"facts": 3}')]
MISCOUNTS = [miscount(done) for done in (-4, 0, 4, 17, 19, 4.0, None)]


@pytest.mark.parametrize("damage", [cut, flip, strip, shrink, lose, garble, poison, enlarge, *FOREIGN, *MISCOUNTS])
def test_a_damaged_file_is_refused_and_never_believed(damage: Any, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem()
    path = tmp_path / "sums.npz"
    how: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(path, iota)}
    net.moments(weights, data, loss, **how)
    damage(path)
    with pytest.raises(FileFormatError, match=r"(?i)delete it"):
        net.moments(weights, data, loss, **how)


@pytest.mark.parametrize("text", ["1/0", "1e999999999", "nan", "-", "1" * 5000, "1/2/3", " 1"])
def test_text_that_is_no_exact_number_is_refused(text: str, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(rational)
    path = tmp_path / "sums.npz"
    how: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(path, iota)}
    net.moments(weights, data, loss, **how)
    arrays = read_arrays(path)
    matrix = arrays["layer1.activations"].astype(f"U{len(text) + 20}")
    matrix[0, 0] = text
    write_arrays(path, arrays | {"layer1.activations": matrix})
    with pytest.raises(FileFormatError, match="Delete it"):
        net.moments(weights, data, loss, **how)


@pytest.mark.parametrize("saved", [np.array(["a"]), np.array([True]), np.array([1e308, -1e308]), np.array([np.inf])])
def test_probes_of_other_numbers_are_those_of_another_pass(saved: Any, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem()
    path = tmp_path / "sums.npz"
    how: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(path, iota)}
    net.moments(weights, data, loss, **how)
    arrays = read_arrays(path)
    other = np.resize(saved, arrays["probe.outputs"].shape)
    write_arrays(path, arrays | {"probe.outputs": other})
    with pytest.raises(ValuesError, match="outputs of the first data: other numbers"):
        net.moments(weights, data, loss, **how)


def test_other_suffixes_frames_and_kinds_are_refused(tmp_path: Path) -> None:
    iota = problem()[-1]
    with pytest.raises(FileFormatError, match=r"\.npz"):
        Checkpoint(tmp_path / "sums.safetensors", iota)
    with pytest.raises(KindError, match="Parameterization"):
        Checkpoint(tmp_path / "sums.npz", "iota")  # type: ignore[arg-type]
    with pytest.raises(FileFormatError, match="Make it first"):
        net, weights, data, loss, iota = problem()
        net.moments(weights, data, loss, checkpoint=Checkpoint(tmp_path / "nowhere" / "sums.npz", iota))
    with pytest.raises(KindError, match=r"must be a geomkfac\.interop\.Checkpoint"):
        net.moments(weights, data, loss, checkpoint="sums.npz")  # type: ignore[arg-type]
    net, weights, data, loss, iota = problem(DegreeField(2**31 - 1))
    with pytest.raises(KindError, match=r"with degrees cannot be saved"):
        net.moments(weights, data, loss, checkpoint=Checkpoint(tmp_path / "sums.npz", iota))


PROGRAM = """
import os, signal, sys
import numpy as np
import geomkfac as gk
from geomkfac.interop import Checkpoint

rng = np.random.default_rng(0)
Ws, bs = [rng.standard_normal((4, 3)), rng.standard_normal((2, 4))], [np.ones(4), np.ones(2)]
net, weights, iota = gk.MLP.from_arrays(Ws, bs)
data, loss = iota.sample(rng.standard_normal((100, 3)), np.arange(100) % 2), gk.Categorical().on(iota)
deadly = int(sys.argv[2])

def told(progress):
    print(progress.done, flush=True)
    if progress.done == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

g = net.kfac_metric(weights, data, loss, fisher="sampled", chunk_size=10, checkpoint=Checkpoint(sys.argv[1], iota),
                    progress=told)
np.save(sys.argv[1] + ".npy", g.coordinates(iota).blocks[0].factors[1])
"""


def test_a_process_that_is_killed_loses_nothing_but_the_chunk_in_hand(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(name: str, deadly: int) -> Any:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / name), str(deadly)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    first = run("sums.npz", 30)
    assert first.returncode == -signal.SIGKILL, first.stderr
    left, other = (tmp_path / f".sums.npz.{name}.tmp" for name in ("0123456789abcdef", "another"))
    left.write_text("half written")
    os.utime(left, (0, 0))
    other.write_text("being written by another run at this moment")
    second = run("sums.npz", -1)
    assert second.returncode == 0, second.stderr
    assert second.stdout.split() == [str(count) for count in range(30, 101, 10)]
    assert run("whole.npz", -1).returncode == 0
    assert (np.load(tmp_path / "sums.npz.npy") == np.load(tmp_path / "whole.npz.npy")).all()
    assert list(tmp_path.glob(".*.tmp")) == [other]
