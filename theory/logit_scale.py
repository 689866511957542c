"""Cross-entropy of symmetric logits as a function of their scale: critical scales, best scale, comparison; certified.

    f(t) = sum_i w_i log(1 + sum_j k_ij e^(-g_ij t)) + (lam/2) (L+1) sum_i m_i (v_i t n^(1/2))^(2/(L+1))

is the loss of a deep linear model with L weight layers, K classes of n samples and one decay lam, at balanced factors
of the logits t (X kron 1_n^T) (Garrod and Keating 2025, proof of theorem 1). A share w_i of the columns of X has k_ij
wrong classes that lie g_ij below the right one; X has the singular value v_i with multiplicity m_i. With q =
(L-1)/(L+1)

    f'(t) < 0  iff  t^q R(t) > c,    c = lam n^(1/(L+1)) sum_i m_i v_i^(2/(L+1)),

where R is the mean gap under the softmax, which decreases with t. Roots of t^q R(t) = c are isolated in log t, by ball
arithmetic: every part of the line has no root, or a monotone function with a change of sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from .scalar_problem import ball

if TYPE_CHECKING:
    import flint

MOST_CUTS = 400  # of one interval in log t; a double root, which no rational lam is known to give, would need more
WORKING = 128  # bits for results in float64


class Chord(NamedTuple):
    """1 - cos(2 pi turn): how far two points of the circle are apart in the direction of one of them."""

    turn: Fraction


class Root(NamedTuple):
    """The square root of a rational number, for a singular value."""

    square: Fraction


class Enclosed(NamedTuple):
    """A singular value: ``square()`` encloses its square, in the precision in force."""

    square: Callable[[], flint.arb]


Gap = Fraction | Chord
Size = Fraction | Root | Enclosed


class Column(NamedTuple):
    """A kind of columns of the logits: its share of all, and (how many classes, by how much they are less) at t = 1."""

    share: Fraction
    gaps: tuple[tuple[int, Gap], ...]


class Structure(NamedTuple):
    """Logits X at t = 1 up to what their loss depends on; ``values`` are (multiplicity, singular value).

    Examples:
        >>> from tightframe.theory import logit_scale
        >>> found = logit_scale.simplex(3)
        >>> found.columns[0].gaps, found.values, found.classes
        (((2, Fraction(1, 1)),), ((2, Fraction(1, 1)),), 3)
    """

    name: str
    columns: tuple[Column, ...]
    values: tuple[tuple[int, Size], ...]

    @property
    def rank(self) -> int:
        return sum(count for count, _ in self.values)

    @property
    def classes(self) -> int:
        """K."""
        return 1 + sum(count for count, _ in self.columns[0].gaps)


def check_classes(classes: object) -> None:
    """ValueError unless K is an integer from 2.

    Examples:
        >>> check_classes(1)
        Traceback (most recent call last):
        ValueError: expected the number of classes K to be an integer from 2, got 1
    """
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise ValueError(f"expected the number of classes K to be an integer from 2, got {classes!r}")


def simplex(classes: int) -> Structure:
    """Deep neural collapse: X = I - 1 1^T / K.

    Examples:
        >>> simplex(6).rank
        5
    """
    check_classes(classes)
    gaps = ((classes - 1, Fraction(1)),)
    return Structure("neural collapse", (Column(Fraction(1), gaps),), ((classes - 1, Fraction(1)),))


# Garrod and Keating 2025, proof of theorem 1
def pairs(classes: int, count: int | None = None, single: Fraction = Fraction(1)) -> Structure:
    """X with blocks [[1, -1], [-1, 1]], and for odd K a last diagonal entry, ``single``.

    ``count`` is the number of blocks, K // 2 if not given; classes without a block or entry have logits zero.

    Examples:
        >>> pairs(6).rank, pairs(7).rank, pairs(7, 2, Fraction(0)).rank
        (3, 4, 2)
    """
    check_classes(classes)
    blocks = classes // 2 if count is None else count
    if not 1 <= blocks <= classes // 2 or single < 0:
        raise ValueError("expected from 1 to K // 2 blocks, and a nonnegative single entry")
    alone = int(classes % 2 == 1 and single > 0)
    rest = classes - 2 * blocks - alone
    paired = ((1, Fraction(2)), (classes - 2, Fraction(1)))
    columns = [
        (2 * blocks, paired),
        (alone, ((classes - 1, single),)),
        (rest, ((classes - 1, Fraction(0)),)),
    ]
    values = ((blocks, Fraction(2)), *(((1, single),) if alone else ()))
    shares = tuple(Column(Fraction(size, classes), gaps) for size, gaps in columns if size)
    return Structure("pairs" if not rest else f"{blocks} pairs", shares, values)


def pairs_and_a_class(classes: int, single: Fraction, share: Fraction) -> Structure:
    """Odd K = 2m + 1: X of m blocks [[1, -1], [-1, 1]], and ``single`` (e - 1/K) (e - share (1 - e))^T, e of the last.

    The last row is centred, which costs no gap, and features of the pairs lie a little on the far side of the class
    that is alone. A search at K = 5, L = 2 ends there.

    Examples:
        >>> pairs_and_a_class(5, Fraction(21, 20), Fraction(1, 8)).values
        ((2, Fraction(2, 1)), (1, Root(square=Fraction(7497, 8000))))
    """
    check_classes(classes)
    if classes % 2 == 0 or not single > 0 or share < 0:
        raise ValueError("expected an odd number of classes, a positive single entry and a nonnegative share")
    paired = ((1, Fraction(2)), (classes - 3, Fraction(1)), (1, 1 + single * share))
    square = single**2 * Fraction(classes - 1, classes) * (1 + (classes - 1) * share**2)
    columns = (
        Column(Fraction(classes - 1, classes), tuple(each for each in paired if each[0])),
        Column(Fraction(1, classes), ((classes - 1, single),)),
    )
    return Structure("pairs and a class", columns, ((classes // 2, Fraction(2)), (1, Root(square))))


# Garrod and Keating 2025, section 3.2
def circle(classes: int) -> Structure:
    """K points on a circle, from K = 3: X_ij = cos(2 pi (i - j) / K), twice the singular value K/2.

    Examples:
        >>> circle(5).rank
        2
    """
    check_classes(classes)
    if classes < 3:
        raise ValueError("expected at least three classes")
    gaps = tuple((1, Chord(Fraction(j, classes))) for j in range(1, classes))
    return Structure("circle", (Column(Fraction(1), gaps),), ((2, Fraction(classes, 2)),))


def power(value: Size, exponent: Fraction) -> flint.arb:
    """A power of a singular value.

    Examples:
        >>> float(power(Root(Fraction(4)), Fraction(2))), float(power(Fraction(9), Fraction(1, 2)))
        (4.0, 3.0)
    """
    if isinstance(value, Fraction):
        return ball(value) ** ball(exponent)
    square = value.square() if isinstance(value, Enclosed) else ball(value.square)
    return square ** ball(exponent / 2)


def gap(value: Gap) -> flint.arb:
    """How much less a logit is at t = 1, in the precision in force.

    Examples:
        >>> float(gap(Chord(Fraction(1, 2)))), float(gap(Fraction(3, 2)))
        (2.0, 1.5)
    """
    import flint

    return _gap(value, flint.ctx.prec)


@cache
def _gap(value: Gap, bits: int) -> flint.arb:
    import flint

    with flint.ctx.workprec(bits):
        if isinstance(value, Chord):
            turn = 2 * value.turn
            return 1 - flint.arb.cos_pi_fmpq(flint.fmpq(turn.numerator, turn.denominator))
        return ball(value)


class Scaled:
    """f for one structure, depth L, class size n and decay lam, in ball arithmetic of the precision in force.

    Raises:
        ValueError: unless L and n are integers from 1 and lam > 0.

    Examples:
        >>> import flint
        >>> dnc = Scaled(simplex(6), 2, 1, Fraction(1, 200))
        >>> [round(float(t), 6) for t in dnc.critical(64)], round(float(dnc.best(64)[1]), 8)
        ([2.7e-05, 5.874577], 0.13604276)
    """

    def __init__(self, structure: Structure, depth: int, per_class: int, decay: Fraction) -> None:
        for name, number in (("depth L", depth), ("number of samples a class n", per_class)):
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"expected the {name} to be an integer from 1, got {number!r}")
        if not decay > 0:
            raise ValueError(f"expected the decay to be > 0, got {decay}")
        self.structure, self.depth, self.per_class, self.decay = structure, depth, per_class, Fraction(decay)
        self.power = Fraction(depth - 1, depth + 1)
        gaps = [each for column in structure.columns for _, each in column.gaps if each != 0]
        self.smallest, self.largest = min(gaps, key=_size), max(gaps, key=_size)
        self.classes = structure.classes
        self._levels: dict[int, Any] = {}  # c at a precision

    # ---- values
    def level(self) -> flint.arb:
        """c."""
        import flint

        bits = flint.ctx.prec
        if bits not in self._levels:
            root = Fraction(2, self.depth + 1)
            weights = sum((count * power(value, root) for count, value in self.structure.values), flint.arb(0))
            self._levels[bits] = ball(self.decay) * ball(Fraction(self.per_class)).root(self.depth + 1) * weights
        return self._levels[bits]

    def loss(self, scale: flint.arb) -> flint.arb:
        """f(t); log K at t = 0."""
        import flint

        total = flint.arb(0)
        for column in self.structure.columns:
            wrong = sum((count * (-gap(each) * scale).exp() for count, each in column.gaps), flint.arb(0))
            total += ball(column.share) * wrong.log1p()
        if scale == 0:
            return total
        return total + self.level() * ball(Fraction(self.depth + 1, 2)) * scale ** ball(Fraction(2, self.depth + 1))

    def _moments(self, scale: flint.arb) -> tuple[flint.arb, flint.arb]:
        """R, and -R': the mean of the gaps, and their variance, under the softmax."""
        import flint

        mean, variance = flint.arb(0), flint.arb(0)
        for column in self.structure.columns:
            terms = [(count * (-gap(each) * scale).exp(), gap(each)) for count, each in column.gaps]
            total = 1 + sum((weight for weight, _ in terms), flint.arb(0))
            first = sum((weight * each for weight, each in terms), flint.arb(0)) / total
            second = (first**2 + sum((w * (g - first) ** 2 for w, g in terms), flint.arb(0))) / total
            mean, variance = mean + ball(column.share) * first, variance + ball(column.share) * second
        return mean, variance

    # ---- critical scales
    def _excess(self, u: flint.arb) -> flint.arb:
        """log(t^q R(t) / c) at t = e^u: positive where f decreases."""
        return ball(self.power) * u + self._moments(u.exp())[0].log() - self.level().log()

    def _range(self, low: flint.arb, high: flint.arb) -> tuple[flint.arb, flint.arb]:
        """Bounds of the excess on an interval, R being decreasing."""
        q, level = ball(self.power), self.level().log()
        most, least = (self._moments(end.exp())[0].log() - level for end in (low, high))
        return q * low + least, q * high + most

    def _slope(self, low: flint.arb, high: flint.arb) -> flint.arb:
        """The derivative of the excess on an interval."""
        scale = low.exp().union(high.exp())
        mean, variance = self._moments(scale)
        return ball(self.power) - scale * variance / mean

    def _ends(self) -> tuple[flint.arb, flint.arb]:
        """An interval of log t beyond which there is no root: the excess is negative, or for L = 1 keeps its sign."""
        import flint

        q, level = ball(self.power), self.level().log()
        mean = self._moments(flint.arb(0))[0].log()
        low = (level - mean) / q - 1 if self.depth > 1 else flint.arb(-40)
        if self.depth == 1:
            # R(t) - c has the sign of R(0) - c near 0; -R' <= max gap^2 / 4 bounds how far that reaches
            difference = self._moments(flint.arb(0))[0] - self.level()
            if not (difference > 0 or difference < 0):
                if self._threshold_is_met():
                    return flint.arb(0), flint.arb(0)
                raise Undecided
            reach = abs(difference) / (gap(self.largest) ** 2 + 1)
            low = reach.log().min(flint.arb(0))
            if difference < 0:
                return low, low
        high = flint.arb(2)
        while True:  # t^q K G e^(-g t), g the least gap and G the largest, bounds t^q R and decreases beyond t = q/g
            tail = q * high.log() + (self.classes * gap(self.largest)).log() - level
            if tail - gap(self.smallest) * high < 0 and high * gap(self.smallest) > 1:
                return flint.arb(low.lower()), flint.arb(high.log().upper())
            high = 2 * high

    def _threshold_is_met(self) -> bool:
        """Whether c = R(0) exactly, for L = 1, where rational squares decide: then there is no root."""
        gaps = [(column.share * count, each) for column in self.structure.columns for count, each in column.gaps]
        values = self.structure.values
        if any(isinstance(each, Chord) for _, each in gaps) or any(
            not isinstance(value, Fraction) for _, value in values
        ):
            return False
        mean = sum((share * each for share, each in gaps if isinstance(each, Fraction)), Fraction(0)) / self.classes
        weights = sum((count * value for count, value in values if isinstance(value, Fraction)), Fraction(0))
        return mean**2 == (self.decay * weights) ** 2 * self.per_class

    def critical(self, bits: int) -> list[flint.arb]:
        """All t > 0 with f'(t) = 0, ascending, each to about 2^-bits of itself.

        Raises:
            ArithmeticError: if two roots are not told from one or none.
        """
        return [u.exp() for u, _ in self._solved(bits)]

    def _solved(self, bits: int) -> list[tuple[flint.arb, bool]]:
        """log t of the critical scales, and whether f has a minimum there."""
        import flint

        working = bits + 64
        for _ in range(6):
            with flint.ctx.workprec(working):
                try:
                    low, high = self._ends()
                    found = list(self._roots(low, high)) if low < high else []
                    return [(self._refined(start, end, bits), falls) for start, end, falls in found]
                except Undecided:
                    working *= 2
        raise ArithmeticError("the number of critical scales is not decided: two are too close to each other")

    def _roots(self, low: flint.arb, high: flint.arb) -> Iterator[tuple[Any, Any, bool]]:
        """Intervals with exactly one root each, and whether the excess falls there."""
        import flint

        pending: list[tuple[Any, Any, int]] = [(low, high, 0)]
        while pending:
            start, end, depth = pending.pop()
            least, most = self._range(start, end)
            if least > 0 or most < 0:
                continue
            slope = self._slope(start, end)
            if slope.is_finite() and not slope.contains(0):
                left, right = self._excess(start), self._excess(end)
                if (left > 0 and right > 0) or (left < 0 and right < 0):
                    continue
                if (left > 0 and right < 0) or (left < 0 and right > 0):
                    yield start, end, bool(left > 0)
                    continue
            if depth > MOST_CUTS or not float((end - start).abs_lower()) > 0:
                raise Undecided
            # not the middle: a root there would be on neither side
            middle = flint.arb((start + (end - start) * ball(Fraction(1021, 2048))).mid())
            if not start < middle < end:
                raise Undecided
            pending += [(middle, end, depth + 1), (start, middle, depth + 1)]

    def _refined(self, low: flint.arb, high: flint.arb, bits: int) -> flint.arb:
        """Interval Newton, and cuts in two where that gains nothing."""
        import flint

        falls = bool(self._excess(low) > 0)
        goal = flint.arb(2) ** -bits
        for _ in range(20 * bits):
            if high - low < goal:
                return low.union(high)
            middle = flint.arb(((low + high) / 2).mid())
            slope = self._slope(low, high)
            value = self._excess(middle)
            if slope.is_finite() and not slope.contains(0):
                step = middle - value / slope
                start, end = flint.arb(step.lower()).max(low), flint.arb(step.upper()).min(high)
                if start < end and (end - start) * 2 < high - low:
                    low, high = flint.arb(start.lower()), flint.arb(end.upper())
                    continue
            if not (value > 0 or value < 0):
                raise Undecided
            low, high = (middle, high) if bool(value > 0) == falls else (low, middle)
        raise Undecided

    # ---- the best scale
    def best(self, bits: int) -> tuple[flint.arb, flint.arb]:
        """The scale t >= 0 of least f, and f there.

        Raises:
            ArithmeticError: if two scales are as good as far as can be seen.
        """
        import flint

        working = bits
        for _ in range(5):
            solved = self._solved(working)
            with flint.ctx.workprec(working + 64):
                scales = [flint.arb(0), *(u.exp() for u, falls in solved if falls)]
                values = [self.loss(scale) for scale in scales]
                for scale, value in zip(scales, values, strict=True):
                    if all(value < other for other in values if other is not value):
                        return scale, value
            working *= 2
        raise ArithmeticError("two scales are as good as each other, as far as can be seen")

    @cached_property
    def floats(self) -> tuple[float, float]:
        """`best` in float64."""
        scale, value = self.best(WORKING)
        return float(scale.mid()), float(value.mid())


def _size(value: Gap) -> Any:
    return value if isinstance(value, Fraction) else Fraction(1 - math.cos(2 * math.pi * float(value.turn)))


class Undecided(ArithmeticError):
    """At this precision."""
