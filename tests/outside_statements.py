"""Statements of linear algebra and of deep-learning theory that no paper of the package makes, as a claims file.

What their authors must write is the measure: `tests/test_own_claims.py` compares the verdicts with ``recorded``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from tightframe.papers.draft import (
    AllOf,
    Draft,
    Equal,
    GradientIs,
    I,
    Identity,
    Invertible,
    Minimum,
    Nonnegative,
    Positive,
    PositiveSemidefinite,
    inverse,
    norm_squared,
    ones,
    rules,
    step,
    trace,
)

PAPER = Draft("outside", "Statements from elsewhere", authors="Many Authors", year=2026)
n, d, k, r = (PAPER.integer(name) for name in "ndkr")
lam = PAPER.real("lambda", above=0, says="ridge")
X, Y, W = PAPER.matrix("X", d, n), PAPER.matrix("Y", k, n), PAPER.matrix("W", k, d)
A = PAPER.matrix("A", n, n)
U, V, S = PAPER.matrix("U", n, r), PAPER.matrix("V", r, n), PAPER.matrix("S", r, r)
u, v = PAPER.vector("u", n), PAPER.vector("v", n)

# Guttman 1946; Woodbury 1950
PAPER.claim(
    "woodbury",
    "The inverse of a matrix after an update of rank r",
    Equal(
        inverse(A + U * S * V), inverse(A) - inverse(A) * U * inverse(inverse(S) + V * inverse(A) * U) * V * inverse(A)
    ),
    given={
        "A": Invertible(A),
        "S": Invertible(S),
        "small": Invertible(inverse(S) + V * inverse(A) * U),
        "sum": Invertible(A + U * S * V),
    },
    recorded="proved",
)

# Sherman & Morrison 1950
updated = inverse(A) * (1 + trace(v.T * inverse(A) * u)) - inverse(A) * u * v.T * inverse(A)
Z = PAPER.matrix("Z", n, n)
PAPER.claim(
    "sherman-morrison",
    "The inverse of a matrix after an update of rank one",
    Equal(inverse(A + u * v.T) * (1 + trace(v.T * inverse(A) * u)), updated),
    given={"A": Invertible(A), "sum": Invertible(A + u * v.T)},
    steps=[
        step("Z", Equal(Z, updated), rules.Let(), "A name for the right side."),
        step(
            "product",
            Equal((A + u * v.T) * updated, (1 + trace(v.T * inverse(A) * u)) * I(n)),
            because="u (v^T A^(-1) u) v^T is a multiple of u v^T.",
        ),
        step("named", Equal((A + u * v.T) * Z, (1 + trace(v.T * inverse(A) * u)) * I(n))),
        step("solved", Equal(inverse(A + u * v.T) * (1 + trace(v.T * inverse(A) * u)), Z), rules.Star(("named",))),
    ],
    recorded="proved",
)

# Kernel ridge regression: the value of the minimum in the Gram matrix of the samples
ridge = norm_squared(W * X - Y) + lam * norm_squared(W)
best = Y * X.T * inverse(X * X.T + lam * I(d))
least = lam * trace(Y * inverse(X.T * X + lam * I(n)) * Y.T)
PAPER.claim(
    "kernel-ridge",
    "The least ridge loss, in the kernel matrix",
    Minimum(ridge, (W,), (best,), least, unique=True),
    steps=[
        step(
            "push through",
            Equal(inverse(X * X.T + lam * I(d)) * X, X * inverse(X.T * X + lam * I(n))),
        ),
        step(
            "square",
            Equal(ridge, least + trace((W - best) * (X * X.T + lam * I(d)) * (W - best).T)),
            because="Complete the square.",
        ),
        step(
            "minimum",
            Minimum(ridge, (W,), (best,), least, unique=True),
            rules.CompletedSquare("square", (rules.Square(1, W - best, "invertible 1"),)),
        ),
    ],
    recorded="proved",
)

# The bias of a linear model is that of the means
b = PAPER.vector("b", k)
centring = I(n) - ones(n) * ones(n).T / n
PAPER.claim(
    "bias-elimination",
    "At the best bias the loss is that of centred data",
    Minimum(
        norm_squared(W * X + b * ones(n).T - Y),
        (b,),
        ((Y - W * X) * ones(n) / n,),
        norm_squared((W * X - Y) * centring),
    ),
    steps=[
        step(
            "square",
            Equal(
                norm_squared(W * X + b * ones(n).T - Y),
                norm_squared((W * X - Y) * centring) + n * norm_squared(b - (Y - W * X) * ones(n) / n),
            ),
        ),
        step(
            "minimum",
            Minimum(
                norm_squared(W * X + b * ones(n).T - Y),
                (b,),
                ((Y - W * X) * ones(n) / n,),
                norm_squared((W * X - Y) * centring),
            ),
            rules.CompletedSquare("square", (rules.Square(n, b - (Y - W * X) * ones(n) / n),)),
        ),
    ],
    recorded="proved",
)

# Gauss-Newton: of a linear model the Hessian of the squared error is X X^T, and nothing is left out
D = PAPER.matrix("D", k, d)
error = norm_squared(W * X - Y) / 2
PAPER.claim(
    "gauss-newton",
    "The gradient of the squared error, its change along D, and that the Gauss-Newton matrix is psd",
    AllOf(
        (
            GradientIs(error, W, (W * X - Y) * X.T),
            Equal(((W + D) * X - Y) * X.T - (W * X - Y) * X.T, D * X * X.T),
            PositiveSemidefinite(X * X.T),
        )
    ),
    steps=[step("Gram", PositiveSemidefinite(X * X.T), rules.Gram((rules.Square(1, X),)))],
    recorded="proved",
)

# Böhning 1992: the Hessian of log-sum-exp
p = PAPER.vector("p", n)
probabilities = DiagMatrix(p)


def distribution(rng: random.Random, values: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Positive numbers of sum one, exactly."""
    weights = [rng.randint(1, 5) for _ in range(values[n])]
    return {p: [[Fraction(weight, sum(weights))] for weight in weights]}


