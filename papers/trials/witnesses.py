"""Exact examples in which a changed statement fails: of its setting, near these, and such as a walk leads to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

from ...theory.derivation import Setting
from ...theory.proof import box, checker
from ...theory.proof.certificate import Example, Values, complete_model
from ...theory.proof.refuter import Examples, fails_in
from ...theory.proof.translation import Translation
from ...theory.proof.walk import Walk
from . import outside
from .outside import MOVES, equations, movable, steps

# Exact examples in which a mutant is evaluated; of scalars, which are cheap and differ less from their mutants, more.
DRAWS, SCALAR_DRAWS = 12, 60
POINTS = 100  # at which an inequality in scalars is evaluated
FAR = [Fraction(x) for x in ("1/10000", "1/100", "1/2", "1", "2", "5", "30", "1000")]
FACTORS = [Fraction(x) for x in ("999/1000", "1001/1000", "1/2", "2", "1/50", "50")]  # by which scalars are changed
STEPS = (1, -1, 2, 5)  # by which integers are
PAIRED = 3  # examples in which two scalars are changed at once
WALKS = 12  # for further examples


class Witnesses:
    """The examples of a setting, drawn once, for all changed statements."""

    def __init__(
        self, setting: Setting, translation: Translation, hypotheses: Sequence[checker.Statement], seed: int
    ) -> None:
        self.setting, self.translation, self.hypotheses, self.seed = setting, translation, hypotheses, seed
        self.examples = Examples.of(translation, hypotheses, self.values())

    def against(self, parts: Sequence[checker.Statement]) -> str | None:
        """Where one of the statements is false, or has no meaning because an inverse in it does not exist."""
        for examples in (lambda: self.examples, lambda: self.further):
            for part in parts:
                if (found := examples().refuting(part)) is not None:
                    sizes = {s.name: found[1].parameters[s.name] for s in self.setting.parameters}
                    return f"{found[0]} where {shown(sizes)}"
        for seek in (self.fails_nearby, self.fails_somewhere):
            if (where := next(filter(None, map(seek, parts)), None)) is not None:
                return where
        return None

    def confirmed(self, witness: Mapping[str, Any], parts: Sequence[checker.Statement]) -> bool:
        """Whether a prover's counterexample is one."""
        parameters = {name: Fraction(value) for name, value in witness["parameters"].items()}
        letters = {name: [[Fraction(x) for x in row] for row in value] for name, value in witness["letters"].items()}
        model = checker.Model(parameters, letters)
        return any(fails_in(part, self.translation, model, self.hypotheses) for part in parts)

    def values(self) -> Iterator[Values]:
        """Samples of the setting; of scalars also some in which a symbol without hypotheses is near another."""
        rng = random.Random(self.seed)
        scalar = not self.translation.algebra.letters
        drawn = [self.setting.sample(rng) for _ in range(SCALAR_DRAWS if scalar else DRAWS)]
        yield from drawn
        if scalar:
            yield from self.near(drawn[:: len(drawn) // DRAWS])

    def near(self, drawn: Sequence[Values]) -> Iterator[Values]:
        """Examples in which a symbol without hypotheses is near another, very small, or very large."""
        bound = self.translation.algebra.names(*(p for h in self.hypotheses for p in h.polynomials()))
        real = [symbol for symbol, bounds in self.setting.parameters.items() if not bounds.integer]
        free = [symbol for symbol in real if symbol.name not in bound]
        for values in drawn:
            for symbol in free:
                near = [Fraction(values[other]) for other in real if other != symbol and other in values]
                for value in (Fraction(1, 100), *near, *(2 * x for x in near), Fraction(100)):
                    yield {**values, symbol: value}

    def fails_nearby(self, part: checker.Statement) -> str | None:
        """Where a polynomial statement in scalars fails, in an example with one or two of its scalars changed.

        The statement is looked at first, then the hypotheses: few changes make it false.
        """
        algebra = self.translation.algebra
        names = algebra.names(*part.polynomials())
        if part.kind not in ("positive", "nonnegative", "zero") or names & algebra.letters.keys():
            return None
        names = sorted(names & algebra.parameters.keys())
        symbols = {symbol.name: symbol for symbol in self.setting.parameters}
        for number, (values, base) in enumerate(self.examples.drawn[:DRAWS]):
            here = {name: base.parameters[name] for name in algebra.parameters if name in base.parameters}
            for changed in self.changes(names, here, 2 if number < PAIRED else 1):
                quick = complete_model(self.translation, values, Example({**here, **changed}, base.letters))
                if quick is None or not fails_in(part, self.translation, quick):
                    continue
                moved = {**values, **{symbols[name]: value for name, value in changed.items()}}
                model = complete_model(self.translation, moved)
                if model is not None and fails_in(part, self.translation, model, self.hypotheses):
                    return f"false where {shown({name: model.parameters[name] for name in names})}"
        return None

    def changes(self, names: Sequence[str], at: Mapping[str, Fraction], most: int) -> Iterator[dict[str, Fraction]]:
        """Other values, in their ranges, of one scalar, up to as many as ``most``."""
        ranges = self.translation.algebra.parameters
        single: dict[str, list[Fraction]] = {}
        for name in names:
            moved = [at[name] + step for step in STEPS] if ranges[name].integer else [at[name] * x for x in FACTORS]
            single[name] = [value for value in moved if value in ranges[name]]
        for count in range(1, most + 1):
            for chosen in combinations(names, count):
                for found in product(*(single[name] for name in chosen)):
                    yield dict(zip(chosen, found, strict=True))

    def fails_somewhere(self, part: checker.Statement) -> str | None:
        """Where an inequality without hypotheses fails: at small and large values in the ranges of its parameters."""
        algebra = self.translation.algebra
        if part.inequality is None:
            return None
        names = sorted(checker.names_in(part.inequality.tree) & algebra.parameters.keys())
        if algebra.names(*(p for h in self.hypotheses for p in h.polynomials())) & set(names):
            return None
        rng = random.Random(self.seed)
        if not self.examples.drawn:
            return None
        for _ in range(POINTS):
            point = dict(self.examples.drawn[0][1].parameters)
            for name in names:
                bounds = algebra.parameters[name]
                far = rng.choice(FAR)
                value = Fraction(-(-far // 1)) if bounds.integer else far
                point[name] = (bounds.low or Fraction(0)) + value - (1 if bounds.integer else 0)
            if box.fails_in(part.inequality, algebra, point):
                return f"false where {shown({name: point[name] for name in names})}"
        return None

    @cached_property
    def further(self) -> Examples:
        """More examples, for what is true in the first ones: others of the sampler, and such as a walk leads to."""
        return Examples.of(self.translation, self.hypotheses, self.beyond())

    def beyond(self) -> Iterator[Values]:
        rng = random.Random(self.seed + 1)
        if not self.translation.algebra.letters:
            return
        drawn = [self.setting.sample(rng) for _ in range(2 * DRAWS)]
        yield from drawn
        yield from self.near(drawn[:DRAWS])
        walk = Walk(self.translation, equations(self.hypotheses), movable(self.translation, self.setting))
        end = time.process_time() + outside.SECONDS
        for _ in range(WALKS):
            here = self.setting.sample(rng)
            yield here
            for _ in range(MOVES):
                if time.process_time() > end:
                    return
                there = next(steps(self.translation, self.setting, walk, rng, here), None)
                if there is not None:
                    here = there
                    yield here


def shown(parameters: Mapping[str, Any]) -> str:
    """The values of parameters, as they are printed."""
    return ", ".join(f"{name} = {value}" for name, value in parameters.items())
