"""Every derivation about frames is proved, and what a slip of the pen makes of it is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from tightframe.theory import frames
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.frames import Frame
from tightframe.theory.proof.certificate import Values, binding
from tightframe.theory.proof.checker import matrix_product
from tightframe.theory.proof.rules import Star
from tightframe.theory.proof.statement import Equal
from tightframe.theory.statistics import random_matrix
from tightframe.theory.symbols import C, ones, ones_row, p

c = frames.squared_length
SIMPLEX = (frames.simplex_etf(), frames.simplex_etf(c))
ORTHOGONAL = (frames.orthogonal_frame(), frames.orthogonal_frame(c))
GENERAL = frames.general_orthogonal_frame()


def known_by_gram(given: tuple[Frame, ...]) -> tuple[Frame, ...]:
    return (*given, *(frames.with_gram_matrix(frame) for frame in given))


def about(derive: Callable[[Frame, Setting], Derivation], of: tuple[Frame, ...]) -> list[Derivation]:
    return [derive(frame, frames.setting(frame)) for frame in of]


DERIVATIONS = [
    frames.centring_is_projection(),
    frames.rotation_keeps_gram_matrix(frames.rotation_setting()),
    *about(frames.gram_matrix, (*known_by_gram(SIMPLEX), *known_by_gram(ORTHOGONAL), *known_by_gram((GENERAL,)))),
    *about(frames.inner_products, known_by_gram(SIMPLEX)),
    *about(frames.columns_sum_to_zero, known_by_gram(SIMPLEX)),
    *about(frames.frame_operator, SIMPLEX),
    *about(frames.tight, (*known_by_gram(SIMPLEX), *known_by_gram(ORTHOGONAL))),
]


@pytest.mark.parametrize("derivation", DERIVATIONS, ids=lambda d: d.title.replace(" ", "-"))
def test_derivation_is_proved(derivation: Derivation) -> None:
    proof = derivation.prove()
    assert isinstance(proof, Proof), proof
    assert binding(proof.certificate) == derivation.setting.normal_form(derivation.statement)
    assert set(proof.report.assumed_nonzero) == set()


def test_examples_are_orthogonal_columns_of_the_stated_length() -> None:
    rng = random.Random(0)
    drawn = [frames.setting(frames.simplex_etf()).sample(rng) for _ in range(30)]
    assert {values[C] for values in drawn} == {2, 3, 4}
    for values in drawn:
        isometry = values[frames.partial_isometry()]
        gram = matrix_product([list(row) for row in zip(*isometry, strict=True)], isometry)
        size = sp.Rational(values[C], values[C] - 1)
        assert [[sp.Rational(str(x)) for x in row] for row in gram] == (size * sp.eye(values[C])).tolist()
    assert len({str(values[frames.partial_isometry()]) for values in drawn}) > 20


# ---- negative controls


def without_hypotheses(where: Setting, sample: Callable[[random.Random], Values] | None = None) -> Setting:
    return replace(where, hypotheses=(), sample=where.sample if sample is None else sample)


def any_isometry(rng: random.Random) -> Values:
    """Examples in which U is an arbitrary matrix."""
    values = dict(frames.setting(frames.simplex_etf()).sample(rng))
    return values | {frames.partial_isometry(): random_matrix(rng, values[p], values[C])}


def step(says: Equal) -> Callable[[Frame, Setting], Derivation]:
    return lambda frame, where: Derivation("a slip", where, (Step("slip", says, "it seemed so", Star()),))


etf, free = frames.simplex_etf(), frames.with_gram_matrix(frames.simplex_etf())
where, identity, outer = frames.setting(etf), sp.Identity(C), ones(C) * ones_row(C)
unit_root = frames.setting(frames.simplex_etf((C - 1) / C))  # U^T U = I: the square root is dropped
gram_of_free, F = free.columns.T * free.columns, free.columns
R = frames.rotation()

SLIPS = {
    "C for C - 1 in the angle": step(Equal(gram_of_free, (1 + 1 / C) * identity - outer / C))(
        free, frames.setting(free)
    ),
    "the sign of the angle": step(Equal(gram_of_free, (1 - 1 / (C - 1)) * identity + outer / (C - 1)))(
        free, frames.setting(free)
    ),
    "C - 1 for C in the mean": step(Equal((identity - outer / (C - 1)) ** 2, identity - outer / (C - 1)))(etf, where),
    "C for C - 1 in the rank": step(Equal(sp.Trace(frames.centring()), C))(etf, where),
    "square root dropped: Gram matrix": frames.gram_matrix(etf, unit_root),
    "square root dropped: angles": frames.inner_products(etf, unit_root),
    "square root dropped: frame bound": frames.tight(etf, unit_root),
    "U not orthonormal": frames.gram_matrix(etf, without_hypotheses(where, any_isometry)),
    "U not orthonormal: angles": frames.inner_products(etf, without_hypotheses(where, any_isometry)),
    "R not orthonormal": frames.rotation_keeps_gram_matrix(
        without_hypotheses(
            frames.rotation_setting(),
            lambda rng: {C: 2, p: 2, frames.q: 3, F: random_matrix(rng, 2, 2), R: random_matrix(rng, 3, 2)},
        )
    ),
    "orthogonal columns do not sum to zero": frames.columns_sum_to_zero(
        frames.orthogonal_frame(), frames.setting(frames.orthogonal_frame())
    ),
    "rank C for a simplex ETF": step(Equal(sp.Trace(free.operator), C / (C - 1) * C))(free, frames.setting(free)),
    "unequal lengths are not tight": frames.tight(replace(GENERAL, bound=sp.S.One, rank=C), frames.setting(GENERAL)),
    "lengths not squared": step(Equal(GENERAL.columns.T * GENERAL.columns, DiagMatrix(frames.lengths())))(
        GENERAL, frames.setting(GENERAL)
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_slip_is_refuted_by_an_exact_example(slip: str) -> None:
    found = SLIPS[slip].prove()
    assert isinstance(found, Failure), "proved"
    assert found.witness is not None, found.reason


def test_without_its_hypothesis_a_step_has_no_certificate() -> None:
    """The examples still satisfy the hypothesis, so nothing refutes the step; it stays open."""
    for derivation in (
        frames.gram_matrix(etf, without_hypotheses(where)),
        frames.columns_sum_to_zero(free, without_hypotheses(frames.setting(free))),
        frames.tight(frames.orthogonal_frame(), without_hypotheses(frames.setting(frames.orthogonal_frame()))),
        frames.rotation_keeps_gram_matrix(without_hypotheses(frames.rotation_setting())),
    ):
        found = derivation.prove()
        assert isinstance(found, Failure), "proved"
        assert found.witness is None
        assert "no cofactors found" in found.reason


def test_contradictory_hypotheses_have_no_model() -> None:
    """F^T F = I and F 1 = 0 hold together for no F, and would prove anything."""
    frame = frames.with_gram_matrix(frames.orthogonal_frame())
    zero_sum = Hypothesis("zero sum", Equal(F * ones(C), sp.ZeroMatrix(p, 1)), "the columns sum to zero")
    both = replace(frames.setting(frame), hypotheses=(*frame.hypotheses, zero_sum))
    found = frames.gram_matrix(frame, both).prove()
    assert isinstance(found, Failure), "proved"
    assert "the model does not satisfy hypothesis 'zero sum'" in found.reason


def test_only_tight_frames_have_a_bound() -> None:
    with pytest.raises(ValueError, match="a general orthogonal frame need not be tight"):
        frames.tight(GENERAL, frames.setting(GENERAL))
