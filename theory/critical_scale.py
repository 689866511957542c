"""Scales at which neural collapse and the paired structure are critical (Garrod and Keating 2025, equations 19 and 27).

Written in r, the root of the scale: alpha = r^(L+1), (alpha n^(1/2))^(2/(L+1)) = eta r^2 with eta = n^(1/(L+1)). With
h(r) = r^(L-1) R(r^(L+1)) the loss of that scale has a slope of the sign of lam eta times a constant less h. In
alpha h' = h (q - psi), q = (L-1)/(L+1), psi is the elasticity of 1/R; it increases from 0 beyond 1. So h rises as far
as psi = q and then falls: no, one or two scales are critical for L >= 2; for L = 1 it only falls, and one is, or none.

The scale is critical in the model, not only along the line: with logits that are a multiple of E Y / n^(1/2), E an
orthogonal projection, cross-entropy has the gradient (W - epsilon E) Y / n with E W = W E = 0. Neural collapse has
E = I - 1 1^T / K, W = 0 and epsilon = 1/(e^alpha + K - 1); of pairs, K = 2m, E has the blocks [[1, -1], [-1, 1]] / 2
and epsilon = R/K. The gradient in every factor is then a multiple of that factor, the same for all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Differentiate, Field, MeanValue, Monotone, NormZero, Poly, Square, Star
from .proof.statement import AllOf, Equal, Exceeds, GradientIs, Identity, Increasing, Positive
from .symbols import frobenius_squared, n, ones

K = sp.Symbol("K", integer=True, positive=True)
L = sp.Symbol("L", integer=True, positive=True)
lam = sp.Symbol("lambda", positive=True)
eta = sp.Symbol("eta", positive=True)  # n^(1/(L+1))
r = sp.Symbol("r", positive=True)
alpha = sp.Symbol("alpha", positive=True)


# ---- the gradient of the model
omega = sp.Symbol("omega", positive=True)  # n^(-1/2)
d = sp.Symbol("d", integer=True, positive=True)
root = sp.Symbol("s", positive=True)  # singular value of every factor
above, below = sp.symbols("c b", positive=True)  # of the product of the layers above, and below with the features
epsilon = sp.Symbol("epsilon", positive=True)


@dataclass(frozen=True)
class Gradient:
    """Balanced factors s P Q^T of logits s^(L+1) n^(-1/2) E Y, P^T P = Q^T Q = E, and the gradient G in the logits.

    A = c P^T is the product of the layers above, b n^(-1/2) Q Y that of the layers below and the features.
    """

    classes: sp.Expr

    def _square(self, name: str) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(name, self.classes, self.classes)

    @property
    def projection(self) -> sp.MatrixSymbol:
        """E."""
        return self._square("E")

    @property
    def rest(self) -> sp.MatrixSymbol:
        """W."""
        return self._square("W")

    @property
    def embeddings(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """P and Q."""
        return sp.MatrixSymbol("P", d, self.classes), sp.MatrixSymbol("Q", d, self.classes)

    @property
    def labels(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("Y", self.classes, self.classes * n)

    @property
    def sensitivity(self) -> MatrixExpr:
        """G."""
        return omega**2 * (self.rest - epsilon * self.projection) * self.labels

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        E, W, zero = self.projection, self.rest, sp.ZeroMatrix(self.classes, self.classes)
        return (
            Hypothesis("root of n", Equal(n * omega**2, sp.S.One), "omega = n^(-1/2)"),
            Hypothesis("labels", Equal(self.labels * self.labels.T, n * sp.Identity(self.classes)), "n a class"),
            Hypothesis("projection", Equal(E * E, E), "orthogonal, as E is symmetric"),
            Hypothesis("apart", Equal(E * W, zero), "the softmax leaves a multiple of E, and what is orthogonal to it"),
            *(
                Hypothesis(f"isometry {name}", Equal(p.T * p, E), "isometric on the range of E")
                for name, p in zip("PQ", self.embeddings, strict=True)
            ),
        )

    @property
    def conclusions(self) -> dict[str, Equal]:
        """The gradients in the last layer, in another one, and in the features: multiples of these."""
        P, Q = self.embeddings
        G, lower = self.sensitivity, below * omega * Q * self.labels
        last, layer, features = root * Q.T, root * P * Q.T, root * omega * Q * self.labels

        def says(gradient: MatrixExpr, product: Any, factor: MatrixExpr) -> Equal:
            """lam s - product omega epsilon times the factor over s."""
            return Equal(gradient + lam * factor, (lam - product * omega * epsilon / root) * factor)

        return {
            "last layer": says(G * lower.T, below, last),
            "layer": says((above * P.T).T * G * lower.T, above * below, layer),
            "features": says((above * Q.T).T * G, above, features),
        }

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        for name, embedding in zip("PQ", self.embeddings, strict=True):
            outside = embedding - embedding * self.projection
            found += [
                Step(
                    f"norm of {name} outside",
                    Equal(frobenius_squared(outside), sp.S.Zero),
                    "The trace of (I - E) E (I - E).",
                    Star((f"isometry {name}", "projection")),
                ),
                Step(
                    f"{name} inside",
                    Equal(outside, sp.ZeroMatrix(*outside.shape)),
                    "A matrix of norm zero.",
                    NormZero(f"norm of {name} outside", (Square(1, outside),)),
                ),
            ]
        known = Star(("P inside", "Q inside", "projection", "apart", "labels", "root of n"))
        because = "Y Y^T = n I; W vanishes on the range of E."
        return (*found, *(Step(f"gradient: {name}", says, because, known) for name, says in self.conclusions.items()))

    def sample(self, rng: random.Random, classes: int) -> dict[Any, Any]:
        size, width = rng.randint(1, 2), classes + rng.randint(0, 1)
        frame = orthonormal(rng, classes, rng.randint(1, classes - 1))
        projection = frame * frame.T
        outside = sp.eye(classes) - projection
        matrices = {name: orthonormal(rng, width, classes) * projection for name in "PQ"}
        matrices |= {"E": projection, "W": outside * sp.Rational(rng.randint(1, 5), 7) * outside}
        matrices["Y"] = sp.Matrix.hstack(*[sp.eye(classes)] * size**2)
        values: dict[Any, Any] = {n: size**2, omega: sp.Rational(1, size), d: width}
        values |= dict(zip((root, above, below, epsilon), half_integers(rng, 4), strict=True))
        return values | {name: rows_of(matrix) for name, matrix in matrices.items()}


# ---- neural collapse: Garrod and Keating 2025, equation 19
def _collapse_loss() -> sp.Expr:
    """log(1 + (K-1) e^(-alpha)) + decay, at alpha = r^(L+1)."""
    scale = r ** (L + 1)
    return sp.log(sp.exp(scale) + K - 1) - scale + lam / 2 * (L + 1) * (K - 1) * eta * r**2


def _collapse_level() -> sp.Expr:
    """h: alpha^q / (e^alpha + K - 1)."""
    return r ** (L - 1) / (sp.exp(r ** (L + 1)) + K - 1)


def elasticity() -> sp.Expr:
    """psi.

    Examples:
        >>> elasticity(), elasticity().subs(alpha, 0)
        (alpha*exp(alpha)/(K + exp(alpha) - 1), 0)
    """
    return alpha * sp.exp(alpha) / (sp.exp(alpha) + K - 1)


def critical() -> Identity:
    """The slope of the loss in r vanishes exactly where lam eta = h.

    Examples:
        >>> critical().right
        r*(K - 1)*(L + 1)*(eta*lambda - r**(L - 1)/(K + exp(r**(L + 1)) - 1))
    """
    slope = (L + 1) * (K - 1) * r * (lam * eta - _collapse_level())
    return Identity(sp.Derivative(_collapse_loss(), r), slope, r)


def level_slope() -> Identity:
    """r h' = h (L - 1 - (L+1) psi)."""
    scale, h = r ** (L + 1), _collapse_level()
    psi = scale * sp.exp(scale) / (sp.exp(scale) + K - 1)
    return Identity(r * sp.Derivative(h, r), h * (L - 1 - (L + 1) * psi), r)


