"""Statements and steps as an author writes them, with the line of the file in which each is written."""

from __future__ import annotations

import keyword
import linecache
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..theory.derivation import Step
from ..theory.proof import rules
from ..theory.proof import statement as st
from .claim import Claim
from .evidence import Kind

# The rule that decides statements of a kind, where there is one; others need to be told of what they consist.
DEFAULT_RULES: dict[type, Callable[[], rules.Justification]] = {
    st.Equal: rules.Star,
    st.Identity: rules.Field,
    st.Nonnegative: rules.Poly,
    st.Positive: rules.Poly,
    st.Exceeds: rules.Box,
    st.Increasing: rules.Monotone,
    st.Vanishing: rules.Dominance,
    st.GradientIs: rules.Differentiate,
    st.FirstIntegral: rules.ByFirstIntegral,
    st.Growth: rules.ByFirstIntegral,
    st.Equalisation: rules.ByFirstIntegral,
    st.EqualShares: rules.ByFirstIntegral,
    st.Decay: rules.ByFirstIntegral,
}
KINDS: dict[type, Kind] = {
    st.Equal: Kind.IDENTITY,
    st.Identity: Kind.IDENTITY,
    st.GradientIs: Kind.IDENTITY,
    st.Minimum: Kind.OPTIMUM,
    st.EqualInfima: Kind.INVARIANCE,
    st.Nonnegative: Kind.LOWER,
    st.Positive: Kind.LOWER,
    st.Exceeds: Kind.LOWER,
    st.PositiveSemidefinite: Kind.LOWER,
    st.PositiveDefinite: Kind.LOWER,
    st.Vanishing: Kind.LIMIT,
    st.Growth: Kind.LIMIT,
    st.Equalisation: Kind.LIMIT,
    st.EqualShares: Kind.LIMIT,
    st.Decay: Kind.LIMIT,
}


class DraftError(ValueError):
    """Something in a claims file does not fit together; the message begins with ``file:line``."""


def inverse(matrix: MatrixExpr) -> MatrixExpr:
    """The inverse; sympy keeps it as it is written."""
    return sp.Inverse(matrix)


def caller() -> str | None:
    """``file:line`` of the nearest frame outside of this package."""
    frame = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("tightframe."):
        frame = frame.f_back  # type: ignore[assignment]
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def line_of(origin: str | None, word: str) -> str | None:
    """The line from ``origin`` on that has this word in quotes: where a hypothesis of a claim is written."""
    if origin is None:
        return None
    path, _, number = origin.rpartition(":")
    lines = linecache.getlines(path)
    for shift, line in enumerate(lines[int(number) - 1 : int(number) + 200]):
        if f'"{word}"' in line or f"'{word}'" in line:
            return f"{path}:{int(number) + shift}"
    return origin


def step(name: str, says: Any, by: rules.Justification | None = None, because: str = "") -> Step:
    """A step of a derivation; without ``by``, the rule that decides statements of its kind.

    Raises:
        DraftError: if there is no such rule.
    """
    where = caller()
    statement = as_statement(says, where)
    return Step(name, statement, because, by or default_rule(statement, where), where)


def default_rule(statement: st.Statement, where: str | None) -> rules.Justification:
    rule = DEFAULT_RULES.get(type(statement))
    if rule is None:
        raise located(
            where,
            f"a step that says {type(statement).__name__} needs to be told its rule, by=...: see "
            "tightframe.theory.proof.rules (for a matrix that is psd: Gram, Shift or Rewrite; for a minimum: "
            "CompletedSquare)",
        )
    return rule()


def as_statement(given: Any, where: str | None) -> st.Statement:
    """A statement; equations and inequalities of sympy are read as such.

    Raises:
        DraftError: for anything else, and where two sides have different shapes.
    """
    if given is True or given is False or given in (sp.true, sp.false):
        raise located(where, f"sympy found this to be {given} by itself; write Equal(left, right) to have it proved")
    if isinstance(given, sp.Eq):
        given = st.Equal(given.lhs, given.rhs)  # type: ignore[arg-type]
    elif isinstance(given, sp.Ge | sp.Le):
        given = st.Nonnegative(given.gts - given.lts)  # type: ignore[operator]
    elif isinstance(given, sp.Gt | sp.Lt):
        given = st.Positive(given.gts - given.lts)  # type: ignore[operator]
    elif isinstance(given, tuple):
        given = st.AllOf(tuple(as_statement(part, where) for part in given))  # type: ignore[misc]
    if not isinstance(given, st.Statement):
        raise located(where, f"expected a statement such as Equal(left, right), got {type(given).__name__}")
    _require_shapes(given, where)
    return given


