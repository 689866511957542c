"""Two classes in deep linear models with cross-entropy: neural collapse of some scale is at least as good as any point.

With two classes the loss of a sample depends on its gap g alone, the right logit less the other one, as log(1 + e^-g).
Let alpha^2 be the mean of g^2 over all 2n samples. Then neural collapse of the scale alpha has

- no more cross-entropy: in g^2 the line that touches log(1 + e^-g) at g = alpha lies below it for every g, and at
  the mean of g^2 the line is log(1 + e^-alpha);
- no more decay: with e = (1, -1)^T the gaps are, up to signs, the row e^T Z, so that 2 n alpha^2 = ||e^T Z||^2 <=
  2 ||W_L||^2 ... ||W_1||^2 ||H_1||^2, and the sum of L + 1 squares is at least L + 1 times the root of their product.

Neither uses a lemma: of rank one, the Schatten reduction is Cauchy-Schwarz and the inequality of the means.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from .balance import half_integers, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Gram, MeanValue, Poly, Rewrite, Root, Square, Star, WeightedMeans
from .proof.statement import AllOf, Equal, Exceeds, Nonnegative
from .statistics import random_matrix
from .symbols import frobenius_squared, n

L = sp.Symbol("L", integer=True, positive=True)
a, b = sp.Symbol("a", integer=True, positive=True), sp.Symbol("b", integer=True, positive=True)
k = sp.Symbol("k", integer=True, positive=True)  # factors so far
S = sp.Symbol("S", positive=True)  # the sum of their squares
P = sp.Symbol("P", positive=True)  # the product of their squares
q = sp.Symbol("q", positive=True)  # ||u||^2
x = sp.Symbol("x", positive=True)  # ||A||^2
p = sp.Symbol("p", nonnegative=True)  # ||u A||^2
T = sp.Symbol("T", positive=True)  # the sum of all squares
rho = sp.Symbol("rho", positive=True)  # (n alpha^2)^(1/(L+1))
alpha = sp.Symbol("alpha", positive=True)
g = sp.Symbol("g", positive=True)
h = sp.Symbol("h", positive=True)
y = sp.Symbol("y", nonnegative=True)
u, A = sp.MatrixSymbol("u", 1, a), sp.MatrixSymbol("A", a, b)


# ---- cross-entropy
def loss(gap: Any) -> sp.Expr:
    """log(1 + e^-g)."""
    return sp.log(1 + sp.exp(gap)) - gap


def steepness(gap: Any) -> sp.Expr:
    """Minus the slope of the loss in g^2."""
    return 1 / (2 * gap * (1 + sp.exp(gap)))


def touching_line() -> tuple[Exceeds, Exceeds, Exceeds]:
    """It lies below the loss at larger gaps alpha + h, at smaller ones g, where alpha = g + h, and at -y <= 0."""
    touched = g + h
    return (
        Exceeds(loss(alpha + h) + steepness(alpha) * ((alpha + h) ** 2 - alpha**2), loss(alpha)),
        Exceeds(loss(g), loss(touched) + steepness(touched) * (touched**2 - g**2)),
        Exceeds(loss(y) + y + steepness(alpha) * y**2, loss(alpha) + steepness(alpha) * alpha**2),
    )


def _slope(of: Exceeds, variable: sp.Symbol, derivative: sp.Expr) -> Exceeds:
    return Exceeds(derivative, sp.S.Zero, of.domain)


def _touching_steps() -> tuple[Step, ...]:
    larger, smaller, negative = touching_line()
    power, end = sp.exp(alpha + h), g + h
    fall = (1 + (1 + end) * sp.exp(end)) / (2 * end**2 * (1 + sp.exp(end)) ** 2)  # of the steepness
    at_zero = Exceeds(sp.log(2), loss(alpha) + steepness(alpha) * alpha**2)
    unit = 1 / (alpha * (1 + sp.exp(alpha)))
    second = Exceeds(power / (1 + power) ** 2 + unit, sp.S.Zero)
    first = Exceeds((alpha + h) * unit, 1 / (1 + power))
    rising = Exceeds((1 + (1 + alpha) * sp.exp(alpha)) / (2 * (1 + sp.exp(alpha)) ** 2), sp.S.Zero)
    return (
        Step("larger: curvature", second, "Positive terms.", Box()),
        Step("larger: slope", first, "Zero at h = 0, and it grows with h.", MeanValue(h, "larger: curvature")),
        Step("larger gaps", larger, "Equal at h = 0.", MeanValue(h, "larger: slope")),
        Step(
            "smaller: slope",
            Exceeds((end**2 - g**2) * fall, sp.S.Zero),
            "alpha^2 - g^2 times what the steepness loses.",
            Box((2 * g * h + h**2) / (2 * end**2 * (1 + sp.exp(end)) ** 2)),
        ),
        Step("smaller gaps", smaller, "Equal at h = 0.", MeanValue(h, "smaller: slope")),
        Step("gap zero: slope", rising, "Positive terms.", Box()),
        Step("gap zero", at_zero, "Equal at alpha = 0.", MeanValue(alpha, "gap zero: slope")),
        Step("negative: slope", Exceeds(sp.exp(y) / (1 + sp.exp(y)) + y * unit, sp.S.Zero), "Positive terms.", Box()),
        Step("negative gaps", negative, "It holds at y = 0.", MeanValue(y, "negative: slope", "gap zero")),
    )


# ---- decay
def one_factor_more() -> tuple[Nonnegative, Nonnegative]:
    """||u A||^2 <= 2 P ||A||^2, as ||u||^2 <= 2 P; and (S + x)^(k+1) >= (k+1)^(k+1) P x, as S^k >= k^k P."""
    return Nonnegative(2 * P * x - p), Nonnegative((S + x) ** (k + 1) - (k + 1) ** (k + 1) * P * x)


def decays() -> Nonnegative:
    """All squares are at least those of neural collapse."""
    return Nonnegative(T - (L + 1) * rho)


HYPOTHESES = (
    Hypothesis("row", Equal(frobenius_squared(u), q), "u = e^T W_L ... W_(m+1), of the factors so far"),
    Hypothesis("factor", Equal(frobenius_squared(A), x), "A is the next one"),
    Hypothesis("longer row", Equal(frobenius_squared(u * A), p), "the factors so far and the next one"),
    Hypothesis("product", Nonnegative(2 * P - q), "||e||^2 = 2, so for the first factor too"),
    Hypothesis("sum", Nonnegative(S**k - k**k * P), "of the k factors so far"),
    Hypothesis("root", Equal(rho ** (L + 1), n * alpha**2), "rho = (n alpha^2)^(1/(L+1))"),
    Hypothesis(
        "all factors",
        Nonnegative(T ** (L + 1) - (L + 1) ** (L + 1) * n * alpha**2),
        "L + 1 factors, the last of them H_1: ||e^T Z||^2 = 2 n alpha^2",
    ),
)


def statement() -> AllOf:
    return AllOf((*touching_line(), *one_factor_more(), decays()))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    """In half of the exact examples the inequalities of the decays are equalities, which needs q = 2 where k > 1."""

    def sample(rng: random.Random) -> Values:
        tight, rows, count = rng.random() < 0.5, rng.randint(1, 3), rng.randint(1, 3)
        row = sp.Matrix([[rng.choice((-1, 1)) * rng.randint(1, 2) for _ in range(rows)]])
        factor = sp.Matrix(random_matrix(rng, rows, 2))
        if tight and count > 1:
            rows, row = 2, sp.Matrix([[1, rng.choice((-1, 1))]])
        if tight or not any(factor):
            factor = row.T * sp.ones(1, 2) / 2
        square, size, longer = (sum((entry**2 for entry in each), sp.S.Zero) for each in (row, factor, row * factor))
        product = square / 2 if tight else square
        so_far = count * product if tight else count * (1 + product)
        root, gap, step, below = half_integers(rng, 4)
        depth, size_root = rng.choice((1, 3)), rng.randint(1, 2)
        scale = root ** ((depth + 1) // 2) / size_root
        more = 0 if tight else step
        values: dict[Any, Any] = {a: rows, b: 2, k: count, S: so_far, P: product, q: square, x: size, p: longer}
        values |= {L: depth, n: size_root**2, rho: root, alpha: scale, T: (depth + 1) * root + more}
        values |= {g: gap, h: step, y: below, u: rows_of(row), A: rows_of(factor)}
        return values

    return Setting(parameters, HYPOTHESES, sample)


def collapse_is_optimal(where: Setting) -> Derivation:
    row, means = one_factor_more()
    apart = q * A - u.T * u * A
    square = frobenius_squared(apart) / q
    bound = Nonnegative(k**k * (S + x) ** (k + 1) - (k + 1) ** (k + 1) * S**k * x)
    powers = Nonnegative(T ** (L + 1) - ((L + 1) * rho) ** (L + 1))
    parts = ("larger gaps", "smaller gaps", "negative gaps", "row so far", "means", "decays")
    return Derivation(
        "Two classes: neural collapse of the mean squared gap is at least as good",
        where,
        (
            *_touching_steps(),
            Step("square", Nonnegative(square), "A sum of squares.", Gram((Square(1 / q, apart),))),
            Step(
                "its terms", Equal(square, q * x - p), "Of ||q A - u^T u A||^2.", Star(("row", "factor", "longer row"))
            ),
            Step("Cauchy-Schwarz", Nonnegative(q * x - p), "That sum.", Rewrite("square", "its terms")),
            Step("row so far", row, "||u||^2 is at most 2 P.", Poly(("product", "Cauchy-Schwarz"))),
            Step("two means", bound, "S/k, k times, and x, once.", WeightedMeans(((k, S), (1, x)))),
            Step("means", means, "S^k is at least k^k P.", Poly(("sum", "two means"))),
            Step("rooted", Equal(HYPOTHESES[-1].statement.scalar, powers.scalar), "Insert rho^(L+1).", Star(("root",))),
            Step("powers", powers, "The hypothesis says so.", Rewrite("all factors", "rooted")),
            Step("decays", decays(), "Take roots.", Root("powers", T, (L + 1) * rho, L + 1)),
            Step("together", statement(), "The parts.", Conjunction(parts)),
        ),
    )
