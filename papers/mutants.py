"""The verifier on trial: every claim with one token changed goes through the same pipeline as the claim.

A mutant is *killed* if an exact example refutes it, or if its sizes no longer fit. It is *equivalent* if it has the
same normal form, or is a theorem too: then the checker accepts a certificate for it and no example contradicts that. It
is *open* if neither is found. It has *survived* if the checker accepts a certificate for it although an example refutes
it: then the verifier was fooled.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import product
from typing import Any

from ..theory.derivation import Derivation, Proof, Setting
from ..theory.proof import checker
from ..theory.proof.certificate import complete_model, head, model_json, statement_json
from ..theory.proof.mutation import Mutant, mutants
from ..theory.proof.refuter import counterexample, true_in
from ..theory.proof.rules import Conjunction, Justification, Refutation, Star, StepFailed
from ..theory.proof.star import Limits
from ..theory.proof.translation import Translation, Untranslatable
from . import registry
from .claim import Claim
from .verification import spread

# Exact examples in which a mutant is evaluated; of scalars, which are cheap and differ less from their mutants, more.
DRAWS, SCALAR_DRAWS = 6, 60
SHORT = Star(
    limits=Limits(seconds=2.0, columns=800)
)  # most mutants are false: looking longer for proofs of them finds nothing
GRAFTED = 20  # mutants a claim on which the claim's own certificate is tried


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
    """A claim with all but the last step of its derivation established, ready to try other last steps."""

    def __init__(self, claim: Claim, seed: int = 0) -> None:
        derivation = claim.derivation
        if derivation is None:
            raise ValueError(f"{claim.id} has no derivation")
        self.claim, self.seed, self.derivation = claim, seed, derivation
        self.setting: Setting = derivation.setting
        self.translation, self.hypotheses = self.setting.translation()
        self.goal = self.translation.statement(claim.statement)
        self.proving = derivation.begin(self.translation, seed)
        for step in derivation.steps[:-1]:
            self.proving.take(step.name, step.says, step.by)
        self.grafts = 0
        self.draws = DRAWS if self.translation.algebra.letters else SCALAR_DRAWS

    # ---- one changed statement
    def judge(self, mutant: Mutant) -> Trial:
        """Refute it, prove it, or leave it open."""
        with self.translation.passing():
            return self._judge(mutant)

    def _judge(self, mutant: Mutant) -> Trial:
        try:
            statement = self.translation.redefined(mutant.definitions).statement(mutant.statement)
        except (Untranslatable, checker.Rejected) as error:
            return self.trial(mutant.change, Fate.ILL_TYPED, str(error))
        if statement == self.goal:
            return self.trial(mutant.change, Fate.EQUIVALENT, "the same normal form")
        witness = self.witness(statement)
        if witness is not None and self.grafts < GRAFTED:
            self.grafts += 1
            if self.accepted(statement, self.derivation.steps[-1].by):
                return self.trial(mutant.change, Fate.SURVIVED, f"accepted, but {witness}")
        if witness is not None:
            return self.trial(mutant.change, Fate.REFUTED, witness)
        last = self.derivation.steps[-1].by
        if any(self.accepted(statement, by) for by in (last, SHORT)):
            return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too: the checker accepts a certificate")
        if self.accepted(statement, SHORT, where_defined=True):
            return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too, wherever its inverses exist")
        return self.trial(mutant.change, Fate.OPEN, checker.render_statement(statement)[:200])

    def witness(self, statement: checker.Statement) -> str | None:
        """Where the statement is false, or has no meaning because an inverse in it does not exist."""
        hypotheses = [self.translation.statement(h.statement) for h in self.setting.hypotheses]
        found = counterexample(self.translation, statement, self.setting.sample, self.draws, self.seed, hypotheses)
        if found is not None:
            return f"false where {_where(found)}"
        rng = random.Random(self.seed)
        for _ in range(self.draws):
            values = self.setting.sample(rng)
            if complete_model(self.translation, values) is None:
                sizes = {s.name: values[s] for s in self.setting.parameters if s in values}
                return "an inverse in it does not exist where " + ", ".join(f"{n} = {v}" for n, v in sizes.items())
        return None

    def accepted(self, statement: checker.Statement, by: Justification, where_defined: bool = False) -> bool:
        """Whether the checker accepts this as the last step, by this rule.

        With ``where_defined`` the hypotheses say that every inverse in the statement exists.
        """
        proving = self.proving
        established, entries = dict(proving.established), list(proving.entries)
        hypotheses = list(self.hypotheses)
        try:
            if where_defined:
                for name, exists in self.existence(statement):
                    hypotheses.append({"name": name, "statement": statement_json(exists)})
                    proving.established[name] = exists
            proving.use_inverses()
            parts = self.parts(statement)
            data = by.certify(proving, statement) if parts is None else {"parts": parts}
            proving.establish("mutant", by.rule_for(statement) if parts is None else "all", statement, data)
            model = self.derivation.model(self.translation, self.seed)
            if model is None:
                return False
            document = head(self.translation, hypotheses, statement)
            checker.check(document | {"claim": None, "steps": proving.entries, "model": model_json(model)})
        except (Refutation, StepFailed, checker.Rejected, KeyError, ValueError):
            return False
        finally:
            proving.established, proving.entries = established, entries
        return True

    def parts(self, statement: checker.Statement) -> list[str] | None:
        """Steps for the parts of a conjunction; one that is not established is tried as the part in its place was."""
        if statement.kind != "all":
            return None
        steps = {step.name: step.by for step in self.derivation.steps}
        last = self.derivation.steps[-1].by
        places = last.parts if isinstance(last, Conjunction) else ()
        names: list[str] = []
        for i, part in enumerate(statement.parts):
            known = next((name for name, said in self.proving.established.items() if said == part), None)
            if known is None:
                known = f"mutant part {i}"
                self.attempt(known, part, [steps[name] for name in places[i : i + 1] if name in steps])
            names.append(known)
        return names

    def attempt(self, name: str, part: checker.Statement, rules: list[Justification]) -> None:
        """Establish a statement by the first of some rules that does, at last by star."""
        for by in rules:
            try:
                return self.proving.establish(name, by.rule_for(part), part, by.certify(self.proving, part))
            except (StepFailed, checker.Rejected):
                continue
        return self.proving.establish(name, SHORT.rule, part, SHORT.certify(self.proving, part))

    def existence(self, statement: checker.Statement) -> Iterator[tuple[str, checker.Statement]]:
        algebra = self.translation.algebra
        for name in sorted(algebra.names(*statement.polynomials())):
            inner = algebra.definition(name)
            if inner is not None and inner.shape is not None and algebra.letters[name].equals is None:
                yield f"{name} exists", checker.Statement("invertible", inner)

    # ---- one hypothesis less
    def drop(self, index: int) -> Trial:
        """The claim without one hypothesis: an example outside it in which the claim fails or makes no sense."""
        name = self.setting.hypotheses[index].name
        change = f"hypothesis {name!r} dropped"
        kept = replace(self.setting, hypotheses=tuple(h for h in self.setting.hypotheses if h.name != name))
        shorter = Derivation(self.derivation.title, kept, self.derivation.steps)
        needed = any(name in str(entry["data"]) for entry in self.proving.entries)
        if not needed:
            found = shorter.prove(seed=self.seed)
            if isinstance(found, Proof):
                return self.trial(change, Fate.EQUIVALENT, "proved without it")
        where = self.outside(kept, index)
        if where is not None:
            return self.trial(change, Fate.REFUTED, where)
        if isinstance(shorter.prove(seed=self.seed), Proof):
            return self.trial(change, Fate.EQUIVALENT, "proved without it")
        return self.trial(change, Fate.OPEN, "no example outside this hypothesis found in which the claim fails")

    def outside(self, kept: Setting, index: int) -> str | None:
        """Where the claim fails, or makes no sense, in an example that satisfies the other hypotheses only."""
        dropped = self.translation.statement(self.setting.hypotheses[index].statement)
        touched = {name for poly in dropped.polynomials() for name in self.translation.algebra.names(poly)}
        sizes = {symbol.name for symbol, bounds in kept.parameters.items() if bounds.integer}
        rng = random.Random(self.seed)
        for pairs in (False, True):
            for _ in range(1 if pairs else 3):
                base = self.setting.sample(rng)
                near = [s for s in base if _name(s) not in sizes and {_name(s), f"diag({_name(s)})"} & touched]
                others = [s for s in base if _name(s) not in sizes] if pairs else []
                for says, values in _examples(base, near, others, rng):
                    if (found := self.fails(kept, values)) is not None:
                        return f"{found} where {says}"
        return None

    def fails(self, kept: Setting, values: Mapping[Any, Any]) -> str | None:
        translation = self.translation
        model = complete_model(translation, values)
        try:
            if model is None:
                return "an inverse in it does not exist" if self._undefined(kept, values) else None
            others = [translation.statement(h.statement) for h in kept.hypotheses]
            if not all(true_in(other, translation.algebra, model) for other in others):
                return None
            return None if true_in(self.goal, translation.algebra, model) else "false"
        except checker.Rejected:
            return None

    def _undefined(self, kept: Setting, values: Mapping[Any, Any]) -> bool:
        """Whether the example satisfies the other hypotheses (which mention fewer inverses)."""
        translation = Translation(kept.parameters, kept.symmetric, kept.definitions)
        others = [translation.statement(h.statement) for h in kept.hypotheses]
        model = complete_model(translation, values)
        return model is not None and all(true_in(other, translation.algebra, model) for other in others)

    def trial(self, change: str, fate: Fate, detail: str) -> Trial:
        return Trial(self.claim.id, change, fate, detail)


def _where(witness: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in witness["parameters"].items())


def _name(symbol: Any) -> str:
    return str(getattr(symbol, "name", symbol))


def _examples(
    base: Mapping[Any, Any], near: list[Any], others: list[Any], rng: random.Random
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The example with one of the symbols disturbed; with ``others``, one of these as well, in few ways."""
    disturbed = {symbol: list(_disturbed(base[symbol], rng)) for symbol in (*near, *others)}
    if not others:
        for symbol in near:
            for says, value in disturbed[symbol]:
                yield f"{_name(symbol)} is {says}", {**base, symbol: value}
    for one, other in product(near, others):
        if one != other:
            for (says, value), (also, second) in product(disturbed[one][:FEW], disturbed[other][:FEW]):
                yield f"{_name(one)} is {says}, {_name(other)} {also}", {**base, one: value, other: second}


