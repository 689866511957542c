"""Class means and covariances of features with class labels, as exact matrix expressions.

Features are the columns of H, labels the columns of the one-hot matrix Y, class sizes the diagonal matrix Delta.
Balanced is a value: Delta = N I. With n samples in all,

    M = H Y^T Delta^{-1},  mu = H 1 / n,
    Sigma_W = (H - M Y)(H - M Y)^T / n,  Sigma_B = (M - mu 1^T) Delta (M - mu 1^T)^T / n,
    Sigma_T = (H - mu 1^T)(H - mu 1^T)^T / n.

For balanced classes Delta / n = I / C, so Sigma_B is the plain average over classes (Han, Papyan & Donoho 2022).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .derivation import Hypothesis
from .proof.statement import Equal, Invertible
from .symbols import C, N, n, ones, ones_row, p

Rows = list[list[Fraction]]


@dataclass(frozen=True)
class ClassData:
    """Features with labels: ``features`` (d x n), ``one_hot`` (C x n), ``sizes`` (C x C, diagonal), ``samples`` n.

    The definitions are properties, each formed once: sympy takes long over sums of matrix products.
    """

    features: sp.MatrixSymbol
    one_hot: sp.MatrixSymbol
    sizes: MatrixExpr
    samples: sp.Expr

    @property
    def classes(self) -> sp.Expr:
        return self.one_hot.shape[0]  # pyrefly: ignore[bad-return]

    @cached_property
    def class_means(self) -> MatrixExpr:
        """M = H Y^T Delta^{-1}, d x C."""
        return self.features * self.one_hot.T * self.sizes.inv()

    @cached_property
    def global_mean(self) -> MatrixExpr:
        """mu = H 1 / n, d x 1."""
        return self.features * ones(self.samples) / self.samples

    @cached_property
    def centred_means(self) -> MatrixExpr:
        """M - mu 1^T, d x C."""
        return self.class_means - self.global_mean * ones_row(self.classes)

    @cached_property
    def within_covariance(self) -> MatrixExpr:
        """Sigma_W = (H - M Y)(H - M Y)^T / n, d x d."""
        residuals = self.features - self.class_means * self.one_hot
        return residuals * residuals.T / self.samples

    @cached_property
    def between_covariance(self) -> MatrixExpr:
        """Sigma_B = (M - mu 1^T) Delta (M - mu 1^T)^T / n, d x d."""
        return self.centred_means * self.sizes * self.centred_means.T / self.samples

    @cached_property
    def total_covariance(self) -> MatrixExpr:
        """Sigma_T = (H - mu 1^T)(H - mu 1^T)^T / n, d x d."""
        deviations = self.features - self.global_mean * ones_row(self.samples)
        return deviations * deviations.T / self.samples

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What makes Y a one-hot matrix of the stated class sizes."""
        sizes, total = self.sizes, self.samples
        found = (
            Hypothesis("one-hot rows", Equal(self.one_hot * self.one_hot.T, sizes), "each label names one class"),
            Hypothesis(
                "one-hot columns",
                Equal(ones_row(self.classes) * self.one_hot, ones_row(total)),
                "every sample has exactly one label",
            ),
        )
        if not isinstance(sizes, sp.MatrixSymbol):
            return found
        return (*found, Hypothesis("no empty class", Invertible(sizes), "every class has samples"))

    @property
    def symmetric(self) -> tuple[sp.MatrixSymbol, ...]:
        return (self.sizes,) if isinstance(self.sizes, sp.MatrixSymbol) else ()


def balanced(features: sp.MatrixSymbol) -> ClassData:
    """C classes of N samples each; ``features`` has C N columns."""
    return ClassData(features, sp.MatrixSymbol("Y", C, C * N), N * sp.Identity(C), C * N)


def any_sizes(features: sp.MatrixSymbol) -> ClassData:
    """C classes of any sizes, n samples in all; ``features`` has n columns."""
    return ClassData(features, sp.MatrixSymbol("Y", C, n), sp.MatrixSymbol("Delta", C, C), n)


def random_matrix(rng: random.Random, rows: int, cols: int, scale: int = 3) -> Rows:
    """Small random integers, as exact rows."""
    return [[Fraction(rng.randint(-scale, scale)) for _ in range(cols)] for _ in range(rows)]


def sample_balanced(rng: random.Random, extended: bool) -> dict[Any, Any]:
    """Exact values of C, N, p, H and Y; with ``extended`` the last of p + 1 rows of H is constant 1."""
    classes, per_class, dim = rng.randint(2, 3), rng.randint(2, 3), rng.randint(1, 2)
    labels = [k for k in range(classes) for _ in range(per_class)]
    values: dict[Any, Any] = {C: classes, N: per_class, p: dim}
    return values | label_and_feature_values(rng, labels, classes, dim, extended, C * N)


def sample_any_sizes(rng: random.Random, extended: bool) -> dict[Any, Any]:
    """The same for classes of unequal sizes, with values of n and Delta."""
    classes, dim = rng.randint(2, 3), rng.randint(1, 2)
    counts = [rng.randint(1, 3) for _ in range(classes)]
    labels = [k for k in range(classes) for _ in range(counts[k])]
    delta = [[Fraction(counts[i] if i == j else 0) for j in range(classes)] for i in range(classes)]
    values: dict[Any, Any] = {C: classes, n: len(labels), p: dim, sp.MatrixSymbol("Delta", C, C): delta}
    return values | label_and_feature_values(rng, labels, classes, dim, extended, n)


def label_and_feature_values(
    rng: random.Random, labels: list[int], classes: int, dim: int, extended: bool, total: sp.Expr
) -> dict[Any, Any]:
    one_hot = [[Fraction(int(label == k)) for label in labels] for k in range(classes)]
    rows = random_matrix(rng, dim, len(labels))
    if extended:
        rows.append([Fraction(1)] * len(labels))
    features = sp.MatrixSymbol("Htilde", p + 1, total) if extended else sp.MatrixSymbol("H", p, total)
    return {sp.MatrixSymbol("Y", C, total): one_hot, features: rows}
