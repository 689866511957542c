"""The renormalised gradient flow: its velocity against other oracles, its invariants, and the equations of w.

Formulas stand here and nowhere in `numerics`: on the flow of han2022 each SNR singular value moves by
dw/dt = w/(n (K + w^2)^2), on the flow of unprojected steps by dw/dt = w/(K n (K + w^2)), n samples a class, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law, refuses, sample_is_deterministic
from strategies import batches, class_counts, feature_models, normal_matrix, seeds
from test_integrators import assert_order, observed_orders
from tightframe.numerics import flow, statistics
from tightframe.numerics.integrators import (
    EULER,
    MIDPOINT,
    RK4,
    ButcherTableau,
    TimeGrid,
    geometric_grid,
    integrate,
    uniform_grid,
)
from tightframe.numerics.models import FeatureModel, Features
from torch import Tensor

Flow = Callable[..., Any]
Rate = Callable[[np.ndarray, int, int], np.ndarray]
METHODS = [EULER, MIDPOINT, RK4]
GRID = geometric_grid(300.0, 60, first=0.5)
W0 = (2.35060868, 1.62749865, 0.92913709)


def central_path_rate(w: np.ndarray, classes: int, per_class: int) -> np.ndarray:
    return w / (per_class * (classes + w**2) ** 2)


def unprojected_rate(w: np.ndarray, classes: int, per_class: int) -> np.ndarray:
    return w / (classes * per_class * (classes + w**2))


def solution_of(rate: Rate, w: np.ndarray, classes: int, per_class: int, times: np.ndarray) -> np.ndarray:
    """w (T, K - 1) by an integrator of scipy, of order 8 with error control."""
    return scipy.integrate.solve_ivp(
        lambda t, w: rate(w, classes, per_class), times[[0, -1]], w, "DOP853", times, rtol=1e-12, atol=1e-12
    ).y.T


def singular_values(states: Tensor, features: Features) -> Tensor:
    return statistics.snr_singular_values(Features(states, features.class_counts))


def white(model: FeatureModel, seed: int, batch: tuple[int, ...] = ()) -> Features:
    """Renormalised features of classes of any sizes."""
    return flow.renormalised(model.sample(seed, batch))


@st.composite
def starts(draw: st.DrawFn, least: float = 0.3) -> Features:
    """Balanced features with Sigma_W = I and distinct SNR singular values, d = K - 1 and d > K alike."""
    w = torch.tensor(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True))) * least
    per_class, classes = draw(st.integers(2, 5)), len(w) + 1
    dimension = draw(st.integers(classes - 1, min(classes * (per_class - 1), classes + 3)))
    return flow.whitened_features(w.sort(descending=True).values, per_class, dimension, draw(seeds()))


# Laws of the start.


@law
def is_white_with_values(whitened: Callable[..., Features], w: Tensor, per_class: int, dimension: int) -> None:
    features = whitened(w, per_class, dimension, seed=0)
    classes = w.shape[-1] + 1
    assert tuple(features.values.shape) == (*w.shape[:-1], dimension, classes * per_class)
    assert features.class_counts == (per_class,) * classes
    identity = torch.eye(dimension).expand(*w.shape[:-1], dimension, dimension)
    assert_close(statistics.within_covariance(features), identity)
    assert_close(statistics.snr_singular_values(features).square(), w.sort(descending=True).values.square())
    means = features.values.mean(-1)
    assert float(means.abs().min()) > 0, "the global mean is special"


@law
def is_symmetric_whitening(renormalised: Callable[[Features], Features], features: Features) -> None:
    """Sigma_W = I, and the centred class means are the SNR matrix, which the symmetric root alone gives."""
    result = renormalised(features)
    assert_close(statistics.within_covariance(result), np.eye(features.dimension))
    assert_close(statistics.centred_means(result), statistics.snr_matrix(features))
    assert result.class_counts == features.class_counts


@law
def has_means_and_residuals(replaced: Callable[..., Features], features: Features, means: Tensor) -> None:
    result = replaced(features, means)
    assert_close(statistics.class_means(result), means)
    within = statistics.residuals(features)
    assert_close(statistics.residuals(result), within.expand(*means.shape[:-2], *within.shape[-2:]))


# Laws of the velocity.


def least_loss(values: Tensor, one_hot: Tensor) -> Tensor:
    """L_LS by the normal equations, to be differentiated by autograd through the solve."""
    rows = torch.cat([values, torch.ones_like(values[:1])])
    error = torch.linalg.solve(rows @ rows.T, rows @ one_hot.T).T @ rows - one_hot
    return error.square().sum() / (2 * values.shape[-1])


@law
def is_gradient_of_least_loss(gradient: Callable[[Features], Tensor], features: Features) -> None:
    values = features.values.clone().requires_grad_(True)
    least_loss(values, features.one_hot).backward()
    assert values.grad is not None
    assert_close(gradient(features), values.grad, 1e-9)


@law
def projects_on_the_tangent_space(
    projection: Callable[[Tensor, Features], Tensor], velocity: Tensor, features: Features
) -> None:
    """Against the null space of D -> D R^T + R D^T as a matrix on all entries of D, by singular values."""
    within, size = statistics.residuals(features).numpy(), velocity.numel()
    units = np.eye(size).reshape(size, *velocity.shape)
    derivative = np.stack([(unit @ within.T + within @ unit.T).ravel() for unit in units], axis=1)
    _, s, vt = np.linalg.svd(derivative)
    normal = vt[: int((s > 1e-9 * s[0]).sum())]
    g = velocity.numpy().ravel()
    assert_close(projection(velocity, features), (g - normal.T @ (normal @ g)).reshape(velocity.shape))


# Laws of the flows.


@law
def stays_renormalised(run: Flow, start: Features, grid: TimeGrid, method: ButcherTableau) -> None:
    states = run(start, grid, method, record=10).value.states
    covariance = statistics.within_covariance(Features(states, start.class_counts))
    assert_close(covariance, torch.eye(start.dimension).expand_as(covariance), 1e-12)


@law
def keeps_singular_vectors(run: Flow, start: Features) -> None:
    """In the singular vectors of the start, the SNR matrix stays diagonal."""
    states = run(start, GRID, record=10).value.states
    snr = statistics.snr_matrix(Features(states, start.class_counts))
    u, _, vt = torch.linalg.svd(snr[0])
    image = u.mT @ snr @ vt.mT
    assert_close(image, image * torch.eye(*image.shape[-2:], dtype=image.dtype), 1e-10)
    assert bool((torch.diagonal(image, dim1=-2, dim2=-1)[..., : start.classes - 1] > 0).all())


@law
def raises_each_value(run: Flow, start: Features) -> None:
    w = singular_values(run(start, GRID, record=5).value.states, start)
    assert bool((w.diff(dim=0) > 0).all())


@law
def lowers_the_loss(run: Flow, start: Features) -> None:
    states = run(start, GRID, record=5).value.states
    loss = torch.stack([least_loss(state, start.one_hot) for state in states])
    assert bool((loss.diff() < 0).all())


@law
def follows(rate: Rate, run: Flow, start: Features, grid: TimeGrid, rtol: float) -> None:
    """Every SNR singular value moves alone, by dw/dt = rate(w)."""
    trajectory = run(start, grid, record=10).value
    measured = singular_values(trajectory.states, start)
    per_class = start.class_counts[0]
    expected = solution_of(rate, measured[0].numpy(), start.classes, per_class, trajectory.times.numpy())
    assert_close(measured / torch.from_numpy(expected), np.ones_like(expected), rtol)


@law
def tends_to_first_order(rate: Rate, run: Flow, start: Features, grid: TimeGrid) -> None:
    """As the steps shrink, w tends to the solution of dw/dt = rate(w) at the first order."""
    w = statistics.snr_singular_values(start).numpy()
    exact = solution_of(rate, w, start.classes, start.class_counts[0], np.array([grid.start, grid.end]))[-1]

    def solve(finer: TimeGrid) -> Tensor:
        return singular_values(run(start, finer).value.states[-1], start)

    assert_order(observed_orders(solve, grid, torch.from_numpy(exact)), 1)
    assert_close(2 * solve(grid.refined(16)) - solve(grid.refined(8)), exact, 1e-5)


@law
def has_order_on_the_flow(run: Flow, start: Features, grid: TimeGrid, order: int) -> None:
    assert_order(observed_orders(lambda finer: run(start, finer).value.states[-1], grid), order)


@law
def is_the_flow_of_class_means(
    reduced: Flow, full: Flow, start: Features, grid: TimeGrid, method: ButcherTableau
) -> None:
    """Every checkpoint of the flow of features is the start's residuals about those of the flow of means."""
    states = full(start, grid, method, record=4).value
    means = reduced(statistics.class_means(start), start.class_counts, grid, method, record=4).value
    assert torch.equal(states.times, means.times)
    assert_close(flow.with_class_means(start, means.states).values, states.states, 1e-12)


