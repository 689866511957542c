"""Alignment of consecutive layers at every critical point with one decay (Garrod and Keating 2025, lemma 1).

A = U s V^T (a x c) above B (c x e) is the singular value decomposition of A without zero singular values, t = s^{-1}.
Balance, A^T A = B B^T, makes Q = B^T V t orthonormal, and B = V s Q^T: the same singular values, and the right singular
vectors of A are the left ones of B. So A B = U s^2 Q^T, and layer by layer Z has the singular values s^(L+1). The first
term of the objective may be any differentiable function of Z.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import TwoLayers, balanced, rows_of, two_layers
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, NormZero, Square, Star
from .proof.statement import AllOf, Equal, Statement
from .symbols import frobenius_squared

r = sp.Symbol("r", integer=True, positive=True)
LEMMA = "singular value decomposition"


@dataclass(frozen=True)
class Alignment:
    """Two layers with one decay, and the singular value decomposition of the upper one, of rank r."""

    layers: TwoLayers

    @property
    def left(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("U", self.layers.sizes[0], r)

    @property
    def middle(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("V", self.layers.sizes[1], r)

    @property
    def values(self) -> sp.MatrixSymbol:
        """s, symmetric."""
        return sp.MatrixSymbol("s", r, r)

    @property
    def inverse(self) -> sp.MatrixSymbol:
        """t, symmetric."""
        return sp.MatrixSymbol("t", r, r)

    @property
    def right(self) -> MatrixExpr:
        """Q."""
        return self.layers.critical[1].T * self.middle * self.inverse

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        unit, upper = sp.Identity(r), self.layers.critical[0]
        U, V, s, t = self.left, self.middle, self.values, self.inverse
        return (
            *self.layers.hypotheses,
            Hypothesis("decomposition", Equal(upper, U * s * V.T), "of the upper layer", LEMMA),
            Hypothesis("left singular vectors", Equal(U.T * U, unit), "orthonormal", LEMMA),
            Hypothesis("right singular vectors", Equal(V.T * V, unit), "orthonormal", LEMMA),
            Hypothesis("rank", Equal(s * t, unit), "zero singular values are left out", LEMMA),
        )

    @property
    def conclusions(self) -> dict[str, Statement]:
        upper, lower = self.layers.critical
        U, V, s, Q = self.left, self.middle, self.values, self.right
        return {
            "orthonormal": Equal(Q.T * Q, sp.Identity(r)),
            "lower layer": Equal(lower, V * s * Q.T),
            "product": Equal(upper * lower, U * s * s * Q.T),
        }

    @property
    def statement(self) -> AllOf:
        return AllOf((*self.layers.statement.parts, *self.conclusions.values()))

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        def sample(rng: random.Random) -> Values:
            values, (left, size, middle) = self.layers.example(rng)
            rank = left.shape[1]
            found = {"U": left, "V": middle, "s": size * sp.eye(rank), "t": sp.eye(rank) / size}
            values |= {r: rank, **{name: rows_of(matrix) for name, matrix in found.items()}}
            return values

        return Setting(parameters, self.hypotheses, sample, (self.values, self.inverse))


def alignment() -> Alignment:
    lam = sp.Symbol("lambda", positive=True)
    return Alignment(TwoLayers(two_layers().sizes, (lam, lam), square=False))


def aligned(problem: Alignment, where: Setting) -> Derivation:
    """The singular value decomposition of the lower layer from that of the upper one."""
    layers = problem.layers
    upper, lower = layers.critical
    decay, V = layers.decays[0], problem.middle
    before = balanced(layers, where).steps[:-1]
    difference = upper.T * upper - lower * lower.T
    outside = lower - V * V.T * lower
    said = problem.conclusions
    steps = (
        *before,
        Step(
            "norm of the difference",
            Equal(decay * frobenius_squared(difference), sp.S.Zero),
            "The decays are equal.",
            Star(("balance",)),
        ),
        Step(
            "equal",
            Equal(difference, sp.ZeroMatrix(*difference.shape)),
            "A matrix of norm zero.",
            NormZero("norm of the difference", (Square(decay, difference),)),
        ),
        Step(
            "norm outside",
            Equal(frobenius_squared(outside), sp.S.Zero),
            "B B^T = A^T A = V s^2 V^T.",
            Star(("equal", "decomposition", "left singular vectors", "right singular vectors")),
        ),
        Step(
            "inside",
            Equal(outside, sp.ZeroMatrix(*outside.shape)),
            "The columns of B lie in the range of V.",
            NormZero("norm outside", (Square(1, outside),)),
        ),
        Step(
            "orthonormal",
            said["orthonormal"],
            "t V^T B B^T V t = t s^2 t.",
            Star(("equal", "decomposition", "left singular vectors", "right singular vectors", "rank")),
        ),
        Step("lower layer", said["lower layer"], "V s t V^T B = V V^T B.", Star(("inside", "rank"))),
        Step(
            "product",
            said["product"],
            "U s V^T B, and s t = I.",
            Star(("decomposition", "rank")),
        ),
        Step(
            "together",
            problem.statement,
            "The parts.",
            Conjunction((*(step.name for step in before), *said)),
        ),
    )
    return Derivation("Consecutive layers are aligned at every critical point", where, steps)
