"""Errata of LG and GM that do not concern convolution or recurrence: as printed they fail, as corrected they hold."""

from __future__ import annotations

from geomkfac.errors import FrameError, SpaceMismatchError
from geomkfac.maps import AffineMap, AffineMaps
from geomkfac.metrics import EuclideanMetric
from geomkfac.spaces import AffineSpace, Hom, Hull, TensorProduct, Vector
from geomkfac.theorems.engine.errata import TYPES, corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, given, refuses, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.ledger.lg_2_2 import change_of_basis_on_a_power
from geomkfac.theorems.ledger.lg_3_1_tanh import CHECKS as TANH
from geomkfac.theorems.ledger.lg_3_3 import E9, hessian_of_a_bregman_divergence


# -- E1 ----------------------------------------------------------------------------------------------------
def sizes_as_printed(world: World) -> Comparisons:
    """``I (x) [Omega]_H`` has as many columns as ``[W]_H`` of the expanded layer: only for one location."""
    (n,), K = world.sizes.widths, world.sizes["factors"]
    yield same("columns: K (n + 1) and K n + 1", K * (n + 1), K * n + 1)


# -- E7, E35 -------------------------------------------------------------------------------------------------
def exponential_map(world: World) -> Comparisons:
    """The update is ``Exp_w(-eps v) = w - eps v``; to subtract ``eps Exp_w(v)``, a multiple of a point, is refused."""
    n, _ = world.sizes.widths
    space = AffineSpace("W", n, world.kind)
    iota = space.frame("iota")
    w, v = space.from_coordinates(world.array(n), iota), space.direction.from_coordinates(world.array(n), iota.linear)
    rate = world.number()

    def printed() -> object:
        exponential = w + v
        return w + v * rate if world.planted("the corrected form put in its place") else w - exponential * rate

    yield same(
        "Exp_w(-eps v)",
        (w + v * (rate * -1)).coordinates(iota),
        w.coordinates(iota) - v.coordinates(iota.linear) * rate,
    )
    yield refuses("w - eps Exp_w(v)", SpaceMismatchError, printed)


def geodesics_of_the_metric(world: World) -> Comparisons:
    """The exponential map of the metric itself is the update ``w + v``: not where the metric varies.

    On the line with the metric w^2 dw^2 lengths are differences of s = w^2/2, so that Exp_w(v)^2 = w^2 + 2 w v; with
    v = t + t^2/(2w) it is w + t, and the affine connection's is w + v.
    """
    w, t = world.positive(1, name="w"), world.positive(1, name="t")
    v = t + t * t / (w * 2)
    geodesic = w + t
    yield given("Exp_w(v)^2 = w^2 + 2 w v", geodesic * geodesic, w * w + w * v * 2)
    yield same("the metric's and the affine exponential map", geodesic, w + v)


# -- E8, E10 -------------------------------------------------------------------------------------------------
def omega_of_the_layer_before(world: World) -> Comparisons:
    """``b`` in (3.3)'s derivation: ``Phi W' (Omega_{i-1} a + gamma) + ...``: of the activations that enter, not of the
    next.
    """
    n, m = world.sizes.widths
    ns = world.ns
    A, B = AffineSpace("A_{i-1}", n, world.kind), AffineSpace("A_i", m, world.kind)
    iota, other = A.frame("iota"), B.frame("iota")
    Omega, gamma = world.invertible(n, name="\\Omega_{i-1}"), world.array(n, name="\\gamma")
    kappa = iota.change(world.for_frames(Omega), world.for_frames(gamma))
    a = world.array(n, name="a")
    alpha = A.from_coordinates(a, iota)
    following = world.invertible(m, name="\\Omega_i")
    if n == m:
        matrix = following if world.planted("Omega_i, as printed") else Omega
        yield same("a' = Omega a + gamma", alpha.coordinates(kappa), matrix @ a + gamma)
    else:
        there = other.change(world.for_frames(following))
        frame = kappa if world.planted("the frame of its own space") else there
        yield refuses("a_{i-1} in the frame of A_i", FrameError, lambda: alpha.coordinates(frame))
        yield same("a' = Omega a + gamma", alpha.coordinates(kappa), Omega @ a + ns.zeros((n,)) + gamma)


