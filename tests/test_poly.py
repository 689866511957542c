"""Polynomial inequalities: proved with a certificate or refuted at an exact point, and a checker that is not fooled."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import sympy as sp
from certificates import Json, certificate, changed, integers, mutants, places, reals, says, step
from hypothesis import given, settings
from hypothesis import strategies as st
from tightframe.papers import verification
from tightframe.papers.claim import Claim
from tightframe.papers.domain import Domain, Parameter
from tightframe.papers.evidence import Kind, Verdict, verdict_of
from tightframe.theory import scalar_problem, symbols
from tightframe.theory.derivation import Attestation, Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker, poly, solver
from tightframe.theory.proof.certificate import complete_model, polynomial_json
from tightframe.theory.proof.checker import (
    Algebra,
    Malformed,
    Range,
    Region,
    Rejected,
    Replay,
    Segment,
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
LIMITS = poly.Limits(seconds=20.0, degree=3, nodes=60)  # the time is for busy machines, none of these needs it


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

    def decide(self, limits: poly.Limits = LIMITS) -> poly.Decision:
        return poly.decide(self.problem(), limits)


PROVED = {
    "positive coefficients": Inequality(x * y + n - 1, {x: HALF, y: HALF, n: symbols.integers(1)}, by="expansion"),
    "a shifted range": Inequality(n**2 - 3 * n + 1, {n: symbols.integers(3)}, strict=True, by="expansion"),
    "a box": Inequality(1 - x * y, {x: HALF, y: HALF}, given=(Nonnegative(1 - x), Nonnegative(1 - y)), by="expansion"),
    "a box with an open side": Inequality(
        1 - x * y, {x: HALF, y: HALF}, True, (Positive(1 - x), Nonnegative(1 - y)), by="expansion"
    ),
    "denominators in two variables": Inequality(
        s / b + b / s - 2, {s: UNIT_OPEN, b: UNIT_OPEN}, false=(s / b + b / s - Q(21, 10),), by="products"
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
    found = MOTZKIN.decide(poly.Limits(degree=2, nodes=20))
    assert (found.outcome, found.data, found.witness) == ("attested", None, None)
    assert found.smtlib is not None
    assert solver.ask(found.smtlib, seconds=20).verdict == "unsat"
    setting = Setting(MOTZKIN.ranges, (), lambda rng: {x: 1, y: 1})
    by = Poly(seconds=1.0)
    outcome = Derivation("Motzkin", setting, (Step("goal", Nonnegative(MOTZKIN.expr), "", by),)).prove()
    assert isinstance(outcome, Attestation)
    assert solver.ask(outcome.smtlib["goal"], seconds=20).verdict == "unsat"
    translation, _ = setting.translation()
    with pytest.raises(Attested) as raised:
        by.certify(Proving(translation, setting.sample), translation.statement(Nonnegative(MOTZKIN.expr)))
    assert "(assert (not (>=" in raised.value.smtlib


def test_a_claim_that_rests_on_z3_is_attested_and_no_more() -> None:
    goal = Nonnegative(MOTZKIN.expr)
    setting = Setting(MOTZKIN.ranges, (), lambda rng: {x: 1, y: 1})
    weaker = Nonnegative(MOTZKIN.expr + 1)
    attested, follows = Step("goal", goal, "", Poly(seconds=1.0)), Step("weaker", weaker, "", Poly(("goal",)))
    domain = Domain((Parameter(x, REAL, ""), Parameter(y, REAL, "")))

    def verdict(says: Statement, steps: tuple[Step, ...], hypotheses: tuple[Hypothesis, ...] = ()) -> Verdict:
        where = replace(setting, hypotheses=hypotheses)
        claim = Claim("traps/motzkin", "", Kind.LOWER, says, where, domain, lambda: Derivation("", where, steps))
        evidence, record = verification.prove(claim)
        assert (record is not None) == (evidence.outcome == "attested")
        return verdict_of([evidence])

    assert verdict(goal, (attested,)) is Verdict.ATTESTED
    assert verdict(weaker, (attested, follows)) is Verdict.ATTESTED
    assert verdict(Nonnegative(MOTZKIN.expr + 2), (attested,)) is Verdict.OPEN  # another statement
    impossible = Hypothesis("impossible", Positive(-1 - x**2), "nothing satisfies it")
    assert verdict(goal, (attested,), (impossible,)) is Verdict.OPEN


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


def test_scalars_that_depend_on_matrices_are_letters_to_it() -> None:
    """The square of x + 1 over 2 + tr A is nonnegative; a trace itself is nothing that the prover reads."""
    A = sp.MatrixSymbol("A", 1, 1)
    trace = sp.Trace(A)
    given_ = (Hypothesis("A", Positive(2 + trace), ""),)
    setting = Setting({x: HALF}, given_, lambda rng: {x: 2, A: [[F(2)]]})
    quotient = (x + 1) / (2 + trace)
    for says_, proved in ((Nonnegative(quotient**2), True), (Positive(quotient**2), False), (Positive(trace), False)):
        outcome = Derivation("trace", setting, (Step("goal", says_, "", Poly()),)).prove()
        assert isinstance(outcome, Proof) == proved, outcome


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


def test_never_both_proved_and_refuted() -> None:
    """Random inequalities: an outcome comes with what belongs to it, and sampled points agree with it."""
    counts = dict.fromkeys(("proved", "refuted", "attested", "undecided"), 0)

    @settings(max_examples=80)
    @given(inequality=inequalities())
    def agrees(inequality: Inequality) -> None:
        problem = inequality.problem()
        found = poly.decide(problem, poly.Limits(seconds=5.0, degree=2, nodes=40))
        counts[found.outcome] += 1
        assert (found.data is not None) == (found.outcome == "proved")
        assert (found.smtlib is not None) == (found.outcome == "attested")
        assert (found.witness is not None) == (found.outcome == "refuted")
        if found.data is not None:
            assert problem.accepted(found.data)
        if found.witness is not None:
            assert_false_at(problem, found.witness)
        elif found.outcome != "undecided":
            assert_true_where_sampled(problem, found=0)

    agrees()
    assert counts["proved"] >= 10  # the law is not vacuous
    assert counts["refuted"] >= 15


# ----------------------------------------------------------------------------------------- the checker is not fooled


def read(expr: Any, powers: Algebra | None = None) -> Json:
    """A polynomial as JSON; the ranges do not matter for it."""
    everything = dict.fromkeys((x, y, z, s, b), REAL) | dict.fromkeys((n, m), WHOLE) | {M: symbols.integers(1)}
    reading = Translation(everything)
    if powers is not None:
        reading.algebra.powers = powers.powers
    return polynomial_json(reading.scalar(sp.sympify(expr, strict=True)))


def document(
    expr: Any,
    data: Json,
    ranges: Mapping[sp.Symbol, Json],
    strict: bool = False,
    given: Mapping[str, tuple[str, Any]] | None = None,
    at: Mapping[sp.Symbol, str] | None = None,
) -> Json:
    """One step of the rule ``poly``; the model gives 2 to everything that ``at`` does not mention."""
    model = {v.name: "2" for v in ranges} | {v.name: value for v, value in (at or {}).items()}
    return certificate(
        step("goal", "poly", says("positive" if strict else "nonnegative", read(expr)), **data),
        parameters={v.name: bounds for v, bounds in ranges.items()},
        hypotheses={name: says(kind, read(h)) for name, (kind, h) in (given or {}).items()},
        model={"parameters": model, "letters": {}},
    )


ANY, NONNEGATIVE, POSITIVE = reals(None), reals(0), reals(0, open=True)
EXPANSION, STURM = {"by": "expansion"}, {"by": "sturm"}


def split(name: str, at: str, below: Json, above: Json) -> Json:
    return {"by": "cases", "split": name, "at": at, "below": below, "above": above}


def products(*terms: Json, **more: Json) -> Json:
    return {"by": "products", "terms": list(terms), **more}


BOX = {"low": ("nonnegative", x), "high": ("nonnegative", 1 - x)}

ACCEPTED = {
    "coefficients": document(x * y + 3, EXPANSION, {x: NONNEGATIVE, y: NONNEGATIVE}, strict=True),
    "Bernstein's form": document(
        x * (1 - x), {**EXPANSION, "bounds": ["low", "high"]}, {x: ANY}, given=BOX, at={x: "1/2"}
    ),
    "Bernstein's form in the open interval": document(
        x * (1 - x),
        {**EXPANSION, "bounds": ["low", "high"]},
        {x: ANY},
        True,
        {"low": ("positive", x), "high": ("positive", 1 - x)},
        {x: "1/2"},
    ),
    "Sturm": document(x**2 - 2, {**STURM, "bounds": ["h"]}, {x: ANY}, True, {"h": ("nonnegative", x - Q(3, 2))}),
    "a root at an open end": document(x * (x + 1), STURM, {x: POSITIVE}, strict=True),
    "a double root": document(x**2 * (x + 1), {**STURM, "square": read(x)}, {x: {**ANY, "low": "-1"}}),
    "cases of integers": document(
        (n - 1) * (n - 2), split("n", "2", split("n", "1", EXPANSION, EXPANSION), EXPANSION), {n: integers(0)}
    ),
    "cases of reals": document(x**2, split("x", "0", EXPANSION, EXPANSION), {x: ANY}),
    "a square": document(x**2 - 2 * x * y + y**2, products({"c": "1", "square": read(x - y)}), {x: ANY, y: ANY}),
    "a multiplier": document(
        x**2 - x * y + y**2,
        products(
            {"c": "1", "factors": [read(x)] * 3},
            {"c": "1", "factors": [read(y)] * 3},
            multiplier=[{"c": "1", "factors": [read(x + y)]}],
        ),
        {x: POSITIVE, y: NONNEGATIVE},
    ),
    "an equation": document(
        1 - x**2,
        products({"c": "1", "square": read(y)}, equations=[{"of": "circle", "cofactor": read(-1)}]),
        {x: ANY, y: ANY},
        given={"circle": ("zero", x**2 + y**2 - 1)},
        at={x: "3/5", y: "4/5"},
    ),
}

REJECTED = {
    # signs of coefficients
    "a negative coefficient": document(x - y, EXPANSION, {x: NONNEGATIVE, y: NONNEGATIVE}, at={y: "1"}),
    "no lower end": document(x, EXPANSION, {x: ANY}),
    "zero is attained": document(x + y, EXPANSION, {x: NONNEGATIVE, y: NONNEGATIVE}, strict=True),
    "zero at one end of two": document(
        x, {**EXPANSION, "bounds": ["low", "high"]}, {x: ANY}, True, {**BOX, "high": ("positive", 1 - x)}, {x: "1/2"}
    ),
    "zero at the other end": document(
        1 - x, {**EXPANSION, "bounds": ["low", "high"]}, {x: ANY}, True, {**BOX, "low": ("positive", x)}, {x: "1/2"}
    ),
    "zero in one corner of four": document(
        x + y, {**EXPANSION, "bounds": ["a", "b", "c", "d"]}, {x: ANY, y: ANY}, True,
        {"a": ("nonnegative", x), "b": ("nonnegative", 1 - x), "c": ("nonnegative", y), "d": ("nonnegative", 1 - y)},
        {x: "1/2", y: "1/2"},
    ),
    "the zero polynomial is not positive": document(x - x, EXPANSION, {x: NONNEGATIVE}, strict=True),
    "a bound that is not given": document(
        x * (1 - x), {**EXPANSION, "bounds": ["low", "other"]}, {x: ANY}, given=BOX, at={x: "1/2"}
    ),
    "a bound that does not count": document(
        x * (1 - x), {**EXPANSION, "bounds": ["low"]}, {x: ANY}, given=BOX, at={x: "1/2"}
    ),
    "a bound of two parameters": document(
        x, {**EXPANSION, "bounds": ["h"]}, {x: ANY, y: ANY}, given={"h": ("nonnegative", x - y)}
    ),
    "a bound of degree two": document(
        x - 1, {**EXPANSION, "bounds": ["h"]}, {x: ANY}, given={"h": ("nonnegative", x**2 - x)}
    ),
    "an equation is no bound": document(x, {**EXPANSION, "bounds": ["h"]}, {x: ANY}, given={"h": ("zero", x - 2)}),
    "a denominator without a sign": document(1 / x, EXPANSION, {x: {**ANY, "low": "-1"}}),
    # Sturm
    "a root inside": document(x**2 - 3 * x + 1, STURM, {x: NONNEGATIVE}, at={x: "3"}),
    "two roots close together": document((x - 1) ** 2 - Q(1, 10**12), STURM, {x: ANY}, True),
    "a root at a closed end": document(x * (x + 1), STURM, {x: NONNEGATIVE}, strict=True),
    "a root at the closed upper end": document(
        1 - x, {**STURM, "bounds": ["low", "high"]}, {x: ANY}, True, {**BOX, "low": ("positive", x)}, {x: "1/2"}
    ),
    "a double root is a root": document((x - 1) ** 2 * (x**2 + 1), STURM, {x: ANY}, strict=True),
    "a square hides a root": document(
        (x - 1) ** 2 * (x**2 + 1), {**STURM, "square": read(x - 1)}, {x: ANY}, strict=True
    ),
    "a triple root": document((x - 1) ** 3, {**STURM, "square": read(x - 1)}, {x: ANY}),
    "a double root at a closed end": document(x**2 * (x + 1), STURM, {x: NONNEGATIVE}, strict=True),
    "a square that does not divide": document((x - 1) ** 2 + x, {**STURM, "square": read(x - 1)}, {x: ANY}),
    "negative everywhere": document(-(x**2) - 1, STURM, {x: ANY}),
    "negative everywhere, squared": document(-(x**2), {**STURM, "square": read(x)}, {x: ANY}),
    "a square of zero": document(x**2, {**STURM, "square": read(0)}, {x: ANY}),
    "two variables": document(x**2 + y**2 + 1, STURM, {x: ANY, y: ANY}),
    "a square in another variable": document(x**2 + 1, {**STURM, "square": read(y)}, {x: ANY, y: ANY}),
    # cases
    "integers split at a half": document(n * (n - 1), split("n", "1/2", EXPANSION, EXPANSION), {n: integers(None)}),
    "reals split like integers": document(x * (x - 1), split("x", "1", EXPANSION, EXPANSION), {x: ANY}),
    "a false case": document(x**3, split("x", "0", EXPANSION, EXPANSION), {x: ANY}),
    "a missing case": document(x, {"by": "cases", "split": "x", "at": "0", "above": EXPANSION}, {x: ANY}),
    "split by what is no parameter": document(x**2, split("w", "0", EXPANSION, EXPANSION), {x: ANY}),
    # products
    "a negative weight": document(-(x**2), products({"c": "-1", "square": read(x)}), {x: ANY}),
    "a weight of zero": document(x**2, products({"c": "0"}, {"c": "1", "square": read(x)}), {x: ANY}, strict=True),
    "a factor without a sign": document(x, products({"c": "1", "factors": [read(x)]}), {x: ANY}),
    "a square is not positive": document(x**2, products({"c": "1", "square": read(x)}), {x: ANY}, strict=True),
    "a factor is not positive": document(x, products({"c": "1", "factors": [read(x)]}), {x: NONNEGATIVE}, strict=True),
    "the goal is its own premise": document(x, products({"c": "1", "of": ["goal"]}), {x: ANY}),
    "an equation is no factor": document(
        x, products({"c": "1", "of": ["h"]}), {x: ANY}, given={"h": ("zero", x)}, at={x: "0"}
    ),
    "an inequality is no equation": document(
        -x, products(equations=[{"of": "h", "cofactor": read(-1)}]), {x: ANY}, given={"h": ("positive", x)}
    ),
    "another sum": document(x**2 + y**2, products({"c": "1", "square": read(x - y)}), {x: ANY, y: ANY}),
    "a multiplier that may vanish": document(
        x - 1, products({"c": "1", "square": read(y)}, multiplier=[{"c": "1", "factors": [read(y)]}],
        equations=[{"of": "h", "cofactor": read(1)}]), {x: ANY, y: NONNEGATIVE},
        given={"h": ("zero", y * (x - 1) - y**2)}, at={x: "2", y: "1"},
    ),
    "a multiplier that is a square": document(
        y - 1,
        products({"c": "1", "of": ["h"]}, multiplier=[{"c": "1", "square": read(x)}]),
        {x: ANY, y: ANY}, given={"h": ("nonnegative", x**2 * (y - 1))},
    ),
    "a negative multiplier": document(
        -x, products({"c": "1", "factors": [read(x)]}, multiplier=[{"c": "-1"}]), {x: NONNEGATIVE}
    ),
    "division by what may be zero": document(
        y,
        products({"c": "1", "square": read(z)}, equations=[{"of": "h", "cofactor": read(1 / x)}]),
        {x: ANY, y: ANY, z: ANY}, given={"h": ("zero", x * (y - z**2))}, at={y: "4"},
    ),
    # data
    "no method": document(x, {}, {x: NONNEGATIVE}),
    "another method": document(x, {"by": "magic"}, {x: NONNEGATIVE}),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    checker.check(ACCEPTED[name])


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name: str) -> None:
    with pytest.raises(Rejected, match=r"step 'goal': |divides by"):  # by the rule, and not because of the model
        checker.check(REJECTED[name])


def test_an_equation_is_not_proved_by_poly() -> None:
    wrong = changed(ACCEPTED["a square"], ("statement", "kind"), "zero")
    wrong = changed(wrong, ("steps", 0, "statement", "kind"), "zero")
    with pytest.raises(Rejected):
        checker.check(wrong)


def true_as_stated(original: Json) -> bool:
    """Whether an accepted document survives sampling: its goal is read back and evaluated in exact points."""
    algebra, reader = checker.declared(original)
    goal = reader.statement(original["statement"])
    known = {h["name"]: reader.statement(h["statement"]) for h in original["hypotheses"]}
    problem = poly.Problem(algebra, goal, known, known)
    return all(holds(goal, algebra, model) for model in sampled(problem, count=100))


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_changed_certificate_proves_nothing_false(name: str) -> None:
    """One token changed anywhere: rejected, or what it states is true at every sampled point."""
    original, rejected = ACCEPTED[name], 0
    found = mutants(original, list(checker.RULES), count=120, seed=0)
    for kind, path, part in found:
        mutant = changed(original, path, part)
        if path[0] == "statement":  # in the step as well
            mutant = changed(mutant, ("steps", 0, *path), part) if len(path) > 1 else mutant
        elif path[:3] == ("steps", 0, "statement"):
            mutant = changed(mutant, path[2:], part)
        try:
            checker.check(mutant)
        except Rejected:
            rejected += 1
            continue
        assert true_as_stated(mutant), (kind, path, part)
    assert rejected > len(found) / 3


@pytest.mark.parametrize("name", ["a square", "a multiplier", "an equation"])
def test_every_number_of_an_identity_counts(name: str) -> None:
    original = ACCEPTED[name]
    numbers = [
        (path, part)
        for path, part in places(original["steps"][0]["data"])
        if isinstance(part, str) and part.lstrip("-").isdigit()
    ]
    assert len(numbers) >= 3
    for path, part in numbers:
        with pytest.raises(Rejected):
            checker.check(changed(original, ("steps", 0, "data", *path), str(int(part) + 1)))


@settings(max_examples=150)
@given(data=st.data())
def test_junk_anywhere_is_rejected_without_another_exception(data: st.DataObject) -> None:
    original = ACCEPTED[data.draw(st.sampled_from(sorted(ACCEPTED)))]
    path, _ = data.draw(st.sampled_from(list(places(original))[1:]))
    junk = data.draw(
        st.sampled_from([None, "", "x", "1/0", -1, 10**30, [], {}, [[]], {"by": "cases"}, True, "9" * 150])
    )
    with contextlib.suppress(Rejected):
        checker.check(changed(original, path, junk))


def nested(depth: int) -> Json:
    data: Json = EXPANSION
    for i in range(depth):
        data = split("x", str(i), data, EXPANSION)
    return document(x**2, data, {x: ANY})


def wide(names: int) -> Json:
    """Bernstein's form in many variables: a number of terms and corners that is exponential in theirs."""
    many = [sp.Symbol(f"t{i}", real=True) for i in range(names)]
    reading = Translation(dict.fromkeys(many, REAL))
    goal = polynomial_json(reading.scalar(sum(t**9 for t in many)))
    bounds = {f"{side}{i}": (t, 1 - t)[side] for i, t in enumerate(many) for side in (0, 1)}
    return certificate(
        step("goal", "poly", says("nonnegative", goal), by="expansion", bounds=list(bounds)),
        parameters={t.name: ANY for t in many},
        hypotheses={k: says("nonnegative", polynomial_json(reading.scalar(e))) for k, e in bounds.items()},
        model={"parameters": {t.name: "1/2" for t in many}, "letters": {}},
    )


