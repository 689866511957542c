"""Certified counterexamples to statements of scalar calculus: values in ball arithmetic, degrees in exact arithmetic.

Every ``False`` here is a proof that the statement fails in the given example; ``True`` says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations
from typing import Any

from .checker import Calculus, Commutative, Field, Motion, Rejected, Statement, Tree

PRECISION = 256  # bits
Point = Mapping[str, Fraction]
PROBES = (Fraction(1, 50), Fraction(1, 3), Fraction(1), Fraction(5, 2), Fraction(9), Fraction(200))


class Unknown(Exception):
    """The ball does not decide, or a function without values occurs."""


def may_hold(statement: Statement, parameters: Point) -> bool:
    """``False`` if the statement certainly fails at these values of the parameters."""
    calculus = statement.calculus
    if calculus is None:
        return True
    import flint

    with flint.ctx.workprec(PRECISION):
        try:
            return _may_hold(statement, calculus, parameters)
        except (Unknown, Rejected, ZeroDivisionError):
            return True


def _may_hold(statement: Statement, calculus: Calculus, parameters: Point) -> bool:
    name, tree = calculus.variable, calculus.tree
    points: list[Point] = [{**parameters, name: value} for value in (*PROBES, *filter(None, [parameters.get(name)]))]
    if statement.kind == "vanishes":
        return not any(_sign(calculus, tree, point) for point in points)
    if statement.kind == "increasing":
        if not calculus.quotient(("D", tree, name))[0]:
            return False  # constant
        return not any(_sign(calculus, ("D", tree, name), point) == -1 for point in points)
    if statement.kind == "tends":
        return _vanishes_at_infinity(calculus, tree, parameters)
    if statement.motion is None:
        return True
    return _motion_may_hold(statement.kind, calculus, statement.motion, points)


def _motion_may_hold(kind: str, calculus: Calculus, motion: Motion, points: list[Point]) -> bool:
    """Of each kind what it says beyond the one before: chain rule, leading term, relative rates, shares or a limit."""
    name = calculus.variable
    slope: Tree = ("D", calculus.tree, name)
    chain: Tree = ("+", ("*", slope, motion.rate), "-1")
    if any(_sign(calculus, chain, point) or _sign(calculus, slope, point) == -1 for point in points):
        return False
    if kind == "first-integral":
        return True
    power: Tree = ("^", name, str(motion.exponent))
    rest: Tree = ("/", ("+", calculus.tree, ("*", "-1", motion.coefficient, power)), power)
    if not _vanishes_at_infinity(calculus, rest, points[0]):
        return False
    if kind in ("decay", "shares") and not _is_count(calculus, motion, points[0]):
        return False
    if kind == "decay":
        scaled: Tree = ("*", motion.quantity, ("^", name, str(motion.power)))
        return _vanishes_at_infinity(calculus, ("+", scaled, ("*", "-1", motion.limit)), points[0])
    if kind == "growth":
        return True
    if any(_sign(calculus, ("D", ("/", name, motion.rate), name), point) == -1 for point in points):
        return False  # two solutions near this point move apart
    pairs = [(v, w) for v, w in combinations(sorted(points, key=lambda point: point[name]), 2) if v[name] < w[name]]
    if any(_bound_fails(calculus, motion, v, w) for v, w in pairs):
        return False
    return kind != "shares" or not any(_share_fails(calculus, motion, v, w) for v, w in pairs)


def _bound_fails(calculus: Calculus, motion: Motion, v: Point, w: Point) -> bool:
    """(w/v)^k > 1 + (Phi(w) - Phi(v)) / (c v^k), at the start."""
    name, k = calculus.variable, motion.exponent
    ratio = _rational((w[name] / v[name]) ** k)
    gain = _ball(calculus, calculus.tree, w) - _ball(calculus, calculus.tree, v)
    bound = 1 + gain / (_ball(calculus, motion.coefficient, v) * _rational(v[name] ** k))
    return bool(ratio - bound > 0)


def _is_count(calculus: Calculus, motion: Motion, point: Point) -> bool:
    """Whether there can be so many solutions: a natural number, and one at least."""
    values = [_polynomial(poly, point) for poly in calculus.quotient(motion.count)]
    number = values[0] / values[1]
    return number.denominator == 1 and number >= 1


def _polynomial(poly: Commutative, point: Point) -> Fraction:
    total = Fraction(0)
    for mono, coefficient in poly.items():
        for name, exponent in mono:
            if name not in point:
                raise Unknown
            coefficient *= point[name] ** exponent
        total += coefficient
    return total


def _share_fails(calculus: Calculus, motion: Motion, v: Point, w: Point) -> bool:
    """Of n solutions, all but one at v, the share of the one at w lies outside (1/n) r^m and (1/n) r^-m."""
    count = _ball(calculus, motion.count, v)
    small, large = (_ball(calculus, motion.quantity, point) for point in (v, w))
    factor = _rational((w[calculus.variable] / v[calculus.variable]) ** abs(motion.power))
    if motion.power < 0:
        factor = 1 / factor
    shares = (count * x / (x + (count - 1) * y) for x, y in ((large, small), (small, large)))
    return any(bool(share > factor) or bool(share * factor < 1) for share in shares)


# ---- values
def _rational(value: Fraction) -> Any:
    import flint

    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _ball(calculus: Calculus, tree: Tree, point: Point) -> Any:
    """A ball that contains the value of an expression at a point."""
    rules = dict(calculus.generators)

    def commutative(poly: Commutative) -> Any:
        total = _rational(Fraction(0))
        for mono, coefficient in poly.items():
            term = _rational(coefficient)
            for name, exponent in mono:
                term *= of_name(name) ** exponent
            total += term
        return total

    def of_tree(inner: Tree) -> Any:
        top, bottom = Field(rules).quotient(inner)
        return commutative(top) / commutative(bottom)

    def of_name(name: str) -> Any:
        if name not in rules:
            return _rational(point[name])
        kind, *arguments = rules[name]
        values = [of_tree(argument) for argument in arguments] if kind != "flow" else []
        match kind:
            case "log":
                return values[0].log()
            case "exp":
                return values[0].exp()
            case "power":
                return values[0] ** values[1]
            case _:
                raise Unknown

    found = of_tree(tree)
    if not found.is_finite():
        raise Unknown
    return found


def _sign(calculus: Calculus, tree: Tree, point: Point) -> int:
    """1 or -1 if certain, 0 if the value may be zero."""
    try:
        value = _ball(calculus, tree, point)
    except (Unknown, ZeroDivisionError):
        return 0
    return 1 if value > 0 else -1 if value < 0 else 0


# ---- limits
def _vanishes_at_infinity(calculus: Calculus, tree: Tree, parameters: Point) -> bool:
    """Whether a rational function of w and log w tends to 0, at given values of the other parameters."""
    logs = [name for name, rule in calculus.generators if rule == ("log", calculus.variable)]
    if len(logs) != len(calculus.generators):
        raise Unknown
    top, bottom = (_leading(poly, calculus.variable, logs, parameters) for poly in calculus.quotient(tree))
    if bottom is None:
        raise Unknown
    return top is None or top < bottom


def _leading(poly: Commutative, variable: str, logs: list[str], parameters: Point) -> tuple[int, int] | None:
    """The largest degree in w, then in log w, with a coefficient that is not zero."""
    found: dict[tuple[int, int], Fraction] = {}
    for mono, coefficient in poly.items():
        powers = dict(mono)
        degree = powers.pop(variable, 0), sum(powers.pop(name, 0) for name in logs)
        for name, exponent in powers.items():
            coefficient *= parameters[name] ** exponent
        found[degree] = found.get(degree, Fraction(0)) + coefficient
    return max((degree for degree, value in found.items() if value), default=None)
