"""Folding abbreviations back into expressions, for display: Sigma_T where its definition was written out.

Proofs see every abbreviation written out, and sympy rearranges products on the way (H Y^T / N next to 1/C becomes
H Y^T / (C N)). So a product is folded where the factors of a definition stand side by side in it and the scalar of the
definition divides the scalar of the product. Nothing here is evaluated or decided: what is proved is the expression
written out, and tests translate the folded one back and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.special import OneMatrix
from sympy.matrices.expressions.special import ZeroMatrix as Zeros

from .proof.statement import Equal, Statement

_FOLDED = (sp.Function, sp.MatAdd)  # a definition without any of these and without a matrix is a number


class Folding:
    """Folds the given definitions, in their order, into expressions; ``symmetric`` symbols equal their transposes.

    Examples:
        >>> from tightframe.theory.symbols import C, N, p
        >>> H, Y = sp.MatrixSymbol("H", p, C * N), sp.MatrixSymbol("Y", C, C * N)
        >>> M = sp.MatrixSymbol("M", p, C)
        >>> Folding({M: H * Y.T / N}).expression((H * Y.T * Y) / (C * N))
        1/C*M*Y
    """

    def __init__(self, definitions: Mapping[Any, Any], symmetric: Collection[sp.MatrixSymbol] = ()) -> None:
        self.symmetric = set(symmetric)
        self._known: dict[Any, Any] = {}  # normal forms
        self.rules: list[tuple[Any, tuple[Any, ...]]] = []
        whole: dict[Any, Any] = {}
        for name, meaning in definitions.items():
            whole[name] = meaning.xreplace(whole)
            written_out = self.normal(whole[name])
            if name.is_Matrix and self.transpose(written_out) == written_out:
                self.symmetric.add(name)
                self._known.clear()
            patterns = {self.expression(written_out), self.expression(meaning)}
            self.rules.append((name, tuple(p for p in patterns if p != name and p.has(sp.MatrixSymbol, *_FOLDED))))

    def expression(self, expr: Any) -> Any:
        """The expression with every abbreviation that occurs in it folded, in an unevaluated form for printing."""
        found = self.normal(expr)
        for name, patterns in self.rules:
            for pattern in patterns:
                found = self.normal(self._replace(found, name, pattern, {}))
        return found

    def statement(self, says: Statement) -> Statement:
        """The statement with abbreviations folded; an equation that would become X = X is folded less."""
        found = mapped(says, self.expression)
        if isinstance(found, Equal) and found.left == found.right:
            if not self.rules:
                return says
            fewer = Folding({})
            fewer.symmetric, fewer.rules = self.symmetric, self.rules[:-1]
            return fewer.statement(says)
        return found

    # ---- the form in which expressions are compared
    def normal(self, expr: Any) -> Any:
        """Products flat with one scalar in front, powers written as repeated factors, transposes on the letters."""
        if expr not in self._known:
            self._known[expr] = self._normal(expr)
        return self._known[expr]

    def _normal(self, expr: Any) -> Any:
        if not getattr(expr, "is_Matrix", False):
            return self._scalar(expr)
        if isinstance(expr, sp.Transpose):
            return self.transpose(self.normal(expr.arg))
        if isinstance(expr, OneMatrix):
            rows, cols = expr.shape
            left, right = OneMatrix(rows, 1), sp.Transpose(OneMatrix(cols, 1))
            return left if cols == 1 else right if rows == 1 else sp.MatMul(left, right)
        if isinstance(expr, sp.Inverse):
            return sp.Inverse(self.normal(expr.arg))
        if isinstance(expr, sp.MatPow) and isinstance(expr.exp, sp.Integer):
            return self._product(1, [expr])
        if isinstance(expr, sp.MatMul):
            return self._product(1, expr.args)
        if isinstance(expr, sp.MatAdd):
            return self._sum([self.normal(term) for term in expr.args])
        return expr

    def _scalar(self, expr: Any) -> Any:
        if isinstance(expr, sp.Trace):
            coefficient, factors = split(self.normal(expr.arg))
            return coefficient * sp.Trace(product(1, factors))
        if isinstance(expr, sp.Add | sp.Mul | sp.Pow):
            return expr.func(*(self.normal(part) for part in expr.args))
        return expr

    def _product(self, coefficient: Any, parts: Iterable[Any]) -> Any:
        factors: list[Any] = []
        for part in parts:
            if isinstance(part, sp.MatPow) and isinstance(part.exp, sp.Integer) and not isinstance(part, sp.Inverse):
                base = self.normal(part.base)
                repeated = base if part.exp > 0 else sp.Inverse(base)
                inner, letters = split(self._product(1, [repeated])) if part.exp > 0 else (sp.S.One, [repeated])
                coefficient, factors = coefficient * inner ** abs(part.exp), factors + letters * abs(int(part.exp))
            elif getattr(part, "is_Matrix", False):
                inner, letters = split(self.normal(part))
                coefficient, factors = coefficient * inner, factors + letters
            else:
                coefficient *= part
        return product(coefficient, factors)

    def _sum(self, terms: list[Any]) -> Any:
        flat = [part for term in terms for part in (term.args if isinstance(term, sp.MatAdd) else (term,))]
        whole = ordered(flat)
        turned = ordered([self.transpose(term) for term in flat])
        if whole != turned and turned.count(sp.Transpose) < whole.count(sp.Transpose):
            return sp.Transpose(turned)
        return whole

    def transpose(self, expr: Any) -> Any:
        """The transpose of a normal form, as a normal form."""
        if isinstance(expr, sp.Transpose):
            return expr.arg
        if isinstance(expr, sp.Identity | DiagMatrix) or expr in self.symmetric:
            return expr
        if isinstance(expr, Zeros):
            return Zeros(expr.shape[1], expr.shape[0])
        if isinstance(expr, sp.Inverse):
            return sp.Inverse(self.transpose(expr.arg))
        if isinstance(expr, sp.MatMul):
            coefficient, factors = split(expr)
            return product(coefficient, [self.transpose(factor) for factor in reversed(factors)])
        if isinstance(expr, sp.MatAdd):
            turned = ordered([self.transpose(term) for term in expr.args])
            return expr if turned == expr else sp.Transpose(expr)
        return sp.Transpose(expr)

    # ---- one definition
    def _replace(self, expr: Any, name: Any, pattern: Any, done: dict[Any, Any]) -> Any:
        if expr not in done:
            done[expr] = self._replaced(expr, name, pattern, done)
        return done[expr]

    def _replaced(self, expr: Any, name: Any, pattern: Any, done: dict[Any, Any]) -> Any:
        if expr == pattern:
            return name
        if isinstance(expr, sp.MatMul | sp.MatAdd | sp.Transpose | sp.Trace | sp.Inverse | sp.Add | sp.Mul | sp.Pow):
            # not the exponent -1 of an Inverse
            parts = expr.args[:1] if isinstance(expr, sp.Inverse) else expr.args
            changed = [self._replace(part, name, pattern, done) for part in parts]
            if changed != list(parts):
                expr = self.normal(expr.func(*changed))
        if expr == pattern:
            return name
        if isinstance(pattern, sp.MatMul) and isinstance(expr, sp.MatMul):
            return self._in_product(expr, name, pattern)
        if isinstance(pattern, sp.MatMul) and isinstance(expr, sp.Mul):  # the scalar of a trace stands before it
            traces = [factor for factor in expr.args if isinstance(factor, sp.Trace)]
            if len(traces) == 1:
                inside = product(expr / traces[0], split(traces[0].arg)[1])
                coefficient, factors = split(self._in_product(inside, name, pattern))
                return coefficient * sp.Trace(product(1, factors))
        for kind in (sp.MatAdd, sp.Add):
            if isinstance(pattern, kind) and isinstance(expr, kind) and set(pattern.args) < set(expr.args):
                return kind(name, *(term for term in expr.args if term not in pattern.args))
        if isinstance(pattern, sp.MatAdd) and isinstance(expr, sp.MatAdd):
            negative = {self.normal(sp.MatMul(-1, term)) for term in pattern.args}
            if negative <= set(expr.args):
                rest = [term for term in expr.args if term not in negative]
                return ordered([sp.MatMul(-1, name), *rest])
        return expr

    def _in_product(self, expr: Any, name: Any, pattern: Any) -> Any:
        coefficient, factors = split(expr)
        for symbol, wanted in ((name, pattern), (self.transpose(name), self.transpose(pattern))):
            scale, letters = split(wanted)
            at = 0
            while at + len(letters) <= len(factors):
                ratio = coefficient / scale
                if factors[at : at + len(letters)] == letters and _simpler(ratio, coefficient):
                    coefficient, factors[at : at + len(letters)] = ratio, [symbol]
                at += 1
        return product(coefficient, factors)


def centring_letter(statements: Collection[Statement], taken: Collection[str]) -> dict[Any, Any]:
    """A letter for I - 1 1^T/K, if the statements have that matrix more than once: the first of S, Pi not ``taken``.

    Examples:
        >>> from tightframe.theory.symbols import K
        >>> A, S = sp.MatrixSymbol("A", K, K), sp.Identity(K) - OneMatrix(K, 1) * OneMatrix(1, K) / K
        >>> centring_letter((Equal(A, S * A), Equal(A, A * S)), ("A", "S"))
        {\\Pi: I + (-1/K)*1*1}
    """
    folding = Folding({})
    every = [part for says in statements for expr in says.expressions() for part in sp.preorder_traversal(expr)]
    meanings: dict[Any, Any] = {}
    for part in every:
        if isinstance(part, sp.MatAdd) and len(part.args) == 2 and part.has(sp.Identity):
            size = part.shape[0]
            ones = folding.normal(OneMatrix(size, size))
            if folding.normal(part) == folding.normal(sp.Identity(size) - ones / size):
                meanings.setdefault(size, part)
    letters = [letter for letter in ("S", r"\Pi") if letter not in taken]
    count = {size: sum(part == meaning for part in every) for size, meaning in meanings.items()}
    several = [size for size in meanings if count[size] > 1]
    return {sp.MatrixSymbol(letter, size, size): meanings[size] for size, letter in zip(several, letters, strict=False)}


def lettered(expr: Any, letters: Mapping[Any, Any]) -> Any:
    """The expression with sums replaced by their letters, also where they are a part of a longer sum."""
    if not isinstance(expr, sp.Basic) or not expr.args or isinstance(expr, sp.MatrixSymbol):
        return expr
    for letter, meaning in letters.items():
        if isinstance(expr, sp.MatAdd) and set(meaning.args) <= set(expr.args):
            rest = [lettered(term, letters) for term in expr.args if term not in meaning.args]
            return sp.MatAdd(letter, *rest) if rest else letter
    parts = [lettered(part, letters) for part in expr.args]
    return expr if parts == list(expr.args) else expr.func(*parts)


def needed(definitions: Mapping[Any, Any], statements: Iterable[Statement]) -> dict[Any, Any]:
    """The definitions that the statements use, directly or through other definitions, in their order."""
    used = set[Any]().union(*(expr.free_symbols for says in statements for expr in says.expressions()))
    for name, meaning in reversed(list(definitions.items())):
        if name in used:
            used |= meaning.free_symbols
    return {name: meaning for name, meaning in definitions.items() if name in used}


def _simpler(ratio: Any, coefficient: Any) -> bool:
    """Whether a scalar is left that is not longer, with no new symbol above the line: H Y^T is not written N M."""
    new = sp.fraction(ratio)[0].free_symbols - sp.fraction(coefficient)[0].free_symbols
    return not new and sp.count_ops(ratio) <= sp.count_ops(coefficient)


def split(expr: Any) -> tuple[Any, list[Any]]:
    """The scalar of a product and its matrix factors."""
    if not isinstance(expr, sp.MatMul):
        return sp.S.One, [expr]
    scalars = [factor for factor in expr.args if not factor.is_Matrix]
    return sp.Mul(*scalars), [factor for factor in expr.args if factor.is_Matrix]


def product(coefficient: Any, factors: list[Any]) -> Any:
    """A product that sympy does not evaluate."""
    if coefficient == 1:
        return factors[0] if len(factors) == 1 else sp.MatMul(*factors)
    return sp.MatMul(coefficient, *factors)


def ordered(terms: list[Any]) -> Any:
    return terms[0] if len(terms) == 1 else sp.MatAdd(*sorted(terms, key=_sort_key))


@cache
def _sort_key(term: Any) -> Any:
    return sp.default_sort_key(term)


def mapped(says: Statement, change: Callable[[Any], Any]) -> Statement:
    """The statement with every expression in it changed; its variables stay."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(of(part) for part in value)
        if isinstance(value, Statement):
            return mapped(value, change)
        return change(value) if isinstance(value, sp.Expr) and not isinstance(value, sp.Symbol) else value

    return replace(says, **{item.name: of(getattr(says, item.name)) for item in fields(says)})
