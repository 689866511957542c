"""Matrix and trace identities of any size: known theorems get a certificate, slips of the pen never do."""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from sympy.matrices.expressions.special import OneMatrix
from theorems import SIZES, Theorem, assert_controls_fail, assert_proved, draws, m, n, rows
from tightframe.theory.derivation import Step
from tightframe.theory.proof import star
from tightframe.theory.proof.checker import Algebra, Polynomial
from tightframe.theory.proof.rules import Gram, Shift, Square, Star
from tightframe.theory.proof.statement import Equal, Invertible, Positive, PositiveDefinite, PositiveSemidefinite
from tightframe.theory.proof.translation import Translation
from tightframe.theory.symbols import integers, reals

I, J = sp.Identity(n), sp.Identity(m)
A, B = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("B", m, n)
Q, R, T = (sp.MatrixSymbol(name, n, n) for name in "QRT")
P, S = (sp.MatrixSymbol(name, n, n) for name in "PS")
X, Y = sp.MatrixSymbol("X", m, n), sp.MatrixSymbol("Y", m, n)
E = sp.MatrixSymbol("E", m, m)
U, V, M = sp.MatrixSymbol("U", n, m), sp.MatrixSymbol("V", m, n), sp.MatrixSymbol("M", m, m)
lam, mu = sp.Symbol("lambda", nonnegative=True), sp.Symbol("mu", nonnegative=True)
zero = sp.ZeroMatrix
tr = sp.Trace


def penrose(inverse: sp.MatrixSymbol) -> dict[str, Equal]:
    """The four equations that make the symbol the pseudo-inverse of A."""
    return {
        f"A{inverse}A": Equal(A * inverse * A, A),
        f"{inverse}A{inverse}": Equal(inverse * A * inverse, inverse),
        f"A{inverse}": Equal((A * inverse).T, A * inverse),
        f"{inverse}A": Equal((inverse * A).T, inverse * A),
    }


def rank_one(rng: random.Random) -> Mapping[Any, Any]:
    """A = u v', whose pseudo-inverse is v u' / (|u|^2 |v|^2)."""
    u, v = rows(rng, 2, 1), rows(rng, 3, 1)
    u[0][0], v[0][0] = Fraction(1), Fraction(2)
    scale = sum(x[0] ** 2 for x in u) * sum(x[0] ** 2 for x in v)
    inverse = [[y[0] * x[0] / scale for x in u] for y in v]
    return {n: 2, m: 3, A: [[x[0] * y[0] for y in v] for x in u], X: inverse, Y: inverse}


def stationary(rng: random.Random) -> Mapping[Any, Any]:
    """Two layers of width one at a critical point with different weight decays."""
    return {n: 1, m: 1, lam: 1, mu: 4, A: [[Fraction(2)]], B: [[Fraction(1)]], E: [[Fraction(-2)]]}


def orthonormal(rng: random.Random) -> Mapping[Any, Any]:
    half = Fraction(1, 5)
    columns = [[3 * half, -4 * half], [4 * half, 3 * half], [Fraction(0), Fraction(0)]]
    return {n: 3, m: 2, A: columns, R: rows(rng, 3, 3)}


def projection(rng: random.Random) -> Mapping[Any, Any]:
    value = [[Fraction(9, 25), Fraction(12, 25)], [Fraction(12, 25), Fraction(16, 25)]]
    return {n: 2, m: 2, P: value, S: [[1 - value[0][0], -value[0][1]], [-value[1][0], 1 - value[1][1]]]}


def ridge() -> Theorem:
    """(A'A + lambda I)^{-1} A' = A' (A A' + lambda I)^{-1} for lambda > 0."""

    def definite(name: str, matrix: Any, factor: Any, identity: Any) -> tuple[Step, ...]:
        return (
            Step(f"{name} psd", PositiveSemidefinite(matrix), "a square", Gram((Square(1, factor),))),
            Step(
                f"{name} pd", PositiveDefinite(matrix + lam * identity), "shifted", Shift(f"{name} psd", lam, "decay")
            ),
        )

    left, right = (A.T * A + lam * J).inv(), (A * A.T + lam * I).inv()
    return Theorem(
        Equal(left * A.T, A.T * right),
        {"decay": Positive(lam)},
        lambda rng: {**draws(A)(rng), lam: Fraction(1, 2)},
        before=(*definite("inner", A.T * A, A.T, J), *definite("outer", A * A.T, A, I)),
        parameters={**SIZES, lam: reals(0)},
        false={
            "twice the decay": Equal((A.T * A + 2 * lam * J).inv() * A.T, A.T * right),
            "sign": Equal(left * A.T, -A.T * right),
        },
    )


