"""Completed squares: a quadratic objective as a sum of ||c X + ...||^2, one square for each variable in turn.

What is left at the end is a sum of squares only if every term is tr(u u^T) of one word u, such as ||1^T W||^2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import permutations
from typing import Any, ClassVar

from . import star
from .certificate import polynomial_json
from .checker import Algebra, Polynomial, Statement, Word, accumulate
from .rules import Justification, Poly, Proving, Refutation, Star, StepFailed, require_zero

VARIABLES = 3  # of an objective, in whose every order squares are completed


@dataclass(frozen=True)
class Weighted:
    """``weight * ||factor||_F^2``."""

    weight: Polynomial
    factor: Polynomial

    def value(self, algebra: Algebra) -> Polynomial:
        norm = algebra.trace(algebra.times(self.factor, algebra.transpose(self.factor)))
        return algebra.times(self.weight, norm)


def completed(algebra: Algebra, objective: Polynomial, names: Sequence[str]) -> tuple[list[Weighted], Polynomial]:
    """The square of every variable whose second-order term is a number times ||X||^2, in the given order, and the rest.

    Examples:
        >>> from tightframe.theory.proof.checker import Letter, render
        >>> size = (((("n", 1),), Fraction(1)),)
        >>> algebra = Algebra(letters={name: Letter(size, size) for name in "XY"})
        >>> x, y = (algebra.symbol(name) for name in "XY")
        >>> pairs = [(a, algebra.transpose(b)) for a, b in ((x, x), (x, y), (y, y))]
        >>> products = [algebra.trace(algebra.times(*pair)) for pair in pairs]
        >>> total = algebra.plus(algebra.plus(products[0], products[1], Fraction(-2)), products[2], Fraction(3))
        >>> [square], rest = completed(algebra, total, "X")
        >>> render(square.factor), render(rest) == render(algebra.times(algebra.scalar({(): Fraction(2)}), products[2]))
        ('X - Y', True)
    """
    found: list[Weighted] = []
    for name in names:
        square = _square(algebra, objective, name)
        if square is not None:
            found.append(square)
            objective = algebra.minus(objective, square.value(algebra))
    return found, objective


def norms(algebra: Algebra, rest: Polynomial) -> list[Weighted]:
    """The terms c tr(u u^T), one square for each word u, whatever the sign of c."""
    weights: dict[Word, Polynomial] = {}
    for (mono, traces, _), value in rest.terms.items():
        word = half(algebra, traces[0]) if len(traces) == 1 else None
        if word is None:
            continue
        known = weights.get(word, algebra.zero(None))
        weights[word] = algebra.plus(known, algebra.scalar({mono: value}))
    return [Weighted(weight, product_of(algebra, word)) for word, weight in weights.items() if weight.terms]


def visible(algebra: Algebra, poly: Polynomial) -> Iterator[tuple[Polynomial, Polynomial]]:
    """(weight, factor) for every term c w w^T of a polynomial, and for every c (I - 1 1^T / m) in it.

    What is no such term is left out: whether the sum is right is for the checker to say.
    """
    if poly.shape is None:
        return
    size = poly.shape[0]
    one = next((name for name, letter in algebra.letters.items() if letter.ones and letter.rows == size), None)
    mean = algebra.zero(poly.shape)
    if one is not None and len(size) == 1 and size[0][1] == 1:
        inverse = algebra.scalar({tuple((name, -power) for name, power in size[0][0]): Fraction(1)})
        column = algebra.symbol(one)
        mean = algebra.times(inverse, algebra.times(column, algebra.transpose(column)))
    weights: dict[Word, Polynomial] = {}
    for (mono, traces, word), value in poly.terms.items():
        if not traces and word is not None and len(word) % 2 == 0:
            known = weights.get(word, algebra.zero(None))
            weights[word] = algebra.plus(known, algebra.scalar({mono: value}))
    for word, weight in weights.items():
        if all(value < 0 for value in weight.terms.values()):
            continue
        factor = algebra.identity(size)
        for symbol in word[: len(word) // 2]:
            letter = algebra.symbol(symbol.removesuffix("'"))
            factor = algebra.times(factor, algebra.transpose(letter) if symbol.endswith("'") else letter)
        if not word and all(poly.terms.get(k) == -x for k, x in algebra.times(weight, mean).terms.items()):
            factor = algebra.minus(factor, mean)
        yield weight, factor


def half(algebra: Algebra, cycle: Word) -> Word | None:
    """u, of a cycle that is u u^T."""
    half, odd = divmod(len(cycle), 2)
    if odd:
        return None
    turned = [(word[:half], word[half:]) for word in algebra.rotations(cycle)]
    return min((left for left, right in turned if right == algebra.transpose_word(left)), default=None)


def product_of(algebra: Algebra, word: Word) -> Polynomial:
    return Polynomial(algebra.word_shape(word), {((), (), word): Fraction(1)})


def _square(algebra: Algebra, objective: Polynomial, name: str) -> Weighted | None:
    """a ||X + G/(2a)||^2, where the objective is a ||X||^2 + tr(X^T G) and what has no X; a is one monomial."""
    second: dict[tuple[tuple[str, int], ...], Fraction] = {}
    shape = algebra.letter(name).rows, algebra.letter(name).cols
    slope = algebra.zero(shape)
    square = algebra.canonical_trace((name, algebra.flip(name)))
    for (mono, traces, _), value in objective.terms.items():
        cycles = [cycle for cycle in traces if name in {symbol.removesuffix("'") for symbol in cycle}]
        if not cycles:
            continue
        if traces == (square,):
            accumulate(second, mono, value)
            continue
        turned = [word[1:] for word in algebra.rotations(traces[0]) if word[0] == algebra.flip(name)]
        if len(traces) != 1 or len(turned) != 1 or not turned[0]:
            return None
        (word,) = turned
        part = algebra.times(algebra.scalar({mono: value}), product_of(algebra, word))
        slope = algebra.plus(slope, part)
    if len(second) != 1:
        return None
    ((mono, value),) = second.items()
    if value < 0 or not all(algebra.nonzero(symbol) for symbol, _ in mono):
        return None
    inverse = algebra.scalar({tuple((symbol, -power) for symbol, power in mono): 1 / (2 * value)})
    factor = algebra.plus(algebra.symbol(name), algebra.times(inverse, slope))
    return Weighted(algebra.scalar({mono: value}), factor)


@dataclass(frozen=True)
class SearchedSquares(Justification):
    """The objective is its value at X* and squares that vanish there, all of them searched for; none is given."""

    rule: ClassVar[str] = "minimum"
    limits: star.Limits = field(default_factory=star.Limits)
    seconds: float = 2.0  # for the sign of a weight

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        if goal.kind != "minimum" or goal.value is None or len(goal.over) > VARIABLES:
            raise StepFailed("completed squares prove minima in few variables")
        algebra = proving.translation.algebra
        objective = algebra.minus(goal.target, goal.value)
        here = (algebra.names(objective) | algebra.parameters.keys()) - set(goal.over)
        known = {  # an equation in other letters would write squares in these
            name: each.target
            for name, each in proving.established.items()
            if each.kind == "zero" and algebra.names(each.target) <= here
        }
        for order in permutations(goal.over):
            squares, rest = completed(algebra, objective, order)
            found = star.prove_zero(algebra, rest, known, self.limits, proving.completions)
            squares += norms(algebra, found.remainder)
            weights = self.weights(proving, squares)
            if squares and weights is not None:
                return self.data(proving, goal, squares, weights)
        raise StepFailed("what is left after completing squares is no sum of squares")

    def weights(self, proving: Proving, squares: Sequence[Weighted]) -> list[tuple[Statement, dict[str, Any]]] | None:
        """Which weights are nonnegative by more than their ranges, with the proofs; ``None`` if one may be negative."""
        found: list[tuple[Statement, dict[str, Any]]] = []
        for square in squares:
            if proving.translation.algebra.sign(square.weight) == "unknown":
                sign = Statement("nonnegative", square.weight)
                try:
                    found.append((sign, Poly(seconds=self.seconds).certify(proving, sign)))
                except (Refutation, StepFailed):
                    return None
        return found

    def data(
        self,
        proving: Proving,
        goal: Statement,
        squares: Sequence[Weighted],
        weights: Sequence[tuple[Statement, dict[str, Any]]],
    ) -> dict[str, Any]:
        algebra = proving.translation.algebra
        for number, (sign, proof) in enumerate(weights, 1):
            proving.establish(f"searched weight {number}", Poly.rule, sign, proof)
        gap = goal.target if goal.value is None else algebra.minus(goal.target, goal.value)
        for number, square in enumerate(squares, 1):
            at_point = algebra.substitute(square.factor, dict(zip(goal.over, goal.at, strict=True)))
            require_zero(proving, at_point, f"searched square {number} vanishes at the minimiser")
            gap = algebra.minus(gap, square.value(algebra))
        name = require_zero(proving, gap, "searched squares")
        if name is None:  # they agree term by term
            name = "searched squares"
            proving.establish(name, Star.rule, Statement("zero", gap), {"cofactors": []})
        entries = [{"weight": polynomial_json(s.weight), "factor": polynomial_json(s.factor)} for s in squares]
        return {"identity": name, "squares": entries}
