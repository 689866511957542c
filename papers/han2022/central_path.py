"""The experiment ``central-path``: the renormalised flow of han2022, simulated, beside its closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...theory.symbols import integers, reals
from ..drawing import ASYMPTOTE, CIRCLE, COLOURS, CROSS, LINE, MARKER, STYLE, Style, colours, frame, key, scientific
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, to_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...numerics.integrators import IntegrationStats, TimeGrid, Trajectory
    from ...numerics.models import Features
    from ...numerics.solution import Solution

CHECKPOINTS = 40  # at most twice as many markers in a panel
FEATURE_SHARE = 10  # the run in the full feature space ends at t_end over this
# Largest relative change of a singular value when all steps are halved, for the run to count as converged. RK4 gains a
# factor of 16, so what is reported is an order of magnitude better.
TOLERANCE = 1e-6
MOST_STEPS = 100_000
# Beyond, w^2 hides the variation within classes from float64, in which it is measured.
LATEST, LARGEST = 1e15, 1e4


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """Class means to ``t_end``, all features to a tenth of it; each with all steps halved, too."""
    import numpy as np

    from ...numerics import flow, statistics
    from ...theory import first_integral

    classes, per_class, steps = values["C"], values["N"], values["steps"]
    w0 = np.array([to_float("w0", start) for start in values["w0"]])
    end = to_float("t_end", values["t_end"])
    _check(values, w0, end)
    inputs = {"C": classes, "N": per_class, "p": values["p"], "w0": w0.tolist(), "t_end": end, "steps": steps}
    start = flow.whitened_features(w0.tolist(), per_class, values["p"], seed)
    order = np.argsort(np.argsort(-w0, kind="stable"))  # singular values come largest first; they never cross

    means = statistics.class_means(start)
    grids = [_grid(end, steps, classes, per_class), _grid(end / FEATURE_SHARE, steps, classes, per_class)]
    every = max(1, steps // CHECKPOINTS)
    coarse, fine, coarse_features, features = (
        _reported(progress, stage, solve)
        for stage, solve in (
            ("class means", lambda: flow.class_mean_flow(means, start.class_counts, grids[0], record=every)),
            (
                "class means, finer",
                lambda: flow.class_mean_flow(means, start.class_counts, grids[0].refined(), record=2 * every),
            ),
            ("features", lambda: flow.central_path_flow(start, grids[1], record=every)),
            ("features, finer", lambda: flow.central_path_flow(start, grids[1].refined(), record=2 * every)),
        )
    )
    runs = (coarse, fine, coarse_features, features)
    if not all(each.converged for each in runs):
        until = min(each.stats.finite_until for each in runs)
        return {"inputs": inputs, "converged": False, "reason": f"the states are finite only up to t = {until:g}"}

    def of_means(states: Tensor) -> Any:
        """Sigma_W = I, so that the SNR matrix is that of the centred class means."""
        from ...numerics.linalg import singular_values

        centred = states - states.mean(dim=-1, keepdim=True)
        return singular_values(centred)[..., : classes - 1].numpy()[:, order]

    def of_features(states: Tensor) -> Any:
        return statistics.snr_singular_values(_features(states, start)).numpy()[:, order]

    long, short = of_means(fine.value.states), of_features(features.value.states)
    changes = [
        float(np.max(np.abs(other / found - 1)))
        for other, found in ((of_means(coarse.value.states), long), (of_features(coarse_features.value.states), short))
    ]
    measured = _measure(fine.value, start, progress)
    reason = _not_converged(changes, measured["least_squares_converged"])
    t, t_short = fine.value.times.numpy(), features.value.times.numpy()
    prediction = first_integral.singular_values(w0, t[:, None], classes, per_class)
    prediction_short = first_integral.singular_values(w0, t_short[:, None], classes, per_class)
    loss = first_integral.loss(prediction.value, classes)
    nc1, nc2, nc3 = first_integral.collapse(prediction.value, classes)
    if not (prediction.converged and prediction_short.converged):
        reason = "Newton's method for the closed form did not converge"

    def deviation(found: Any, expected: Any) -> list[float]:
        relative = np.abs(np.asarray(found) / expected - 1)
        largest = relative.max(axis=-1) if relative.ndim > 1 else relative
        return [float(x) for x in largest]

    deviations = {
        "class_means": deviation(long, prediction.value),
        "features": deviation(short, prediction_short.value),
        "loss": deviation(measured["loss"], loss),
    }
    return {
        "inputs": inputs,
        "converged": reason is None,
        **({} if reason is None else {"reason": reason}),
        "max_relative_deviation": max(max(each) for each in deviations.values()),
        "step_halving_changes": {"class_means": changes[0], "features": changes[1]},
        "t": t.tolist(),
        "simulated": {"w": long.tolist()} | {name: measured[name] for name in MEASURED},
        "predicted": {
            "w": prediction.value.tolist(),
            "loss": loss.tolist(),
            "nc1": nc1.tolist(),
            "nc2": nc2.tolist(),
            "nc3": nc3.tolist(),
        },
        "asymptote": {
            "w": [(4 * x / per_class) ** 0.25 for x in t.tolist()],
            "loss": [None if x == 0 else (classes - 1) / 2 * (per_class / (4 * x)) ** 0.5 for x in t.tolist()],
        },
        "features": {"t": t_short.tolist(), "w": short.tolist(), "predicted": prediction_short.value.tolist()},
        "relative_deviation": deviations,
    }


MEASURED = ("loss", "nc1", "nc2", "nc3", "nc4_disagreement")


def _check(values: Mapping[str, Any], w0: Any, end: float) -> None:
    classes, per_class, dimension = values["C"], values["N"], values["p"]
    if len(w0) != classes - 1:
        raise ValueError(f"w0: expected C - 1 = {classes - 1} values, got {len(w0)}")
    if not classes - 1 <= dimension <= classes * (per_class - 1):
        limits = f"C - 1 = {classes - 1} to C (N - 1) = {classes * (per_class - 1)}"
        raise ValueError(f"p: expected a dimension from {limits}, so that Sigma_W can be I, got {dimension}")
    if classes * per_class * dimension > 10**6:
        raise ValueError(f"expected C N p <= 10^6 entries of the features, got {classes * per_class * dimension}")
    if values["steps"] > MOST_STEPS:
        raise ValueError(f"steps: expected an integer from 16 to {MOST_STEPS}, got {values['steps']}")
    if end > LATEST or max(w0) > LARGEST:
        raise ValueError(f"expected t_end <= {LATEST:g} and w0 <= {LARGEST:g}: float64 features resolve no more")


def _grid(end: float, steps: int, classes: int, per_class: int) -> TimeGrid:
    """Steps that grow like t, from 1/500 of C^2 N, the time in which a small singular value grows by a factor e."""
    from ...numerics.integrators import geometric_grid

    return geometric_grid(end, steps, min(end / steps, classes**2 * per_class / 500))


def _reported(progress: Progress, stage: str, solve: Any) -> Solution[Trajectory, IntegrationStats]:
    found: Solution[Trajectory, IntegrationStats] = solve()
    progress(stage)
    return found


def _features(states: Tensor, like: Features) -> Features:
    from ...numerics.models import Features

    return Features(states, like.class_counts)


def _not_converged(changes: list[float], solved: bool) -> str | None:
    if max(changes) > TOLERANCE:
        change = f"halving the steps changes a singular value by {max(changes):.1e}"
        return f"{change}, more than {TOLERANCE:.0e}; set more steps"
    return None if solved else "a least-squares classifier did not converge"


def _measure(means: Trajectory, start: Features, progress: Progress) -> dict[str, Any]:
    """Loss and metrics of collapse of the features with these class means, at the least-squares classifier."""
    from ...numerics import flow, losses, statistics

    found: dict[str, Any] = {name: [] for name in MEASURED} | {"least_squares_converged": True}
    for state in means.states:
        features = flow.with_class_means(start, state)
        least = losses.least_squares_minimum(features.extended().values, features.one_hot)
        weights, bias = least.value[..., :-1], least.value[..., -1:]
        found["least_squares_converged"] &= least.converged
        for name, value in (
            ("loss", least.stats.loss),
            ("nc1", statistics.nc1_pinv(features)),
            ("nc2", statistics.nc2_etf_distance(features)),
            ("nc3", statistics.nc3_alignment(weights, features)),
            ("nc4_disagreement", 1 - statistics.nc4_agreement(weights, features, bias)),
        ):
            found[name].append(float(value))
    progress("metrics")
    return found


def summary(numbers: Numbers) -> list[str]:
    """What the run found, in a few lines."""
    inputs = numbers["inputs"]
    head = f"central path: C = {inputs['C']}, N = {inputs['N']}, p = {inputs['p']}, up to t = {inputs['t_end']:g}"
    if "t" not in numbers:
        return [head]

    def row(values: list[float]) -> str:
        shown = ", ".join(f"{w:.8f}" for w in values[:8])
        return shown + (f", ... ({len(values)} values)" if len(values) > 8 else "")

    simulated, predicted = numbers["simulated"], numbers["predicted"]
    last = {name: values[-1] for name, values in simulated.items()}
    return [
        head,
        f"w(t_end) simulated   {row(last['w'])}",
        f"w(t_end) predicted   {row(predicted['w'][-1])}",
        f"loss simulated       {last['loss']:.10f}, predicted {predicted['loss'][-1]:.10f}",
        f"NC1, NC2, NC3, NC4   {last['nc1']:.3e}, {last['nc2']:.3e}, {last['nc3']:.3e}, {last['nc4_disagreement']:.3e}",
        f"largest relative deviation from the prediction: {numbers['max_relative_deviation']:.1e}",
    ]


# ------------------------------------------------------------------------------------------------------ the figure


def figure(numbers: Numbers) -> Figure:
    """Four panels over log t: singular values, loss, metrics of collapse, relative deviation."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.2, 6.0))
        drawn.subplots_adjust(left=0.095, right=0.985, bottom=0.07, top=0.91, wspace=0.28, hspace=0.42)
        panels = drawn.subplots(2, 2)
        _draw_values(panels[0, 0], numbers)
        _draw_loss(panels[0, 1], numbers)
        _draw_collapse(panels[1, 0], numbers)
        _draw_deviation(panels[1, 1], numbers)
        first = numbers["t"][1]
        for letter, panel in zip("abcd", panels.flat, strict=True):
            frame(panel, letter)
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_xlim(first * 0.8, numbers["t"][-1] * 1.25)
            panel.set_xlabel("flow time $t$ (dimensionless)")
        for panel in panels[0]:
            _plain_ticks(panel)
    return drawn


