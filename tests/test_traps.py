"""The trap corpus: false statements that look right in this field, each with the verdict that it must get.

A trap goes the way of a claim: a setting, a derivation with the reason that one would give, the refuter. A refuted one
leaves an exact witness, which the checker evaluates again from its JSON. Beside most traps stands the truth, in the
same setting, which must be proved: a prover that refuses everything would pass the first half of these tests.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from theorems import QUICK, SIZES, draws, m, n, rows
from tightframe.papers import verification
from tightframe.papers.claim import Claim
from tightframe.papers.domain import Domain, Parameter
from tightframe.papers.evidence import Kind, Verdict, verdict_of
from tightframe.papers.han2022 import growth as collapsed_means
from tightframe.papers.han2022 import least_squares as han2022
from tightframe.papers.han2022 import renormalised_flow as flows
from tightframe.theory import collapse, frames, growth, least_squares
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import exact_inverse, head
from tightframe.theory.proof.refuter import true_in
from tightframe.theory.proof.rules import (
    ByFirstIntegral,
    CompletedSquare,
    Differentiate,
    Gram,
    Justification,
    Monotone,
    NormZero,
    Proving,
    Reparametrise,
    Shift,
    Square,
    Star,
)
from tightframe.theory.proof.statement import (
    Equal,
    EqualInfima,
    GradientIs,
    Increasing,
    Invertible,
    Minimum,
    Nonnegative,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
    Statement,
)
from tightframe.theory.proof.translation import Untranslatable
from tightframe.theory.renormalised_flow import transposed, unprojected_velocity
from tightframe.theory.statistics import random_matrix, sample_balanced
from tightframe.theory.symbols import C, N, frobenius_squared, integers, lam, ones, ones_row, p, quadratic, reals
from tightframe.theory.symbols import n as samples

Sample = Callable[[random.Random], Mapping[Any, Any]]
tr, half = sp.Trace, sp.Rational(1, 2)


@dataclass(frozen=True)
class Trap:
    """A false statement; ``why`` says why it looks right and why it is false. ``truth`` is what holds instead."""

    says: Statement
    where: Setting
    why: str
    by: Justification = field(default_factory=Star)
    before: tuple[Step, ...] = ()
    verdict: Verdict = Verdict.REFUTED
    truth: Statement | None = None
    truth_by: Justification | None = None  # where it is another than that of the trap

    def derivation(self) -> Derivation:
        return Derivation("trap", self.where, (*self.before, Step("goal", self.says, self.why, self.by)))

    def true_derivation(self) -> Derivation:
        assert self.truth is not None
        goal = Step("goal", self.truth, "what holds instead", self.truth_by or self.by)
        return Derivation("truth", self.where, (*self.before, goal))

    def claim(self) -> Claim:
        domain = Domain(
            tuple(Parameter(symbol, bounds, symbol.name) for symbol, bounds in self.where.parameters.items())
        )
        return Claim("tightframe/trap", "a trap", Kind.IDENTITY, self.says, self.where, domain, self.derivation)


def given(sample: Sample, symmetric: tuple[sp.MatrixSymbol, ...] = (), **hypotheses: Statement) -> Setting:
    """Matrices of the sizes n and m."""
    return with_parameters(SIZES, sample, symmetric, **hypotheses)


def with_parameters(
    parameters: Mapping[sp.Symbol, checker.Range],
    sample: Sample,
    symmetric: tuple[sp.MatrixSymbol, ...] = (),
    **hypotheses: Statement,
) -> Setting:
    named = (Hypothesis(name.replace("_", " "), statement, name) for name, statement in hypotheses.items())
    return Setting(parameters, tuple(named), sample, symmetric)


def fixed(*values: tuple[sp.MatrixSymbol, list[list[int]]]) -> Sample:
    """One example with n = 2."""
    exact = {symbol: [[Fraction(x) for x in row] for row in value] for symbol, value in values}
    return lambda rng: {n: 2, m: 2, **exact}


# ---------------------------------------------------------------------------------------------------- linear algebra

I = sp.Identity(n)
A, B, X = (sp.MatrixSymbol(name, n, m) for name in "ABX")
D, E = (sp.MatrixSymbol(name, m, n) for name in "DE")
Q, R, T, G = (sp.MatrixSymbol(name, n, n) for name in "QRTG")
S, P = (sp.MatrixSymbol(name, n, n) for name in "SP")
u, v = (sp.MatrixSymbol(name, n, 1) for name in "uv")
ANY = given(draws(A, B, D, E, Q, R, T, S, P, u, v), (S, P))
INVERTIBLE = given(draws(Q, R), Q=Invertible(Q), R=Invertible(R), sum=Invertible(Q + R))


def definite(rng: random.Random) -> Mapping[Any, Any]:
    """S positive definite, A and T at random."""
    x, y = Fraction(rng.randint(1, 3)), Fraction(rng.randint(-2, 2))
    return {**draws(A, T)(rng), S: [[x, x * y], [x * y, x * y * y + 2]]}


def loss(classifier: Any, features: Any) -> Any:
    return frobenius_squared(classifier * features - Q)


def midpoint_gap(one: tuple[Any, Any], other: tuple[Any, Any]) -> Any:
    """Nonnegative if the loss is convex along the segment."""
    middle = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
    return (loss(*one) + loss(*other)) / 2 - loss(*middle)


def signed(rng: random.Random) -> Mapping[Any, Any]:
    """Two minima, Q = A D = (-A)(-D), with the saddle 0 between them."""
    values = dict(draws(A, D)(rng))
    negated = {other: [[-x for x in row] for row in values[one]] for one, other in ((A, B), (D, E))}
    return {**values, **negated, Q: checker.matrix_product(values[A], values[D])}


def woodbury(sign: int) -> Equal:
    inner = sp.Identity(m) + A.T * S.inv() * A
    return Equal((S + A * A.T).inv(), S.inv() + sign * S.inv() * A * inner.inv() * A.T * S.inv())


WOODBURY = given(
    definite,
    (S,),
    S=Invertible(S),
    sum=Invertible(S + A * A.T),
    inner=Invertible(sp.Identity(m) + A.T * S.inv() * A),
)
RANK_ONE = given(draws(u, v), sum=Invertible(I + u * v.T), inner=Positive(1 + tr(v.T * u)))
PUSH = given(draws(Q, R), left=Invertible(I + Q * R), right=Invertible(I + R * Q))
FIRST_TWO_PENROSE = given(
    fixed((Q, [[1, 0], [0, 0]]), (G, [[1, 1], [1, 1]])), inner=Equal(Q * G * Q, Q), outer=Equal(G * Q * G, G)
)
ORDERED = given(
    fixed((S, [[2, 1], [1, 1]]), (P, [[1, 0], [0, 0]]), (T, [[1, 2], [0, 1]])),
    (S, P),
    order=PositiveSemidefinite(S - P),
    P=PositiveSemidefinite(P),
)
TWO_PSD = given(
    fixed((S, [[1, 1], [1, 1]]), (P, [[2, 0], [0, 1]])), (S, P), S=PositiveSemidefinite(S), P=PositiveSemidefinite(P)
)
IDEMPOTENT = given(fixed((Q, [[1, 1], [0, 0]])), idempotent=Equal(Q * Q, Q))
TRACELESS = given(fixed((Q, [[1, 0], [0, -1]])), traceless=Equal(tr(Q), 0))
ISOMETRY = given(
    lambda rng: {n: 4, m: 2, A: frames.random_orthogonal(rng, 4, 2, Fraction(1))},
    orthonormal=Equal(A.T * A, sp.Identity(m)),
)
SAME_GRAM = given(fixed((A, [[1, 2], [0, 1]]), (B, [[0, 1], [1, 2]])), same=Equal(A.T * A, B.T * B))

LINEAR_ALGEBRA = {
    "trace of a product": Trap(
        Equal(tr(Q * R), tr(Q) * tr(R)),
        ANY,
        "det does this; tr does not",
        truth=Equal(tr(Q * R), tr(R * Q)),
    ),
    "square of a trace": Trap(
        Equal(tr(S) ** 2, tr(S * S)), ANY, "true of rank one only: the sum of eigenvalues against that of their squares"
    ),
    "any order under a trace": Trap(
        Equal(tr(Q * R * T), tr(R * Q * T)),
        ANY,
        "the trace is invariant under turning the word, not under every permutation",
        truth=Equal(tr(Q * R * T), tr(T * Q * R)),
    ),
    "inverse of a sum": Trap(
        Equal((Q + R).inv(), Q.inv() + R.inv()),
        INVERTIBLE,
        "inversion is not additive",
        truth=Equal(Q.inv() + R.inv(), sp.MatMul(Q.inv(), Q + R, R.inv())),
    ),
    "inverse of a product": Trap(
        Equal((Q * R).inv(), sp.MatMul(Q.inv(), R.inv())),
        given(draws(Q, R), Q=Invertible(Q), R=Invertible(R), product=Invertible(sp.MatMul(Q, R))),
        "the order turns round",
    ),
    "norm of a product": Trap(
        Equal(frobenius_squared(A * D), frobenius_squared(A) * frobenius_squared(D)),
        ANY,
        "the Frobenius norm is submultiplicative only; equality holds for rank one",
        truth=Equal(frobenius_squared(u * v.T), frobenius_squared(u) * frobenius_squared(v)),
    ),
    "symmetric matrices commute": Trap(
        Equal(S * P, P * S),
        ANY,
        "each is diagonal in some basis, but not in the same one",
        truth=Equal((S * P).T, P * S),
    ),
    "W W^T = W^T W": Trap(
        Equal(Q * Q.T, Q.T * Q),
        ANY,
        "both have the same eigenvalues, only normal matrices the same eigenvectors",
        truth=Equal(tr(Q * Q.T * Q * Q.T), tr(Q.T * Q * Q.T * Q)),
    ),
    "product of psd matrices": Trap(
        PositiveSemidefinite(S * P),
        TWO_PSD,
        "its eigenvalues are nonnegative, but it is not symmetric",
        Gram((Square(1, S, "P"),)),
        truth=PositiveSemidefinite(S * P * S),
    ),
    "the square is monotone": Trap(
        PositiveSemidefinite(S * S - P * P),
        ORDERED,
        "true of numbers and of commuting matrices, not in the Loewner order",
        Gram((Square(1, T, "order"),)),
        truth=PositiveSemidefinite(T * S * T.T - T * P * T.T),
    ),
    "Woodbury with a plus": Trap(
        woodbury(1), WOODBURY, "A A^T makes the inverse smaller, so the correction is subtracted", truth=woodbury(-1)
    ),
    "Sherman-Morrison with a minus below": Trap(
        Equal((I + u * v.T).inv(), I - u * v.T / (1 - tr(v.T * u))),
        RANK_ONE,
        "the sign in front is not repeated in the denominator",
        truth=Equal((1 + tr(v.T * u)) * (I + u * v.T).inv() * u, u),
    ),
    "push-through on the wrong side": Trap(
        Equal((I + Q * R).inv() * Q, Q * (I + Q * R).inv()),
        PUSH,
        "the product turns round when Q passes",
        truth=Equal((I + Q * R).inv() * Q, Q * (I + R * Q).inv()),
    ),
    "two of Penrose's equations": Trap(
        Equal((Q * G).T, Q * G),
        FIRST_TWO_PENROSE,
        "Q G Q = Q and G Q G = G leave many G: the symmetry of Q G has to be asked for",
        truth=Equal(Q * G * Q * G, Q * G),
    ),
    "pseudo-inverse of a product": Trap(
        Equal(Q * R * T * G * Q * R, Q * R),
        given(
            lambda rng: {
                **fixed((Q, [[1, 0], [0, 0]]), (G, [[1, 0], [0, 0]]), (R, [[1, 0], [1, 0]]))(rng),
                T: [[half, half], [0, 0]],
            },
            **{f"Q{i}": says for i, says in enumerate(collapse.penrose(Q, G))},
            **{f"R{i}": says for i, says in enumerate(collapse.penrose(R, T))},
        ),
        "(Q R)^+ = R^+ Q^+ holds for inverses, not for pseudo-inverses",
        truth=Equal(R * T * R * T, (R * T).T),
    ),
    "idempotent means projection": Trap(
        Equal(Q.T, Q), IDEMPOTENT, "it may be oblique", truth=Equal((I - Q) * (I - Q), I - Q)
    ),
    "isometry means orthogonal": Trap(
        Equal(A * A.T, I),
        ISOMETRY,
        "A^T A = I gives A A^T = I for square A only",
        truth=Equal(A * A.T * A * A.T, A * A.T),
    ),
    "a Gram matrix determines its frame": Trap(
        Equal(A, B),
        SAME_GRAM,
        "only up to an orthogonal map",
        truth=Equal(frobenius_squared(A), frobenius_squared(B)),
    ),
    "trace zero means zero": Trap(
        Equal(Q, sp.ZeroMatrix(n, n)),
        TRACELESS,
        "the trace of Q Q^T would have to vanish, not that of Q",
        NormZero("traceless", (Square(1, Q),)),
    ),
    "the loss is convex in both factors": Trap(
        Nonnegative(midpoint_gap((A, D), (B, E))),
        given(signed),
        "it is convex in each factor alone, not in both: the product is bilinear",
        Gram((Square(sp.Rational(1, 4), A * D - B * E),)),
        truth=Nonnegative(midpoint_gap((A, D), (B, D))),
        truth_by=Gram((Square(sp.Rational(1, 4), A * D - B * D),)),
    ),
    "the norms of two factors": Trap(
        Equal(frobenius_squared(A) + frobenius_squared(B), 2 * tr(A * B.T)),
        ANY,
        "equality in the inequality of means holds for A = B only",
        truth=Equal(frobenius_squared(A) + frobenius_squared(B), 2 * tr(A * B.T) + frobenius_squared(A - B)),
    ),
    "a semi-definite matrix plus lambda I": Trap(
        PositiveDefinite(A * A.T + lam * I),
        with_parameters(
            {**SIZES, lam: reals(0)},
            lambda rng: {n: 2, m: 1, lam: 0, A: rows(rng, 2, 1)},
        ),
        "weight decay may be zero, and the features may not span",
        Shift("gram", lam),
        (Step("gram", PositiveSemidefinite(A * A.T), "a square", Gram((Square(1, A),))),),
        truth=PositiveDefinite(A * A.T + (lam + 1) * I),
        truth_by=Shift("gram", lam + 1),
    ),
}

GRADIENTS = {
    "gradient of a quadratic form": Trap(
        GradientIs(quadratic(Q, R), Q, 2 * Q * R),
        ANY,
        "2 Q R is right for symmetric R only",
        Differentiate(),
        truth=GradientIs(quadratic(Q, R), Q, Q * (R + R.T)),
    ),
    "gradient of weight decay": Trap(
        GradientIs(frobenius_squared(A), A, A),
        ANY,
        "without the 1/2 in front the 2 stays",
        Differentiate(),
        truth=GradientIs(frobenius_squared(A) / 2, A, A),
    ),
    "gradient with the wrong sign": Trap(
        GradientIs(frobenius_squared(A * D - Q), A, 2 * (Q - A * D) * D.T),
        ANY,
        "errors are predictions minus targets; the other way round it is the direction of descent",
        Differentiate(),
        truth=GradientIs(frobenius_squared(A * D - Q), A, 2 * (A * D - Q) * D.T),
    ),
    "gradient through an inverse": Trap(
        GradientIs(tr(Q.inv() * R), Q, sp.MatMul(-1, Q.inv(), R, Q.inv())),
        given(draws(Q, R), Q=Invertible(Q)),
        "the differential is -tr(Q^{-1} dQ Q^{-1} R), so the gradient is its transpose",
        Differentiate(),
        truth=GradientIs(tr(Q.inv() * R), Q, sp.MatMul(-1, sp.Transpose(Q.inv()), R.T, sp.Transpose(Q.inv()))),
    ),
    "gradient of a squared trace": Trap(
        GradientIs(tr(Q) ** 2, Q, 2 * Q),
        ANY,
        "(tr Q)^2 is not tr Q^2",
        Differentiate(),
        truth=GradientIs(tr(Q) ** 2, Q, 2 * tr(Q) * I),
    ),
}


# ------------------------------------------------------------------------------- critical points of two linear layers

lam1, lam2 = (sp.Symbol(name, positive=True) for name in ("lambda_1", "lambda_2"))
W1, W2, slope = (sp.MatrixSymbol(name, n, n) for name in ("W_1", "W_2", "F"))
W, H, Y = sp.MatrixSymbol("W", n, n), sp.MatrixSymbol("H", n, m), sp.MatrixSymbol("Y", n, m)


def critical(rng: random.Random) -> Mapping[Any, Any]:
    """W_2 = 2 U diag(s), W_1 = diag(s) V^T and F = -2 U V^T, with lambda_1 = 4 lambda_2."""
    turn = [[Fraction(3, 5), Fraction(-4, 5)], [Fraction(4, 5), Fraction(3, 5)]]
    s = [Fraction(rng.randint(1, 2)), Fraction(rng.randint(3, 4))]
    return {
        n: 2,
        m: 2,
        lam1: 4,
        lam2: 1,
        W2: [[2 * x * y for x, y in zip(row, s, strict=True)] for row in turn],
        W1: [[s[0], 0], [0, s[1]]],
        slope: [[-2 * x for x in row] for row in turn],
    }


CRITICAL = with_parameters(
    {**SIZES, lam1: reals(0, open=True), lam2: reals(0, open=True)},
    critical,
    stationary_in_W_1=Equal(W2.T * slope + lam1 * W1, sp.ZeroMatrix(n, n)),
    stationary_in_W_2=Equal(slope * W1.T + lam2 * W2, sp.ZeroMatrix(n, n)),
)


def ridge(decay: Any) -> Equal:
    return Equal(H, (W.T * W + decay * I).inv() * W.T * Y)


def ridge_sample(rng: random.Random) -> Mapping[Any, Any]:
    """H = (W^T W + m lambda I)^{-1} W^T Y with m = 3 samples."""
    w, y = rows(rng, 2, 2), rows(rng, 2, 3)
    gram = checker.matrix_product(transposed(w), w)
    inverse = exact_inverse([[x + 3 * int(i == j) for j, x in enumerate(row)] for i, row in enumerate(gram)])
    assert inverse is not None
    h = checker.matrix_product(inverse, checker.matrix_product(transposed(w), y))
    return {n: 2, m: 3, lam: 1, W: w, Y: y, H: h}


RIDGE = with_parameters(
    {**SIZES, lam: reals(0, open=True)},
    ridge_sample,
    stationary=Equal(W.T * (W * H - Y) / m + lam * H, sp.ZeroMatrix(n, m)),
    metric=Invertible(W.T * W + m * lam * I),
    without_m=Invertible(W.T * W + lam * I),
)

CRITICAL_POINTS = {
    "balancedness on the outer sides": Trap(
        Equal(lam2 * W2 * W2.T, lam1 * W1.T * W1),
        CRITICAL,
        "the layers meet where W_2^T W_2 and W_1 W_1^T have their common size; outside they need not agree",
        truth=Equal(lam2 * W2.T * W2, lam1 * W1 * W1.T),
    ),
    "balancedness without decays": Trap(
        Equal(W2.T * W2, W1 * W1.T),
        CRITICAL,
        "true for equal decays only",
        truth=Equal(lam2 * frobenius_squared(W2), lam1 * frobenius_squared(W1)),
    ),
    "balancedness with decays exchanged": Trap(
        Equal(lam1 * W2.T * W2, lam2 * W1 * W1.T),
        CRITICAL,
        "each layer carries its own decay",
        truth=Equal(lam2 * W2.T * W2 * W2.T, lam1 * W1 * W1.T * W2.T),
    ),
    "ridge features without the number of samples": Trap(
        ridge(lam), RIDGE, "the loss is an average, the decay is not: it counts m times", truth=ridge(m * lam)
    ),
}


# ------------------------------------------------------------------------------------------------------------- frames

ETF, OF, GOF = frames.simplex_etf(), frames.orthogonal_frame(), frames.general_orthogonal_frame()
SIMPLEX, ORTHOGONAL = frames.setting(ETF), frames.setting(OF)
CENTRED = frames.centring()
SIZE = Setting({C: integers(2)}, (), lambda rng: {C: rng.randint(2, 5)})
Rot, F = frames.rotation(), frames.free_columns()
q = frames.q


def gram_of(frame: frames.Frame) -> Any:
    return frame.columns.T * frame.columns


def uniform(diagonal: Any, off: Any) -> Any:
    """The C x C matrix with these entries on and off the diagonal."""
    return (diagonal - off) * sp.Identity(C) + off * ones(C) * ones_row(C)


def wide_rotation(rng: random.Random) -> Mapping[Any, Any]:
    """R with orthonormal rows: two of an orthogonal 4 x 4 matrix."""
    moved = frames.random_orthogonal(rng, 4, 4, Fraction(1))[:2]
    return {C: 3, p: 4, q: 2, F: random_matrix(rng, 4, 3), Rot: moved}


ROWS = Setting(
    {C: integers(2), p: integers(1), q: integers(1)},
    (Hypothesis("orthonormal rows", Equal(Rot * Rot.T, sp.Identity(q)), "R has orthonormal rows"),),
    wide_rotation,
)

FRAMES = {
    "I - 11^T/(C-1) is a projection": Trap(
        Equal(
            (sp.Identity(C) - ones(C) * ones_row(C) / (C - 1)) ** 2, sp.Identity(C) - ones(C) * ones_row(C) / (C - 1)
        ),
        SIZE,
        "C - 1 belongs to the cosine; the mean of C columns divides by C",
        truth=Equal(CENTRED * CENTRED, CENTRED),
    ),
    "the rank of the centring is C": Trap(
        Equal(tr(CENTRED), C), SIZE, "it loses the direction of the mean", truth=Equal(tr(CENTRED), C - 1)
    ),
    "cosine -1/C": Trap(
        Equal(gram_of(ETF), uniform(1, -1 / C)),
        SIMPLEX,
        "C unit vectors that sum to zero have inner products -1/(C-1): the other C - 1 add up to -1",
        truth=Equal(gram_of(ETF), uniform(1, -1 / (C - 1))),
    ),
    "simplex Gram matrix with C/(C-1) on the diagonal": Trap(
        Equal(gram_of(ETF), uniform(C / (C - 1), -1 / (C - 1))),
        SIMPLEX,
        "C/(C-1) I - 11^T/(C-1) has C/(C-1) - 1/(C-1) = 1 on the diagonal",
        truth=Equal(gram_of(ETF), C / (C - 1) * sp.Identity(C) - ones(C) * ones_row(C) / (C - 1)),
    ),
    "simplex Gram matrix without C/(C-1)": Trap(
        Equal(gram_of(ETF), CENTRED),
        SIMPLEX,
        "I - 11^T/C has (C-1)/C on the diagonal, unit columns have 1",
        truth=Equal((C - 1) * gram_of(ETF), C * CENTRED),
    ),
    "a simplex ETF is orthogonal": Trap(
        Equal(gram_of(ETF), sp.Identity(C)),
        SIMPLEX,
        "equiangular, and nearly orthogonal for many classes, but never quite",
        truth=Equal(frobenius_squared(ETF.columns), C),
    ),
    "a simplex ETF is tight with bound 1": Trap(
        Equal(ETF.operator * ETF.operator, ETF.operator),
        SIMPLEX,
        "F F^T is C/(C-1) times a projection",
        truth=Equal(ETF.operator * ETF.operator, C / (C - 1) * ETF.operator),
    ),
    "a simplex ETF is tight in the whole space": Trap(
        Equal(ETF.operator, C / (C - 1) * sp.Identity(p)),
        SIMPLEX,
        "tight in the span of its columns, of dimension C - 1",
    ),
    "the columns of an orthogonal frame sum to zero": Trap(
        Equal(OF.columns * ones(C), sp.ZeroMatrix(p, 1)),
        ORTHOGONAL,
        "only those of a simplex ETF do",
        truth=Equal(frobenius_squared(OF.columns * ones(C)), C),
    ),
    "Gram matrix of a general orthogonal frame": Trap(
        Equal(gram_of(GOF), DiagMatrix(frames.lengths())),
        frames.setting(GOF),
        "lengths, not their squares",
        truth=Equal(gram_of(GOF), DiagMatrix(frames.lengths()) ** 2),
    ),
    "orthonormal rows keep a Gram matrix": Trap(
        Equal((Rot * F).T * Rot * F, F.T * F),
        ROWS,
        "R R^T = I projects; R^T R = I keeps lengths and angles",
        truth=Equal(Rot.T * Rot * Rot.T * Rot * F, Rot.T * Rot * F),
    ),
}


# ----------------------------------------------------------------------------- least squares: classes of equal sizes

problem = least_squares.extended()
data = problem.data
LEAST_SQUARES = least_squares.setting(
    problem,
    {**han2022.COVARIANCE_DOMAIN.ranges, lam: reals(0, open=True)},
    (*data.hypotheses, least_squares.well_posed(problem)),
)
free, eye, means = problem.classifier, sp.Identity(problem.dimension), data.class_means
unregularised = Setting(
    LEAST_SQUARES.parameters,
    (*data.hypotheses, Hypothesis("full rank", Invertible(problem.gram), "the second moment is invertible")),
    LEAST_SQUARES.sample,
)
split = least_squares.decomposition(problem, LEAST_SQUARES).steps


def minimum_at(classifier: Any, unique: bool = True) -> Minimum:
    return Minimum(problem.loss(free), (free,), (classifier,), problem.loss(classifier), unique)


def optimal(front: Any, metric: Any) -> Minimum:
    return minimum_at(front * metric.inv())


def classifier_trap(says: Minimum, why: str, where: Setting = LEAST_SQUARES) -> Trap:
    square = Square(half, free - problem.optimal_classifier, "metric is positive definite")
    return Trap(says, where, why, CompletedSquare("split", (square,)), split)


BETWEEN_BY_SAMPLES = data.centred_means * data.centred_means.T / N
LEAST_SQUARES_TRAPS = {
    "the classifier without lambda": classifier_trap(
        optimal(means.T / C, problem.gram), "right without weight decay", unregularised
    ),
    "the classifier with N lambda": classifier_trap(
        optimal(means.T / C, problem.gram + N * lam * eye), "right if the loss is a sum over a class, not an average"
    ),
    "the classifier with 2 lambda": classifier_trap(
        optimal(means.T / C, problem.gram + 2 * lam * eye), "right if the decay is not halved but the error is"
    ),
    "the classifier with 1/N": classifier_trap(
        optimal(means.T / N, problem.metric), "N = samples per class and C = classes exchanged"
    ),
    "the classifier with 1/(C N)": classifier_trap(
        optimal(means.T / (C * N), problem.metric), "the average over samples is already in the class means"
    ),
    "the classifier without the global mean": classifier_trap(
        optimal(means.T / C, data.total_covariance + lam * eye),
        "right for centred features; the second moment is Sigma_T + mu mu^T",
    ),
    "the classifier of centred class means": classifier_trap(
        optimal(data.centred_means.T / C, problem.metric), "right with a free bias; here the bias is a column of W"
    ),
    "the classifier is the class means": classifier_trap(
        minimum_at(means.T / C), "self-duality holds in the collapsed limit, up to scale"
    ),
    "the classifier with the within-class covariance": classifier_trap(
        optimal(means.T / C, data.within_covariance + lam * eye),
        "the metric of linear discriminant analysis; least squares has the total second moment",
    ),
    "the loss split with 1/(2N)": Trap(
        Equal(
            problem.loss(free), problem.within_loss(free) + frobenius_squared(free * means - sp.Identity(C)) / (2 * N)
        ),
        LEAST_SQUARES,
        "the average over class means divides by the number of classes",
        truth=Equal(
            problem.loss(free), problem.within_loss(free) + frobenius_squared(free * means - sp.Identity(C)) / (2 * C)
        ),
    ),
    "the loss split without the halves": Trap(
        Equal(problem.loss(free), quadratic(free, data.within_covariance + lam * eye) + 2 * problem.means_loss(free)),
        LEAST_SQUARES,
        "1/2 Ave and (lambda/2) both carry the half",
        truth=Equal(
            2 * problem.loss(free), quadratic(free, data.within_covariance + lam * eye) + 2 * problem.means_loss(free)
        ),
    ),
    "the decay twice in the split": Trap(
        Equal(
            problem.loss(free), problem.within_loss(free) + problem.means_loss(free) + lam * frobenius_squared(free) / 2
        ),
        LEAST_SQUARES,
        "it sits in the NC1 part already",
        truth=Equal(
            problem.loss(free) + lam * frobenius_squared(free) / 2,
            problem.within_loss(free) + problem.means_loss(free) + lam * frobenius_squared(free) / 2,
        ),
    ),
    "between-class covariance averaged over samples": Trap(
        Equal(data.total_covariance, data.within_covariance + BETWEEN_BY_SAMPLES),
        LEAST_SQUARES,
        "it is the average over classes: 1/C",
        truth=Equal(data.total_covariance, data.within_covariance + data.centred_means * data.centred_means.T / C),
    ),
    "class means divided by C": Trap(
        Equal(data.features * data.one_hot.T / C, means),
        LEAST_SQUARES,
        "a class has N samples",
        truth=Equal(data.features * data.one_hot.T / N, means),
    ),
    "averaging within classes changes nothing": Trap(
        Equal(data.one_hot.T * data.one_hot, N * sp.Identity(C * N)),
        LEAST_SQUARES,
        "Y Y^T = N I, while Y^T Y / N is the projection on what is constant within classes",
        truth=Equal(data.one_hot * data.one_hot.T, N * sp.Identity(C)),
    ),
    "the second moment is the covariance": Trap(
        Equal(data.features * data.features.T / (C * N), data.total_covariance),
        LEAST_SQUARES,
        "only for features of mean zero",
        truth=Equal(data.features * data.features.T / (C * N), problem.gram),
    ),
}

# ------------------------------------------------------------------------------------------- classes of unequal sizes

unequal = least_squares.extended(equal_sizes=False)
sizes = unequal.data
UNEQUAL = least_squares.setting(
    unequal, {C: integers(2), samples: integers(2), p: integers(1), lam: reals(0, open=True)}, sizes.hypotheses
)
UNWEIGHTED = sizes.centred_means * sizes.centred_means.T / C

UNEQUAL_SIZES = {
    "unweighted between-class covariance": Trap(
        Equal(sizes.total_covariance, sizes.within_covariance + UNWEIGHTED),
        UNEQUAL,
        "right for equal sizes; else classes count by their sizes",
        truth=Equal(sizes.total_covariance, sizes.within_covariance + sizes.between_covariance),
    ),
    "the global mean is the mean of class means": Trap(
        Equal(sizes.class_means * ones(C) / C, sizes.global_mean),
        UNEQUAL,
        "right for equal sizes; else it is the weighted mean",
        truth=Equal(sizes.class_means * sizes.sizes * ones(C) / samples, sizes.global_mean),
    ),
    "centred labels lose C - 1 for n": Trap(
        Equal(
            sizes.one_hot * (sp.Identity(samples) - ones(samples) * ones_row(samples) / samples) * sizes.one_hot.T,
            sizes.sizes * CENTRED,
        ),
        UNEQUAL,
        "right for equal sizes; else diag(n) - n n^T / N",
        truth=Equal(
            sizes.one_hot * (sp.Identity(samples) - ones(samples) * ones_row(samples) / samples) * sizes.one_hot.T,
            sizes.sizes - sizes.sizes * ones(C) * ones_row(C) * sizes.sizes / samples,
        ),
    ),
    "the normal equations unweighted": Trap(
        Equal(sizes.one_hot * sizes.features.T / samples, sizes.class_means.T / C),
        UNEQUAL,
        "right for equal sizes; else Delta / n stands for 1/C",
        truth=Equal(sizes.one_hot * sizes.features.T / samples, sizes.sizes * sizes.class_means.T / samples),
    ),
    "the class-mean loss unweighted": Trap(
        Equal(
            unequal.loss(unequal.classifier),
            unequal.within_loss(unequal.classifier)
            + frobenius_squared(unequal.classifier * sizes.class_means - sp.Identity(C)) / (2 * C),
        ),
        UNEQUAL,
        "right for equal sizes",
        truth=Equal(
            unequal.loss(unequal.classifier),
            unequal.within_loss(unequal.classifier) + unequal.means_loss(unequal.classifier),
        ),
    ),
}


# ---------------------------------------------------------------------------- collapse, invariance, softmax, scalars

plain = least_squares.AffineChange(han2022.change.data)
weights, bias, linear, shift = plain.symbols
plain_data = plain.data


def collapsed(rng: random.Random) -> Mapping[Any, Any]:
    """All samples of a class at its mean, in dimension 1."""
    values = {**sample_balanced(rng, extended=False), p: 2}
    centres = random_matrix(rng, 2, values[C])
    return {**values, plain_data.features: checker.matrix_product(centres, values[plain_data.one_hot])}


COLLAPSED = Setting(
    han2022.COVARIANCE_DOMAIN.ranges,
    (
        *plain_data.hypotheses,
        Hypothesis("NC1", Equal(plain_data.within_covariance, sp.ZeroMatrix(p, p)), "features have collapsed"),
    ),
    collapsed,
)


def decayed(inputs: Any) -> Any:
    """The loss with weight decay, as a function of W and b."""
    return plain.loss(inputs) + lam * frobenius_squared(weights) / 2


def affine(decay: bool, singular: bool) -> Setting:
    def sample(rng: random.Random) -> Mapping[Any, Any]:
        values = {**han2022.affine_setting.sample(rng), lam: 1}
        dim = int(values[p])
        flat = [[Fraction(0)] * dim for _ in range(dim)]
        stretch = [[Fraction(3 * int(i == j)) for j in range(dim)] for i in range(dim)]
        return {**values, linear: flat if singular else stretch}

    ranges = {**han2022.PLAIN.ranges, **({lam: reals(0, open=True)} if decay else {})}
    known = () if singular else (least_squares.invertible_map(plain),)
    return Setting(ranges, (*plain_data.hypotheses, *known), sample)


REPARAMETRISE = Reparametrise(
    forward=((weights, weights * linear), (bias, weights * shift + bias)),
    backward=((weights, weights * linear.inv()), (bias, bias - weights * linear.inv() * shift)),
)
changed = plain.changed_features

probabilities = sp.MatrixSymbol("p", n, 1)
covariance = DiagMatrix(probabilities) - probabilities * probabilities.T


def distribution(rng: random.Random) -> Mapping[Any, Any]:
    counts = [Fraction(rng.randint(1, 4)) for _ in range(3)]
    return {n: 3, probabilities: [[x / sum(counts)] for x in counts]}


SOFTMAX = with_parameters(
    {n: integers(1)},
    distribution,
    total=Equal(tr(ones_row(n) * probabilities), 1),
    diagonal=Equal(DiagMatrix(probabilities) * ones(n), probabilities),
    weights=PositiveSemidefinite(DiagMatrix(probabilities)),
)

x, b = (sp.Symbol(name, positive=True) for name in "xb")
TWO_LAYERS = 1 / (1 + x**2) + b * x


def scalars(values: list[tuple[str, str]], **hypotheses: Statement) -> Setting:
    """x, b > 0 from a list of examples."""
    drawn = [{x: Fraction(one), b: Fraction(other)} for one, other in values]
    positive = {x: reals(0, open=True), b: reals(0, open=True)}
    return with_parameters(positive, lambda rng: rng.choice(drawn), **hypotheses)


# 2 x = b (1 + x^2)^2 at x = 3/4, beyond the inflection point: a local minimum, of value 1.1008 against g(0) = 1
LARGER_ROOT = scalars(
    [("3/4", "384/625")],
    stationary=Equal(b * (1 + x**2) ** 2, 2 * x),
    larger=Nonnegative(3 * x**2 - 1),
)
a = sp.Symbol("a", positive=True)


def scale(rng: random.Random) -> Mapping[Any, Any]:
    classes, length = rng.randint(2, 4), Fraction(rng.randint(1, 3), 4)
    return {C: classes, a: length, lam: (1 - length**2) / classes}


BIAS_FREE = with_parameters(
    {C: integers(2), a: reals(0, open=True), lam: reals(0, open=True)}, scale, stationary=Equal(a**2, 1 - C * lam)
)


def model_loss(frame: Any, offset: Any = sp.S.Zero) -> Any:
    """||W H + b 1^T - I||_F^2 / (2 C) + lambda/2 (||W||^2 + ||H||^2) at W = H = a F for symmetric F, b = offset 1."""
    errors = a**2 * frame * frame + offset * ones(C) * ones_row(C) - sp.Identity(C)
    return frobenius_squared(errors) / (2 * C) + lam * a**2 * frobenius_squared(frame)


def bias_gradient(frame: Any) -> Any:
    """The gradient in the bias at b = 1/C."""
    return (a**2 * frame * frame + ones(C) * ones_row(C) / C - sp.Identity(C)) * ones(C) / C


MODELS = {
    "collapsed features form a simplex ETF": Trap(
        Equal(
            (C - 1) * plain_data.centred_means.T * plain_data.centred_means,
            frobenius_squared(plain_data.centred_means) * CENTRED,
        ),
        COLLAPSED,
        "NC1 says nothing about the singular values of Sigma_B; that they are equal is NC2",
        truth=Equal(plain_data.total_covariance, plain_data.between_covariance),
    ),
    "the within-class covariance is invertible": Trap(
        PositiveDefinite(plain_data.within_covariance),
        COLLAPSED,
        "generic features with many samples have it; collapsed ones do not",
        Gram((Square(1 / (C * N), plain_data.features - plain_data.class_means * plain_data.one_hot),)),
        truth=PositiveSemidefinite(plain_data.within_covariance),
    ),
    "affine invariance with weight decay": Trap(
        EqualInfima(decayed(changed), (weights, bias), decayed(plain_data.features), (weights, bias)),
        affine(decay=True, singular=False),
        "W A has another norm than W",
        REPARAMETRISE,
        truth=plain.statement,
    ),
    "invariance under singular maps": Trap(
        plain.statement,
        affine(decay=False, singular=True),
        "a singular map loses features, and classifiers with them",
        REPARAMETRISE,
        truth=Equal(changed * ones(C * N) / (C * N), linear * plain_data.global_mean + shift),
        truth_by=Star(),
    ),
    "the softmax Hessian is pp^T - diag(p)": Trap(
        PositiveSemidefinite(-covariance),
        SOFTMAX,
        "cross-entropy is convex in the logits: the covariance of the labels has the other sign",
        Gram((Square(1, probabilities),)),
        truth=PositiveSemidefinite(DiagMatrix(probabilities) + probabilities * probabilities.T),
        truth_by=Gram((Square(1, I, "weights"), Square(1, probabilities))),
    ),
    "the softmax Hessian is definite": Trap(
        PositiveDefinite(covariance),
        SOFTMAX,
        "shifting all logits changes nothing, so the vector of ones is in the kernel",
        Shift("weights", sp.S.One),
    ),
    "the softmax Hessian is diag(p) + pp^T": Trap(
        Equal((DiagMatrix(probabilities) + probabilities * probabilities.T) * ones(n), sp.ZeroMatrix(n, 1)),
        SOFTMAX,
        "d p_i / d z_j = p_i (delta_ij - p_j)",
        truth=Equal(covariance * ones(n), sp.ZeroMatrix(n, 1)),
    ),
    "the larger root is the minimum": Trap(
        Nonnegative(1 - TWO_LAYERS),
        LARGER_ROOT,
        "it is a local minimum; above the threshold zero is better",
        Gram((Square(1, sp.Identity(1)),)),
        truth=Equal((1 + x**2) * x**2 - b * x * (1 + x**2) ** 2, x**2 * (x**2 - 1)),
        truth_by=Star(),
    ),
    "the threshold is where the larger root appears": Trap(
        Nonnegative(1 - TWO_LAYERS),
        scalars([("3/4", "3/5")], below=Nonnegative(sp.Rational(13, 20) - b)),
        "roots exist up to b = 0.6495, zero is the minimum from b = 1/2 on",
        Gram((Square(1, sp.Identity(1)),)),
    ),
    "the threshold with M - 1 for M": Trap(
        Nonnegative(TWO_LAYERS - 1),
        scalars([("1/2", "9/20"), ("1", "9/20"), ("3/2", "9/20")], threshold=Nonnegative(b - sp.Rational(9, 20))),
        "beta_2 = 1/2: at b = 9/20 the value at x = 1 is 19/20",
        Gram((Square(b, sp.Identity(1)),)),
    ),
    "the simplex ETF is the optimum without bias": Trap(
        Nonnegative(model_loss(sp.Identity(C)) - model_loss(CENTRED)),
        BIAS_FREE,
        "the mean of the labels has to be fitted as well: without bias an orthogonal frame is better",
        Gram((Square(a**4 / (2 * C), sp.Identity(1)),)),
        truth=Equal(model_loss(CENTRED) - model_loss(sp.Identity(C)), a**4 / (2 * C)),
        truth_by=Star(),
    ),
    "the orthogonal frame is critical with a bias": Trap(
        Equal(bias_gradient(sp.Identity(C)), sp.ZeroMatrix(C, 1)),
        BIAS_FREE,
        "the bias 1/C takes over the mean, and the frame has to give it up",
        truth=Equal(bias_gradient(CENTRED), sp.ZeroMatrix(C, 1)),
    ),
}


# ------------------------------------------------------------------------------ the central path: SNR matrix and flow

snr = han2022.snr
j = sp.Symbol("j", integer=True)


def best_loss(first: Any, last: Any = C - 2) -> Minimum:
    """The claim that the least loss is 1/2 sum_j 1/(first + w_j^2)."""
    value = sp.Sum(1 / (first + snr.values[j, 0] ** 2), (j, 0, last)) / 2
    return Minimum(plain.loss(plain_data.features), (weights, bias), (snr.optimal_weights, snr.optimal_bias), value)


flow, whitened = flows.flow, flows.whitened
diagonal, resolvent, left, right = DiagMatrix(snr.values), snr.resolvent, snr.left, snr.right
gradient = flow.gradient(flow.features)
between, spread = left * diagonal**2 * left.T / C, collapse.pseudo_inverse(flow)
common = sp.Symbol("s", positive=True)


def equal_values(rng: random.Random) -> Mapping[Any, Any]:
    classes, value = rng.randint(2, 5), Fraction(rng.randint(1, 5), 2)
    return {C: classes, common: value, snr.values: [[value]] * (classes - 1)}


EQUAL_VALUES = with_parameters(
    {C: integers(2), common: reals(0, open=True)},
    equal_values,
    equal=Equal(diagonal, common * sp.Identity(C - 1)),
)


def moving(power: int, factor: Any) -> Any:
    return left * diagonal * resolvent**power * right.T * flow.snr.data.one_hot * factor


def velocity(power: int, factor: Any) -> Equal:
    """The velocity of the features along the projected flow."""
    return Equal(-1 * flow.projection(gradient), moving(power, factor))


def snr_velocity(power: int, factor: Any) -> Equal:
    """The velocity of the SNR matrix along unprojected steps with renormalisation."""
    return Equal(unprojected_velocity(flow), left * diagonal * resolvent**power * right.T * factor)


def tangent_without_symmetry(velocity_: Any) -> Any:
    """G - G R^T R / (C N): tangent too, but not the nearest."""
    residuals = whitened.residuals
    return velocity_ - velocity_ * residuals.T * residuals / (C * N)


def remainder(projected: Any) -> Any:
    """The inner product of G - Proj(G) with a tangent direction."""
    return tr((whitened.velocity - projected) * whitened.direction.T)


OTHER_PROJECTION = tangent_without_symmetry(whitened.velocity)
whole = whitened.velocity - 2 * whitened.multiplier(whitened.velocity) * whitened.residuals

CENTRAL_PATH = {
    "the least loss with N for C": Trap(
        best_loss(N),
        han2022.path_setting,
        "C comes from Sigma_T = I + diag(w)^2 / C; the number of samples does not enter",
        CompletedSquare("sum of squares", ()),
    ),
    "the least loss with C - 1 for C": Trap(
        best_loss(C - 1),
        han2022.path_setting,
        "C - 1 singular values, but the averages divide by C",
        CompletedSquare("sum of squares", ()),
    ),
    "C equal singular values": Trap(
        Equal(tr(diagonal**2), C * common**2),
        EQUAL_VALUES,
        "centred class means have rank C - 1: one direction is lost",
        truth=Equal(tr(diagonal**2), (C - 1) * common**2),
    ),
    "whitening once": Trap(
        Equal(snr.root * plain_data.within_covariance, sp.Identity(p)),
        han2022.path_setting,
        "T is Sigma_W^{-1/2}, not Sigma_W^{-1}",
        truth=Equal(snr.root * plain_data.within_covariance * snr.root, sp.Identity(p)),
        truth_by=Star(("whitening",)),
    ),
    "the SNR matrix squared is the whitened between-class covariance": Trap(
        Equal(tr(snr.root * plain_data.between_covariance * snr.root), tr(diagonal**2)),
        han2022.path_setting,
        "Sigma_B is an average: 1/C is missing",
    ),
    "the pseudo-inverse of Sigma_B inverts it": Trap(
        Equal(between * spread, sp.Identity(p)),
        collapsed_means.collapse_setting,
        "Sigma_B has rank C - 1: the product is the projection on the span of the class means",
        truth=Equal(between * spread, left * left.T),
        truth_by=Star(("left vectors",)),
    ),
    "NC1 without 1/C": Trap(
        Equal(tr(spread), tr(diagonal.inv() * diagonal.inv())),
        collapsed_means.collapse_setting,
        "Sigma_B = Mbar Mbar^T / C has the pseudo-inverse C U diag(w)^{-2} U^T",
        truth=Equal(tr(spread) / C, tr(diagonal.inv() * diagonal.inv())),
        truth_by=Star(("left vectors",)),
    ),
    "class means are a simplex ETF on the whole path": Trap(
        Equal(
            (C - 1) * flow.means.T * flow.means,
            frobenius_squared(flow.means) * CENTRED,
        ),
        flows.flow_setting,
        "the singular values become equal in the limit only",
        truth=Equal(flow.means.T * flow.means, right * diagonal**2 * right.T),
        truth_by=Star(("left vectors",)),
    ),
    "the projected flow moves like the unprojected one": Trap(
        velocity(1, 1 / (C * N)),
        flows.flow_setting,
        "renormalising does not make up for the projection: another ordinary differential equation",
    ),
    "the unprojected flow moves like the projected one": Trap(
        snr_velocity(2, 1 / N),
        flows.flow_setting,
        "the part normal to whitened features shrinks Sigma_W, and so moves the SNR matrix",
    ),
    "the multiplier not halved": Trap(
        Equal(whitened.derivative_of_covariance(whole), sp.ZeroMatrix(p, p)),
        flows.tangent_setting,
        "both terms of G R^T + R G^T change: without the half the reflection is taken, not the projection",
        truth=Equal(whitened.derivative_of_covariance(whole), -whitened.derivative_of_covariance(whitened.velocity)),
        truth_by=Star(("white", "one-hot rows")),
    ),
    "the multiplier not symmetric": Trap(
        Equal(remainder(OTHER_PROJECTION), 0),
        flows.tangent_setting,
        "the result is tangent, but tangent turns of the residuals are removed with it",
        truth=Equal(whitened.derivative_of_covariance(OTHER_PROJECTION), sp.ZeroMatrix(p, p)),
        truth_by=Star(("white", "one-hot rows")),
    ),
}


# ------------------------------------------------------------------------------------------ singular values in time

w, v0 = growth.w, growth.v
here, other = growth.central_path(), growth.unprojected()
MOTION = growth.setting({C: integers(2), N: integers(2), w: reals(0, open=True)})
PAIR = Setting(
    {**MOTION.parameters, v0: reals(0, open=True)},
    (Hypothesis("order", Nonnegative(w - v0), "w is the larger one"),),
    lambda rng: {C: rng.randint(2, 6), N: rng.randint(2, 9), v0: half, w: sp.S.One},
)


def integrates(integral: Any, rate: Any) -> Equal:
    """Phi'(w) rate(w) = 1."""
    return Equal(sp.diff(integral, w) * rate, 1)


