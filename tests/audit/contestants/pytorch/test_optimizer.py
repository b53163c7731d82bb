"""PyTorch optimizers with demands: each is handled, and the report says how, or refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from geomkfac.audit import ARCHITECTURES, Twin, UnauditableError, audit, random_problem
from geomkfac.audit.contestants.contestant import flat
from geomkfac.audit.twins.storage import PLAIN, STORAGES
from geomkfac.errors import DeviceError, UnknownNameError

torch = pytest.importorskip("torch")

from geomkfac.audit.contestants.pytorch.optimizer import TorchContestant  # noqa: E402
from geomkfac.audit.contestants.pytorch.twin_loss import TwinLoss  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import planted  # noqa: E402

sys.path.pop(0)

EPSILON = np.finfo(float).eps
ISOMETRIES = ("input orthogonal", "activation permutation", "pre-activation orthogonal", "output sign")
SEEN = "activation scalar"
"""A group that gradient descent sees."""


@pytest.fixture(scope="module")
def twin():
    problem = random_problem(seed=3)
    return Twin(problem, problem.iota)


def ran(optimizer, twin, steps=3, rate=0.1, storage=PLAIN):
    laid = Twin(twin.problem, twin.kappa, storage=storage)
    return flat(TorchContestant(optimizer, rate).run(laid, laid.start, rate=rate, steps=steps)[-1])


def by_hand(twin, steps=3, rate=0.1, direction=lambda twin, arrays: twin.loss_and_derivatives(arrays)[1]):
    arrays = twin.start
    for _ in range(steps):
        found = direction(twin, arrays)
        arrays = [(W - rate * dW, b - rate * db) for (W, b), (dW, db) in zip(arrays, found, strict=True)]
    return flat(arrays)


def close(one, other, factor=100):
    """Up to round-off of a few products of order one."""
    return np.abs(one - other).max() <= factor * EPSILON * np.abs(other).max()


# -- steps -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("optimizer", "how"),
    [
        (torch.optim.SGD, ""),
        (planted.NeedsClosure, ""),
        (planted.BreaksOnClosure, ""),
        (planted.NeverCallsItsClosure, ""),
        (planted.NeedsNames, "with names"),
        (planted.NeedsFlags, "in two groups, with use_muon where it is a matrix"),
        (planted.NeedsProcessGroup, "in a process group of one"),
        (planted.Around, "around torch.optim.SGD"),
        (planted.Talks, ""),
        (planted.ModelAndCount, "given a module that holds the parameters; with num_iterations=100"),
        (planted.StateInFloat32, "what it does in float32 is done in float64"),
        (planted.InBfloat16, "what it does in bfloat16 is done in float64"),
        (planted.InHooks, "given a module that holds the parameters; through fused_backward; "
                          "what it does in float32 is done in float64"),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)  # fmt: skip
def test_a_demand_is_met_and_told(optimizer, how, twin, capsys):
    contestant = TorchContestant(optimizer, 0.1)
    assert contestant.how == how
    if optimizer is not planted.StateInFloat32:
        # All of these are gradient descent, and nothing is rounded or left out on the way.
        assert close(ran(optimizer, twin), by_hand(twin))
    assert not close(ran(planted.SharpnessInOne, twin), by_hand(twin))
    assert capsys.readouterr().out == ""


def test_matrices_alone_leave_biases_where_they_are(twin):
    contestant = TorchContestant(planted.MatricesAlone)
    assert contestant.how == "on weight matrices alone, as it takes no others; biases stay"
    (after,) = contestant.run(twin, twin.start, rate=0.1, steps=1)
    assert all(np.array_equal(b, c) for (_, b), (_, c) in zip(after, twin.start, strict=True))
    assert not any(np.array_equal(W, V) for (W, _), (V, _) in zip(after, twin.start, strict=True))
    reasons = {storage.name: contestant.unfit(storage) for storage in STORAGES}
    assert "puts biases" in reasons.pop("joint bias")
    assert "there are none" in reasons.pop("one flat vector")
    assert set(reasons.values()) == {""}
    with pytest.raises(UnauditableError, match="MatricesAlone cannot take a step here: it takes matrices alone"):
        contestant.run(Twin(twin.problem, twin.kappa, storage=STORAGES[3]), twin.start, rate=0.1, steps=1)


@pytest.mark.parametrize("optimizer", [planted.SharpnessInOne, planted.TwoStepsAlone])
def test_a_step_up_comes_before_the_step_down(optimizer, twin):
    def at_the_top(twin, arrays):
        (_, up) = twin.loss_and_derivatives(arrays)
        higher = [(W + 0.05 * dW, b + 0.05 * db) for (W, b), (dW, db) in zip(arrays, up, strict=True)]
        return twin.loss_and_derivatives(higher)[1]

    assert "around torch.optim.SGD" in TorchContestant(optimizer).how
    assert close(ran(optimizer, twin), by_hand(twin, direction=at_the_top))
    assert not close(ran(optimizer, twin), by_hand(twin))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (planted.SparseAlone, "SparseAlone cannot take a step: dense gradients are not supported"),
        (planted.StubbornlyNarrow, "StubbornlyNarrow computes in float32 inside"),
        (planted.Lost, "Lost diverges: on a small network, in 10 steps, at every rate from 0.1 down to"),
        (planted.Chaotic, r"Chaotic multiplies round-off by .*: on a small network"),
        (planted.Third, "Third cannot take a step"),
        (torch.optim.SparseAdam, "SparseAdam does not support dense gradients"),
        (lambda params, momentum, lr=0.1: torch.optim.SGD(params, lr, momentum), "asks for 'momentum' besides"),
        (lambda params, lr=0.1: object(), "has no step"),
        (lambda params, lr=0.1: torch.optim.SGD(params, lr, fused="no", foreach=True), "cannot be made"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(optimizer, message):
    with pytest.raises(UnauditableError, match=message):
        TorchContestant(optimizer)


def test_what_does_not_move_or_does_not_repeat_is_refused_by_name():
    with pytest.raises(UnauditableError, match="Stays does not move"):
        audit(planted.Stays, groups=[SEEN])
    with pytest.raises(UnauditableError, match="Remembers is not deterministic"):
        audit(planted.Remembers, groups=[SEEN])


# -- numbers -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("optimizer", [planted.InBfloat16, planted.StateInFloat32])
def test_narrow_arithmetic_is_no_broken_invariance(optimizer):
    report = audit(optimizer, groups=[*ISOMETRIES, SEEN])
    assert {report.verdict(group) for group in ISOMETRIES} == {"invariant"}
    assert report.verdict(SEEN) == "broken"
    # Left as it is, its round-off is far beyond that of double precision.
    problem = random_problem()
    here = Twin(problem, problem.iota)
    contestant = TorchContestant(optimizer, 0.1)
    wide = contestant.run(here, here.start, rate=0.1, steps=2)[-1]
    contestant._setting = contestant._setting.__class__()
    narrow = contestant.run(here, here.start, rate=0.1, steps=2)[-1]
    assert np.abs(flat(wide) - flat(narrow)).max() > 1e4 * EPSILON


def test_random_numbers_are_the_same_in_every_run_and_told(twin):
    state = torch.get_rng_state()
    contestant = TorchContestant(planted.Draws, 0.1)
    runs = [flat(contestant.run(twin, twin.start, rate=0.1, steps=3)[-1]) for _ in range(2)]
    assert np.array_equal(*runs)
    assert "draws random numbers" in contestant.how
    assert contestant.draws
    assert not TorchContestant(torch.optim.SGD).draws
    contestant.seed = 1
    assert not np.array_equal(runs[0], flat(contestant.run(twin, twin.start, rate=0.1, steps=3)[-1]))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_default_dtype() == torch.float32


def test_a_default_rate_that_diverges_is_lowered_and_one_asked_for_is_not():
    contestant = TorchContestant(planted.TooFast)
    assert contestant.rate < 1e5
    assert f"at a rate of {contestant.rate:g}, as it diverges at its default of 100000" in contestant.how
    assert audit(planted.TooFast, groups=[ISOMETRIES[1]]).rate == contestant.rate
    assert TorchContestant(planted.TooFast, 1e5).rate == 1e5
    assert TorchContestant(planted.Planted).rate == 0.1


def test_steps_that_only_collect_are_left_out(twin):
    contestant = TorchContestant(planted.Idles)
    assert "its first 2 steps do not move" in contestant.how
    assert close(ran(planted.Idles, twin), by_hand(twin))


def test_weights_are_read_where_they_are_evaluated(twin):
    contestant = TorchContestant(planted.Averaging)
    assert "weights are those of its eval mode" in contestant.how
    (mean,) = contestant.run(twin, twin.start, rate=0.1, steps=1)
    # Half way between the start and the trained weights.
    assert close(flat(mean), (flat(twin.start) + by_hand(twin, 1)) / 2)


def test_weights_changed_in_the_making_are_told(twin):
    assert "making it changes the weights" in TorchContestant(planted.MovesWhenMade).how
    report = audit(planted.MovesWhenMade, groups=["pre-activation sign", SEEN])
    assert [finding.verdict for finding in report.findings] == ["invariant", "broken"]


def test_no_rate_is_told():
    contestant = TorchContestant(planted.WithoutRate)
    assert contestant.rate is None
    assert "it has no learning rate" in contestant.how
    assert audit(planted.WithoutRate, groups=[SEEN]).verdict(SEEN) == "broken"


@pytest.mark.parametrize("optimizer", [planted.OtherRate, planted.HiddenRate])
def test_a_second_rate_is_no_first_order(optimizer):
    """With biases that keep their rate, the share of the weights' step in the gap would fall with theirs."""
    report = audit(optimizer, groups=["activation diagonal", "input diagonal"])
    assert {finding.verdict for finding in report.findings} == {"broken"}
    assert ("not proportional" in report.how) == (optimizer is planted.HiddenRate)


