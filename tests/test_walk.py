"""Walks on the solutions of equations: every example that a move leads to is a solution, and they differ."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from tightframe.theory.derivation import Hypothesis, Setting
from tightframe.theory.proof.certificate import complete_model
from tightframe.theory.proof.refuter import is_example
from tightframe.theory.proof.statement import Equal
from tightframe.theory.proof.walk import Walk
from tightframe.theory.symbols import integers, reals

n = sp.Symbol("n", integer=True, positive=True)
s, r = sp.symbols("s r", positive=True)
A, B, S = (sp.MatrixSymbol(name, n, n) for name in "ABS")


def setting(*equations: tuple[Any, Any], symmetric: tuple[Any, ...] = ()) -> Setting:
    hypotheses = tuple(Hypothesis(str(i), Equal(*sides), "") for i, sides in enumerate(equations))
    two, unit = [[2, 0], [0, 2]], [[1, 0], [0, 1]]
    values = {n: 2, s: 2, r: Fraction(1, 2), A: two, B: [[Fraction(1, 2), 0], [0, Fraction(1, 2)]], S: unit}
    parameters = {n: integers(1), s: reals(0, open=True), r: reals(0, open=True)}
    return Setting(parameters, hypotheses, lambda rng: dict(values), symmetric)


CASES = {
    "a product": setting((A * B, sp.Identity(n))),
    "a symmetric matrix that commutes": setting((A * S, S * A), symmetric=(S,)),
    "a quotient": setting((A / s, sp.Identity(n)), (r * s, sp.S.One)),
    "a sphere": setting((sp.Trace(A * A.T), 8 * s / 2)),
}


@pytest.mark.parametrize("where", CASES.values(), ids=CASES)
def test_moves_keep_the_equations(where: Setting) -> None:
    translation, _ = where.translation()
    hypotheses = [translation.statement(each.statement) for each in where.hypotheses]
    translation.matrix(A + B + S)
    walk = Walk(translation, [each.target for each in hypotheses], ["s", "r", "A", "B", "S"])
    rng, here, moved = random.Random(1), where.sample(random.Random(0)), set[str]()
    for _ in range(30):
        model = complete_model(translation, here)
        assert model is not None
        for there in walk.moves(rng, here, model):
            found = complete_model(translation, there)
            assert found is not None
            if there[s] > 0 and there[r] > 0:
                assert is_example(translation, hypotheses, found)
                moved |= {str(key) for key in there if there[key] != here[key]}
                break
    assert moved & {"A", "S"}


def test_what_is_disturbed_is_mended() -> None:
    where = CASES["a product"]
    translation, _ = where.translation()
    (product,) = (translation.statement(each.statement) for each in where.hypotheses)
    walk = Walk(translation, [product.target], ["A", "B"])
    disturbed = {**where.sample(random.Random(0)), A: [[1, 2], [3, 4]]}
    model = complete_model(translation, disturbed)
    assert model is not None
    assert not is_example(translation, [], model) or walk.mended(random.Random(0), disturbed, model, ["A", "B"]) is None
    found = walk.mended(random.Random(0), disturbed, model, ["A"])
    assert found is not None
    assert found[B] == [[-2, 1], [Fraction(3, 2), Fraction(-1, 2)]]
