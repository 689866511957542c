"""The experiment ``flatness``: norms of the Hessian at neural collapse and at pairs as the decay goes to zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import CIRCLE, COLOURS, STYLE
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Values, echo, to_float
from . import hessian_spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = Fraction(1, 10**100)  # squares of it are floats
NORMS = {"trace": "trace", "frobenius": "Frobenius norm", "norm": "spectral norm"}
STRUCTURES = {"dnc": "DNC", "paired": "pairs"}
BITS = 64
SMALL = 0.5  # decays of which log(1/lam) is a unit


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """At every decay: both structures at their larger critical scale, their Hessians, and the ratios."""
    _check(values)
    points: list[dict[str, Any]] = []
    for decay in sorted(set(values["lam"]), reverse=True):
        found = {name: _structure(values, name, decay, seed) for name in STRUCTURES}
        measured, predicted = (
            {norm: found["dnc"][side][norm] / found["paired"][side][norm] for norm in NORMS}
            for side in ("measured", "predicted")
        )
        points.append({"lam": float(decay), **found, "ratio": measured, "predicted_ratio": predicted})
        progress(f"lam = {float(decay):g}")
    every = [(point["lam"], point[name]) for point in points for name in STRUCTURES]
    stray = [lam for lam, each in every if not each["stationarity"] <= hessian_spectrum.CRITICAL]
    unclear = [lam for lam, each in every if not each["converged"]]
    reasons = [f"not critical at lam = {lam:g}" for lam in stray[:1]]
    reasons += [f"spectrum not decided at lam = {lam:g}" for lam in unclear[:1]]
    return {
        "inputs": echo(values),
        "converged": not reasons,
        **({"reason": "; ".join(reasons)} if reasons else {}),
        "limits": limits(values["K"], values["L"], values["n"]),
        "max_relative_deviation": max(
            abs(each["measured"][norm] / each["predicted"][norm] - 1) for _, each in every for norm in NORMS
        ),
        "points": points,
    }


def limits(classes: int, depth: int, per_class: int) -> dict[str, float]:
    """Of the ratios, DNC over pairs."""
    from ...theory import flatness

    found = flatness.ratios(classes, depth, per_class)
    return {name: float(found["spectral" if name == "norm" else name](BITS)) for name in NORMS}


def _check(values: Values) -> None:
    classes, width = values["K"], values["d"]
    if classes % 2 or classes < 4:
        raise ValueError(f"K (number of classes): expected an even number from 4, got {classes}")
    if width < classes:
        raise ValueError(f"d: expected a width of at least K = {classes}, got {width}")
    size = width * (width * (values["L"] - 1) + classes * (1 + values["n"]))
    if size > hessian_spectrum.MOST:
        raise ValueError(f"expected at most {hessian_spectrum.MOST} parameters, got {size}")
    if min(values["lam"]) < LEAST:
        raise ValueError("lam: expected at least 1e-100")
    for decay in values["lam"]:
        to_float("lam", decay)
        for name in STRUCTURES:
            _scale(values, name, decay)


def _scale(values: Values, name: str, decay: Fraction) -> float:
    """The larger critical scale. Raises ValueError if there is none."""
    from ...theory import logit_scale

    structure = logit_scale.simplex(values["K"]) if name == "dnc" else logit_scale.pairs(values["K"])
    scales = logit_scale.Scaled(structure, values["L"], values["n"], decay).critical(BITS)
    if not scales:
        raise ValueError(f"lam: no scale of {STRUCTURES[name]} is critical at {float(decay):g}; set a smaller one")
    return float(scales[-1].mid())


def _structure(values: Values, name: str, decay: Fraction, seed: int) -> dict[str, Any]:
    import torch

    from ...numerics import landscape, low_rank
    from ...numerics.deep_linear import DeepLinearUFM
    from ...theory import landscape as predicted

    classes, depth, width, per_class = (values[each] for each in ("K", "L", "d", "n"))
    scale, lam = _scale(values, name, decay), float(decay)
    centred = torch.eye(classes, dtype=torch.float64) - 1 / classes
    direction, spectrum = (
        (centred, predicted.dnc_spectrum) if name == "dnc" else (low_rank.paired(classes), predicted.paired_spectrum)
    )
    model = DeepLinearUFM((per_class,) * classes, width, depth, lam, loss="ce")
    factors = hessian_spectrum.collapsed(model, direction, scale, seed)
    found = landscape.spectrum(model, factors, values["dense"], hessian_spectrum.ZERO)
    measured = hessian_spectrum.measured(found.value, lam)
    del measured["eigenvalues"]
    return {
        "scale": scale,
        "stationarity": found.stats.stationarity,
        "converged": found.converged,
        "method": found.stats.method,
        "frobenius_error": found.stats.frobenius_error / lam,
        "measured": measured,
        "predicted": hessian_spectrum.summed(spectrum(classes, depth, width, per_class, scale)),
    }


# ---- text
def summary(numbers: Numbers) -> list[str]:
    """A line for every decay: scales, and the ratios beside the limits."""
    inputs, limit = numbers["inputs"], numbers["limits"]
    method = numbers["points"][0]["dnc"]["method"]
    how = "all eigenvalues" if method == "dense" else "too many parameters for a matrix: from products"
    errors = [point[name]["frobenius_error"] > 0 for point in numbers["points"] for name in STRUCTURES]
    lines = [
        "Hessian norms, DNC over pairs: " + ", ".join(f"{name} = {inputs[name]}" for name in ("K", "L", "d", "n")),
        f"{how}; Frobenius norm {'estimated from random directions' if any(errors) else 'exact'}",
        f"largest relative difference from the closed form  {numbers['max_relative_deviation']:.1e}",
        "lam       alpha     beta      negative  trace     Frobenius  spectral",
    ]
    for point in numbers["points"]:
        negative = "/".join(
            "?" if point[name]["measured"]["negative"] is None else str(point[name]["measured"]["negative"])
            for name in STRUCTURES
        )
        lines.append(
            f"{point['lam']:<8.1e}  {point['dnc']['scale']:<8.4f}  {point['paired']['scale']:<8.4f}  {negative:<8}  "
            f"{point['ratio']['trace']:<8.6f}  {point['ratio']['frobenius']:<9.6f}  {point['ratio']['norm']:<8.6f}"
        )
    lines.append(f"limit{'':<33}{limit['trace']:<8.6f}  {limit['frobenius']:<9.6f}  {limit['norm']:<8.6f}")
    return lines


# ---- figure
def figure(numbers: Numbers) -> Figure:
    """Norms over lam log(1/lam), of both; and their ratios beside the limits."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.0, 3.3), layout="constrained")
        panels = drawn.subplots(1, 2)
        _draw_norms(panels[0], numbers)
        _draw_ratios(panels[1], numbers)
        for letter, panel in zip("ab", panels, strict=True):
            panel.set_xlabel(r"$\log_{10}(1/\lambda)$")
            panel.grid(visible=True, which="major", linewidth=0.3, color="0.9")
            panel.text(-0.02, 1.03, f"({letter})", transform=panel.transAxes, ha="right", va="bottom", weight="bold")
        _legend(drawn)
    return drawn


