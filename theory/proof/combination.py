"""Inequalities of scalars, traces in them included, as sums of known ones with nonnegative weights.

Known are inequalities established before, tr(u u^T) >= 0 of every word u, and tr E >= 0 of a symmetric E with
E^2 = E: it is the square of a norm. The weights are found by linear programming and then recomputed exactly; the
checker's rule ``poly`` (by ``products``) expands both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import linprog

from .certificate import polynomial_json
from .checker import SCALAR_KINDS, Commutative, Polynomial, Statement, Word, monomial, render
from .products import exact_weights
from .rules import Justification, Proving, Rewrite, Star, StepFailed
from .squares import half, product_of


@dataclass(frozen=True)
class Summand:
    """``scale`` times what a step says is nonnegative; ``scale`` alone without a step."""

    value: Polynomial
    scale: Polynomial
    step: str | None = None

    def json(self, weight: Fraction) -> dict[str, Any]:
        data: dict[str, Any] = {"c": str(weight), "factors": [polynomial_json(self.scale)]}
        return data if self.step is None else data | {"of": [self.step]}


@dataclass(frozen=True)
class Combination(Justification):
    """``p >= 0`` because p is a sum of known nonnegative scalars, each with a nonnegative weight."""

    rule: ClassVar[str] = "poly"

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        if goal.kind not in SCALAR_KINDS:
            raise StepFailed("sums of known inequalities prove inequalities of scalars")
        summands = list(self.summands(proving, goal.target))
        vectors = [_flat(goal.target), *({key: -x for key, x in _flat(each.value).items()} for each in summands)]
        weights = _weights(vectors)
        if weights is None:
            raise StepFailed("no sum of known inequalities")
        used = [(each, weights[i]) for i, each in enumerate(summands, 1) if weights.get(i)]
        return {"by": "products", "terms": [each.json(weight) for each, weight in used]}

    def summands(self, proving: Proving, goal: Polynomial) -> Iterator[Summand]:
        """Inequalities with a trace that the goal mentions, its squares and traces of projections, positive numbers."""
        algebra = proving.translation.algebra
        one = algebra.scalar({(): Fraction(1)})
        cycles = {traces for _, traces, _ in goal.terms if traces}
        for name, said in list(proving.established.items()):
            if said.kind in SCALAR_KINDS and cycles & {traces for _, traces, _ in said.target.terms}:
                cycles |= {traces for _, traces, _ in said.target.terms if traces}
                yield Summand(said.target, one, name)
        scales = {mono: algebra.scalar({mono: Fraction(1)}) for mono, _, _ in goal.terms}
        scales = {mono: each for mono, each in scales.items() if algebra.sign(each) in ("positive", "nonnegative")}
        for each in scales.values():
            yield Summand(each, each)
        for (cycle,) in (traces for traces in sorted(cycles) if len(traces) == 1):
            step = self.square(proving, cycle)
            if step is not None:
                for each in scales.values() or (one,):
                    yield Summand(algebra.times(each, proving.established[step].target), each, step)

    def square(self, proving: Proving, cycle: Word) -> str | None:
        """A step that says that a trace is nonnegative, as the square of a norm or the trace of a projection."""
        algebra = proving.translation.algebra
        root, trace = half(algebra, cycle), algebra.trace(product_of(algebra, cycle))
        goal = Statement("nonnegative", trace)
        name = f"square: {render(trace)}"
        if name in proving.established:
            return name
        if root is not None:
            one, factor = algebra.scalar({(): Fraction(1)}), product_of(algebra, root)
            data = {"squares": [{"weight": polynomial_json(one), "factor": polynomial_json(factor)}]}
            proving.establish(name, "gram", goal, data)
            return name
        idempotent = self.idempotent(proving, cycle)
        if idempotent is None:
            return None
        twice = algebra.trace(product_of(algebra, cycle * 2))
        known, same = self.square(proving, cycle * 2), Statement("zero", algebra.minus(trace, twice))
        if known is None:
            return None
        equal = f"{name}: idempotent"
        proving.establish(equal, Star.rule, same, Star((idempotent,)).certify(proving, same))
        proving.establish(name, Rewrite.rule, goal, Rewrite(known, equal).certify(proving, goal))
        return name

    def idempotent(self, proving: Proving, cycle: Word) -> str | None:
        """The step E^2 - E = 0 for a symmetric letter E, if it is established."""
        algebra = proving.translation.algebra
        if len(cycle) != 1 or algebra.flip(cycle[0]) != cycle[0]:
            return None
        letter = algebra.symbol(cycle[0])
        says = algebra.minus(algebra.times(letter, letter), letter)
        return next((n for n, said in proving.established.items() if said.kind == "zero" and said.target == says), None)


def _flat(poly: Polynomial) -> Commutative:
    """The terms, with every trace as one more variable."""
    found: Commutative = {}
    for (mono, traces, _), value in poly.terms.items():
        found[monomial((*mono, *((f"tr {' '.join(cycle)}", 1) for cycle in traces)))] = value
    return found


def _weights(vectors: list[Commutative]) -> dict[int, Fraction] | None:
    """Nonnegative weights with which the vectors add up to zero, the first of them 1."""
    rows: dict[Any, int] = {}
    for vector in vectors:
        for key in vector:
            rows.setdefault(key, len(rows))
    matrix = np.zeros((len(rows), len(vectors)))
    for j, vector in enumerate(vectors):
        for key, x in vector.items():
            matrix[rows[key], j] = float(x)
    if len(vectors) == 1:
        return None
    found = linprog(np.ones(len(vectors) - 1), A_eq=matrix[:, 1:], b_eq=-matrix[:, 0], method="highs-ds")
    if found.x is None or found.status != 0:
        return None
    used = [0, *(j for j, x in enumerate(found.x, 1) if x > 1e-9)]
    weights = exact_weights(vectors, used, 1)
    return weights if weights is not None and all(x >= 0 for x in weights.values()) else None
