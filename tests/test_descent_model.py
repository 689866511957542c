"""The deep linear model against its definition and autograd; its starts; and its columns, which lose nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import assert_close, assert_mutants_die, law, refuses, sample_is_deterministic
from strategies import batches, class_counts, deep_linear_models, normal_matrix, seeds
from tightframe.numerics import columns, initialisers, statistics
from tightframe.numerics.columns import Columns
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.models import Features
from torch import Tensor

Start = Callable[..., Factors]
MODEL = DeepLinearUFM((4, 2, 3), widths=(5, 4), depth=2, decays=(0.01, 0.02, 0.03), bias=True)
STARTS: list[Start] = [initialisers.gaussian, initialisers.orthogonal, initialisers.balanced]


def point_of(model: DeepLinearUFM, seed: int, batch: tuple[int, ...] = (), collapsed: bool = False) -> Factors:
    """Standard normal factors, the bias too."""
    factors = initialisers.gaussian(model, seed, 1.0, batch, collapsed)
    bias = None if factors.bias is None else normal_matrix(model.outputs, 1, seed, batch)
    return replace(factors, bias=bias)


def spread(model: DeepLinearUFM, factors: Factors) -> Factors:
    """Collapsed features, sample by sample."""
    features = torch.repeat_interleave(factors.features, torch.tensor(model.class_counts), dim=-1)
    return replace(factors, features=features)


# Laws of the objective.


@law
def objective_equals_loop(objective: Callable[[Factors], Tensor], model: DeepLinearUFM, factors: Factors) -> None:
    labels = np.repeat(np.arange(model.classes), model.class_counts)
    targets = np.eye(model.classes) if model.encoding is None else np.array(model.encoding)
    total = 0.0
    for h, label in zip(factors.features.numpy().T, labels, strict=True):
        z = h
        for weight in factors.weights:
            z = weight.numpy() @ z
        z = z if factors.bias is None else z + factors.bias.numpy()[:, 0]
        t = targets[:, label]
        total += 0.5 * np.sum((z - t) ** 2) if model.loss == "mse" else scipy.special.logsumexp(z) - t @ z
    norms = [np.sum(tensor.numpy() ** 2) for tensor in (*factors.weights, factors.features)]
    assert isinstance(model.decays, tuple)
    assert_close(objective(factors), total / model.samples + 0.5 * np.dot(model.decays, norms))


@law
def gradient_is_autograd(
    gradient: Callable[[Factors], Factors], objective: Callable[[Factors], Tensor], factors: Factors
) -> None:
    variables = factors.map(lambda tensor: tensor.clone().requires_grad_(True))
    objective(variables).sum().backward()
    for actual, variable in zip(gradient(factors).tensors, variables.tensors, strict=True):
        assert variable.grad is not None
        assert_close(actual, variable.grad, 1e-12)


@law
def collapsed_features_stand_for_samples(
    objective: Callable[[Factors], Tensor], norm: Callable[[Factors], Tensor], model: DeepLinearUFM, factors: Factors
) -> None:
    """The same objective, and the same norm of the gradient, as with every sample at its class mean."""
    assert_close(objective(factors), objective(spread(model, factors)), 1e-12)
    assert_close(norm(factors), norm(spread(model, factors)), 1e-12)


@law
def zero_loss_is_least_at_zero(zero_loss: Callable[[DeepLinearUFM], float], model: DeepLinearUFM) -> None:
    """With all else zero, no bias is better, and the best one reaches it."""
    zero = initialisers.gaussian(model, 0, 0.0)
    least = zero_loss(model)
    if zero.bias is None:
        assert_close(model.objective(zero), least)
        return
    means = model.encoded(zero.features) @ torch.tensor(model.class_counts, dtype=torch.float64) / model.samples
    best = means if model.loss == "mse" else means.log()
    assert_close(model.objective(replace(zero, bias=best.unsqueeze(-1))), least)


# Laws of starts.


@law
def start_has_scale(start: Start, scale: float, squares: Callable[[DeepLinearUFM, Tensor], Tensor]) -> None:
    model = DeepLinearUFM((3, 2), widths=(4, 3), depth=2, decays=1.0)
    tensors = start(model, 0, scale=scale, batch=(2000,)).tensors
    for tensor in tensors:
        assert_close(squares(model, tensor) / scale**2, np.ones(()), 0.05)


@law
def start_is_orthogonal(start: Start, model: DeepLinearUFM, scale: float) -> None:
    for tensor in (*(factors := start(model, 0, scale=scale)).weights, factors.features):
        short = tensor if tensor.shape[0] <= tensor.shape[1] else tensor.mT
        assert_close(short @ short.mT, scale**2 * np.eye(len(short)))


@law
def start_is_balanced(start: Start, model: DeepLinearUFM, seed: int, batch: tuple[int, ...]) -> None:
    factors = start(model, seed, batch=batch)
    chain = [factors.features, *factors.weights]
    for inner, outer in pairwise(chain):
        assert_close(outer.mT @ outer, inner @ inner.mT)
    end = factors.product @ factors.features
    assert bool((torch.linalg.matrix_rank(end) == min(model.outputs, *end.shape[-1:], *_widths(model))).all())


def _widths(model: DeepLinearUFM) -> tuple[int, ...]:
    assert isinstance(model.widths, tuple)
    return model.widths


# Laws of columns.


@law
def columns_lose_nothing(reduce: Callable[..., tuple[Columns, Tensor]], features: Features) -> None:
    """K + min(d, N - K) columns that give back the features, their Gram matrices and their class means."""
    encoding = torch.eye(features.classes, dtype=torch.float64)
    reduced, values = reduce(features.class_counts, encoding, features.values)
    within = min(features.dimension, features.samples - features.classes)
    assert values.shape[-1] == features.classes + within
    assert_close(reduced.features(values), features.values)
    assert_close(values @ values.mT, features.values @ features.values.mT)
    assert_close(values @ reduced.targets.mT, features.values @ features.one_hot.mT)
    assert_close(values @ reduced.roots, features.values.sum(-1))
    assert_close(reduced.class_means(values), statistics.class_means(features))
    assert_close(
        reduced.within(values) @ reduced.within(values).mT, features.samples * statistics.within_covariance(features)
    )


@given(deep_linear_models(), seeds())
def test_the_objective_is_its_definition(model: DeepLinearUFM, seed: int) -> None:
    objective_equals_loop(model.objective, model, point_of(model, seed))


@given(deep_linear_models(), seeds(), batches(), st.booleans())
def test_the_gradient_is_the_derivative(
    model: DeepLinearUFM, seed: int, batch: tuple[int, ...], collapsed: bool
) -> None:
    gradient_is_autograd(model.gradient, model.objective, point_of(model, seed, batch, collapsed))
    decays = normal_matrix(1, model.depth + 1, seed, batch)[..., 0, :].exp()
    gradient_is_autograd(
        lambda point: model.gradient(point, decays),
        lambda point: model.objective(point, decays),
        point_of(model, seed, batch, collapsed),
    )


@given(deep_linear_models(), seeds(), batches())
def test_collapsed_features_are_a_value(model: DeepLinearUFM, seed: int, batch: tuple[int, ...]) -> None:
    collapsed_features_stand_for_samples(
        model.objective,
        lambda point: model.gradient_norm(model.gradient(point)),
        model,
        point_of(model, seed, batch, collapsed=True),
    )


@given(deep_linear_models())
def test_the_loss_at_zero_has_the_best_bias(model: DeepLinearUFM) -> None:
    zero_loss_is_least_at_zero(lambda m: m.zero_loss(torch.zeros((), dtype=torch.float64)), model)


@given(deep_linear_models(), seeds())
def test_a_general_target_is_an_encoding_of_single_samples(model: DeepLinearUFM, seed: int) -> None:
    targets = torch.repeat_interleave(
        model.encoded(torch.zeros((), dtype=torch.float64)), torch.tensor(model.class_counts), dim=-1
    )
    encoding = tuple(map(tuple, targets.tolist()))
    general = replace(model, class_counts=(1,) * model.samples, encoding=encoding)
    factors = point_of(model, seed)
    assert_close(general.objective(factors), model.objective(factors), 1e-12)


@given(deep_linear_models(), seeds(), batches(), st.booleans())
def test_starts_fit_the_model(model: DeepLinearUFM, seed: int, batch: tuple[int, ...], collapsed: bool) -> None:
    for start in STARTS:
        factors = start(model, seed, batch=batch, collapsed=collapsed)
        model.check(factors)
        assert factors.batch == batch
        assert factors.features.shape[-1] == (model.classes if collapsed else model.samples)
    start_is_balanced(initialisers.balanced, model, seed, batch)
    start_is_orthogonal(initialisers.orthogonal, model, 0.5)


@given(seeds())
def test_starts_are_functions_of_the_seed(seed: int) -> None:
    for start in STARTS:
        sample_is_deterministic(lambda s, start=start: Features(start(MODEL, s).features, MODEL.class_counts), seed)


def entries(model: DeepLinearUFM, tensor: Tensor) -> Tensor:
    return tensor.square().mean()


def test_starts_have_their_scale() -> None:
    start_has_scale(initialisers.gaussian, 0.1, entries)
    start_has_scale(initialisers.gaussian, 3.0, entries)
    # A = W H of mean square scale^2, as d >= R; the scale of its factors follows.
    model = DeepLinearUFM((3, 2), widths=4, depth=2, decays=1.0)
    factors = initialisers.balanced(model, 0, scale=3.0, batch=(2000,))
    assert_close((factors.product @ factors.features).square().mean(), 9.0, 0.05)


@given(class_counts(), st.integers(1, 8), seeds(), batches())
def test_reduced_columns_lose_nothing(
    counts: tuple[int, ...], dimension: int, seed: int, batch: tuple[int, ...]
) -> None:
    """Collapsed features included, of which a basis within classes is arbitrary."""
    values = normal_matrix(dimension, sum(counts), seed, batch)
    columns_lose_nothing(columns.reduced_columns, Features(values, counts))
    means = normal_matrix(dimension, len(counts), seed, batch)
    collapsed = torch.repeat_interleave(means, torch.tensor(counts), dim=-1)
    columns_lose_nothing(columns.reduced_columns, Features(collapsed, counts))


def test_bad_input_is_refused_in_one_line() -> None:
    def model(**changes: Any) -> DeepLinearUFM:
        return replace(MODEL, **changes)

    for changes, words in (
        ({"class_counts": (3, 0)}, "expected at least one sample in every class"),
        ({"class_counts": (3, 1.5)}, "expected class_counts to be a sequence of integers"),
        ({"class_counts": (3,)}, "expected at least 2 classes"),
        ({"depth": 0}, "expected depth to be an integer >= 1, got 0"),
        ({"widths": (5, 0)}, "expected every width to be an integer >= 1, got 0"),
        ({"widths": (5, 4, 3)}, "expected M = 2 widths (d_1, ..., d_M), or one number, got 3"),
        ({"decays": (0.1, 0.1)}, "expected M + 1 = 3 decays (lam_1, ..., lam_M, lam_H), or one number, got 2"),
        ({"decays": 0.0}, "expected every decay to be a finite number > 0, got 0.0"),
        ({"decays": (0.1, -0.1, 0.1)}, "expected every decay to be a finite number > 0, got -0.1"),
        ({"decays": (0.1, float("nan"), 0.1)}, "expected every decay to be a finite number > 0, got nan"),
        ({"bias": "free"}, "expected bias to be True or False, got 'free'"),
        ({"loss": "hinge"}, "expected loss 'mse' or 'ce', got 'hinge'"),
        ({"encoding": ((1.0, 0.0),)}, "expected the encoding to have rows of K = 3 numbers"),
        ({"encoding": ((1.0, 0.0, float("inf")),)}, "expected a finite encoding"),
        ({"encoding": (1.0, 2.0)}, "expected the encoding to be rows of numbers"),
        ({"encoding": ((1.0, 0.0, 2.0),), "loss": "ce"}, "expected an encoding whose columns are probabilities"),
    ):
        refuses(lambda changes=changes: model(**changes), words)
    good = point_of(MODEL, 0)
    for factors, words in (
        (lambda: replace(good, bias=None), "expected factors with a bias"),
        (lambda: replace(good, features=good.features[:, :5]), "expected features of N = 9 or K = 3 columns, got 5"),
        (lambda: replace(good, features=good.features[:4]), "expected W_1 of shape (..., *, 4), got (4, 5)"),
        (lambda: replace(good, weights=good.weights[:1], bias=None), "expected M = 2 weight matrices, got 1"),
        (lambda: replace(good, weights=()), "expected at least one weight matrix"),
        (lambda: replace(good, bias=torch.zeros(3, 1)), "expected one dtype"),
        (lambda: replace(good, features=good.features.expand(2, -1, -1)), "expected factors of one batch shape"),
    ):
        refuses(lambda factors=factors: MODEL.objective(factors()), words)
    refuses(lambda: MODEL.objective(good, torch.ones(2)), "expected decays to be a tensor (..., M + 1) with M + 1 = 3")
    refuses(lambda: MODEL.objective(good, torch.tensor([1.0, 0.0, 1.0])), "expected finite decays > 0")
    for start in STARTS:
        refuses(lambda start=start: start(MODEL, 0, scale=-1.0), "expected scale to be a finite number >= 0")
        refuses(lambda start=start: start(MODEL, -1), "expected seed to be an integer >= 0")
        refuses(lambda start=start: start(MODEL, 0, dtype=torch.float16), "expected dtype float64 or float32")


@pytest.mark.gpu
def test_starts_are_the_same_on_every_device() -> None:
    for start in STARTS:
        for here, there in zip(start(MODEL, 0).tensors, start(MODEL, 0, device="cuda").tensors, strict=True):
            assert torch.equal(there.cpu(), here)


def test_every_law_fails_on_a_mutant() -> None:
    point, collapsed = point_of(MODEL, 0), point_of(MODEL, 0, collapsed=True)
    features = Features(normal_matrix(3, 9, 0), (4, 2, 3))
    cross = replace(MODEL, loss="ce")

    def wrong_decay(point: Factors) -> Factors:
        """lam_H for lam_1."""
        return replace(MODEL, decays=(0.03, 0.02, 0.03)).gradient(point)

    def without_samples(point: Factors) -> Factors:
        """The data term without 1/N."""
        decay = replace(MODEL, decays=(0.01, 0.02, 0.03))
        full = decay.gradient(point)
        terms = [lam * tensor for lam, tensor in zip((0.01, 0.02, 0.03, 0.0), point.tensors, strict=True)]
        tensors = [9 * (tensor - term) + term for tensor, term in zip(full.tensors, terms, strict=True)]
        return Factors(tuple(tensors[:2]), tensors[2], tensors[3])

    def transposed(point: Factors) -> Factors:
        """A square W_2^T where W_2 belongs, in the derivative in W_1."""
        square = replace(MODEL, widths=(5, 3))
        right, wrong = (
            square.gradient(point),
            square.gradient(replace(point, weights=(point.weights[0], point.weights[1].mT))),
        )
        return replace(right, weights=(wrong.weights[0], right.weights[1]))

    def unweighted(point: Factors) -> Tensor:
        """Class means as so many samples."""
        return (
            replace(MODEL, class_counts=(1, 1, 1)).objective(point)
            if point.features.shape[-1] == 3
            else MODEL.objective(point)
        )

    def plain_norm(point: Factors) -> Tensor:
        """The norm of the derivative in class means, not in samples."""
        return torch.stack([tensor.square().sum() for tensor in MODEL.gradient(point).tensors]).sum().sqrt()

    def norm(point: Factors) -> Tensor:
        return MODEL.gradient_norm(MODEL.gradient(point))

    def without_residuals(counts: tuple[int, ...], encoding: Tensor, values: Tensor) -> tuple[Columns, Tensor]:
        reduced, coordinates = columns.reduced_columns(counts, encoding, values)
        return reduced, torch.cat([coordinates[:, :3], 0 * coordinates[:, 3:]], dim=-1)

    def plain_means(counts: tuple[int, ...], encoding: Tensor, values: Tensor) -> tuple[Columns, Tensor]:
        """hbar_k where sqrt(n_k) hbar_k belongs."""
        reduced, coordinates = columns.reduced_columns(counts, encoding, values)
        return reduced, torch.cat([reduced.class_means(coordinates), coordinates[:, 3:]], dim=-1)

    def scaled(start: Start, factor: float) -> Start:
        return lambda *args, **options: start(*args, **options).map(lambda tensor: factor * tensor)

    global_normal = Features(normal_matrix(5, 9, 0), (4, 2, 3))
    square_point = point_of(replace(MODEL, widths=(5, 3)), 0)
    mutants = [
        (objective_equals_loop, (lambda p: replace(MODEL, class_counts=(3, 3, 3)).objective(p), MODEL, point)),
        (objective_equals_loop, (lambda p: replace(MODEL, decays=0.01).objective(p), MODEL, point)),
        (objective_equals_loop, (cross.objective, MODEL, point)),
        (objective_equals_loop, (MODEL.objective, cross, point)),
        (gradient_is_autograd, (wrong_decay, MODEL.objective, point)),
        (gradient_is_autograd, (without_samples, MODEL.objective, point)),
        (gradient_is_autograd, (transposed, replace(MODEL, widths=(5, 3)).objective, square_point)),
        (gradient_is_autograd, (MODEL.gradient, cross.objective, point)),
        (collapsed_features_stand_for_samples, (unweighted, norm, MODEL, collapsed)),
        (collapsed_features_stand_for_samples, (MODEL.objective, plain_norm, MODEL, collapsed)),
        (zero_loss_is_least_at_zero, (lambda m: 0.5, MODEL)),
        (zero_loss_is_least_at_zero, (lambda m: float(np.log(3)), cross)),
        (start_has_scale, (scaled(initialisers.gaussian, 2**0.5), 0.1, entries)),
        (start_is_orthogonal, (initialisers.gaussian, MODEL, 0.5)),
        (start_is_orthogonal, (scaled(initialisers.orthogonal, 0.5), MODEL, 0.5)),
        (start_is_balanced, (initialisers.orthogonal, MODEL, 0, ())),
        (start_is_balanced, (scaled(initialisers.balanced, 0.0), MODEL, 0, ())),
        (columns_lose_nothing, (without_residuals, features)),
        (columns_lose_nothing, (plain_means, features)),
        (columns_lose_nothing, (
            lambda n, t, h: columns.reduced_columns((3, 3, 3), t, h), features,
        )),
        (refuses, (lambda: MODEL.objective(point), "expected")),
        (sample_is_deterministic, (lambda seed: global_normal, 0)),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
