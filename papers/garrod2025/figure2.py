"""The experiment ``garrod2025-figure2``: how often gradient descent ends at DNC, over the width and over the decay.

Defaults are smaller than the paper's K = 10, n = 5, L = 2, d = 70, lam = 2^-10 and take about two minutes; that takes
about a second a run. Starts have entries of one size, so that wider ones are larger; with ``scale=1 power=1/2`` a d x d
factor has about the norm 2 at any width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import COLOURS, STYLE, scientific
from ..experiments import Cell, Experiment, Numbers, Progress
from ..prediction import Input, Values, computed, echo, to_float
from . import descents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP = 50  # runs between two signs of progress
MOST_TICKS = 8  # decays that are named on the axis


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """Two lines of cells: all widths at one decay, all decays at one width."""
    descents.check_entries((*values["d"], values["at_d"]), (values["L"],), values["K"], values["n"], values["runs"])
    for name in ("lam", "at_lam", "rate", "scale", "power"):
        for each in values[name] if name == "lam" else (values[name],):
            to_float(name, each)
    known: dict[tuple[int, Fraction], dict[str, Any]] = {}
    for width, decay in _cells(values):
        known[width, decay] = _cell(values, width, decay, seed, progress)
    every = list(known.values())
    lost = sum(cell["not_counted"] for cell in every)
    total = sum(cell["runs"] for cell in every)
    reason = f"{lost} of {total} runs did not end at a minimum; they are counted apart, as neither"
    return {
        "inputs": echo(values),
        "converged": not lost,
        **({"reason": reason} if lost else {}),
        "by_width": [known[width, values["at_lam"]] for width in sorted(set(values["d"]))],
        "by_decay": [known[values["at_d"], decay] for decay in sorted(set(values["lam"]))],
    }


def _cells(values: Values) -> list[tuple[int, Fraction]]:
    found = {(width, values["at_lam"]) for width in values["d"]} | {(values["at_d"], decay) for decay in values["lam"]}
    return sorted(found)


def _cell(values: Values, width: int, decay: Fraction, seed: int, progress: Progress) -> dict[str, Any]:
    from ...numerics import initialisers
    from ...numerics.deep_linear import DeepLinearUFM

    classes, count, lam = values["K"], values["runs"], float(decay)
    model = DeepLinearUFM((values["n"],) * classes, width, values["L"], lam, loss="ce")
    deviation = descents.start_deviation(float(values["scale"]), float(values["power"]), width)
    # At one width every decay has the same starts; widths have their own.
    start = initialisers.gaussian(model, (10**4 * seed + width) % 2**63, deviation, (count,))
    where = f"d = {width}, lam = {lam:.3g}"
    runs, points = descents.ends(
        model, start, float(values["rate"]), GROUP, lambda word: progress(f"{where}: {word}"), values["iterations"]
    )
    levels = descents.levels(model, runs, points)
    dnc, other = (descents.counted(levels, kind) for kind in (descents.DNC, descents.OTHER))
    bounds = descents.interval(dnc, dnc + other)
    return {
        "d": width,
        "lam": lam,
        "runs": count,
        "dnc": dnc,
        "other": other,
        "not_counted": count - dnc - other,
        "probability": dnc / (dnc + other) if bounds else None,
        "interval": list(bounds) if bounds else None,
        "most_iterations": max(run["iterations"] for run in runs),
        "levels": levels,
    }


# ---- text
def summary(numbers: Numbers) -> list[str]:
    """A line for every cell: runs at DNC, elsewhere and not counted, and the interval of the probability."""
    inputs = numbers["inputs"]
    names = ("K", "n", "L", "rate", "scale", "power")
    lines = ["cross-entropy, deep linear: " + ", ".join(f"{name} = {inputs[name]:g}" for name in names)]
    lines.append("runs at DNC, at other minima, and not counted (no minimum reached); Wilson intervals, 95 %")
    for title, cells in (("width", numbers["by_width"]), ("decay", numbers["by_decay"])):
        lines.append(f"   d  lam        runs    DNC  other  not  P(DNC)  interval         ranks of others, by {title}")
        lines += [_line(cell) for cell in cells]
    return lines


def _line(cell: Mapping[str, Any]) -> str:
    share = "     ?                  "
    if cell["interval"]:
        low, high = cell["interval"]
        share = f"{cell['probability']:6.3f}  {low:.3f} to {high:.3f}"
    counts = f"{cell['runs']:6d} {cell['dnc']:6d} {cell['other']:6d} {cell['not_counted']:4d}"
    return f"{cell['d']:4d}  {cell['lam']:<9.4g}{counts}  {share}  {_ranks(cell)}"


def _ranks(cell: Mapping[str, Any]) -> str:
    """The ranks of other minima, with their runs."""
    found: dict[int, int] = {}
    for level in cell["levels"]:
        if level["kind"] == descents.OTHER:
            found[level["rank"]] = found.get(level["rank"], 0) + level["runs"]
    return ", ".join(f"{rank}: {count}" for rank, count in sorted(found.items())) or "-"


# ---- figure
def figure(numbers: Numbers) -> Figure:
    """The probability of DNC over the width, and over the decay."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    inputs = numbers["inputs"]
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(6.4, 2.9), layout="constrained")
        panels = drawn.subplots(1, 2, sharey=True)
        _draw(panels[0], [cell["d"] for cell in numbers["by_width"]], numbers["by_width"])
        panels[0].set_xlabel("width $d$")
        panels[0].set_title(rf"$\lambda = {_number(inputs['at_lam'])}$")
        panels[0].set_ylabel("probability of DNC")
        _draw(panels[1], [cell["lam"] for cell in numbers["by_decay"]], numbers["by_decay"])
        panels[1].set_xscale("log")
        decays = [cell["lam"] for cell in numbers["by_decay"]]
        if len(decays) <= MOST_TICKS:
            panels[1].set_xticks(decays, [f"${_number(decay)}$" for decay in decays])
            panels[1].set_xticks([], minor=True)
        panels[1].set_xlabel(r"decay $\lambda$")
        panels[1].set_title(f"$d = {inputs['at_d']}$")
        panels[0].set_ylim(-0.04, 1.04)
        for letter, panel in zip("ab", panels, strict=True):
            panel.grid(visible=True, which="major", linewidth=0.3, color="0.85")
            panel.text(-0.02, 1.03, f"({letter})", transform=panel.transAxes, ha="right", va="bottom", weight="bold")
        _legend(drawn, numbers)
    return drawn


