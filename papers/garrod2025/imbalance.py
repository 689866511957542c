"""Classes of several sizes in garrod2025: lower rank wins in deep models, and what takes neural collapse's place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory import depth, encoded_labels, imbalance, logit_scale, minimal_rank, one_layer_collapse
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..drawing import CIRCLE, STYLE, Style, colours, frame, key, scientific
from ..evidence import Comparison, Kind, Verdict
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Prediction, Values, echo, to_float
from .alignment import POSITIVE, SCHATTEN, VERSION
from .depth import COMMON, SHARED, circle_constants
from .losses import numbers, simplex_logits
from .low_rank import SUPERIORITY_DOMAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM

SIZES = (
    Parameter(depth.N, integers(2), "samples in all", sampled_to=12),
    Parameter(depth.least_size, integers(1), "least size of a class", sampled_to=3),
)


def _parameters(*first: Parameter) -> tuple[Parameter, ...]:
    return tuple({each.symbol: each for each in (*first, *SUPERIORITY_DOMAIN.parameters)}.values())


ranks = imbalance.Imbalance(encoded=False)
RANK_DOMAIN = Domain(_parameters(*SHARED, *SIZES, *COMMON), SUPERIORITY_DOMAIN.conditions)
rank_setting = ranks.setting(RANK_DOMAIN.ranges)
encoded = imbalance.Imbalance(encoded=True)
ENCODED_DOMAIN = Domain(
    (
        *SHARED,
        *SIZES,
        Parameter(minimal_rank.p, integers(1), "rank of the simplex-encoded labels, K - 1"),
        Parameter(minimal_rank.q, integers(1), "rank of M, 2 for a circle"),
        *(
            Parameter(symbol, POSITIVE, says)
            for symbol, says in (
                (depth.eta, "root of the largest class size"),
                (minimal_rank.mu, "least gap of M"),
                (minimal_rank.R, "m eta / (mu nu^(1/2)), m the largest singular value of M"),
                (minimal_rank.rho, "R^(2/(L+1))"),
                (minimal_rank.scale, "scale of the simplex-encoded labels"),
                (minimal_rank.gap, "a gap"),
                (minimal_rank.rest, "the other terms of a softmax, over that of the right class"),
                (minimal_rank.unit, "(t nu^(1/2))^(2/(L+1))"),
            )
        ),
        Parameter(minimal_rank.more, reals(0), "by how much a gap of M exceeds mu"),
    )
)
encoded_setting = encoded.setting(ENCODED_DOMAIN.ranges)
# The solution of the max-margin problem, and that minimisers tend to it: Thrampoulidis et al. 2022, theorems 1 and 2.
ENCODED_LIMIT = "one layer at vanishing decay: the simplex-encoded labels"


# ---- simulation
def step_sizes(classes: int, ratio: int, minority: int, least: int = 1) -> tuple[int, ...]:
    """(R, rho)-STEP imbalance: the last ``minority`` classes have ``least`` samples, the others R times as many."""
    return (ratio * least,) * (classes - minority) + (least,) * minority


def model_of_sizes(sizes: tuple[int, ...], layers: int, decay: float) -> DeepLinearUFM:
    from ...numerics.deep_linear import DeepLinearUFM

    return DeepLinearUFM(sizes, len(sizes), layers, decay, loss="ce")


def loss_of(model: DeepLinearUFM, logits: Tensor, seed: int) -> float:
    """The objective at balanced factors of logits (K, K) of the classes."""
    from ...numerics import initialisers

    return float(model.objective(initialisers.factorised(model, logits, seed)))


def circle_logits(classes: int) -> Tensor:
    import torch

    angles = 2 * torch.pi * torch.arange(classes, dtype=torch.float64) / classes
    return torch.cos(angles[:, None] - angles)


def simulate_ranks(values: Mapping[str, Any], seed: int) -> Comparison:
    """Random logits of rank three or more beside a circle with gaps no less, deep enough, for random class sizes."""
    import random

    import torch

    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    classes = 4 + seed % 2
    sizes = tuple(rng.randint(1, 5) for _ in range(classes))
    logits = torch.randn(classes, classes, dtype=torch.float64, generator=generator)
    weighted = torch.linalg.svdvals(logits * torch.tensor(sizes, dtype=torch.float64).sqrt())
    gap, largest = circle_constants(classes)
    difference = float((logits.amax(dim=0) - logits.amin(dim=0)).max())
    ratio = difference * largest * max(sizes) ** 0.5 / (gap * float(weighted[-1]))
    layers = max(1, math.floor(2 * math.log(ratio) / math.log(classes / 2) - 1) + 1)
    if layers > 60:
        return Comparison([], [], 0.0, converged=False)
    model = model_of_sizes(sizes, layers, 0.02 / (layers + 1))
    other = circle_logits(classes) * (difference / gap)
    scale = min(values["t"], 5.0)
    return Comparison([loss_of(model, scale * logits, seed)], [loss_of(model, scale * other, seed)], 1e-9)


def simulate_encoded(values: Mapping[str, Any], seed: int) -> Comparison:
    """Simplex-encoded labels beside a circle with the same gaps, under STEP imbalance, from the least depth on."""
    classes, ratio = 4 + seed % 4, 1 + values["nu"] * (seed % 5)
    sizes = step_sizes(classes, ratio, 1 + seed % (classes - 1))
    layers = encoded_labels.wins_from(classes, Fraction(ratio)) + values["L"] - 1
    model = model_of_sizes(sizes, layers, 0.02 / (1 + values["mu"]) / (layers + 1))
    scale = min(values["t"], 10.0)
    other = circle_logits(classes) * (scale / circle_constants(classes)[0])
    return Comparison([loss_of(model, scale * simplex_logits(classes), seed)], [loss_of(model, other, seed)], 1e-9)


# ---- prediction
def predict_depth(values: Values, digits: int | None) -> dict[str, Any]:
    """The least depth; with sizes, L and lam also the least loss of both structures along the scale."""
    sizes = values.get("sizes")
    if sizes is None and not {"K", "R"} <= values.keys():
        raise ValueError("expected K and R, or sizes")
    if sizes is not None and ("K" in values or "R" in values):
        raise ValueError("K, R: expected either these or sizes, which say both")
    classes, ratio = (values["K"], values["R"]) if sizes is None else (len(sizes), Fraction(max(sizes), min(sizes)))
    if classes < 4:
        raise ValueError("K (number of classes): expected at least 4")
    if ratio < 1:
        raise ValueError("R (ratio of the largest and the least size): expected at least 1")
    found: dict[str, Any] = {"least_depth": encoded_labels.wins_from(classes, Fraction(ratio))}
    asked = [name for name in ("L", "lam") if name in values]
    if not asked:
        return found
    if sizes is None or len(asked) < 2:
        raise ValueError("L, lam: expected both, and sizes, for the losses")
    labels, points = (
        logit_scale.Scaled(structure, values["L"], 1, values["lam"])
        for structure in (encoded_labels.encoded_labels(sizes), encoded_labels.circle(sizes))
    )
    losses = {"simplex_encoded": lambda bits: labels.best(bits)[1], "circle": lambda bits: points.best(bits)[1]}
    return {**found, **numbers(losses, digits), "circle_wins": _less(points, labels)}


def _less(one: logit_scale.Scaled, other: logit_scale.Scaled) -> bool | None:
    """Whether the least loss of one is less, by certified comparison; None if no difference is seen."""
    for bits in (64, 256, 1024):
        ours, theirs = one.best(bits)[1], other.best(bits)[1]
        if ours < theirs or ours > theirs:
            return bool(ours < theirs)
    return None


DEPTH_INPUTS = (
    Input("K", integers(2), "number of classes", optional=True),
    Input("R", POSITIVE, "ratio of the largest and the least size", optional=True),
    Input("sizes", integers(1), "class sizes, in their order on the circle", many=True, optional=True),
    Input("L", integers(1), "number of weight layers", optional=True),
    Input("lam", POSITIVE, "decay of every factor", optional=True),
)


CLAIMS = (
    Claim(
        "garrod2025/imbalanced-rank",
        "For classes of any sizes lower rank wins in deep models, and all but few singular values of minima vanish",
        Kind.LOWER,
        ranks.statement,
        rank_setting,
        RANK_DOMAIN,
        lambda: imbalance.theorem(ranks, rank_setting),
        simulate_ranks,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorems A1 and A2",
        notes="garrod2025/rank-superiority and garrod2025/global-rank-decay with the singular values of X Y and "
        "M Y: D m_1 / (mu x_p) grows by at most (eta^2/nu)^(1/2), the root of the ratio of the largest and "
        "the least size. The cross-entropy is a weighted mean over the classes, of terms each of which is "
        "no larger for M. Zero is the only minimum from the same decay on, lam (L+1) >= 2 log K; the "
        "gradient at zero has singular values up to eta / N.",
        lemmas=(*SCHATTEN, one_layer_collapse.LEMMA),
    ),
    Claim(
        "garrod2025/imbalanced-dnc",
        "Under STEP imbalance, K >= 4, the frame of one layer is not optimal in deep models: a circle beats it",
        Kind.LOWER,
        encoded.statement,
        encoded_setting,
        ENCODED_DOMAIN,
        lambda: imbalance.theorem(encoded, encoded_setting),
        simulate_encoded,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem A3",
        notes="For classes of any sizes. S Y has gaps 1, rank p = K - 1 >= 3 and no positive singular value "
        "below nu^(1/2); a circle M has rank q = 2. So M beats S Y at every scale and decay once "
        "((K-1)/2)^(L+1) > (m/mu)^2 eta^2 / nu, m and mu being the largest singular value and the least "
        "gap of M. The condition is strict: it holds for all X of rank K - 1 near S, with D and x_p near 1 "
        "and nu^(1/2). The frame of the minimum of one layer is one of these for small lam, by the lemma, "
        "which has S Y as its limit. In which order L and lam are chosen does not matter for S Y.",
        lemmas=(*SCHATTEN, ENCODED_LIMIT),
        predict=Prediction(DEPTH_INPUTS, predict_depth),
    ),
)


# ---- the experiment
MOST_CLASSES, MOST_DEPTH, MOST_RUNS = 12, 20, 5000


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """For every L one search for all decays; simplex-encoded labels and a circle at their best scale beside it."""
    import torch

    from ...numerics import low_rank

    classes, minority = values["K"], values["minority"]
    if not 4 <= classes <= MOST_CLASSES or minority >= classes:
        raise ValueError(
            f"expected K from 4 to {MOST_CLASSES}, and fewer minority classes, got {classes} and {minority}"
        )
    if max(values["L"]) > MOST_DEPTH or values["starts"] > MOST_RUNS:
        raise ValueError(f"expected L up to {MOST_DEPTH} and at most {MOST_RUNS} starts")
    sizes = step_sizes(classes, values["R"], minority, values["n"])
    decays = sorted({to_float("lam", each) for each in values["lam"]}, reverse=True)
    rows: list[dict[str, Any]] = []
    for layers in sorted(set(values["L"])):
        model = model_of_sizes(sizes, layers, 1.0)
        lam = torch.tensor(decays, dtype=torch.float64)[:, None].expand(-1, layers + 1)
        found = low_rank.search(
            model,
            seed + layers,
            widths=(classes,),
            starts=values["starts"],
            decays=lam,
            iterations=values["iterations"],
        )
        named = {"sel": simplex_logits(classes), "circle": circle_logits(classes)}
        best = {name: low_rank.best_scale(model, logits, lam) for name, logits in named.items()}
        for i, decay in enumerate(decays):
            logits = found.value.logits[i]
            frame = simplex_logits(classes)
            share = float((logits * frame).sum() / frame.square().sum())
            norm = float(torch.linalg.matrix_norm(logits))
            apart = float(torch.linalg.matrix_norm(logits - share * frame)) / norm if norm else 0.0
            rows.append(
                {
                    "L": layers,
                    "lam": decay,
                    "loss": float(found.stats.loss[i]),
                    "rank": int(found.value.rank[i]),
                    "hits": int(found.value.hits[i]),
                    "certain": bool(found.value.certain[i]),
                    "distance_from_sel": apart,
                    **{name: float(each.value.loss[i]) for name, each in best.items()},
                }
            )
        progress(f"L = {layers}")
    lost = sum(not row["certain"] for row in rows)
    reason = {"reason": f"{lost} of {len(rows)} searches did not converge; they are marked"} if lost else {}
    proved = encoded_labels.wins_from(classes, Fraction(values["R"]))
    return {
        "inputs": echo(values),
        "sizes": list(sizes),
        "converged": not lost,
        **reason,
        "proved_from": proved,
        "rows": rows,
    }


def summary(numbers: Numbers) -> list[str]:
    """A line for every L and lam."""
    lines = [
        f"cross-entropy, deep linear, class sizes {', '.join(map(str, numbers['sizes']))}",
        " L  lam        least found  rank  simplex-encoded  circle     distance of the logits from simplex-encoded",
    ]
    for row in numbers["rows"]:
        lines.append(
            f"{row['L']:>2}  {row['lam']:<9.3g}  {row['loss']:.8f}  {row['rank']:>4}{' ' if row['certain'] else '?'} "
            f"{row['sel']:<15.8f}  {row['circle']:.7f}  {row['distance_from_sel']:.4f}"
        )
    return [
        *lines,
        f"proved: a circle beats simplex-encoded labels at every scale and lam from L = {numbers['proved_from']} on",
        "? the search did not converge; distance: relative, of the best multiple",
    ]


def figure(numbers: Numbers) -> Figure:
    """Loss of the simplex-encoded labels over the least found, and the rank of that, against L."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = [row for row in numbers["rows"] if row["certain"]]
    decays = sorted({row["lam"] for row in rows}, reverse=True)
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(6.4, 2.8), layout="constrained")
        left, right = drawn.subplots(1, 2)
        entries: list[tuple[str, Style]] = []
        for number, (decay, colour) in enumerate(zip(decays, colours(len(decays)), strict=True)):
            chosen = [row for row in rows if row["lam"] == decay]
            depths = [row["L"] for row in chosen]
            style = CIRCLE | {"color": colour, "markersize": max(9.0 - 2.5 * number, 3.0)}  # rings: values are equal
            left.plot(depths, [row["sel"] / row["loss"] for row in chosen], **style)
            right.plot(depths, [row["rank"] for row in chosen], **style)
            entries.append((rf"$\lambda = {scientific(decay)}$", style | {"markersize": 4.0}))
        left.set_ylabel("simplex-encoded labels / least loss found")
        right.set_ylabel("rank of the least loss found")
        right.set_ylim(0, numbers["inputs"]["K"])
        right.yaxis.set_major_locator(MaxNLocator(integer=True))
        for panel, letter in ((left, "a"), (right, "b")):
            frame(panel, letter)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set_xlabel("number of weight matrices $L$")
        key(left, *entries, columns=3)
    return drawn


EXPERIMENT = Experiment(
    "imbalanced-depth",
    "STEP imbalance: simplex-encoded labels and what a search finds, over depth and decay (garrod2025, theorem A3)",
    (
        Input("K", integers(2), "number of classes", default=4),
        Input("minority", integers(1), "how many of them are small", default=2),
        Input("R", integers(1), "ratio of the class sizes", default=10),
        Input("n", integers(1), "samples of a small class", default=1),
        Input("L", integers(1), "numbers of weight matrices", many=True, default="1,2,3,4,5,6"),
        Input("lam", POSITIVE, "decays of every factor", many=True, default="0.001,0.0001,0.00001"),
        Input("starts", integers(2), "starts of each search", default=32),
        Input("iterations", integers(1), "most iterations of a start", default=600),
    ),
    lambda values: len(set(values["L"])),
    run,
    summary,
    figure,
    lambda numbers: any(row["certain"] for row in numbers["rows"]),
)
