"""Cut-offs of metrics, families, spaces, files, modules and theorems."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import Draws
from geomkfac.errors import FileFormatError, NotPositiveError, ValuesError
from geomkfac.interop import (
    CURVLINOPS,
    CURVLINOPS_SEPARATE,
    Checkpoint,
    FactorSetting,
    LayerFactors,
    UnplaceableModuleError,
    from_convention,
    from_module,
    kfac_of_module,
    layer_scalings,
    read_arrays,
    transforms_as_metric,
    write_arrays,
)
from geomkfac.metrics.families.poisson_counts import MOST
from geomkfac.testing import Bench, LawViolatedError
from geomkfac.testing.comparison import STEPS
from geomkfac.theorems import Check, Order, Sizes, World, same
from geomkfac.theorems.engine.numeric_evidence import FAR, counterexample, numeric
from geomkfac.theorems.engine.orders import measured_orders

from .cutoffs_of_matrices import CutOff, corner, diagonal, raised


def frame(n: int) -> Any:
    return gk.VectorSpace("V", n).frame("e")


# -- metrics -----------------------------------------------------------------------------------------------------
def form(ns: Any, matrix: Any) -> Any:
    return gk.DenseTensor.from_coordinates(matrix, frame(matrix.shape[0]))


def negative_form(ns: Any, n: int, times: float) -> bool:
    smallest = -times * n * ns.epsilon * math.sqrt(n - 1)
    return raised(NotPositiveError, lambda: form(ns, diagonal(ns, n, smallest)))


def asymmetric_form(ns: Any, n: int, times: float) -> bool:
    entry = times * n * ns.epsilon * math.sqrt(n / 2)
    return raised(NotPositiveError, lambda: form(ns, corner(ns, n, entry)))


def asymmetric_covariance(ns: Any, n: int, times: float) -> bool:
    return raised(NotPositiveError, lambda: gk.Gaussian(corner(ns, n, times * n * ns.epsilon)))


def overflows(ns: Any, n: int, times: float) -> bool:
    """What is let through has an exponential."""
    largest = {"numpy float32": 87.0, "numpy float64": 708.0}[ns.name]
    z = ns.ones((1, n)) * (times * largest)
    found = raised(ValuesError, lambda: gk.Poisson().fisher_factor(ns, z))
    assert found or ns.is_finite(gk.Poisson().fisher_factor(ns, z)[0])
    return found


def uncountable(ns: Any, n: int, times: float) -> bool:
    y = ns.ones((1, n)) * math.floor(times / ns.epsilon)
    return raised(ValuesError, lambda: gk.Poisson().check_targets(ns, y, n))


def undrawable(ns: Any, n: int, times: float) -> bool:
    z = ns.ones((1, n)) * math.log(times * min(MOST, 1 / ns.epsilon))
    return raised(ValuesError, lambda: gk.Poisson().sampled_factor(ns, z, Draws(0), 0, 1))


def improbable(ns: Any, n: int, times: float) -> bool:
    rows = ns.cast_numpy(np.asarray([[1.0, *(0.0,) * (n - 2), times * n * ns.epsilon]]))
    return raised(ValuesError, lambda: gk.Categorical().check_targets(ns, rows, n))


# -- spaces ------------------------------------------------------------------------------------------------------
def changes_basis(ns: Any, n: int, times: float) -> bool:
    """In double precision, in which frames keep their numbers."""
    smallest = times * math.sqrt(n - 1) * 2.0**-52
    return not raised(ValuesError, lambda: frame(n).change(diagonal(gk.floating.default_namespace, n, smallest)))


def no_combination(ns: Any, n: int, times: float) -> bool:
    frame_of_points = gk.AffineSpace("A", 1).frame("a")
    points: Any = frame_of_points.space.from_coordinates(ns.ones((n, 1)), frame_of_points)
    weights = ns.cast_numpy(np.asarray([1.0, *(0.0,) * (n - 2), times * n * ns.epsilon]))
    return raised(ValuesError, lambda: gk.affine_combination(points, weights))


# -- interop -----------------------------------------------------------------------------------------------------
def no_factor(ns: Any, n: int, times: float) -> bool:
    """Twice as many roundings as a sum has terms, of the size of the matrix."""
    net, iota = gk.MLP.from_widths([n - 1, 1])
    data, matrix = 4 * n, np.eye(n)
    matrix[0, 0] = -times * 2 * data * ns.epsilon * math.sqrt(n - 1)
    factors = [(ns.cast_numpy(matrix), ns.eye(1))]
    setting = FactorSetting(data, "squared", "mean")
    return raised(NotPositiveError, lambda: from_convention(factors, net, iota, CURVLINOPS, setting))


def two_products(ns: Any, n: int, times: float) -> bool:
    """A bias' own G counts as that of the weight where it differs by no more than the terms of a sum round."""
    net, iota = gk.MLP.from_widths([1, n])
    setting = FactorSetting(4 * n, "squared", "mean")
    (scaling,) = layer_scalings(net, setting)
    terms = setting.data * scaling.places * scaling.outputs * scaling.loss_terms
    rest = np.diag([1.0, -1.0, *(0.0,) * (n - 2)]) * times * terms * ns.epsilon * math.sqrt(n / 2)
    factors = [LayerFactors(ns.ones((1, 1)), ns.eye(n), ns.cast_numpy(np.eye(n) + rest))]
    (part,) = from_convention(factors, net, iota, CURVLINOPS_SEPARATE, setting).parts
    return not isinstance(part, gk.KroneckerTensor)


