"""Critical points and minima of deep linear models by direct minimisation, thousands of configurations in one call.

Variables are sqrt(lam_m) W_m, so that every decay term has curvature 1. With the squared error the features and the
bias are eliminated: for given W the best of them solve a linear least-squares problem, so that what is minimised is

    min over (H, b) of f = (lam_H/2) tr(S (W W^T + N lam_H I)^{-1}) + sum_m (lam_m/2) ||W_m||_F^2,  W = W_M ... W_1,

with S = T T^T, or that of the centred targets T (I - 11^T/N) where there is a bias; its critical points are those of f.
With the cross-entropy, all factors are variables, and features are class means: at a critical point those of a class
are equal, each being the one minimiser of a strictly convex function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import initialisers
from .columns import class_mean_columns
from .deep_linear import DeepLinearUFM, Evaluation, Factors, value_and_gradient
from .lbfgs import LBFGSStats, lbfgs
from .linalg import singular_values
from .shapes import check_finite, check_scale, check_size, resolve_device
from .solution import Result, Solution

__all__ = [
    "Least",
    "Minima",
    "MinimisationStats",
    "Spectrum",
    "global_minimum",
    "least_of",
    "minimise",
    "optimal_features",
    "select_least",
    "spectrum",
    "starts_of_sizes",
]

TOLERANCE = 1e-10  # of the scaled gradient norm: a Newton step would gain about 1e-20 f_0
ITERATIONS = 5000
SIZES = (0.01, 30.0)  # of the rows of W at the start; see `global_minimum`
SAME = 1e-9  # relative difference of losses, below which two are one


@dataclass(frozen=True, eq=False)
class MinimisationStats:
    """For every run (...): f, the scaled gradient norm computed afresh, and what it took.

    The norm is `DeepLinearUFM.gradient_norm` in all factors, those that were eliminated included; `converged` says
    where it is at most the tolerance.
    """

    loss: Tensor
    gradient_norm: Tensor
    converged: Tensor
    iterations: Tensor
    evaluations: Tensor


def optimal_features(model: DeepLinearUFM, weights: tuple[Tensor, ...], decays: Tensor | None = None) -> Factors:
    """The weights with the features and the bias that minimise f for them: a ridge regression. Squared error only.

    Features are class means, (..., d_1, K): W^T (W W^T + N lam_H I)^{-1} times the targets of the classes, centred
    over the samples where there is a bias, which then takes the mean that is left. Raises ValueError for weights of
    another model or cross-entropy.

    >>> import torch
    >>> from tightframe.numerics import initialisers, minimisation
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=4, depth=1, decays=0.1)
    >>> start = initialisers.gaussian(model, seed=0, scale=1.0)
    >>> factors = minimisation.optimal_features(model, start.weights)
    >>> bool(model.gradient(factors).features.abs().max() < 1e-12)
    True
    """
    if model.loss != "mse":
        raise ValueError("expected loss 'mse': with cross-entropy the best features have no closed form")
    product = weights[-1]
    for weight in reversed(weights[:-1]):
        product = product @ weight
    ridge = model.samples * model.decay_tensor(product, decays)[..., -1]
    encoding, mean = _centred_encoding(model, product)
    eye = torch.eye(model.outputs, dtype=product.dtype, device=product.device)
    gram = product @ product.mT + ridge.unsqueeze(-1).unsqueeze(-1) * eye
    means = product.mT @ torch.linalg.solve(gram, encoding.expand(*gram.shape[:-1], -1))
    batch = means.shape[:-2]
    factors = Factors(
        tuple(weight.expand(*batch, *weight.shape[-2:]) for weight in weights),
        means,
        mean.expand(*batch, -1, 1) if model.bias else None,
    )
    model.check(factors)
    return factors


def _centred_encoding(model: DeepLinearUFM, like: Tensor) -> tuple[Tensor, Tensor]:
    """The targets of the classes less what a free bias takes, and that."""
    encoding = model.encoded(like)
    counts = encoding.new_tensor(model.class_counts).unsqueeze(-1)
    mean = encoding @ counts / model.samples
    return (encoding - mean if model.bias else encoding), mean


def minimise(
    model: DeepLinearUFM,
    start: Factors,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    eliminate: bool = True,
    evaluate: Evaluation = value_and_gradient,
) -> Solution[Factors, MinimisationStats]:
    """The points where L-BFGS ends from the start (...), each run for itself; features are class means (..., d_1, K).

    `decays` (..., M + 1) stand in for those of the model and broadcast with the start: one call for many seeds and
    decays. The features of the start count only where they are not eliminated, which is with cross-entropy or without
    `eliminate`; then their class means do. `evaluate` is f and its gradient, of another model on the same factors where
    nothing is eliminated. Outside autograd.

    Converged means that the scaled gradient norm of every run is at most `tolerance`: a critical point, not more.
    Minima of f that are only local exist, and `global_minimum` looks for others. Raises ValueError for a start of
    another model or one that is not finite, and decays that are not positive.

    >>> from tightframe.numerics import initialisers, minimisation
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10, 5, 5), widths=8, depth=1, decays=(0.005, 0.0005))
    >>> solution = minimisation.minimise(model, initialisers.gaussian(model, seed=0))
    >>> solution.result.value, f"{solution.stats.loss.item():.12f}"
    ('converged', '0.018942135624')
    """
    model.check(start)
    check_scale("tolerance", tolerance)
    for number, tensor in enumerate(start.tensors):
        check_finite(f"tensor {number} of the start", tensor)
    lam = model.decay_tensor(start.features, decays)
    batch = torch.broadcast_shapes(start.batch, lam.shape[:-1])
    lam = lam.expand(*batch, -1).reshape(-1, model.depth + 1)
    with torch.no_grad():
        eliminated = eliminate and model.loss == "mse" and evaluate is value_and_gradient
        variables = _Eliminated(model, lam) if eliminated else _Joint(model, lam, evaluate)
        flat = start.map(lambda tensor: tensor.expand(*batch, *tensor.shape[-2:]).reshape(-1, *tensor.shape[-2:]))
        # Half: the norm that decides is computed afresh.
        solved = lbfgs(
            variables.objective,
            variables.pack(flat),
            tolerance / 2 * model.zero_loss(start.features) ** 0.5,
            iterations,
        )
        point = variables.unpack(solved.value).map(lambda tensor: tensor.reshape(*batch, *tensor.shape[-2:]))
        stats = _stats(model, point, lam.reshape(*batch, -1), tolerance, solved.stats, evaluate)
    return Solution(point, Result.CONVERGED if bool(stats.converged.all()) else Result.NOT_CONVERGED, stats)


def _stats(
    model: DeepLinearUFM, point: Factors, decays: Tensor, tolerance: float, solved: LBFGSStats, evaluate: Evaluation
) -> MinimisationStats:
    value, gradient = model.evaluate(point, decays, evaluate)
    norm = model.gradient_norm(gradient, decays)
    return MinimisationStats(
        value,
        norm,
        norm <= tolerance,
        solved.iterations.reshape(norm.shape),
        solved.evaluations.reshape(norm.shape),
    )


class _Eliminated:
    """V_m = sqrt(lam_m) W_m, in a row each: f = tr(S (I + V V^T/q)^{-1})/(2N) + sum_m ||V_m||^2/2.

    V = V_M ... V_1 and q = N lam_H lam_1 ... lam_M.
    """

    def __init__(self, model: DeepLinearUFM, decays: Tensor) -> None:
        self.model, self.decays = model, decays
        encoding, _ = _centred_encoding(model, decays)
        self.scatter = encoding * encoding.new_tensor(model.class_counts) @ encoding.mT / model.samples
        self.unit = model.samples * decays.prod(dim=-1)
        self.identity = torch.eye(model.outputs, dtype=decays.dtype, device=decays.device)

    def pack(self, start: Factors) -> Tensor:
        roots = self.decays.sqrt()
        return torch.cat([weight.flatten(1) * roots[:, m, None] for m, weight in enumerate(start.weights)], dim=-1)

    def split(self, x: Tensor) -> list[Tensor]:
        parts = x.split([rows * columns for rows, columns in self.model.sizes], dim=-1)
        return [part.unflatten(-1, size) for part, size in zip(parts, self.model.sizes, strict=True)]

    def unpack(self, x: Tensor) -> Factors:
        roots = self.decays.sqrt()
        weights = tuple(part / roots[:, m, None, None] for m, part in enumerate(self.split(x)))
        return optimal_features(self.model, weights, self.decays)

    def objective(self, x: Tensor, runs: Tensor) -> tuple[Tensor, Tensor]:
        weights, depth = self.split(x), self.model.depth
        lefts = [weights[-1]] * depth
        for m in range(depth - 2, -1, -1):
            lefts[m] = torch.bmm(lefts[m + 1], weights[m])
        unit = self.unit[runs][:, None, None]
        scaled = lefts[0] / unit
        inverse = torch.linalg.inv_ex(torch.baddbmm(self.identity, scaled, lefts[0].mT)).inverse
        product = inverse @ self.scatter
        value = (product.diagonal(dim1=-2, dim2=-1).sum(dim=-1) + x.square().sum(dim=-1)) / 2
        right = torch.bmm(product, inverse).bmm(scaled).neg_()
        parts = []
        for m, weight in enumerate(weights):
            parts.append((torch.bmm(lefts[m + 1].mT, right) if m < depth - 1 else right).flatten(1))
            if m < depth - 1:
                right = torch.bmm(right, weight.mT)
        return value, torch.cat(parts, dim=-1).add_(x)


class _Joint:
    """sqrt(lam_m) W_m, sqrt(lam_H) times the coordinates of the class means, and the bias, in a row each."""

    def __init__(self, model: DeepLinearUFM, decays: Tensor, evaluate: Evaluation) -> None:
        self.model, self.decays, self.evaluate = model, decays, evaluate
        self.columns = class_mean_columns(model.class_counts, model.encoded(decays), model.loss)
        self.sizes = [*model.sizes, (model.sizes[0][1], model.classes), *([(model.outputs, 1)] if model.bias else [])]
        roots = decays.sqrt()
        self.roots = torch.cat([roots, torch.ones_like(roots[:, :1])], dim=-1)

    def pack(self, start: Factors) -> Tensor:
        columns, values = self.model.columns(start.features)
        means = columns.class_means(values) * self.columns.roots
        tensors = (*start.weights, means, *(() if start.bias is None else (start.bias,)))
        return torch.cat([tensor.flatten(1) * self.roots[:, m, None] for m, tensor in enumerate(tensors)], dim=-1)

    def split(self, x: Tensor, roots: Tensor) -> Factors:
        parts = x.split([rows * columns for rows, columns in self.sizes], dim=-1)
        tensors = [
            part.unflatten(-1, size) / roots[:, m, None, None]
            for m, (part, size) in enumerate(zip(parts, self.sizes, strict=True))
        ]
        depth = self.model.depth
        return Factors(tuple(tensors[:depth]), tensors[depth], tensors[-1] if self.model.bias else None)

    def unpack(self, x: Tensor) -> Factors:
        point = self.split(x, self.roots)
        return Factors(point.weights, point.features / self.columns.roots, point.bias)

    def objective(self, x: Tensor, runs: Tensor) -> tuple[Tensor, Tensor]:
        roots = self.roots[runs]
        value, gradient = self.evaluate(self.split(x, roots), self.columns, self.decays[runs])
        parts = [tensor.flatten(1) / roots[:, m, None] for m, tensor in enumerate(gradient.tensors)]
        return value, torch.cat(parts, dim=-1)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a point has learned: singular values of W (..., min(R, d)), which of them live, and how many (...)."""

    singular_values: Tensor
    alive: Tensor

    @property
    def rank(self) -> Tensor:
        """The number of directions that live."""
        return self.alive.sum(dim=-1)


