"""Derivations as documents: what is claimed, under which hypotheses, and every step with its reason and its rule.

A document is built once, from the claim, its derivation and the certificate that the checker accepted, as headings,
paragraphs and formulas; :mod:`tightframe.papers.writing.formats` writes it down.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import sympy as sp
from sympy.matrices.expressions.special import OneMatrix

from ...theory.abbreviations import Folding, needed
from ...theory.derivation import Derivation, Failure, Hypothesis, Proof, Step
from ...theory.printing import latex as formula
from ...theory.proof import checker
from ...theory.proof.certificate import head, statement_json
from ...theory.proof.rules import Let
from ...theory.proof.statement import Equal, Statement
from .. import prose, registry, terminal
from ..claim import Claim
from ..evidence import Evidence, Verdict, verdict_of
from ..prediction import Input, read
from ..store import Store
from ..verification import Standing, accept, standing
from .bibliography import authors, entry, reference
from .citation import link
from .formats import FORMATS, Block, Display, Document, Heading, Items, Paragraph, Span, pdf, running
from .layout import block, broken
from .notation import Notation, abbreviated, renaming, spoken
from .substitution import defined, substituted

# ------------------------------------------------------------------------------------------------ what was checked


@dataclass(frozen=True)
class Checked:
    """What the checker accepted of a derivation: how many of its steps, from which certificate."""

    certificate: Mapping[str, Any] | None
    report: checker.Report | None
    steps: frozenset[str]
    where: str  # the certificate, in words

    def rule(self, step: Step) -> str:
        """The name of the rule by which a step follows, as the certificate has it."""
        entries = self.certificate["steps"] if self.certificate is not None else ()
        return next((entry["rule"] for entry in entries if entry["name"] == step.name), step.by.rule)

    def uses(self, name: str) -> tuple[str, ...]:
        """The hypotheses and steps that a step names, seen through the auxiliary steps of the certificate."""
        if self.certificate is None:
            return ()
        hypotheses = [entry["name"] for entry in self.certificate["hypotheses"]]
        entries = {entry["name"]: entry for entry in self.certificate["steps"]}
        if name != list(entries)[-1] or self.report is None:
            return self._premises(name, hypotheses, entries)
        # the last statement must have a meaning, which may rest on hypotheses that no step names
        own = self._premises(name, hypotheses, entries)
        named = {other for step in self.steps for other in self._premises(step, hypotheses, entries)}
        return (*own, *(other for other, _, used in self.report.hypotheses if used and other not in named))

    def _premises(self, name: str, hypotheses: list[str], entries: Mapping[str, Any]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        pending = list(_named(entries[name]["data"], {*hypotheses, *entries})) if name in entries else []
        seen: set[str] = set()
        while pending:
            other = pending.pop(0)
            if other in seen:
                continue
            seen.add(other)
            if other in hypotheses or other in self.steps:
                found[other] = None
            else:
                pending += _named(entries[other]["data"], {*hypotheses, *entries})
        return tuple(found)


# What certificates name beside premises: letters, and polynomials in them.
_LETTERS = frozenset(("letter", "left", "right", "word", "traces", "m", "c", "weight", "factor", "shift"))
_LETTERS |= frozenset(("values", "forward", "backward"))


def _named(data: Any, known: set[str]) -> Iterator[str]:
    """The premises that the data of a step name."""
    if isinstance(data, str) and data in known:
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if key not in _LETTERS:
                yield from _named(value, known)
    elif isinstance(data, list):
        for value in data:
            yield from _named(value, known)


def on_disk(claim: Claim, where: Standing) -> Checked:
    """What the certificate on disk proves of the derivation: all of its steps, or none that are known of."""
    derivation = claim.derivation
    if derivation is None or where.certificate is None or not proves_steps(derivation, where.certificate):
        return Checked(None, None, frozenset(), "")
    names = frozenset(step.name for step in derivation.steps)
    return Checked(where.certificate, where.report, names, "the certificate on disk")


def checked(claim: Claim, where: Standing) -> Checked:
    """The certificate on disk if it proves exactly the steps of the derivation, else one that is made on the spot.

    Where the search fails at some step, the steps before it are checked.
    """
    derivation = claim.derivation
    found = on_disk(claim, where)
    if derivation is None or found.steps:
        return found
    steps = derivation.steps
    outcome = derivation.prove(claim.id)
    if isinstance(outcome, Failure):
        failed = next(i for i, step in enumerate(steps) if step.name == outcome.step)
        steps = steps[:failed]
        outcome = Derivation(derivation.title, derivation.setting, steps).prove() if steps else outcome
    if not isinstance(outcome, Proof):
        return Checked(None, None, frozenset(), "")
    report = outcome.report
    if steps == derivation.steps:
        try:
            accept(claim, outcome.certificate)
        except checker.Rejected:  # the last step is not what the claim says
            steps = steps[:-1]
    return Checked(outcome.certificate, report, frozenset(step.name for step in steps), "a certificate made just now")


def proves_steps(derivation: Derivation, certificate: Mapping[str, Any]) -> bool:
    """Whether the certificate has every step of the derivation, term by term, in a translation made afresh."""
    translation, hypotheses = derivation.setting.translation()
    goal = translation.statement(derivation.statement)
    entries = {entry["name"]: entry for entry in certificate["steps"]}
    for step in derivation.steps:
        step.by.prepare(translation, step.says)
        says = translation.statement(step.says)
        found = entries.get(step.name)
        if found is None or found["rule"] != step.by.rule_for(says) or found["statement"] != statement_json(says):
            return False
    letters = {letter["name"]: letter for letter in certificate["letters"]}
    fresh = head(translation, hypotheses, goal)["letters"]
    return all(letters.get(letter["name"]) == letter for letter in fresh)


# ------------------------------------------------------------------------------------------------ the document


@dataclass(frozen=True)
class Unfolded:
    """A step of a derivation: its number and name, whether the checker accepted it, its formula and its reason."""

    number: str
    name: str
    checked: bool
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Sections:
    """The parts of a document, each without its heading, for those who arrange them in another way."""

    title: tuple[Span, ...]
    beyond: tuple[Span, ...]  # what is left to simulation
    notes: tuple[Span, ...]  # also the end of the statement
    statement: tuple[Block, ...]
    premises: tuple[Block, ...]
    steps: tuple[Unfolded, ...]
    rules: tuple[Block, ...]
    references: tuple[Block, ...]


class _Writer:
    """Builds the document of one claim; ``check`` finds what was checked of its derivation."""

    def __init__(
        self,
        claim: Claim,
        where: Standing,
        values: Mapping[str, Any],
        check: Callable[[Claim, Standing], Checked] = checked,
        notation: Notation | None = None,
    ) -> None:
        self.claim, self.setting, self.where, self.notation = claim, claim.setting, where, notation
        self.values = special(claim, values)
        self.checked = check(claim, where)
        self.steps: tuple[Step, ...] = claim.derivation.steps if claim.derivation is not None else ()
        self.complete = bool(self.steps) and len(self.checked.steps) == len(self.steps)
        used = {part for step in self.steps for expr in step.says.expressions() for part in _symbols(expr)}
        extra = sorted(used - set(claim.symbols), key=sp.default_sort_key)
        letters = {} if notation is None else renaming(notation, claim, extra)
        self.letters = letters
        # a value is put in under the old letter, which the sizes of matrices have
        self.new = {old: found.xreplace(self.values) for old, found in letters.items()} | self.values
        every = abbreviated(claim, letters).definitions
        folding = Folding(every, self.setting.symmetric)
        self.said = folding.statement(claim.statement)
        self.hypotheses = [folding.statement(hypothesis.statement) for hypothesis in self.setting.hypotheses]
        self.folded = [folding.statement(step.says) for step in self.steps]
        statements = (self.said, *self.hypotheses, *self.folded)
        self.definitions = needed(every, statements)
        written = [*(expr for says in statements for expr in says.expressions()), *self.definitions.values()]
        self.matrices = sorted(set[Any]().union(*(e.atoms(sp.MatrixSymbol) for e in written)), key=str)
        self.has_ones = any(e.has(OneMatrix) for e in written)
        introduced = {
            step.says.left for step in self.steps if isinstance(step.by, Let) and isinstance(step.says, Equal)
        }
        self.free = [m for m in self.matrices if m not in every and m not in introduced]
        names = claim.names | prose.names([*self.setting.definitions, *self.matrices])
        renamed = {formula(old): spoken(found) for old, found in letters.items()}
        self.names = {name: renamed.get(tex, tex) for name, tex in names.items()}
        self.numbers = {h.name: f"H{i}" for i, h in enumerate(self.setting.hypotheses, 1)}
        self.numbers |= {step.name: str(i) for i, step in enumerate(self.steps, 1)}

    def document(self) -> Document:
        blocks = (*self.status(), *self.statement(), *self.premises(), *self.derivation(), *self.references())
        return Document(self.spans(self.claim.title), terminal.sentence(self.claim.title), self.source(), blocks)

    def spans(self, text: str, style: str = "") -> tuple[Span, ...]:
        return running(text, self.names, style)

    def source(self) -> tuple[Span, ...]:
        claim, paper = self.claim, registry.paper(self.claim.paper)
        people = ", ".join(authors(paper))
        year = entry(paper.bibtex).fields.get("year", "")
        spans = [Span(f"{people}: "), Span(paper.title, "emphasis"), Span(f", {year}" if year else "")]
        more = [f"arXiv:{claim.version}" if claim.version else "", claim.locator or "", link(claim)]
        return (*spans, Span("".join(f", {part}" for part in more if part)))

    def show(self, says: Statement) -> str:
        return substituted(says, self.new).latex()

    def status(self) -> Iterator[Block]:
        count = f"{len(self.checked.steps)} of {len(self.steps)} steps machine-checked."
        where = self.now()
        text = f" Verdict: {where.verdict_text()}. Claim "
        yield Paragraph((Span(count, "strong"), Span(text), Span(self.claim.id, "code"), Span(".")))
        if self.values:
            yield Paragraph(tuple(self.specialised()))
        if self.claim.beyond:
            yield Paragraph((Span("Left to simulation: "), *self.spans(self.claim.beyond), Span(".")))
        if where.verdict is not Verdict.PROVED:
            for piece in where.evidence:
                yield Paragraph((Span(f"{piece.kind.capitalize()}: {piece.outcome} ({piece.detail})."),))
        corrected = registry.corrected_by(self.claim)
        if corrected:
            yield Paragraph((Span("Corrected by "), Span(corrected, "code"), Span(".")))

    def specialised(self) -> Iterator[Span]:
        yield Span("Specialised to ")
        for i, (symbol, value) in enumerate(self.values.items()):
            yield Span(", " if i else "")
            yield Span(f"{formula(self.letters.get(symbol, symbol))} = {formula(value)}", "formula")
        yield Span(": the formulas are those of the claim at these values, the sentences speak of all values, and what")
        yield Span(" is checked is the claim for all values.")

    def now(self) -> Standing:
        """Where the claim stands, with the proof made just now if there is none on disk."""
        where, report = self.where, self.checked.report
        if where.report is not None or report is None or not self.complete:
            return where
        outcome = "partial" if report.assumed_nonzero or self.claim.beyond else "accepted"
        proof = Evidence("proof", "checker", outcome, "", 0.0, "made just now")
        pieces = (*(piece for piece in where.evidence if piece.kind != "proof"), proof)
        return replace(where, verdict=verdict_of(pieces), evidence=pieces, report=report)

    def statement(self) -> Iterator[Block]:
        yield Heading("Statement")
        yield Display(broken(self.show(self.said)))
        if self.definitions:
            shown = defined(self.definitions, self.new)
            yield Paragraph((Span("where"),))
            yield Display(block([f"{formula(name)} = {formula(what)}" for name, what in shown.items()]))
        if len(self.claim.domain.parameters) > len(self.values):
            yield Paragraph(tuple(self.parameters()))
        if self.free:
            yield Paragraph(tuple(self.sizes()))
        if self.claim.notes:
            yield Paragraph(self.spans(self.claim.notes))

    def parameters(self) -> Iterator[Span]:
        """Every parameter with its range and meaning, then the conditions between them."""
        yield Span("Parameters: ")
        free = [parameter for parameter in self.claim.domain.parameters if parameter.symbol not in self.values]
        for i, parameter in enumerate(free):
            bounds, name = parameter.range, formula(self.new.get(parameter.symbol, parameter.symbol))
            low = f" {'>' if bounds.open else chr(92) + 'ge'} {bounds.low}" if bounds.low is not None else ""
            yield Span(", " if i else "")
            yield Span(f"{name}{low}", "formula")
            yield Span(f" ({'integer' if bounds.integer else 'real'}; ")
            yield from (*self.spans(parameter.says), Span(")"))
        conditions = [condition.xreplace(self.new) for condition in self.claim.domain.conditions]
        for i, condition in enumerate(each for each in conditions if each is not sp.true):
            yield Span(" and " if i else ", with ")
            yield Span(formula(condition), "formula")
        yield Span(".")

    def sizes(self) -> Iterator[Span]:
        """Every free matrix with its size."""
        yield Span("Matrices: ")
        for i, matrix in enumerate(self.free):
            sizes = (size.xreplace(self.new) for size in matrix.shape)
            rows, columns = (f"({formula(size)})" if size.is_Add else formula(size) for size in sizes)
            name = formula(matrix.xreplace(self.new))
            same = rf" = {name}^{{\top}}" if matrix in self.setting.symmetric else ""
            yield Span(", " if i else "")
            yield Span(rf"{name}{same} \in \mathbb{{R}}^{{{rows} \times {columns}}}", "formula")
        yield Span(".")
        if self.has_ones:
            yield from (Span(" "), Span(r"\mathbf{1}_m", "formula"), Span(" is the column of "))
            yield from (Span("m", "formula"), Span(" ones."))

    def premises(self) -> Iterator[Block]:
        if not self.hypotheses:
            return
        yield Heading("Hypotheses")
        used = {name: flag for name, _, flag in self.checked.report.hypotheses} if self.checked.report else {}
        marks = {True: "used", False: "not used", None: "use unknown"}
        for hypothesis, says in zip(self.setting.hypotheses, self.hypotheses, strict=True):
            number = self.numbers[hypothesis.name]
            yield Paragraph(
                (
                    Span(f"({number}) ", "strong"),
                    *self.spans(hypothesis.name, "strong"),
                    Span(f" ({marks[used.get(hypothesis.name)]}): "),
                    *self.spans(hypothesis.says),
                    Span(self.provided(hypothesis)),
                )
            )
            yield Display(broken(self.show(says)), number)
        assumed = self.checked.report.assumed_nonzero if self.checked.report else ()
        if assumed:
            yield Paragraph((Span(f"Assumed to be nonzero: {', '.join(assumed)}."),))

    def provided(self, hypothesis: Hypothesis) -> str:
        """By which lemma there are symbols of which a hypothesis holds, as the end of a sentence."""
        if hypothesis.lemma is None:
            return "."
        report = self.checked.report
        if report is not None and hypothesis.name in report.assumptions:
            return f"; an unchecked assumption, given as “{hypothesis.lemma}”, of which it is no instance."
        unchecked = hypothesis.lemma not in checker.SHAPES
        return f", by the lemma “{hypothesis.lemma}”{', which is not checked' if unchecked else ''}."

    def trusted(self) -> str:
        """How far it is checked that the lemmas apply."""
        under = dict.fromkeys(h.lemma for h in self.setting.hypotheses if h.lemma)
        shaped = [name for name in under if name in checker.SHAPES]
        others = [name for name in under if name not in checker.SHAPES]
        reading = [name for name in self.claim.lemmas if name not in under]
        said = []
        if shaped:
            said.append(f"The checker has compared the hypotheses with the shape of {', '.join(shaped)}.")
        if others:
            said.append(f"That hypotheses are instances of {', '.join(others)} is not checked.")
        if reading:
            said.append(f"How the reading of the statement uses {', '.join(reading)} is not checked.")
        return " ".join(said)

    def derivation(self) -> Iterator[Block]:
        yield Heading("Derivation")
        if not self.steps:
            yield Paragraph((Span("No derivation is registered."),))
        for step, says in zip(self.steps, self.folded, strict=True):
            missing = "" if step.name in self.checked.steps else " (not machine-checked)"
            name = self.spans(f"{step.name}.", "strong")
            yield Paragraph((Span(f"Step {self.numbers[step.name]}: ", "strong"), *name, Span(missing)))
            yield from self.step(step, says)
        yield from self.rules()

    def step(self, step: Step, says: Statement) -> Iterator[Block]:
        yield Display(broken(self.show(says)), self.numbers[step.name])
        yield Paragraph((*self.spans(step.because), Span(" "), *self.rule(step)))

    def rules(self) -> Iterator[Block]:
        rules = {self.checked.rule(step): step.by for step in self.steps}
        if rules:
            yield Heading("Rules")
            yield Paragraph((Span("Each step follows by one of these rules, whose conditions the checker verifies."),))
            yield Items(tuple((Span(name, "strong"), Span(": "), *_says(by)) for name, by in rules.items()))

    def sections(self) -> Sections:
        steps = tuple(
            Unfolded(self.numbers[step.name], step.name, step.name in self.checked.steps, tuple(self.step(step, says)))
            for step, says in zip(self.steps, self.folded, strict=True)
        )
        title, beyond, notes = map(self.spans, (self.claim.title, self.claim.beyond, self.claim.notes))
        parts = (self.statement(), self.premises(), self.rules(), self.references())
        statement, premises, rules, references = (
            tuple(block for block in part if not isinstance(block, Heading)) for part in parts
        )
        return Sections(title, beyond, notes, statement, premises, steps, rules, references)

    def rule(self, step: Step) -> Iterator[Span]:
        used = self.checked.uses(step.name)
        uses = ", ".join(f"({number})" for name, number in self.numbers.items() if name in used)
        yield Span(f"[{self.checked.rule(step)}{f'; uses {uses}' if uses else ''}]", "emphasis")

    def references(self) -> Iterator[Block]:
        yield Heading("Certificate and references")
        if self.checked.certificate is not None:
            stored = self.checked.certificate is self.where.certificate
            replay = f"tightframe verify {'--recheck ' if stored else ''}{self.claim.id}"
            yield Paragraph(
                (
                    Span(f"The steps were re-verified from {self.checked.where} by the independent checker of "),
                    Span(f"tightframe {version('tightframe')}; the hash of statement and hypotheses is "),
                    Span(self.claim.hash, "code"),
                    Span(". To check it again: "),
                    Span(replay, "code"),
                    Span("."),
                )
            )
        lemmas = dict.fromkeys((*(h.lemma for h in self.setting.hypotheses if h.lemma), *self.claim.lemmas))
        if lemmas:
            yield Paragraph((Span("Theorems of the literature that are believed and not checked:"),))
            yield Items(tuple((Span(name, "strong"), *_lemma(name)) for name in lemmas))
            yield Paragraph((Span(self.trusted()),))
        keys = [
            self.claim.paper,
            *(other.partition("/")[0] for other in (self.claim.sharpens, self.claim.corrects) if other),
        ]
        yield Items(tuple((Span(reference(registry.paper(key))),) for key in dict.fromkeys(keys)))


def _lemma(name: str) -> tuple[Span, ...]:
    if name not in checker.LEMMAS:
        return ()
    text = re.sub(r"_(\w\+\w)", r"_{\1}", f": {checker.LEMMAS[name]}")
    text = re.sub(r"(\b[A-Z](?:_\w|_\{[^{}]*\})?)'", r"\1^T ", text)  # the checker writes V' for the transpose
    return running(" ".join(text.split()))


def _says(by: Any) -> tuple[Span, ...]:
    """The mathematical statement of a rule: the first paragraph of its documentation."""
    text = " ".join((inspect.getdoc(type(by)) or "").partition("\n\n")[0].split()).replace("``", "")
    return running(text)


def special(claim: Claim, values: Mapping[str, Any]) -> dict[Any, Any]:
    """The parameters of the claim that get values, with these values, which must lie in its domain."""
    inputs = {each.symbol.name: Input(each.symbol.name, each.range, each.says) for each in claim.domain.parameters}
    if values and not inputs:
        raise ValueError(f"{claim.id} has no parameters that could be set")
    unknown = [name for name in values if name not in inputs]
    if unknown:
        raise ValueError(f"unknown name {unknown[0]!r}; known: {', '.join(inputs)}")
    exact = read([each for name, each in inputs.items() if name in values], values)
    symbols = {parameter.symbol.name: parameter.symbol for parameter in claim.domain.parameters}
    new = {symbols[name]: sp.Rational(value.numerator, value.denominator) for name, value in exact.items()}
    for condition in claim.domain.conditions:
        if condition.xreplace(new) is sp.false:
            raise ValueError(f"the claim needs {condition}, which fails there")
    return new


def _symbols(expr: Any) -> set[Any]:
    return set(expr.atoms(sp.MatrixSymbol)) | {symbol for symbol in expr.free_symbols if isinstance(symbol, sp.Symbol)}


def compose(
    claim: Claim,
    store: Store | None = None,
    values: Mapping[str, Any] | None = None,
    notation: Notation | None = None,
) -> Document:
    """The document of a claim, with ``values`` of some of its parameters put in, in a notation.

    Raises:
        ValueError: for a value outside the domain, or of a variable that the statement binds.
        NotationError: if two symbols would have the same letter.
    """
    return _Writer(claim, standing(claim, store), values or {}, notation=notation).document()


def sections(claim: Claim, where: Standing) -> Sections:
    """The parts of the document of a claim; a step counts as checked only by the certificate on disk."""
    return _Writer(claim, where, {}, on_disk).sections()


def document(
    claim: Claim | str,
    format: str = "markdown",
    store: Store | None = None,
    values: Mapping[str, Any] | None = None,
    notation: Notation | None = None,
) -> str:
    """The derivation of a claim as a document: what ``tightframe derive ID`` prints.

    Raises:
        UnknownName: naming the nearest id.
        ValueError: for an unknown format, or values that the claim cannot have.

    Examples:
        >>> print(document("han2022/total-covariance").splitlines()[4])
        **2 of 2 steps machine-checked.** Verdict: proved. Claim `han2022/total-covariance`.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}, pdf")
    found = registry.find(claim) if isinstance(claim, str) else claim
    return FORMATS[format](compose(found, store, values, notation))


def document_pdf(
    claim: Claim | str,
    store: Store | None = None,
    values: Mapping[str, Any] | None = None,
    notation: Notation | None = None,
) -> bytes:
    """The document as a PDF; the same raises."""
    found = registry.find(claim) if isinstance(claim, str) else claim
    return pdf(compose(found, store, values, notation))
