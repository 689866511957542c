"""LaTeX as the field writes it: transposes, vectors of ones, identities and squared norms by their usual signs."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.core.function import _coeff_isneg
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE


class _Printer(LatexPrinter):
    """Keeps matrix products in order."""

    def _deal_with_super_sub(self, string: str, style: str = "plain") -> str:
        """A name that is LaTeX already, or has an argument, such as \\Sigma_W(X), is printed as it is."""
        return string if "\\" in string or "(" in string else str(super()._deal_with_super_sub(string, style))

    def _print_Transpose(self, expr: Any) -> str:
        return rf"{self.parenthesize(expr.arg, 100, strict=True)}^{{\top}}"

    def _print_MatPow(self, expr: Any) -> str:
        if isinstance(expr.base, DiagMatrix):
            return rf"{self._print(expr.base)}^{{{self._print(expr.exp)}}}"
        return str(super()._print_MatPow(expr))

    def _print_MatAdd(self, expr: Any) -> str:
        """Positive terms first; letters before products, multiples of one letter after them, of the identity last."""
        parts = [(_place(term), self._print(term)) for term in expr.args]
        parts.sort(key=lambda part: (part[1].startswith("-"), part[0]))
        return _joined([part for _, part in parts])

    def _print_MatMul(self, expr: Any) -> str:
        """Factors in order, equal neighbours as a power; a last factor that is the transpose of the first as such."""
        scale = sp.Mul(*(f for f in expr.args if not f.is_Matrix))
        factors = [f for f in expr.args if f.is_Matrix]
        outer = len(factors) in (2, 3) and isinstance(factors[0], sp.MatAdd)
        if outer and factors[-1] != factors[0] and factors[-1] == sp.Transpose(factors[0]).doit():
            factors[-1] = sp.Transpose(factors[0])
        shown: list[str] = []
        while factors:
            count = next((i for i, f in enumerate(factors) if f != factors[0]), len(factors))
            shown.append(self._repeated(factors[0], count))
            factors = factors[count:]
        front = "" if scale == 1 else "- " if scale == -1 else f"{self._print(scale)} "
        if isinstance(scale, sp.Add):
            front = rf"\left({self._print(scale)}\right) "
        return front + " ".join(shown)

    def _repeated(self, factor: Any, count: int) -> str:
        if count == 1:
            return str(self.parenthesize(factor, PRECEDENCE["Mul"]))
        if isinstance(factor, sp.Inverse):
            return rf"{self.parenthesize(factor.arg, 100, strict=True)}^{{-{count}}}"
        base = self._print(factor) if isinstance(factor, DiagMatrix) else self.parenthesize(factor, 100, strict=True)
        return rf"{base}^{{{count}}}"

    def _print_Add(self, expr: Any, order: Any = None) -> str:
        """Scalars in sympy's usual order, C - 1 rather than -1 + C. With norms, traces and sums: positive terms first,
        of these abbreviations first, and what has no sum in it (a decay, a constant) last.
        """
        if not expr.has(sp.Trace, sp.Sum):
            return str(super()._print_Add(expr, order="lex"))

        def key(term: Any) -> tuple[bool, int]:
            return _coeff_isneg(term), 0 if term.is_Symbol else 1 if term.has(sp.MatAdd, sp.Sum) else 2

        return _joined([self._print(term) for term in sorted(expr.args, key=key)])

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
            vector = re.sub(r"^\\mathbf\{(\w+)\}$", r"\1", self._print(expr.parent))  # a bold vector has light entries
            return rf"{vector}_{{{self._print(entry)}}}"
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
        if len(factors) == 2 and factors[1] in (sp.Transpose(factors[0]), sp.Transpose(factors[0]).doit()):
            scale = sp.prod([f for f in sp.MatMul.make_args(expr.arg) if not f.is_Matrix])
            front = "" if scale == 1 else self._print(scale) + " "
            inner = self._print(factors[0])
            left, right = (r"\left\lVert", r"\right\rVert") if _tall(inner) else (r"\lVert", r"\rVert")
            return rf"{front}{left} {inner} {right}_F^2"
        return rf"\operatorname{{tr}}\left\{{{self._print(expr.arg)}\right\}}"

    def _print_Or(self, expr: Any) -> str:
        return r" \text{ or } ".join(self._print(part) for part in expr.args)

    def _print_And(self, expr: Any) -> str:
        return r" \text{ and } ".join(self._print(part) for part in expr.args)

    def _print_Mul(self, expr: Any) -> str:
        """A rational front factor as a fraction before a norm, trace or sum, not as a numerator above it."""
        heavy = [f for f in expr.args if isinstance(f, sp.Trace | sp.Sum)]
        if len(heavy) == 1:
            front = sp.Mul(*(f for f in expr.args if f is not heavy[0]))
            shown = "-" if front == -1 else self._print(front)
            if isinstance(front, sp.Add):
                shown = rf"\left({shown}\right)"
            return shown + " " + self._print(heavy[0])
        return super()._print_Mul(expr)


def _place(term: Any) -> int:
    """Where a term of a matrix sum stands: letters 0, products 1, multiples of one letter 2, of the identity 3."""
    factors = [f for f in sp.MatMul.make_args(term) if f.is_Matrix]
    if isinstance(factors[0], sp.Identity):
        return 3
    return 1 if len(factors) > 1 else 0 if term is factors[0] else 2


def _joined(parts: list[str]) -> str:
    joined = parts[0]
    for part in parts[1:]:
        joined += f" - {part[1:].lstrip()}" if part.startswith("-") else f" + {part}"
    return joined


def _tall(text: str) -> bool:
    return any(command in text for command in (r"\frac", r"\sum", r"\left"))


def latex(expression: Any) -> str:
    """LaTeX of a scalar or matrix expression.

    Examples:
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> print(latex(sp.Trace(A * A.T) / 2))
        \\frac{1}{2} \\lVert A \\rVert_F^2
    """
    return str(_Printer({"order": "none", "mat_symbol_style": "plain"}).doprint(expression))