def spectrum(model: DeepLinearUFM, factors: Factors, decays: Tensor | None = None, rtol: float = 1e-6) -> Spectrum:
    """The singular values of W = W_M ... W_1 and which of them live: above `rtol` in their natural unit.

    The unit is (N lam_H)^{1/2}: a ridge regression of decay lam_H on a direction of singular value s reaches the
    fraction s^2/(s^2 + N lam_H) of its target. So zero is zero, also where all of W is. Default: above what a gradient
    norm of 1e-10 leaves of a zero, below what lives except at a threshold, where W tends to zero with M = 1.
    """
    model.check(factors)
    check_scale("rtol", rtol)
    values = singular_values(factors.product)
    unit = (model.samples * model.decay_tensor(values, decays)[..., -1:]).sqrt()
    return Spectrum(values, values > rtol * unit)


@dataclass(frozen=True, eq=False)
class Minima:
    """What a search from S starts found for each configuration (...): the best point, and where all of them ended.

    `best` is the converged point of least loss (where none converged, the point of least loss), `spectrum` that of its
    W, and `hits` (...) counts the converged starts that ended at its loss. `certain` (...) says where a start converged
    and none, converged or not, ended lower. `losses`, `ranks` and `converged` are (S, ...), a rank being the number of
    directions that live.
    """

    best: Factors
    spectrum: Spectrum
    hits: Tensor
    certain: Tensor
    losses: Tensor
    ranks: Tensor
    converged: Tensor


