"""The softmax at neural collapse and its Hessian: symmetric in all classes but the own one.

With x = e^alpha and D = x + K - 1 a sample of the class e (a unit vector) has the softmax p = (1 + (x - 1) e) / D.
With S = I - 1 1^T / K and s = S e, cross-entropy has in its logits the gradient p - e = -(K/D) s and the Hessian

    diag(p) - p p^T,  S (diag(p) - p p^T) S = (S + kappa s s^T) / D,  kappa = K (x - 1) / D,

so that 1/D is its least eigenvalue on the vectors of sum zero where x >= 1, of multiplicity K - 2. Garrod and Keating
2025, lemma 2: of x / D^2 the coefficient is rho, with S rho S = K s s^T + S.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, half_integers, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Star
from .proof.statement import AllOf, Equal, Statement
from .symbols import ones

x = sp.Symbol("x", positive=True)  # e^alpha
e = sp.MatrixSymbol("e", K, 1)
UNIT = sp.Identity(K)
S = UNIT - ones(K) * ones(K).T / K
s = S * e
TOTAL = x + K - 1  # D
OTHERS = ones(K) - e
EXPONENTIALS = ones(K) + (x - 1) * e  # D p


def hessian() -> MatrixExpr:
    """D^2 (diag(p) - p p^T)."""
    return TOTAL * (UNIT + (x - 1) * e * e.T) - EXPONENTIALS * EXPONENTIALS.T


def leading() -> MatrixExpr:
    """rho."""
    return UNIT + (K - 2) * e * e.T - e * OTHERS.T - OTHERS * e.T


def conclusions() -> dict[str, Statement]:
    """Without a division: of D p, D (p - e) and D^2 (diag(p) - p p^T)."""
    rest = (K - 1) * (UNIT - e * e.T) - OTHERS * OTHERS.T
    return {
        "sum of the softmax": Equal(sp.Trace(ones(K).T * EXPONENTIALS), TOTAL),
        "gradient": Equal(EXPONENTIALS - TOTAL * e, -K * s),
        "powers of x": Equal(hessian(), x * leading() + rest),
        "rho": Equal(S * leading() * S, K * s * s.T + S),
        "Hessian": Equal(S * hessian() * S, TOTAL * S + K * (x - 1) * s * s.T),
    }


def statement() -> AllOf:
    return AllOf(tuple(conclusions().values()))


def hypotheses() -> tuple[Hypothesis, ...]:
    return (
        Hypothesis("sum", Equal(sp.Trace(ones(K).T * e), sp.S.One), "the unit vector of a class; diag(e) is e e^T"),
    )


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        classes = rng.randint(2, 4)
        values: dict[Any, Any] = {K: classes, e: rows_of(sp.eye(classes)[:, rng.randrange(classes)])}
        return values | dict(zip((x,), half_integers(rng, 1), strict=True))

    return Setting(parameters, hypotheses(), sample)


def at_neural_collapse(where: Setting) -> Derivation:
    because = {
        "sum of the softmax": "1^T e = 1.",
        "gradient": "D e = (x - 1) e + K e.",
        "powers of x": "D diag(p) has a term in x^2, which that of D^2 p p^T cancels.",
        "rho": "S 1 = 0.",
        "Hessian": "S 1 = 0, and (x - 1) D - (x - 1)^2 = K (x - 1).",
    }
    steps = [Step(name, says, because[name], Star()) for name, says in conclusions().items()]
    names = tuple(step.name for step in steps)
    steps.append(Step("together", statement(), "The parts.", Conjunction(names)))
    return Derivation("The softmax Hessian at neural collapse", where, tuple(steps))
