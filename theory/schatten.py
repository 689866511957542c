"""The Schatten reduction: the least sum of squared norms of L + 1 factors of Z, by its singular values sigma_i.

    min ||W_L||_F^2 + ... + ||W_1||_F^2 + ||H_1||_F^2 = (L+1) sum_i sigma_i^(2/(L+1)),    W_L ... W_1 H_1 = Z.

It is attained by the balanced factors below; that no factors do better is a theorem of the literature.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .balance import K, N, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Star
from .proof.statement import AllOf, Equal, Statement
from .symbols import frobenius_squared

d = sp.Symbol("d", integer=True, positive=True)
r = sp.Symbol("r", integer=True, positive=True)


# Garrod and Keating 2025, section 2
@dataclass(frozen=True)
class Schatten:
    """Z = U D V^T with D = R^(L+1), R (r x r) symmetric, and balanced factors that produce it; A commutes with R.

    B (r x r) is the product of the roots so far.

    Examples:
        >>> list(Schatten().conclusions)[:3]
        ['one layer more', 'logits', 'norm of the last layer']
    """

    def matrix(self, name: str, rows: Any, columns: Any) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(name, rows, columns)

    @property
    def root(self) -> sp.MatrixSymbol:
        return self.matrix("R", r, r)

    @property
    def left(self) -> sp.MatrixSymbol:
        return self.matrix("U", K, r)

    @property
    def right(self) -> sp.MatrixSymbol:
        return self.matrix("V", N, r)

    @property
    def inner(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """Orthonormal columns between the layers."""
        return self.matrix("P", d, r), self.matrix("Q", d, r)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        above, below = self.inner
        named = {"left": self.left, "right": self.right, "above": above, "below": below}
        return tuple(
            Hypothesis(name, Equal(matrix.T * matrix, sp.Identity(r)), "orthonormal columns")
            for name, matrix in named.items()
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        (above, below), root, so_far = self.inner, self.root, self.matrix("B", r, r)
        layer, features = above * root * below.T, below * root * self.right.T
        top = self.left * so_far * above.T
        norm = sp.Trace(root * root)
        return {
            "one layer more": Equal(top * layer, self.left * so_far * root * below.T),
            "logits": Equal(self.left * so_far * below.T * features, self.left * so_far * root * self.right.T),
            "norm of the last layer": Equal(frobenius_squared(self.left * root * above.T), norm),
            "norm of the layer": Equal(frobenius_squared(layer), norm),
            "norm of the features": Equal(frobenius_squared(features), norm),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf(tuple(self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        def sample(rng: random.Random) -> Values:
            rank = rng.randint(1, 2)
            sizes = {"U": rank + rng.randint(0, 1), "V": rank + 1, "P": rank + 1}
            roots = sp.diag(*half_integers(rng, rank))
            matrices = {name: orthonormal(rng, rows, rank) for name, rows in sizes.items()}
            matrices |= {"Q": orthonormal(rng, sizes["P"], rank), "R": roots, "B": roots**2}
            values: dict[Any, Any] = {K: sizes["U"], N: sizes["V"], d: sizes["P"], r: rank}
            values |= {name: rows_of(matrix) for name, matrix in matrices.items()}
            return values

        return Setting(parameters, self.hypotheses, sample, (self.root,))


def attained(problem: Schatten, where: Setting) -> Derivation:
    """U R P_(L-1)^T, P_l R P_(l-1)^T and P_0 R V^T: their product is U R^(L+1) V^T, the squared norm of each tr R^2."""
    steps = [Step(name, says, "Orthonormal columns cancel.", Star()) for name, says in problem.conclusions.items()]
    names = tuple(step.name for step in steps)
    steps.append(Step("together", problem.statement, "The parts.", Conjunction(names)))
    return Derivation("Balanced factors of given logits", where, tuple(steps))
