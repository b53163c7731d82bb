"""The conformance check of metric tensors: one call tests every law that a form claims."""

from __future__ import annotations

from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.errors import SpaceMismatchError
from geomkfac.metrics import MetricTensor
from geomkfac.operators import StructuredMatrix
from geomkfac.spaces import Frame, Vector
from geomkfac.testing.comparison import Bench, LawViolatedError

BATCH = (3,)


def check_metric_tensor(tensor: MetricTensor, rng: Any) -> None:
    """Check the laws of one form on random vectors, in random frames.

    Symmetry and positivity; flat against the form and against its matrix in two frames; sums and
    multiples; the radical; sharp, the coset of solutions and the smallest one.

    Parameters
    ----------
    tensor : one metric tensor, no batch
    rng : numpy.random.Generator

    Raises
    ------
    LawViolatedError
        Where a law does not hold; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.metrics import DenseTensor
    >>> from geomkfac.spaces import VectorSpace
    >>> V = VectorSpace("V", 2)
    >>> g = DenseTensor.from_coordinates(np.asarray([[2.0, 1.0], [1.0, 2.0]]), V.frame("e"))
    >>> check_metric_tensor(g, np.random.default_rng(0))
    """
    if not isinstance(tensor, MetricTensor):
        raise SpaceMismatchError(f"required: a MetricTensor; came: {type(tensor).__name__}.")
    bench = Bench([tensor.space], rng, tensor.namespace)
    _check_form(tensor, bench)
    _check_frames(tensor, bench)
    _check_algebra(tensor, bench)
    _check_radical(tensor, bench)
    _check_solutions(tensor, bench)


def _check_form(tensor: MetricTensor, bench: Bench) -> None:
    u, v = (bench.draw(tensor.space, BATCH) for _ in range(2))
    size = _size(tensor, bench)
    parts = (u * size, v)
    bench.same_numbers("g(u, v) = g(v, u)", tensor(u, v), tensor(v, u), *parts)
    bench.same_numbers("g(u, v) = flat(u)(v)", tensor(u, v), tensor.flat(u)(v), *parts)
    total = tensor.flat(u) + tensor.flat(v)
    bench.same("flat(u + v) = flat(u) + flat(v)", tensor.flat(u + v), total, *_scales(size, u, v))
    bench.same("flat of a batch, one by one", tensor.flat(u)[1], tensor.flat(u[1]), *_scales(size, u))
    if not bench.ns.kind.is_exact:
        ordered = bench.ns.ordered("positivity")
        lengths = bench.size(u) ** 2 * size
        if float(ordered.max(-tensor(u, u))) > bench.tolerance(tensor.space) * (1.0 + lengths):
            raise LawViolatedError(f"g(u, u) >= 0: broken, by {tensor!r}.")


def _check_frames(tensor: MetricTensor, bench: Bench) -> None:
    u, v = (bench.draw(tensor.space) for _ in range(2))
    size = _size(tensor, bench)
    for kappa in (bench.first, bench.second):
        frame = kappa[tensor.space]
        x, y = (tensor.space.flatten(bench.ns, element.coordinates(frame)) for element in (u, v))
        product = bench.ns.matmul(bench.ns.matmul(_matrix(tensor, frame), y)[None, :], x)[0, ...]
        bench.same_numbers("g(u, v) = u^T M v in every frame", product, tensor(u, v), u * size, v)


def _check_algebra(tensor: MetricTensor, bench: Bench) -> None:
    u = bench.draw(tensor.space)
    size = _size(tensor, bench)
    once, scales = tensor.flat(u), _scales(size, u)
    bench.same("(g + g)(u) = 2 g(u)", (tensor + tensor).flat(u), once * 2, *scales)
    bench.same("(3 g)(u) = 3 g(u)", (3 * tensor).flat(u), once * 3, *scales)


def _check_radical(tensor: MetricTensor, bench: Bench) -> None:
    if tensor.rank + tensor.nullity != tensor.space.dim or tensor.radical.dim != tensor.nullity:
        raise LawViolatedError(f"rank + nullity = dim, and the radical has the nullity: broken by {tensor!r}.")
    if tensor.is_degenerate:
        basis = tensor.radical.basis()
        if basis.batch_shape != (tensor.nullity,):
            raise LawViolatedError(f"the radical has a basis of {tensor.nullity}: {basis!r} came.")
        flat = tensor.flat(basis)
        bench.same("flat is zero on the radical", flat, flat * 0, *_scales(_size(tensor, bench), basis))


def _check_solutions(tensor: MetricTensor, bench: Bench) -> None:
    phi = tensor.flat(bench.draw(tensor.space))
    size = _size(tensor, bench)
    norm = bench.first.euclidean
    solutions = {"sharp_coset": tensor.sharp_coset(phi).point, "minimal_solution": tensor.minimal_solution(phi, norm)}
    if not tensor.is_degenerate:
        solutions["sharp"] = tensor.sharp(phi)
    for name, solution in solutions.items():
        bench.same(f"flat({name}(phi)) = phi", tensor.flat(solution), phi, *_scales(size, solution))
    if tensor.is_degenerate:
        basis, smallest = tensor.radical.basis(), solutions["minimal_solution"]
        against = tensor._as_tensor(norm)(basis, smallest)
        bench.same_numbers(
            "the smallest solution is orthogonal to the radical", against, against * 0, basis, smallest * size
        )


def _matrix(tensor: MetricTensor, frame: Frame) -> Array:
    matrix = tensor.coordinates(frame)
    return matrix.dense() if isinstance(matrix, StructuredMatrix) else matrix


def _size(tensor: MetricTensor, bench: Bench) -> Any:
    """The largest Frobenius norm of the matrix in both frames; 1 over exact kinds, where nothing is rounded."""
    if bench.ns.kind.is_exact:
        return 1
    ordered = bench.ns.ordered("a norm")
    return 1.0 + max(ordered.norm(_matrix(tensor, kappa[tensor.space])) for kappa in (bench.first, bench.second))


def _scales(size: Any, *vectors: Vector) -> tuple[Vector, ...]:
    return tuple(vector * size for vector in vectors)
