"""The experiment ``proximity`` and the claim of the same name: do classifiers stay close to the central path?

Networks are trained, and their MSE loss is split as in han2022: L = L_LS + L_perp, L_LS = L_NC1 + L_NC2/3. With
cross-entropy the split is that of the same classifier and features, whose MSE is not what was minimised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...theory.proof.statement import Nonnegative
from ...theory.symbols import reals
from .. import real_networks
from ..claim import Claim, Runs
from ..drawing import ASYMPTOTE, COLOURS, LINE, STYLE, Style, frame, key
from ..evidence import Kind, Outcome, Verdict
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, echo
from .least_squares import DECOMPOSITION, L_LS, VERSION, WELL_POSED, L_perp, setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from ...numerics.training import CollapseTracker

SMALL = 10  # L_perp is small where it is at most L_LS / 10
PARTS = {"mse_perp": r"$L_{\perp}$", "mse_ls": r"$L_{LS}$", "mse_nc1": r"$L_{NC1}$", "mse_nc23": r"$L_{NC2/3}$"}
METRICS = (*PARTS, "mse", "accuracy", "nc1_pinv", "nc2_etf_distance", "nc3_alignment")
PHASES = {
    "before": "before zero training error",
    "terminal": "from zero training error on",
    "end": "at the last epoch",
}


def measure(
    training: real_networks.Training, network: nn.Sequential, tracker: CollapseTracker, counts: tuple[int, ...]
) -> dict[str, float | None]:
    """What the tracker has found of the head."""
    return {name: tracker.series(name)[1][-1] for name in METRICS}


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """All trainings, and for each setting how large L_perp / L_LS gets in each phase, over all starts."""
    real_networks.check(values)
    found = real_networks.trainings(values, seed, "han2022.proximity:measure", style="standard", M=1)
    numbers = real_networks.run(found, values["jobs"], progress)
    return {"inputs": echo(values)} | numbers | {"ratios": ratios(numbers["runs"])}


def ratios(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each setting: the largest L_perp / L_LS in each phase, None where a start has no such phase or no number."""
    found = []
    for (model, classes, loss, *_), records in real_networks.by_setting(runs).items():
        worst = {phase: _worst(records, phase) for phase in PHASES}
        found.append({"model": model, "classes": classes, "loss": loss, "starts": len(records), **worst})
    return found


def _worst(records: Sequence[Mapping[str, Any]], phase: str) -> float | None:
    values: list[float] = []
    for record in records:
        accuracy, metrics = record["metrics"]["accuracy"], record["metrics"]
        right = [x == 1.0 for x in accuracy]
        start = len(right) - [*right[::-1], False].index(False)  # from here on there is no error
        where = {"before": range(start), "terminal": range(start, len(right)), "end": [len(right) - 1]}[phase]
        if not record["finite"] or (phase != "before" and start == len(right)):
            return None
        for at in where:
            perp, least = metrics["mse_perp"][at], metrics["mse_ls"][at]
            if perp is None or not least:
                return None
            values.append(perp / least)
    return max(values, default=None)


def judge(numbers: Mapping[str, Any]) -> Outcome:
    """What trainings say about the claim: in which settings, and from when, L_perp was at most a tenth of L_LS."""
    seen, missed = list[tuple[str, bool, str, int]](), list[tuple[str, bool, str, int]]()
    for each in ratios(numbers["runs"]):
        if each["loss"] != "mse":
            continue
        name = f"{each['model']} {each['classes']}"
        held = [phase for phase in ("end", "terminal") if each[phase] is not None and SMALL * each[phase] <= 1]
        worst = {phase: "none" if each[phase] is None else f"{each[phase]:.2g}" for phase in PHASES}
        text = f"{name}: {worst['before']}, {worst['terminal']}, {worst['end']}"
        (seen if "end" in held else missed).append((name, "terminal" in held, text, each["starts"]))
    inputs = numbers["inputs"]
    detail = (
        f"largest L_perp / L_LS before zero training error, from there on, and at the last epoch: "
        f"{'; '.join(text for *_, text, _ in (*seen, *missed)) or 'none'}"
    )
    if not seen:
        return Outcome("undecided", "none", detail)
    starts = sum(number for *_, number in seen)
    whole = [name for name, terminal, *_ in seen if terminal]
    coverage = (
        f"{starts} training{'s' if starts > 1 else ''} on {inputs['data']}, MSE, last of {inputs['epochs']} epochs: "
        f"{', '.join(name for name, *_ in seen)}; in the whole terminal phase: {', '.join(whole) or 'none'}"
        + (f"; not: {', '.join(name for name, *_ in missed)}" if missed else "")
    )
    return Outcome("partial" if missed else "agree", coverage, detail)


