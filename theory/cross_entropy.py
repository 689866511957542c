"""Deep linear models with cross-entropy, four classes of n samples: a simplex ETF beside logits of lower rank.

    f = (1/N) sum_i CE(W_M ... W_1 h_i + b, y_i) + (lam/2) (||W_M||_F^2 + ... + ||W_1||_F^2 + ||H||_F^2),  N = 4 n.

The least sum of M + 1 decay terms at given logits Z = W_M ... W_1 H is (lam/2) (M + 1) sum_i sigma_i(Z)^(2/(M+1)),
attained by balanced factors (the variational form of the Schatten quasi-norm). Classes that are the corners of a square
or a tetrahedron have Z with the eigenvectors (1,1,-1,-1)/2, (1,-1,1,-1)/2, (1,-1,-1,1)/2 and eigenvalues alpha, beta,
gamma: equal ones are a simplex ETF, (alpha, alpha, 0) is a square, with logits alpha/2, 0, 0, -alpha/2 for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .derivation import Derivation, Setting, Step
from .proof.rules import Box, Conjunction
from .proof.statement import AllOf, Between, Exceeds

CLASSES = 4
FAR = 3  # from here on the decay of an ETF alone exceeds the floors below


@dataclass(frozen=True)
class FourClasses:
    """M layers, n samples a class, all decays equal.

    ``roots`` of eigenvalues are their (M+1)-th roots, whose squares the decay terms are made of. ``floor`` lies below f
    at every ETF and above f at the square with the root ``side``.
    """

    depth: int
    per_class: int
    decay: sp.Rational
    floor: sp.Rational
    side: sp.Rational

    def logits(self, roots: Sequence[Any]) -> tuple[Any, Any, Any]:
        """By how much each of the three wrong logits is less than the right one."""
        one, two, three = (root ** (self.depth + 1) for root in roots)
        return (two + three) / 2, (one + three) / 2, (one + two) / 2

    @property
    def square(self) -> tuple[sp.Rational, sp.Rational, sp.Rational]:
        """The roots of its eigenvalues."""
        return self.side, self.side, sp.S.Zero

    def objective(self, roots: Sequence[Any]) -> sp.Expr:
        """f at the least decay terms for the logits with these (M+1)-th roots of eigenvalues, and no bias.

        Examples:
            >>> model = FourClasses(2, 5, sp.Rational(1, 100), sp.Rational(121, 500), sp.Integer(2))
            >>> etf, square = model.objective((sp.Rational(8, 5),) * 3), model.objective(model.square)
            >>> round(float(etf), 6), round(float(square), 6)
            (0.245701, 0.241497)
        """
        size = sp.Integer(self.per_class) ** sp.Rational(1, self.depth + 1)
        decays = self.decay * (self.depth + 1) * size * sp.Add(*(root**2 for root in roots)) / 2
        return sp.log(1 + sp.Add(*(sp.exp(-gap) for gap in self.logits(roots)))) + decays

    def floors(self, root: sp.Symbol) -> Exceeds:
        """Every ETF has f above the floor."""
        near, far = (Between(root, 0, FAR),), (Between(root, FAR),)
        return Exceeds(self.objective((root,) * 3), self.floor, (near, far))

    def undercut(self) -> Exceeds:
        """The square has f below the floor."""
        return Exceeds(self.floor, self.objective(self.square))

    def exceeds(self, roots: Sequence[Any]) -> Exceeds:
        """f at these logits is above the floor, as at every ETF."""
        return Exceeds(self.objective(roots), self.floor)


def statement(models: Sequence[FourClasses], root: sp.Symbol) -> AllOf:
    """Every ETF lies above the floor, and the square below it; for each model."""
    return AllOf(tuple(part for model in models for part in (model.floors(root), model.undercut())))


def lower_rank_wins(models: Sequence[FourClasses], root: sp.Symbol, where: Setting) -> Derivation:
    """A square has less f than any simplex ETF."""
    steps: list[Step] = []
    for model in models:
        steps += [
            Step(
                f"ETF, M = {model.depth}",
                model.floors(root),
                "Far out the decay alone exceeds it; cut the rest into intervals.",
                Box(),
            ),
            Step(f"square, M = {model.depth}", model.undercut(), "One value.", Box()),
        ]
    names = tuple(step.name for step in steps)
    steps.append(Step("together", statement(models, root), "The parts.", Conjunction(names)))
    return Derivation("A square has less cross-entropy and decay than any simplex ETF", where, tuple(steps))
