"""The experiment ``dang2023-synthetic``: gradient descent on free features, as in dang2023, and where it tends to.

The descent is that of the paper: momentum, all samples, as many iterations. From its end a minimisation goes on to a
critical point; the prediction is compared with both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...theory.symbols import POSITIVE, integers, reals
from ..drawing import ASYMPTOTE, LINE, STYLE, Style, colours, frame, key
from ..experiments import Cell, Experiment, Numbers, Progress
from ..prediction import Input, computed, echo, to_float
from .critical_points import GRAMS, grams
from .lengths import require_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...numerics.deep_linear import DeepLinearUFM, Factors
    from ...numerics.descent import Checkpoints

CHECKPOINTS = 300  # along a run
TOLERANCE = 1e-12  # of the scaled gradient norm at a critical point
SAME = 1e-9  # relative difference of losses, below which two are one
STARTS = 24  # of the search for a lower minimum
LARGEST = 10**7  # entries of the features


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """For every number of layers: the descent, the critical point that it tends to, and a search for a lower one."""
    _check(values)
    runs = [_followed(values, depth, seed, progress) for depth in values["M"]]
    reasons = [f"M = {each['M']}: {each['reason']}" for each in runs if "reason" in each]
    return {
        "inputs": echo(values),
        "converged": not reasons,
        **({"reason": "; ".join(reasons)} if reasons else {}),
        "runs": runs,
    }


def _check(values: Mapping[str, Any]) -> None:
    counts = values["n"]
    if len(counts) < 2:
        raise ValueError("n: expected at least two classes")
    if max(counts) < 2:
        raise ValueError("n: expected a class of at least two samples, which NC1 needs")
    require_wide(values["d"], len(counts))
    if sum(counts) * values["d"] > LARGEST:
        raise ValueError(f"expected N d <= {LARGEST} entries of the features, got {sum(counts) * values['d']}")


def _followed(values: Mapping[str, Any], depth: int, seed: int, progress: Progress) -> dict[str, Any]:
    from ...numerics import descent, initialisers, minimisation
    from ...numerics.deep_linear import DeepLinearUFM
    from ...theory import deep_linear

    counts, decay = values["n"], to_float("lam", values["lam"])
    rate, momentum, scale = (to_float(name, values[name]) for name in ("rate", "momentum", "scale"))
    model = DeepLinearUFM(counts, values["d"], depth, decay)
    start = initialisers.gaussian(model, seed, scale)
    iterations = values["iterations"]
    predicted = deep_linear.minimum(counts, sum(counts), [decay] * (depth + 1))
    wanted = deep_linear.lengths(predicted.p, sum(counts), decay)
    ends: list[Factors] = []

    def measure(checkpoints: Checkpoints) -> dict[str, Any]:
        factors = checkpoints.weights, checkpoints.class_means
        ends[:] = [_last(*factors)]
        return {"NC1": checkpoints.nc1} | _distances(checkpoints.product, checkpoints.class_means, wanted)

    record = max(1, iterations // CHECKPOINTS)
    descended = descent.measured_descent(model, start, iterations, rate, measure, momentum, record)
    progress(f"M = {depth}, descent")
    stats = descended.stats
    found: dict[str, Any] = {
        "M": depth,
        "predicted": {"p": predicted.p.tolist(), "b": predicted.b.tolist(), "loss": predicted.f_min},
        "descent": {
            "loss": _json(stats.loss.reshape(1))[0],
            "gradient_norm": _json(stats.gradient_norm.reshape(1))[0],
            "finite_until": stats.finite_until,
        },
    }
    if stats.finite_until < iterations or not bool(stats.loss.isfinite()):
        until = stats.finite_until
        return found | {"reason": f"gradient descent is finite only up to iteration {until}; set a smaller rate"}
    found["iterations"] = descended.value["iterations"].tolist()
    found["metrics"] = {name: _json(descended.value[name]) for name in METRICS}
    polished = minimisation.minimise(model, ends[-1], tolerance=TOLERANCE)
    progress(f"M = {depth}, critical point")
    # the minimum is the same at any width from K, and 2K are enough to find it
    narrow = DeepLinearUFM(counts, min(values["d"], 2 * len(counts)), depth, decay)
    best = minimisation.global_minimum(narrow, seed, STARTS)
    progress(f"M = {depth}, search")
    found |= _critical(model, polished.value, predicted, decay)
    found["critical"] |= {
        "loss": float(polished.stats.loss),
        "gradient_norm": float(polished.stats.gradient_norm),
        "iterations": int(polished.stats.iterations),
        "is_global": _verdict(float(polished.stats.loss), float(best.stats.loss), predicted.f_min),
    }
    found["search"] = {"loss": float(best.stats.loss), "converged": best.converged, "hits": int(best.value.hits)}
    if not (polished.converged and predicted.converged):
        norm = float(polished.stats.gradient_norm)
        found["reason"] = f"minimisation from the end of the descent stops at a scaled gradient norm of {norm:.1e}"
    elif not best.converged:
        found["reason"] = "the search for a lower minimum did not converge"
    return found


METRICS = ("NC1", *GRAMS)


def _last(weights: Any, means: Any) -> Factors:
    """The last checkpoint with its features at their class means."""
    from ...numerics.deep_linear import Factors

    return Factors(tuple(weight[-1].clone() for weight in weights), means[-1].clone())


def _distances(product: Any, means: Any, wanted: Any) -> dict[str, Any]:
    """|| A/||A||_F - D/||D||_F ||_F for W W^T, Hbar^T Hbar, W Hbar and diagonal D; NaN where one of them is zero."""
    import torch

    found = {}
    for name, gram, row in zip(GRAMS, grams(product, means), wanted, strict=True):
        expected = torch.as_tensor(row, dtype=gram.dtype).diag()
        unit = gram / torch.linalg.matrix_norm(gram, keepdim=True)
        found[name] = torch.linalg.matrix_norm(unit - expected / expected.norm())
    return found


def _json(values: Any) -> list[float | None]:
    return [x if math.isfinite(x) else None for x in values.tolist()]


def _critical(model: DeepLinearUFM, point: Factors, predicted: Any, decay: float) -> dict[str, Any]:
    """The critical point beside the prediction, and beside the one with the classes that are dead there left out.

    The distances to the latter are relative and not normalised: ||A - D||_F / ||D||_F.
    """
    import numpy as np
    import torch

    from ...theory import deep_linear

    product, means = point.product, point.features
    rows = product.square().sum(dim=-1) / (model.samples * decay)
    alive = (rows > 1e-12).numpy()
    matching = deep_linear.lengths(np.where(alive, predicted.p, 0.0), model.samples, decay)
    distances = _distances(product, means, deep_linear.lengths(predicted.p, model.samples, decay))
    relative = {}
    for name, gram, row in zip(GRAMS, grams(product, means), matching, strict=True):
        expected = torch.from_numpy(np.diag(row))
        error, norm = float(torch.linalg.matrix_norm(gram - expected)), float(expected.norm())
        relative[name] = error / norm if norm else error
    return {
        "critical": {
            "p": (product @ product.mT).diagonal().tolist(),
            "alive": alive.tolist(),
            "alive_as_predicted": alive.tolist() == (predicted.p > 0).tolist(),
            "distances": {name: _json(each.reshape(1))[0] for name, each in distances.items()},
            "relative_to_matching": relative,
        }
    }


def _verdict(loss: float, searched: float, predicted: float) -> bool:
    """Whether nothing lower is known: neither from the search nor from theory."""
    return loss <= min(searched, predicted) * (1 + SAME)


def summary(numbers: Numbers) -> list[str]:
    """What the run found, in a few lines."""
    inputs = numbers["inputs"]
    sizes = ", ".join(map(str, inputs["n"]))
    lines = [
        f"synthetic: n = {sizes}; d = {inputs['d']}, decay {inputs['lam']:g}, {inputs['iterations']} iterations",
        " M  NC1      WW^T     Hbar^T Hbar  W Hbar   gradient  loss / predicted - 1",
    ]
    for each in numbers["runs"]:
        if "metrics" not in each:
            continue
        for name, row, stats in (
            ("descent", [each["metrics"][name][-1] for name in METRICS], each["descent"]),
            ("critical", [None, *(each["critical"]["distances"][name] for name in GRAMS)], each["critical"]),
        ):
            shown = [f"{'-':<7}" if x is None else f"{x:.1e}" for x in row]
            loss = stats["loss"] / each["predicted"]["loss"] - 1
            lines.append(
                f"{each['M']:>2}  {shown[0]}  {shown[1]}  {shown[2]:<11}  {shown[3]}  {stats['gradient_norm']:.1e}   "
                f"{loss:.1e} ({'end of the descent' if name == 'descent' else 'critical point from there'})"
            )
        critical = each["critical"]
        dead = [str(k + 1) for k, alive in enumerate(critical["alive"]) if not alive]
        state = "all classes alive" if not dead else f"dead: class {', '.join(dead)}"
        kind = "nothing lower is known" if critical["is_global"] else "a local minimum or saddle: a lower one is known"
        worst = max(critical["relative_to_matching"].values())
        lines.append(f"    {state}; {kind}; matrices of that point as predicted to {worst:.1e}")
    return lines


# ------------------------------------------------------------------------------------------------------ the figure

MARK: Style = {"linestyle": (0, (4, 2)), "linewidth": 0.8}
GOAL: Style = ASYMPTOTE | {"linestyle": ":"}
TITLES = {
    "NC1": r"NC1 = $\mathrm{tr}(\Sigma_W \Sigma_B^{+}) / K$",
    "WW^T": "$WW^{\\top}$: normalised Frobenius\ndistance from the prediction",
    "Hbar^T Hbar": "$\\bar H^{\\top}\\bar H$: normalised Frobenius\ndistance from the prediction",
    "W Hbar": "$W\\bar H$: normalised Frobenius\ndistance from the prediction",
}


def figure(numbers: Numbers) -> Figure:
    """A panel for each metric, over iterations; marks at the critical point to which the descent tends."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.2, 5.6))
        drawn.subplots_adjust(left=0.125, right=0.965, bottom=0.08, top=0.93, wspace=0.45, hspace=0.42)
        panels = drawn.subplots(2, 2)
        for letter, panel, name in zip("abcd", panels.flat, METRICS, strict=True):
            frame(panel, letter)
            _draw(panel, numbers, name)
    return drawn


