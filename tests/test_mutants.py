"""The verifier on trial: no claim changed in one token is accepted although it is false."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp
from tightframe.papers import registry
from tightframe.papers.store import shipped_trial
from tightframe.papers.trials import mutants
from tightframe.papers.trials.mutants import Court, Fate
from tightframe.papers.trials.witnesses import Witnesses
from tightframe.theory import growth, one_layer_collapse
from tightframe.theory.balance import K
from tightframe.theory.derivation import Setting
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import statement_json
from tightframe.theory.proof.mutation import Mutant, tokens
from tightframe.theory.proof.mutation import mutants as changes
from tightframe.theory.proof.refuter import Examples
from tightframe.theory.proof.rules import StepFailed
from tightframe.theory.proof.scalar_refuter import may_hold
from tightframe.theory.proof.squares import SearchedSquares
from tightframe.theory.proof.statement import AllOf, Between, Equal, Exceeds, Increasing, Minimum, Positive
from tightframe.theory.symbols import C, N, ones, reals

IDS = [name for name, claim in registry.claims().items() if claim.derive is not None]
UNRECORDED: tuple[str, ...] = (  # of which only a sample was tried: thousands of mutants, hours
    "garrod2025/relu-suboptimal",
    "garrod2025/imbalanced-rank",
)
TOO_MANY_OPEN: tuple[str, ...] = (  # true in all examples, as far as known; they need proofs of their own
    "garrod2025/global-rank-decay",
    "liu2024/geometry",
    "liu2024/interlacing",
)
TRIED = 3  # mutants a claim, about; the slow test tries all


@pytest.fixture(scope="module")
def court() -> Court:
    return Court(registry.find("han2022/total-covariance"))


def stands(found: mutants.Tally) -> None:
    """No survivor, few open, and, where all were tried, far more refuted than not."""
    assert found.count(Fate.SURVIVED) == 0, found.json()
    assert found.exit_code == 0 or found.claim in TOO_MANY_OPEN, found.json()
    if found.every == 1:
        assert found.count(Fate.REFUTED) + found.count(Fate.ILL_TYPED) >= len(found.trials) / 3


@pytest.mark.parametrize("name", IDS)
def test_no_mutant_survives(name: str) -> None:
    claim = registry.find(name)
    number = sum(1 for _ in changes(claim.statement, claim.setting.definitions, tuple(claim.setting.parameters)))
    [found] = mutants.tally([name], every=max(1, number // TRIED))
    stands(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_no_mutant_survives_of_all(name: str) -> None:
    [found] = mutants.tally([name])
    stands(found)


def test_a_checker_that_accepts_anything_lets_mutants_survive(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    right = court.claim.statement
    assert isinstance(right, Equal)
    wrong = Mutant("right: doubled", replace(right, right=2 * right.right), court.claim.setting.definitions)
    assert court.judge(wrong).fate is Fate.REFUTED
    monkeypatch.setattr(checker, "check", lambda document: None)
    assert court.judge(wrong).fate is Fate.SURVIVED


def test_without_examples_a_false_mutant_is_open(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    right = court.claim.statement
    assert isinstance(right, Equal)
    wrong = Mutant("right: doubled", replace(right, right=2 * right.right), court.claim.setting.definitions)
    monkeypatch.setattr(Witnesses, "against", lambda *arguments: None)
    monkeypatch.setattr("tightframe.theory.proof.rules.Proving.refute", lambda *arguments: None)
    assert court.judge(wrong).fate is Fate.OPEN


def test_what_was_tried_is_forgotten(court: Court) -> None:
    """One mutant's letters must not hide the examples of the next."""
    before = dict(court.translation.algebra.letters), list(court.proving.entries)
    for mutant in list(changes(court.claim.statement, court.claim.setting.definitions, (C, N)))[::9]:
        court.judge(mutant)
    assert before == (dict(court.translation.algebra.letters), court.proving.entries)


def test_a_dropped_hypothesis_that_is_used_is_noticed() -> None:
    court = Court(registry.find("han2022/central-path-loss"))
    used = [i for i, each in enumerate(court.setting.hypotheses) if each.name in ("whitening", "SNR matrix")]
    trials = [court.drop(index) for index in used]
    assert len(trials) == 2
    assert {trial.fate for trial in trials} == {Fate.REFUTED}


@pytest.mark.parametrize("name", IDS)
def test_recorded_trials_are_of_today(name: str) -> None:
    """No survivor, few open, each with its reason; of a claim that has changed since there is no record."""
    claim = registry.find(name)
    found = shipped_trial(name, claim.hash)
    assert (found is None) == (name in UNRECORDED)
    if found is None:
        return
    counts = found["counts"]
    assert counts[Fate.SURVIVED] == 0
    few = counts[Fate.OPEN] <= mutants.OPEN_SHARE * sum(counts.values())
    assert few != (name in TOO_MANY_OPEN)
    assert [trial["fate"] for trial in found["not_killed"]] == [Fate.OPEN] * counts[Fate.OPEN]
    assert all(trial["detail"] for trial in found["not_killed"])
    assert shipped_trial(name, "another hash") is None


def judged(court: Court, change: str) -> Fate:
    found = changes(court.claim.statement, court.claim.setting.definitions, tuple(court.claim.setting.parameters))
    return court.judge(next(mutant for mutant in found if mutant.change == change)).fate


