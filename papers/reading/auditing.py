"""The audit of a manuscript: whether its equations are still what the claims say, in which they are tied to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import registry
from ..claim import Claim, Paper
from ..evidence import Verdict
from ..files import read_bounded
from ..store import Store
from ..verification import standing
from ..writing.bibliography import entries
from ..writing.notation import Notation, NotationError
from .equality import Comparison
from .latex_grammar import lark
from .latex_reader import read
from .latex_tokens import Misfit, Unreadable
from .manuscript import (
    Equation,
    Manuscript,
    ManuscriptError,
    Place,
    bibliographies,
    citations,
    equations,
    load,
    macros,
)
from .normal_forms import Incomparable
from .symbol_table import subject, table

MAX_DETAIL = 400  # characters


class Finding(StrEnum):
    """What an audit says of an equation."""

    SAME = "same"
    DIFFERS = "differs"
    STALE = "stale"
    UNVERIFIED = "unverified"
    UNREAD = "unread"


BAD = (Finding.DIFFERS, Finding.STALE)
UNDECIDED = (Finding.UNREAD, Finding.UNVERIFIED)
TOO_LOW = (Verdict.OPEN, Verdict.REFUTED)


@dataclass(frozen=True)
class Audited:
    """An equation of the manuscript: the claim that it is tied to, what was found, and which parts it states."""

    claim: str
    place: Place
    tie: str
    finding: Finding
    detail: str
    parts: tuple[int, ...] = ()
    of: int = 0

    def text(self) -> str:
        return f"{self.place}: {self.claim}: {self.finding}{f': {self.detail}' if self.detail else ''}"

    def json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "tie": self.tie,
            "finding": str(self.finding),
            "detail": self.detail,
            "parts": list(self.parts),
            "of": self.of,
        }


@dataclass(frozen=True)
class Audit:
    """What was found in a manuscript: its equations in order, and its citations of another version of a paper."""

    manuscript: str
    equations: tuple[Audited, ...]
    citations: tuple[Audited, ...]

    @property
    def all(self) -> tuple[Audited, ...]:
        return (*self.equations, *self.citations)

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(str(each.finding) for each in self.equations)

    def exit_code(self, allow_unread: bool = False) -> int:
        """1 for an equation or a citation that differs or is stale, 3 for one that is unread or unverified."""
        if any(each.finding in BAD for each in self.all):
            return 1
        return 3 if not allow_unread and any(each.finding in UNDECIDED for each in self.all) else 0

    def json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "manuscript": self.manuscript,
            "equations": [each.json() for each in self.equations],
            "citations": [each.json() for each in self.citations],
            "counts": {str(finding): self.counts[str(finding)] for finding in Finding},
        }

    def plain(self) -> str:
        """One line an equation, and a line that sums up."""
        total = len(self.equations)
        counted = ", ".join(f"{self.counts[str(f)]} {f}" for f in Finding if self.counts[str(f)])
        last = f"{total} equation{'s' * (total != 1)} tied to claims" + (f": {counted}" if counted else "")
        if total:
            last += f"; unread: {self.counts[str(Finding.UNREAD)] / total:.0%}"
        return "\n".join([*(each.text() for each in self.all), last]) + "\n"

    def github(self) -> str:
        """Annotations of GitHub's workflows: errors and warnings at their lines."""
        lines: list[str] = []
        for each in self.all:
            if each.finding is Finding.SAME:
                continue
            level = "error" if each.finding in BAD else "warning"
            where = f"file={_property(each.place.file)},line={each.place.line},col={each.place.column}"
            title = _property(f"tightframe: {each.claim} {each.finding}")
            lines.append(f"::{level} {where},title={title}::{_message(each.detail)}")
        return "".join(f"{line}\n" for line in lines)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def audit(path: Path | str, notation: Notation | None = None, store: Store | None = None) -> Audit:
    """Compare every equation of a manuscript that is tied to a claim with the claim.

    Raises:
        ManuscriptError: if the manuscript cannot be read.
        ImportError: if the extra that reads formulas is not installed.
    """
    lark()
    manuscript = load(Path(path))
    auditor = _Auditor(manuscript, notation, store)
    found = tuple(auditor.equation(each) for each in equations(manuscript))
    return Audit(str(path), found, tuple(auditor.citations()))


