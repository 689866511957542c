"""Direct minimisation: its end is a minimum, whatever was eliminated, and the reference values are reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law, refuses
from strategies import deep_linear_models, normal_matrix, seeds
from tightframe.numerics import initialisers, minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.lbfgs import lbfgs
from tightframe.numerics.solution import Result, Solution
from torch import Tensor

Minimise = Callable[..., Solution[Factors, Any]]
Optimal = Callable[[DeepLinearUFM, tuple[Tensor, ...]], Factors]
Search = Callable[..., Solution[minimisation.Minima, Any]]
MODEL = DeepLinearUFM((5, 3, 2), widths=(4, 6), depth=2, decays=(0.004, 0.002, 0.003), bias=True)

# Least losses and eigenvalues of W W^T, to the digits known, from outside of this project.
REFERENCES = {
    "i": (DeepLinearUFM((20, 10, 5, 5), 8, 1, (0.005, 0.0005)), 0.01894213562373095, (1.39421, 0.98, 0.68711, 0.68711)),
    "ii": (
        DeepLinearUFM((20, 10, 5, 5), 8, 2, (0.002, 0.003, 0.001)),
        0.022459519558899882,
        (4.00138, 2.50089, 1.55559, 1.55559),
    ),
    "iii": (
        DeepLinearUFM((12, 7, 3), 6, 3, (0.002, 0.001, 0.002, 0.001)),
        0.013559867416776655,
        (4.52597, 3.00999, 1.57874),
    ),
    "iv": (DeepLinearUFM((6, 6, 6, 6), 8, 2, (0.002, 0.002, 0.001), bias=True), 0.01293013037687962, None),
}


def starts_of(model: DeepLinearUFM, seed: int, scale: float = 0.5, batch: tuple[int, ...] = ()) -> Factors:
    return initialisers.gaussian(model, seed, scale, batch, collapsed=True)


def gram(factors: Factors) -> Tensor:
    """W W^T, which no rotation of the layers in between changes."""
    return factors.product @ factors.product.mT


# Laws.


@law
def features_are_optimal(optimal: Optimal, model: DeepLinearUFM, weights: tuple[Tensor, ...]) -> None:
    """Autograd vanishes in H and b; f, which is strictly convex in H, lies above on all sides, samples apart too."""
    factors = optimal(model, weights)
    variables = factors.map(lambda tensor: tensor.clone().requires_grad_(True))
    model.objective(variables).sum().backward()
    scale = 1 + float(factors.product.square().sum().sqrt())
    for variable in variables.tensors[model.depth :]:
        assert variable.grad is not None
        assert_close(variable.grad / scale, np.zeros(tuple(variable.shape)), 1e-12)
    features = torch.repeat_interleave(factors.features, torch.tensor(model.class_counts), dim=-1)
    step = normal_matrix(*features.shape[-2:], seed=0)
    for move in (step, -step):
        assert float(model.objective(replace(factors, features=features + 1e-2 * move))) > float(
            model.objective(factors)
        )


@law
def end_is_critical(minimise: Minimise, model: DeepLinearUFM, start: Factors) -> None:
    """By autograd in all factors, on all samples; and no worse than the start with its best features."""
    solution = minimise(model, start)
    assert solution.converged
    assert float(solution.stats.gradient_norm.max()) <= 1e-10
    features = torch.repeat_interleave(solution.value.features, torch.tensor(model.class_counts), dim=-1)
    point = replace(solution.value, features=features).map(lambda tensor: tensor.clone().requires_grad_(True))
    loss = model.objective(point)
    loss.sum().backward()
    grads = [tensor.grad if tensor.grad is not None else torch.tensor(torch.nan) for tensor in point.tensors]
    gradient = Factors(tuple(grads[: model.depth]), grads[model.depth], grads[-1] if model.bias else None)
    assert bool((model.gradient_norm(gradient) <= 1.1e-10).all())
    assert_close(solution.stats.loss, loss.detach(), 1e-12)
    best = minimisation.optimal_features(model, start.weights) if model.loss == "mse" else start
    assert bool((solution.stats.loss <= model.objective(best) + 1e-14).all())


@law
def nothing_near_is_below(minimise: Minimise, model: DeepLinearUFM, start: Factors, seed: int) -> None:
    """The end is a local minimum: no step in the factors gains more than rounding, downhill or not."""
    end = minimise(model, start).value
    least = model.objective(end)
    downhill = model.gradient(end)
    pairs = zip(end.tensors, downhill.tensors, strict=True)
    tensors = [x - g for x, g in pairs]
    moved = Factors(tuple(tensors[: model.depth]), tensors[model.depth], tensors[-1] if model.bias else None)
    assert bool((model.objective(moved) >= least - 1e-13).all())
    for number, size in enumerate((1e-4, 1e-3, 1e-2)):
        source = torch.Generator().manual_seed(seed + number)
        moved = end.map(lambda x, s=size, g=source: x + s * torch.randn(x.shape, generator=g, dtype=x.dtype))
        assert bool((model.objective(moved) >= least - 1e-13).all())


@law
def elimination_changes_nothing(minimise: Minimise, model: DeepLinearUFM, start: Factors) -> None:
    """From many starts, the least loss, its W W^T, its features and its bias are those of joint minimisation."""
    eliminated, joint = minimise(model, start), minimise(model, start, eliminate=False)
    assert eliminated.converged
    assert joint.converged
    best = []
    for solution in (eliminated, joint):
        index = int(solution.stats.loss.argmin())
        best.append((solution.value.map(lambda x, i=index: x[i]), solution.stats.loss[index]))
    (one, least), (other, same) = best
    assert_close(same, least, 1e-12)
    assert_close(gram(other), gram(one), 1e-7)
    assert_close(other.product @ other.features, one.product @ one.features, 1e-7)
    if one.bias is not None and other.bias is not None:
        assert_close(other.bias, one.bias, 1e-7)


@law
def configurations_are_apart(minimise: Minimise, model: DeepLinearUFM, start: Factors, decays: Tensor) -> None:
    """Starts (3,) and decays (2, 1, M + 1) in one call end as one at a time."""
    batch = minimise(model, start, decays=decays)
    assert batch.value.batch == (2, 3)
    assert {tuple(each.shape) for each in vars(batch.stats).values()} == {(2, 3)}
    for i in range(2):
        for j in range(3):
            own = replace(model, decays=tuple(decays[i, 0].tolist()))
            single = minimise(own, start.map(lambda x, j=j: x[j]))
            assert_close(batch.stats.loss[i, j], single.stats.loss, 1e-10)
            assert_close(gram(batch.value)[i, j], gram(single.value), 1e-6)


@law
def reaches(search: Search, model: DeepLinearUFM, least: float, eigenvalues: tuple[float, ...] | None) -> None:
    """f* to 1e-13 relative; the eigenvalues of W W^T to the digits known, and to 1e-10 by a finer tolerance."""
    found = search(model, seed=0, starts=8, sizes=(0.3, 30.0), tolerance=1e-12)
    assert found.converged
    assert abs(float(found.stats.loss) / least - 1) < 1e-13
    assert int(found.value.hits) == 8
    values = found.value.spectrum.singular_values.square()
    finest = search(model, seed=1, starts=1, tolerance=3e-14).value.spectrum.singular_values.square()
    assert_close(values / values.max(), finest / finest.max(), 1e-10)
    assert_close(values.max() / finest.max(), 1.0, 1e-10)
    if eigenvalues is not None:
        assert_close(values, np.array(eigenvalues), 6e-6 / max(eigenvalues))
        assert_close(gram(found.value.best), np.diag(np.array(eigenvalues)), 6e-6 / max(eigenvalues))


@law
def search_finds_the_least(search: Search, minimise: Minimise, model: DeepLinearUFM, decays: Tensor) -> None:
    """No run of many others ends below; what is stated of the best is true of it."""
    found = search(model, 0, decays=decays)
    assert found.converged
    others = [minimise(model, starts_of(model, 1, scale, (64, 1)), decays) for scale in (0.1, 0.5, 2.0)]
    least = torch.cat([other.stats.loss for other in others]).amin(0)
    assert bool((found.stats.loss <= least * (1 + 1e-10)).all())
    assert_close(found.stats.loss, model.objective(found.value.best, decays))
    assert_close(found.stats.loss, found.value.losses.amin(0))
    assert_close(found.stats.gradient_norm, torch.zeros(len(decays)), 1e-10)
    assert_close(found.value.spectrum.singular_values, torch.linalg.svdvals(found.value.best.product))
    near = found.value.losses <= found.stats.loss * (1 + 1e-9)
    assert torch.equal(found.value.hits, near.sum(0))
    # the same loss is the same number of directions, and a threshold is no matter of taste here
    ranks = torch.where(near, found.value.ranks, found.value.spectrum.rank)
    assert torch.equal(ranks, found.value.spectrum.rank.expand_as(ranks))


# Tests.


@settings(max_examples=60)
@given(deep_linear_models(losses=("mse",)), seeds())
def test_features_that_are_eliminated_are_the_best(model: DeepLinearUFM, seed: int) -> None:
    features_are_optimal(minimisation.optimal_features, model, starts_of(model, seed, 1.0).weights)


@settings(max_examples=40)
@given(deep_linear_models(losses=("mse",)), seeds(), st.booleans())
def test_minimisation_ends_at_minima(model: DeepLinearUFM, seed: int, eliminate: bool) -> None:
    def minimise(*args: Any, **options: Any) -> Any:
        return minimisation.minimise(*args, eliminate=eliminate, **options)

    start = starts_of(model, seed, 0.5, (4,))
    end_is_critical(minimise, model, start)
    nothing_near_is_below(minimise, model, start, seed)


@settings(max_examples=15)
@given(deep_linear_models(losses=("ce",)), seeds())
def test_minimisation_of_cross_entropy_ends_at_minima(model: DeepLinearUFM, seed: int) -> None:
    start = starts_of(model, seed, 0.5, (4,))
    end_is_critical(minimisation.minimise, model, start)
    nothing_near_is_below(minimisation.minimise, model, start, seed)


@settings(max_examples=15)
@given(deep_linear_models(losses=("mse",), depth=3), seeds())
def test_elimination_is_joint_minimisation(model: DeepLinearUFM, seed: int) -> None:
    """One layer wide enough for all directions: narrower ones leave a choice between equal minima."""
    wide = replace(model, widths=8, decays=2e-3, encoding=None)
    elimination_changes_nothing(minimisation.minimise, wide, starts_of(wide, seed, 1.0, (12,)))


@settings(max_examples=20)
@given(deep_linear_models(depth=3), seeds())
def test_configurations_of_a_batch_are_apart(model: DeepLinearUFM, seed: int) -> None:
    """Where the end does not turn on rounding: with decays so large or so small that one minimum is left."""
    assume(model.loss == "mse" or model.depth == 1)
    wide = replace(model, widths=8, encoding=None)
    decays = torch.tensor([1e-3, 0.9], dtype=torch.float64)[:, None, None].expand(2, 1, model.depth + 1)
    configurations_are_apart(minimisation.minimise, wide, starts_of(wide, seed, 1.0, (3,)), decays)


@pytest.mark.parametrize("case", REFERENCES)
def test_reference_values_are_reached(case: str) -> None:
    reaches(minimisation.global_minimum, *REFERENCES[case])


def test_the_bias_of_reference_iv_is_a_quarter() -> None:
    best = minimisation.global_minimum(REFERENCES["iv"][0], seed=0, starts=4).value.best
    assert best.bias is not None
    assert_close(best.bias, np.full((4, 1), 0.25), 1e-12)
    eigenvalues = torch.linalg.eigvalsh(gram(best))
    assert_close(eigenvalues / eigenvalues[-1], np.array([0.0, 1.0, 1.0, 1.0]), 1e-8)


@pytest.mark.parametrize(("depth", "bias"), [(1, False), (2, False), (3, True)])
def test_the_search_finds_the_least_through_thresholds(depth: int, bias: bool) -> None:
    """From all classes alive to none; from single sizes of starts some are missed."""
    model = DeepLinearUFM((20, 10, 5, 1), 8, depth, 0.1, bias=bias)
    decays = torch.logspace(-2.6, -0.9, 12, dtype=torch.float64)[:, None].expand(-1, depth + 1)
    search_finds_the_least(minimisation.global_minimum, minimisation.minimise, model, decays)
    ranks = minimisation.global_minimum(model, 0, decays=decays).value.spectrum.rank
    assert ranks.tolist() == sorted(ranks.tolist(), reverse=True)
    assert (int(ranks[0]), int(ranks[-1])) == (3 if bias else 4, 0)


def test_points_with_a_class_dropped_are_strict_local_minima() -> None:
    """The trap: from a small direction the descent ends above the minimum, at a critical point, converged."""
    model = REFERENCES["ii"][0]
    first, last = (best := minimisation.global_minimum(model, seed=0, starts=4).value.best).weights
    away = torch.eye(4, dtype=torch.float64)[3:] * 0.999
    hidden = last[3:] / last[3:].norm() * 0.999**0.5
    start = replace(best, weights=(first - hidden.mT @ (hidden @ first), last - away.mT @ last[3:]))
    trapped = minimisation.minimise(model, start)
    assert trapped.converged
    assert float(trapped.stats.loss) > 1.5 * REFERENCES["ii"][1]
    assert int(minimisation.spectrum(model, trapped.value).rank) == 3
    nothing_near_is_below(minimisation.minimise, model, start, 0)


@pytest.mark.parametrize(("depth", "ranks"), [(1, {3}), (2, {2, 3})])
def test_cross_entropy_of_two_layers_prefers_fewer_directions_than_an_etf(depth: int, ranks: set[int]) -> None:
    """Balanced classes, free bias, K = 4. One layer: K - 1 equal singular values. Two: minima of rank 2 lie below."""
    model = DeepLinearUFM((5,) * 4, 8, depth, 0.01, bias=True, loss="ce")
    found = minimisation.global_minimum(model, seed=0, starts=32)
    assert found.converged
    assert bool(found.value.converged.all())
    assert set(found.value.ranks.tolist()) == ranks
    least = {rank: found.value.losses[found.value.ranks == rank].amin() for rank in ranks}
    assert int(found.value.spectrum.rank) == min(ranks)
    assert all(float(least[3] - least[rank]) > 1e-3 for rank in ranks - {3})
    if depth == 1:
        values = found.value.spectrum.singular_values
        assert_close(values / values[0], np.array([1.0, 1.0, 1.0, 0.0]), 1e-7)


def test_a_finer_tolerance_is_a_finer_minimum() -> None:
    """The scaled gradient norm bounds the loss to its square, as its definition says."""
    model, least, _ = REFERENCES["iii"]
    start = starts_of(model, 0, 1.0)
    for tolerance in (1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
        solution = minimisation.minimise(model, start, tolerance=tolerance)
        norm = float(solution.stats.gradient_norm)
        assert solution.converged
        assert norm <= tolerance
        assert -1e-15 < float(solution.stats.loss) - least < 100 * norm**2 + 1e-15


@pytest.mark.parametrize("loss", ["mse", "ce"])
def test_not_converging_is_a_value(loss: Any) -> None:
    model = replace(MODEL, loss=loss)
    solution = minimisation.minimise(model, starts_of(model, 0, 1.0, (3,)), iterations=4)
    assert solution.result is Result.NOT_CONVERGED
    assert not bool(solution.stats.converged.any())
    assert bool((solution.stats.gradient_norm > 1e-10).all())
    assert solution.stats.iterations.tolist() == [4, 4, 4]
    assert_close(solution.stats.loss, model.objective(solution.value))
    search = minimisation.global_minimum(model, 0, starts=3, iterations=4)
    assert search.result is Result.NOT_CONVERGED
    assert int(search.value.hits) == 0
    assert not bool(search.value.certain)
    # a tolerance below what rounding leaves is not reached, and ends all the same
    assert minimisation.minimise(model, starts_of(model, 0, 1.0), tolerance=1e-18).result is Result.NOT_CONVERGED


def test_thousands_of_configurations_are_one_call() -> None:
    model = DeepLinearUFM((5, 3), 4, 2, 0.1)
    start = initialisers.gaussian(model, 0, 1.0, (2048,), collapsed=True)
    decays = torch.logspace(-3, -0.3, 2048, dtype=torch.float64)[:, None].expand(-1, 3)
    solution = minimisation.minimise(model, start, decays)
    assert solution.converged
    assert solution.stats.loss.shape == (2048,)
    for row in range(0, 2048, 256):
        alone = minimisation.minimise(model, start.map(lambda x, row=row: x[row]), decays[row])
        assert_close(solution.stats.loss[row], alone.stats.loss, 1e-10)
    ranks = minimisation.spectrum(model, solution.value, decays).rank
    assert set(ranks.tolist()) == {0, 1, 2}


def test_each_configuration_of_a_search_is_certain_for_itself() -> None:
    """Zero is found at once, the minimum of smaller decays not within a few iterations; one call says which."""
    model = DeepLinearUFM((20, 10), 4, 2, 0.1)
    decays = torch.tensor([0.9, 1e-3], dtype=torch.float64)[:, None].expand(-1, 3)
    search = minimisation.global_minimum(model, 0, starts=3, sizes=(0.3, 0.3), decays=decays, iterations=14)
    assert search.value.certain.tolist() == [True, False]
    assert search.result is Result.NOT_CONVERGED
    # a start that ends lower without converging leaves the least of the others in doubt
    half = minimisation.global_minimum(model, 0, starts=8, sizes=(1e-6, 30.0), decays=decays[1:], iterations=14)
    ended = half.value.converged[:, 0]
    assert bool(ended.any())
    assert float(half.value.losses[~ended].min()) < float(half.stats.loss)
    assert half.value.certain.tolist() == [False]


def quadratics(matrices: Tensor) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    def objective(x: Tensor, runs: Tensor) -> tuple[Tensor, Tensor]:
        gradient = (matrices[runs] @ x.unsqueeze(-1)).squeeze(-1)
        return (gradient * x).sum(-1) / 2, gradient

    return objective


def test_lbfgs_is_exact_on_quadratics_of_any_condition() -> None:
    spectra = torch.logspace(0, 4, 5, dtype=torch.float64).unsqueeze(-1) ** torch.linspace(0, 1, 6, dtype=torch.float64)
    q, _ = torch.linalg.qr(normal_matrix(6, 6, 0, (5,)))
    matrices = q * spectra.unsqueeze(-2) @ q.mT
    start = normal_matrix(5, 6, 1)
    solution = lbfgs(quadratics(matrices), start, 1e-11, memory=8)
    assert solution.converged
    assert_close(solution.value, torch.zeros(5, 6), 1e-10)
    assert solution.stats.iterations.tolist() == sorted(solution.stats.iterations.tolist())
    for run in range(5):
        single = lbfgs(quadratics(matrices[run : run + 1]), start[run : run + 1], 1e-11, memory=8)
        assert abs(int(single.stats.iterations) - int(solution.stats.iterations[run])) <= 3


def test_lbfgs_says_where_there_is_no_minimum() -> None:
    def objective(x: Tensor, runs: Tensor) -> tuple[Tensor, Tensor]:
        """x^2, -x without end, a cliff beyond 1/2, and |x| + 0.1, which has no slope to find."""
        value = torch.stack([x.square(), -x, torch.where(x < 0.5, -x, torch.nan), x.abs() + 0.1])[
            runs, range(len(x)), 0
        ]
        slope = torch.stack([2 * x, -torch.ones_like(x), -torch.ones_like(x), x.sign()])[runs, range(len(x))]
        return value, slope

    start = torch.tensor([[1.0], [0.0], [0.0], [0.3]], dtype=torch.float64)
    solution = lbfgs(objective, start, 1e-10, iterations=50)
    assert solution.result is Result.NOT_CONVERGED
    assert solution.stats.converged.tolist() == [True, False, False, False]
    assert_close(solution.stats.gradient_norm[1:], np.ones(3))
    assert float(solution.value[0].abs()) < 1e-10
    assert float(solution.value[2]) < 0.5
    assert bool(torch.isfinite(solution.value[2:]).all())


@pytest.mark.gpu
def test_the_minimum_is_the_same_on_a_gpu() -> None:
    model, least, _ = REFERENCES["ii"]
    found = minimisation.global_minimum(model, 0, starts=64, tolerance=1e-12, device="cuda")
    assert found.converged
    assert abs(float(found.stats.loss) / least - 1) < 1e-12


def test_bad_input_is_refused_in_one_line() -> None:
    start = starts_of(MODEL, 0)
    cross = replace(MODEL, loss="ce")
    for call, words in (
        (lambda: minimisation.minimise(replace(MODEL, bias=False), start), "expected factors without a bias"),
        (lambda: minimisation.minimise(MODEL, start, torch.ones(2)), "expected decays to be a tensor (..., M + 1)"),
        (lambda: minimisation.minimise(MODEL, start, tolerance=-1.0), "expected tolerance to be a finite number >= 0"),
        (lambda: minimisation.minimise(MODEL, start, iterations=-1), "expected iterations to be an integer >= 0"),
        (lambda: minimisation.minimise(MODEL, start.map(lambda x: x / 0)), "expected finite tensor 0 of the start"),
        (lambda: minimisation.optimal_features(cross, start.weights), "expected loss 'mse'"),
        (lambda: minimisation.global_minimum(MODEL, 0, starts=0), "expected starts to be an integer >= 1, got 0"),
        (lambda: minimisation.global_minimum(MODEL, 0, sizes=(2.0, 1.0)), "expected sizes 0 < smallest <= largest"),
        (lambda: minimisation.spectrum(cross, start, rtol=-1.0), "expected rtol to be a finite number >= 0"),
    ):
        refuses(call, words)


def test_every_law_fails_on_a_mutant() -> None:
    minimise, search, optimal = minimisation.minimise, minimisation.global_minimum, minimisation.optimal_features
    start, starts = starts_of(MODEL, 0, 1.0), starts_of(MODEL, 0, 1.0, (3,))
    decays = torch.tensor([[[0.001, 0.002, 0.003]], [[0.004, 0.001, 0.003]]], dtype=torch.float64)
    through = torch.tensor([0.004, 0.03], dtype=torch.float64)[:, None].expand(-1, 3)
    cases = DeepLinearUFM((20, 10, 5, 1), 8, 2, 0.1)
    reference = REFERENCES["ii"]

    def wrong_ridge(model: DeepLinearUFM, weights: tuple[Tensor, ...]) -> Factors:
        """lam_H where N lam_H belongs."""
        return optimal(model, weights, torch.tensor(model.decays, dtype=torch.float64) / model.samples)

    def uncentred(model: DeepLinearUFM, weights: tuple[Tensor, ...]) -> Factors:
        """The bias, but features of targets that were not centred."""
        plain = optimal(replace(model, bias=False), weights)
        return replace(plain, bias=optimal(model, weights).bias)

    def of_balanced(model: DeepLinearUFM, weights: tuple[Tensor, ...]) -> Factors:
        """The mean over classes where that over samples belongs."""
        return optimal(replace(model, class_counts=(1,) * model.classes), weights, torch.tensor(
            [*model.decays[:-1], model.decays[-1] * model.samples / model.classes], dtype=torch.float64
        ))  # fmt: skip

    def wrong_decay(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        """lam_1 and lam_M changed places."""
        first, second, third = model.decays if isinstance(model.decays, tuple) else ()
        return minimise(replace(model, decays=(second, first, third)), start, *args, **options)

    def silent(*args: Any, **options: Any) -> Any:
        """Stops early and says that it converged."""
        solution = minimise(*args, **options, iterations=6)
        return replace(solution, result=Result.CONVERGED)

    def climbing(model: DeepLinearUFM, start: Factors, *args: Any, **options: Any) -> Any:
        """A saddle: zero."""
        return minimise(model, start.map(torch.zeros_like), *args, **options)

    def shifted(model: DeepLinearUFM, start: Factors, decays: Tensor | None = None, eliminate: bool = True) -> Any:
        """Joint minimisation without the bias."""
        solution = minimise(
            model if eliminate else replace(model, bias=False),
            start if eliminate else replace(start, bias=None),
            decays,
            eliminate=eliminate,
        )
        return solution

    def first_decays(model: DeepLinearUFM, start: Factors, decays: Tensor | None = None) -> Any:
        return minimise(model, start, None if decays is None else decays[:1].expand_as(decays))

    def halved(model: DeepLinearUFM, *args: Any, **options: Any) -> Any:
        """1/N for 1/(2N), in effect half of all decays."""
        return search(replace(model, decays=tuple(lam / 2 for lam in model.decays)), *args, **options)

    def small_starts(model: DeepLinearUFM, *args: Any, **options: Any) -> Any:
        return search(model, *args, **{**options, "sizes": (1e-3, 1e-2)})

    def large_starts(model: DeepLinearUFM, *args: Any, **options: Any) -> Any:
        return search(model, *args, **{**options, "sizes": (30.0, 30.0), "starts": 2})

    def overcounted(*args: Any, **options: Any) -> Any:
        found = search(*args, **options)
        return replace(found, value=replace(found.value, hits=found.value.converged.sum(0)))

    mutants = [
        (features_are_optimal, (wrong_ridge, MODEL, start.weights)),
        (features_are_optimal, (uncentred, MODEL, start.weights)),
        (features_are_optimal, (of_balanced, MODEL, start.weights)),
        (end_is_critical, (wrong_decay, MODEL, start)),
        (end_is_critical, (silent, MODEL, start)),
        (nothing_near_is_below, (silent, MODEL, start, 0)),
        (nothing_near_is_below, (climbing, replace(MODEL, depth=1, widths=4, decays=1e-3), starts_of(
            replace(MODEL, depth=1, widths=4, decays=1e-3), 0
        ), 0)),
        (elimination_changes_nothing, (shifted, MODEL, starts)),
        (configurations_are_apart, (first_decays, MODEL, starts, decays)),
        (reaches, (halved, *reference)),
        (reaches, (small_starts, *reference)),
        (search_finds_the_least, (large_starts, minimise, cases, through)),
        (search_finds_the_least, (overcounted, minimise, cases, through)),
        (refuses, (lambda: MODEL.objective(start), "expected")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
