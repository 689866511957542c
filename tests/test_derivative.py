"""Gradients on the checker's polynomials equal automatic differentiation and exact difference quotients.

An objective is drawn as a spec and a seed: words of letters, read once as a sympy expression and once in torch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law
from strategies import normal_matrix, seeds
from sympy.matrices.expressions.diagonal import DiagMatrix
from tightframe.theory import least_squares
from tightframe.theory.derivation import Derivation, Failure, Proof
from tightframe.theory.evaluation import evaluate
from tightframe.theory.proof import derivative
from tightframe.theory.proof.checker import Algebra, Malformed, Model, Polynomial
from tightframe.theory.proof.derivative import NotDifferentiable, directional, gradient, gradient_polynomial
from tightframe.theory.proof.statement import GradientIs
from tightframe.theory.proof.translation import Translation, Untranslatable
from tightframe.theory.symbols import C, N, frobenius_squared, integers, lam, n, ones, ones_row, p, reals
from torch import Tensor

SIZES = {n: integers(1), p: integers(1)}
A, B = sp.MatrixSymbol("A", p, p), sp.MatrixSymbol("B", n, n)
D, S = sp.MatrixSymbol("D", p, n), sp.MatrixSymbol("S", n, n)
V, X = sp.MatrixSymbol("V", n, p), sp.MatrixSymbol("X", n, p)
u, v = sp.MatrixSymbol("u", n, 1), sp.MatrixSymbol("v", p, 1)

# name: rows, columns, expression; R is symmetric, Q is not, T is nested; all exist for every X
R = (X * X.T + sp.Identity(n)).inv()
Q = (X.T * X + sp.Identity(p) + A - A.T).inv()
T = (sp.Identity(p) + X.T * R * X).inv()
POLYNOMIAL = {
    "X": ("n", "p", X),
    "X'": ("p", "n", X.T),
    "A": ("p", "p", A),
    "A'": ("p", "p", A.T),
    "B": ("n", "n", B),
    "B'": ("n", "n", B.T),
    "D": ("p", "n", D),
    "D'": ("n", "p", D.T),
    "S": ("n", "n", S),
    "1": ("n", "n", ones(n) * ones_row(n)),
    "uv": ("n", "p", u * v.T),
}
INVERSES = {"R": ("n", "n", R), "Q": ("p", "p", Q), "Q'": ("p", "p", Q.T), "T": ("p", "p", T)}
LETTERS = POLYNOMIAL | INVERSES
CHANGES = {("n", "p"): ("X", "D'", "uv"), ("p", "n"): ("X'", "D")}


@dataclass(frozen=True)
class Objective:
    """A sum of products of traces of random words; ``rational`` allows inverses and divides by 1 + ||X||_F^2."""

    rows: int
    columns: int
    terms: tuple[int, ...]  # traces in each term
    length: int
    rational: bool
    seed: int

    def words(self) -> list[tuple[int, list[list[str]], bool]]:
        """(coefficient, words under a trace, divided or not) of each term."""
        rng = random.Random(self.seed)
        return [
            (rng.choice((-3, -2, -1, 1, 2, 3)), [self.word(rng) for _ in range(count)], rng.random() < 0.3)
            for count in self.terms
        ]

    def word(self, rng: random.Random) -> list[str]:
        known = LETTERS if self.rational else POLYNOMIAL
        start = here = rng.choice(("n", "p"))
        found: list[str] = []
        for _ in range(rng.randint(1, self.length)):
            found.append(rng.choice([name for name, (rows, _, _) in known.items() if rows == here]))
            here = known[found[-1]][1]
        return found if here == start else [*found, rng.choice(CHANGES[here, start])]

    @property
    def expression(self) -> Any:
        total: Any = sp.S.Zero
        for coefficient, words, divided in self.words():
            traces = [sp.Trace(sp.MatMul(*(LETTERS[name][2] for name in word))) for word in words]
            bottom = 1 + frobenius_squared(X) if divided and self.rational else 1
            total += sp.Rational(coefficient, 2) * sp.Mul(*traces) / bottom
        return total

    def values(self) -> dict[Any, Any]:
        """Values of all symbols, as tensors."""
        shapes = {n: self.rows, p: self.columns}
        found = {
            symbol: 0.7 * normal_matrix(*(shapes.get(size, 1) for size in symbol.shape), self.seed + i)
            for i, symbol in enumerate((A, B, D, S, V, X, u, v))
        }
        found[S] = found[S] + found[S].mT
        return {**shapes, **found}

    def numeric(self, x: Tensor) -> Tensor:
        """The objective in torch: a second reading of the same words."""
        value = self.values()
        identity, one = (torch.eye(size, dtype=x.dtype) for size in (self.rows, self.columns))
        r = torch.linalg.inv(x @ x.mT + identity)
        q = torch.linalg.inv(x.mT @ x + one + value[A] - value[A].mT)
        letters = {
            "X": x,
            "X'": x.mT,
            "R": r,
            "Q": q,
            "Q'": q.mT,
            "T": torch.linalg.inv(one + x.mT @ r @ x),
            "1": torch.ones_like(identity),
            "uv": value[u] @ value[v].mT,
            **{symbol.name: value[symbol] for symbol in (A, B, D, S)},
            **{symbol.name + "'": value[symbol].mT for symbol in (A, B, D)},
        }
        total = torch.zeros((), dtype=x.dtype)
        for coefficient, words, divided in self.words():
            term = torch.tensor(coefficient / 2, dtype=x.dtype)
            for word in words:
                term = term * torch.trace(reduce(torch.matmul, (letters[name] for name in word)))
            total = total + (term / (1 + x.square().sum()) if divided and self.rational else term)
        return total


@st.composite
def objectives(draw: st.DrawFn, rational: bool) -> Objective:
    terms = draw(st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple))
    return Objective(draw(st.integers(1, 3)), draw(st.integers(1, 3)), terms, 4, rational, draw(seeds()))


Gradient = Callable[..., Any]


@law
def equals_autograd(gradient: Gradient, objective: Objective) -> None:
    values = objective.values()
    x = values[X].clone().requires_grad_()
    (expected,) = torch.autograd.grad(objective.numeric(x) + 0 * x.sum(), x)
    found = gradient(objective.expression, X, SIZES, (S,))
    assert_close(torch.as_tensor(evaluate(found, values)), expected)


@law
def second_equals_autograd(second_derivative: Gradient, objective: Objective) -> None:
    """d^2/dt^2 f(X + t V) by differentiating twice in t."""
    values = objective.values()
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(objective.numeric(values[X] + t * values[V]) + t**3, t, create_graph=True)
    (expected,) = torch.autograd.grad(slope, t)
    found = second_derivative(objective.expression, X, V, SIZES, (S,))
    assert_close(torch.as_tensor(evaluate(found, values)), expected)


@law
def equals_difference_quotient(differentiate: Gradient, objective: Objective) -> None:
    """f(X + t V) is a polynomial in t: forward differences give its slope exactly."""
    translation = Translation(SIZES, (S,))
    algebra, poly = translation.algebra, translation.scalar(objective.expression)
    translation.matrix(X)
    rng = random.Random(objective.seed)
    sizes = {n: objective.rows, p: objective.columns}

    def rows(symbol: sp.MatrixSymbol) -> list[list[Fraction]]:
        height, width = (sizes.get(size, 1) for size in symbol.shape)
        return [[Fraction(rng.randint(-4, 4), rng.randint(1, 3)) for _ in range(width)] for _ in range(height)]

    letters = {symbol.name: rows(symbol) for symbol in (A, B, D, V, X, u, v)}
    letters |= {"S": [[Fraction(i + j) for j in range(objective.rows)] for i in range(objective.rows)]}
    letters |= {name: [[Fraction(1)]] * objective.rows for name in algebra.letters if name.startswith("ones")}
    parameters = {"n": Fraction(objective.rows), "p": Fraction(objective.columns)}

    def at(t: int) -> Fraction:
        moved = [
            [x + t * y for x, y in zip(*pair, strict=True)] for pair in zip(letters["X"], letters["V"], strict=True)
        ]
        return algebra.evaluate(poly, Model(parameters, {**letters, "X": moved}))[0][0]

    degree = max((sum(word.count("X") + word.count("X'") for word in words) for _, words, _ in objective.words()))
    differences, slope = [at(t) for t in range(degree + 1)], Fraction(0)
    for k in range(1, degree + 1):
        differences = [b - a for a, b in pairwise(differences)]
        slope += Fraction((-1) ** (k + 1), k) * differences[0]
    found = algebra.evaluate(differentiate(algebra, poly, "X"), Model(parameters, letters))
    products = (g * y for pair in zip(found, letters["V"], strict=True) for g, y in zip(*pair, strict=True))
    assert sum(products, Fraction(0)) == slope


@law
def directional_is_paired_gradient(differentiate: Gradient, objective: Objective) -> None:
    """df(X)[V] = tr(G^T V), as polynomials."""
    translation = Translation(SIZES, (S,))
    algebra, poly = translation.algebra, translation.scalar(objective.expression)
    along = translation.matrix(V)
    translation.matrix(X)
    paired = algebra.trace(algebra.times(algebra.transpose(differentiate(algebra, poly, "X")), along))
    assert directional(algebra, poly, "X", "V") == paired


@given(objectives(rational=True))
@settings(max_examples=60)
def test_gradient_is_that_of_automatic_differentiation(objective: Objective) -> None:
    equals_autograd(gradient, objective)
    directional_is_paired_gradient(gradient_polynomial, objective)


@given(objectives(rational=True))
@settings(max_examples=30)
def test_second_derivative_is_that_of_automatic_differentiation(objective: Objective) -> None:
    second_equals_autograd(derivative.second_derivative, objective)


@given(objectives(rational=False))
@settings(max_examples=60)
def test_gradient_is_an_exact_difference_quotient(objective: Objective) -> None:
    equals_difference_quotient(gradient_polynomial, objective)


def normal_form(expression: Any, sizes: Mapping[Any, Any] = SIZES) -> Polynomial:
    return Translation(sizes, (S,)).matrix(expression)


Z, W = sp.MatrixSymbol("Z", n, n), sp.MatrixSymbol("W", p, n)
H, Y = sp.MatrixSymbol("H", n, C), sp.MatrixSymbol("Y", p, C)
KNOWN = [
    (sp.Trace(D * X), X, D.T),
    (sp.Trace(X.T * D.T), X, D.T),
    (sp.Trace(D * X) + sp.Trace(X * X.T) / 2, X, D.T + X),
    (sp.Trace(X * A * X.T), X, X * (A + A.T)),
    (sp.Trace(X.T * S * X), X, 2 * S * X),
    (sp.Trace(D * X) ** 2, X, 2 * sp.Trace(D * X) * D.T),
    (sp.Trace(X.T * X * X.T * X), X, 4 * X * X.T * X),
    (sp.Trace(Z.inv() * B), Z, sp.MatMul(-1, sp.Transpose(Z.inv()), B.T, sp.Transpose(Z.inv()))),
    (sp.Trace(Z * Z * Z), Z, 3 * (Z * Z).T),
    (1 / (1 + frobenius_squared(X)), X, -2 * (1 + frobenius_squared(X)) ** -2 * X),
    (sp.Trace(u.T * X * v), X, u * v.T),
    (sp.Trace(ones_row(n) * X * v), X, ones(n) * v.T),
    (sp.Trace(u.T * B * u), u, (B + B.T) * u),
    (frobenius_squared(W * H - Y), W, 2 * (W * H - Y) * H.T),
    (frobenius_squared(W * H - Y), H, 2 * W.T * (W * H - Y)),
    (frobenius_squared(X), W, sp.ZeroMatrix(p, n)),
]


@law
def equals_known(gradient: Gradient, expression: Any, variable: sp.MatrixSymbol, expected: Any) -> None:
    sizes = {**SIZES, C: integers(2)}
    translation = Translation(sizes, (S,))
    assert translation.matrix(gradient(expression, variable, sizes, (S,))) == translation.matrix(expected)


@pytest.mark.parametrize(("expression", "variable", "expected"), KNOWN, ids=lambda part: str(part).replace(" ", ""))
def test_gradient_is_the_textbook_formula(expression: Any, variable: sp.MatrixSymbol, expected: Any) -> None:
    equals_known(gradient, expression, variable, expected)


def test_sympy_answers_zero_where_the_gradient_is_not() -> None:
    """Why sympy's derivative is not used (1.14.0): a sum of two traces gets the derivative 0, without a warning."""
    total = sp.Trace(D * X) + sp.Trace(X * X.T) / 2
    assert total.diff(X) == sp.ZeroMatrix(n, p)
    equals_known(gradient, total, X, D.T + X)