FEW = 7  # of the ways to disturb, where two symbols are disturbed together
Rows = list[list[Fraction]]


def _disturbed(value: Any, rng: random.Random) -> Iterator[tuple[str, Any]]:
    """A number or a matrix changed in ways that keep some of its properties and break others."""
    if not isinstance(value, list):
        yield "zero", Fraction(0)
        yield "one larger", Fraction(value) + 1
        return
    rows: Rows = [[Fraction(x) for x in row] for row in value]
    height, width = len(rows), len(rows[0])

    def merged(i: int, j: int) -> Fraction:
        return Fraction(0) if i == 0 and height > 1 else rows[i][j] + (rows[0][j] if i == 1 else 0)

    def merged_twice(i: int, j: int) -> Fraction:
        return Fraction(0) if j == 0 and width > 1 else merged(i, j) + (merged(i, 0) if j == 1 else 0)

    changes: list[tuple[str, Callable[[int, int], Fraction]]] = [
        ("doubled", lambda i, j: 2 * rows[i][j]),
        ("negated", lambda i, j: -rows[i][j]),
        ("zero", lambda i, j: Fraction(0)),
        ("halved", lambda i, j: rows[i][j] / 2),
        ("with all columns equal", lambda i, j: rows[i][0]),
        ("with its first row merged into the second", merged),
        ("with its first row and column merged into the second", merged_twice),
        ("negated in its first row", lambda i, j: -rows[i][j] if i == 0 else rows[i][j]),
        ("negated in its first column", lambda i, j: -rows[i][j] if j == 0 else rows[i][j]),
        # the first row added to itself and taken from the second: sums over columns stay
        ("sheared", lambda i, j: rows[i][j] + (rows[0][j] if i == 0 else -rows[0][j] if i == 1 else 0)),
        ("sheared from the right", lambda i, j: rows[i][j] + (rows[i][0] if j == 0 else -rows[i][0] if j == 1 else 0)),
        ("with its first two rows swapped", lambda i, j: rows[{0: 1, 1: 0}.get(i, i) % height][j]),
        ("with its first two columns swapped", lambda i, j: rows[i][{0: 1, 1: 0}.get(j, j) % width]),
        ("with its first column copied from the last", lambda i, j: rows[i][-1] if j == 0 else rows[i][j]),
    ]
    for says, entry in changes:
        yield says, [[entry(i, j) for j in range(width)] for i in range(height)]
    yield "random", [[Fraction(rng.randint(-3, 3)) for _ in range(width)] for _ in range(height)]


