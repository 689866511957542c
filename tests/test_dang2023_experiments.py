"""The experiments of dang2023: minimisation and descent beside the closed form, which a wrong one does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tightframe import papers
from tightframe.numerics import minimisation
from tightframe.papers import cli, experiments
from tightframe.papers.dang2023 import lengths
from tightframe.theory import deep_linear, scalar_problem

SMALL: dict[str, dict[str, Any]] = {
    "imbalanced-lengths": {"M": (1, 2, 4), "distributions": 4, "decays": 3, "starts": 16},
    "minority-collapse": {"M": (1, 3), "n": (60, 60), "n_min": 2, "columns": 5, "rows": 8, "starts": 8, "lam_low": 1e-3}
    | {"lam_high": 0.12},
    "dang2023-synthetic": {"M": (1, 3), "n": (20, 10, 5), "d": 8, "lam": 5e-3, "iterations": 1500, "scale": 0.3},
}
NAMES = list(SMALL)


def found(name: str, seed: int = 0, **inputs: Any) -> dict[str, Any]:
    return papers.simulate(name, seed=seed, **(SMALL[name] | inputs))


@pytest.fixture(scope="module")
def small() -> dict[str, dict[str, Any]]:
    return {name: found(name) for name in NAMES}


# ----------------------------------------------------------------------------------------------------- the laws


def lengths_agree(numbers: dict[str, Any]) -> None:
    """Of every configuration, none left out: lengths, losses, and who is alive."""
    assert numbers["converged"]
    assert numbers["number_converged"] == numbers["number"] == len(numbers["configurations"])
    assert numbers["max_relative_deviation"] < 1e-9
    assert numbers["max_off_diagonal"] < 1e-9
    assert -1e-12 < numbers["loss_deviation"]["least"] <= numbers["loss_deviation"]["largest"] < 1e-12
    assert numbers["collapse_mismatches"] == 0
    assert numbers["largest_collapsed"] < 1e-12


def diagrams_agree(numbers: dict[str, Any]) -> None:
    """The states are as predicted, and worse minima with more classes alive lie in the band and fill most of it."""
    assert numbers["converged"]
    for diagram in numbers["diagrams"]:
        assert diagram["converged"] == len(numbers["minority"]) * len(numbers["decays"])
        assert diagram["different"] == 0
        assert -1e-12 < diagram["least_loss_excess"] <= diagram["largest_loss_excess"] < 1e-12
        assert diagram["seen_outside_band"] == 0
        assert diagram["band_seen"] >= 0.5 * diagram["band"]
        assert (diagram["band"] > 0) == (diagram["M"] > 1)


def descent_agrees(numbers: dict[str, Any]) -> None:
    """The critical point after the descent is the predicted minimum, its matrices to 1e-8."""
    assert numbers["converged"]
    for each in numbers["runs"]:
        critical = each["critical"]
        assert critical["gradient_norm"] <= 1e-12
        assert critical["is_global"]
        assert critical["alive_as_predicted"]
        assert max(critical["distances"].values()) < 1e-8
        assert max(critical["relative_to_matching"].values()) < 1e-8
        assert critical["loss"] == pytest.approx(each["predicted"]["loss"], rel=1e-12)


LAWS: dict[str, Callable[[dict[str, Any]], None]] = dict(
    zip(NAMES, (lengths_agree, diagrams_agree, descent_agrees), strict=True)
)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_simulated_is_as_predicted(name: str, small: dict[str, dict[str, Any]]) -> None:
    LAWS[name](small[name])


def test_the_small_runs_see_both_sides_of_the_thresholds(small: dict[str, dict[str, Any]]) -> None:
    assert 0 < small["imbalanced-lengths"]["collapsed_found"] < small["imbalanced-lengths"]["classes"]
    for diagram in small["minority-collapse"]["diagrams"]:
        assert {state for column in diagram["alive"] for state in column} == {0, 2, 3}
        # at the least decay the smallest class lives, later it alone is dead, then all are
        assert all(column[0] and not column[-1] for column in diagram["minority_alive"])


def wrong_lengths(p: Any, samples: int, decay: float) -> deep_linear.Lengths:
    right = lengths_of(p, samples, decay)
    return right._replace(means=np.sqrt(right.means))


lengths_of, minimum_of = deep_linear.lengths, deep_linear.minimum


def other_unit(squares: Any, samples: int, decays: Any, *rest: Any) -> deep_linear.Minimum:
    """lam_H without N."""
    right = minimum_of(squares, samples, decays, *rest)
    return right._replace(p=right.p / samples)


def other_order(squares: Any, samples: int, decays: Any, *rest: Any) -> deep_linear.Minimum:
    right = minimum_of(squares, samples, decays, *rest)
    return right._replace(p=np.flip(right.p).copy())


def any_root(squares: Any, samples: int, decays: Any, *rest: Any) -> deep_linear.Minimum:
    """Not compared with zero: a class lives as long as its stationarity equation has a root."""
    right = minimum_of(squares, samples, decays, *rest)
    alive = right.b < scalar_problem.fold(len(decays) - 1)
    return right._replace(p=np.where(alive & (right.p == 0), 1.0, right.p))


def unsquared(squares: Any, samples: int, decays: Any, *rest: Any) -> deep_linear.Minimum:
    """Slopes for which all classes count alike."""
    return minimum_of([samples / len(squares)] * len(squares), samples, decays, *rest)


MUTANTS = [
    ("imbalanced-lengths", "lengths", wrong_lengths),
    ("imbalanced-lengths", "minimum", other_unit),
    ("imbalanced-lengths", "minimum", other_order),
    ("imbalanced-lengths", "minimum", unsquared),
    ("minority-collapse", "minimum", any_root),
    ("minority-collapse", "minimum", unsquared),
    ("dang2023-synthetic", "lengths", wrong_lengths),
    ("dang2023-synthetic", "minimum", other_unit),
    ("dang2023-synthetic", "minimum", other_order),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_a_wrong_closed_form_is_seen(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name, function, mutant = MUTANTS[number]
    monkeypatch.setattr(deep_linear, function, mutant)
    fewer = {"M": (2,), "iterations": 300} if name == "dang2023-synthetic" else {"M": (3,)}
    with pytest.raises(AssertionError):
        LAWS[name](found(name, **fewer))


def test_a_wrong_fold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = scalar_problem.fold
    monkeypatch.setattr(scalar_problem, "fold", lambda depth: (right(depth) * scalar_problem.threshold(depth)) ** 0.5)
    numbers = found("minority-collapse", M=(3,))
    assert numbers["diagrams"][0]["seen_outside_band"] > 0


def test_a_search_that_misses_the_minimum_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large starts miss the minimum at zero: the run converged, and does not agree."""
    right = minimisation.global_minimum

    def large(model: Any, seed: int, starts: int = 2, **options: Any) -> Any:
        return right(model, seed, 2, (30.0, 30.0), **options)

    monkeypatch.setattr(minimisation, "global_minimum", large)
    numbers = found("minority-collapse", M=(3,))
    assert numbers["converged"]
    assert numbers["diagrams"][0]["different"] > 0
    assert numbers["diagrams"][0]["largest_loss_excess"] > 1e-3


