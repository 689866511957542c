"""From sympy to the checker's normal form: part of the trusted base, so every case is explicit and none is a guess.

Covered: matrix symbols, sums, products, integer powers, transposes, inverses, identities, zero and ones matrices,
``DiagMatrix`` of a vector symbol, traces, rational functions of declared parameters, and sums over the entries of a
vector symbol (read as traces of functions of the diagonal matrix). Anything else raises :class:`Untranslatable`
naming the subexpression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr
from sympy.matrices.expressions.special import Identity as SympyIdentity
from sympy.matrices.expressions.special import OneMatrix

from . import statement as st
from .checker import (
    MAX_EXPONENT,
    UNIT,
    Algebra,
    Calculus,
    Commutative,
    Dimension,
    Inequality,
    Letter,
    Malformed,
    Motion,
    Polynomial,
    Range,
    Rejected,
    Statement,
    Tree,
    dimension,
    valid_name,
)


class Untranslatable(ValueError):
    """The expression, or part of it, has no reading in the normal form; the message names the part."""


P = ParamSpec("P")
R = TypeVar("R")


def _untranslatable(read: Callable[P, R]) -> Callable[P, R]:
    """Sizes that clash and limits that are met are reported like everything else that has no reading."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except Malformed as error:
            raise Untranslatable(str(error)) from error

    return reading


@dataclass
class Ranges(Algebra):
    """An algebra that computes the range of a reciprocal or power once; the checker computes it every time."""

    ranges: dict[str, tuple[object, Range]] = field(default_factory=dict[str, tuple[object, Range]])

    def range_of(self, name: str) -> Range:
        meaning = self.reciprocals.get(name) or self.powers.get(name)
        if meaning is None:
            return super().range_of(name)
        known = self.ranges.get(name)
        if known is None or known[0] is not meaning:  # a name that was forgotten may be given again
            known = self.ranges[name] = (meaning, super().range_of(name))
        return known[1]


