"""Floating-point values of the theory's matrix expressions.

A second reading of the same sympy expressions, independent of the translation that the proofs go through: a property
test that compares it with simulation therefore also tests that translation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import Identity, OneMatrix

Array = NDArray[np.float64]


def evaluate(expression: Any, values: Mapping[Any, Any], definitions: Mapping[Any, Any] | None = None) -> Array:
    """The value of a scalar or matrix expression in float64.

    ``values`` maps scalar symbols to numbers and matrix symbols to arrays of their shape (in a scalar expression a
    number may be an array, for its values at all entries); ``definitions`` maps abbreviations to expressions. Raises
    ``KeyError`` for a symbol without a value, ``numpy.linalg.LinAlgError`` for the inverse of a singular
    matrix.

    Examples:
        >>> n = sp.Symbol("n", integer=True, positive=True)
        >>> A = sp.MatrixSymbol("A", n, n)
        >>> float(evaluate(sp.Trace(A.T * A) / n, {n: 2, A: np.array([[1.0, 2.0], [3.0, 4.0]])}))
        15.0
    """
    defined = definitions or {}

    def walk(expr: Any) -> Any:
        if expr in values:
            return np.asarray(values[expr], dtype=np.float64)
        if expr in defined:
            return walk(defined[expr])
        if isinstance(expr, sp.Number | sp.NumberSymbol):
            return np.float64(float(expr))
        if isinstance(expr, sp.MatrixSymbol | sp.Symbol):
            raise KeyError(f"no value for {expr}")
        if isinstance(expr, Identity):
            return np.eye(size(expr.shape[0]))
        if isinstance(expr, OneMatrix | sp.ZeroMatrix):
            fill = np.ones if isinstance(expr, OneMatrix) else np.zeros
            return fill((size(expr.shape[0]), size(expr.shape[1])))
        if isinstance(expr, sp.Sum):
            return sum_of(expr)
        if isinstance(expr, MatrixElement):
            return walk(expr.parent)[size(expr.i), size(expr.j)]
        parts = [walk(part) for part in expr.args]
        if isinstance(expr, sp.Add | sp.MatAdd):
            return np.sum(np.stack(np.broadcast_arrays(*parts)), axis=0)
        if isinstance(expr, sp.MatMul):  # before Mul, of which it is a subclass
            result = np.float64(1.0)
            for part in parts:
                result = result @ part if result.ndim and part.ndim else result * part
            return result
        if isinstance(expr, sp.Mul):
            return math.prod(parts)
        if isinstance(expr, sp.Transpose):
            return parts[0].T
        if isinstance(expr, sp.Inverse):
            return np.linalg.inv(parts[0])
        if isinstance(expr, sp.MatPow):
            return np.linalg.matrix_power(parts[0], size(expr.exp))
        if isinstance(expr, sp.Pow):
            return parts[0] ** parts[1]
        if isinstance(expr, sp.log):
            return np.log(parts[0])
        if isinstance(expr, sp.Trace):
            return np.trace(parts[0])
        if isinstance(expr, DiagMatrix):
            return np.diag(parts[0][:, 0])
        raise NotImplementedError(f"no floating-point reading of {type(expr).__name__}")

    def size(expr: Any) -> int:
        value = float(walk(sp.sympify(expr, strict=True)))
        if value != round(value):
            raise ValueError(f"{expr} = {value} is not a size or index")
        return round(value)

    def sum_of(expr: sp.Sum) -> Any:
        index, low, high = expr.limits[0]
        return sum(walk(expr.function.xreplace({index: sp.Integer(j)})) for j in range(size(low), size(high) + 1))

    return np.asarray(walk(expression))
