"""Gradient descent from many random starts to critical points, and what these are: the runs of several figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors

LIMIT = 500_000  # iterations of a run
# Largest relative distance of logits from a multiple of I - 11^T/K at DNC: far above what a gradient norm of 1e-6
# leaves, far below the distance of what else has rank K - 1.
NEAR = 1e-3
# Losses of one level differ by less, relatively: a gradient norm of 1e-6 leaves about 1e-12.
SAME = 1e-7
# How negative the least eigenvalue of a minimum may be, in units of the decay, far above what a gradient norm of 1e-6
# leaves; and how well it is found, relative to the largest one.
SLACK, ACCURACY = 1e-3, 1e-6
MOST = 10**8  # entries of all factors of the runs of one batch, 800 MB
# Kinds of ends.
DNC, OTHER, SADDLE, UNENDED = "DNC", "other", "saddle", "unended"

Run = dict[str, Any]


def ends(
    model: DeepLinearUFM,
    start: Factors,
    rate: float,
    group: int,
    told: Callable[[str], None],
    limit: int = LIMIT,
) -> tuple[list[Run], Factors]:
    """How every run of a batch (B,) ended, and where; `told` after every `group` of them."""
    import torch

    from ...numerics import descent, low_rank
    from ...numerics.deep_linear import Factors

    runs: list[Run] = []
    points: list[Factors] = []
    (count,) = start.batch
    for first in range(0, count, group):
        part = start.map(lambda tensor, i=first: tensor[i : i + group])
        found = descent.until_critical(model, part, rate, limit=limit)
        logits = low_rank.logits(model, found.value)
        ranks = low_rank.numerical_rank(low_rank.sample_values(model, logits))
        columns = zip(*vars(found.stats).values(), ranks, distance_from_dnc(logits), strict=True)
        names = (*vars(found.stats), "rank", "distance_from_dnc")
        runs += [dict(zip(names, (_plain(x) for x in row), strict=True)) for row in columns]
        points.append(found.value)
        told(f"runs {first + 1} to {min(first + group, count)}")
    tensors = [torch.cat(parts) for parts in zip(*(point.tensors for point in points), strict=True)]
    return runs, Factors(tuple(tensors[: model.depth]), tensors[model.depth])


def distance_from_dnc(logits: Tensor) -> Tensor:
    """The relative distance of logits (..., K, K) from the nearest multiple of I - 11^T/K."""
    import torch

    classes = logits.shape[-1]
    centred = torch.eye(classes, dtype=logits.dtype) - 1 / classes
    share = (logits * centred).sum(dim=(-2, -1)) / centred.square().sum()
    apart = logits - share[..., None, None] * centred
    return torch.linalg.matrix_norm(apart) / torch.linalg.matrix_norm(logits)


def _plain(number: Tensor) -> float | int | bool | None:
    """A number of JSON; None where it is not finite."""
    value = number.item()
    return value if math.isfinite(value) else None


def at_dnc(run: Mapping[str, Any], classes: int) -> bool:
    """Whether an ended run is at DNC."""
    return bool(run["rank"] == classes - 1 and run["distance_from_dnc"] <= NEAR)


def levels(model: DeepLinearUFM, runs: Sequence[Run], points: Factors) -> list[dict[str, Any]]:
    """The runs by their ends: of one kind, rank and loss. One run of each level is looked at for negative curvature.

    The least eigenvalue is that of one Hessian, in units of the decay, None where it was not found; the others are
    taken to be the same point up to what f does not see.
    """
    ended = sorted((run["rank"], run["loss"], index) for index, run in enumerate(runs) if run["converged"])
    groups: list[list[int]] = []
    for number, (rank, loss, index) in enumerate(ended):
        before = ended[number - 1] if number else None
        same_kind = before is not None and at_dnc(runs[before[2]], model.classes) == at_dnc(runs[index], model.classes)
        if before is not None and same_kind and before[0] == rank and loss - before[1] <= SAME * loss:
            groups[-1].append(index)
        else:
            groups.append([index])
    found = [_level(model, runs, points, group) for group in groups]
    unended = sum(not run["converged"] for run in runs)
    if unended:
        found.append({"kind": UNENDED, "rank": None, "loss": None, "runs": unended, "least_eigenvalue": None})
    return found


def _level(model: DeepLinearUFM, runs: Sequence[Run], points: Factors, group: list[int]) -> dict[str, Any]:
    from ...numerics import landscape

    run = runs[group[0]]
    hessian = landscape.Hessian(model, points.map(lambda tensor: tensor[group[0]]))
    extremes = landscape.extreme_eigenvalues(hessian, ACCURACY)
    assert isinstance(model.decays, tuple)
    least = extremes.value[0] / model.decays[0] if extremes.converged else None
    kind = DNC if at_dnc(run, model.classes) else OTHER
    if least is None or least < -SLACK:
        kind = SADDLE if least is not None else UNENDED
    return {
        "kind": kind,
        "rank": run["rank"],
        "loss": run["loss"],
        "runs": len(group),
        "least_eigenvalue": least,
    }


def interval(successes: int, trials: int) -> tuple[float, float] | None:
    """The Wilson interval of a probability, at confidence 95 %; None without trials."""
    from scipy.stats import binomtest

    if not trials:
        return None
    found = binomtest(successes, trials).proportion_ci(confidence_level=0.95, method="wilson")
    return float(found.low), float(found.high)


def counted(found: Sequence[Mapping[str, Any]], kind: str) -> int:
    """The runs of one kind of all levels."""
    return sum(level["runs"] for level in found if level["kind"] == kind)


def start_deviation(scale: float, power: float, width: int) -> float:
    """The standard deviation of the entries at the start: the scale, over a power of the width."""
    return scale / width**power


def check_entries(widths: Sequence[int], depths: Sequence[int], classes: int, per_class: int, runs: int) -> None:
    """ValueError for widths below K, or more numbers in all factors of the largest batch than a machine should hold."""
    for width in widths:
        if width < classes:
            raise ValueError(f"d: expected widths of at least K = {classes}, got {width}")
    width, depth = max(widths), max(depths)
    if runs * width * (width * (depth - 1) + classes * (1 + per_class)) > MOST:
        raise ValueError(f"expected at most {MOST:.0e} entries of the factors of all runs of one width")
