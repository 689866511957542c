"""The orthogonal projection on the tangent space of whitened features.

Features X (p x C N) are kept on {Sigma_W(X) = I}: a matrix of velocities G is projected on the tangent space, which is
the kernel of the derivative of Sigma_W,

    Proj(G) = G - S R,    R = X - M Y,    S = (G R^T + R G^T) / (2 C N)        (Han, Papyan & Donoho 2022).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import signal_to_noise
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range, matrix_product
from .proof.rules import Conjunction, Star
from .proof.statement import AllOf, Equal
from .statistics import ClassData, balanced, random_matrix
from .symbols import C, N, p

EPSILON = sp.Symbol("epsilon", real=True, positive=True)


@dataclass(frozen=True)
class WhitenedFeatures:
    """Balanced class data with Sigma_W = I; ``data.features`` is X (p x C N)."""

    data: ClassData

    @property
    def state(self) -> sp.MatrixSymbol:
        return self.data.features

    @property
    def direction(self) -> sp.MatrixSymbol:
        """D (p x C N), a tangent direction."""
        return sp.MatrixSymbol("D", p, C * N)

    @property
    def velocity(self) -> sp.MatrixSymbol:
        """G (p x C N), any matrix."""
        return sp.MatrixSymbol("G", p, C * N)

    @property
    def residuals(self) -> MatrixExpr:
        """R = X - M Y."""
        return self.data.features - self.data.class_means * self.data.one_hot

    def covariance(self, features: MatrixExpr) -> MatrixExpr:
        """Sigma_W of other features with the same labels."""
        residuals = features - features * self.data.one_hot.T * self.data.one_hot / N
        return residuals * residuals.T / (C * N)

    def derivative_of_covariance(self, direction: MatrixExpr) -> MatrixExpr:
        """The derivative of Sigma_W at X: (D R^T + R D^T) / (C N)."""
        return (direction * self.residuals.T + self.residuals * direction.T) / (C * N)

    def multiplier(self, velocity: MatrixExpr) -> MatrixExpr:
        """S = (G R^T + R G^T) / (2 C N), symmetric."""
        return (velocity * self.residuals.T + self.residuals * velocity.T) / (2 * C * N)

    def projection(self, velocity: MatrixExpr) -> MatrixExpr:
        """Proj(G) = G - S R."""
        return velocity - self.multiplier(velocity) * self.residuals

    @property
    def white(self) -> Hypothesis:
        """Sigma_W(X) = I."""
        covariance = self.data.within_covariance
        return Hypothesis("white", Equal(covariance, sp.Identity(p)), "the features are whitened: Sigma_W(X) = I")

    @property
    def tangent(self) -> Hypothesis:
        """D is tangent to {Sigma_W = I} at X."""
        zero = sp.ZeroMatrix(p, p)
        return Hypothesis(
            "tangent",
            Equal(self.derivative_of_covariance(self.direction), zero),
            "D is tangent: the derivative of Sigma_W in the direction D vanishes",
        )


def whitened() -> WhitenedFeatures:
    return WhitenedFeatures(balanced(sp.MatrixSymbol("X", p, C * N)))


def tangent_setting(
    flow: WhitenedFeatures,
    parameters: Mapping[sp.Symbol, Range],
    hypotheses: tuple[Hypothesis, ...],
    definitions: Mapping[Any, Any] | None = None,
) -> Setting:
    """Whitened features, any matrix G of velocities, a tangent direction D, a step ``epsilon``."""

    def sample(rng: random.Random) -> Values:
        values = dict(signal_to_noise.sample(rng))
        snr = signal_to_noise.signal_to_noise()
        root, features, one_hot = (values.pop(s) for s in (snr.root, snr.data.features, snr.data.one_hot))
        rows = [[root[i][i] * x for x in row] for i, row in enumerate(features)]  # Sigma_W = I
        dim, total = len(rows), len(rows[0])
        any_direction = random_matrix(rng, dim, total)
        return {
            **values,
            flow.state: rows,
            flow.data.one_hot: one_hot,
            flow.velocity: random_matrix(rng, dim, total),
            flow.direction: tangent_part(any_direction, rows, one_hot, values[N]),
            EPSILON: Fraction(rng.randint(1, 5), 3),
        }

    return Setting(parameters, hypotheses, sample, definitions=definitions or {})


def tangent_part(direction: Any, features: Any, one_hot: Any, per_class: int) -> Any:
    """A tangent direction, exactly: A (X - M Y) with A antisymmetric, plus anything constant within classes."""
    dim, total = len(features), len(features[0])
    means = matrix_product(features, [list(column) for column in zip(*one_hot, strict=True)])
    spread = matrix_product([[x / per_class for x in row] for row in means], one_hot)
    residuals = [[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(features, spread, strict=True)]
    turn = [[direction[i][j] - direction[j][i] for j in range(dim)] for i in range(dim)]
    shift = matrix_product([row[: len(one_hot)] for row in direction], one_hot)
    moved = matrix_product(turn, residuals)
    return [[moved[i][s] + shift[i][s] for s in range(total)] for i in range(dim)]


def tangent_projection(flow: WhitenedFeatures, where: Setting) -> Derivation:
    """Proj(G) is tangent, and G - Proj(G) is orthogonal to every tangent direction."""
    direction, velocity = flow.direction, flow.velocity
    zero, multiplier = sp.ZeroMatrix(p, p), flow.multiplier(velocity)
    projected = flow.projection(velocity)
    moved = flow.covariance(flow.state + EPSILON * direction)
    expansion = (
        flow.data.within_covariance
        + EPSILON * flow.derivative_of_covariance(direction)
        + EPSILON**2 * flow.covariance(direction)
    )
    normal = sp.Trace((velocity - projected) * direction.T)
    return Derivation(
        "The orthogonal projection on the tangent space of whitened features",
        where,
        (
            Step(
                "residuals",
                Equal(flow.residuals * flow.data.one_hot.T, sp.ZeroMatrix(p, C)),
                "Deviations from the class means sum to zero within each class.",
                Star(("one-hot rows",)),
            ),
            Step(
                "norm of the residuals",
                Equal(flow.residuals * flow.residuals.T, C * N * sp.Identity(p)),
                "This is Sigma_W(X) = I.",
                Star(("white",)),
            ),
            Step(
                "derivative",
                Equal(moved, expansion),
                "Sigma_W is quadratic in the features, so this expansion is exact; its linear term is the derivative, "
                "and the tangent space is where it vanishes.",
                Star(("one-hot rows",)),
            ),
            Step(
                "projection is tangent",
                Equal(flow.derivative_of_covariance(projected), zero),
                "(G - S R) R^T + R (G - S R)^T = G R^T + R G^T - 2 C N S = 0, because R R^T = C N I.",
                Star(),
            ),
            Step(
                "remainder",
                Equal(normal, sp.Trace(multiplier * flow.derivative_of_covariance(direction)) * C * N / 2),
                "G - Proj(G) = S R and S is symmetric: tr(S R D^T) is half of tr(S (R D^T + D R^T)).",
                Star(("one-hot rows",)),
            ),
            Step(
                "remainder is normal",
                Equal(normal, sp.S.Zero),
                "D is tangent, so the bracket vanishes.",
                Star(("remainder", "tangent")),
            ),
            Step(
                "projection",
                AllOf(
                    (
                        Equal(moved, expansion),
                        Equal(flow.derivative_of_covariance(projected), zero),
                        Equal(normal, sp.S.Zero),
                    )
                ),
                "Tangent, and orthogonal to every tangent direction: that is the orthogonal projection.",
                Conjunction(("derivative", "projection is tangent", "remainder is normal")),
            ),
        ),
    )
