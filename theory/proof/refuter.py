"""Exact counterexamples: a statement is evaluated, in rational arithmetic, in random examples of its setting.

A counterexample found here is final; finding none says nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from . import box
from .certificate import Example, Values, complete_model, model_json
from .checker import (
    Algebra,
    Letter,
    Matrix,
    Model,
    Polynomial,
    Rejected,
    Statement,
    Word,
    holds,
    identity_matrix,
    names_in,
    reduce_row,
)
from .scalar_refuter import may_hold
from .translation import Translation
from .walk import unit

SLICES = 4  # points through which a minimum that is not quadratic is tried, itself and others
Sampler = Callable[[random.Random], Values]


def counterexample(
    translation: Translation,
    statement: Statement,
    sample: Sampler,
    draws: int = 8,
    seed: int = 0,
    hypotheses: Sequence[Statement] = (),
) -> Mapping[str, Any] | None:
    """An example (as JSON) in which the statement fails and the hypotheses hold, or ``None``."""
    rng = random.Random(seed)
    for _ in range(draws):
        model = complete_model(translation, sample(rng))
        if model is not None and fails_in(statement, translation, model, hypotheses):
            return model_json(model)
    return None


def fails_in(
    statement: Statement, translation: Translation, model: Model, hypotheses: Sequence[Statement] = ()
) -> bool:
    """Whether the statement fails, for certain, in an example in which the hypotheses hold."""
    try:
        return not true_in(statement, translation.algebra, model) and is_example(translation, hypotheses, model)
    except Rejected:  # no example of the setting, or a letter that it does not determine
        return False


def is_example(translation: Translation, hypotheses: Sequence[Statement], model: Model) -> bool:
    """What the checker asks of the model of a certificate; a sampler may be wrong, hypotheses may be contradictory."""
    model.check_shapes(translation.algebra)
    return all(holds(hypothesis, translation.algebra, model) for hypothesis in hypotheses)


@dataclass(frozen=True)
class Examples:
    """Exact examples of a setting, drawn once; products of letters in them are kept from one statement to the next.

    Letters that the translation meets after they are drawn get their values anew for every statement.
    """

    translation: Translation
    hypotheses: Sequence[Statement]
    drawn: tuple[tuple[Values, Example], ...]

    @classmethod
    def of(cls, translation: Translation, hypotheses: Sequence[Statement], values: Iterable[Values]) -> Examples:
        """Those of the given values in which the hypotheses hold.

        They are judged once for all values that differ in nothing that they mention.
        """
        found: list[tuple[Values, Example]] = []
        polynomial = all(_polynomial(hypothesis) for hypothesis in hypotheses)
        mentioned = _mentioned(translation.algebra, *hypotheses)
        known: dict[Any, tuple[bool, Values]] = {}  # with the values, whose matrices are known by their identity
        for each in values:
            model = complete_model(translation, each)
            if model is None:
                continue
            key = _restricted(each, mentioned)
            try:
                model.check_shapes(translation.algebra)  # ranges too, of symbols that no hypothesis mentions
                if key not in known or not polynomial:
                    known[key] = is_example(translation, hypotheses, model), each
            except Rejected:
                continue
            if known[key][0]:
                found.append((each, model))
        return cls(translation, hypotheses, tuple(found))

    def refuting(self, statement: Statement) -> tuple[str, Model] | None:
        """What is wrong in the first example in which the statement is false or has no meaning, and the example."""
        for values, base in self.differing(statement):
            model = complete_model(self.translation, values, base)
            if model is None:
                return "an inverse in it does not exist", base
            if fails_in(statement, self.translation, model):
                return "false", model
        return None

    def differing(self, statement: Statement) -> Iterator[tuple[Values, Example]]:
        """The examples that differ in what the statement mentions, or in a size."""
        algebra, calculus = self.translation.algebra, statement.calculus
        if statement.parts or statement.inequality is not None or statement.motion is not None:
            yield from self.drawn
            return
        if calculus is not None:
            mentioned = names_in([calculus.tree, *(rule for _, rule in calculus.generators)])
            mentioned -= {calculus.variable} if statement.kind == "tends" else set()
        else:
            mentioned = _mentioned(algebra, statement)
        seen: set[Any] = set()
        for values, base in self.drawn:
            key = _restricted(values, mentioned)
            if key not in seen:
                seen.add(key)
                yield values, base


def _polynomial(statement: Statement) -> bool:
    """Whether all that a statement says is in its polynomials."""
    others = (statement.calculus, statement.inequality, statement.motion)
    return others == (None, None, None) and all(map(_polynomial, statement.parts))


def _mentioned(algebra: Algebra, *statements: Statement) -> set[str]:
    """The symbols in the polynomials of statements, and all sizes."""
    found = {name for name, each in algebra.parameters.items() if each.integer}
    for statement in statements:
        found |= {unit(name) for name in algebra.names(*statement.polynomials())}
        found |= {*statement.over, *statement.other_over}
        found |= _mentioned(algebra, *statement.parts)
    return found


def _restricted(values: Values, names: set[str]) -> Any:
    """The values of some symbols; matrices are drawn once: those of examples near another are the same object."""
    named = ((getattr(symbol, "name", symbol), value) for symbol, value in values.items())
    return frozenset((n, id(x) if isinstance(x, list) else x) for n, x in named if n in names)


def true_in(statement: Statement, algebra: Algebra, model: Model) -> bool:
    """Whether a statement holds in one exact example; quadratic minima and infima are computed exactly.

    Of scalar calculus only what fails for certain is known: see :mod:`.scalar_refuter`.
    """
    if statement.calculus is not None:
        return may_hold(statement, model.parameters)
    if statement.inequality is not None:
        return not box.fails_in(statement.inequality, algebra, model.parameters)
    if statement.kind == "all":
        return _all_true(statement.parts, algebra, model)
    if statement.kind == "gradient":
        return _is_gradient(statement, algebra, model)
    if statement.kind == "minimum" and statement.value is not None:
        here = {name: algebra.evaluate(p, model) for name, p in zip(statement.over, statement.at, strict=True)}
        attained = _with(model, here)
        value = algebra.evaluate(statement.value, model)[0][0]
        if algebra.evaluate(statement.target, attained)[0][0] != value:
            return False
        return _least(statement, algebra, attained, value)
    if statement.kind == "equal-infima" and statement.other is not None:
        left = quadratic_infimum(algebra, statement.target, statement.over, model)
        return left == quadratic_infimum(algebra, statement.other, statement.other_over, model)
    return holds(statement, algebra, model)


def _least(statement: Statement, algebra: Algebra, attained: Model, value: Fraction) -> bool:
    """Whether the value is the infimum; of what is not quadratic, whether no slice through some points goes lower.

    Raises:
        Rejected: if no slice does, which says nothing.
    """
    try:
        return quadratic_infimum(algebra, statement.target, statement.over, attained) == value
    except Rejected as unknown:
        rng = random.Random(0)
        for number in range(SLICES):
            for name in statement.over:
                others = {
                    other: [[x + (number and rng.randint(-2, 2)) for x in row] for row in attained.letters[other]]
                    for other in statement.over
                    if other != name
                }
                infimum = quadratic_infimum(algebra, statement.target, (name,), _with(attained, others))
                if infimum is None or infimum < value:
                    return False
        raise unknown


def _all_true(parts: Sequence[Statement], algebra: Algebra, model: Model) -> bool:
    """One false part is enough, whatever cannot be evaluated beside it."""
    unknown: Rejected | None = None
    for part in parts:
        try:
            if not true_in(part, algebra, model):
                return False
        except Rejected as error:
            unknown = error
    if unknown is not None:
        raise unknown
    return True


def _is_gradient(statement: Statement, algebra: Algebra, model: Model) -> bool:
    """The derivative in one direction, with distinct entries, is the inner product with the gradient."""
    (name,), (gradient,) = statement.over, statement.at
    letter = algebra.letter(name)
    wider = replace(algebra, letters={**algebra.letters, "direction": Letter(letter.rows, letter.cols)})
    rows, cols = model.size(letter.rows), model.size(letter.cols)
    direction = [[Fraction((3 * i + 5 * j) % 7 + 1, i + j + 1) for j in range(cols)] for i in range(rows)]
    product = wider.trace(wider.times(wider.transpose(gradient), wider.symbol("direction")))
    difference = wider.minus(wider.differential(statement.target, name, "direction"), product)
    return not wider.evaluate(difference, _with(model, {"direction": direction}))[0][0]


def _with(model: Model, values: Mapping[str, Matrix]) -> Model:
    return Example(model.parameters, {**model.letters, **values})


def quadratic_infimum(algebra: Algebra, objective: Polynomial, over: tuple[str, ...], model: Model) -> Fraction | None:
    """The infimum of a polynomial of degree at most two in the entries of ``over``; ``None`` for minus infinity.

    Every term is a constant, a linear form tr(X w), a product of two of them, or tr(X a Y b) with entries
    a_jk b_li of X_ij Y_kl. Of anything else, :class:`Rejected` is raised.
    """
    if any(algebra.definition(name) is not None for name in over) or hidden(algebra, objective, over):
        raise Rejected("the objective is not quadratic")
    places: dict[str, int] = {}
    size = 0
    for name in over:
        letter = algebra.letter(name)
        places[name] = size
        size += model.size(letter.rows) * model.size(letter.cols)

    def entries(symbol: str) -> list[list[int]]:
        """The numbers of the variables in the matrix that a symbol stands for."""
        name = symbol.removesuffix("'")
        letter = algebra.letter(name)
        rows, cols = model.size(letter.rows), model.size(letter.cols)
        numbers = [[places[name] + i * cols + j for j in range(cols)] for i in range(rows)]
        return [list(row) for row in zip(*numbers, strict=True)] if symbol.endswith("'") else numbers

    def between(word: Word, rows: int) -> Matrix:
        return model.product(word, algebra) if word else identity_matrix(rows)

    def linear(cycle: Word, at: int) -> dict[int, Fraction]:
        """tr(X w) as coefficients of the variables."""
        numbers = entries(cycle[at])
        rest = between(cycle[at + 1 :] + cycle[:at], len(numbers[0]))
        return {number: rest[j][i] for i, row in enumerate(numbers) for j, number in enumerate(row)}

    constant, gradient = Fraction(0), [Fraction(0)] * size
    hessian = [[Fraction(0)] * size for _ in range(size)]

    def quadratic(one: int, other: int, value: Fraction) -> None:
        hessian[one][other] += value
        hessian[other][one] += value

    for (mono, traces, _), coefficient in objective.terms.items():
        factor = coefficient * model.monomial(mono)
        found: list[tuple[Word, list[int]]] = []
        for cycle in traces:
            here = [i for i, symbol in enumerate(cycle) if symbol.removesuffix("'") in places]
            if here:
                found.append((cycle, here))
            else:
                factor *= trace_of(model.product(cycle, algebra))
        match [len(here) for _, here in found]:
            case []:
                constant += factor
            case [1]:
                for number, value in linear(found[0][0], found[0][1][0]).items():
                    gradient[number] += factor * value
            case [1, 1]:
                left, right = (linear(cycle, here[0]) for cycle, here in found)
                for one, x in left.items():
                    for other, y in right.items():
                        quadratic(one, other, factor * x * y)
            case [2]:
                ((cycle, (start, end)),) = found
                left, right = entries(cycle[start]), entries(cycle[end])
                inner = between(cycle[start + 1 : end], len(left[0]))
                outer = between(cycle[end + 1 :] + cycle[:start], len(right[0]))
                for i, row in enumerate(left):
                    for j, one in enumerate(row):
                        for k, column in enumerate(right):
                            if inner[j][k]:
                                for n, other in enumerate(column):
                                    if outer[n][i]:
                                        quadratic(one, other, factor * inner[j][k] * outer[n][i])
            case _:
                raise Rejected("the objective is not quadratic")
    return minimum_of_quadratic(constant, gradient, hessian)


def hidden(algebra: Algebra, objective: Polynomial, over: tuple[str, ...]) -> bool:
    """Whether a variable occurs inside the definition of another letter."""
    inner = (algebra.definition(name) for name in algebra.names(objective))
    return any(algebra.names(poly) & set(over) for poly in inner if poly is not None)


def trace_of(matrix: Matrix) -> Fraction:
    return sum((matrix[i][i] for i in range(len(matrix))), Fraction(0))


def minimum_of_quadratic(constant: Fraction, gradient: list[Fraction], hessian: Matrix) -> Fraction | None:
    """The infimum of c + g x + x H x / 2, by completing one square after the other; ``None`` for minus infinity."""
    work = [[*row, g] for row, g in zip(hessian, gradient, strict=True)]
    value = constant
    for k, row in enumerate(work):
        pivot = row[k]
        if pivot < 0 or (pivot == 0 and any(row[k + 1 :])):
            return None
        if pivot:
            value -= row[-1] ** 2 / (2 * pivot)
            for i in range(k + 1, len(work)):
                reduce_row(work, i, k, work[i][k] / pivot)
    return value
