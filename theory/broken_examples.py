"""Exact examples of all hypotheses but one about global minima of deep linear models.

In a rational orthonormal basis every matrix of `critical_values` is diagonal, and every hypothesis an equation between
numbers of one direction, or of all; sums of four squares make the factors rational (Lagrange). What an example breaks
and what it keeps is evaluated wherever it is used.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from .balance import K, N, rows_of
from .critical_examples import HADAMARD, four_squares
from .critical_values import CriticalPoint, a, d, decay, decay_opt, gamma, lam_H, lam_M, product, z
from .proof.certificate import Values
from .scalar_problem import M, x
from .symbols import n

DEPTH = 2
REST = sp.Rational(1, 2)  # the root of X_opt in directions in which nothing is broken


@dataclass(frozen=True)
class Direction:
    """theta; eigenvalues of X, Q, W W^T/(N lam_H), and of the same three at X_opt; of Z Z^T and P."""

    scatter: Any
    root: Any
    power: Any
    square: Any
    best: Any
    best_power: Any
    best_square: Any
    excess: Any = None
    settled: Any = sp.S.One

    @classmethod
    def at(cls, scatter: Any, root: Any, best: Any) -> Direction:
        return cls(scatter, root, root**DEPTH, root**DEPTH, best, best**DEPTH, best**DEPTH)


def spread(values: list[Any], columns: int) -> sp.Matrix:
    """F with F F^T = diag(values)."""
    found = sp.zeros(len(values), columns)
    for i, value in enumerate(values):
        for j, root in enumerate(four_squares(sp.Rational(value))):
            found[i, 4 * i + j] = root
    return found


@dataclass(frozen=True)
class Broken:
    """An example: directions in a basis, the labels or targets Y, T, gamma, and what does not follow from these."""

    at: CriticalPoint
    directions: list[Direction]
    basis: sp.Matrix
    given: sp.Matrix
    target: sp.Matrix
    unit: Any
    root: Any
    ridge: Any = sp.S.One
    measure: Any = sp.S.One  # Lambda over gamma^M / (N lam_H)
    projection: sp.Matrix | None = None
    longer: bool = False  # the features beside W_opt, so that f is as large as at the point
    decays: tuple[Any, Any] = (sp.S.Zero, sp.S.Zero)  # what D and D_opt are too large by
    offset: sp.Matrix | None = None  # F, if it is not zero

    def values(self) -> Values:
        at, of, U = self.at, self.directions, self.basis
        classes, samples = self.given.shape
        wide, unit, ridge = 4 * classes + 4, self.unit, self.ridge
        scatters = [each.scatter for each in of]

        def function(name: str) -> sp.Matrix:
            return U * sp.diag(*(getattr(each, name) for each in of)) * U.T

        layer = [each.root * unit for each in of]  # lam_M = 1
        top = spread(layer, wide)
        squares = [ridge * each.square for each in of]
        inverse = sp.diag(*(1 / value if value else 0 for value in layer))
        upper, lower = U * top, top.T * inverse * spread(squares, wide)
        weights, optimal = upper * lower, U * spread([ridge * each.best_square for each in of], wide)
        centre = sp.eye(classes) - sp.ones(classes, classes) / classes
        mean = self.given * sp.ones(samples, 1) / samples
        offset = sp.zeros(classes, samples) if self.offset is None else self.offset
        own = self.given - (mean * sp.ones(1, samples) if at.bias else offset)
        features, best = (
            w.T * (w * w.T + ridge * sp.eye(classes)).inv() * t for w, t in ((weights, own), (optimal, self.target))
        )
        excess = [
            theta * (1 / (1 + each.power) - 1 / (1 + each.best_power)) + DEPTH * unit * (each.root - each.best)
            if each.excess is None
            else each.excess
            for theta, each in zip(scatters, of, strict=True)
        ]
        lam = ridge / samples
        if self.longer:
            for j, root in enumerate(four_squares(sp.Rational(sum(excess) / lam))):
                best[4 * classes + j, 0] += root
        factor = spread(excess, wide)
        ratio = [(e.root - e.best) * e.settled / s if s else sp.S.Zero for e, s in zip(of, excess, strict=True)]
        slope = [(e.power - e.best_power) / (e.root - e.best) if e.root != e.best else sp.S.One for e in of]
        matrices: dict[Any, sp.Matrix] = {
            at.layers[0]: upper,
            at.layers[1]: lower,
            at.features: features,
            at.given: self.given,
            at.target: self.target,
            at.power: function("power"),
            at.optimal[0]: optimal,
            at.optimal[1]: best,
            at.free: mean if at.bias else offset,
            at.centring: sp.eye(samples),
            at.projection: centre if self.projection is None else self.projection,
            at.roots: function("best"),
            at.powers: function("best_power"),
            at.excess: U * factor,
            at.quotient: factor.T * sp.diag(*ratio) * U.T,
            sp.MatrixSymbol("G", K, K): U * sp.diag(*slope) * U.T,
            sp.MatrixSymbol("P", K, K): function("settled"),
        }
        values: dict[Any, Any] = {M: DEPTH, K: classes, N: samples, a: wide, d: wide, z: wide}
        values |= {n: sp.Rational(samples, classes), gamma: unit, lam_M: sp.S.One, lam_H: lam, x: self.root}
        values |= {product: self.measure * unit**DEPTH / ridge}
        found = (sum(getattr(e, name) for e in of) for name in ("root", "best"))
        sums = [DEPTH * unit * each + more for each, more in zip(found, self.decays, strict=True)]
        values |= dict(zip((decay, decay_opt), sums, strict=True))
        return values | {
            name: rows_of(matrix) for name, matrix in matrices.items() if isinstance(name, sp.MatrixSymbol)
        }


def minimum(at: CriticalPoint, root: Any, best: Any, slope: Any, apart: int = 1) -> Broken:
    """X has the given eigenvalue in ``apart`` directions, X_opt another; in those g_b has the given slope b."""
    if at.bias:
        basis = sp.Matrix(HADAMARD)
        given = sp.eye(4)
        target = given - sp.ones(4, 4) / 4
        scatters = [sp.S.Zero, *[sp.Rational(1, 4)] * 3]
    else:
        counts = (2, 2) if at.balanced else (3, 1)
        basis = sp.eye(2)
        given = target = sp.Matrix(2, 4, lambda i, j: int((j < counts[0]) == (i == 0)))
        scatters = [sp.Rational(count, 4) for count in counts]
    first, rest = next(i for i, theta in enumerate(scatters) if theta), best if at.balanced else REST
    directions = [
        Direction.at(
            theta, *(sp.S.Zero, sp.S.Zero) if not theta else (root, best) if i < first + apart else (rest, rest)
        )
        for i, theta in enumerate(scatters)
    ]
    return Broken(at, directions, basis, given, target, slope * scatters[first] / DEPTH, best)


def _first(example: Broken, **changes: Any) -> Broken:
    """The example with other numbers in the first direction with targets."""
    at = next(i for i, each in enumerate(example.directions) if each.scatter)
    found = [replace(each, **changes) if i == at else each for i, each in enumerate(example.directions)]
    return replace(example, directions=found)


# b = 4/25 is the slope at which 2 minimises g_b; 3 does not. At b = 3/10, g_b(1) = g_b(2).
def off_minimum(at: CriticalPoint) -> Broken:
    return minimum(at, sp.Integer(3), sp.Integer(2), sp.Rational(4, 25))


def two_roots(at: CriticalPoint) -> Broken:
    return minimum(at, sp.Integer(2), sp.S.One, sp.Rational(3, 10))


def other_power(at: CriticalPoint) -> Broken:
    """Squared singular values of W of other sizes, with the same sum of theta/(1 + w)."""
    example = minimum(at, sp.S.One, sp.S.One, sp.Rational(1, 2))
    alive = [i for i, each in enumerate(example.directions) if each.scatter]
    found = list(example.directions)
    for i, step in zip(alive, (sp.Rational(1, 32), -sp.Rational(1, 32)), strict=False):
        resolvent = 1 / (1 + found[i].power) + step / found[i].scatter
        found[i] = replace(found[i], square=1 / resolvent - 1)
    return replace(example, directions=found)


def other_measure(at: CriticalPoint) -> Broken:
    """gamma^M = 4 N lam_H Lambda."""
    example = minimum(at, sp.S.One, sp.S.One, sp.Rational(1, 2))
    found = [replace(each, square=4 * each.square, best_square=4 * each.best_square) for each in example.directions]
    return replace(example, directions=found, measure=sp.Rational(1, 4))


def other_optimal_power(at: CriticalPoint) -> Broken:
    """W_opt for which f is as large as at a point that is no minimum."""
    example = off_minimum(at)
    own = next(each for each in example.directions if each.scatter)
    resolvent = 1 / (1 + own.power) + DEPTH * example.unit * (own.root - own.best) / own.scatter
    return _first(example, best_square=1 / resolvent - 1)


def other_excess(at: CriticalPoint) -> Broken:
    return _first(two_roots(at), excess=sp.S.One)


def other_classes(at: CriticalPoint) -> Broken:
    """Twice the labels, or, with a bias, twice the centred ones."""
    example = minimum(at, sp.S.One, sp.S.One, sp.Rational(1, 2))
    centre = sp.ones(4, 4) / 4 if at.bias else 0 * example.given
    given = 2 * (example.given - centre) + centre
    found = [replace(each, scatter=4 * each.scatter) for each in example.directions]
    return replace(example, directions=found, given=given, target=given - centre)


def other_target(at: CriticalPoint) -> Broken:
    """T twice what it should be, with the same f at the two points."""
    example = minimum(at, sp.Integer(2), sp.S.One, sp.S.One, apart=3)
    found = [replace(each, scatter=4 * each.scatter) for each in example.directions]
    unit = sp.Rational(9, 5) * sp.Rational(1, 4) / DEPTH
    return replace(example, directions=found, target=2 * example.target, unit=unit)


def other_sizes(at: CriticalPoint) -> Broken:
    """Rows of Y that are orthogonal, of length 2, and add up to 8/5: f at zero is as large as at the optimum."""
    row = sp.Matrix([[sp.Rational(7, 5), sp.Rational(1, 5)]])
    given = sp.diag(*[row] * 4)
    target = given - sp.ones(4, 8) / 4
    lost = Direction(sp.Rational(1, 4), *[sp.S.Zero] * 3, *[sp.S.One] * 3)
    nothing = Direction.at(*[sp.S.Zero] * 3)
    unit = (sp.Rational(1, 8) - sp.Rational(1, 300)) / DEPTH
    return Broken(at, [nothing, lost, lost, lost], sp.Matrix(HADAMARD), given, target, unit, sp.S.One)


def other_frame(at: CriticalPoint) -> Broken:
    """A projection that is none: twice as long in one direction."""
    example = minimum(at, sp.S.One, sp.S.One, sp.Rational(1, 2))
    found = [Direction.at(e.scatter, e.root, e.best) for e in example.directions]
    last = replace(found[-1], root=2, best=2, power=2, best_power=2, square=2, best_square=2)
    U = example.basis
    projection = U * sp.diag(0, 1, 1, 2) * U.T
    return replace(example, directions=[*found[:-1], last], projection=projection)


def empty_class(at: CriticalPoint) -> Broken:
    example = minimum(at, sp.S.One, sp.S.One, sp.Rational(1, 2))
    given = sp.Matrix([[1] * 4, [0] * 4])
    found = [Direction.at(sp.S.One, sp.S.One, sp.S.One), Direction.at(sp.S.Zero, sp.S.Zero, sp.S.Zero)]
    return replace(example, directions=found, given=given, target=given)


def cases(at: CriticalPoint) -> tuple[Callable[[random.Random], Values], ...]:
    """Samplers, of one example each."""
    found = [off_minimum, two_roots, other_power, other_measure, other_optimal_power, other_excess]
    if at.balanced:
        found.append(other_classes)
    elif at.labels:
        found.append(empty_class)
    if at.bias:
        found += [other_target, other_frame, other_sizes]
    return (_sampler(lambda at: replace(off_minimum(at), longer=True), at), *(_sampler(make, at) for make in found))


# ---- labels of any sizes with a free bias, critical in the layer too: theta w/(1 + w)^2 = gamma x in every direction
NOTHING = Direction.at(*[sp.S.Zero] * 3)
ALIVE = Direction.at(sp.Rational(1, 4), sp.S.One, sp.S.One)  # gamma = 1/16
LOST = replace(ALIVE, root=sp.S.Zero, power=sp.S.Zero, square=sp.S.Zero, best=sp.Rational(1, 2))  # Z Z^T is 1/16
MISSED = sp.Rational(1, 16)


def labelled(at: CriticalPoint, *living: Direction, empty: Direction = NOTHING) -> Broken:
    """Four classes of one sample each: three living directions, and the one that centring empties.

    The centred labels themselves, where the targets may be any.
    """
    target = sp.eye(4) - sp.ones(4, 4) / 4
    given = sp.eye(4) if at.bias else target
    return Broken(at, [empty, *living], sp.Matrix(HADAMARD), given, target, sp.Rational(1, 16), sp.S.One)


def not_least(at: CriticalPoint) -> Broken:
    return labelled(at, LOST, ALIVE, ALIVE)


def other_decay(at: CriticalPoint) -> Broken:
    return replace(not_least(at), decays=(-MISSED, sp.S.Zero))


def other_optimal_decay(at: CriticalPoint) -> Broken:
    return replace(not_least(at), decays=(sp.S.Zero, MISSED))


def longer_features(at: CriticalPoint) -> Broken:
    return replace(not_least(at), longer=True)


def shorter_optimum(at: CriticalPoint) -> Broken:
    """W_opt for which f is as large as at the point: 1/4 1/(1 + w) = 1/8 + 1/16."""
    return labelled(at, replace(LOST, best_square=sp.Rational(1, 3)), ALIVE, ALIVE)


def stated_excess(at: CriticalPoint) -> Broken:
    """Z Z^T is 1 where f is as large as at the optimum, which is elsewhere."""
    elsewhere = replace(ALIVE, best=sp.Rational(3, 2), best_power=sp.Integer(3), best_square=sp.Integer(3))
    return labelled(at, replace(elsewhere, excess=sp.S.One), ALIVE, ALIVE)


def longer_weights(at: CriticalPoint) -> Broken:
    """gamma^M = 4 N lam_H Lambda."""
    found = replace(ALIVE, power=sp.Rational(1, 4), best_power=sp.Rational(1, 4))
    return replace(labelled(at, found, found, found), measure=sp.Rational(1, 4))


def unbalanced_layers(at: CriticalPoint) -> Broken:
    """W W^T is 2 and 1/2 where Q is 1: 1/(1 + w) has the same sum, and w/(1 + w)^2 the same value."""
    root = sp.Rational(8, 9)
    pair = (replace(ALIVE, root=root, best=root, square=square) for square in (sp.Integer(2), sp.Rational(1, 2)))
    return labelled(at, *pair, ALIVE)


def no_common_vectors(at: CriticalPoint) -> Broken:
    """W W^T and Q of the first class alone, and Q_opt too."""
    alone = replace(labelled(at, NOTHING, NOTHING, NOTHING), basis=sp.eye(4))
    return replace(alone, directions=[replace(ALIVE, scatter=sp.S.Zero), *alone.directions[1:]])


def doubled_target(at: CriticalPoint) -> Broken:
    """T twice what it should be, and Q_opt = 9, so that f is as large."""
    nine = sp.Integer(9)
    large = replace(ALIVE, scatter=sp.S.One, best=sp.Rational(6, 5), best_power=nine, best_square=nine)
    example = labelled(at, large, large, large)
    return replace(example, target=2 * example.target)


def doubled_offset(at: CriticalPoint) -> Broken:
    """The same, where an offset takes one half of the targets away, though nothing is centred."""
    example = doubled_target(at)
    return replace(example, given=example.target, offset=example.target / 2)


def unrelated_power(at: CriticalPoint) -> Broken:
    """Q_opt is 1 where X_opt is zero, in the direction without targets."""
    empty = replace(NOTHING, best_power=sp.S.One, best_square=sp.S.One)
    return labelled(at, ALIVE, ALIVE, ALIVE, empty=empty)


def missing_class(at: CriticalPoint) -> Broken:
    """All four samples in one of two classes: nothing is left of the targets."""
    given = sp.Matrix([[1] * 4, [0] * 4])
    return Broken(at, [NOTHING] * 2, sp.eye(2), given, 0 * given, sp.S.One, sp.S.One)


# ---- labels without a bias, any critical point
def another_optimum(at: CriticalPoint, root: int = 1) -> Broken:
    """One of two classes of two samples lives, X with this eigenvalue and Q with 1, X_opt and Q_opt with 1/2."""
    given = sp.Matrix([[1, 1, 0, 0], [0, 0, 1, 1]])
    half, one = sp.Rational(1, 2), sp.S.One
    unit = one / (8 * root)
    alive = Direction(half, sp.Integer(root), one, one, *[half] * 3)
    dead = Direction.at(half, sp.S.Zero, sp.S.Zero)
    return Broken(at, [alive, dead], sp.eye(2), given, given, unit, sp.S.One)


def turned_layer(at: CriticalPoint) -> Broken:
    """Classes of three samples and of one; X and Q, and X_opt and Q_opt, of a direction between them."""
    given = sp.Matrix([[1, 1, 1, 0], [0, 0, 0, 1]])
    basis = sp.Matrix([[3, 4], [-4, 3]]) / 5
    directions = [Direction.at(sp.S.Zero, sp.S.One, sp.S.One), NOTHING]
    return Broken(at, directions, basis, given, given, sp.Rational(1, 8), sp.S.One)


def labelled_cases(at: CriticalPoint) -> tuple[Callable[[random.Random], Values], ...]:
    """Samplers, of one example each."""
    found = [not_least, other_decay, other_optimal_decay, longer_features, shorter_optimum, stated_excess]
    found += [longer_weights, unbalanced_layers, no_common_vectors, doubled_target, unrelated_power]
    found.append(missing_class if at.bias else doubled_offset)
    return tuple(_sampler(make, at) for make in found)


def _sampler(make: Callable[[CriticalPoint], Broken], at: CriticalPoint) -> Callable[[random.Random], Values]:
    def sample(_: random.Random) -> Values:
        return make(at).values()

    return sample