def test_abbreviations_are_unfolded() -> None:
    translation = Translation(SIZES)
    algebra, short = translation.algebra, sp.MatrixSymbol("G", n, n)
    written_out = translation.scalar(sp.Trace(X * X.T * B * X * X.T))
    translation.abbreviate(short, X * X.T)
    poly = translation.scalar(sp.Trace(short * B * short))
    expected = gradient_polynomial(algebra, written_out, "X")
    assert algebra.names(poly) > {"G", "X"}
    unfolded = unfold(algebra, gradient_polynomial(algebra, poly, "X"), translation.matrix(X * X.T))
    assert unfolded == expected
    defined = gradient(sp.Trace(short * B * short), X, SIZES, definitions={short: X * X.T})
    assert normal_form(defined) == normal_form((X * X.T * (B + B.T) + (B + B.T) * X * X.T) * X)


def unfold(algebra: Algebra, poly: Polynomial, meaning: Polynomial) -> Polynomial:
    """The polynomial with G written out; it has words only."""
    total = algebra.zero(poly.shape)
    for (_, _, word), value in poly.terms.items():
        factors = [
            meaning if name == "G" else algebra.collect(algebra.ends(name), [(((), (), (name,)), Fraction(1))])
            for name in word or ()
        ]
        total = algebra.plus(total, reduce(algebra.times, factors), value)
    return total


