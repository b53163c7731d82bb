"""The law of sums: however the data are cut, and whoever sums them, the sums, counts and fields are those of the whole.

Every architecture, kind of Fisher and way of sharing meets every way of cutting the data, over GF(p) and in floating
point.  Beside the law stand faults that it must notice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_args

import pytest

import geomkfac as gk
from geomkfac.metrics.families.by_name import FAMILIES
from geomkfac.metrics.families.output_family import Fisher
from geomkfac.networks import KfacMoments, LayerMoments, Network, worker_processes
from geomkfac.networks.moments.second_moments import Sharing
from geomkfac.networks.moments.totals import Total
from geomkfac.networks.passes.stages import Stage
from geomkfac.networks.running import summing
from geomkfac.networks.running.tasks import LossTask, MomentsTask

from .cut_data import (
    ALL,
    ARCHITECTURES,
    COUNT,
    OF_MOMENTS,
    ORDERED,
    Problem,
    in_chunks,
    is_open,
    merged,
    moments_of,
    of_losses,
    problem,
)
from .same_sums import Whole, same_losses

FISHERS, SHARINGS = get_args(Fisher), get_args(Sharing)
EVERY = tuple(itertools.product(FISHERS, SHARINGS, (False, True)))
USUAL = ("GF(p)", "categorical, float64")
SELDOM = ("categorical, float32", "gaussian, float64", "gaussian, float32")
SLOW = {*SELDOM, "recurrent, after the last step"}
"""What is seldom met, and an architecture that is like another one but for lengths."""


def some_of(index: int) -> tuple[tuple[Any, Any, bool], ...]:
    """Every kind of Fisher once; the architectures share the ways of sharing, and weights, among them."""
    return tuple(
        (fisher, SHARINGS[(index + turn) % len(SHARINGS)], bool((index + turn) % 2))
        for turn, fisher in enumerate(FISHERS)
    )


ALONE = [
    (index, name, arithmetic)
    for arithmetic, (index, name) in itertools.product((*USUAL, *SELDOM), enumerate(ARCHITECTURES))
    if arithmetic != "GF(p)" or name not in ORDERED
]
CASES = [
    pytest.param(
        name, arithmetic, some_of(index + len(arithmetic)), id=f"{name}, {arithmetic}",
        marks=[pytest.mark.slow] * bool({name, arithmetic} & SLOW),
    )
    for index, name, arithmetic in ALONE
] + [
    pytest.param(name, arithmetic, EVERY, id=f"{name}, {arithmetic}, everything", marks=pytest.mark.slow)
    for _, name, arithmetic in ALONE
    if arithmetic in USUAL
]  # fmt: skip


def law_of_moments(given: Problem, fisher: Any, sharing: Any, cuttings: Any = tuple(OF_MOMENTS)) -> None:
    """The law for one kind of Fisher and one way of sharing."""
    run = moments_of(given, fisher, sharing)
    whole = Whole(given, run)
    for cutting in cuttings:
        if is_open(cutting, given, fisher):
            whole.check(OF_MOMENTS[cutting](given, run))


def law_of_losses(given: Problem, cuttings: Any = tuple(ALL)) -> None:
    """The law for losses and their differential."""
    run = of_losses(given)
    whole = run(given.sample())
    for cutting in cuttings:
        if is_open(cutting, given):
            same_losses(given, ALL[cutting](given, run), whole)


def law_of_weights(given: Problem, fisher: Any, sharing: Any) -> None:
    """Sums are linear in the weights of the data, which are ones where none are given; counts do not know of them."""
    run, ones = moments_of(given, fisher, sharing), given.ns.ones((COUNT,))
    shares = given.shares if given.shares is not None else ones
    once, of_ones, more = (run(replace(given, shares=one).sample()) for one in (given.shares, ones, shares + ones))
    if given.shares is None:
        Whole(given, run, once).check(of_ones)
    Whole(given, run, more).check(once + of_ones, counts=False)
    assert [layer.terms for layer in once.layers] == [layer.terms for layer in more.layers]


def law_of_weighted_losses(given: Problem, *_: Any) -> None:
    """So are those behind losses and differentials: the means, times the sum of the weights."""
    ns, ones = given.ns, given.ns.ones((COUNT,))
    shares, found = given.shares if given.shares is not None else ones, []
    for weights in (shares, ones, shares + ones):
        some, part = replace(given, shares=weights), ns.sum(weights) / ns.sum(shares + ones)
        mean = of_losses(some)(some.sample())
        found.append([one * part for one in ([mean] if given.exact else mean)])
    first, second, both = found
    added = [one + other for one, other in zip(first, second, strict=True)]
    same_losses(given, *((parts[0] if given.exact else parts) for parts in (added, both)))


# -- the law -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "arithmetic", "combinations"), CASES)
def test_moments_of_data_that_are_cut_are_those_of_the_whole(name: str, arithmetic: str, combinations: Any) -> None:
    for fisher, sharing, weighted in combinations:
        law_of_moments(problem(name, arithmetic, weighted=weighted), fisher, sharing)


@pytest.mark.parametrize(("name", "arithmetic", "combinations"), CASES)
def test_sums_are_linear_in_the_weights_of_the_data(name: str, arithmetic: str, combinations: Any) -> None:
    for fisher, sharing, weighted in combinations:
        law_of_weights(problem(name, arithmetic, weighted=weighted), fisher, sharing)


@pytest.mark.parametrize(("name", "arithmetic", "combinations"), CASES)
def test_losses_are_linear_in_the_weights_of_the_data(name: str, arithmetic: str, combinations: Any) -> None:
    for weighted in sorted({one[-1] for one in combinations}):
        law_of_weighted_losses(problem(name, arithmetic, weighted=weighted))


@pytest.mark.parametrize("weighted", [False, True], ids=["of weight one", "weighted"])
@pytest.mark.parametrize(("name", "arithmetic"), [
    pytest.param(name, arithmetic, marks=[pytest.mark.slow] * bool({name, arithmetic} & SLOW))
    for _, name, arithmetic in ALONE
])
def test_losses_and_differentials_of_data_that_are_cut_are_those_of_the_whole(
    name: str, arithmetic: str, weighted: bool
) -> None:
    law_of_losses(problem(name, arithmetic, weighted=weighted))


@pytest.mark.parametrize("fisher", ["exact", "sampled"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_by_the_datum_and_the_place(family: str, fisher: Any) -> None:
    """Without targets, which neither kind of Fisher reads; on two outputs at every step."""
    for name in ("recurrent, at every step", "fully connected"):
        given = problem(name, "categorical, float64", weighted=True)
        given = replace(given, loss=FAMILIES[family]().on(given.iota))
        net, weights = given.net, given.weights

        def run(sample: Any, net: Any = net, weights: Any = weights, loss: Any = given.loss, **running: Any) -> Any:
            return net.moments(weights, sample, loss, fisher=fisher, samples=3, **running)

        whole = Whole(given, run)
        for cut in (in_chunks(1), in_chunks(4), merged(4, 2)):
            whole.check(cut(given, run))


@pytest.mark.parametrize("fisher", FISHERS)
@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - ORDERED))
def test_the_whole_fisher_metric_of_batches_is_that_of_all_data(name: str, fisher: Any) -> None:
    """Not its approximation, which the moments are."""
    given = problem(name, "GF(p)", weighted=True)
    if given.lengths is not None:
        given = replace(given, lengths=None)

    def metric(sample: Any) -> Any:
        return given.net.fisher_metric(given.weights, sample, given.loss, fisher=fisher, samples=2, seed=3)

    assert metric(given.batches((1, 3, 2))) == metric(given.sample())


@pytest.mark.slow
@pytest.mark.parametrize("fisher", FISHERS)
def test_processes_sum_what_the_whole_is(fisher: Any) -> None:
    with worker_processes(2)() as executor:
        for name, weighted in itertools.product(ARCHITECTURES, (False, True)):
            given = problem(name, "categorical, float64", weighted=weighted)
            for sharing in SHARINGS:
                run = moments_of(given, fisher, sharing)
                Whole(given, run).check(run(given.sample(), chunk_size=2, executor=executor))
            run = of_losses(given)
            same_losses(given, run(given.sample(), chunk_size=2, executor=executor), run(given.sample()))


# -- nothing is left out -----------------------------------------------------------------------------------------
def final_classes(base: type) -> set[str]:
    """The names of the package's classes below one, without those that have classes below them."""
    below = [one for one in base.__subclasses__() if one.__module__.startswith("geomkfac.")]
    return set[str]().union(*map(final_classes, below)) if below else {base.__name__}


