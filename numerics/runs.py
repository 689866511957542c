"""What the simulations of `simulations` do: deep linear models, many configurations of equal shapes in one call.

A configuration has `class_counts`, `widths` (a number), `depth`, `decays` (lam_1, ..., lam_M, lam_H) and `seed`, and
what its simulation names. Starts are drawn from its own seed, whatever the batch. All is float64 unless asked; in
float32 a scaled gradient norm does not get below about `FLOOR`, which then is the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import descent, initialisers, low_rank, minimisation
from .deep_linear import DeepLinearUFM, Factors
from .sweep import Columns, Configuration

__all__ = ["FLOOR", "critical_points", "descents", "minima"]

# In float32 the least points of 64 configurations, M = 1 to 6, stood still at norms of up to 1.2e-5 (CPU, 2026-11).
FLOOR = 2e-5


def _model(configuration: Configuration, loss: Any = "mse") -> DeepLinearUFM:
    told = configuration
    return DeepLinearUFM(told["class_counts"], told["widths"], told["depth"], 1.0, loss=loss)


def _decays(configurations: Sequence[Configuration], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor([each["decays"] for each in configurations], dtype=torch.float64).to(device, dtype)


def _stacked(starts: Sequence[Factors], dim: int) -> Factors:
    tensors = [torch.stack(parts, dim=dim) for parts in zip(*(start.tensors for start in starts), strict=True)]
    depth = len(starts[0].weights)
    return Factors(tuple(tensors[:depth]), tensors[depth])


def _tolerance(dtype: torch.dtype, wanted: float) -> float:
    return wanted if dtype == torch.float64 else max(wanted, FLOOR)


def _squared_rows(product: Tensor) -> list[list[float]]:
    rows: list[list[float]] = product.square().sum(dim=-1).tolist()
    return rows


# ------------------------------------------------------------------------------------------------- global minima


def minima(configurations: Sequence[Configuration], device: torch.device, dtype: torch.dtype) -> Columns:
    """The least critical point from `starts` starts, by `minimisation.least_of`: loss, what is alive, rows of W W^T."""
    model, starts = _model(configurations[0]), configurations[0]["starts"]
    lam = _decays(configurations, torch.device("cpu"), dtype)
    drawn = [
        minimisation.starts_of_sizes(model, each["seed"], starts, minimisation.SIZES, row)
        for each, row in zip(configurations, lam, strict=True)
    ]
    # moved together: a copy to a GPU takes as long as its launch
    start, lam = _stacked(drawn, 1).map(lambda tensor: tensor.to(device)), lam.to(device)
    tolerance = _tolerance(dtype, minimisation.TOLERANCE)
    rtol = minimisation.SAME if dtype == torch.float64 else FLOOR
    found = minimisation.least_of(model, start, lam, tolerance, rtol=rtol)
    ends = found.value
    higher = ends.converged & (ends.ranks > ends.spectrum.rank) & (ends.losses > found.stats.loss * (1 + rtol))
    return {
        "converged": ends.certain.tolist(),
        "loss": found.stats.loss.tolist(),
        "gradient_norm": found.stats.gradient_norm.tolist(),
        "hits": ends.hits.tolist(),
        "alive": ends.spectrum.rank.tolist(),
        "p": _squared_rows(ends.best.product),
        "worse_with_more": higher.any(dim=0).tolist(),
    }


# ---------------------------------------------------------------------------------------------- gradient descent


def _gaussian(configurations: Sequence[Configuration], model: DeepLinearUFM) -> Factors:
    return _stacked([initialisers.gaussian(model, each["seed"], each["scale"]) for each in configurations], 0)


def descents(configurations: Sequence[Configuration], device: torch.device, dtype: torch.dtype) -> Columns:
    """`iterations` steps of gradient descent with the squared error from a gaussian start of deviation `scale`."""
    told, model = configurations[0], _model(configurations[0])
    start = _gaussian(configurations, model).map(lambda tensor: tensor.to(device, dtype))
    lam = _decays(configurations, device, dtype)
    tolerance = _tolerance(dtype, descent.TOLERANCE)
    solution = descent.gradient_descent(
        model, start, told["iterations"], told["rate"], told["momentum"], decays=lam, tolerance=tolerance
    )
    points, norm = solution.value, solution.stats.gradient_norm
    finite = torch.isfinite(solution.stats.loss)
    product = torch.where(finite[:, None, None], points.product[-1], 0)
    ends = Factors((product,), points.class_means[-1])
    linear = DeepLinearUFM(model.class_counts, ends.features.shape[-2], 1, 1.0)
    rank = minimisation.spectrum(linear, ends, torch.stack([lam[:, 0], lam[:, -1]], dim=-1)).rank
    return {
        "converged": (norm <= tolerance).tolist(),
        "finite": finite.tolist(),
        "loss": _or_none(solution.stats.loss, finite),
        "gradient_norm": _or_none(norm, finite),
        "nc1": _or_none(points.nc1[-1], finite),
        "alive": _or_none(rank, finite),
        "p": [row if good else None for row, good in zip(_squared_rows(product), finite.tolist(), strict=True)],
    }


def _or_none(values: Tensor, finite: Tensor) -> list[Any]:
    return [value if good else None for value, good in zip(values.tolist(), finite.tolist(), strict=True)]


def critical_points(configurations: Sequence[Configuration], device: torch.device, dtype: torch.dtype) -> Columns:
    """Where gradient descent with cross-entropy ends, at most after `iterations` steps: loss and rank of the logits."""
    told, model = configurations[0], _model(configurations[0], "ce")
    start = _gaussian(configurations, model).map(lambda tensor: tensor.to(device, dtype))
    lam = _decays(configurations, device, dtype)
    tolerance = _tolerance(dtype, descent.TOLERANCE)
    found = descent.until_critical(
        model, start, told["rate"], decays=lam, tolerance=tolerance, limit=told["iterations"]
    )
    stats, finite = found.stats, torch.isfinite(found.stats.loss)
    logits = torch.where(finite[:, None, None], low_rank.logits(model, found.value), 0)
    values = low_rank.sample_values(model, logits)
    return {
        "converged": stats.converged.tolist(),
        "iterations_made": stats.iterations.tolist(),
        "loss": _or_none(stats.loss, finite),
        "gradient_norm": _or_none(stats.gradient_norm, finite),
        "rank": _or_none(low_rank.numerical_rank(values), finite),
        "spread": _or_none(_spread(values, model.classes), finite),
    }


def _spread(values: Tensor, classes: int) -> Tensor:
    """s_1/s_{K-1} - 1 of the singular values of the logits: zero at neural collapse."""
    least = values[..., classes - 2]
    return torch.where(least > 0, values[..., 0] / torch.where(least > 0, least, 1) - 1, torch.inf).clamp(max=1e300)