HOSTILE = {
    "cases in cases": lambda: nested(2_000),
    "an exponential number of corners": lambda: wide(40),
    "Sturm of a high degree": lambda: document(x**900 + x**7 + x + 1, STURM, {x: ANY}),
    "Sturm with large coefficients": lambda: document(
        sum(sp.Integer(7) ** (100 * (k % 3)) * x**k for k in range(60)), STURM, {x: ANY}
    ),
    "a point far out": lambda: document(
        x**900 + 1, {**STURM, "bounds": ["h"]}, {x: ANY}, given={"h": ("positive", x + 10**150)}
    ),
    "a high power of a sum": lambda: document(
        (x + 1) ** 2,
        products({"c": "1", "factors": [read((x + y + z) ** 9)] * 40}),
        dict.fromkeys((x, y, z), NONNEGATIVE),
    ),
    "a high degree, shifted": lambda: document(
        x**900 + 1, EXPANSION, {x: {**NONNEGATIVE, "low": "9" * 150}}, at={x: "9" * 151}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_certificate_ends_quickly(name: str) -> None:
    hostile = HOSTILE[name]()
    started = time.process_time()
    with pytest.raises(Rejected):
        checker.check(hostile)
    assert time.process_time() - started < 20  # the limit on work ends what would run for hours


# ---- what the rule rests on


@settings(max_examples=120)
@given(seed=st.integers(0, 2**32 - 1))
def test_roots_are_counted_as_sympy_counts_them(seed: int) -> None:
    """Simple and multiple roots inside, outside and at the ends of the interval, rational and irrational."""
    rng = random.Random(seed)
    ends = sorted({F(rng.randint(-6, 6), 2), F(rng.randint(-6, 6), 2)} | {F(7, 2)})
    low, high = ends[0], ends[-1]
    roots = [rng.choice([low, high, F(rng.randint(-8, 8), 2)]) for _ in range(rng.randint(0, 4))]
    expr = sp.Integer(rng.choice([-2, 1, 3]))
    for root in roots:
        expr *= (x - Q(root.numerator, root.denominator)) ** rng.randint(1, 3)
    expr *= sum(rng.randint(-3, 3) * x**k for k in range(rng.randint(1, 4))) or 1
    reading = sp.Poly(sp.expand(expr), x)
    coefficients = [F(int(c.p), int(c.q)) for c in reversed(reading.all_coeffs())]
    inside = [r for r in set(reading.real_roots()) if low < r < high]  # exact comparisons of algebraic numbers
    assert roots_between(coefficients, low, high) == len(inside)
    assert roots_between(coefficients, None, None) == len(set(reading.real_roots()))
    assert roots_between(coefficients, low, None) == len([r for r in set(reading.real_roots()) if r > low])
    assert roots_between(coefficients, None, high) == len([r for r in set(reading.real_roots()) if r < high])


def intervals() -> st.SearchStrategy[Segment]:
    ends = st.one_of(st.none(), st.integers(-3, 3).map(F))
    built = st.builds(Segment, ends, ends, st.booleans(), st.booleans())
    return built.filter(lambda i: i.low is None or i.high is None or i.low < i.high)


@settings(max_examples=150)
@given(sides=st.tuples(intervals(), intervals()), seed=st.integers(0, 2**32 - 1))
def test_a_sign_on_a_region_is_right(sides: tuple[Segment, Segment], seed: int) -> None:
    """Sampled at the ends that belong to the intervals, near them, and inside."""
    rng = random.Random(seed)
    algebra = Algebra({"x": REAL, "y": REAL})
    region = Region(Replay(algebra, {}, {}), {"x": sides[0], "y": sides[1]})
    centre = [rng.choice([v for v in (side.low, side.high, F(0)) if v is not None]) for side in sides]

    def factor(k: int) -> Any:
        return rng.choice((-1, 1)) * ((x, y)[k] - Q(centre[k].numerator, centre[k].denominator))

    expr = sum(rng.randint(0, 3) * factor(rng.randint(0, 1)) ** rng.randint(0, 3) for _ in range(3))
    expr += rng.randint(0, 2) * factor(0) * factor(1) + rng.choice((0, 0, 0, -1, 1))
    poly_ = Translation({x: REAL, y: REAL}).scalar(sp.expand(expr))
    sign = region.sign(poly_)
    near = [F(0), F(1, 1000), F(1), F(5, 2), F(20)]
    choices = []
    for side in sides:
        start = side.low if side.low is not None else side.high if side.high is not None else F(0)
        values = (
            {start + step for step in near}
            | {start - step for step in near}
            | {v for v in (side.high,) if v is not None}
        )
        choices.append([v for v in values if poly.inside(side, v)])
    for one, other in product(*choices):
        value = algebra.evaluate(poly_, checker.Model({"x": one, "y": other}, {}))[0][0]
        assert sign == "unknown" or value > 0 or (value == 0 and sign == "nonnegative"), (one, other, expr)


def test_intervals_of_integers_have_integers_as_ends() -> None:
    whole = Segment(integer=True)
    assert whole.above(F(1, 2)).low == 1
    assert whole.above(F(1), open=True).low == 2
    assert whole.above(F(-1, 2), open=True).low == 0
    assert whole.below(F(7, 2)).high == 3
    assert whole.below(F(3), open=True).high == 2
    assert Segment(F(1), low_open=True).above(F(1)) == Segment(F(1), low_open=True)
    assert Segment(F(1)).above(F(1), open=True) == Segment(F(1), low_open=True)


# ------------------------------------------------------------------------------- powers with a symbolic exponent

POWERS = {M: symbols.integers(1), s: UNIT_OPEN, b: UNIT_OPEN}
t = sp.Symbol("t", nonnegative=True)
X = s**M  # the x^M of the scalar problem; s runs over the positive reals


def proves(
    statement: Statement,
    by: Any,
    given: Mapping[str, Statement] | None = None,
    before: tuple[Step, ...] = (),
    ranges: Mapping[sp.Symbol, Range] | None = None,
    **at: Any,
) -> Proof | Failure:
    """One derivation; ``at`` gives a point that satisfies the hypotheses."""
    where = {symbol: sp.sympify(at.get(symbol.name, 1), strict=True) for symbol in (ranges or POWERS)}
    hypotheses = tuple(Hypothesis(name, says_, name) for name, says_ in (given or {}).items())
    setting = Setting(ranges or POWERS, hypotheses, lambda rng: where)
    outcome = Derivation("powers", setting, (*before, Step("goal", statement, "", by))).prove()
    if isinstance(outcome, Proof):  # as text, and alone
        assert checker.check(checker.loads(json.dumps(outcome.certificate))) == outcome.report
    return outcome


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (t * t ** (M - 1), t**M),
        ((t**M) ** (M + 2), t ** (M**2 + 2 * M)),
        ((2 * t) ** M, 2**M * t**M),
        ((t * b) ** (M - 1) * t * b, t**M * b**M),
        ((M - 1) * (M - 1) ** (M - 1), (M - 1) ** M),
        ((b + b * t**M) ** M, b**M * (1 + t**M) ** M),
        (s**-M * s ** (M + 1), s),
    ],
)
def test_laws_of_powers_are_the_normal_form(left: Any, right: Any) -> None:
    reading = Translation({**POWERS, t: HALF})
    assert reading.scalar(left) == reading.scalar(right)


