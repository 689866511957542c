"""The scalar problem of deep linear models: minimise g_b(x) = 1/(1 + x^M) + b x over x >= 0 (Dang et al. 2023).

    beta_M = (M-1)^((M-1)/M) / M,  0^0 = 1:    (M beta_M)^M = (M-1)^(M-1).

Above the threshold beta_M the minimiser is 0, where g_b = 1; below it is the larger root of the stationarity equation

    M x^(M-1) = b (1 + x^M)^2,

the one with x^M >= M - 1; at b = beta_M both are, if M >= 2 (they are one if M = 1). For M = 1 the root is
b^(-1/2) - 1. A positive root alone says nothing: it exists up to the `fold` beyond the threshold too.

In log x the logarithm of the left side over the right one is concave, and right of x^M = M - 1 its slope lies between
-(M+1) and -(M-1): Newton's method from above the root descends to it monotonically.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Poly, Rewrite, Root, Star, WeightedMeans
from .proof.statement import AllOf, Equal, Nonnegative, Positive
from .rounding import check_digits, decimal_string

if TYPE_CHECKING:
    import flint

Array = NDArray[np.float64]
Signs = NDArray[np.int8]
Number: TypeAlias = int | float | Fraction
Enclosure: TypeAlias = tuple[Fraction, Fraction]  # lower and upper end; equal where the number is known exactly

# Newton's error in M log x is at most the square of its last step there, so below 2^-27 nothing is left to gain.
LAST_STEP = 2.0**-28
MOST_STEPS = 100  # seen: at most 9, for b of all magnitudes and M up to 10^6
# Rounding moves M log(M b) - (M-1) log(M-1) by less than this times M (|log(M b)| + log M); closer is decided exactly.
UNDECIDED = 1e-14
MOST_QUOTIENTS = 200  # of the continued fraction of a rational number that is recognised as one
MOST_BITS = 2**22  # of the precision that a certified digit may ask for


class Stats(NamedTuple):
    """Newton steps taken, and the largest change of M log x that the last one made."""

    steps: int
    last_step: float


class Solution(NamedTuple):
    """``value`` is the minimiser, ``tie`` where 0 is another one, ``stats`` how good it is.

    What rests on ``did not converge`` is open.
    """

    value: Array
    tie: NDArray[np.bool_]
    result: Literal["converged", "did not converge"]
    stats: Stats

    @property
    def converged(self) -> bool:
        return self.result == "converged"


def check_depth(depth: object) -> None:
    """ValueError unless M is an integer from 1 to 2^31."""
    if not isinstance(depth, int) or isinstance(depth, bool) or not 1 <= depth <= 2**31:
        raise ValueError(f"expected the depth M to be an integer from 1 to 2^31, got {depth!r}")


def threshold(depth: int) -> float:
    """beta_M = (M-1)^((M-1)/M) / M.

    Raises:
        ValueError: unless M is an integer from 1.

    Examples:
        >>> threshold(1), threshold(2), round(threshold(3), 12)
        (1.0, 0.5, 0.529133683989)
    """
    check_depth(depth)
    if depth == 1:
        return 1.0
    return (depth - 1) / depth * math.exp(-math.log(depth - 1) / depth)


def fold(depth: int) -> float:
    """The largest b with a stationary point x > 0: the maximum of M x^(M-1)/(1 + x^M)^2, where the two roots meet.

        ((M+1)^2 / (4 M)) ((M-1)/(M+1))^((M-1)/M),   0^0 = 1,   at   x^M = (M-1)/(M+1).

    For beta_M < b < fold the larger root is a local minimum of g_b, with a value above that of the global one at 0. One
    layer has none: beta_1 is its fold, at x = 0, a supremum only.

    Raises:
        ValueError: unless M is an integer from 1.

    Examples:
        >>> fold(1), round(fold(2), 12), round(fold(3), 12)
        (1.0, 0.649519052838, 0.839947366597)
    """
    check_depth(depth)
    if depth == 1:
        return 1.0
    rest = math.exp((depth - 1) / depth * math.log1p(-2 / (depth + 1)))
    return (depth + 1) ** 2 / (4 * depth) * rest


def compare_power(power: Fraction, depth: int) -> int:
    """The sign of b - beta_M, exactly, from the rational number b^M.

    Examples:
        >>> compare_power(Fraction(4, 27), 3), compare_power(Fraction(4, 26), 3), compare_power(Fraction(1, 4), 2)
        (0, 1, 0)
    """
    check_depth(depth)
    left, right = depth**depth * power.numerator, (depth - 1) ** (depth - 1) * power.denominator
    return (left > right) - (left < right)


def compare(b: Number, depth: int) -> int:
    """The sign of b - beta_M, exactly: of (M b)^M against (M-1)^(M-1). A float is the binary fraction that it is.

    Raises:
        ValueError: unless 0 < b < inf and M is an integer from 1.

    Examples:
        >>> compare(Fraction(1, 2), 2), compare(Fraction(1, 2) + Fraction(1, 10**40), 2), compare(0.52, 3)
        (0, 1, -1)
    """
    check_depth(depth)
    if not 0 < b < math.inf:
        raise ValueError(f"expected a finite number b > 0, got {b}")
    exact = Fraction(b)
    if depth <= 2:
        return compare_power(exact**depth, depth)
    # beta_M is irrational from M = 3 on: M - 1 and M have no common factor, so (M-1)^(M-1) is the M-th power of a
    # rational only if M - 1 is one of an integer, and M - 1 < 2^M. So some precision separates it from b.
    import flint

    bits = 64 + exact.denominator.bit_length()
    while True:
        with flint.ctx.workprec(bits):
            gap = depth * (depth * _ball(exact)).log() - (depth - 1) * flint.arb(depth - 1).log()
            if gap > 0:
                return 1
            if gap < 0:
                return -1
        bits *= 2


def compared(b: Array, depth: int) -> Signs:
    """`compare` of every b: by logarithms where they decide, else exactly."""
    with np.errstate(divide="ignore"):
        logs = np.log(b) + math.log(depth)
    gap = depth * logs - ((depth - 1) * math.log(depth - 1) if depth > 1 else 0.0)
    signs = np.sign(gap).astype(np.int8)
    bound = UNDECIDED * depth * (np.abs(logs) + 2 * math.log(depth) + 1)
    close = np.flatnonzero(np.isfinite(gap) & (np.abs(gap) <= bound))
    known: dict[float, int] = {}
    for index in close:
        number = float(b.flat[index])
        if number not in known:
            known[number] = compare(number, depth)
        signs.flat[index] = known[number]
    return signs


def minimiser(b: ArrayLike, depth: int, signs: Signs | None = None) -> Solution:
    """argmin of 1/(1 + x^M) + b x over x >= 0, for every b, in float64.

    Each to a few units in the last place, for b from 1e-300 to 1e300. At b = beta_M the larger of the two minimisers,
    with ``tie`` set. ``signs`` replaces the exact comparison of b with beta_M, for a caller who knows more than the
    floats b say.

    Raises:
        ValueError: unless all 0 < b <= inf and M is an integer from 1.

    Examples:
        >>> solution = minimiser([0.1, 0.5, 0.51], depth=2)
        >>> [f"{x:.12f}" for x in solution.value], solution.tie.tolist(), solution.result
        (['2.449279664126', '1.000000000000', '0.000000000000'], [False, True, False], 'converged')
        >>> minimiser([0.25, 1.0, 2.0], depth=1).value.tolist()
        [1.0, 0.0, 0.0]
    """
    check_depth(depth)
    values = np.asarray(b, np.float64)
    if not bool(np.all(values > 0)):
        raise ValueError("expected numbers b > 0")
    sides = compared(values, depth) if signs is None else np.broadcast_to(signs, values.shape)
    below = sides <= 0
    found, stats = _roots(values[below], depth)
    x = np.zeros(values.shape)
    x[below] = found
    converged = stats.last_step <= LAST_STEP
    tie = (sides == 0) & (depth > 1)
    return Solution(x, tie, "converged" if converged else "did not converge", stats)


def _roots(b: Array, depth: int) -> tuple[Array, Stats]:
    """The larger root for b <= beta_M, or where rounding has put b a little beyond, by Newton's method in log x."""
    if depth == 1:
        root = np.sqrt(b)
        return np.maximum((1 - b) / (root * (1 + root)), 0.0), Stats(0, 0.0)
    lowest = math.exp(math.log(depth - 1) / depth)
    if not b.size:
        return b, Stats(0, 0.0)
    # x^(M+1) < M/b at the root, and x^M >= M - 1
    log_x = (math.log(depth) - np.log(b)) / (depth + 1)
    x = np.maximum(np.exp(log_x), lowest)
    last, steps = math.inf, 0
    half, rest = (depth + 1) // 2, depth + 1 - (depth + 1) // 2
    while last > LAST_STEP and steps < MOST_STEPS:
        inverse = x ** float(-depth)
        ratio = (b * x ** float(half)) * x ** float(rest) * (1 + inverse) ** 2 / depth  # right over left side
        slope = (depth + 1) - 2 * depth * inverse / (1 + inverse)
        step = np.log(ratio) / slope
        moved = np.maximum(x * np.exp(-step), lowest)
        last = float(np.max(np.abs(moved - x) / x)) * depth
        x, steps = moved, steps + 1
    return x, Stats(steps, last)


