"""What is missing in a derivation: each step with the rule that shows it, an example where it is false, or the rest.

The steps are taken one after the other as :meth:`Derivation.prove` takes them. A step that does not follow is tried
with the other rules for statements of its kind, and then taken for granted, so that those after it are looked at too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..theory.derivation import Derivation, Proof, Step
from ..theory.proof import box, checker, rules, star
from ..theory.proof import statement as st
from ..theory.proof.certificate import head, model_json, statement_json
from ..theory.proof.rules import Attested, Proving, Refutation, StepFailed
from ..theory.proof.translation import Untranslatable
from . import claims_files, registry
from .claim import Claim
from .stating import DEFAULT_RULES, line_of
from .verification import Standing

SECONDS = 5.0  # for a rule that the author did not name
SHOWN = 400  # characters of what is left over


@dataclass(frozen=True)
class StepReport:
    """One step: ``outcome`` is ``follows``, ``attested`` (by z3 alone), ``false``, ``not shown`` or ``unreadable``.

    ``rule`` is the rule that shows it, ``detail`` what is missing, ``witness`` an exact example in which it is false.
    """

    name: str
    says: str
    origin: str | None
    outcome: str
    rule: str
    detail: str
    seconds: float
    witness: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StepReports:
    """The steps of a claim; ``unused`` are hypotheses that the whole proof does not need, with their places."""

    claim: str
    steps: tuple[StepReport, ...]
    unused: tuple[tuple[str, str | None], ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if a step is false or a hypothesis unused, 2 if one cannot be read, 3 if one is not shown."""
        outcomes = {step.outcome for step in self.steps}
        if "unreadable" in outcomes:
            return 2
        if "false" in outcomes or self.unused:
            return 1
        return 3 if outcomes & {"not shown", "attested"} else 0

    def json(self) -> dict[str, Any]:
        steps = [{item: getattr(step, item) for item in StepReport.__dataclass_fields__} for step in self.steps]
        return {
            "claim": self.claim,
            "steps": steps,
            "unused": [{"hypothesis": name, "origin": origin} for name, origin in self.unused],
        }

    def plain(self) -> str:
        widest = max((len(step.name) for step in self.steps), default=0)
        lines = [self.claim]
        for step in self.steps:
            place = f"{step.origin}: " if step.origin and step.outcome != "follows" else ""
            rule = f"by {step.rule}" if step.rule else ""
            said = "; ".join(part for part in (rule, place + step.detail if step.detail else "") if part)
            lines.append(f"  {step.outcome:<10} {step.name:<{widest}}  {said}".rstrip())
        for name, origin in self.unused:
            place = f"{origin}: " if origin else ""
            lines.append(f"  {place}the hypothesis {name!r} is not used: the claim holds without it")
        return "\n".join(lines)


def check_steps(claim: Claim | str, step: str | None = None, seed: int = 0) -> StepReports:
    """Try the provers on the steps of a claim, or on one of them; the others are then taken for granted.

    A step before it that is taken for granted although an exact example refutes it is reported as false.

    ``claim`` is an id, ``FILE.py::slug``, or a claim that a draft returned.

    Raises:
        UnknownName: if there is no such claim.
        ValueError: if it has no derivation, or no step of this name.

    Examples:
        >>> check_steps("han2022/total-covariance").plain().splitlines()[1].split()[0]
        'follows'
    """
    found = registry.find(claim) if isinstance(claim, str) else claim
    derivation = found.derivation
    if derivation is None:
        raise ValueError(f"{_place(found.origin)}{found.id} has no derivation whose steps could be tried")
    names = [each.name for each in derivation.steps]
    if step is not None and step not in names:
        raise ValueError(f"{found.id} has no step {step!r}; its steps: {', '.join(names)}")
    try:
        translation, hypotheses = derivation.setting.translation()
        translation.statement(derivation.statement)
        proving = derivation.begin(translation, seed)
    except (Untranslatable, checker.Rejected) as error:
        report = _report(derivation.steps[-1], found, "unreadable", "", str(error), time.perf_counter())
        return StepReports(found.id, (report,))
    reports: list[StepReport] = []
    for number, each in enumerate(derivation.steps):
        if step is None or each.name == step:
            reports.append(_tried(each, found, proving))
        if each.name not in proving.established:
            _grant(each, proving)
            if each.name in proving.established:
                hypotheses.append({"name": each.name, "statement": statement_json(proving.established[each.name])})
                if step is not None and number < names.index(step):
                    reports += _granted_falsely(each, found, proving)
    if all(report.outcome == "follows" for report in reports):
        reports = _rejected(reports, proving, hypotheses)
    complete = step is None and all(report.outcome == "follows" for report in reports)
    return StepReports(found.id, tuple(reports), tuple(_unused(found, derivation, seed)) if complete else ())


