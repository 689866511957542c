"""Run the benchmarks: ratios of running times in one run, on one core, at the same accuracy on both sides.

    make bench                    all rows
    make bench ARGS="--row 8"     one of them
    make bench ARGS=--record      all rows, written to RESULTS.md too

The figures also go to a JSON file, in the user's cache or where --out says. A ratio that is a fifth below the one in
RESULTS.md is named at the end; the exit code is then 1.

Every other module of this folder is a row or two: it defines `ROWS`, their numbers, and `comparisons()`, which gives
its instances of `Comparison`.
Nothing here is a test: a busy machine may print anything.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
FALL = 0.8  # of the recorded ratio, below which a ratio has fallen
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


def sampled(comparison: Comparison, repeats: int = REPEATS) -> list[list[float]]:
    """Times of each contender, sampled in turns, so that a slow minute of the machine hits all."""
    times = [[sample(contender.work)] if contender.once else list[float]() for contender in comparison.contenders]
    several = [number for number, contender in enumerate(comparison.contenders) if not contender.once]
    for number in several:
        comparison.contenders[number].work()
    for _ in range(repeats):
        for number in several:
            times[number].append(sample(comparison.contenders[number].work))
    return times


@dataclass(frozen=True)
class Figure:
    """Of a contender: its median time, and its ratio; `low` and `high` are the least and the largest of the ratios."""

    seconds: float
    ratio: float
    low: float
    high: float


def figures(times: Sequence[Sequence[float]]) -> list[Figure]:
    """The first is the baseline. Ratios are of medians, their spread over turns, each against its own baseline."""
    found = []
    base = statistics.median(times[0])
    for spent in times:
        turns = zip(times[0], spent, strict=True) if len(times[0]) == len(spent) else ((base, each) for each in spent)
        ratios = [before / after for before, after in turns]
        found.append(Figure(statistics.median(spent), base / statistics.median(spent), min(ratios), max(ratios)))
    return found


def duration(seconds: float) -> str:
    unit, scale = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 0.0)) if seconds >= s)
    return f"{seconds / (scale or 1e-9):.3g} {unit}"


def section(comparison: Comparison, found: Sequence[Figure]) -> str:
    """A comparison as Markdown."""
    lines = [
        f"## Row {comparison.row}: {comparison.title}",
        "",
        f"Wanted: {comparison.wanted}. Error: {comparison.measure}.",
        "",
        "| way | error | median time | ratio | least to largest |",
        "|---|---|---|---|---|",
    ]
    for contender, each in zip(comparison.contenders, found, strict=True):
        error = "-" if contender.error is None else f"{contender.error:.1e}"
        spread = f"{each.low:.3g} to {each.high:.3g}"
        lines.append(f"| {contender.name} | {error} | {duration(each.seconds)} | {each.ratio:.3g} | {spread} |")
    if comparison.details is not None:
        lines += ["", comparison.details()]
    return "\n".join(lines)


def recorded(text: str) -> dict[str, list[float]]:
    """The ratios of RESULTS.md, by the title of their comparison."""
    found: dict[str, list[float]] = {}
    title, column = "", None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            title, column = line.removeprefix("## "), None
        elif line.startswith("| way |"):
            column = cells.index("ratio")
        elif not line.startswith("|"):
            column = None
        elif column is not None and not line.startswith("|---"):
            found.setdefault(title, []).append(float(cells[column]))
    return found


def falls(title: str, found: Sequence[Figure], before: Mapping[str, Sequence[float]]) -> list[str]:
    """A line for every ratio that is more than a fifth below its record."""
    old = before.get(title, ())
    if len(old) != len(found):
        return []
    pairs = zip(found, old, strict=True)
    return [
        f"{title}: ratio {each.ratio:.3g}, recorded {ratio:.3g}" for each, ratio in pairs if each.ratio < FALL * ratio
    ]


def gpu() -> str:
    """What `make gpu-check` prints, or that there was no GPU."""
    from tightframe.numerics import gpu_check

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        gpu_check.main([])
    return f"## GPU\n\n{datetime.datetime.now(datetime.UTC).date()}; {text.getvalue().strip()}."


def told(comparison: Comparison, found: Sequence[Figure]) -> dict[str, object]:
    """A comparison as JSON."""
    ways = [
        {"way": contender.name, "error": contender.error, **asdict(each)}
        for contender, each in zip(comparison.contenders, found, strict=True)
    ]
    return {"row": comparison.row, "title": comparison.title, "wanted": comparison.wanted, "ways": ways}


def default_out() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("tightframe")) / "benchmarks.json"


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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description="Run the benchmarks.")
    parser.add_argument("--record", action="store_true", help="write RESULTS.md; all rows")
    parser.add_argument("--row", type=int, action="append", metavar="N", help="only this row; may be repeated")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the JSON file; in the user's cache by default")
    options = parser.parse_args(arguments)
    if options.record and options.row:
        parser.error("--record needs all rows")
    before = recorded(RESULTS.read_text()) if RESULTS.exists() else {}
    sections, summary, fallen = [header()], list[str](), list[str]()
    rows: list[dict[str, object]] = []
    print(sections[0])
    for comparison in discovered(options.row):
        if not options.row or comparison.row in options.row:
            found = figures(sampled(comparison))
            sections.append(section(comparison, found))
            rows.append(told(comparison, found))
            best = max(found[1:] or found, key=lambda each: each.ratio)
            summary.append(f"| {comparison.row} | {comparison.title} | {best.ratio:.3g} | {comparison.wanted} |")
            fallen += falls(f"Row {comparison.row}: {comparison.title}", found, before)
            print(f"\n{sections[-1]}", flush=True)
    table = ["## All rows", "", "| row | work | best ratio | wanted |", "|---|---|---|---|", *summary]
    print("\n" + "\n".join(table))
    for line in fallen:
        print(f"fell by more than a fifth: {line}")
    out = options.out or default_out()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"device": device(), "rows": rows, "fallen": fallen}, indent=1) + "\n")
    print(f"written: {out}")
    if options.record:
        RESULTS.write_text("\n\n".join([sections[0], "\n".join(table), gpu(), *sections[1:]]) + "\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):  # read when torch and numpy load, so start again
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    from run import main as run  # the module that rows import `Comparison` from, not a second copy of it

    sys.exit(run())
