"""Whether a statement that was read is a part of a claim: equal in the normal form of the provers, or what differs.

Equal means that both are the same polynomial (in words of matrices and traces, or in exponentials, logarithms and
powers), up to a scalar factor that the ranges of the parameters show to be nonzero, or positive where it has to be.
Hypotheses are not used: modulo them every true equation would equal every other one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ...theory.printing import latex
from ...theory.proof import statement as st
from ...theory.proof.checker import Elementary, Range, Rejected
from ...theory.proof.translation import Translation, Untranslatable
from ..writing.substitution import substituted
from .latex_reader import Asymptotic, Relation
from .normal_forms import DERIVATIVE, Difference, Forms, Functions, Incomparable, Words, opaque
from .symbol_table import Subject

MAX_TERMS = 20_000  # of an expression multiplied out, as in the checker
TIME = sp.Symbol("t", positive=True)
FAR, OTHER = 10_000, 300  # weights: of what is no statement of the claim, and from where on kinds differ


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
        part = replace(part, left=_number(part.left), right=_number(part.right))
        says = replace(says, left=_number(says.left), right=_number(says.right))
        matrices = isinstance(part.left, MatrixExpr)
        if matrices != isinstance(says.left, MatrixExpr):
            return Difference("numbers in place of matrices" if matrices else "matrices in place of numbers", 500)
        if matrices and self._shape(part.left) not in (self._shape(says.left), self._shape(says.left)[::-1]):
            return Difference("matrices of other sizes", 400)
        ours, theirs = [part.left, part.right], [says.left, says.right]
        forms = self.forms(ours + theirs, elementary=isinstance(part, st.Identity))
        if forms is None:
            return Difference("the derivative of something else", 30)
        return forms.equation(says, trivial=part.left == part.right)

    def _shape(self, matrix: Any) -> tuple[Any, Any]:
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


def _number(value: Any) -> Any:
    """A matrix with one entry as a number."""
    return sp.Trace(value) if isinstance(value, MatrixExpr) and value.shape == (1, 1) else value


def _replaced(says: Any, names: Mapping[Any, Any]) -> Any:
    """A statement that was read, with other letters."""

    def of(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(of(part) for part in value)
        return value.xreplace(dict(names)) if isinstance(value, sp.Basic) else value

    return replace(says, **{item.name: of(getattr(says, item.name)) for item in fields(says)})
