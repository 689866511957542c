"""One layer on free features with cross-entropy: neural collapse is a global minimum at its positive critical scale.

At neural collapse of a critical scale the gradient of cross-entropy in the logits is G = -lam n^(-1/2) S Y, with
S = I - 1 1^T / K. Cross-entropy is convex in the logits: it is at least its value there plus tr(G^T (W H - Z)). With
the decay added, that bound of the objective is least at neural collapse, where it is the objective itself.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import CompletedSquare, Conjunction, NormZero, Square, Star
from .proof.statement import AllOf, Equal, Minimum
from .statistics import random_matrix
from .symbols import frobenius_squared, n, ones

lam = sp.Symbol("lambda", positive=True)
omega = sp.Symbol("omega", positive=True)  # n^(-1/2)
s = sp.Symbol("s", positive=True)
d = sp.Symbol("d", integer=True, positive=True)
S = sp.Identity(K) - ones(K) * ones(K).T / K
W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, K * n)
Q, Y = sp.MatrixSymbol("Q", d, K), sp.MatrixSymbol("Y", K, K * n)
LEMMA = "convexity of log-sum-exp"
SQUARES = (
    Square(lam / 2, W - omega * S * Y * H.T),
    Square(lam / 2, H - omega**2 * H * Y.T * S * Y),
)


def _bound(weights: Any, features: Any) -> sp.Expr:
    """tr(G^T W H) and the decay terms."""
    decays = lam / 2 * (frobenius_squared(weights) + frobenius_squared(features))
    return decays - lam * omega * sp.Trace(Y.T * S * weights * features)


def statement() -> AllOf:
    """The bound is least at W = s Q^T and H = s n^(-1/2) Q Y, logits s^2 n^(-1/2) S Y, for every s."""
    point = (s * Q.T, s * omega * Q * Y)
    return AllOf((Minimum(_bound(W, H), (W, H), point, sp.S.Zero), Equal(point[0] * point[1], s**2 * omega * S * Y)))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        classes, size = rng.randint(2, 3), rng.randint(1, 2)
        width = classes + rng.randint(0, 1)
        simplex = sp.eye(classes) - sp.ones(classes, classes) / classes
        values: dict[Any, Any] = {K: classes, n: size**2, omega: sp.Rational(1, size), d: width}
        values |= dict(zip((lam, s), half_integers(rng, 2), strict=True))
        values |= {Q: rows_of(orthonormal(rng, width, classes) * simplex)}
        values |= {W: random_matrix(rng, classes, width), H: random_matrix(rng, width, classes * size**2)}
        return values | {Y: rows_of(sp.Matrix.hstack(*[sp.eye(classes)] * size**2))}

    hypotheses = (
        Hypothesis("root of n", Equal(n * omega**2, sp.S.One), "omega = n^(-1/2)"),
        Hypothesis("labels", Equal(Y * Y.T, n * sp.Identity(K)), "n samples a class"),
        Hypothesis("isometry", Equal(Q.T * Q, S), "isometric on the range of S"),
    )
    return Setting(parameters, hypotheses, sample)


def collapse_is_optimal(where: Setting) -> Derivation:
    minimum, logits = statement().parts
    squares = sp.Add(*(square.weight * frobenius_squared(square.factor) for square in SQUARES))
    image = Q * ones(K)
    return Derivation(
        "One layer: neural collapse is a global minimum",
        where,
        (
            Step("length of Q 1", Equal(frobenius_squared(image), sp.S.Zero), "It is 1^T S 1.", Star(("isometry",))),
            Step(
                "Q 1",
                Equal(image, sp.ZeroMatrix(d, 1)),
                "A vector of length zero.",
                NormZero("length of Q 1", (Square(1, image),)),
            ),
            Step(
                "squares",
                Equal(_bound(W, H), squares),
                "Complete the square; Y^T S Y / n is a projection.",
                Star(("labels", "root of n")),
            ),
            Step("minimum", minimum, "Both squares vanish there.", CompletedSquare("squares", SQUARES)),
            Step("logits", logits, "Q^T Q = S.", Star(("isometry",))),
            Step("together", statement(), "The parts.", Conjunction(("minimum", "logits"))),
        ),
    )
