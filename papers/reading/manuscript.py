"""A LaTeX manuscript as one text whose places are known, and the equations in it that are tied to claims.

``\\input`` and ``\\include`` are followed inside the folder of the manuscript alone. Nothing is run, and what cannot be
followed is an error, never left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .latex_tokens import Unreadable, canonical, raw

MAX_BYTES = 8 * 2**20  # of one file
MAX_LINE = 50_000  # characters; a paragraph on one line has a few thousand
MAX_TOTAL = 16 * 2**20  # characters of all files together
MAX_DEPTH = 16  # of \input
MAX_FILES = 500
MAX_TIES = 2_000  # of equations to claims
MAX_REACH = 30  # lines between a comment and the equation that it is about

_INPUT = re.compile(r"\\(input|include|subfile|tfeq)\s*\{([^{}]*)\}|\\input\s+([^\s\\{}]+)")
_COMMENT = re.compile(r"(?<!\\)(?:\\\\)*%")
_TIE = re.compile(
    r"%+\s*tightframe(?:\s+(?P<version>[^\s:]+))?:\s*(?P<id>[\w-]+/[\w.-]+)\s*"
    r"(?:,\s*hash\s+(?P<hash>\w+))?(?:,\s*(?P<says>.*))?$"
)
_ENVIRONMENTS = "equation|align|gather|multline|flalign|eqnarray|displaymath|math|alignat"
_OPENING = re.compile(rf"\\begin\{{(?P<name>(?:{_ENVIRONMENTS})\*?)\}}|(?<!\\)(?P<bracket>\\\[)|(?P<dollars>\$\$)")
_ROWS = ("align", "gather", "flalign", "eqnarray", "alignat")
_LABEL = re.compile(r"\\label\s*\{\s*tf:([\w-]+)\.([\w.-]+)\s*\}")
_VERBATIM = re.compile(r"\\begin\{(verbatim\*?|lstlisting|comment|Verbatim)\}")
_CITE = re.compile(r"\\[A-Za-z]*cite[A-Za-z]*\*?\s*(?:\[[^\[\]]*\]\s*){0,2}\{([^{}]*)\}")
_BIB = re.compile(r"\\(?:bibliography|addbibresource)\s*(?:\[[^\[\]]*\]\s*)?\{([^{}]*)\}")
_MACRO = re.compile(
    r"\\(?P<kind>newcommand|renewcommand|providecommand|DeclareMathOperator|DeclareRobustCommand|def|gdef|let"
    r"|NewDocumentCommand|RenewDocumentCommand|DeclareDocumentCommand|DeclarePairedDelimiter)\*?\s*"
    r"(?:\{\s*(?P<braced>\\[A-Za-z]+)\s*\}|(?P<bare>\\[A-Za-z]+))"
)


class ManuscriptError(ValueError):
    """The manuscript cannot be read; one line that says where and why."""


@dataclass(frozen=True)
class Place:
    """A place in a file, counted from 1; the file as seen from where the manuscript was named."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Comment:
    """A comment that names a claim: where it stands in the text, and what it says of the claim."""

    at: int
    claim: str
    hash: str | None


@dataclass(frozen=True)
class Equation:
    """An equation tied to a claim: its LaTeX, where that begins in the text, and how it is tied.

    ``several`` says that its rows are equations of their own.
    """

    claim: str
    source: str
    at: int
    tie: str
    hash: str | None = None
    several: bool = False
    problem: str = ""


@dataclass
class Manuscript:
    """The text of all files without comments, and the places where its pieces come from."""

    folder: Path
    text: str = ""
    comments: list[Comment] = field(default_factory=list[Comment])
    _starts: list[int] = field(default_factory=list[int])
    _places: list[Place] = field(default_factory=list[Place])

    def place(self, at: int) -> Place:
        """Where an offset of the text stands."""
        index = max(bisect_right(self._starts, at) - 1, 0)
        start, place = self._starts[index], self._places[index]
        return Place(place.file, place.line, place.column + at - start)


def load(path: Path) -> Manuscript:
    """Read a manuscript and what it inputs.

    Raises:
        ManuscriptError: for files that are missing, outside of the folder, cyclic, too large or no text.
    """
    return _Loader(path).load()


