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

import keyword
import linecache
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
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
from .domain import Domain, Parameter
from .evidence import Comparison, Kind, Verdict
from .prediction import Prediction
from .sampling import Sampler, Shape

I = sp.Identity
trace = sp.Trace
norm_squared = frobenius_squared

# The rule that decides statements of a kind, where there is one; others need to be told of what they consist.
DEFAULT_RULES: dict[type, Callable[[], rules.Justification]] = {
    st.Equal: rules.Star,
    st.Identity: rules.Field,
    st.Nonnegative: rules.Poly,
    st.Positive: rules.Poly,
    st.Exceeds: rules.Box,
    st.Increasing: rules.Monotone,
    st.Vanishing: rules.Dominance,
    st.GradientIs: rules.Differentiate,
    st.FirstIntegral: rules.ByFirstIntegral,
    st.Growth: rules.ByFirstIntegral,
    st.Equalisation: rules.ByFirstIntegral,
    st.EqualShares: rules.ByFirstIntegral,
    st.Decay: rules.ByFirstIntegral,
}
KINDS: dict[type, Kind] = {
    st.Equal: Kind.IDENTITY,
    st.Identity: Kind.IDENTITY,
    st.GradientIs: Kind.IDENTITY,
    st.Minimum: Kind.OPTIMUM,
    st.EqualInfima: Kind.INVARIANCE,
    st.Nonnegative: Kind.LOWER,
    st.Positive: Kind.LOWER,
    st.Exceeds: Kind.LOWER,
    st.PositiveSemidefinite: Kind.LOWER,
    st.PositiveDefinite: Kind.LOWER,
    st.Vanishing: Kind.LIMIT,
    st.Growth: Kind.LIMIT,
    st.Equalisation: Kind.LIMIT,
    st.EqualShares: Kind.LIMIT,
    st.Decay: Kind.LIMIT,
}


class DraftError(ValueError):
    """Something in a claims file does not fit together; the message begins with ``file:line``."""


def inverse(matrix: MatrixExpr) -> MatrixExpr:
    """The inverse; sympy keeps it as it is written."""
    return sp.Inverse(matrix)


def caller() -> str | None:
    """``file:line`` of the nearest frame outside of this package."""
    frame = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("tightframe."):
        frame = frame.f_back  # type: ignore[assignment]
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def line_of(origin: str | None, word: str) -> str | None:
    """The line from ``origin`` on that has this word in quotes: where a hypothesis of a claim is written."""
    if origin is None:
        return None
    path, _, number = origin.rpartition(":")
    lines = linecache.getlines(path)
    for shift, line in enumerate(lines[int(number) - 1 : int(number) + 200]):
        if f'"{word}"' in line or f"'{word}'" in line:
            return f"{path}:{int(number) + shift}"
    return origin


def step(name: str, says: Any, by: rules.Justification | None = None, because: str = "") -> Step:
    """A step of a derivation; without ``by``, the rule that decides statements of its kind.

    Raises:
        DraftError: if there is no such rule.
    """
    where = caller()
    statement = as_statement(says, where)
    return Step(name, statement, because, by or default_rule(statement, where), where)


def default_rule(statement: st.Statement, where: str | None) -> rules.Justification:
    rule = DEFAULT_RULES.get(type(statement))
    if rule is None:
        raise _error(
            where,
            f"a step that says {type(statement).__name__} needs to be told its rule, by=...: see "
            "tightframe.theory.proof.rules (for a matrix that is psd: Gram, Shift or Rewrite; for a minimum: "
            "CompletedSquare)",
        )
    return rule()


def as_statement(given: Any, where: str | None) -> st.Statement:
    """A statement; equations and inequalities of sympy are read as such.

    Raises:
        DraftError: for anything else, and where two sides have different shapes.
    """
    if given is True or given is False or given in (sp.true, sp.false):
        raise _error(where, f"sympy found this to be {given} by itself; write Equal(left, right) to have it proved")
    if isinstance(given, sp.Eq):
        given = st.Equal(given.lhs, given.rhs)  # type: ignore[arg-type]
    elif isinstance(given, sp.Ge | sp.Le):
        given = st.Nonnegative(given.gts - given.lts)  # type: ignore[operator]
    elif isinstance(given, sp.Gt | sp.Lt):
        given = st.Positive(given.gts - given.lts)  # type: ignore[operator]
    elif isinstance(given, tuple | list):
        given = st.AllOf(tuple(as_statement(part, where) for part in given))
    if not isinstance(given, st.Statement):
        raise _error(where, f"expected a statement such as Equal(left, right), got {type(given).__name__}")
    _require_shapes(given, where)
    return given


