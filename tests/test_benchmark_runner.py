"""The runner of the benchmarks: ratios, their spread, and falls against the record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "benchmarks"))
run = pytest.importorskip("run")


def comparison() -> object:
    ways = (run.Contender("plain", lambda: None, 0.0), run.Contender("ours", lambda: None, 1e-9))
    return run.Comparison(3, "some work", "the error", "2", ways)


def test_ratios_are_of_medians_and_their_spread_of_turns() -> None:
    plain, ours = run.figures([[2.0, 4.0, 6.0], [1.0, 1.0, 2.0]])
    assert (plain.ratio, plain.low, plain.high) == (1.0, 1.0, 1.0)
    assert (ours.seconds, ours.ratio, ours.low, ours.high) == (1.0, 4.0, 2.0, 4.0)
    _, once = run.figures([[8.0], [1.0, 2.0, 4.0]])
    assert (once.ratio, once.low, once.high) == (4.0, 2.0, 8.0)


def test_a_fall_by_more_than_a_fifth_is_named_and_a_smaller_one_is_not() -> None:
    record = run.section(comparison(), run.figures([[10.0], [1.0]]))
    before = run.recorded(f"# Benchmarks\n\n{record}\n")
    assert before == {"Row 3: some work": [1.0, 10.0]}
    assert run.falls("Row 3: some work", run.figures([[8.1], [1.0]]), before) == []
    assert run.falls("Row 3: some work", run.figures([[7.9], [1.0]]), before) == [
        "Row 3: some work: ratio 7.9, recorded 10"
    ]
    assert run.falls("Row 4: other work", run.figures([[1.0], [1.0]]), before) == []


def test_the_committed_record_is_read() -> None:
    assert run.recorded(run.RESULTS.read_text())


def test_every_row_has_a_module_and_they_come_in_order() -> None:
    rows = [number for numbers, _ in run.modules() for number in numbers]
    assert set(rows) == set(range(1, 12))
    assert rows == sorted(rows)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows, of which the second fails after its first comparison, and a third that runs."""
    prepared = """
import run

ROWS = ({row},)
ALIVE = []


class Held:
    def __init__(self): ALIVE.append(self)
    def __del__(self): print("freed {row}")


def comparisons():
    for number in range(2):
        print(f"prepared {row}")
        if {fails} and number:
            raise ArithmeticError("no figure")
        held = Held()
        ALIVE.clear()
        way = run.Contender("plain", lambda held=held: None)
        del held
        yield run.Comparison({row}, f"work {row} {{number}}", "none", "1", (way,))
        del way
"""
    for row, name in ((7, "seventh"), (8, "eighth"), (9, "ninth")):
        (tmp_path / f"{name}.py").write_text(prepared.format(row=row, fails=row == 8))
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(run, "SHORTEST", 0.0)
    return tmp_path


def test_comparisons_are_printed_and_freed_before_the_next_is_prepared(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--row", "7", "--out", str(folder / "out.json")]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("prepared", "freed", "## Row"))]
    assert said == ["prepared 7", "## Row 7: work 7 0", "freed 7", "prepared 7", "## Row 7: work 7 1", "freed 7"]


def test_a_row_that_fails_is_named_and_the_others_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--out", str(folder / "out.json"), "--record"]) == 1
    out = capsys.readouterr().out
    failure = "row 8 (eighth.py): ArithmeticError: no figure"
    assert f"failed: {failure}\n" in out
    assert "not recorded" in out
    assert not run.RESULTS.exists()
    written = json.loads((folder / "out.json").read_text())
    assert written["failed"] == [failure]
    assert [each["title"] for each in written["rows"]] == ["work 7 0", "work 7 1", "work 8 0", "work 9 0", "work 9 1"]


def test_rows_that_all_run_are_recorded_and_that_there_was_no_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (folder / "eighth.py").unlink()
    assert run.main(["--out", str(folder / "out.json"), "--record"]) == 0
    text = run.RESULTS.read_text()
    said = 'No GPU was at hand: `make gpu-check` printed "no GPU: torch sees no CUDA device, so nothing was checked".'
    assert said in text
    assert set(run.recorded(text)) == {f"Row {row}: work {row} {number}" for row in (7, 9) for number in (0, 1)}
    run.RESULTS.write_text(text.replace("work 9", "other work 9").replace("work 7", "old work 7"))
    assert run.main(["--out", str(folder / "out.json"), "--record", "--row", "7"]) == 0
    titles = [line for line in run.RESULTS.read_text().splitlines() if line.startswith("## ")]
    assert titles[2:] == [f"## Row 7: work 7 {n}" for n in (0, 1)] + [f"## Row 9: other work 9 {n}" for n in (0, 1)]
    assert run.RESULTS.read_text().count("| 9 | other work 9 1 |") == 1
    run.RESULTS.write_text(text.replace("; one core of", "; another core of"))
    with pytest.raises(SystemExit, match="2"):
        run.main(["--record", "--row", "7"])


def test_an_unknown_row_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["--row", "11"])
    assert "no row 11; there are 7, 8, 9" in capsys.readouterr().err
