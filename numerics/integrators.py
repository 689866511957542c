"""Explicit Runge-Kutta methods of a declared order, time grids, and the integration of dx/dt = f(t, x) on tensors.

The step is fixed by the grid, never adapted: two runs with the same arguments give the same numbers, and the order of a
method shows when `TimeGrid.refined` halves its steps. "Butcher 2016" is Butcher, Numerical Methods for Ordinary
Differential Equations, third edition; "Hairer 2006" is Hairer, Lubich & Wanner, Geometric Numerical Integration, second
edition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .shapes import DTYPES, check_finite, check_size
from .solution import Result, Solution

__all__ = [
    "EULER",
    "MIDPOINT",
    "RK4",
    "ButcherTableau",
    "Field",
    "IntegrationStats",
    "TimeGrid",
    "Trajectory",
    "geometric_grid",
    "integrate",
    "uniform_grid",
]

Field = Callable[[float, Tensor], Tensor]
"""f(t, x): the velocity of the state x (...) at time t, of the shape of x."""

HIGHEST_ORDER = 4  # of the order conditions below


@dataclass(frozen=True)
class ButcherTableau:
    """An explicit Runge-Kutta method of s stages with exact coefficients, and its order.

    Stage i evaluates f at time t + c_i h and state x + h sum_{j < i} a_ij k_j; the step is x + h sum_i b_i k_i.
    `stages` holds the rows of a below the diagonal, so that row i has i entries; `weights` is b, `nodes` is c.
    Construction raises ValueError unless sum b = 1, the row sums of a are c, and the order conditions (Butcher 2016,
    section 314) give exactly the declared order, 1 to 4.

    >>> from tightframe.numerics.integrators import ButcherTableau
    >>> ButcherTableau("Heun", order=3, stages=((), (1,)), weights=("1/2", "1/2"), nodes=(0, 1))
    Traceback (most recent call last):
    ValueError: expected Heun to have the declared order 3, got order conditions that hold up to order 2
    """

    name: str
    order: int
    stages: Sequence[Sequence[Fraction | int | str]]
    weights: Sequence[Fraction | int | str]
    nodes: Sequence[Fraction | int | str]

    def __post_init__(self) -> None:
        a = tuple(tuple(Fraction(x) for x in row) for row in self.stages)
        b, c = tuple(Fraction(x) for x in self.weights), tuple(Fraction(x) for x in self.nodes)
        for name, value in (("stages", a), ("weights", b), ("nodes", c)):
            object.__setattr__(self, name, value)
        if not len(a) == len(b) == len(c) or any(len(row) != i for i, row in enumerate(a)):
            raise ValueError(f"expected {self.name} to have s weights, s nodes and stages of 0, 1, ..., s - 1 entries")
        if sum(b) != 1:
            raise ValueError(f"expected the weights of {self.name} to sum to 1, got {sum(b)}")
        if any(sum(row) != node for row, node in zip(a, c, strict=True)):
            raise ValueError(f"expected the nodes of {self.name} to be the row sums of its stages")
        found = _order(a, b, c)
        if self.order != found:
            raise ValueError(
                f"expected {self.name} to have the declared order {self.order}, "
                f"got order conditions that hold up to order {found}"
            )


Row = tuple[Fraction, ...]


# Butcher 2016, section 314: one condition b . phi(t) = 1/gamma(t) for each rooted tree t with at most four vertices
def _order(a: tuple[Row, ...], b: Row, c: Row) -> int:
    def apply(v: Row) -> Row:
        return tuple(sum((x * y for x, y in zip(row, v, strict=False)), Fraction(0)) for row in a)

    def times(u: Row, v: Row) -> Row:
        return tuple(x * y for x, y in zip(u, v, strict=True))

    one: Row = (Fraction(1),) * len(b)
    square, nested = times(c, c), apply(c)
    conditions = (
        ((one, 1),),
        ((c, 2),),
        ((square, 3), (nested, 6)),
        ((times(square, c), 4), (times(c, nested), 8), (apply(square), 12), (apply(nested), 24)),
    )
    for order, trees in enumerate(conditions):
        if any(sum(times(b, phi)) != Fraction(1, gamma) for phi, gamma in trees):
            return order
    return HIGHEST_ORDER


EULER = ButcherTableau("Euler", 1, ((),), (1,), (0,))
MIDPOINT = ButcherTableau("midpoint", 2, ((), ("1/2",)), (0, 1), (0, "1/2"))
RK4 = ButcherTableau(
    "RK4", 4, ((), ("1/2",), (0, "1/2"), (0, 0, 1)), ("1/6", "1/3", "1/3", "1/6"), (0, "1/2", "1/2", 1)
)


def _check_number(name: str, number: object) -> None:
    if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
        raise ValueError(f"expected {name} to be a finite number, got {number!r}")


@dataclass(frozen=True)
class TimeGrid:
    """Times start = t_0 < ... < t_steps = end, each step `ratio` times the one before; ratio 1 is the uniform grid.

    So t_k = start + (end - start) (ratio^k - 1) / (ratio^steps - 1). Construction raises ValueError for an end that is
    not after the start, no step, or a ratio that is not positive.

    >>> from tightframe.numerics.integrators import TimeGrid
    >>> TimeGrid(start=0.0, end=7.0, steps=3, ratio=2.0).times
    (0.0, 1.0, 3.0, 7.0)
    """

    start: float
    end: float
    steps: int
    ratio: float = 1.0

    def __post_init__(self) -> None:
        for name, number in (("start", self.start), ("end", self.end), ("ratio", self.ratio)):
            _check_number(name, number)
        check_size("steps", self.steps)
        if self.end <= self.start:
            raise ValueError(f"expected an end after the start {self.start!r}, got {self.end!r}")
        if self.ratio <= 0:
            raise ValueError(f"expected ratio > 0, got {self.ratio!r}")

    @property
    def times(self) -> tuple[float, ...]:
        """t_0, ..., t_steps."""
        n, rate = self.steps, math.log(self.ratio)
        if rate == 0:
            parts = [k / n for k in range(n + 1)]
        else:
            decay = -abs(rate)  # (r^k - 1)/(r^n - 1) in powers that do not overflow
            parts = [
                math.expm1(k * decay) / math.expm1(n * decay) * math.exp((k - n) * max(rate, 0)) for k in range(n + 1)
            ]
        return (self.start, *(self.start + (self.end - self.start) * part for part in parts[1:-1]), self.end)

    def refined(self, factor: int = 2) -> TimeGrid:
        """The grid of factor times as many steps that contains this one up to rounding and grows at the same pace.

        >>> from tightframe.numerics.integrators import TimeGrid
        >>> TimeGrid(0.0, 7.0, steps=3, ratio=4.0).refined()
        TimeGrid(start=0.0, end=7.0, steps=6, ratio=2.0)
        """
        check_size("factor", factor)
        return TimeGrid(self.start, self.end, self.steps * factor, self.ratio ** (1 / factor))


def uniform_grid(end: float, steps: int, start: float = 0.0) -> TimeGrid:
    """Equal steps. Raises ValueError as `TimeGrid` does.

    >>> from tightframe.numerics import integrators
    >>> integrators.uniform_grid(end=1.0, steps=4).times
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    return TimeGrid(start, end, steps)


