"""The experiment ``low-rank-heads``: cross-entropy, linear layers behind a trained backbone, beside neural collapse.

Linear layers and features have one decay, as in the deep model of unconstrained features, and the loss is that model's.
It is compared with the least loss of deep neural collapse, and the rank of the logits of the class means with K - 1.
Backbones end in ReLU: features are not negative, so that the loss is no less than that of free features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers
from .. import real_networks
from ..drawing import ASYMPTOTE, COLOURS, LINE, STYLE, Style, frame, key
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, echo
from .losses import predict_simplex

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from ...numerics.training import CollapseTracker

METRICS = ("accuracy", "loss", "effective_rank", "logit_rank", "nc1_pinv", "etf_distance")
RELATIVE = 0.05  # of the largest: singular values of logits above it count, while others still decay


def measure(
    training: real_networks.Training, network: nn.Sequential, tracker: CollapseTracker, counts: tuple[int, ...]
) -> dict[str, float | None]:
    """The loss of the model of unconstrained features; rank and geometry of the centred logits of class means."""
    import torch

    from ...numerics import fitting, frames, linalg, low_rank, networks, statistics

    moments, inputs = tracker.moments["backbone"], training.inputs
    logits = networks.linear_product(network).to(moments.means) @ moments.means
    values = linalg.singular_values(logits - logits.mean(dim=0))
    alive = bool(values[0] > 0)
    [(pixels, labels)] = tracker.loader
    recipe = fitting.Recipe("ce", inputs["lam"], inputs["lam"])
    with torch.no_grad():
        loss = fitting.objective(network, pixels, labels, recipe, len(labels))
    linear = [*network.get_submodule("linear").parameters(), *network.get_submodule("head").parameters()]
    return {
        "accuracy": tracker.series("accuracy")[1][-1],
        "loss": float(loss) + inputs["lam"] / 2 * sum(float(weight.detach().square().sum()) for weight in linear),
        "effective_rank": float(statistics.effective_rank(values)) if alive else None,
        "logit_rank": float(low_rank.numerical_rank(values, rtol=RELATIVE)),
        "nc1_pinv": tracker.series("nc1_pinv", "backbone")[1][-1],
        "etf_distance": float(frames.frame_deviation(logits - logits.mean(dim=0), "etf")) if alive else None,
    }


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """All trainings, and the least loss of neural collapse for every number of layers."""
    with_decay = dict(values) | {"lam_H": values["lam"]}
    real_networks.check(with_decay)
    classes = len(real_networks.images(values).class_counts)
    found = real_networks.trainings(
        with_decay, seed, "garrod2025.heads:measure", loss="ce", style="features", classes="balanced"
    )
    bounds = [
        {"M": depth}
        | predict_simplex({"K": classes, "L": depth, "n": values["n"], "lam": Fraction(values["lam"])}, None)
        for depth in dict.fromkeys(values["M"])
    ]
    return {"inputs": echo(values), "K": classes, "dnc": bounds} | real_networks.run(found, values["jobs"], progress)


def summary(numbers: Numbers) -> list[str]:
    """A line for each setting: the last epoch, in the middle of the starts."""
    inputs, bounds = numbers["inputs"], {each["M"]: each["loss"] for each in numbers["dnc"]}
    lines = [
        f"{inputs['data']}, cross-entropy: {inputs['epochs']} epochs, decay {inputs['lam']:g} of linear layers and "
        f"features, {inputs['seeds']} starts; at the last epoch (neural collapse: rank {numbers['K'] - 1})",
        "model  L  accuracy  loss      loss of DNC  effective rank  rank at 5 %  NC1      distance from DNC",
    ]
    for (model, _, _, _, depth), records in real_networks.by_setting(numbers["runs"]).items():
        accuracy, loss, effective, rank, nc1, etf = (real_networks.last(records, name) for name in METRICS)
        texts = [
            "-" if x is None else form.format(x)
            for x, form in (
                (accuracy, "{:.3f}"),
                (loss, "{:.4f}"),
                (effective, "{:.2f}"),
                (rank, "{:g}"),
                (nc1, "{:.1e}"),
                (etf, "{:.1e}"),
            )
        ]
        lines.append(
            f"{model:<5}  {depth}  {texts[0]:<8}  {texts[1]:<8}  {bounds[depth]:<11.4f}  {texts[2]:<14}  "
            f"{texts[3]:<11}  {texts[4]:<7}  {texts[5]}"
        )
    return lines


PANELS = {
    "loss": "loss over the least\nof neural collapse",
    "effective_rank": "effective rank of the logits",
    "etf_distance": "distance of the logits\nfrom a simplex ETF",
}


def figure(numbers: Numbers) -> Figure:
    """A row for each network: loss, rank and distance from neural collapse, a band for each number of layers."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings = real_networks.by_setting(numbers["runs"])
    models = list(dict.fromkeys(model for model, *_ in settings))
    bounds = {each["M"]: each["loss"] for each in numbers["dnc"]}
    with mpl.rc_context(dict(STYLE)):
        height = 1.05 + 2.0 * len(models)
        drawn = Figure(figsize=(7.4, height))
        drawn.subplots_adjust(
            left=0.1, right=0.985, bottom=0.65 / height, top=1 - 0.6 / height, wspace=0.55, hspace=0.35
        )
        panels = drawn.subplots(len(models), len(PANELS), squeeze=False)
        entries: list[tuple[str, Style]] = []
        for row, model in enumerate(models):
            for column, (name, label) in enumerate(PANELS.items()):
                panel = panels[row, column]
                entries = list[tuple[str, Style]]()
                frame(panel, "abcdefghi"[row * len(PANELS) + column])
                for (each, *_, depth), colour in zip(
                    (setting for setting in settings if setting[0] == model), COLOURS, strict=False
                ):
                    records = settings[each, "balanced", "ce", "features", depth]
                    if name == "loss":
                        records = [_scaled(record, bounds[depth]) for record in records]
                    real_networks.draw(panel, records, name, colour)
                    entries.append((f"$L = {depth}$", LINE | {"color": colour}))
                level = {"loss": 1.0, "effective_rank": numbers["K"] - 1}.get(name)
                if level is not None:
                    panel.axhline(level, **ASYMPTOTE)
                if name == "effective_rank":
                    panel.set_ylim(0, numbers["K"])
                if name == "effective_rank":
                    panel.set_xscale("log")
                else:
                    real_networks.log_axes(panel)
                panel.set_ylabel(label)
                if row == len(models) - 1:
                    panel.set_xlabel("epochs")
                if column == 0:
                    panel.set_title(model, loc="right")
        real_networks.caption(drawn, numbers)
        key(panels[0, 0], *entries, ("neural collapse", ASYMPTOTE), columns=4)
        panels[0, 0].get_legend().set_bbox_to_anchor((0.0, 1.12))
    return drawn


def _scaled(record: Mapping[str, Any], bound: float) -> dict[str, Any]:
    """The record with its loss over the bound."""
    losses = [None if loss is None else loss / bound for loss in record["metrics"]["loss"]]
    return {**record, "metrics": {**record["metrics"], "loss": losses}}


EXPERIMENT = Experiment(
    "low-rank-heads",
    "Real networks with appended linear layers under cross-entropy: rank and loss beside neural collapse",
    (
        real_networks.MODEL.with_default("mlp"),
        Input("M", integers(1), "numbers of linear layers, L in garrod2025", many=True, default="1,3,6"),
        Input("lam", POSITIVE, "decay of the linear layers and of the features", default="5e-4"),
        # From 0.05 on trainings with six layers jump and some die.
        *(replace(each, default="0.02") if each.name == "rate" else each for each in real_networks.COMMON),
    ),
    lambda values: len(real_networks.trainings(values, 0, "", loss="ce", style="features", classes="balanced")),
    run,
    summary,
    figure,
    lambda numbers: any(record["finite"] for record in numbers["runs"]),
    claims=("garrod2025/dnc-suboptimal", "garrod2025/dnc-loss"),
)
