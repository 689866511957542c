"""Batched matrix functions of torch, with the types that torch.linalg leaves out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["eigh", "frobenius_norm", "qr", "singular_values", "svd"]

_linalg: Any = torch.linalg


def frobenius_norm(matrix: Tensor, keepdim: bool = False) -> Tensor:
    """||A||_F (...), or (..., 1, 1) with keepdim; entries whose squares overflow or vanish are safe.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> linalg.frobenius_norm(torch.tensor([[3e-30, 4e-30]]))
    tensor(5.0000e-30)
    """
    largest = matrix.abs().amax(dim=(-2, -1), keepdim=True)
    unit = torch.where(largest > 0, largest, 1)
    norm = (matrix / unit).square().sum(dim=(-2, -1), keepdim=True).sqrt() * unit
    return norm if keepdim else norm[..., 0, 0]


def qr(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A = Q R, reduced; the signs of the columns of Q are LAPACK's."""
    q, r = _linalg.qr(matrix)
    return q, r


def svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A = U diag(s) V^T, reduced: (U, s, V^T) with s (..., min(rows, columns)) descending."""
    u, s, vt = _linalg.svd(matrix, full_matrices=False)
    return u, s, vt


def singular_values(matrix: Tensor) -> Tensor:
    """s (..., min(rows, columns)), descending."""
    s: Tensor = _linalg.svdvals(matrix)
    return s


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A = Q diag(l) Q^T of a symmetric A: (l, Q) with l (..., d) ascending."""
    eigenvalues, basis = _linalg.eigh(matrix)
    return eigenvalues, basis
