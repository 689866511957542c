"""Losses of a linear classifier W (..., K, d) on features H (..., d, N), and the least-squares minimum.

Classes play no part here, only targets Y (..., K, N), so these functions take tensors; with
`features: Features` write `features.values, features.one_hot`, or `features.extended().values` for a
classifier with bias as its last column. Data terms are averages over all N samples; the decay term is
(weight_decay/2) ||W||_F^2 and includes the bias if W has one. The losses and the gradient do not look for
NaN: it passes through, as it must in a training loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .linalg import frobenius_norm, svd
from .shapes import check_compatible, check_finite, check_matrix, check_scale
from .solution import Result, Solution

__all__ = [
    "LeastSquaresStats",
    "cross_entropy",
    "least_squares_gradient",
    "least_squares_loss",
    "least_squares_minimum",
]


def _check(features: Tensor, targets: Tensor, weight_decay: float, classifier: Tensor | None = None) -> None:
    check_matrix("features", features)
    check_matrix("targets", targets, columns=features.shape[-1])
    check_scale("weight_decay", weight_decay)
    if classifier is None:
        check_compatible(features=features, targets=targets)
    else:
        check_matrix("classifier", classifier, rows=targets.shape[-2], columns=features.shape[-2])
        check_compatible(classifier=classifier, features=features, targets=targets)


def _decay(classifier: Tensor, weight_decay: float) -> Tensor:
    return weight_decay / 2 * classifier.square().sum(dim=(-2, -1))


def least_squares_loss(classifier: Tensor, features: Tensor, targets: Tensor, weight_decay: float = 0.0) -> Tensor:
    """(1/2) Ave_i ||W h_i - y_i||^2 + (weight_decay/2) ||W||_F^2, of shape (...): the loss of han2022.

    Raises ValueError for shapes that do not fit or a negative weight decay.

    >>> import torch
    >>> from tightframe.numerics import losses
    >>> features, targets = torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> losses.least_squares_loss(torch.zeros(2, 1), features, targets)
    tensor(0.5000)
    """
    _check(features, targets, weight_decay, classifier)
    error = classifier @ features - targets
    return error.square().sum(dim=-2).mean(dim=-1) / 2 + _decay(classifier, weight_decay)


def least_squares_gradient(classifier: Tensor, features: Tensor, targets: Tensor, weight_decay: float = 0.0) -> Tensor:
    """The derivative of `least_squares_loss` in W, (..., K, d): (W H - Y) H^T / N + weight_decay W."""
    _check(features, targets, weight_decay, classifier)
    error = classifier @ features - targets
    return error @ features.mT / features.shape[-1] + weight_decay * classifier


def cross_entropy(classifier: Tensor, features: Tensor, targets: Tensor, weight_decay: float = 0.0) -> Tensor:
    """Ave_i -<y_i, log softmax(W h_i)> + (weight_decay/2) ||W||_F^2, of shape (...), natural logarithm.

    Targets are columns of probabilities; one-hot ones give the usual loss. Raises ValueError for shapes that
    do not fit or a negative weight decay.

    >>> import torch
    >>> from tightframe.numerics import losses
    >>> features, targets = torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> losses.cross_entropy(torch.zeros(2, 1), features, targets)
    tensor(0.6931)
    """
    _check(features, targets, weight_decay, classifier)
    log_probabilities = torch.log_softmax(classifier @ features, dim=-2)
    return -(targets * log_probabilities).sum(dim=-2).mean(dim=-1) + _decay(classifier, weight_decay)


@dataclass(frozen=True, eq=False)
class LeastSquaresStats:
    """How good a least-squares minimum is; each of shape (...), one value a batch member.

    `loss` is the loss there; `loss_error` estimates how far it is from the least one: what a further Newton
    step would gain, by the gradient computed afresh, and what rounding costs at the given `condition`, the
    quotient of the largest and the smallest singular value of the augmented system that was kept. `rank` is
    the number of those (d = full), and `gradient_norm` the Frobenius norm of the gradient.
    """

    loss: Tensor
    loss_error: Tensor
    gradient_norm: Tensor
    condition: Tensor
    rank: Tensor


def least_squares_minimum(
    features: Tensor, targets: Tensor, weight_decay: float = 0.0
) -> Solution[Tensor, LeastSquaresStats]:
    """The W (..., K, d) that minimises `least_squares_loss`; of several, the one of least Frobenius norm.

    Solved as W A = B with A = [H, sqrt(N weight_decay) I] and B = [Y, 0], by the singular value decomposition
    of A, so that the Gram matrix is never formed and may be singular. Singular values up to max(d, N) eps times
    the largest count as zero, as in `numpy.linalg.matrix_rank`, and what their directions would gain is not
    seen: compare `rank`. Converged means that the least loss is known to half of the digits: `loss_error` is at
    most sqrt(eps) times the loss at W = 0 in every batch member, eps being the machine precision of the dtype.
    Outside autograd: the result carries no derivative in the features.
    Raises ValueError for shapes that do not fit, a negative weight decay, NaN or infinity.

    >>> import torch
    >>> from tightframe.numerics import losses
    >>> features = torch.tensor([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0]], dtype=torch.float64)
    >>> solution = losses.least_squares_minimum(features, features[:1])
    >>> [[round(x, 12) for x in row] for row in solution.value.tolist()], solution.stats.rank.item()
    ([[0.5, 0.5]], 1)
    >>> solution.converged
    True
    """
    _check(features, targets, weight_decay)
    check_finite("features", features)
    check_finite("targets", targets)
    dimension, samples = features.shape[-2:]
    eps = torch.finfo(features.dtype).eps
    with torch.no_grad():
        ridge = (samples * weight_decay) ** 0.5 * torch.eye(dimension, dtype=features.dtype, device=features.device)
        system = torch.cat([features, ridge.expand(*features.shape[:-2], -1, -1)], dim=-1)
        u, s, vt = svd(system)
        kept = s > max(dimension, samples) * eps * s[..., :1]
        inverse = torch.where(kept, 1 / s, 0).unsqueeze(-2)
        # B has zeros in the last d columns, so only the first N rows of V act.
        minimiser = (targets @ vt[..., :samples].mT * inverse) @ u.mT
        gradient = least_squares_gradient(minimiser, features, targets, weight_decay)
        newton = samples / 2 * (gradient @ u * inverse).square().sum(dim=(-2, -1))
        loss = least_squares_loss(minimiser, features, targets, weight_decay)
        scale = targets.square().sum(dim=(-2, -1)) / (2 * samples)
        condition = (s[..., 0] * inverse.amax(dim=(-2, -1))).clamp(min=1)
        # W H is right to this fraction of ||Y||: first order in the loss where a residual is left, second elsewhere.
        fraction = dimension**0.5 * eps * condition
        error = newton + 2 * fraction * (loss * scale).sqrt() + fraction.square() * scale
        stats = LeastSquaresStats(
            loss=loss,
            loss_error=error,
            gradient_norm=frobenius_norm(gradient),
            condition=condition.expand(loss.shape),
            rank=kept.sum(dim=-1).expand(loss.shape),
        )
        converged = bool((error <= eps**0.5 * scale).all())
    return Solution(minimiser, Result.CONVERGED if converged else Result.NOT_CONVERGED, stats)
