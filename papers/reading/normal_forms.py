"""Normal forms of several expressions in one ring, in which they are equal, multiples, or differ term by term."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import sympy as sp

from ...theory.proof.checker import (
    Algebra,
    Commutative,
    Elementary,
    Key,
    Monomial,
    Polynomial,
    Range,
    monomial,
)
from ...theory.proof.translation import Translation
from .latex_reader import Relation

DERIVATIVE = "derivative "  # no symbol of a claim begins so
Quotient = tuple[Any, Any]  # numerator and denominator, polynomials of FLINT
Entries = dict[Any, Quotient]  # by place: which expression, which word


class Incomparable(Exception):
    """The two have no common normal form, so that nothing can be said."""


@dataclass(frozen=True)
class Difference:
    """How a statement differs from a part of the claim; ``weight`` is small for a small difference."""

    text: str
    weight: int = 1


def opaque(expressions: Sequence[Any], translation: Translation, inner: Elementary) -> list[Any] | None:
    """The expressions with a symbol for each derivative, equal for derivatives of equal expressions.

    ``None`` if the second half has other derivatives than the first.
    """
    half = len(expressions) // 2
    known: list[tuple[Any, Any, Any]] = []
    counts = [Counter[str](), Counter[str]()]
    found: list[Any] = []
    for place, expression in enumerate(expressions):
        replaced: dict[Any, Any] = {}
        for derivative in sorted(expression.atoms(sp.Derivative), key=sp.default_sort_key):
            variables = derivative.variables
            tree = translation.elementary(derivative.expr)
            symbol = next((name for name, by, other in known if by == variables and inner.equal(tree, other)), None)
            if symbol is None:
                symbol = sp.Symbol(f"{DERIVATIVE}{len(known) + 1}", real=True)
                known.append((symbol, variables, tree))
            replaced[derivative] = symbol
            counts[place >= half][symbol.name] += 1
        found.append(expression.xreplace(replaced))
    return found if counts[0] == counts[1] else None


class Forms:
    """Normal forms of several expressions, as quotients of polynomials in one ring."""

    def __init__(self, algebra: Algebra, names: Iterable[str], expressions: Sequence[Any]) -> None:
        self.algebra = algebra
        self.expressions = expressions
        self.names = sorted(set(names)) or ["none"]
        self.context = flint.fmpq_mpoly_ctx.get([f"g{i}" for i in range(len(self.names))], flint.Ordering.degrevlex)
        self.generators = dict(zip(self.names, self.context.gens(), strict=True))
        self.entries: list[Entries] = []

    # ---- arithmetic
    def number(self, value: Fraction) -> Any:
        return self.context.constant(flint.fmpq(value.numerator, value.denominator))

    @staticmethod
    def reduced(top: Any, bottom: Any) -> Quotient:
        if bottom == 0:
            raise Incomparable("a division by zero")
        if top == 0:
            return top, bottom**0
        common = top.gcd(bottom)
        top, bottom = top / common, bottom / common
        lead = bottom.leading_coefficient()
        return top / lead, bottom / lead

    def plus(self, left: Quotient, right: Quotient, factor: int = 1) -> Quotient:
        return self.reduced(left[0] * right[1] + factor * right[0] * left[1], left[1] * right[1])

    def times(self, left: Quotient, right: Quotient) -> Quotient:
        return self.reduced(left[0] * right[0], left[1] * right[1])

    def divided(self, left: Quotient, right: Quotient) -> Quotient:
        return self.reduced(left[0] * right[1], left[1] * right[0])

    def polynomial(self, terms: Commutative) -> Any:
        total = self.context.constant(0)
        for mono, value in terms.items():
            part = self.number(value)
            for name, exponent in mono:
                part *= self.generators[name] ** exponent
            total += part
        return total

    # ---- lists of entries
    def minus(self, left: Entries, right: Entries) -> Entries:
        total = dict(left)
        zero = self.context.constant(0), self.context.constant(1)
        for key, value in right.items():
            total[key] = self.plus(total.get(key, zero), value, -1)
        return {key: value for key, value in total.items() if value[0] != 0}

    def joined(self, places: Iterable[int]) -> Entries:
        return {(i, key): value for i, place in enumerate(places) for key, value in self.entries[place].items()}

    def factor(self, ours: Entries, theirs: Entries) -> Quotient | None:
        """The scalar f with theirs = f ours."""
        if ours.keys() != theirs.keys():
            return None
        if not ours:
            return self.context.constant(1), self.context.constant(1)
        keys = list(ours)
        found = self.divided(theirs[keys[0]], ours[keys[0]])
        return found if all(self.times(found, ours[key]) == theirs[key] for key in keys) else None

    def is_one(self, factor: Quotient) -> bool:
        return bool(factor[0] == factor[1])

    def sign(self, factor: Quotient) -> str:
        """``+`` or ``-`` if the ranges show it, else nothing."""
        signs = [self._sign(part) for part in factor]
        return "" if "" in signs else "+" if signs[0] == signs[1] else "-"

    def allowed(self, ours: Entries, theirs: Entries, factor: Quotient, positive: bool = False) -> bool:
        """Whether a factor turns one statement into the other.

        It has to be nonzero, or positive, by the ranges. Of two numbers each is a multiple of the other, so that the
        numerators may differ by a monomial alone; and a single term, such as A B in A B = 0, has no other form.
        """
        sign = self.sign(factor)
        if not sign or (positive and sign == "-"):
            return False
        if self.is_one(factor) or self.is_one((-factor[0], factor[1])):
            return True
        if len(ours) > 1:
            return True
        (mine,), (read,) = ours.values(), theirs.values()
        top, bottom = self.reduced(read[0], mine[0])
        return len(mine[0]) > 1 and len(top) == 1 and len(bottom) == 1

    def _sign(self, poly: Any) -> str:
        for sign, scale in (("+", 1), ("-", -1)):
            terms: dict[Key, Fraction] = {
                (monomial((self.names[i], int(e)) for i, e in enumerate(powers) if e), (), None): Fraction(
                    int(scale * value.p), int(value.q)
                )
                for powers, value in poly.to_dict().items()
            }
            ranges = Algebra({name: self.range_of(name) for name in self.names})
            if ranges.sign(Polynomial(None, terms)) == "positive":
                return sign
        return ""

    def range_of(self, name: str) -> Range:
        raise NotImplementedError

    # ---- equations
    def equation(self, says: Relation, trivial: bool = False) -> Difference | None:
        """Sides 0 and 1 of the claim against sides 2 and 3, up to a factor that is not zero.

        ``trivial`` says that the sides of the claim are one expression already.
        """
        left, right, their_left, their_right = self.entries
        ours, theirs = self.minus(left, right), self.minus(their_left, their_right)
        if not ours:
            return self._identity(theirs, says, trivial)
        versions = [(their_left, their_right)]
        turned = [self.transposed(side) for side in versions[0]]
        if None not in turned:
            versions.append((turned[0] or {}, turned[1] or {}))
        for version in versions:
            factor = self.factor(ours, self.minus(*version))
            if factor is None:
                continue
            if self.allowed(ours, self.minus(*version), factor) and self._rearranged(factor, *version):
                return None
            if not all((left, right)) and not all(version):
                return Difference(f"by {self.by(factor)}, beside a side that is zero", self._weight(factor))
            return self._sides() or self.multiple(ours, self.minus(*version), factor)
        return self._sides() or self.described(ours, theirs)

    def _rearranged(self, factor: Quotient, their_left: Entries, their_right: Entries) -> bool:
        """Whether the equation is that of the claim times the factor, with terms moved.

        Terms that stand on both sides of the claim hide signs: with a + b = b also a - b = -b and b - a = b say the
        same, the last of which looks like an error. So with such terms both sides have to be multiples of the claim's.
        Beside a zero any factor is lost, and so an error in it: there it has to be 1 or -1.
        """
        left, right, *_ = self.entries
        if not all((left, right)) and not all((their_left, their_right)):
            return self.is_one(factor) or self.is_one((-factor[0], factor[1]))
        if self.is_one(factor) or not self._cancel(left, right):
            return True
        sides, swapped = (left, right), (right, left)
        for ours, sign in ((sides, 1), (swapped, -1)):
            scaled = [
                {key: self.times(value, (sign * factor[0], factor[1])) for key, value in side.items()} for side in ours
            ]
            if scaled == [their_left, their_right]:
                return True
        return False

    def _cancel(self, left: Entries, right: Entries) -> bool:
        """Whether terms of one side cancel with some of the other."""
        for key in left.keys() & right.keys():
            (a, b), (c, d) = left[key], right[key]
            common = b.gcd(d)
            first, second = a * (d / common), c * (b / common)
            if len(first - second) != len(first) + len(second):
                return True
        return False

    def _weight(self, factor: Quotient) -> int:
        return len(factor[0]) + len(factor[1])

    def _identity(self, theirs: Entries, says: Relation, trivial: bool) -> Difference | None:
        """The claim equates two forms of one expression: both sides have to be that, and not in one form."""
        left, right, their_left, their_right = self.entries
        if theirs:
            return self._sides() or self.described({}, theirs)
        if says.left == says.right and not trivial:
            return Difference("both sides are one expression", 5)
        for sides in ((left, right), (right, left)):
            ours = {(i, key): value for i, side in enumerate(sides) for key, value in side.items()}
            read = {(i, key): value for i, side in enumerate((their_left, their_right)) for key, value in side.items()}
            factor = self.factor(ours, read)
            if factor is not None and self.allowed(ours, read, factor):
                return None
        return Difference("an identity of another expression", 20)

    def _sides(self) -> Difference | None:
        """One side as in the claim, the other one by a factor or a transpose."""
        left, right, their_left, their_right = self.entries
        for ours, theirs, where in (
            ((left, right), (their_left, their_right), ("left", "right")),
            ((left, right), (their_right, their_left), ("right", "left")),
        ):
            for same in (0, 1):
                if ours[same] != theirs[same]:
                    continue
                side = where[1 - same]
                factor = self.factor(ours[1 - same], theirs[1 - same])
                if factor is not None and ours[1 - same]:
                    found = self.multiple(ours[1 - same], theirs[1 - same], factor)
                    return Difference(f"the {side} side {found.text}", found.weight - 1)
                if self.transposed(theirs[1 - same]) == ours[1 - same]:
                    return Difference(f"the {side} side by a transpose", 1)
        return None

    def multiple(self, ours: Entries, theirs: Entries, factor: Quotient) -> Difference:
        """By a factor, or, of two numbers whose quotient is long, by what is added."""
        weight = self._weight(factor)
        if weight <= 3 or len(ours) != 1:
            return Difference(f"by {self.by(factor)}", weight)
        (mine,), (read,) = ours.values(), theirs.values()
        more = self.plus(read, mine, -1)
        return Difference(f"by {self.shown(more)} more", self._weight(more) + 2)

    def transposed(self, entries: Entries) -> Entries | None:
        return None

    def described(self, ours: Entries, theirs: Entries) -> Difference:
        """Term by term, up to the factor that most terms have in common."""
        shared = [key for key in ours if key in theirs]
        factors = [self.divided(theirs[key], ours[key]) for key in shared]
        common = max(factors, key=factors.count) if factors else None
        notes: list[str] = []
        for key, factor in zip(shared, factors, strict=True):
            if common is not None and factor != common:
                scaled = self.times(ours[key], common)
                found = self.multiple({key: scaled}, {key: theirs[key]}, self.divided(factor, common))
                notes.append(f"{self.term(key)} {found.text}")
        missing = [key for key in ours if key not in theirs]
        extra = [key for key in theirs if key not in ours]
        for key in list(missing):
            near = next((other for other in extra if self.near(key, other)), None)
            if near is not None:
                notes.append(f"{self.term(key)} by {self.near(key, near)}")
                missing.remove(key)
                extra.remove(near)
        notes += [f"{self.term(key)} is missing" for key in missing]
        notes += [f"{self.term(key)} is not in the claim" for key in extra]
        shown = "; ".join(notes[:3]) + (f"; and {len(notes) - 3} more terms" if len(notes) > 3 else "")
        return Difference(shown or "by more than a factor", 3 + 3 * len(notes))

    def by(self, factor: Quotient) -> str:
        return "its sign" if self.is_one((-factor[0], factor[1])) else f"the factor {self.shown(factor)}"

    def shown(self, factor: Quotient) -> str:
        """The factor as text, with the names of the claim."""
        top, bottom = (self._text(part) for part in factor)
        if bottom == "1":
            return top
        return f"{_grouped(top)}/{_grouped(bottom)}"

    def _text(self, poly: Any) -> str:
        terms: list[str] = []
        for powers, value in poly.to_dict().items():
            letters = [self.name(self.names[i]) + (f"^{int(e)}" if e > 1 else "") for i, e in enumerate(powers) if e]
            number = str(value)
            terms.append(" ".join([*([number] if number != "1" or not letters else []), *letters]))
        return " + ".join(terms).replace("+ -", "- ").replace("- 1 ", "- ") or "0"

    def name(self, generator: str) -> str:
        return generator

    def near(self, key: Any, other: Any) -> str:
        return ""

    def term(self, key: Any) -> str:
        return "a term"


def _plain(terms: Mapping[Key, Fraction]) -> str:
    """A sum of monomials as text."""
    found: list[str] = []
    for (mono, _, _), value in terms.items():
        letters = [f"{name}^{e}" if e != 1 else name for name, e in mono]
        found.append(" ".join([*([str(value)] if value != 1 or not letters else []), *letters]))
    return " + ".join(found).replace("+ -", "- ") or "0"


def _grouped(text: str) -> str:
    return f"({text})" if " " in text else text


def with_one_inverse(algebra: Algebra, polys: Sequence[Polynomial]) -> list[Polynomial]:
    """The polynomials with (c x A)^-1 written as (c x)^-1 A^-1, where both inverses occur."""
    same: dict[str, tuple[str, Fraction, Monomial]] = {}
    first: dict[Any, tuple[str, Fraction, Monomial]] = {}

    def of(poly: Polynomial) -> Polynomial:
        return algebra.collect(poly.shape, (term(key, value) for key, value in poly.terms.items()))

    def term(key: Key, value: Fraction) -> tuple[Key, Fraction]:
        mono, traces, word = key
        factors = list(mono)

        def letter(symbol: str) -> str:
            nonlocal value
            name = symbol.removesuffix("'")
            if name not in same:
                return symbol
            other, scale, extra = same[name]
            value *= scale
            factors.extend(extra)
            return other + symbol[len(name) :]

        found = tuple(tuple(letter(symbol) for symbol in trace) for trace in traces)
        inside = None if word is None else tuple(letter(symbol) for symbol in word)
        return (monomial(factors), found, inside), value

    for name, letter in list(algebra.letters.items()):
        if letter.inverse_of is None:
            continue
        inner = of(letter.inverse_of)
        names = sorted({n for mono, _, _ in inner.terms for n, _ in mono})
        # an order that does not change when all terms are multiplied by a monomial
        lead = min(inner.terms, key=lambda key: (key[1], key[2] or (), [dict(key[0]).get(n, 0) for n in names]))
        scale, mono = inner.terms[lead], lead[0]
        inverse = tuple((n, -e) for n, e in mono)
        shape = frozenset(
            ((monomial((*m, *inverse)), traces, word), value / scale)
            for (m, traces, word), value in inner.terms.items()
        )
        other, other_scale, other_mono = first.setdefault((inner.shape, shape), (name, scale, mono))
        same[name] = other, other_scale / scale, monomial((*other_mono, *inverse))
    return [of(poly) for poly in polys]


class Words(Forms):
    """Polynomials in words of matrices and in traces; every reciprocal is written out."""

    def __init__(self, algebra: Algebra, polys: Sequence[Polynomial], expressions: Sequence[Any]) -> None:
        names: set[str] = set()
        polys = with_one_inverse(algebra, polys)
        pending = list(polys)
        seen: set[str] = set()
        while pending:
            for mono, traces, _ in pending.pop().terms:
                names |= {_trace(word) for word in traces}
                for name, _ in mono:
                    if name in algebra.reciprocals and name not in seen:
                        seen.add(name)
                        pending.append(algebra.reciprocals[name])
                    elif name not in algebra.reciprocals:
                        names.add(name)
        super().__init__(algebra, names, expressions)
        self.polys = polys
        self._reciprocals: dict[str, Quotient] = {}
        self.entries = [self.read(poly) for poly in polys]

    def read(self, poly: Polynomial) -> Entries:
        found: Entries = {}
        zero = self.context.constant(0), self.context.constant(1)
        for (mono, traces, word), value in poly.terms.items():
            part: Quotient = self.number(value), self.context.constant(1)
            for trace in traces:
                part = part[0] * self.generators[_trace(trace)], part[1]
            for name, exponent in mono:
                base = self.reciprocal(name) if name in self.algebra.reciprocals else (self.generators[name], zero[1])
                top, bottom = base if exponent > 0 else base[::-1]
                part = self.times(part, (top ** abs(exponent), bottom ** abs(exponent)))
            found[word] = self.plus(found.get(word, zero), part)
        return {word: value for word, value in found.items() if value[0] != 0}

    def reciprocal(self, name: str) -> Quotient:
        if name not in self._reciprocals:
            inner = self.read(self.algebra.reciprocals[name]).get(None)
            if inner is None:
                raise Incomparable("a division by zero")
            self._reciprocals[name] = inner[1], inner[0]
        return self._reciprocals[name]

    def range_of(self, name: str) -> Range:
        known = name in self.algebra.parameters or name in self.algebra.powers
        return self.algebra.range_of(name) if known else Range(None)

    def transposed(self, entries: Entries) -> Entries | None:
        if None in entries:
            return None
        found = {self.algebra.transpose_word(word): value for word, value in entries.items()}
        return found if len(found) == len(entries) else None

    def name(self, generator: str) -> str:
        """A power as such; a trace with its letters."""
        if generator in self.algebra.powers:
            base, exponent = self.algebra.powers[generator]
            return f"{_grouped(_plain(base.terms))}^{_grouped(_plain({(m, (), None): x for m, x in exponent}))}"
        found = re.fullmatch(r"tr\((.*)\)", generator)
        return generator if found is None else f"tr({self.word(tuple(found[1].split()))})"

    def word(self, word: tuple[str, ...]) -> str:
        """The letters of a product, inverses written out where they are short."""
        return " ".join(self.letter(symbol) for symbol in word)

    def letter(self, symbol: str) -> str:
        name = symbol.removesuffix("'")
        turned = "^T" * (name != symbol)
        inner = self.algebra.letters[name].inverse_of if name in self.algebra.letters else None
        if inner is None:
            return name + turned
        shown = " + ".join(
            " ".join([_plain({(mono, traces, None): value}), self.word(word or ("I",))]).removeprefix("1 ")
            for (mono, traces, word), value in inner.terms.items()
        )
        return f"({shown})^-1{turned}" if len(shown) < 60 else f"an inverse{turned}"

    def near(self, key: Any, other: Any) -> str:
        mine, theirs = (self._word(x) for x in (key, other))
        if mine is None or theirs is None:
            return ""
        if len(mine) == len(theirs):
            changed = [(a, b) for a, b in zip(mine, theirs, strict=True) if a != b]
            if all(a.rstrip("'") == b.rstrip("'") for a, b in changed):
                return "a transpose"
            if Counter(mine) == Counter(theirs):
                return "the order of its factors"
            if len(changed) == 1:
                return f"{self.letter(changed[0][1])} in place of {self.letter(changed[0][0])}"
        return ""

    @staticmethod
    def _word(key: Any) -> tuple[str, ...] | None:
        word = key[1] if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], int) else key
        return word

    def term(self, key: Any) -> str:
        word = self._word(key)
        return "the scalar part" if word is None else f"the term {self.word(word)}" if word else "the identity"


def _trace(word: tuple[str, ...]) -> str:
    return f"tr({' '.join(word)})"


class Functions(Forms):
    """Rational functions of parameters, exponentials and logarithms."""

    def __init__(
        self, algebra: Algebra, inner: Elementary, quotients: Sequence[Any], expressions: Sequence[Any]
    ) -> None:
        names = {name for top, bottom in quotients for poly in (top, bottom) for mono in poly for name, _ in mono}
        super().__init__(algebra, names, expressions)
        self.inner = inner
        pairs = [self.reduced(self.polynomial(top), self.polynomial(bottom)) for top, bottom in quotients]
        self.entries = [{None: pair} if pair[0] != 0 else {} for pair in pairs]

    def range_of(self, name: str) -> Range:
        if name in self.algebra.parameters:
            return self.algebra.parameters[name]
        return Range(Fraction(0), open=True) if self.inner.generators[name][0] == "exp" else Range(None)

    def name(self, generator: str) -> str:
        kind, *_ = self.inner.generators.get(generator, ("",))
        return f"({kind} ...)" if kind else generator

    def term(self, key: Any) -> str:
        return "an expression"
