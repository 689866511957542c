"""Citations of claims: the equation with a label, the reference with its version, and what the evidence is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ..theory.abbreviations import needed
from ..theory.printing import latex as formula
from . import registry
from .claim import Claim, Paper
from .layout import block, broken
from .store import Store
from .verification import Standing, standing

SOFTWARE = "tightframe"  # the key of our own claims: citing one cites this software


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry: ``article``, key, fields in their order."""

    kind: str
    key: str
    fields: dict[str, str]

    def text(self) -> str:
        widest = max(map(len, self.fields), default=0)
        body = ",\n".join(f"  {name:<{widest}} = {{{value}}}" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{body}\n}}\n"


def entry(bibtex: str) -> Entry:
    """Read one BibTeX entry whose values stand in braces.

    Raises:
        ValueError: for anything else.

    Examples:
        >>> entry("@misc{key, title = {On {MSE} loss}, year = {2022}}").fields
        {'title': 'On {MSE} loss', 'year': '2022'}
    """
    opening = re.match(r"\s*@(\w+)\s*\{\s*([^\s,{}]+)\s*,", bibtex)
    if opening is None:
        raise ValueError("not a BibTeX entry")
    fields: dict[str, str] = {}
    at = opening.end()
    while (field := re.compile(r"\s*(\w+)\s*=\s*\{").match(bibtex, at)) is not None:
        depth, at = 1, field.end()
        while depth:
            if at >= len(bibtex):
                raise ValueError(f"the value of {field[1]} does not end")
            depth += {"{": 1, "}": -1}.get(bibtex[at], 0)
            at += 1
        fields[field[1].lower()] = " ".join(bibtex[field.end() : at - 1].split())
        comma = re.compile(r"\s*,").match(bibtex, at)
        at = comma.end() if comma else at
    if bibtex[at:].strip() != "}":
        raise ValueError("expected fields of the form name = {value} and a closing brace")
    return Entry(opening[1], opening[2], fields)


def bibtex(paper: Paper) -> str:
    """The entry of a paper; that of this software with its version."""
    if paper.key != SOFTWARE:
        return paper.bibtex
    own = entry(paper.bibtex)
    return Entry(own.kind, own.key, own.fields | {"note": f"Version {version(SOFTWARE)}"}).text()


def authors(paper: Paper) -> tuple[str, ...]:
    """Given names first.

    Examples:
        >>> authors(registry.paper("han2022"))
        ('X. Y. Han', 'Vardan Papyan', 'David L. Donoho')
    """
    people = entry(paper.bibtex).fields.get("author", "")
    found: list[str] = []
    for person in re.split(r"\s+and\s+", people):
        family, comma, given = person.partition(", ")
        found.append(f"{given} {family}" if comma else person)
    return tuple(re.sub(r"[{}]", "", name) for name in found)


def reference(paper: Paper) -> str:
    """The entry as a line of plain text.

    Examples:
        >>> print(reference(registry.paper("han2022")))
        X. Y. Han, Vardan Papyan and David L. Donoho. Neural Collapse Under MSE Loss: Proximity to and Dynamics on the \
Central Path. International Conference on Learning Representations, 2022. arXiv:2106.02073v4.
    """
    fields = {name: re.sub(r"[{}]", "", value) for name, value in entry(bibtex(paper)).fields.items()}
    *others, last = authors(paper)
    people = f"{', '.join(others)} and {last}" if others else last
    venue = fields.get("booktitle") or fields.get("journal") or fields.get("publisher") or ""
    when = ", ".join(part for part in (venue, fields.get("year", "")) if part)
    eprint = f"arXiv:{fields['eprint']}" if "eprint" in fields else ""
    parts = (people, fields.get("title", paper.title), when, eprint, fields.get("note", ""))
    return " ".join(f"{part}." for part in parts if part)


def label(claim: Claim) -> str:
    """The LaTeX label of the claim's equation."""
    return f"tf:{claim.paper}.{claim.slug}"


def cite_command(claim: Claim) -> str:
    return rf"\cite[{claim.locator}]{{{claim.paper}}}" if claim.locator else rf"\cite{{{claim.paper}}}"


