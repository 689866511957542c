"""Statements as users write them: sympy expressions in typed wrappers.

A statement is data. :mod:`tightframe.theory.proof.translation` turns it into the normal form that provers search in
and the checker judges; sympy itself never decides whether it is true.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..printing import latex

Expression: TypeAlias = sp.Expr | MatrixExpr


def _objective(expr: Expression) -> str:
    """A formula under min, inf or a gradient: in brackets unless it is one symbol."""
    return latex(expr) if expr.is_Symbol else rf"\left[ {latex(expr)} \right]"


@dataclass(frozen=True)
class Statement:
    """A mathematical statement. Final subclasses below; each prints itself with ``latex()``."""

    def latex(self) -> str:
        raise NotImplementedError

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def expressions(self) -> tuple[Expression, ...]:
        """Every sympy expression that the statement contains."""
        found: list[Expression] = []
        for item in fields(self):
            value = getattr(self, item.name)
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Statement):
                    found.extend(part.expressions())
                elif isinstance(part, sp.Basic):
                    found.append(part)  # type: ignore[arg-type]
        return tuple(found)


@dataclass(frozen=True)
class Equal(Statement):
    """``left = right``, for matrices of one shape or for scalars."""

    left: Expression
    right: Expression

    def latex(self) -> str:
        return f"{latex(self.left)} = {latex(self.right)}"


@dataclass(frozen=True)
class PositiveSemidefinite(Statement):
    """The square matrix is symmetric and positive semi-definite."""

    matrix: MatrixExpr

    def latex(self) -> str:
        return rf"{latex(self.matrix)} \succeq 0"


@dataclass(frozen=True)
class PositiveDefinite(Statement):
    """The square matrix is symmetric and positive definite."""

    matrix: MatrixExpr

    def latex(self) -> str:
        return rf"{latex(self.matrix)} \succ 0"


@dataclass(frozen=True)
class Invertible(Statement):
    """The square matrix has an inverse."""

    matrix: MatrixExpr

    def latex(self) -> str:
        return rf"{latex(self.matrix)} \text{{ is invertible}}"


@dataclass(frozen=True)
class Positive(Statement):
    """The scalar is positive."""

    scalar: sp.Expr

    def latex(self) -> str:
        return f"{latex(self.scalar)} > 0"


@dataclass(frozen=True)
class Nonnegative(Statement):
    """The scalar is nonnegative."""

    scalar: sp.Expr

    def latex(self) -> str:
        return rf"{latex(self.scalar)} \ge 0"


@dataclass(frozen=True)
class AnyOf(Statement):
    """At least one part holds."""

    parts: tuple[Statement, ...]

    def latex(self) -> str:
        return r" \text{ or } ".join(part.latex() for part in self.parts)


@dataclass(frozen=True)
class AllOf(Statement):
    """Every part holds."""

    parts: tuple[Statement, ...]

    def latex(self) -> str:
        return r" \text{ and } ".join(part.latex() for part in self.parts)


@dataclass(frozen=True)
class Minimum(Statement):
    """``objective``, as a function of the matrix symbols ``over``, attains its minimum ``value`` at ``at``.

    ``unique`` says that it attains it nowhere else.
    """

    objective: sp.Expr
    over: tuple[sp.MatrixSymbol, ...]
    at: tuple[MatrixExpr, ...]
    value: sp.Expr
    unique: bool = False

    def latex(self) -> str:
        over = ", ".join(latex(variable) for variable in self.over)
        at = r",\; ".join(f"{latex(x)} = {latex(p)}" for x, p in zip(self.over, self.at, strict=True))
        only = "exactly at" if self.unique else "at"
        return (
            rf"\min_{{{over}}} {_objective(self.objective)} = {latex(self.value)}"
            rf" \quad \text{{{only}}} \quad {at}"
        )


@dataclass(frozen=True)
class EqualInfima(Statement):
    """Two objectives, each over its own matrix symbols, have the same infimum."""

    left: sp.Expr
    left_over: tuple[sp.MatrixSymbol, ...]
    right: sp.Expr
    right_over: tuple[sp.MatrixSymbol, ...]

    def latex(self) -> str:
        left, right = (", ".join(latex(x) for x in over) for over in (self.left_over, self.right_over))
        return (
            rf"\inf_{{{left}}} {_objective(self.left)}"
            rf" = \inf_{{{right}}} {_objective(self.right)}"
        )


@dataclass(frozen=True)
class Identity(Statement):
    """Two scalar expressions (log, exp, symbolic powers, ``Derivative``) agree wherever both are defined."""

    left: sp.Expr
    right: sp.Expr
    variable: sp.Symbol

    def latex(self) -> str:
        return f"{latex(self.left)} = {latex(self.right)}"


@dataclass(frozen=True)
class Increasing(Statement):
    """The scalar expression increases strictly in ``variable`` on the variable's whole range."""

    expression: sp.Expr
    variable: sp.Symbol

    def latex(self) -> str:
        return rf"{latex(self.variable)} \mapsto {latex(self.expression)} \text{{ increases strictly}}"


