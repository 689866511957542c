"""Strategies, as nouns. A strategy draws a spec and a seed; tensors are then built from the seed."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.numerics.frames import partial_isometry
from tightframe.numerics.models import FeatureModel, Features
from torch import Tensor


def seeds() -> SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def batches() -> SearchStrategy[tuple[int, ...]]:
    return st.sampled_from([(), (1,), (3,), (2, 2)])


def decays(zero: bool = True) -> SearchStrategy[float]:
    """Weight decays over the range that papers use."""
    return st.sampled_from([*([0.0] if zero else []), 5e-4, 1e-2, 1.0])


def class_counts(
    least: int = 1, most: int = 6, balanced: bool | None = None, classes: int = 5
) -> SearchStrategy[tuple[int, ...]]:
    """(n_1, ..., n_K) with 2 <= K <= classes; balanced or not as the argument says, either if it is None."""
    equal = st.builds(lambda size, number: (size,) * number, st.integers(least, most), st.integers(2, classes))
    free = st.lists(st.integers(least, most), min_size=2, max_size=classes).map(tuple)
    unequal = free.filter(lambda counts: len(set(counts)) > 1)
    return {True: equal, False: unequal, None: st.one_of(equal, free)}[balanced]


@st.composite
def feature_models(
    draw: st.DrawFn,
    counts: SearchStrategy[tuple[int, ...]] | None = None,
    invertible_within: bool = False,
    most_dimension: int = 6,
) -> FeatureModel:
    """Specs of random features, d < K and d >= K alike; on request with N - K >= d, so that Sigma_W is invertible."""
    sizes = draw(class_counts(least=2) if counts is None else counts)
    most = min(most_dimension, sum(sizes) - len(sizes)) if invertible_within else most_dimension
    dimension = draw(st.integers(1, most))
    scales = st.sampled_from([0.3, 1.0, 4.0])
    return FeatureModel(sizes, dimension, mean_scale=draw(scales), within_scale=draw(scales))


@st.composite
def deep_linear_models(draw: st.DrawFn, losses: tuple[str, ...] = ("mse", "ce"), depth: int = 4) -> DeepLinearUFM:
    """Specs of deep linear models: widths below and above K and N, unequal decays, bias and label encodings or not."""
    counts, layers = draw(class_counts(most=5, classes=4)), draw(st.integers(1, depth))
    widths = tuple(draw(st.lists(st.integers(1, 7), min_size=layers, max_size=layers)))
    sizes = st.sampled_from([1e-3, 5e-3, 2e-2, 0.1])
    decays = tuple(draw(st.lists(sizes, min_size=layers + 1, max_size=layers + 1)))
    loss, encoding = draw(st.sampled_from(losses)), None
    if draw(st.booleans()):
        rows = normal_matrix(draw(st.integers(2, 4)), len(counts), draw(seeds()))
        encoding = tuple(map(tuple, (torch.softmax(rows, 0) if loss == "ce" else rows).tolist()))
    return DeepLinearUFM(counts, widths, layers, decays, draw(st.booleans()), loss, encoding)


# What a law needs beside the features, built from a seed.


def normal_matrix(rows: int, columns: int, seed: int, batch: tuple[int, ...] = ()) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, rows, columns, generator=source, dtype=torch.float64)


def invertible_matrix(dimension: int, seed: int) -> Tensor:
    """Condition number at most 4 and not symmetric, so that a lost transpose shows."""
    left = partial_isometry(dimension, dimension, seed)
    right = partial_isometry(dimension, dimension, seed + 1)
    return left * torch.linspace(0.5, 2.0, dimension, dtype=torch.float64) @ right


def order_within_classes(features: Features, seed: int) -> Tensor:
    """A permutation of the samples that keeps every class where it is."""
    keys = torch.rand(features.samples, generator=torch.Generator().manual_seed(seed))
    return torch.argsort(features.labels + keys)


def order_of(size: int, seed: int) -> list[int]:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
