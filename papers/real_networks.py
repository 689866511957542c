"""What the experiments on real networks share: which runs, how one is trained and measured, bands over seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from ..theory.symbols import POSITIVE, integers, reals
from .experiments import Numbers, Progress
from .prediction import Input, Values, Word, to_float
from .verification import spread
from .writing.conversion import required

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

    from ..numerics.images import Images
    from ..numerics.training import CollapseTracker

LOOKS = 16  # at epochs in geometric steps
CONFIDENCE = 0.95

MODEL = Word("model", "networks", ("mlp", "cnn"), many=True, default="mlp,cnn")
CLASSES = Word("classes", "class sizes", ("balanced", "imbalanced"), many=True, default="balanced,imbalanced")
LOSS = Word("loss", "loss functions", ("mse", "ce"), many=True, default="mse,ce")
STYLE = Word("style", "what decays: all parameters, or linear layers and features", ("standard", "features"), many=True)
COMMON = (
    Word("data", "'digits', or a folder with MNIST or CIFAR-10", default="digits"),
    Input("n", integers(2), "images of the largest class", default=100),
    Input("ratio", integers(1), "largest class over smallest, where imbalanced", default=10),
    Input("seeds", integers(1), "trainings from different starts", default=3),
    Input("epochs", integers(1), "epochs", default=300),
    Input("rate", POSITIVE, "learning rate", default="0.05"),
    Input("momentum", reals(0), "momentum", default="0.9"),
    Input("batch", integers(1), "images a batch", default=64),
    Input("jobs", integers(1), "processes", default=2),
    Word("device", "where networks are trained", ("auto", "cpu", "cuda"), default="cpu"),
)


@dataclass(frozen=True)
class Training:
    """One training: which network on which data, how it is trained, and ``measure``, a name of `MEASURES`."""

    model: str
    classes: str
    loss: str
    style: str
    M: int
    seed: int
    measure: str
    inputs: Mapping[str, Any]

    @property
    def setting(self) -> tuple[str, str, str, str, int]:
        """All but the seed."""
        return self.model, self.classes, self.loss, self.style, self.M


def trainings(values: Values, seed: int, measure: str, **fixed: Any) -> list[Training]:
    """All combinations of the settings, each from as many starts as ``seeds`` says."""
    chosen = {name: values.get(name, fixed.get(name)) for name in ("model", "classes", "loss", "style", "M")}
    grid = [each if isinstance(each, tuple) else (each,) for each in chosen.values()]
    inputs = {
        name: float(value) if hasattr(value, "numerator") and not isinstance(value, int) else value
        for name, value in values.items()
        if name not in ("model", "classes", "loss", "style", "M", "jobs")
    }
    return [
        Training(model, classes, loss, style, depth, (1000 * seed + start) % 2**63, measure, inputs)
        for model, classes, loss, style, depth in product(*grid)
        for start in range(values["seeds"])
    ]


def check(values: Values) -> None:
    """Refuse what cannot be trained, before anything is."""
    from ..numerics.shapes import resolve_device

    for name in ("rate", "momentum", "lam"):
        to_float(name, values[name])
    resolve_device(values["device"])
    images(values)


def images(values: Values) -> Images:
    """The images that the inputs name; raises ``ValueError`` where there are none, ``MissingExtra`` for the digits."""
    from ..numerics import images as sources

    if values["data"] != "digits":
        return sources.folder(values["data"])
    required("sklearn.datasets", "scikit-learn", "The data set digits", "data")
    return sources.digits()


def class_counts(values: Values, classes: str, number: int) -> tuple[int, ...]:
    """Class sizes: all n, or in geometric steps from n down to n / ratio.

    Examples:
        >>> class_counts({"n": 100, "ratio": 4}, "imbalanced", 3)
        (100, 50, 25)
    """
    if classes == "balanced":
        return (values["n"],) * number
    steps = [values["ratio"] ** (-k / (number - 1)) for k in range(number)]
    return tuple(max(2, round(values["n"] * step)) for step in steps)


Measure = Callable[["Training", "nn.Sequential", "CollapseTracker", tuple[int, ...]], Mapping[str, float | None]]


def train(training: Training) -> dict[str, Any]:
    """The record of one training: its setting, epochs, and the metrics at each of them (None where not defined)."""
    from importlib import import_module

    import numpy as np

    from ..numerics import fitting, networks
    from ..numerics.shapes import resolve_device
    from ..numerics.training import CollapseTracker, UndefinedMetric

    inputs = training.inputs
    device = resolve_device(inputs["device"])
    every = images(inputs)
    counts = class_counts(inputs, training.classes, len(every.class_counts))
    chosen = every.subset(counts, training.seed).to(device)
    make = networks.perceptron if training.model == "mlp" else networks.convolutional
    bias = training.M == 1 and training.style == "standard"  # deep linear models have none
    network = make(chosen.shape, len(counts), training.seed, depth=training.M, bias=bias).to(device)
    recipe = fitting.Recipe(
        "ce" if training.loss == "ce" else "mse",
        inputs["lam"],
        inputs["lam_H"] if training.style == "features" else None,
        inputs["epochs"],
        inputs["rate"],
        inputs["momentum"],
        inputs["batch"],
    )
    looked = sorted({0, *np.geomspace(1, recipe.epochs, LOOKS).round().astype(int).tolist()})
    module, _, name = training.measure.partition(":")
    measure: Measure = getattr(import_module(f".{module}", __package__), name)
    metrics: dict[str, list[float | None]] = {}
    seen: list[int] = []
    tracker = CollapseTracker(
        network, [(chosen.values, chosen.labels)], layer="backbone", head="head", every=None, weight_decay=recipe.decay
    )

    def look(epoch: int) -> None:
        tracker.steps = epoch
        tracker.measure()
        found = measure(training, network, tracker, counts)
        seen.append(epoch)
        for metric, value in found.items():
            metrics.setdefault(metric, []).append(value if value is not None and math.isfinite(value) else None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetric)  # the record has None there
        finite = fitting.fit(network, chosen, recipe, training.seed, look, looked)
    setting = {key: value for key, value in asdict(training).items() if key not in ("inputs", "measure")}
    return setting | {"n": list(counts), "finite": finite, "epochs": seen, "metrics": metrics}


def run(found: Sequence[Training], jobs: int, progress: Progress) -> Numbers:
    """``runs``, ``converged`` and the ``reason``: every training was finite and ended without a training error."""
    runs: list[dict[str, Any]] = []
    for record in spread(train, found, jobs):
        runs.append(record)
        progress(said(record))
    missed = [record for record in runs if not (record["finite"] and record["metrics"]["accuracy"][-1] == 1.0)]
    names = ", ".join(dict.fromkeys(said(record) for record in missed))
    reason = f"{len(missed)} of {len(runs)} trainings did not reach zero training error: {names}"
    return {"converged": not missed, **({"reason": reason} if missed else {}), "runs": runs}


def said(record: Mapping[str, Any]) -> str:
    """A setting in words."""
    decay = "decay of all parameters" if record["style"] == "standard" else "decay of features"
    layers = f", M = {record['M']}" if record["M"] > 1 else ""
    return f"{record['model']}, {record['classes']}, {record['loss']}, {decay}{layers}"


def by_setting(runs: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """The runs of each setting, from its several starts."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for record in runs:
        setting = tuple(record[name] for name in ("model", "classes", "loss", "style", "M"))
        found.setdefault(setting, []).append(record)
    return found


