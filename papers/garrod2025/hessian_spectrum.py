"""The experiment ``hessian-spectrum``: eigenvalues of the Hessian at neural collapse along its scale, beside theory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import COLOURS, STYLE
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Values, echo, to_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors

LARGEST = 300  # alpha: e^alpha and its squares are floats
MOST = 2 * 10**5  # parameters
CRITICAL = 1e-10  # relative gradient; rounding leaves about 1e-14 alpha
ZERO = 1e-9  # of the largest eigenvalue: up to here one counts as zero, or not negative
SAME = 1e-7  # of the largest eigenvalue: nearer ones are one in the figure
FINE = 200  # scales of a drawn line


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """At every scale: the decay that makes the point critical, and the spectrum there, found and predicted."""
    _check(values)
    scales = [to_float("alpha", scale) for scale in sorted(set(values["alpha"]))]
    points = []
    for scale in scales:
        points.append(_point(values, scale, seed))
        progress(f"alpha = {scale:g}")
    stray = [point["alpha"] for point in points if not point["stationarity"] <= CRITICAL]
    unclear = [point["alpha"] for point in points if not point["converged"]]
    reasons = [f"not critical at alpha = {each:g}" for each in stray[:1]]
    reasons += [f"spectrum not decided at alpha = {each:g}" for each in unclear[:1]]
    deviations = [point["deviation"] for point in points if point["deviation"] is not None]
    return {
        "inputs": echo(values),
        "converged": not reasons,
        **({"reason": "; ".join(reasons)} if reasons else {}),
        "method": points[0]["method"],
        "parameters": points[0]["parameters"],
        "zero": ZERO,
        "threshold": threshold(values["K"], values["L"], values["d"], values["n"]),
        "max_relative_deviation": max(deviations, default=None),
        "points": points,
    }


def _check(values: Values) -> None:
    if values["d"] < values["K"]:
        raise ValueError(f"d: expected a width of at least K = {values['K']}, got {values['d']}")
    if max(values["alpha"]) > LARGEST:
        raise ValueError(f"alpha: expected at most {LARGEST}, got {float(max(values['alpha'])):g}")
    size = values["d"] * (values["d"] * (values["L"] - 1) + values["K"] * (1 + values["n"]))
    if size > MOST:
        raise ValueError(f"expected at most {MOST} parameters, got {size}")


def threshold(classes: int, depth: int, width: int, per_class: int) -> float | None:
    """The least alpha from which on theory has no negative eigenvalue; None if that is so for all."""
    from ...theory import landscape

    def indefinite(scale: float) -> bool:
        values = [value for value, _ in landscape.dnc_spectrum(classes, depth, width, per_class, scale)]
        return min(values) < -1e-12 * max(values)

    low, high = 1e-3, float(2 * classes)
    if not indefinite(low):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if indefinite(middle) else (low, middle)
    return high


def collapsed(model: DeepLinearUFM, direction: Tensor, scale: float, seed: int) -> Factors:
    """Balanced factors, between random frames, of the logits scale times the direction of class means."""
    import torch

    from ...numerics import initialisers

    counts = torch.tensor(model.class_counts)
    return initialisers.factorised(model, torch.repeat_interleave(scale * direction, counts, dim=-1), seed)


def _point(values: Values, scale: float, seed: int) -> dict[str, Any]:
    import torch

    from ...numerics import landscape
    from ...numerics.deep_linear import DeepLinearUFM
    from ...theory import landscape as predicted

    classes, depth, width, per_class = (values[name] for name in ("K", "L", "d", "n"))

    def model(decay: float) -> DeepLinearUFM:
        return DeepLinearUFM((per_class,) * classes, width, depth, decay, loss="ce")

    centred = torch.eye(classes, dtype=torch.float64) - 1 / classes
    factors = collapsed(model(1.0), centred, scale, seed)
    decay = landscape.Hessian(model(1.0), factors).critical_decay
    found = landscape.spectrum(model(decay), factors, values["dense"], ZERO)
    wanted = predicted.dnc_spectrum(classes, depth, width, per_class, scale)
    numbers = {
        "alpha": scale,
        "lam": decay,
        "stationarity": found.stats.stationarity,
        "converged": found.converged,
        "method": found.stats.method,
        "parameters": found.stats.parameters,
        "measured": measured(found.value, decay),
        "predicted": summed(wanted),
    }
    numbers["deviation"] = _deviation(numbers["measured"], numbers["predicted"], wanted)
    return numbers


def measured(found: Any, decay: float) -> dict[str, Any]:
    """A spectrum in units of the decay, as JSON."""
    every = None if found.eigenvalues is None else (found.eigenvalues / decay).tolist()
    numbers = {name: getattr(found, name) / decay for name in ("least", "largest", "trace", "frobenius", "norm")}
    clean = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    negative = None if every is None else sum(value < -ZERO * numbers["norm"] for value in every)
    return clean | {"nullity": found.nullity, "negative": negative, "eigenvalues": every}


def summed(spectrum: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """The same of values and multiplicities, without the list."""
    least, largest = spectrum[0][0], spectrum[-1][0]
    norm = max(-least, largest)
    return {
        "least": least,
        "largest": largest,
        "trace": math.fsum(value * count for value, count in spectrum),
        "frobenius": math.sqrt(math.fsum(value**2 * count for value, count in spectrum)),
        "norm": norm,
        "nullity": sum(count for value, count in spectrum if abs(value) <= ZERO * norm),
        "negative": sum(count for value, count in spectrum if value < -ZERO * norm),
    }


def _deviation(found: Mapping[str, Any], wanted: Mapping[str, Any], spectrum: Sequence[tuple[float, int]]) -> Any:
    """The largest difference over the largest eigenvalue by size; of norms, over themselves. None if one is missing."""
    if found["eigenvalues"] is None:
        names = ("least", "largest", "trace", "frobenius")
        if any(found[name] is None for name in names):
            return None
        units = {name: wanted["norm"] if name in ("least", "largest") else wanted[name] for name in names}
        return max(abs(found[name] - wanted[name]) / units[name] for name in names)
    every = [value for value, count in spectrum for _ in range(count)]
    if len(every) != len(found["eigenvalues"]):
        return None
    return max(abs(x - y) for x, y in zip(found["eigenvalues"], every, strict=True)) / wanted["norm"]


# ---- text
def summary(numbers: Numbers) -> list[str]:
    """A line for every scale."""
    inputs = numbers["inputs"]
    names = ("K", "L", "d", "n")
    how = "all eigenvalues" if numbers["method"] == "dense" else "too many parameters for a matrix: from products"
    threshold = numbers["threshold"]
    from_where = "for every alpha" if threshold is None else f"from alpha = {threshold:.6g} on"
    lines = [
        "Hessian at neural collapse, in units of lam: " + ", ".join(f"{name} = {inputs[name]}" for name in names),
        f"{numbers['parameters']} parameters; {how}; zero up to {numbers['zero']:g} of the largest",
        f"predicted: positive semi-definite {from_where}",
        "  alpha  lam         gradient   least      predicted  negative   nullity    largest    max difference",
    ]
    return [*lines, *(_line(point) for point in numbers["points"])]


def _line(point: Mapping[str, Any]) -> str:
    found, wanted = point["measured"], point["predicted"]

    def number(value: float | None) -> str:
        return f"{'?' if value is None else f'{value + 0.0:.6f}':<11}"

    def count(name: str) -> str:
        return f"{'?' if found[name] is None else found[name]!s:>4} ({wanted[name]})"

    least = 0.0 if found["least"] is not None and abs(found["least"]) < 5e-7 else found["least"]
    expected = 0.0 if abs(wanted["least"]) < 5e-7 else wanted["least"]
    apart = "?" if point["deviation"] is None else f"{point['deviation']:.1e}"
    return (
        f"{point['alpha']:7.4g}  {point['lam']:<11.4e} {point['stationarity']:<10.1e} {number(least)}{number(expected)}"
        f"{count('negative'):<11}{count('nullity'):<11}{number(found['largest'])}{apart}"
    )


# ---- figure
def figure(numbers: Numbers) -> Figure:
    """All eigenvalues along the scale, measured and predicted; and those around zero."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    inputs = numbers["inputs"]
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.0, 3.3), layout="constrained")
        panels = drawn.subplots(1, 2)
        lines = _lines(numbers)
        for letter, panel in zip("ab", panels, strict=True):
            _draw(panel, numbers, lines)
            panel.text(-0.02, 1.03, f"({letter})", transform=panel.transAxes, ha="right", va="bottom", weight="bold")
        largest = max(value for _, line in lines for value in line)
        panels[0].set_ylim(-0.06 * largest - inputs["L"], 1.06 * largest)
        panels[1].set_ylim(-(inputs["L"] - 1) * 1.15 - 0.5, 3.5)
        panels[0].set_title("all")
        panels[1].set_title("around zero")
        panels[0].set_ylabel(r"eigenvalue of the Hessian / $\lambda$")
        _legend(drawn, numbers)
    return drawn