def motion_trap(says: Statement, why: str, truth: Statement) -> Trap:
    return Trap(says, MOTION, why, ByFirstIntegral(), truth=truth)


SINGULAR_VALUES = {
    "the first integral with N/2": Trap(
        integrates(C**2 * N * sp.log(w) + C * N * w**2 + N * w**4 / 2, here.rate),
        MOTION,
        "the square (C + w^2)^2 / w integrates to w^4/4",
        truth=integrates(here.integral, here.rate),
    ),
    "the first integral with C N log w": Trap(
        integrates(C * N * sp.log(w) + C * N * w**2 + N * w**4 / 4, here.rate),
        MOTION,
        "the constant term of (C + w^2)^2 is C^2",
    ),
    "the first integral with half the middle term": Trap(
        integrates(C**2 * N * sp.log(w) + C * N * w**2 / 2 + N * w**4 / 4, here.rate),
        MOTION,
        "the cross term 2 C w integrates to C w^2",
    ),
    "the first integral without logarithm": Trap(
        integrates(C * N * w**2 + N * w**4 / 4, here.rate), MOTION, "the logarithm is dominated for large w only"
    ),
    "the first integral of the other flow": Trap(
        integrates(other.integral, here.rate),
        MOTION,
        "it belongs to unprojected steps",
        truth=integrates(other.integral, other.rate),
    ),
    "differences equalise": Trap(
        Nonnegative(here.rate.xreplace({w: v0}) - here.rate),
        PAIR,
        "the rate rises before it falls, so small values drift apart first; the ratio is what decreases",
        Gram((Square(1, sp.Identity(1)),)),
        truth=Increasing(w / here.rate, w),
        truth_by=Monotone(),
    ),
    "growth like the square root": motion_trap(
        replace(here.growth, coefficient=C * N, exponent=2), "that is the exponent of unprojected steps", here.growth
    ),
    "growth with the coefficient N": motion_trap(
        replace(here.growth, coefficient=N), "w^3 / N integrates to w^4 N / 4", here.growth
    ),
    "decay of the loss like 1/t": motion_trap(
        replace(here.decay(half / (C + w**2), 2, half, C - 1), power=4),
        "the loss is like w^{-2}, and w like t^{1/4}",
        here.decay(half / (C + w**2), 2, half, C - 1),
    ),
    "decay of the loss without its half": motion_trap(
        here.decay(half / (C + w**2), 2, sp.S.One, C - 1),
        "the half stays in the limit of w^2 / (2 (C + w^2))",
        here.decay(half / (C + w**2), 2, half, C - 1),
    ),
    "shares between the first powers of the ratio": motion_trap(
        here.shares(w**2, 1, C - 1), "squares differ like the squared ratio", here.shares(w**2, 2, C - 1)
    ),
}


