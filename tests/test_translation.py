"""The translation from sympy keeps the value: exact values of the normal form against floating-point ones."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from strategies import seeds
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import OneMatrix
from tightframe.theory.evaluation import evaluate
from tightframe.theory.proof import star
from tightframe.theory.proof.certificate import complete_model
from tightframe.theory.proof.checker import Polynomial
from tightframe.theory.proof.statement import EqualInfima, Identity, Minimum
from tightframe.theory.proof.translation import Translation, Untranslatable
from tightframe.theory.symbols import integers, reals

n, m, k = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "m", "k"))
a, c = sp.Symbol("a", real=True), sp.Symbol("c", positive=True)
A, B = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("B", m, k)
S, X = sp.MatrixSymbol("S", n, n), sp.MatrixSymbol("X", m, m)
w = sp.MatrixSymbol("w", m, 1)
j = sp.Symbol("j", integer=True)
RANGES = {n: integers(1), m: integers(1), k: integers(1), a: reals(-10), c: reals(0, open=True)}
LEAVES = (A, B, S, X, A.T, B.T, X.T, DiagMatrix(w))


def translation() -> Translation:
    return Translation(RANGES, (S,))


def random_square(rng: random.Random, size: sp.Expr, depth: int) -> Any:
    return random_matrix(rng, size, size, depth)


def random_matrix(rng: random.Random, rows: sp.Expr, cols: sp.Expr, depth: int) -> Any:
    """A random matrix expression of the given size."""
    leaves: list[Any] = [leaf for leaf in LEAVES if leaf.shape == (rows, cols)]
    leaves += [sp.Identity(rows)] if rows == cols else []
    leaves += [OneMatrix(rows, 1) * OneMatrix(1, cols)]
    if depth == 0:
        return rng.choice(leaves)
    kind = rng.choice(["leaf", "sum", "product", "product", "scaled", "transpose", "inverse", "power"])
    if kind == "sum":
        return random_matrix(rng, rows, cols, depth - 1) + random_matrix(rng, rows, cols, depth - 1)
    if kind == "product":
        middle = rng.choice([n, m, k])
        return random_matrix(rng, rows, middle, depth - 1) * random_matrix(rng, middle, cols, depth - 1)
    if kind == "scaled":
        return random_scalar(rng, depth - 1) * random_matrix(rng, rows, cols, depth - 1)
    if kind == "transpose":
        return random_matrix(rng, cols, rows, depth - 1).T
    if kind == "inverse" and rows == cols:
        inner = random_matrix(rng, rows, rng.choice([n, m, k]), 0)
        return (inner * inner.T + rng.choice([c, 1, c + 1]) * sp.Identity(rows)).inv()
    if kind == "power" and rows == cols:
        return random_matrix(rng, rows, cols, depth - 1) ** 2
    return rng.choice(leaves)


def random_scalar(rng: random.Random, depth: int) -> Any:
    kind = rng.choice(
        ["number", "parameter", *(["trace"] * 3 + ["sum", "product", "entries", "quotient"]) * (depth > 0)]
    )
    if kind == "trace":
        return sp.Trace(random_square(rng, rng.choice([n, m, k]), depth))
    if kind == "sum":
        return random_scalar(rng, depth - 1) + random_scalar(rng, depth - 1)
    if kind == "product":
        return random_scalar(rng, depth - 1) * random_scalar(rng, depth - 1)
    if kind == "entries":
        return sp.Sum(rng.choice([w[j, 0] ** 2, 1 / (c + w[j, 0] ** 2), a * w[j, 0] + 3]), (j, 0, m - 1))
    if kind == "quotient":
        return random_scalar(rng, depth - 1) / rng.choice([c, n, 1 + c, c**2 + n * m])
    return sp.Rational(rng.randint(-4, 4), rng.randint(1, 3)) if kind == "number" else rng.choice([a, c, n, m])


def random_values(rng: random.Random) -> dict[Any, Any]:
    sizes = {symbol: rng.randint(1, 3) for symbol in (n, m, k)}

    def rows(symbol: sp.MatrixSymbol) -> list[list[Fraction]]:
        height, width = (int(sp.sympify(side).subs(sizes)) for side in symbol.shape)
        return [[Fraction(rng.randint(-3, 3), rng.choice([1, 2])) for _ in range(width)] for _ in range(height)]

    values = sizes | {a: Fraction(rng.randint(-3, 3), 2), c: Fraction(rng.randint(1, 4), 2)}
    values |= {symbol: rows(symbol) for symbol in (A, B, S, X, w)}
    values[S] = [[values[S][min(i, l)][max(i, l)] for l in range(sizes[n])] for i in range(sizes[n])]
    return values


def exact(reading: Translation, poly: Polynomial, values: dict[Any, Any]) -> np.ndarray:
    model = complete_model(reading, values)
    assert model is not None
    return np.array(reading.algebra.evaluate(poly, model), dtype=float)


def floats(values: dict[Any, Any]) -> dict[Any, Any]:
    return {symbol: np.array(value, dtype=float) for symbol, value in values.items()}


def read(reading: Translation, expr: Any) -> Polynomial:
    return reading.matrix(expr) if hasattr(expr, "shape") else reading.scalar(expr)


def random_expression(seed: int) -> Any:
    rng = random.Random(seed)
    if rng.random() < 0.4:
        return random_scalar(rng, 3)
    return random_matrix(rng, rng.choice([n, m, k]), rng.choice([n, m, k]), 3)


@settings(max_examples=150)
@given(seed=seeds())
def test_the_normal_form_has_the_value_of_the_expression(seed: int) -> None:
    expr, values = random_expression(seed), random_values(random.Random(seed))
    reading = translation()
    found = exact(reading, read(reading, expr), values)
    wanted = np.atleast_2d(evaluate(expr, floats(values)))
    assert np.allclose(found, wanted, rtol=1e-8, atol=1e-8 * (1 + np.abs(wanted).max())), expr


def rearranged(expr: Any, rng: random.Random) -> Any:
    """The same value, written otherwise: traces turned and transposed, products multiplied out, double transposes."""
    if not expr.args or isinstance(expr, sp.MatrixSymbol | sp.Sum | DiagMatrix | OneMatrix | sp.Identity | sp.Inverse):
        return expr.T.T if hasattr(expr, "T") and rng.random() < 0.3 else expr
    parts = [rearranged(part, rng) for part in expr.args]
    if isinstance(expr, sp.Trace):
        inner = parts[0]
        if isinstance(inner, sp.MatMul):
            coefficient, factors = inner.as_coeff_matrices()
            turn = rng.randrange(len(factors))
            inner = coefficient * sp.MatMul(*factors[turn:], *factors[:turn])
        return sp.Trace(inner.T if rng.random() < 0.5 else inner)
    if isinstance(expr, sp.MatMul):
        for i, part in enumerate(parts):
            if isinstance(part, sp.MatAdd):
                return sp.MatAdd(*(sp.MatMul(*parts[:i], summand, *parts[i + 1 :]) for summand in part.args))
    if isinstance(expr, sp.MatPow) and expr.exp == 2:
        return sp.MatMul(parts[0], parts[0])
    return expr.func(*parts)


@settings(max_examples=100)
@given(seed=seeds())
def test_star_proves_rearrangements_and_no_perturbation(seed: int) -> None:
    expr = random_expression(seed)
    reading = translation()
    poly, other = read(reading, expr), read(reading, rearranged(expr, random.Random(seed)))
    algebra, limits = reading.algebra, star.Limits(seconds=1.0)
    assert star.prove_zero(algebra, algebra.minus(poly, other), {}, limits).cofactors == {}
    assume(poly.terms)
    for factor in (Fraction(-1001, 1000), Fraction(1)):  # a coefficient, the sign
        changed = algebra.plus(poly, other, factor)
        assert star.prove_zero(algebra, changed, {}, limits).cofactors is None


@settings(max_examples=60)
@given(seed=seeds())
def test_a_false_rotation_is_not_proved(seed: int) -> None:
    """tr(P Q R) = tr(P R Q) only where an exact example agrees."""
    rng = random.Random(seed)
    p, q, r = (random_square(rng, n, 2) for _ in range(3))
    reading = translation()
    difference = reading.scalar(sp.Trace(p * q * r) - sp.Trace(p * r * q))
    proved = star.prove_zero(reading.algebra, difference, {}, star.Limits(seconds=1.0)).cofactors is not None
    for turn in range(3 * proved):
        values = random_values(random.Random(seed + turn))
        assert not exact(reading, difference, values).any()


def test_the_entries_of_a_vector_are_a_trace() -> None:
    reading = translation()
    entries = sp.Sum(1 / (c + w[j, 0] ** 2), (j, 0, m - 1))
    matrix = sp.Trace((c * sp.Identity(m) + DiagMatrix(w) ** 2).inv())
    assert reading.scalar(entries) == reading.scalar(matrix)


# ------------------------------------------------------------------------------------------------ no silent reading

Other, Complex = sp.Symbol("a"), sp.Symbol("z")
UNTRANSLATABLE = {
    "function": sp.sin(a),
    "float": sp.Float(0.5) * a,
    "root": sp.sqrt(c),
    "undeclared symbol": Complex + 1,
    "same name, other assumptions": a + Other,
    "entry": A[0, 0],
    "entrywise product": HadamardProduct(X, X),
    "symbolic power": X**n,
    "determinant": sp.Determinant(X),
    "block": sp.BlockMatrix([[X, X]]),
    "sum over part of a vector": sp.Sum(w[j, 0], (j, 0, m - 2)),
    "sum with the index": sp.Sum(j * w[j, 0], (j, 0, m - 1)),
    "sum of neighbours": sp.Sum(w[j, 0] * w[j + 1, 0], (j, 0, m - 1)),
    "sum over two indices": sp.Sum(w[j, 0], (j, 0, m - 1), (k, 1, 2)),
    "division by zero": 1 / (sp.Trace(A * A.T) - sp.Trace(A.T * A)),
    "trace of a rectangle": sp.Trace(A * B),
    "huge power": sp.Pow(a + c, 5000),
    "size with a trace": sp.Trace(sp.Identity(sp.Symbol("q", integer=True, positive=True))),
    "infinity": sp.oo,
    "truth": sp.true,
}


@pytest.mark.parametrize("name", UNTRANSLATABLE)
def test_what_has_no_reading_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(Untranslatable) as refusal:
        read(translation(), UNTRANSLATABLE[name])
    assert str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["inv1", "ones(n)", "diag(w)", "a"])
def test_symbols_with_names_of_ours_are_not_confused(name: str) -> None:
    """A free matrix called inv1 is not the inverse that the translation calls so, in either order."""
    size = {"ones(n)": (n, 1), "diag(w)": (m, m)}.get(name, (n, n))
    symbol = sp.MatrixSymbol(name, *size)
    ours = {"inv1": S.inv(), "ones(n)": OneMatrix(n, 1), "diag(w)": DiagMatrix(w), "a": a * symbol}[name]
    for first, second in ((symbol, ours), (ours, symbol)):
        reading = Translation(RANGES, (S, sp.MatrixSymbol("diag(w)", m, m)))
        with pytest.raises(Untranslatable):
            [reading.matrix(expr) for expr in (first, second)]


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(Untranslatable):
        Translation({a: reals(0), Other: reals(1)})


def test_a_parameter_called_like_a_reciprocal_is_refused() -> None:
    named = sp.Symbol("rec1", positive=True)
    with pytest.raises(Untranslatable):
        Translation({named: reals(1), c: reals(1)}).scalar(1 / (1 + c) - named)


def test_a_circular_definition_is_refused() -> None:
    first, second = sp.Symbol("first"), sp.Symbol("second")
    with pytest.raises(Untranslatable):
        Translation(RANGES, (), {first: second + 1, second: first - 1}).scalar(first)


def test_a_bound_vector_must_not_hide_in_its_diagonal() -> None:
    """min over w of tr(diag(w)^2) is 0, not whatever diag(w) is."""
    norm = sp.Trace(DiagMatrix(w) ** 2)
    for statement in (Minimum(norm, (w,), (0 * w,), norm), EqualInfima(norm, (w,), norm, (w,))):
        with pytest.raises(Untranslatable):
            translation().statement(statement)


def test_sides_of_different_shape_are_refused() -> None:
    with pytest.raises(Untranslatable):
        translation().statement(Identity(sp.Function("f")(c), c, c))


# ------------------------------------------------------------------------- why sympy's own calculus is never the judge


def test_pinned_sympy_differentiates_sums_of_traces_to_zero() -> None:
    """sympy 1.14: the derivative of a sum of two traces is a silent 0; a version that repairs it fails here."""
    square = sp.MatrixSymbol("Q", n, n)
    assert sp.Trace(square * square.T).diff(square) == 2 * square
    wrong = (sp.Trace(square * square.T) + sp.Trace(square)).diff(square)
    assert isinstance(wrong, sp.ZeroMatrix), f"sympy {sp.__version__} gives {wrong}"


def test_pinned_sympy_does_not_decide_cyclic_traces() -> None:
    first, second, third = (sp.MatrixSymbol(name, n, n) for name in "PQR")
    other = sp.Trace(first * second * third) - sp.Trace(third * second * first)
    same = sp.Trace((first * second).T * third) - sp.Trace(third.T * first * second)
    assert sp.simplify(same) != 0  # zero in truth
    assert vanishes(same)
    assert not vanishes(other)


def vanishes(expr: Any) -> bool:
    return not Translation({n: integers(1)}).scalar(expr).terms