@pytest.mark.parametrize(
    ("left", "right"), [(t**M, t ** (M - 1)), (t ** (M**2), (t**M) ** 2), ((1 + t) ** M, 1 + t**M), (2**M, 2 * M)]
)
def test_what_is_no_law_of_powers_is_not(left: Any, right: Any) -> None:
    reading = Translation({**POWERS, t: HALF})
    assert reading.scalar(left) != reading.scalar(right)


@pytest.mark.parametrize("expr", [t ** (M - 2), t ** (M / 2), t**b, sp.sqrt(t), t ** (1 - M) * 0 + t ** (3 - M)])
def test_an_exponent_that_is_no_natural_number_is_not_read(expr: Any) -> None:
    with pytest.raises(Untranslatable):
        Translation({**POWERS, t: HALF}).scalar(expr)


def test_a_power_depends_on_no_matrix() -> None:
    """A letter for it could otherwise hide the matrix from a derivative or a substitution."""
    A = sp.MatrixSymbol("A", n, n)
    with pytest.raises(Untranslatable):
        Translation({**POWERS, n: symbols.integers(1)}).scalar((1 / (1 + sp.Trace(A * A.T))) ** M)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_powers_have_their_values(seed: int) -> None:
    """The normal form against sympy, 0^0 = 1 included."""
    rng = random.Random(seed)
    exponents = [M - 1, M, 2 * M - 2, M**2 - M, M + n, n * M, n]
    base = rng.choice([t, M - 1, t - 1, 1 + t**M, n * t, 2 * t**M * b, M, t**n + t])
    expr = rng.choice([base, base + 1]) ** rng.choice(exponents) + rng.randint(-1, 1) * t ** rng.choice(exponents)
    reading = Translation({**POWERS, t: HALF, n: NATURAL})
    poly_ = reading.scalar(expr)
    values = {M: rng.randint(1, 3), t: Q(rng.randint(0, 3), rng.randint(1, 2)), n: rng.randint(0, 2), b: Q(1, 3), s: 1}
    model = complete_model(reading, values)
    assert model is not None
    model.check_shapes(reading.algebra)
    value = sp.Rational(expr.subs(values))
    assert reading.algebra.evaluate(poly_, model) == [[F(int(value.p), int(value.q))]]
    for name in reading.algebra.powers:
        assert model.parameters[name] in reading.algebra.range_of(name)


