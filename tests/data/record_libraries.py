"""Record the Kronecker factors that other libraries compute of small models and of their twins in other frames.

Run: python tests/data/record_libraries.py tests/data/library-factors.npz
with curvlinops-for-pytorch 3.0.1, nngeometry 0.4, backpack-for-pytorch 1.7.1, and kfac-jax 0.0.8 with jax 0.6.2 (jax
0.10 fails inside it).  A library that is not installed is left out, and said so.  The file holds the versions, the
models' arrays in both frames, the data, the changes of basis, and for each library, model and frame the factors as the
library stores them; see `MODELS` and `main`.

A twin, 'kappa', computes the same function: its activations stand between fixed affine maps without parameters, so
that what each library sees is an ordinary model, and the padding of its convolution is the point that zero was.  In
'naive' the same twin is padded with its own zeros: another function.  Outputs keep their frame, as a library's loss
knows no other.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import geomkfac as gk

N = 11
PADDED = gk.Convolution(kernel=(2, 2), stride=(1, 2), padding=(1, 0))


@dataclass(frozen=True)
class Model:
    """A small network.

    Attributes
    ----------
    kind : 'mlp'; 'convolution', with a dense layer on its map; 'map', with losses at every place
    padding : of the first layer, at either end of each axis
    """

    kind: str
    net: Any
    weights: Any
    iota: Any
    X: Any
    padding: tuple[int, int] = (0, 0)

    @property
    def targets(self) -> Any:
        """Zeros and ones, for each output at each place; labels are the last axis' first."""
        return np.random.default_rng(8).integers(0, 2, (N, *self.net.output_places, self.net.outputs.dim))


def mlp() -> Model:
    """A 3-4-3 tanh network."""
    rng = np.random.default_rng(5)
    Ws, bs = [rng.standard_normal(s) for s in ((4, 3), (3, 4))], [rng.standard_normal(m) for m in (4, 3)]
    return Model("mlp", *gk.MLP.from_arrays(Ws, bs), rng.standard_normal((N, 3)) + 1.0)


def convolution() -> Model:
    """A padded convolution of 2 channels of 2 x 5, a tanh, a dense layer on its map of 3 x 2."""
    rng = np.random.default_rng(6)
    Ws, bs = [rng.standard_normal(s) for s in ((3, 2, 2, 2), (3, 18))], [rng.standard_normal(3) for _ in range(2)]
    found = gk.ConvolutionalNetwork.from_arrays(Ws, bs, (2, 5), [PADDED, "tanh", gk.Dense()])
    return Model("convolution", *found, rng.standard_normal((N, 2, 5, 2)) + 0.5, (1, 0))


def losses_at_places() -> Model:
    """A convolution of 2 channels of 2 x 4, a tanh, a convolution with one offset: outputs on a map of 1 x 2."""
    rng = np.random.default_rng(9)
    Ws, bs = [rng.standard_normal(s) for s in ((2, 2, 2, 2), (2, 2, 1, 1))], [rng.standard_normal(2) for _ in range(2)]
    stages = [gk.Convolution(kernel=(2, 2), stride=(1, 2)), "tanh", gk.Convolution(kernel=(1, 1))]
    found = gk.ConvolutionalNetwork.from_arrays(Ws, bs, (2, 4), stages)
    return Model("map", *found, rng.standard_normal((N, 2, 4, 2)) + 0.5)


MODELS = {"mlp": mlp, "convolution": convolution, "map": losses_at_places}


def changes_of(net: Any) -> dict[Any, tuple[Any, Any]]:
    """Other coordinates of inputs, hidden pre-activations and activations: {space: (B, c)}, integers over 4."""
    rng = np.random.default_rng(7)
    inputs = getattr(net.inputs, "base", net.inputs)
    rho = next(stage.map for stage in net.stages if hasattr(stage, "map"))
    return {
        space: (np.eye(space.dim) + rng.integers(-1, 2, (space.dim, space.dim)) / 4, rng.integers(-4, 5, space.dim) / 4)
        for space in (inputs, rho.domain, rho.codomain)
    }


