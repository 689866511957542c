"""The deep linear unconstrained features model: its factors, its objective and the gradient, batched.

    f = (1/(2N)) ||W_M ... W_1 H + b 1^T - T||_F^2 + sum_m (lam_m/2) ||W_m||_F^2 + (lam_H/2) ||H||_F^2

as in Dang et al. 2023 (Neural collapse in deep linear networks: from balanced to imbalanced data), or with the
cross-entropy averaged over the N samples in place of the first term. Classes may have any sizes, layers any widths and
decays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .columns import Columns, DataLoss, class_mean_columns, sample_columns
from .shapes import check_class_counts, check_compatible, check_matrix, check_size

__all__ = ["DeepLinearUFM", "Evaluation", "Factors", "decay_terms", "value_and_gradient"]


@dataclass(frozen=True, eq=False)
class Factors:
    """A point of the model, or a batch of them: W_1 (..., d_2, d_1), ..., W_M (..., R, d_M), H, and a bias (..., R, 1).

    `features` is H (..., d_1, N), or (..., d_1, K) for collapsed features: every sample lies at its class mean. The
    bias is None in a model without. Construction raises ValueError for shapes that do not chain, or batch shapes,
    dtypes or devices that differ.

    >>> import torch
    >>> from tightframe.numerics.deep_linear import Factors
    >>> factors = Factors((torch.ones(3, 2), torch.ones(2, 3)), torch.ones(2, 5))
    >>> factors.product
    tensor([[3., 3.],
            [3., 3.]])
    """

    weights: tuple[Tensor, ...]
    features: Tensor
    bias: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))
        if not self.weights:
            raise ValueError("expected at least one weight matrix")
        check_matrix("features", self.features)
        rows = self.features.shape[-2]
        for number, weight in enumerate(self.weights, 1):
            check_matrix(f"W_{number}", weight, columns=rows)
            rows = weight.shape[-2]
        if self.bias is not None:
            check_matrix("bias", self.bias, rows=rows, columns=1)
        check_compatible(**{f"tensor {number}": tensor for number, tensor in enumerate(self.tensors)})
        batches = {tuple(tensor.shape[:-2]) for tensor in self.tensors}
        if len(batches) > 1:
            raise ValueError(f"expected factors of one batch shape, got {sorted(batches)}")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """W_1, ..., W_M, H and, where there is one, b."""
        return (*self.weights, self.features) if self.bias is None else (*self.weights, self.features, self.bias)

    @property
    def batch(self) -> tuple[int, ...]:
        """The leading dimensions."""
        return tuple(self.features.shape[:-2])

    @property
    def product(self) -> Tensor:
        """W = W_M ... W_1, (..., R, d_1)."""
        product = self.weights[-1]
        for weight in reversed(self.weights[:-1]):
            product = product @ weight
        return product

    def map(self, function: Callable[[Tensor], Tensor]) -> Factors:
        """The function of every tensor: `factors.map(lambda x: x[0])` is the first of a batch."""
        bias = None if self.bias is None else function(self.bias)
        return Factors(tuple(function(weight) for weight in self.weights), function(self.features), bias)

    def widened(self, widths: tuple[int, ...]) -> Factors:
        """The same point with zero units up to widths (d_1, ..., d_M): f is the same, and zero units have no gradient.

        So they stay zero in descent, and models of several widths run in one batch, exactly. Raises ValueError for
        widths below those of the factors.

        >>> import torch
        >>> from tightframe.numerics.deep_linear import Factors
        >>> factors = Factors((torch.ones(3, 2), torch.ones(2, 3)), torch.ones(2, 5)).widened((4, 4))
        >>> [tuple(tensor.shape) for tensor in factors.tensors], bool((factors.product[:, 2:] == 0).all())
        ([(4, 4), (2, 4), (4, 5)], True)
        """
        own = tuple(weight.shape[-1] for weight in self.weights)
        if len(widths) != len(own) or any(new < old for new, old in zip(widths, own, strict=True)):
            raise ValueError(f"expected M = {len(own)} widths of at least {own}, got {widths}")
        more = [new - old for new, old in zip(widths, own, strict=True)]
        pad = torch.nn.functional.pad
        weights = [
            pad(w, (0, here, 0, above)) for w, here, above in zip(self.weights, more, [*more[1:], 0], strict=True)
        ]
        return Factors(tuple(weights), pad(self.features, (0, 0, 0, more[0])), self.bias)


Evaluation = Callable[[Factors, Columns, Tensor], tuple[Tensor, Factors]]
"""f (...) and its gradient at factors in the coordinates of the columns, for decays (..., M + 1)."""


def _positive(name: str, number: object) -> float:
    if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number) or number <= 0:
        raise ValueError(f"expected {name} to be a finite number > 0, got {number!r}")
    return float(number)


@dataclass(frozen=True)
class DeepLinearUFM:
    """A model of depth M >= 1 for classes of n_1, ..., n_K samples: what fixes f but for the factors.

    `widths` are (d_1, ..., d_M), d_1 of the features; `decays` are (lam_1, ..., lam_M, lam_H), all positive. One number
    stands for all of them. `bias` adds a free last-layer bias without decay. `loss` is "mse" or "ce", cross-entropy
    with natural logarithm. `encoding` holds the targets of the classes as rows of an R x K matrix; None is one-hot, and
    a general target T (R x N) is the encoding of N classes of one sample. With "ce" its columns are probabilities.

    Construction raises ValueError for what does not fit, in one line.

    >>> from tightframe.numerics.deep_linear import DeepLinearUFM
    >>> model = DeepLinearUFM((20, 10, 5, 5), widths=8, depth=2, decays=(0.002, 0.003, 0.001))
    >>> model.widths, model.decays, model.outputs, model.samples
    ((8, 8), (0.002, 0.003, 0.001), 4, 40)
    >>> DeepLinearUFM((5, 5), widths=4, depth=2, decays=(0.1, 0.1))
    Traceback (most recent call last):
    ValueError: expected M + 1 = 3 decays (lam_1, ..., lam_M, lam_H), or one number, got 2
    """

    class_counts: tuple[int, ...]
    widths: tuple[int, ...] | int
    depth: int
    decays: tuple[float, ...] | float
    bias: bool = False
    loss: DataLoss = "mse"
    encoding: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_counts", check_class_counts(self.class_counts))
        check_size("depth", self.depth)
        widths = (self.widths,) * self.depth if isinstance(self.widths, int) else tuple(self.widths)
        if len(widths) != self.depth:
            raise ValueError(f"expected M = {self.depth} widths (d_1, ..., d_M), or one number, got {len(widths)}")
        for width in widths:
            check_size("every width", width)
        decays = (self.decays,) * (self.depth + 1) if isinstance(self.decays, int | float) else tuple(self.decays)
        if len(decays) != self.depth + 1:
            wanted = f"M + 1 = {self.depth + 1} decays (lam_1, ..., lam_M, lam_H)"
            raise ValueError(f"expected {wanted}, or one number, got {len(decays)}")
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "decays", tuple(_positive("every decay", decay) for decay in decays))
        if not isinstance(self.bias, bool):
            raise ValueError(f"expected bias to be True or False, got {self.bias!r}")
        if self.loss not in ("mse", "ce"):
            raise ValueError(f"expected loss 'mse' or 'ce', got {self.loss!r}")
        if self.encoding is not None:
            object.__setattr__(self, "encoding", self._checked(self.encoding))

    def _checked(self, encoding: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
        try:
            rows = tuple(tuple(float(x) for x in row) for row in encoding)
        except (TypeError, ValueError):
            raise ValueError("expected the encoding to be rows of numbers") from None
        if not rows or any(len(row) != self.classes for row in rows):
            raise ValueError(f"expected the encoding to have rows of K = {self.classes} numbers")
        if not all(math.isfinite(x) for row in rows for x in row):
            raise ValueError("expected a finite encoding")
        columns = list(zip(*rows, strict=True))
        if self.loss == "ce" and any(min(column) < 0 or abs(sum(column) - 1) > 1e-9 for column in columns):
            raise ValueError("expected an encoding whose columns are probabilities, as loss is 'ce'")
        return rows

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_counts)

    @property
    def samples(self) -> int:
        """N."""
        return sum(self.class_counts)

    @property
    def outputs(self) -> int:
        """R, the rows of W_M: K, unless there is an encoding."""
        return self.classes if self.encoding is None else len(self.encoding)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The shapes of W_1, ..., W_M."""
        widths = (*self._widths, self.outputs)
        return tuple((widths[m + 1], widths[m]) for m in range(self.depth))

    @property
    def _widths(self) -> tuple[int, ...]:
        assert isinstance(self.widths, tuple)
        return self.widths

    def encoded(self, like: Tensor) -> Tensor:
        """The targets of the classes (R, K), on the device and of the dtype of the tensor."""
        if self.encoding is None:
            return torch.eye(self.classes, dtype=like.dtype, device=like.device)
        return like.new_tensor(self.encoding)

    def columns(self, features: Tensor) -> tuple[Columns, Tensor]:
        """The coordinates of features with N columns, or with K that stand for collapsed ones."""
        encoding = self.encoded(features)
        if features.shape[-1] == self.samples:
            return sample_columns(self.class_counts, encoding, self.loss), features
        columns = class_mean_columns(self.class_counts, encoding, self.loss)
        return columns, features * columns.roots

    def check(self, factors: Factors) -> None:
        """ValueError unless the factors are of this model."""
        if len(factors.weights) != self.depth:
            raise ValueError(f"expected M = {self.depth} weight matrices, got {len(factors.weights)}")
        for number, (weight, (rows, width)) in enumerate(zip(factors.weights, self.sizes, strict=True), 1):
            check_matrix(f"W_{number}", weight, rows=rows, columns=width)
        if factors.features.shape[-1] not in (self.samples, self.classes):
            wanted = f"N = {self.samples} or K = {self.classes} columns"
            raise ValueError(f"expected features of {wanted}, got {factors.features.shape[-1]}")
        if self.bias != (factors.bias is not None):
            raise ValueError(f"expected factors with{'' if self.bias else 'out'} a bias")

    def decay_tensor(self, like: Tensor, decays: Tensor | None = None) -> Tensor:
        """(lam_1, ..., lam_M, lam_H) as a tensor: the model's own (M + 1,), or other ones (..., M + 1) checked."""
        if decays is None:
            return like.new_tensor(self.decays)
        if not isinstance(decays, Tensor) or decays.ndim < 1 or decays.shape[-1] != self.depth + 1:
            raise ValueError(f"expected decays to be a tensor (..., M + 1) with M + 1 = {self.depth + 1}")
        if not bool((torch.isfinite(decays) & (decays > 0)).all()):
            raise ValueError("expected finite decays > 0")
        return decays.to(like)

    def objective(self, factors: Factors, decays: Tensor | None = None) -> Tensor:
        """f (...) at factors (...), a batch of decays (..., M + 1) in place of the model's if given.

        Differentiable by autograd. Raises ValueError for factors of another model.

        >>> from tightframe.numerics import initialisers
        >>> from tightframe.numerics.deep_linear import DeepLinearUFM
        >>> model = DeepLinearUFM((3, 2), widths=4, depth=2, decays=0.1)
        >>> zero = initialisers.gaussian(model, seed=0, scale=0.0)
        >>> model.objective(zero).item()
        0.5
        """
        self.check(factors)
        columns, values = self.columns(factors.features)
        point = replace(factors, features=values)
        return _value(_outputs(point.product, point, columns), point, columns, self.decay_tensor(values, decays))

    def gradient(self, factors: Factors, decays: Tensor | None = None) -> Factors:
        """The derivative of `objective` in each factor; for collapsed features, in the class means.

        Raises ValueError for factors of another model.
        """
        return self.evaluate(factors, decays, value_and_gradient)[1]

    def evaluate(self, factors: Factors, decays: Tensor | None, evaluate: Evaluation) -> tuple[Tensor, Factors]:
        """f (...) and its gradient, by any function that gives both in the coordinates of the samples.

        Raises ValueError for factors of another model.
        """
        self.check(factors)
        columns, values = self.columns(factors.features)
        point = replace(factors, features=values)
        value, gradient = evaluate(point, columns, self.decay_tensor(values, decays))
        collapsed = columns.basis is not None
        return value, (replace(gradient, features=gradient.features * columns.roots) if collapsed else gradient)

    def zero_loss(self, like: Tensor) -> float:
        """f with all factors zero and the best bias, if there is one: the unit in which losses are judged, or 1 if 0.

        That is 1/2 for one-hot targets without bias.
        """
        encoding = self.encoded(like).double()
        weights = encoding.new_tensor(self.class_counts) / self.samples
        mean = encoding @ weights
        if self.loss == "mse":
            offset = mean if self.bias else torch.zeros_like(mean)
            value = float(((encoding - offset.unsqueeze(-1)).square() @ weights).sum() / 2)
        else:
            value = float(torch.special.entr(mean).sum()) if self.bias else math.log(self.outputs)
        return value or 1.0

    def gradient_norm(self, gradient: Factors, decays: Tensor | None = None) -> Tensor:
        """The scaled norm (...) of a gradient in H: zero at critical points, without units, one at most by its size.

        (sum_m ||df/dW_m||^2/lam_m + ||df/dH||^2/lam_H + ||df/db||^2)^{1/2} / f_0^{1/2}, f_0 the `zero_loss`. Where the
        curvature is at least that of the decay terms, its square bounds twice the relative gain f/f_0 still possible.
        For collapsed features the derivative in class means counts as that in all their samples.
        """
        lam = self.decay_tensor(gradient.features, decays)
        squares = [tensor.square().sum(dim=(-2, -1)) for tensor in gradient.weights]
        features = gradient.features
        if features.shape[-1] != self.samples:
            features = features / features.new_tensor(self.class_counts).sqrt()
        squares.append(features.square().sum(dim=(-2, -1)))
        total = (torch.stack(torch.broadcast_tensors(*squares), dim=-1) / lam).sum(dim=-1)
        if gradient.bias is not None:
            total = total + gradient.bias.square().sum(dim=(-2, -1))
        return (total / self.zero_loss(features)).sqrt()


