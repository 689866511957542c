"""The grammar of formulas: their tokens as terminals, with the symbols of a claim among them, and the parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import sympy as sp

from .latex_tokens import TEXT, Token, Unreadable
from .symbol_table import SymbolTable

GRAMMAR = r"""
start: sentence ((AND|COMMA) sentence)*

?sentence: chain | minimum | infima | gradient | increasing | limit | motion | decay | invertible

chain: sum (relation sum)+ [where]
!relation: EQ | GT | GE | LT | LE | NE | PSD | PD | SIM | OTHER
where: FOR box (OR box)*
box: condition (COMMA condition)*
condition: sum (relation sum)+

minimum: MIN SUB variables CLOSE product EQ sum [at]
at: (AT | EXACTLY) symbol EQ sum (COMMA symbol EQ sum)*
infima: INF SUB variables CLOSE product EQ INF SUB variables CLOSE product
variables: symbol (COMMA symbol)*
gradient: NABLA SUB symbol CLOSE product EQ sum
increasing: symbol MAPSTO sum INCREASES
limit: LIM SUB symbol TO INFTY CLOSE sum EQ NUMBER
invertible: sum INVERTIBLE

motion: RATE EQ sum IMPLIES (sum EQ sum | growth)
growth: symbol UP INFTY COMMA sum SIM sum
decay: sum SIM sum COMMA RATE EQ sum

?sum: signed | sum plus signed
!plus: PLUS | MINUS
?signed: product | negative
negative: MINUS product
?product: factors | slashed
factors: (factor | factors factor | factors DOT factor)
       | factors last | factors DOT last | last                -> factors
slashed: factors SLASH factor
?last: bare | total | derivative

bare: function (symbol | number | frac)
total: SUM SUB index EQ sum CLOSE SUP sum CLOSE product
index: LETTER | SYMBOL
derivative: DERIVATIVE symbol CLOSE factor

?factor: primary
       | primary SUP sum CLOSE    -> power
       | primary TRANSPOSE        -> transpose
       | primary LETTER_T         -> transpose_or_power
       | primary INVERSE_TRANSPOSE -> inverse_transpose
?primary: group | symbol | number | frac | root | norm | call | ones | eye | diag | entry | member | euler
group: LPAR sum RPAR | LSQB sum RSQB | LBRACE sum RBRACE
symbol: SYMBOL
number: NUMBER
frac: FRAC OPEN sum CLOSE OPEN sum CLOSE
root: SQRT [LSQB sum RSQB] OPEN sum CLOSE
norm: NORM_OPEN sum NORM_CLOSE SUP sum CLOSE        -> bare_norm
    | NORM_OPEN sum NORM_CLOSE FROBENIUS SUP sum CLOSE
call: function group
!function: LOG | EXP | TRACE
ones: ONES SUB sum CLOSE
eye: EYE [SUB sum CLOSE]
diag: DIAG group
entry: ENTRY
member: MEMBER
euler: EULER

