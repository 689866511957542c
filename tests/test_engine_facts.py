"""What the installed sympy answers where this code takes care not to ask it, and that our own engine answers rightly.

A test of the first half fails when an upgrade of sympy changes such an answer; its message says what then to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from sympy.matrices.expressions.special import OneMatrix
from test_derivative import SIZES, D, Objective, Q, R, S, T, V, X, objectives
from tightframe.theory.derivation import Derivation, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import derivative
from tightframe.theory.proof.certificate import Values, complete_model
from tightframe.theory.proof.rules import Differentiate
from tightframe.theory.proof.statement import Equal, GradientIs, Invertible, Positive
from tightframe.theory.proof.translation import Translation, Untranslatable
from tightframe.theory.symbols import frobenius_squared, n, p

tr = sp.Trace
E, F, G = (sp.MatrixSymbol(name, n, n) for name in "EFG")
ERRORS = E * X - X
SINGULAR = OneMatrix(n, n)


@dataclass(frozen=True)
class Fact:
    """What sympy answers to a question, what is true, and what to look at when the answer changes."""

    asks: Callable[[], Any]
    answer: Any
    truth: str
    relies: str


DERIVATIVES = "theory/proof/derivative.py exists because of this, and tests/test_derivative.py pins one case more"
CANCELS = "derivations write products with an inverse as sp.MatMul, so that the cancelling is a step of the proof"
TRACES = "Translation puts traces into a normal form under rotation and transposition"
SHAPES = "Translation checks every size itself"

FACTS = {
    "the derivative of a sum of traces": Fact(
        lambda: (tr(D * X) + frobenius_squared(X) / 2).diff(X), sp.ZeroMatrix(n, p), "D^T + X", DERIVATIVES
    ),
    "the gradient of a regularised loss": Fact(
        lambda: (frobenius_squared(ERRORS) / 2 + frobenius_squared(E) / 2).diff(E),
        sp.ZeroMatrix(n, n),
        "(E X - X) X^T + E",
        DERIVATIVES,
    ),
    "the derivative of log det": Fact(
        lambda: sp.log(sp.Determinant(E)).diff(E), sp.ZeroMatrix(n, n), "E^{-T}", DERIVATIVES
    ),
    "the derivative of the exponential of a trace": Fact(
        lambda: sp.exp(tr(E)).diff(E), sp.ZeroMatrix(n, n), "exp(tr E) I", DERIVATIVES
    ),
    "the derivative of a reciprocal": Fact(
        lambda: (1 / (1 + frobenius_squared(X))).diff(X), sp.ZeroMatrix(n, p), "-2 X / (1 + ||X||^2)^2", DERIVATIVES
    ),
    "traces that are equal by turning": Fact(lambda: tr(E * F) == tr(F * E), False, "equal", TRACES),
    "their difference, simplified": Fact(
        lambda: sp.simplify(tr(E * F * G) - tr(F * G * E)) == 0, False, "zero", TRACES
    ),
    "their equality, asked with equals": Fact(lambda: tr(E * F).equals(tr(F * E)), None, "True", TRACES),
    "the trace of a transpose": Fact(lambda: tr(E) == tr(E.T), False, "equal", TRACES),
    "an inverse that nobody knows to exist": Fact(
        lambda: E * E.inv(), sp.Identity(n), "undefined if singular", CANCELS
    ),
    "the inverse of a singular matrix": Fact(
        lambda: SINGULAR * SINGULAR.inv(), sp.Identity(n), "undefined for n > 1", CANCELS
    ),
    "the inverse of a rectangular matrix": Fact(lambda: X * X.inv(), sp.Identity(n), "ill-typed", CANCELS),
    "the inverse of a product": Fact(
        lambda: sp.MatMul(E, F).inv().doit() == sp.MatMul(F.inv(), E.inv()),
        True,
        "F^{-1} E^{-1}, if both exist",
        "a hypothesis on a product of square matrices is written Invertible(sp.MatMul(E, F))",
    ),
    "a product of sizes that do not fit": Fact(lambda: (X * X).shape == X.shape, True, "ill-typed", SHAPES),
    "the trace of a rectangular matrix": Fact(lambda: tr(X).arg, X, "ill-typed", SHAPES),
    "a product of sums": Fact(
        lambda: ((E + F) * (E + F)).expand() == E * E + E * F + F * E + F * F,
        False,
        "equal",
        "Translation multiplies out",
    ),
    "the length of a vector of ones": Fact(
        lambda: (OneMatrix(1, n) * OneMatrix(n, 1)).doit().shape,
        (1, 1),
        "a 1 x 1 matrix, never the scalar n",
        "the checker's normal form takes 1 x 1 factors for scalars and 1'1 for n",
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_sympy_answers(name: str) -> None:
    fact = FACTS[name]
    answer = fact.asks()
    assert answer == fact.answer, (
        f"sympy {sp.__version__} answers {answer} where 1.14.0 answered {fact.answer} (true: {fact.truth}). "
        f"{fact.relies}: see whether that can be simpler now, then change this entry."
    )


def same(left: Any, right: Any) -> bool:
    translation = Translation(SIZES, (S,))
    found = translation.statement(Equal(left, right))
    return not found.target.terms


def test_the_translation_decides_what_sympy_leaves_open() -> None:
    assert same(tr(E * F), tr(F * E))
    assert same(tr(E * F * G), tr(F * G * E))
    assert not same(tr(E * F * G), tr(F * E * G))
    assert same(tr(E), tr(E.T))
    assert same(tr(X * D), tr(X.T * D.T))
    assert same((E + F) * (E + F), E * E + E * F + F * E + F * F)
    assert same(tr(OneMatrix(1, n) * OneMatrix(n, 1)), n)


@pytest.mark.parametrize("expression", [X * X, X.inv(), sp.MatMul(X, X), E.inv() ** sp.Rational(1, 2)], ids=str)
def test_the_translation_refuses_what_sympy_writes(expression: Any) -> None:
    with pytest.raises(Untranslatable):
        Translation(SIZES).matrix(expression)


def test_an_inverse_keeps_its_place_in_the_translation() -> None:
    """Of a product that sympy does not cancel, nothing is left out: that E^{-1} exists is for a hypothesis to say."""
    assert not same(sp.MatMul(E, E.inv()), sp.Identity(n))


# ------------------------------------------------------- the checker's own derivative, which no other code shares


@dataclass(frozen=True)
class ExactObjective(Objective):
    """An objective at values with small denominators, which torch and exact arithmetic read alike.

    Q^T occurs in gradients only: sympy writes it as the inverse of a transpose, another letter, of which a hypothesis
    would have to say that it exists.
    """

    def words(self) -> list[tuple[int, list[list[str]], bool]]:
        return [
            (coefficient, [["Q" if name == "Q'" else name for name in word] for word in words], divided)
            for coefficient, words, divided in super().words()
        ]

    def values(self) -> dict[Any, Any]:
        return {
            symbol: torch.round(4 * value) / 4 if isinstance(value, torch.Tensor) else value
            for symbol, value in super().values().items()
        }

    def exact(self) -> Values:
        return {
            symbol: [[Fraction(x) for x in row] for row in value.tolist()] if isinstance(value, torch.Tensor) else value
            for symbol, value in self.values().items()
        }


def exactly(objective: Objective) -> ExactObjective:
    return ExactObjective(**{name: getattr(objective, name) for name in objective.__dataclass_fields__})


@given(objectives(rational=True).map(exactly))
@settings(max_examples=40)
def test_the_differential_of_the_checker_is_that_of_automatic_differentiation(objective: ExactObjective) -> None:
    translation = Translation(SIZES, (S,))
    algebra, poly = translation.algebra, translation.scalar(objective.expression)
    for symbol in (X, V):
        translation.matrix(symbol)
    slope = algebra.differential(poly, "X", "V")
    model = complete_model(translation, objective.exact())
    if model is None:  # a singular inverse
        return
    values = objective.values()
    x = values[X].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective.numeric(x) + 0 * x.sum(), x)
    expected = float((gradient * values[V]).sum())
    found = float(algebra.evaluate(slope, model)[0][0])
    assert abs(found - expected) <= 1e-8 * (1 + float(gradient.abs().sum()) * float(values[V].abs().max()))


INVERSES = (R.arg, Q.arg, T.arg)
BOTTOM = 1 + frobenius_squared(X)


@given(objectives(rational=True).map(exactly))
@settings(max_examples=25)
def test_a_computed_gradient_is_a_step(objective: ExactObjective) -> None:
    """The gradient of theory/proof/derivative.py, judged by the derivative that the checker computes for itself."""
    expression, values = objective.expression, objective.exact()
    translation = Translation(SIZES, (S,))
    for inner in INVERSES:
        translation.matrix(inner.inv())
    if complete_model(translation, values) is None:  # a singular inverse
        return
    known = [Hypothesis(f"inverse {i}", Invertible(inner), "exists") for i, inner in enumerate(INVERSES)]
    known.append(Hypothesis("divisor", Positive(BOTTOM), "a sum of squares"))
    where = Setting(SIZES, tuple(known), lambda rng: values, (S,))
    claimed = GradientIs(expression, X, derivative.gradient(expression, X, SIZES, (S,)))
    proof = Derivation("gradient", where, (Step("gradient", claimed, "differentiate", Differentiate()),)).prove()
    assert isinstance(proof, Proof), proof


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gradient_of_a_reciprocal_is_a_step(sign: int) -> None:
    known = Hypothesis("defined", Positive(BOTTOM), "the reciprocal exists")
    where = Setting(SIZES, (known,), lambda rng: {n: 1, p: 2, X: [[1, 2]]})
    claimed = GradientIs(1 / BOTTOM, X, -2 * sign * X / BOTTOM**2)
    found = Derivation("gradient", where, (Step("gradient", claimed, "differentiate", Differentiate()),)).prove()
    assert isinstance(found, Proof) == (sign == 1), found
