"""Low rank under cross-entropy: losses beside the model, certified scales, and what is decided of neural collapse."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import sympy as sp
import torch
from tightframe import papers
from tightframe.numerics.low_rank import paired
from tightframe.papers import cli
from tightframe.papers.garrod2025 import alignment as claims_of_alignment
from tightframe.papers.garrod2025 import losses as claims_of_losses
from tightframe.papers.garrod2025 import low_rank as claims_of_low_rank
from tightframe.theory import alignment, critical_scale, logit_scale, low_rank, minimal_rank, optimality
from tightframe.theory.derivation import Derivation, Failure, Setting, Step
from tightframe.theory.logit_scale import Chord, Scaled, Structure, circle, pairs, simplex
from tightframe.theory.proof.rules import Box
from tightframe.theory.proof.statement import Between, Exceeds
from tightframe.theory.symbols import integers

balanced_factors, model_of = claims_of_alignment.balanced_factors, claims_of_alignment.model_of
simplex_logits = claims_of_losses.simplex_logits


def circle_logits(classes: int) -> torch.Tensor:
    angles = 2 * torch.pi * torch.arange(classes, dtype=torch.float64) / classes
    return torch.cos(angles[:, None] - angles)


def value(scaled: Scaled, scale: float) -> float:
    return float(scaled.loss(logit_scale.ball(Fraction(scale))))


# ------------------------------------------------------------------------------------------------ reference values
@pytest.mark.parametrize(
    ("structure", "depth", "decay", "expected"),
    [
        (simplex(6), 2, "0.005", 0.13604276),
        (pairs(6), 2, "0.005", 0.12727447),
        (simplex(4), 3, "0.005", 0.08076916),
        (pairs(4), 3, "0.005", 0.07416102),
        (simplex(6), 1, "0.01", 0.27898714),
    ],
)
def test_reference_values(structure: Structure, depth: int, decay: str, expected: float) -> None:
    _, loss = Scaled(structure, depth, 1, Fraction(decay)).floats
    assert round(loss, 8) == expected


# ------------------------------------------------------------------------------------------- structures and losses
STRUCTURES = {
    "neural collapse": (simplex(5), simplex_logits(5)),
    "even pairs": (pairs(6), paired(6)),
    "odd pairs": (pairs(7), paired(7)),
    "another scale": (pairs(5, single=Fraction(3, 2)), paired(5, 1.5)),
    "one pair": (pairs(3, single=Fraction(0)), paired(3, 0.0)),
    "circle": (circle(5), circle_logits(5)),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_is_its_matrix(name: str) -> None:
    """Gaps of all columns, and singular values, counted from the matrix itself."""
    structure, logits = STRUCTURES[name]
    classes = logits.shape[0]
    wanted = sorted(
        (round(float(logits[k, k] - logits[j, k]), 12)) for k in range(classes) for j in range(classes) if j != k
    )
    found = [
        round(float(logit_scale.gap(gap)), 12)
        for column in structure.columns
        for count, gap in column.gaps
        for _ in range(int(column.share * classes) * count)
    ]
    assert sorted(found) == wanted
    values = sorted(float(size) for count, size in structure.values for _ in range(count))
    assert values == pytest.approx(sorted(torch.linalg.svdvals(logits).tolist())[-structure.rank :])
    assert structure.rank == int(torch.linalg.matrix_rank(logits))


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("name", STRUCTURES)
def test_the_loss_is_that_of_the_model(name: str, depth: int) -> None:
    structure, logits = STRUCTURES[name]
    classes, per_class, scale, decay = logits.shape[0], 3, 2.5, 0.03
    model = model_of(classes, per_class, classes + 1, depth, decay)
    measured = float(model.objective(balanced_factors(scale * logits, per_class, classes + 1, depth, seed=0)))
    assert value(Scaled(structure, depth, per_class, Fraction(decay)), scale) == pytest.approx(measured, rel=1e-12)


def test_slips_of_the_pen_are_caught() -> None:
    classes, depth, per_class, scale, decay = 5, 3, 4, 2.5, 0.03

    def formula(
        count: int = classes - 1, size: float = 2.0, power: float = 2 / (depth + 1), layers: int = depth + 1
    ) -> float:
        return math.log1p((classes - 1) * math.exp(-scale)) + decay / 2 * layers * count * (scale * size) ** power

    model = model_of(classes, per_class, classes, depth, decay)
    measured = float(model.objective(balanced_factors(scale * simplex_logits(classes), per_class, classes, depth, 0)))
    assert formula() == pytest.approx(measured, rel=1e-12)
    for wrong in (
        formula(classes),
        formula(size=1.0),
        formula(size=4.0),
        formula(power=2 / depth),
        formula(layers=depth),
    ):
        assert wrong != pytest.approx(measured, rel=1e-3)


# ----------------------------------------------------------------------------------------------------- scales
def equation(classes: int, depth: int, scale: float) -> float:
    """lam n^(1/(L+1)) of the page's equation (19)."""
    return scale ** ((depth - 1) / (depth + 1)) / (math.exp(scale) + classes - 1)


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_every_scale_solves_the_equation_and_none_is_missed(classes: int, depth: int) -> None:
    low, high = optimality.largest_decay(classes, depth, 1, 64)
    for share in (1e-6, 0.1, 0.9, 0.999999, 1.000001, 3.0):
        decay = Fraction(float(low) * share)
        found = [float(t) for t in Scaled(simplex(classes), depth, 1, decay).critical(64)]
        assert found == sorted(found)
        assert len(found) == (0 if share > 1 else 1 if depth == 1 else 2)
        for scale in found:
            assert equation(classes, depth, scale) == pytest.approx(float(decay), rel=1e-9)
    assert high - low < Fraction(1, 2**60)


