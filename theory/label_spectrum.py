"""The spectrum of centred labels, certified: eigenvalues of diag(n) - n n^T/N for classes of n_1, ..., n_K samples.

One of them is zero. A size that m classes share is an eigenvalue m - 1 times. Between two neighbouring sizes lies
exactly one more (`interlacing`): there, as n^T 1 = N,

    sum_k n_k / (n_k - s) = 0,

and the left side increases from minus to plus infinity, so that its sign says on which side of the root s lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from .scalar_problem import Enclosure, ball, fraction

MOST_STEPS = 200  # of Newton's method, safeguarded by bisection; seen: at most 30


def enclosed(counts: Sequence[int], bits: int) -> list[Enclosure]:
    """Every eigenvalue, largest first, the last being zero: two numbers, 2^-bits of it apart, with it between them.

    Both are the eigenvalue itself where that is rational: then it is an integer over N, as N times the matrix has
    integer entries. In O(K^2) time.

    Raises:
        ValueError: unless all sizes are integers from 1.

    Examples:
        >>> [low for low, high in enclosed((6, 1, 1), 64)]
        [Fraction(9, 4), Fraction(1, 1), Fraction(0, 1)]
        >>> low, high = enclosed((20, 10, 5, 5), 64)[0]
        >>> low < high, f"{float(low):.12f}"
        (True, '14.215351654086')
    """
    if not counts or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in counts):
        raise ValueError("expected class sizes: integers from 1, at least one")
    sizes = sorted(Counter(counts).items(), reverse=True)
    found = [(Fraction(n), Fraction(n)) for n, repeats in sizes for _ in range(repeats - 1)]
    found += [_between(sizes, i, start, bits) for i, start in enumerate(_starts(sizes))]
    return [*sorted(found, reverse=True), (Fraction(0), Fraction(0))]


def _starts(sizes: Sequence[tuple[int, int]]) -> list[float]:
    """The eigenvalues between neighbouring sizes, largest first, in float64."""
    n, repeats = np.array(sizes, np.float64).T
    row = n * np.sqrt(repeats)
    return np.linalg.eigvalsh(np.diag(n) - np.outer(row, row) / (n @ repeats)).tolist()[:0:-1]


def _between(sizes: Sequence[tuple[int, int]], index: int, start: float, bits: int) -> Enclosure:
    """The eigenvalue between two neighbouring sizes."""
    import flint

    (high, _), (low, _) = sizes[index : index + 2]
    total = sum(n * repeats for n, repeats in sizes)

    def sign(at: Fraction) -> int:
        """Of the sum at a point, or beside the pole that lies there."""
        if not low < at < high:
            return 1 if at >= high else -1
        near = sum((n * repeats / (n - ball(at)) for n, repeats in sizes), flint.arb(0))
        if near > 0 or near < 0:
            return 1 if near > 0 else -1
        value = sum((Fraction(n * repeats) / (n - at) for n, repeats in sizes), Fraction(0))
        return (value > 0) - (value < 0)

    with flint.ctx.workprec(bits + 64 + total.bit_length()):
        left, right = Fraction(low), Fraction(high)
        root = flint.arb(start if low < start < high else (low + high) / 2)
        for _ in range(MOST_STEPS):
            terms = [(n * repeats / (n - root), n - root) for n, repeats in sizes]
            value = sum((term for term, _ in terms), flint.arb(0)).mid()
            slope = sum((term / gap for term, gap in terms), flint.arb(0)).mid()
            left, right = (fraction(root), right) if value < 0 else (left, fraction(root))
            # a Newton step for the sum times (s - low) (high - s), which has no pole between the two
            below, above = root - low, high - root
            moved = (root - value * below * above / (slope * below * above + value * (above - below))).mid()
            if abs(moved - root) < root * flint.arb(2) ** (-bits - 8):
                break
            root = moved if left < fraction(moved) < right else ball((left + right) / 2).mid()
        middle, reach = fraction(root), fraction((root * flint.arb(2) ** (-bits - 2)).mid())
        whole = Fraction(round(total * middle), total)
        if sign(whole) == 0:
            return whole, whole
        while not (sign(middle - reach) < 0 < sign(middle + reach)):
            reach *= 2
    return middle - reach, middle + reach
