"""Polynomial inequalities in real and integer parameters: refuted by an exact point, or proved with a certificate.

``p > 0`` or ``p >= 0`` on the ranges of the parameters and under polynomial hypotheses. Search is untrusted: points are
evaluated in rational arithmetic before they count, certificates are replayed by the checker's rule ``poly`` before they
are returned. In this order:

1. points on a grid, near the roots and random ones;
2. coefficients over the ranges, Sturm's theorem for one variable, a completed square, sums of products of two known
   inequalities;
3. z3, in a process with a time limit: a model is rounded to exact points, nearby ones and integers included;
4. cases (splitting ranges, down to single integers), sums of products of more known inequalities.

Where z3 finds no counterexample and no certificate is found either, the outcome is ``attested``: the SMT-LIB text that
z3 decided is the record, and nothing is proved.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise, product
from typing import Any, Literal

import sympy as sp

from . import checker, products, solver
from .certificate import polynomial_json
from .checker import (
    SCALAR_KINDS,
    Commutative,
    Model,
    Reader,
    Region,
    Rejected,
    Segment,
    Statement,
    add,
    commutative,
    compose,
    holds,
    monomial,
)
from .inequality import Data, Point, Problem, Query, labels, smtlib


@dataclass(frozen=True)
class Limits:
    """How far to search. ``seconds`` is a limit for each of z3 and the search of a certificate."""

    seconds: float = 5.0
    megabytes: int = 2048  # of z3
    degree: int = 4  # factors in a product of known inequalities
    columns: int = 3_000  # products in one linear program
    nodes: int = 200  # boxes that are looked at in a search of cases


@dataclass(frozen=True)
class Decision:
    """``proved`` comes with the data of the rule, ``refuted`` with an exact model, ``attested`` with z3's text."""

    outcome: Literal["proved", "refuted", "attested", "undecided"]
    data: Data | None = None
    witness: Model | None = None
    smtlib: str | None = None
    reason: str = ""


def decide(problem: Problem, limits: Limits = Limits()) -> Decision:
    """Prove or refute ``p > 0`` or ``p >= 0``; see the module for the order of the search.

    Examples:
        >>> from fractions import Fraction as F
        >>> from tightframe.theory.proof.checker import Algebra, Range, Statement
        >>> algebra = Algebra({"x": Range(F(0)), "n": Range(F(3), integer=True)})
        >>> p = algebra.scalar({(("n", 2),): F(1), (("n", 1), ("x", 1)): F(-2), (("x", 2),): F(1), (): F(1)})
        >>> found = decide(Problem(algebra, Statement("positive", p)))  # (n - x)^2 + 1
        >>> found.outcome, found.data["by"]
        ('proved', 'products')
        >>> p = algebra.minus(p, algebra.scalar({(): F(1)}))
        >>> found = decide(Problem(algebra, Statement("positive", p)))
        >>> found.outcome, found.witness.parameters
        ('refuted', {'n': Fraction(3, 1), 'x': Fraction(3, 1)})
    """
    if problem.goal.kind not in SCALAR_KINDS:
        return Decision("undecided", reason="poly decides inequalities of scalars")
    try:
        commutative(problem.goal.target)
        bounds = problem.bounds()
        region = problem.region(bounds)
    except Rejected as error:
        return Decision("undecided", reason=str(error))
    everywhere = True  # as far as is known, the goal holds even where a hypothesis does not
    for point in islice(_points(problem, region), 3_000):
        if not everywhere and problem.clearly_excluded(point):
            continue
        model = problem.fails_at(point)
        if model is not None:
            everywhere = False
            witness = problem.refuted_by(point, model)
            if witness is not None:
                return Decision("refuted", witness=witness, reason="false at an exact point")
    extra: Data = {"bounds": bounds} if bounds else {}
    for data in _quick_certificates(problem, region, limits, everywhere):
        if problem.accepted(data | extra):
            return Decision("proved", data=data | extra)
    attested: str | None = None
    reasons: list[str] = []
    for over in _queries(problem, region):
        text = smtlib(problem, over)
        answer = solver.ask(text, limits.seconds, limits.megabytes)
        verdict = answer.verdict
        if over == "small exponents" and verdict == "unsat":  # which says nothing of others
            break
        said = "a model that no exact point near it confirms" if verdict == "sat" else answer.reason or verdict
        reasons.append(f"z3 over {over}: {said}")
        if verdict == "sat":
            for point in _near(problem, region, answer.values):
                witness = problem.refuted_at(point)
                if witness is not None:
                    return Decision("refuted", witness=witness, reason="false at an exact point")
        if verdict == "unsat":
            attested = text
            break
    for data in _certificates(problem, region, limits, everywhere):
        if problem.accepted(data | extra):
            return Decision("proved", data=data | extra)
    if attested is not None:
        return Decision("attested", smtlib=attested, reason="z3 finds no counterexample; no certificate was found")
    return Decision("undecided", reason="; ".join([*reasons, "no certificate was found"]))