def _places(points: Sequence[Mapping[str, Any]]) -> list[float]:
    return [-math.log10(point["lam"]) for point in points]


def _draw_norms(panel: Axes, numbers: Numbers) -> None:
    from matplotlib.ticker import LogLocator

    points = [point for point in numbers["points"] if point["lam"] < SMALL]
    for colour, norm in zip(COLOURS, NORMS, strict=False):
        for name, face in (("dnc", colour), ("paired", "white")):
            found, wanted = (
                [point[name][side][norm] / math.log(1 / point["lam"]) for point in points]
                for side in ("measured", "predicted")
            )
            dashes = "-" if name == "dnc" else "--"
            panel.plot(_places(points), wanted, color=colour, linewidth=0.8, linestyle=dashes)
            style = CIRCLE | {"fillstyle": "full", "markerfacecolor": face}
            panel.plot(_places(points), found, color=colour, **style)
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    panel.yaxis.set_minor_formatter("{x:g}")
    panel.set_ylabel(r"norm of the Hessian / $\lambda \log(1/\lambda)$")


def _draw_ratios(panel: Axes, numbers: Numbers) -> None:
    decays = _places(numbers["points"])
    for colour, norm in zip(COLOURS, NORMS, strict=False):
        panel.axhline(numbers["limits"][norm], color=colour, linestyle=":", linewidth=1.0)
        panel.plot(decays, [point["predicted_ratio"][norm] for point in numbers["points"]], color=colour, linewidth=0.8)
        panel.plot(decays, [point["ratio"][norm] for point in numbers["points"]], color=colour, **CIRCLE)
    panel.set_ylabel("DNC over pairs")


def _legend(drawn: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linewidth=1.6, label=says)
        for colour, says in zip(COLOURS, NORMS.values(), strict=False)
    ]
    grey: dict[str, Any] = {"color": "0.3", "linewidth": 0.8, "marker": "o", "markersize": 3.4}
    handles += [
        Line2D([], [], label="DNC: measured, predicted", **grey),
        Line2D([], [], label="pairs", linestyle="--", markerfacecolor="white", **grey),
        Line2D([], [], color="0.3", linewidth=1.0, linestyle=":", label="limit of the ratio"),
    ]
    drawn.legend(handles=handles, loc="outside upper center", ncols=6, columnspacing=1.0, handletextpad=0.5)


EXPERIMENT = Experiment(
    "flatness",
    "Norms of the Hessian at neural collapse and at pairs as the decay goes to zero (garrod2025, theorem 6)",
    (
        Input("K", integers(2), "number of classes, even", default=6),
        Input("L", integers(1), "number of weight matrices", default=2),
        Input("n", integers(1), "samples per class", default=1),
        Input("d", integers(1), "width", default=7),
        Input(
            "lam",
            reals(0, open=True),
            "decays of every factor",
            many=True,
            default="0.02,0.01,1e-3,1e-4,1e-6,1e-8,1e-12,1e-18,1e-26,1e-36,1e-50,1e-70,1e-100",
        ),
        Input("dense", integers(0), "parameters up to which all eigenvalues are found", default=2000),
    ),
    lambda values: len(set(values["lam"])),
    run,
    summary,
    figure,
    claims=("garrod2025/flatness-ratio",),
)