class _Loader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.parent.resolve()
        self.made = Manuscript(self.folder)
        self.pieces: list[str] = []
        self.length = 0
        self.files = 0
        self.over = False  # after \end{document}
        self.verbatim = ""  # how the text that is shown as it is ends, inside of it
        self.styles = ""  # the folder of tightframe.sty, for \tfeq

    def load(self) -> Manuscript:
        self.file(self.path.resolve(), self.path.as_posix(), ())
        self.made.text = "".join(self.pieces)
        return self.made

    def file(self, path: Path, shown: str, within: tuple[Path, ...]) -> None:
        if path in within:
            raise ManuscriptError(f"{shown}: \\input of a file inside itself")
        self.files += 1
        if len(within) >= MAX_DEPTH or self.files > MAX_FILES:
            raise ManuscriptError(f"{shown}: more than {MAX_FILES} files, or \\input deeper than {MAX_DEPTH}")
        for number, line in enumerate(self.lines(path, shown), 1):
            if self.over:
                return
            self.line(line, shown, number, (*within, path))

    def lines(self, path: Path, shown: str) -> list[str]:
        try:
            if not path.is_file():
                raise ManuscriptError(f"{shown}: no such file")
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ManuscriptError(f"{shown}: cannot be read ({error.strerror})") from None
        if len(data) > MAX_BYTES:
            raise ManuscriptError(f"{shown}: more than {MAX_BYTES // 2**20} MiB")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ManuscriptError(f"{shown}: not UTF-8 text (byte {error.start})") from None
        if "\0" in text:
            raise ManuscriptError(f"{shown}: not a text file")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_LINE:
                raise ManuscriptError(f"{shown}:{number}: a line of more than {MAX_LINE} characters")
        return lines

    def add(self, text: str, place: Place) -> None:
        self.made._starts.append(self.length)
        self.made._places.append(place)
        self.pieces.append(text)
        self.length += len(text)
        if self.length > MAX_TOTAL:
            raise ManuscriptError(f"{place}: more than {MAX_TOTAL} characters in all files")

    def line(self, line: str, shown: str, number: int, within: tuple[Path, ...]) -> None:
        if self.verbatim:
            if self.verbatim in line:
                self.verbatim = ""
            self.add("\n", Place(shown, number, 1))
            return
        line = _without_verb(line)
        comment = _COMMENT.search(line)
        code = line if comment is None else line[: comment.end() - 1]
        tie = None if comment is None else _TIE.match(line[comment.end() - 1 :].rstrip())
        shown_as_is = _VERBATIM.search(code)
        if shown_as_is is not None:
            self.verbatim = rf"\end{{{shown_as_is[1]}}}"
            rest = code[shown_as_is.end() :]
            code = code[: shown_as_is.start()]
            if self.verbatim in rest:
                self.verbatim = ""
        at = 0
        for found in _INPUT.finditer(code):
            if re.search(r"\\(?:re|provide)?(?:new)?command|\\def\b", code[: found.start()]):
                continue  # in a definition
            self.add(code[at : found.start()], Place(shown, number, at + 1))
            self.include(found, shown, number, within)
            if self.over:
                return
            at = found.end()
        end = "\n" if comment is None else " " if code.strip() else ""  # a comment swallows the end of its line
        self.add(code[at:] + end, Place(shown, number, at + 1))
        for package in re.finditer(r"\\(?:usepackage|RequirePackage)\{([^{}]*/)?tightframe\}", code):
            self.styles = package[1] or ""
        path = re.search(r"\\(?:def\s*\\tfpath\s*|(?:re|provide)?(?:new)?command\{?\\tfpath\}?)\{([^{}]*)\}", code)
        if path is not None:
            self.styles = path[1]
        if tie is not None:
            self.made.comments.append(Comment(self.length, tie["id"], tie["hash"]))
            if len(self.made.comments) > MAX_TIES:
                raise ManuscriptError(f"{shown}:{number}: more than {MAX_TIES} comments that name claims")
        if r"\end{document}" in code:
            self.over = True

    def include(self, found: re.Match[str], shown: str, number: int, within: tuple[Path, ...]) -> None:
        name = (found[2] or found[3] or "").strip()
        if found[1] == "tfeq":
            name = f"{self.styles}{name}.tex"
        where = f"{shown}:{number}"
        try:
            path = next(
                (each for each in (self.folder / f"{name}.tex", self.folder / name) if each.resolve().is_file()), None
            )
            target = None if path is None else path.resolve()
        except (OSError, ValueError, RuntimeError):
            path = target = None
        outside = (self.folder / name).resolve() if "\0" not in name else self.folder.parent
        if not outside.is_relative_to(self.folder) or (target and not target.is_relative_to(self.folder)):
            raise ManuscriptError(f"{where}: \\{found[1] or 'input'}{{{name}}} leaves the folder of the manuscript")
        if target is None:
            raise ManuscriptError(f"{where}: no file {name}")
        self.file(target, (self.path.parent / target.relative_to(self.folder)).as_posix(), within)


