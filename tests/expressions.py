"""One-token changes of sympy expressions: what a slip of the pen does to an equation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from tightframe.theory.proof.statement import Statement


def mutants(expr: Any) -> Iterator[tuple[str, Any]]:
    """(what was changed, changed expression), for every place where one token can change."""
    for change, other in _here(expr):
        yield change, other
    for i, part in enumerate(expr.args):
        if not isinstance(part, sp.Expr | MatrixExpr) or isinstance(expr, sp.MatrixSymbol | sp.Identity):
            continue
        for change, other in mutants(part):
            arguments = [*expr.args[:i], other, *expr.args[i + 1 :]]
            try:
                yield change, expr.func(*arguments)
            except (TypeError, ValueError, sp.ShapeError):  # pyrefly: ignore[missing-attribute]
                continue


def _here(expr: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(expr, sp.Add | sp.MatAdd):
        for i, part in enumerate(expr.args):
            rest = [*expr.args[:i], *expr.args[i + 1 :]]
            yield f"sign of {part}", expr.func(*rest, -part)
            yield f"coefficient of {part}", expr.func(*rest, 2 * part)
    elif isinstance(expr, sp.Transpose) and expr.shape == expr.arg.shape:
        yield f"transpose of {expr.arg}", expr.arg
    elif isinstance(expr, sp.MatrixSymbol) and expr.shape[0] == expr.shape[1]:
        yield f"transpose of {expr}", expr.T
    elif isinstance(expr, sp.Rational) and expr != 0:
        yield f"number {expr}", expr * sp.Rational(1001, 1000)
    elif isinstance(expr, sp.Trace):
        yield "coefficient of a trace", 2 * expr
    elif isinstance(expr, sp.Inverse):
        yield "inverse dropped", expr.arg
    elif isinstance(expr, sp.Symbol) and expr.is_integer:
        yield f"{expr} off by one", expr + 1


def statement_mutants(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """Changes in every expression of a statement (bound variables excepted)."""
    for item in fields(statement):
        value = getattr(statement, item.name)
        if item.name.endswith("over") or not isinstance(value, tuple | sp.Basic):
            continue
        parts = value if isinstance(value, tuple) else (value,)
        for i, part in enumerate(parts):
            if not isinstance(part, sp.Basic):
                continue
            for change, other in [("doubled", 2 * part), ("negated", -part), *mutants(part)]:
                new = (*parts[:i], other, *parts[i + 1 :])
                yield (
                    f"{item.name}: {change}",
                    replace(statement, **{item.name: new if isinstance(value, tuple) else other}),
                )
