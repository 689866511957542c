"""Derivatives of scalar expressions in traces with respect to a matrix, exactly, on the checker's polynomials.

The checker's derivative of f in a direction V is linear in V; turning every trace until V stands in front,
d f = tr(V w) + ..., shows the gradient, the sum of the transposed words w^T. It is the partial gradient: inverses,
reciprocals and abbreviations that contain X vary with it, all other letters stay fixed, also those that a hypothesis
ties to X. That an expression is the gradient of another one is a statement (`GradientIs`), which the checker verifies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.special import OneMatrix

from .checker import Algebra, Dimension, Key, Letter, Monomial, Polynomial, Word
from .translation import Translation, Untranslatable


class NotDifferentiable(ValueError):
    """There is no gradient with respect to this symbol; the message says why in one line."""


# ------------------------------------------------------------------------------------------------- on polynomials


def directional(algebra: Algebra, poly: Polynomial, name: str, direction: str) -> Polynomial:
    """d/dt p(X + t V) at t = 0 for the letter X called ``name``; ``direction`` V is a letter of its shape.

    Raises :class:`NotDifferentiable` if the letter is no free matrix.
    """
    letter = algebra.letter(name)
    if letter.symmetric:
        raise NotDifferentiable(f"{name} is symmetric: a gradient over all matrices is not one over symmetric ones")
    if not algebra.is_free(name):
        raise NotDifferentiable(f"{name} stands for something else: differentiate in a free matrix symbol")
    if f"diag({name})" in algebra.names(poly):
        raise NotDifferentiable(f"{name} occurs as diag({name}), and no gradient in a diagonal is defined here")
    if algebra.ends(direction) != (letter.rows, letter.cols):
        raise NotDifferentiable(f"the direction has another shape than {name}")
    return algebra.differential(poly, name, direction)


def gradient_polynomial(algebra: Algebra, poly: Polynomial, name: str) -> Polynomial:
    """The matrix G of the shape of X with d/dt p(X + t V) = tr(G^T V) for all V; ``poly`` is scalar."""
    if poly.shape is not None:
        raise NotDifferentiable("a gradient is taken of a scalar")
    letter = algebra.letter(name)
    fresh = f"d({name})"
    while fresh in algebra.letters:
        fresh = f"d({fresh})"
    wider = replace(algebra, letters={**algebra.letters, fresh: Letter(letter.rows, letter.cols)})
    differential = directional(wider, poly, name, fresh)

    def terms() -> Iterator[tuple[Key, Fraction]]:
        for (mono, traces, _), value in differential.terms.items():
            (place,) = (k for k, cycle in enumerate(traces) if {fresh, fresh + "'"} & set(cycle))
            cycle = traces[place]
            (at,) = (i for i, symbol in enumerate(cycle) if symbol in (fresh, fresh + "'"))
            rest = cycle[at + 1 :] + cycle[:at]
            word = rest if cycle[at].endswith("'") else wider.transpose_word(rest)  # tr(V' w) or tr(V w)
            yield (mono, traces[:place] + traces[place + 1 :], word), value

    return algebra.collect((letter.rows, letter.cols), terms())


# ------------------------------------------------------------------------------------------ on sympy's expressions


def gradient(
    expression: sp.Expr,
    variable: sp.MatrixSymbol,
    parameters: Mapping[sp.Symbol, Any],
    symmetric: Collection[sp.MatrixSymbol] = (),
    definitions: Mapping[Any, Any] | None = None,
) -> MatrixExpr:
    """The gradient of a scalar expression, as an expression of the shape of ``variable``.

    The other arguments are those of :class:`~tightframe.theory.proof.translation.Translation`. Raises
    :class:`NotDifferentiable` if the variable is symmetric, an abbreviation, or occurs in a ``DiagMatrix``, and
    ``Untranslatable`` if the expression is not one in traces. Independent variables stay so: an expression without
    the variable has the gradient 0.

    Examples:
        >>> from tightframe.theory.symbols import integers, n, p
        >>> A, X = sp.MatrixSymbol("A", n, p), sp.MatrixSymbol("X", p, n)
        >>> sizes = {n: integers(1), p: integers(1)}
        >>> gradient(sp.Trace(A * X), X, sizes)
        A.T
        >>> gradient(sp.Trace(A * X) + sp.Trace(X * X.T) / 2, X, sizes)
        X + A.T
        >>> (sp.Trace(A * X) + sp.Trace(X * X.T) / 2).diff(X)  # what sympy 1.14 answers
        0
    """
    translation = Translation(parameters, symmetric, definitions)
    poly = translation.scalar(expression)
    found = gradient_polynomial(translation.algebra, poly, _name(translation, variable, definitions))
    return _Printing(translation, parameters, (expression, *(definitions or {}).values())).matrix(found)


def second_derivative(
    expression: sp.Expr,
    variable: sp.MatrixSymbol,
    direction: sp.MatrixSymbol,
    parameters: Mapping[sp.Symbol, Any],
    symmetric: Collection[sp.MatrixSymbol] = (),
    definitions: Mapping[Any, Any] | None = None,
) -> sp.Expr:
    """d^2/dt^2 f(X + t V) at t = 0, the quadratic form of the Hessian at V; arguments as for :func:`gradient`.

    Examples:
        >>> from tightframe.theory.symbols import integers, n, p
        >>> X, V = sp.MatrixSymbol("X", p, n), sp.MatrixSymbol("V", p, n)
        >>> second_derivative(sp.Trace(X * X.T), X, V, {n: integers(1), p: integers(1)})
        2*Trace(V*V.T)
    """
    translation = Translation(parameters, symmetric, definitions)
    algebra, poly = translation.algebra, translation.scalar(expression)
    name = _name(translation, variable, definitions)
    translation.matrix(direction)
    if direction.name in algebra.names(poly):
        raise NotDifferentiable(f"the direction {direction} occurs in the expression")
    found = directional(algebra, directional(algebra, poly, name, direction.name), name, direction.name)
    return _Printing(translation, parameters, (expression, *(definitions or {}).values())).scalar(found)


def _name(translation: Translation, variable: sp.MatrixSymbol, definitions: Mapping[Any, Any] | None) -> str:
    if not isinstance(variable, sp.MatrixSymbol) or variable in (definitions or {}):
        raise NotDifferentiable(f"{variable} stands for something else: differentiate in a free matrix symbol")
    translation.matrix(variable)  # declares it where it does not occur
    return variable.name


# ------------------------------------------------------------------------------------------------- back to sympy


class _Printing:
    """Polynomials of a translation as sympy expressions; each is translated again and must come back the same."""

    def __init__(self, translation: Translation, parameters: Collection[sp.Symbol], expressions: Collection[Any]):
        self.translation = translation
        self.parameters = {symbol.name: symbol for symbol in parameters}
        found = [one for expr in expressions for one in sp.sympify(expr, strict=True).atoms(OneMatrix)]
        self.ones = {f"ones({size})": size for one in found for size in one.shape}

    def scalar(self, poly: Polynomial) -> sp.Expr:
        result = self._scalar(poly)
        if self.translation.scalar(result) != poly:
            raise Untranslatable(f"no reading of {result} as the derivative that it should be")
        return result

    def matrix(self, poly: Polynomial) -> MatrixExpr:
        result = self._matrix(poly)
        if self.translation.matrix(result) != poly:
            raise Untranslatable(f"no reading of {result} as the derivative that it should be")
        return result

    def _scalar(self, poly: Polynomial) -> sp.Expr:
        terms = (self._coefficient(m, traces, value) for (m, traces, _), value in _sorted(poly))
        return sp.Add(*terms)

    def _matrix(self, poly: Polynomial) -> MatrixExpr:
        if poly.shape is None:
            raise Untranslatable("a matrix is expected")
        rows, cols = (self._size(size) for size in poly.shape)
        terms: list[Any] = []
        for (mono, traces, word), value in _sorted(poly):
            product: Any = self._word(word) if word else sp.Identity(rows)
            scale = self._coefficient(mono, traces, value)
            if scale != 1:
                product = sp.MatMul(scale, *(product.args if isinstance(product, sp.MatMul) else (product,)))
            terms.append(product)
        if not terms:
            return sp.ZeroMatrix(rows, cols)
        return terms[0] if len(terms) == 1 else sp.MatAdd(*terms)

    def _coefficient(self, mono: Monomial, traces: tuple[Word, ...], value: Fraction) -> sp.Expr:
        factors: list[sp.Expr] = [sp.Rational(value.numerator, value.denominator)]
        factors += [self._parameter(name) ** exponent for name, exponent in mono]
        factors += [sp.Trace(self._word(cycle)) for cycle in traces]
        return sp.Mul(*factors)

    def _parameter(self, name: str) -> sp.Expr:
        inner = self.translation.algebra.reciprocals.get(name)
        return self.parameters[name] if inner is None else 1 / self._scalar(inner)

    def _word(self, word: Word) -> Any:
        letters = [self._letter(symbol) for symbol in word]
        return letters[0] if len(letters) == 1 else sp.MatMul(*letters)  # unevaluated: nothing cancels on the way

    def _letter(self, symbol: str) -> Any:
        name, algebra = symbol.removesuffix("'"), self.translation.algebra
        letter = algebra.letter(name)
        if letter.inverse_of is not None:
            found: Any = sp.Inverse(self._matrix(letter.inverse_of))
        elif letter.ones:
            found = OneMatrix(self.ones.get(name, self._size(letter.rows)), 1)
        else:
            found = self.translation.sources[name]
        return sp.Transpose(found) if symbol.endswith("'") else found

    def _size(self, size: Dimension) -> sp.Expr:
        return sp.Add(*(self._coefficient(mono, (), value) for mono, value in size))


def _sorted(poly: Polynomial) -> list[tuple[Key, Fraction]]:
    """Shortest words first, so that a derivative reads the same in every run."""
    return sorted(poly.terms.items(), key=lambda item: (len(item[0][2] or ()), str(item[0])))