def phi_of_the_second_coordinates(world: World) -> Comparisons:
    """(2.11): ``a' = Omega phi(Phi z' + tau) + gamma``, of the second coordinates z', as ``z = Phi z' + tau``."""
    it = abstract_network(world)
    ns = world.ns
    rho = it.net.activations[0]
    Z, A = rho.domain, rho.codomain
    n = Z.dim
    z_dagger = world.array(world.sizes.data, n, name="z'")
    z = Z.from_coordinates(z_dagger, it.kappa).coordinates(it.iota)
    a_dagger = rho(Z.from_coordinates(z_dagger, it.kappa)).coordinates(it.kappa)
    # Phi z' + tau, by the change of frames; as printed it is applied to z.
    argument = Z.from_coordinates(z if world.planted("of z_i, as printed") else z_dagger, it.kappa).coordinates(it.iota)
    phi = rho(Z.from_coordinates(argument, it.iota)).coordinates(it.iota)
    expected = A.from_coordinates(phi, it.iota).coordinates(it.kappa)
    yield same("a'", a_dagger, expected + ns.zeros((n,)))


# -- E34, E36 ------------------------------------------------------------------------------------------------
def affine_function_and_vector(world: World) -> Comparisons:
    """In the proof of T3.6 lambda is in Hull(A)*, and ``lambda (x) mu`` in TW; from ``TW (x) T*Z`` no value at a."""
    n, m = world.sizes.widths
    A, Z = AffineSpace("A", n, world.kind), AffineSpace("Z", m, world.kind)
    iota, zeta = A.frame("iota"), Z.frame("iota")
    alpha = Hull(A).of_point(A.from_coordinates(world.array(n, name="a"), iota))
    lam = Hull(A).dual.from_coordinates(world.array(n + 1, name="\\lambda"), iota.hull.dual)
    W = AffineMaps(A, Z)
    product = TensorProduct(W.direction, Z.direction.dual)
    frame = product.frame(W.direction.frame(iota.hull, zeta.linear), zeta.linear.dual)
    printed: Vector = product.from_coordinates(world.array(*product.slots), frame)

    def value() -> object:
        return lam(alpha) if world.planted("the corrected form put in its place") else printed(alpha)

    mu = Z.direction.from_coordinates(world.array(m, name="\\mu"), zeta.linear)
    matrix = mu.coordinates(zeta.linear)[:, None] * lam.coordinates(iota.hull.dual)[None, :]
    v = W.direction.from_coordinates(matrix, W.direction.frame(iota.hull, zeta.linear))
    yield same("lambda (x) mu is in TW, and (lambda (x) mu)(a) = lambda(a) mu", v(alpha), mu * lam(alpha), zeta.linear)
    yield same("TW is Hom(Hull(A), TZ)", W.direction is Hom(Hull(A), Z.direction), True)
    yield refuses("lambda in TW (x) T*Z, at a", SpaceMismatchError, value)


def form_on_the_tangent_space(world: World) -> Comparisons:
    """g(z) is a 2-tensor on TZ: it takes vectors of TZ, and refuses covectors."""
    (m,) = world.sizes.widths
    Z = AffineSpace("Z", m, world.kind)
    iota = Z.frame("iota")
    g = EuclideanMetric(iota).at(Z.from_coordinates(world.array(m), iota))
    v = Z.direction.from_coordinates(world.array(m, name="v"), iota.linear)
    phi = Z.direction.dual.from_coordinates(world.array(m, name="\\varphi"), iota.linear.dual)
    yield same("of a vector", g.flat(v).coordinates(iota.linear.dual), v.coordinates(iota.linear))
    yield refuses(
        "of a covector",
        SpaceMismatchError,
        lambda: g.flat(v if world.planted("the corrected form put in its place") else phi),
    )


