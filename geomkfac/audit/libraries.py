"""Updates as K-FAC libraries make them of a module, for the audit: what they lose by their defaults.

Each takes the step ``w <- w - rate (K + damping)^{-1} grad`` with a library's own K, damping and solver, all with the
library's defaults unless the name says otherwise.  The libraries are imported when an update is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from geomkfac.audit.contestants.contestant import Contestant
from geomkfac.audit.contestants.kfac_jax import kfac_jax_optimizer
from geomkfac.audit.contestants.modules import ModuleContestant, ModuleToUpdate, on_module
from geomkfac.errors import MissingExtraError

DAMPING = 1e-3
"""Where a damping is asked for, or a library has no default."""
REGULARIZATION = 1e-8
"""NNGeometry's default in the classes of its metrics."""


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = PACKAGES[name.partition(".")[0]]
        raise MissingExtraError(f"{name} is not installed: pip install {package}.") from error


PACKAGES = {
    "curvlinops": "curvlinops-for-pytorch",
    "nngeometry": "nngeometry",
    "singd": "singd",
    "backpack": "backpack-for-pytorch",
}


def _gradients(it: ModuleToUpdate, parameters: list[Any]) -> list[Any]:
    torch = import_module("torch")
    return list(torch.autograd.grad(it.loss(it.module(it.inputs), it.targets), parameters))


def _moved(it: ModuleToUpdate, parameters: list[Any], steps: list[Any]) -> None:
    for parameter, step in zip(parameters, steps, strict=True):
        parameter.data -= it.rate * step.detach().reshape(parameter.shape)


# -- curvlinops --------------------------------------------------------------------------------------------
def _curvlinops(it: ModuleToUpdate, kind: str, damping: dict[str, Any], **options: Any) -> None:
    library = _library("curvlinops")
    parameters = list(it.module.parameters())
    operator = getattr(library, kind)(
        it.module, it.loss, parameters, [(it.inputs, it.targets)], fisher_type="type-2", check_deterministic=False,
        **options,
    )  # fmt: skip
    inverse = library.KFACInverseLinearOperator(operator, **damping)
    _moved(it, parameters, inverse @ _gradients(it, parameters))


def curvlinops_kfac() -> ModuleContestant:
    """Its defaults: weights and biases apart, no damping."""
    return on_module(lambda it: _curvlinops(it, "KFACLinearOperator", {}), "curvlinops K-FAC")


def curvlinops_kfac_joint() -> ModuleContestant:
    """Weight and bias in one block, no damping."""
    return _joint("curvlinops K-FAC, joint", {})


def _joint(name: str, damping: dict[str, Any]) -> ModuleContestant:
    return on_module(lambda it: _curvlinops(it, "KFACLinearOperator", damping, separate_weight_and_bias=False), name)


def _damped(name: str, **damping: Any) -> ModuleContestant:
    return _joint(f"curvlinops K-FAC, joint, {name}", {"damping": DAMPING, **damping})


def curvlinops_kfac_damped() -> ModuleContestant:
    """Joint; both factors damped by `DAMPING`."""
    return _damped("both factors damped")


def curvlinops_kfac_heuristic() -> ModuleContestant:
    """Joint; factors damped by a root of `DAMPING` each, shared out by their mean eigenvalues."""
    return _damped("heuristic damping", use_heuristic_damping=True)


def curvlinops_kfac_exact() -> ModuleContestant:
    """Joint; the Kronecker product damped by `DAMPING`."""
    return _damped("exact damping", use_exact_damping=True)


def curvlinops_ekfac() -> ModuleContestant:
    """Eigenvalues corrected; weights and biases apart, damped by `DAMPING`."""
    damping = {"damping": DAMPING, "use_exact_damping": True}
    return on_module(lambda it: _curvlinops(it, "EKFACLinearOperator", damping), "curvlinops EKFAC")


# -- NNGeometry --------------------------------------------------------------------------------------------
def _nngeometry(it: ModuleToUpdate, kind: str) -> None:
    metrics, data = _library("nngeometry.metrics"), import_module("torch.utils.data")
    objects = import_module("nngeometry.object")
    variants = {
        "BCEWithLogitsLoss": "classif_binary_logits", "CrossEntropyLoss": "classif_logits", "MSELoss": "regression",
    }  # fmt: skip
    loader = data.DataLoader(data.TensorDataset(it.inputs, it.targets), batch_size=len(it.inputs))
    metric = metrics.FIM(it.module, loader, getattr(objects, kind), variant=variants[type(it.loss).__name__])
    if kind == "PMatEKFAC":
        metric.update_diag(loader)
    it.loss(it.module(it.inputs), it.targets).backward()
    gradient = objects.PVector.from_model_grad(it.module)
    steps = metric.solve(gradient, regul=REGULARIZATION).to_dict()
    modules, _ = gradient.layer_collection.get_layerid_module_maps(it.module)
    for name, layer in modules.items():
        _moved(it, [layer.weight, layer.bias], list(steps[name]))
    it.module.zero_grad()


