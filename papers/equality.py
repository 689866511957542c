"""Whether a statement that was read is a part of a claim: equal in the normal form of the provers, or what differs.

Equal means that both are the same polynomial (in words of matrices and traces, or in exponentials, logarithms and
powers), up to a scalar factor that the ranges of the parameters show to be nonzero, or positive where it has to be.
Hypotheses are not used: modulo them every true equation would equal every other one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..theory.printing import latex
from ..theory.proof import statement as st
from ..theory.proof.checker import (
    Algebra,
    Commutative,
    Elementary,
    Key,
    Monomial,
    Polynomial,
    Range,
    Rejected,
    monomial,
)
from ..theory.proof.translation import Translation, Untranslatable
from .latex_reader import Asymptotic, Relation
from .substitution import substituted
from .symbol_table import Subject

DERIVATIVE = "derivative "  # no symbol of a claim begins so
MAX_TERMS = 20_000  # of an expression multiplied out, as in the checker
TIME = sp.Symbol("t", positive=True)
FAR, OTHER = 10_000, 300  # weights: of what is no statement of the claim, and from where on kinds differ
Quotient = tuple[Any, Any]  # numerator and denominator, polynomials of FLINT
Entries = dict[Any, Quotient]  # by place: which expression, which word


class Incomparable(Exception):
    """The two have no common normal form, so that nothing can be said."""


@dataclass(frozen=True)
class Difference:
    """How a statement differs from a part of the claim; ``weight`` is small for a small difference."""

    text: str
    weight: int = 1


class Comparison:
    """Compares statements that were read with the parts of one claim."""

    def __init__(self, about: Subject) -> None:
        self.about = about
        self.parts = about.parts
        self._terms: dict[Any, int] = {}

    def find(self, says: Any, taken: Collection[int] = ()) -> tuple[int | None, str]:
        """The number of a part that the statement equals, else how it differs from the nearest one.

        Parts may be equal up to rearrangement: those that are not ``taken`` come first.

        Raises:
            Incomparable: if it equals none, and cannot be compared with one that is of its form.
        """
        if self.folded is not None:  # equal letter by letter, then abbreviations need not be written out
            other, names = self.folded
            with suppress(Incomparable):
                number, _ = other.find(_replaced(says, names), taken)
                if number is not None:
                    return number, ""
        numbered = sorted(enumerate(self.parts, 1), key=lambda item: item[0] in taken)
        nearest = Difference("the claim has no such statement", FAR)
        close, unknown = 0, None
        for number, part in numbered:
            try:
                found = self.difference(part, says)
            except Incomparable as error:
                unknown = unknown or error
                continue
            if found is None:
                return number, ""
            if found.weight < nearest.weight:
                nearest, close = found, number
        if unknown is not None and nearest.weight >= OTHER:
            raise unknown
        return None, self.in_abbreviations(close, says, nearest)

    def in_abbreviations(self, number: int, says: Any, found: Difference) -> str:
        """The difference from a part with abbreviations left as they are, if it can be seen there."""
        folded = self.folded
        if folded is None or not number or found.weight >= OTHER:
            return found.text
        other, names = folded
        try:
            again = other.difference(other.parts[number - 1], _replaced(says, names))
        except Incomparable:
            again = None
        shown = (again or found).text
        for letter, name in names.items():
            shown = re.sub(rf"\b{re.escape(name.name)}\b", lambda _: latex(letter), shown)  # noqa: B023
        return shown

    @cached_property
    def folded(self) -> tuple[Comparison, dict[Any, Any]] | None:
        """The same with letters in place of abbreviations, for saying what differs."""
        about = self.about
        if not about.definitions:
            return None
        names: dict[Any, Any] = {}
        for i, letter in enumerate(about.definitions):
            name = f"abbreviation{i}"
            matrix = isinstance(letter, MatrixExpr)
            names[letter] = sp.MatrixSymbol(name, *letter.shape) if matrix else sp.Symbol(name, real=True)
        scalars = {symbol: Range(None) for symbol in names.values() if isinstance(symbol, sp.Symbol)}
        statement = substituted(about.statement, names)
        return Comparison(Subject(statement, {**about.parameters, **scalars}, about.symmetric, {})), names

    def difference(self, part: st.Statement, says: Any) -> Difference | None:
        """``None`` if the statement is proved equal to the part."""
        try:
            return self._difference(part, says)
        except (Untranslatable, Rejected) as error:
            raise Incomparable(str(error)) from error

    def _difference(self, part: st.Statement, says: Any) -> Difference | None:
        match part, says:
            case ((st.Equal() | st.Identity()), Relation()):
                return self.equation(part, says)
            case ((st.Positive() | st.Nonnegative() | st.Exceeds()), Relation()):
                return self.inequality(part, says)
            case ((st.PositiveSemidefinite() | st.PositiveDefinite()), Relation()):
                wanted = "psd" if isinstance(part, st.PositiveSemidefinite) else "pd"
                if says.operator != wanted or not isinstance(says.left, MatrixExpr):
                    return Difference("another relation", 500)
                return self.scaled([part.matrix], [says.left - says.right], exact=True)
            case st.Invertible(matrix), st.Invertible(read):
                return self.scaled([matrix], [read])
            case st.Minimum(), st.Minimum():
                return self.minimum(part, says)
            case st.EqualInfima(), st.EqualInfima():
                return self.infima(part, says)
            case st.GradientIs(), st.GradientIs():
                if part.variable != says.variable:
                    return Difference(f"the gradient in {says.variable}, not in {part.variable}", 50)
                return self.scaled([part.objective, part.gradient], [says.objective, says.gradient])
            case st.Increasing(), st.Increasing():
                return self.scalars([part.expression], [says.expression], part.variable, says.variable)
            case st.Vanishing(), st.Vanishing():
                return self.scalars([part.expression], [says.expression], part.variable, says.variable)
            case st.FirstIntegral(), st.FirstIntegral() if type(part) is st.FirstIntegral:
                ours, theirs = ([x.rate, x.integral] for x in (part, says))
                return self.scalars(ours, theirs, part.variable, says.variable)
            case st.Growth(), Asymptotic() if type(part) in (st.Growth, st.Decay):
                return self.asymptotic(part, says)
            case _:
                if type(part) in (st.Equalisation, st.EqualShares):
                    raise Incomparable(f"a claim of the kind {type(part).__name__} is not read")
                return Difference("a statement of another kind", 1_000)

    # ---- kinds of statements
    def equation(self, part: st.Equal | st.Identity, says: Relation) -> Difference | None:
        if says.operator != "=":
            return Difference(f"the relation is {says.operator}, not =", 20)
        if says.boxes:
            return Difference("a condition that the claim does not have", 20)
        matrices = isinstance(part.left, MatrixExpr)
        if matrices != isinstance(says.left, MatrixExpr):
            return Difference("numbers in place of matrices" if matrices else "matrices in place of numbers", 500)
        if matrices and self._shape(part.left) not in (self._shape(says.left), self._shape(says.left)[::-1]):
            return Difference("matrices of other sizes", 400)
        ours, theirs = [part.left, part.right], [says.left, says.right]
        forms = self.forms(ours + theirs, elementary=isinstance(part, st.Identity))
        if forms is None:
            return Difference("the derivative of something else", 30)
        return forms.equation(says)

    def _shape(self, matrix: MatrixExpr) -> tuple[Any, Any]:
        return tuple(sp.expand(size) for size in matrix.shape)

    def inequality(self, part: Any, says: Relation) -> Difference | None:
        if says.operator not in (">", ">=") or isinstance(says.left, MatrixExpr):
            return Difference(f"the relation is {says.operator}", 300)
        exceeds = isinstance(part, st.Exceeds)
        ours = part.left - part.right if exceeds else part.scalar
        zero = 0 in says.sides() and (not exceeds or 0 in (part.left, part.right))  # a factor would not be seen
        found = self.scaled([ours], [says.left - says.right], positive=True, exact=zero, elementary=exceeds)
        if found is not None:
            return found
        wanted = ">=" if isinstance(part, st.Nonnegative) else ">"
        if says.operator != wanted:
            return Difference(f"the relation is {says.operator}, not {wanted}", 1)
        known = {frozenset(box) for box in part.domain} if exceeds else {frozenset[st.Between]()}
        if not exceeds and not says.boxes:
            return None
        if {frozenset(box) for box in says.boxes or ((),)} != known:
            if not says.boxes:
                shown = " or ".join(", ".join(side.latex() for side in box) for box in part.domain)
                return Difference(f"the condition is missing: {shown}", 1)
            return Difference("the condition is another one", 1)
        return None

    def minimum(self, part: st.Minimum, says: st.Minimum) -> Difference | None:
        if set(part.over) != set(says.over):
            return Difference("the minimum is taken over other variables", 50)
        found = self.scaled([part.objective, part.value], [says.objective, says.value], positive=True)
        if found is not None:
            return found
        if not says.at:
            return Difference("where the minimum is attained is missing", 3)
        places = [says.at[says.over.index(symbol)] for symbol in part.over]
        for symbol, ours, theirs in zip(part.over, part.at, places, strict=True):
            found = self.scaled([ours], [theirs], exact=True)
            if found is not None:
                return Difference(f"at {symbol}: {found.text}", found.weight)
        if part.unique != says.unique:
            return Difference(f"the claim says {'exactly at' if part.unique else 'at'}", 3)
        return None

    def infima(self, part: st.EqualInfima, says: st.EqualInfima) -> Difference | None:
        sides = [(says.left, says.left_over), (says.right, says.right_over)]
        found: Difference | None = None
        for (left, left_over), (right, right_over) in (sides, sides[::-1]):
            if set(left_over) != set(part.left_over) or set(right_over) != set(part.right_over):
                found = found or Difference("the infimum is taken over other variables", 50)
                continue
            found = self.scaled([part.left, part.right], [left, right], positive=True)
            if found is None:
                return None
        return found

    def asymptotic(self, part: st.Growth, says: Asymptotic) -> Difference | None:
        if says.variable != part.variable:
            return Difference("another variable", 50)
        ours: list[Any] = [part.coefficient * part.variable**part.exponent, TIME]
        theirs: list[Any] = [says.left, says.right]
        if isinstance(part, st.Decay):
            scale, total = theirs[0].as_independent(sp.Sum)
            if not isinstance(total, sp.Sum) or sp.expand(total.limits[0][2] - part.count) != 0:
                return Difference("another sum", 50)
            theirs[0] = scale * total.function
            power = sp.Rational(part.power, part.exponent)
            ours = [part.quantity, part.limit * part.count * (part.coefficient / TIME) ** power]
        found = self.scaled(ours, theirs, positive=True, elementary=True)
        return found or self.scaled([part.rate], [says.rate], exact=True, elementary=True)

    def scalars(
        self, ours: Sequence[Any], theirs: Sequence[Any], variable: sp.Symbol, other: sp.Symbol
    ) -> Difference | None:
        """Scalar expressions, each equal to the other."""
        if variable != other:
            return Difference(f"in {other}, not in {variable}", 50)
        for mine, their in zip(ours, theirs, strict=True):
            found = self.scaled([mine], [their], exact=True, elementary=True)
            if found is not None:
                return found
        return None

    def scaled(
        self,
        ours: Sequence[Any],
        theirs: Sequence[Any],
        positive: bool = False,
        exact: bool = False,
        elementary: bool = False,
    ) -> Difference | None:
        """Lists of expressions, the second a multiple of the first; the multiple 1 if ``exact``."""
        for mine, their in zip(ours, theirs, strict=True):
            if isinstance(mine, MatrixExpr) != isinstance(their, MatrixExpr):
                return Difference("a number and a matrix", 500)
            if isinstance(mine, MatrixExpr) and self._shape(mine) != self._shape(their):
                return Difference("matrices of other sizes", 400)
        forms = self.forms([*ours, *theirs], elementary)
        if forms is None:
            return Difference("the derivative of something else", 30)
        half = len(ours)
        left, right = forms.joined(range(half)), forms.joined(range(half, 2 * half))
        factor = forms.factor(left, right)
        if factor is None:
            return forms.described(left, right)
        if forms.is_one(factor) or (not exact and forms.allowed(left, right, factor, positive)):
            return None
        return forms.multiple(left, right, factor)

    # ---- normal forms
    def translation(self, more: Mapping[sp.Symbol, Range] | None = None) -> Translation:
        about = self.about
        known = {symbol.name for symbol in about.parameters}
        moving = any(isinstance(part, st.Growth) for part in self.parts) and "t" not in known
        time = {TIME: Range(Fraction(0), open=True)} if moving else {}
        return Translation({**about.parameters, **time, **(more or {})}, about.symmetric, about.definitions)

    def terms(self, expression: Any) -> int:
        """About how many terms the expression has when it is multiplied out, abbreviations written out."""
        if expression not in self._terms:
            self._terms[expression] = 1  # of what leads back to itself; the translation refuses it
            self._terms[expression] = min(self._count(expression), 10 * MAX_TERMS)
        return self._terms[expression]

    def _count(self, expression: Any) -> int:
        if expression in self.about.definitions:
            return self.terms(self.about.definitions[expression])
        parts = [self.terms(part) for part in expression.args]
        if isinstance(expression, sp.Add | sp.MatAdd):
            return sum(parts)
        if isinstance(expression, sp.Pow | sp.MatPow) and isinstance(expression.args[1], sp.Integer):
            exponent = int(expression.args[1])
            return min(parts[0], 10 * MAX_TERMS) ** min(abs(exponent), 64)
        return math.prod(parts)

    def forms(self, expressions: Sequence[Any], elementary: bool) -> Forms | None:
        """The normal forms in one algebra; ``None`` if the second half has other derivatives than the first."""
        for expression in expressions:
            if self.terms(expression) > MAX_TERMS:
                raise Incomparable(f"more than {MAX_TERMS} terms when it is multiplied out")
        translation = self.translation()
        if not elementary and not any(isinstance(x, MatrixExpr) for x in expressions):
            elementary = any(x.has(sp.exp, sp.log, sp.Derivative) for x in expressions)
        if not elementary:
            polys = [translation.matrix(x) if isinstance(x, MatrixExpr) else translation.scalar(x) for x in expressions]
            return Words(translation.algebra, polys, expressions)
        inner = Elementary()
        named = opaque(expressions, translation, inner)
        if named is None:
            return None
        derivatives = {s: Range(None) for x in named for s in x.atoms(sp.Symbol) if s.name.startswith(DERIVATIVE)}
        translation = self.translation(derivatives)
        trees = [inner.named(translation.elementary(x)) for x in named]
        return Functions(translation.algebra, inner, [inner.quotient(tree) for tree in trees], expressions)


def _replaced(says: Any, names: Mapping[Any, Any]) -> Any:
    """A statement that was read, with other letters."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(of(part) for part in value)
        return value.xreplace(dict(names)) if isinstance(value, sp.Basic) else value

    return replace(says, **{item.name: of(getattr(says, item.name)) for item in fields(says)})


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
            terms = {
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
    def equation(self, says: Relation) -> Difference | None:
        """Sides 0 and 1 of the claim against sides 2 and 3, up to a factor that is not zero."""
        left, right, their_left, their_right = self.entries
        ours, theirs = self.minus(left, right), self.minus(their_left, their_right)
        if not ours:
            return self._identity(theirs, says)
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

    def _identity(self, theirs: Entries, says: Relation) -> Difference | None:
        """The claim equates two forms of one expression: both sides have to be that, and not in one form."""
        left, right, their_left, their_right = self.entries
        if theirs:
            return self._sides() or self.described({}, theirs)
        if says.left == says.right:
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
