"""Breaking long formulas: how wide LaTeX will be when typeset, and where a line may end.

Widths are estimates, in units of an average letter: enough to break in good places. A test typesets every derivation
and looks for lines that are too long.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LINE = 66.0  # an 11 pt line of 6.5 inches, with room for a number and for the errors of the estimate

AND = r"\text{ and }"

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}^_]|\s+|.", re.DOTALL)
_RELATIONS = frozenset(
    (
        "=",
        "<",
        ">",
        r"\ge",
        r"\le",
        r"\geq",
        r"\leq",
        r"\succeq",
        r"\succ",
        r"\ne",
        r"\neq",
        r"\to",
        r"\mapsto",
        r"\sim",
        r"\Longrightarrow",
    )
)
_BINARY = frozenset(("+", "-", r"\pm", r"\cdot", r"\times"))
_ACCENTS = frozenset((r"\tilde", r"\bar", r"\hat", r"\dot", r"\mathcal", r"\mathbf", r"\mathbb", r"\mathrm"))
_TEXTS = frozenset((r"\text", r"\operatorname", r"\textrm", r"\mathsf"))
_NOTHING = frozenset((r"\displaystyle", r"\limits", r"\quad", r"\qquad", r"\Bigl", r"\Bigr"))
_WIDE = {r"\quad": 1.9, r"\qquad": 3.8, r"\sum": 2.6, r"\prod": 2.4, r"\int": 1.8, r"\min": 3.6, r"\max": 3.8}
_WIDE |= {r"\inf": 2.8, r"\sup": 3.2, r"\lim": 3.0, r"\log": 2.8, r"\exp": 3.0, r"\nabla": 1.5, r"\,": 0.3, r"\;": 0.5}
_LIMITS = frozenset((r"\sum", r"\prod", r"\min", r"\max", r"\inf", r"\sup", r"\lim"))


def tokens(latex: str) -> list[str]:
    return _TOKEN.findall(latex)


def width(latex: str) -> float:
    """The estimated width of a formula.

    Examples:
        >>> width(r"\\frac{a}{b + c} x") < width("a + b + c + x")
        True
    """
    return _Reader(tokens(latex)).width()


class _Reader:
    """Reads tokens once, adding up widths."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.at = 0

    def width(self) -> float:
        total = 0.0
        while self.at < len(self.words) and self.words[self.at] != "}":
            total += self.item()
        return total

    def group(self) -> float:
        """What stands in the braces that come next, or the next item."""
        while self.at < len(self.words) and self.words[self.at].isspace():
            self.at += 1
        if self.at >= len(self.words):
            return 0.0
        if self.words[self.at] != "{":
            return self.item()
        self.at += 1
        inner = self.width()
        self.at += 1
        return inner

    def item(self) -> float:
        word = self.words[self.at]
        self.at += 1
        if word == "{":
            self.at -= 1
            return self.group()
        if word in (r"\frac", r"\tfrac", r"\dfrac"):
            return max(self.group(), self.group()) + 0.5
        if word in ("^", "_"):
            return 0.72 * self.group()
        if word in _LIMITS:
            return max(_WIDE[word], self._scripts()) + 0.4
        if word in _TEXTS:
            return 0.95 * self.group()
        if word in _ACCENTS:
            return self.group()
        if word in _WIDE:
            return _WIDE[word]
        if word in (r"\left", r"\right"):
            self.at += 1
            return 1.35
        if word in _NOTHING or word.isspace():
            return 0.0
        if word in _RELATIONS or word in _BINARY:
            return 2.4
        if word == r"\\":
            return 0.0
        return 1.4 if word.isupper() else 1.0

    def _scripts(self) -> float:
        widest = 0.0
        while self.at < len(self.words) and self.words[self.at] in ("^", "_"):
            self.at += 1
            widest = max(widest, 0.72 * self.group())
        return widest


# ------------------------------------------------------------------------------------------------ lines


def broken(latex: str, line: float = LINE) -> tuple[str, ...]:
    """The formula as rows of an ``aligned`` block, each with its ``&``; one row without ``&`` if it fits on a line.

    Statements joined by "and" become rows with a comma at the end. Other rows begin with a condition, a relation or a
    sign between terms, in this order of preference. Where terms are too long themselves, they are broken between
    factors, then inside parentheses, whose size is then fixed.

    Examples:
        >>> broken("a = b")
        ('a = b',)
        >>> broken("a = b + c", line=7)
        ('a &= b', '&\\\\quad + c')
    """
    if width(latex) <= line:
        return (latex,)
    parts = _listed(cut(latex, "and"))
    if len(parts) > 1:
        every = ((first, *map(_continued, rest)) for first, *rest in (_rows(part, line) for part in parts))
        return tuple(f"&{row.removeprefix('&')}" for rows in every for row in rows)
    left = left_side(latex)
    right = latex.removeprefix(left).lstrip()
    beside = bool(right) and width(left) <= 0.3 * line
    first, *rest = _rows(right, line - width(left)) if beside else _rows(latex, line)
    if not rest:  # too long, and it cannot be broken
        return (latex,)
    if beside:
        relation = tokens(right)[0]
        first = f"{left} &{relation} {first.removeprefix(relation).lstrip()}"
    else:
        first = f"&{first}"
    return (first, *map(_continued, rest))


def _listed(parts: Sequence[str]) -> list[str]:
    """Rows of a list: a comma at their ends in place of "and" at their beginnings."""
    found: list[str] = []
    for part in parts:
        if part.startswith(AND):
            found[-1] += ","
        found.append(part.removeprefix(AND).lstrip())
    return found


