"""The Hessian of the deep linear model with cross-entropy at neural collapse and at pairs: its whole spectrum.

Balanced factors W_L, ..., W_1, W_0 = H_1 of rank r with the singular value s, of K classes of n samples, width d. In
units of the decay lam at which they are critical, the Hessian at directions A_l, in blocks along the range (1) and its
complement (2) of each side, is

    sum_l ||A_l||^2 - 2 sum_{l<m} tr(A_m,11 A_l,11) - 2 sum_l tr(A_{l+1},12 A_l,21) - 2 nu tr(A_L,21 A_0,12)
    + <dZ, H dZ> / lam,

with the Hessian H of cross-entropy, block diagonal in the samples, and dZ of the blocks 11, A_L,21 and A_0,12 alone.
nu is the gradient off the range over that in it, on sums of pairs; at neural collapse there is none. Symmetric and skew
parts of the blocks 11 fall apart, and so do their mean over the layers and differences between layers. (Garrod and
Keating 2025, theorems 4 and 6, speak of signs and norms.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Block = tuple[list[list[Any]], Any]  # a symmetric matrix of one to three rows, and how often it occurs
Spectrum = tuple[tuple[float, int], ...]


def dnc_blocks(K: Any, L: Any, d: Any, n: Any, alpha: Any, p: Any, sqrt: Callable[[Any], Any]) -> list[Block]:
    """Of Z = alpha (I - 11^T/K) Y; p is the softmax of the right class. Numbers, or sympy's symbols with K > 2."""
    r, x = K - 1, alpha / K
    kappa = K * (K * p - 1) / r
    found = _decays(L, d, r)
    found += [
        ([[1]], (d - r) + (d - r) * (K * n - r) + r),  # A_L,22; A_0,22; A_L,21
        ([[1 + x]], K * (n - 1) * (K - 2)),  # within classes
        ([[1 + alpha * p]], K * (n - 1)),
        ([[(L + 1) * (1 + x)]], _half(r * (r - 1))),  # skew
        ([[(L + 1) * alpha * p - (L - 1)]], 1),  # multiples of the identity
    ]
    if K == 2:
        return [*found, ([[1 + alpha * p]], 1)]  # the global mean
    found.append(([[(L + 1) * x - (L - 1)]], _half(K * (K - 3))))  # symmetric, without diagonal
    cross = x * kappa / K * sqrt((L + 1) * (K - 2))
    of_classes = 1 - L + x * (L + 1) * (1 + kappa * (K - 2) / K)
    found.append(([[of_classes, cross], [cross, 1 + x * (1 + kappa / K)]], r))  # S diag(v) S, with the global mean
    return found


def paired_blocks(m: Any, L: Any, d: Any, n: Any, beta: Any, small: Any, sqrt: Callable[[Any], Any]) -> list[Block]:
    """Of pairs, K = 2m >= 4: Z = beta X Y with blocks [[1, -1], [-1, 1]] in X; small is e^(-beta)."""
    K = 2 * m
    rest = 2 * small + K - 2
    tau, nu = 2 * beta / rest, K / rest
    total = 1 + small**2 + (K - 2) * small  # e^(-beta) times the sum of the exponentials
    own, apart = (1 - small**2) / total, (1 - small) ** 2 / total  # a class less its partner; their sum less two others
    share = (m - 1) / m
    # without the difference of nearly equal numbers that a large beta would make of the entries of the softmax Hessian
    h, g, w = beta * (K - 4) * (1 - small) ** 2 / (rest * total), beta * K * apart / rest, tau * own * m
    diagonal = tau + h
    found = _decays(L, d, m)
    if L == 1:
        found += [([[1 - nu]], (m - 1) * (d - m)), ([[1 + nu]], (m - 1) * (d - m))]
        found.append(([[1]], (d - m) + (d - m) * (K * n - m - (m - 1))))
    else:
        found.append(([[1]], m * (d - m) + (d - m) * (K * n - m)))  # A_L,22; A_0,22
    off = [-nu + w * share, w * sqrt(m - 1) / m, h * sqrt(m - 1) / m]
    return [
        *found,
        ([[1]], m),  # A_L,21 along 1
        ([[1 + tau]], K * (n - 1) * (m - 1)),  # within classes
        ([[1 + diagonal]], K * (n - 1)),
        ([[(L + 1) * (1 + tau)]], _half(m * (m - 1))),  # skew
        ([[(L + 1) * tau - (L - 1)]], _half(m * (m - 1))),  # symmetric, without diagonal
        ([[(L + 1) * diagonal - (L - 1)]], m),
        ([[1 + tau - nu]], m * (m - 2)),  # A_L,21 with the means of A_0,12
        ([[1 + tau + nu]], m * (m - 2)),
        (
            [
                [1 + tau + g * share, off[0], off[1]],
                [off[0], 1 + tau + h * share, off[2]],
                [off[1], off[2], 1 + tau + h / m],
            ],
            m,
        ),
    ]