WOODBURY = Theorem(
    Equal(
        (Q + U * M * V).inv(), Q.inv() - Q.inv() * U * (M.inv() + V * Q.inv() * U).inv() * V * Q.inv()
    ),
    {
        "Q": Invertible(Q),
        "M": Invertible(M),
        "sum": Invertible(Q + U * M * V),
        "inner": Invertible(M.inv() + V * Q.inv() * U),
    },
    draws(Q, M, U, V),
    false={
        "sign": Equal((Q + U * M * V).inv(), Q.inv() + Q.inv() * U * (M.inv() + V * Q.inv() * U).inv() * V * Q.inv()),
        "inner not inverted": Equal(
            (Q + U * M * V).inv(), Q.inv() - Q.inv() * U * (M + V * Q.inv() * U).inv() * V * Q.inv()
        ),
    },
)  # fmt: skip

THEOREMS = {
    "traces commute": Theorem(
        Equal(tr(A * B), tr(B * A)),
        sample=draws(A, B),
        false={"sign": Equal(tr(A * B), -tr(B * A)), "transpose": Equal(tr(A * B), tr(B * B.T))},
    ),
    "traces turn": Theorem(
        Equal(tr(Q * R * T), tr(T.T * (Q * R).T)),
        sample=draws(Q, R, T),
        false={"swapped": Equal(tr(Q * R * T), tr(Q * T * R)), "transposed": Equal(tr(Q * R * T), tr(Q.T * R * T))},
    ),
    "push-through": Theorem(
        Equal((I + A * B).inv() * A, A * (J + B * A).inv()),
        {"left": Invertible(I + A * B), "right": Invertible(J + B * A)},
        draws(A, B),
        false={
            "constant": Equal((I + A * B).inv() * A, A * (J + 2 * B * A).inv()),
            "sign": Equal((I + A * B).inv() * A, A * (J - B * A).inv()),
        },
    ),
    "Woodbury": WOODBURY,
    "the pseudo-inverse is unique": Theorem(
        Equal(X, Y), penrose(X) | penrose(Y), rank_one, false={"sign": Equal(X, -Y), "twice": Equal(2 * X, Y)}
    ),
    "ridge": ridge(),
    "balanced layers": Theorem(
        Equal(lam * A * A.T, mu * B.T * B),
        {"first": Equal(B.T * E + lam * A, zero(n, m)), "second": Equal(E * A.T + mu * B, zero(m, n))},
        stationary,
        parameters={**SIZES, lam: reals(0), mu: reals(0)},
        false={
            "decays swapped": Equal(mu * A * A.T, lam * B.T * B),
            "sign": Equal(lam * A * A.T, -mu * B.T * B),
        },
    ),
    "what a projection leaves": Theorem(
        Equal((I - P) * (I - P), I - P),
        {"idempotent": Equal(P * P, P)},
        projection,
        symmetric=(P,),
        false={"sign": Equal((I + P) * (I + P), I + P), "not zero": Equal((I - P) * (I - P), zero(n, n))},
    ),
    "commuting projections": Theorem(
        Equal(P * S * P * S, P * S),
        {"P": Equal(P * P, P), "S": Equal(S * S, S), "commute": Equal(P * S, S * P)},
        projection,
        symmetric=(P, S),
        false={"sum": Equal((P + S) * (P + S), P + 2 * S)},
    ),
    "the trace of an orthonormal frame": Theorem(
        Equal(tr(A * A.T * R) + tr(A * A.T), tr(A.T * R * A) + m),
        {"frame": Equal(A.T * A, J)},
        orthonormal,
        false={"the other size": Equal(tr(A * A.T), n), "not tight": Equal(A * A.T, I)},
    ),
    "a vanishing trace": Theorem(
        Equal(tr(Q) * tr(R), 0),
        {"Q": Equal(tr(Q), 0)},
        lambda rng: {n: 2, m: 2, Q: [[Fraction(1), Fraction(2)], [Fraction(3), Fraction(-1)]], R: rows(rng, 2, 2)},
        false={"product": Equal(tr(Q * R), 0)},
    ),
    "centring": Theorem(
        Equal(S * S, S),
        {"S": Equal(S, I - OneMatrix(n, 1) * OneMatrix(1, n) / n)},
        lambda rng: {n: 2, m: 2, S: [[Fraction(1, 2), Fraction(-1, 2)], [Fraction(-1, 2), Fraction(1, 2)]]},
        symmetric=(S,),
        false={"identity": Equal(S * S, I)},
    ),
}


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem(name: str) -> None:
    assert_proved(THEOREMS[name])