def _draw(panel: Axes, numbers: Numbers, name: str) -> None:
    runs = numbers["runs"]
    entries: list[tuple[str, Style]] = []
    for each, colour in zip(runs, colours(len(runs)), strict=True):
        values = [math.nan if x is None or x <= 0 else x for x in each["metrics"][name]]
        panel.plot(each["iterations"], values, color=colour, **LINE)
        end = each["critical"]["distances"].get(name)
        if end:
            panel.axhline(end, color=colour, **MARK)
        entries.append((f"$M = {each['M']}$", LINE | {"color": colour}))
    panel.set_yscale("log")
    panel.set_xlim(0, numbers["inputs"]["iterations"])
    panel.set_xlabel("iterations of gradient descent")
    panel.set_ylabel(TITLES[name])
    if name != "NC1":
        panel.axhline(1e-8, **GOAL)
        entries = [("critical point after L-BFGS", MARK), ("$10^{-8}$", GOAL)]
    key(panel, *entries, columns=3)


# ------------------------------------------------------------------------------------------------------ one cell

CLAIM = "dang2023/imbalanced-deep"
DESCENT = (
    Input("n", integers(1), "class sizes", many=True, default="200,100,50,50"),
    Input("d", integers(1), "width of the layers and the features", default=64),
    Input("lam", POSITIVE, "decay of all layers and features", default="5e-4"),
    Input("rate", POSITIVE, "learning rate", default="0.1"),
    Input("momentum", reals(0), "momentum", default="0.9"),
    Input("iterations", integers(1), "iterations of gradient descent", default=30000),
    Input("scale", reals(0), "standard deviation of the start", default="0.1"),
)