def test_at_the_threshold_of_one_layer_there_is_none() -> None:
    assert Scaled(simplex(6), 1, 4, Fraction(1, 12)).critical(64) == []
    assert len(Scaled(simplex(6), 1, 4, Fraction(1, 12) - Fraction(1, 10**30)).critical(64)) == 1
    assert Scaled(simplex(6), 1, 4, Fraction(1, 12) + Fraction(1, 10**30)).critical(64) == []


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("name", STRUCTURES)
def test_the_best_scale_is_the_best_of_a_grid(name: str, depth: int) -> None:
    structure, _ = STRUCTURES[name]
    for decay in (Fraction(1, 1000), Fraction(1, 20), Fraction(1)):
        scaled = Scaled(structure, depth, 2, decay)
        _, least = scaled.floats
        values = [value(scaled, x) for x in (0.0, *np.geomspace(1e-4, 30, 200).tolist())]
        assert least <= min(values) + 1e-15
        assert least >= min(values) - 1e-2


def gradient(logits: torch.Tensor, depth: int, decay: float) -> float:
    return claims_of_losses.relative_gradient(logits, depth, 2, decay, seed=1)


def test_the_model_is_critical_there_and_nowhere_else() -> None:
    depth, decay = 2, Fraction(1, 200)
    for structure, logits in ((simplex(6), simplex_logits(6)), (pairs(6), paired(6))):
        for scale in Scaled(structure, depth, 2, decay).critical(64):
            assert gradient(float(scale) * logits, depth, float(decay)) < 1e-9
            assert gradient(1.1 * float(scale) * logits, depth, float(decay)) > 1e-3
    odd = Scaled(pairs(5), depth, 2, decay)
    for scale in odd.critical(64):
        assert gradient(float(scale) * paired(5), depth, float(decay)) > 1e-3


# --------------------------------------------------------------------------------------------------- decisions
def test_theorem_1_on_a_grid() -> None:
    """At every lam with a critical scale, by comparison and not by the theorem."""
    for classes, depth in ((4, 3), (5, 3), (6, 2), (7, 2), (11, 4)):
        assert optimality.covered(classes, depth)
        top, _ = optimality.largest_decay(classes, depth, 3, 64)
        for share in (Fraction(1, 10**6), Fraction(1, 100), Fraction(1, 2), Fraction(99, 100)):
            found = optimality.decide(classes, depth, 3, top * share)
            assert found.suboptimal is True
            assert found.rank is not None
            assert found.rank < classes - 1
    assert not any(optimality.covered(*pair) for pair in ((3, 9), (4, 2), (5, 2), (100, 1)))


def test_where_neural_collapse_is_optimal() -> None:
    for classes, depth in ((2, 1), (6, 1), (2, 4)):
        decision, ranges = optimality.all_decays(classes, depth, 2)
        assert decision.suboptimal is False
        low, high = ranges[0].low, ranges[0].high
        assert ranges[0].decision.suboptimal is False
        assert optimality.decide(classes, depth, 2, Fraction((low + high) / 2)).suboptimal is False
        above = optimality.decide(classes, depth, 2, Fraction(high * 1.01))
        assert (above.suboptimal, above.rank) == (True, 0)


