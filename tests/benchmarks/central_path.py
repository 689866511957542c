"""Row 8: the SNR singular values along the central path of han2022, to 1e-6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from run import Comparison, Contender
from tightframe.numerics import flow, linalg, statistics
from tightframe.numerics.integrators import RK4, TimeGrid, Trajectory, geometric_grid, integrate, uniform_grid
from tightframe.numerics.models import Features
from tightframe.theory import first_integral
from torch import Tensor

ROWS = (8,)  # of the comparisons
ACCURACY = 1e-6
CHECKPOINTS = 40


def closed_form(w0: Sequence[float], times: Sequence[float], classes: int, per_class: int) -> np.ndarray:
    """w (T, K - 1) by the theory: the one place where this benchmark asks it."""
    return first_integral.singular_values(np.array(w0), np.array(times)[:, None], classes, per_class).value


def of_means(means: Tensor) -> Tensor:
    """w of class means where Sigma_W = I."""
    return linalg.singular_values(means - means.mean(-1, keepdim=True))[..., : means.shape[-1] - 1]


def plain_flow(start: Features, grid: TimeGrid, record: int) -> Trajectory:
    """In feature space as one writes it down from the paper: normal equations, and the projection G - S R."""
    x, y = start.values, start.one_hot
    samples, averaging = start.samples, (y.mT / y.sum(-1))

    def velocity(time: float, x: Tensor) -> Tensor:
        rows = torch.cat([x, torch.ones_like(x[:1])])
        weights = torch.linalg.solve(rows @ rows.mT, rows @ y.mT).mT
        gradient = weights[:, :-1].mT @ (weights @ rows - y) / samples
        residuals = x - (x @ averaging) @ y
        cross = gradient @ residuals.mT
        return (cross + cross.mT) / (2 * samples) @ residuals - gradient

    return integrate(velocity, x, grid, RK4, record).value


def of_features(trajectory: Trajectory, counts: tuple[int, ...]) -> Tensor:
    return statistics.snr_singular_values(Features(trajectory.states, counts))


def error(start: Features, w0: Sequence[float], grid: TimeGrid) -> float:
    """The largest relative error of a singular value at any time of the grid."""
    path = flow.class_mean_flow(statistics.class_means(start), start.class_counts, grid, record=1).value
    exact = closed_form(w0, path.times.tolist(), start.classes, start.class_counts[0])
    return float(np.abs(of_means(path.states).numpy() / exact - 1).max())


def coarsest(start: Features, w0: Sequence[float], end: float, first: float | None) -> TimeGrid:
    """The grid of fewest steps, within a tenth, that is accurate."""
    steps = 10
    while True:
        grid = uniform_grid(end, steps) if first is None else geometric_grid(end, steps, min(first, end / steps))
        if error(start, w0, grid) <= ACCURACY:
            return grid
        steps += 1 + steps // 10


def compared(w0: Sequence[float], per_class: int, dimension: int, end: float) -> Comparison:
    start = flow.whitened_features(w0, per_class, dimension, seed=0)
    means, counts = statistics.class_means(start), start.class_counts
    uniform = coarsest(start, w0, end, None)
    # From a first step as short as the uniform one, and up to twice as long or eight times shorter: the best of these.
    firsts = [uniform.end / uniform.steps * factor for factor in (2, 1, 1 / 2, 1 / 4, 1 / 8)]
    geometric = min((coarsest(start, w0, end, first) for first in firsts), key=lambda grid: grid.steps)
    every = {grid: max(1, grid.steps // CHECKPOINTS) for grid in (uniform, geometric)}

    def reduced(grid: TimeGrid) -> Tensor:
        return of_means(flow.class_mean_flow(means, counts, grid, record=every[grid]).value.states)

    def feature_space(grid: TimeGrid) -> Tensor:
        return of_features(flow.central_path_flow(start, grid, record=every[grid]).value, counts)

    errors = {grid: error(start, w0, grid) for grid in every}
    times = geometric.times[:: every[geometric]]
    return Comparison(
        8,
        f"central path, K = {len(counts)}, {per_class} samples a class, d = {dimension}, t from 0 to {end:,.0f}",
        "the largest relative error of an SNR singular value at any time of the grid, at most 1e-6",
        "100, class means with geometric steps against uniform steps in feature space; closed form 4700",
        (
            Contender(
                f"plain feature space, {uniform.steps} uniform steps of RK4",
                lambda: of_features(plain_flow(start, uniform, every[uniform]), counts),
                errors[uniform],
            ),
            Contender(
                f"`central_path_flow`, {geometric.steps} geometric steps",
                lambda: feature_space(geometric),
                errors[geometric],
            ),
            Contender(f"`class_mean_flow`, {uniform.steps} uniform steps", lambda: reduced(uniform), errors[uniform]),
            Contender(
                f"`class_mean_flow`, {geometric.steps} geometric steps", lambda: reduced(geometric), errors[geometric]
            ),
            Contender(
                f"closed form (what errors are measured against), {len(times)} times",
                lambda: closed_form(w0, times, len(counts), per_class),
            ),
        ),
    )


def comparisons() -> Iterator[Comparison]:
    """The reference values of the tests, which are small; and ten classes, until collapse (w = 16)."""
    yield compared((2.35060868, 1.62749865, 0.92913709), per_class=7, dimension=5, end=4000.0)
    yield compared(np.linspace(2.0, 0.5, 9).tolist(), per_class=50, dimension=64, end=1e6)
