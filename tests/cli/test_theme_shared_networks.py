"""`factors` and `step` on convolutional and recurrent networks, from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.interop import read_arrays, read_network, read_sequences, write_data, write_network

Run = Callable[..., Any]
STAGES = "convolution(padding=1) tanh max(2) dense"
RECURRENCE = "recurrence(at='last', initial='learned')"


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A folder with network.npz and data.npz: digits of 6 by 6 pixels and two channels, as PyTorch lays them out."""
    net, iota = gk.ConvolutionalNetwork.from_shape((6, 6), 2, "convolution(3, 3, padding=1) tanh max(2) dense(3)")
    arrays = net.to_arrays(net.random_weights(np.random.default_rng(0), iota), iota)
    write_network(tmp_path / "network.npz", [W for W, _ in arrays], [b for _, b in arrays], chained=False)
    rng = np.random.default_rng(1)
    write_data(tmp_path / "data.npz", rng.standard_normal((40, 2, 6, 6)), rng.integers(0, 3, 40))
    return tmp_path


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    """A folder with network.safetensors and data.npz: sequences of up to 5 steps."""
    net, iota = gk.RecurrentNetwork.from_widths(2, 3, 2, 5, initial="learned", at="last")
    arrays = net.to_arrays(net.random_weights(np.random.default_rng(0), iota), iota)
    write_network(tmp_path / "network.safetensors", [W for W, _ in arrays], [b for _, b in arrays], chained=False)
    rng = np.random.default_rng(1)
    write_data(
        tmp_path / "data.npz", rng.standard_normal((40, 5, 2)), rng.integers(0, 2, 40), lengths=rng.integers(1, 6, 40)
    )
    return tmp_path


def test_the_factors_of_a_convolution_are_the_librarys(geomkfac: Run, maps: Path) -> None:
    out = maps / "factors.npz"
    words = ("--architecture", STAGES, "--output", "categorical", "--out", out)
    finished = geomkfac("factors", maps / "network.npz", maps / "data.npz", *words)
    assert finished.status == 0, finished.error
    assert "G2 is degenerate in 1 direction: adding a constant to all logits" in finished.output
    found = read_arrays(out)
    Ws, bs = read_network(maps / "network.npz", chained=False)
    net, weights, iota = gk.ConvolutionalNetwork.from_arrays(Ws, bs, (6, 6), STAGES)
    data = read_arrays(maps / "data.npz")
    sample = iota.sample(np.ascontiguousarray(np.moveaxis(data["X"], 1, -1)), data["y"])
    blocks = net.kfac_metric(weights, sample, gk.Categorical().on(iota)).coordinates(iota).blocks
    for number, block in enumerate(blocks, start=1):
        for name, factor in zip("AG", block.factors, strict=True):
            size = np.abs(factor).max()
            assert np.abs(found[f"layer{number}.{name}"] - factor).max() <= 1000 * np.finfo(float).eps * size


@pytest.mark.parametrize("basis", ["given", "centered", "whitened", "random"])
def test_the_step_of_a_convolution_is_the_same_from_every_basis(geomkfac: Run, maps: Path, basis: str) -> None:
    out = {}
    for name in ("given", basis):
        out[name] = maps / f"{name}.npz"
        words = ("--architecture", STAGES, "--output", "categorical", "--damping", 0.1, "--norm", "given")
        finished = geomkfac(
            "step", maps / "network.npz", maps / "data.npz", *words, "--basis", name, "--out", out[name]
        )
        assert finished.status == 0, finished.error
    one, two = (read_arrays(path) for path in out.values()) if basis != "given" else (read_arrays(out["given"]),) * 2
    for key, array in one.items():
        # Bases of condition 10 in a random basis, each factor's square, twice over a network of two layers.
        assert np.abs(array - two[key]).max() <= 10**4 * 1000 * np.finfo(float).eps * np.abs(array).max()
    before = read_arrays(maps / "network.npz")
    assert {key: array.shape for key, array in before.items()} == {key: array.shape for key, array in one.items()}
    assert not np.array_equal(before["layer1.weight"], one["layer1.weight"])


def test_the_digits_are_pictures_where_an_architecture_wants_them(geomkfac: Run, tmp_path: Path) -> None:
    net, iota = gk.ConvolutionalNetwork.from_shape((8, 8), 1, "convolution(2, 3, stride=2) tanh dense(10)")
    arrays = net.to_arrays(net.random_weights(np.random.default_rng(0), iota), iota)
    write_network(tmp_path / "network.npz", [W for W, _ in arrays], [b for _, b in arrays], chained=False)
    words = ("--architecture", "convolution(stride=2) tanh dense", "--output", "categorical", "--json")
    finished = geomkfac("factors", tmp_path / "network.npz", "digits", *words, "--fisher", "sampled")
    assert finished.status == 0, finished.error
    assert finished.json["data"] == 1797
    assert [layer["A"]["size"] for layer in finished.json["layers"]] == [10, 19]


def test_a_recurrence_takes_a_step_and_keeps_its_shapes(geomkfac: Run, sequences: Path) -> None:
    out = sequences / "after.safetensors"
    words = ("--architecture", RECURRENCE, "--output", "categorical", "--damping", 0.1, "--out", out, "--json")
    finished = geomkfac("step", sequences / "network.safetensors", sequences / "data.npz", *words)
    assert finished.status == 0, finished.error
    assert finished.json["loss_after"] < finished.json["loss_before"]
    assert any("G3" in note and "logits" in note for note in finished.json["notes"])
    shapes = [read_arrays(path) for path in (sequences / "network.safetensors", out)]
    assert {k: v.shape for k, v in shapes[0].items()} == {k: v.shape for k, v in shapes[1].items()}
    assert shapes[0]["layer4.weight"].shape == (3, 0)
    X, _, lengths = read_sequences(sequences / "data.npz")
    assert X.shape == (40, 5, 2)
    assert lengths.max() == 5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--output", "categorical"), "came    : neither"),
        (("--activation", "tanh", "--architecture", STAGES, "--output", "categorical"), "came    : both"),
        (("--architecture", "convolution(", "--output", "categorical"), "cannot be read"),
        (("--architecture", "convolution tanh dense dense", "--output", "categorical"), "more stages with weights"),
        (("--architecture", "convolution(stride=0) tanh max(2) dense", "--output", "categorical"), "stride is made of"),
        (("--architecture", "convolution tanh max(2) dense", "--output", "categorical"), "layer 2 has weight"),
        (("--activation", "tanh", "--output", "categorical"), "does not fit"),
    ],
)
def test_networks_that_make_no_sense_are_refused(geomkfac: Run, maps: Path, words: Any, expected: str) -> None:
    finished = geomkfac("factors", maps / "network.npz", maps / "data.npz", *words)
    assert finished.status == 2
    assert expected in finished.error


@pytest.mark.parametrize(
    ("network", "data", "architecture", "expected"),
    [
        ("digits", "digits", STAGES, "is fully connected"),
        ("network.safetensors", "digits", RECURRENCE, "are no sequences"),
        ("network.safetensors", "data.npz", "recurrence(at='last')", "bias of a fourth layer"),
        ("network.safetensors", "data.npz", "recurrence(at='first', initial='learned')", "'every', 'last'"),
    ],
)
def test_recurrences_that_make_no_sense_are_refused(
    geomkfac: Run, sequences: Path, network: str, data: str, architecture: str, expected: str
) -> None:
    paths = [name if name == "digits" else sequences / name for name in (network, data)]
    finished = geomkfac("factors", *paths, "--architecture", architecture, "--output", "categorical")
    assert finished.status == 2
    assert expected in finished.error
