"""The deep ReLU model: H_(l+1) = ReLU(W_l H_l) below the last layer, on the factors of the deep linear one.

    f = (1/N) sum_i l(W_M ReLU(... ReLU(W_1 h_i)), y_i) + sum_m (lam_m/2) ||W_m||_F^2 + (lam_H/2) ||H||_F^2

Sizes, decays and the data term are those of a `DeepLinearUFM`, without bias. ReLU commutes with positive factors of
columns, so that class means stand for collapsed features as there: given the weights, all samples of a class may lie
where one of them is best, and nothing is lost.
"""

from __future__ import annotations

from torch import Tensor

from .columns import Columns
from .deep_linear import DeepLinearUFM, Factors, decay_terms
from .minimisation import ITERATIONS, TOLERANCE, MinimisationStats
from .minimisation import minimise as minimise_factors
from .solution import Solution

__all__ = ["hidden", "minimise", "objective", "outputs", "value_and_gradient"]


def hidden(factors: Factors) -> tuple[Tensor, ...]:
    """H_1, ..., H_M (..., d_l, C): the features that each weight matrix multiplies.

    >>> import torch
    >>> from tightframe.numerics import deep_relu
    >>> from tightframe.numerics.deep_linear import Factors
    >>> factors = Factors((torch.tensor([[1.0], [-1.0]]), torch.ones(1, 2)), torch.tensor([[2.0, -3.0]]))
    >>> deep_relu.hidden(factors)[1], deep_relu.outputs(factors)
    (tensor([[2., 0.],
            [0., 3.]]), tensor([[2., 3.]]))
    """
    found = [factors.features]
    for weight in factors.weights[:-1]:
        found.append((weight @ found[-1]).clamp(min=0))
    return tuple(found)


def outputs(factors: Factors) -> Tensor:
    """Z = W_M H_M, (..., R, C)."""
    return factors.weights[-1] @ hidden(factors)[-1]


def objective(model: DeepLinearUFM, factors: Factors, decays: Tensor | None = None) -> Tensor:
    """f (...) at factors (...). Raises ValueError for factors of another model, and a model with a bias.

    >>> from tightframe.numerics import deep_relu, initialisers
    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((3, 2), widths=4, depth=2, decays=0.1)
    >>> deep_relu.objective(model, initialisers.gaussian(model, seed=0, scale=0.0)).item()
    0.5
    """
    _check(model)
    return model.evaluate(factors, decays, value_and_gradient)[0]


def value_and_gradient(point: Factors, columns: Columns, decays: Tensor) -> tuple[Tensor, Factors]:
    """f (...) and its gradient in (W_1, ..., W_M, G), that of ReLU at 0 being 0. For solvers: nothing is checked."""
    layers = hidden(point)
    scores = point.weights[-1] @ layers[-1]
    lam = decays.unsqueeze(-1).unsqueeze(-1)
    error = columns.residual(scores) / columns.samples
    weights: list[Tensor] = []
    for m in range(len(point.weights) - 1, -1, -1):
        weights.insert(0, error @ layers[m].mT + lam[..., m, :, :] * point.weights[m])
        error = point.weights[m].mT @ error
        if m:
            error = error * (layers[m] > 0)
    features = error + lam[..., -1, :, :] * point.features
    return columns.data_loss(scores) + decay_terms(point, decays), Factors(tuple(weights), features)


def minimise(
    model: DeepLinearUFM,
    start: Factors,
    decays: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
) -> Solution[Factors, MinimisationStats]:
    """The points where L-BFGS ends, as `minimisation.minimise` for the linear model; features are class means.

    f is not differentiable where an entry before ReLU is 0, and minima may lie there: then no run converges, and its
    loss bounds the least one from above, no more.
    """
    _check(model)
    return minimise_factors(model, start, decays, tolerance, iterations, evaluate=value_and_gradient)


def _check(model: DeepLinearUFM) -> None:
    if model.bias:
        raise ValueError("expected a model without a bias")