def _continued(row: str) -> str:
    text = row.removeprefix(r"\quad").lstrip()
    return rf"&\quad {text}"


def _rows(latex: str, line: float) -> list[str]:
    """Rows as full as possible, cut at the first of the places where the formula can be cut at all."""
    if width(latex) <= line:
        return [latex]
    cuts = (cut(latex, place) for place in PLACES)
    parts = next((parts for parts in cuts if len(parts) > 1), [latex])
    if len(parts) == 1:
        return parts
    rows: list[str] = []
    for part in parts:
        if rows and width(f"{rows[-1]} {part}") <= line:
            rows[-1] += f" {part}"
        elif len(rows) == 1 and width(rows[0]) <= 0.1 * line:  # nothing as short as "x" stands alone
            first, *rest = _rows(part, line - width(rows[0]) - 1)
            rows = [f"{rows[0]} {first}", *rest]
        else:
            rows += _rows(part, line - 2)
    return rows


def block(formulas: Sequence[str], line: float = LINE) -> tuple[str, ...]:
    """Several equations as rows of one aligned block, with their relations below each other; one alone as `broken`.

    Examples:
        >>> block(["a = b + c", "x + y = z"])
        ('a &= b + c', 'x + y &= z')
    """
    if len(formulas) == 1:
        return broken(formulas[0], line)
    sides = [left_side(formula) for formula in formulas]
    room = line - max(map(width, sides), default=0.0)
    rows: list[str] = []
    for formula, left in zip(formulas, sides, strict=True):
        right = formula.removeprefix(left).lstrip()
        first, *rest = _rows(right, room)
        rows += [f"{left} &{first}", *map(_continued, rest)]
    return tuple(rows)


def fills_a_page(rows: Sequence[str]) -> bool:
    """Whether the rows may not fit on one page, so that a page break has to be allowed between them."""
    return sum(2.4 if r"\frac" in row or r"\sum" in row else 1.5 for row in rows) > 36  # of some 46 lines


def left_side(equation: str) -> str:
    """What stands before the first relation."""
    parts = cut(equation, "relation")
    return parts[0] if len(parts) > 1 else ""


# Where a formula may be cut, best first: before "and", a condition, an implication, a relation, a sign between terms,
# a factor in parentheses; and inside its outermost parentheses.
PLACES = ("and", "condition", "implication", "relation", "term", "factor", "inside")


def cut(latex: str, place: str) -> list[str]:
    """The formula cut at one kind of place; a list of one if there is none.

    Parentheses that are cut open get a fixed size, because ``\\left`` and ``\\right`` must stand on one line.

    Examples:
        >>> cut(r"a = b + \\left(c - d\\right)", "relation")
        ['a', '= b + \\\\left(c - d\\\\right)']
        >>> cut(r"b + \\left(c - d\\right)", "term")
        ['b', '+ \\\\left(c - d\\\\right)']
        >>> cut(r"\\left(c - d\\right)", "inside")
        ['\\\\Bigl(c', '- d\\\\Bigr)']
    """
    if place == "inside":
        tried = (_cut(latex, where, depth) for depth in (1, 2) for where in ("term", "factor"))
        return next((parts for parts in tried if len(parts) > 1), [latex])
    parts = _cut(latex, place, 0)
    for i in range(len(parts) - 1, 0, -1):  # "at" stays with what it announces
        if re.fullmatch(r"\\quad \\text\{[^{}]*\}", parts[i - 1]):
            parts[i - 1 : i + 1] = [f"{parts[i - 1]} {parts[i]}"]
    return parts


def _cut(latex: str, place: str, depth: int) -> list[str]:
    found = [""]
    braces = parentheses = 0
    before = ["", ""]  # the last two tokens that are no space
    words = tokens(latex)
    for i, word in enumerate(words):
        braces += {"{": 1, "}": -1}.get(word, 0)
        outer = parentheses  # the depth at which a cut before this token would be made
        bars = before[-1] not in (r"\left", r"\right") and (word == r"\lVert") - (word == r"\rVert")
        parentheses += (word == r"\left") + max(bars, 0)
        if braces == 0 and outer <= depth and before[-1] and _allowed(words, i, before, place):
            found.append("")
        fixed = {r"\left": r"\Bigl", r"\right": r"\Bigr"}.get(word, word)
        found[-1] += fixed if braces == 0 and parentheses <= depth else word
        parentheses -= (word == r"\right") - min(bars, 0)
        if not word.isspace():
            before = [before[-1], word]
    return [part.strip() for part in found if part.strip()]


def _allowed(words: Sequence[str], i: int, before: Sequence[str], place: str) -> bool:
    """Whether a row may begin at the i-th token."""
    word = words[i]
    opened = before[0] in (r"\left", r"\Bigl")
    match place:
        case "and":
            return word == r"\text" and "".join(words[i + 1 : i + 6]).strip("{} ") in ("and", "or")
        case "condition":
            return word == r"\quad"
        case "implication":
            return word == r"\Longrightarrow"
        case "relation":
            return word in _RELATIONS
        case "term":
            spaced = i > 0 and words[i - 1].isspace()
            return word in _BINARY and spaced and before[-1] not in _RELATIONS and not opened
        case _:  # factor
            spaced = words[i - 1].isspace()  # not between \operatorname{tr} and its argument
            first = before[-1] in _RELATIONS or before[-1] in _BINARY
            return word in (r"\left", r"\Bigl", r"\exp", r"\log") and spaced and not first and not opened
