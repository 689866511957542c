"""Stating a claim: what is wrong is said with its line, and `check-step` shows what is missing in a derivation."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from outside_statements import PAPER as OUTSIDE
from tightframe.papers import claims_files, cli, verification
from tightframe.papers.draft import (
    Draft,
    DraftError,
    Equal,
    I,
    Invertible,
    Nonnegative,
    Positive,
    PositiveDefinite,
    PositiveSemidefinite,
    inverse,
    rules,
    step,
    trace,
)
from tightframe.papers.step_checking import check_steps
from tightframe.papers.trials.sampling import NoExample, Sampler
from tightframe.theory.derivation import Failure, Proof
from tightframe.theory.proof import checker
from tightframe.theory.proof.certificate import complete_model
from tightframe.theory.proof.refuter import is_example

SLUGS = [claim.slug for claim in OUTSIDE.paper().claims]


# ---- statements that are on no page of ours
@pytest.mark.parametrize("slug", SLUGS)
def test_a_statement_from_elsewhere_has_the_verdict_that_it_should(slug: str) -> None:
    (claim,) = [claim for claim in OUTSIDE.paper().claims if claim.slug == slug]
    standing = verification.verify_claim(claim, None, budget=5)
    assert standing.verdict == claim.recorded, standing.evidence
    assert standing.exit_code == 0
    assert standing.report is None or all(used for _, _, used in standing.report.hypotheses)


def test_there_are_ten_and_some_are_false() -> None:
    verdicts = [str(claim.recorded) for claim in OUTSIDE.paper().claims]
    assert verdicts.count("proved") >= 10
    assert verdicts.count("refuted") >= 3


# ---- errors say the line and why
def paper() -> Draft:
    return Draft("me2027", "A paper")


def symbols(draft: Draft) -> tuple[sp.Symbol, sp.Symbol, sp.MatrixSymbol, sp.MatrixSymbol]:
    n, d = draft.integer("n"), draft.integer("d")
    return n, d, draft.matrix("A", n, d), draft.matrix("B", n, d)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A * B, A)), "do not fit: A is n x d and B is n x d"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A + B.T, A)), "different shapes: A is n x d and B.T is d x n"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A, B.T)), "different shapes: n x d and d x n"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(trace(A.T * A), A.T * A)), "a scalar and d x d"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(trace(A), trace(B))), "the trace of A, which is n x d"),
        (lambda p, n, d, A, B: p.claim("a", "", PositiveSemidefinite(A)), "not of a matrix of shape n x d"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(sp.Symbol("q") * A, A)), "the symbol q has no range"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(sp.MatrixSymbol("Z", n, d), A)), "Z is not declared"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A * sp.Symbol("n"), A)), "this n is not the one declared at"),
        (lambda p, n, d, A, B: p.claim("a", "", A == B), "sympy found this to be False"),
        (lambda p, n, d, A, B: p.claim("a", "", "A = B"), "expected a statement such as Equal"),
        (lambda p, n, d, A, B: p.claim("A b", "", Equal(A, A)), "is no name of a claim"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A, A), uses=["other"]), "which is not stated before it"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A, A), conditions=[sp.Symbol("m") > 1]), "is about m"),
        (lambda p, n, d, A, B: p.claim("a", "", Equal(A, A), where={sp.Symbol("f"): A}), "has another shape"),
        (
            lambda p, n, d, A, B: p.claim("a", "", Equal(A, A), steps=[step("s", Equal(A, A)), step("s", Equal(B, B))]),
            "the name 's' is taken",
        ),
        (lambda p, n, d, A, B: step("s", PositiveDefinite(A.T * A)), "needs to be told its rule"),
        (lambda p, n, d, A, B: p.integer("n"), "declared twice"),
        (lambda p, n, d, A, B: p.real("x", above=0, at_least=0), "not both"),
        (lambda p, n, d, A, B: p.matrix("S", n, d, symmetric=True), "S is symmetric, but n x d"),
        (lambda p, n, d, A, B: p.claim("a", "", (Equal(A, A), Nonnegative(n)), simulate=print), "say kind="),
        (lambda p, n, d, A, B: Draft("me2027", "A paper", bibtex="@misc{you2027,}"), "does not begin with"),
    ],
)
def test_what_does_not_fit_together_is_said_with_its_line(state: object, expected: str) -> None:
    draft = paper()
    with pytest.raises(DraftError) as caught:
        state(draft, *symbols(draft))  # type: ignore[operator]
    assert expected in str(caught.value)
    path, line, _ = str(caught.value).split(":", 2)
    assert path == __file__
    source = Path(__file__).read_text().splitlines()[int(line) - 1]
    assert "lambda p" in source


def test_relations_of_sympy_are_read() -> None:
    draft = paper()
    a, b = draft.real("a", above=0), draft.real("b", above=0)
    claim = draft.claim("means", "Two means", a**2 + b**2 >= 2 * a * b)
    assert claim.statement == Nonnegative(a**2 + b**2 - 2 * a * b)
    assert isinstance(claim.derivation.prove(), Proof)  # type: ignore[union-attr]


# ---- what an author need not write
def test_the_inverse_of_a_ridge_exists_only_with_a_positive_shift() -> None:
    draft = paper()
    n, d, A, _ = symbols(draft)
    lam, mu = draft.real("lambda", above=0), draft.real("mu", at_least=0)
    S = draft.matrix("S", n, n, psd=True)
    for shift, proved in ((lam, True), (mu, False)):
        found = inverse(A.T * S * A + shift * I(d))
        claim = draft.claim(shift.name, "Ridge", Equal(found * (A.T * S * A) + shift * found, I(d)))
        outcome = claim.derivation.prove()  # type: ignore[union-attr]
        assert isinstance(outcome, Proof if proved else Failure)


def test_a_claim_that_is_used_brings_its_steps_and_needs_its_hypotheses() -> None:
    draft = paper()
    _, _, A, B = symbols(draft)
    known = draft.claim("double", "Double", Equal(2 * A, 2 * B), given={"same": Equal(A, B)})
    more = draft.claim("six", "Six", Equal(6 * A, 6 * B), given={"same": Equal(A, B)}, uses=[known])
    names = [each.name for each in more.derivation.steps]  # type: ignore[union-attr]
    assert names == ["double", "six"]
    assert more.depends == ("me2027/double",)
    assert isinstance(more.derivation.prove(), Proof)  # type: ignore[union-attr]
    with pytest.raises(DraftError, match="lacks its hypothesis 'same'"):
        draft.claim("without", "Six", Equal(6 * A, 6 * B), uses=[known])


def test_a_statement_without_a_rule_is_a_conjecture() -> None:
    draft = paper()
    n = draft.integer("n")
    P, R = draft.matrix("P", n, n, psd=True), draft.matrix("R", n, n, psd=True)
    claim = draft.claim("product", "Symmetrised product", PositiveSemidefinite(P * R + R * P))
    assert claim.derive is None
    assert str(verification.verify_claim(claim, None, budget=1).verdict) == "refuted"


# ---- exact examples, drawn without being told how
def test_examples_satisfy_the_hypotheses_that_they_were_not_made_for() -> None:
    draft = paper()
    n, d, A, B = symbols(draft)
    Q = draft.matrix("Q", n, d, orthonormal=True)
    S = draft.matrix("S", n, n, pd=True)
    x = draft.vector("x", d)
    claim = draft.claim(
        "all",
        "All at once",
        Equal(A, A + 0 * Q + 0 * S * A),
        given={
            "defined": Equal(B, S * Q),
            "kernel": Equal(A * x, sp.ZeroMatrix(n, 1)),
            "large": Positive(trace(x.T * x)),
        },
        conditions=[n >= d],
    )
    translation, _ = claim.setting.translation()
    statements = [translation.statement(each.statement) for each in claim.setting.hypotheses]
    rng = random.Random(0)
    for _ in range(5):
        values = claim.setting.sample(rng)
        model = complete_model(translation, values)
        assert model is not None
        assert is_example(translation, statements, model)
        assert values[n] >= values[d]
    assert any(any(map(any, claim.setting.sample(rng)[A])) for _ in range(5))


def test_hypotheses_that_contradict_each_other_have_no_examples_and_prove_nothing() -> None:
    draft = paper()
    _, _, A, B = symbols(draft)
    false = {"impossible": Equal(trace(A.T * A), sp.Integer(-1))}
    claim = draft.claim("anything", "Anything", Equal(A, B), given=false)
    assert isinstance(claim.setting.sample, Sampler)
    with pytest.raises(NoExample, match="most often 'impossible' fails"):
        claim.setting.sample(random.Random(0))


def test_examples_that_are_given_are_checked_too() -> None:
    draft = paper()
    x = draft.real("x")
    good = draft.claim("a", "", Equal(x**2, 2 * x), given={"two": Equal(x, 2)}, examples=lambda rng, v: {x: 2})
    bad = draft.claim("b", "", Equal(x**2, 2 * x), given={"two": Equal(x, 2)}, examples=lambda rng, v: {x: 3})
    assert good.setting.sample(random.Random(0))[x] == 2
    with pytest.raises(NoExample):
        bad.setting.sample(random.Random(0))


# ---- one step
def test_every_step_is_looked_at_with_its_line_and_what_is_left() -> None:
    draft = paper()
    _, _, A, B = symbols(draft)
    claim = draft.claim(
        "wrong",
        "Wrong in the middle",
        Equal(4 * A, 4 * B),
        given={"same": Equal(A, B)},
        steps=[
            step("double", Equal(2 * A, 2 * B)),
            step("slip", Equal(3 * A, 4 * B)),
            step("named", Equal(A, B), rules.Star(("double",))),
        ],
    )
    found = check_steps(claim)
    assert [each.outcome for each in found.steps] == ["follows", "false", "follows", "follows"]
    slip = found.steps[1]
    assert slip.origin is not None
    line = int(slip.origin.rpartition(":")[2])
    assert 'step("slip"' in Path(__file__).read_text().splitlines()[line - 1]
    assert slip.witness is not None
    assert "left minus right is" in slip.detail
    assert found.exit_code == 1
    assert [each.name for each in check_steps(claim, "slip").steps] == ["slip"]
    granted = check_steps(claim, "named")  # it follows, but the step before it is taken for granted and false
    assert [(each.name, each.outcome) for each in granted.steps] == [("slip", "false"), ("named", "follows")]
    assert granted.steps[0].detail.startswith("taken for granted, but false in an exact example")
    assert granted.exit_code == 1
    with pytest.raises(ValueError, match="has no step 'slp'; its steps: double, slip, named, wrong"):
        check_steps(claim, "slp")


def test_a_step_that_does_not_follow_leaves_a_residual_and_says_which_inverse_is_missing() -> None:
    draft = paper()
    _, d, A, B = symbols(draft)
    total = A.T * A + B.T * B
    claim = draft.claim("shares", "Shares", Equal(inverse(total) * (A.T * A) + inverse(total) * (B.T * B), I(d)))
    found = check_steps(claim)
    assert found.exit_code == 3
    (report,) = found.steps
    assert report.outcome == "not shown"
    assert "left over: inv1 A' A + inv1 B' B - I" in report.detail
    assert "inverse of A' A + B' B, of which nothing says that it exists" in report.detail
    mended = draft.claim("mended", "Shares", claim.statement, given={"rank": Invertible(total)})
    assert check_steps(mended).exit_code == 0


@dataclass(frozen=True)
class Elsewhere(rules.Poly):
    """Data that prove another statement."""

    def certify(self, proving: rules.Proving, goal: checker.Statement) -> dict[str, Any]:
        return rules.Poly().certify(proving, proving.established["square"])


def test_a_step_follows_only_if_the_checker_accepts_it() -> None:
    draft = paper()
    a, b = draft.real("a"), draft.real("b")
    claim = draft.claim(
        "means",
        "Two means",
        Nonnegative(a**2 + b**2 - 2 * a * b),
        steps=[
            step("square", Nonnegative(a**2)),
            step("means", Nonnegative(a**2 + b**2 - 2 * a * b), Elsewhere()),
        ],
    )
    found = check_steps(claim)
    assert [each.outcome for each in found.steps] == ["follows", "not shown"]
    assert "the checker rejects it: step 'means'" in found.steps[-1].detail
    assert check_steps(claim, "means").exit_code == 3
    assert check_steps(claim, "square").exit_code == 0


def test_an_unused_hypothesis_is_a_finding() -> None:
    draft = paper()
    n, _, A, B = symbols(draft)
    claim = draft.claim(
        "same",
        "Same",
        Equal(2 * A, 2 * B),
        given={
            "same": Equal(A, B),
            "spare": Positive(n + 1),
        },
    )
    found = check_steps(claim)
    ((name, place),) = found.unused
    assert name == "spare"
    assert place is not None
    assert '"spare"' in Path(__file__).read_text().splitlines()[int(place.rpartition(":")[2]) - 1]
    assert found.exit_code == 1


def test_what_sympy_cancelled_is_said() -> None:
    draft = paper()
    _, _, A, _ = symbols(draft)
    claim = draft.claim("hat", "Hat", Equal(A * inverse(A.T * A) * A.T * A, A))
    assert "sympy may have simplified what was written" in check_steps(claim).steps[0].detail


def test_what_cannot_be_read_is_said() -> None:
    draft = paper()
    x = draft.real("x", above=0)
    claim = draft.claim("root", "Root", Equal(sp.sin(x), sp.sin(x) + 0))
    found = check_steps(claim)
    assert found.exit_code == 2
    assert "no reading of the scalar sin(x)" in found.steps[0].detail


def test_check_step_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims_files, "_probe", lambda source: None)
    monkeypatch.setenv("TIGHTFRAME_STORE", str(tmp_path / "store"))
    path = Path(__file__).with_name("outside_statements.py")
    assert cli.main(["check-step", f"{path}::woodbury-with-a-plus"]) == 1
    assert "left minus right is [[" in capsys.readouterr().out
    assert cli.main(["check-step", f"{path}::lora-gauge", "--json"]) == 0
    assert '"outcome": "follows"' in capsys.readouterr().out
    assert cli.main(["check-step", f"{path}::nothing"]) == 2
    assert "has no claim 'nothing'; it has: woodbury" in capsys.readouterr().err


# ---- closed forms
def test_closed_forms_are_rounded_correctly_and_say_what_they_cannot() -> None:
    draft = paper()
    x, y = draft.real("x", above=0), draft.real("y")
    claim = draft.claim("a", "", Equal(x, x), predict={"root": sp.sqrt(x), "log": sp.log(x) + y})
    assert claim.predict is not None
    assert claim.predict.evaluate({"x": "2", "y": "0"}, 15)["values"] == {
        "root": "1.41421356237310",
        "log": "0.693147180559945",
    }
    assert claim.predict.evaluate({"x": "9/4", "y": "1"})["values"]["root"] == 1.5
    ratio = draft.claim(
        "b", "", Equal(x, x), predict={"ratio": sp.sqrt(x + 1 + 2 * sp.sqrt(2)) - sp.sqrt(2) + sp.Rational(3, 2)}
    )
    assert ratio.predict is not None
    with pytest.raises(ValueError, match="no tie"):
        ratio.predict.evaluate({"x": "2"}, 1)  # it is 5/2
    with pytest.raises(DraftError, match="mentions z, which has no range"):
        draft.claim("c", "", Equal(x, x), predict={"z": sp.Symbol("z")})
    with pytest.raises(DraftError, match="no reading of sin"):
        draft.claim("d", "", Equal(x, x), predict={"sine": sp.sin(x)})