def _decays(L: Any, d: Any, r: Any) -> list[Block]:
    """What depends on the rank alone: blocks 12 with 21, 22 of the inner layers, and differences of blocks 11."""
    return [
        ([[0]], L * r * (d - r) + _half(L * r * (r - 1))),
        ([[2]], L * r * (d - r) + _half(L * r * (r + 1))),
        ([[1]], (L - 1) * (d - r) ** 2),
    ]


def _half(count: Any) -> Any:
    return count // 2 if isinstance(count, int) else count / 2


def trace(blocks: list[Block]) -> Any:
    return sum(count * sum(rows[i][i] for i in range(len(rows))) for rows, count in blocks)


def frobenius_squared(blocks: list[Block]) -> Any:
    return sum(count * sum(entry**2 for row in rows for entry in row) for rows, count in blocks)


# ---- in floats
def dnc_spectrum(K: int, L: int, d: int, n: int, alpha: float) -> Spectrum:
    """Eigenvalues in units of lam, ascending, and multiplicities, at neural collapse: all (L-1) d^2 + d K (n+1).

    lam is that of ``garrod2025/dnc-scale``.

    Examples:
        >>> [(round(value, 4), count) for value, count in dnc_spectrum(K=2, L=1, d=2, n=1, alpha=1.0)]
        [(0.0, 1), (1.0, 3), (1.4621, 1), (1.7311, 1), (2.0, 2)]
    """
    _check(K, L, d, n, alpha)
    return _spectrum(dnc_blocks(K, L, d, n, alpha, 1 / (1 + (K - 1) * math.exp(-alpha)), math.sqrt))


def paired_spectrum(K: int, L: int, d: int, n: int, beta: float) -> Spectrum:
    """The same at pairs, K even from 4; lam is that of ``garrod2025/paired-scale``.

    Examples:
        >>> [(round(value, 4), count) for value, count in paired_spectrum(K=4, L=2, d=4, n=1, beta=1.0)]
        [(0.0, 10), (0.6326, 2), (1.0, 14), (1.1932, 3), (1.7311, 2), (2.0, 14), (2.9857, 2), (5.1932, 1)]
    """
    _check(K, L, d, n, beta)
    if K % 2 or K < 4:
        raise ValueError(f"K: expected an even number from 4, got {K}")
    return _spectrum(paired_blocks(K // 2, L, d, n, beta, math.exp(-beta), math.sqrt))


def _spectrum(blocks: list[Block]) -> Spectrum:
    merged: dict[float, int] = {}
    for rows, count in blocks:
        for value in np.linalg.eigvalsh(np.array(rows, dtype=float)).tolist():
            merged[value] = merged.get(value, 0) + int(count)
    return tuple(sorted((value, count) for value, count in merged.items() if count))


def _check(K: int, L: int, d: int, n: int, scale: float) -> None:
    for name, value, least in (("K", K, 2), ("L", L, 1), ("n", n, 1), ("d", d, K)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if not scale > 0:
        raise ValueError(f"expected a positive scale, got {scale}")
