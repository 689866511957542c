"""Integrators have exactly the order that they declare, on uniform and on geometric grids; grids are what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law, refuses
from strategies import batches, normal_matrix, seeds
from tightframe.numerics.integrators import (
    EULER,
    MIDPOINT,
    RK4,
    ButcherTableau,
    Field,
    TimeGrid,
    geometric_grid,
    integrate,
    uniform_grid,
)
from torch import Tensor

METHODS = [EULER, MIDPOINT, RK4]
HEUN = ButcherTableau("Heun", 2, ((), (1,)), ("1/2", "1/2"), (0, 1))
KUTTA3 = ButcherTableau("Kutta", 3, ((), ("1/2",), (-1, 2)), ("1/6", "2/3", "1/6"), (0, "1/2", 1))
GRIDS = [uniform_grid(1.5, 32), geometric_grid(1.5, 32, first=0.01), geometric_grid(3.0, 32, first=0.02, start=1.0)]


def observed_orders(solve: Callable[[TimeGrid], Tensor], grid: TimeGrid, exact: Tensor | None = None) -> list[float]:
    """The orders that three or four halvings of the steps show: log2 of the quotients of errors.

    Errors against the exact value; without one, differences of successive solutions (Richardson).
    """
    found = [solve(grid.refined(2**k)) for k in range(4)]
    nearer = [exact] * 4 if exact is not None else found[1:]
    errors = [float((value - other).norm()) for value, other in zip(found, nearer, strict=exact is not None)]
    assert errors[-1] > 1e-13, "rounding hides the order"
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


def assert_order(orders: Sequence[float], declared: float) -> None:
    """Within 1/4 of the declared order at every halving, so that neighbouring orders are told apart."""
    assert all(abs(order - declared) <= 0.25 for order in orders), f"orders {orders}, declared {declared}"


def end(field: Field, start: Tensor, method: ButcherTableau, **options: Any) -> Callable[[TimeGrid], Tensor]:
    def solve(grid: TimeGrid) -> Tensor:
        solution = integrate(field, start, grid, method, **options)
        assert solution.converged
        return solution.value.states[-1]

    return solve


def rational(time: float, x: Tensor) -> Tensor:
    """dx/dt = -2 t x^2: not linear, and depends on time."""
    return -2 * time * x * x


def rational_solution(time: float, start: Tensor, before: float = 0.0) -> Tensor:
    return 1 / (1 / start + time**2 - before**2)


@law
def has_order(method: Any, declared: int, grid: TimeGrid) -> None:
    start = torch.tensor([1.0, 0.5], dtype=torch.float64)
    exact = rational_solution(grid.end, start, grid.start)
    assert_order(observed_orders(end(rational, start, method), grid, exact), declared)


@law
def keeps_order_when_retracted(field: Field, retract: Callable[[Tensor], Tensor], method: ButcherTableau) -> None:
    """On the unit circle."""
    start = torch.tensor([0.6, 0.8], dtype=torch.float64)
    solve = end(field, start, method, retract=retract)
    assert_close(solve(uniform_grid(1.5, 32)).norm(), 1.0, 1e-14)
    assert_order(observed_orders(solve, uniform_grid(1.5, 32)), method.order)


@law
def is_geometric(times: tuple[float, ...], start: float, end: float, steps: int, first: float) -> None:
    """Ends exactly at `end`, begins with the step `first`, and every step is the same multiple of the one before."""
    assert (times[0], times[-1], len(times)) == (start, end, steps + 1)
    step = torch.tensor(times, dtype=torch.float64).diff()
    scale = max(abs(start), abs(end))
    assert_close(step[0] / first, 1.0, 1e-9 + 1e-14 * scale / first)
    if steps > 1:
        span = end - start
        ratio = (span - first) / (span - float(step[-1]))
        assert_close(step[1:] / span, ratio * step[:-1] / span, 1e-9)
        assert ratio >= 1 - 1e-9


@law
def refines(refined: TimeGrid, grid: TimeGrid, factor: int) -> None:
    """Contains the grid, and its own steps change in one ratio too."""
    assert_close(torch.tensor(refined.times[::factor]), torch.tensor(grid.times), 1e-12)
    logs = torch.tensor(refined.times, dtype=torch.float64).diff().log().diff()
    assert_close(logs, logs[:1].expand_as(logs), 1e-8)


@law
def integration_is_by_member(solve: Callable[[Tensor], Tensor], start: Tensor) -> None:
    """Checkpoints (T, ..., rows, columns) of a batch are those of its members."""
    flat = start.reshape(-1, *start.shape[-2:])
    single = torch.stack([solve(member) for member in flat], dim=1)
    assert_close(solve(start), single.reshape(single.shape[0], *start.shape), 1e-13)


@law
def records(trajectory: Callable[[int | None], Any], grid: TimeGrid, every: int | None) -> None:
    """The checkpoints are those of a run that records every step, at its times."""
    value, full = trajectory(every).value, trajectory(1).value
    kept = sorted({*range(0, grid.steps, every or grid.steps), grid.steps})
    assert value.times.tolist() == [grid.times[k] for k in kept]
    assert torch.equal(value.states, full.states[kept])


@given(st.floats(-10, 10), st.floats(1e-3, 1e6), st.integers(1, 300), st.floats(1e-9, 1))
@example(-0.5, 0.5, 2, 1.0)  # ends at zero
def test_geometric_grids_start_with_the_given_step_and_grow_by_one_ratio(
    start: float, span: float, steps: int, share: float
) -> None:
    first = share * span / steps if steps > 1 else span
    grid = geometric_grid(start + span, steps, first, start)
    step_is_resolved = first > 1e-6 * max(abs(start), abs(start + span))
    assert list(grid.times) == sorted(grid.times)
    if step_is_resolved:
        is_geometric(grid.times, start, start + span, steps, first)
        refines(grid.refined(3), grid, 3)


@given(st.floats(1e-6, 1e6), st.integers(1, 50))
def test_uniform_grids_are_geometric_with_equal_steps(span: float, steps: int) -> None:
    grid = uniform_grid(span, steps)
    is_geometric(grid.times, 0.0, span, steps, span / steps)
    refines(grid.refined(), grid, 2)


def test_grids_of_any_ratio_neither_overflow_nor_stand_still() -> None:
    for ratio in (1e-3, 0.5, 1 - 1e-12, 1 + 1e-12, 2.0, 1e3):
        times = TimeGrid(0.0, 1.0, steps=150, ratio=ratio).times
        assert all(math.isfinite(t) for t in times)
        assert list(times) == sorted(times)


@pytest.mark.parametrize("grid", GRIDS, ids=["uniform", "geometric", "late"])
@pytest.mark.parametrize("method", [*METHODS, HEUN, KUTTA3], ids=lambda method: method.name)
def test_methods_have_their_declared_order(method: ButcherTableau, grid: TimeGrid) -> None:
    has_order(method, method.order, grid)


def rotation(time: float, x: Tensor) -> Tensor:
    """Tangent to every circle, at a speed that depends on the radius and on time."""
    return (1 + time) * x.square().sum() * torch.stack([-x[1], x[0]])


def normalised(x: Tensor) -> Tensor:
    return x / x.norm()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_retraction_keeps_the_order(method: ButcherTableau) -> None:
    keeps_order_when_retracted(rotation, normalised, method)


@given(seeds(), batches(), st.sampled_from(METHODS))
def test_a_batch_is_a_loop(seed: int, batch: tuple[int, ...], method: ButcherTableau) -> None:
    linear, start = normal_matrix(3, 3, seed), normal_matrix(3, 2, seed + 1, batch)
    grid = geometric_grid(1.0, 7, first=0.05)
    integration_is_by_member(
        lambda x: integrate(lambda t, y: torch.tanh(linear @ y), x, grid, method, record=3).value.states, start
    )


@given(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 12)))
def test_checkpoints_are_states_of_the_run(steps: int, every: int | None) -> None:
    grid = uniform_grid(1.0, steps)
    records(lambda k: integrate(rational, torch.ones(2, dtype=torch.float64), grid, record=k), grid, every)


def test_stats_count_steps_and_evaluations() -> None:
    for method, stages in ((EULER, 1), (MIDPOINT, 2), (RK4, 4)):
        stats = integrate(rational, torch.ones(1), uniform_grid(1.0, 5), method).stats
        assert (stats.steps, stats.evaluations, stats.finite_until) == (5, 5 * stages, 1.0)


def test_a_solution_that_leaves_the_floats_did_not_converge() -> None:
    """dx/dt = x^2 from 1 has no solution at t = 1; in a batch the other members go on."""
    start = torch.tensor([[[1.0]], [[0.1]]], dtype=torch.float64)
    solution = integrate(lambda t, x: x * x, start, uniform_grid(2.0, 40), record=10)
    assert not solution.converged
    assert 0 < solution.stats.finite_until < 2
    assert not torch.isfinite(solution.value.states[-1, 0]).any()
    assert_close(solution.value.states[-1, 1], torch.tensor([[1 / (10 - 2)]]), 1e-6)


def test_a_factorisation_that_fails_inside_the_field_did_not_converge() -> None:
    def field(time: float, x: Tensor) -> Tensor:
        return torch.linalg.cholesky(x) if time < 0.5 else torch.linalg.cholesky(-x)

    solution = integrate(field, torch.eye(2), uniform_grid(1.0, 4), EULER, record=1)
    assert (solution.converged, solution.stats.steps, solution.stats.finite_until) == (False, 2, 0.5)
    assert torch.isnan(solution.value.states[3:]).all()


def test_no_gradient_is_recorded() -> None:
    start = torch.ones(1, requires_grad=True)
    assert not integrate(rational, start, uniform_grid(1.0, 2)).value.states.requires_grad


def test_bad_input_is_refused_in_one_line() -> None:
    def tableau(**changes: Any) -> Callable[[], object]:
        heun: dict[str, Any] = {"stages": ((), (1,)), "weights": ("1/2", "1/2"), "nodes": (0, 1)}
        return lambda: ButcherTableau("Heun", **({"order": 2} | heun | changes))

    refuses(tableau(order=1), "declared order 1, got order conditions that hold up to order 2")
    refuses(tableau(order=3), "declared order 3, got order conditions that hold up to order 2")
    refuses(tableau(weights=("1/4", "3/4")), "declared order 2, got order conditions that hold up to order 1")
    refuses(tableau(weights=("1/2", "1/3")), "expected the weights of Heun to sum to 1, got 5/6")
    refuses(tableau(nodes=(0, "1/2")), "expected the nodes of Heun to be the row sums of its stages")
    refuses(tableau(nodes=(0,)), "expected Heun to have s weights, s nodes")
    refuses(tableau(stages=((0,), (1,))), "stages of 0, 1, ..., s - 1 entries")
    refuses(lambda: uniform_grid(1.0, 3, start=2.0), "expected an end after the start 2.0, got 1.0")
    refuses(lambda: uniform_grid(math.nan, 3), "expected end to be a finite number, got nan")
    refuses(lambda: uniform_grid(1.0, 0), "expected steps to be an integer >= 1")
    refuses(lambda: TimeGrid(0.0, 1.0, 2, ratio=0.0), "expected ratio > 0")
    refuses(lambda: uniform_grid(1.0, 2).refined(0), "expected factor to be an integer >= 1")
    for first in (0.0, -1.0, 0.6):
        refuses(lambda f=first: geometric_grid(1.0, 2, f), "expected a first step > 0 and at most (end - start)/steps")
    refuses(lambda: geometric_grid(1.0, 2, math.inf), "expected first to be a finite number")
    grid = uniform_grid(1.0, 2)
    refuses(lambda: integrate(rational, torch.tensor([math.nan]), grid), "expected finite state")
    refuses(lambda: integrate(rational, torch.ones(2, dtype=torch.int64), grid), "expected the state to be a float64")
    refuses(lambda: integrate(rational, torch.ones(2), grid, record=0), "expected record to be an integer >= 1")
    refuses(lambda: integrate(lambda t, x: x[:1], torch.ones(2), grid), "expected the field to give velocities of the")


def test_every_law_fails_on_a_mutant() -> None:
    grid, start = uniform_grid(1.0, 8), torch.ones(2, 2, 1, dtype=torch.float64)
    growing = geometric_grid(1.0, 8, first=0.01)

    class Mutant:
        """A tableau that no check has seen: the step of RK4 with other weights."""

        name, order, stages, nodes = RK4.name, RK4.order, RK4.stages, RK4.nodes
        weights = (RK4.weights[0], RK4.weights[1], RK4.weights[3], RK4.weights[2])

    def constant(time: float, x: Tensor) -> Tensor:
        """Not tangent to the circle: the step is renormalised, and the order lost."""
        return torch.tensor([0.9, 0.1], dtype=torch.float64)

    def short(every: int | None) -> Any:
        return integrate(rational, torch.ones(1), grid if every == 1 else grid.refined(), record=every)

    mutants = [
        *((has_order, (method, order, g)) for method in METHODS for order in (1, 2, 4) for g in GRIDS[:2]
          if order != method.order),
        (has_order, (HEUN, 3, GRIDS[0])),
        (has_order, (KUTTA3, 2, GRIDS[0])),
        (has_order, (KUTTA3, 4, GRIDS[0])),
        (has_order, (Mutant, 4, GRIDS[0])),
        (keeps_order_when_retracted, (constant, normalised, RK4)),
        (keeps_order_when_retracted, (constant, normalised, MIDPOINT)),
        (keeps_order_when_retracted, (rotation, lambda x: x, EULER)),
        (is_geometric, (grid.times, 0.0, 1.0, 8, 0.01)),
        (is_geometric, (growing.times, 0.0, 1.0, 8, 0.02)),
        (is_geometric, (TimeGrid(0.0, 1.0, 8, ratio=0.5).times, 0.0, 1.0, 8, 128 / 255)),
        (is_geometric, (tuple((k / 8) ** 2 for k in range(9)), 0.0, 1.0, 8, 1 / 64)),
        (refines, (uniform_grid(1.0, 16), growing, 2)),
        (refines, (TimeGrid(0.0, 1.0, 16, growing.ratio), growing, 2)),
        (integration_is_by_member, (lambda x: integrate(lambda t, y: y * y.sum(), x, grid).value.states, start)),
        (records, (short, grid, 2)),
        (refuses, (lambda: uniform_grid(1.0, 3), "expected")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