def global_minimum(
    model: DeepLinearUFM,
    seed: int,
    starts: int = 32,
    sizes: tuple[float, float] = SIZES,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    rtol: float = SAME,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Solution[Minima, MinimisationStats]:
    """The least critical point found from many gaussian starts, for every configuration of `decays` (..., M + 1).

    Points with a class dropped are strict local minima for M >= 2, and so may be points with none dropped: a direction
    of W that starts small goes to zero, one that starts large stays. So starts differ in size, and are many, and widths
    should be at least 2K where the model leaves the choice. Rows of W start with a length of s (N lam_H)^{1/2}, the
    unit of `spectrum`, spread evenly over the layers and decays; s runs geometrically through `sizes` over the starts.
    Defaults: with them nothing was missed in 160 configurations near thresholds (M = 2 to 6, K to 8), where every
    single size missed some, sizes from 0.3 on missed zero, and 24 sizes from 0.001 on lay too far apart.

    Converged means, for every configuration: a start converged, and none, converged or not, ended lower by more than
    `rtol` of that loss. Then `stats` are those of the best points. It is evidence for a global minimum and no proof:
    `hits` says how much. Raises ValueError for a size, tolerance or count out of range.

    >>> from tightframe.numerics import minimisation
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10, 5, 1), widths=8, depth=2, decays=(0.01, 0.02, 0.01))
    >>> found = minimisation.global_minimum(model, seed=0, starts=8)
    >>> found.result.value, found.value.hits.item(), found.value.spectrum.rank.item()
    ('converged', 4, 3)
    """
    lam = model.decay_tensor(torch.zeros((), dtype=dtype, device=resolve_device(device)), decays)
    return least_of(model, starts_of_sizes(model, seed, starts, sizes, lam), lam, tolerance, iterations, rtol)


def least_of(
    model: DeepLinearUFM,
    start: Factors,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    rtol: float = SAME,
) -> Solution[Minima, MinimisationStats]:
    """`global_minimum` from given starts (S, ...), for every configuration of `decays` (..., M + 1).

    >>> import torch
    >>> from tightframe.numerics import minimisation
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10), widths=4, depth=2, decays=0.01)
    >>> lam = torch.full((3,), 0.01, dtype=torch.float64)
    >>> start = minimisation.starts_of_sizes(model, 0, 8, (0.1, 10.0), lam)
    >>> minimisation.least_of(model, start).result.value
    'converged'
    """
    check_scale("rtol", rtol)
    lam = model.decay_tensor(start.features, decays)
    solution = minimise(model, start, lam, tolerance, iterations)
    point, stats = solution.value, solution.stats
    least = select_least(stats, rtol)
    best = point.map(least.pick)
    minima = Minima(
        best,
        spectrum(model, best, lam),
        least.hits,
        least.certain,
        stats.loss,
        spectrum(model, point, lam).rank,
        stats.converged,
    )
    return Solution(minima, least.result, MinimisationStats(*map(least.pick, vars(stats).values())))


@dataclass(frozen=True, eq=False)
class Least:
    """Which of S starts ended least, for each configuration (...), how many others did, and where that is certain."""

    index: Tensor
    hits: Tensor
    certain: Tensor

    @property
    def result(self) -> Result:
        """Converged where every configuration is certain."""
        return Result.CONVERGED if bool(self.certain.all()) else Result.NOT_CONVERGED

    def pick(self, tensor: Tensor) -> Tensor:
        """What belongs to these starts, (..., *) of (S, ..., *)."""
        batch = self.index.shape
        extra = tensor.shape[1 + len(batch) :]
        where = self.index.reshape(1, *batch, *[1] * len(extra)).expand(1, *batch, *extra)
        return tensor.gather(0, where)[0]


def select_least(stats: MinimisationStats, rtol: float) -> Least:
    """Of S starts (S, ...) the one that converged to the least loss; where none converged, of the least loss.

    Certain is it where one converged and none, converged or not, ended lower by more than `rtol` of that loss; `hits`
    counts the converged ones that ended as low.
    """
    losses = torch.where(torch.isfinite(stats.loss), stats.loss, torch.inf)
    anything = stats.converged.any(dim=0)
    valid = torch.where(stats.converged | ~anything, losses, torch.inf)
    least, index = valid.min(dim=0)
    margin = rtol * least.abs()
    hits = ((valid <= least + margin) & stats.converged).sum(dim=0)
    return Least(index, hits, anything & (losses.amin(dim=0) >= least - margin))


def starts_of_sizes(
    model: DeepLinearUFM, seed: int, starts: int, sizes: tuple[float, float], decays: Tensor
) -> Factors:
    """The gaussian starts (S, ...) of `global_minimum`, for decays (..., M + 1), of their dtype and on their device."""
    check_size("starts", starts)
    for size in sizes:
        check_scale("every size", size)
    if not 0 < sizes[0] <= sizes[1]:
        raise ValueError(f"expected sizes 0 < smallest <= largest, got {sizes}")
    batch = tuple(decays.shape[:-1])
    device, dtype = decays.device, decays.dtype
    start = initialisers.gaussian(model, seed, 1.0, (starts, *batch), collapsed=True, device=device, dtype=dtype)
    low, high = (math.log10(size) for size in sizes)
    spread = torch.logspace(low, high, starts, device=device, dtype=dtype)
    lengths = spread.reshape(-1, *[1] * len(batch)) * (model.samples * decays[..., -1]).sqrt()
    return _scaled(start, lengths, decays)


def _scaled(start: Factors, lengths: Tensor, decays: Tensor) -> Factors:
    """Standard normal factors scaled so that rows of W have the given length, and W h entries of size 1.

    Entries of sqrt(lam_m d_m) W_m have one size for all m.
    """
    share = (lengths * decays[..., :-1].prod(dim=-1).sqrt()).pow(1 / len(start.weights))
    factors = share.unsqueeze(-1) / decays[..., :-1].sqrt()
    weights = [
        weight * (factors[..., m, None, None] / weight.shape[-1] ** 0.5) for m, weight in enumerate(start.weights)
    ]
    return Factors(tuple(weights), start.features / lengths[..., None, None], start.bias)
