"""The experiment ``garrod2025-rank``: the rank of the logits where gradient descent ends, over width and depth.

Starts have entries of one size, so that wider ones are larger; with ``scale=1 power=1/2`` a d x d factor has about the
norm 2 at any width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import STYLE
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Values, echo, to_float
from . import descents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP = 50  # runs between two signs of progress


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """A cell for every depth and width: how many of the minima found have which rank."""
    descents.check_entries(values["d"], values["L"], values["K"], values["n"], values["runs"])
    for name in ("lam", "rate", "scale", "power"):
        to_float(name, values[name])
    cells = [
        _cell(values, depth, width, seed, progress)
        for depth in _ascending(values["L"])
        for width in _ascending(values["d"])
    ]
    lost = sum(cell["not_counted"] for cell in cells)
    total = sum(cell["runs"] for cell in cells)
    reason = f"{lost} of {total} runs did not end at a minimum; they are counted apart, with no rank"
    return {
        "inputs": echo(values),
        "converged": not lost,
        **({"reason": reason} if lost else {}),
        "cells": cells,
    }


def _ascending(numbers: Sequence[int]) -> list[int]:
    return sorted(set(numbers))


def _cell(values: Values, depth: int, width: int, seed: int, progress: Progress) -> dict[str, Any]:
    from ...numerics import initialisers
    from ...numerics.deep_linear import DeepLinearUFM

    classes, count = values["K"], values["runs"]
    model = DeepLinearUFM((values["n"],) * classes, width, depth, float(values["lam"]), loss="ce")
    deviation = descents.start_deviation(float(values["scale"]), float(values["power"]), width)
    start = initialisers.gaussian(model, (10**6 * seed + 10**3 * depth + width) % 2**63, deviation, (count,))
    where = f"L = {depth}, d = {width}"
    runs, points = descents.ends(
        model, start, float(values["rate"]), GROUP, lambda word: progress(f"{where}: {word}"), values["iterations"]
    )
    levels = descents.levels(model, runs, points)
    ranks: dict[int, int] = {}
    for level in levels:
        if level["kind"] in (descents.DNC, descents.OTHER):
            ranks[level["rank"]] = ranks.get(level["rank"], 0) + level["runs"]
    ended = sum(ranks.values())
    best = min((level for level in levels if level["kind"] in (descents.DNC, descents.OTHER)), key=_loss, default=None)
    return {
        "L": depth,
        "d": width,
        "runs": count,
        "ranks": {str(rank): ranks[rank] for rank in sorted(ranks)},
        "at_dnc": descents.counted(levels, descents.DNC),
        "mean_rank": sum(rank * times for rank, times in ranks.items()) / ended if ended else None,
        "best_rank": best["rank"] if best else None,
        "best_loss": best["loss"] if best else None,
        "not_counted": count - ended,
        "levels": levels,
    }


def _loss(level: Mapping[str, Any]) -> float:
    return float(level["loss"])


# ---- text
def summary(numbers: Numbers) -> list[str]:
    """A line for every cell: how many runs ended at which rank."""
    inputs = numbers["inputs"]
    names = ("K", "n", "lam", "rate", "scale", "power")
    lines = ["cross-entropy, deep linear: " + ", ".join(f"{name} = {inputs[name]:g}" for name in names)]
    lines.append(f"{inputs['runs']} runs a cell; runs by the rank of the minimum reached, 'not' reached none")
    ranks = range(inputs["K"])
    header = "".join(f"{f'rank {rank}':>8}" for rank in ranks)
    lines.append(f"  L     d{header}{'not':>6}{'DNC':>6}   mean  rank of least loss")
    for cell in numbers["cells"]:
        counts = "".join(f"{cell['ranks'].get(str(rank), 0) or '.':>8}" for rank in ranks)
        mean = "   ?" if cell["mean_rank"] is None else f"{cell['mean_rank']:.2f}"
        best = "?" if cell["best_rank"] is None else f"{cell['best_rank']} ({cell['best_loss']:.6f})"
        lines.append(
            f"{cell['L']:3d}  {cell['d']:4d}{counts}{cell['not_counted']:6d}{cell['at_dnc']:6d}   {mean}  {best}"
        )
    return lines


# ---- figure
def figure(numbers: Numbers) -> Figure:
    """A panel a depth: the share of the runs at each rank over the width, and the mean."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    depths = _ascending([cell["L"] for cell in numbers["cells"]])
    columns = min(3, len(depths))
    rows = -(-len(depths) // columns)
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(max(3.6, 0.6 + 2.2 * columns), 0.7 + 2.1 * rows), layout="constrained")
        panels = drawn.subplots(rows, columns, squeeze=False, sharey=True).flatten()
        for panel in panels[len(depths) :]:
            panel.remove()
        for panel, depth in zip(panels, depths, strict=False):
            _draw(panel, [cell for cell in numbers["cells"] if cell["L"] == depth], depth, numbers["inputs"]["K"])
        lost = any(cell["not_counted"] for cell in numbers["cells"])
        panels[0].set_ylim(-1.4 if lost else -0.6, numbers["inputs"]["K"] - 0.4)  # shared by all
        for row in range(rows):
            panels[row * columns].set_ylabel("rank of the logits")
        _legend(drawn, numbers)
    return drawn