def does_not_transform(ns: Any, n: int, times: float) -> bool:
    net, iota = gk.MLP.from_widths([1, n])
    kappa, setting = iota.change({net.inputs: (None, np.ones(1))}), FactorSetting(4, "squared", "mean")
    here, there = (ns.cast_numpy(np.asarray([[1.0 + c, c], [c, 1.0]])) for c in (0.0, 1.0))

    def report(scale: float) -> Any:
        return transforms_as_metric(
            [(here, ns.eye(n))], [(there, ns.eye(n) * scale)], net, iota, kappa, CURVLINOPS, setting
        )

    alike, (scaling,) = report(1.0), layer_scalings(net, setting)
    squares, widths = scaling.places * scaling.outputs * scaling.loss_terms, 2 + n
    rounding = ns.epsilon * 2 * (setting.data * squares + widths)
    floor = alike.condition * max(alike.condition, alike.spread) * rounding
    return str(report(1.0 + times * floor).verdict) == "does not"


def another_covariance(ns: Any, n: int, times: float) -> bool:
    """A checkpoint is of another pass where covectors of the output metric, or outputs, are other ones."""
    net, weights, iota = gk.MLP.from_arrays([ns.eye(n)], [ns.zeros((n,))])
    data = iota.sample(ns.eye(n), ns.eye(n))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "sums.npz", iota)

        def run(covariance: float) -> None:
            loss = gk.Gaussian(ns.eye(n) * covariance).on(iota)
            net.moments(weights, data, loss, checkpoint=checkpoint)

        run(1.0)
        # Covectors are the inverse root of the covariance, and each layer has n inputs and n outputs.
        return raised(ValuesError, lambda: run((1 + times * 16 * 2 * n * ns.epsilon) ** -2))


def miscounted(ns: Any, n: int, times: float) -> bool:
    """The weight of data without weights is their number, to half of the digits."""
    net, weights, iota = gk.MLP.from_arrays([ns.eye(n)], [ns.zeros((n,))])
    data, loss = iota.sample(ns.eye(n), ns.eye(n)), gk.Gaussian().on(iota)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "sums.npz", iota)
        net.moments(weights, data, loss, checkpoint=checkpoint)
        arrays = read_arrays(checkpoint.path)
        arrays["weight"] = arrays["weight"] * ns.cast_numpy(np.asarray(1 + times * ns.epsilon**0.5))
        write_arrays(checkpoint.path, arrays)
        return raised(FileFormatError, lambda: net.moments(weights, data, loss, checkpoint=checkpoint))


def of_module(ns: Any) -> Any:
    """PyTorch, and the dtype of that namespace in it."""
    torch = pytest.importorskip("torch")
    return torch, getattr(torch, ns.name.split()[-1])


def computes_something_else(ns: Any, n: int, times: float) -> bool:
    """A hook that tracing does not see."""
    torch, dtype = of_module(ns)
    module = torch.nn.Sequential(torch.nn.Linear(n, n).to(dtype))
    module.register_forward_hook(lambda module, given, z: z / (1 - times * ns.epsilon**0.25))
    return raised(UnplaceableModuleError, lambda: from_module(module, torch.ones((2, n), dtype=dtype)))


def sees_other_data(ns: Any, n: int, times: float) -> bool:
    """A module whose outputs depend on how many data there are."""
    torch, dtype = of_module(ns)
    module = torch.nn.Sequential(torch.nn.Linear(n, n).to(dtype))
    module.register_forward_hook(lambda module, given, z: z * (1 + times * ns.epsilon**0.25 * (len(z) > 4)))
    X = torch.ones((8, n), dtype=dtype)
    return raised(UnplaceableModuleError, lambda: kfac_of_module(module, X, None, gk.Categorical()))