def summary(numbers: Numbers) -> list[str]:
    """A line for each setting."""
    inputs = numbers["inputs"]
    lines = [
        f"{inputs['data']}: {inputs['epochs']} epochs, decay {inputs['lam']:g}, {inputs['seeds']} starts; "
        "largest L_perp / L_LS over starts, and",
        "model  classes     loss   before zero error   from there on   last epoch",
    ]
    for each in numbers["ratios"]:
        shown = ["none" if each[phase] is None else f"{each[phase]:.2g}" for phase in PHASES]
        lines.append(
            f"{each['model']:<5}  {each['classes']:<10}  {each['loss']:<4}   "
            f"{shown[0]:<17}   {shown[1]:<13}   {shown[2]}"
        )
    return lines


def figure(numbers: Numbers) -> Figure:
    """A panel for each setting: the parts of the loss over epochs, with bands over starts."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings = real_networks.by_setting(numbers["runs"])
    with mpl.rc_context(dict(STYLE)):
        columns = min(len(settings), 4)
        rows = -(-len(settings) // columns)
        width, height = max(7.0, 0.8 + 2.05 * columns), 0.95 + 1.75 * rows
        drawn = Figure(figsize=(width, height))
        drawn.subplots_adjust(
            left=0.75 / width, right=0.985, bottom=0.6 / height, top=1 - 0.5 / height, wspace=0.42, hspace=0.36
        )
        panels = drawn.subplots(rows, columns, squeeze=False)
        entries: list[tuple[str, Style]] = []
        for (model, classes, loss, *_), records, panel, letter in zip(
            settings, settings.values(), panels.flat, "abcdefgh", strict=False
        ):
            frame(panel, letter)
            entries = []
            for colour, (name, label) in zip(COLOURS, PARTS.items(), strict=False):
                real_networks.draw(panel, records, name, colour)
                entries.append((label, LINE | {"color": colour}))
            real_networks.log_axes(panel)
            panel.set_title(f"{model}, {classes}, {loss}", loc="right")
            starts = [epoch for record in records if (epoch := _zero_error(record)) is not None]
            if len(starts) == len(records):
                panel.axvline(max(1, max(starts)), **(ASYMPTOTE | {"linestyle": ":"}))
        entries.append(("zero training error in all starts", ASYMPTOTE | {"linestyle": ":"}))
        for panel in list(panels.flat)[len(settings) :]:
            panel.set_visible(False)
        for panel in list(panels.flat)[max(0, len(settings) - columns) : len(settings)]:
            panel.set_xlabel("epochs")
        for panel in panels[:, 0]:
            panel.set_ylabel("parts of the MSE loss")
        real_networks.caption(drawn, numbers)
        key(panels[0, 0], *entries, columns=5)
        legend = panels[0, 0].get_legend()
        legend.set_bbox_to_anchor((0.0, 1.09))
    return drawn


def _zero_error(record: Mapping[str, Any]) -> int | None:
    """The first of the last epochs without an error."""
    found = None
    for epoch, accuracy in zip(record["epochs"][::-1], record["metrics"]["accuracy"][::-1], strict=True):
        if accuracy != 1.0:
            break
        found = epoch
    return found


EXPERIMENT = Experiment(
    "proximity",
    "Real networks: the parts of the MSE loss along training, L_perp beside L_LS",
    (
        real_networks.MODEL,
        real_networks.CLASSES,
        real_networks.LOSS,
        Input("lam", reals(0), "weight decay", default="5e-4"),
        *real_networks.COMMON,
    ),
    lambda values: len(real_networks.trainings(values, 0, "", style="standard", M=1)),
    run,
    summary,
    figure,
    lambda numbers: any(record["finite"] for record in numbers["runs"]),
    claims=("han2022/proximity",),
)

CLAIMS = (
    # Han 2022, section 2 and figure 2: what was observed
    Claim(
        "han2022/proximity",
        "Trained networks end close to the central path: L_perp is at most a tenth of the least-squares loss",
        Kind.EMPIRICAL,
        Nonnegative(L_LS / SMALL - L_perp),
        setting(DECOMPOSITION),
        WELL_POSED,
        recorded=Verdict.SUPPORTED,
        version=VERSION,
        notes="An observation about classifiers and features of networks that were trained with MSE and weight decay, "
        "at the end of training; of arbitrary ones it is false. The paper says that L_perp becomes negligible; a tenth "
        "is our reading, chosen after the first trainings. It holds at the last epoch, not the whole terminal phase, "
        "and depends on how long was trained: after 200 epochs with batches of 128 only one of four settings was below "
        "it without an error. The evidence names networks, data and phases; classes of unequal sizes go beyond the "
        "statement.",
        runs=Runs("proximity", {"model": "mlp", "loss": "mse", "seeds": 1, "epochs": 100, "jobs": 1}, {}, judge),
    ),
)
