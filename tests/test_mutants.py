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
from tightframe.theory import growth, low_rank, one_layer_collapse, relu_structure
from tightframe.theory.balance import K
from tightframe.theory.balance import N as size
from tightframe.theory.centred_labels import Y, n
from tightframe.theory.derivation import Setting
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import statement_json
from tightframe.theory.proof.mutation import Mutant, tokens
from tightframe.theory.proof.mutation import mutants as changes
from tightframe.theory.proof.refuter import Examples
from tightframe.theory.proof.rules import MeanValue, Refutation, StepFailed
from tightframe.theory.proof.scalar_refuter import may_hold
from tightframe.theory.proof.squares import SearchedSquares
from tightframe.theory.proof.statement import (
    AllOf,
    Between,
    Equal,
    Exceeds,
    Increasing,
    Minimum,
    Positive,
    PositiveSemidefinite,
)
from tightframe.theory.symbols import C, N, ones, reals
from tightframe.theory.symbols import n as per_class

IDS = [name for name, claim in registry.claims().items() if claim.derive is not None]
UNRECORDED: tuple[str, ...] = ()  # of which no trial is shipped
TOO_MANY_OPEN: tuple[str, ...] = ()  # more than one in twenty, each true in all examples as far as known
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


@pytest.fixture(scope="module")
def pairs() -> Court:
    return Court(registry.find("garrod2025/dnc-suboptimal"))


def test_weaker_inequalities_are_theorems_too(pairs: Court) -> None:
    assert judged(pairs, "parts 3: left: doubled") is Fate.EQUIVALENT
    assert judged(pairs, "parts 2: right: 1 dropped") is Fate.EQUIVALENT
    assert judged(pairs, "parts 2: right: 1 doubled") is Fate.REFUTED


def test_boxes_show_what_has_no_slope_in_the_same_variable(pairs: Court) -> None:
    """log(1 + x + e^y) > log 2 = 0.693... for positive x and y, as near as one likes."""
    tried, own = pairs.attempts, MeanValue(low_rank.alpha, "no such step")

    def rising(scale: sp.Expr, bound: sp.Rational) -> None:
        with tried.undone():
            tried.rising("mutant", Exceeds(sp.log(1 + low_rank.lam + sp.exp(scale)), bound), own, float("inf"))

    for scale in (low_rank.alpha, per_class):  # with a slope of the claim's that does not fit, and with none
        rising(scale, sp.Rational(13, 20))
    rising(per_class, sp.Rational(7, 10))  # n >= 1
    for bound in (sp.Rational(7, 10), sp.Rational(3, 4)):
        with pytest.raises(Refutation):
            rising(low_rank.alpha, bound)


def test_inequalities_are_refuted_near_the_ends_of_their_domain() -> None:
    """Four pairs at L = 5 have more decays than the bound; seven at L = 4 have fewer, as eight have."""
    court = Court(registry.find("garrod2025/relu-suboptimal"))
    for change in (r"parts 18: m \ge 4 for m \ge 5", "parts 19: right: 1 times 1.001", "parts 18: sides swapped"):
        assert judged(court, change) is Fate.REFUTED
    for least, refuted in ((8, False), (7, False), (5, True)):
        part = court.translation.statement(
            relu_structure.fewer_decays(((Between(low_rank.m, least), Between(low_rank.L, 4, 4)),))
        )
        assert (court.witnesses.fails_somewhere(part, court.witnesses.examples) is not None) == refuted


def test_processes_that_share_a_claim_find_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "han2022/closed-form"
    [alone] = mutants.tally([name], every=3, seed=1)
    monkeypatch.setattr(mutants, "spread", lambda work, tasks, jobs, called: map(work, tasks))
    [shared] = mutants.tally([name], every=3, seed=1, jobs=2)
    assert shared.trials == alone.trials
    assert shared.record() == alone.record()
    monkeypatch.setattr(mutants, "spread", lambda work, tasks, jobs, called: map(work, tasks[1:]))
    assert not list(mutants.tally([name], every=3, jobs=2))  # a share was lost


def test_counts_of_eigenvalues_are_combined() -> None:
    """tr E of a projection is no less than zero; E_2 for E_1 is another theorem, F_2 for E_1 none."""
    court = Court(registry.find("liu2024/interlacing"))
    first, second = (rf"\operatorname{{tr}}\left\{{{name}\right\}}" for name in ("E_{1}", "F_{1}"))
    for change in ("doubled", f"- {first} dropped", f"{second} times 1.001", "E_{2} for E_{1}"):
        assert judged(court, f"parts 1: scalar: {change}") is Fate.EQUIVALENT
    for change in ("negated", f"- {first} doubled", "F_{2} for E_{1}"):
        assert judged(court, f"parts 1: scalar: {change}") is Fate.REFUTED
    for change in ("1 doubled", "E_{1} for E_{2}"):
        assert judged(court, f"parts 2: scalar: {change}") is Fate.EQUIVALENT
    assert judged(court, "parts 2: scalar: F_{1} for E_{2}") is Fate.REFUTED


def test_a_weight_without_a_visible_sign_is_proved_nonnegative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Y Y^T - c n n^T is semi-definite for c <= 1/N."""
    court = Court(registry.find("liu2024/interlacing"))
    assert judged(court, "parts 4: matrix: exponent -2 for -1") is Fate.EQUIVALENT
    assert judged(court, "parts 4: matrix: N + 1 for N") is Fate.EQUIVALENT
    says = court.claim.statement
    assert isinstance(says, AllOf)
    larger = PositiveSemidefinite(Y * Y.T - n * n.T * (1 / size - 1 / size**2 + 1 / size**3))
    wrong = PositiveSemidefinite(Y * Y.T - n * n.T * (1 / size + 1 / size**2))
    definitions = court.claim.setting.definitions
    for part, fate in ((larger, Fate.EQUIVALENT), (wrong, Fate.REFUTED)):
        assert court.judge(Mutant("weight", replace(says, parts=(*says.parts[:3], part)), definitions)).fate is fate
    monkeypatch.setattr(Witnesses, "against", lambda *arguments: None)
    assert court.judge(Mutant("weight", replace(says, parts=(*says.parts[:3], wrong)), definitions)).fate is Fate.OPEN


def test_an_inverse_of_the_proof_alone_refutes_nothing() -> None:
    """Where a hypothesis is dropped, the inverses in the derivation need not exist, those in the claim must."""
    court = Court(registry.find("liu2024/interlacing"))
    names = [each.name for each in court.setting.hypotheses]
    for name in ("above: level", "above: rest"):
        kept = replace(court.setting, hypotheses=tuple(h for h in court.setting.hypotheses if h.name != name))
        found = court.outside(kept, names.index(name))
        assert found is not None
        assert found.startswith("false where")


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
