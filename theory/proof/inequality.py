"""An inequality between polynomials under hypotheses: what refutes it, what proves it, and how z3 reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from .checker import (
    RULES,
    SCALAR_KINDS,
    Algebra,
    Commutative,
    Model,
    Monomial,
    Polynomial,
    Reader,
    Region,
    Rejected,
    Replay,
    Statement,
    commutative,
    holds,
)


def in_parameters(poly: Polynomial) -> bool:
    """Whether it is a scalar without traces."""
    return poly.shape is None and not any(traces for _, traces, _ in poly.terms)


def clear(terms: Sequence[float], margin: float) -> float:
    """The sum, if it is no small difference of large terms."""
    total = sum(terms)
    if not abs(total) > margin * sum(map(abs, terms)):
        raise ArithmeticError("too close to zero")
    return total


Point = Mapping[str, Fraction]
Data = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A scalar goal, what is known (hypotheses and earlier steps), and how to complete a point to an exact model."""

    algebra: Algebra
    goal: Statement
    known: Mapping[str, Statement] = field(default_factory=dict[str, Statement])
    hypotheses: Mapping[str, Statement] = field(default_factory=dict[str, Statement])
    complete: Callable[[Point], Model | None] | None = None
    squares: tuple[Polynomial, ...] = ()  # candidates to be squared

    @cached_property
    def terms(self) -> Commutative:
        return commutative(self.goal.target)

    @cached_property
    def floats(self) -> list[tuple[Monomial, float]]:
        """The goal in floating point."""
        return [(mono, float(x)) for mono, x in self.terms.items()]

    @property
    def strict(self) -> bool:
        return self.goal.kind == "positive"

    @cached_property
    def names(self) -> set[str]:
        """What the goal, or what is known of scalars, depends on."""
        return self.algebra.names(self.goal.target, *(statement.target for statement in self.scalars.values()))

    @cached_property
    def parameters(self) -> list[str]:
        return sorted(self.names & self.algebra.parameters.keys())

    @cached_property
    def scalars(self) -> dict[str, Statement]:
        """What is known of scalars in parameters."""
        return {
            name: statement
            for name, statement in self.known.items()
            if statement.kind in ("zero", *SCALAR_KINDS) and in_parameters(statement.target)
        }

    # ---- what counts
    def clearly_holds(self, point: Point) -> bool:
        """In floating point, by more than rounding can change; what is not clear is looked at exactly."""
        at = self._rounded(point)
        try:
            return clear([x * at(mono) for mono, x in self.floats], 1e-6) > 0
        except (ArithmeticError, TypeError, Rejected):  # TypeError: complex numbers
            return False

    def clearly_excluded(self, point: Point) -> bool:
        """In floating point, by more than rounding can change, whether a hypothesis, or what follows, fails there."""
        at = self._rounded(point)
        for kind, terms in self.floating_premises:
            try:
                value = clear([x * at(mono) for mono, x in terms], 1e-6)
                if value < 0 or kind == "zero":
                    return True
            except (ArithmeticError, TypeError, Rejected):
                continue
        return False

    @cached_property
    def floating_premises(self) -> list[tuple[str, list[tuple[Monomial, float]]]]:
        """What is assumed or known of scalars in parameters, by kinds, in floating point."""
        return [
            (statement.kind, [(mono, float(x)) for mono, x in commutative(statement.target).items()])
            for statement in {**self.hypotheses, **self.known}.values()
            if statement.kind in ("zero", *SCALAR_KINDS) and in_parameters(statement.target)
        ]

    def _rounded(self, point: Point) -> Callable[[Monomial], float]:
        """Monomials at a point in floating point."""
        values = {name: float(x) for name, x in point.items()}

        def value(name: str) -> float:
            if name not in values:
                poly = self.algebra.definition(name)
                if poly is None:
                    raise Rejected(f"the point gives no value to {name}")
                inner = clear([float(x) * at(mono) for mono, x in commutative(poly).items()], 1e-3)
                power = self.algebra.powers.get(name)
                exponent = -1.0 if power is None else sum(float(x) * at(mono) for mono, x in power[1])
                values[name] = inner**exponent
            return values[name]

        def at(mono: Monomial) -> float:
            found = 1.0
            for name, e in mono:
                found *= (values[name] if name in values else value(name)) ** e
            return found

        return at

    def fails_at(self, point: Point) -> Model | None:
        """The exact model of the parameters at a point of the ranges where the goal is false, whatever is known."""
        if self.clearly_holds(point):
            return None
        try:
            if not all(name in point and point[name] in self.algebra.parameters[name] for name in self.parameters):
                return None
            model = self.model(point)
            return None if model is None or holds(self.goal, self.algebra, model) else model
        except (Rejected, ArithmeticError):
            return None

    def refuted_at(self, point: Point) -> Model | None:
        """The exact model at a point, if all hypotheses hold in it and the goal does not."""
        return self.refuted_by(point, self.fails_at(point))

    def refuted_by(self, point: Point, model: Model | None) -> Model | None:
        """The same, where what :meth:`fails_at` says of the point is known."""
        if model is None or self.clearly_excluded(point):
            return None
        try:
            if not all(holds(s, self.algebra, model) for s in self.hypotheses.values() if self._decided(s, model)):
                return None
            if self.complete is not None:
                model = self.complete(point)
                if model is None:
                    return None
                model.check_shapes(self.algebra)
            true = all(holds(statement, self.algebra, model) for statement in self.hypotheses.values())
            return model if true and not holds(self.goal, self.algebra, model) else None
        except (Rejected, ArithmeticError):
            return None

    def model(self, point: Point) -> Model | None:
        """The parameters that the goal depends on, with reciprocals and powers."""
        model = Model(dict(point), {})
        pending = [n for n in (*self.algebra.reciprocals, *self.algebra.powers) if n in self.names]
        while pending:
            later: list[str] = []
            for name in pending:
                inner = self.algebra.definition(name)
                if inner is None or not self._evaluable(inner, model):
                    later.append(name)
                    continue
                value = self.algebra.evaluate(inner, model)[0][0]
                if name in self.algebra.powers:
                    model.parameters[name] = model.power(value, self.algebra.powers[name][1])
                elif not value:
                    return None
                else:
                    model.parameters[name] = 1 / value
            if later == pending:
                break
            pending = later
        return model

    def _decided(self, statement: Statement, model: Model) -> bool:
        """Whether the model gives a value to all that the statement speaks of; no more is needed to deny it."""
        return statement.kind in ("zero", *SCALAR_KINDS) and self._evaluable(statement.target, model)

    @staticmethod
    def _evaluable(poly: Polynomial, model: Model) -> bool:
        return in_parameters(poly) and all(name in model.parameters for mono, _, _ in poly.terms for name, _ in mono)

    def accepted(self, data: Data) -> bool:
        """Whether the checker's rule accepts the data."""
        replay = Replay(self.algebra, {}, dict(self.known))
        try:
            RULES["poly"](replay, self.goal, Reader(self.algebra), data)
        except Rejected:
            return False
        return True

    def bounds(self) -> list[str]:
        """Premises that narrow the range of one parameter."""
        found: list[str] = []
        for name, statement in self.scalars.items():
            if statement.kind in SCALAR_KINDS:
                try:
                    self.region().within(name)
                except Rejected:
                    continue
                found.append(name)
        return found

    def region(self, bounds: Iterable[str] = ()) -> Region:
        region = Region(Replay(self.algebra, {}, dict(self.known)), {})
        for name in bounds:
            region = region.within(name)
        return region


