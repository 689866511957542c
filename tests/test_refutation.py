"""`refute`: false claims have small exact witnesses that replay, whatever way finds them; true ones have none."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import sympy as sp
from tightframe.papers import claims_files, cli
from tightframe.papers.claim import Claim
from tightframe.papers.draft import (
    Draft,
    Equal,
    Exceeds,
    Identity,
    Minimum,
    Nonnegative,
    Positive,
    PositiveSemidefinite,
    inverse,
    norm_squared,
    trace,
)
from tightframe.papers.trials import refutation
from tightframe.papers.trials.refutation import Trial, refute
from tightframe.papers.trials.residues import vanishes

paper = Draft("conjectures", "Conjectures")
n = paper.integer("n")
x, y = paper.real("x"), paper.real("y")
a, b = paper.real("a", above=0), paper.real("b", above=0)
A, B = paper.matrix("A", n, n), paper.matrix("B", n, n)
P, R = paper.matrix("P", n, n, psd=True), paper.matrix("R", n, n, psd=True)

FALSE = {
    "trace": Equal(trace(A * B), trace(A) * trace(B)),
    "square": Equal((A + B) * (A + B), A * A + 2 * A * B + B * B),
    "psd-product": PositiveSemidefinite(P * R + R * P),
    "touching": Positive(a**2 + b**2 - 2 * a * b),
    "logarithm": Exceeds(a - 1, sp.log(a)),
    "derivative": Identity(sp.Derivative(sp.log(1 + sp.exp(x)), x), sp.exp(x), x),
    "minimum": Minimum(norm_squared(A - B), (A,), (B,), sp.S.One),
    "far": Positive(10**6 - a),
}
TRUE = {
    "trace": Equal(trace(A * B), trace(B * A)),
    "means": Nonnegative(a**2 + b**2 - 2 * a * b),
    "inverse": Equal(inverse(A * A.T + a * sp.Identity(n)).T, inverse(A * A.T + a * sp.Identity(n))),
}


def stated(statement: object, name: str = "claim", given: object = ()) -> Claim:
    draft = Draft("conjectures", "Conjectures")
    draft._symbols = paper._symbols
    return draft.claim(name, name, statement, given=given, prove=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FALSE)
def test_a_false_claim_has_a_small_exact_witness(name: str) -> None:
    found = refute(stated(FALSE[name]), seconds=8)
    assert found.witness is not None, found.plain()
    assert found.exit_code == 1
    for value in found.witness["values"].values():
        entries = [value] if isinstance(value, str) else [each for row in value for each in row]
        assert all(len(entry) <= 7 for entry in entries), value


@pytest.mark.parametrize("name", TRUE)
def test_a_true_claim_has_none_and_what_was_searched_is_said(name: str) -> None:
    found = refute(stated(TRUE[name]), seconds=1.5)
    assert found.witness is None
    assert found.exit_code == 0
    assert len(found.ways) == 5
    assert "that proves nothing" in found.plain()
    assert sum(way.tried > 0 for way in found.ways) >= 3


def by(way: Callable[[Trial, random.Random], str | None], claim: Claim, seconds: float = 5.0) -> Trial:
    trial = Trial(claim)
    trial.begin(seconds)
    way(trial, random.Random(0))
    return trial


# ---- each way finds what another overlooks
def test_ascent_finds_a_narrow_valley() -> None:
    valley = stated(Nonnegative((x - sp.Rational(33, 10)) ** 2 + (y - 1) ** 2 - sp.Rational(1, 10**4)))
    assert by(refutation.small, valley, 0.5).best is None
    found = by(refutation.ascent, valley).best
    assert found is not None
    assert (found[x], found[y]) == (sp.Rational(33, 10), 1)


def test_ascent_counts_where_the_hypotheses_hold() -> None:
    """On the disk x - y + 2 is at least 2 - 2^(1/2); outside of it is as low as one likes."""
    claim = stated(Nonnegative(x - y + 2), given={"disk": Nonnegative(1 - x**2 - y**2)})
    trial = Trial(claim)
    trial.begin(1.0)
    note = refutation.ascent(trial, random.Random(0))
    assert note is not None
    found = re.fullmatch(r"\d+ starts, violation at most (\S+) where the hypotheses hold", note)
    assert found is not None, note
    assert -0.7 < float(found[1]) < -0.58
    assert trial.best is None


def test_hypothesis_is_led_by_the_residual() -> None:
    hill = stated(Nonnegative(4000 - (x + 10) ** 2 * (y + 10)))
    assert by(refutation.targeted, hill).best is not None


def test_ends_of_ranges_are_tried() -> None:
    end = stated(Positive(10**6 - a))
    assert by(refutation.small, end, 0.3).best is None
    assert by(refutation.near, end).best is not None


def test_residues_tell_what_small_numbers_hide() -> None:
    product = sp.S.One
    for root in range(-6, 7):
        product *= 2 * x - root  # all values of x that are drawn
    hidden = stated(Equal(product, sp.S.Zero))
    assert by(refutation.small, hidden, 0.3).best is None
    assert by(refutation.modular, hidden).best is not None


def test_what_does_not_vanish_modulo_a_prime_does_not_vanish() -> None:
    rng = random.Random(0)
    for statement in (*FALSE.values(), *TRUE.values()):
        trial = Trial(stated(statement))
        if trial.goal.kind != "zero":
            continue
        for _ in range(10):
            values = trial.claim.setting.sample(rng)
            told = vanishes(trial.translation, trial.goal.target, values, refutation.PRIME)
            assert told is not False or trial.fails(values)
            assert told is not True or not trial.fails(values)  # these numbers are small


def test_an_example_that_breaks_a_hypothesis_is_no_counterexample() -> None:
    claim = stated(Nonnegative(x - 1), given={"large": Nonnegative(x - 2)})
    trial = Trial(claim)
    assert not trial.fails({x: sp.Rational(1, 2)})
    assert trial.tried == 0
    assert refute(claim, seconds=1).witness is None


def test_without_any_example_nothing_was_searched() -> None:
    claim = stated(Nonnegative(x - 1), given={"no": Positive(-(x**2))})
    found = refute(claim, seconds=0.5)
    assert found.witness is None
    assert found.exit_code == 3
    assert "nothing could be tried" in found.plain()


# ---- the command line
@pytest.fixture
def conjecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIGHTFRAME_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(claims_files, "_probe", lambda source: None)
    Path("mine.py").write_text(
        "from tightframe.papers.draft import *\nPAPER = Draft('mine2027', 'Mine')\nn = PAPER.integer('n')\n"
        "A, B = PAPER.matrix('A', n, n), PAPER.matrix('B', n, n)\n"
        "PAPER.claim('commute', 'All matrices commute', Equal(A * B, B * A))\n"
        "PAPER.claim('known', 'Known to be false', Equal(A * B, B * A), recorded='refuted')\n"
    )
    return "mine.py::commute"


def test_the_replay_command_replays(conjecture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["refute", conjecture, "--seconds", "3", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    words = shlex.split(data["replay"])
    assert words[0] == "tightframe"
    assert cli.main([*words[1:], "--json"]) == 1
    again = json.loads(capsys.readouterr().out)
    assert again["witness"]["values"] == data["witness"]["values"]
    assert again["residual"] == data["residual"]
    assert data["residual"].startswith("left minus right is [[")
    assert cli.main(["refute", conjecture, "--seconds", "3", "--out", "witness.json"]) == 1
    assert "--at witness.json" in capsys.readouterr().out
    assert cli.main(["refute", conjecture, "--at", "witness.json"]) == 1
    assert cli.main(["refute", "mine.py::known", "--at", "witness.json"]) == 0  # as recorded


@pytest.mark.parametrize(
    ("at", "code", "said"),
    [
        ('{"n": "1", "A": [["1"]], "B": [["2"]]}', 0, "mine2027/commute holds there"),
        ('{"n": "2", "A": [["1"]], "B": [["2"]]}', 2, "is no example of the hypotheses"),
        ('{"n": "0", "A": [], "B": []}', 2, "is no example of the hypotheses"),
        ('{"n": "1", "A": [["1"]]}', 2, "has no value for B"),
        ('{"n": "1", "A": [["one"]], "B": [["2"]]}', 2, "gives no exact number: "),
        ("[1]", 2, "cannot read the witness [1]"),
        ("{", 2, "is not JSON"),
        ("absent.json", 2, "cannot read the witness absent.json"),
    ],
)
def test_a_wrong_witness_is_one_line(
    conjecture: str, at: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["refute", conjecture, "--at", at]) == code
    captured = capsys.readouterr()
    assert said in (captured.out or captured.err)
    assert (captured.out + captured.err).count("\n") == 1
