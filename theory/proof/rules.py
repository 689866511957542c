"""Named inference rules: each turns a step into certificate data; the checker decides whether the rule applies.

The mathematical statement of every rule stands in its docstring; the checker's function of the same name verifies it,
side conditions included. A rule that cannot find what it needs raises :class:`StepFailed`, which proves nothing; a
step that is false in an exact example raises :class:`Refutation` with that example.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from . import box, star
from . import statement as st
from .certificate import (
    Example,
    Values,
    complete_model,
    dimension_json,
    model_json,
    monomial_json,
    plain,
    polynomial_json,
    statement_json,
)
from .checker import Model, Polynomial, Statement, render
from .refuter import fails_in
from .translation import Translation

DRAWS = 4  # exact examples in which a goal is evaluated before it is proved
MOST_DRAWS = 20  # in search of one in which every inverse exists


class StepFailed(Exception):
    """No certificate was found for a step; the message says what remained."""


class Refutation(Exception):
    """The step is false; ``witness`` is an exact example of the setting in which it fails."""

    def __init__(self, message: str, witness: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.witness = witness


@dataclass
class Drawn:
    """One exact example of a setting; what is known of it is kept while the letters keep their meaning."""

    values: Values
    model: Example | None = None
    meanings: dict[str, Any] = field(default_factory=dict[str, Any])

    def completed(self, translation: Translation) -> Example | None:
        """The example with values for the letters met so far; ``None`` where an inverse in it does not exist."""
        algebra = translation.algebra
        now: dict[str, Any] = {**algebra.letters, **algebra.reciprocals, **algebra.powers}
        if any(now.get(name) is not meaning for name, meaning in self.meanings.items()):
            self.model = None  # letters met while :meth:`Translation.passing` are forgotten
        if self.model is None or len(now) > len(self.meanings):
            model = complete_model(translation, self.values, self.model)
            if model is None:
                return None
            self.model, self.meanings = model, now
        return self.model


@dataclass
class Proving:
    """What a rule may use: the translation, the statements established so far, and exact examples of the setting."""

    translation: Translation
    sample: Callable[[random.Random], Values]
    seed: int = 0
    established: dict[str, Statement] = field(default_factory=dict[str, Statement])
    entries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # the steps of the certificate
    hypotheses: list[Statement] = field(default_factory=list[Statement])
    completions: star.Completions | None = None  # kept from one search of star to the next, where there are many
    source: random.Random | None = None  # of the exact examples
    drawn: list[Drawn] = field(default_factory=list[Drawn])

    def assume(self, name: str, statement: Statement) -> None:
        """Take a hypothesis as established."""
        self.hypotheses.append(statement)
        self.established[name] = statement

    def establish(self, name: str, rule: str, statement: Statement, data: dict[str, Any]) -> None:
        """Append a step to the certificate."""
        self.entries.append({"name": name, "rule": rule, "statement": statement_json(statement), "data": data})
        self.established[name] = statement

    def take(self, name: str, says: st.Statement, by: Justification) -> None:
        """One step: what it says, translated, certified by its rule, and established.

        Raises:
            Refutation, StepFailed, checker.Rejected: if it is false, not proved, or too large.
        """
        by.prepare(self.translation, says)
        statement = self.translation.statement(says)
        self.use_inverses()
        self.establish(name, by.rule_for(statement), statement, by.certify(self, statement))

    def use_inverses(self) -> None:
        """R A = I and A R = I (a reciprocal: r s = 1) for every inverse in use that is known to exist."""
        algebra = self.translation.algebra
        for name in (*algebra.letters, *algebra.reciprocals):
            inner = algebra.definition(name)
            if name in algebra.letters and algebra.letters[name].inverse_of is None:
                continue
            if inner is None or f"{name}: left inverse" in self.established:
                continue
            if inner.shape is None:
                unit, symbol = algebra.scalar({(): Fraction(1)}), algebra.scalar({((name, 1),): Fraction(1)})
                known = next((k for k, s in self.established.items() if s == Statement("positive", inner)), None)
                if known is None and algebra.sign(inner) != "positive":
                    continue
            else:
                unit, symbol = algebra.identity(inner.shape[0]), algebra.symbol(name)
                existing = (Statement("pd", inner), Statement("invertible", inner))
                known = next((k for k, s in self.established.items() if s in existing), None)
                if known is None:
                    continue
            data = {"letter": name} if known is None else {"letter": name, "because": known}
            for side, product in (("left", algebra.times(symbol, inner)), ("right", algebra.times(inner, symbol))):
                relation = Statement("zero", algebra.minus(product, unit))
                if side == "left" or relation not in self.established.values():
                    self.establish(f"{name}: {side} inverse", "inverse", relation, data)

    def scalar(self, expr: Any) -> dict[str, Any]:
        return polynomial_json(self.translation.scalar(expr))

    def matrix(self, expr: MatrixExpr) -> dict[str, Any]:
        return polynomial_json(self.translation.matrix(expr))

    def inverse_relations(self, *statements: Statement) -> list[str]:
        """The relations of the inverses that occur in some statements themselves."""
        symbols: set[str] = set()
        for poly in (poly for statement in statements for poly in statement.polynomials()):
            for mono, traces, word in poly.terms:
                symbols.update(name for name, _ in mono)
                symbols.update(symbol.removesuffix("'") for cycle in (*traces, word or ()) for symbol in cycle)
        sides = (f"{name}: {side} inverse" for name in sorted(symbols) for side in ("left", "right"))
        return [name for name in sides if name in self.established]

    def example(self, number: int) -> Drawn:
        """The exact example of the setting with this number; they are drawn one after the other."""
        while len(self.drawn) <= number:
            self.source = self.source or random.Random(self.seed)
            self.drawn.append(Drawn(self.sample(self.source)))
        return self.drawn[number]

    def model(self) -> Model | None:
        """An exact example of the setting in which every inverse in use exists."""
        models = (self.example(number).completed(self.translation) for number in range(MOST_DRAWS))
        return next((model for model in models if model is not None), None)

    def completed(self, point: Mapping[str, Fraction]) -> Model | None:
        """An exact model with these parameters; the rest is that of an example of the setting.

        ``None`` where one of them is a size of matrices, which the example has for another number.
        """
        drawn = self.example(0).values
        named = {getattr(symbol, "name", str(symbol)): value for symbol, value in drawn.items()}
        changed = {name for name, value in point.items() if named.get(name, value) != value}
        letters = self.translation.algebra.letters
        sizes = (size for name in named.keys() & letters.keys() for size in (letters[name].rows, letters[name].cols))
        if any(name in changed for size in sizes for monomial, _ in size for name, _ in monomial):
            return None
        return complete_model(self.translation, {**drawn, **{sp.Symbol(name): x for name, x in point.items()}})

    def refute(self, goal: Statement) -> None:
        """Raise :class:`Refutation` if the goal fails in one of a few exact examples."""
        for number in range(DRAWS):
            model = self.example(number).completed(self.translation)
            if model is not None and fails_in(goal, self.translation, model, self.hypotheses):
                raise Refutation("false in an exact example", model_json(model))


@dataclass(frozen=True)
class Justification:
    """By which rule a step follows. Final subclasses below."""

    rule: ClassVar[str] = ""

    def prepare(self, translation: Translation, says: st.Statement) -> None:
        """Declare what the statement of the step needs before it is translated."""

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        """The data from which the checker replays the rule."""
        raise NotImplementedError

    def rule_for(self, goal: Statement) -> str:
        """The checker's name of the rule."""
        return self.rule