@law
def flow_is_by_member(run: Callable[[Tensor], Tensor], start: Tensor) -> None:
    """Checkpoints (T, ..., rows, columns) of a batch are those of its members."""
    flat = start.reshape(-1, *start.shape[-2:])
    single = torch.stack([run(member) for member in flat], dim=1)
    assert_close(run(start), single.reshape(single.shape[0], *start.shape), 1e-12)


@law
def reaches(run: Callable[[Features], Tensor], w0: tuple[float, ...], w: tuple[float, ...], per_class: int) -> None:
    measured = run(flow.whitened_features(w0, per_class, len(w0) + 2, seed=0))
    assert_close(measured, np.array(w), 1e-6 / max(w))


def unprojected(start: Features, grid: TimeGrid, *_: object, record: int | None = None) -> Any:
    return flow.unprojected_flow(start, grid, record)


def retracted(start: Features, grid: TimeGrid, method: ButcherTableau = RK4, record: int | None = None) -> Any:
    return flow.central_path_flow(start, grid, method, record, retract=True)


def by_means(start: Features, grid: TimeGrid, method: ButcherTableau = RK4, record: int | None = None) -> Any:
    """`class_mean_flow`, as features."""
    solution = flow.class_mean_flow(statistics.class_means(start), start.class_counts, grid, method, record)
    states = flow.with_class_means(start, solution.value.states).values
    return type(solution)(type(solution.value)(solution.value.times, states), solution.result, solution.stats)


