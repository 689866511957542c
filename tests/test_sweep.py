"""Sweeps: what a file may say, which configurations share a batch, and that the same file gives the same numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("filelock")
pytest.importorskip("duckdb")

from tightframe.numerics import simulations
from tightframe.numerics.sweep import Axis, Design, batch_size, batches, windows
from tightframe.papers import cli, experiments
from tightframe.papers.sweeps import figure as sweep_figure
from tightframe.papers.sweeps import spec as sweep_spec
from tightframe.papers.sweeps import sweeping
from tightframe.papers.sweeps.driver import Driven, drive
from tightframe.papers.sweeps.workers import Outcome, cluster

SMALL = """
experiment = "minority-collapse"
seeds = 2
[parameters]
M = [1, 2]
n = [20, 20]
n_min = [2, 20]
lam = { low = 1e-3, high = 1e-1, count = 3, scale = "log" }
starts = 4
"""


class Here:
    """Batches run at once, in this process, the last submitted first."""

    capacity = 3

    def __init__(self, text: str) -> None:
        self.queue: list[tuple[int, ...]] = []
        self.text = text

    def submit(self, batch: tuple[int, ...]) -> None:
        self.queue.append(batch)

    def finished(self, timeout: float) -> list[Outcome]:
        batch = self.queue.pop()
        return [Outcome(batch, sweeping.simulated(self.text, batch))]

    def close(self) -> None: ...


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str, name: str = "small.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def driven_here(file: Path) -> tuple[sweeping.Plan, Driven]:
    planned = sweeping.plan(file, device="cpu")
    planned.folder.acquire()
    try:
        planned.folder.describe(planned.told())
        told = drive(planned.folder, planned.spec.design.count, sweeping.batches(planned), Here(planned.task))
    finally:
        planned.folder.release()
    return planned, told


def run_here(file: Path) -> sweeping.Plan:
    return driven_here(file)[0]


def table(file: Path, sql: str = "SELECT * FROM results ORDER BY configuration") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sweeping.results(file, sql, device="cpu").to_pylist()
    return rows


# ---- the file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'expected experiment = "NAME"'),
        ("experiment = 'nothing'", "no experiment is called 'nothing'; known: central-path"),
        ("experiment = 'minority-collapse'\n[parameters]\nspeed = 1", "unknown parameter 'speed'; known: M, n, n_min"),
        ("experiment = 'minority-collapse'\nspeed = 1", "unknown key 'speed'"),
        ("experiment = 'minority-collapse'\n[parameters]\nM = []", "M: expected at least one value"),
        ("experiment = 'minority-collapse'\nseeds = []", "seeds: expected at least one"),
        ("experiment = 'minority-collapse'\nseeds = 0", "seeds: expected an integer >= 1, got 0"),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = [1, 1.0]", "lam: expected different values"),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = -1", "expected a finite number > 0, got -1"),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = nan", "expected a finite number > 0, got"),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = true", "expected a finite number > 0, got True"),
        ("experiment = 'minority-collapse'\n[parameters]\nM = [1.5]", "expected an integer >= 1, got 1.5"),
        (
            "experiment = 'minority-collapse'\n[parameters]\nlam = {low = 1, high = 2}",
            "count: expected an integer >= 2",
        ),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = {low = 2, high = 1, count = 3}", "expected low < high"),
        ("experiment = 'minority-collapse'\n[parameters]\nlam = {low = 1, hihg = 2}", "unknown key 'hihg'"),
        ("experiment = 'minority-collapse'\n[parameters]\nn = {low = 1, high = 2, count = 2}", "got a range"),
        ("experiment = 'minority-collapse'\ndesign = 'random'", "samples: expected an integer >= 1, got none"),
        ("experiment = 'minority-collapse'\ndesign = 'latin'", 'expected design = "grid" or "random"'),
        ("experiment = 'minority-collapse'\ndtype = 'float16'", 'expected dtype = "float64" or "float32"'),
        ("experiment = 'central-path'\ndtype = 'float32'", "central-path runs in float64 only"),
        ("experiment = 'minority-collapse'\nparameters = 3", "expected [parameters] to be a table"),
        ("experiment = ", "not a TOML file"),
        ("experiment = 'minority-collapse'\n[parameters]\nn_min = 301", "no configuration can be run: n_min: expected"),
        (
            "experiment = 'minority-collapse'\nseeds = 1000000\n[parameters]\nlam = {low = 1, high = 2, count = 1000}",
            "expected at most 100,000,000 configurations, got 1,000,000,000",
        ),
    ],
)
def test_wrong_files_are_one_plain_line_and_nothing_is_written(
    write: Callable[[str], Path], text: str, said: str
) -> None:
    file = write(text)
    with pytest.raises(ValueError, match=r".") as caught:
        sweeping.check(sweeping.plan(file, device="cpu"), yes=True)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in file.parent.iterdir()] == ["small.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "gpu"], "expected device 'auto', 'cpu', 'cuda'"),
        (["--cluster", "remote:4"], "expected --cluster local:N with N from 1 to 1024"),
        (["--cluster", "local:0"], "expected --cluster local:N"),
        (["--cluster", "local:2", "--scheduler", "tcp://x:1"], "expected --cluster or --scheduler, not both"),
        (["--cluster", "local:2", "-j", "2"], "expected --jobs without --cluster"),
        (["--query", "SELECT 1"], "no results in"),
        (["--plot", "n_min,lam"], "no results in"),
        (["--where", "M = 1"], "expected --where with --plot"),
        (["--key", "abc"], "--key with --query or --plot"),
    ],
)
def test_wrong_words_are_one_plain_line_and_exit_2(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    file = write(SMALL)
    assert cli.main(["sweep", str(file), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert said in err
    assert [path.name for path in file.parent.iterdir()] == ["small.toml"]


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", "nowhere.toml"]) == 2
    assert capsys.readouterr().err == "tightframe: cannot read nowhere.toml (no such file)\n"


def test_a_scheduler_that_is_not_there_is_one_line_and_nothing_is_written(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("tightframe.papers.sweeps.workers.CONNECT", 0.2)
    file = write(SMALL)
    assert cli.main(["sweep", str(file), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "cannot reach a Dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in file.parent.iterdir()] == ["small.toml"]


def test_a_sweep_larger_than_the_disk_asks_first(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    planned = sweeping.plan(write(SMALL), device="cpu")
    monkeypatch.setattr(sweeping.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 5000})())
    with pytest.raises(ValueError, match=r"24 configurations take up to .* kB, and 5 kB are free .*; --yes starts"):
        sweeping.check(planned, yes=False)
    sweeping.check(planned, yes=True)


def test_the_estimate_is_above_what_a_sweep_takes(write: Callable[[str], Path]) -> None:
    planned = run_here(write(SMALL))
    rows = sweeping.query(planned.folder.sound(), "SELECT * FROM results")
    assert rows.nbytes <= sweeping.estimate(planned.spec) <= 6 * rows.nbytes


def test_numbers_are_exact_and_the_canonical_form_reads_as_itself() -> None:
    given = {
        "experiment": "minority-collapse",
        "parameters": {"lam": ["1/3", "0.1"], "n": [[4, 4], [5, 5]], "n_min": {"low": 1, "high": 4, "count": 9}},
    }
    spec = sweep_spec.read(given)
    assert sweep_spec.read(json.loads(spec.text)).text == spec.text
    assert [str(axis.values[0]) for axis in spec.design.axes if axis.name == "lam"] == ["1/3"]
    assert next(axis.values for axis in spec.design.axes if axis.name == "n_min") == (1, 2, 3, 4)
    assert spec.swept == ("n", "n_min", "lam")


# ---- designs and batches


def test_every_configuration_of_a_grid_is_there_once() -> None:
    design = Design((Axis("a", (1, 2, 3)), Axis("b", ("x", "y"))), seeds=(4, 5))
    found = [tuple(design.configuration(number).values()) for number in range(design.count)]
    assert sorted(found) == sorted((a, b, s) for a in (1, 2, 3) for b in "xy" for s in (4, 5))


def test_draws_are_uniform_on_their_scale_and_of_their_number_alone() -> None:
    axes = (Axis("a", low=1e-4, high=1.0, logarithmic=True), Axis("k", low=1, high=6, integer=True), Axis("c", (7, 8)))
    design = Design(axes, (0,), "random", samples=4000, seed=3)
    drawn = [design.configuration(number) for number in range(4000)]
    logs = [math.log10(each["a"]) for each in drawn]
    assert abs(sum(logs) / 4000 + 2) < 0.08  # the mean of a uniform law on (-4, 0), within four deviations
    counts = [sum(each["k"] == k for each in drawn) for k in range(1, 7)]
    assert min(counts) > 560  # of 667 expected, within five deviations
    assert max(counts) < 780
    assert {each["c"] for each in drawn} == {7, 8}
    longer = Design(axes, (0,), "random", samples=8000, seed=3)
    assert drawn == [longer.configuration(number) for number in range(4000)]
    assert drawn[0] != Design(axes, (0,), "random", samples=1, seed=4).configuration(0)


def test_batches_hold_every_configuration_once_and_share_shapes() -> None:
    told = {"class_counts": (9, 9), "depth": 2, "starts": 4, "decays": (0.1,) * 3}

    def configuration(number: int) -> dict[str, Any]:
        return told | {"widths": 4 + number % 3}

    found = list(batches(configuration, 6000, simulations.MINIMA, "cpu"))
    assert sorted(number for batch in found for number in batch) == list(range(6000))
    assert all(len({number % 3 for number in batch}) == 1 for batch in found)
    assert max(map(len, found)) > 100


def test_a_million_configurations_are_planned_as_they_are_needed() -> None:
    design = Design((Axis("widths", tuple(range(4, 1004))), Axis("x", tuple(range(1000)))), (0,))
    told = {"class_counts": (9, 9), "depth": 2, "starts": 4, "decays": (0.1,) * 3}
    plan = batches(lambda number: told | design.configuration(number), design.count, simulations.MINIMA, "cpu")
    assert len(next(plan)) == 8
    assert sum(len(window) for window in windows(10**6)) == 10**6
    assert max(len(window) for window in windows(10**6)) == 4096


def test_a_batch_fits_the_memory_that_is_free() -> None:
    told = {"class_counts": (9,) * 4, "widths": 64, "depth": 3, "starts": 16, "decays": (0.1,) * 4}
    sizes = [batch_size(simulations.MINIMA, told, "cuda", free) for free in (10**6, 10**9, 2 * 10**9, 10**13)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert sizes[1] * simulations.MINIMA.numbers(told) * 8 <= 10**9 / 2
    assert abs(sizes[2] - 2 * sizes[1]) <= 1


# ---- numbers


def test_the_same_file_gives_the_same_numbers_whatever_was_run_before(write: Callable[[str], Path]) -> None:
    file = write(SMALL)
    planned = run_here(file)
    expected, names = table(file), [path.name for path in planned.folder.parts]
    assert [row["configuration"] for row in expected] == list(range(24))
    for path in planned.folder.parts:
        path.unlink()
    run_here(file)
    assert (table(file), [path.name for path in planned.folder.parts]) == (expected, names)
    planned.folder.parts[0].unlink()
    run_here(file)
    assert table(file) == expected


def test_predictions_are_joined_and_agree_where_the_search_converged(write: Callable[[str], Path]) -> None:
    file = write(SMALL)
    run_here(file)
    rows = [row for row in table(file) if row["converged"]]
    assert len(rows) > 12
    assert max(abs(row["loss"] / row["predicted_loss"] - 1) for row in rows) < 1e-9
    assert {row["alive"] for row in rows} >= {0, 3}
    assert [row["alive"] for row in rows] == [row["predicted_alive"] for row in rows]


def test_a_row_equals_the_search_that_one_makes_by_hand(write: Callable[[str], Path]) -> None:
    import torch
    from tightframe.numerics import minimisation
    from tightframe.numerics.deep_linear import DeepLinearUFM

    file = write(SMALL)
    run_here(file)
    row = next(row for row in table(file) if (row["M"], row["n_min"], row["seed"]) == (2, 2, 1) and row["lam"] < 0.05)
    model = DeepLinearUFM((20, 20, 2), 6, 2, row["lam"])
    lam = torch.full((3,), row["lam"], dtype=torch.float64)
    start = minimisation.starts_of_sizes(model, 1, 4, minimisation.SIZES, lam)
    assert float(minimisation.least_of(model, start).stats.loss) == pytest.approx(row["loss"], rel=1e-9)


def test_another_spec_has_another_key_and_old_results_stay(write: Callable[[str], Path]) -> None:
    file = write(SMALL)
    first = run_here(file)
    expected = table(file)
    write(SMALL.replace("seeds = 2", "seeds = 1"))
    second = run_here(file)
    assert first.folder.key != second.folder.key
    assert len(table(file)) == 12
    write(SMALL)
    assert table(file) == expected
    told = json.loads((first.folder.path / "sweep.json").read_text())
    assert told["spec"]["seeds"] == [0, 1]
    assert told["device"] == "cpu"
    assert told["code"]["source"] in json.dumps(told)
    assert [claim["id"] for claim in told["claims"]] == ["dang2023/imbalanced-deep"]


def test_results_of_another_spec_are_read_by_their_key(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(SMALL)
    first = run_here(file)
    write(SMALL.replace("seeds = 2", "seeds = 1"))
    said = ["sweep", str(file), "--device", "cpu", "--json", "--query", "SELECT count(*) AS c FROM results"]
    assert cli.main(said) == 2
    assert f"there are results of other specs or versions: --key {first.folder.key}" in capsys.readouterr().err
    assert cli.main([*said, "--key", first.folder.key]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": [{"c": 24}]}
    assert cli.main([*said, "--key", "0123"]) == 2
    assert "no results with the key '0123'" in capsys.readouterr().err


def test_code_and_device_are_part_of_the_key() -> None:
    spec = sweep_spec.read({"experiment": "minority-collapse"})
    assert len({spec.key("a", "cpu"), spec.key("b", "cpu"), spec.key("a", "cuda")}) == 3


def test_a_worker_of_another_version_refuses(write: Callable[[str], Path]) -> None:
    planned = sweeping.plan(write(SMALL), device="cpu")
    told = json.loads(planned.task) | {"source": "0123"}
    with pytest.raises(ValueError, match="another version of tightframe"):
        sweeping.simulated(json.dumps(told), (0,))


def test_a_configuration_that_cannot_run_has_a_row_that_says_why(write: Callable[[str], Path]) -> None:
    file = write(SMALL.replace("n_min = [2, 20]", "n_min = [2, 21]"))
    planned, told = driven_here(file)
    rows = table(file)
    assert told.failed == 12
    assert told.unconverged == sum(row["converged"] is False for row in rows)
    said = sweeping.Report("small", planned.folder.path, "key", "cpu", told).plain().splitlines()
    assert said[1].startswith("of these, 12 have no numbers (column error), and ")
    assert len(rows) == 24
    assert {row["error"] for row in rows if row["n_min"] == 21} == {
        "n_min: expected at most the least of the other classes, 20"
    }
    assert all(row["error"] is None and row["loss"] > 0 for row in rows if row["n_min"] == 2)


@pytest.mark.parametrize(
    "text",
    [
        "experiment = 'dang2023-synthetic'\nseeds = 2\n[parameters]\nn = [8, 4]\nd = 4\niterations = 9\nlam = [1, 2]",
        "experiment = 'garrod2025-figure2'\nseeds = 2\n[parameters]\nK = 3\nn = 2\nd = 4\nlam = [0.02, 0.05]",
        "experiment = 'central-path'\n[parameters]\nC = 3\nN = 4\np = 3\nw0 = [2, 1]\nsteps = [16, 20]\nt_end = 10",
    ],
)
def test_other_experiments_are_swept_too(write: Callable[[str], Path], text: str) -> None:
    file = write(text)
    run_here(file)
    rows = table(file)
    assert len(rows) == (2 if "central" in text else 4)
    assert all(row["error"] is None for row in rows)
    measured = "max_relative_deviation" if "central" in text else "loss"
    assert len({row[measured] for row in rows}) == len(rows)


def test_every_experiment_has_a_file_that_its_key_rests_on() -> None:
    homes = [experiments.home(name) for name in experiments.modules()]
    assert all(path.is_file() for path in homes)
    assert len(homes) > len(experiments.EXPERIMENTS)  # those in the file of a paper too


def test_every_cell_names_a_simulation_and_claims_that_predict() -> None:
    from tightframe.papers import registry

    cells = [experiments.find(name).cell for name in experiments.EXPERIMENTS]
    found = [cell for cell in cells if cell is not None]
    assert len(found) >= 3
    for cell in found:
        assert cell.simulation in simulations.SIMULATIONS
        assert all(registry.find(name).predict is not None for name in cell.claims)


def test_float32_reaches_its_floor_and_no_further(write: Callable[[str], Path]) -> None:
    from tightframe.numerics.runs import FLOOR

    file = write(SMALL)
    run_here(file)
    exact = table(file)
    write(SMALL.replace("seeds = 2", "seeds = 2\ndtype = 'float32'"))
    run_here(file)
    single = table(file)
    pairs = [(a, b) for a, b in zip(single, exact, strict=True) if a["converged"] and b["converged"]]
    assert len(pairs) > 12
    assert all(a["gradient_norm"] <= FLOOR for a, _ in pairs)
    assert any(a["gradient_norm"] > 1e-10 for a, _ in pairs)
    assert max(abs(a["loss"] / b["loss"] - 1) for a, b in pairs) < 1e-5


# ---- what is asked of it


def test_the_rows_are_asked_by_sql_and_drawn(write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    file = write(SMALL)
    planned = run_here(file)
    said = ["sweep", str(file), "--device", "cpu"]
    assert cli.main([*said, "--query", "SELECT M, count(*) AS c FROM results GROUP BY M ORDER BY M", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": [{"M": 1, "c": 12}, {"M": 2, "c": 12}]}
    for wrong, words in (("SELEC", "the query is wrong"), ("SELECT nothing FROM results", "nothing")):
        assert cli.main([*said, "--query", wrong]) == 2
        assert words in capsys.readouterr().err
    assert cli.main([*said, "--plot", "n_min,lam,alive"]) == 0
    assert cli.main([*said, "--plot", "lam,loss,M", "--where", "n_min = 2"]) == 0
    drawn = sorted(path.name for path in planned.folder.path.glob("*.png"))
    assert drawn == ["lam-loss-M.png", "n_min-lam-alive.png"]
    capsys.readouterr()
    for columns, words in (
        ("lam", "expected --plot x,y"),
        ("lam,los", "no column is called 'los'; known: configuration, M"),
        ("lam,p", "expected a column of numbers"),
        ("M,lam,alive", ""),
    ):
        assert cli.main([*said, "--plot", columns]) == (2 if words else 0)
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == (1 if words else 0)


def test_a_phase_diagram_has_the_curves_of_theory_and_the_lines_their_intervals(write: Callable[[str], Path]) -> None:
    file = write(SMALL)
    planned = run_here(file)
    diagram = sweep_figure.figure(planned.spec, planned.folder.sound(), ["n_min", "lam", "alive"])
    assert len(diagram.axes) == 2  # M = 1 and M = 2
    assert all(len(panel.lines) >= 2 for panel in diagram.axes)
    lines = sweep_figure.figure(planned.spec, planned.folder.sound(), ["lam", "loss", "M"])
    assert len(lines.axes[0].collections) == 2


def test_curves_of_theory_lie_where_the_prediction_changes() -> None:
    cell = experiments.find("minority-collapse").cell
    assert cell is not None
    assert cell.curves is not None
    fixed = {"M": 2, "n": (30, 30)}
    (_, sizes, decays), *_ = cell.curves("n_min", "lam", fixed)
    place = len(sizes) // 2
    size, decay = round(sizes[place]), decays[place]
    values = fixed | {"n_min": size}
    near = [cell.predict(values | {"lam": float(decay) * factor})["alive"] for factor in (0.8, 1.25)]
    assert near[0] == near[1] + 1


def test_a_cluster_is_named_by_its_number() -> None:
    assert cluster("local:4") == 4


def test_an_out_that_is_a_file_is_one_line(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "Processes", lambda *words: Here(""))
    file = write(SMALL)
    assert cli.main(["sweep", str(file), "--device", "cpu", "--out", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tightframe: cannot write to ")
    assert err.count("\n") == 1


def test_damage_is_left_out_when_results_are_read(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(SMALL)
    planned = run_here(file)
    extra = planned.folder.path / "part-0123456789abcdef.parquet"
    extra.write_bytes(b"PAR1")
    assert len(table(file)) == 24
    assert "left out" in capsys.readouterr().err


def test_the_example_is_a_sweep_of_thousands(write: Callable[[str], Path]) -> None:
    from importlib import resources

    shipped = resources.files("tightframe.papers") / "examples" / "minority-collapse.toml"
    planned = sweeping.plan(write(shipped.read_text(), "example.toml"), device="cpu")
    sweeping.check(planned, yes=False)
    assert planned.spec.design.count >= 2000


@pytest.mark.slow
@pytest.mark.parametrize("more", [["-j", "2"], ["--cluster", "local:2"]])
def test_processes_and_a_cluster_give_the_numbers_of_one_process(
    write: Callable[[str], Path], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(SMALL)
    planned = run_here(file)
    expected = table(file)
    for path in planned.folder.parts:
        path.unlink()
    assert cli.main(["sweep", str(file), "--device", "cpu", "--json", *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finished"], told["configurations"]) == (24, 24)
    assert table(file) == expected