@dataclass(frozen=True)
class Star(Justification):
    """``p = 0`` because ``p`` is a combination, with two-sided cofactors, of hypotheses and earlier equations.

    ``using`` names them (what makes an inverse in them an inverse need not be named); left out, all hypotheses and all
    earlier equations may be used.
    """

    rule: ClassVar[str] = "star"
    using: tuple[str, ...] | None = None
    limits: star.Limits = field(default_factory=star.Limits)

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        if goal.kind != "zero":
            raise StepFailed("star proves equations only")
        proving.refute(goal)
        names: Any = proving.established
        if self.using is not None:
            unknown = [name for name in self.using if name not in proving.established]
            if unknown:
                raise StepFailed(f"nothing earlier is called {unknown[0]!r}")
            names = [*self.using, *proving.inverse_relations(goal, *(proving.established[n] for n in self.using))]
        relations = {n: proving.established[n].target for n in names if proving.established[n].kind == "zero"}
        found = star.prove_zero(proving.translation.algebra, goal.target, relations, self.limits, proving.completions)
        if found.cofactors is None:
            raise StepFailed(f"no cofactors found within the limits; left over: {render(found.remainder)[:300]}")
        return {"cofactors": [cofactor_json(c, value) for c, value in found.cofactors.items()]}


def require_zero(proving: Proving, poly: Polynomial, name: str) -> str | None:
    """The step that proves poly = 0, made here if need be; ``None`` if it holds term by term."""
    goal = Statement("zero", poly)
    if not poly.terms:
        return None
    known = next((key for key, statement in proving.established.items() if statement == goal), None)
    if known is None:
        proving.establish(name, Star.rule, goal, Star().certify(proving, goal))
    return known or name


