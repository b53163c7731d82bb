"""Members of groups: in their double the activation is what the group says, and they are in no smaller group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import floating
from geomkfac.audit import ARCHITECTURES, GROUPS, ChangeOfBasis, LossScale, OfUnits, Problem, random_problem
from geomkfac.audit.twins.groups import OF_UNITS
from geomkfac.networks import RecurrentNetwork
from geomkfac.networks.passes.stages import ActivationStage
from geomkfac.theorems.instances.basis_groups import GROUPS as OF_ONE_SPACE
from geomkfac.theorems.instances.basis_groups import larger_groups

EPSILON = float(np.finfo(float).eps)
FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "logistic": lambda z: (1 + np.tanh(z / 2)) / 2,
    "relu": lambda z: np.maximum(z, 0.0),
    "identity": lambda z: z,
}
OTHER = {"tanh": "logistic", "logistic": "tanh"}
UNITS = [
    pytest.param(OfUnits(action), function, id=f"{action}, {function}")
    for action, made_of in OF_UNITS.items()
    for function in made_of.functions or FUNCTIONS
]


def activations_of(problem: Problem) -> list[Any]:
    network = problem.network
    if isinstance(network, RecurrentNetwork):
        return [network.activation]
    return [stage.map for stage in network.stages if isinstance(stage, ActivationStage)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("group", "function"), UNITS)
def test_in_the_double_of_a_change_of_units_the_activation_is_a_known_function(
    group: OfUnits, function: str, architecture: str
) -> None:
    problem = random_problem(architecture, activation=function, data=4)
    assert not group.unfit(problem)
    kappa = group.double(problem, np.random.default_rng(3)).parameterization
    expected = OTHER[function] if group.action == "logistic to tanh" else function
    for rho in activations_of(problem):
        z = np.random.default_rng(4).uniform(-3, 3, (20, rho.domain.dim))
        found = rho(rho.domain.from_coordinates(z, kappa)).coordinates(kappa)
        # A function, and an affine change of one coordinate on either side, by factors from 1/4 to 4.
        assert np.abs(found - FUNCTIONS[expected](z)).max() <= 64 * EPSILON * (1 + np.abs(found).max())
        assert np.abs(found - FUNCTIONS[expected](z + 0.01)).max() > 1e-4
        moved = [kappa[space].change_from(problem.iota[space]) for space in (rho.domain, rho.codomain)]
        assert not any(np.array_equal(B, np.eye(len(c))) for B, c in moved)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_change_of_units_does_not_fit_other_activations(function: str) -> None:
    problem = random_problem(activation=function, data=4)
    for action, made_of in OF_UNITS.items():
        assert bool(OfUnits(action).unfit(problem)) is bool(made_of.functions and function not in made_of.functions)


def smaller_groups(action: str) -> list[str]:
    """The groups of one space whose members are all members of `action`, and others."""
    return [name for name in OF_ONE_SPACE if action in larger_groups(name)]


def is_member(name: str, change: tuple[Any, Any]) -> bool:
    """Whether a change is one of a group, as clearly as doubles of it are."""
    residuals = OF_ONE_SPACE[name].residuals(floating.default_namespace, change)
    return all(np.abs(residual).max(initial=0.0) < 1e-3 for residual in residuals)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("group", [group for group in GROUPS if isinstance(group, ChangeOfBasis)], ids=lambda g: g.name)
def test_a_member_is_in_no_smaller_group(group: ChangeOfBasis, seed: int) -> None:
    """A whitening is in none but those in which it must be."""
    problem = random_problem(data=20, seed=seed)
    action = "affine" if group.action == "whitening" else group.action
    changes = group.double(problem, np.random.default_rng(seed)).changes(problem)
    assert changes
    for change in changes.values():
        assert is_member(action, change)
        found = {name for name in smaller_groups(action) if is_member(name, change)}
        if group.action != "whitening" or group.place in ("input", "activation"):
            assert not found
        elif group.place == "pre-activation":
            assert found == {"linear"}  # there is no mean to be moved
        else:
            assert {"linear", "diagonal"} <= found  # outputs of random problems are independent of one another
            assert not found & {"sign", "permutation", "orthogonal", "rigid", "fixed"}


def test_a_whitening_at_one_place_whitens_there_and_nowhere_else() -> None:
    problem = random_problem(data=40)
    metric = problem.network.kfac_metric(
        problem.weights, problem.iota.sample(problem.inputs, problem.targets), problem.output
    )
    for group in GROUPS:
        if isinstance(group, ChangeOfBasis) and group.action == "whitening":
            kappa, white = group.double(problem, np.random.default_rng(0)).parameterization, set()
            for forms in metric.kronecker_factors():
                for form in forms:
                    matrix = form.coordinates(kappa)
                    if np.abs(matrix - np.eye(len(matrix))).max() < 1e-8:
                        white.add(form.space.of.of if form is forms[0] else form.space.of)
            assert white == set(problem.spaces_at(group.place))


def test_a_loss_is_as_much_larger_as_its_group_says() -> None:
    problem = random_problem(data=10)
    group = next(group for group in GROUPS if isinstance(group, LossScale))
    double = group.double(problem, np.random.default_rng(0))
    assert not double.is_trivial(problem)
    once, scaled = (one.loss_and_derivatives(one.start) for one in (double.twin(problem), _plain(problem)))
    assert once[0] == pytest.approx(group.factor * scaled[0], rel=4 * EPSILON)
    for pair, plain in zip(once[1], scaled[1], strict=True):
        for one, other in zip(pair, plain, strict=True):
            assert np.abs(one - group.factor * other).max() <= 4 * EPSILON * np.abs(one).max()


def _plain(problem: Problem) -> Any:
    return type(LossScale().double(problem, np.random.default_rng(0)))(problem.iota).twin(problem)
