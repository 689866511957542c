"""Sums of known inequalities: traces of projections are squares, other idempotents have none; weights are exact."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sympy as sp
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof.combination import Combination
from tightframe.theory.proof.rules import StepFailed
from tightframe.theory.proof.statement import Equal, Nonnegative, Positive
from tightframe.theory.symbols import integers, reals

k, m = sp.symbols("k m", integer=True, positive=True)
x = sp.Symbol("x", positive=True)
E, F = sp.MatrixSymbol("E", k, k), sp.MatrixSymbol("F", k, k)
A = sp.MatrixSymbol("A", k, m)
LESS = Hypothesis("less", Nonnegative(sp.Trace(F) - sp.Trace(E)), "E has no more dimensions")


def sample(rng: random.Random) -> dict[Any, Any]:
    first, second = sorted((rng.randint(0, 1), rng.randint(0, 1)))
    rows = [[sp.Integer(rng.randint(-2, 2)) for _ in range(3)] for _ in range(2)]
    return {k: 2, m: 3, x: rng.randint(1, 3), E: [[first, 0], [0, 0]], F: [[second, 0], [0, 1]], A: rows}


def projections(*symmetric: sp.MatrixSymbol, idempotent: bool = True) -> Setting:
    squares = [Hypothesis(f"{P.name} idempotent", Equal(P * P, P), "a projection") for P in (E, F) if idempotent]
    return Setting({k: integers(1), m: integers(1), x: reals(0, open=True)}, (*squares, LESS), sample, symmetric)


def proved(says: Nonnegative | Positive, where: Setting) -> Proof | Failure:
    found = Derivation("sum", where, (Step("sum", says, "a sum", Combination()),)).prove()
    assert isinstance(found, Proof | Failure)
    return found


trE, trF, square = sp.Trace(E), sp.Trace(F), sp.Trace(A * A.T)
TRUE = [
    Nonnegative(trE),
    Nonnegative(3 * trF - 2 * trE),
    Nonnegative(trF + x * trE + 1),
    Nonnegative(trF - trE + x * square / 7),
    Positive(trF - trE + x),
]
FALSE = [
    Nonnegative(trE - trF),
    Nonnegative(trF - 2 * trE),
    Nonnegative(trF - trE - sp.Rational(1, 10**6)),
    Nonnegative(trF - x * trE),
    Nonnegative(trF - trE - square),
    Positive(trF - trE),
]


@pytest.mark.parametrize("says", TRUE, ids=str)
def test_sums_of_known_inequalities_are_certified(says: Nonnegative) -> None:
    assert isinstance(proved(says, projections(E, F)), Proof)


@pytest.mark.parametrize("says", FALSE, ids=str)
def test_false_inequalities_of_the_same_shape_are_not(says: Nonnegative, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even without the examples in which they fail."""
    monkeypatch.setattr("tightframe.theory.proof.rules.Proving.refute", lambda *arguments: None)
    found = proved(says, projections(E, F))
    assert isinstance(found, Failure)
    assert found.witness is None


def test_only_symmetric_idempotents_have_traces_that_are_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    says = Nonnegative(trE)
    for where in (projections(), projections(E, F, idempotent=False)):
        found = proved(says, where)
        assert isinstance(found, Failure)
        assert "no sum" in found.reason


def test_matrices_are_no_scalars() -> None:
    where = projections(E, F)
    translation, _ = where.translation()
    proving = Derivation("none", where, (Step("sum", TRUE[0], "a sum", Combination()),)).begin(translation)
    with pytest.raises(StepFailed, match="inequalities of scalars"):
        Combination().certify(proving, translation.statement(Equal(E * E, E)))
