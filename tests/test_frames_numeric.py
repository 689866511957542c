"""Simulated frames have the Gram matrices that define them, and their deviation is a distance to those."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    assert_close,
    assert_mutants_die,
    deviation_equals_reference,
    deviation_vanishes_on_frame,
    gram_is_diagonal,
    gram_is_etf,
    is_uniform,
    refuses,
)
from strategies import batches, normal_matrix, seeds
from tightframe.numerics import frames
from torch import Tensor

KINDS: tuple[frames.FrameKind, ...] = ("etf", "of", "gof")
LENGTHS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=2, max_size=6).filter(any)


@given(st.integers(2, 7), st.integers(0, 3), seeds(), batches())
def test_simplex_etf_has_its_gram_matrix_from_dimension_k_minus_one_on(
    classes: int, more: int, seed: int, batch: tuple[int, ...]
) -> None:
    frame = frames.simplex_etf(classes, classes - 1 + more, seed, batch)
    assert frame.shape == (*batch, classes - 1 + more, classes)
    gram_is_etf(frame)
    deviation_vanishes_on_frame(frames.frame_deviation, "etf", frame)


@given(LENGTHS, st.integers(0, 3), seeds(), batches())
def test_general_orthogonal_frame_has_the_lengths_asked_for(
    lengths: list[float], more: int, seed: int, batch: tuple[int, ...]
) -> None:
    dimension = sum(length > 0 for length in lengths) + more
    frame = frames.general_orthogonal_frame(lengths, dimension, seed, batch)
    assert frame.shape == (*batch, dimension, len(lengths))
    gram_is_diagonal(frame, lengths)
    deviation_vanishes_on_frame(frames.frame_deviation, "gof", frame)


@given(st.integers(2, 7), st.integers(0, 3), seeds(), batches())
def test_orthogonal_frame_is_orthonormal(classes: int, more: int, seed: int, batch: tuple[int, ...]) -> None:
    frame = frames.orthogonal_frame(classes, classes + more, seed, batch)
    gram_is_diagonal(frame, [1.0] * classes)
    deviation_vanishes_on_frame(frames.frame_deviation, "of", frame)
    deviation_vanishes_on_frame(frames.frame_deviation, "gof", frame)


@given(st.integers(2, 6), st.integers(1, 6), seeds())
@pytest.mark.parametrize("kind", KINDS)
def test_deviation_is_a_distance_between_gram_matrices(
    kind: frames.FrameKind, classes: int, dimension: int, seed: int
) -> None:
    columns = normal_matrix(dimension, classes, seed)
    deviation_equals_reference(frames.frame_deviation, kind, columns)
    rotated = 1e-200 * frames.partial_isometry(dimension, dimension, seed) @ columns
    assert_close(frames.frame_deviation(rotated, kind), frames.frame_deviation(columns, kind))
    batch = torch.stack([columns, columns.flip(-1)])
    assert_close(frames.frame_deviation(batch, kind), frames.frame_deviation(columns, kind).expand(2))


def test_partial_isometry_is_uniform() -> None:
    is_uniform(frames.partial_isometry, 3)


def test_frames_are_functions_of_the_seed() -> None:
    before = torch.random.get_rng_state()
    frame = frames.simplex_etf(4, 5, seed=3)
    assert torch.equal(frame, frames.simplex_etf(4, 5, seed=3))
    assert not torch.equal(frame, frames.simplex_etf(4, 5, seed=4))
    assert_close(frames.simplex_etf(4, 5, seed=3, dtype=torch.float32), frame, rtol=1e-6)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_input_is_refused_in_one_line() -> None:
    refuses(lambda: frames.simplex_etf(1, 3, 0), "expected classes to be an integer >= 2, got 1")
    refuses(lambda: frames.simplex_etf(4, 2, 0), "expected dimension to be an integer >= 3, got 2")
    refuses(lambda: frames.orthogonal_frame(4, 3, 0), "expected rows to be an integer >= 4, got 3")
    refuses(lambda: frames.general_orthogonal_frame([1.0, -1.0], 2, 0), "expected every length")
    refuses(lambda: frames.general_orthogonal_frame([0.0, 0.0], 2, 0), "expected the number of positive lengths")
    refuses(lambda: frames.general_orthogonal_frame([1.0], 2, 0), "expected the number of lengths")
    refuses(lambda: frames.simplex_etf(3, 3, -1), "expected seed to be an integer >= 0")
    refuses(lambda: frames.simplex_etf(3, 3, 0, dtype=torch.int64), "expected dtype float64 or float32")
    refuses(lambda: frames.frame_deviation(torch.zeros(3, 3), "of"), "expected columns that are not all zero")
    refuses(lambda: frames.frame_deviation(torch.ones(3, 1), "of"), "expected the number of columns")
    refuses(lambda: frames.frame_deviation(torch.full((3, 3), torch.nan), "of"), "expected finite columns")
    refuses(lambda: frames.frame_deviation(torch.ones(3, 3), "tight"), "expected kind 'etf', 'of' or 'gof'")


def test_every_law_fails_on_a_mutant() -> None:
    etf, orthogonal = frames.simplex_etf(4, 5, 0), frames.orthogonal_frame(4, 5, 0)
    columns = normal_matrix(3, 4, 0)

    def unsigned(rows: int, columns: int, seed: int, batch: tuple[int, ...]) -> Tensor:
        """QR as it comes, with LAPACK's signs."""
        return torch.linalg.qr(normal_matrix(rows, columns, seed, batch))[0]

    def unnormalised(m: Tensor, kind: str) -> Tensor:
        gram = m.mT @ m
        return (gram - torch.eye(gram.shape[-1], dtype=gram.dtype)).norm()

    def of_rows(m: Tensor, kind: frames.FrameKind) -> Tensor:
        return frames.frame_deviation(m.mT, kind)

    def of_one_kind(m: Tensor, kind: frames.FrameKind) -> Tensor:
        return frames.frame_deviation(m, "of")

    mutants = [
        (gram_is_etf, (orthogonal,)),
        (gram_is_etf, ((3 / 4) ** 0.5 * etf,)),
        (gram_is_diagonal, (etf, [1.0] * 4)),
        (gram_is_diagonal, (orthogonal, [1.0, 1.0, 1.0, 0.0])),
        (is_uniform, (unsigned, 3)),
        (deviation_equals_reference, (unnormalised, "of", columns)),
        (deviation_equals_reference, (of_rows, "of", columns)),
        (deviation_equals_reference, (of_one_kind, "etf", columns)),
        (deviation_equals_reference, (of_one_kind, "gof", columns)),
        (deviation_vanishes_on_frame, (of_one_kind, "etf", etf)),
        (deviation_vanishes_on_frame, (frames.frame_deviation, "etf", orthogonal)),
        (refuses, (lambda: frames.simplex_etf(2, 1, 0), "expected")),
    ]
    assert_mutants_die(globals(), mutants)
