"""Frames of C columns in R^p: simplex ETF, orthogonal (OF), general orthogonal (GOF), as exact matrix expressions.

With S = I - 11^T/C, the projection that subtracts the mean of the columns, and orthonormal columns U,

    simplex ETF  sqrt(C/(C-1)) U S    Gram matrix C/(C-1) S: unit columns with inner products -1/(C-1)
    OF           U                    Gram matrix I
    GOF          U diag(l)            Gram matrix diag(l)^2

(Papyan, Han & Donoho 2020; dang2023 and garrod2025 write K for C). The root of C/(C-1) is irrational, so it is put
into U here: U S with U^T U = b I, b = C/(C-1), says the same without a root, and has exact examples for every C. So a
simplex ETF is an orthogonal frame minus the mean of its columns.

In dimension p = C - 1 there is a simplex ETF but no such U. What follows from the Gram matrix alone is therefore
stated for :func:`with_gram_matrix`, any columns with that Gram matrix.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values, complete_model
from .proof.rules import Conjunction, NormZero, Square, Star
from .proof.statement import AllOf, Equal
from .proof.translation import Translation
from .statistics import Rows, random_matrix
from .symbols import C, frobenius_squared, integers, ones, ones_row, p, reals

squared_length = sp.Symbol("c", real=True, positive=True)
q = sp.Symbol("q", integer=True, positive=True)


@dataclass(frozen=True)
class Frame:
    """C columns in R^p, their Gram matrix, and what is assumed of the symbols in them.

    ``bound`` is b where F F^T is b times a projection, of rank ``rank`` (a tight frame of its span), else ``None``.
    ``example`` is an expression in U and l that has the Gram matrix.
    """

    name: str
    columns: MatrixExpr
    gram: MatrixExpr
    bound: sp.Expr | None
    rank: sp.Expr | None
    hypotheses: tuple[Hypothesis, ...]
    example: MatrixExpr

    @property
    def operator(self) -> MatrixExpr:
        """The frame operator F F^T, p x p."""
        return self.columns * self.columns.T


def partial_isometry() -> sp.MatrixSymbol:
    """U, p x C; that its columns are orthogonal, and their length, is a hypothesis."""
    return sp.MatrixSymbol("U", p, C)


def lengths() -> sp.MatrixSymbol:
    """l, the lengths of the columns of a general orthogonal frame, as a column."""
    return sp.MatrixSymbol("l", C, 1)


def free_columns() -> sp.MatrixSymbol:
    """F, any p x C matrix."""
    return sp.MatrixSymbol("F", p, C)


def centring() -> MatrixExpr:
    """S = I - 11^T/C: F S is F minus the mean of its columns."""
    return sp.Identity(C) - ones(C) * ones_row(C) / C


def orthogonal_columns(squared: sp.Expr) -> Hypothesis:
    """U^T U = b I, b the squared length of every column."""
    isometry = partial_isometry()
    says = "the columns of U are orthogonal and have one length"
    return Hypothesis("orthogonal columns", Equal(isometry.T * isometry, squared * sp.Identity(C)), says)


def simplex_etf(squared: sp.Expr = sp.S.One) -> Frame:
    """The simplex ETF U S, U^T U = b I with b = ``squared`` C/(C-1), for columns of that squared length.

    Examples:
        >>> simplex_etf().bound
        C/(C - 1)
    """
    columns, bound = partial_isometry() * centring(), squared * C / (C - 1)
    return Frame("simplex ETF", columns, bound * centring(), bound, C - 1, (orthogonal_columns(bound),), columns)


def orthogonal_frame(squared: sp.Expr = sp.S.One) -> Frame:
    """The orthogonal frame U, with columns of the given squared length."""
    columns = partial_isometry()
    return Frame(
        "orthogonal frame", columns, squared * sp.Identity(C), squared, C, (orthogonal_columns(squared),), columns
    )


def general_orthogonal_frame() -> Frame:
    """The general orthogonal frame U diag(l) with orthonormal U; a length may be zero."""
    columns = partial_isometry() * DiagMatrix(lengths())
    gram = DiagMatrix(lengths()) ** 2
    return Frame("general orthogonal frame", columns, gram, None, None, (orthogonal_columns(sp.S.One),), columns)


def with_gram_matrix(frame: Frame) -> Frame:
    """Any columns F with the Gram matrix of ``frame``, in any dimension in which there are some."""
    columns = free_columns()
    says = f"F has the Gram matrix of a {frame.name}"
    hypothesis = Hypothesis("Gram matrix of F", Equal(columns.T * columns, frame.gram), says)
    return Frame(frame.name, columns, frame.gram, frame.bound, frame.rank, (hypothesis,), frame.example)


# ------------------------------------------------------------------------------------------ settings and examples


def setting(frame: Frame) -> Setting:
    """At least two columns, and the hypotheses of the frame; its exact examples have two to four columns."""
    parameters = {C: integers(2), p: integers(1)}
    if frame.bound is not None and squared_length in frame.bound.free_symbols:
        parameters[squared_length] = reals(0, open=True)

    def sample(rng: random.Random) -> Values:
        classes, dim, squared = rng.randint(2, 4), rng.randint(4, 5), Fraction(rng.randint(1, 8), rng.randint(1, 3))
        values: dict[Any, Any] = {
            C: classes,
            p: dim,
            lengths(): [[Fraction(rng.randint(0, 3))] for _ in range(classes)],
        }
        if squared_length in parameters:
            values[squared_length] = squared
        bound = 1 if frame.bound is None else frame.bound.subs({C: classes, squared_length: sp.Rational(squared)})
        values[partial_isometry()] = random_orthogonal(rng, dim, classes, Fraction(str(bound)))
        translation = Translation(parameters)
        example = translation.matrix(frame.example)
        model = complete_model(translation, values)
        return values if model is None else values | {free_columns(): translation.algebra.evaluate(example, model)}

    return Setting(parameters, frame.hypotheses, sample)


def four_squares(rng: random.Random, total: int) -> tuple[int, int, int, int]:
    """A random way to write a nonnegative integer as a sum of four squares (Lagrange: there is one)."""

    def ways() -> Iterator[tuple[int, int, int, int]]:
        for a in range(isqrt(total) + 1):
            for b in range(isqrt(total - a * a) + 1):
                for c in range(isqrt(total - a * a - b * b) + 1):
                    d = isqrt(total - a * a - b * b - c * c)
                    if a * a + b * b + c * c + d * d == total:
                        yield a, b, c, d

    return rng.choice(list(ways()))


def random_orthogonal(rng: random.Random, rows: int, columns: int, squared: Fraction) -> Rows:
    """Orthogonal columns of the given squared length, exactly rational: at most four, in at least four rows.

    The matrix of left multiplication by a quaternion a + bi + cj + dk is sqrt(a^2 + b^2 + c^2 + d^2) times orthogonal.
    """
    scale = squared.denominator * rng.randint(1, 4)
    a, b, c, d = (Fraction(x, scale) for x in four_squares(rng, int(squared * scale**2)))
    quaternion = [[a, -b, -c, -d], [b, a, -d, c], [c, d, a, -b], [d, -c, b, a]]
    matrix = quaternion + [[Fraction(0)] * 4 for _ in range(rows - 4)]
    order, signs = rng.sample(range(rows), rows), [rng.choice((1, -1)) for _ in range(rows)]
    return [[signs[i] * x for x in matrix[order[i]][:columns]] for i in range(rows)]


# ---------------------------------------------------------------------------------------------------- derivations


def centring_is_projection() -> Derivation:
    """S^T = S, S^2 = S, S 1 = 0, tr S = C - 1."""
    projection, zero = centring(), sp.ZeroMatrix(C, 1)
    parts = (
        ("symmetric", Equal(sp.Transpose(projection), projection), "I and 11^T are symmetric."),
        ("idempotent", Equal(projection * projection, projection), "1^T 1 = C, so (11^T/C)^2 = 11^T/C."),
        ("kills ones", Equal(projection * ones(C), zero), "S 1 = 1 - 1 (1^T 1)/C = 0."),
        ("rank", Equal(sp.Trace(projection), C - 1), "tr I = C and tr 11^T = 1^T 1 = C; a projection has rank tr S."),
    )
    whole = Step(
        "projection",
        AllOf(tuple(says for _, says, _ in parts)),
        "S is the orthogonal projection onto the vectors of sum zero.",
        Conjunction(tuple(name for name, _, _ in parts)),
    )
    steps = (*(Step(name, says, because, Star()) for name, says, because in parts), whole)
    return Derivation("Subtracting the mean is an orthogonal projection", _sizes(), steps)


def _sizes() -> Setting:
    return Setting({C: integers(2)}, (), lambda rng: {C: rng.randint(2, 5)})


def gram_step(frame: Frame) -> Step:
    """F^T F is the stated Gram matrix."""
    return Step(
        "Gram matrix",
        Equal(frame.columns.T * frame.columns, frame.gram),
        "Put U^T U = b I into F^T F; for a simplex ETF, S U^T U S = b S^2 = b S.",
        Star(),
    )


def gram_matrix(frame: Frame, where: Setting) -> Derivation:
    """F^T F = b S for a simplex ETF, b I for an OF, diag(l)^2 for a GOF."""
    return Derivation(f"The Gram matrix of the {frame.name}", where, (gram_step(frame),))


def angle_step(frame: Frame) -> Step:
    """The Gram matrix of a simplex ETF, entry by entry."""
    bound = sp.S.Zero if frame.bound is None else frame.bound
    every = (1 + 1 / (C - 1)) * sp.Identity(C) - ones(C) * ones_row(C) / (C - 1)
    return Step(
        "lengths and angles",
        Equal(frame.columns.T * frame.columns, bound * (C - 1) / C * every),
        "C/(C-1) (I - 11^T/C) = (1 + 1/(C-1)) I - 11^T/(C-1): ones on the diagonal, -1/(C-1) off it.",
        Star(),
    )


def inner_products(frame: Frame, where: Setting) -> Derivation:
    """Columns of a simplex ETF with b = c C/(C-1) have squared length c and inner products -c/(C-1)."""
    return Derivation("Lengths and angles of the simplex ETF", where, (gram_step(frame), angle_step(frame)))


def _zero_sum_steps(frame: Frame) -> tuple[Step, ...]:
    total = frame.columns * ones(C)
    return (
        gram_step(frame),
        Step(
            "length of the sum",
            Equal(frobenius_squared(total), sp.S.Zero),
            "||F 1||^2 = 1^T F^T F 1 = b 1^T S 1 = 0.",
            Star(),
        ),
        Step(
            "sum",
            Equal(total, sp.ZeroMatrix(p, 1)),
            "A vector of length zero is zero.",
            NormZero("length of the sum", (Square(1, total),)),
        ),
    )


def columns_sum_to_zero(frame: Frame, where: Setting) -> Derivation:
    """F 1 = 0 for a simplex ETF, by its Gram matrix alone."""
    return Derivation("The columns of a simplex ETF sum to zero", where, _zero_sum_steps(frame))


def frame_operator(frame: Frame, where: Setting) -> Derivation:
    """F F^T = U S U^T for a simplex ETF: b times Q S Q^T for orthonormal columns Q = U/sqrt(b)."""
    isometry = partial_isometry()
    return Derivation(
        "The frame operator of the simplex ETF",
        where,
        (
            Step(
                "frame operator",
                Equal(frame.operator, isometry * centring() * isometry.T),
                "F F^T = U S S^T U^T, and S is a projection.",
                Star(),
            ),
        ),
    )


def tight(frame: Frame, where: Setting) -> Derivation:
    """F F^T / b is a projection of rank C - 1 (simplex ETF) or C (OF): the frame is tight in its span."""
    if frame.bound is None or frame.rank is None:
        raise ValueError(f"a {frame.name} need not be tight")
    operator, bound = frame.operator, frame.bound
    centred = frame.rank != C
    squared = "F (F^T F) F^T = b F F^T."
    if centred:
        squared = "F (F^T F) F^T = b F S F^T = b F F^T, because F S = F: the columns sum to zero."
    sizes = "lengths and angles" if centred else "Gram matrix"
    parts = (
        ("symmetric", Equal(sp.Transpose(operator), operator), "F F^T is symmetric.", Star()),
        ("squared operator", Equal(operator * operator, bound * operator), squared, Star()),
        (
            "rank",
            Equal(sp.Trace(operator), bound * frame.rank),
            "tr F F^T = tr F^T F, the sum of the squared lengths; a projection P has rank tr P.",
            Star((sizes,)),
        ),
    )
    whole = Step(
        "tight",
        AllOf(tuple(says for _, says, _, _ in parts)),
        "So P = F F^T / b has P^T = P, P^2 = P and that trace: it is the projection onto the span of the columns.",
        Conjunction(tuple(name for name, _, _, _ in parts)),
    )
    first = (*_zero_sum_steps(frame), angle_step(frame)) if centred else (gram_step(frame),)
    steps = (*first, *(Step(*part) for part in parts), whole)
    return Derivation(f"The {frame.name} is tight", where, steps)


def rotation() -> sp.MatrixSymbol:
    """R, q x p: a change to an orthonormal basis of R^q, q >= p."""
    return sp.MatrixSymbol("R", q, p)


def rotation_setting() -> Setting:
    """Any columns F in R^p, and R^T R = I."""
    orthonormal = Equal(rotation().T * rotation(), sp.Identity(p))
    hypothesis = Hypothesis("orthonormal change of basis", orthonormal, "R has orthonormal columns")

    def sample(rng: random.Random) -> Values:
        classes, dim, rows = rng.randint(2, 4), rng.randint(1, 4), rng.randint(4, 5)
        moved = random_orthogonal(rng, rows, dim, Fraction(1))
        return {C: classes, p: dim, q: rows, free_columns(): random_matrix(rng, dim, classes), rotation(): moved}

    return Setting({C: integers(2), p: integers(1), q: integers(1)}, (hypothesis,), sample)


def rotation_keeps_gram_matrix(where: Setting) -> Derivation:
    """(R F)^T (R F) = F^T F if R^T R = I: an ETF, OF or GOF stays one under a change of orthonormal basis."""
    columns, moved = free_columns(), rotation() * free_columns()
    return Derivation(
        "An orthonormal change of basis keeps the Gram matrix, and so every frame",
        where,
        (
            Step(
                "Gram matrix",
                Equal(moved.T * moved, columns.T * columns),
                "(R F)^T (R F) = F^T R^T R F, and R^T R = I.",
                Star(),
            ),
        ),
    )
