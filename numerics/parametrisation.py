"""Differentials of the parametrisation Z = W_M ... W_1 H at a point, and their ranks: in floats, or exact.

Two maps. The product sends all factors to Z. The rotations R_1, ..., R_M of the hidden layers, orthogonal d_m x d_m,

    (W_M R_M^T, R_M W_{M-1} R_{M-1}^T, ..., R_2 W_1 R_1^T, R_1 H),

move the factors, and neither Z nor any norm: what they sweep through a point has the dimension of the rank of their
differential. Garrod and Keating 2025, Theorem 5, count the aligned factors of one Z, W_{m+1}^T W_{m+1} = W_m W_m^T.

Matrices are numpy arrays of floats, or of dtype object with Fractions: one code for both arithmetics. Parameters are in
the order of `landscape`: the entries of W_1, ..., W_M and H, row by row.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from .shapes import check_scale, check_size

__all__ = ["RTOL", "exact_rank", "product_differential", "rank", "rational_aligned", "rotation_differential"]

RTOL = 1e-10  # of singular values, relative to the largest

Array = Any  # numpy's own type has no name for arrays of Fractions


def _factors(weights: Sequence[Array], features: Array) -> list[Array]:
    """H, W_1, ..., W_M, checked."""
    found = [np.asarray(features), *map(np.asarray, weights)]
    if len(found) < 2 or any(each.ndim != 2 for each in found):
        raise ValueError("expected matrices W_1, ..., W_M and H, M >= 1")
    for number, (below, above) in enumerate(pairwise(found), 1):
        if above.shape[1] != below.shape[0]:
            raise ValueError(f"expected W_{number} with {below.shape[0]} columns, got shape {above.shape}")
    return found


def _identity(size: int, like: Array) -> Array:
    return np.eye(size, dtype=int).astype(like.dtype)


def _ordered(blocks: list[Array]) -> Array:
    """Of H, W_1, ..., W_M the blocks of W_1, ..., W_M, H, one above the other."""
    return np.concatenate([*blocks[1:], blocks[0]])


def product_differential(weights: Sequence[Array], features: Array) -> Array:
    """The matrix (R N, P) of d(W_M ... W_1 H), Z row by row.

    >>> import numpy as np
    >>> from tightframe.numerics import parametrisation
    >>> parametrisation.product_differential([np.array([[2, 3]])], np.array([[5], [7]])).tolist()
    [[5, 7, 2, 3]]
    """
    factors = _factors(weights, features)
    below = [_identity(factors[0].shape[1], factors[0])]
    above = [_identity(factors[-1].shape[0], factors[0])]
    for up, down in zip(factors[:-1], factors[:0:-1], strict=True):
        below.append(up @ below[-1])
        above.append(above[-1] @ down)
    # the row-major entries of A X B are (A kron B^T) times those of X
    return _ordered([np.kron(a, b.T).T for a, b in zip(reversed(above), below, strict=True)]).T


def rotation_differential(weights: Sequence[Array], features: Array) -> Array:
    """The matrix (P, sum_m d_m (d_m - 1)/2) of what turns of the hidden layers do to the factors, at the identity.

    A turn is e_i e_j^T - e_j e_i^T, i < j, of one layer.

    >>> import numpy as np
    >>> from tightframe.numerics import parametrisation
    >>> parametrisation.rotation_differential([np.array([[2, 3]])], np.array([[5], [7]])).T.tolist()
    [[3, -2, 7, -5]]
    """
    factors = _factors(weights, features)
    columns: list[Array] = []
    for m, layer in enumerate(factors[:-1]):
        for i, j in combinations(range(layer.shape[0]), 2):
            moved = [each * 0 for each in factors]
            moved[m][i], moved[m][j] = layer[j], -layer[i]
            moved[m + 1][:, i], moved[m + 1][:, j] = factors[m + 1][:, j], -factors[m + 1][:, i]
            columns.append(_ordered([each.reshape(-1) for each in moved]))
    size = sum(each.size for each in factors)
    return np.stack(columns, axis=1) if columns else np.zeros((size, 0), dtype=factors[0].dtype)


def rank(matrix: Array, rtol: float = RTOL) -> int:
    """How many singular values of a matrix of floats exceed `rtol` times the largest.

    >>> import numpy as np
    >>> from tightframe.numerics import parametrisation
    >>> parametrisation.rank(np.diag([1.0, 1e-9, 1e-11]))
    2
    """
    check_scale("rtol", rtol)
    values = np.linalg.svd(np.asarray(matrix, dtype=float), compute_uv=False)
    return int((values > rtol * values.max(initial=0.0)).sum())


def exact_rank(matrix: Array) -> int:
    """The rank of a matrix of integers and Fractions, over the rationals, without tolerance.

    Raises ValueError for other entries: a float is no exact number here.

    >>> import numpy as np
    >>> from fractions import Fraction
    >>> from tightframe.numerics import parametrisation
    >>> third = Fraction(1, 3)
    >>> parametrisation.exact_rank(np.array([[1, third], [3, 1]], dtype=object))
    1
    """
    import flint

    rows = np.asarray(matrix)
    if rows.ndim != 2 or not all(isinstance(x, int | np.integer | Fraction) for x in rows.reshape(-1)):
        raise ValueError("expected a matrix of integers and Fractions")
    if rows.size == 0:
        return 0
    entries = [[flint.fmpq(int(x.numerator), int(x.denominator)) for x in row] for row in rows]
    found: int = flint.fmpq_mat(entries).rank()
    return found


def rational_aligned(
    outputs: int, columns: int, width: int, values: Sequence[Fraction | int], depth: int, seed: int
) -> tuple[list[Array], Array]:
    """Aligned factors W_1, ..., W_M and H of rationals: each U diag(values) V^T between frames that neighbours share.

    The frames are the first r columns of random rational orthogonal matrices, r the number of values. Z has `outputs`
    rows and `columns` columns and the singular values s^(M+1). Raises ValueError for more values than fit.

    >>> from tightframe.numerics import parametrisation
    >>> (first, last), features = parametrisation.rational_aligned(3, 3, 4, (2, 1), depth=2, seed=0)
    >>> bool((last.T @ last == first @ first.T).all()), bool((first.T @ first == features @ features.T).all())
    (True, True)
    """
    for name, size in (("outputs", outputs), ("columns", columns), ("width", width), ("depth", depth)):
        check_size(name, size)
    if len(values) > min(outputs, columns, width):
        raise ValueError(f"expected at most {min(outputs, columns, width)} singular values, got {len(values)}")
    source = random.Random(seed)
    sizes = (columns, *[width] * depth, outputs)
    frames = [_orthogonal(size, source)[:, : len(values)] for size in sizes]
    diagonal = np.diag(np.array([Fraction(value) for value in values], dtype=object))
    features, *weights = (up @ diagonal @ down.T for down, up in pairwise(frames))
    return weights, features


def _orthogonal(size: int, source: random.Random) -> Array:
    """(I - A)^(-1) (I + A) of a random skew A: Cayley."""
    import flint

    rows = [[flint.fmpq(int(i == j)) for j in range(size)] for i in range(size)]
    identity, skew = flint.fmpq_mat(rows), flint.fmpq_mat(size, size)
    for i, j in combinations(range(size), 2):
        entry = flint.fmpq(source.randint(-2, 2), source.randint(1, 2))
        skew[i, j], skew[j, i] = entry, -entry
    found = (identity - skew).inv() * (identity + skew)
    entries = [Fraction(int(x.p), int(x.q)) for x in found.entries()]
    return np.array(entries, dtype=object).reshape(size, size)
