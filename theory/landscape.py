"""The Hessian of the deep linear model with cross-entropy at neural collapse and at pairs: its whole spectrum.

Balanced factors W_L, ..., W_1, W_0 = H_1 of rank r with the singular value s, of K classes of n samples, width d. In
units of the decay lam at which they are critical, the Hessian at directions A_l, in blocks along the range (1) and its
complement (2) of each side, is

    sum_l ||A_l||^2 - 2 sum_{l<m} tr(A_m,11 A_l,11) - 2 sum_l tr(A_{l+1},12 A_l,21) + <dZ, H dZ> / lam,

with the Hessian H of the cross-entropy, block diagonal in the samples, and dZ of the blocks 11, A_L,21 and A_0,12
alone. Symmetric and skew parts of the blocks 11 fall apart, and so do their mean over the layers and differences.
"""

from __future__ import annotations

import math

import numpy as np

Spectrum = tuple[tuple[float, int], ...]


def dnc_spectrum(K: int, L: int, d: int, n: int, alpha: float) -> Spectrum:
    """Eigenvalues in units of lam, ascending, and multiplicities, at neural collapse: Z = alpha (I - 11^T/K) Y.

    All (L-1) d^2 + d K (n+1) of them; lam is that of ``garrod2025/dnc-scale``. A value may be listed twice.

    Examples:
        >>> [(round(value, 4), count) for value, count in dnc_spectrum(K=2, L=1, d=2, n=1, alpha=1.0)]
        [(0.0, 1), (1.0, 3), (1.4621, 1), (1.7311, 1), (2.0, 2)]
    """
    _check(K, L, d, n, alpha)
    r = K - 1
    p = 1 / (1 + r * math.exp(-alpha))  # softmax of the right class
    kappa = K * (K * p - 1) / r
    x = alpha / K
    found = _shared(L, d, r)
    found += [
        (1.0, (d - r) + (d - r) * (K * n - r) + r),  # A_L,22; A_0,22; A_L,21
        (1 + x, K * (n - 1) * (K - 2)),  # within classes
        (1 + alpha * p, K * (n - 1)),
        ((L + 1) * (1 + x), r * (r - 1) // 2),  # skew
        ((L + 1) * alpha * p - (L - 1), 1),  # multiples of the identity
    ]
    if K == 2:
        return _sorted([*found, (1 + alpha * p, 1)])  # the global mean
    found.append(((L + 1) * x - (L - 1), K * (K - 3) // 2))  # zero diagonal
    cross = x * kappa * math.sqrt((L + 1) * (K - 2)) / K
    mixed = [[1 - L + x * (L + 1) * (1 + kappa * (1 - 2 / K)), cross], [cross, 1 + x * (1 + kappa / K)]]
    return _sorted([*found, *((value, K - 1) for value in np.linalg.eigvalsh(mixed).tolist())])


def paired_spectrum(K: int, L: int, d: int, n: int, beta: float) -> Spectrum:
    """The same at pairs, K = 2m >= 4: Z = beta X Y with blocks [[1, -1], [-1, 1]] in X.

    Examples:
        >>> [(round(value, 4), count) for value, count in paired_spectrum(K=4, L=2, d=4, n=1, beta=1.0)]
        [(0.0, 10), (0.6326, 2), (1.0, 14), (1.1932, 3), (1.7311, 2), (2.0, 14), (2.9857, 2), (5.1932, 1)]
    """
    _check(K, L, d, n, beta)
    if K % 2 or K < 4:
        raise ValueError(f"K: expected an even number from 4, got {K}")
    m = K // 2
    small = math.exp(-beta)
    total = 1 + small**2 + (K - 2) * small  # e^(-beta) times the sum of the exponentials
    rest = 2 * small + K - 2
    tau = 2 * beta / rest
    own, partner, other = 1 / total, small**2 / total, small / total
    nu = K / rest  # gradient off the range, over that in it
    diagonal = tau / other * ((own + partner) - (own - partner) ** 2) / 2
    excess = own + partner - 2 * other
    found = _shared(L, d, m)
    if L == 1:
        found += [(1 - nu, (m - 1) * (d - m)), (1 + nu, (m - 1) * (d - m))]
        found.append((1.0, (d - m) + (d - m) * (K * n - m - (m - 1))))
    else:
        found.append((1.0, m * (d - m) + (d - m) * (K * n - m)))
    found += [
        (1.0, m),  # A_L,21 along 1
        (1 + tau, K * (n - 1) * (m - 1)),  # within classes
        (1 + diagonal, K * (n - 1)),
        ((L + 1) * (1 + tau), m * (m - 1) // 2),  # skew
        ((L + 1) * tau - (L - 1), m * (m - 1) // 2),  # symmetric, zero diagonal
        ((L + 1) * diagonal - (L - 1), m),
        (1 + tau - nu, m * (m - 2)),
        (1 + tau + nu, m * (m - 2)),
    ]
    share = (m - 1) / m
    h, g, w = diagonal - tau, tau / other * excess * (1 - excess) / 2, tau * (own - partner) * m
    mixed = [
        [1 + tau + g * share, -nu + w * share, w * math.sqrt(share / m)],
        [-nu + w * share, 1 + tau + h * share, h * math.sqrt(share / m)],
        [w * math.sqrt(share / m), h * math.sqrt(share / m), 1 + tau + h / m],
    ]
    return _sorted([*found, *((value, m) for value in np.linalg.eigvalsh(mixed).tolist())])


def _shared(L: int, d: int, r: int) -> list[tuple[float, int]]:
    """What depends on the rank alone: blocks 12 with 21, 22 of the inner layers, and differences of blocks 11."""
    return [
        (0.0, L * r * (d - r) + L * r * (r - 1) // 2),
        (2.0, L * r * (d - r) + L * r * (r + 1) // 2),
        (1.0, (L - 1) * (d - r) ** 2),
    ]


def _sorted(found: list[tuple[float, int]]) -> Spectrum:
    merged: dict[float, int] = {}
    for value, count in found:
        if count:
            merged[value] = merged.get(value, 0) + count
    return tuple(sorted(merged.items()))


def _check(K: int, L: int, d: int, n: int, scale: float) -> None:
    for name, value, least in (("K", K, 2), ("L", L, 1), ("n", n, 1), ("d", d, K)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if not scale > 0:
        raise ValueError(f"expected a positive scale, got {scale}")
