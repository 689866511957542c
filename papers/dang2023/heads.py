"""The experiment ``deep-linear-heads``: linear layers behind a trained backbone, beside the frames of dang2023.

With decay of features, the backbone has no decay and stands for free features, whose minimum is predicted: the matrices
W W^T, Hbar^T Hbar and W Hbar for W = W_M ... W_1 and the class means Hbar of the features. With decay of all parameters
nothing is predicted but, for balanced classes, multiples of I; for others the distance from diagonal matrices is given.
Backbones end in ReLU, so that features are not negative, which free features need not be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers
from .. import real_networks
from ..drawing import COLOURS, LINE, STYLE, Style, frame, key
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, echo, to_float
from .critical_points import GRAMS, grams

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from ...numerics.training import CollapseTracker

METRICS = ("accuracy", "nc1_pinv", *GRAMS, "lengths")


def target(training: real_networks.Training, counts: Sequence[int]) -> tuple[list[list[float]] | None, bool]:
    """Diagonals of the matrices at the predicted minimum, or None where none is; whether lengths are predicted."""
    from ...theory import deep_linear

    if training.style == "standard":
        balanced = len(set(counts)) == 1
        return [[1.0] * len(counts)] * 3 if balanced else None, False
    samples, decay = sum(counts), training.inputs["lam_H"]
    found = deep_linear.minimum(counts, samples, [training.inputs["lam"]] * training.M + [decay])
    return [each.tolist() for each in deep_linear.lengths(found.p, samples, decay)], True


def measure(
    training: real_networks.Training, network: nn.Sequential, tracker: CollapseTracker, counts: tuple[int, ...]
) -> dict[str, float | None]:
    """NC1 of the features, and normalised distances of the matrices; ``lengths``: of the class means, relative."""

    from ...numerics import networks

    means = tracker.moments["backbone"].means
    wanted, complete = target(training, counts)
    found = grams(networks.linear_product(network).to(means), means)
    numbers: dict[str, float | None] = {
        "accuracy": tracker.series("accuracy")[1][-1],
        "nc1_pinv": tracker.series("nc1_pinv", "backbone")[1][-1],
    }
    for number, (name, gram) in enumerate(zip(GRAMS, found, strict=True)):
        diagonal = gram.diagonal() if wanted is None else gram.new_tensor(wanted[number])
        numbers[name] = distance(gram, diagonal)
    if complete and wanted is not None:
        lengths, expected = means.norm(dim=0), means.new_tensor(wanted[1]).sqrt()
        numbers["lengths"] = float((lengths - expected).norm() / expected.norm()) if expected.any() else math.nan
    else:
        numbers["lengths"] = math.nan
    return numbers


def distance(gram: Tensor, diagonal: Tensor) -> float:
    """|| A/||A||_F - D/||D||_F ||_F; NaN where one of them is zero."""
    expected = diagonal.diag()
    return float((gram / gram.norm() - expected / expected.norm()).norm())


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """All trainings."""
    real_networks.check(values)
    to_float("lam_H", values["lam_H"])
    found = real_networks.trainings(values, seed, "dang2023.heads:measure", loss="mse")
    return {"inputs": echo(values)} | real_networks.run(found, values["jobs"], progress)


def summary(numbers: Numbers) -> list[str]:
    """A line for each setting: the last epoch, in the middle of the starts."""
    inputs = numbers["inputs"]
    lines = [
        f"{inputs['data']}, MSE: {inputs['epochs']} epochs, decay {inputs['lam']:g}, of features {inputs['lam_H']:g}, "
        f"{inputs['seeds']} starts; normalised distances at the last epoch",
        "model  classes     decay     M  accuracy  NC1      WW^T     Hbar^T Hbar  W Hbar   lengths of class means",
    ]
    for (model, classes, _, style, depth), records in real_networks.by_setting(numbers["runs"]).items():
        shown = [real_networks.last(records, name) for name in METRICS]
        texts = [
            "-" if x is None else f"{x:.3f}" if name == "accuracy" else f"{x:.1e}"
            for name, x in zip(METRICS, shown, strict=True)
        ]
        lines.append(
            f"{model:<5}  {classes:<10}  {style:<8}  {depth}  {texts[0]:<8}  {texts[1]:<7}  {texts[2]:<7}  "
            f"{texts[3]:<11}  {texts[4]:<7}  {texts[5]}"
        )
    return lines


SAID = {"standard": "all decay", "features": "features decay"}
TITLES = {
    "nc1_pinv": "NC1 of the features",
    "WW^T": r"$WW^{\top}$: distance",
    "Hbar^T Hbar": r"$\bar H^{\top}\bar H$: distance",
    "W Hbar": r"$W\bar H$: distance",
}


def figure(numbers: Numbers) -> Figure:
    """A row for each network, class sizes and decay; a panel for each metric; a band for each number of layers."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings = real_networks.by_setting(numbers["runs"])
    groups = list(dict.fromkeys((model, classes, style) for model, classes, _, style, _ in settings))
    depths = sorted({depth for *_, depth in settings})
    with mpl.rc_context(dict(STYLE)):
        standard = any(style == "standard" for *_, style in groups)
        height = 1.0 + 0.15 * standard + 1.75 * len(groups)
        drawn = Figure(figsize=(8.2, height))
        drawn.subplots_adjust(
            left=0.085,
            right=0.985,
            bottom=(0.6 + 0.15 * standard) / height,
            top=1 - 0.55 / height,
            wspace=0.36,
            hspace=0.45,
        )
        panels = drawn.subplots(len(groups), len(TITLES), squeeze=False)
        entries: list[tuple[str, Style]] = []
        for row, (model, classes, style) in enumerate(groups):
            for column, name in enumerate(TITLES):
                panel = panels[row, column]
                entries = _draw(panel, settings, (model, classes, style), depths, name)
                if column == 0:
                    frame(panel, "abcdefghijklmnop"[row])
                else:
                    panel.grid(visible=True, which="major", linewidth=0.3, color="0.85")
                if row == len(groups) - 1:
                    panel.set_xlabel("epochs")
                panel.set_title(TITLES[name] if column else f"{model}, {classes}, {SAID[style]}", loc="left")
            panels[row, 0].set_ylabel(TITLES["nc1_pinv"])
        words = "Distances: normalised, from the prediction"
        if standard:
            words = f"\n{words}; where all decay, from multiples of I (balanced) or diagonal matrices"
        real_networks.caption(drawn, numbers, f"{words}.")
        key(panels[0, 0], *entries, columns=4)
        panels[0, 0].get_legend().set_bbox_to_anchor((0.0, 1.16))
    return drawn


