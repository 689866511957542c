"""Sentences with formulas as a terminal shows them: Greek letters, signs, and exponents where Unicode has them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sympy.printing.pretty.pretty_symbology import greek_unicode, sub, sup

from .prose import GREEK, pieces

_LETTERS = {name: greek_unicode[name] for name in GREEK} | {"lam": "λ", "sum": "Σ", "grad": "∇"}
_SIGNS = {">=": "≥", "<=": "≤", "->": "→", "!=": "≠", "||": "‖"}
_RAISED, _LOWERED = {**sup, "T": "ᵀ"}, sub
_BAR = "\N{COMBINING MACRON}"

_TOKEN = re.compile(
    r"(?P<script>[_^](?:\{(?P<braced>[^{}]*)\}|(?P<bare>-?[0-9]+|[A-Za-z0-9]+)))"
    r"|(?P<barred>[A-Za-z])bar(?![A-Za-z])|(?P<word>[A-Za-z]+)|(?P<sign>>=|<=|->|!=|\|\|)|."
)


def sentence(text: str, known: Mapping[str, str] | None = None) -> str:
    """The sentence in Unicode; what has no sign there stays as it is written.

    Examples:
        >>> print(sentence("W W^T and Hbar are multiples of I, for lam_H >= 2^(1/M)"))
        W Wᵀ and H̄ are multiples of I, for λ_H ≥ 2^(1/M)
    """
    return "".join(_formula(piece.source) if piece.formula else piece.text for piece in pieces(text, known))


def _formula(text: str) -> str:
    return "".join(_sign(match) for match in _TOKEN.finditer(text))


def _sign(match: re.Match[str]) -> str:
    whole = match.group()
    if match["barred"]:
        return match["barred"] + _BAR
    if match["word"]:
        return _LETTERS.get(whole, whole)
    if match["script"] is None:
        return _SIGNS.get(whole, whole)
    inner, signs = match["braced"] or match["bare"] or "", _RAISED if whole[0] == "^" else _LOWERED
    if inner and all(char in signs for char in inner):
        return "".join(signs[char] for char in inner)
    return whole[0] + _formula(whole[1:])
