"""The experiment ``imbalanced-lengths``: lengths found by minimisation, for many class sizes and decays, as predicted.

Nothing of the prediction enters the search: class sizes and decays are drawn at random, minima found from many starts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers
from ..drawing import ASYMPTOTE, CIRCLE, CROSS, LINE, STYLE, Style, colours, frame, key
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, echo
from .critical_points import GRAMS, grams

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLERANCE = 1e-12  # of the scaled gradient norm at which a start has converged
MOST_CLASSES = 8  # that are drawn at random
LARGEST = 200  # size of a class that is drawn at random
MOST_RUNS = 10**6  # starts, of all configurations
SHAPES = ("balanced", "two sizes", "geometric", "independent")


def require_wide(width: int, classes: int) -> None:
    """ValueError for a width below K, of which other claims speak."""
    if width < classes:
        expected = f"expected at least the number of classes, {classes}, got {width}"
        raise ValueError(f"d: {expected}; narrow layers are in dang2023/bottleneck")


def sizes(number: int, seed: int) -> list[tuple[int, ...]]:
    """So many class distributions: equal sizes, two sizes, a geometric tail, and independent ones, in turn."""
    rng = random.Random(seed)
    found: list[tuple[int, ...]] = []
    for index in range(number):
        classes = rng.randint(2, MOST_CLASSES)
        large, small = sorted((_size(rng), _size(rng)), reverse=True)
        share = [k / (classes - 1) for k in range(classes)]
        shape = SHAPES[index % len(SHAPES)]
        if shape == "balanced":
            counts = [large] * classes
        elif shape == "two sizes":
            counts = [large if rng.random() < 0.5 else small for _ in range(classes)]
        elif shape == "geometric":
            counts = [round(large ** (1 - x) * small**x) for x in share]
        else:
            counts = [_size(rng) for _ in range(classes)]
        found.append(tuple(counts))
    return found


def _size(rng: random.Random) -> int:
    return round(math.exp(rng.uniform(math.log(2), math.log(LARGEST))))


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """One search for every number of layers and class distribution, with all decays at once."""
    _check(values)
    distributions = [values["n"]] if "n" in values else sizes(values["distributions"], seed)
    configurations: list[dict[str, Any]] = []
    for depth in values["M"]:
        for index, counts in enumerate(distributions):
            configurations += _searched(values, depth, counts, (1000 * seed + index) % 2**63)
            progress(f"M = {depth}, distribution {index + 1}")
    return {"inputs": echo(values)} | _judged(configurations) | {"configurations": configurations}


def _check(values: Mapping[str, Any]) -> None:
    if not values["lam_low"] <= values["lam_high"]:
        raise ValueError("lam_low: expected a decay of at most lam_high")
    classes = len(values["n"]) if "n" in values else MOST_CLASSES
    require_wide(values.get("d", classes), classes)
    number = 1 if "n" in values else values["distributions"]
    runs = len(values["M"]) * number * values["decays"] * values["starts"]
    if runs > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} runs (layers x distributions x decays x starts), got {runs}")


def _searched(values: Mapping[str, Any], depth: int, counts: tuple[int, ...], seed: int) -> list[dict[str, Any]]:
    """What is found, and predicted, for each of the random decays: lists over classes, in the order of their sizes."""
    import numpy as np
    import torch

    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM
    from ...theory import deep_linear, scalar_problem

    low, high = math.log(values["lam_low"]), math.log(values["lam_high"])
    uniform = np.random.default_rng((seed, depth)).uniform(low, high, (values["decays"], depth + 1))
    decays = np.exp(uniform)
    model = DeepLinearUFM(counts, values.get("d", 2 * len(counts)), depth, 1.0)
    found = minimisation.global_minimum(
        model, seed, values["starts"], decays=torch.from_numpy(decays), tolerance=TOLERANCE
    )
    minima, best = found.value, found.value.best
    found_grams = grams(best.product, best.features)
    configurations = []
    for row, lam in enumerate(decays.tolist()):
        samples, unit = sum(counts), sum(counts) * lam[-1]
        predicted = deep_linear.minimum(deep_linear.one_hot(counts), samples, lam)
        lengths = deep_linear.lengths(predicted.p, samples, lam[-1])
        measured = [gram[row].diagonal().tolist() for gram in found_grams]
        off = [
            float((gram[row] - gram[row].diagonal().diag()).abs().max()) / max(float(gram[row].norm()), size)
            for gram, size in zip(found_grams, (unit, 1 / unit, 1.0), strict=True)
        ]
        configurations.append(
            {
                "M": depth,
                "n": list(counts),
                "decays": lam,
                "converged": bool(minima.certain[row]),
                "gradient_norm": float(found.stats.gradient_norm[row]),
                "hits": int(minima.hits[row]),
                "loss": float(found.stats.loss[row]),
                "predicted_loss": predicted.f_min,
                "p": measured[0],
                "predicted_p": lengths.rows.tolist(),
                "alive": [p > 1e-12 * unit for p in measured[0]],
                "unit": unit,
                "b_over_threshold": (predicted.b / scalar_problem.threshold(depth)).tolist(),
                "deviations": {
                    name: _deviation(one, other.tolist())
                    for name, one, other in zip(GRAMS, measured, lengths, strict=True)
                },
                "off_diagonal": max(off),
                "predicted_converged": predicted.converged,
            }
        )
    return configurations


def _deviation(measured: Sequence[float], predicted: Sequence[float]) -> float:
    """The largest relative deviation of the lengths that are not predicted to be zero; 0 if all are."""
    return max((abs(a / b - 1) for a, b in zip(measured, predicted, strict=True) if b > 0), default=0.0)


def _judged(configurations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The worst of the configurations that converged; the others are counted, and no more."""
    evidence = [each for each in configurations if each["converged"] and each["predicted_converged"]]
    lost = len(configurations) - len(evidence)
    reason = f"{lost} of {len(configurations)} configurations did not converge; they are neither counted nor drawn"
    summary: dict[str, Any] = {
        "converged": lost == 0,
        **({"reason": reason} if lost else {}),
        "number": len(configurations),
        "number_converged": len(evidence),
        "largest_gradient_norm_unconverged": max(
            (each["gradient_norm"] for each in configurations if not each["converged"]), default=None
        ),
    }
    if not evidence:
        return summary
    pairs = [
        (alive, p, predicted, each["unit"])
        for each in evidence
        for alive, p, predicted in zip(each["alive"], each["p"], each["predicted_p"], strict=True)
    ]
    losses = [each["loss"] / each["predicted_loss"] - 1 for each in evidence]
    return summary | {
        "max_relative_deviation": max(max(each["deviations"].values()) for each in evidence),
        "max_relative_deviations": {name: max(each["deviations"][name] for each in evidence) for name in GRAMS},
        "max_off_diagonal": max(each["off_diagonal"] for each in evidence),
        "loss_deviation": {"least": min(losses), "largest": max(losses)},
        "classes": len(pairs),
        "collapsed_predicted": sum(predicted == 0 for _, _, predicted, _ in pairs),
        "collapsed_found": sum(not alive for alive, *_ in pairs),
        "collapse_mismatches": sum(alive != (predicted > 0) for alive, _, predicted, _ in pairs),
        "largest_collapsed": max((p / unit for _, p, predicted, unit in pairs if predicted == 0), default=0.0),
    }