# In coordinates G of the samples. Private to the package: no checks, and NaN passes through.


def _outputs(product: Tensor, point: Factors, columns: Columns) -> Tensor:
    outputs = product @ point.features
    return outputs if point.bias is None else outputs + point.bias * columns.roots


def decay_terms(point: Factors, decays: Tensor) -> Tensor:
    """sum_m (lam_m/2) ||W_m||_F^2 + (lam_H/2) ||G||_F^2, (...)."""
    squares = torch.stack([tensor.square().sum(dim=(-2, -1)) for tensor in (*point.weights, point.features)], dim=-1)
    return (decays * squares).sum(dim=-1) / 2


def _value(outputs: Tensor, point: Factors, columns: Columns, decays: Tensor) -> Tensor:
    return columns.data_loss(outputs) + decay_terms(point, decays)


def value_and_gradient(point: Factors, columns: Columns, decays: Tensor) -> tuple[Tensor, Factors]:
    """f (...) and its gradient in (W_1, ..., W_M, G, b), `point.features` being the coordinates G of the columns.

    With A_m = E G^T W_1^T ... W_{m-1}^T / N, the derivative of the data term in W_m is (W_M ... W_{m+1})^T A_m: no
    product is wider than the outputs or longer than the columns. For solvers: nothing is checked.
    """
    depth = len(point.weights)
    lefts = [point.weights[-1]] * depth  # W_M ... W_m
    for m in range(depth - 2, -1, -1):
        lefts[m] = lefts[m + 1] @ point.weights[m]
    outputs = _outputs(lefts[0], point, columns)
    error = columns.residual(outputs) / columns.samples
    lam = decays.unsqueeze(-1).unsqueeze(-1)
    weights = []
    right = error @ point.features.mT
    for m, weight in enumerate(point.weights):
        data = lefts[m + 1].mT @ right if m < depth - 1 else right
        weights.append(data + lam[..., m, :, :] * weight)
        if m < depth - 1:
            right = right @ weight.mT
    features = lefts[0].mT @ error + lam[..., depth, :, :] * point.features
    bias = None if point.bias is None else error @ columns.roots.unsqueeze(-1)
    return _value(outputs, point, columns, decays), Factors(tuple(weights), features, bias)