def setting(values: Mapping[str, Any]) -> dict[str, Any]:
    """One descent, from a start of its own seed."""
    _check(values)
    numbers = {name: to_float(name, values[name]) for name in ("rate", "momentum", "scale")}
    decays = (to_float("lam", values["lam"]),) * (values["M"] + 1)
    shapes = {"class_counts": values["n"], "widths": values["d"], "depth": values["M"]}
    return shapes | numbers | {"decays": decays, "iterations": values["iterations"]}


def predict(values: Mapping[str, Any]) -> dict[str, Any]:
    """How many classes are alive at the minimum, its loss, and the squared rows of W."""
    found = computed(CLAIM, {"n": values["n"], "lam_W": (values["lam"],) * values["M"], "lam_H": values["lam"]})
    return {"alive": sum(p > 0 for p in found["p"]), "loss": found["f_min"], "p": found["p"]}


CELL = Cell(
    (Input("M", integers(1), "number of layers", default=1), *DESCENT),
    "descents",
    setting,
    predict,
    (CLAIM,),
)

EXPERIMENT = Experiment(
    "dang2023-synthetic",
    "The synthetic experiment of dang2023: collapse along gradient descent, beside the predicted matrices",
    (
        Input("M", integers(1), "numbers of layers", many=True, default="1,3,6"),
        *DESCENT,
    ),
    lambda values: 3 * len(values["M"]),
    run,
    summary,
    figure,
    claims=("dang2023/imbalanced-lengths", "dang2023/imbalanced-deep"),
    cell=CELL,
)
