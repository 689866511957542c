"""The writer's notation: which letters the symbols of a claim become, with the scalings between the papers.

Papers write the same quantity with different letters: ``C`` classes or ``K``, ``N`` samples per class or in all. A map
is a TOML file::

    K = "C"  # a symbol of the claims, as plain text, and its LaTeX
    N = "n_{\\mathrm{tot}}"
    n = ["N", "m"]  # a product

    [dang2023]  # only in claims of this paper
    M = "L"

    [quantities]  # by meaning, whatever the letter in the claim
    classes = "C"
    samples = ["C", "N"]

Letters win over quantities, and those of one paper over those of all. Two symbols on one letter are an error that
names both. ``aside = "prime"`` gives a prime to a letter that is in the way instead; the shipped maps do.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sympy as sp

from ...theory.abbreviations import centring_letter, lettered, mapped, needed
from ...theory.printing import latex
from ...theory.proof.statement import Statement
from ..claim import Claim
from ..prose import plain_name
from ..registry import UnknownName
from .layout import tokens
from .substitution import defined, substituted

SHIPPED = Path(__file__).resolve().parent / "notations"

# What the parameters of claims are, by what their domains say of them.
MEANINGS = {
    "number of classes": "classes",
    "samples per class": "samples-per-class",
    "samples a class": "samples-per-class",
    "samples in each class": "samples-per-class",
    "samples in all": "samples",
    "dimension of the features": "features",
    "width": "features",
    "number of layers M": "layers",
    "number of weight layers L": "layers",
}
QUANTITIES = tuple(dict.fromkeys(MEANINGS.values()))

_WORD = re.compile(r"(?:\\[A-Za-z]+|[A-Za-z0-9'.,/*+()\-\s]|\{|\}|\^|_)+")


class NotationError(ValueError):
    """The map cannot be read, or two symbols would have the same letter; in one line."""


@dataclass(frozen=True)
class Notation:
    """A map: letters of all claims, of one paper's claims, and quantities; a letter is a product of LaTeX letters."""

    name: str
    letters: Mapping[str, tuple[str, ...]]
    papers: Mapping[str, Mapping[str, tuple[str, ...]]] = field(
        default_factory=dict[str, Mapping[str, tuple[str, ...]]]
    )
    quantities: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    aside: bool = False

    def wanted(self, claim: Claim, more: Iterable[Any] = ()) -> dict[Any, tuple[str, ...]]:
        """The symbols of the claim, and ``more``, for which the map has letters, with these letters."""
        if self.name in (claim.paper, *(link.partition("/")[0] for link in (claim.sharpens, claim.corrects) if link)):
            return {}  # it is written in this notation
        meanings = {parameter.symbol: MEANINGS.get(parameter.says, "") for parameter in claim.domain.parameters}
        letters = {**self.letters, **self.papers.get(claim.paper, {})}
        found: dict[Any, tuple[str, ...]] = {}
        for symbol in (*claim.symbols, *more):
            name, argument = plain_name(symbol), "".join(latex(symbol).partition("(")[1:])
            if name in letters:
                found[symbol] = (*letters[name][:-1], letters[name][-1] + argument)
            elif meanings.get(symbol, "") in self.quantities:
                found[symbol] = self.quantities[meanings[symbol]]
        return found


