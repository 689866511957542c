"""The deep ReLU model: the least decay of neural collapse, and pairs of classes that ReLU leaves unchanged.

H_(l+1) = ReLU(W_l H_l) for l < L, and Z = W_L H_L. (Garrod and Keating 2025, theorem 7.)

Neural collapse: the class means M of every layer are a simplex ETF about their mean, M S = a Q with Q^T Q = S and
S = I - 1 1^T / K, and Z = alpha S Y. ReLU brings no two columns further apart, so that ||W_l||_F^2 >= (K-1) b^2 / a^2
for the layer from a to b, whatever the means. The power (T/l)^l of the mean of l squared norms grows at least by the
factor w with the next one, so that all of them add up to at least

    (L+1) (K-1) (alpha^2 n)^(1/(L+1)),

as in the linear model. Nothing is assumed of how ReLU changes the ratio of the global mean to the simplex.

Pairs: F of rank m is the projection on the differences in m pairs (`low_rank`), o the vector of ones on the paired
classes, J = o o^T / (2m), and G = e e^T the projection on a single class, for K = 2m + 1. The features of the classes

    phi (2 F + o o^T) + chi G   have the entries   0, phi, 2 phi, chi,

so that ReLU leaves them unchanged. Between the first layer and the last, c (F + J) + s G multiplies phi by c and chi by
s. The last layer is t F + s G, with logits (2 beta F + gamma G) Y. The first one is (f F + g J + s G) P^T, and H_1 is
P (x F + z J + u G) Y, with f x = 2 phi, g z = 2 m phi and s = n^(1/2) u; their norms are least if f = n^(1/2) x and
g = n^(1/2) z.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import low_rank
from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .low_rank import L, Structure, alpha, d, delta, lam, m
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Gram, NormZero, Poly, Rewrite, Square, Star, WeightedMeans
from .proof.statement import AllOf, Between, Equal, Exceeds, Nonnegative, Positive, Statement
from .symbols import frobenius_squared, n, ones

a = sp.Symbol("a", positive=True)
b = sp.Symbol("b", positive=True)
h = sp.Symbol("h", nonnegative=True)
l = sp.Symbol("l", integer=True, positive=True)
total, more = sp.symbols("T w", positive=True)
c, t = sp.symbols("c t", positive=True)
f, g, x, u = sp.symbols("f g x u", positive=True)
eta = sp.Symbol("eta", positive=True)  # n^(1/2)
phi, z, s, chi = sp.symbols("phi z s chi", positive=True)
SCALES = {phi: f * x / 2, z: m * f * x / g, s: eta * u, chi: s * u}  # what these four stand for


# ---- the least decay of neural collapse
@dataclass(frozen=True)
class CollapsedLayer:
    """W M = N - B: N are the class means after ReLU, B what it adds, N and B without a negative entry and disjoint.

    M S = a Q and N S = b R, with Q^T Q = R^T R = S. H are features with the means M. T is the sum of the squared
    norms of the l lowest factors, w that of the next one.
    """

    classes: Any

    def letter(self, name: str, rows: Any, columns: Any) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(name, rows, columns)

    @property
    def weights(self) -> sp.MatrixSymbol:
        return self.letter("W", d, d)

    @property
    def below(self) -> sp.MatrixSymbol:
        return self.letter("M", d, self.classes)

    @property
    def above(self) -> sp.MatrixSymbol:
        return self.letter("N", d, self.classes)

    @property
    def added(self) -> sp.MatrixSymbol:
        return self.letter("B", d, self.classes)

    @property
    def directions(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """Q and R."""
        return self.letter("Q", d, self.classes), self.letter("R", d, self.classes)

    @property
    def features(self) -> sp.MatrixSymbol:
        return self.letter("H", d, self.classes * n)

    @property
    def labels(self) -> sp.MatrixSymbol:
        return self.letter("X", self.classes, self.classes * n)

    @property
    def simplex(self) -> MatrixExpr:
        """S."""
        return sp.Identity(self.classes) - ones(self.classes) * ones(self.classes).T / self.classes

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        S, M, N, B = self.simplex, self.below, self.above, self.added
        (Q, R), one = self.directions, ones(self.classes)
        return (
            Hypothesis("ReLU", Equal(self.weights * M, N - B), "positive and negative part"),
            Hypothesis("disjoint", Equal(sp.Trace(N.T * B), sp.S.Zero), "one of the two entries is zero"),
            Hypothesis("no negative entry", Equal(sp.Trace(one.T * N.T * B * one), h), "no row has a negative sum"),
            Hypothesis("collapse below", Equal(M * S, a * Q), "about the mean"),
            Hypothesis("collapse above", Equal(N * S, b * R), "about the mean"),
            Hypothesis("simplex below", Equal(Q.T * Q, S), "a simplex ETF"),
            Hypothesis("simplex above", Equal(R.T * R, S), "a simplex ETF"),
            Hypothesis(
                "classes", Equal(self.labels * self.labels.T, n * sp.Identity(self.classes)), "n samples a class"
            ),
            Hypothesis("means", Equal(n * M, self.features * self.labels.T), "of the features"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        rank = self.classes - 1
        return {
            "layer": Nonnegative(a**2 * frobenius_squared(self.weights) - rank * b**2),
            "features": Nonnegative(frobenius_squared(self.features) - n * rank * a**2),
            "one factor more": Nonnegative(l**l * (total + more) ** (l + 1) - (l + 1) ** (l + 1) * total**l * more),
        }

    def steps(self) -> tuple[Step, ...]:
        S, M, N, B, W, one = self.simplex, self.below, self.above, self.added, self.weights, ones(self.classes)
        Q, R = self.directions
        said = self.conclusions
        outside = a * (W - W * Q * Q.T)
        spread, shift = self.features - M * self.labels, M - M * S
        squares = (Square(1, outside), Square(1, B * S), Square(2 * h / self.classes**2, one))
        parts = (Square(1, spread), Square(n, shift))
        layer, features = said["layer"], said["features"]
        assert isinstance(layer, Nonnegative)
        assert isinstance(features, Nonnegative)

        def sums(terms: tuple[Square, ...]) -> sp.Expr:
            return sp.Add(*(each.weight * frobenius_squared(each.factor) for each in terms))

        return (
            *centred("Q", Q, "simplex below"),
            *centred("R", R, "simplex above"),
            Step(
                "outside",
                Equal(a**2 * frobenius_squared(W), a**2 * frobenius_squared(W * Q) + frobenius_squared(outside)),
                "Q Q^T is a projection.",
                Star(("simplex below", "Q 1")),
            ),
            Step("image", Equal(a * W * Q, (N - B) * S), "W M S.", Star(("ReLU", "collapse below"))),
            Step(
                "contraction",
                Equal(
                    frobenius_squared((N - B) * S),
                    frobenius_squared(N * S) + frobenius_squared(B * S) + 2 * h / self.classes,
                ),
                "ReLU brings no two columns further apart.",
                Star(("disjoint", "no negative entry")),
            ),
            Step(
                "before ReLU",
                Equal(a**2 * frobenius_squared(W * Q), frobenius_squared((N - B) * S)),
                "The same matrix.",
                Star(("image",)),
            ),
            Step(
                "simplex",
                Equal(frobenius_squared(N * S), (self.classes - 1) * b**2),
                "The trace of b^2 S.",
                Star(("collapse above", "simplex above", "R 1")),
            ),
            Step(
                "squares",
                Equal(layer.scalar, sums(squares)),
                "Insert the four.",
                Star(("outside", "before ReLU", "contraction", "simplex")),
            ),
            Step("sum of squares", Nonnegative(sums(squares)), "Squares.", Gram(squares)),
            Step("layer", layer, "It is that sum.", Rewrite("sum of squares", "squares")),
            Step(
                "about the mean",
                Equal(frobenius_squared(M), (self.classes - 1) * a**2 + frobenius_squared(shift)),
                "The simplex and the mean.",
                Star(("collapse below", "simplex below", "Q 1")),
            ),
            Step(
                "squares of the features",
                Equal(features.scalar, sums(parts)),
                "About the class means, and about their mean.",
                Star(("means", "classes", "about the mean")),
            ),
            Step("sum over the features", Nonnegative(sums(parts)), "Squares.", Gram(parts)),
            Step("features", features, "It is that sum.", Rewrite("sum over the features", "squares of the features")),
            Step(
                "one factor more",
                said["one factor more"],
                "The means of T/l, l times, and w.",
                WeightedMeans(((l, total), (1, more))),
            ),
        )


def centred(name: str, embedding: MatrixExpr, isometry: str) -> tuple[Step, Step]:
    """Q 1 = 0, as Q^T Q = S."""
    image = embedding * ones(embedding.shape[1])
    return (
        Step(f"length of {name} 1", Equal(frobenius_squared(image), sp.S.Zero), "It is 1^T S 1.", Star((isometry,))),
        Step(
            f"{name} 1",
            Equal(image, sp.ZeroMatrix(*image.shape)),
            "A vector of length zero.",
            NormZero(f"length of {name} 1", (Square(1, image),)),
        ),
    )


# ---- pairs in the ReLU model
PAPER = ((Between(m, 8), Between(L, 4, 4)), (Between(m, 5), Between(L, 5)))  # K >= 16 at L = 4, K >= 10 from L = 5 on
LEAST = {(4, 4): 7, (5, 5): 5, (6, 7): 4, (8, None): 3}  # the least number of pairs, by L
EXACT = tuple((Between(m, least), Between(L, *ends)) for ends, least in LEAST.items())


def pairs_decay() -> sp.Expr:
    """(16 m^3 (m+1)^(L-2))^(1/(L+1)): of m pairs in units of (lam/2) (L+1) (beta^2 n)^(1/(L+1))."""
    return 4 * (m + 1) / (sp.Integer(2) ** (2 * (L - 1) / (L + 1)) * ((m + 1) / m) ** (3 / (L + 1)))


def fewer_decays(covered: Any) -> Exceeds:
    """The least decay of neural collapse exceeds that of pairs of the same scale, both less 1 for K = 2m + 1.

    For K = 2m this is 2K + 4 < (K-1) 2^(2(L-1)/(L+1)) ((K+2)/K)^(3/(L+1)).
    """
    return Exceeds(2 * m - 1, pairs_decay(), covered)


@dataclass(frozen=True)
class Pairs:
    """Factors and features as above; P^T P = I embeds the classes. ``short``: with the letters of `definitions`."""

    structure: Structure
    short: bool = False

    @property
    def paired(self) -> sp.MatrixSymbol:
        """o."""
        return self.structure.unit("o")

    @property
    def pattern(self) -> MatrixExpr:
        """2 F + o o^T."""
        return 2 * self.structure.differences + self.paired * self.paired.T

    @property
    def meanings(self) -> dict[sp.MatrixSymbol, MatrixExpr]:
        """Phi, the features of one sample a class, and the factors: A_L, A between, A_1, and H_1."""
        F, G, J = self.structure.differences, self.structure.single, self.paired * self.paired.T / (2 * m)
        P, Y, size = self.structure.embeddings[0], self.structure.labels, self.structure.classes
        last, between, features = (sp.MatrixSymbol(name, size, size) for name in ("A_L", "A", "Phi"))
        first, samples = sp.MatrixSymbol("A_1", size, d), sp.MatrixSymbol("H_1", d, Y.shape[1])
        return {
            features: phi * self.pattern + chi * G,
            last: t * F + s * G,
            between: c * (F + J) + s * G,
            first: (f * F + g * J + s * G) * P.T,
            samples: P * (x * F + z * J + u * G) * Y,
        }

    @property
    def definitions(self) -> dict[Any, Any]:
        return {**SCALES, **self.meanings}

    def said(self, expression: Any) -> Any:
        """With its letters, or written out."""
        return expression if self.short else expression.xreplace(self.meanings).xreplace(SCALES).xreplace(SCALES)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        structure, o = self.structure, self.paired
        F, G, P = structure.differences, structure.single, structure.embeddings[0]
        known = [
            each
            for each in (*structure.frame, *structure.units)
            if each.name != "root of n" and not each.name.startswith("isometry")
        ]
        size = structure.classes
        counted = {name: Equal(sp.Trace(o.T * structure.unit(name)), sp.S.One) for name in "kpj"}
        return (
            *known,
            Hypothesis("embedding", Equal(P.T * P, sp.Identity(size)), "orthonormal columns"),
            Hypothesis("sum over pairs", Equal(F * o, sp.ZeroMatrix(size, 1)), "differences sum to zero"),
            Hypothesis("single apart", Equal(G * o, sp.ZeroMatrix(size, 1)), "o vanishes on the single class"),
            Hypothesis("last apart", Equal(sp.Trace(o.T * structure.unit("e")), sp.S.Zero), "the same"),
            Hypothesis("paired classes", Equal(sp.Trace(o.T * o), 2 * m), "ones on the paired classes"),
            *(Hypothesis(f"{name} in a pair", says, "a paired class") for name, says in counted.items()),
            Hypothesis("root of n", Equal(eta**2, n), "eta = n^(1/2)"),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        structure = self.structure
        features, last, between, first, samples = self.meanings
        F, G, Y = structure.differences, structure.single, structure.labels
        k, e = structure.unit("k"), structure.unit("e")

        def equal(left: Any, right: Any) -> Equal:
            return Equal(self.said(left), self.said(sp.sympify(right, strict=True)))

        def entry(row: MatrixExpr, column: MatrixExpr, value: Any) -> Equal:
            return equal(sp.Trace(row.T * features * column), value)

        single = delta * s**2
        norms = frobenius_squared(first) + frobenius_squared(samples)
        pairs = 4 * m * phi * eta
        return {
            "own entry": entry(k, k, 2 * phi),
            "entry of the partner": entry(structure.unit("p"), k, 0),
            "entry of another class": entry(structure.unit("j"), k, phi),
            "entry of the single class": entry(e, k, 0),
            "entry for the single class": entry(k, e, 0),
            "own entry of the single class": entry(e, e, chi * delta),
            "first features": equal(first * samples, features * Y),
            "next features": equal(between * features, c * phi * self.pattern + s * chi * G),
            "logits": equal(last * features * Y, (2 * (t * phi) * F + s * chi * G) * Y),
            "first norms": equal(norms, 2 * (pairs + single) + m * (f - eta * x) ** 2 + (g - eta * z) ** 2),
            "norm of the layer": equal(frobenius_squared(between), (m + 1) * c**2 + single),
            "norm of the last layer": equal(frobenius_squared(last), m * t**2 + single),
            "product of the norms": equal(
                pairs**2 * ((m + 1) * c**2) ** (L - 2) * (m * t**2),
                16 * m**3 * (m + 1) ** (L - 2) * n * (t * phi * c ** (L - 2)) ** 2,
            ),
            "scale of the single class": equal(s ** (2 * L + 2), n * (s * chi * s ** (L - 2)) ** 2),
        }

    def steps(self) -> tuple[Step, ...]:
        frame = [each.name for each in self.structure.frame if not each.name.startswith("isometry")]
        units = [each.name for each in self.structure.units]
        shape = [name for name in frame if name not in ("root of n", "labels")]
        apart = ("sum over pairs", "single apart", "paired classes")
        entries = ("k in a pair", "p in a pair", "j in a pair", "last apart")
        rules: dict[str, tuple[str, tuple[str, ...]]] = {
            "first features": ("Orthonormal columns.", (*shape, *apart, "embedding")),
            "next features": ("(F + J) (2 F + o o^T) = 2 F + o o^T.", (*shape, *apart)),
            "logits": ("F o = 0.", (*shape, *apart)),
            "first norms": (
                "Squares of f - eta x and g - eta z; Y Y^T = n I.",
                (*shape, *apart, "embedding", "labels", "root of n"),
            ),
            "norm of the layer": ("F + J has rank m + 1.", (*shape, *apart)),
            "norm of the last layer": ("F has rank m.", (*shape, *apart)),
            "product of the norms": ("eta^2 = n.", ("root of n",)),
            "scale of the single class": ("All its singular values are s.", ("root of n",)),
        }
        entries_of = ("Entries of F, o and G.", (*units, *entries))
        found: list[Step] = []
        for name, says in self.conclusions.items():
            because, using = rules.get(name, entries_of)
            found.append(Step(name, says, because, Star(using)))
        return tuple(found)


# ---- the claim
@dataclass(frozen=True)
class ReLU:
    """Neural collapse beside pairs of the same scale, for the m and L that are ``covered``: both terms of the loss."""

    covered: tuple[tuple[Between, ...], ...]

    @property
    def pairs(self) -> Pairs:
        return Pairs(Structure(of_pairs=True))

    @property
    def collapse(self) -> CollapsedLayer:
        return CollapsedLayer(K)

    @property
    def better(self) -> low_rank.Better:
        return low_rank.Better(fewer_decays(self.covered))

    @property
    def parts(self) -> dict[str, Statement]:
        better = {name: says for name, says in self.better.conclusions.items() if not name.startswith("loss")}
        return {**self.collapse.conclusions, **replace(self.pairs, short=True).conclusions, **better}

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.parts.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        pairs = self.pairs
        symmetric = (pairs.structure.differences, pairs.structure.single)
        hypotheses = (*self.collapse.hypotheses, *pairs.hypotheses)
        return Setting(parameters, hypotheses, sample, symmetric, pairs.definitions)


def sample(rng: random.Random) -> Values:
    """Two pairs or more, a single class or none; a layer that ReLU leaves as it is, or one with identity features.

    Eight and five pairs are the least that the paper has, four are too few. The classes of the collapsed layer are as
    many, or two, or ten beside many pairs, which have one sample a class or sixteen: the two parts share no matrix.
    """
    pairs, alone, depth = rng.choice([2, 2, 3, 2, 3, 2, 2, 4, 5, 8]), rng.randint(0, 1), rng.choice([2, 3, 4, 8])
    classes, large = 2 * pairs + alone, pairs > 3
    root, few = rng.choice([(1, 2), (1, 10), (4, 2)]) if large else (rng.randint(1, 2), rng.choice([2, 2, classes]))
    width = max(classes, few)
    values: dict[Any, Any] = {m: pairs, delta: alone, K: few, n: root**2, eta: root, d: width, L: depth}
    values |= dict(zip((lam, alpha, c, t, f, g, x, u), half_integers(rng, 8), strict=True))
    values |= {l: rng.choice([1, 2, 3, 7]), more: sp.Rational(rng.randint(1, 4), 2)}
    values[total] = values[more] * (values[l] if rng.random() < 0.7 else rng.randint(1, 4))
    identity, last = sp.eye(classes), sp.eye(classes)[:, classes - 1] * alone
    blocks = sp.zeros(classes, classes)
    for i in range(0, 2 * pairs, 2):
        blocks[i : i + 2, i : i + 2] = sp.Matrix([[1, -1], [-1, 1]]) / 2
    matrices = {
        "F": blocks,
        "G": last * last.T,
        "e": last,
        "o": sp.ones(classes, 1) - last,
        "k": identity[:, 0],
        "p": identity[:, 1],
        "j": identity[:, 2],
        "P": orthonormal(rng, width, classes),
        "Y": sp.Matrix.hstack(*[identity] * root**2),
    }
    simplex, embedded = sp.eye(few) - sp.ones(few, few) / few, sp.eye(width)[:, :few]
    labels = sp.Matrix.hstack(*[sp.eye(few)] * root**2)
    low, step = half_integers(rng, 2)
    if rng.random() < 0.5:
        directions = [orthonormal(rng, width, few) * simplex for _ in range(2)]
        below, weights = low * directions[0], step * directions[1] * directions[0].T
        above, after = low * step * directions[1], low * step
    else:
        below, weights = low * embedded, step * embedded * simplex * embedded.T
        above = low * step * (1 - sp.Rational(1, few)) * embedded
        directions, after = [embedded * simplex] * 2, above[0, 0]
    added = above - weights * below
    matrices |= {"W": weights, "M": below, "N": above, "B": added, "X": labels}
    values |= {a: low, b: after}
    matrices |= dict(zip("QR", directions, strict=True))
    values[h] = (sp.ones(1, few) * above.T * added * sp.ones(few, 1))[0]
    matrices["H"] = below * labels
    if root > 1 and rng.random() < 0.5:
        matrices["H"] += sp.Matrix.hstack(*[embedded, -embedded] * (root**2 // 2))
    values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
    return values


def beats_collapse(case: ReLU, where: Setting) -> Derivation:
    """Pairs beat neural collapse of the same scale in the ReLU model."""
    better = [
        step
        for step in case.better.steps("Cut into boxes, infinity included.")
        if not step.name.startswith(("loss", "slope, "))
    ]
    steps = [*case.collapse.steps(), *case.pairs.steps(), *better]
    steps.append(Step("together", case.statement, "The parts.", Conjunction(tuple(case.parts))))
    return Derivation("Pairs beat neural collapse of the same scale in the ReLU model", where, tuple(steps))


# ---- where pairs have fewer decays
def more_decays() -> dict[str, Statement]:
    """Elsewhere they have more: compared as (2m-1)^(L+1) and 16 m^3 (m+1)^(L-2) where they come close."""
    between = (
        (Between(m, 3, 6), Between(L, 4, 4)),
        (Between(m, 3, 4), Between(L, 5, 5)),
        (Between(m, 3, 3), Between(L, 6, 7)),
    )
    return {
        "two layers": Positive(16 * m**3 - (2 * m - 1) ** 3),
        "three layers": Positive(16 * m**3 * (m + 1) - (2 * m - 1) ** 4),
        "one pair": Positive(16 * sp.Integer(2) ** (L - 2) - 1),
        "two pairs": Positive(128 * sp.Integer(3) ** (L - 2) - sp.Integer(3) ** (L + 1)),
        "few pairs": Exceeds(pairs_decay(), 2 * m - 1, between),
    }


def exact_statement() -> AllOf:
    return AllOf((fewer_decays(EXACT), *more_decays().values()))


def exactly_where(where: Setting) -> Derivation:
    """Pairs have fewer decays from 7, 5, 4 and 3 of them on at L = 4, at L = 5, at L = 6 and 7, and from L = 8 on."""
    elsewhere = more_decays()
    steps = [
        Step("fewer", fewer_decays(EXACT), "Cut into boxes, infinity included.", Box()),
        *(
            Step(name, says, "A polynomial.", Poly(())) if isinstance(says, Positive) else Step(name, says, "", Box())
            for name, says in elsewhere.items()
        ),
    ]
    steps.append(Step("together", exact_statement(), "The parts.", Conjunction(("fewer", *elsewhere))))
    return Derivation("Where pairs have fewer decays than neural collapse with ReLU", where, tuple(steps))


def fewer(pairs: int, depth: int) -> bool:
    """(2m-1)^(L+1) > 16 m^3 (m+1)^(L-2), exactly.

    Examples:
        >>> [min(m for m in range(1, 99) if fewer(m, depth)) for depth in (4, 5, 6, 7, 8, 40)]
        [7, 5, 4, 4, 3, 3]
        >>> any(fewer(m, depth) for depth in (2, 3) for m in range(1, 500))
        False
    """
    return (2 * pairs - 1) ** (depth + 1) > 16 * pairs**3 * (pairs + 1) ** (depth - 2)


# ---- rank two
def quarter_circle_wins(classes: int, depth: int) -> bool:
    """Whether K points on a quarter circle have fewer decays than the bound of collapse of a scale with their gaps.

    The features p_i, at K equal angles from 0 to pi/2, have no negative entry, so that ReLU leaves them. The last layer
    has the rows p_i less their mean, the layers between are I of rank two, and the first two factors are balanced. All
    gaps are at least 1 - cos(pi / (2 (K-1))) = g, so that cross-entropy is no more than that of collapse at the scale
    g. The sum of the squared norms is least, (L+1) times a power of their product, where

        (tr (P P^T)^(1/2))^2 2^(L-2) ||P S||_F^2 / g^2 < (K-1)^(L+1).

    In floats: sizes that come close to each other are told by no rounding.

    Examples:
        >>> [min(d for d in range(2, 99) if quarter_circle_wins(K, d)) for K in (4, 5, 6, 8)]
        [10, 8, 7, 6]
        >>> any(quarter_circle_wins(3, d) for d in range(2, 500))
        False
    """
    import math

    step = math.pi / (2 * (classes - 1))

    def sum_of_units(angle: float) -> float:
        return abs(math.sin(classes * angle / 2) / math.sin(angle / 2))

    spread = sum_of_units(2 * step)
    nuclear = math.sqrt((classes + spread) / 2) + math.sqrt((classes - spread) / 2)
    last = classes - sum_of_units(step) ** 2 / classes
    norms = 2 * math.log(nuclear) + (depth - 2) * math.log(2) + math.log(last) - 2 * math.log(1 - math.cos(step))
    return norms < (depth + 1) * math.log(classes - 1)