def beyond_one() -> Exceeds:
    """psi at alpha = K.

    Examples:
        >>> round(float(beyond_one().left.subs(K, 2)), 6)  # of two classes
        1.761594
    """
    return Exceeds(elasticity().xreplace({alpha: K}), sp.S.One)


def between() -> tuple[Exceeds, Exceeds]:
    """e^(-alpha)/K < 1/(e^alpha + K - 1) < e^(-alpha): so alpha ~ -log lam along the larger solution.

    Examples:
        >>> [(each.left, each.right) for each in between()][1]
        (K + exp(alpha) - 1, exp(alpha))
    """
    return Exceeds(K * sp.exp(alpha), sp.exp(alpha) + K - 1), Exceeds(sp.exp(alpha) + K - 1, sp.exp(alpha))


def collapse_statement() -> AllOf:
    gradients = Gradient(K).conclusions.values()
    return AllOf((*gradients, critical(), level_slope(), Increasing(elasticity(), alpha), beyond_one(), *between()))


def collapse_scale(where: Setting) -> Derivation:
    lower, upper = between()
    rises = Exceeds((K - 1) * sp.exp(alpha), sp.S.Zero)
    gradients = Gradient(K).steps()
    said = tuple(step.name for step in gradients if step.name.startswith("gradient"))
    names = (*said, "slope of the loss", "slope of h", "psi", "psi at K", "lower bound", "upper bound")
    return Derivation(
        "Critical scales of neural collapse",
        where,
        (
            *gradients,
            Step("slope of the loss", critical(), "Differentiate.", Field()),
            Step("slope of h", level_slope(), "Differentiate the quotient.", Field()),
            Step("psi", Increasing(elasticity(), alpha), "Both factors grow.", Monotone()),
            Step("psi at K", beyond_one(), "(K - 1) e^K > K - 1.", Box()),
            Step("slope of the bound", rises, "A product of positive factors.", Box()),
            Step(
                "lower bound",
                lower,
                "Equal at alpha = 0, and the difference grows.",
                MeanValue(alpha, "slope of the bound"),
            ),
            Step("upper bound", upper, "K > 1.", Box()),
            Step("together", collapse_statement(), "The parts.", Conjunction(names)),
        ),
    )


