"""The loss surface of a deep linear model at a point: its Hessian as products and dense, and its spectrum.

Parameters are one vector (P,): the entries of W_1, ..., W_M, H and b, row by row; H has all its N columns. With
A_0 = H, A_m = W_m A_{m-1}, B_M the derivative of the data term in the outputs and B_{m-1} = W_m^T B_m the gradient is

    df/dW_m = B_m A_{m-1}^T + lam_m W_m,    df/dH = B_0 + lam_H H,

and a product with the Hessian is its derivative along a direction, factor by factor (Pearlmutter 1994). The outputs are
linear in each factor, so the trace is known without an estimate: in a diagonal block only the data term is curved.

Near a critical point of small decay the softmax p is within 1e-16 of the targets t, where p - t and p (1 - p) as they
stand keep no digit. Both are sums without cancellation here: spectra in units of the decay are good to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .deep_linear import DeepLinearUFM, Factors
from .linalg import eigenvalues, frobenius_norm, one_thread
from .shapes import check_finite, check_scale, check_size, generator
from .solution import Result, Solution

__all__ = ["DENSE", "ZERO", "Hessian", "Spectrum", "SpectrumStats", "extreme_eigenvalues", "flattened", "spectrum"]

DENSE = 2000  # parameters: a matrix of 32 MB, all eigenvalues in about a second on one core
# Relative to the largest eigenvalue by size: up to here one counts as zero. Rounding leaves about P 1e-16; a gradient
# that is not zero leaves its own size, for which a larger tolerance has to be said.
ZERO = 1e-9
CLEAR = 30.0  # an eigenvalue within this factor of the tolerance leaves the nullity undecided
CHUNK = 2**21  # numbers in a batch of directions, 16 MiB
COLUMNS = 20_000  # parameters up to which the Frobenius norm is summed over all columns, of which none is kept
PROBES = 200  # random directions of its estimate beyond
# Residual of extreme eigenvalues from products, relative to the largest by size. At a point that is critical up to g,
# relatively, zeros are spread over about g, and less than that takes Lanczos long.
LANCZOS = 1e-8
RESTARTS = 300


def flattened(factors: Factors) -> Tensor:
    """The parameters (..., P) of factors (...).

    >>> import torch
    >>> from tightframe.numerics import landscape
    >>> from tightframe.numerics.deep_linear import Factors
    >>> landscape.flattened(Factors((torch.ones(1, 2),), torch.zeros(2, 2)))
    tensor([1., 1., 0., 0., 0., 0.])
    """
    return torch.cat([tensor.flatten(-2) for tensor in factors.tensors], dim=-1)


class Hessian:
    """The second derivative of `DeepLinearUFM.objective` at one point, in all P parameters.

    Collapsed features (K columns) stand for those of all N samples. Raises ValueError for factors of another model, a
    batch of them, or entries that are not finite.

    >>> import torch
    >>> from tightframe.numerics import initialisers, landscape
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((2, 1), widths=3, depth=2, decays=0.1, loss="ce")
    >>> zero = landscape.Hessian(model, initialisers.gaussian(model, seed=0, scale=0.0))
    >>> zero.size, torch.equal(zero.dense(), 0.1 * torch.eye(24, dtype=torch.float64))
    (24, True)
    """

    def __init__(self, model: DeepLinearUFM, factors: Factors) -> None:
        model.check(factors)
        if factors.batch:
            raise ValueError(f"expected factors of one point, got a batch {factors.batch}")
        for number, tensor in enumerate(factors.tensors):
            check_finite(f"tensor {number}", tensor)
        features = factors.features
        if features.shape[-1] != model.samples:
            counts = torch.tensor(model.class_counts, device=features.device)
            features = torch.repeat_interleave(features, counts, dim=-1)
        self.model = model
        self.point = replace(factors, features=features)
        self.size = sum(tensor.numel() for tensor in self.point.tensors)

    # ---- at the point
    @cached_property
    def _activations(self) -> list[Tensor]:
        """A_0, ..., A_M."""
        found = [self.point.features]
        for weight in self.point.weights:
            found.append(weight @ found[-1])
        return found

    @cached_property
    def _outputs(self) -> Tensor:
        last = self._activations[-1]
        return last if self.point.bias is None else last + self.point.bias

    @cached_property
    def _curvatures(self) -> Tensor:
        """N times the second derivatives of the data term in the outputs of one sample, (N, R, R)."""
        if self.model.loss == "mse":
            identity = torch.eye(self.model.outputs, dtype=self._outputs.dtype, device=self._outputs.device)
            return identity.expand(self.model.samples, -1, -1)
        p = torch.softmax(self._outputs, dim=-2).mT
        products = p[:, :, None] * p[:, None, :]
        products = products - torch.diag_embed(products.diagonal(dim1=-2, dim2=-1))
        return torch.diag_embed(products.sum(dim=-1)) - products

    @cached_property
    def _errors(self) -> list[Tensor]:
        """B_0, ..., B_M."""
        columns, _ = self.model.columns(self.point.features)
        error = columns.residual(self._outputs)
        if self.model.loss == "ce":
            # p_i - t_i = sum_j (p_i t_j - t_i p_j), as both sum to one
            p, t = torch.softmax(self._outputs, dim=-2), columns.targets
            error = (p[:, None] * t[None] - t[:, None] * p[None]).sum(dim=1)
        found = [error / self.model.samples]
        for weight in reversed(self.point.weights):
            found.append(weight.mT @ found[-1])
        return found[::-1]

    @cached_property
    def _decays(self) -> list[float]:
        assert isinstance(self.model.decays, tuple)
        return [*self.model.decays, *[0.0] * self.model.bias]

    @cached_property
    def _data_gradient(self) -> list[Tensor]:
        """The gradient of the data term in all tensors."""
        found = [up @ down.mT for up, down in zip(self._errors[1:], self._activations[:-1], strict=True)]
        bias = [self._errors[-1].sum(dim=-1, keepdim=True)] * self.model.bias
        return [*found, self._errors[0], *bias]

    @property
    def stationarity(self) -> float:
        """||grad f|| over the norm of (lam_1 W_1, ..., lam_M W_M, lam_H H): zero at critical points, without units.

        Infinite where only the gradient is not zero.
        """
        decayed = [lam * tensor for lam, tensor in zip(self._decays, self.point.tensors, strict=True)]
        parts = zip(self._data_gradient, decayed, strict=True)
        gradient = math.hypot(*(float(frobenius_norm(data + decay)) for data, decay in parts))
        unit = math.hypot(*(float(frobenius_norm(tensor)) for tensor in decayed))
        if gradient == 0:
            return 0.0
        return gradient / unit if unit > 0 else math.inf

    @property
    def critical_decay(self) -> float:
        """The one decay of all factors at which the gradient in them is least, whatever those of the model.

        lam ||theta||^2 = -<gradient of the data term, theta>. At a point that is critical for some decay it is that
        decay, to rounding. NaN at zero.

        >>> import torch
        >>> from tightframe.numerics import landscape
        >>> from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
        >>> point = Factors((torch.eye(2).double(),), torch.eye(2).double() / 2)
        >>> landscape.Hessian(DeepLinearUFM((1, 1), widths=2, depth=1, decays=1.0), point).critical_decay
        0.2
        """
        count = len(self.point.weights) + 1
        pairs = list(zip(self._data_gradient[:count], self.point.tensors[:count], strict=True))
        square = sum(float(tensor.square().sum()) for _, tensor in pairs)
        return -sum(float((data * tensor).sum()) for data, tensor in pairs) / square if square > 0 else math.nan

    # ---- as a map
    def product(self, directions: Tensor) -> Tensor:
        """The Hessian times directions (..., P).

        Raises ValueError for another number of parameters.
        """
        if directions.shape[-1:] != (self.size,):
            raise ValueError(f"expected directions of P = {self.size} entries, got shape {tuple(directions.shape)}")
        batch = directions.shape[:-1]
        parts = directions.reshape(-1, self.size).split([t.numel() for t in self.point.tensors], dim=-1)
        moves = [part.reshape(-1, *t.shape) for part, t in zip(parts, self.point.tensors, strict=True)]
        depth, weights, below, errors = self.model.depth, self.point.weights, self._activations, self._errors
        moved = [moves[depth]]  # derivatives of A_0, ..., A_M
        for m in range(depth):
            moved.append(moves[m] @ below[m] + weights[m] @ moved[m])
        outputs = moved[depth] if self.point.bias is None else moved[depth] + moves[depth + 1]
        error = torch.einsum("njk,bkn->bjn", self._curvatures, outputs) / self.model.samples  # derivative of B_M
        found = [error.sum(dim=-1, keepdim=True)] if self.model.bias else []
        changes: list[Tensor] = []
        for m in range(depth - 1, -1, -1):
            changes.append(error @ below[m].mT + errors[m + 1] @ moved[m].mT)
            error = weights[m].mT @ error + moves[m].mT @ errors[m + 1]
        found = [*reversed(changes), error, *found]
        found = [change + lam * move for change, lam, move in zip(found, self._decays, moves, strict=True)]
        return torch.cat([each.flatten(-2) for each in found], dim=-1).reshape(*batch, self.size)

    def rows(self) -> Iterator[Tensor]:
        """The Hessian in blocks of rows (B, P), of bounded memory."""
        count = max(1, CHUNK // self.size)
        for first in range(0, self.size, count):
            block = self.point.features.new_zeros(min(count, self.size - first), self.size)
            block.diagonal(first).fill_(1)
            yield self.product(block)

    def dense(self) -> Tensor:
        """The Hessian (P, P), symmetric to the last bit.

        >>> import torch
        >>> from tightframe.numerics import initialisers, landscape
        >>> from tightframe.numerics.deep_linear import DeepLinearUFM
        >>> model = DeepLinearUFM((2, 2), widths=2, depth=1, decays=0.1)
        >>> hessian = landscape.Hessian(model, initialisers.gaussian(model, seed=0, scale=1.0))
        >>> direction = torch.ones(12, dtype=torch.float64)
        >>> torch.allclose(hessian.dense() @ direction, hessian.product(direction))
        True
        """
        matrix = torch.cat(list(self.rows()))
        return (matrix + matrix.mT) / 2

    @cached_property
    def trace(self) -> float:
        """The sum of its eigenvalues, without them: sum_i ||a_i||^2 tr(L^T Q_i L) / N for each factor, and the decays.

        L is what lies above the factor, a_i what lies below in sample i, Q_i its curvature; for H, a_i is 1.
        """

        def curved(above: Tensor) -> Tensor:
            return torch.einsum("ja,njk,ka->n", above, self._curvatures, above)

        above = torch.eye(self.model.outputs, dtype=self._outputs.dtype, device=self._outputs.device)
        total = curved(above).sum() if self.model.bias else above.new_zeros(())
        for weight, below in zip(reversed(self.point.weights), reversed(self._activations[:-1]), strict=True):
            total = total + (curved(above) * below.square().sum(dim=-2)).sum()
            above = above @ weight
        total = total + curved(above).sum()
        decays = sum(lam * tensor.numel() for lam, tensor in zip(self._decays, self.point.tensors, strict=True))
        return float(total) / self.model.samples + decays

    def operator(self) -> Any:
        """The same as a scipy LinearOperator, for its eigensolvers."""
        like = self.point.features

        def product(vectors: Any) -> Any:
            with torch.no_grad(), one_thread():
                columns = torch.from_numpy(np.ascontiguousarray(vectors.T)).to(like)
                return self.product(columns).cpu().double().numpy().T

        return _operator(self.size, product)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """`eigenvalues` (P,) ascending, or None of a Hessian too large for all; the other numbers are there in any case.

    `least` and `largest` are the extreme eigenvalues, `nullity` counts those that are zero up to the tolerance, and is
    None where they were not all found or one lies too near to the tolerance. NaN where an eigensolver failed.
    """

    eigenvalues: Tensor | None
    least: float
    largest: float
    trace: float
    frobenius: float
    nullity: int | None

    @property
    def norm(self) -> float:
        """The spectral norm."""
        return max(-self.least, self.largest)


@dataclass(frozen=True, eq=False)
class SpectrumStats:
    """How a spectrum was found: of P `parameters`, by a matrix ("dense") or by `products` with directions.

    `tolerance` is that of the nullity. `residual` bounds the errors of the extreme eigenvalues, relative to the larger
    by size: ||H v - l v||, or P times the rounding unit. `frobenius_error` is one standard error of the Frobenius norm,
    0 where all columns were summed. `stationarity` is that of the `Hessian`: of second order is only a critical point.
    """

    method: Literal["dense", "products"]
    parameters: int
    tolerance: float
    residual: float
    frobenius_error: float
    stationarity: float


def spectrum(
    model: DeepLinearUFM, factors: Factors, dense: int = DENSE, tolerance: float = ZERO, seed: int = 0
) -> Solution[Spectrum, SpectrumStats]:
    """The spectrum of the Hessian at a point: all of it with up to `dense` parameters, else what products tell.

    From products come the extreme eigenvalues, by Lanczos; the trace, exactly; and the Frobenius norm, from all
    columns one after the other, or with more than COLUMNS parameters from random directions v, E ||H v||^2 = ||H||^2.
    `stats.method` says which. Converged means that the extreme eigenvalues are known, and with a matrix that so is the
    nullity: no eigenvalue within a factor CLEAR of `tolerance` times the largest by size. It does not say that the
    point is critical: `stats.stationarity` does.

    >>> from tightframe.numerics import initialisers, landscape
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((2, 2), widths=3, depth=1, decays=0.1)
    >>> zero = initialisers.gaussian(model, seed=0, scale=0.0)  # where W and H meet in (1/N) <dW dH, T>
    >>> found = landscape.spectrum(model, zero)
    >>> found.result.value, f"{found.value.least:.6f}", f"{found.value.trace:.6f}", found.value.nullity
    ('converged', '-0.253553', '1.800000', 0)
    >>> products = landscape.spectrum(model, zero, dense=0)
    >>> products.stats.method, f"{products.value.least:.6f}", products.value.nullity
    ('products', '-0.253553', None)
    """
    check_size("dense", dense, least=0)
    check_scale("tolerance", tolerance)
    with torch.no_grad(), one_thread():
        hessian = Hessian(model, factors)
        if hessian.size <= dense:
            return _from_matrix(hessian, tolerance)
        return _from_products(hessian, tolerance, seed)


def _from_matrix(hessian: Hessian, tolerance: float) -> Solution[Spectrum, SpectrumStats]:
    matrix = hessian.dense()
    finite = bool(torch.isfinite(matrix).all())
    values = eigenvalues(matrix) if finite else torch.full_like(matrix[0], math.nan)
    sizes = values.abs()
    largest = float(sizes.max())
    near = (sizes * CLEAR > tolerance * largest) & (sizes < CLEAR * tolerance * largest)
    decided = finite and not bool(near.any())
    found = Spectrum(
        values,
        float(values[0]),
        float(values[-1]),
        hessian.trace,
        float(frobenius_norm(matrix)),
        int((sizes <= tolerance * largest).sum()) if decided else None,
    )
    rounding = hessian.size * torch.finfo(matrix.dtype).eps
    stats = SpectrumStats("dense", hessian.size, tolerance, rounding, 0.0, hessian.stationarity)
    return Solution(found, Result.CONVERGED if decided else Result.NOT_CONVERGED, stats)


def _from_products(hessian: Hessian, tolerance: float, seed: int) -> Solution[Spectrum, SpectrumStats]:
    ends = extreme_eigenvalues(hessian, seed=seed)
    norm, error = _frobenius(hessian, generator(seed))
    found = Spectrum(None, *ends.value, hessian.trace, norm, None)
    stats = SpectrumStats("products", hessian.size, tolerance, ends.stats, error, hessian.stationarity)
    return Solution(found, ends.result, stats)


def extreme_eigenvalues(hessian: Hessian, rtol: float = LANCZOS, seed: int = 0) -> Solution[tuple[float, float], float]:
    """The least and the largest eigenvalue, from products alone: Lanczos from a random start.

    `stats` is the larger ||H v - l v||, relative to the larger eigenvalue by size: so near to an eigenvalue each is.
    That none lies beyond is not proved, though it is missed only from a start without a part in its direction, of
    probability zero. Converged means that it is at most `rtol`; NaN where Lanczos stops without.

    >>> from tightframe.numerics import initialisers, landscape
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((2, 2), widths=3, depth=1, decays=0.1)
    >>> hessian = landscape.Hessian(model, initialisers.gaussian(model, seed=0, scale=0.0))
    >>> found = landscape.extreme_eigenvalues(hessian)
    >>> found.converged, [round(value, 6) for value in found.value]
    (True, [-0.253553, 0.453553])
    """
    from scipy.sparse.linalg import ArpackError

    check_scale("rtol", rtol)
    start = torch.randn(hessian.size, generator=generator(seed), dtype=torch.float64).numpy()
    start = start / np.linalg.norm(start)
    operator = hessian.operator()
    value, away = _rayleigh(operator, start)
    if away <= rtol * abs(value):  # a multiple of I, as at zero: Lanczos has nowhere to go
        return Solution((value, value), Result.CONVERGED, away / abs(value) if value else 0.0)
    try:
        far, first = _rayleigh(operator, _largest(operator, start, rtol))
        # What is shifted away from the far end has the other one as its largest, and accuracy is relative to that.
        sign = 1 if far > 0 else -1
        shifted = _operator(hessian.size, lambda vectors: sign * (far * vectors - operator @ vectors))
        near, second = _rayleigh(operator, _largest(shifted, start, rtol))
    except ArpackError:
        return Solution((math.nan, math.nan), Result.NOT_CONVERGED, math.nan)
    residual = max(first, second) / abs(far)
    result = Result.CONVERGED if residual <= rtol else Result.NOT_CONVERGED
    return Solution((min(near, far), max(near, far)), result, residual)


def _operator(size: int, product: Callable[[Any], Any]) -> Any:
    from scipy.sparse.linalg import LinearOperator

    make: Any = LinearOperator  # its __new__ is read as the whole signature
    return make((size, size), matvec=product, matmat=product, dtype=np.float64)


def _largest(operator: Any, start: Any, rtol: float) -> Any:
    """The eigenvector of the eigenvalue that is largest by size."""
    from scipy.sparse.linalg import eigsh

    size = len(start)
    found = eigsh(operator, k=1, which="LM", v0=start, ncv=min(size, 40), maxiter=RESTARTS, tol=rtol / 10)
    return found[1][:, 0]


def _rayleigh(operator: Any, vector: Any) -> tuple[float, float]:
    """l = v^T H v of a unit vector, and ||H v - l v||."""
    image = operator @ vector
    value = float(vector @ image)
    return value, float(np.linalg.norm(image - value * vector))


def _frobenius(hessian: Hessian, source: torch.Generator) -> tuple[float, float]:
    """The Frobenius norm and its standard error."""
    if hessian.size <= COLUMNS:
        return math.hypot(*(float(frobenius_norm(rows)) for rows in hessian.rows())), 0.0
    squares: list[Tensor] = []
    count = max(1, CHUNK // hessian.size)
    for first in range(0, PROBES, count):
        shape = (min(count, PROBES - first), hessian.size)
        probes = torch.randn(shape, generator=source, dtype=torch.float64).to(hessian.point.features)
        squares.append(hessian.product(probes).square().sum(dim=-1))
    found = torch.cat(squares)
    norm = float(found.mean().sqrt())
    return norm, float(found.std() / math.sqrt(PROBES)) / (2 * norm) if norm > 0 else 0.0