@dataclass(frozen=True)
class Written:
    """A model written down in some frame, for the libraries.

    Attributes
    ----------
    arrays : 'W1', 'b1', 'W2', 'b2', as PyTorch has them
    moves : fixed affine maps 'before' and 'after' the tanh, (matrix, vector); none in iota
    X : data, channels last; padded where `padding` is zero
    Y : targets
    """

    kind: str
    arrays: dict[str, Any]
    moves: dict[str, Any]
    X: Any
    Y: Any
    padding: tuple[int, int]

    def torch_model(self, frozen: bool = False) -> Any:
        """A Sequential; `frozen` moves are layers without gradients, of which BackPACK knows the derivatives."""
        import torch

        first: Any
        second: Any
        W, b, V, c = (torch.tensor(self.arrays[key]) for key in ("W1", "b1", "W2", "b2"))
        first = torch.nn.Linear(3, 4)
        if self.kind != "mlp":
            first = torch.nn.Conv2d(W.shape[1], W.shape[0], 2, stride=(1, 2), padding=self.padding)
        second = torch.nn.Conv2d(*V.shape[1::-1], 1) if self.kind == "map" else torch.nn.Linear(*V.shape[::-1])
        for module, weight, bias in ((first, W, b), (second, V, c)):
            module.weight, module.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        stages = [torch.nn.Tanh()]
        if self.moves:
            make = self._frozen if frozen else self._move
            stages = [make(*self.moves["before"]), *stages, make(*self.moves["after"])]
        flat = [torch.nn.Flatten()] if self.kind == "convolution" else []
        return torch.nn.Sequential(first, *stages, *flat, second)

    def _frozen(self, matrix: Any, vector: Any) -> Any:
        import torch

        n = len(vector)
        module: Any = torch.nn.Linear(n, n) if self.kind == "mlp" else torch.nn.Conv2d(n, n, 1)
        module.weight = torch.nn.Parameter(torch.tensor(matrix).reshape(module.weight.shape), requires_grad=False)
        module.bias = torch.nn.Parameter(torch.tensor(vector), requires_grad=False)
        return module

    def _move(self, matrix: Any, vector: Any) -> Any:
        import torch

        class Move(torch.nn.Module):
            """y = B x + c along axis 1."""

            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("matrix", torch.tensor(matrix))
                self.register_buffer("vector", torch.tensor(vector))

            def forward(self, x: Any) -> Any:
                return torch.movedim(torch.movedim(x, 1, -1) @ self.matrix.T + self.vector, -1, 1).contiguous()

        return Move()

    def torch_data(self, loss: str) -> tuple[Any, Any]:
        """Channels first; labels, or numbers."""
        import torch

        X, Y = (torch.tensor(np.ascontiguousarray(np.moveaxis(array, -1, 1))) for array in (self.X, self.Y))
        return X, Y[:, 0] if loss == "cross-entropy" else Y.to(torch.float64)


def torch_loss(loss: str, reduction: str) -> Any:
    import torch

    kinds = {"cross-entropy": "CrossEntropyLoss", "squared": "MSELoss", "binary cross-entropy": "BCEWithLogitsLoss"}
    return getattr(torch.nn, kinds[loss])(reduction=reduction)


