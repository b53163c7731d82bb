"""Sentences about the null directions of a network's factors, and about what was chosen there."""

from __future__ import annotations

from geomkfac.metrics import DenseTensor, DirectSumTensor

RANKS = (
    "Ranks are decided about a point among the data, on the factor scaled to unit diagonal: eigenvalues that rounding "
    "may have made count as zero. The constants of a softmax are known, and need no decision."
)


def degeneracies(metric: DirectSumTensor, output: str, output_layer: int | None) -> list[str]:
    """One sentence for each degenerate factor.

    Parameters
    ----------
    metric : a K-FAC metric
    output : the name of the output family
    output_layer : index of the layer whose pre-activations are the outputs
    """
    notes = []
    factors = metric.kronecker_factors()
    for index, (activations, preactivations) in enumerate(factors):
        layer = index + 1
        if activations.nullity:
            relations = _count(activations.nullity, "independent affine relation")
            notes.append(
                f"A{index} is degenerate in {_count(activations.nullity, 'direction')}: on these data the inputs of "
                f"layer {layer} satisfy {relations}, to rounding (a constant coordinate is one){_gap(activations)}."
            )
        if preactivations.nullity:
            softmax = output == "categorical" and index == output_layer
            notes.append(
                f"G{layer} is degenerate in {_count(preactivations.nullity, 'direction')}: "
                f"{_unseen(preactivations.nullity, layer, softmax)}{_gap(preactivations)}."
            )
        for name, form in ((f"A{index}", activations), (f"G{layer}", preactivations)):
            if not form.is_clear:
                notes.append(f"The rank of {name} is not clear-cut: in another basis rounding may decide otherwise.")
    return notes


def _gap(form: DenseTensor) -> str:
    """What was measured on either side of the cut."""
    if form.gap is None:
        return ""
    zero, nonzero = form.gap
    return f"; eigenvalues up to {zero:.1e} count as zero, the next is {nonzero:.1e}"


def _unseen(nullity: int, layer: int, softmax: bool) -> str:
    moves = f"moves of the pre-activations of layer {layer} that the output metric does not see on these data"
    if not softmax:
        return moves
    constants = "adding a constant to all logits changes no probability"
    return constants if nullity == 1 else f"{constants}; the others are {moves}"


def _count(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