def shipped() -> tuple[str, ...]:
    """The notations that come with the package, one a paper.

    Examples:
        >>> shipped()
        ('dang2023', 'garrod2025', 'han2022', 'liu2024')
    """
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load(name: str) -> Notation:
    """A shipped notation by its name, or one from a TOML file.

    Raises:
        UnknownName: if there is no such notation and no such file.
        NotationError: if the file cannot be read.

    Examples:
        >>> load("han2022").quantities["samples"]
        ('C', 'N')
    """
    path = Path(name)
    try:
        if name in shipped():
            return parsed(name, (SHIPPED / f"{name}.toml").read_text("utf-8"))
        if not path.exists():
            raise UnknownName(f"no notation is called {name!r} and no file either; known: {', '.join(shipped())}")
        return parsed(path.name, path.read_text("utf-8"))
    except OSError as error:
        raise NotationError(f"cannot read the notation {name} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise NotationError(f"cannot read the notation {name} (it is not UTF-8)") from None


def parsed(name: str, text: str) -> Notation:
    """The map in a TOML text.

    Raises:
        NotationError: if it is no TOML, or says something else than letters.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotationError(f"{name} is not TOML: {error}") from None
    aside = data.pop("aside", "error")
    if aside not in ("error", "prime"):
        raise NotationError(f"{name}: aside: expected 'error' or 'prime', got {aside!r}")
    quantities = data.pop("quantities", {})
    if not isinstance(quantities, dict):
        raise NotationError(f"{name}: quantities: expected a table")
    for quantity in quantities:
        if quantity not in QUANTITIES:
            raise NotationError(f"{name}: unknown quantity {quantity!r}; known: {', '.join(QUANTITIES)}")
    papers = {key: value for key, value in data.items() if isinstance(value, dict)}
    letters = {key: value for key, value in data.items() if key not in papers}
    return Notation(
        name,
        _letters(name, letters),
        {key: _letters(name, table) for key, table in papers.items()},
        _letters(name, quantities),
        aside == "prime",
    )


def _letters(name: str, table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, value in table.items():
        words = tuple(value) if isinstance(value, list) else (value,)
        for word in words:
            if not isinstance(word, str) or not _WORD.fullmatch(word) or not _balanced(word):
                raise NotationError(f"{name}: {key}: expected a letter in LaTeX, or a list of letters, got {value!r}")
        if not words:
            raise NotationError(f"{name}: {key}: expected at least one letter")
        found[key] = words
    return found


def _balanced(word: str) -> bool:
    depth = 0
    for token in tokens(word):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


# ------------------------------------------------------------------------------------------------ a claim rewritten


def renaming(notation: Notation, claim: Claim, more: Iterable[Any] = ()) -> dict[Any, Any]:
    """What every symbol of the claim becomes that does not stay; ``more`` symbols are those of its derivation.

    Raises:
        NotationError: if two symbols would have the same letter, or one the letter of something else in the claim.
    """
    symbols = (*claim.symbols, *(symbol for symbol in more if symbol not in claim.symbols))
    wanted = notation.wanted(claim, symbols[len(claim.symbols) :])
    known = [symbol for symbol in symbols if symbol not in wanted]
    owners: dict[str, Any] = {}
    for symbol, letters in wanted.items():
        if len(letters) > 1:
            continue
        if _plain(letters[0]) in owners:
            raise _collision(notation, claim, owners[_plain(letters[0])], symbol, letters[0])
        owners[_plain(letters[0])] = symbol
    used = {_plain(letter): symbol for symbol, letters in reversed(wanted.items()) for letter in letters} | owners
    counted = {parameter.symbol for parameter in claim.domain.parameters if parameter.says in MEANINGS}
    moved: dict[Any, str] = {}
    taken = {_plain(latex(symbol)) for symbol in known} | set(used)
    for symbol in known:
        letter = _plain(latex(symbol))
        factor = letter in used and letter not in owners and symbol in counted  # the K of N = K n
        if letter in used and not factor and not _vector_of(symbol, used[letter]):
            if not notation.aside:
                raise _collision(notation, claim, used[letter], symbol, latex(symbol))
            primed = letter
            while primed in taken:
                primed = _primed(primed)
            taken.add(primed)
            moved[symbol] = primed
    for letter, symbol in used.items():
        if letter in _others(claim) and letter not in {_plain(latex(old)) for old in (*wanted, *known)}:
            name = plain_name(symbol)
            raise NotationError(
                f"{notation.name}: {name} cannot be {letter} in {claim.id}, which uses {letter} already"
            )
    new = {symbol: _expression(symbol, letters) for symbol, letters in wanted.items()}
    new |= {symbol: _expression(symbol, (letter,)) for symbol, letter in moved.items()}
    new = {symbol: found for symbol, found in new.items() if found != symbol}
    return _arguments(new, known)


def spoken(found: Any) -> str:
    """What a symbol becomes in a sentence, where a product needs parentheses."""
    return f"({latex(found)})" if found.is_Mul else latex(found)


def _collision(notation: Notation, claim: Claim, first: Any, second: Any, letter: str) -> NotationError:
    names = f"{plain_name(first)} and {plain_name(second)}"
    return NotationError(
        f"{notation.name}: {names} would both be {letter} in {claim.id}; give one of them another letter"
    )


def _plain(letter: str) -> str:
    return "".join(letter.split())


def _vector_of(symbol: Any, other: Any) -> bool:
    return plain_name(symbol) == plain_name(other) and latex(symbol) != latex(other)


def _primed(letter: str) -> str:
    base, mark, index = letter.partition("_")
    return f"{base}'{mark}{index}"


def _others(claim: Claim) -> set[str]:
    """The letters of a claim that are no symbols of it: t in a(t), indices of sums, variables that it introduces."""
    bare = re.sub(r"\\(?:text|operatorname|mathrm)\{[^{}]*\}", " ", claim.statement_latex())
    return {token for token in tokens(bare) if re.fullmatch(r"[A-Za-z]|\\(?:Phi|alpha|beta|gamma|phi|psi)", token)}


def _expression(symbol: Any, letters: tuple[str, ...]) -> Any:
    """The symbol under its new name, with the same assumptions or the same shape; a product of scalars."""
    if isinstance(symbol, sp.MatrixSymbol):
        return sp.MatrixSymbol(" ".join(letters), *symbol.shape)
    assumptions = dict(symbol._assumptions_orig)
    return sp.Mul(*(sp.Symbol(letter, **assumptions) for letter in letters))


def _arguments(new: dict[Any, Any], known: list[Any]) -> dict[Any, Any]:
    """Names such as \\Sigma_W(X) hold letters in their arguments; and matrices have sizes."""
    words = {latex(old): latex(found) for old, found in new.items()}
    scalars = {old: found for old, found in new.items() if isinstance(old, sp.Symbol)}
    every = dict(new)
    for symbol in [*known, *new]:
        now = new.get(symbol, symbol)
        if not isinstance(now, sp.Symbol | sp.MatrixSymbol):
            continue  # a product
        head, opening, rest = now.name.partition("(")
        name = head + opening + _replaced(rest, words) if opening else now.name
        if isinstance(symbol, sp.MatrixSymbol):
            found = sp.MatrixSymbol(name, *(size.xreplace(scalars) for size in symbol.shape))
        elif opening:
            found = sp.Symbol(name, **dict(symbol._assumptions_orig))
        else:
            continue
        if found != symbol:
            every[symbol] = found
    return every


def _replaced(text: str, words: Mapping[str, str]) -> str:
    names = sorted(words, key=len, reverse=True)
    if not names:
        return text
    pattern = "|".join(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z_^'])" for name in names)
    return re.sub(pattern, lambda match: words[match.group()], text)


@dataclass(frozen=True)
class Written:
    """A claim in some notation: its statement, its hypotheses, its abbreviations, and what was renamed."""

    statement: Statement
    hypotheses: tuple[Statement, ...]
    definitions: Mapping[Any, Any]
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])


def abbreviated(claim: Claim, new: Mapping[Any, Any] | None = None) -> Written:
    """The claim as it is printed: with its own abbreviations, and one of the centring matrix.

    ``new`` says what symbols will be renamed to, so that no letter gets a second meaning.
    """
    renamed = new or {}
    named = {part for symbol in claim.symbols for part in renamed.get(symbol, symbol).free_symbols}
    more = centring_letter((claim.statement,), {latex(symbol) for symbol in named})
    says = (claim.statement, *(hypothesis.statement for hypothesis in claim.setting.hypotheses))
    statement, *hypotheses = (mapped(each, lambda expr: lettered(expr, more)) for each in says) if more else says
    return Written(statement, tuple(hypotheses), {**claim.setting.definitions, **more})


def written(claim: Claim, notation: Notation | None = None) -> Written:
    """The claim in a notation; in its own, without one.

    Raises:
        NotationError: if two symbols would have the same letter.

    Examples:
        >>> from tightframe.papers import registry
        >>> written(registry.find("han2022/closed-form"), load("dang2023")).statement.latex().split(" = ")[0]
        '\\\\dot w'
    """
    new = renaming(notation, claim) if notation is not None else None
    found = abbreviated(claim, new)
    definitions = needed(found.definitions, (found.statement,))
    if not new:
        return replace(found, definitions=definitions)
    letters = {plain_name(old): latex(found) for old, found in new.items() if latex(old) != latex(found)}
    hypotheses = tuple(substituted(each, new) for each in found.hypotheses)
    return Written(substituted(found.statement, new), hypotheses, defined(definitions, new), letters)