def cofactor_json(context: star.Context, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"of": context.relation, "c": str(value)}
    if context.transposed:
        data["t"] = True
    if context.mono:
        data["m"] = monomial_json(context.mono)
    if context.traces:
        data["traces"] = [list(cycle) for cycle in context.traces]
    data |= {key: list(word) for key, word in (("left", context.left), ("right", context.right)) if word}
    if context.traced and context.outer is not None:
        data["word"] = list(context.outer)
    return data


@dataclass(frozen=True)
class Let(Justification):
    """Z = p by definition: a fresh symbol abbreviates an expression. The step says ``Equal(Z, p)``."""

    rule: ClassVar[str] = "let"

    def prepare(self, translation: Translation, says: st.Statement) -> None:
        if not (
            isinstance(says, st.Equal) and isinstance(says.left, sp.MatrixSymbol) and isinstance(says.right, MatrixExpr)
        ):
            raise StepFailed("an abbreviation is an equation of matrices with a fresh symbol on the left")
        translation.abbreviate(says.left, says.right)

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        algebra = proving.translation.algebra
        for name, letter in algebra.letters.items():
            if letter.equals is not None and goal.poly == algebra.minus(algebra.symbol(name), letter.equals):
                return {"letter": name}
        raise StepFailed("not the definition of a symbol")


@dataclass(frozen=True)
class Square:
    """``weight * tr(factor metric factor^T)``; ``metric`` names an established positive (semi-)definite matrix."""

    weight: Any
    factor: MatrixExpr
    metric: str | None = None

    def json(self, proving: Proving) -> dict[str, Any]:
        data = {"weight": proving.scalar(self.weight), "factor": proving.matrix(self.factor)}
        return data | ({"metric": self.metric} if self.metric else {})


def _squares(proving: Proving, squares: tuple[Square, ...]) -> list[dict[str, Any]]:
    return [square.json(proving) for square in squares]


