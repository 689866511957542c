"""One-token changes of statements: what a slip of the pen does to an equation.

A token is a sign, a coefficient, an exponent, a transpose, an inverse, a symbol, a size. Every change is made once, at
every place where it can be made, in the statement as it is written and in the definitions of its abbreviations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..printing import latex
from .statement import Between, Exceeds, Statement

NEARBY = sp.Rational(1001, 1000)


@dataclass(frozen=True)
class Mutant:
    """What was changed, and the statement and definitions with the change."""

    change: str
    statement: Statement
    definitions: Mapping[Any, Any]


def mutants(
    statement: Statement, definitions: Mapping[Any, Any], parameters: tuple[sp.Symbol, ...]
) -> Iterator[Mutant]:
    """Every one-token change of a statement and of the definitions that it mentions.

    Examples:
        >>> from tightframe.theory.proof.statement import Equal
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> [mutant.change for mutant in mutants(Equal(A.T, A), {}, (n,))][:5]
        ['left: doubled', 'left: negated', 'left: transpose of A dropped', 'left: transpose of A', 'right: doubled']
    """
    letters: set[Any] = set()
    for expr in (*statement.expressions(), *definitions.values(), *definitions):
        letters |= expr.atoms(sp.MatrixSymbol)
    pool = (*parameters, *sorted(letters, key=str))
    for change, changed in _statement(statement, pool):
        yield Mutant(change, changed, definitions)
    for name, meaning in _mentioned(statement, definitions).items():
        for change, other in _whole(meaning, pool):
            yield Mutant(f"{latex(name)}: {change}", statement, {**definitions, name: other})


def _mentioned(statement: Statement, definitions: Mapping[Any, Any]) -> dict[Any, Any]:
    """The definitions that occur in a statement, or in one another of these."""
    found: dict[Any, Any] = {}
    pending = list(statement.expressions())
    while pending:
        expr = pending.pop()
        for name, meaning in definitions.items():
            if name not in found and expr.has(name):
                found[name] = meaning
                pending.append(meaning)
    return {name: meaning for name, meaning in definitions.items() if name in found}


def _statement(statement: Statement, pool: tuple[Any, ...]) -> Iterator[tuple[str, Statement]]:
    if isinstance(statement, Exceeds):
        yield "sides swapped", replace(statement, left=statement.right, right=statement.left)
    for item in fields(statement):
        value = getattr(statement, item.name)
        if item.name.endswith("over") or item.name == "variable" or isinstance(value, bool):
            continue
        if isinstance(value, int):
            for other in (value + 1, value - 1):
                yield f"{item.name} {other}", replace(statement, **{item.name: other})
            continue
        if item.name == "domain":
            for change, domain in _domains(value):
                yield change, replace(statement, **{item.name: domain})
            continue
        parts = value if isinstance(value, tuple) else (value,)
        for i, part in enumerate(parts):
            inner = _statement(part, pool) if isinstance(part, Statement) else _whole(part, pool)
            for change, other in inner:
                new = (*parts[:i], other, *parts[i + 1 :]) if isinstance(value, tuple) else other
                label = f"{item.name} {i + 1}" if len(parts) > 1 else item.name
                yield f"{label}: {change}", replace(statement, **{item.name: new})


def _domains(boxes: tuple[tuple[Between, ...], ...]) -> Iterator[tuple[str, tuple[tuple[Between, ...], ...]]]:
    """Every bound moved outwards by one, and every bound dropped."""
    for i, box in enumerate(boxes):
        for j, side in enumerate(box):
            wider = [replace(side, low=None), replace(side, high=None)]
            wider += [] if side.low is None else [replace(side, low=side.low - 1)]
            wider += [] if side.high is None else [replace(side, high=side.high + 1)]
            for other in wider:
                if other != side:
                    changed = (*box[:j], other, *box[j + 1 :])
                    yield f"{other.latex()} for {side.latex()}", (*boxes[:i], changed, *boxes[i + 1 :])


def _whole(expr: Any, pool: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    if expr not in (0, sp.S.Zero) and not isinstance(expr, sp.ZeroMatrix):
        yield "doubled", 2 * expr
        yield "negated", -expr
    seen = {expr}
    for change, other in tokens(expr, pool):
        if other not in seen:
            seen.add(other)
            yield change, other


def tokens(expr: Any, pool: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(what was changed, changed expression), for every place where one token can change."""
    yield from _here(expr, pool)
    if isinstance(expr, sp.MatrixSymbol | sp.Identity | sp.ZeroMatrix | DiagMatrix) or expr.is_Atom:
        return
    if isinstance(expr, sp.Sum):
        for change, other in tokens(expr.function, pool):
            yield change, sp.Sum(other, *expr.limits)
        return
    for i, part in enumerate(expr.args):
        if not isinstance(part, sp.Expr | MatrixExpr):
            continue
        for change, other in tokens(part, pool):
            try:
                yield change, expr.func(*expr.args[:i], other, *expr.args[i + 1 :])
            except (TypeError, ValueError, IndexError, ZeroDivisionError):  # sympy finds that the sizes do not fit
                continue


def _here(expr: Any, pool: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(expr, sp.Add | sp.MatAdd):
        for i, part in enumerate(expr.args):
            rest = [*expr.args[:i], *expr.args[i + 1 :]]
            yield f"sign of {latex(part)}", expr.func(*rest, -part)
            yield f"{latex(part)} doubled", expr.func(*rest, 2 * part)
            yield f"{latex(part)} times 1.001", expr.func(*rest, NEARBY * part)
            yield f"{latex(part)} dropped", expr.func(*rest)
    elif isinstance(expr, sp.Transpose):
        inner: Any = expr.arg
        if inner.shape[0] == inner.shape[1]:
            yield f"transpose of {latex(inner)} dropped", inner
    elif isinstance(expr, sp.MatrixSymbol):
        if expr.shape[0] == expr.shape[1]:
            yield f"transpose of {latex(expr)}", sp.Transpose(expr)
        for other in pool:
            if isinstance(other, sp.MatrixSymbol) and other.shape == expr.shape and other != expr:
                yield f"{latex(other)} for {latex(expr)}", other
    elif isinstance(expr, sp.Rational):
        if expr not in (0, 1, -1):
            yield f"{expr} times 1.001", expr * NEARBY
            yield f"{expr} negated", -expr
    elif isinstance(expr, sp.Trace):
        yield "trace doubled", 2 * expr
    elif isinstance(expr, sp.Inverse):
        yield "inverse dropped", expr.arg
    elif isinstance(expr, sp.Pow | sp.MatPow) and isinstance(expr.exp, sp.Integer):
        for power in (expr.exp + 1, expr.exp - 1):
            yield f"exponent {power} for {expr.exp}", expr.func(expr.base, power)
    elif isinstance(expr, sp.Symbol):
        if _integer(expr):
            yield f"{latex(expr)} + 1 for {latex(expr)}", expr + 1
        for other in pool:
            if isinstance(other, sp.Symbol) and other != expr and _integer(other) == _integer(expr):
                yield f"{latex(other)} for {latex(expr)}", other


def _integer(symbol: Any) -> bool:
    return bool(symbol.is_integer)
