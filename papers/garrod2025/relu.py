"""Deep ReLU models in garrod2025: pairs of classes against neural collapse, by proof, forward pass and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...theory import low_rank, relu_structure
from ...theory.derivation import Setting
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..drawing import COLOURS, STYLE
from ..evidence import Comparison, Kind, Verdict
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Prediction, Values, echo, to_float
from .alignment import CLASSES, DIMENSION, POSITIVE, SIZE, VERSION
from .losses import DECAY, simplex_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ...numerics.deep_linear import DeepLinearUFM, Factors

PAIRS = Parameter(low_rank.m, integers(2), "number of pairs, K = 2m or K = 2m + 1", sampled_to=9)
LAYERS = Parameter(low_rank.L, integers(2), "number of weight layers L", sampled_to=7)
case = relu_structure.ReLU(relu_structure.PAPER)
RELU_DOMAIN = Domain(
    (
        PAIRS,
        Parameter(low_rank.delta, integers(0), "K - 2m", sampled_to=1),
        CLASSES,
        LAYERS,
        SIZE,
        DIMENSION,
        DECAY,
        Parameter(low_rank.alpha, POSITIVE, "scale"),
        Parameter(relu_structure.eta, POSITIVE, "n^(1/2)"),
        Parameter(relu_structure.a, POSITIVE, "singular value of the simplex below a layer"),
        Parameter(relu_structure.b, POSITIVE, "singular value of the simplex above it"),
        Parameter(relu_structure.h, reals(0), "product of the sums of N and B, over all entries"),
        Parameter(relu_structure.l, integers(1), "number of the lowest factors"),
        Parameter(relu_structure.total, POSITIVE, "sum of their squared norms"),
        Parameter(relu_structure.more, POSITIVE, "squared norm of the next factor"),
        *(
            Parameter(symbol, POSITIVE, f"scale of the pairs in {where}")
            for symbol, where in (
                (relu_structure.c, "the layers between"),
                (relu_structure.t, "the last layer"),
                (relu_structure.f, "the first layer"),
                (relu_structure.x, "the features"),
            )
        ),
        Parameter(relu_structure.g, POSITIVE, "scale of the mean in the first layer"),
        Parameter(relu_structure.u, POSITIVE, "scale of the single class in the features"),
    ),
    (
        low_rank.delta <= 1,
        sp.Or(sp.And(low_rank.m >= 8, sp.Eq(low_rank.L, 4)), sp.And(low_rank.m >= 5, low_rank.L >= 5)),
    ),
)
relu_setting = case.setting(RELU_DOMAIN.ranges)

EXACT_DOMAIN = Domain((Parameter(low_rank.m, integers(1), "number of pairs, K = 2m or 2m + 1", sampled_to=9), LAYERS))


def _sample_exact(rng: Any) -> Any:
    pairs = rng.choice([*range(1, 9), 40])
    return {low_rank.m: pairs, low_rank.L: rng.choice([*range(2, 10), 30])}


exact_setting = Setting(EXACT_DOMAIN.ranges, (), _sample_exact)


# ---- structures as factors of the ReLU model
def balanced(parts: Sequence[Sequence[Tensor]], logits: Sequence[float]) -> Factors:
    """H_1, W_1, ..., W_L (K x K) of several parts, scaled to factors of one norm and a largest logit; their sum."""
    import math

    import torch

    from ...numerics.deep_linear import Factors

    summed: list[Tensor] | None = None
    for factors, largest in zip(parts, logits, strict=True):
        product = factors[0]
        for factor in factors[1:]:
            product = factor @ product
        norms = [float(torch.linalg.matrix_norm(factor)) for factor in factors]
        size = float(product.abs().max())
        root = math.exp((math.log(largest / size) + sum(map(math.log, norms))) / len(factors))
        scaled = [factor * (root / norm) for factor, norm in zip(factors, norms, strict=True)]
        summed = scaled if summed is None else [one + two for one, two in zip(summed, scaled, strict=True)]
    assert summed is not None
    return Factors(tuple(summed[1:]), summed[0])


def square_roots(features: Tensor) -> tuple[Tensor, Tensor]:
    """Two factors of least norms of a symmetric positive semi-definite matrix: its root, twice."""
    import torch

    values, vectors = torch.linalg.eigh(features)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    return root, root


def witness(classes: int, per_class: int, width: int, depth: int, scale: float) -> Factors:
    """Pairs, and a single class for odd K, with the logits scale times X of the linear model."""
    import torch

    from ...numerics.low_rank import paired

    pairs = classes // 2
    even = torch.zeros(classes, classes, dtype=torch.float64)
    even[: 2 * pairs, : 2 * pairs] = paired(2 * pairs)
    ones = torch.zeros(classes, 1, dtype=torch.float64)
    ones[: 2 * pairs] = 1.0
    projection = even / 2 + ones @ ones.mT / (2 * pairs)
    parts: list[Sequence[Tensor]] = [(*square_roots(even + ones @ ones.mT), *[projection] * (depth - 2), even)]
    if classes % 2:
        single = torch.zeros(classes, classes, dtype=torch.float64)
        single[-1, -1] = 1.0
        parts.append((single,) * (depth + 1))
    return repeated(parts, [scale] * len(parts), per_class, width)


def identity_collapse(classes: int, per_class: int, width: int, depth: int, scale: float) -> Factors:
    """Neural collapse with features that are a multiple of I before the last layer, which is one of S."""
    import torch

    identity, simplex = torch.eye(classes, dtype=torch.float64), simplex_logits(classes)
    return repeated([(*[identity] * depth, simplex)], [scale * (1 - 1 / classes)], per_class, width)


def quarter_circle(classes: int, per_class: int, width: int, depth: int, scale: float) -> Factors:
    """Rank two: features at K equal angles from 0 to pi/2, and a last layer that reads them; least gap `scale`."""
    import math

    import torch

    angles = torch.linspace(0, math.pi / 2, classes, dtype=torch.float64)
    points = torch.zeros(classes, classes, dtype=torch.float64)
    points[:2] = torch.stack((angles.cos(), angles.sin()))
    plane = torch.diag(torch.tensor([1.0, 1.0, *[0.0] * (classes - 2)], dtype=torch.float64))
    left, sizes, right = torch.linalg.svd(points)
    first, features = left * sizes.sqrt() @ right, right.mT * sizes.sqrt() @ right
    last = points.mT - points.mT.mean(dim=0)
    largest = float((last @ points).abs().max()) / (1 - math.cos(math.pi / (2 * (classes - 1))))
    return repeated([(features, first, *[plane] * (depth - 2), last)], [scale * largest], per_class, width)


def repeated(parts: Sequence[Sequence[Tensor]], logits: Sequence[float], per_class: int, width: int) -> Factors:
    """Those of `balanced`, with every sample of a class n times; zero units fill the width."""
    root = per_class**0.5
    found = balanced([(part[0] * root, *part[1:]) for part in parts], [each * root for each in logits])
    depth = len(found.weights)
    from dataclasses import replace

    columns = (found.features / root).repeat_interleave(per_class, dim=-1)
    return replace(found, features=columns).widened((width,) * depth)


def model_of(classes: int, per_class: int, width: int, depth: int, decay: float) -> DeepLinearUFM:
    from .alignment import model_of as linear

    return linear(classes, per_class, width, depth, decay)


# ---- simulation
def simulate_relu(values: Mapping[str, Any], seed: int) -> Comparison:
    """The witness through ReLU: its logits, its loss beside the formula, and neural collapse of that scale above it.

    Above the bound of its decays too.
    """
    from ...numerics import deep_relu
    from ...numerics.low_rank import paired

    classes, per_class, depth = 2 * values["m"] + values["delta"], values["n"], values["L"]
    scale, decay = min(values["alpha"], 20.0), values["lambda"]
    width = classes + seed % 2
    model = model_of(classes, per_class, width, depth, decay)
    point, other = (make(classes, per_class, width, depth, scale) for make in (witness, identity_collapse))
    wanted = scale * paired(classes).repeat_interleave(per_class, dim=-1)
    slip = float((deep_relu.outputs(point) - wanted).abs().max()) / scale
    pairs, root = float(values["m"]), 1 / (depth + 1)
    terms = (16 * pairs**3 * (pairs + 1) ** (depth - 2)) ** root + values["delta"]
    unit = decay / 2 * (depth + 1) * (scale**2 * per_class) ** root
    formula = terms * unit + cross_entropy(classes, scale)
    found, collapsed = (float(deep_relu.objective(model, each)) for each in (point, other))
    squares = decay / 2 * sum(float(each.square().sum()) for each in other.tensors)
    measured, bounds = [collapsed, squares, found, -found, -slip], [formula, (classes - 1) * unit, formula, -formula, 0]
    return Comparison(measured, bounds, 1e-10 * max(1.0, formula))


def cross_entropy(classes: int, scale: float) -> float:
    import math

    pairs, alone = classes // 2, classes % 2
    paired = math.log1p(math.exp(-2 * scale) + (classes - 2) * math.exp(-scale))
    return (2 * pairs * paired + alone * math.log1p((classes - 1) * math.exp(-scale))) / classes


def simulate_exact(values: Mapping[str, Any], seed: int) -> Comparison:
    """Whether the factors of the witness have a smaller sum of squares than the bound, beside the thresholds."""
    classes, depth, per_class = 2 * values["m"] + seed % 2, values["L"], 1 + seed % 3
    point = witness(classes, per_class, classes, depth, 1.0)
    squares = sum(float(each.square().sum()) for each in point.tensors)
    bound = (depth + 1) * (classes - 1) * per_class ** (1 / (depth + 1))
    least = next((k for (low, high), k in relu_structure.LEAST.items() if low <= depth <= (high or depth)), None)
    inside = least is not None and values["m"] >= least
    return Comparison([float(squares < bound)], [float(inside)], 0.0)


# ---- prediction
def predict_pairs(values: Values, digits: int | None) -> dict[str, Any]:
    classes, depth = values["K"], values["L"]
    return {
        "fewer_decays": relu_structure.fewer(classes // 2, depth),
        "theorem_7": (classes >= 16 and depth == 4) or (classes >= 10 and depth >= 5),
    }


PAIRS_INPUTS = (
    Input("K", integers(2), "number of classes"),
    Input("L", integers(2), "number of weight layers"),
)


CLAIMS = (
    Claim(
        "garrod2025/relu-suboptimal",
        "With ReLU no neural collapse is a global minimum if K >= 16 and L = 4, or K >= 10 and L >= 5",
        Kind.LOWER,
        case.statement,
        relu_setting,
        RELU_DOMAIN,
        lambda: relu_structure.beats_collapse(case, relu_setting),
        simulate_relu,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem 7",
        notes="Both terms of the loss are less for pairs of the same scale alpha. Neural collapse: after every "
        "ReLU the class means are a simplex ETF about their mean. ReLU brings no two columns further "
        "apart, so that the squared norm of a layer is at least (K-1) b^2 / a^2; by the inequality of the "
        "means, factor by factor, all of them add up to at least (L+1) (K-1) (alpha^2 n)^(1/(L+1)), the "
        "value of the linear model. Assumption 1 of the paper is not needed. With features that are a "
        "multiple of I neural collapse attains (L+1) ((K-1) K^L alpha^2 n)^(1/(L+1)); between the two its "
        "least decay lies. Pairs: all entries of the features are zero or positive, so that ReLU leaves "
        "them; their norms have the product that is stated, and add up to L+1 times its root where they "
        "are equal. For K = 2m the inequality of the decays is that of the paper. For K = 2m + 1, of which "
        "the paper gives no structure here, a single class stands beside the pairs, at the cost of one "
        "singular value in every factor: both sides grow by one, and the same m win. Cross-entropy is that "
        "of garrod2025/paired-loss.",
        lemmas=("induction over the layers",),
        predict=Prediction(PAIRS_INPUTS, predict_pairs),
    ),
)

EXACT = Claim(
    "tightframe/relu-pairs",
    "With ReLU pairs undercut the bound exactly from K = 14 at L = 4, 10 at L = 5, 8 at L = 6 and 7, 6 from L = 8 on",
    Kind.IDENTITY,
    relu_structure.exact_statement(),
    exact_setting,
    EXACT_DOMAIN,
    lambda: relu_structure.exactly_where(exact_setting),
    simulate_exact,
    Verdict.PROVED,
    sharpens="garrod2025/relu-suboptimal",
    notes="The bound is that of neural collapse, the structures are those of garrod2025/relu-suboptimal, whose "
    "other parts hold for all m and L; K = 2m and K = 2m + 1 behave alike. Theorem 7 is sharp for its "
    "structure at L = 5 only: K = 14 and 15 at L = 4, 8 and 9 from L = 6 on, and 6 and 7 from L = 8 on win "
    "too. For K <= 5 or L <= 3 these structures never have fewer decays than the bound. Others have: features "
    "on a quarter circle, of rank two, from L = 10 on for K = 4, 8 for K = 5, and 7 for K = 6 and 7, by forward "
    "passes and in floats only, not by proof; tightframe simulate garrod2025-relu shows them.",
    predict=Prediction(PAIRS_INPUTS, predict_pairs),
)


# ---- the experiment
MOST_CLASSES, MOST_DEPTH, MOST_RUNS = 30, 20, 2000
WITHIN = 1e-9  # relative: losses that differ by less are the same


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """For every K and L: the bound of neural collapse, structures at their best scale, and trained models."""
    for name, most in (("K", MOST_CLASSES), ("L", MOST_DEPTH)):
        if max(values[name]) > most:
            raise ValueError(f"{name}: expected at most {most}, got {max(values[name])}")
    if values["starts"] > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} starts, got {values['starts']}")
    cells: list[dict[str, Any]] = []
    for classes in sorted(set(values["K"])):
        for depth in sorted(set(values["L"])):
            cells.append(_cell(values, classes, depth, seed))
            progress(f"K = {classes}, L = {depth}")
    return {"inputs": echo(values), "converged": True, "cells": cells}


def _cell(values: Values, classes: int, depth: int, seed: int) -> dict[str, Any]:
    import torch

    from ...numerics import deep_relu
    from ...numerics import low_rank as structures
    from ...numerics.minimisation import starts_of_sizes
    from ...theory import logit_scale

    per_class, width, decay = values["n"], values["width"] * classes, to_float("lam", values["lam"])
    model = model_of(classes, per_class, width, depth, decay)
    bound = logit_scale.Scaled(logit_scale.simplex(classes), depth, per_class, values["lam"]).floats[1]
    lam = model.decay_tensor(torch.zeros((), dtype=torch.float64))
    start = starts_of_sizes(model, seed, values["starts"], (0.3, 30.0), lam)
    solved = deep_relu.minimise(model, start, iterations=values["iterations"])
    losses = torch.where(torch.isfinite(solved.stats.loss), solved.stats.loss, torch.inf)
    index = int(losses.argmin())
    best = solved.value.map(lambda tensor: tensor[index])
    ranks = [
        int(structures.numerical_rank(torch.linalg.svdvals(each)))
        for each in (*deep_relu.hidden(best)[1:], deep_relu.outputs(best))
    ]
    return {
        "K": classes,
        "L": depth,
        "theorem_7": predict_pairs({"K": classes, "L": depth}, None)["theorem_7"],
        "fewer_decays": relu_structure.fewer(classes // 2, depth),
        "dnc_bound": bound,
        "dnc_identity": best_loss(model, identity_collapse(classes, per_class, width, depth, 1.0)),
        "pairs": best_loss(model, witness(classes, per_class, width, depth, 1.0)),
        "quarter_circle": best_loss(model, quarter_circle(classes, per_class, width, depth, 1.0)),
        "trained": float(losses[index]),
        "trained_converged": int(solved.stats.converged.sum()),
        "trained_below_bound": int((losses < bound * (1 - WITHIN)).sum()),
        "ranks": ranks,
    }


def best_loss(model: DeepLinearUFM, unit: Factors) -> float:
    """The least loss along the scale of factors, all scaled alike, and of zero, by forward passes."""
    from scipy.optimize import minimize_scalar

    from ...numerics import deep_relu

    def loss(logarithm: float) -> float:
        root = float(10.0 ** (logarithm / (model.depth + 1)))
        return float(deep_relu.objective(model, unit.map(lambda tensor: root * tensor)))

    grid = [i / 20 for i in range(-60, 61)]
    middle = min(grid, key=loss)
    found: Any = minimize_scalar(loss, bounds=(middle - 0.05, middle + 0.05), method="bounded", options={"xatol": 1e-9})
    return min(float(found.fun), loss(middle), model.zero_loss(unit.features))


LOSSES = ("dnc_bound", "dnc_identity", "pairs", "quarter_circle", "trained")


def summary(numbers: Numbers) -> list[str]:
    """A line for every K and L."""
    inputs = numbers["inputs"]
    lines = [
        f"cross-entropy, deep ReLU, lam = {inputs['lam']:g}, n = {inputs['n']}; {inputs['starts']} starts a cell",
        " K   L  thm 7  pairs win  DNC at least  DNC, H = I  pairs      quarter    trained    below  ranks of H_2 to Z",
    ]
    for cell in numbers["cells"]:
        words = ["yes" if cell[name] else "-" for name in ("theorem_7", "fewer_decays")]
        losses = [f"{cell[name]:.7f}" for name in LOSSES]
        lines.append(
            f"{cell['K']:>2}  {cell['L']:>2}  {words[0]:<5}  {words[1]:<9}  {losses[0]:<12}  {losses[1]:<10}  "
            f"{'  '.join(losses[2:])}  {cell['trained_below_bound']:>5}  {','.join(map(str, cell['ranks']))}"
        )
    total = len(numbers["cells"]) * inputs["starts"]
    done = sum(cell["trained_converged"] for cell in numbers["cells"])
    return [
        *lines,
        "quarter: K points on a quarter circle, rank two; below: trained models with less loss than any neural "
        "collapse, of all starts",
        f"{done} of {total} runs converged; at a kink of ReLU none does, and a loss bounds the least one from above",
    ]


def figure(numbers: Numbers) -> Figure:
    """A panel for every K: losses over the bound of neural collapse, against L."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    sizes = sorted({cell["K"] for cell in numbers["cells"]})
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(max(3.4, 2.3 * len(sizes)), 2.6), layout="constrained")
        panels = drawn.subplots(1, len(sizes), squeeze=False)[0]
        for panel, classes in zip(panels, sizes, strict=True):
            cells = [cell for cell in numbers["cells"] if cell["K"] == classes]
            depths = [cell["L"] for cell in cells]
            for name, label, marker, colour in (
                ("dnc_identity", "DNC with $H \\propto I$", "s", COLOURS[0]),
                ("pairs", "pairs", "^", COLOURS[2]),
                ("quarter_circle", "quarter circle", "v", COLOURS[3]),
                ("trained", "best trained", "o", COLOURS[1]),
            ):
                ratios = [cell[name] / cell["dnc_bound"] for cell in cells]
                panel.plot(depths, ratios, marker=marker, color=colour, markersize=3.4, label=label)
            panel.axhline(1.0, color="0.45", linestyle="--", linewidth=0.9, label="bound of DNC")
            panel.set_title(f"$K = {classes}$")
            panel.set_xlabel("$L$")
        panels[0].set_ylabel("loss over the bound of DNC")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=2)
    return drawn


EXPERIMENT = Experiment(
    "garrod2025-relu",
    "Deep ReLU models: pairs, neural collapse and what training finds (garrod2025, theorem 7)",
    (
        Input("K", integers(2), "numbers of classes", many=True, default="4,6,10"),
        Input("L", integers(2), "numbers of weight matrices", many=True, default="2,4,5,8"),
        Input("lam", POSITIVE, "decay of every factor", default="0.0005"),
        Input("n", integers(1), "samples per class", default=1),
        Input("width", integers(1), "width of all layers, in multiples of K", default=2),
        Input("starts", integers(1), "trained models a cell", default=6),
        Input("iterations", integers(1), "most iterations of L-BFGS", default=1000),
    ),
    lambda values: len(set(values["K"])) * len(set(values["L"])),
    run,
    summary,
    figure,
    claims=("garrod2025/relu-suboptimal", "tightframe/relu-pairs"),
)
