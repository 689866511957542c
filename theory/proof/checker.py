"""The independent checker: reads a certificate, believes nothing, needs the standard library alone.

A certificate is a JSON document (``format: 1``) that declares parameters with ranges, letters (matrices with
symbolic sizes), hypotheses, one statement and a list of steps. Every step names the rule that yields its statement;
the checker replays each step and accepts the document only if the last step is the claimed statement and the
supplied exact numeric model satisfies every hypothesis (contradictory hypotheses would prove anything).

Run it with nothing installed::

    python -I -S theory/proof/checker.py CERTIFICATE.json

Terms are linear combinations, with rational coefficients, of ``monomial * traces * word``. A word is a product of
letters, ``A'`` is the transpose of ``A``; a trace is a word up to rotation and transposition. Two facts are built
into the normal form: a 1 x 1 factor of a word is a scalar, and a ones-vector of length n has ``1'1 = n``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

FORMAT = 1
# Limits make hostile files end within a second or two; the shipped certificates stay well below each of them.
MAX_BYTES = 2_000_000
MAX_TERMS = 20_000
MAX_WORD = 400
MAX_DIGITS = 200
MAX_EXPONENT = 1_000
MAX_STEPS = 2_000
MAX_ENTRIES = 100_000
MAX_NAME = 200
MAX_BITS = 14_000  # of a fraction that arises on the way; short enough to be printed by every Python
MAX_WORK = 1_200_000  # operations, of which a slow machine does a million a second

Monomial = tuple[tuple[str, int], ...]
Word = tuple[str, ...]
Key = tuple[Monomial, tuple[Word, ...], Word | None]
Dimension = tuple[tuple[Monomial, Fraction], ...]
Shape = tuple[Dimension, Dimension]
Matrix = list[list[Fraction]]

UNIT: Dimension = (((), Fraction(1)),)


class Rejected(Exception):
    """The document is a certificate, but it does not prove what it states."""


class Malformed(Rejected):
    """The document is not a certificate of this format."""


_work: ContextVar[list[int] | None] = ContextVar("work", default=None)


def spend(amount: int) -> None:
    """Charge operations to the check in progress; outside of one (in a prover's search) nothing is counted."""
    left = _work.get()
    if left is not None:
        left[0] -= amount
        if left[0] < 0:
            raise Malformed(f"checking takes more than {MAX_WORK} operations")


def bounded(value: Fraction) -> Fraction:
    """The value, unless it has too many digits."""
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    if bits > 512:
        if bits > MAX_BITS:
            raise Malformed(f"a fraction of more than {MAX_BITS} bits arises")
        spend((bits // 512) ** 2)
    return value


K = TypeVar("K", bound=Hashable)


def accumulate(total: dict[K, Fraction], key: K, value: Fraction) -> None:
    """Add the value to an entry; entries that become zero are dropped by the caller."""
    known = total.get(key)
    total[key] = value if known is None else bounded(known + value)


# --------------------------------------------------------------------------------------------- scalars, monomials


def monomial(factors: Iterable[tuple[str, int]]) -> Monomial:
    """The product of powers, as sorted pairs without zero exponents."""
    powers: dict[str, int] = {}
    for name, exponent in factors:
        total = powers[name] = powers.get(name, 0) + exponent
        if not -MAX_EXPONENT <= total <= MAX_EXPONENT:
            raise Malformed(f"exponent of {name} beyond {MAX_EXPONENT}")
    return tuple(sorted([item for item in powers.items() if item[1]]))


Commutative = dict[Monomial, Fraction]  # a Laurent polynomial in parameters


def add(left: Commutative, right: Commutative, factor: Fraction = Fraction(1)) -> Commutative:
    spend(len(left) + len(right))
    total = dict(left)
    for key, value in right.items():
        accumulate(total, key, factor * value)
    return {key: value for key, value in total.items() if value}


def multiply(left: Commutative, right: Commutative) -> Commutative:
    spend(4 * len(left) * len(right))
    total: Commutative = {}
    for a, x in left.items():
        for b, y in right.items():
            accumulate(total, monomial(a + b), bounded(x * y))
    if len(total) > MAX_TERMS:
        raise Malformed(f"more than {MAX_TERMS} terms")
    return {key: value for key, value in total.items() if value}


def power(base: Commutative, exponent: int) -> Commutative:
    result: Commutative = {(): Fraction(1)}
    for _ in range(exponent):
        result = multiply(result, base)
    return result


def compose(terms: Commutative, values: Mapping[str, Commutative]) -> Commutative:
    """The polynomial with other polynomials for some of its variables, which must not stand in a denominator."""
    total: Commutative = {}
    for mono, value in terms.items():
        part: Commutative = {monomial((name, e) for name, e in mono if name not in values): value}
        for name, exponent in mono:
            if name in values:
                if exponent < 0:
                    raise Rejected(f"{name} stands in a denominator")
                part = multiply(part, power(values[name], exponent))
        total = add(total, part)
    return total


def dimension(terms: Commutative) -> Dimension:
    return tuple(sorted(terms.items()))


# ----------------------------------------------------------------------------------------------------- the algebra


@dataclass(frozen=True)
class Range:
    """The values of a parameter: from ``low`` (``None``: unbounded), without it if ``open``; integers or reals."""

    low: Fraction | None
    open: bool = False
    integer: bool = False

    @property
    def positive(self) -> bool:
        return self.low is not None and (self.low > 0 or (self.low == 0 and self.open))

    @property
    def nonnegative(self) -> bool:
        return self.low is not None and self.low >= 0

    def __contains__(self, value: Fraction) -> bool:
        if self.integer and value.denominator != 1:
            return False
        return self.low is None or value > self.low or (value == self.low and not self.open)


@dataclass(frozen=True)
class Letter:
    """A matrix symbol; ``inverse_of`` makes it the inverse of a polynomial, ``equals`` an abbreviation of one."""

    rows: Dimension
    cols: Dimension
    symmetric: bool = False
    ones: bool = False
    inverse_of: Polynomial | None = None
    equals: Polynomial | None = None


@dataclass(frozen=True)
class Polynomial:
    """A matrix polynomial of one shape, or (``shape is None``) a scalar one in traces."""

    shape: Shape | None
    terms: Mapping[Key, Fraction]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.shape == other.shape and self.terms == other.terms

    def __hash__(self) -> int:
        return hash((self.shape, frozenset(self.terms.items())))


@dataclass
class Algebra:
    """Letters, parameters and reciprocals in force, with the arithmetic of polynomials in them."""

    parameters: dict[str, Range] = field(default_factory=dict[str, Range])
    letters: dict[str, Letter] = field(default_factory=dict[str, Letter])
    reciprocals: dict[str, Polynomial] = field(default_factory=dict[str, Polynomial])
    powers: dict[str, tuple[Polynomial, Dimension]] = field(default_factory=dict[str, tuple[Polynomial, Dimension]])

    # ---- words
    def letter(self, symbol: str) -> Letter:
        found = self.letters.get(symbol[:-1] if symbol[-1:] == "'" else symbol)
        if found is None:
            raise Malformed(f"undeclared letter {short(symbol)}")
        return found

    def ends(self, symbol: str) -> Shape:
        letter = self.letter(symbol)
        return (letter.cols, letter.rows) if symbol[-1:] == "'" else (letter.rows, letter.cols)

    def flip(self, symbol: str) -> str:
        if self.letter(symbol).symmetric:
            return symbol
        return symbol[:-1] if symbol.endswith("'") else symbol + "'"

    def transpose_word(self, word: Word) -> Word:
        return tuple(self.flip(symbol) for symbol in reversed(word))

    def word_shape(self, word: Word) -> Shape:
        if len(word) > MAX_WORD:
            raise Malformed(f"a product of more than {MAX_WORD} letters")
        shapes = [self.ends(symbol) for symbol in word]
        for i in range(len(word) - 1):
            if shapes[i][1] != shapes[i + 1][0]:
                raise Malformed(f"sizes clash between {word[i]} and {word[i + 1]}")
        return shapes[0][0], shapes[-1][1]

    def rotations(self, word: Word) -> Iterator[Word]:
        for turned in (word, self.transpose_word(word)):
            for i in range(len(turned)):
                yield turned[i:] + turned[:i]

    def canonical_trace(self, word: Word) -> Word:
        return min(self.rotations(word))

    # ---- normal form of one term
    def _cut_cycle(self, word: Word) -> list[Word]:
        cuts = [i for i, symbol in enumerate(word) if self.ends(symbol)[0] == UNIT]
        if not cuts:
            return [word]
        turned = word[cuts[0] :] + word[: cuts[0]]
        marks = [i - cuts[0] for i in cuts] + [len(word)]
        return [turned[a:b] for a, b in pairwise(marks)]

    def _cut_word(self, word: Word) -> tuple[Word, list[Word]]:
        if not word:
            return word, []
        borders = [self.ends(symbol)[0] for symbol in word] + [self.ends(word[-1])[1]]
        cuts = [i for i, border in enumerate(borders) if border == UNIT]
        if len(cuts) < 2:
            return word, []
        segments = [word[a:b] for a, b in pairwise(cuts)]
        return word[: cuts[0]] + word[cuts[-1] :], segments

    def _is_ones_pair(self, word: Word) -> bool:
        return len(word) == 2 and word[1] == self.flip(word[0]) and self.letter(word[0]).ones

    def normal_terms(
        self, mono: Monomial, traces: Sequence[Word], word: Word | None, value: Fraction
    ) -> Iterator[tuple[Key, Fraction]]:
        scalars: list[Word] = []
        if word is not None:
            word, scalars = self._cut_word(word)
        ones: list[Commutative] = []
        kept: list[Word] = []
        for cycle in (*traces, *scalars):
            for part in self._cut_cycle(cycle):
                if self._is_ones_pair(part):
                    ones.append(dict(self.letter(part[0]).rows))
                else:
                    kept.append(self.canonical_trace(part))
        factor: Commutative = {mono: value}
        for size in ones:
            factor = multiply(factor, size)
        traces = tuple(sorted(kept)) if kept else ()
        for key, coefficient in factor.items():
            yield (key, traces, word), coefficient

    # ---- constructors
    def collect(self, shape: Shape | None, terms: Iterable[tuple[Key, Fraction]]) -> Polynomial:
        total: dict[Key, Fraction] = {}
        for (mono, traces, word), value in terms:
            if (word is None) != (shape is None):
                raise Malformed("matrix and scalar terms in one sum")
            if word and shape is not None and self.word_shape(word) != shape:
                raise Malformed(f"term {' '.join(word)} has another size than its sum")
            if word == () and shape is not None and shape[0] != shape[1]:
                raise Malformed("an identity matrix in a sum of rectangular matrices")
            for cycle in traces:
                rows, cols = self.word_shape(cycle)
                if rows != cols:
                    raise Malformed(f"trace of the rectangular product {' '.join(cycle)}")
            spend(4 + len(word or ()) // 4 + sum(2 * len(cycle) + len(cycle) ** 2 // 64 for cycle in traces))
            for key, coefficient in self.normal_terms(mono, traces, word, value):
                accumulate(total, key, coefficient)
            if len(total) > MAX_TERMS:
                raise Malformed(f"more than {MAX_TERMS} terms")
        return Polynomial(shape, {key: value for key, value in total.items() if value})

    def scalar(self, terms: Commutative) -> Polynomial:
        return self.collect(None, (((mono, (), None), value) for mono, value in terms.items()))

    def symbol(self, name: str) -> Polynomial:
        letter = self.letter(name)
        return self.collect((letter.rows, letter.cols), [(((), (), (name,)), Fraction(1))])

    def identity(self, size: Dimension) -> Polynomial:
        return Polynomial((size, size), {((), (), ()): Fraction(1)})

    def zero(self, shape: Shape | None) -> Polynomial:
        return Polynomial(shape, {})

    # ---- arithmetic
    def plus(self, left: Polynomial, right: Polynomial, factor: Fraction = Fraction(1)) -> Polynomial:
        if left.shape != right.shape:
            raise Malformed("sum of different sizes")
        spend(len(left.terms) + len(right.terms))
        total = dict(left.terms)
        for key, value in right.terms.items():
            accumulate(total, key, factor * value)
        return Polynomial(left.shape, {key: value for key, value in total.items() if value})

    def minus(self, left: Polynomial, right: Polynomial) -> Polynomial:
        return self.plus(left, right, Fraction(-1))

    def times(self, left: Polynomial, right: Polynomial) -> Polynomial:
        if left.shape is not None and right.shape is not None:
            if left.shape[1] != right.shape[0]:
                raise Malformed("product of sizes that do not match")
            shape: Shape | None = (left.shape[0], right.shape[1])
        else:
            shape = left.shape or right.shape
        if len(left.terms) * len(right.terms) > MAX_TERMS:
            raise Malformed(f"more than {MAX_TERMS} terms")
        return self.collect(
            shape,
            (
                ((monomial(m + n), s + t, v if u is None else u if v is None else u + v), bounded(x * y))
                for (m, s, u), x in left.terms.items()
                for (n, t, v), y in right.terms.items()
            ),
        )

    def transpose(self, poly: Polynomial) -> Polynomial:
        if poly.shape is None:
            return poly
        rows, cols = poly.shape
        return self.collect(
            (cols, rows), (((m, s, self.transpose_word(w or ())), x) for (m, s, w), x in poly.terms.items())
        )

    def trace(self, poly: Polynomial) -> Polynomial:
        if poly.shape is None or poly.shape[0] != poly.shape[1]:
            raise Malformed("trace of something that is not a square matrix")
        size = dict(poly.shape[0])

        def terms() -> Iterator[tuple[Key, Fraction]]:
            for (m, s, word), x in poly.terms.items():
                if word:
                    yield (m, (*s, word), None), x
                else:
                    for n, y in size.items():
                        yield (monomial(m + n), s, None), x * y

        return self.collect(None, terms())

    def substitute(self, poly: Polynomial, values: Mapping[str, Polynomial]) -> Polynomial:
        """Replace letters by polynomials of the same shape (their transposes follow)."""
        for name, value in values.items():
            letter = self.letter(name)
            if value.shape != (letter.rows, letter.cols):
                raise Malformed(f"substitution for {name} has another size")
            if not self.is_free(name):
                raise Rejected(f"{name} is not a free letter")
        for name in self.names(poly):
            inner = self.definition(name)
            if inner is not None and self.names(inner) & values.keys():
                raise Rejected(f"cannot substitute inside the definition of {name}")

        def product(word: Word, rows: Dimension) -> Polynomial:
            result = self.identity(rows)
            for symbol in word:
                name = symbol.removesuffix("'")
                if name in values:
                    factor = self.transpose(values[name]) if symbol.endswith("'") else values[name]
                else:
                    factor = self.collect(self.ends(symbol), [(((), (), (symbol,)), Fraction(1))])
                result = self.times(result, factor)
            return result

        total = self.zero(poly.shape)
        for (mono, traces, word), value in poly.terms.items():
            term = self.scalar({mono: value})
            for cycle in traces:
                term = self.times(term, self.trace(product(cycle, self.ends(cycle[0])[0])))
            if word is not None and poly.shape is not None:
                term = self.times(term, product(word, poly.shape[0]))
            total = self.plus(total, term)
        return total

    def unfolded(self, *polys: Polynomial) -> Iterator[tuple[Polynomial, set[str]]]:
        """The polynomials, and once each the definitions that they rest on, with the names that occur in them."""
        pending, seen = list(polys), set[str]()
        while pending:
            poly = pending.pop()
            spend(1 + len(poly.terms))
            found = {name for size in poly.shape or () for mono, _ in size for name, _ in mono}
            for mono, traces, word in poly.terms:
                found.update(name for name, _ in mono)
                for cycle in (*traces, word or ()):
                    found.update(symbol.removesuffix("'") for symbol in cycle)
            exponents = (self.powers[name][1] for name in tuple(found) if name in self.powers)
            found.update(name for exponent in exponents for mono, _ in exponent for name, _ in mono)
            yield poly, found
            definitions = (self.definition(name) for name in sorted(found - seen))
            pending.extend(inner for inner in definitions if inner is not None)
            seen |= found

    def names(self, *polys: Polynomial) -> set[str]:
        """Letters, parameters and reciprocals that occur, those inside definitions included."""
        return set[str]().union(*(found for _, found in self.unfolded(*polys)))

    def divisors(self, *polys: Polynomial) -> set[str]:
        """What the polynomials and definitions divide by, although its range does not exclude zero."""
        monomials = (mono for poly, _ in self.unfolded(*polys) for mono, _, _ in poly.terms)
        return {name for mono in monomials for name, exponent in mono if exponent < 0 and not self.nonzero(name)}

    def definition(self, name: str) -> Polynomial | None:
        """What the letter abbreviates, what it or the reciprocal is the inverse of, the base of the power.

        ``None`` if it is free.
        """
        if name in self.letters:
            return self.letters[name].inverse_of or self.letters[name].equals
        return self.powers[name][0] if name in self.powers else self.reciprocals.get(name)

    def is_free(self, name: str) -> bool:
        letter = self.letter(name)
        return not (letter.symmetric or letter.ones or self.definition(name) is not None)

    def differential(self, poly: Polynomial, name: str, direction: str) -> Polynomial:
        """The derivative of a polynomial at the letter ``name`` in the direction of another letter of its shape.

        Inverses, reciprocals and abbreviations that contain it follow by d(A^{-1}) = -A^{-1} dA A^{-1}, d(s^e) =
        -e s^(e+1) dq for s = 1/q.
        """
        if (self.letter(name).rows, self.letter(name).cols) != (
            self.letter(direction).rows,
            self.letter(direction).cols,
        ):
            raise Rejected(f"{direction} has another size than {name}")
        slopes: dict[str, Polynomial | None] = {}

        def slope(symbol: str) -> Polynomial | None:
            base = symbol.removesuffix("'")
            if base not in slopes:
                slopes[base] = self._slope(base, name, direction)
            found = slopes[base]
            return None if found is None else self.transpose(found) if symbol != base else found

        def factor(word: Word, rows: Dimension) -> Polynomial:
            shape = self.word_shape(word) if word else (rows, rows)
            return self.collect(shape, [(((), (), word), Fraction(1))])

        total = self.zero(poly.shape)
        for (mono, traces, word), value in poly.terms.items():
            for n, exponent in mono:
                inner = self.reciprocals.get(n)
                if inner is None or name not in self.names(inner):
                    continue
                outer = self.collect(poly.shape, [((monomial((*mono, (n, 1))), traces, word), -exponent * value)])
                total = self.plus(total, self.times(outer, self.differential(inner, name, direction)))
            for i, cycle in enumerate((*traces, word or ())):
                inside = i < len(traces)
                others = traces[:i] + traces[i + 1 :] if inside else traces
                for j, symbol in enumerate(cycle):
                    change = slope(symbol)
                    if change is None:
                        continue
                    start, end = self.ends(symbol)
                    part = self.times(self.times(factor(cycle[:j], start), change), factor(cycle[j + 1 :], end))
                    outer = self.collect(
                        poly.shape if inside else None, [((mono, others, word if inside else None), value)]
                    )
                    total = self.plus(total, self.times(outer, self.trace(part) if inside else part))
        return total

    def _slope(self, base: str, name: str, direction: str) -> Polynomial | None:
        if base == name:
            return self.symbol(direction)
        inner = self.definition(base)
        if inner is None or name not in self.names(inner):
            return None
        change = self.differential(inner, name, direction)
        if self.letters[base].equals is not None:
            return change
        inverse = self.symbol(base)
        return self.minus(self.zero(change.shape), self.times(self.times(inverse, change), inverse))

    # ---- signs of scalars, from the ranges of the parameters alone
    def sign(self, poly: Polynomial) -> str:
        """``positive``, ``nonnegative`` or ``unknown``, by expansion around the lower ends of the ranges.

        Negative powers are cleared with parameters that are positive on their whole range; each parameter x is
        then written low + y with y >= 0: nonnegative coefficients decide, with a positive constant for ``positive``.
        """
        spend(4 * (2 + len(poly.terms)))
        if poly.shape is not None or any(traces for _, traces, _ in poly.terms):
            return "unknown"
        terms: Commutative = {mono: value for (mono, _, _), value in poly.terms.items()}
        ranges = {name: self.range_of(name) for mono in terms for name, _ in mono}
        for name, bounds in ranges.items():
            if bounds.positive:
                lowest = min(dict(mono).get(name, 0) for mono in terms)
                terms = multiply(terms, {monomial([(name, -lowest)]): Fraction(1)})
        shifted: Commutative = {}
        for mono, value in terms.items():
            part: Commutative = {(): value}
            for name, exponent in mono:
                low = ranges[name].low
                if low is None or exponent < 0:
                    return "unknown"
                part = multiply(part, power(add({((name, 1),): Fraction(1)}, {(): low}), exponent))
            shifted = add(shifted, part)
        if any(value < 0 for value in shifted.values()):
            return "unknown"
        strict = any(all(ranges[name].open for name, _ in mono) for mono in shifted)
        return "positive" if strict else "nonnegative"

    def is_natural(self, terms: Commutative) -> bool:
        """Whether a polynomial in parameters is visibly a natural number for all their values."""
        integers = {name for name, bounds in self.parameters.items() if bounds.integer}
        whole = all(x.denominator == 1 and all(n in integers and e > 0 for n, e in mono) for mono, x in terms.items())
        return whole and self.sign(self.scalar(terms)) != "unknown"

    def range_of(self, name: str) -> Range:
        if name in self.reciprocals:
            return Range(Fraction(0), open=True) if self.sign(self.reciprocals[name]) == "positive" else Range(None)
        if name in self.powers:
            return self._range_of_power(*self.powers[name])
        if name not in self.parameters:
            raise Malformed(f"undeclared parameter {short(name)}")
        return self.parameters[name]

    def nonzero(self, name: str) -> bool:
        """Whether the ranges exclude zero; a reciprocal whose divisor may vanish stands for no number there."""
        return self.range_of(name).positive

    # ---- powers with symbolic exponents
    def _range_of_power(self, base: Polynomial, exponent: Dimension) -> Range:
        """b^n for a natural n, 0^0 = 1: at least 1, positive, nonnegative as the base is; and n^n is at least 1."""
        large = self.sign(self.minus(base, self.scalar({(): Fraction(1)}))) != "unknown"
        if large or base == self.scalar(dict(exponent)):
            return Range(Fraction(1))
        known = {"positive": Range(Fraction(0), open=True), "nonnegative": Range(Fraction(0))}
        return known.get(self.sign(base), Range(None))

    def power_letter(self, base: Polynomial, exponent: Dimension) -> str:
        """The declared letter that stands for a power."""
        spend(len(self.powers))
        name = next((name for name, power in self.powers.items() if power == (base, exponent)), None)
        if name is None:
            raise Rejected("a power occurs for which no letter is declared")
        return name

    def raised(
        self, base: Polynomial, exponent: Commutative, letter: Callable[[Polynomial, Dimension], str] | None = None
    ) -> Polynomial:
        """``base ** exponent`` for an exponent that is visibly a natural number, in normal form.

        A common factor of the base is split off, (c x q)^e = c^e x^e q^e, and (x^d)^e = x^(d e) for a power letter.
        The exponent is expanded in integers that count from the lower ends, e = c + sum of k_i m_i with natural c and
        k_i and products m_i of differences n - low; then b^e = b^c times the product of (b^(m_i))^(k_i), where
        b^(m_i) are letters, looked up by ``letter``. All of this holds for every real base, with 0^0 = 1.
        """
        if base.shape is not None or any(traces for _, traces, _ in base.terms) or not base.terms:
            raise Rejected("a power needs a base in parameters that is not zero")
        lowest: dict[str, int] = {}
        monomials = [dict(mono) for mono, _, _ in base.terms]
        for name in set().union(*monomials):
            lowest[name] = min(powers.get(name, 0) for powers in monomials)
        if any(e < 0 for e in lowest.values()):
            raise Rejected("a power of a quotient")
        letter = letter or self.power_letter
        content = Fraction(1)
        if len(base.terms) == 1:
            (content,) = base.terms.values()
        common = self.scalar({monomial((name, -e) for name, e in lowest.items()): 1 / content})
        rest = self.times(base, common)
        total = self.scalar({(): Fraction(1)})
        if content != 1:
            total = self._atom_raised(self.scalar({(): content}), exponent, letter)
        for name, e in sorted(lowest.items()):
            if e and name in self.powers:
                inner, inside = self.powers[name]
                factor = self.raised(inner, multiply(multiply(exponent, dict(inside)), {(): Fraction(e)}), letter)
            elif e:
                atom = self.scalar({((name, 1),): Fraction(1)})
                factor = self._atom_raised(atom, multiply(exponent, {(): Fraction(e)}), letter)
            else:
                continue
            total = self.times(total, factor)
        return self.times(total, self._atom_raised(rest, exponent, letter)) if len(rest.terms) > 1 else total

    def _atom_raised(
        self, base: Polynomial, exponent: Commutative, letter: Callable[[Polynomial, Dimension], str]
    ) -> Polynomial:
        names = {name for mono in exponent for name, _ in mono}
        lows = {name: self.range_of(name).low or Fraction(0) for name in names}
        if not self.is_natural(exponent) or any(low.denominator != 1 for low in lows.values()):
            raise Rejected("an exponent is not visibly a natural number")
        counted = compose(exponent, {name: add({((name, 1),): Fraction(1)}, {(): low}) for name, low in lows.items()})
        if not all(0 < count <= MAX_EXPONENT and count.denominator == 1 for count in counted.values()):
            raise Rejected(f"an exponent is not visibly a natural number up to {MAX_EXPONENT}")
        total = self.scalar({(): Fraction(1)})
        for mono, count in counted.items():
            if mono:
                steps = {name: add({((name, 1),): Fraction(1)}, {(): -low}) for name, low in lows.items()}
                name = letter(base, dimension(compose({mono: Fraction(1)}, steps)))
                total = self.times(total, self.scalar({monomial([(name, int(count))]): Fraction(1)}))
            else:
                for _ in range(int(count)):
                    total = self.times(total, base)
        return total

    def at_parameter(self, poly: Polynomial, name: str, value: Commutative) -> Polynomial:
        """A scalar without traces at another value of a parameter, exponents and bases of powers included."""
        total = self.zero(None)
        for (mono, traces, word), coefficient in poly.terms.items():
            spend(1 + len(mono))
            if traces or word is not None:
                raise Rejected("a parameter is replaced in scalars without traces only")
            term = self.scalar({(): coefficient})
            for symbol, exponent in mono:
                term = self.times(term, self._factor_at(symbol, exponent, name, value))
            total = self.plus(total, term)
        return total

    def _factor_at(self, symbol: str, exponent: int, name: str, value: Commutative) -> Polynomial:
        atom = self.scalar({((symbol, exponent),): Fraction(1)})
        if name != symbol and name not in self.names(atom):
            return atom
        if exponent < 0 or symbol in self.reciprocals:
            raise Rejected(f"{name} is replaced in a divisor")
        if symbol == name:
            return self.scalar(power(value, exponent))
        base, inside = self.powers[symbol]
        new = compose(dict(inside), {name: value})
        return self.raised(self.at_parameter(base, name, value), multiply(new, {(): Fraction(exponent)}))

    # ---- exact evaluation in a numeric model
    def evaluate(self, poly: Polynomial, model: Model) -> Matrix:
        """The value of a polynomial in a model, exactly; scalars as 1 x 1 matrices."""
        if poly.shape is None:
            rows, cols = 1, 1
        else:
            rows, cols = (model.size(size) for size in poly.shape)
        spend(rows * cols * (1 + len(poly.terms)))
        total = [[Fraction(0)] * cols for _ in range(rows)]
        for (mono, traces, word), value in poly.terms.items():
            coefficient = value * model.monomial(mono)
            for cycle in traces:
                product = model.product(cycle, self)
                coefficient = bounded(coefficient * bounded_sum(product[i][i] for i in range(len(product))))
            if not coefficient:
                continue
            matrix = model.product(word, self) if word else identity_matrix(rows)
            for i in range(rows):
                for j in range(cols):
                    if matrix[i][j]:
                        total[i][j] = bounded(total[i][j] + coefficient * matrix[i][j])
        return total


def identity_matrix(size: int) -> Matrix:
    return [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]


def bounded_sum(values: Iterable[Fraction]) -> Fraction:
    total = Fraction(0)
    for value in values:
        if value:
            total = bounded(total + value)
    return total


def matrix_product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    spend(len(left) * len(right) * len(columns))
    return [[bounded_sum(a * b for a, b in zip(row, col, strict=True)) for col in columns] for row in left]


@dataclass
class Model:
    """Exact values of parameters and letters."""

    parameters: dict[str, Fraction]
    letters: dict[str, Matrix]
    cache: dict[Word, Matrix] = field(default_factory=dict[Word, Matrix])

    def monomial(self, mono: Monomial) -> Fraction:
        result = Fraction(1)
        for name, exponent in mono:
            if name not in self.parameters:
                raise Rejected(f"the model gives no value to {name}")
            if exponent < 0 and not self.parameters[name]:
                raise Rejected(f"the model divides by {name} = 0")
            result = bounded(result * self.parameters[name] ** exponent)
        return result

    def size(self, terms: Dimension) -> int:
        value = sum((x * self.monomial(mono) for mono, x in terms), Fraction(0))
        if value.denominator != 1 or not 0 < value <= MAX_ENTRIES:
            raise Rejected(f"the model gives a matrix the size {value}")
        return int(value)

    def power(self, base: Fraction, exponent: Dimension) -> Fraction:
        """A power with a symbolic exponent; 0^0 = 1."""
        count = sum((x * self.monomial(mono) for mono, x in exponent), Fraction(0))
        if count.denominator != 1 or count < 0:
            raise Rejected(f"the model gives an exponent the value {count}")
        if count * max(base.numerator.bit_length(), base.denominator.bit_length()) > MAX_BITS:
            raise Malformed(f"a fraction of more than {MAX_BITS} bits arises")
        return bounded(base ** int(count))

    def matrix(self, symbol: str) -> Matrix:
        name = symbol.removesuffix("'")
        if name not in self.letters:
            raise Rejected(f"the model gives no value to {name}")
        value = self.letters[name]
        return [list(row) for row in zip(*value, strict=True)] if symbol.endswith("'") else value

    def product(self, word: Word, algebra: Algebra) -> Matrix:
        if word not in self.cache:
            if len(word) == 1:
                self.cache[word] = self.matrix(word[0])
            else:
                self.cache[word] = matrix_product(self.product(word[:-1], algebra), self.matrix(word[-1]))
        return self.cache[word]

    def check_shapes(self, algebra: Algebra) -> None:
        for name, bounds in algebra.parameters.items():
            if name not in self.parameters or self.parameters[name] not in bounds:
                raise Rejected(f"the model puts {name} outside its range")
        for name, inner in algebra.reciprocals.items():
            if self.parameters.get(name, Fraction(0)) * algebra.evaluate(inner, self)[0][0] != 1:
                raise Rejected(f"in the model {name} is not the reciprocal that it is declared to be")
        for name, (base, exponent) in algebra.powers.items():
            if self.parameters.get(name) != self.power(algebra.evaluate(base, self)[0][0], exponent):
                raise Rejected(f"in the model {name} is not the power that it is declared to be")
        for name, letter in algebra.letters.items():
            value = self.matrix(name)
            if [len(row) for row in value] != [self.size(letter.cols)] * self.size(letter.rows):
                raise Rejected(f"in the model {name} has another size than declared")
            if letter.symmetric and value != self.matrix(name + "'"):
                raise Rejected(f"in the model {name} is not symmetric")
            if letter.ones and any(x != 1 for row in value for x in row):
                raise Rejected(f"in the model {name} is not a vector of ones")
            if letter.equals is not None and value != algebra.evaluate(letter.equals, self):
                raise Rejected(f"in the model {name} is not what it abbreviates")
            if letter.inverse_of is not None:
                inner = algebra.evaluate(letter.inverse_of, self)
                if matrix_product(value, inner) != identity_matrix(len(inner)):
                    raise Rejected(f"in the model {name} is not the inverse that it is declared to be")


def elimination(matrix: Matrix) -> tuple[bool, bool, bool]:
    """(symmetric positive semi-definite, positive definite, invertible), exactly."""
    size = len(matrix)
    symmetric = all(matrix[i][j] == matrix[j][i] for i in range(size) for j in range(i))
    work = [row[:] for row in matrix]
    semidefinite = definite = symmetric
    for k in range(size):
        pivot = work[k][k]
        definite = definite and pivot > 0
        if pivot < 0 or (pivot == 0 and any(work[k][j] for j in range(k + 1, size))):
            semidefinite = False
            break
        if pivot:
            for i in range(k + 1, size):
                reduce_row(work, i, k, work[i][k] / pivot)
    return semidefinite, semidefinite and definite, rank(matrix) == size


def rank(matrix: Matrix) -> int:
    work, found = [row[:] for row in matrix], 0
    for column in range(len(matrix[0])):
        row = next((i for i in range(found, len(work)) if work[i][column]), None)
        if row is None:
            continue
        work[found], work[row] = work[row], work[found]
        for i in range(found + 1, len(work)):
            reduce_row(work, i, found, work[i][column] / work[found][column])
        found += 1
    return found


def reduce_row(work: Matrix, row: int, pivot: int, factor: Fraction) -> None:
    """Subtract a multiple of one row from another."""
    if factor:
        spend(len(work[row]))
        work[row] = [bounded(x - factor * y) if y else x for x, y in zip(work[row], work[pivot], strict=True)]


# ------------------------------------------------------------------------------------------------------ statements


@dataclass(frozen=True)
class Statement:
    """One mathematical statement in normal form; ``kind`` says how the other fields are read.

    ==============  ==========================================================================================
    zero            poly = 0 (matrix or scalar)
    psd, pd         poly is symmetric and positive semi-definite, positive definite
    invertible      poly is an invertible square matrix
    positive        poly > 0; ``nonnegative``: poly >= 0 (scalars)
    any, all        one, every one of ``parts`` holds
    minimum         poly, as a function of the letters ``over``, attains its minimum at ``at``; ``value`` is the
                    minimum if given; ``unique``: attains it nowhere else
    equal-infima    the infimum of poly over ``over`` equals that of ``other`` over ``other_over``
    vanishes        the scalar expression is zero wherever it is defined (:class:`Calculus`)
    increasing      the scalar expression increases strictly in its variable, on the variable's whole range
    exceeds         the scalar expression is defined and positive on every one of some boxes (:class:`Inequality`)
    tends           the scalar expression tends to zero as its variable w tends to infinity
    gradient        the gradient of poly in the letter ``over`` is ``at``
    first-integral  along dw/dt = rate(w) on the positive reals, Phi(w(t)) = Phi(w(0)) + t, and Phi increases strictly
    growth          moreover w(t) exists for all t >= 0, increases strictly to infinity, and c w(t)^k / t tends to 1
    equalisation    moreover w/v decreases to 1 for solutions w >= v, and (w/v)^k <= 1 + (Phi(w) - Phi(v)) / (c v^k)
    shares          moreover, of n solutions, q(w_j) / sum_i q(w_i) lies between r^-m / n and r^m / n, r = max w / min w
    decay           growth, and the sum of q(w_j(t)) over n solutions, times (t/c)^(m/k), tends to n l
    ==============  ==========================================================================================
    """

    kind: str
    poly: Polynomial | None = None
    parts: tuple[Statement, ...] = ()
    over: tuple[str, ...] = ()
    at: tuple[Polynomial, ...] = ()
    value: Polynomial | None = None
    unique: bool = False
    other: Polynomial | None = None
    other_over: tuple[str, ...] = ()
    calculus: Calculus | None = None
    motion: Motion | None = None
    inequality: Inequality | None = None

    def polynomials(self) -> Iterator[Polynomial]:
        for poly in (self.poly, self.value, self.other, *self.at):
            if poly is not None:
                yield poly
        for part in self.parts:
            yield from part.polynomials()

    @property
    def target(self) -> Polynomial:
        if self.poly is None:
            raise Malformed(f"a statement of kind {self.kind} has no polynomial")
        return self.poly


MATRIX_KINDS = ("psd", "pd", "invertible")
SCALAR_KINDS = ("positive", "nonnegative")


def holds(statement: Statement, algebra: Algebra, model: Model) -> bool:
    """Whether a quantifier-free statement holds in an exact numeric model."""
    if statement.kind in ("any", "all"):
        results = [holds(part, algebra, model) for part in statement.parts]
        return any(results) if statement.kind == "any" else all(results)
    value = algebra.evaluate(statement.target, model)
    if statement.kind == "zero":
        return not any(x for row in value for x in row)
    if statement.kind in MATRIX_KINDS:
        return elimination(value)[MATRIX_KINDS.index(statement.kind)]
    if statement.kind == "positive":
        return value[0][0] > 0
    if statement.kind == "nonnegative":
        return value[0][0] >= 0
    raise Malformed(f"a statement of kind {statement.kind} cannot be evaluated in a model")


# -------------------------------------------------------------------------------------------------- scalar calculus

Tree = str | tuple[Any, ...]
Quotient = tuple[Commutative, Commutative]


@dataclass(frozen=True)
class Calculus:
    """A scalar expression over a tower of generators, each with a known derivative.

    ``generators`` maps a name to ``("power", x, M)`` for x^M, ``("log", tree)``, ``("exp", tree)`` or
    ``("flow", t, tree)`` for a function of t whose derivative is the tree. Expressions are nested tuples
    ``("+", a, b, ...)``, ``("*", ...)``, ``("/", a, b)``, ``("^", a, "n")``, ``("D", a, x)``, names and numerals;
    x and t are real parameters. Flows may depend on each other, the other generators must not form a circle.
    """

    variable: str
    generators: tuple[tuple[str, tuple[Any, ...]], ...]
    tree: Tree

    def quotient(self, tree: Tree | None = None) -> Quotient:
        """The expression, or another one in its generators, as a rational function of parameters and generators."""
        return Field(dict(self.generators)).quotient(self.tree if tree is None else tree)

    def delicate(self, tree: Tree) -> Iterator[Tree]:
        """Divisors, arguments of logarithms and bases of powers: ``tree`` is defined where all are positive."""
        rules, seen = dict(self.generators), set[str]()
        pending: list[Any] = [tree]
        while pending:
            tree = pending.pop()
            if isinstance(tree, str):
                if tree in rules and tree not in seen:
                    seen.add(tree)
                    kind, *arguments = rules[tree]
                    pending += arguments
                    if kind in ("log", "power"):
                        yield arguments[0]
                continue
            operator, *arguments = tree
            pending += arguments
            if operator == "/":
                yield arguments[1]
            elif operator == "^" and rational(arguments[1]) < 0:
                yield arguments[0]


@dataclass(frozen=True)
class Motion:
    """dw/dt = rate(w) beside a first integral (the tree of a :class:`Calculus` in w) that is ~ coefficient w^exponent.

    ``quantity * w^power`` tends to ``limit`` as w tends to infinity; ``count`` solutions are summed over.
    """

    rate: Tree
    coefficient: Tree = "1"
    exponent: int = 0
    quantity: Tree = "0"
    power: int = 0
    limit: Tree = "0"
    count: Tree = "1"


@dataclass
class Field:
    """Rational functions in the generators of a :class:`Calculus`, with the derivations that they determine."""

    generators: dict[str, tuple[Any, ...]]

    def quotient(self, tree: Tree) -> Quotient:
        spend(4)
        one: Commutative = {(): Fraction(1)}
        if isinstance(tree, str):
            if tree[:1].isdigit() or tree[:1] == "-":
                return add({}, {(): rational(tree)}), one
            return {((tree, 1),): Fraction(1)}, one
        operator, *arguments = tree
        if operator == "D":
            return self.derivative(self.quotient(arguments[0]), arguments[1])
        if operator == "^":
            numerator, denominator = self.quotient(arguments[0])
            exponent = int(rational(arguments[1]))
            if abs(exponent) > MAX_EXPONENT:
                raise Malformed(f"exponent beyond {MAX_EXPONENT}")
            if exponent < 0:
                numerator, denominator = denominator, numerator
            return self.proper(power(numerator, abs(exponent)), power(denominator, abs(exponent)))
        values = [self.quotient(argument) for argument in arguments]
        total = values[0]
        for value in values[1:]:
            if operator == "+":
                total = self.plus(total, value)
            elif operator == "*":
                total = multiply(total[0], value[0]), multiply(total[1], value[1])
            elif operator == "/":
                total = self.proper(multiply(total[0], value[1]), multiply(total[1], value[0]))
            else:
                raise Malformed(f"unknown operation {operator!r}")
        return total

    @staticmethod
    def proper(numerator: Commutative, denominator: Commutative) -> Quotient:
        if not denominator:
            raise Rejected("division by an expression that is identically zero")
        return numerator, denominator

    @staticmethod
    def plus(left: Quotient, right: Quotient) -> Quotient:
        if left[1] == right[1]:
            return add(left[0], right[0]), left[1]
        return add(multiply(left[0], right[1]), multiply(right[0], left[1])), multiply(left[1], right[1])

    def derivative(self, value: Quotient, variable: str) -> Quotient:
        numerator, denominator = value
        top, bottom = self._derivative(numerator, variable), self._derivative(denominator, variable)
        # (n/d)' = (n' d - n d') / d^2 with n', d' quotients themselves
        first = multiply(top[0], denominator), top[1]
        second = multiply(bottom[0], numerator), bottom[1]
        difference = self.plus(first, (multiply(second[0], {(): Fraction(-1)}), second[1]))
        return difference[0], multiply(difference[1], multiply(denominator, denominator))

    def _derivative(self, poly: Commutative, variable: str) -> Quotient:
        total: Quotient = {}, {(): Fraction(1)}
        for name in sorted({name for mono in poly for name, _ in mono}):
            partial: Commutative = {}
            for mono, value in poly.items():
                exponent = dict(mono).get(name, 0)
                if exponent:
                    partial = add(partial, {monomial((*mono, (name, -1))): value * exponent})
            inner = self._generator_derivative(name, variable)
            total = self.plus(total, (multiply(partial, inner[0]), inner[1]))
        return total

    def _generator_derivative(self, name: str, variable: str) -> Quotient:
        spend(10)
        one: Commutative = {(): Fraction(1)}
        if name == variable:
            return one, one
        rule = self.generators.get(name)
        if rule is None:
            return {}, one
        kind = rule[0]
        if kind == "power":
            base, exponent = self.quotient(rule[1]), self.quotient(rule[2])
            if self.derivative(exponent, variable)[0]:
                raise Malformed(f"the exponent of {name} depends on {variable}")
            slope = self.derivative(base, variable)
            top = multiply(multiply({((name, 1),): Fraction(1)}, exponent[0]), multiply(slope[0], base[1]))
            return self.proper(top, multiply(exponent[1], multiply(slope[1], base[0])))
        if kind == "log":
            inner = self.quotient(rule[1])
            slope = self.derivative(inner, variable)
            return self.proper(multiply(slope[0], inner[1]), multiply(slope[1], inner[0]))
        if kind == "exp":
            slope = self.derivative(self.quotient(rule[1]), variable)
            return multiply({((name, 1),): Fraction(1)}, slope[0]), slope[1]
        if kind == "flow":
            if rule[1] != variable:
                raise Malformed(f"{name} is given as a function of {rule[1]}, not of {variable}")
            return self.quotient(rule[2])
        raise Malformed(f"unknown generator kind {kind!r}")


# ------------------------------------------------------------------------- inequalities on boxes: interval arithmetic


@dataclass(frozen=True)
class Inequality:
    """``tree`` is defined and positive at all values of the parameters, in their ranges, that lie in one of ``boxes``.

    Trees as in a :class:`Calculus`, without derivatives and with ``("exp", a)`` and ``("log", a)`` written out; b^e is
    exp(e log b). A box is a tuple of (name, low, high), ends included, ``None`` for no bound beyond the range.
    """

    tree: Tree
    boxes: tuple[tuple[tuple[str, Fraction | None, Fraction | None], ...], ...]


@dataclass(frozen=True)
class Edge:
    """One side of a box: values from ``low`` to ``high`` (``None``: no end), without low if ``open``; or integers."""

    low: Fraction | None
    high: Fraction | None
    open: bool = False
    integer: bool = False

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.open and self.low == self.high)

    def within(self, low: Fraction | None, high: Fraction | None) -> Edge:
        """The values from low to high; of integers, from the first to the last of them."""
        if low is not None and self.integer:
            low = Fraction(-(-low.numerator // low.denominator))
        if high is not None and self.integer:
            high = Fraction(high.numerator // high.denominator)
        lower = low is not None and (self.low is None or low > self.low)
        upper = high is not None and (self.high is None or high < self.high)
        return Edge(low if lower else self.low, high if upper else self.high, self.open and not lower, self.integer)

    def cut(self, at: Fraction) -> tuple[Edge, Edge]:
        """The values up to the cut and those from it (of integers: from the next one); together they are all."""
        expect(not self.integer or at.denominator == 1, "a cut between two integers")
        above = at + 1 if self.integer else at
        first = self.low is None or self.low < at or (self.integer and self.low == at)
        last = self.high is None or above < self.high or (self.integer and above == self.high)
        expect(first and last, "a cut outside of the box")
        return Edge(self.low, at, self.open, self.integer), Edge(above, self.high, False, self.integer)

    def covers(self, other: Edge) -> bool:
        """Whether every value of the other edge is one of this."""
        if self.low is not None:
            if other.low is None or other.low < self.low:
                return False
            if self.open and other.low == self.low and not other.open:
                return False
        return self.high is None or (other.high is not None and other.high <= self.high)


Box = Mapping[str, Edge]


def domain(algebra: Algebra, inequality: Inequality) -> list[Box]:
    """The boxes of an inequality, cut down to the ranges of the parameters; none of them may be empty."""
    found: list[Box] = []
    for conditions in inequality.boxes:
        spend(30 * len(algebra.parameters))
        edges: dict[str, Edge] = {}
        for name, bounds in algebra.parameters.items():
            whole = Edge(None, None, False, bounds.integer)
            low = bounds.low
            if bounds.integer and bounds.open and low is not None:
                low = Fraction(low.numerator // low.denominator + 1)
            edge = whole.within(low, None)
            edges[name] = Edge(edge.low, None, bounds.open and not bounds.integer, bounds.integer)
        for name, low, high in conditions:
            edges[name] = edges[name].within(low, high)
        expect(not any(edge.empty for edge in edges.values()), "a box without a point")
        found.append(edges)
    return found


# An end of an interval is a number (0, x) or infinite, (-1, 0) or (1, 0), so that ends compare as tuples do. An
# interval holds the finite numbers between its ends: 0 times an infinite end is 0 (IEEE 1788, set-based intervals).
End = tuple[int, Fraction]
Interval = tuple[End, End]
BELOW: End = (-1, Fraction(0))
ABOVE: End = (1, Fraction(0))
ZERO: End = (0, Fraction(0))

PRECISION = 64  # significant bits of the ends; shorter fractions stay exact
POINT = 96  # binary places in which series are summed
LARGEST = 2_048  # ends beyond 2^LARGEST become infinite, ends below 2^-LARGEST zero
MOST_EXPONENTIAL = 1_000  # e^x is not computed beyond, but bounded by its value there
MAX_CUTS = 200  # of one box, one after the other
MOST_POWERS = 64  # k in e^(k log b) = b^k


def divided(top: int, bottom: int, up: bool) -> int:
    """The quotient, rounded down or up."""
    return -(-top // bottom) if up else top // bottom


def rounded(value: Fraction, up: bool) -> End:
    """The value if it is short, else a bound from above or below with PRECISION significant bits."""
    top, bottom = value.numerator, value.denominator
    scale = top.bit_length() - bottom.bit_length()  # 2^(scale-1) <= |value| <= 2^(scale+1)
    if max(top.bit_length(), bottom.bit_length()) <= PRECISION:
        return 0, value
    if scale > LARGEST:
        if (top > 0) == up:
            return ABOVE if up else BELOW
        return 0, Fraction((1 if top > 0 else -1) << LARGEST)
    if scale < -LARGEST:
        return 0, Fraction(1 if up else -1, 1 << LARGEST) if (top > 0) == up else Fraction(0)
    shift = PRECISION - scale
    if shift >= 0:
        return 0, Fraction(divided(top << shift, bottom, up), 1 << shift)
    return 0, Fraction(divided(top, bottom << -shift, up) << -shift)


def exponential(x: Fraction, up: bool) -> Fraction:
    """A bound of e^x for |x| <= MOST_EXPONENTIAL: Taylor series at x/2^k <= 1/2, then k squarings; 1/e^-x for x < 0."""
    if x < 0:
        return 1 / exponential(-x, not up)
    halvings = (x.numerator // x.denominator + 1).bit_length() + 1
    y = divided(x.numerator << POINT, x.denominator << halvings, up)
    total = term = 1 << POINT
    n = 0
    while term > up:  # from below until the terms vanish, from above until they are one unit
        n += 1
        term = divided(term * y, n << POINT, up)
        total += term
    total += term  # the rest of the series is less than its last term: every quotient of terms is below 1/2
    for _ in range(halvings):
        total = divided(total * total, 1 << POINT, up)
    return Fraction(total, 1 << POINT)


def logarithm(x: Fraction, up: bool) -> Fraction:
    """A bound of log x, x > 0: k log 2 + log m for x = 2^k m with 1 <= m < 2; -log(1/x) for x < 1."""
    if x < 1:
        return -logarithm(1 / x, not up)
    k = x.numerator.bit_length() - x.denominator.bit_length()
    k -= x.numerator < x.denominator << k
    low = x.denominator << k
    return Fraction(k * twice_artanh(1, 3, up) + twice_artanh(x.numerator - low, x.numerator + low, up), 1 << POINT)


def twice_artanh(top: int, bottom: int, up: bool) -> int:
    """A bound of log((1 + z) / (1 - z)) = 2 (z + z^3/3 + z^5/5 + ...), 0 <= z = top/bottom <= 1/3, times 2^POINT."""
    z = divided(top << POINT, bottom, up)
    square = divided(z * z, 1 << POINT, up)
    total, power, n = 0, z, 1
    while power > up:
        total += divided(power, n, up)
        power = divided(power * square, 1 << POINT, up)
        n += 2
    return 2 * (total + 2 * power)  # the rest of the series is at most power / (1 - z^2)


def product_of_ends(x: End, y: End) -> End:
    if not (x[0] or y[0]):
        return 0, x[1] * y[1]
    one, other = x[0] or x[1], y[0] or y[1]  # of their signs
    if not one or not other:
        return ZERO
    return ABOVE if (one > 0) == (other > 0) else BELOW


def outward(low: End, high: End) -> Interval:
    return low if low[0] else rounded(low[1], False), high if high[0] else rounded(high[1], True)


def sum_of_intervals(x: Interval, y: Interval) -> Interval:
    low = BELOW if x[0][0] or y[0][0] else (0, x[0][1] + y[0][1])
    high = ABOVE if x[1][0] or y[1][0] else (0, x[1][1] + y[1][1])
    return outward(low, high)


def product_of_intervals(x: Interval, y: Interval) -> Interval:
    corners = [product_of_ends(a, b) for a in x for b in y]
    return outward(min(corners), max(corners))


def reciprocal(x: Interval, positive: bool = False) -> Interval:
    """1/x; ``positive`` says that the values are, although the interval may reach zero and below."""
    if positive and x[0] <= ZERO < x[1]:
        return outward(ZERO if x[1][0] else (0, 1 / x[1][1]), ABOVE)
    expect(x[0] > ZERO or x[1] < ZERO, "a divisor is not known to be nonzero")
    low, high = (ZERO if end[0] else (0, 1 / end[1]) for end in reversed(x))
    return outward(low, high)


def negative(x: Interval) -> Interval:
    low, high = ((-end[0], -end[1]) for end in reversed(x))
    return low, high


def power_of_end(x: End, exponent: int, up: bool) -> End:
    """A bound of x^n for x >= 0 and n > 0, by repeated squaring."""
    result = x
    for digit in f"{exponent:b}"[1:]:
        for factor in (result, x) if digit == "1" else (result,):
            spend(4)
            result = product_of_ends(result, factor)
            result = result if result[0] else rounded(result[1], up)
    return result


def power_of_interval(x: Interval, exponent: int) -> Interval:
    """x^n for n >= 0, of even n tight around zero."""
    if exponent == 0:
        return (0, Fraction(1)), (0, Fraction(1))
    if x[0] >= ZERO:
        return power_of_end(x[0], exponent, False), power_of_end(x[1], exponent, True)
    if x[1] <= ZERO:
        mirrored = power_of_interval(negative(x), exponent)
        return mirrored if exponent % 2 == 0 else negative(mirrored)
    most, least = power_of_end(x[1], exponent, True), power_of_end(negative(x)[1], exponent, True)
    return (ZERO, max(most, least)) if exponent % 2 == 0 else (negative((ZERO, least))[0], most)


def exponential_of(x: Interval, bound: Callable[[Fraction, bool], Fraction] = exponential) -> Interval:
    """e^x, or another positive function that increases, by its bounds from below and above at a number."""
    spend(60)
    low, high = x
    least, most = Fraction(-MOST_EXPONENTIAL), Fraction(MOST_EXPONENTIAL)
    below = ZERO if low[0] or low[1] < least else rounded(bound(min(low[1], most), False), False)
    above = ABOVE if high[0] or high[1] > most else rounded(bound(max(high[1], least), True), True)
    return below, above


def relative_exponential(x: Fraction, up: bool) -> Fraction:
    """A bound of (e^x - 1)/x; near 0 from 1 + x/2 <= (e^x - 1)/x <= 1 + x/2 + x^2/4, which holds for |x| <= 1."""
    if abs(x) < Fraction(1, 1 << 16):
        return 1 + x / 2 + (x * x / 4 if up else 0)
    return (exponential(x, up == (x > 0)) - 1) / x


def relative_exponential_of(x: Interval) -> Interval:
    """(e^x - 1)/x, which is 1 at 0 and increases."""
    return exponential_of(x, relative_exponential)


def logarithm_of(x: Interval, positive: bool = False) -> Interval:
    """log x; ``positive`` says that the values are, although the interval may reach zero and below."""
    spend(60)
    low, high = x
    expect(low > ZERO or (positive and high > ZERO), "what a logarithm is taken of is not known to be positive")
    below = rounded(logarithm(low[1], False), False) if low > ZERO else BELOW
    return below, ABOVE if high[0] else rounded(logarithm(high[1], True), True)


class Enclosure:
    """Intervals that contain all values of expressions on one box, of which some parts are known to be positive."""

    def __init__(self, box: Box, positive: Collection[Tree] = ()) -> None:
        self.box, self.positive = box, positive

    def __call__(self, tree: Tree) -> Interval:
        """An interval that contains every value; :class:`Rejected` where a value may be undefined."""
        spend(24)
        if isinstance(tree, str):
            if tree in self.box:
                edge = self.box[tree]
                return outward(
                    BELOW if edge.low is None else (0, edge.low), ABOVE if edge.high is None else (0, edge.high)
                )
            return outward((0, rational(tree)), (0, rational(tree)))
        operator, *arguments = tree
        if operator == "^":
            exponent = int(rational(arguments[1]))
            result = power_of_interval(self(arguments[0]), abs(exponent))
            return result if exponent >= 0 else reciprocal(result, arguments[0] in self.positive)
        values = [self(argument) for argument in arguments]
        total = values[0]
        if operator == "exp":
            return exponential_of(total)
        if operator == "exprel":
            return relative_exponential_of(total)
        if operator == "log":
            return logarithm_of(total, arguments[0] in self.positive)
        for argument, value in zip(arguments[1:], values[1:], strict=True):
            if operator == "+":
                total = sum_of_intervals(total, value)
            elif operator == "*":
                total = product_of_intervals(total, value)
            elif operator == "/":
                total = product_of_intervals(total, reciprocal(value, argument in self.positive))
            else:
                raise Malformed(f"unknown operation {short(operator)}")
        return total


def has_positive_coefficients(poly: Commutative, algebra: Algebra) -> bool:
    terms: dict[Key, Fraction] = {(mono, (), None): value for mono, value in poly.items()}
    return algebra.sign(Polynomial(None, terms)) == "positive"


# ------------------------------------------------------------------------------------------------------------ rules


@dataclass
class Replay:
    """A certificate under replay: what is declared, what is established, what was used on the way."""

    algebra: Algebra
    hypotheses: dict[str, Statement]
    established: dict[str, Statement]
    current: set[str] = field(default_factory=set[str])  # premises of the step under replay

    def premise(self, name: object, *kinds: str) -> Statement:
        if not isinstance(name, str) or name not in self.established:
            raise Rejected(f"premise {short(name)} is not established before it is used")
        statement = self.established[name]
        if kinds and statement.kind not in kinds:
            raise Rejected(f"premise {name!r} is {statement.kind}, expected {' or '.join(kinds)}")
        self.current.add(name)
        return statement

    def is_nonnegative(self, poly: Polynomial) -> bool:
        if self.algebra.sign(poly) in ("positive", "nonnegative"):
            return True
        return any(self.knows(Statement(kind, poly)) for kind in SCALAR_KINDS)

    def is_positive(self, poly: Polynomial) -> bool:
        return self.algebra.sign(poly) == "positive" or self.knows(Statement("positive", poly))

    def knows(self, statement: Statement) -> bool:
        spend(len(self.established))
        name = next((name for name, known in self.established.items() if known == statement), None)
        if name is not None:
            self.current.add(name)
        return name is not None

    def require_free(self, names: Iterable[str], *polys: Polynomial) -> None:
        """Universally quantified letters: no hypothesis and no definition speaks of them."""
        bound = set(names)
        for label, statement in self.hypotheses.items():
            for poly in statement.polynomials():
                if self.algebra.names(poly) & bound:
                    raise Rejected(f"hypothesis {label!r} restricts a letter that must be free")
        for name in bound:
            if not self.algebra.is_free(name):
                raise Rejected(f"{name} is not a free letter")
        for poly in polys:
            for name in self.algebra.names(poly):
                inner = self.algebra.definition(name)
                if inner is not None and self.algebra.names(inner) & bound:
                    raise Rejected(f"the definition of {name} contains a letter that must be free")


Rule = Callable[[Replay, "Statement", "Reader", Mapping[str, Any]], None]


def rule_star(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """The goal polynomial is a combination, with two-sided cofactors, of polynomials known to vanish."""
    algebra = replay.algebra
    expect(goal.kind == "zero", "star proves statements of kind zero")
    target = goal.target
    rest = dict(target.terms)
    for entry in reader.items(data, "cofactors"):
        relation = replay.premise(entry.get("of"), "zero").target
        if reader.flag(entry, "t"):
            relation = algebra.transpose(relation)
        mono, value = reader.monomial(entry.get("m", {})), rational(entry.get("c"))
        traces = tuple(reader.word(word) for word in reader.items(entry, "traces"))
        left, right = reader.word(entry.get("left", [])), reader.word(entry.get("right", []))
        outer = reader.word(entry["word"]) if "word" in entry else None

        def terms(
            relation: Polynomial = relation,
            mono: Monomial = mono,
            value: Fraction = value,
            traces: tuple[Word, ...] = traces,
            left: Word = left,
            right: Word = right,
            outer: Word | None = outer,
        ) -> Iterator[tuple[Key, Fraction]]:
            inside = target.shape is None or outer is not None  # the relation acts inside a trace
            if relation.shape is None:
                word = outer if outer is not None else (None if target.shape is None else left + right)
                for (m, s, _), x in relation.terms.items():
                    yield (monomial(mono + m), (*traces, *s), word), value * x
                return
            check_context(algebra, relation.shape, left, right, None if inside else target.shape)
            for (m, s, w), x in relation.terms.items():
                full = left + (w or ()) + right
                if not inside:
                    yield (monomial(mono + m), (*traces, *s), full), value * x
                elif full:
                    yield (monomial(mono + m), (*traces, *s, full), outer), value * x
                else:
                    for n, y in relation.shape[0]:
                        yield (monomial(mono + m + n), (*traces, *s), outer), value * x * y

        for key, x in algebra.collect(target.shape, terms()).terms.items():
            accumulate(rest, key, -x)
    left_over = [key for key, x in rest.items() if x]
    expect(not left_over, f"the cofactors leave {len(left_over)} terms")


def check_context(algebra: Algebra, shape: Shape, left: Word, right: Word, target: Shape | None) -> None:
    """``left r right`` has the size of the target or, inside a trace (no target), is square."""
    start, end = shape
    if left:
        rows, cols = algebra.word_shape(left)
        expect(cols == shape[0], "left cofactor of the wrong size")
        start = rows
    if right:
        rows, cols = algebra.word_shape(right)
        expect(rows == shape[1], "right cofactor of the wrong size")
        end = cols
    if target is None:
        expect(start == end, "trace of a rectangular product")
    else:
        expect((start, end) == target, "a relation of another size than the goal")


def squares_sum(replay: Replay, reader: Reader, data: Mapping[str, Any], traced: bool) -> Polynomial:
    """Sum of c_i X_i A_i X_i^T (or of its trace) with c_i >= 0 and each A_i an identity or known to be psd."""
    algebra = replay.algebra
    total: Polynomial | None = None
    for entry in reader.items(data, "squares"):
        factor = reader.polynomial(entry["factor"])
        weight = reader.polynomial(entry["weight"])
        expect(replay.is_nonnegative(weight), "a weight of the sum of squares is not known to be nonnegative")
        middle = factor
        if entry.get("metric") is not None:
            middle = algebra.times(factor, replay.premise(entry["metric"], "psd", "pd").target)
        term = algebra.times(middle, algebra.transpose(factor))
        term = algebra.times(weight, algebra.trace(term) if traced else term)
        total = term if total is None else algebra.plus(total, term)
    if total is None:
        raise Malformed("an empty sum of squares")
    return total


def rule_gram(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A weighted sum of X A X^T (A psd or identity) is psd; the same sum of traces is nonnegative."""
    expect(goal.kind in ("psd", "nonnegative"), "gram proves psd or nonnegative")
    total = squares_sum(replay, reader, data, traced=goal.kind == "nonnegative")
    expect(total == goal.poly, "the sum of squares is not the polynomial of the goal")


def rule_rewrite(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A property of A carries over to B when A - B = 0."""
    expect(goal.kind in (*MATRIX_KINDS, *SCALAR_KINDS), "rewrite proves a property of one polynomial")
    source = replay.premise(data.get("from"), goal.kind)
    equal = replay.premise(data.get("equal"), "zero").target
    difference = replay.algebra.minus(source.target, goal.target)
    negative = replay.algebra.minus(goal.target, source.target)
    expect(equal in (difference, negative), "the equality is not that of the two polynomials")


def rule_shift(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """G psd, s >= 0, and (s > 0 or G invertible): G + s I is positive definite."""
    expect(goal.kind == "pd", "shift proves positive definiteness")
    algebra = replay.algebra
    base = replay.premise(data.get("base"), "psd", "pd").target
    shift = reader.polynomial(data["shift"])
    if base.shape is None:
        raise Malformed("shift of a scalar")
    total = algebra.plus(base, algebra.times(shift, algebra.identity(base.shape[0])))
    expect(total == goal.poly, "the goal is not the base plus the shift")
    expect(replay.is_nonnegative(shift), "the shift is not known to be nonnegative")
    strict = Statement("positive", shift)
    enough = (strict, Statement("invertible", base), Statement("pd", base))

    def suffices(statement: Statement) -> bool:
        if statement.kind == "any":
            return all(suffices(part) for part in statement.parts)
        return statement in enough

    if not replay.is_positive(shift):
        reason = replay.premise(data.get("because"))
        expect(suffices(reason), "neither a positive shift nor an invertible base is known")


def rule_inverse(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """R = A^{-1}: R A - I = 0 and A R - I = 0 once A is known to be invertible (a scalar: nonzero)."""
    algebra, name = replay.algebra, reader.string(data, "letter")
    inner = algebra.definition(name)
    power_letter = name in algebra.powers
    if inner is None or power_letter or (name in algebra.letters and algebra.letters[name].inverse_of is None):
        raise Rejected(f"{name} is not declared as an inverse")
    expect(goal.kind == "zero", "inverse proves statements of kind zero")
    if inner.shape is None:
        expect(replay.is_positive(inner), f"the reciprocal {name} is not known to exist")
        unit = algebra.times(algebra.scalar({((name, 1),): Fraction(1)}), inner)
        expect(
            goal.poly == algebra.minus(unit, algebra.scalar({(): Fraction(1)})), "not the relation of the reciprocal"
        )
        return
    known = replay.premise(data.get("because"), "pd", "invertible").target
    expect(known == inner, f"what is known to be invertible is not what {name} inverts")
    identity, symbol = algebra.identity(inner.shape[0]), algebra.symbol(name)
    sides = [algebra.minus(p, identity) for p in (algebra.times(symbol, inner), algebra.times(inner, symbol))]
    expect(goal.poly in sides, "not a relation of the inverse")


def rule_let(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """Z - p = 0 for a letter Z declared as an abbreviation of p."""
    name = reader.string(data, "letter")
    meaning = replay.algebra.letter(name).equals
    if meaning is None:
        raise Rejected(f"{name} is not declared as an abbreviation")
    expected = Statement("zero", replay.algebra.minus(replay.algebra.symbol(name), meaning))
    expect(goal == expected, f"not the definition of {name}")


def rule_norm_zero(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A vanishing sum of c_i ||X_i||_F^2 with c_i > 0 has every X_i = 0."""
    known = replay.premise(data.get("norm"), "zero").target
    expect(known == squares_sum(replay, reader, data, traced=True), "the premise is not that sum of squares")
    for entry in reader.items(data, "squares"):
        factor, weight = reader.polynomial(entry["factor"]), reader.polynomial(entry["weight"])
        strict = entry.get("metric") is None or replay.premise(entry["metric"]).kind == "pd"
        if goal == Statement("zero", factor) and strict and replay.is_positive(weight):
            return
    raise Rejected("the goal is not a positively weighted square of the sum")


def rule_minimum(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """f(X) = v + sum c_i tr(S_i A_i S_i^T), c_i >= 0, A_i psd, S_i = 0 at X*, v free of X: X* minimises f, f* = v.

    ``unique`` needs one square with S = X - X*, c > 0 and A positive definite.
    """
    algebra = replay.algebra
    expect(goal.kind == "minimum", "minimum proves statements of kind minimum")
    objective, value = goal.target, goal.value
    if value is None or value.shape is not None:
        raise Malformed("minimum needs the value of the minimum")
    replay.require_free(goal.over, objective, value, *goal.at)
    expect(not algebra.names(value) & set(goal.over), "the value depends on the variable")
    gap = algebra.minus(algebra.minus(objective, value), squares_sum(replay, reader, data, traced=True))
    expect(replay.premise(data.get("identity"), "zero").poly == gap, "the premise is not the completed square")
    point = dict(zip(goal.over, goal.at, strict=True))
    expect(not set().union(*(algebra.names(p) for p in goal.at)) & set(goal.over), "the point depends on itself")
    entries = reader.items(data, "squares")
    for entry in entries:
        factor = reader.polynomial(entry["factor"])
        if entry.get("metric") is not None:
            names = algebra.names(replay.premise(entry["metric"]).target)
            expect(not names & set(goal.over), "a metric depends on the variable")
        at_point = algebra.substitute(factor, point)
        zero = not at_point.terms or replay.knows(Statement("zero", at_point))
        expect(zero, "a square does not vanish at the minimiser")
    if goal.unique:
        entry = entries[0]
        difference = algebra.minus(algebra.symbol(goal.over[0]), goal.at[0])
        metric = entry.get("metric")
        definite = metric is None or replay.premise(metric).kind == "pd"
        factor = reader.polynomial(entry["factor"])
        single = len(entries) == len(goal.over) == 1 and factor in (difference, algebra.transpose(difference))
        expect(single and definite, "uniqueness needs one square of X - X* in a positive definite metric")
        expect(replay.is_positive(reader.polynomial(entry["weight"])), "uniqueness needs a positive weight")


def rule_reparametrise(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """f = g o phi and phi o psi = id: f over its variables and g over its variables have one infimum."""
    algebra = replay.algebra
    expect(goal.kind == "equal-infima", "reparametrise proves statements of kind equal-infima")
    if goal.other is None:
        raise Malformed("equal-infima needs two objectives")
    f, g = goal.target, goal.other
    phi = {name: reader.polynomial(data["forward"][name]) for name in goal.other_over}
    psi = {name: reader.polynomial(data["backward"][name]) for name in goal.over}
    replay.require_free((*goal.over, *goal.other_over), f, g, *phi.values(), *psi.values())
    # phi may speak of f's variables only, psi of g's only; a variable of g alone must not remain in f o ...
    expect(not algebra.names(f) & (set(goal.other_over) - set(goal.over)), "f depends on variables of g")
    expect(not algebra.names(g) & (set(goal.over) - set(goal.other_over)), "g depends on variables of f")
    expect(
        not set().union(*(algebra.names(p) for p in phi.values())) & (set(goal.other_over) - set(goal.over)),
        "the forward map depends on its own values",
    )
    expect(
        not set().union(*(algebra.names(p) for p in psi.values())) & (set(goal.over) - set(goal.other_over)),
        "the backward map depends on its own values",
    )
    pulled = algebra.minus(f, algebra.substitute(g, phi))
    require_zero(replay, data.get("identity"), pulled)
    for name in goal.other_over:
        back = algebra.minus(algebra.substitute(phi[name], psi), algebra.symbol(name))
        require_zero(replay, reader.mapping(data, "inverse").get(name), back)


def require_zero(replay: Replay, premise: object, poly: Polynomial) -> None:
    if poly.terms:
        expect(replay.premise(premise, "zero").poly == poly, f"premise {premise!r} is not the identity needed")


def rule_substitute(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A statement proved for every value of free letters holds at one value."""
    values = {name: reader.polynomial(poly) for name, poly in reader.mapping(data, "values").items()}
    source = replay.premise(data.get("from"), "zero", *MATRIX_KINDS, *SCALAR_KINDS)
    replay.require_free(values, source.target)
    result = Statement(source.kind, replay.algebra.substitute(source.target, values))
    expect(result == goal, "the substitution gives another statement")


def rule_all(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """Each part is established."""
    expect(goal.kind == "all" and bool(goal.parts), "all proves a statement with parts")
    known = [replay.premise(name) for name in reader.items(data, "parts")]
    expect(tuple(known) == goal.parts, "the parts are not those of the goal")


def rule_field(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """An expression whose cleared numerator is the zero polynomial vanishes wherever it is defined."""
    expect(goal.kind == "vanishes" and goal.calculus is not None, "field proves statements of kind vanishes")
    if goal.calculus is not None:
        numerator, _ = goal.calculus.quotient()
        expect(not numerator, f"the cleared numerator keeps {len(numerator)} terms")


def rule_monotone(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """f' = P/Q with P and Q positive on the variable's range: f increases strictly there."""
    expect(goal.kind == "increasing" and goal.calculus is not None, "monotone proves statements of kind increasing")
    if goal.calculus is None:
        return
    calculus = goal.calculus
    bounds = replay.algebra.range_of(calculus.variable)
    expect(bounds.low is not None, "the variable needs a lower end")
    expect(not bounds.integer, "the variable runs over the integers")
    signs = visible_signs(replay, calculus)
    require_defined(signs, calculus, calculus.tree)
    require_visible(signs, calculus, slope(calculus, calculus.tree), "the derivative is not visibly positive")


def rule_dominance(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A quotient of sums of w^a (log w)^b tends to 0 if its denominator has the larger degree (a, b)."""
    expect(goal.kind == "tends" and goal.calculus is not None, "dominance proves statements of kind tends")
    if goal.calculus is not None:
        require_vanishing(replay, goal.calculus, goal.calculus.tree)


def visible_signs(replay: Replay, calculus: Calculus) -> Algebra:
    """Ranges of the parameters, and of the generators that are positive wherever they are defined."""
    signs = Algebra(dict(replay.algebra.parameters))
    for name, rule in calculus.generators:
        base_positive = rule[0] == "power" and rule[1] in signs.parameters and signs.parameters[rule[1]].positive
        signs.parameters[name] = Range(Fraction(0), open=True) if rule[0] == "exp" or base_positive else Range(None)
    return signs


def require_visible(signs: Algebra, calculus: Calculus, tree: Tree, message: str, weakly: bool = False) -> None:
    """The expression is P/Q with P and Q positive (P nonnegative if ``weakly``) by their coefficients."""
    top, bottom = calculus.quotient(tree)
    enough = has_positive_coefficients(bottom, signs) and (weakly or has_positive_coefficients(top, signs))
    if weakly and enough:
        terms: dict[Key, Fraction] = {(mono, (), None): value for mono, value in top.items()}
        enough = signs.sign(Polynomial(None, terms)) != "unknown"
    expect(enough, message)


def require_defined(signs: Algebra, calculus: Calculus, *trees: Tree) -> None:
    for tree in trees:
        for part in calculus.delicate(tree):
            require_visible(signs, calculus, part, f"not visibly defined: {render_tree(part)[:80]} must be positive")


def slope(calculus: Calculus, tree: Tree) -> Tree:
    return ("D", tree, calculus.variable)


def require_vanishing(replay: Replay, calculus: Calculus, tree: Tree) -> None:
    """A rational function of w and log w tends to 0 as w tends to infinity: its denominator has the larger degree.

    Degrees are pairs (of w, of log w), compared lexicographically; the leading coefficient of the denominator must be
    visibly positive.
    """
    logs = [name for name, rule in calculus.generators if rule == ("log", calculus.variable)]
    expect(len(logs) == len(calculus.generators), "only logarithms of the variable are allowed")

    def degrees(poly: Commutative) -> dict[tuple[int, int], Commutative]:
        found: dict[tuple[int, int], Commutative] = {}
        for mono, value in poly.items():
            powers = dict(mono)
            degree = powers.pop(calculus.variable, 0), sum(powers.pop(name, 0) for name in logs)
            found[degree] = add(found.get(degree, {}), {monomial(powers.items()): value})
        return {degree: part for degree, part in found.items() if part}

    def lead(poly: Commutative, what: str) -> tuple[int, int]:
        parts = degrees(poly)
        positive = bool(parts) and has_positive_coefficients(parts[max(parts)], replay.algebra)
        expect(positive, f"the leading coefficient of {what[:80]} is not positive")
        return max(parts)

    for part in calculus.delicate(tree):  # defined for all large w
        for poly in calculus.quotient(part):
            lead(poly, render_tree(part))
    top, bottom = calculus.quotient(tree)
    largest = lead(bottom, "the denominator")
    for a, b in degrees(top):
        expect((a, b) < largest, f"a term of degree {a} in w and {b} in log w does not vanish")


# ------------------------------------------------------------------- solutions of dw/dt = rate(w) with a first integral


def first_integral(replay: Replay, goal: Statement) -> tuple[Calculus, Motion, Algebra]:
    """Phi' * rate = 1 and Phi' > 0 on (0, infinity): then Phi(w(t)) - t is constant, and Phi determines w."""
    calculus, motion = goal.calculus, goal.motion
    if calculus is None or motion is None:
        raise Malformed(f"{goal.kind} needs a first integral and a rate")
    bounds = replay.algebra.range_of(calculus.variable)
    expect(bounds == Range(Fraction(0), open=True), "the variable must run over the positive reals")
    signs = visible_signs(replay, calculus)
    product: Tree = ("+", ("*", slope(calculus, calculus.tree), motion.rate), "-1")
    expect(not calculus.quotient(product)[0], "the derivative of the integral is not one over the rate")
    require_defined(signs, calculus, calculus.tree, motion.rate)
    require_visible(signs, calculus, slope(calculus, calculus.tree), "the integral does not visibly increase")
    return calculus, motion, signs


def growth(replay: Replay, goal: Statement) -> tuple[Calculus, Motion, Algebra, Tree]:
    """Moreover Phi(w) = c w^k (1 + o(1)) with c > 0: Phi exhausts (Phi(w(0)), infinity), so w(t) exists for all t."""
    calculus, motion, signs = first_integral(replay, goal)
    require_constant(calculus, motion.coefficient)
    require_visible(signs, calculus, motion.coefficient, "the coefficient is not visibly positive")
    expect(motion.exponent >= 1, "the exponent must be a positive integer")
    lead: Tree = ("*", motion.coefficient, ("^", calculus.variable, str(motion.exponent)))
    rest: Tree = ("+", calculus.tree, ("*", "-1", lead))
    require_vanishing(replay, calculus, ("/", rest, ("^", calculus.variable, str(motion.exponent))))
    return calculus, motion, signs, rest


def require_constant(calculus: Calculus, tree: Tree) -> None:
    varying = {calculus.variable, *dict(calculus.generators)}
    expect(not names_in(tree) & varying, "a constant depends on the variable")


def rule_first_integral(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """Phi' rate = 1 and Phi' > 0: along dw/dt = rate(w), Phi(w(t)) = Phi(w(0)) + t, and that determines w(t)."""
    expect(goal.kind == "first-integral", "this rule proves statements of kind first-integral")
    first_integral(replay, goal)


def rule_growth(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A first integral with Phi(w) ~ c w^k: w(t) increases strictly to infinity and c w(t)^k / t tends to 1.

    Phi maps (0, infinity) increasingly, and w(t) = Phi^{-1}(Phi(w(0)) + t) is the solution as long as it exists; Phi is
    finite at finite w and tends to infinity, so w(t) exists for all t >= 0 and tends to infinity.
    """
    expect(goal.kind == "growth", "this rule proves statements of kind growth")
    growth(replay, goal)


def rule_equalisation(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """w/rate(w) increases, and so does Psi = Phi - c w^k (weakly): the ratio of two solutions w >= v decreases to 1.

    d/dt log(w/v) = rate(w)/w - rate(v)/v < 0 for w > v; and c (w^k - v^k) = Phi(w) - Phi(v) - (Psi(w) - Psi(v)) is at
    most Phi(w) - Phi(v), which is constant in time.
    """
    expect(goal.kind == "equalisation", "this rule proves statements of kind equalisation")
    equalisation(replay, goal)


def equalisation(replay: Replay, goal: Statement) -> tuple[Calculus, Motion, Algebra]:
    calculus, motion, signs, rest = growth(replay, goal)
    relative: Tree = ("/", calculus.variable, motion.rate)
    require_defined(signs, calculus, relative)
    require_visible(signs, calculus, slope(calculus, relative), "w / rate(w) does not visibly increase")
    require_visible(signs, calculus, slope(calculus, rest), "the integral minus its leading term decreases", True)
    return calculus, motion, signs


def rule_shares(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """q > 0 and |w q'(w) / q(w)| <= m: of n solutions, every share q(w_j) / sum_i q(w_i) is 1/n up to a factor r^m.

    Integrate the logarithmic slope between two solutions: their q differ by at most the factor r^m, r = max w / min w,
    and so does each share from 1/n. By equalisation r tends to 1.
    """
    expect(goal.kind == "shares", "this rule proves statements of kind shares")
    calculus, motion, signs = equalisation(replay, goal)
    require_count(replay, calculus, motion)
    quantity = motion.quantity
    require_defined(signs, calculus, quantity)
    require_visible(signs, calculus, quantity, "the quantity is not visibly positive")
    relative: Tree = ("*", calculus.variable, slope(calculus, quantity))
    for sign in ("1", "-1"):
        bound: Tree = ("+", ("*", str(motion.power), quantity), ("*", sign, relative))
        require_visible(signs, calculus, bound, "the logarithmic slope is not visibly bounded by the power", True)


def require_count(replay: Replay, calculus: Calculus, motion: Motion) -> None:
    require_constant(calculus, motion.count)
    number, one = calculus.quotient(motion.count)
    natural = one == {(): Fraction(1)} and replay.algebra.is_natural(number)
    expect(natural, "the number of solutions is not visibly a natural number")


def rule_decay(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """q(w) w^m tends to l as w tends to infinity: the sum of q(w_j(t)) over n solutions is ~ n l (c/t)^(m/k)."""
    expect(goal.kind == "decay", "this rule proves statements of kind decay")
    calculus, motion, _, _ = growth(replay, goal)
    require_constant(calculus, motion.limit)
    require_count(replay, calculus, motion)
    scaled: Tree = ("*", motion.quantity, ("^", calculus.variable, str(motion.power)))
    require_vanishing(replay, calculus, ("+", scaled, ("*", "-1", motion.limit)))


def rule_gradient(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """The derivative of f at X in every direction D is tr(G^T D): G is the gradient of f in X.

    Hypotheses may restrict X to an open set (invertible, pd, positive), and must not mention D.
    """
    algebra = replay.algebra
    expect(goal.kind == "gradient" and len(goal.over) == len(goal.at) == 1, "gradient proves statements of its kind")
    (name,), (gradient,), objective = goal.over, goal.at, goal.target
    direction = reader.string(data, "direction")
    replay.require_free((direction,), objective, gradient)
    expect(algebra.is_free(name), f"{name} is not a free letter")
    for label, statement in replay.hypotheses.items():
        mentioned = any(name in algebra.names(poly) for poly in statement.polynomials())
        expect(
            not mentioned or statement.kind in ("invertible", "pd", "positive"),
            f"hypothesis {label!r} does not leave {name} free in an open set",
        )
    expect(direction not in algebra.names(objective) | algebra.names(gradient), "the direction is not arbitrary")
    product = algebra.trace(algebra.times(algebra.transpose(gradient), algebra.symbol(direction)))
    change = algebra.differential(objective, name, direction)
    require_zero(replay, data.get("identity"), algebra.minus(change, product))


# ---------------------------------------------------------------------------------- inequalities on boxes: two rules


@dataclass
class Elementary:
    """Elementary expressions as rational functions of parameters and of the exponentials and logarithms in them.

    Arguments that are equal as rational functions share a generator, called #1, #2, ...; e^0 = 1, log 1 = 0, and
    e^(a + k log b) = b^k e^a for integers k; exprel(a) is (e^a - 1)/a, and 1 where a = 0. Where all logarithms are
    taken of positive numbers and no divisor is zero, the value of the rational function is that of the expression.
    """

    generators: dict[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])

    def named(self, tree: Tree) -> Tree:
        """The expression with names for its exponentials and logarithms."""
        if isinstance(tree, str):
            return tree
        operator, *arguments = tree
        if operator == "^":
            return (operator, self.named(arguments[0]), arguments[1])
        parts = [self.named(argument) for argument in arguments]
        if operator == "exp":
            return self.exponential(parts[0])
        if operator in ("exprel", "log"):
            if self.vanishes(parts[0] if operator == "exprel" else ("+", parts[0], "-1")):
                return "1" if operator == "exprel" else "0"
            return self.generator(operator, parts[0])
        return (operator, *parts)

    def exponential(self, argument: Tree) -> Tree:
        """e^a from an e^c = 1 + c exprel(c) that is in use, if a is c plus integer multiples of logarithms."""
        known: list[tuple[Tree, Tree]] = [("0", "1")]
        rules = self.generators.items()
        known += [(inner, ("+", "1", ("*", inner, name))) for name, (kind, inner) in rules if kind == "exprel"]
        known += [(inner, name) for name, (kind, inner) in rules if kind == "exp"]
        for inner, value in known:
            powers = self.logarithms(("+", argument, ("*", "-1", inner)))
            if powers is not None:
                return ("*", value, *(("^", self.generators[name][1], str(k)) for name, k in powers))
        return self.generator("exp", argument)

    def logarithms(self, tree: Tree) -> list[tuple[str, int]] | None:
        """The expression as a sum of integer multiples of logarithms; ``None`` if it is none."""
        top, bottom = self.quotient(tree)
        lead, scale = next(iter(bottom.items()))
        found: list[tuple[str, int]] = []
        for name, (kind, _) in self.generators.items():
            times = top.get(monomial((*lead, (name, 1))), Fraction(0)) / scale
            if kind == "log" and times:
                if times.denominator != 1 or abs(times) > MOST_POWERS:
                    return None
                found.append((name, int(times)))
        rest = ("+", tree, *(("*", str(-k), name) for name, k in found)) if found else tree
        return found if self.vanishes(rest) else None

    def generator(self, operator: str, argument: Tree) -> str:
        for name, (kind, inner) in self.generators.items():
            if kind == operator and self.vanishes(("+", inner, ("*", "-1", argument))):
                return name
        name = f"#{len(self.generators) + 1}"
        self.generators[name] = (operator, argument)
        return name

    def quotient(self, tree: Tree) -> Quotient:
        """A rational function; ``tree`` has names for its generators."""
        return Field(self.generators).quotient(tree)

    def vanishes(self, tree: Tree) -> bool:
        return not self.quotient(tree)[0]

    def equal(self, left: Tree, right: Tree) -> bool:
        return self.vanishes(("+", self.named(left), ("*", "-1", self.named(right))))

    def positive(self, tree: Tree, box: Box) -> bool:
        """Whether the expression is positive where it is defined, by its coefficients around the low ends."""
        spend(len(box))
        signs = Algebra({name: Range(edge.low, edge.open) for name, edge in box.items()})
        named = self.named(tree)
        for name, (kind, _) in self.generators.items():
            signs.parameters[name] = Range(None) if kind == "log" else Range(Fraction(0), open=True)
        return all(has_positive_coefficients(part, signs) for part in self.quotient(named))

    def positive_parts(self, box: Box, *trees: Tree) -> Collection[Tree]:
        """Divisors, and what logarithms are taken of, where that is visibly positive."""
        return {part for tree in trees for _, part in delicate_parts(tree) if self.positive(part, box)}


def delicate_parts(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """What must be nonzero ("/") and what must be positive ("log") for the expression to be defined."""
    pending = [tree]
    while pending:
        spend(4)
        part = pending.pop()
        if isinstance(part, str):
            continue
        operator, *arguments = part
        if operator == "^":
            if rational(arguments[1]) < 0:
                yield "/", arguments[0]
            pending.append(arguments[0])
            continue
        if operator == "log":
            yield "log", arguments[0]
        if operator == "/":
            yield from (("/", divisor) for divisor in arguments[1:])
        pending += arguments


def shows_defined(enclosure: Enclosure, kind: str, part: Tree) -> bool:
    """Whether intervals show a divisor to be nonzero, or what a logarithm is taken of to be positive."""
    low, high = enclosure(part)
    return low > ZERO or (kind == "/" and high < ZERO)


def inequality_of(goal: Statement) -> Inequality:
    if goal.kind != "exceeds" or goal.inequality is None:
        raise Rejected("this rule proves statements of kind exceeds")
    return goal.inequality


def rule_box(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """A box is cut until interval arithmetic shows on every part that the expression is positive.

    The certificate holds one tree for each box of the goal: ``"positive"`` for a part that is done, ``["cut", x, c,
    below, above]`` for x <= c and x >= c (for an integer x: x >= c + 1), and ``["form", i, tree]``: from here on the
    remainder of form i stands for the expression e. It may, because e = factor * remainder is an identity of rational
    functions in the parameters, exponentials and logarithms, the factor is visibly positive on the part, and both sides
    are defined: divisors, and what logarithms are taken of, are positive visibly or by interval arithmetic. Forms may
    contain exprel(a) = (e^a - 1)/a. Ends may be infinite: the parts at infinity are intervals like the others.
    """
    inequality = inequality_of(goal)
    elementary = Elementary()
    forms = [
        (reader.elementary(f.get("factor"), relative=True), reader.elementary(f.get("remainder"), relative=True))
        for f in (as_mapping(item, "form") for item in reader.items(data, "forms"))
    ]
    known: set[int] = set()
    boxes, trees = domain(replay.algebra, inequality), reader.items(data, "boxes")
    expect(len(boxes) == len(trees), "not one tree for every box")

    def stand_in(number: object, box: Box) -> Tree:
        """The remainder of a form, if its factor is positive on the box."""
        if type(number) is not int or not 0 <= number < len(forms):
            raise Malformed(f"no form {short(number)}")
        factor, remainder = forms[number]
        if number not in known:
            # the form first: the relative exponentials in it decide how the exponentials of e are written
            expect(elementary.equal(("*", factor, remainder), inequality.tree), "not factor times remainder")
            known.add(number)
        needed = [factor, *(part for _, part in delicate_parts(factor))]
        expect(all(elementary.positive(part, box) for part in needed), "the factor is not visibly positive")
        return remainder

    # what is left of a tree, its part of the box, what is to be positive there, what is known to be, what is not yet
    Task = tuple[Any, Box, Tree, Collection[Tree], Sequence[tuple[str, Tree]], int]
    pending: list[Task] = [
        (tree, box, inequality.tree, elementary.positive_parts(box, inequality.tree), (), 0)
        for tree, box in zip(trees, boxes, strict=True)
    ]
    while pending:
        node, box, tree, positive, unclear, depth = pending.pop()
        if node == "positive":
            enclosure = Enclosure(box, positive)
            shown = enclosure(tree)[0] > ZERO and all(shows_defined(enclosure, *pair) for pair in unclear)
            if not shown:
                raise Rejected(f"not known to be positive on {render_box(box)}")
            continue
        if not isinstance(node, list) or depth > MAX_CUTS:
            raise Malformed(f"a part of a box: {short(node)}")
        spend(10 + len(box))
        if len(node) == 3 and node[0] == "form":
            remainder = stand_in(node[1], box)
            positive = elementary.positive_parts(box, inequality.tree, remainder)
            unclear = [pair for pair in delicate_parts(inequality.tree) if pair[1] not in positive]
            pending.append((node[2], box, remainder, positive, unclear, depth + 1))
        elif len(node) == 5 and node[0] == "cut":
            name, at = node[1], rational(node[2])
            if not isinstance(name, str) or name not in box:
                raise Malformed(f"no side {short(name)} of the box")
            for half, edge in zip(node[3:], box[name].cut(at), strict=True):
                pending.append((half, {**box, name: edge}, tree, positive, unclear, depth + 1))
        else:
            raise Malformed(f"a part of a box: {short(node[:1])}")


def rule_mean_value(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """f > 0 for x > a because f(a) = 0 and df/dx > 0; for x >= a, if f(a) > 0.

    a is the lower end of x in each box; f must be defined for x >= a, as in the rule above. The premise ``slope`` says
    that df/dx is positive on a box that contains that of the goal, ``start`` (not needed if f(a) is identically zero
    and x > a) that f(a) is.
    """
    inequality = inequality_of(goal)
    variable = reader.string(data, "variable")
    reader.require_real(variable)
    elementary = Elementary()
    tree = elementary.named(inequality.tree)

    def positive(premise: object, derived: Tree, box: Box) -> None:
        """The premise says that an expression, of which ``derived`` is another form, is positive on the box."""
        known = inequality_of(replay.premise(premise, "exceeds"))
        other = ("*", "-1", elementary.named(known.tree))
        expect(elementary.vanishes(("+", derived, other)), f"premise {short(premise)} is about another expression")
        wider = any(all(outer[n].covers(edge) for n, edge in box.items()) for outer in domain(replay.algebra, known))
        expect(wider, f"premise {short(premise)} does not cover the box")

    for box in domain(replay.algebra, inequality):
        edge = box[variable]
        if edge.low is None:
            raise Rejected(f"{variable} has no lower end")
        closed = {**box, variable: Edge(edge.low, edge.high)}
        for kind, part in delicate_parts(inequality.tree):
            if not (elementary.positive(part, closed) or shows_defined(Enclosure(closed), kind, part)):
                raise Rejected(f"not known to be defined on {render_box(closed)}")
        positive(data.get("slope"), slope_of(tree, variable), box)
        start = elementary.named(with_value(inequality.tree, variable, edge.low))
        if not (edge.open and elementary.vanishes(start)):
            positive(data.get("start"), start, box)


def slope_of(tree: Tree, variable: str) -> Tree:
    return ("D", tree, variable)


def with_value(tree: Tree, name: str, value: Fraction) -> Tree:
    """The expression with a number for a parameter."""
    if isinstance(tree, str):
        return str(value) if tree == name else tree
    operator, *arguments = tree
    if operator == "^":
        return (operator, with_value(arguments[0], name, value), arguments[1])
    return (operator, *(with_value(argument, name, value) for argument in arguments))


def render_box(box: Box) -> str:
    def side(name: str, edge: Edge) -> str:
        low = "" if edge.low is None else f"{edge.low} {'<' if edge.open else '<='} "
        return f"{low}{name}{'' if edge.high is None else f' <= {edge.high}'}"

    return ", ".join(side(name, edge) for name, edge in sorted(box.items()) if edge != Edge(None, None))[:200]


# --------------------------------------------------------------------------------- inequalities between polynomials


@dataclass(frozen=True)
class Segment:
    """The values of a variable between two ends, each of which may be missing or left out."""

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False
    integer: bool = False

    def above(self, low: Fraction, open: bool = False) -> Segment:
        """The part from ``low`` on; the ends of intervals of integers are integers that belong to them."""
        if self.integer:
            whole = low.numerator // low.denominator
            low, open = Fraction(whole if whole == low and not open else whole + 1), False
        if self.low is not None and (low < self.low or (low == self.low and self.low_open)):
            return self
        return Segment(low, self.high, open, self.high_open, self.integer)

    def below(self, high: Fraction, open: bool = False) -> Segment:
        """The part up to ``high``."""
        mirrored = Segment(None if self.high is None else -self.high, None, self.high_open, False, self.integer)
        part = mirrored.above(-high, open)
        return Segment(self.low, None if part.low is None else -part.low, self.low_open, part.low_open, self.integer)

    @property
    def positive(self) -> bool:
        return self.low is not None and (self.low > 0 or (self.low == 0 and self.low_open))


@dataclass(frozen=True)
class Region:
    """The setting, with smaller intervals for some of the parameters."""

    replay: Replay
    narrowed: Mapping[str, Segment]

    def interval(self, name: str) -> Segment:
        if name in self.narrowed:
            return self.narrowed[name]
        bounds = self.replay.algebra.range_of(name)
        whole = Segment(integer=bounds.integer)
        return whole if bounds.low is None else whole.above(bounds.low, bounds.open)

    def narrow(self, name: str, interval: Segment) -> Region:
        return Region(self.replay, {**self.narrowed, name: interval})

    def within(self, premise: object) -> Region:
        """The region cut down by a premise a x + c >= 0 (or > 0) for a parameter x."""
        known = self.replay.premise(premise, *SCALAR_KINDS)
        terms = commutative(known.target)
        slopes = [(mono[0][0], value) for mono, value in terms.items() if len(mono) == 1 and mono[0][1] == 1]
        affine = len(slopes) == 1 and len(terms) == len(slopes) + (() in terms)
        bounds = affine and slopes[0][0] in self.replay.algebra.parameters
        expect(bounds, f"premise {premise!r} does not bound a parameter")
        name, slope = slopes[0]
        end, strict = -terms.get((), Fraction(0)) / slope, known.kind == "positive"
        before = self.interval(name)
        return self.narrow(name, before.above(end, strict) if slope > 0 else before.below(end, strict))

    def cleared(self, terms: Commutative) -> Commutative:
        """The polynomial times powers of positive variables, without these in a denominator or in all terms."""
        for name in sorted({name for mono in terms for name, _ in mono}):
            if self.interval(name).positive:
                lowest = min(dict(mono).get(name, 0) for mono in terms)
                terms = multiply(terms, {monomial([(name, -lowest)]): Fraction(1)})
        if any(e < 0 for mono in terms for _, e in mono):
            raise Rejected("a denominator has no sign on the region")
        return terms

    def sign(self, poly: Polynomial) -> str:
        """``positive``, ``nonnegative`` or ``unknown``, by the coefficients over the region.

        A variable x is written low + u, high - u, or, of degree d and between two ends, (low + high u)/(1 + u) times
        (1 + u)^d (Bernstein's form), with u >= 0. If no coefficient is negative, the polynomial is nonnegative. It is
        positive if moreover some coefficient is positive in every corner: where each variable is at an end that belongs
        to its interval, just the terms of degree 0 (or d, at a high end of two) in its u remain.
        """
        if any(traces for _, traces, _ in poly.terms) or poly.shape is not None:
            return "unknown"
        try:
            terms = self.cleared(commutative(poly))
        except Malformed:
            raise
        except Rejected:
            return "unknown"
        degrees: dict[str, int] = {}
        for mono in terms:
            for name, e in mono:
                degrees[name] = max(e, degrees.get(name, 0))
        corners: list[list[tuple[str, int]]] = [[]]
        for name, degree in sorted(degrees.items()):
            interval = self.interval(name)
            low, high = interval.low, interval.high
            spend(8 * len(terms))
            if low is None and high is None:
                return "unknown"
            ends: list[tuple[str, int]] = []
            if low is not None and high is not None:
                ends = [(name, 0)] * (not interval.low_open) + [(name, degree)] * (not interval.high_open)
                terms = homogenised(terms, name, degree, low, high)
            else:
                closed = not (interval.low_open if low is not None else interval.high_open)
                ends = [(name, 0)] if closed else []
                start, step = (low, Fraction(1)) if low is not None else (high or Fraction(0), Fraction(-1))
                terms = compose(terms, {name: add({((name, 1),): step}, {(): start})})
            if ends:
                spend(16 * len(corners))
                corners = [[*corner, end] for corner in corners for end in ends]
        if any(value < 0 for value in terms.values()):
            return "unknown"
        spend(len(corners) * len(terms))
        exponents = [dict(mono) for mono in terms]
        full = all(any(all(e.get(n, 0) == d for n, d in corner) for e in exponents) for corner in corners)
        return "positive" if full else "nonnegative"

    def suffices(self, poly: Polynomial, strict: bool) -> bool:
        """Whether the polynomial is known to be nonnegative (positive if ``strict``) on the region."""
        found = self.sign(poly)
        known = self.replay.is_positive if strict else self.replay.is_nonnegative
        return found == "positive" or (found == "nonnegative" and not strict) or known(poly)


def commutative(poly: Polynomial) -> Commutative:
    """A scalar without traces, as a polynomial in parameters."""
    if poly.shape is not None or any(traces for _, traces, _ in poly.terms):
        raise Rejected("not a scalar in parameters")
    return {mono: value for (mono, _, _), value in poly.terms.items()}


def homogenised(terms: Commutative, name: str, degree: int, low: Fraction, high: Fraction) -> Commutative:
    """(1 + u)^d p((low + high u) / (1 + u)) with u called like the variable."""
    ends: Commutative = add({}, {(): low, ((name, 1),): high})
    one: Commutative = {(): Fraction(1), ((name, 1),): Fraction(1)}
    total: Commutative = {}
    for e in range(degree + 1):
        part = {
            monomial((n, k) for n, k in mono if n != name): value
            for mono, value in terms.items()
            if dict(mono).get(name, 0) == e
        }
        if part:
            total = add(total, multiply(part, multiply(power(ends, e), power(one, degree - e))))
    return total


def rule_poly(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """p > 0 or p >= 0 on the whole region, ``by`` expansion, sturm, products, or cases of these.

    ``bounds`` names premises a x + c >= 0 that narrow the region.
    """
    expect(goal.kind in SCALAR_KINDS, "poly proves statements of kind positive or nonnegative")
    region = Region(replay, {})
    for premise in reader.items(data, "bounds"):
        region = region.within(premise)
    by_poly(region, goal, reader, data, 0)


def by_poly(region: Region, goal: Statement, reader: Reader, data: Mapping[str, Any], depth: int) -> None:
    spend(10)
    by = reader.string(data, "by")
    if by == "expansion":
        found = region.sign(goal.target)
        expect(found == "positive" or (found == "nonnegative" and goal.kind != "positive"), "a coefficient has no sign")
    elif by == "sturm":
        by_sturm(region, goal, reader, data)
    elif by == "products":
        by_products(region, goal, reader, data)
    elif by == "cases":
        by_cases(region, goal, reader, data, depth)
    else:
        raise Malformed(f"poly by {short(by)}")


def by_cases(region: Region, goal: Statement, reader: Reader, data: Mapping[str, Any], depth: int) -> None:
    """x <= a or x >= a; for an integer x and an integer a, x <= a - 1 or x >= a."""
    if depth > 100:
        raise Malformed("cases nested deeper than 100")
    name, at = reader.string(data, "split"), rational(data.get("at"))
    expect(name in region.replay.algebra.parameters, f"{short(name)} is not a parameter")
    interval = region.interval(name)
    expect(not interval.integer or at.denominator == 1, "integers are split at an integer")
    below = interval.below(at - 1 if interval.integer else at)
    by_poly(region.narrow(name, below), goal, reader, reader.mapping(data, "below"), depth + 1)
    by_poly(region.narrow(name, interval.above(at)), goal, reader, reader.mapping(data, "above"), depth + 1)


def by_products(region: Region, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """m p = sum of c_i a_i b_i ... s_i^2 + sum of q_j e_j with c_i > 0, known a_i, b_i, ... >= 0 and e_j = 0.

    The multiplier m is such a sum, without squares, of factors known to be positive (left out: 1). For p > 0 one term
    has no square, and all its factors are known to be positive.
    """
    algebra, strict = region.replay.algebra, False

    def term(entry: object, must: bool) -> tuple[Polynomial, bool]:
        data = as_mapping(entry, "term")
        weight = rational(data.get("c"))
        expect(weight > 0, "a weight is not positive")
        total, positive = algebra.scalar({(): weight}), data.get("square") is None
        factors = [region.replay.premise(name, *SCALAR_KINDS) for name in reader.items(data, "of")]
        for known in factors:
            total, positive = algebra.times(total, known.target), positive and known.kind == "positive"
        for value in reader.items(data, "factors"):
            factor = scalar_of(reader, value)
            if not region.suffices(factor, strict=True):
                positive = False
                expect(not must and region.suffices(factor, strict=False), "a factor is not known to be nonnegative")
            total = algebra.times(total, factor)
        if data.get("square") is not None:
            square = scalar_of(reader, data["square"])
            total = algebra.times(total, algebra.times(square, square))
        expect(positive or not must, "the multiplier is not known to be positive")
        return total, positive

    rest = algebra.zero(None)
    for entry in reader.items(data, "multiplier") or [{"c": "1"}]:
        rest = algebra.plus(rest, term(entry, must=True)[0])
    rest = algebra.times(rest, goal.target)
    for entry in reader.items(data, "terms"):
        value, positive = term(entry, must=False)
        rest, strict = algebra.minus(rest, value), strict or positive
    for entry in reader.items(data, "equations"):
        equation = region.replay.premise(as_mapping(entry, "equation").get("of"), "zero").target
        if equation.shape is not None:
            raise Malformed("an equation between matrices")
        rest = algebra.minus(rest, algebra.times(scalar_of(reader, entry.get("cofactor")), equation))
    expect(not rest.terms, f"the products leave {len(rest.terms)} terms")
    expect(strict or goal.kind != "positive", "no term of the sum is known to be positive")


def scalar_of(reader: Reader, value: object) -> Polynomial:
    poly = reader.polynomial(value)
    if poly.shape is not None:
        raise Malformed("expected a scalar")
    return poly


# ---- Sturm's theorem; univariate polynomials are lists of coefficients, the constant first

Coefficients = list[Fraction]


def by_sturm(region: Region, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """p = q s^2 in one variable, q without a root inside the interval and positive at a point of it: p >= 0 there.

    For p > 0, s is left out, and p is positive at the ends that belong to the interval.
    """
    terms = region.cleared(commutative(goal.target))
    pinned: dict[str, Commutative] = {}
    for name in {name for mono in terms for name, _ in mono}:
        interval = region.interval(name)
        if interval.low is not None and interval.low == interval.high:
            pinned[name] = add({}, {(): interval.low})
    terms = compose(terms, pinned)
    names = sorted({name for mono in terms for name, _ in mono})
    expect(len(names) == 1, "Sturm's theorem needs one variable")
    poly, interval = coefficients(terms, names[0]), region.interval(names[0])
    low, high = interval.low, interval.high
    expect(low is None or high is None or low < high, "Sturm's theorem needs an interval")
    if goal.kind == "positive":
        ends = [(low, interval.low_open), (high, interval.high_open)]
        at_ends = all(end is None or open or value_at(poly, end) > 0 for end, open in ends)
        expect(at_ends, "the polynomial is not positive at an end")
    elif data.get("square") is not None:
        square = coefficients(commutative(scalar_of(reader, data["square"])), names[0])
        poly, remainder = long_division(poly, times(square, square))
        expect(not remainder, "the square does not divide the polynomial")
    inside = low + 1 if low is not None else Fraction(0) if high is None else high - 1
    if low is not None and high is not None:
        inside = (low + high) / 2
    expect(value_at(poly, inside) > 0, "the polynomial is not positive inside the interval")
    expect(roots_between(poly, low, high) == 0, "the polynomial has a root inside the interval")


def coefficients(terms: Commutative, name: str) -> Coefficients:
    """The coefficients of a polynomial that is not zero in one variable."""
    found: dict[int, Fraction] = {}
    for mono, value in terms.items():
        powers = dict(mono)
        found[powers.pop(name, 0)] = value
        if powers or min(found) < 0:
            raise Rejected("not a polynomial in one variable")
    expect(bool(found), "the zero polynomial")
    return [found.get(e, Fraction(0)) for e in range(max(found) + 1)]


def value_at(poly: Coefficients, x: Fraction) -> Fraction:
    total = Fraction(0)
    spend(len(poly))
    for coefficient in reversed(poly):
        total = bounded(total * x + coefficient)
    return total


def times(left: Coefficients, right: Coefficients) -> Coefficients:
    spend(len(left) * len(right))
    total = [Fraction(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            total[i + j] = bounded(total[i + j] + a * b)
    return total


def long_division(top: Coefficients, bottom: Coefficients) -> tuple[Coefficients, Coefficients]:
    """Quotient and remainder; the remainder is empty or has a leading coefficient that is not zero."""
    rest, quotient = top[:], [Fraction(0)] * max(len(top) - len(bottom) + 1, 0)
    while len(rest) >= len(bottom):
        factor, place = rest[-1] / bottom[-1], len(rest) - len(bottom)
        quotient[place] = factor
        spend(len(bottom))
        for i, coefficient in enumerate(bottom):
            rest[place + i] = bounded(rest[place + i] - factor * coefficient)
        while rest and not rest[-1]:
            rest.pop()
    return quotient, rest


def remainders(first: Coefficients, second: Coefficients) -> list[Coefficients]:
    """Euclid's algorithm with Sturm's signs: each is minus the remainder of the two before, times a positive number."""
    chain = [first, second] if second else [first]
    while len(chain) > 1:
        rest = long_division(chain[-2], chain[-1])[1]
        if not rest:
            break
        chain.append([-x / abs(rest[-1]) for x in rest])
    return chain


def derivative(poly: Coefficients) -> Coefficients:
    return [e * value for e, value in enumerate(poly)][1:]


def roots_between(poly: Coefficients, low: Fraction | None, high: Fraction | None) -> int:
    """The number of distinct roots in the open interval, by Sturm's theorem.

    Multiplicities are divided out first; then the number of sign changes in the chain, zeros left out, falls by the
    number of roots in the half-open interval (low, high].
    """
    common = remainders(poly, derivative(poly))[-1]
    simple = long_division(poly, common)[0] if len(poly) > 1 else poly
    chain = remainders(simple, derivative(simple))

    def changes(values: Iterable[Fraction]) -> int:
        signs = [value > 0 for value in values if value]
        return sum(a != b for a, b in pairwise(signs))

    def at(end: Fraction | None, infinity: int) -> int:
        if end is None:
            return changes(each[-1] * infinity ** (len(each) - 1) for each in chain)
        return changes(value_at(each, end) for each in chain)

    roots = at(low, -1) - at(high, 1)
    return roots - (high is not None and value_at(simple, high) == 0)


# ---- powers with symbolic exponents


def rule_means(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """Weighted arithmetic and geometric means: for natural p_i with sum P and a_i >= 0, with 0^0 = 1,

    product of p_i^(p_i) * (sum of a_i)^P - P^P * product of a_i^(p_i) >= 0.

    Where all p_i > 0 this is (sum of (p_i/P) b_i)^P >= product of b_i^(p_i), the inequality of the weighted means, at
    b_i = P a_i / p_i; a term with p_i = 0 only adds to the sum.
    """
    algebra = replay.algebra
    expect(goal.kind == "nonnegative", "the inequality of the means proves statements of kind nonnegative")
    entries = reader.items(data, "means")
    expect(bool(entries), "no means")
    one = algebra.scalar({(): Fraction(1)})
    weights, total, values = one, algebra.zero(None), one
    count: Commutative = {}
    for entry in entries:
        weight = dict(reader.dimension(as_mapping(entry, "mean").get("weight")))
        value = scalar_of(reader, entry.get("value"))
        expect(replay.is_nonnegative(value), "a value is not known to be nonnegative")
        weights = algebra.times(weights, algebra.raised(algebra.scalar(weight), weight))
        values = algebra.times(values, algebra.raised(value, weight))
        total, count = algebra.plus(total, value), add(count, weight)
    left = algebra.times(weights, algebra.raised(total, count))
    right = algebra.times(algebra.raised(algebra.scalar(count), count), values)
    expect(goal.poly == algebra.minus(left, right), "the goal is not the inequality of these means")


def rule_root(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """u^n > v^n, u >= 0 and n >= 1 an integer: u > v. The same for >=, and for = if moreover v >= 0."""
    algebra = replay.algebra
    expect(goal.kind in ("zero", *SCALAR_KINDS), "root proves an equation or an inequality")
    larger, smaller = scalar_of(reader, data.get("larger")), scalar_of(reader, data.get("smaller"))
    exponent = dict(reader.dimension(data.get("exponent")))
    natural = algebra.is_natural(add(exponent, {(): Fraction(-1)}))
    expect(natural, "the exponent is not visibly a positive integer")
    expect(goal.poly == algebra.minus(larger, smaller), "the goal is not the difference of the two")
    expect(replay.is_nonnegative(larger), "the larger side is not known to be nonnegative")
    expect(goal.kind != "zero" or replay.is_nonnegative(smaller), "the smaller side is not known to be nonnegative")
    difference = algebra.minus(algebra.raised(larger, exponent), algebra.raised(smaller, exponent))
    known = replay.premise(data.get("from"), goal.kind).target
    expect(known == difference, "the premise is not the difference of the powers")


def rule_induction(replay: Replay, goal: Statement, reader: Reader, data: Mapping[str, Any]) -> None:
    """p(a) >= 0 and p(n+1) - q p(n) >= 0 with q >= 0: p(n) >= 0 for every integer n >= a, the lower end of n.

    The same for =, whatever q is, and for >, if q > 0. No hypothesis and no size of a matrix may depend on n.
    """
    algebra = replay.algebra
    expect(goal.kind in ("zero", *SCALAR_KINDS), "induction proves an equation or an inequality")
    name = reader.string(data, "parameter")
    bounds = algebra.range_of(name)
    expect(name in algebra.parameters and bounds.integer and bounds.low is not None, f"{short(name)} is not an integer")
    for letter in algebra.letters.values():
        sizes = (*letter.rows, *letter.cols)
        expect(all(name != other for mono, _ in sizes for other, _ in mono), f"a size depends on {name}")
    for label, statement in replay.hypotheses.items():
        expect(name not in algebra.names(*statement.polynomials()), f"hypothesis {label!r} depends on {name}")
    factor = scalar_of(reader, data.get("factor"))
    known = {"zero": lambda _: True, "nonnegative": replay.is_nonnegative, "positive": replay.is_positive}
    expect(known[goal.kind](factor), "the factor is not known to have its sign")
    start = algebra.at_parameter(goal.target, name, {(): bounds.low or Fraction(0)})
    following = algebra.at_parameter(goal.target, name, {((name, 1),): Fraction(1), (): Fraction(1)})
    change = algebra.minus(following, algebra.times(factor, goal.target))
    for step, needed in (("start", start), ("step", change)):
        kind = "nonnegative" if goal.kind == "positive" and step == "step" else goal.kind
        require(replay, data.get(step), kind, needed)


def require(replay: Replay, premise: object, kind: str, poly: Polynomial) -> None:
    """An equation or inequality, by its premise; without one the ranges alone must show it."""
    if premise is not None:
        kinds = (kind, "positive") if kind == "nonnegative" else (kind,)
        expect(replay.premise(premise, *kinds).target == poly, f"premise {short(premise)} is not the one needed")
    elif kind == "zero":
        expect(not poly.terms, "an equation that is needed does not hold term by term")
    else:
        shown = replay.is_positive(poly) if kind == "positive" else replay.is_nonnegative(poly)
        expect(shown, "an inequality that is needed has no premise")


RULES: dict[str, Rule] = {
    "star": rule_star,
    "gram": rule_gram,
    "rewrite": rule_rewrite,
    "shift": rule_shift,
    "inverse": rule_inverse,
    "let": rule_let,
    "norm-zero": rule_norm_zero,
    "minimum": rule_minimum,
    "reparametrise": rule_reparametrise,
    "substitute": rule_substitute,
    "all": rule_all,
    "field": rule_field,
    "monotone": rule_monotone,
    "dominance": rule_dominance,
    "gradient": rule_gradient,
    "first-integral": rule_first_integral,
    "growth": rule_growth,
    "equalisation": rule_equalisation,
    "shares": rule_shares,
    "decay": rule_decay,
    "box": rule_box,
    "mean-value": rule_mean_value,
    "poly": rule_poly,
    "means": rule_means,
    "root": rule_root,
    "induction": rule_induction,
}

MOTIONS = ("first-integral", "growth", "equalisation", "shares", "decay")
MOTION_FIELDS = ("rate", "coefficient", "exponent", "quantity", "power", "limit", "count")

# Literature lemmas that a hypothesis may rest on, each an existence statement for fresh letters.
LEMMAS = {
    "singular value decomposition": "every real matrix S of rank at most r, with r rows and columns or more, is U D V' "
    "with U'U = V'V = I_r, D diagonal",
    "positive definite square root": "every symmetric positive definite A has a symmetric T with T A T = I",
    "powers of balanced layers": "c_j+1 V_j+1'V_j+1 = c_j V_j V_j' for j < M: V V' c_1...c_M = (c_M V_M V_M')^M for "
    "V = V_M...V_1, and all c_j ||V_j||^2 are equal",
    "common eigenvectors": "symmetric matrices that commute have a common orthonormal basis of eigenvectors",
    "attained minimum": "a continuous function that tends to infinity at infinity has a minimiser",
}


@dataclass(frozen=True)
class Instance:
    """Hypotheses of the shape of a lemma: their names, the letters that it gives, and those they are given for.

    ``needs`` names the hypotheses of the claim without which the lemma would not give these letters.
    """

    hypotheses: frozenset[str]
    fresh: frozenset[str]
    data: frozenset[str]
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Given:
    """What instances of a lemma are looked for in: its hypotheses, the others, the statement, and what is proved.

    ``proved`` are the steps, each with the hypotheses that it rests on.
    """

    algebra: Algebra
    under: Mapping[str, Statement]
    others: Mapping[str, Statement]
    goal: Statement
    proved: Sequence[tuple[Statement, frozenset[str]]]

    def names(self, *polys: Polynomial) -> frozenset[str]:
        return frozenset(self.algebra.names(*polys))

    def known(self, statement: Statement) -> frozenset[str] | None:
        """The hypotheses that a statement rests on, none of them under the lemma; ``None`` if it is not established."""
        spend(len(self.others) + len(self.proved))
        found = [(said, frozenset([name])) for name, said in self.others.items()] + list(self.proved)
        rests = (on for said, on in found if said == statement and not on & self.under.keys())
        return min(rests, key=lambda on: (len(on), sorted(on)), default=None)


def words_of(poly: Polynomial) -> dict[Word, Fraction] | None:
    """A matrix polynomial with numbers as coefficients; ``None`` of any other."""
    if any(mono or traces for mono, traces, _ in poly.terms):
        return None
    return {word: value for (_, _, word), value in poly.terms.items() if word is not None}


def unit_product(statement: Statement) -> Word | None:
    """The two letters whose product it says to be I."""
    words = words_of(statement.target) if statement.kind == "zero" else None
    if words is None or len(words) != 2 or () not in words:
        return None
    (word,) = words.keys() - {()}
    return word if len(word) == 2 and words[word] == -words[()] else None


def inverted_letter(statement: Statement) -> str | None:
    """The letter that it says to be invertible or positive definite: of singular values, that none of them is zero."""
    words = words_of(statement.target) if statement.kind in ("invertible", "pd") else None
    names = [word[0] for word in words or () if len(word) == 1]
    return names[0] if words is not None and len(words) == len(names) == 1 else None


def plain_letters(algebra: Algebra, *names: str) -> bool:
    """Whether these are different letters without a definition, none of them a vector of ones."""
    letters = [algebra.letters.get(name) for name in names]
    free = all(each is not None and not (each.ones or each.inverse_of or each.equals) for each in letters)
    return free and len({*names}) == len(names)


def decompositions(given: Given) -> Iterator[Instance]:
    """S = U D V' with U'U = I and V'V = I; or the same without S, where the statement is about U D V'.

    The rank of S may be at most r, the size of D: r is a size that nothing else depends on, and then D may have an
    inverse, D t = I; or S has r columns or rows; or it has r + 1, S 1 = 0 or 1' S = 0 is known, and V'1 = 0 or U'1 = 0
    may be said too.
    """
    algebra, under = given.algebra, given.under
    products = [(word, name) for name, statement in under.items() if (word := unit_product(statement)) is not None]
    orthonormal = {v: name for (u, v), name in products if u == v + "'" and plain_letters(algebra, v)}
    centred: dict[str, str] = {}
    for name, statement in under.items():
        words = words_of(statement.target) if statement.kind == "zero" else None
        for word in words if words is not None and len(words) == 1 else ():
            if len(word) == 2 and word[0][-1:] == "'" and algebra.letter(word[1]).ones:
                centred[word[0][:-1]] = name

    def instance(word: Word, source: Polynomial | None, name: str | None) -> Instance | None:
        U, D, V = word[0], word[1], word[2][:-1]
        if word[2] != V + "'" or not {U, V} <= orthonormal.keys() or not plain_letters(algebra, U, D, V):
            return None
        spend(16 + len(products) + len(algebra.letters))
        rank = algebra.letter(D).rows
        free = is_own_size(given, rank, {U, D, V, *(t for pair, _ in products if D in pair for t in pair)}, source)
        inverse = {
            t: name
            for pair, name in products
            if free and D in pair
            for t in pair
            if t != D and plain_letters(algebra, U, D, V, t)
        }
        fresh = frozenset({U, D, V, *inverse})
        data = frozenset[str]() if source is None else given.names(source)
        if source is not None and (not source.terms or data & fresh):
            return None
        sizes = [algebra.letter(letter).rows for letter in (U, V)]
        short = [rank == dimension(add(dict(size), {(): Fraction(-1)})) for size in sizes]
        orthogonal = [letter in centred for letter in (U, V)]
        needs: frozenset[str] | None = frozenset()
        if source is None:
            if any(said and not fits for said, fits in zip(orthogonal, short, strict=True)):
                return None
        elif any(orthogonal) or not (free or rank in sizes):
            sides = [side for side in (0, 1) if short[side] and not orthogonal[1 - side]]
            needs = next((on for on in centring(given, source, sides)), None)
        if needs is None:
            return None
        said = {orthonormal[U], orthonormal[V], *inverse.values(), *(centred[x] for x in (U, V) if x in centred)}
        return Instance(frozenset(said | ({name} if name is not None else set())), fresh, data, needs)

    for name, statement in under.items():
        for (mono, traces, word), value in statement.target.terms.items() if statement.kind == "zero" else ():
            if word is not None and len(word) == 3 and not mono and not traces:
                term = Polynomial(statement.target.shape, {(mono, traces, word): value})
                found = instance(word, algebra.minus(statement.target, term), name)
                if found is not None:
                    yield found
                    break
    seen = (poly for poly, _ in algebra.unfolded(*given.goal.polynomials()))
    cycles = (c for poly in seen for _, traces, word in poly.terms for c in (*(t + t[:2] for t in traces), word or ()))
    for word in dict.fromkeys(cycle[i : i + 3] for cycle in cycles for i in range(len(cycle) - 2)):
        found = instance(word, None, None)
        if found is not None:
            yield found


def centring(given: Given, source: Polynomial, sides: Sequence[int]) -> Iterator[frozenset[str]]:
    """What 1' S = 0 (side 0) or S 1 = 0 (side 1) rests on, where it is established."""
    algebra = given.algebra
    for name, letter in algebra.letters.items():
        for side in sides if letter.ones and source.shape is not None else ():
            if source.shape is not None and letter.rows == source.shape[side]:
                turned = source if side else algebra.transpose(source)
                product = algebra.times(turned, algebra.symbol(name))
                opposite = algebra.minus(algebra.zero(product.shape), product)
                if not product.terms:
                    yield frozenset()
                for on in (given.known(Statement("zero", poly)) for poly in (product, opposite)):
                    if on is not None:
                        yield on


def is_own_size(given: Given, size: Dimension, own: Collection[str], source: Polynomial | None) -> bool:
    """Whether a size is a parameter that may be any number from 1 on, and only letters of its own depend on it."""
    if len(size) != 1 or size[0][1] != 1 or len(size[0][0]) != 1 or size[0][0][0][1] != 1:
        return False
    ((name, _),) = size[0][0]
    algebra = given.algebra
    bounds = algebra.parameters.get(name)
    if bounds is None or not bounds.integer or (bounds.low is not None and bounds.low + int(bounds.open) > 1):
        return False
    for symbol, letter in algebra.letters.items():
        sides = () if symbol in own or algebra.definition(symbol) is not None else (letter.rows, letter.cols)
        if any(n == name for side in sides for mono, _ in side for n, _ in mono):
            return False
    stated = [statement for statement in given.others.values() if inverted_letter(statement) not in own]
    polys = [poly for statement in stated for poly in statement.polynomials()]
    return name not in given.names(*polys, *([] if source is None else [source]))


def square_roots(given: Given) -> Iterator[Instance]:
    """T A T = I for a symmetric letter T and a matrix A that is known to be positive definite."""
    algebra = given.algebra
    for name, statement in given.under.items():
        if statement.kind != "zero" or statement.target.shape is None:
            continue
        terms = dict(statement.target.terms)
        unit = terms.pop(((), (), ()), Fraction(0))
        ends = {end for _, _, word in terms for end in ((word[0], word[-1]) if word else ("",))}
        T = min(ends, default="")
        if not unit or len(ends) != 1 or not plain_letters(algebra, T) or not algebra.letter(T).symmetric:
            continue
        if any(word is None or len(word) < 3 for _, _, word in terms):  # T T = I is about no matrix
            continue
        inner: dict[Key, Fraction] = {
            (m, s, (word or ())[1:-1]): -value / unit for (m, s, word), value in terms.items()
        }
        matrix = Polynomial(statement.target.shape, inner)
        needs = None if T in given.names(matrix) else given.known(Statement("pd", matrix))
        if needs is not None:
            yield Instance(frozenset([name]), frozenset([T]), given.names(matrix), needs)


# How the instances of a lemma are recognised; instances of other lemmas are not.
SHAPES: Mapping[str, Callable[[Given], Iterator[Instance]]] = {
    "singular value decomposition": decompositions,
    "positive definite square root": square_roots,
}


def instances(
    algebra: Algebra,
    hypotheses: Mapping[str, Statement],
    lemmas: Mapping[str, str],
    goal: Statement,
    proved: Sequence[tuple[Statement, frozenset[str]]],
) -> list[Instance]:
    """Hypotheses that a lemma provides, whatever the other symbols are: one instance after the other, new letters each.

    Such a letter occurs in no hypothesis of the claim itself, except that one may say that no singular value is zero,
    and in nothing that an earlier instance is about.
    """
    others = {name: statement for name, statement in hypotheses.items() if name not in lemmas}
    found: list[Instance] = []
    for lemma, shape in SHAPES.items():
        under = {name: hypotheses[name] for name, said in lemmas.items() if said == lemma}
        found += shape(Given(algebra, under, others, goal, proved))
    taken = {name for each in found for name in each.fresh}
    for statement in others.values():
        if inverted_letter(statement) is None:
            taken -= algebra.names(*statement.polynomials())
    accepted: list[Instance] = []
    pending = [each for each in found if each.fresh <= taken]
    while pending:
        unknown = {name for each in pending for name in each.fresh}
        ready = next((each for each in pending if not each.data & unknown), None)
        if ready is None:
            break
        accepted.append(ready)
        used = {name for each in accepted for name in each.fresh | each.data}
        pending = [each for each in pending if each is not ready and not each.fresh & used]
    return accepted


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Rejected(message)


# -------------------------------------------------------------------------------------------------- reading JSON


def rational(text: object) -> Fraction:
    if not isinstance(text, str) or len(text) > MAX_DIGITS or not text.isascii():
        raise Malformed(f"expected a fraction as a string of at most {MAX_DIGITS} characters")
    top, _, bottom = text.partition("/")
    digits = top.removeprefix("-")
    if not digits.isdigit() or not (bottom.isdigit() or (not bottom and "/" not in text)):
        raise Malformed(f"not a fraction: {text[:40]!r}")
    if bottom and not int(bottom):
        raise Malformed(f"division by zero in {text[:40]!r}")
    return Fraction(int(top), int(bottom or 1))


def as_mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what}: expected an object")
    return value  # type: ignore[no-any-return]


@dataclass
class Reader:
    """Turns JSON into terms and statements over one algebra; everything unexpected is :class:`Malformed`."""

    algebra: Algebra
    divisors: set[str] = field(default_factory=set[str])  # divided by, although possibly zero
    sizes: set[Dimension] = field(default_factory=lambda: {UNIT})  # known to be natural numbers

    def items(self, data: Mapping[str, Any], key: str) -> list[Any]:
        value = data.get(key, [])
        if not isinstance(value, list):
            raise Malformed(f"{key}: expected a list")
        return value

    def mapping(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        return as_mapping(data.get(key, {}), key)

    def string(self, data: Mapping[str, Any], key: str) -> str:
        value = data.get(key)
        if not isinstance(value, str):
            raise Malformed(f"{key}: expected a string")
        return value

    def flag(self, data: Mapping[str, Any], key: str) -> bool:
        value = data.get(key, False)
        if not isinstance(value, bool):
            raise Malformed(f"{key}: expected true or false")
        return value

    def monomial(self, value: object) -> Monomial:
        pairs = as_mapping(value, "monomial")
        for name, exponent in pairs.items():
            known = (self.algebra.parameters, self.algebra.reciprocals, self.algebra.powers)
            if not any(name in names for names in known):
                raise Malformed(f"undeclared parameter {short(name)}")
            if type(exponent) is not int:
                raise Malformed(f"exponent of {name}: expected an integer")
            if exponent < 0 and not self.algebra.nonzero(name):
                self.divisors.add(name)
        return monomial(pairs.items())

    def dimension(self, value: object) -> Dimension:
        """A size: a polynomial that is visibly a natural number for all parameters, or it would restrict them."""
        if not isinstance(value, list):
            raise Malformed("size: expected a list of terms")
        total: Commutative = {}
        for term in value:
            if not isinstance(term, list) or len(term) != 2:
                raise Malformed("size: expected [coefficient, monomial]")
            total = add(total, {self.monomial(term[1]): rational(term[0])})
        size = dimension(total)
        if size not in self.sizes:
            if not self.algebra.is_natural(total):
                raise Malformed(
                    f"the size {render(self.algebra.scalar(total))[:80]} is not a natural number for all parameters"
                )
            self.sizes.add(size)
        return size

    def word(self, value: object) -> Word:
        if not isinstance(value, list) or not all(isinstance(symbol, str) for symbol in value):
            raise Malformed("product: expected a list of letters")
        return tuple(symbol.removesuffix("'") if self.algebra.letter(symbol).symmetric else symbol for symbol in value)

    def polynomial(self, value: object) -> Polynomial:
        data = as_mapping(value, "polynomial")
        raw = data.get("shape")
        if raw is not None and (not isinstance(raw, list) or len(raw) != 2):
            raise Malformed("shape: expected two sizes or null")
        shape = None if raw is None else (self.dimension(raw[0]), self.dimension(raw[1]))
        terms: list[tuple[Key, Fraction]] = []
        for term in self.items(data, "terms"):
            if not isinstance(term, list) or len(term) != 4 or not isinstance(term[2], list):
                raise Malformed("term: expected [coefficient, monomial, traces, product]")
            traces = tuple(self.word(cycle) for cycle in term[2])
            if not all(traces):
                raise Malformed("an empty trace")
            word = None if term[3] is None else self.word(term[3])
            terms.append(((self.monomial(term[1]), traces, word), rational(term[0])))
        return self.algebra.collect(shape, terms)

    def names(self, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
        found = tuple(self.string({key: name}, key) for name in self.items(data, key))
        if len(set(found)) < len(found):
            raise Malformed(f"{key}: a variable stands twice")
        return found

    def statement(self, value: object, depth: int = 0) -> Statement:
        data = as_mapping(value, "statement")
        kind = self.string(data, "kind")
        if kind in ("any", "all"):
            if depth > 20:
                raise Malformed("a statement nested deeper than 20")
            parts = tuple(self.statement(part, depth + 1) for part in self.items(data, "parts"))
            return Statement(kind, parts=parts)
        if kind in ("vanishes", "increasing", "tends"):
            return Statement(kind, calculus=self.calculus(data.get("calculus")))
        if kind in MOTIONS:
            return self.motion(kind, data)
        if kind == "exceeds":
            return Statement(kind, inequality=self.inequality(data))
        poly = self.polynomial(data.get("poly"))
        if kind == "zero":
            return Statement(kind, poly)
        if kind in SCALAR_KINDS and poly.shape is None:
            return Statement(kind, poly)
        if kind in MATRIX_KINDS and poly.shape is not None and poly.shape[0] == poly.shape[1]:
            return Statement(kind, poly)
        if kind == "minimum" and poly.shape is None:
            at = tuple(self.polynomial(point) for point in self.items(data, "at"))
            over = self.names(data, "over")
            if len(at) != len(over) or not over:
                raise Malformed("minimum: one point for every variable")
            shapes = [(self.algebra.letter(name).rows, self.algebra.letter(name).cols) for name in over]
            if [point.shape for point in at] != shapes:
                raise Malformed("minimum: a point has another size than its variable")
            low = self.polynomial(data.get("value"))
            return Statement(kind, poly, over=over, at=at, value=low, unique=self.flag(data, "unique"))
        if kind == "gradient" and poly.shape is None:
            over, at = self.names(data, "over"), tuple(self.polynomial(point) for point in self.items(data, "at"))
            if len(over) != 1 or [p.shape for p in at] != [
                (self.algebra.letter(n).rows, self.algebra.letter(n).cols) for n in over
            ]:
                raise Malformed("gradient: one letter, and a gradient of its size")
            return Statement(kind, poly, over=over, at=at)
        if kind == "equal-infima" and poly.shape is None:
            other = self.polynomial(data.get("other"))
            over, other_over = self.names(data, "over"), self.names(data, "other_over")
            return Statement(kind, poly, over=over, other=other, other_over=other_over)
        raise Malformed(f"unknown statement: {short(kind)}")

    # ---- inequalities on boxes
    def inequality(self, data: Mapping[str, Any]) -> Inequality:
        boxes: list[tuple[tuple[str, Fraction | None, Fraction | None], ...]] = []
        for box in self.items(data, "boxes"):
            sides: list[tuple[str, Fraction | None, Fraction | None]] = []
            for name, ends in sorted(as_mapping(box, "box").items()):
                if name not in self.algebra.parameters:
                    raise Malformed(f"undeclared parameter {short(name)}")
                if not isinstance(ends, list) or len(ends) != 2:
                    raise Malformed(f"{name}: expected [low, high]")
                low, high = (None if end is None else rational(end) for end in ends)
                sides.append((name, low, high))
            boxes.append(tuple(sides))
        if not boxes:
            raise Malformed("an inequality on no box")
        return Inequality(self.elementary(data.get("tree")), tuple(boxes))

    def elementary(self, value: object, depth: int = 0, relative: bool = False) -> Tree:
        """An expression in parameters, rational numbers, + * / ^ with integer exponents, exp and log.

        If ``relative``, also in exprel(a) = (e^a - 1)/a, which is 1 at a = 0.
        """
        if depth > 200:
            raise Malformed("an expression deeper than 200")
        if isinstance(value, str):
            if value[:1].isdigit() or value[:1] == "-":
                rational(value)
            elif value not in self.algebra.parameters:
                raise Malformed(f"undeclared name {short(value)}")
            return value
        least = {"+": 2, "*": 2, "/": 3, "^": 3, "exp": 2, "log": 2} | ({"exprel": 2} if relative else {})
        if not isinstance(value, list) or not value or not isinstance(value[0], str) or value[0] not in least:
            raise Malformed("expression: expected [operation, arguments...]")
        if len(value) < least[value[0]] or (value[0] not in ("+", "*") and len(value) != least[value[0]]):
            raise Malformed(f"{value[0]}: another number of arguments")
        if value[0] == "^":
            exponent = rational(value[2])
            if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
                raise Malformed(f"^: expected an integer exponent of at most {MAX_EXPONENT}")
            return ("^", self.elementary(value[1], depth + 1, relative), value[2])
        return (value[0], *(self.elementary(argument, depth + 1, relative) for argument in value[1:]))

    # ---- scalar calculus
    def motion(self, kind: str, data: Mapping[str, Any]) -> Statement:
        calculus = self.calculus(data.get("calculus"))
        known = set(self.algebra.parameters) | set(dict(calculus.generators))
        if any(rule[0] == "flow" for _, rule in calculus.generators):
            raise Malformed("a first integral is a function of its variable alone")

        def tree(key: str) -> Tree:
            return self.tree(data[key], known, 0)

        def number(key: str) -> int:
            value = rational(data[key])
            if value.denominator != 1 or abs(value) > MAX_EXPONENT:
                raise Malformed(f"{key}: expected an integer")
            return int(value)

        motion = Motion(
            rate=tree("rate"),
            coefficient=tree("coefficient"),
            exponent=number("exponent"),
            quantity=tree("quantity"),
            power=number("power"),
            limit=tree("limit"),
            count=tree("count"),
        )
        spoken = {
            "first-integral": ("rate",),
            "shares": (*MOTION_FIELDS[:5], "count"),
            "decay": MOTION_FIELDS,
        }.get(kind, MOTION_FIELDS[:3])
        silent = [name for name in MOTION_FIELDS if name not in spoken]
        if any(getattr(motion, name) != getattr(Motion("0"), name) for name in silent):
            raise Malformed(f"{kind} says nothing about {' and '.join(silent)}")
        return Statement(kind, calculus=calculus, motion=motion)

    def calculus(self, value: object) -> Calculus:
        data = as_mapping(value, "calculus")
        raw = self.mapping(data, "generators")
        if set(raw) & set(self.algebra.parameters):
            raise Malformed("a generator has the name of a parameter")
        if not all(name and name.isprintable() and not (name[0] == "-" or name[0].isdigit()) for name in raw):
            raise Malformed("a generator has a name that cannot be told from a number, or cannot be printed")
        known = set(self.algebra.parameters) | set(raw)
        generators = {name: self.generator(rule, known) for name, rule in raw.items()}
        variable = self.string(data, "variable")
        if variable not in self.algebra.parameters:
            raise Malformed(f"undeclared variable {short(variable)}")
        functions = {name: rule for name, rule in generators.items() if rule[0] != "flow"}
        if len(set(functions.values())) < len(functions):
            raise Malformed("two generators stand for the same function")
        pending = {name: names_in(rule[1:]) & functions.keys() for name, rule in functions.items()}
        while pending:
            ready = {name for name, needed in pending.items() if not needed & pending.keys()}
            spend(1 + sum(map(len, pending.values())))
            if not ready:
                raise Malformed("generators are defined by each other in a circle")
            pending = {name: needed for name, needed in pending.items() if name not in ready}
        return Calculus(variable, tuple(sorted(generators.items())), self.tree(data.get("tree"), known, 0))

    def generator(self, value: object, known: set[str]) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            raise Malformed("generator: expected a list")
        kind, *arguments = value
        if not isinstance(kind, str) or {"power": 2, "log": 1, "exp": 1, "flow": 2}.get(kind) != len(arguments):
            raise Malformed(f"generator: unknown kind {short(kind)}")
        if kind == "flow":
            self.require_real(arguments[0])
        return (kind, *(self.tree(argument, known, 0) for argument in arguments))

    def require_real(self, variable: object) -> None:
        """Derivatives are taken with respect to real parameters."""
        bounds = self.algebra.parameters.get(variable) if isinstance(variable, str) else None
        if bounds is None or bounds.integer:
            raise Malformed(f"no derivative with respect to {short(variable)}: it is not a real parameter")

    def tree(self, value: object, known: set[str], depth: int) -> Tree:
        if depth > 200:
            raise Malformed("an expression deeper than 200")
        if isinstance(value, str):
            if value[:1].isdigit() or value[:1] == "-":
                rational(value)
            elif value not in known:
                raise Malformed(f"undeclared name {short(value)}")
            return value
        if not isinstance(value, list) or len(value) < 2 or value[0] not in ["+", "*", "/", "^", "D"]:
            raise Malformed("expression: expected [operation, arguments...]")
        if value[0] in ("/", "^", "D") and len(value) != 3:
            raise Malformed(f"{value[0]}: expected two arguments")
        if value[0] == "^" and not (isinstance(value[2], str) and rational(value[2]).denominator == 1):
            raise Malformed("^: expected an integer exponent")
        if value[0] == "D":
            self.require_real(value[2])
        return (value[0], *(self.tree(argument, known, depth + 1) for argument in value[1:]))


def names_in(tree: Any) -> set[str]:
    """The strings of an expression, or of several: names, operations and numerals."""
    found, pending = set[str](), [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            found.add(item)
        else:
            pending.extend(item)
    return found


def valid_name(name: str) -> bool:
    return name[:1].isalpha() and "'" not in name and name.isprintable() and len(name) <= MAX_NAME


def short(value: object) -> str:
    return repr(value)[:60]


def label(value: object, what: str) -> str:
    """A name for people: one printable line."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_NAME:
        raise Malformed(f"{what}: expected a name of at most {MAX_NAME} printable characters")
    return value


def declared(document: Mapping[str, Any]) -> tuple[Algebra, Reader]:
    """The algebra of a document: parameters first, then letters and reciprocals in the order of their definitions."""
    algebra = Algebra()
    reader = Reader(algebra)
    for name, data in reader.mapping(document, "parameters").items():
        if not valid_name(name):
            raise Malformed(f"not a name: {short(name)}")
        entry = as_mapping(data, name)
        low = None if entry.get("low") is None else rational(entry["low"])
        algebra.parameters[name] = Range(low, reader.flag(entry, "open"), reader.flag(entry, "integer"))
    for entry in reader.items(document, "letters"):
        name = reader.string(as_mapping(entry, "letter"), "name")
        if not valid_name(name):
            raise Malformed(f"not a name: {short(name)}")
        if any(name in known for known in (algebra.parameters, algebra.letters, algebra.reciprocals, algebra.powers)):
            raise Malformed(f"{name!r} is declared twice")
        inner = None if entry.get("inverse_of") is None else reader.polynomial(entry["inverse_of"])
        meaning = None if entry.get("equals") is None else reader.polynomial(entry["equals"])
        if entry.get("power_of") is not None:
            base, exponent = reader.polynomial(entry["power_of"]), reader.dimension(entry.get("exponent"))
            if base.shape is not None or algebra.names(base) & algebra.letters.keys() or inner or meaning:
                raise Malformed(f"{name}: a power has a base in parameters and a natural exponent")
            algebra.powers[name] = (base, exponent)
            continue
        if reader.flag(entry, "scalar"):
            if inner is None or inner.shape is not None or meaning is not None:
                raise Malformed(f"{name}: a scalar letter is the reciprocal of a scalar")
            algebra.reciprocals[name] = inner
            continue
        letter = Letter(
            reader.dimension(entry.get("rows")),
            reader.dimension(entry.get("cols")),
            reader.flag(entry, "symmetric"),
            reader.flag(entry, "ones"),
            inner,
            meaning,
        )
        if meaning is not None and (inner is not None or meaning.shape != (letter.rows, letter.cols)):
            raise Malformed(f"{name}: not the size or kind of what it abbreviates")
        if (letter.symmetric and letter.rows != letter.cols) or (letter.ones and letter.cols != UNIT):
            raise Malformed(f"{name}: sizes do not fit its kind")
        if (inner is not None and inner.shape != (letter.rows, letter.rows)) or (inner and letter.rows != letter.cols):
            raise Malformed(f"{name}: not the size of what it inverts")
        defined = inner or meaning
        if letter.ones and defined is not None:
            raise Malformed(f"{name}: a vector of ones needs no definition")
        if letter.symmetric and defined is not None and algebra.transpose(defined) != defined:
            raise Malformed(f"{name}: declared symmetric, but its definition is not")
        algebra.letters[name] = letter
    return algebra, reader


def read_model(document: Mapping[str, Any], reader: Reader) -> Model:
    data = reader.mapping(document, "model")
    parameters = {name: rational(value) for name, value in reader.mapping(data, "parameters").items()}
    letters: dict[str, Matrix] = {}
    entries = 0
    for name, rows in reader.mapping(data, "letters").items():
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise Malformed(f"model of {name}: expected a list of rows")
        entries += sum(len(row) for row in rows)
        if entries > MAX_ENTRIES:
            raise Malformed(f"a model of more than {MAX_ENTRIES} entries")
        letters[name] = [[rational(x) for x in row] for row in rows]
    return Model(parameters, letters)


# ---------------------------------------------------------------------------------------------------- the verdict


@dataclass(frozen=True)
class Report:
    """What the checker accepted."""

    claim: str | None
    statement: str
    hypotheses: tuple[tuple[str, str, bool], ...]  # name, statement, used
    conditional_on: tuple[str, ...]  # lemmas
    assumed_nonzero: tuple[str, ...]
    steps: int
    rules: tuple[str, ...]
    where: tuple[str, ...] = ()  # ranges of parameters, sizes and definitions of letters
    assumptions: tuple[str, ...] = ()  # used hypotheses under the name of a lemma that do not have its shape
    unchecked: tuple[str, ...] = ()  # lemmas among those above whose instances are not recognised

    @property
    def conditions(self) -> str:
        """What the proof is conditional on, as one line."""
        return conditions(self.conditional_on, self.assumptions, self.unchecked)


def conditions(lemmas: Iterable[str], assumptions: Iterable[str], unchecked: Collection[str]) -> str:
    """Lemmas whose instances are checked first, then those whose instances are not, then assumptions."""
    said = [lemma for lemma in lemmas if lemma not in unchecked]
    parts = [", ".join(said)] if said else []
    parts += [f"unchecked instances of {', '.join(sorted(unchecked))}"] if unchecked else []
    names = [repr(name) for name in assumptions]
    parts += [f"unchecked assumption{'s' * (len(names) > 1)} {', '.join(names)}"] if names else []
    return "; ".join(parts)


def check(document: object) -> Report:
    """Replay a certificate; raise :class:`Rejected` (or :class:`Malformed`) unless it proves its statement."""
    data = as_mapping(document, "certificate")
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        raise Malformed(f"expected a certificate of format {FORMAT}")
    token = _work.set([MAX_WORK])
    try:
        return _check(data)
    except (TypeError, LookupError, AttributeError, ValueError, ArithmeticError) as error:
        raise Malformed(f"not a certificate of this format ({type(error).__name__}: {str(error)[:80]})") from error
    except (RecursionError, MemoryError):
        raise Malformed("nested too deeply or too large") from None
    finally:
        _work.reset(token)


def _check(data: Mapping[str, Any]) -> Report:
    claim = None if data.get("claim") is None else label(data["claim"], "claim")
    algebra, reader = declared(data)
    hypotheses: dict[str, Statement] = {}
    lemmas: dict[str, str] = {}
    for entry in reader.items(data, "hypotheses"):
        name = label(as_mapping(entry, "hypothesis").get("name"), "hypothesis")
        if name in hypotheses:
            raise Malformed(f"hypothesis {name!r} stands twice")
        hypotheses[name] = reader.statement(entry.get("statement"))
        if entry.get("lemma") is not None:
            lemmas[name] = reader.string(entry, "lemma")
            expect(lemmas[name] in LEMMAS, f"{short(lemmas[name])} is not a lemma of the closed list")
    goal = reader.statement(data.get("statement"))
    model = read_model(data, reader)
    model.check_shapes(algebra)
    for name, statement in hypotheses.items():
        expect(holds(statement, algebra, model), f"the model does not satisfy hypothesis {name!r}")
    replay = Replay(algebra, hypotheses, dict(hypotheses))
    needs: dict[str, set[str]] = {name: set() for name in hypotheses}
    steps = reader.items(data, "steps")
    if len(steps) > MAX_STEPS:
        raise Malformed(f"more than {MAX_STEPS} steps")
    rules: list[str] = []
    last = ""
    for entry in steps:
        last, rule = label(as_mapping(entry, "step").get("name"), "step"), reader.string(entry, "rule")
        if last in replay.established:
            raise Malformed(f"step {last!r} stands twice")
        if rule not in RULES:
            raise Malformed(f"unknown rule {short(rule)}")
        statement = reader.statement(entry.get("statement"))
        replay.current = set()
        try:
            RULES[rule](replay, statement, reader, reader.mapping(entry, "data"))
        except Malformed as error:
            raise Malformed(f"step {last!r}: {error}") from error
        except Rejected as error:
            raise Rejected(f"step {last!r}: {error}") from error
        replay.established[last] = statement
        needs[last] = replay.current
        rules.append(rule)
    expect(bool(steps) and replay.established[last] == goal, "the last step is not the statement")
    needs[last] |= defined(replay, goal)
    stated = [poly for statement in (goal, *hypotheses.values()) for poly in statement.polynomials()]
    assumed = algebra.divisors(*stated)
    silent = sorted(reader.divisors - assumed)
    expect(not silent, f"the proof divides by {', '.join(silent)[:80]}, which may be zero; the statement does not")

    def behind(*names: str) -> set[str]:
        found, pending = set[str](), [*names]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(needs[name])
        return found

    used = behind(last)
    provided = set[str]()
    if any(lemma in SHAPES for lemma in lemmas.values()):
        proved = [
            (statement, frozenset(behind(name) & hypotheses.keys()))
            for name, statement in replay.established.items()
            if name not in hypotheses
        ]
        for each in instances(algebra, hypotheses, lemmas, goal, proved):
            provided |= each.hypotheses
            used |= each.needs if each.hypotheses & used else set[str]()
    named = {name: lemma for name, lemma in lemmas.items() if name in used}
    assumptions = tuple(name for name, lemma in named.items() if lemma in SHAPES and name not in provided)
    return Report(
        claim,
        render_statement(goal),
        tuple((name, render_statement(statement), name in used) for name, statement in hypotheses.items()),
        tuple(sorted({lemma for name, lemma in named.items() if name not in assumptions})),
        tuple(sorted(assumed)),
        len(steps),
        tuple(dict.fromkeys(rules)),
        tuple(render_declarations(algebra, stated, (goal, *hypotheses.values()))),
        assumptions,
        tuple(sorted({lemma for lemma in named.values() if lemma not in SHAPES})),
    )


def defined(replay: Replay, goal: Statement) -> set[str]:
    """Every inverse in the statement must be known to exist."""
    algebra = replay.algebra
    replay.current = set()
    for poly in goal.polynomials():
        for name in sorted(algebra.names(poly)):
            inner = algebra.definition(name)
            if inner is None or (name in algebra.letters and algebra.letters[name].equals is not None):
                continue
            if name in algebra.powers:  # every real number has natural powers
                continue
            if inner.shape is None:
                expect(replay.is_positive(inner), f"the reciprocal {name} is not known to exist")
            else:
                known = replay.knows(Statement("pd", inner)) or replay.knows(Statement("invertible", inner))
                expect(known, f"the inverse {name} is not known to exist")
    return replay.current


# --------------------------------------------------------------------------------------------------- plain text


def render(poly: Polynomial) -> str:
    """A polynomial as one line of plain text."""

    def factor(mono: Monomial, traces: Sequence[Word], word: Word | None) -> str:
        parts = [name if e == 1 else f"{name}^{e}" for name, e in mono]
        parts += [f"tr({' '.join(cycle)})" for cycle in traces]
        parts += [] if word is None else [" ".join(word) if word else "I"]
        return " ".join(parts)

    lines: list[str] = []
    for (mono, traces, word), value in sorted(poly.terms.items(), key=lambda item: str(item[0])):
        body = factor(mono, traces, word)
        size = "" if abs(value) == 1 and body else str(abs(value))
        sign = ("-" if value < 0 else "") if not lines else ("- " if value < 0 else "+ ")
        lines.append(sign + " ".join(part for part in (size, body) if part))
    return " ".join(lines) or "0"


def render_statement(statement: Statement) -> str:
    kind = statement.kind
    if kind in ("any", "all"):
        return f" {'or' if kind == 'any' else 'and'} ".join(f"({render_statement(p)})" for p in statement.parts)
    if statement.motion is not None and statement.calculus is not None:
        motion, name = statement.motion, statement.calculus.variable
        text = f"{kind} along d{name}/dt = {render_tree(motion.rate)} with Phi = {render_tree(statement.calculus.tree)}"
        if kind != "first-integral":
            text += f", c {name}^k = {render_tree(motion.coefficient)} {name}^{motion.exponent}"
        if kind in ("shares", "decay"):
            text += f", q = {render_tree(motion.quantity)}, m = {motion.power}, n = {render_tree(motion.count)}"
        if kind == "decay":
            text += f", l = {render_tree(motion.limit)}"
        return text
    if statement.calculus is not None:
        tails = {"vanishes": "= 0", "increasing": "increases strictly with {}", "tends": "tends to 0 as {} grows"}
        tail = tails.get(kind, kind).format(statement.calculus.variable)
        return f"{render_tree(statement.calculus.tree)} {tail}"
    if statement.inequality is not None:
        boxes = (
            ", ".join(
                f"{'' if low is None else f'{low} <= '}{name}{'' if high is None else f' <= {high}'}"
                for name, low, high in box
            )
            for box in statement.inequality.boxes
        )
        where = " or ".join(box or "everywhere" for box in boxes)
        return f"{render_tree(statement.inequality.tree)} > 0" + ("" if where == "everywhere" else f" for {where}")
    body = render(statement.target)
    if kind == "minimum" and statement.value is not None:
        points = ", ".join(f"{name} = {render(at)}" for name, at in zip(statement.over, statement.at, strict=True))
        only = " and nowhere else" if statement.unique else ""
        return (
            f"min over {', '.join(statement.over)} of [{body}] = {render(statement.value)}, attained at {points}{only}"
        )
    if kind == "gradient":
        return f"the gradient of [{body}] in {statement.over[0]} is {render(statement.at[0])}"
    if kind == "equal-infima" and statement.other is not None:
        left, right = ", ".join(statement.over), ", ".join(statement.other_over)
        return f"inf over {left} of [{body}] = inf over {right} of [{render(statement.other)}]"
    tail = {"zero": "= 0", "psd": "is positive semi-definite", "pd": "is positive definite"}
    tail |= {"invertible": "is invertible", "positive": "> 0", "nonnegative": ">= 0"}
    return f"{body} {tail.get(kind, kind)}"


def render_tree(tree: Tree) -> str:
    if isinstance(tree, str):
        return tree
    operator, *arguments = tree
    if operator in ("exp", "log", "exprel"):
        return f"{operator}({render_tree(arguments[0])})"
    if operator == "D":
        return f"d/d{arguments[1]}({render_tree(arguments[0])})"
    return "(" + f" {operator} ".join(render_tree(argument) for argument in arguments) + ")"


def render_declarations(
    algebra: Algebra, polys: Sequence[Polynomial], statements: Sequence[Statement]
) -> Iterator[str]:
    """What the names in a statement and its hypotheses stand for."""
    functions = dict(pair for s in statements if s.calculus is not None for pair in s.calculus.generators)
    names = algebra.names(*polys) | functions.keys() | {name for s in statements for name in (*s.over, *s.other_over)}
    for calculus in (s.calculus for s in statements if s.calculus is not None):
        names |= {calculus.variable} | names_in(calculus.tree) | names_in([rule for _, rule in calculus.generators])
    for inequality in (s.inequality for s in statements if s.inequality is not None):
        names |= names_in(inequality.tree) | {name for box in inequality.boxes for name, _, _ in box}
    letters = [algebra.letters[name] for name in names & algebra.letters.keys()]
    for size in (size for letter in letters for size in (letter.rows, letter.cols)):
        names |= {name for mono, _ in size for name, _ in mono}
    for name in sorted(names & algebra.parameters.keys()):
        bounds = algebra.parameters[name]
        low = "" if bounds.low is None else f" {'>' if bounds.open else '>='} {bounds.low}"
        yield f"{name}{low}, {'integer' if bounds.integer else 'real'}"
    for name in sorted(names & algebra.letters.keys()):
        letter = algebra.letters[name]
        rows, cols = (render(Polynomial(None, {(m, (), None): x for m, x in d})) for d in (letter.rows, letter.cols))
        kind = "ones" if letter.ones else "symmetric" if letter.symmetric else ""
        meaning = f"= {render(letter.equals)}" if letter.equals is not None else ""
        inverse = f"= ({render(letter.inverse_of)})^-1" if letter.inverse_of is not None else ""
        yield " ".join(part for part in (f"{name}: {rows} x {cols}", kind, meaning + inverse) if part)
    for name in sorted(names & algebra.reciprocals.keys()):
        yield f"{name} = 1/({render(algebra.reciprocals[name])})"
    for name in sorted(names & algebra.powers.keys()):
        base, exponent = algebra.powers[name]
        yield f"{name} = ({render(base)})^({render(algebra.scalar(dict(exponent)))})"
    for name, (kind, *arguments) in sorted(functions.items()):
        values = [render_tree(argument) for argument in arguments]
        yield f"d/d{values[0]}({name}) = {values[1]}" if kind == "flow" else f"{name} = {kind}({', '.join(values)})"


# ------------------------------------------------------------------------------------------------------- main


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Malformed("a key stands twice in one object")
    return result


def loads(text: str | bytes) -> Any:
    """JSON with limits: no repeated keys, no floats, no huge or deeply nested documents."""

    def refuse(number: str) -> Any:
        raise Malformed(f"a decimal number ({number[:20]}); fractions are strings")

    if len(text) > MAX_BYTES:
        raise Malformed(f"more than {MAX_BYTES} bytes")
    try:
        return json.loads(text, object_pairs_hook=unique_keys, parse_float=refuse, parse_constant=refuse)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(f"not JSON ({str(error)[:80]})") from None


def main(arguments: Sequence[str]) -> int:
    """0 accepted, 1 rejected, 2 not a certificate."""

    def say(text: str, file: Any = None) -> None:
        stream = file or sys.stdout
        encoding = stream.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)

    if len(arguments) != 1:
        say("usage: checker.py CERTIFICATE.json", sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            text = file.read(MAX_BYTES + 1)
        report = check(loads(text))
    except (OSError, Malformed) as error:
        say(" ".join(f"tightframe: {arguments[0]}: not a certificate: {error}".split()), sys.stderr)
        return 2
    except Rejected as error:
        say(f"rejected: {error}")
        return 1
    say(summary(report))
    return 0


def summary(report: Report) -> str:
    """What was accepted, in plain text."""
    lines = [f"accepted: {report.claim or 'a statement'}", f"  {report.statement}"]
    lines += ["where", *(f"  {line}" for line in report.where)] if report.where else []
    lines += ["under the hypotheses"]
    lines += [f"  [{'used' if used else 'not used'}] {name}: {text}" for name, text, used in report.hypotheses]
    if report.conditions:
        lines.append(f"conditional on: {report.conditions}")
    if report.assumed_nonzero:
        lines.append(f"assumed nonzero: {', '.join(report.assumed_nonzero)}")
    lines.append(f"{report.steps} steps, rules: {', '.join(report.rules)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
