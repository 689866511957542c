"""Starts of a deep linear model: named initialisers, each a function of the model, a seed and a scale.

All draw on the cpu in float64 from the seed and convert then, as `models.FeatureModel.sample` does; members of a batch
are independent. The bias, where the model has one, starts at zero.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .deep_linear import DeepLinearUFM, Factors
from .frames import partial_isometry
from .linalg import svd
from .shapes import check_batch, check_dtype, check_finite, check_matrix, check_scale, generator, resolve_device

__all__ = ["balanced", "factorised", "gaussian", "orthogonal"]


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
    columns = model.classes if collapsed else model.samples
    *frames, last = _seeds(seed, model.depth + 1)
    target = scale * torch.randn(*batch, model.outputs, columns, generator=generator(last), dtype=torch.float64)
    return _shared(model, target, frames, None, device, dtype)


def factorised(
    model: DeepLinearUFM,
    outputs: Tensor,
    seed: int,
    decays: Tensor | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Factors:
    """Factors whose outputs W_M ... W_1 H are the given ones, (..., R, K) of classes or (..., R, N), equally decayed.

    With A = U S V^T, of classes with columns times sqrt(n_k), lam_m ||F_m s_i||^2 is the same for every factor F_m and
    each singular direction: balanced where all decays are equal. Between random orthonormal frames; A is cut to its
    leading rank min(R, widths), and singular values that are rounding errors of zero are zero. `decays` (..., M + 1)
    stand in for those of the model. Raises ValueError for outputs of another shape or not finite.

    >>> import torch
    >>> from tightframe.numerics import initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=(4, 6), depth=2, decays=(0.1, 0.2, 0.1), loss="ce")
    >>> outputs = torch.tensor([[2.0, -1.0], [0.0, 3.0]], dtype=torch.float64)
    >>> factors = initialisers.factorised(model, outputs, seed=0)
    >>> torch.allclose(factors.product @ factors.features, outputs)
    True
    """
    check_matrix("outputs", outputs, rows=model.outputs)
    check_finite("outputs", outputs)
    if outputs.shape[-1] not in (model.samples, model.classes):
        wanted = f"N = {model.samples} or K = {model.classes} columns"
        raise ValueError(f"expected outputs of {wanted}, got {outputs.shape[-1]}")
    target = outputs.detach().to(device="cpu", dtype=torch.float64)
    roots = model.columns(target)[0].roots
    lam = model.decay_tensor(target, decays if decays is None else decays.cpu())
    shares = lam.log().mean(dim=-1, keepdim=True).exp().div(lam).sqrt()
    factors = _shared(model, target * roots, _seeds(seed, model.depth), shares, "cpu", torch.float64)
    target_device = resolve_device(device)
    check_dtype(dtype)
    return replace(factors, features=factors.features / roots).map(lambda x: x.to(device=target_device, dtype=dtype))


def _shared(
    model: DeepLinearUFM,
    target: Tensor,
    seeds: list[int],
    shares: Tensor | None,
    device: str | torch.device,
    dtype: torch.dtype,
) -> Factors:
    """S^{1/(M+1)} between random orthonormal frames in every factor of U S V^T, times its share (..., M + 1)."""
    rank = min(model.outputs, target.shape[-1], *(columns for _, columns in model.sizes))
    u, s, vt = svd(target)
    # A rounding error of 1e-16 would weigh as much as its (M + 1)-th root.
    s = torch.where(s > max(target.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1], s, 0)
    batch = tuple(s.shape[:-1])
    shared = s[..., :rank].pow(1 / (model.depth + 1)).unsqueeze(-2)
    hidden = [partial_isometry(width, rank, each, batch) for (_, width), each in zip(model.sizes, seeds, strict=True)]
    lefts, rights = [*hidden, u[..., :rank]], [vt[..., :rank, :].mT, *hidden]  # of H, W_1, ..., W_M
    features, *weights = (left * shared @ right.mT for left, right in zip(lefts, rights, strict=True))
    tensors = [*weights, features]
    if shares is not None:
        tensors = [tensor * shares[..., m, None, None] for m, tensor in enumerate(tensors)]
    return _factors(model, tensors, batch, device, dtype)


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds of independent streams."""
    return torch.randint(2**62, (count,), generator=generator(seed)).tolist()
