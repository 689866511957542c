"""Gradient flows of the least-squares loss on renormalised features, integrated numerically.

Features X (..., d, N) with Sigma_W(X) = I move down L_LS(X) = min over (W, b) of (1/2) Ave_i ||W x_i + b - y_i||^2,
without weight decay; at each evaluation the minimum is found by a least-squares solve. Two different flows go by
this description:

| function            | dX/dt                                                               | is                       |
|---------------------|---------------------------------------------------------------------|--------------------------|
| `central_path_flow` | -Proj grad L_LS(X), Proj on the tangent space of {Sigma_W = I}      | the flow of han2022      |
| `unprojected_flow`  | the limit of X <- Sigma_W^{-1/2} X after each step of -grad L_LS(X) | another flow, not theirs |

`class_mean_flow` is the first again, exactly, on the class means alone. In han2022 (Han, Papyan & Donoho 2022) classes
are balanced and N is the size of one; here N counts all samples and classes of any sizes are allowed. Statistics along
a flow are one batch: `statistics.snr_singular_values(Features(trajectory.states, class_counts))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .integrators import EULER, RK4, ButcherTableau, Field, IntegrationStats, TimeGrid, Trajectory, integrate
from .linalg import eigh, qr
from .models import Features
from .shapes import (
    check_class_counts,
    check_compatible,
    check_dtype,
    check_finite,
    check_matrix,
    check_size,
    generator,
    resolve_device,
)
from .solution import Solution
from .statistics import residuals, within_covariance

__all__ = [
    "central_path_flow",
    "class_mean_flow",
    "feature_gradient",
    "renormalised",
    "tangent_projection",
    "unprojected_flow",
    "whitened_features",
    "with_class_means",
]

_linalg: Any = torch.linalg


# Starts.


def whitened_features(
    singular_values: Sequence[float] | Tensor,
    per_class: int,
    dimension: int,
    seed: int,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Features:
    """Features (..., d, K n) of K balanced classes of n samples with Sigma_W = I and the given SNR singular values.

    The K - 1 values are a sequence, or a tensor (..., K - 1) for a batch of starts; a zero is allowed, and stays zero
    along the flows, but for rounding that grows. Everything else is random: singular vectors of the SNR matrix,
    residuals, global mean. Drawn on the cpu in float64 and then converted, as `models.FeatureModel.sample` does. Raises
    ValueError for K < 2, a value that is negative or not finite, n < 2, d < K - 1, or K (n - 1) < d, where Sigma_W = I
    is impossible.

    >>> from tightframe.numerics import flow, statistics
    >>> features = flow.whitened_features([2.0, 1.0], per_class=3, dimension=4, seed=0)
    >>> [round(w, 12) for w in statistics.snr_singular_values(features).tolist()]
    [2.0, 1.0]
    """
    try:
        w = torch.as_tensor(singular_values, dtype=torch.float64).cpu()
    except (TypeError, ValueError):
        raise ValueError(f"expected SNR singular values to be numbers, got {singular_values!r}") from None
    if w.ndim < 1 or w.shape[-1] < 1:
        raise ValueError(f"expected at least one SNR singular value, K - 1 of them, got shape {tuple(w.shape)}")
    if not bool(((w >= 0) & torch.isfinite(w)).all()):
        raise ValueError("expected SNR singular values that are finite and >= 0")
    classes, batch = w.shape[-1] + 1, tuple(w.shape[:-1])
    check_size("per_class", per_class, least=2)
    check_size("dimension", dimension, least=classes - 1)
    _check_room(dimension, (per_class,) * classes)
    check_dtype(dtype)
    target, source = resolve_device(device), generator(seed)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*batch, *sizes, generator=source, dtype=torch.float64)

    left, _ = qr(normal(dimension, classes - 1))
    right, _ = qr(_centred(normal(classes - 1, classes)).mT)
    means = (left * w.unsqueeze(-2)) @ right.mT + normal(dimension, 1)
    within, _ = qr(_centred(normal(dimension, classes, per_class)).flatten(-2).mT)
    values = (classes * per_class) ** 0.5 * within.mT + means.repeat_interleave(per_class, dim=-1)
    return Features(values.to(device=target, dtype=dtype), (per_class,) * classes)


def _check_room(dimension: int, class_counts: tuple[int, ...]) -> None:
    spare = sum(class_counts) - len(class_counts)
    if spare < dimension:
        raise ValueError(f"expected N - K >= d, so that Sigma_W can be I, got N - K = {spare} < d = {dimension}")


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(dim=-1, keepdim=True)


def renormalised(features: Features) -> Features:
    """Sigma_W(X)^{-1/2} X, with the symmetric root: the renormalised features of han2022, with Sigma_W = I.

    Their class means minus the global mean are the SNR matrix. Raises ValueError if Sigma_W is not invertible to
    rounding.

    >>> import torch
    >>> from tightframe.numerics import flow
    >>> from tightframe.numerics.models import Features
    >>> flow.renormalised(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2))).values
    tensor([[0., 2., 5., 7.]])
    """
    eigenvalues, _ = eigh(within_covariance(features))
    rtol = max(features.dimension, features.samples) * torch.finfo(features.values.dtype).eps
    if not bool((eigenvalues[..., 0] > rtol * eigenvalues[..., -1]).all()):
        raise ValueError(f"expected an invertible Sigma_W, got smallest eigenvalue <= {rtol:.1e} times the largest")
    return Features(_renormalised(features.values, features.one_hot), features.class_counts)


def with_class_means(features: Features, means: Tensor) -> Features:
    """Features (..., d, N) with the residuals of `features` about other class means M (..., d, K), or a batch of them.

    So a trajectory of `class_mean_flow` becomes one of features, to be measured by `statistics`. Raises ValueError for
    a shape that does not fit, NaN or infinity.

    >>> import torch
    >>> from tightframe.numerics import flow
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[0.0, 2.0, 5.0]]), (2, 1))
    >>> flow.with_class_means(features, torch.tensor([[3.0, 7.0]])).values
    tensor([[2., 4., 7.]])
    """
    check_matrix("means", means, rows=features.dimension, columns=features.classes)
    check_compatible(means=means, features=features.values)
    return Features(residuals(features) + means[..., features.labels], features.class_counts)


# The velocity in feature space. Private functions take tensors: a NaN passes through them, as in a solver it must.


def feature_gradient(features: Features) -> Tensor:
    """The derivative of L_LS in the features, (..., d, N): W^T (W X + b 1^T - Y)/N at the minimiser (W, b).

    (W, b) come from a least-squares solve, by QR. As the loss is stationary there, their own dependence on X does not
    count (envelope theorem). Needs d + 1 independent rows in (X, 1), as Sigma_W invertible ensures.

    >>> import torch
    >>> from tightframe.numerics import flow
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[0.0, 2.0, 4.0, 6.0]], dtype=torch.float64), (2, 2))
    >>> [round(x, 12) for x in flow.feature_gradient(features)[0].tolist()]
    [-0.01, 0.03, -0.03, 0.01]
    """
    return _feature_gradient(features.values, features.one_hot)


def _minimiser(system: Tensor, targets: Tensor) -> Tensor:
    """The V that minimises ||A V - B||_F, for A (..., rows, columns) of full column rank."""
    q, r = qr(system)
    solution: Tensor = _linalg.solve_triangular(r, q.mT @ targets, upper=True)
    return solution


def _feature_gradient(values: Tensor, one_hot: Tensor) -> Tensor:
    rows = torch.cat([values.mT, torch.ones_like(values[..., :1, :]).mT], dim=-1)
    extended = _minimiser(rows, one_hot.mT.expand(*values.shape[:-2], -1, -1))  # (W, b)^T
    error = rows @ extended - one_hot.mT
    return (error @ extended[..., :-1, :].mT).mT / values.shape[-1]


def tangent_projection(velocity: Tensor, features: Features) -> Tensor:
    """The orthogonal projection of G (..., d, N) on the tangent space of {Sigma_W = const} at X, (..., d, N).

    The tangent space is {D: D R^T + R D^T = 0}, R the residuals of X, and its orthogonal complement {S R: S symmetric},
    so that Proj(G) = G - S R with the S that solves S A + A S = G R^T + R G^T, A = R R^T: a Lyapunov equation, solved
    in the eigenvectors of A. Needs Sigma_W invertible.
    Raises ValueError for a shape that does not fit.

    >>> from tightframe.numerics import flow, statistics
    >>> features = flow.whitened_features([2.0, 1.0], per_class=3, dimension=4, seed=0)
    >>> growth = statistics.residuals(features)  # would change Sigma_W, and nothing else
    >>> bool(flow.tangent_projection(growth, features).abs().max() < 1e-12)
    True
    """
    check_matrix("velocity", velocity, rows=features.dimension, columns=features.samples)
    check_compatible(velocity=velocity, features=features.values)
    return _tangent_projection(velocity, residuals(features))


def _tangent_projection(velocity: Tensor, within: Tensor) -> Tensor:
    eigenvalues, basis = eigh(within @ within.mT)
    cross = velocity @ within.mT
    sums = eigenvalues.unsqueeze(-1) + eigenvalues.unsqueeze(-2)
    multiplier = basis @ (basis.mT @ (cross + cross.mT) @ basis / sums) @ basis.mT
    return velocity - multiplier @ within


def _residuals(values: Tensor, one_hot: Tensor) -> Tensor:
    return values - values @ (one_hot.mT / one_hot.sum(dim=-1)) @ one_hot


def _renormalised(values: Tensor, one_hot: Tensor) -> Tensor:
    within = _residuals(values, one_hot)
    eigenvalues, basis = eigh(within @ within.mT / values.shape[-1])
    return (basis / eigenvalues.sqrt().unsqueeze(-2)) @ (basis.mT @ values)


# The flows.


def _check_whitened(features: Features) -> None:
    identity = torch.eye(features.dimension, dtype=features.values.dtype, device=features.values.device)
    distance = float((within_covariance(features) - identity).abs().max())
    # Half of the digits: far above what `renormalised` leaves, far below what would change the flow visibly.
    if distance > torch.finfo(features.values.dtype).eps ** 0.5:
        raise ValueError(f"expected features with Sigma_W = I, got an entry that differs by {distance:.1e}")


def central_path_flow(
    features: Features,
    grid: TimeGrid,
    method: ButcherTableau = RK4,
    record: int | None = None,
    retract: bool = False,
) -> Solution[Trajectory, IntegrationStats]:
    """The renormalised gradient flow of han2022 in feature space: dX/dt = -Proj grad L_LS(X), states (T, ..., d, N).

    It starts from X with Sigma_W(X) = I and stays there; Proj is `tangent_projection`. A batch of starts is leading
    dimensions. For checkpoints and convergence see `integrators.integrate`.

    `retract` renormalises after each step, which moves X by O(its distance to {Sigma_W = I}), so that the
    method keeps its order. By default nothing is: the projected velocity turns out to have no part within classes, so
    that every method stays on {Sigma_W = I} to rounding. Raises ValueError unless Sigma_W(X) = I to half of the digits
    (see `renormalised`), and as `integrate` does.

    >>> from tightframe.numerics import flow, integrators, statistics
    >>> from tightframe.numerics.models import Features
    >>> start = flow.whitened_features([2.0, 1.0], per_class=3, dimension=2, seed=0)
    >>> solution = flow.central_path_flow(start, integrators.geometric_grid(end=100.0, steps=20, first=1.0))
    >>> w = statistics.snr_singular_values(Features(solution.value.states, start.class_counts))
    >>> [[round(x, 4) for x in row] for row in w.tolist()]
    [[2.0, 1.0], [2.967, 2.4948]]
    """
    _check_whitened(features)
    one_hot = features.one_hot

    def velocity(time: float, values: Tensor) -> Tensor:
        return -_tangent_projection(_feature_gradient(values, one_hot), _residuals(values, one_hot))

    return integrate(
        velocity, features.values, grid, method, record, (lambda x: _renormalised(x, one_hot)) if retract else None
    )


def class_mean_flow(
    means: Tensor,
    class_counts: Sequence[int],
    grid: TimeGrid,
    method: ButcherTableau = RK4,
    record: int | None = None,
) -> Solution[Trajectory, IntegrationStats]:
    """`central_path_flow` on the class means M (..., d, K) alone, states (T, ..., d, K), at the cost of K samples.

    Exact, not an approximation: where Sigma_W = I, the least-squares problem depends on the residuals R through R R^T =
    N I alone, Proj takes away all that would move R, and no sample of a class is left to move otherwise than its mean.
    So d samples sqrt(N) e_i with target 0, on which the bias does not act, stand for R. For d > K the means stay in
    their span, and its coordinates, K x K, are what is integrated.

    M is a start like `statistics.class_means(features)` of features with Sigma_W = I (for general features, those of
    `renormalised`); a batch of starts is leading dimensions. Raises ValueError for shapes that do not fit,
    N - K < d, where Sigma_W = I is impossible, and as `integrate` does.

    >>> import torch
    >>> from tightframe.numerics import flow, integrators
    >>> start = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    >>> grid = integrators.uniform_grid(end=100.0, steps=50)
    >>> solution = flow.class_mean_flow(start, class_counts=(3, 3), grid=grid)
    >>> [round(x, 8) for x in solution.value.states[-1, 0].tolist()]
    [2.06857538, -2.06857538]
    """
    counts = check_class_counts(class_counts)
    check_matrix("means", means, columns=len(counts))
    check_finite("means", means)
    _check_room(means.shape[-2], counts)
    if means.shape[-2] <= len(counts):
        return integrate(_class_mean_velocity(means, counts), means, grid, method, record)
    basis, coordinates = qr(means)
    solution = integrate(_class_mean_velocity(coordinates, counts), coordinates, grid, method, record)
    states = basis @ solution.value.states
    states[0] = means
    return Solution(Trajectory(solution.value.times, states), solution.result, solution.stats)


def _class_mean_velocity(means: Tensor, class_counts: tuple[int, ...]) -> Field:
    samples, (rows, classes) = sum(class_counts), means.shape[-2:]
    weights = means.new_tensor(class_counts).sqrt().unsqueeze(-1)
    targets = torch.cat([torch.diag(weights[:, 0]), means.new_zeros(rows, classes)])
    targets = targets.expand(*means.shape[:-2], -1, -1)
    ones = means.new_ones(*means.shape[:-2], classes, 1)
    identity = torch.eye(classes, dtype=means.dtype, device=means.device)
    within = torch.cat([samples**0.5 * torch.eye(rows, dtype=means.dtype), torch.zeros(rows, 1)], dim=-1)
    within = within.to(means).expand(*means.shape[:-2], -1, -1)

    def velocity(time: float, means: Tensor) -> Tensor:
        columns = torch.cat([means.mT, ones], dim=-1)
        extended = _minimiser(torch.cat([weights * columns, within], dim=-2), targets)  # (W, b)^T
        error = columns @ extended - identity
        return (error @ extended[..., :-1, :].mT).mT / -samples

    return velocity


def unprojected_flow(
    features: Features, grid: TimeGrid, record: int | None = None
) -> Solution[Trajectory, IntegrationStats]:
    """Not han2022's flow: X <- Sigma_W(Z)^{-1/2} Z with Z = X - h grad L_LS(X), a plain step, then renormalised.

    A different flow from `central_path_flow`, often taken for it: renormalising is no projection on the tangent space
    of {Sigma_W = I}. The step along the gradient shrinks the residuals, and renormalising, which undoes that, stretches
    the class means as well, so that the SNR singular values follow a differential equation of their own and grow
    faster.

    h are the steps of the grid, so the states (T, ..., d, N) approach that flow at its times to first order in h. There
    is no choice of a method: stages of higher order would see the plain gradient, and the renormalisation only between
    steps. Raises ValueError unless Sigma_W(X) = I to half of the digits (see `renormalised`), and as `integrate` does.

    >>> from tightframe.numerics import flow, integrators, statistics
    >>> from tightframe.numerics.models import Features
    >>> start = flow.whitened_features([2.0, 1.0], per_class=3, dimension=2, seed=0)
    >>> solution = flow.unprojected_flow(start, integrators.uniform_grid(end=100.0, steps=1000))
    >>> w = statistics.snr_singular_values(Features(solution.value.states, start.class_counts))
    >>> [[round(x, 2) for x in row] for row in w.tolist()]
    [[2.0, 1.0], [4.61, 3.89]]
    """
    _check_whitened(features)
    one_hot = features.one_hot
    return integrate(
        lambda time, values: -_feature_gradient(values, one_hot),
        features.values,
        grid,
        EULER,
        record,
        lambda values: _renormalised(values, one_hot),
    )