def _without_verb(line: str) -> str:
    """The line with spaces in place of \\verb|...|."""
    at = line.find(r"\verb")
    while at >= 0:
        start = at + 5 + line.startswith("*", at + 5)
        mark = line[start : start + 1]
        end = line.find(mark, start + 1) if mark and not mark.isalpha() and not mark.isspace() else -1
        if end >= 0:
            line = line[:at] + " " * (end + 1 - at) + line[end + 1 :]
        at = line.find(r"\verb", at + 5)
    return line


# ------------------------------------------------------------------------------------------------- what is in it


def macros(text: str) -> dict[str, str | None]:
    """The commands that the manuscript defines: their texts, or ``None`` where they take arguments or are not simple.

    Examples:
        >>> macros(r"\\newcommand{\\W}{\\mathbf{W}} \\DeclareMathOperator{\\Tr}{Tr} \\newcommand{\\f}[1]{#1}")
        {'\\\\W': '\\\\mathbf{W}', '\\\\Tr': '\\\\operatorname{Tr}', '\\\\f': None}
    """
    found: dict[str, str | None] = {}
    for match in _MACRO.finditer(text):
        name = match["braced"] or match["bare"]
        meaning = None
        if match["kind"] in ("newcommand", "renewcommand", "providecommand", "def", "DeclareMathOperator"):
            meaning = _braced(text, match.end())
        if meaning is not None and match["kind"] == "DeclareMathOperator":
            meaning = rf"\operatorname{{{meaning}}}"
        if name in found and found[name] != meaning:
            meaning = None  # defined twice: which one counts depends on the place
        found[name] = meaning
    return found


