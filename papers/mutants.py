"""The verifier on trial: every claim with one token changed goes through the same pipeline as the claim.

A mutant is *killed* if an exact example refutes it, or if its sizes no longer fit. It is *equivalent* if it has the
same normal form, or is a theorem too: then the checker accepts a certificate for it and no example contradicts that. It
is *open* if neither is found. It has *survived* if the checker accepts a certificate for it although an example refutes
it: then the verifier was fooled.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

import sympy as sp

from ..theory.derivation import Derivation, Proof, Setting, Step
from ..theory.proof import box, checker
from ..theory.proof import statement as st
from ..theory.proof.certificate import (
    Example,
    Values,
    complete_model,
    head,
    model_json,
    polynomial_json,
    statement_json,
)
from ..theory.proof.mutation import Mutant, mutants
from ..theory.proof.refuter import Examples, fails_in
from ..theory.proof.rules import (
    Box,
    Conjunction,
    Justification,
    MeanValue,
    Poly,
    Refutation,
    Rewrite,
    Star,
    StepFailed,
    cofactor_json,
)
from ..theory.proof.squares import SearchedSquares
from ..theory.proof.star import Limits, prove_zero
from ..theory.proof.translation import Untranslatable
from ..theory.proof.walk import Walk
from . import claims_files, outside, registry
from .claim import Claim
from .outside import MOVES, Outside, equations, movable, steps
from .verification import spread

# Exact examples in which a mutant is evaluated; of scalars, which are cheap and differ less from their mutants, more.
DRAWS, SCALAR_DRAWS = 12, 60
# Most mutants are false: looking longer for proofs of them finds nothing.
SECONDS = 2.0
BOXES = box.Limits(parts=200, seconds=SECONDS)
OPERATIONS = 60  # of an inequality that is tried on boxes: factors of longer ones take minutes
BRIEF = 0.05  # seconds for what one or two hypotheses may make vanish at once
SHORT = Star(limits=Limits(seconds=SECONDS, columns=800))
POINTS = 100  # at which an inequality in scalars is evaluated
FAR = [Fraction(x) for x in ("1/10000", "1/100", "1/2", "1", "2", "5", "30", "1000")]
MULTIPLES = [Fraction(x) for x in ("1", "2", "1001/1000")]  # of a known semi-definite matrix
FACTORS = [Fraction(x) for x in ("999/1000", "1001/1000", "1/2", "2", "1/50", "50")]  # by which scalars are changed
STEPS = (1, -1, 2, 5)  # by which integers are
PAIRED = 3  # examples in which two scalars are changed at once
GRAFTED = 20  # refuted mutants a claim on which the claim's own certificate is tried
WALKS = 12  # for further examples


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
    """A claim with all but the last step of its derivation established, ready to try other last steps.

    ``own`` is the last step of the claim's own certificate, ``required`` that and the steps that it needs, ``used`` the
    hypotheses that it rests on.
    """

    def __init__(self, claim: Claim, seed: int = 0) -> None:
        derivation = claim.derivation
        if derivation is None:
            raise ValueError(f"{claim.id} has no derivation")
        self.claim, self.seed, self.derivation = claim, seed, derivation
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
        self.grafts = 0
        self.says = claim.statement  # of the mutant on trial
        self.stuck = self.searched = ""  # why a hypothesis could be dropped neither with a proof nor with an example
        self.examples = Examples.of(self.translation, self.proving.hypotheses, self.values())
        self.proving.completions = {}

    def values(self) -> Iterator[Values]:
        """Samples of the setting; of scalars also some in which a symbol without hypotheses is near another."""
        rng = random.Random(self.seed)
        scalar = not self.translation.algebra.letters
        drawn = [self.setting.sample(rng) for _ in range(SCALAR_DRAWS if scalar else DRAWS)]
        yield from drawn
        if scalar:
            yield from self.near(drawn[:: len(drawn) // DRAWS])

    def near(self, drawn: Sequence[Values]) -> Iterator[Values]:
        """Examples in which a symbol without hypotheses is near another, very small, or very large."""
        bound = self.translation.algebra.names(*(p for h in self.proving.hypotheses for p in h.polynomials()))
        real = [symbol for symbol, bounds in self.setting.parameters.items() if not bounds.integer]
        free = [symbol for symbol in real if symbol.name not in bound]
        for values in drawn:
            for symbol in free:
                near = [Fraction(values[other]) for other in real if other != symbol and other in values]
                for value in (Fraction(1, 100), *near, *(2 * x for x in near), Fraction(100)):
                    yield {**values, symbol: value}

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
        self.says = mutant.statement
        witness = self.witness(statement)
        if witness is not None:
            survived = self.grafts < GRAFTED and self.grafted(statement)
            self.grafts += 1
            if survived:
                return self.trial(mutant.change, Fate.SURVIVED, f"accepted, but {witness}")
            return self.trial(mutant.change, Fate.REFUTED, witness)
        try:
            if self.accepted(statement):
                return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too: the checker accepts a certificate")
            if self.accepted(statement, where_defined=True):
                return self.trial(mutant.change, Fate.EQUIVALENT, "a theorem too, wherever its inverses exist")
        except Refutation as found:
            if self.confirmed(found.witness, statement):
                return self.trial(mutant.change, Fate.REFUTED, f"false where {_where(found.witness['parameters'])}")
        shown = " and ".join(checker.render_statement(part) for part in self.new(statement))
        examples = len(self.examples.drawn) + len(self.further.drawn)
        exact = all(part.kind in ("zero", *checker.SCALAR_KINDS) for part in self.new(statement))
        seen = "true" if exact else "not refuted"  # of others an example may leave open whether they hold
        tried = f"{seen} in {examples} examples, not proved in {SECONDS:.0f} s"
        return self.trial(mutant.change, Fate.OPEN, f"{tried}: {shown[:200]}")

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

    def new(self, statement: checker.Statement) -> list[checker.Statement]:
        """The parts of the statement that are not parts of the claim."""
        if statement.kind != "all" or self.goal.kind != "all":
            return [statement]
        return [part for part in statement.parts if part not in self.goal.parts]

    def changed(self, statement: checker.Statement) -> checker.Statement:
        """The conjunction of the new parts: the checker has accepted the others already."""
        return checker.Statement("all", parts=tuple(self.new(statement)) or statement.parts)

    def witness(self, statement: checker.Statement) -> str | None:
        """Where the statement is false, or has no meaning because an inverse in it does not exist."""
        for examples in (lambda: self.examples, lambda: self.further):
            for part in self.new(statement):
                if (found := examples().refuting(part)) is not None:
                    sizes = {s.name: found[1].parameters[s.name] for s in self.setting.parameters}
                    return f"{found[0]} where {_where(sizes)}"
        for seek in (self.fails_nearby, self.fails_somewhere):
            if (where := next(filter(None, map(seek, self.new(statement))), None)) is not None:
                return where
        return None

    def fails_nearby(self, part: checker.Statement) -> str | None:
        """Where a polynomial statement in scalars fails, in an example with one or two of its scalars changed.

        The statement is looked at first, then the hypotheses: few changes make it false.
        """
        algebra = self.translation.algebra
        names = algebra.names(*part.polynomials())
        if part.kind not in ("positive", "nonnegative", "zero") or names & algebra.letters.keys():
            return None
        names = sorted(names & algebra.parameters.keys())
        symbols = {symbol.name: symbol for symbol in self.setting.parameters}
        for number, (values, base) in enumerate(self.examples.drawn[:DRAWS]):
            here = {name: base.parameters[name] for name in algebra.parameters if name in base.parameters}
            for changed in self.changes(names, here, 2 if number < PAIRED else 1):
                quick = complete_model(self.translation, values, Example({**here, **changed}, base.letters))
                if quick is None or not fails_in(part, self.translation, quick):
                    continue
                moved = {**values, **{symbols[name]: value for name, value in changed.items()}}
                model = complete_model(self.translation, moved)
                if model is not None and fails_in(part, self.translation, model, self.proving.hypotheses):
                    return f"false where {_where({name: model.parameters[name] for name in names})}"
        return None

    def changes(self, names: Sequence[str], at: Mapping[str, Fraction], most: int) -> Iterator[dict[str, Fraction]]:
        """Other values, in their ranges, of one scalar, up to as many as ``most``."""
        ranges = self.translation.algebra.parameters
        single: dict[str, list[Fraction]] = {}
        for name in names:
            moved = [at[name] + step for step in STEPS] if ranges[name].integer else [at[name] * x for x in FACTORS]
            single[name] = [value for value in moved if value in ranges[name]]
        for count in range(1, most + 1):
            for chosen in combinations(names, count):
                for found in product(*(single[name] for name in chosen)):
                    yield dict(zip(chosen, found, strict=True))

    def fails_somewhere(self, part: checker.Statement) -> str | None:
        """Where an inequality without hypotheses fails: at small and large values in the ranges of its parameters."""
        algebra = self.translation.algebra
        if part.inequality is None:
            return None
        names = sorted(checker.names_in(part.inequality.tree) & algebra.parameters.keys())
        if algebra.names(*(p for h in self.proving.hypotheses for p in h.polynomials())) & set(names):
            return None
        rng = random.Random(self.seed)
        if not self.examples.drawn:
            return None
        for _ in range(POINTS):
            point = dict(self.examples.drawn[0][1].parameters)
            for name in names:
                bounds = algebra.parameters[name]
                far = rng.choice(FAR)
                value = Fraction(-(-far // 1)) if bounds.integer else far
                point[name] = (bounds.low or Fraction(0)) + value - (1 if bounds.integer else 0)
            if box.fails_in(part.inequality, algebra, point):
                return f"false where {_where({name: point[name] for name in names})}"
        return None

    @cached_property
    def further(self) -> Examples:
        """More examples, for what is true in the first ones: others of the sampler, and such as a walk leads to."""
        return Examples.of(self.translation, self.proving.hypotheses, self.beyond())

    def beyond(self) -> Iterator[Values]:
        rng = random.Random(self.seed + 1)
        if not self.translation.algebra.letters:
            return
        drawn = [self.setting.sample(rng) for _ in range(2 * DRAWS)]
        yield from drawn
        yield from self.near(drawn[:DRAWS])
        walk = Walk(self.translation, equations(self.proving.hypotheses), movable(self.translation, self.setting))
        end = time.process_time() + outside.SECONDS
        for _ in range(WALKS):
            here = self.setting.sample(rng)
            yield here
            for _ in range(MOVES):
                if time.process_time() > end:
                    return
                there = next(steps(self.translation, self.setting, walk, rng, here), None)
                if there is not None:
                    here = there
                    yield here

    def confirmed(self, witness: Mapping[str, Any], statement: checker.Statement) -> bool:
        """Whether a prover's counterexample is one."""
        parameters = {name: Fraction(value) for name, value in witness["parameters"].items()}
        letters = {name: [[Fraction(x) for x in row] for row in value] for name, value in witness["letters"].items()}
        model = checker.Model(parameters, letters)
        return any(fails_in(part, self.translation, model, self.proving.hypotheses) for part in self.new(statement))

    def accepted(self, statement: checker.Statement, where_defined: bool = False) -> bool:
        """Whether the checker accepts this as the last step, by one of the rules that may yield it.

        With ``where_defined`` the hypotheses say that every inverse in the statement exists.

        Raises:
            Refutation: if a rule finds a counterexample.
        """
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
                        goal, names = (
                            self.changed(statement),
                            dict(zip(statement.parts, self.parts(statement), strict=True)),
                        )
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
        found: list[Justification] = [_hurried(own)] if isinstance(own, Star | Poly) else []
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
            squares = list(visible_squares(algebra, left))
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

    # ---- one hypothesis less
    def drop(self, index: int) -> Trial:
        """The claim without one hypothesis: an example outside it in which the claim fails or makes no sense."""
        name = self.setting.hypotheses[index].name
        change = f"hypothesis {name!r} dropped"
        kept = replace(self.setting, hypotheses=tuple(h for h in self.setting.hypotheses if h.name != name))
        if self.follows(kept, self.setting.hypotheses[index].statement):
            return self.trial(change, Fate.EQUIVALENT, "it follows from the other hypotheses")
        if name not in self.used and self.proved(kept, name):
            return self.trial(change, Fate.EQUIVALENT, "proved without it")
        where = self.outside(kept, index)
        if where is not None:
            return self.trial(change, Fate.REFUTED, where)
        if name in self.used and self.proved(kept, name):
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
                proving.take(step.name, step.says, _hurried(_without(step.by, dropped)))
            except (Refutation, StepFailed, checker.Rejected, KeyError):
                if step.name in self.required:
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