@dataclass(frozen=True)
class Vanishing(Statement):
    """A sum of powers of ``variable`` and its logarithm tends to zero as ``variable`` tends to infinity."""

    expression: sp.Expr
    variable: sp.Symbol

    def latex(self) -> str:
        body = latex(self.expression)
        body = rf"\left({body}\right)" if self.expression.is_Add or body.startswith("-") else body
        return rf"\lim_{{{latex(self.variable)} \to \infty}} {body} = 0"


@dataclass(frozen=True)
class Between:
    """``low <= symbol <= high``; ``None`` for no bound beyond the symbol's range."""

    symbol: sp.Symbol
    low: int | sp.Rational | None
    high: int | sp.Rational | None = None

    def latex(self) -> str:
        name = latex(self.symbol)
        low, high = (None if x is None else latex(sp.sympify(x, strict=True)) for x in (self.low, self.high))
        if low is None or high is None:
            return rf"{name} \ge {low}" if low is not None else rf"{name} \le {high}"
        return rf"{name} = {low}" if low == high else rf"{low} \le {name} \le {high}"


@dataclass(frozen=True)
class Exceeds(Statement):
    """``left > right``, and both are defined, for all values of the parameters in their ranges and in the domain.

    ``domain`` is a union of boxes, each a tuple of :class:`Between`; without one the ranges alone say where. Powers
    with other than integer exponents are exp(exponent * log(base)) with a positive base.
    """

    left: sp.Expr
    right: sp.Expr
    domain: tuple[tuple[Between, ...], ...] = ((),)

    def latex(self) -> str:
        boxes = [r",\; ".join(side.latex() for side in box) for box in self.domain]
        where = r" \text{ or } ".join(box for box in boxes if box)
        return f"{latex(self.left)} > {latex(self.right)}" + (rf" \quad {{\text{{for }} {where}}}" if where else "")


@dataclass(frozen=True)
class GradientIs(Statement):
    """``gradient`` is the gradient of the scalar ``objective`` in the matrix symbol ``variable``."""

    objective: sp.Expr
    variable: sp.MatrixSymbol
    gradient: MatrixExpr

    def latex(self) -> str:
        return rf"\nabla_{{{latex(self.variable)}}} {_objective(self.objective)} = {latex(self.gradient)}"


@dataclass(frozen=True)
class FirstIntegral(Statement):
    """Along ``dw/dt = rate(w)``, w > 0: ``integral(w(t)) = integral(w(0)) + t``, and the integral increases strictly.

    So it determines w(t). ``w`` is ``variable``.
    """

    variable: sp.Symbol
    rate: sp.Expr
    integral: sp.Expr

    def latex(self) -> str:
        name = latex(self.variable)
        return rf"\dot {name} = {latex(self.rate)} \;\Longrightarrow\; {latex(self.integral)} = a + t"