def _braced(text: str, at: int, longest: int = 2_000) -> str | None:
    """What stands in the braces that come next, if it is short."""
    opening = re.compile(r"\s*\{").match(text, at)
    if opening is None:
        return None
    depth = 1
    for i in range(opening.end(), min(len(text), opening.end() + longest)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[opening.end() : i]
    return None


def citations(text: str) -> Iterator[tuple[str, int]]:
    """The keys that the manuscript cites, with their places."""
    for match in _CITE.finditer(text):
        at = match.start(1)
        for key in match[1].split(","):
            if key.strip() and key.strip() != "*":
                yield key.strip(), at
            at += len(key) + 1


def bibliographies(manuscript: Manuscript) -> list[Path]:
    """The .bib files that the manuscript names, inside of its folder."""
    found: list[Path] = []
    for match in _BIB.finditer(manuscript.text):
        for name in match[1].split(","):
            path = (manuscript.folder / f"{name.strip().removesuffix('.bib')}.bib").resolve()
            if not path.is_relative_to(manuscript.folder):
                place = manuscript.place(match.start())
                raise ManuscriptError(f"{place}: the bibliography {name} is not in the folder of the manuscript")
            found.append(path)
    return found


def equations(manuscript: Manuscript) -> list[Equation]:
    """The equations that are tied to claims, by a label or a comment above them, in order.

    Raises:
        ManuscriptError: for an environment that does not end.
    """
    text = manuscript.text
    found: list[Equation] = []
    comments = deque(manuscript.comments)
    at = 0
    ends: dict[str, list[int]] = {}
    while (opening := _OPENING.search(text, at)) is not None:
        name = opening["name"]
        end = rf"\end{{{name}}}" if name else r"\]" if opening["bracket"] else "$$"
        if end not in ends:
            ends[end] = [match.start() for match in re.finditer(re.escape(end), text)]
        place = bisect_right(ends[end], opening.end() - 1)
        if place >= len(ends[end]):
            raise ManuscriptError(f"{manuscript.place(opening.start())}: {opening[0]} does not end")
        close = ends[end][place]
        body = text[opening.end() : close]
        about: Comment | None = None
        while comments and comments[0].at <= opening.start():
            if about is not None:
                found.append(_without_equation(about))
            about = comments.popleft()
        if about is not None and not _follows(text[about.at : opening.start()]):
            found.append(_without_equation(about))
            about = None
        while comments and comments[0].at <= close:
            inner = comments.popleft()
            about = about or inner
        rows = bool(name) and name.rstrip("*") in _ROWS
        if name and name.startswith("alignat"):  # how many columns is no formula
            body = re.sub(r"^\s*\{\s*\d+\s*\}", lambda match: " " * len(match[0]), body)
        found += _tied(body, opening.end(), about, rows)
        at = close + len(end)
        if len(found) > MAX_TIES:
            raise ManuscriptError(f"{manuscript.place(at)}: more than {MAX_TIES} equations that are tied to claims")
    found += [_without_equation(comment) for comment in comments]
    return sorted(found, key=lambda equation: equation.at)


def _follows(between: str) -> bool:
    """Whether an equation is the one that a comment above it is about."""
    begun = r"\begin{" in between or r"\section" in between
    return between.count("\n") <= MAX_REACH and not begun and not re.search(r"\n[ \t]*\n[ \t]*\S", between)


def _without_equation(comment: Comment) -> Equation:
    return Equation(comment.claim, "", comment.at, "comment", comment.hash, problem="no equation follows the comment")


def _tied(body: str, start: int, about: Comment | None, rows: bool) -> Iterator[Equation]:
    """The equations of one environment."""
    labels = list(_LABEL.finditer(body))
    ids = list(dict.fromkeys(f"{match[1]}/{match[2]}" for match in labels))
    if not labels:
        if about is not None:
            yield Equation(about.claim, body, start, "comment", about.hash, rows)
        return
    problem = ""
    stamp = None
    if about is not None:
        if about.claim in ids:
            stamp = about.hash
        else:
            problem = f"the comment names {about.claim}, the label {ids[0]}"
    if len(ids) == 1 and (not rows or len(_formulas(body)) == 1):
        yield Equation(ids[0], body, start, "label", stamp, rows, problem)
        return
    if len(ids) == 1 and all(
        _LABEL.search(body, begin, end) or re.search(r"\\no(?:tag|number)\b", body[begin:end])
        for begin, end in _formulas(body)
    ):  # one number for all rows
        yield Equation(ids[0], body, start, "label", stamp, False, problem)
        return
    if not rows:
        yield Equation(ids[0], body, start, "label", stamp, rows, "labels of several claims in one equation")
        return
    for begin, end in _formulas(body):
        named = [f"{match[1]}/{match[2]}" for match in labels if begin <= match.start() < end]
        for name in dict.fromkeys(named):
            own = stamp if about is not None and about.claim == name else None
            trouble = problem or ("labels of several claims in one equation" if len(set(named)) > 1 else "")
            yield Equation(name, body[begin:end], start + begin, "label", own, True, trouble)


def _formulas(body: str) -> list[tuple[int, int]]:
    """Where the equations of an environment with rows begin and end; a row that goes on belongs to the one before."""
    cuts: list[int] = []
    depth = environments = 0
    try:
        tokens = raw(body)
    except Unreadable:
        return [(0, len(body))]
    for i, token in enumerate(tokens):
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        environments += {r"\begin": 1, r"\end": -1}.get(token.text, 0)
        if token.text == r"\\" and depth == 0 and environments == 0:
            following = next(
                (t.text for t in tokens[i + 1 :] if not t.text.isspace() and t.text not in ("&", r"\quad", r"\qquad")),
                "",
            )
            if not _goes_on(following):
                cuts.append(token.at + len(token.text))
    ends = [*cuts, len(body)]
    found = list(zip([0, *cuts], ends, strict=True))
    return [(a, b) for a, b in found if _has_content(body[a:b])] or [(0, len(body))]


def _goes_on(token: str) -> bool:
    return token in ("=", "+", "-", "<", ">", r"\le", r"\ge", r"\leq", r"\geq", r"\cdot", r"\times", r"\text", "")


def _has_content(text: str) -> bool:
    bare = re.sub(r"\\label\s*\{[^{}]*\}|\\nonumber|\\notag|\\\\|&", "", text)
    try:
        return bool(canonical(raw(bare)))
    except Unreadable:
        return True