def _lines(numbers: Numbers) -> list[tuple[list[float], list[float]]]:
    """Different curves of ordered eigenvalues, as predicted."""
    from ...theory import landscape

    inputs = numbers["inputs"]
    scales = [point["alpha"] for point in numbers["points"]]
    low, high = (0.9 * scales[0], 1.1 * scales[0]) if len(scales) == 1 else (scales[0], scales[-1])
    grid = [low + (high - low) * i / FINE for i in range(FINE + 1)]
    columns: list[list[float]] = []
    for scale in grid:
        spectrum = landscape.dnc_spectrum(inputs["K"], inputs["L"], inputs["d"], inputs["n"], scale)
        columns.append([value for value, count in spectrum for _ in range(count)])
    different = dict.fromkeys(zip(*columns, strict=True))
    return [(grid, list(line)) for line in different]


KINDS = {"negative": (COLOURS[1], "v"), "zero": ("0.1", "s"), "positive": (COLOURS[0], "o")}


def _distinct(point: Mapping[str, Any]) -> list[float]:
    """The eigenvalues found, those that are the same once; only the extreme ones of products."""
    found = point["measured"]
    every = found["eigenvalues"]
    if every is None:
        return [value for value in (found["least"], found["largest"]) if value is not None]
    kept: list[float] = []
    for value in every:
        if not kept or value - kept[-1] > SAME * found["norm"]:
            kept.append(value)
    return kept