# -- derivatives of derivatives ----------------------------------------------------------------------------
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_second_derivatives_are_those_of_the_loss(architecture):
    problem = random_problem(architecture)
    rng = np.random.default_rng(0)
    kappa = problem.iota.random(rng)
    twin, louder = Twin(problem, kappa), Twin(problem, kappa, loss_scale=3.0)
    loss = TwinLoss(torch, louder)
    parameters = [torch.nn.Parameter(torch.from_numpy(part)) for part in PLAIN.parameters(twin.start)]
    first = torch.autograd.grad(loss(parameters), parameters, create_graph=True)
    _, expected = twin.loss_and_derivatives(twin.start)
    assert all(
        np.array_equal(3.0 * part, one.detach().numpy())
        for part, one in zip(PLAIN.parameters(expected), first, strict=True)
    )
    vectors = [torch.from_numpy(rng.standard_normal(tuple(one.shape))) for one in parameters]
    products = torch.autograd.grad(first, parameters, vectors)
    found = np.concatenate([one.numpy().ravel() for one in products])
    # Central differences err by h^2 times third derivatives, and by epsilon / h.
    h = EPSILON ** (1 / 3)
    moved = [
        flat(
            twin.loss_and_derivatives(
                [(W + s * h * U.numpy(), b + s * h * v.numpy())
                 for (W, b), U, v in zip(twin.start, vectors[::2], vectors[1::2], strict=True)]
            )[1]
        )
        for s in (1, -1)
    ]  # fmt: skip
    differences = 3.0 * (moved[0] - moved[1]) / (2 * h)
    size = np.abs(differences).max()
    # The Gauss-Newton part and the other one, third derivatives a hundred times as large as second ones.
    assert np.abs(found - differences).max() <= 100 * h**2 * size
    assert np.abs(found / 3.0 - differences).max() > 100 * h**2 * size


