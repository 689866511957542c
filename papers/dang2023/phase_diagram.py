"""Phase diagrams of imbalanced classes: how many directions are alive at the minimum, over sizes and decay.

Without bias the directions are the classes: the experiment ``minority-collapse``. With a free bias they are those of
the centred labels. States are found by minimisation from many starts. What theory says is drawn over them, and compared
cell by cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers
from ..drawing import COLOURS, STYLE, Style, frame
from ..experiments import Cell, Experiment, Numbers, Progress
from ..prediction import Input, computed, echo, to_float
from .lengths import require_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_RUNS = 10**6  # starts, of all cells
NEAR = 0.05  # |b/threshold - 1| of the direction nearest to its threshold: closer than a cell is wide
ZERO = 1e-12  # squared length of a row of W in N lam_H: less is zero


def run(bias: bool, values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """For every number of layers: one search for every size of the smallest class, with all decays at once."""
    import numpy as np

    others, minority = values["n"], _minorities(values)
    low, high = (to_float(name, values[name]) for name in ("lam_low", "lam_high"))
    decays = np.geomspace(low, high, values["rows"])
    diagrams = []
    for depth in values["M"]:
        columns = []
        for number, size in enumerate(minority):
            columns.append(_column(values, bias, depth, (*others, size), decays, (1000 * seed + number) % 2**63))
            progress(f"M = {depth}, smallest class of {size}")
        diagrams.append({"M": depth} | _diagram(columns, len(others) + 1 - bias))
    cells = len(diagrams) * len(minority) * len(decays)
    lost = sum(not each for diagram in diagrams for column in diagram["certain"] for each in column)
    reason = f"{lost} of {cells} cells did not converge; they are marked and not counted"
    return {
        "inputs": echo(values),
        "bias": bias,
        "converged": lost == 0,
        **({"reason": reason} if lost else {}),
        "minority": minority,
        "decays": decays.tolist(),
        "cells": cells,
        "diagrams": diagrams,
    }


def _minorities(values: Mapping[str, Any]) -> list[int]:
    """Sizes of the smallest class, geometric and rounded, from n_min to the least of the others."""
    import numpy as np

    if not values["n_min"] <= min(values["n"]):
        raise ValueError(f"n_min: expected at most the least of the other classes, {min(values['n'])}")
    if not values["lam_low"] < values["lam_high"]:
        raise ValueError("lam_low: expected a decay below lam_high")
    classes = len(values["n"]) + 1
    require_wide(values.get("d", classes), classes)
    runs = len(values["M"]) * values["columns"] * values["rows"] * values["starts"]
    if runs > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} runs (layers x columns x rows x starts), got {runs}")
    spaced = np.geomspace(values["n_min"], min(values["n"]), values["columns"])
    return sorted({int(size) for size in np.rint(spaced)})


def _column(
    values: Mapping[str, Any], bias: bool, depth: int, counts: tuple[int, ...], decays: Any, seed: int
) -> dict[str, list[Any]]:
    """Over the decays: what is alive at the best point, whether a worse local minimum has more, and the prediction."""
    import torch

    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM
    from ...theory import deep_linear, scalar_problem

    samples, classes = sum(counts), len(counts)
    model = DeepLinearUFM(counts, values.get("d", 2 * classes), depth, 1.0, bias=bias)
    squares = deep_linear.one_hot(counts, bias)
    lam = torch.from_numpy(decays).unsqueeze(-1).expand(-1, depth + 1)
    found = minimisation.global_minimum(model, seed, values["starts"], decays=lam)
    minima = found.value
    more = minima.converged & (minima.ranks > minima.spectrum.rank) & (minima.losses > found.stats.loss)
    rows = minima.best.product.square().sum(dim=-1) / (samples * lam[:, -1:])
    predicted = [deep_linear.minimum(squares, samples, [decay] * (depth + 1)) for decay in decays.tolist()]
    edge, fold = scalar_problem.threshold(depth), scalar_problem.fold(depth)
    return {
        "certain": minima.certain.tolist(),
        "gradient_norm": found.stats.gradient_norm.tolist(),
        "hits": minima.hits.tolist(),
        "loss": found.stats.loss.tolist(),
        "alive": minima.spectrum.rank.tolist(),
        "minority_alive": (rows[:, -1] > ZERO).tolist(),
        "zero_rows": (rows <= ZERO).sum(dim=-1).tolist(),
        "worse_with_more": more.any(dim=0).tolist(),
        "predicted_alive": [int((each.p > 0).sum()) for each in predicted],
        "predicted_loss": [each.f_min for each in predicted],
        "in_band": [bool(((each.b > edge) & (each.b < fold)).any()) for each in predicted],
        "nearest_threshold": [float(abs(each.b / edge - 1).min()) for each in predicted],
        "nearest_fold": [float(abs(each.b / fold - 1).min()) for each in predicted],
    }


def _diagram(columns: Sequence[Mapping[str, list[Any]]], most: int) -> dict[str, Any]:
    """The columns together, each name a list of them, and how they compare where the search converged.

    ``dead``: some of ``most`` directions are dead, and not all.
    """
    found = {name: [column[name] for column in columns] for name in columns[0]}
    cells = [dict(zip(column, row, strict=True)) for column in columns for row in zip(*column.values(), strict=True)]
    cells = [cell for cell in cells if cell["certain"]]
    different = [cell for cell in cells if cell["alive"] != cell["predicted_alive"]]
    dead = [cell for cell in cells if 0 < cell["alive"] < most]
    return found | {
        "dead": len(dead),
        "dead_without_zero_rows": sum(cell["zero_rows"] == 0 for cell in dead),
        "converged": len(cells),
        "different": len(different),
        "different_away_from_thresholds": sum(cell["nearest_threshold"] > NEAR for cell in different),
        "largest_loss_excess": max((cell["loss"] / cell["predicted_loss"] - 1 for cell in cells), default=None),
        "least_loss_excess": min((cell["loss"] / cell["predicted_loss"] - 1 for cell in cells), default=None),
        "band": sum(cell["in_band"] for cell in cells),
        "band_seen": sum(cell["in_band"] and cell["worse_with_more"] for cell in cells),
        "seen_outside_band": sum(not cell["in_band"] and cell["worse_with_more"] for cell in cells),
    }


def summary(numbers: Numbers) -> list[str]:
    """What the run found, in a few lines."""
    inputs = numbers["inputs"]
    what, sizes = "directions" if numbers["bias"] else "minority collapse", ", ".join(map(str, inputs["n"]))
    head = f"{what}: classes of {sizes} and one of {numbers['minority'][0]}"
    lines = [
        f"{head} to {numbers['minority'][-1]}; {numbers['cells']} cells",
        " M  converged  as predicted  loss / predicted - 1   band  seen  seen outside",
    ]
    for each in numbers["diagrams"]:
        low, high = each["least_loss_excess"], each["largest_loss_excess"]
        losses = "-" if high is None else f"{low:>8.1e} to {high:.1e}"
        lines.append(
            f"{each['M']:>2}  {each['converged']:>9}  {each['converged'] - each['different']:>12}  {losses:<20}  "
            f"{each['band']:>5}  {each['band_seen']:>4}  {each['seen_outside_band']:>12}"
        )
    of = "direction" if numbers["bias"] else "class"
    lines.append(f"band: b between threshold and fold for some {of}; seen: a worse local minimum with more alive")
    if numbers["bias"]:
        dead, whole = (sum(each[name] for each in numbers["diagrams"]) for name in ("dead", "dead_without_zero_rows"))
        lines.append(f"a direction is dead, and not all, in {dead} cells; no row of W is zero in {whole} of these")
    return lines


# ------------------------------------------------------------------------------------------------------ the figure

SHADES = ("#f7f7f7", "#cfe3f2", "#86bbdd", "#3a86bd", "#0b4a83")  # of one hue: the lighter, the fewer alive
THRESHOLD: Style = {"color": COLOURS[1], "linewidth": 1.2}
FOLD: Style = {"color": COLOURS[1], "linewidth": 1.2, "linestyle": (0, (1, 1.2))}
DOT: Style = {"linestyle": "none", "marker": ".", "markersize": 2.6, "color": "0.05", "markeredgewidth": 0, "zorder": 3}
LOST: Style = {"linestyle": "none", "marker": "x", "markersize": 3, "color": COLOURS[3], "markeredgewidth": 0.8}


def figure(numbers: Numbers) -> Figure:
    """A panel for every number of layers: the number of classes alive, with thresholds and the ends of the bands."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    diagrams = numbers["diagrams"]
    across = min(2, len(diagrams))
    down = -(-len(diagrams) // across)
    with mpl.rc_context(dict(STYLE)):
        height = 0.75 + 2.75 * down
        drawn = Figure(figsize=(0.8 + 3.2 * across, height))
        drawn.subplots_adjust(
            left=0.68 / (0.8 + 3.2 * across),
            right=1 - 0.12 / (0.8 + 3.2 * across),
            bottom=0.5 / height,
            top=1 - 0.8 / height,
            wspace=0.3,
            hspace=0.34,
        )
        panels = drawn.subplots(down, across, squeeze=False).flatten()
        for panel in panels[len(diagrams) :]:
            panel.remove()
        for panel, letter, diagram in zip(panels, "abcdefghijklmnopqrstuvwxyz", diagrams, strict=False):
            frame(panel, letter)
            _draw(panel, numbers, diagram)
        _legend(drawn, numbers, height)
    return drawn


def _edges(centres: Sequence[float]) -> Any:
    """The edges of cells, half-way between centres on a logarithmic scale."""
    import numpy as np

    logs = np.log(centres)
    if len(logs) == 1:
        return np.exp([logs[0] - 0.1, logs[0] + 0.1])
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp([2 * logs[0] - middle[0], *middle, 2 * logs[-1] - middle[-1]])


def _shades(classes: int) -> Any:
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    blend = LinearSegmentedColormap.from_list("alive", SHADES)
    return ListedColormap([blend(count / classes) for count in range(classes + 1)])


def _draw(panel: Axes, numbers: Numbers, diagram: Mapping[str, Any]) -> None:
    import numpy as np

    from ...theory import deep_linear, scalar_problem

    others, decays = numbers["inputs"]["n"], np.array(numbers["decays"])
    minority = np.array(numbers["minority"], np.float64)
    share = minority / (minority + sum(others))
    certain = np.array(diagram["certain"]).T
    alive = np.ma.masked_where(~certain, np.array(diagram["alive"]).T)
    x, y = _edges(share.tolist()), _edges(decays.tolist())
    most = len(others) + 1 - numbers["bias"]
    panel.pcolormesh(x, y, alive, cmap=_shades(most), vmin=-0.5, vmax=most + 0.5, rasterized=True)
    for style, where in ((DOT, np.array(diagram["worse_with_more"]).T & certain), (LOST, ~certain)):
        rows, columns = np.nonzero(where)
        panel.plot(share[columns], decays[rows], **style)
    fine, curves = _curves(numbers)
    depth, samples = diagram["M"], fine + sum(others)
    for sizes in curves:
        threshold = deep_linear.equal_decay(scalar_problem.threshold(depth), sizes, samples, depth)
        panel.plot(fine / samples, threshold, **THRESHOLD)
        if depth > 1:
            last = deep_linear.equal_decay(scalar_problem.fold(depth), sizes, samples, depth)
            panel.plot(fine / samples, last, **FOLD)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(x[0], x[-1])
    panel.set_ylim(y[0], y[-1])
    panel.set_xlabel(r"share of the smallest class, $n_{\min}/N$")
    panel.set_ylabel(r"decay $\lambda = \lambda_1 = \ldots = \lambda_M = \lambda_H$")
    panel.set_title(f"$M = {depth}$")


def _classes(smallest: Any, others: Sequence[int]) -> list[Any]:
    """The sizes of the smallest class, and over them those of the others, each once."""
    import numpy as np

    return [smallest, *(np.full_like(smallest, size) for size in sorted(set(others)))]


def _curves(numbers: Numbers) -> tuple[Any, list[Any]]:
    """Sizes of the smallest class, and over them the squared singular values of the labels."""
    import numpy as np

    from ...theory import deep_linear

    others, ends = numbers["inputs"]["n"], numbers["minority"]
    if not numbers["bias"]:
        fine = np.geomspace(ends[0] * 0.8, ends[-1] * 1.2, 200)
        return fine, _classes(fine, others)
    whole = sorted({int(size) for size in np.rint(np.geomspace(ends[0], ends[-1], 200))})
    squares = np.array([deep_linear.one_hot((*others, size), bias=True)[:-1] for size in whole])
    return np.array(whole, np.float64), list(squares.T)


def _legend(drawn: Figure, numbers: Numbers, height: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shades, states = (
        _shades(len(numbers["inputs"]["n"]) + 1 - numbers["bias"]),
        sorted({a for d in numbers["diagrams"] for c in d["alive"] for a in c}),
    )
    what = "directions " if numbers["bias"] else ""
    handles: list[Any] = [
        Patch(facecolor=shades(count), edgecolor="0.6", linewidth=0.4, label=f"{count} {what}alive")
        for count in reversed(states)
    ]
    index = "i" if numbers["bias"] else "k"
    handles.append(Line2D([], [], label=rf"predicted threshold, $b_{index} = \beta_M$", **THRESHOLD))
    handles.append(Line2D([], [], label="predicted end of local minima (fold)", **FOLD))
    handles.append(Line2D([], [], label="worse local minimum found, more alive", **(DOT | {"markersize": 5})))
    if not numbers["converged"]:
        handles.append(Line2D([], [], label="did not converge", **LOST))
    drawn.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.02 / height),
        ncols=3,
        columnspacing=1.4,
        handlelength=1.8,
    )


