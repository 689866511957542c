"""Interlacing under a perturbation of rank one, by counting eigenvalues: no dimension, no basis, no lemma.

For a symmetric A and G = A - n n^T/N, and at every t and delta > 0,

    #{eigenvalues of G from t + delta on} <= #{eigenvalues of A above t},
    #{eigenvalues of A from t + delta on} <= #{eigenvalues of G above t} + 1.

With both sorted descending this says a_i >= g_i >= a_(i+1): with t = a_i, were g_i > t, G would have i eigenvalues
above t and A at most i - 1; likewise below.

Counts are traces of projections: E to eigenvectors of the one matrix, F to those of the other one, with I - F for all
others. Let h bound the eigenvalues of A less t. Then B = h E F E + k E n n^T E/N + delta (I - E), k = 0 or 1, is
positive definite and commutes with E. For k = 0, h F E B^{-1} E F is a projection of trace tr E, which F contains: so
tr F - tr E is the squared norm of the difference. For k = 1 it is one block of a projection in one dimension more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import centred_labels
from .balance import K, N, rows_of
from .centred_labels import ONE_LABEL, SIZES, Scalars, Y, n, scatter
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, Let, Rewrite, Shift, Square, Star
from .proof.statement import AllOf, Equal, Nonnegative, PositiveDefinite, PositiveSemidefinite, Statement
from .statistics import random_matrix
from .symbols import POSITIVE, frobenius_squared, ones, ones_row, reals

t = sp.Symbol("t", nonnegative=True)
delta = sp.Symbol("delta", positive=True)
h = sp.Symbol("h", positive=True)
A = Y * Y.T  # diag(n_1, ..., n_K)
G = scatter
I = sp.Identity(K)


@dataclass(frozen=True)
class Count:
    """Eigenvalues of G from t + delta on beside those of A above t, or, ``below``, the other way round.

    ``alike`` are both counts of the one matrix.
    """

    below: bool = False
    alike: bool = False

    @property
    def name(self) -> str:
        return ("below" if self.below else "above") + (", alike" if self.alike else "")

    @property
    def given(self) -> tuple[str, str]:
        """Where the hypotheses about E and about F are."""
        own, other = ("below", "above") if self.below else ("above", "below")
        return own, other if self.alike else own

    @property
    def projections(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """E of one matrix, F of the other one."""
        first, second = ("12"[place == "below"] for place in self.given)
        return sp.MatrixSymbol(f"E_{first}", K, K), sp.MatrixSymbol(f"F_{second}", K, K)

    @property
    def matrices(self) -> tuple[MatrixExpr, MatrixExpr]:
        own, other = (A, G) if self.below else (G, A)
        return own, own if self.alike else other

    @property
    def more(self) -> bool:
        """Whether E may have one dimension more than F."""
        return self.below and not self.alike

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        (E, F), (own, other) = self.projections, self.matrices
        of, beside = ("diag(n)", "T T^T") if self.below else ("T T^T", "diag(n)")
        rest = I - F
        return (
            Hypothesis(f"{self.name}: E", Equal(E * E, E), f"projection to eigenvectors of {of}"),
            Hypothesis(
                f"{self.name}: level",
                PositiveSemidefinite(E * (own - (t + delta) * I) * E),
                "their eigenvalues are at least t + delta",
            ),
            Hypothesis(f"{self.name}: F", Equal(F * F, F), f"projection to eigenvectors of {beside}"),
            Hypothesis(f"{self.name}: eigenvectors", Equal(F * other, other * F), "it commutes with the matrix"),
            Hypothesis(
                f"{self.name}: rest",
                PositiveSemidefinite(rest * (t * I - other) * rest),
                "all other eigenvalues are at most t",
            ),
        )

    @property
    def conclusion(self) -> Nonnegative:
        E, F = self.projections
        return Nonnegative(sp.Trace(F) + int(self.more) - sp.Trace(E))

    def steps(self) -> tuple[Step, ...]:
        (E, F), (own, other), name, (of, beside) = self.projections, self.matrices, self.name, self.given
        line = E * n * n.T * E / N
        base = h * E * F * E - delta * E
        inside = E * F * ((h + t) * I - A) * F * E + E * (I - F) * (t * I - other) * (I - F) * E
        inside += E * (own - (t + delta) * I) * E
        squares = [
            Square(1, E * F, "largest size"),
            Square(1, E, f"{beside}: rest"),
            Square(1, I, f"{of}: level"),
        ]
        if other == G:  # h + t bounds A, which is larger
            inside += E * F * n * n.T * F * E / N
            squares.append(Square(1 / N, E * F * n))
        if self.more:
            base += line
        elif own != other:
            inside += line
            squares.append(Square(1 / N, E * n))
        metric = base + delta * I
        inverse = metric.inv()
        index = "".join(dict.fromkeys(E.name[-1] + F.name[-1]))
        middle, weight = sp.MatrixSymbol(f"M_{index}", K, K), h * F
        if self.more:
            weight += n * n.T / N
        p = h * F * middle * F
        norm = frobenius_squared(F - p)
        lost = [Square(1, F - p)]
        if self.more:
            across, corner = F * middle * n, sp.Identity(1) - n.T * middle * n / N
            norm += 2 * h / N * frobenius_squared(across) + sp.Trace(corner * corner.T)
            lost += [Square(2 * h / N, across), Square(1, corner)]
        E2, F2 = f"{of}: E", f"{beside}: F"
        return (
            Step(f"{name}: sum", PositiveSemidefinite(inside), "Each term is.", Gram(tuple(squares))),
            Step(
                f"{name}: difference",
                Equal(base, inside),
                "F commutes with the other matrix, so mixed terms vanish.",
                Star((E2, F2, f"{beside}: eigenvectors")),
            ),
            Step(
                f"{name}: base",
                PositiveSemidefinite(base),
                "They are equal.",
                Rewrite(f"{name}: sum", f"{name}: difference"),
            ),
            Step(
                f"{name}: metric", PositiveDefinite(metric), "A psd matrix plus delta I.", Shift(f"{name}: base", delta)
            ),
            Step(
                f"{name}: reduced",
                Equal(inverse * (base + delta * E), E),
                "B E = E B E.",
                Star((E2,)),
            ),
            Step(f"{name}: M", Equal(middle, E * inverse * E), "A shorter name.", Let()),
            Step(f"{name}: symmetric", Equal(middle.T, middle), "B is symmetric.", Star((f"{name}: M",))),
            Step(f"{name}: kept", Equal(E * middle, middle), "E^2 = E.", Star((f"{name}: M", E2))),
            Step(
                f"{name}: unit",
                Equal(middle * weight * E, E),
                "E B^{-1} B E = E.",
                Star((f"{name}: M", E2, f"{name}: reduced")),
            ),
            Step(
                f"{name}: pinched",
                Equal(middle * weight * middle, middle),
                "M = E M.",
                Star((f"{name}: kept", f"{name}: unit")),
            ),
            Step(
                f"{name}: count",
                Equal(sp.Trace(weight * middle), sp.Trace(E)),
                "M = E M.",
                Star((f"{name}: kept", f"{name}: unit")),
            ),
            Step(
                f"{name}: projection",
                Equal(sp.Trace(weight * middle * weight * middle), sp.Trace(weight * middle)),
                "M (h F + k n n^T/N) is idempotent.",
                Star((f"{name}: pinched",)),
            ),
            Step(
                f"{name}: distance",
                Equal(norm, self.conclusion.scalar),
                "Multiply out the squares.",
                Star((F2, f"{name}: symmetric", f"{name}: count", f"{name}: projection")),
            ),
            Step(f"{name}: norm", Nonnegative(norm), "A sum of squared norms.", Gram(tuple(lost))),
            Step(
                self.name,
                self.conclusion,
                "They are equal.",
                Rewrite(f"{name}: norm", f"{name}: distance"),
            ),
        )


@dataclass(frozen=True)
class Interlacing:
    """Both counts, and what makes the last eigenvalue of G zero: G 1 = 0 and G is psd."""

    parameters: ClassVar[Scalars] = {
        t: (reals(0), "level"),
        delta: (POSITIVE, "distance of two levels"),
        h: (POSITIVE, "bound of the sizes less the level"),
    }

    counts: tuple[Count, Count] = (Count(), Count(below=True))

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        largest = Hypothesis("largest size", PositiveSemidefinite((h + t) * I - A), "no class has more than h + t")
        return (ONE_LABEL, largest, *(each for count in self.counts for each in count.hypotheses))

    @property
    def conclusions(self) -> dict[str, Statement]:
        return {
            **{count.name: count.conclusion for count in self.counts},
            "zero": Equal(G * ones(K), sp.ZeroMatrix(K, 1)),
            "psd": PositiveSemidefinite(G),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        symmetric = tuple(each for count in self.counts for each in count.projections)
        return Setting(parameters, self.hypotheses, self.sample, symmetric, SIZES, self.wider)

    def sample(self, rng: random.Random) -> Values:
        """Classes of one size and one more class; the level is anywhere, on an eigenvalue too.

        E may leave out some eigenvectors, and F have more of them.
        """
        large, small, count = rng.randint(1, 6), rng.randint(1, 3), rng.randint(1, 2)
        sizes = [large, *[small] * count]
        basis, squares = centred_labels.two_sizes(large, small, count)
        spectra = {"A": (sp.eye(count + 1), [sp.Integer(size) for size in sizes]), "G": (basis, squares)}
        known = sorted({*squares, *spectra["A"][1]})
        (gap,) = [sp.Rational(rng.choice((1, 1, 2)), rng.choice((1, 2, 8)))]
        level = rng.choice([*known, max(known) / 2, *(max(value - gap, sp.S.Zero) for value in known)])
        values: dict[Any, Any] = {K: count + 1, N: sum(sizes), t: level, delta: gap}
        values[h] = max(max(sizes) - level, 0) + sp.Rational(rng.randint(1, 3), 2)
        for each in self.counts:
            own, other = ("A", "G") if each.below else ("G", "A")
            E, F = each.projections
            fewer, more = rng.choice((0, 0, 0.5, 1)), rng.choice((0, 0, 0.5, 1))
            (basis, high), (other_basis, others) = spectra[own], spectra[other]
            values[E] = _onto(basis, [value >= level + gap and rng.random() >= fewer for value in high])
            values[F] = _onto(other_basis, [value > level or rng.random() < more for value in others])
        return values | {Y: rows_of(centred_labels.one_hot(sizes))}

    @property
    def wider(self) -> tuple[Callable[[random.Random], Values], ...]:
        """What projections must be, broken one by one, and labels that do not add up to one."""
        first, second = self.counts
        longer, none = (lambda E: 2 * E.shape[0] * E), (lambda F: 0 * F)
        broken = [(first.projections[0], longer), *((each.projections[1], none) for each in self.counts)]
        return (
            *(partial(self._no_level, each) for each in (first, second)),
            *(partial(self._not_onto, name, change) for name, change in broken),
            self._other_labels,
        )

    def _not_onto(self, name: sp.MatrixSymbol, change: Callable[[sp.Matrix], sp.Matrix], rng: random.Random) -> Values:
        """t = 0, above which A has all eigenvalues, and G all but the one of 1; one projection changed."""
        values: dict[Any, Any] = dict(self.sample(rng)) | {t: sp.S.Zero, delta: sp.Rational(1, 2)}
        whole = sp.eye(values[K])
        centre = whole - sp.ones(*whole.shape) / values[K]
        for each in self.counts:
            onto = (whole, centre) if each.below else (centre, whole)
            for symbol, matrix in zip(each.projections, onto, strict=True):
                values[symbol] = rows_of(change(matrix) if symbol == name else matrix)
        return values | {h: sp.Integer(values[N])}

    def _no_level(self, without: Count, rng: random.Random) -> Values:
        """E is the whole space, and no eigenvalue is above t."""
        values: dict[Any, Any] = dict(self.sample(rng))
        for each in self.counts:
            E, F = each.projections
            values |= {E: rows_of(sp.eye(values[K]) * int(each == without)), F: rows_of(sp.zeros(values[K]))}
        return values | {t: sp.Integer(values[N])}

    def _other_labels(self, rng: random.Random) -> Values:
        values: dict[Any, Any] = dict(self.sample(rng))
        labels = sp.Matrix(random_matrix(rng, values[K], values[N]))
        for each in self.counts:
            E, F = each.projections
            values |= {E: rows_of(sp.zeros(values[K])), F: rows_of(sp.eye(values[K]))}
        return values | {Y: rows_of(labels), h: (labels * labels.T).trace() + 1}


def _onto(basis: sp.Matrix, chosen: list[Any]) -> list[list[Any]]:
    """The projection to some columns of an orthonormal basis."""
    return rows_of(basis * sp.diag(*(int(bool(each)) for each in chosen)) * basis.T)


# Liu 2024: the singular values of centred labels between the sizes of classes
def interlaced(problem: Interlacing, where: Setting) -> Derivation:
    says = problem.conclusions
    centre = sp.Identity(N) - ones(N) * ones_row(N) / N
    return Derivation(
        "Singular values of centred labels interlace with the class sizes",
        where,
        (
            *(step for count in problem.counts for step in count.steps()),
            Step("zero", says["zero"], "1^T Y = 1^T, so that Y Y^T 1 = n and n^T 1 = N.", Star(("one label each",))),
            Step(
                "centred Gram",
                PositiveSemidefinite(Y * centre * centre * Y.T),
                "T T^T.",
                Gram((Square(1, Y * centre),)),
            ),
            Step("same", Equal(G, Y * centre * centre * Y.T), "1^T 1 = N.", Star(())),
            Step("psd", says["psd"], "They are equal.", Rewrite("centred Gram", "same")),
            Step("together", problem.statement, "The parts.", Conjunction(tuple(says))),
        ),
        tuple(step for below in (False, True) for step in Count(below, alike=True).steps()),
    )
