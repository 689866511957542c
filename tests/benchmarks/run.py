"""Run the benchmarks: ratios of running times in one run, on one core, at the same accuracy on both sides.

    make bench                    all rows
    make bench ARGS="--row 8"     one of them
    make bench ARGS=--record      all rows, written to RESULTS.md too

Every other module of this folder is a row or two: it defines `ROWS`, their numbers, and `comparisons()`, which gives
its instances of `Comparison`.
Nothing here is a test: a busy machine may print anything.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENGINES = ("torch", "numpy", "scipy", "sympy", "python-flint", "z3-solver")
REPEATS = 5
SHORTEST = 0.02  # seconds: a sample repeats its work until it lasts so long, far above the resolution of the clock


@dataclass(frozen=True)
class Contender:
    """One way to do the work. `error` is what it was measured to reach, by the measure that its comparison names.

    What is measured `once` is long, and from cold: nothing that an earlier run has left serves it.
    """

    name: str
    work: Callable[[], object]
    error: float | None = None
    once: bool = False


@dataclass(frozen=True)
class Comparison:
    """Several ways to do one piece of work; the first is the baseline, and ratios are its time over theirs.

    `details` tells more, in Markdown, when the work is done.
    """

    row: int
    title: str
    measure: str
    wanted: str
    contenders: Sequence[Contender]
    details: Callable[[], str] | None = None


def sample(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    calls, began = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        if (spent := time.perf_counter() - began) >= SHORTEST:
            return spent / calls


def medians(comparison: Comparison, repeats: int = REPEATS) -> list[float]:
    """The median time of each contender, sampled in turns, so that a slow minute of the machine hits all."""
    times = [[sample(contender.work)] if contender.once else list[float]() for contender in comparison.contenders]
    several = [number for number, contender in enumerate(comparison.contenders) if not contender.once]
    for number in several:
        comparison.contenders[number].work()
    for _ in range(repeats):
        for number in several:
            times[number].append(sample(comparison.contenders[number].work))
    return [statistics.median(each) for each in times]


def duration(seconds: float) -> str:
    unit, scale = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 0.0)) if seconds >= s)
    return f"{seconds / (scale or 1e-9):.3g} {unit}"


def section(comparison: Comparison, seconds: Sequence[float]) -> str:
    """A comparison as Markdown."""
    lines = [
        f"## Row {comparison.row}: {comparison.title}",
        "",
        f"Wanted: {comparison.wanted}. Error: {comparison.measure}.",
        "",
        "| way | error | median time | ratio |",
        "|---|---|---|---|",
    ]
    for contender, spent in zip(comparison.contenders, seconds, strict=True):
        error = "-" if contender.error is None else f"{contender.error:.1e}"
        lines.append(f"| {contender.name} | {error} | {duration(spent)} | {seconds[0] / spent:.3g} |")
    if comparison.details is not None:
        lines += ["", comparison.details()]
    return "\n".join(lines)


def device() -> str:
    """The processor, in words."""
    described = Path("/proc/cpuinfo")  # of Linux; Python's own answer elsewhere
    lines = described.read_text().splitlines() if described.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (models or [platform.processor() or platform.machine()])[0]


def header() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ENGINES)
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench ARGS=--record`. Ratios hold between machines, roughly; times do not.",
            "",
            f"{datetime.datetime.now(datetime.UTC).date()}; one core of {device()}; medians of {REPEATS} runs, "
            "or one run where it says once; "
            f"Python {platform.python_version()}, {versions}.",
        ]
    )


def discovered(rows: Collection[int] | None = None) -> Iterator[Comparison]:
    """The comparisons of every module in this folder, by row; of other rows nothing is prepared."""
    modules = [importlib.import_module(path.stem) for path in HERE.glob("*.py") if path.stem != Path(__file__).stem]
    wanted = [module for module in modules if rows is None or set(rows) & set(module.ROWS)]
    found: Iterable[Comparison] = (each for module in wanted for each in module.comparisons())
    return iter(sorted(found, key=lambda comparison: comparison.row))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="run.py", description="Run the benchmarks.")
    parser.add_argument("--record", action="store_true", help="write RESULTS.md; all rows")
    parser.add_argument("--row", type=int, action="append", metavar="N", help="only this row; may be repeated")
    options = parser.parse_args(arguments)
    if options.record and options.row:
        parser.error("--record needs all rows")
    sections = [header()]
    print(sections[0])
    for comparison in discovered(options.row):
        if not options.row or comparison.row in options.row:
            sections.append(section(comparison, medians(comparison)))
            print(f"\n{sections[-1]}", flush=True)
    if options.record:
        (HERE / "RESULTS.md").write_text("\n\n".join(sections) + "\n")


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):  # read when torch and numpy load, so start again
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    from run import main as run  # the module that rows import `Comparison` from, not a second copy of it

    run()