# ------------------------------------------------------------------------------- hypotheses: dropped, contradictory


def half_critical(rng: random.Random) -> Mapping[Any, Any]:
    """Stationary in W_1 only."""
    outer, error = rows(rng, 2, 2), rows(rng, 2, 2)
    inner = [[-entry / 4 for entry in row] for row in checker.matrix_product(transposed(outer), error)]
    return {n: 2, m: 2, lam1: 4, lam2: 1, W2: outer, slope: error, W1: inner}


U = frames.partial_isometry()
ONE_LAYER = Setting(CRITICAL.parameters, CRITICAL.hypotheses[:1], half_critical)
NO_SUCH_FRAME = Setting(
    SIMPLEX.parameters,
    (
        frames.orthogonal_columns(sp.S.One),
        Hypothesis("centred", Equal(U * ones(C), sp.ZeroMatrix(p, 1)), "the columns sum to zero"),
    ),
    ORTHOGONAL.sample,
)
HYPOTHESES = {
    "balancedness from one layer": Trap(
        Equal(lam2 * W2.T * W2, lam1 * W1 * W1.T),
        ONE_LAYER,
        "it needs both gradients to vanish",
        truth=Equal(lam1 * W1 * W1.T, -W2.T * slope * W1.T),
    ),
    "an orthogonal frame that sums to zero": Trap(
        Equal(ones(C), sp.ZeroMatrix(C, 1)),
        NO_SUCH_FRAME,
        "from hypotheses that exclude each other everything follows: 1 = U^T U 1 = 0",
        verdict=Verdict.OPEN,
    ),
    "the only minimum of a semi-definite form": Trap(
        Minimum(quadratic(A.T, P), (A,), (sp.ZeroMatrix(n, m),), sp.S.Zero, unique=True),
        given(lambda rng: {**draws(A)(rng), P: [[1, 1], [1, 1]]}, (P,), P=PositiveSemidefinite(P)),
        "a minimum, but the kernel of P leaves more",
        CompletedSquare("form", (Square(1, A.T, "P"),)),
        (Step("form", Equal(quadratic(A.T, P), quadratic(A.T, P)), "the form itself", Star()),),
        verdict=Verdict.OPEN,
        truth=Minimum(quadratic(A.T, P), (A,), (sp.ZeroMatrix(n, m),), sp.S.Zero),
    ),
}

