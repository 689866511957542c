"""What a document is made of, and the formats to write it down in.

A format is one function from a document to text; another one is another entry of :data:`FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from .. import prose
from . import conversion
from .layout import fills_a_page

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


@dataclass(frozen=True)
class Span:
    """A run of text; ``style`` is empty, ``formula``, ``strong``, ``emphasis`` or ``code``."""

    text: str
    style: str = ""


def running(text: str, names: Mapping[str, str] | None = None, style: str = "") -> tuple[Span, ...]:
    """A sentence with the formulas in it; ``style`` is that of the words."""
    return tuple(Span(piece.text, "formula" if piece.formula else style) for piece in prose.pieces(text, names))


@dataclass(frozen=True)
class Heading:
    """The title of a section; ``said`` is the same with formulas in it."""

    text: str
    said: tuple[Span, ...] = ()

    @property
    def spans(self) -> tuple[Span, ...]:
        return self.said or (Span(self.text),)


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
    """A title, the same in plain text, the authors of the source, and blocks in order."""

    title: tuple[Span, ...]
    name: str
    source: tuple[Span, ...]
    blocks: tuple[Block, ...]


# ------------------------------------------------------------------------------------------------ formats


def markdown(document: Document) -> str:
    """Markdown with formulas for MathJax or KaTeX."""

    inline = markdown_inline
    parts = [f"# {inline(document.title)}", inline(document.source)]
    for part in document.blocks:
        match part:
            case Heading():
                parts.append(f"## {inline(part.spans)}")
            case Paragraph(spans):
                parts.append(inline(spans).strip())
            case Items(items):
                parts.append("\n".join(f"- {inline(item)}" for item in items))
            case Display(rows, tag):
                parts.append(markdown_display(rows, tag))
    return "\n\n".join(parts) + "\n"


def markdown_display(rows: Sequence[str], tag: str = "") -> str:
    """A displayed formula in Markdown."""
    body = rows[0] if len(rows) == 1 else "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
    return f"$$\n{body}{f' {chr(92)}tag{{{tag}}}' if tag else ''}\n$$"


def markdown_inline(spans: Iterable[Span]) -> str:
    """Markdown of running text."""
    wrap = {"": _markdown_escaped, "formula": "${}$".format, "code": "`{}`".format}
    wrap |= {"strong": lambda t: _marked(t, "**"), "emphasis": lambda t: _marked(t, "*")}
    return "".join(wrap[span.style](span.text) for span in _joined(spans))


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Neighbours of one style as one span."""
    for style, every in groupby((span for span in spans if span.text), key=lambda span: span.style):
        texts = [span.text for span in every]
        yield from (Span(text, style) for text in (texts if style == "formula" else ["".join(texts)]))


def _marked(text: str, mark: str) -> str:
    """Marks stand at words, not at spaces."""
    inner = text.strip()
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{mark}{_markdown_escaped(inner)}{mark}{after}" if inner else text


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
    head = f"{PREAMBLE}\\title{{{_latex_inline(document.title)}}}\n\\author{{}}\n\\date{{}}\n"
    return f"{head}\\begin{{document}}\n{latex_body(document)}\\end{{document}}\n"


def latex_body(document: Document) -> str:
    """The article without its preamble, so that several can stand in one document."""
    parts = [rf"\section*{{{_bold(document.title)}}}", rf"\noindent {_latex_inline(document.source)}"]
    for part in document.blocks:
        match part:
            case Heading():
                parts.append(rf"\subsection*{{{_bold(part.spans)}}}")
            case Paragraph(spans):
                gap = r"\medskip" if spans[0].style == "strong" else ""
                parts.append(rf"{gap}\noindent {_latex_inline(spans)}")
            case Items(items):
                body = "\n".join(rf"\item {_latex_inline(item)}" for item in items)
                parts.append(f"\\begin{{itemize}}\n{body}\n\\end{{itemize}}")
            case Display(rows, tag) if fills_a_page(rows) or (len(rows) > 1 and not tag):  # may be broken over pages
                first = rf"{rows[0]} \tag{{{tag}}}" if tag else rows[0]
                parts[-1] += "\n\\begin{align*}\n" + " \\\\\n".join((first, *rows[1:])) + "\n\\end{align*}"
            case Display(rows, tag):
                body = rows[0]
                if len(rows) > 1:
                    body = "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
                mark = rf" \tag{{{tag}}}" if tag else ""
                parts[-1] += f"\n\\begin{{equation*}}\n{body}{mark}\n\\end{{equation*}}"
    return "\n\n".join(parts) + "\n"