def weights_of_the_next_layer(world: World) -> Comparisons:
    """NN 5.2: ``Da_l = W_{l+1}^T Ds_{l+1}``: a covector is pulled back along the next layer's map."""
    n, m = world.sizes.widths
    A, Z = AffineSpace("A_l", n, world.kind), AffineSpace("S_{l+1}", m, world.kind)
    iota, zeta = A.frame("iota"), Z.frame("iota")
    W = AffineMaps(A, Z)
    following, own = world.array(m, n + 1, name="W_{l+1}"), world.array(n, m, name="W_l")
    omega = AffineMap(W.from_coordinates(following, W.frame(iota, zeta)))
    Ds = Z.direction.dual.from_coordinates(world.array(m, name="Ds"), zeta.linear.dual)
    alpha = A.from_coordinates(world.array(n), iota)
    matrix = own.mT if world.planted("W_l, as printed") else following[:, :-1]
    pulled = omega.pullback(alpha, Ds).coordinates(iota.linear.dual)
    yield same("Da_l", pulled, matrix.mT @ Ds.coordinates(zeta.linear.dual))


POWERS = (Sizes((1,), extra=(("factors", 2),)), Sizes((3,), extra=(("factors", 4),)))
ONE = (Sizes((1,)), Sizes((3,)))
PAIR = (Sizes((2, 3)),)
EQUAL = (Sizes((1, 1)), Sizes((3, 3)))
NETS = (Sizes((1, 1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))
OUTPUTS = (Sizes((1,)), Sizes((2,)))


STATEMENTS = (
    erratum_statement(
        "E1",
        "the hull of a product is not the product of hulls",
        Erratum(
            "LG, the sentence after (2.12), 4.1.2 and (4.4)",
            "change of basis on A^K as I (x) [Omega]_H, of size K (n + 1), composed with a matrix of K n + 1 columns",
            "linear part I (x) Omega, translation 1 (x) gamma, one homogeneous coordinate",
            "(2.12) itself is true of stacked homogeneous vectors",
        ),
        (
            Check("X", "as corrected", change_of_basis_on_a_power, POWERS, "GF(p)"),
            Check("C", "as printed: sizes", sizes_as_printed, POWERS, "Q"),
        ),
        (Mutant("translation of the first factor alone", change_of_basis_on_a_power, POWERS[-1]),),
        r"[\![p]\!]_\kappa=(I\otimes\Omega)[\![p]\!]_\iota+\mathbf 1\otimes\gamma",
        ("spaces.ProductSpace", "spaces.Hull"),
    ),
    erratum_statement(
        "E2",
        "from logistic to tanh",
        Erratum(
            "LG 3.1",
            "pre-activations by x -> 2x - 1, activations by x -> x/2",
            "pre-activations by x -> x/2, activations by x -> 2x - 1",
            "the two nouns are interchanged",
        ),
        (TANH["corrected"], TANH["networks"], TANH["printed"], TANH["printed networks"]),
        latex=r"\tanh(x)=2\,\sigma(2x)-1",
    ),
    erratum_statement(
        "E7",
        "the update as an exponential map",
        Erratum("LG (2.6)", "w <- w - eps Exp_w(g^{-1} dh)", "w <- Exp_w(-eps g^{-1} dh)", TYPES),
        (Check("X", "as corrected; as printed, refused", exponential_map, PAIR, "GF(p)"),),
        (Mutant("the corrected form put in its place", exponential_map, PAIR[0]),),
        r"w\leftarrow\operatorname{Exp}_w(-\epsilon\,g^{-1}dh)",
        ("spaces.AffineSpace",),
    ),
    erratum_statement(
        "E8",
        "which change of basis enters",
        Erratum(
            "LG A.3, first three lines of the derivation of (3.3)", "Omega_i a_{i-1}", "Omega_{i-1} a_{i-1}", TYPES
        ),
        (
            Check("X", "as corrected; as printed, refused", omega_of_the_layer_before, PAIR, "GF(p)"),
            Check("X", "as corrected, equal widths", omega_of_the_layer_before, EQUAL, "GF(p)"),
            Check(
                "C", "as printed, equal widths", omega_of_the_layer_before, EQUAL, "GF(p)", drops="Omega_i, as printed"
            ),
        ),
        (Mutant("the frame of its own space", omega_of_the_layer_before, PAIR[0]),),
        r"\mathbf a_{i-1}^\dagger=\Omega_{i-1}\mathbf a_{i-1}+\gamma_{i-1}",
        ("spaces.BaseFrame",),
    ),
    erratum_statement(
        "E9",
        "the Bregman divergence",
        Erratum("LG Example 3.4", "B_F(y, y') with grad F(y)", "with grad F(y')"),
        corrected_and_printed(hessian_of_a_bregman_divergence, OUTPUTS, E9, over="symbols"),
        latex=r"B_F(y,y')=F(y)-F(y')-\langle\nabla F(y'),y-y'\rangle",
    ),
    erratum_statement(
        "E10",
        "the transformed activation function",
        Erratum("LG (2.11)", "phi(Phi z_i + tau)", "phi(Phi z_i' + tau)"),
        corrected_and_printed(phi_of_the_second_coordinates, NETS, "of z_i, as printed"),
        latex=r"\mathbf a_i^\dagger=\Omega_i\,\phi_i(\Phi_i\mathbf z_i^\dagger+\tau_i)+\gamma_i",
        objects=("maps.GenericMap",),
    ),
    erratum_statement(
        "E22",
        "which weights carry derivatives back",
        Erratum("NN 5.2", "Da_l = W_l^T Ds_{l+1}", "Da_l = W_{l+1}^T Ds_{l+1}", TYPES),
        (
            Check("X", "as corrected", weights_of_the_next_layer, (*EQUAL, *PAIR), "GF(p)"),
            Check("C", "as printed, equal widths", weights_of_the_next_layer, EQUAL, "GF(p)", drops="W_l, as printed"),
        ),
        latex=r"\mathcal D\mathbf a_\ell=\mathbf W_{\ell+1}^\top\mathcal D\mathbf s_{\ell+1}",
        objects=("maps.AffineMap",),
    ),
    erratum_statement(
        "E34",
        "where lambda lives",
        Erratum(
            "LG Theorem 3.6, proof; A.2 end",
            "lambda in TW (x) T*Z; 'positive definite' there",
            "lambda in Hull(A)*; lambda (x) mu is then in TW",
            TYPES,
        ),
        (Check("X", "as corrected; as printed, refused", affine_function_and_vector, PAIR, "GF(p)"),),
        (Mutant("the corrected form put in its place", affine_function_and_vector, PAIR[0]),),
        r"\lambda\in\widehat A^*,\qquad\lambda\otimes\mu\in TW",
        ("spaces.Hull", "spaces.Hom", "spaces.TensorProduct"),
    ),
    erratum_statement(
        "E35",
        "whose exponential map the update is",
        Erratum(
            "LG Theorem 3.1, proof",
            "Exp of g corresponds to the update",
            "Exp of the affine, flat connection; the metric's own differs where the metric varies",
        ),
        (
            Check("X", "as corrected", exponential_map, PAIR, "GF(p)"),
            Check("C", "as printed, the metric w^2 dw^2", geodesics_of_the_metric, ONE[:1], "Q"),
        ),
        (Mutant("the corrected form put in its place", exponential_map, PAIR[0]),),
        latex=r"\operatorname{Exp}_w(v)=w+v",
    ),
    erratum_statement(
        "E36",
        "on which space g(z) is a form",
        Erratum("LG Theorem 3.6, proof", "g(z) a 2-tensor on T*Z", "on TZ", TYPES),
        (Check("X", "as corrected; as printed, refused", form_on_the_tangent_space, ONE, "GF(p)"),),
        (Mutant("the corrected form put in its place", form_on_the_tangent_space, ONE[-1]),),
        r"g(z)\in T^*Z\otimes T^*Z",
        ("metrics.MetricTensor.flat",),
    ),
)
