"""Activations in PyTorch and here: which module is which function, both ways."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from geomkfac.errors import SpaceMismatchError
from geomkfac.interop.pytorch.support import refusal
from geomkfac.maps.activations.polynomials import Polynomial
from geomkfac.maps.activations.rectifiers import Elu, LeakyRelu, Relu, Softplus
from geomkfac.maps.activations.scalar_function import Activation
from geomkfac.maps.activations.self_gated import Gelu, GeluTanh, Silu
from geomkfac.maps.activations.sigmoids import Logistic, Softsign, Tanh

LINEAR_ABOVE = 40.0
"""Where PyTorch's softplus turns into its asymptote: there they differ by exp(-40), below float64's rounding."""

PLAIN: dict[type[Activation], str] = {
    Tanh: "Tanh", Logistic: "Sigmoid", Softsign: "Softsign", Relu: "ReLU", Silu: "SiLU",
}  # fmt: skip
"""Without parameters."""

KNOWN = {*PLAIN.values(), "LeakyReLU", "ELU", "Softplus", "GELU"}

FUNCTIONS = {
    "tanh": "Tanh", "tanh_": "Tanh", "sigmoid": "Sigmoid", "sigmoid_": "Sigmoid", "softsign": "Softsign",
    "relu": "ReLU", "relu_": "ReLU", "leaky_relu": "LeakyReLU", "leaky_relu_": "LeakyReLU", "elu": "ELU",
    "elu_": "ELU", "softplus": "Softplus", "silu": "SiLU", "gelu": "GELU",
}  # fmt: skip
"""Modules of torch.nn that do what functions do."""

POSITIONS = {
    "softplus": ("beta", "threshold"),
    "leaky_relu": ("negative_slope", "inplace"),
    "elu": ("alpha", "inplace"),
    "silu": ("inplace",),
}
"""Names of the arguments of these functions, after the first."""


def activation_of(name: str, part: Any) -> str | None:
    """The name of a module's activation here, as `activation` takes it; None for other modules.

    Raises
    ------
    UnplaceableModuleError : it is a softplus with another beta, or another threshold.
    """
    kind = type(part).__name__
    if kind == "LeakyReLU":
        return LeakyRelu(float(part.negative_slope)).name
    if kind == "ELU":
        return Elu(float(part.alpha)).name
    if kind == "GELU":
        return GeluTanh.name if part.approximate == "tanh" else Gelu.name
    if kind == "Softplus":
        if part.beta != 1 or part.threshold < 20:
            raise refusal(
                name, part, f"softplus is log(1 + exp(z)); this one has beta={part.beta} and turns into its asymptote "
                f"at {part.threshold}",
                "Use beta=1 and a threshold of 20 or more: there the two differ by 2e-9 at most.",
            )  # fmt: skip
        return Softplus.name
    return next((str(function.name) for function, known in PLAIN.items() if known == kind), None)


def module_of(function: Activation) -> Any:
    """A PyTorch module that does what an activation does.

    Raises
    ------
    SpaceMismatchError : PyTorch has none.
    """
    nn = import_module("torch").nn
    if type(function) in PLAIN:
        return getattr(nn, PLAIN[type(function)])()
    if isinstance(function, LeakyRelu):
        return nn.LeakyReLU(function.slope)
    if isinstance(function, Elu):
        return nn.ELU(function.alpha)
    if isinstance(function, Gelu | GeluTanh):
        return nn.GELU("tanh" if isinstance(function, GeluTanh) else "none")
    if isinstance(function, Softplus):
        return nn.Softplus(threshold=LINEAR_ABOVE)
    if isinstance(function, Polynomial):
        from geomkfac.interop.pytorch.fixed_layers import FixedPolynomial

        return FixedPolynomial([float(c) for c in function.coefficients])
    raise SpaceMismatchError(f"PyTorch has no module for the activation {function!r}.")
