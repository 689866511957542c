"""The experiment ``optimality-map``: where deep neural collapse (DNC) is optimal, over K, L and lam.

The status of a cell is what theory proves. The search is evidence only: what it finds counts where its loss, at factors
rounded to rationals, is certified to be less than that of DNC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers
from ..drawing import COLOURS, STYLE, Style
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Values, echo, to_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...theory.optimality import Decision, Factors

OPTIMAL, SUBOPTIMAL, UNDECIDED = "optimal (proved)", "suboptimal (certified)", "undecided"
CONVEX = "tightframe/one-layer-collapse"
TWO_CLASSES = "tightframe/two-classes"
CONTRADICTION = "a search ends below DNC where DNC is proved optimal"
MOST_RUNS = 10**5  # starts, of all cells
MOST_CLASSES, MOST_DEPTH = 40, 40
# Relative: below this a loss of the search is that of DNC. A scaled gradient norm of 1e-10 leaves far less.
SAME = 1e-9
BETWEEN, ROUNDS = 7, 2  # lam between two, searched again between two of these so often
# Of the lam from which on zero wins: from where, and how far down, a crossing is looked for.
TOP, LEAST = Fraction(99, 100), Fraction(1, 10**6)


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """For every K and L: one search for all lam at once, and what is certified at each."""
    _check(values)
    decays = sorted(set(values["lam"]))
    maps: list[dict[str, Any]] = []
    for depth in _ascending(values["L"]):
        for classes in _ascending(values["K"]):
            cells = _cells(values, classes, depth, decays, seed)
            found = _found_crossing(values, classes, depth, cells, seed)
            edges = _edges_in_decay(classes, depth, values["n"])
            maps.append({"K": classes, "L": depth, **edges, "found_crossing": found, "cells": cells})
            progress(f"K = {classes}, L = {depth}")
    every = [cell for each in maps for cell in each["cells"]]
    lost = sum(not cell["certain"] for cell in every)
    reasons = [f"{lost} of {len(every)} searches did not converge; they are marked and not counted"] * (lost > 0)
    reasons += [CONTRADICTION] * any(cell["contradiction"] for cell in every)
    return {
        "inputs": echo(values),
        "converged": not reasons,
        **({"reason": "; ".join(reasons)} if reasons else {}),
        "lam": [to_float("lam", decay) for decay in decays],
        "maps": maps,
    }


def _ascending(numbers: Sequence[int]) -> list[int]:
    return sorted(set(numbers))


def _check(values: Values) -> None:
    for name, most in (("K", MOST_CLASSES), ("L", MOST_DEPTH)):
        if max(values[name]) > most:
            raise ValueError(f"{name}: expected at most {most}, got {max(values[name])}")
    for decay in values["lam"]:
        to_float("lam", decay)
    runs = len(values["K"]) * len(values["L"]) * len(values["lam"]) * values["starts"]
    if runs > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} runs (K x L x lam x starts), got {runs}")


def _edges_in_decay(classes: int, depth: int, per_class: int) -> dict[str, Any]:
    """Theorem 1, from where on zero wins, and where a structure of theory ceases to be better as lam falls."""
    from ...theory import optimality

    zero = optimality.even_with_zero(classes, depth, per_class)
    numbers = {"theorem_1": optimality.covered(classes, depth), "zero_wins_from": float(zero[1]), "crossing": None}
    high = low = zero[0] * TOP
    if numbers["theorem_1"] or not optimality.decide(classes, depth, per_class, high).suboptimal:
        return numbers
    while optimality.decide(classes, depth, per_class, low).suboptimal:
        if low < zero[0] * LEAST:
            return numbers
        high, low = low, low * Fraction(3, 4)
    ends = optimality.crossing(classes, depth, per_class, low, high)
    found = optimality.decide(classes, depth, per_class, ends[1])
    crossing = {"undecided_at": float(ends[0]), "lam": float(ends[1]), "witness": found.witness, "rank": found.rank}
    return numbers | {"crossing": crossing}


# ---- one K and one L
def _cells(
    values: Mapping[str, Any], classes: int, depth: int, decays: Sequence[Fraction], seed: int
) -> list[dict[str, Any]]:
    import torch

    from ...numerics import low_rank
    from ...numerics.deep_linear import DeepLinearUFM

    model = DeepLinearUFM((values["n"],) * classes, classes, depth, 1.0, loss="ce")
    seed = (10**4 * seed + 100 * depth + classes) % 2**63
    lam = torch.tensor([float(decay) for decay in decays], dtype=torch.float64)
    found = low_rank.search(
        model,
        seed,
        widths=(classes,),
        starts=values["starts"],
        decays=lam[:, None].expand(-1, depth + 1),
        iterations=values["iterations"],
    )
    structures = found.value
    # Certain: one start converged, and none, converged or not, ended lower.
    tried = structures.losses.flatten(0, 1)
    tried = torch.where(torch.isfinite(tried), tried, torch.inf)
    certain = found.stats.converged & (tried.amin(dim=0) >= found.stats.loss * (1 - SAME))
    return [
        _cell(
            values["n"],
            depth,
            decay,
            structures.logits[i],
            {
                "loss": float(found.stats.loss[i]),
                "rank": int(structures.rank[i]),
                "hits": int(structures.hits[i]),
                "certain": bool(certain[i]),
            },
        )
        for i, decay in enumerate(decays)
    ]


def _found_crossing(
    values: Mapping[str, Any], classes: int, depth: int, cells: Sequence[Mapping[str, Any]], seed: int
) -> dict[str, Any] | None:
    """Between an undecided lam and the next, at which something better is certified: the same search, closer together.

    Certified at ``lam``; at ``undecided_at`` nothing better was found, which proves nothing.
    """
    pair = _changing(cells)
    if pair is None:
        return None
    for _ in range(ROUNDS):
        low, high = pair
        ratio = (high["lam"] / low["lam"]) ** (1 / (BETWEEN + 1))
        decays = [Fraction(low["lam"] * ratio**i) for i in range(1, BETWEEN + 1)]
        pair = _changing([low, *_cells(values, classes, depth, decays, seed), high]) or pair
    low, high = pair
    return {
        "undecided_at": low["lam"],
        "converged_there": low["certain"],
        "lam": high["lam"],
        "shown_by": high["shown_by"],
        "rank": high["witness_rank"],
    }


def _changing(cells: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The first neighbours of which the upper alone is suboptimal."""
    return next((pair for pair in pairwise(cells) if [c["status"] for c in pair] == [UNDECIDED, SUBOPTIMAL]), None)


