"""LG 3.1: logistic and tanh networks are one abstract network, read in two bases (erratum E2)."""

from __future__ import annotations

from typing import Any

import sympy

from geomkfac.arrays.array import Array
from geomkfac.metrics import Bernoulli
from geomkfac.networks import MLP
from geomkfac.spaces import Parameterization, Point
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.calculus import expressions, variables

E2 = "the two nouns interchanged, as printed"


def tanh_in_symbols(world: World) -> Comparisons:
    """``tanh(x) = 2 logistic(2 x) - 1``: pre-activations by x -> x/2, activations by x -> 2x - 1."""
    (x,) = variables("x", 1)

    def logistic(z: sympy.Expr) -> sympy.Expr:
        return sympy.exp(z) / (sympy.exp(z) + 1)

    tanh = (sympy.exp(x) - sympy.exp(-x)) / (sympy.exp(x) + sympy.exp(-x))
    # a' = Omega phi(Phi z' + tau) + gamma, (3.4), with Phi = 2, tau = 0, Omega = 2, gamma = -1.
    in_the_other_bases = 2 * logistic(2 * x) - 1
    if world.planted(E2):
        in_the_other_bases = logistic((x + 1) / 2) / 2
    if world.planted("not re-centred"):
        in_the_other_bases = 2 * logistic(2 * x)
    yield given(
        "the hyperbolic tangent", expressions(world, [sympy.tanh(x).rewrite(sympy.exp)]), expressions(world, [tanh])
    )
    yield same(
        "the logistic function in the second bases",
        expressions(world, [in_the_other_bases]),
        expressions(world, [tanh]),
    )


def networks_and_their_updates(world: World) -> Comparisons:
    """A logistic network, read where its activation is tanh, is a tanh network: functions, and K-FAC updates."""
    ns, widths = world.ns, world.sizes.widths
    layers = [(m, n) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    Ws, bs = [world.array(m, n) for m, n in layers], [world.array(m) for m, _ in layers]
    net, weights, iota = MLP.from_arrays(Ws, bs, activation="logistic")
    frames = world.kind.default_namespace
    changes: dict[Any, Any] = {}
    for rho in net.activations:
        n = rho.domain.dim
        half, twice, ones = frames.eye(n) * 0.5, frames.eye(n) * 2.0, frames.ones((n,))
        if world.planted(E2):
            changes |= {rho.domain: (twice, -ones), rho.codomain: (half, ones * 0.0)}
        elif world.planted("activations not translated"):
            changes |= {rho.domain: (half, ones * 0.0), rho.codomain: (twice, ones * 0.0)}
        else:
            changes |= {rho.domain: (half, ones * 0.0), rho.codomain: (twice, -ones)}
    kappa = iota.change(changes)

    X, fresh = world.array(world.sizes.data, widths[0]), world.array(world.sizes.data, widths[0])
    y = Bernoulli().predictions(ns, world.array(world.sizes.data, widths[-1]))
    read = net.to_arrays(weights, kappa)
    other, its_weights, its_iota = MLP.from_arrays([W for W, _ in read], [b for _, b in read], activation="tanh")
    yield same("outputs", _outputs(net, weights, iota, fresh), _outputs(other, its_weights, its_iota, fresh))

    updated = _updated(net, weights, iota, X, y)
    its_updated = _updated(other, its_weights, its_iota, X, y)
    yield same(
        "outputs after a K-FAC update",
        _outputs(net, updated, iota, fresh),
        _outputs(other, its_updated, its_iota, fresh),
    )
    for i, (one, two) in enumerate(
        zip(net.to_arrays(updated, kappa), other.to_arrays(its_updated, its_iota), strict=True)
    ):
        yield same(f"weights and bias of layer {i + 1} after it", list(one), list(two))


def _outputs(net: MLP, weights: Point, iota: Parameterization, X: Array) -> Array:
    outputs: Array = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    return outputs


def _updated(net: MLP, weights: Point, iota: Parameterization, X: Array, y: Array) -> Point:
    data, family = iota.sample(X, y), Bernoulli().on(iota)
    g, dh = net.kfac_metric(weights, data, family), net.differential(weights, data, family)
    updated: Point = weights - g.sharp(dh) * 0.1
    return updated


NETS = (Sizes((2, 3, 2), 40), Sizes((3, 4, 3, 2), 60))
ONE = (Sizes((1,)),)
CHECKS = {
    "corrected": Check("S", "in symbols", tanh_in_symbols, ONE, "symbols"),
    "printed": Check("C", "as printed, in symbols", tanh_in_symbols, ONE, "symbols", drops=E2),
    "networks": Check("N", "two networks and their K-FAC updates", networks_and_their_updates, NETS, "floating"),
    "printed networks": Check("C", "as printed, two networks", networks_and_their_updates, NETS, "floating", drops=E2),
}

STATEMENTS = (
    Statement(
        id="LG-3.1-tanh",
        source="LG 3.1; erratum E2",
        title="logistic and tanh networks are one abstract network in two bases",
        text=(
            "Read with pre-activations by x -> x/2 and activations by x -> 2x - 1, a network with logistic "
            "activations is "
            "one with tanh activations; so their K-FAC updates are the same."
        ),
        latex=r"\tanh(x)=2\,\sigma(2x)-1",
        hypotheses=("For the updates: the K-FAC metric is nondegenerate.",),
        checks=(CHECKS["corrected"], CHECKS["networks"]),
        mutants=(
            Mutant("not re-centred", tanh_in_symbols, ONE[0], "symbols"),
            Mutant("activations not translated", networks_and_their_updates, NETS[0], "floating"),
        ),
        objects=("networks.MLP.from_arrays", "networks.MLP.to_arrays", "maps.CoordinatewiseMap"),
    ),
)
