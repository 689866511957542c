"""Matrix and trace identities of any size: search for two-sided cofactors in a typed free *-algebra.

A claim ``p = 0`` follows from relations ``r_i = 0`` if ``p = sum_k c_k l_k r_k m_k`` with words ``l_k, m_k`` (inside a
trace where ``p`` is one). The search is untrusted; the cofactors are what the checker re-expands.

1. Relations and their transposes are completed to a (partial) noncommutative Groebner basis with cofactors.
2. The claim is reduced by it, inside traces at every rotation.
3. If something remains, all contexts of bounded length are collected and a linear system over Q is solved (FLINT).
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any, NamedTuple

from .checker import Algebra, Key, Monomial, Polynomial, Word, monomial


class Context(NamedTuple):
    """Where a relation enters: ``mono * traces * left r right``, or ``mono * traces * tr(left r right) * outer``."""

    relation: str
    transposed: bool
    mono: Monomial
    traces: tuple[Word, ...]
    left: Word
    right: Word
    traced: bool = False
    outer: Word | None = None


Cofactors = dict[Context, Fraction]
PRIME = 2**31 - 1
OPERATIONS = 2e9  # of an elimination modulo a prime, a second


@dataclass(frozen=True)
class Limits:
    """Caps of the search: nothing found within them is ``open``, never false.

    The defaults are twice what the hardest shipped claim needs.
    """

    seconds: float = 20.0
    degree: int = 14
    columns: int = 6000
    slack: int = 2
    exponent: int = 8  # of a parameter, beyond those of the claim


@dataclass(frozen=True)
class Element:
    """A polynomial of the ideal with its leading term and its cofactors over the given relations."""

    poly: Polynomial
    traces: tuple[Word, ...]
    word: Word | None  # None for scalars
    mono: Monomial
    coefficient: Fraction
    cofactors: Cofactors


@dataclass(frozen=True)
class Search:
    """Result of a search: cofactors, or what remains of the claim after reduction."""

    cofactors: Cofactors | None
    remainder: Polynomial
    seconds: float


def word_key(algebra: Algebra, word: Word) -> tuple[Any, ...]:
    """Abbreviations are the largest, so that their definitions unfold them; then length, then the alphabet."""
    return sum(algebra.letter(symbol).equals is not None for symbol in word), len(word), word


def term_key(algebra: Algebra, key: Key) -> tuple[Any, ...]:
    mono, traces, word = key
    sizes = [word_key(algebra, part)[:2] for part in (*traces, word or ())]
    return sum(s[0] for s in sizes), sum(s[1] for s in sizes), traces, word or (), sum(abs(e) for _, e in mono), mono


class OutOfTime(Exception):
    """The search has met its limit of time."""


Completions = dict[tuple[str, ...], "_Completion"]


def prove_zero(
    algebra: Algebra,
    claim: Polynomial,
    relations: Mapping[str, Polynomial],
    limits: Limits | None = None,
    completions: Completions | None = None,
) -> Search:
    """Search cofactors that express ``claim`` by ``relations`` (each a polynomial known to vanish).

    ``completions`` keeps what was found out about sets of relations, for further claims under the same ones.
    """
    limits = limits or Limits()
    started = time.process_time()
    names = tuple(sorted(relations))
    search = completions.get(names) if completions is not None else None
    if search is None or search.given != relations or search.algebra is not algebra:
        search = _Completion(algebra, limits, started)
        search.given = dict(relations)
    search.limits, search.started = limits, started
    try:
        search.add_relations()
        if completions is not None:
            completions[names] = search
        rest, cofactors = search.reduce(claim)
        while rest.terms and search.step():
            rest, more = search.reduce(rest)
            for context, value in more.items():
                _accumulate(cofactors, context, value)
        if rest.terms:
            extra = _linear_search(algebra, rest, search, limits, started)
            if extra is None:
                return Search(None, rest, time.process_time() - started)
            for context, value in extra.items():
                _accumulate(cofactors, context, value)
    except OutOfTime:
        return Search(None, claim, time.process_time() - started)
    return Search(cofactors, algebra.zero(claim.shape), time.process_time() - started)


def divided(algebra: Algebra, mono: Monomial, by: Monomial) -> Monomial | None:
    """The quotient, or ``None`` if it would divide by a parameter that may be zero."""
    powers = dict(mono)
    result = monomial((*mono, *((name, -e) for name, e in by)))
    if any(e < min(0, powers.get(name, 0)) and not algebra.nonzero(name) for name, e in result):
        return None
    return result


def _accumulate(total: Cofactors, context: Context, value: Fraction) -> None:
    total[context] = total.get(context, Fraction(0)) + value
    if not total[context]:
        del total[context]


def expand(algebra: Algebra, relation: Polynomial, context: Context, claim_shape: Any) -> Polynomial:
    """The polynomial ``context applied to relation``; ``relation`` is already transposed if the context says so."""

    def terms() -> Iterator[tuple[Key, Fraction]]:
        for (m, s, w), x in relation.terms.items():
            mono, traces = monomial(context.mono + m), (*context.traces, *s)
            if relation.shape is None:
                yield (mono, traces, context.outer), x
                continue
            full = context.left + (w or ()) + context.right
            if not context.traced:
                yield (mono, traces, full), x
            elif full:
                yield (mono, (*traces, full), context.outer), x
            else:
                for n, y in relation.shape[0]:
                    yield (monomial(mono + n), traces, context.outer), x * y

    return algebra.collect(claim_shape, terms())


class _Completion:
    """A growing set of rewriting rules with cofactors."""

    def __init__(self, algebra: Algebra, limits: Limits, started: float) -> None:
        self.algebra = algebra
        self.limits = limits
        self.started = started
        self.given: dict[str, Polynomial] = {}
        self.pending: list[str] | None = None  # relations not yet added
        self.relations: dict[tuple[str, bool], Polynomial] = {}
        self.basis: list[Element] = []
        self.scalars: list[Element] = []
        self.spare: list[Element] = []  # without a leading word: only the linear search can use them
        self.pairs: list[tuple[int, int, Element, Element, Word, Word, Word, Word]] = []
        self.count = 0

    def in_time(self) -> bool:
        return time.process_time() - self.started < self.limits.seconds

    def add_relations(self) -> None:
        """All that are given, the shortest first; after an interruption, the rest."""
        if self.pending is None:
            self.pending = sorted(self.given, key=lambda name: len(self.given[name].terms))[::-1]
        while self.pending:
            self.add_relation(self.pending[-1], self.given[self.pending[-1]])
            self.pending.pop()

    def add_relation(self, name: str, relation: Polynomial) -> None:
        versions = [(False, relation)]
        if relation.shape is not None:
            flipped = self.algebra.transpose(relation)
            if flipped not in (relation, self.algebra.plus(self.algebra.zero(flipped.shape), flipped, Fraction(-1))):
                versions.append((True, flipped))
        for transposed, poly in versions:
            self.relations[name, transposed] = poly
            context = Context(name, transposed, (), (), (), (), traced=poly.shape is None)
            self.push(poly, {context: Fraction(1)})

    # ---- completion
    def push(self, poly: Polynomial, cofactors: Cofactors) -> bool:
        rest, used = self.reduce(poly)
        if not rest.terms:
            return False
        total = dict(cofactors)
        for context, value in used.items():
            _accumulate(total, context, -value)
        element = self.leading(rest, total)
        if element is None:
            self.spare.append(Element(rest, (), (), (), Fraction(1), total))
            return False
        if rest.shape is None:
            self.scalars.append(element)
            return True
        self.basis.append(element)
        for other in self.basis if self._monic(element) else ():
            if not self._monic(other):
                continue
            for first, second in ((element, other),) if other is element else ((element, other), (other, element)):
                for l1, r1, l2, r2 in overlaps(first.word or (), second.word or ()):
                    degree = len(l1) + len(first.word or ()) + len(r1)
                    if degree <= self.limits.degree:
                        self.count += 1
                        heapq.heappush(self.pairs, (degree, self.count, first, second, l1, r1, l2, r2))
        return True

    def leading(self, poly: Polynomial, cofactors: Cofactors) -> Element | None:
        """The element with its leading term; ``None`` if that term is not one multiple of a word.

        A scalar is solved for its largest trace, or, without traces, for its monomial of highest degree.
        """
        if poly.shape is None:
            key = max(poly.terms, key=partial(term_key, self.algebra))
            return Element(poly, key[1], None, key[0], poly.terms[key], cofactors)
        top = max((word or () for _, _, word in poly.terms), key=partial(word_key, self.algebra))
        heads = [key for key in poly.terms if key[2] == top]
        if len(heads) != 1 or heads[0][1] or not top:
            return None
        return Element(poly, (), top, heads[0][0], poly.terms[heads[0]], cofactors)

    def _monic(self, element: Element) -> bool:
        """Whether the leading coefficient can be divided by, which critical pairs need."""
        return all(self.algebra.nonzero(name) for name, _ in element.mono)

    def step(self) -> bool:
        """Resolve critical pairs until a new rule appears."""
        algebra = self.algebra
        while self.pairs and self.in_time():
            _, _, first, second, l1, r1, l2, r2 = heapq.heappop(self.pairs)
            left = self._in_context(first, l1, r1)
            right = self._in_context(second, l2, r2)
            poly = algebra.minus(left[0], right[0])
            cofactors = dict(left[1])
            for context, value in right[1].items():
                _accumulate(cofactors, context, -value)
            if self.push(poly, cofactors):
                return True
        return False

    def _in_context(self, element: Element, left: Word, right: Word) -> tuple[Polynomial, Cofactors]:
        """The element made monic, between two words."""
        algebra = self.algebra
        inverse = tuple((name, -e) for name, e in element.mono)
        context = Context("", False, inverse, (), left, right)
        rows = algebra.word_shape(left)[0] if left else element.poly.shape[0]  # type: ignore[index]
        cols = algebra.word_shape(right)[1] if right else element.poly.shape[1]  # type: ignore[index]
        poly = expand(algebra, element.poly, context, (rows, cols))
        scale = 1 / element.coefficient
        poly = Polynomial(poly.shape, {key: value * scale for key, value in poly.terms.items()})
        cofactors: Cofactors = {}
        for inner, value in element.cofactors.items():
            _accumulate(cofactors, self.compose(context, inner), value * scale)
        return poly, cofactors

    @staticmethod
    def compose(outer: Context, inner: Context) -> Context:
        """The context that applies ``inner`` first, then ``outer``."""
        mono = monomial(outer.mono + inner.mono)
        traces = (*outer.traces, *inner.traces)
        if not inner.traced:
            left, right = outer.left + inner.left, inner.right + outer.right
            return Context(inner.relation, inner.transposed, mono, traces, left, right, outer.traced, outer.outer)
        word = outer.outer
        if inner.outer is not None:  # a scalar multiple of a word, itself in a context
            word = outer.left + inner.outer + outer.right
            if outer.traced:
                if not word:
                    raise NotImplementedError("trace of an identity inside a context")
                traces, word = (*traces, word), outer.outer
        return inner._replace(mono=mono, traces=traces, outer=word)

    # ---- reduction
    def reduce(self, poly: Polynomial) -> tuple[Polynomial, Cofactors]:
        """Normal form of a polynomial and the cofactors of ``poly - normal form``.

        A rule is applied only where every new term is smaller, which makes the loop end also inside traces.

        Raises:
            OutOfTime: if the limit of time is met.
        """
        algebra, size = self.algebra, cache(partial(term_key, self.algebra))
        work, done, cofactors = dict(poly.terms), dict[Key, Fraction](), Cofactors()
        while work:
            if not self.in_time():
                raise OutOfTime
            key = max(work, key=size)
            value = work.pop(key)
            for element, context in self._hits(key):
                expanded = expand(algebra, element.poly, context, poly.shape).terms
                own = expanded.get(key)
                if own is None or any(size(k) >= size(key) for k in expanded if k != key):
                    continue
                scale = value / own
                for other, x in expanded.items():
                    if other != key:
                        work[other] = work.get(other, Fraction(0)) - scale * x
                        if not work[other]:
                            del work[other]
                for inner, x in element.cofactors.items():
                    _accumulate(cofactors, self.compose(context, inner), scale * x)
                break
            else:
                done[key] = value
        return Polynomial(poly.shape, done), cofactors

    def _hits(self, key: Key) -> Iterator[tuple[Element, Context]]:
        mono, traces, word = key
        for element in self.basis:
            quotient = divided(self.algebra, mono, element.mono)
            if quotient is not None:
                found = occurrences(self.algebra, quotient, traces, word, element.word or ())
                yield from ((element, context) for context in found)
        for element in self.scalars:
            others = list(traces)
            if any(cycle not in others or others.remove(cycle) for cycle in element.traces):
                continue
            powers = dict(mono)
            quotient = divided(self.algebra, mono, element.mono)
            visible = element.traces or all(powers.get(name, 0) >= e > 0 for name, e in element.mono)
            if visible and quotient is not None:
                yield element, Context("", False, quotient, tuple(others), (), (), True, word)


def occurrences(
    algebra: Algebra, mono: Monomial, traces: tuple[Word, ...], word: Word | None, lead: Word
) -> Iterator[Context]:
    """The contexts in which ``lead`` stands in a term, in its word or at any rotation of a trace."""
    size = len(lead)
    if word is not None:
        for i in range(len(word) - size + 1):
            if word[i : i + size] == lead:
                yield Context("", False, mono, traces, word[:i], word[i + size :])
    for position, cycle in enumerate(traces):
        if len(cycle) >= size:
            others = traces[:position] + traces[position + 1 :]
            for turned in dict.fromkeys(algebra.rotations(cycle)):
                if turned[:size] == lead:
                    yield Context("", False, mono, others, (), turned[size:], True, word)


def overlaps(first: Word, second: Word) -> Iterator[tuple[Word, Word, Word, Word]]:
    """(l1, r1, l2, r2) with l1 first r1 == l2 second r2, overlapping properly or one inside the other."""
    for k in range(1, min(len(first), len(second))):
        if first[-k:] == second[:k]:
            yield (), second[k:], first[:-k], ()
    if len(second) <= len(first) and first != second:
        for i in range(len(first) - len(second) + 1):
            if first[i : i + len(second)] == second:
                yield (), (), first[:i], first[i + len(second) :]


# -------------------------------------------------------------------------------- linear algebra over all contexts


Instance = tuple[int, Context]
FEW = 50  # instances of rules: no fewer are tried, unless there are no more


def _linear_search(
    algebra: Algebra, claim: Polynomial, search: _Completion, limits: Limits, started: float
) -> Cofactors | None:
    """Cofactors from the span of all rule instances up to a growing degree."""
    elements = [*search.basis, *search.spare]
    base = max([_length(key) for key in claim.terms] + [len(e.word or ()) for e in elements], default=0)
    for degree in range(base, base + limits.slack + 1):
        for columns, rows in _spans(algebra, claim, search, elements, degree):
            left = limits.seconds - (time.process_time() - started)
            if rows * len(columns) * min(rows, len(columns)) > OPERATIONS * max(left, 0.0):
                return None  # the elimination, which nothing interrupts, would not end in time
            solution = _solve(claim, columns)
            if solution is not None:
                total: Cofactors = {}
                for (number, context), value in solution.items():
                    for inner, x in elements[number].cofactors.items():
                        _accumulate(total, search.compose(context, inner), value * x)
                return total
        if not search.in_time():
            return None
    return None


def _length(key: Key) -> int:
    return sum(map(len, key[1])) + len(key[2] or ())


def _spans(
    algebra: Algebra, claim: Polynomial, search: _Completion, elements: list[Element], degree: int
) -> Iterator[tuple[dict[Instance, Polynomial], int]]:
    """Instances of rules and the number of terms in them, the nearest first: a few, twice as many, and at last all."""
    columns: dict[Instance, Polynomial] = {}
    steepest = search.limits.exponent + max((abs(e) for mono, _, _ in claim.terms for _, e in mono), default=0)
    known, pending, enough = set(claim.terms), deque(claim.terms), FEW
    while pending and len(columns) < search.limits.columns:
        for number, context in _instances(algebra, pending.popleft(), elements):
            if (number, context) in columns or any(abs(e) > steepest for _, e in context.mono):
                continue
            if not search.in_time():
                return
            poly = expand(algebra, elements[number].poly, context, claim.shape)
            if any(_length(key) > degree for key in poly.terms):
                continue
            columns[number, context] = poly
            pending.extend(key for key in poly.terms if key not in known)
            known.update(poly.terms)
        if len(columns) >= enough and pending:
            yield columns, len(known)
            enough = 2 * len(columns)
    yield columns, len(known)


def _instances(algebra: Algebra, key: Key, elements: list[Element]) -> Iterator[Instance]:
    """Every way in which some term of some element equals the term ``key`` in a context."""
    mono, traces, word = key
    for number, element in enumerate(elements):
        for (m, s, w), _ in element.poly.terms.items():
            quotient = divided(algebra, mono, m) if w and not s else None
            if w and quotient is not None:
                yield from ((number, context) for context in occurrences(algebra, quotient, traces, word, w))


def _solve(claim: Polynomial, columns: Mapping[Instance, Polynomial]) -> dict[Instance, Fraction] | None:
    """The claim as a combination of instances.

    Modulo a prime first, which is far quicker than over Q, says no to almost all that has no solution there, and names
    the few instances of one that does.
    """
    found = _solve_modulo_prime(claim, columns)
    if found is None:
        return None
    return _solve_exactly(claim, {name: columns[name] for name in found}) or _solve_exactly(claim, columns)


def _rows(polys: Iterable[Polynomial]) -> dict[Key, int]:
    return {key: i for i, key in enumerate(dict.fromkeys(key for poly in polys for key in poly.terms))}


def _solve_modulo_prime(claim: Polynomial, columns: Mapping[Instance, Polynomial]) -> list[Instance] | None:
    """The instances that one solution modulo a prime uses; all where the prime divides a denominator."""
    import flint

    names, rows = list(columns), _rows((claim, *columns.values()))
    matrix = flint.nmod_mat(len(rows), len(names) + 1, PRIME)
    try:
        for j, poly in enumerate((*columns.values(), claim)):
            for key, value in poly.terms.items():
                matrix[rows[key], j] = value.numerator * pow(value.denominator, -1, PRIME) % PRIME
    except ValueError:
        return names
    reduced, rank = matrix.rref()
    used: list[Instance] = []
    column = 0
    for row in range(rank):
        while int(reduced[row, column]) == 0:
            column += 1
        if column == len(names):
            return None
        if int(reduced[row, len(names)]):
            used.append(names[column])
    return used


def _solve_exactly(claim: Polynomial, columns: Mapping[Instance, Polynomial]) -> dict[Instance, Fraction] | None:
    import flint

    names, rows = list(columns), _rows((claim, *columns.values()))
    matrix = flint.fmpq_mat(len(rows), len(names) + 1)
    for j, poly in enumerate((*columns.values(), claim)):
        for key, value in poly.terms.items():
            matrix[rows[key], j] = flint.fmpq(value.numerator, value.denominator)
    reduced, rank = matrix.rref()
    solution: dict[Instance, Fraction] = {}
    column = 0
    for row in range(rank):
        while reduced[row, column] == 0:
            column += 1
        if column == len(names):
            return None
        value = reduced[row, len(names)]
        if value != 0:
            solution[names[column]] = Fraction(int(value.p), int(value.q))
    return solution
