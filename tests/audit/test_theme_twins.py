"""Groups, doubles and layouts: a double computes the same function, and the order between groups is what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import floating
from geomkfac.audit import ARCHITECTURES, GROUPS, ChangeOfBasis, OfUnits, Twin, random_problem, subgroups
from geomkfac.audit.twins.groups import PLACES, SPREAD
from geomkfac.audit.twins.storage import PLAIN, STORAGES
from geomkfac.display.audit.order import Order
from geomkfac.errors import ValuesError
from geomkfac.theorems.instances.basis_groups import GROUPS as OF_ONE_SPACE
from geomkfac.theorems.instances.basis_groups import larger_groups

EPSILON = float(np.finfo(float).eps)
BASES = [group for group in GROUPS if isinstance(group, ChangeOfBasis | OfUnits)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("group", BASES, ids=lambda group: group.name)
def test_a_double_computes_the_same_function_from_its_own_arrays(group, architecture):
    activation = getattr(group, "activation", None) or "tanh"
    problem = random_problem(architecture, activation=activation, data=10)
    double = group.double(problem, np.random.default_rng(1))
    here, there = Twin(problem, problem.iota), Twin(problem, double.parameterization)
    # Changed bases make other arrays, of weights or of inputs: the comparison is not of a thing with itself.
    same = np.array_equal(here.inputs, there.inputs) and all(
        np.array_equal(x, y)
        for one, other in zip(here.start, there.start, strict=True)
        for x, y in zip(one, other, strict=True)
    )
    assert not same
    # Sums of at most 33 products, layer after layer, in bases of the condition number that the double states.
    allowed = 4 * 33 * double.condition**2 * EPSILON
    assert np.abs(there.predictions(there.start) - here.predictions(here.start)).max() <= allowed
    losses = [twin.loss_and_derivatives(twin.start)[0] for twin in (here, there)]
    assert abs(losses[0] - losses[1]) <= allowed * losses[0]
    # A double with a fault, the bias of one layer, computes another function.
    broken = [(W, b + (index == 0)) for index, (W, b) in enumerate(there.start)]
    assert np.abs(there.predictions(broken) - here.predictions(here.start)).max() > 1e6 * allowed


def test_derivatives_of_a_double_are_the_pulled_back_ones():
    problem = random_problem(data=10)
    kappa = problem.iota.random(np.random.default_rng(2))
    here, there = Twin(problem, problem.iota), Twin(problem, kappa)
    network = problem.network
    v = network.random_weights(np.random.default_rng(3), problem.iota) - problem.weights
    paired = [
        sum(
            float((p * q).sum())
            for pair in zip(twin.loss_and_derivatives(twin.start)[1], network.to_arrays(v, frame), strict=True)
            for p, q in zip(*pair, strict=True)
        )
        for twin, frame in ((here, problem.iota), (there, kappa))
    ]
    assert paired[0] == pytest.approx(paired[1], rel=1e-9)


@pytest.mark.parametrize("storage", [PLAIN, *STORAGES], ids=lambda storage: storage.name)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_layout_gives_the_weights_again(storage, architecture):
    problem = random_problem(architecture, data=4)
    twin = Twin(problem, problem.iota)
    parameters = storage.parameters(twin.start)
    again = storage.arrays(parameters, twin.start)
    for (W, b), (W_again, b_again) in zip(twin.start, again, strict=True):
        for one, other in ((W, W_again), (b, b_again)):
            # Of a curved layout arcsinh and sinh round; others move numbers.
            assert np.abs(one - other).max() <= (8 * EPSILON * (1 + np.abs(one).max()) if storage.curved else 0)


@pytest.mark.parametrize("storage", [PLAIN, *STORAGES], ids=lambda storage: storage.name)
def test_derivatives_by_a_layouts_parameters_are_derivatives(storage):
    problem = random_problem(data=6)
    twin = Twin(problem, problem.iota)
    parameters = storage.parameters(twin.start)
    _, by_weights = twin.loss_and_derivatives(twin.start)
    derivatives = storage.derivatives(by_weights, parameters)
    rng = np.random.default_rng(0)
    direction = [rng.standard_normal(one.shape) for one in parameters]
    slope = sum(float((d * v).sum()) for d, v in zip(derivatives, direction, strict=True))

    def loss(t):
        moved = [p + t * v for p, v in zip(parameters, direction, strict=True)]
        return twin.loss_and_derivatives(storage.arrays(moved, twin.start))[0]

    def error(t):
        return abs((loss(t) - loss(-t)) / (2 * t) - slope)

    # Central differences approach it to second order: a wrong factor would stay.
    coarse, fine = error(2.0**-6), error(2.0**-8)
    assert fine <= coarse / 8 + 2.0**8 * 64 * EPSILON
    assert coarse <= 0.05 * (1 + abs(slope))


# -- the table of groups, at places of a network -----------------------------------------------------------
OF_THE_TABLE = [group for group in GROUPS if isinstance(group, ChangeOfBasis) and group.action in OF_ONE_SPACE]


def test_every_audited_group_of_the_table_acts_at_every_place():
    audited = [one.name for one in OF_ONE_SPACE.values() if one.audited]
    assert {(group.action, group.place) for group in OF_THE_TABLE} == set(itertools.product(audited, PLACES))


@pytest.mark.parametrize("group", OF_THE_TABLE, ids=lambda group: group.name)
@given(seed=st.integers(0, 99))
def test_members_lie_in_their_group_and_are_well_conditioned(group, seed):
    problem = random_problem(data=2)
    changes = group.double(problem, np.random.default_rng(seed)).changes(problem)
    assert list(changes) == [space for space in problem.iota if space in problem.spaces_at(group.place)]
    for matrix, shift in changes.values():
        n = len(shift)
        assert np.linalg.cond(matrix) <= SPREAD * (1 + 16 * n * EPSILON)
        # Products of n terms, as large as the square of the largest entry.
        allowed = 4 * n * EPSILON * max(1.0, np.abs(matrix).max() ** 2)
        for residual in OF_ONE_SPACE[group.action].residuals(floating.default_namespace, (matrix, shift)):
            assert np.abs(residual).max() <= allowed


def test_the_order_is_that_of_the_table_at_every_place():
    order = Order.of(subgroups())
    assert set(order.names) == {group.name for group in GROUPS}
    for one, other in itertools.product(OF_THE_TABLE, repeat=2):
        within = one == other or (one.place == other.place and other.action in larger_groups(one.action))
        assert (one.name in order.implied([other.name])) == within
        # No relation is drawn that others make already.
        parents = order.parents(one.name)
        assert not any(parent in order.implied([other]) for parent in parents for other in parents if parent != other)
    for place in PLACES:
        assert order.parents(f"{place} whitening") == (f"{place} affine",)


def test_changes_of_units_are_implied_by_those_of_both_sides():
    order = Order.of(subgroups())
    for group in GROUPS:
        if isinstance(group, OfUnits):
            assert group.name in order.implied(["activation affine", "pre-activation affine"])
            assert group.name not in order.implied(["activation affine"])


def test_a_whitening_whitens():
    problem = random_problem(data=40)
    network = problem.network
    kappa = problem.whitened()
    metric = network.kfac_metric(problem.weights, problem.iota.sample(problem.inputs, problem.targets), problem.output)
    blocks = zip(metric.coordinates(problem.iota).blocks, metric.coordinates(kappa).blocks, strict=True)
    for plain, white in blocks:
        for before, after in zip(plain.factors, white.factors, strict=True):
            # A root of a matrix and its inverse, and three products of them.
            allowed = 16 * len(after) * float(np.linalg.cond(before)) * EPSILON
            assert np.abs(after - np.eye(len(after))).max() <= allowed


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValuesError, match="one of fully connected, convolutional, recurrent; came 'transformer'"):
        random_problem("transformer")