TRAPS = {
    **LINEAR_ALGEBRA,
    **GRADIENTS,
    **CRITICAL_POINTS,
    **FRAMES,
    **LEAST_SQUARES_TRAPS,
    **UNEQUAL_SIZES,
    **MODELS,
    **CENTRAL_PATH,
    **SINGULAR_VALUES,
    **HYPOTHESES,
}

# Statements whose sizes do not fit: they must not even be read. Some of them sympy refuses to write.
ILL_TYPED: dict[str, tuple[Setting, Callable[[], Statement], str]] = {
    "W W^T = W^T W of a rectangular W": (ANY, lambda: Equal(A * A.T, A.T * A), "n x n against m x m"),
    "push-through of a rectangular factor": (
        given(draws(A, D)),
        lambda: Equal((I + A * D).inv() * A, A * (I + A * D).inv()),
        "the inverse on the right has the other size",
    ),
    "a gradient that is transposed": (
        ANY,
        lambda: GradientIs(frobenius_squared(A * D - Q), A, 2 * D * (A * D - Q).T),
        "the gradient in A has the shape of A",
    ),
    "a minimiser that is transposed": (
        LEAST_SQUARES,
        lambda: Minimum(problem.loss(free), (free,), (problem.optimal_classifier.T,), problem.loss(free)),
        "classifiers are C x (p + 1) here, (p + 1) x C elsewhere",
    ),
    "a sum over C singular values": (
        han2022.path_setting,
        lambda: best_loss(C, C - 1),
        "there are C - 1 of them",
    ),
    "a trace of a rectangular matrix": (ANY, lambda: Equal(tr(A), 0), "only square matrices have one"),
    "the inverse of a rectangular matrix": (ANY, lambda: Equal(A.inv(), A.T), "a pseudo-inverse is meant"),
    "a semi-definite rectangular matrix": (ANY, lambda: PositiveSemidefinite(A), "features are not a Gram matrix"),
    "a definite rectangular matrix": (ANY, lambda: PositiveDefinite(A), "nor a metric"),
    "an invertible rectangular matrix": (ANY, lambda: Invertible(A), "full rank is meant"),
    "a number that is a matrix": (ANY, lambda: Equal(tr(Q), Q), "tr Q / n I is meant"),
    "samples per class where classes differ": (
        UNEQUAL,
        lambda: Equal(sizes.one_hot * sizes.one_hot.T, N * sp.Identity(C)),
        "N has no meaning there",
    ),
    "norms of vectors as products": (
        ANY,
        lambda: Nonnegative(u * u.T),
        "u u^T is a matrix, u^T u the squared length",
    ),
}


