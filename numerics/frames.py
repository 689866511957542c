"""Frames of K columns in R^d: simplex ETF, orthogonal (OF), general orthogonal (GOF), and distances to them.

A frame here is a matrix (..., d, K) up to rotation, so that its Gram matrix says all: proportional to
I - 11^T/K for the simplex ETF, to I for an OF, to diag(l_1^2, ..., l_K^2) for a GOF of lengths l.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from .linalg import frobenius_norm, qr, row_blocks
from .linalg import gram as gram_of
from .shapes import (
    check_batch,
    check_compatible,
    check_dtype,
    check_finite,
    check_matrix,
    check_scale,
    check_size,
    generator,
    resolve_device,
)

__all__ = [
    "FrameKind",
    "frame_deviation",
    "general_orthogonal_frame",
    "gram_deviation",
    "gram_frame_deviation",
    "orthogonal_frame",
    "partial_isometry",
    "scaled_gram",
    "simplex_etf",
]

FrameKind = Literal["etf", "of", "gof"]


def partial_isometry(
    rows: int,
    columns: int,
    seed: int,
    batch: tuple[int, ...] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """A matrix Q (..., rows, columns) with Q^T Q = I, uniform (Haar) on all such; rows >= columns.

    Drawn on the cpu in float64 and then converted, as `models.FeatureModel.sample` does.
    Raises ValueError if rows < columns.

    >>> import torch
    >>> from tightframe.numerics import frames
    >>> q = frames.partial_isometry(5, 3, seed=0)
    >>> torch.allclose(q.mT @ q, torch.eye(3, dtype=torch.float64))
    True
    """
    check_size("columns", columns)
    check_size("rows", rows, least=columns)
    check_batch(batch)
    check_dtype(dtype)
    target = resolve_device(device)
    normal = torch.randn(*batch, rows, columns, generator=generator(seed), dtype=torch.float64)
    q, r = qr(normal)
    # QR fixes Q up to signs that LAPACK picks; the sign of diag(R) makes the law of Q uniform.
    q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1)).unsqueeze(-2)
    return q.to(device=target, dtype=dtype)


def _orthonormal_complement_of_ones(classes: int) -> Tensor:
    """The Helmert basis V (K, K-1): orthonormal columns, each summing to zero, hence V V^T = I - 11^T/K."""
    index = torch.arange(1, classes, dtype=torch.float64)
    upper = torch.triu(torch.ones(classes, classes - 1, dtype=torch.float64))
    upper[1:, :] -= torch.diag(index)
    return upper / torch.sqrt(index * (index + 1))


def simplex_etf(
    classes: int,
    dimension: int,
    seed: int,
    batch: tuple[int, ...] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """The simplex ETF sqrt(K/(K-1)) U (I - 11^T/K), (..., d, K), with U a random partial isometry.

    Unit columns, pairwise cosines -1/(K-1), columns summing to zero (Papyan, Han & Donoho 2020). d = K - 1 is
    enough: no U has K orthonormal columns then, but only its action on the complement of 1 matters, and that
    is what is drawn.
    Raises ValueError for K < 2 or d < K - 1.

    >>> from tightframe.numerics import frames
    >>> m = frames.simplex_etf(3, 2, seed=0)
    >>> [[round(x, 12) for x in row] for row in (m.mT @ m).tolist()]
    [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]]
    """
    check_size("classes", classes, least=2)
    check_size("dimension", dimension, least=classes - 1)
    q = partial_isometry(dimension, classes - 1, seed, batch, device, dtype)
    basis = _orthonormal_complement_of_ones(classes).to(q)
    return (classes / (classes - 1)) ** 0.5 * q @ basis.mT


def orthogonal_frame(
    classes: int,
    dimension: int,
    seed: int,
    batch: tuple[int, ...] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """K orthonormal columns, (..., d, K); d >= K. Raises ValueError otherwise."""
    check_size("classes", classes, least=2)
    return partial_isometry(dimension, classes, seed, batch, device, dtype)


def general_orthogonal_frame(
    lengths: Sequence[float],
    dimension: int,
    seed: int,
    batch: tuple[int, ...] = (),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Orthogonal columns of the given lengths, (..., d, K).

    A length may be zero; d must be at least the number of positive ones.
    Raises ValueError for K < 2, a negative length, no positive length, or d too small.

    >>> from tightframe.numerics import frames
    >>> m = frames.general_orthogonal_frame([2.0, 0.0, 1.0], dimension=2, seed=0)
    >>> [round(x, 12) for x in (m.mT @ m).diagonal().tolist()]
    [4.0, 0.0, 1.0]
    """
    for length in lengths:
        check_scale("every length", length)
    check_size("the number of lengths", len(lengths), least=2)
    kept = [k for k, length in enumerate(lengths) if length > 0]
    check_size("the number of positive lengths", len(kept))
    q = partial_isometry(dimension, len(kept), seed, batch, device, dtype)
    frame = q.new_zeros(*q.shape[:-1], len(lengths))
    frame[..., kept] = q * q.new_tensor([lengths[k] for k in kept])
    return frame