%declare AND OR COMMA EQ GT GE LT LE NE PSD PD SIM OTHER FOR MIN INF AT EXACTLY NABLA MAPSTO INCREASES LIM TO
%declare INFTY INVERTIBLE RATE IMPLIES UP PLUS MINUS DOT SLASH SUM SUB SUP OPEN CLOSE LETTER DERIVATIVE TRANSPOSE
%declare LETTER_T INVERSE_TRANSPOSE LBRACE RBRACE SYMBOL NUMBER FRAC SQRT NORM_OPEN NORM_CLOSE FROBENIUS LOG EXP TRACE
%declare ONES EYE DIAG ENTRY MEMBER EULER LPAR RPAR LSQB RSQB
"""

_SIMPLE = {
    "=": "EQ",
    ">": "GT",
    "<": "LT",
    r"\ge": "GE",
    r"\le": "LE",
    r"\ne": "NE",
    r"\succeq": "PSD",
    r"\succ": "PD",
    r"\sim": "SIM",
    r"\approx": "OTHER",
    r"\equiv": "OTHER",
    r"\propto": "OTHER",
    r"\simeq": "OTHER",
    r"\preceq": "OTHER",
    r"\prec": "OTHER",
    ",": "COMMA",
    ";": "COMMA",
    "+": "PLUS",
    "-": "MINUS",
    "−": "MINUS",
    r"\cdot": "DOT",
    r"\times": "DOT",
    "*": "DOT",
    "/": "SLASH",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    r"\{": "LBRACE",
    r"\}": "RBRACE",
    r"\min": "MIN",
    r"\inf": "INF",
    r"\lim": "LIM",
    r"\nabla": "NABLA",
    r"\mapsto": "MAPSTO",
    r"\to": "TO",
    r"\infty": "INFTY",
    r"\Longrightarrow": "IMPLIES",
    r"\uparrow": "UP",
    r"\sum": "SUM",
    r"\log": "LOG",
    r"\exp": "EXP",
    r"\tr": "TRACE",
    r"\lVert": "NORM_OPEN",
    r"\rVert": "NORM_CLOSE",
    r"\frac": "FRAC",
    r"\sqrt": "SQRT",
}
_WORDS = {
    "and": "AND",
    "or": "OR",
    "at": "AT",
    "exactly at": "EXACTLY",
    "increases strictly": "INCREASES",
    "is invertible": "INVERTIBLE",
    "for": "FOR",
    "for all": "FOR",
    "if": "FOR",
    "when": "FOR",
    "where": "FOR",
}
_OPERATORS = {"tr": "TRACE", "Tr": "TRACE", "trace": "TRACE", "diag": "DIAG", "log": "LOG", "ln": "LOG", "exp": "EXP"}
_TRANSPOSES = ((r"\top",), (r"\intercal",), (r"\mathsf", "{", "T", "}"), (r"\mathrm", "{", "T", "}"))
_ENDS = frozenset(  # what a number cannot follow: x 2 and W_1 2 have no one meaning
    ("SYMBOL", "NUMBER", "RPAR", "RSQB", "RBRACE", "CLOSE", "ENTRY", "MEMBER", "EULER", "TRANSPOSE", "LETTER_T", "EYE")
)


def _terminals(tokens: Sequence[Token], table: SymbolTable) -> Iterator[tuple[str, Any, Token]]:
    """Kinds of the grammar with their values."""
    braces: list[str] = []
    norms = 0
    longest = table.longest
    texts = tuple("\0" + token.text if token.kind else token.text for token in tokens)
    at, previous = 0, ""

    def ahead(count: int, start: int | None = None) -> tuple[str, ...]:
        begin = at if start is None else start
        return texts[begin : begin + count]

    while at < len(tokens):
        token, text = tokens[at], texts[at]
        kind: str
        value: Any = None
        step = 1
        if (known := _name(texts, at, longest, table)) is not None:
            kind, value, step = known
            if kind == "AMBIGUOUS":
                raise Unreadable(f"{' '.join(ahead(step))} stands for two objects of the claim", token.at)
        elif token.kind == TEXT:
            kind = _WORDS.get(token.text, "")
            if not kind:
                raise Unreadable(f"the words {token.text!r}", token.at)
        elif text == "_" and previous == "NORM_CLOSE" and (length := _frobenius(texts, at)):
            kind, step = "FROBENIUS", length
        elif text == "^" and (found := _transposed(texts, at)) is not None:
            kind, step = found
        elif text in ("^", "_"):
            kind, step = ("SUP" if text == "^" else "SUB"), 2
            braces.append("CLOSE")
        elif text == "{":
            kind = "OPEN"
            braces.append("CLOSE")
        elif text == "}":
            kind = braces.pop()
        elif text == r"\frac" and _derivative(ahead(8), table):
            kind, step = "DERIVATIVE", 6
            braces.append("CLOSE")
        elif text[:1].isdigit():
            kind, value, step = _number(texts, at, token)
            power = texts[at + step : at + step + 1] == ("^",) and previous != "NUMBER"  # m 2^k is clear
            if kind == "NUMBER" and previous in _ENDS and not power:
                raise Unreadable(f"the number {text} after a factor", token.at)
        elif text == r"\|":
            norms = 1 - norms
            kind = "NORM_OPEN" if norms else "NORM_CLOSE"
        elif ahead(4)[:1] in ((r"\mathbf",), (r"\boldsymbol",), (r"\mathbbm",)) and ahead(4)[1:] == ("{", "1", "}"):
            kind, step = "ONES", 4
        elif text in (r"\mathbf", r"\boldsymbol") and ahead(4)[1:] == ("{", "0", "}"):
            kind, value, step = "NUMBER", sp.Integer(0), 4
        elif text in (r"\operatorname", r"\mathrm", r"\mathbf") and "}" in ahead(9):
            word = "".join(ahead(9)[2 : ahead(9).index("}")])
            step = ahead(9).index("}") + 1
            kind = _OPERATORS.get(word, "") if text != r"\mathbf" else ""
            kind = "EYE" if word == "I" and text != r"\operatorname" else kind
            kind = "EULER" if word == "e" and text == r"\mathrm" else kind
            if not kind:
                raise Unreadable(f"{text}{{{word}}} is no symbol of the claim", token.at)
        elif text == "I":
            kind = "EYE"
        elif text == "e":
            kind = "EULER"
        elif text in _SIMPLE:
            kind = _SIMPLE[text]
        elif len(text) == 1 and text.isalpha() and text.isascii() and (previous == "SUB" and _before_sum(texts, at)):
            kind, value = "LETTER", text
        else:
            raise Unreadable(f"{text} is no symbol of the claim", token.at)
        yield kind, value, token
        previous, at = kind, at + step


def _name(texts: tuple[str, ...], at: int, longest: int, table: SymbolTable) -> tuple[str, Any, int] | None:
    """The longest name of the table that begins here."""
    for length in range(min(longest, len(texts) - at), 0, -1):
        key = texts[at : at + length]
        if key in table.ambiguous:
            return "AMBIGUOUS", None, length
        if key in table.rates:
            return "RATE", table.rates[key], length
        if key in table.symbols:
            entry = _indexed(texts, at, table)  # w_j, where w itself is a symbol too
            return entry or ("SYMBOL", (table.symbols[key], key), length)
    return _indexed(texts, at, table)


def _indexed(texts: tuple[str, ...], at: int, table: SymbolTable) -> tuple[str, Any, int] | None:
    """An entry w_j of a vector, or one w_j of several solutions."""
    for kind, known in (("ENTRY", table.vectors), ("MEMBER", table.members)):
        for key, symbol in known.items():
            end = at + len(key)
            index = texts[end : end + 4]
            if texts[at:end] == key and index[:2] == ("_", "{") and index[3:] == ("}",) and index[2].isalpha():
                return kind, (symbol, index[2]), len(key) + 4
    return None


def _frobenius(texts: tuple[str, ...], at: int) -> int:
    """How many tokens the subscript F takes."""
    for name in (("F",), (r"\mathrm", "{", "F", "}"), (r"\mathsf", "{", "F", "}")):
        wanted = ("_", "{", *name, "}")
        if texts[at : at + len(wanted)] == wanted:
            return len(wanted)
    return 0


def _transposed(texts: tuple[str, ...], at: int) -> tuple[str, int] | None:
    """A superscript that transposes, up to its closing brace."""
    inner = texts[at + 2 : at + 7]
    if inner[:2] == ("T", "}"):
        return "LETTER_T", 4
    for sign, kind in (((), "TRANSPOSE"), (("-",), "INVERSE_TRANSPOSE")):
        for name in _TRANSPOSES:
            wanted = (*sign, *name, "}")
            if inner[: len(wanted)] == wanted or texts[at + 2 : at + 2 + len(wanted)] == wanted:
                return kind, 2 + len(wanted)
    if texts[at + 2 : at + 5] == ("-", "T", "}"):
        return "INVERSE_TRANSPOSE", 5
    return None


def _derivative(texts: tuple[str, ...], table: SymbolTable) -> bool:
    r"""Whether \frac{d}{d or \frac{\partial}{\partial begins a derivative; the symbol follows.

    The letters are those of a fraction where the claim has no derivative.
    """
    return "Derivative" in table.functions and any(
        texts[1:6] == ("{", sign, "}", "{", sign) and texts[6:7] != ("}",) for sign in ("d", r"\partial")
    )


def _number(texts: tuple[str, ...], at: int, token: Token) -> tuple[str, Any, int]:
    text = texts[at]
    if text == "1" and texts[at + 1 : at + 3] == ("_", "{"):
        return "ONES", None, 1
    if texts[at + 1 : at + 2] == (".",) and texts[at + 2 : at + 3] and texts[at + 2][:1].isdigit():
        digits = texts[at + 2]
        return "NUMBER", sp.Rational(int(text + digits), 10 ** len(digits)), 3
    if not text.isascii():
        raise Unreadable(f"{text} is no number", token.at)
    return "NUMBER", sp.Integer(int(text)), 1


def _before_sum(texts: tuple[str, ...], at: int) -> bool:
    return at >= 3 and texts[at - 3] == r"\sum" and texts[at + 1 : at + 2] == ("=",)


# ---------------------------------------------------------------------------------------------------- parsing


def lark() -> Any:
    """The library of parsers.

    Raises:
        ImportError: in one line that names the extra, where it is not installed.
    """
    try:
        import lark as library
    except ImportError:
        raise ImportError("reading formulas needs lark; install tightframe[write]") from None
    return library


@cache
def _parser() -> Any:
    library = lark()

    class Meaning(library.Token):  # type: ignore[misc]
        """A token with what it stands for."""

        payload: Any = None

    class Lexer(library.lexer.Lexer):  # type: ignore[misc]
        """Hands on the tokens that stand in the table of this parse."""

        def __init__(self, options: Any) -> None:
            self.options = options

        def lex(self, data: Any) -> Iterator[Any]:
            for kind, value, token in data:
                made = Meaning(kind, token.text, start_pos=token.at)
                made.payload = value
                yield made

    return library.Lark(GRAMMAR, parser="lalr", lexer=Lexer)


def parsed(tokens: list[Token], table: SymbolTable) -> Any:
    library = lark()
    end = tokens[-1].at + len(tokens[-1].text) if tokens else 0
    try:
        return _parser().parse(list(_terminals(tokens, table)))
    except library.UnexpectedToken as error:
        if error.token.type == "$END":
            raise Unreadable("the formula ends early", end) from None
        raise Unreadable(f"unexpected {error.token}", error.token.start_pos) from None
