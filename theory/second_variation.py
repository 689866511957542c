"""The second variation of a deep linear model at aligned layers, from layer to layer, and its least value.

Layers W_l = s U_l U_{l-1}^T with frames U_l^T U_l = I_r, H_1 = W_0 = s U_0 J^T, and directions A_l. Up to layer l the
product of all W + t A is X + t Y + t^2 Z + ..., with X J = s^(l+1) U_l, Y J = s^l y, Z J = s^(l-1) z, where

    y' = A U + U' U^T y,  z' = A y + U' U^T z            (a prime: one layer more; A is its direction).

So b = U^T y is the sum of the blocks U_l^T A_l U_{l-1}, and c = U^T z that of the products of two of them and of those
of adjacent layers through the complement of the range. With m = l + 1 factors, F their sum of squares ||A_l||^2,

    F - 2 tr c >= ||(I - U U^T) y||^2 + (2/m) ||sym b||^2 - tr b^2,

by induction over the layers: from one layer to the next the difference grows by a sum of squares.

At neural collapse, Z = alpha S Y, the gradient in the logits is -q n^(-1/2) U_L J^T with q = 1/(e^alpha + K - 1) and
U_L U_L^T = S, cross-entropy has the Hessian (q/(K n)) (||S dZ||^2 + kappa sum_i (s_i^T dZ_i)^2), and lam = q s^(L-1)
n^(-1/2). So the second variation is at least lam (alpha/K - (L-1)/(L+1)) ||sym b||^2, and that is attained: by equal
symmetric blocks U_L^T M U_L, where M has sum zero in each row and no diagonal, as there is one for K >= 4.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import softmax_hessian
from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Star
from .proof.statement import AllOf, Equal, Statement
from .softmax_hessian import S, e, x
from .statistics import random_matrix
from .symbols import frobenius_squared, n, ones

INDUCTION = ("induction over the layers",)
a, d, r = (sp.Symbol(name, integer=True, positive=True) for name in "adr")
N = K * n
m = sp.Symbol("m", integer=True, positive=True)  # factors so far
L = sp.Symbol("L", integer=True, positive=True)
t = sp.Symbol("t", real=True, nonnegative=True)
s, c = sp.symbols("s c", positive=True)  # c = s^(l-1)
F = sp.Symbol("F", nonnegative=True)  # sum of the squared norms of the directions
alpha, q, omega, excess = (sp.Symbol(name, positive=True) for name in ("alpha", "q", "omega", "xi"))
kappa = sp.Symbol("kappa", nonnegative=True)

UPPER, LOWER = sp.MatrixSymbol("U", a, r), sp.MatrixSymbol("V", d, r)  # frames of a layer and of the one below
DIRECTION = sp.MatrixSymbol("A", a, d)
FIRST, SECOND = sp.MatrixSymbol("y", d, r), sp.MatrixSymbol("z", d, r)
INPUTS, FEATURES = sp.MatrixSymbol("J", N, r), sp.MatrixSymbol("A_0", d, N)
BLOCK = sp.MatrixSymbol("B", r, r)  # symmetric, the same in all layers


def symmetric_part(matrix: Any) -> MatrixExpr:
    return (matrix + matrix.T) / 2


def skew_part(matrix: Any) -> MatrixExpr:
    return (matrix - matrix.T) / 2


def outside(frame: Any, matrix: Any) -> MatrixExpr:
    """What is normal to the range of a frame."""
    return matrix - frame * frame.T * matrix


def surplus(count: Any, total: Any, frame: Any, first: Any, second: Any) -> sp.Expr:
    """m times the left side less the right one."""
    block = frame.T * first
    bound = total - 2 * sp.Trace(frame.T * second) - frobenius_squared(outside(frame, first)) + sp.Trace(block * block)
    return count * bound - 2 * frobenius_squared(symmetric_part(block))


# ---- from one layer to the next
NEXT_FIRST = DIRECTION * LOWER + UPPER * LOWER.T * FIRST
NEXT_SECOND = DIRECTION * FIRST + UPPER * LOWER.T * SECOND
INNER = UPPER.T * DIRECTION * LOWER
CORNER = (DIRECTION - UPPER * UPPER.T * DIRECTION) - outside(UPPER, DIRECTION * LOWER) * LOWER.T
START = FEATURES * INPUTS


def growth() -> sp.Expr:
    """Of the surplus, from one layer to the next: squares."""
    apart = (UPPER.T * DIRECTION - INNER * LOWER.T) - outside(LOWER, FIRST).T
    between = symmetric_part(LOWER.T * FIRST) - m * symmetric_part(INNER)
    return (m + 1) * (frobenius_squared(apart) + frobenius_squared(CORNER)) + 2 / m * frobenius_squared(between)


def layers() -> dict[str, Statement]:
    """The product with one layer more, its least second variation, and where that starts."""
    product = s**2 * c * LOWER + t * s * c * FIRST + t**2 * c * SECOND
    longer = s**3 * c * UPPER + t * s**2 * c * NEXT_FIRST + t**2 * s * c * NEXT_SECOND
    return {
        "one layer more": Equal(
            (s * UPPER * LOWER.T + t * DIRECTION) * product, longer + t**3 * c * DIRECTION * SECOND
        ),
        "surplus": Equal(
            surplus(m + 1, F + frobenius_squared(DIRECTION), UPPER, NEXT_FIRST, NEXT_SECOND),
            (m + 1) / m * surplus(m, F, LOWER, FIRST, SECOND) + growth(),
        ),
        "surplus of the features": Equal(
            surplus(sp.S.One, frobenius_squared(FEATURES), LOWER, START, sp.ZeroMatrix(d, r)),
            frobenius_squared(FEATURES - START * INPUTS.T),
        ),
    }


def equal_blocks() -> dict[str, Statement]:
    """With A_l = U_l B U_{l-1}^T for a symmetric B in all layers: y = m U B, z = m (m-1)/2 U B^2."""
    equal = UPPER * BLOCK * LOWER.T
    values = {DIRECTION: equal, FIRST: m * LOWER * BLOCK, SECOND: m * (m - 1) / 2 * LOWER * BLOCK * BLOCK}
    return {
        "first order": Equal(NEXT_FIRST.xreplace(values), (m + 1) * UPPER * BLOCK),
        "second order": Equal(NEXT_SECOND.xreplace(values), m * (m + 1) / 2 * UPPER * BLOCK * BLOCK),
        "squared norm": Equal(frobenius_squared(equal), sp.Trace(BLOCK * BLOCK)),
    }


def frames() -> tuple[Hypothesis, ...]:
    found = {"frame": UPPER, "frame below": LOWER, "frame of the inputs": INPUTS}
    unit = sp.Identity(r)
    return tuple(Hypothesis(name, Equal(each.T * each, unit), "aligned layers") for name, each in found.items())


def layer_steps() -> tuple[Step, ...]:
    using = {
        "one layer more": ("frame below",),
        "surplus": ("frame", "frame below"),
        "surplus of the features": ("frame below", "frame of the inputs"),
    }
    because = "Powers of t.", "Complete the squares.", "U^T U = J^T J = I."
    return tuple(
        Step(name, says, why, Star(using[name])) for (name, says), why in zip(layers().items(), because, strict=True)
    )


# ---- all layers, at neural collapse
TOP = sp.MatrixSymbol("T", K, r)  # U_L
TOP_FIRST, TOP_SECOND = sp.MatrixSymbol("f", K, r), sp.MatrixSymbol("g", K, r)  # y and z
OUTPUTS, CURVED = sp.MatrixSymbol("X", K, N), sp.MatrixSymbol("Z", K, N)  # first and second order of the logits
OWN = sp.MatrixSymbol("w", N, 1)  # s_i^T X_i
LAM = q * c * omega
CLASSES = tuple(sp.MatrixSymbol(name, K, 1) for name in ("k", "j", "h", "l"))
OTHER = sp.MatrixSymbol("o", K, 1)
MODE = sp.MatrixSymbol("M", K, K)  # symmetric
EXCESS = (L + 1) * alpha / K - (L - 1)


def second_variation(first: Any, second: Any, own: Any, squares: Any) -> sp.Expr:
    """Over lam: cross-entropy has the gradient G and a curvature; F is the sum of the decay terms."""
    slopes = -q * omega * TOP * INPUTS.T
    curvature = q * omega**2 / K * (sp.Trace(first.T * S * first) + kappa * own)
    return (curvature + 2 * sp.Trace(slopes.T * second) + LAM * squares) / LAM


def completed() -> Equal:
    """(L+1)/lam times the second variation: squares, one of them with the weight (L+1) alpha/K - (L-1)."""
    block, own = TOP.T * TOP_FIRST, frobenius_squared(DiagMatrix(OWN))
    within = frobenius_squared(TOP.T * (OUTPUTS - OUTPUTS * INPUTS * INPUTS.T)) + kappa * own
    squares = (
        surplus(L + 1, F, TOP, TOP_FIRST, TOP_SECOND),
        (L + 1) * frobenius_squared(outside(TOP, TOP_FIRST)),
        EXCESS * frobenius_squared(symmetric_part(block)),
        (L + 1) * (1 + alpha / K) * frobenius_squared(skew_part(block)),
        (L + 1) * omega / (K * c) * within,
    )
    return Equal((L + 1) * second_variation(OUTPUTS, CURVED, own, F), sp.Add(*squares))


def elastic() -> Equal:
    """With e^alpha = 1 + xi: psi = alpha e^alpha / (e^alpha + K - 1) > alpha/K; lam falls in alpha where psi > q."""
    return Equal(K * alpha * (1 + excess) - alpha * (K + excess), (K - 1) * alpha * excess)


def top() -> tuple[Hypothesis, ...]:
    return (
        Hypothesis("scale", Equal(omega * s**2 * c, alpha), "s^(L+1) = alpha n^(1/2), c = s^(L-1)"),
        Hypothesis("top range", Equal(TOP * TOP.T, S), "U_L spans the vectors of sum zero"),
    )


def variation() -> tuple[Hypothesis, ...]:
    return (
        *softmax_hessian.hypotheses(),
        Hypothesis("logits, first order", Equal(OUTPUTS * INPUTS, s * c * TOP_FIRST), "X J = s^L y"),
        Hypothesis("logits, second order", Equal(CURVED * INPUTS, c * TOP_SECOND), "Z J = s^(L-1) z"),
    )


# ---- below the threshold
def pattern() -> MatrixExpr:
    """(k - j)(h - l)^T + (h - l)(k - j)^T, for four classes."""
    one, two = CLASSES[0] - CLASSES[1], CLASSES[2] - CLASSES[3]
    return one * two.T + two * one.T


def witness() -> dict[str, Statement]:
    """The second variation over lam at equal blocks U_L^T M U_L, where kappa plays no part; and one such M."""
    block = TOP.T * MODE * TOP
    first = (L + 1) * s * c * TOP * block * INPUTS.T
    second = L * (L + 1) / 2 * c * TOP * block * block * INPUTS.T
    value = second_variation(first, second, sp.S.Zero, (L + 1) * sp.Trace(block * block))
    found = pattern()
    return {
        "witness": Equal(value, (L + 1) * EXCESS * frobenius_squared(MODE)),
        "symmetric": Equal(sp.Transpose(found), found),
        "rows": Equal(found * ones(K), sp.ZeroMatrix(K, 1)),
        "squares": Equal(frobenius_squared(found), sp.Integer(8)),
        **{f"diagonal at {each}": Equal(sp.Trace(each.T * found * each), sp.S.Zero) for each in (*CLASSES, OTHER)},
    }


def classes() -> tuple[Hypothesis, ...]:
    units = (*CLASSES, OTHER)
    products = {
        f"{one} and {two}": Equal(sp.Trace(one.T * two), sp.Integer(int(one == two)))
        for i, one in enumerate(units)
        for two in units[i:]
        if one != OTHER and not (one in CLASSES[2:] and two == OTHER)
    }
    sums = {f"sum of {each}": Equal(sp.Trace(ones(K).T * each), sp.S.One) for each in CLASSES}
    units_of_classes = (
        Hypothesis(name, says, "unit vectors of classes") for name, says in {**products, **sums}.items()
    )
    rows = Equal(MODE * ones(K), sp.ZeroMatrix(K, 1))
    return (
        Hypothesis("sum of the rows", rows, "of M, symmetric and without diagonal"),
        *units_of_classes,
    )


def witness_steps() -> tuple[Step, ...]:
    said = witness()
    kept = Equal(TOP * TOP.T * MODE, MODE)
    using = ("kept", "sum of the rows", "frame of the inputs", "scale")
    return (
        Step("kept", kept, "S M = M.", Star(("top range", "sum of the rows"))),
        Step("witness", said.pop("witness"), "F = (L+1) ||M||^2, y = (L+1) T B, z = L (L+1)/2 T B^2.", Star(using)),
        *(Step(name, says, "Unit vectors of classes.", Star()) for name, says in said.items()),
    )


# ---- statements, and exact examples: K = 4, where the vectors of sum zero have a rational orthonormal basis
SOFTMAX = ("gradient", "Hessian")
AXES = sp.Matrix([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 2


def definite_parts() -> dict[str, Statement]:
    """No negative eigenvalue from the threshold on, q = (L-1)/(L+1) times K; lam falls in alpha there."""
    softmax = softmax_hessian.conclusions()
    return {**{name: softmax[name] for name in SOFTMAX}, **layers(), "squares": completed(), "elasticity": elastic()}


def threshold_parts() -> dict[str, Statement]:
    """A direction in which the second variation over lam has the sign of alpha - K (L-1)/(L+1)."""
    return {**equal_blocks(), **witness()}


def definite_statement() -> AllOf:
    return AllOf(tuple(definite_parts().values()))


def threshold_statement() -> AllOf:
    return AllOf(tuple(threshold_parts().values()))


def _sample(rng: random.Random) -> Values:
    return dict(_drawn(rng.getrandbits(32)))


@cache  # poly asks for the same one again and again
def _drawn(seed: int) -> Values:
    rng = random.Random(seed)
    root, depth = rng.randint(1, 2), rng.randint(1, 2)
    sizes: dict[Any, Any] = {K: 4, r: 3, n: root**2, a: rng.randint(3, 4), d: rng.randint(3, 4)}
    sizes |= {L: depth, m: rng.randint(1, 3), omega: sp.Rational(1, root), kappa: rng.randint(0, 2)}
    numbers = dict(zip((s, alpha, q, t, x, excess), half_integers(rng, 6), strict=True))
    numbers[c] = numbers[alpha] / (sizes[omega] * numbers[s] ** 2)
    step = numbers[s] * numbers[c]
    half = sp.Matrix(random_matrix(rng, 3, 3))
    matrices = {symbol: sp.Matrix(random_matrix(rng, sizes[d], 3)) for symbol in (FIRST, SECOND)}
    matrices |= {symbol: sp.Matrix(random_matrix(rng, 4, 3)) for symbol in (TOP_FIRST, TOP_SECOND)}
    matrices |= {
        UPPER: orthonormal(rng, sizes[a], 3),
        LOWER: orthonormal(rng, sizes[d], 3),
        INPUTS: orthonormal(rng, 4 * sizes[n], 3),
        TOP: AXES * orthonormal(rng, 3, 3),
        DIRECTION: sp.Matrix(random_matrix(rng, sizes[a], sizes[d])),
        FEATURES: sp.Matrix(random_matrix(rng, sizes[d], 4 * sizes[n])),
        BLOCK: half + half.T,
        OWN: sp.Matrix(random_matrix(rng, 4 * sizes[n], 1)),
        e: sp.eye(4)[:, rng.randrange(4)],
    }
    across = sp.Matrix(random_matrix(rng, 4, 4 * sizes[n]))
    outside_inputs = across - across * matrices[INPUTS] * matrices[INPUTS].T
    matrices[OUTPUTS] = step * matrices[TOP_FIRST] * matrices[INPUTS].T + outside_inputs
    matrices[CURVED] = numbers[c] * matrices[TOP_SECOND] * matrices[INPUTS].T + outside_inputs
    units = sp.eye(4)
    matrices |= {symbol: units[:, i] for i, symbol in enumerate(CLASSES)} | {OTHER: sp.zeros(4, 1)}
    one, two = units[:, 0] - units[:, 1], units[:, 2] - units[:, 3]
    matrices[MODE] = numbers[q] * (one * two.T + two * one.T)
    numbers[F] = sp.Rational(rng.randint(0, 4), 2)
    return {**sizes, **numbers, **{symbol: rows_of(matrix) for symbol, matrix in matrices.items()}}


def definite_setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    return Setting(parameters, (*frames(), *top(), *variation()), _sample, (BLOCK,))


def threshold_setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    return Setting(parameters, (*frames(), *top(), *classes()), _sample, (BLOCK, MODE))


def definite(where: Setting) -> Derivation:
    parts = definite_parts()
    using = ("frame of the inputs", "scale", "logits, first order", "logits, second order", "top range")
    steps = (
        *(Step(name, parts[name], "S 1 = 0 and 1^T e = 1.", Star(("sum",))) for name in SOFTMAX),
        *layer_steps(),
        Step("squares", parts["squares"], "S = U_L U_L^T; split b into symmetric and skew parts.", Star(using)),
        Step("elasticity", parts["elasticity"], "Term by term.", Star(())),
        Step("together", definite_statement(), "The parts.", Conjunction(tuple(parts))),
    )
    return Derivation("The Hessian at neural collapse has no negative eigenvalue", where, steps)


def threshold(where: Setting) -> Derivation:
    parts = threshold_parts()
    steps = [Step(name, says, "U^T U = I.", Star(("frame", "frame below"))) for name, says in equal_blocks().items()]
    whole = Step("together", AllOf(tuple(parts.values())), "The parts.", Conjunction(tuple(parts)))
    return Derivation(
        "Below the threshold the Hessian has a negative eigenvalue", where, (*steps, *witness_steps(), whole)
    )
