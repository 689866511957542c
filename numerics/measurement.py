"""All metrics of collapse of stored features in one call, in one or two passes over them.

A d x d matrix is made only where there are so many classes that projections on their means would cost more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from . import statistics
from .moments import Accumulator, Moments, check_rows
from .shapes import check_compatible, check_matrix

__all__ = ["METRICS", "Measurement", "measure"]

# What one pass over the features is enough for; `nc1_pinv` needs moments with their scatter.
METRICS: dict[str, Callable[[Moments], Tensor]] = {
    "within_trace": lambda moments: moments.energies.sum(dim=-1) / moments.samples,
    "between_trace": lambda moments: statistics.mean_singular_values(moments).square().sum(dim=-1),
    "nc1_pinv": statistics.nc1_pinv,
    "nc1_trace_quotient": statistics.nc1_trace_quotient,
    "cdnv": statistics.cdnv,
    "nc2_norm_deviation": statistics.nc2_norm_deviation,
    "nc2_angle_deviation": statistics.nc2_angle_deviation,
    "nc2_etf_distance": statistics.nc2_etf_distance,
    "nc2_of_distance": lambda moments: statistics.nc2_frame_distance(moments, "of"),
    "nc2_gof_distance": lambda moments: statistics.nc2_frame_distance(moments, "gof"),
    "mean_effective_rank": lambda moments: statistics.effective_rank(statistics.mean_singular_values(moments)),
}


@dataclass(frozen=True)
class Measurement:
    """The metrics of `statistics`, by their names there; NC3 and NC4 are None without a classifier.

    `within_trace` and `between_trace` are tr(Sigma_W) and tr(Sigma_B), `mean_effective_rank` the effective rank of the
    centred class means, at most K - 1. `moments` are class sizes, means and energies.
    """

    moments: Moments
    within_trace: float
    between_trace: float
    nc1_pinv: float
    nc1_trace_quotient: float
    cdnv: float
    nc2_norm_deviation: float
    nc2_angle_deviation: float
    nc2_etf_distance: float
    nc2_of_distance: float
    nc2_gof_distance: float
    mean_effective_rank: float
    nc3_alignment: float | None
    nc4_agreement: float | None

    @property
    def metrics(self) -> dict[str, float | None]:
        """All numbers by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "moments"}


def measure(
    features: Tensor, labels: Tensor, classifier: Tensor | None = None, bias: Tensor | None = None
) -> Measurement:
    """Metrics of features (rows, d) with integer labels (rows,) in 0..K-1, each class present.

    The classifier is (K, d), the bias (K,) or None for zero. Means and sums are kept in float64, samples in their own
    dtype. Raises ValueError for what the metrics refuse: shapes or labels that do not fit, NaN, a class without
    samples, one sample in every class, class means that are equal.

    >>> import torch
    >>> from tightframe.numerics.measurement import measure
    >>> features, labels = torch.tensor([[0.0], [10.0], [4.0], [14.0]]), torch.tensor([0, 1, 0, 1])
    >>> found = measure(features, labels, classifier=torch.tensor([[-1.0], [1.0]]), bias=torch.tensor([7.0, -7.0]))
    >>> round(found.nc1_pinv, 6), round(found.nc1_trace_quotient, 6), found.nc3_alignment, found.nc4_agreement
    (0.08, 0.16, 0.0, 1.0)
    """
    if not isinstance(features, Tensor) or features.ndim != 2 or not len(features):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"expected features of shape (rows, d), got {shape}")
    classes = max(2, int(labels.max()) + 1) if isinstance(labels, Tensor) and labels.numel() else 2
    if classes > len(features):
        raise ValueError(f"expected at most {len(features)} classes, one a row, got label {classes - 1}")
    many = 2 * (classes - 1) > features.shape[1]
    gathered = Accumulator(classes, features.shape[1], scatter=many, device=features.device)
    gathered.update(features, labels)
    moments = gathered.moments()
    weights = None if classifier is None else _classifier(classifier, bias, moments)
    quotient = float(statistics.nc1_trace_quotient(moments))  # refuses what has no NC1
    axes = statistics.between_axes(moments)
    root = statistics.inverse_root(axes, classes)
    whitened = statistics.energy_along(moments, root) if many else _along(gathered, features, labels, root)
    agreeing = None if weights is None else _agreeing(moments, features, labels, *weights)
    dear = {
        "between_trace": float(axes[1].square().sum()),
        "nc1_pinv": float(whitened) / (moments.samples * classes),
        "nc1_trace_quotient": quotient,
        "mean_effective_rank": float(statistics.effective_rank(axes[1])),
    }
    return Measurement(
        moments=moments,
        nc3_alignment=None if weights is None else float(statistics.nc3_alignment(weights[0], moments)),
        nc4_agreement=None if agreeing is None else agreeing / moments.samples,
        **dear,
        **{name: float(metric(moments)) for name, metric in METRICS.items() if name not in dear},
    )


def _classifier(classifier: Tensor, bias: Tensor | None, moments: Moments) -> tuple[Tensor, Tensor]:
    check_matrix("classifier", classifier, rows=moments.classes, columns=moments.dimension)
    weights = classifier.detach().to(moments.means)
    if bias is None:
        return weights, weights.new_zeros(moments.classes)
    if tuple(bias.shape) != (moments.classes,):
        raise ValueError(f"expected a bias of shape ({moments.classes},), got {tuple(bias.shape)}")
    check_compatible(bias=bias[None, :], classifier=classifier)
    return weights, bias.detach().to(weights)


def _along(gathered: Accumulator, features: Tensor, labels: Tensor, basis: Tensor) -> float:
    """Sum of ||P^T (h - mu_k)||^2 over all samples."""
    parts = gathered.projected(features, labels, basis)
    return sum(float(within.square().sum(dtype=torch.float64)) for within in parts)


def _agreeing(moments: Moments, features: Tensor, labels: Tensor, weights: Tensor, bias: Tensor) -> int:
    """How many decisions of the classifier are those of the nearest class means."""
    found = 0
    for rows, _ in check_rows(features, labels, moments.classes, moments.dimension):
        logits = rows @ weights.to(rows).mT + bias.to(rows)
        found += int((logits.argmax(dim=1) == statistics.nearest_means(moments, rows)).sum())
    return found
