"""Claims and their standing as JSON, as plain text, and as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..theory.proof import checker
from . import registry, terminal
from .claim import Claim
from .evidence import Verdict
from .store import Store, shipped_trial
from .verification import Standing, standing

COLOURS = {
    Verdict.PROVED: "green",
    Verdict.ATTESTED: "cyan",
    Verdict.SUPPORTED: "blue",
    Verdict.OPEN: "yellow",
    Verdict.REFUTED: "red",
}


def show(claim_id: str, store: Store | None = None) -> dict[str, Any]:
    """Everything about a claim, as data: what ``tightframe show ID --json`` prints.

    Raises:
        UnknownName: if no claim has this id.

    Examples:
        >>> show("han2022/total-covariance")["verdict"]
        'proved'
    """
    claim = registry.find(claim_id)
    return describe(claim, standing(claim, store))


def describe(claim: Claim, where: Standing) -> dict[str, Any]:
    """The claim and where it stands, as data."""
    report = where.report
    used = {name: flag for name, _, flag in report.hypotheses} if report else {}
    sharper = registry.sharpened_by(claim)
    proved = [other for other in sharper if standing(registry.find(other)).verdict is Verdict.PROVED]
    return {
        "id": claim.id,
        "hash": claim.hash,
        "paper": claim.paper,
        "version": claim.version,
        "locator": claim.locator,
        "title": claim.title,
        "kind": str(claim.kind),
        "verdict": str(where.verdict),
        "statement_latex": claim.statement_latex(),
        "definitions_latex": list(claim.definitions_latex()),
        "domain": claim.domain.json(),
        "conditional_on": list(where.conditional_on),
        "unchecked": list(where.unchecked),
        "assumptions": list(where.assumptions),
        "sharpened": proved,
        "sharpens": claim.sharpens,
        "corrected_by": registry.corrected_by(claim),
        "corrects": claim.corrects,
        "depends": registry.depends(claim, where.certificate),
        "hypotheses": [
            {
                "name": hypothesis.name,
                "statement": hypothesis.statement.latex(),
                "says": hypothesis.says,
                "lemma": hypothesis.lemma,
                "used": used.get(hypothesis.name),
            }
            for hypothesis in claim.setting.hypotheses
        ],
        "assumed_nonzero": list(report.assumed_nonzero) if report else [],
        "recorded": str(claim.recorded),
        "evidence": [piece.json() for piece in where.evidence],
        "mutants": _trial(claim),
        "notes": claim.notes,
    }


def _trial(claim: Claim) -> Mapping[str, Any] | None:
    """What became of its mutants; ``not_tried`` is the part of the claim that its statement does not say."""
    found = shipped_trial(claim.id, claim.hash)
    return {**found, "not_tried": claim.beyond} if found and claim.beyond else found


def plain(data: dict[str, Any], unicode: bool = True) -> str:
    """What ``tightframe show ID`` prints; ``unicode`` says whether the terminal has its signs."""
    said = terminal.sentence if unicode else str

    def field(name: str, text: str) -> str:
        return f"{name:<14}{text}"

    marks = {True: "used", False: "not used", None: "-"}
    conditions = checker.conditions(data["conditional_on"], data["assumptions"], data["unchecked"])
    lemmas = f" (conditional on {conditions})" if conditions else ""
    source = data["paper"] + (f", arXiv:{data['version']}" if data["version"] else "")
    lines = [
        f"{data['id']}  {said(data['title'])}",
        field("verdict", f"{data['verdict']}{lemmas}; recorded: {data['recorded']}"),
        field("source", source + (f", {data['locator']}" if data["locator"] else "")),
        field("kind", data["kind"]),
        field("hash", data["hash"]),
        field("statement", data["statement_latex"]),
        *(field("where" if i == 0 else "", text) for i, text in enumerate(data["definitions_latex"])),
    ]
    for i, entry in enumerate(data["domain"]["parameters"]):
        bound = f"{entry['name']} {'>' if entry['open'] else '>='} {entry['low']}" if entry["low"] else entry["name"]
        lines.append(
            field("domain" if i == 0 else "", f"{said(bound)}{', integer' * entry['integer']}  ({said(entry['says'])})")
        )
    lines += [field("", said(condition)) for condition in data["domain"]["conditions"]]
    for i, entry in enumerate(data["hypotheses"]):
        lemma = f", by {entry['lemma']}" if entry["lemma"] else ""
        if entry["name"] in data["assumptions"]:
            lemma = f", unchecked assumption, no instance of {entry['lemma']}"
        elif entry["lemma"] in data["unchecked"]:
            lemma += ", unchecked"
        lines.append(field("hypotheses" if i == 0 else "", f"[{marks[entry['used']]}{lemma}] {said(entry['says'])}"))
    for i, piece in enumerate(data["evidence"]):
        text = (
            f"{piece['kind']} by {piece['prover']}: {piece['outcome']}, {piece['coverage']} ({piece['seconds']:.2f} s)"
        )
        lines.append(field("evidence" if i == 0 else "", f"{text}; {piece['detail']}"))
    if not data["evidence"]:
        lines.append(field("evidence", "none on this machine; run tightframe verify"))
    if data["mutants"]:
        counts, untold = data["mutants"]["counts"], data["mutants"].get("not_tried")
        rest = f"; not tried, as no certificate says it: {untold}" if untold else ""
        lines.append(field("mutants", ", ".join(f"{count} {fate}" for fate, count in counts.items()) + rest))
        lines += [field("", f"{t['fate']}: {t['change']}: {t['detail']}") for t in data["mutants"]["not_killed"]]
    links = ("depends", "sharpened", "sharpens", "corrected_by", "corrects")
    for name in links:
        value = data[name]
        if value:
            lines.append(field(name, ", ".join(value) if isinstance(value, list) else value))
    if data["assumed_nonzero"]:
        lines.append(field("assumes", f"nonzero: {', '.join(data['assumed_nonzero'])}"))
    if data["notes"]:
        lines.append(field("notes", said(data["notes"])))
    return "\n".join(lines)


def summary(where: Standing) -> str:
    """The evidence for a claim in a few words."""
    words = {
        "accepted": "certificate",
        "partial": "certificate (part)",
        "attested": "z3 attests",
        "agree": "simulation agrees",
    }
    words |= {"diverge": "simulation diverges", "refuted": "counterexample", "unavailable": "a package is missing"}
    parts = []
    for piece in where.evidence:
        text = words.get(piece.outcome, f"{piece.kind} {piece.outcome}")
        if piece.kind == "simulation":
            text = {"agree": "seen in trainings", "partial": "seen in some trainings"}.get(piece.outcome, text)
        covers = piece.kind in ("property", "simulation") and piece.outcome != "unavailable"
        parts.append(f"{text} ({piece.coverage})" if covers else text)
    return ", ".join(parts) or "none yet"


def table(results: Sequence[Standing], *, timed: bool) -> Any:
    """A rich table of claims, verdicts and evidence."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("claim", "verdict", "evidence", *(("seconds",) if timed else ())):
        grid.add_column(header, justify="right" if header == "seconds" else "left", overflow="fold")
    for result in results:
        mark = "" if result.verdict == result.recorded else f" [recorded: {result.recorded}]"
        verdict = Text(result.verdict_text() + mark, style=COLOURS[result.verdict])
        cells = [Text(result.claim), verdict, Text(summary(result))]
        grid.add_row(*cells, *((Text(f"{result.seconds:.2f}"),) if timed else ()))
    return grid


def mutant_table(trials: Sequence[Mapping[str, Any]]) -> Any:
    """A rich table of what became of the mutants of claims."""
    from rich.table import Table
    from rich.text import Text

    from .trials.mutants import Fate

    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("claim", overflow="fold")
    for header in ("mutants", *Fate, "open, %"):
        grid.add_column(str(header), justify="right")
    for data in trials:
        counts = [data["counts"][str(fate)] for fate in Fate]
        share = 100 * data["counts"][str(Fate.OPEN)] / max(1, sum(counts))
        grid.add_row(Text(data["claim"]), *(Text(str(count)) for count in (sum(counts), *counts)), Text(f"{share:.1f}"))
    return grid


def markdown_table(results: Iterable[Standing]) -> str:
    """The table of claims for the README."""
    lines = ["| claim | says | verdict |", "|---|---|---|"]
    for result in results:
        title = terminal.sentence(registry.find(result.claim).title)
        lines.append(f"| `{result.claim}` | {title} | {result.verdict_text()} |")
    return "\n".join(lines)
