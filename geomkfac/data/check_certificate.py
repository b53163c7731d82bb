"""Check certificates of geomkfac with nothing but Python's standard library.

    python check_certificate.py DIRECTORY [--verbose]

Every certificate must be whole (its digest, the manifest), and consistent (streams, primes, the probability
that its degrees give).  Those that name a recipe are computed again: the same random point, drawn from the
recorded stream, with the arithmetic and the K-FAC below, which share no code with geomkfac; both sides of every
comparison must agree, and have the recorded hashes.  How likely a false statement is to pass is computed
anew, from degrees that this program keeps account of itself.  The format is described in docs/certificates.md.

Exit status: 0 where all certificates are accepted, 1 where one is rejected, 2 for bad input.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

FORMAT = "geomkfac certificate 1"
PRIMES = 5.06e7  # fewer than there are between 2^30 and 2^31
REDRAWS = 8  # so often a singular point is drawn again


class Rejected(Exception):
    """Why a certificate is rejected."""


class Singular(Rejected):
    """The random point is one at which something must be inverted, and cannot be."""


# -- the random point ---------------------------------------------------------------------------------------
class Stream:
    """Integers from SHAKE-256 of the key and the number of the call, 16 bytes each."""

    def __init__(self, key: str) -> None:
        self.key, self.calls = key, 0

    def integers(self, low: int, high: int, count: int) -> list[int]:
        data = hashlib.shake_256(f"{self.key}/{self.calls}".encode()).digest(16 * count)
        self.calls += 1
        return [low + int.from_bytes(data[i : i + 16], "big") % (high - low) for i in range(0, 16 * count, 16)]


def is_prime(n: int) -> bool:
    """Miller and Rabin's test with bases that decide below 3e24."""
    small = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    if n < 2 or any(n % q == 0 for q in small):
        return n in small
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in small:
        x = pow(base, odd, n)
        if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
            return False
    return True


# -- matrices over GF(p) that know the degrees of their entries ------------------------------------------------
class Factor:
    """A polynomial that was divided by: bounds on its degree and on log2 of its 1-norm."""

    def __init__(self, degree: int, bits: float) -> None:
        self.degree, self.bits = degree, bits


class Bound:
    """Numerators of degree <= degree and 1-norm <= 2^bits, over a product of factors."""

    def __init__(self, degree: int, bits: float, under: dict[Factor, int] | None = None) -> None:
        self.degree, self.bits, self.under = degree, bits, under or {}

    def times(self, other: Bound, terms: int = 1) -> Bound:
        under = dict(self.under)
        for factor, power in other.under.items():
            under[factor] = under.get(factor, 0) + power
        return Bound(self.degree + other.degree, self.bits + other.bits + math.log2(terms), under)

    def plus(self, other: Bound) -> Bound:
        under = {f: max(self.under.get(f, 0), other.under.get(f, 0)) for f in {*self.under, *other.under}}
        degrees, bits = [], []
        for one in (self, other):
            missing = [(f, power - one.under.get(f, 0)) for f, power in under.items()]
            degrees.append(one.degree + sum(f.degree * k for f, k in missing))
            bits.append(one.bits + sum(f.bits * k for f, k in missing))
        return Bound(max(degrees), max(bits) + 1.0, under)

    def over(self) -> tuple[int, float]:
        """Degree and bits of the denominator."""
        return sum(f.degree * k for f, k in self.under.items()), sum(f.bits * k for f, k in self.under.items())


