"""A parameterization: one frame for every base space, closed under every construction.

It knows no network.  ``kappa[space]`` is the frame that its choice determines on any space built from
its base spaces; ``x.coordinates(kappa)`` means ``x.coordinates(kappa[x.space])``.  New ones are made
relative to one that is there, by one rule: y_new = B y_old + c.
Source: LG 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Literal, Protocol, final, get_args

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array, check_random_source
from geomkfac.errors import FrameError, KindError, ShapeError, SpaceMismatchError
from geomkfac.names import check_word
from geomkfac.required import check_type, listed, shown
from geomkfac.spaces.affine import AffineSpace
from geomkfac.spaces.frames.frame import BaseFrame, Frame
from geomkfac.spaces.frames.gauge import random_change
from geomkfac.spaces.power import PowerSpace
from geomkfac.spaces.samples.sample import Sample
from geomkfac.spaces.space import BaseSpace, Space
from geomkfac.spaces.whitening import centering, contragredient, require_white, root_of, split_moments

Root = Literal["symmetric", "cholesky"]


class Form(Protocol):
    """What is needed of a symmetric form: its space and own frame, its matrix in a frame, and its null directions."""

    @property
    def space(self) -> Any: ...

    @property
    def radical(self) -> Any: ...

    @property
    def storage_frame(self) -> Any: ...

    def coordinates(self, frame: Any, /) -> Any: ...


class KroneckerFactored(Protocol):
    """A metric whose blocks have factors: forms on Hull(A)* and on the direction of Z, one pair per layer."""

    def kronecker_factors(self) -> Iterable[tuple[Form, Form]]: ...


@final
class Parameterization:
    """A choice of one frame for each base space.

    Parameters
    ----------
    frames : base frames, at most one per space
    inputs, outputs : the spaces whose frames `sample` and output families use; may be None
    name : label
    """

    __slots__ = ("_frames", "inputs", "name", "outputs")

    def __init__(
        self,
        frames: Iterable[BaseFrame],
        *,
        inputs: Space | None = None,
        outputs: Space | None = None,
        name: str = "parameterization",
    ) -> None:
        chosen: dict[BaseSpace, BaseFrame] = {}
        for frame in listed("the frames of a parameterization", frames, FrameError):
            if not isinstance(frame, BaseFrame):
                raise FrameError(f"a parameterization is made of frames of base spaces, not of {shown(frame)}.")
            if frame.space in chosen:
                raise FrameError(
                    f"two frames came for {frame.space!r}; a parameterization has one per space."
                )
            chosen[frame.space] = frame
        self._frames, self.inputs, self.outputs, self.name = chosen, inputs, outputs, name
        for named in (inputs, outputs):
            if named is not None:
                try:
                    self[named]
                except FrameError as error:
                    raise FrameError(
                        f"{shown(named)} is named as inputs or outputs, and no frame of it came."
                    ) from error

    # -- lookup --------------------------------------------------------------------------------
    def __getitem__(self, space: Space) -> Frame:
        """The frame of `space`: chosen for a base space, derived for every space built from base spaces.

        Raises
        ------
        FrameError : a base space has no frame here.
        """
        if not isinstance(space, Space):
            raise FrameError(f"a parameterization is indexed by a space, not by {type(space).__name__}.")
        return space.frame_from(self.base_frame)

    def frame_of(self, space: Space) -> Frame:
        """``self[space]``."""
        return self[space]

    def base_frame(self, space: BaseSpace) -> BaseFrame:
        check_type("what a parameterization has frames of", space, BaseSpace, error=FrameError)
        frame = self._frames.get(space)
        if frame is None:
            known = ", ".join(repr(known) for known in self._frames) or "none"
            raise FrameError(
                f"{self!r} has no frame for {space!r}.\n  it has frames for: {known}\n"
                "Make a Parameterization that includes a frame of it."
            )
        return frame

    def __iter__(self) -> Iterator[BaseSpace]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        return f"Parameterization({self.name!r}, {len(self)} spaces)"

    # -- the way in ----------------------------------------------------------------------------
    def sample(
        self, X: Any, y: Any = None, *, weights: Array | None = None, lengths: Any = None, count: int | None = None
    ) -> Sample:
        """A sample from arrays, inputs read in this parameterization's frame of the input space.

        Parameters
        ----------
        X : array, shape (N, n); for maps (N, *grid, channels), for sequences (N, T, n); or an iterable or
            callable of batches where `y` is left out
        y : targets, first axis N, or a tuple or dict of them for families side by side; what they must be is for the
            output family to say
        weights : array, shape (N,), nonnegative; normalised wherever a mean is taken
        lengths : integers (N,), how many steps of each sequence count; None for all
        count : the number of data in batches, where it is known: then the end of a pass can be estimated
        """
        if self.inputs is None:
            raise FrameError(f"{self!r} names no input space; use Sample.from_coordinates with a frame.")
        frame = self[self.inputs]
        if getattr(X, "shape", None) is None:
            _refuse_ragged(X, self.inputs)
            if y is not None or weights is not None or lengths is not None:
                raise KindError(
                    f"X must be an array, not {type(X).__name__}.\n"
                    "Pass arrays X and y, or batches (X, y) as one argument alone."
                )
            return Sample.from_batches(X, frame, count=count)
        if count is not None:
            raise KindError("an array X says itself how many data there are; leave count out.")
        return Sample.from_coordinates(X, y, frame, weights=weights, lengths=lengths)

    @property
    def euclidean(self) -> Euclidean:
        """The Euclidean structure in which these frames are orthonormal: a named norm."""
        return Euclidean(self)

    # -- other parameterizations, relative to this one --------------------------------------------
    def change(
        self, changes: Mapping[BaseSpace, tuple[Any, Any]], *, name: str | None = None
    ) -> Parameterization:
        """Each named space's frame changed by ``y_new = B y_old + c``; the others kept.

        Parameters
        ----------
        changes : {space: (B, c)}; B an invertible array (n, n) or None, c an array (n,) or None
        """
        check_type("the changes of frames", changes, Mapping, "Pass {space: (B, c)}.", FrameError)
        for space in changes:
            self.base_frame(space)
        frames = []
        for space, frame in self._frames.items():
            if space not in changes:
                frames.append(frame)
                continue
            pair = changes[space]
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ShapeError(f"the change for {space!r} must be a pair (B, c); use None for what stays.")
            frames.append(frame.change(*pair, name=name))
        return self._with(frames, name or f"{self.name}'")

    def random(self, rng: Any, *, name: str = "random") -> Parameterization:
        """Every frame changed at random: over GF(p) uniformly, in floating point with condition at most 10.

        Parameters
        ----------
        rng : numpy.random.Generator
        """
        check_random_source(rng)
        frames = []
        for space, frame in self._frames.items():
            step = random_change(space, rng)
            frames.append(BaseFrame(space, name, frame, step))
        return self._with(frames, name)

    def centered(self, g: KroneckerFactored, *, name: str = "centered") -> Parameterization:
        """Origins of the activation spaces moved to the means that stand in g's own factors.

        Means and covariances are read in the frames in which g's factors stand, whose origins lie among the data.
        Of a layer on patches or maps, the mean over its offsets; of two layers on one space, the first one's.
        """
        changes: dict[BaseSpace, tuple[Any, Any]] = {}
        for activations, _ in _factors_of(g):
            space = _base_of_hull(activations)
            if space not in changes:
                mean, _ = _local_moments(activations)
                matrix, translation = self.base_frame(space).change_from(_own_frame(activations))
                changes[space] = (None, -(matrix @ centering(mean) + translation))
        return self.change(changes, name=name)

    def whitened(
        self,
        g: KroneckerFactored,
        norm: Euclidean | None = None,
        root: Root = "symmetric",
        *,
        name: str = "whitened",
    ) -> Parameterization:
        """Frames in which every activation has mean 0 and covariance 1, and every G is 1.

        Mean and covariance are read from g's own factors.  Where a factor is degenerate its null
        directions keep the lengths that `norm` gives them, and the factor becomes a projection.
        Activations of a layer on patches or maps are whitened at single places: mean and covariance are
        averaged over its offsets, and its factor has the identity as the mean of its diagonal blocks.  Where
        two layers act on one space (a recurrence), the first one's statistics are taken.

        Parameters
        ----------
        g : a K-FAC metric tensor
        norm : the Euclidean structure of a parameterization; required where a factor is degenerate
        root : 'symmetric' with respect to `norm` (or to these frames), or 'cholesky' (nondegenerate only)

        Raises
        ------
        DegenerateMetricError : a factor is degenerate and no norm was named.
        ConditioningError : what was made is not white: a mean or a form is off 0 and 1 by more than 1e-3.

        Source: GK-1.
        """
        check_word("root", root, get_args(Root))
        check_type("the norm", norm, (Euclidean, NoneType), "For instance iota.euclidean.")
        base = self if norm is None else norm.parameterization
        frames, done = dict(self._frames), set()
        for activations, preactivations in _factors_of(g):
            space = _base_of_hull(activations)
            if space not in done:
                done.add(space)
                own, what = _own_frame(activations), f"the covariance in {space!r}"
                mean, covariance = _local_moments(activations)
                outward, _ = base.base_frame(space).change_from(own)
                found = root_of(covariance, _vanishing(activations), outward, root, norm is not None, what)
                frames[space] = own.change(found.change, -(found.change @ centering(mean)), name=name)
                mean, covariance = _local_moments(activations, frames[space])
                require_white(covariance, mean, found.projection, what)
            target = preactivations.space.of
            if target in done:
                continue
            done.add(target)
            linear, what = preactivations.storage_frame, f"the metric on {target!r}"
            own = linear.parts[0]
            outward, _ = base.base_frame(target).change_from(own)
            null = preactivations.radical.basis().coordinates(linear)
            matrix = preactivations.coordinates(linear)
            # A form on vectors, whose coordinates change by the inverse transpose of what is found on covectors.
            found = root_of(matrix, null, contragredient(outward), root, norm is not None, what)
            forth = contragredient(found.change)
            # The origin is no matter of the metric: it stays where the norm's frame has it.
            _, origin = own.change_from(base.base_frame(target))
            frames[target] = own.change(forth, -(forth @ origin), name=name)
            require_white(preactivations.coordinates(frames[target].linear), None, found.projection, what)
        return self._with(frames.values(), name)

    def _with(self, frames: Iterable[BaseFrame], name: str) -> Parameterization:
        return Parameterization(frames, inputs=self.inputs, outputs=self.outputs, name=name)


def _factors_of(g: KroneckerFactored) -> Iterable[tuple[Form, Form]]:
    if not callable(getattr(g, "kronecker_factors", None)):
        raise SpaceMismatchError(
            "frames are read from the factors of a metric tensor.\n"
            "  required: a K-FAC metric, as net.kfac_metric gives\n"
            f"  came    : {type(g).__name__}, {shown(g)}"
        )
    return g.kronecker_factors()


def _refuse_ragged(X: Any, inputs: Space) -> None:
    grid: tuple[int, ...] = getattr(inputs, "grid", ())
    if isinstance(X, list | tuple) and len(grid) == 1 and X and all(len(getattr(x, "shape", ())) == 2 for x in X):
        raise ShapeError(
            "sequences come as one array, with their lengths.\n"
            f"  required: an array (N, {grid[0]}, n), and lengths=... where some are shorter\n"
            f"  came    : {len(X)} arrays of shapes {', '.join(str(tuple(x.shape)) for x in X[:3])}, ...\n"
            "Make both with pad_sequences(sequences)."
        )


def _base_of_hull(form: Form) -> AffineSpace:
    hull = form.space.of
    if not hasattr(hull, "of"):
        raise FrameError(
            "means and covariances are read from factors on hulls, those of layers with a bias.\n"
            f"  came: a factor on {shown(hull)}, of a layer without one\n"
            "Leave that layer out of the metric, or change its frames with `change`."
        )
    space = hull.of
    if isinstance(space, PowerSpace):
        space = space.base
    if not isinstance(space, AffineSpace):
        raise FrameError(f"only frames of base spaces can be changed, and the activations live in {space!r}.")
    return space


def _own_frame(form: Form) -> BaseFrame:
    """The base frame of activations at single places over which a form on a hull stands."""
    frame: Any = form.storage_frame.dual.parts[0]
    return frame.parts[0] if isinstance(frame.space, PowerSpace) else frame  # type: ignore[no-any-return]


def _local_moments(form: Form, frame: BaseFrame | None = None) -> tuple[Array, Array]:
    """Mean (n,) and covariance (n, n) of activations at one place, from ``E[a (x) a]`` on a hull; by default in its
    own frame.
    """
    space = form.space.of.of
    power = isinstance(space, PowerSpace)
    stands: Any = form.storage_frame
    if frame is not None:
        stands = (space.frame(frame) if power else frame).hull.dual
    return split_moments(form.coordinates(stands), space.places if power else 1)


def _vanishing(form: Form) -> Array:
    """The linear parts of affine functions that vanish on all data: null for the covariance.

    On a power none is known: a function of a patch is not one of single places.
    """
    space = form.space.of.of
    if isinstance(space, PowerSpace):
        return namespace_of(form.coordinates(form.storage_frame)).zeros((0, space.base.dim))
    return form.radical.basis().coordinates(form.storage_frame)[:, :-1]


@final
class Euclidean:
    """The inner product in which the frames of a parameterization are orthonormal, on every space at once."""

    __slots__ = ("parameterization",)

    def __init__(self, parameterization: Parameterization) -> None:
        self.parameterization = parameterization

    def __repr__(self) -> str:
        return f"Euclidean({self.parameterization!r})"
