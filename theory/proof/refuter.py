"""Exact counterexamples: a statement is evaluated, in rational arithmetic, in random examples of its setting.

A counterexample found here is final; finding none says nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from .certificate import Values, complete_model, model_json
from .checker import Algebra, Matrix, Model, Polynomial, Rejected, Statement, holds, matrix_product, rank
from .translation import Translation

Sampler = Callable[[random.Random], Values]


def counterexample(
    translation: Translation, statement: Statement, sample: Sampler, draws: int = 8, seed: int = 0
) -> Mapping[str, Any] | None:
    """An example (as JSON) in which the statement fails, or ``None``; scalar calculus is not evaluated here."""
    if any(s.calculus is not None for s in (statement, *statement.parts)):
        return None
    rng = random.Random(seed)
    for _ in range(draws):
        model = complete_model(translation, sample(rng))
        if model is None:
            continue
        try:
            if not true_in(statement, translation.algebra, model):
                return model_json(model)
        except Rejected:  # a letter that this example does not determine
            continue
    return None


def true_in(statement: Statement, algebra: Algebra, model: Model) -> bool:
    """Whether a statement holds in one exact example; quadratic minima and infima are computed exactly."""
    if statement.kind == "minimum" and statement.value is not None:
        here = {name: algebra.evaluate(p, model) for name, p in zip(statement.over, statement.at, strict=True)}
        attained = _with(model, here)
        value = algebra.evaluate(statement.value, model)[0][0]
        if algebra.evaluate(statement.target, attained)[0][0] != value:
            return False
        return quadratic_infimum(algebra, statement.target, statement.over, model) == value
    if statement.kind == "equal-infima" and statement.other is not None:
        left = quadratic_infimum(algebra, statement.target, statement.over, model)
        return left == quadratic_infimum(algebra, statement.other, statement.other_over, model)
    return holds(statement, algebra, model)


def _with(model: Model, values: Mapping[str, Matrix]) -> Model:
    return Model(model.parameters, {**model.letters, **values})


def quadratic_infimum(algebra: Algebra, objective: Polynomial, over: tuple[str, ...], model: Model) -> Fraction | None:
    """The infimum of a polynomial of degree at most two in the entries of ``over``; ``None`` for minus infinity.

    Gradient and Hessian come from exact values at unit points; of higher degrees, :class:`Rejected` is raised.
    """
    shapes = [(model.size(algebra.letter(n).rows), model.size(algebra.letter(n).cols)) for n in over]
    size = sum(rows * cols for rows, cols in shapes)

    def value(point: list[Fraction]) -> Fraction:
        matrices, start = {}, 0
        for name, (rows, cols) in zip(over, shapes, strict=True):
            matrices[name] = [point[start + i * cols : start + (i + 1) * cols] for i in range(rows)]
            start += rows * cols
        return algebra.evaluate(objective, _with(model, matrices))[0][0]

    def unit(*indices: int, scale: int = 1) -> list[Fraction]:
        return [Fraction(scale * indices.count(k)) for k in range(size)]

    constant = value(unit())
    plus, minus = [value(unit(i)) for i in range(size)], [value(unit(i, scale=-1)) for i in range(size)]
    if any(value(unit(i, scale=2)) != constant + 3 * plus[i] - 3 * constant + minus[i] - constant for i in range(size)):
        raise Rejected("the objective is not quadratic")
    gradient = [(p - m) / 2 for p, m in zip(plus, minus, strict=True)]
    hessian = [[Fraction(0)] * size for _ in range(size)]
    for i in range(size):
        hessian[i][i] = plus[i] + minus[i] - 2 * constant
        for j in range(i):
            hessian[i][j] = hessian[j][i] = value(unit(i, j)) - plus[i] - plus[j] + constant
    point = _solve(hessian, [-g for g in gradient])
    if point is None or not holds_semidefinite(hessian):
        return None
    return value(point)


def holds_semidefinite(matrix: Matrix) -> bool:
    from .checker import elimination

    return elimination(matrix)[0]


def _solve(matrix: Matrix, target: list[Fraction]) -> list[Fraction] | None:
    """Some solution of a linear system, exactly; ``None`` if there is none."""
    size = len(matrix)
    work = [[*row, t] for row, t in zip(matrix, target, strict=True)]
    if rank([row[:] for row in work]) != rank([row[:] for row in matrix]):
        return None
    pivots: list[int] = []
    row = 0
    for column in range(size):
        found = next((i for i in range(row, size) if work[i][column]), None)
        if found is None:
            continue
        work[row], work[found] = work[found], work[row]
        work[row] = [x / work[row][column] for x in work[row]]
        for i in range(size):
            if i != row and work[i][column]:
                factor = work[i][column]
                work[i] = [x - factor * y for x, y in zip(work[i], work[row], strict=True)]
        pivots.append(column)
        row += 1
    solution = [Fraction(0)] * size
    for i, column in enumerate(pivots):
        solution[column] = work[i][size]
    if matrix_product(matrix, [[x] for x in solution]) != [[t] for t in target]:
        return None
    return solution