class Matrix:
    """Rows of integers modulo p; immutable."""

    def __init__(self, run: Run, rows: list[list[int]], bound: Bound) -> None:
        self.run, self.rows, self.bound = run, rows, bound

    def _with(self, rows: list[list[int]], bound: Bound) -> Matrix:
        return Matrix(self.run, rows, bound)

    @property
    def T(self) -> Matrix:
        return self._with([list(column) for column in zip(*self.rows, strict=True)], self.bound)

    def __add__(self, other: Matrix) -> Matrix:
        p = self.run.p
        rows = [[(x + y) % p for x, y in zip(*pair, strict=True)] for pair in zip(self.rows, other.rows, strict=True)]
        return self._with(rows, self.bound.plus(other.bound))

    def __sub__(self, other: Matrix) -> Matrix:
        return self + other * -1

    def __mul__(self, other: Matrix | int) -> Matrix:
        """Entrywise; a matrix of one entry, one row or one column is repeated."""
        p = self.run.p
        if isinstance(other, int):
            bound = self.bound.times(Bound(0, math.log2(max(1, abs(other)))))
            return self._with([[x * other % p for x in row] for row in self.rows], bound)
        high, wide = len(other.rows), len(other.rows[0])
        rows = [
            [x * other.rows[i if high > 1 else 0][j if wide > 1 else 0] % p for j, x in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        return self._with(rows, self.bound.times(other.bound))

    def __matmul__(self, other: Matrix) -> Matrix:
        p, columns = self.run.p, list(zip(*other.rows, strict=True))
        rows = [[sum(x * y for x, y in zip(row, c, strict=True)) % p for c in columns] for row in self.rows]
        return self._with(rows, self.bound.times(other.bound, len(other.rows)))

    def inverse(self) -> Matrix:
        """By Gauss and Jordan; the degrees are the adjugate's."""
        p, n = self.run.p, len(self.rows)
        work = [[*row, *(int(i == j) for j in range(n))] for i, row in enumerate(self.rows)]
        for k in range(n):
            pivot = next((i for i in range(k, n) if work[i][k]), None)
            if pivot is None:
                raise Singular("a matrix that must be inverted is singular at the recorded point")
            work[k], work[pivot] = work[pivot], work[k]
            scale = pow(work[k][k], -1, p)
            work[k] = [x * scale % p for x in work[k]]
            for i in range(n):
                if i != k and work[i][k]:
                    by = work[i][k]
                    work[i] = [(x - by * y) % p for x, y in zip(work[i], work[k], strict=True)]
        degree, bits = self.bound.degree, self.bound.bits
        factor = self.run.factor(n * degree, n * bits + math.log2(math.factorial(n)))
        above = self.bound.over()
        bound = Bound(
            above[0] + (n - 1) * degree, above[1] + (n - 1) * bits + math.log2(math.factorial(n - 1)), {factor: 1}
        )
        return self._with([row[n:] for row in work], bound)

    def homogeneous(self) -> Matrix:
        """A one appended to every row."""
        return self._with([[*row, 1] for row in self.rows], self.bound.plus(Bound(0, 0.0)))

    def columns(self, start: int, stop: int | None = None) -> Matrix:
        return self._with([row[start:stop] for row in self.rows], self.bound)

    def total(self) -> Matrix:
        """The sum of all entries."""
        bound = self.bound.times(Bound(0, 0.0), len(self.rows) * len(self.rows[0]))
        return self._with([[sum(map(sum, self.rows)) % self.run.p]], bound)

    def flat(self) -> list[int]:
        return [x for row in self.rows for x in row]


def joined(parts: Sequence[Matrix]) -> Matrix:
    """One row after another of all the parts."""
    bound = parts[0].bound
    for part in parts[1:]:
        bound = bound.plus(part.bound)
    return Matrix(parts[0].run, [row for part in parts for row in part.rows], bound)


class Run:
    """One trial: the prime, the stream, and the account of degrees."""

    def __init__(self, key: str, sizes: dict[str, Any]) -> None:
        self.stream = Stream(key)
        while not is_prime(p := self.stream.integers(2**30, 2**31, 1)[0]):
            pass
        self.p, self.sizes = p, sizes
        self.factors: list[Factor] = []
        self.zero: list[Bound] = []
        self.compared: list[tuple[str, str]] = []

    def factor(self, degree: int, bits: float) -> Factor:
        self.factors.append(Factor(degree, bits))
        return self.factors[-1]

    def draw(self, rows: int, columns: int) -> Matrix:
        numbers = self.stream.integers(0, self.p, rows * columns)
        return Matrix(self, [numbers[i * columns : (i + 1) * columns] for i in range(rows)], Bound(1, 0.0))

    def draw_each(self, count: int, rows: int, columns: int) -> list[Matrix]:
        """`count` matrices from one call."""
        numbers = self.draw(count * rows, columns)
        return [Matrix(self, numbers.rows[k * rows : (k + 1) * rows], numbers.bound) for k in range(count)]

    def identity(self, n: int) -> Matrix:
        return Matrix(self, [[int(i == j) for j in range(n)] for i in range(n)], Bound(0, 0.0))

    def mean(self, total: Matrix, count: int) -> Matrix:
        factor = self.factor(0, math.log2(count))
        rows = [[x * pow(count, -1, self.p) % self.p for x in row] for row in total.rows]
        return Matrix(self, rows, total.bound.times(Bound(0, 0.0, {factor: 1})))

    def same(self, left: Matrix, right: Matrix, shape: tuple[int, ...]) -> None:
        """The claim that both sides agree, and what they are hashed to."""
        if left.rows != right.rows:
            raise Rejected("both sides of a comparison differ: the statement is false at the recorded point")
        self.zero.append(left.bound.plus(right.bound))
        texts = ["x".join(map(str, shape)) + ":" + ",".join(map(str, side.flat())) for side in (left, right)]
        self.compared.append((sha256(texts[0].encode()), sha256(texts[1].encode())))

    def met(self, first: Matrix, again: Matrix) -> None:
        """The premise that a table is asked at points where it was drawn already."""
        if first.rows != again.rows:
            raise Rejected("the second network meets other points than the first: the statement is false there")
        self.zero.append(first.bound.plus(again.bound))

    def probability(self) -> float:
        """That a false statement passes this trial: a bad prime, or an accident of the point."""
        d, e = sum(bound.degree for bound in self.zero), sum(factor.degree for factor in self.factors)
        return probability(d, e, math.ceil(sum(bound.bits for bound in self.zero)), self.p)


def probability(d: int, e: int, b: int, p: int) -> float:
    """``b / (30 * 5.06e7) + d / (p - e)``, at most 1."""
    return min(1.0, b / (30 * PRIMES) + d / (p - e)) if e < p else 1.0


def sha256(data: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


# -- K-FAC and natural gradient of networks, rows are data ---------------------------------------------------------
class Network:
    """Weights (W b), and tables of arbitrary activations, loss and output metric at the points met in one pass."""

    def __init__(self, run: Run, weights: list[Matrix], x: Matrix, tables: Network | None = None) -> None:
        self.weights, self.a, self.z, self.slopes = weights, [x], [], []
        for i, W in enumerate(weights):
            self.z.append(self.a[-1].homogeneous() @ W.T)
            if tables is None:
                count, m = len(x.rows), len(W.rows)
                self.a.append(run.draw(count, m))
                self.slopes.append(run.draw(count, m))
            else:
                run.met(tables.z[i], self.z[i])
                self.a.append(tables.a[i + 1])
                self.slopes.append(tables.slopes[i])

    def backward(self, covectors: Matrix) -> list[Matrix]:
        """Derivatives by every pre-activation: ``Da = Dz W`` and ``Dz = Da * slope``."""
        found: list[Matrix] = []
        for W, slope in zip(reversed(self.weights), reversed(self.slopes), strict=True):
            found.insert(0, covectors * slope)
            covectors = found[0] @ W.columns(0, -1)
        return found


class Loss:
    """An arbitrary output metric, sum_k c_k phi_k phi_k^T at every datum, and an arbitrary loss differential."""

    def __init__(self, run: Run, count: int, m: int) -> None:
        K = run.sizes["covectors"]
        self.c = [block.columns(0, 1) for block in run.draw_each(K, count, m)]
        self.phi = run.draw_each(K, count, m)
        self.differential = run.draw(count, m)


def theorem_2_1(run: Run) -> None:
    """LG Theorem 2.1: textbook K-FAC on a network and on its double in other affine bases."""
    widths, count = run.sizes["widths"], run.sizes["data"]
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    W = [run.draw(m, n + 1) for m, n in shapes]
    Omega = [run.draw(n, n) for n in widths]
    gamma = [run.draw(1, n) for n in widths]
    Phi = [run.draw(m, m) for m in widths[1:]]
    tau = [run.draw(1, m) for m in widths[1:]]
    W_dagger = [to_double(run, *each) for each in zip(W, Omega, gamma, Phi, tau, strict=False)]
    x, rate = run.draw(count, widths[0]), run.draw(1, 1)

    def both(one: list[Matrix], two: list[Matrix], inputs: Matrix) -> tuple[Network, Double]:
        network = Network(run, one, inputs)
        double = Double(run, two, network, Omega, gamma, Phi, tau)
        for z, z_dagger, P, t in zip(network.z, double.z, Phi, tau, strict=True):
            run.same(z, shifted(z_dagger @ P.T, t), (count, len(P.rows)))
        run.same(shifted(network.a[-1] @ Omega[-1].T, gamma[-1]), double.a[-1], (count, widths[-1]))
        return network, double

    network, double = both(W, W_dagger, x)
    loss = Loss(run, count, widths[-1])
    W = kfac_update(run, W, rate, network, loss.c, loss.phi, loss.differential)
    into = Omega[-1].inverse()
    phi, differential = [phi @ into for phi in loss.phi], loss.differential @ into
    W_dagger = kfac_update(run, W_dagger, rate, double, loss.c, phi, differential)
    both(W, W_dagger, x)
    both(W, W_dagger, run.draw(count, widths[0]))


def to_double(run: Run, W: Matrix, Omega: Matrix, gamma: Matrix, Phi: Matrix, tau: Matrix) -> Matrix:
    """``W' = Phi^-1 W Omega^-1`` and ``b' = Phi^-1 (b - tau) - W' gamma``."""
    back = Phi.inverse()
    linear = back @ W.columns(0, -1) @ Omega.inverse()
    constant = back @ (W.columns(-1) - tau.T) - linear @ gamma.T
    return joined([linear.T, constant.T]).T


def shifted(rows: Matrix, by: Matrix) -> Matrix:
    """The row `by` added to every row."""
    return rows + Matrix(rows.run, by.rows * len(rows.rows), by.bound)


class Double:
    """The network with activations ``Omega phi(Phi z + tau) + gamma``, which meets the tables of the first."""

    def __init__(
        self,
        run: Run,
        weights: list[Matrix],
        first: Network,
        Omega: list[Matrix],
        gamma: list[Matrix],
        Phi: list[Matrix],
        tau: list[Matrix],
    ) -> None:
        self.weights, self.first, self.Omega, self.Phi = weights, first, Omega, Phi
        self.a, self.z = [shifted(first.a[0] @ Omega[0].T, gamma[0])], []
        for i, W in enumerate(weights):
            self.z.append(self.a[-1].homogeneous() @ W.T)
            run.met(first.z[i], shifted(self.z[i] @ Phi[i].T, tau[i]))
            self.a.append(shifted(first.a[i + 1] @ Omega[i + 1].T, gamma[i + 1]))

    def backward(self, covectors: Matrix) -> list[Matrix]:
        found: list[Matrix] = []
        for i in reversed(range(len(self.weights))):
            found.insert(0, ((covectors @ self.Omega[i + 1]) * self.first.slopes[i]) @ self.Phi[i])
            covectors = found[0] @ self.weights[i].columns(0, -1)
        return found


def kfac_update(
    run: Run,
    weights: list[Matrix],
    rate: Matrix,
    network: Network | Double,
    c: list[Matrix],
    phi: list[Matrix],
    differential: Matrix,
) -> list[Matrix]:
    """``W - rate G^-1 E[Dz a_bar^T] A^-1`` with ``A = E[a_bar a_bar^T]`` and ``G = E[sum_k c_k Dz_k Dz_k^T]``."""
    count = len(differential.rows)
    gradient_Dz, metric_Dz = network.backward(differential), [network.backward(each) for each in phi]
    updated = []
    for i, W in enumerate(weights):
        a_bar = network.a[i].homogeneous()
        A = run.mean(a_bar.T @ a_bar, count)
        rows = joined([Dz[i] for Dz in metric_Dz])
        weighted = joined([Dz[i] * k for Dz, k in zip(metric_Dz, c, strict=True)])
        G = run.mean(weighted.T @ rows, count)
        gradient = run.mean(gradient_Dz[i].T @ a_bar, count)
        updated.append(W - G.inverse() @ gradient @ A.inverse() * rate)
    return updated


def theorem_3_1(run: Run) -> None:
    """LG Theorem 3.1: natural gradient with the Fisher matrix of all weights, in ``w' = B w + c``."""
    widths, count = run.sizes["widths"], run.sizes["data"]
    shapes = [(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    w = joined([joined([Matrix(run, [[x] for x in column], W.bound) for column in zip(*W.rows, strict=True)])
                for W in [run.draw(m, n) for m, n in shapes]])  # fmt: skip
    size = len(w.rows)
    B, c = run.draw(size, size), run.draw(1, size).T
    x, rate = run.draw(count, widths[0]), run.draw(1, 1)
    back = B.inverse()
    w_dagger = B @ w + c
    for _ in range(run.sizes["steps"]):
        network = Network(run, layers(w, shapes), x)
        loss = Loss(run, count, widths[-1])
        F, gradient = fisher_and_gradient(run, network, loss)
        w = w - F.inverse() @ gradient * rate
        there = Network(run, layers(back @ (w_dagger - c), shapes), x, tables=network)
        F, gradient = fisher_and_gradient(run, there, loss)
        F, gradient = back.T @ F @ back, back.T @ gradient
        w_dagger = w_dagger - F.inverse() @ gradient * rate
        run.same(w_dagger, B @ w + c, (size,))


def layers(w: Matrix, shapes: list[tuple[int, int]]) -> list[Matrix]:
    """The matrices (W b) whose columns are stacked in w."""
    found, start, numbers = [], 0, w.flat()
    for m, n in shapes:
        columns = [numbers[start + j * m : start + (j + 1) * m] for j in range(n)]
        found.append(Matrix(w.run, [list(row) for row in zip(*columns, strict=True)], w.bound))
        start += m * n
    return found


def fisher_and_gradient(run: Run, network: Network, loss: Loss) -> tuple[Matrix, Matrix]:
    """``E[sum_k c_k Dw_k Dw_k^T]`` and ``E[Dw]`` with ``Dw = vec(Dz a_bar^T)``, layer under layer."""
    count = len(loss.differential.rows)
    a_bar = [a.homogeneous() for a in network.a[:-1]]

    def derivative(Dz: list[Matrix]) -> Matrix:
        bound = a_bar[0].bound.times(Dz[0].bound)
        for a, D in zip(a_bar[1:], Dz[1:], strict=True):
            bound = bound.plus(a.bound.times(D.bound))
        rows = [
            [x * y % run.p for a, D in zip(a_bar, Dz, strict=True) for x in a.rows[n] for y in D.rows[n]]
            for n in range(count)
        ]
        return Matrix(run, rows, bound)

    rows = [derivative(network.backward(phi)) for phi in loss.phi]
    weighted = joined([each * c for each, c in zip(rows, loss.c, strict=True)])
    F = run.mean(weighted.T @ joined(rows), count)
    gradient = derivative(network.backward(loss.differential))
    ones = Matrix(run, [[1] * count], Bound(0, 0.0))
    return F, run.mean(ones @ gradient, count).T


# -- the independence metric of one layer ------------------------------------------------------------------------
class Layer:
    """Data, a metric on the pre-activations, and a second basis: ``a' = Omega a + gamma``, ``phi' = phi Phi^-1``."""

    def __init__(self, run: Run, a: Matrix | None = None) -> None:
        n, m = run.sizes["widths"]
        count, K = run.sizes["data"], run.sizes["covectors"]
        one = Matrix(run, [[1] * count], Bound(0, 0.0))
        self.a = run.draw(count, n) if a is None else a
        masses = run.draw(1, count)
        masses = masses * masses + one
        coefficients = run.draw_each(K, 1, count)
        phi = run.draw_each(K, count, m)
        Omega, gamma, Phi = run.draw(n, n), run.draw(1, n), run.draw(m, m)
        run.draw(1, m)  # tau, which no covector sees
        self.shares = (masses * masses.total().inverse()).T
        self.c = [(c * c + one).T for c in coefficients]
        self.into = Phi.inverse()
        self.Phi, self.phi = Phi, phi
        self.phi_there = [each @ self.into for each in phi]
        self.bar, self.bar_there = self.a.homogeneous(), shifted(self.a @ Omega.T, gamma).homogeneous()
        corner = Matrix(run, [[0] * n + [1]], Bound(0, 0.0))
        self.Omega_bar = joined([joined([Omega.T, gamma]).T, corner])

    def factors(self, bar: Matrix, phi: list[Matrix]) -> tuple[Matrix, Matrix]:
        """``E[a_bar a_bar^T]`` and ``E[sum_k c_k phi_k phi_k^T]`` over the shares."""
        weighted = joined([each * c * self.shares for each, c in zip(phi, self.c, strict=True)])
        return (bar * self.shares).T @ bar, weighted.T @ joined(phi)

    def form(self, u: Matrix, v: Matrix) -> Matrix:
        """``g_ind(u, v) = tr(u^T G v A)`` of matrices (m, n + 1) in the second basis."""
        A, G = self.factors(self.bar_there, self.phi_there)
        return (u * (G @ v @ A)).total()


def kronecker(A: Matrix, G: Matrix) -> Matrix:
    """``A (x) G``."""
    rows = [[x * y % A.run.p for x in left for y in right] for left in A.rows for right in G.rows]
    return Matrix(A.run, rows, A.bound.times(G.bound))


def proposition_3_7(run: Run) -> None:
    """LG Proposition 3.7: the factors of the first basis, transformed, are those made in the second."""
    it = Layer(run)
    A, G = it.factors(it.bar, it.phi)
    left = kronecker(it.Omega_bar @ A @ it.Omega_bar.T, it.into.T @ G @ it.into)
    run.same(left, kronecker(*it.factors(it.bar_there, it.phi_there)), (len(left.rows), len(left.rows)))


def theorem_3_6_a(run: Run) -> None:
    """LG Theorem 3.6, first half: the form is symmetric, and a sum of squares."""
    it = Layer(run)
    n, m = run.sizes["widths"]
    v, u = run.draw(m, n + 1), run.draw(m, n + 1)
    images = (it.bar_there @ v.T).T
    squares = [((phi @ images) * (phi @ images) * (c * it.shares) * it.shares.T).total()
               for phi, c in zip(it.phi_there, it.c, strict=True)]  # fmt: skip
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    run.same(it.form(v, v), total, ())
    run.same(it.form(u, v), it.form(v, u), ())


def theorem_3_6_b(run: Run) -> None:
    """LG Theorem 3.6, second half: l vanishes on the data, so l (x) mu is in both radicals."""
    n, m = run.sizes["widths"]
    slope, constant = run.draw(1, n), run.draw(1, 1)
    free, mu = run.draw(run.sizes["data"], n - 1), run.draw(m, 1)
    last = (shifted(free @ slope.columns(0, n - 1).T, constant) * -1) @ slope.columns(n - 1).inverse()
    it = Layer(run, joined([free.T, last.T]).T)
    null = it.Phi @ mu @ joined([slope.T, constant]).T @ it.Omega_bar.inverse()
    A, G = it.factors(it.bar_there, it.phi_there)
    zero = Matrix(run, [[0] * (n + 1) for _ in range(m)], Bound(0, 0.0))
    images = it.bar_there @ null.T
    ones = Matrix(run, [[1]] * m, Bound(0, 0.0))
    parts = [(phi * ((phi * images) @ ones) * c * it.shares).T @ it.bar_there
             for phi, c in zip(it.phi_there, it.c, strict=True)]  # fmt: skip
    expected = parts[0]
    for part in parts[1:]:
        expected = expected + part
    run.same(expected, zero, (m, n + 1))
    run.same(G @ null @ A, zero, (m, n + 1))


def reparameterization(run: Run) -> None:
    """J (49)-(52): updates in theta and in theta' agree, F = R^T R and the gradient arbitrary at each point."""
    (d,) = run.sizes["widths"]
    A, theta, alpha = run.draw(d, d), run.draw(d, 1), run.draw(1, 1)
    theta_prime = A.inverse() @ theta
    for _ in range(run.sizes["steps"]):
        R, gradient = run.draw(d, d), run.draw(d, 1)
        F = R.T @ R
        theta = theta - F.inverse() @ gradient * alpha
        theta_prime = theta_prime - (A.T @ F @ A).inverse() @ (A.T @ gradient) * alpha
        run.same(theta, A @ theta_prime, (d, 1))


RECIPES: dict[str, tuple[str, Callable[[Run], None]]] = {
    "LG-T2.1": ("textbook K-FAC on N and on N-dagger, in arrays", theorem_2_1),
    "LG-T3.1": ("Fisher matrix of all weights in arrays, two steps in two bases", theorem_3_1),
    "LG-P3.7": ("made in one basis, read in another", proposition_3_7),
    "LG-T3.6a": ("made in one basis, read in another", theorem_3_6_a),
    "LG-T3.6b": ("the same, drawn in the open", theorem_3_6_b),
    "J-49..52": ("arbitrary F and gradient at each point", reparameterization),
}
# By recipe: the name of the check, which the streams contain, and what computes it again.


# -- certificates ----------------------------------------------------------------------------------------------
def read(path: Path) -> dict[str, Any]:
    """The document of a file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=named_once)
    except (OSError, ValueError, RecursionError) as error:
        raise Rejected(f"it cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"its format is not {FORMAT!r}")
    return document


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a document; two values of one name would be read differently elsewhere."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("one name stands twice")
    return dict(pairs)


def check(path: Path) -> str:
    """What is found, in words; raises Rejected."""
    document = read(path)
    digest = document.pop("digest", None)
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    if digest != sha256(plain):
        raise Rejected("its contents do not fit its digest: it was changed")
    what, evidence = document["check"], document["evidence"]
    if evidence["holds"] is not True or document["verdict"] != "as it must be":
        raise Rejected(f"it certifies a failure: {evidence['text']}")
    if (what["grade"], what["name"]) != (evidence["grade"], evidence["name"]):
        raise Rejected("the check and its evidence have different names")
    recorded, bound = document["recorded"], document["bound"]
    if recorded is None:
        if what["recipe"] is not None:
            raise Rejected("it names a recipe and records no trial")
        return "read (not computed again: no exact trial is recorded)"
    streams(document)
    if bound is not None:
        primes = [trial["prime"] for trial in recorded]
        d, e, b = (bound[name] for name in ("degree", "denominator_degree", "log2_norm"))
        logarithm = sum(math.log10(max(probability(d, e, b, p), 1e-300)) for p in primes)
        if not math.isclose(bound["probability"], 10.0 ** max(logarithm, -300.0), rel_tol=1e-9):
            raise Rejected("the probability is not the one that the degrees and primes give")
    if what["recipe"] is None:
        return "read (not computed again: no recipe; streams and primes are in order)"
    return again(document)


def streams(document: dict[str, Any]) -> None:
    """Every trial's stream is the check's own, numbered, and its prime the one drawn from it."""
    what = document["check"]
    if len(document["recorded"]) != document["trials"]:
        raise Rejected(f"it claims {document['trials']} trials and records {len(document['recorded'])}")
    for number, trial in enumerate(document["recorded"]):
        parts = (document["seed"], document["statement"]["id"], what["grade"], what["name"], number, trial["redraws"])
        if trial["stream"] != "/".join(map(str, parts)):
            raise Rejected(f"the stream of trial {number} is not its own")
        if trial["redraws"] not in range(REDRAWS):
            raise Rejected(f"trial {number} claims {trial['redraws']} redraws, and {REDRAWS - 1} are the most")
        if trial["prime"] is not None and trial["prime"] != Run(trial["stream"], {}).p:
            raise Rejected(f"the prime of trial {number} is not the one that its stream gives")


def again(document: dict[str, Any]) -> str:
    """Compute every trial again."""
    what, logarithm = document["check"], 0.0
    if what["recipe"] not in RECIPES:
        raise Rejected(f"its recipe {what['recipe']!r} is not known to this program")
    name, recipe = RECIPES[what["recipe"]]
    if (document["statement"]["id"], what["name"], what["over"]) != (what["recipe"], name, "GF(p)"):
        raise Rejected("it is not the check that its recipe computes")
    for number, trial in enumerate(document["recorded"]):
        run = Run(trial["stream"], what["sizes"])
        try:
            needed(recipe, trial, what["sizes"])
            recipe(run)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise Rejected(f"trial {number} cannot be computed at these sizes: {error!r}") from error
        claimed = [(one["left"], one["right"]) for one in trial["comparisons"]]
        if claimed != run.compared:
            raise Rejected(f"the hashes of both sides in trial {number} are not the ones computed here")
        logarithm += math.log10(max(run.probability(), 1e-300))
    if logarithm >= 0:
        raise Rejected("a false statement would pass with probability 1: the sizes are too large for these primes")
    return f"computed again: holds; a false statement passes with probability <= 1e{math.ceil(logarithm)}"


def needed(recipe: Callable[[Run], None], trial: dict[str, Any], sizes: dict[str, Any]) -> None:
    """Reject redraws of points that are not singular: nobody has looked for a lucky one."""
    stem = trial["stream"].rpartition("/")[0]
    for redraw in range(trial["redraws"]):
        try:
            recipe(Run(f"{stem}/{redraw}", sizes))
        except Singular:
            continue
        except Rejected as reason:
            raise Rejected(f"a point was drawn again at which the statement is false: {reason}") from reason
        raise Rejected("a point was drawn again that is not singular")


def certificates(directory: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every certificate, by the manifest, and what checks it."""
    manifest = read(directory / "manifest.json")
    files = manifest["files"]
    others = {path.name for path in directory.glob("*.json")} - {*files, "manifest.json"}
    for name in sorted(others):
        yield name, stray
    for name, digest in sorted(files.items()):
        yield name, lambda path=directory / name, digest=digest: listed(path, digest)  # type: ignore[misc]


def stray() -> str:
    """Of a file that is too many."""
    raise Rejected("the manifest does not list it")


def listed(path: Path, digest: str) -> str:
    """Of a file of the manifest."""
    if not path.is_file():
        raise Rejected("the manifest lists it, and it is not there")
    found = check(path)
    if sha256(path.read_bytes()) != digest:
        raise Rejected("it is not the file that the manifest lists")
    return found


def why(error: Exception) -> str:
    """In words, on one line."""
    return str(error) if isinstance(error, Rejected) else f"it is no certificate: {error!r:.200}"


def main(arguments: Sequence[str]) -> int:
    """Check a directory, print what is found, and return the exit status."""
    names = [word for word in arguments if not word.startswith("-")]
    if len(names) != 1 or not set(arguments) - set(names) <= {"--verbose"}:
        print(__doc__, file=sys.stderr)
        return 2
    counts, rejected = {"computed again": 0, "read": 0}, 0
    try:
        for name, found in certificates(Path(names[0])):
            try:
                text = found()
            except Exception as error:  # Whatever a document that is no certificate leads to.
                rejected += 1
                print(f"REJECTED {name}: {why(error)}")
                continue
            counts["computed again" if text.startswith("computed") else "read"] += 1
            if "--verbose" in arguments or text.startswith("computed"):
                print(f"{name}: {text}")
    except Exception as error:
        print(f"REJECTED {names[0]}: {why(error)}")
        return 1
    print(f"{counts['computed again']} computed again, {counts['read']} read, {rejected} rejected.")
    return 1 if rejected or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
