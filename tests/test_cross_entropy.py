"""Cross-entropy on deep linear models: gradient, batches, class means, descent to critical points, structures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from laws import assert_close, assert_mutants_die, law, refuses
from strategies import normal_matrix
from tightframe.numerics import descent, initialisers, linalg, low_rank
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.solution import Result, Solution
from torch import Tensor

Objective = Callable[[Factors], Tensor]
Descent = Callable[..., Solution[Factors, Any]]
Search = Callable[..., Solution[low_rank.Structures, Any]]

MODELS = {
    "L = 1": DeepLinearUFM((3, 2, 2), 4, 1, (0.01, 0.03), loss="ce"),
    "L = 2, bias": DeepLinearUFM((3, 2, 4), (6, 5), 2, (0.01, 0.02, 0.03), bias=True, loss="ce"),
    "L = 4, narrow": DeepLinearUFM((2, 2), (3, 1, 4, 2), 4, (0.01, 0.02, 0.03, 0.01, 0.02), loss="ce"),
}
MODEL = MODELS["L = 2, bias"]
PAIRS = DeepLinearUFM((2,) * 6, 12, 2, 0.005, loss="ce")  # where both DNC and lower ranks are found

# Losses of the claims page of Garrod et al. 2025, from outside of this project: K, L, lam, best DNC, least found.
REFERENCES = (
    (6, 2, 0.005, 0.13604276, 0.12727447, 3),
    (4, 3, 0.005, 0.08076916, 0.07416102, 2),
    (6, 1, 0.01, 0.27898714, 0.27898714, 5),
)


def reference(classes: int, depth: int, decay: float, width: int | None = None) -> DeepLinearUFM:
    return DeepLinearUFM((1,) * classes, width or classes, depth, decay, loss="ce")


def written_out(model: DeepLinearUFM, factors: Factors) -> Tensor:
    """The objective as one writes it in torch, one point at a time, all samples."""
    outputs = spread(model, factors).features
    for weight in factors.weights:
        outputs = weight @ outputs
    if factors.bias is not None:
        outputs = outputs + factors.bias
    labels = torch.repeat_interleave(torch.arange(model.classes), torch.tensor(model.class_counts))
    loss = torch.nn.functional.cross_entropy(outputs.mT, labels)
    lam = model.decay_tensor(outputs)
    tensors = (*factors.weights, spread(model, factors).features)
    return loss + sum((decay / 2 * tensor.square().sum() for decay, tensor in zip(lam, tensors, strict=True)), 0 * loss)


def spread(model: DeepLinearUFM, factors: Factors) -> Factors:
    """Features of classes as those of all samples."""
    if factors.features.shape[-1] == model.samples:
        return factors
    counts = torch.tensor(model.class_counts)
    return replace(factors, features=torch.repeat_interleave(factors.features, counts, dim=-1))


def one(factors: Factors, index: int) -> Factors:
    return factors.map(lambda tensor: tensor[index])


def centring(classes: int) -> Tensor:
    return torch.eye(classes, dtype=torch.float64) - 1 / classes


# Laws.


@law
def value_and_gradient_are_autograd(model: DeepLinearUFM, of: DeepLinearUFM, factors: Factors) -> None:
    """Of every point of a batch, against what autograd makes of the loss written out."""
    value, gradient = of.objective(factors), of.gradient(factors)
    for index in range(*factors.batch):
        variables = one(factors, index).map(lambda tensor: tensor.clone().requires_grad_(True))
        loss = written_out(model, variables)
        loss.backward()
        assert_close(value[index], loss.detach(), 1e-13)
        for found, variable in zip(one(gradient, index).tensors, variables.tensors, strict=True):
            assert variable.grad is not None
            assert_close(found, variable.grad, 1e-13)


@law
def runs_are_apart(run: Descent, model: DeepLinearUFM, start: Factors, decays: Tensor) -> None:
    """A batch of starts (B,) and decays (B, L + 1) gives the runs of each alone: points, iterations and losses."""
    batch = run(model, start, decays)
    for index in range(*start.batch):
        single = run(replace(model, decays=tuple(decays[index].tolist())), one(start, index), None)
        for together, alone in zip(one(batch.value, index).tensors, single.value.tensors, strict=True):
            assert_close(together, alone, 1e-11)
        assert int(batch.stats.iterations[index]) == int(single.stats.iterations)
        assert_close(batch.stats.loss[index], single.stats.loss, 1e-12)


@law
def class_means_are_all_samples(run: Descent, model: DeepLinearUFM, start: Factors) -> None:
    """From a collapsed start, descent on the class means is descent on all samples, which stay collapsed."""
    means, samples = run(model, start, None), run(replace(model), spread(model, start), None)
    for found, expected in zip(spread(model, means.value).tensors, samples.value.tensors, strict=True):
        assert_close(found, expected, 1e-11)
    assert_close(means.stats.loss, samples.stats.loss, 1e-12)
    assert_close(means.stats.gradient_norm, samples.stats.gradient_norm, 1e-9)


@law
def zero_units_stay_zero(widen: Callable[[Factors, tuple[int, ...]], Factors], run: Descent, narrow: int) -> None:
    """A narrow model in a wide one runs as it does alone, one batch with a wide one; zero units are zero at its end."""
    model, wide = replace(MODEL, widths=narrow), replace(MODEL, widths=7)
    starts = [initialisers.gaussian(each, seed, 0.7) for seed, each in enumerate((model, wide))]
    pairs = zip(widen(starts[0], (7, 7)).tensors, starts[1].tensors, strict=True)
    tensors = [torch.stack(pair) for pair in pairs]
    batch = run(wide, Factors(tuple(tensors[:2]), tensors[2], tensors[3]), None)
    alone = run(model, starts[0], None)
    for found, expected in zip(one(batch.value, 0).tensors, alone.value.widened((7, 7)).tensors, strict=True):
        assert_close(found, expected, 1e-11)
    assert_close(batch.stats.loss[0], alone.stats.loss, 1e-12)
    for found, expected in zip(one(batch.value, 1).tensors, run(wide, starts[1], None).value.tensors, strict=True):
        assert_close(found, expected, 1e-11)


@law
def ends_are_critical(run: Descent, model: DeepLinearUFM, start: Factors) -> None:
    """By autograd in all samples; and from any start the features of a class are equal there."""
    solution = run(model, start, None)
    assert solution.result is Result.CONVERGED
    assert bool(solution.stats.converged.all())
    for index in range(*start.batch):
        point = one(solution.value, index)
        variables = spread(model, point).map(lambda tensor: tensor.clone().requires_grad_(True))
        written_out(model, variables).backward()
        grads = [tensor.grad if tensor.grad is not None else torch.tensor(torch.nan) for tensor in variables.tensors]
        gradient = Factors(tuple(grads[: model.depth]), grads[model.depth], grads[-1] if model.bias else None)
        assert float(model.gradient_norm(gradient)) <= 1.1e-6
        features = spread(model, point).features
        blocks = features.split(list(model.class_counts), dim=-1)
        means = torch.cat([block.mean(dim=-1, keepdim=True).expand_as(block) for block in blocks], dim=-1)
        assert float((features - means).norm()) <= 1e-4 * float(features.norm())


@law
def factors_are_balanced(factorise: Callable[..., Factors], model: DeepLinearUFM, outputs: Tensor) -> None:
    """The outputs are the given ones, and lam_m F_m F_m^T = lam_{m+1} F_{m+1}^T F_{m+1} along the chain H, W_1, ..."""
    factors = factorise(model, outputs, 0)
    assert_close(factors.product @ factors.features, outputs, 1e-12)
    chain = [spread(model, factors).features, *factors.weights]
    lam = model.decay_tensor(outputs)
    for (inner, first), (outer, second) in pairwise(zip(chain, (lam[-1], *lam[:-1]), strict=True)):
        assert_close(second * outer.mT @ outer, first * inner @ inner.mT, 1e-12)


@law
def scale_is_best(best: Callable[..., Any], model: DeepLinearUFM, direction: Tensor) -> None:
    """Against Brent's method from many brackets, on the loss written out at the factors."""
    unit = initialisers.factorised(model, direction, 1)

    def loss(scale: float) -> float:
        return float(written_out(model, unit.map(lambda tensor: tensor * scale ** (1 / (model.depth + 1)))))

    brackets = [(low, 2.1 * low) for low in np.geomspace(1e-2, 1e2, 14)]
    found = [scipy.optimize.minimize_scalar(loss, bounds=each, options={"xatol": 1e-10}) for each in brackets]
    least = min((each for each in found), key=lambda each: each.fun)
    expected, scale = min((loss(0.0), 0.0), (float(least.fun), float(least.x)))
    solution = best(model, direction)
    assert solution.converged
    assert_close(solution.value.loss, expected, 1e-11)
    assert_close(solution.value.scale, scale, 1e-6)


