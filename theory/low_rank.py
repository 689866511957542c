"""Logits of a deep linear model with few distinct singular values: neural collapse, and the paired structure.

Balanced factors of logits Z = (sum_i s_i^(L+1) E_i) Y / n^(1/2), with orthogonal projections E_i of rank r_i, labels Y
of K classes of n samples, and matrices P_l (d x K) with P_l^T P_l = E_1 + E_2 + ... =: E:

    W_L = R P_(L-1)^T,  W_l = P_l R P_(l-1)^T,  H_1 = P_0 R Y / n^(1/2),  R = sum_i s_i E_i.

Each of the L + 1 factors has the squared norm sum_i r_i s_i^2. (Garrod and Keating 2025, sections 2 and 3.)

- Neural collapse: E_1 = S = I - 1 1^T / K, of rank K - 1, and s_1^(L+1) = alpha n^(1/2), so that Z = alpha S Y.
- Pairs: E_1 = F of rank m has the blocks [[1, -1], [-1, 1]] / 2, so that F k = (k - p)/2 for the unit vectors k of a
  class and p of its partner; s_1^(L+1) = 2 beta n^(1/2). For K = 2m + 1 the last class, with unit vector e, is alone:
  E_2 = G = e e^T, s_2^(L+1) = gamma n^(1/2); for K = 2m, G and e are zero. So Z = (2 beta F + gamma G) Y; the paper has
  gamma = beta.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Box, Conjunction, Field, MeanValue, NormZero, Square, Star
from .proof.statement import AllOf, Between, Equal, Exceeds, Identity, Statement
from .symbols import frobenius_squared, n, ones

L = sp.Symbol("L", integer=True, positive=True)
d = sp.Symbol("d", integer=True, positive=True)
m = sp.Symbol("m", integer=True, positive=True)
delta = sp.Symbol("delta", integer=True, nonnegative=True)  # K - 2m, 0 or 1
lam = sp.Symbol("lambda", positive=True)
alpha = sp.Symbol("alpha", positive=True)
beta = sp.Symbol("beta", positive=True)
gamma = sp.Symbol("gamma", positive=True)
omega = sp.Symbol("omega", positive=True)  # n^(-1/2)
UPPER = sp.symbols("c b", positive=True)
FACTOR_VALUES = (sp.Symbol("s", positive=True), sp.Symbol("u", positive=True))


@dataclass(frozen=True)
class Part:
    """One singular value: of Z it is ``value`` n^(1/2); E and its rank, ``dimension``."""

    projection: MatrixExpr
    dimension: sp.Expr
    value: sp.Expr


@dataclass(frozen=True)
class Structure:
    """Neural collapse, or pairs."""

    of_pairs: bool

    @property
    def classes(self) -> sp.Expr:
        return 2 * m + delta if self.of_pairs else K

    @property
    def differences(self) -> sp.MatrixSymbol:
        """F, symmetric: the projection on the differences of the two classes of a pair."""
        return sp.MatrixSymbol("F", self.classes, self.classes)

    def unit(self, name: str) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(name, self.classes, 1)

    @property
    def single(self) -> sp.MatrixSymbol:
        """G, symmetric: the projection e e^T on the class that has no partner; zero if K = 2m."""
        return sp.MatrixSymbol("G", self.classes, self.classes)

    @property
    def parts(self) -> tuple[Part, ...]:
        if self.of_pairs:
            return Part(self.differences, m, 2 * beta), Part(self.single, delta, gamma)
        return (Part(sp.Identity(K) - ones(K) * ones(K).T / K, K - 1, alpha),)

    def mixed(self, coefficients: Sequence[Any]) -> MatrixExpr:
        """sum_i c_i E_i."""
        terms = [c * part.projection for c, part in zip(coefficients, self.parts, strict=True)]
        return sum(terms[1:], terms[0])

    @property
    def support(self) -> MatrixExpr:
        """E."""
        return self.mixed([sp.S.One] * len(self.parts))

    @property
    def pattern(self) -> MatrixExpr:
        """The logits of one sample a class."""
        return self.mixed([part.value for part in self.parts])

    @property
    def roots(self) -> tuple[sp.Symbol, ...]:
        """s_i."""
        return FACTOR_VALUES[: len(self.parts)]

    @property
    def embeddings(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """P_l of a layer, and of the one below."""
        return sp.MatrixSymbol("P", d, self.classes), sp.MatrixSymbol("Q", d, self.classes)

    @property
    def labels(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("Y", self.classes, self.classes * n)

    @property
    def factors(self) -> dict[str, MatrixExpr]:
        """The last layer, one between, and the features."""
        above, below = self.embeddings
        root = self.mixed(self.roots)
        return {
            "last layer": root * below.T,
            "layer": above * root * below.T,
            "features": omega * below * root * self.labels,
        }

    # ---- what is assumed
    @property
    def frame(self) -> tuple[Hypothesis, ...]:
        """Labels and embeddings."""
        labels = Equal(self.labels * self.labels.T, n * sp.Identity(self.classes))
        isometries = [Equal(p.T * p, self.support) for p in self.embeddings]
        found = [
            Hypothesis("root of n", Equal(n * omega**2, sp.S.One), "omega = n^(-1/2)"),
            Hypothesis("labels", labels, "n samples a class"),
            *(
                Hypothesis(f"isometry {p}", says, "isometric on the range of E")
                for p, says in zip("PQ", isometries, strict=True)
            ),
        ]
        if self.of_pairs:
            F, G, size = self.differences, self.single, self.classes
            found += [
                Hypothesis("pairs", Equal(F * F, F), "the projection on the differences in the pairs"),
                Hypothesis("number of pairs", Equal(sp.Trace(F), m), "its rank"),
                Hypothesis("single", Equal(G * G, G), "the projection on the class without a partner"),
                Hypothesis("number of single classes", Equal(sp.Trace(G), delta), "its rank"),
                Hypothesis("apart", Equal(F * G, sp.ZeroMatrix(size, size)), "the single class is in no pair"),
            ]
        return tuple(found)

    @property
    def scales(self) -> tuple[Hypothesis, ...]:
        return tuple(
            Hypothesis(f"scale {s}", Equal(omega * s ** (L + 1), part.value), "the singular values of Z")
            for s, part in zip(self.roots, self.parts, strict=True)
        )

    @property
    def units(self) -> tuple[Hypothesis, ...]:
        """A class k, of pairs with its partner p, and another class j; none of them the last where that is alone."""
        k, p, j, one, zero = self.unit("k"), self.unit("p"), self.unit("j"), sp.S.One, sp.S.Zero
        found: dict[str, tuple[Any, Any, Any]] = {"own class": (k, k, one), "another class": (j, k, zero)}
        if not self.of_pairs:
            found |= {"sum of k": (ones(K), k, one), "sum of j": (ones(K), j, one)}
        else:
            e = self.unit("e")
            found |= {"partner": (p, p, one), "no own partner": (p, k, zero), "no partners": (j, p, zero)}
            found |= {"k not last": (e, k, zero), "p not last": (e, p, zero), "j not last": (e, j, zero)}
        products = tuple(
            Hypothesis(name, Equal(sp.Trace(left.T * right), value), "unit vectors of classes")
            for name, (left, right, value) in found.items()
        )
        if not self.of_pairs:
            return products
        F, G, e = self.differences, self.single, self.unit("e")
        return (
            *products,
            Hypothesis("partners", Equal(F * k, (k - p) / 2), "k and p are a pair"),
            Hypothesis("k not single", Equal(G * k, sp.ZeroMatrix(self.classes, 1)), "k and p are a pair"),
            Hypothesis("alone", Equal(F * e, sp.ZeroMatrix(self.classes, 1)), "the last class has no partner"),
            Hypothesis("last", Equal(G * e, e), "the last class is single"),
            Hypothesis("one last", Equal(sp.Trace(e.T * e), delta), "a unit vector, or zero if K = 2m"),
        )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        return (*self.frame, *self.scales, *self.units)

    # ---- what is said
    @property
    def gaps(self) -> dict[str, Statement]:
        """By how much the right logit exceeds another."""
        Z, k, j = self.pattern, self.unit("k"), self.unit("j")

        def gap(wrong: Any, own: Any, size: Any) -> Equal:
            return Equal(sp.Trace(own.T * Z * own) - sp.Trace(wrong.T * Z * own), size)

        if not self.of_pairs:
            return {"gap": gap(j, k, alpha)}
        last = self.unit("e")
        return {
            "gap": gap(j, k, beta),
            "gap to the partner": gap(self.unit("p"), k, 2 * beta),
            "gap to the last class": gap(last, k, beta),
            "gap of the last class": gap(j, last, gamma * delta),
        }

    @property
    def cross_entropy(self) -> sp.Expr:
        """The mean over the classes, from the gaps."""
        if not self.of_pairs:
            return sp.log(1 + (K - 1) * sp.exp(-alpha))
        size = self.classes
        paired = sp.log(1 + sp.exp(-2 * beta) + (size - 2) * sp.exp(-beta))
        return 2 * m / size * paired + delta / size * sp.log(1 + (size - 1) * sp.exp(-gamma))

    @property
    def norm(self) -> sp.Expr:
        """The squared Frobenius norm of every factor."""
        return sp.Add(*(part.dimension * s**2 for part, s in zip(self.parts, self.roots, strict=True)))

    @property
    def value(self) -> Identity:
        """Cross-entropy, and the decay terms of the last layer, of L - 1 layers and of the features, are ..."""
        decays = lam / 2 * (self.norm + (L - 1) * self.norm + self.norm)
        whole = self.cross_entropy + lam / 2 * (L + 1) * self.norm
        return Identity(self.cross_entropy + decays, whole, lam)

    @property
    def products(self) -> dict[str, Statement]:
        """Of the layers from the last one down, with one layer more; of all layers and the features."""
        above, below = self.embeddings
        upper = UPPER[: len(self.parts)]
        longer = [c * s for c, s in zip(upper, self.roots, strict=True)]
        factors = self.factors
        top = self.mixed([s**L for s in self.roots]) * below.T
        return {
            "one layer more": Equal(self.mixed(upper) * above.T * factors["layer"], self.mixed(longer) * below.T),
            "logits": Equal(top * factors["features"], self.pattern * self.labels),
        }

    @property
    def norms(self) -> dict[str, Statement]:
        return {
            f"norm of the {name}": Equal(frobenius_squared(factor), self.norm) for name, factor in self.factors.items()
        }

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {**self.products, **self.norms, **self.gaps, "loss": self.value}

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        """Exact examples have n = 1 or 4."""
        symmetric = (self.differences, self.single) if self.of_pairs else ()
        return Setting(parameters, self.hypotheses, self.sample, symmetric)

    def sample(self, rng: random.Random) -> Values:
        pairs, alone = (2, rng.randint(0, 1)) if self.of_pairs else (0, 3)
        classes = 2 * pairs + alone
        root, depth, width = rng.randint(1, 2), rng.randint(1, 2), classes + rng.randint(0, 1)
        identity, last = sp.eye(classes), sp.eye(classes)[:, classes - 1]
        simplex = identity - sp.ones(classes, classes) / classes
        blocks = sp.zeros(classes, classes)
        for i in range(0, 2 * pairs, 2):
            blocks[i : i + 2, i : i + 2] = sp.Matrix([[1, -1], [-1, 1]]) / 2
        last *= alone
        support = blocks + last * last.T if self.of_pairs else simplex
        values: dict[Any, Any] = {n: root**2, omega: sp.Rational(1, root), d: width, L: depth}
        values |= dict(zip(UPPER, half_integers(rng, 2), strict=True))
        values |= {lam: sp.Rational(rng.randint(1, 4), 8)} | (
            {m: pairs, delta: alone} if self.of_pairs else {K: classes}
        )
        for s, part in zip(self.roots, self.parts, strict=True):
            scale, times = (part.value / 2, 2) if part.value == 2 * beta else (part.value, 1)
            values[s] = sp.Rational(rng.randint(1, 4), 2)
            values[scale] = values[s] ** (depth + 1) / (times * root)
        matrices = {name: orthonormal(rng, width, classes) * support for name in "PQ"}
        matrices |= {
            "Y": sp.Matrix.hstack(*[identity] * root**2),
            "F": blocks,
            "G": last * last.T,
            "e": last,
            "p": identity[:, 1],
        }
        matrices |= {"k": identity[:, 0], "j": identity[:, 2 if self.of_pairs else 1]}
        values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
        return values


def by(structure: Structure, *names: str) -> Star:
    """By these hypotheses and what F and e are."""
    others = ("root of n", "labels", "isometry P", "isometry Q")
    return Star((*names, *(h.name for h in structure.frame if h.name not in others)))


def balanced_loss(structure: Structure, where: Setting) -> Derivation:
    """The logits, the norm of every factor, the gaps, and the loss that they make up."""
    scales, units = ([each.name for each in found] for found in (structure.scales, structure.units))
    because = "The embeddings are isometric on the range of E, and the E_i are orthogonal projections."
    features = ("isometry Q", "labels", "root of n")
    rules = {
        "one layer more": by(structure, "isometry P"),
        "logits": by(structure, "isometry Q", *scales),
        "norm of the last layer": by(structure, "isometry Q"),
        "norm of the layer": by(structure, "isometry P", "isometry Q"),
        "norm of the features": by(structure, *features),
    }
    said = {**structure.products, **structure.norms}
    steps = [Step(name, says, because, rules[name]) for name, says in said.items()]
    for name, says in structure.gaps.items():
        steps.append(Step(name, says, "Entries of the logits.", by(structure, *units)))
    steps.append(Step("loss", structure.value, "L + 1 equal decay terms.", Field()))
    names = tuple(step.name for step in steps)
    steps.append(Step("together", structure.statement, "The parts.", Conjunction(names)))
    return Derivation("The loss of balanced factors", where, tuple(steps))


# ---- neural collapse at every layer: Garrod and Keating 2025, proposition 1
@dataclass(frozen=True)
class Collapse:
    """Features H = c omega Q Y of a layer, its means M = H Y^T / n, and the product A = b Q^T of the layers above."""

    structure: Structure

    @property
    def features(self) -> MatrixExpr:
        return UPPER[0] * omega * self.structure.embeddings[1] * self.structure.labels

    @property
    def means(self) -> MatrixExpr:
        return self.features * self.structure.labels.T / n

    @property
    def conclusions(self) -> dict[str, Statement]:
        structure, (c, b), s = self.structure, UPPER, FACTOR_VALUES[0]
        above, below = structure.embeddings
        features, means, layer = self.features, self.means, structure.factors["layer"]
        return {
            "first layer": Equal(structure.factors["features"], s * omega * structure.embeddings[1] * structure.labels),
            "next layer": Equal(layer * features, c * s * omega * above * structure.labels),
            "layers above": Equal(b * above.T * layer, b * s * below.T),
            "NC1": Equal(features, means * structure.labels),
            "NC2": Equal(means.T * means, c**2 * omega**2 * structure.support),
            "NC3": Equal(c * omega * (b * below.T), b * means.T),
            "zero mean": Equal(means * ones(K), sp.ZeroMatrix(d, 1)),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        return Setting(parameters, self.structure.frame, self.structure.sample)


def centred(structure: Structure, name: str) -> tuple[Step, Step]:
    """P 1 = 0, of the embedding of this name."""
    embedding = structure.embeddings["PQ".index(name)]
    image = embedding * ones(K)
    return (
        Step(
            f"length of {name} 1",
            Equal(frobenius_squared(image), sp.S.Zero),
            "It is 1^T S 1.",
            Star((f"isometry {name}",)),
        ),
        Step(
            f"{name} 1",
            Equal(image, sp.ZeroMatrix(d, 1)),
            "A vector of length zero.",
            NormZero(f"length of {name} 1", (Square(1, image),)),
        ),
    )


def collapse(case: Collapse, where: Setting) -> Derivation:
    """NC1 to NC3 with zero means at every layer: by the first three equations one layer leads to the next."""
    said = case.conclusions
    known = Star(("isometry P", "isometry Q", "P 1", "Q 1", "labels", "root of n"))
    because = {
        "first layer": "Q S = Q.",
        "next layer": "Q^T Q = S and P S = P.",
        "layers above": "P^T P = S and S Q^T = Q^T.",
        "NC1": "Y Y^T = n I.",
        "NC2": "The means are a simplex ETF.",
        "NC3": "The rows of the product of the layers above are parallel to the means.",
        "zero mean": "Q 1 = 0.",
    }
    steps = [*centred(case.structure, "P"), *centred(case.structure, "Q")]
    steps += [Step(name, says, because[name], known) for name, says in said.items()]
    steps.append(Step("together", case.statement, "The parts.", Conjunction(tuple(said))))
    return Derivation("Neural collapse at every layer", where, tuple(steps))


# ---- pairs are better: Garrod and Keating 2025, theorem 1
COVERED = ((Between(m, 2), Between(L, 3)), (Between(m, 3), Between(L, 2, 2)))  # K >= 4 and L >= 3, K >= 6 and L = 2


def fewer_decays() -> Exceeds:
    """The decay of neural collapse exceeds that of m pairs of the same scale.

    In units of (lam/2) (L+1) (alpha n^(1/2))^(2/(L+1)) it is 2m - 1 beside m 2^(2/(L+1)) for K = 2m, and 2m beside
    m 2^(2/(L+1)) + 1 for K = 2m + 1.

    Examples:
        >>> both = fewer_decays()
        >>> [side.subs({m: 3, L: 2}) for side in (both.left, both.right)]
        [5, 3*2**(2/3)]
    """
    return Exceeds(2 * m - 1, m * sp.Integer(2) ** (2 / (L + 1)), COVERED)


@dataclass(frozen=True)
class Better:
    """Pairs beside neural collapse of the same scale, K = 2m and K = 2m + 1, once they have fewer decays.

    ``decays`` compares both for K = 2m, in units of (lam/2) (L+1) (alpha n^(1/2))^(2/(L+1)); for K = 2m + 1 both have
    one more.
    """

    decays: Exceeds

    def less_cross_entropy(self, odd: bool) -> Exceeds:
        """1 + (K-1) e^(-alpha) exceeds 1 + (K-2) e^(-alpha) + e^(-2 alpha); both sides times e^(2 alpha)."""
        size, power, where = 2 * m + 1 if odd else 2 * m, sp.exp(alpha), self.decays.domain
        return Exceeds(sp.exp(2 * alpha) + (size - 1) * power, sp.exp(2 * alpha) + (size - 2) * power + 1, where)

    def less_loss(self, odd: bool) -> Exceeds:
        """f of neural collapse exceeds f of pairs, at one scale: exp of K/(2m) times the difference exceeds 1.

        Both sides times e^(2 alpha).

        The columns of pairs are 2m of K.
        """
        both = self.less_cross_entropy(odd)
        gain = self._unit(odd) * (self.decays.left - self.decays.right)
        return Exceeds(both.left * sp.exp(lam * gain), both.right, self.decays.domain)

    @staticmethod
    def _unit(odd: bool) -> sp.Expr:
        """What the decays are measured in, times K/(2m) / lam."""
        share = 2 * m / (2 * m + 1) if odd else sp.S.One
        return (L + 1) * (alpha**2 * n) ** (1 / (L + 1)) / (2 * share)

    @property
    def conclusions(self) -> dict[str, Exceeds]:
        found = {"decays": self.decays}
        for odd, size in ((False, "even"), (True, "odd")):
            found |= {
                f"cross-entropy, {size} K": self.less_cross_entropy(odd),
                f"loss, {size} K": self.less_loss(odd),
            }
        return found

    def steps(self, because: str) -> list[Step]:
        where = self.decays.domain
        found = [Step("decays", self.decays, because, Box())]
        for odd in (False, True):
            size = "odd" if odd else "even"
            goal, start = self.less_loss(odd), self.less_cross_entropy(odd)
            rises = Exceeds(sp.expand(sp.diff(start.left - start.right, alpha)), sp.S.Zero, where)
            slope = Exceeds(sp.diff(goal.left, lam), sp.S.Zero, where)
            factor = goal.left * self._unit(odd) * m
            found += [
                Step(f"slope of the cross-entropy, {size} K", rises, "It is e^alpha.", Box()),
                Step(
                    f"cross-entropy, {size} K",
                    start,
                    "Equal at alpha = 0, and the difference grows.",
                    MeanValue(alpha, f"slope of the cross-entropy, {size} K"),
                ),
                Step(f"slope, {size} K", slope, "The decay terms grow with lam.", Box(factor)),
                Step(
                    f"loss, {size} K",
                    goal,
                    "It holds without decay, and the difference grows with lam.",
                    MeanValue(lam, f"slope, {size} K", f"cross-entropy, {size} K"),
                ),
            ]
        return found


def better_pairs() -> Better:
    """In the linear model."""
    return Better(fewer_decays())


def suboptimal_statement() -> AllOf:
    return AllOf(tuple(better_pairs().conclusions.values()))


def suboptimal(where: Setting) -> Derivation:
    """Pairs beat neural collapse of the same scale, whatever the scale, the decay and n."""
    better = better_pairs()
    steps = better.steps("2^(2/(L+1)) < 2 - 1/m; cut into boxes, infinity included.")
    names = tuple(better.conclusions)
    steps.append(Step("together", suboptimal_statement(), "The parts.", Conjunction(names)))
    return Derivation("Pairs beat neural collapse of the same scale", where, tuple(steps))