def value(x: ArrayLike, b: ArrayLike, depth: int) -> Array:
    """g_b(x) = 1/(1 + x^M) + b x; 1 at x = 0 whatever b is.

    Examples:
        >>> value([0.0, 1.0], 0.5, depth=2).tolist()
        [1.0, 1.0]
    """
    at, slope = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(b, np.float64))
    with np.errstate(over="ignore"):
        linear = np.where(at == 0, 0.0, np.where(at == 0, 1.0, slope) * at)
        return np.asarray(1 / (1 + at ** float(depth)) + linear)


# ------------------------------------------------------------------------------------------------ certified digits


def _ball(x: Fraction) -> flint.arb:
    import flint

    return flint.arb(flint.fmpq(x.numerator, x.denominator))


def _fraction(x: flint.arb) -> Fraction:
    exact = x.fmpq()
    return Fraction(int(exact.p), int(exact.q))


def _simplest(low: Fraction, high: Fraction) -> Fraction | None:
    """The fraction of least denominator in the interval (Stern and Brocot), unless its expansion is long."""
    quotients: list[int] = []
    while math.ceil(low) > high:
        whole = math.floor(low)
        quotients.append(whole)
        if len(quotients) > MOST_QUOTIENTS:
            return None
        low, high = 1 / (high - whole), 1 / (low - whole)
    found = Fraction(math.ceil(low))
    for whole in reversed(quotients):
        found = whole + 1 / found
    return found


