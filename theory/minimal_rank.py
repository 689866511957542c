"""Diagonally superior logits: their least rank, and why low rank wins in deep models (Garrod and Keating 2025).

M (K x K) is diagonally superior if in each column the entry of the column's own class is the strictly largest. The
least rank of such a matrix is 2 for K >= 3: distinct points p_i of a circle give M_ij = p_i^T p_j, of rank 2, with
1 - p_i^T p_j > 0; and a matrix a b^T fails in one of any three classes. For K = 2 it is 1, by [[1, -1], [-1, 1]].
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from .balance import K, half_integers
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Monotone, Poly, Root, Star
from .proof.statement import AllOf, Equal, Increasing, Nonnegative, Positive
from .statistics import random_matrix

t = sp.Symbol("t", nonnegative=True)
g = sp.Symbol("g", positive=True)
CLASSES = tuple(sp.MatrixSymbol(name, K, 1) for name in ("k", "j", "i"))
LEFT, RIGHT = sp.MatrixSymbol("a", K, 1), sp.MatrixSymbol("b", K, 1)


def point(parameter: Any) -> tuple[sp.Expr, sp.Expr]:
    """A point of the circle.

    Examples:
        >>> point(sp.S.One), point(sp.Integer(2))
        ((0, 1), (-3/5, 4/5))
    """
    return (1 - parameter**2) / (1 + parameter**2), 2 * parameter / (1 + parameter**2)


def _product(one: tuple[sp.Expr, sp.Expr], other: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
    return one[0] * other[0] + one[1] * other[1]


# Garrod and Keating 2025, sections 3.1 and 3.2
def on_a_circle() -> tuple[Equal, Positive]:
    """Unit vectors, at the parameters t and t + g: the entry of the own class is larger than any other.

    Examples:
        >>> on_a_circle()[1].scalar.subs({t: 0, g: 1})
        1
    """
    return Equal(_product(point(t), point(t)), sp.S.One), Positive(1 - _product(point(t), point(t + g)))


def rank_one() -> Equal:
    """Of a b^T and three classes: the product of the six gaps is minus a square, so one of them is not positive."""
    own = {k: sp.Trace(k.T * LEFT) for k in CLASSES}
    read = {k: sp.Trace(RIGHT.T * k) for k in CLASSES}
    matrix = LEFT * RIGHT.T
    gaps = [sp.Trace(k.T * matrix * k) - sp.Trace(j.T * matrix * k) for k, j in itertools.permutations(CLASSES, 2)]
    square = sp.Mul(*read.values(), *(own[k] - own[j] for k, j in itertools.combinations(CLASSES, 2)))
    return Equal(sp.Mul(*gaps), -(square**2))


def minimal_rank_statement() -> AllOf:
    return AllOf((*on_a_circle(), rank_one()))


def minimal_rank_setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        size = rng.randint(3, 4)
        vectors = {name: random_matrix(rng, size, 1) for name in "ab"}
        units = {name: [[sp.Integer(int(row == column))] for row in range(size)] for column, name in enumerate("kji")}
        values: dict[Any, Any] = {K: size, t: rng.randint(0, 3), g: rng.randint(1, 3)}
        values |= {**vectors, **units}
        return values

    return Setting(parameters, (), sample)


def minimal_rank(where: Setting) -> Derivation:
    unit, apart = on_a_circle()
    return Derivation(
        "The least rank of diagonally superior matrices is two for three classes or more",
        where,
        (
            Step("circle", unit, "(1 - t^2)^2 + 4 t^2 = (1 + t^2)^2.", Star()),
            Step("apart", apart, "It is 2 g^2 over the product of the denominators.", Poly()),
            Step("rank one", rank_one(), "Of three numbers b_k two have one sign.", Star(())),
            Step("together", minimal_rank_statement(), "The parts.", Conjunction(("circle", "apart", "rank one"))),
        ),
    )


# ---- rank superiority: Garrod and Keating 2025, theorem 2
L = sp.Symbol("L", integer=True, positive=True)
p = sp.Symbol("p", integer=True, positive=True)
q = sp.Symbol("q", integer=True, positive=True)
R = sp.Symbol("R", positive=True)
rho = sp.Symbol("rho", positive=True)
mu = sp.Symbol("mu", positive=True)  # the least gap of M
D = sp.Symbol("D", positive=True)  # the largest difference of two entries in a column of X
scale = sp.Symbol("t", positive=True)  # of X
more = sp.Symbol("h", nonnegative=True)
less = sp.Symbol("w", nonnegative=True)
gap = sp.Symbol("x", positive=True)
rest = sp.Symbol("r", positive=True)
unit = sp.Symbol("c", positive=True)


class Superiority:
    """X of rank p at scale t, and M of rank q < p, diagonally superior, at scale t D / mu.

    Every gap of M is mu + h, every gap of X is D - w. With the largest singular value m_1 of M and the least positive
    x_p of X, R = D m_1 / (mu x_p) and rho = R^(2/(L+1)); c = (t x_p n^(1/2))^(2/(L+1)). The decay of X is at least p c,
    that of M at most q rho c, in units of (lam/2) (L+1).
    """

    hypotheses = (
        Hypothesis("power", Equal(rho ** (L + 1), R**2), "rho = R^(2/(L+1))"),
        Hypothesis("deep", Positive(p ** (L + 1) - q ** (L + 1) * R**2), "L + 1 > 2 log R / log(p/q)"),
    )
    falls = Increasing(-sp.log(rest + sp.exp(-gap)), gap)
    gaps = Nonnegative(scale * D / mu * (mu + more) - scale * (D - less))
    decays = Positive(p * unit - q * rho * unit)
    statement = AllOf((falls, gaps, decays))

    @classmethod
    def setting(cls, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        """Exact examples have L = 1, where rho = R."""

        def sample(rng: random.Random) -> Values:
            low = rng.randint(1, 3)
            high = low + rng.randint(1, 3)
            ratio = sp.Rational(high, low) * sp.Rational(rng.randint(1, 9), 10)
            values = dict(zip((mu, D, scale, gap, rest, unit), half_integers(rng, 6), strict=True))
            slack = {more: rng.randint(0, 2), less: rng.randint(0, 2)}
            return {L: 1, p: high, q: low, R: ratio, rho: ratio, **values, **slack}

        return Setting(parameters, cls.hypotheses, sample)


def superiority(where: Setting) -> Derivation:
    """M at scale t D / mu has no more cross-entropy and less decay than X at scale t, once (p/q)^(L+1) > R^2."""
    return Derivation(
        "Lower rank wins in deep models",
        where,
        (
            Step("cross-entropy", Superiority.falls, "A larger gap makes the sum smaller.", Monotone()),
            Step("gaps", Superiority.gaps, "t D / mu times at least mu is at least t D.", Poly(())),
            Step(
                "powers",
                Positive(p ** (L + 1) - (q * rho) ** (L + 1)),
                "Insert rho^(L+1) = R^2.",
                Poly(("deep", "power")),
            ),
            Step("ranks", Positive(p - q * rho), "Take roots.", Root("powers", p, q * rho, L + 1)),
            Step("decays", Superiority.decays, "Multiply by c.", Poly(("ranks",))),
            Step("together", Superiority.statement, "The parts.", Conjunction(("cross-entropy", "gaps", "decays"))),
        ),
    )
