"""Groups, doubles and layouts: a double computes the same function, and the order between groups is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.audit import ARCHITECTURES, GROUPS, ChangeOfBasis, OfUnits, Twin, random_problem, subgroups
from geomkfac.audit.groups import ACTIONS, BELOW
from geomkfac.audit.storage import PLAIN, STORAGES
from geomkfac.errors import ValuesError

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


# -- the order between groups ------------------------------------------------------------------------------
def test_the_order_has_every_group_and_no_cycle():
    order = subgroups()
    names = {group.name for group in GROUPS}
    assert len(names) == len(GROUPS)
    assert set(order) == names
    assert all(set(above) <= names for places in order.values() for above in places)

    def height(name, seen=()):
        assert name not in seen
        return 1 + max((height(one, (*seen, name)) for above in order[name] for one in above), default=0)

    # Unit rescaling, diagonal, unit-wise affine, affine: of the hidden units' two spaces.
    assert height("unit rescaling") == 4
    assert max(map(height, names)) == 5


def lies_in(action, matrix, shift):
    """Whether a member is one of an action's group, by the group's definition."""
    n = len(shift)
    straight, plain = not shift.any(), np.array_equal(matrix, np.eye(n))
    diagonal = np.array_equal(matrix, np.diag(np.diag(matrix)))
    orthogonal = np.abs(matrix @ matrix.T - np.eye(n)).max() <= 4 * n * EPSILON
    return {
        "translation": plain,
        "sign": straight and diagonal and orthogonal,
        "permutation": straight and orthogonal and set(np.unique(matrix)) <= {0.0, 1.0},
        "scalar": straight and np.array_equal(matrix, matrix[0, 0] * np.eye(n)),
        "diagonal": straight and diagonal,
        "unit-wise affine": diagonal,
        "orthogonal": straight and orthogonal,
        "affine": True,
    }[action]


@given(action=st.sampled_from(sorted(ACTIONS)), n=st.integers(2, 4), seed=st.integers(0, 99))
def test_members_lie_in_their_group_and_in_those_above(action, n, seed):
    matrix, shift = ACTIONS[action](n, np.random.default_rng(seed))
    matrix = np.eye(n) if matrix is None else matrix
    shift = np.zeros(n) if shift is None else shift
    assert lies_in(action, matrix, shift)
    for above in BELOW[action]:
        assert lies_in(above, matrix, shift)
    # The smallest groups are told apart: a member of one is none of another.
    smallest = {"translation", "permutation", "scalar"}
    if action in smallest:
        assert not any(lies_in(other, matrix, shift) for other in smallest - {action})


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
