"""Simulated frames satisfy the equations of the theory, and the theory's columns are frames to the simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law
from strategies import normal_matrix, seeds
from tightframe.numerics import frames as simulated
from tightframe.theory import frames
from tightframe.theory.derivation import Derivation
from tightframe.theory.evaluation import evaluate
from tightframe.theory.frames import Frame
from tightframe.theory.proof.statement import AllOf, Equal, Statement
from tightframe.theory.symbols import C, p
from torch import Tensor

ETF, OF, GOF = frames.simplex_etf(), frames.orthogonal_frame(), frames.general_orthogonal_frame()
LENGTHS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=2, max_size=6).filter(any)


def assignment(columns: Tensor, lengths: list[float] | None = None) -> dict[Any, Any]:
    values = {p: columns.shape[-2], C: columns.shape[-1], frames.free_columns(): columns}
    return values if lengths is None else {**values, frames.lengths(): np.array(lengths)[:, None]}


def equations(statement: Statement) -> list[Equal]:
    if isinstance(statement, AllOf):
        return [equation for part in statement.parts for equation in equations(part)]
    assert isinstance(statement, Equal)
    return [statement]


@law
def has_gram_matrix(frame: Frame, columns: Tensor, lengths: list[float] | None = None) -> None:
    assert_close(columns.mT @ columns, evaluate(frame.gram, assignment(columns, lengths)))


@law
def equations_hold(derivation: Derivation, columns: Tensor, lengths: list[float] | None = None) -> None:
    """Hypotheses and steps alike, at simulated columns F."""
    values = assignment(columns, lengths)
    statements = [hypothesis.statement for hypothesis in derivation.setting.hypotheses]
    for statement in (*statements, *(step.says for step in derivation.steps)):
        for equation in equations(statement):
            left, right = (torch.as_tensor(evaluate(side, values)) for side in (equation.left, equation.right))
            assert_close(left, right)


@law
def is_frame_to_simulation(
    frame: Frame, kind: simulated.FrameKind, isometry: Tensor, lengths: list[float] | None = None
) -> None:
    """The theory's columns, for a simulated U: no deviation from the frame."""
    values = assignment(isometry, lengths)
    bound = 1.0 if frame.bound is None else float(evaluate(frame.bound, values))
    values[frames.partial_isometry()] = bound**0.5 * isometry
    (hypothesis,) = (equation for given in frame.hypotheses for equation in equations(given.statement))
    assert_close(torch.as_tensor(evaluate(hypothesis.left, values)), evaluate(hypothesis.right, values))
    columns = torch.as_tensor(evaluate(frame.columns, values))
    assert_close(simulated.frame_deviation(columns, kind), 0.0)
    assert_close(columns.mT @ columns, evaluate(frame.gram, values))


def derivation(derive: Callable[..., Derivation], frame: Frame) -> Derivation:
    known = frames.with_gram_matrix(frame)
    return derive(known, frames.setting(known))


SIMPLEX_DERIVATIONS = [
    derivation(derive, ETF)
    for derive in (frames.gram_matrix, frames.inner_products, frames.columns_sum_to_zero, frames.tight)
]
ORTHOGONAL_DERIVATIONS = [derivation(derive, OF) for derive in (frames.gram_matrix, frames.tight)]


@given(st.integers(2, 7), st.integers(0, 3), seeds())
def test_simplex_etf(classes: int, more: int, seed: int) -> None:
    columns = simulated.simplex_etf(classes, classes - 1 + more, seed)  # from dimension K - 1 on
    has_gram_matrix(ETF, columns)
    for known in SIMPLEX_DERIVATIONS:
        equations_hold(known, columns)
    is_frame_to_simulation(ETF, "etf", simulated.partial_isometry(classes + more, classes, seed))


