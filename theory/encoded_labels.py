"""Simplex-encoded labels and circles for classes of any sizes, as logits whose loss along the scale is certified.

Logits X Y have the singular values of X D^(1/2), D the diagonal matrix of the class sizes n_k, of sum N. The squares

- of S D^(1/2), S = I - 1 1^T / K, that are not zero: every size that m classes have, m - 1 times, and the roots of
  sum_k 1/(n_k - x) = 0, one between any two neighbouring sizes;
- of X D^(1/2), X_ij = cos(2 pi (i - j) / K): K (N +- |z|) / 4 with z = sum_k n_k e^(4 pi i k / K).

Their cross-entropy is that of classes of one size, as all columns of X are alike. (Garrod and Keating 2025, appendix;
the labels: Thrampoulidis et al. 2022.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from . import logit_scale
from .logit_scale import Enclosed, Root, Size, Structure
from .scalar_problem import ball

if TYPE_CHECKING:
    import flint


def check_sizes(sizes: Sequence[int], least: int) -> None:
    """ValueError unless there are at least so many classes, each of a sample or more.

    Examples:
        >>> check_sizes((2, 1), 3)
        Traceback (most recent call last):
        ValueError: expected the sizes of at least 3 classes, integers from 1, got 2, 1
    """
    if len(sizes) < least or any(not isinstance(size, int) or size < 1 for size in sizes):
        given = ", ".join(map(str, sizes))
        raise ValueError(f"expected the sizes of at least {least} classes, integers from 1, got {given}")


def encoded_labels(sizes: Sequence[int]) -> Structure:
    """X = S; its loss is that of `logit_scale.Scaled` with n = 1.

    Examples:
        >>> encoded_labels((3, 3, 1)).values
        ((1, Root(square=Fraction(3, 1))), (1, Root(square=Fraction(5, 3))))
        >>> encoded_labels((2, 2, 2)).values
        ((2, Root(square=Fraction(2, 1))),)
    """
    check_sizes(sizes, 2)
    counts = sorted(Counter(sizes).items())
    values: list[tuple[int, Size]] = [(count - 1, Root(Fraction(size))) for size, count in counts if count > 1]
    if len(counts) == 2:
        (small, few), (large, many) = counts
        values.append((1, Root(Fraction(few * large + many * small, few + many))))
    elif len(counts) > 2:
        polynomial = tuple(_secular(counts))
        values += [(1, Enclosed(lambda i=place: _root(polynomial, i))) for place in range(len(counts) - 1)]
    return logit_scale.simplex(len(sizes))._replace(name="simplex-encoded labels", values=tuple(values))


def _secular(counts: Sequence[tuple[int, int]]) -> list[int]:
    """Coefficients of sum_i m_i prod_(j != i) (n_j - x), from the constant on."""
    import flint

    total = flint.fmpz_poly([0])
    for size, count in counts:
        term = flint.fmpz_poly([count])
        for other, _ in counts:
            if other != size:
                term *= flint.fmpz_poly([other, -1])
        total += term
    return [int(each) for each in total.coeffs()]


def _root(polynomial: tuple[int, ...], place: int) -> flint.arb:
    """One of its roots, which are real and distinct, by size."""
    import flint

    found: Any = flint.fmpz_poly(list(polynomial)).complex_roots()
    roots = [root.real for root, _ in found]
    return sorted(roots, key=lambda root: float(root.mid()))[place]


def circle(sizes: Sequence[int]) -> Structure:
    """K points on a circle, in the order of the sizes; its loss is that of `logit_scale.Scaled` with n = 1.

    Examples:
        >>> import flint
        >>> [round(float(value.square()), 12) for _, value in circle((3, 3, 1, 1)).values]
        [8.0, 8.0]
        >>> [round(float(value.square()), 12) for _, value in circle((3, 1, 3, 1)).values]
        [12.0, 4.0]
    """
    check_sizes(sizes, 3)

    def square(sign: int) -> flint.arb:
        import flint

        classes = len(sizes)
        turns = [flint.fmpq(4 * k, classes) for k in range(classes)]
        along = sum((n * flint.arb.cos_pi_fmpq(turn) for n, turn in zip(sizes, turns, strict=True)), flint.arb(0))
        across = sum((n * flint.arb.sin_pi_fmpq(turn) for n, turn in zip(sizes, turns, strict=True)), flint.arb(0))
        return (sum(sizes) + sign * abs(flint.acb(along, across))) * ball(Fraction(classes, 4))

    values = tuple((1, Enclosed(lambda s=sign: square(s))) for sign in (1, -1))
    return logit_scale.circle(len(sizes))._replace(values=values)


def wins_from(classes: int, ratio: Fraction) -> int:
    """The least L with ((K-1)/2)^(L+1) > (m/mu)^2 R: from there on the circle wins at every scale and decay.

    R is the ratio of the largest size and the least; K >= 4. Certified: equality is told where 1 - cos(2 pi / K) is
    rational, and does not occur elsewhere.

    Examples:
        >>> wins_from(4, Fraction(10)), wins_from(4, Fraction(81, 64)), wins_from(4, Fraction(80, 64))
        (9, 4, 3)
    """
    if classes < 4 or ratio < 1:
        raise ValueError("expected at least four classes, and a ratio of sizes from 1")
    layers = 1
    while not _wins(classes, ratio, layers):
        layers += 1
    return layers


def _wins(classes: int, ratio: Fraction, layers: int) -> bool:
    import flint

    power = Fraction(classes - 1, 2) ** (layers + 1) / Fraction(classes, 2) ** 2
    exact = {4: Fraction(1), 6: Fraction(1, 2)}.get(classes)
    if exact is not None:
        return power * exact**2 > ratio
    bits = 64
    while True:
        with flint.ctx.workprec(bits):
            gap = logit_scale.gap(logit_scale.Chord(Fraction(1, classes)))
            excess = ball(power) * gap**2 - ball(ratio)
            if excess > 0 or excess < 0:
                return bool(excess > 0)
        bits *= 2