@pytest.mark.parametrize("name", THEOREMS)
def test_negative_controls(name: str) -> None:
    assert_controls_fail(THEOREMS[name])


def test_woodbury_is_quick() -> None:
    assert assert_proved(WOODBURY).seconds < 1


def test_nothing_follows_from_an_unknown_inverse() -> None:
    """X X^{-1} = I is not used as long as nothing says that X is invertible."""
    inverse = (Q + R).inv()  # sympy itself cancels (Q + R)(Q + R)^{-1}, but not term by term
    known = Theorem(Equal(Q * inverse + R * inverse, I), {"sum": Invertible(Q + R)}, draws(Q, R))
    assert_proved(known)
    assert_controls_fail(known)


@settings(max_examples=30)
@given(seed=seeds(), degree=st.integers(1, 2))
def test_members_of_an_ideal_are_found(seed: int, degree: int) -> None:
    """Random combinations of the relations with random cofactors, in a word and inside a trace."""
    rng = random.Random(seed)
    reading = Translation(SIZES, (S,))
    algebra = reading.algebra
    relations = {
        "one": reading.matrix(Q * R - I),
        "two": reading.matrix(S * T - T * S),
    }
    words = [reading.matrix(word) for word in (Q, R, S, T, Q.T, R.T, T.T, I)]
    total = algebra.zero(algebra.symbol("Q").shape)
    for relation in relations.values():
        for _ in range(degree):
            term = algebra.times(algebra.times(rng.choice(words), relation), rng.choice(words))
            total = algebra.plus(total, term, Fraction(rng.randint(1, 5)))
    for claim in (total, algebra.trace(total)):
        assert star.prove_zero(algebra, claim, relations).cofactors is not None
        one = algebra.identity(total.shape[0]) if claim.shape else algebra.scalar({(): Fraction(1)})
        other = star.prove_zero(algebra, algebra.plus(claim, one), relations, star.Limits(seconds=0.2, slack=0))
        assert other.cofactors is None


def test_the_names_of_premises_are_checked() -> None:
    failure = Theorem(Equal(tr(Q), tr(Q)), sample=draws(Q), by=Star(("nothing",))).prove()
    assert "nothing earlier is called 'nothing'" in str(failure)


def shuffling(length: int) -> tuple[Algebra, Polynomial, dict[str, Polynomial]]:
    """Q R = R Q + P and a word of as many R after as many Q: its normal form has ever more terms."""
    translation = Translation({n: integers(1)})
    relation = translation.matrix(Q * R - R * Q - P)
    claim = translation.matrix(sp.MatMul(*([Q] * length), *([R] * length)))
    return translation.algebra, claim, {"commutator": relation}


def test_a_reduction_keeps_its_time() -> None:
    """One normal form that would take far longer than the limit."""
    algebra, claim, relations = shuffling(7)
    found = star.prove_zero(algebra, claim, relations, star.Limits(seconds=0.3))
    assert found.cofactors is None
    assert found.seconds < 1.3


def test_an_elimination_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear system that cannot be solved in the time that is left is not begun."""
    algebra, claim, relations = shuffling(3)
    started = []
    monkeypatch.setattr(star, "_solve", lambda *arguments: started.append(arguments))
    assert star.prove_zero(algebra, claim, relations, star.Limits(seconds=5)).cofactors is None
    assert started
    started.clear()
    monkeypatch.setattr(star, "OPERATIONS", 1.0)
    assert star.prove_zero(algebra, claim, relations, star.Limits(seconds=5)).cofactors is None
    assert not started


def test_what_is_known_of_relations_serves_the_next_claim() -> None:
    """The same answer with kept completions as without; other relations under the same names are not confused."""
    algebra, claim, relations = shuffling(2)
    kept: star.Completions = {}
    product = algebra.times(relations["commutator"], claim)
    for _ in range(2):
        found = star.prove_zero(algebra, product, relations, completions=kept)
        assert found.cofactors == star.prove_zero(algebra, product, relations).cofactors is not None
    [first] = kept.values()
    other = {"commutator": algebra.plus(relations["commutator"], claim)}
    assert star.prove_zero(algebra, product, other, star.Limits(seconds=0.5), kept).cofactors is None
    assert kept["commutator",] is not first
