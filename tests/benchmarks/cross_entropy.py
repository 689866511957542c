"""Row 6: gradient descent on deep linear models with cross-entropy as in Garrod et al. 2025, 100 seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from run import Comparison, Contender
from tightframe.numerics import descent, initialisers
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from torch import Tensor
from trajectory import difference

CLASSES, PER_CLASS, WIDTH, DEPTH, DECAY, RATE, SEEDS = 10, 5, 70, 2, 2.0**-10, 0.5, 100
ROWS = (6,)  # of the comparisons
ITERATIONS = 100  # a run to a critical point makes 10^4 to 10^5
LONG, FEW = 2000, 4  # iterations and seeds of the trajectories that are compared
EQUAL = 1e-10
MODEL = DeepLinearUFM((PER_CLASS,) * CLASSES, WIDTH, DEPTH, DECAY, loss="ce")


def plain(start: Factors, iterations: int, dtype: torch.dtype = torch.float32) -> list[list[Tensor]]:
    """The loop as one writes it: one seed after the other, autograd, torch.optim.SGD, all columns."""
    labels = torch.repeat_interleave(torch.arange(CLASSES), PER_CLASS)
    ends: list[list[Tensor]] = []
    for seed in range(*start.batch):
        parameters = [tensor[seed].to(dtype).clone().requires_grad_(True) for tensor in start.tensors]
        optimiser = torch.optim.SGD(parameters, lr=RATE)
        for _ in range(iterations):
            optimiser.zero_grad()
            outputs = parameters[-1]
            for weight in parameters[:-1]:
                outputs = weight @ outputs
            loss = torch.nn.functional.cross_entropy(outputs.T, labels)
            loss = loss + DECAY / 2 * sum((parameter.square().sum() for parameter in parameters), torch.zeros(()))
            loss.backward()
            optimiser.step()
        ends.append([parameter.detach() for parameter in parameters])
    return ends


def ours(start: Factors, iterations: int) -> Factors:
    return descent.gradient_descent(MODEL, start, iterations, RATE).value.factors.map(lambda tensor: tensor[-1])


def spread(factors: Factors) -> Factors:
    """Features of classes as those of all samples."""
    if factors.features.shape[-1] == MODEL.samples:
        return factors
    return replace(factors, features=torch.repeat_interleave(factors.features, PER_CLASS, dim=-1))


def errors(start: Factors) -> tuple[float, float]:
    """Largest differences of an entry of the factors from the plain loop in float64: of the one in float32, of ours."""
    some = start.map(lambda tensor: tensor[:FEW])
    exact, single, end = (
        plain(spread(some), LONG, torch.float64),
        plain(spread(some), LONG),
        spread(ours(some, LONG)).tensors,
    )
    found = max(difference([tensor[seed] for tensor in end], expected) for seed, expected in enumerate(exact))
    if found > EQUAL:
        raise AssertionError(f"the trajectories differ by {found:.1e}")
    return max(difference(a, b) for a, b in zip(single, exact, strict=True)), found


def compared(kind: str, name: str, wanted: str, start: Factors) -> Comparison:
    single, found = errors(start)
    return Comparison(
        6,
        f"{ITERATIONS} iterations of gradient descent with cross-entropy, {SEEDS} seeds, K = {CLASSES}, "
        f"n = {PER_CLASS}, d = {WIDTH}, L = {DEPTH}, {kind}",
        f"the largest difference of an entry of the factors from the plain loop in float64 after {LONG} iterations",
        wanted,
        (
            Contender("plain loop, float32 autograd", lambda: plain(spread(start), ITERATIONS), single),
            Contender(name, lambda: ours(start, ITERATIONS), found),
        ),
    )


def comparisons() -> Iterator[Comparison]:
    """From features of any kind in all columns; from collapsed ones, which stay so, in class means."""
    torch.set_num_threads(1)
    start = initialisers.gaussian(MODEL, 0, 0.1, (SEEDS,))
    yield compared("any features", "`gradient_descent`, float64, all columns", "15", start)
    collapsed = initialisers.gaussian(MODEL, 0, 0.1, (SEEDS,), collapsed=True)
    yield compared("collapsed features", "`gradient_descent`, float64, class means", "34", collapsed)
