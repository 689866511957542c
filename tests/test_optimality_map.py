"""The experiment optimality-map: what is certified and what is not, crossings, and honest failures."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tightframe import papers
from tightframe.numerics import low_rank
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.papers import cli, experiments
from tightframe.papers.garrod2025 import low_rank as claims
from tightframe.papers.garrod2025.optimality_map import OPTIMAL, SUBOPTIMAL, UNDECIDED, rational_factors
from tightframe.theory import optimality
from tightframe.theory.logit_scale import Scaled, pairs, simplex

NAME = "optimality-map"
SMALL = {"K": (3, 4, 5), "L": (1, 2), "lam": ("0.001", "0.05"), "starts": 6}
Cells = dict[tuple[int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return papers.simulate(NAME, **SMALL)


@pytest.fixture(scope="module")
def maps(small: dict[str, Any]) -> Cells:
    return {(each["K"], each["L"]): each for each in small["maps"]}


def run(*arguments: str, capsys: pytest.CaptureFixture[str], **inputs: Any) -> tuple[int, str, str]:
    given = {"K": 3, "L": 1, "lam": "0.01", "starts": 2} | inputs
    sets = [each for name, value in given.items() for each in ("--set", f"{name}={value}")]
    code = cli.main(["simulate", NAME, *sets, *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def simplex_factors(classes: int, scale: float, depth: int, per_class: int = 1) -> optimality.Factors:
    logits = scale * (torch.eye(classes, dtype=torch.float64) - 1 / classes)
    found = rational_factors(logits, classes - 1, depth, per_class)
    assert found is not None
    return found


def pair_factors(classes: int, scale: float, depth: int, per_class: int = 1) -> optimality.Factors:
    found = rational_factors(scale * low_rank.paired(classes), -(-classes // 2), depth, per_class)
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------------ certificates
@pytest.mark.parametrize(("classes", "depth", "per_class"), [(2, 1, 1), (3, 1, 4), (4, 2, 3), (6, 2, 1), (5, 4, 2)])
def test_the_loss_of_factors_is_that_of_the_structure_and_of_the_model(
    classes: int, depth: int, per_class: int
) -> None:
    decay = Fraction(1, 200)
    best = Scaled(simplex(classes), depth, per_class, decay)
    factors = simplex_factors(classes, best.floats[0], depth, per_class)
    loss = optimality.factors_loss(factors, depth, per_class, decay)
    assert float(loss.mid()) == pytest.approx(best.floats[1], rel=1e-12)
    assert float(loss.rad()) < 1e-30
    # No factors at that scale do better; rounded ones do worse, by what rounding costs.
    assert not loss < best.best(64)[1]
    product = np.array(factors.last, float) @ np.diag(np.array(factors.between, float) ** (depth - 1))
    logits = np.kron(product @ np.array(factors.features, float), np.ones(per_class))
    wrong = logits - logits[np.repeat(np.arange(classes), per_class), np.arange(classes * per_class)]
    squares = sum(float(x) ** 2 for row in factors.last for x in row)
    squares += (depth - 1) * sum(float(x) ** 2 for x in factors.between)
    squares += per_class * sum(float(x) ** 2 for row in factors.features for x in row)
    direct = np.log(np.exp(wrong).sum(axis=0)).mean() + float(decay) / 2 * squares
    assert float(loss.mid()) == pytest.approx(direct, rel=1e-12)


def test_a_witness_is_certified_and_worse_ones_are_not() -> None:
    """The reference values of garrod2025: K = 6, L = 2, lam = 0.005, DNC 0.13604276 and pairs 0.12727447."""
    decay = Fraction(1, 200)
    scale, loss = Scaled(pairs(6), 2, 1, decay).floats
    assert loss == pytest.approx(0.12727447, abs=1e-8)
    witness = pair_factors(6, scale, 2)
    assert float(optimality.factors_loss(witness, 2, 1, decay).mid()) == pytest.approx(loss, rel=1e-12)
    assert optimality.beats_collapse(witness, 2, 1, decay)
    assert not optimality.beats_collapse(pair_factors(6, scale / 3, 2), 2, 1, decay)
    assert not optimality.beats_collapse(pair_factors(6, scale, 1), 1, 1, decay)  # one layer: DNC is optimal
    heavier = witness._replace(last=[[2 * x for x in row] for row in witness.last])
    assert not optimality.beats_collapse(heavier, 2, 1, decay)
    assert not optimality.beats_collapse(simplex_factors(6, Scaled(simplex(6), 2, 1, decay).floats[0], 2), 2, 1, decay)


def test_factors_that_are_too_unlike_are_refused() -> None:
    witness = pair_factors(4, 1.0, 2)
    short = witness._replace(features=witness.features[:1])
    for wrong, depth, per_class, decay in (
        (short, 2, 1, Fraction(1)),
        (witness, 0, 1, Fraction(1)),
        (witness, 2, 0, Fraction(1)),
        (witness, 2, 1, Fraction(0)),
    ):
        with pytest.raises(ValueError, match="expected"):
            optimality.factors_loss(wrong, depth, per_class, decay)


def test_a_crossing_is_where_both_losses_are_equal() -> None:
    low, high = optimality.crossing(4, 2, 1, Fraction(1, 100), Fraction(1, 20))
    assert 0 < float(high - low) < 1e-9 * float(high) * 1.001
    at = [Scaled(each(4), 2, 1, high).floats[1] for each in (simplex, pairs)]
    assert at[0] == pytest.approx(at[1], rel=1e-9)
    assert at[1] < at[0]
    with pytest.raises(ValueError, match="different decisions"):
        optimality.crossing(6, 2, 1, Fraction(1, 100), Fraction(1, 20))


# ----------------------------------------------------------------------------------------------------------- the map
def test_the_status_of_cells(small: dict[str, Any], maps: Cells) -> None:
    assert small["converged"]
    status = {key: [cell["status"] for cell in each["cells"]] for key, each in maps.items()}
    assert {status[K, 1][i] for K in (3, 4, 5) for i in (0, 1)} == {OPTIMAL}
    assert status[3, 2] == [UNDECIDED, UNDECIDED]
    assert status[4, 2] == [UNDECIDED, SUBOPTIMAL]
    assert status[5, 2] == [SUBOPTIMAL, SUBOPTIMAL]
    found = maps[5, 2]["cells"][0]
    assert (found["shown_by"], found["witness_rank"], found["found_certified"]) == ("pairs and a class", 3, True)
    assert found["found_loss"] < found["dnc_loss"] * (1 - 1e-4)
    assert not any(each["theorem_1"] for each in maps.values())
    assert all(cell["found_is_dnc"] for K in (3, 4, 5) for cell in maps[K, 1]["cells"])
    assert not any(cell["found_certified"] for cell in (*maps[3, 1]["cells"], *maps[3, 2]["cells"]))
    assert json.loads(json.dumps(small, allow_nan=False)) == small


def test_crossings_are_located(maps: Cells) -> None:
    known, found = maps[4, 2]["crossing"], maps[4, 2]["found_crossing"]
    assert known["lam"] == pytest.approx(0.011760498, abs=1e-9)
    assert known["witness"] == "pairs"
    assert found["undecided_at"] <= found["lam"] < 1.1 * found["undecided_at"]
    assert found["undecided_at"] <= known["lam"]
    assert maps[4, 1]["crossing"] is None
    assert maps[4, 1]["zero_wins_from"] == pytest.approx(0.25, rel=1e-9)


def test_what_the_search_says_of_its_loss_certifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that claims a loss of zero changes no status; where DNC is proved optimal it is a contradiction."""
    right = low_rank.search

    def wrong(*args: Any, **kwargs: Any) -> Any:
        found = right(*args, **kwargs)
        return replace(found, stats=replace(found.stats, loss=0 * found.stats.loss))

    monkeypatch.setattr(low_rank, "search", wrong)
    numbers = papers.simulate(NAME, K=3, L=(1, 2), lam="0.001", starts=2)
    first, second = (each["cells"][0] for each in numbers["maps"])
    assert (first["status"], first["found_certified"], first["contradiction"]) == (OPTIMAL, False, True)
    assert (second["status"], second["found_certified"]) == (UNDECIDED, False)
    assert not numbers["converged"]
    assert "proved optimal" in numbers["reason"]