# ---- the scalar problem: min over x >= 0 of 1/(1 + x^M) + b x, for every integer M >= 1
#
# beta_M = (M-1)^((M-1)/M) / M, that is (M beta_M)^M = (M-1)^(M-1), is where x = 0 stops being the minimiser.

VALUE = 1 / (1 + X) + b * s
THRESHOLD = (M * b) ** M, (M - 1) ** (M - 1)


def above(relation: type[Positive] | type[Nonnegative], value: Any = VALUE) -> tuple[Step, ...]:
    """b (1 + x^M) - x^(M-1) is positive (nonnegative), and so is the value minus one."""
    return scalar_problem.above_threshold(relation, b, s, value)


def test_above_the_threshold_zero_is_the_only_minimiser() -> None:
    """1/(1 + x^M) + b x > 1 for every integer M >= 1, every x > 0 and b > beta_M."""
    steps = above(Positive)
    proof = proves(steps[-1].says, steps[-1].by, {"above": Positive(THRESHOLD[0] - THRESHOLD[1])}, steps[:-1], M=3)
    assert isinstance(proof, Proof), proof
    assert set(proof.report.rules) == {"inverse", "means", "poly", "root"}
    assert not proof.report.conditional_on
    assert not proof.report.assumed_nonzero


def test_a_changed_proof_of_the_threshold_proves_nothing_false() -> None:
    """One token changed in ranges, powers, hypotheses, steps or statement."""
    steps = above(Positive)
    proof = proves(steps[-1].says, steps[-1].by, {"above": Positive(THRESHOLD[0] - THRESHOLD[1])}, steps[:-1], M=3)
    assert isinstance(proof, Proof), proof
    original = json.loads(json.dumps(proof.certificate))
    stated = ("statement", *(("steps", len(original["steps"]) - 1, "statement")))
    accepted = []
    for kind, path, part in mutants(original, list(checker.RULES), count=250, seed=0):
        mutant = changed(original, path, part)
        for one, other in ((stated[:1], stated[1:]), (stated[1:], stated[:1])):
            if path[: len(one)] == one and len(path) > len(one):
                mutant = changed(mutant, (*other, *path[len(one) :]), part)
        try:
            checker.check(mutant)
        except Rejected:
            continue
        accepted.append((kind, path))
        assert true_as_stated(mutant), (kind, path, part)
    assert len(accepted) < 100


