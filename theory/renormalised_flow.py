"""Gradient flow of the least-squares loss on whitened features, and what it does to the SNR matrix.

On {Sigma_W(X) = I} the SNR matrix is Mbar, the class means minus the global mean. The flow of Han, Papyan & Donoho
2022, dX/dt = -Proj grad L_LS(X), moves its singular values by w / (N (C + w^2)^2). Taking a step along the unprojected
gradient and whitening again is a different flow: it moves them by w / (C N (C + w^2)).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import signal_to_noise
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range, matrix_product
from .proof.rules import CompletedSquare, Conjunction, Differentiate, Gram, Let, Rewrite, Shift, Square, Star
from .proof.statement import AllOf, Equal, GradientIs, Invertible, Minimum, PositiveDefinite, PositiveSemidefinite
from .statistics import ClassData, Rows, random_matrix
from .symbols import C, N, frobenius_squared, ones, ones_row, p, product, quadratic, total
from .tangent_projection import EPSILON


@dataclass(frozen=True)
class SingularValueFlow:
    """Gradient flow of L_LS on whitened features, written in class means and residuals.

    Every X with Sigma_W(X) = I is X = R + Mbar Y + mu 1^T with R Y^T = 0 and R R^T = C N I; Mbar is then its SNR
    matrix, in its singular value decomposition U diag(w) V^T.
    """

    snr: signal_to_noise.SignalToNoise

    @property
    def state(self) -> sp.MatrixSymbol:
        """X, free."""
        return sp.MatrixSymbol("X", p, C * N)

    @property
    def residuals(self) -> sp.MatrixSymbol:
        """R (p x C N)."""
        return sp.MatrixSymbol("R", p, C * N)

    @property
    def mean(self) -> sp.MatrixSymbol:
        """mu (p x 1)."""
        return sp.MatrixSymbol("mu", p, 1)

    @cached_property
    def means(self) -> MatrixExpr:
        """U diag(w) V^T."""
        return self.snr.left * DiagMatrix(self.snr.values) * self.snr.right.T

    @cached_property
    def features(self) -> MatrixExpr:
        """R + U diag(w) V^T Y + mu 1^T."""
        return self.residuals + self.means * self.snr.data.one_hot + self.mean * ones_row(C * N)

    @cache  # noqa: B019  # flows are few, and their statistics take sympy long
    def data(self, features: Any) -> ClassData:
        return ClassData(features, self.snr.data.one_hot, N * sp.Identity(C), C * N)

    def loss(self, features: Any) -> sp.Expr:
        """L_LS(X) = (C-1)/(2C) - tr(Mbar^T Sigma_T^{-1} Mbar) / (2 C^2)."""
        data = self.data(features)
        fit = sp.Trace(data.centred_means.T * data.total_covariance.inv() * data.centred_means)
        return (C - 1) / (2 * C) - fit / (2 * C**2)

    @cache  # noqa: B019
    def gradient(self, features: Any) -> MatrixExpr:
        """K Mbar Mbar^T K (X - mu 1^T) / (C^3 N) - K Mbar (Y - 1 1^T / C) / (C^2 N), with K = Sigma_T^{-1}."""
        data = self.data(features)
        inverse, means = data.total_covariance.inv(), data.centred_means
        deviations = data.features - data.global_mean * ones_row(C * N)
        along = product(1 / (C**3 * N), inverse, means, means.T, inverse, deviations)
        return total(along, product(-1 / C**2, inverse, means, self.labels))

    @property
    def gradient_statement(self) -> GradientIs:
        """The gradient of L_LS at every X."""
        return GradientIs(self.loss(self.state), self.state, self.gradient(self.state))

    @property
    def weights(self) -> sp.MatrixSymbol:
        """W (C x p), free."""
        return sp.MatrixSymbol("W", C, p)

    @property
    def bias(self) -> sp.MatrixSymbol:
        """b (C x 1), free."""
        return sp.MatrixSymbol("b", C, 1)

    @cached_property
    def best_weights(self) -> MatrixExpr:
        """W_LS = Mbar^T Sigma_T^{-1} / C."""
        return self.classifier(self.state)

    def classifier(self, features: Any) -> MatrixExpr:
        """Mbar^T Sigma_T^{-1} / C at given features."""
        data = self.data(features)
        return data.centred_means.T * data.total_covariance.inv() / C

    @cached_property
    def objective(self) -> sp.Expr:
        """||W X + b 1^T - Y||_F^2 / (2 C N)."""
        errors = self.weights * self.state + self.bias * ones_row(C * N) - self.snr.data.one_hot
        return frobenius_squared(errors) / (2 * C * N)

    @cached_property
    def minimum(self) -> Minimum:
        """L_LS(X) is the minimum of the squared error over W and b."""
        offset = ones(C) / C - self.best_weights * self.data(self.state).global_mean
        at = (self.best_weights, offset)
        return Minimum(self.objective, (self.weights, self.bias), at, self.loss(self.state))

    @property
    def labels(self) -> MatrixExpr:
        """(Y - 1 1^T / C) / N: features times its transpose are the centred class means."""
        return (self.snr.data.one_hot - ones(C) * ones_row(C * N) / C) / N

    def projection(self, velocity: MatrixExpr) -> MatrixExpr:
        """Proj(G) = G - (G R^T + R G^T) R / (2 C N)."""
        normal = product(-1 / (2 * C * N), self.turned(velocity), self.residuals)
        return total(velocity, normal)

    @cache  # noqa: B019
    def turned(self, velocity: MatrixExpr) -> MatrixExpr:
        """G R^T + R G^T."""
        return total(product(velocity, self.residuals.T), product(self.residuals, velocity.T))

    @property
    def structure(self) -> tuple[Hypothesis, ...]:
        """What R, U and V are."""
        lemma, identity = "singular value decomposition", sp.Identity(C - 1)
        left, right, residuals = self.snr.left, self.snr.right, self.residuals
        return (
            *self.snr.data.hypotheses,
            Hypothesis(
                "residuals",
                Equal(residuals * self.snr.data.one_hot.T, sp.ZeroMatrix(p, C)),
                "R holds the deviations from the class means",
            ),
            Hypothesis(
                "white",
                Equal(residuals * residuals.T, C * N * sp.Identity(p)),
                "the features are whitened: Sigma_W(X) = I",
            ),
            Hypothesis("left vectors", Equal(left.T * left, identity), "U has orthonormal columns", lemma=lemma),
            Hypothesis("right vectors", Equal(right.T * right, identity), "V has orthonormal columns", lemma=lemma),
            Hypothesis(
                "centred",
                Equal(right.T * ones(C), sp.ZeroMatrix(C - 1, 1)),
                "the columns of V are orthogonal to 1, as centred class means are",
                lemma=lemma,
            ),
        )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The structure, and where L_LS is differentiable."""
        return (
            *self.structure,
            Hypothesis(
                "differentiable",
                Invertible(self.data(self.state).total_covariance),
                "where L_LS is differentiated the total covariance is invertible (an open condition on X)",
            ),
        )


