"""Exact examples of all hypotheses but one about minimisers behind a narrow layer, in which the claim fails.

In the columns of the frame every matrix of `bottleneck` is diagonal. Nothing but a hypothesis relates L to Xi there, so
that f can be as small as its minimum v at other eigenvalues xi and l, 1/(1 + l) + b xi = v.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp

from .balance import K, rows_of
from .bottleneck import Bottleneck, J, NarrowPoint, Y, b, d, lam_H, n, p, z
from .broken_examples import spread
from .derivation import Setting
from .proof.certificate import Values
from .scalar_problem import M, x

Changed = Callable[[Bottleneck, dict[Any, Any]], dict[Any, Any]]
HALF = sp.Rational(1, 2)


def base(problem: Bottleneck, rng: random.Random) -> dict[Any, Any]:
    """An example with a bias and centred frames; W and H have more columns and rows, in which they are zero."""
    while True:
        values: dict[Any, Any] = dict(problem.sample(rng))
        centring, frame = (sp.Matrix(values[each]) for each in (J, problem.minimiser.frame))
        if any(centring) and not any(centring * frame):
            break
    more = 4 * max(values[d], values[problem.rank])
    for point in (problem.any_point, problem.minimiser, problem.best):
        weights, features = (sp.Matrix(values[each]) for each in (point.weights, point.features))
        values[point.weights] = rows_of(sp.Matrix.hstack(weights, sp.zeros(weights.rows, more)))
        values[point.features] = rows_of(sp.Matrix.vstack(features, sp.zeros(more, features.cols)))
    return values | {p: values[p] + more}


def least_value(values: Values) -> Any:
    """v; at the threshold it is 1 too."""
    return 1 / (1 + values[x] ** values[M]) + values[b] * values[x]


def at(
    problem: Bottleneck, point: NarrowPoint, values: Values, frame: sp.Matrix, root: Any, power: Any, length: Any = 1
) -> dict[Any, Any]:
    """A point with Xi = xi I and L = l I in a frame; W W^T is ``length`` times what it should be."""
    size, ridge = frame.cols, values[K] * values[n] * values[lam_H]
    centring, labels = sp.Matrix(values[J]), sp.Matrix(values[Y])
    weights = frame * spread([length * ridge * power] * size, values[p])
    metric = weights * weights.T + ridge * sp.eye(values[K])
    target = (sp.eye(values[K]) - centring) * labels
    found: dict[Any, Any] = {
        point.weights: weights,
        point.features: weights.T * metric.inv() * target,
        point.frame: frame,
        point.roots: root * sp.eye(size),
        point.powers: power * sp.eye(size),
    }
    if point != problem.best:
        excess = 1 / (1 + power) + values[b] * root - least_value(values)
        Z, F = point.square_roots
        found |= {Z: spread([excess] * size, values[z]), F: spread([power / (1 + power)] * size, values[z])}
    rows = {name: rows_of(matrix) for name, matrix in found.items()}
    return rows | {point.decays: values[b] * root * size / values[K]}


def related(problem: Bottleneck, values: Values, root: Any, power: Any, excess: sp.Matrix) -> dict[Any, Any]:
    """G and P of a minimiser with Xi = xi I and L = l I, and this Z, if Z Z^T is a multiple of I or zero."""
    side, size = values[x], values[d]
    square = (excess * excess.T)[0, 0]
    difference = root * (root - side) if problem.tie else root - side
    G = excess.T * difference / square if square else sp.zeros(values[z], size)
    slope = (power - side ** values[M]) / (root - side) if root != side else sp.S.Zero
    return {sp.MatrixSymbol("G", z, d): rows_of(G), sp.MatrixSymbol("P", d, d): rows_of(slope * sp.eye(size))}


def moved(
    problem: Bottleneck, values: dict[Any, Any], root: Any, power: Any, stretch: int = 1, stated: Any = None
) -> dict[Any, Any]:
    """The minimiser at other eigenvalues; its frame ``stretch`` times as long, Z Z^T as ``stated``."""
    point = problem.minimiser
    frame = sp.Matrix(values[point.frame]) * stretch
    values |= at(problem, point, values, frame, root, power)
    Z, _ = point.square_roots
    if stated is not None:
        values[Z] = rows_of(spread([stated] * frame.cols, values[z]))
    return values | related(problem, values, root, power, sp.Matrix(values[Z]))


def level(values: Values) -> tuple[Any, Any]:
    """xi = x/2, and the l for which 1/(1 + l) + b xi = v."""
    root = values[x] / 2
    return root, 1 / (least_value(values) - values[b] * root) - 1


def not_least(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    root = 4 * values[x]
    return moved(problem, values, root, root ** values[M])


def other_decays(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    """As small as the minimum, with less decay."""
    values = not_least(problem, values)
    Z = sp.Matrix(values[problem.minimiser.square_roots[0]])
    return values | {problem.minimiser.decays: values[problem.minimiser.decays] - (Z * Z.T).trace() / values[K]}


def longer_frame(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    root, power = level(values)
    return moved(problem, values, root, power / 4, stretch=2)


def other_excess(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    return moved(problem, values, *level(values), stated=sp.S.One)


def other_zeros(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    return moved(problem, values, *level(values))


def other_best(
    problem: Bottleneck,
    values: dict[Any, Any],
    stretch: int = 1,
    length: int = 1,
    power: int = 1,
    lean: bool = False,
) -> dict[Any, Any]:
    """Balanced factors with a longer or leaning frame, longer W, or another L."""
    frame, centring = sp.Matrix(values[problem.best.frame]) * stretch, sp.Matrix(values[J])
    if lean:
        k = next(k for k in range(centring.rows) if centring[k, k])
        frame[:, 0] = centring[:, k] / sp.sqrt(centring[k, k])
    root = values[x]
    return values | at(problem, problem.best, values, frame, root, power * root ** values[M], length)


def long_frame(problem: Bottleneck, values: dict[Any, Any]) -> dict[Any, Any]:
    """Any point, with a longer frame."""
    frame = 2 * sp.Matrix(values[problem.any_point.frame])
    return values | at(problem, problem.any_point, values, frame, values[x], values[x] ** values[M])


def off_threshold(problem: Bottleneck, values: dict[Any, Any], side: Any, slope: Any) -> dict[Any, Any]:
    """Other x and b where M = 2: points at zero have the least value, 1, but balanced factors have not."""
    values |= {x: side, b: slope}
    nothing = {**values, x: sp.S.One, b: HALF}  # with which v is 1, as it is at the threshold
    for point in (problem.any_point, problem.minimiser):
        frame = sp.Matrix(values[point.frame])
        values |= at(problem, point, nothing, frame, sp.S.Zero, sp.S.Zero)
    values |= related(problem, values, sp.S.Zero, sp.S.Zero, sp.zeros(values[d], values[z]))
    return other_best(problem, values)


def cases(problem: Bottleneck) -> tuple[Callable[[random.Random], Values], ...]:
    """Samplers of examples, each of all hypotheses but one."""
    changes: list[Changed] = [not_least, other_decays, longer_frame, other_excess, other_zeros]
    changes += [
        partial(other_best, **change) for change in ({"stretch": 2}, {"length": 4}, {"power": 4}, {"lean": True})
    ]
    changes.append(long_frame)
    if problem.tie:  # M b x = M - 1, and x^M = M - 1: one without the other
        changes += [partial(off_threshold, side=sp.Integer(2), slope=HALF / 2)]
        changes += [partial(off_threshold, side=sp.S.One, slope=sp.S.One)]

    def sampler(change: Changed) -> Callable[[random.Random], Values]:
        return lambda rng: change(problem, base(problem, rng))

    return tuple(map(sampler, changes))


def widened(problem: Bottleneck, where: Setting) -> Setting:
    """The setting with these examples."""
    return replace(where, wider=cases(problem))
