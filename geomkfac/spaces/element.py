"""Elements of spaces: immutable, batched, and silent about their numbers.

An element knows its space and hides its components, which have shape (*batch, *slots) in a storage
frame of its own choosing.  Arithmetic runs in the frame of the left operand.

Two doors lead to the components.  Users have `coordinates(frame)` and `Space.from_coordinates(array, frame)`, which
check what comes.  The rooms above have an inner door, which checks nothing: `components_in(frame)` and
`Space.from_components(frame, components, namespace)`, with `storage_frame` (where the element lies), `namespace`
(what computes with its arrays) and `with_components` (another element there).  Frames are named at both.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, NoReturn, TypeVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.errors import (
    DivisionByZeroError,
    GeomkfacError,
    InexactEqualityError,
    KindError,
    ShapeError,
    SpaceMismatchError,
    ValuesError,
)
from geomkfac.required import check_type, shown
from geomkfac.spaces.batches import broadcast, checked_key, shape_of_batch
from geomkfac.spaces.frames.change import Components, map_components
from geomkfac.spaces.frames.frame import Frame, convert
from geomkfac.spaces.space import Space, check_same_space

ElementT = TypeVar("ElementT", bound="Element")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Element:
    """An element, or a batch of elements, of a space.

    Attributes
    ----------
    space : the space that it lives in
    batch_shape : the shape of the batch; () for one element
    kind : kind of scalar
    """

    space: Space
    storage_frame: Frame
    _components: Components
    namespace: Namespace

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    @property
    def _noun(self) -> str:
        return self.space._noun.split(" ", 1)[1].capitalize()

    @property
    def kind(self) -> Kind:
        return self.space.kind

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return shape_of_batch(self.space, self.storage_frame, self._components)

    # -- numbers, through a named frame ----------------------------------------------------------
    def coordinates(self, frame: Any) -> Any:
        """The coordinates in `frame`, the paper's double bracket.

        Parameters
        ----------
        frame : Frame of this element's space, or a Parameterization

        Returns
        -------
        array, shape (*batch, *slots); a tuple of arrays for a product space; not to be written to
        """
        return self.components_in(self.space.own_frame(frame))

    def components_in(self, frame: Frame) -> Components:
        return convert(self.space, self._components, self.storage_frame, frame, self.namespace)

    def expressed_in(self: ElementT, frame: Any) -> ElementT:
        """The same element, stored in `frame`, so that what follows runs there."""
        return self._restored(self.space.own_frame(frame))

    def _restored(self: ElementT, frame: Frame) -> ElementT:
        if frame is self.storage_frame:
            return self
        restored: ElementT = self.space._element(frame, self.components_in(frame), self.namespace)
        return restored

    # -- batches ----------------------------------------------------------------------------------
    def __getitem__(self: ElementT, key: Any) -> ElementT:
        """Index or slice the batch axes, with integers, slices, None and ``...``."""
        key = checked_key(key if isinstance(key, tuple) else (key,))
        used = sum(entry is not None and entry is not Ellipsis for entry in key)
        if used > len(self.batch_shape):
            raise ShapeError(f"too many indices for the batch: {self!r} has batch shape {self.batch_shape}.")
        if Ellipsis not in key:
            key = (*key, Ellipsis)
        rank = len(self.batch_shape)
        return self.with_components(
            map_components(lambda leaf: leaf[key + (slice(None),) * (leaf.ndim - rank)], self._components)
        )

    def with_components(self: ElementT, components: Components) -> ElementT:
        made: ElementT = self.space.from_components(self.storage_frame, components, self.namespace)
        return made

    # -- maps --------------------------------------------------------------------------------------
    def __call__(self, *arguments: Any) -> Any:
        """A covector on a vector gives a number (an array of the batch's shape); a linear map a vector.

        An affine map gives a point; what is no map cannot be called.  Source: LG 2.2.1.
        """
        return self.space._call(self, *arguments)

    def __matmul__(self, other: Any) -> Any:
        """The composition of two maps, ``outer @ inner``."""
        return self.space._compose(self, other)

    # -- comparison --------------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        """Whether both are the same element; exact kinds only.  Different spaces are an error."""
        if not isinstance(other, Element):
            return NotImplemented
        check_same_space(self, other, "compare", "Map one into the other's space first.")
        if not self.kind.is_exact:
            raise InexactEqualityError(
                "== compares geometry, and floating-point elements are known only up to rounding.\n"
                "Use isclose(other, frame=..., rtol=...), with a tolerance that you can justify."
            )
        equal = map_components(self.namespace.equal, self._components, other.components_in(self.storage_frame))
        return _all(equal)

    def isclose(self, other: Element, *, frame: Any, rtol: float, atol: float = 0.0) -> bool:
        """Whether coordinates in a named frame agree: ``|x - y| <= atol + rtol |y|``, Euclidean norms.

        Floating point only; whether two elements are close depends on the frame, so it must be named.
        """
        check_type("what is compared", other, Element)
        for tolerance in (rtol, atol):
            check_type("a tolerance", tolerance, Real, error=KindError)
        check_same_space(self, other, "compare", "Map one into the other's space first.")
        self.require_same_namespace(other)
        ns = self.namespace.ordered("isclose")
        own = self.space.own_frame(frame)
        gap = map_components(lambda x, y: ns.norm(x - y) ** 2, self.components_in(own), other.components_in(own))
        size = map_components(lambda y: ns.norm(y) ** 2, other.components_in(own))
        return bool(_total(gap) ** 0.5 <= atol + rtol * _total(size) ** 0.5)

    # -- refusals ------------------------------------------------------------------------------------
    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise KindError(
            f"{self!r} is not an array: it has components only in a frame.\n"
            "Use coordinates(frame), or coordinates(parameterization)."
        )

    def __bool__(self) -> bool:
        raise GeomkfacError(f"{self!r} has no truth value.")

    def __repr__(self) -> str:
        batch = f", batch={self.batch_shape}" if self.batch_shape else ""
        return f"{self._noun} of {self.space!r}{batch} over {self.kind!r}"

    def require_same_namespace(self, other: Element) -> None:
        """Raise unless arrays of both may meet: one namespace, and batch shapes that broadcast."""
        check_namespace(self.namespace, other)
        if not broadcast(self.batch_shape, other.batch_shape):
            raise ShapeError(
                f"the batch shapes do not broadcast.\n  left : {self!r}\n  right: {shown(other)}\n"
                "Axes must agree from the last one on, or be 1; p[..., None] adds an axis."
            )


def check_namespace(ns: Namespace, element: Element) -> None:
    """Raise unless the arrays of `element` are of this namespace."""
    if element.namespace is not ns:
        raise KindError(
            f"cannot mix arrays of different kinds, dtypes, libraries or devices.\n"
            f"  left : {ns.name}\n  right: {element.namespace.name}, in {shown(element)}\n"
            "Convert the arrays to one dtype before they enter."
        )


def _all(tree: Any) -> bool:
    return all(_all(leaf) for leaf in tree) if isinstance(tree, tuple) else bool(tree)


def _total(tree: Any) -> float:
    return sum(_total(leaf) for leaf in tree) if isinstance(tree, tuple) else float(tree)


def weak_scalar(ns: Namespace, value: Any, element: Element) -> Any:
    """A Python scalar or 0-dimensional array by which `element` may be multiplied."""
    if isinstance(value, bool):
        raise KindError(f"cannot scale {shown(element)} by a bool; use an int.")
    if isinstance(value, Integral):
        return ns.scalar(int(value))
    if isinstance(value, float | Fraction):
        return ns.scalar(value)
    shape = getattr(value, "shape", None)
    if shape == () and not isinstance(value, Element):
        return ns.asarray(value, what="scalar")
    raise KindError(
        f"cannot multiply {shown(element)} by {type(value).__name__}"
        + (f" of shape {shape}" if shape is not None else "")
        + ".\nScalars are ints, floats, Fractions and 0-dimensional arrays; "
        "use scaled(array) for one scalar per datum."
    )


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Vector(Element):
    """An element of a vector space: base, dual, direction, hull, Hom, tensor product or product.

    A vector of a dual space is a covector, one of a Hom a linear map, one of a tensor product a
    tensor; `repr` says which.  A covector is called on vectors.
    """

    def _other(self, other: Any, action: str) -> Components:
        if not isinstance(other, Vector):
            if isinstance(other, Point):
                raise SpaceMismatchError(
                    f"cannot {action}: a vector and a point.\n  left : {self!r}\n  right: {shown(other)}\n"
                    "A point plus a vector is a point, point first: p + v."
                )
            raise SpaceMismatchError(
                f"cannot {action}: a vector and what is none.\n  left : {self!r}\n"
                f"  right: {type(other).__name__}\n"
                "Vectors are added to vectors of their space; from_coordinates makes one of an array."
            )
        remedy = "Map one into the other's space with a LinearMap or a canonical isomorphism first."
        check_same_space(self, other, action, remedy)
        self.require_same_namespace(other)
        return other.components_in(self.storage_frame)

    def __add__(self, other: Any) -> Vector:
        return self.with_components(map_components(lambda x, y: x + y, self._components, self._other(other, "add")))

    def __sub__(self, other: Any) -> Vector:
        return self.with_components(
            map_components(lambda x, y: x - y, self._components, self._other(other, "subtract"))
        )

    def __neg__(self) -> Vector:
        return self.with_components(map_components(lambda x: -x, self._components))

    def __mul__(self, scalar: Any) -> Vector:
        factor = weak_scalar(self.namespace, scalar, self)
        return self.with_components(map_components(lambda x: x * factor, self._components))

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> Vector:
        factor = weak_scalar(self.namespace, scalar, self)
        if self.namespace.is_zero(factor):
            raise DivisionByZeroError(f"cannot divide {self!r} by zero; divide by a nonzero scalar.")
        return self.with_components(map_components(lambda x: x / factor, self._components))

    def scaled(self, scalars: Array) -> Vector:
        """Each vector of the batch times its own scalar; `scalars` broadcasts with the batch."""
        checked = self.namespace.asarray(scalars, what="scalars")
        rank = len(self.batch_shape)
        if not broadcast(tuple(checked.shape), self.batch_shape):
            raise ShapeError(
                f"one scalar per vector of the batch is required.\n  required: shape {self.batch_shape}\n"
                f"  came    : shape {tuple(checked.shape)}\nReshape the scalars."
            )

        def scale(leaf: Array) -> Array:
            return self.namespace.reshape(checked, (*checked.shape, *(1,) * (leaf.ndim - rank))) * leaf

        return self.with_components(map_components(scale, self._components))

    def sum(self, weights: Array | None = None) -> Vector:
        """The sum over the last batch axis, weighted by `weights` (of that length) where given."""
        if not self.batch_shape:
            raise ShapeError(f"{self!r} has no batch axis to sum over.")
        if weights is not None:
            weights = self.namespace.asarray(weights, what="weights")
            if tuple(weights.shape) != self.batch_shape[-1:]:
                raise ShapeError(
                    f"one weight per summand is required.\n  required: shape {self.batch_shape[-1:]}\n"
                    f"  came    : shape {tuple(weights.shape)}\nUse scaled(array) for other shapes."
                )
        scaled = self if weights is None else self.scaled(weights)
        axis = len(scaled.batch_shape) - 1
        return scaled.with_components(map_components(lambda x: scaled.namespace.sum(x, axis=axis), scaled._components))


@final
@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Point(Element):
    """A point of an affine space: ``p - q`` is a vector, ``p + v`` a point, ``p + q`` an error.

    A point of a space of affine maps is an affine map, and is called on points.
    """

    def __sub__(self, other: Any) -> Any:
        """``p - q``, the vector from q to p; ``p - v``, the point moved back.  Source: LG 2.2.3."""
        if isinstance(other, Point):
            remedy = "Map one into the other's space with an AffineMap first."
            check_same_space(self, other, "subtract", remedy)
            self.require_same_namespace(other)
            gap = map_components(lambda x, y: x - y, self._components, other.components_in(self.storage_frame))
            return self.space.direction.from_components(self.storage_frame.linear, gap, self.namespace)
        return self._moved(other, lambda x, y: x - y)

    def __add__(self, other: Any) -> Point:
        """``p + v``, the point that v leads to."""
        if isinstance(other, Point):
            raise SpaceMismatchError(
                f"cannot add two points.\n  left : {self!r}\n  right: {shown(other)}\n"
                "An affine space has no origin: use affine_combination(points, weights) with weights "
                "that sum to 1, or of_point in the Hull."
            )
        return self._moved(other, lambda x, y: x + y)

    def __mul__(self, other: object) -> NoReturn:
        raise SpaceMismatchError(f"cannot scale {self!r}: an affine space has no origin.  Scale a difference p - q.")

    __rmul__ = __truediv__ = __mul__

    def _moved(self, vector: Any, move: Any) -> Point:
        direction = self.space.direction
        if not isinstance(vector, Vector) or vector.space is not direction:
            raise SpaceMismatchError(
                f"a point of {self.space!r} is moved by a vector of its direction.\n  left : {self!r}\n"
                f"  right: {shown(vector)}\nRequired: a vector of {shown(direction)}."
            )
        self.require_same_namespace(vector)
        return self.with_components(
            map_components(move, self._components, vector.components_in(self.storage_frame.linear))
        )

    @property
    def linear(self) -> Vector:
        """The linear part of an affine map, from the direction of its domain to that of its codomain."""
        part: Vector = self.space._linear_part(self)
        return part


def affine_combination(points: Point, weights: Array) -> Point:
    """``sum_n w_n p_n`` over the last batch axis, for weights (N,) that sum to 1.

    Exact kinds must sum to exactly 1, floating ones within N times epsilon.  Source: LG 2.2.3.
    """
    if not isinstance(points, Point) or not points.batch_shape:
        raise ShapeError(f"an affine combination needs a batch of points, not {shown(points)}.")
    ns = points.namespace
    checked = ns.asarray(weights, what="weights")
    count = points.batch_shape[-1]
    if tuple(checked.shape) != (count,):
        raise ShapeError(f"affine weights must have shape ({count},), not {tuple(checked.shape)}.")
    excess = ns.sum(checked) - ns.scalar(1)
    close = ns.is_zero(excess)
    if not close and not ns.kind.is_exact:
        ordered = ns.ordered("affine_combination")
        close = ordered.norm(excess) <= count * ns.epsilon * float(ns.sum(ordered.abs(checked)))
    if not close:
        raise ValuesError("the weights of an affine combination must sum to 1; divide them by their sum.")
    axis = len(points.batch_shape) - 1
    rank = axis + 1

    def combine(leaf: Array) -> Array:
        shaped = ns.reshape(checked, (count, *(1,) * (leaf.ndim - rank)))
        return ns.sum(leaf * shaped, axis=axis)

    return points.with_components(map_components(combine, points._components))