def test_at_the_threshold_zero_is_a_minimiser() -> None:
    steps = above(Nonnegative)
    proof = proves(steps[-1].says, steps[-1].by, {"at": Equal(*THRESHOLD)}, steps[:-1], M=2, b=Q(1, 2))
    assert isinstance(proof, Proof), proof


def test_at_the_threshold_there_is_another_minimiser() -> None:
    """At x^M = M - 1 the value is one, as it is at x = 0."""
    steps = (
        Step("powers", Equal((M * b * s) ** M, (M - 1) ** M), "multiply the two hypotheses", Star()),
        Step("line", Equal(M * b * s, M - 1), "M-th roots", Root("powers", M * b * s, M - 1, M)),
        Step("lower", Nonnegative(VALUE - 1), "1/M + (M-1)/M", Poly(using=("line", "other"))),
        Step("upper", Nonnegative(1 - VALUE), "1/M + (M-1)/M", Poly(using=("line", "other"))),
    )
    both = AllOf((Nonnegative(VALUE - 1), Nonnegative(1 - VALUE)))
    hypotheses = {"at": Equal(*THRESHOLD), "other": Equal(X, M - 1)}
    proof = proves(both, Conjunction(("lower", "upper")), hypotheses, steps, M=2, b=Q(1, 2))
    assert isinstance(proof, Proof), proof
    for name, wrong in {"at": Equal(THRESHOLD[0], (M - 1) ** M), "other": Equal(X, M)}.items():
        changed_ = proves(both, Conjunction(("lower", "upper")), hypotheses | {name: wrong}, steps, M=2, b=Q(1, 2))
        assert isinstance(changed_, Failure)


