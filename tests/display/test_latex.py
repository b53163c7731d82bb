"""Formulas of arrays of every kind, and of intrinsic objects in named frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy

import geomkfac as gk
from geomkfac.arrays import GF, Stream, rational, symbolic, symbols
from geomkfac.display import latex
from geomkfac.display.mathml import mathml
from geomkfac.errors import FrameError, ShapeError
from geomkfac.metrics import CovectorMetric, IndependenceMetric
from geomkfac.operators import BlockDiagonal, KroneckerProduct

Q = rational.default_namespace
BEGIN, END = r"\begin{bmatrix}", r"\end{bmatrix}"


@pytest.mark.parametrize(
    ("array", "formula"),
    [
        (Q.asarray([[1, Fraction(-1, 2)], [0, 3]]), rf"{BEGIN}1 & -\frac{{1}}{{2}} \\ 0 & 3{END}"),
        (Q.asarray([1, 2]), rf"{BEGIN}1 \\ 2{END}"),
        (Q.scalar(Fraction(2, 3)), r"\frac{2}{3}"),
        (GF(7).default_namespace.asarray([[-1, 8]]), rf"{BEGIN}6 & 1{END}"),
        (np.array([[0.5, 1e-12]]), rf"{BEGIN}0.5 & 1 \cdot 10^{{-12}}{END}"),
        (np.array([-3.0, 123456.0]), rf"{BEGIN}-3 \\ 1.235 \cdot 10^{{5}}{END}"),
        (symbols(Stream("s"), (1, 2), r"\Omega"), rf"{BEGIN}\Omega_{{11}} & \Omega_{{12}}{END}"),
    ],
)
def test_arrays_of_every_kind(array, formula):
    assert latex(array) == formula
    assert "\\" not in mathml(latex(array)).replace("\\\\", "")


def test_expressions_are_sympys_formulas():
    x = sympy.Symbol("x", real=True)
    array = symbolic.default_namespace.asarray([[x**2 / 2]])
    assert latex(array) == rf"{BEGIN}{sympy.latex(x**2 / 2)}{END}"


def test_an_intrinsic_object_has_a_formula_in_a_named_frame_alone():
    A = gk.AffineSpace("A", 2, rational)
    iota = A.frame("iota")
    kappa = iota.change([[1, 1], [0, 1]], [5, 0])
    p = A.from_coordinates([1, 2], iota)
    assert latex(p, iota) == rf"{BEGIN}1 \\ 2{END}"
    assert latex(p, kappa) == rf"{BEGIN}8 \\ 2{END}"
    with pytest.raises(FrameError, match="Name a frame"):
        latex(p)


def test_a_metric_of_a_layer_is_a_kronecker_product_of_two_matrices():
    A, Z = gk.AffineSpace("A", 1, rational), gk.AffineSpace("Z", 1, rational)
    iota = gk.Parameterization([A.frame("iota"), Z.frame("iota")])
    points = A.from_coordinates([[1], [3]], iota)
    metric = CovectorMetric(iota[Z], lambda z: (Q.asarray([[1, 1]]), Q.asarray([[[2], [2]]])))
    w = gk.AffineMaps(A, Z).from_coordinates([[0, 0]], iota)
    g = IndependenceMetric(points, metric).at(w)
    assert latex(g, iota) == rf"{BEGIN}5 & 2 \\ 2 & 1{END} \otimes {BEGIN}4{END}"


def test_block_diagonal_matrices_are_direct_sums():
    one = KroneckerProduct(Q.eye(1), Q.eye(1))
    formula = latex(BlockDiagonal((one, one)))
    assert formula.count(r"\oplus") == 1
    assert formula.count(r"\otimes") == 2


def test_lists_are_shown_part_by_part_and_batches_are_refused():
    assert latex([Q.scalar(1), Q.scalar(2)]) == r"1,\quad 2"
    with pytest.raises(ShapeError, match="2 axes at most"):
        latex(Q.zeros((1, 1, 1)))


def test_exact_arrays_show_themselves_in_notebooks():
    assert Q.asarray([[Fraction(1, 2)]])._repr_latex_() == r"$\left[\begin{matrix}\frac{1}{2}\end{matrix}\right]$"
    assert Q.scalar(3)._repr_latex_() == "$3$"
    assert Q.zeros((1, 1, 1))._repr_latex_() is None
    assert "Omega" in symbols(Stream("s"), (2,), r"\Omega")._repr_latex_()
