"""Hypotheses under the name of a lemma: its instances are recognised, anything stronger is named as an assumption."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from tightframe.papers import registry
from tightframe.papers.draft import Draft
from tightframe.papers.store import shipped_certificate
from tightframe.papers.verification import verify_claim
from tightframe.theory.derivation import Derivation, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker
from tightframe.theory.proof.rules import Star
from tightframe.theory.proof.statement import Equal, Invertible, PositiveDefinite, Statement
from tightframe.theory.symbols import integers

SVD, ROOT = "singular value decomposition", "positive definite square root"
a, c, r = (sp.Symbol(name, integer=True, positive=True) for name in "acr")
SIZES = {a: integers(1), c: integers(1), r: integers(1)}
A, B = (sp.MatrixSymbol(name, a, c) for name in "AB")
U, V, G = sp.MatrixSymbol("U", a, r), *(sp.MatrixSymbol(name, c, r) for name in "VG")
D, t = (sp.MatrixSymbol(name, r, r) for name in "Dt")
T, Q = (sp.MatrixSymbol(name, a, a) for name in "TQ")
w, v, z = sp.MatrixSymbol("w", a, c), *(sp.MatrixSymbol(name, c, c) for name in "vz")  # with all singular values
d, e = (sp.MatrixSymbol(name, c, c) for name in "de")
ONE, TURNED = [[1, 0], [0, 1]], [[0, 1], [1, 0]]
EXAMPLE = {w: ONE, v: TURNED, z: ONE, d: ONE, e: ONE}
EXAMPLE |= {A: TURNED, B: ONE, U: ONE, V: TURNED, G: TURNED, D: ONE, t: ONE, T: ONE, Q: ONE}
square = sp.Trace(A.T * A)


def under(lemma: str | None = SVD, **says: Statement) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(name, statement, "", lemma) for name, statement in says.items())


def unit(matrix: Any) -> Equal:
    return Equal(matrix.T * matrix, sp.Identity(matrix.shape[1]))


PARTS = under(decomposition=Equal(A, U * D * V.T), left=unit(U), right=unit(V))


def report(
    hypotheses: tuple[Hypothesis, ...], left: Any, right: Any, ranges: Mapping[Any, Any] = SIZES
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lemmas and the assumptions of a proof of left = right; all sizes of its model are 2."""
    values = {symbol: [[Fraction(x) for x in row] for row in rows] for symbol, rows in EXAMPLE.items()}
    where = Setting(ranges, hypotheses, lambda rng: {a: 2, c: 2, r: 2, **values}, (D, t, T, d, e))
    found = Derivation("", where, (Step("claim", Equal(left, right), "", Star()),)).prove()
    assert isinstance(found, Proof), found
    return found.report.conditional_on, found.report.assumptions


THIN = under(decomposition=Equal(A, w * d * v.T), left=unit(w), right=unit(v))


