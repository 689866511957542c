"""Classes of several sizes: lower rank wins in deep models, also against the simplex-encoded labels.

Logits X Y of N samples have the singular values of X (Y Y^T)^(1/2), with the class sizes on the diagonal of Y Y^T, from
nu to eta^2. Cross-entropy is a mean of terms that fall as the gaps of their column grow, whatever their weights. So
rank superiority (`minimal_rank`) holds with the singular values of X Y and M Y; the least positive one of X Y is at
least that of X times nu^(1/2), the largest of M Y at most that of M times eta. (Garrod and Keating 2025, appendix.)

The simplex-encoded labels S Y, S = I - 1 1^T / K, to which minimisers of one layer tend as the decay vanishes, have
gaps 1, rank K - 1 and singular values from nu^(1/2) on. With the least gap mu and the largest singular value m of M, a
circle, of rank 2, R is m eta / (mu nu^(1/2)): the circle wins once ((K-1)/2)^(L+1) exceeds R^2, for K >= 4.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import depth, minimal_rank
from .balance import half_integers, rows_of
from .depth import K, L, eta, least_size
from .derivation import Derivation, Hypothesis, Setting, Step
from .minimal_rank import gap, more, mu, p, q, rest, rho, scale, unit
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, Monotone, Poly, Rewrite, Square, Star
from .proof.statement import AllOf, Equal, Nonnegative, Positive, PositiveSemidefinite, Statement
from .statistics import random_matrix
from .symbols import ones

sizes = depth.Sizes(balanced=False)
S = sp.Identity(K) - ones(K) * ones(K).T / K


@dataclass(frozen=True)
class Imbalance:
    """X beside M; ``encoded``: the simplex-encoded labels, X = S; else minima too (`depth`)."""

    encoded: bool

    @property
    def matrices(self) -> tuple[MatrixExpr, sp.MatrixSymbol]:
        """X and M."""
        return (S if self.encoded else sp.MatrixSymbol("X", K, K)), sp.MatrixSymbol("M", K, K)

    @property
    def units(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        return sp.MatrixSymbol("i", K, 1), sp.MatrixSymbol("j", K, 1)

    @property
    def minima(self) -> depth.Depth:
        return depth.Depth((depth.Vanishing(sizes), depth.Remaining(sizes)))

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        gram = sizes.labels * sizes.labels.T
        i, j = self.units
        found = [
            Hypothesis("largest size", PositiveSemidefinite(eta**2 * sp.Identity(K) - gram), "of a class"),
            Hypothesis("least size", PositiveSemidefinite(gram - least_size * sp.Identity(K)), "of a class"),
            *minimal_rank.Superiority.hypotheses,
        ]
        if not self.encoded:
            return (*found, *(each for part in self.minima.parts for each in part.hypotheses if each not in found))
        found.append(Hypothesis("rank", Equal(p, K - 1), "of S"))
        units = {
            "right class": (i, i, 1),
            "different": (j, i, 0),
            "sum of i": (ones(K), i, 1),
            "sum of j": (ones(K), j, 1),
        }
        named = (
            Hypothesis(k, Equal(sp.Trace(a.T * b), sp.Integer(v)), "unit vectors") for k, (a, b, v) in units.items()
        )
        return (*found, *named)

    @property
    def conclusions(self) -> dict[str, Statement]:
        X, M = self.matrices
        gram = sizes.labels * sizes.labels.T
        i, j = self.units
        falls, gaps, decays = minimal_rank.Superiority.statement.parts
        if self.encoded:
            gaps = Nonnegative(scale / mu * (mu + more) - scale)
            decays = Positive((K - 1) * unit - q * unit * rho)
        own: dict[str, Statement] = {
            "singular values of M Y": PositiveSemidefinite(eta**2 * M * M.T - M * gram * M.T),
            "singular values of X Y": PositiveSemidefinite(
                X * gram * X - least_size * X if self.encoded else X * gram * X.T - least_size * X * X.T
            ),
        }
        if self.encoded:
            own["gaps of S"] = Equal(sp.Trace(i.T * S * i) - sp.Trace(j.T * S * i), sp.S.One)
        both = {**own, "cross-entropy": falls, "gaps": gaps, "decays": decays}
        return both if self.encoded else both | self.minima.conclusions

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        hypotheses = tuple({each.name: each for each in self.hypotheses}.values())
        return Setting(parameters, hypotheses, self.sample, depth.ROOTS)

    def sample(self, rng: random.Random) -> Values:
        """As in `depth`, with p > q rho; rho = R^(2/(L+1)) is a square, or for the encoded labels near (K-1)/2."""
        values: dict[Any, Any] = dict(depth.sample(rng, sizes))
        low = values[q]
        root = rng.choice([sp.Rational(1, 2), sp.S.One, sp.Rational(11, 10)])  # q rho < q + 1 for q <= 3
        high = low + 1
        values |= dict(zip((minimal_rank.D, scale, gap, rest, unit), half_integers(rng, 5), strict=True))
        values |= {more: rng.randint(0, 2), minimal_rank.less: rng.randint(0, 2), p: high}
        values |= {rho: root**2, minimal_rank.R: root ** (values[L] + 1)}
        classes = values[K]
        values |= {name: random_matrix(rng, classes, classes) for name in "XM"}
        identity = sp.eye(classes)
        if self.encoded:
            values |= {p: classes - 1, q: rng.randint(1, 3), L: rng.choice([1, 3])}
            values[rho] = sp.Rational(classes - 1, values[q]) * rng.choice(
                [sp.Rational(1, 3), sp.Rational(9999, 10000)]
            )
            values[minimal_rank.R] = values[rho] ** ((values[L] + 1) // 2)
            found = {name: rows_of(sp.Matrix(identity[:, column])) for column, name in enumerate("ij")}
            values |= found
        return values


def theorem(case: Imbalance, where: Setting) -> Derivation:
    X, M = case.matrices
    said = case.conclusions
    above = (Square(1, M, "largest size"),)
    below = (Square(1, X, "least size"),)
    gram = sizes.labels * sizes.labels.T
    steps = [
        Step("singular values of M Y", said["singular values of M Y"], "M (eta^2 I - Y Y^T) M^T.", Gram(above)),
    ]
    if case.encoded:
        sandwich = X * (gram - least_size * sp.Identity(K)) * X
        target = said["singular values of X Y"]
        assert isinstance(target, PositiveSemidefinite)
        steps += [
            Step("sandwich", PositiveSemidefinite(sandwich), "S (Y Y^T - nu I) S.", Gram(below)),
            Step("same matrix", Equal(target.matrix, sandwich), "S is a projection.", Star(())),
            Step("singular values of X Y", target, "It is that matrix.", Rewrite("sandwich", "same matrix")),
            Step(
                "gaps of S",
                said["gaps of S"],
                "Entries of S.",
                Star(("right class", "different", "sum of i", "sum of j")),
            ),
        ]
    else:
        steps.append(
            Step("singular values of X Y", said["singular values of X Y"], "X (Y Y^T - nu I) X^T.", Gram(below))
        )
    steps += fewer_decays(said, where) if case.encoded else minimal_rank.superiority(where).steps[:-1]
    if not case.encoded:
        steps += [step for part in case.minima.parts for step in part.steps()]
    steps.append(Step("together", case.statement, "The parts.", Conjunction(tuple(said))))
    return Derivation("Classes of several sizes", where, tuple(steps))


def fewer_decays(said: Mapping[str, Statement], where: Setting) -> tuple[Step, ...]:
    """M at the scale t/mu beside S at the scale t: as in `minimal_rank.superiority`."""
    ranks = (step for step in minimal_rank.superiority(where).steps if step.name in ("powers", "ranks"))
    return (
        Step("cross-entropy", said["cross-entropy"], "A larger gap makes the sum smaller.", Monotone()),
        Step("gaps", said["gaps"], "t / mu times at least mu is at least t.", Poly(())),
        *ranks,
        Step("decays", said["decays"], "Multiply by c.", Poly(("ranks", "rank"))),
    )