# ------------------------------------------------------------------------------------------- what did not converge


def test_configurations_that_did_not_converge_are_neither_counted_nor_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third of them is spoilt: what is left agrees, and nothing of the others is in the numbers or the figure."""
    right = minimisation.global_minimum

    def spoilt(*args: Any, **options: Any) -> Any:
        solution = right(*args, **options)
        certain = solution.value.certain.clone()
        certain[::3] = False
        best = solution.value.best.map(lambda x: torch.where(certain[:, None, None], x, 100 * x + 1))
        return replace(solution, value=replace(solution.value, certain=certain, best=best))

    monkeypatch.setattr(minimisation, "global_minimum", spoilt)
    sets = ["--set", "M=1,2", "--set", "distributions=2", "--set", "decays=3", "--set", "starts=4"]
    assert cli.main(["simulate", "imbalanced-lengths", *sets, "--out", str(tmp_path)]) == 3
    captured = capsys.readouterr()
    assert "12 configurations, 8 converged" in captured.out
    assert captured.err.startswith("tightframe: did not converge: 4 of 12 configurations did not converge")
    assert captured.err.count("\n") == 1
    numbers = json.loads((tmp_path / "imbalanced-lengths.json").read_text())
    assert numbers["max_relative_deviation"] < 1e-9
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".png", ".pdf"}
    drawn = lengths.figure(numbers).axes[0]
    markers = sum(len(np.asarray(line.get_xdata())) for line in drawn.lines if line.get_marker() == "o")
    kept = [each for each in numbers["configurations"] if each["converged"]]
    assert markers == sum(p > 0 for each in kept for p in each["predicted_p"])


def test_nothing_that_converged_is_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    right = minimisation.global_minimum
    monkeypatch.setattr(minimisation, "global_minimum", lambda *args, **options: right(*args, **options, iterations=2))
    numbers = papers.simulate(
        "imbalanced-lengths", M=(2,), n=(9, 4), decays=2, lam_low=1e-4, lam_high=2e-4, out=tmp_path
    )
    assert not numbers["converged"]
    assert numbers["number_converged"] == 0
    assert "max_relative_deviation" not in numbers
    assert numbers["largest_gradient_norm_unconverged"] > 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["imbalanced-lengths.json"]


def test_cells_that_did_not_converge_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    right = minimisation.global_minimum

    def spoilt(*args: Any, **options: Any) -> Any:
        solution = right(*args, **options)
        return replace(solution, value=replace(solution.value, certain=torch.zeros_like(solution.value.certain)))

    monkeypatch.setattr(minimisation, "global_minimum", spoilt)
    numbers = found("minority-collapse", M=(1,), columns=2, rows=3, starts=2)
    assert not numbers["converged"]
    assert numbers["reason"].startswith("6 of 6 cells did not converge")
    assert numbers["diagrams"][0]["converged"] == numbers["diagrams"][0]["band_seen"] == 0
    assert not experiments.find("minority-collapse").drawn(numbers)


def test_a_descent_that_leaves_the_range_of_floats_is_no_result(tmp_path: Path) -> None:
    numbers = found("dang2023-synthetic", rate=1e3, iterations=200, out=tmp_path)
    assert not numbers["converged"]
    assert "M = 1: gradient descent is finite only up to iteration" in numbers["reason"]
    assert [path.name for path in tmp_path.iterdir()] == ["dang2023-synthetic.json"]


def test_a_descent_that_dies_is_said_to_be_no_global_minimum() -> None:
    """From a small start six layers fall to zero: a critical point, known, and not the minimum."""
    numbers = found("dang2023-synthetic", M=(6,), scale=0.05, iterations=2000)
    (each,) = numbers["runs"]
    assert numbers["converged"]
    assert each["critical"]["alive"] == [False] * 3
    assert not each["critical"]["is_global"]
    assert not each["critical"]["alive_as_predicted"]
    assert max(each["critical"]["relative_to_matching"].values()) < 1e-8
    assert each["critical"]["distances"] == dict.fromkeys(lengths.GRAMS)  # zero has no direction
    assert each["critical"]["loss"] == pytest.approx(0.5)
    text = "\n".join(experiments.find("dang2023-synthetic").summary(numbers))
    assert "dead: class 1, 2, 3; a local minimum or saddle: a lower one is known" in text
    with pytest.raises(AssertionError):
        descent_agrees(numbers)


def test_a_class_below_its_threshold_dies_in_the_descent_too() -> None:
    numbers = found("dang2023-synthetic", M=(3,), n=(20, 10, 1), lam=2e-2, scale=0.5)
    (each,) = numbers["runs"]
    assert each["critical"]["alive"] == [True, True, False]
    descent_agrees(numbers)


# ------------------------------------------------------------------------------------------------ files and figures


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_json_and_the_same_from_the_same_seed(name: str, small: dict[str, dict[str, Any]]) -> None:
    numbers = small[name]
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    fewer = {"M": (2,)} | ({"iterations": 200} if name == "dang2023-synthetic" else {})
    assert found(name, **fewer) == found(name, **fewer)
    assert found(name, seed=1, **fewer) != found(name, **fewer) | {"seed": 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_is_labelled_and_nothing_is_clipped(name: str, small: dict[str, dict[str, Any]]) -> None:
    drawn = experiments.find(name).figure(small[name])
    renderer = FigureCanvasAgg(drawn).get_renderer()
    whole = drawn.bbox
    boxes = []
    for panel in drawn.axes:
        assert panel.get_xlabel()
        assert panel.get_ylabel()
        box, tight = panel.get_window_extent(renderer), panel.get_tightbbox(renderer)
        legend = panel.get_legend()
        if legend is not None:
            assert not legend.get_window_extent(renderer).overlaps(box.shrunk(0.99, 0.99))
        assert tight is not None
        assert whole.x0 <= tight.x0 <= tight.x1 <= whole.x1
        assert whole.y0 <= tight.y0 <= tight.y1 <= whole.y1
        boxes.append(tight)
    assert not any(a.shrunk(0.99, 0.99).overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    for legend in drawn.legends:
        extent = legend.get_window_extent(renderer)
        assert whole.x0 <= extent.x0 <= extent.x1 <= whole.x1
        assert not any(extent.overlaps(box) for box in boxes)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_whole_and_each_stage_is_told(
    name: str, small: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment, told = experiments.find(name), list[str]()
    inputs = SMALL[name] | {"M": (2,)} | ({"iterations": 200} if name == "dang2023-synthetic" else {})
    values = experiments.read(experiment.inputs, inputs)
    numbers = experiments.run(experiment, values, 0, told.append)
    assert len(told) == experiment.stages(values)
    written = experiments.save(experiment, numbers, tmp_path)
    assert sorted(path.name for path in written) == sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 3
    assert all(len(line) <= 120 for line in experiment.summary(small[name]))


# -------------------------------------------------------------------------------------------------------- bad input

BAD = [
    ("imbalanced-lengths", "n=3,0", "n (class sizes, in place of random ones): expected integers >= 1"),
    ("imbalanced-lengths", "n=3,2.5", "expected integers >= 1"),
    ("imbalanced-lengths", "M=0", "M (numbers of layers): expected integers >= 1"),
    ("imbalanced-lengths", "lam_low=0", "lam_low (least decay): expected a finite number > 0, got 0"),
    ("imbalanced-lengths", "lam_low=1", "lam_low: expected a decay of at most lam_high"),
    ("imbalanced-lengths", "d=0", "expected an integer >= 1, got 0"),
    (
        "imbalanced-lengths",
        "d=3",
        "d: expected at least the number of classes, 8, got 3; narrow layers are in dang2023/bottleneck",
    ),
    ("imbalanced-lengths", "starts=1000000", "expected at most 1000000 runs"),
    ("minority-collapse", "n=0", "n (sizes of the other classes): expected integers >= 1"),
    ("minority-collapse", "n_min=301", "n_min: expected at most the least of the other classes, 300"),
    ("minority-collapse", "lam_high=-1", "lam_high (largest decay): expected a finite number > 0, got -1"),
    ("minority-collapse", "lam_high=1e-4", "lam_low: expected a decay below lam_high"),
    ("minority-collapse", "d=2", "d: expected at least the number of classes, 4, got 2"),
    ("minority-collapse", "M=1,x", "expected integers >= 1, separated by commas, got x"),
    ("minority-collapse", "rows=1e6", "expected at most 1000000 runs"),
    ("dang2023-synthetic", "n=200", "n: expected at least two classes"),
    ("dang2023-synthetic", "n=1,1", "n: expected a class of at least two samples"),
    ("dang2023-synthetic", "lam=0", "lam (decay of all layers and features): expected a finite number > 0, got 0"),
    ("dang2023-synthetic", "d=3", "d: expected at least the number of classes, 4, got 3"),
    ("dang2023-synthetic", "d=1e6", "expected N d <= 10000000 entries"),
    ("dang2023-synthetic", "lam=1e-999", "lam: beyond the range of floats"),
]


@pytest.mark.parametrize(("name", "word", "expected"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    name: str, word: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["simulate", name, "--set", word, "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("tightframe: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err