def test_every_network_and_every_stage_has_an_architecture_here() -> None:
    made = [problem(name, "categorical, float64", weighted=False).net for name in ARCHITECTURES]
    parts = [part for net in made for part in (net, *getattr(net, "stages", ()))]
    missing = (final_classes(Network) | final_classes(Stage)) - {type(part).__name__ for part in parts}
    assert not missing, f"give {sorted(missing)} a place in ARCHITECTURES"
    assert {net.at for net in made if isinstance(net, gk.RecurrentNetwork)} == {"every", "last"}
    assert {net.output_places == () for net in made} == {True, False}


# -- faults that the law must notice -----------------------------------------------------------------------------
def refuted(law: Callable[..., None], *arguments: Any) -> bool:
    """Whether the law fails."""
    try:
        law(*arguments)
    except AssertionError:
        return True
    return False


def draws_from(monkeypatch: pytest.MonkeyPatch, given: Problem, number: Callable[[int], int]) -> None:
    """The draws of what is sampled begin at another row of the source."""
    kind = type(given.loss)
    sound = kind.sampled
    monkeypatch.setattr(
        kind, "sampled",
        lambda self, outputs, draws, first, samples: sound(self, outputs, draws, number(first), samples),
    )  # fmt: skip


@pytest.mark.parametrize("arithmetic", USUAL)
@pytest.mark.parametrize("name", ["outputs at places", "recurrent, at every step", "sequences with lengths"])
def test_draws_at_places_that_depend_on_the_chunk_are_noticed(
    name: str, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = problem(name, arithmetic, weighted=False)
    places = math.prod(given.net.output_places)
    assert places > 1
    # Rows are counted by data, where they belong to places; or from the beginning of each chunk.
    for number in (lambda first: first // places, lambda first: 0):
        with monkeypatch.context() as fault:
            draws_from(fault, given, number)
            assert refuted(law_of_moments, given, "sampled", "expand", ("chunks of 4",))
    law_of_moments(given, "sampled", "expand", ("chunks of 4",))


def test_a_merge_that_forgets_a_field_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any field, but for those that are the same for all data."""
    given = problem("sequences with lengths", "categorical, float64", weighted=True)
    run = moments_of(given, "exact", "expand")
    part = run(given.sample(0, 2))
    both = part + run(given.sample(2, COUNT))
    examples = {KfacMoments: (part, both, "__add__"), LayerMoments: (part.layers[0], both.layers[0], "merged")}
    noticed = set()
    for kind, (left, whole, method) in examples.items():
        sound = getattr(kind, method)
        for name in (field.name for field in fields(kind)):

            def forgetful(self: Any, *others: Any, sound: Any = sound, name: str = name) -> Any:
                return replace(sound(self, *others), **{name: getattr(self, name)})

            with monkeypatch.context() as fault:
                fault.setattr(kind, method, forgetful)
                found = refuted(law_of_moments, given, "exact", "expand", ("two parts merged",))
            assert found is (getattr(left, name) is not getattr(whole, name)), name
            noticed |= {name} if found else set()
    assert noticed >= {"layers", "weight", "loss", "activations", "covectors", "terms", "places"}


def test_sums_of_workers_and_of_files_that_forget_counts_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem("fully connected", "GF(p)", weighted=False)
    absorb, resume = Total.absorb, MomentsTask.resume

    def forgets_terms(self: Total, other: Total) -> None:
        absorb(self, Total(other.value))

    def resumes_without_terms(self: MomentsTask, sums: Any, moments: Any) -> None:
        resume(self, sums, moments)
        for total in sums.more:
            total.terms = 0

    for kind, method, faulty, cutting in (
        (Total, "absorb", forgets_terms, "threads"),
        (MomentsTask, "resume", resumes_without_terms, "resumed"),
    ):
        with monkeypatch.context() as fault:
            fault.setattr(kind, method, faulty)
            assert refuted(law_of_moments, given, "exact", "expand", (cutting,)), method


def without_weights(sound: Any) -> Any:
    """The sums of a chunk whose data have no weights of their own."""

    def add(self: Any, sums: Any, chunk: Any, run: Any, weights: Any) -> None:
        sound(self, sums, replace(chunk, weights=None), run, weights)

    return add


def with_ones(sound: Any) -> Any:
    """The sums of a chunk, where the total weight alone knows of weights."""

    def add(self: Any, sums: Any, chunk: Any, run: Any, weights: Any) -> None:
        sound(self, sums, chunk, run, weights / weights)

    return add


@pytest.mark.parametrize("name", ["fully connected", "sequences with lengths"])
def test_weights_that_are_left_out_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(name, "GF(p)", weighted=True)
    for fisher, (kind, law), faulty in itertools.product(
        FISHERS, ((MomentsTask, law_of_weights), (LossTask, law_of_weighted_losses)), (without_weights, with_ones)
    ):
        if kind is LossTask and faulty is without_weights:
            continue  # it reads none of the chunk's
        with monkeypatch.context() as fault:
            fault.setattr(kind, "add", faulty(kind.add))
            assert refuted(law, given, fisher, "expand"), (kind, faulty)
    with monkeypatch.context() as fault:
        fault.setattr(summing, "chunk_weights", lambda chunk, ns: ns.ones((chunk.count,)))
        assert refuted(law_of_weights, given, "exact", "expand")
