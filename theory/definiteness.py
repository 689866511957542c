"""From which scale on the Hessian at neural collapse has no negative eigenvalue, certified.

In units of lam the eigenvalues that may be negative are, with p the softmax of the right class (`landscape`),

    (L+1) alpha/K - (L-1)  for K >= 4,   (L+1) alpha p - (L-1),   and those of a block of two rows for K >= 3.

K p >= 1, and the block is positive definite where the first of them is nonnegative: for K >= 4 the threshold is
K (L-1)/(L+1). For K = 2 it is alpha p = (L-1)/(L+1), where the two critical scales meet: the larger one always exceeds
it. For K = 3 it is the zero of the determinant of the block, which increases in alpha relative to its last entry.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .logit_scale import Scaled, ball, simplex
from .optimality import largest_decay

if TYPE_CHECKING:
    import flint

BITS = (64, 128, 256, 512, 1024)


def threshold(K: int, L: int, bits: int) -> Fraction | flint.arb:
    """The least alpha without a negative eigenvalue, exact for K >= 4 and for L = 1.

    Examples:
        >>> threshold(6, 3, 64), threshold(2, 1, 64)
        (Fraction(3, 1), Fraction(0, 1))
        >>> round(float(threshold(2, 3, 64)), 6), round(float(threshold(3, 3, 64)), 6)
        (0.738835, 1.101323)
    """
    import flint

    if L == 1 or K >= 4:
        return Fraction(K * (L - 1), L + 1)
    with flint.ctx.workprec(bits + 64):
        if K == 2:
            q = ball(Fraction(L - 1, L + 1))
            return q + (q * (-q).exp()).lambertw()
        low, high = flint.arb(0), ball(Fraction(3 * (L - 1), L + 1))
        for _ in range(bits + 8):
            middle = flint.arb(((low + high) / 2).mid())
            value = determinant(L, middle)
            if value.contains(0):
                return flint.arb(low).union(high)
            low, high = (middle, high) if value < 0 else (low, middle)
        return low.union(high)


def determinant(L: int, alpha: Any) -> Any:
    """Of the block of two rows for K = 3."""
    x, p = alpha / 3, 1 / (1 + 2 * (-alpha).exp())
    kappa = 3 * (3 * p - 1) / 2
    free = x * (L + 1) - (L - 1)
    return free * (1 + x + x * kappa / 3) + x * kappa * (L + 1) * (1 + x) / 3


def larger_scale(K: int, L: int, n: int, lam: Fraction, bits: int) -> flint.arb:
    """The larger critical alpha.

    Raises:
        ValueError: if there is none, with the largest lam for which there is one.
    """
    found = Scaled(simplex(K), L, n, lam).critical(bits)
    if not found:
        largest = float(largest_decay(K, L, n, 64)[0])
        limit = "below" if L == 1 else "up to"
        raise ValueError(
            f"lam: neural collapse has a critical scale {limit} lam = {largest:.12g}, got {float(lam):.12g}"
        )
    return found[-1]


def no_negative_eigenvalue(K: int, L: int, n: int, lam: Fraction) -> bool | None:
    """Of the Hessian at the larger critical scale; None if it is too near to the threshold to tell.

    Examples:
        >>> no_negative_eigenvalue(4, 3, 1, Fraction(1, 100)), no_negative_eigenvalue(4, 3, 1, Fraction(17, 100))
        (True, False)
    """
    for bits in BITS:
        alpha, least = larger_scale(K, L, n, lam, bits), threshold(K, L, bits)
        if L == 1 or K == 2:
            return True
        least = ball(least) if isinstance(least, Fraction) else least
        if alpha > least:
            return True
        if alpha < least:
            return False
    return None
