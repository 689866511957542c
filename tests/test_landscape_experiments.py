"""The experiments hessian-spectrum, flatness, garrod2025-figure2 and garrod2025-rank: numbers, figures, failures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tightframe import papers
from tightframe.numerics import initialisers
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.papers import cli, experiments
from tightframe.papers.garrod2025 import descents, figure2, flatness, hessian_spectrum
from tightframe.theory import landscape as theory

SMALL: dict[str, dict[str, Any]] = {
    "hessian-spectrum": {"K": 4, "L": 3, "n": 1, "d": 4, "alpha": "1,1.9,2,2.1,4"},
    "flatness": {"K": 4, "L": 2, "n": 1, "d": 4, "lam": "0.01,1e-6,1e-60"},
    "garrod2025-figure2": {"K": 4, "L": 3, "n": 2, "d": "6,12", "at_d": 12, "lam": "1/64,1/32", "at_lam": "1/64"}
    | {"scale": "0.3", "runs": 12},
    "garrod2025-rank": {"K": 4, "L": "1,3", "n": 2, "d": "6,12", "lam": "1/64", "scale": "0.3", "runs": 12},
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return {name: papers.simulate(name, **inputs) for name, inputs in SMALL.items()}


def run(name: str, *arguments: str, capsys: pytest.CaptureFixture[str], **inputs: Any) -> tuple[int, str, str]:
    sets = [each for key, value in (SMALL[name] | inputs).items() for each in ("--set", f"{key}={value}")]
    code = cli.main(["simulate", name, *sets, *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# ------------------------------------------------------------------------------------------------------------ spectrum
def test_the_spectrum_on_both_sides_of_the_threshold(found: dict[str, Any]) -> None:
    numbers = found["hessian-spectrum"]
    assert numbers["converged"]
    assert numbers["method"] == "dense"
    assert numbers["threshold"] == pytest.approx(2, abs=1e-9)  # K (L-1)/(L+1)
    assert numbers["max_relative_deviation"] < 1e-10
    negative = {point["alpha"]: point["measured"]["negative"] for point in numbers["points"]}
    assert negative == {1: 6, 1.9: 2, 2: 0, 2.1: 0, 4: 0}
    for point in numbers["points"]:
        assert point["stationarity"] < 1e-13
        for name in ("least", "largest", "trace", "frobenius"):
            assert point["measured"][name] == pytest.approx(point["predicted"][name], rel=1e-11, abs=1e-11)
        for name in ("negative", "nullity"):
            assert point["measured"][name] == point["predicted"][name]
        exact = point["alpha"] ** 0.5 / (math.exp(point["alpha"]) + 3)
        assert point["lam"] == pytest.approx(exact, rel=1e-12)


def test_a_model_too_large_for_a_matrix_says_so(
    found: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run("hessian-spectrum", "--json", dense=50, alpha="1,4", capsys=capsys)
    numbers = json.loads(out)
    assert (code, err) == (0, "")
    assert numbers["method"] == "products"
    assert numbers["max_relative_deviation"] < 1e-7
    for point, dense in zip(numbers["points"], (found["hessian-spectrum"]["points"][i] for i in (0, 4)), strict=True):
        assert point["measured"]["eigenvalues"] is None
        assert point["measured"]["nullity"] is None
        assert point["measured"]["trace"] == pytest.approx(dense["measured"]["trace"], rel=1e-12)
        assert point["measured"]["least"] == pytest.approx(dense["measured"]["least"], abs=1e-6)
    _, out, _ = run("hessian-spectrum", "--out", str(tmp_path), dense=50, alpha="1,4", capsys=capsys)
    assert "too many parameters for a matrix: from products" in out
    assert "? (6)" in out


def test_a_wrong_closed_form_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = theory.dnc_spectrum
    for wrong in (
        lambda *a: tuple((value * (1 + 1e-6), count) for value, count in right(*a)),
        lambda K, L, d, n, alpha: right(K, L, d, n, alpha + 1e-6),
        lambda K, L, d, n, alpha: right(K, L, d + 1, n, alpha),
    ):
        monkeypatch.setattr(theory, "dnc_spectrum", wrong)
        numbers = papers.simulate("hessian-spectrum", **SMALL["hessian-spectrum"])
        deviation = numbers["max_relative_deviation"]
        assert deviation is None or deviation > 1e-8


def test_a_point_that_is_not_critical_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    right = hessian_spectrum.collapsed

    def beside(*args: Any) -> Any:
        return right(*args).map(lambda tensor: tensor + 1e-6)

    monkeypatch.setattr(hessian_spectrum, "collapsed", beside)
    for name in ("hessian-spectrum", "flatness"):
        numbers = papers.simulate(name, **SMALL[name])
        assert not numbers["converged"]
        assert "not critical" in numbers["reason"]


def test_no_threshold_at_one_layer() -> None:
    assert hessian_spectrum.threshold(5, 1, 5, 1) is None
    assert hessian_spectrum.threshold(6, 2, 7, 3) == pytest.approx(2, abs=1e-9)


# ------------------------------------------------------------------------------------------------------------ flatness
def test_norms_come_near_their_limits(found: dict[str, Any]) -> None:
    numbers = found["flatness"]
    assert numbers["converged"]
    assert numbers["max_relative_deviation"] < 1e-10
    assert numbers["limits"] == flatness.limits(4, 2, 1)
    distances = [
        {name: abs(point["ratio"][name] - limit) for name, limit in numbers["limits"].items()}
        for point in numbers["points"]
    ]
    for name in numbers["limits"]:
        assert distances[2][name] < 0.01
        assert distances[2][name] < 0.3 * distances[1][name]
    for point in numbers["points"]:
        for each in (point["dnc"], point["paired"]):
            assert each["measured"]["negative"] == 0


# ------------------------------------------------------------------------------------------------------------- descent
def test_counts_add_up(found: dict[str, Any]) -> None:
    numbers = found["garrod2025-figure2"]
    assert numbers["converged"]
    assert [cell["d"] for cell in numbers["by_width"]] == [6, 12]
    assert [cell["lam"] for cell in numbers["by_decay"]] == [1 / 64, 1 / 32]
    assert numbers["by_width"][1] == numbers["by_decay"][0]
    for cell in numbers["by_width"] + numbers["by_decay"]:
        assert cell["dnc"] + cell["other"] == cell["runs"] == 12
        assert cell["not_counted"] == 0
        assert cell["interval"][0] <= cell["probability"] <= cell["interval"][1]
        assert sum(level["runs"] for level in cell["levels"]) == 12
        for level in cell["levels"]:
            assert level["least_eigenvalue"] > -1e-4
            assert (level["kind"] == "DNC") == (level["rank"] == 3)
    narrow, wide = numbers["by_width"]
    assert narrow["interval"][1] < wide["interval"][0]


def test_ranks_over_width_and_depth(found: dict[str, Any]) -> None:
    cells = {(cell["L"], cell["d"]): cell for cell in found["garrod2025-rank"]["cells"]}
    assert set(cells) == {(1, 6), (1, 12), (3, 6), (3, 12)}
    for width in (6, 12):
        assert cells[1, width]["ranks"] == {"3": 12}  # one layer: DNC alone
        assert cells[1, width]["at_dnc"] == 12
    assert cells[3, 6]["mean_rank"] < cells[3, 12]["mean_rank"] < 3
    assert cells[3, 6]["best_rank"] == 2


@pytest.mark.parametrize("name", ["garrod2025-figure2", "garrod2025-rank"])
def test_runs_that_do_not_end_are_neither(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(name, "--out", str(tmp_path), iterations=200, capsys=capsys)
    assert code == 3
    assert "runs did not end at a minimum" in err
    assert err.count("\n") == 1
    assert out
    numbers = json.loads((tmp_path / f"{name}.json").read_text())
    cells = numbers.get("cells") or numbers["by_width"]
    for cell in cells:
        assert cell["not_counted"] == 12
        assert cell.get("probability", cell.get("mean_rank")) is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]  # nothing to draw


def test_saddles_are_told_from_minima() -> None:
    """DNC is none at a scale below K (L-1)/(L+1) = 2, and one above; zero is one from two layers on."""
    model = DeepLinearUFM((1,) * 4, 4, 3, 1.0, loss="ce")
    centred = torch.eye(4, dtype=torch.float64) - 1 / 4
    numbers = []
    for scale in (1.0, 4.0):
        factors = initialisers.factorised(model, scale * centred, 0)
        decay = scale**0.5 / (math.exp(scale) + 3)
        at = DeepLinearUFM((1,) * 4, 4, 3, decay, loss="ce")
        runs = [{"rank": 3, "loss": float(at.objective(factors)), "converged": True, "distance_from_dnc": 0.0}]
        numbers += descents.levels(at, runs, factors.map(lambda tensor: tensor[None]))
    assert [each["kind"] for each in numbers] == [descents.SADDLE, descents.DNC]
    zero = initialisers.gaussian(model, 0, 0.0, (1,))
    runs = [{"rank": 0, "loss": math.log(4), "converged": True, "distance_from_dnc": None}]
    (level,) = descents.levels(model, runs, zero)
    assert (level["kind"], level["least_eigenvalue"]) == (descents.OTHER, pytest.approx(1))


def test_the_interval_is_wilsons() -> None:
    low, high = descents.interval(3, 10) or (0, 0)
    z = 1.959963984540054
    centre, half = (0.3 + z**2 / 20) / (1 + z**2 / 10), z / (1 + z**2 / 10) * math.sqrt(0.021 + z**2 / 400)
    assert (low, high) == pytest.approx((centre - half, centre + half), rel=1e-9)
    assert descents.interval(0, 0) is None
    assert (descents.interval(0, 50) or (1, 1))[0] == pytest.approx(0, abs=1e-12)


# ----------------------------------------------------------------------------------------------------- files and verbs
@pytest.mark.parametrize("name", SMALL)
def test_figures_are_labelled_and_repeat(name: str, found: dict[str, Any], tmp_path: Path) -> None:
    experiment, told = experiments.find(name), list[str]()
    values = experiments.read(experiment.inputs, SMALL[name])
    assert experiments.run(experiment, values, 0, told.append) == found[name]
    assert len(told) == experiment.stages(values)
    assert json.loads(json.dumps(found[name], allow_nan=False)) == found[name]
    drawn = experiment.figure(found[name])
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw(renderer)
    legend = drawn.legends[0].get_window_extent(renderer)
    labelled = 0
    for panel in drawn.axes:
        assert panel.get_xlabel()
        labelled += bool(panel.get_ylabel())
        tight = panel.get_tightbbox(renderer)
        assert tight is not None
        assert drawn.bbox.x0 <= tight.x0 <= tight.x1 <= drawn.bbox.x1
        assert drawn.bbox.y0 <= tight.y0 <= tight.y1 <= drawn.bbox.y1
        assert not legend.overlaps(panel.get_window_extent(renderer))
    assert labelled
    assert drawn.bbox.x0 <= legend.x0 <= legend.x1 <= drawn.bbox.x1
    for folder in (tmp_path / "a", tmp_path / "b"):
        experiments.save(experiment, found[name], folder)
    for suffix in ("json", "png", "pdf"):
        assert (tmp_path / "a" / f"{name}.{suffix}").read_bytes() == (tmp_path / "b" / f"{name}.{suffix}").read_bytes()


def test_a_cell_with_runs_that_did_not_end_is_drawn_hollow(found: dict[str, Any]) -> None:
    numbers = json.loads(json.dumps(found["garrod2025-figure2"]))
    numbers["by_width"][0]["not_counted"] = 2
    labels = [text.get_text() for text in figure2.figure(numbers).legends[0].get_texts()]
    assert any("not counted" in label for label in labels)
    assert len(labels) == 2


BAD = [
    ("hessian-spectrum", {"d": 3}, "d: expected a width of at least K = 4, got 3"),
    ("hessian-spectrum", {"K": 1}, "K (number of classes): expected an integer >= 2, got 1"),
    ("hessian-spectrum", {"alpha": 0}, "alpha (scales of the logits): expected finite numbers > 0"),
    ("hessian-spectrum", {"alpha": 400}, "alpha: expected at most 300, got 400"),
    ("hessian-spectrum", {"d": 10**6}, "expected at most 200000 parameters"),
    ("flatness", {"K": 5}, "K (number of classes): expected an even number from 4, got 5"),
    ("flatness", {"d": 3}, "d: expected a width of at least K = 4, got 3"),
    ("flatness", {"lam": "0.5"}, "lam: no scale of DNC is critical at 0.5; set a smaller one"),
    ("flatness", {"lam": "1e-101"}, "lam: expected at least 1e-100"),
    ("flatness", {"d": 10**6}, "expected at most 200000 parameters"),
    ("garrod2025-figure2", {"d": "3,6"}, "d: expected widths of at least K = 4, got 3"),
    ("garrod2025-figure2", {"at_d": 2}, "d: expected widths of at least K = 4, got 2"),
    ("garrod2025-figure2", {"lam": "0"}, "lam (decays of every factor): expected finite numbers > 0"),
    ("garrod2025-figure2", {"runs": 1}, "runs (starts of each cell): expected an integer >= 2, got 1"),
    ("garrod2025-figure2", {"runs": 10**7}, "expected at most 1e+08 entries"),
    ("garrod2025-rank", {"d": "3"}, "d: expected widths of at least K = 4, got 3"),
    ("garrod2025-rank", {"L": "0"}, "L (numbers of weight matrices): expected integers >= 1"),
    ("garrod2025-rank", {"power": "-1"}, "power (power of the width that divides it): expected a finite number >= 0"),
    ("garrod2025-rank", {"M": 1}, "unknown name 'M'"),
]


@pytest.mark.parametrize(("name", "inputs", "words"), BAD)
def test_bad_input_is_one_line(
    name: str, inputs: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(name, "--json", capsys=capsys, **inputs)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert words in err