def test_what_the_search_finds_is_a_witness_and_wrong_logits_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """K = 5, L = 2, lam = 0.001, without the structures of theory."""
    monkeypatch.setattr(optimality, "witnesses", lambda classes: ())
    right = low_rank.search
    found = papers.simulate(NAME, K=5, L=2, lam="0.001", starts=8)["maps"][0]["cells"][0]
    assert (found["status"], found["shown_by"], found["witness_rank"]) == (SUBOPTIMAL, "found", 3)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        found = right(*args, **kwargs)
        return replace(found, value=replace(found.value, logits=0.5 * found.value.logits))

    monkeypatch.setattr(low_rank, "search", wrong)
    numbers = papers.simulate(NAME, K=5, L=2, lam="0.001", starts=8)
    assert numbers["maps"][0]["cells"][0]["status"] == UNDECIDED


def test_a_search_that_did_not_converge_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("--out", str(tmp_path), L=2, iterations=2, capsys=capsys)
    assert code == 3
    assert "1 of 1 searches did not converge" in err
    assert err.count("\n") == 1
    assert "U ?" in out
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.json"]


def test_rounded_factors_have_the_logits() -> None:
    logits = torch.diag(torch.tensor([4.0, 2.0, 1e-18], dtype=torch.float64))
    found = rational_factors(logits, 2, 3, 4)
    assert found is not None
    assert len(found.between) == 2
    roots = np.diag(np.array(found.between, float) ** 2)
    product = np.array(found.last, float) @ roots @ np.array(found.features, float)
    np.testing.assert_allclose(product, logits, atol=1e-14)
    assert rational_factors(torch.full((3, 3), torch.nan), 2, 3, 4) is None
    assert rational_factors(logits, 0, 3, 4) is None
    model = DeepLinearUFM((4, 4, 4), 3, 3, 0.01, loss="ce")
    least = low_rank.best_scale(model, logits)
    scaled = rational_factors(float(least.value.scale) * logits, 2, 3, 4)
    assert scaled is not None
    loss = optimality.factors_loss(scaled, 3, 4, Fraction(0.01))
    assert float(loss.mid()) == pytest.approx(float(least.value.loss), abs=1e-7)  # the third value is not zero there