# ------------------------------------------------------------------------------------------------------- SMT-LIB


def labels(problem: Problem) -> dict[str, str]:
    """Names of the scalars in the SMT-LIB text."""
    return {name: f"v{i}" for i, name in enumerate(sorted(problem.names - problem.algebra.letters.keys()))}


Query = Literal["reals", "integers", "small exponents"]


def smtlib(problem: Problem, over: Query = "reals") -> str:
    """The negated goal with ranges and hypotheses, as SMT-LIB text; powers are known by their ranges and small values.

    Over the reals, every parameter is real: no model of that means none at all, but a model may not count.
    """
    integers = over != "reals"
    algebra, names = problem.algebra, labels(problem)
    lines: list[str] = []
    sort = {
        n: "Int" if integers and n in algebra.parameters and algebra.parameters[n].integer else "Real" for n in names
    }

    def number(value: Fraction) -> str:
        size = f"(/ {abs(value.numerator)}.0 {value.denominator}.0)"
        return size if value >= 0 else f"(- {size})"

    def polynomial(poly: Polynomial) -> str:
        return _sum([_product([number(x), *factors(mono)]) for mono, x in commutative(poly).items()])

    def factors(mono: Monomial) -> Iterator[str]:
        for name, exponent in mono:
            real = f"(to_real {names[name]})" if sort[name] == "Int" else names[name]
            yield from [real if exponent > 0 else f"i{names[name]}"] * abs(exponent)

    polys = [problem.goal.target, *(s.target for s in problem.scalars.values())]
    divided = {n for poly, _ in algebra.unfolded(*polys) for mono, _, _ in poly.terms for n, e in mono if e < 0}
    for name, label in names.items():
        lines.append(f"; {label} is {name}")
        lines.append(f"(declare-const {label} {sort[name]})")
        bounds = algebra.range_of(name)
        if bounds.low is not None:
            value = next(factors(((name, 1),)))
            lines.append(f"(assert ({'>' if bounds.open else '>='} {value} {number(bounds.low)}))")
        if name in divided:
            value = next(factors(((name, 1),)))
            lines.append(f"(declare-const i{label} Real)")
            lines.append(f"(assert (=> (not (= {value} 0.0)) (= (* {value} i{label}) 1.0)))")
    for name in sorted(names.keys() & algebra.reciprocals.keys()):
        if not in_parameters(algebra.reciprocals[name]):
            continue
        inner = polynomial(algebra.reciprocals[name])
        lines.append(f"(assert (=> (not (= {inner} 0.0)) (= (* {names[name]} {inner}) 1.0)))")
    for name in sorted(names.keys() & algebra.powers.keys()):
        base, exponent = algebra.powers[name]
        at, value = polynomial(algebra.scalar(dict(exponent))), polynomial(base)
        for count in range(4):
            power = _product([*["1.0"] * (not count), *[value] * count])
            lines.append(f"(assert (=> (= {at} {count}.0) (= {names[name]} {power})))")
        if over == "small exponents":
            lines.append(f"(assert (<= {at} 3.0))")
    signs = {"zero": "=", "positive": ">", "nonnegative": ">="}
    for name, statement in problem.scalars.items():
        lines.append(f"; {' '.join(name.split())}")
        lines.append(f"(assert ({signs[statement.kind]} {polynomial(statement.target)} 0.0))")
    lines.append(f"; not {problem.goal.kind}")
    lines.append(f"(assert (not ({signs[problem.goal.kind]} {polynomial(problem.goal.target)} 0.0)))")
    return "\n".join(lines) + "\n"


def _sum(parts: Sequence[str]) -> str:
    return f"(+ {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "0.0"


def _product(parts: Sequence[str]) -> str:
    return f"(* {' '.join(parts)})" if len(parts) > 1 else parts[0]