@given(st.integers(2, 7), st.integers(0, 3), seeds())
def test_orthogonal_frame(classes: int, more: int, seed: int) -> None:
    columns = simulated.orthogonal_frame(classes, classes + more, seed)
    has_gram_matrix(OF, columns)
    for known in ORTHOGONAL_DERIVATIONS:
        equations_hold(known, columns)
    is_frame_to_simulation(OF, "of", simulated.partial_isometry(classes + more, classes, seed))


@given(LENGTHS, st.integers(0, 3), seeds())
def test_general_orthogonal_frame(lengths: list[float], more: int, seed: int) -> None:
    columns = simulated.general_orthogonal_frame(lengths, sum(length > 0 for length in lengths) + more, seed)
    has_gram_matrix(GOF, columns, lengths)
    equations_hold(derivation(frames.gram_matrix, GOF), columns, lengths)
    isometry = simulated.partial_isometry(len(lengths) + more, len(lengths), seed)
    is_frame_to_simulation(GOF, "gof", isometry, lengths)


@given(st.integers(1, 5), st.integers(0, 3), seeds())
def test_partial_isometry(columns: int, more: int, seed: int) -> None:
    """The theory's U, of which U^T U = I is assumed, is what the simulation calls by that name."""
    isometry = simulated.partial_isometry(columns + more, columns, seed)
    has_gram_matrix(OF, isometry)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3), seeds())
def test_change_of_basis(dimension: int, classes: int, more: int, seed: int) -> None:
    rotation = simulated.partial_isometry(dimension + more, dimension, seed)
    columns = normal_matrix(dimension, classes, seed)
    known = frames.rotation_keeps_gram_matrix(frames.rotation_setting())
    (hypothesis,) = known.setting.hypotheses
    values = {**assignment(columns), frames.q: dimension + more, frames.rotation(): rotation}
    for statement in (hypothesis.statement, known.statement):
        (equation,) = equations(statement)
        assert_close(torch.as_tensor(evaluate(equation.left, values)), evaluate(equation.right, values))


# name on both sides: the test that compares them; tests/test_statistics_agree.py asks for completeness
COMPARED = {
    "simplex_etf": test_simplex_etf,
    "orthogonal_frame": test_orthogonal_frame,
    "general_orthogonal_frame": test_general_orthogonal_frame,
    "partial_isometry": test_partial_isometry,
}


def test_every_law_fails_on_a_mutant() -> None:
    etf, orthogonal = simulated.simplex_etf(4, 5, 0), simulated.orthogonal_frame(4, 5, 0)
    isometry, anything = simulated.partial_isometry(5, 4, 0), normal_matrix(5, 4, 0)
    lengths = [1.0, 2.0, 0.5, 3.0]
    general = simulated.general_orthogonal_frame(lengths, 5, 0)
    gram, angles, zero_sum, tight = SIMPLEX_DERIVATIONS
    mutants = [
        (has_gram_matrix, (ETF, (3 / 4) ** 0.5 * etf)),  # the factor sqrt(K/(K-1)) dropped
        (has_gram_matrix, (ETF, (5 / 4) ** 0.5 * (3 / 4) ** 0.5 * etf)),  # K/(K-1) read as (K+1)/K
        (has_gram_matrix, (ETF, orthogonal)),
        (has_gram_matrix, (OF, etf)),
        (has_gram_matrix, (GOF, general, [length**0.5 for length in lengths])),
        (has_gram_matrix, (GOF, etf, [1.0] * 4)),
        (equations_hold, (gram, orthogonal)),
        (equations_hold, (angles, (3 / 4) ** 0.5 * etf)),
        (equations_hold, (zero_sum, orthogonal)),
        (equations_hold, (tight, anything)),
        (is_frame_to_simulation, (ETF, "of", isometry)),
        (is_frame_to_simulation, (OF, "etf", isometry)),
        (is_frame_to_simulation, (GOF, "of", isometry, lengths)),
        (is_frame_to_simulation, (ETF, "etf", anything)),
    ]
    assert_mutants_die(globals(), mutants)