def try_claim(claim: Claim, seed: int = 0, every: int = 1) -> Iterator[Trial]:
    """Every one-token change of a claim (or every ``every``-th), and every hypothesis dropped, with its fate."""
    court = Court(claim, seed)
    changed = mutants(claim.statement, dict(claim.setting.definitions), tuple(claim.setting.parameters))
    for i, mutant in enumerate(changed):
        if (i + seed) % every == 0:
            yield court.judge(mutant)
    for index in range(len(court.setting.hypotheses)):
        yield court.drop(index)


# ------------------------------------------------------------------------------------------------------- many claims

OPEN_SHARE = 0.05  # of the mutants of a claim, at most; more leave the trial undecided


@dataclass(frozen=True)
class Tally:
    """The trials of one claim."""

    claim: str
    trials: tuple[Trial, ...]
    seconds: float
    every: int = 1  # of the mutants, one was tried

    def count(self, fate: Fate) -> int:
        return sum(trial.fate is fate for trial in self.trials)

    @property
    def exit_code(self) -> int:
        """1 if a mutant survived, 3 if too many are open."""
        if self.count(Fate.SURVIVED):
            return 1
        return 3 if self.count(Fate.OPEN) > OPEN_SHARE * len(self.trials) * self.every else 0

    def json(self) -> dict[str, Any]:
        shown = [trial for trial in self.trials if trial.fate in (Fate.OPEN, Fate.SURVIVED)]
        return {
            "claim": self.claim,
            "counts": {str(fate): self.count(fate) for fate in Fate},
            "not_killed": [{"change": t.change, "fate": str(t.fate), "detail": t.detail} for t in shown],
            "seconds": self.seconds,
        }


def _try(arguments: tuple[str, int, int]) -> Tally:
    name, seed, every = arguments
    started = time.perf_counter()
    trials = tuple(try_claim(registry.find(name), seed, every))
    return Tally(name, trials, time.perf_counter() - started, every)


def tally(names: Iterable[str], *, seed: int = 0, jobs: int = 1, every: int = 1) -> Iterator[Tally]:
    """Put claims on trial, each yielded as it is finished; with ``jobs`` > 1 they are spread over processes.

    Examples:
        >>> [found] = tally(["han2022/closed-form"], every=5)
        >>> found.exit_code, found.count(Fate.SURVIVED)
        (0, 0)
    """
    yield from spread(_try, [(name, seed, every) for name in names], jobs)
