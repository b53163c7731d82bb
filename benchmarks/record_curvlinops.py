"""Record curvlinops' factors of a small convolutional network, in the modes that it has, for the tests.

Run: python benchmarks/record_curvlinops.py tests/data/curvlinops-factors.npz
The network has strides, dilations, borders of zeros, pooling and a dense end; the file holds its arrays, the data,
and curvlinops' factors A and G of every layer, for 'expand' and 'reduce', the exact Fisher and the empirical one,
with weight and bias in one block.  Its targets are labels; losses are means.
"""

import sys
import warnings
from importlib.metadata import version

import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from curvlinops import KFACLinearOperator


def main(path: str) -> None:
    """Compute and write."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1),
        torch.nn.Tanh(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(3, 2, 2, dilation=(1, 2)),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 4),
    ).double()
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((7, 2, 9, 10)), rng.integers(0, 4, 7)
    arrays = {"X": X, "y": y, "version": np.asarray(version("curvlinops-for-pytorch"))}
    names = [name for name, module in model.named_modules() if hasattr(module, "weight")]
    for number, name in enumerate(names, start=1):
        module = model.get_submodule(name)
        arrays[f"layer{number}.weight"] = module.weight.detach().numpy()
        arrays[f"layer{number}.bias"] = module.bias.detach().numpy()
    for approximation in ("expand", "reduce"):
        for fisher in ("type-2", "empirical"):
            operator = KFACLinearOperator(
                model,
                torch.nn.CrossEntropyLoss(),
                list(model.parameters()),
                [(torch.from_numpy(X), torch.from_numpy(y))],
                check_deterministic=False,
                fisher_type=fisher,
                kfac_approx=approximation,
                separate_weight_and_bias=False,
            )
            operator.compute_kronecker_factors()
            for number, name in enumerate(names, start=1):
                key = f"{approximation}.{fisher}.layer{number}"
                arrays[f"{key}.A"] = operator._input_covariances[name].numpy()
                arrays[f"{key}.G"] = operator._gradient_covariances[name].numpy()
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
