"""Row 5: the metrics of stored float32 features, in one call, beside three passes as public packages make them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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


def peak(work: Callable[[], object]) -> float | None:
    """MiB that the process takes meanwhile, above what it has before: on Linux, else None."""
    here = Path("/proc/self")
    if not (here / "clear_refs").exists():
        return None
    work()  # what is made once, such as threads and caches, counts for neither
    ctypes.CDLL(None).malloc_trim(0)  # what was freed is given back, so that it is counted when it is taken again
    (here / "clear_refs").write_text("5")  # the peak begins anew

    def status(name: str) -> int:
        lines = (here / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    before = status("VmRSS")
    work()
    return (status("VmHWM") - before) / 1024


def rate(rows: int, dimension: int) -> float:
    """GFLOP a second of one float32 product of so many rows: what this machine can do."""
    columns = torch.ones(rows, dimension)
    columns.mT @ columns
    began = time.perf_counter()
    columns.mT @ columns
    return 2e-9 * rows * dimension**2 / (time.perf_counter() - began)


def beside(features: Tensor, labels: Tensor, classes: int) -> str:
    """Memory of both, and what bounds the time where all products of columns are needed."""
    theirs, mine = peak(lambda: plain(features, labels, classes)), peak(lambda: ours(features, labels))
    lines = []
    if theirs is not None and mine is not None:
        ratio = f"{theirs / mine:.3g} times less" if mine > 1 else "too little for a ratio"
        lines.append(
            f"Memory at the peak, beside the features: three passes {theirs:.0f} MiB, ours {mine:.0f}: {ratio}."
        )
    if 2 * (classes - 1) > features.shape[1]:
        work = 1e-9 * len(features) * features.shape[1] ** 2
        can = rate(len(features) // 4, features.shape[1])
        lines.append(
            f"Half of the products of columns are {work:.3g} GFLOP, {work / can:.2g} s at the {can:.3g} GFLOP/s of one "
            "product here: about the floor of every way that makes them."
        )
    return " ".join(lines)


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
            lambda f=features, y=labels, k=classes: beside(f, y, k),
        )