def _cell(per_class: int, depth: int, decay: Fraction, logits: Tensor, found: dict[str, Any]) -> dict[str, Any]:
    """What is proved at one lam, next to what the search found."""
    from ...theory import logit_scale, optimality

    classes = len(logits)
    decision = optimality.decide(classes, depth, per_class, decay)
    scale, least = logit_scale.Scaled(logit_scale.simplex(classes), depth, per_class, decay).floats
    factors = rational_factors(logits, found["rank"], depth, per_class)
    certified = factors is not None and optimality.beats_collapse(factors, depth, per_class, decay)
    status, shown_by, rank = _status(decision, certified, found["rank"], depth)
    return {
        "lam": float(decay),
        "status": status,
        "shown_by": shown_by,
        "witness_rank": rank,
        "dnc_loss": least,
        "dnc_scale": scale,
        "found_loss": found["loss"],
        "found_rank": found["rank"],
        "hits": found["hits"],
        "certain": found["certain"],
        "found_certified": certified,
        "found_is_dnc": scale > 0 and found["rank"] == classes - 1 and abs(found["loss"] / least - 1) <= SAME,
        "contradiction": decision.suboptimal is False and (certified or found["loss"] < least * (1 - SAME)),
    }


def _status(decision: Decision, certified: bool, rank: int, depth: int) -> tuple[str, str | None, int | None]:
    """The status, what shows it, and the rank of a better structure: one of theory, or the one that a search found."""
    if decision.suboptimal is False:
        return OPTIMAL, CONVEX if depth == 1 else TWO_CLASSES, None
    if decision.suboptimal:
        return SUBOPTIMAL, decision.witness, decision.rank
    return (SUBOPTIMAL, "found", rank) if certified else (UNDECIDED, None, None)


def rational_factors(logits: Tensor, rank: int, depth: int, per_class: int) -> Factors | None:
    """Balanced factors of the part of so high a rank, rounded to floats, which are rationals; None if not finite."""
    import torch

    from ...theory.optimality import Factors

    if rank < 1 or not bool(torch.isfinite(logits).all()):
        return None
    left, values, right = torch.linalg.svd(logits)
    roots = (values[:rank] * per_class**0.5) ** (1 / (depth + 1))
    last, features = left[:, :rank] * roots, roots[:, None] * right[:rank] / per_class**0.5
    rows = [[[Fraction(x) for x in row] for row in matrix.tolist()] for matrix in (last, features)]
    return Factors(rows[0], [Fraction(x) for x in roots.tolist()], rows[1])


