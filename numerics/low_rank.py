"""Structures of low rank in deep linear models: logits of points, their rank, their best scale, and a search for them.

The logits Z = W_M ... W_1 Hbar of the class means, (..., R, K), column c of class c, are what a point says; a free bias
is not in them. Those of all samples have the singular values of (sqrt(n_1) z_1, ..., sqrt(n_K) z_K).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from . import initialisers
from .deep_linear import DeepLinearUFM, Factors
from .linalg import singular_values
from .minimisation import ITERATIONS, TOLERANCE, MinimisationStats, minimise, select_least, starts_of_sizes
from .shapes import check_finite, check_matrix, check_scale, check_size, generator, resolve_device
from .solution import Result, Solution

__all__ = ["Scaling", "Structures", "best_scale", "logits", "numerical_rank", "paired", "sample_values", "search"]

RTOL, ATOL = 1e-6, 1e-6  # of singular values: relative to the largest; and where all count as zero, in units of logits
SIZES = (1.0, 30.0)  # of the largest logit at starts; logits of minima grow like -log of the decay
NOISE = 0.03  # relative, in the factors of starts of low rank, so that no direction is absent


def logits(model: DeepLinearUFM, factors: Factors) -> Tensor:
    """Z (..., R, K) of factors (...); features that are no class means count with their means.

    >>> import torch
    >>> from tightframe.numerics import initialisers, low_rank
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=4, depth=2, decays=0.1, loss="ce")
    >>> factors = initialisers.gaussian(model, seed=0, scale=1.0)
    >>> tuple(low_rank.logits(model, factors).shape)
    (2, 2)
    """
    model.check(factors)
    columns, values = model.columns(factors.features)
    return factors.product @ columns.class_means(values)


def sample_values(model: DeepLinearUFM, logits: Tensor) -> Tensor:
    """The singular values (..., min(R, K)) of the logits of all N samples, descending, of those of classes (..., R, K).

    NaN where the logits are not finite.

    >>> import torch
    >>> from tightframe.numerics import low_rank
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((4, 4), widths=2, depth=2, decays=0.1, loss="ce")
    >>> low_rank.sample_values(model, torch.eye(2))
    tensor([2., 2.])
    """
    check_matrix("logits", logits, rows=model.outputs, columns=model.classes)
    finite = torch.isfinite(logits).all(dim=-1).all(dim=-1)[..., None]
    safe = torch.where(finite[..., None], logits, 0) * logits.new_tensor(model.class_counts).sqrt()
    return torch.where(finite, singular_values(safe), torch.nan)


def numerical_rank(values: Tensor, rtol: float = RTOL, atol: float = ATOL) -> Tensor:
    """How many of the singular values (..., *) exceed `rtol` times the largest; none where that is at most `atol`.

    Default: with M >= 2 a direction lives with a logit of order one, or is gone to the power M + 1 of what the
    tolerance of a solver leaves of its factors.

    >>> import torch
    >>> from tightframe.numerics import low_rank
    >>> low_rank.numerical_rank(torch.tensor([[3.0, 2.0, 1e-9], [1e-9, 1e-9, 0.0]])).tolist()
    [2, 0]
    """
    check_scale("rtol", rtol)
    check_scale("atol", atol)
    largest = values.amax(dim=-1, keepdim=True)
    return ((values > rtol * largest) & (largest > atol)).sum(dim=-1)


def paired(classes: int, single: float = 1.0) -> Tensor:
    """The paired direction (K, K): blocks ((1, -1), (-1, 1)) on the diagonal, and a last entry `single` if K is odd.

    Garrod & Keating 2025, proof of Theorem 1.

    >>> from tightframe.numerics import low_rank
    >>> low_rank.paired(3).tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    check_size("classes", classes, least=2)
    pair = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    return torch.block_diag(*[pair] * (classes // 2), *[single * torch.ones(1, 1, dtype=torch.float64)] * (classes % 2))


@dataclass(frozen=True, eq=False)
class Scaling:
    """The scale t >= 0 (...) at which f is least, and that f."""

    scale: Tensor
    loss: Tensor


def best_scale(
    model: DeepLinearUFM, direction: Tensor, decays: Tensor | None = None, largest: float = 1e3
) -> Solution[Scaling, Tensor]:
    """The least f at factors whose logits are t times the direction (..., R, K), t >= 0, with entries up to `largest`.

    The factors are `initialisers.factorised`, without bias; f is evaluated at them, on a grid that is refined around
    its least value until it is a billionth of the scale. The width must be at least the rank. `decays` (..., M + 1)
    stand in for those of the model. Converged means that the best scale is below the `largest`; `stats` is the width
    of the last grid.

    >>> from tightframe.numerics import low_rank
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((1,) * 6, widths=6, depth=2, decays=0.005, loss="ce")
    >>> found = low_rank.best_scale(model, low_rank.paired(6))
    >>> found.result.value, f"{found.value.loss.item():.8f}"
    ('converged', '0.12727447')
    """
    check_matrix("direction", direction, rows=model.outputs, columns=model.classes)
    check_finite("direction", direction)
    check_scale("largest", largest)
    plain = replace(model, bias=False)
    size = direction.abs().amax(dim=(-2, -1)).clamp(min=torch.finfo(direction.dtype).tiny)
    lam = plain.decay_tensor(direction, decays)
    batch = torch.broadcast_shapes(size.shape, lam.shape[:-1])
    lam, size = lam.expand(*batch, -1), size.expand(batch)
    unit = initialisers.factorised(plain, (direction / size[..., None, None]).expand(*batch, -1, -1), 0, lam)
    unit = unit.map(lambda tensor: tensor.to(direction))

    def loss(scales: Tensor) -> Tensor:
        """f (T, ...) at scales (T, ...)."""
        root = scales.pow(1 / (model.depth + 1))[..., None, None]
        return plain.objective(unit.map(lambda tensor: root * tensor), lam)

    shape = (-1, *[1] * len(batch))
    grid = torch.logspace(-3, math.log10(largest), 600, dtype=direction.dtype, device=direction.device)
    scales = torch.cat([grid.new_zeros(1), grid]).reshape(shape).expand(-1, *batch)
    while True:
        values = loss(scales)
        least, index = values.min(dim=0, keepdim=True)
        best = scales.gather(0, index)
        low, high = (scales.gather(0, (index + shift).clamp(0, len(scales) - 1)) for shift in (-1, 1))
        gap = high - low
        if bool((gap <= 1e-9 * best + 1e-12).all()):
            break
        scales = low + gap * torch.linspace(0, 1, 33, dtype=grid.dtype, device=grid.device).reshape(shape)
    inside = bool((best < largest * (1 - 1e-6)).all())
    result = Result.CONVERGED if inside else Result.NOT_CONVERGED
    return Solution(Scaling(best[0] / size, least[0]), result, gap[0])


@dataclass(frozen=True, eq=False)
class Structures:
    """What a search found for each configuration (...), and where all of its S starts at each of D widths ended.

    `logits` (..., R, K) are those of the converged point of least loss (where none converged, of the least loss),
    `singular_values` (..., min(R, K)) and `rank` those of the logits of all samples, `width` its width, `hits` the
    number of converged starts that ended at its loss; `certain` says where one converged and none ended lower.
    `losses`, `ranks` and `converged` are (D, S, ...): an end that did not converge is marked, and says nothing.
    """

    logits: Tensor
    singular_values: Tensor
    rank: Tensor
    width: Tensor
    hits: Tensor
    certain: Tensor
    losses: Tensor
    ranks: Tensor
    converged: Tensor


def search(
    model: DeepLinearUFM,
    seed: int,
    widths: Sequence[int] | None = None,
    starts: int = 32,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    rtol: float = 1e-9,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Solution[Structures, MinimisationStats]:
    """The least critical point found from many starts at several widths, for every configuration of `decays`.

    Half of the starts are those of `minimisation.global_minimum`. The others have logits V^T V with K random directions
    V in as few dimensions as 1, 2, ..., at sizes of `SIZES`, and some noise: structures that few gaussian starts reach.
    Default widths: K and 2K in all layers, in place of those of the model. Features are class means, in which nothing
    is lost: at every critical point those of a class are equal, each the one minimiser of a strictly convex function.

    Converged as `minimisation.global_minimum`; evidence and no proof: `hits` says how much.

    >>> from tightframe.numerics import low_rank
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((1,) * 4, widths=4, depth=3, decays=0.005, loss="ce")
    >>> found = low_rank.search(model, seed=0, starts=4)
    >>> found.result.value, f"{found.stats.loss.item():.8f}", found.value.rank.item()
    ('converged', '0.07416102', 2)
    """
    check_size("starts", starts, least=2)
    check_scale("rtol", rtol)
    lam = model.decay_tensor(torch.zeros((), dtype=dtype, device=resolve_device(device)), decays)
    if widths is None:
        widths = (model.classes, 2 * model.classes)
    if not widths:
        raise ValueError("expected at least one width")
    ends: list[tuple[Tensor, MinimisationStats]] = []
    for number, width in enumerate(widths):
        check_size("every width", width)
        each = replace(model, widths=(width,) * model.depth)
        gaussian = starts_of_sizes(each, seed + 2 * number, starts - starts // 2, (0.3, 30.0), lam)
        low = _starts_of_low_rank(each, seed + 2 * number + 1, starts // 2, lam)
        solution = minimise(each, _joined(gaussian, low), lam, tolerance, iterations)
        ends.append((logits(each, solution.value), solution.stats))
    found = torch.cat([each for each, _ in ends])
    stats = MinimisationStats(
        *(torch.cat([getattr(each, field.name) for _, each in ends]) for field in fields(MinimisationStats))
    )
    least = select_least(stats, rtol)
    values = sample_values(model, found)
    ranks = numerical_rank(values)
    shape = (len(widths), starts, *stats.loss.shape[1:])
    structures = Structures(
        least.pick(found),
        least.pick(values),
        least.pick(ranks),
        torch.tensor(widths, device=found.device)[least.index // starts],
        least.hits,
        least.certain,
        *(each.reshape(shape) for each in (stats.loss, ranks, stats.converged)),
    )
    return Solution(structures, least.result, MinimisationStats(*map(least.pick, vars(stats).values())))


def _starts_of_low_rank(model: DeepLinearUFM, seed: int, starts: int, decays: Tensor) -> Factors:
    """Starts (S, ...) of ranks 1, 2, ..., over and over, with the logits of the `search`."""
    batch, most = tuple(decays.shape[:-1]), min(model.classes, *(columns for _, columns in model.sizes))
    source = generator(seed)
    directions = torch.randn(starts, *batch, most, model.classes, generator=source, dtype=torch.float64)
    ranks = torch.arange(starts) % most + 1
    kept = torch.arange(most)[:, None] < ranks.reshape(-1, *[1] * (len(batch) + 2))
    directions = directions * kept
    directions = directions / directions.square().sum(dim=-2, keepdim=True).sqrt()
    sizes = torch.rand(starts, *batch, 1, 1, generator=source, dtype=torch.float64)
    sizes = SIZES[0] * (SIZES[1] / SIZES[0]) ** sizes
    target = sizes * (model.encoded(directions) @ directions.mT) @ directions
    low = initialisers.factorised(model, target, seed, decays, decays.device, decays.dtype)

    def noisy(tensor: Tensor) -> Tensor:
        unit = tensor.square().mean(dim=(-2, -1), keepdim=True).sqrt()
        noise = torch.randn(tensor.shape, generator=source, dtype=torch.float64).to(tensor)
        return tensor + NOISE * unit * noise

    return low.map(noisy)


def _joined(first: Factors, second: Factors) -> Factors:
    tensors = [torch.cat(pair) for pair in zip(first.tensors, second.tensors, strict=True)]
    depth = len(first.weights)
    return Factors(tuple(tensors[:depth]), tensors[depth], None if first.bias is None else tensors[-1])