def thin(hypotheses: tuple[Hypothesis, ...], left: Any, right: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return report(hypotheses, left, right, {a: SIZES[a], c: SIZES[c]})


def test_a_decomposition_is_an_instance() -> None:
    assert report(PARTS, square, sp.Trace(D * D)) == ((SVD,), ())
    inverse = under(inverse=Equal(D * t, sp.Identity(r)))
    assert report((*PARTS, *inverse), square + sp.Trace(D * t), sp.Trace(D * D) + r) == ((SVD,), ())
    visible = under(None, positive=Invertible(D))
    assert report((*PARTS, *visible), square, sp.Trace(D * D)) == ((SVD,), ())


@pytest.mark.parametrize(
    ("says", "left", "right", "lemmas"),
    [
        (Equal(sp.Trace(D), 2), sp.Trace(D), 2, (SVD,)),
        (Equal(D, sp.Identity(r)), sp.Trace(D), r, (SVD,)),
        (Equal(U.T * Q * U, sp.Identity(r)), sp.Trace(U.T * Q * U), r, (SVD,)),
        (Equal(V, G), sp.Trace(V * D * G.T), sp.Trace(G * D * G.T), ()),  # the rank is the number of columns of G
        (unit(G), sp.Trace(G.T * G), r, ()),
    ],
)
def test_a_further_condition_is_an_assumption(says: Statement, left: Any, right: Any, lemmas: tuple[str, ...]) -> None:
    found, assumptions = report((*PARTS, *under(further=says)), square + left, sp.Trace(D * D) + right)
    assert found == lemmas
    assert "further" in assumptions


def test_singular_vectors_of_two_matrices_are_not_the_same() -> None:
    hypotheses = (*THIN, *under(second=Equal(B, w * e * z.T), others=unit(z)))
    found = thin(hypotheses, square + sp.Trace(B.T * B), sp.Trace(d * d) + sp.Trace(e * e))
    assert found == ((SVD,), ("second", "others"))


def test_decompositions_of_no_singular_values_are_none() -> None:
    one = sp.ZeroMatrix(a, c)
    where = Setting(SIZES, under(zero=Equal(A, one)), lambda rng: {a: 2, c: 2, r: 2, A: [[Fraction(0)] * 2] * 2})
    found = Derivation("", where, (Step("claim", Equal(square, 0), "", Star()),)).prove()
    assert isinstance(found, Proof)
    assert (found.report.conditional_on, found.report.conditions) == ((), "unchecked assumption 'zero'")


def test_the_letters_are_new() -> None:
    """Features H = U that a hypothesis of the claim speaks of have no orthonormal columns."""
    critical = under(None, critical=Equal(U.T * Q, U.T))
    lemmas, assumptions = report((*PARTS, *critical), square, sp.Trace(D * D))
    assert (lemmas, assumptions) == ((), ("decomposition", "left", "right"))


def test_the_rank_is_any() -> None:
    """That it is two or more, or the number of columns of another matrix, is an assumption."""
    assert report(PARTS, square, sp.Trace(D * D), {**SIZES, r: integers(2)})[0] == ()
    tied = under(None, tied=unit(G))
    assert report((*PARTS, *tied), square, sp.Trace(D * D))[0] == ()


def test_full_rank_is_an_assumption() -> None:
    """U D V^T of a x c with c columns is any matrix, but with D invertible it has rank c."""
    assert thin(THIN, square, sp.Trace(d * d)) == ((SVD,), ())
    inverse = under(full=Equal(d * e, sp.Identity(c)))
    assert thin((*THIN, *inverse), square + sp.Trace(d * e), sp.Trace(d * d) + c) == ((SVD,), ("full",))


def test_a_square_root_needs_a_positive_definite_matrix() -> None:
    root = under(ROOT, root=Equal(T * Q * Q.T * T, sp.Identity(a)))
    goal = sp.Trace(T * Q * Q.T * T), a
    assert report(root, *goal) == ((), ("root",))
    definite = under(None, definite=PositiveDefinite(Q * Q.T))
    assert report((*root, *definite), *goal) == ((ROOT,), ())
    about_it = under(None, definite=PositiveDefinite(Q * Q.T), small=Equal(T * Q, Q))
    assert report((*root, *about_it), *goal) == ((), ("root",))


def test_a_claim_of_a_user_says_what_it_assumes() -> None:
    paper = Draft("me2027", "Respectable names")
    n = paper.integer("n")
    X = paper.matrix("X", n, n)
    claim = paper.claim(
        "norm",
        "All matrices have norm one",
        Equal(sp.Trace(X.T * X), 1),
        given=[Hypothesis("squares of gaps", Equal(sp.Trace(X.T * X), 1), "a decomposition", SVD)],
        examples=lambda rng, values: {X: [[int(i == j == 0) for j in range(values[n])] for i in range(values[n])]},
    )
    told = verify_claim(claim, None, 0).verdict_text()
    assert told == "proved (conditional on unchecked assumption 'squares of gaps')"
    other = paper.claim(
        "minimum",
        "The same under another name",
        Equal(sp.Trace(X.T * X), 1),
        given=[Hypothesis("squares of gaps", Equal(sp.Trace(X.T * X), 1), "", "attained minimum")],
        examples=lambda rng, values: {X: [[int(i == j == 0) for j in range(values[n])] for i in range(values[n])]},
    )
    told = verify_claim(other, None, 0).verdict_text()
    assert told == "proved (conditional on unchecked instances of attained minimum)"


def test_no_shipped_claim_assumes_more_than_its_lemmas() -> None:
    for name in registry.claims():
        certificate = shipped_certificate(name)
        if certificate is not None and any(entry.get("lemma") in checker.SHAPES for entry in certificate["hypotheses"]):
            assert not checker.check(certificate).assumptions, name