def _number(number: float) -> str:
    """1/n where it is one, else a few digits."""
    inverse = round(1 / number)
    if inverse > 1 and abs(inverse * number - 1) < 1e-12:
        return f"1/{inverse}"
    return scientific(number)


def _draw(panel: Axes, positions: Sequence[float], cells: Sequence[Mapping[str, Any]]) -> None:
    shown = [(x, cell) for x, cell in zip(positions, cells, strict=True) if cell["interval"]]
    places = [x for x, _ in shown]
    values = [cell["probability"] for _, cell in shown]
    # Wilson's interval holds the share itself, up to rounding at 0 and 1.
    below = [max(0.0, cell["probability"] - cell["interval"][0]) for _, cell in shown]
    above = [max(0.0, cell["interval"][1] - cell["probability"]) for _, cell in shown]
    panel.plot(places, values, color=COLOURS[0], linewidth=0.8, alpha=0.6)
    for whole, face in ((True, COLOURS[0]), (False, "white")):
        chosen = [i for i, (_, cell) in enumerate(shown) if (cell["not_counted"] == 0) == whole]
        panel.errorbar(
            [places[i] for i in chosen],
            [values[i] for i in chosen],
            yerr=[[below[i] for i in chosen], [above[i] for i in chosen]],
            fmt="o",
            markersize=3.6,
            color=COLOURS[0],
            markerfacecolor=face,
            elinewidth=0.8,
            capsize=2,
        )