@dataclass(frozen=True)
class Gram(Justification):
    """A sum of ``c X A X^T`` with ``c >= 0`` and ``A`` psd or the identity is psd; its trace is nonnegative."""

    rule: ClassVar[str] = "gram"
    squares: tuple[Square, ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {"squares": _squares(proving, self.squares)}


@dataclass(frozen=True)
class Rewrite(Justification):
    """A property of A (psd, pd, invertible, positive, nonnegative) carries over to B when A = B."""

    rule: ClassVar[str] = "rewrite"
    source: str
    equal: str

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {"from": self.source, "equal": self.equal}


@dataclass(frozen=True)
class Shift(Justification):
    """G psd, s >= 0, and s > 0 or G invertible: G + s I is positive definite, hence invertible.

    ``because`` names the hypothesis that s > 0 or G is invertible; it is not needed where the ranges make s positive.
    """

    rule: ClassVar[str] = "shift"
    base: str
    shift: Any
    because: str | None = None

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        data: dict[str, Any] = {"base": self.base, "shift": proving.scalar(self.shift)}
        return data | ({"because": self.because} if self.because else {})


@dataclass(frozen=True)
class NormZero(Justification):
    """A vanishing sum of ``c_i ||X_i||_F^2`` with ``c_i > 0`` has every ``X_i = 0``."""

    rule: ClassVar[str] = "norm-zero"
    norm: str
    squares: tuple[Square, ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {"norm": self.norm, "squares": _squares(proving, self.squares)}


@dataclass(frozen=True)
class CompletedSquare(Justification):
    """f(X) = v + sum c_i tr(S_i A_i S_i^T) with c_i >= 0, A_i psd, S_i = 0 at X*: the minimum of f is v, at X*.

    ``identity`` names the step that proves the equation.
    """

    rule: ClassVar[str] = "minimum"
    identity: str
    squares: tuple[Square, ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        algebra = proving.translation.algebra
        point = dict(zip(goal.over, goal.at, strict=True))
        for i, square in enumerate(self.squares, 1):
            factor = algebra.substitute(proving.translation.matrix(square.factor), point)
            require_zero(proving, factor, f"square {i} vanishes at the minimiser")
        return {"identity": self.identity, "squares": _squares(proving, self.squares)}


@dataclass(frozen=True)
class Reparametrise(Justification):
    """f = g o phi and phi o psi = id: f and g have the same infimum, each over its own variables.

    ``forward`` gives phi (one expression for each variable of g), ``backward`` psi (one for each variable of f).
    """

    rule: ClassVar[str] = "reparametrise"
    forward: tuple[tuple[sp.MatrixSymbol, MatrixExpr], ...]
    backward: tuple[tuple[sp.MatrixSymbol, MatrixExpr], ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        algebra = proving.translation.algebra
        phi = {symbol.name: proving.translation.matrix(value) for symbol, value in self.forward}
        psi = {symbol.name: proving.translation.matrix(value) for symbol, value in self.backward}
        proving.use_inverses()
        if goal.other is None or phi.keys() != set(goal.other_over) or psi.keys() != set(goal.over):
            raise StepFailed("the maps do not go between the variables of the two objectives")
        pulled = algebra.minus(goal.target, algebra.substitute(goal.other, phi))
        back = {name: algebra.minus(algebra.substitute(phi[name], psi), algebra.symbol(name)) for name in phi}
        return {
            "forward": {name: polynomial_json(poly) for name, poly in phi.items()},
            "backward": {name: polynomial_json(poly) for name, poly in psi.items()},
            "identity": require_zero(proving, pulled, "change of variables"),
            "inverse": {
                name: step
                for name, poly in back.items()
                if (step := require_zero(proving, poly, f"change of {name} and back")) is not None
            },
        }


@dataclass(frozen=True)
class Substitute(Justification):
    """What holds for every value of free matrix symbols holds at the given values."""

    rule: ClassVar[str] = "substitute"
    source: str
    values: tuple[tuple[sp.MatrixSymbol, MatrixExpr], ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {"from": self.source, "values": {symbol.name: proving.matrix(value) for symbol, value in self.values}}


@dataclass(frozen=True)
class Conjunction(Justification):
    """Every part is established."""

    rule: ClassVar[str] = "all"
    parts: tuple[str, ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {"parts": list(self.parts)}


@dataclass(frozen=True)
class Field(Justification):
    """A scalar identity whose cleared numerator is the zero polynomial in x, x^M, log, exp, ..."""

    rule: ClassVar[str] = "field"

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        from . import field

        if goal.calculus is None:
            raise StepFailed("field proves scalar identities only")
        remainder = field.numerator(goal.calculus)
        if remainder != "0":
            raise StepFailed(f"the cleared numerator is not zero: {remainder[:300]}")
        return {}


@dataclass(frozen=True)
class Monotone(Justification):
    """f' = P/Q with P and Q positive on the variable's range: f increases strictly there."""

    rule: ClassVar[str] = "monotone"

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Dominance(Justification):
    """w^a (log w)^b tends to 0 as w tends to infinity if a < 0, or a = 0 and b < 0; so does a sum of such."""

    rule: ClassVar[str] = "dominance"

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class ByFirstIntegral(Justification):
    """A first integral Phi of dw/dt = rate(w): closed form, growth, equalisation or decay, as the step says.

    The checker's rules of these names verify Phi' rate = 1, the signs and the dominated terms themselves.
    """

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        return {}

    def rule_for(self, goal: Statement) -> str:
        return goal.kind


# ------------------------------------------------------------------------------------------- inequalities on boxes


@dataclass(frozen=True)
class Box(Justification):
    """``left > right`` on boxes: cut until interval arithmetic shows it on every part, those at infinity included.

    Powers of what is unbounded are divided out. ``factor``, positive on the domain, is divided out instead if given: of
    an inequality that becomes an equality at an end of the domain, the factor that vanishes there.
    """

    rule: ClassVar[str] = "box"
    factor: sp.Expr | None = None
    limits: box.Limits = field(default_factory=box.Limits)

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        inequality, algebra = goal.inequality, proving.translation.algebra
        if inequality is None:
            raise StepFailed("box proves statements that one expression exceeds another")
        factor = None if self.factor is None else proving.translation.elementary(self.factor)
        found = box.prove(inequality, algebra, factor, self.limits)
        if found.witness is not None:
            refute_at(proving, found.witness, found.value)
        if found.stuck:
            raise StepFailed(found.stuck)
        return {
            "forms": [{"factor": plain(form.factor), "remainder": plain(form.remainder)} for form in found.forms],
            "boxes": list(found.trees),
        }


def refute_at(proving: Proving, point: Mapping[str, Fraction], value: str) -> None:
    """The left side does not exceed the right one at a point that only a hypothesis could exclude."""
    where = ", ".join(f"{name} = {number}" for name, number in point.items())
    known = [poly for statement in proving.established.values() for poly in statement.polynomials()]
    if proving.translation.algebra.names(*known) & point.keys():
        raise StepFailed(f"fails at {where}, unless a hypothesis excludes it")
    parameters = {name: str(number) for name, number in point.items()}
    raise Refutation(f"fails at {where}: {value}", {"parameters": parameters, "letters": {}})


@dataclass(frozen=True)
class MeanValue(Justification):
    """f > 0 for x > a since f(a) = 0 and df/dx > 0; for x >= a since moreover f(a) > 0. f is left minus right.

    ``slope`` names the step that says df/dx > 0, ``start`` the one that says f(a) > 0; without ``start`` f(a) must
    vanish identically. a is the lower end of the range of ``variable``.
    """

    rule: ClassVar[str] = "mean-value"
    variable: sp.Symbol
    slope: str
    start: str | None = None

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        if goal.inequality is None:
            raise StepFailed("a mean value shows that one expression exceeds another")
        data = {"variable": self.variable.name, "slope": self.slope}
        return data | ({"start": self.start} if self.start else {})


# ---- inequalities between polynomials


class Attested(StepFailed):
    """No certificate, but z3 finds no counterexample: ``smtlib`` is the text that it decided."""

    def __init__(self, message: str, smtlib: str) -> None:
        super().__init__(message)
        self.smtlib = smtlib


@dataclass(frozen=True)
class Poly(Justification):
    """``p > 0`` or ``p >= 0`` for a polynomial in parameters, by coefficients, Sturm's theorem, or sums of products.

    ``using`` names the hypotheses and earlier steps that may be used; left out, all of them. ``squares`` are candidates
    for polynomials that occur squared. See :mod:`tightframe.theory.proof.poly`.

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.derivation import Derivation, Setting, Step
        >>> from tightframe.theory.proof.statement import Nonnegative
        >>> from tightframe.theory.symbols import reals
        >>> x, y = sp.symbols("x y", positive=True)
        >>> where = Setting({x: reals(0, open=True), y: reals(0, open=True)}, (), lambda rng: {x: 1, y: 2})
        >>> step = Step("means", Nonnegative(x / y + y / x - 2), "(x - y)^2 / (x y)", Poly())
        >>> Derivation("two means", where, (step,)).prove().report.rules
        ('poly',)
        >>> step = Step("means", Nonnegative(x / y + y / x - 3), "a slip of the pen", Poly())
        >>> Derivation("two means", where, (step,)).prove().witness["parameters"]
        {'x': '1', 'y': '1'}
    """

    rule: ClassVar[str] = "poly"
    using: tuple[str, ...] | None = None
    squares: tuple[Any, ...] = ()
    seconds: float = 20.0

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        from . import poly

        names: Any = proving.established
        if self.using is not None:
            unknown = [name for name in self.using if name not in proving.established]
            if unknown:
                raise StepFailed(f"nothing earlier is called {unknown[0]!r}")
            names = [*self.using, *proving.inverse_relations(goal, *(proving.established[n] for n in self.using))]
        steps = {entry["name"] for entry in proving.entries}
        problem = poly.Problem(
            proving.translation.algebra,
            goal,
            known={name: proving.established[name] for name in names},
            hypotheses={name: s for name, s in proving.established.items() if name not in steps},
            complete=proving.completed,
            squares=tuple(proving.translation.scalar(square) for square in self.squares),
        )
        found = poly.decide(problem, poly.Limits(seconds=self.seconds))
        if found.witness is not None:
            raise Refutation(found.reason, model_json(found.witness))
        if found.smtlib is not None:
            raise Attested(f"attested: {found.reason}", found.smtlib)
        if found.data is None:
            raise StepFailed(found.reason)
        return found.data


@dataclass(frozen=True)
class WeightedMeans(Justification):
    """Weighted arithmetic and geometric means: natural p_i with sum P and a_i >= 0, 0^0 = 1, give

    ``prod(p_i**p_i) * sum(a_i)**P - P**P * prod(a_i**p_i) >= 0``. ``means`` lists the pairs (p_i, a_i).

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.derivation import Derivation, Setting, Step
        >>> from tightframe.theory.proof.statement import Nonnegative
        >>> from tightframe.theory.symbols import integers, reals
        >>> x, M = sp.Symbol("x", positive=True), sp.Symbol("M", integer=True, positive=True)
        >>> where = Setting({x: reals(0, open=True), M: integers(1)}, (), lambda rng: {x: 1, M: 2})
        >>> says = Nonnegative((M - 1) ** (M - 1) * (1 + x) ** M - M**M * x ** (M - 1))
        >>> step = Step("means", says, "x/(M-1), M - 1 times, and 1, once", WeightedMeans(((M - 1, x), (1, 1))))
        >>> Derivation("means", where, (step,)).prove().report.rules
        ('means',)
    """

    rule: ClassVar[str] = "means"
    means: tuple[tuple[Any, Any], ...]

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        weights = [dimension_json(proving.translation.dimension(sp.sympify(p, strict=True))) for p, _ in self.means]
        values = [proving.scalar(a) for _, a in self.means]
        return {"means": [{"weight": p, "value": a} for p, a in zip(weights, values, strict=True)]}


@dataclass(frozen=True)
class Root(Justification):
    """``larger**n > smaller**n`` with ``larger >= 0`` and an integer n >= 1: ``larger > smaller``.

    The same for >=, and for = if moreover ``smaller >= 0``. ``source`` names the step about the powers.

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.derivation import Derivation, Hypothesis, Setting, Step
        >>> from tightframe.theory.proof.statement import Positive
        >>> from tightframe.theory.symbols import integers, reals
        >>> x, M = sp.Symbol("x", positive=True), sp.Symbol("M", integer=True, positive=True)
        >>> given = Hypothesis("power", Positive(x**M - 2**M), "")
        >>> where = Setting({x: reals(0, open=True), M: integers(1)}, (given,), lambda rng: {x: 3, M: 2})
        >>> step = Step("root", Positive(x - 2), "M-th roots", Root("power", x, sp.Integer(2), M))
        >>> Derivation("root", where, (step,)).prove().report.rules
        ('root',)
    """

    rule: ClassVar[str] = "root"
    source: str
    larger: Any
    smaller: Any
    exponent: Any

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        exponent = dimension_json(proving.translation.dimension(sp.sympify(self.exponent, strict=True)))
        sides = {"larger": proving.scalar(self.larger), "smaller": proving.scalar(self.smaller)}
        return {"from": self.source, "exponent": exponent, **sides}


@dataclass(frozen=True)
class Induction(Justification):
    """p(a) >= 0 and p(n+1) - q p(n) >= 0 with q >= 0: p(n) >= 0 for every integer n >= a, the lower end of its range.

    The same for = (with any q) and for > (with q > 0). ``start`` and ``step`` name the steps that say so; where the
    ranges alone show it, none is needed. No hypothesis may speak of n.

    Examples:
        >>> import sympy as sp
        >>> from tightframe.theory.derivation import Derivation, Setting, Step
        >>> from tightframe.theory.proof.statement import Nonnegative
        >>> from tightframe.theory.symbols import integers, reals
        >>> x, n = sp.Symbol("x", positive=True), sp.Symbol("n", integer=True, positive=True)
        >>> where = Setting({x: reals(0, open=True), n: integers(1)}, (), lambda rng: {x: 1, n: 2})
        >>> step = Step("bernoulli", Nonnegative((1 + x) ** n - 1 - n * x), "n x^2 is left", Induction(n, 1 + x))
        >>> Derivation("Bernoulli", where, (step,)).prove().report.rules
        ('induction',)
    """

    rule: ClassVar[str] = "induction"
    parameter: sp.Symbol
    factor: Any = 1
    start: str | None = None
    step: str | None = None

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        proving.refute(goal)
        data = {"parameter": self.parameter.name, "factor": proving.scalar(self.factor)}
        return data | {key: name for key, name in (("start", self.start), ("step", self.step)) if name}


@dataclass(frozen=True)
class Differentiate(Justification):
    """The derivative of f at X in an arbitrary direction D is tr(G^T D): G is the gradient."""

    rule: ClassVar[str] = "gradient"

    def certify(self, proving: Proving, goal: Statement) -> dict[str, Any]:
        algebra = proving.translation.algebra
        if goal.kind != "gradient":
            raise StepFailed("not a statement about a gradient")
        (name,), (gradient,) = goal.over, goal.at
        proving.refute(goal)
        direction = proving.translation.direction(name)
        product = algebra.trace(algebra.times(algebra.transpose(gradient), algebra.symbol(direction)))
        difference = algebra.minus(algebra.differential(goal.target, name, direction), product)
        step = require_zero(proving, difference, f"derivative in {name}")
        return {"direction": direction, "identity": step}
