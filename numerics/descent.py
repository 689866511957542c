"""Gradient descent with momentum on deep linear models, many runs at once, by hand-written gradients.

The iteration is that of torch.optim.SGD with the decays inside the loss: V <- momentum V + grad f, x <- x - rate V,
with V = 0 before the first step. With the squared error it runs in K + min(d, N - K) columns, with any loss from a
collapsed start in K, exactly: see `columns`. Runs of several widths share a batch by `Factors.widened`.
Statistics along a run are one batch over its checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .columns import Columns, reduced_columns
from .deep_linear import DeepLinearUFM, Factors, value_and_gradient
from .linalg import eigh, keep_and_add, one_thread, prepared_product, prepared_residual, prepared_update, product, svd
from .shapes import all_finite, check_finite, check_scale, check_size
from .solution import Result, Solution

__all__ = ["Checkpoints", "CriticalStats", "DescentStats", "gradient_descent", "measured_descent", "until_critical"]

CHUNK = 2**18  # numbers in a batch of runs, 2 MiB in float64: the size of a cache
MEASURED = 2**21  # in a batch of measured checkpoints: in smaller ones calls of torch take longer than their work
NARROW = 1e-2  # quotient of extreme eigenvalues of a Gram matrix: singular values lose one digit in it
LARGE = 2**16  # numbers in a matrix, above which threads may help
TOLERANCE = 1e-6  # of the scaled gradient norm: f is within about 1e-12 f_0 of a critical value


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Points of a run after some iterations (T,), as one batch (T, ...).

    `coordinates` are the features G (T, ..., d, C) in the columns of the run; `factors` spells them out as H (T, ...,
    d, N), or as class means where the run has no others, and costs that much memory.
    """

    iterations: Tensor
    weights: tuple[Tensor, ...]
    coordinates: Tensor
    bias: Tensor | None
    columns: Columns

    @property
    def factors(self) -> Factors:
        """The points themselves."""
        collapsed = self.columns.basis is not None and self.columns.basis.shape[-1] == 0
        features = self.class_means if collapsed else self.columns.features(self.coordinates)
        return Factors(self.weights, features, self.bias)

    @property
    def product(self) -> Tensor:
        """W = W_M ... W_1, (T, ..., R, d)."""
        found = self.weights[-1]
        for weight in reversed(self.weights[:-1]):
            found = product(found, weight)
        return found

    @property
    def class_means(self) -> Tensor:
        """(T, ..., d, K)."""
        return self.columns.class_means(self.coordinates)

    @property
    def nc1(self) -> Tensor:
        """tr(Sigma_W Sigma_B^+) / K (T, ...), as `statistics.nc1_pinv` has it, without the N columns.

        Zero where Sigma_B = 0, NaN where a run has left the range of floats.
        """
        counts, samples = self.columns.class_counts, self.columns.samples
        weights = self.coordinates.new_tensor(counts) / samples
        means = self.class_means
        between = (means - (means * weights).sum(dim=-1, keepdim=True)) * weights.sqrt()
        finite = torch.isfinite(between).all(dim=-1).all(dim=-1)
        between = torch.where(finite[..., None, None], between, 0)
        within = self.columns.within(self.coordinates)
        found, certain = _whitened_by_gram(between, within)
        if not bool(certain.all()):
            found[~certain] = _whitened(between[~certain], within[~certain])
        return torch.where(finite, found / (samples * len(counts)), torch.nan)


def _whitened(between: Tensor, within: Tensor) -> Tensor:
    """||B^+ L||_F^2 (...), of B (..., d, K) of rank at most K - 1 and L (..., d, *)."""
    u, s, _ = svd(between)
    rank = min(between.shape[-1] - 1, between.shape[-2])
    u, s = u[..., :rank], s[..., :rank]
    kept = s > max(between.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1]
    return (torch.where(kept, 1 / s, 0).unsqueeze(-1) * (u.mT @ within)).square().sum(dim=(-2, -1))


