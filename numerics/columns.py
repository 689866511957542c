"""The samples of an unconstrained features model in orthonormal coordinates: all N of them, or exactly fewer.

A data term (1/N) sum_i l(W h_i + b, t_i) with equal targets t_i in a class and decay (lam_H/2) ||H||_F^2 does not
change when the columns of H, T and 1^T are turned by an orthogonal N x N matrix, if l is the squared error. In a basis
whose first K vectors are the normalised classes, the coordinates of H are

    G = (sqrt(n_1) hbar_1, ..., sqrt(n_K) hbar_K, L),    L L^T = R R^T, R = H minus its class means,

those of T and 1^T vanish outside the first K, and min(d, N - K) columns L are enough, as R = L Q^T for some Q with
orthonormal columns. Gradient descent, with momentum or without, maps L by matrices from the left, so that H is
recovered at any iteration. With R = 0 only K columns are left, and then any loss l has the same coordinates. That is so
along every descent from a collapsed start, as equal samples have equal gradients, and at every critical point: given W
and b, the samples of a class minimise the same strictly convex function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .linalg import qr

__all__ = ["Columns", "DataLoss", "class_mean_columns", "reduced_columns", "sample_columns"]

DataLoss = Literal["mse", "ce"]


@dataclass(frozen=True, eq=False)
class Columns:
    """Coordinates of the N samples as C columns; G (..., d, C) stands for H (..., d, N).

    `roots` (C,) are the coordinates of 1^T: ones for samples, sqrt(n_k) for classes, zero within classes. `targets`
    (R, C) are those of T. `basis` (..., N, C - K) is the Q above, of class-mean columns; None where the columns are the
    samples themselves.
    """

    targets: Tensor
    roots: Tensor
    loss: DataLoss
    class_counts: tuple[int, ...]
    basis: Tensor | None

    @property
    def samples(self) -> int:
        """N."""
        return sum(self.class_counts)

    @property
    def labels(self) -> Tensor:
        """The class of each sample, (N,)."""
        counts = torch.tensor(self.class_counts, device=self.roots.device)
        return torch.repeat_interleave(torch.arange(len(self.class_counts), device=self.roots.device), counts)

    def residual(self, outputs: Tensor) -> Tensor:
        """N times the derivative of the data term in the outputs W G + b r^T, (..., R, C), r the roots."""
        if self.loss == "mse":
            return outputs - self.targets
        return torch.softmax(outputs / self.roots, dim=-2) * self.roots - self.targets

    def data_loss(self, outputs: Tensor) -> Tensor:
        """(1/(2N)) ||Z - T||_F^2, or the cross-entropy averaged over the N samples, (...)."""
        if self.loss == "mse":
            return (outputs - self.targets).square().sum(dim=(-2, -1)) / (2 * self.samples)
        partition = torch.logsumexp(outputs / self.roots, dim=-2) * self.roots.square()
        return (partition.sum(dim=-1) - (self.targets * outputs).sum(dim=(-2, -1))) / self.samples

    def class_means(self, values: Tensor) -> Tensor:
        """(hbar_1, ..., hbar_K), (..., d, K), of coordinates G (..., d, C)."""
        if self.basis is not None:
            classes = len(self.class_counts)
            return values[..., :classes] / self.roots[:classes]
        blocks = values.split_with_sizes(list(self.class_counts), dim=-1)
        return torch.stack([block.mean(dim=-1) for block in blocks], dim=-1)

    def within(self, values: Tensor) -> Tensor:
        """L (..., d, *) with L L^T = N Sigma_W, of coordinates G (..., d, C); without columns if C = K."""
        if self.basis is not None:
            return values[..., len(self.class_counts) :]
        return values - self.class_means(values)[..., self.labels]

    def features(self, values: Tensor) -> Tensor:
        """H (..., d, N) of coordinates G (..., d, C)."""
        if self.basis is None:
            return values
        return self.class_means(values)[..., self.labels] + self.within(values) @ self.basis.mT


def sample_columns(class_counts: tuple[int, ...], encoding: Tensor, loss: DataLoss) -> Columns:
    """One column a sample, for the targets T of columns encoding[:, k], with encoding (R, K)."""
    counts = torch.tensor(class_counts, device=encoding.device)
    targets = torch.repeat_interleave(encoding, counts, dim=-1)
    return Columns(targets, torch.ones_like(targets[0]), loss, class_counts, None)


def class_mean_columns(class_counts: tuple[int, ...], encoding: Tensor, loss: DataLoss) -> Columns:
    """One column a class, for features that are equal within classes: G = (sqrt(n_k) h_k)."""
    roots = encoding.new_tensor(class_counts).sqrt()
    return Columns(encoding * roots, roots, loss, class_counts, encoding.new_zeros(sum(class_counts), 0))


def reduced_columns(class_counts: tuple[int, ...], encoding: Tensor, features: Tensor) -> tuple[Columns, Tensor]:
    """The columns K + min(d, N - K) that suffice for the squared error, and the G of the features H (..., d, N).

    >>> import torch
    >>> from tightframe.numerics import columns
    >>> features = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> reduced, values = columns.reduced_columns((30, 15, 5), torch.eye(3, dtype=torch.float64), features)
    >>> tuple(values.shape), torch.allclose(reduced.features(values), features)
    ((2, 5), True)
    """
    samples = sample_columns(class_counts, encoding, "mse")
    classes, dimension = class_mean_columns(class_counts, encoding, "mse"), features.shape[-2]
    residuals = samples.within(features)
    if dimension < sum(class_counts) - len(class_counts):
        basis, triangle = qr(residuals.mT)
        within = triangle.mT
    else:
        basis = torch.block_diag(*[_centred_basis(count).to(features) for count in class_counts])
        within = residuals @ basis
    values = torch.cat([samples.class_means(features) * classes.roots, within], dim=-1)
    spare = within.shape[-1]
    columns = Columns(
        torch.nn.functional.pad(classes.targets, (0, spare)),
        torch.nn.functional.pad(classes.roots, (0, spare)),
        "mse",
        class_counts,
        basis,
    )
    return columns, values


def _centred_basis(size: int) -> Tensor:
    """The Helmert basis (n, n - 1) of the vectors that sum to zero."""
    index = torch.arange(1, size, dtype=torch.float64)
    upper = torch.triu(torch.ones(size, size - 1, dtype=torch.float64))
    upper[1:, :] -= torch.diag(index)
    return upper / torch.sqrt(index * (index + 1))
