"""LaTeX as the field writes it: transposes, vectors of ones, identities and squared norms by their usual signs."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter


class _Printer(LatexPrinter):
    """Keeps matrix products in order."""

    def _print_Transpose(self, expr: Any) -> str:
        return rf"{self.parenthesize(expr.arg, 100, strict=True)}^{{\top}}"

    def _print_MatAdd(self, expr: Any) -> str:
        """Positive terms first."""
        parts = [self._print(term) for term in expr.args]
        parts.sort(key=lambda part: part.startswith("-"))
        joined = parts[0]
        for part in parts[1:]:
            joined += f" - {part[1:].lstrip()}" if part.startswith("-") else f" + {part}"
        return joined

    def _print_MatMul(self, expr: Any) -> str:
        """A sum times its own transpose, possibly with a metric between, as (A + B) M (A + B)^T."""
        factors = [f for f in expr.args if f.is_Matrix]
        if (
            len(factors) not in (2, 3)
            or not isinstance(factors[0], sp.MatAdd)
            or factors[-1] != sp.Transpose(factors[0]).doit()
        ):
            return str(super()._print_MatMul(expr))
        scale = sp.Mul(*(f for f in expr.args if not f.is_Matrix))
        front = "" if scale == 1 else "- " if scale == -1 else self._print(scale) + " "
        outer = rf"\left({self._print(factors[0])}\right)"
        middle = "".join(self.parenthesize(f, 50) + " " for f in factors[1:-1])
        return rf"{front}{outer} {middle}{outer}^{{\top}}"

    def _print_Add(self, expr: Any, order: Any = None) -> str:
        """Scalars in sympy's usual order, C - 1 rather than -1 + C; sums of norms in the order given."""
        return str(super()._print_Add(expr, order="none" if expr.has(sp.Trace) else "lex"))

    def _print_OneMatrix(self, expr: Any) -> str:
        rows, cols = expr.shape
        if cols == 1:
            return rf"\mathbf{{1}}_{{{self._print(rows)}}}"
        if rows == 1:
            return rf"\mathbf{{1}}_{{{self._print(cols)}}}^{{\top}}"
        return rf"\mathbf{{1}}_{{{self._print(rows)}}} \mathbf{{1}}_{{{self._print(cols)}}}^{{\top}}"

    def _print_Identity(self, expr: Any) -> str:
        return rf"I_{{{self._print(expr.shape[0])}}}"

    def _print_Inverse(self, expr: Any) -> str:
        return rf"{self.parenthesize(expr.arg, 100, strict=True)}^{{-1}}"

    def _print_DiagMatrix(self, expr: Any) -> str:
        return rf"\operatorname{{diag}}({self._print(expr.args[0])})"

    def _print_MatrixElement(self, expr: Any) -> str:
        entry = sp.expand(expr.i + 1)  # sympy counts from 0, papers from 1
        if expr.parent.shape[1] == 1:
            return rf"{self._print(expr.parent)}_{{{self._print(entry)}}}"
        return rf"{self._print(expr.parent)}_{{{self._print(entry)},{self._print(sp.expand(expr.j + 1))}}}"

    def _print_Sum(self, expr: Any) -> str:
        index, low, high = expr.limits[0]
        if len(expr.limits) == 1 and low == 0 and expr.function.has(sp.matrices.expressions.matexpr.MatrixElement):
            function = expr.function.xreplace({index: index - 1})
            limits = rf"{self._print(index)}=1}}^{{{self._print(sp.expand(high + 1))}"
            return rf"\sum_{{{limits}}} {self._print(function)}"
        return super()._print_Sum(expr)

    def _print_Trace(self, expr: Any) -> str:
        factors = [f for f in sp.MatMul.make_args(expr.arg) if f.is_Matrix]
        if len(factors) == 2 and factors[1] == sp.Transpose(factors[0]).doit():
            scale = sp.prod([f for f in sp.MatMul.make_args(expr.arg) if not f.is_Matrix])
            front = "" if scale == 1 else self._print(scale) + " "
            return rf"{front}\lVert {self._print(factors[0])} \rVert_F^2"
        return rf"\operatorname{{tr}}\left\{{{self._print(expr.arg)}\right\}}"

    def _print_Mul(self, expr: Any) -> str:
        """A rational front factor as a fraction before a norm, trace or sum, not as a numerator above it."""
        heavy = [f for f in expr.args if isinstance(f, sp.Trace | sp.Sum)]
        if len(heavy) == 1:
            front = sp.Mul(*(f for f in expr.args if f is not heavy[0]))
            return self._print(front) + " " + self._print(heavy[0])
        return super()._print_Mul(expr)


def latex(expression: Any) -> str:
    """LaTeX of a scalar or matrix expression.

    Examples:
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> print(latex(sp.Trace(A * A.T) / 2))
        \\frac{1}{2} \\lVert A \\rVert_F^2
    """
    return str(_Printer({"order": "none", "mat_symbol_style": "plain"}).doprint(expression))