def setting(gradient: Gradient, parameters: Mapping[sp.Symbol, Range]) -> Setting:
    """Of neural collapse, or of pairs where K = 2m."""

    def sample(rng: random.Random) -> Values:
        pairs = rng.randint(2, 3)
        classes = rng.randint(2, 4) if gradient.classes == K else 2 * pairs
        sizes = {K: classes} if gradient.classes == K else {m: pairs}
        numbers = dict(zip((lam, eta, r, alpha, kappa, x), half_integers(rng, 6), strict=True))
        return {**gradient.sample(rng, classes), **sizes, **numbers, L: rng.randint(1, 3)}

    return Setting(parameters, gradient.hypotheses, sample, (gradient.projection, gradient.rest))


# ---- pairs, K = 2m >= 4: Garrod and Keating 2025, equation 27
m = sp.Symbol("m", integer=True, positive=True)
kappa = sp.Symbol("kappa", positive=True)  # 2^(2/(L+1))
x = sp.Symbol("x", positive=True)  # e^beta - 1


def _pairs_loss() -> sp.Expr:
    """log(1 + e^(-2 beta) + (K-2) e^(-beta)) + decay, at beta = r^(L+1)."""
    scale = r ** (L + 1)
    wrong = sp.exp(-2 * scale) + (2 * m - 2) * sp.exp(-scale)
    return sp.log(1 + wrong) + lam / 2 * (L + 1) * m * kappa * eta * r**2


def pairs_critical() -> Identity:
    """The slope of the loss in r vanishes exactly where lam eta m 2^(2/(L+1)) = r^(L-1) R."""
    scale = r ** (L + 1)
    wrong = sp.exp(-2 * scale) + (2 * m - 2) * sp.exp(-scale)
    mean = (wrong + sp.exp(-2 * scale)) / (1 + wrong)
    slope = (L + 1) * r * (lam * eta * m * kappa - r ** (L - 1) * mean)
    return Identity(sp.Derivative(_pairs_loss(), r), slope, r)


def _mean() -> sp.Expr:
    """R = (2 + (K-2) e^beta) / (e^(2 beta) + (K-2) e^beta + 1)."""
    power, c = 1 + x, 2 * m - 2
    return (2 + c * power) / (power**2 + c * power + 1)


def _fall() -> sp.Expr:
    """-R'/R in beta; psi is beta times this."""
    power, c = 1 + x, 2 * m - 2
    return power * (c * power**2 + 4 * power + c) / ((power**2 + c * power + 1) * (c * power + 2))


def pairs_statement() -> AllOf:
    """R in [e^(-beta), (K-2) e^(-beta)] from K = 4: so beta ~ -log lam along the larger solution."""
    power = 1 + x
    return AllOf(
        (
            *Gradient(2 * m).conclusions.values(),
            pairs_critical(),
            Identity(-power * sp.Derivative(_mean(), x) / _mean(), _fall(), x),
            Increasing(_fall(), x),
            Positive(_fall()),
            Positive(_mean() * power - 1),
            Positive(2 * m - 2 - _mean() * power),
        )
    )


