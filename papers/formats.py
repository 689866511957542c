"""What a document is made of, and the formats to write it down in.

A format is one function from a document to text; another one is another entry of :data:`FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .citation import display


@dataclass(frozen=True)
class Span:
    """A run of text; ``style`` is empty, ``formula``, ``strong``, ``emphasis`` or ``code``."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Items:
    """A list without numbers."""

    items: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True)
class Display:
    """A displayed formula in rows, numbered by ``tag``."""

    rows: tuple[str, ...]
    tag: str = ""


Block = Heading | Paragraph | Items | Display


@dataclass(frozen=True)
class Document:
    """A title, the authors of the source, and blocks in order."""

    title: str
    source: tuple[Span, ...]
    blocks: tuple[Block, ...]


# ------------------------------------------------------------------------------------------------ formats


def markdown(document: Document) -> str:
    """Markdown with formulas for MathJax or KaTeX."""

    def inline(spans: Iterable[Span]) -> str:
        wrap = {"": _markdown_escaped, "formula": "${}$".format, "code": "`{}`".format}
        wrap |= {"strong": lambda t: f"**{_markdown_escaped(t)}**", "emphasis": lambda t: f"*{_markdown_escaped(t)}*"}
        return "".join(wrap[span.style](span.text) for span in spans if span.text)

    parts = [f"# {_markdown_escaped(document.title)}", inline(document.source)]
    for part in document.blocks:
        match part:
            case Heading(text):
                parts.append(f"## {text}")
            case Paragraph(spans):
                parts.append(inline(spans).strip())
            case Items(items):
                parts.append("\n".join(f"- {inline(item)}" for item in items))
            case Display(rows, tag):
                parts.append(display(rows, tag))
    return "\n\n".join(parts) + "\n"


def _markdown_escaped(text: str) -> str:
    return re.sub(r"([\\`*_<$])", r"\\\1", text)


PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[margin=1in]{geometry}
\usepackage{amsmath,amssymb}
\setlength{\emergencystretch}{4em} % no line of text is too long
\setlength{\parskip}{4pt plus 2pt}
\allowdisplaybreaks
"""


def latex(document: Document) -> str:
    """A complete LaTeX article."""
    head = f"{PREAMBLE}\\title{{{_escaped(document.title)}}}\n\\author{{}}\n\\date{{}}\n"
    return f"{head}\\begin{{document}}\n{latex_body(document)}\\end{{document}}\n"


def latex_body(document: Document) -> str:
    """The article without its preamble, so that several can stand in one document."""
    parts = [rf"\section*{{{_escaped(document.title)}}}", rf"\noindent {_latex_inline(document.source)}"]
    for part in document.blocks:
        match part:
            case Heading(text):
                parts.append(rf"\subsection*{{{_escaped(text)}}}")
            case Paragraph(spans):
                gap = r"\medskip" if spans[0].style == "strong" else ""
                parts.append(rf"{gap}\noindent {_latex_inline(spans)}")
            case Items(items):
                body = "\n".join(rf"\item {_latex_inline(item)}" for item in items)
                parts.append(f"\\begin{{itemize}}\n{body}\n\\end{{itemize}}")
            case Display(rows, "") if len(rows) > 1:  # may be broken over pages
                parts[-1] += "\n\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"
            case Display(rows, tag):
                body = rows[0]
                if len(rows) > 1:
                    body = "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
                mark = rf" \tag{{{tag}}}" if tag else ""
                parts[-1] += f"\n\\begin{{equation*}}\n{body}{mark}\n\\end{{equation*}}"
    return "\n\n".join(parts) + "\n"


def _latex_inline(spans: Iterable[Span]) -> str:
    wrap = {"": _escaped, "formula": "${}$".format, "code": lambda t: rf"\texttt{{{_escaped(t)}}}"}
    wrap |= {"strong": lambda t: rf"\textbf{{{_escaped(t)}}}", "emphasis": lambda t: rf"\emph{{{_escaped(t)}}}"}
    return "".join(wrap[span.style](span.text) for span in spans if span.text)


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
_SPECIAL |= {char: rf"\{char}" for char in "#$%&_{}"}
_SPECIAL |= {">": r"\textgreater{}", "|": r"\textbar{}", "“": "``", "”": "''", "’": "'", "–": "--", "—": "---"}
_SPECIAL |= {"×": r"$\times$", "≥": r"$\ge$", "≤": r"$\le$", "→": r"$\to$", "−": "$-$"}


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in text)


FORMATS: dict[str, Callable[[Document], str]] = {"markdown": markdown, "latex": latex}
