"""The second variation of a deep linear model at aligned layers, from layer to layer, and its least value.

Layers W_l = s U_l U_{l-1}^T with frames U_l^T U_l = I_r, H_1 = W_0 = s U_0 J^T, and directions A_l. Up to layer l the
product of all W + t A is X + t Y + t^2 Z + ..., with X J = s^(l+1) U_l, Y J = s^l y, Z J = s^(l-1) z, where

    y' = A U + U' U^T y,  z' = A y + U' U^T z            (a prime: one layer more; A is its direction).

So b = U^T y is the sum of the blocks U_l^T A_l U_{l-1}, and c = U^T z that of the products of two of them and of those
of adjacent layers through the complement of the range. With m = l + 1 factors, F their sum of squares ||A_l||^2,

    F - 2 tr c >= ||(I - U U^T) y||^2 + (2/m) ||sym b||^2 - tr b^2,

by induction over the layers: from one layer to the next the difference grows by a sum of squares.

At neural collapse, Z = alpha S Y, the gradient in the logits is -q n^(-1/2) U_L J^T with q = 1/(e^alpha + K - 1) and
U_L U_L^T = S, cross-entropy has the Hessian (q/(Kn)) (||S dZ||^2 + kappa sum_i (s_i^T dZ_i)^2), and lam = q s^(L-1)
n^(-1/2). So the second variation is at least lam (alpha/K - (L-1)/(L+1)) ||sym b||^2, and that is attained: by equal
symmetric blocks U_L^T M U_L, where M has sum zero in each row and no diagonal, as there is one for K >= 4.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, Poly, Rewrite, Square, Star
from .proof.statement import AllOf, Equal, Nonnegative, Positive, Statement
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
alpha, q, omega, excess = (sp.Symbol(name, positive=True) for name in ("alpha", "q", "omega", "y"))
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
SQUARES = (
    Square(surplus(m, F, LOWER, FIRST, SECOND) / m, sp.Identity(m + 1)),
    Square(m + 1, (UPPER.T * DIRECTION - INNER * LOWER.T) - outside(LOWER, FIRST).T),
    Square(m + 1, CORNER),
    Square(2 / m, symmetric_part(LOWER.T * FIRST) - m * symmetric_part(INNER)),
)
START = FEATURES * INPUTS
START_SQUARES = (
    Square(1, FEATURES - START * INPUTS.T),
)


def total(squares: tuple[Square, ...]) -> sp.Expr:
    return sp.Add(*(each.weight * frobenius_squared(each.factor) for each in squares))


def layers() -> dict[str, Statement]:
    """The product with one layer more, its least second variation, where it starts, and equal symmetric blocks."""
    product = s**2 * c * LOWER + t * s * c * FIRST + t**2 * c * SECOND
    longer = s**3 * c * UPPER + t * s**2 * c * NEXT_FIRST + t**2 * s * c * NEXT_SECOND
    equal = UPPER * BLOCK * LOWER.T

    def following(symbol: Any) -> Any:
        values = {DIRECTION: equal, FIRST: m * LOWER * BLOCK, SECOND: m * (m - 1) / 2 * LOWER * BLOCK * BLOCK}
        return symbol.xreplace(values)

    return {
        "one layer more": Equal(
            (s * UPPER * LOWER.T + t * DIRECTION) * product, longer + t**3 * c * DIRECTION * SECOND
        ),
        "surplus": Nonnegative(surplus(m + 1, F + frobenius_squared(DIRECTION), UPPER, NEXT_FIRST, NEXT_SECOND)),
        "surplus of the features": Nonnegative(
            surplus(sp.S.One, frobenius_squared(FEATURES), LOWER, START, sp.ZeroMatrix(d, r))
        ),
        "equal blocks, first": Equal(following(NEXT_FIRST), (m + 1) * UPPER * BLOCK),
        "equal blocks, second": Equal(following(NEXT_SECOND), m * (m + 1) / 2 * UPPER * BLOCK * BLOCK),
        "equal blocks, squares": Equal(frobenius_squared(equal), sp.Trace(BLOCK * BLOCK)),
    }


def layer_hypotheses() -> tuple[Hypothesis, ...]:
    unit = sp.Identity(r)
    found = {"frame": UPPER, "frame below": LOWER, "frame of the inputs": INPUTS}
    return (
        *(Hypothesis(name, Equal(each.T * each, unit), "aligned layers") for name, each in found.items()),
        Hypothesis("surplus below", Nonnegative(surplus(m, F, LOWER, FIRST, SECOND) / m), "from the layer before"),
    )


def layer_steps() -> tuple[Step, ...]:
    said = layers()
    frames = ("frame", "frame below")

    def grows(name: str, squares: tuple[Square, ...], using: tuple[str, ...]) -> tuple[Step, ...]:
        goal = said[name]
        assert isinstance(goal, Nonnegative)
        return (
            Step(f"{name}: squares", Nonnegative(total(squares)), "A sum of squares.", Gram(squares)),
            Step(f"{name}: sum", Equal(total(squares), goal.scalar), "Complete the squares.", Star(using)),
            Step(name, goal, "The same.", Rewrite(f"{name}: squares", f"{name}: sum")),
        )

    return (
        Step("one layer more", said["one layer more"], "Powers of t.", Star(("frame below",))),
        *grows("surplus", SQUARES, frames),
        *grows("surplus of the features", START_SQUARES, ("frame below", "frame of the inputs")),
        *(
            Step(name, said[name], "By frames.", Star(frames))
            for name in said
            if name.startswith("equal blocks")
        ),
    )


# ---- all layers, at neural collapse
TOP = sp.MatrixSymbol("T", K, r)  # U_L
TOP_FIRST, TOP_SECOND = sp.MatrixSymbol("f", K, r), sp.MatrixSymbol("g", K, r)  # y and z
OUTPUTS, CURVED = sp.MatrixSymbol("X", K, N), sp.MatrixSymbol("Z", K, N)  # first and second order of the logits
OWN = sp.MatrixSymbol("w", N, 1)  # s_i^T X_i
S = sp.Identity(K) - ones(K) * ones(K).T / K
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


def bound() -> Nonnegative:
    """(L+1)/lam times the second variation, where alpha >= K (L-1)/(L+1)."""
    own = frobenius_squared(DiagMatrix(OWN))
    return Nonnegative((L + 1) * second_variation(OUTPUTS, CURVED, own, F))


def bound_steps() -> tuple[Step, ...]:
    block = TOP.T * TOP_FIRST
    squares = (
        Square(surplus(L + 1, F, TOP, TOP_FIRST, TOP_SECOND), sp.Identity(1)),
        Square(L + 1, outside(TOP, TOP_FIRST)),
        Square(EXCESS, symmetric_part(block)),
        Square((L + 1) * (1 + alpha / K), skew_part(block)),
        Square((L + 1) * omega / (K * c), TOP.T * (OUTPUTS - OUTPUTS * INPUTS * INPUTS.T)),
        Square((L + 1) * omega / (K * c) * kappa, DiagMatrix(OWN)),
    )
    using = ("top frame", "frame of the inputs", "scale", "first order", "second order", "top range")
    return (
        Step("bound: squares", Nonnegative(total(squares)), "A sum of squares.", Gram(squares)),
        Step("bound: sum", Equal(total(squares), bound().scalar), "S = U_L U_L^T; split b.", Star(using)),
        Step("bound", bound(), "The same.", Rewrite("bound: squares", "bound: sum")),
    )


def falling() -> Positive:
    """With e^alpha = 1 + y: psi = alpha e^alpha / (e^alpha + K - 1) exceeds (L-1)/(L+1) where lam falls in alpha."""
    return Positive((L + 1) * alpha * (1 + excess) - (L - 1) * (K + excess))


def top_hypotheses() -> tuple[Hypothesis, ...]:
    return (
        Hypothesis("scale", Equal(omega * s**2 * c, alpha), "s^(L+1) = alpha n^(1/2), c = s^(L-1)"),
        Hypothesis("top frame", Equal(TOP.T * TOP, sp.Identity(r)), "U_L"),
        Hypothesis("top range", Equal(TOP * TOP.T, S), "of rank K - 1"),
        Hypothesis("frame of the inputs", Equal(INPUTS.T * INPUTS, sp.Identity(r)), "aligned layers"),
    )


def variation_hypotheses() -> tuple[Hypothesis, ...]:
    return (
        Hypothesis("first order", Equal(OUTPUTS * INPUTS, s * c * TOP_FIRST), "X J = s^L y"),
        Hypothesis("second order", Equal(CURVED * INPUTS, c * TOP_SECOND), "Z J = s^(L-1) z"),
        Hypothesis("all layers", Nonnegative(surplus(L + 1, F, TOP, TOP_FIRST, TOP_SECOND)), "m = L + 1"),
        Hypothesis("large scale", Nonnegative(EXCESS), "alpha >= K (L-1)/(L+1)"),
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
        "symmetric": Equal(found, found.T),
        "rows": Equal(found * ones(K), sp.ZeroMatrix(K, 1)),
        "squares": Equal(frobenius_squared(found), sp.Integer(8)),
        **{f"diagonal at {each}": Equal(sp.Trace(each.T * found * each), sp.S.Zero) for each in (*CLASSES, OTHER)},
    }


def class_hypotheses() -> tuple[Hypothesis, ...]:
    units = (*CLASSES, OTHER)
    products = {
        f"{one} and {two}": Equal(sp.Trace(one.T * two), sp.Integer(int(one == two)))
        for i, one in enumerate(units)
        for two in units[i:]
        if one != OTHER
    }
    sums = {f"sum of {each}": Equal(sp.Trace(ones(K).T * each), sp.S.One) for each in CLASSES}
    units_of_classes = (Hypothesis(name, says, "unit vectors of classes") for name, says in {**products, **sums}.items())
    rows = Equal(MODE * ones(K), sp.ZeroMatrix(K, 1))
    return (Hypothesis("sum of the rows", rows, "of M, symmetric and without diagonal"), *units_of_classes)


def witness_steps() -> tuple[Step, ...]:
    said = witness()
    kept = Equal(TOP * TOP.T * MODE, MODE)
    using = ("kept", "sum of the rows", "top frame", "frame of the inputs", "scale")
    return (
        Step("kept", kept, "S M = M.", Star(("top range", "sum of the rows"))),
        Step("witness", said.pop("witness"), "F = (L+1) ||M||^2, y = (L+1) T B, z = L (L+1)/2 T B^2.", Star(using)),
        *(Step(name, says, "Unit vectors of classes.", Star()) for name, says in said.items()),
    )