# ---- text
def summary(numbers: Numbers) -> list[str]:
    """A line for every K and L: a letter and the rank of what was found for every lam, and the crossings."""
    inputs, decays = numbers["inputs"], numbers["lam"]
    lines = [
        f"cross-entropy, deep linear, n = {inputs['n']}; {inputs['starts']} starts a cell",
        " L   K  thm 1  "
        + "".join(f"{f'lam {decay:g}':<13}" for decay in decays)
        + "zero from  better than DNC from lam",
    ]
    for each in numbers["maps"]:
        cells = "".join(f"{_word(cell):<13}" for cell in each["cells"])
        found = each["crossing"]
        crossing = f"{found['lam']:.8g} ({found['witness']})" if found else "-"
        found = each["found_crossing"]
        crossing += f"; by search {found['lam']:.4g} (rank {found['rank']})" if found else ""
        lines.append(
            f"{each['L']:>2}  {each['K']:>2}  {'yes' if each['theorem_1'] else '-':<5}  {cells}"
            f"{each['zero_wins_from']:<9.4g}  {crossing}"
        )
    every = [cell for each in numbers["maps"] for cell in each["cells"]]
    counts = ", ".join(f"{sum(c['status'] == s for c in every)} {s}" for s in (OPTIMAL, SUBOPTIMAL, UNDECIDED))
    below = [c for c in every if c["certain"] and c["found_loss"] < c["dnc_loss"] * (1 - SAME)]
    return [
        *lines,
        "O optimal (proved), S suboptimal (certified), Z so by zero, U undecided; rank and loss of the best found;",
        "* better than DNC, and not certified; (rank) worse than DNC or zero; ? the search did not converge",
        f"{len(every)} cells: {counts}",
        f"search converged in {sum(c['certain'] for c in every)}; below DNC in {len(below)} of them, "
        f"certified with the factors found in {sum(c['found_certified'] for c in below)}",
    ]


def _word(cell: Mapping[str, Any]) -> str:
    return f"{_letter(cell)} {_rank(cell)} {cell['found_loss']:.5f}" if cell["certain"] else f"{_letter(cell)} ?"


def _rank(cell: Mapping[str, Any]) -> str:
    """Of what the search found, marked where it is no better than what is known, or better but not certified."""
    if not cell["certain"]:
        return "?"
    if cell["found_loss"] > cell["dnc_loss"] * (1 + SAME):
        return f"({cell['found_rank']})"
    better = cell["found_loss"] < cell["dnc_loss"] * (1 - SAME)
    return f"{cell['found_rank']}{'*' * (better and cell['status'] == UNDECIDED)}"


def _letter(cell: Mapping[str, Any]) -> str:
    if cell["status"] == SUBOPTIMAL:
        return "S" if cell["witness_rank"] else "Z"
    return "O" if cell["status"] == OPTIMAL else "U"


# ---- figure
KINDS: Mapping[str, tuple[str, Style]] = {
    "O": ("DNC optimal (proved)", {"facecolor": COLOURS[5]}),
    "S": ("suboptimal (certified)", {"facecolor": COLOURS[4], "hatch": "////"}),
    "Z": ("suboptimal: zero is better (certified)", {"facecolor": "0.8", "hatch": "...."}),
    "U": ("undecided", {"facecolor": "white"}),
}
CELL: Style = {"edgecolor": "0.55", "linewidth": 0.3}
REGION: Style = {"color": COLOURS[0], "linewidth": 1.8}
CROSSED: Style = {"color": COLOURS[1], "linewidth": 1.6}
FOUND: Style = {"color": COLOURS[2], "linewidth": 1.6, "linestyle": (0, (1, 0.7))}
ZERO: Style = {"color": "0.1", "linewidth": 0.9, "linestyle": (0, (2, 1))}


