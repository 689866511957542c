"""The experiment ``garrod2025-figure1``: gradient descent that ends at DNC, and that ends at a lower rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import COLOURS, STYLE
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Values, to_float
from .descents import at_dnc, ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors
    from ...numerics.descent import Checkpoints

GROUP = 4  # runs between two signs of progress
EARLY, POINTS = 1000, 500  # the iterations of which every tenth is recorded, and records of all of them
# Largest relative difference of the end of a curve from that of the run in its batch.
SAME = 1e-9
MOST = 10**7  # entries of all factors of all runs


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """All runs from one scale of starts, to critical points; the curves of two of them."""
    from ...numerics import initialisers, low_rank
    from ...numerics.deep_linear import DeepLinearUFM

    classes, depth, width = values["K"], values["L"], values["d"]
    decay, rate, scale = (to_float(name, values[name]) for name in ("lam", "rate", "scale"))
    _check(values)
    inputs = {name: values[name] for name in ("K", "n", "L", "d", "runs")}
    inputs |= {"lam": decay, "rate": rate, "scale": scale}
    model = DeepLinearUFM((values["n"],) * classes, width, depth, decay, loss="ce")
    start = initialisers.gaussian(model, seed, scale, (values["runs"],))
    runs, points = ends(model, start, rate, GROUP, progress)
    matrices = low_rank.logits(model, points)
    best = {}
    for name, direction in (("dnc", _centring(classes)), ("paired", low_rank.paired(classes))):
        found = low_rank.best_scale(model, direction)
        best[name] = {"loss": float(found.value.loss), "scale": float(found.value.scale), "converged": found.converged}
    numbers: Numbers = {"inputs": inputs, "best": best, "zero_loss": model.zero_loss(matrices), "runs": runs}
    chosen = _chosen(runs, classes)
    if isinstance(chosen, str):
        return numbers | {"converged": False, "reason": chosen}
    curves: dict[str, Any] = {}
    for name, index in chosen.items():
        curve = _curve(model, start.map(lambda tensor, i=index: tensor[i]), runs[index]["iterations"], rate)
        curves[name] = curve | {
            "run": index,
            "logits": matrices[index].tolist(),
            "singular_values": low_rank.sample_values(model, matrices[index]).tolist(),
            "rank": runs[index]["rank"],
        }
        progress(f"curve of {name}")
    apart = max(abs(curve["loss"][-1] / runs[curve["run"]]["loss"] - 1) for curve in curves.values())
    if apart > SAME:
        return numbers | {"converged": False, "reason": f"a run made again ends elsewhere, by {apart:.1e} of its loss"}
    return numbers | {"converged": True, "curves": curves}


def _check(values: Values) -> None:
    if values["d"] < values["K"]:
        raise ValueError(f"d: expected a width of at least K = {values['K']}, got {values['d']}")
    entries = values["d"] * (values["d"] * (values["L"] - 1) + values["K"] * (1 + values["n"]))
    if values["runs"] * entries > MOST:
        raise ValueError(f"expected at most {MOST:.0e} entries of the factors of all runs")


def _centring(classes: int) -> Tensor:
    """I - 11^T/K."""
    import torch

    return torch.eye(classes, dtype=torch.float64) - 1 / classes


def _chosen(runs: list[dict[str, Any]], classes: int) -> dict[str, int] | str:
    """The runs to draw: of those at DNC and those of lower rank the shortest, and of the latter of the least rank."""
    ended = [(index, each) for index, each in enumerate(runs) if each["converged"]]
    dnc = [(each["iterations"], index) for index, each in ended if at_dnc(each, classes)]
    low = [(each["rank"], each["iterations"], index) for index, each in ended if 0 < each["rank"] < classes - 1]
    if dnc and low:
        return {"dnc": min(dnc)[-1], "low_rank": min(low)[-1]}
    missing = "at DNC" if not dnc else "at a lower rank"
    left = len(runs) - len(ended)
    unended = f"; {left} did not converge" if left else ""
    return f"of {len(runs)} runs none ended {missing}{unended}; set another scale or more runs"


def _curve(model: DeepLinearUFM, start: Factors, iterations: int, rate: float) -> dict[str, list[Any]]:
    """Loss and scaled gradient norm along a run: densely at first."""
    from ...numerics import descent

    def measure(checkpoints: Checkpoints) -> dict[str, Tensor]:
        factors = checkpoints.factors
        return {"loss": model.objective(factors), "gradient_norm": model.gradient_norm(model.gradient(factors))}

    points: dict[int, tuple[float, float]] = {}
    early = min(EARLY, iterations)
    for steps, record in ((early, max(1, early // 100)), (iterations, max(1, iterations // POINTS))):
        found = descent.measured_descent(model, start, steps, rate, measure, record=record).value
        rows = zip(*(found[name].tolist() for name in ("iterations", "loss", "gradient_norm")), strict=True)
        points |= {int(at): (loss, norm) for at, loss, norm in rows}
    order = sorted(points)
    return {
        "iterations": order,
        "loss": [points[at][0] for at in order],
        "gradient_norm": [points[at][1] for at in order],
    }


def summary(numbers: Numbers) -> list[str]:
    """What the runs found, in a few lines."""
    inputs = numbers["inputs"]
    names = ("K", "n", "L", "d", "lam", "rate", "scale")
    lines = ["cross-entropy, deep linear: " + ", ".join(f"{name} = {inputs[name]:g}" for name in names)]
    ended = [each for each in numbers["runs"] if each["converged"]]
    lines.append(f"runs at critical points  {len(ended)} of {len(numbers['runs'])}")
    for rank in sorted({each["rank"] for each in ended}):
        losses = [each["loss"] for each in ended if each["rank"] == rank]
        lines.append(f"  of rank {rank}: {len(losses)}, loss {min(losses):.8f} to {max(losses):.8f}")
    best = numbers["best"]
    lines.append(f"at its best scale        DNC {best['dnc']['loss']:.8f}, paired {best['paired']['loss']:.8f}")
    return lines


def figure(numbers: Numbers) -> Figure:
    """The loss curves, and the logits of the class means of the two ends."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.2, 2.6), layout="constrained")
        panels = drawn.subplots(1, 3, width_ratios=(1.5, 1, 1))
        curves = numbers["curves"]
        _draw_losses(panels[0], numbers)
        largest = max(abs(x) for curve in curves.values() for row in curve["logits"] for x in row)
        images = [
            _draw_logits(panel, name, curves[name], largest) for panel, name in zip(panels[1:], TITLES, strict=True)
        ]
        drawn.colorbar(images[0], ax=panels[1:], shrink=0.75, pad=0.02, label="logit")
        for letter, panel in zip("abc", panels, strict=True):
            panel.text(-0.02, 1.03, f"({letter})", transform=panel.transAxes, ha="right", va="bottom", weight="bold")
    return drawn


