"""Stating claims of one's own: symbols with shapes and ranges, hypotheses, the statement, the steps.

A claims file holds one :class:`Draft` under the name ``PAPER``. It remembers the ranges and shapes of the symbols that
it declares, so that each claim says only what is particular to it; how to draw exact examples, and why the inverse of a
Gram matrix plus a positive multiple of the identity exists, it finds by itself::

    PAPER = Draft("me2027", "Ridge regression revisited", authors="A. Author")
    n, d = PAPER.integer("n", says="samples"), PAPER.integer("d", says="features")
    lam = PAPER.real("lambda", above=0, says="ridge")
    A = PAPER.matrix("A", n, d)
    PAPER.claim(
        "push-through",
        "The ridge push-through identity",
        Equal(inverse(A.T * A + lam * I(d)) * A.T, A.T * inverse(A * A.T + lam * I(n))),
    )

Errors name the line of the file in which the fault is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ..theory.derivation import Derivation, Hypothesis, Setting, Step
from ..theory.proof import rules
from ..theory.proof import statement as st
from ..theory.proof.checker import Range
from ..theory.symbols import frobenius_squared, ones
from .claim import Claim, Paper
from .closed_form import closed_form
from .domain import Domain, Parameter
from .evidence import Comparison, Kind, Verdict
from .prediction import Prediction
from .stating import (
    DEFAULT_RULES,
    KINDS,
    DraftError,
    as_statement,
    caller,
    default_rule,
    inverse,
    line_of,
    located,
    prefixed,
    require_shapes,
    step,
    valid_key,
)
from .trials.sampling import Sampler, Shape
from .well_posed import existence, grams, inverted

I = sp.Identity
trace = sp.Trace
norm_squared = frobenius_squared


@dataclass
class _Declared:
    """A symbol as it was declared."""

    symbol: Any
    where: str | None
    parameter: Parameter | None = None
    shape: Shape | None = None
    hypothesis: Hypothesis | None = None


class Draft:
    """A paper in the making: its key, its symbols with their ranges and shapes, its claims in order.

    ``key`` is the prefix of the ids of its claims and the BibTeX key. Without ``bibtex`` an entry of a manuscript is
    made from title, authors and year.

    Examples:
        >>> from tightframe.papers.draft import Draft, Equal, I, inverse
        >>> paper = Draft("me2027", "Ridge regression revisited", authors="A. Author")
        >>> n, d = paper.integer("n", says="samples"), paper.integer("d", says="features")
        >>> lam = paper.real("lambda", above=0, says="ridge")
        >>> A = paper.matrix("A", n, d)
        >>> claim = paper.claim(
        ...     "push-through",
        ...     "The ridge push-through identity",
        ...     Equal(inverse(A.T * A + lam * I(d)) * A.T, A.T * inverse(A * A.T + lam * I(n))),
        ... )
        >>> claim.id, claim.derivation.prove().report.rules
        ('me2027/push-through', ('gram', 'shift', 'inverse', 'star'))
    """

    def __init__(
        self,
        key: str,
        title: str,
        *,
        authors: str = "Anonymous",
        year: int | None = None,
        bibtex: str | None = None,
        version: str | None = None,
    ) -> None:
        self.origin = caller()
        if not valid_key(key):
            raise located(self.origin, f"{key!r} is no key: letters, digits and _, a letter first, such as me2027")
        entry = bibtex or (
            f"@unpublished{{{key},\n  author = {{{authors}}},\n  title  = {{{title}}},\n"
            + (f"  year   = {{{year}}},\n" if year else "")
            + "  note   = {Manuscript}\n}\n"
        )
        found = re.match(r"\s*@\w+\s*\{\s*([^\s,}]+)\s*,", entry)
        if found is None or found.group(1) != key:
            raise located(self.origin, f"the BibTeX entry does not begin with @...{{{key},")
        self.key, self.title, self.bibtex, self.version = key, title, entry, version
        self._symbols: dict[str, _Declared] = {}
        self._claims: dict[str, Claim] = {}

    # ---- symbols
    def integer(self, name: str, at_least: int | None = 1, *, says: str = "", up_to: int = 6) -> sp.Symbol:
        """A natural number from ``at_least`` on (``None``: any integer); examples are drawn to ``up_to``."""
        bounds = Range(None if at_least is None else Fraction(at_least), integer=True)
        return self._parameter(name, bounds, says, up_to, caller())

    def real(self, name: str, *, above: int | None = None, at_least: int | None = None, says: str = "") -> sp.Symbol:
        """A real number, ``above`` or ``at_least`` some rational number if one is given."""
        where = caller()
        if above is not None and at_least is not None:
            raise located(where, f"{name}: say above= or at_least=, not both")
        low = above if above is not None else at_least
        bounds = Range(None if low is None else _fraction(low, where), open=above is not None)
        return self._parameter(name, bounds, says, 6, where)

    def matrix(
        self,
        name: str,
        rows: Any,
        cols: Any,
        *,
        symmetric: bool = False,
        psd: bool = False,
        pd: bool = False,
        orthonormal: bool = False,
    ) -> sp.MatrixSymbol:
        """A real matrix of ``rows`` x ``cols``; what is said of it is a hypothesis of the claims that mention it.

        ``orthonormal`` says that its columns are.
        """
        where = caller()
        said = [word for word, flag in (("psd", psd), ("pd", pd), ("orthonormal", orthonormal)) if flag]
        if len(said) > 1:
            raise located(where, f"{name}: say one of psd, pd and orthonormal")
        if (symmetric or psd or pd) and sp.expand(rows - cols) != 0:
            raise located(where, f"{name} is symmetric, but {rows} x {cols}")
        symbol = sp.MatrixSymbol(name, rows, cols)
        form = said[0] if said else "symmetric" if symmetric else "any"
        hypothesis = None
        if psd or pd:
            kind = st.PositiveSemidefinite if psd else st.PositiveDefinite
            words = "semi-definite" if psd else "definite"
            hypothesis = Hypothesis(f"{name} is {form}", kind(symbol), f"{name} is positive {words}")
        if orthonormal:
            equation = st.Equal(symbol.T * symbol, sp.Identity(cols))
            hypothesis = Hypothesis(f"{name} is orthonormal", equation, f"the columns of {name} are orthonormal")
        self._declare(name, _Declared(symbol, where, shape=Shape(symbol, form), hypothesis=hypothesis))
        return symbol

    def vector(self, name: str, rows: Any) -> sp.MatrixSymbol:
        """A column."""
        return self.matrix(name, rows, 1)

    def _parameter(self, name: str, bounds: Range, says: str, up_to: int, where: str | None) -> sp.Symbol:
        assumptions = {"integer": True} if bounds.integer else {"real": True}
        if bounds.nonnegative:
            assumptions["positive" if bounds.positive else "nonnegative"] = True
        symbol = sp.Symbol(name, **assumptions)
        self._declare(name, _Declared(symbol, where, Parameter(symbol, bounds, says or name, up_to)))
        return symbol

    def _declare(self, name: str, declared: _Declared) -> None:
        if name in self._symbols:
            raise located(declared.where, f"the symbol {name} is declared twice, first at {self._symbols[name].where}")
        self._symbols[name] = declared

    # ---- claims
    def claim(
        self,
        slug: str,
        title: str,
        statement: Any,
        *,
        given: Mapping[str, Any] | Sequence[Hypothesis] = (),
        where: Mapping[Any, Any] | None = None,
        steps: Iterable[Step] = (),
        uses: Sequence[Claim | str] = (),
        prove: bool = True,
        simulate: Callable[[Mapping[str, Any], int], Comparison] | None = None,
        kind: Kind | str | None = None,
        conditions: Sequence[Any] = (),
        examples: Callable[..., Mapping[Any, Any]] | None = None,
        recorded: Verdict | str = Verdict.OPEN,
        locator: str | None = None,
        notes: str = "",
        beyond: str = "",
        lemmas: tuple[str, ...] = (),
        predict: Prediction | Mapping[str, Any] | None = None,
        sharpens: str | None = None,
        corrects: str | None = None,
    ) -> Claim:
        """State a claim; it becomes ``key/slug``.

        ``given`` are its hypotheses by name, ``where`` its abbreviations. ``steps`` lead to the statement, the last of
        them being made here if it is missing; ``uses`` are claims whose derivations come before. ``prove=False``
        leaves the claim to simulation. ``simulate(values, seed)`` measures one example of the domain.
        ``predict`` are closed forms by name, in declared symbols.
        ``examples(rng, values)`` returns exact values of symbols, where hypotheses are such that none is found.

        Raises:
            DraftError: in one line that begins with ``file:line``, if something does not fit together.
        """
        origin = caller()
        name = f"{self.key}/{slug}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug):
            raise located(origin, f"{slug!r} is no name of a claim: small letters, digits and -, such as push-through")
        if slug in self._claims:
            raise located(origin, f"two claims have the id {name}: {self._claims[slug].origin} and {origin}")
        goal = as_statement(statement, origin)
        definitions = dict(where or {})
        for short, meaning in definitions.items():
            require_shapes(meaning, origin)
            if getattr(short, "shape", None) != getattr(meaning, "shape", None):
                raise located(origin, f"the abbreviation {short} has another shape than what it stands for")
        hypotheses = self._hypotheses(given, origin)
        given_steps = tuple(steps)
        for each in given_steps:
            if not isinstance(each, Step):
                raise located(origin, f"steps are made with step(name, says), got {type(each).__name__}")
        used = self._used(uses, origin)
        written = [goal, *(h.statement for h in hypotheses), *(s.says for s in given_steps)]
        written += [
            part for claim in used for part in (claim.statement, *(h.statement for h in claim.setting.hypotheses))
        ]
        for claim in used:
            definitions = {**claim.setting.definitions, **definitions}
        expressions = [expr for each in written for expr in each.expressions()]
        expressions += [expr for pair in definitions.items() for expr in pair]
        places = {expr: s.origin for s in given_steps for expr in s.says.expressions()}
        declared = self._occurring(expressions, definitions, origin, places)
        implied = tuple(each.hypothesis for each in declared if each.hypothesis is not None)
        hypotheses = (*implied, *hypotheses)
        for claim in used:
            missing = [h for h in claim.setting.hypotheses if h not in hypotheses]
            if missing:
                raise located(origin, f"{name} uses {claim.id}, but lacks its hypothesis {missing[0].name!r}")
        domain = Domain(tuple(each.parameter for each in declared if each.parameter is not None), tuple(conditions))
        self._require_conditions(domain, origin)
        shapes = tuple(each.shape for each in declared if each.shape is not None)
        sampler = Sampler(domain, shapes, hypotheses, definitions, examples, origin)
        symmetric = tuple(shape.symbol for shape in shapes if shape.form in ("symmetric", "psd", "pd"))
        setting = Setting(domain.ranges, hypotheses, sampler, symmetric, definitions)
        derive = None
        if prove:
            taken = {h.name for h in hypotheses} | {each.name for each in given_steps}
            last = slug if slug not in taken else f"claim {slug}"
            chain = self._chain(goal, given_steps, used, hypotheses, definitions, origin, last)
            if chain is not None:
                self._require_names(chain, hypotheses, origin)
                found = Derivation(title, setting, chain)
                derive = lambda: found  # noqa: E731
        claim = Claim(
            name,
            title,
            self._kind(goal, kind, simulate is not None, origin),
            goal,
            setting,
            domain,
            derive,
            simulate,
            Verdict(recorded),
            self.version,
            locator,
            sharpens,
            corrects,
            notes,
            lemmas,
            beyond,
            self._prediction(predict, origin),
            depends=tuple(claim if isinstance(claim, str) else claim.id for claim in uses),
            origin=origin,
        )
        self._claims[slug] = claim
        return claim

    def paper(self) -> Paper:
        """What the registry reads."""
        return Paper(self.key, self.title, self.bibtex, tuple(self._claims.values()))

    # ---- what a claim needs
    def _hypotheses(
        self, given: Mapping[str, Any] | Sequence[Hypothesis], origin: str | None
    ) -> tuple[Hypothesis, ...]:
        if not isinstance(given, Mapping):
            return tuple(given)
        return tuple(Hypothesis(name, as_statement(says, line_of(origin, name)), name) for name, says in given.items())

    def _used(self, uses: Sequence[Claim | str], origin: str | None) -> list[Claim]:
        found: list[Claim] = []
        for each in uses:
            slug = (each if isinstance(each, str) else each.id).removeprefix(f"{self.key}/")
            if slug not in self._claims:
                known = ", ".join(self._claims) or "none so far"
                raise located(origin, f"uses the claim {slug!r}, which is not stated before it; stated: {known}")
            found.append(self._claims[slug])
        return found

    def _occurring(
        self, expressions: list[Any], definitions: Mapping[Any, Any], origin: str | None, places: Mapping[Any, Any]
    ) -> list[_Declared]:
        """The declared symbols that occur, in the order of their declaration."""
        found: set[str] = set()
        for expr in expressions:
            where = places.get(expr) or origin
            for symbol in sorted(_symbols(expr), key=str):
                if symbol in definitions:
                    continue
                known = self._symbols.get(symbol.name)
                if known is None and isinstance(symbol, sp.MatrixSymbol):
                    words = f"PAPER.matrix({symbol.name!r}, {symbol.shape[0]}, {symbol.shape[1]})"
                    raise located(where, f"the matrix {symbol} is not declared: declare it with {words}")
                if known is None:
                    words = f"PAPER.real({symbol.name!r}, above=0) or PAPER.integer({symbol.name!r})"
                    raise located(where, f"the symbol {symbol} has no range: declare it with {words}")
                if known.symbol != symbol:
                    raise located(where, f"this {symbol} is not the one declared at {known.where}")
                found.add(symbol.name)
        return [declared for name, declared in self._symbols.items() if name in found]

    @staticmethod
    def _require_conditions(domain: Domain, origin: str | None) -> None:
        known = set(domain.ranges)
        for condition in domain.conditions:
            if not isinstance(condition, sp.logic.boolalg.Boolean) or condition in (sp.true, sp.false):
                raise located(origin, f"the condition {condition} is no relation between parameters, such as n >= d")
            unknown = condition.free_symbols - known
            if unknown:
                raise located(
                    origin, f"the condition {condition} is about {min(map(str, unknown))}, which is not in the claim"
                )

    def _prediction(self, predict: Prediction | Mapping[str, Any] | None, origin: str | None) -> Prediction | None:
        if not isinstance(predict, Mapping):
            return predict
        parameters = [each.parameter for each in self._symbols.values() if each.parameter is not None]
        try:
            return closed_form(predict, parameters)
        except ValueError as error:
            raise located(origin, str(error)) from None

    @staticmethod
    def _kind(goal: st.Statement, kind: Kind | str | None, simulated: bool, origin: str | None) -> Kind:
        if kind is not None:
            return Kind(kind)
        parts = goal.parts if isinstance(goal, st.AllOf) else (goal,)
        kinds = {KINDS.get(type(part)) for part in parts}
        found = kinds.pop()
        if kinds or found is None:
            if simulated:
                raise located(origin, f"what the simulation is to show is unclear: say kind=, one of {', '.join(Kind)}")
            return Kind.EXISTENCE
        return found

    @staticmethod
    def _require_names(chain: Sequence[Step], hypotheses: Sequence[Hypothesis], origin: str | None) -> None:
        seen: dict[str, str | None] = {h.name: line_of(origin, h.name) for h in hypotheses}
        for each in chain:
            if each.name in seen:
                raise located(each.origin or origin, f"the name {each.name!r} is taken, at {seen[each.name]}")
            seen[each.name] = each.origin or origin

    def _chain(
        self,
        goal: st.Statement,
        steps: tuple[Step, ...],
        used: list[Claim],
        hypotheses: tuple[Hypothesis, ...],
        definitions: Mapping[Any, Any],
        origin: str | None,
        slug: str,
    ) -> tuple[Step, ...] | None:
        """The whole derivation: claims that are used, inverses that exist, the author's steps, the statement."""
        before: list[Step] = []
        for claim in used:
            before += [each for each in prefixed(claim) if each.says not in [other.says for other in before]]
        written = [*(s.says for s in steps), goal]
        expressions = [expr for each in written for expr in each.expressions()] + list(definitions.values())
        known = [*(h.statement for h in hypotheses), *(s.says for s in (*before, *steps))]
        found: list[Step] = []
        for inner in inverted(expressions):
            if not any(
                isinstance(says, st.PositiveDefinite | st.Invertible) and says.matrix == inner for says in known
            ):
                found += existence(inner, hypotheses, origin, len(found) // 2 + 1)
        chain = [*before, *found, *steps]
        if steps and steps[-1].says == goal:
            return tuple(chain)
        if isinstance(goal, st.AllOf):
            names: list[str] = []
            for i, part in enumerate(goal.parts, 1):
                said = next((s.name for s in chain if s.says == part), None)
                if said is None:
                    said = f"part {i}"
                    chain += self._last(said, part, chain, hypotheses, origin)
                names.append(said)
            return (*chain, Step(slug, goal, "All parts hold.", rules.Conjunction(tuple(names)), origin))
        if not steps and not has_rule(goal, hypotheses):
            return None  # a conjecture
        return (*chain, *self._last(slug, goal, chain, hypotheses, origin))

    @staticmethod
    def _last(
        name: str, says: st.Statement, chain: Sequence[Step], hypotheses: Sequence[Hypothesis], origin: str | None
    ) -> list[Step]:
        """The step that says it, made by the rule for its kind, or because it is a Gram matrix."""
        known = next((each for each in chain if each.says == says), None)
        if known is not None:  # a name of its own, without another proof
            return [Step(name, says, known.because, known.by, origin)]
        if isinstance(says, st.PositiveSemidefinite) and type(says) not in DEFAULT_RULES:
            found = grams(says.matrix, hypotheses)
            if found is not None and found.shift == 0:
                return [Step(name, says, "A sum of Gram matrices.", rules.Gram(found.squares), origin)]
        if isinstance(says, st.PositiveDefinite):
            steps = existence(says.matrix, hypotheses, origin, 1)
            if steps:
                return [
                    Step(f"{name}: Gram", steps[0].says, steps[0].because, steps[0].by, origin),
                    Step(name, says, steps[1].because, rules.Shift(f"{name}: Gram", steps[1].by.shift), origin),  # type: ignore[attr-defined]
                ]
        return [Step(name, says, "", default_rule(says, origin), origin)]


def has_rule(says: st.Statement, hypotheses: Sequence[Hypothesis]) -> bool:
    """Whether the rule that shows a statement can be found from the statement alone."""
    if isinstance(says, st.PositiveSemidefinite | st.PositiveDefinite):
        found = grams(says.matrix, hypotheses)
        wanted = isinstance(says, st.PositiveDefinite)
        return found is not None and (bool(found.shift.is_positive) if wanted else found.shift == 0)
    return type(says) in DEFAULT_RULES


def _symbols(expr: Any) -> set[Any]:
    """Scalar and matrix symbols, those in the sizes of matrices included."""
    matrices = expr.atoms(sp.MatrixSymbol)
    found = matrices | {symbol for symbol in expr.free_symbols if isinstance(symbol, sp.Symbol)}
    for matrix in expr.atoms(MatrixExpr) | matrices:
        for size in matrix.shape:
            found |= sp.sympify(size, strict=True).free_symbols
    return found


def _fraction(value: Any, where: str | None) -> Fraction:
    try:
        return Fraction(str(value))
    except ValueError:
        raise located(where, f"expected a rational number, got {value}") from None


# What a claims file needs, in one import.
AllOf, AnyOf, Equal, EqualInfima = st.AllOf, st.AnyOf, st.Equal, st.EqualInfima
Exceeds, GradientIs, Identity, Increasing = st.Exceeds, st.GradientIs, st.Identity, st.Increasing
Invertible, Minimum, Nonnegative, Positive = st.Invertible, st.Minimum, st.Nonnegative, st.Positive
PositiveDefinite, PositiveSemidefinite, Vanishing = st.PositiveDefinite, st.PositiveSemidefinite, st.Vanishing

__all__ = [
    "AllOf",
    "AnyOf",
    "Comparison",
    "Draft",
    "DraftError",
    "Equal",
    "EqualInfima",
    "Exceeds",
    "GradientIs",
    "I",
    "Identity",
    "Increasing",
    "Invertible",
    "Kind",
    "Minimum",
    "Nonnegative",
    "Positive",
    "PositiveDefinite",
    "PositiveSemidefinite",
    "Vanishing",
    "Verdict",
    "inverse",
    "norm_squared",
    "ones",
    "rules",
    "step",
    "trace",
]
