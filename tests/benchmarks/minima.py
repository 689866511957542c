"""Row 3: time until the Gram matrices of a deep linear model are right, by gradient descent and by minimisation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from run import Comparison, Contender
from tightframe.numerics import descent, initialisers, minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from torch import Tensor
from trajectory import COUNTS, DECAY, DEPTHS, MOMENTUM, RATE, Frame, experiment, plain

COARSE, FINE = 1e-4, 1e-8
ROWS = (3,)  # of the comparisons
LIMIT = 15000  # iterations of the plain loop


def worst(frame: Frame, product: Tensor, means: Tensor) -> float:
    return max(float(distance) for distance in frame.distances(product, means))


def plain_iterations(start: Factors, frame: Frame) -> tuple[int, float, float]:
    """Iterations of the plain float32 loop until it is coarsely right, its error then, and the least one it reaches."""
    errors: list[float] = []

    def watch(parameters: list[Tensor], one_hot: Tensor) -> None:
        count.append(1)
        if len(count) % 20 == 0:
            product = parameters[-2]
            for weight in reversed(parameters[:-2]):
                product = product @ weight
            errors.append(worst(frame, product, parameters[-1] @ one_hot.T / one_hot.sum(1)))

    count: list[int] = []
    plain(start, LIMIT, watch=watch)
    first = next((row for row, error in enumerate(errors) if error <= COARSE), len(errors) - 1)
    return 20 * (first + 1), errors[first], min(errors)


def tolerance_for(model: DeepLinearUFM, start: Factors, frame: Frame, error: float) -> tuple[float, float]:
    """The largest power of ten that is accurate, and how accurate."""
    for power in range(1, 13):
        end = minimisation.minimise(model, start, tolerance=10.0**-power).value
        if (found := worst(frame, end.product, end.features)) <= error:
            return 10.0**-power, found
    raise AssertionError("minimisation does not get so far")


def compared(depth: int) -> Comparison:
    model, start = experiment(depth)
    frame = Frame.of(model)
    iterations, error, floor = plain_iterations(start, frame)
    narrow = DeepLinearUFM(COUNTS, 2 * len(COUNTS), depth, DECAY)
    narrow_start = initialisers.gaussian(narrow, seed=0, scale=0.5, collapsed=True)
    ways = [(model, start, COARSE), (model, start, FINE), (narrow, narrow_start, COARSE), (narrow, narrow_start, FINE)]
    contenders = [
        Contender(
            f"plain loop, {iterations} iterations (least error in {LIMIT}: {floor:.0e})",
            lambda: plain(start, iterations),
            error,
        ),
        Contender(
            "`gradient_descent`, as many",
            lambda: descent.gradient_descent(model, start, iterations, RATE, MOMENTUM),
        ),
    ]
    for each, first, wanted in ways:
        tolerance, found = tolerance_for(each, first, frame, wanted)
        contenders.append(
            Contender(
                f"`minimise`, d = {each.sizes[0][1]}, tolerance {tolerance:.0e}",
                lambda each=each, first=first, tolerance=tolerance: minimisation.minimise(
                    each, first, tolerance=tolerance
                ),
                found,
            )
        )
    return Comparison(
        3,
        f"Gram matrices of the minimum, deep linear MSE, M = {depth}",
        "the largest normalised Frobenius distance of W W^T, Hbar^T Hbar, W Hbar from the minimum to 1e-13",
        f"300 to {COARSE:.0e}, and {FINE:.0e} reached",
        contenders,
    )


def comparisons() -> Iterator[Comparison]:
    """The experiment of rows 1 and 2; the minimum has the same Gram matrices at any width d >= K."""
    torch.set_num_threads(1)
    for depth in DEPTHS:
        yield compared(depth)
