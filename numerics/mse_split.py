"""The MSE loss of a linear classifier in the parts of han2022, from the moments of its features.

On features h with the constant 1 appended where there is a bias, and W with the bias as its last column:

    L = (1/2) Ave ||W h - y||^2 + (weight_decay/2) ||W||_F^2 = L_LS + L_perp,   L_LS = L_NC1 + L_NC2/3.

L_LS is the least loss for these features, at the least-squares classifier W_LS. There L_NC1 is what samples of a class
differ in, with the decay, and L_NC2/3 what class means miss of their targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .linalg import eigh
from .losses import least_squares_loss, least_squares_minimum
from .moments import Moments
from .shapes import check_compatible, check_finite, check_matrix

__all__ = ["MSESplit", "mse_split"]


@dataclass(frozen=True, eq=False)
class MSESplit:
    """The loss and its parts, each zero-dimensional, and W_LS (K, d), (K, d + 1) with a bias.

    `loss` = `least_squares` + `perpendicular` and `least_squares` = `within` + `between`, to rounding: L_perp is the
    difference, so that it is known to eps times the loss. `converged` is false if W_LS is not known: then neither are
    the parts.
    """

    loss: Tensor
    least_squares: Tensor
    perpendicular: Tensor
    within: Tensor
    between: Tensor
    classifier: Tensor
    converged: bool


def mse_split(moments: Moments, classifier: Tensor, bias: Tensor | None = None, weight_decay: float = 0.0) -> MSESplit:
    """Parts of the loss of W (K, d) with bias (K,), or without one, on features with these moments and scatter.

    The weight decay is that of the loss above and acts on the bias too. The loss of N samples is one of K + d columns:
    the class means, and a root of the scatter, whose targets are zero; on these W_LS is found by
    `losses.least_squares_minimum`. Raises ValueError for moments without scatter, other shapes, or NaN.

    >>> import torch
    >>> from tightframe.numerics.models import Features
    >>> from tightframe.numerics.moments import Moments
    >>> from tightframe.numerics.mse_split import mse_split
    >>> moments = Moments.of(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)), scatter=True)
    >>> found = mse_split(moments, torch.zeros(2, 1), torch.zeros(2))
    >>> [round(float(x), 4) for x in (found.loss, found.least_squares, found.perpendicular, found.within)]
    [0.5, 0.0345, 0.4655, 0.0297]
    """
    if moments.scatter is None:
        raise ValueError("expected moments with their scatter")
    check_matrix("classifier", classifier, rows=moments.classes, columns=moments.dimension)
    check_finite("classifier", classifier)
    check_compatible(classifier=classifier, means=moments.means)
    values, basis = eigh(moments.scatter)
    root = basis * values.clamp(min=0).sqrt()
    counts = moments.means.new_tensor(moments.class_counts)
    means, weights = moments.means, classifier
    if bias is not None:
        if tuple(bias.shape) != (moments.classes,):
            raise ValueError(f"expected a bias of shape ({moments.classes},), got {tuple(bias.shape)}")
        means = torch.cat([means, torch.ones_like(means[:1])])
        root = torch.cat([root, torch.zeros_like(root[:1])])
        weights = torch.cat([classifier, bias[:, None]], dim=1)
    scale = ((moments.classes + moments.dimension) / moments.samples) ** 0.5  # losses average over columns
    columns = scale * torch.cat([means * counts.sqrt(), root], dim=1)
    targets = scale * torch.cat([counts.sqrt().diag(), counts.new_zeros(moments.classes, moments.dimension)], dim=1)
    loss = least_squares_loss(weights, columns, targets, weight_decay)
    found = least_squares_minimum(columns, targets, weight_decay)
    missed = found.value @ means - torch.eye(moments.classes, dtype=means.dtype, device=means.device)
    between = (counts * missed.square()).sum() / (2 * moments.samples)
    least = found.stats.loss
    return MSESplit(loss, least, (loss - least).clamp(min=0), least - between, between, found.value, found.converged)