def summary(numbers: Numbers) -> list[str]:
    """What the run found, in a few lines."""
    lines = [
        f"imbalanced lengths: {numbers['number']} configurations, {numbers['number_converged']} converged",
    ]
    if not numbers["number_converged"]:
        return lines
    lines.append(" M  configurations  WW^T     Hbar^T Hbar  W Hbar   (largest relative deviation)")
    for depth in numbers["inputs"]["M"]:
        rows = [each for each in numbers["configurations"] if each["M"] == depth and each["converged"]]
        worst = [max((each["deviations"][name] for each in rows), default=math.nan) for name in GRAMS]
        lines.append(f"{depth:>2}  {len(rows):>14}  {worst[0]:.1e}  {worst[1]:<11.1e}  {worst[2]:.1e}")
    loss = numbers["loss_deviation"]
    return [
        *lines,
        f"least loss found / predicted - 1: from {loss['least']:.1e} to {loss['largest']:.1e}",
        f"off the diagonals, of the norm or the natural unit: at most {numbers['max_off_diagonal']:.1e}",
        f"classes: {numbers['classes']}; collapsed: {numbers['collapsed_found']} found, "
        f"{numbers['collapsed_predicted']} predicted, {numbers['collapse_mismatches']} mismatches",
    ]


# ------------------------------------------------------------------------------------------------------ the figure


