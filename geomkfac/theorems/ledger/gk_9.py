"""GK-9, GK-10: smooth reparameterization, and the infinitesimal symmetries of an update."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from geomkfac.arrays.array import Array
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.instances.lie_algebra import symmetries
from geomkfac.theorems.ledger.lg_2_1_fisher import flattened
from geomkfac.updates import DiagonalFisher, Foof, GradientDescent, Kfac, Update


# -- GK-9 ----------------------------------------------------------------------------------------------------
def smooth_reparameterization(metric: str, exponent: float) -> Callable[[World], Comparisons]:
    """The claim for one metric: how the gap over the length of the step falls with the step size."""

    def claim(world: World) -> Comparisons:
        """Weights ``w = T(v)`` with T smooth and curved: the step in v, mapped on by T, beside the step in w."""
        it = abstract_network(world)
        ns = world.ns.ordered("lengths")
        exact = it.net.fisher_metric(it.weights, it.data, it.loss).coordinates(it.iota)
        kfac = it.net.kfac_metric(it.weights, it.data, it.loss).coordinates(it.iota).dense()
        gradient = flattened(world, list(it.net.differential(it.weights, it.data, it.loss).coordinates(it.iota)))
        d = gradient.shape[0]
        g = ns.eye(d) if metric == "gradient descent" else kfac if metric == "K-FAC" else exact
        A = ns.eye(d) + world.array(d, d) * (0.3 / d**0.5)
        B = world.array(d, d) * (0.3 / d**0.5)

        def T(dv: Array) -> Array:
            """From v = 0, up to a constant: ``A dv + (B dv)^2``."""
            moved = B @ dv
            return A @ dv + moved * moved

        pulled = A.mT @ g @ A
        share = 0.1 if metric == "damping by gamma I" else 1e-9 if world.planted("damping by 1e-9 I") else 0.0
        if share:
            gamma = share * float(ns.trace(exact)) / d
            g, pulled = g + ns.eye(d) * gamma, pulled + ns.eye(d) * gamma
        if metric == "gradient descent" or world.planted("the metric not pulled back"):
            pulled = ns.eye(d) if metric == "gradient descent" else g
        there = ns.solve(pulled, (A.mT @ gradient)[:, None])[:, 0]
        here = ns.solve(g, gradient[:, None])[:, 0]
        size = 1.0 / ns.norm(here)
        steps = [2.0**-k for k in range(4, 10)]
        gaps = [ns.norm(T(there * (-h * size)) + here * (h * size)) / h for h in steps]
        yield order("gap over the length of the step", steps, gaps, exponent)
        if exponent:
            # T is quadratic: its central differences are its derivative, whatever their step.
            moved = (T(there * 0.25) - T(there * -0.25)) * 2.0
            ratios = [ns.singular_values(form) for form in (g, pulled)]
            rounding = d * ns.epsilon * sum(float(one[0] / one[-1]) for one in ratios)
            # A gap of 1e-9 is one from the first step on, and too small to bend what falls.
            yield same("steps that agree to first order", bool(ns.norm(moved - here) <= rounding * ns.norm(here)), True)

    return claim


# -- GK-10 ---------------------------------------------------------------------------------------------------
def _orthogonal(n: int) -> int:
    return n * (n - 1) // 2


RULES: dict[str, tuple[Update, Callable[[int], int], Callable[[int], int]]] = {
    # The dimension of what each space of activations, and each of pre-activations, may do.
    "gradient descent": (GradientDescent(), _orthogonal, lambda m: _orthogonal(m) + m),
    "undamped K-FAC": (Kfac(), lambda n: n * (n + 1), lambda m: m * (m + 1)),
    "K-FAC in separate blocks": (Kfac(joint=False), lambda n: n * n, lambda m: m * (m + 1)),
    "K-FAC with G = I": (Foof(), lambda n: n * (n + 1), lambda m: _orthogonal(m) + m),
    "the diagonal of the Fisher matrix": (DiagonalFisher(), lambda n: n, lambda m: 2 * m),
}


def symmetry_algebra(name: str) -> Callable[[World], Comparisons]:
    """The dimension of the algebra of one rule."""
    rule, activations, preactivations = RULES[name]

    def claim(world: World) -> Comparisons:
        """Nullity of the condition, over several random networks, and the sum over spaces of what is allowed."""
        widths = world.sizes.widths
        planted = rule
        for fault, gamma in DAMPINGS.items():
            planted = Kfac(damping=gamma) if world.planted(fault) else planted
        instances = 1 if world.planted("one instance alone") else 2
        found = symmetries(world, planted, widths, data=world.sizes.data, instances=instances)
        expected = sum(map(activations, widths[:-1])) + sum(map(preactivations, widths[1:]))
        least, most = found.bounds
        # Bounds refute what lies outside of them; only where they are one number do they support it.
        world.assume("singular values are either zero or not", least == most or not least <= expected <= most)
        yield same(f"dimension of the symmetries of {name}", most if most < expected else least, expected)

    return claim


DAMPINGS: dict[str, int | Fraction] = {"damping by gamma I": 1, "damping by 1e-9 I": Fraction(1, 10**9)}

SMOOTH = (Sizes((1, 1), 10), Sizes((2, 2), 20), Sizes((2, 3, 2), 60))
ALGEBRA = (Sizes((2, 2), 12), Sizes((2, 2, 2), 16))
INVARIANT, BROKEN = ("natural gradient", "K-FAC"), ("gradient descent", "damping by gamma I")

STATEMENTS = (
    Statement(
        id="GK-9",
        source="ours; LG 2.1.2",
        title="smooth reparameterization, to first order",
        text=(
            "Under a smooth nonlinear reparameterization of the weights the gap between the two steps, divided by "
            "their length, falls like the step size for natural gradient and for the K-FAC metric pulled back; for "
            "gradient descent and for damping by gamma I it does not fall at all."
        ),
        latex=(
            r"\frac{\lVert T(v-\epsilon\,(J^\top gJ)^{-1}J^\top\nabla h)-(w-\epsilon\,g^{-1}\nabla h)\rVert}"
            r"{\epsilon\,\lVert g^{-1}\nabla h\rVert}=O(\epsilon)"
        ),
        hypotheses=("The metric is nondegenerate and is pulled back along T.",),
        checks=(
            *(Check("N", name, smooth_reparameterization(name, 1), SMOOTH, "floating") for name in INVARIANT),
            *(
                Check("N", f"{name}: no order", smooth_reparameterization(name, 0), SMOOTH, "floating")
                for name in BROKEN
            ),
            *(Check("C", name, smooth_reparameterization(name, 1), SMOOTH, "floating") for name in BROKEN),
        ),
        mutants=(
            *(
                Mutant(fault, smooth_reparameterization("K-FAC", 1), SMOOTH[-1], "floating")
                for fault in ("the metric not pulled back", "damping by 1e-9 I")
            ),
        ),
        objects=("metrics.PullbackMetric", "networks.MLP.kfac_metric"),
    ),
    Statement(
        id="GK-10",
        source="ours",
        title="the Lie algebra of an update's symmetries",
        text=(
            "The changes of basis that an update does not see, to first order, form a Lie algebra, found over several "
            "random networks: orthogonal changes and shifts of pre-activations for gradient descent, all affine ones "
            "for undamped K-FAC, and what lies between for its variants."
        ),
        latex=(
            r"\dim\mathfrak g_{\mathrm{GD}}=\sum_i\tfrac{n_i(n_i-1)}2+\sum_i\Bigl(\tfrac{m_i(m_i-1)}2+m_i\Bigr),\qquad"
            r"\dim\mathfrak g_{\mathrm{KFAC}}=\sum_in_i(n_i+1)+\sum_im_i(m_i+1)"
        ),
        hypotheses=(
            "Frames of A_0, ..., A_{L-1} and of Z_1, ..., Z_L may move; the networks are generic.",
            "No singular value of the condition lies between its error and ten times that.",
        ),
        checks=tuple(Check("N", name, symmetry_algebra(name), ALGEBRA, "floating") for name in RULES),
        mutants=(
            *(Mutant(fault, symmetry_algebra("undamped K-FAC"), ALGEBRA[0], "floating") for fault in DAMPINGS),
            Mutant("one instance alone", symmetry_algebra("gradient descent"), ALGEBRA[0], "floating"),
        ),
        objects=("updates.GradientDescent", "updates.Kfac"),
    ),
)
