"""Polynomial inequalities: proved with a certificate or refuted at an exact point, and a checker that is not fooled."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import sympy as sp
from certificates import Json, certificate, changed, integers, mutants, places, reals, says, step
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe.theory import symbols
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker, poly, solver
from tightframe.theory.proof.certificate import complete_model, polynomial_json
from tightframe.theory.proof.checker import (
    Algebra,
    Interval,
    Malformed,
    Range,
    Region,
    Rejected,
    Replay,
    holds,
    roots_between,
)
from tightframe.theory.proof.checker import Statement as Normal
from tightframe.theory.proof.rules import Attested, Conjunction, Poly, Proving, Root, Star, WeightedMeans
from tightframe.theory.proof.statement import AllOf, Equal, Nonnegative, Positive, Statement
from tightframe.theory.proof.translation import Translation, Untranslatable

F, Q = Fraction, sp.Rational
x, y, z = sp.symbols("x y z", real=True)
n, m = sp.symbols("n m", integer=True)
M = sp.Symbol("M", integer=True, positive=True)
b = sp.Symbol("b", positive=True)
s = sp.Symbol("s", positive=True)  # runs over the positive reals

REAL, HALF, UNIT_OPEN = Range(None), symbols.reals(0), symbols.reals(0, open=True)
NATURAL, WHOLE = symbols.integers(0), Range(None, integer=True)
QUICK = poly.Limits(seconds=1.0, degree=3, nodes=60)


# ------------------------------------------------------------------------------------------------- what is decided


@dataclass(frozen=True)
class Inequality:
    """``expr > 0`` or ``expr >= 0`` on ranges and under hypotheses of the same form."""

    expr: Any
    ranges: Mapping[sp.Symbol, Range]
    strict: bool = False
    given: tuple[Statement, ...] = ()
    false: tuple[Any, ...] = ()  # changed expressions
    by: str = ""

    def problem(self) -> poly.Problem:
        reading = Translation(self.ranges)
        goal = Normal("positive" if self.strict else "nonnegative", reading.scalar(self.expr))
        known = {f"h{i}": reading.statement(statement) for i, statement in enumerate(self.given)}
        return poly.Problem(reading.algebra, goal, known, known)

    def decide(self, limits: poly.Limits = QUICK) -> poly.Decision:
        return poly.decide(self.problem(), limits)


PROVED = {
    "positive coefficients": Inequality(x * y + n - 1, {x: HALF, y: HALF, n: symbols.integers(1)}, by="expansion"),
    "a shifted range": Inequality(n**2 - 3 * n + 1, {n: symbols.integers(3)}, strict=True, by="expansion"),
    "a box": Inequality(1 - x * y, {x: HALF, y: HALF}, given=(Nonnegative(1 - x), Nonnegative(1 - y)), by="expansion"),
    "a box with an open side": Inequality(
        1 - x * y, {x: HALF, y: HALF}, True, (Positive(1 - x), Nonnegative(1 - y)), by="expansion"
    ),
    "denominators that are positive": Inequality(s + 1 / s - 2, {s: UNIT_OPEN}, by="sturm"),
    "two double roots": Inequality((x**2 - 2) ** 2, {x: REAL}, false=(-((x**2 - 2) ** 2),), by="sturm"),
    "no root": Inequality(x**6 - x + 1, {x: REAL}, strict=True, false=(x**6 - x + Q(1, 2),), by="sturm"),
    "a root at an open end": Inequality(s**3 + s**2 - s / 10 + s / 5, {s: UNIT_OPEN}, strict=True),
    "a root at a closed end": Inequality(x**3 - x**2 / 2 + x / 8, {x: HALF}, false=(x**3 - x**2 + x / 8,), by="sturm"),
    "true for integers only": Inequality(n**2 - 3 * n + 2, {n: NATURAL}, false=(n**2 - 4 * n + 3,), by="cases"),
    "all integers": Inequality(n**2 - n, {n: WHOLE}, false=(n**2 - n - 1,), by="cases"),
    "cases, then a tail": Inequality(2 * n**2 - 6 * n + Q(41, 10), {n: NATURAL}, True, false=(2 * n**2 - 6 * n + 4,)),
    "cases of one integer, roots in the other variable": Inequality(
        x**2 - n * x + n**2 / 3 + (n - 1) * (n - 2) - Q(1, 12), {x: REAL, n: NATURAL}, false=(x**2 - n * x + n**2 / 5,)
    ),
    "a quadratic form": Inequality(
        x**2 - 2 * x * y + 3 * y**2, {x: REAL, y: REAL}, false=(x**2 - 4 * x * y + 3 * y**2,), by="products"
    ),
    "a quadratic form with a constant": Inequality(
        x**2 + y**2 - x * y - x - y + 2,
        {x: REAL, y: REAL},
        True,
        false=(x**2 + y**2 - x * y - x - y + 1,),
        by="products",
    ),
    "three means": Inequality(
        x**3 + y**3 + z**3 - 3 * x * y * z,
        {x: HALF, y: HALF, z: HALF},
        false=(x**3 + y**3 + z**3 - Q(3001, 1000) * x * y * z,),
        by="products",
    ),
    "on a circle": Inequality(
        2 - (x + y) ** 2, {x: REAL, y: REAL}, given=(Equal(x**2 + y**2, 1),), false=(Q(1, 2) - (x + y) ** 2,)
    ),
    "in a disk": Inequality(
        Q(3, 2) - x - y, {x: HALF, y: HALF}, given=(Nonnegative(1 - x**2 - y**2),), false=(Q(7, 5) - x - y,)
    ),
    "an order": Inequality(
        x**2 + x - y**2 - y,
        {x: HALF, y: HALF},
        given=(Nonnegative(x - y),),
        false=(x**2 - x - y**2 + y,),
        by="products",
    ),
}


def sampled(problem: poly.Problem, count: int = 300, seed: int = 1) -> Iterator[checker.Model]:
    """Exact models of the hypotheses: a grid and random points."""
    rng, algebra = random.Random(seed), problem.algebra
    names = problem.parameters
    grid = [F(k, 2) for k in range(-4, 9)]
    points = [dict(zip(names, values, strict=True)) for values in product(grid, repeat=len(names))][:2_500]
    points += [{name: F(rng.randint(-400, 400), rng.choice((1, 1, 7, 60))) for name in names} for _ in range(count)]
    points += [{name: F(rng.randint(0, 400), rng.choice((100, 399))) for name in names} for _ in range(count)]
    for point in points:
        if all(point[name] in algebra.parameters[name] for name in names):
            try:
                model = problem.model(point)
                if model is not None and all(holds(h, algebra, model) for h in problem.hypotheses.values()):
                    yield model
            except Rejected:
                continue


def assert_true_where_sampled(problem: poly.Problem, found: int = 1) -> None:
    models = list(sampled(problem))
    assert len(models) >= found
    for model in models:
        assert holds(problem.goal, problem.algebra, model), model.parameters


def assert_false_at(problem: poly.Problem, witness: checker.Model | None) -> None:
    assert witness is not None
    point = {name: witness.parameters[name] for name in problem.parameters}
    assert all(point[name] in problem.algebra.parameters[name] for name in point)
    model = problem.model(point)
    assert model is not None
    assert all(holds(h, problem.algebra, model) for h in problem.hypotheses.values())
    assert not holds(problem.goal, problem.algebra, model)


@pytest.mark.parametrize("name", PROVED)
def test_proved(name: str) -> None:
    inequality = PROVED[name]
    found = inequality.decide()
    assert found.outcome == "proved", found.reason
    assert found.data is not None
    assert inequality.by in ("", found.data["by"])
    assert_true_where_sampled(inequality.problem(), found=0 if name == "on a circle" else 5)


@pytest.mark.parametrize("name", [name for name in PROVED if PROVED[name].false])
def test_a_changed_inequality_is_refuted(name: str) -> None:
    for expr in PROVED[name].false:
        inequality = replace(PROVED[name], expr=expr)
        found = inequality.decide()
        assert found.outcome == "refuted", found
        assert_false_at(inequality.problem(), found.witness)


@pytest.mark.parametrize("name", PROVED)
def test_strictness_and_hypotheses_matter(name: str) -> None:
    """Equality is attained in all that are stated with >= but two; without a hypothesis the inequality is false."""
    inequality = PROVED[name]
    if inequality.given:
        for i in range(len(inequality.given)):
            weaker = replace(inequality, given=inequality.given[:i] + inequality.given[i + 1 :])
            assert weaker.decide().outcome == "refuted"
    elif not inequality.strict:
        outcome = replace(inequality, strict=True).decide().outcome
        irrational = name == "two double roots"
        assert outcome == ("undecided" if irrational else "refuted")


# A true inequality of degree six that is no sum of squares (Motzkin 1967).
MOTZKIN = Inequality(x**4 * y**2 + x**2 * y**4 + 1 - 3 * x**2 * y**2, {x: REAL, y: REAL})


def test_attested_is_no_proof() -> None:
    found = MOTZKIN.decide()
    assert (found.outcome, found.data, found.witness) == ("attested", None, None)
    assert found.smtlib is not None
    assert solver.ask(found.smtlib, seconds=20).verdict == "unsat"
    setting = Setting(MOTZKIN.ranges, (), lambda rng: {x: 1, y: 1})
    by = Poly(seconds=1.0)
    outcome = Derivation("Motzkin", setting, (Step("goal", Nonnegative(MOTZKIN.expr), "", by),)).prove()
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("attested")
    translation, _ = setting.translation()
    with pytest.raises(Attested) as raised:
        by.certify(Proving(translation, setting.sample), translation.statement(Nonnegative(MOTZKIN.expr)))
    assert "(assert (not (>=" in raised.value.smtlib


def test_an_irrational_counterexample_is_no_exact_one() -> None:
    found = Inequality((x**2 - 2) ** 2 * (y**2 + 1), {x: REAL, y: REAL}, strict=True).decide()
    assert found.outcome == "undecided"
    assert "no exact point" in found.reason


def test_a_counterexample_of_the_reals_is_tried_at_integers() -> None:
    """n (n - 1) (n - 2) (n - 3) + 1/2 is negative between 0 and 1, at no integer."""
    found = Inequality(n * (n - 1) * (n - 2) * (n - 3) + Q(1, 2), {n: WHOLE}, strict=True).decide()
    assert found.outcome == "proved"
    found = Inequality(x * (x - 1) * (x - 2) * (x - 3) + Q(1, 2), {x: REAL}, strict=True).decide()
    assert found.outcome == "refuted"


def test_a_witness_satisfies_every_hypothesis_of_the_setting() -> None:
    """Hypotheses on matrices count too, although the polynomial does not speak of them."""
    A = sp.MatrixSymbol("A", 1, 1)
    setting = Setting({x: HALF}, (Hypothesis("A", Equal(sp.Trace(A), x), ""),), lambda rng: {x: 2, A: [[F(2)]]})
    outcome = Derivation("x", setting, (Step("goal", Positive(x - 1), "", Poly()),)).prove()
    assert isinstance(outcome, Failure)
    assert outcome.witness is None  # x = 0 needs tr A = 0, which the sampled A does not have


# ---- random polynomials


@st.composite
def inequalities(draw: st.DrawFn) -> Inequality:
    """Few terms with small coefficients, often a square with something added, on mixed ranges."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = random.Random(seed)
    variables = rng.sample([x, y, n], rng.randint(1, 2))
    choices = {n: [NATURAL, WHOLE, symbols.integers(2)]}
    ranges = {v: rng.choice(choices.get(v, [REAL, HALF, UNIT_OPEN, Range(F(-3, 2))])) for v in variables}

    def linear() -> Any:
        return sum(rng.randint(-3, 3) * v for v in variables) + Q(rng.randint(-4, 4), rng.choice((1, 2)))

    expr = rng.choice((0, 0, 1, 2)) * linear() ** 2 + rng.choice((0, 1)) * linear() * linear() ** rng.choice((1, 3))
    expr += sum(rng.randint(-2, 4) * rng.choice(variables) ** rng.randint(0, 3) for _ in range(rng.randint(0, 3)))
    known = (Nonnegative(linear()),) if rng.random() < 0.3 else ()
    return Inequality(sp.expand(expr), ranges, rng.random() < 0.5, known)