def test_sizes_come_back_as_they_were_written() -> None:
    """1_{C (N - 1)} is read by its printed size, so the gradient must print it the same way."""
    sizes = {C: integers(2), N: integers(2), p: integers(1)}
    wide = sp.MatrixSymbol("X", p, C * (N - 1))
    total = sp.Trace(ones_row(p) * wide * ones(C * (N - 1)))
    translation = Translation(sizes)
    assert translation.matrix(gradient(total, wide, sizes)) == translation.matrix(ones(p) * ones_row(C * (N - 1)))


REFUSED = [
    (lambda: gradient(sp.Trace(S * B), S, SIZES, (S,)), "S is symmetric: a gradient over all matrices is not one"),
    (lambda: gradient(sp.Trace(B), B, SIZES, definitions={B: S}), "B stands for something else"),
    (lambda: gradient(sp.Trace(B), B.T, SIZES), "B.T stands for something else"),
    (lambda: gradient(sp.Trace(DiagMatrix(u) ** 2), u, SIZES), "u occurs as diag(u)"),
    (lambda: derivative.second_derivative(sp.Trace(V * D * X * D), X, V, SIZES), "the direction V occurs"),
    (lambda: derivative.second_derivative(sp.Trace(X * D), X, B, SIZES), "the direction has another shape than X"),
    (lambda: gradient_of_matrix(), "a gradient is taken of a scalar"),
    (lambda: gradient_in_inverse(), "inv1 stands for something else"),
]