PAPER.claim(
    "softmax-hessian",
    "The Hessian of log-sum-exp, diag(p) - p p^T, is psd",
    PositiveSemidefinite(probabilities - p * p.T),
    given={
        "probabilities": PositiveSemidefinite(probabilities),
        "total": Equal(trace(ones(n).T * p), sp.S.One),
        "diagonal": Equal(probabilities * ones(n), p),
    },
    examples=distribution,
    steps=[
        step(
            "variance",
            Equal(
                (I(n) - p * ones(n).T) * probabilities * (I(n) - p * ones(n).T).T,
                probabilities - p * p.T,
            ),
            because="The quadratic form is the variance of a vector under p.",
        ),
        step(
            "Gram",
            PositiveSemidefinite((I(n) - p * ones(n).T) * probabilities * (I(n) - p * ones(n).T).T),
            rules.Gram((rules.Square(1, I(n) - p * ones(n).T, "probabilities"),)),
        ),
        step("psd", PositiveSemidefinite(probabilities - p * p.T), rules.Rewrite("Gram", "variance")),
    ],
    recorded="proved",
)

# Jacot, Gabriel & Hongler 2018, for two linear layers: how gradient flow moves the outputs
W1, W2 = PAPER.matrix("W_1", r, d), PAPER.matrix("W_2", k, r)
residuals = W2 * W1 * X - Y
G1, G2 = W2.T * residuals * X.T, residuals * X.T * W1.T
PAPER.claim(
    "tangent-kernel",
    "The tangent kernel of two linear layers",
    AllOf(
        (
            GradientIs(norm_squared(residuals) / 2, W1, G1),
            GradientIs(norm_squared(residuals) / 2, W2, G2),
            Equal(G2 * W1 * X + W2 * G1 * X, residuals * (X.T * W1.T * W1 * X) + W2 * W2.T * residuals * (X.T * X)),
        )
    ),
    recorded="proved",
)

# Cauchy's interlacing, for the least eigenvalue: a compression has none below m if the matrix has none
m = PAPER.real("m")
P = PAPER.matrix("P", n, n, symmetric=True)
Q = PAPER.matrix("Q", n, r, orthonormal=True)
PAPER.claim(
    "compression",
    "Q^T P Q has no eigenvalue below m if P has none, for orthonormal Q",
    PositiveSemidefinite(Q.T * P * Q - m * I(r)),
    given={"bound": PositiveSemidefinite(P - m * I(n))},
    steps=[
        step("compressed", Equal(Q.T * (P - m * I(n)) * Q, Q.T * P * Q - m * I(r))),
        step(
            "Gram",
            PositiveSemidefinite(Q.T * (P - m * I(n)) * Q),
            rules.Gram((rules.Square(1, Q.T, "bound"),)),
        ),
        step("psd", PositiveSemidefinite(Q.T * P * Q - m * I(r)), rules.Rewrite("Gram", "compressed")),
    ],
    recorded="proved",
)

