"""Is deep neural collapse optimal at (K, L, lam, n)? Decided by certified comparison with logits of lower rank.

A deep linear model with cross-entropy, L weight layers, K classes of n samples and one decay lam. It is *suboptimal* at
lam if no neural collapse of positive scale is a global minimum. Its least loss over all scales is known from below,
that of a witness from above, both in ball arithmetic, and the witness is attained by balanced factors. What is proved:

- suboptimal for every lam, if K >= 4 and L >= 3, or K >= 6 and L = 2: pairs of the same scale are better
  (Garrod and Keating 2025, theorem 1);
- zero is better beyond the lam at which both have the loss log K;
- optimal below it for L = 1 (`one_layer_collapse`) and for K = 2 (`two_class_collapse`);
- else only what a witness shows. None found proves nothing. A witness is one of the structures below, or factors that a
  search has found, rounded to rationals: `beats_collapse`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .logit_scale import Scaled, Structure, check_classes, circle, pairs, pairs_and_a_class, simplex
from .scalar_problem import Enclosure, ball, fraction

if TYPE_CHECKING:
    import flint

BITS = 64  # of a comparison
MOST_CLASSES = 12  # for which every number of pairs is tried
RATIO = Fraction(4, 5)  # of neighbouring lam at which witnesses are compared, where the answer depends on lam
MOST_CUTS = 12  # of the interval between two of them
CROSSING = Fraction(1, 10**9)  # relative, of where a decision changes
LEAST = Fraction(1, 10**4)  # of the largest lam that is looked at, where nothing is known of all small lam
# Single entry and share of `pairs_and_a_class` that are best at its crossing for K = 5, L = 2, to six digits.
SINGLE, SHARE = Fraction(1048483, 10**6), Fraction(121267, 10**6)


class Decision(NamedTuple):
    """``suboptimal`` is None where it is undecided; ``witness`` names what is better, of rank ``rank``."""

    suboptimal: bool | None
    witness: str | None = None
    rank: int | None = None


class Between(NamedTuple):
    """What is decided for every lam from ``low`` to ``high``, ends not included."""

    low: float
    high: float
    decision: Decision


class Factors(NamedTuple):
    """Rational W_L = ``last`` (K x r), W_l = diag(``between``) for l < L, and H_1 = ``features`` (r x K) kron 1_n^T.

    Padded with zeros they fit every width from r.
    """

    last: Sequence[Sequence[Fraction]]
    between: Sequence[Fraction]
    features: Sequence[Sequence[Fraction]]


UNDECIDED = Decision(None)
ZERO = Decision(True, "zero", 0)


def covered(classes: int, depth: int) -> bool:
    """Whether theorem 1 of Garrod and Keating 2025 speaks of K classes and L layers.

    Examples:
        >>> [covered(classes, 2) for classes in (4, 5, 6)], covered(4, 3), covered(3, 9)
        ([False, False, True], True, False)
    """
    return (classes >= 4 and depth >= 3) or (classes >= 6 and depth == 2)


@cache
def witnesses(classes: int) -> tuple[Structure, ...]:
    """Logits of lower rank than neural collapse, none of them for two classes.

    Examples:
        >>> [(found.name, found.rank) for found in witnesses(4)]
        [('1 pairs', 1), ('pairs', 2)]
        >>> sorted({found.rank for found in witnesses(7)})
        [1, 2, 3, 4]
    """
    if classes < 3:
        return ()
    half = classes // 2
    counts = range(1, half + 1) if classes <= MOST_CLASSES else (half,)
    found: list[Structure] = []
    for count in counts:
        whole = classes % 2 == 1 and count == half
        singles = (Fraction(0), Fraction(1)) if whole else (Fraction(0),)
        found += [pairs(classes, count, single) for single in singles]
    if classes % 2:
        found.append(pairs_and_a_class(classes, SINGLE, SHARE))
    if 4 < classes <= 10 * MOST_CLASSES:
        found.append(circle(classes))
    return tuple(each for each in found if each.rank < classes - 1)


def decide(classes: int, depth: int, per_class: int, decay: Fraction) -> Decision:
    """Whether neural collapse is suboptimal at one lam.

    Raises:
        ValueError: unless K >= 2, L >= 1 and n >= 1 are integers and lam > 0.

    Examples:
        >>> decide(6, 2, 1, Fraction(1, 200)), decide(6, 1, 1, Fraction(1, 100)).suboptimal
        (Decision(suboptimal=True, witness='pairs', rank=3), False)
        >>> decide(4, 3, 1, Fraction(10)), decide(5, 2, 1, Fraction(1, 10**4)).suboptimal
        (Decision(suboptimal=True, witness='zero', rank=0), None)
        >>> decide(5, 2, 1, Fraction(1, 1000))
        Decision(suboptimal=True, witness='pairs and a class', rank=3)
    """
    check_classes(classes)
    if decide_zero(classes, depth, per_class, decay):
        return ZERO
    if depth == 1 or classes == 2:
        return Decision(False)
    least = _least(classes, depth, per_class, decay)
    better: list[tuple[float, Structure]] = []
    for each in witnesses(classes):
        try:
            value = Scaled(each, depth, per_class, decay).best(BITS)[1]
        except ArithmeticError:
            continue
        if value < least:
            better.append((float(value), each))
    if not better:
        return UNDECIDED
    _, best = min(better, key=lambda pair: pair[0])
    return Decision(True, best.name, best.rank)


@lru_cache(maxsize=2**12)
def _least(classes: int, depth: int, per_class: int, decay: Fraction) -> flint.arb:
    """The loss of neural collapse of the best scale, or zero."""
    return Scaled(simplex(classes), depth, per_class, decay).best(BITS)[1]


# ---- factors that a search has found
def factors_loss(factors: Factors, depth: int, per_class: int, decay: Fraction) -> flint.arb:
    """The loss of rational factors, cross-entropy and decay terms: of balanced ones, that of their logits.

    Nothing is assumed of them but their shapes, so that it bounds the least loss from above.

    Raises:
        ValueError: if the shapes do not fit, or L and n are no integers from 1, or lam is not > 0.

    Examples:
        >>> both = Factors([[Fraction(1)], [Fraction(-1)]], [Fraction(1)], [[Fraction(1), Fraction(-1)]])
        >>> round(float(factors_loss(both, 2, 1, Fraction(1, 10))), 12)  # log(1 + e^(-2)) + (2 + 1 + 2)/20
        0.376928011043
    """
    import flint

    last, between, features = factors
    classes, rank = len(last), len(between)
    if any(len(row) != rank for row in last) or len(features) != rank or any(len(row) != classes for row in features):
        raise ValueError(f"expected factors of {classes} classes and {rank} singular values")
    check_classes(classes)
    for name, number in (("depth L", depth), ("number of samples a class n", per_class)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"expected the {name} to be an integer from 1, got {number!r}")
    if not decay > 0:
        raise ValueError(f"expected the decay to be > 0, got {decay}")
    with flint.ctx.workprec(2 * BITS):
        below = [[root ** (depth - 1) * entry for entry in row] for root, row in zip(between, features, strict=True)]
        total = flint.arb(0)
        for label in range(classes):
            column = [sum((a * row[label] for a, row in zip(line, below, strict=True)), Fraction(0)) for line in last]
            wrong = (ball(entry - column[label]).exp() for k, entry in enumerate(column) if k != label)
            total += sum(wrong, flint.arb(0)).log1p() / classes
        squares = _squared(last) + (depth - 1) * _squared([between]) + per_class * _squared(features)
        return total + ball(decay * squares / 2)


def _squared(rows: Sequence[Sequence[Fraction]]) -> Fraction:
    return sum((entry**2 for row in rows for entry in row), Fraction(0))


def beats_collapse(factors: Factors, depth: int, per_class: int, decay: Fraction) -> bool:
    """Whether the loss of these factors is certified to be less than that of neural collapse of every scale, or zero.

    False says nothing: neither that they are worse, nor that neural collapse is optimal.

    Raises:
        ValueError: as `factors_loss`.
        ArithmeticError: if the best scale of neural collapse is not found.

    Examples:
        >>> one, none = [Fraction(1)], [Fraction(0)]
        >>> pair = Factors([one, [Fraction(-1)], none], [Fraction(1)], [[Fraction(1), Fraction(-1), Fraction(0)]])
        >>> beats_collapse(pair, 2, 1, Fraction(1, 10)), beats_collapse(pair, 2, 1, Fraction(1))
        (False, False)
    """
    import flint

    found = factors_loss(factors, depth, per_class, decay)
    with flint.ctx.workprec(2 * BITS):
        return bool(found < _least(len(factors.last), depth, per_class, decay))


# ---- all lam
def largest_decay(classes: int, depth: int, per_class: int, bits: int) -> Enclosure:
    """The largest lam at which neural collapse has a critical scale; for L = 1 there is none at it.

    It is alpha^q / (n^(1/(L+1)) (e^alpha + K - 1)) at alpha = q + W(q (K-1) e^(-q)), with q = (L-1)/(L+1) and Lambert's
    W: there q (e^alpha + K - 1) = alpha e^alpha.

    Examples:
        >>> low, high = largest_decay(6, 2, 1, 64)
        >>> round(float(low), 12), float(high - low) < 1e-18
        (0.129603043988, True)
        >>> largest_decay(4, 1, 9, 64)
        (Fraction(1, 12), Fraction(1, 12))
    """
    import flint

    check_classes(classes)
    with flint.ctx.workprec(bits + 64):
        root = math.isqrt(per_class)
        if depth == 1 and root**2 == per_class:
            return Fraction(1, classes * root), Fraction(1, classes * root)
        q = ball(Fraction(depth - 1, depth + 1))
        scale = q + (q * (classes - 1) * (-q).exp()).lambertw()
        top = scale**q if depth > 1 else flint.arb(1)
        found = top / (scale.exp() + classes - 1) / ball(Fraction(per_class)).root(depth + 1)
        return fraction(found.lower()), fraction(found.upper())


def all_decays(classes: int, depth: int, per_class: int) -> tuple[Decision, tuple[Between, ...]]:
    """Whether neural collapse is suboptimal at every lam at which it has a critical scale, and what is known where.

    The intervals are ascending and meet, but for a gap of 1e-12 of lam where zero begins to win. Where the answer
    depends on lam their ends are where one structure ceases to be better, to `CROSSING` of itself. What is not decided
    is an interval too.

    Examples:
        >>> all_decays(6, 2, 1)[0]
        Decision(suboptimal=True, witness='pairs', rank=3)
        >>> [each.decision.suboptimal for each in all_decays(2, 3, 1)[1]], all_decays(5, 1, 1)[0].suboptimal
        ([False, True], False)
        >>> [(round(each.high, 9), each.decision.witness) for each in all_decays(4, 2, 1)[1]]
        [(0.011760498, None), (0.148275654, 'pairs'), (0.177659903, 'zero')]
    """
    check_classes(classes)
    low, high = largest_decay(classes, depth, per_class, BITS)
    if depth == 1:
        decision = Decision(False)
        return decision, (_between(Fraction(0), low, decision),)
    if covered(classes, depth):
        same = pairs(classes)
        decision = Decision(True, same.name, same.rank)
        return decision, (_between(Fraction(0), high, decision),)
    below, above = even_with_zero(classes, depth, per_class)
    last = _between(above, high, ZERO)
    if classes == 2:
        return Decision(False), (_between(Fraction(0), below, Decision(False)), last)
    return UNDECIDED, (*_intervals(classes, depth, per_class, below), last)


def _between(low: Fraction, high: Fraction, decision: Decision) -> Between:
    """Ends rounded inwards."""
    start, end = float(low), float(high)
    start = math.nextafter(start, math.inf) if start < low else start
    return Between(start, math.nextafter(end, 0.0) if end > high else end, decision)


def even_with_zero(classes: int, depth: int, per_class: int) -> Enclosure:
    """Two lam, close to each other: at the first neural collapse beats zero, at the second, and beyond, zero wins.

    Examples:
        >>> round(float(even_with_zero(6, 1, 1)[0]), 9), round(float(even_with_zero(2, 2, 1)[1]), 9)
        (0.166666667, 0.253924883)
    """
    high = largest_decay(classes, depth, per_class, BITS)[0]
    if depth == 1:
        return largest_decay(classes, depth, per_class, BITS)
    low = high / 2
    while decide_zero(classes, depth, per_class, low):
        low /= 2
    for _ in range(40):
        middle = (low + high) / 2
        if decide_zero(classes, depth, per_class, middle):
            high = middle
        else:
            low = middle
    return low, high


def crossing(classes: int, depth: int, per_class: int, low: Fraction, high: Fraction) -> Enclosure:
    """Where between two lam a structure begins, or ceases, to be better: its ends have one decision, and another.

    The first lam that is returned has the decision of ``low``, the second that of ``high``, as far as it is decided.
    Beyond a crossing with what is undecided lies no proof that neural collapse is optimal.

    Raises:
        ValueError: if both ends have the same decision and witness.

    Examples:
        >>> round(float(crossing(4, 2, 1, Fraction(1, 100), Fraction(1, 20))[0]), 9)
        0.011760498
    """
    first, last = (decide(classes, depth, per_class, decay) for decay in (low, high))
    if first == last:
        raise ValueError("expected two decays with different decisions")
    while high - low > high * CROSSING:
        middle = (low + high) / 2
        found = decide(classes, depth, per_class, middle)
        low, high = (middle, high) if found == first else (low, middle)
    return low, high


def decide_zero(classes: int, depth: int, per_class: int, decay: Fraction) -> bool:
    """Whether zero is better than neural collapse of every scale.

    Examples:
        >>> [decide_zero(6, 1, 1, decay) for decay in (Fraction(1, 7), Fraction(1, 5))]
        [False, True]
    """
    return bool(Scaled(simplex(classes), depth, per_class, decay).best(BITS)[0] == 0)


def _intervals(classes: int, depth: int, per_class: int, top: Fraction) -> Iterator[Between]:
    """Ascending intervals from 0 to ``top`` on which one witness is better throughout, or none is known to be.

    The decisions at a few lam say where to look; each interval is then certified, or it is undecided.
    """
    decays = [top]
    while decays[-1] > top * LEAST:
        decays.append(decays[-1] * RATIO)
    decays.reverse()
    decided = [decide(classes, depth, per_class, decay) for decay in decays]
    ends, pieces = [Fraction(0), decays[0]], [UNDECIDED]
    for (low, high), (below, above) in zip(pairwise(decays), pairwise(decided), strict=True):
        if below != above:
            ends.append(crossing(classes, depth, per_class, low, high)[1])
            pieces.append(below)
        ends.append(high)
        pieces.append(above)
    found: list[tuple[Fraction, Fraction, Decision]] = []
    for (low, high), decision in zip(pairwise(ends), pieces, strict=True):
        for start, end, holds in _certified(classes, depth, per_class, (low, high), decision):
            if found and found[-1][2] == holds:
                start = found.pop()[0]
            found.append((start, end, holds))
    for low, high, decision in found:
        yield _between(low, high, decision)


def _certified(
    classes: int, depth: int, per_class: int, ends: tuple[Fraction, Fraction], decision: Decision
) -> Iterator[tuple[Fraction, Fraction, Decision]]:
    """Parts of an interval of lam, ascending: a witness with this decision is better throughout, or undecided."""
    same = [each for each in witnesses(classes) if Decision(True, each.name, each.rank) == decision]
    pending = [(*ends, 0)]
    while pending:
        low, high, cuts = pending.pop()
        if any(_throughout(each, depth, per_class, low, high) for each in same):
            yield low, high, decision
        elif cuts < MOST_CUTS and same:
            middle = (low + high) / 2
            pending += [(middle, high, cuts + 1), (low, middle, cuts + 1)]
        else:
            yield low, high, UNDECIDED


def _throughout(structure: Structure, depth: int, per_class: int, low: Fraction, high: Fraction) -> bool:
    """Whether a structure of some scale is better for every lam between two, ends included.

    In lam the least loss of neural collapse is concave, as the least of linear functions, and the loss at one scale is
    linear. So what is less at both ends is less between them.
    """
    import flint

    if not low > 0:
        return False
    try:
        scale = Scaled(structure, depth, per_class, low).best(BITS)[0]
    except ArithmeticError:
        return False
    with flint.ctx.workprec(2 * BITS):
        scale = flint.arb(scale.mid())
        found = [Scaled(structure, depth, per_class, decay).loss(scale) for decay in (low, high)]
        least = [_least(structure.classes, depth, per_class, decay) for decay in (low, high)]
        return all(bool(loss < other) for loss, other in zip(found, least, strict=True))