def _plain_ticks(panel: Axes) -> None:
    """Plain numbers, between the powers of ten too where these are few."""
    low, high = panel.get_ylim()

    def between(value: float, position: object) -> str:
        return f"{value:g}" if high / low < 50 and f"{value:e}"[0] in "235" else ""

    panel.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    panel.yaxis.set_minor_formatter(between)


def _limits(rows: list[list[float]]) -> tuple[float, float]:
    """The range of what is drawn, with room around it; an asymptote may leave it."""
    return min(map(min, rows)) / 1.35, max(map(max, rows)) * 1.35


def _draw_values(panel: Axes, numbers: Numbers) -> None:
    t, short = numbers["t"][1:], numbers["features"]["t"][1:]
    found = (numbers["predicted"]["w"], numbers["simulated"]["w"], numbers["features"]["w"])
    predicted, simulated, features = (list(zip(*rows[1:], strict=True)) for rows in found)
    for j, colour in enumerate(colours(len(predicted))):
        panel.plot(t, predicted[j], color=colour, **LINE)
        panel.plot(t, simulated[j], color=colour, **CIRCLE)
        panel.plot(short[::2], features[j][::2], color=colour, **CROSS)
        if len(predicted) <= 5:
            panel.annotate(f"$w_{j + 1}$", (t[0], predicted[j][0]), (-1, -11), textcoords="offset points", color=colour)
    panel.set_ylim(*_limits(numbers["predicted"]["w"][1:]))
    panel.plot(t, numbers["asymptote"]["w"][1:], **ASYMPTOTE)
    panel.set_ylabel("SNR singular values $w_j$")
    key(
        panel,
        ("predicted $w_j(t)$", LINE),
        ("simulated, class means", CIRCLE),
        ("$(4t/N)^{1/4}$", ASYMPTOTE),
        ("simulated, all features", CROSS),
    )


