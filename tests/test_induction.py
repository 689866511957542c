"""Induction over an integer parameter: what it proves, and that no premise of it can be left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import sympy as sp
from certificates import Json, certificate, integers, reals, says, step
from tightframe.theory import symbols
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker
from tightframe.theory.proof.checker import Rejected
from tightframe.theory.proof.rules import Induction, Poly
from tightframe.theory.proof.statement import Equal, Nonnegative, Positive, Statement

x, n = sp.Symbol("x", positive=True), sp.Symbol("n", integer=True, positive=True)
RANGES = {x: symbols.reals(0, open=True), n: symbols.integers(1)}


def proves(
    statement: Statement,
    by: Induction,
    steps: tuple[Step, ...] = (),
    given: Mapping[str, Statement] | None = None,
    at: Mapping[sp.Symbol, Any] | None = None,
    ranges: Mapping[sp.Symbol, Any] = RANGES,
) -> Any:
    values = {x: sp.Rational(3, 2), n: sp.Integer(3)} | dict(at or {})
    hypotheses = tuple(Hypothesis(name, each, "") for name, each in (given or {}).items())
    where = Setting(dict(ranges), hypotheses, lambda _: values)
    return Derivation("induction", where, (*steps, Step("goal", statement, "by induction", by))).prove()


TRUE = {
    "Bernoulli": (Nonnegative((1 + x) ** n - 1 - n * x), Induction(n, 1 + x)),
    "powers of two": (Positive(2**n - n), Induction(n, 1)),
    "quadratic": (Nonnegative(4**n - n**2), Induction(n, 4, step="step")),
    "powers of powers": (Equal((x**2) ** n * (1 + x) ** n, (x**2 + x**3) ** n), Induction(n, x**2 + x**3)),
}
STEPS = {"quadratic": (Step("step", Nonnegative(4 * n**2 - (n + 1) ** 2), "", Poly()),)}
FALSE = {
    "start": (Nonnegative((1 + x) ** n - sp.Rational(1001, 1000) - n * x), Induction(n, 1 + x)),
    "step": (Nonnegative((1 + x) ** n - 1 - n * x), Induction(n, 2 + x)),
    "strict": (Positive((1 + x) ** n - 1 - n * x), Induction(n, 1 + x)),
    "false": (Positive(2**n - n**2), Induction(n, 2)),
    "negative factor": (Positive(2**n - n), Induction(n, -1)),
    "not an integer": (Nonnegative((1 + x) ** n - 1 - n * x), Induction(x, 1)),
    "another equation": (Equal((1 + x) ** n, 1 + x**n), Induction(n, 1 + x)),
}


@pytest.mark.parametrize("name", TRUE)
def test_induction_proves(name: str) -> None:
    statement, by = TRUE[name]
    proof = proves(statement, by, STEPS.get(name, ()))
    assert isinstance(proof, Proof), proof


@pytest.mark.parametrize("name", FALSE)
def test_a_premise_that_fails_is_noticed(name: str) -> None:
    statement, by = FALSE[name]
    assert isinstance(proves(statement, by), Failure)


def test_nothing_may_fix_the_parameter() -> None:
    """From p(1) and p(n) => p(n+1), both under a hypothesis on n, nothing follows."""
    bernoulli, by = TRUE["Bernoulli"]
    assert isinstance(proves(bernoulli, by, given={"x": Positive(x - 1)}), Proof)
    for given in (Positive(4 - n), Nonnegative(x**n - 1)):
        found = proves(bernoulli, by, given={"n": given})
        assert isinstance(found, Failure)
        assert "depends on n" in found.reason


def test_the_start_is_the_lower_end() -> None:
    """2^n > n^2 holds from n = 5, and not from n = 1."""
    statement = Positive(2**n - n**2)
    slope = Step("step", Nonnegative(2 * n**2 - (n + 1) ** 2), "", Poly())
    by = Induction(n, 2, step="step")
    late = {n: symbols.integers(5)}
    assert isinstance(proves(statement, by, (slope,), at={n: sp.Integer(6)}, ranges=late), Proof)
    for low in (3, 4):
        found = proves(statement, by, (slope,), at={n: sp.Integer(6)}, ranges={n: symbols.integers(low)})
        assert isinstance(found, Failure)


# ---- by hand


def terms(*pairs: tuple[str, Json]) -> Json:
    return {"shape": None, "terms": [[value, mono, [], None] for value, mono in pairs]}


def induction(
    kind: str = "nonnegative", goal: Json = None, ranges: Json = None, model: Json = None, **data: Json
) -> Json:
    """x^n - 1 >= 0 for x >= 1, with p = x^(n-1), unless another goal is given."""
    power = {"name": "p", "power_of": terms(("1", {"x": 1})), "exponent": [["1", {"n": 1}], ["-1", {}]]}
    return certificate(
        step("goal", "induction", says(kind, goal or terms(("1", {"p": 1, "x": 1}), ("-1", {}))), **data),
        parameters={"n": integers(1), "x": reals(1)} | (ranges or {}),
        letters=[power],
        model={"parameters": {"n": "3", "x": "2", "p": "4"} | (model or {}), "letters": {}},
    )


ONE, FACTOR = terms(("1", {})), terms(("1", {"x": 1}))


def test_induction_by_hand() -> None:
    checker.check(induction(parameter="n", factor=FACTOR))
    checker.check(induction(parameter="n", factor=ONE, goal=terms(("1", {"p": 1}))))


@pytest.mark.parametrize(
    "wrong",
    [
        induction(factor=FACTOR),
        induction(parameter="n"),
        induction(parameter="x", factor=FACTOR),
        induction(parameter="p", factor=FACTOR),
        induction(parameter="m", factor=FACTOR),
        induction(parameter=["n"], factor=FACTOR),
        induction(parameter="n", factor=terms(("-1", {}))),
        induction(parameter="n", factor=terms(("1", {"x": -1}), ("1", {}))),
        induction(parameter="n", factor=FACTOR, start="goal"),
        induction(parameter="n", factor=FACTOR, step="nothing"),
        induction("positive", parameter="n", factor=FACTOR),
        induction("psd", parameter="n", factor=FACTOR),
        induction(parameter="n", factor=FACTOR, ranges={"x": reals(0)}),
        induction(parameter="n", factor=FACTOR, ranges={"n": reals(1)}),
        induction(parameter="n", factor=ONE, goal=terms(("1", {"n": -1}))),
        induction(parameter="n", factor=FACTOR, goal=terms(("1", {"p": 1}), ("-2", {}))),
    ],
)
def test_a_wrong_induction_is_rejected(wrong: Json) -> None:
    with pytest.raises(Rejected):
        checker.check(wrong)
