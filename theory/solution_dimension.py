"""How many balanced factors there are of one matrix of logits: their set is a product of Stiefel manifolds.

Balanced factors of Z = T S^(L+1) J^T (T^T T = J^T J = I_r, S diagonal and invertible) are, by alignment,

    W_L = T S U_{L-1}^T,  W_l = U_l S U_{l-1}^T,  H_1 = U_0 S J^T,  U_l^T U_l = I_r,  U_l in R^(d x r),

with one fixed choice of T and J: another one is T R, J R with an orthogonal R that commutes with S, and leads to the
same factors with U_l R^T. U_0, ..., U_{L-1} are free and can be read off the factors. So the dimension is L times that
of the Stiefel manifold, r (d - r) + r (r-1)/2 = r d - r (r+1)/2, whether singular values are equal or not. (Garrod and
Keating 2025, theorem 5, count r d - r^2 where all are equal: subspaces instead of frames.)
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, N, half_integers, orthonormal, rows_of
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Poly, Star
from .proof.statement import AllOf, Equal, Invertible, Nonnegative, Positive, Statement
from .symbols import frobenius_squared

d, r = (sp.Symbol(name, integer=True, positive=True) for name in "dr")
classes = sp.Symbol("k", integer=True, positive=True)  # K, in what compares dimensions
rank = sp.Symbol("rho", integer=True, positive=True)  # of other logits, below K - 1
width = sp.Symbol("w", integer=True, positive=True)  # d, where K <= d
VALUES = sp.MatrixSymbol("S", r, r)  # symmetric
LEFT, RIGHT = sp.MatrixSymbol("T", K, r), sp.MatrixSymbol("J", N, r)
UPPER, LOWER = sp.MatrixSymbol("U", d, r), sp.MatrixSymbol("V", d, r)  # of one layer and of the one below
POWER = sp.MatrixSymbol("P", r, r)  # a power of S
TURN = sp.MatrixSymbol("R", r, r)
TANGENT, NORMAL = sp.MatrixSymbol("X", d, r), sp.MatrixSymbol("M", d, r)
SKEW = sp.MatrixSymbol("Omega", r, r)


def stiefel_dimension(r: Any, d: Any) -> Any:
    """r (d - r) + r (r-1)/2: of the d x r matrices with orthonormal columns.

    Examples:
        >>> stiefel_dimension(1, 3), stiefel_dimension(2, 3), stiefel_dimension(3, 3)
        (2, 3, 3)
    """
    if isinstance(r, int) and isinstance(d, int):
        return r * (d - r) + r * (r - 1) // 2
    return r * (d - r) + r * (r - 1) / 2


def dimension(L: int, d: int, r: int) -> int:
    """Of the set of balanced factors of logits of rank r: L weight layers of width d, and the features."""
    return L * stiefel_dimension(r, d)


def ratio(K: int, d: int, r: int) -> Fraction:
    """That of neural collapse over that of logits of rank r.

    Examples:
        >>> ratio(4, 4, 2), ratio(4, 10**6, 2) < Fraction(3, 2)
        (Fraction(6, 5), True)
    """
    return Fraction(stiefel_dimension(K - 1, d), stiefel_dimension(r, d))


# ---- the factors
def layer(upper: Any, lower: Any) -> MatrixExpr:
    """The layer between two frames; the features are that of U_0 and J."""
    return upper * VALUES * lower.T


def parametrisation() -> dict[str, Statement]:
    inverse = VALUES.inv()
    inner, features = layer(UPPER, LOWER), layer(LOWER, RIGHT)
    turned = {name: frame * TURN.T for name, frame in {"U": UPPER, "V": LOWER}.items()}
    return {
        "product": Equal(inner * (LOWER * POWER * RIGHT.T), UPPER * (VALUES * POWER) * RIGHT.T),
        "balance": Equal(layer(LEFT, UPPER).T * layer(LEFT, UPPER), inner * inner.T),
        "frame of the features": Equal(features * RIGHT * inverse, LOWER),
        "frame of a layer": Equal(inner * LOWER * inverse, UPPER),
        "last layer, turned": Equal(layer(LEFT * TURN, UPPER), layer(LEFT, turned["U"])),
        "layer, turned": Equal(inner, layer(turned["U"], turned["V"])),
        "features, turned": Equal(layer(LOWER, RIGHT * TURN), layer(turned["V"], RIGHT)),
    }


def tangents() -> dict[str, Statement]:
    """X is a velocity of U exactly where it is U Omega + M, Omega skew and U^T M = 0."""
    turn, rest = UPPER.T * TANGENT, TANGENT - UPPER * UPPER.T * TANGENT
    zero = sp.ZeroMatrix(r, r)
    moved = UPPER * SKEW + NORMAL
    return {
        "skew part": Equal(turn + turn.T, zero),
        "normal part": Equal(UPPER.T * rest, zero),
        "together a velocity": Equal(sp.MatAdd(UPPER * turn, rest), TANGENT),
        "velocity": Equal(UPPER.T * moved + moved.T * UPPER, zero),
        "apart": Equal(frobenius_squared(UPPER * SKEW + NORMAL), frobenius_squared(SKEW) + frobenius_squared(NORMAL)),
    }


def comparison() -> dict[str, Statement]:
    """Of D(K-1, d) / D(r, d): more than 1 for d >= K and r < K - 1, increasing in d, by D to its limit (K-1)/r."""
    collapse, other = stiefel_dimension(classes - 1, width), stiefel_dimension(rank, width)
    wider = [stiefel_dimension(each, width + 1) for each in (classes - 1, rank)]
    left = rank * (classes - 1) * (classes - 1 - rank) / 2
    return {
        "positive": Positive(other),
        "larger": Positive(collapse - other),
        "increasing": Positive(wider[0] * other - collapse * wider[1]),
        "limit": Equal((classes - 1) * other - rank * collapse, left),
    }


def hypotheses() -> tuple[Hypothesis, ...]:
    unit = sp.Identity(r)
    frames = {"left singular vectors": LEFT, "right singular vectors": RIGHT, "frame": UPPER, "frame below": LOWER}
    return (
        *(Hypothesis(name, Equal(each.T * each, unit), "orthonormal columns") for name, each in frames.items()),
        Hypothesis("singular values", Invertible(VALUES), "none is zero"),
        Hypothesis("turn", Equal(TURN.T * TURN, unit), "orthogonal"),
        Hypothesis("turn keeps", Equal(TURN * VALUES, VALUES * TURN), "another choice of singular vectors"),
        Hypothesis("tangent", Equal(UPPER.T * TANGENT + TANGENT.T * UPPER, sp.ZeroMatrix(r, r)), "a velocity of U"),
        Hypothesis("skew", Equal(SKEW + SKEW.T, sp.ZeroMatrix(r, r)), "any skew matrix"),
        Hypothesis("normal", Equal(UPPER.T * NORMAL, sp.ZeroMatrix(r, r)), "any matrix normal to the range of U"),
        Hypothesis("lower rank", Nonnegative(classes - 2 - rank), "than neural collapse"),
        Hypothesis("wide", Nonnegative(width - classes), "the width is at least K"),
    )


def conclusions() -> dict[str, Statement]:
    return {**parametrisation(), **tangents(), **comparison()}


def statement() -> AllOf:
    return AllOf(tuple(conclusions().values()))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        count = rng.choice((1, 2, 2, 2, 6))  # 6 is more than the numbers that are compared
        equal = count > 2 or rng.random() < 0.5
        sizes = {r: count, K: max(count, 3) + rng.randint(0, 1), N: max(count, 4), d: count + rng.randint(0, 1)}
        numbers = half_integers(rng, 2)
        singular = sp.diag(*(numbers[:1] * count if equal else numbers[:count]))
        first, second = (orthonormal(rng, count, count) for _ in range(2))  # each of them may be symmetric
        turn = first * second if equal else sp.diag(*[-1] * count)
        upper = orthonormal(rng, sizes[d], count)
        skew = sp.Matrix(count, count, lambda i, j: sp.sign(j - i))
        normal = (sp.eye(sizes[d]) - upper * upper.T) * sp.ones(sizes[d], count)
        matrices = {
            VALUES: singular,
            POWER: singular ** rng.randint(0, 2),
            LEFT: orthonormal(rng, sizes[K], count),
            RIGHT: orthonormal(rng, sizes[N], count),
            UPPER: upper,
            LOWER: orthonormal(rng, sizes[d], count),
            TURN: turn,
            TANGENT: upper * skew * numbers[0] + normal,
            SKEW: skew,
            NORMAL: normal,
        }
        number = 3 + rng.randint(0, 1)
        values: dict[Any, Any] = {**sizes, classes: number, rank: rng.randint(1, number - 2)}
        values[width] = number + rng.randint(0, 2)
        return values | {name: rows_of(matrix) for name, matrix in matrices.items()}

    return Setting(parameters, hypotheses(), sample, (VALUES,))


def balanced_factors(where: Setting) -> Derivation:
    """The frames parametrise the factors; the velocities of a frame; and the dimensions compared."""
    turned = ("turn", "turn keeps")
    rules = {
        "product": (Star(("frame below",)), "U_{l-1}^T U_{l-1} = I."),
        "balance": (Star(("left singular vectors", "frame below")), "Both are U S^2 U^T."),
        "frame of the features": (Star(("right singular vectors",)), "J^T J = I, and S has an inverse."),
        "frame of a layer": (Star(("frame below",)), "The same."),
        "last layer, turned": (Star(turned), "R S = S R."),
        "layer, turned": (Star(turned), "R^T S R = S."),
        "features, turned": (Star(turned), "R S = S R."),
        "skew part": (Star(("tangent",)), "What a velocity is."),
        "normal part": (Star(("frame",)), "U^T U = I."),
        "together a velocity": (Star(()), "Term by term."),
        "velocity": (Star(("frame", "skew", "normal")), "U^T U = I."),
        "apart": (Star(("frame", "normal")), "The two parts are orthogonal."),
        "positive": (Poly(("lower rank", "wide")), "r < K <= d."),
        "larger": (Poly(("lower rank", "wide")), "With r < K - 1 <= d - 1 the dimension increases in r."),
        "increasing": (Poly(("lower rank", "wide")), "It is r (K-1) (K-1-r) / 2."),
        "limit": (Star(()), "Term by term."),
    }
    steps = [Step(name, says, rules[name][1], rules[name][0]) for name, says in conclusions().items()]
    names = tuple(step.name for step in steps)
    return Derivation(
        "The set of balanced factors of one matrix of logits",
        where,
        (*steps, Step("together", statement(), "The parts.", Conjunction(names))),
    )


# ---- Garrod and Keating 2025, theorem 5, at neural collapse of three classes
scale = sp.Symbol("s", positive=True)
CLASSES = 3
PAIR = tuple(sp.MatrixSymbol(name, CLASSES, CLASSES) for name in "WH")
GENERATORS = tuple(sp.MatrixSymbol(name, CLASSES, CLASSES) for name in "ABC")


def dependent() -> Equal:
    """By the theorem the set of W and H has dimension 2: three velocities (W A, -A H) have a Gram determinant of 0."""
    weights, features = PAIR

    def product(one: Any, other: Any) -> sp.Expr:
        return sp.Trace(weights * one * other.T * weights.T) + sp.Trace(one * features * features.T * other.T)

    gram = sp.Matrix(CLASSES, CLASSES, lambda i, j: product(GENERATORS[i], GENERATORS[j]))
    return Equal(gram.det(method="berkowitz"), sp.S.Zero)


def three_classes(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    """K = d = 3, L = n = 1: balanced W and H of neural collapse, and three skew matrices."""
    weights, features = PAIR
    zero = sp.ZeroMatrix(CLASSES, CLASSES)
    simplex = sp.Identity(CLASSES) - sp.OneMatrix(CLASSES, CLASSES) / CLASSES
    basis = [sp.zeros(CLASSES) for _ in GENERATORS]
    for number, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        basis[number][i, j], basis[number][j, i] = 1, -1

    def sample(rng: random.Random) -> Values:
        (size,) = half_integers(rng, 1)
        turn = orthonormal(rng, CLASSES, CLASSES)
        flat = sp.eye(CLASSES) - sp.ones(CLASSES, CLASSES) / CLASSES
        values: dict[Any, Any] = {weights: rows_of(size * flat * turn.T), features: rows_of(size * turn * flat)}
        return values | {name: rows_of(each) for name, each in zip(GENERATORS, basis, strict=True)} | {scale: size}

    given = (
        Hypothesis("logits", Equal(weights * features, scale**2 * simplex), "neural collapse, alpha = s^2"),
        Hypothesis("balance", Equal(weights.T * weights, features * features.T), "critical, hence balanced"),
        *(Hypothesis(f"skew {each}", Equal(each + each.T, zero), "a generator of rotations") for each in GENERATORS),
    )
    return Setting(parameters, given, sample)