def _bold(spans: Sequence[Span]) -> str:
    """A title, whose formulas are bold as well."""
    mark = r"\boldmath " if any(span.style == "formula" for span in spans) else ""
    return f"{mark}{_latex_inline(spans)}"


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


# ------------------------------------------------------------------------------------------------ Typst and PDF

TYPST = """#set document(title: {title})
#set page(paper: "a4", margin: 2.2cm, numbering: "1")
#set text(font: "New Computer Modern", size: 10.5pt, lang: "en")
#set par(justify: true)
#show heading: it => {{ show math.equation: set text(weight: "bold"); it }}
#show heading: set block(above: 1.4em, below: 0.9em)
#let numbered(tag, body) = math.equation(block: true, numbering: (..) => [(#tag)], body)
"""


def typst(document: Document) -> str:
    """A complete Typst document."""
    parts = [TYPST.format(title=_quoted(document.name)), f"= {_typst_inline(document.title)}"]
    parts.append(_typst_inline(document.source))
    for part in document.blocks:
        match part:
            case Heading():
                parts.append(f"== {_typst_inline(part.spans)}")
            case Paragraph(spans):
                text = _typst_inline(spans).strip()  # the name of a step stays with its formula
                parts.append(f"#block(sticky: true)[{text}]" if spans[0].style == "strong" else text)
            case Items(items):
                parts.append("\n".join(f"- {_typst_inline(item)}" for item in items))
            case Display(rows, tag):
                body = f"$ {conversion.typst_rows(rows)} $"
                text = f"#numbered({_quoted(tag)}, {body})" if tag else body
                parts.append(
                    f"#[#show math.equation: set block(breakable: true)\n{text}]" if fills_a_page(rows) else text
                )
    return "\n\n".join(parts) + "\n"


def _typst_inline(spans: Iterable[Span]) -> str:
    wrap: dict[str, Callable[[str], str]] = {
        "": _typst_escaped,
        "formula": lambda t: f"${conversion.typst(t)}$",
        "code": lambda t: f"#raw({_quoted(t)})",
        "strong": lambda t: f"#strong[{_typst_escaped(t)}]",
        "emphasis": lambda t: f"#emph[{_typst_escaped(t)}]",
    }
    return "".join(wrap[span.style](span.text) for span in spans if span.text)


def _typst_escaped(text: str) -> str:
    escaped = re.sub(r"([\\#$*_`@<>\[\]~\"'/=+-])", r"\\\1", text)
    return re.sub(r"^(\d+)\.", r"\1\\.", escaped)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def pdf(document: Document) -> bytes:
    """A PDF, without TeX."""
    return conversion.pdf(typst(document))


# ------------------------------------------------------------------------------------------------ HTML


def html(document: Document) -> str:
    """One HTML file with MathML: no script, nothing to load."""
    return str(environment().get_template("derivation.html").render(document=document))


@cache
def environment() -> Any:
    """The templates, with filters that write formulas and blocks; what is not MathML is escaped."""
    jinja2 = conversion.required("jinja2", "jinja2", "HTML")
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kind = {Heading: "heading", Paragraph: "paragraph", Items: "items", Display: "display"}
    found.filters["inline"] = lambda text: jinja2.utils.markupsafe.Markup(conversion.mathml(text))
    found.filters["display"] = lambda rows: jinja2.utils.markupsafe.Markup(mathml_rows(rows))
    found.filters["kind"] = lambda block: kind[type(block)]
    return found


def mathml_rows(rows: Sequence[str]) -> str:
    body = rows[0] if len(rows) == 1 else r"\begin{aligned}" + r" \\ ".join(rows) + r"\end{aligned}"
    return conversion.mathml(body, display=True)


FORMATS: dict[str, Callable[[Document], str]] = {"markdown": markdown, "latex": latex, "typst": typst, "html": html}
