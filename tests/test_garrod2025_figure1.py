"""The experiment garrod2025-figure1: two kinds of ends from one scale of starts, and honest failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tightframe import papers
from tightframe.papers import cli, experiments
from tightframe.papers.garrod2025 import figure1

NAME = "garrod2025-figure1"
SMALL = {"K": 4, "n": 2, "L": 3, "d": 8, "lam": "0.005", "rate": 1, "scale": "0.4", "runs": 4}


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return papers.simulate(NAME, **SMALL)


def run(*arguments: str, capsys: pytest.CaptureFixture[str], **inputs: Any) -> tuple[int, str, str]:
    sets = [each for name, value in (SMALL | inputs).items() for each in ("--set", f"{name}={value}")]
    code = cli.main(["simulate", NAME, *sets, *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_one_curve_ends_at_dnc_and_one_below_it(small: dict[str, Any]) -> None:
    assert small["converged"]
    dnc, low = small["curves"]["dnc"], small["curves"]["low_rank"]
    assert (dnc["rank"], low["rank"]) == (3, 2)
    best = small["best"]
    assert dnc["loss"][-1] == pytest.approx(best["dnc"]["loss"], rel=1e-9)
    assert low["loss"][-1] == pytest.approx(best["paired"]["loss"], rel=1e-9)
    assert best["paired"]["loss"] < best["dnc"]["loss"] < small["zero_loss"] == pytest.approx(np.log(4), rel=1e-14)
    scaled = np.array(dnc["logits"]) / best["dnc"]["scale"]
    np.testing.assert_allclose(scaled, np.eye(4) - 1 / 4, atol=1e-4)
    order = figure1._side_by_side(low["logits"])
    blocks = np.kron(np.eye(2), [[1, -1], [-1, 1]])
    np.testing.assert_allclose(
        np.array(low["logits"])[np.ix_(order, order)], best["paired"]["scale"] * blocks, atol=1e-3
    )


def test_curves_are_of_whole_runs(small: dict[str, Any]) -> None:
    for curve in small["curves"].values():
        end = small["runs"][curve["run"]]
        assert end["converged"]
        assert curve["iterations"][0] == 0
        assert curve["iterations"][-1] == end["iterations"]
        assert curve["iterations"] == sorted(set(curve["iterations"]))
        assert curve["gradient_norm"][-1] == pytest.approx(end["gradient_norm"], rel=1e-6)
        assert curve["gradient_norm"][-1] <= 1e-6 < curve["gradient_norm"][len(curve["loss"]) // 2]
        assert len(curve["loss"]) == len(curve["iterations"])
        assert np.all(np.diff(curve["loss"][20:]) <= 1e-12)
        values = np.linalg.svd(np.array(curve["logits"]) * 2**0.5, compute_uv=False)
        np.testing.assert_allclose(curve["singular_values"], values, atol=1e-9)
    assert json.loads(json.dumps(small, allow_nan=False)) == small


def test_the_same_seed_gives_the_same(small: dict[str, Any]) -> None:
    assert papers.simulate(NAME, **SMALL) == small
    assert papers.simulate(NAME, seed=1, **SMALL)["runs"] != small["runs"]


def test_what_is_not_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Smaller starts end at low rank alone, much larger ones at nothing finite; neither is a figure."""
    code, out, err = run("--out", str(tmp_path), scale="0.25", runs=2, capsys=capsys)
    assert code == 3
    assert "none ended at DNC" in err
    assert err.count("\n") == 1
    assert "runs at critical points  2 of 2" in out
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.json"]
    code, out, err = run("--json", scale=5, runs=2, capsys=capsys)
    assert code == 3
    assert "2 did not converge" in err
    numbers = json.loads(out)
    assert not numbers["converged"]
    assert [each["loss"] for each in numbers["runs"]] == [None, None]


def test_a_curve_that_ends_elsewhere_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    right = figure1._curve

    def shifted(*args: Any) -> dict[str, list[Any]]:
        curve = right(*args)
        return curve | {"loss": [loss * (1 + 1e-8) for loss in curve["loss"]]}

    monkeypatch.setattr(figure1, "_curve", shifted)
    numbers = papers.simulate(NAME, **SMALL)
    assert not numbers["converged"]
    assert "ends elsewhere" in numbers["reason"]


def test_stages_are_told_and_panels_labelled(small: dict[str, Any], tmp_path: Path) -> None:
    experiment, told = experiments.find(NAME), list[str]()
    values = experiments.read(experiment.inputs, SMALL)
    experiments.run(experiment, values, 0, told.append)
    assert len(told) == experiment.stages(values)
    drawn = experiment.figure(small)
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw(renderer)
    assert len(drawn.axes) == 4  # and the scale of colours
    for panel in drawn.axes[:3]:
        assert panel.get_xlabel()
        assert panel.get_ylabel()
        tight = panel.get_tightbbox(renderer)
        assert tight is not None
        assert drawn.bbox.x0 <= tight.x0 <= tight.x1 <= drawn.bbox.x1
        assert drawn.bbox.y0 <= tight.y0 <= tight.y1 <= drawn.bbox.y1
    for folder in (tmp_path / "a", tmp_path / "b"):
        experiments.save(experiment, small, folder)
    for suffix in ("json", "png", "pdf"):
        assert (tmp_path / "a" / f"{NAME}.{suffix}").read_bytes() == (tmp_path / "b" / f"{NAME}.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"d": 3}, "d: expected a width of at least K = 4, got 3"),
        ({"K": 2}, "K (number of classes): expected an integer >= 3, got 2"),
        ({"n": 0}, "n (samples per class): expected an integer >= 1, got 0"),
        ({"L": "1.5"}, "L (number of weight matrices): expected an integer >= 2, got 1.5"),
        ({"lam": 0}, "lam (decay of every factor): expected a finite number > 0, got 0"),
        ({"scale": "-1"}, "expected a finite number > 0, got -1"),
        ({"runs": 10**6}, "expected at most"),
        ({"M": 1}, "unknown name 'M'"),
    ],
)
def test_bad_input_is_one_line(inputs: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("--json", capsys=capsys, **inputs)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert words in err
