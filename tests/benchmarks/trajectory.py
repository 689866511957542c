"""Row 1: gradient descent on deep linear models as in Dang et al. 2023."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from run import Comparison, Contender, duration, sample
from tightframe.numerics import descent, initialisers, minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from torch import Tensor

COUNTS, WIDTH, DECAY, RATE, MOMENTUM = (200, 100, 50, 50), 64, 5e-4, 0.1, 0.9
ROWS = (1,)  # of the comparisons
DEPTHS = (1, 3, 6)
ITERATIONS = 1000  # the paper makes 30000


def experiment(depth: int) -> tuple[DeepLinearUFM, Factors]:
    model = DeepLinearUFM(COUNTS, WIDTH, depth, DECAY)
    return model, initialisers.gaussian(model, seed=0)


def plain(
    start: Factors,
    iterations: int,
    dtype: torch.dtype = torch.float32,
    watch: Callable[[list[Tensor], Tensor], object] | None = None,
) -> list[Tensor]:
    """The loop as one writes it: one run, autograd, torch.optim.SGD, all columns. `watch` sees (W_1, ..., H) and W."""
    parameters = [tensor.to(dtype).clone().requires_grad_(True) for tensor in start.tensors]
    targets = torch.repeat_interleave(torch.eye(len(COUNTS), dtype=dtype), torch.tensor(COUNTS), dim=1)
    optimiser = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM)
    for _ in range(iterations):
        optimiser.zero_grad()
        outputs = parameters[-1]
        for weight in parameters[:-1]:
            outputs = weight @ outputs
        loss = (outputs - targets).square().sum() / (2 * sum(COUNTS))
        loss = loss + DECAY / 2 * sum((parameter.square().sum() for parameter in parameters), torch.zeros(()))
        loss.backward()
        optimiser.step()
        if watch is not None:
            with torch.no_grad():
                watch(parameters, targets)
    return [parameter.detach() for parameter in parameters]


@dataclass(frozen=True)
class Frame:
    """What W W^T, Hbar^T Hbar and W Hbar tend to; here the minimum, found by direct minimisation."""

    grams: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, model: DeepLinearUFM) -> Frame:
        best = minimisation.global_minimum(model, seed=0, tolerance=1e-13).value.best
        return cls(grams(best.product, best.features))

    def distances(self, product: Tensor, means: Tensor) -> list[Tensor]:
        """|| A/||A|| - B/||B|| ||_F for each of the three."""
        unit = [(a / a.norm(), b) for a, b in zip(self.grams, grams(product, means), strict=True)]
        return [torch.linalg.matrix_norm(b / torch.linalg.matrix_norm(b, keepdim=True) - a.to(b)) for a, b in unit]


def grams(product: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return product @ product.mT, means.mT @ means, product @ means


def difference(actual: list[Tensor], expected: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(actual, expected, strict=True))


def per_iteration(model: DeepLinearUFM, start: Factors) -> float:
    """Seconds of an iteration of `gradient_descent`, without what comes before and after them."""

    def spent(iterations: int) -> float:
        return min(sample(lambda: descent.gradient_descent(model, start, iterations, RATE, MOMENTUM)) for _ in range(5))

    return (spent(2 * ITERATIONS) - spent(ITERATIONS)) / ITERATIONS


def calls_alone(depth: int) -> float:
    """Seconds of the same calls, where there is next to nothing to compute."""
    tiny = DeepLinearUFM((2, 2), 2, depth, DECAY)
    return per_iteration(tiny, initialisers.gaussian(tiny, seed=0))


def bounds(depth: int) -> str:
    """What an iteration takes, and of what that is."""
    model, start = experiment(depth)
    columns = len(COUNTS) + min(WIDTH, sum(COUNTS) - len(COUNTS))
    weights = WIDTH * WIDTH * (depth - 1) + len(COUNTS) * WIDTH
    operations = 6 * len(COUNTS) * (WIDTH * WIDTH * (depth - 1) + WIDTH * columns)
    whole, calls = per_iteration(model, start), calls_alone(depth)
    state, velocity = torch.zeros(2, weights + WIDTH * columns, dtype=torch.float64)

    def pass_over() -> None:
        state.lerp_(velocity, 0.1)
        torch.add(velocity, state, alpha=0.9, out=velocity)

    passes = min(sample(pass_over) for _ in range(5))
    return (
        f"An iteration takes {duration(whole)}: the same calls on matrices of 2 x 2 take {duration(calls)} (dispatch), "
        f"the two passes over the {weights + WIDTH * columns} numbers of state and velocity {duration(passes)} with "
        f"their own calls, and {operations:,} operations are made. {TRIED}"
    )


# Measured on 2026-11-21 on one core of an AMD EPYC, in time of the process, the least of nine runs.
TRIED = (
    "Tried: velocities with one operation a matrix took 19.6, 37.7 and 67.5 us an iteration for M = 1, 3, 6; all "
    "gradients in one tensor, and velocity and decay as one moving average, 15.3, 29.6 and 54.6 us, at the same error."
)


def trajectories(depth: int) -> Comparison:
    model, start = experiment(depth)
    exact = plain(start, ITERATIONS, torch.float64)
    end = descent.gradient_descent(model, start, ITERATIONS, RATE, MOMENTUM).value.factors.map(lambda x: x[-1])
    return Comparison(
        1,
        f"{ITERATIONS} iterations of SGD, deep linear MSE, M = {depth}",
        "the largest difference of an entry of the factors from torch.optim.SGD in float64 at the end",
        "27 (M = 1), 14 (M = 3), 11 (M = 6), to 1e-12",
        (
            Contender(
                "plain loop, float32 autograd",
                lambda: plain(start, ITERATIONS),
                difference(plain(start, ITERATIONS), exact),
            ),
            Contender("plain loop, float64 autograd", lambda: plain(start, ITERATIONS, torch.float64), 0.0),
            Contender(
                "`gradient_descent`, float64",
                lambda: descent.gradient_descent(model, start, ITERATIONS, RATE, MOMENTUM),
                difference(list(end.tensors), exact),
            ),
        ),
        lambda: bounds(depth),
    )


def comparisons() -> Iterator[Comparison]:
    """K = 4, n = 200, 100, 50, 50, d = 64, decay 5e-4, rate 0.1, momentum 0.9."""
    for depth in DEPTHS:
        yield trajectories(depth)
