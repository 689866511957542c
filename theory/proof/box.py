"""Inequalities with exp, log and real powers on boxes, bounded or not, of reals and integers: search by bisection.

A box is cut in two until interval arithmetic shows on every part that the expression is positive. Parts may reach to
infinity: 1/(L + 1) on L >= 3 is the interval [0, 1/4], so the integers are covered to the last one as soon as the
expression is written in 1/L, 1/(L + 1), ... That is what a *form* does: a positive factor is divided out, as K out of
K 2^(1/K) - K, and what is left is written in such reciprocals. A form also removes zeros at the ends of a box.

The search evaluates the very intervals that the checker will evaluate; points are evaluated in ball arithmetic (Arb),
and one at which the expression is certainly not positive refutes the inequality.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, product
from typing import Any

import sympy as sp

from .checker import (
    ZERO,
    Algebra,
    Box,
    Edge,
    Elementary,
    Enclosure,
    Inequality,
    Rejected,
    Tree,
    delicate_parts,
    domain,
    names_in,
    render_box,
    shows_defined,
    with_value,
)

Point = Mapping[str, Fraction]


@dataclass(frozen=True)
class Limits:
    """When to give up. The inequalities of tests/test_box.py take at most depth 9, 101 parts and a second."""

    depth: int = 60
    parts: int = 3000
    seconds: float = 20.0


@dataclass(frozen=True)
class Form:
    """``expression = factor * remainder`` with a factor that is positive on the box."""

    factor: Tree
    remainder: Tree


@dataclass(frozen=True)
class Outcome:
    """Trees of cuts that cover the boxes, or a point at which the inequality fails, or the part that stayed open."""

    forms: tuple[Form, ...] = ()
    trees: tuple[Any, ...] = ()
    witness: Point | None = None
    value: str = ""  # at the witness
    stuck: str = ""
    parts: int = 0
    seconds: float = 0.0

    @property
    def result(self) -> str:
        return "refuted" if self.witness is not None else "open" if self.stuck else "proved"


# --------------------------------------------------------------------------------------------------------- points


def fails_at(tree: Tree, point: Point) -> str | None:
    """What is wrong at a point, with certainty: a value that is not positive, or none; ``None`` if nothing is known.

    Examples:
        >>> fails_at(("+", "x", ("*", "-1", ("exp", "x"))), {"x": Fraction(1)})[:8]
        '[-1.7182'
        >>> fails_at(("+", ("^", "x", "2"), "-1"), {"x": Fraction(1)})
        '0'
        >>> fails_at(("log", "x"), {"x": Fraction(0)})
        'undefined'
    """
    import flint

    defined = False
    for bits in (64, 256):
        with flint.ctx.workprec(bits):
            try:
                value = ball(tree, point)
            except Undefined:
                return "undefined"
            except Undecided:
                continue
            defined = True
            if value > 0:
                return None
            if value < 0:
                return str(value.str(10))
    elementary = Elementary()
    try:
        return "0" if defined and elementary.vanishes(elementary.named(at_point(tree, point))) else None
    except Rejected:
        return None


def at_point(tree: Tree, point: Point) -> Tree:
    for name, value in point.items():
        tree = with_value(tree, name, value)
    return tree


def fails_in(inequality: Inequality, algebra: Algebra, point: Point) -> bool:
    """Whether the point lies in one of the boxes and the inequality certainly fails there."""
    if any(name not in point or point[name] not in bounds for name, bounds in algebra.parameters.items()):
        return False
    inside = any(
        all(edge.covers(Edge(point[name], point[name])) for name, edge in box.items())
        for box in domain(algebra, inequality)
    )
    return inside and fails_at(inequality.tree, point) is not None


class Undefined(ArithmeticError):
    """Certainly a division by zero or a logarithm of what is not positive."""


class Undecided(ArithmeticError):
    """Perhaps one, at this precision."""


def ball(tree: Tree, point: Point) -> Any:
    """The value in ball arithmetic."""
    import flint

    if isinstance(tree, str):
        value = point[tree] if tree in point else Fraction(tree)
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    operator, *arguments = tree
    if operator == "^":
        base, exponent = ball(arguments[0], point), int(arguments[1])
        return base**exponent if exponent >= 0 else 1 / nonzero(base) ** -exponent
    values = [ball(argument, point) for argument in arguments]
    total = values[0]
    if operator == "exp":
        return total.exp()
    if operator == "exprel":
        return total.expm1() / nonzero(total) if total != 0 else flint.arb(1)
    if operator == "log":
        if total <= 0:
            raise Undefined
        if not total > 0:
            raise Undecided
        return total.log()
    for value in values[1:]:
        if operator == "+":
            total = total + value
        elif operator == "*":
            total = total * value
        else:
            total = total / nonzero(value)
    return total


def nonzero(value: Any) -> Any:
    if value == 0:
        raise Undefined
    if value.contains(0):
        raise Undecided
    return value


def samples(box: Box, names: Sequence[str]) -> Iterator[Point]:
    """Points of a box: its corners, its middle, small and large values; of integers integers only."""

    def values(edge: Edge) -> list[Fraction]:
        low = edge.low if edge.low is not None else min(edge.high or Fraction(0), Fraction(0)) - 3
        steps = (0, 1, 2, 3, 5, 10, 100, 10**4) if edge.integer else (0, Fraction(1, 50), Fraction(1, 2), 2, 20, 1000)
        found = [low + step for step in steps]
        if edge.high is not None:
            middle = (low + edge.high) / 2
            found += [edge.high, Fraction(middle.numerator // middle.denominator) if edge.integer else middle]
        found = [x for x in dict.fromkeys(found) if edge.high is None or x <= edge.high]
        return [x for x in found if not (edge.open and x == edge.low)]

    for chosen in product(*(values(box[name]) for name in names)):
        yield dict(zip(names, chosen, strict=True))


# ---------------------------------------------------------------------------------------------------------- forms


def forms(tree: Tree, box: Box, factor: Tree | None = None) -> Iterator[Form]:
    """Ways to write an expression: as a factor; in reciprocals of the unbounded; e^a moreover as 1 + a exprel(a)."""
    yield Form(tree, "1")
    exponential = any(part[0] == "exp" for part in subtrees(tree) if not isinstance(part, str))
    for relative in (False, True) if exponential else (False,):
        with suppress(Rejected, ArithmeticError, NotImplementedError, sp.PolynomialError):
            yield Compact(tree, box, relative).form(factor)


def subtrees(tree: Tree) -> Iterator[Tree]:
    yield tree
    if not isinstance(tree, str):
        for part in tree[1:]:
            yield from subtrees(part)


@dataclass
class Compact:
    """Rewriting in s = 1/(x + c) for every x without an upper end, so that infinity is s = 0."""

    tree: Tree
    box: Box
    relative: bool = False  # e^a as 1 + a exprel(a), so that zeros at the ends of a box become factors
    symbols: dict[str, sp.Symbol] = field(default_factory=dict[str, sp.Symbol])
    functions: dict[sp.Symbol, tuple[str, Tree]] = field(default_factory=dict[sp.Symbol, tuple[str, Tree]])
    shifts: dict[str, Fraction] = field(default_factory=dict[str, Fraction])

    def __post_init__(self) -> None:
        names = sorted(names_in(self.tree) & self.box.keys())
        self.symbols = {name: sp.Dummy(name) for name in names}
        for name in names:
            low = self.box[name].low
            if self.box[name].high is None and low is not None:
                self.shifts[name] = self.shift(name, low)
        self.inverted = {name: sp.Dummy(f"1/{name}") for name in self.shifts}

    def shift(self, name: str, low: Fraction) -> Fraction:
        """c from a divisor x + c that is positive for x >= low."""
        for _, part in delicate_parts(self.tree):
            match part:
                case ("+", str(a), str(b)) if name in (a, b):
                    other = b if a == name else a
                    if other not in self.box and low + Fraction(other) > 0:
                        return Fraction(other)
        return Fraction(0) if low > 0 else 1 - low

    def form(self, factor: Tree | None) -> Form:
        """The expression over a given factor, or term by term over a power of every unbounded x + c."""
        whole = self.rational(self.tree)
        if factor is not None:
            return Form(factor, self.written(self.tidy(whole / self.rational(factor))))
        common: Tree = "1"
        factors: list[Any] = [self.tidy(whole)]
        if isinstance(factors[0], sp.Mul):
            factors = list(factors[0].args)
        elementary, reciprocals = Elementary(), set(self.inverted.values())
        for part in (signed for unsigned in factors for signed in (unsigned, -unsigned)):
            if part.free_symbols and part.as_base_exp()[0] not in reciprocals:
                tree = self.written(part)
                if elementary.positive(tree, self.box):
                    common, whole = ("*", common, tree), self.tidy(whole / part)
        whole = self.tidy(whole) if self.relative else whole
        terms: list[Any] = [self.tidy(term) for term in (whole.args if isinstance(whole, sp.Add) else (whole,))]
        power: Tree = common
        for name, s in self.inverted.items():
            order = max((pole_order(term, s) for term in terms), default=0)
            if order:
                power = ("*", power, ("^", self.base(name), str(order)))
                terms = [self.tidy(term * s**order) for term in terms]
        return Form(power, self.written(sp.Add(*terms)))

    def base(self, name: str) -> Tree:
        shift = self.shifts[name]
        return ("+", name, str(shift)) if shift else name

    @staticmethod
    def tidy(expr: sp.Expr) -> sp.Expr:
        return sp.factor(sp.cancel(sp.together(expr)))

    def rational(self, tree: Tree) -> sp.Expr:
        """The expression as a rational function of s, the bounded x, and symbols for exponentials and logarithms."""
        if isinstance(tree, str):
            if tree in self.inverted:
                return 1 / self.inverted[tree] - rational_number(self.shifts[tree])
            return self.symbols[tree] if tree in self.symbols else rational_number(Fraction(tree))
        operator, *arguments = tree
        if operator == "^":
            if abs(int(arguments[1])) > MOST_EXPANDED:
                raise NotImplementedError("a power that is too long when written out")
            return self.rational(arguments[0]) ** int(arguments[1])
        if operator in ("exp", "log"):
            return self.function(operator, arguments[0])
        values = [self.rational(argument) for argument in arguments]
        if operator == "+":
            return sp.Add(*values)
        return sp.Mul(*values) if operator == "*" else values[0] / values[1]

    def function(self, operator: str, argument: Tree) -> Any:
        """A symbol for a function; its argument is rewritten where that makes its interval finite."""
        value = self.tidy(self.rational(argument))
        if operator == "exp" and self.relative:
            return self.relative_exponential(value)
        return self.symbol(operator, min((argument, self.written(value)), key=self.infinite_ends))

    def relative_exponential(self, argument: Any) -> Any:
        """b^k e^a for an argument a + k log b with integers k, and e^a = 1 + a exprel(a)."""
        factor, argument = sp.S.One, sp.expand(argument)
        for symbol, (kind, inner) in list(self.functions.items()):
            if kind == "log":
                times = argument.coeff(symbol).as_independent(*argument.free_symbols - {symbol}, as_Add=True)[0]
                if isinstance(times, sp.Integer):
                    factor, argument = factor * self.rational(inner) ** times, argument - times * symbol
        argument = self.tidy(sp.expand(argument))
        if argument == 0:
            return factor
        return factor * (1 + argument * self.symbol("exprel", self.written(argument)))

    def symbol(self, operator: str, best: Tree) -> sp.Symbol:
        for symbol, known in self.functions.items():
            if known == (operator, best):
                return symbol
        symbol = sp.Dummy(operator)
        self.functions[symbol] = operator, best
        return symbol

    def infinite_ends(self, tree: Tree) -> int:
        try:
            return sum(end[0] != 0 for end in Enclosure(self.box)(tree))
        except Rejected:
            return 2

    def written(self, expr: sp.Expr) -> Tree:
        """Back to a tree, with 1/(x + c) for s."""
        if isinstance(expr, sp.Rational):
            return str(Fraction(int(expr.p), int(expr.q)))
        if isinstance(expr, sp.Symbol):
            if expr in self.functions:
                return self.functions[expr]
            for name, s in self.inverted.items():
                if expr == s:
                    return ("/", "1", self.base(name))
            return next(name for name, symbol in self.symbols.items() if symbol == expr)
        if isinstance(expr, sp.Add | sp.Mul):
            return ("+" if isinstance(expr, sp.Add) else "*", *(self.written(part) for part in expr.args))
        if isinstance(expr, sp.Pow) and isinstance(expr.exp, sp.Integer):
            return ("^", self.written(expr.base), str(int(expr.exp)))
        raise NotImplementedError(str(expr))


def rational_number(value: Fraction) -> sp.Rational:
    return sp.Rational(value.numerator, value.denominator)


def pole_order(expr: sp.Expr, symbol: sp.Symbol) -> int:
    """k such that expr * symbol^k is finite and not zero at symbol = 0, of a rational function."""
    if expr == 0:
        return -(10**6)
    top, bottom = sp.fraction(sp.together(expr))
    lowest = [min(monom[0] for monom in sp.Poly(part, symbol).monoms()) for part in (bottom, top)]
    return lowest[0] - lowest[1]


# --------------------------------------------------------------------------------------------------------- search


class Stuck(Exception):
    """A part of a box on which nothing was decided within the limits."""


class Refuted(Exception):
    """A point at which the inequality fails."""

    def __init__(self, point: Point, value: str) -> None:
        super().__init__(value)
        self.point, self.value = point, value


MOST_EXPANDED = 60  # exponents: longer powers are not written out
PLAIN = -1  # the expression as it stands, without a form


@dataclass
class Search:
    """Bisection of the boxes of one inequality."""

    inequality: Inequality
    algebra: Algebra
    factor: Tree | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.names = sorted(names_in(self.inequality.tree) & self.algebra.parameters.keys())
        self.forms: list[Form] = []
        self.usable: dict[int, tuple[Tree, Collection[Tree]]] = {}
        self.parts, self.most = 0, self.limits.parts
        self.started = time.process_time()

    def run(self) -> Outcome:
        trees: list[Any] = []
        witness, value, stuck = None, "", ""
        try:
            boxes = domain(self.algebra, self.inequality)
            for box in boxes:
                for point in islice(samples(box, self.names), 400):
                    self.test(point)
            for box in boxes:
                trees.append(self.tree(box))
        except Refuted as found:
            witness, value = found.point, found.value
        except (Stuck, Rejected) as error:
            stuck = str(error)
        seconds = time.process_time() - self.started
        used = sorted({number for tree in trees for number in forms_in(tree)})
        trees = [renumbered(tree, used) for tree in trees]
        return Outcome(tuple(self.forms[i] for i in used), tuple(trees), witness, value, stuck, self.parts, seconds)

    def tree(self, box: Box) -> Any:
        """A tree of cuts for a box; with relative exponentials only where it takes them, since they are slower."""
        candidates = forms(self.inequality.tree, box, self.factor)
        self.usable = {PLAIN: (self.inequality.tree, Elementary().positive_parts(box, self.inequality.tree))}
        self.prepare(box, islice(candidates, 2))
        allowed, self.most = self.most, self.parts + self.limits.parts // 4
        try:
            return wrapped(*self.cover(box, 0))
        except Stuck:
            self.most = allowed
            self.prepare(box, candidates)
            return wrapped(*self.cover(box, 0))
        finally:
            self.most = allowed

    def test(self, point: Point) -> None:
        value = fails_at(self.inequality.tree, point)
        if value is not None:
            raise Refuted(point, value)

    def prepare(self, box: Box, candidates: Iterable[Form]) -> None:
        """Add the forms that may be used on a box, each with the parts of it that are visibly positive."""
        elementary, tree = Elementary(), self.inequality.tree
        for form in candidates:
            needed = [form.factor, *(part for _, part in delicate_parts(form.factor))]
            if all(elementary.positive(part, box) for part in needed):
                if form not in self.forms:
                    self.forms.append(form)
                positive = elementary.positive_parts(box, tree, form.remainder)
                self.usable[self.forms.index(form)] = form.remainder, positive

    def low(self, number: int, box: Box) -> Any:
        """The lower end of the expression in one of its forms; ``None`` where it may be undefined."""
        tree, positive = self.usable[number]
        enclosure = Enclosure(box, positive)
        try:
            for kind, part in delicate_parts(self.inequality.tree):
                if part not in positive and not shows_defined(enclosure, kind, part):
                    return None
            return enclosure(tree)[0]
        except Rejected:
            return None

    def cover(self, box: Box, depth: int) -> tuple[Any, int | None]:
        """A tree of cuts and the form in which all of its leaves are positive; ``None`` if they differ."""
        self.parts += 1
        lows = {number: self.low(number, box) for number in self.usable}
        for number, low in lows.items():
            if low is not None and low > ZERO:
                return "positive", number
        for point in islice(samples(box, self.names), 40):
            self.test(point)
        best = max(lows, key=lambda number: (lows[number] is not None, lows[number] or ZERO))
        seconds = time.process_time() - self.started
        cuts = [(name, at) for name in self.names if (at := middle(box[name])) is not None]
        if depth >= self.limits.depth or self.parts >= self.most or seconds > self.limits.seconds or not cuts:
            raise Stuck(f"undecided after {self.parts} parts, on {render_box(box)}")

        def gain(cut: tuple[str, Fraction]) -> Any:
            ends = [self.low(best, half) for half in halves(box, *cut)]
            size = width(box[cut[0]])
            if None in ends:
                return 0, size
            return 1, min(ends), max(ends), size

        name, at = max(cuts, key=gain)
        below, above = (self.cover(half, depth + 1) for half in halves(box, name, at))
        if below[1] == above[1] is not None:
            return ["cut", name, str(at), below[0], above[0]], below[1]
        return ["cut", name, str(at), wrapped(*below), wrapped(*above)], None


def wrapped(node: Any, form: int | None) -> Any:
    return node if form is None or form == PLAIN else ["form", form, node]


def forms_in(tree: Any) -> Iterator[int]:
    """The numbers of the forms that a tree of cuts uses."""
    if isinstance(tree, list):
        if tree[0] == "form":
            yield tree[1]
        for part in tree[2:]:
            yield from forms_in(part)


def renumbered(tree: Any, used: Sequence[int]) -> Any:
    if not isinstance(tree, list):
        return tree
    first = used.index(tree[1]) if tree[0] == "form" else tree[1]
    return [tree[0], first, *(renumbered(part, used) for part in tree[2:])]


def halves(box: Box, name: str, at: Fraction) -> tuple[Box, Box]:
    below, above = box[name].cut(at)
    return {**box, name: below}, {**box, name: above}


def width(edge: Edge) -> Fraction:
    """The size of an edge in 1/x, roughly: what is left of a cut at twice the lower end."""
    if edge.low is None or edge.high is None:
        return Fraction(10**9)
    return (edge.high - edge.low) / max(abs(edge.low), abs(edge.high), Fraction(1))


def middle(edge: Edge) -> Fraction | None:
    """Where to cut; of an unbounded edge at twice its end. ``None`` if nothing is left to cut."""
    low, high = edge.low, edge.high
    if low is not None and high is not None:
        at = (low + high) / 2
    elif low is not None:
        at = max(2 * low, low + 1)
    elif high is not None:
        at = min(2 * high, high - 1)
    else:
        at = Fraction(0)
    if edge.integer:
        at = Fraction(at.numerator // at.denominator)
    return None if high is not None and (at >= high or low == high) else at


def prove(
    inequality: Inequality, algebra: Algebra, factor: Tree | None = None, limits: Limits | None = None
) -> Outcome:
    """Search trees of cuts that show the inequality, or a point at which it fails.

    Examples:
        >>> from tightframe.theory.proof.checker import Range
        >>> algebra = Algebra({"n": Range(Fraction(1), integer=True)})
        >>> prove(Inequality(("+", ("exp", ("/", "1", "n")), "-1"), ((),)), algebra).result
        'proved'
        >>> found = prove(Inequality(("+", ("exp", "n"), ("*", "-3", "n")), ((),)), algebra)
        >>> found.result, found.witness, found.value
        ('refuted', {'n': Fraction(1, 1)}, '[-0.2817181715 +/- 4.10e-11]')
    """
    return Search(inequality, algebra, factor, limits or Limits()).run()
