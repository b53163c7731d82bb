"""`factors` and `step`, as the practitioner uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.interop import read_arrays, read_data, read_network, write_arrays, write_data, write_network

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


BASES = ("given", "centered", "whitened", "random")


def worst_condition(geomkfac: Run, words: tuple[object, ...]) -> float:
    """The largest cond(A) cond(G) of a layer, in any of the four bases."""
    worst = 1.0
    for basis in BASES:
        layers = geomkfac("factors", *words, "--basis", basis, "--norm", "given", "--json").json["layers"]
        for key in ("condition", "condition_given"):
            worst = max(worst, *(layer["A"][key] * layer["G"][key] for layer in layers))
    return worst


def parameters(network: Path) -> np.ndarray:
    """All weights and biases of a file, in one array."""
    Ws, bs = read_network(network)
    return np.concatenate([array.ravel() for array in (*Ws, *bs)])


def steps(geomkfac: Run, folder: Path, words: tuple[object, ...]) -> list[np.ndarray]:
    """The step from each basis, in the given one, all layers in one array."""
    out = folder / "after.npz"
    arrays = []
    for basis in BASES:
        finished = geomkfac("step", *words, "--norm", "given", "--basis", basis, "--out", out)
        assert finished.status == 0, finished.error
        arrays.append(parameters(out) - parameters(folder / "network.npz"))
    return arrays


def differences(arrays: list[np.ndarray]) -> list[float]:
    first, *others = arrays
    return [float(np.linalg.norm(other - first) / np.linalg.norm(first)) for other in others]


# Backward error of a solve, and of the sums over 40 data and 3 targets that it starts from, in units of
# epsilon; a basis and its inverse each cost at most another 25 = 5 squared, for matrices of at most 5 columns.
ROUNDINGS = 40 * 3 + 4 * 25


@pytest.mark.parametrize(
    "damping", [(), ("--damping", "0.1"), ("--damping", "0.1", "--damping-kind", "factored")], ids=str
)
def test_the_step_is_the_same_from_every_basis(geomkfac: Run, files: Path, damping: tuple[str, ...]) -> None:
    words = (files / "network.npz", files / "data.npz", *CATEGORICAL)
    tolerance = ROUNDINGS * np.finfo(float).eps * worst_condition(geomkfac, words)
    assert max(differences(steps(geomkfac, files, (*words, *damping)))) <= tolerance < 1e-6


def test_damped_by_the_identity_it_is_not(geomkfac: Run, files: Path) -> None:
    words = (files / "network.npz", files / "data.npz", *CATEGORICAL)
    tolerance = ROUNDINGS * np.finfo(float).eps * worst_condition(geomkfac, words)
    damped = (*words, "--damping", "0.1", "--damping-kind", "identity")
    assert min(differences(steps(geomkfac, files, damped))) > 1000 * tolerance


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
    assert "all logits" in finished.json["notes"][1]


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


def test_a_step_says_how_long_it_is_and_who_chose_it(geomkfac: Run, files: Path) -> None:
    out = files / "after.npz"
    words = ("step", files / "network.npz", files / "data.npz", *CATEGORICAL, "--norm", "given", "--rate", "0.5")
    report = geomkfac(*words, "--basis", "random", "--out", out, "--json").json
    squares = float(((parameters(out) - parameters(files / "network.npz")) ** 2).sum())
    # The difference of weights of size 1 loses their last digits: 43 of them.
    assert abs(report["length_given"] ** 2 - squares) <= 100 * 43 * np.finfo(float).eps * max(1.0, squares)
    # g(v, v) = dh(v) for the undamped v, and the predicted decrease is rate dh(v).
    conditions = worst_condition(geomkfac, words[1:7])
    assert report["length_in_metric"] ** 2 == pytest.approx(
        0.5 * report["predicted_decrease"], rel=ROUNDINGS * np.finfo(float).eps * conditions
    )
    assert "the norm that you named: given" in report["choice"]
    text = " ".join(geomkfac(*words).output.split())
    assert "length of the step" in text
    assert "the norm that you named: given" in text


def test_the_json_documents_have_these_keys(geomkfac: Run, files: Path) -> None:
    words = (files / "network.npz", files / "data.npz", *CATEGORICAL, "--norm", "given", "--json")
    shared = {"basis", "norm", "fisher", "samples", "seed", "device", "notes", "choice", "out"}
    document = geomkfac("factors", *words).json
    assert set(document) == shared | {"data", "loss", "layers"}
    for layer in document["layers"]:
        assert set(layer) == {"layer", "A", "G"}
        assert set(layer["A"]) == set(layer["G"]) == {"size", "rank", "condition", "condition_given"}
    lengths = {"predicted_decrease", "length_in_metric", "length_given"}
    expected = shared | lengths | {"rate", "damping", "damping_kind", "loss_before", "loss_after", "loss_rose"}
    assert set(geomkfac("step", *words).json) == expected


@pytest.mark.parametrize(
    ("kind", "words"), [("metric", "the same step"), ("factored", "the same step"), ("identity", "another step")]
)
def test_damping_says_whether_the_basis_matters(geomkfac: Run, files: Path, kind: str, words: str) -> None:
    arguments = (files / "network.npz", files / "data.npz", *CATEGORICAL)
    finished = geomkfac("step", *arguments, "--damping", "0.1", "--damping-kind", kind)
    assert words in finished.output


@pytest.mark.parametrize("output", ["gaussian", "bernoulli", "poisson"])
@pytest.mark.parametrize("activation", ["tanh", "leaky_relu(0.2)", "gelu"])
def test_the_other_output_families_work_and_have_no_null_direction_of_their_own(
    geomkfac: Run, files: Path, output: str, activation: str
) -> None:
    X = read_arrays(files / "data.npz")["X"]
    write_arrays(files / "other.npz", {"X": X, "y": (np.arange(120.0).reshape(40, 3) % 2)})
    words = (files / "network.npz", files / "other.npz", "--activation", activation, "--output", output)
    finished = geomkfac("step", *words, "--rate", "0.1", "--basis", "whitened", "--json")
    assert finished.status == 0, finished.error
    assert finished.json["notes"] == []
    assert finished.json["loss_after"] < finished.json["loss_before"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_keep_the_dtype_of_the_network(geomkfac: Run, files: Path, dtype: str) -> None:
    Ws, bs = read_network(files / "network.npz")
    X, y = read_data(files / "data.npz")
    write_network(files / "n.npz", [W.astype(dtype) for W in Ws], [b.astype(dtype) for b in bs])
    write_arrays(files / "d.npz", {"X": X.astype(dtype), "y": y})
    for command in (("factors",), ("step", "--damping", "0.1")):
        out = files / "out.safetensors"
        name, *more = command
        assert geomkfac(name, files / "n.npz", files / "d.npz", *CATEGORICAL, *more, "--out", out).status == 0
        assert {str(array.dtype) for key, array in read_arrays(out).items() if "layer" in key} == {dtype}


def test_a_rank_that_is_not_clear_cut_is_told_and_is_no_degenerate_metric(
    geomkfac, tmp_path, monkeypatch
):
    """Two inputs that agree to 3e-7: their difference has the square 2e-14, above the cut of some 1e-15 and near it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200)
    X = np.stack([x, x + 3e-7 * rng.standard_normal(200)], axis=1)
    write_network("near.npz", [rng.standard_normal((2, 2))], [np.zeros(2)])
    write_data("near_data.npz", X, rng.standard_normal((200, 2)))
    finished = geomkfac("step", "near.npz", "near_data.npz", "--activation", "tanh", "--output", "gaussian", "--json")
    assert finished.status == 0
    assert any("not clear-cut" in note for note in finished.json["notes"])
    assert "nondegenerate" in finished.json["choice"]
