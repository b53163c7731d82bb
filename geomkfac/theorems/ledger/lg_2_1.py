"""LG 2.1: the K-FAC update computes the same function on a network and on its double in other bases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from geomkfac.arrays.array import Array
from geomkfac.theorems.engine.statement import Check, Comparison, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.instances.basis import Bases, random_bases, transformed
from geomkfac.theorems.instances.textbook.fully_connected import MatrixPass, forward, kfac_update, random_network
from geomkfac.theorems.instances.updates import two_updates


def updates_in_arrays(world: World) -> Comparisons:
    """A network N and its double N-dagger, (2.11), each updated by textbook K-FAC, (2.10).

    Everything is arbitrary: weights, data, bases, the values and derivatives of the activations, the
    loss and the output metric.  The double is computed from its own coordinates alone.
    """
    ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
    network = random_network(world, widths)
    bases = random_bases(world, widths)
    dagger = transformed(world, network, bases)

    x, rate = world.array(count, widths[0]), world.number()
    x_dagger = x @ bases.Omega[0].mT + bases.gamma[0]
    runs = forward(ns, network, x), forward(ns, dagger, x_dagger)
    yield from _same_function(given, "before the update", *runs, bases)

    network = kfac_update(world, network, x, rate)
    dagger = kfac_update(world, dagger, x_dagger, rate)
    runs = forward(ns, network, x), forward(ns, dagger, x_dagger)
    yield from _same_function(same, "after it, on the data", *runs, bases)

    fresh = world.array(count, widths[0])
    fresh_dagger = fresh @ bases.Omega[0].mT + bases.gamma[0]
    runs = forward(ns, network, fresh), forward(ns, dagger, fresh_dagger)
    yield from _same_function(same, "after it, on fresh inputs", *runs, bases)


def _same_function(
    compare: Callable[[str, Array, Array], Comparison], when: str, one: MatrixPass, two: MatrixPass, bases: Bases
) -> Comparisons:
    """``z_i = Phi_i z_i_dagger + tau_i`` at every layer, then ``Omega_L a_L + gamma_L = a_L_dagger``."""
    for i, (Phi, tau) in enumerate(zip(bases.Phi, bases.tau, strict=True)):
        z, z_dagger = one.preactivations[i], two.preactivations[i]
        yield compare(f"pre-activations of layer {i + 1} {when}", z, z_dagger @ Phi.mT + tau)
    a, a_dagger = one.activations[-1], two.activations[-1]
    yield compare(f"outputs {when}", a @ bases.Omega[-1].mT + bases.gamma[-1], a_dagger)


def updates_in_two_frames(world: World) -> Comparisons:
    """One abstract network, updated twice: with weights and data stored in iota's frames, and in kappa's.

    Both updates run natively in the frames that they are given, with the package's own K-FAC metric.
    """
    yield from two_updates(world, abstract_network(world))


def updates_with_any_smooth_maps(world: World) -> Comparisons:
    """The same where an activation mixes all coordinates: a random full Jacobian at every point (GK-12)."""
    yield from two_updates(world, abstract_network(world, coordinatewise=False))


SMALL = (Sizes((1, 1), 2, 1), Sizes((1, 1, 1), 2, 1), Sizes((2, 2, 2), 3, 2), Sizes((3, 4, 3, 2), 6, 3))
MANY = (Sizes((1, 1), 6, 1), Sizes((2, 2, 2), 12, 2), Sizes((3, 4, 3, 2), 40, 2))
EQUAL_WIDTHS = Sizes((3, 3, 3, 3), 6, 3)
ONE_MORE_OUTPUT = Sizes((2, 3, 4), 6, 4)
ONE_LAYER = replace(SMALL[-1], widths=(3, 2))
IN_ARRAYS = "textbook K-FAC on N and on N-dagger, in arrays"

STATEMENTS = (
    Statement(
        id="LG-T2.1",
        source="LG Theorem 2.1 (Martens & Grosse 2015, Theorem 1), (2.10), (2.11)",
        title="the K-FAC update is invariant to affine changes of basis",
        text=(
            "Give a network other affine bases of its inputs, activations, pre-activations and outputs, with "
            "activation functions and parameters transformed to match: the K-FAC update of the one and the "
            "K-FAC update of the other compute the same function."
        ),
        latex=(
            r"\phi_i^\dagger(\mathbf z)=\Omega_i\,\phi_i(\Phi_i\mathbf z+\tau_i)+\gamma_i\;\Longrightarrow\;"
            r"f^\dagger\bigl(\mathbf x^\dagger,\mathbf w^\dagger-\epsilon\hat{\mathbf F}^{\dagger-1}"
            r"\nabla h^\dagger\bigr)"
            r"=\Omega_L f\bigl(\mathbf x,\mathbf w-\epsilon\hat{\mathbf F}^{-1}\nabla h\bigr)+\gamma_L"
        ),
        hypotheses=(
            "Omega_i and Phi_i are invertible.",
            "The K-FAC metric is nondegenerate: every A_{i-1} and G_i is invertible.  The paper's proof uses it. "
            "It excludes softmax outputs on all their logits, whose last G is singular.",
            "Activations are differentiable; nothing else is assumed of them, of the loss or of the output metric.",
        ),
        checks=(
            Check("X", IN_ARRAYS, updates_in_arrays, SMALL, "GF(p)", recipe="LG-T2.1"),
            Check("X", "one abstract network, run in two parameterizations", updates_in_two_frames, SMALL, "GF(p)"),
            Check("X", "activations that are any smooth maps", updates_with_any_smooth_maps, SMALL, "GF(p)"),
            Check("S", IN_ARRAYS, updates_in_arrays, SMALL[:1], "symbols"),
            Check("N", IN_ARRAYS, updates_in_arrays, MANY, "floating"),
            Check("N", "one abstract network, run in two parameterizations", updates_in_two_frames, MANY, "floating"),
            Check("C", "damping by gamma I", updates_in_arrays, SMALL, "GF(p)", drops="damping by gamma I"),
            Check(
                "C",
                "bias left out of the homogeneous coordinate, with a translation",
                updates_in_arrays,
                SMALL,
                "GF(p)",
                drops="bias left out of the homogeneous coordinate",
            ),
            Check("C", "gradient descent", updates_in_arrays, SMALL, "GF(p)", drops="gradient descent"),
        ),
        mutants=(
            Mutant("G where its inverse belongs", updates_in_arrays, SMALL[-1]),
            Mutant("G diagonal", updates_in_arrays, SMALL[-1]),
            Mutant("A^{-1} on the wrong side", updates_in_arrays, ONE_MORE_OUTPUT),
            Mutant("A of the layer before", updates_in_arrays, EQUAL_WIDTHS),
            Mutant("homogeneous coordinate first", updates_in_arrays, ONE_LAYER),
            Mutant("Phi in the wrong direction", updates_in_arrays, SMALL[-1]),
            Mutant("damping by the frame's own metric", updates_in_two_frames, SMALL[-1]),
            Mutant("gradient in the frame", updates_in_two_frames, SMALL[-1]),
        ),
        objects=("networks.MLP.kfac_metric", "metrics.MetricTensor.sharp", "spaces.Parameterization"),
    ),
)