def test_weaker_inequalities_are_theorems_too() -> None:
    court = Court(registry.find("garrod2025/dnc-suboptimal"))
    assert judged(court, "parts 3: left: doubled") is Fate.EQUIVALENT
    assert judged(court, "parts 2: right: 1 dropped") is Fate.EQUIVALENT
    assert judged(court, "parts 2: right: 1 doubled") is Fate.REFUTED


def test_a_difference_that_a_hypothesis_makes_vanish_makes_an_equivalent() -> None:
    """tr(E F^T) is zero if C is symmetric, which nothing says; tr(E 1 b^T) is zero."""
    court = Court(registry.find("tightframe/general-target"))
    assert judged(court, "parts 1: left: F dropped") is Fate.REFUTED
    algebra, established = court.translation.algebra, court.proving.established
    error = algebra.times(established["critical in b"].target, algebra.transpose(algebra.symbol("F")))
    twice = checker.Statement("zero", algebra.plus(established["least"].target, algebra.trace(error)))
    court.attempts.shifted("mutant", twice, "least")
    assert court.proving.entries[-1]["statement"] == statement_json(twice)


def test_squares_of_a_minimum_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """|W|^2 + |H|^2 - 2 tr(Y^T (I - c J) W H) n^(-1/2) is never negative exactly for c (2 - c) >= 0."""
    court = Court(registry.find("tightframe/one-layer-collapse"))
    change = r"- \frac{1}{K} \mathbf{1}_{K} \mathbf{1}_{K}^{\top}"
    assert judged(court, f"parts 1: objective: {change} doubled") is Fate.EQUIVALENT
    assert judged(court, f"parts 1: objective: {change} times 1.001") is Fate.EQUIVALENT
    says = court.claim.statement
    assert isinstance(says, AllOf)
    least = says.parts[0]
    assert isinstance(least, Minimum)
    tripled = sp.Identity(K) - 3 * ones(K) * ones(K).T / K
    wrong = replace(least, objective=least.objective.xreplace({one_layer_collapse.S: tripled}))
    assert wrong != least
    assert court.judge(Mutant("tripled", replace(says, parts=(wrong, says.parts[1])), {})).fate is Fate.REFUTED
    monkeypatch.setattr("tightframe.theory.proof.rules.Proving.refute", lambda *arguments: None)
    with pytest.raises(StepFailed, match="no sum of squares"):
        SearchedSquares().certify(court.proving, court.translation.statement(wrong))


def test_examples_are_skipped_only_if_they_differ_in_nothing_that_is_mentioned() -> None:
    x, y = sp.symbols("x y", positive=True)
    where = Setting({x: reals(0, open=True), y: reals(0, open=True)}, (), lambda rng: {x: 1, y: 1})
    translation, _ = where.translation()
    examples = Examples.of(translation, (), [{x: 1, y: 1}, {x: 1, y: 3}, {x: 2, y: 3}])
    for symbol, number in ((x, 2), (y, 2), (x + y, 3)):
        assert len(list(examples.differing(translation.statement(Positive(symbol))))) == number
    assert examples.refuting(translation.statement(Positive(2 - y))) is not None


def test_a_walk_leads_to_examples_that_no_sampler_drew() -> None:
    court = Court(registry.find("garrod2025/schatten"))  # all drawn B are symmetric
    assert judged(court, "parts 1: left: transpose of B") is Fate.REFUTED
    court.witnesses.__dict__["further"] = court.witnesses.examples
    assert judged(court, "parts 1: left: transpose of B") is Fate.OPEN


def test_a_constant_does_not_increase() -> None:
    x = sp.Symbol("x", positive=True)
    where = Setting({x: reals(0, open=True)}, (), lambda rng: {x: 1})
    translation, _ = where.translation()
    flat, rising = (translation.statement(Increasing(each, x)) for each in (sp.log(x) - sp.log(2 * x), sp.log(x)))
    assert not may_hold(flat, {"x": Fraction(1)})
    assert may_hold(rising, {"x": Fraction(1)})


def test_every_token_is_changed() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    a, b, x = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, n), sp.Symbol("x", positive=True)
    found = dict(tokens(a.T * b + b.inv(), (n, a, b)))
    assert {"transpose of A dropped", "inverse dropped", "B for A", "A for B", "transpose of B"} <= set(found)
    assert {"A^{\\top} B dropped", "sign of B^{-1}", "A^{\\top} B times 1.001"} <= set(found)
    scalar = {str(other) for _, other in tokens(3 * x**2 / (n + 1), (n, x))}
    assert {"3*x**3/(n + 1)", "3*x/(n + 1)", "3*x**2/(n + 2)", "3*x**2/n"} <= scalar
    wider = [m.statement for m in changes(Exceeds(x, sp.S.One, ((Between(n, 2),),)), {}, (n, x))]
    assert Exceeds(x, sp.S.One, ((Between(n, 1),),)) in wider
    assert Exceeds(sp.S.One, x, ((Between(n, 2),),)) in wider


def test_motions_change_in_exponents_and_powers() -> None:
    labels = {m.change for m in changes(growth.central_path().growth, {}, (C, N))}
    assert {"exponent 3", "exponent 5", "rate: doubled", "coefficient: N for N"} - labels == {"coefficient: N for N"}
