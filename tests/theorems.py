"""A theorem with what makes it fail: one derivation, its negative controls, and how to try them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import sympy as sp
from tightframe.theory.derivation import Derivation, Failure, Hypothesis, Proof, Setting, Step
from tightframe.theory.proof import checker, star
from tightframe.theory.proof.rules import Justification, Star
from tightframe.theory.proof.statement import Statement
from tightframe.theory.symbols import integers

QUICK = star.Limits(seconds=0.4, slack=1)  # for what must not be found

n, m = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "m"))
SIZES = {n: integers(1), m: integers(1)}


@dataclass(frozen=True)
class Theorem:
    """A statement that one rule proves from hypotheses, and changed statements that it must not prove."""

    statement: Statement
    hypotheses: Mapping[str, Statement] = field(default_factory=dict[str, Statement])
    sample: Callable[[random.Random], Mapping[Any, Any]] = lambda rng: {n: 2, m: 3}
    by: Justification = field(default_factory=Star)
    before: tuple[Step, ...] = ()
    parameters: Mapping[sp.Symbol, checker.Range] = field(default_factory=lambda: SIZES)
    symmetric: tuple[sp.MatrixSymbol, ...] = ()
    false: Mapping[str, Statement] = field(default_factory=dict[str, Statement])  # changed statements

    def prove(self) -> Proof | Failure:
        setting = Setting(
            self.parameters,
            tuple(Hypothesis(name, statement, name) for name, statement in self.hypotheses.items()),
            self.sample,
            self.symmetric,
        )
        steps = (*self.before, Step("goal", self.statement, "because", self.by))
        return Derivation("theorem", setting, steps).prove()

    def controls(self) -> Mapping[str, Theorem]:
        """The theorem with one hypothesis dropped, and with each changed statement."""
        by = replace(self.by, limits=QUICK) if isinstance(self.by, Star) else self.by
        dropped = {
            f"without {name}": replace(
                self, by=by, hypotheses={other: s for other, s in self.hypotheses.items() if other != name}
            )
            for name in self.hypotheses
        }
        return dropped | {name: replace(self, by=by, statement=statement) for name, statement in self.false.items()}


def rows(rng: random.Random, height: int, width: int) -> list[list[Fraction]]:
    return [[Fraction(rng.randint(-3, 3)) for _ in range(width)] for _ in range(height)]


def draws(*symbols: sp.MatrixSymbol, **sizes: int) -> Callable[[random.Random], Mapping[Any, Any]]:
    """Random values of matrix symbols; those that must be symmetric are called S or P."""
    numbers = {n: sizes.get("n", 2), m: sizes.get("m", 3)}

    def sample(rng: random.Random) -> Mapping[Any, Any]:
        values: dict[Any, Any] = dict(numbers)
        for symbol in symbols:
            height, width = (int(sp.sympify(side).subs(numbers)) for side in symbol.shape)
            value = rows(rng, height, width)
            if symbol.name in "SP":
                value = [[value[min(i, j)][max(i, j)] for j in range(width)] for i in range(height)]
            values[symbol] = value
        return values

    return sample


def assert_proved(theorem: Theorem) -> Proof:
    proof = theorem.prove()
    assert isinstance(proof, Proof), proof
    assert checker.check(checker.loads(json.dumps(proof.certificate))) == proof.report
    return proof


def assert_controls_fail(theorem: Theorem) -> None:
    controls = theorem.controls()
    assert controls, "a theorem without negative controls"
    for name, control in controls.items():
        assert isinstance(control.prove(), Failure), name
