"""What `kfac_of_module` refuses: by the name of the part, with the reason and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import geomkfac as gk
from geomkfac.errors import KindError, ShapeError, UnknownNameError, ValuesError
from geomkfac.interop import UnplaceableModuleError, kfac_of_module

from .drawn import filled, inputs, nn, torch
from .refused import Own, hooked, mixed, tied, trained, twice

F = nn.functional
ROWS = (3, 2)


def in_place(m: Any, x: Any) -> Any:
    h = torch.tanh(m.a(x))
    out = m.b(h)
    h.mul_(2)
    return out + h


def normalised(m: Any, x: Any) -> Any:
    return m.a(x - x.mean(dim=0))


def weight_norm() -> Any:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))


HOOKED: dict[str, tuple[Callable[[], Any], dict[str, Any], str, str]] = {
    # name: (module, options, the part that is named, the reason)
    "applied twice": (
        lambda: Own(twice, first=nn.Linear(2, 2)),
        {}, "'first' (Linear)", "it is applied twice in one pass",
    ),
    "not called": (
        lambda: Own(lambda m, x: m.a(x), a=nn.Linear(2, 2), b=nn.Linear(2, 2)), {}, "'b' (Linear)", "does not call it"
    ),
    "without effect": (
        lambda: Own(lambda m, x: m.a(x) + 0 * m.b(x).detach(), a=nn.Linear(2, 2), b=nn.Linear(2, 2)),
        {}, "'b' (Linear)", "the outputs do not depend on it",
    ),
    "shared parameters": (tied, {}, "'0' (Linear)", "'2.weight' and '0.weight' are one parameter"),
    "shared, named second": (tied, {"layers": ["0"]}, "'0' (Linear)", "are one parameter"),
    "BatchNorm": (lambda: trained(nn.BatchNorm1d(2)), {}, "'1' (BatchNorm1d)", "it mixes the data of a batch"),
    "Dropout": (lambda: trained(nn.Dropout(0.5)), {}, "'1' (Dropout)", "it drops activations at random"),
    "statistics of the batch": (
        lambda: Own(normalised, a=nn.Linear(2, 2)), {}, "the module (Own)", "data see each other, or numbers are drawn"
    ),
    "dropout as a function": (
        lambda: Own(lambda m, x: F.dropout(m.a(x), 0.5, True), a=nn.Linear(2, 2)),
        {}, "the module (Own)", "numbers are drawn",
    ),
    "in place": (
        lambda: Own(in_place, a=nn.Linear(2, 2), b=nn.Linear(2, 2)),
        {}, "'b' (Linear)", "is changed in place",
    ),
    "computed weight": (weight_norm, {"layers": ["0"]}, "'0' (ParametrizedLinear)", "exactly Linear, Conv1d"),
    "another type": (lambda: trained(nn.LayerNorm(2)), {"layers": ["1"]}, "'1' (LayerNorm)", "exactly Linear, Conv1d"),
    "no layers": (lambda: nn.Sequential(nn.Tanh()), {}, "the module (Sequential)", "it has no Linear"),
    "half": (lambda: nn.Sequential(nn.Linear(2, 2)).bfloat16(), {}, "'0' (Linear)", "its weight is torch.bfloat16"),
    "two dtypes": (mixed, {}, "'1' (Linear)", "its weight is torch.float64"),
    "a pair": (lambda: Own(lambda m, x: (m.a(x), x), a=nn.Linear(2, 2)), {}, "the module (Own)", "came: tuple"),
    "a number": (lambda: Own(lambda m, x: m.a(x).sum(), a=nn.Linear(2, 2)), {}, "the module (Own)", "came: ()"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOOKED)
def test_what_has_no_metric_by_hooks_is_refused_with_its_name_and_the_reason(case: str) -> None:
    make, options, name, reason = HOOKED[case]
    torch.manual_seed(0)  # one dropout in 64 drops the same numbers twice
    module = make()
    with pytest.raises(UnplaceableModuleError) as caught:
        kfac_of_module(module, inputs((6, 2), 1, torch.float32), None, gk.Gaussian(), **options)
    first, *advice = str(caught.value).split("\n")
    assert name in first
    assert reason in first
    assert advice
    assert not any(part._forward_hooks for part in module.modules())


@pytest.mark.parametrize(
    "X", [inputs((6, 3), 1, torch.float32), inputs((6, 2), 1, torch.float64)], ids=["shape", "dtype"]
)
def test_data_that_the_module_does_not_take(X: Any) -> None:
    with pytest.raises(UnplaceableModuleError, match="it does not take the data, of shape"):
        kfac_of_module(nn.Sequential(nn.Linear(2, 2)), X, None, gk.Gaussian())


def test_a_single_datum_shows_random_numbers_too() -> None:
    module = Own(lambda m, x: F.dropout(m.a(x), 0.5, True), a=nn.Linear(2, 50))
    with pytest.raises(UnplaceableModuleError, match="numbers are drawn at random"):
        kfac_of_module(module, inputs((1, 2), 1, torch.float32), None, gk.Gaussian())


def test_a_hook_of_the_user_s_comes_after_what_the_layer_gave() -> None:
    X = inputs((6, 2), 1, torch.float64)
    module = filled(hooked(), 1, torch.float64)
    plain = filled(nn.Sequential(nn.Linear(2, 2), Own(lambda m, x: 2 * x), nn.Tanh()), 1, torch.float64)
    mine, theirs = (kfac_of_module(m, X, None, gk.Gaussian()).factors()["0"] for m in (module, plain))
    assert torch.equal(mine[0], theirs[0])
    assert torch.equal(mine[1], theirs[1])


def test_wrong_words_numbers_and_names() -> None:
    module, X = nn.Sequential(nn.Linear(2, 2)), inputs(ROWS, 1, torch.float32)
    with pytest.raises(UnknownNameError, match="fisher must be one of 'exact', 'sampled', 'empirical', not 'mc'"):
        kfac_of_module(module, X, None, gk.Gaussian(), fisher="mc")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"sharing must be one of .*, not 'sum'"):
        kfac_of_module(module, X, None, gk.Gaussian(), sharing="sum")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no layer 'head'; it has 0"):
        kfac_of_module(module, X, None, gk.Gaussian(), layers=["head"])
    with pytest.raises(ValuesError, match="the chunk size must be a positive int, not 0"):
        kfac_of_module(module, X, None, gk.Gaussian(), chunk_size=0)
    with pytest.raises(KindError, match="a family without a frame"):
        kfac_of_module(module, X, None, "categorical")  # type: ignore[arg-type]
    with pytest.raises(KindError, match="a tensor of data"):
        kfac_of_module(module, X.numpy(), None, gk.Gaussian())
    with pytest.raises(ValuesError, match="not finite"):
        kfac_of_module(module, X * float("nan"), None, gk.Gaussian())
    with pytest.raises(UnknownNameError, match=r"no gradient for 0\.weight, 0\.bias"):
        kfac_of_module(module, X, None, gk.Gaussian()).covector({"0.weight": None})
    with pytest.raises(ShapeError, match=r"'0\.weight' has shape \(2, 2\), not \(3, 2\)"):
        kfac_of_module(module, X, None, gk.Gaussian()).covector({"0.weight": torch.ones(3, 2), "0.bias": torch.ones(2)})
