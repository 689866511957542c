"""Citations of claims: the equation with a label, the reference with its version, and what the evidence is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...theory.printing import latex as formula
from .. import registry
from ..claim import Claim
from ..store import Store, write_atomically
from ..verification import Standing, standing
from . import conversion
from .bibliography import SOFTWARE, bibtex, reference
from .formats import TEMPLATES, markdown_display, markdown_inline, running
from .layout import block, broken, fills_a_page
from .notation import Notation, Written, renaming, spoken, written


def label(claim: Claim) -> str:
    """The label of the claim's equation, in LaTeX and in Typst."""
    return f"tf:{claim.paper}.{claim.slug}"


def cite_command(claim: Claim) -> str:
    return rf"\cite[{claim.locator}]{{{claim.paper}}}" if claim.locator else rf"\cite{{{claim.paper}}}"


def link(claim: Claim) -> str:
    """What a claim of our own does to another claim, in words."""
    if claim.sharpens:
        return f"generalises {claim.sharpens}"
    return f"corrects {claim.corrects}" if claim.corrects else ""


@dataclass(frozen=True)
class Citation:
    """A claim as it is cited: where it stands, and its formulas in the writer's notation."""

    claim: Claim
    where: Standing
    notation: Notation | None = None

    @cached_property
    def renaming(self) -> dict[Any, Any]:
        return {} if self.notation is None else renaming(self.notation, self.claim)

    @cached_property
    def written(self) -> Written:
        return written(self.claim, self.notation)

    @cached_property
    def names(self) -> dict[str, str]:
        """The symbols by their names in the claim's sentences, with their LaTeX."""
        new = {formula(old): spoken(found) for old, found in self.renaming.items()}
        return {name: new.get(tex, tex) for name, tex in self.claim.names.items()}

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """The statement, in rows."""
        return broken(self.written.statement.latex())

    @cached_property
    def definitions(self) -> tuple[str, ...]:
        """The abbreviations that the statement needs, as equations."""
        return tuple(f"{formula(name)} = {formula(meaning)}" for name, meaning in self.written.definitions.items())

    @cached_property
    def hypotheses(self) -> tuple[tuple[str, str], ...]:
        """The name of every hypothesis, and its formula."""
        named = zip(self.claim.setting.hypotheses, self.written.hypotheses, strict=True)
        return tuple((each.name, says.latex()) for each, says in named)

    @cached_property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The letter of every parameter with its range, and what it means."""
        new = self.renaming
        found: list[tuple[str, str]] = []
        for parameter in self.claim.domain.parameters:
            bounds, name = parameter.range, formula(new.get(parameter.symbol, parameter.symbol))
            low = "" if bounds.low is None else f" {'>' if bounds.open else chr(92) + 'ge'} {bounds.low}"
            found.append((name + low, parameter.says))
        return tuple(found)

    def trail(self) -> Iterator[str]:
        """What stands behind the equation, line by line: for comments."""
        claim = self.claim
        yield f"tightframe {version(SOFTWARE)}: {claim.id}, hash {claim.hash}, {self.where.verdict_text()}"
        yield ", ".join(part for part in (claim.title, link(claim)) if part)
        if self.notation is not None:
            changes = ", ".join(f"{new} for {old}" for old, new in self.written.renamed.items())
            yield f"notation {self.notation.name}: {changes or 'nothing to rename'}"
        yield from (f"  {says}: {letter}" for letter, says in self.parameters)
        yield from (f"  if {name}: {says}" for name, says in self.hypotheses)
        if claim.beyond:
            yield f"  left to simulation: {claim.beyond}"


def latex(citation: Citation) -> str:
    """The equation with its label, after comments that say what stands behind it; ``amsmath`` is needed."""
    comments = "".join(f"% {line}\n" for line in citation.trail())
    mark = rf"\label{{{label(citation.claim)}}}"
    return f"{comments}{cite_command(citation.claim)}\n{latex_formulas(citation, mark)}"


def latex_formulas(citation: Citation, mark: str) -> str:
    """The equation, labelled by ``mark``, and the abbreviations that it needs."""
    rows = citation.rows
    body = rows[0] if len(rows) == 1 else "\\begin{split}\n" + " \\\\\n".join(rows) + "\n\\end{split}"
    lines = [rf"\begin{{equation}}{mark}", body, r"\end{equation}"]
    if fills_a_page(rows):
        first, *rest = rows
        body = " \\\\\n".join((f"{first} {mark}".rstrip(), *(rf"{row} \notag" for row in rest)))
        lines = [r"\begingroup\allowdisplaybreaks", r"\begin{align}", body, r"\end{align}", r"\endgroup"]
    if citation.definitions:
        lines += ["where", r"\begin{align*}", " \\\\\n".join(block(citation.definitions)), r"\end{align*}"]
    return "\n".join(lines) + "\n"


def typst(citation: Citation) -> str:
    """The same for Typst: a labelled equation, which a document that numbers its equations can refer to."""
    claim = citation.claim
    supplement = f"[{claim.locator}]" if claim.locator else ""
    lines = [
        *(f"// {line}" for line in citation.trail()),
        f"@{claim.paper}{supplement}",
        f"$ {conversion.typst_rows(citation.rows)} $ <{label(claim)}>",
    ]
    if citation.definitions:
        lines += ["where", f"$ {conversion.typst_rows(block(citation.definitions))} $"]
    return "\n".join(lines) + "\n"


def markdown(citation: Citation) -> str:
    """The equation and its abbreviations for MathJax or KaTeX, the reference, and what stands behind it."""
    claim = citation.claim
    lines = [f"**{markdown_inline(running(claim.title, citation.names))}**", "", markdown_display(citation.rows)]
    if citation.definitions:
        lines += ["", "where", "", markdown_display(block(citation.definitions))]
    if citation.parameters:
        told = ((letter, markdown_inline(running(says, citation.names))) for letter, says in citation.parameters)
        every = (f"${letter}$ ({says})" for letter, says in told)
        lines += ["", f"For {', '.join(every)}."]
    if citation.hypotheses:
        named = ((markdown_inline(running(name, citation.names)), says) for name, says in citation.hypotheses)
        lines += ["", "Hypotheses:", "", *(f"- {name}: ${says}$" for name, says in named)]
    locator = f" {claim.locator[0].upper()}{claim.locator[1:]}." if claim.locator else ""
    trail = f"`{claim.id}`, hash `{claim.hash}`, {citation.where.verdict_text()}, tightframe {version(SOFTWARE)}"
    words = link(claim)
    lines += ["", f"{reference(registry.paper(claim.paper))}{locator} ({trail}{f'; {words}' if words else ''})"]
    return "\n".join(lines) + "\n"


def data(citation: Citation) -> dict[str, Any]:
    claim, where = citation.claim, citation.where
    return {
        "id": claim.id,
        "hash": claim.hash,
        "verdict": str(where.verdict),
        "conditional_on": list(where.conditional_on),
        "unchecked": list(where.unchecked),
        "assumptions": list(where.assumptions),
        "title": claim.title,
        "key": claim.paper,
        "locator": claim.locator,
        "label": label(claim),
        "notation": None if citation.notation is None else citation.notation.name,
        "renamed": dict(citation.written.renamed),
        "statement_latex": citation.written.statement.latex(),
        "definitions_latex": list(citation.definitions),
        "parameters": [{"latex": letter, "says": says} for letter, says in citation.parameters],
        "hypotheses": [{"name": name, "latex": says} for name, says in citation.hypotheses],
        "latex": latex(citation),
        "bibtex": bibtex(registry.paper(claim.paper)),
    }


_TEXTS: dict[str, Callable[[Citation], str]] = {"latex": latex, "typst": typst, "markdown": markdown}
FORMATS = ("latex", "typst", "markdown", "bibtex", "json")
_SUFFIXES = {"latex": ".tex", "typst": ".typ", "markdown": ".md"}


def _citations(ids: Sequence[str], notation: Notation | None, store: Store | None) -> Iterator[Citation]:
    for claim in [registry.find(name) for name in dict.fromkeys(ids)]:
        yield Citation(claim, standing(claim, store), notation)


def _check(format: str, known: Sequence[str] = FORMATS) -> None:
    if format not in known:
        raise ValueError(f"unknown format {format!r}; expected one of {', '.join(known)}")


def cite(
    ids: Sequence[str], format: str = "latex", store: Store | None = None, notation: Notation | None = None
) -> str:
    """Citations of claims, ready to be pasted; each paper's BibTeX entry comes once.

    Raises:
        UnknownName: naming the nearest id.
        ValueError: for an unknown format, or two symbols on one letter of the notation.

    Examples:
        >>> print(cite(["han2022/closed-form"]).splitlines()[-3])
        \\begin{equation}\\label{tf:han2022.closed-form}
    """
    _check(format)
    if format == "bibtex":
        keys = dict.fromkeys(registry.find(name).paper for name in ids)
        return "\n".join(bibtex(registry.paper(key)) for key in keys)
    found = list(_citations(ids, notation, store))
    if format == "json":
        import json

        return json.dumps([data(citation) for citation in found], indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_TEXTS[format](citation) for citation in found)


def save(
    ids: Sequence[str],
    folder: Path,
    format: str = "latex",
    store: Store | None = None,
    notation: Notation | None = None,
) -> tuple[Path, ...]:
    """Write one file a claim, named by its id, and for LaTeX ``tightframe.sty``, whose ``\\tfeq{id}`` inputs them.

    Every text is made before the first file is written, and every file is there whole or not at all.

    Raises:
        ValueError: for a format that has no files.
        OSError: if the folder cannot be written to.
    """
    _check(format, tuple(_SUFFIXES))
    found = list(_citations(ids, notation, store))
    texts = {folder / f"{each.claim.id}{_SUFFIXES[format]}": _TEXTS[format](each) for each in found}
    if format == "latex":
        style = (TEMPLATES / "tightframe.sty").read_text("utf-8")
        texts[folder / "tightframe.sty"] = f"% Written by tightframe {version(SOFTWARE)}.\n{style}"
    for path, text in texts.items():
        write_atomically(path, text)
    return tuple(texts)
