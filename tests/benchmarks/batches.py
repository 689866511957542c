"""Row 4: many runs of deep linear models in one call against one at a time, through the same public functions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from run import Comparison, Contender
from tightframe.numerics import descent, initialisers, minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors

COUNTS, WIDTH = (20, 10, 5, 5), 8
ROWS = (4,)  # of the comparisons
ITERATIONS = 100


def configurations(depth: int, runs: int) -> tuple[DeepLinearUFM, Factors, torch.Tensor]:
    """As many seeds as decays, from 1e-4 to 1e-2."""
    model = DeepLinearUFM(COUNTS, WIDTH, depth, 1e-3)
    start = initialisers.gaussian(model, 0, 0.5, (runs,), collapsed=True)
    decays = torch.logspace(-4, -2, runs, dtype=torch.float64)
    return model, start, decays.unsqueeze(-1).expand(-1, depth + 1)


def compared_descent(depth: int, runs: int) -> Comparison:
    model, start, decays = configurations(depth, runs)

    def run(some: slice) -> Factors:
        part = start.map(lambda tensor: tensor[some])
        return descent.gradient_descent(model, part, ITERATIONS, 0.1, 0.9, decays=decays[some]).value.factors

    together, apart = run(slice(None)), [run(slice(i, i + 1)) for i in range(0, runs, runs // 16)]
    rows = [together.map(lambda tensor, i=i: tensor[:, i : i + 1]) for i in range(0, runs, runs // 16)]
    pairs = [(a, b) for x, y in zip(apart, rows, strict=True) for a, b in zip(x.tensors, y.tensors, strict=True)]
    error = max(float((a - b).abs().max()) for a, b in pairs)
    return Comparison(
        4,
        f"{runs} runs of {ITERATIONS} iterations of `gradient_descent`, d = {WIDTH}, M = {depth}",
        "the largest difference of an entry between a run in the batch and alone",
        "8-45 at about 1024",
        (
            Contender("one at a time", lambda: [run(slice(i, i + 1)) for i in range(runs)], 0.0),
            Contender("in one call", lambda: run(slice(None)), error),
        ),
    )


def compared_minimisation(depth: int, runs: int) -> Comparison:
    model, start, decays = configurations(depth, runs)

    def run(some: slice) -> minimisation.MinimisationStats:
        return minimisation.minimise(model, start.map(lambda tensor: tensor[some]), decays[some]).stats

    together = run(slice(None))
    assert bool(together.converged.all())
    apart = torch.cat([run(slice(i, i + 1)).loss for i in range(0, runs, runs // 16)])
    error = float((together.loss[:: runs // 16] / apart - 1).abs().max())
    return Comparison(
        4,
        f"{runs} minima by `minimise` to a scaled gradient norm of 1e-10, d = {WIDTH}, M = {depth}",
        "the largest relative difference of a loss between a run in the batch and alone",
        "8-45 at about 1024",
        (
            Contender("one at a time", lambda: [run(slice(i, i + 1)) for i in range(runs)], 0.0),
            Contender("in one call", lambda: run(slice(None)), error),
        ),
    )


def comparisons() -> Iterator[Comparison]:
    """Seeds and decays differ from run to run."""
    for depth, minima in ((1, 1024), (3, 256)):  # one at a time they take long
        yield compared_descent(depth, 1024)
        yield compared_minimisation(depth, minima)