def flow_setting(
    flow: SingularValueFlow,
    parameters: Mapping[sp.Symbol, Range],
    definitions: Mapping[Any, Any] | None = None,
) -> Setting:
    """Whitened features in class means and residuals."""

    def sample(rng: random.Random) -> Values:
        return flow_sample(flow, rng, signal_to_noise.sample(rng))

    return Setting(parameters, flow.hypotheses, sample, definitions=definitions or {})


def flow_sample(flow: SingularValueFlow, rng: random.Random, drawn: Values) -> Values:
    """An example of :func:`signal_to_noise.sample` whitened, as R, mu and X."""
    values = dict(drawn)
    snr = flow.snr
    root, features, one_hot = values.pop(snr.root), values.pop(snr.data.features), values[snr.data.one_hot]
    white = [[root[i][i] * x for x in row] for i, row in enumerate(features)]
    averages = matrix_product([[x / values[N] for x in row] for row in white], transposed(one_hot))
    spread = matrix_product(averages, one_hot)
    residuals = [[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(white, spread, strict=True)]
    mean = [[sum(row, Fraction(0)) / len(row)] for row in white]
    extra = {EPSILON: Fraction(rng.randint(1, 5), 3)}
    extra |= {sp.MatrixSymbol(name, p, p): random_matrix(rng, len(white), len(white)) for name in ("Q", "Z")}
    extra |= {flow.weights: random_matrix(rng, values[C], len(white)), flow.bias: random_matrix(rng, values[C], 1)}
    state = random_matrix(rng, len(white), len(white[0]))  # any features: X is not X(w)
    return {**values, **extra, flow.residuals: residuals, flow.mean: mean, flow.state: state}


def transposed(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def _gradient_step(flow: SingularValueFlow) -> Step:
    because = "Differentiate L_LS in X: d K = -K d Sigma_T K."
    return Step("gradient", flow.gradient_statement, because, Differentiate())


def covariance_steps(flow: SingularValueFlow) -> tuple[Step, ...]:
    """Class means and total covariance; K U = C U (C I + diag(w)^2)^{-1} for its inverse K."""
    snr, data = flow.snr, flow.data(flow.features)
    diagonal, left = DiagMatrix(snr.values), snr.left
    inverse = data.total_covariance.inv()
    spread = sp.Identity(p) + left * diagonal**2 * left.T / C
    return (
        Step("class means", Equal(data.centred_means, flow.means), "R and mu do not enter.", Star()),
        Step("total covariance", Equal(spread, data.total_covariance), "Sigma_T = Sigma_W + Mbar Mbar^T / C.", Star()),
        Step(
            "squares of left vectors",
            PositiveSemidefinite(left * diagonal**2 * left.T / C),
            "U diag(w)^2 U^T is a Gram matrix.",
            Gram((Square(1 / C, left * diagonal),)),
        ),
        Step(
            "spread is positive definite",
            PositiveDefinite(spread),
            "A psd matrix plus the identity.",
            Shift("squares of left vectors", sp.S.One),
        ),
        Step(
            "total covariance is positive definite",
            PositiveDefinite(data.total_covariance),
            "The same matrix; so K = Sigma_T^{-1} exists.",
            Rewrite("spread is positive definite", "total covariance"),
        ),
        *signal_to_noise.resolvent_steps(snr),
        Step(
            "inverse of the total covariance",
            Equal(inverse * spread, sp.Identity(p)),
            "K Sigma_T = I.",
            Star(("total covariance",)),
        ),
        Step(
            "inverse on left vectors",
            Equal(inverse * left, C * left * snr.resolvent),
            "Apply the last equation to U: K U (C I + diag(w)^2) = C U.",
            Star(("inverse of the total covariance", "left vectors")),
        ),
    )


def _least_squares_steps(flow: SingularValueFlow) -> tuple[Step, ...]:
    """L_LS(X) is the least-squares loss: the minimum over all W and b."""
    data, weights = flow.data(flow.state), flow.weights
    best, offset = flow.best_weights, flow.bias + flow.weights * data.global_mean - ones(C) / C
    spread, means, inverse = (sp.MatrixSymbol(*name) for name in (("Sigma", p, p), ("Mbar", p, C), ("K", p, p)))
    deviations = data.features - data.global_mean * ones_row(C * N)
    half, constant = sp.Rational(1, 2), (C - 1) / (2 * C)
    linear, fit = sp.Trace(weights * means) / C, sp.Trace(means.T * inverse * means) / (2 * C**2)
    shifted = weights - means.T * inverse / C
    return (
        Step(
            "metric",
            PositiveSemidefinite(data.total_covariance),
            "A covariance is positive semi-definite.",
            Gram((Square(1 / (C * N), deviations),)),
        ),
        Step("spread", Equal(spread, data.total_covariance), "Write Sigma for the total covariance,", Let()),
        Step("means", Equal(means, data.centred_means), "Mbar for the centred class means,", Let()),
        Step("inverse", Equal(inverse, data.total_covariance.inv()), "and K for the inverse of Sigma.", Let()),
        Step("inverse of spread", Equal(inverse * spread, sp.Identity(p)), "K Sigma = I.", Star(("spread", "inverse"))),
        Step(
            "square in b",
            Equal(
                flow.objective,
                quadratic(weights, spread) / 2 - linear + constant + frobenius_squared(offset) / 2,
            ),
            "Complete the square in b.",
            Star(("one-hot rows", "one-hot columns", "spread", "means")),
        ),
        Step(
            "square in W",
            Equal(quadratic(weights, spread) / 2 - linear, quadratic(shifted, spread) / 2 - fit),
            "Complete the square in W.",
            Star(("inverse of spread",)),
        ),
        Step(
            "completed square",
            Equal(
                flow.objective,
                flow.loss(flow.state)
                + quadratic(weights - best, data.total_covariance) / 2
                + frobenius_squared(offset) / 2,
            ),
            "Put the two together.",
            Star(("square in b", "square in W", "spread", "means", "inverse")),
        ),
        Step(
            "least-squares loss",
            flow.minimum,
            "Both squares vanish at W_LS, b_LS.",
            CompletedSquare("completed square", (Square(half, weights - best, "metric"), Square(half, offset))),
        ),
    )


def snr_flow(flow: SingularValueFlow, where: Setting) -> Derivation:
    """Projected gradient flow moves each singular value by w / (N (C + w^2)^2) and nothing else."""
    snr = flow.snr
    diagonal, left, right, one_hot = DiagMatrix(snr.values), snr.left, snr.right, snr.data.one_hot
    gradient = flow.gradient(flow.features)
    moving = left * diagonal * snr.resolvent**2 * right.T * one_hot / N
    velocity = Equal(product(sp.S.NegativeOne, flow.projection(gradient)), moving)
    return Derivation(
        "The renormalised gradient flow in the singular values of the SNR matrix",
        where,
        (
            *_least_squares_steps(flow),
            _gradient_step(flow),
            *covariance_steps(flow),
            Step(
                "gradient here",
                Equal(gradient, left * diagonal**2 * snr.resolvent**2 * left.T * flow.residuals / (C * N) - moving),
                "Insert K U = C U (C I + diag(w)^2)^{-1}: a part along R and a part that is constant within classes.",
                Star(),
            ),
            Step(
                "velocity",
                velocity,
                "The part along R is a symmetric matrix times R: it is normal and the projection removes it. The other "
                "part is tangent, since Y R^T = 0. So with dw_j/dt = w_j / (N (C + w_j^2)^2) the curve "
                "R + U diag(w(t)) V^T Y + mu 1^T solves dX/dt = -Proj grad L_LS(X); U, V, R and mu stay.",
                Star(),
            ),
            Step(
                "flow",
                AllOf((flow.minimum, flow.gradient_statement, velocity)),
                "The loss, its gradient, and the velocity of the features.",
                Conjunction(("least-squares loss", "gradient", "velocity")),
            ),
        ),
    )


@cache
def _turned_gradient(flow: SingularValueFlow) -> MatrixExpr:
    """G R^T + R G^T for the gradient G at the features."""
    return flow.turned(flow.gradient(flow.features))


def snr_velocity(flow: SingularValueFlow, gradient: MatrixExpr, turned: MatrixExpr) -> MatrixExpr:
    """Velocity of the SNR matrix Sigma_W^{-1/2} Mbar when X moves along -G and is whitened again, of G and turned G.

    At Sigma_W = I the derivative of Sigma_W^{-1/2} is -1/2 of that of Sigma_W.
    """
    whitening = product(1 / (2 * C * N), turned, flow.means)
    return total(whitening, product(sp.S.NegativeOne, gradient, flow.labels.T))


@cache  # large, and in many statements
def unprojected_velocity(flow: SingularValueFlow) -> MatrixExpr:
    """The same for the gradient G of L_LS, written out."""
    return snr_velocity(flow, flow.gradient(flow.features), _turned_gradient(flow))


def inverse_root() -> Equal:
    """(I - epsilon Q / 2) (I + epsilon Q + epsilon^2 Z) (I - epsilon Q / 2) is I up to epsilon^2."""
    change, second, identity = sp.MatrixSymbol("Q", p, p), sp.MatrixSymbol("Z", p, p), sp.Identity(p)
    half = identity - EPSILON * change / 2
    return Equal(
        half * (identity + EPSILON * change + EPSILON**2 * second) * half,
        identity
        + EPSILON**2 * (second - 3 * change**2 / 4)
        + EPSILON**3 * (change**3 / 4 - (change * second + second * change) / 2)
        + EPSILON**4 * change * second * change / 4,
    )


def unprojected_motion(flow: SingularValueFlow, velocity: MatrixExpr) -> Equal:
    """The velocity of the SNR matrix is U diag(w) (C I + diag(w)^2)^{-1} V^T / (C N)."""
    snr = flow.snr
    return Equal(velocity, snr.left * DiagMatrix(snr.values) * snr.resolvent * snr.right.T / (C * N))


def unprojected_flow(flow: SingularValueFlow, where: Setting) -> Derivation:
    """Step along the unprojected gradient, then whiten: each singular value moves by w / (C N (C + w^2))."""
    snr = flow.snr
    diagonal, left = DiagMatrix(snr.values), snr.left
    root, motion = inverse_root(), unprojected_motion(flow, unprojected_velocity(flow))
    normal = left * diagonal**2 * snr.resolvent**2 * left.T / (C * N)
    return Derivation(
        "The flow of unprojected gradient steps with renormalisation",
        where,
        (
            _gradient_step(flow),
            *covariance_steps(flow),
            Step(
                "inverse root",
                root,
                "If Sigma_W = I + epsilon Q + O(epsilon^2), then I - epsilon Q / 2 whitens it up to O(epsilon^2): the "
                "derivative of Sigma_W^{-1/2} at I is -Q/2.",
                Star(()),
            ),
            Step(
                "whitening",
                Equal(product(1 / (2 * C * N), _turned_gradient(flow)), normal),
                "The unprojected step changes Sigma_W along the part of the gradient that lies along R.",
                Star(),
            ),
            Step(
                "velocity",
                motion,
                "w / (N (C + w^2)^2) from the class means and w^3 / (C N (C + w^2)^2) from the whitening add up to "
                "w / (C N (C + w^2)).",
                Star(),
            ),
            Step(
                "flow",
                AllOf((flow.gradient_statement, root, motion)),
                "The gradient, the derivative of the inverse root, and the velocity of the SNR matrix.",
                Conjunction(("gradient", "inverse root", "velocity")),
            ),
        ),
    )
