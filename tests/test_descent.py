"""Gradient descent is torch.optim.SGD on all samples, step by step, in fewer columns and many runs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law, refuses
from strategies import deep_linear_models, seeds
from tightframe.numerics import descent, initialisers, statistics
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.descent import Checkpoints
from tightframe.numerics.models import Features
from tightframe.numerics.solution import Result, Solution
from torch import Tensor

Descent = Callable[..., Solution[Checkpoints, Any]]
MODEL = DeepLinearUFM((5, 3, 2), widths=4, depth=2, decays=(0.01, 0.02, 0.03), bias=True)


def sgd(model: DeepLinearUFM, start: Factors, iterations: int, rate: float, momentum: float, **options: Any) -> Factors:
    """The end of a run of torch.optim.SGD on the objective, differentiated by autograd."""
    variables = start.map(lambda tensor: tensor.clone().requires_grad_(True))
    optimiser = torch.optim.SGD(variables.tensors, lr=rate, momentum=momentum, **options)
    for _ in range(iterations):
        optimiser.zero_grad()
        model.objective(variables).sum().backward()
        optimiser.step()
    return variables.map(lambda tensor: tensor.detach())


def spread(model: DeepLinearUFM, factors: Factors) -> Factors:
    """Collapsed features, sample by sample."""
    if factors.features.shape[-1] == model.samples:
        return factors
    features = torch.repeat_interleave(factors.features, torch.tensor(model.class_counts), dim=-1)
    return replace(factors, features=features)


@law
def trajectory_is_sgd(run: Descent, model: DeepLinearUFM, start: Factors, momentum: float) -> None:
    """At every checkpoint, to 1e-12; collapsed features run as all their samples do."""
    checkpoints = run(model, start, 25, 0.05, momentum, record=10).value
    assert checkpoints.iterations.tolist() == [0, 10, 20, 25]
    assert checkpoints.factors.batch == (4, *start.batch)
    for row, iterations in enumerate(checkpoints.iterations.tolist()):
        reference = sgd(model, spread(model, start), iterations, 0.05, momentum)
        point = spread(model, checkpoints.factors.map(lambda tensor, row=row: tensor[row]))
        for actual, expected in zip(point.tensors, reference.tensors, strict=True):
            assert_close(actual, expected, 1e-12)


@law
def runs_are_apart(run: Descent, model: DeepLinearUFM, start: Factors, decays: Tensor) -> None:
    """A batch of starts (3,) and decays (2, 1, M + 1) gives the runs of each."""
    batch = run(model, start, 20, 0.05, 0.9, decays=decays)
    assert batch.value.factors.batch == (2, 2, 3)
    for i in range(2):
        for j in range(3):
            own = replace(model, decays=tuple(decays[i, 0].tolist()))
            single = run(own, start.map(lambda tensor, j=j: tensor[j]), 20, 0.05, 0.9)
            member = batch.value.factors.map(lambda tensor, i=i, j=j: tensor[:, i, j])
            for actual, expected in zip(member.tensors, single.value.factors.tensors, strict=True):
                assert_close(actual, expected, 1e-12)
            assert_close(batch.stats.loss[i, j], single.stats.loss)
            assert_close(batch.stats.gradient_norm[i, j], single.stats.gradient_norm)


@law
def checkpoints_measure_as_features_do(
    measure: Callable[[Checkpoints], dict[str, Tensor]], checkpoints: Checkpoints
) -> None:
    """NC1, class means and W of the columns against `statistics` on all N samples."""
    factors, measured = checkpoints.factors, measure(checkpoints)
    features = Features(factors.features, checkpoints.columns.class_counts)
    assert_close(measured["NC1"], statistics.nc1_pinv(features))
    assert_close(measured["class means"], statistics.class_means(features))
    assert_close(measured["W"], factors.product)


def measures(checkpoints: Checkpoints) -> dict[str, Tensor]:
    return {"NC1": checkpoints.nc1, "class means": checkpoints.class_means, "W": checkpoints.product}


@law
def end_is_stated(run: Descent, model: DeepLinearUFM, start: Factors) -> None:
    solution = run(model, start, 7, 0.05, 0.9)
    end = solution.value.factors.map(lambda tensor: tensor[-1])
    assert_close(solution.stats.loss, model.objective(end))
    assert_close(solution.stats.gradient_norm, model.gradient_norm(model.gradient(end)))
    assert (solution.stats.iterations, solution.stats.finite_until) == (7, 7)


@settings(max_examples=60)
@given(deep_linear_models(), seeds(), st.sampled_from([(), (3,)]), st.sampled_from([0.0, 0.9]), st.booleans())
def test_the_trajectory_is_that_of_sgd(
    model: DeepLinearUFM, seed: int, batch: tuple[int, ...], momentum: float, collapsed: bool
) -> None:
    start = initialisers.gaussian(model, seed, 0.5, batch, collapsed)
    trajectory_is_sgd(descent.gradient_descent, model, start, momentum)
    end_is_stated(descent.gradient_descent, model, start)


@settings(max_examples=30)
@given(deep_linear_models(), seeds())
def test_runs_of_a_batch_are_apart(model: DeepLinearUFM, seed: int) -> None:
    start = initialisers.gaussian(model, seed, 0.5, (3,))
    decays = torch.rand(2, 1, model.depth + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    runs_are_apart(descent.gradient_descent, model, start, decays + 0.01)


@settings(max_examples=30)
@given(deep_linear_models(), seeds(), st.sampled_from([(), (2,)]))
def test_checkpoints_measure_as_all_samples_do(model: DeepLinearUFM, seed: int, batch: tuple[int, ...]) -> None:
    if max(model.class_counts) < 2:
        return
    start = initialisers.gaussian(model, seed, 0.5, batch)
    solution = descent.gradient_descent(model, start, 12, 0.05, 0.9, record=4)
    checkpoints_measure_as_features_do(measures, solution.value)


@settings(max_examples=10)
@given(deep_linear_models(), seeds())
def test_measuring_while_running_is_measuring_afterwards(model: DeepLinearUFM, seed: int) -> None:
    start = initialisers.gaussian(model, seed, 0.5)
    checkpoints = descent.gradient_descent(model, start, 50, 0.05, 0.9, record=3).value
    for chunk in (1, 2**18):  # one checkpoint at a time, and all
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(descent, "CHUNK", chunk)
            # a view, which a buffer that is used again would overwrite
            measured = descent.measured_descent(
                model, start, 50, 0.05, lambda c: {"W_1": c.weights[0], **measures(c)}, 0.9, record=3
            )
        assert torch.equal(measured.value["iterations"], checkpoints.iterations)
        assert torch.equal(measured.value["W_1"], checkpoints.weights[0])
        for name, expected in measures(checkpoints).items():
            assert_close(measured.value[name], expected, 1e-12)
        assert measured.stats.finite_until == 50


def test_convergence_and_divergence_are_values() -> None:
    model = DeepLinearUFM((5, 3, 2), widths=4, depth=1, decays=0.01)
    start = initialisers.gaussian(model, 0)
    early = descent.gradient_descent(model, start, 10, 0.1, 0.9)
    assert early.result is Result.NOT_CONVERGED
    assert 1e-3 < float(early.stats.gradient_norm) < 10
    late = descent.gradient_descent(model, start, 4000, 0.1, 0.9)
    assert late.result is Result.CONVERGED
    assert float(late.stats.gradient_norm) < 1e-6
    # the gradient falls on, geometrically: what is left after some iterations is squared after twice as many
    half = float(descent.gradient_descent(model, start, 1500, 0.1, 0.9).stats.gradient_norm)
    full = float(descent.gradient_descent(model, start, 3000, 0.1, 0.9).stats.gradient_norm)
    assert full < half**1.5
    wild = descent.gradient_descent(model, start, 500, 1e3, 0.9, record=1)
    assert wild.result is Result.NOT_CONVERGED
    finite = torch.isfinite(wild.value.coordinates).flatten(1).all(1) & torch.isfinite(wild.value.product).flatten(
        1
    ).all(1)
    assert 0 < wild.stats.finite_until == int(finite.sum()) - 1 < 500
    means = torch.isfinite(wild.value.class_means).flatten(1).all(1)
    assert not bool(means[-1])
    assert torch.equal(torch.isnan(wild.value.nc1[finite | ~means]), ~finite[finite | ~means])


# One decay for all: at 0.01 and 0.05 the moving average of `_moving_average`, beyond (1 - sqrt(0.9))^2 / 0.05 = 0.0527
# velocities, as its roots are complex.
@pytest.mark.parametrize("decay", [1e-7, 0.01, 0.05, 0.06, 1.0])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_one_decay_for_all_is_sgd_too(decay: float, batch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    model = DeepLinearUFM((5, 3, 2), widths=4, depth=3, decays=decay)
    average = descent._moving_average(torch.tensor([decay]).double(), 0.05, 0.9)
    assert (average is None) == (decay > 0.0527)
    start = initialisers.gaussian(model, 0, 0.5, batch)
    trajectory_is_sgd(descent.gradient_descent, model, start, 0.9)
    monkeypatch.setattr(descent, "CHUNK", 1)  # every run in a part of its own
    trajectory_is_sgd(descent.gradient_descent, model, start, 0.9)
    if average is not None:
        other = replace(average, keep=average.keep + 1e-9)
        monkeypatch.setattr(descent, "_moving_average", lambda decays, rate, momentum: other)
        with pytest.raises(AssertionError):
            trajectory_is_sgd(descent.gradient_descent, model, start, 0.9)


@pytest.mark.parametrize("narrow", [1.0, 0.3, 1e-3, 1e-7, 0.0])
def test_nc1_is_right_however_narrow_the_means_are(narrow: float) -> None:
    """From the Gram matrix of the means where that is accurate, else from their singular values."""
    model = DeepLinearUFM((6, 5, 4, 3), widths=7, depth=1, decays=0.01)
    features = initialisers.gaussian(model, 0, 1.0, (2,)).features
    axes = torch.tensor([1.0, 1.0, narrow, narrow, narrow, narrow, narrow]).double().unsqueeze(-1)
    start = Factors((torch.zeros(2, 4, 7).double(),), features * axes)
    (found,) = descent.gradient_descent(model, start, 0, 0.1).value.nc1
    expected = statistics.nc1_pinv(Features(start.features, model.class_counts))
    assert_close(found, expected, 1e-11 / max(narrow, 1e-4))


def test_no_iterations_are_the_start() -> None:
    start = initialisers.gaussian(MODEL, 0)
    solution = descent.gradient_descent(MODEL, start, 0, 0.1)
    assert solution.value.iterations.tolist() == [0]
    for actual, expected in zip(solution.value.factors.tensors, start.tensors, strict=True):
        assert_close(actual[0], expected, 1e-14)


def test_single_precision_stays_single() -> None:
    start = initialisers.gaussian(MODEL, 0, dtype=torch.float32)
    end = descent.gradient_descent(MODEL, start, 30, 0.1, 0.9).value.factors
    exact = descent.gradient_descent(MODEL, initialisers.gaussian(MODEL, 0), 30, 0.1, 0.9).value.factors
    for actual, expected in zip(end.tensors, exact.tensors, strict=True):
        assert actual.dtype == torch.float32
        assert_close(actual.double(), expected, 1e-5)


@pytest.mark.gpu
def test_the_trajectory_is_the_same_on_a_gpu() -> None:
    here = descent.gradient_descent(MODEL, initialisers.gaussian(MODEL, 0, batch=(3,)), 50, 0.1, 0.9).value.factors
    start = initialisers.gaussian(MODEL, 0, batch=(3,), device="cuda")
    for actual, expected in zip(
        descent.gradient_descent(MODEL, start, 50, 0.1, 0.9).value.factors.tensors, here.tensors, strict=True
    ):
        assert_close(actual.cpu(), expected, 1e-11)


def test_bad_input_is_refused_in_one_line() -> None:
    start, run = initialisers.gaussian(MODEL, 0), descent.gradient_descent
    for call, words in (
        (lambda: run(replace(MODEL, bias=False), start, 5, 0.1), "expected factors without a bias"),
        (lambda: run(MODEL, start, -1, 0.1), "expected iterations to be an integer >= 0, got -1"),
        (lambda: run(MODEL, start, 5, -0.1), "expected rate to be a finite number >= 0, got -0.1"),
        (lambda: run(MODEL, start, 5, 0.1, float("nan")), "expected momentum to be a finite number >= 0, got nan"),
        (lambda: run(MODEL, start, 5, 0.1, record=0), "expected record to be an integer >= 1, got 0"),
        (lambda: run(MODEL, start.map(lambda x: x / 0), 5, 0.1), "expected finite tensor 0 of the start"),
        (lambda: run(MODEL, start, 5, 0.1, decays=torch.zeros(3)), "expected finite decays > 0"),
    ):
        refuses(call, words)


def test_every_law_fails_on_a_mutant() -> None:
    start = initialisers.gaussian(MODEL, 0, 0.5)
    collapsed = initialisers.gaussian(MODEL, 0, 0.5, collapsed=True)
    starts = initialisers.gaussian(MODEL, 0, 0.5, (3,))
    decays = torch.tensor([[[0.1, 0.2, 0.3]], [[0.2, 0.1, 0.3]]], dtype=torch.float64)
    run = descent.gradient_descent
    solution = run(MODEL, start, 6, 0.05, 0.9, record=3)

    def without_momentum(*args: Any, **options: Any) -> Any:
        return run(*args[:4], 0.0, **options)

    def dampened(model: DeepLinearUFM, start: Factors, n: int, rate: float, momentum: float, **options: Any) -> Any:
        return run(model, start, n, rate * (1 - momentum), momentum, **options)

    def wrong_decay(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        """lam_1 and lam_M changed places."""
        first, second, third = model.decays if isinstance(model.decays, tuple) else ()
        return run(replace(model, decays=(second, first, third)), start, *args, **options)

    def without_residuals(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        """Class means alone, for features that are not collapsed."""
        means = statistics.class_means(Features(start.features, model.class_counts))
        return run(model, spread(model, replace(start, features=means)), *args, **options)

    def unweighted(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        """Every class as one sample."""
        return run(replace(model, class_counts=(1, 1, 1)), start, *args, **options)

    def first_decays(model: DeepLinearUFM, start: Factors, *args: Any, decays: Tensor | None = None) -> Any:
        """The decays of the first configuration for all."""
        return run(model, start, *args, decays=None if decays is None else decays[:1].expand_as(decays))

    def first_start(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        repeated = start.map(lambda tensor: tensor[:1].expand_as(tensor)) if start.batch else start
        return run(model, repeated, *args, **options)

    def off_by_one(model: DeepLinearUFM, start: Factors, iterations: int, *args: Any) -> Any:
        return replace(run(model, start, iterations, *args), stats=run(model, start, iterations - 1, *args).stats)

    def of_samples(checkpoints: Checkpoints) -> dict[str, Tensor]:
        """Sums over samples where sqrt(n_k) hbar_k is."""
        return {**measures(checkpoints), "class means": checkpoints.coordinates[..., :3]}

    mutants = [
        (trajectory_is_sgd, (without_momentum, MODEL, start, 0.9)),
        (trajectory_is_sgd, (dampened, MODEL, start, 0.9)),
        (trajectory_is_sgd, (wrong_decay, MODEL, start, 0.9)),
        (trajectory_is_sgd, (without_residuals, MODEL, start, 0.9)),
        (trajectory_is_sgd, (unweighted, MODEL, collapsed, 0.9)),
        (runs_are_apart, (first_decays, MODEL, starts, decays)),
        (runs_are_apart, (first_start, MODEL, starts, decays)),
        (checkpoints_measure_as_features_do, (of_samples, solution.value)),
        (checkpoints_measure_as_features_do, (
            lambda c: {**measures(c), "NC1": c.nc1 * 3 / 2}, solution.value,
        )),
        (checkpoints_measure_as_features_do, (
            lambda c: {**measures(c), "W": c.weights[1]}, solution.value,
        )),
        (end_is_stated, (off_by_one, MODEL, start)),
        (refuses, (lambda: run(MODEL, start, 0, 0.1), "expected")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
