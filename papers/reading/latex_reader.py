"""A typed reader of LaTeX formulas: a grammar, and a table of the symbols that may occur. What is not sure is not read.

Sizes are checked in every sum and product, so that a scalar times a matrix, a transpose or an identity without a size
has one meaning. Where mathematical writing is ambiguous (``1/2n``, ``\\log x y``, a norm without its F) reading stops,
with the token at which it does. Sentences become statements of :mod:`tightframe.theory.proof.statement` or a
:class:`Relation`, built node by node; no text is ever evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.exceptions import ShapeError
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.special import OneMatrix

from ...theory.proof import statement as st
from .latex_grammar import parsed
from .latex_tokens import MAX_DEPTH, ROW, TEXT, Misfit, Token, Unreadable, canonical, expanded, raw
from .symbol_table import SymbolTable

MAX_EXPONENT = 24  # of an integer power; the largest of a shipped claim is 4
MAX_DEGREE = 200  # of powers of powers
MAX_FACTORS = 100  # of one product

_BEFORE = frozenset(  # a row that begins so continues the one before, and one that ends so goes on in the next
    (
        *"=<>+-−/)]",
        r"\}",
        r"\ge",
        r"\le",
        r"\ne",
        r"\succeq",
        r"\succ",
        r"\sim",
        r"\cdot",
        r"\times",
        r"\approx",
        r"\to",
    )
) | frozenset((r"\Longrightarrow", r"\equiv", r"\propto", r"\mapsto"))
_BRACKETS = {"(": 1, "[": 1, r"\{": 1, r"\lVert": 1, ")": -1, "]": -1, r"\}": -1, r"\rVert": -1}


@dataclass(frozen=True)
class Relation:
    """``left operator right``, of scalars or of matrices of one shape; ``boxes`` say for which parameters."""

    operator: str
    left: Any
    right: Any
    boxes: tuple[tuple[st.Between, ...], ...] = ()

    def sides(self) -> tuple[Any, Any]:
        return self.left, self.right


@dataclass(frozen=True)
class Asymptotic:
    """``left ~ right`` along ``dw/dt = rate(w)``."""

    left: Any
    right: Any
    variable: sp.Symbol
    rate: Any


@dataclass(frozen=True)
class Sentence:
    """A statement that was read, and where it begins."""

    says: Any
    at: int


@dataclass(frozen=True)
class Loose:
    """A multiple of the identity whose size is not written."""

    coefficient: Any


Value = Any  # a sympy scalar, a MatrixExpr, or Loose


def read(
    source: str,
    table: SymbolTable,
    start: int = 0,
    macros: Mapping[str, str | None] | None = None,
    several: bool = False,
) -> list[Sentence]:
    """The sentences of a formula; rows of it are equations of their own if ``several``, as in ``align``.

    Offsets, also in errors, count from ``start``, the place of the formula in its file.

    Raises:
        Unreadable: with the reason and the offset at which reading stopped.

    Examples:
        >>> from tightframe.papers import registry
        >>> from tightframe.papers.reading import symbol_table
        >>> known = symbol_table.table(symbol_table.subject(registry.find("han2022/total-covariance")))
        >>> (sentence,) = read(r"\\tilde\\Sigma_T - \\tilde{\\Sigma}_W = \\tilde{\\Sigma}_B", known)
        >>> sentence.says.operator, sentence.says.right.name
        ('=', '\\\\tilde{\\\\Sigma}_B')
    """
    tokens = canonical(expanded(raw(source, start), macros or {}))
    found: list[Sentence] = []
    for row in formulas(tokens, several):
        found += _Builder(table).sentences(parsed(row, table))
    if not found:
        raise Unreadable("nothing to read", start)
    return found


def formulas(tokens: Sequence[Token], several: bool) -> Iterator[list[Token]]:
    """The rows joined to formulas: a row that goes on, or begins in the middle, belongs to the one before.

    Raises:
        Unreadable: if a row ends inside braces, or it is not clear that it goes on.
    """
    current: list[Token] = []
    braces = brackets = 0
    following = False
    for token in tokens:
        if token.text == ROW and not token.kind:
            if braces:
                raise Unreadable("a row that ends inside braces", token.at)
            following = True
            continue
        if following and current:
            goes_on = brackets > 0 or _joins(current[-1]) or _joins(token)
            if current[-1].text in (",", ";"):
                goes_on = brackets > 0 or token.text == r"\dot"  # an equation of its own, unless it says which flow
            elif not several and token.text in ("(", "[", r"\{", r"\lVert"):
                goes_on = True
            if not goes_on:
                yield _stripped(current)
                current = []
        following = False
        braces += {"{": 1, "}": -1}.get(token.text, 0)
        brackets += _BRACKETS.get(token.text, 0)
        if brackets > MAX_DEPTH:
            raise Unreadable(f"brackets deeper than {MAX_DEPTH}", token.at)
        current.append(token)
    if current:
        yield _stripped(current)


def _joins(token: Token) -> bool:
    return token.kind == TEXT or token.text in _BEFORE


def _stripped(tokens: list[Token]) -> list[Token]:
    """Without the punctuation that ends a sentence of prose."""
    while len(tokens) > 1 and tokens[-1].text in (".", ",", ";") and not tokens[-1].kind:
        tokens = tokens[:-1]
    return tokens


def _sizes(matrix: MatrixExpr) -> str:
    """Rows and columns, such as ``p x (C - 1)``."""
    return " x ".join(f"({size})" if isinstance(size, sp.Add) else str(size) for size in matrix.shape)


class _Builder:
    """Builds typed expressions from a parsed formula."""

    def __init__(self, table: SymbolTable) -> None:
        self.table = table
        self.bound: list[tuple[str, Any]] = []  # indices of the sums that are open
        self.used: set[str] = set()
        self.at = 0

    def stop(self, why: str) -> Unreadable:
        return Unreadable(why, self.at)

    def sentences(self, tree: Any) -> list[Sentence]:
        found: list[Sentence] = []
        for child in tree.children:
            if hasattr(child, "data"):
                at = _first(child)
                found += [Sentence(says, at) for says in self.sentence(child)]
        return found

    def sentence(self, tree: Any) -> list[Any]:
        self.at = _first(tree)
        try:
            return list(getattr(self, f"say_{tree.data}")(tree))
        except ShapeError:
            raise Misfit("the sizes do not fit", self.at) from None

    # ---- sentences
    def say_chain(self, tree: Any) -> Iterator[Any]:
        *links, where = tree.children
        boxes = () if where is None else self.boxes(where)
        values = [self.value(link) for link in links[::2]]
        for i, operator in enumerate(links[1::2]):
            symbol = operator.children[0].type
            text = str(operator.children[0])
            left, right = self.sides(values[i], values[i + 1])
            if symbol in ("LT", "LE"):
                left, right = right, left
            shown = {"EQ": "=", "GT": ">", "LT": ">", "GE": ">=", "LE": ">=", "PSD": "psd", "PD": "pd", "SIM": "~"}
            yield Relation(shown.get(symbol, text), left, right, boxes)

    def boxes(self, tree: Any) -> tuple[tuple[st.Between, ...], ...]:
        return tuple(self.box(child) for child in tree.children if getattr(child, "data", "") == "box")

    def box(self, tree: Any) -> tuple[st.Between, ...]:
        found: dict[sp.Symbol, tuple[Any, Any]] = {}
        for condition in tree.children:
            if not hasattr(condition, "data"):
                continue
            links = condition.children
            for left, operator, right in zip(links[::2], links[1::2], links[2::2], strict=False):
                symbol, low, high = self.bound_of(left, operator.children[0].type, right)
                before = found.get(symbol, (None, None))
                if any(old is not None and new is not None for old, new in zip(before, (low, high), strict=True)):
                    raise self.stop("two conditions on one side of a symbol")
                found[symbol] = tuple(old if new is None else new for old, new in zip(before, (low, high), strict=True))
        return tuple(st.Between(symbol, low, high) for symbol, (low, high) in found.items())

    def bound_of(self, left: Any, operator: str, right: Any) -> tuple[sp.Symbol, Any, Any]:
        sides = self.scalar(left), self.scalar(right)
        turned = {"GE": "LE", "LE": "GE", "GT": "LT", "LT": "GT", "EQ": "EQ"}
        if operator not in turned:
            raise self.stop("a condition of another form")
        if not isinstance(sides[0], sp.Symbol):
            sides, operator = (sides[1], sides[0]), turned[operator]
        symbol: Any
        end: Any
        symbol, end = sides
        if not isinstance(symbol, sp.Symbol) or not isinstance(end, sp.Rational):
            raise self.stop("a condition that does not compare a symbol with a number")
        if operator in ("GT", "LT"):
            if not all(getattr(each, "is_integer", False) for each in (symbol, end)):
                raise self.stop("a strict condition on a real number")
            end += 1 if operator == "GT" else -1
        low = end if operator in ("GE", "GT", "EQ") else None
        return symbol, low, end if operator in ("LE", "LT", "EQ") else None

    def say_minimum(self, tree: Any) -> Iterator[Any]:
        _, _, variables, _, objective, _, value, at = tree.children
        over = self.variables(variables)
        if at is None:
            yield st.Minimum(self.scalar(objective), over, (), self.scalar(value))
            return
        named: dict[Any, Any] = {}
        pairs = [child for child in at.children[1:] if hasattr(child, "data")]
        for name, point in zip(pairs[::2], pairs[1::2], strict=True):
            symbol = self.symbol(name)
            if symbol in named or symbol not in over:
                raise self.stop(f"a point for {symbol}, over which the minimum is not taken")
            named[symbol] = self.sides(symbol, self.value(point))[1]
        if set(named) != set(over):
            raise self.stop("a minimiser that does not say where every variable is")
        points = tuple(named[symbol] for symbol in over)
        yield st.Minimum(self.scalar(objective), over, points, self.scalar(value), at.children[0].type == "EXACTLY")

    def say_infima(self, tree: Any) -> Iterator[Any]:
        left_over, left, right_over, right = (child for child in tree.children if hasattr(child, "data"))
        yield st.EqualInfima(
            self.scalar(left), self.variables(left_over), self.scalar(right), self.variables(right_over)
        )

    def say_gradient(self, tree: Any) -> Iterator[Any]:
        name, objective, gradient = (child for child in tree.children if hasattr(child, "data"))
        variable = self.variables_of([name])[0]
        yield st.GradientIs(self.scalar(objective), variable, self.sides(variable, self.value(gradient))[1])

    def say_increasing(self, tree: Any) -> Iterator[Any]:
        name, _, expression, _ = tree.children
        yield st.Increasing(self.scalar(expression), self.scalar_symbol(name))

    def say_limit(self, tree: Any) -> Iterator[Any]:
        name, expression = (child for child in tree.children if hasattr(child, "data"))
        if tree.children[-1].payload != 0:
            raise self.stop("a limit that is not zero")
        yield st.Vanishing(self.scalar(expression), self.scalar_symbol(name))

    def say_invertible(self, tree: Any) -> Iterator[Any]:
        yield st.Invertible(self.matrix(tree.children[0]))

    def say_motion(self, tree: Any) -> Iterator[Any]:
        rate_name, _, rate, _, *rest = tree.children
        variable = rate_name.payload
        speed = self.scalar(rate)
        if getattr(rest[0], "data", "") != "growth":
            integral, since = self.scalar(rest[0]), self.scalar(rest[2])
            if since != sp.Symbol("a", positive=True) + sp.Symbol("t", positive=True):
                raise self.stop("a first integral that is not a + t")
            yield st.FirstIntegral(variable, speed, integral)
            return
        name, _, _, _, left, _, right = rest[0].children
        if self.scalar_symbol(name) != variable:
            raise self.stop("the growth of something else")
        yield Asymptotic(self.scalar(left), self.scalar(right), variable, speed)

    def say_decay(self, tree: Any) -> Iterator[Any]:
        left, _, right, _, name, _, rate = tree.children
        self.bound.append(("j", None))  # of one of the solutions
        speed = self.scalar(rate)
        self.bound.pop()
        yield Asymptotic(self.scalar(left), self.scalar(right), name.payload, speed)

    def variables(self, tree: Any) -> tuple[sp.MatrixSymbol, ...]:
        return self.variables_of([child for child in tree.children if hasattr(child, "data")])

    def variables_of(self, trees: Sequence[Any]) -> tuple[sp.MatrixSymbol, ...]:
        found = tuple(self.symbol(tree) for tree in trees)
        if not all(isinstance(symbol, sp.MatrixSymbol) for symbol in found) or len(set(found)) < len(found):
            raise self.stop("matrix symbols are expected")
        return found

    def symbol(self, tree: Any) -> Any:
        return tree.children[0].payload[0]

    def scalar_symbol(self, tree: Any) -> sp.Symbol:
        symbol = self.symbol(tree)
        if not isinstance(symbol, sp.Symbol):
            raise self.stop(f"{symbol} is not a scalar")
        return symbol

    # ---- types
    def scalar(self, tree: Any) -> Any:
        return self.as_scalar(self.value(tree))

    def as_scalar(self, value: Value) -> Any:
        if isinstance(value, MatrixExpr):
            if value.shape != (1, 1):
                raise self.stop("a matrix where a number is expected")
            return sp.Trace(value)
        if isinstance(value, Loose):
            raise self.stop("an identity where a number is expected")
        return value

    def matrix(self, tree: Any) -> MatrixExpr:
        value = self.value(tree)
        if not isinstance(value, MatrixExpr):
            raise self.stop("a number where a matrix is expected")
        return value

    def sides(self, left: Value, right: Value) -> tuple[Value, Value]:
        """Both as scalars, or both as matrices of one shape; a zero takes the other's shape."""
        matrices = [side for side in (left, right) if isinstance(side, MatrixExpr)]
        if not matrices:
            return self.as_scalar(left), self.as_scalar(right)
        if len(matrices) == 2:
            self.same_shape(*matrices)
            return left, right
        shape = matrices[0].shape
        found: list[Value] = []
        for side in (left, right):
            if side == 0:
                found.append(sp.ZeroMatrix(*shape))
            elif isinstance(side, Loose):
                found.append(self.sized(side, shape))
            elif isinstance(side, MatrixExpr):
                found.append(side)
            else:
                return self.as_scalar(left), self.as_scalar(right)
        return found[0], found[1]

    def sized(self, value: Loose, shape: tuple[Any, Any]) -> MatrixExpr:
        if not _equal(*shape):
            raise self.stop("an identity beside a matrix that is not square")
        return _scaled(value.coefficient, sp.Identity(shape[0]))

    def same_shape(self, left: MatrixExpr, right: MatrixExpr) -> None:
        if not all(_equal(a, b) for a, b in zip(left.shape, right.shape, strict=True)):
            shown = (_sizes(matrix) for matrix in (left, right))
            raise Misfit(f"the sizes do not fit: {' and '.join(shown)} in one sum or equation", self.at)

    # ---- expressions
    def value(self, tree: Any) -> Value:
        before, self.at = self.at, _first(tree)
        found = getattr(self, f"of_{tree.data}")(tree)
        self.at = before
        return found

    def of_group(self, tree: Any) -> Value:
        return self.value(next(child for child in tree.children if hasattr(child, "data")))

    def of_symbol(self, tree: Any) -> Value:
        symbol, key = tree.children[0].payload
        if (key[0], None) in self.bound or any(key == (name,) for name, _ in self.bound):
            raise self.stop(f"{symbol} is an index of a sum")
        return symbol

    def of_number(self, tree: Any) -> Value:
        return tree.children[0].payload

    def of_entry(self, tree: Any) -> Value:
        vector, index = tree.children[0].payload
        for name, symbol in reversed(self.bound):
            if name == index and symbol is not None:
                self.used.add(str(vector.name))
                return vector[symbol, 0]
        raise self.stop(f"the index {index} of an entry is not that of a sum")

    def of_member(self, tree: Any) -> Value:
        symbol, index = tree.children[0].payload
        if not any(name == index for name, _ in self.bound):
            raise self.stop(f"the index {index} is not that of a sum")
        return symbol

    def of_euler(self, tree: Any) -> Value:
        return sp.E

    def of_negative(self, tree: Any) -> Value:
        return self.scaled(sp.Integer(-1), self.value(tree.children[-1]))

    def of_sum(self, tree: Any) -> Value:
        terms: list[Value] = []
        while getattr(tree, "data", "") == "sum":  # left-deep, and long sums are not deep
            tree, sign, term = tree.children
            value = self.value(term)
            terms.append(self.scaled(sp.Integer(-1), value) if sign.children[0].type == "MINUS" else value)
        terms.append(self.value(tree))
        return self.added(terms[::-1])

    def added(self, terms: list[Value]) -> Value:
        matrices = [term for term in terms if isinstance(term, MatrixExpr)]
        scalars = [term for term in terms if not isinstance(term, MatrixExpr | Loose) and term != 0]
        if matrices and scalars and all(matrix.shape == (1, 1) for matrix in matrices):
            return sp.Add(*(self.as_scalar(term) for term in terms))
        if not matrices:
            if any(isinstance(term, Loose) for term in terms):
                if scalars:
                    raise self.stop("a number plus an identity")
                return Loose(sp.Add(*(term.coefficient for term in terms if isinstance(term, Loose))))
            return sp.Add(*terms)
        if scalars:
            raise self.stop("a number plus a matrix")
        found: list[MatrixExpr] = []
        for term in terms:
            if isinstance(term, Loose):
                found.append(self.sized(term, matrices[0].shape))
            elif isinstance(term, MatrixExpr):
                self.same_shape(matrices[0], term)
                found.append(term)
        return sp.MatAdd(*found) if len(found) > 1 else found[0]

    def of_factors(self, tree: Any) -> Value:
        values: list[tuple[Value, Any]] = []
        while getattr(tree, "data", "") == "factors":
            inner = [child for child in tree.children if hasattr(child, "data")]
            if len(inner) == 1:
                tree = inner[0]
                continue
            tree, last = inner
            values.append((self.value(last), last))
            if len(values) >= MAX_FACTORS:
                raise self.stop(f"a product of more than {MAX_FACTORS} factors")
            self.not_a_call(tree, last)
        values.append((self.value(tree), tree))
        found, *rest = (value for value, _ in reversed(values))
        for value in rest:
            found = self.times(found, value)
        return found

    def not_a_call(self, before: Any, last: Any) -> None:
        """A letter before a single letter in parentheses may be a function or a product."""
        while getattr(before, "data", "") == "factors":
            before = [child for child in before.children if hasattr(child, "data")][-1]
        if getattr(before, "data", "") != "symbol" or getattr(last, "data", "") != "group":
            return
        inner = self.inner(last)
        if getattr(inner, "data", "") in ("symbol", "number"):
            raise Unreadable("a product or a function of what is in parentheses", _first(last))

    @staticmethod
    def inner(group: Any) -> Any:
        found = next(child for child in group.children if hasattr(child, "data"))
        while getattr(found, "data", "") == "factors" and len(found.children) == 1:
            found = found.children[0]
        return found

    def times(self, left: Value, right: Value) -> Value:
        if isinstance(left, MatrixExpr) and isinstance(right, MatrixExpr):
            if _equal(left.shape[1], right.shape[0]):
                return sp.MatMul(*_factors(left), *_factors(right))
            if left.shape == (1, 1) or right.shape == (1, 1):
                left, right = (sp.Trace(side) if side.shape == (1, 1) else side for side in (left, right))
                return self.times(left, right)
            shown = (_sizes(matrix) for matrix in (left, right))
            raise Misfit(f"the sizes do not fit: a product of {' times '.join(shown)}", self.at)
        if isinstance(left, MatrixExpr | Loose):
            left, right = right, left
        if isinstance(left, Loose):  # and the other one is a matrix or loose too
            return self.scaled(left.coefficient, right)
        return self.scaled(left, right)

    @staticmethod
    def scaled(scalar: Any, value: Value) -> Value:
        if isinstance(value, Loose):
            return Loose(sp.Mul(scalar, value.coefficient))
        return _scaled(scalar, value) if isinstance(value, MatrixExpr) else sp.Mul(scalar, value)

    def of_slashed(self, tree: Any) -> Value:
        top, _, bottom = tree.children
        return self.divided(self.value(top), self.scalar(bottom))

    def of_frac(self, tree: Any) -> Value:
        top, bottom = (child for child in tree.children if hasattr(child, "data"))
        return self.divided(self.value(top), self.scalar(bottom))

    def divided(self, top: Value, bottom: Any) -> Value:
        if bottom == 0:
            raise self.stop("a division by zero")
        return self.scaled(sp.Pow(bottom, -1), top)

    def of_power(self, tree: Any) -> Value:
        base_tree, _, exponent_tree, _ = tree.children
        base, exponent = self.value(base_tree), self.scalar(exponent_tree)
        return self.raised(base, exponent, base_tree)

    def raised(self, base: Value, exponent: Any, tree: Any) -> Value:
        if isinstance(exponent, sp.Rational) and base is not sp.E:
            if abs(exponent) > MAX_EXPONENT or exponent.q > MAX_EXPONENT:
                raise self.stop(f"an exponent beyond {MAX_EXPONENT}")
            size = math.ceil(abs(Fraction(int(exponent.p), int(exponent.q))))
            if not isinstance(base, MatrixExpr | Loose) and _degree(base) * size > MAX_DEGREE:
                raise self.stop(f"powers of powers beyond {MAX_DEGREE}")
        if isinstance(base, MatrixExpr) and base.shape != (1, 1):
            if not _equal(*base.shape):
                return self.euler(exponent, tree)
            if not isinstance(exponent, sp.Integer) or exponent == 0:
                raise self.stop("a power of a matrix that is not a whole number")
            if exponent < 0:
                inverse = sp.Inverse(base)
                return inverse if exponent == -1 else sp.MatPow(inverse, -exponent)
            return base if exponent == 1 else sp.MatPow(base, exponent)
        if isinstance(base, Loose):
            if not isinstance(exponent, sp.Integer):
                raise self.stop("a power of the identity that is not a whole number")
            return Loose(sp.Pow(base.coefficient, exponent))
        scalar = self.as_scalar(base)
        if scalar == 0 and not (isinstance(exponent, sp.Integer) and exponent > 0):
            raise self.stop("a power of zero")
        if isinstance(scalar, sp.Symbol) and scalar.name == "e" and "exp" in self.table.functions:
            raise self.stop("e is a symbol of the claim, and Euler's number too")
        return sp.exp(exponent) if scalar is sp.E else sp.Pow(scalar, exponent)

    def euler(self, exponent: Any, tree: Any) -> Value:
        """A column called e cannot be raised to a power, so that e is Euler's number there, if the claim has it."""
        called = getattr(tree, "data", "") == "symbol" and tree.children[0].payload[1] == ("e",)
        if called and "exp" in self.table.functions:
            return sp.exp(exponent)
        raise self.stop("a power of a matrix that is not square")

    def of_transpose(self, tree: Any) -> Value:
        return self.turned(self.value(tree.children[0]))

    def of_transpose_or_power(self, tree: Any) -> Value:
        """A^T is a transpose, unless the claim has a number T."""
        base = self.value(tree.children[0])
        if isinstance(self.table.symbols.get(("T",)), sp.Symbol):
            raise self.stop("T is a number of the claim")
        return self.turned(base)

    def of_inverse_transpose(self, tree: Any) -> Value:
        value = self.turned(self.value(tree.children[0]))
        return self.raised(value, sp.Integer(-1), None)

    def turned(self, value: Value) -> Value:
        if isinstance(value, Loose):
            return value
        if not isinstance(value, MatrixExpr):
            raise self.stop("the transpose of a number")
        return sp.Transpose(value)

    def of_root(self, tree: Any) -> Value:
        inside = [child for child in tree.children if hasattr(child, "data")]
        degree = self.scalar(inside[0]) if len(inside) == 2 else sp.Integer(2)
        if not isinstance(degree, sp.Integer) or not 2 <= degree <= MAX_EXPONENT:
            raise self.stop("a root of another degree than a small whole number")
        return sp.Pow(self.scalar(inside[-1]), sp.Rational(1, int(degree)))

    def of_norm(self, tree: Any) -> Value:
        inside, exponent = (child for child in tree.children if hasattr(child, "data"))
        return self.normed(self.matrix(inside), self.scalar(exponent))

    def of_bare_norm(self, tree: Any) -> Value:
        inside, exponent = (child for child in tree.children if hasattr(child, "data"))
        matrix = self.matrix(inside)
        if 1 not in matrix.shape:
            raise self.stop("a norm of a matrix that does not say which")
        return self.normed(matrix, self.scalar(exponent))

    def normed(self, matrix: MatrixExpr, exponent: Any) -> Any:
        if not isinstance(exponent, sp.Integer) or exponent % 2 or not 0 < exponent <= MAX_EXPONENT:
            raise self.stop("a norm that is not squared")
        squared = sp.Trace(sp.MatMul(*_factors(matrix), sp.Transpose(matrix)))
        return sp.Pow(squared, exponent / 2)

    def of_call(self, tree: Any) -> Value:
        function, group = tree.children
        return self.applied(function.children[0].type, self.of_group(group))

    def of_bare(self, tree: Any) -> Value:
        function, argument = tree.children
        return self.applied(function.children[0].type, self.value(argument))

    def applied(self, function: str, value: Value) -> Value:
        if function == "TRACE" and value == 0:
            return sp.S.Zero  # of a zero of whatever size
        if function == "TRACE":
            if not isinstance(value, MatrixExpr) or not _equal(*value.shape):
                raise self.stop("the trace of something that is not a square matrix")
            return sp.Trace(value)
        scalar = self.as_scalar(value)
        if function == "LOG" and scalar == 0:
            raise self.stop("the logarithm of zero")
        return sp.log(scalar) if function == "LOG" else sp.exp(scalar)

    def of_ones(self, tree: Any) -> Value:
        return OneMatrix(self.size(tree), 1)

    def of_eye(self, tree: Any) -> Value:
        if not any(hasattr(child, "data") for child in tree.children):
            return Loose(sp.Integer(1))
        return sp.Identity(self.size(tree))

    def size(self, tree: Any) -> Any:
        size = self.scalar(next(child for child in tree.children if hasattr(child, "data")))
        if not size.is_integer or size.is_positive is False or size.has(sp.Trace):
            raise self.stop("a size that is no whole number")
        return size

    def of_diag(self, tree: Any) -> Value:
        vector = self.of_group(tree.children[-1])
        if not isinstance(vector, sp.MatrixSymbol) or vector.shape[1] != 1:
            raise self.stop("a diagonal matrix of something that is no vector of the claim")
        return DiagMatrix(vector)

    def of_total(self, tree: Any) -> Value:
        index_tree, low_tree, high_tree, body_tree = (child for child in tree.children if hasattr(child, "data"))
        token = index_tree.children[0]
        name = "".join(token.payload[1]) if token.type == "SYMBOL" else str(token)
        if any(name == other for other, _ in self.bound):
            raise self.stop(f"two sums over {name}")
        low, high = self.scalar(low_tree), self.scalar(high_tree)
        if low != 1:
            raise self.stop("a sum that does not begin at 1")
        index = sp.Symbol(name, integer=True)
        self.bound.append((name, index))
        body = self.scalar(body_tree)
        self.bound.pop()
        if body.has(index):
            return sp.Sum(body, (index, sp.Integer(0), high - 1))
        if self.table.members and body.has(*self.table.members.values()):
            return sp.Sum(body, (index, sp.Integer(1), high))
        raise self.stop("a sum of terms that do not depend on its index")

    def of_derivative(self, tree: Any) -> Value:
        name, expression = (child for child in tree.children if hasattr(child, "data"))
        return sp.Derivative(self.scalar(expression), self.scalar_symbol(name))


def _factors(matrix: MatrixExpr) -> tuple[Any, ...]:
    return tuple(matrix.args) if isinstance(matrix, sp.MatMul) else (matrix,)


def _scaled(scalar: Any, matrix: Any) -> Any:
    return matrix if scalar == 1 else sp.MatMul(scalar, *_factors(matrix))


def _degree(expr: Any) -> int:
    """How far numbers and powers in an expression grow when it is raised."""
    if isinstance(expr, sp.Rational):
        return 1 + (int(abs(expr.p)).bit_length() + int(expr.q).bit_length()) // 64
    if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Rational):
        return max(1, int(abs(expr.exp))) * _degree(expr.base)
    if isinstance(expr, sp.Mul):
        return sum(_degree(part) for part in expr.args)
    return max((_degree(part) for part in expr.args), default=1)


def _equal(left: Any, right: Any) -> bool:
    return bool(left == right or sp.expand(left - right) == 0)


def _first(tree: Any) -> int:
    """The offset of the first token."""
    while hasattr(tree, "data"):
        tree = next(child for child in tree.children if child is not None)
    return int(tree.start_pos)
