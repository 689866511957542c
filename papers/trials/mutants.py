"""The verifier on trial: every claim with one token changed goes through the same pipeline as the claim.

A mutant is *killed* if an exact example refutes it, or if its sizes no longer fit. It is *equivalent* if it has the
same normal form, or is a theorem too: then the checker accepts a certificate for it and no example contradicts that. It
is *open* if neither is found. It has *survived* if the checker accepts a certificate for it although an example refutes
it: then the verifier was fooled.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ...theory.derivation import Derivation, Proof, Setting, Step
from ...theory.proof import checker
from ...theory.proof import statement as st
from ...theory.proof.certificate import head, model_json
from ...theory.proof.mutation import Mutant, mutants
from ...theory.proof.rules import (
    Justification,
    Poly,
    Refutation,
    Star,
    StepFailed,
)
from ...theory.proof.translation import Untranslatable
from .. import claims_files, registry
from ..claim import Claim
from ..verification import spread
from .attempts import SECONDS, SHORT, Attempts, hurried, replayed
from .outside import Outside
from .witnesses import Witnesses, shown

GRAFTED = 20  # refuted mutants a claim on which the claim's own certificate is tried


class Fate(StrEnum):
    """What became of a mutant."""

    REFUTED = "refuted"
    ILL_TYPED = "ill-typed"
    EQUIVALENT = "equivalent"
    OPEN = "open"
    SURVIVED = "survived"


@dataclass(frozen=True)
class Trial:
    """One mutant and what became of it; ``detail`` is the witness, or why there is none."""

    claim: str
    change: str
    fate: Fate
    detail: str = ""


class Court:
    """A claim and its mutants: examples against them, proofs of them, hypotheses dropped."""

    def __init__(self, claim: Claim, seed: int = 0) -> None:
        self.claim, self.seed = claim, seed
        self.attempts = Attempts(claim, seed)
        self.derivation, self.setting = self.attempts.derivation, self.attempts.setting
        self.translation, self.proving, self.goal = (
            self.attempts.translation,
            self.attempts.proving,
            self.attempts.goal,
        )
        self.definitions = dict(claim.setting.definitions)
        self.witnesses = Witnesses(self.setting, self.translation, self.proving.hypotheses, seed)
        self.grafts = 0
        self.stuck = self.searched = ""  # why a hypothesis could be dropped neither with a proof nor with an example

    # ---- one changed statement
    def judge(self, mutant: Mutant) -> Trial:
        """Refute it, prove it, or leave it open."""
        with self.translation.passing():
            return self._judge(mutant)

    def _judge(self, mutant: Mutant) -> Trial:
        try:
            statement = self.translated(mutant)
        except (Untranslatable, checker.Rejected) as error:
            return self.trial(mutant.change, Fate.ILL_TYPED, str(error))
        if statement == self.goal:
            return self.trial(mutant.change, Fate.EQUIVALENT, "the same normal form")
        new = self.attempts.new(statement)
        witness = self.witnesses.against(new)
        if witness is not None:
            survived = self.grafts < GRAFTED and self.attempts.grafted(statement)
            self.grafts += 1
            if survived:
                return self.trial(mutant.change, Fate.SURVIVED, f"accepted, but {witness}")
            return self.trial(mutant.change, Fate.REFUTED, witness)
        try:
            if self.attempts.accepted(mutant.statement, statement):
                return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too: the checker accepts a certificate")
            if self.attempts.accepted(mutant.statement, statement, where_defined=True):
                return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too, wherever its inverses exist")
        except Refutation as found:
            if self.witnesses.confirmed(found.witness, new):
                return self.trial(mutant.change, Fate.REFUTED, f"false where {shown(found.witness['parameters'])}")
        text = " and ".join(checker.render_statement(part) for part in new)
        examples = len(self.witnesses.examples.drawn) + len(self.witnesses.further.drawn)
        exact = all(part.kind in ("zero", *checker.SCALAR_KINDS) for part in new)
        seen = "true" if exact else "not refuted"  # of others an example may leave open whether they hold
        tried = f"{seen} in {examples} examples, not proved in {SECONDS:.0f} s"
        return self.trial(mutant.change, Fate.OPEN, f"{tried}: {text[:200]}")

    def translated(self, mutant: Mutant) -> checker.Statement:
        """The changed statement; what stands in it unchanged has been translated already.

        Raises:
            Untranslatable, checker.Rejected: if its sizes do not fit.
        """
        translation, says, known = (
            self.translation.redefined(mutant.definitions),
            mutant.statement,
            self.claim.statement,
        )
        if not (isinstance(says, st.AllOf) and isinstance(known, st.AllOf)) or mutant.definitions != self.definitions:
            return translation.statement(says)
        pairs = zip(says.parts, known.parts, self.goal.parts, strict=True)
        parts = (was if new is old else translation.statement(new) for new, old, was in pairs)
        return checker.Statement("all", parts=tuple(parts))

    # ---- one hypothesis less
    def drop(self, index: int) -> Trial:
        """The claim without one hypothesis: an example outside it in which the claim fails or makes no sense."""
        name = self.setting.hypotheses[index].name
        change = f"hypothesis {name!r} dropped"
        kept = replace(self.setting, hypotheses=tuple(h for h in self.setting.hypotheses if h.name != name))
        if self.follows(kept, self.setting.hypotheses[index].statement):
            return self.trial(change, Fate.EQUIVALENT, "it follows from the other hypotheses")
        if name not in self.attempts.used and self.proved(kept, name):
            return self.trial(change, Fate.EQUIVALENT, "proved without it")
        where = self.outside(kept, index)
        if where is not None:
            return self.trial(change, Fate.REFUTED, where)
        if name in self.attempts.used and self.proved(kept, name):
            return self.trial(change, Fate.EQUIVALENT, "proved without it")
        return self.trial(change, Fate.OPEN, f"the step {self.stuck!r} is not proved without it; {self.searched}")

    def follows(self, kept: Setting, statement: st.Statement) -> bool:
        """Whether a hypothesis follows from the others by one rule."""
        rules: dict[type, Justification] = {st.Equal: SHORT}
        rules |= {kind: Poly(seconds=SECONDS) for kind in (st.Positive, st.Nonnegative)}
        by = rules.get(type(statement))
        if by is None:
            return False
        step = Step("dropped", statement, "", by)
        return isinstance(Derivation(self.derivation.title, kept, (step,)).prove(seed=self.seed), Proof)

    def proved(self, kept: Setting, dropped: str) -> bool:
        """Whether the steps that the claim needs can be taken without a hypothesis."""
        shorter = Derivation(self.derivation.title, kept, self.derivation.steps)
        translation, hypotheses = kept.translation()
        goal = translation.statement(self.claim.statement)
        proving = shorter.begin(translation, self.seed)
        for step in shorter.steps:
            try:
                proving.take(step.name, step.says, hurried(_without(step.by, dropped)))
            except (Refutation, StepFailed, checker.Rejected, KeyError):
                if step.name in self.attempts.required:
                    self.stuck = step.name
                    return False
        self.stuck = shorter.steps[-1].name
        model = shorter.model(translation, self.seed)
        if model is None or shorter.steps[-1].name not in proving.established:
            return False
        document = head(translation, hypotheses, goal)
        try:
            replayed(document | {"claim": None, "model": model_json(model)}, proving.entries)
        except checker.Rejected:
            return False
        return True

    def outside(self, kept: Setting, index: int) -> str | None:
        """Where the claim fails, or makes no sense, in an example that satisfies the other hypotheses only."""
        search = Outside(self.setting, kept, self.translation, self.proving.hypotheses, self.goal, index, self.seed)
        found = search.found()
        self.searched = search.said()
        return found

    def trial(self, change: str, fate: Fate, detail: str) -> Trial:
        return Trial(self.claim.id, change, fate, detail)


def _without(by: Justification, dropped: str) -> Justification:
    """The same rule, in which one name is not used."""
    if isinstance(by, Star | Poly) and by.using is not None:
        return replace(by, using=tuple(name for name in by.using if name != dropped))
    return by


def try_claim(claim: Claim, seed: int = 0, every: int = 1) -> Iterator[Trial]:
    """Every one-token change of a claim and every hypothesis dropped, or every ``every``-th of these, with its fate."""
    court = Court(claim, seed)
    changed = mutants(claim.statement, dict(claim.setting.definitions), tuple(claim.setting.parameters))
    tried = -seed
    for mutant in changed:
        if tried % every == 0:
            yield court.judge(mutant)
        tried += 1
    for index in range(len(court.setting.hypotheses)):
        if tried % every == 0:
            yield court.drop(index)
        tried += 1


# ------------------------------------------------------------------------------------------------------- many claims

OPEN_SHARE = 0.05  # of the mutants of a claim, at most; more leave the trial undecided


@dataclass(frozen=True)
class Tally:
    """The trials of one claim."""

    claim: str
    trials: tuple[Trial, ...]
    seconds: float
    every: int = 1  # of the mutants, one was tried
    problem: str = ""  # why none could be tried

    def count(self, fate: Fate) -> int:
        return sum(trial.fate is fate for trial in self.trials)

    @property
    def too_many_open(self) -> bool:
        return self.count(Fate.OPEN) > OPEN_SHARE * len(self.trials) * self.every

    @property
    def exit_code(self) -> int:
        """1 if a mutant survived, 3 if too many are open."""
        if self.count(Fate.SURVIVED):
            return 1
        return 3 if self.too_many_open or self.problem else 0

    def json(self) -> dict[str, Any]:
        shown = [trial for trial in self.trials if trial.fate in (Fate.OPEN, Fate.SURVIVED)]
        return {
            "claim": self.claim,
            "counts": {str(fate): self.count(fate) for fate in Fate},
            "not_killed": [{"change": t.change, "fate": str(t.fate), "detail": t.detail} for t in shown],
            "seconds": self.seconds,
        }

    def record(self) -> dict[str, Any]:
        """What is kept: without seconds, with the hash of the statement that was tried."""
        kept = {name: value for name, value in self.json().items() if name != "seconds"}
        return {"format": checker.FORMAT, "hash": registry.find(self.claim).hash, **kept}


def _try(arguments: tuple[str, int, int]) -> Tally:
    name, seed, every = arguments
    started = time.perf_counter()
    claim, problem = registry.find(name), ""
    trials = list[Trial]()
    try:
        trials += try_claim(claim, seed, every)
    except (StepFailed, Refutation, Untranslatable, checker.Rejected) as error:
        if not registry.is_own(claim.paper):
            raise
        problem = f"its own derivation does not prove it: {error}"
    except Exception as error:  # of the user's code
        if not registry.is_own(claim.paper):
            raise
        problem = claims_files.explain(error, claims_files.Source(file=registry.home(claim.paper)), claim.origin)
    return Tally(name, tuple(trials), time.perf_counter() - started, every, problem)


def tally(names: Iterable[str], *, seed: int = 0, jobs: int = 1, every: int = 1) -> Iterator[Tally]:
    """Put claims that have a derivation on trial, each yielded as it is finished.

    With ``jobs`` > 1 they are spread over processes.

    Examples:
        >>> [found] = tally(["han2022/closed-form"], every=5)
        >>> found.exit_code, found.count(Fate.SURVIVED)
        (0, 0)
    """
    tried = [name for name in names if registry.find(name).derive is not None]
    yield from spread(_try, [(name, seed, every) for name in tried], jobs)