# ------------------------------------------------------------------------------------------------------ files and text
def test_stages_are_told_and_panels_labelled(small: dict[str, Any], tmp_path: Path) -> None:
    experiment, told = experiments.find(NAME), list[str]()
    values = experiments.read(experiment.inputs, {"K": (3, 2), "L": (1, 1), "lam": "0.01", "starts": 2})
    experiments.run(experiment, values, 0, told.append)
    assert len(told) == experiment.stages(values) == 2
    for numbers in (small, papers.simulate(NAME, K=4, L=3, lam="0.01", starts=2)):
        drawn = experiment.figure(numbers)
        renderer = FigureCanvasAgg(drawn).get_renderer()
        drawn.draw(renderer)
        for each in (*drawn.axes, *drawn.legends):
            tight = each.get_tightbbox(renderer)
            assert tight is not None
            assert drawn.bbox.x0 <= tight.x0 <= tight.x1 <= drawn.bbox.x1
            assert drawn.bbox.y0 <= tight.y0 <= tight.y1 <= drawn.bbox.y1
        assert all(panel.get_xlabel() and panel.get_ylabel() for panel in drawn.axes)
    for folder in (tmp_path / "a", tmp_path / "b"):
        experiments.save(experiment, small, folder)
    for suffix in ("json", "png", "pdf"):
        assert (tmp_path / "a" / f"{NAME}.{suffix}").read_bytes() == (tmp_path / "b" / f"{NAME}.{suffix}").read_bytes()


def test_the_table_says_what_is_known(small: dict[str, Any]) -> None:
    text = "\n".join(experiments.find(NAME).summary(small))
    assert "12 cells: 6 optimal (proved), 3 suboptimal (certified), 3 undecided" in text
    assert "0.011760498 (pairs)" in text


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"K": 1}, "K (numbers of classes): expected integers >= 2"),
        ({"K": "3,1000"}, "K: expected at most 40, got 1000"),
        ({"L": 0}, "L (numbers of weight matrices): expected integers >= 1"),
        ({"lam": 0}, "lam (decays of every factor): expected finite numbers > 0"),
        ({"lam": "0.1,-1"}, "expected finite numbers > 0"),
        ({"lam": "1e-9999"}, "lam: beyond the range of floats"),
        ({"n": 0}, "n (samples per class): expected an integer >= 1, got 0"),
        ({"starts": 1}, "starts (starts of each search): expected an integer >= 2, got 1"),
        ({"starts": 10**6}, "expected at most 100000 runs"),
        ({"d": 3}, "unknown name 'd'"),
    ],
)
def test_bad_input_is_one_line(inputs: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("--json", capsys=capsys, **inputs)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert words in err


def test_two_classes_are_proved() -> None:
    [one, two] = papers.simulate(NAME, K=2, L="1,2", lam="0.01", starts=2)["maps"]
    assert [each["cells"][0]["status"] for each in (one, two)] == [OPTIMAL, OPTIMAL]
    shown = [each["cells"][0]["shown_by"] for each in (one, two)]
    assert shown == [claims.ONE_LAYER.id, claims.TWO_CLASSES.id]