TITLES = {"dnc": "DNC", "low_rank": "lower rank"}


def _draw_losses(panel: Axes, numbers: Numbers) -> None:
    curves, levels = numbers["curves"], [each["loss"] for each in numbers["best"].values()]
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        thousands = [at / 1000 for at in curve["iterations"]]
        panel.plot(thousands, curve["loss"], color=colour, label=f"{TITLES[name]}, rank {curve['rank']}")
    for (name, best), dashes in zip(numbers["best"].items(), ("--", ":"), strict=True):
        label = f"best {'DNC' if name == 'dnc' else 'paired structure'}"
        panel.axhline(best["loss"], color="0.35", linestyle=dashes, linewidth=0.9, label=label)
    ends = [curve["loss"][-1] for curve in curves.values()]
    low, high = min(levels + ends), max(levels + ends)
    panel.set_ylim(low - 0.15 * (high - low), high + 1.5 * (high - low))  # the first descent leaves it
    panel.set_xlabel("iterations of gradient descent, thousands")
    panel.set_ylabel("loss")
    panel.grid(visible=True, which="major", linewidth=0.3, color="0.85")
    panel.legend(loc="upper right")


def _draw_logits(panel: Axes, name: str, curve: Mapping[str, Any], largest: float) -> Any:
    order = _side_by_side(curve["logits"])
    shown = [[curve["logits"][row][column] for column in order] for row in order]
    image = panel.imshow(shown, cmap="RdBu_r", vmin=-largest, vmax=largest)
    panel.set_title(f"{TITLES[name]}, rank {curve['rank']}")
    panel.set_xlabel("class mean")
    panel.set_ylabel("logit of class")
    panel.set_xticks(range(len(order)), [str(k + 1) for k in order], fontsize=6)
    panel.set_yticks(range(len(order)), [str(k + 1) for k in order], fontsize=6)
    for side in ("top", "right"):
        panel.spines[side].set_visible(True)
    return image


def _side_by_side(logits: list[list[float]]) -> list[int]:
    """The classes in an order where each stands beside the one that is most its opposite."""
    left, order = list(range(len(logits))), list[int]()
    while left:
        first = left.pop(0)
        order.append(first)
        if left:
            partner = min(left, key=lambda k: logits[k][first] + logits[first][k])
            opposed = logits[partner][first] + logits[first][partner]
            if opposed < -0.5 * logits[first][first]:
                left.remove(partner)
                order.append(partner)
    return order


EXPERIMENT = Experiment(
    "garrod2025-figure1",
    "Gradient descent that ends at DNC, and that ends at a lower rank, with the logits of both (garrod2025, figure 1)",
    (
        Input("K", integers(3), "number of classes", default=10),
        Input("n", integers(1), "samples per class", default=5),
        Input("L", integers(2), "number of weight matrices", default=2),
        Input("d", integers(1), "width", default=70),
        Input("lam", reals(0, open=True), "decay of every factor", default="1/1024"),
        Input("rate", reals(0, open=True), "learning rate", default="1/2"),
        Input("scale", reals(0, open=True), "standard deviation of the entries at the start", default="0.2"),
        Input("runs", integers(1), "starts", default=8),
    ),
    lambda values: math.ceil(values["runs"] / GROUP) + 2,
    run,
    summary,
    figure,
    claims=("garrod2025/dnc-suboptimal",),
)
