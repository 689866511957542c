"""The verb simulate: the flow beside its closed form, the same from the same seed, files whole, honest failures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tightframe import papers
from tightframe.papers import cli, experiments
from tightframe.papers.han2022 import central_path
from tightframe.papers.prediction import Values
from tightframe.theory import first_integral

SMALL = {"C": 3, "N": 4, "p": 3, "w0": (0.9, 2.0), "t_end": 200, "steps": 40}
KEYS = {
    *("experiment", "seed", "inputs", "converged", "max_relative_deviation", "step_halving_changes", "t"),
    *("simulated", "predicted", "asymptote", "features", "relative_deviation"),
}


def words(**inputs: Any) -> list[str]:
    texts = {k: ",".join(map(repr, v)) if isinstance(v, tuple) else str(v) for k, v in (SMALL | inputs).items()}
    return [each for name, text in texts.items() for each in ("--set", f"{name}={text}")]


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(["simulate", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return papers.simulate("central-path", **SMALL)


# ----------------------------------------------------------------------------------------------------- the numbers


def agrees(numbers: dict[str, Any], tolerance: float = 1e-6) -> None:
    """The law: simulation and closed form agree in singular values, loss and metrics, at every checkpoint."""
    simulated, predicted = numbers["simulated"], numbers["predicted"]
    for name in ("w", "loss", "nc1", "nc2", "nc3"):
        np.testing.assert_allclose(
            simulated[name], predicted[name], rtol=tolerance, atol=tolerance * (name in ("nc2", "nc3"))
        )
    features = numbers["features"]
    np.testing.assert_allclose(features["w"], features["predicted"], rtol=tolerance)


@settings(max_examples=6)
@given(
    st.integers(2, 4),
    st.integers(2, 5),
    st.integers(0, 3),
    st.lists(st.floats(0.2, 4.0), min_size=3, max_size=3),
    st.floats(0.1, 2e3),
    st.integers(0, 100),
)
def test_simulation_and_closed_form_agree(
    classes: int, per_class: int, more: int, starts: list[float], t_end: float, seed: int
) -> None:
    dimension = min(classes - 1 + more, classes * (per_class - 1))
    inputs = {"C": classes, "N": per_class, "p": dimension, "w0": starts[: classes - 1], "t_end": t_end, "steps": 160}
    numbers = papers.simulate("central-path", seed=seed, **inputs)
    assert numbers["converged"]
    assert numbers["max_relative_deviation"] < 1e-6
    agrees(numbers)


def test_a_wrong_closed_form_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = first_integral.singular_values
    for wrong in (
        lambda w0, t, C, N: right(w0, t, C, C * N),  # N counts all samples
        lambda w0, t, C, N: right(w0, 1.001 * t, C, N),
        lambda w0, t, C, N: right(np.flip(w0), t, C, N),
    ):
        monkeypatch.setattr(first_integral, "singular_values", wrong)
        numbers = papers.simulate("central-path", **SMALL)
        assert numbers["converged"]
        assert numbers["max_relative_deviation"] > 1e-5
        with pytest.raises(AssertionError):
            agrees(numbers)


def test_wrong_metrics_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = first_integral.collapse
    for field in first_integral.Collapse._fields:
        wrong = lambda w, C, field=field: (x := right(w, C))._replace(**{field: 1.01 * getattr(x, field)})  # noqa: E731
        monkeypatch.setattr(first_integral, "collapse", wrong)
        with pytest.raises(AssertionError):
            agrees(papers.simulate("central-path", **SMALL))


def test_the_unprojected_flow_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from tightframe.numerics import flow

    monkeypatch.setattr(
        flow, "central_path_flow", lambda start, grid, record: flow.unprojected_flow(start, grid, record=record)
    )
    numbers = papers.simulate("central-path", **(SMALL | {"steps": 400}))
    assert max(numbers["relative_deviation"]["features"]) > 1e-3
    assert max(numbers["relative_deviation"]["class_means"]) < 1e-6
    assert not numbers["converged"]  # of first order: halving the steps still changes it


def test_the_numbers(small: dict[str, Any]) -> None:
    assert set(small) == KEYS
    assert small["inputs"] == {"C": 3, "N": 4, "p": 3, "w0": [0.9, 2.0], "t_end": 200.0, "steps": 40}
    assert small["t"][0] == 0
    assert small["t"][-1] == 200
    assert small["features"]["t"][-1] == 20
    assert small["simulated"]["w"][0] == pytest.approx([0.9, 2.0], rel=1e-12)  # in the order of w0
    count = len(small["t"])
    for table in (small["simulated"], small["predicted"], small["asymptote"]):
        assert all(len(column) == count for column in table.values())
    assert all(0 <= x <= 1 for x in small["simulated"]["nc4_disagreement"])
    assert small["asymptote"]["loss"][-1] == pytest.approx(math.sqrt(4 / 800))
    assert small["max_relative_deviation"] == max(max(v) for v in small["relative_deviation"].values())
    assert json.loads(json.dumps(small, allow_nan=False)) == small


def test_the_same_seed_gives_the_same_and_another_only_another_start(small: dict[str, Any]) -> None:
    assert papers.simulate("central-path", **SMALL) == small
    other = papers.simulate("central-path", seed=1, **SMALL)
    assert other["simulated"] != small["simulated"]
    assert other["predicted"] == small["predicted"]
    agrees(other)


def test_the_defaults_are_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("central-path", "--out", str(tmp_path), capsys=capsys)
    assert (code, err) == (0, "")
    assert "w(t_end) predicted   6.40590091, 6.33127301, 6.27297952" in out
    assert "w(t_end) simulated   6.40590091, 6.33127301, 6.27297952" in out
    numbers = json.loads((tmp_path / "central-path.json").read_text())
    assert numbers["max_relative_deviation"] < 1e-9
    assert (tmp_path / "central-path.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "central-path.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 3
    assert str(tmp_path / "central-path.pdf") in out


# ------------------------------------------------------------------------------------------------ files and verbs


def test_files_are_the_same_from_the_same_numbers(small: dict[str, Any], tmp_path: Path) -> None:
    experiment = experiments.find("central-path")
    for folder in (tmp_path / "a", tmp_path / "b"):
        written = experiments.save(experiment, small, folder)
        assert sorted(written) == sorted(folder.iterdir())
    for name in ("central-path.json", "central-path.png", "central-path.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_json_alone_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("central-path", *words(), "--json", capsys=capsys)
    assert (code, err) == (0, "")
    assert json.loads(out) == small
    assert not list(tmp_path.iterdir())


def test_without_out_files_come_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("central-path", *words(), capsys=capsys)
    assert code == 0
    assert out.splitlines()[-1] == "written: central-path.json, central-path.png, central-path.pdf"
    assert {path.name for path in tmp_path.iterdir()} == {f"central-path.{kind}" for kind in ("json", "png", "pdf")}


def test_progress_is_told_each_stage(small: dict[str, Any]) -> None:
    experiment, told = experiments.find("central-path"), list[str]()
    values = experiments.read(experiment.inputs, SMALL)
    assert experiments.run(experiment, values, 0, told.append) == small
    assert len(told) == experiment.stages(values)


@pytest.mark.parametrize("inputs", [{}, {"C": 2, "p": 1, "w0": (1.0,)}, {"C": 10, "p": 9, "w0": (0.5,) * 9}])
def test_every_panel_is_labelled_and_nothing_is_clipped(inputs: dict[str, Any]) -> None:
    numbers = papers.simulate("central-path", **(SMALL | inputs))
    drawn = central_path.figure(numbers)
    assert isinstance(drawn, Figure)
    renderer = FigureCanvasAgg(drawn).get_renderer()
    whole = drawn.bbox
    assert len(drawn.axes) == 4
    legends = []
    for panel in drawn.axes:
        assert panel.get_xlabel()
        assert panel.get_ylabel()
        box, legend = panel.get_window_extent(renderer), panel.get_legend()
        assert legend is not None
        legends.append(legend.get_window_extent(renderer))
        assert not legends[-1].overlaps(box.shrunk(0.99, 0.99))  # not over the data
        tight = panel.get_tightbbox(renderer)
        assert tight is not None
        assert whole.x0 <= tight.x0
        assert tight.x1 <= whole.x1
        assert whole.y0 <= tight.y0
        assert tight.y1 <= whole.y1
    labels = [panel.xaxis.label.get_window_extent(renderer) for panel in drawn.axes[:2]]
    assert not any(label.overlaps(legend) for label in labels for legend in legends)


# ------------------------------------------------------------------------------------------------ when it fails


def test_not_converged_says_so_and_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("central-path", *words(t_end=1e12, steps=16), "--out", str(tmp_path), capsys=capsys)
    assert code == 3
    assert err.startswith("tightframe: did not converge: halving the steps changes a singular value by ")
    assert err.count("\n") == 1
    assert out
    numbers = json.loads((tmp_path / "central-path.json").read_text())
    assert numbers["converged"] is False
    assert "more than 1e-06" in numbers["reason"]
    assert [path.name for path in tmp_path.iterdir()] == ["central-path.json"]  # no figure of what is not so


def test_states_that_are_not_finite_are_no_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tightframe.numerics import flow
    from tightframe.numerics.integrators import integrate

    def explodes(means: Any, counts: Any, grid: Any, record: Any) -> Any:
        return integrate(lambda t, x: x * 1e300, means, grid, record=record)

    monkeypatch.setattr(flow, "class_mean_flow", explodes)
    code, out, err = run("central-path", *words(), "--json", capsys=capsys)
    assert code == 3
    assert json.loads(out)["converged"] is False
    assert "finite only up to t = " in err


def test_a_least_squares_problem_that_is_not_solved_is_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    from tightframe.numerics import losses
    from tightframe.numerics.solution import Result

    right = losses.least_squares_minimum
    monkeypatch.setattr(losses, "least_squares_minimum", lambda *a: replace(right(*a), result=Result.NOT_CONVERGED))
    assert papers.simulate("central-path", **SMALL)["reason"] == "a least-squares classifier did not converge"


def test_an_interrupted_write_leaves_the_old_file(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiments.find("central-path")
    experiments.save(experiment, small, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        experiments.save(experiment, small | {"seed": 0}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def bad_inputs(tmp_path: Path) -> list[tuple[list[str], str]]:
    (tmp_path / "file").write_text("")
    name = "central-path"
    return [
        (["centralpath"], "no experiment is called 'centralpath'; known: central-path"),
        ([], "Missing argument"),
        ([name, "--set", "K=4"], "unknown name 'K'; known: C, N, p, w0, t_end, steps"),
        ([name, "--set", "C=5"], "w0: expected C - 1 = 4 values, got 3"),
        ([name, *words(p=1)], "p: expected a dimension from C - 1 = 2 to C (N - 1) = 9"),
        ([name, *words(p=10)], "p: expected a dimension from C - 1 = 2 to C (N - 1) = 9"),
        ([name, *words(N=1)], "N (samples per class): expected an integer >= 2, got 1"),
        ([name, *words(w0=(0.0, 1.0))], "w0 (SNR singular values at the start): expected finite numbers > 0"),
        ([name, *words(t_end=0)], "t_end (time at the end): expected a finite number > 0, got 0"),
        ([name, *words(t_end="nan")], "got nan"),
        ([name, *words(t_end="1e20")], "expected t_end <= 1e+15"),
        ([name, *words(w0=(1e5, 1.0))], "w0 <= 10000"),
        ([name, *words(steps=2)], "steps (steps of the time grid): expected an integer >= 16"),
        ([name, *words(steps=10**9)], "expected an integer from 16 to 100000"),
        ([name, *words(N=10**6)], "expected C N p <= 10^6"),
        ([name, "--seed", "-1"], "seed"),
        ([name, "--seed", str(2**64)], "seed"),
        ([name, "--set", "C"], "expected --set name=value"),
        ([name, *words(), "--out", str(tmp_path / "file")], "cannot write to"),
        ([name, *words(), "--out", str(tmp_path / "file" / "deep")], "cannot write to"),
    ]


@pytest.mark.parametrize("number", range(20))
def test_bad_input_is_one_line_and_exit_code_2(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = bad_inputs(tmp_path)[number]
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_bad_input_is_tried(tmp_path: Path) -> None:
    assert len(bad_inputs(tmp_path)) == 20


def test_the_registry_names_its_experiments() -> None:
    for name in experiments.modules():
        experiment = experiments.find(name)
        assert experiment.name == name
        values: Values = experiments.read(experiment.inputs, {})  # defaults are enough
        assert set(values) == {each.name for each in experiment.inputs if not each.optional}
