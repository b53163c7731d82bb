"""Hypothesis strategies for spaces, frames, elements, samples and activations, over every kind of scalar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from geomkfac.arrays import Kind, Namespace, floating
from geomkfac.maps import ACTIVATIONS, Activation, AffineMaps, elu, leaky_relu, polynomial
from geomkfac.spaces import (
    AffineSpace,
    BaseFrame,
    DenseFrame,
    Frame,
    Hom,
    Hull,
    Parameterization,
    Point,
    ProductSpace,
    ProductVectorSpace,
    Sample,
    Space,
    TensorProduct,
    Vector,
    VectorSpace,
)
from geomkfac.spaces.frames.change import Components
from geomkfac.spaces.space import BaseSpace
from geomkfac.testing.arrays import changes_of_basis, small_arrays
from geomkfac.testing.hypothesis_extra import composite, hypothesis_strategies

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MAX_DIM = 3


def vector_spaces(kind: Kind = floating, *, max_dim: int = MAX_DIM, name: str = "V") -> SearchStrategy[VectorSpace]:
    """Base vector spaces of dimension 1 to `max_dim`; every draw is a new space."""
    st = hypothesis_strategies()
    strategy: SearchStrategy[VectorSpace] = st.builds(lambda dim: VectorSpace(name, dim, kind), st.integers(1, max_dim))
    return strategy


def affine_spaces(kind: Kind = floating, *, max_dim: int = MAX_DIM, name: str = "A") -> SearchStrategy[AffineSpace]:
    """Affine base spaces of dimension 1 to `max_dim`; every draw is a new space."""
    st = hypothesis_strategies()
    strategy: SearchStrategy[AffineSpace] = st.builds(lambda dim: AffineSpace(name, dim, kind), st.integers(1, max_dim))
    return strategy


def spaces(kind: Kind = floating, *, max_dim: int = MAX_DIM) -> SearchStrategy[Space]:
    """A space of any sort: base, dual, direction, hull, Hom, tensor product, affine maps, product."""
    st = hypothesis_strategies()
    make: list[Callable[..., Space]] = [
        lambda V, W, A, Z: V,
        lambda V, W, A, Z: A,
        lambda V, W, A, Z: V.dual,
        lambda V, W, A, Z: A.direction,
        lambda V, W, A, Z: Hull(A),
        lambda V, W, A, Z: Hom(V, W),
        lambda V, W, A, Z: TensorProduct(V, W.dual),
        lambda V, W, A, Z: AffineMaps(A, Z),
        lambda V, W, A, Z: Hom(V, W).dual,
        lambda V, W, A, Z: ProductSpace(A, AffineMaps(A, Z)),
        lambda V, W, A, Z: ProductVectorSpace(V, A.direction, Hom(V, W)),
        lambda V, W, A, Z: Hull(ProductSpace(A, Z)),
        lambda V, W, A, Z: TensorProduct(V, Hull(A).dual, Z.direction),
    ]
    parts = [
        vector_spaces(kind, max_dim=max_dim),
        vector_spaces(kind, max_dim=max_dim, name="W"),
        affine_spaces(kind, max_dim=max_dim),
        affine_spaces(kind, max_dim=max_dim, name="Z"),
    ]
    strategy: SearchStrategy[Space] = st.builds(lambda chosen, *bases: chosen(*bases), st.sampled_from(make), *parts)
    return strategy


def base_spaces_of(space: Space) -> list[BaseSpace]:
    """The base spaces from which a space is built, each once."""
    met: dict[BaseSpace, None] = {}

    def note(base: BaseSpace) -> BaseFrame:
        met[base] = None
        return base._reference_frame()

    space.frame_from(note)
    return list(met)


def parameterizations(spaces: Iterable[Space], *, name: str = "drawn") -> SearchStrategy[Parameterization]:
    """A frame for every base space that these spaces are built from; all shrink to one common choice."""
    bases = list(dict.fromkeys(base for space in spaces for base in base_spaces_of(space)))

    def build(draw: Callable[[Any], Any]) -> Parameterization:
        chosen = []
        for base in bases:
            matrix, translation = draw(changes_of_basis(base.dim, base.kind, translated=base.is_affine))
            chosen.append(base._reference_frame().change(matrix, translation, name=name))
        return Parameterization(chosen, name=name)

    return composite(build)


def frames(space: Space) -> SearchStrategy[Frame]:
    """A frame of a space, derived from frames of the base spaces that it is built from."""
    strategy: SearchStrategy[Frame] = parameterizations([space]).map(lambda drawn: drawn[space])
    return strategy


def elements(
    space: Space, frame: Any, batch: tuple[int, ...] = (), *, ns: Namespace | None = None
) -> SearchStrategy[Any]:
    """Points or vectors of a space with small integer coordinates in `frame`.

    Parameters
    ----------
    space : Space
    frame : Frame of `space`, or a Parameterization
    batch : shape of the batch
    ns : namespace of the arrays; the default one of the kind where None
    """
    namespace = space.kind.default_namespace if ns is None else ns
    own = space.own_frame(frame)
    slots = (space.dim,) if isinstance(own, DenseFrame) else space.slots
    return _components(namespace, slots, batch).map(lambda numbers: space.from_coordinates(numbers, own))


def _components(ns: Namespace, slots: Any, batch: tuple[int, ...]) -> SearchStrategy[Components]:
    if not any(isinstance(part, tuple) for part in slots):
        return small_arrays(ns, (*batch, *slots))
    st = hypothesis_strategies()
    strategy: SearchStrategy[Components] = st.tuples(*(_components(ns, part, batch) for part in slots))
    return strategy


def points(
    space: Space, frame: Any, batch: tuple[int, ...] = (), *, ns: Namespace | None = None
) -> SearchStrategy[Point]:
    """Points of an affine space; see `elements`."""
    return elements(space, frame, batch, ns=ns)


def vectors(
    space: Space, frame: Any, batch: tuple[int, ...] = (), *, ns: Namespace | None = None
) -> SearchStrategy[Vector]:
    """Vectors of a vector space; see `elements`."""
    return elements(space, frame, batch, ns=ns)


def affine_maps(domain: Space, codomain: Space, parameterization: Parameterization) -> SearchStrategy[Point]:
    """Points of ``AffineMaps(domain, codomain)``, with small integers (W b) in these frames."""
    return elements(AffineMaps(domain, codomain), parameterization)


def samples(space: Space, frame: Frame, *, max_count: int = 4, weighted: bool = False) -> SearchStrategy[Sample]:
    """Samples of 1 to `max_count` points with small integer coordinates; weights are 1, 2 or 3."""

    def build(draw: Callable[[Any], Any]) -> Sample:
        st = hypothesis_strategies()
        ns = space.kind.default_namespace
        count = draw(st.integers(1, max_count))
        array = draw(small_arrays(ns, (count, *space.slots)))
        weights = draw(small_arrays(ns, (count,), bound=1)) + 2 if weighted else None
        return Sample.from_coordinates(array, None, frame, weights=weights)

    return composite(build)


def activations(kind: Kind = floating, *, smooth: bool = False) -> SearchStrategy[Activation]:
    """Activations that run over a kind: polynomials over all, the named ones in floating point.

    Parameters
    ----------
    smooth : leave out those that lack a derivative of some order somewhere
    """
    st = hypothesis_strategies()
    polynomials = st.lists(st.integers(-3, 3), min_size=1, max_size=4).map(polynomial)
    strategy: SearchStrategy[Activation]
    if kind.is_exact:
        strategy = st.one_of(st.just(ACTIVATIONS["identity"]), polynomials)
    else:
        choices = [st.sampled_from([phi for phi in ACTIVATIONS.values() if phi.smooth or not smooth]), polynomials]
        if not smooth:
            numbers = st.integers(-4, 8).map(lambda number: number / 4)
            choices += [numbers.map(leaky_relu), numbers.map(elu)]
        strategy = st.one_of(choices)
    return strategy
