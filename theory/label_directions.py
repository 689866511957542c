"""Directions of centred labels: which of them live at a minimum, and the balanced case, in which all do or none does.

In the left singular vector u_i of Yhat (`centred_labels`) f adds up sigma_i^2/(2N) g_b(x), b = M (N/sigma_i^2) gamma,
and x_i minimises g_b (`scalar_problem`): zero for b > beta_M, and then W^T u_i = 0; it is positive for b < beta_M, and
then W W^T u_i = N lam_H x_i^M u_i. A row w_k is zero only where u_ik = 0 for every living direction i, so what
collapses is a direction and not a class (Liu 2024, arXiv 2411.17278).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import broken_examples, scalar_problem
from .balance import K, N, half_integers, orthonormal, rows_of
from .centred_labels import RIDGE, WIDTH, S, Scalars, one_hot
from .critical_examples import ROOTS, Eigenvalues, Example, direction
from .critical_values import CriticalPoint, d, lam_H
from .derivation import Derivation, Hypothesis, Setting, Step
from .global_minima import Minimisers, mean_steps, projection_steps
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, NormZero, Poly, Rewrite, Root, Shift, Square, Star
from .proof.statement import (
    AllOf,
    Equal,
    Nonnegative,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
    Statement,
)
from .scalar_problem import M, ScalarProblem, b, x
from .symbols import POSITIVE, frobenius_squared, integers, ones, ones_row, reals
from .symbols import n as size

W = sp.MatrixSymbol("W", K, d)
Q = sp.MatrixSymbol("Q_opt", K, K)
P = sp.MatrixSymbol("P", K, K)
LIVING, DEAD = sp.MatrixSymbol("u", K, 1), sp.MatrixSymbol("v", K, 1)
ridge = N * lam_H


@dataclass(frozen=True)
class Directions:
    """A living direction u with b < beta_M, and a dead one v with b > beta_M, none of them at its threshold."""

    problem: ScalarProblem = field(default_factory=scalar_problem.scalar_problem)

    @property
    def parameters(self) -> Scalars:
        return {
            M: (integers(1), "number of layers M"),
            **WIDTH,
            **RIDGE,
            self.problem.threshold: (POSITIVE, "threshold beta_M"),
            self.problem.other: (reals(0), "(M - 1)^(1/M)"),
            self.problem.excess: (POSITIVE, "distance from the threshold"),
            b: (POSITIVE, "slope b_i of a direction"),
            x: (POSITIVE, "minimiser x_i of its scalar problem"),
        }

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        _, _, threshold, other = self.problem.hypotheses
        return (
            threshold,
            other,
            Hypothesis("weights", Equal(W * W.T * P, ridge * Q * P), "at every global minimiser (geometry)"),
            Hypothesis("living", Equal(Q * LIVING, x**M * LIVING), "X_opt has the eigenvalue x in u"),
            Hypothesis("living, off the threshold", Equal(P * LIVING, LIVING), "b < beta_M in u"),
            Hypothesis("dead", Equal(Q * DEAD, sp.ZeroMatrix(K, 1)), "X_opt has the eigenvalue 0 in v"),
            Hypothesis("dead, off the threshold", Equal(P * DEAD, DEAD), "b > beta_M in v"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        beta, s, more, g = self.problem.threshold, self.problem.other, self.problem.excess, self.problem.objective
        return {
            "above": Positive(g(x, beta + more) - 1),
            "below": Equal(M * (1 - g(s, b)), M * (beta - b) * s),
            "one layer": Positive(1 - 1 / (1 + more) - (1 - more) * more),
            "survival": Equal(W * W.T * LIVING, ridge * x**M * LIVING),
            "collapse": Equal(W.T * DEAD, sp.ZeroMatrix(d, 1)),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        """Exact examples have M = 1 or 2: beta is irrational for all others."""

        def sample(rng: random.Random) -> Values:
            depth, classes = rng.randint(1, 2), rng.randint(2, 3)
            root = sp.Rational(rng.randint(1, 12), 4)
            (size,) = half_integers(rng, 1)
            basis = sp.Matrix(orthonormal(rng, classes, classes))
            free = sp.diag(*([1, 1] + [rng.randint(0, 1)] * (classes - 2)))
            squares = [root**depth, sp.S.Zero, rng.choice((sp.S.Zero, sp.S.One))][:classes]
            width = 4 * classes
            # at a threshold, outside of P, W W^T may differ from N lam_H Q
            own = [value if free[i, i] else rng.choice((sp.S.Zero, sp.S.One)) for i, value in enumerate(squares)]
            samples = classes + rng.randint(0, 2)
            excess, slope = (sp.Rational(rng.randint(1, 8), 8) for _ in range(2))
            if rng.random() < 0.2:  # close to where both sides are equal
                root, excess = sp.Rational(1, 40) if depth == 1 else sp.S.One, sp.Rational(1, 5000)
                squares[0] = root**depth
                own[0] = squares[0] if free[0, 0] else own[0]
            values: dict[Any, Any] = {M: depth, K: classes, N: samples, d: width, lam_H: size, x: root, b: slope}
            values |= {self.problem.threshold: sp.Rational(1, depth), self.problem.other: sp.Integer(depth - 1)}
            values[self.problem.excess] = excess
            matrices = {
                W: basis * broken_examples.spread([samples * size * value for value in own], width),
                Q: basis * sp.diag(*squares) * basis.T,
                P: basis * free * basis.T,
                LIVING: basis[:, 0],
                DEAD: basis[:, 1],
            }
            return values | {name: rows_of(sp.Matrix(matrix)) for name, matrix in matrices.items()}

        return Setting(parameters, self.hypotheses, sample, (Q, P))


# Liu 2024
def direction_collapse(problem: Directions, where: Setting) -> Derivation:
    """Above the threshold a direction of W is zero; below it zero is no minimiser of its scalar problem."""
    beta, other, says = problem.problem.threshold, problem.problem.other, problem.conclusions
    lost = Equal(frobenius_squared(W.T * DEAD), sp.S.Zero)
    return Derivation(
        "A direction of the centred labels collapses exactly above its threshold",
        where,
        (
            *scalar_problem.above_threshold(Nonnegative, beta, names="at the threshold: ", given="threshold"),
            Step(
                "above",
                says["above"],
                "g at beta + epsilon is g_beta + epsilon x.",
                Poly(using=("at the threshold: value",)),
            ),
            Step("line", Equal((M * beta * other) ** M, (M - 1) ** M), "Multiply the equations.", Star()),
            Step("root", Equal(M * beta * other, M - 1), "Take roots.", Root("line", M * beta * other, M - 1, M)),
            Step("below", says["below"], "1 + s^M = M, and M beta s = M - 1.", Star(("root", "other minimiser"))),
            Step("one layer", says["one layer"], "It is epsilon^3/(1 + epsilon).", Poly(using=())),
            Step(
                "survival",
                says["survival"],
                "Insert both eigenvalues.",
                Star(("weights", "living", "living, off the threshold")),
            ),
            Step(
                "length",
                lost,
                "v^T W W^T v = N lam_H v^T X_opt^M v.",
                Star(("weights", "dead", "dead, off the threshold")),
            ),
            Step("collapse", says["collapse"], "A vanishing norm.", NormZero("length", (Square(1, W.T * DEAD),))),
            Step("together", problem.statement, "The parts.", Conjunction(tuple(says))),
        ),
    )


# ---- classes of one size
side = sp.Symbol("s", positive=True)
SIDE = (side, POSITIVE, "root of the class size")


@dataclass(frozen=True)
class Balanced:
    """What `centred_labels` says of minimisers, for n samples of each class, none at its threshold (P = I).

    The statement is that of `global_minima` for balanced labels with a free bias, and that Yhat has one singular value.
    """

    @property
    def minimisers(self) -> Minimisers:
        return Minimisers(CriticalPoint(labels=True, balanced=True, bias=True))

    @property
    def labels(self) -> MatrixExpr:
        """Yhat = (I - Y 1 1^T/N) S, with N = K n."""
        at = self.minimisers.at
        return (sp.Identity(K) - at.given * ones(at.samples) * ones_row(K) / at.samples) * S

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        at = self.minimisers.at
        samples, unit = at.samples, sp.Identity(K)
        W, H, Q, means = at.weights, at.features, at.powers, self.minimisers.means
        features = W.T * (unit + Q).inv() * self.labels / (samples * lam_H)
        mean = at.given * ones(samples) / samples
        frame = [each for each in at.balanced_factors if each.name in ("frame", "X_opt", "Q_opt")]
        return (
            Hypothesis("one label each", Equal(ones_row(K) * at.given, ones_row(samples)), "one-hot labels"),
            Hypothesis("equal classes", Equal(at.given * at.given.T, size * unit), "n samples of each class"),
            Hypothesis("centred targets", Equal(at.target, at.given - mean * ones_row(samples)), "T = Y (I - 1 1^T/N)"),
            Hypothesis("roots of sizes", Equal(S, side * unit), "S = diag(n)^(1/2)"),
            Hypothesis("root", Equal(side**2, size), "s = n^(1/2)"),
            *frame,
            Hypothesis("least of geometry", Equal(at.value, sp.Trace(at.spectral(at.roots, Q)) / 2), "geometry"),
            Hypothesis("weights", Equal(W * W.T, samples * lam_H * Q), "geometry"),
            Hypothesis("collapse of geometry", Equal(H, means * at.given), "geometry"),
            Hypothesis("features", Equal(means * S, features), "geometry"),
            Hypothesis("bias of geometry", Equal(at.free, mean), "geometry"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        spectrum = Equal(self.labels * self.labels.T, size * self.minimisers.at.projection)
        return {"spectrum": spectrum, **self.minimisers.conclusions}

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        at = self.minimisers.at

        def sample(rng: random.Random) -> Values:
            depth, classes, root = rng.randint(1, 3), rng.randint(2, 3), rng.randint(1, 2)
            alive = direction(rng, depth, sp.Rational(rng.choice(ROOTS[depth])), minimal=True)
            alive = Eigenvalues(alive.best, alive.best, alive.target)
            given = one_hot([root**2] * classes)
            unit = 1 / (classes * alive.target**2)
            found = Example(at, depth, unit, sp.eye(classes), [alive] * classes, given, given, sp.eye(given.shape[1]))
            return {**found.values(rng), S: rows_of(root * sp.eye(classes)), side: sp.Integer(root)}

        return Setting(parameters, self.hypotheses, sample, (*at.symmetric, S), at.definitions)


# Liu 2024
def balanced(problem: Balanced, where: Setting) -> Derivation:
    """A simplex ETF: Yhat has one singular value."""
    at, says = problem.minimisers.at, problem.conclusions
    W, Q, F, means = at.weights, at.powers, at.projection, problem.minimisers.means
    samples, power, unit = at.samples, x**M, sp.Identity(K)
    resolvent, ridge = (unit + Q).inv(), at.samples * lam_H
    total, labels = Equal(at.given * ones(samples), size * ones(K)), Equal(problem.labels, side * F)
    return Derivation(
        "Classes of one size",
        where,
        (
            Step("sizes", total, "Y Y^T 1 = Y 1.", Star(("one label each", "equal classes"))),
            Step("Yhat", labels, "Insert the sizes.", Star(("sizes", "roots of sizes", "frame"))),
            *projection_steps(F),
            Step("spectrum", says["spectrum"], "s^2 = n.", Star(("sizes", "roots of sizes", "root", "frame"))),
            Step("frame of weights", says["frame of weights"], "Insert Q_opt.", Star(("weights", "Q_opt"))),
            Step("gram", PositiveSemidefinite(W * W.T / ridge), "A Gram matrix.", Gram((Square(1 / ridge, W),))),
            Step("lengths", Equal(W * W.T / ridge, Q), "The same.", Star(("weights",))),
            Step("psd", PositiveSemidefinite(Q), "They are equal.", Rewrite("gram", "lengths")),
            Step("metric", PositiveDefinite(unit + Q), "A psd matrix plus I.", Shift("psd", sp.S.One)),
            *mean_steps(W - F * W),
            Step(
                "metric of W",
                Equal((unit + Q) * W / (1 + power), W),
                "(I + x^M F) W = (1 + x^M) W.",
                Star(("Q_opt", "mean")),
            ),
            Step(
                "resolvent of W",
                Equal(W.T * resolvent, W.T / (1 + power)),
                "Multiply by the inverse.",
                Star(("metric of W",)),
            ),
            Step(
                "metric of F",
                Equal((unit + Q) * F / (1 + power), F),
                "(I + x^M F) F = (1 + x^M) F.",
                Star(("Q_opt", "projection")),
            ),
            Step(
                "resolvent of F",
                Equal(resolvent * F, F / (1 + power)),
                "Multiply by the inverse.",
                Star(("metric of F",)),
            ),
            Step(
                "class means",
                Equal(means, W.T / (ridge * (1 + power))),
                "Yhat = s F, and W^T F = W^T.",
                Star(("features", "Yhat", "roots of sizes", "resolvent of W", "mean")),
            ),
            Step(
                "scatter",
                Equal(at.scatter, F / K),
                "T T^T = Y Y^T - Y 1 (Y 1)^T/N.",
                Star(("centred targets", "equal classes", "sizes", "frame")),
            ),
            Step(
                "least",
                says["least"],
                "Insert X_opt = x F; tr F = K - 1.",
                Star(
                    ("least of geometry", "scatter", "resolvent of F", "X_opt", "frame", "lost direction", "projection")
                ),
            ),
            Step("collapse", says["collapse"], "As it was.", Star(("collapse of geometry",))),
            Step("frame of means", says["frame of means"], "Insert W W^T.", Star(("class means", "frame of weights"))),
            Step(
                "frame of outputs", says["frame of outputs"], "Insert W W^T.", Star(("class means", "frame of weights"))
            ),
            Step("alignment", says["alignment"], "The class means are multiples.", Star(("class means",))),
            Step("bias", says["bias"], "n/N = 1/K.", Star(("bias of geometry", "sizes"))),
            Step("together", problem.statement, "The parts.", Conjunction(tuple(says))),
        ),
    )