def _tried(step: Step, claim: Claim, proving: Proving) -> StepReport:
    started = time.perf_counter()
    reason = ""
    for by in (step.by, *others(step.says, step.by)):
        kept = dict(proving.established), list(proving.entries)
        try:
            proving.take(step.name, step.says, by)
        except Untranslatable as error:
            return _report(step, claim, "unreadable", "", str(error), started)
        except (StepFailed, Refutation, checker.Rejected) as error:
            proving.established, proving.entries = kept
            if isinstance(error, Attested):
                return _report(step, claim, "attested", "z3", str(error), started)
            if isinstance(error, Refutation):
                return _report(step, claim, "false", "", _where(step, error, proving), started, error.witness)
            reason = reason or str(error)
        else:
            detail = (
                f"not by {step.by.rule or type(step.by).__name__}: {reason[:SHOWN]}" if reason else vacuous(step.says)
            )
            return _report(step, claim, "follows", _rule(by, proving), detail, started)
    hints = " ".join(missing_inverses(step, proving))
    return _report(step, claim, "not shown", "", f"{reason[:SHOWN]}{f'. {hints}' if hints else ''}", started)


def _rejected(reports: list[StepReport], proving: Proving, hypotheses: list[dict[str, Any]]) -> list[StepReport]:
    """The reports, after the checker has judged the steps: what it does not accept does not follow."""
    last = reports[-1].name
    names = [entry["name"] for entry in proving.entries]
    model = proving.model()
    if model is None:
        return reports
    document = head(proving.translation, hypotheses, proving.established[last])
    document |= {"claim": None, "steps": proving.entries[: names.index(last) + 1], "model": model_json(model)}
    try:
        checker.check(document)
    except checker.Rejected as error:
        why = f"the checker rejects it: {error}"
        blamed = [i for i, report in enumerate(reports) if f"step {report.name!r}" in why]
        granted = len(hypotheses) > len(proving.hypotheses)
        if not blamed and granted and "the model does not satisfy" not in why:
            return reports  # what was taken for granted cannot be evaluated, and no certificate rests on it
        at = blamed[0] if blamed else len(reports) - 1
        reports[at] = replace(reports[at], outcome="not shown", rule="", detail=why)
    return reports


def vacuous(says: st.Statement) -> str:
    """A warning where both sides of an equation are the same expression."""
    if isinstance(says, st.Equal) and says.left == says.right:
        return f"says {says.latex()}: both sides are the same; sympy may have simplified what was written"
    return ""


def _rule(by: rules.Justification, proving: Proving) -> str:
    return str(proving.entries[-1]["rule"]) if proving.entries else by.rule


def others(says: st.Statement, own: rules.Justification) -> Iterator[rules.Justification]:
    """Rules that need no more than the statement, other than the author's."""
    quick = {
        rules.Star: rules.Star(limits=star.Limits(seconds=SECONDS)),
        rules.Poly: rules.Poly(seconds=SECONDS),
        rules.Box: rules.Box(limits=box.Limits(seconds=SECONDS)),
    }
    default = DEFAULT_RULES.get(type(says))
    if default is not None:
        by = quick.get(default, default())  # type: ignore[arg-type]
        if type(by) is not type(own) or getattr(own, "using", None) is not None:
            yield by
    if isinstance(says, st.Equal):
        yield rules.Poly(seconds=SECONDS)


def _grant(step: Step, proving: Proving) -> None:
    """Take a step for granted."""
    try:
        step.by.prepare(proving.translation, step.says)
        proving.established[step.name] = proving.translation.statement(step.says)
        proving.use_inverses()
    except (StepFailed, Untranslatable, checker.Rejected):
        return


def _granted_falsely(step: Step, claim: Claim, proving: Proving) -> Iterator[StepReport]:
    """A report of a step that was taken for granted, if it fails in an exact example."""
    started = time.perf_counter()
    try:
        proving.refute(proving.established[step.name])
    except Refutation as error:
        detail = f"taken for granted, but {_where(step, error, proving)}"
        yield _report(step, claim, "false", "", detail, started, error.witness)