def band(rows: Sequence[Sequence[float | None]]) -> tuple[list[float], list[float], list[float]]:
    """Middle, low and high end at each epoch: of the mean of logarithms, with Student's interval of 95 %.

    Values that are not positive are left out; the ends are NaN where fewer than two are left.
    """
    import numpy as np
    from scipy import stats

    middle, low, high = list[float](), list[float](), list[float]()
    for column in zip(*rows, strict=True):
        logs = np.log([x for x in column if x is not None and x > 0])
        mean = float(logs.mean()) if logs.size else math.nan
        spread_ = math.nan
        if logs.size > 1:
            spread_ = float(stats.t.ppf((1 + CONFIDENCE) / 2, logs.size - 1) * logs.std(ddof=1) / logs.size**0.5)
        for values, exponent in ((middle, mean), (low, mean - spread_), (high, mean + spread_)):
            values.append(math.exp(exponent) if exponent < 700 else math.inf)
    return middle, low, high


def last(records: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """The median over starts of a metric at the last epoch that was looked at; None if a start has none."""
    from statistics import median

    values = [record["metrics"][metric][-1] for record in records]
    return None if None in values else median(values)


def draw(panel: Axes, records: Sequence[Mapping[str, Any]], metric: str, color: Any, linestyle: str = "-") -> None:
    """The band of a metric over epochs; epoch 0 is left out of the logarithmic axis."""
    whole = [record for record in records if record["finite"]]
    if not whole:
        return
    epochs = whole[0]["epochs"][1:]
    middle, low, high = band([record["metrics"][metric][1:] for record in whole])
    panel.plot(epochs, middle, color=color, linestyle=linestyle, linewidth=1.0)
    shown = panel.dataLim.frozen()
    panel.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
    panel.dataLim.set_points(shown.get_points())  # of few starts a band may be huge: curves set the axes


def log_axes(panel: Axes) -> None:
    """Both axes in logarithms; where the values span less than a decade or so, plain numbers beside the ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    panel.set_xscale("log")
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    decades = math.log10(high / low)
    if decades >= 1.3:
        return
    steps = (1, 2, 3, 5) if decades > 0.6 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    even = MaxNLocator(4).tick_values(low, high)  # over so little, logarithms are straight
    ticks = [step * 10.0**power for power in powers for step in steps] if decades > 0.3 else [x for x in even if x > 0]
    panel.yaxis.set_major_locator(FixedLocator(ticks))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(low, high)


def caption(drawn: Figure, numbers: Mapping[str, Any], words: str = "") -> None:
    """A line below the panels: on which data, from how many starts and which seed, and what lines and bands are."""
    inputs = numbers["inputs"]
    data = inputs["data"].rstrip("/").rpartition("/")[2]
    starts = inputs["seeds"]
    seed = f"seed {numbers['seed']}" if "seed" in numbers else "seeded"
    bands = (
        f"geometric means of {starts} starts ({seed}), bands: their {CONFIDENCE:.0%} confidence intervals"
        if starts > 1
        else f"one start ({seed})"
    )
    text = f"Networks on {data}, {inputs['epochs']} epochs. Lines: {bands}. {words}".strip()
    drawn.text(0.5, 0.0, text, ha="center", va="bottom", fontsize=8, color="0.25")
