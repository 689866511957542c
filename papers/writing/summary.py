"""What was found of a paper, on one page: every claim in its order, confirmed, sharpened, corrected, refuted or open.

All of it is read from the registry and from the evidence on disk; nothing is written by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...theory.abbreviations import needed
from ...theory.printing import latex as formula
from .. import experiments, registry
from ..claim import Claim, Paper
from ..evidence import Evidence, Verdict
from ..store import Store
from ..verification import Standing, standing
from .bibliography import authors, entry, reference
from .formats import FORMATS, Block, Display, Document, Heading, Items, Paragraph, Span, pdf, running
from .layout import block, broken


def finding(claim: Claim, where: Standing, store: Store | None = None) -> str:
    """What was found of a claim, in a few words.

    Only a claim of our own that is itself proved sharpens or corrects another.

    Examples:
        >>> from tightframe.papers import registry
        >>> from tightframe.papers.verification import standing
        >>> found = registry.find("dang2023/ce-deep-etf")
        >>> finding(found, standing(found))
        'refuted, and corrected'
        >>> found = registry.find("garrod2025/flatness-ratio")
        >>> finding(found, standing(found))
        'proved in part'
    """
    proved = {other.id for other, its in linked(claim, store) if its.verdict is Verdict.PROVED}
    sharper = proved & set(registry.sharpened_by(claim))
    match where.verdict:
        case Verdict.PROVED | Verdict.ATTESTED:
            word = "confirmed" if where.verdict is Verdict.PROVED else "attested"
            return f"{word}, and sharpened" if sharper else word
        case Verdict.SUPPORTED:
            in_part = any(piece.outcome == "partial" for piece in where.evidence)
            return "proved in part" if in_part else "supported by simulation"
        case Verdict.REFUTED:
            return "refuted, and corrected" if registry.corrected_by(claim) in proved else "refuted"
        case _:
            return "undecided"


def linked(claim: Claim, store: Store | None = None) -> Iterator[tuple[Claim, Standing]]:
    """The claims of our own that correct or sharpen a claim, and where they stand."""
    corrected = registry.corrected_by(claim)
    for name in (*((corrected,) if corrected else ()), *registry.sharpened_by(claim)):
        other = registry.find(name)
        yield other, standing(other, store)


def experiments_of(claim: Claim) -> list[str]:
    """The experiments whose figures show something of a claim."""
    return [name for name in experiments.modules() if claim.id in experiments.find(name).claims]


# ------------------------------------------------------------------------------------------------ the page


def compose(paper: Paper, store: Store | None = None) -> Document:
    """The page of a paper."""
    found = [(claim, standing(claim, store)) for claim in paper.claims]
    words = {claim.id: finding(claim, where, store) for claim, where in found}
    blocks: list[Block] = [*_counts(words), *_overview(found, words)]
    for claim, where in found:
        blocks += _of_claim(claim, where, words[claim.id], store)
    blocks += [*_lemmas(found), *_simulations(paper)]
    blocks += [Heading("Reference"), Paragraph((Span(reference(paper)),))]
    year = entry(paper.bibtex).fields.get("year", "")
    people = ", ".join(authors(paper))
    source = (Span(f"{people}: "), Span(paper.title, "emphasis"), Span(f", {year}" if year else ""))
    title = "What was found of every claim"
    return Document((Span(title),), title, source, tuple(blocks))


def _counts(words: dict[str, str]) -> Iterator[Block]:
    counted = ", ".join(f"{count} {word.replace(', and', ' and')}" for word, count in Counter(words.values()).items())
    yield Paragraph((Span(f"{len(words)} claims", "strong"), Span(f": {counted}.")))
    yield Paragraph(
        (
            Span("Confirmed means proved: the independent checker accepted a certificate for the whole statement. "),
            Span("A statement, its hypotheses and every step are shown by "),
            Span("tightframe derive ID", "code"),
            Span("."),
        )
    )


def _overview(found: list[tuple[Claim, Standing]], words: dict[str, str]) -> Iterator[Block]:
    yield Items(
        tuple(
            (
                *((Span(f"{_capital(claim.locator)}: "),) if claim.locator else ()),
                Span(claim.id, "code"),
                Span(", "),
                Span(words[claim.id], "strong"),
            )
            for claim, _ in found
        )
    )


def _of_claim(claim: Claim, where: Standing, word: str, store: Store | None) -> Iterator[Block]:
    locator = f"{_capital(claim.locator)}: " if claim.locator else ""
    yield Heading(f"{locator}{claim.title}", (Span(locator), *_prose(claim, claim.title)))
    trail = f". Verdict: {where.verdict_text()}. Claim "
    yield Paragraph((Span(_capital(word), "strong"), Span(trail), Span(claim.id, "code"), Span(".")))
    if claim.beyond:
        yield Paragraph((Span("Left to simulation: "), *_prose(claim, claim.beyond), Span(".")))
    for piece in where.evidence:
        yield Paragraph((*_evidence(piece), *_command(claim, piece), Span(".")))
    if claim.numerics is not None and not any(piece.kind == "property" for piece in where.evidence):
        yield Paragraph(
            (
                Span("Simulation: none on this machine yet; "),
                Span(f"tightframe verify {claim.id}", "code"),
                Span(" runs it."),
            )
        )
    for name in experiments_of(claim):
        says = experiments.find(name).says
        yield Paragraph((Span("Figure: "), Span(f"tightframe simulate {name}", "code"), Span(f" ({says}).")))
    if claim.notes:
        yield Paragraph(_prose(claim, claim.notes))
    for other, its in linked(claim, store):
        verb = "Corrected" if other.corrects == claim.id else "Sharpened"
        says = (Span(": "), *_prose(other, other.title), Span(f". Verdict: {its.verdict_text()}."))
        yield Paragraph((Span(f"{verb} by", "strong"), Span(" "), Span(other.id, "code"), *says))
        yield from _statement(other)
        if other.notes:
            yield Paragraph(_prose(other, other.notes))


_KINDS = {"proof": "Proof", "property": "Simulation", "counterexample": "Witness"}


def _evidence(piece: Evidence) -> tuple[Span, ...]:
    return (Span(f"{_KINDS.get(piece.kind, _capital(piece.kind))}: {piece.outcome}, {piece.coverage}; {piece.detail}"),)


def _command(claim: Claim, piece: Evidence) -> tuple[Span, ...]:
    """What does it again: simulation is gathered anew, the rest replayed from the certificate."""
    again = f"tightframe verify {claim.id}" if piece.kind == "property" else f"tightframe verify --recheck {claim.id}"
    return Span(" ("), Span(again, "code"), Span(")")


def _statement(claim: Claim) -> Iterator[Block]:
    yield Paragraph((Span("It states"),))
    yield Display(broken(claim.statement_latex()))
    definitions = needed(claim.setting.definitions, [claim.statement])
    if definitions:
        yield Paragraph((Span("where"),))
        yield Display(block([f"{formula(name)} = {formula(what)}" for name, what in definitions.items()]))


def _prose(claim: Claim, text: str) -> tuple[Span, ...]:
    return running(text, claim.names)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lemmas(found: list[tuple[Claim, Standing]]) -> Iterator[Block]:
    claims: dict[str, list[Span]] = {}
    for claim, where in found:
        for lemma in where.conditional_on:
            before = claims.setdefault(lemma, [])
            before += [Span(", " if before else ": "), Span(claim.slug, "code")]
    if claims:
        yield Heading("Theorems of the literature that are believed and not checked")
        yield Items(tuple((Span(lemma, "strong"), *slugs) for lemma, slugs in sorted(claims.items())))


def _simulations(paper: Paper) -> Iterator[Block]:
    names = experiments.of_paper(paper.key)
    if names:
        yield Heading("Experiments")
        yield Items(
            tuple(
                (Span(f"tightframe simulate {name}", "code"), Span(f": {experiments.find(name).says}"))
                for name in names
            )
        )


def summary(paper: str, format: str = "markdown", store: Store | None = None) -> str:
    """The page as text: what ``tightframe derive --paper KEY`` prints.

    Raises:
        UnknownName: if no paper has this key.
        ValueError: for an unknown format.

    Examples:
        >>> print(summary("han2022").splitlines()[4][:14])
        **14 claims**:
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}, pdf")
    return FORMATS[format](compose(registry.paper(paper), store))


def summary_pdf(paper: str, store: Store | None = None) -> bytes:
    """The page as a PDF; the same raises."""
    return pdf(compose(registry.paper(paper), store))
