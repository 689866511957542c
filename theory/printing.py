"""LaTeX as the field writes it: transposes, vectors of ones, identities and squared norms by their usual signs."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.core.function import _coeff_isneg
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.special import ZeroMatrix as Zeros
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

UPRIGHT = "(?:[A-Za-z]{3,}|[A-Z]{2})[0-9/]*"  # an index that is a word or an abbreviation, not a product of indices


class _Printer(LatexPrinter):
    """Keeps matrix products in order."""

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        super().__init__(settings)
        self._inline = 0  # how deep in exponents, where fractions have a slash

    def _deal_with_super_sub(self, string: str, style: str = "plain") -> str:
        """A name that is LaTeX already, or has an argument, such as \\Sigma_W(X), is printed as it is.

        Indices that are words or abbreviations stand upright.
        """
        name = string if "\\" in string or "(" in string else str(super()._deal_with_super_sub(string, style))
        return re.sub(rf"_\{{({UPRIGHT})\}}", r"_{\\mathrm{\1}}", name)

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
        scale, factors = _split(expr)
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
        """Positive terms first; with norms and sums abbreviations before them, what has no sum in it (a decay) last."""
        terms = expr.args if expr.has(sp.Trace, sp.Sum) else self._as_ordered_terms(expr, order="lex")
        terms = [_pulled(term) for term in terms]
        terms = [term for term in terms if not any(map(_is_zero, sp.Mul.make_args(term)))] or terms[:1]
        of = _place_of_trace_term if expr.has(sp.Trace, sp.Sum) else _place_of_term(terms)
        return _joined([self._print(term) for term in sorted(terms, key=lambda t: (_coeff_isneg(t), of(t)))])

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
        if _pulled(expr) != expr:
            return str(self._print(_pulled(expr)))
        factors = sp.MatMul.make_args(expr.arg)
        if len(factors) == 2 and factors[1] in (sp.Transpose(factors[0]), sp.Transpose(factors[0]).doit()):
            normed: Any = factors[0].arg if isinstance(factors[0], sp.Transpose) else factors[0]
            inner = self._print(normed)
            high = _tall(inner) or r"\left" in inner
            left, right = (r"\left\lVert", r"\right\rVert") if high else (r"\lVert", r"\rVert")
            return rf"{left} {inner} {right}{'^2' if normed.shape[1] == 1 else '_F^2'}"
        if _is_number(expr):  # a^T B a is one already
            return str(self._print(expr.arg))
        if _is_zero(expr):
            return "0"
        return rf"\operatorname{{tr}}\left\{{{self._print(expr.arg)}\right\}}"

    def _print_Or(self, expr: Any) -> str:
        return r" \text{ or } ".join(self._print(part) for part in expr.args)

    def _print_And(self, expr: Any) -> str:
        return r" \text{ and } ".join(self._print(part) for part in expr.args)

    # ---- scalars
    def _print_Mul(self, expr: Any) -> str:
        """Numbers, sizes and decays first; what is tall or not a polynomial beside the fraction, not in it."""
        if _pulled(expr) != expr:
            return str(self._print(_pulled(expr)))
        sign, above, below = _fraction(expr)
        if sign < 0:
            if not below and len(above) == 1:
                return f"- {self._add_parens(self._print(above[0])) if above[0].is_Add else self._print(above[0])}"
            return f"- {self._print_Mul(sp.Mul(*above, *(1 / f for f in below), evaluate=False))}"
        if self._inline and below:
            return f"{self._factors(above, divided=True)}/{self._factors(below, divided=True)}"
        if not below:
            return self._factors(above)
        simple = all(f.is_Integer or (f.is_integer and f.is_Symbol) for f in below)
        beside = [f for f in above if self._beside(f) or (simple and not (f.is_Symbol or f.is_number))]
        if simple and len(beside) == len(above):  # (K - 1)/(2 K) before the rest
            beside = [f for f in beside if f is not next((f for f in above if _is_size(f)), None)]
        on_top = [f for f in above if f not in beside]
        top = self._print(on_top[0]) if len(on_top) == 1 else self._factors(on_top)
        bottom = self._print(below[0]) if len(below) == 1 else self._factors(below)
        return rf"\frac{{{top}}}{{{bottom}}}" + "".join(f" {self._factor(f)}" for f in beside)

    def _beside(self, factor: Any) -> bool:
        return _tall(self._print(factor)) or factor.has(sp.Trace, sp.Sum, sp.log, sp.Derivative)

    def _add_parens(self, s: str) -> str:
        return f"({s})" if self._inline else rf"\left({s}\right)"

    def _factors(self, factors: list[Any], divided: bool = False) -> str:
        several = len(factors) > 1
        written = [self._factor(f) for f in factors] or ["1"]
        # 16 2^L would be read as 162^L
        text = written[0] + "".join(rf" \cdot {each}" if each[0].isdigit() else f" {each}" for each in written[1:])
        return self._add_parens(text) if divided and several else text

    def _factor(self, factor: Any) -> str:
        text = self._print(factor)
        number = _is_number(factor) and not isinstance(factor.arg, sp.MatMul)  # a^T S a needs no parentheses
        return self._add_parens(text) if factor.is_Add or number or text.startswith("-") else str(text)

    def _print_Pow(self, expr: Any) -> str:
        base, exponent = expr.args
        if base is sp.E:
            return self._print_exp(expr)
        if exponent.is_Rational and not exponent.is_Integer and exponent.p == 1 and not self._inline:
            return str(super()._print_Pow(expr))  # a root
        if _coeff_isneg(exponent):
            return self._print_Mul(expr)
        name = self._print(base)
        if _is_number(base) or (isinstance(base, sp.Trace) and _split(base.arg)[0] != 1):
            name = self._add_parens(name)
        elif not isinstance(base, sp.Trace):
            name = self.parenthesize(base, PRECEDENCE["Pow"])
            if base.is_Symbol and "^" in name:
                name = self._add_parens(name)
        return f"{name}^{{{self._exponent(exponent)}}}"

    def _exponent(self, expr: Any) -> str:
        self._inline += 1
        try:
            return str(self._print(expr))
        finally:
            self._inline -= 1

    def _print_exp(self, expr: Any, exp: Any = None) -> str:
        argument = expr.args[1] if expr.is_Pow else expr.args[0]
        power = self._exponent(argument)
        long = len(re.sub(r"\\[A-Za-z]+|[{}\s]", "x", power)) > 30 or "^{" in re.sub(r"\^\{\w+\}", "", power)
        if long and not self._inline:
            return rf"\exp\left({self._print(argument)}\right)"
        return f"e^{{{power}}}"

    def _print_log(self, expr: Any, exp: Any = None) -> str:
        argument = self._print(expr.args[0])
        text = (
            rf"\log {argument}"
            if expr.args[0].is_Symbol or expr.args[0].is_Integer
            else rf"\log\left({argument}\right)"
        )
        return text if exp is None else rf"{text.replace(chr(92) + 'log', chr(92) + 'log^{' + exp + '}', 1)}"

    def _print_Rational(self, expr: Any) -> str:
        return f"{expr.p}/{expr.q}" if self._inline and expr.q != 1 else str(super()._print_Rational(expr))


def _split(product: Any) -> tuple[Any, list[Any]]:
    """The scalar of a product, and its matrices."""
    factors = sp.MatMul.make_args(product)
    return sp.Mul(*(f for f in factors if not f.is_Matrix)), [f for f in factors if f.is_Matrix]


def _pulled(expr: Any) -> Any:
    """A product with the scalars that stand inside its traces before them."""
    factors = [(f, *_split(f.arg)) if isinstance(f, sp.Trace) else (f, sp.S.One, []) for f in sp.Mul.make_args(expr)]
    if all(scale == 1 for _, scale, _ in factors):
        return expr
    scales = sp.Mul(*(scale for _, scale, _ in factors))
    others = (
        f if scale == 1 else sp.Trace(matrices[0] if len(matrices) == 1 else sp.MatMul(*matrices))
        for f, scale, matrices in factors
    )
    return sp.Mul(scales, *others)


def _is_number(expr: Any) -> bool:
    """Whether this is the trace of a matrix with one entry."""
    inner: Any = expr.args[0] if isinstance(expr, sp.Trace) else None
    return inner is not None and inner.shape == (1, 1)


def _is_zero(factor: Any) -> bool:
    return isinstance(factor, sp.Trace) and isinstance(factor.arg, Zeros)


def _is_size(factor: Any) -> bool:
    return factor.is_Add and len(factor.args) == 2 and all(symbol.is_integer for symbol in factor.free_symbols)


def _fraction(expr: Any) -> tuple[int, list[Any], list[Any]]:
    """The sign of a product, its factors above the line and those below it, in the order in which they are written."""
    sign, above, below = 1, list[Any](), list[Any]()
    factors: tuple[Any, ...] = sp.Mul.make_args(expr)
    for factor in factors:
        if factor.is_Rational:
            sign *= -1 if factor < 0 else 1
            above += [sp.Integer(abs(factor.p))] * (abs(factor.p) != 1)
            below += [sp.Integer(factor.q)] * (factor.q != 1)
        elif factor.is_Pow and factor.base is not sp.E and _coeff_isneg(factor.exp):
            below.append(factor.base ** (-factor.exp))
        elif factor.is_Add and all(_coeff_isneg(term) for term in factor.args):
            sign, above = -sign, [*above, -factor]
        else:
            above.append(factor)
    above = _gathered(above)
    return sign, sorted(above, key=_place_of_factor), sorted(below, key=_place_of_factor)


def _gathered(factors: list[Any]) -> list[Any]:
    """Powers of one letter as one power: s^(L+1) for s s^L."""
    exponents: dict[Any, list[Any]] = {}
    for factor in factors:
        base, exponent = factor.as_base_exp()
        key = base if base.is_Symbol else factor
        exponents.setdefault(key, []).append(exponent if base.is_Symbol else 1)
    return [key ** sp.Add(*every) if key.is_Symbol else key for key, every in exponents.items() for _ in every[:1]]


def _place_of_factor(factor: Any) -> tuple[Any, ...]:
    """Numbers, sizes (integers), decays, sums of sizes, letters and their powers, sums, and functions last."""
    base = factor.base if factor.is_Pow and factor.base is not sp.E else factor
    name = base.name.lower() if base.is_Symbol else ""
    sizes = all(symbol.is_integer for symbol in factor.free_symbols)
    if factor.is_number or (base.is_number and factor.is_Pow and base is not sp.E):
        place = 0 if factor.is_Rational else 1
    elif base.is_Symbol and sizes:
        place = 2
    elif base.is_Symbol:
        place = 3 if name.startswith("lambda") else 5
    elif factor.has(sp.Trace, sp.Sum, sp.Derivative):
        place = 10
    elif factor.has(sp.log) or isinstance(factor, sp.Function):
        place = 9 if factor.has(sp.log) else 8
    else:
        place = 4 if sizes and base.is_Add else 6 if base.is_Add else 7
    return place, name, sp.default_sort_key(factor)


def _place_of_trace_term(term: Any) -> int:
    return 0 if term.is_Symbol else 1 if term.has(sp.MatAdd, sp.Sum) else 2


def _place_of_term(terms: list[Any]) -> Any:
    """Logarithms and reciprocals, then the others in sympy's order; 1 + x^2 and 1 + e^(-x), but C - 1 and e^x + 1."""
    curved = any(not term.is_polynomial(*term.free_symbols) or sp.total_degree(term) > 1 for term in terms)
    growing = any(not _coeff_isneg(f.exp) for term in terms for f in term.atoms(sp.exp))

    def of(term: Any) -> int:
        if term.is_number:
            return 1 if curved and not growing else 4
        reciprocal = any(f.is_Add for f in sp.fraction(term, exact=True)[1].args) or (term.is_Pow and term.exp == -1)
        loss = term.has(sp.log) or (reciprocal and not all(symbol.is_integer for symbol in term.free_symbols))
        return 0 if loss else 2 if growing and term.has(sp.exp) else 3

    return of


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
    return any(command in text for command in (r"\frac", r"\sum"))


def latex(expression: Any, inline: bool = False) -> str:
    """LaTeX of a scalar or matrix expression; fractions have a slash if it is to stand ``inline``.

    Examples:
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> print(latex(sp.Trace(A * A.T) / 2))
        \\frac{1}{2} \\lVert A \\rVert_F^2
    """
    printer = _Printer({"order": "none", "mat_symbol_style": "plain"})
    printer._inline = int(inline)
    return str(printer.doprint(expression))
