"""Starts of a deep linear model: named initialisers, each a function of the model, a seed and a scale.

All draw on the cpu in float64 from the seed and convert then, as `models.FeatureModel.sample` does; members of a batch
are independent. The bias, where the model has one, starts at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .deep_linear import DeepLinearUFM, Factors
from .frames import partial_isometry
from .linalg import svd
from .shapes import check_batch, check_dtype, check_scale, generator, resolve_device

__all__ = ["balanced", "gaussian", "orthogonal"]


def _factors(
    model: DeepLinearUFM,
    tensors: list[Tensor],
    batch: tuple[int, ...],
    device: str | torch.device,
    dtype: torch.dtype,
) -> Factors:
    check_dtype(dtype)
    target = resolve_device(device)
    moved = [tensor.to(device=target, dtype=dtype) for tensor in tensors]
    bias = torch.zeros(*batch, model.outputs, 1, device=target, dtype=dtype) if model.bias else None
    return Factors(tuple(moved[:-1]), moved[-1], bias)


def _sizes(model: DeepLinearUFM, collapsed: bool) -> list[tuple[int, int]]:
    """The shapes of W_1, ..., W_M and H."""
    return [*model.sizes, (model.sizes[0][1], model.classes if collapsed else model.samples)]


def gaussian(
    model: DeepLinearUFM,
    seed: int,
    scale: float = 0.1,
    batch: tuple[int, ...] = (),
    collapsed: bool = False,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Factors:
    """Entries N(0, scale^2), independent. Default scale: that of the experiments of Dang et al. 2023.

    `scale=1e-3` is a start near the critical point at zero. `collapsed` draws the features of the K classes only.
    Raises ValueError for a scale that is negative or not finite.

    >>> from tightframe.numerics import initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=(4, 6), depth=2, decays=0.1)
    >>> [tuple(tensor.shape) for tensor in initialisers.gaussian(model, seed=0, batch=(7,)).tensors]
    [(7, 6, 4), (7, 2, 6), (7, 4, 5)]
    """
    check_scale("scale", scale)
    check_batch(batch)
    source = generator(seed)
    tensors = [
        scale * torch.randn(*batch, *size, generator=source, dtype=torch.float64) for size in _sizes(model, collapsed)
    ]
    return _factors(model, tensors, batch, device, dtype)


def orthogonal(
    model: DeepLinearUFM,
    seed: int,
    scale: float = 1.0,
    batch: tuple[int, ...] = (),
    collapsed: bool = False,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Factors:
    """Every factor scale times a uniformly random matrix with orthonormal columns, or rows where it is wide.

    Raises ValueError for a scale that is negative or not finite.
    """
    check_scale("scale", scale)
    check_batch(batch)
    tensors = []
    for (rows, columns), each in zip(_sizes(model, collapsed), _seeds(seed, model.depth + 1), strict=True):
        q = partial_isometry(max(rows, columns), min(rows, columns), each, batch)
        tensors.append(scale * (q if rows >= columns else q.mT))
    return _factors(model, tensors, batch, device, dtype)


def balanced(
    model: DeepLinearUFM,
    seed: int,
    scale: float = 1.0,
    batch: tuple[int, ...] = (),
    collapsed: bool = False,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Factors:
    """W_{m+1}^T W_{m+1} = W_m W_m^T and W_1^T W_1 = H H^T: a gaussian end-to-end matrix, its singular values shared.

    The balanced initialisation of Arora et al. 2019 (A convergence analysis of gradient descent for deep linear neural
    networks, procedure 1), with features as the first factor. The end-to-end matrix A = U S V^T (R x N) has entries
    N(0, scale^2), cut to its leading rank min(R, widths, N); every factor is S^{1/(M+1)} between random orthonormal
    frames. Raises ValueError for a scale that is negative or not finite.

    >>> import torch
    >>> from tightframe.numerics import initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=(4, 6), depth=2, decays=0.1)
    >>> start = initialisers.balanced(model, seed=0)
    >>> first, second = start.weights
    >>> torch.allclose(second.mT @ second, first @ first.mT)
    True
    """
    check_scale("scale", scale)
    check_batch(batch)
    sizes = _sizes(model, collapsed)
    rank = min(model.outputs, *(columns for _, columns in sizes))
    seeds = _seeds(seed, model.depth + 1)
    source = generator(seeds[-1])
    target = scale * torch.randn(*batch, model.outputs, sizes[-1][1], generator=source, dtype=torch.float64)
    u, s, vt = svd(target)
    shared = s[..., :rank].pow(1 / (model.depth + 1)).unsqueeze(-2)
    hidden = [partial_isometry(width, rank, each, batch) for (_, width), each in zip(model.sizes, seeds, strict=False)]
    lefts = [*hidden[1:], u[..., :rank]]  # of W_1, ..., W_M
    weights = [left * shared @ right.mT for left, right in zip(lefts, hidden, strict=True)]
    return _factors(model, [*weights, hidden[0] * shared @ vt[..., :rank, :]], batch, device, dtype)


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds of independent streams."""
    return torch.randint(2**62, (count,), generator=generator(seed)).tolist()
