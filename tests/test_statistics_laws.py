"""Class means, covariances, SNR and the metrics of collapse obey their laws, for balanced and other classes alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from laws import (
    Statistic,
    assert_close,
    assert_mutants_die,
    batch_equals_loop,
    class_order_is_irrelevant,
    columns_follow_classes,
    covariance_is_equivariant,
    covariances_add,
    equals_reference,
    is_accurate_near_collapse,
    is_affine_invariant,
    is_similarity_invariant,
    means_are_affine,
    nc3_equals_reference,
    nc4_equals_loop,
    reference_between,
    reference_centred_means,
    reference_class_means,
    reference_global_mean,
    reference_nc1_pinv,
    reference_nc1_trace_quotient,
    reference_nc2_angle,
    reference_nc2_etf,
    reference_nc2_norm,
    reference_residuals,
    reference_snr,
    reference_snr_values,
    reference_total,
    reference_within,
    refuses,
    rotates_with_features,
    sample_order_is_irrelevant,
    vanishes_on,
    weighted_columns_sum_to_zero,
)
from strategies import (
    batches,
    class_counts,
    feature_models,
    invertible_matrix,
    normal_matrix,
    order_of,
    order_within_classes,
    seeds,
)
from tightframe.numerics import frames, statistics
from tightframe.numerics.models import FeatureModel, Features
from torch import Tensor

COVARIANCES = [statistics.within_covariance, statistics.between_covariance, statistics.total_covariance]
METRICS = [
    statistics.nc1_pinv,
    statistics.nc1_trace_quotient,
    statistics.nc2_norm_deviation,
    statistics.nc2_angle_deviation,
    statistics.nc2_etf_distance,
]
REFERENCES = [
    (statistics.class_means, reference_class_means),
    (statistics.global_mean, reference_global_mean),
    (statistics.centred_means, reference_centred_means),
    (statistics.residuals, reference_residuals),
    (statistics.within_covariance, reference_within),
    (statistics.between_covariance, reference_between),
    (statistics.total_covariance, reference_total),
    (statistics.nc1_pinv, reference_nc1_pinv),
    (statistics.nc1_trace_quotient, reference_nc1_trace_quotient),
    (statistics.nc2_norm_deviation, reference_nc2_norm),
    (statistics.nc2_angle_deviation, reference_nc2_angle),
    (statistics.nc2_etf_distance, reference_nc2_etf),
]
SNR_REFERENCES = [
    (statistics.snr_matrix, reference_snr),
    (statistics.snr_singular_values, reference_snr_values),
]


@given(feature_models(), seeds())
@pytest.mark.parametrize(("statistic", "reference"), REFERENCES)
def test_statistics_equal_their_one_line_reference(
    statistic: Statistic, reference: Statistic, model: FeatureModel, seed: int
) -> None:
    equals_reference(statistic, reference, model.sample(seed))


def well_conditioned(features: Features) -> bool:
    return float(torch.linalg.cond(statistics.within_covariance(features)).max()) < 1e5


@given(feature_models(invertible_within=True), seeds())
@pytest.mark.parametrize(("statistic", "reference"), SNR_REFERENCES)
def test_snr_equals_its_reference(statistic: Statistic, reference: Statistic, model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    assume(well_conditioned(features))
    # The reference squares w: what is small beside the largest w is lost there, so compare squares.
    if statistic is statistics.snr_singular_values:
        equals_reference(lambda f: statistic(f).square(), lambda f: reference(f) ** 2, features)
    else:
        equals_reference(statistic, reference, features)


@given(feature_models(class_counts(least=1)), seeds(), batches())
def test_total_covariance_is_within_plus_between(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    covariances_add(*COVARIANCES, model.sample(seed, batch))


@given(feature_models(class_counts(least=1)), seeds(), batches())
def test_weighted_centred_means_sum_to_zero(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    weighted_columns_sum_to_zero(statistics.centred_means, model.sample(seed, batch))


@given(feature_models(invertible_within=True), seeds(), st.sampled_from([(3,), (2, 2)]))
def test_a_batch_is_a_loop(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    features = model.sample(seed, batch)
    assume(well_conditioned(features))
    for statistic, _ in REFERENCES + SNR_REFERENCES:
        batch_equals_loop(statistic, features)
    classifier = normal_matrix(features.classes, features.dimension, seed)
    batch_equals_loop(lambda f: statistics.nc3_alignment(classifier, f), features)
    batch_equals_loop(lambda f: statistics.nc4_agreement(classifier, f), features)


@given(feature_models(), seeds())
def test_the_order_of_samples_is_irrelevant(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    order = order_within_classes(features, seed)
    for statistic in [statistics.class_means, *COVARIANCES, *METRICS]:
        sample_order_is_irrelevant(statistic, features, order)


@given(feature_models(), seeds())
def test_the_order_of_classes_permutes_means_and_nothing_else(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    order = order_of(features.classes, seed)
    columns_follow_classes(statistics.class_means, features, order)
    columns_follow_classes(statistics.centred_means, features, order)
    for statistic in [*COVARIANCES, *METRICS]:
        class_order_is_irrelevant(statistic, features, order)


@given(feature_models(invertible_within=True), seeds())
def test_affine_maps(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    assume(well_conditioned(features))
    linear, translation = invertible_matrix(model.dimension, seed), normal_matrix(model.dimension, 1, seed)
    rotation = frames.partial_isometry(model.dimension, model.dimension, seed)
    means_are_affine(statistics.class_means, features, linear, translation)
    means_are_affine(statistics.global_mean, features, linear, translation)
    for covariance in COVARIANCES:
        covariance_is_equivariant(covariance, features, linear, translation)
    for statistic in (statistics.snr_matrix, statistics.centred_means, statistics.residuals):
        rotates_with_features(statistic, features, rotation, translation)
    # Squares, because the reference point is w = 0 where fewer than K - 1 directions exist.
    is_affine_invariant(lambda f: statistics.snr_singular_values(f).square(), features, linear, translation)
    for metric in METRICS:
        is_similarity_invariant(metric, features, rotation, 3.0, translation)


@given(feature_models(), seeds())
def test_nc3_and_nc4_equal_their_reference(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    classifier = normal_matrix(features.classes, features.dimension, seed)
    nc3_equals_reference(statistics.nc3_alignment, classifier, features)
    nc4_equals_loop(statistics.nc4_agreement, classifier, features, normal_matrix(features.classes, 1, seed + 1))


def collapsed(classes: int, dimension: int, seed: int, size: int = 3) -> Features:
    """The limit itself: class means on a simplex ETF away from the origin, no variation within classes."""
    means = 0.7 * frames.simplex_etf(classes, dimension, seed) + normal_matrix(dimension, 1, seed)
    return Features(means.repeat_interleave(size, dim=-1), (size,) * classes)


@given(st.integers(2, 6), st.integers(0, 3), seeds())
def test_every_metric_takes_its_limit_on_collapsed_features(classes: int, more: int, seed: int) -> None:
    features = collapsed(classes, classes - 1 + more, seed)
    for metric in METRICS:
        vanishes_on(metric, features)
    means = statistics.centred_means(features)
    vanishes_on(lambda f: statistics.nc3_alignment(5.0 * means.mT, f), features)
    bias = -(means.mT @ statistics.global_mean(features))
    assert_close(statistics.nc4_agreement(means.mT, features, bias), 1.0)


@given(feature_models(), seeds())
def test_collapsed_classes_have_exactly_no_within_covariance(model: FeatureModel, seed: int) -> None:
    features = FeatureModel(model.class_counts, model.dimension, within_scale=0.0).sample(seed)
    assert not statistics.within_covariance(features).any()
    refuses(lambda: statistics.snr_matrix(features), "expected an invertible Sigma_W")


@given(class_counts(least=2), seeds())
def test_covariances_are_accurate_near_collapse(counts: tuple[int, ...], seed: int) -> None:
    features = FeatureModel(counts, dimension=3, mean_scale=1.0, within_scale=1e-3).sample(seed)
    is_accurate_near_collapse(statistics.within_covariance, features, 100.0)


def test_dependent_class_means_leave_nc1_defined_by_the_pseudo_inverse() -> None:
    """Three collinear means: Sigma_B has rank 1 < K - 1; variation along the other axis does not count."""
    values = torch.tensor([[-2.0, -2.0, 0.0, 0.0, 2.0, 2.0], [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]], dtype=torch.float64)
    features = Features(values, (2, 2, 2))
    assert_close(statistics.nc1_pinv(features), 0.0)
    assert_close(statistics.nc1_trace_quotient(features), 1 / (8 / 3))
    refuses(lambda: statistics.nc2_angle_deviation(features), "expected class means that differ from the global mean")


def test_fewer_dimensions_than_classes_pad_w_with_zeros() -> None:
    w = statistics.snr_singular_values(FeatureModel((4, 4, 4, 4), dimension=2).sample(0))
    assert w.shape == (3,)
    assert w[0] >= w[1] > w[2] == 0


def test_bad_input_is_refused_in_one_line() -> None:
    one_each = Features(torch.eye(3), (1, 1, 1))
    same = Features(torch.ones(2, 6), (3, 3))
    features = FeatureModel((3, 3), 2).sample(0)
    singular = features.transformed(torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
    for statistic in (statistics.nc1_pinv, statistics.nc1_trace_quotient, statistics.snr_singular_values):
        refuses(lambda s=statistic: s(one_each), "expected a class with at least 2 samples")
    for metric in (*METRICS[:3], METRICS[4], lambda f: statistics.nc3_alignment(torch.ones(2, 2), f)):
        refuses(lambda m=metric: m(same), "expected class means that differ, got Sigma_B = 0")
    refuses(lambda: statistics.nc2_angle_deviation(same), "expected class means that differ from the global mean")
    refuses(lambda: statistics.snr_matrix(singular), "expected an invertible Sigma_W, got smallest eigenvalue")
    refuses(lambda: statistics.snr_matrix(FeatureModel((2, 2), 3).sample(0)), "rank <= N - K = 2 < d = 3")
    wrong = torch.ones(2, 3, dtype=torch.float64)
    refuses(lambda: statistics.nc3_alignment(wrong, features), "expected classifier of shape (..., 2, 2), got (2, 3)")
    zero = torch.zeros(2, 2, dtype=torch.float64)
    refuses(lambda: statistics.nc3_alignment(zero, features), "expected a classifier that is not zero")
    refuses(lambda: statistics.nc3_alignment(zero / 0, features), "expected finite classifier")
    refuses(lambda: statistics.nc4_agreement(zero.float(), features), "expected one dtype")
    refuses(lambda: statistics.nc4_agreement(zero, features, bias=zero), "expected bias of shape (..., 2, 1)")


def test_every_law_fails_on_a_mutant() -> None:
    features = FeatureModel((4, 2, 3), dimension=3).sample(0)
    batch = FeatureModel((4, 2, 3), dimension=3).sample(0, batch=(2,))
    balanced = FeatureModel((3, 3, 3), dimension=3).sample(0)
    linear, translation = invertible_matrix(3, 0), normal_matrix(3, 1, 0)
    rotation = frames.partial_isometry(3, 3, 0)
    classifier, bias = normal_matrix(3, 3, 1), normal_matrix(3, 1, 2)
    within, between, total = COVARIANCES
    means = statistics.class_means

    def per_class_within(f: Features) -> Tensor:
        """1/K sum over classes of the covariance of each: right only if balanced."""
        parts = [torch.cov(block, correction=0) for block in f.values.split(list(f.class_counts), -1)]
        return torch.stack(parts).mean(0)

    def unweighted_between(f: Features) -> Tensor:
        return statistics.centred_means(f) @ statistics.centred_means(f).mT / f.classes

    def uncentred_between(f: Features) -> Tensor:
        return means(f) * f.class_weights @ means(f).mT

    def unweighted_centring(f: Features) -> Tensor:
        return means(f) - means(f).mean(-1, keepdim=True)

    def cholesky_snr(f: Features) -> Tensor:
        """Another root of Sigma_W: the same singular values, another matrix."""
        return torch.linalg.solve_triangular(torch.linalg.cholesky(within(f)), statistics.centred_means(f), upper=False)

    def one_pass_within(f: Features) -> Tensor:
        second = f.values @ f.values.mT / f.samples
        return second - means(f) * f.class_weights @ means(f).mT

    def uncentred_norms(f: Features) -> Tensor:
        norms = means(f).norm(dim=-2)
        return norms.std(-1, correction=0) / norms.mean(-1)

    def untruncated_nc1(f: Features) -> Tensor:
        """Rank K instead of K - 1: the rounding error of a zero eigenvalue is inverted."""
        return (within(f) @ torch.linalg.inv(between(f))).diagonal(dim1=-2, dim2=-1).sum(-1) / f.classes

    mutants = [
        (equals_reference, (lambda f: means(f).flip(-1), reference_class_means, features)),
        (equals_reference, (lambda f: means(f).mT.contiguous(), reference_class_means, features)),
        (equals_reference, (lambda f: means(f).mean(-1, keepdim=True), reference_global_mean, features)),
        (equals_reference, (unweighted_centring, reference_centred_means, features)),
        (equals_reference, (lambda f: f.values - statistics.global_mean(f), reference_residuals, features)),
        (equals_reference, (per_class_within, reference_within, features)),
        (equals_reference, (lambda f: within(f) * f.samples / (f.samples - f.classes), reference_within, balanced)),
        (equals_reference, (lambda f: within(f) * f.classes, reference_within, balanced)),
        (equals_reference, (unweighted_between, reference_between, features)),
        (equals_reference, (uncentred_between, reference_between, balanced)),
        (equals_reference, (lambda f: torch.cov(f.values), reference_total, balanced)),
        (equals_reference, (lambda f: cholesky_snr(f), reference_snr, features)),
        (equals_reference, (lambda f: torch.linalg.svdvals(cholesky_snr(f)), reference_snr_values, features)),
        (equals_reference, (lambda f: statistics.nc1_pinv(f) * f.classes, reference_nc1_pinv, features)),
        (equals_reference, (untruncated_nc1, reference_nc1_pinv, features)),
        (equals_reference, (lambda f: 1 / statistics.nc1_trace_quotient(f), reference_nc1_trace_quotient, features)),
        (equals_reference, (uncentred_norms, reference_nc2_norm, balanced)),
        (equals_reference, (lambda f: statistics.nc2_angle_deviation(f) * 3 / 2, reference_nc2_angle, features)),
        (equals_reference, (lambda f: frames.frame_deviation(means(f), "etf"), reference_nc2_etf, balanced)),
        (nc3_equals_reference, (lambda w, f: statistics.nc3_alignment(-w, f), classifier, features)),
        (nc3_equals_reference, (lambda w, f: statistics.nc3_alignment(w, f).square(), classifier, features)),
        (nc4_equals_loop, (lambda w, f, b: statistics.nc4_agreement(w, f, -3 * b), classifier, features, bias)),
        (nc4_equals_loop, (lambda w, f, b: 1 - statistics.nc4_agreement(w, f, b), classifier, features, bias)),
        (covariances_add, (per_class_within, between, total, features)),
        (covariances_add, (within, unweighted_between, total, features)),
        (covariances_add, (within, uncentred_between, total, balanced)),
        (weighted_columns_sum_to_zero, (unweighted_centring, features)),
        (batch_equals_loop, (lambda f: within(f).mean(0, keepdim=True).expand_as(within(f)), batch)),
        (batch_equals_loop, (lambda f: f.values.std(), batch)),
        (sample_order_is_irrelevant, (lambda f: f.values[..., :1], features, order_within_classes(features, 1))),
        (columns_follow_classes, (lambda f: means(f).cumsum(-1), features, [2, 0, 1])),
        (class_order_is_irrelevant, (lambda f: means(f)[..., 0], features, [2, 0, 1])),
        (covariance_is_equivariant, (uncentred_between, features, linear, translation)),
        (covariance_is_equivariant, (lambda f: within(f) ** 2, features, linear, translation)),
        (rotates_with_features, (cholesky_snr, features, rotation, translation)),
        (rotates_with_features, (means, features, rotation, translation)),
        (means_are_affine, (statistics.centred_means, features, linear, translation)),
        (is_affine_invariant, (statistics.nc1_trace_quotient, features, linear, translation)),
        (is_affine_invariant, (lambda f: torch.linalg.svdvals(means(f)), features, linear, translation)),
        (is_similarity_invariant, (uncentred_norms, features, rotation, 3.0, translation)),
        (is_similarity_invariant, (lambda f: within(f).trace(), features, rotation, 3.0, 0 * translation)),
        (vanishes_on, (uncentred_norms, collapsed(3, 3, 0))),
        (vanishes_on, (statistics.nc1_pinv, balanced)),
        (is_accurate_near_collapse, (one_pass_within, FeatureModel((4, 5), 3, within_scale=1e-3).sample(0), 100.0)),
        (refuses, (lambda: None, "expected")),
        (refuses, (lambda: statistics.snr_matrix(FeatureModel((2, 2), 3).sample(0)), "another line")),
    ]
    assert_mutants_die(globals(), mutants)
