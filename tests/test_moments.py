"""Moments gathered from batches are those of all samples: in any order, merged, and in float32 near collapse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close
from strategies import class_counts, feature_models, seeds
from tightframe.numerics import linalg, statistics
from tightframe.numerics.measurement import measure
from tightframe.numerics.models import FeatureModel, Features
from tightframe.numerics.moments import PART, Accumulator, Moments
from torch import Tensor

METRICS: list[Callable[[Features | Moments], Tensor]] = [
    statistics.class_means,
    statistics.global_mean,
    statistics.centred_means,
    statistics.within_covariance,
    statistics.between_covariance,
    statistics.total_covariance,
    statistics.nc1_pinv,
    statistics.nc1_trace_quotient,
    statistics.cdnv,
    statistics.nc2_norm_deviation,
    statistics.nc2_angle_deviation,
    statistics.nc2_etf_distance,
    lambda features: statistics.nc2_frame_distance(features, "of"),
    lambda features: statistics.nc2_frame_distance(features, "gof"),
    statistics.mean_singular_values,
]


def shuffled(features: Features, seed: int) -> tuple[Tensor, Tensor]:
    """Rows and labels in a random order."""
    order = torch.randperm(features.samples, generator=torch.Generator().manual_seed(seed))
    return features.values.mT[order], features.labels[order]


def gathered(features: Features, seed: int, parts: int, accumulators: int = 1) -> list[Accumulator]:
    rows, labels = shuffled(features, seed)
    found = [Accumulator(features.classes, features.dimension, scatter=True) for _ in range(accumulators)]
    for number, (part, classes) in enumerate(zip(rows.tensor_split(parts), labels.tensor_split(parts), strict=True)):
        found[number % accumulators].update(part, classes)
    return found


def assert_same(moments: Moments, features: Features, rtol: float = 1e-12) -> None:
    for metric in METRICS:
        assert_close(metric(moments), metric(features), rtol=rtol)


@settings(max_examples=30)
@given(feature_models(), seeds(), st.integers(1, 6))
def test_batches_in_any_order_give_the_moments_of_all_samples(model: FeatureModel, seed: int, parts: int) -> None:
    features = model.sample(seed)
    [found] = gathered(features, seed, parts)
    assert_same(found.moments(), features)
    assert_same(Moments.of(features, scatter=True), features)


@settings(max_examples=30)
@given(feature_models(), seeds(), st.integers(2, 7))
def test_merged_parts_are_the_whole(model: FeatureModel, seed: int, parts: int) -> None:
    features = model.sample(seed)
    first, second = gathered(features, seed, parts, accumulators=2)
    before = second.counts
    first.merge(second)
    assert_same(first.moments(), features)
    assert torch.equal(second.counts, before)
    narrow = Features(features.values.float(), features.class_counts)
    first.update(*shuffled(narrow, seed + 1))  # after a merge the origins need not be numbers of their dtype
    both = torch.cat([features.values, narrow.values.double()], dim=1)
    assert_same(first.moments(), Features.from_labels(both, torch.cat([features.labels] * 2)), rtol=1e-6)


def collapsed(classes: int, dimension: int, per_class: int, spread: float) -> Features:
    """Float32 features of classes far from zero beside their variation."""
    model = FeatureModel((per_class,) * classes, dimension, mean_scale=10.0, within_scale=spread)
    return model.sample(0, dtype=torch.float32)


def wide(features: Features) -> Features:
    return Features(features.values.double(), features.class_counts)


@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5])
def test_float32_is_right_near_collapse(spread: float) -> None:
    features = collapsed(5, 20, 400, spread)
    exact = wide(features)
    [found] = gathered(features, 0, 9)
    for metric in (statistics.within_covariance, statistics.nc1_pinv, statistics.nc1_trace_quotient, statistics.cdnv):
        wanted = metric(exact)
        assert float((metric(found.moments()) - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    rows, labels = shuffled(features, 1)
    measured = measure(rows, labels)
    assert measured.nc1_pinv == pytest.approx(float(statistics.nc1_pinv(exact)), rel=1e-5)
    assert measured.cdnv == pytest.approx(float(statistics.cdnv(exact)), rel=1e-5)


def test_one_pass_without_origins_is_wrong_near_collapse() -> None:
    """What the sums about a sample of each class are for: squares less squares keep no digit."""
    features = collapsed(5, 20, 400, 1e-3)
    values = features.values
    naive = (values.square().sum() - 400 * statistics.class_means(features).square().sum()) / features.samples
    right = statistics.energies(wide(features)).sum() / features.samples
    assert abs(float(naive) / float(right) - 1) > 1


@settings(max_examples=30)
@given(feature_models(class_counts(least=2)), seeds())
def test_one_call_gives_the_metrics_of_the_definitions(model: FeatureModel, seed: int) -> None:
    features = model.sample(seed)
    rows, labels = shuffled(features, seed)
    source = torch.Generator().manual_seed(seed)
    classifier = torch.randn(features.classes, features.dimension, generator=source, dtype=torch.float64)
    bias = torch.randn(features.classes, generator=source, dtype=torch.float64)
    found = measure(rows, labels, classifier, bias)
    for name in ("nc1_pinv", "nc1_trace_quotient", "cdnv", "nc2_norm_deviation", "nc2_angle_deviation"):
        wanted = float(getattr(statistics, name)(features))
        assert found.metrics[name] == pytest.approx(wanted, rel=1e-10), name
    assert found.nc2_etf_distance == pytest.approx(float(statistics.nc2_etf_distance(features)), abs=1e-12)
    assert found.nc3_alignment == pytest.approx(float(statistics.nc3_alignment(classifier, features)), abs=1e-12)
    assert found.nc4_agreement == float(statistics.nc4_agreement(classifier, features, bias[:, None]))
    assert found.within_trace == pytest.approx(float(statistics.within_covariance(features).trace()), rel=1e-12)
    assert found.between_trace == pytest.approx(float(statistics.between_covariance(features).trace()), rel=1e-12)


def test_cdnv_is_the_mean_over_pairs() -> None:
    features = FeatureModel((3, 5, 2), 4).sample(0)
    blocks = features.values.split([3, 5, 2], dim=1)
    means = [block.mean(dim=1) for block in blocks]
    variances = [(block - block.mean(dim=1, keepdim=True)).square().sum(dim=0).mean() for block in blocks]
    pairs = [(0, 1), (0, 2), (1, 2)]
    wanted = [(variances[k] + variances[j]) / (2 * (means[k] - means[j]).square().sum()) for k, j in pairs]
    assert_close(statistics.cdnv(features), torch.stack(wanted).mean())


def test_d_below_k_and_dependent_means_are_defined() -> None:
    features = FeatureModel((4, 4, 4, 4), 2).sample(3)
    assert_same(gathered(features, 0, 3)[0].moments(), features)
    line = Features(torch.tensor([[0.0, 2.0, 4.0, 6.0, 9.0, 11.0], [0.0] * 6], dtype=torch.float64), (2, 2, 2))
    assert measure(line.values.mT, line.labels).nc1_pinv == pytest.approx(float(statistics.nc1_pinv(line)))


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gram_is_the_product(pinned: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """By numpy, and by torch in blocks whose number does not divide the columns."""
    monkeypatch.setattr(linalg, "PINNED", pinned)
    rows = torch.randn(50, 301, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = linalg.gram(rows)
    assert_close(found.double(), rows.double().mT @ rows.double(), rtol=1e-5 if dtype == torch.float32 else 1e-13)
    huge = linalg.gram(torch.full((2, 3), 1e30, dtype=torch.float32))
    assert bool(torch.isinf(huge).all())  # said by no warning, which would be an error here


def test_many_parts_and_many_classes_are_gathered() -> None:
    """Rows of several parts, whose products are added together, beside the definition; in float64 to 1e-12."""
    model = FeatureModel((7,) * 300, 520, mean_scale=3.0, within_scale=1e-2)
    features = model.sample(0)
    rows, labels = shuffled(features, 0)
    found = Accumulator(300, 520, scatter=True)
    assert len(rows) > 4 * (PART // 520)
    found.update(rows, labels)
    assert_close(statistics.within_covariance(found.moments()), statistics.within_covariance(features), rtol=1e-12)
    narrow = measure(rows.float(), labels)
    wide_ = measure(rows, labels)
    assert narrow.nc1_pinv == pytest.approx(wide_.nc1_pinv, rel=1e-5)
    assert wide_.nc1_pinv == pytest.approx(float(statistics.nc1_pinv(features)), rel=1e-10)


ROWS, LABELS = torch.zeros(4, 3), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("rows", "labels", "words"),
    [
        (ROWS[:, :2], LABELS, "expected features of shape (rows, 3), got (4, 2)"),
        (ROWS, LABELS[:3], "expected 4 integer labels, one a row of the features, got torch.int64 of shape (3,)"),
        (ROWS, LABELS.double(), "got torch.float64"),
        (ROWS, LABELS + 1, "expected labels in 0..1, got 1..2"),
        (ROWS, LABELS - 1, "expected labels in 0..1, got -1..0"),
        (ROWS.long(), LABELS, "expected features of a floating dtype"),
        (ROWS / 0, LABELS, "expected finite features"),
    ],
)
def test_a_bad_batch_is_refused_and_nothing_is_lost(rows: Tensor, labels: Tensor, words: str) -> None:
    found = Accumulator(2, 3)
    found.update(ROWS, LABELS)
    with pytest.raises(ValueError, match="expected") as caught:
        found.update(rows, labels)
    assert words in str(caught.value)
    assert found.counts.tolist() == [2, 2]


def test_what_has_no_metric_is_refused() -> None:
    found = Accumulator(3, 2)
    found.update(torch.eye(2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="got none of class 1"):
        found.moments()
    with pytest.raises(ValueError, match="expected samples of every class, got none of class 1"):
        measure(torch.eye(4), torch.tensor([0, 0, 2, 2]))
    with pytest.raises(ValueError, match="expected a class with at least 2 samples"):
        measure(torch.eye(2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="expected class means that differ"):
        measure(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="expected moments with their scatter"):
        statistics.within_covariance(Moments((1, 1), torch.eye(2), torch.zeros(2)))
    with pytest.raises(ValueError, match="both with scatter or without"):
        Accumulator(2, 2).merge(Accumulator(2, 2, scatter=True))


REDUCE = """
import sys, torch
from torch import distributed
from tightframe.numerics.moments import Accumulator
folder, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
features, labels = torch.load(f"{folder}/features.pt", weights_only=True)
found = Accumulator(3, 4, scatter=True)
found.update(features.tensor_split(2)[rank], labels.tensor_split(2)[rank])
found.all_reduce()
moments = found.moments()
torch.save((moments.class_counts, moments.means, moments.energies, moments.scatter), f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def test_processes_share_what_they_gathered(tmp_path: Path) -> None:
    features = FeatureModel((6, 5, 4), 4).sample(0)
    torch.save((features.values.mT.contiguous(), features.labels), tmp_path / "features.pt")  # one class is in both
    words = [sys.executable, "-c", REDUCE, str(tmp_path)]
    options = {"env": os.environ | {"GLOO_SOCKET_IFNAME": "lo"}, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*words, str(rank)], **options) for rank in range(2)]  # type: ignore[call-overload]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    for rank in range(2):
        counts, means, energies, scatter = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_same(Moments(tuple(counts), means, energies, scatter), features)
