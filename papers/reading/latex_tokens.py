"""LaTeX formulas as tokens with explicit arguments: what TeX sets, without spaces, sizes and braces that do nothing.

Nothing is run: a macro of the manuscript that takes no argument is replaced by its text, anything else unknown stays a
token of its own, for the reader to stop at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_TOKENS = 6_000  # of one formula, macros replaced; the longest of a shipped claim has 4,000
MAX_DEPTH = 40  # of braces
MAX_DIGITS = 20  # of a number
MAX_EXPANSIONS = 500  # of macros in one formula

_RAW = re.compile(r"\\[A-Za-z]+\*?|\\.|[0-9]+|\s+|.", re.DOTALL)
_SPACES = frozenset(
    (r"\,", r"\;", r"\:", r"\!", r"\>", "\\ ", "\\\n", "~", r"\quad", r"\qquad", r"\displaystyle", r"\textstyle")
) | frozenset((r"\limits", r"\nolimits", r"\nonumber", r"\notag", r"\allowbreak", r"\thinspace", r"\medspace", "&"))
_SIZES = frozenset(
    rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
) | frozenset((r"\left", r"\right"))
_ONE = frozenset(
    (r"\tilde", r"\widetilde", r"\bar", r"\overline", r"\hat", r"\widehat", r"\dot", r"\ddot", r"\vec", r"\check")
) | frozenset((r"\mathcal", r"\mathbf", r"\boldsymbol", r"\mathbb", r"\mathbbm", r"\mathrm", r"\mathsf", r"\mathfrak"))
_ONE |= frozenset((r"\mathit", r"\mathscr", r"\mathtt", r"\operatorname", r"\operatorname*", r"\underline"))
_TWO = frozenset((r"\frac", r"\dfrac", r"\tfrac"))
_TEXTS = frozenset((r"\text", r"\textrm", r"\textnormal", r"\mbox", r"\textit"))
_SAME = {
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\bm": r"\boldsymbol",
    r"\geq": r"\ge",
    r"\geqslant": r"\ge",
    r"\leq": r"\le",
    r"\leqslant": r"\le",
    r"\neq": r"\ne",
    r"\gt": ">",
    r"\lt": "<",
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
    r"\lbrack": "[",
    r"\rbrack": "]",
    r"\lparen": "(",
    r"\rparen": ")",
    r"\Vert": r"\|",
    r"\operatorname*": r"\operatorname",
    r"\Rightarrow": r"\Longrightarrow",
    r"\implies": r"\Longrightarrow",
    r"\rightarrow": r"\to",
    r"\ast": "*",
    r"\trace": r"\tr",
    r"\Tr": r"\tr",
    r"\ln": r"\log",
}
_NAMES = frozenset((r"\label", r"\tag", r"\tag*"))  # with an argument that is no mathematics
_INSIDE = frozenset(("split", "aligned", "gathered", "multlined"))
ROW = r"\\"
TEXT = "text"


class Unreadable(Exception):
    """Reading stopped: why, and at which offset of the source."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.why, self.at = why, at


class Misfit(Unreadable):
    """A product or a sum of matrices whose sizes do not fit: it was read, and says nothing."""


@dataclass(frozen=True)
class Token:
    """A token: its text, where it stands in the source, and whether it is the content of a ``\\text``."""

    text: str
    at: int
    kind: str = ""


def raw(source: str, start: int = 0) -> list[Token]:
    """The tokens of TeX, spaces included; digits that stand together are one.

    Examples:
        >>> [token.text for token in raw(r"\\frac12 x")]
        ['\\\\frac', '12', ' ', 'x']
    """
    found: list[Token] = []
    for match in _RAW.finditer(source):
        found.append(Token(match[0], start + match.start()))
        if len(found) > 4 * MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} tokens", found[-1].at)
    return found


def expanded(tokens: Sequence[Token], macros: Mapping[str, str | None]) -> list[Token]:
    """The tokens with the macros of the manuscript replaced; ``None`` stands for a macro that takes arguments."""
    done: list[Token] = []
    pending = list(reversed(tokens))
    count = 0
    while pending:
        token = pending.pop()
        if token.text not in macros:
            done.append(token)
        else:
            meaning = macros[token.text]
            count += 1
            if meaning is None:
                raise Unreadable(f"{token.text} is a macro that the manuscript defines with arguments", token.at)
            if count > MAX_EXPANSIONS:
                raise Unreadable(f"more than {MAX_EXPANSIONS} macros", token.at)
            pending += [Token(inner.text, token.at) for inner in reversed(raw(meaning))]
        if len(done) + len(pending) > 4 * MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} tokens", token.at)
    return done


def canonical(tokens: Sequence[Token]) -> list[Token]:
    """Tokens in which braces mark arguments alone, a subscript comes before a superscript, and spaces are gone.

    Raises:
        Unreadable: for braces that do not match, two superscripts, and limits that are met.

    Examples:
        >>> [token.text for token in canonical(raw(r"{\\bf}"[:0] + r"\\tilde W^2_i \\tfrac12"))][:5]
        ['\\\\tilde', '{', 'W', '}', '_']
        >>> "".join(token.text for token in canonical(raw(r"x^23")))
        'x^{2}3'
    """
    found = list(_Canonical(tokens).run())
    if len(found) > MAX_TOKENS:
        raise Unreadable(f"more than {MAX_TOKENS} tokens", found[MAX_TOKENS].at)
    return found