def _require_shapes(statement: st.Statement, where: str | None) -> None:
    """Both sides of equations have one shape; what is to be positive is of the right sort."""
    for part in getattr(statement, "parts", ()):
        _require_shapes(part, where)
    if isinstance(statement, st.Equal):
        shapes = [_shape(side) for side in (statement.left, statement.right)]
        if shapes[0] != shapes[1]:
            said = " and ".join("a scalar" if shape is None else f"{shape[0]} x {shape[1]}" for shape in shapes)
            hint = "; Trace makes a scalar of a 1 x 1 matrix" if None in shapes else ""
            raise _error(where, f"the two sides of an equation have different shapes: {said}{hint}")
    if isinstance(statement, st.Positive | st.Nonnegative) and _shape(statement.scalar) is not None:
        raise _error(where, f"{type(statement).__name__} is said of scalars; of a matrix say PositiveSemidefinite")
    if isinstance(statement, st.PositiveSemidefinite | st.PositiveDefinite | st.Invertible):
        shape = _shape(statement.matrix)
        if shape is None or shape[0] != shape[1]:
            said = "a scalar" if shape is None else f"a matrix of shape {shape[0]} x {shape[1]}"
            raise _error(where, f"{type(statement).__name__} is said of square matrices, not of {said}")


def _shape(expr: Any) -> tuple[Any, Any] | None:
    return tuple(sp.expand(size) for size in expr.shape) if isinstance(expr, MatrixExpr) else None  # type: ignore[return-value]


