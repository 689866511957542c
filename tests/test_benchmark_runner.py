"""The runner of the benchmarks: ratios, their spread, and falls against the record."""

from __future__ import annotations

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


def test_every_row_has_a_module() -> None:
    import ast

    rows: set[int] = set()
    for path in run.HERE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROWS":
                rows |= set(ast.literal_eval(node.value))
    assert rows >= {1, 2, 3, 4, 6, 7, 8, 9, 10}