@settings(max_examples=60)
@given(inequality=inequalities())
def test_never_both_proved_and_refuted(inequality: Inequality) -> None:
    problem = inequality.problem()
    found = poly.decide(problem, poly.Limits(seconds=0.5, degree=2, nodes=40))
    assert (found.data is not None) == (found.outcome == "proved")
    assert (found.smtlib is not None) == (found.outcome == "attested")
    if found.outcome == "refuted":
        assert_false_at(problem, found.witness)
    else:
        assert found.witness is None
    if found.data is not None:
        assert problem.accepted(found.data)
    if found.outcome in ("proved", "attested"):
        assert_true_where_sampled(problem, found=0)


def test_most_random_inequalities_are_decided() -> None:
    """The law above is not vacuous: of sixty, at least a quarter is proved and a quarter refuted."""
    counts = dict.fromkeys(("proved", "refuted", "attested", "undecided"), 0)

    @settings(max_examples=60, database=None, derandomize=True)
    @given(inequality=inequalities())
    def count(inequality: Inequality) -> None:
        counts[poly.decide(inequality.problem(), poly.Limits(seconds=0.5, degree=2, nodes=40)).outcome] += 1

    count()
    assert counts["proved"] >= 10
    assert counts["refuted"] >= 15
    assert counts["undecided"] <= 6, counts