def last_axis() -> Any:
    """A module that puts channels last."""
    import torch

    class Last(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.movedim(1, -1)

    return Last()


def of_curvlinops(written: Written, loss: str, reduction: str, **options: Any) -> list[list[Any]]:
    """[A, G] of every layer."""
    from curvlinops import KFACLinearOperator

    model, (points, targets) = written.torch_model(), written.torch_data(loss)
    if loss != "cross-entropy" and written.kind == "map":
        # Of other losses than the softmax's it takes the last axis as the outputs.
        model.append(last_axis())
        targets = targets.movedim(1, -1)
    operator = KFACLinearOperator(
        model, torch_loss(loss, reduction), list(model.parameters()), [(points, targets)],
        check_deterministic=False, **{"fisher_type": "type-2", **options},
    )  # fmt: skip
    operator.compute_kronecker_factors()
    state = operator.state_dict()
    first, second = state["input_covariances"], state["gradient_covariances"]
    return [[first[name].numpy(), second[name].numpy()] for name in first]


def of_nngeometry(written: Written, loss: str) -> list[list[Any]]:
    """[A, G] of every layer."""
    import torch
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatKFAC
    from torch.utils.data import DataLoader, TensorDataset

    variants = {
        "cross-entropy": "classif_logits", "binary cross-entropy": "classif_binary_logits", "squared": "regression",
    }  # fmt: skip
    # It makes scratch arrays in PyTorch's default dtype.
    torch.set_default_dtype(torch.float64)
    try:
        data = DataLoader(TensorDataset(*written.torch_data(loss)), batch_size=N)
        found = FIM(written.torch_model(), data, PMatKFAC, variant=variants[loss])
    finally:
        torch.set_default_dtype(torch.float32)
    return [[part.detach().numpy() for part in pair] for pair in found.data.values()]


def of_backpack(written: Written, loss: str, reduction: str) -> list[list[Any]]:
    """[A, G, G of the bias] of every layer: its [G, A] turned around."""
    from backpack import backpack, extend
    from backpack.extensions import KFLR

    model, loss_function = extend(written.torch_model(frozen=True)), extend(torch_loss(loss, reduction))
    points, targets = written.torch_data(loss)
    with backpack(KFLR()):
        loss_function(model(points), targets).backward()
    layers = [module for module in model if hasattr(module, "weight") and module.weight.requires_grad]
    return [[module.weight.kflr[1].numpy(), module.weight.kflr[0].numpy(), module.bias.kflr[0].numpy()]
            for module in layers]  # fmt: skip


def of_kfac_jax(written: Written, loss: str) -> tuple[list[list[Any]], list[Any]]:
    """[A, G] of every layer, and the blocks that it makes of them."""
    import jax
    import kfac_jax

    jax.config.update("jax_enable_x64", True)
    arrays, moves = written.arrays, written.moves
    W, V = arrays["W1"].T, arrays["W2"].T
    if written.kind != "mlp":
        W = np.transpose(arrays["W1"], (2, 3, 1, 0))  # (out, in, *kernel) as HWIO
    if written.kind == "convolution":
        # The dense weight, channel by channel, as place by place: so is NHWC flattened.
        V = np.transpose(arrays["W2"].reshape(3, 3, 3, 2), (2, 3, 1, 0)).reshape(18, 3)
    elif written.kind == "map":
        V = np.transpose(arrays["W2"], (2, 3, 1, 0))
    parameters = {"1": {"w": W, "b": arrays["b1"]}, "2": {"w": V, "b": arrays["b2"]}}

    def convolved(x: Any, w: Any, stride: tuple[int, int], padding: tuple[int, int]) -> Any:
        ends, numbers = [(size, size) for size in padding], ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, stride, ends, dimension_numbers=numbers)

    def function(parameters: Any, batch: Any) -> Any:
        x, y = batch
        first, second = parameters["1"], parameters["2"]
        z = x @ first["w"] if written.kind == "mlp" else convolved(x, first["w"], (1, 2), written.padding)
        z = z + first["b"]
        if moves:
            z = z @ moves["before"][0].T + moves["before"][1]
        a = jax.numpy.tanh(z)
        if moves:
            a = a @ moves["after"][0].T + moves["after"][1]
        if written.kind == "map":
            outputs = convolved(a, second["w"], (1, 1), (0, 0)) + second["b"]
        else:
            outputs = a.reshape(len(x), -1) @ second["w"] + second["b"]
        if loss == "cross-entropy":
            kfac_jax.register_softmax_cross_entropy_loss(outputs, y[..., 0])
        elif loss == "squared":
            kfac_jax.register_squared_error_loss(outputs, y.astype(float))
        else:
            kfac_jax.register_sigmoid_cross_entropy_loss(outputs, y)
        return outputs.sum()

    arguments = (parameters, (jax.numpy.asarray(written.X), jax.numpy.asarray(written.Y)))
    estimator = kfac_jax.BlockDiagonalCurvature(function)
    key = jax.random.PRNGKey(0)
    state = estimator.init(key, arguments, set(), set(), False)
    state = estimator.update_curvature_matrix_estimate(state, 0.0, 1.0, 0.0, N, key, arguments, "fisher_exact")
    blocks = [np.asarray(block) for block in estimator.to_diagonal_block_dense_matrix(state)]
    return [[np.asarray(factor.value) for factor in block.factors] for block in state.blocks_states], blocks


def is_modelled(library: str, kind: str, loss: str) -> bool:
    """What the libraries can do: BackPACK's losses, and NNGeometry's softmax, know no places."""
    if library == "backpack-for-pytorch":
        return kind != "map" and loss != "binary cross-entropy"
    return not (library == "nngeometry" and kind == "map" and loss != "squared")