class _Auditor:
    def __init__(self, manuscript: Manuscript, notation: Notation | None, store: Store | None) -> None:
        self.manuscript = manuscript
        self.notation = notation
        self.store = store
        self.macros: Mapping[str, str | None] = macros(manuscript.text)
        self.verdicts: dict[str, Verdict] = {}

    def equation(self, equation: Equation) -> Audited:
        place = self.manuscript.place(equation.at + _leading(equation.source))

        def result(finding: Finding, detail: str, parts: Sequence[int] = (), of: int = 0) -> Audited:
            detail = detail if len(detail) <= MAX_DETAIL else f"{detail[:MAX_DETAIL]} ..."
            return Audited(equation.claim, place, equation.tie, finding, detail, tuple(parts), of)

        try:
            claim = registry.find(equation.claim)
        except registry.UnknownName as error:
            return result(Finding.UNREAD, str(error.args[0]))
        if equation.problem:
            return result(Finding.UNREAD, equation.problem)
        finding, detail, parts, of = self.compared(equation, claim)
        if equation.hash is not None and equation.hash != claim.hash:
            stale = f"the comment has hash {equation.hash}, the claim is {claim.hash} now"
            return result(
                Finding.STALE, f"{stale}; the equation: {finding}{f', {detail}' if detail else ''}", parts, of
            )
        if finding is Finding.SAME:
            verdict = self.verdict(claim)
            if verdict in TOO_LOW:
                other = registry.corrected_by(claim)
                better = f"; corrected by {other}" if other else ""
                return result(Finding.UNVERIFIED, f"the claim is {verdict}{better}", parts, of)
        return result(finding, detail, parts, of)

    def compared(self, equation: Equation, claim: Claim) -> tuple[Finding, str, list[int], int]:
        """What the equation says, beside what the claim says."""
        try:
            about = subject(claim, self.notation)
        except NotationError as error:
            return Finding.UNREAD, str(error), [], 0
        of = len(about.parts)
        try:
            sentences = read(equation.source, table(about), equation.at, self.macros, equation.several)
        except Misfit as error:  # whatever the claim says, its sizes fit
            return Finding.DIFFERS, f"{error.why} at {self.manuscript.place(error.at)}", [], of
        except Unreadable as error:
            return Finding.UNREAD, f"{error.why} at {self.manuscript.place(error.at)}", [], of
        comparison = Comparison(about)
        parts: list[int] = []
        unknown = ""
        for sentence in sentences:
            where = f" (at {self.manuscript.place(sentence.at)})" if len(sentences) > 1 else ""
            try:
                part, how = comparison.find(sentence.says, parts)
            except Incomparable as error:
                unknown = unknown or f"cannot be compared: {error}{where}"
                continue
            if part is None:
                return Finding.DIFFERS, how + where, parts, of
            parts.append(part)
        if unknown:
            return Finding.UNREAD, unknown, parts, of
        stated = sorted(set(parts))
        if len(stated) == of:
            return Finding.SAME, "", stated, of
        words = f"part {stated[0]}" if len(stated) == 1 else f"parts {', '.join(map(str, stated))}"
        return Finding.SAME, f"{words} of {of}", stated, of

    def verdict(self, claim: Claim) -> Verdict:
        if claim.id not in self.verdicts:
            self.verdicts[claim.id] = standing(claim, self.store).verdict
        return self.verdicts[claim.id]

    # ---- citations
    def citations(self) -> list[Audited]:
        """Keys whose entry is one of the papers here in another version than the claims are taken from."""
        known = self.entries()
        first: dict[str, int] = {}
        for key, at in citations(self.manuscript.text):
            first.setdefault(key, at)
        found: list[Audited] = []
        for key, at in first.items():
            for paper in registry.papers().values():
                problem = _version_problem(paper, key, known)
                if problem:
                    place = self.manuscript.place(at)
                    found.append(Audited(paper.key, place, f"cite {key}", Finding.DIFFERS, problem))
        return found

    def entries(self) -> dict[str, dict[str, str]]:
        """The entries of the bibliographies that the manuscript names, by key."""
        found: dict[str, dict[str, str]] = {}
        for path in bibliographies(self.manuscript):
            name = path.relative_to(self.manuscript.folder)
            try:
                data = read_bounded(path, MAX_BIB_MIB, str(name))
            except ValueError as error:
                raise ManuscriptError(str(error)) from None
            found |= entries(data.decode("utf-8", "replace"))
        return found


MAX_BIB_MIB = 4
_ARXIV = re.compile(r"(?<![\d.])(\d{4}\.\d{4,5})(v\d+)?(?!\d)")


def _version_problem(paper: Paper, key: str, entries: Mapping[str, Mapping[str, str]]) -> str:
    """How the entry of a key differs from the version of the paper; nothing if it is another paper."""
    wanted = next((claim.version for claim in paper.claims if claim.version), None)
    number = _ARXIV.search(wanted or "")
    if number is None:
        return ""
    fields = entries.get(key)
    if fields is None:
        return f"no entry for {key} in the bibliography" if key == paper.key and entries else ""
    named = {(match[1], match[2] or "") for value in fields.values() for match in _ARXIV.finditer(value)}
    versions = {version for other, version in named if other == number[1]}
    if key != paper.key and not versions:
        return ""
    if not versions:
        return f"the entry names no arXiv version; the claims are those of {wanted}"
    if number[2] and number[2] not in versions:
        shown = ", ".join(sorted(f"{number[1]}{version}" for version in versions))
        return f"the entry is {shown}; the claims are those of {wanted}"
    return ""


def _leading(source: str) -> int:
    """How many characters stand before the formula."""
    found = re.match(r"(?:\s|\\label\s*\{[^{}]*\}|&)*", source)
    return found.end() if found else 0
