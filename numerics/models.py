"""Features of K classes, and the random model that draws them: a frozen spec and a seed give tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .shapes import (
    check_batch,
    check_class_counts,
    check_compatible,
    check_dtype,
    check_finite,
    check_matrix,
    check_scale,
    check_size,
    generator,
    is_balanced,
    resolve_device,
)

__all__ = ["FeatureModel", "Features"]


@dataclass(frozen=True, eq=False)
class Features:
    """Features H of K classes, samples as columns, the classes one after the other.

    `values` has shape (..., d, N) with N the sum of `class_counts`. Construction raises ValueError for fewer
    than two classes, an empty class, a shape that does not fit, a dtype other than float64 or float32, NaN or
    infinity.

    >>> import torch
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[0.0, 2.0, 5.0]]), class_counts=(2, 1))
    >>> features.labels
    tensor([0, 0, 1])
    >>> features.one_hot
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """

    values: Tensor
    class_counts: tuple[int, ...]

    def __post_init__(self) -> None:
        counts = check_class_counts(self.class_counts)
        object.__setattr__(self, "class_counts", counts)
        check_matrix("features", self.values, columns=sum(counts))
        check_finite("features", self.values)

    @classmethod
    def from_labels(cls, values: Tensor, labels: Tensor) -> Features:
        """Features in any order with integer labels 0..K-1, (N,): columns are sorted by class, stably.

        >>> import torch
        >>> from tightframe.numerics.models import Features
        >>> Features.from_labels(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1, 0, 1])).values
        tensor([[2., 1., 3.]])
        """
        integral = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
        if not integral or labels.ndim != 1 or labels.numel() < 1 or int(labels.min()) < 0:
            raise ValueError(
                f"expected labels to be N integers in 0..K-1, got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        check_matrix("features", values, columns=labels.numel())
        # Bounds the table of counts: a class without samples is refused anyway, so K <= N.
        if int(labels.max()) >= labels.numel():
            raise ValueError(f"expected at most N = {labels.numel()} classes, got label {int(labels.max())}")
        order = torch.argsort(labels, stable=True).to(values.device)
        counts = torch.bincount(labels).cpu()
        return cls(values[..., order], tuple(int(count) for count in counts))

    @property
    def batch(self) -> tuple[int, ...]:
        """The leading dimensions."""
        return tuple(self.values.shape[:-2])

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_counts)

    @property
    def dimension(self) -> int:
        """d."""
        return self.values.shape[-2]

    @property
    def samples(self) -> int:
        """N, over all classes."""
        return self.values.shape[-1]

    @property
    def balanced(self) -> bool:
        """Whether all classes have the same number of samples."""
        return is_balanced(self.class_counts)

    @property
    def labels(self) -> Tensor:
        """The class of each column, (N,), int64."""
        counts = torch.tensor(self.class_counts, device=self.values.device)
        return torch.repeat_interleave(torch.arange(self.classes, device=self.values.device), counts)

    @property
    def one_hot(self) -> Tensor:
        """The targets Y, (K, N), of the dtype of the features."""
        return torch.nn.functional.one_hot(self.labels, self.classes).mT.to(self.values.dtype).contiguous()

    @property
    def class_weights(self) -> Tensor:
        """n_k / N, (K,), of the dtype of the features."""
        counts = torch.tensor(self.class_counts, dtype=self.values.dtype, device=self.values.device)
        return counts / self.samples

    def extended(self) -> Features:
        """The features (h, 1), (..., d + 1, N): a classifier of them carries its bias as its last column.

        Han, Papyan & Donoho 2022 write them with a tilde.
        """
        return Features(torch.cat([self.values, torch.ones_like(self.values[..., :1, :])], -2), self.class_counts)

    def transformed(self, linear: Tensor, translation: Tensor | None = None) -> Features:
        """The affine image A H + v 1^T, with A (..., d', d) and v (..., d', 1).

        >>> import torch
        >>> from tightframe.numerics.models import Features
        >>> features = Features(torch.tensor([[1.0, 2.0]]), class_counts=(1, 1))
        >>> features.transformed(torch.tensor([[3.0]]), torch.tensor([[0.5]])).values
        tensor([[3.5000, 6.5000]])
        """
        check_matrix("linear", linear, columns=self.dimension)
        check_compatible(linear=linear, features=self.values)
        image = linear @ self.values
        if translation is not None:
            check_matrix("translation", translation, rows=linear.shape[-2], columns=1)
            check_compatible(translation=translation, features=image)
            image = image + translation
        return Features(image, self.class_counts)


@dataclass(frozen=True)
class FeatureModel:
    """Gaussian classes: h = mean_scale m_k + within_scale e, the entries of m_k and e standard normal.

    So Sigma_W tends to within_scale^2 I as the classes grow, and the centres of two classes lie mean_scale
    sqrt(2 d) apart (root mean square). `within_scale=0` gives collapsed features; d < K is allowed.
    Construction raises ValueError for fewer than two classes, an empty class, d < 1, or a scale that is
    negative or not finite.

    >>> from tightframe.numerics.models import FeatureModel
    >>> features = FeatureModel(class_counts=(5, 3), dimension=4).sample(seed=0, batch=(2,))
    >>> tuple(features.values.shape), features.balanced
    ((2, 4, 8), False)
    """

    class_counts: tuple[int, ...]
    dimension: int
    mean_scale: float = 1.0
    within_scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_counts", check_class_counts(self.class_counts))
        check_size("dimension", self.dimension)
        check_scale("mean_scale", self.mean_scale)
        check_scale("within_scale", self.within_scale)

    def sample(
        self,
        seed: int,
        batch: tuple[int, ...] = (),
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> Features:
        """Features drawn from the seed; a batch is of independent draws, means included.

        Drawn on the cpu in float64 and then converted, so that (spec, seed, batch) gives the same features on
        every device, and in float32 the rounded ones.
        """
        check_batch(batch)
        check_dtype(dtype)
        target = resolve_device(device)
        source = generator(seed)

        def normal(columns: int) -> Tensor:
            return torch.randn(*batch, self.dimension, columns, generator=source, dtype=torch.float64)

        means = self.mean_scale * normal(len(self.class_counts))
        noise = self.within_scale * normal(sum(self.class_counts))
        values = torch.repeat_interleave(means, torch.tensor(self.class_counts), dim=-1) + noise
        return Features(values.to(device=target, dtype=dtype), self.class_counts)
