"""Exact examples beside an exact example: equations that are affine in some symbols are solved for these.

Nonlinear equations are mostly affine in each of their symbols. So from an example one solves for the values of a set of
symbols of which no two, and none twice, are multiplied in any equation, and takes a random solution; from there for
another such set, and so on: a random walk on the set of all solutions. One equation may be quadratic besides: a line
through a rational point of a quadric meets it in a second rational point. Whoever uses an example evaluates it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import Any

from .certificate import Values, complete_model
from .checker import Model, Monomial, Polynomial, Rejected, Word, identity_matrix
from .translation import Translation

Row = dict[int, Fraction]
BITS = 400  # of a value: longer ones are of no use as examples
STEPS = (Fraction(1), Fraction(-1), Fraction(1, 4), Fraction(-1, 4), Fraction(1, 32), Fraction(-1, 32))


@dataclass(frozen=True)
class Unknowns:
    """The entries of some symbols, numbered; tied entries of symmetric matrices have one number."""

    places: Mapping[str, list[list[int | None]]]
    count: int


@dataclass
class Walk:
    """Moves in the set of solutions of equations; ``movable`` are the names of the symbols that may change."""

    translation: Translation
    equations: Sequence[Polynomial]
    movable: Sequence[str]
    single: list[set[str]] = field(init=False)  # for every equation, symbols in which it is not affine
    pairs: list[set[frozenset[str]]] = field(init=False)  # symbols that it multiplies
    powers: list[dict[str, int]] = field(init=False)  # of every scalar, the least exponent, if that is negative

    def __post_init__(self) -> None:
        degrees = [self._degrees(equation) for equation in self.equations]
        self.single = [single for single, _, _ in degrees]
        self.pairs = [pairs for _, pairs, _ in degrees]
        self.powers = [powers for _, _, powers in degrees]

    def _degrees(self, equation: Polynomial) -> tuple[set[str], set[frozenset[str]], dict[str, int]]:
        algebra, movable = self.translation.algebra, set(self.movable)
        single, pairs, powers = set[str](), set[frozenset[str]](), dict[str, int]()
        for mono, _, _ in equation.terms:
            for name, exponent in mono:
                if exponent < powers.get(name, 0):
                    powers[name] = exponent
        for mono, traces, word in equation.terms:
            exponents = dict(mono)
            degree: dict[str, int] = {}
            for name in {*exponents, *powers}:
                degree[name] = exponents.get(name, 0) - powers.get(name, 0)
            for cycle in (*traces, word or ()):
                for symbol in cycle:
                    name = unit(symbol)
                    degree[name] = degree.get(name, 0) + 1
            for name in [name for name, power in degree.items() if power]:
                inner = algebra.definition(name)
                if inner is not None:
                    single |= algebra.names(inner)
                    single |= {unit(other) for other in algebra.names(inner)}
                if name in algebra.powers:
                    single |= {part for size in algebra.powers[name][1] for part, _ in size[0]}
            inside = [name for name, power in degree.items() if power and name in movable]
            single |= {name for name in inside if degree[name] > 1}
            pairs |= {frozenset(pair) for pair in combinations(inside, 2)}
        return single, pairs, powers

    def some(self, rng: random.Random, first: Sequence[str] = (), without: Sequence[int] = ()) -> list[str]:
        """A random largest set of symbols in which all equations, but those of some numbers, are affine together."""
        single = set[str]().union(*(s for i, s in enumerate(self.single) if i not in without))
        pairs = set[frozenset[str]]().union(*(p for i, p in enumerate(self.pairs) if i not in without))
        order = [*rng.sample(list(first), len(first)), *rng.sample(list(self.movable), len(self.movable))]
        found: list[str] = []
        for name in order:
            if name not in single and name not in found and not any(frozenset((name, o)) in pairs for o in found):
                found.append(name)
        return found

    # ---- moves
    def moves(self, rng: random.Random, values: Values, model: Model, first: Sequence[str] = ()) -> Iterator[Values]:
        """Other solutions, from one: along random directions of one random set of symbols, near ones last."""
        curved = [i for i, equation in enumerate(self.equations) if equation.shape is None]
        without = [rng.choice(curved)] if curved and rng.random() < 0.5 else []
        chosen = self.some(rng, first, without)
        unknowns = self.unknowns(chosen, model)
        rows = self.rows(unknowns, chosen, model, without)
        kernel = null_space(rows, unknowns.count)
        if not kernel:
            return
        number = len(kernel) if rng.random() < 0.6 else min(len(kernel), rng.randint(1, 2))
        direction: Row = {}
        for vector in rng.sample(kernel, number):
            factor = Fraction(rng.choice((-2, -1, 1, 2, 3)))
            for place, value in vector.items():
                direction[place] = direction.get(place, Fraction(0)) + factor * value
        if not without:
            yield from (self.moved(values, unknowns, direction, step) for step in STEPS)
            return
        step = self.second(values, unknowns, direction, self.equations[without[0]])
        if step is not None:
            yield self.moved(values, unknowns, direction, step)

    def second(self, values: Values, unknowns: Unknowns, direction: Row, equation: Polynomial) -> Fraction | None:
        """Where a line through a solution of an equation that is quadratic along it meets the solutions again."""
        found: list[Fraction] = []
        for step in (Fraction(1), Fraction(-1), Fraction(2)):
            model = complete_model(self.translation, self.moved(values, unknowns, direction, step))
            if model is None:
                return None
            try:
                found.append(self.translation.algebra.evaluate(equation, model)[0][0])
            except Rejected:
                return None
        square, slope = (found[0] + found[1]) / 2, (found[0] - found[1]) / 2
        if not square or 4 * square + 2 * slope != found[2]:
            return None
        return -slope / square or None

    def mended(
        self, rng: random.Random, values: Values, model: Model, kept: Sequence[str], first: Sequence[str] = ()
    ) -> Values | None:
        """A solution near an example that is none, in which the ``kept`` symbols have their values."""
        allowed = Walk.__new__(Walk)
        allowed.__dict__ |= self.__dict__ | {"movable": [name for name in self.movable if name not in kept]}
        chosen = allowed.some(rng, [name for name in first if name not in kept])
        unknowns = self.unknowns(chosen, model)
        rows = self.rows(unknowns, chosen, model, ())
        solution = particular(rows, unknowns.count)
        return None if solution is None else self.moved(values, unknowns, solution, Fraction(1))

    def moved(self, values: Values, unknowns: Unknowns, direction: Row, step: Fraction) -> Values:
        found: dict[Any, Any] = dict(values)
        keys = {getattr(key, "name", str(key)): key for key in values}
        for name, places in unknowns.places.items():
            key, old = keys[name], values[keys[name]]
            if not any(place in direction for row in places for place in row):
                continue
            if not isinstance(old, list):
                found[key] = Fraction(old) + step * direction.get(places[0][0] or 0, Fraction(0))
            elif f"diag({name})" in self.translation.algebra.letters:
                found[key] = [
                    [Fraction(row[0]) + step * direction.get(places[i][i], Fraction(0))]  # type: ignore[arg-type]
                    for i, row in enumerate(old)
                ]
            else:
                found[key] = [
                    [Fraction(x) + step * (direction.get(p, Fraction(0)) if p is not None else 0) for x, p in pair]
                    for pair in (zip(row, place, strict=True) for row, place in zip(old, places, strict=True))
                ]
        return found

    # ---- linear systems
    def unknowns(self, chosen: Sequence[str], model: Model) -> Unknowns:
        algebra, places, count = self.translation.algebra, dict[str, list[list[int | None]]](), 0
        for name in chosen:
            if name in algebra.parameters:
                places[name] = [[count]]
                count += 1
                continue
            diagonal = f"diag({name})" in algebra.letters
            letter = algebra.letters[f"diag({name})" if diagonal else name]
            rows, cols = model.size(letter.rows), model.size(letter.cols)
            grid: list[list[int | None]] = [[None] * cols for _ in range(rows)]
            for i in range(rows):
                for j in range(cols):
                    if diagonal and i != j:
                        continue
                    if letter.symmetric and j < i:
                        grid[i][j] = grid[j][i]
                    else:
                        grid[i][j], count = count, count + 1
            places[name] = grid
        return Unknowns(places, count)

    def rows(
        self, unknowns: Unknowns, chosen: Sequence[str], model: Model, without: Sequence[int]
    ) -> list[tuple[Row, Fraction]]:
        """Coefficients of the changes of the unknowns in every entry of every equation, and the entry as it is."""
        found: list[tuple[Row, Fraction]] = []
        for number, equation in enumerate(self.equations):
            if number in without:
                continue
            scale = self.powers[number]
            if not any(self._mentions(key, chosen, scale) for key in equation.terms):
                continue
            rows, cols = (1, 1) if equation.shape is None else (model.size(size) for size in equation.shape)
            entries = [[dict[int, Fraction]() for _ in range(cols)] for _ in range(rows)]
            factor = model.monomial(tuple((name, -e) for name, e in scale.items() if name in chosen))
            for (mono, traces, word), value in equation.terms.items():
                self._add(entries, unknowns, model, value, (mono, traces, word), scale)
            constants = self.translation.algebra.evaluate(equation, model)
            for line, constant in zip(entries, constants, strict=True):
                found += [(row, factor * x) for row, x in zip(line, constant, strict=True) if row or x]
        return found

    def _mentions(self, key: Any, chosen: Sequence[str], scale: Mapping[str, int]) -> bool:
        mono, traces, word = key
        names = {name for name, _ in mono} | {unit(s) for cycle in (*traces, word or ()) for s in cycle}
        return not (names | scale.keys()).isdisjoint(chosen)

    def _add(
        self,
        entries: list[list[Row]],
        unknowns: Unknowns,
        model: Model,
        value: Fraction,
        key: tuple[Monomial, tuple[Word, ...], Word | None],
        scale: Mapping[str, int],
    ) -> None:
        """The coefficients of one term."""
        mono, traces, word = key
        algebra, places = self.translation.algebra, unknowns.places
        exponents = dict(mono)
        scalar: str | None = None
        for name in places:
            if name in algebra.parameters:
                exponent = exponents.pop(name, 0) - scale.get(name, 0)
                if exponent == 1:
                    scalar = name
        factor = value * model.monomial(tuple(exponents.items()))
        inside: Word | None = None
        for cycle in traces:
            if any(unit(symbol) in places for symbol in cycle):
                inside = cycle
            else:
                product = model.product(cycle, algebra)
                factor *= sum((product[i][i] for i in range(len(product))), Fraction(0))
        if not factor:
            return
        rows = len(entries)
        if word is not None and (at := next((i for i, s in enumerate(word) if unit(s) in places), None)) is not None:
            left = model.product(word[:at], algebra) if at else identity_matrix(rows)
            right = model.product(word[at + 1 :], algebra) if at + 1 < len(word) else None
            grid = self._grid(word[at], places)
            for i, line in enumerate(left):
                for k, x in enumerate(line):
                    if x:
                        for m, place in enumerate(grid[k]):
                            if place is None:
                                continue
                            if right is None:
                                _accumulate(entries[i][m], place, factor * x)
                                continue
                            for j, y in enumerate(right[m]):
                                if y:
                                    _accumulate(entries[i][j], place, factor * x * y)
            return
        whole = model.product(word, algebra) if word else identity_matrix(rows)
        linear: Row = {}
        if scalar is not None:
            linear[unknowns.places[scalar][0][0] or 0] = Fraction(1)
        elif inside is not None:
            at = next(i for i, symbol in enumerate(inside) if unit(symbol) in places)
            rest = inside[at + 1 :] + inside[:at]
            grid = self._grid(inside[at], places)
            around = model.product(rest, algebra) if rest else identity_matrix(len(grid))
            for k, line in enumerate(grid):
                for m, place in enumerate(line):
                    if place is not None and around[m][k]:
                        _accumulate(linear, place, around[m][k])
        for place, coefficient in linear.items():
            for i, line in enumerate(whole):
                for j, x in enumerate(line):
                    if x:
                        _accumulate(entries[i][j], place, factor * coefficient * x)

    def _grid(self, symbol: str, places: Mapping[str, list[list[int | None]]]) -> list[list[int | None]]:
        grid = places[unit(symbol)]
        return [list(line) for line in zip(*grid, strict=True)] if symbol.endswith("'") else grid


def unit(symbol: str) -> str:
    """The symbol of a setting that a letter of a word is made of."""
    name = symbol.removesuffix("'")
    return name[5:-1] if name.startswith("diag(") else name


def small(values: Values) -> bool:
    """Whether no value is too long."""

    def short(x: Any) -> bool:
        number = Fraction(x)
        return number.numerator.bit_length() + number.denominator.bit_length() <= BITS

    return all(
        all(short(x) for row in value for x in row) if isinstance(value, list) else short(value)
        for value in values.values()
    )


def _accumulate(row: Row, place: int, value: Fraction) -> None:
    row[place] = row.get(place, Fraction(0)) + value


def _reduced(rows: Sequence[tuple[Row, Fraction]], count: int) -> tuple[Any, list[int]]:
    """The reduced row echelon form, with the constants in the last column, and the pivots."""
    import flint

    matrix = flint.fmpq_mat(max(len(rows), 1), count + 1)
    for i, (row, constant) in enumerate(rows):
        for place, value in row.items():
            matrix[i, place] = flint.fmpq(value.numerator, value.denominator)
        matrix[i, count] = flint.fmpq(constant.numerator, constant.denominator)
    reduced, rank = matrix.rref()
    pivots: list[int] = []
    column = 0
    for row in range(rank):
        while reduced[row, column] == 0:
            column += 1
        pivots.append(column)
    return reduced, pivots


def null_space(rows: Sequence[tuple[Row, Fraction]], count: int) -> list[Row]:
    """A basis of the changes that change no equation."""
    if not count:
        return []
    reduced, pivots = _reduced([(row, Fraction(0)) for row, _ in rows], count)
    found: list[Row] = []
    for free in (place for place in range(count) if place not in pivots):
        vector = {free: Fraction(1)}
        for i, pivot in enumerate(pivots):
            if (value := reduced[i, free]) != 0:
                vector[pivot] = -Fraction(int(value.p), int(value.q))
        found.append(vector)
    return found


def particular(rows: Sequence[tuple[Row, Fraction]], count: int) -> Row | None:
    """A change after which all equations hold; ``None`` if there is none."""
    if not count:
        return None
    reduced, pivots = _reduced(rows, count)
    if count in pivots:
        return None
    values = ((pivot, reduced[i, count]) for i, pivot in enumerate(pivots))
    return {pivot: -Fraction(int(value.p), int(value.q)) for pivot, value in values if value != 0}