@pytest.mark.parametrize("optimizer", [planted.Curvature, planted.CurvatureIfThere])
def test_an_optimizer_that_differentiates_derivatives_gets_them_exactly(optimizer, twin):
    contestant = TorchContestant(optimizer, 0.1)
    assert contestant.how == "with exact second derivatives"
    h = EPSILON ** (1 / 3)

    def along_ones(twin, arrays):
        ends = [twin.loss_and_derivatives([(W + s * h, b + s * h) for W, b in arrays])[1] for s in (1, -1)]
        return [((U - V) / (2 * h), (u - v) / (2 * h)) for (U, u), (V, v) in zip(*ends, strict=True)]

    found, expected = ran(optimizer, twin, 1), by_hand(twin, 1, direction=along_ones)
    assert np.abs(found - expected).max() <= 100 * h**2 * np.abs(expected).max()
    assert "cannot take this layout" in contestant.unfit(STORAGES[-1])
    assert contestant.unfit(STORAGES[0]) == ""


# -- devices ---------------------------------------------------------------------------------------------
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="'cpu', 'cuda'"):
        TorchContestant(torch.optim.SGD, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="torch finds no device 'cuda' here"):
            TorchContestant(torch.optim.SGD, device="cuda")


def test_what_runs_on_the_host_alone_says_so():
    from geomkfac.audit import on_module

    with pytest.raises(UnauditableError, match="on the CPU alone"):
        audit(on_module(lambda seen: {}, "planted"), device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.Muon, planted.Draws])
def test_optimizers_have_the_same_profiles_on_a_gpu(optimizer):
    there, here = audit(optimizer, device="cuda"), audit(optimizer)
    assert there.how.startswith("on cuda")
    assert [(one.group, one.verdict) for one in there.findings] == [(one.group, one.verdict) for one in here.findings]