def pairs_scale(where: Setting) -> Derivation:
    gradients = Gradient(2 * m).steps()
    first = tuple(step.name for step in gradients if step.name.startswith("gradient"))
    said = pairs_statement().parts[len(first) :]
    steps = (
        Step("slope of the loss", said[0], "Differentiate.", Field()),
        Step("slope of R", said[1], "Differentiate; e^beta = 1 + x.", Field()),
        Step("fall", said[2], "A quotient of polynomials with positive coefficients, and so is its slope.", Monotone()),
        Step("positive", said[3], "Positive coefficients.", Poly()),
        Step("lower bound", said[4], "It is x ((K-3)(1+x) + 1) over a positive number.", Poly()),
        Step("upper bound", said[5], "Positive coefficients.", Poly()),
    )
    names = (*first, *(step.name for step in steps))
    return Derivation(
        "Critical scales of the paired structure",
        where,
        (*gradients, *steps, Step("together", pairs_statement(), "The parts.", Conjunction(names))),
    )


# ---- odd K
@dataclass(frozen=True)
class SingleClass:
    """A class with unit vector e that is alone: W_L p = s e and H^T p = c Y^T e for a unit vector p of features.

    H are the features of the last layer. The softmax of that class is w for all others, so that the gradient G in the
    logits has G Y^T e = (w/K) (1 - K e).
    """

    @property
    def weights(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """Any W_L, and that of the structure."""
        return sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("W_0", K, d)

    @property
    def letters(self) -> dict[str, sp.MatrixSymbol]:
        sizes = {"H": (d, K * n), "Y": (K, K * n), "G": (K, K * n), "e": (K, 1), "j": (K, 1), "p": (d, 1)}
        return {name: sp.MatrixSymbol(name, *size) for name, size in sizes.items()}

    def slope(self, weights: Any) -> MatrixExpr:
        return self.letters["G"] * self.letters["H"].T + lam * weights

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        H, Y, G, e, j, p = self.letters.values()
        return (
            Hypothesis("softmax", Equal(K * G * Y.T * e, epsilon * (ones(K) - K * e)), "of the single class"),
            Hypothesis("features", Equal(H.T * p, above * Y.T * e), "the single class has a direction of its own"),
            Hypothesis("last layer", Equal(self.weights[1] * p, root * e), "aligned with it"),
            Hypothesis("another class", Equal(sp.Trace(j.T * e), sp.S.Zero), "unit vectors"),
            Hypothesis("sum of j", Equal(sp.Trace(ones(K).T * j), sp.S.One), "a unit vector"),
        )

    @property
    def statement(self) -> AllOf:
        """The gradient in W_L, and an entry of it that is positive at every scale."""
        weights, here = self.weights
        H, _, G, _, j, p = self.letters.values()
        linear = sp.Trace(G.T * weights * H) + lam / 2 * frobenius_squared(weights)
        entry = above * epsilon / K
        return AllOf(
            (
                GradientIs(linear, weights, self.slope(weights)),
                Equal(sp.Trace(j.T * self.slope(here) * p), entry),
                Positive(entry),
            )
        )

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        def sample(rng: random.Random) -> Values:
            classes, size, width = rng.randint(2, 3), rng.randint(1, 2), rng.randint(1, 2)
            step, singular, scale, decay = half_integers(rng, 4)
            e, j = sp.eye(classes)[:, classes - 1], sp.eye(classes)[:, 0]
            p = orthonormal(rng, width, 1)
            outside = sp.eye(width) - p * p.T
            labels = sp.Matrix.hstack(*[sp.eye(classes)] * size)
            others = sp.eye(classes) - e * e.T
            column = step * (sp.ones(classes, 1) - classes * e) / (classes * size)
            found = {
                "H": scale * p * e.T * labels + outside * sp.ones(width, classes * size),
                "Y": labels,
                "G": column * e.T * labels + others * labels,
                "e": e,
                "j": j,
                "p": p,
                "W": sp.ones(classes, width),
                "W_0": singular * e * p.T + sp.ones(classes, width) * outside,
            }
            values: dict[Any, Any] = {K: classes, n: size, d: width, epsilon: step, root: singular, above: scale}
            values |= {lam: decay, **{name: rows_of(matrix) for name, matrix in found.items()}}
            return values

        return Setting(parameters, self.hypotheses, sample)


def never_critical(case: SingleClass, where: Setting) -> Derivation:
    """Balanced factors of pairs and a single class are no critical point, whatever the scales and the decay."""
    gradient, entry, positive = case.statement.parts
    names = ("gradient", "entry", "positive")
    return Derivation(
        "Pairs beside a single class are never critical",
        where,
        (
            Step("gradient", gradient, "Differentiate; of cross-entropy only G plays a part.", Differentiate()),
            Step("entry", entry, "The decay has no share in it, as j^T e = 0.", Star()),
            Step("positive", positive, "A product of positive numbers.", Poly(())),
            Step("together", case.statement, "The parts.", Conjunction(names)),
        ),
    )
