"""Growing depth with cross-entropy: when all logits vanish, how fast small singular values do, and when exactly.

By the Schatten reduction f(Z) = g(Z) + (lam/2) (L+1) sum_i s_i^2 with s_i^(L+1) = sigma_i, the singular values of the
logits Z of N samples, of which a class has at most ``largest`` and at least ``least``. (Garrod and Keating 2025,
theorem 3; for classes of several sizes theorem A2.)

- g is convex with the gradient -S Y / N at zero, S = I - 1 1^T / K. So f(Z) - f(0) is at least the sum of
  s^2 (b - 2 eta s^(L-1) / N) / 2, with b = lam (L+1) and eta^2 the largest size. If b >= 2 log K and f(Z) <= f(0), then
  all s <= 1, and the sum is positive unless Z = 0: zero is the only minimum.
- Of M, diagonally superior of rank q, let mu be the least gap and m the largest singular value of its logits. At the
  scale at which its gaps are those of Z, M has no more cross-entropy; if Z is a minimum, sum_i s_i^2 <= q kappa s_1^2
  with kappa^(L+1) = 2 m^2 / (mu^2 least). So the (q+1)-th singular value is at most kappa^((L+1)/2)
  (q/(q+1))^((L+1)/2) times the first.
- At a critical point lam s = gamma s^L with gamma^2 <= 2/N: a singular value is zero or at least the floor
  (lam^2 N / 2)^((L+1)/(2 (L-1))). Where the bound from above is less than it, the rank is at most q.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Gram, MeanValue, Monotone, Poly, Rewrite, Root, Square, Star
from .proof.statement import (
    AllOf,
    Equal,
    Exceeds,
    Increasing,
    Nonnegative,
    Positive,
    PositiveSemidefinite,
    Statement,
)
from .symbols import frobenius_squared, n, ones

L = sp.Symbol("L", integer=True, positive=True)
N = sp.Symbol("N", integer=True, positive=True)
q = sp.Symbol("q", integer=True, positive=True)
r = sp.Symbol("l", integer=True, positive=True)
eta = sp.Symbol("eta", positive=True)
c = sp.Symbol("b", positive=True)  # lam (L+1)
lam = sp.Symbol("lambda", positive=True)
ell = sp.Symbol("ell", positive=True)  # log K
s = sp.Symbol("s", positive=True)
z = sp.Symbol("z", positive=True)
epsilon = sp.Symbol("epsilon", positive=True)
least_size = sp.Symbol("nu", integer=True, positive=True)
gap = sp.Symbol("delta", nonnegative=True)
mu, m = sp.symbols("mu m", positive=True)
rho, tau = sp.symbols("kappa tau", positive=True)
total, first, later = sp.symbols("T v omega", positive=True)
xi, chi = sp.symbols("xi chi", positive=True)  # sums of s^2 and of sigma
drop, slope = sp.symbols("phi psi", nonnegative=True)  # by how much cross-entropy falls from zero to Z, and its slope
own, other = sp.symbols("y f", nonnegative=True)  # cross-entropy of Z, and of M
rest = sp.Symbol("W", positive=True)
up = sp.Symbol("a", nonnegative=True)
wrong = sp.Symbol("g", positive=True)
gamma = sp.Symbol("gamma", positive=True)
theta = sp.Symbol("theta", positive=True)
ROOTS = (sp.MatrixSymbol("E", r, r), sp.MatrixSymbol("A", r, r))
NEXT = q**2 + 2 * q + 1  # (q + 1)^2, whose powers are read as they stand


@dataclass(frozen=True)
class Sizes:
    """How many samples there are, in all and at least in a class."""

    balanced: bool

    @property
    def samples(self) -> sp.Expr:
        return K * n if self.balanced else N

    @property
    def least(self) -> sp.Expr:
        return n if self.balanced else least_size

    @property
    def labels(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("Y", K, self.samples)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """eta^2 is the largest size."""
        Y = self.labels
        if self.balanced:
            return (
                Hypothesis("root of n", Equal(eta**2, n), "eta = n^(1/2)"),
                Hypothesis("labels", Equal(Y * Y.T, eta**2 * sp.Identity(K)), "n samples a class"),
            )
        bound = PositiveSemidefinite(eta**2 * sp.Identity(N) - Y.T * Y)
        return (
            Hypothesis("largest class", bound, "no class has more than eta^2 samples"),
            Hypothesis("another class", Nonnegative(N - eta**2 - 1), "and one sample more there is"),
        )


# ---- all logits vanish
@dataclass(frozen=True)
class Vanishing:
    """Z = U E^2 V^T is not zero, U^T U = V^T V = I_r, E symmetric, E^2 = A^(L+1); s is an entry of A.

    A has the singular values of the factors on its diagonal, xi and chi are the traces of A^2 and E^2.
    """

    sizes: Sizes

    @property
    def letters(self) -> tuple[sp.MatrixSymbol, ...]:
        """U, V, E and A."""
        return sp.MatrixSymbol("U", K, r), sp.MatrixSymbol("V", self.sizes.samples, r), *ROOTS

    @property
    def along(self) -> sp.Expr:
        """Minus N times the derivative of cross-entropy at zero along Z."""
        U, V, E, _ = self.letters
        S = sp.Identity(K) - ones(K) * ones(K).T / K
        return sp.Trace(E * U.T * S * self.sizes.labels * V * E)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        U, V, E, A = self.letters
        return (
            *self.sizes.hypotheses,
            Hypothesis("left vectors", Equal(U.T * U, sp.Identity(r)), "orthonormal"),
            Hypothesis("right vectors", Equal(V.T * V, sp.Identity(r)), "orthonormal"),
            Hypothesis("logarithm", Positive(2 * ell - 1), "ell = log K, K >= 2"),
            Hypothesis("strong decay", Nonnegative(c - 2 * ell), "lam (L+1) >= 2 log K"),
            Hypothesis("no worse than zero", Nonnegative(2 * ell - c * s**2), "the decay alone is at most log K"),
            Hypothesis("powers of factors", PositiveSemidefinite(A**2 - E**2), "E^2 = A^(L+1), as no s exceeds one"),
            Hypothesis("squares of factors", Equal(frobenius_squared(A), xi), "the decay of Z is b xi / 2"),
            Hypothesis("singular values", Equal(frobenius_squared(E), chi), "their sum"),
            Hypothesis("slope", Equal(self.along, slope), "of cross-entropy at zero, along Z"),
            Hypothesis("convexity", Nonnegative(slope - self.sizes.samples * drop), "it falls no faster"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            "zero is better": Positive(c * xi / 2 - drop),
            "logarithm of K": Exceeds(sp.log(K), sp.Rational(1, 2)),
            "s": Nonnegative(1 - s),
        }

    def steps(self) -> tuple[Step, ...]:
        U, V, E, A = self.letters
        Y, samples, said = self.sizes.labels, self.sizes.samples, self.conclusions
        S = sp.Identity(K) - ones(K) * ones(K).T / K
        if self.sizes.balanced:
            known, far = ("labels",), Square(eta / 2, E * (V.T - V.T * Y.T * Y / eta**2))
        else:
            known, far = (), Square(1 / (2 * eta), E * V.T, "largest class")
        near = Square(eta / 2, E * (U.T * S - V.T * Y.T / eta))
        squares = (near, Square(eta / (2 * K), ones(K).T * U * E), far)
        away = far.factor
        remainder = frobenius_squared(away)
        if not self.sizes.balanced:
            remainder = sp.Trace(away * (eta**2 * sp.Identity(N) - Y.T * Y) * away.T)
        summed = near.weight * frobenius_squared(near.factor) + far.weight * remainder
        summed += squares[1].weight * frobenius_squared(squares[1].factor)
        least = sp.Trace(A**2 - E**2)
        return (
            Step(
                "squares",
                Equal(eta * chi - slope, summed),
                "Complete the square.",
                Star(("left vectors", "right vectors", "singular values", "slope", *known)),
            ),
            Step("sum of squares", Nonnegative(summed), "Squares.", Gram(squares)),
            Step(
                "slope at zero", Nonnegative(eta * chi - slope), "It is that sum.", Rewrite("sum of squares", "squares")
            ),
            Step("trace", Nonnegative(least), "A trace.", Gram((Square(1, sp.Identity(r), "powers of factors"),))),
            Step(
                "sums",
                Equal(xi - chi, least),
                "The same numbers.",
                Star(("squares of factors", "singular values")),
            ),
            Step("sum of singular values", Nonnegative(xi - chi), "That trace.", Rewrite("trace", "sums")),
            Step("logarithm of K", said["logarithm of K"], "log 2 > 1/2.", Box()),
            Step(
                "square of s",
                Nonnegative(1 - s**2),
                "b s^2 <= 2 log K <= b.",
                Poly(("strong decay", "no worse than zero")),
            ),
            Step("s", said["s"], "Take roots.", Root("square of s", sp.S.One, s, 2)),
            Step(
                "many samples",
                Nonnegative(samples - 2 * eta),
                "N >= eta^2 + 1 >= 2 eta.",
                Poly(("root of n" if self.sizes.balanced else "another class",), squares=(eta - 1,)),
            ),
            Step(
                "more decay",
                Positive(c * samples - 2 * eta),
                "b > 1.",
                Poly(("strong decay", "logarithm", "many samples")),
            ),
            Step(
                "fall of cross-entropy",
                Nonnegative(eta * xi - samples * drop),
                "N phi <= psi <= eta chi.",
                Poly(("convexity", "slope at zero", "sum of singular values")),
            ),
            Step("zero is better", said["zero is better"], "Times xi.", Poly(("more decay", "fall of cross-entropy"))),
        )


# ---- few singular values are left
@dataclass(frozen=True)
class Remaining:
    """A minimum Z with the largest singular value z beside M, diagonally superior of rank q.

    The gap delta of Z is (k - j)^T Z e, e the mean of the samples of class k; T is the sum of all sigma^(2/(L+1)) of
    Z, v the largest of them and omega the (q+1)-th.
    """

    sizes: Sizes

    @property
    def letters(self) -> tuple[sp.MatrixSymbol, ...]:
        """Z, e, and the unit vectors of two classes."""
        samples = self.sizes.samples
        return (
            sp.MatrixSymbol("Z", K, samples),
            sp.MatrixSymbol("e", samples, 1),
            *(sp.MatrixSymbol(name, K, 1) for name in ("i", "j")),
        )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        Z, e, i, j = self.letters
        largest = PositiveSemidefinite(z**2 * sp.Identity(self.sizes.samples) - Z.T * Z)
        both = sp.Trace(i.T * i), sp.Trace(j.T * j), sp.Trace(i.T * j)
        deep = mu**2 * self.sizes.least * NEXT ** (L + 1) - 2 * m**2 * (q * (q + 2)) ** (L + 1)
        return (
            Hypothesis("largest singular value", largest, "of Z"),
            Hypothesis("gap", Equal(gap, sp.Trace((i - j).T * Z * e)), "of the right class and another"),
            Hypothesis("mean of a class", Equal(sp.Trace(e.T * e), epsilon), "one over its size"),
            *(
                Hypothesis(name, Equal(value, sp.Integer(int(name != "different"))), "unit vectors")
                for name, value in zip(("right class", "other class", "different"), both, strict=True)
            ),
            Hypothesis("no more cross-entropy", Nonnegative(own - other), "of M at the scale of equal gaps"),
            Hypothesis(
                "minimum", Nonnegative(other + c * q * rho * first / 2 - own - c * total / 2), "Z is no worse than M"
            ),
            Hypothesis("ordered", Nonnegative(total - (q + 1) * later), "q + 1 of them are at least omega"),
            Hypothesis(
                "ratio of gaps",
                Equal(mu**2 * self.sizes.least * rho ** (L + 1), 2 * m**2),
                "kappa^(L+1) = 2 m^2/(mu^2 least)",
            ),
            Hypothesis("deep enough", Positive(deep), "((q+1)^2 / (q (q+2)))^(L+1) > 2 m^2/(mu^2 least)"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            "gaps of Z": Nonnegative(2 * z**2 * epsilon - gap**2),
            "cross-entropy of M": Increasing(-sp.log(rest + sp.exp(-other)), other),
            "small singular values": Nonnegative(q * rho * first - (q + 1) * later),
            "rate": Positive((q + 1) * first - (q + 2) * later),
            "loss of M": Exceeds(wrong, sp.log(1 + wrong)),
            "not superior": Exceeds(sp.log(1 + sp.exp(up) + rest), sp.Rational(13, 20)),
        }

    def steps(self) -> tuple[Step, ...]:
        Z, e, i, j = self.letters
        said, apart = self.conclusions, i - j
        across = Z * e - apart * apart.T * Z * e / 2
        largest = z**2 * sp.Identity(self.sizes.samples) - Z.T * Z
        squares = (Square(2, e.T, "largest singular value"), Square(2, across))
        summed = 2 * sp.Trace(e.T * largest * e) + 2 * frobenius_squared(across)
        bound = said["gaps of Z"]
        assert isinstance(bound, Nonnegative)
        return (
            Step(
                "squares of gaps",
                Equal(bound.scalar, summed),
                "Cauchy and Schwarz; the length of i - j is 2^(1/2).",
                Star(("gap", "mean of a class", "right class", "other class", "different")),
            ),
            Step("sum of squares of gaps", Nonnegative(summed), "Squares.", Gram(squares)),
            Step("gaps of Z", bound, "It is that sum.", Rewrite("sum of squares of gaps", "squares of gaps")),
            Step("cross-entropy of M", said["cross-entropy of M"], "A larger gap makes the sum smaller.", Monotone()),
            Step(
                "small singular values",
                said["small singular values"],
                "T >= (q+1) omega; M has no less decay than Z.",
                Poly(("minimum", "no more cross-entropy", "ordered")),
            ),
            Step(
                "powers of both",
                Positive(NEXT ** (L + 1) - (q * (q + 2) * rho) ** (L + 1)),
                "Insert kappa^(L+1).",
                Poly(("deep enough", "ratio of gaps")),
            ),
            Step(
                "roots",
                Positive(NEXT - q * (q + 2) * rho),
                "Take roots.",
                Root("powers of both", NEXT, q * (q + 2) * rho, L + 1),
            ),
            Step("rate", said["rate"], "Multiply by q + 2.", Poly(("roots", "small singular values"))),
            Step("slope of the bound", Exceeds(1 - 1 / (1 + wrong), sp.S.Zero), "g/(1+g).", Box(wrong)),
            Step("loss of M", said["loss of M"], "Equal at 0.", MeanValue(wrong, "slope of the bound")),
            Step("logarithm of 2", Exceeds(sp.log(2), sp.Rational(13, 20)), "One value.", Box()),
            Step("more classes", Exceeds(1 / (2 + rest), sp.S.Zero), "Positive.", Box()),
            Step(
                "equal entries",
                Exceeds(sp.log(2 + rest), sp.Rational(13, 20)),
                "At W = 0 it is log 2; it grows.",
                MeanValue(rest, "more classes", "logarithm of 2"),
            ),
            Step("slope in the gap", Exceeds(sp.exp(up) / (1 + sp.exp(up) + rest), sp.S.Zero), "Positive.", Box()),
            Step(
                "not superior",
                said["not superior"],
                "At a = 0 it is log(2 + W); it grows.",
                MeanValue(up, "slope in the gap", "equal entries"),
            ),
        )


# ---- the exact rank
@dataclass(frozen=True)
class Floor:
    """At a critical point, u and h singular vectors of Z, G the gradient of g: lam s = gamma s^L, gamma = -u^T G h.

    theta = ||G||_F^2. T is the sum of all s^2 of a minimum, tau that of M at a scale t with (K-1) e^(-mu t) = lam/2.
    """

    sizes: Sizes

    @property
    def letters(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol, sp.MatrixSymbol]:
        """u, h and G."""
        samples = self.sizes.samples
        return sp.MatrixSymbol("u", K, 1), sp.MatrixSymbol("h", samples, 1), sp.MatrixSymbol("G", K, samples)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        (u, v, G), samples = self.letters, self.sizes.samples
        deep = samples * lam**2 * ((q + 1) * (L + 1)) ** (L - 1) - 2 * (q * tau * (L + 1) + 1) ** (L - 1)
        bound = lam / 2 + lam * (L + 1) * q * tau / 2 - lam * (L + 1) * total / 2
        return (
            Hypothesis("left vector", Equal(sp.Trace(u.T * u), sp.S.One), "a singular vector of Z"),
            Hypothesis("right vector", Equal(sp.Trace(v.T * v), sp.S.One), "a singular vector of Z"),
            Hypothesis("gradient", Equal(sp.Trace(u.T * G * v), -gamma), "of the data term"),
            Hypothesis("size of the gradient", Equal(frobenius_squared(G), theta), "squared"),
            Hypothesis("softmax", Nonnegative(2 - samples * theta), "N columns of squared norm at most 2/N^2"),
            Hypothesis("critical", Equal(lam, gamma * s ** (L - 1)), "s is not zero"),
            Hypothesis("minimum", Nonnegative(bound), "Z is no worse than M"),
            Hypothesis("deep enough", Positive(deep), "the bound of q + 1 singular values is less than the floor"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            "floor": Nonnegative(2 * s ** (2 * L - 2) - self.sizes.samples * lam**2),
            "too many": Positive((q + 1) * s**2 - total),
        }

    def steps(self) -> tuple[Step, ...]:
        (u, v, G), said = self.letters, self.conclusions
        square = Square(1, G + gamma * u * v.T)
        summed = frobenius_squared(square.factor)
        above, below = (q + 1) * (L + 1) * s**2, q * tau * (L + 1) + 1
        return (
            Step(
                "Cauchy and Schwarz",
                Equal(theta - gamma**2, summed),
                "gamma is an entry of G in orthonormal bases.",
                Star(("left vector", "right vector", "gradient", "size of the gradient")),
            ),
            Step("a square", Nonnegative(summed), "A square.", Gram((square,))),
            Step(
                "gradient is larger",
                Nonnegative(theta - gamma**2),
                "That square.",
                Rewrite("a square", "Cauchy and Schwarz"),
            ),
            Step(
                "gamma",
                Nonnegative(2 - self.sizes.samples * gamma**2),
                "N theta <= 2.",
                Poly(("gradient is larger", "softmax")),
            ),
            Step("square of lam", Equal(lam**2, gamma**2 * s ** (2 * L - 2)), "Of both sides.", Star(("critical",))),
            Step(
                "floor of gamma",
                Nonnegative(2 * s ** (2 * L - 2) - self.sizes.samples * gamma**2 * s ** (2 * L - 2)),
                "Times s^(2L-2).",
                Poly(("gamma",)),
            ),
            Step("floor", said["floor"], "Insert lam.", Poly(("floor of gamma", "square of lam"))),
            Step("sum", Nonnegative(below - (L + 1) * total), "Divide by lam / 2.", Poly(("minimum",))),
            Step(
                "powers of both",
                Positive(above ** (L - 1) - below ** (L - 1)),
                "The floor, inserted.",
                Poly(("floor", "deep enough")),
            ),
            Step("roots", Positive(above - below), "Take roots.", Root("powers of both", above, below, L - 1)),
            Step("too many", said["too many"], "Divide by L + 1.", Poly(("roots", "sum"))),
        )


@dataclass(frozen=True)
class Depth:
    """Parts in one setting."""

    parts: tuple[Vanishing | Remaining | Floor, ...]

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {name: says for part in self.parts for name, says in part.conclusions.items()}

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        hypotheses = tuple(each for part in self.parts for each in part.hypotheses)
        symmetric = ROOTS
        draw = sample_floor if isinstance(self.parts[0], Floor) else lambda rng: sample(rng, self.parts[0].sizes)
        return Setting(parameters, hypotheses, draw, symmetric)


def theorem(case: Depth, where: Setting) -> Derivation:
    steps = [step for part in case.parts for step in part.steps()]
    steps.append(Step("together", case.statement, "The parts.", Conjunction(tuple(case.conclusions))))
    return Derivation("Singular values of minima in deep models", where, tuple(steps))


def sample(rng: random.Random, sizes: Sizes) -> Values:
    """Two or three classes, of one size or of two; half of the inequalities are equalities, or nearly so."""
    steep = rng.random() < 0.3  # nearly the steepest direction, and nearly the least decay
    classes, root = (2, 1) if steep else (rng.randint(2, 3), rng.randint(1, 2))
    counts = [root**2] * classes if sizes.balanced else [1] * (classes - 1) + [root**2]
    samples, least, largest = sum(counts), min(counts), max(counts)
    labels = sp.Matrix.hstack(*[sp.eye(classes)[:, i] for i, count in enumerate(counts) for _ in range(count)])
    rank = rng.randint(1, 2)
    values: dict[Any, Any] = {K: classes, n: root**2, N: samples, least_size: least, eta: sp.sqrt(largest), r: rank}
    matrices = {"Y": labels}
    values |= dict(zip((first, rest, mu, up, z), half_integers(rng, 5), strict=True))

    def some(*choices: Any) -> Any:
        return rng.choice([sp.S.One, *choices])

    half = sp.S.Half
    values[ell] = sp.Rational(rng.choice([501, 700, 1000]), 1000)
    values[c] = 2 * values[ell] * some(sp.Rational(5, 4))
    values[s] = rng.choice([sp.Rational(999, 1000), half, sp.Rational(1, 5)])
    # logits along the labels, so that the slope at zero is not negative; of a smaller s than the largest, also
    left, right = orthonormal(rng, classes, rank), orthonormal(rng, samples, rank)
    if steep:
        rank, left = 1, sp.Matrix([119, -120]) / 169
        right, values[r], values[ell] = left, 1, sp.Rational(50001, 100000)
        values[c] = 2 * values[ell]
    sizes_of_factors = sp.diag(*[values[s] * rng.choice([1, half, 30]) for _ in range(rank)])
    power = (sp.S.One if steep else rng.choice([sp.S.One, values[s]])) * sizes_of_factors
    simplex = sp.eye(classes) - sp.ones(classes, classes) / classes
    if (power * left.T * simplex * labels * right * power).trace() < 0:
        left = -left
    steepest = (power * left.T * simplex * labels * right * power).trace()
    matrices |= {"U": left, "V": right, "A": sizes_of_factors, "E": power}
    values |= {xi: (sizes_of_factors**2).trace(), chi: (power**2).trace(), slope: steepest}
    values[drop] = steepest / samples * (sp.S.One if steep else some(half, sp.S.Zero))
    # a gap that is nearly the largest there is: 99/70 is nearly the root of two
    own_class = rng.choice([0, 0, classes - 1])
    size = counts[own_class]
    start = sum(counts[:own_class])
    column = sp.zeros(samples, 1)
    for place in range(start, start + size):
        column[place] = sp.Rational(1, size)
    i, j = sp.eye(classes)[:, own_class], sp.eye(classes)[:, (own_class + 1) % classes]
    column *= rng.choice([1, 3])
    image = (i - j) * values[z] * sp.Rational(70, 99) * some(half)
    matrices |= {"Z": image * (column / column.norm()).T, "e": column, "i": i, "j": j}
    values |= {epsilon: column.dot(column), gap: (i - j).dot(matrices["Z"] * column)}
    rank, factors = rng.choice([(1, ("4/5", "1/2")), (2, ("149/200", "5/7")), (3, ("73/100", "1/2"))])
    factor, layers = sp.Rational(rng.choice(factors)), rng.choice([2, 4])
    values |= {q: rank, L: layers, rho: 2 * factor**2}
    values[m] = values[mu] * sp.sqrt(least) * sp.Integer(2) ** (layers // 2) * factor ** (layers + 1)
    values[other], spare = sp.Rational(rng.randint(0, 3), 2), rng.choice([0, 0, sp.Rational(1, 20)])
    values[own] = values[other] + spare
    values[total] = rank * values[rho] * values[first] * some(half) - spare * 2 / values[c]
    if values[total] <= 0:
        values[own], values[total] = values[other], rank * values[rho] * values[first]
    values[later] = values[total] / (rank + 1) * some(half)
    values[wrong] = half * some(half)
    values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
    return values


def sample_floor(rng: random.Random) -> Values:
    """Balanced classes; a floor that is attained, or nearly so."""
    classes, size = rng.choice([(2, 1), (2, 4), (3, 1)])
    samples, layers, rank = classes * size, rng.randint(2, 4), rng.choice([1, 2, 5])
    values: dict[Any, Any] = {K: classes, n: size, L: layers, q: rank}
    values[gamma] = {2: sp.S.One, 8: sp.S.Half, 3: sp.Rational(8164, 10000)}[samples]
    values[s] = sp.Rational(rng.choice([1, 2, 3, 12]), 2)
    values[lam] = values[gamma] * values[s] ** (layers - 1)
    left, right = orthonormal(rng, classes, 1), orthonormal(rng, samples, 1)
    gradient = -values[gamma] * left * right.T
    values[theta] = values[gamma] ** 2
    below = (rank + 1) * (layers + 1) * values[s] ** 2 * rng.choice([sp.Rational(9999, 10000), sp.Rational(3, 4)])
    values[tau] = (below - 1) / (rank * (layers + 1))
    values[total] = below / (layers + 1) * rng.choice([sp.S.One, sp.S.Half])
    matrices = {"u": left, "h": right, "G": gradient}
    values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
    return values