def gradient_of_matrix() -> None:
    translation = Translation(SIZES)
    gradient_polynomial(translation.algebra, translation.matrix(X), "X")


def gradient_in_inverse() -> None:
    translation = Translation(SIZES)
    gradient_polynomial(translation.algebra, translation.scalar(sp.Trace((X * D + B).inv())), "inv1")


@pytest.mark.parametrize(("attempt", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_has_no_gradient_is_refused_in_one_line(attempt: Callable[[], Any], message: str) -> None:
    with pytest.raises(NotDifferentiable) as caught:
        attempt()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_expressions_are_refused_by_the_translation() -> None:
    with pytest.raises(Untranslatable):
        gradient(sp.exp(sp.Trace(D * X)), X, SIZES)
    with pytest.raises(Malformed):
        gradient_polynomial(Translation(SIZES).algebra, Polynomial(None, {}), "X")


def test_the_gradient_of_the_loss_is_a_step_that_slips_do_not_pass() -> None:
    """In the least-squares derivations: proved as stated, refuted without 1/n, the decay, or with a wrong factor."""
    problem = least_squares.extended(equal_sizes=False)
    sizes = {C: integers(2), n: integers(2), p: integers(1), lam: reals(0)}
    where = least_squares.setting(problem, sizes, problem.data.hypotheses)
    step = least_squares.stationarity(problem)[0]
    assert isinstance(step.says, GradientIs)
    assert isinstance(Derivation("gradient", where, (step,)).prove(), Proof)
    errors = (problem.classifier * problem.data.features - problem.data.one_hot) * problem.data.features.T
    for slip in (errors + lam * problem.classifier, errors / n, 2 * errors / n + lam * problem.classifier):
        wrong = replace(step, says=replace(step.says, gradient=slip))
        found = Derivation("slip", where, (wrong,)).prove()
        assert isinstance(found, Failure), "proved"
        assert found.witness is not None


# ---- mutants: the rules of differentiation, each broken


DIFFERENTIAL, SLOPE = Algebra.differential, Algebra._slope


def broken(name: str, **methods: Any) -> Any:
    """A function of the module with other rules of differentiation."""

    def call(*arguments: Any) -> Any:
        with mock.patch.multiple(Algebra, **methods):
            return getattr(derivative, name)(*arguments)

    return call


def forgotten_term(self: Any, poly: Polynomial, name: str, direction: str) -> Polynomial:
    """One term of the product rule is left out."""
    found = DIFFERENTIAL(self, poly, name, direction)
    return Polynomial(found.shape, dict(list(found.terms.items())[1:]))


def constant_inverse(self: Any, base: str, name: str, direction: str) -> Polynomial | None:
    return SLOPE(self, base, name, direction) if base == name else None


def positive_inverse(self: Any, base: str, name: str, direction: str) -> Polynomial | None:
    """d(A^{-1}) = + A^{-1} dA A^{-1}."""
    slope = SLOPE(self, base, name, direction)
    inverse = self.letter(base).inverse_of is not None
    return self.minus(self.zero(slope.shape), slope) if inverse and slope is not None else slope


def constant_reciprocal(self: Any, poly: Polynomial, name: str, direction: str) -> Polynomial:
    return DIFFERENTIAL(replace(self, reciprocals={}), poly, name, direction)


def first_term_only(self: Any, poly: Polynomial, name: str, direction: str) -> Polynomial:
    """The derivative of one of several terms."""
    kept = dict(list(poly.terms.items())[:1])
    return DIFFERENTIAL(self, Polynomial(poly.shape, kept), name, direction)


def test_every_law_fails_on_a_mutant() -> None:
    square = Objective(2, 2, (1, 2, 1), 4, rational=True, seed=3)
    polynomial = Objective(2, 2, (1, 2, 1), 4, rational=False, seed=1)
    with_inverse = Objective(2, 2, (1, 2, 2), 4, rational=True, seed=11)
    words = [name for _, words, _ in with_inverse.words() for word in words for name in word]
    assert {"R", "Q", "T"} <= set(words)
    assert any(divided for _, _, divided in with_inverse.words())

    def transposed(*arguments: Any) -> Any:
        return gradient(*arguments).T

    def transposed_polynomial(algebra: Algebra, poly: Polynomial, name: str) -> Polynomial:
        """Forgets the transpose of every word; sizes are equal where it is used."""
        found = gradient_polynomial(algebra, poly, name)
        flipped = algebra.transpose(found)
        return Polynomial(found.shape, flipped.terms)

    def halved(*arguments: Any) -> Any:
        return gradient(*arguments) / 2

    quadratic = (frobenius_squared(X), X, 2 * X)
    mutants = [
        (equals_autograd, (transposed, square)),
        (equals_autograd, (halved, square)),
        (equals_autograd, (broken("gradient", differential=forgotten_term), square)),
        (equals_autograd, (broken("gradient", _slope=constant_inverse), with_inverse)),
        (equals_autograd, (broken("gradient", _slope=positive_inverse), with_inverse)),
        (equals_autograd, (broken("gradient", differential=constant_reciprocal), with_inverse)),
        (equals_autograd, (broken("gradient", differential=first_term_only), square)),
        (equals_autograd, (lambda f, x, *_: f.diff(x), square)),
        (second_equals_autograd, (broken("second_derivative", differential=forgotten_term), square)),
        (second_equals_autograd, (broken("second_derivative", _slope=constant_inverse), with_inverse)),
        (second_equals_autograd, (lambda *a: derivative.second_derivative(*a) / 2, square)),
        (equals_difference_quotient, (transposed_polynomial, polynomial)),
        (equals_difference_quotient, (broken("gradient_polynomial", differential=forgotten_term), polynomial)),
        (equals_difference_quotient, (broken("gradient_polynomial", differential=first_term_only), polynomial)),
        (directional_is_paired_gradient, (broken("gradient_polynomial", differential=forgotten_term), square)),
        (equals_known, (halved, *quadratic)),
        (equals_known, (broken("gradient", differential=forgotten_term), *quadratic)),
        (equals_known, (broken("gradient", _slope=positive_inverse), *KNOWN[7])),
        (equals_known, (broken("gradient", differential=first_term_only), *KNOWN[2])),
        (equals_known, (transposed, sp.Trace(Z * B), Z, B.T)),
    ]
    assert_mutants_die(globals(), mutants)
