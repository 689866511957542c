"""Domains: every parameter of a claim with its range, and conditions between them.

One object gives the hypotheses of the proof (the ranges that the checker uses), the sampler of ``verify`` and the
hypothesis strategy of the property tests, so the three cannot drift apart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..theory.proof.checker import Range

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Parameter:
    """A scalar parameter: its symbol, its range, what it means, and up to which value examples are drawn."""

    symbol: sp.Symbol
    range: Range
    says: str
    sampled_to: int = 6

    @property
    def lowest(self) -> float:
        if self.range.low is None:
            raise ValueError(f"the parameter {self.symbol} has no lower end; examples need one")
        return float(self.range.low)

    def latex(self) -> str:
        """The range as LaTeX."""
        name, kind = sp.latex(self.symbol), r"\mathbb{Z}" if self.range.integer else r"\mathbb{R}"
        if self.range.low is None:
            return rf"{name} \in {kind}"
        return rf"{name} {'>' if self.range.open else chr(92) + 'ge'} {self.range.low},\; {name} \in {kind}"

    def expected(self) -> str:
        """The range in words."""
        kind = "an integer" if self.range.integer else "a finite number"
        if self.range.low is None:
            return kind
        return f"{kind} {'>' if self.range.open else '>='} {self.range.low}"

    def contains(self, value: float) -> bool:
        """Whether a float lies in the range (NaN and infinities do not)."""
        return math.isfinite(value) and Fraction(value) in self.range

    def draw(self, rng: random.Random) -> float | int:
        """An example: small integers; reals over four decades, the closed lower end included."""
        if self.range.low is None:
            size = rng.randint(0, self.sampled_to) if self.range.integer else 10 ** rng.uniform(-3.0, 1.0)
            return rng.choice((-1, 1)) * size
        if self.range.integer:
            return rng.randint(round(self.lowest), max(self.sampled_to, round(self.lowest)))
        if not self.range.open and rng.random() < 0.2:
            return self.lowest
        return self.lowest + 10 ** rng.uniform(-3.0, 1.0)

    def strategy(self) -> SearchStrategy[Any]:
        """The same examples as a hypothesis strategy that shrinks towards the lower end."""
        from hypothesis import strategies as st

        if self.range.low is None:
            sizes = st.integers(0, self.sampled_to) if self.range.integer else st.floats(-3.0, 1.0).map(lambda e: 10**e)
            return st.tuples(st.sampled_from((1, -1)), sizes).map(lambda pair: pair[0] * pair[1])
        if self.range.integer:
            low = round(self.lowest)
            return st.integers(low, max(self.sampled_to, low))
        decades = st.floats(-3.0, 1.0).map(lambda e: self.lowest + 10**e)
        return decades if self.range.open else st.just(self.lowest) | decades


@dataclass(frozen=True)
class Domain:
    """Parameters, and conditions between them as sympy booleans (``p >= C - 1``).

    Examples:
        >>> from tightframe.theory.symbols import C, p, integers
        >>> domain = Domain((Parameter(C, integers(2), "classes"), Parameter(p, integers(1), "dim")), (p >= C - 1,))
        >>> domain.contains({"C": 4, "p": 2})
        False
    """

    parameters: tuple[Parameter, ...]
    conditions: tuple[Any, ...] = ()

    @property
    def ranges(self) -> Mapping[sp.Symbol, Range]:
        """What the proof assumes of the parameters."""
        return {parameter.symbol: parameter.range for parameter in self.parameters}

    def contains(self, values: Mapping[str, float]) -> bool:
        inside = all(parameter.contains(values[parameter.symbol.name]) for parameter in self.parameters)
        return inside and self._conditions_hold(values)

    def _conditions_hold(self, values: Mapping[str, float]) -> bool:
        point = {parameter.symbol: values[parameter.symbol.name] for parameter in self.parameters}
        return all(bool(condition.subs(point)) for condition in self.conditions)

    def require(self, values: Mapping[str, float]) -> None:
        """Raise ``ValueError``, in one line that says what was expected, unless the values lie in the domain."""
        names = [parameter.symbol.name for parameter in self.parameters]
        for name in values:
            if name not in names:
                raise ValueError(f"unknown parameter {name!r}; known: {', '.join(names)}")
        for parameter in self.parameters:
            name = parameter.symbol.name
            if name not in values:
                raise ValueError(f"no value for {name} ({parameter.says}); expected {parameter.expected()}")
            if not parameter.contains(values[name]):
                raise ValueError(f"{name} ({parameter.says}): expected {parameter.expected()}, got {values[name]}")
        point = {parameter.symbol: values[parameter.symbol.name] for parameter in self.parameters}
        for condition in self.conditions:
            if not bool(condition.subs(point)):
                raise ValueError(f"the claim needs {condition}, which fails at {dict(values)}")

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """One example that satisfies the conditions; raises ``ValueError`` if 1000 draws find none."""
        for _ in range(1000):
            values = {parameter.symbol.name: parameter.draw(rng) for parameter in self.parameters}
            if self._conditions_hold(values):
                return values
        raise ValueError("no example of the domain found in 1000 draws")

    def strategy(self) -> SearchStrategy[dict[str, Any]]:
        """A hypothesis strategy of examples (a dictionary from names to values)."""
        from hypothesis import strategies as st

        fields = {parameter.symbol.name: parameter.strategy() for parameter in self.parameters}
        return st.fixed_dictionaries(fields).filter(self._conditions_hold)

    def latex(self) -> str:
        parts = [parameter.latex() for parameter in self.parameters]
        return r",\quad ".join([*parts, *(sp.latex(condition) for condition in self.conditions)])

    def json(self) -> dict[str, Any]:
        """The domain as data: parameters with ranges and meaning, conditions as text."""
        return {
            "parameters": [
                {
                    "name": parameter.symbol.name,
                    "says": parameter.says,
                    "low": None if parameter.range.low is None else str(parameter.range.low),
                    "open": parameter.range.open,
                    "integer": parameter.range.integer,
                }
                for parameter in self.parameters
            ],
            "conditions": [str(condition) for condition in self.conditions],
        }