def spelled(name: str) -> tuple[str, ...]:
    """A name as a key for comparison: its canonical tokens."""
    return tuple(token.text for token in canonical(raw(name)))


class _Canonical:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = list(tokens)
        self.at = 0
        self.depth = 0

    def run(self) -> Iterator[Token]:
        yield from self.items()
        if self.at < len(self.tokens):
            raise Unreadable("a closing brace without an opening one", self.tokens[self.at].at)

    def peek(self) -> Token | None:
        """The next token that is no space."""
        while self.at < len(self.tokens) and self.tokens[self.at].text.isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def items(self) -> Iterator[Token]:
        """Everything up to the brace that closes the group, or to the end."""
        while (token := self.peek()) is not None and token.text != "}":
            yield from self.item()

    def item(self) -> Iterator[Token]:
        token = self.tokens[self.at]
        text = _SAME.get(token.text, token.text)
        self.at += 1
        if text == "{":
            yield from self.inside(token)
        elif text in ("^", "_"):
            yield from self.scripts(token)
        elif text == "'":
            yield Token("'", token.at)
        elif text in _SPACES:
            return
        elif text in _SIZES:
            following = self.peek()
            if following is None or following.text == ".":
                raise Unreadable(f"{token.text} without a bracket", token.at)
        elif text in _ONE:
            yield Token(text, token.at)
            yield from self.argument(token)
        elif text in _TWO:
            yield Token(text, token.at)
            yield from self.argument(token)
            yield from self.argument(token)
        elif text == r"\sqrt":
            yield from self.root(token)
        elif text in _TEXTS:
            yield Token(self.words(token), token.at, TEXT)
        elif text in _NAMES:
            self.words(token)
        elif text == r"\begin":
            yield from self.environment(token)
        elif text == ROW:
            following = self.peek()
            if following is not None and following.text == "[":
                self.skip_to("]", token)
            yield Token(ROW, token.at)
        elif text[:1].isdigit() and len(text) > MAX_DIGITS:
            raise Unreadable(f"a number of more than {MAX_DIGITS} digits", token.at)
        else:
            yield Token(text, token.at)

    def inside(self, opening: Token) -> list[Token]:
        """What stands in braces, the opening one of which has been read."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"braces deeper than {MAX_DEPTH}", opening.at)
        found = list(self.items())
        self.depth -= 1
        if self.at >= len(self.tokens):
            raise Unreadable("a brace that is not closed", opening.at)
        self.at += 1
        return found

    def argument(self, of: Token) -> Iterator[Token]:
        """The next group, or the next token as TeX sees it (one digit of a number), between braces."""
        token = self.peek()
        if token is None or token.text == "}":
            raise Unreadable(f"{of.text} without an argument", of.at)
        yield Token("{", token.at)
        if token.text == "{":
            self.at += 1
            yield from self.inside(token)
        elif token.text[:1].isdigit() and len(token.text) > 1:
            self.tokens[self.at] = Token(token.text[1:], token.at + 1)
            yield Token(token.text[0], token.at)
        elif token.text in _ONE or token.text in _TWO or token.text in ("^", "_", r"\sqrt", r"\left"):
            raise Unreadable(f"{of.text} needs braces around its argument", token.at)
        else:
            yield from self.item()
        yield Token("}", token.at)

    def scripts(self, first: Token) -> Iterator[Token]:
        found: dict[str, list[Token]] = {}
        self.at -= 1
        while (token := self.peek()) is not None and token.text in ("^", "_", "'"):
            if token.text == "'":
                raise Unreadable("a prime after a script", token.at)
            if token.text in found:
                raise Unreadable("two scripts at one place", token.at)
            self.at += 1
            found[token.text] = [Token(token.text, token.at), *self.argument(token)]
        yield from found.get("_", ())
        yield from found.get("^", ())

    def root(self, command: Token) -> Iterator[Token]:
        yield Token(r"\sqrt", command.at)
        token = self.peek()
        if token is not None and token.text == "[":
            self.at += 1
            yield Token("[", token.at)
            while (inner := self.peek()) is not None and inner.text != "]":
                yield from self.item()
            if inner is None:
                raise Unreadable("a root without an end", command.at)
            self.at += 1
            yield Token("]", inner.at)
        yield from self.argument(command)

    def words(self, command: Token) -> str:
        """The text in the braces that follow."""
        token = self.peek()
        if token is None or token.text != "{":
            raise Unreadable(f"{command.text} without braces", command.at)
        start = self.at + 1
        depth = 0
        while self.at < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.tokens[self.at].text, 0)
            self.at += 1
            if not depth:
                return " ".join("".join(t.text for t in self.tokens[start : self.at - 1]).split())
        raise Unreadable("a brace that is not closed", token.at)

    def environment(self, command: Token) -> Iterator[Token]:
        name = self.words(command)
        if name not in _INSIDE:
            raise Unreadable(f"the environment {name}", command.at)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"environments deeper than {MAX_DEPTH}", command.at)
        while (token := self.peek()) is not None and token.text != r"\end":
            if token.text == "}":
                raise Unreadable("a closing brace without an opening one", token.at)
            yield from self.item()
        self.depth -= 1
        if token is None:
            raise Unreadable(f"the environment {name} does not end", command.at)
        self.at += 1
        if self.words(token) != name:
            raise Unreadable(f"the environment {name} ends otherwise", token.at)

    def skip_to(self, end: str, command: Token) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at].text != end:
            self.at += 1
        if self.at >= len(self.tokens):
            raise Unreadable("a bracket that is not closed", command.at)
        self.at += 1
