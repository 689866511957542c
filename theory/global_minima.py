"""Global minima of deep linear models, from their critical values: scalar problems, lengths, frames, collapse.

In the notation of `critical_values`: X P = X_opt P at every minimiser, P being the projection to all singular
directions of the targets that are not at their threshold. At a threshold a minimiser may keep a direction or drop it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import broken_examples, critical_examples, critical_values
from .balance import K, half_integers, rows_of
from .critical_values import CriticalPoint, a, gamma, lam_H, lam_M
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, NormZero, Square, Star
from .proof.statement import AllOf, Equal, Invertible, Statement
from .scalar_problem import M, x
from .symbols import frobenius_squared, n, ones

xi = sp.Symbol("xi", nonnegative=True)
lam_V = sp.Symbol("lambda_V", positive=True)
c, e = (sp.Symbol(name, integer=True, positive=True) for name in "ce")

# ---- one scalar problem a class
POINT = CriticalPoint(labels=True, aligned=True)
CLASS = sp.MatrixSymbol("u", K, 1)


def reduction() -> AllOf:
    """f at a critical point and at the factors of X_opt, the difference, and a common eigenvector u: labels Y.

    In u, with Y Y^T u = n u and X u = xi u, the matrix whose trace is 2 f has the eigenvalue (n/N) g_b(xi), for
    b = M (N/n) gamma.
    """
    at = POINT
    matrix = at.spectral(at.spectrum, at.power)
    slope = M * at.samples / n * gamma
    eigenvalue = n / at.samples * (1 / (1 + xi**M) + slope * xi)
    return AllOf(
        (
            Equal(at.value, sp.Trace(matrix) / 2),
            Equal(at.scatter * at.spectrum, at.spectrum * at.scatter),
            Equal(matrix * CLASS, eigenvalue * CLASS),
            Equal(at.least, sp.Trace(at.spectral(at.roots, at.powers)) / 2),
            critical_values.gap(at),
        )
    )


def reduction_setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    where = critical_examples.setting(POINT, parameters, minimal=False)
    at, Y = POINT, POINT.given
    hypotheses = (
        *where.hypotheses,
        Hypothesis("class", Equal(Y * Y.T * CLASS, n * CLASS), "u belongs to a class of n samples"),
        Hypothesis("eigenvalue", Equal(at.spectrum * CLASS, xi * CLASS), "a common eigenvector"),
        Hypothesis("its power", Equal(at.power * CLASS, xi**M * CLASS), "Q = X^M"),
    )

    def of_class(values: Values, k: int) -> Values:
        labels, upper = sp.Matrix(values[Y]), sp.Matrix(values[at.layers[0]])
        unit = [[sp.Integer(int(row == k))] for row in range(values[K])]
        root = values[lam_M] / values[gamma] * (upper * upper.T)[k, k]
        return {**values, CLASS: unit, n: (labels * labels.T)[k, k], xi: root}

    def sample(rng: random.Random) -> Values:
        if rng.random() < 0.2:  # X and X_opt are both positive in one direction
            return of_class(broken_examples.another_optimum(at).values(), rng.randrange(2))
        values = where.sample(rng)
        return of_class(values, rng.randrange(values[K]))

    def other_power(_: random.Random) -> Values:
        return of_class(broken_examples.another_optimum(at, root=2).values(), 0)

    def no_class(_: random.Random) -> Values:
        values = broken_examples.turned_layer(at).values()
        return {**values, CLASS: [[sp.S.Zero]] * 2, n: sp.S.One, xi: sp.S.One}

    return replace(where, hypotheses=hypotheses, sample=sample, wider=(other_power, no_class))


# Dang et al. 2023, section 4
def reduced(where: Setting) -> Derivation:
    """Minimising f is minimising g_b for each class."""
    says = reduction()
    *_, eigenvalue, _, _ = says.parts
    resolvent = (sp.Identity(K) + POINT.power).inv()
    return Derivation(
        "One scalar problem for each class",
        where,
        (
            *critical_values.gap_steps(POINT),
            *critical_values.commuting_steps(POINT),
            Step(
                "metric of a class",
                Equal((sp.Identity(K) + POINT.power) * CLASS / (1 + xi**M), CLASS),
                "(I + X^M) u = (1 + xi^M) u.",
                Star(("its power",)),
            ),
            Step(
                "resolvent of a class",
                Equal(resolvent * CLASS, CLASS / (1 + xi**M)),
                "Multiply by the inverse.",
                Star(("metric of a class",)),
            ),
            Step(
                "scalar problem",
                eigenvalue,
                "u is an eigenvector of every factor.",
                Star(("class", "resolvent of a class", "eigenvalue", "common eigenvectors", "resolvents commute")),
            ),
            Step(
                "together",
                says,
                "The parts.",
                Conjunction(("value", "common eigenvectors", "scalar problem", "optimal value", "gap")),
            ),
        ),
    )


# ---- all minimisers, for any targets and for labels


@dataclass(frozen=True)
class Minimisers:
    """What holds at every global minimum, for one kind of targets."""

    at: CriticalPoint

    @property
    def means(self) -> MatrixExpr:
        """Hbar (d x K), the class means of the features; of labels."""
        Y, H = self.at.given, self.at.features
        return H * Y.T / n if self.at.balanced else H * Y.T * (Y * Y.T).inv()

    @property
    def least(self) -> Equal:
        """f* = 1/2 tr(Theta (I + X_opt^M)^{-1} + M gamma X_opt)."""
        at = self.at
        if not at.balanced:
            return Equal(at.value, sp.Trace(at.spectral(at.roots, at.powers)) / 2)
        rank = K - 1 if at.bias else K
        return Equal(at.value, rank / (2 * K) * (1 / (1 + x**M) + M * K * gamma * x))

    @property
    def conclusions(self) -> dict[str, Statement]:
        at = self.at
        W, H, P = at.weights, at.features, at.settled
        ridge = at.samples * lam_H
        weights = Equal(W * W.T * P, ridge * at.powers * P)
        inverse = (sp.Identity(K) + at.powers).inv()
        if not at.labels:
            left = at.target * at.target.T
            return {
                "least": self.least,
                "weights": weights,
                "singular vectors": Equal(left * W * W.T, W * W.T * left),
                "outputs": Equal((W * H).T * P, at.target.T * inverse * at.powers * P),
                "ridge": Equal(H, W.T * (sp.Identity(K) + at.power).inv() * at.target / ridge),
            }
        means = self.means
        if not at.balanced:
            return {
                "least": self.least,
                "weights": weights,
                "collapse": Equal(H, means * at.given),
                "means": Equal(means.T * means * P, inverse * inverse * at.powers * P / ridge),
                "outputs": Equal(W * means * P, inverse * at.powers * P),
            }
        power, frame = x**M, at.projection
        found: dict[str, Statement] = {
            "least": self.least,
            "frame of weights": Equal(W * W.T, ridge * power * frame),
            "collapse": Equal(H, means * at.given),
            "frame of means": Equal(means.T * means, power / (ridge * (1 + power) ** 2) * frame),
            "frame of outputs": Equal(W * means, power / (1 + power) * frame),
            "alignment": Equal(W, ridge * (1 + power) * means.T),
        }
        return found | ({"bias": Equal(at.free, ones(K) / K)} if at.bias else {})

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        where = critical_examples.setting(self.at, parameters, minimal=True)
        if not self.at.labels:
            any_point = (lambda rng: critical_examples.example(rng, self.at, minimal=False),)
            return replace(where, wider=(*any_point, *broken_examples.labelled_cases(self.at)))
        where = replace(where, wider=broken_examples.cases(self.at))
        if self.at.balanced:
            return where
        sizes = Hypothesis("no empty class", Invertible(self.at.given * self.at.given.T), "diag(n_1, ..., n_K)")
        return replace(where, hypotheses=(*where.hypotheses, sizes))


# Dang et al. 2023, sections 3 and 4
def minima(problem: Minimisers, where: Setting) -> Derivation:
    """f*, and the weights, features and outputs of every minimiser."""
    at = problem.at
    conclusions = problem.conclusions
    steps = [*critical_values.gap_steps(at), *critical_values.minimal_steps(at)]
    if at.balanced:
        steps += _frames(problem)
    elif at.labels:
        steps += _lengths(problem)
    else:
        steps += [*critical_values.commuting_steps(at), *_directions(problem)]
    steps.append(Step("together", problem.statement, "The parts.", Conjunction(tuple(conclusions))))
    return Derivation("All global minima of a deep linear model", where, tuple(steps))


def _settled_resolvent(at: CriticalPoint) -> Step:
    resolvent, inverse = ((sp.Identity(K) + power).inv() for power in (at.power, at.powers))
    return Step(
        "resolvents agree",
        Equal(resolvent * at.settled, inverse * at.settled),
        "Powers that agree have resolvents that do.",
        Star(("powers agree", "settled")),
    )


def _powers_agree(at: CriticalPoint) -> Step:
    return Step(
        "powers agree",
        Equal(at.power * at.settled, at.powers * at.settled),
        "X^M - X_opt^M is a multiple of X - X_opt.",
        Star(("difference of powers", "X")),
    )


def _least(problem: Minimisers) -> Step:
    return Step("least", problem.least, "The minimum is attained.", Star(("minimiser", "optimal value")))


def _directions(problem: Minimisers) -> list[Step]:
    at, says = problem.at, problem.conclusions
    return [
        _least(problem),
        _powers_agree(at),
        _settled_resolvent(at),
        Step(
            "singular vectors",
            says["singular vectors"],
            "W W^T is a power of X, and X commutes with T T^T.",
            Star(("lengths", "powers commute")),
        ),
        Step(
            "outputs",
            says["outputs"],
            "W H = T - (I + X^M)^{-1} T.",
            Star(("residual", "resolvents agree")),
        ),
    ]


def _lengths(problem: Minimisers) -> list[Step]:
    at, says = problem.at, problem.conclusions
    ridge = at.samples * lam_H
    shrunk = at.weights.T * (sp.Identity(K) + at.power).inv() / ridge
    return [
        _least(problem),
        _powers_agree(at),
        _settled_resolvent(at),
        Step("class means", Equal(problem.means, shrunk), "Y Y^T (Y Y^T)^{-1} = I.", Star(("ridge",))),
        Step("collapse", says["collapse"], "The features are these means.", Star(("ridge", "class means"))),
        Step(
            "means",
            says["means"],
            "Insert W W^T.",
            Star(("class means", "lengths", "powers agree", "resolvents agree", "settled")),
        ),
        Step(
            "outputs",
            says["outputs"],
            "Insert W W^T.",
            Star(("class means", "lengths", "powers agree", "resolvents agree", "settled")),
        ),
    ]


def projection_steps(frame: MatrixExpr) -> tuple[Step, ...]:
    """F 1 = 0 and F^2 = F, for F = I - 1 1^T/K, which "frame" says."""
    return (
        Step("lost direction", Equal(frame * ones(K), sp.ZeroMatrix(K, 1)), "1^T 1 = K.", Star(("frame",))),
        Step("projection", Equal(frame**2, frame), "F 1 = 0.", Star(("frame", "lost direction"))),
    )


def mean_steps(lost: MatrixExpr) -> tuple[Step, ...]:
    """W - F W = 0, from "frame of weights" and "projection"."""
    return (
        Step(
            "length of the mean",
            Equal(frobenius_squared(lost), sp.S.Zero),
            "Insert W W^T.",
            Star(("frame of weights", "projection")),
        ),
        Step(
            "mean",
            Equal(lost, sp.ZeroMatrix(*lost.shape)),
            "Rows of W add up to zero.",
            NormZero("length of the mean", (Square(1, lost),)),
        ),
    )


def _frames(problem: Minimisers) -> list[Step]:
    at, says = problem.at, problem.conclusions
    W, ridge = at.weights, at.samples * lam_H
    resolvent = (sp.Identity(K) + at.power).inv()
    shrunk = Equal(W.T * resolvent, W.T / (1 + x**M))
    using = ("mean",) if at.bias else ()
    labels = (
        "equal classes",
        *(("frame",) if at.bias else ()),
        *(("centred targets", "class sizes") if at.bias else ()),
    )
    means = Equal(problem.means, W.T / (ridge * (1 + x**M)))
    frame = ("frame", "lost direction", "projection") if at.bias else ()
    return [
        *(projection_steps(at.projection) if at.bias else ()),
        Step(
            "metric of the frame",
            Equal((sp.Identity(K) + at.powers) * at.projection / (1 + x**M), at.projection),
            "(I + x^M P) P = (1 + x^M) P.",
            Star(("Q_opt", *frame[1:])),
        ),
        Step(
            "inverse of the frame",
            Equal((sp.Identity(K) + at.powers).inv() * at.projection, at.projection / (1 + x**M)),
            "Multiply by the inverse.",
            Star(("metric of the frame",)),
        ),
        Step(
            "scatter",
            Equal(at.scatter, at.projection / K),
            "Classes have n samples each.",
            Star(labels),
        ),
        Step(
            "least",
            problem.least,
            "Insert X_opt = x P, and tr P.",
            Star(("minimiser", "optimal value", "scatter", "inverse of the frame", "X_opt", *frame)),
        ),
        Step("frame of weights", says["frame of weights"], "Insert X_opt^M.", Star(("weights", "Q_opt"))),
        *(mean_steps(W - at.projection * W) if at.bias else ()),
        Step(
            "shrunk",
            Equal((sp.Identity(K) + at.power) * W / (1 + x**M), W),
            "W W^T W = N lam_H x^M W.",
            Star(("lengths", "frame of weights", *using)),
        ),
        Step("resolvent of the frame", shrunk, "Multiply by the inverse.", Star(("shrunk",))),
        Step(
            "class means",
            means,
            "Insert the features.",
            Star(("ridge", "resolvent of the frame", *using, *labels)),
        ),
        Step(
            "collapse",
            says["collapse"],
            "The features are these means.",
            Star(("ridge", "resolvent of the frame", "class means", *using, *labels)),
        ),
        Step("frame of means", says["frame of means"], "Insert W W^T.", Star(("class means", "frame of weights"))),
        Step("frame of outputs", says["frame of outputs"], "Insert W W^T.", Star(("class means", "frame of weights"))),
        Step("alignment", says["alignment"], "The class means are multiples.", Star(("class means",))),
    ]


# ---- collapse
@dataclass(frozen=True)
class Collapse:
    """Where each scalar problem is above its threshold; V (c x e) is any of the layers, or the features."""

    @property
    def at(self) -> CriticalPoint:
        return CriticalPoint(dead=True)

    @property
    def layer(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("V", c, e)

    @property
    def statement(self) -> AllOf:
        """f less its value at zero, and the decay of V: Z = 0 where f is least, and V is zero where Z is."""
        decays = Equal(lam_V * frobenius_squared(self.layer), gamma * sp.Trace(self.at.excess * self.at.quotient))
        return AllOf((critical_values.gap(self.at), decays))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        where = critical_examples.setting(self.at, parameters, minimal=False)
        upper = self.at.layers[0]
        says = Equal(lam_V * frobenius_squared(self.layer), lam_M * frobenius_squared(upper))
        balanced = Hypothesis("equal decays", says, "layers are balanced", critical_values.POWER)

        def sample(rng: random.Random) -> Values:
            values = dict(where.sample(rng))
            (scale,) = half_integers(rng, 1)
            layer = scale * sp.Matrix(values[upper]).T
            own = {c: values[a], e: values[K], lam_V: values[lam_M] / scale**2}
            return values | own | {self.layer: rows_of(layer)}

        return replace(where, hypotheses=(*where.hypotheses, self.at.unique, balanced), sample=sample)


# Dang et al. 2023, section 3
def collapsed(problem: Collapse, where: Setting) -> Derivation:
    """All weights and features of every minimiser are zero."""
    _, decays = problem.statement.parts
    return Derivation(
        "Weights and features that are all zero",
        where,
        (
            *critical_values.gap_steps(problem.at),
            Step(
                "decays",
                decays,
                "All layers have the decay of the top one, which is gamma tr X.",
                Star(("equal decays", "unique eigenvalues")),
            ),
            Step("together", problem.statement, "The parts.", Conjunction(("gap", "decays"))),
        ),
    )
