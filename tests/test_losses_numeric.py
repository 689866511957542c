"""Losses equal their definition, sample by sample; the least-squares minimum is one, and says how good it is."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import (
    assert_close,
    assert_mutants_die,
    cross_entropy_equals_loop,
    gradient_is_derivative,
    is_affine_invariant,
    loss_equals_loop,
    minimum_equals_normal_equations,
    minimum_has_least_norm,
    minimum_is_below,
    minimum_is_stationary,
    minimum_states_its_error,
    refuses,
)
from strategies import batches, class_counts, decays, feature_models, invertible_matrix, normal_matrix, seeds
from tightframe.numerics import losses
from tightframe.numerics.frames import partial_isometry
from tightframe.numerics.models import FeatureModel, Features
from tightframe.numerics.solution import Result, Solution
from torch import Tensor

SAMPLES = class_counts(least=1)


def classifier_for(features: Features, seed: int) -> Tensor:
    return normal_matrix(features.classes, features.dimension, seed, features.batch)


@given(feature_models(SAMPLES), seeds(), decays())
def test_losses_are_averages_over_all_samples(model: FeatureModel, seed: int, decay: float) -> None:
    features = model.sample(seed).extended()
    classifier = classifier_for(features, seed)
    loss_equals_loop(losses.least_squares_loss, classifier, features, decay)
    cross_entropy_equals_loop(losses.cross_entropy, classifier, features, decay)


@given(feature_models(SAMPLES), seeds(), batches(), decays())
def test_losses_and_minimum_of_a_batch_are_a_loop(
    model: FeatureModel, seed: int, batch: tuple[int, ...], decay: float
) -> None:
    features = model.sample(seed, batch).extended()
    targets, classifiers = features.one_hot, classifier_for(features, seed)
    minimum = losses.least_squares_minimum(features.values, targets, decay)
    flat = zip(
        classifiers.reshape(-1, *classifiers.shape[-2:]),
        features.values.reshape(-1, *features.values.shape[-2:]),
        strict=True,
    )
    for index, (w, h) in enumerate(flat):
        for loss in (losses.least_squares_loss, losses.cross_entropy):
            assert_close(
                loss(classifiers, features.values, targets, decay).reshape(-1)[index], loss(w, h, targets, decay)
            )
        single = losses.least_squares_minimum(h, targets, decay)
        assert_close(minimum.stats.loss.reshape(-1)[index], single.stats.loss)
        assert minimum.stats.rank.reshape(-1)[index] == single.stats.rank
    assert minimum.value.shape == classifiers.shape
    assert {t.shape for t in vars(minimum.stats).values()} == {torch.Size(batch)}


@given(feature_models(SAMPLES), seeds(), batches(), decays())
def test_gradient_is_the_derivative(model: FeatureModel, seed: int, batch: tuple[int, ...], decay: float) -> None:
    features = model.sample(seed, batch)
    point, targets = classifier_for(features, seed), normal_matrix(features.classes, features.samples, seed)
    gradient_is_derivative(
        losses.least_squares_gradient, losses.least_squares_loss, point, features.values, targets, decay
    )


@given(feature_models(SAMPLES), seeds(), batches(), decays())
def test_autograd_vanishes_at_the_minimum_and_nothing_lies_below(
    model: FeatureModel, seed: int, batch: tuple[int, ...], decay: float
) -> None:
    """Singular Gram matrices included: N < d + 1 is frequent here, and without decay the minimum is not unique then."""
    features = model.sample(seed, batch).extended()
    problem = (losses.least_squares_minimum, losses.least_squares_loss, features.values, features.one_hot, decay)
    minimum_is_stationary(*problem)
    minimum_is_below(*problem, classifier_for(features, seed))


@given(feature_models(SAMPLES), seeds(), decays(zero=False))
def test_minimum_solves_the_normal_equations(model: FeatureModel, seed: int, decay: float) -> None:
    features = model.sample(seed)
    targets = normal_matrix(features.classes, features.samples, seed)
    minimum_equals_normal_equations(losses.least_squares_minimum, features.values, targets, decay)


@given(feature_models(), seeds())
def test_without_decay_a_singular_system_has_its_minimum_of_least_norm(model: FeatureModel, seed: int) -> None:
    features = FeatureModel(model.class_counts, model.dimension, within_scale=0.0).sample(seed)
    rank = min(features.classes, features.dimension)
    minimum_has_least_norm(losses.least_squares_minimum, features.values, features.one_hot, rank)


def least_loss(features: Features) -> Tensor:
    return losses.least_squares_minimum(features.extended().values, features.one_hot).stats.loss


@given(feature_models(SAMPLES), seeds())
def test_least_loss_without_decay_is_affine_invariant(model: FeatureModel, seed: int) -> None:
    """With the bias among the columns, and also where Sigma_T is singular."""
    linear, translation = invertible_matrix(model.dimension, seed), normal_matrix(model.dimension, 1, seed)
    is_affine_invariant(least_loss, model.sample(seed), linear, translation)


def ill_conditioned(digits: int, seed: int = 0) -> Tensor:
    """Features of condition number about 10^digits, mixed so that no scaling of rows mends it."""
    scales = torch.diag(torch.logspace(0, -digits, 4, dtype=torch.float64))
    return partial_isometry(4, 4, seed + 1) @ scales @ normal_matrix(4, 9, seed)


@given(st.integers(0, 13), seeds())
def test_what_ill_conditioning_costs_is_stated(digits: int, seed: int) -> None:
    minimum_states_its_error(losses.least_squares_minimum, ill_conditioned(digits, seed), normal_matrix(2, 9, seed + 2))


def test_not_converging_is_a_value() -> None:
    features, targets = ill_conditioned(12), normal_matrix(2, 9, 2)
    assert losses.least_squares_minimum(features, targets).result is Result.NOT_CONVERGED
    assert losses.least_squares_minimum(ill_conditioned(4), targets).result is Result.CONVERGED
    zero = losses.least_squares_minimum(torch.zeros(2, 3), torch.ones(2, 3))
    assert zero.converged
    assert (int(zero.stats.rank), float(zero.stats.loss)) == (0, 1.0)


def test_nan_passes_through_a_loss_and_is_refused_by_the_minimum() -> None:
    bad = torch.full((2, 3), torch.nan)
    assert losses.least_squares_loss(torch.ones(2, 2), bad, torch.ones(2, 3)).isnan()
    refuses(lambda: losses.least_squares_minimum(bad, torch.ones(2, 3)), "expected finite features")
    refuses(lambda: losses.least_squares_minimum(torch.ones(2, 3), bad / 0), "expected finite targets")


def test_bad_input_is_refused_in_one_line() -> None:
    w, h, y = torch.ones(2, 4), torch.ones(4, 5), torch.ones(2, 5)
    for loss in (losses.least_squares_loss, losses.cross_entropy, losses.least_squares_gradient):
        refuses(lambda f=loss: f(w.mT, h, y), "expected classifier of shape (..., 2, 4), got (4, 2)")
        refuses(lambda f=loss: f(w, h, y.mT), "expected targets of shape (..., *, 5), got (5, 2)")
        refuses(lambda f=loss: f(w, h, y, -1.0), "expected weight_decay to be a finite number >= 0, got -1.0")
        refuses(lambda f=loss: f(w, h.double(), y), "expected one dtype, got classifier torch.float32")
        refuses(lambda f=loss: f(w.long(), h, y), "expected classifier of dtype float64 or float32, got torch.int64")
        refuses(lambda f=loss: f(w.expand(2, 2, 4), h.expand(3, 4, 5), y), "expected batch shapes that broadcast")
    refuses(lambda: losses.least_squares_minimum(h, y, float("nan")), "expected weight_decay")
    refuses(lambda: losses.least_squares_minimum(h[0], y), "expected features of shape (..., *, *), got (5,)")


def test_every_law_fails_on_a_mutant() -> None:
    features = FeatureModel((4, 2, 3), dimension=3).sample(0)
    h, y, w, decay = features.values, features.one_hot, classifier_for(features, 1), 0.1
    loss, minimum = losses.least_squares_loss, losses.least_squares_minimum
    singular = features.transformed(torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))).values

    def class_averaged(w: Tensor, h: Tensor, y: Tensor, decay: float) -> Tensor:
        """Average over classes of averages over samples: another loss, unless balanced."""
        error = (w @ h - y).square().sum(-2) @ (y / y.sum(-1, keepdim=True)).mT
        return error.mean(-1) / 2 + decay / 2 * w.square().sum()

    def without_half(w: Tensor, h: Tensor, y: Tensor, decay: float) -> Tensor:
        return 2 * loss(w, h, y, decay)

    def wrong_softmax(w: Tensor, h: Tensor, y: Tensor, decay: float) -> Tensor:
        """Over samples instead of classes."""
        return -(y * torch.log_softmax(w @ h, dim=-1)).sum(-2).mean(-1) + decay / 2 * w.square().sum()

    def unscaled_decay(h: Tensor, y: Tensor, decay: float) -> Solution[Tensor, losses.LeastSquaresStats]:
        """lam where N lam belongs."""
        return minimum(h, y, decay / h.shape[-1])

    def shifted(h: Tensor, y: Tensor, decay: float) -> Solution[Tensor, losses.LeastSquaresStats]:
        """A minimum along the kernel of the features, too, but not the one of least norm."""
        solution = minimum(h, y, decay)
        return replace(solution, value=solution.value + torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))

    def overstated(h: Tensor, y: Tensor, decay: float) -> Solution[Tensor, losses.LeastSquaresStats]:
        solution = minimum(h, y, decay)
        return replace(solution, stats=replace(solution.stats, loss=solution.stats.loss / 2))

    def silent(h: Tensor, y: Tensor, decay: float) -> Solution[Tensor, losses.LeastSquaresStats]:
        return replace(minimum(h, y, decay), result=Result.NOT_CONVERGED)

    def unerring(h: Tensor, y: Tensor, decay: float) -> Solution[Tensor, losses.LeastSquaresStats]:
        solution = minimum(h, y, decay)
        return replace(solution, stats=replace(solution.stats, loss_error=torch.zeros(())))

    step = classifier_for(features, 2)
    assert class_averaged(w, h, y, decay) != loss(w, h, y, decay)
    mutants = [
        (loss_equals_loop, (class_averaged, w, features, decay)),
        (loss_equals_loop, (without_half, w, features, decay)),
        (loss_equals_loop, (lambda w, h, y, lam: loss(w, h, y, 2 * lam), w, features, decay)),
        (cross_entropy_equals_loop, (wrong_softmax, w, features, decay)),
        (cross_entropy_equals_loop, (loss, w, features, decay)),
        (gradient_is_derivative, (losses.least_squares_gradient, without_half, w, h, y, decay)),
        (gradient_is_derivative, (lambda w, h, y, lam: (w @ h - y) @ h.mT / len(h), loss, w, h, y, decay)),
        (minimum_is_stationary, (unscaled_decay, loss, h, y, decay)),
        (minimum_is_stationary, (overstated, loss, h, y, decay)),
        (minimum_is_stationary, (silent, loss, h, y, decay)),
        (minimum_is_below, (unscaled_decay, loss, h, y, decay, step)),
        (minimum_states_its_error, (overstated, ill_conditioned(1), normal_matrix(2, 9, 2))),
        (minimum_states_its_error, (unerring, ill_conditioned(13), normal_matrix(2, 9, 2))),
        (minimum_has_least_norm, (shifted, singular, y, 2)),
        (minimum_has_least_norm, (minimum, singular, y, 3)),
        (minimum_equals_normal_equations, (unscaled_decay, h, y, decay)),
        (is_affine_invariant, (
            lambda f: minimum(f.extended().values, y, decay).stats.loss,
            features, invertible_matrix(3, 0), normal_matrix(3, 1, 0),
        )),
        (is_affine_invariant, (
            lambda f: minimum(f.values, y).stats.loss, features, invertible_matrix(3, 0), normal_matrix(3, 1, 0),
        )),
        (refuses, (lambda: minimum(h, y), "expected")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
