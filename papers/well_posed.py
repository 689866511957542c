"""Inverses that exist because what is inverted is a Gram matrix plus a positive multiple of the identity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..theory.derivation import Hypothesis, Step
from ..theory.proof import rules
from ..theory.proof import statement as st


def inverted(expressions: Iterable[Any]) -> list[Any]:
    """What is inverted in some expressions, each once, the innermost first."""
    found: dict[Any, None] = {}
    for expr in expressions:
        inverses = sorted(expr.atoms(sp.Inverse), key=lambda each: (each.count_ops(), str(each)))
        found |= dict.fromkeys(each.arg for each in inverses)
    return list(found)


@dataclass(frozen=True)
class Grams:
    """``sum of weight * X A X^T + shift * I``: the squares, their sum as it is written, and the shift."""

    squares: tuple[rules.Square, ...]
    total: Any
    shift: Any


def grams(matrix: Any, hypotheses: Sequence[Hypothesis]) -> Grams | None:
    """A matrix as it is visibly a sum of Gram matrices and a multiple of the identity, if it is.

    Examples:
        >>> from tightframe.theory.symbols import n, p, lam
        >>> X = sp.MatrixSymbol("X", n, p)
        >>> grams(X.T * X + lam * sp.Identity(p), ()).shift
        lambda
        >>> grams(X.T * X - lam * sp.Identity(p), ()).shift
        -lambda
        >>> grams(-X.T * X, ()) is None
        True
    """
    kinds = st.PositiveSemidefinite | st.PositiveDefinite
    known = {h.statement.matrix: h.name for h in hypotheses if isinstance(h.statement, kinds)}
    shift, squares, terms = sp.S.Zero, list[rules.Square](), list[Any]()
    for term in sp.MatAdd.make_args(matrix):
        weight, factors = term.as_coeff_mmul() if isinstance(term, sp.MatMul) else (sp.S.One, term)
        parts = [x for x in sp.MatMul.make_args(factors) if isinstance(x, MatrixExpr)]
        weight *= sp.Mul(*(x for x in getattr(factors, "args", ()) if not isinstance(x, MatrixExpr)))
        if all(isinstance(part, sp.Identity) for part in parts):
            shift += weight
            continue
        half, odd = divmod(len(parts), 2)
        middle = parts[half] if odd else None
        mirrored = all(sp.Transpose(x).doit() == y for x, y in zip(parts[:half], parts[::-1], strict=False))
        metric = None if middle is None else known.get(middle)
        if not mirrored or (middle is not None and metric is None) or not weight.is_nonnegative:
            return None
        factor: Any = sp.MatMul(*parts[:half]) if half else sp.Identity(matrix.shape[0])
        squares.append(rules.Square(weight, factor.doit(), metric))
        terms.append(term)
    return Grams(tuple(squares), sp.MatAdd(*terms).doit(), shift) if squares else None


def existence(inner: Any, hypotheses: Sequence[Hypothesis], origin: str | None, number: int) -> list[Step]:
    """Steps ``Gram matrix 1`` and ``invertible 1`` that say that a Gram matrix plus a positive shift has an inverse."""
    found = grams(inner, hypotheses)
    if found is None or not found.shift.is_positive:
        return []
    first, second = f"Gram matrix {number}", f"invertible {number}"
    psd, by = st.PositiveSemidefinite(found.total), rules.Gram(found.squares)
    return [
        Step(first, psd, "A sum of Gram matrices.", by, origin),
        Step(second, st.PositiveDefinite(inner), "And a positive shift.", rules.Shift(first, found.shift), origin),
    ]