def _legend(drawn: Figure, numbers: Numbers) -> None:
    from matplotlib.lines import Line2D

    runs = numbers["inputs"]["runs"]
    style: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "markersize": 3.6}
    handles = [Line2D([], [], linewidth=0.8, label=f"{runs} runs, 95 % interval", **style)]
    if any(cell["not_counted"] for cell in numbers["by_width"] + numbers["by_decay"]):
        label = "some runs reached no minimum, not counted"
        handles.append(Line2D([], [], linestyle="none", markerfacecolor="white", label=label, **style))
    drawn.legend(handles=handles, loc="outside upper center", ncols=2)


POSITIVE = reals(0, open=True)
# ---- one run
CLAIM = "garrod2025/dnc-loss"


def setting(values: Values) -> dict[str, Any]:
    """One run of gradient descent, from a start of its own seed."""
    descents.check_entries((values["d"],), (values["L"],), values["K"], values["n"], 1)
    width, numbers = values["d"], {name: to_float(name, values[name]) for name in ("lam", "rate", "scale", "power")}
    return {
        "class_counts": (values["n"],) * values["K"],
        "widths": width,
        "depth": values["L"],
        "decays": (numbers["lam"],) * (values["L"] + 1),
        "rate": numbers["rate"],
        "scale": descents.start_deviation(numbers["scale"], numbers["power"], width),
        "iterations": values["iterations"],
    }


def predict(values: Values) -> dict[str, Any]:
    """The least loss of neural collapse, at its best scale."""
    found = computed(CLAIM, {name: values[name] for name in ("K", "L", "n", "lam")})
    return {"dnc_loss": found["loss"]}


CELL = Cell(
    (
        Input("K", integers(3), "number of classes", default=6),
        Input("n", integers(1), "samples per class", default=2),
        Input("L", integers(1), "number of weight matrices", default=2),
        Input("d", integers(1), "width", default=18),
        Input("lam", POSITIVE, "decay of every factor", default="1/256"),
        Input("rate", POSITIVE, "learning rate", default="1/2"),
        Input("scale", POSITIVE, "standard deviation of the entries at the start", default="0.2"),
        Input("power", reals(0), "power of the width that divides it", default=0),
        Input("iterations", integers(1), "most iterations of a run", default=300_000),
    ),
    "critical_points",
    setting,
    predict,
    (CLAIM,),
)

EXPERIMENT = Experiment(
    "garrod2025-figure2",
    "How often gradient descent ends at DNC, over the width and over the decay (garrod2025, figure 2)",
    (
        Input("K", integers(3), "number of classes", default=6),
        Input("n", integers(1), "samples per class", default=2),
        Input("L", integers(1), "number of weight matrices", default=2),
        Input("d", integers(1), "widths", many=True, default="6,9,12,15,18,21,24,30,36"),
        Input("at_lam", POSITIVE, "decay of every factor for all widths", default="1/256"),
        Input("lam", POSITIVE, "decays of every factor", many=True, default="1/512,1/256,1/128,1/64,1/32"),
        Input("at_d", integers(1), "width for all decays", default=18),
        Input("rate", POSITIVE, "learning rate", default="1/2"),
        Input("scale", POSITIVE, "standard deviation of the entries at the start", default="0.2"),
        Input("power", reals(0), "power of the width that divides it", default=0),
        Input("runs", integers(2), "starts of each cell", default=200),
        Input("iterations", integers(1), "most iterations of a run", default=300_000),
    ),
    lambda values: len(_cells(values)) * math.ceil(values["runs"] / GROUP),
    run,
    summary,
    figure,
    lambda numbers: any(cell["interval"] for cell in numbers["by_width"] + numbers["by_decay"]),
    cell=CELL,
)