def _draw(panel: Axes, numbers: Numbers, lines: Sequence[tuple[list[float], list[float]]]) -> None:
    for grid, line in lines:
        panel.plot(grid, line, color="0.6", linewidth=0.7, zorder=1)
    if numbers["threshold"] is not None:
        panel.axvline(numbers["threshold"], color=COLOURS[2], linestyle="--", linewidth=1.0, zorder=0)
    places: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for point in numbers["points"]:
        unit = ZERO * (point["measured"]["norm"] or 1.0)
        for value in _distinct(point):
            kind = "negative" if value < -unit else "zero" if value <= unit else "positive"
            places[kind].append((point["alpha"], value))
    for kind, (colour, marker) in KINDS.items():
        panel.plot(
            [x for x, _ in places[kind]],
            [y for _, y in places[kind]],
            linestyle="none",
            marker=marker,
            markersize=2.6,
            fillstyle="none",
            markeredgewidth=0.7,
            color=colour,
            zorder=2,
        )
    panel.set_xlabel(r"scale $\alpha$ of the logits")
    panel.grid(visible=True, which="major", linewidth=0.3, color="0.9")


def _legend(drawn: Figure, numbers: Numbers) -> None:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markersize": 3.4, "fillstyle": "none", "markeredgewidth": 0.7}
    handles = [
        Line2D([], [], marker=marker, color=colour, label=f"measured, {kind}", **style)
        for kind, (colour, marker) in KINDS.items()
    ]
    handles.append(Line2D([], [], color="0.6", linewidth=0.9, label="predicted"))
    if numbers["threshold"] is not None:
        label = rf"$\alpha = {numbers['threshold']:.4g}$: none negative from here on"
        handles.append(Line2D([], [], color=COLOURS[2], linestyle="--", linewidth=1.0, label=label))
    drawn.legend(handles=handles, loc="outside upper center", ncols=5, columnspacing=1.2, handletextpad=0.4)


EXPERIMENT = Experiment(
    "hessian-spectrum",
    "Eigenvalues of the Hessian at neural collapse along its scale, beside their closed form (garrod2025, theorem 4)",
    (
        Input("K", integers(2), "number of classes", default=5),
        Input("L", integers(1), "number of weight matrices", default=3),
        Input("n", integers(1), "samples per class", default=2),
        Input("d", integers(1), "width", default=6),
        Input(
            "alpha",
            reals(0, open=True),
            "scales of the logits",
            many=True,
            default="0.25,0.5,0.75,1,1.25,1.5,1.75,2,2.25,2.4,2.5,2.6,2.75,3,3.25,3.5,3.75,4,4.25,4.5,4.75,5",
        ),
        Input("dense", integers(0), "parameters up to which all eigenvalues are found", default=2000),
    ),
    lambda values: len(set(values["alpha"])),
    run,
    summary,
    figure,
    claims=("garrod2025/dnc-psd", "tightframe/dnc-spectrum"),
)
