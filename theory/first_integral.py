"""The central path in closed form, as numbers: singular values of the SNR matrix at any time, and the loss there.

The renormalised gradient flow moves every singular value alone, dw/dt = w / (N (C + w^2)^2), which integrates to
(Han, Papyan & Donoho 2022)

    C^2 N log w(t) + C N w(t)^2 + (N/4) w(t)^4 = C^2 N log w(0) + C N w(0)^2 + (N/4) w(0)^4 + t.

Divided by C^2 N, with y = w^2/C and s = t/(C^2 N), this is what is solved here for w >= w0:

    G(w) = log(w/w0) + (y - y0) + (y^2 - y0^2)/4 - s = 0,        dG/dlog w = (1 + y)^2 >= 1.

G increases strictly, so there is one root; it is convex in log w, so Newton's method started above the root descends to
it monotonically. No term of G exceeds s at the root, and each gives a point above it to start from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rounding import check_digits, decimal_string, rounded

if TYPE_CHECKING:
    import flint

Array = NDArray[np.float64]

# log 2 in two parts: the first has so few bits that its product with any difference of exponents is exact (fdlibm).
LOG2_HIGH, LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Newton's error is at most twice the square of its last step, so below 2^-27 nothing is left to gain.
LAST_STEP = 2.0**-28
MOST_STEPS = 100  # seen: at most 9, over all magnitudes of float64
FLAT = 1e100  # a start from here does not move in float64: t/(N w0^4) is below 1e-91


class Stats(NamedTuple):
    """Newton steps taken, and the largest relative change that the last one made."""

    steps: int
    last_step: float


class Solution(NamedTuple):
    """``value`` is what was found, ``stats`` how good it is; what rests on ``did not converge`` is open."""

    value: Array
    result: Literal["converged", "did not converge"]
    stats: Stats

    @property
    def converged(self) -> bool:
        return self.result == "converged"


def _check_sizes(classes: object, per_class: object = 2) -> None:
    for name, size in (("classes", classes), ("per_class", per_class)):
        if not isinstance(size, int) or isinstance(size, bool) or not 2 <= size <= 2**53:
            raise ValueError(f"expected {name} to be an integer from 2 to 2^53")


def _quotient(numerator: Array, denominator: int) -> tuple[Array, Array]:
    """The quotient as an unevaluated sum of two floats: where log w is large, one is not enough."""
    whole = float(denominator)
    mantissa, exponent = math.frexp(whole)
    rest = math.ldexp(float(denominator - int(whole)), -exponent)
    upper, exponents = np.frexp(numerator)
    high = upper / mantissa
    # Dekker 1971: the rounding error of high * mantissa
    product = high * mantissa
    a, b = _halves(high), _halves(np.asarray(mantissa))
    error = ((a[0] * b[0] - product) + a[0] * b[1] + a[1] * b[0]) + a[1] * b[1]
    low = ((upper - product) - error - high * rest) / mantissa
    return np.ldexp(high, exponents - exponent), np.ldexp(low, exponents - exponent)


def _halves(x: Array) -> tuple[Array, Array]:
    """x as a sum of two floats of 26 bits each (Veltkamp)."""
    shifted = 134217729.0 * x
    high = shifted - (shifted - x)
    return high, x - high


def _newton_step(w: Array, w0: Array, s: tuple[Array, Array], classes: int) -> Array:
    """G(w) / (1 + y)^2, to a few units of rounding: nothing is subtracted that has been rounded at a larger size."""
    (mantissa, exponent), (mantissa0, exponent0) = np.frexp(w), np.frexp(w0)
    near = w <= 2 * w0
    whole = np.where(near, 0.0, (exponent - exponent0) * LOG2_HIGH)
    part = np.where(near, np.log1p((w - w0) / w0), np.log(mantissa / mantissa0) + (exponent - exponent0) * LOG2_LOW)
    y, y0 = w * (w / classes), w0 * (w0 / classes)
    rise = (w - w0) * ((w + w0) / classes)
    flat = 1 / (1 + y)
    return ((whole - s[0]) + (part - s[1])) * flat * flat + rise * flat * flat + (rise * flat) * ((y + y0) * flat) / 4


# Han 2022: the singular values on the central path in closed form
def singular_values(w0: ArrayLike, t: ArrayLike, classes: int, per_class: int) -> Solution:
    """w(t) of every start ``w0`` at every time ``t``, broadcast as numpy does: ``t[:, None]`` for many times.

    Each to a few units in the last place, from 1e-300 to 1e300 in both.

    Raises:
        ValueError: unless 0 < w0 < inf, 0 <= t < inf, and classes and per_class are integers from 2.

    Examples:
        >>> solution = singular_values((2.35060868, 1.62749865, 0.92913709), 4000, classes=4, per_class=7)
        >>> [f"{w:.8f}" for w in solution.value], solution.result
        (['6.40590091', '6.33127301', '6.27297952'], 'converged')
    """
    _check_sizes(classes, per_class)
    start, time = np.broadcast_arrays(np.asarray(w0, np.float64), np.asarray(t, np.float64))
    if not bool(np.all((start > 0) & (start < np.inf))):
        raise ValueError("expected finite singular values w0 > 0")
    if not bool(np.all((time >= 0) & (time < np.inf))):
        raise ValueError("expected finite times t >= 0, not before the start")
    last, steps = math.inf, 0
    with np.errstate(all="ignore"):  # overflow and underflow of terms that do not count where they happen
        w0_ = np.minimum(start, FLAT)
        s = _quotient(time, classes**2 * per_class)
        y0 = w0_ * (w0_ / classes)
        highest = np.minimum(y0 + s[0], np.hypot(y0, 2 * np.sqrt(s[0])))
        w = np.maximum(w0_, np.minimum(np.sqrt(classes) * np.sqrt(highest), w0_ * np.exp(s[0])))
        while last > LAST_STEP and steps < MOST_STEPS:
            step = _newton_step(w, w0_, s, classes)
            w = np.maximum(w0_, w * np.exp(-step))
            last, steps = float(np.max(np.abs(step), initial=0.0)), steps + 1
    value = np.where((time == 0) | (start > FLAT), start, w)
    return Solution(value, "converged" if last <= LAST_STEP else "did not converge", Stats(steps, last))


def certified_singular_values(
    w0: Sequence[Fraction], t: Fraction, classes: int, per_class: int, digits: int
) -> tuple[str, ...]:
    """w(t) of every start, correctly rounded (half to even) to exactly ``digits`` significant digits.

    The inputs are exact; every value comes from an enclosure by two numbers at which G has certified signs in ball
    arithmetic (Arb). Raises ``ValueError`` as `singular_values` does, and for digits outside 1..10000.

    Examples:
        >>> certified_singular_values((Fraction("2.35060868"),), Fraction(4000), classes=4, per_class=7, digits=30)
        ('6.40590091305132951874567181652',)
    """
    _check_sizes(classes, per_class)
    check_digits(digits)
    if not all(start > 0 for start in w0):
        raise ValueError("expected singular values w0 > 0")
    if t < 0:
        raise ValueError("expected a time t >= 0, not before the start")
    if t == 0:
        return tuple(decimal_string(start, digits) for start in w0)
    s = Fraction(t) / (classes**2 * per_class)
    # A tie of the rounding is a rational w(t), and there is none: for t > 0 the closed form would make the logarithm of
    # the rational w(t)/w0 > 1 rational, against Lindemann's theorem. So the precision need not be raised for ever.
    return tuple(
        rounded(lambda bits, start=start: _enclosure(Fraction(start), s, classes, bits), digits, 4 * digits + 64)
        for start in w0
    )


def _enclosure(w0: Fraction, s: Fraction, classes: int, bits: int) -> tuple[flint.fmpq, flint.fmpq]:
    """Two numbers with the root of G between them, by certified signs, some 2^-bits of it apart."""
    import flint

    working = bits + 64
    with flint.ctx.workprec(working):
        start, goal = _ball(w0), _ball(s)
        y0 = start * start / classes

        def residual(w: flint.arb) -> flint.arb:
            y = w * w / classes
            return (w / start).log() + (y - y0) * (1 + (y + y0) / 4) - goal

        w = _start(start, goal, classes)
        for _ in range(MOST_STEPS + bits.bit_length()):
            w = w.mid()
            step = (residual(w) / (1 + w * w / classes) ** 2).mid()
            w = w * (-step).exp()
            if abs(step) < flint.arb(2) ** -(bits // 2 + 4):
                break
        w = w.mid()
        for spare in (0, 16, 32, 48):
            width = flint.arb(2) ** (spare - bits)
            lower, upper = (w * (1 - width)).mid(), (w * (1 + width)).mid()
            if residual(lower) < 0 and residual(upper) > 0:
                return lower.fmpq(), upper.fmpq()
    return _enclosure(w0, s, classes, 2 * bits)


def _ball(x: Fraction) -> flint.arb:
    import flint

    return flint.arb(flint.fmpq(x.numerator, x.denominator))


def _start(w0: flint.arb, s: flint.arb, classes: int) -> flint.arb:
    """A point above the root."""
    y0 = w0 * w0 / classes
    highest = (y0 + s).min((y0 * y0 + 4 * s).sqrt())
    w = (classes * highest).sqrt()
    return w.min(w0 * s.exp()) if s < 1e6 else w  # beyond, w0 would have to be below exp(-1e6) for it to matter


# Han 2022: the least-squares loss in the SNR singular values
def loss(w: ArrayLike, classes: int) -> Array:
    """1/2 sum_j 1/(C + w_j^2), over the last axis of ``w``.

    Raises:
        ValueError: unless 0 <= w < inf and classes is an integer from 2.

    Examples:
        >>> float(loss([2.0, 1.0, 0.0], classes=4))
        0.2875
    """
    _check_sizes(classes)
    values = np.asarray(w, np.float64)
    if not bool(np.all((values >= 0) & (values < np.inf))):
        raise ValueError("expected finite singular values w >= 0")
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.sum(1 / (classes + values * values), axis=-1) / 2)


class Collapse(NamedTuple):
    """NC1 = tr(Sigma_B^+ Sigma_W)/C, and the distances NC2, NC3 of unit matrices; all zero in the collapsed limit."""

    nc1: Array
    nc2: Array
    nc3: Array


# Han 2022: what the singular values say about neural collapse
def collapse(w: ArrayLike, classes: int) -> Collapse:
    """NC1-NC3 of renormalised features with these SNR singular values, all C - 1 of them, over the last axis of ``w``.

    With Sigma_W = I the SNR matrix is Mbar = U diag(w) V^T, so that Sigma_B = U diag(w^2/C) U^T, the Gram matrix of
    the means is V diag(w^2) V^T, that of the simplex ETF V V^T, and the least-squares classifier
    V diag(w/(C + w^2)) U^T. NC2 is the distance of the two Gram matrices, NC3 that of classifier and means, each
    scaled to Frobenius norm 1. Raises ``ValueError`` unless all w > 0.

    Examples:
        >>> [float(x) for x in collapse([2.0, 2.0, 2.0], classes=4)]
        [0.75, 0.0, 0.0]
    """
    _check_sizes(classes)
    values = np.asarray(w, np.float64)
    if values.shape[-1:] != (classes - 1,) or not bool(np.all((values > 0) & (values < np.inf))):
        raise ValueError("expected C - 1 finite singular values w > 0")

    def unit(x: Array) -> Array:
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    gram, target = unit(values * values), unit(np.ones_like(values))
    classifier = unit(values / (classes + values * values))
    return Collapse(
        np.sum(values**-2.0, axis=-1),
        np.asarray(np.linalg.norm(gram - target, axis=-1)),
        np.asarray(np.linalg.norm(classifier - unit(values), axis=-1)),
    )


def certified_loss(w: Sequence[Fraction], classes: int, digits: int) -> str:
    """1/2 sum_j 1/(C + w_j^2), exact, then correctly rounded (half to even) to ``digits`` significant digits.

    Examples:
        >>> certified_loss([Fraction(2), Fraction(1), Fraction(0)], classes=4, digits=3)  # of 0.2875, a tie
        '0.288'
    """
    import flint

    _check_sizes(classes)
    check_digits(digits)
    if not w or not all(value >= 0 for value in w):
        raise ValueError("expected singular values w >= 0")
    terms: list[Any] = [
        flint.fmpq(x.denominator**2, 2 * (classes * x.denominator**2 + x.numerator**2)) for x in map(Fraction, w)
    ]
    while len(terms) > 1:  # by halves: the fractions added are of like length
        terms = [sum(terms[i : i + 2], flint.fmpq(0)) for i in range(0, len(terms), 2)]
    return decimal_string(terms[0], digits)


__all__ = [
    "Collapse",
    "Solution",
    "Stats",
    "certified_loss",
    "certified_singular_values",
    "collapse",
    "loss",
    "singular_values",
]