CENTRAL_PATH = [flow.central_path_flow, retracted, by_means]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(2, 4), st.integers(0, 3), batches())
def test_whitened_features_have_the_given_snr(
    values: list[int], per_class: int, more: int, batch: tuple[int, ...]
) -> None:
    w = torch.tensor(values, dtype=torch.float64).expand(*batch, len(values))
    dimension = min(len(values) + more, (len(values) + 1) * (per_class - 1))
    is_white_with_values(flow.whitened_features, w, per_class, dimension)


@given(st.integers(0, 2**32 - 1))
def test_whitened_features_are_a_function_of_the_seed(seed: int) -> None:
    sample_is_deterministic(lambda s: flow.whitened_features([2.0, 1.0], 3, 3, s), seed)
    batch = flow.whitened_features([[2.0, 1.0]] * 2, 3, 3, seed).values
    assert not torch.equal(batch[0], batch[1])


@given(feature_models(invertible_within=True), seeds())
def test_renormalised_features_are_white(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    if float(torch.linalg.cond(statistics.within_covariance(features))) < 1e5:
        is_symmetric_whitening(flow.renormalised, features)


@given(feature_models(), seeds(), batches())
def test_class_means_are_replaced(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    means = normal_matrix(model.dimension, len(model.class_counts), seed, batch)
    has_means_and_residuals(flow.with_class_means, model.sample(seed), means)


@given(starts(), seeds(), feature_models(invertible_within=True))
def test_the_velocity_agrees_with_its_oracles(start: Features, seed: int, model: FeatureModel) -> None:
    sample = model.sample(seed)
    if float(torch.linalg.cond(statistics.within_covariance(sample))) < 1e3:
        is_gradient_of_least_loss(flow.feature_gradient, sample)
        projects_on_the_tangent_space(flow.tangent_projection, normal_matrix(*sample.values.shape, seed), sample)
    is_gradient_of_least_loss(flow.feature_gradient, start)


@given(starts(), seeds())
def test_the_projection_is_that_of_the_paper_on_renormalised_features(start: Features, seed: int) -> None:
    """Han, Papyan & Donoho 2022: Proj(G) = G - S R, S = (G R^T + R G^T)/(2 C N)."""
    g, r = normal_matrix(*start.values.shape, seed), statistics.residuals(start)
    s = (g @ r.mT + r @ g.mT) / (2 * start.samples)
    assert_close(flow.tangent_projection(g, start), g - s @ r)


@settings(max_examples=15)
@given(starts(), st.sampled_from(METHODS))
def test_invariants_of_the_flow(start: Features, method: ButcherTableau) -> None:
    for run in CENTRAL_PATH:
        stays_renormalised(run, start, GRID, method)
        keeps_singular_vectors(run, start)
        raises_each_value(run, start)
        lowers_the_loss(run, start)
    stays_renormalised(unprojected, start, GRID, EULER)


@settings(max_examples=15)
@given(starts())
def test_each_singular_value_follows_the_equation_of_han2022(start: Features) -> None:
    for run in CENTRAL_PATH:
        follows(central_path_rate, run, start, geometric_grid(300.0, 160, first=0.1), 1e-6)


@settings(max_examples=10)
@given(starts(least=1.0))
def test_unprojected_steps_follow_another_equation(start: Features) -> None:
    tends_to_first_order(unprojected_rate, unprojected, start, geometric_grid(60.0, 60, first=0.2))


@settings(max_examples=30)
@given(
    feature_models(class_counts(least=3), invertible_within=True, most_dimension=8), seeds(), st.sampled_from(METHODS)
)
def test_the_flow_is_that_of_its_class_means(model: FeatureModel, seed: int, method: ButcherTableau) -> None:
    """Balanced or not, d < K and d > K alike."""
    for grid in (uniform_grid(200.0, 12), geometric_grid(200.0, 12, first=1.0)):
        is_the_flow_of_class_means(flow.class_mean_flow, flow.central_path_flow, white(model, seed), grid, method)


@settings(max_examples=10)
@given(feature_models(class_counts(least=3), invertible_within=True), seeds(), st.sampled_from([(3,), (2, 2)]))
def test_a_batch_is_a_loop(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    start, grid = white(model, seed, batch), geometric_grid(50.0, 6, first=1.0)
    counts = start.class_counts

    def means(x: Tensor) -> Tensor:
        return flow.class_mean_flow(x, counts, grid, record=2).value.states

    for run in (flow.central_path_flow, retracted, unprojected):
        flow_is_by_member(lambda x, r=run: r(Features(x, counts), grid, record=2).value.states, start.values)
    flow_is_by_member(means, statistics.class_means(start))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_methods_keep_their_order_on_the_flow(method: ButcherTableau) -> None:
    start = flow.whitened_features(W0, per_class=3, dimension=4, seed=0)
    for run in CENTRAL_PATH:
        grid = geometric_grid(200.0, 48, first=1.0)
        has_order_on_the_flow(lambda s, g, r=run: r(s, g, method), start, grid, method.order)


REFERENCE = (6.40590091, 6.33127301, 6.27297952)  # K = 4, n = 7, t = 4000, from W0


def test_the_reference_value_is_reached() -> None:
    for run in CENTRAL_PATH:
        grid = geometric_grid(4000.0, 60, first=7.0)
        reaches(lambda s, r=run, g=grid: singular_values(r(s, g).value.states[-1], s), W0, REFERENCE, 7)


def test_a_value_that_starts_at_zero_stays_zero_to_rounding() -> None:
    start = flow.whitened_features([2.0, 0.0], per_class=4, dimension=3, seed=0)
    w = singular_values(flow.central_path_flow(start, GRID, record=10).value.states, start)
    assert float(w[:, 1].max()) < 1e-10


def test_float32_follows_to_its_precision() -> None:
    double = flow.whitened_features(W0, per_class=7, dimension=5, seed=0)
    single = flow.whitened_features(W0, per_class=7, dimension=5, seed=0, dtype=torch.float32)
    for run in (flow.central_path_flow, by_means):
        states = run(single, GRID).value.states
        assert states.dtype == torch.float32
        assert_close(states.double(), run(double, GRID).value.states, 1e-5)


@pytest.mark.gpu
def test_flows_are_the_same_on_the_gpu() -> None:
    start = flow.whitened_features([W0] * 3, per_class=7, dimension=5, seed=0)
    moved = flow.whitened_features([W0] * 3, per_class=7, dimension=5, seed=0, device="cuda")
    for run in [*CENTRAL_PATH, unprojected]:
        assert_close(run(moved, GRID, record=20).value.states.cpu(), run(start, GRID, record=20).value.states, 1e-10)


def test_bad_input_is_refused_in_one_line() -> None:
    def whitened(*arguments: Any) -> Callable[[], object]:
        return lambda: flow.whitened_features(*arguments, seed=0)

    refuses(whitened([], 3, 2), "expected at least one SNR singular value, K - 1 of them")
    refuses(whitened(["x"], 3, 2), "expected SNR singular values to be numbers")
    for bad in (-1.0, math.nan, math.inf):
        refuses(whitened([1.0, bad], 3, 2), "expected SNR singular values that are finite and >= 0")
    refuses(whitened([1.0, 2.0], 1, 2), "expected per_class to be an integer >= 2, got 1")
    refuses(whitened([1.0, 2.0], 3, 1), "expected dimension to be an integer >= 2, got 1")
    refuses(whitened([1.0, 2.0], 2, 4), "expected N - K >= d, so that Sigma_W can be I, got N - K = 3 < d = 4")
    refuses(
        lambda: flow.class_mean_flow(torch.ones(2, 2), (1, 1), GRID), "expected N - K >= d, so that Sigma_W can be I"
    )
    start = flow.whitened_features([2.0, 1.0], 3, 3, seed=0)
    scaled = start.transformed(2 * torch.eye(3, dtype=torch.float64))
    for run in (flow.central_path_flow, flow.unprojected_flow):
        refuses(
            lambda r=run: r(scaled, GRID), "expected features with Sigma_W = I, got an entry that differs by 3.0e+00"
        )
    singular = start.transformed(torch.ones(3, 3, dtype=torch.float64))
    refuses(lambda: flow.renormalised(singular), "expected an invertible Sigma_W, got smallest eigenvalue <=")
    refuses(lambda: flow.class_mean_flow(torch.ones(2, 3), (3, 3), GRID), "expected means of shape (..., *, 2)")
    refuses(lambda: flow.class_mean_flow(torch.ones(2, 2) / 0, (3, 3), GRID), "expected finite means")
    refuses(lambda: flow.with_class_means(start, torch.ones(3, 2)), "expected means of shape (..., 3, 3)")
    refuses(lambda: flow.tangent_projection(torch.ones(3, 2), start), "expected velocity of shape (..., 3, 9)")
    refuses(lambda: flow.class_mean_flow(torch.ones(2, 2), (3, 3), uniform_grid(-1.0, 3)), "expected an end after the")


def test_every_law_fails_on_a_mutant() -> None:
    start = flow.whitened_features([2.0, 1.0], per_class=3, dimension=4, seed=0)
    low = flow.whitened_features([2.0, 1.0], per_class=3, dimension=2, seed=0)
    uneven = white(FeatureModel((5, 3, 4), dimension=3), 0)
    sample = FeatureModel((5, 3, 4), dimension=3).sample(0)
    pair = white(FeatureModel((5, 3), dimension=3), 0, (2,))
    g = normal_matrix(3, 12, 0)
    short, long = uniform_grid(200.0, 12), geometric_grid(60.0, 60, first=0.2)
    w = torch.tensor([2.0, 1.0], dtype=torch.float64)
    gradient, project = flow.feature_gradient, flow.tangent_projection

    def of_field(field: Callable[[Features], Tensor]) -> Flow:
        """The flow of another velocity."""

        def run(s: Features, grid: TimeGrid, method: ButcherTableau = RK4, record: int | None = None) -> Any:
            return integrate(lambda t, x: field(Features(x, s.class_counts)), s.values, grid, method, record)

        return run

    def fitted(f: Features) -> Tensor:
        return torch.linalg.lstsq(f.extended().values.T, f.one_hot.T).solution.T

    def without_bias(f: Features) -> Tensor:
        w = torch.linalg.lstsq(f.values.T, f.one_hot.T).solution.T
        return w.T @ (w @ f.values - f.one_hot) / f.samples

    def of_targets(f: Features) -> Tensor:
        return fitted(f)[:, :-1].T @ -f.one_hot / f.samples

    def half_multiplier(v: Tensor, f: Features) -> Tensor:
        return (v + project(v, f)) / 2

    def onto_residuals(v: Tensor, f: Features) -> Tensor:
        """The multiplier is not made symmetric."""
        r = statistics.residuals(f)
        return v - v @ r.mT @ torch.linalg.inv(r @ r.mT) @ r

    def closed(v: Tensor, f: Features) -> Tensor:
        """The formula for Sigma_W = I, elsewhere."""
        r = statistics.residuals(f)
        return v - (v @ r.mT + r @ v.mT) @ r / (2 * f.samples)

    def cholesky(f: Features) -> Features:
        return f.transformed(torch.linalg.inv(torch.linalg.cholesky(statistics.within_covariance(f))))

    def turning(f: Features) -> Tensor:
        turn = torch.zeros(f.dimension, f.dimension, dtype=torch.float64)
        turn[0, 1], turn[1, 0] = 1e-3, -1e-3
        return -project(gradient(f), f) + turn @ f.values

    def total_size(f: Features) -> Tensor:
        return -f.classes * project(gradient(f), f)

    def averaged(x: Tensor) -> Tensor:
        mixed = x.mean(0, keepdim=True).expand_as(x) if x.ndim > 2 else x
        return flow.class_mean_flow(mixed, (5, 3), short).value.states

    plain, uphill = of_field(lambda f: -gradient(f)), of_field(lambda f: project(gradient(f), f))
    central = flow.central_path_flow

    def slow_means(m: Tensor, counts: tuple[int, ...], *arguments: Any, **options: Any) -> Any:
        return flow.class_mean_flow(m, (4, 4, 4), *arguments, **options)

    def euler(s: Features) -> Tensor:
        return singular_values(central(s, geometric_grid(4000.0, 60, first=7.0), EULER).value.states[-1], s)

    def by_unprojected(s: Features) -> Tensor:
        return singular_values(unprojected(s, geometric_grid(4000.0, 400, first=1.0)).value.states[-1], s)

    mutants = [
        (is_white_with_values, (lambda w, n, d, seed: flow.whitened_features(w * 1.01, n, d, seed), w, 3, 4)),
        (is_white_with_values, (lambda w, n, d, seed: FeatureModel((n,) * 3, d).sample(seed), w, 3, 4)),
        (sample_is_deterministic, (lambda seed: flow.whitened_features([1.0], 3, 2, 0), 1)),
        (is_symmetric_whitening, (cholesky, sample)),
        (is_symmetric_whitening, (lambda f: Features(statistics.residuals(f), f.class_counts), sample)),
        (
            has_means_and_residuals,
            (lambda f, m: Features(f.values + m[..., f.labels], f.class_counts), sample, g[:, :3]),
        ),
        (is_gradient_of_least_loss, (without_bias, sample)),
        (is_gradient_of_least_loss, (of_targets, sample)),
        (is_gradient_of_least_loss, (lambda f: -gradient(f), sample)),
        (is_gradient_of_least_loss, (lambda f: gradient(f) * f.classes, sample)),
        (projects_on_the_tangent_space, (lambda v, f: v, g, sample)),
        (projects_on_the_tangent_space, (half_multiplier, g, sample)),
        (projects_on_the_tangent_space, (onto_residuals, g, sample)),
        (projects_on_the_tangent_space, (onto_residuals, g, uneven)),
        (projects_on_the_tangent_space, (closed, g, sample)),
        (stays_renormalised, (plain, start, short, RK4)),
        (keeps_singular_vectors, (of_field(turning), start)),
        (keeps_singular_vectors, (of_field(turning), low)),
        (raises_each_value, (uphill, start)),
        (lowers_the_loss, (uphill, start)),
        (follows, (unprojected_rate, central, start, GRID, 1e-2)),
        (follows, (unprojected_rate, by_means, start, GRID, 1e-2)),
        (follows, (central_path_rate, unprojected, start, GRID, 1e-2)),
        (follows, (central_path_rate, plain, start, GRID, 1e-2)),
        (follows, (central_path_rate, of_field(total_size), start, GRID, 1e-2)),
        (follows, (lambda w, k, n: central_path_rate(w, k, n * k), central, start, GRID, 1e-2)),
        (tends_to_first_order, (central_path_rate, unprojected, start, long)),
        (tends_to_first_order, (unprojected_rate, flow.central_path_flow, start, long)),
        (tends_to_first_order, (unprojected_rate, lambda s, g: central(s, g, EULER), start, long)),
        (has_order_on_the_flow, (lambda s, grid: central(s, grid, EULER), start, short, 2)),
        (has_order_on_the_flow, (lambda s, grid: central(s, grid, MIDPOINT), start, short, 4)),
        (has_order_on_the_flow, (central, start, short, 1)),
        (is_the_flow_of_class_means, (slow_means, central, uneven, short, RK4)),
        (is_the_flow_of_class_means, (flow.class_mean_flow, plain, uneven, short, RK4)),
        (is_the_flow_of_class_means, (flow.class_mean_flow, unprojected, uneven, short, EULER)),
        (flow_is_by_member, (averaged, statistics.class_means(pair))),
        (reaches, (euler, W0, REFERENCE, 7)),
        (reaches, (by_unprojected, W0, REFERENCE, 7)),
        (refuses, (lambda: None, "expected")),
    ]
    assert_mutants_die(globals(), mutants)
