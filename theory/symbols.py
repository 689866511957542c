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