def _draw(
    panel: Axes, settings: Mapping[Any, Any], group: tuple[str, str, str], depths: Sequence[int], name: str
) -> list[tuple[str, Style]]:
    model, classes, style = group
    entries: list[tuple[str, Style]] = []
    for depth, colour in zip(depths, COLOURS, strict=False):
        records = settings.get((model, classes, "mse", style, depth), [])
        real_networks.draw(panel, records, name, colour)
        entries.append((f"$M = {depth}$", LINE | {"color": colour}))
    real_networks.log_axes(panel)
    return entries


EXPERIMENT = Experiment(
    "deep-linear-heads",
    "Real networks with appended linear layers, beside the frames and lengths of dang2023",
    (
        real_networks.MODEL.with_default("mlp"),
        real_networks.CLASSES,
        real_networks.STYLE.with_default("features"),
        Input("M", integers(1), "numbers of linear layers", many=True, default="1,3,6"),
        Input("lam", POSITIVE, "decay of the linear layers, or of all parameters", default="2e-3"),
        Input("lam_H", POSITIVE, "decay of the features", default="1e-5"),
        *real_networks.COMMON,
    ),
    lambda values: len(real_networks.trainings(values, 0, "", loss="mse")),
    run,
    summary,
    figure,
    lambda numbers: any(record["finite"] for record in numbers["runs"]),
    claims=("dang2023/imbalanced-deep",),
)
