"""The libraries that are installed here: they compute what was recorded, and are used as documented."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.interop import BACKPACK, CURVLINOPS, FactorSetting, to_convention

from ...data import record_libraries as recorder
from .recorded import ARRAYS, KEYS, factors_of, kfac_metric, model, rounding, terms

# Warnings of the libraries are theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

DOCUMENT = Path(__file__).parents[3] / "docs" / "libraries.md"


def import_kfac_jax():
    jax = pytest.importorskip("jax")
    if not isinstance(jax.lax.add_p.get_bind_params({}), tuple):
        pytest.skip(f"kfac-jax 0.0.8 does not run with jax {jax.__version__}")
    pytest.importorskip("kfac_jax")


def computed(key):
    """The factors of a key, computed now; skips where the library is missing."""
    name, frame, library, loss, reduction, *fisher = key.split(".")
    written, _ = recorder.written_in(model(name), frame)
    if library == "kfac-jax":
        import_kfac_jax()
        return recorder.of_kfac_jax(written, loss)[0]
    pytest.importorskip("torch")
    if library == "nngeometry":
        pytest.importorskip("nngeometry")
        return recorder.of_nngeometry(written, loss)
    if library == "backpack":
        pytest.importorskip("backpack")
        return recorder.of_backpack(written, loss, reduction)
    pytest.importorskip("curvlinops")
    return recorder.of_curvlinops(
        written, loss, reduction, separate_weight_and_bias=library == "curvlinops-separate",
        fisher_type="empirical" if fisher else "type-2",
    )  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_library_computes_what_was_recorded_of_it(key):
    for layer, (now, then) in enumerate(zip(computed(key), factors_of(key), strict=True), start=1):
        for part, array in zip((then.activations, then.gradients, then.bias), now, strict=False):
            # The same sums on another machine.
            assert np.abs(array - part).max() <= rounding(key) * np.abs(part).max(), layer


@pytest.mark.parametrize("name", ["mlp", "convolution", "map"])
def test_reduce_of_curvlinops_is_sharing_by_sums(name):
    pytest.importorskip("torch")
    pytest.importorskip("curvlinops")
    one = model(name)
    written, _ = recorder.written_in(one, "iota")
    options = {"separate_weight_and_bias": False, "kfac_approx": "reduce"}
    theirs = recorder.of_curvlinops(written, "cross-entropy", "mean", **options)
    setting = FactorSetting(recorder.N)
    g = kfac_metric(name, "cross-entropy", sharing="reduce")
    tolerance = 2 * terms(one.net, setting) * np.finfo(float).eps
    for mine, other in zip(to_convention(g, one.net, one.iota, CURVLINOPS, setting), theirs, strict=True):
        assert np.abs(mine.activations - other[0]).max() <= tolerance * np.abs(other[0]).max()
        # It passes the losses of all places back at once, whose sum over places mixes them.
        difference = np.abs(mine.gradients - other[1]).max() / np.abs(other[1]).max()
        assert difference <= tolerance if name != "map" else difference > 0.1


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("library", ["curvlinops", "backpack"])
def test_sampled_factors_have_the_scale_of_exact_ones(library, reduction):
    """One layer with a squared loss: G is a multiple c of the identity, and sampled a mean of squares of noise."""
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    samples, m = 400, 2
    layer = torch.nn.Linear(3, m, dtype=torch.float64)
    X, Y = torch.randn(recorder.N, 3, dtype=torch.float64), torch.zeros(recorder.N, m, dtype=torch.float64)
    loss = torch.nn.MSELoss(reduction=reduction)
    if library == "curvlinops":
        from curvlinops import KFACLinearOperator

        operator = KFACLinearOperator(
            layer, loss, list(layer.parameters()), [(X, Y)], fisher_type="mc", mc_samples=samples,
            check_deterministic=False,
        )  # fmt: skip
        operator.compute_kronecker_factors()
        (G,) = operator.state_dict()["gradient_covariances"].values()
    else:
        from backpack import backpack, extend, extensions

        extend(layer), extend(loss)
        torch.manual_seed(0)
        with backpack(extensions.KFAC(mc_samples=samples)):
            loss(layer(X), Y).backward()
        G = layer.bias.kfac[0]
    net, _, iota = gk.MLP.from_arrays([layer.weight.detach().numpy()], [layer.bias.detach().numpy()])
    g = net.kfac_metric(
        net.weights_from_arrays([layer.weight.detach().numpy()], [layer.bias.detach().numpy()], iota),
        iota.sample(X.numpy()), gk.Gaussian().on(iota),
    )  # fmt: skip
    convention = CURVLINOPS if library == "curvlinops" else BACKPACK
    (exact,) = to_convention(g, net, iota, convention, FactorSetting(recorder.N, "squared", reduction, "sampled"))
    c = exact.gradients[0, 0]
    # A mean of k products of two Gaussians of variance c has variance 2 c^2 / k at most; six standard deviations.
    deviation = c * np.sqrt(2 / (samples * recorder.N))
    difference = np.abs(G.numpy() - c * np.eye(m)).max()
    assert difference <= 6 * deviation
    assert np.abs(G.numpy() - 2 * c * np.eye(m)).max() > 6 * deviation


def blocks():
    """The blocks of docs/libraries.md that need a library, named in the comment above each: <!-- needs: x y -->."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"<!-- needs: ([\w ]+) -->\n+```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_block_of_the_document_that_needs_a_library_says_so():
    assert len(blocks()) == DOCUMENT.read_text(encoding="utf-8").count("```py\n") > 0


def test_the_blocks_of_the_document_that_need_libraries_run():
    namespace = {"__name__": "__main__"}
    for needed, code in blocks():
        for name in needed.split():
            pytest.importorskip(name)
        exec(compile(code, str(DOCUMENT), "exec", dont_inherit=True), namespace)


def test_the_versions_recorded_are_the_documents():
    text = DOCUMENT.read_text(encoding="utf-8")
    for package in ("curvlinops-for-pytorch", "nngeometry", "backpack-for-pytorch", "kfac-jax"):
        assert f"{package} {ARRAYS[f'version.{package}']}" in text.replace("\n", " ")
