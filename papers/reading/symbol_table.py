"""The symbols of a claim by the names that a manuscript gives them: what the reader of formulas knows, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ...theory.printing import latex
from ...theory.proof import statement as st
from ...theory.proof.checker import Range
from ..claim import Claim
from ..writing.notation import Notation, abbreviated, renaming
from ..writing.substitution import defined, substituted
from .latex_tokens import Unreadable, spelled

PRIME = "\N{PRIME}"  # in names of matrices
Name = tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """What is compared with a manuscript: a statement and its setting, in the letters of the manuscript."""

    statement: st.Statement
    parameters: Mapping[sp.Symbol, Range]
    symmetric: tuple[sp.MatrixSymbol, ...]
    definitions: Mapping[Any, Any]

    @property
    def parts(self) -> tuple[st.Statement, ...]:
        """The statement as a list of what it says."""
        return parts(self.statement)


def subject(claim: Claim, notation: Notation | None = None) -> Subject:
    """The claim in a notation; in its own, without one.

    Of a quantity that becomes a product of letters (C N for the samples in all), each letter is positive.
    """
    setting = claim.setting
    renamed: dict[Any, Any] = {} if notation is None else renaming(notation, claim)
    new = {old: _unprimed(found) for old, found in renamed.items()}
    found = abbreviated(claim, renamed)
    statement, definitions = found.statement, found.definitions
    if not new:
        return Subject(statement, setting.parameters, setting.symmetric, definitions)
    parameters: dict[sp.Symbol, Range] = {}
    for symbol, bounds in setting.parameters.items():
        found = new.get(symbol, symbol)
        if isinstance(found, sp.Symbol):
            parameters[found] = bounds
    for symbol, bounds in setting.parameters.items():
        for letter in sorted(new.get(symbol, symbol).free_symbols, key=str):
            positive = Range(bounds.low and 0 * bounds.low, open=True) if bounds.positive else Range(None)
            parameters.setdefault(letter, positive)
    symmetric = tuple(symbol.xreplace(new) for symbol in setting.symmetric)
    return Subject(substituted(statement, new), parameters, symmetric, defined(definitions, new))


@dataclass(frozen=True)
class SymbolTable:
    """Names, as canonical tokens, with what they stand for.

    ``vectors`` are names of the entries of a vector, without their index; ``members`` those of one of several
    solutions, which stand for the solution; ``rates`` are names of derivatives in time. ``ambiguous`` names stand for
    several objects of the claim, so that a formula with one of them is not read. ``functions`` says which of exp,
    Derivative the claim has, where the letters e and d could also be symbols.
    """

    symbols: Mapping[Name, Any]
    vectors: Mapping[Name, sp.MatrixSymbol] = field(default_factory=dict[Name, sp.MatrixSymbol])
    members: Mapping[Name, sp.Symbol] = field(default_factory=dict[Name, sp.Symbol])
    rates: Mapping[Name, sp.Symbol] = field(default_factory=dict[Name, sp.Symbol])
    ambiguous: frozenset[Name] = frozenset()
    functions: frozenset[str] = frozenset()

    @property
    def longest(self) -> int:
        """The number of tokens of the longest name."""
        return max(map(len, (*self.symbols, *self.rates, *self.ambiguous)), default=0)


def _unprimed(expression: Any) -> Any:
    """A prime is the sign of a transpose in the normal form, so that names have another one."""
    primed = [symbol for symbol in expression.atoms(sp.MatrixSymbol) if "'" in symbol.name]
    return expression.xreplace({s: sp.MatrixSymbol(s.name.replace("'", PRIME), *s.shape) for s in primed})


def parts(statement: st.Statement) -> tuple[st.Statement, ...]:
    """The parts of a statement, those of its parts included."""
    if isinstance(statement, st.AllOf):
        return tuple(part for inner in statement.parts for part in parts(inner))
    return (statement,)


def objects(about: Subject) -> list[Any]:
    """Every symbol that the claim declares or uses, abbreviations and what they are made of included."""
    found: dict[Any, None] = dict.fromkeys(about.parameters)
    for expression in about.statement.expressions():
        found |= dict.fromkeys(_symbols(expression))
    for name, meaning in about.definitions.items():
        found |= dict.fromkeys((name, *_symbols(meaning)))
    return list(found)


def _symbols(expression: Any) -> list[Any]:
    bound = {limits[0] for total in expression.atoms(sp.Sum) for limits in total.limits}
    names = expression.atoms(sp.MatrixSymbol, sp.Symbol)
    return sorted((symbol for symbol in names if symbol not in bound), key=sp.default_sort_key)


def table(about: Subject) -> SymbolTable:
    """The symbols of a claim, as it is written.

    Examples:
        >>> from tightframe.papers import registry
        >>> ("\\\\tilde", "{", "W", "}") in table(subject(registry.find("han2022/ls-classifier"))).symbols
        True
    """
    symbols: dict[Name, Any] = {}
    ambiguous: set[Name] = set()
    vectors: dict[Name, Any] = {}

    def enter(name: str, symbol: Any) -> None:
        key = spelled(name.replace(PRIME, "'"))
        if symbols.setdefault(key, symbol) != symbol:
            ambiguous.add(key)

    for symbol in objects(about):
        enter(latex(symbol), symbol)
        if isinstance(symbol, MatrixExpr) and symbol.shape[1] == 1:
            with suppress(Unreadable):  # a name with an index of its own has no entries
                entry = spelled(latex(symbol[0, 0]).replace(PRIME, "'"))  # the printer knows how entries are called
                if entry[-4:] == ("_", "{", "1", "}"):
                    vectors[entry[:-4]] = symbol
    members: dict[Name, sp.Symbol] = {}
    rates: dict[Name, sp.Symbol] = {}
    for part in about.parts:
        if isinstance(part, st.FirstIntegral):
            name = latex(part.variable)
            rates[spelled(rf"\dot {name}")] = part.variable
            rates[spelled(rf"\dot {name}_j")] = part.variable
            members[spelled(name)] = part.variable
            for letter in ("a", "t") if not isinstance(part, st.Decay) else ("t",):
                key = spelled(letter)
                if key not in symbols:
                    symbols[key] = sp.Symbol(letter, positive=True)
            symbols.setdefault(spelled(f"{name}(t)"), part.variable)
    expressions = about.statement.expressions()
    found = {
        kind.__name__ for kind in (sp.exp, sp.Derivative) if any(expression.has(kind) for expression in expressions)
    }
    return SymbolTable(symbols, vectors, members, rates, frozenset(ambiguous), frozenset(found))