def frame_deviation(columns: Tensor, kind: FrameKind) -> Tensor:
    """Distance (...) of the columns M (..., d, K) from a frame: || G/||G||_F - F/||F||_F ||_F with G = M^T M.

    F is the Gram matrix of the frame: I - 11^T/K for "etf", I for "of". For "gof", whose lengths are free, it
    is the numerator ||G - diag(G)||_F over the denominator ||G||_F. Free of scale and rotation, zero exactly
    on the frame, at most sqrt(2). The same rule reads a classifier: `frame_deviation(W.mT, kind)`. Raises
    ValueError for K < 2, an unknown kind, NaN, or M = 0.

    >>> from tightframe.numerics import frames
    >>> m = frames.orthogonal_frame(4, 6, seed=0)
    >>> f"{frames.frame_deviation(m, 'of').item():.6f} {frames.frame_deviation(m, 'etf').item():.6f}"
    '0.000000 0.517638'
    """
    if kind not in ("etf", "of", "gof"):
        raise ValueError(f"expected kind 'etf', 'of' or 'gof', got {kind!r}")
    return gram_frame_deviation(scaled_gram(columns)[0], kind)


def gram_frame_deviation(gram: Tensor, kind: FrameKind) -> Tensor:
    """`frame_deviation` from G (..., K, K), or a multiple of it, of which no copy is made."""
    classes = gram.shape[-1]
    size = (classes - (kind == "etf")) ** 0.5  # of the Gram matrix of the frame
    norm = frobenius_norm(gram, keepdim=True)
    norms: list[Tensor] = []
    for rows, block in row_blocks(gram):
        off = block / norm
        if kind == "etf":
            off += 1 / (classes * size)
        square = torch.diagonal(off[..., rows], dim1=-2, dim2=-1)
        if kind == "gof":
            square.zero_()
        else:
            square.sub_(1 / size)
        norms.append(frobenius_norm(off))
    return frobenius_norm(torch.stack(norms, dim=-1).unsqueeze(-1))


def gram_deviation(columns: Tensor, gram: Tensor) -> Tensor:
    """Distance (...) of the columns M (..., d, K) from a geometry: || G/||G||_F - T/||T||_F ||_F, T (..., K, K) given.

    Free of scale and rotation, at most sqrt(2) for a positive semidefinite T. Raises ValueError for other shapes, NaN,
    M = 0 or T = 0.

    >>> import torch
    >>> from tightframe.numerics import frames
    >>> m = frames.general_orthogonal_frame([2.0, 0.0, 1.0], dimension=2, seed=0)
    >>> f"{frames.gram_deviation(m, torch.diag(torch.tensor([8.0, 0.0, 2.0], dtype=torch.float64))).item():.6f}"
    '0.000000'
    """
    measured = scaled_gram(columns)[0]
    measured = measured / frobenius_norm(measured, keepdim=True)
    check_matrix("gram", gram, rows=columns.shape[-1], columns=columns.shape[-1])
    check_finite("gram", gram)
    check_compatible(columns=columns, gram=gram)
    norm = frobenius_norm(gram, keepdim=True)
    if not bool((norm > 0).all()):
        raise ValueError("expected a gram that is not zero")
    return frobenius_norm(measured - gram / norm)


def scaled_gram(columns: Tensor) -> tuple[Tensor, Tensor]:
    """G (..., K, K) and s (..., 1, 1) with M^T M = s^2 G: no entry of M/s is above 1, and squaring twice is safe."""
    check_matrix("columns", columns)
    check_finite("columns", columns)
    check_size("the number of columns", columns.shape[-1], least=2)
    largest = columns.abs().amax(dim=(-2, -1), keepdim=True)
    if not bool((largest > 0).all()):
        raise ValueError("expected columns that are not all zero")
    return gram_of(columns / largest), largest