def found(written: Written, loss: str, reduction: str, installed: Any) -> Iterator[tuple[str, list[list[Any]]]]:
    """(key, factors) for every library that is installed and can do it, in every mode recorded."""
    key = f"{loss}.{reduction}"
    done = [library for library in installed if is_modelled(library, written.kind, loss)]
    if "curvlinops-for-pytorch" in done:
        for name, separate in (("curvlinops", False), ("curvlinops-separate", True)):
            yield f"{name}.{key}", of_curvlinops(written, loss, reduction, separate_weight_and_bias=separate)
        if not written.moves:
            options = {"separate_weight_and_bias": False, "fisher_type": "empirical"}
            yield f"curvlinops.{key}.empirical", of_curvlinops(written, loss, reduction, **options)
    if "backpack-for-pytorch" in done:
        yield f"backpack.{key}", of_backpack(written, loss, reduction)
    if "nngeometry" in done and reduction == "mean":
        yield f"nngeometry.{key}", of_nngeometry(written, loss)
    if "kfac-jax" in done and reduction == "mean":
        factors, blocks = of_kfac_jax(written, loss)
        # Blocks show the order of the product and its scale; one small one is enough.
        yield f"kfac-jax.{key}", [[*factors[0], blocks[0]], *factors[1:]] if loss == "squared" else factors


LOSSES = [("cross-entropy", "mean"), ("squared", "mean"), ("squared", "sum"), ("binary cross-entropy", "mean")]


def written_in(model: Model, frame: str) -> tuple[Written, dict[Any, tuple[Any, Any]]]:
    """The model in 'iota', 'kappa' or 'naive', and the changes of basis from iota."""
    changes = changes_of(model.net)
    parameterization = model.iota if frame == "iota" else model.iota.change(changes)
    points = model.net.inputs.from_coordinates(model.X, model.iota)
    X, padding = np.ascontiguousarray(points.coordinates(parameterization)), model.padding
    (_, origin), (B, c), (C, d) = changes.values()
    if frame == "kappa" and any(padding):
        ends = [(0, 0), *((size, size) for size in padding), (0, 0)]
        inside = np.pad(np.ones(X.shape[:-1] + (1,)), ends)
        X, padding = np.pad(X, ends) + (1 - inside) * origin, (0, 0)
    moves = {} if frame == "iota" else {"before": (np.linalg.inv(B), -np.linalg.solve(B, c)), "after": (C, d)}
    pairs = model.net.to_arrays(model.weights, parameterization)
    arrays = {f"{letter}{k}": np.ascontiguousarray(array)
              for k, pair in enumerate(pairs, start=1) for letter, array in zip("Wb", pair, strict=True)}  # fmt: skip
    return Written(model.kind, arrays, moves, X, model.targets, padding), changes


def versions() -> dict[str, str]:
    """Of what is installed; what is not is said."""
    installed = {}
    for package in ("curvlinops-for-pytorch", "nngeometry", "backpack-for-pytorch", "kfac-jax", "jax", "torch"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            print(f"not installed: {package}")
    return installed


def main(path: str) -> None:
    """Compute and write: '<model>.<frame>.<library>.<loss>.<reduction>[...].layer<k>.<A, G, bias or block>'."""
    installed = versions()
    saved: dict[str, Any] = {f"version.{name}": np.asarray(one) for name, one in installed.items()}
    for name, make in MODELS.items():
        model = make()
        for frame in ("iota", "kappa", "naive"):
            if frame == "naive" and not any(model.padding):
                continue
            written, changes = written_in(model, frame)
            saved.update({f"{name}.{frame}.{key}": array for key, array in {"X": written.X, **written.arrays}.items()})
            for number, (matrix, vector) in enumerate(changes.values()):
                saved[f"{name}.change{number}.matrix"], saved[f"{name}.change{number}.vector"] = matrix, vector
            for loss, reduction in LOSSES if frame == "iota" else LOSSES[:1] if name != "map" else LOSSES[1:2]:
                for key, factors in found(written, loss, reduction, installed):
                    third = "block" if key.startswith("kfac-jax") else "bias"
                    for k, parts in enumerate(factors, start=1):
                        for part, array in zip(("A", "G", third), parts, strict=False):
                            saved[f"{name}.{frame}.{key}.layer{k}.{part}"] = array
    np.savez_compressed(path, **saved)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(sys.argv[1])