def _exact_or(low: Fraction, high: Fraction, holds: Callable[[Fraction], bool]) -> Enclosure:
    """The number itself if it is the simplest fraction of its enclosure, by an exact test."""
    candidate = _simplest(low, high)
    return (candidate, candidate) if candidate is not None and holds(candidate) else (low, high)


def enclosed_root(power: Fraction, depth: int, bits: int) -> Enclosure:
    """b from b^M: two numbers, 2^-bits of it apart, with b between them; the same twice if b is rational.

    Examples:
        >>> enclosed_root(Fraction(8, 27), 3, 64)
        (Fraction(2, 3), Fraction(2, 3))
    """
    import flint

    with flint.ctx.workprec(bits + 32):
        root = _ball(power).root(depth)
        low, high = _fraction(root.lower()), _fraction(root.upper())
    if not low > 0:
        return enclosed_root(power, depth, 2 * bits)
    return _exact_or(low, high, lambda b: _is_power(b, power, depth))


def _is_power(b: Fraction, power: Fraction, depth: int) -> bool:
    size = (b.numerator.bit_length() + b.denominator.bit_length() - 2) * depth
    # b^M has at least so many bits, so that a candidate far too long need not be raised to the power
    if size > power.numerator.bit_length() + power.denominator.bit_length():
        return False
    return b**depth == power


