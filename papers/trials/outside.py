"""The search for an example of all hypotheses of a claim but one in which the claim fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from ...theory.derivation import Setting
from ...theory.proof import checker
from ...theory.proof.certificate import Values, complete_model
from ...theory.proof.refuter import is_example, true_in
from ...theory.proof.translation import Translation
from ...theory.proof.walk import Walk, small, unit

SECONDS = 6.0  # of the processor, for one hypothesis
MOVES = 3  # of a walk


class Outside:
    """The search for an example of all hypotheses but one in which a claim fails.

    Three ways, by turns: a walk on the solutions of the other hypotheses, from examples of the setting, and of a wider
    one if the setting has it; a symbol of the hypothesis disturbed, and the others mended; two symbols disturbed.
    """

    def __init__(
        self,
        setting: Setting,
        kept: Setting,
        translation: Translation,
        hypotheses: Sequence[checker.Statement],
        goal: checker.Statement,
        index: int,
        seed: int,
    ) -> None:
        self.setting, self.kept, self.translation, self.goal = setting, kept, translation, goal
        self.dropped = hypotheses[index]
        self.others = [each for i, each in enumerate(hypotheses) if i != index]
        names = movable(translation, setting)
        touched = {name for poly in self.dropped.polynomials() for name in self.translation.algebra.names(poly)}
        self.touched = [name for name in names if {name, f"diag({name})"} & touched]
        self.walk = Walk(self.translation, equations(self.others), names)
        self.rng = random.Random(seed)
        self.end = time.process_time() + SECONDS
        self.valid = self.left = 0  # examples of the other hypotheses; those of them in which the dropped one fails

    def said(self) -> str:
        """What was found out."""
        if not self.valid:
            return "no example of the other hypotheses was found beside those of the setting"
        if not self.left:
            return f"it holds in all of {self.valid} examples of the others that were found beside those of the setting"
        return f"in {self.left} examples of the others it fails, and the claim holds in all of these"

    @property
    def late(self) -> bool:
        return time.process_time() > self.end

    def found(self) -> str | None:
        for ways in (self.wider, self.walks, self.disturbed, self.walks, self.pairs):
            for says, values, kept in ways():
                if (reason := self.judged(values)) is not None:
                    return f"{reason} where {says}"
                other = None if kept is None else self.mended(values, kept)
                if other is not None and (reason := self.judged(other)) is not None:
                    return f"{reason} where {says}, and {', '.join(changed(values, other))} so that the others hold"
                if self.late:
                    return None
        return None

    def wider(self) -> Iterator[tuple[str, Values, list[str] | None]]:
        for number, sample in enumerate(self.setting.wider):
            for _ in range(4 if number == 0 else 1):
                yield f"drawn from the wider setting {number + 1}", sample(self.rng), []

    def walks(self) -> Iterator[tuple[str, Values, list[str] | None]]:
        """Walks from examples."""
        end = time.process_time() + SECONDS / 4
        while time.process_time() < end:
            start = here = self.setting.sample(self.rng)
            for _ in range(2 * MOVES):
                for there in steps(self.translation, self.setting, self.walk, self.rng, here, self.touched):
                    before = self.valid
                    yield f"{', '.join(changed(start, there))} changed", there, None
                    if self.valid > before:
                        here = there
                        break

    def disturbed(self) -> Iterator[tuple[str, Values, list[str] | None]]:
        for _ in range(3):
            base = self.setting.sample(self.rng)
            keys = {_name(key): key for key in base}
            near = [keys[name] for name in self.touched]
            for says, values in _examples(base, near, [], self.rng):
                yield says, values, changed(base, values)

    def pairs(self) -> Iterator[tuple[str, Values, list[str] | None]]:
        base = self.setting.sample(self.rng)
        keys = {_name(key): key for key in base}
        near, second = ([keys[name] for name in names] for names in (self.touched, self.walk.movable))
        for says, values in _examples(base, near, second, self.rng):
            yield says, values, changed(base, values)

    def mended(self, values: Values, kept: list[str]) -> Values | None:
        """The example with other symbols so that the other hypotheses hold."""
        if not in_range(self.setting, values):
            return None
        model = complete_model(self.translation, values)
        try:
            found = None if model is None else self.walk.mended(self.rng, values, model, kept, self.touched)
        except checker.Rejected:
            return None
        return found if found is not None and small(found) and in_range(self.setting, found) else None

    def judged(self, values: Values) -> str | None:
        """What is wrong with the claim in the example, if that satisfies the other hypotheses."""
        if not in_range(self.setting, values):
            return None
        algebra = self.translation.algebra
        model = complete_model(self.translation, values)
        try:
            if model is None:
                return "an inverse in it does not exist" if self.undefined(values) else None
            if not is_example(self.translation, self.others, model):
                return None
            self.valid += 1
            if checker.holds(self.dropped, algebra, model):
                return None
            self.left += 1
            return None if true_in(self.goal, algebra, model) else "false"
        except checker.Rejected:
            return None

    def undefined(self, values: Values) -> bool:
        """Whether the example satisfies the other hypotheses (which mention fewer inverses)."""
        translation = Translation(self.kept.parameters, self.kept.symmetric, self.kept.definitions)
        others = [translation.statement(h.statement) for h in self.kept.hypotheses]
        model = complete_model(translation, values)
        return model is not None and is_example(translation, others, model)


def steps(
    translation: Translation, setting: Setting, walk: Walk, rng: random.Random, here: Values, first: Sequence[str] = ()
) -> Iterator[Values]:
    """Where one move may lead, in the ranges of the setting."""
    model = complete_model(translation, here)
    if model is None:
        return
    for there in walk.moves(rng, here, model, first):
        if small(there) and in_range(setting, there):
            yield there


def equations(statements: Iterable[checker.Statement]) -> list[checker.Polynomial]:
    """The equations among some statements."""
    found: list[checker.Polynomial] = []
    for statement in statements:
        if statement.kind == "zero":
            found.append(statement.target)
        elif statement.kind == "all":
            found += equations(statement.parts)
    return found


def movable(translation: Translation, setting: Setting) -> list[str]:
    """The names of the symbols of a setting that have values of their own, and are no sizes."""
    algebra = translation.algebra
    scalars = [symbol.name for symbol, bounds in setting.parameters.items() if not bounds.integer]
    letters = [
        unit(name) for name, each in algebra.letters.items() if algebra.definition(name) is None and not each.ones
    ]
    drawn = {_name(symbol) for symbol in setting.sample(random.Random(0))}
    return [name for name in dict.fromkeys((*scalars, *letters)) if name in drawn]


def in_range(setting: Setting, values: Values) -> bool:
    return all(Fraction(values[s]) in bounds for s, bounds in setting.parameters.items() if s in values)


def changed(old: Values, new: Values) -> list[str]:
    """The names of the symbols that have other values."""
    return [_name(key) for key in old if old[key] != new[key]]


def _name(symbol: Any) -> str:
    return str(getattr(symbol, "name", symbol))


def _examples(
    base: Mapping[Any, Any], near: list[Any], others: list[Any], rng: random.Random
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The example with one of the symbols disturbed; with ``others``, one of these as well, in few ways."""
    disturbed = {symbol: list(_disturbed(base[symbol], rng)) for symbol in (*near, *others)}
    if not others:
        for symbol in near:
            for says, value in disturbed[symbol]:
                yield f"{_name(symbol)} is {says}", {**base, symbol: value}
    for one, other in product(near, others):
        if one != other:
            for (says, value), (also, second) in product(disturbed[one][:FEW], disturbed[other][:FEW]):
                yield f"{_name(one)} is {says}, {_name(other)} {also}", {**base, one: value, other: second}


