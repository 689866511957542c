"""First and second moments of the features of K classes, gathered from batches in one pass, and mergeable.

Every sum is taken about a point of its class (its first sample): deviations of collapsed features are then exact in
floating point, where sums of squares less squares of sums keep no digit. Samples are rows here, as networks give
them; `Moments` are in the shapes of `shapes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .frames import scaled_gram
from .linalg import gram
from .models import Features
from .shapes import check_class_counts, check_dtype, check_finite, check_matrix, check_size, resolve_device

__all__ = ["Accumulator", "Moments"]

PART = 2**18  # entries of the features that are worked on at once: they stay in a cache of one core
PARTS_OF_PRODUCTS = 8  # parts whose products are added at once: float32 sums of so few samples are right to 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """What the metrics of collapse need of features: class sizes, class means (..., d, K), variation within classes.

    `energies` (..., K) are the sums of ||h - mu_k||^2 over each class, `scatter` (..., d, d) the sum of
    (h - mu_k)(h - mu_k)^T over all samples, N Sigma_W, or None where it was not gathered.
    """

    class_counts: tuple[int, ...]
    means: Tensor
    energies: Tensor
    scatter: Tensor | None = None

    def __post_init__(self) -> None:
        check_class_counts(self.class_counts)
        check_matrix("means", self.means, columns=len(self.class_counts))
        check_finite("means", self.means)

    @classmethod
    def of(cls, features: Features, *, scatter: bool = False) -> Moments:
        """Those of features in memory.

        >>> import torch
        >>> from tightframe.numerics.models import Features
        >>> from tightframe.numerics.moments import Moments
        >>> Moments.of(Features(torch.tensor([[0.0, 2.0, 5.0]]), (2, 1))).energies
        tensor([2., 0.])
        """
        from .statistics import class_means, residuals

        within = residuals(features)
        blocks = within.square().sum(dim=-2).split_with_sizes(list(features.class_counts), dim=-1)
        energies = torch.stack([block.sum(dim=-1) for block in blocks], dim=-1)
        return cls(features.class_counts, class_means(features), energies, within @ within.mT if scatter else None)

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_counts)

    @property
    def dimension(self) -> int:
        """d."""
        return self.means.shape[-2]

    @property
    def samples(self) -> int:
        """N, over all classes."""
        return sum(self.class_counts)

    @cached_property
    def mean_gram(self) -> tuple[Tensor, Tensor]:
        """The `frames.scaled_gram` of the class means, which several metrics are made of."""
        return scaled_gram(self.means)

    @cached_property
    def centred_gram(self) -> tuple[Tensor, Tensor]:
        """The same about their global mean."""
        from .statistics import centred_means

        return scaled_gram(centred_means(self))

    @property
    def class_weights(self) -> Tensor:
        """n_k / N, (K,)."""
        return self.means.new_tensor(self.class_counts) / self.samples


class Accumulator:
    """Moments of batches of features (rows, d) with labels (rows,) in 0..K-1, in one pass.

    With `scatter` also the d x d matrix N Sigma_W, which `nc1_pinv` and the SNR need and other metrics do not. Sums
    are kept in `dtype`, whatever that of the features. Raises ValueError for shapes that do not fit, labels out of
    range, NaN or infinity; a batch that is refused leaves what was gathered as it was.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.moments import Accumulator
    >>> gathered = Accumulator(classes=2, dimension=1)
    >>> gathered.update(torch.tensor([[0.0], [14.0]]), torch.tensor([0, 1]))
    >>> gathered.update(torch.tensor([[10.0], [4.0]]), torch.tensor([1, 0]))
    >>> statistics.nc1_trace_quotient(gathered.moments())
    tensor(0.1600, dtype=torch.float64)
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        scatter: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        check_size("classes", classes, least=2)
        check_size("dimension", dimension)
        check_dtype(dtype)
        self.classes, self.dimension = classes, dimension
        options: dict[str, Any] = {"dtype": dtype, "device": resolve_device(device)}
        self._counts = torch.zeros(classes, dtype=torch.int64, device=options["device"])
        self._origins = torch.zeros(classes, dimension, **options)
        self._rounded: Tensor | None = None  # the origins in the dtype of the last features, if that holds them
        self._sums = torch.zeros(classes, dimension, **options)
        self._squares = torch.zeros(classes, **options)
        self._scatter = torch.zeros(dimension, dimension, **options) if scatter else None

    @property
    def counts(self) -> Tensor:
        """Samples of each class so far, (K,)."""
        return self._counts.clone()

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add a batch of any size; labels of any integer dtype."""
        found = _Deviations(1 if self._scatter is None else PARTS_OF_PRODUCTS)
        for part, classes in check_rows(features, labels, self.classes, self.dimension):
            rows, where = part.detach().to(self._sums.device), classes.to(self._sums.device)
            new = torch.bincount(where, minlength=self.classes)
            self._choose_origins(rows, where, new)
            deviations = found.next(rows, self._origins_of(rows), where)
            self._sums.index_add_(0, where, deviations.to(self._sums))
            norms = torch.linalg.vector_norm(deviations, dim=1).to(self._squares)
            self._squares.index_add_(0, where, norms.square())
            if self._scatter is not None and found.full:
                self._scatter += gram(found.taken())
            self._counts += new
        if self._scatter is not None and found.rows:
            self._scatter += gram(found.taken())

    def _choose_origins(self, rows: Tensor, labels: Tensor, new: Tensor) -> None:
        """The first sample of a class."""
        unseen = (self._counts == 0) & (new > 0)
        if bool(unseen.any()):
            index = torch.arange(len(labels), device=labels.device)
            first = torch.full_like(self._counts, len(labels)).scatter_reduce(0, labels, index, "amin")
            self._origins[unseen] = rows[first[unseen]].to(self._origins)
            self._rounded = None

    def _origins_of(self, rows: Tensor) -> Tensor:
        """The origins in the dtype of the rows, if that holds them."""
        if self._rounded is None or self._rounded.dtype != rows.dtype:
            self._rounded = self._origins.to(rows.dtype)
            if not torch.equal(self._rounded.to(self._origins), self._origins):  # those of wider features, merged
                self._rounded = self._origins
        return self._rounded

    def projected(self, features: Tensor, labels: Tensor, basis: Tensor) -> Iterator[Tensor]:
        """(h - mu_k)^T P of the rows of a batch, in parts, for P (d, r): for a second pass."""
        shifts = self._sums / self._counts.clamp(min=1).to(self._sums)[:, None] @ basis
        found = _Deviations(1)
        for part, classes in check_rows(features, labels, self.classes, self.dimension):
            rows, where = part.detach().to(self._sums.device), classes.to(self._sums.device)
            deviations = found.next(rows, self._origins_of(rows), where)
            yield deviations @ basis.to(deviations.dtype) - shifts.to(deviations.dtype).index_select(0, where)

    def merge(self, other: Accumulator) -> None:
        """Add what another one, of the same sizes and kind, has gathered from other samples."""
        if (self.classes, self.dimension, self._scatter is None) != (
            other.classes,
            other.dimension,
            other._scatter is None,
        ):
            raise ValueError("expected accumulators of the same classes and dimension, both with scatter or without")
        seen = (self._counts > 0)[:, None]
        added = other._copy(self._sums)
        origins = torch.where(seen, self._origins, added._origins)
        self._move(origins)
        added._move(origins)
        for mine, theirs in zip(self._gathered(), added._gathered(), strict=True):
            mine += theirs

    def _gathered(self) -> list[Tensor]:
        """The sums."""
        found = [self._counts, self._sums, self._squares]
        return found if self._scatter is None else [*found, self._scatter]

    def all_reduce(self, group: Any = None) -> None:
        """Merge those of all processes of a `torch.distributed` group, in every one of them."""
        from torch import distributed

        rank, processes = distributed.get_rank(group), distributed.get_world_size(group)
        first = torch.where(self._counts > 0, rank, processes)
        distributed.all_reduce(first, distributed.ReduceOp.MIN, group=group)
        origins = torch.where((first == rank)[:, None], self._origins, 0)
        distributed.all_reduce(origins, group=group)
        self._move(origins)
        for each in self._gathered():
            distributed.all_reduce(each, group=group)

    def moments(self) -> Moments:
        """What was gathered. Raises ValueError if a class has no sample."""
        missing = [k for k, count in enumerate(self._counts.tolist()) if count == 0]
        if missing:
            listed = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
            raise ValueError(f"expected samples of every class, got none of class {listed}")
        counts = self._counts.to(self._sums)[:, None]
        shifts = self._sums / counts
        energies = (self._squares - (shifts * self._sums).sum(dim=1)).clamp(min=0)
        scatter = None if self._scatter is None else self._scatter - shifts.mT @ self._sums
        if scatter is not None:
            scatter = scatter.tril() + scatter.tril(-1).mT
        return Moments(tuple(self._counts.tolist()), (self._origins + shifts).mT, energies, scatter)

    def _copy(self, like: Tensor) -> Accumulator:
        copied = Accumulator(
            self.classes, self.dimension, scatter=self._scatter is not None, device=like.device, dtype=like.dtype
        )
        copied._origins.copy_(self._origins)
        for target, source in zip(copied._gathered(), self._gathered(), strict=True):
            target.copy_(source)
        return copied

    def _move(self, origins: Tensor) -> None:
        """Take all sums about other points."""
        gaps = torch.where((self._counts > 0)[:, None], self._origins - origins, 0)
        counts = self._counts.to(gaps)
        weighted = counts[:, None] * gaps
        self._squares += (gaps * (2 * self._sums + weighted)).sum(dim=1)
        if self._scatter is not None:
            mixed = gaps.mT @ self._sums
            self._scatter += mixed + mixed.mT + gaps.mT @ weighted
        self._sums += weighted
        self._origins.copy_(origins)
        self._rounded = None


class _Deviations:
    """Rows less the origins of their classes, exact where they are close, in memory that is used again and again."""

    def __init__(self, parts: int) -> None:
        self.parts = parts  # that the memory holds
        self.rows = 0  # that are in it
        self._memory: Tensor | None = None

    def next(self, rows: Tensor, origins: Tensor, labels: Tensor) -> Tensor:
        """Those of the next part, no larger than the first: they stay until the memory is full."""
        if self._memory is None:
            self._memory = origins.new_empty(self.parts * len(rows), rows.shape[1])
        if self.rows + len(rows) > len(self._memory) or self.parts == 1:
            self.rows = 0
        found = self._memory[self.rows : self.rows + len(rows)]
        self.rows += len(rows)
        torch.index_select(origins, 0, labels, out=found)
        return torch.sub(rows.to(origins), found, out=found)

    @property
    def full(self) -> bool:
        """No room for another part."""
        return self._memory is not None and self.rows + len(self._memory) // self.parts > len(self._memory)

    def taken(self) -> Tensor:
        """All that are in the memory, which is free again."""
        assert self._memory is not None
        found, self.rows = self._memory[: self.rows], 0
        return found


def check_rows(features: Tensor, labels: Tensor, classes: int, dimension: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Parts of a batch of features (rows, d) and labels (rows,), all of it checked before the first."""
    if not isinstance(features, Tensor) or features.ndim != 2 or features.shape[1] != dimension:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"expected features of shape (rows, {dimension}), got {shape}")
    if not features.is_floating_point():
        raise ValueError(f"expected features of a floating dtype, got {features.dtype}")
    integral = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not integral or labels.dtype == torch.bool or labels.shape != features.shape[:1]:
        found = (
            f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        )
        raise ValueError(f"expected {len(features)} integer labels, one a row of the features, got {found}")
    if labels.numel() and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(f"expected labels in 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")
    if not bool(torch.isfinite(features.sum())):  # one quick pass; a finite sum has finite terms
        check_finite("features", features)
    wide = features if features.dtype in (torch.float32, torch.float64) else features.float()
    rows = max(PART // dimension, 64)
    return zip(wide.split(rows), labels.long().split(rows), strict=True)