def test_where_the_answer_depends_on_the_decay() -> None:
    """K = 4, L = 2: pairs win at lam = 0.05; at 0.001 nothing is known, and neural collapse beats pairs."""
    assert optimality.decide(4, 2, 1, Fraction(1, 20)) == optimality.Decision(True, "pairs", 2)
    assert optimality.decide(4, 2, 1, Fraction(1, 1000)) == optimality.UNDECIDED
    small = [Scaled(each(4), 2, 1, Fraction(1, 1000)).floats[1] for each in (simplex, pairs)]
    assert small[0] < small[1]
    decision, ranges = optimality.all_decays(3, 4, 1)
    assert decision == optimality.UNDECIDED
    assert [each.decision.rank for each in ranges] == [1, 0]
    for each in ranges:
        found = optimality.decide(3, 4, 1, Fraction((each.low + each.high) / 2))
        assert (found.suboptimal, found.rank) == (True, each.decision.rank)


def test_a_decision_is_that_of_the_model() -> None:
    """The objective at explicit factors of the witness is less than at neural collapse of its best scale."""
    classes, depth, decay = 3, 4, Fraction(12, 100)
    assert optimality.decide(classes, depth, 1, decay).rank == 1
    witness = pairs(classes, 1, Fraction(0))
    model = model_of(classes, 1, classes, depth, float(decay))
    losses = [
        float(model.objective(balanced_factors(Scaled(each, depth, 1, decay).floats[0] * logits, 1, classes, depth, 0)))
        for each, logits in ((witness, paired(classes, 0.0)), (simplex(classes), simplex_logits(classes)))
    ]
    assert losses[0] < losses[1] < math.log(classes)


# ---------------------------------------------------------------------------------------------- what is not proved
def failure(goal: Exceeds) -> Failure:
    ranges = {low_rank.m: integers(1), low_rank.L: integers(1)}
    where = Setting(ranges, (), lambda rng: {low_rank.m: 2, low_rank.L: 3})
    found = Derivation("", where, (Step("goal", goal, "", Box()),)).prove()
    assert isinstance(found, Failure)
    return found


def test_fewer_decays_fail_beyond_the_theorem() -> None:
    goal = low_rank.fewer_decays()
    for box in (((Between(low_rank.m, 2), Between(low_rank.L, 2)),), ((Between(low_rank.m, 1),),)):
        assert failure(Exceeds(goal.left, goal.right, box)).witness is not None


def test_unequal_decays_are_not_aligned() -> None:
    problem = alignment.alignment()
    other = sp.Symbol("lambda_B", positive=True)
    layers = type(problem.layers)(problem.layers.sizes, (problem.layers.decays[0], other), square=False)
    wrong = alignment.Alignment(layers)
    ranges = {**claims_of_alignment.ALIGNMENT_DOMAIN.ranges, other: claims_of_alignment.POSITIVE}
    assert isinstance(alignment.aligned(wrong, wrong.setting(ranges)).prove(), Failure)


def test_a_wrong_scale_is_refuted() -> None:
    """The slope of the loss with K for K - 1."""
    right = critical_scale.critical()
    wrong = type(right)(right.left, right.right.xreplace({critical_scale.K: critical_scale.K + 1}), right.variable)
    assert claims_of_losses.scale_setting.refute(right) is None
    assert claims_of_losses.scale_setting.refute(wrong) is not None


def test_theorem_2_needs_its_depth() -> None:
    """Without the hypothesis on L the decays are the other way round in an example."""
    says = minimal_rank.Superiority.decays
    setting = claims_of_low_rank.superiority_setting
    p, q, rho, c, L, R = (getattr(minimal_rank, name) for name in ("p", "q", "rho", "unit", "L", "R"))
    shallow = Setting(
        {symbol: setting.parameters[symbol] for symbol in (p, q, rho, c, L, R)},
        setting.hypotheses[:1],
        lambda rng: {p: 2, q: 1, rho: 3, R: 3, L: 1, c: 1},
    )
    assert setting.refute(says) is None
    assert shallow.refute(says) is not None