def _draw_loss(panel: Axes, numbers: Numbers) -> None:
    t, colour = numbers["t"][1:], COLOURS[0]
    panel.plot(t, numbers["predicted"]["loss"][1:], color=colour, **LINE)
    panel.plot(t, numbers["simulated"]["loss"][1:], color=colour, **CIRCLE)
    panel.plot(t, numbers["asymptote"]["loss"][1:], **ASYMPTOTE)
    panel.set_ylim(*_limits([numbers["predicted"]["loss"][1:]]))
    panel.set_ylabel(r"least-squares loss $\mathcal{L}_{\mathrm{LS}}$")
    own: Style = {"color": colour}
    key(
        panel,
        ("predicted", LINE | own),
        ("simulated", CIRCLE | own),
        (r"$\frac{1}{2}(C-1)\sqrt{N/(4t)}$", ASYMPTOTE),
    )


def _draw_collapse(panel: Axes, numbers: Numbers) -> None:
    t, simulated, predicted = numbers["t"][1:], numbers["simulated"], numbers["predicted"]
    names = ("nc1", "nc2", "nc3")
    for colour, name in zip(COLOURS, names, strict=False):
        panel.plot(t, predicted[name][1:], color=colour, **LINE)
        panel.plot(t, simulated[name][1:], color=colour, **CIRCLE)
    square: Style = MARKER | {"marker": "s", "color": COLOURS[3]}
    wrong = [(x, y) for x, y in zip(t, simulated["nc4_disagreement"][1:], strict=True) if y > 0]
    panel.plot([x for x, _ in wrong], [y for _, y in wrong], **square)
    after = [x for x in t if not wrong or x > wrong[-1][0]]
    zero = ""  # which has no place on a logarithmic axis
    if after:
        zero = f" (0 from $t={scientific(after[0], 2)}$)"
    panel.set_ylabel("metrics of collapse")
    key(
        panel,
        *((name.upper(), LINE | {"color": colour}) for colour, name in zip(COLOURS, names, strict=False)),
        ("predicted", LINE),
        ("simulated", CIRCLE),
        (f"NC4{zero if wrong else ' (always 0)'}", square),
        columns=3,
    )


