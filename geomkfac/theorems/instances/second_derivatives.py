"""Second derivatives of a network in coordinates, by all its weights.

Activations and losses of exact checks have second derivatives of which nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ValuesError
from geomkfac.theorems.instances.smooth_functions import (
    BernoulliLoss,
    Elementwise,
    GenericActivation,
    GenericLoss,
    RowActivation,
    RowLoss,
    Transformed,
    TransformedLoss,
)
from geomkfac.theorems.instances.textbook.fully_connected import (
    MatrixNetwork,
    MatrixPass,
    backward,
    forward,
    homogeneous,
    total_of,
)


def hessian(ns: Namespace, network: MatrixNetwork, x: Array) -> Array:
    """Of the mean loss of the data `x` (N, n) by all weights; see `hessian_of_pass`."""
    batch = forward(ns, network, x)
    slopes = network.loss.differential(batch.activations[-1])
    return hessian_of_pass(ns, network, batch, backward(network, batch, slopes), slopes)


def _curvature(ns: Namespace, phi: RowActivation, z: Array, covectors: Array) -> Array:
    """``sum_j u_j d^2 phi_j(z)`` of every datum, array (N, m, m), for covectors u (N, m)."""
    if isinstance(phi, Transformed):
        inner = _curvature(ns, phi.phi, z @ phi.Phi.mT + phi.tau, covectors @ phi.Omega)
        return phi.Phi.mT @ inner @ phi.Phi
    if isinstance(phi, GenericActivation):
        second = phi.second_derivative(z)
    elif isinstance(phi, Elementwise):
        second = phi.function.second_derivative(ns, z)
    else:
        raise _without_second_derivatives(phi)
    return (covectors * second)[:, :, None] * ns.eye(z.shape[-1])


def _output_curvature(ns: Namespace, of_outputs: RowLoss, outputs: Array) -> Array:
    """The Hessian of the loss of every datum by the outputs, array (N, m, m)."""
    if isinstance(of_outputs, TransformedLoss):
        back = of_outputs.Omega_inverse
        return back.mT @ _output_curvature(ns, of_outputs.loss, (outputs - of_outputs.gamma) @ back.mT) @ back
    if isinstance(of_outputs, GenericLoss):
        return of_outputs.hessian(outputs)
    if isinstance(of_outputs, BernoulliLoss):
        # Outputs are natural parameters: the Hessian is the Fisher metric, whatever the targets.
        weights, covectors = of_outputs.metric(outputs)
        rows = ns.permute(covectors, (1, 0, 2))
        return (rows * weights.mT[:, :, None]).mT @ rows
    raise _without_second_derivatives(of_outputs)


def _without_second_derivatives(function: object) -> ValuesError:
    return ValuesError(
        "the Hessian needs the second derivatives of every activation and of the loss.\n"
        f"  required: functions of geomkfac.theorems.instances.smooth_functions, as InvarianceClaim draws them\n"
        f"  came    : {function!r}\n"
        "Run the rule by InvarianceClaim, or in floating point, or use one that needs no Hessian."
    )


def hessian_of_pass(
    ns: Namespace, network: MatrixNetwork, batch: MatrixPass, derivatives: Sequence[Array], slopes: Array
) -> Array:
    """Of the mean loss by all weights, array (d, d): layer after layer, the rows of (W b) after one another.

    Every node of the network adds its own second derivative, weighed by the derivative of the loss by its value and
    pulled back by the derivative J of its argument by the weights: activations and the loss theirs, and each layer
    ``dz = dW a``, which is bilinear.
    """
    count = batch.activations[0].shape[0]
    sizes = [W.shape[0] * W.shape[1] for W in network.weights]
    Da = [Dz @ W[:, :-1] for Dz, W in zip(derivatives[1:], network.weights[1:], strict=True)] + [slopes]
    J = ns.zeros((count, network.weights[0].shape[1] - 1, sum(sizes)))
    forms, bilinear = [], []
    for i, (W, phi) in enumerate(zip(network.weights, network.activations, strict=True)):
        (m, n), a = W.shape, homogeneous(ns, batch.activations[i])
        # Row j of dW meets Dz_j and da: the constant at the end of [a; 1] has no derivative.
        da = ns.reshape(ns.concat([J, ns.zeros((count, 1, sum(sizes)))], axis=1), (count, -1))
        bilinear.append(ns.reshape(derivatives[i].mT @ da, (m * n, -1)))
        own = ns.reshape(ns.eye(m)[None, :, :, None] * a[:, None, None, :], (count, m, m * n))
        before, after = sum(sizes[:i]), sum(sizes[i + 1 :])
        parts = [ns.zeros((count, m, before)), own, ns.zeros((count, m, after))]
        J = W[:, :-1] @ J + ns.concat(parts, axis=2)
        z = batch.preactivations[i]
        forms.append(J.mT @ _curvature(ns, phi, z, Da[i]) @ J)
        outputs = Da[i].shape[-1]
        basis = ns.broadcast_to(ns.eye(outputs)[:, None, :], (outputs, count, outputs))
        J = ns.permute(phi.pullback(z, basis), (1, 0, 2)) @ J
    forms.append(J.mT @ _output_curvature(ns, network.loss, batch.activations[-1]) @ J)
    rows = ns.concat(bilinear, axis=0)
    return (rows + rows.mT + ns.sum(total_of(forms), axis=0)) / count
