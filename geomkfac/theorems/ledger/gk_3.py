"""GK-3 to GK-6: what variants of K-FAC keep of its invariance, and what they lose."""

from __future__ import annotations

from geomkfac.theorems.engine.statement import Check, Comparisons, Identity, Mutant, Statement
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.invariance_claim import InvarianceClaim
from geomkfac.updates import DiagonalFisher, EigenvalueCorrectedKfac, Foof, Kfac, Update


def kept(rule: Update, activations: str, preactivations: str) -> Identity:
    """The claim that a rule is invariant to changes from two groups; ``larger`` ones may be planted."""

    def claim(world: World) -> Comparisons:
        groups = (activations, preactivations)
        if world.planted("affine changes of all"):
            groups = ("affine", "affine")
        return InvarianceClaim(rule, *groups)(world)

    claim.__doc__ = (
        f"{type(rule).__name__}, on a network and on its double: activations changed by a random member of the group "
        f"'{activations}', pre-activations by one of '{preactivations}'; before and after two updates."
    )
    return claim


def profile(rule: Update, keeps: tuple[tuple[str, str], ...], loses: tuple[tuple[str, str], ...]) -> tuple[Check, ...]:
    """Exact checks of what a rational rule keeps, and counterexamples of what it loses."""
    return (
        *(Check("X", _name(*groups), kept(rule, *groups), SIZES, "GF(p)") for groups in keeps),
        *(Check("C", _name(*groups), kept(rule, *groups), SIZES, "GF(p)") for groups in loses),
    )


def _name(activations: str, preactivations: str) -> str:
    parts = [
        f"{what}: {group}"
        for what, group in (("activations", activations), ("pre-activations", preactivations))
        if group != "fixed"
    ]
    return ", ".join(parts)


SIZES = (Sizes((2, 2), 4, 2), Sizes((2, 3, 2), 6, 2, 2))
MANY = (Sizes((2, 2), 20, 2), Sizes((2, 3, 2), 30, 2, 2))
ALL = "affine changes of all"
EKFAC = EigenvalueCorrectedKfac()
EKFAC_KEEPS, EKFAC_LOSES = (("orthogonal", "similarity"),), (("linear", "fixed"), ("fixed", "diagonal"))

STATEMENTS = (
    Statement(
        id="GK-3",
        source="ours; LG Theorem 2.1",
        title="weight and bias in separate blocks",
        text=(
            "K-FAC with a block for the weights and one for the bias keeps its invariance to linear changes of "
            "activations and to affine changes of pre-activations, and loses translations of activations."
        ),
        latex=(
            r"\mathbf G^{-1}\,\nabla_{\mathbf W}h\,\mathbb E[\mathbf a\mathbf a^\top]^{-1},\quad"
            r"\mathbf G^{-1}\nabla_{\mathbf b}h"
        ),
        hypotheses=("E[a a^T] and G are invertible.",),
        checks=profile(Kfac(joint=False), (("linear", "affine"),), (("translation", "fixed"),)),
        mutants=(Mutant(ALL, kept(Kfac(joint=False), "linear", "affine"), SIZES[-1]),),
        objects=("updates.Kfac",),
    ),
    Statement(
        id="GK-4",
        source="ours; LG 1",
        title="the diagonal of the Fisher matrix",
        text=(
            "Dividing every entry of the gradient by its own entry of the exact Fisher matrix keeps diagonal changes, "
            "permutations, and shifts of pre-activations; it loses orthogonal changes, shears, and shifts of "
            "activations."
        ),
        latex=r"\Delta w_{ij}=-\epsilon\,\frac{\partial h/\partial w_{ij}}{\mathbb E[(\mathcal Dz_i\,a_j)^2]}",
        hypotheses=("No entry of the diagonal is 0.",),
        checks=(
            *profile(
                DiagonalFisher(),
                (("diagonal", "diagonal"), ("permutation", "permutation"), ("fixed", "translation")),
                (
                    ("orthogonal", "fixed"),
                    ("fixed", "orthogonal"),
                    ("shear", "fixed"),
                    ("fixed", "shear"),
                    ("translation", "fixed"),
                ),
            ),
            Check("N", _name("diagonal", "diagonal"), kept(DiagonalFisher(), "diagonal", "diagonal"), MANY, "floating"),
        ),
        mutants=(Mutant(ALL, kept(DiagonalFisher(), "diagonal", "diagonal"), SIZES[-1]),),
        objects=("updates.DiagonalFisher",),
    ),
    Statement(
        id="GK-5",
        source="ours; GM Theorem 4",
        title="K-FAC with G = I",
        text=(
            "With the identity for G (PRONG, FOOF) the update keeps every affine change of the activations, and "
            "orthogonal changes and shifts of the pre-activations; it loses their diagonal changes."
        ),
        latex=r"\bar{\mathbf W}\leftarrow\bar{\mathbf W}-\epsilon\,\nabla_{\bar{\mathbf W}}h\,\mathbf A^{-1}",
        hypotheses=("A is invertible.",),
        checks=(
            *profile(Foof(), (("affine", "rigid"),), (("fixed", "diagonal"),)),
            Check("N", _name("affine", "rigid"), kept(Foof(), "affine", "rigid"), MANY, "floating", condition_power=4),
        ),
        mutants=(Mutant(ALL, kept(Foof(), "affine", "rigid"), SIZES[-1]),),
        objects=("updates.Foof",),
    ),
    Statement(
        id="GK-6",
        source="ours; eigenvalue-corrected K-FAC (George et al. 2018)",
        title="eigenvalues corrected in the Kronecker eigenbasis",
        text=(
            "Undamped, with simple spectra, EKFAC keeps orthogonal changes of activations, and orthogonal changes "
            "times a scalar and shifts of pre-activations.  The eigenbasis is not carried along by an affine map, so "
            "the rest is lost."
        ),
        latex=(
            r"\mathbf U_G\Bigl[\bigl(\mathbf U_G^\top\nabla h\,\mathbf U_A\bigr)\big/"
            r"\mathbb E\bigl[(\mathbf U_G^\top\mathcal D\mathbf z\,\bar{\mathbf a}^\top\mathbf U_A)^2\bigr]\Bigr]"
            r"\mathbf U_A^\top"
        ),
        hypotheses=("The eigenvalues of every A and G are simple.",),
        checks=(
            *(
                Check("N", _name(*groups), kept(EKFAC, *groups), MANY, "floating", condition_power=4)
                for groups in EKFAC_KEEPS
            ),
            *(Check("C", _name(*groups), kept(EKFAC, *groups), MANY, "floating") for groups in EKFAC_LOSES),
        ),
        mutants=(Mutant(ALL, kept(EKFAC, "orthogonal", "similarity"), MANY[-1], "floating"),),
        objects=("updates.EigenvalueCorrectedKfac",),
    ),
)