def _whitened_by_gram(between: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """The same from B^T B in a fraction of the time, and where (...) that loses no more than the square of `NARROW`.

    B^+ = V S^-2 V^T B^T, and eigenvalues S^2 of a matrix that is K x K.
    """
    rank = min(between.shape[-1] - 1, between.shape[-2])
    unit = between.abs().amax(dim=(-2, -1), keepdim=True)
    unit = torch.where(unit > 0, unit, 1)  # squares of what is divided by it do not overflow
    between = between / unit
    squares, basis = eigh(product(between.mT, between))
    squares, basis = squares[..., -rank:], basis[..., -rank:]
    certain = squares[..., 0] > NARROW * squares[..., -1]
    projected = basis.mT @ (product(between.mT, within) / unit) / squares.unsqueeze(-1)
    return projected.square().sum(dim=(-2, -1)), certain


@dataclass(frozen=True, eq=False)
class DescentStats:
    """Loss and scaled gradient norm (...) at the last iteration, and the last checkpoint where every run is finite.

    The norm is `DeepLinearUFM.gradient_norm`.
    """

    iterations: int
    loss: Tensor
    gradient_norm: Tensor
    finite_until: int


def gradient_descent(
    model: DeepLinearUFM,
    start: Factors,
    iterations: int,
    rate: float,
    momentum: float = 0.0,
    record: int | None = None,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Solution[Checkpoints, DescentStats]:
    """`iterations` steps of gradient descent from the start (...), every run of the batch for itself.

    Checkpoints are the start, every `record`-th iteration and the last; by default only the two. `decays` (..., M + 1)
    stand in for those of the model, so that runs may differ in them; they broadcast with the start. A start with K
    columns of features is a collapsed one and runs on the class means. Outside autograd.

    Converged means that every run ends where the scaled gradient norm is at most `tolerance`; all iterations are made
    in any case. Raises ValueError for a start of another model, one that is not finite, or a rate or momentum that is
    not finite and >= 0.

    >>> from tightframe.numerics import descent, initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10), widths=5, depth=1, decays=0.005)
    >>> start = initialisers.gaussian(model, seed=0, scale=0.5)
    >>> solution = descent.gradient_descent(model, start, 3000, rate=0.1, momentum=0.9, record=1000)
    >>> solution.value.iterations.tolist(), [f"{x:.6f}" for x in model.objective(solution.value.factors).tolist()]
    ([0, 1000, 2000, 3000], ['0.911042', '0.037424', '0.037422', '0.037422'])
    """
    engine, kept = _Engine(model, start, rate, momentum, decays), _kept(iterations, record)
    (checkpoints,) = engine.run(kept, len(kept))
    return Solution(checkpoints, *engine.outcome(tolerance))


def measured_descent(
    model: DeepLinearUFM,
    start: Factors,
    iterations: int,
    rate: float,
    measure: Callable[[Checkpoints], Mapping[str, Tensor]],
    momentum: float = 0.0,
    record: int = 1,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Solution[dict[str, Tensor], DescentStats]:
    """`gradient_descent` that keeps of its checkpoints only what `measure` says of them: named tensors (T, ...).

    `measure` sees them in batches of bounded memory and treats each for itself; "iterations" is added.

    >>> from tightframe.numerics import descent, initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10), widths=5, depth=1, decays=0.005)
    >>> start = initialisers.gaussian(model, seed=0, scale=0.5)
    >>> solution = descent.measured_descent(model, start, 400, 0.1, lambda c: {"NC1": c.nc1}, momentum=0.9, record=200)
    >>> [f"{x:.1e}" for x in solution.value["NC1"].tolist()]
    ['4.1e+00', '2.6e-03', '6.0e-06']
    """
    engine, kept = _Engine(model, start, rate, momentum, decays), _kept(iterations, record)
    measured = [
        {"iterations": chunk.iterations, **{name: values.clone() for name, values in measure(chunk).items()}}
        for chunk in engine.run(kept, engine.rows)
    ]
    value = {name: torch.cat([each[name] for each in measured]) for name in measured[0]}
    return Solution(value, *engine.outcome(tolerance))


@dataclass(frozen=True, eq=False)
class CriticalStats:
    """For every run (...): f and the scaled gradient norm at its end, whether that is small, and its iterations."""

    loss: Tensor
    gradient_norm: Tensor
    converged: Tensor
    iterations: Tensor


def until_critical(
    model: DeepLinearUFM,
    start: Factors,
    rate: float,
    momentum: float = 0.0,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    limit: int = 10**6,
    every: int = 200,
) -> Solution[Factors, CriticalStats]:
    """The points where gradient descent ends: a run stops once its scaled gradient norm is at most `tolerance`.

    That is looked at after every `every` iterations. Neither a number of iterations nor a loss that stands still says
    that a run has ended: with cross-entropy it may rest for long beside a saddle, and fall then. A run that is not
    finite any more, or has made `limit` iterations, ends unconverged; runs that have ended cost nothing. Otherwise as
    `gradient_descent`. Converged means that all are at critical points, not more: `low_rank` and `minimisation` say
    which, and how good.

    >>> from tightframe.numerics import descent, initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((4,) * 3, widths=5, depth=2, decays=0.02, loss="ce")
    >>> start = initialisers.gaussian(model, seed=0, scale=0.5, batch=(2,))
    >>> solution = descent.until_critical(model, start, rate=0.5)
    >>> solution.converged, [f"{loss:.8f}" for loss in solution.stats.loss.tolist()]
    (True, ['0.27563924', '0.27563924'])
    """
    check_scale("tolerance", tolerance)
    check_size("limit", limit, least=0)
    check_size("every", every)
    engine = _Engine(model, start, rate, momentum, decays)
    batch, columns = engine.batch, engine.columns
    with torch.no_grad():
        engine, made = engine.flat(), 0
        ends = [tensor.clone() for tensor in engine.tensors]
        runs = torch.arange(math.prod(batch), device=engine.state.device)
        loss, norm = engine.measure()
        iterations = torch.zeros_like(runs)
        while True:
            value, size = engine.measure()
            loss[runs], norm[runs], iterations[runs] = value, size, made
            goes_on = ~(size <= tolerance) & torch.isfinite(value) & (made < limit)
            if not bool(goes_on.all()):
                for end, tensor in zip(ends, engine.tensors, strict=True):
                    end[runs] = tensor
                engine, runs = engine.restricted(goes_on), runs[goes_on]
            if not len(runs):
                break
            step = min(every, limit - made)
            engine.advance(step)
            made += step
    point = Checkpoints(iterations, *_unflattened(ends, batch, model), columns).factors
    converged = norm <= tolerance
    stats = CriticalStats(*(each.reshape(batch) for each in (loss, norm, converged, iterations)))
    return Solution(point, Result.CONVERGED if bool(converged.all()) else Result.NOT_CONVERGED, stats)


def _unflattened(
    tensors: list[Tensor], batch: tuple[int, ...], model: DeepLinearUFM
) -> tuple[tuple[Tensor, ...], Tensor, Tensor | None]:
    """W_1, ..., W_M, the coordinates and the bias, of runs (...)."""
    shaped = [tensor.reshape(*batch, *tensor.shape[-2:]) for tensor in tensors]
    return tuple(shaped[: model.depth]), shaped[model.depth], shaped[-1] if model.bias else None


def _kept(iterations: int, record: int | None) -> list[int]:
    """The iterations that are checkpoints."""
    check_size("iterations", iterations, least=0)
    if record is not None:
        check_size("record", record)
    return sorted({*range(0, iterations, record or max(iterations, 1)), iterations})


class _Engine:
    """The state of a descent: all parameters of all runs in one flat tensor, all velocities in another."""

    def __init__(
        self,
        model: DeepLinearUFM,
        start: Factors,
        rate: float,
        momentum: float,
        decays: Tensor | None,
    ) -> None:
        model.check(start)
        check_scale("rate", rate)
        check_scale("momentum", momentum)
        for number, tensor in enumerate(start.tensors):
            check_finite(f"tensor {number} of the start", tensor)
        self.model, self.rate, self.momentum = model, rate, momentum
        lam = model.decay_tensor(start.features, decays)
        batch = torch.broadcast_shapes(start.batch, lam.shape[:-1])
        start = start.map(lambda tensor: tensor.expand(*batch, *tensor.shape[-2:]))
        self.batch, self.decays = batch, lam
        if model.loss == "mse" and start.features.shape[-1] == model.samples != model.classes:
            encoding = model.encoded(start.features)
            self.columns, values = reduced_columns(model.class_counts, encoding, start.features)
        else:
            self.columns, values = model.columns(start.features)
        self.finite_until, self.last = -1, 0
        # one matrix after the other, each for all runs, so that every matrix of every run is contiguous
        tensors = replace(start, features=values).tensors
        self.shapes = [torch.Size((*batch, *tensor.shape[-2:])) for tensor in tensors]
        self.state = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self.average = None if model.bias else _moving_average(lam, rate, momentum)
        if self.average is not None:
            self.velocity = self.state.clone()
        else:
            self.velocity = torch.zeros_like(self.state) if momentum > 0 else self.state[:0]  # which is not used

    def views(self, flat: Tensor, lead: tuple[int, ...], batch: tuple[int, ...]) -> list[Tensor]:
        """The matrices of a flat state (*lead, size), each of shape (*lead, *batch, rows, columns)."""
        parts = flat.split([shape.numel() for shape in self.shapes], dim=-1)
        return [part.view(*lead, *batch, *shape[-2:]) for part, shape in zip(parts, self.shapes, strict=True)]

    def point(self, tensors: list[Tensor]) -> Factors:
        depth = self.model.depth
        return Factors(tuple(tensors[:depth]), tensors[depth], tensors[-1] if self.model.bias else None)

    @property
    def rows(self) -> int:
        """Checkpoints that are measured at a time."""
        return max(1, MEASURED // self.state.numel())

    def run(self, checkpoints: list[int], rows: int) -> Iterator[Checkpoints]:
        """Makes all iterations; yields the checkpoints, `rows` at a time, in a buffer that is used again."""
        with torch.no_grad():
            now, self.last = 0, checkpoints[-1]
            buffer = self.state.new_empty(min(rows, len(checkpoints)), self.state.numel())
            for first in range(0, len(checkpoints), rows):
                kept = checkpoints[first : first + rows]
                states = buffer[: len(kept)]
                with self._undisturbed():
                    for row, target in zip(states.unbind(0), kept, strict=True):
                        self._advance(target - now)
                        now = target
                        row.copy_(self.state)
                self._watch(states, kept)
                point = self.point(self.views(states, (len(kept),), self.batch))
                index = torch.tensor(kept, device=states.device)
                yield Checkpoints(index, point.weights, point.features, point.bias, self.columns)

    def advance(self, iterations: int) -> None:
        """Makes so many iterations. Outside autograd."""
        with self._undisturbed():
            self._advance(iterations)

    def _advance(self, iterations: int) -> None:
        for step in self._steppers:
            for _ in range(iterations):
                step()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """One thread for small matrices; a run that diverges is a result, not a warning."""
        small = max(shape[-2:].numel() for shape in self.shapes) <= LARGE
        with np.errstate(over="ignore", invalid="ignore"), one_thread() if small else nullcontext():
            yield

    @property
    def tensors(self) -> list[Tensor]:
        """The factors and the bias, (*batch, rows, columns), as they are now: views of the state."""
        return self.views(self.state, (), self.batch)

    def measure(self) -> tuple[Tensor, Tensor]:
        """The loss and the scaled gradient norm (*batch) now."""
        total, found = math.prod(self.batch), list[tuple[Tensor, Tensor]]()
        decays = self.decays.expand(*self.batch, -1).reshape(total, -1)
        views = self.views(self.state, (), (total,))
        for runs in self._parts:
            value, gradient = value_and_gradient(self.point([v[runs] for v in views]), self.columns, decays[runs])
            found.append((value, self.model.gradient_norm(_in_samples(gradient, self.columns), decays[runs])))
        value, norm = (torch.cat(each).reshape(self.batch) for each in zip(*found, strict=True))
        return value, norm

    def flat(self) -> _Engine:
        """The same runs in a batch of one dimension, in the same memory."""
        total = math.prod(self.batch)
        decays = self.decays.expand(*self.batch, -1).reshape(total, -1)
        return self._with((total,), decays, self.state, self.velocity)

    def restricted(self, runs: Tensor) -> _Engine:
        """Those runs alone, as they are; of a flat engine, and a mask of its runs."""
        parts = [
            torch.cat([view[runs].reshape(-1) for view in self.views(flat, (), self.batch)]) if len(flat) else flat
            for flat in (self.state, self.velocity)
        ]
        return self._with((int(runs.sum()),), self.decays[runs], *parts)

    def _with(self, batch: tuple[int, ...], decays: Tensor, state: Tensor, velocity: Tensor) -> _Engine:
        other = copy(self)
        other.__dict__.pop("_steppers", None)
        other.batch, other.decays, other.state, other.velocity = batch, decays, state, velocity
        other.shapes = [torch.Size((*batch, *shape[-2:])) for shape in self.shapes]
        return other

    def _watch(self, states: Tensor, kept: list[int]) -> None:
        """Notes the last checkpoint that is finite; a state that is not finite never becomes so again."""
        if all_finite(states[-1]):
            self.finite_until = kept[-1]
        elif all_finite(states[0]):
            finite = torch.isfinite(states).all(dim=-1).tolist()
            self.finite_until = kept[finite.index(False) - 1]

    def outcome(self, tolerance: float) -> tuple[Result, DescentStats]:
        value, norm = self.measure()
        converged = bool((norm <= tolerance).all())
        stats = DescentStats(self.last, value, norm, self.finite_until)
        return Result.CONVERGED if converged else Result.NOT_CONVERGED, stats

    @cached_property
    def _steppers(self) -> list[Callable[[], None]]:
        """One iteration, in place, of every part of the runs."""
        return [self._stepper(runs) for runs in self._parts]

    @property
    def _parts(self) -> list[slice]:
        """As many runs as fit a cache; all runs on a device without much of one."""
        total = math.prod(self.batch)
        most = max(1, CHUNK * total // self.state.numel()) if self.state.is_cpu else total
        parts = math.ceil(total / most)
        edges = [total * part // parts for part in range(parts + 1)]
        return [slice(*ends) for ends in pairwise(edges)]

    def _stepper(self, runs: slice) -> Callable[[], None]:
        """The products are those of `value_and_gradient`, into tensors made once.

        With momentum they are added to the velocity. Without, they go straight into the state, every matrix read for
        the last time before it changes: a third of the memory traffic.
        """
        model, columns, rate, moving = self.model, self.columns, self.rate, self.momentum > 0
        depth, total = model.depth, math.prod(self.batch)

        def part(flat: Tensor) -> list[Tensor]:
            views = self.views(flat, (), (total,))
            return [view[0] for view in views] if total == 1 else [view[runs] for view in views]

        point, whole = part(self.state), runs == slice(0, total)
        weights, values = point[:depth], point[depth]
        batch = values.shape[:-2]
        lefts = [weights[-1]] * depth
        for m in range(depth - 2, -1, -1):
            lefts[m] = values.new_empty(*batch, model.outputs, weights[m].shape[-1])
        rights = [torch.empty_like(left) for left in lefts]
        outputs = values.new_empty(*batch, model.outputs, values.shape[-1])
        decays = self._decays(runs)
        # What takes the gradient, times what, and how much of itself it keeps.
        takers = part(self.velocity) if moving else point
        if self.average is not None:
            factor, keeps = -rate / self.average.share, [self.average.keep] * len(point)
        else:
            factor = 1 if moving else -rate
            keeps = [self.momentum if moving else 1 - rate * decay for decay in decays]
        # On a cpu all gradients go into one tensor first, if one operation then takes them all.
        in_one = self.average is not None and whole and values.is_cpu
        scratch = torch.empty_like(self.state) if in_one else values.new_empty(max(x.numel() for x in point))
        gradients = part(scratch) if in_one else [scratch[: x.numel()].view_as(x) for x in point]

        def update(m: int, left: Tensor, right: Tensor) -> Callable[[], object]:
            if in_one:
                return prepared_product(left, right, gradients[m])
            return prepared_update(takers[m], keeps[m], left, right, gradients[m])

        squared, scale = model.loss == "mse", factor / model.samples
        residual = prepared_residual(outputs, columns.targets, scale)
        roots = columns.roots.unsqueeze(-1).expand(*batch, -1, 1)
        forward = [prepared_product(lefts[m + 1], weights[m], lefts[m]) for m in range(depth - 2, -1, -1)]
        forward.append(prepared_product(lefts[0], values, outputs))
        features = update(depth, lefts[0].mT, outputs)
        if depth == 1 and moving:
            backward = [update(0, outputs, values.mT), features]
        else:
            last = gradients[depth - 1] if in_one else rights[depth - 1]
            rights[depth - 1] = last
            backward = [prepared_product(outputs, values.mT, rights[0]), features]
            for m in range(depth - 1):
                backward.append(prepared_product(rights[m], weights[m].mT, rights[m + 1]))
                backward.append(update(m, lefts[m + 1].mT, rights[m]))
            if not in_one:
                backward.append(partial(keep_and_add, takers[depth - 1], keeps[depth - 1], last))
        if model.bias:
            backward.append(update(depth + 1, outputs, roots))

        pairs = [(self.velocity, self.state)] if whole else list(zip(takers, point, strict=True))

        def step() -> None:
            for multiply in forward:
                multiply()
            if model.bias:
                outputs.add_(point[-1] * columns.roots)
            # the residual, times what all products of it would be multiplied by
            if squared:
                residual()
            else:
                torch.mul(columns.residual(outputs), scale, out=outputs)
            for multiply in backward:
                multiply()
            if self.average is not None:
                if in_one:
                    keep_and_add(self.velocity, self.average.keep, scratch)
                for taker, tensor in pairs:
                    tensor.lerp_(taker, self.average.share)
            elif moving:
                for taker, tensor, decay in zip(takers, point, decays, strict=True):
                    taker.addcmul_(tensor, decay) if isinstance(decay, Tensor) else taker.add_(tensor, alpha=decay)
                    tensor.add_(taker, alpha=-rate)

        return step

    def _decays(self, runs: slice) -> list[float | Tensor]:
        """The decay of every matrix: one number where all runs have the same, else one for each, (runs, 1, 1)."""
        lam = self.decays.expand(*self.batch, -1).reshape(-1, self.model.depth + 1, 1, 1)[runs]
        numbers = dict[float, float]()  # equal ones are one object
        found: list[float | Tensor] = []
        for each in lam.unbind(1):
            first = float(each[0])
            found.append(numbers.setdefault(first, first) if bool((each == first).all()) else each)
        return [*found, 0.0] if self.model.bias else found


@dataclass(frozen=True)
class _MovingAverage:
    """Heavy-ball descent with one decay for all as x <- x + share (y - x), y <- keep y - (rate/share) grad, from y = x.

    grad is that of the data term. One operation on all numbers less than with velocities, at the same rounding: 1 -
    share and keep are the roots of z^2 - (1 + momentum - rate decay) z + momentum, and share is computed without
    cancellation.
    """

    share: float
    keep: float


def _moving_average(decays: Tensor, rate: float, momentum: float) -> _MovingAverage | None:
    """None where decays differ, or the roots are complex: strong decay, or momentum near 1."""
    least, most = (float(x) for x in torch.aminmax(decays))
    if least != most or not 0 < momentum < 1 or rate == 0:
        return None
    pull, rest = rate * least, 1 - momentum
    discriminant = (rest - pull) ** 2 - 4 * momentum * pull
    if discriminant < 0:
        return None
    share = 2 * pull / (rest + pull + math.sqrt(discriminant))
    return _MovingAverage(share, momentum / (1 - share)) if 0 < share < 1 else None


def _in_samples(gradient: Factors, columns: Columns) -> Factors:
    """The gradient with features of N columns, of the same norm."""
    spare = columns.samples - gradient.features.shape[-1]
    return replace(gradient, features=torch.nn.functional.pad(gradient.features, (0, spare)))