def abbreviations(claim: Claim) -> tuple[str, ...]:
    """The definitions that the statement needs, as equations."""
    found = needed(claim.setting.definitions, (claim.statement,))
    return tuple(f"{formula(name)} = {formula(meaning)}" for name, meaning in found.items())


def link(claim: Claim) -> str:
    """What a claim of our own does to another claim, in words."""
    if claim.sharpens:
        return f"generalises {claim.sharpens}"
    return f"corrects {claim.corrects}" if claim.corrects else ""


def latex(claim: Claim, where: Standing) -> str:
    """The equation with its label, after a line that says what stands behind it; ``amsmath`` is needed."""
    about = ", ".join(part for part in (claim.title, link(claim)) if part)
    rows = broken(claim.statement_latex())
    body = rows[0] if len(rows) == 1 else "\\begin{split}\n" + " \\\\\n".join(rows) + "\n\\end{split}"
    lines = [
        f"% tightframe {version(SOFTWARE)}: {claim.id}, hash {claim.hash}, {where.verdict_text()}",
        f"% {about}",
        cite_command(claim),
        rf"\begin{{equation}}\label{{{label(claim)}}}",
        body,
        r"\end{equation}",
    ]
    shorthand = abbreviations(claim)
    if shorthand:
        lines += ["where", r"\begin{align*}", " \\\\\n".join(block(shorthand)), r"\end{align*}"]
    return "\n".join(lines) + "\n"


def markdown(claim: Claim, where: Standing) -> str:
    """The equation and its abbreviations for MathJax or KaTeX, the reference, and what stands behind it."""
    rows = broken(claim.statement_latex())
    lines = [f"**{claim.title}**", "", display(rows)]
    shorthand = abbreviations(claim)
    if shorthand:
        lines += ["", "where", "", display(block(shorthand))]
    locator = f" {claim.locator}." if claim.locator else ""
    trail = f"`{claim.id}`, hash `{claim.hash}`, {where.verdict_text()}, tightframe {version(SOFTWARE)}"
    words = link(claim)
    lines += ["", f"{reference(registry.paper(claim.paper))}{locator} ({trail}{f'; {words}' if words else ''})"]
    return "\n".join(lines) + "\n"


def display(rows: Sequence[str], tag: str = "") -> str:
    """A displayed formula in Markdown."""
    body = rows[0] if len(rows) == 1 else "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
    return f"$$\n{body}{f' {chr(92)}tag{{{tag}}}' if tag else ''}\n$$"


def data(claim: Claim, where: Standing) -> dict[str, Any]:
    return {
        "id": claim.id,
        "hash": claim.hash,
        "verdict": str(where.verdict),
        "conditional_on": list(where.conditional_on),
        "key": claim.paper,
        "label": label(claim),
        "latex": latex(claim, where),
        "bibtex": bibtex(registry.paper(claim.paper)),
    }


_TEXTS: dict[str, Callable[[Claim, Standing], str]] = {"latex": latex, "markdown": markdown}
FORMATS = ("latex", "bibtex", "markdown", "json")


def cite(ids: Sequence[str], format: str = "latex", store: Store | None = None) -> str:
    """Citations of claims, ready to be pasted; each paper's BibTeX entry comes once.

    Raises:
        UnknownName: naming the nearest id.
        ValueError: for an unknown format.

    Examples:
        >>> print(cite(["han2022/total-covariance"]).splitlines()[3])
        \\begin{equation}\\label{tf:han2022.total-covariance}
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    claims = [registry.find(name) for name in dict.fromkeys(ids)]
    if format == "bibtex":
        keys = dict.fromkeys(claim.paper for claim in claims)
        return "\n".join(bibtex(registry.paper(key)) for key in keys)
    if format == "json":
        import json

        return (
            json.dumps([data(claim, standing(claim, store)) for claim in claims], indent=2, ensure_ascii=False) + "\n"
        )
    return "\n".join(_TEXTS[format](claim, standing(claim, store)) for claim in claims)