@law
def search_reaches(search: Search, model: DeepLinearUFM, least: float, rank: int) -> None:
    """As low as is known, at that rank, by more than one start; what is said of the best is true of its logits."""
    found = search(model, 0, starts=6)
    assert found.result is Result.CONVERGED
    assert float(found.stats.loss) <= least + 6e-9
    assert int(found.value.rank) == rank
    assert int(found.value.hits) >= 2
    assert found.value.losses.shape == (2, 6)
    assert_close(found.value.losses[found.value.converged].amin(), found.stats.loss, 1e-12)
    values = torch.linalg.svdvals(found.value.logits)
    assert_close(found.value.singular_values, values, 1e-12)
    again = initialisers.factorised(model, found.value.logits, 0)
    assert_close(model.objective(again), found.stats.loss, 1e-9)


@law
def updates_are_products(update: Callable[..., Any], keep: float | Tensor, shapes: tuple[int, ...]) -> None:
    """target <- keep target + A B, for matrices and stacks, below and above the size where numpy multiplies."""
    *batch, rows, inner, columns = shapes
    left, right = normal_matrix(rows, inner, 0, tuple(batch)), normal_matrix(inner, columns, 1, tuple(batch))
    target = normal_matrix(rows, columns, 2, tuple(batch))
    expected = keep * target + left @ right
    update(target, keep, left, right, torch.full_like(target, torch.nan))()
    assert_close(target, expected, 1e-12)