# ---------------------------------------------------------------------------------------------------- what predict says
def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    sets = [each for word in words[1:] for each in ("--set", word)]
    code = cli.main(["predict", f"garrod2025/{words[0]}", *sets, "--json"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_losses(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("K=6", "L=2", "n=1", "lam=0.005")
    code, out, _ = predicted(capsys, "dnc-loss", *given)
    best = json.loads(out)["values"]
    assert code == 0
    assert round(best["loss"], 8) == 0.13604276
    at = json.loads(predicted(capsys, "dnc-loss", *given, f"alpha={best['alpha']!r}")[1])["values"]
    assert at["loss"] == pytest.approx(best["loss"], rel=1e-14)
    other = json.loads(predicted(capsys, "dnc-loss", *given, "alpha=5")[1])["values"]
    assert other["alpha"] == 5.0
    assert other["loss"] > best["loss"]
    assert list(json.loads(predicted(capsys, "paired-loss", *given)[1])["values"]) == ["loss", "beta"]


def test_certified_digits() -> None:
    given: dict[str, Any] = {"K": 7, "L": 3, "n": 5, "lam": "0.001"}
    for claim in ("dnc-loss", "paired-loss", "dnc-scale"):
        floats = papers.predict(f"garrod2025/{claim}", **given)["values"]
        digits = papers.predict(f"garrod2025/{claim}", digits=40, **given)["values"]
        for name, found in digits.items():
            assert np.array(found, dtype=float) == pytest.approx(np.array(floats[name]), rel=1e-15)
    assert papers.predict("garrod2025/dnc-loss", digits=5, K=4, L=2, n=1, lam=9)["values"]["alpha"] == "0"


def test_suboptimal(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(predicted(capsys, "dnc-suboptimal", "K=6", "L=2", "lam=0.005")[1])["values"]
    assert (found["suboptimal"], found["witness_rank"]) == (True, 3)
    found = json.loads(predicted(capsys, "dnc-suboptimal", "K=5", "L=2", "lam=0.0001")[1])["values"]
    assert (found["suboptimal"], found["witness_rank"]) == (None, None)
    found = json.loads(predicted(capsys, "dnc-suboptimal", "K=6", "L=2", "n=4")[1])["values"]
    assert found["suboptimal"] is True
    assert found["lam_ranges"][0]["low"] == 0.0
    assert found["lam_ranges"][0]["high"] == pytest.approx(float(optimality.largest_decay(6, 2, 4, 64)[0]))
    found = json.loads(predicted(capsys, "dnc-suboptimal", "K=6", "L=1")[1])["values"]
    assert found["suboptimal"] is False


@pytest.mark.parametrize("claim", ["dnc-loss", "paired-loss", "dnc-scale", "dnc-suboptimal"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("K=1", "L=2", "lam=1"), "K (number of classes): expected an integer >= 2, got 1"),
        (("K=3", "L=0", "lam=1"), "L (number of weight layers): expected an integer >= 1, got 0"),
        (("K=3", "L=2", "lam=0"), "lam (decay of every factor): expected a finite number > 0, got 0"),
        (("K=3", "L=2", "lam=1", "n=0"), "n (samples a class): expected an integer >= 1, got 0"),
        (("K=3.5", "L=2", "lam=1"), "got 3.5"),
        (("K=3", "L=2", "lam=-1"), "got -1"),
        (("K=3", "L=2", "lam=nan"), "got nan"),
        (("K=3", "L=2", "lam=1", "d=2"), "unknown name 'd'"),
    ],
)
def test_wrong_input_is_one_line(
    claim: str, words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = predicted(capsys, claim, *words)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


@pytest.mark.parametrize(
    "call",
    [
        lambda: simplex(1),
        lambda: circle(2),
        lambda: pairs(4, 3),
        lambda: pairs(4, 0),
        lambda: Scaled(simplex(3), 0, 1, Fraction(1)),
        lambda: Scaled(simplex(3), 1, 0, Fraction(1)),
        lambda: Scaled(simplex(3), 1, 1, Fraction(0)),
        lambda: optimality.decide(1, 1, 1, Fraction(1)),
    ],
)
def test_what_is_no_model_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        call()


def test_chords() -> None:
    with flint.ctx.workprec(64):
        assert float(logit_scale.gap(Chord(Fraction(1, 2)))) == 2.0
        assert float(logit_scale.gap(Chord(Fraction(1, 4)))) == pytest.approx(1.0)