def _require_shapes(statement: st.Statement, where: str | None) -> None:
    """Both sides of equations have one shape; what is to be positive is of the right sort."""
    for part in getattr(statement, "parts", ()):
        _require_shapes(part, where)
    for expr in statement.expressions():
        require_shapes(expr, where)
    if isinstance(statement, st.Equal):
        shapes = [_shape(side) for side in (statement.left, statement.right)]
        if shapes[0] != shapes[1]:
            said = " and ".join("a scalar" if shape is None else f"{shape[0]} x {shape[1]}" for shape in shapes)
            hint = "; Trace makes a scalar of a 1 x 1 matrix" if None in shapes else ""
            raise located(where, f"the two sides of an equation have different shapes: {said}{hint}")
    if isinstance(statement, st.Positive | st.Nonnegative) and _shape(statement.scalar) is not None:
        raise located(where, f"{type(statement).__name__} is said of scalars; of a matrix say PositiveSemidefinite")
    if isinstance(statement, st.PositiveSemidefinite | st.PositiveDefinite | st.Invertible):
        shape = _shape(statement.matrix)
        if shape is None or shape[0] != shape[1]:
            said = "a scalar" if shape is None else f"a matrix of shape {shape[0]} x {shape[1]}"
            raise located(where, f"{type(statement).__name__} is said of square matrices, not of {said}")


def require_shapes(expression: Any, where: str | None) -> None:
    """Sums and products fit together: of symbolic sizes sympy does not look.

    Raises:
        DraftError: naming the two factors or terms that do not.
    """
    pending = [expression]
    while pending:
        expr = pending.pop()
        parts = [part for part in expr.args if isinstance(part, MatrixExpr)]
        for one, other in pairwise(parts):
            if isinstance(expr, sp.MatMul) and sp.expand(one.shape[1] - other.shape[0]) != 0:
                sizes = f"{_text(one)} is {_size(one)} and {_text(other)} is {_size(other)}"
                raise located(where, f"a product of matrices that do not fit: {sizes}")
            if isinstance(expr, sp.MatAdd) and _shape(one) != _shape(other):
                sizes = f"{_text(one)} is {_size(one)} and {_text(other)} is {_size(other)}"
                raise located(where, f"a sum of matrices of different shapes: {sizes}")
        if isinstance(expr, sp.Trace | sp.Inverse):
            inner: Any = expr.arg
            if sp.expand(inner.shape[0] - inner.shape[1]) != 0:
                what = "trace" if isinstance(expr, sp.Trace) else "inverse"
                raise located(where, f"the {what} of {_text(inner)}, which is {_size(inner)}")
        pending += [part for part in expr.args if isinstance(part, sp.Basic)]


def _text(expr: Any) -> str:
    text = str(expr)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _size(expr: Any) -> str:
    return f"{expr.shape[0]} x {expr.shape[1]}"


def _shape(expr: Any) -> tuple[Any, Any] | None:
    return tuple(sp.expand(size) for size in expr.shape) if isinstance(expr, MatrixExpr) else None  # type: ignore[return-value]


def located(where: str | None, message: str) -> DraftError:
    """The error with the line that it is about."""
    return DraftError(f"{where}: {message}" if where else message)


def valid_key(key: str) -> bool:
    """Whether a paper may have this key.

    Examples:
        >>> valid_key("me2027"), valid_key("2027me"), valid_key("a/b"), valid_key("class")
        (True, False, False, False)
    """
    return re.fullmatch(r"[A-Za-z]\w*", key, re.ASCII) is not None and not keyword.iskeyword(key)


def prefixed(claim: Claim) -> list[Step]:
    """The steps of a claim under names that begin with its own, the last one under that name alone."""
    derivation = claim.derivation
    if derivation is None:
        raise located(claim.origin, f"{claim.id} has no derivation that another claim could use")
    names = {each.name: f"{claim.slug}: {each.name}" for each in derivation.steps[:-1]}
    names[derivation.steps[-1].name] = claim.slug
    return [replace(each, name=names[each.name], by=_renamed(each.by, names)) for each in derivation.steps]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A rule in which steps have other names; every text in a rule is the name of a step."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, tuple):
        return tuple(_renamed(part, names) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {item.name: _renamed(getattr(value, item.name), names) for item in fields(value)}
        return replace(value, **changed)
    return value