def below(top: Any = M - 1) -> tuple[Step, ...]:
    return (
        Step("powers", Positive((M - 1) ** M - (M * b * s) ** M), "multiply the two hypotheses", Poly(seconds=1.0)),
        Step("line", Positive(M - 1 - M * b * s), "M-th roots", Root("powers", M - 1, M * b * s, M)),
        Step("value", Positive(1 - VALUE), "1/M + (M-1)/M", Poly(seconds=1.0)),
    )


def test_below_the_threshold_zero_is_no_minimiser() -> None:
    """At x^M = M - 1 the value is below one."""
    *steps, last = below()
    hypotheses = {"below": Positive(THRESHOLD[1] - THRESHOLD[0]), "other": Equal(X, M - 1)}
    proof = proves(last.says, last.by, hypotheses, tuple(steps), M=2, b=Q(1, 3))
    assert isinstance(proof, Proof), proof
    for change in (
        {"below": Positive(Q(1001, 1000) * THRESHOLD[1] - THRESHOLD[0])},
        {"below": Nonnegative(THRESHOLD[1] - THRESHOLD[0])},
        {"other": Equal(X, M)},
    ):
        assert isinstance(proves(last.says, last.by, hypotheses | change, tuple(steps), M=2, b=Q(1, 3)), Failure)


