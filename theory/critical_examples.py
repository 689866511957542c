"""Exact critical points of deep linear models, and minima: rational matrices for the hypotheses of `critical_values`.

Layers are A = c S V^T and B = s V S^(M-1) U^T with orthonormal columns in U and V and a symmetric S, S^2 = X. Then
everything is rational if S, gamma and the singular values of T are; X and T T^T have the same eigenvectors.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.solvers.diophantine.diophantine import sum_of_four_squares

from .balance import K, N, half_integers, orthonormal, rows_of
from .critical_values import (
    CriticalPoint,
    a,
    d,
    decay,
    decay_opt,
    gamma,
    lam_H,
    lam_M,
    product,
    z,
)
from .derivation import Setting
from .proof.certificate import Values
from .proof.checker import Range
from .scalar_problem import M, x
from .statistics import random_matrix
from .symbols import n


@dataclass(frozen=True)
class Eigenvalues:
    """In one direction: square roots of eigenvalues of X and X_opt, and a singular value of T over (N gamma)^(1/2)."""

    root: Any
    best: Any
    target: Any

    def excess(self, depth: int) -> Any:
        """theta (g_b(x) - g_b(x_opt)) over gamma."""
        now, best = (self.target**2 / (1 + y ** (2 * depth)) + depth * y**2 for y in (self.root, self.best))
        return now - best


HADAMARD = sp.Matrix([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
ROOTS = {1: ("1/2", "1", "2"), 2: ("1", "5/4", "2"), 3: ("5/4", "3/2", "2")}  # x^M >= M - 1 for x = y^2


def direction(rng: random.Random, depth: int, root: Any, minimal: bool) -> Eigenvalues:
    """One direction with a positive minimiser; at the threshold, or where f need not be least, it may be dropped."""
    dropped = rng.random() < 0.4 and (not minimal or (depth == 2 and root == 1))
    target = (1 + root ** (2 * depth)) / root ** (depth - 1)
    return Eigenvalues(sp.S.Zero if dropped else root, root, target)


def four_squares(number: Any) -> list[Any]:
    """Four rational numbers whose squares add up to a nonnegative one (Lagrange)."""
    roots = sum_of_four_squares(int(number.p * number.q)) if number else (0, 0, 0, 0)
    return [sp.Rational(int(root), int(number.q)) for root in roots]


@dataclass(frozen=True)
class Example:
    """An exact critical point: eigenvalues in every column of an orthogonal basis, M, and gamma."""

    at: CriticalPoint
    depth: int
    unit: Any
    basis: sp.Matrix
    eigenvalues: list[Eigenvalues]
    given: sp.Matrix
    target: sp.Matrix
    centring: sp.Matrix

    def function(self, entries: list[Any]) -> sp.Matrix:
        """The matrix with these eigenvalues in the basis."""
        return self.basis * sp.diag(*entries) * self.basis.T

    def values(self, rng: random.Random) -> Values:
        at, depth = self.at, self.depth
        classes, samples = self.given.shape
        below, wide = (classes + rng.randint(0, 1) for _ in range(2))
        if depth == 1:
            below = wide
        right = orthonormal(rng, wide, classes)
        inner = right if depth == 1 else orthonormal(rng, below, classes)
        first, second = half_integers(rng, 2)
        second = second if depth > 1 else sp.S.One
        ridge = (first * second) ** 2
        S, S_opt = (self.function([getattr(e, name) for e in self.eigenvalues]) for name in ("root", "best"))
        centre = sp.eye(classes) - sp.ones(classes, classes) / classes
        if at.bias and at.balanced:
            S, S_opt = centre * S, centre * S_opt
        upper = first * S * inner.T
        lower = second * inner * S ** (depth - 1) * right.T if depth > 1 else sp.eye(wide)
        weights, optimal = upper * lower, first * second * S_opt**depth * right.T
        offset = self.given * sp.ones(samples, 1) / samples if at.bias else self.given - self.target
        target = self.given - offset * sp.ones(1, samples) if at.bias else self.target
        features, best = (w.T * (w * w.T + ridge * sp.eye(classes)).inv() * target for w in (weights, optimal))
        scale = self.unit / first**2  # lam_M
        roots = [four_squares(self.unit * e.excess(depth)) for e in self.eigenvalues]
        excess = self.basis * sp.Matrix.hstack(*(sp.diag(*column) for column in zip(*roots, strict=True)))
        ratio = [
            (e.root**2 - e.best**2) / (self.unit * e.excess(depth)) if e.excess(depth) else sp.S.Zero
            for e in self.eigenvalues
        ]
        quotient = [
            sum((e.root**2) ** j * (e.best**2) ** (depth - 1 - j) for j in range(depth)) for e in self.eigenvalues
        ]
        settled = [sp.Integer(e.root == e.best) if e.excess(depth) == 0 else sp.S.One for e in self.eigenvalues]
        matrices: dict[Any, sp.Matrix] = {
            at.layers[0]: upper,
            at.layers[1]: lower,
            at.features: features,
            at.given: self.given,
            at.target: target,
            at.centring: self.centring,
            at.power: S ** (2 * depth),
            at.optimal[0]: optimal,
            at.optimal[1]: best,
            at.free: offset,
            at.projection: centre,
            at.roots: S_opt**2,
            at.powers: S_opt ** (2 * depth),
            at.excess: excess,
            at.quotient: excess.T * self.function(ratio),
            sp.MatrixSymbol("G", K, K): self.function(quotient),
            sp.MatrixSymbol("P", K, K): self.function(settled),
        }
        values: dict[Any, Any] = {M: depth, K: classes, N: samples, a: below, d: wide, z: excess.shape[1]}
        values |= {n: sp.Rational(samples, classes), gamma: self.unit, lam_M: scale, lam_H: ridge / samples}
        values |= {product: self.unit**depth / ridge, x: self.eigenvalues[0].best ** 2 or sp.S.One}
        values |= {decay: depth * self.unit * (S * S).trace(), decay_opt: depth * self.unit * (S_opt * S_opt).trace()}
        return values | {
            name: rows_of(matrix) for name, matrix in matrices.items() if isinstance(name, sp.MatrixSymbol)
        }


def example(rng: random.Random, at: CriticalPoint, minimal: bool) -> Values:
    """Directions that live are mixed with others that do not; where f need not be least, with some that could live."""
    depth, classes = rng.randint(1, 3), rng.randint(2, 3)
    if at.labels:
        return _labelled(rng, at, minimal, depth, classes)
    bias = at.offset and rng.random() < 0.5
    samples = 4 if bias else classes + rng.randint(0, 1)
    kinds = [Eigenvalues(sp.S.Zero, sp.S.Zero, sp.Rational(rng.randint(0, 2), 2)) for _ in range(classes)]
    for i in range(rng.randint(1, classes)):
        if not at.dead:
            kinds[i] = direction(rng, depth, sp.Rational(rng.choice(ROOTS[depth])), minimal)
        elif depth > 1:  # a critical point that is not least: b is above the threshold, and has roots
            y = {2: sp.Rational(3, 4), 3: sp.S.One}[depth]
            kinds[i] = Eigenvalues(y, sp.S.Zero, (1 + y ** (2 * depth)) / y ** (depth - 1))
    basis = orthonormal(rng, classes, classes)
    tilt = sp.Rational(rng.choice((0, 3)), 4) if bias else 0
    across, columns = _oblique(tilt, classes) if bias else (None, orthonormal(rng, samples, classes))
    (step,) = half_integers(rng, 1)
    target = samples * step * basis * sp.diag(*(e.target for e in kinds)) * columns.T
    mean, row = sp.Matrix(random_matrix(rng, classes, 1)), sp.ones(1, samples)
    given = target + mean * row if bias else target
    centring = sp.eye(samples) - across * row / (row * across)[0] if across is not None else sp.eye(samples)
    return Example(at, depth, samples * step**2, basis, kinds, given, target, centring).values(rng)


def _oblique(tilt: Any, classes: int) -> tuple[sp.Matrix, sp.Matrix]:
    """v, and orthonormal columns that are orthogonal to it: C = I - v 1^T / (1^T v) need not be symmetric."""
    first, second, *rest = (HADAMARD[:, i] for i in range(4))
    third = (tilt * first - second) / sp.sqrt(1 + tilt**2)
    return first + tilt * second, sp.Matrix.hstack(*rest, third)[:, :classes]


def _labelled(rng: random.Random, at: CriticalPoint, minimal: bool, depth: int, classes: int) -> Values:
    """Classes of two sizes, the smaller one below its threshold; of one size, if balanced."""
    alive = direction(rng, depth, sp.Rational(rng.choice(ROOTS[depth][:2])), minimal)
    if at.balanced:
        alive = Eigenvalues(alive.best, alive.best, alive.target)
    small, large = 1, math.ceil(alive.target**2 / depth)
    counts = [large] * (classes - 1) + [large if at.balanced else small]
    kinds = [alive] * (classes - 1)
    if at.balanced:
        kinds.append(alive)
    else:
        kinds.append(Eigenvalues(sp.S.Zero, sp.S.Zero, alive.target / sp.sqrt(large)))
    order = rng.sample(range(classes), classes)
    given = sp.zeros(classes, sum(counts))
    labels = [k for k in order for _ in range(counts[k])]
    for column, k in enumerate(labels):
        given[k, column] = 1
    unit = sp.Rational(large, sum(counts)) / alive.target**2
    return Example(at, depth, unit, sp.eye(classes), kinds, given, given, sp.eye(sum(counts))).values(rng)


def setting(at: CriticalPoint, parameters: Mapping[sp.Symbol, Range], minimal: bool) -> Setting:
    """Critical points, or ``minimal`` ones."""
    hypotheses = (*at.hypotheses, *(at.minimality if minimal else ()))
    return Setting(parameters, hypotheses, lambda rng: example(rng, at, minimal), at.symmetric, at.definitions)