@dataclass(frozen=True)
class Growth(FirstIntegral):
    """Every solution with w(0) > 0 exists for all t >= 0, increases strictly to infinity, and

    ``coefficient * w(t)**exponent / t`` tends to 1.
    """

    coefficient: sp.Expr
    exponent: int

    def latex(self) -> str:
        name = latex(self.variable)
        power = rf"{latex(self.coefficient)} {name}(t)^{{{self.exponent}}}"
        return rf"\dot {name} = {latex(self.rate)} \;\Longrightarrow\; {name}(t) \uparrow \infty,\quad {power} \sim t"


@dataclass(frozen=True)
class Equalisation(Growth):
    """Of two solutions w >= v the ratio w/v decreases (strictly unless w = v) and tends to 1, with

    ``1 <= (w/v)**k <= 1 + (integral(w(0)) - integral(v(0))) / (coefficient * v**k)``, k the exponent.
    """

    def latex(self) -> str:
        name, k = latex(self.variable), self.exponent
        above, below = (latex(part) for part in sp.fraction(self.coefficient))
        distance = rf"\Phi({name}(0)) - \Phi(v(0))"
        distance = distance if below == "1" else rf"{below} \left({distance}\right)"
        return (
            rf"{name}(0) \ge v(0) \;\Longrightarrow\; \frac{{{name}}}{{v}} \downarrow 1,\quad "
            rf"1 \le \left(\frac{{{name}}}{{v}}\right)^{{{k}}} \le 1 + \frac{{{distance}}}"
            rf"{{{above} v^{{{k}}}}},\quad \Phi({name}) = {latex(self.integral)}"
        )


@dataclass(frozen=True)
class EqualShares(Equalisation):
    """Of ``count`` solutions every share ``quantity(w_j) / sum_i quantity(w_i)`` tends to ``1 / count``:

    it lies between ``r**-power / count`` and ``r**power / count`` for r = max w / min w, which tends to 1 as
    :class:`Equalisation` says.
    """

    quantity: sp.Expr
    power: int
    count: sp.Expr

    def latex(self) -> str:
        name, count = latex(self.variable), latex(self.count)
        indexed = (self.quantity.xreplace({self.variable: sp.Symbol(f"{name}_{i}")}) for i in "ji")
        each, other = (latex(expr, inline=True) for expr in indexed)
        return (
            rf"\left(\frac{{\min {name}}}{{\max {name}}}\right)^{{{self.power}}} \le ({count}) "
            rf"\frac{{{each}}}{{\sum_{{i=1}}^{{{count}}} {other}}} \le "
            rf"\left(\frac{{\max {name}}}{{\min {name}}}\right)^{{{self.power}}} \to 1"
        )


@dataclass(frozen=True)
class Decay(Growth):
    """The sum of ``quantity(w_j(t))`` over ``count`` solutions, times ``(t / coefficient)**(power / exponent)``,

    tends to ``count * limit``.
    """

    quantity: sp.Expr
    power: int
    limit: sp.Expr
    count: sp.Expr

    def latex(self) -> str:
        name = latex(self.variable)
        base = latex(self.coefficient / sp.Symbol("t", positive=True))
        power = str(sp.Rational(self.power, self.exponent))
        each = latex(self.quantity.xreplace({self.variable: sp.Symbol(f"{self.variable.name}_j")}))
        front = "" if self.limit == 1 else f"{latex(self.limit)} "
        rate = latex(self.rate.xreplace({self.variable: sp.Symbol(f"{self.variable.name}_j")}))
        return (
            rf"\sum_{{j=1}}^{{{latex(self.count)}}} {each} \;\sim\; "
            rf"{front}\left({latex(self.count)}\right) \left({base}\right)^{{{power}}},\quad \dot {name}_j = {rate}"
        )
