"""Batched matrix functions of torch, with the types that torch.linalg leaves out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "eigenvalues",
    "eigh",
    "frobenius_norm",
    "gram",
    "keep_and_add",
    "one_thread",
    "prepared_product",
    "prepared_residual",
    "prepared_update",
    "product",
    "qr",
    "row_blocks",
    "singular_values",
    "svd",
]

_linalg: Any = torch.linalg

# Where numpy multiplies on the cpu: at most so many products of numbers a matrix, which its OpenBLAS never shares among
# threads. Measured on one core of an AMD EPYC against torch's MKL: stacks of 4 x 4 to 64 x 64 in half the time.
SMALL = 2**18
FEW = 2**12  # numbers, for which two calls of numpy take less than one of torch
# Larger ones it shares among all cores, which collapses where they are busy, unless the environment said one thread.
PINNED = (os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")) == "1"
BLOCK = 128  # columns of A^T A that torch multiplies at once: with few of them half of the work is saved
LARGE = 2**16  # entries of a matrix, from which passes over its memory cost


def frobenius_norm(matrix: Tensor, keepdim: bool = False) -> Tensor:
    """||A||_F (...), or (..., 1, 1) with keepdim; entries whose squares overflow or vanish are safe.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> linalg.frobenius_norm(torch.tensor([[3e-30, 4e-30]]))
    tensor(5.0000e-30)
    """
    if matrix.ndim == 2 and matrix.numel() > LARGE:
        quick = _linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True)
        if 1e-6 < float(quick) < 1e6:
            return quick if keepdim else quick[0, 0]
    largest = matrix.abs().amax(dim=(-2, -1), keepdim=True)
    unit = torch.where(largest > 0, largest, 1)
    norm = (matrix / unit).square().sum(dim=(-2, -1), keepdim=True).sqrt() * unit
    return norm if keepdim else norm[..., 0, 0]


def gram(matrix: Tensor) -> Tensor:
    """A^T A (..., n, n), symmetric up to rounding; of one matrix outside autograd in about half of a product's work.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> linalg.gram(torch.tensor([[1.0, 2.0]]))
    tensor([[1., 2.],
            [2., 4.]])
    """
    if matrix.ndim != 2 or matrix.requires_grad:
        return matrix.mT @ matrix
    if matrix.is_cpu and PINNED:
        columns = matrix.numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # silent, as torch is
            return torch.from_numpy(columns.T @ columns)  # numpy sees that both are one, and calls syrk
    found = matrix.new_empty(matrix.shape[1], matrix.shape[1])
    for start in range(0, matrix.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        torch.mm(matrix[:, block].mT, matrix[:, : start + BLOCK], out=found[block, : start + BLOCK])
        found[:start, block] = found[block, :start].mT
    return found


def row_blocks(matrix: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Views of so many rows (..., r, n) that what is made of one stays in a cache, and where they stand.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> [(rows.start, tuple(block.shape)) for rows, block in linalg.row_blocks(torch.ones(130, 3))]
    [(0, (128, 3)), (128, (2, 3))]
    """
    for start in range(0, matrix.shape[-2], BLOCK):
        rows = slice(start, min(start + BLOCK, matrix.shape[-2]))
        yield rows, matrix[..., rows, :]


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


def eigenvalues(matrix: Tensor) -> Tensor:
    """l (..., d), ascending, of a symmetric A: the first half of `eigh`, at a fraction of its cost."""
    found: Tensor = _linalg.eigvalsh(matrix)
    return found


def prepared_product(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], object]:
    """What writes A B into `out` when called, for matrices or stacks (B, ...) of them. Outside autograd.

    Small matrices on the cpu are multiplied by numpy, in the same memory.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> left, out = torch.ones(9, 1, 4), torch.empty(9, 1, 1)
    >>> product = linalg.prepared_product(left, torch.ones(9, 4, 1), out)
    >>> left *= 2
    >>> _ = product()
    >>> out[-1]
    tensor([[8.]])
    """
    if not _numpy_is_faster(left, right):
        return partial(torch.mm if left.ndim == 2 else torch.bmm, left, right, out=out)
    return partial(np.matmul, left.numpy(), right.numpy(), out=out.numpy())


def product(left: Tensor, right: Tensor) -> Tensor:
    """A B, for matrices or stacks (..., rows, columns) of equal batch shapes. Outside autograd.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> linalg.product(torch.ones(2, 1, 4), torch.ones(2, 4, 1)).flatten()
    tensor([4., 4.])
    """
    out = left.new_empty(*left.shape[:-1], right.shape[-1])
    first, second = (x.reshape(-1, *x.shape[-2:]) for x in (left, right))
    multiply = prepared_product(first, second, out.view(-1, *out.shape[-2:]))
    with np.errstate(over="ignore", invalid="ignore"):  # as torch does
        multiply()
    return out


def prepared_residual(outputs: Tensor, targets: Tensor, scale: float) -> Callable[[], object]:
    """What does outputs <- scale (outputs - targets) when called. Outside autograd.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> outputs = torch.ones(1, 2)
    >>> _ = linalg.prepared_residual(outputs, torch.tensor([[1.0, 0.0]]), 0.5)()
    >>> outputs
    tensor([[0.0000, 0.5000]])
    """
    if outputs.is_cpu and outputs.numel() <= FEW:
        residual, subtracted = outputs.numpy(), targets.numpy()

        def both() -> None:
            np.subtract(residual, subtracted, out=residual)
            np.multiply(residual, scale, out=residual)

        return both
    return partial(torch.add, (-scale * targets).expand_as(outputs), outputs, alpha=scale, out=outputs)


def prepared_update(
    target: Tensor, keep: float | Tensor, left: Tensor, right: Tensor, scratch: Tensor
) -> Callable[[], object]:
    """What does target <- keep target + A B when called; shapes as in `prepared_product`, `scratch` as the target.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> target = torch.ones(1, 1)
    >>> _ = linalg.prepared_update(target, 0.5, torch.ones(1, 4), torch.ones(4, 1), torch.empty(1, 1))()
    >>> target
    tensor([[4.5000]])
    """
    if not isinstance(keep, Tensor) and not _numpy_is_faster(left, right):
        return partial(torch.addmm if left.ndim == 2 else torch.baddbmm, target, left, right, beta=keep, out=target)
    product = prepared_product(left, right, scratch)

    def update() -> None:
        product()
        keep_and_add(target, keep, scratch)

    return update


def keep_and_add(target: Tensor, keep: float | Tensor, term: Tensor) -> None:
    """target <- keep target + term, in one pass over the memory.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> target = torch.ones(1, 1)
    >>> linalg.keep_and_add(target, 0.5, torch.ones(1, 1))
    >>> target
    tensor([[1.5000]])
    """
    if isinstance(keep, Tensor):
        torch.addcmul(term, target, keep, out=target)
    else:
        torch.add(term, target, alpha=keep, out=target)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread meanwhile: more slow down many small operations, on a busy machine tenfold.

    >>> import torch
    >>> from tightframe.numerics import linalg
    >>> with linalg.one_thread():
    ...     torch.get_num_threads()
    1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _numpy_is_faster(left: Tensor, right: Tensor) -> bool:
    work = left.shape[-2] * left.shape[-1] * right.shape[-1]
    return left.is_cpu and work <= SMALL