def _draw_deviation(panel: Axes, numbers: Numbers) -> None:
    floor = 2.0**-54  # below, the numbers are equal: drawn at the lower edge
    entries: list[tuple[str, Style]] = []
    for name, t, colour, marker, label in (
        ("class_means", numbers["t"], COLOURS[0], CIRCLE, "$w_j$, class means"),
        ("features", numbers["features"]["t"], COLOURS[1], CROSS, "$w_j$, all features"),
        ("loss", numbers["t"], COLOURS[2], MARKER | {"marker": "^"}, r"$\mathcal{L}_{\mathrm{LS}}$"),
    ):
        style: Style = marker | {"linestyle": "-", "linewidth": 0.5, "color": colour}
        panel.plot(t[1:], [max(x, floor) for x in numbers["relative_deviation"][name][1:]], **style)
        entries.append((label, style))
    panel.axhline(2.0**-52, **ASYMPTOTE)
    panel.set_ylabel("largest |simulated / predicted \N{MINUS SIGN} 1|")
    key(panel, *entries, ("machine precision $2^{-52}$", ASYMPTOTE))


EXPERIMENT = Experiment(
    "central-path",
    "The renormalised flow of han2022 beside its closed form",
    (
        Input("C", integers(2), "number of classes", default=4),
        Input("N", integers(2), "samples per class", default=7),
        Input("p", integers(1), "dimension of the features", default=5),
        Input(
            "w0",
            reals(0, open=True),
            "SNR singular values at the start",
            many=True,
            default="2.35060868, 1.62749865, 0.92913709",
        ),
        Input("t_end", reals(0, open=True), "time at the end", default=4000),
        Input("steps", integers(16), "steps of the time grid", default=240),
    ),
    lambda values: 5,
    run,
    summary,
    figure,
    claims=("han2022/closed-form", "han2022/growth", "han2022/collapse-limit", "han2022/loss-decay"),
)
