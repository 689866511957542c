"""The symbols of the field with their assumptions, and how the papers scale the same loss.

=======  =====================================================================================
``C``    classes, at least 2 (``K`` in dang2023 and garrod2025)
``N``    samples **per class** where classes are balanced, at least 2
``n``    samples in all (``C N`` when balanced; ``N`` in dang2023)
``p``    dimension of the features (``d`` in dang2023 and garrod2025)
``lam``  weight decay, nonnegative
=======  =====================================================================================

Squared error: han2022 writes 1/2 Ave ||W h - y||^2, dang2023 1/(2N) ||W H - Y||_F^2 with N samples in all; both are
1/(2n) ||W H - Y||_F^2 here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.special import OneMatrix

from .proof.checker import Range

C = sp.Symbol("C", integer=True, positive=True)
N = sp.Symbol("N", integer=True, positive=True)
n = sp.Symbol("n", integer=True, positive=True)
p = sp.Symbol("p", integer=True, positive=True)
lam = sp.Symbol("lambda", real=True, nonnegative=True)


def integers(low: int) -> Range:
    """All integers from ``low``.

    Examples:
        >>> Fraction(3) in integers(2), Fraction(1) in integers(2), Fraction(5, 2) in integers(2)
        (True, False, False)
    """
    return Range(Fraction(low), integer=True)


def reals(low: int, *, open: bool = False) -> Range:
    """All real numbers from ``low``, without it if ``open``."""
    return Range(Fraction(low), open=open)


POSITIVE = reals(0, open=True)


def ones(size: sp.Expr) -> MatrixExpr:
    """The column of ``size`` ones."""
    return OneMatrix(size, 1)


def ones_row(size: sp.Expr) -> MatrixExpr:
    """The row of ``size`` ones."""
    return OneMatrix(1, size)


def frobenius_squared(matrix: MatrixExpr) -> sp.Expr:
    """||A||_F^2 = tr(A A^T)."""
    return sp.Trace(matrix * matrix.T)


def quadratic(matrix: MatrixExpr, metric: MatrixExpr) -> sp.Expr:
    """tr(A M A^T), the squared norm of the rows of A in the metric M."""
    return sp.Trace(matrix * metric * matrix.T)


def total(*terms: MatrixExpr) -> MatrixExpr:
    """The sum of matrices, equal to ``a + b + ...`` where all are simplified already.

    Operators of sympy simplify the whole of both sides anew, which takes seconds where expressions are large.

    Examples:
        >>> import sympy as sp
        >>> A, B = (sp.MatrixSymbol(name, p, p) for name in "AB")
        >>> total(A, B, A) == A + B + A
        True
    """
    parts: list[Any] = [part for term in terms for part in (term.args if isinstance(term, sp.MatAdd) else (term,))]
    alike = len({part.as_coeff_mmul()[1] for part in parts}) < len(parts)
    if alike or any(isinstance(part, sp.ZeroMatrix) for part in parts):
        return sp.MatAdd(*terms).doit()
    return sp.MatAdd(*sorted(parts, key=sp.default_sort_key))


def product(*factors: MatrixExpr | sp.Expr) -> MatrixExpr:
    """The product of matrices and scalars, equal to ``a * b * ...`` where all are simplified already.

    Examples:
        >>> import sympy as sp
        >>> A, B = (sp.MatrixSymbol(name, p, p) for name in "AB")
        >>> product(sp.S.Half, A + B, 1 / C, A, A.inv(), B) == (A + B) * B / (2 * C)
        True
    """
    unsimplified: Any = sp.MatMul(*factors)
    return unsimplified.doit(deep=False)