# Runs of descent, with one signature.


def fixed(model: DeepLinearUFM, start: Factors, decays: Tensor | None, momentum: float = 0.0) -> Any:
    solution = descent.gradient_descent(model, start, 60, 0.3, momentum, decays=decays)
    stats = descent.CriticalStats(
        solution.stats.loss,
        solution.stats.gradient_norm,
        solution.stats.gradient_norm <= 1e-6,
        torch.full_like(solution.stats.loss, 60, dtype=torch.int64),
    )
    return Solution(solution.value.factors.map(lambda tensor: tensor[-1]), solution.result, stats)


def critical(model: DeepLinearUFM, start: Factors, decays: Tensor | None, **options: Any) -> Any:
    return descent.until_critical(model, start, 0.3, decays=decays, **options)


def with_momentum(model: DeepLinearUFM, start: Factors, decays: Tensor | None) -> Any:
    return critical(model, start, decays, momentum=0.9)


# Tests.


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("collapsed", [False, True])
def test_value_and_gradient_are_those_of_autograd(name: str, collapsed: bool) -> None:
    model = MODELS[name]
    start = initialisers.gaussian(model, 0, 1.0, (3,), collapsed)
    if start.bias is not None:
        start = replace(start, bias=normal_matrix(model.outputs, 1, 1, (3,)))
    value_and_gradient_are_autograd(model, model, start)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("run", [fixed, critical, with_momentum])
