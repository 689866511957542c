"""Row 2: the gradient descent of row 1 with metrics of collapse at every iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from run import Comparison, Contender, duration, sample
from tightframe.numerics import descent
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.descent import Checkpoints
from torch import Tensor
from trajectory import COUNTS, DEPTHS, ITERATIONS, MOMENTUM, RATE, WIDTH, Frame, experiment, plain

ROWS = (2,)  # of the comparisons
NAMES = ("NC1", "NC2 of W", "NC2 of H", "NC3")


def plain_metrics(parameters: list[Tensor], one_hot: Tensor, frame: Frame) -> list[Tensor]:
    """NC1 by the covariances and a pseudo-inverse; the distances."""
    features, product = parameters[-1], parameters[-2]
    for weight in reversed(parameters[:-2]):
        product = product @ weight
    counts = one_hot.sum(1)
    means = features @ one_hot.T / counts
    within = features - means @ one_hot
    centred = means - features.mean(1, keepdim=True)
    sigma_w = within @ within.T / features.shape[1]
    sigma_b = (centred * counts) @ centred.T / features.shape[1]
    nc1 = torch.trace(sigma_w @ torch.linalg.pinv(sigma_b, rtol=1e-5)) / len(counts)
    return [nc1, *frame.distances(product, means)]


def measures(frame: Frame) -> Callable[[Checkpoints], dict[str, Tensor]]:
    def measure(checkpoints: Checkpoints) -> dict[str, Tensor]:
        distances = frame.distances(checkpoints.product, checkpoints.class_means)
        return dict(zip(NAMES, [checkpoints.nc1, *distances], strict=True))

    return measure


def shares(model: DeepLinearUFM, start: Factors, frame: Frame) -> str:
    """What the iterations take, what their checkpoints do, and what measuring these does."""

    def least(work: Callable[[], object]) -> float:
        return min(sample(work) for _ in range(5))

    def measured(measure: Callable[[Checkpoints], dict[str, Tensor]]) -> float:
        return least(lambda: descent.measured_descent(model, start, ITERATIONS, RATE, measure, MOMENTUM))

    alone = least(lambda: descent.gradient_descent(model, start, ITERATIONS, RATE, MOMENTUM))
    recorded = measured(lambda checkpoints: {"t": checkpoints.iterations})
    nc1 = measured(lambda checkpoints: {"NC1": checkpoints.nc1})
    whole = measured(measures(frame))
    numbers = sum(tensor.numel() for tensor in start.tensors[:-1]) + (len(COUNTS) + WIDTH) * WIDTH
    return (
        f"The iterations take {duration(alone)} (row 1); to copy {numbers:,} numbers after each "
        f"{duration(recorded - alone)}, which is memory traffic; NC1 {duration(nc1 - recorded)}; and the distances, "
        f"W among them, {duration(whole - nc1)}, in batches of {descent.MEASURED // numbers} checkpoints. {TRIED}"
    )


# Measured on 2026-11-21 on one core of an AMD EPYC, in time of the process, the least of five runs.
TRIED = (
    "Tried, for M = 1 and M = 6: batches of 2 MiB of checkpoints take 49 and 217 ms in all, of 16 MiB 40 and 131 ms, "
    "as in small ones the calls take longer than their work."
)


def with_metrics(depth: int) -> Comparison:
    model, start = experiment(depth)
    frame = Frame.of(model)

    def baseline(dtype: torch.dtype = torch.float32) -> Tensor:
        rows: list[list[Tensor]] = []
        plain(start, ITERATIONS, dtype, lambda parameters, y: rows.append(plain_metrics(parameters, y, frame)))
        return torch.stack([torch.stack(row) for row in rows])

    def ours() -> dict[str, Tensor]:
        return descent.measured_descent(model, start, ITERATIONS, RATE, measures(frame), MOMENTUM).value

    exact, measured = baseline(torch.float64), ours()
    table = torch.stack([measured[name][1:] for name in NAMES], dim=1)
    return Comparison(
        2,
        f"{ITERATIONS} iterations with NC1, NC2 of W and H, and NC3 at each, M = {depth}",
        "the largest relative error of a metric at any iteration, against the plain loop in float64",
        "30",
        (
            Contender("plain loop, float32", baseline, float((baseline().double() / exact - 1).abs().max())),
            Contender("`measured_descent`, float64", ours, float((table / exact - 1).abs().max())),
        ),
        lambda: shares(model, start, frame),
    )


def comparisons() -> Iterator[Comparison]:
    """The experiment of row 1."""
    for depth in DEPTHS:
        yield with_metrics(depth)
