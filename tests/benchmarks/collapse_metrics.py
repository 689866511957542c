"""Row 5: the metrics of stored float32 features, in one call, beside three passes as public packages make them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from run import Comparison, Contender
from tightframe.numerics.measurement import measure
from torch import Tensor

SIZES = ((50_000, 512, 10, "4.2"), (50_000, 512, 1000, "7.2"), (10_000, 2048, 100, "16"))
ROWS = (5,)
SPREAD = 1e-2  # of features within a class, beside class means of size one: towards the end of training


def drawn(samples: int, dimension: int, classes: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % classes
    means = 1 + torch.randn(classes, dimension, generator=source)
    return means[labels] + SPREAD * torch.randn(samples, dimension, generator=source), labels


def plain(features: Tensor, labels: Tensor, classes: int) -> tuple[float, float]:
    """NC1 by the pseudo-inverse and the mean CDNV: class means by one-hot labels, covariances, then distances."""
    one_hot = torch.nn.functional.one_hot(labels, classes).to(features)
    counts = one_hot.sum(dim=0)
    means = (one_hot.T @ features) / counts[:, None]
    within = features - one_hot @ means
    sigma_w = within.T @ within / len(features)
    centred = means - features.mean(dim=0)
    sigma_b = centred.T @ (counts[:, None] / len(features) * centred)
    values, basis = torch.linalg.eigh(sigma_b)
    rank = min(classes - 1, features.shape[1])
    inverse = (basis[:, -rank:] / values[-rank:]) @ basis[:, -rank:].T
    nc1 = torch.trace(sigma_w @ inverse) / classes
    variances = (one_hot.T @ within.square().sum(dim=1)) / counts
    squares = torch.cdist(means, means).square()
    rows, columns = torch.triu_indices(classes, classes, offset=1)
    cdnv = ((variances[rows] + variances[columns]) / (2 * squares[rows, columns])).mean()
    norms = centred.norm(dim=1)
    cosines = (centred / norms[:, None]) @ (centred / norms[:, None]).T
    torch.stack([norms.std() / norms.mean(), (cosines[rows, columns] + 1 / (classes - 1)).abs().mean()])
    return float(nc1), float(cdnv)


def ours(features: Tensor, labels: Tensor) -> tuple[float, float]:
    found = measure(features, labels)
    return found.nc1_pinv, found.cdnv


def deviation(found: tuple[float, float], exact: tuple[float, float]) -> float:
    return max(abs(a / b - 1) for a, b in zip(found, exact, strict=True))


def comparisons() -> Iterator[Comparison]:
    torch.set_num_threads(1)
    for samples, dimension, classes, wanted in SIZES:
        features, labels = drawn(samples, dimension, classes)
        exact = plain(features.double(), labels, classes)
        ours_off, plain_off = (
            deviation(ours(features, labels), exact),
            deviation(plain(features, labels, classes), exact),
        )
        yield Comparison(
            5,
            f"{samples:,} features of dimension {dimension}, {classes} classes, float32",
            "the larger relative deviation of NC1 and CDNV from three passes in float64",
            wanted,
            (
                Contender("three passes", lambda f=features, y=labels, k=classes: plain(f, y, k), plain_off),
                Contender("`measure`, two passes, NC1 to NC3", lambda f=features, y=labels: ours(f, y), ours_off),
            ),
        )
