"""How flat neural collapse and pairs are as the decay vanishes: trace, Frobenius and spectral norm of the Hessian.

The larger critical scales alpha and beta are like -log lam (garrod2025/dnc-scale, garrod2025/paired-scale), so that
their ratio tends to 1. The Hessian over lam alpha, or lam beta, has eigenvalues that tend to those of the curvature of
cross-entropy at equal blocks of all layers; what is of the order of lam does not count. With w = e^alpha, or e^beta,
all is rational in w and log w, but for roots of numbers. K = 2m. (Garrod and Keating 2025, theorem 6.)

The largest eigenvalue over lam alpha tends to L + 1 for both, and at one layer to 2 + 1/(m-1) for pairs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, permutations
from typing import Any

import sympy as sp

from .derivation import Derivation, Setting, Step
from .landscape import Block, dnc_blocks, frobenius_squared, paired_blocks, trace
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Dominance, Field, Justification, Poly
from .proof.statement import AllOf, Identity, Nonnegative, Statement, Vanishing
from .symbols import n

m = sp.Symbol("m", integer=True, positive=True)
L, d = (sp.Symbol(name, integer=True, positive=True) for name in "Ld")
w = sp.Symbol("w", positive=True)
K = 2 * m


def dnc_limits(K: Any, L: Any, n: Any) -> tuple[Any, Any]:
    """Trace, and squared Frobenius norm, of the Hessian at neural collapse over lam alpha.

    Examples:
        >>> dnc_limits(4, 2, 1)
        (Fraction(15, 1), Fraction(30, 1))
    """
    return (
        _exact(2 * (K - 1) * (K * n + L * (K - 1)), K),
        _exact((K - 1) * (K**2 * (L**2 + 2 * L + n) + 2 * K * (L + n) - 4 * L), K**2),
    )


def paired_limits(K: Any, L: Any, n: Any) -> tuple[Any, Any]:
    """The same at pairs, over lam beta.

    Examples:
        >>> paired_limits(4, 2, 1)
        (Fraction(20, 1), Fraction(56, 1))
    """
    return (
        _exact(K * (2 * n + L + 1), 1),
        _exact(K * (K * (L**2 + 2 * L + 2 * n + 3) + 4), 2 * (K - 2)),
    )


def _exact(top: Any, bottom: Any) -> Any:
    return Fraction(top, bottom) if isinstance(top, int) else top / bottom


def spectral_limit(K: int, L: int) -> Fraction:
    """Of the ratio of the largest eigenvalues, neural collapse over pairs: 1 from two layers on.

    Examples:
        >>> spectral_limit(4, 1), spectral_limit(6, 2)
        (Fraction(2, 3), Fraction(1, 1))
    """
    return Fraction(L + 1) / max(Fraction(L + 1), 2 + Fraction(2, K - 2))


def ratios(K: int, L: int, n: int) -> dict[str, Callable[[int], Any]]:
    """Limits of the ratios of the norms, neural collapse over pairs, each as a function of a precision in bits.

    Examples:
        >>> found = ratios(4, 2, 1)
        >>> found["trace"](64), found["spectral"](64), round(float(found["frobenius"](64)), 6)
        (Fraction(3, 4), Fraction(1, 1), 0.731925)
    """
    import flint

    (first, second), (other_first, other_second) = dnc_limits(K, L, n), paired_limits(K, L, n)
    square = Fraction(second) / Fraction(other_second)
    roots = math.isqrt(square.numerator), math.isqrt(square.denominator)

    def root(bits: int) -> Any:
        if (roots[0] ** 2, roots[1] ** 2) == (square.numerator, square.denominator):
            return Fraction(*roots)
        return flint.arb(flint.fmpq(square.numerator, square.denominator)).sqrt()

    return {
        "trace": lambda bits: Fraction(first) / Fraction(other_first),
        "frobenius": root,
        "spectral": lambda bits: spectral_limit(K, L),
    }


def _grown() -> dict[str, list[Block]]:
    """The blocks in w = e^scale; of pairs those for L >= 2."""
    scale = sp.log(w)
    return {
        "neural collapse": dnc_blocks(K, L, d, n, scale, w / (w + K - 1), sp.sqrt),
        "pairs": paired_blocks(m, L, d, n, scale, 1 / w, sp.sqrt),
    }


LEAST = 1 / (m - 1)
# limits of the blocks that grow, over log w, in their order
DNC_LIMITS: list[list[list[Any]]] = [
    [[1 / K]],
    [[sp.S.One]],
    [[(L + 1) / K]],
    [[L + 1]],
    [[(L + 1) / K]],
    [[(L + 1) * (K - 1) / K, sp.sqrt((L + 1) * (K - 2)) / K], [sp.sqrt((L + 1) * (K - 2)) / K, 2 / K]],
]
_ROOT = sp.sqrt(m - 1)
PAIRED_LIMITS: list[list[list[Any]]] = [
    [[LEAST]],
    [[sp.S.One]],
    [[(L + 1) * LEAST]],
    [[(L + 1) * LEAST]],
    [[L + 1]],
    [[LEAST]],
    [[LEAST]],
    [
        [1 + LEAST, sp.S.One, LEAST * _ROOT],
        [sp.S.One, LEAST + (m - 2) / m, (m - 2) / m * LEAST * _ROOT],
        [LEAST * _ROOT, (m - 2) / m * LEAST * _ROOT, LEAST + (m - 2) / m * LEAST],
    ],
]


def _growing() -> dict[str, list[tuple[Block, list[list[Any]]]]]:
    """The blocks that grow, with how often they occur, and their limits."""
    limits = {"neural collapse": DNC_LIMITS, "pairs": PAIRED_LIMITS}
    return {
        name: list(
            zip((each for each in blocks if w in getattr(each[0][0][0], "free_symbols", ())), limits[name], strict=True)
        )
        for name, blocks in _grown().items()
    }


def _root(limit: Any) -> Any:
    """Its factors that are square roots."""
    factors: tuple[Any, ...] = sp.Mul.make_args(limit)
    return sp.Mul(*(each for each in factors if each.is_Pow and abs(each.exp) == sp.Rational(1, 2)))


def entries() -> dict[str, Statement]:
    """Every entry over log w tends to its limit, without their common root; nu, of L = 1, does not grow."""
    found: dict[str, Statement] = {"one layer": Vanishing(K / (2 / w + K - 2) / sp.log(w), w)}
    for name, blocks in _growing().items():
        for number, ((rows, _), limits) in enumerate(blocks, 1):
            for i, j in combinations_with_replacement(range(len(rows)), 2):
                root = _root(limits[i][j])
                says = Vanishing(rows[i][j] / root / sp.log(w) - limits[i][j] / root, w)
                found[f"{name}, block {number}, {i + 1} {j + 1}"] = says
    return found


def norms() -> dict[str, Statement]:
    """Trace and squared Frobenius norm of the limits, of as many blocks as there are."""
    closed = {"neural collapse": dnc_limits(K, L, n), "pairs": paired_limits(K, L, n)}
    found: dict[str, Statement] = {}
    for name, blocks in _growing().items():
        limits: list[Block] = [(rows, count) for (_, count), rows in blocks]
        for norm, total, value in zip(
            ("trace", "norm"), (trace(limits), frobenius_squared(limits)), closed[name], strict=True
        ):
            found[f"{norm}, {name}"] = Identity(total, value, w)
    return found


def _coefficients(rows: list[list[Any]]) -> list[Any]:
    """Sums of the principal minors of one, two, ... rows."""

    def minor(pick: tuple[int, ...]) -> Any:
        terms: list[Any] = []
        for order in permutations(range(len(pick))):
            odd = sum(order[i] > order[j] for i, j in combinations(range(len(pick)), 2)) % 2
            terms.append((-1) ** odd * sp.Mul(*(rows[pick[i]][pick[j]] for i, j in enumerate(order))))
        return sp.Add(*terms)

    sizes = range(1, len(rows) + 1)
    return [sp.Add(*(minor(pick) for pick in combinations(range(len(rows)), size))) for size in sizes]


def largest() -> dict[str, Statement]:
    """Of pairs the larger block has 0, 1/(m-1) and 2 + 1/(m-1); nothing else exceeds L + 1, which both have."""
    pairs = zip(_coefficients(PAIRED_LIMITS[-1]), (2 + 2 * LEAST, LEAST * (2 + LEAST), sp.S.Zero), strict=True)
    found: dict[str, Statement] = {
        f"coefficient {i}": Identity(each, value, w) for i, (each, value) in enumerate(pairs, 1)
    }
    rows = [each for each in (*DNC_LIMITS[:-1], *PAIRED_LIMITS[:-1]) if each != [[L + 1]]]
    singles = list(dict.fromkeys(each[0][0] for each in rows))
    found |= {f"at most L + 1, {i}": Nonnegative(L + 1 - each) for i, each in enumerate(singles, 1)}
    total, product = _coefficients(DNC_LIMITS[-1])
    found["sum of the two"] = Nonnegative(2 * (L + 1) - total)
    return found | {"product of the two": Nonnegative((L + 1) ** 2 - (L + 1) * total + product)}


def statement() -> AllOf:
    return AllOf((*entries().values(), *norms().values(), *largest().values()))


def setting(parameters: Mapping[sp.Symbol, Range]) -> Setting:
    def sample(rng: random.Random) -> Values:
        pairs = rng.randint(2, 4)
        return {m: pairs, L: rng.randint(1, 3), d: 2 * pairs, n: rng.randint(1, 3), w: rng.randint(2, 9)}

    return Setting(parameters, (), sample)


def limits_of_norms(where: Setting) -> Derivation:
    rules: dict[type[Statement], tuple[Justification, str]] = {
        Vanishing: (Dominance(), "The softmax tends to 1 or 0, and what is bounded does not count."),
        Identity: (Field(), "Add up the limits."),
        Nonnegative: (Poly(), "m >= 2 and L >= 1."),
    }
    said = {**entries(), **norms(), **largest()}
    steps = [Step(name, says, rules[type(says)][1], rules[type(says)][0]) for name, says in said.items()]
    names = tuple(step.name for step in steps)
    steps.append(Step("together", statement(), "The parts.", Conjunction(names)))
    return Derivation("Flatness of neural collapse and of pairs", where, tuple(steps))