def visible_squares(
    algebra: checker.Algebra, poly: checker.Polynomial
) -> Iterator[tuple[checker.Polynomial, checker.Polynomial]]:
    """(weight, factor) for every term c w w^T of a polynomial, and for every c (I - 1 1^T / m) in it.

    What is no such term is left out: whether the sum is right is for the checker to say.
    """
    if poly.shape is None:
        return
    size = poly.shape[0]
    one = next((name for name, letter in algebra.letters.items() if letter.ones and letter.rows == size), None)
    mean = algebra.zero(poly.shape)
    if one is not None and len(size) == 1 and size[0][1] == 1:
        inverse = algebra.scalar({tuple((name, -power) for name, power in size[0][0]): Fraction(1)})
        column = algebra.symbol(one)
        mean = algebra.times(inverse, algebra.times(column, algebra.transpose(column)))
    for (mono, traces, word), value in poly.terms.items():
        if traces or word is None or len(word) % 2 or value < 0:
            continue
        weight, factor = algebra.scalar({mono: value}), algebra.identity(size)
        for symbol in word[: len(word) // 2]:
            letter = algebra.symbol(symbol.removesuffix("'"))
            factor = algebra.times(factor, algebra.transpose(letter) if symbol.endswith("'") else letter)
        if not word and all(poly.terms.get(k) == -x for k, x in algebra.times(weight, mean).terms.items()):
            factor = algebra.minus(factor, mean)
        yield weight, factor


def _where(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in parameters.items())


def _hurried(by: Justification) -> Justification:
    """The same rule with less time."""
    if isinstance(by, Poly):
        return replace(by, seconds=SECONDS)
    if isinstance(by, Star):
        return replace(by, limits=replace(by.limits, seconds=2 * SECONDS))
    return by


def _without(by: Justification, dropped: str) -> Justification:
    """The same rule, in which one name is not used."""
    if isinstance(by, Star | Poly) and by.using is not None:
        return replace(by, using=tuple(name for name in by.using if name != dropped))
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
