"""Run the benchmarks: ratios of running times in one run, on one core, at the same accuracy on both sides.

    make bench                    all rows
    make bench ARGS="--row 8"     one of them
    make bench ARGS=--record      all rows, written to RESULTS.md too; with --row, these rows of a record of today

The figures also go to a JSON file, in the user's cache or where --out says. A ratio that is a fifth below the one in
RESULTS.md is named at the end, and so is a row that fails; the exit code is then 1. With a row that fails nothing is
recorded.

Every other module of this folder is a row, or a part of one: it defines `ROWS`, its number, and `comparisons()`, which
prepares its instances of `Comparison`, each when it is asked for.
Nothing here is a test: a busy machine may print anything.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import datetime
import importlib
import io
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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

    What is measured `once` is long, and from cold: nothing that an earlier run has left serves it. One call does
    `pieces` times the work of the baseline; times are of one piece.
    """

    name: str
    work: Callable[[], object]
    error: float | None = None
    once: bool = False
    pieces: int = 1

    def sample(self) -> float:
        """Seconds that one piece takes."""
        return sample(self.work) / self.pieces


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
    times = [[contender.sample()] if contender.once else list[float]() for contender in comparison.contenders]
    several = [number for number, contender in enumerate(comparison.contenders) if not contender.once]
    for number in several:
        comparison.contenders[number].work()
    for _ in range(repeats):
        for number in several:
            times[number].append(comparison.contenders[number].sample())
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
    """What `make gpu-check` prints, or that no GPU was at hand; raises what it raises, and if a result is wrong."""
    from tightframe.numerics import gpu_check

    today, text = datetime.datetime.now(datetime.UTC).date(), io.StringIO()
    with contextlib.redirect_stdout(text):
        code = gpu_check.main([])
    if code:
        raise AssertionError(f"a result of the GPU differs from that of the CPU:\n{text.getvalue()}")
    told = text.getvalue().strip()
    if told == gpu_check.NONE:
        told = f'No GPU was at hand: `make gpu-check` printed "{told}".'
    return f"## GPU\n\n{today}. {told}"


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


def modules() -> list[tuple[tuple[int, ...], str]]:
    """The rows and the name of every other module of this folder, in the order of rows; none is imported."""
    found: list[tuple[tuple[int, ...], str]] = []
    for path in HERE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROWS":
                found.append((ast.literal_eval(node.value), path.stem))
    return sorted(found)


def comparisons(name: str) -> Iterator[Comparison]:
    """Those of a module."""
    yield from importlib.import_module(name).comparisons()


class Findings:
    """What the rows gave so far."""

    def __init__(self, before: Mapping[str, Sequence[float]]) -> None:
        self.before = before
        self.sections, self.summary = list[str](), list[str]()
        self.rows = list[dict[str, object]]()
        self.fallen, self.failed = list[str](), list[str]()

    def take(self, comparison: Comparison) -> None:
        """Run a comparison and print it."""
        found = figures(sampled(comparison))
        text = section(comparison, found)
        self.sections.append(text)
        self.rows.append(told(comparison, found))
        best = max(found[1:] or found, key=lambda each: each.ratio)
        self.summary.append(f"| {comparison.row} | {comparison.title} | {best.ratio:.3g} | {comparison.wanted} |")
        self.fallen += falls(f"Row {comparison.row}: {comparison.title}", found, self.before)
        print(f"\n{text}", flush=True)

    def take_all(self, rows: Collection[int] | None) -> None:
        """Run module after module. What one raises is noted, and the next goes on."""
        for numbers, name in modules():
            if rows and not set(rows) & set(numbers):
                continue
            try:
                several = comparisons(name)
                while (comparison := next(several, None)) is not None:
                    self.take(comparison)
                    del comparison  # what it holds is freed before the next one is prepared
            except Exception as error:
                row = ", ".join(map(str, numbers))
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                self.failed.append(f"row {row} ({name}.py): {reason}")
                print(f"\nfailed: {self.failed[-1]}", flush=True)

    def beside(self, text: str) -> None:
        """Add the other rows of a record."""
        mine = {row["row"] for row in self.rows}
        parts = [f"## {part.strip()}" for part in text.split("\n## ")[1:]]
        sections = [part for part in parts if part.startswith("## Row ") and _row(part) not in mine]
        lines = [line for line in text.splitlines() if line[:2] == "| " and line[2:3].isdigit()]
        self.sections = sorted([*self.sections, *sections], key=_row)
        self.summary = sorted([*self.summary, *(line for line in lines if _row(line) not in mine)], key=_row)

    @property
    def table(self) -> str:
        return "\n".join(
            ["## All rows", "", "| row | work | best ratio | wanted |", "|---|---|---|---|", *self.summary]
        )


def _row(text: str) -> int:
    """The row of a section or of a line of the table."""
    return int(re.search(r"\d+", text).group())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description="Run the benchmarks.")
    parser.add_argument(
        "--record", action="store_true", help="write RESULTS.md: all rows, or some of a record of today"
    )
    parser.add_argument("--row", type=int, action="append", metavar="N", help="only this row; may be repeated")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the JSON file; in the user's cache by default")
    options = parser.parse_args(arguments)
    known = sorted({row for rows, _ in modules() for row in rows})
    for row in options.row or ():
        if row not in known:
            parser.error(f"no row {row}; there are {', '.join(map(str, known))}")
    found, top = Findings(recorded(RESULTS.read_text()) if RESULTS.exists() else {}), header()
    before = RESULTS.read_text() if RESULTS.exists() else ""
    if options.record and options.row and not before.startswith(f"{top}\n"):
        parser.error(f"--record needs all rows: {RESULTS.name} is of another day, machine or version")
    print(top, flush=True)
    stopped = False
    try:
        found.take_all(options.row)
    except KeyboardInterrupt:
        stopped = True
    print("\n" + found.table)
    for line in found.fallen:
        print(f"fell by more than a fifth: {line}")
    for line in found.failed:
        print(f"failed: {line}")
    out = options.out or default_out()
    out.parent.mkdir(parents=True, exist_ok=True)
    written = {"device": device(), "rows": found.rows, "fallen": found.fallen, "failed": found.failed}
    out.write_text(json.dumps(written, indent=1) + "\n")
    print(f"written: {out}")
    if stopped:
        print("stopped by Ctrl-C; not all rows ran")
        return 130
    if options.record and found.failed:
        print(f"not recorded: {RESULTS.name} needs all rows")
    elif options.record:
        if options.row:
            found.beside(before)
        RESULTS.write_text("\n\n".join([top, found.table, gpu(), *found.sections]) + "\n")
        print(f"written: {RESULTS}")
    return 1 if found.fallen or found.failed else 0


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):  # read when torch and numpy load, so start again
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    from run import main as run  # the module that rows import `Comparison` from, not a second copy of it

    sys.exit(run())
