"""Proofs of changed statements, tried by the rules that prove the claim and judged by the checker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import sympy as sp

from ...theory.derivation import Setting
from ...theory.proof import box, checker
from ...theory.proof import statement as st
from ...theory.proof.certificate import head, model_json, polynomial_json, statement_json
from ...theory.proof.rules import (
    Box,
    Conjunction,
    Justification,
    MeanValue,
    Poly,
    Rewrite,
    Star,
    StepFailed,
    cofactor_json,
)
from ...theory.proof.squares import SearchedSquares, visible
from ...theory.proof.star import Limits, prove_zero
from ..claim import Claim

# Most mutants are false: looking longer for proofs of them finds nothing.
SECONDS = 2.0
BOXES = box.Limits(parts=200, seconds=SECONDS)
OPERATIONS = 60  # of an inequality that is tried on boxes: factors of longer ones take minutes
BRIEF = 0.05  # seconds for what one or two hypotheses may make vanish at once
SHORT = Star(limits=Limits(seconds=SECONDS, columns=800))
MULTIPLES = [Fraction(x) for x in ("1", "2", "1001/1000")]  # of a known semi-definite matrix


class Attempts:
    """A claim with all but the last step of its derivation established, ready for other last steps.

    ``own`` is the last step of the claim's own certificate, ``required`` that and the steps that it needs, ``used`` the
    hypotheses that it rests on; ``says`` is the statement that is tried.
    """

    def __init__(self, claim: Claim, seed: int = 0) -> None:
        derivation = claim.derivation
        if derivation is None:
            raise ValueError(f"{claim.id} has no derivation")
        self.seed, self.derivation = seed, derivation
        self.setting: Setting = derivation.setting
        self.translation, self.hypotheses = self.setting.translation()
        self.goal = self.translation.statement(claim.statement)
        self.definitions = dict(claim.setting.definitions)
        self.proving = derivation.begin(self.translation, seed)
        for step in derivation.steps[:-1]:
            self.proving.take(step.name, step.says, step.by)
        last = derivation.steps[-1]
        with self.undone():
            self.proving.take(last.name, last.says, last.by)
            self.own = self.proving.entries[-1]
            self.required = {entry["name"] for entry in needed(self.proving.entries)}
            report = self.check(self.goal, self.hypotheses)
        self.used = {name for name, _, flag in report.hypotheses if flag}
        self.says = claim.statement
        self.proving.completions = {}

    def new(self, statement: checker.Statement) -> list[checker.Statement]:
        """The parts of the statement that are not parts of the claim."""
        if statement.kind != "all" or self.goal.kind != "all":
            return [statement]
        return [part for part in statement.parts if part not in self.goal.parts]

    def changed(self, statement: checker.Statement) -> checker.Statement:
        """The conjunction of the new parts: the checker has accepted the others already."""
        return checker.Statement("all", parts=tuple(self.new(statement)) or statement.parts)

    def accepted(self, says: st.Statement, statement: checker.Statement, where_defined: bool = False) -> bool:
        """Whether the checker accepts this as the last step, by one of the rules that may yield it.

        ``says`` is the statement as it is written, of which ``statement`` is the normal form.

        With ``where_defined`` the hypotheses say that every inverse in the statement exists.

        Raises:
            Refutation: if a rule finds a counterexample.
        """
        self.says = says
        existing = list(self.existence(statement)) if where_defined else []
        if where_defined and not existing:
            return False
        if statement.kind == "zero" and not where_defined and self.differs_by_zero(statement):
            return True
        last = self.derivation.steps[-1]
        for by in (None,) if statement.kind == "all" else self.rules(statement, last.by):
            hypotheses = list(self.hypotheses)
            try:
                with self.undone():
                    for name, exists in existing:
                        hypotheses.append({"name": name, "statement": statement_json(exists)})
                        self.proving.established[name] = exists
                    self.proving.use_inverses()
                    if by is None:
                        names = dict(zip(statement.parts, self.parts(statement), strict=True))
                        goal = self.changed(statement)
                        self.proving.establish("mutant", "all", goal, {"parts": [names[part] for part in goal.parts]})
                    else:
                        goal, data = statement, by.certify(self.proving, statement)
                        self.proving.establish("mutant", by.rule_for(statement), statement, data)
                    self.check(goal, hypotheses)
                return True
            except (StepFailed, checker.Rejected, KeyError, ValueError):
                continue
        return False

    def rules(self, statement: checker.Statement, own: Justification | None, name: str = "") -> list[Justification]:
        """What may prove a statement: the rule of the claim's in its place, star, and inequalities from the claim's.

        Those come last that leave it to the checker whether they apply.
        """
        found: list[Justification] = [hurried(own)] if isinstance(own, Star | Poly) else []
        if statement.kind == "zero":
            found.append(SHORT)
        if statement.kind == "minimum":
            found.append(SearchedSquares(SHORT.limits, SECONDS))
        if statement.kind in ("positive", "nonnegative"):
            known = (name,) if name in self.proving.established else ()
            found += [Poly(known, seconds=SECONDS), Poly(seconds=SECONDS)]
        return found if own is None or isinstance(own, Star | Poly) else [*found, own]

    def grafted(self, statement: checker.Statement) -> bool:
        """Whether the checker accepts the claim's own certificate for another statement, which is false."""
        try:
            with self.undone():
                self.proving.entries.append({**self.own, "statement": statement_json(statement)})
                self.check(statement, self.hypotheses)
        except checker.Rejected:
            return False
        return True

    def check(self, statement: checker.Statement, hypotheses: Sequence[Mapping[str, Any]]) -> checker.Report:
        """The checker's judgement of the last step, which is the statement, and of those that it needs."""
        model = self.derivation.model(self.translation, self.seed)
        if model is None:
            raise checker.Rejected("no model of the hypotheses found")
        document = head(self.translation, hypotheses, statement)
        return replayed(document | {"claim": None, "model": model_json(model)}, self.proving.entries)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Within it steps may be taken, which are forgotten at the end."""
        established, entries = dict(self.proving.established), list(self.proving.entries)
        try:
            yield
        finally:
            self.proving.established, self.proving.entries = established, entries

    def parts(self, statement: checker.Statement) -> list[str]:
        """Steps for the parts of a conjunction; one that is not established is tried as the part in its place was."""
        steps = {step.name: step.by for step in self.derivation.steps}
        last = self.derivation.steps[-1].by
        places = last.parts if isinstance(last, Conjunction) else ()
        names: list[str] = []
        for i, part in enumerate(statement.parts):
            known = next((name for name, said in self.proving.established.items() if said == part), None)
            if known is None:
                known, place = f"mutant part {i}", places[i] if i < len(places) else ""
                says = self.says.parts[i] if isinstance(self.says, st.AllOf) else None
                try:
                    if isinstance(says, st.Positive | st.Nonnegative):
                        self.cleared(known, says)
                    elif part.kind == "psd":
                        self.semidefinite(known, part, place)
                    elif isinstance(says, st.Exceeds):
                        known = self.rising(known, says, steps.get(place), time.process_time() + 3 * SECONDS)
                    else:
                        self.shifted(known, part, place)
                except (StepFailed, checker.Rejected):
                    self.attempt(known, part, self.rules(part, steps.get(place), place))
            names.append(known)
        return names

    def semidefinite(self, name: str, part: checker.Statement, known: str) -> None:
        """Establish a semi-definite matrix as a multiple of a known one and visible squares."""
        algebra, was = self.translation.algebra, self.proving.established.get(known)
        if was is None or was.kind != "psd" or was.target.shape != part.target.shape or part.target.shape is None:
            raise StepFailed("no semi-definite matrices of one shape")
        whole = algebra.identity(part.target.shape[0])
        for number in MULTIPLES:
            multiple = algebra.scalar({(): number})
            left = algebra.minus(part.target, algebra.times(multiple, was.target))
            squares = list(visible(algebra, left))
            terms = [algebra.times(w, algebra.times(x, algebra.transpose(x))) for w, x in squares]
            for term in terms:
                left = algebra.minus(left, term)
            if left.terms:
                continue
            found = [{"weight": multiple, "factor": whole}, *({"weight": w, "factor": x} for w, x in squares)]
            data: list[dict[str, Any]] = [{key: polynomial_json(p) for key, p in each.items()} for each in found]
            data[0]["metric"] = known
            return self.proving.establish(name, "gram", part, {"squares": data})
        raise StepFailed("no squares are seen in the rest")

    def differs_by_zero(self, statement: checker.Statement) -> bool:
        """Whether the checker accepts it as the claim plus what vanishes by very few hypotheses."""
        try:
            with self.undone():
                self.proving.entries.append(self.own)
                self.proving.established[self.own["name"]] = self.goal
                self.shifted("mutant", statement, self.own["name"])
                self.check(statement, self.hypotheses)
            return True
        except (StepFailed, checker.Rejected):
            return False

    def shifted(self, name: str, part: checker.Statement, known: str) -> None:
        """Establish an equation as a known one plus a difference that vanishes by one or two hypotheses.

        Or by those, all at once, that the known one rests on.
        """
        algebra, was = self.translation.algebra, self.proving.established.get(known)
        if part.kind != "zero" or was is None or was.kind != "zero" or was.target.shape != part.target.shape:
            raise StepFailed("no equations of one shape")
        difference = algebra.minus(part.target, was.target)
        names = [each.name for each in self.setting.hypotheses]
        steps = [name for name in self.proving.established if name not in (known, *names)]
        few = (*((one,) for one in (*names, *steps)), *combinations(names, 2))
        behind = self.behind(known)
        for using in (*few, behind, behind):  # the second time with what the first has completed
            relations = {one: self.proving.established[one] for one in using}
            if any(relation.kind != "zero" for relation in relations.values()):
                continue
            if not algebra.names(*(r.target for r in relations.values())) & algebra.names(difference):
                continue
            found = prove_zero(
                algebra,
                difference,
                {one: relation.target for one, relation in relations.items()},
                Limits(seconds=BRIEF if len(using) <= 2 else 3 * SECONDS, columns=100),
                self.proving.completions,
            )
            if found.cofactors is not None:
                data = {"cofactors": [cofactor_json(c, value) for c, value in found.cofactors.items()]}
                self.proving.establish(f"{name}: difference", "star", checker.Statement("zero", difference), data)
                terms = [{"of": known, "c": "1"}, {"of": f"{name}: difference", "c": "1"}]
                return self.proving.establish(name, "star", part, {"cofactors": terms})
        raise StepFailed("no hypothesis makes the difference vanish")

    def behind(self, name: str) -> tuple[str, ...]:
        """The equations that the proof of a step rests on."""
        places = {entry["name"]: i for i, entry in enumerate(self.proving.entries)}
        if name not in places:
            return ()
        entries = self.proving.entries[: places[name] + 1]
        named = set[str]().union(*(_mentioned(entry["data"]) for entry in needed(entries))) - {name}
        return tuple(each for each, said in self.proving.established.items() if each in named and said.kind == "zero")

    def rising(self, name: str, says: st.Exceeds, own: Justification | None, end: float) -> str:
        """Establish an inequality: by a start and a slope, as its own was; or on boxes, a factor divided out.

        Returns the name of the step that says it.
        """
        part, difference = self.translation.statement(says), says.left - says.right
        known = next((step for step, said in self.proving.established.items() if said == part), None)
        if known is not None:
            return known
        if isinstance(own, MeanValue) and not difference.has(own.variable):
            raise StepFailed("it has no slope")
        if isinstance(own, MeanValue) and (low := self.setting.parameters[own.variable].low) is not None:
            steps = {step.name: step.by for step in self.derivation.steps}
            start = sp.expand(difference.subs(own.variable, sp.Rational(low.numerator, low.denominator)))
            slope = sp.diff(difference, own.variable)
            slope = slope if says.left.has(sp.exp(own.variable)) is False else sp.expand(slope)
            data = {"variable": own.variable.name}
            try:
                inner = [(key, each) for key, each in (("start", start), ("slope", slope)) if each != 0]
                for key, each in inner:
                    by = steps.get(getattr(own, key) or "")
                    below = st.Exceeds(each, sp.S.Zero, says.domain)
                    if key == "start" and (was := self.said(own.start)) is not None and was.left - was.right == each:
                        below = was
                    data[key] = self.rising(f"{name}: {key}", below, by, end)
                self.proving.establish(name, "mean-value", part, data)
                return name
            except (StepFailed, checker.Rejected) as error:
                raise StepFailed("no slope shows it") from error
        if sp.count_ops(difference) > OPERATIONS:
            raise StepFailed("too long for boxes")
        terms: Any = sp.Mul.make_args(sp.factor_terms(difference)) if says.right == 0 else ()
        unclear = [each for each in terms if not each.is_positive]
        factors = [sp.Mul(*(other for other in terms if other != each)) for each in unclear if len(terms) > 1]
        given = [own.factor] if isinstance(own, Box) and own.factor is not None else []
        for factor in (None, *given, *factors):
            if time.process_time() > end:
                break
            try:
                by = Box(factor, BOXES)
                self.proving.establish(name, by.rule_for(part), part, by.certify(self.proving, part))
                return name
            except (StepFailed, checker.Rejected, RecursionError):  # of sympy, in forms of boxes that were cut often
                continue
        raise StepFailed("neither slopes nor boxes show it")

    def cleared(self, name: str, says: st.Positive | st.Nonnegative) -> None:
        """Establish that a fraction is positive, as its numerator is."""
        kind = type(says)
        above, below = sp.fraction(sp.together(says.scalar))
        if below == 1:
            raise StepFailed("no fraction")
        whole = sp.expand(above) / below
        names = [f"{name}: {part}" for part in ("numerator", "fraction", "the same")]
        self.proving.take(names[0], kind(sp.expand(above)), Poly((), seconds=BRIEF))
        self.proving.take(names[1], kind(whole), Poly((names[0],), seconds=BRIEF))
        self.proving.take(names[2], st.Equal(says.scalar, whole), replace(SHORT, using=()))
        self.proving.take(name, says, Rewrite(names[1], names[2]))

    def said(self, name: str | None) -> st.Exceeds | None:
        """What a step of the derivation says, if it is such an inequality."""
        found = next((step.says for step in self.derivation.steps if step.name == name), None)
        return found if isinstance(found, st.Exceeds) else None

    def attempt(self, name: str, part: checker.Statement, rules: list[Justification]) -> None:
        """Establish a statement by the first of some rules that does."""
        for by in rules:
            try:
                return self.proving.establish(name, by.rule_for(part), part, by.certify(self.proving, part))
            except (StepFailed, checker.Rejected, RecursionError):
                continue
        raise StepFailed("no rule proves it")

    def existence(self, statement: checker.Statement) -> Iterator[tuple[str, checker.Statement]]:
        algebra = self.translation.algebra
        for name in sorted(algebra.names(*statement.polynomials())):
            inner = algebra.definition(name)
            if inner is not None and inner.shape is not None and algebra.letters[name].equals is None:
                yield f"{name} exists", checker.Statement("invertible", inner)


def hurried(by: Justification) -> Justification:
    """The same rule with less time."""
    if isinstance(by, Poly):
        return replace(by, seconds=SECONDS)
    if isinstance(by, Star):
        return replace(by, limits=replace(by.limits, seconds=2 * SECONDS))
    return by


def replayed(document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> checker.Report:
    """The checker's judgement of a certificate of the steps that the last one names, else of one of all steps.

    A rule may also find what it needs among steps that it does not name.
    """
    try:
        return checker.check({**document, "steps": needed(entries)})
    except checker.Rejected:
        return checker.check({**document, "steps": list(entries)})


EXISTENCE = ("pd", "invertible", "positive")


def needed(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last step of a certificate, and those that it needs or that say that an inverse exists."""
    wanted, found = {entries[-1]["name"]}, list[Mapping[str, Any]]()
    for entry in reversed(entries):
        if entry["name"] in wanted or entry["statement"]["kind"] in EXISTENCE:
            found.append(entry)
            wanted |= _mentioned(entry["data"])
    return found[::-1]


def _mentioned(data: Any) -> set[str]:
    if isinstance(data, str):
        return {data}
    parts = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    return set().union(*map(_mentioned, parts))
