"""Row 7: roots of the scalar problem, all classes in one call, against a symbolic solution class by class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp
from run import Comparison, Contender
from tightframe.theory import scalar_problem

ROWS = (7,)  # of the comparisons
CLASSES = 10**5
SOLVED = 3  # classes that the baseline solves; its time is that of as many others
DEPTHS = (2, 3, 6)


def symbolic(b: float, depth: int) -> float:
    """The least of g_b over the real roots of its stationarity equation, as one writes it down in sympy."""
    x = sp.Symbol("x", positive=True)
    slope = sp.Rational(b)
    candidates = sp.real_roots(sp.Poly(slope * (1 + x**depth) ** 2 - depth * x ** (depth - 1), x))
    values = [0.0, *(float(root.evalf(20)) for root in candidates if root > 0)]
    return min(values, key=lambda at: 1 / (1 + at**depth) + b * at)


def compared(depth: int) -> Comparison:
    slopes = np.exp(np.random.default_rng(0).uniform(-12, 0, CLASSES))
    few = slopes[:SOLVED]
    exact = np.array([symbolic(float(b), depth) for b in few])
    error = float(np.max(np.abs(scalar_problem.minimiser(few, depth).value - exact) / np.maximum(exact, 1)))
    return Comparison(
        7,
        f"{SOLVED} roots of the scalar problem, M = {depth}; of {CLASSES:,} in one call where vectorised",
        "largest relative difference from the symbolic solution",
        "1e4",
        (
            Contender("sympy, class by class", lambda: [symbolic(float(b), depth) for b in few]),
            Contender(
                f"`scalar_problem.minimiser`, {CLASSES:,} classes in one call",
                lambda: scalar_problem.minimiser(slopes, depth),
                error,
                pieces=CLASSES // SOLVED,
            ),
        ),
    )


def comparisons() -> Iterator[Comparison]:
    for depth in DEPTHS:
        yield compared(depth)