AREA = 60.0  # of the disc of all runs, in square points


def _draw(panel: Axes, cells: Sequence[Mapping[str, Any]], depth: int, classes: int) -> None:
    from ..drawing import COLOURS

    places = list(range(len(cells)))
    for place, cell in zip(places, cells, strict=True):
        for rank, times in cell["ranks"].items():
            panel.scatter([place], [int(rank)], s=AREA * times / cell["runs"], color=COLOURS[0], zorder=2, linewidths=0)
        if cell["not_counted"]:
            area = AREA * cell["not_counted"] / cell["runs"]
            panel.scatter([place], [-0.9], s=area, facecolors="none", edgecolors="0.4", linewidths=0.7, zorder=2)
    means = [
        (place, cell["mean_rank"]) for place, cell in zip(places, cells, strict=True) if cell["mean_rank"] is not None
    ]
    panel.plot([x for x, _ in means], [y for _, y in means], color=COLOURS[1], linewidth=1.0, zorder=3)
    panel.axhline(classes - 1, color="0.45", linestyle="--", linewidth=0.8, zorder=1)
    panel.set_xticks(places, [str(cell["d"]) for cell in cells])
    panel.set_yticks(range(classes))
    panel.set_xlim(-0.5, len(cells) - 0.5)
    panel.set_xlabel("width $d$")
    panel.set_title(f"$L = {depth}$")
    panel.grid(visible=True, which="major", linewidth=0.3, color="0.9")


def _legend(drawn: Figure, numbers: Numbers) -> None:
    from matplotlib.lines import Line2D

    from ..drawing import COLOURS

    size = math.sqrt(AREA)
    none: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": size}
    runs = numbers["inputs"]["runs"]
    handles = [
        Line2D([], [], color=COLOURS[0], markeredgewidth=0, label=f"all {runs} runs (area: their share)", **none),
        Line2D([], [], color=COLOURS[1], linewidth=1.0, label="mean rank"),
        Line2D([], [], color="0.45", linestyle="--", linewidth=0.8, label="rank of DNC, $K - 1$"),
    ]
    if any(cell["not_counted"] for cell in numbers["cells"]):
        handles.append(Line2D([], [], color="0.4", fillstyle="none", label="no minimum reached", **none))
    depths = len(_ascending([cell["L"] for cell in numbers["cells"]]))
    drawn.legend(handles=handles, loc="outside upper center", ncols=2 if depths < 3 else 4, columnspacing=1.2)


POSITIVE = reals(0, open=True)
EXPERIMENT = Experiment(
    "garrod2025-rank",
    "The rank of the logits where gradient descent ends, over width and depth (garrod2025, figure 5)",
    (
        Input("K", integers(3), "number of classes", default=6),
        Input("n", integers(1), "samples per class", default=2),
        Input("L", integers(1), "numbers of weight matrices", many=True, default="1,2,3"),
        Input("d", integers(1), "widths", many=True, default="6,9,12,18,24,36"),
        Input("lam", POSITIVE, "decay of every factor", default="1/128"),
        Input("rate", POSITIVE, "learning rate", default="1/2"),
        Input("scale", POSITIVE, "standard deviation of the entries at the start", default="0.25"),
        Input("power", reals(0), "power of the width that divides it", default=0),
        Input("runs", integers(2), "starts of each cell", default=100),
        Input("iterations", integers(1), "most iterations of a run", default=300_000),
    ),
    lambda values: len(set(values["L"])) * len(set(values["d"])) * math.ceil(values["runs"] / GROUP),
    run,
    summary,
    figure,
    lambda numbers: any(cell["ranks"] for cell in numbers["cells"]),
)
