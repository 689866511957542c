"""The SNR matrix of balanced class data, and the least-squares loss as a function of its singular values.

Without weight decay, with Sigma_W invertible, let S = Sigma_W^{-1/2} Mbar be the SNR matrix (Mbar: class means minus
global mean) and w_1, ..., w_{C-1} its C - 1 largest singular values. Then (Han, Papyan & Donoho 2022)

    L_LS = 1/2 sum_j 1 / (C + w_j^2).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from .derivation import Derivation, Hypothesis, Setting, Step
from .least_squares import AffineChange
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import CompletedSquare, Gram, Let, Rewrite, Shift, Square, Star
from .proof.statement import Equal, Minimum, PositiveDefinite, PositiveSemidefinite
from .statistics import ClassData, Rows, balanced, random_matrix
from .symbols import C, N, frobenius_squared, ones, p, quadratic


@dataclass(frozen=True)
class SignalToNoise:
    """The SNR matrix of balanced class data in its singular value decomposition S = U diag(w) V^T."""

    data: ClassData

    @property
    def root(self) -> sp.MatrixSymbol:
        """T = Sigma_W^{-1/2}, symmetric."""
        return sp.MatrixSymbol("T", p, p)

    @property
    def values(self) -> sp.MatrixSymbol:
        """w, the C - 1 largest singular values, as a column."""
        return sp.MatrixSymbol(r"\mathbf{w}", C - 1, 1)

    @property
    def left(self) -> sp.MatrixSymbol:
        """U (p x C-1), orthonormal columns."""
        return sp.MatrixSymbol("U", p, C - 1)

    @property
    def right(self) -> sp.MatrixSymbol:
        """V (C x C-1), orthonormal columns."""
        return sp.MatrixSymbol("V", C, C - 1)

    @cached_property
    def resolvent(self) -> MatrixExpr:
        """(C I + diag(w)^2)^{-1}."""
        return (C * sp.Identity(C - 1) + DiagMatrix(self.values) ** 2).inv()

    @cached_property
    def loss(self) -> sp.Expr:
        """1/2 sum_j 1/(C + w_j^2)."""
        j = sp.Symbol("j", integer=True)
        return sp.Sum(1 / (C + self.values[j, 0] ** 2), (j, 0, C - 2)) / 2

    @cached_property
    def optimal_weights(self) -> MatrixExpr:
        """W_LS = V diag(w) (C I + diag(w)^2)^{-1} U^T Sigma_W^{-1/2}."""
        return self.right * DiagMatrix(self.values) * self.resolvent * self.left.T * self.root

    @cached_property
    def optimal_bias(self) -> MatrixExpr:
        """b_LS = 1/C - W_LS mu."""
        return ones(C) / C - self.optimal_weights * self.data.global_mean

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        root, left, right = self.root, self.left, self.right
        orthonormal, identity = "singular value decomposition", sp.Identity(C - 1)
        decomposition = left * DiagMatrix(self.values) * right.T
        return (
            *self.data.hypotheses,
            Hypothesis("spread within classes", PositiveDefinite(self.data.within_covariance), "Sigma_W is invertible"),
            Hypothesis(
                "whitening",
                Equal(root * self.data.within_covariance * root, sp.Identity(p)),
                "T = Sigma_W^{-1/2}",
                lemma="positive definite square root",
            ),
            Hypothesis(
                "SNR matrix",
                Equal(root * self.data.centred_means, decomposition),
                "the SNR matrix is U diag(w) V^T (p >= C - 1; it has rank at most C - 1)",
                lemma=orthonormal,
            ),
            Hypothesis("left vectors", Equal(left.T * left, identity), "U has orthonormal columns", lemma=orthonormal),
            Hypothesis(
                "right vectors", Equal(right.T * right, identity), "V has orthonormal columns", lemma=orthonormal
            ),
        )


def signal_to_noise() -> SignalToNoise:
    return SignalToNoise(balanced(sp.MatrixSymbol("H", p, C * N)))


def setting(
    snr: SignalToNoise,
    parameters: Mapping[sp.Symbol, Range],
    hypotheses: tuple[Hypothesis, ...],
    definitions: Mapping[Any, Any] | None = None,
) -> Setting:
    """Balanced class data with a singular value decomposition of its SNR matrix."""
    return Setting(parameters, hypotheses, sample, (snr.root,), definitions or {})


def sample(rng: random.Random, least: int = 0) -> Values:
    """An exact example with C = 4, N = 8 or 12, p = 3 or 4, in which every singular vector is rational.

    Within-class residuals are rows of a Hadamard matrix, V is the rest of another, U a signed permutation. The singular
    values are multiples of 1/2, from ``least``/2 on.
    """
    classes, per_class = 4, rng.choice((8, 12))  # never equal: C and N must not be confused
    dim = rng.choice((3, 4))
    half = Fraction(1, 2)
    right = [[half * x for x in row] for row in ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])]
    residuals = [row * (per_class // 4) for row in ([1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1])]
    # one more direction needs residuals that differ between classes: use their signs
    pattern = [[row[i] for k in range(classes) for i in range(per_class)] for row in residuals]
    if dim == 4:
        pattern.append([(1 if k % 2 else -1) * residuals[0][i] for k in range(classes) for i in range(per_class)])
    values = [[Fraction(rng.randint(least, 6), 2)] for _ in range(classes - 1)]
    order = rng.sample(range(dim), classes - 1)
    left = [[Fraction(rng.choice((1, -1)) if order[j] == i else 0) for j in range(classes - 1)] for i in range(dim)]
    scale = [Fraction(rng.randint(1, 4)) for _ in range(dim)]  # Sigma_W^{1/2} = diag(scale)
    mean = random_matrix(rng, dim, 1)
    means = [
        [
            scale[i] * sum((left[i][j] * values[j][0] * right[k][j] for j in range(classes - 1)), Fraction(0))
            for k in range(classes)
        ]
        for i in range(dim)
    ]
    features: Rows = [
        [scale[i] * pattern[i][s] + means[i][s // per_class] + mean[i][0] for s in range(classes * per_class)]
        for i in range(dim)
    ]
    snr = signal_to_noise()
    weights, bias, _, _ = AffineChange(snr.data).symbols
    return {
        C: classes,
        N: per_class,
        p: dim,
        snr.data.features: features,
        snr.data.one_hot: [
            [Fraction(int(s // per_class == k)) for s in range(classes * per_class)] for k in range(classes)
        ],
        snr.root: [[1 / scale[i] if i == j else Fraction(0) for j in range(dim)] for i in range(dim)],
        snr.values: values,
        snr.left: left,
        snr.right: right,
        weights: random_matrix(rng, classes, dim),
        bias: random_matrix(rng, classes, 1),
    }


def resolvent_steps(snr: SignalToNoise) -> tuple[Step, ...]:
    """C I + diag(w)^2 is positive definite, so its inverse exists."""
    diagonal = DiagMatrix(snr.values)
    return (
        Step(
            "squares of singular values",
            PositiveSemidefinite(diagonal * diagonal.T),
            "diag(w)^2 is a square.",
            Gram((Square(1, diagonal),)),
        ),
        Step(
            "resolvent",
            PositiveDefinite(C * sp.Identity(C - 1) + diagonal**2),
            "C > 0, so C I + diag(w)^2 is invertible.",
            Shift("squares of singular values", C),
        ),
    )


def loss_of_singular_values(snr: SignalToNoise, where: Setting) -> Derivation:
    """The minimum of the least-squares loss is 1/2 sum_j 1/(C + w_j^2)."""
    data = snr.data
    problem = AffineChange(data)
    weights, bias, _, _ = problem.symbols
    loss = problem.loss(data.features)
    diagonal, best = DiagMatrix(snr.values), snr.optimal_weights
    offset = bias + weights * data.global_mean - ones(C) / C
    root, left, right = snr.root, snr.left, snr.right
    within, means = sp.MatrixSymbol("Sigma_W", p, p), sp.MatrixSymbol("Mbar", p, C)
    residuals = data.features - data.class_means * data.one_hot
    spread = data.within_covariance + data.centred_means * data.centred_means.T / C  # Sigma_T
    total = within + means * means.T / C
    linear = sp.Trace(weights * means) / C
    return Derivation(
        "The least-squares loss as a function of the SNR singular values",
        where,
        (
            Step(
                "rank",
                Equal(root * data.centred_means * ones(C), sp.ZeroMatrix(p, 1)),
                "The centred class means add up to zero: the SNR matrix has rank at most C - 1.",
                Star(("one-hot columns",)),
            ),
            *resolvent_steps(snr),
            Step("within", Equal(within, data.within_covariance), "Write Sigma_W as one symbol.", Let()),
            Step("means", Equal(means, data.centred_means), "Write the centred class means as one symbol.", Let()),
            Step(
                "white",
                Equal(root * within * root, sp.Identity(p)),
                "T = Sigma_W^{-1/2}.",
                Star(("whitening", "within")),
            ),
            Step(
                "SNR",
                Equal(root * means, left * diagonal * right.T),
                "The SNR matrix in its singular value decomposition.",
                Star(("SNR matrix", "means")),
            ),
            Step(
                "metric",
                PositiveSemidefinite(spread),
                "A sum of outer products is positive semi-definite.",
                Gram((Square(1 / data.samples, residuals), Square(1 / C, data.centred_means))),
            ),
            Step("total", Equal(spread, total), "Sigma_T in the two symbols.", Star(("within", "means"))),
            Step("total is psd", PositiveSemidefinite(total), "The same matrix.", Rewrite("metric", "total")),
            Step(
                "normal equations",
                Equal(best * total, means.T / C),
                "In whitened coordinates Sigma_T is I + U diag(w)^2 U^T / C; apply W_LS from the left.",
                Star(("white", "SNR", "left vectors", "right vectors")),
            ),
            Step(
                "quadratic form",
                Equal(loss, quadratic(weights, total) / 2 - linear + frobenius_squared(offset) / 2 + (C - 1) / (2 * C)),
                "Complete the square in b: what remains is quadratic in W with metric Sigma_T.",
                Star(("one-hot rows", "one-hot columns", "within", "means")),
            ),
            Step(
                "value",
                Equal(quadratic(best, total) / 2, (C - 1) / (2 * C) - snr.loss),
                "tr(W_LS Sigma_T W_LS^T) = tr(diag(w)^2 (C I + diag(w)^2)^{-1}) / C, and "
                "w^2 / (C (C + w^2)) = 1/C - 1/(C + w^2).",
                Star(("white", "SNR", "left vectors", "right vectors")),
            ),
            Step(
                "completed square",
                Equal(
                    quadratic(weights, total) / 2 - linear + (C - 1) / (2 * C),
                    snr.loss + quadratic(weights - best, total) / 2,
                ),
                "Complete the square in W by the normal equations.",
                Star(("value", "normal equations")),
            ),
            Step(
                "sum of squares",
                Equal(loss, snr.loss + quadratic(weights - best, total) / 2 + frobenius_squared(offset) / 2),
                "Put the two together.",
                Star(("quadratic form", "completed square")),
            ),
            Step(
                "minimum",
                Minimum(loss, (weights, bias), (best, snr.optimal_bias), snr.loss),
                "Both squares vanish at W_LS, b_LS.",
                CompletedSquare(
                    "sum of squares",
                    (
                        Square(sp.Rational(1, 2), weights - best, "total is psd"),
                        Square(sp.Rational(1, 2), offset),
                    ),
                ),
            ),
        ),
    )