# ------------------------------------------------------------------------------------------------------ one cell

CLAIM = "dang2023/imbalanced-deep"


def setting(values: Mapping[str, Any]) -> dict[str, Any]:
    """One cell: the classes in their order, the smallest last."""
    if values["n_min"] > min(values["n"]):
        raise ValueError(f"n_min: expected at most the least of the other classes, {min(values['n'])}")
    counts = (*values["n"], values["n_min"])
    width = values.get("d", 2 * len(counts))
    require_wide(width, len(counts))
    return {
        "class_counts": counts,
        "widths": width,
        "depth": values["M"],
        "decays": (to_float("lam", values["lam"]),) * (values["M"] + 1),
        "starts": values["starts"],
    }


def predict(values: Mapping[str, Any]) -> dict[str, Any]:
    """How many classes are alive at the minimum, its loss, and the squared rows of W."""
    decay, counts = values["lam"], (*values["n"], values["n_min"])
    found = computed(CLAIM, {"n": counts, "lam_W": (decay,) * values["M"], "lam_H": decay})
    return {"alive": sum(p > 0 for p in found["p"]), "loss": found["f_min"], "p": found["p"]}


def curves(x: str, y: str, values: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The thresholds at which a class collapses, over its size and the decay."""
    import numpy as np

    from ...theory import deep_linear, scalar_problem

    if {x, y} != {"n_min", "lam"} or not {"M", "n"} <= set(values):
        return []
    fine = np.geomspace(1.0, min(values["n"]), 300)
    depth, others = values["M"], values["n"]
    threshold, samples = scalar_problem.threshold(depth), fine + sum(others)
    found = [deep_linear.equal_decay(threshold, each, samples, depth) for each in _classes(fine, others)]
    label = r"theory: a class collapses, $b_k = \beta_M$"
    return [(label, fine, each) if x == "n_min" else (label, each, fine) for each in found]


CELL = Cell(
    (
        Input("M", integers(1), "number of layers", default=2),
        Input("n", integers(1), "sizes of the other classes", many=True, default="300,300,300"),
        Input("n_min", integers(1), "size of the smallest class", default=30),
        Input("lam", POSITIVE, "decay of all layers and features", default="5e-3"),
        Input("d", integers(1), "width of all layers, 2K by default", optional=True),
        Input("starts", integers(1), "starts of each search", default=24),
    ),
    "minima",
    setting,
    predict,
    (CLAIM,),
    curves,
)


def experiment(
    name: str, paper: str, bias: bool, sizes: str, claims: tuple[str, ...], cell: Cell | None = None
) -> Experiment:
    """The diagram without bias or with one; ``sizes`` are by default those of the other classes."""
    return Experiment(
        name,
        f"Which {'directions' if bias else 'classes'} of {paper} are alive at the minimum, over size and decay, beside "
        "the predicted thresholds",
        (
            Input("M", integers(1), "numbers of layers", many=True, default="1,2,3,6"),
            Input("n", integers(1), "sizes of the other classes", many=True, default=sizes),
            Input("n_min", integers(1), "least size of the smallest class", default=3),
            Input("lam_low", POSITIVE, "least decay", default="3e-4"),
            Input("lam_high", POSITIVE, "largest decay", default="5e-2"),
            Input("columns", integers(1), "sizes of the smallest class", default=16),
            Input("rows", integers(2), "decays", default=24),
            Input("d", integers(1), "width of all layers, 2K by default", optional=True),
            Input("starts", integers(1), "starts of each search", default=24),
        ),
        lambda values: len(values["M"]) * len(_minorities(values)),
        partial(run, bias),
        summary,
        figure,
        lambda numbers: any(diagram["converged"] for diagram in numbers["diagrams"]),
        claims=claims,
        cell=cell,
    )


EXPERIMENT = experiment(
    "minority-collapse",
    "dang2023",
    bias=False,
    sizes="300,300,300",
    claims=("dang2023/minority-collapse", "dang2023/imbalanced-deep"),
    cell=CELL,
)
