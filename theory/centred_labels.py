"""One-hot labels of classes of any sizes, centred by a free bias: collapse, spectrum, geometry of the global minima.

n = Y 1 holds the class sizes, S = diag(n)^(1/2), and Yhat = (I - n 1^T/N) S. The best bias is n/N, which leaves the
targets T = Y (I - 1 1^T/N), with

    T T^T = Yhat Yhat^T = diag(n) - n n^T/N,    Hbar S = W^T (I + Q)^{-1} Yhat/(N lam_H),    W W^T = N lam_H Q

at every minimum (`critical_values`; X and Q = X^M have the left singular vectors u_i of Yhat). So w_k and hbar_k have
the coordinates p_i^(1/2) u_ik and, but for 1/(n_k N lam_H), p_i^(1/2) u_ik rho_i, rho_i = sigma_i^2/(1 + x_i^M). As
sigma_i^2 = M N gamma/b_i, the stationarity of x_i says rho = N gamma (x + x^(1-M)), which increases strictly where x is
the larger root (x^M >= M - 1): w_k is a multiple of hbar_k exactly if all living directions with u_ik != 0 have one
singular value (Liu 2024, arXiv 2411.17278, treats this case).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import balance, broken_examples, critical_examples, critical_values, global_minima
from .balance import K, N, half_integers, rows_of
from .critical_examples import Eigenvalues, Example, direction
from .critical_values import CriticalPoint, lam_H
from .derivation import Derivation, Hypothesis, Setting, Step
from .global_minima import Minimisers
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Let, Star
from .proof.statement import AllOf, Equal, Invertible, Statement
from .statistics import random_matrix
from .symbols import POSITIVE, integers, ones, ones_row

Scalars: TypeAlias = Mapping[sp.Symbol, tuple[Range, str]]  # parameters beside K and N: range and meaning
WIDTH: Scalars = {critical_values.d: (integers(1), "dimension of the features")}
RIDGE: Scalars = {lam_H: (POSITIVE, "decay of the features")}
Y = sp.MatrixSymbol("Y", K, N)
S = sp.MatrixSymbol("S", K, K)
n = sp.MatrixSymbol("n", K, 1)
Yhat = sp.MatrixSymbol("Yhat", K, K)
T = sp.MatrixSymbol("T", K, N)
Pi = sp.Identity(K) - n * ones_row(K) / N
SIZES = {n: Y * ones(N)}
LABELS = SIZES | {Yhat: Pi * S}
scatter = Y * Y.T - n * n.T / N
ONE_LABEL = Hypothesis("one label each", Equal(ones_row(K) * Y, ones_row(N)), "one-hot labels")
NO_EMPTY = Hypothesis("no empty class", Invertible(Y * Y.T), "diag(n_1, ..., n_K)")
ROOTS = Hypothesis("roots of sizes", Equal(S * S, Y * Y.T), "S = diag(n)^(1/2)")


def one_hot(counts: list[int]) -> sp.Matrix:
    """Y (K x N)."""
    labels = [k for k, count in enumerate(counts) for _ in range(count)]
    return sp.Matrix(len(counts), len(labels), lambda row, column: int(labels[column] == row))


# ---- collapse at every critical point
@dataclass(frozen=True)
class Collapse:
    """Features at a critical point of f in H, whatever layers and bias are: a column for each class."""

    parameters: ClassVar[Scalars] = {**WIDTH, **RIDGE}

    @property
    def problem(self) -> balance.Features:
        return balance.features(bias=True)

    @property
    def means(self) -> MatrixExpr:
        """Hbar (d x K)."""
        return self.problem.critical * Y.T * (Y * Y.T).inv()

    @property
    def columns(self) -> MatrixExpr:
        """(W^T W + N lam_H I)^{-1} W^T (I - b 1^T), in closed form."""
        fitted = sp.Identity(K) - self.problem.offset * ones_row(K)
        return self.problem.metric.inv() * self.problem.weights.T * fitted

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            "gradient": self.problem.gradient,
            "means": Equal(self.means, self.columns),
            "collapse": Equal(self.problem.critical, self.means * Y),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        where = self.problem.setting(parameters)

        def sample(rng: random.Random) -> Values:
            (decay,) = half_integers(rng, 1)
            counts = [rng.randint(1, 3) for _ in range(rng.randint(2, 3))]
            weights = sp.Matrix(random_matrix(rng, len(counts), rng.randint(1, 3)))
            return self.problem.example(rng, decay, weights, one_hot(counts))

        return replace(where, hypotheses=(*where.hypotheses, ONE_LABEL, NO_EMPTY), sample=sample)


# Liu 2024
def collapse(problem: Collapse, where: Setting) -> Derivation:
    """Features of a class are equal: ridge regression has one column for each label."""
    says = problem.conclusions
    *ridge, _ = balance.ridge_regression(problem.problem, where).steps
    columns = Equal(problem.problem.critical, problem.columns * Y)
    return Derivation(
        "Features collapse to their class means at every critical point",
        where,
        (
            *ridge,
            Step("columns", columns, "The bias is added once for each label.", Star(("ridge", "one label each"))),
            Step("means", says["means"], "Y Y^T (Y Y^T)^{-1} = I.", Star(("columns",))),
            Step("collapse", says["collapse"], "The features are these columns.", Star(("columns", "means"))),
            Step("together", problem.statement, "The parts.", Conjunction(tuple(says))),
        ),
    )


# ---- the spectrum
@dataclass(frozen=True)
class Spectrum:
    """T and Yhat have one Gram matrix; Yhat is an idempotent matrix of trace K - 1 times S, which is invertible."""

    parameters: ClassVar[Scalars] = {}

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        centred = Equal(T, Y - n * ones_row(N) / N)
        return (
            Hypothesis("centred targets", centred, "T = Y (I - 1 1^T/N)"),
            ONE_LABEL,
            ROOTS,
            Hypothesis("no empty class", Invertible(S), "n_k > 0"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            "of the targets": Equal(T * T.T, scatter),
            "of Yhat": Equal(Yhat * Yhat.T, scatter),
            "factor": Equal(Yhat * S.inv(), Pi),
            "idempotent": Equal(Pi * Pi, Pi),
            "trace": Equal(sp.Trace(Pi), K - 1),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        def sample(rng: random.Random) -> Values:
            roots = [rng.randint(1, 2) for _ in range(rng.randint(2, 3))]
            labels = one_hot([root**2 for root in roots])
            classes, samples = labels.shape
            target = labels - labels * sp.ones(samples, samples) / samples
            matrices = {Y: labels, T: target, S: sp.diag(*roots)}
            values: dict[Any, Any] = {K: classes, N: samples}
            return values | {name: rows_of(matrix) for name, matrix in matrices.items()}

        return Setting(parameters, self.hypotheses, sample, (S,), LABELS)


def spectrum(problem: Spectrum, where: Setting) -> Derivation:
    says = problem.conclusions
    total = Equal(sp.Trace(n * ones_row(K)), N)
    return Derivation(
        "Centred labels and Yhat have the same singular values",
        where,
        (
            Step("total", total, "Each of N samples has one label.", Star(("one label each",))),
            Step("of the targets", says["of the targets"], "1^T 1 = N.", Star(("centred targets",))),
            Step("sizes", Equal(S * S * ones(K), n), "Y^T 1 = 1.", Star(("roots of sizes", "one label each"))),
            Step("of Yhat", says["of Yhat"], "S^2 1 = n.", Star(("roots of sizes", "sizes", "total"))),
            Step("factor", says["factor"], "S S^{-1} = I.", Star(())),
            Step("idempotent", says["idempotent"], "1^T n = N.", Star(("total",))),
            Step("trace", says["trace"], "tr n 1^T = 1^T n = N.", Star(("total",))),
            Step("together", problem.statement, "The parts.", Conjunction(tuple(says))),
        ),
    )


# ---- all minimisers
@dataclass(frozen=True)
class Geometry:
    """What `global_minima` says of any targets, at labels with a free bias: on both sides of the layers."""

    @property
    def minimisers(self) -> Minimisers:
        return Minimisers(CriticalPoint(bias=True, aligned=True))

    @property
    def means(self) -> sp.MatrixSymbol:
        """Hbar (d x K)."""
        return sp.MatrixSymbol("Hbar", critical_values.d, K)

    @property
    def definitions(self) -> dict[Any, Any]:
        at = self.minimisers.at
        return at.definitions | LABELS | {self.means: at.features * Y.T * (Y * Y.T).inv()}

    @property
    def conclusions(self) -> dict[str, Statement]:
        at = self.minimisers.at
        W, P, Q, R = at.weights, at.settled, at.powers, (sp.Identity(K) + at.powers).inv()
        general, ridge, left = self.minimisers.conclusions, N * lam_H, Yhat * Yhat.T
        scaled = self.means * S
        return {
            "least": general["least"],
            "weights": general["weights"],
            "left vectors": Equal(left * W * W.T, W * W.T * left),
            "collapse": Equal(at.features, self.means * Y),
            "bias": Equal(at.free, n / N),
            "features": Equal(scaled, W.T * (sp.Identity(K) + at.power).inv() * Yhat / ridge),
            "right vectors": Equal(scaled.T * scaled * Yhat.T * P, Yhat.T * left * R * R * Q * P / ridge),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        at = self.minimisers.at
        where = critical_examples.setting(at, parameters, minimal=True)
        return replace(
            where,
            hypotheses=(*where.hypotheses, ONE_LABEL, NO_EMPTY, ROOTS),
            sample=lambda rng: example(rng, at),
            symmetric=(*where.symmetric, S),
            definitions=self.definitions,
            wider=(
                lambda rng: example(rng, at, length=2),
                *(_with_roots(sample) for sample in broken_examples.labelled_cases(at)),
            ),
        )


def _with_roots(sample: Callable[[random.Random], Values]) -> Callable[[random.Random], Values]:
    """The same examples with S = diag(n)^(1/2)."""

    def rooted(rng: random.Random) -> Values:
        values = sample(rng)
        sizes = sp.Matrix(values[Y]) * sp.ones(values[N], 1)
        return {**values, S: rows_of(sp.diag(*map(sp.sqrt, sizes)))}

    return rooted


def two_sizes(large: int, small: int, count: int) -> tuple[sp.Matrix, list[Any]]:
    """Eigenvectors and eigenvalues of diag(n) - n n^T/N, for one class of one size and ``count`` of another."""
    total, classes = large + count * small, count + 1
    first = sp.Matrix([count, *[-1] * count]) / sp.sqrt(count * classes)
    columns, values = [first], [sp.Rational(classes * large * small, total)]
    for j in range(1, count):  # Helmert's basis
        columns.append(sp.Matrix([0, *[1] * j, -j, *[0] * (count - j - 1)]) / sp.sqrt(j * (j + 1)))
        values.append(sp.Integer(small))
    return sp.Matrix.hstack(*columns, sp.ones(classes, 1) / sp.sqrt(classes)), [*values, sp.S.Zero]


SQUARES = ((4, 1, 1), (1, 4, 1), (4, 1, 2), (1, 4, 2), (1, 1, 2), (4, 4, 1))  # sizes of which S is rational


def example(rng: random.Random, at: CriticalPoint, length: int = 1) -> Values:
    """Where the largest singular value lives, or, of classes of 16, 1, 1, 1 and 1, both do.

    Where every direction of equal classes lives, P permutes them in a circle. ``length`` is that of the labels.
    """
    both, threshold = rng.random() < 0.15, rng.random() < 0.25
    depth, case = (1, (16, 1, 4)) if both else (2 if threshold else rng.randint(1, 3), rng.choice(SQUARES))
    basis, squares = two_sizes(*case)
    alive = sp.Integer(3) if both else sp.Rational(rng.choice(critical_examples.ROOTS[depth]))
    kinds = []
    for square in squares:
        if square == max(squares) and threshold and not both:  # 0 and 1 minimise
            root, best = rng.choice(((1, 0), (0, 1)))
            kinds.append(Eigenvalues(sp.Integer(root), sp.Integer(best), sp.Integer(2)))
        elif square == max(squares):
            kinds.append(direction(rng, depth, alive, minimal=True))
        elif both and square:  # (1 + 2^2)/(1 + 3^2) is the ratio of the singular values
            kinds.append(direction(rng, depth, sp.Integer(2), minimal=True))
        else:
            kinds.append(Eigenvalues(sp.S.Zero, sp.S.Zero, square))
    counts = [case[0], *[case[1]] * case[2]]
    order = rng.sample(range(len(counts)), len(counts))
    basis, counts = sp.Matrix.vstack(*(basis[k, :] for k in order)), [counts[k] for k in order]
    given = length * one_hot(counts)
    samples = sum(counts)
    unit = length**2 * max(squares) / (samples * kinds[squares.index(max(squares))].target ** 2)
    found = dict(Example(at, depth, unit, basis, kinds, given, given, sp.eye(samples)).values(rng))
    if len(set(counts)) == 1 and all(each.root == each.best for each in kinds):
        unit_matrix = sp.eye(len(counts))
        found[at.settled] = rows_of(sp.Matrix.vstack(unit_matrix[1:, :], unit_matrix[0, :]))
    return found | {S: rows_of(length * sp.diag(*map(sp.sqrt, counts)))}


def label_steps(problem: Geometry) -> tuple[Step, ...]:
    """From any targets to labels."""
    at, says = problem.minimisers.at, problem.conclusions
    resolvent, ridge = (sp.Identity(K) + at.power).inv(), N * lam_H
    shrunk = at.weights.T * resolvent / ridge
    total = Equal(sp.Trace(n * ones_row(K)), N)
    left = Yhat * Yhat.T
    return (
        Step("total", total, "Each of N samples has one label.", Star(("one label each",))),
        Step("sizes", Equal(ones_row(K) * Y * Y.T, n.T), "1^T Y = 1^T.", Star(("one label each",))),
        Step("scatter", Equal(at.target * at.target.T, scatter), "1^T 1 = N.", Star(("centred targets",))),
        Step(
            "scatter of Yhat",
            Equal(left, scatter),
            "1^T S^2 = n^T.",
            Star(("roots of sizes", "sizes", "total")),
        ),
        Step(
            "one scatter",
            Equal(left, at.target * at.target.T),
            "The two are equal.",
            Star(("scatter", "scatter of Yhat")),
        ),
        Step(
            "left vectors",
            says["left vectors"],
            "T and Yhat have one Gram matrix.",
            Star(("singular vectors", "one scatter")),
        ),
        Step(
            "class means",
            Equal(problem.means, shrunk * Pi),
            "n^T (Y Y^T)^{-1} = 1^T.",
            Star(("ridge", "centred targets", "sizes")),
        ),
        Step(
            "collapse",
            says["collapse"],
            "(I - n 1^T/N) Y = T.",
            Star(("ridge", "class means", "centred targets", "one label each")),
        ),
        Step("features", says["features"], "Multiply by S.", Star(("class means",))),
        *right_steps(problem),
    )


def right_steps(problem: Geometry) -> tuple[Step, ...]:
    """The Gram matrix of Hbar S, with V for Yhat and E for Hbar S, which are long when written out."""
    at, says = problem.minimisers.at, problem.conclusions
    Q, P, unit, ridge = at.power, at.settled, sp.Identity(K), N * lam_H
    R, best = (unit + Q).inv(), (unit + at.powers).inv()
    V, E = sp.MatrixSymbol("V", K, K), sp.MatrixSymbol("E", critical_values.d, K)
    gram, settled = at.target * at.target.T, best * best * at.powers * P
    return (
        Step("V", Equal(V, Yhat), "A shorter name.", Let()),
        Step("E", Equal(E, problem.means * S), "A shorter name.", Let()),
        Step("features by V", Equal(E, at.weights.T * R * V / ridge), "The same.", Star(("features", "V", "E"))),
        Step("scatter of V", Equal(V * V.T, gram), "The same.", Star(("one scatter", "V"))),
        Step(
            "Gram matrix of E",
            Equal(E.T * E, V.T * R * Q * R * V / ridge),
            "Insert W W^T.",
            Star(("features by V", "lengths")),
        ),
        Step(
            "settled spectrum",
            Equal(R * Q * R * P, settled),
            "X^M and X_opt^M agree on P.",
            Star(("powers agree", "resolvents agree", "settled")),
        ),
        Step(
            "commuting",
            Equal(R * Q * R * gram, gram * R * Q * R),
            "T T^T commutes with X^M.",
            Star(("powers commute", "resolvents commute")),
        ),
        Step(
            "right vectors of V",
            Equal(E.T * E * V.T * P, V.T * V * V.T * settled / ridge),
            "Insert all of these.",
            Star(("Gram matrix of E", "scatter of V", "settled spectrum", "commuting")),
        ),
        Step("right vectors", says["right vectors"], "Insert both names.", Star(("right vectors of V", "V", "E"))),
    )


# Liu 2024
def geometry(problem: Geometry, where: Setting) -> Derivation:
    """The layers and the features of every minimiser, from those of any targets."""
    *general, _ = global_minima.minima(problem.minimisers, where).steps
    together = Step("together", problem.statement, "The parts.", Conjunction(tuple(problem.conclusions)))
    return Derivation(
        "All global minima for classes of any sizes with a free bias",
        where,
        (*general, *label_steps(problem), together),
    )
