"""Sentences with formulas in plain text (``H Y^T = M Delta``), cut into words and mathematics for typesetting.

Reasons and hypotheses are written in plain text, which reads well in code and in a terminal. Here the formulas in them
are found again: a letter standing alone, a Greek name, a symbol of the claim, anything with an index or an exponent,
and what such things form with signs, numbers and parentheses. The article "A" at the start of a sentence is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..theory.printing import UPRIGHT, latex

_LETTERS = "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
GREEK = frozenset(_LETTERS.split() + "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split())  # noqa: SIM905
_LETTER = {name: rf"\{name}" for name in GREEK} | {"lam": r"\lambda"}  # "lambda" is a word of Python
_FUNCTIONS = {"tr": r"\operatorname{tr}", "diag": r"\operatorname{diag}", "rank": r"\operatorname{rank}"}
_FUNCTIONS |= {name: rf"\{name}" for name in ("log", "exp", "min", "max", "inf", "sup", "lim")}
_FUNCTIONS |= {"grad": r"\nabla", "Proj": r"\operatorname{Proj}"}
_FUNCTIONS["sum"] = r"\textstyle\sum"
_SIGNS = {"=": "=", "+": "+", "-": "-", "*": r"\cdot", "/": "/", "<": "<", ">": ">", ">=": r"\ge", "<=": r"\le"}
_SIGNS |= {"->": r"\to", "!=": r"\ne", "|": "|", "~": r"\sim"}
_VERBS = ("is", "has", "exists", "and", "or", "tends", "to")
_BARRED = "[A-Zhwz]bar"  # Mbar, hbar
_OPEN, _CLOSE = {"(": "(", "{": r"\{", "[": "["}, {")": ")", "}": r"\}", "]": "]"}

_BRACKETS = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_SCRIPT = rf"(?:\^T\b|[_^]\{{[^{{}}]*\}}|[_^]{_BRACKETS}|\^\+|\^-?[0-9]+|[_^][A-Za-z0-9]+|\*(?=[,.:;)]|\s[a-z]|$))"
_LEXEME = re.compile(
    rf"(?P<primed>\b(?:[A-Za-z]|{'|'.join(sorted(GREEK))})')(?![A-Za-z])"
    rf"|(?P<name>[A-Za-z]+)(?P<scripts>{_SCRIPT}+)"
    rf"|(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<exponents>{_SCRIPT}*)"
    r"|(?P<word>(?![A-Za-z]-[A-Za-z]\b)[A-Za-z]+(?:['’-][A-Za-z]+)*|[A-Za-z])"  # k-j is a difference
    rf"|(?P<norm>\|\|)(?P<index>{_SCRIPT}*)"
    r"|(?P<dots>\.\.\.)"
    r"|(?P<sign>>=|<=|->|!=|[-=+*/<>|~])"
    r"|(?P<open>[({\[])"
    rf"|(?P<close>[)}}\]])(?P<power>{_SCRIPT}*)"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)"
)


@dataclass(frozen=True)
class Piece:
    """A run of plain words, or a formula in LaTeX; ``source`` is what stood there."""

    text: str
    formula: bool = False
    source: str = ""


def plain_name(symbol: Any) -> str:
    """What a symbol is called in plain text: ``Sigma_T`` for ``\\tilde{\\Sigma}_T``.

    Examples:
        >>> plain_name(sp.Symbol(r"\\mathcal{L}_{LS}(\\tilde{H})")), plain_name(sp.Symbol("Htilde"))
        ('L_LS', 'H')
    """
    name = re.sub(r"\(.*\)$", "", str(getattr(symbol, "name", symbol)))
    name = re.sub(r"\\(?:tilde|bar|hat|mathcal|mathbf|mathrm)\{([^{}]*)\}", r"\1", name)
    return re.sub(r"[\\{}]", "", name).removesuffix("tilde")


def names(symbols: Iterable[Any]) -> dict[str, str]:
    """Plain names of symbols with their LaTeX; a name without its index stands for the symbol if only one has it."""
    found: dict[str, str] = {}
    for symbol in symbols:
        name, tex = plain_name(symbol), latex(symbol)
        other = found.get(name, tex)
        if _bold(tex, other):  # of a vector and its entries the light letter
            continue
        found[name] = tex if tex == other or _bold(other, tex) else _without_argument(tex)
    stems: dict[str, list[str]] = {}
    for name in found:
        stems.setdefault(name.partition("_")[0], []).append(name)
    return {stem: found[full[0]] for stem, full in stems.items() if len(full) == 1} | found


def _bold(tex: str, other: str) -> bool:
    return tex == rf"\mathbf{{{other}}}"


def _without_argument(tex: str) -> str:
    return re.sub(r"\(.*\)$", "", tex)


def _indexed(tex: str) -> bool:
    return "_" in tex


@dataclass
class _Lexeme:
    """``kind`` is atom, sign, open, close, norm, space, comma or word."""

    kind: str
    text: str
    tex: str


def pieces(text: str, known: Mapping[str, str] | None = None) -> tuple[Piece, ...]:
    """Cut a sentence into words and formulas; ``known`` gives the LaTeX of names, as :func:`names` does.

    Examples:
        >>> [piece.text for piece in pieces("A sum is zero: H Y^T = M Delta.")]
        ['A sum is zero: ', 'H Y^{\\\\top} = M \\\\Delta', '.']
    """
    # of X and X_opt in one sentence the first is not short for the second
    names = {name: tex for name, tex in (known or {}).items() if not re.search(rf"\b{re.escape(name)}_", text)}
    names |= {name: tex for name, tex in (known or {}).items() if "_" in name or not _indexed(tex)}
    lexemes = _lexemes(text, names)
    found: list[Piece] = []
    words = ""
    at = 0
    while at < len(lexemes):
        stop = _formula(lexemes, at)
        if stop == at:
            words += lexemes[at].text
            at += 1
            continue
        if words:
            found.append(Piece(words, source=words))
            words = ""
        source = "".join(lexeme.text for lexeme in lexemes[at:stop])
        found.append(Piece(_typeset(lexemes[at:stop]), formula=True, source=source))
        at = stop
    return (*found, Piece(words, source=words)) if words else tuple(found)


def _lexemes(text: str, known: Mapping[str, str]) -> list[_Lexeme]:
    found: list[_Lexeme] = []
    matches = list(_LEXEME.finditer(text))
    for i, match in enumerate(matches):
        kind, whole = match.lastgroup or "", match.group()
        if match["name"] is not None:
            tex = _scripted(match["name"], match["scripts"], known)
            applied = text[match.end() : match.end() + 1] == "("
            found.append(_Lexeme("atom", whole, _without_argument(tex) if applied else tex))
        elif match["primed"] is not None:
            found.append(_Lexeme("atom", whole, f"{_base(whole[:-1], known)}'"))
        elif match["number"] is not None:
            exponents = _scripts(match["exponents"] or "", known)
            base = match["number"]
            if exponents.startswith(r"^{\top}"):
                base = r"\mathbf{1}" * len(base) if set(base) == {"1"} else base
            after_word = bool(found) and found[-1].kind == "word"  # NC1, and the 3 of NC2/3
            found.append(_Lexeme("word" if after_word else "atom", whole, base + exponents))
        elif match["word"] is not None:
            found.append(_word(match, matches[i + 1 :], found, known))
        elif match["dots"] is not None:
            beside = bool(found) and found[-1].kind in ("atom", "close", "comma", "space")
            found.append(_Lexeme("atom", whole, r"\ldots") if beside else _Lexeme("word", whole, whole))
        elif match["norm"] is not None:
            opening = sum(lexeme.kind == "norm" for lexeme in found) % 2 == 0
            tex = r"\lVert" if opening else r"\rVert" + _scripts(match["index"] or "", known)
            found.append(_Lexeme("norm", whole, tex))
        elif kind == "sign":
            inside = found and found[-1].kind == "word" and whole == "/" and i + 1 < len(matches)
            found.append(_Lexeme("word" if inside else "sign", whole, _SIGNS[whole]))
        elif kind == "open":
            found.append(_Lexeme("open", whole, _OPEN[whole]))
        elif match["close"] is not None:
            found.append(_Lexeme("close", whole, _CLOSE[match["close"]] + _scripts(match["power"] or "", known)))
        else:
            found.append(_Lexeme("space" if kind == "space" else "comma" if whole == "," else "word", whole, whole))
    return found


def _word(match: re.Match[str], later: list[re.Match[str]], before: list[_Lexeme], known: Mapping[str, str]) -> _Lexeme:
    """A letter alone, a Greek name, a function or a known name is mathematics; an article is not."""
    word = match.group()
    following = later[0].group() if later else ""
    after = later[1].group() if following.isspace() and len(later) > 1 else following
    article = word == "a" and after not in (*_SIGNS, ")")
    article = article and not (word in known and (after in _VERBS or not re.fullmatch("[a-z]{2,}['a-z-]*", after)))
    if word == "A":
        start = not any(lexeme.kind != "space" for lexeme in before) or before[-2:][0].text in (".", ":")
        name = after in _LETTER or after in known or re.fullmatch(_BARRED, after)
        verb = after in _VERBS or name or not re.fullmatch("[A-Za-z][a-z]+(?:-[a-z]+)*", after)
        article = start and not verb
    applied = following in ("(", "{", "[")
    argument = bool(re.match("[A-Za-z0-9(]", after)) and not re.fullmatch("[a-z]{2,}['a-z-]*", after)
    argument = argument or after in _LETTER
    argument = argument and not (word == "rank" and after[0].islower())  # of rank d
    if word in _FUNCTIONS and (applied or argument or word in ("tr", "diag", "grad", "Proj")):
        return _Lexeme("atom", word, _FUNCTIONS[word])
    if not article and (word in known or word in _LETTER or len(word) == 1 or re.fullmatch(_BARRED, word)):
        tex = _base(word, known)
        return _Lexeme("atom", word, _without_argument(tex) if following == "(" else tex)
    previous = before[-1].text if before else ""
    if re.fullmatch("d[A-Za-z]", word) and "/" in (previous, following):  # dw/dt
        return _Lexeme("atom", word, _base(word, known))
    letter = len(later) > 2 and re.fullmatch("[a-rt-z]", after) and later[2].group().startswith(")")  # not "part(s)"
    if applied and (word[0].isupper() or (following == "(" and letter)):
        return _Lexeme("atom", word, rf"\operatorname{{{word}}}")
    return _Lexeme("word", word, word)


def _base(name: str, known: Mapping[str, str]) -> str:
    if name in known:
        return known[name]
    if re.fullmatch(_BARRED, name):
        return rf"\bar{{{name[0]}}}"
    if name in _LETTER or name in _FUNCTIONS:
        return _LETTER.get(name) or _FUNCTIONS[name]
    if len(name) == 2 and name[0] == "d":  # a differential
        return f"d{_base(name[1], known)}"
    return sp.latex(sp.Symbol(name))


def _scripted(name: str, scripts: str, known: Mapping[str, str]) -> str:
    """A name with indices and exponents, as much of it as possible looked up among the known names."""
    for stop in range(len(scripts), 0 if scripts.startswith("_") else -1, -1):  # an index belongs to the name
        full = re.sub(r"[{}]", "", name + scripts[:stop])
        if full in known and (stop == len(scripts) or scripts[stop] in "^_"):
            rest, base = scripts[stop:], known[full]
            if rest and "^" in base and rest.startswith("^"):
                base = rf"\bigl({base}\bigr)"
            return base + _scripts(rest, known)
    return _base(name, {} if scripts.startswith("_") else known) + _scripts(scripts, known)


def _scripts(scripts: str, known: Mapping[str, str]) -> str:
    found = ""
    for part in re.findall(_SCRIPT, scripts):
        mark, inner = ("^", "*") if part == "*" else (part[0], part[1:])
        if inner[0] in "{(":
            inner = inner[1:-1]
        if mark == "^" and inner == "T":
            inner = r"\top"
        elif inner == "perp":
            inner = r"\perp"
        elif inner in _LETTER:
            inner = _LETTER[inner]
        elif mark == "_" and re.fullmatch(UPRIGHT, inner):
            inner = rf"\mathrm{{{inner}}}"
        else:
            letters = {**(known if mark == "^" else {}), **_LETTER}
            inner = re.sub("[A-Za-z]+", lambda word: letters.get(word.group(), word.group()), inner)  # noqa: B023
        found += f"{mark}{{{inner}}}"
    return found


def _formula(lexemes: list[_Lexeme], start: int) -> int:
    """Where the formula that begins at ``start`` ends; ``start`` itself if none begins there."""
    if lexemes[start].kind in ("space", "comma", "close"):
        return start
    best = start
    depth: list[str] = []
    norm = False
    operand = False  # the last lexeme was an operand
    for i in range(start, len(lexemes)):
        kind, text = lexemes[i].kind, lexemes[i].text
        if kind == "word":
            break
        if kind == "comma":
            if not depth:
                break
            operand = False
        elif kind == "open":
            depth.append(text)
            operand = False
        elif kind == "close":
            if not depth or not operand:
                break
            depth.pop()
        elif kind == "norm":
            norm, operand = not norm, norm
        elif kind == "sign":
            if not operand and text != "-":
                break
            operand = False
        elif kind == "atom":
            operand = True
        if operand and not depth and not norm and kind != "space":
            best = i + 1
    return best if any(lexeme.kind in ("atom", "norm") for lexeme in lexemes[start:best]) else start


def _typeset(lexemes: list[_Lexeme]) -> str:
    """LaTeX of a formula; a 1 beside a matrix is the vector of ones."""
    visible = [lexeme for lexeme in lexemes if lexeme.kind != "space"]
    found: list[str] = []
    for i, lexeme in enumerate(visible):
        tex = lexeme.tex
        beside = i > 0 and visible[i - 1].kind in ("atom", "close") and not visible[i - 1].text.isdigit()
        if lexeme.text == "1" and (beside or (visible[i + 1 : i + 2] and visible[i + 1].text == "1^T")):
            tex = r"\mathbf{1}"
        found.append(tex)
    text = " ".join(found)
    return re.sub(r"(?<=[(\[{]) | (?=[)\],}]|\\\})|(?<=\\lVert)(?= \\lVert)", "", text)