def nngeometry_kfac() -> ModuleContestant:
    """Its defaults: a damping of 1e-8, shared out by the factors' traces."""
    return on_module(lambda it: _nngeometry(it, "PMatKFAC"), "NNGeometry K-FAC")


def nngeometry_ekfac() -> ModuleContestant:
    """Eigenvalues corrected; its default damping, 1e-8."""
    return on_module(lambda it: _nngeometry(it, "PMatEKFAC"), "NNGeometry EKFAC")


# -- SINGD -------------------------------------------------------------------------------------------------
def _singd(it: ModuleToUpdate, **options: Any) -> None:
    if "optimizer" not in it.state:
        it.state["optimizer"] = _library("singd.optim.optimizer").SINGD(it.module, lr=it.rate, **options)
    optimizer = it.state["optimizer"]
    optimizer.zero_grad()
    it.loss(it.module(it.inputs), it.targets).backward()
    optimizer.step()


def singd_dense() -> ModuleContestant:
    """Structured inverse-free natural gradient descent with dense factors, its defaults; empirical Fisher."""
    return on_module(_singd, "SINGD, dense")


def singd_kfac_like() -> ModuleContestant:
    """As K-FAC without an inverse (IKFAC), `kfac_like`."""
    return on_module(lambda it: _singd(it, kfac_like=True), "SINGD, K-FAC-like")


# -- BackPACK ----------------------------------------------------------------------------------------------
def _backpack(it: ModuleToUpdate) -> None:
    library, extensions = _library("backpack"), import_module("backpack.extensions")
    torch = import_module("torch")
    if "module" not in it.state:
        it.state["module"], it.state["loss"] = library.extend(_of_layers(torch, it.module)), library.extend(it.loss)
    with library.backpack(extensions.KFLR()):
        it.state["loss"](it.state["module"](it.inputs), it.targets).backward()
    for parameter in it.module.parameters():
        step = parameter.grad.reshape(len(parameter), -1)
        factors = parameter.kflr
        share = DAMPING ** (1 / len(factors))
        damped = [factor + share * torch.eye(len(factor), dtype=factor.dtype) for factor in factors]
        step = torch.linalg.solve(damped[0], step)
        if len(damped) > 1:
            step = torch.linalg.solve(damped[1], step.T).T
        _moved(it, [parameter], [step])
        parameter.grad = None


def _of_layers(torch: Any, module: Any) -> Any:
    """The module, with the same parameters and with layers without gradients for what is fixed: it knows layers alone.

    Of chains without places.
    """
    from geomkfac.interop.pytorch.fixed_layers import FixedAffine

    made = []
    for part in module.modules():
        if isinstance(part, FixedAffine):
            matrix, shift = part.matrix, part.translation
            n = len(shift if matrix is None else matrix)
            fixed = torch.nn.Linear(n, n, dtype=(shift if matrix is None else matrix).dtype)
            fixed.weight.data = torch.eye(n, dtype=fixed.weight.dtype) if matrix is None else matrix.clone()
            fixed.bias.data = torch.zeros_like(fixed.bias) if shift is None else shift.clone()
            made.append(fixed.requires_grad_(False))
        elif not list(part.children()):
            made.append(part)
    return torch.nn.Sequential(*made)


def backpack_kflr() -> ModuleContestant:
    """Of its factors, which are of weights and of biases apart, the step with each damped by a root of `DAMPING`."""
    return on_module(_backpack, "BackPACK KFLR")


UPDATES: dict[str, tuple[Callable[[], Contestant], ...]] = {
    "curvlinops": (
        curvlinops_kfac,
        curvlinops_kfac_joint,
        curvlinops_kfac_damped,
        curvlinops_kfac_heuristic,
        curvlinops_kfac_exact,
        curvlinops_ekfac,
    ),
    "nngeometry": (nngeometry_kfac, nngeometry_ekfac),
    "singd": (singd_dense, singd_kfac_like),
    "backpack": (backpack_kflr,),
    "kfac_jax": (kfac_jax_optimizer,),
}
"""By the package that must be installed."""
