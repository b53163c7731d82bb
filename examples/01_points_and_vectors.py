"""Points are not vectors: affine spaces, frames, and the hull in which both live.

Run: python examples/01_points_and_vectors.py
"""

import numpy as np

import geomkfac as gk

# A plane with no origin.  Its first frame introduces coordinates; a second one is a change of the first.
plane = gk.AffineSpace("plane", 2)
iota = plane.frame("iota")
kappa = iota.change(np.asarray([[0.0, 2.0], [1.0, 0.0]]), np.asarray([5.0, -1.0]), name="kappa")

p = plane.from_coordinates(np.asarray([1.0, 2.0]), iota)
q = plane.from_coordinates(np.asarray([4.0, 6.0]), iota)
print("p is a", p)
print("its coordinates in iota :", p.coordinates(iota))
print("its coordinates in kappa:", p.coordinates(kappa))
assert np.array_equal(p.coordinates(kappa), np.asarray([9.0, 0.0]))  # y_new = B y_old + c

# The difference of two points is a vector: the translation of a frame does not touch it.
v = q - p
print("\nq - p is a", v)
assert np.array_equal(v.coordinates(iota.linear), np.asarray([3.0, 4.0]))
assert np.array_equal(v.coordinates(kappa.linear), np.asarray([8.0, 3.0]))
assert (p + v).isclose(q, frame=iota, rtol=0.0)

# The sum of two points depends on the origin, so it is refused.
try:
    p + q
except gk.errors.SpaceMismatchError as refusal:
    print("\np + q:", refusal)
else:
    raise SystemExit("the sum of two points must be refused")

# A combination whose weights sum to 1 does not depend on the origin.
both = plane.from_coordinates(np.asarray([[1.0, 2.0], [4.0, 6.0]]), iota)
middle = gk.affine_combination(both, np.asarray([0.5, 0.5]))
assert np.array_equal(middle.coordinates(iota), np.asarray([2.5, 4.0]))

# The hull: points are the vectors of weight 1, directions those of weight 0.  [p; 1] is the homogeneous
# vector of K-FAC, and here it is an object, not a trick.
hull = gk.Hull(plane)
assert np.array_equal(hull.of_point(p).coordinates(iota.hull), np.asarray([1.0, 2.0, 1.0]))
assert hull.weight()(hull.of_point(p)) == 1.0
assert hull.weight()(hull.of_vector(v)) == 0.0
homogeneous = hull.of_point(q) - hull.of_point(p) - hull.of_vector(v)
assert np.array_equal(homogeneous.coordinates(iota.hull), np.zeros(3))

# An affine map is a point of an affine space too.  Its coordinates are (W b); they change with the frames
# of both ends, and the map does not.
line = gk.AffineSpace("line", 1)
unit = line.frame("unit")
maps = gk.AffineMaps(plane, line)
w = maps.from_coordinates(np.asarray([[1.0, -1.0, 0.5]]), maps.frame(iota, unit))
elsewhere = maps.frame(kappa, unit.change(np.asarray([[10.0]]), np.asarray([1.0])))
print("\n(W b) in the given frames:", w.coordinates(maps.frame(iota, unit)))
print("(W b) in other frames    :", w.coordinates(elsewhere))
assert np.allclose(w(p).coordinates(unit), w.expressed_in(elsewhere)(p).coordinates(unit), rtol=1e-15)

# Over GF(p) the same code is exact: equality is equality of geometry.
exact = gk.AffineSpace("plane over GF(p)", 2, gk.GF(1073741827))
e = exact.frame("e")
a = exact.from_coordinates([1, 2], e)
f = e.change([[3, 1], [2, 5]], [7, 7])
assert a == exact.from_coordinates([12, 19], f)
print("\nOver GF(p):", a, "- the same point in two frames, compared with ==.")
