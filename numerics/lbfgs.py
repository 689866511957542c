"""L-BFGS for many functions at once: every run has its own history, step and end, in one call.

The two-loop recursion (Nocedal & Wright 2006, Numerical Optimization, algorithm 7.4) with the weak Wolfe line search by
bisection of Lewis & Overton 2013 (Nonsmooth optimization via quasi-Newton methods, algorithm 2.6), bisection replaced
by interpolation where that is safe. Where differences of f are rounding, the decrease is read off the slope instead:
the approximate Wolfe condition of Hager & Zhang 2005 (A new conjugate gradient method with guaranteed descent and an
efficient line search, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .shapes import check_finite, check_matrix, check_size
from .solution import Result, Solution

__all__ = ["LBFGSStats", "Objective", "lbfgs"]

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x (b, n), runs (b,)) -> f (b,) and its gradient (b, n); `runs` says which of the B functions each row is for."""

DECREASE, CURVATURE = 1e-4, 0.9  # c_1 and c_2 of Nocedal & Wright 2006, section 3.1
TRIALS = 30  # steps tried in one line search: 2^-30 is below sqrt(eps)
IDLE = 200  # iterations without progress after which a run is given up: it wanders at the limit of rounding


@dataclass(frozen=True, eq=False)
class LBFGSStats:
    """For each of the B runs: f, the norm of its gradient, iterations, evaluations, and whether it converged."""

    value: Tensor
    gradient_norm: Tensor
    iterations: Tensor
    evaluations: Tensor
    converged: Tensor


def lbfgs(
    objective: Objective, start: Tensor, tolerance: float, iterations: int = 2000, memory: int = 10
) -> Solution[Tensor, LBFGSStats]:
    """The points (B, n) where B runs from `start` (B, n) end: ||grad f|| <= tolerance, or what was reached.

    The first step is along -grad f, at most as long, so variables should be scaled to curvatures of at least order 1.
    Runs that have ended are dropped, so that a batch costs what its members cost. A run that cannot decrease f any
    more, at the limit of rounding or beside a point where f is not finite, ends unconverged. Default memory: Nocedal &
    Wright 2006, section 7.2, find 3 to 20 good. Raises ValueError for a start that is not finite.

    >>> import torch
    >>> from tightframe.numerics.lbfgs import lbfgs
    >>> def rosenbrock(x, runs):
    ...     a, b = x[:, 0], x[:, 1] - x[:, 0].square()
    ...     gradient = torch.stack([-2 * (1 - a) - 400 * a * b, 200 * b], dim=1)
    ...     return (1 - a).square() + 100 * b.square(), gradient
    >>> solution = lbfgs(rosenbrock, torch.tensor([[-1.2, 1.0], [3.0, 0.0]], dtype=torch.float64), tolerance=1e-10)
    >>> solution.result.value, [[round(x, 9) for x in row] for row in solution.value.tolist()]
    ('converged', [[1.0, 1.0], [1.0, 1.0]])
    """
    check_matrix("start", start)
    check_finite("start", start)
    check_size("iterations", iterations, least=0)
    check_size("memory", memory)
    with torch.no_grad():
        return _Runs(objective, start, tolerance, memory).solve(iterations)


