"""Global minima of deep linear models in closed form, for any targets: sizes of classes, bias and encoding are values.

    f = (1/(2N)) ||W_M ... W_1 H - T||_F^2 + sum_m (lam_m/2) ||W_m||_F^2 + (lam_H/2) ||H||_F^2

for a target T = sum_i sigma_i u_i v_i^T with N columns. The minimum splits into one scalar problem (`scalar_problem`)
for each of the d largest singular values, d being the least width:

    b_i = M (N / sigma_i^2) (N P)^(1/M),    P = lam_H lam_1 ... lam_M,
    f* = 1/2 sum_i (sigma_i^2 / N) min g_{b_i},    W W^T = sum_i p_i u_i u_i^T,    p_i = N lam_H x_i^M;

every other one adds sigma_i^2 / (2N). One-hot labels have sigma_k^2 = n_k, and a free bias without decay replaces T by
T (I - 1 1^T / N) (Dang et al. 2023 state one-hot cases). Derivations: `global_minima`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scalar_problem
from .scalar_problem import Array, Enclosure, Number

CLOSE = 1e-12  # relative distance from the threshold, within which b is compared exactly; it is rounded to 1e-15


class Minimum(NamedTuple):
    """The minimum in every direction of the target, in the order given, and altogether.

    ``b`` and ``x`` (r,) are of the scalar problems (b = inf where sigma = 0), ``p`` (r,) the squared singular values of
    W = W_M ... W_1, ``f_min`` the minimum of f. ``tie`` (r,) says where a direction is at its threshold: then 0 is as
    good as x. A direction beyond the width has x = p = 0, whatever its b. ``converged`` is false if a root was missed.
    """

    b: Array
    x: Array
    p: Array
    f_min: float
    tie: NDArray[np.bool_]
    converged: bool


class Lengths(NamedTuple):
    """Of one-hot labels without bias: the diagonals of W W^T, Hbar^T Hbar and W Hbar, all else of which is zero."""

    rows: Array
    means: Array
    predictions: Array


def _checked(samples: object, decays: Sequence[Number]) -> tuple[int, Fraction]:
    """M, and N P exactly."""
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        raise ValueError(f"expected the number of samples N to be an integer from 1, got {samples!r}")
    if len(decays) < 2:
        raise ValueError("expected at least two decays (lam_1, ..., lam_M, lam_H)")
    if not all(math.isfinite(decay) and decay > 0 for decay in decays):
        raise ValueError("expected finite decays > 0")
    product = math.prod((Fraction(decay) for decay in decays), start=Fraction(samples))
    return len(decays) - 1, product


def taking_part(squares: Array, width: int | None) -> NDArray[np.bool_]:
    """Which singular values take part: the ``width`` largest, of equal ones the first."""
    if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
        raise ValueError(f"expected the width to be an integer from 1, got {width!r}")
    part = np.ones(squares.shape, dtype=np.bool_)
    if width is not None:
        part[np.argsort(-squares, kind="stable")[width:]] = False
    return part


# Dang et al. 2023, sections 3 and 4
def minimum(
    squares: Sequence[Number] | ArrayLike, samples: int, decays: Sequence[Number], width: int | None = None
) -> Minimum:
    """The global minimum for the squared singular values (r,) of the target (or of the centred target, with a bias).

    ``decays`` are (lam_1, ..., lam_M, lam_H), which also says what M is; ``width`` is the least of the layers, None if
    it is no less than the rank of the target. A singular value is at its threshold, or on one side of it, exactly for
    the numbers given.

    Raises:
        ValueError: unless sigma^2 >= 0, N is an integer from 1, all decays > 0, and the width is one from 1; also for
            values that leave the range of floats.

    Examples:
        >>> found = minimum((20, 10, 5, 5), 40, (0.002, 0.003, 0.001))
        >>> [round(p, 5) for p in found.p.tolist()], round(found.f_min, 14)
        ([4.00138, 2.50089, 1.55559, 1.55559], 0.0224595195589)
        >>> float(minimum((1000, 100, 10), 1110, (0.005, 0.005, 0.005)).p[-1])  # n_k too small
        0.0
    """
    depth, product = _checked(samples, decays)
    given: list[Any] = list(squares) if isinstance(squares, Sequence) else np.asarray(squares, np.float64).tolist()
    sigma2 = np.array([float(s) for s in given], dtype=np.float64)
    if not sigma2.size or not bool(np.all((sigma2 >= 0) & (sigma2 < np.inf))):
        raise ValueError("expected squared singular values: finite numbers >= 0, at least one")
    part = taking_part(sigma2, width)
    with np.errstate(divide="ignore", over="ignore"):
        b = depth * _root(product, depth) * (samples / sigma2)
    if not bool(np.all((b > 0) & ((b < np.inf) | (sigma2 == 0)))):
        raise ValueError("the slopes b of the scalar problems leave the range of floats")
    signs = _signs(b, given, samples, product, depth)
    solution = scalar_problem.minimiser(b, depth, np.where(part, signs, np.int8(1)))
    x = solution.value
    with np.errstate(over="ignore"):
        p = samples * float(decays[-1]) * x ** float(depth)
    if not bool(np.all(p < np.inf)):
        raise ValueError("the singular values of W leave the range of floats")
    values = scalar_problem.value(x, b, depth)
    return Minimum(b, x, p, math.fsum(sigma2 / samples * values) / 2, solution.tie & part, solution.converged)


def _root(product: Fraction, depth: int) -> float:
    """(N P)^(1/M), to the nearest float or its neighbour; products that no float holds included."""
    low, _ = scalar_problem.enclosed_root(product, depth, 64)
    return float(low)


def _signs(b: Array, squares: Sequence[Number], samples: int, product: Fraction, depth: int) -> NDArray[np.int8]:
    """The signs of b_i - beta_M, exactly: b_i^M = (M N / sigma_i^2)^M N P is rational."""
    edge = scalar_problem.threshold(depth)
    signs = np.sign(b - edge).astype(np.int8)
    known: dict[Number, int] = {}
    for i in np.flatnonzero(np.abs(b - edge) <= CLOSE * edge).tolist():
        square = squares[i]
        if square not in known:
            known[square] = scalar_problem.compare_power(power(Fraction(square), samples, product, depth), depth)
        signs[i] = known[square]
    return signs


def power(square: Fraction, samples: int, product: Fraction, depth: int) -> Fraction:
    """b^M = (M N / sigma^2)^M N P, which is rational where b is not."""
    return (depth * samples / square) ** depth * product


def one_hot(counts: Sequence[int], bias: bool = False) -> tuple[Number, ...]:
    """Squared singular values of the labels of classes of these sizes: of Y, or of Y (I - 1 1^T / N) with a free bias.

    Those of Y are n_k, in that order. Those of the centred labels are the eigenvalues of diag(n) - n n^T / N, largest
    first, the last being zero: for K classes of n samples n, K - 1 times. In float64, in O(K^3) time.

    Raises:
        ValueError: unless all sizes are integers from 1.

    Examples:
        >>> one_hot((20, 10, 5)), [round(s, 12) for s in one_hot((6, 6, 6, 6), bias=True)]
        ((20, 10, 5), [6.0, 6.0, 6.0, 0.0])
    """
    if not counts or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in counts):
        raise ValueError("expected class sizes: integers from 1, at least one")
    if not bias:
        return tuple(counts)
    sizes = np.array(counts, dtype=np.float64)
    scatter = np.diag(sizes) - np.outer(sizes, sizes) / sum(counts)
    values = np.linalg.eigvalsh(scatter)[::-1][: len(counts) - 1]
    return (*np.maximum(values, 0.0).tolist(), 0.0)


def equal_decay(b: float, square: ArrayLike, samples: ArrayLike, depth: int) -> Array:
    """The decay lam = lam_1 = ... = lam_M = lam_H at which a singular value has the slope b.

    lam^(M+1) = (b sigma^2/(M N))^M / N. At b = beta_M its direction collapses. N need not be an integer, so that curves
    can be drawn.

    Examples:
        >>> decay = float(equal_decay(0.25, 5, 40, depth=2))
        >>> round(float(minimum((20, 10, 5, 5), 40, (decay,) * 3).b[2]), 12)
        0.25
    """
    size, number = np.asarray(square, np.float64), np.asarray(samples, np.float64)
    return np.asarray(((b * size / (depth * number)) ** depth / number) ** (1 / (depth + 1)))


# Dang et al. 2023, section 4
def lengths(p: ArrayLike, samples: int, feature_decay: float) -> Lengths:
    """p, p/(p + N lam_H)^2 and p/(p + N lam_H), from the p of `minimum`.

    Examples:
        >>> found = minimum((20, 10, 5, 5), 40, (0.005, 0.0005))
        >>> [round(s, 5) for s in found.p.tolist()], round(float(lengths(found.p, 40, 0.0005).predictions[1]), 2)
        ([1.39421, 0.98, 0.68711, 0.68711], 0.98)
    """
    weights = np.asarray(p, np.float64)
    ridge = samples * feature_decay
    return Lengths(weights, weights / (weights + ridge) ** 2, weights / (weights + ridge))


# ------------------------------------------------------------------------------------------------ certified digits


def certified(
    squares: Sequence[Fraction | int] | Callable[[int], Sequence[Enclosure]],
    samples: int,
    decays: Sequence[Fraction],
    digits: int,
    width: int | None = None,
) -> dict[str, Any]:
    """``b``, ``x``, ``p`` (lists, in the order given) and ``f_min``, correctly rounded to ``digits`` digits.

    ``width`` is that of `minimum`. The squares may be a function that encloses each of them to any number of bits, with
    two equal ends exactly where it is at its threshold or tied at the width; then there is also ``sigma2``.

    Raises:
        ValueError: unless sigma^2 > 0, and as `minimum` does.

    Examples:
        >>> certified((20, 10, 5, 5), 40, [Fraction(2, 1000), Fraction(3, 1000), Fraction(1, 1000)], 20)["f_min"]
        '0.022459519558899881530'
    """
    if callable(squares):

        def between(bits: int) -> dict[str, Any]:
            """All rise with sigma^2, but b, which falls."""
            ends = squares(bits)
            low, high = (_enclosures([end[i] for end in ends], samples, decays, width, bits) for i in (0, 1))
            hull = {name: list(map(_hull, low[name], high[name])) for name in ("b", "x", "p")}
            return {"sigma2": list(ends), **hull, "f_min": _hull(low["f_min"], high["f_min"])}

        return scalar_problem.rounded_all(between, digits)
    given = [Fraction(square) for square in squares]
    return scalar_problem.rounded_all(lambda bits: _enclosures(given, samples, decays, width, bits), digits)


def _hull(first: Enclosure, second: Enclosure) -> Enclosure:
    return min(first[0], second[0]), max(first[1], second[1])


def _enclosures(
    given: Sequence[Fraction], samples: int, decays: Sequence[Fraction], width: int | None, bits: int
) -> dict[str, Any]:
    """What `certified` rounds, to some number of bits."""
    depth, product = _checked(samples, decays)
    if not given or not all(square > 0 for square in given):
        raise ValueError("expected squared singular values > 0")
    order = sorted(range(len(given)), key=lambda i: -given[i])
    part = set(order if width is None else order[:width])
    ridge, zero = samples * Fraction(decays[-1]), (Fraction(0), Fraction(0))
    bs = {square: _slope(square, samples, product, depth, bits) for square in set(given)}
    roots = {
        square: scalar_problem.enclosed_minimiser(power(square, samples, product, depth), depth, bits)
        for square in {given[i] for i in part}
    }
    xs = [roots[square] if i in part else zero for i, square in enumerate(given)]
    low, high = (
        sum((square * _lowest(root, bs[square], depth, end) for square, root in zip(given, xs, strict=True)), zero[0])
        for end in (0, 1)
    )
    return {
        "b": [bs[square] for square in given],
        "x": xs,
        "p": [_scaled(root, depth, ridge) for root in xs],
        "f_min": (low / (2 * samples), high / (2 * samples)),
    }


def _slope(square: Fraction, samples: int, product: Fraction, depth: int, bits: int) -> Enclosure:
    low, high = scalar_problem.enclosed_root(product, depth, bits)
    return depth * samples / square * low, depth * samples / square * high


def _scaled(x: Enclosure, depth: int, ridge: Fraction) -> Enclosure:
    return ridge * x[0] ** depth, ridge * x[1] ** depth


def _lowest(x: Enclosure, b: Enclosure, depth: int, end: int) -> Fraction:
    """One end of an enclosure of g_b(x): the first term falls with x, the second rises."""
    return 1 / (1 + x[1 - end] ** depth) + b[end] * x[end]