FEW = 7  # of the ways to disturb, where two symbols are disturbed together
Rows = list[list[Fraction]]


def _disturbed(value: Any, rng: random.Random) -> Iterator[tuple[str, Any]]:
    """A number or a matrix changed in ways that keep some of its properties and break others."""
    if not isinstance(value, list):
        yield "zero", Fraction(0)
        yield "one larger", Fraction(value) + 1
        yield "halved", Fraction(value) / 2
        return
    rows: Rows = [[Fraction(x) for x in row] for row in value]
    height, width = len(rows), len(rows[0])

    def merged(i: int, j: int) -> Fraction:
        return Fraction(0) if i == 0 and height > 1 else rows[i][j] + (rows[0][j] if i == 1 else 0)

    def merged_twice(i: int, j: int) -> Fraction:
        return Fraction(0) if j == 0 and width > 1 else merged(i, j) + (merged(i, 0) if j == 1 else 0)

    changes: list[tuple[str, Callable[[int, int], Fraction]]] = [
        ("doubled", lambda i, j: 2 * rows[i][j]),
        ("negated", lambda i, j: -rows[i][j]),
        ("zero", lambda i, j: Fraction(0)),
        ("halved", lambda i, j: rows[i][j] / 2),
        ("with all columns equal", lambda i, j: rows[i][0]),
        ("with its first row merged into the second", merged),
        ("with its first row and column merged into the second", merged_twice),
        ("negated in its first row", lambda i, j: -rows[i][j] if i == 0 else rows[i][j]),
        ("negated in its first column", lambda i, j: -rows[i][j] if j == 0 else rows[i][j]),
        # the first row added to itself and taken from the second: sums over columns stay
        ("sheared", lambda i, j: rows[i][j] + (rows[0][j] if i == 0 else -rows[0][j] if i == 1 else 0)),
        ("sheared from the right", lambda i, j: rows[i][j] + (rows[i][0] if j == 0 else -rows[i][0] if j == 1 else 0)),
        ("with its first two rows swapped", lambda i, j: rows[{0: 1, 1: 0}.get(i, i) % height][j]),
        ("with its first two columns swapped", lambda i, j: rows[i][{0: 1, 1: 0}.get(j, j) % width]),
        ("with its first column copied from the last", lambda i, j: rows[i][-1] if j == 0 else rows[i][j]),
    ]
    for says, entry in changes:
        yield says, [[entry(i, j) for j in range(width)] for i in range(height)]
    yield "random", [[Fraction(rng.randint(-3, 3)) for _ in range(width)] for _ in range(height)]