# The gradient of log-sum-exp is the softmax
x, y = PAPER.real("x"), PAPER.real("y")
PAPER.claim(
    "logsumexp-gradient",
    "The derivative of log(e^x + e^y) in x is e^x / (e^x + e^y)",
    Identity(sp.Derivative(sp.log(sp.exp(x) + sp.exp(y)), x), sp.exp(x) / (sp.exp(x) + sp.exp(y)), x),
    recorded="proved",
)

# The slope of the logistic function, with q = e^x
q = PAPER.real("q", above=0, says="e^x")
PAPER.claim(
    "logistic-slope",
    "The logistic function has a slope of at most 1/4",
    Nonnegative(sp.Rational(1, 4) - q / (1 + q) ** 2),
    recorded="proved",
)

# Hu et al. 2021: the factors of a low-rank update are not determined
B, C = PAPER.matrix("B", k, r), PAPER.matrix("C", r, d)
G, H = PAPER.matrix("G", r, r), PAPER.matrix("H", r, r)
PAPER.claim(
    "lora-gauge",
    "A low-rank update is the same for all factors B G and H C with G H = I",
    Equal(W + (B * G) * (H * C), W + B * C),
    given={"change of basis": Equal(G * H, I(r))},
    recorded="proved",
)

# Arora, Li & Lyu 2018: a function of the direction alone has its gradient across; here Rayleigh's quotient
w = PAPER.vector("w", n)
quotient = trace(w.T * P * w) / trace(w.T * w)
gradient = 2 * (P * w - quotient * w) / trace(w.T * w)
PAPER.claim(
    "scale-invariance",
    "The gradient of a function that does not see the scale of w is orthogonal to w",
    AllOf((GradientIs(quotient, w, gradient), Equal(trace(w.T * gradient), sp.S.Zero))),
    given={"not zero": Positive(trace(w.T * w))},
    recorded="proved",
)

# The descent lemma, for a quadratic function
L, eta = PAPER.real("L", above=0), PAPER.real("eta", above=0)
slope = P * w
PAPER.claim(
    "descent-lemma",
    "A gradient step lowers a quadratic function of curvature at most L by eta (1 - eta L / 2) |gradient|^2",
    Nonnegative(
        trace(w.T * P * w) / 2
        - trace((w - eta * slope).T * P * (w - eta * slope)) / 2
        - eta * (1 - eta * L / 2) * norm_squared(slope)
    ),
    given={"curvature": PositiveSemidefinite(L * I(n) - P)},
    steps=[
        step(
            "square",
            Equal(
                eta**2 / 2 * trace(slope.T * (L * I(n) - P) * slope),
                trace(w.T * P * w) / 2
                - trace((w - eta * slope).T * P * (w - eta * slope)) / 2
                - eta * (1 - eta * L / 2) * norm_squared(slope),
            ),
        ),
        step(
            "Gram",
            Nonnegative(eta**2 / 2 * trace(slope.T * (L * I(n) - P) * slope)),
            rules.Gram((rules.Square(eta**2 / 2, slope.T, "curvature"),)),
        ),
        step(
            "bound",
            Nonnegative(
                trace(w.T * P * w) / 2
                - trace((w - eta * slope).T * P * (w - eta * slope)) / 2
                - eta * (1 - eta * L / 2) * norm_squared(slope)
            ),
            rules.Rewrite("Gram", "square"),
        ),
    ],
    recorded="proved",
)

# ---- slips that are often made
PAPER.claim(
    "trace-of-a-product",
    "The trace of a product is the product of the traces (false)",
    Equal(trace(A * P), trace(A) * trace(P)),
    recorded="refuted",
)
PAPER.claim(
    "ridge-without-a-transpose",
    "The push-through identity with the wrong Gram matrix (false)",
    Equal(inverse(A.T * A + lam * I(n)) * A.T, A.T * inverse(A.T * A + lam * I(n))),
    recorded="refuted",
)
PAPER.claim(
    "woodbury-with-a-plus",
    "Woodbury's identity with a wrong sign (false)",
    Equal(inverse(A + u * u.T), inverse(A) + inverse(A) * u * u.T * inverse(A)),
    given={"A": Invertible(A), "sum": Invertible(A + u * u.T)},
    recorded="refuted",
)
