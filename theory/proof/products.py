"""Sums of products of known inequalities, found by linear programming: m p = sum of c_i a_i b_i ... s_i^2.

The search is untrusted. Weights are found in floating point and then recomputed exactly on the products in use; the
checker's rule ``poly`` (by ``products``) expands both sides.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, combinations_with_replacement, islice, product
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from .certificate import polynomial_json
from .checker import SCALAR_KINDS, Commutative, Monomial, Region, add, commutative, monomial, multiply
from .inequality import Data, Point, Problem, in_parameters

if TYPE_CHECKING:
    from .poly import Limits

ONE: Commutative = {(): Fraction(1)}


def completed_square(problem: Problem, terms: Commutative) -> Data | None:
    """A polynomial of degree two as a sum of weighted squares, one variable after the other."""
    names = sorted({name for mono in terms for name, _ in mono})
    if any(e < 0 for mono in terms for _, e in mono) or any(sum(e for _, e in mono) > 2 for mono in terms):
        return None
    squares: list[Data] = []
    rest = dict(terms)
    for name in names:
        pivot = rest.get(((name, 2),), Fraction(0))
        linear = {
            monomial((n, e) for n, e in mono if n != name): x
            for mono, x in rest.items()
            if dict(mono).get(name, 0) == 1
        }
        if pivot <= 0:
            if linear or pivot < 0:
                return None
            continue
        root = add({((name, 1),): Fraction(1)}, {mono: x / (2 * pivot) for mono, x in linear.items()})
        squares.append({"c": str(pivot), "square": _json(problem, root)})
        rest = add(rest, multiply(root, root), -pivot)
    constant = rest.pop((), Fraction(0))
    if rest or constant < 0:
        return None
    return {"by": "products", "terms": squares + ([{"c": str(constant)}] if constant else [])}


def _json(problem: Problem, terms: Commutative) -> Data:
    return polynomial_json(problem.algebra.scalar(terms))


@dataclass(frozen=True)
class Factor:
    """A polynomial known to be nonnegative: a premise by name, or one whose sign the ranges show."""

    terms: Commutative
    strict: bool
    premise: str | None = None

    @cached_property
    def degrees(self) -> dict[str, int]:
        return _degrees(self.terms)


@dataclass(frozen=True)
class Column:
    """A product of factors, perhaps with a square; ``degrees`` are those in each variable."""

    terms: Commutative
    factors: tuple[Factor, ...]
    square: Commutative | None = None

    @cached_property
    def degrees(self) -> dict[str, int]:
        return _degrees(self.terms)

    @property
    def strict(self) -> bool:
        return self.square is None and all(factor.strict for factor in self.factors)

    def json(self, problem: Problem, weight: Fraction) -> Data:
        data: Data = {"c": str(weight)}
        of = [factor.premise for factor in self.factors if factor.premise is not None]
        others = [_json(problem, factor.terms) for factor in self.factors if factor.premise is None]
        data |= {key: value for key, value in (("of", of), ("factors", others)) if value}
        if self.square is not None:
            data["square"] = _json(problem, self.square)
        return data


def _factors(problem: Problem, region: Region) -> list[Factor]:
    algebra = problem.algebra
    names = problem.names
    found: list[Factor] = []

    def offer(terms: Commutative) -> None:
        sign = region.sign(algebra.scalar(terms))
        if sign != "unknown" and any(terms) and all(terms != known.terms for known in found):
            found.append(Factor(terms, sign == "positive"))

    for name in sorted(names - algebra.letters.keys()):
        interval = region.interval(name)
        symbol: Commutative = {((name, 1),): Fraction(1)}
        if interval.low is not None:
            offer(add(symbol, {(): -interval.low}))
        if interval.high is not None:
            offer(add({(): interval.high}, symbol, Fraction(-1)))
        if interval.positive:
            offer(symbol)
    for name in sorted(names & algebra.reciprocals.keys()):
        if in_parameters(algebra.reciprocals[name]):
            offer(commutative(algebra.reciprocals[name]))
    for name, statement in problem.scalars.items():
        if statement.kind in SCALAR_KINDS:
            found.append(Factor(commutative(statement.target), statement.kind == "positive", name))
    return found


def _roots(problem: Problem, zeros: Iterable[Point]) -> list[Commutative]:
    """Candidates for squares: differences of monomials of half the degree, and those given."""
    halves: set[Monomial] = {()}
    for mono in problem.terms:
        if all(e >= 0 for _, e in mono):
            ranges = [range((e + 1) // 2 + 1) for _, e in mono]
            halves |= {monomial(zip((n for n, _ in mono), es, strict=True)) for es in islice(product(*ranges), 64)}
    found = [commutative(poly) for poly in problem.squares]
    for one, other in combinations(sorted(halves, key=lambda m: (sum(e for _, e in m), m))[:14], 2):
        found += [add({one: Fraction(1)}, {other: Fraction(sign)}) for sign in (-1, 1)]
    for point in zeros:  # where the goal vanishes, so does every square
        found += [add({((n, 1),): Fraction(1)}, {(): -x}) for n, x in point.items() if n in problem.parameters]
    return [root for i, root in enumerate(found) if root and root not in found[:i]][:80]


def search(problem: Problem, region: Region, zeros: Iterable[Point], limits: Limits, stop: float) -> Data | None:
    """The data of a sum of products on a region, of a growing number of factors; ``None`` if none is found.

    ``zeros`` are points where the goal vanishes.
    """
    factors = _factors(problem, region)
    squares = [Column(multiply(root, root), (), root) for root in _roots(problem, zeros)]
    # Higher powers of a variable than these would have to cancel; leaving them out keeps the programs small.
    most = _degrees(*(commutative(s.target) for s in problem.scalars.values()))
    for name, degree in _degrees(problem.terms).items():
        most[name] = max(most.get(name, 0), degree + 1)

    def grow(columns: Sequence[Column]) -> list[Column]:
        """Each column times each factor, in every order once."""
        found: list[Column] = []
        for column in columns:
            start = factors.index(column.factors[-1]) if column.factors else 0
            for factor in factors[start:]:
                if len(found) >= limits.columns or time.process_time() > stop:
                    return found
                together = Counter(column.degrees) + Counter(factor.degrees)
                if all(degree <= most.get(name, 1) for name, degree in together.items()):
                    terms = _times(column.terms, factor.terms)
                    found.append(Column(terms, (*column.factors, factor), column.square))
        return found

    layers, squared = [[Column(dict(ONE), ())]], [squares]
    for degree in range(1, limits.degree + 1):
        layers.append(grow(layers[-1]))
        if 1 < degree <= 3:
            squared.append(grow(squared[-1]))
        multipliers = [c for layer in layers[:degree] for c in layer if c.strict][:150]
        plain = [column for layer in layers for column in layer]
        for columns in (plain, [*plain, *(column for layer in squared for column in layer)]):
            data = _linear_program(problem, multipliers, columns, degree, stop)
            if data is not None or time.process_time() > stop:
                return data
    return None


def _times(left: Commutative, right: Commutative) -> Commutative:
    """As the checker multiplies, without its count of operations, and quickly by the monomials that ranges give."""
    total: Commutative = {}
    factors = [(b, None if y == 1 else y) for b, y in right.items()]
    for a, x in left.items():
        for b, y in factors:
            key = monomial(a + b) if a and b else a or b
            value = x if y is None else x * y
            total[key] = total[key] + value if key in total else value
    return {key: value for key, value in total.items() if value}


def _degrees(*polys: Commutative) -> dict[str, int]:
    """The highest power of every variable."""
    found: dict[str, int] = {}
    for mono in (mono for terms in polys for mono in terms):
        for name, e in mono:
            found[name] = max(e, found.get(name, 0))
    return found


def _linear_program(
    problem: Problem, multipliers: Sequence[Column], columns: Sequence[Column], degree: int, stop: float
) -> Data | None:
    """Weights of the products by linear programming in floating point, then exactly on the columns in use."""
    goal = problem.terms
    equations = [
        (name, mono, multiply({mono: Fraction(1)}, commutative(statement.target)))
        for name, statement in problem.scalars.items()
        if statement.kind == "zero"
        for mono in _monomials(problem, degree)
    ]
    vectors = [_times(m.terms, goal) for m in multipliers]
    vectors += [{mono: -x for mono, x in column.terms.items()} for column in columns]
    vectors += [{mono: -x for mono, x in terms.items()} for _, _, terms in equations]
    rows: dict[Monomial, int] = {}
    entries: list[tuple[int, int, float]] = []
    for j, vector in enumerate(vectors):
        for mono, x in vector.items():
            entries.append((rows.setdefault(mono, len(rows)), j, float(x)))
    one, count = len(rows), len(vectors)
    entries += [(one, j, 1.0) for j in range(len(multipliers))]
    right = np.zeros(one + 1)
    right[one] = 1.0
    costs = np.full(count + 1, 1e-4)
    costs[len(multipliers) + len(columns) :] = 0.0
    costs[count] = -1.0 if problem.strict else 0.0  # the last variable is at most the weight of the positive products
    strict = [len(multipliers) + j for j, column in enumerate(columns) if column.strict]
    i, j, x = zip(*entries, strict=True)
    equal = coo_matrix((x, (i, j)), shape=(one + 1, count + 1)).tocsr()
    less = coo_matrix(
        ([1.0, *(-1.0 for _ in strict)], ([0] * (len(strict) + 1), [count, *strict])), shape=(1, count + 1)
    ).tocsr()
    free = [(None, None)] * len(equations)
    limit = max(0.1, stop - time.process_time())
    found = linprog(
        costs,
        A_ub=less,
        b_ub=[0.0],
        A_eq=equal,
        b_eq=right,
        bounds=[*[(0, None)] * (len(multipliers) + len(columns)), *free, (0, 1)],
        method="highs-ds",
        options={"time_limit": limit},
    )
    if found.x is None or found.status != 0 or (problem.strict and found.x[count] < 1e-7):
        return None
    first, last = len(multipliers), len(multipliers) + len(columns)
    for least in (1e-9, 1e-6, 1e-4):  # what is small in floating point may be zero
        used = [j for j in range(count) if abs(found.x[j]) > least]
        weights = exact_weights(vectors, used, first)
        if weights is not None and all(weights[j] >= 0 for j in used if j < last):
            break
    else:
        return None
    data: Data = {"by": "products"}
    data["multiplier"] = [multipliers[j].json(problem, weights[j]) for j in used if j < first and weights[j]]
    data["terms"] = [columns[j - first].json(problem, weights[j]) for j in used if first <= j < last and weights[j]]
    cofactors: dict[str, Commutative] = {}
    for j in used:
        if j >= last and weights[j]:
            name, mono, _ = equations[j - last]
            cofactors[name] = add(cofactors.get(name, {}), {mono: weights[j]})
    if cofactors:
        data["equations"] = [{"of": name, "cofactor": _json(problem, terms)} for name, terms in cofactors.items()]
    return data


def _monomials(problem: Problem, degree: int) -> list[Monomial]:
    """Cofactors of equations: products of few variables, and the monomials of the goal."""
    names = sorted({name for mono in problem.terms for name, _ in mono} | set(problem.parameters))
    small = [
        monomial((name, 1) for name in chosen)
        for size in range(min(degree, 3) + 1)
        for chosen in combinations_with_replacement(names, size)
    ]
    return list(dict.fromkeys([*small[:120], *problem.terms]))


def exact_weights(vectors: Sequence[Commutative], used: Sequence[int], multipliers: int) -> dict[int, Fraction] | None:
    """The exact solution on the columns in use; the weights of the multipliers add up to one. ``None`` if none."""
    import flint

    rows: dict[Monomial | None, int] = {None: 0}
    for j in used:
        for mono in vectors[j]:
            rows.setdefault(mono, len(rows))
    matrix = [[flint.fmpq(0)] * (len(used) + 1) for _ in rows]
    for place, j in enumerate(used):
        for mono, x in vectors[j].items():
            matrix[rows[mono]][place] = flint.fmpq(x.numerator, x.denominator)
        if j < multipliers:
            matrix[0][place] = flint.fmpq(1)
    matrix[0][-1] = flint.fmpq(1)
    reduced, rank = flint.fmpq_mat(matrix).rref()
    solution = {j: Fraction(0) for j in used}
    for row in range(rank):
        pivot = next(place for place in range(len(used) + 1) if reduced[row, place] != 0)
        if pivot == len(used):
            return None
        value = reduced[row, len(used)]
        solution[used[pivot]] = Fraction(int(value.p), int(value.q))
    return solution
