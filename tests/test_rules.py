"""Every named rule: a theorem that it proves, and the same with a side condition gone, which it must not prove."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from strategies import seeds
from theorems import SIZES, Theorem, assert_controls_fail, assert_proved, draws, m, n
from tightframe.theory.derivation import Failure, Step
from tightframe.theory.proof.certificate import complete_model
from tightframe.theory.proof.checker import Statement as Normal
from tightframe.theory.proof.refuter import minimum_of_quadratic, quadratic_infimum, true_in
from tightframe.theory.proof.rules import (
    CompletedSquare,
    Conjunction,
    Dominance,
    Gram,
    Let,
    Monotone,
    NormZero,
    Reparametrise,
    Rewrite,
    Shift,
    Square,
    Star,
    Substitute,
)
from tightframe.theory.proof.statement import (
    AllOf,
    AnyOf,
    Equal,
    EqualInfima,
    Increasing,
    Invertible,
    Minimum,
    Nonnegative,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
    Vanishing,
)
from tightframe.theory.proof.translation import Translation
from tightframe.theory.symbols import frobenius_squared, integers, quadratic, reals

I = sp.Identity(n)
A, B, X, Z = (sp.MatrixSymbol(name, n, m) for name in "ABXZ")
Q, R, S, P = (sp.MatrixSymbol(name, n, n) for name in "QRSP")
lam, mu = sp.Symbol("lambda", nonnegative=True), sp.Symbol("mu", positive=True)
w, C = sp.Symbol("w", positive=True), sp.Symbol("C", integer=True, positive=True)
zero, tr = sp.ZeroMatrix, sp.Trace
DECAYS = {**SIZES, lam: reals(0), mu: reals(0, open=True)}
SCALAR = {w: reals(0, open=True), C: integers(2)}


def definite(rng: random.Random) -> Mapping[Any, Any]:
    """S positive definite, P positive semi-definite of rank one, and the rest at random."""
    factor = [[Fraction(1), Fraction(rng.randint(-2, 2))], [Fraction(0), Fraction(2)]]
    square = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in factor] for a in factor]
    flat = [[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]]
    return {**draws(A, B, X, Q, R)(rng), S: square, P: flat, lam: Fraction(0), mu: Fraction(2)}


def silent(rng: random.Random) -> Mapping[Any, Any]:
    """A = 0 and a positive definite S."""
    return {**definite(rng), A: [[Fraction(0)] * 3] * 2, P: [[Fraction(0)] * 2] * 2}


def psd(name: str, matrix: Any, *squares: Square) -> Step:
    return Step(name, PositiveSemidefinite(matrix), "squares", Gram(squares))


def square_of(target: Any, metric: Any = S, weight: Any = 1) -> Any:
    return weight * quadratic(X - target, metric)


THEOREMS = {
    "gram": Theorem(
        PositiveSemidefinite(A * A.T + mu * Q * S * Q.T),
        {"S": PositiveSemidefinite(S)},
        definite,
        Gram((Square(1, A), Square(mu, Q, "S"))),
        parameters=DECAYS,
        symmetric=(S,),
        false={
            "sign": PositiveSemidefinite(A * A.T - mu * Q * S * Q.T),
            "transpose": PositiveSemidefinite(A * A.T + mu * Q * S * Q),
            "definite": PositiveDefinite(A * A.T + mu * Q * S * Q.T),
        },
    ),
    "gram of a trace": Theorem(
        Nonnegative(lam * tr(A * A.T) + tr(Q * S * Q.T)),
        {"S": PositiveSemidefinite(S)},
        definite,
        Gram((Square(lam, A), Square(1, Q, "S"))),
        parameters=DECAYS,
        symmetric=(S,),
        false={
            "positive": Positive(lam * tr(A * A.T) + tr(Q * S * Q.T)),
            "sign": Nonnegative(-lam * tr(A * A.T) + tr(Q * S * Q.T)),
            "not a square": Nonnegative(lam * tr(A * A.T) + tr(Q * S * Q)),
        },
    ),
    "shift by a positive number": Theorem(
        PositiveDefinite(A * A.T + mu * I),
        {},
        definite,
        Shift("gram", mu),
        (psd("gram", A * A.T, Square(1, A)),),
        DECAYS,
        false={"sign": PositiveDefinite(A * A.T - mu * I), "perhaps zero": PositiveDefinite(A * A.T + lam * I)},
    ),
    "shift of an invertible matrix": Theorem(
        PositiveDefinite(A * A.T + lam * I),
        {"well posed": AnyOf((Positive(lam), Invertible(A * A.T)))},
        lambda rng: {**definite(rng), lam: Fraction(1)},
        Shift("gram", lam, "well posed"),
        (psd("gram", A * A.T, Square(1, A)),),
        DECAYS,
        false={"twice": PositiveDefinite(A * A.T + 2 * lam * I)},
    ),
    "rewrite": Theorem(
        PositiveSemidefinite(P),
        {"P": Equal(P, A * A.T)},
        lambda rng: {**silent(rng)},
        Rewrite("square", "same"),
        (psd("square", A * A.T, Square(1, A)), Step("same", Equal(A * A.T, P), "hypothesis", Star())),
        symmetric=(P,),
        false={"sign": PositiveSemidefinite(-P), "definite": PositiveDefinite(P)},
    ),
    "a vanishing norm": Theorem(
        Equal(A, zero(n, m)),
        {"norm": Equal(mu * tr(A * A.T) + tr(A.T * S * A) + lam * tr(B * B.T), 0), "S": PositiveDefinite(S)},
        silent,
        NormZero("norm", (Square(mu, A), Square(1, A.T, "S"), Square(lam, B))),
        parameters=DECAYS,
        symmetric=(S,),
        false={"another letter": Equal(B, zero(n, m)), "trace": Equal(tr(S), 0)},
    ),
    "a vanishing norm in a definite metric": Theorem(
        Equal(A.T, zero(m, n)),
        {"norm": Equal(tr(A.T * S * A), 0), "S": PositiveDefinite(S)},
        silent,
        NormZero("norm", (Square(1, A.T, "S"),)),
        symmetric=(S,),
        false={"transpose": Equal(Q, zero(n, n))},
    ),
    "completed square": Theorem(
        Minimum(quadratic(X.T, S) - 2 * tr(A.T * S * X), (X,), (A,), -quadratic(A.T, S), unique=True),
        {"S": PositiveDefinite(S)},
        definite,
        CompletedSquare("square", (Square(1, X.T - A.T, "S"),)),
        (
            Step(
                "square",
                Equal(quadratic(X.T, S) - 2 * tr(A.T * S * X), quadratic(X.T - A.T, S) - quadratic(A.T, S)),
                "expand",
                Star(),
            ),
        ),
        symmetric=(S,),
        false={
            "value": Minimum(quadratic(X.T, S) - 2 * tr(A.T * S * X), (X,), (A,), -2 * quadratic(A.T, S)),
            "point": Minimum(quadratic(X.T, S) - 2 * tr(A.T * S * X), (X,), (2 * A,), -quadratic(A.T, S)),
            "maximum": Minimum(-quadratic(X.T, S) + 2 * tr(A.T * S * X), (X,), (A,), quadratic(A.T, S)),
            "constant": Minimum(quadratic(X.T, S) - tr(A.T * S * X), (X,), (A,), -quadratic(A.T, S)),
        },
    ),
    "a minimum that is not unique": Theorem(
        Minimum(quadratic(X.T, P), (X,), (A,), tr(A.T * P * A)),
        {"P": PositiveSemidefinite(P), "kernel": Equal(P * A, zero(n, m))},
        lambda rng: {**definite(rng), A: [[Fraction(-2)] * 3, [Fraction(1)] * 3]},
        CompletedSquare("square", (Square(1, X.T - A.T, "P"),)),
        (
            Step(
                "square",
                Equal(quadratic(X.T, P), quadratic(X.T - A.T, P) + tr(A.T * P * A)),
                "P A = 0",
                Star(),
            ),
        ),
        symmetric=(P,),
        false={"unique": Minimum(quadratic(X.T, P), (X,), (A,), tr(A.T * P * A), unique=True)},
    ),
    "change of variables": Theorem(
        EqualInfima(frobenius_squared(Q * X - A), (X,), frobenius_squared(Z - A), (Z,)),
        {"Q": Invertible(Q)},
        lambda rng: {**draws(A, X, Z)(rng), Q: [[Fraction(1), Fraction(2)], [Fraction(1), Fraction(3)]]},
        Reparametrise(((Z, Q * X),), ((X, Q.inv() * Z),)),
        false={
            "constant": EqualInfima(frobenius_squared(Q * X - A) + tr(A * A.T), (X,), frobenius_squared(Z - A), (Z,)),
            "transpose": EqualInfima(frobenius_squared(Q.T * X - 2 * A), (X,), frobenius_squared(Z - A), (Z,)),
        },
    ),
    "substitute": Theorem(
        Equal(tr(A * A.T * R), tr(R * A * A.T)),
        {},
        draws(A, Q, R),
        Substitute("commute", ((Q, A * A.T),)),
        (Step("commute", Equal(tr(Q * R), tr(R * Q)), "turn", Star()),),
        false={"transpose": Equal(tr(A * A.T * R), tr(R.T * R)), "sign": Equal(tr(A * A.T * R), -tr(R * A * A.T))},
    ),
    "conjunction": Theorem(
        AllOf((PositiveSemidefinite(A * A.T), Equal(tr(A * A.T), tr(A.T * A)))),
        {},
        draws(A),
        Conjunction(("gram", "trace")),
        (psd("gram", A * A.T, Square(1, A)), Step("trace", Equal(tr(A * A.T), tr(A.T * A)), "turn", Star())),
        false={"more": AllOf((PositiveSemidefinite(A * A.T), Equal(tr(A * A.T), 0)))},
    ),
    "let": Theorem(
        Nonnegative(tr(A * A.T) + 2 * tr(A * B.T) + tr(B * B.T)),
        {},
        draws(A, B),
        Rewrite("norm", "expanded"),
        (
            Step("Z", Equal(Z, A + B), "one symbol for the sum", Let()),
            Step("norm", Nonnegative(tr(Z * Z.T)), "a square", Gram((Square(1, Z),))),
            Step("expanded", Equal(tr(Z * Z.T), tr(A * A.T) + 2 * tr(A * B.T) + tr(B * B.T)), "expand", Star()),
        ),
        false={"constant": Nonnegative(tr(A * A.T) + 3 * tr(A * B.T) + tr(B * B.T))},
    ),
    "the first integral increases": Theorem(
        Increasing(C**2 * sp.log(w) + C * w**2 + w**4 / 4, w),
        {},
        lambda rng: {w: 1, C: 2},
        Monotone(),
        parameters=SCALAR,
        false={
            "sign": Increasing(C**2 * sp.log(w) - C * w**2 + w**4 / 4, w),
            "falls": Increasing(-(w**2), w),
            "flat": Increasing(C**2 + w - w, w),
            "convex only": Increasing(w**2 - 2 * w, w),
            "pole": Increasing(-1 / (w - 1), w),
        },
    ),
    "a power increases": Theorem(
        Increasing(w ** sp.Symbol("M", integer=True, positive=True), w),
        {},
        lambda rng: {w: 1, sp.Symbol("M", integer=True, positive=True): 2},
        Monotone(),
        parameters={w: reals(0, open=True), sp.Symbol("M", integer=True, positive=True): integers(1)},
        false={"inverse": Increasing(w ** (-sp.Symbol("M", integer=True, positive=True)), w)},
    ),
    "dominance": Theorem(
        Vanishing(C * sp.log(w) ** 3 / w**2 + 1 / sp.log(w), w),
        {},
        lambda rng: {w: 1, C: 2},
        Dominance(),
        parameters=SCALAR,
        false={
            "constant": Vanishing(sp.log(w) / w + C, w),
            "logarithm": Vanishing(sp.log(w) ** 2, w),
            "power": Vanishing(w / sp.log(w) ** 5, w),
            "exponential": Vanishing(sp.exp(-w), w),
            "another variable": Vanishing(1 / C, w),
            "nowhere defined": Vanishing(sp.log(-w) / w**2, w),
            "no sign": Vanishing(1 / (w - C * sp.log(w) * w), w),
        },
    ),
}


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem(name: str) -> None:
    assert_proved(THEOREMS[name])


@pytest.mark.parametrize("name", THEOREMS)
def test_negative_controls(name: str) -> None:
    assert_controls_fail(THEOREMS[name])


def test_the_range_of_the_variable_matters() -> None:
    """w^2 increases on w > 0, on all reals it does not."""
    theorem = Theorem(
        Increasing(w**2, w), sample=lambda rng: {w: 1}, by=Monotone(), parameters={w: reals(0, open=True)}
    )
    assert_proved(theorem)
    for bounds in (reals(-1), replace(reals(0), low=None), integers(1)):
        assert isinstance(replace(theorem, parameters={w: bounds}).prove(), Failure)


def test_a_semidefinite_metric_leaves_the_minimiser_open() -> None:
    """S only semi-definite: still a minimum, no longer the only one; indefinite: no minimum."""
    theorem = THEOREMS["completed square"]
    assert isinstance(theorem.statement, Minimum)
    weaker = replace(theorem, hypotheses={"S": PositiveSemidefinite(S)})
    assert isinstance(weaker.prove(), Failure)
    assert_proved(replace(weaker, statement=replace(theorem.statement, unique=False)))
    assert isinstance(replace(weaker, hypotheses={"S": Invertible(S)}).prove(), Failure)


# --------------------------------------------------------------------------------------------- exact minima, by search


@settings(max_examples=40)
@given(seed=seeds())
def test_infima_of_quadratics(seed: int) -> None:
    """|| Q X B - D ||^2 + tr(E X) ||F||^2 against floating point; unbounded where E has a component to spare."""
    rng = random.Random(seed)
    reading = Translation({n: integers(1), m: integers(1)})
    B_, D, E, F = (sp.MatrixSymbol(name, *shape) for name, shape in
                   (("B", (m, n)), ("D", (n, n)), ("E", (m, n)), ("F", (n, m))))  # fmt: skip
    poly = reading.scalar(frobenius_squared(Q * X * B_ - D) + tr(E * X) * tr(F * F.T))
    values = draws(Q, X, B_, D, E, F, n=2, m=2)(rng)
    if rng.random() < 0.5:
        values = {**values, E: [[Fraction(0)] * 2] * 2}
    model = complete_model(reading, values)
    assert model is not None
    found = quadratic_infimum(reading.algebra, poly, ("X",), model)
    q, b, d, e, f = (np.array(values[symbol], dtype=float) for symbol in (Q, B_, D, E, F))
    linear = np.kron(q, b.T)  # of the rows of X
    slope = e.T.ravel() * (f**2).sum()
    hessian, gradient = 2 * linear.T @ linear, slope - 2 * linear.T @ d.ravel()
    best = np.linalg.lstsq(hessian, -gradient, rcond=None)[0]
    if np.linalg.norm(hessian @ best + gradient) > 1e-6 * (1 + np.linalg.norm(gradient)):
        assert found is None
    else:
        assert found is not None
        value = ((linear @ best - d.ravel()) ** 2).sum() + slope @ best
        assert abs(float(found) - value) < 1e-6 * (1 + abs(value))


def test_products_of_linear_forms_and_infinity() -> None:
    reading = Translation({n: integers(1), m: integers(1)})
    model = complete_model(reading, {n: 1, m: 1, A: [[Fraction(2)]], X: [[Fraction(0)]]})
    assert model is not None
    squared = reading.scalar(tr(A * X.T) ** 2 - 4 * tr(X * A.T))  # 4 x^2 - 8 x
    model = complete_model(reading, {n: 1, m: 1, A: [[Fraction(2)]], X: [[Fraction(0)]]})
    assert model is not None
    assert quadratic_infimum(reading.algebra, squared, ("X",), model) == -4
    assert quadratic_infimum(reading.algebra, reading.scalar(tr(A * X.T)), ("X",), model) is None
    assert minimum_of_quadratic(Fraction(1), [Fraction(0)], [[Fraction(-1)]]) is None
    infima = Normal("equal-infima", squared, over=("X",), other=squared, other_over=("X",))
    assert true_in(infima, reading.algebra, model)