def _queries(problem: Problem, region: Region) -> Iterator[Query]:
    yield "reals"
    if any(region.interval(name).integer for name in problem.parameters):
        yield "integers"
    if problem.names & problem.algebra.powers.keys():
        yield "small exponents"


Searches = Callable[[Problem, Commutative, float], Sequence[Callable[[], Data | None]]]


def _quick_certificates(problem: Problem, region: Region, limits: Limits, everywhere: bool) -> Iterator[Data]:
    """What is found in less time than z3 takes to start."""
    data = _leaf(problem, region) if everywhere else None
    if data is not None:
        yield data
    few = replace(limits, degree=min(2, limits.degree), seconds=min(0.5, limits.seconds))
    yield from _searched(
        problem,
        region,
        few,
        lambda cleared, terms, stop: (
            lambda: products.completed_square(cleared, terms),
            lambda: products.search(cleared, region, (), few, stop),
        ),
    )


def _certificates(problem: Problem, region: Region, limits: Limits, everywhere: bool) -> Iterator[Data]:
    """What may take long. Cases are of no use where the goal fails outside of the hypotheses: these do not enter."""
    yield from _searched(
        problem,
        region,
        limits,
        lambda cleared, _, stop: (
            lambda: _cases(cleared, region, limits.nodes // 5, stop) if everywhere else None,
            lambda: products.search(cleared, region, islice(_zeros(cleared, region), 6), limits, stop),
            lambda: _cases(cleared, region, limits.nodes, stop) if everywhere else None,
            lambda: _integer_cases(cleared, region, limits, stop),
        ),
    )


def _searched(problem: Problem, region: Region, limits: Limits, searches: Searches) -> Iterator[Data]:
    """Data of the rule, from searches that look at the goal without denominators."""
    stop = time.process_time() + limits.seconds
    scale: Commutative = {(): Fraction(1)}
    try:
        terms = region.cleared(problem.terms)
        if terms != problem.terms:
            (before, after) = (next(iter(poly)) for poly in (problem.terms, terms))
            scale = {monomial((*after, *((name, -e) for name, e in before))): Fraction(1)}
            problem = replace(problem, goal=Statement(problem.goal.kind, problem.algebra.scalar(terms)))
    except Rejected:  # a denominator without a sign
        terms = problem.terms
    for search in searches(problem, terms, stop):
        try:
            data = search()
        except Rejected:  # a limit on sizes was met
            continue
        if data is not None:
            yield _scaled(data, polynomial_json(problem.algebra.scalar(scale))) if any(scale) else data


def _scaled(data: Data, scale: Data) -> Data:
    """The data for a goal that the scale was divided out of."""
    if data["by"] == "cases":
        return data | {side: _scaled(data[side], scale) for side in ("below", "above")}
    if data["by"] != "products":
        return data
    multiplier = [{**entry, "factors": [*entry.get("factors", []), scale]} for entry in data.get("multiplier", [])]
    return data | {"multiplier": multiplier or [{"c": "1", "factors": [scale]}]}


# ------------------------------------------------------------------------------------------------------- points


def _values(interval: Segment) -> list[Fraction]:
    """Some values of an interval, its ends and what lies near them first."""
    steps = [Fraction(0), Fraction(1), Fraction(1, 2), Fraction(2), Fraction(1, 10), Fraction(3), Fraction(10)]
    steps += [Fraction(1, 1000), Fraction(100), Fraction(3, 4), Fraction(10_000)]
    low, high = interval.low, interval.high
    if low is not None and high is not None:
        found = [low, high, (low + high) / 2, *(low + (high - low) * Fraction(k, 10) for k in (1, 9, 3, 7))]
    elif low is not None:
        found = [low + step for step in steps]
    elif high is not None:
        found = [high - step for step in steps]
    else:
        found = [value for step in steps for value in (step, -step)]
    if interval.integer:
        found = [Fraction(round(value)) for value in found]
    return [value for value in dict.fromkeys(found) if inside(interval, value)]


def inside(interval: Segment, value: Fraction) -> bool:
    if interval.integer and value.denominator != 1:
        return False
    above = interval.low is None or value > interval.low or (value == interval.low and not interval.low_open)
    return above and (
        interval.high is None or value < interval.high or (value == interval.high and not interval.high_open)
    )


def _points(problem: Problem, region: Region) -> Iterator[Point]:
    """A grid, points around the real roots of a polynomial in one variable, then random points; always the same."""
    names = problem.parameters
    choices = [_values(region.interval(name)) for name in names]
    size = next(size for size in (11, 7, 5, 4, 3, 2, 1) if size ** len(names) <= 700 or size == 1)
    for values in islice(product(*(choice[:size] for choice in choices)), 700):
        yield dict(zip(names, values, strict=True))
    if len(names) == 1:
        yield from ({names[0]: value} for value in _around_roots(problem.terms))
    rng = random.Random(0)
    if all(choices):
        for _ in range(400):
            yield {
                name: _random(rng, region.interval(name), choice) for name, choice in zip(names, choices, strict=True)
            }


def _zeros(problem: Problem, region: Region) -> Iterator[Point]:
    """Points where the goal vanishes and the hypotheses hold."""
    equation = Statement("zero", problem.goal.target)
    for point in islice(_points(problem, region), 300):
        if problem.clearly_holds(point):
            continue
        try:
            model = problem.model(point)
            if model is not None and all(
                holds(statement, problem.algebra, model) for statement in (equation, *problem.hypotheses.values())
            ):
                yield point
        except Rejected:
            continue


def _random(rng: random.Random, interval: Segment, choice: Sequence[Fraction]) -> Fraction:
    shift = Fraction(rng.randint(-30, 30), 1 if interval.integer else rng.choice((1, 2, 3, 5, 7, 16)))
    value = rng.choice(choice) + shift
    return value if inside(interval, value) else rng.choice(choice)


def _around_roots(terms: Commutative) -> list[Fraction]:
    """Points between and next to the isolating intervals of the real roots."""
    names = {name for mono in terms for name, _ in mono}
    if len(names) != 1 or any(e < 0 for mono in terms for _, e in mono):
        return []
    (name,) = names
    symbol = sp.Symbol("x")
    poly = sp.Poly(
        {(dict(mono).get(name, 0),): sp.Rational(x.numerator, x.denominator) for mono, x in terms.items()}, symbol
    )
    ends: list[Fraction] = []
    intervals: Any = poly.intervals(eps=sp.Rational(1, 1 << 20))
    for (low, high), _ in intervals:
        ends += [Fraction(int(low.p), int(low.q)), Fraction(int(high.p), int(high.q))]
    whole = [Fraction(end.numerator // end.denominator + k) for end in ends for k in (0, 1)]
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    outside = [ends[0] - 1, ends[-1] + 1] if ends else []
    return list(dict.fromkeys([*ends, *middles, *outside, *whole]))


def _near(problem: Problem, region: Region, values: Mapping[str, Fraction]) -> Iterator[Point]:
    """A model of z3 and simpler or integer points near it."""
    names = problem.parameters
    named = labels(problem)
    choices: list[list[Fraction]] = []
    for name in names:
        interval = region.interval(name)
        value = values.get(named[name])
        if value is None:
            choices.append(_values(interval)[:2] or [Fraction(0)])
            continue
        floor = Fraction(value.numerator // value.denominator)
        near = (
            [floor, floor + 1] if interval.integer else [value, *(value.limit_denominator(10**k) for k in (0, 1, 3, 6))]
        )
        choices.append([v for v in dict.fromkeys(near) if inside(interval, v)])
    for found in islice(product(*choices), 2_000):
        yield dict(zip(names, found, strict=True))


# --------------------------------------------------------------------------------------------- expansion and Sturm


def _leaf(problem: Problem, region: Region) -> Data | None:
    """A certificate on one region without products: the signs of coefficients, or Sturm's theorem."""
    data: Data = {"by": "expansion"}
    found = region.sign(problem.goal.target)
    if found == "positive" or (found == "nonnegative" and not problem.strict):
        return data
    try:
        terms = region.cleared(problem.terms)
    except Rejected:
        return None
    pinned: dict[str, Commutative] = {}
    for name in {name for mono in terms for name, _ in mono}:
        interval = region.interval(name)
        if interval.low is not None and interval.low == interval.high:
            pinned[name] = add({}, {(): interval.low})
    terms = compose(terms, pinned)
    names = {name for mono in terms for name, _ in mono}
    if len(names) != 1 or any(e < 0 for mono in terms for _, e in mono):
        return None
    data = {"by": "sturm"}
    if not problem.strict:
        square = _square_part(terms, *names)
        if any(mono for mono in square):
            data["square"] = polynomial_json(problem.algebra.scalar(square))
    return data if _accepted_on(problem, region, data) else None


def _accepted_on(problem: Problem, region: Region, data: Data) -> bool:
    try:
        checker.by_poly(region, problem.goal, Reader(problem.algebra), data, 0)
    except Rejected:
        return False
    return True


def _square_part(terms: Commutative, name: str) -> Commutative:
    """The product of g_i^(i // 2) where p = c times the product of g_i^i, each g_i without multiple roots."""
    symbol = sp.Symbol("x")
    poly = sp.Poly(
        {(dict(mono).get(name, 0),): sp.Rational(x.numerator, x.denominator) for mono, x in terms.items()}, symbol
    )
    square = sp.Poly(1, symbol)
    for factor, multiplicity in poly.sqf_list()[1]:
        square *= factor ** (multiplicity // 2)
    return {monomial([(name, e)]): Fraction(int(c.p), int(c.q)) for (e,), c in square.terms()}


# --------------------------------------------------------------------------------------------------------- cases


def _cases(problem: Problem, region: Region, nodes: int, stop: float) -> Data | None:
    """Split ranges until the signs of coefficients, or Sturm's theorem, decide every part."""
    names = sorted({name for mono in problem.terms for name, _ in mono} & problem.algebra.parameters.keys())
    left = [nodes]

    def prove(region: Region, data: Data | None, depth: int) -> Data | None:
        if data is not None:
            return data
        best: tuple[int, str, Fraction, list[tuple[Region, Data | None]]] | None = None
        for offset in range(len(names)):
            name = names[(depth + offset) % len(names)]
            at = _split(region.interval(name))
            if at is None:
                continue
            left[0] -= 2
            if left[0] < 0 or time.process_time() > stop or depth > 40:
                return None
            parts = [(part, _leaf(problem, part)) for part in _parts(region, name, at)]
            solved = sum(found is not None for _, found in parts)
            if best is None or solved > best[0]:
                best = (solved, name, at, parts)
            if solved:
                break
        if best is None:
            return None
        _, name, at, parts = best
        below, above = (prove(part, found, depth + 1) for part, found in parts)
        if below is None or above is None:
            return None
        return {"by": "cases", "split": name, "at": str(at), "below": below, "above": above}

    return prove(region, None, 0) if names else None


def _parts(region: Region, name: str, at: Fraction) -> tuple[Region, Region]:
    interval = region.interval(name)
    below = interval.below(at - 1 if interval.integer else at)
    return region.narrow(name, below), region.narrow(name, interval.above(at))


def _split(interval: Segment) -> Fraction | None:
    """The middle; of an unbounded interval, a point that moves away from its end twice as fast each time."""
    low, high = interval.low, interval.high
    if low is not None and high is not None:
        if low >= high:
            return None
        middle = (low + high) / 2
        return Fraction(-(-middle.numerator // middle.denominator)) if interval.integer else middle
    if low is not None:
        return Fraction(max(2 * (low.numerator // low.denominator), low.numerator // low.denominator + 1, 1))
    if high is not None:
        return Fraction(min(2 * -(-high.numerator // high.denominator), -(-high.numerator // high.denominator) - 1, -1))
    return Fraction(0)


def _integer_cases(problem: Problem, region: Region, limits: Limits, stop: float) -> Data | None:
    """The first values of one integer parameter, one by one, apart from all others; with products in every case."""

    def prove(part: Region) -> Data | None:
        return _leaf(problem, part) or products.search(problem, part, (), limits, stop)

    for name in problem.parameters:
        if not region.interval(name).integer or region.interval(name).low is None:
            continue
        rest, single = region, list[tuple[Fraction, Data]]()
        for _ in range(4):
            low, high = rest.interval(name).low, rest.interval(name).high
            if low is None or low == high:
                break
            first, rest = _parts(rest, name, low + 1)
            found = prove(first)
            if found is None:
                break
            single.append((low + 1, found))
            data = prove(rest)
            if data is not None:
                for at, below in reversed(single):
                    data = {"by": "cases", "split": name, "at": str(at), "below": below, "above": data}
                return data
    return None
