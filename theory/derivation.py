"""Derivations: a setting, an ordered list of steps, and the statement that they reach.

A step says something, says why, and names the rule that yields it. The certificate is made from the same object that
a reader sees, so the answer and its steps cannot drift apart.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import sympy as sp

from .proof import checker
from .proof.certificate import (
    Values,
    binding,
    content_hash,
    head,
    model_json,
    statement_json,
)
from .proof.checker import Range
from .proof.refuter import counterexample
from .proof.rules import Attested, Justification, Proving, Refutation, StepFailed
from .proof.statement import Statement
from .proof.translation import Translation, Untranslatable


@dataclass(frozen=True)
class Hypothesis:
    """A named assumption. ``lemma`` names the literature lemma that provides it, from the checker's closed list."""

    name: str
    statement: Statement
    says: str
    lemma: str | None = None


@dataclass(frozen=True)
class Setting:
    """Where statements live: parameters with ranges, symmetric symbols, hypotheses, and how to draw exact examples.

    ``definitions`` maps abbreviations to what they stand for; the checker sees them written out.
    ``sample(rng)`` returns exact values (rationals and rows of rationals) of all free symbols that satisfy every
    hypothesis; it serves the search for counterexamples and the model that each certificate carries. ``wider`` are
    samplers that break some hypotheses: for trials of what happens without these.
    """

    parameters: Mapping[sp.Symbol, Range]
    hypotheses: tuple[Hypothesis, ...]
    sample: Callable[[random.Random], Values]
    symmetric: tuple[sp.MatrixSymbol, ...] = ()
    definitions: Mapping[Any, Any] = field(default_factory=dict[Any, Any])
    wider: tuple[Callable[[random.Random], Values], ...] = ()

    def translation(self) -> tuple[Translation, list[dict[str, Any]]]:
        """A fresh translation with the hypotheses in it, and their JSON."""
        translation = Translation(self.parameters, self.symmetric, self.definitions)
        entries: list[dict[str, Any]] = []
        for hypothesis in self.hypotheses:
            entry = {"name": hypothesis.name, "statement": statement_json(translation.statement(hypothesis.statement))}
            if hypothesis.lemma is not None:
                entry["lemma"] = hypothesis.lemma
            entries.append(entry)
        return translation, entries

    def normal_form(self, statement: Statement) -> dict[str, Any]:
        """Statement and hypotheses as the checker sees them: what a certificate must equal and a hash covers."""
        translation, hypotheses = self.translation()
        return binding(head(translation, hypotheses, translation.statement(statement)))

    def hash(self, statement: Statement) -> str:
        return content_hash(self.normal_form(statement))

    def refute(self, statement: Statement, draws: int = 8, seed: int = 0) -> Mapping[str, Any] | None:
        """An exact example of the setting in which ``statement`` fails, if one of ``draws`` is; its JSON."""
        translation, _ = self.translation()
        hypotheses = [translation.statement(hypothesis.statement) for hypothesis in self.hypotheses]
        goal = translation.statement(statement)
        return counterexample(translation, goal, self.sample, draws, seed, hypotheses)


@dataclass(frozen=True)
class Step:
    """One step: ``name`` for later reference, what it says, because of what, by which rule.

    ``origin`` is where it is written, ``file:line``, if that is known.
    """

    name: str
    says: Statement
    because: str
    by: Justification
    origin: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Proof:
    """A certificate that the checker accepted, with its report and the seconds that search and check took."""

    certificate: Mapping[str, Any]
    report: checker.Report
    seconds: float
    check_seconds: float


@dataclass(frozen=True)
class Failure:
    """Why no certificate was found; ``witness`` is an exact counterexample if the step is false."""

    step: str
    reason: str
    witness: Mapping[str, Any] | None
    seconds: float


@dataclass(frozen=True)
class Attestation:
    """No certificate, because z3 alone decided some steps; the checker accepts the rest with these as hypotheses.

    ``smtlib`` maps the names of these steps to the text that z3 found unsatisfiable.
    """

    smtlib: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class Derivation:
    """An ordered list of steps in a setting; the last step is the statement that the derivation establishes.

    ``aside`` are steps that it does not need: what else follows, for proofs of statements near it.
    """

    title: str
    setting: Setting
    steps: tuple[Step, ...]
    aside: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        names = [h.name for h in self.setting.hypotheses] + [step.name for step in (*self.steps, *self.aside)]
        if not self.steps or len(set(names)) != len(names):
            raise ValueError("a derivation needs steps, and names that differ from each other and the hypotheses")

    @property
    def statement(self) -> Statement:
        return self.steps[-1].says

    def prove(self, claim: str | None = None, seed: int = 0) -> Proof | Attestation | Failure:
        """Search a certificate step by step and have the independent checker judge it."""
        started = time.perf_counter()
        translation, hypotheses = self.setting.translation()
        goal = translation.statement(self.statement)  # first, so that letters are numbered as in the claim
        proving = self.begin(translation, seed)
        smtlib: dict[str, str] = {}
        for step in self.steps:
            try:
                proving.take(step.name, step.says, step.by)
            except Attested as found:
                says = translation.statement(step.says)
                smtlib[step.name] = found.smtlib
                proving.established[step.name] = says
                hypotheses.append({"name": step.name, "statement": statement_json(says)})
            except Refutation as found:
                return Failure(step.name, str(found), found.witness, time.perf_counter() - started)
            except (StepFailed, Untranslatable, checker.Rejected) as error:  # Rejected: a limit on sizes was met
                return Failure(step.name, str(error), None, time.perf_counter() - started)
        model = proving.model()
        if model is None:
            return Failure(self.steps[-1].name, "no model of the hypotheses found", None, time.perf_counter() - started)
        if self.steps[-1].name in smtlib:  # the other steps do not matter, contradictory hypotheses would
            if not all(checker.holds(hypothesis, translation.algebra, model) for hypothesis in proving.hypotheses):
                return Failure(self.steps[-1].name, "the model does not satisfy the hypotheses", None, 0.0)
            return Attestation({self.steps[-1].name: smtlib[self.steps[-1].name]}, time.perf_counter() - started)
        document = head(translation, hypotheses, goal)
        document |= {"claim": claim, "steps": proving.entries, "model": model_json(model)}
        searched = time.perf_counter()
        try:
            report = checker.check(document)
        except checker.Rejected as error:
            return Failure(self.steps[-1].name, f"the checker rejects it: {error}", None, searched - started)
        if smtlib:
            return Attestation(smtlib, time.perf_counter() - started)
        return Proof(document, report, searched - started, time.perf_counter() - searched)

    def begin(self, translation: Translation, seed: int = 0) -> Proving:
        """A proof in which the hypotheses are established, and nothing else."""
        proving = Proving(translation, self.setting.sample, seed)
        for hypothesis in self.setting.hypotheses:
            proving.assume(hypothesis.name, translation.statement(hypothesis.statement))
        return proving

    def model(self, translation: Translation, seed: int) -> checker.Model | None:
        """An exact example of the setting in which every inverse in use exists."""
        return Proving(translation, self.setting.sample, seed).model()

    def _repr_latex_(self) -> str:
        rows = r" \\ ".join(rf"\text{{{i}.}} & {step.says.latex()}" for i, step in enumerate(self.steps, 1))
        return rf"$\displaystyle \begin{{aligned}} {rows} \end{{aligned}}$"

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><p>\\({escape(step.says.latex())}\\)</p><p>{escape(step.because)}</p></li>" for step in self.steps
        )
        return f"<h3>{escape(self.title)}</h3><ol>{items}</ol>"