def geometric_grid(end: float, steps: int, first: float, start: float = 0.0) -> TimeGrid:
    """Steps that grow like t: h_k = first + (ratio - 1)(t_k - start), with the ratio that makes them end at `end`.

    For flows that slow down by a power of t. Raises ValueError as `TimeGrid` does, and unless 0 < first <=
    (end - start)/steps: from there on the steps would shrink.

    >>> from tightframe.numerics import integrators
    >>> integrators.geometric_grid(end=7.0, steps=3, first=1.0)
    TimeGrid(start=0.0, end=7.0, steps=3, ratio=2.0)
    """
    even = TimeGrid(start, end, steps)
    _check_number("first", first)
    span = end - start
    if not 0 < first <= span / steps * (1 + 1e-12):
        raise ValueError(f"expected a first step > 0 and at most (end - start)/steps = {span / steps!r}, got {first!r}")
    if steps == 1 or first >= span / steps:
        return even
    # 1 + r + ... + r^(n-1) = span/first; the left side is between r^(n-1) and n r^(n-1)
    low, high = 0.0, math.log(span / first) / (steps - 1)
    while low < (middle := (low + high) / 2) < high:  # until no float lies between
        # log((r^n - 1)/(r - 1)), without overflow
        total = (steps - 1) * middle + math.log(math.expm1(-steps * middle) / math.expm1(-middle))
        low, high = (middle, high) if total < math.log(span / first) else (low, middle)
    return TimeGrid(start, end, steps, math.exp(high))


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Checkpoints of a solution as one batch: states (T, ...) at times (T,), the start and the end included."""

    times: Tensor
    states: Tensor


@dataclass(frozen=True)
class IntegrationStats:
    """Steps taken, evaluations of the field, and the last checkpoint time up to which every state is finite."""

    steps: int
    evaluations: int
    finite_until: float


def integrate(
    field: Field,
    state: Tensor,
    grid: TimeGrid,
    method: ButcherTableau = RK4,
    record: int | None = None,
    retract: Callable[[Tensor], Tensor] | None = None,
) -> Solution[Trajectory, IntegrationStats]:
    """The solution of dx/dt = f(t, x) from `state` (...) at the start of the grid, one step of `method` an interval.

    A batch is leading dimensions of the state that the field treats apart: one trajectory each, on one grid.
    Checkpoints are the start, every `record`-th time of the grid, and the end; by default only the two. `retract` is
    applied after each step. If the solution stays on a set, and `retract` moves a point to it by O(its distance to the
    set), then a method keeps its order (Hairer 2006, section IV.4); otherwise another equation may be solved, to order
    1. Outside autograd.

    Converged means that the checkpoints are finite, in every batch member; where a factorisation inside the field
    fails, the rest is NaN. How accurate they are only another grid tells: `TimeGrid.refined`. Raises ValueError for a
    start that is not finite float64 or float32, a velocity of another shape, or record < 1.

    >>> import torch
    >>> from tightframe.numerics import integrators
    >>> grid = integrators.uniform_grid(end=1.0, steps=50)
    >>> solution = integrators.integrate(lambda t, x: x, torch.ones(2, dtype=torch.float64), grid, record=25)
    >>> [[round(x, 7) for x in row] for row in solution.value.states.tolist()], solution.stats.evaluations
    ([[1.0, 1.0], [1.6487213, 1.6487213], [2.7182818, 2.7182818]], 200)
    """
    if not isinstance(state, Tensor) or state.dtype not in DTYPES:
        raise ValueError("expected the state to be a float64 or float32 tensor")
    check_finite("state", state)
    if record is not None:
        check_size("record", record)
    times = grid.times
    kept = sorted({*range(0, grid.steps, record or grid.steps), grid.steps})
    step, evaluations = _stepper(field, method), 0
    with torch.no_grad():
        checkpoints = [state]
        try:
            for k, (before, after) in enumerate(pairwise(times), 1):
                state = step(before, after - before, state)
                if retract is not None:
                    state = retract(state)
                evaluations += len(method.weights)
                if k == kept[len(checkpoints)]:
                    checkpoints.append(state)
        except _LINALG_ERROR:
            checkpoints += [torch.full_like(state, math.nan)] * (len(kept) - len(checkpoints))
        states = torch.stack(checkpoints)
    finite = torch.isfinite(states.flatten(1)).all(dim=1).tolist()
    count = finite.index(False) if False in finite else len(kept)
    trajectory = Trajectory(torch.tensor([times[k] for k in kept], dtype=torch.float64, device=state.device), states)
    stats = IntegrationStats(evaluations // len(method.weights), evaluations, times[kept[count - 1]])
    return Solution(trajectory, Result.CONVERGED if count == len(kept) else Result.NOT_CONVERGED, stats)


_linalg: Any = torch.linalg
_LINALG_ERROR: type[Exception] = _linalg.LinAlgError


def _stepper(field: Field, method: ButcherTableau) -> Callable[[float, float, Tensor], Tensor]:
    a = [[float(x) for x in row] for row in method.stages]
    b, c = [float(x) for x in method.weights], [float(x) for x in method.nodes]

    def combined(state: Tensor, step: float, weights: list[float], slopes: list[Tensor]) -> Tensor:
        for weight, slope in zip(weights, slopes, strict=True):
            if weight:
                state = torch.add(state, slope, alpha=step * weight)
        return state

    def advance(time: float, step: float, state: Tensor) -> Tensor:
        slopes: list[Tensor] = []
        for row, node in zip(a, c, strict=True):
            slopes.append(field(time + node * step, combined(state, step, row, slopes)))
            if slopes[-1].shape != state.shape:
                shapes = f"{tuple(state.shape)}, got {tuple(slopes[-1].shape)}"
                raise ValueError(f"expected the field to give velocities of the shape of the state {shapes}")
        return combined(state, step, b, slopes)

    return advance