OFF = {
    "M for M - 1": (Positive(THRESHOLD[0] - M ** (M - 2 + 1)), VALUE, False),  # a stronger hypothesis: true
    "threshold a thousandth lower": (Positive(Q(1001, 1000) * THRESHOLD[0] - THRESHOLD[1]), VALUE, True),
    "b in place of beta_M": (Nonnegative(THRESHOLD[0] - THRESHOLD[1]), VALUE, True),
    "another power of M - 1": (Positive(THRESHOLD[0] - (M - 1) ** M), VALUE, True),
    "no threshold": (Positive(b), VALUE, True),
    "M + 1 for M": (Positive((M + 1) ** M * b**M - THRESHOLD[1]), VALUE, True),
    "exponent M - 1": (Positive(THRESHOLD[0] - THRESHOLD[1]), 1 / (1 + s ** (M - 1)) + b * s, True),
    "exponent M + 1": (Positive(THRESHOLD[0] - THRESHOLD[1]), 1 / (1 + s ** (M + 1)) + b * s, True),
    "a thousandth more": (Positive(THRESHOLD[0] - THRESHOLD[1]), VALUE - Q(1, 1000), True),
}


@pytest.mark.parametrize("name", OFF)
def test_another_threshold_is_not_proved(name: str) -> None:
    """The same steps fail, and where the statement is false an exact point refutes it."""
    hypothesis, value, false = OFF[name]
    *steps, last = above(Positive, value)
    quick = tuple(
        replace(step_, by=replace(step_.by, seconds=1.0)) if isinstance(step_.by, Poly) else step_ for step_ in steps
    )
    at = {"M": 1, "b": 3}
    if name != "M for M - 1":
        assert isinstance(proves(last.says, replace(last.by, seconds=1.0), {"h": hypothesis}, quick, **at), Failure)
    alone = proves(last.says, Poly(seconds=2.0), {"h": hypothesis}, **at)
    assert isinstance(alone, Failure)
    assert (alone.witness is not None) == false, alone.reason
    if alone.witness is not None:
        point = {v: sp.Rational(alone.witness["parameters"][v.name]) for v in (M, b, s)}
        assert (value - 1).subs(point) <= 0
        assert hypothesis.scalar.subs(point) > 0 or (
            isinstance(hypothesis, Nonnegative) and hypothesis.scalar.subs(point) >= 0
        )


BERNOULLI = (
    Step(
        "means",
        Nonnegative((M - 1) ** (M - 1) * (M - 1 + t**M) ** M - M**M * (M - 1) ** (M - 1) * t**M),
        "The means of M - 1 ones and t^M.",
        WeightedMeans(((M - 1, M - 1), (1, t**M))),
    ),
    Step("powers", Nonnegative((M - 1 + t**M) ** M - (M * t) ** M), "(M-1)^(M-1) is at least 1", Poly()),
    Step("goal", Nonnegative(t**M - 1 - M * (t - 1)), "M-th roots", Root("powers", M - 1 + t**M, M * t, M)),
)


def test_bernoulli() -> None:
    """t^M - 1 >= M (t - 1) for all t >= 0 and every integer M >= 1."""
    ranges = {M: symbols.integers(1), t: HALF}
    *steps, last = BERNOULLI
    assert isinstance(proves(last.says, last.by, {}, tuple(steps), ranges, M=2), Proof)
    for expr in (t**M - 1 - (M - 1) * (t - 1), t**M - 1 - M * (t - 1) - Q(1, 1000), t ** (M - 1) - 1 - M * (t - 1)):
        alone = proves(Nonnegative(expr), Poly(seconds=1.0), {}, (), ranges)
        assert isinstance(alone, Failure)
        assert alone.witness is not None
    assert isinstance(proves(Positive(last.says.scalar), last.by, {}, tuple(steps), ranges), Failure)
    negative = {M: symbols.integers(1), t: Range(F(-4))}
    assert isinstance(proves(last.says, last.by, {}, tuple(steps), negative, t=-3, M=3), Failure)


# ---- the rules by hand


def power(name: str, base: Json, exponent: Json) -> Json:
    return {"name": name, "power_of": base, "exponent": exponent}


ORDER = [["1", {"M": 1}], ["-1", {}]]  # M - 1
AT = {"M": "2", "x": "2", "y": "1"}


def of_powers(
    rule: str, kind: str, goal: Json, ranges: Json = None, model: Json = None, given: Json = None, **data: Json
) -> Json:
    """Letters p = x^(M-1) and q = y^(M-1)."""
    values = AT | (model or {})
    powers = {k: str(F(values[v]) ** (int(values["M"]) - 1)) for k, v in (("p", "x"), ("q", "y"))}
    return certificate(
        step("goal", rule, says(kind, goal), **data),
        parameters={"M": integers(1), "x": reals(0), "y": reals(0)} | (ranges or {}),
        letters=[power("p", of_x, ORDER), power("q", of_y, ORDER)],
        hypotheses=given or {},
        model={"parameters": powers | values, "letters": {}},
    )


def terms(*pairs: tuple[str, Json]) -> Json:
    return {"shape": None, "terms": [[value, mono, [], None] for value, mono in pairs]}


of_x, of_y = terms(("1", {"x": 1})), terms(("1", {"y": 1}))
DIFFERENCE = terms(("1", {"x": 1, "p": 1}), ("-1", {"y": 1, "q": 1}))  # x^M - y^M
LINE = terms(("1", {"x": 1}), ("-1", {"y": 1}))
WHOLE_M, ROOT = [["1", {"M": 1}]], {"larger": of_x, "smaller": of_y, "from": "h"}


def root(kind: str = "positive", source: str = "", ranges: Json = None, model: Json = None, **data: Json) -> Json:
    premise = {"h": says(source or kind, DIFFERENCE)}
    return of_powers("root", kind, LINE, ranges, model, premise, **(ROOT | {"exponent": WHOLE_M} | data))


def test_roots_by_hand() -> None:
    checker.check(root())
    checker.check(root("nonnegative"))
    checker.check(root("zero", model={"x": "1"}))
    checker.check(root(ranges={"y": reals(None)}))


@pytest.mark.parametrize(
    "wrong",
    [
        root(ranges={"x": reals(None)}),  # (-2)^2 > 1
        root("zero", ranges={"y": reals(None)}, model={"x": "1"}),  # 1^2 = (-1)^2
        root(source="nonnegative"),
        root(exponent=ORDER),
        root(exponent=[]),
        root(exponent=[["1/2", {"M": 1}]]),
        root(larger=of_y, smaller=of_x),
        root(ranges={"M": integers(0)}),
        root(**{"from": "other"}),
    ],
)
def test_roots_need_their_side_conditions(wrong: Json) -> None:
    with pytest.raises(Rejected):
        checker.check(wrong)