class _Runs:
    """The runs that go on, as compact tensors, and the record of all."""

    def __init__(self, objective: Objective, start: Tensor, tolerance: float, memory: int) -> None:
        self.objective, self.tolerance, self.memory = objective, tolerance, memory
        self.runs = torch.arange(len(start), device=start.device)
        self.x = start.clone()
        self.f, self.g = objective(self.x, self.runs)
        self.rounding = torch.finfo(start.dtype).eps ** 0.75  # of f, relative: thousands of operations
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []  # s, y and 1/<s, y>, zero where there is no pair
        self.scale = torch.ones_like(self.f)  # of the first approximation of the inverse Hessian
        self.evaluations = torch.ones_like(self.runs)
        self.fresh = torch.ones_like(self.runs, dtype=torch.bool)  # without history
        self.live = torch.ones_like(self.fresh)
        self.point, self.value, self.norm = self.x.clone(), self.f.clone(), self.g.norm(dim=-1)
        self.least, self.flattest = self.f.clone(), self.norm.clone()
        self.idle = torch.zeros_like(self.runs)
        self.made, self.spent = torch.zeros_like(self.runs), torch.ones_like(self.runs)

    def solve(self, iterations: int) -> Solution[Tensor, LBFGSStats]:
        self._retire(self.norm[self.runs] <= self.tolerance, 0)
        for iteration in range(1, iterations + 1):
            if not len(self.runs):
                break
            stuck = self._iterate()
            norm = self.g.norm(dim=-1)
            last = torch.full_like(stuck, iteration == iterations)
            self._retire((norm <= self.tolerance) | stuck | self._idles(norm) | last, iteration)
        converged = self.norm <= self.tolerance
        result = Result.CONVERGED if bool(converged.all()) else Result.NOT_CONVERGED
        return Solution(self.point, result, LBFGSStats(self.value, self.norm, self.made, self.spent, converged))

    def _idles(self, norm: Tensor) -> Tensor:
        """Which runs have lowered neither f by more than rounding nor the gradient by a tenth for long."""
        lower, flatter = self.f < self.least - self.rounding * self.f.abs(), norm < 0.9 * self.flattest
        self.least = torch.where(lower, self.f, self.least)
        self.flattest = torch.where(flatter, norm, self.flattest)
        self.idle = torch.where(lower | flatter, 0, self.idle + 1)
        return self.idle >= IDLE

    def _retire(self, ended: Tensor, iteration: int) -> None:
        """Records the runs that have ended; drops them once they are a quarter of those carried along."""
        ended = ended & self.live
        if bool(ended.any()):
            runs = self.runs[ended]
            self.point[runs], self.value[runs] = self.x[ended], self.f[ended]
            self.norm[runs], self.spent[runs] = self.g[ended].norm(dim=-1), self.evaluations[ended]
            self.made[runs] = iteration
            self.live = self.live & ~ended
        carried = int(self.live.sum())
        if carried == 0 or carried <= 0.75 * len(self.live):
            keep = self.live.nonzero().squeeze(-1)
            for name in ("runs", "x", "f", "g", "scale", "evaluations", "fresh", "live", "least", "flattest", "idle"):
                setattr(self, name, getattr(self, name)[keep])
            self.pairs = [(s[keep], y[keep], inverse[keep]) for s, y, inverse in self.pairs]

    def _direction(self) -> Tensor:
        """-H grad f by the two-loop recursion."""
        q = self.g.clone()
        shares = []
        for s, y, inverse in reversed(self.pairs):
            share = inverse * _dot(s, q)
            q.addcmul_(y, share, value=-1)
            shares.append(share)
        q.mul_(self.scale.unsqueeze(-1))
        for (s, y, inverse), share in zip(self.pairs, reversed(shares), strict=True):
            q.addcmul_(s, share - inverse * _dot(y, q))
        return q.neg_()

    def _iterate(self) -> Tensor:
        """One iteration of every run; says which are stuck."""
        direction = self._direction()
        slope = (direction * self.g).sum(dim=-1)
        uphill = ~(slope < 0)  # by rounding, or NaN
        if bool(uphill.any()):
            self._forget(uphill)
            direction = torch.where(uphill.unsqueeze(-1), -self.g, direction)
            slope = torch.where(uphill, -self.g.square().sum(dim=-1), slope)
        x, f, g, found = self._line_search(direction, slope)
        s, y = x - self.x, g - self.g
        product = (s * y).sum(dim=-1)
        curved = found & (product > torch.finfo(f.dtype).tiny)
        inverse = torch.where(curved, 1 / torch.where(curved, product, 1), 0)
        squares = y.square().sum(dim=-1)
        self.scale = torch.where(curved, product / torch.where(curved, squares, 1), self.scale)
        self.pairs.append((s, y, inverse.unsqueeze(-1)))
        del self.pairs[: -self.memory]
        stuck = ~found & self.fresh
        self.fresh = self.fresh & ~curved
        self.x, self.f, self.g = x, f, g
        lost = ~found & ~self.fresh
        if bool(lost.any()):  # once more, along the gradient
            self._forget(lost)
        return stuck

    def _forget(self, runs: Tensor) -> None:
        kept = ~runs
        self.pairs = [(s, y, inverse * kept.unsqueeze(-1)) for s, y, inverse in self.pairs]
        self.scale = torch.where(runs, 1, self.scale)
        self.fresh = self.fresh | runs

    def _line_search(self, direction: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x, f, g after a step along the direction that satisfies the weak Wolfe conditions, and where there is one."""
        f0, noise = self.f, self.rounding * self.f.abs()
        # without history: the step that would bring f to zero at this slope (Fletcher 1987, section 2.6), at most 1
        first = torch.where(f0 == 0, 1, f0.abs() / -slope).clamp(min=1e-8, max=1)
        t = torch.where(self.fresh, first, 1)
        low, high = torch.zeros_like(f0), torch.full_like(f0, math.inf)
        x = torch.addcmul(self.x, t.unsqueeze(-1), direction)
        f, g = self.objective(x, self.runs)
        self.evaluations = self.evaluations + 1
        found, retry = self._judge(direction, slope, f0, noise, t, f, g)
        found = found | ~self.live
        rows = (~found).nonzero().squeeze(-1)
        for _ in range(TRIALS):
            if not len(rows):
                break
            lo, hi, step = low[rows], high[rows], t[rows]
            long = retry[rows]
            # the minimiser of the parabola through f(0), f'(0) and f(t), inside the middle of the bracket
            gap = f[rows] - f0[rows] - slope[rows] * step
            guess = torch.where(gap > 0, -slope[rows] * step.square() / (2 * gap), step / 2)
            hi = torch.where(long, step, hi)
            lo = torch.where(long, lo, step)
            guess = torch.where(long & torch.isfinite(guess), guess, (lo + hi) / 2)
            guess = torch.minimum(torch.maximum(guess, lo + (hi - lo) / 10), lo + (hi - lo) / 2)
            step = torch.where(torch.isinf(hi), 2 * lo, guess)
            trial = self.x[rows] + step.unsqueeze(-1) * direction[rows]
            value, gradient = self.objective(trial, self.runs[rows])
            self.evaluations[rows] += 1
            low[rows], high[rows], t[rows] = lo, hi, step
            x[rows], f[rows], g[rows] = trial, value, gradient
            good, retry[rows] = self._judge(direction[rows], slope[rows], f0[rows], noise[rows], step, value, gradient)
            found[rows] = good
            rows = rows[~good]
        if len(rows):
            x[rows], f[rows], g[rows] = self.x[rows], self.f[rows], self.g[rows]
        ended = ~self.live
        if bool(ended.any()):  # a run that has ended stays where it is
            mask = ended.unsqueeze(-1)
            x, f, g = torch.where(mask, self.x, x), torch.where(ended, self.f, f), torch.where(mask, self.g, g)
        return x, f, g, found

    def _judge(
        self, direction: Tensor, slope: Tensor, f0: Tensor, noise: Tensor, t: Tensor, f: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Whether a step is good, and if not whether it is too long (else too short)."""
        now = (direction * g).sum(dim=-1)
        low = f <= f0 + DECREASE * t * slope
        level = (f <= f0 + noise) & (now <= (2 * DECREASE - 1) * slope)
        decreased = low | level
        return decreased & (now >= CURVATURE * slope), ~decreased


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=-1, keepdim=True)