def _error(where: str | None, message: str) -> DraftError:
    return DraftError(f"{where}: {message}" if where else message)


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
            raise _error(self.origin, f"{key!r} is no key: letters, digits and _, a letter first, such as me2027")
        entry = bibtex or (
            f"@unpublished{{{key},\n  author = {{{authors}}},\n  title  = {{{title}}},\n"
            f"  year   = {{{year or date.today().year}}},\n  note   = {{Manuscript}}\n}}\n"
        )
        found = re.match(r"\s*@\w+\s*\{\s*([^\s,}]+)\s*,", entry)
        if found is None or found.group(1) != key:
            raise _error(self.origin, f"the BibTeX entry does not begin with @...{{{key},")
        self.key, self.title, self.bibtex, self.version = key, title, entry, version
        self._symbols: dict[str, _Declared] = {}
        self._claims: dict[str, Claim] = {}

    # ---- symbols
    def integer(self, name: str, at_least: int | None = 1, *, says: str = "", up_to: int = 6) -> sp.Symbol:
        """A natural number from ``at_least`` on (``None``: any integer); examples are drawn to ``up_to``."""
        bounds = Range(None if at_least is None else Fraction(at_least), integer=True)
        return self._parameter(name, bounds, says, up_to, caller())

    def real(
        self, name: str, *, above: int | None = None, at_least: int | None = None, says: str = ""
    ) -> sp.Symbol:
        """A real number, ``above`` or ``at_least`` some rational number if one is given."""
        where = caller()
        if above is not None and at_least is not None:
            raise _error(where, f"{name}: say above= or at_least=, not both")
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
            raise _error(where, f"{name}: say one of psd, pd and orthonormal")
        if (symmetric or psd or pd) and sp.expand(rows - cols) != 0:
            raise _error(where, f"{name} is symmetric, but {rows} x {cols}")
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
            raise _error(declared.where, f"the symbol {name} is declared twice, first at {self._symbols[name].where}")
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
        predict: Prediction | None = None,
        sharpens: str | None = None,
        corrects: str | None = None,
    ) -> Claim:
        """State a claim; it becomes ``key/slug``.

        ``given`` are its hypotheses by name, ``where`` its abbreviations. ``steps`` lead to the statement, the last of
        them being made here if it is missing; ``uses`` are claims whose derivations come before. ``prove=False``
        leaves the claim to simulation. ``simulate(values, seed)`` measures one example of the domain.
        ``examples(rng, values)`` returns exact values of symbols, where hypotheses are such that none is found.

        Raises:
            DraftError: in one line that begins with ``file:line``, if something does not fit together.
        """
        origin = caller()
        name = f"{self.key}/{slug}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug):
            raise _error(origin, f"{slug!r} is no name of a claim: small letters, digits and -, such as push-through")
        if slug in self._claims:
            raise _error(origin, f"two claims have the id {name}: {self._claims[slug].origin} and {origin}")
        goal = as_statement(statement, origin)
        definitions = dict(where or {})
        hypotheses = self._hypotheses(given, origin)
        given_steps = tuple(steps)
        for each in given_steps:
            if not isinstance(each, Step):
                raise _error(origin, f"steps are made with step(name, says), got {type(each).__name__}")
        used = self._used(uses, origin)
        written = [goal, *(h.statement for h in hypotheses), *(s.says for s in given_steps)]
        written += [part for claim in used for part in (claim.statement, *(h.statement for h in claim.setting.hypotheses))]
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
                raise _error(origin, f"{name} uses {claim.id}, but lacks its hypothesis {missing[0].name!r}")
        domain = Domain(tuple(each.parameter for each in declared if each.parameter is not None), tuple(conditions))
        self._require_conditions(domain, origin)
        shapes = tuple(each.shape for each in declared if each.shape is not None)
        sampler = Sampler(domain, shapes, hypotheses, definitions, examples, origin)
        symmetric = tuple(shape.symbol for shape in shapes if shape.form in ("symmetric", "psd", "pd"))
        setting = Setting(domain.ranges, hypotheses, sampler, symmetric, definitions)
        derive = None
        if prove:
            chain = self._chain(goal, given_steps, used, hypotheses, definitions, origin, slug)
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
            predict,
            tuple(claim if isinstance(claim, str) else claim.id for claim in uses),
            origin,
        )
        self._claims[slug] = claim
        return claim

    def paper(self) -> Paper:
        """What the registry reads."""
        return Paper(self.key, self.title, self.bibtex, tuple(self._claims.values()))

    # ---- what a claim needs
    def _hypotheses(self, given: Mapping[str, Any] | Sequence[Hypothesis], origin: str | None) -> tuple[Hypothesis, ...]:
        if not isinstance(given, Mapping):
            return tuple(given)
        return tuple(
            Hypothesis(name, as_statement(says, line_of(origin, name)), name) for name, says in given.items()
        )

    def _used(self, uses: Sequence[Claim | str], origin: str | None) -> list[Claim]:
        found: list[Claim] = []
        for each in uses:
            slug = (each if isinstance(each, str) else each.id).removeprefix(f"{self.key}/")
            if slug not in self._claims:
                known = ", ".join(self._claims) or "none so far"
                raise _error(origin, f"uses the claim {slug!r}, which is not stated before it; stated: {known}")
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
                    raise _error(where, f"the matrix {symbol} is not declared: declare it with {words}")
                if known is None:
                    words = f"PAPER.real({symbol.name!r}, above=0) or PAPER.integer({symbol.name!r})"
                    raise _error(where, f"the symbol {symbol} has no range: declare it with {words}")
                if known.symbol != symbol:
                    raise _error(where, f"this {symbol} is not the one declared at {known.where}")
                found.add(symbol.name)
        return [declared for name, declared in self._symbols.items() if name in found]

    @staticmethod
    def _require_conditions(domain: Domain, origin: str | None) -> None:
        known = set(domain.ranges)
        for condition in domain.conditions:
            if not isinstance(condition, sp.logic.boolalg.Boolean) or condition in (sp.true, sp.false):
                raise _error(origin, f"the condition {condition} is no relation between parameters, such as n >= d")
            unknown = condition.free_symbols - known
            if unknown:
                raise _error(origin, f"the condition {condition} is about {min(map(str, unknown))}, which is not in the claim")

    @staticmethod
    def _kind(goal: st.Statement, kind: Kind | str | None, simulated: bool, origin: str | None) -> Kind:
        if kind is not None:
            return Kind(kind)
        parts = goal.parts if isinstance(goal, st.AllOf) else (goal,)
        kinds = {KINDS.get(type(part)) for part in parts}
        found = kinds.pop()
        if kinds or found is None:
            if simulated:
                raise _error(origin, f"what the simulation is to show is unclear: say kind=, one of {', '.join(Kind)}")
            return Kind.EXISTENCE
        return found

    @staticmethod
    def _require_names(chain: Sequence[Step], hypotheses: Sequence[Hypothesis], origin: str | None) -> None:
        seen: dict[str, str | None] = {h.name: line_of(origin, h.name) for h in hypotheses}
        for each in chain:
            if each.name in seen:
                raise _error(each.origin or origin, f"the name {each.name!r} is taken, at {seen[each.name]}")
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
        for inner in inverted(expressions):
            if not any(isinstance(says, st.PositiveDefinite | st.Invertible) and says.matrix == inner for says in known):
                before += existence(inner, hypotheses, origin, len(before))
        chain = [*before, *steps]
        if steps and steps[-1].says == goal:
            return tuple(chain)
        if isinstance(goal, st.AllOf):
            names: list[str] = []
            for i, part in enumerate(goal.parts, 1):
                said = next((s.name for s in chain if s.says == part), None)
                if said is None:
                    said = f"part {i}"
                    chain.append(Step(said, part, "", default_rule(part, origin), origin))
                names.append(said)
            return (*chain, Step(slug, goal, "All parts hold.", rules.Conjunction(tuple(names)), origin))
        return (*chain, Step(slug, goal, "", default_rule(goal, origin), origin))