class Translation:
    """One algebra filled from sympy expressions; equal expressions give equal polynomials.

    ``parameters`` gives every scalar symbol its range; ``symmetric`` lists the symmetric matrix symbols;
    ``definitions`` maps abbreviations (scalar or matrix symbols) to what they stand for. Inverses, reciprocals and
    powers with symbolic exponents become letters of their own, numbered in the order in which they are met.

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.proof.checker import Range, render
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> t = Translation({n: Range(1, integer=True)})
        >>> render(t.scalar(sp.Trace(A * A.T - A.T * A)))
        '0'
    """

    def __init__(
        self,
        parameters: Mapping[sp.Symbol, Range],
        symmetric: Collection[sp.MatrixSymbol] = (),
        definitions: Mapping[Any, Any] | None = None,
    ) -> None:
        self.algebra: Algebra = Ranges({symbol.name: bounds for symbol, bounds in parameters.items()})
        self._parameters = {symbol.name: symbol for symbol in parameters}
        if len(self._parameters) < len(parameters):
            raise Untranslatable("two parameters have the same name")
        self.symmetric = {symbol.name for symbol in symmetric}
        self.sources: dict[str, sp.Basic] = {}
        self.directions: set[str] = set()  # letters for arbitrary directions of derivatives
        self._definitions = dict(definitions or {})
        self._defined: dict[Any, Polynomial | None] = {}  # None while it is being read
        self._dimensions: dict[Any, Dimension] = {}
        self._inverses: dict[Polynomial, str] = {}

    def redefined(self, definitions: Mapping[Any, Any]) -> Translation:
        """A translation into the same algebra in which abbreviations stand for something else."""
        other = copy(self)
        other._definitions, other._defined = dict(definitions), dict[Any, Polynomial | None]()
        return other

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Within it new letters may be met, which are forgotten at the end."""
        tables: tuple[dict[Any, Any], ...] = (
            self.algebra.letters,
            self.algebra.reciprocals,
            self.algebra.powers,
            self.algebra.parameters,
            self.sources,
            self._inverses,
        )
        before = [dict(table) for table in tables]
        try:
            yield
        finally:
            for table, old in zip(tables, before, strict=True):
                table.clear()
                table.update(old)

    # ---- scalars
    @_untranslatable
    def scalar(self, expr: Any) -> Polynomial:
        """A scalar expression as a polynomial in traces."""
        algebra = self.algebra
        expr = sp.sympify(expr, strict=True)
        if expr in self._definitions:
            return self._definition(expr)
        if isinstance(expr, sp.Rational):
            return algebra.scalar({(): Fraction(int(expr.p), int(expr.q))})
        if isinstance(expr, sp.Symbol):
            return algebra.scalar({((self._parameter(expr), 1),): Fraction(1)})
        if isinstance(expr, sp.Add):
            total = algebra.zero(None)
            for part in expr.args:
                total = algebra.plus(total, self.scalar(part))
            return total
        if isinstance(expr, sp.Mul):
            total = algebra.scalar({(): Fraction(1)})
            for part in expr.args:
                total = algebra.times(total, self.scalar(part))
            return total
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
            base, exponent = self.scalar(expr.base), int(expr.exp)
            return self._scalar_power(base if exponent > 0 else self._reciprocal(base), abs(exponent))
        if isinstance(expr, sp.Trace):
            return algebra.trace(self.matrix(expr.arg))
        if isinstance(expr, sp.Sum):
            return self._sum(expr)
        if isinstance(expr, sp.Pow) and not isinstance(expr.exp, sp.Rational):
            return self._natural_power(expr)
        raise Untranslatable(f"no reading of the scalar {expr}")

    def _parameter(self, symbol: sp.Symbol) -> str:
        known = self._parameters.get(symbol.name)
        if known is None:
            raise Untranslatable(f"the symbol {symbol} has no declared range")
        if known != symbol:
            raise Untranslatable(f"two symbols are called {symbol}, with different assumptions")
        return symbol.name

    def _scalar_power(self, base: Polynomial, exponent: int) -> Polynomial:
        self._require_small(exponent)
        total = self.algebra.scalar({(): Fraction(1)})
        for _ in range(exponent):
            total = self.algebra.times(total, base)
        return total

    @staticmethod
    def _require_small(exponent: int) -> None:
        if exponent > MAX_EXPONENT:
            raise Untranslatable(f"an exponent beyond {MAX_EXPONENT}")

    def _natural_power(self, expr: sp.Pow) -> Polynomial:
        """b^e for an exponent e that is visibly a natural number, or the negative of one: 1 / b^(-e)."""
        algebra = self.algebra
        base, exponent = self.scalar(expr.base), dict(self.dimension(expr.exp))
        negative = {mono: -value for mono, value in exponent.items()}
        try:
            if algebra.is_natural(exponent):
                return algebra.raised(base, exponent, self._power_letter)
            if algebra.is_natural(negative):
                return self._reciprocal(algebra.raised(base, negative, self._power_letter))
        except Rejected as error:
            raise Untranslatable(f"no reading of {expr}: {error}") from error
        raise Untranslatable(f"the exponent of {expr} is not visibly a natural number")

    def _power_letter(self, base: Polynomial, exponent: Dimension) -> str:
        algebra = self.algebra
        known = next((name for name, power in algebra.powers.items() if power == (base, exponent)), None)
        if known is None:
            if algebra.names(base) & algebra.letters.keys():
                raise Untranslatable("a power with a symbolic exponent of a scalar that depends on matrices")
            known = self._fresh(f"pow{len(algebra.powers) + 1}")
            algebra.powers[known] = (base, exponent)
        return known

    def _fresh(self, name: str) -> str:
        """A name that the translation gives; no symbol of the user may have it, or the two would be confused."""
        algebra = self.algebra
        if any(name in known for known in (algebra.letters, algebra.parameters, algebra.reciprocals, algebra.powers)):
            raise Untranslatable(f"the name {name} is reserved; rename the symbol that has it")
        return name

    def _reciprocal(self, base: Polynomial) -> Polynomial:
        if not base.terms:
            raise Untranslatable("division by zero")
        if len(base.terms) == 1:
            (((mono, traces, _), value),) = base.terms.items()
            if not traces:
                return self.algebra.scalar({tuple((name, -e) for name, e in mono): 1 / value})
        name = self._inverses.get(base)
        if name is None:
            name = self._fresh(f"rec{len(self.algebra.reciprocals) + 1}")
            self._inverses[base] = name
            self.algebra.reciprocals[name] = base
        return self.algebra.scalar({((name, 1),): Fraction(1)})

    def _sum(self, expr: sp.Sum) -> Polynomial:
        """sum over j of f(w[j]) is the trace of f(diag(w))."""
        if len(expr.limits) != 1:
            raise Untranslatable(f"a sum over several indices: {expr}")
        index, low, high = expr.limits[0]
        vectors = {e.parent for e in expr.function.atoms(MatrixElement) if e.has(index)}
        if len(vectors) != 1:
            raise Untranslatable(f"a sum over entries of one vector symbol is expected: {expr}")
        vector = vectors.pop()
        if vector.shape[1] != 1 or low != 0 or sp.expand(high - vector.shape[0] + 1) != 0:
            raise Untranslatable(f"the sum does not run over all entries of {vector}")
        return self.algebra.trace(self._function(expr.function, vector[index, 0], DiagMatrix(vector), index))

    def _function(self, expr: Any, entry: Any, matrix: MatrixExpr, index: Any) -> Polynomial:
        """f(D) for a rational function f of one entry."""
        algebra = self.algebra
        size = self.dimension(matrix.shape[0])
        if expr == entry:
            return self.matrix(matrix)
        if not expr.has(index):
            return algebra.times(self.scalar(expr), algebra.identity(size))
        parts = [self._function(part, entry, matrix, index) for part in expr.args if not isinstance(expr, sp.Pow)]
        if isinstance(expr, sp.Add):
            total = algebra.zero((size, size))
            for part in parts:
                total = algebra.plus(total, part)
            return total
        if isinstance(expr, sp.Mul):
            total = algebra.identity(size)
            for part in parts:
                total = algebra.times(total, part)
            return total
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
            base = self._function(expr.base, entry, matrix, index)
            return self._matrix_power(base if expr.exp > 0 else self._inverse(base), abs(int(expr.exp)))
        raise Untranslatable(f"no reading of {expr} as a rational function of {entry}")

    # ---- matrices
    @_untranslatable
    def matrix(self, expr: Any) -> Polynomial:
        """A matrix expression as a polynomial in words."""
        algebra = self.algebra
        if expr in self._definitions:
            return self._definition(expr)
        if isinstance(expr, sp.MatrixSymbol):
            return self._symbol(expr.name, expr, *expr.shape)
        if isinstance(expr, sp.MatAdd):
            total = algebra.zero(self._shape(expr))
            for part in expr.args:
                total = algebra.plus(total, self.matrix(part))
            return total
        if isinstance(expr, sp.MatMul):
            factors = [self.matrix(a) if isinstance(a, MatrixExpr) else self.scalar(a) for a in expr.args]
            total = factors[0]
            for factor in factors[1:]:
                total = algebra.times(total, factor)
            return total
        if isinstance(expr, sp.Transpose):
            return algebra.transpose(self.matrix(expr.arg))
        if isinstance(expr, sp.Inverse):  # before MatPow: a subclass of it
            return self._inverse(self.matrix(expr.arg))
        if isinstance(expr, sp.MatPow) and isinstance(expr.exp, sp.Integer):
            base = self.matrix(expr.base)
            return self._matrix_power(base if expr.exp >= 0 else self._inverse(base), abs(int(expr.exp)))
        if isinstance(expr, SympyIdentity):
            return algebra.identity(self.dimension(expr.shape[0]))
        if isinstance(expr, sp.ZeroMatrix):
            return algebra.zero(self._shape(expr))
        if isinstance(expr, OneMatrix):
            rows, cols = (self._ones(size) for size in expr.shape)
            return algebra.times(rows, algebra.transpose(cols))
        if isinstance(expr, DiagMatrix) and isinstance(expr.args[0], sp.MatrixSymbol):
            return self._symbol(f"diag({expr.args[0].name})", expr, *expr.shape, symmetric=True)
        raise Untranslatable(f"no reading of the matrix {expr}")

    def dimension(self, expr: Any) -> Dimension:
        if expr not in self._dimensions:
            terms: Commutative = {}
            for (mono, traces, _), value in self.scalar(expr).terms.items():
                if traces or not all(name in self.algebra.parameters for name, _ in mono):
                    raise Untranslatable(f"{expr} is not a size")
                terms[mono] = value
            self._dimensions[expr] = dimension(terms)
        return self._dimensions[expr]

    def _definition(self, symbol: Any) -> Polynomial:
        if symbol not in self._defined:
            self._defined[symbol] = None
            meaning = self._definitions[symbol]
            matrix = isinstance(meaning, MatrixExpr)
            if matrix != isinstance(symbol, MatrixExpr) or (matrix and meaning.shape != symbol.shape):
                raise Untranslatable(f"the definition of {symbol} has another shape")
            self._defined[symbol] = self.matrix(meaning) if matrix else self.scalar(meaning)
        found = self._defined[symbol]
        if found is None:
            raise Untranslatable(f"the definition of {symbol} leads back to {symbol}")
        return found

    def abbreviate(self, symbol: sp.MatrixSymbol, meaning: MatrixExpr) -> None:
        """Make a fresh matrix symbol a letter that stands for an expression."""
        inner = self.matrix(meaning)
        if inner.shape is None:
            raise Untranslatable(f"{symbol} abbreviates a scalar")
        if symbol.name in self.algebra.letters or inner.shape != self._shape(symbol) or not valid_name(symbol.name):
            raise Untranslatable(f"{symbol} is not a fresh symbol of the shape of what it abbreviates")
        symmetric = inner.shape[0] == inner.shape[1] and self.algebra.transpose(inner) == inner
        self.algebra.letters[symbol.name] = Letter(*inner.shape, symmetric=symmetric, equals=inner)
        self.sources[symbol.name] = symbol

    def direction(self, name: str) -> str:
        """A fresh letter of the shape of another one, for derivatives in an arbitrary direction."""
        algebra, fresh = self.algebra, f"d{name}"
        while fresh in algebra.letters or fresh in algebra.parameters:
            fresh = f"d{fresh}"
        algebra.letters[fresh] = Letter(algebra.letter(name).rows, algebra.letter(name).cols)
        self.directions.add(fresh)
        return fresh

    def _shape(self, expr: MatrixExpr) -> tuple[Dimension, Dimension]:
        return self.dimension(expr.shape[0]), self.dimension(expr.shape[1])

    def _symbol(self, name: str, source: MatrixExpr, rows: Any, cols: Any, symmetric: bool = False) -> Polynomial:
        known = self.algebra.letters.get(name)
        if isinstance(self.sources.get(name, source), sp.MatrixSymbol) != isinstance(source, sp.MatrixSymbol):
            raise Untranslatable(f"two different objects are called {name}")
        if known is not None and known.equals is not None and (known.rows, known.cols) == self._shape(source):
            return self.algebra.symbol(name)
        letter = Letter(self.dimension(rows), self.dimension(cols), symmetric or name in self.symmetric)
        if not valid_name(name):
            raise Untranslatable(f"{name!r} cannot name a matrix (letters first, no primes)")
        if self.algebra.letters.setdefault(name, letter) != letter or name in self.algebra.parameters:
            raise Untranslatable(f"two different objects are called {name}")
        self.sources[name] = source
        return self.algebra.symbol(name)

    def _ones(self, size: Any) -> Polynomial:
        rows = self.dimension(size)
        if rows == UNIT:
            return self.algebra.identity(UNIT)
        name, letter = f"ones({size})", Letter(rows, UNIT, ones=True)
        if self.algebra.letters.setdefault(name, letter) != letter:
            raise Untranslatable(f"the name {name} is reserved; rename the symbol that has it")
        return self.algebra.symbol(name)

    def _matrix_power(self, base: Polynomial, exponent: int) -> Polynomial:
        if base.shape is None or base.shape[0] != base.shape[1]:
            raise Untranslatable("power of a rectangular matrix")
        self._require_small(exponent)
        total = self.algebra.identity(base.shape[0])
        for _ in range(exponent):
            total = self.algebra.times(total, base)
        return total

    def _inverse(self, inner: Polynomial) -> Polynomial:
        algebra = self.algebra
        if inner.shape is None or inner.shape[0] != inner.shape[1]:
            raise Untranslatable("inverse of a rectangular matrix")
        if inner.terms and all(word == () for _, _, word in inner.terms):  # a scalar times the identity
            scalar = Polynomial(None, {(m, s, None): x for (m, s, _), x in inner.terms.items()})
            return algebra.times(self._reciprocal(scalar), algebra.identity(inner.shape[0]))
        name = self._inverses.get(inner)
        if name is None:
            name = self._fresh(f"inv{sum(x.inverse_of is not None for x in algebra.letters.values()) + 1}")
            symmetric = algebra.transpose(inner) == inner
            algebra.letters[name] = Letter(*inner.shape, symmetric=symmetric, inverse_of=inner)
            self._inverses[inner] = name
        return algebra.symbol(name)

    # ---- statements
    def statement(self, statement: st.Statement) -> Statement:
        """The normal form of a statement; equality and identity move everything to one side."""
        found = self._statement(statement)
        for name in (*found.over, *found.other_over):
            if f"diag({name})" in self.algebra.names(*found.polynomials()):
                raise Untranslatable(f"{name} is bound, but occurs in diag({name}), which is a letter of its own")
        return found

    def _statement(self, statement: st.Statement) -> Statement:
        algebra = self.algebra
        match statement:
            case st.Equal(left, right):
                both = [self.matrix(x) if isinstance(x, MatrixExpr) else self.scalar(x) for x in (left, right)]
                if both[0].shape != both[1].shape:
                    raise Untranslatable(f"the two sides of {left} = {right} have different shapes")
                return Statement("zero", algebra.minus(*both))
            case st.PositiveSemidefinite(matrix):
                return Statement("psd", self._square(matrix))
            case st.PositiveDefinite(matrix):
                return Statement("pd", self._square(matrix))
            case st.Invertible(matrix):
                return Statement("invertible", self._square(matrix))
            case st.Positive(scalar):
                return Statement("positive", self.scalar(scalar))
            case st.Nonnegative(scalar):
                return Statement("nonnegative", self.scalar(scalar))
            case st.AnyOf(parts):
                return Statement("any", parts=tuple(self.statement(part) for part in parts))
            case st.AllOf(parts):
                return Statement("all", parts=tuple(self.statement(part) for part in parts))
            case st.Minimum(objective, over, at, value, unique):
                return Statement(
                    "minimum",
                    self.scalar(objective),
                    over=self._variables(over),
                    at=self._points(over, at),
                    value=self.scalar(value),
                    unique=unique,
                )
            case st.EqualInfima(left, left_over, right, right_over):
                return Statement(
                    "equal-infima",
                    self.scalar(left),
                    over=self._variables(left_over),
                    other=self.scalar(right),
                    other_over=self._variables(right_over),
                )
            case st.Identity(left, right, variable):
                return Statement("vanishes", calculus=self.calculus(left - right, variable))
            case st.Increasing(expression, variable):
                return Statement("increasing", calculus=self.calculus(expression, variable))
            case st.Exceeds(left, right, boxes):
                return Statement("exceeds", inequality=self.inequality(left, right, boxes))
            case st.GradientIs(objective, variable, gradient):
                over = self._variables((variable,))
                return Statement(
                    "gradient", self.scalar(objective), over=over, at=self._points((variable,), (gradient,))
                )
            case st.Decay():
                return self._motion("decay", statement)
            case st.EqualShares():
                return self._motion("shares", statement)
            case st.Equalisation():
                return self._motion("equalisation", statement)
            case st.Growth():
                return self._motion("growth", statement)
            case st.FirstIntegral():
                return self._motion("first-integral", statement)
            case st.Vanishing(expression, variable):
                return Statement("tends", calculus=self.calculus(expression, variable))
            case _:
                raise Untranslatable(f"no reading of a {type(statement).__name__}")

    def _variables(self, symbols: tuple[sp.MatrixSymbol, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            self.matrix(symbol)
        return tuple(symbol.name for symbol in symbols)

    def _points(self, symbols: tuple[sp.MatrixSymbol, ...], values: tuple[MatrixExpr, ...]) -> tuple[Polynomial, ...]:
        """One matrix of the shape of each symbol."""
        found = tuple(self.matrix(value) for value in values)
        if [value.shape for value in found] != [self._shape(symbol) for symbol in symbols]:
            raise Untranslatable(f"not of the shape of {', '.join(symbol.name for symbol in symbols)}: {values}")
        return found

    def _square(self, expr: MatrixExpr) -> Polynomial:
        found = self.matrix(expr)
        if found.shape is None or found.shape[0] != found.shape[1]:
            raise Untranslatable(f"{expr} is not square")
        return found

    def _motion(self, kind: str, statement: st.FirstIntegral) -> Statement:
        generators: dict[str, tuple[Any, ...]] = {}
        integral = self._tree(statement.integral, generators)
        motion = Motion(self._tree(statement.rate, generators))
        if isinstance(statement, st.Growth):
            coefficient = self._tree(sp.sympify(statement.coefficient, strict=True), generators)
            motion = replace(motion, coefficient=coefficient, exponent=statement.exponent)
        if isinstance(statement, st.Decay):
            parts = (statement.quantity, statement.limit, statement.count)
            quantity, limit, count = (self._tree(sp.sympify(part, strict=True), generators) for part in parts)
            motion = replace(motion, quantity=quantity, power=statement.power, limit=limit, count=count)
        if isinstance(statement, st.EqualShares):
            quantity, count = (
                self._tree(sp.sympify(part, strict=True), generators) for part in (statement.quantity, statement.count)
            )
            motion = replace(motion, quantity=quantity, power=statement.power, count=count)
        calculus = Calculus(self._parameter(statement.variable), tuple(sorted(generators.items())), integral)
        return Statement(kind, calculus=calculus, motion=motion)

    # ---- inequalities on boxes
    def inequality(self, left: Any, right: Any, boxes: tuple[tuple[st.Between, ...], ...]) -> Inequality:
        """left - right > 0 on each of the boxes."""
        sides = [self.elementary(side) for side in (left, right)]
        tree = sides[0] if sides[1] == "0" else ("+", sides[0], ("*", "-1", sides[1]))
        found: list[tuple[tuple[str, Fraction | None, Fraction | None], ...]] = []
        for box in boxes:
            named = {self._parameter(side.symbol): (self._end(side.low), self._end(side.high)) for side in box}
            if len(named) < len(box):
                raise Untranslatable("two conditions on one symbol in a box")
            found.append(tuple((name, *ends) for name, ends in sorted(named.items())))
        if not found:
            raise Untranslatable("an inequality on no box")
        return Inequality(tree, tuple(found))

    @staticmethod
    def _end(value: Any) -> Fraction | None:
        if value is None:
            return None
        number = sp.sympify(value, strict=True)
        if not isinstance(number, sp.Rational):
            raise Untranslatable(f"the end {value} of a box is not a rational number")
        return Fraction(int(number.p), int(number.q))

    def elementary(self, expr: Any) -> Tree:
        """An expression in parameters, rational numbers, + * /, powers, exp and log as a tree of its own."""
        return self._elementary(sp.sympify(expr, strict=True), ())

    def _elementary(self, expr: Any, within: tuple[Any, ...]) -> Tree:
        def read(part: Any) -> Tree:
            return self._elementary(part, within)

        if expr in self._definitions:
            if expr in within:
                raise Untranslatable(f"the definition of {expr} leads back to {expr}")
            return self._elementary(self._definitions[expr], (*within, expr))
        if isinstance(expr, sp.Rational):
            return str(Fraction(int(expr.p), int(expr.q)))
        if expr is sp.E:
            return ("exp", "1")
        if isinstance(expr, sp.Symbol):
            return self._parameter(expr)
        if isinstance(expr, sp.Add | sp.Mul):
            operator = "+" if isinstance(expr, sp.Add) else "*"
            return (operator, *(read(part) for part in expr.args))
        if isinstance(expr, sp.exp | sp.log):
            return ("exp" if isinstance(expr, sp.exp) else "log", read(expr.args[0]))
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
            self._require_small(abs(int(expr.exp)))
            return ("^", read(expr.base), str(int(expr.exp)))
        if isinstance(expr, sp.Pow):
            return ("exp", ("*", read(expr.exp), ("log", read(expr.base))))
        raise Untranslatable(f"no reading of {expr} in an inequality")

    # ---- scalar calculus
    def calculus(self, expr: Any, variable: sp.Symbol) -> Calculus:
        """A scalar expression as a tree over generators for its logarithms, exponentials and symbolic powers."""
        generators: dict[str, tuple[Any, ...]] = {}
        tree = self._tree(sp.sympify(expr, strict=True), generators)
        return Calculus(self._parameter(variable), tuple(sorted(generators.items())), tree)

    def _tree(self, expr: Any, generators: dict[str, tuple[Any, ...]]) -> Tree:
        if isinstance(expr, sp.Rational):
            return str(Fraction(int(expr.p), int(expr.q)))
        if isinstance(expr, sp.Symbol):
            return self._parameter(expr)
        if isinstance(expr, sp.Add | sp.Mul):
            operator = "+" if isinstance(expr, sp.Add) else "*"
            return (operator, *(self._tree(part, generators) for part in expr.args))
        if isinstance(expr, sp.Derivative) and all(isinstance(symbol, sp.Symbol) for symbol in expr.variables):
            tree = self._tree(expr.expr, generators)
            for symbol in expr.variables:
                tree = ("D", tree, self._parameter(symbol))
            return tree
        if isinstance(expr, sp.exp | sp.log):
            kind = "exp" if isinstance(expr, sp.exp) else "log"
            return self._generator(f"{kind}({expr.args[0]})", (kind, self._tree(expr.args[0], generators)), generators)
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
            return ("^", self._tree(expr.base, generators), str(int(expr.exp)))
        if isinstance(expr, sp.Pow) and isinstance(expr.base, sp.Symbol):
            return self._symbolic_power(expr, generators)
        raise Untranslatable(f"no reading of {expr} in scalar calculus")

    def _symbolic_power(self, expr: sp.Pow, generators: dict[str, tuple[Any, ...]]) -> Tree:
        """x^(a M + b) = (x^M)^a x^b for integers a, b and symbols M."""
        base = self._tree(expr.base, generators)
        factors: list[Tree] = []
        for symbol, coefficient in sp.expand(expr.exp).as_coefficients_dict().items():
            if not isinstance(coefficient, sp.Integer) or not (symbol == 1 or isinstance(symbol, sp.Symbol)):
                raise Untranslatable(f"no reading of the exponent {expr.exp}")
            inner: Tree = base
            if symbol != 1:
                rule = ("power", base, self._tree(symbol, generators))
                inner = self._generator(f"{expr.base}^{symbol}", rule, generators)
            factors.append(("^", inner, str(int(coefficient))))
        return ("*", *factors) if len(factors) > 1 else factors[0]

    @staticmethod
    def _generator(name: str, rule: tuple[Any, ...], generators: dict[str, tuple[Any, ...]]) -> str:
        generators[name] = rule
        return name
