"""`factors` and `step`, as the practitioner uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.interop import read_arrays, read_data, read_network

CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
Run = Callable[..., Any]


def textbook_factors(folder: Path) -> list[np.ndarray]:
    """A0, G1, A1, G2 of a 5-4-3 softmax network by the formulas of LG 2.1.3."""
    (W1, W2), (b1, b2) = read_network(folder / "network.npz")
    X, _ = read_data(folder / "data.npz")
    a1 = np.tanh(X @ W1.T + b1)
    logits = a1 @ W2.T + b2
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    ones = np.ones((len(X), 1))
    A = [np.hstack([a, ones]).T @ np.hstack([a, ones]) / len(X) for a in (X, a1)]
    Dz2 = np.eye(3)[None] - p[:, None, :]
    Dz1 = (Dz2 @ W2) * (1 - a1**2)[:, None, :]
    G = [np.einsum("nk,nki,nkj->ij", p, Dz, Dz) / len(X) for Dz in (Dz1, Dz2)]
    return [A[0], G[0], A[1], G[1]]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_factors_in_the_given_basis_are_those_of_the_textbook(
    geomkfac: Run, files: Path, suffix: str
) -> None:
    out = files / f"factors{suffix}"
    network, data = files / "network.npz", files / "data.npz"
    finished = geomkfac("factors", network, data, *CATEGORICAL, "--out", out)
    assert finished.status == 0, finished.error
    arrays = read_arrays(out)
    expected = textbook_factors(files)
    for name, matrix in zip(("layer1.A", "layer1.G", "layer2.A", "layer2.G"), expected, strict=True):
        # Sums of 40 (times 3) products each: a few hundred roundings.
        assert np.abs(arrays[name] - matrix).max() <= 400 * np.finfo(float).eps * np.abs(matrix).max()
    assert np.array_equal(arrays["A0.matrix"], np.eye(5))


def test_the_file_says_how_its_basis_comes_from_the_given_one(geomkfac: Run, files: Path) -> None:
    given, there = files / "given.npz", files / "random.npz"
    network, data = files / "network.npz", files / "data.npz"
    for basis, out in (("given", given), ("random", there)):
        status = geomkfac("factors", network, data, *CATEGORICAL, "--basis", basis, "--out", out).status
        assert status == 0
    old, new = read_arrays(given), read_arrays(there)
    B, c = new["A0.matrix"], new["A0.translation"]
    homogeneous = np.block([[B, c[:, None]], [np.zeros((1, 5)), np.ones((1, 1))]])
    expected = homogeneous @ old["layer1.A"] @ homogeneous.T
    # Condition number at most 10, squared in a form, sums of 36 products.
    assert np.abs(new["layer1.A"] - expected).max() <= 36 * 100 * np.finfo(float).eps * np.abs(expected).max()
    inverse = np.linalg.inv(new["Z1.matrix"])
    expected = inverse.T @ old["layer1.G"] @ inverse
    assert np.abs(new["layer1.G"] - expected).max() <= 16 * 100 * np.finfo(float).eps * np.abs(expected).max()


def test_the_whitened_factors_are_the_identity_but_for_null_directions(geomkfac: Run, files: Path) -> None:
    out = files / "white.npz"
    words = ("factors", files / "network.npz", files / "data.npz", *CATEGORICAL)
    finished = geomkfac(*words, "--basis", "whitened", "--norm", "given", "--out", out, "--json")
    assert finished.status == 0, finished.error
    arrays = read_arrays(out)
    worst = max(layer[name]["condition_given"] for layer in finished.json["layers"] for name in "AG")
    tolerance = 100 * np.finfo(float).eps * worst
    for name, nullity in (("layer1.A", 0), ("layer1.G", 0), ("layer2.A", 0), ("layer2.G", 1)):
        eigenvalues = np.linalg.eigvalsh(arrays[name])
        target = np.concatenate([np.zeros(nullity), np.ones(len(eigenvalues) - nullity)])
        assert np.abs(eigenvalues - target).max() <= tolerance
    assert [layer["G"]["rank"] for layer in finished.json["layers"]] == [4, 2]


def test_the_step_is_the_same_from_every_basis_unless_the_identity_damps_it(geomkfac: Run, files: Path) -> None:
    words = ("step", files / "network.npz", files / "data.npz", *CATEGORICAL, "--norm", "given", "--rate", "0.1")

    def steps(*more: str) -> list[np.ndarray]:
        results = []
        for basis in ("given", "centered", "whitened", "random"):
            out = files / f"{basis}.npz"
            finished = geomkfac(*words, "--basis", basis, "--out", out, *more)
            assert finished.status == 0, finished.error
            Ws, bs = read_network(out)
            results.append(np.concatenate([x.ravel() for x in (*Ws, *bs)]))
        return results

    for kind in ((), ("--damping", "0.1"), ("--damping", "0.1", "--damping-kind", "factored")):
        first, *others = steps(*kind)
        for other in others:
            assert np.abs(other - first).max() <= 1e5 * np.finfo(float).eps * np.abs(first).max()
    first, *others = steps("--damping", "0.1", "--damping-kind", "identity")
    assert np.abs(others[0] - first).max() > 1e-4
    assert np.abs(others[1] - first).max() > 1e-4


def test_the_step_lowers_the_loss_and_says_so(geomkfac: Run, files: Path) -> None:
    words = ("step", files / "network.npz", files / "data.npz", *CATEGORICAL, "--damping", "0.1", "--rate", "0.1")
    report = geomkfac(*words, "--json").json
    assert report["loss_after"] < report["loss_before"]
    # To first order; what is left is of second order in the rate.
    decrease = report["loss_before"] - report["loss_after"]
    assert abs(decrease - report["predicted_decrease"]) < 0.2 * report["predicted_decrease"]


def test_the_digits_are_there_after_the_install(geomkfac: Run) -> None:
    finished = geomkfac("factors", "digits", "digits", *CATEGORICAL, "--json")
    assert finished.status == 0, finished.error
    first, *_, last = finished.json["layers"]
    assert first["A"]["rank"] == 62
    assert last["G"]["rank"] == 9
    assert "3 directions" in finished.json["notes"][0]


@pytest.mark.parametrize("fisher", [("sampled", "--samples", "3"), ("empirical",)])
def test_other_fisher_metrics_give_other_factors(geomkfac: Run, files: Path, fisher: tuple[str, ...]) -> None:
    out, exact = files / "one.npz", files / "two.npz"
    words = ("factors", files / "network.npz", files / "data.npz", *CATEGORICAL)
    assert geomkfac(*words, "--fisher", *fisher, "--out", out).status == 0
    assert geomkfac(*words, "--out", exact).status == 0
    one, two = read_arrays(out), read_arrays(exact)
    assert np.array_equal(one["layer1.A"], two["layer1.A"])
    assert not np.allclose(one["layer1.G"], two["layer1.G"], rtol=1e-3)


def test_chunks_change_nothing_but_rounding(geomkfac: Run, files: Path) -> None:
    out, whole = files / "one.npz", files / "two.npz"
    words = ("factors", files / "network.npz", files / "data.npz", *CATEGORICAL)
    assert geomkfac(*words, "--chunk", "7", "--out", out).status == 0
    assert geomkfac(*words, "--out", whole).status == 0
    one, two = read_arrays(out), read_arrays(whole)
    for name, matrix in two.items():
        assert np.abs(one[name] - matrix).max() <= 400 * np.finfo(float).eps * max(np.abs(matrix).max(), 1e-300)