def figure(numbers: Numbers) -> Figure:
    """A panel a depth: K against lam, with the rank of the best structure found in each cell."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    depths = _ascending([each["L"] for each in numbers["maps"]])
    columns = min(3, len(depths))
    rows = -(-len(depths) // columns)
    with mpl.rc_context({**STYLE, "hatch.linewidth": 0.4}):
        drawn = Figure(figsize=(max(5.4, 0.5 + 2.5 * columns), 1.0 + 2.3 * rows), layout="constrained")
        panels = drawn.subplots(rows, columns, squeeze=False).flatten()
        for panel in panels[len(depths) :]:
            panel.remove()
        for panel, depth in zip(panels, depths, strict=False):
            _draw(panel, numbers, depth)
        _legend(drawn, numbers, columns)
    return drawn


def _bounds(decays: Sequence[float]) -> list[float]:
    """Edges of cells, half-way between decays on a logarithmic scale."""
    inner = [(a * b) ** 0.5 for a, b in pairwise(decays)]
    if not inner:
        return [decays[0] / 3, decays[0] * 3]
    return [decays[0] ** 2 / inner[0], *inner, decays[-1] ** 2 / inner[-1]]


def _draw(panel: Axes, numbers: Numbers, depth: int) -> None:
    from matplotlib.patches import Rectangle

    bounds = _bounds(numbers["lam"])
    found = [each for each in numbers["maps"] if each["L"] == depth]
    for x, each in enumerate(found):
        for cell, low, high in zip(each["cells"], bounds[:-1], bounds[1:], strict=True):
            _, style = KINDS[_letter(cell)]
            panel.add_patch(Rectangle((x - 0.5, low), 1, high - low, **CELL, **style))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
            panel.text(x, cell["lam"], _rank(cell), ha="center", va="center", fontsize=6.5, bbox=box)
        ends = [x - 0.5, x + 0.5]
        if bounds[0] < each["zero_wins_from"] < bounds[-1]:
            panel.plot(ends, [each["zero_wins_from"]] * 2, **ZERO)
        if each["crossing"]:
            panel.plot(ends, [each["crossing"]["lam"]] * 2, **CROSSED)
        if each["found_crossing"]:
            panel.plot(ends, [each["found_crossing"]["lam"]] * 2, **FOUND)
    covered = [x for x, each in enumerate(found) if each["theorem_1"]]
    if covered:
        corner, width = (min(covered) - 0.46, bounds[0] * 1.03), max(covered) - min(covered) + 0.92
        panel.add_patch(
            Rectangle(
                corner,
                width,
                bounds[-1] / 1.03 - corner[1],
                fill=False,
                edgecolor=REGION["color"],
                linewidth=REGION["linewidth"],
                zorder=3,
            )
        )
    panel.set_yscale("log")
    panel.set_xlim(-0.5, len(found) - 0.5)
    panel.set_ylim(bounds[0], bounds[-1])
    panel.set_xticks(range(len(found)), [str(each["K"]) for each in found])
    panel.tick_params(length=0, axis="x")
    panel.set_xlabel("classes $K$")
    panel.set_ylabel(r"decay $\lambda$")
    panel.set_title(f"$L = {depth}$")


def _legend(drawn: Figure, numbers: Numbers, columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    letters = {_letter(cell) for each in numbers["maps"] for cell in each["cells"]}
    handles: list[Any] = [Patch(label=says, **CELL, **style) for key, (says, style) in KINDS.items() if key in letters]
    handles += [
        Line2D([], [], label="covered by theorem 1", **REGION),
        Line2D([], [], label="a known structure beats DNC above", **CROSSED),
        Line2D([], [], label="so does one found by search", **FOUND),
        Line2D([], [], label="zero beats DNC above", **ZERO),
        Line2D(
            [],
            [],
            linestyle="none",
            marker="$2$",
            color="0.1",
            markersize=4,
            label="rank of the best found; (2): worse than DNC or zero",
        ),
    ]
    drawn.legend(
        handles=handles, loc="outside upper center", ncols=max(2, columns), columnspacing=1.2, handlelength=1.8
    )


EXPERIMENT = Experiment(
    "optimality-map",
    "Where deep neural collapse is optimal, suboptimal or undecided, over K, L and lam (garrod2025, theorem 1)",
    (
        Input("K", integers(2), "numbers of classes", many=True, default="2,3,4,5,6,7,8,9,10,11,12"),
        Input("L", integers(1), "numbers of weight matrices", many=True, default="1,2,3,4,5,6"),
        Input("lam", POSITIVE, "decays of every factor", many=True, default="0.0003,0.001,0.01,0.1"),
        Input("n", integers(1), "samples per class", default=1),
        Input("starts", integers(2), "starts of each search", default=6),
        Input("iterations", integers(1), "most iterations of a start", default=400),
    ),
    lambda values: len(set(values["K"])) * len(set(values["L"])),
    run,
    summary,
    figure,
    lambda numbers: any(cell["certain"] for each in numbers["maps"] for cell in each["cells"]),
    claims=("garrod2025/dnc-suboptimal", "tightframe/one-layer-collapse", "tightframe/two-classes"),
)