def test_a_batch_is_its_runs(name: str, run: Descent, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[name]
    decays = 0.01 + 0.05 * torch.rand(5, model.depth + 1, generator=torch.Generator().manual_seed(0)).double()
    start = initialisers.gaussian(model, 0, 0.7, (5,))
    runs_are_apart(run, model, start, decays)
    if run is fixed:
        monkeypatch.setattr(descent, "CHUNK", 1)  # every run in a part of its own
        runs_are_apart(run, model, start, decays)
        runs_are_apart(partial(fixed, momentum=0.9), model, start, decays)


@pytest.mark.parametrize("name", MODELS)
def test_class_means_run_as_all_samples(name: str) -> None:
    model = MODELS[name]
    start = initialisers.gaussian(model, 0, 0.7, (3,), collapsed=True)
    for run in (fixed, with_momentum):
        class_means_are_all_samples(run, model, start)


@pytest.mark.parametrize("run", [fixed, critical, with_momentum])
def test_widths_share_a_batch(run: Descent) -> None:
    zero_units_stay_zero(Factors.widened, run, 4)


@pytest.mark.parametrize("name", MODELS)
def test_descent_ends_at_critical_points_where_features_have_collapsed(name: str) -> None:
    model = MODELS[name]
    ends_are_critical(critical, model, initialisers.gaussian(model, 0, 0.7, (3,)))


def test_a_loss_that_stands_still_is_no_end() -> None:
    """The trap: a plateau beside a saddle, of which only the gradient says that it is none of the ends."""
    start = initialisers.gaussian(PAIRS, 0, 0.3, (4,), collapsed=True)
    early = descent.measured_descent(
        PAIRS, start, 6000, 1.0, lambda c: {"loss": PAIRS.objective(c.factors)}, record=10
    ).value["loss"]
    ends = descent.until_critical(PAIRS, start, 1.0)
    assert ends.converged
    still = (early[1:] - early[:-1]).abs() < 1e-5 * early[1:]
    later = early[1:] - ends.stats.loss
    assert bool((still & (later > 1e-3)).any(dim=0).any())
    assert bool((ends.stats.loss <= early[-1] + 1e-12).all())
    assert bool((ends.stats.gradient_norm <= 1e-6).all())
    ranks = low_rank.numerical_rank(low_rank.sample_values(PAIRS, low_rank.logits(PAIRS, ends.value)))
    assert {3, 5} <= set(ranks.tolist()) <= {3, 4, 5}


def test_what_does_not_end_is_marked() -> None:
    start = initialisers.gaussian(PAIRS, 0, 0.3, (3,), collapsed=True)
    scales = torch.tensor([1.0, 1.0, 300.0], dtype=torch.float64)[:, None, None]  # the last one explodes
    mixed = start.map(lambda tensor: tensor * scales)
    solution = descent.until_critical(PAIRS, mixed, 1.0, limit=450, every=200)
    assert solution.result is Result.NOT_CONVERGED
    assert solution.stats.converged.tolist() == [False] * 3
    assert solution.stats.iterations.tolist()[:2] == [450, 450]
    assert int(solution.stats.iterations[2]) < 450
    assert not bool(torch.isfinite(solution.stats.loss[2]))
    values = low_rank.sample_values(PAIRS, low_rank.logits(PAIRS, solution.value))
    assert torch.isnan(values).any(dim=-1).tolist() == [False, False, True]
    assert int(low_rank.numerical_rank(values)[2]) == 0
    search = low_rank.search(PAIRS, 0, starts=2, iterations=3)
    assert search.result is Result.NOT_CONVERGED
    assert not bool(search.value.converged.any())
    assert int(search.value.hits) == 0


@pytest.mark.parametrize("number", range(len(REFERENCES)))
def test_reference_values_are_reached(number: int) -> None:
    classes, depth, decay, dnc, least, rank = REFERENCES[number]
    model = reference(classes, depth, decay)
    search_reaches(low_rank.search, model, least, rank)
    found = low_rank.best_scale(model, centring(classes))
    assert found.converged
    assert_close(found.value.loss, dnc, 6e-9)
    if rank < classes - 1:
        assert_close(low_rank.best_scale(model, low_rank.paired(classes)).value.loss, least, 6e-9)


def test_the_least_may_be_neither_dnc_nor_paired() -> None:
    """K = 7, L = 3: rank 3, below the paired structure of rank 4; the logits alone, of exact rank, give the loss."""
    model = reference(7, 3, 0.01)
    found = low_rank.search(model, 0, widths=(7,), starts=12)
    assert found.converged
    assert int(found.value.rank) == 3
    for direction in (centring(7), low_rank.paired(7)):
        assert float(found.stats.loss) < float(low_rank.best_scale(model, direction).value.loss) - 0.01
    own = low_rank.best_scale(model, found.value.logits).value
    assert_close(own.scale, 1.0, 1e-5)
    assert_close(own.loss, found.stats.loss, 1e-10)


def test_a_search_of_many_decays_is_one_of_each() -> None:
    """From DNC to nothing, K = 3: the loss rises with the decay, and lies at or below zero's and DNC's."""
    model = reference(3, 2, 0.1)
    decays = torch.tensor([0.003, 0.01, 0.03, 0.3], dtype=torch.float64)[:, None].expand(-1, 3)
    found = low_rank.search(model, 0, widths=(3, 5), starts=6, decays=decays)
    assert found.converged
    assert found.value.losses.shape == (2, 6, 4)
    assert set(found.value.width.tolist()) <= {3, 5}
    best = low_rank.best_scale(model, centring(3), decays).value.loss
    assert bool((found.stats.loss <= best + 1e-12).all())
    assert found.stats.loss.tolist() == sorted(found.stats.loss.tolist())
    assert int(found.value.rank[-1]) == 0
    assert_close(found.stats.loss[-1], model.zero_loss(decays), 1e-12)
    for index in range(4):
        own = replace(model, decays=float(decays[index, 0]))
        single = low_rank.search(own, 1, widths=(3, 5), starts=6)
        assert_close(single.stats.loss, found.stats.loss[index], 1e-9)


@pytest.mark.parametrize(("classes", "depth", "decay"), [(5, 2, 0.01), (3, 1, 0.02), (4, 4, 0.003), (3, 2, 0.3)])
def test_scales_are_the_best(classes: int, depth: int, decay: float) -> None:
    """More samples than classes, decays unequal; the last one is at zero."""
    decays = tuple(decay * (1 + m) for m in range(depth + 1))
    model = DeepLinearUFM((2,) * classes, classes, depth, decays, loss="ce")
    for direction in (centring(classes), low_rank.paired(classes), normal_matrix(classes, classes, 0)):
        scale_is_best(low_rank.best_scale, model, direction)


def test_factors_of_outputs_are_balanced_and_decay_least() -> None:
    model = DeepLinearUFM((3, 2, 4), (6, 5), 2, (0.01, 0.02, 0.03), loss="ce")
    outputs = normal_matrix(3, 3, 0, (2,))
    factors_are_balanced(initialisers.factorised, model, outputs)
    factors_are_balanced(initialisers.factorised, replace(model, class_counts=(1, 1, 1)), outputs)
    least = model.objective(initialisers.factorised(model, outputs, 0))
    for seed in range(5):  # others of the same outputs: W_1 M, M^{-1} H
        factors = initialisers.factorised(model, outputs, seed)
        mixing = torch.linalg.matrix_exp(0.3 * normal_matrix(6, 6, seed))
        first, *rest = factors.weights
        other = replace(factors, weights=(first @ mixing, *rest), features=mixing.inverse() @ factors.features)
        assert_close(other.product @ other.features, outputs, 1e-10)
        assert bool((model.objective(other) > least).all())


def test_ranks_are_relative() -> None:
    low = normal_matrix(5, 2, 0) @ normal_matrix(2, 5, 1)
    for matrix, rank in ((low, 2), (1e-3 * low, 2), (low + 1e-9, 2), (low + 1e-2 * torch.eye(5), 5), (1e-9 * low, 0)):
        values = torch.linalg.svdvals(matrix)
        assert int(low_rank.numerical_rank(values)) == rank
    assert [int(low_rank.numerical_rank(torch.linalg.svdvals(low_rank.paired(k)))) for k in (2, 3, 6, 7)] == [
        1,
        2,
        3,
        4,
    ]
    model = DeepLinearUFM((4, 1), 3, 2, 0.1, loss="ce")
    logits = normal_matrix(2, 2, 0)
    samples = torch.repeat_interleave(logits, torch.tensor(model.class_counts), dim=-1)
    assert_close(low_rank.sample_values(model, logits), torch.linalg.svdvals(samples), 1e-13)


@pytest.mark.parametrize("shapes", [(3, 4, 5), (7, 3, 4, 5), (2, 80, 80, 80)])
def test_updates_are_products(shapes: tuple[int, ...]) -> None:
    *batch, _, _, _ = shapes
    for keep in (0.0, 0.7, torch.rand(*batch, 1, 1, generator=torch.Generator().manual_seed(0)).double()):
        updates_are_products(linalg.prepared_update, keep, shapes)


@pytest.mark.gpu
def test_descent_ends_the_same_on_a_gpu() -> None:
    model = MODELS["L = 2, bias"]
    here = critical(model, initialisers.gaussian(model, 0, 0.7, (3,)), None)
    there = critical(model, initialisers.gaussian(model, 0, 0.7, (3,), device="cuda"), None)
    assert_close(there.stats.loss.cpu(), here.stats.loss, 1e-11)
    searched = low_rank.search(reference(4, 3, 0.005), 0, starts=4, device="cuda")
    assert_close(searched.stats.loss.cpu(), 0.07416102, 6e-9)


def test_bad_input_is_refused_in_one_line() -> None:
    start = initialisers.gaussian(MODEL, 0)
    for call, words in (
        (lambda: descent.until_critical(MODEL, start, -0.1), "expected rate to be a finite number >= 0, got -0.1"),
        (lambda: descent.until_critical(MODEL, start, 0.1, every=0), "expected every to be an integer >= 1, got 0"),
        (lambda: descent.until_critical(MODEL, start, 0.1, limit=-1), "expected limit to be an integer >= 0, got -1"),
        (lambda: descent.until_critical(MODEL, start, 0.1, tolerance=-1.0), "expected tolerance to be a finite number"),
        (lambda: start.widened((6, 4)), "expected M = 2 widths of at least (6, 5), got (6, 4)"),
        (lambda: low_rank.search(MODEL, 0, widths=()), "expected at least one width"),
        (lambda: low_rank.search(MODEL, 0, widths=(3, 0)), "expected every width to be an integer >= 1, got 0"),
        (lambda: low_rank.search(MODEL, 0, starts=1), "expected starts to be an integer >= 2, got 1"),
        (lambda: low_rank.best_scale(MODEL, centring(4)), "expected direction of shape (..., 3, 3), got (4, 4)"),
        (lambda: low_rank.paired(1), "expected classes to be an integer >= 2, got 1"),
        (lambda: initialisers.factorised(MODEL, centring(4), 0), "expected outputs of shape (..., 3, *), got (4, 4)"),
        (lambda: initialisers.factorised(MODEL, centring(3)[:, :2], 0), "expected outputs of N = 9 or K = 3 columns"),
        (lambda: initialisers.factorised(MODEL, centring(3) / 0, 0), "expected finite outputs"),
    ):
        refuses(call, words)


def test_every_law_fails_on_a_mutant() -> None:
    start = initialisers.gaussian(MODEL, 0, 1.0, (2,))
    collapsed = initialisers.gaussian(MODEL, 0, 0.7, (2,), collapsed=True)
    decays = torch.tensor([[0.01, 0.02, 0.03], [0.03, 0.01, 0.02]], dtype=torch.float64)
    dnc, outputs = centring(3), normal_matrix(3, 3, 0)
    flat = replace(MODEL, bias=False)

    def first_decays(model: DeepLinearUFM, start: Factors, decays: Tensor | None) -> Any:
        """The decays of the first run for all."""
        return fixed(model, start, None if decays is None else decays[:1].expand_as(decays))

    def unweighted(model: DeepLinearUFM, start: Factors, decays: Tensor | None) -> Any:
        """Class means as one sample each."""
        few = replace(model, class_counts=(1,) * model.classes)
        return fixed(few if start.features.shape[-1] == model.classes else model, start, decays)

    def with_small_units(factors: Factors, widths: tuple[int, ...]) -> Factors:
        return factors.widened(widths).map(lambda tensor: tensor + 1e-6)

    def on_a_plateau(model: DeepLinearUFM, start: Factors, decays: Tensor | None) -> Any:
        """Ends where the loss has hardly changed, and calls it converged."""
        return critical(model, start, decays, tolerance=1e-2)

    def unequal(model: DeepLinearUFM, outputs: Tensor, seed: int) -> Factors:
        """Balanced as if all decays were equal."""
        return initialisers.factorised(replace(model, decays=0.1), outputs, seed)

    def of_classes(model: DeepLinearUFM, outputs: Tensor, seed: int) -> Factors:
        """As if every class had one sample."""
        return initialisers.factorised(replace(model, class_counts=(1,) * model.classes), outputs, seed)

    def coarse(model: DeepLinearUFM, direction: Tensor) -> Any:
        found = low_rank.best_scale(model, direction)
        return Solution(replace(found.value, scale=found.value.scale * 1.01), found.result, found.stats)

    def of_width_one(model: DeepLinearUFM, seed: int, starts: int) -> Any:
        return low_rank.search(model, seed, widths=(1, 1), starts=starts)

    def mislabelled(model: DeepLinearUFM, seed: int, starts: int) -> Any:
        """The rank of the product W, of which a direction may live with no logits: here simply one more."""
        found = low_rank.search(model, seed, starts=starts)
        return Solution(replace(found.value, rank=found.value.rank + 1), found.result, found.stats)

    def forgetful(target: Tensor, keep: float | Tensor, left: Tensor, right: Tensor, scratch: Tensor) -> Any:
        return linalg.prepared_update(target, 1.0, left, right, scratch)

    mutants = [
        (value_and_gradient_are_autograd, (MODEL, replace(MODEL, loss="mse"), start)),
        (value_and_gradient_are_autograd, (MODEL, replace(MODEL, decays=(0.02, 0.01, 0.03)), start)),
        (value_and_gradient_are_autograd, (MODEL, replace(MODEL, class_counts=(3, 3, 3)), start)),
        (runs_are_apart, (first_decays, MODEL, start, decays)),
        (class_means_are_all_samples, (unweighted, MODEL, collapsed)),
        (zero_units_stay_zero, (with_small_units, fixed, 4)),
        (ends_are_critical, (fixed, MODEL, start)),
        (ends_are_critical, (on_a_plateau, MODEL, start)),
        (factors_are_balanced, (unequal, flat, outputs)),
        (factors_are_balanced, (of_classes, flat, outputs)),
        (scale_is_best, (coarse, reference(3, 2, 0.01), dnc)),
        (scale_is_best, (lambda m, x: low_rank.best_scale(replace(m, decays=0.011), x), reference(3, 2, 0.01), dnc)),
        (search_reaches, (of_width_one, reference(4, 3, 0.005), 0.07416102, 2)),
        (search_reaches, (mislabelled, reference(4, 3, 0.005), 0.07416102, 2)),
        (search_reaches, (low_rank.search, reference(4, 3, 0.0051), 0.07416102, 2)),
        (updates_are_products, (forgetful, 0.5, (2, 3, 4, 5))),
        (refuses, (lambda: low_rank.paired(2), "expected")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
