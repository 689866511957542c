"""Least squares on features: the optimal classifier, and the two ways in which the loss splits.

    L(W, H) = ||W H - Y||_F^2 / (2 n) + (lambda / 2) ||W||_F^2,     A = Sigma_T + mu mu^T + lambda I.

Written once for classes of any sizes; balanced is the value Delta = N I (Han, Papyan & Donoho 2022; the classifier
goes back to Webb & Lowe 1990). Features may carry a constant row: nothing here depends on it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import CompletedSquare, Differentiate, Gram, Reparametrise, Rewrite, Shift, Square, Star, Substitute
from .proof.statement import (
    AnyOf,
    Equal,
    EqualInfima,
    GradientIs,
    Invertible,
    Minimum,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
)
from .statistics import ClassData, any_sizes, balanced, random_matrix, sample_any_sizes, sample_balanced
from .symbols import C, N, frobenius_squared, lam, n, ones_row, p, quadratic


@dataclass(frozen=True)
class LeastSquares:
    """The least-squares problem on class data; ``W`` is C x d, like every classifier."""

    data: ClassData
    decay: sp.Expr = lam

    @property
    def dimension(self) -> sp.Expr:
        return self.data.features.shape[0]  # pyrefly: ignore[bad-return]

    @property
    def classifier(self) -> sp.MatrixSymbol:
        """W, free."""
        mark = "tilde" if self.data.features.name.endswith("tilde") else ""
        return sp.MatrixSymbol("W" + mark, self.data.classes, self.dimension)

    def loss(self, classifier: MatrixExpr) -> sp.Expr:
        """L(W, H) = ||W H - Y||_F^2 / (2n) + (lambda/2) ||W||_F^2."""
        data = self.data
        errors = classifier * data.features - data.one_hot
        return frobenius_squared(errors) / (2 * data.samples) + self.decay * frobenius_squared(classifier) / 2

    @cached_property
    def gram(self) -> MatrixExpr:
        """G = Sigma_T + mu mu^T, which is H H^T / n."""
        return self.data.total_covariance + self.data.global_mean * self.data.global_mean.T

    @cached_property
    def metric(self) -> MatrixExpr:
        """A = Sigma_T + mu mu^T + lambda I, the matrix of the quadratic form in W."""
        return self.gram + self.decay * sp.Identity(self.dimension)

    @cached_property
    def optimal_classifier(self) -> MatrixExpr:
        """W_LS = (Delta / n) M^T A^{-1}; for balanced classes (1/C) M^T A^{-1}."""
        return self.data.sizes * self.data.class_means.T * self.metric.inv() / self.data.samples

    def excess_loss(self, classifier: MatrixExpr, optimal: MatrixExpr) -> sp.Expr:
        """L_perp = 1/2 tr{(W - W_LS) A (W - W_LS)^T}."""
        return quadratic(classifier - optimal, self.metric) / 2

    def within_loss(self, classifier: MatrixExpr) -> sp.Expr:
        """L_NC1 = 1/2 tr{W (Sigma_W + lambda I) W^T}."""
        metric = self.data.within_covariance + self.decay * sp.Identity(self.dimension)
        return quadratic(classifier, metric) / 2

    def means_loss(self, classifier: MatrixExpr) -> sp.Expr:
        """L_NC2/3 = tr{(W M - I) Delta (W M - I)^T} / (2n); balanced: ||W M - I||_F^2 / (2C)."""
        data = self.data
        return quadratic(classifier * data.class_means - sp.Identity(data.classes), data.sizes) / (2 * data.samples)


def extended(*, equal_sizes: bool = True) -> LeastSquares:
    """The problem on extended features (a constant 1 appended), for balanced classes or any sizes."""
    total, make = (C * N, balanced) if equal_sizes else (n, any_sizes)
    return LeastSquares(make(sp.MatrixSymbol("Htilde", p + 1, total)))


def well_posed(problem: LeastSquares) -> Hypothesis:
    """lambda > 0, or the second moment of the features is invertible: then A is invertible."""
    return Hypothesis(
        "well posed",
        AnyOf((Positive(problem.decay), Invertible(problem.gram))),
        "weight decay is positive, or the second moment of the features is invertible",
    )


def constant_row(problem: LeastSquares) -> Hypothesis:
    """The last feature is the constant 1, written e^T H = 1^T with e the last unit vector."""
    last = sp.MatrixSymbol("e", problem.dimension, 1)
    row = Equal(last.T * problem.data.features, ones_row(problem.data.samples))
    return Hypothesis("constant feature", row, "features are extended by a constant 1")


def setting(
    problem: LeastSquares,
    parameters: Mapping[sp.Symbol, Range],
    hypotheses: tuple[Hypothesis, ...],
    definitions: Mapping[Any, Any] | None = None,
) -> Setting:
    """The problem under the given hypotheses; exact examples have extended features."""
    equal_sizes = problem.data.samples == C * N
    classifier, dimension = problem.classifier, problem.dimension

    def sample(rng: random.Random) -> Values:
        values = (sample_balanced if equal_sizes else sample_any_sizes)(rng, extended=True)
        rows = values[p] + 1
        unit = [[sp.Integer(int(i == rows - 1))] for i in range(rows)]
        return values | {
            lam: sp.Rational(rng.randint(1, 6), 2),
            classifier: random_matrix(rng, values[C], rows),
            sp.MatrixSymbol("e", dimension, 1): unit,
        }

    return Setting(parameters, hypotheses, sample, problem.data.symmetric, definitions or {})


def total_covariance(problem: LeastSquares, where: Setting) -> Derivation:
    """Sigma_T = Sigma_W + Sigma_B."""
    data = problem.data
    return Derivation(
        "The total covariance splits into within-class and between-class covariance",
        where,
        (
            Step(
                "residuals average to zero",
                Equal((data.features - data.class_means * data.one_hot) * data.one_hot.T, zeros(problem)),
                in_words(problem, "Within a class the deviations from the class mean sum to zero: H Y^T = M Delta."),
                Star(("one-hot rows",)),
            ),
            Step(
                "covariances",
                Equal(data.total_covariance, data.within_covariance + data.between_covariance),
                in_words(
                    problem,
                    "Write H - mu 1^T = (H - M Y) + (M - mu 1^T) Y; the cross terms vanish by the previous step, and "
                    "Y Y^T = Delta turns the second square into the between-class covariance.",
                ),
                Star(),
            ),
        ),
    )


def in_words(problem: LeastSquares, text: str) -> str:
    """A reason written for Delta and n, as it reads in this problem: balanced classes have Delta = N I, n = C N."""
    if isinstance(problem.data.sizes, sp.MatrixSymbol):
        return text
    balanced_words = {"(Delta / n)": "(1/C)", "M Delta": "N M", "Delta M": "N M", "Delta": "N I", " / n": " / (C N)"}
    for general, equal in balanced_words.items():
        text = text.replace(general, equal)
    return text


def zeros(problem: LeastSquares) -> MatrixExpr:
    return sp.ZeroMatrix(problem.dimension, problem.data.classes)


def _metric_steps(problem: LeastSquares) -> tuple[Step, ...]:
    """A is positive definite."""
    data = problem.data
    moment = data.features * data.features.T / data.samples
    return (
        Step(
            "second moment",
            Equal(problem.gram, moment),
            in_words(problem, "Sigma_T + mu mu^T is the uncentred second moment H H^T / n."),
            Star(),
        ),
        Step(
            "moment is psd",
            PositiveSemidefinite(moment),
            "An average of outer products is positive semi-definite.",
            Gram((Square(1 / data.samples, data.features),)),
        ),
        Step(
            "gram is psd",
            PositiveSemidefinite(problem.gram),
            "By the first step the two matrices are equal.",
            Rewrite("moment is psd", "second moment"),
        ),
        Step(
            "metric is positive definite",
            PositiveDefinite(problem.metric),
            "Call this matrix A. A psd matrix plus lambda I is positive definite if lambda > 0, or if lambda >= 0 and "
            "it is invertible; so A^{-1} exists.",
            Shift("gram is psd", problem.decay, "well posed"),
        ),
    )


def stationarity(problem: LeastSquares) -> tuple[Step, ...]:
    """The gradient of L in W; it vanishes at W_LS, by the normal equations W_LS A = (Delta / n) M^T."""
    data, free, optimal = problem.data, problem.classifier, problem.optimal_classifier

    def slope(classifier: MatrixExpr) -> MatrixExpr:
        errors = classifier * data.features - data.one_hot
        return errors * data.features.T / data.samples + problem.decay * classifier

    product: Any = sp.MatMul(optimal, problem.metric)  # written with `*`, sympy would cancel A^{-1} A itself
    return (
        Step(
            "gradient",
            GradientIs(problem.loss(free), free, slope(free)),
            "Differentiate in W: d ||W H - Y||_F^2 = 2 tr{(W H - Y) H^T dW^T} and d ||W||_F^2 = 2 tr{W dW^T}.",
            Differentiate(),
        ),
        Step(
            "normal equations",
            Equal(product, data.sizes * data.class_means.T / data.samples),
            in_words(problem, "W_LS A = (Delta / n) M^T A^{-1} A, and A^{-1} A = I."),
            Star(),
        ),
        Step(
            "stationary point",
            Equal(slope(optimal), sp.ZeroMatrix(data.classes, problem.dimension)),
            in_words(
                problem,
                "H H^T / n + lambda I = A and Y H^T = Delta M^T, so the gradient at W is W A - (Delta / n) M^T: it "
                "vanishes at W_LS by the normal equations.",
            ),
            Star(),
        ),
    )


def decomposition(problem: LeastSquares, where: Setting) -> Derivation:
    """L(W, H) = L_LS(H) + L_perp(W, H)."""
    free, optimal = problem.classifier, problem.optimal_classifier
    return Derivation(
        "The loss is the least-squares loss plus the distance to the least-squares classifier",
        where,
        (
            *_metric_steps(problem),
            *stationarity(problem),
            Step(
                "split",
                Equal(problem.loss(free), problem.loss(optimal) + problem.excess_loss(free, optimal)),
                "L is quadratic in W with metric A. Expand around W_LS: the linear term vanishes because the gradient "
                "does, and the quadratic term is the last one.",
                Star(),
            ),
        ),
    )


def classifier(problem: LeastSquares, where: Setting) -> Derivation:
    """W_LS is the only minimiser of L over all classifiers."""
    split = decomposition(problem, where)
    free, optimal = problem.classifier, problem.optimal_classifier
    return Derivation(
        "The least-squares classifier",
        where,
        (
            *split.steps,
            Step(
                "minimiser",
                Minimum(problem.loss(free), (free,), (optimal,), problem.loss(optimal), unique=True),
                "The last term of the split is a square in the positive definite metric A: it is nonnegative, and zero "
                "only at W_LS.",
                CompletedSquare("split", (Square(sp.Rational(1, 2), free - optimal, "metric is positive definite"),)),
            ),
        ),
    )


def class_mean_split(problem: LeastSquares, where: Setting) -> Derivation:
    """L(W, H) = L_NC1 + L_NC2/3 for every classifier W."""
    data, free = problem.data, problem.classifier
    return Derivation(
        "The loss splits into a within-class part and a part of the class means",
        where,
        (
            Step(
                "residuals average to zero",
                Equal((data.features - data.class_means * data.one_hot) * data.one_hot.T, zeros(problem)),
                in_words(problem, "Within a class the deviations from the class mean sum to zero: H Y^T = M Delta."),
                Star(("one-hot rows",)),
            ),
            Step(
                "split at every classifier",
                Equal(problem.loss(free), problem.within_loss(free) + problem.means_loss(free)),
                in_words(
                    problem,
                    "Write W H - Y = W (H - M Y) + (W M - I) Y; the cross terms vanish by the previous step, and "
                    "Y Y^T = Delta. Nothing about W is used.",
                ),
                Star(),
            ),
        ),
    )


def least_squares_split(problem: LeastSquares, where: Setting) -> Derivation:
    """L_LS(H) = L_NC1 + L_NC2/3: the class-mean split at W_LS."""
    free, optimal = problem.classifier, problem.optimal_classifier
    return Derivation(
        "The least-squares loss splits into NC1 and NC2/3",
        where,
        (
            *_metric_steps(problem),
            *class_mean_split(problem, where).steps,
            Step(
                "split",
                Equal(problem.loss(optimal), problem.within_loss(optimal) + problem.means_loss(optimal)),
                "The previous equation holds for every W; A is invertible, so W_LS exists: take W = W_LS.",
                Substitute("split at every classifier", ((free, optimal),)),
            ),
        ),
    )


@dataclass(frozen=True)
class AffineChange:
    """The problem without weight decay on features H and on A H + v 1^T, with a free bias b."""

    data: ClassData

    @property
    def symbols(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol, sp.MatrixSymbol, sp.MatrixSymbol]:
        """W (C x d), b (C x 1), A (d x d), v (d x 1)."""
        classes, dimension = self.data.classes, self.data.features.shape[0]
        return (
            sp.MatrixSymbol("W", classes, dimension),
            sp.MatrixSymbol("b", classes, 1),
            sp.MatrixSymbol("A", dimension, dimension),
            sp.MatrixSymbol("v", dimension, 1),
        )

    def loss(self, features: MatrixExpr) -> sp.Expr:
        """||W H + b 1^T - Y||_F^2 / (2n), as a function of the free W and b."""
        weights, bias, _, _ = self.symbols
        errors = weights * features + bias * ones_row(self.data.samples) - self.data.one_hot
        return frobenius_squared(errors) / (2 * self.data.samples)

    @property
    def changed_features(self) -> MatrixExpr:
        """A H + v 1^T."""
        _, _, linear, shift = self.symbols
        return linear * self.data.features + shift * ones_row(self.data.samples)

    @property
    def statement(self) -> EqualInfima:
        weights, bias, _, _ = self.symbols
        changed, original = self.loss(self.changed_features), self.loss(self.data.features)
        return EqualInfima(changed, (weights, bias), original, (weights, bias))


def invertible_map(change: AffineChange) -> Hypothesis:
    """A is invertible."""
    return Hypothesis(
        "invertible map", Invertible(change.symbols[2]), "the linear part A of the affine map is invertible"
    )


def affine_setting(
    change: AffineChange,
    parameters: Mapping[sp.Symbol, Range],
    hypotheses: tuple[Hypothesis, ...],
    definitions: Mapping[Any, Any] | None = None,
) -> Setting:
    """Balanced classes and plain features under the given hypotheses."""
    weights, bias, linear, shift = change.symbols

    def sample(rng: random.Random) -> Values:
        values = sample_balanced(rng, extended=False)
        classes, dim = values[C], values[p]
        return values | {
            weights: random_matrix(rng, classes, dim),
            bias: random_matrix(rng, classes, 1),
            linear: random_matrix(rng, dim, dim),
            shift: random_matrix(rng, dim, 1),
        }

    return Setting(parameters, hypotheses, sample, definitions=definitions or {})


def affine_invariance(change: AffineChange, where: Setting) -> Derivation:
    """L_LS(A H + v 1^T) = L_LS(H), as minima over all W and b."""
    weights, bias, linear, shift = change.symbols
    return Derivation(
        "Without weight decay the least-squares loss is invariant under affine maps of the features",
        where,
        (
            Step(
                "invariance",
                change.statement,
                "The classifier (W, b) does to A H + v 1^T what (W A, W v + b) does to H, and because A is "
                "invertible every classifier is of that form: (W, b) comes from (W A^{-1}, b - W A^{-1} v).",
                Reparametrise(
                    forward=((weights, weights * linear), (bias, weights * shift + bias)),
                    backward=((weights, weights * linear.inv()), (bias, bias - weights * linear.inv() * shift)),
                ),
            ),
        ),
    )