def _symbols(expr: Any) -> set[Any]:
    """Scalar and matrix symbols, those in the sizes of matrices included."""
    matrices = expr.atoms(sp.MatrixSymbol)
    found = matrices | {symbol for symbol in expr.free_symbols if isinstance(symbol, sp.Symbol)}
    for matrix in expr.atoms(MatrixExpr) | matrices:
        for size in matrix.shape:
            found |= sp.sympify(size, strict=True).free_symbols
    return found


def valid_key(key: str) -> bool:
    """Whether a paper may have this key.

    Examples:
        >>> valid_key("me2027"), valid_key("2027me"), valid_key("a/b"), valid_key("class")
        (True, False, False, False)
    """
    return re.fullmatch(r"[A-Za-z]\w*", key, re.ASCII) is not None and not keyword.iskeyword(key)


def _fraction(value: Any, where: str | None) -> Fraction:
    try:
        return Fraction(str(value))
    except ValueError:
        raise _error(where, f"expected a rational number, got {value}") from None


def inverted(expressions: Iterable[Any]) -> list[Any]:
    """What is inverted in some expressions, each once, the innermost first."""
    found: dict[Any, None] = {}
    for expr in expressions:
        inverses = sorted(expr.atoms(sp.Inverse), key=lambda each: (each.count_ops(), str(each)))
        found |= dict.fromkeys(each.arg for each in inverses)
    return list(found)


def existence(inner: Any, hypotheses: Sequence[Hypothesis], origin: str | None, number: int) -> list[Step]:
    """Steps that say that a sum of Gram matrices and a positive multiple of the identity is positive definite."""
    pd = {h.statement.matrix: h.name for h in hypotheses if isinstance(h.statement, st.PositiveDefinite)}
    psd = {h.statement.matrix: h.name for h in hypotheses if isinstance(h.statement, st.PositiveSemidefinite)}
    shift, squares, grams = sp.S.Zero, list[rules.Square](), list[Any]()
    for term in sp.MatAdd.make_args(inner):
        weight, factors = term.as_coeff_mmul() if isinstance(term, sp.MatMul) else (sp.S.One, term)
        scalars = [x for x in getattr(factors, "args", ()) if not isinstance(x, MatrixExpr)]
        weight *= sp.Mul(*scalars)
        parts = [x for x in sp.MatMul.make_args(factors) if isinstance(x, MatrixExpr)]
        if all(isinstance(part, sp.Identity) for part in parts):
            shift += weight
            continue
        half, odd = divmod(len(parts), 2)
        middle = parts[half] if odd else None
        mirrored = all(sp.Transpose(x).doit() == y for x, y in zip(parts[:half], parts[::-1], strict=False))
        metric = None if middle is None else {**pd, **psd}.get(middle)
        if not mirrored or (middle is not None and metric is None) or not weight.is_nonnegative:
            return []
        factor = sp.MatMul(*parts[:half]).doit() if half else sp.Identity(inner.shape[0])
        squares.append(rules.Square(weight, factor, metric))
        grams.append(term)
    if not grams or not shift.is_positive:
        return []
    gram = sp.MatAdd(*grams).doit()
    first, second = f"Gram matrix {number // 2 + 1}", f"invertible {number // 2 + 1}"
    return [
        Step(first, st.PositiveSemidefinite(gram), "A sum of Gram matrices.", rules.Gram(tuple(squares)), origin),
        Step(second, st.PositiveDefinite(inner), "And a positive shift.", rules.Shift(first, shift), origin),
    ]


def prefixed(claim: Claim) -> list[Step]:
    """The steps of a claim under names that begin with its own, the last one under that name alone."""
    derivation = claim.derivation
    if derivation is None:
        raise _error(claim.origin, f"{claim.id} has no derivation that another claim could use")
    names = {each.name: f"{claim.slug}: {each.name}" for each in derivation.steps[:-1]}
    names[derivation.steps[-1].name] = claim.slug
    return [replace(each, name=names[each.name], by=_renamed(each.by, names)) for each in derivation.steps]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A rule in which steps have other names; every text in a rule is the name of a step."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, tuple):
        return tuple(_renamed(part, names) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {item.name: _renamed(getattr(value, item.name), names) for item in fields(value)}
        return replace(value, **changed)
    return value


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
