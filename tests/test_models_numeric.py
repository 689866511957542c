"""Random features are a function of spec and seed and have the scales of their spec; what is no feature is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from laws import (
    affine_image_is_by_sample,
    assert_close,
    assert_mutants_die,
    extension_appends_one,
    labels_follow_counts,
    refuses,
    sample_fits_its_spec,
    sample_has_the_scales,
    sample_is_deterministic,
    sorting_by_label_is_stable,
)
from strategies import batches, class_counts, feature_models, normal_matrix, order_of, seeds
from tightframe.numerics import shapes
from tightframe.numerics.models import FeatureModel, Features
from torch import Tensor

COUNTS = class_counts(least=1)


@given(feature_models(COUNTS), seeds(), batches())
def test_sample_fits_its_spec(model: FeatureModel, seed: int, batch: tuple[int, ...]) -> None:
    sample_fits_its_spec(model.sample, model, seed, batch)


@given(feature_models(COUNTS), seeds())
def test_sample_is_a_function_of_spec_and_seed(model: FeatureModel, seed: int) -> None:
    sample_is_deterministic(model.sample, seed)
    assert torch.equal(model.sample(seed, dtype=torch.float32).values, model.sample(seed).values.float())


def test_sample_has_the_scales_of_its_spec() -> None:
    model = FeatureModel((8, 8, 8), dimension=6, mean_scale=2.0, within_scale=0.5)
    sample_has_the_scales(model.sample, model)


@given(feature_models(COUNTS), seeds())
def test_without_within_scale_the_features_are_the_class_means(model: FeatureModel, seed: int) -> None:
    features = replace(model, within_scale=0.0).sample(seed)
    for block in features.values.split(list(features.class_counts), dim=-1):
        assert torch.equal(block, block[:, :1].expand_as(block))


@given(feature_models(COUNTS), seeds())
def test_features_know_their_labels_and_affine_images(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    labels_follow_counts(lambda f: f.labels, lambda f: f.one_hot, features)
    extension_appends_one(lambda f: f.extended(), features)
    linear, translation = normal_matrix(2, model.dimension, seed), normal_matrix(2, 1, seed)
    affine_image_is_by_sample(Features.transformed, features, linear, translation)
    assert_close(features.transformed(linear).values, (linear @ features.values))
    sorting_by_label_is_stable(Features.from_labels, features, torch.tensor(order_of(features.samples, seed)))
    assert_close(features.class_weights, [count / features.samples for count in model.class_counts])
    assert features.balanced == (max(model.class_counts) == min(model.class_counts))


def test_affine_image_of_a_batch_broadcasts() -> None:
    features = FeatureModel((2, 3), 4).sample(0, batch=(5,))
    assert features.transformed(normal_matrix(3, 4, 0), normal_matrix(3, 1, 0, (2, 1))).batch == (2, 5)


@pytest.mark.parametrize("counts", [(3,), (), (3, 0), (2, -1), (1.5, 2), 3, "ab"])
def test_bad_class_counts_are_refused(counts: Any) -> None:
    refuses(lambda: FeatureModel(counts, 3), "class_counts")
    refuses(lambda: Features(torch.ones(2, 3), counts), "class_counts")


def test_bad_input_is_refused_in_one_line() -> None:
    model, values = FeatureModel((2, 2), 3), torch.ones(3, 4)
    refuses(lambda: FeatureModel((2, 2), 0), "expected dimension to be an integer >= 1, got 0")
    refuses(lambda: FeatureModel((2, 2), 2.0), "expected dimension to be an integer >= 1, got 2.0")  # type: ignore[arg-type]
    refuses(lambda: FeatureModel((2, 2), 3, mean_scale=float("nan")), "expected mean_scale to be a finite number")
    refuses(lambda: FeatureModel((2, 2), 3, within_scale=-1.0), "expected within_scale to be a finite number")
    refuses(lambda: model.sample(-1), "expected seed to be an integer >= 0, got -1")
    refuses(lambda: model.sample(2**63), "expected seed < 2^63")
    refuses(lambda: model.sample(0, batch=(0,)), "expected every batch size")
    refuses(lambda: model.sample(0, batch=3), "expected batch to be a tuple")  # type: ignore[arg-type]
    refuses(lambda: model.sample(0, dtype=torch.float16), "expected dtype float64 or float32, got torch.float16")
    refuses(lambda: model.sample(0, device="gpu"), "expected device 'auto', 'cpu', 'cuda'")
    refuses(lambda: Features(values, (2, 3)), "expected features of shape (..., *, 5), got (3, 4)")
    refuses(lambda: Features(values.long(), (2, 2)), "expected features of dtype float64 or float32, got torch.int64")
    refuses(lambda: Features(values.numpy(), (2, 2)), "expected features to be a torch.Tensor, got ndarray")  # type: ignore[arg-type]
    for entry in (torch.nan, torch.inf):
        refuses(lambda x=entry: Features(torch.full((3, 4), x), (2, 2)), "expected finite features")
    for labels in (torch.tensor([0, 2, 2, 0]), torch.tensor([0, 9, 1, 1]), torch.tensor([0, -1, 1, 1]), torch.ones(4)):
        refuses(lambda x=labels: Features.from_labels(values, x), "expected")
    features = Features(values, (2, 2))
    refuses(lambda: features.transformed(torch.ones(2, 2)), "expected linear of shape (..., *, 3), got (2, 2)")
    refuses(lambda: features.transformed(torch.eye(3), torch.ones(3, 4)), "expected translation of shape (..., 3, 1)")
    refuses(lambda: features.transformed(torch.eye(3).double()), "expected one dtype")


def test_devices_are_resolved_or_refused_in_one_line() -> None:
    assert shapes.resolve_device("cpu") == shapes.resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert shapes.resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "mps", "", "cuda:x"):
        refuses(lambda n=name: shapes.resolve_device(n), f"got {name!r}")
    refuses(lambda: shapes.resolve_device(f"cuda:{torch.cuda.device_count()}"), "expected a device of this machine")


@pytest.mark.gpu
def test_features_are_the_same_on_every_device() -> None:
    model = FeatureModel((5, 3), 4)
    assert torch.equal(model.sample(0, device="cuda").values.cpu(), model.sample(0).values)


def test_importing_the_package_does_not_import_torch() -> None:
    code = (
        "import sys; from tightframe import numerics; assert 'torch' not in sys.modules; "
        "assert set(numerics.__all__) <= set(dir(numerics)); numerics.shapes; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_law_fails_on_a_mutant() -> None:
    model = FeatureModel((2, 3), 4, mean_scale=2.0, within_scale=0.5)
    large = FeatureModel((8, 8), 6, mean_scale=2.0, within_scale=0.5)
    features = model.sample(0)
    linear, translation = normal_matrix(4, 4, 0), normal_matrix(4, 1, 0)

    def globally_seeded(seed: int) -> Features:
        return Features(torch.randn(4, 5, dtype=torch.float64), (2, 3))

    def reseeding(seed: int) -> Features:
        torch.manual_seed(seed)
        return globally_seeded(seed)

    def repeated(seed: int, batch: tuple[int, ...] = ()) -> Features:
        """One draw for the whole batch."""
        return Features(model.sample(seed).values.expand(*batch, 4, 5), model.class_counts)

    def by_index(values: Tensor, labels: Tensor) -> Features:
        """Not stable: equal labels in reverse."""
        return Features.from_labels(values.flip(-1), labels.flip(-1))

    def variance_for_deviation(seed: int, batch: tuple[int, ...] = ()) -> Features:
        return replace(large, within_scale=0.25).sample(seed, batch)

    mutants = [
        (sample_is_deterministic, (globally_seeded, 0)),
        (sample_is_deterministic, (reseeding, 0)),
        (sample_is_deterministic, (lambda seed: features, 0)),
        (sample_fits_its_spec, (repeated, model, 0, (3,))),
        (sample_fits_its_spec, (replace(model, dimension=5).sample, model, 0, ())),
        (sample_fits_its_spec, (replace(model, class_counts=(3, 2)).sample, model, 0, ())),
        (sample_has_the_scales, (variance_for_deviation, large)),
        (sample_has_the_scales, (replace(large, mean_scale=1.0).sample, large)),
        (labels_follow_counts, (lambda f: f.labels.flip(0), lambda f: f.one_hot, features)),
        (labels_follow_counts, (lambda f: f.labels, lambda f: f.one_hot.mT, features)),
        (affine_image_is_by_sample, (lambda f, a, v: f.transformed(a.mT, v), features, linear, translation)),
        (affine_image_is_by_sample, (lambda f, a, v: f.transformed(a), features, linear, translation)),
        (extension_appends_one, (lambda f: f, features)),
        (extension_appends_one, (
            lambda f: Features(f.extended().values.roll(1, 0), f.class_counts), features,
        )),
        (sorting_by_label_is_stable, (by_index, features, torch.arange(5))),
        (refuses, (lambda: None, "")),
    ]  # fmt: skip
    assert_mutants_die(globals(), mutants)
