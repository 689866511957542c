"""Low rank under cross-entropy: losses beside the model, certified scales, and what is decided of neural collapse."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise
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
from tightframe.theory import (
    alignment,
    critical_scale,
    logit_scale,
    low_rank,
    minimal_rank,
    optimality,
    three_class_margin,
    two_class_collapse,
)
from tightframe.theory.derivation import Derivation, Failure, Setting, Step
from tightframe.theory.logit_scale import Chord, Scaled, Structure, circle, pairs, pairs_and_a_class, simplex
from tightframe.theory.proof.rules import Box
from tightframe.theory.proof.statement import Between, Equal, Exceeds, Nonnegative
from tightframe.theory.symbols import integers

balanced_factors, model_of = claims_of_alignment.balanced_factors, claims_of_alignment.model_of
simplex_logits = claims_of_losses.simplex_logits


def circle_logits(classes: int) -> torch.Tensor:
    angles = 2 * torch.pi * torch.arange(classes, dtype=torch.float64) / classes
    return torch.cos(angles[:, None] - angles)


def with_a_class(classes: int, single: float, share: float) -> torch.Tensor:
    """Pairs beside a class whose row is centred and whose direction leans away from the others."""
    last = torch.eye(classes, dtype=torch.float64)[-1]
    return paired(classes, 0.0) + single * torch.outer(last - 1 / classes, last - share * (1 - last))


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
    "pairs and a class": (pairs_and_a_class(5, Fraction(5, 4), Fraction(1, 8)), with_a_class(5, 1.25, 0.125)),
    "a pair and a class": (pairs_and_a_class(3, Fraction(3, 4), Fraction(0)), with_a_class(3, 0.75, 0.0)),
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
    values = sorted(
        float(logit_scale.power(size, Fraction(1))) for count, size in structure.values for _ in range(count)
    )
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
    assert [each.decision.rank for each in ranges] == [None, 1, 0]
    for each in ranges[1:]:
        found = optimality.decide(3, 4, 1, Fraction((each.low + each.high) / 2))
        assert (found.suboptimal, found.rank) == (True, each.decision.rank)


def test_intervals_end_where_losses_are_equal() -> None:
    """What was certified at single lam holds between them; below the least end nothing is said."""
    for (classes, depth), structure, end in (
        ((4, 2), pairs(4), 0.011760498),
        ((3, 2), pairs(3, 1, Fraction(0)), 0.173483883),
        ((5, 2), pairs_and_a_class(5, optimality.SINGLE, optimality.SHARE), 0.000123574554),
    ):
        decision, ranges = optimality.all_decays(classes, depth, 1)
        assert decision == ranges[0].decision == optimality.UNDECIDED
        assert ranges[0].low == 0
        assert ranges[1].low == pytest.approx(end, rel=1e-8)
        assert ranges[1].decision == optimality.Decision(True, structure.name, structure.rank)
        assert ranges[-1].high == pytest.approx(float(optimality.largest_decay(classes, depth, 1, 64)[0]), rel=1e-12)
        for below, above in pairwise(ranges):
            assert below.high == pytest.approx(above.low, rel=1e-11)
        for share, sign in ((1 - 1e-8, -1), (1 + 1e-8, 1)):
            decay = Fraction(ranges[1].low * share)
            with flint.ctx.workprec(128):
                gain = Scaled(simplex(classes), depth, 1, decay).best(128)[1]
                gain -= Scaled(structure, depth, 1, decay).best(128)[1]
            assert sign * gain > 0
        for each in ranges[1:]:
            for part in (0.001, 0.3, 0.999):
                found = optimality.decide(classes, depth, 1, Fraction(each.low + part * (each.high - each.low)))
                assert found.suboptimal is True
    scaled = optimality.all_decays(4, 2, 8)[1]  # lam n^(1/(L+1)) alone matters
    assert scaled[1].low == pytest.approx(0.011760498 / 2, rel=1e-7)


def test_ends_that_are_better_say_nothing_where_the_middle_is_not_at_one_scale() -> None:
    """A witness is compared at one scale: of pairs no scale is better at both ends of so long an interval."""
    low, high = Fraction(12, 1000), Fraction(148, 1000)
    for decay in (low, high):
        assert optimality.decide(4, 2, 1, decay) == optimality.Decision(True, "pairs", 2)
    assert not optimality._throughout(pairs(4), 2, 1, low, high)
    assert optimality._throughout(pairs(4), 2, 1, low, low * Fraction(11, 10))
    assert not optimality._throughout(pairs(4), 2, 1, Fraction(1, 100), low)


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


# ------------------------------------------------------------------------------------------------- two classes
def at_the_mean_square(classes: int, depth: int, seed: int) -> tuple[float, float]:
    """The objective at balanced factors of random gaps, and that of neural collapse whose gap squared is their mean."""
    generator = torch.Generator().manual_seed(seed)
    decay, per_class = 10.0 ** -(1 + seed % 3), 1 + seed % 2
    gaps = 4 * torch.randn(classes, classes, dtype=torch.float64, generator=generator)
    if classes > 2:
        gaps = 5 * torch.block_diag(*[torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)] * (classes // 2))
        gaps = torch.where(gaps == 0, 5.0, gaps)
    gaps.fill_diagonal_(0.0)
    logits = (torch.eye(classes, dtype=torch.float64) - 1 / classes) @ -gaps
    model = model_of(classes, per_class, classes, depth, decay)
    off = ~torch.eye(classes, dtype=torch.bool)
    scale = Fraction(float(gaps[off].square().mean() ** 0.5))
    collapse = Scaled(simplex(classes), depth, per_class, Fraction(decay))
    point = balanced_factors(logits, per_class, classes, depth, seed)
    return float(model.objective(point)), float(collapse.loss(logit_scale.ball(scale)))


def test_two_classes_prefer_equal_gaps_and_four_do_not() -> None:
    for seed in range(12):
        found, least = at_the_mean_square(2, 1 + seed % 4, seed)
        assert found >= least * (1 - 1e-12)
    found, least = at_the_mean_square(4, 3, 0)
    assert found < least * 0.99


def test_a_wrong_slope_of_the_line_is_refuted() -> None:
    """The line that touches the loss in g^2 has this slope and no other."""
    where = claims_of_low_rank.two_classes_setting
    slope, grows = two_class_collapse.positive_gaps()
    assert where.refute(slope) is None
    assert where.refute(type(slope)(slope.left, 2 * slope.right, slope.variable)) is not None
    falls = type(grows)(-grows.expression, grows.variable)
    assert where.refute(falls) is not None
    square = two_class_collapse.one_factor_more()
    assert where.refute(Equal(square.left, square.right / two_class_collapse.q)) is not None


# ----------------------------------------------------------------------------------------------- three classes
def test_three_classes_have_the_areas_of_their_gaps() -> None:
    """The product of the singular values from the gaps; at least one where all gaps are, and zero for a single pair."""
    rng = np.random.default_rng(0)
    simplex_projection = np.eye(3) - 1 / 3
    minor = three_class_margin.minor
    for case in range(200):
        gaps = 1 + rng.choice((0.0, 0.1, 1.0, 5.0), (3, 3)) * rng.random((3, 3))
        if case == 0:
            gaps = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])  # gaps[j, k]: of class j in column k
        np.fill_diagonal(gaps, 0.0)
        first, second, _ = np.linalg.svd(-simplex_projection @ gaps)[1]
        areas = [minor(gaps[j, i], gaps[k, i], gaps[i, j], gaps[k, j]) for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0))]
        assert first * second == pytest.approx((sum(area**2 for area in areas) / 3) ** 0.5, abs=1e-12)
        assert (first * second >= 1 - 1e-12) == (case > 0)
        assert case == 0 or first**0.25 + second**0.25 >= 2 - 1e-12


def test_four_classes_can_have_less_decay_with_the_same_gaps() -> None:
    power = 2 / (3 + 1)
    pairs_values, values = (torch.linalg.svdvals(logits) for logits in (paired(4), simplex_logits(4)))
    assert float((pairs_values[:2] ** power).sum()) < float((values[:3] ** power).sum()) - 0.1


def test_wrong_bounds_of_three_classes_are_refuted() -> None:
    where = claims_of_low_rank.three_classes_setting
    for says in (three_class_margin.one_side(), *three_class_margin.far_pair()):
        assert where.refute(says) is None
        assert where.refute(Nonnegative(says.scalar - sp.Rational(1, 100))) is not None
    area = three_class_margin.area()
    assert where.refute(Equal(area.left, -area.right)) is not None


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
    found = json.loads(predicted(capsys, "dnc-suboptimal", "K=4", "L=2")[1])["values"]
    assert (found["suboptimal"], found["witness_rank"]) == (None, None)
    assert [each["suboptimal"] for each in found["lam_ranges"]] == [None, True, True]
    assert f"{found['lam_ranges'][1]['low']:.9f}" == "0.011760498"


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
        lambda: pairs_and_a_class(4, Fraction(1), Fraction(0)),
        lambda: pairs_and_a_class(5, Fraction(0), Fraction(0)),
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