def reevaluated(setting: Setting, statement: Statement, witness: Mapping[str, Any]) -> tuple[bool, bool]:
    """(the hypotheses hold, the statement holds) in a witness, read from JSON as the checker reads a certificate."""
    translation, entries = setting.translation()
    document = head(translation, entries, translation.statement(statement))
    form = json.loads(json.dumps({**document, "model": witness}))
    algebra, reader = checker.declared(form)
    model = checker.read_model(form, reader)
    model.check_shapes(algebra)
    hypotheses = [reader.statement(entry["statement"]) for entry in form["hypotheses"]]
    goal = reader.statement(form["statement"])
    # the checker's `holds` is for free symbols alone
    bound = goal.kind in ("minimum", "equal-infima", "gradient") or goal.calculus is not None
    holds = true_in if bound else checker.holds
    return all(checker.holds(hypothesis, algebra, model) for hypothesis in hypotheses), holds(goal, algebra, model)


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_gets_its_verdict(name: str) -> None:
    trap = TRAPS[name]
    evidence, witness = verification.prove(trap.claim())
    assert verdict_of([evidence]) is trap.verdict, evidence
    if trap.verdict is Verdict.REFUTED:
        assert witness is not None
        assert reevaluated(trap.where, trap.says, witness) == (True, False)


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_not_proved_without_the_refuter_either(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search finds no certificate, or the checker rejects what it finds."""
    monkeypatch.setattr(Proving, "refute", lambda proving, goal: None)
    trap = TRAPS[name]
    quick = replace(trap, by=Star(limits=replace(QUICK, seconds=0.1))) if isinstance(trap.by, Star) else trap
    assert isinstance(quick.derivation().prove(), Failure)


@pytest.mark.parametrize("name", [name for name, trap in TRAPS.items() if trap.truth is not None])
def test_the_truth_beside_it_is_proved(name: str) -> None:
    proof = TRAPS[name].true_derivation().prove()
    assert isinstance(proof, Proof), proof


@pytest.mark.parametrize("name", ILL_TYPED)
def test_an_ill_typed_statement_is_not_read(name: str) -> None:
    where, statement, _ = ILL_TYPED[name]
    with pytest.raises((Untranslatable, checker.Malformed, sp.ShapeError, ValueError)) as caught:  # pyrefly: ignore[missing-attribute]
        where.normal_form(statement())
    assert "\n" not in str(caught.value)


def test_contradictory_hypotheses_prove_nothing() -> None:
    """The equation follows, and its certificate has no model; what is true all the same is not refuted either."""
    found = TRAPS["an orthogonal frame that sums to zero"].derivation().prove()
    assert isinstance(found, Failure)
    assert "the model does not satisfy hypothesis 'centred'" in found.reason
    assert found.witness is None


def test_the_corpus() -> None:
    """At least 40 traps, nearly all with an exact witness, most with the truth beside them; each says why."""
    verdicts = Counter(trap.verdict for trap in TRAPS.values())
    assert verdicts[Verdict.REFUTED] >= 40
    assert verdicts[Verdict.OPEN] <= 8
    assert set(verdicts) == {Verdict.REFUTED, Verdict.OPEN}
    truths = [trap for trap in TRAPS.values() if trap.truth is not None]
    assert 2 * len(truths) >= len(TRAPS)
    for trap in truths:
        assert trap.truth is not None
        assert trap.where.normal_form(trap.truth) != trap.where.normal_form(trap.says)
    reasons = [trap.why for trap in TRAPS.values()] + [why for _, _, why in ILL_TYPED.values()]
    assert all(reasons)
    assert len(set(reasons)) > 0.9 * len(reasons)
