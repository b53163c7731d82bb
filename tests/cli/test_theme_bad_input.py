"""Bad input ends with status 2, a message of its own, no traceback, and no file left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.interop import read_arrays, write_arrays

from .conftest import run_process

CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
Run = Callable[..., Any]


def changed(path: Path, **arrays: Any) -> Path:
    """A copy of a file in which some arrays are others, or gone where None."""
    kept = read_arrays(path) | arrays
    target = path.with_name("changed_" + path.name)
    np.savez(target, **{key: value for key, value in kept.items() if value is not None})
    return target


def bad_data(folder: Path, name: str) -> Path:
    data = folder / "data.npz"
    X, y = (read_arrays(data)[key] for key in "Xy")
    cases: dict[str, dict[str, Any]] = {
        "NaN in the data": {"X": np.where(X > 2, np.nan, X)},
        "infinity in the data": {"X": np.where(X > 1, np.inf, X)},
        "wrong width": {"X": X[:, :4]},
        "no data": {"X": X[:0], "y": y[:0]},
        "integer data": {"X": np.ones((40, 5), dtype=int)},
        "another dtype than the network": {"X": X.astype(np.float32)},
        "a label out of range": {"y": np.where(np.arange(40) == 7, 3, y)},
        "a negative label": {"y": np.where(np.arange(40) == 7, -1, y)},
        "labels as floats": {"y": y.astype(float)},
        "targets that are no probabilities": {"y": np.full((40, 3), 0.5)},
        "fewer targets than data": {"y": y[:39]},
        "another key": {"Z": X},
        "a key missing": {"y": None},
    }
    return changed(data, **cases[name])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NaN in the data", "NaN"),
        ("infinity in the data", "infinit"),
        ("wrong width", "5"),
        ("no data", "at least one"),
        ("integer data", "float"),
        ("another dtype than the network", "float32"),
        ("a label out of range", "3"),
        ("a negative label", "-1"),
        ("labels as floats", "integer"),
        ("targets that are no probabilities", "sum"),
        ("fewer targets than data", "39"),
        ("another key", "Z"),
        ("a key missing", "y"),
    ],
)
@pytest.mark.parametrize("command", ["factors", "step"])
def test_bad_data_are_refused(geomkfac: Run, files: Path, command: str, name: str, words: str) -> None:
    path, out = bad_data(files, name), files / "out.npz"
    more = ("--fisher", "empirical") if command == "factors" else ("--damping", "0.1")
    finished = geomkfac(command, files / "network.npz", path, *CATEGORICAL, *more, "--out", out)
    assert finished.status == 2, finished.output
    assert words in finished.error
    assert "Traceback" not in finished.error
    assert not out.exists()
    assert not [file for file in files.iterdir() if file.name.startswith(".") or file.suffix == ".tmp"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer1.weight": np.full((4, 5), np.nan)}, "NaN"),
        ({"layer2.weight": np.ones((3, 7))}, "7"),
        ({"layer2.bias": None}, "layer2"),
        ({"layer1.bias": np.ones(3)}, "bias"),
        ({"layer1.weight": np.ones((4, 5), dtype=int), "layer1.bias": np.ones(4, dtype=int)}, "float"),
        ({"gamma": np.ones(3)}, "gamma"),
    ],
)
def test_bad_networks_are_refused(geomkfac: Run, files: Path, change: dict[str, Any], words: str) -> None:
    network = changed(files / "network.npz", **change)
    finished = geomkfac("factors", network, files / "data.npz", *CATEGORICAL)
    assert finished.status == 2, finished.output
    assert words in finished.error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--activation", "tanhh"), "tanh"),
        (("--output", "categorial"), "categorical"),
        (("--basis", "whiten"), "whitened"),
        (("--norm", "givn"), "Did you mean 'given'?"),
        (("--samples", "3"), "--fisher sampled"),
        (("--fisher", "monte-carlo"), "sampled"),
        (("--fisher", "sampled", "--samples", "0"), "positive"),
        (("--chunk", "0"), "positive"),
        (("--basis", "random", "--seed", "-1"), "nonnegative"),
        (("--out", "nowhere/out.npz"), "nowhere"),
        (("--out", "out.txt"), ".safetensors"),
        (("--basis", "whitened"), "--norm given"),
    ],
)
def test_bad_options_are_refused(
    geomkfac: Run, files: Path, words: tuple[str, ...], expected: str
) -> None:
    arguments = {"--activation": "tanh", "--output": "categorical"} | dict(zip(words[::2], words[1::2], strict=True))
    options = [word for pair in arguments.items() for word in pair]
    finished = geomkfac("factors", files / "network.npz", files / "data.npz", *options)
    assert finished.status == 2, finished.output
    assert expected in finished.error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--damping", "-1"), "positive"),
        (("--damping", "nan"), "positive"),
        (("--rate", "inf"), "finite"),
        (("--rate", "fast"), "--rate"),
        (("--rate", "nan"), "finite"),
        (("--damping", "0"), "positive"),
        (("--damping", "1", "--damping-kind", "identiti"), "identity"),
        (("--damping-kind", "identity"), "--damping 0.01"),
        ((), "--norm given"),
        (("--norm", "none"), "--norm given"),
        (("--norm", "given", "--rate", "1e308"), "--rate"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_steps_are_refused(geomkfac: Run, files: Path, words: tuple[str, ...], expected: str) -> None:
    finished = geomkfac("step", files / "network.npz", files / "data.npz", *CATEGORICAL, *words)
    assert finished.status == 2, finished.output
    assert expected in finished.error


@pytest.mark.parametrize("name", ["a label out of range", "labels as floats", "targets that are no probabilities"])
def test_targets_are_checked_also_where_no_factor_depends_on_them(geomkfac: Run, files: Path, name: str) -> None:
    finished = geomkfac("factors", files / "network.npz", bad_data(files, name), *CATEGORICAL, "--fisher", "exact")
    assert finished.status == 2


@pytest.mark.parametrize("out", ["nowhere/out.npz", "out.txt", "out", "folder.npz"])
def test_an_output_path_is_refused_before_anything_is_read(geomkfac: Run, files: Path, out: str) -> None:
    (files / "folder.npz").mkdir()
    finished = geomkfac("step", "missing.npz", "missing.npz", *CATEGORICAL, "--out", files / out)
    assert finished.status == 2
    assert "cannot write" in finished.error


def test_a_differential_outside_the_range_is_refused(geomkfac: Run, files: Path) -> None:
    X = read_arrays(files / "data.npz")["X"]
    words = ("--fisher", "sampled", "--norm", "given")
    statuses = []
    for label in range(3):
        # One datum and one sampled target: the metric sees one direction of the logits, the differentials
        # of two of the three labels point elsewhere.
        one = files / f"one{label}.npz"
        write_arrays(one, {"X": X[:1], "y": np.asarray([label])})
        finished = geomkfac("step", files / "network.npz", one, *CATEGORICAL, *words)
        statuses.append(finished.status)
        assert (finished.status == 2) == ("not in the range" in finished.error)
    assert sorted(statuses) == [0, 2, 2]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated"])
def test_a_truncated_file_is_refused(geomkfac: Run, files: Path, content: bytes) -> None:
    broken = files / "broken.npz"
    broken.write_bytes(content)
    finished = geomkfac("factors", broken, files / "data.npz", *CATEGORICAL)
    assert finished.status == 2, finished.output


def test_a_missing_file_is_refused_without_a_traceback_in_a_process_of_its_own(files: Path) -> None:
    finished = run_process(files, "factors", "missing.npz", "data.npz", *CATEGORICAL, "--out", "out.npz")
    assert finished.status == 2
    assert "missing.npz" in finished.error
    assert "Traceback" not in finished.error
    assert not (files / "out.npz").exists()


def test_under_json_an_error_is_a_json_document_on_standard_error(geomkfac: Run, files: Path) -> None:
    finished = geomkfac("factors", files / "missing.npz", files / "data.npz", *CATEGORICAL, "--json")
    assert finished.status == 2
    assert finished.output == ""
    assert json.loads(finished.error)["error"]["type"] == "FileFormatError"