# -- theorems and laws -------------------------------------------------------------------------------------------
def stands_clear(ns: Any, n: int, times: float) -> bool:
    """Gaps of a limit are relative, and measured in double precision."""
    steps = [2.0**-k for k in range(2, 8)]
    order = Order("a gap", steps, [times * 2.0**-52] * len(steps), 0)
    return measured_orders([[order]])[0].exponent is not None


def differing(n: int, grade: Any, by: float, drawn: bool = True) -> Any:
    """What an N or C check says of an identity whose sides differ by that much, relatively."""

    def identity(world: World) -> Any:
        x = world.array(n) if drawn else world.ns.ones((n,))
        yield same("x", x, x * (1 + by))

    check = Check(grade, "check", identity, (Sizes((n,)),), "floating", condition_power=2)
    return (numeric if grade == "N" else counterexample)(check, (0, "cut-off", n), 2)


def tolerance(n: int, drawn: bool = True) -> float:
    """What rounding explains: an epsilon, for conversions in bases of condition 10 and sums of that length.

    A number whose last digit is changed by an epsilon moves by 4/3 of it at most.
    """
    found, sizes = float(differing(n, "N", 0.0, drawn).details["tolerance"]), Sizes((n,))
    rounding = found / (10**2 * math.sqrt(max(sizes.data * sizes.covectors, n + 1))) * 2.0**52
    assert 1 - 1e-9 <= rounding <= (1.5 if drawn else 1 + 1e-9)
    return found


def is_no_rounding(ns: Any, n: int, times: float) -> bool:
    """In double precision."""
    found = {differing(n, "N", times * tolerance(n, drawn), drawn).holds for drawn in (True, False)}
    assert len(found) == 1
    return not found.pop()


def is_clear(ns: Any, n: int, times: float) -> bool:
    return bool(differing(n, "C", times * FAR * tolerance(n)).holds)


def breaks_a_law(ns: Any, n: int, times: float) -> bool:
    V = gk.VectorSpace("V", n)
    bench = Bench([V], np.random.default_rng(0), ns)
    left, shift = bench.draw(V), V.from_components(bench.first[V], ns.ones((n,)), ns)
    # As many roundings as there are steps, in sums of n terms and 1, in two frames.
    rounding = STEPS * ns.epsilon * (n + 1) * bench.condition
    right = left + shift * (times * rounding * (1 + 2 * bench.size(left)) / math.sqrt(n))
    return raised(LawViolatedError, lambda: bench.same("a law", left, right))


ABOVE_MATRICES: dict[str, CutOff] = {
    "a negative form": CutOff("metrics/tensors/dense.py", negative_form),
    "an asymmetric form": CutOff("metrics/tensors/dense.py", asymmetric_form),
    "an asymmetric covariance": CutOff("metrics/families/gaussian.py", asymmetric_covariance),
    "exponentials": CutOff("metrics/families/overflow.py", overflows, 1.001),
    "counts": CutOff("metrics/families/poisson.py", uncountable),
    "rates": CutOff("metrics/families/poisson_counts.py", undrawable),
    "probabilities": CutOff("metrics/families/categorical.py", improbable, 2),
    "a change of basis": CutOff("spaces/frames/frame.py", changes_basis),
    "an affine combination": CutOff("spaces/element.py", no_combination, 2),
    "a library's factors": CutOff("interop/libraries/forms.py", no_factor),
    "a library's factor of the bias": CutOff("interop/libraries/forms.py", two_products),
    "factors of a twin": CutOff("interop/libraries/transformation.py", does_not_transform),
    "a checkpoint of another pass": CutOff("interop/checkpoint.py", another_covariance),
    "a checkpoint that counts wrong": CutOff("interop/checkpoint.py", miscounted),
    "a module that computes something else": CutOff("interop/pytorch/importing.py", computes_something_else),
    "a module whose data see each other": CutOff("interop/pytorch/hooked_module.py", sees_other_data),
    "gaps of a limit": CutOff("theorems/engine/orders.py", stands_clear),
    "a numeric check": CutOff("theorems/engine/numeric_evidence.py", is_no_rounding),
    "a numeric counterexample": CutOff("theorems/engine/numeric_evidence.py", is_clear),
    "a law of elements": CutOff("testing/comparison.py", breaks_a_law),
}
