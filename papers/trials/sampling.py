"""Exact examples of the hypotheses of a claim, drawn without being told how.

An author who declares symbols with shapes and ranges, and states hypotheses, need not say how to draw an example of
them. Free symbols get small rational numbers; a symbol that stands alone on one side of an equation gets the value of
the other side; other equations are solved for symbols in which they are affine; what then still fails is drawn again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ...theory.balance import orthonormal
from ...theory.derivation import Hypothesis, Setting
from ...theory.proof import statement as st
from ...theory.proof.certificate import Values, complete_model
from ...theory.proof.checker import Rejected
from ...theory.proof.refuter import is_example
from ...theory.proof.translation import Translation
from ...theory.proof.walk import Walk, small
from ...theory.statistics import random_matrix
from ..domain import Domain
from .outside import equations, in_range, movable

ATTEMPTS = 200  # draws in search of one that satisfies the hypotheses
MENDINGS = 4  # sets of symbols for which the equations are solved, a draw
Rows = list[list[Fraction]]


class NoExample(ValueError):
    """No exact example of the hypotheses was found; the message says which of them fails most often."""


@dataclass(frozen=True)
class Shape:
    """How a matrix symbol is drawn: ``any``, ``symmetric``, ``psd``, ``pd``, or ``orthonormal`` columns."""

    symbol: sp.MatrixSymbol
    form: str = "any"

    def draw(self, rng: random.Random, rows: int, cols: int) -> Rows | None:
        """Small rational entries; ``None`` where no matrix of this size has the form."""
        if rows < 1 or cols < 1 or (self.form == "orthonormal" and cols > rows):
            return None
        if self.form == "orthonormal":
            found = orthonormal(rng, rows, cols)
            return [[Fraction(int(x.p), int(x.q)) for x in found.row(i)] for i in range(rows)]
        entries = random_matrix(rng, rows, cols)
        if self.form == "any":
            return entries
        if self.form == "symmetric":
            return [[entries[min(i, j)][max(i, j)] for j in range(cols)] for i in range(rows)]
        gram = [
            [sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0)) for other in entries] for one in entries
        ]
        return [[x + (i == j and self.form == "pd") for j, x in enumerate(row)] for i, row in enumerate(gram)]


@dataclass(frozen=True)
class Sampler:
    """Draws exact values of all symbols that satisfy every hypothesis; see the module.

    ``given(rng, values)`` returns values for some symbols, for what cannot be found by itself; ``values`` are those
    drawn before. ``origin`` is where the claim is written.

    Examples:
        >>> from tightframe.theory.symbols import integers, n
        >>> from tightframe.papers.domain import Parameter
        >>> A, B = (sp.MatrixSymbol(name, n, n) for name in "AB")
        >>> square = Hypothesis("square", st.Equal(B, A * A), "B = A^2")
        >>> draw = Sampler(Domain((Parameter(n, integers(2), "size"),)), (Shape(A), Shape(B)), (square,))
        >>> values = draw(random.Random(0))
        >>> sp.Matrix(values[B]) == sp.Matrix(values[A]) ** 2
        True
    """

    domain: Domain
    shapes: tuple[Shape, ...]
    hypotheses: tuple[Hypothesis, ...] = ()
    definitions: Mapping[Any, Any] = field(default_factory=dict[Any, Any])
    given: Callable[[random.Random, dict[Any, Any]], Mapping[Any, Any]] | None = None
    origin: str | None = None

    def __call__(self, rng: random.Random) -> Values:
        """One example.

        Raises:
            NoExample: if none of many draws satisfies the hypotheses.
        """
        failures: dict[str, int] = {}
        for _ in range(ATTEMPTS):
            values = self._drawn(rng)
            if values is None:
                continue
            found, failed = self._fitted(rng, values)
            if found is not None:
                return found
            failures[failed] = failures.get(failed, 0) + 1
        where = f"{self.origin}: " if self.origin else ""
        worst = max(failures, key=lambda name: failures[name], default="the conditions on the sizes")
        raise NoExample(
            f"{where}no exact example of the hypotheses was found in {ATTEMPTS} draws; most often {worst} fails. "
            "Give one with examples=: a function (rng, values) that returns exact values of some symbols"
        )

    def fitted(self, rng: random.Random, values: dict[Any, Any]) -> Values | None:
        """Values near these that satisfy the hypotheses; ``None`` if none is found.

        What an equation gives a value is computed anew; the other hypotheses may be solved for.
        """
        return self._fitted(rng, values)[0]

    def assignments(self) -> list[tuple[Any, Any]]:
        """Symbols that an equation gives a value, with that value, in an order in which they can be computed."""
        return [(symbol, value) for symbol, value, _, _ in self._assigned]

    def _drawn(self, rng: random.Random) -> dict[Any, Any] | None:
        values: dict[Any, Any] = {}
        for parameter in self.domain.parameters:
            bounds = parameter.range
            low = bounds.low
            if bounds.integer:
                values[parameter.symbol] = rng.randint(-3, 3) if low is None else int(low) + rng.randint(0, 2)
            elif low is None:
                values[parameter.symbol] = Fraction(rng.randint(-6, 6), 2)
            else:
                closed = not bounds.open and rng.random() < 0.2
                values[parameter.symbol] = low if closed else low + Fraction(rng.randint(1, 6), 2)
        if not all(bool(condition.subs(values)) for condition in self.domain.conditions):
            return None
        sizes = {symbol: value for symbol, value in values.items() if isinstance(value, int)}
        for shape in self.shapes:
            rows, cols = (sp.sympify(size, strict=True).subs(sizes) for size in shape.symbol.shape)
            if not (rows.is_Integer and cols.is_Integer):
                return None
            entries = shape.draw(rng, int(rows), int(cols))
            if entries is None:
                return None
            values[shape.symbol] = entries
        return values if self.given is None else values | dict(self.given(rng, values))

    def _fitted(self, rng: random.Random, values: dict[Any, Any]) -> tuple[Values | None, str]:
        """The values changed so that the hypotheses hold, or the hypothesis that fails."""
        if not self.hypotheses:
            return values, ""
        if self.given is None:
            for symbol, _, translation, poly in self._assigned:
                model = complete_model(translation, values)
                if model is None:
                    return None, "an inverse"
                entries = translation.algebra.evaluate(poly, model)
                values[symbol] = entries if isinstance(symbol, MatrixExpr) else entries[0][0]
        found: Values = values
        failed = self._failing(found)
        for _ in range(MENDINGS):
            if failed is None or self.given is not None:
                break
            other = self._mended(rng, found)
            if other is not None:
                found, failed = other, self._failing(other)
        return (found, "") if failed is None else (None, repr(failed))

    def _failing(self, values: Values) -> str | None:
        translation, statements = self._translated
        setting = self._setting
        model = complete_model(translation, values)
        if model is None:
            return "the existence of an inverse"
        if not in_range(setting, values) or not small(values):
            return "a range"
        for hypothesis, statement in zip(self.hypotheses, statements, strict=True):
            try:
                if not is_example(translation, [statement], model):
                    return hypothesis.name
            except Rejected:
                return hypothesis.name
        return None

    def _mended(self, rng: random.Random, values: Values) -> Values | None:
        translation, _ = self._translated
        model = complete_model(translation, values)
        try:
            return None if model is None else self._walk.mended(rng, values, model, ())
        except Rejected:
            return None

    @cached_property
    def _setting(self) -> Setting:
        symmetric = tuple(shape.symbol for shape in self.shapes if shape.form in ("symmetric", "psd", "pd"))
        return Setting(self.domain.ranges, self.hypotheses, self, symmetric, self.definitions)

    @cached_property
    def _translated(self) -> tuple[Translation, list[Any]]:
        translation = self._setting.translation()[0]
        return translation, [translation.statement(hypothesis.statement) for hypothesis in self.hypotheses]

    @cached_property
    def _walk(self) -> Walk:
        translation, statements = self._translated
        drawn = Setting(self.domain.ranges, self.hypotheses, lambda rng: self._drawn(rng) or {})
        letters = translation.algebra.letters
        both = {name for name in letters if f"diag({name})" in letters}  # a walk takes these for one or the other
        names = [name for name in movable(translation, drawn) if name not in both]
        return Walk(translation, equations(statements), names)

    @cached_property
    def _assigned(self) -> list[tuple[Any, Any, Translation, Any]]:
        """Symbols that an equation gives a value, in an order in which that is possible."""
        pending: dict[Any, Any] = {}
        fixed = {shape.symbol for shape in self.shapes if shape.form != "any"}
        sizes = set[Any]().union(
            *(sp.sympify(size, strict=True).free_symbols for shape in self.shapes for size in shape.symbol.shape)
        )
        for equation in _equations(self.hypotheses):
            for symbol, value in ((equation.left, equation.right), (equation.right, equation.left)):
                bare = isinstance(symbol, sp.MatrixSymbol | sp.Symbol) and symbol not in self.definitions
                free = bare and symbol not in fixed | sizes | pending.keys()
                if free and symbol not in self._mentioned(value):
                    pending[symbol] = value
                    break
        found: list[tuple[Any, Any, Translation, Any]] = []
        while pending:
            ready = next((s for s, value in pending.items() if not self._mentioned(value) & pending.keys()), None)
            if ready is None:
                break
            translation = Translation(self.domain.ranges, self._setting.symmetric, self.definitions)
            value = pending.pop(ready)
            read = translation.matrix if isinstance(ready, MatrixExpr) else translation.scalar
            found.append((ready, value, translation, read(value)))
        return found

    def _mentioned(self, expr: Any) -> set[Any]:
        """The symbols in an expression, definitions written out."""
        found, pending = set[Any](), [expr]
        while pending:
            for symbol in pending.pop().free_symbols - found:
                found.add(symbol)
                if symbol in self.definitions:
                    pending.append(self.definitions[symbol])
        return found


def _equations(hypotheses: tuple[Hypothesis, ...]) -> list[st.Equal]:
    parts = [hypothesis.statement for hypothesis in hypotheses]
    found: list[st.Equal] = []
    while parts:
        part = parts.pop(0)
        if isinstance(part, st.Equal):
            found.append(part)
        elif isinstance(part, st.AllOf):
            parts += part.parts
    return found