def enclosed_minimiser(power: Fraction, depth: int, bits: int) -> Enclosure:
    """The minimiser for b = power^(1/M): two numbers with it between them, by certified signs, some 2^-bits apart.

    Both are the minimiser itself where that is rational. The larger one at b = beta_M.

    Examples:
        >>> enclosed_minimiser(Fraction(1, 4), 2, 64), enclosed_minimiser(Fraction(1), 2, 64)
        ((Fraction(1, 1), Fraction(1, 1)), (Fraction(0, 1), Fraction(0, 1)))
    """
    import flint

    sign = compare_power(power, depth)
    if sign > 0 or (sign == 0 and depth == 1):
        return Fraction(0), Fraction(0)
    working = bits + 64 + depth.bit_length()
    with flint.ctx.workprec(working):
        goal = _ball(power).log() / depth - flint.arb(depth).log()

        def residual(x: flint.arb) -> flint.arb:
            """log of b (1 + x^M)^2 / (M x^(M-1)), increasing right of the root's lower neighbour."""
            return goal + 2 * (1 + x**-depth).log() + (depth + 1) * x.log()

        log_x = -goal / (depth + 1)
        for _ in range(MOST_STEPS + bits.bit_length()):
            log_x = log_x.mid()
            inverse = (-depth * log_x).exp()
            slope = (depth + 1) - 2 * depth * inverse / (1 + inverse)
            if not slope > 0:
                break
            step = ((goal + 2 * (1 + inverse).log() + (depth + 1) * log_x) / slope).mid()
            log_x = log_x - step
            if abs(step) < flint.arb(2) ** -(bits // 2 + 4):
                break
        x = log_x.exp().mid()
        for spare in (0, 16, 32, 48):
            width = flint.arb(2) ** (spare - bits)
            lower, upper = (x * (1 - width)).mid(), (x * (1 + width)).mid()
            if residual(lower) < 0 and residual(upper) > 0:
                return _exact_or(_fraction(lower), _fraction(upper), lambda r: _is_root(r, power, depth))
    return enclosed_minimiser(power, depth, 2 * bits)


def _is_root(x: Fraction, power: Fraction, depth: int) -> bool:
    if depth > 64 or x.denominator.bit_length() > 4096:  # a rational root of such height is not looked for
        return False
    return (depth * x ** (depth - 1)) ** depth == power * (1 + x**depth) ** (2 * depth)


def rounded_all(enclosures: Callable[[int], dict[str, Any]], digits: int) -> dict[str, Any]:
    """Correctly rounded decimals of numbers, and lists of them, each given by enclosures at any precision in bits.

    Raises:
        ArithmeticError: if a number is not told from a tie of the rounding with 2^22 bits: then it is one, by all odds.
    """
    check_digits(digits)
    bits = 4 * digits + 64
    found: dict[str, Any] = {}
    while bits <= MOST_BITS:
        pending = False
        for name, given in enclosures(bits).items():
            many = isinstance(given, list)
            texts = [_rounded(each, digits) for each in (given if many else [given])]
            pending = pending or None in texts
            found[name] = texts if many else texts[0]
        if not pending:
            return found
        bits *= 2
    raise ArithmeticError("a value lies too close to a tie of the rounding")


def _rounded(ends: Enclosure, digits: int) -> str | None:
    lower, upper = (decimal_string(end, digits) for end in ends)
    return lower if lower == upper else None


def certified(b: Fraction, depth: int, digits: int) -> dict[str, str]:
    """Minimiser ``x`` and ``threshold`` beta_M for an exact b, correctly rounded to ``digits`` significant digits.

    Raises:
        ValueError: unless b > 0, M is an integer from 1 and digits one from 1 to 10000.

    Examples:
        >>> certified(Fraction(1, 10), 2, 25)
        {'x': '2.449279664126029378545506', 'threshold': '0.5000000000000000000000000'}
        >>> certified(Fraction(1, 2), 2, 5)["x"], certified(Fraction(10), 2, 5)["x"]
        ('1.0000', '0')
    """
    check_depth(depth)
    if not b > 0:
        raise ValueError(f"expected a number b > 0, got {b}")
    power = Fraction(b) ** depth
    edge = Fraction((depth - 1) ** (depth - 1), depth**depth)
    return rounded_all(
        lambda bits: {
            "x": enclosed_minimiser(power, depth, bits),
            "threshold": enclosed_root(edge, depth, bits),
        },
        digits,
    )


# ------------------------------------------------------------------------------------------------------ derivation

M = sp.Symbol("M", integer=True, positive=True)
x = sp.Symbol("x", positive=True)
b = sp.Symbol("b", positive=True)


def above_threshold(
    relation: type[Positive] | type[Nonnegative],
    slope: Any = b,
    at: sp.Symbol = x,
    value: Any = None,
    names: str = "",
    given: str | None = None,
) -> tuple[Step, ...]:
    """g(x) - 1 is positive (nonnegative) if (M slope)^M - (M-1)^(M-1) is: the hypothesis or earlier step ``given``.

    ``at`` stands in for x, ``value`` for g(x) = 1/(1 + x^M) + slope x; ``names`` goes before the names of the steps.
    """
    power = at**M
    objective = 1 / (1 + power) + slope * at if value is None else value
    powers, root = f"{names}powers", f"{names}root"
    return (
        Step(
            f"{names}means",
            Nonnegative((M - 1) ** (M - 1) * (1 + power) ** M - M**M * power ** (M - 1)),
            "The weighted means of x^M/(M-1), M - 1 times, and 1, once.",
            WeightedMeans(((M - 1, power), (1, 1))),
        ),
        Step(
            powers,
            relation((slope * (1 + power)) ** M - (at ** (M - 1)) ** M),
            "Insert (M-1)^(M-1), which is at most M^M times the M-th power of the slope.",
            Poly(using=None if given is None else (f"{names}means", given)),
        ),
        Step(
            root,
            relation(slope * (1 + power) - at ** (M - 1)),
            "Take M-th roots.",
            Root(powers, slope * (1 + power), at ** (M - 1), M),
        ),
        Step(f"{names}value", relation(objective - 1), "Multiply by x/(1 + x^M).", Poly(using=(root,))),
    )


@dataclass(frozen=True)
class ScalarProblem:
    """g_b, a root r of its stationarity equation with r^M >= M - 1, the threshold beta, and the point where it is met.

    ``excess`` is any positive number: beta + excess is any b above the threshold.
    """

    root: sp.Symbol
    threshold: sp.Symbol
    other: sp.Symbol
    excess: sp.Symbol

    def objective(self, at: sp.Expr, slope: sp.Expr) -> sp.Expr:
        return 1 / (1 + at**M) + slope * at

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        r, beta, s = self.root, self.threshold, self.other
        return (
            Hypothesis("stationary", Equal(b, M * r ** (M - 1) / (1 + r**M) ** 2), "g_b'(r) = 0"),
            Hypothesis("larger root", Nonnegative(r**M - (M - 1)), "r is the root with r^M >= M - 1"),
            Hypothesis("threshold", Equal((M * beta) ** M, (M - 1) ** (M - 1)), "beta = (M-1)^((M-1)/M) / M"),
            Hypothesis("other minimiser", Equal(s**M, M - 1), "s = (M-1)^(1/M)"),
        )

    @property
    def statement(self) -> AllOf:
        r, beta, s, more = self.root, self.threshold, self.other, self.excess
        return AllOf(
            (
                Nonnegative(self.objective(x, b) - self.objective(r, b)),
                Nonnegative(1 - self.objective(r, b)),
                Nonnegative(beta - b),
                Positive(self.objective(x, beta + more) - 1),
                Nonnegative(self.objective(x, beta) - 1),
                Nonnegative(self.objective(s, beta) - 1),
                Nonnegative(1 - self.objective(s, beta)),
            )
        )

    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        """Exact examples have M = 1 or 2: beta is irrational for all others."""

        def sample(rng: random.Random) -> Values:
            depth = rng.randint(1, 2)
            r = sp.Rational(rng.randint(1 if depth == 1 else 4, 12), 4)
            return {
                M: depth,
                b: depth * r ** (depth - 1) / (1 + r**depth) ** 2,
                self.root: r,
                self.threshold: sp.Rational(1, depth),
                self.other: sp.Integer(depth - 1),
                self.excess: sp.Rational(rng.randint(1, 8), 8),
                x: sp.Rational(rng.randint(1, 20), 4),
            }

        return Setting(parameters, self.hypotheses, sample)


def scalar_problem() -> ScalarProblem:
    return ScalarProblem(
        sp.Symbol("r", positive=True),
        sp.Symbol("beta", positive=True),
        sp.Symbol("s", nonnegative=True),
        sp.Symbol("epsilon", positive=True),
    )


def _tangent(power: sp.Expr, r: sp.Symbol, names: str) -> tuple[Step, ...]:
    """(p-1) x^p + r^p >= p x^(p-1) r, which is r^p times the tangent inequality of u = x/r."""
    first = (power - 1) * x**power
    left, right = first + r**power, power * x ** (power - 1) * r
    return (
        Step(
            f"{names}: means",
            Nonnegative((power - 1) ** (power - 1) * left**power - power**power * first ** (power - 1) * r**power),
            "Weighted means of two numbers.",
            WeightedMeans(((power - 1, first), (1, r**power))),
        ),
        Step(
            f"{names}: powers",
            Nonnegative(left**power - right**power),
            "Divide by what the first factor has in common.",
            Poly(using=(f"{names}: means",)),
        ),
        Step(names, Nonnegative(left - right), "Take roots.", Root(f"{names}: powers", left, right, power)),
    )


def minimisers(problem: ScalarProblem, where: Setting) -> Derivation:
    """The larger root is a global minimiser; 0 is the only one above the threshold, and one of two at it."""
    r, beta, s, more = problem.root, problem.threshold, problem.other, problem.excess
    slack = Nonnegative(problem.objective(x, b) - problem.objective(r, b))
    cleared = (r**M - x**M) * (1 + r**M) + M * r ** (M - 1) * (x - r) * (1 + x**M)
    gain = r**M * (r**M - (M - 1)) / (1 + r**M) ** 2
    lower = (M - 1) * x**M + r**M - M * x ** (M - 1) * r
    upper = M * x ** (M + 1) + r ** (M + 1) - (M + 1) * x**M * r
    steps = (
        *_tangent(M, r, "lower tangent"),
        *_tangent(M + 1, r, "upper tangent"),
        Step(
            "split",
            Equal(r * cleared, M * x * lower + (r**M - (M - 1)) * upper),
            "Multiply out.",
            Star(()),
        ),
        Step(
            "cleared",
            Nonnegative(cleared),
            "All factors on the right are nonnegative, as r^M >= M - 1.",
            Poly(using=("split", "lower tangent", "upper tangent", "larger root")),
        ),
        Step(
            "denominators",
            Equal(slack.scalar, cleared / ((1 + x**M) * (1 + r**M) ** 2)),
            "Insert b (1 + r^M)^2 = M r^(M-1).",
            Star(),
        ),
        Step("minimum", slack, "The denominators are positive.", Poly(using=("cleared", "denominators"))),
        Step(
            "least value",
            Equal(gain, 1 - problem.objective(r, b)),
            "Insert b r (1 + r^M)^2 = M r^M.",
            Star(),
        ),
        Step("gain", Nonnegative(gain), "r^M >= M - 1.", Poly(using=("larger root",))),
        Step(
            "no worse than zero",
            Nonnegative(1 - problem.objective(r, b)),
            "The two are equal.",
            Rewrite("gain", "least value"),
        ),
        *above_threshold(Nonnegative, beta, names="at the threshold: ", given="threshold"),
        *above_threshold(Nonnegative, beta, at=r, names="at the threshold, at r: ", given="threshold"),
        Step(
            "below the threshold",
            Nonnegative(beta - b),
            "(beta - b) r = g_beta(r) - g_b(r), which is at least 1 - 1.",
            Poly(using=("no worse than zero", "at the threshold, at r: value")),
        ),
        Step(
            "above the threshold",
            Positive(problem.objective(x, beta + more) - 1),
            "g at beta + epsilon is g_beta + epsilon x.",
            Poly(using=("at the threshold: value",)),
        ),
        Step("line", Equal((M * beta * s) ** M, (M - 1) ** M), "Multiply the equations.", Star()),
        Step("root", Equal(M * beta * s, M - 1), "Take M-th roots.", Root("line", M * beta * s, M - 1, M)),
        Step(
            "tie, lower",
            Nonnegative(problem.objective(s, beta) - 1),
            "1/M + (M-1)/M = 1.",
            Poly(using=("root", "other minimiser")),
        ),
        Step(
            "tie, upper",
            Nonnegative(1 - problem.objective(s, beta)),
            "1/M + (M-1)/M = 1.",
            Poly(using=("root", "other minimiser")),
        ),
        Step(
            "minimisers",
            problem.statement,
            "The parts.",
            Conjunction(
                (
                    "minimum",
                    "no worse than zero",
                    "below the threshold",
                    "above the threshold",
                    "at the threshold: value",
                    "tie, lower",
                    "tie, upper",
                )
            ),
        ),
    )
    return Derivation("The minimisers of the scalar problem", where, steps)