def means(goal: Json, *pairs: tuple[Json, Json], **more: Json) -> Json:
    return of_powers("means", "nonnegative", goal, means=[{"weight": p, "value": a} for p, a in pairs], **more)


ONE = [["1", {}]]
SQUARE = terms(("1", {"x": 2}), ("-2", {"x": 1, "y": 1}), ("1", {"y": 2}))  # (x + y)^2 - 4 x y


def test_means_by_hand() -> None:
    checker.check(means(SQUARE, (ONE, of_x), (ONE, of_y)))


@pytest.mark.parametrize(
    "wrong",
    [
        means(terms(("1", {"x": 2}), ("-3", {"x": 1, "y": 1}), ("1", {"y": 2})), (ONE, of_x), (ONE, of_y)),
        means(SQUARE, (ONE, of_x), (ONE, of_x)),
        means(SQUARE, (ONE, of_x)),
        means(SQUARE),
        means(SQUARE, (ONE, of_x), (ONE, of_y), ranges={"x": reals(None)}),
        means(SQUARE, ([["1/2", {}]], of_x), (ONE, of_y)),
        means(SQUARE, ([["-1", {}]], of_x), (ONE, of_y)),
        means(SQUARE, ([], of_x), (ONE, of_y)),
        changed(means(SQUARE, (ONE, of_x), (ONE, of_y)), ("steps", 0, "statement", "kind"), "positive"),
    ],
)
def test_means_need_their_side_conditions(wrong: Json) -> None:
    with pytest.raises(Rejected):
        checker.check(wrong)


def test_a_power_is_no_reciprocal() -> None:
    """x x^(M-1) = 1 would prove anything."""
    unit = terms(("1", {"p": 1, "x": 1}), ("-1", {}))
    with pytest.raises(Rejected, match="inverse"):
        checker.check(of_powers("inverse", "zero", unit, {"x": reals(0, open=True)}, letter="p"))


@pytest.mark.parametrize(
    "letter",
    [
        power("r", of_x, [["1", {"M": 1}], ["-2", {}]]),
        power("r", of_x, [["1/2", {"M": 1}]]),
        power("r", of_x, [["1", {"x": 1}]]),
        power("r", terms(("1", {"r": 1})), ORDER),
        power("p", of_x, ORDER),
        power("M", of_x, ORDER),
        power("r", {"shape": [ONE, ONE], "terms": [["1", {}, [], []]]}, ORDER),
        power("r", {"shape": None, "terms": [["1", {}, [["A"]], None]]}, ORDER),
        power("r", of_x, ORDER) | {"inverse_of": of_x},
        power("r", None, ORDER) | {"scalar": True},
    ],
)
def test_declarations_of_powers(letter: Json) -> None:
    wrong = root()
    wrong["letters"] += [{"name": "A", "rows": ONE, "cols": ONE}, letter]
    wrong["model"]["letters"]["A"] = [["1"]]
    wrong["model"]["parameters"].setdefault("r", "1")
    with pytest.raises(Malformed):
        checker.check(wrong)


def test_the_model_gives_powers_their_values() -> None:
    for name, value in (("p", "3"), ("q", "2")):
        with pytest.raises(Rejected, match="is not the power"):
            checker.check(changed(root(), ("model", "parameters", name), value))
    for huge in ("1" * 100, "14001"):
        far = root(model={"M": "2"})
        far["model"]["parameters"]["M"] = huge
        with pytest.raises(Rejected):
            checker.check(far)


# ------------------------------------------------------------------------------------------------------- the solver


def talker(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "status"),
        ("raise SystemExit(3)", "status 3"),
        ("print('sat')", "cannot be read"),
        ("print('[]')", "cannot be read"),
        ('print(\'{"verdict": "sat", "values": {"x": "1/0"}}\')', "cannot be read"),
        ('print(\'{"verdict": "maybe"}\')', "does not know"),
        ("print('[' * 100000)", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_whatever_the_solver_does_is_an_answer(code: str, reason: str) -> None:
    answer = solver.ask("(assert true)" * 10_000, seconds=20, command=talker(code))
    assert answer.verdict == "unknown"
    assert reason in answer.reason


def test_a_solver_that_does_not_start() -> None:
    assert solver.ask("", command=[sys.executable + "-no-such-file"]).verdict == "unknown"


def test_a_solver_that_hangs_is_killed() -> None:
    started = time.perf_counter()
    answer = solver.ask("", seconds=0.5, command=talker("import time; time.sleep(60)"))
    assert time.perf_counter() - started < 30  # without the limit: a minute, and much longer
    assert answer.verdict == "unknown"
    assert "longer than 0.5 s" in answer.reason


# x^3 + y^3 + z^3 = 33 is solved by integers of sixteen digits; z3 does not find them.
CUBES = "".join(f"(declare-const {v} Int)" for v in "xyz") + "(assert (= (+ (* x x x) (* y y y) (* z z z)) 33))"


def test_the_time_limit_is_hard() -> None:
    started = time.perf_counter()
    assert solver.ask(CUBES, seconds=1.0).verdict == "unknown"
    assert time.perf_counter() - started < 30  # without the limit: a minute, and much longer


def test_text_that_is_no_smt_and_too_little_memory() -> None:
    assert solver.ask("(assert", seconds=20).verdict == "unknown"
    assert solver.ask("(assert true)", seconds=20, megabytes=16).verdict == "unknown"


def test_a_dead_solver_leaves_the_question_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception, and neither a proof nor a refutation of what only z3 decides."""
    real, dead = solver.ask, talker("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(solver, "ask", lambda text, seconds, megabytes: real(text, seconds, megabytes, dead))
    found = MOTZKIN.decide(poly.Limits(degree=2, nodes=20))
    assert (found.outcome, found.data, found.witness, found.smtlib) == ("undecided", None, None, None)
    assert "status" in found.reason


def test_z3_is_loaded_in_no_process_of_ours() -> None:
    code = "import sys, tightframe; from tightframe.theory.proof import poly, rules, solver; print('z3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