def _report(
    step: Step, claim: Claim, outcome: str, rule: str, detail: str, started: float, witness: Any = None
) -> StepReport:
    origin = step.origin or claim.origin
    place = None if origin is None else claims_files.shown_place(origin)
    return StepReport(
        step.name, step.says.latex(), place, outcome, rule, detail, time.perf_counter() - started, witness
    )


def _where(step: Step, error: Refutation, proving: Proving) -> str:
    """The example in which a step is false, and what is left of an equation there."""
    parameters = error.witness["parameters"]
    letters = {name: rows for name, rows in error.witness["letters"].items() if name in proving.translation.sources}
    said = [f"{name} = {value}" for name, value in parameters.items() if not name.startswith(("rec", "pow"))]
    said += [f"{name} = {rows_text(rows)}" for name, rows in letters.items()]
    rest = residual(step.says, proving, error.witness)
    return f"{error} where {', '.join(said)}" + (f"; left minus right is {rest}" if rest else "")


def rows_text(rows: list[list[str]]) -> str:
    """A matrix as one line."""
    return "[" + ", ".join("[" + ", ".join(row) + "]" for row in rows) + "]"


def residual(says: st.Statement, proving: Proving, witness: Mapping[str, Any]) -> str:
    """What an equation leaves in an example, as exact numbers."""
    if not isinstance(says, st.Equal):
        return ""
    model = checker.Model(
        {name: Fraction(value) for name, value in witness["parameters"].items()},
        {name: [[Fraction(x) for x in row] for row in rows] for name, rows in witness["letters"].items()},
    )
    try:
        rows = proving.translation.algebra.evaluate(proving.translation.statement(says).target, model)
    except (checker.Rejected, KeyError):
        return ""
    return (
        str(rows[0][0])
        if proving.translation.statement(says).target.shape is None
        else rows_text([[str(x) for x in row] for row in rows])
    )


def missing_inverses(step: Step, proving: Proving) -> Iterator[str]:
    """What is inverted in a step though nothing says that it can be."""
    algebra = proving.translation.algebra
    try:
        statement = proving.translation.statement(step.says)
    except (Untranslatable, checker.Rejected):
        return
    for name in sorted(algebra.names(*statement.polynomials())):
        inner = algebra.definition(name)
        if inner is None or f"{name}: left inverse" in proving.established:
            continue
        if name in algebra.letters and algebra.letters[name].inverse_of is not None:
            yield (
                f"{name} stands for the inverse of {checker.render(inner)}, of which nothing says that it exists: add "
                "Invertible(...) to given=, or a step that says PositiveDefinite(...)."
            )
        elif name in algebra.reciprocals:
            yield f"{name} stands for 1 / ({checker.render(inner)}), which nothing says is not zero."


def _unused(claim: Claim, derivation: Derivation, seed: int) -> Iterator[tuple[str, str | None]]:
    """Hypotheses without which the certificate is accepted as well."""
    proof = derivation.prove(claim.id, seed)
    if isinstance(proof, Proof):
        for name, _, used in proof.report.hypotheses:
            if not used:
                place = line_of(claim.origin, name)
                yield name, None if place is None else claims_files.shown_place(place)


def _place(origin: str | None) -> str:
    return f"{claims_files.shown_place(origin)}: " if origin else ""


def remarks(claim: Claim, where: Standing) -> Iterator[str]:
    """Of a claim of the user's, a line for what keeps it from being proved, and for each hypothesis without use."""
    places = {each.name: each.origin for each in claim.derivation.steps} if claim.derivation is not None else {}
    for piece in where.evidence:
        if piece.outcome == "failed":
            yield piece.detail
        elif piece.outcome in ("undecided", "refuted", "diverge") and piece.detail != "no derivation":
            at = next((origin for name, origin in places.items() if f"step {name!r}" in piece.detail), None)
            yield f"{_place(at or claim.origin)}{claim.id}: {piece.outcome}: {piece.detail}"
    if said := vacuous(claim.statement):
        yield f"{_place(claim.origin)}{claim.id}: {said}"
    for name, _, used in where.report.hypotheses if where.report else ():
        if not used:
            yield f"{_place(line_of(claim.origin, name))}{claim.id}: the hypothesis {name!r} is not used"


__all__ = ["StepReport", "StepReports", "check_steps", "remarks"]
