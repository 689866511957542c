"""Two factors with weight decay, W (K x d) and H (d x N), fitted to a target T of rank at most r <= d: all minimisers.

    f(W, H) = ||W H - T||_F^2 / (2N) + (lam_W/2) ||W||_F^2 + (lam_H/2) ||H||_F^2,    T = U S V^T.

With tau = (lam_H/lam_W)^{1/2} and c = (lam_W lam_H)^{1/2}, every singular value of T is split as

    S = B^2/tau + N c D,    D B = B,  D^2 + E^2 = I:

for sigma > N c, D is 1, E is 0 and B^2 = tau (sigma - N c); else B is 0 and D = sigma/(N c) <= 1. In these terms f
minus its minimum is a sum of four squares, which all vanish at every minimiser. One-hot labels are T = Y with U = I
and S^2 = diag(n_1, ..., n_K) (Dang et al. 2023, section 4, M = 1).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, N, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import CompletedSquare, Conjunction, Dominance, NormZero, Square, Star, Substitute
from .proof.statement import AllOf, Equal, Minimum, Nonnegative, Statement, Vanishing
from .statistics import random_matrix
from .symbols import frobenius_squared

r = sp.Symbol("r", integer=True, positive=True)
d = sp.Symbol("d", integer=True, positive=True)
lam_W = sp.Symbol("lambda_W", positive=True)
tau = sp.Symbol("tau", positive=True)
lam_H = tau**2 * lam_W
SHRINKAGE = N * tau * lam_W  # N c


@dataclass(frozen=True)
class Factorisation:
    """The problem for a target U S V^T, or, ``one_hot``, for the labels Y = S V^T of K classes of any sizes."""

    one_hot: bool = False

    @property
    def rank(self) -> sp.Symbol:
        return K if self.one_hot else r

    @property
    def left(self) -> MatrixExpr:
        return sp.Identity(K) if self.one_hot else sp.MatrixSymbol("U", K, r)

    @property
    def right(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("V", N, self.rank)

    @property
    def embedding(self) -> sp.MatrixSymbol:
        """Q (d x r) with orthonormal columns: where the singular directions go between the layers."""
        return sp.MatrixSymbol("Q", d, self.rank)

    def _square(self, name: str) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(name, self.rank, self.rank)

    @property
    def lengths(self) -> sp.MatrixSymbol:
        """B, of the singular values of W."""
        return self._square("B")

    @property
    def dual(self) -> sp.MatrixSymbol:
        """D, the singular values of the residual over N c."""
        return self._square("D")

    @property
    def slack(self) -> sp.MatrixSymbol:
        """E, with D^2 + E^2 = I."""
        return self._square("E")

    @property
    def inverse(self) -> sp.MatrixSymbol:
        """R, the inverse of S = diag(n_1, ..., n_K)^{1/2}; of one-hot labels."""
        return self._square("R")

    @property
    def singular_values(self) -> MatrixExpr:
        """S."""
        return self.lengths * self.lengths / tau + SHRINKAGE * self.dual

    @property
    def target(self) -> MatrixExpr:
        return self.left * self.singular_values * self.right.T

    @property
    def reached(self) -> MatrixExpr:
        """The product W H of every minimiser."""
        return self.left * self.lengths * self.lengths * self.right.T / tau

    @property
    def free(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        return sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N)

    @property
    def minimiser(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """Any minimiser."""
        return sp.MatrixSymbol("W_0", K, d), sp.MatrixSymbol("H_0", d, N)

    @property
    def point(self) -> tuple[MatrixExpr, MatrixExpr]:
        """One minimiser."""
        B, Q = self.lengths, self.embedding
        return self.left * B * Q.T, Q * B * self.right.T / tau

    def objective(self, weights: Any, features: Any) -> sp.Expr:
        decay = lam_W * frobenius_squared(weights) + lam_H * frobenius_squared(features)
        return frobenius_squared(weights * features - self.target) / (2 * N) + decay / 2

    @property
    def value(self) -> sp.Expr:
        """The minimum of f."""
        shrunk, lengths = sp.Trace(self.dual * self.dual), sp.Trace(self.lengths * self.lengths)
        return N * tau**2 * lam_W**2 * shrunk / 2 + lam_W * lengths

    def factors(self, weights: Any, features: Any) -> tuple[tuple[sp.Expr, MatrixExpr], ...]:
        """Weights and matrices whose squared norms add up to f less its minimum."""
        left, right = self.left, self.right
        return (
            (1 / (2 * N), weights * features - self.reached),
            (lam_W / 2, weights - tau * left * self.dual * right.T * features.T),
            (lam_H / 2, features * right * self.slack),
            (lam_H / 2, features - features * right * right.T),
        )

    @property
    def means(self) -> MatrixExpr:
        """Hbar (d x K), the class means of the features of any minimiser; of one-hot labels."""
        return self.minimiser[1] * self.target.T * self.inverse * self.inverse

    @property
    def symmetric(self) -> tuple[sp.MatrixSymbol, ...]:
        found = (self.lengths, self.dual, self.slack)
        return (*found, self.inverse) if self.one_hot else found

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        B, D, E, unit = self.lengths, self.dual, self.slack, sp.Identity(self.rank)
        orthonormal_columns = {"right singular vectors": self.right, "embedding": self.embedding}
        if not self.one_hot:
            orthonormal_columns |= {"left singular vectors": self.left}
        found = [
            Hypothesis(name, Equal(matrix.T * matrix, unit), "orthonormal columns")
            for name, matrix in orthonormal_columns.items()
        ]
        found += [
            Hypothesis(
                "contraction", Equal(D * D + E * E, unit), "D has eigenvalues in [-1, 1], and E is what is left"
            ),
            Hypothesis("alive", Equal(D * B, B), "where B is not zero, D is one"),
            Hypothesis("no slack", Equal(E * B, sp.ZeroMatrix(self.rank, self.rank)), "and E is zero"),
            Hypothesis("minimiser", Equal(self.objective(*self.minimiser), self.value), "any point where f is least"),
        ]
        if self.one_hot:
            inverse = Equal(self.singular_values * self.inverse, unit)
            found.append(Hypothesis("no empty class", inverse, "R = diag(n_1, ..., n_K)^{-1/2}"))
        return tuple(found)

    @property
    def conclusions(self) -> dict[str, Statement]:
        """What holds at every minimiser."""
        weights, features = self.minimiser
        left, right, B = self.left, self.right, self.lengths
        if not self.one_hot:
            return {
                "weights": Equal(weights * weights.T, left * B * B * left.T),
                "product": Equal(weights * features, self.reached),
                "features": Equal(features.T * features, right * B * B * right.T / tau**2),
            }
        return {
            "weights": Equal(weights * weights.T, B * B),
            "collapse": Equal(features, self.means * self.target),
            "means": Equal(self.means.T * self.means, self.inverse * B * B * self.inverse / tau**2),
            "outputs": Equal(weights * self.means, B * B * self.inverse / tau),
            "alignment": Equal(weights, tau * self.singular_values * self.means.T),
        }

    @property
    def minimum(self) -> Minimum:
        return Minimum(self.objective(*self.free), self.free, self.point, self.value)

    def statement(self, parts: tuple[str, ...]) -> AllOf:
        """The minimum, and the conclusions of these names."""
        return AllOf((self.minimum, *(self.conclusions[name] for name in parts)))

    def setting(self, parameters: Mapping[sp.Symbol, Range], definitions: Mapping[Any, Any] | None = None) -> Setting:
        """Exact examples mix directions that live with others that do not; diagonal B, D, E in random bases."""

        def sample(rng: random.Random) -> Values:
            rank = 2 if self.one_hot else rng.randint(1, 2)
            classes = 2 if self.one_hot else rng.randint(2, 3)
            width, samples = rank + rng.randint(0, 1), rank + rng.randint(0, 2)
            scale, ratio = half_integers(rng, 2)
            entries = []
            for _ in range(rank):
                dead = (sp.S.Zero, *rng.choice([(sp.Rational(3, 5), sp.Rational(4, 5)), (sp.Rational(1), sp.S.Zero)]))
                alive = (sp.Rational(rng.randint(1, 4), 2), sp.S.One, sp.S.Zero)
                entries.append(rng.choice([dead, alive]))
            lengths, dual, slack = (sp.diag(*column) for column in zip(*entries, strict=True))
            singular = lengths**2 / ratio + samples * ratio * scale * dual
            left = sp.eye(rank) if self.one_hot else orthonormal(rng, classes, rank)
            right, inner = orthonormal(rng, samples, rank), orthonormal(rng, width, rank)
            matrices = {
                self.right: right,
                self.embedding: inner,
                self.lengths: lengths,
                self.dual: dual,
                self.slack: slack,
                self.minimiser[0]: left * lengths * inner.T,
                self.minimiser[1]: inner * lengths * right.T / ratio,
                self.free[0]: sp.Matrix(random_matrix(rng, classes, width)),
                self.free[1]: sp.Matrix(random_matrix(rng, width, samples)),
            } | ({self.inverse: singular.inv()} if self.one_hot else {self.left: left})
            values: dict[Any, Any] = {K: classes, N: samples, r: rank, d: width, lam_W: scale, tau: ratio}
            return values | {name: rows_of(matrix) for name, matrix in matrices.items()}

        return Setting(parameters, self.hypotheses, sample, self.symmetric, definitions or {})


def minimisers(problem: Factorisation, where: Setting, parts: tuple[str, ...]) -> Derivation:
    """The minimum of f, and what holds at every minimiser."""
    free, found = problem.free, problem.minimiser
    squares = tuple(Square(weight, factor) for weight, factor in problem.factors(*free))
    at_found = problem.factors(*found)
    norms = tuple(Square(weight, factor) for weight, factor in at_found)

    def total(items: Any) -> sp.Expr:
        return sp.Add(*(weight * frobenius_squared(factor) for weight, factor in items))

    zero_sum = Equal(total(at_found), sp.S.Zero)
    names = ("product of a minimiser", "weights of a minimiser", "slack of a minimiser", "features of a minimiser")
    vanish = [
        Step(name, Equal(factor, sp.ZeroMatrix(*factor.shape)), "A vanishing sum of squares.", NormZero("sum", norms))
        for name, (_, factor) in zip(names, at_found, strict=True)
    ]
    gap = Equal(problem.objective(*free) - problem.value, total(problem.factors(*free)))
    steps = [
        Step("gap", gap, "Expand the square around the product that is reached, and complete the squares.", Star()),
        Step("minimum", problem.minimum, "Every square vanishes there.", CompletedSquare("gap", squares)),
        Step(
            "gap of a minimiser",
            Equal(problem.objective(*found) - problem.value, total(at_found)),
            "The same at a minimiser.",
            Substitute("gap", tuple(zip(free, found, strict=True))),
        ),
        Step(
            "sum", zero_sum, "Where f is least, the squares add up to zero.", Star(("gap of a minimiser", "minimiser"))
        ),
        *vanish,
    ]
    known = [*names, *(h.name for h in where.hypotheses if h.name != "minimiser")]
    conclusions = dict(problem.conclusions)
    steps.append(Step("weights", conclusions.pop("weights"), "By these four equations.", Star(tuple(known))))
    if problem.one_hot:
        idle = found[0] - problem.dual * found[0]
        steps += [
            Step(
                "length of the rest",
                Equal(frobenius_squared(idle), sp.S.Zero),
                "Insert W W^T = B^2: the trace is that of (I - D) B^2 (I - D).",
                Star(("weights", "alive")),
            ),
            Step(
                "rest",
                Equal(idle, sp.ZeroMatrix(*idle.shape)),
                "So D W = W.",
                NormZero("length of the rest", (Square(1, idle),)),
            ),
        ]
        known.append("rest")
    steps += [Step(name, says, "By these equations.", Star(tuple(known))) for name, says in conclusions.items()]
    steps.append(Step("together", problem.statement(parts), "The parts.", Conjunction(("minimum", *parts))))
    return Derivation("All minimisers of two factors with weight decay", where, tuple(steps))


# Dang et al. 2023, section 4
@dataclass(frozen=True)
class OneClass:
    """A class of one-hot labels, with unit vector k: B k = beta k, D k = delta k, n_k = k^T Y Y^T k."""

    problem: Factorisation
    length: sp.Symbol
    shrunk: sp.Symbol

    @property
    def unit(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("k", K, 1)

    @property
    def size(self) -> sp.Expr:
        """n_k."""
        target = self.problem.target
        return sp.Trace(self.unit.T * target * target.T * self.unit)

    @property
    def weights(self) -> sp.Expr:
        """The squared length of the row of W."""
        weights = self.problem.minimiser[0]
        return sp.Trace(self.unit.T * weights * weights.T * self.unit)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        B, D, k = self.problem.lengths, self.problem.dual, self.unit
        return (
            *self.problem.hypotheses,
            Hypothesis("one class", Equal(sp.Trace(k.T * k), sp.S.One), "a unit vector"),
            Hypothesis("its length", Equal(B * k, self.length * k), "B is diagonal"),
            Hypothesis("its residual", Equal(D * k, self.shrunk * k), "D is diagonal"),
            Hypothesis("live or dead", Equal(self.length * (1 - self.shrunk), sp.S.Zero), "D B = B, for this class"),
            Hypothesis("at most one", Nonnegative(1 - self.shrunk), "D has eigenvalues in [0, 1]"),
        )

    @property
    def threshold(self) -> Equal:
        """n_k - (N c)^2, in which a first term is positive where the class lives, and a second where it does not."""
        alive = self.length**2 / tau * (self.length**2 / tau + 2 * SHRINKAGE)
        return Equal(self.size - SHRINKAGE**2, alive - SHRINKAGE**2 * (1 - self.shrunk**2))

    @property
    def statement(self) -> AllOf:
        return AllOf(
            (
                Equal(self.weights, self.length**2),
                self.threshold,
                Equal(self.length * (1 - self.shrunk), sp.S.Zero),
                Nonnegative(1 - self.shrunk),
            )
        )

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        whole = self.problem.setting(parameters)

        def sample(rng: random.Random) -> Values:
            values = dict(whole.sample(rng))
            index = rng.randrange(values[K])
            length, shrunk = (values[matrix][index][index] for matrix in (self.problem.lengths, self.problem.dual))
            unit = [[sp.Integer(int(row == index))] for row in range(values[K])]
            return values | {self.unit: unit, self.length: length, self.shrunk: shrunk}

        return Setting(parameters, self.hypotheses, sample, self.problem.symmetric)


def one_class() -> OneClass:
    return OneClass(
        Factorisation(one_hot=True), sp.Symbol("beta", nonnegative=True), sp.Symbol("delta", nonnegative=True)
    )


def collapse_of_a_class(case: OneClass, where: Setting) -> Derivation:
    """The row of W is zero exactly where n_k <= (N c)^2."""
    before = minimisers(case.problem, where, ()).steps[:-1]
    singular = case.length**2 / tau + SHRINKAGE * case.shrunk
    return Derivation(
        "A class collapses exactly below a threshold",
        where,
        (
            *before[: [step.name for step in before].index("weights") + 1],
            Step(
                "row", case.statement.parts[0], "k^T W W^T k = k^T B^2 k.", Star(("weights", "one class", "its length"))
            ),
            Step(
                "singular value",
                Equal(case.problem.singular_values * case.unit, singular * case.unit),
                "S k is a multiple of k.",
                Star(("its length", "its residual")),
            ),
            Step(
                "square",
                Equal(case.size, singular**2),
                "The labels have Y Y^T = S^2.",
                Star(("right singular vectors", "one class", "singular value")),
            ),
            Step("size", case.threshold, "beta delta = beta.", Star(("square", "live or dead"))),
            Step(
                "together",
                case.statement,
                "If n_k > (N c)^2, the first term is positive, so beta is; else it is not, as delta = 1 would say.",
                Conjunction(("row", "size", "live or dead", "at most one")),
            ),
        ),
    )


# Dang et al. 2023, section 4
def small_decay_limits(root: sp.Symbol, inverse: sp.Symbol, total: sp.Expr) -> tuple[Statement, ...]:
    """With lam_W = lam_H = 1/t: s^2 = n^{1/2} - N/t tends to n^{1/2}, and s^2/n, of the class mean, to n^{-1/2}."""
    length = root - total / inverse
    return (
        Vanishing(length - root, inverse),
        Vanishing(length / root**2 - 1 / root, inverse),
    )


def small_decays(root: sp.Symbol, inverse: sp.Symbol, total: sp.Expr, where: Setting) -> Derivation:
    weights, means = small_decay_limits(root, inverse, total)
    return Derivation(
        "Lengths for small decays",
        where,
        (
            Step("weights", weights, "N/t tends to zero.", Dominance()),
            Step("means", means, "N/(t n) tends to zero.", Dominance()),
            Step("together", AllOf((weights, means)), "The parts.", Conjunction(("weights", "means"))),
        ),
    )