def figure(numbers: Numbers) -> Figure:
    """Three panels: measured over predicted lengths, their relative deviation, and x over b on the scale of beta_M."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    evidence = [each for each in numbers["configurations"] if each["converged"] and each["predicted_converged"]]
    depths = numbers["inputs"]["M"]
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.2, 3.0))
        drawn.subplots_adjust(left=0.075, right=0.985, bottom=0.17, top=0.76, wspace=0.4)
        panels = drawn.subplots(1, 3)
        for letter, panel in zip("abc", panels, strict=True):
            frame(panel, letter)
        rows = [(depth, [each for each in evidence if each["M"] == depth]) for depth in depths]
        _draw_lengths(panels[0], rows)
        _draw_deviations(panels[1], rows)
        _draw_transition(panels[2], rows)
        handles = [
            Line2D([], [], label=f"$M = {depth}$", **(SMALL | {"color": colour, "markersize": 3.4}))
            for depth, colour in zip(depths, colours(len(depths)), strict=True)
        ]
        drawn.legend(handles=handles, loc="upper center", ncols=min(8, len(depths)), handletextpad=0.1)
    return drawn


Rows = list[tuple[int, list[Mapping[str, Any]]]]


def _draw_lengths(panel: Axes, rows: Rows) -> None:
    ends: list[float] = []
    for (_, found), colour in zip(rows, colours(len(rows)), strict=True):
        pairs = [(a, b) for each in found for a, b in zip(each["predicted_p"], each["p"], strict=True) if a > 0]
        panel.plot([a for a, _ in pairs], [b for _, b in pairs], color=colour, **SMALL)
        ends += [a for a, _ in pairs]
    if ends:
        line = [min(ends) / 2, max(ends) * 2]
        panel.plot(line, line, zorder=0.5, **ASYMPTOTE)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("predicted $p_k$")
    panel.set_ylabel("measured $p_k = (WW^{\\top})_{kk}$")
    key(panel, ("equal", ASYMPTOTE))


SMALL: Style = CIRCLE | {"markersize": 2.4, "markeredgewidth": 0.5}


def _draw_deviations(panel: Axes, rows: Rows) -> None:
    floor = 2.0**-54  # below, the numbers are equal: drawn at the lower edge
    for (_, found), colour in zip(rows, colours(len(rows)), strict=True):
        pairs = [(a, b) for each in found for a, b in zip(each["predicted_p"], each["p"], strict=True) if a > 0]
        deviations = [max(abs(b / a - 1), floor) for a, b in pairs]
        panel.plot([a for a, _ in pairs], deviations, color=colour, **SMALL)
    panel.axhline(2.0**-52, **ASYMPTOTE)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("predicted $p_k$")
    panel.set_ylabel("|measured / predicted \N{MINUS SIGN} 1|")
    key(panel, ("machine precision $2^{-52}$", ASYMPTOTE))


def _draw_transition(panel: Axes, rows: Rows) -> None:
    """x_k = (p_k/(N lam_H))^{1/M}, zero included, over b_k/beta_M; a class that collapsed is a cross."""
    import numpy as np

    from ...theory import scalar_problem

    ratios = [each["b_over_threshold"] for _, found in rows for each in found]
    if not ratios:
        return
    low, high = max(min(map(min, ratios)), 1e-2) / 1.2, min(max(map(max, ratios)), 1e2) * 1.2
    grid = np.geomspace(min(low, 0.5), max(high, 2.0), 400)
    for (depth, found), colour in zip(rows, colours(len(rows)), strict=True):
        predicted = scalar_problem.minimiser(grid * scalar_problem.threshold(depth), depth).value
        below = grid <= 1
        panel.plot(grid[below], predicted[below], color=colour, **(LINE | {"linewidth": 0.7}))
        for style, alive in ((SMALL, True), (CROSS, False)):
            points = [
                (ratio, (max(p, 0.0) / each["unit"]) ** (1 / depth) if alive else 0.0)
                for each in found
                for ratio, p, lives in zip(each["b_over_threshold"], each["p"], each["alive"], strict=True)
                if lives == alive and low <= ratio <= high
            ]
            panel.plot([a for a, _ in points], [b for _, b in points], color=colour, **(style | {"markersize": 2.4}))
    panel.axvline(1.0, **ASYMPTOTE)
    panel.set_xscale("log")
    panel.set_xlim(grid[0], grid[-1])
    panel.set_ylim(-0.25, None)
    panel.set_xlabel(r"$b_k / \beta_M$")
    panel.set_ylabel(r"$x_k = (p_k / (N \lambda_H))^{1/M}$")
    key(panel, ("predicted", LINE), ("measured", SMALL), (r"$b_k = \beta_M$", ASYMPTOTE), ("collapsed", CROSS))


EXPERIMENT = Experiment(
    "imbalanced-lengths",
    "Lengths of minima of dang2023 for many class sizes and decays beside their closed form",
    (
        Input("M", integers(1), "numbers of layers", many=True, default="1,2,3,4,5,6"),
        Input("n", integers(1), "class sizes, in place of random ones", many=True, optional=True),
        Input("distributions", integers(1), "number of random class distributions", default=12),
        Input("decays", integers(1), "number of random settings of all decays", default=12),
        Input("lam_low", POSITIVE, "least decay", default="3e-4"),
        Input("lam_high", POSITIVE, "largest decay", default="3e-2"),
        Input("d", integers(1), "width of all layers, 2K by default", optional=True),
        Input("starts", integers(1), "starts of each search", default=32),
    ),
    lambda values: len(values["M"]) * (1 if "n" in values else values["distributions"]),
    run,
    summary,
    figure,
    lambda numbers: numbers["number_converged"] > 0,
    claims=("dang2023/imbalanced-lengths", "dang2023/imbalanced-deep"),
)
