"""Critical points of deep linear models: balanced layers, and features that are a ridge regression.

One layer A above another B, with P the product of all layers above and R the product of all below and the features:

    f = ||P A B R + b 1^T - Y||_F^2 / (2N) + (lam_A/2) ||A||_F^2 + (lam_B/2) ||B||_F^2 + what neither depends on.

A = W_{m+1} and B = W_m, or A = W_1 and B = H with R = I (Dang et al. 2023; N is the number of samples in all). The
first term may be any differentiable function g of the logits Z = P A B R: of it only the gradient G at Z plays a part.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Differentiate, Gram, Shift, Square, Star
from .proof.statement import AllOf, Equal, GradientIs, PositiveDefinite, PositiveSemidefinite
from .statistics import random_matrix
from .symbols import frobenius_squared, ones_row

K = sp.Symbol("K", integer=True, positive=True)
N = sp.Symbol("N", integer=True, positive=True)
Rows = list[list[Any]]


def rows_of(matrix: sp.MatrixBase) -> Rows:
    return [list(row) for row in matrix.tolist()]


def half_integers(rng: random.Random, count: int) -> list[Any]:
    """Positive ones, at most 2."""
    return [sp.Rational(rng.randint(1, 4), 2) for _ in range(count)]


def full_rank(rng: random.Random, rows: int, columns: int) -> sp.Matrix:
    """A random rational matrix whose rank is the smaller of its sizes."""
    while True:
        found = sp.Matrix(random_matrix(rng, rows, columns, scale=2))
        if found.rank() == min(rows, columns):
            return found


def orthonormal(rng: random.Random, rows: int, columns: int) -> sp.Matrix:
    """Orthonormal rational columns: of a reflection."""
    direction = sp.Matrix(random_matrix(rng, rows, 1))
    if not any(direction):
        return sp.eye(rows)[:, :columns]
    reflection = sp.eye(rows) - 2 * direction * direction.T / (direction.T * direction)[0]
    return reflection[:, :columns]


# Dang et al. 2023, section 3
@dataclass(frozen=True)
class TwoLayers:
    """A (a x c) above B (c x e), with P (K x a) above and R (e x N) below; their decays; Y (K x N) and a bias.

    Unless ``square``, the data term is any g(Z) with the gradient G (K x N) at the critical point: in a layer it has
    the gradient of the linear function tr(G^T Z), by the chain rule.
    """

    sizes: tuple[sp.Symbol, sp.Symbol, sp.Symbol]
    decays: tuple[sp.Symbol, sp.Symbol]
    square: bool = True

    @property
    def above(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("P", K, self.sizes[0])

    @property
    def free(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """A and B, of which the objective is a function."""
        a, c, e = self.sizes
        return sp.MatrixSymbol("A", a, c), sp.MatrixSymbol("B", c, e)

    @property
    def critical(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """A and B at a critical point."""
        a, c, e = self.sizes
        return sp.MatrixSymbol("A_0", a, c), sp.MatrixSymbol("B_0", c, e)

    @property
    def below(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("R", self.sizes[2], N)

    @property
    def targets(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("Y", K, N)

    @property
    def bias(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("b", K, 1)

    @property
    def sensitivity(self) -> sp.MatrixSymbol:
        """G."""
        return sp.MatrixSymbol("G", K, N)

    def logits(self, upper: Any, lower: Any) -> MatrixExpr:
        return self.above * upper * lower * self.below

    def errors(self, upper: Any, lower: Any) -> MatrixExpr:
        return self.logits(upper, lower) + self.bias * ones_row(N) - self.targets

    def objective(self, upper: Any, lower: Any) -> sp.Expr:
        """f, but for terms that depend on neither layer."""
        decay = self.decays[0] * frobenius_squared(upper) + self.decays[1] * frobenius_squared(lower)
        if not self.square:
            return sp.Trace(self.sensitivity.T * self.logits(upper, lower)) + decay / 2
        return frobenius_squared(self.errors(upper, lower)) / (2 * N) + decay / 2

    def slopes(self, upper: Any, lower: Any) -> tuple[MatrixExpr, MatrixExpr]:
        """The gradients in A and in B."""
        gradient = self.errors(upper, lower) / N if self.square else self.sensitivity
        shared = self.above.T * gradient * self.below.T
        return shared * lower.T + self.decays[0] * upper, upper.T * shared + self.decays[1] * lower

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        return tuple(
            Hypothesis(f"critical in {name}", Equal(slope, sp.ZeroMatrix(*layer.shape)), "the gradient vanishes")
            for name, layer, slope in zip("AB", self.critical, self.slopes(*self.critical), strict=True)
        )

    @property
    def gradients(self) -> tuple[GradientIs, GradientIs]:
        (upper, lower), (upper_0, lower_0) = self.free, self.critical
        return (
            GradientIs(self.objective(upper, lower_0), upper, self.slopes(upper, lower_0)[0]),
            GradientIs(self.objective(upper_0, lower), lower, self.slopes(upper_0, lower)[1]),
        )

    @property
    def balance(self) -> Equal:
        upper, lower = self.critical
        return Equal(self.decays[0] * upper.T * upper, self.decays[1] * lower * lower.T)

    @property
    def statement(self) -> AllOf:
        return AllOf((*self.gradients, self.balance))

    def setting(self, parameters: Mapping[sp.Symbol, Range], definitions: Mapping[Any, Any] | None = None) -> Setting:
        return Setting(parameters, self.hypotheses, lambda rng: self.example(rng)[0], definitions=definitions or {})

    def example(self, rng: random.Random) -> tuple[dict[Any, Any], tuple[sp.Matrix, sp.Expr, sp.Matrix]]:
        """A critical point with a few equal singular values, targets or G that make it critical, and U, s, V of A."""
        a, c, e = (rng.randint(1, 2) for _ in range(3))
        classes, samples, shift = max(2, a + rng.randint(0, 1)), e + rng.randint(0, 2), min(a, c, e)
        left, middle, right = (orthonormal(rng, size, shift) for size in (a, c, e))
        alpha, beta, scale = half_integers(rng, 3)
        if self.decays[0] == self.decays[1]:
            beta = alpha
        above, below = full_rank(rng, classes, a), full_rank(rng, e, samples)
        slope = -alpha * beta * scale * left * right.T
        errors = above * (above.T * above).inv() * (samples * slope) * (below * below.T).inv() * below
        upper, lower = alpha * left * middle.T, beta * middle * right.T
        bias = sp.Matrix(random_matrix(rng, classes, 1))
        targets = above * upper * lower * below + bias * sp.ones(1, samples) - errors
        matrices = {
            self.above: above,
            self.critical[0]: upper,
            self.critical[1]: lower,
            self.free[0]: sp.Matrix(random_matrix(rng, a, c)),
            self.free[1]: sp.Matrix(random_matrix(rng, c, e)),
            self.below: below,
        }
        matrices |= {self.targets: targets, self.bias: bias} if self.square else {self.sensitivity: errors / samples}
        values: dict[Any, Any] = dict(zip(self.sizes, (a, c, e), strict=True))
        values |= {K: classes, N: samples, self.decays[0]: beta**2 * scale, self.decays[1]: alpha**2 * scale}
        values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
        return values, (left, alpha, middle)


def two_layers() -> TwoLayers:
    sizes = tuple(sp.Symbol(name, integer=True, positive=True) for name in "ace")
    upper, lower = sp.Symbol("lambda_A", positive=True), sp.Symbol("lambda_B", positive=True)
    return TwoLayers((sizes[0], sizes[1], sizes[2]), (upper, lower))


def balanced(layers: TwoLayers, where: Setting) -> Derivation:
    """lam_A A^T A = lam_B B B^T at every critical point."""
    gradients = [
        Step(
            f"gradient in {name}",
            says,
            "Differentiate the square and the decay term; it vanishes at a critical point.",
            Differentiate(),
        )
        for name, says in zip("AB", layers.gradients, strict=True)
    ]
    return Derivation(
        "Consecutive layers are balanced at every critical point",
        where,
        (
            *gradients,
            Step(
                "balance",
                layers.balance,
                "A^T times the first equation and the second times B^T share the term A^T P^T E R^T B^T / N.",
                Star(tuple(hypothesis.name for hypothesis in layers.hypotheses)),
            ),
            Step(
                "together",
                layers.statement,
                "The parts.",
                Conjunction((*(step.name for step in gradients), "balance")),
            ),
        ),
    )


# Dang et al. 2023, section 3
@dataclass(frozen=True)
class Features:
    """Features H (d x N) below the product W (K x d) of all layers; ``bias`` adds any b (K x 1)."""

    width: sp.Symbol
    decay: sp.Symbol
    bias: bool = False

    @property
    def weights(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("W", K, self.width)

    @property
    def free(self) -> sp.MatrixSymbol:
        """H, of which the objective is a function."""
        return sp.MatrixSymbol("H", self.width, N)

    @property
    def critical(self) -> sp.MatrixSymbol:
        """H at a critical point."""
        return sp.MatrixSymbol("H_0", self.width, N)

    @property
    def targets(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("Y", K, N)

    @property
    def offset(self) -> sp.MatrixSymbol:
        """b."""
        return sp.MatrixSymbol("b", K, 1)

    @property
    def shifted(self) -> MatrixExpr:
        """What W H is to be: the targets, less the bias."""
        return self.targets - self.offset * ones_row(N) if self.bias else self.targets

    def objective(self, features: Any) -> sp.Expr:
        errors = self.weights * features - self.shifted
        return frobenius_squared(errors) / (2 * N) + self.decay * frobenius_squared(features) / 2

    def slope(self, features: Any) -> MatrixExpr:
        return self.weights.T * (self.weights * features - self.shifted) / N + self.decay * features

    @property
    def metric(self) -> MatrixExpr:
        """W^T W + N lam_H I."""
        return self.weights.T * self.weights + N * self.decay * sp.Identity(self.width)

    @property
    def ridge(self) -> Equal:
        return Equal(self.critical, self.metric.inv() * self.weights.T * self.shifted)

    @property
    def statement(self) -> AllOf:
        return AllOf((self.gradient, self.ridge))

    @property
    def gradient(self) -> GradientIs:
        return GradientIs(self.objective(self.free), self.free, self.slope(self.free))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        critical = Equal(self.slope(self.critical), sp.ZeroMatrix(*self.critical.shape))

        def sample(rng: random.Random) -> Values:
            classes, samples, width = rng.randint(2, 3), rng.randint(1, 3), rng.randint(1, 3)
            (decay,) = half_integers(rng, 1)
            weights = sp.Matrix(random_matrix(rng, classes, width))
            any_targets = sp.Matrix(random_matrix(rng, classes, samples))
            return self.example(rng, decay, weights, any_targets)

        hypotheses = (Hypothesis("critical", critical, "the gradient in H vanishes"),)
        return Setting(parameters, hypotheses, sample)

    def example(self, rng: random.Random, decay: Any, weights: sp.Matrix, targets: sp.Matrix) -> dict[Any, Any]:
        """The features that are critical for these weights and targets, and others."""
        (classes, samples), width = targets.shape, weights.shape[1]
        wanted, values = targets, dict[Any, Any]()
        if self.bias:
            offset = sp.Matrix(random_matrix(rng, classes, 1))
            wanted, values = targets - offset * sp.ones(1, samples), {self.offset: rows_of(offset)}
        features = (weights.T * weights + samples * decay * sp.eye(width)).inv() * weights.T * wanted
        return values | {
            K: classes,
            N: samples,
            self.width: width,
            self.decay: decay,
            self.weights: rows_of(weights),
            self.critical: rows_of(features),
            self.free: random_matrix(rng, width, samples),
            self.targets: rows_of(targets),
        }


def features(bias: bool = False) -> Features:
    return Features(sp.Symbol("d", integer=True, positive=True), sp.Symbol("lambda_H", positive=True), bias)


def ridge_regression(problem: Features, where: Setting) -> Derivation:
    """H = (W^T W + N lam_H I)^{-1} W^T Y at every critical point."""
    gram = problem.weights.T * problem.weights
    return Derivation(
        "Features are a ridge regression at every critical point",
        where,
        (
            Step(
                "gradient",
                problem.gradient,
                "Differentiate the square and the decay term; it vanishes at a critical point.",
                Differentiate(),
            ),
            Step("gram", PositiveSemidefinite(gram), "A Gram matrix.", Gram((Square(1, problem.weights.T),))),
            Step(
                "metric",
                PositiveDefinite(problem.metric),
                "A psd matrix plus a positive multiple of I is positive definite.",
                Shift("gram", N * problem.decay),
            ),
            Step("ridge", problem.ridge, "Solve the linear equation for H.", Star()),
            Step("together", problem.statement, "The parts.", Conjunction(("gradient", "ridge"))),
        ),
    )
