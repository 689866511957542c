"""Growing depth in garrod2025: when all singular values of the optimal logits vanish, and all but few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory import depth, logit_scale, one_layer_collapse
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..drawing import ASYMPTOTE, CIRCLE, STYLE, Style, colours, key
from ..evidence import Comparison, Kind, Verdict
from ..experiments import Experiment, Numbers, Progress
from ..prediction import Input, Prediction, Values, echo
from .alignment import POSITIVE, SCHATTEN, SIZE, VERSION, model_of
from .losses import numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONNEGATIVE = reals(0)
SHARED = (
    Parameter(depth.K, integers(2), "number of classes", sampled_to=5),
    Parameter(depth.L, integers(1), "number of weight layers L", sampled_to=6),
)
COMMON = (
    Parameter(depth.q, integers(1), "rank of M"),
    Parameter(depth.r, integers(1), "rank of Z"),
    *(
        Parameter(symbol, POSITIVE, says)
        for symbol, says in (
            (depth.eta, "root of the largest class size"),
            (depth.c, "lam (L+1)"),
            (depth.ell, "log K"),
            (depth.s, "singular value of every factor"),
            (depth.xi, "sum of s^2 over the singular values of every factor"),
            (depth.chi, "sum of the singular values of Z"),
            (depth.z, "largest singular value of Z"),
            (depth.epsilon, "one over the size of the class of a gap"),
            (depth.mu, "least gap of M"),
            (depth.m, "largest singular value of the logits of M"),
            (depth.rho, "(2 m^2 / (mu^2 nu))^(1/(L+1)), nu the least class size"),
            (depth.total, "sum of sigma^(2/(L+1)) over the singular values of Z"),
            (depth.first, "the largest of its terms"),
            (depth.later, "the (q+1)-th of its terms"),
            (depth.rest, "the other terms of a softmax, over that of the right class"),
            (depth.wrong, "(K-1) e^(-mu t), of M at the scale t"),
        )
    ),
    *(
        Parameter(symbol, NONNEGATIVE, says)
        for symbol, says in (
            (depth.drop, "by how much the cross-entropy of Z is below log K"),
            (depth.slope, "minus N times its slope at zero, along Z"),
            (depth.gap, "a gap of Z"),
            (depth.own, "cross-entropy of Z"),
            (depth.other, "cross-entropy of M; a gap"),
            (depth.up, "minus a gap that is not positive"),
        )
    ),
)
balanced = depth.Sizes(balanced=True)
case = depth.Depth((depth.Vanishing(balanced), depth.Remaining(balanced)))
DEPTH_DOMAIN = Domain((*SHARED, SIZE, *COMMON))
depth_setting = case.setting(DEPTH_DOMAIN.ranges)

floor = depth.Depth((depth.Floor(balanced),))
FLOOR_DOMAIN = Domain(
    (
        Parameter(depth.K, integers(2), "number of classes", sampled_to=5),
        Parameter(depth.L, integers(2), "number of weight layers L", sampled_to=5),
        SIZE,
        Parameter(depth.q, integers(1), "rank of M"),
        *(
            Parameter(symbol, POSITIVE, says)
            for symbol, says in (
                (depth.lam, "decay of every factor"),
                (depth.s, "singular value of every factor"),
                (depth.gamma, "minus the entry of the gradient"),
                (depth.theta, "squared norm of the gradient"),
                (depth.tau, "(t m)^(2/(L+1)) of M at a scale t"),
                (depth.total, "sum of sigma^(2/(L+1)) over the singular values of Z"),
            )
        ),
    )
)
floor_setting = floor.setting(FLOOR_DOMAIN.ranges)


# ---- simulation
def minimum(counts: tuple[int, ...], layers: int, decay: float, seed: int, starts: int = 6) -> Any:
    """The structure that a search finds, with the objective of zero beside its own."""
    from ...numerics import low_rank
    from ...numerics.deep_linear import DeepLinearUFM

    model = DeepLinearUFM(counts, len(counts), layers, decay, loss="ce")
    return low_rank.search(model, seed, widths=(len(counts),), starts=starts, iterations=400)


def circle_constants(classes: int) -> tuple[float, float]:
    """The least gap and the largest singular value of K points on a circle, one sample a class."""
    import math

    return 1 - math.cos(2 * math.pi / classes), classes / 2


def simulate_depth(values: Mapping[str, Any], seed: int) -> Comparison:
    """Random factors are no better than zero in the first regime; a frame Z, all of whose values are equal, than M."""
    import math

    import torch

    from ...numerics.frames import partial_isometry
    from .alignment import balanced_factors

    classes, per_class = 3 + seed % 2, 1 + values["n"] % 3
    layers = values["L"] + (4 if classes == 4 else 0)
    generator = torch.Generator().manual_seed(seed)

    def loss(logits: Any, decay: float) -> float:
        model = model_of(classes, per_class, classes, layers, decay)
        return float(model.objective(balanced_factors(logits, per_class, classes, layers, seed)))

    logits = torch.randn(classes, classes, dtype=torch.float64, generator=generator) * values["z"]
    strong = loss(logits, 2 * math.log(classes) / (layers + 1) * (1 + values["epsilon"]))
    frame = partial_isometry(classes, classes, seed) * min(values["z"], 20.0)
    largest = float((frame.diagonal() - frame).max().clamp(min=0))
    angles = 2 * torch.pi * torch.arange(classes, dtype=torch.float64) / classes
    circle = torch.cos(angles[:, None] - angles)
    decay = 0.1 / (1 + values["mu"]) / (layers + 1)
    other = loss(circle * (largest / circle_constants(classes)[0]), decay) if largest > 0 else math.log(classes)
    return Comparison([strong, loss(frame, decay)], [math.log(classes), other], 1e-9)


def simulate_floor(values: Mapping[str, Any], seed: int) -> Comparison:
    """At critical points where descent ends, every singular value that lives is above the floor."""
    from ...numerics import initialisers, low_rank
    from ...numerics.minimisation import minimise

    classes, layers, per_class = min(values["K"], 3), min(values["L"], 3), min(values["n"], 2)
    decay = 0.02 / (1 + values["lambda"]) / (layers + 1)
    model = model_of(classes, per_class, classes, layers, decay)
    found = minimise(model, initialisers.orthogonal(model, seed, 1.0, collapsed=True), tolerance=1e-7, iterations=400)
    sizes = low_rank.sample_values(model, low_rank.logits(model, found.value))
    alive = sizes[(sizes > 1e-6 * sizes[..., :1]) & (sizes > 1e-6)].tolist()
    least = (decay**2 * classes * per_class / 2) ** ((layers + 1) / (2 * (layers - 1)))
    return Comparison(alive or [least], [least] * max(1, len(alive)), 1e-9, converged=found.converged)


# ---- prediction
def predict_depth(values: Values, digits: int | None) -> dict[str, Any]:
    """Bounds for K points on a circle as M; both decisions by certified comparison."""
    classes, layers, decay = values["K"], values["L"], Fraction(values["lam"])
    if classes < 3:
        raise ValueError("K (number of classes): expected at least 3, of which the least rank is 2")
    base = decay**2 * classes * values["n"] / 2

    def third(bits: int) -> Any:
        """kappa^((L+1)/2) (2/3)^((L+1)/2), or 1."""
        gap = logit_scale.gap(logit_scale.Chord(Fraction(1, classes)))
        ratio = logit_scale.ball(Fraction(classes, 2)) / gap
        found = ratio * (2 * logit_scale.ball(Fraction(2, 3)) ** (layers + 1)).sqrt()
        return Fraction(1) if found > 1 else found

    def floor(bits: int) -> Any:
        return power(base, Fraction(layers + 1, 2 * (layers - 1))) if layers > 1 else Fraction(0)

    def weak(bits: int) -> Any:
        """Positive if the bound of three singular values is below the floor."""
        gap = logit_scale.gap(logit_scale.Chord(Fraction(1, classes)))
        scale = logit_scale.ball(2 * (classes - 1) / decay).log() / gap
        if not scale > 0:
            scale = logit_scale.ball(Fraction(0))
        size = scale * logit_scale.ball(Fraction(classes**2 * values["n"], 4)).sqrt()
        tau = size ** logit_scale.ball(Fraction(2, layers + 1)) if size > 0 else size
        bound = (2 * tau + logit_scale.ball(Fraction(1, layers + 1))) / 3
        return logit_scale.ball(base).log() - (layers - 1) * bound.log()

    return {
        "only_zero": positive(
            lambda bits: logit_scale.ball(decay * (layers + 1)) - 2 * logit_scale.ball(Fraction(classes)).log()
        ),
        **numbers({"third_over_first": third, "floor": floor}, digits),
        "rank_at_most_2": layers > 1 and positive(weak),
    }


def positive(value: Callable[[int], Any]) -> bool:
    """Whether a number that is not zero is positive, by enclosures in more and more bits."""
    import flint

    bits = 64
    while True:
        with flint.ctx.workprec(bits):
            found = value(bits)
        if found > 0 or found < 0:
            return bool(found > 0)
        bits *= 2


def power(base: Fraction, exponent: Fraction) -> Any:
    """A power of a positive fraction: exact if it is rational, which correct rounding needs to know, else a ball.

    Examples:
        >>> power(Fraction(4, 9), Fraction(3, 2))
        Fraction(8, 27)
        >>> round(float(power(Fraction(2), Fraction(1, 2))), 6)
        1.414214
    """
    from sympy import integer_nthroot

    raised = base**exponent.numerator
    roots = [integer_nthroot(each, exponent.denominator) for each in (raised.numerator, raised.denominator)]
    if all(whole for _, whole in roots):
        return Fraction(int(roots[0][0]), int(roots[1][0]))
    return logit_scale.ball(base) ** logit_scale.ball(exponent)


INPUTS = (
    Input("K", integers(2), "number of classes"),
    Input("L", integers(1), "number of weight layers"),
    Input("n", integers(1), "samples a class", default=1),
    Input("lam", POSITIVE, "decay of every factor"),
)

CLAIMS = (
    Claim(
        "garrod2025/global-rank-decay",
        "In deep models the optimal logits vanish if lam L is large; else all but q of their singular values do",
        Kind.LOWER,
        case.statement,
        depth_setting,
        DEPTH_DOMAIN,
        lambda: depth.theorem(case, depth_setting),
        simulate_depth,
        Verdict.PROVED,
        version=VERSION,
        locator="Theorem 3",
        notes="(i) If lam (L+1) >= 2 log K, zero is the only minimum: the singular values do not just go to "
        "zero. A Z that is not zero has the decay b xi / 2, more than its cross-entropy falls: f(Z) > f(0). If one "
        "s exceeds one, its decay alone exceeds f(0) = log K. (ii) M at the scale of equal gaps has no "
        "more cross-entropy, so that a minimum Z has sum_i s_i^2 <= q kappa s_1^2, and its (q+1)-th "
        "singular value is at most R (q/(q+1))^((L+1)/2) times the first, R^2 = kappa^(L+1) = 2 m^2 / "
        "(mu^2 n): at every L and lam, with q = 2 from K = 3 on. It is below the paper's "
        "((q+1)/(q+2))^((L+1)/2) as soon as ((q+1)^2 / (q (q+2)))^(L+1) > R^2. Z is diagonally superior if "
        "N (g + lam (L+1) q (t m)^(2/(L+1)) / 2) <= 13/20 at some scale t of M, g = (K-1) e^(-mu t): a "
        "column that is not has cross-entropy log 2 at least. At fixed t that is so for large L if lam = "
        "o(1/L).",
        lemmas=(*SCHATTEN, one_layer_collapse.LEMMA),
        predict=Prediction(INPUTS, predict_depth),
    ),
)

EXACT_RANK = Claim(
    "tightframe/exact-rank",
    "A singular value of critical logits is zero or above a floor, so that the optimal rank is at most q exactly",
    Kind.LOWER,
    floor.statement,
    floor_setting,
    FLOOR_DOMAIN,
    lambda: depth.theorem(floor, floor_setting),
    simulate_floor,
    Verdict.PROVED,
    sharpens="garrod2025/global-rank-decay",
    notes="The floor is sigma >= (lam^2 N / 2)^((L+1)/(2(L-1))), at every critical point, L >= 2. q + 1 singular "
    "values of a minimum above it would have a sum of sigma^(2/(L+1)) beyond what M allows, once (q + 1)(L "
    "+ 1) to the power L - 1 times lam^2 N / 2 exceeds (q tau (L+1) + 1)^(L-1), with tau = (t m)^(2/(L+1)) "
    "and (K-1) e^(-mu t) = lam/2. So the singular values beyond q that garrod2025/global-rank-decay calls "
    "exponentially small are zero for large L, unless lam itself falls as fast as (q/(q+1))^(L/2) times "
    "powers of L.",
    lemmas=SCHATTEN,
    predict=Prediction(INPUTS, predict_depth),
)


# ---- the experiment
MOST_CLASSES, MOST_DEPTH, MOST_RUNS = 20, 30, 5000


def run(values: Mapping[str, Any], seed: int, progress: Progress) -> Numbers:
    """Minima that a search finds for every L, with lam = strong/(L+1) and with lam = weak/(L+1)^2."""
    if values["K"] < 3 or values["K"] > MOST_CLASSES:
        raise ValueError(f"K: expected from 3 to {MOST_CLASSES}, got {values['K']}")
    if max(values["L"]) > MOST_DEPTH:
        raise ValueError(f"L: expected at most {MOST_DEPTH}, got {max(values['L'])}")
    if values["starts"] > MOST_RUNS:
        raise ValueError(f"expected at most {MOST_RUNS} starts, got {values['starts']}")
    rows: list[dict[str, Any]] = []
    for layers in sorted(set(values["L"])):
        decays = {"strong": values["strong"] / (layers + 1), "weak": values["weak"] / (layers + 1) ** 2}
        for regime, decay in decays.items():
            rows.append({"L": layers, "regime": regime, **_row(values, layers, decay, seed)})
        progress(f"L = {layers}")
    lost = sum(not row["certain"] for row in rows)
    reason = {"reason": f"{lost} of {len(rows)} searches did not converge; they are marked"} if lost else {}
    return {"inputs": echo(values), "converged": not lost, **reason, "rows": rows}


def _row(values: Values, layers: int, decay: Fraction, seed: int) -> dict[str, Any]:
    classes, per_class = values["K"], values["n"]
    found = minimum((per_class,) * classes, layers, float(decay), seed + layers, values["starts"])
    predicted = predict_depth({"K": classes, "L": layers, "n": per_class, "lam": decay}, None)
    return {
        "lam": float(decay),
        "loss": float(found.stats.loss),
        "rank": int(found.value.rank),
        "singular_values": found.value.singular_values.tolist(),
        "hits": int(found.value.hits),
        "certain": found.converged,
        "superior": _superior(found.value.logits),
        **predicted,
    }


def _superior(logits: Any) -> bool:
    gaps = logits.diagonal().unsqueeze(0) - logits
    gaps.fill_diagonal_(float("inf"))
    return bool((gaps > 0).all())


def summary(numbers: Numbers) -> list[str]:
    """A line for every L and regime."""
    inputs = numbers["inputs"]
    lines = [
        f"cross-entropy, deep linear, K = {inputs['K']}, n = {inputs['n']}; {inputs['starts']} starts each",
        " L  regime  lam        loss       rank  superior  sigma_2/sigma_1  sigma_3/sigma_1  bound     proved",
    ]
    for row in numbers["rows"]:
        sizes = row["singular_values"]
        ratios = [size / sizes[0] if row["rank"] else 0.0 for size in sizes[1:3]]
        proved = "zero" if row["only_zero"] else "rank <= 2" if row["rank_at_most_2"] else "-"
        lines.append(
            f"{row['L']:>2}  {row['regime']:<6}  {row['lam']:<9.5g}  {row['loss']:.7f}  {row['rank']:>4}"
            f"{' ' if row['certain'] else '?'} {'yes' if row['superior'] else '-':<8}  {ratios[0]:<15.3g}  "
            f"{ratios[1]:<15.3g}  {row['third_over_first']:<8.3g}  {proved}"
        )
    return [*lines, "? the search did not converge; bound: of sigma_3/sigma_1, proved for minima"]


FLOOR = 1e-12  # drawn for what is smaller


def figure(numbers: Numbers) -> Figure:
    """Normalised singular values against L, beside the bound of the third."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = [row for row in numbers["rows"] if row["regime"] == "weak" and row["certain"]]
    shown = min(4, numbers["inputs"]["K"] - 1)
    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(4.2, 2.9), layout="constrained")
        panel = drawn.subplots()
        depths = [row["L"] for row in rows]
        entries: list[tuple[str, Style]] = []
        for i, colour in enumerate(colours(shown)):
            sizes = [row["singular_values"][i] / row["singular_values"][0] if row["rank"] else 0.0 for row in rows]
            style = CIRCLE | {"color": colour, "markersize": 9.0 - 2.0 * i}  # rings, as values are often equal
            panel.plot(depths, [max(size, FLOOR) for size in sizes], **style)
            entries.append((rf"$\sigma_{i + 1}/\sigma_1$", style))
        panel.plot(depths, [row["third_over_first"] for row in rows], **ASYMPTOTE)
        panel.axhline(FLOOR, color="0.6", linewidth=0.5)
        panel.annotate("zero", (1.0, FLOOR), (3, 3), xycoords=("axes fraction", "data"), textcoords="offset points")
        panel.set_yscale("log")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("number of weight matrices $L$")
        panel.set_ylabel(r"$\sigma_i / \sigma_1$ of the least loss found")
        key(panel, *entries, (r"proved bound of $\sigma_3/\sigma_1$", ASYMPTOTE), columns=3)
    return drawn


EXPERIMENT = Experiment(
    "garrod2025-depth",
    "Singular values of the minima that a search finds as L grows (garrod2025, theorem 3)",
    (
        Input("K", integers(2), "number of classes", default=5),
        Input("L", integers(1), "numbers of weight matrices", many=True, default="1,2,3,4,5,6,7,8"),
        Input("n", integers(1), "samples per class", default=1),
        Input("strong", POSITIVE, "lam (L+1) in the first regime", default="3.3"),
        Input("weak", POSITIVE, "lam (L+1)^2 in the second regime", default="0.3"),
        Input("starts", integers(2), "starts of each search", default=8),
    ),
    lambda values: len(set(values["L"])),
    run,
    summary,
    figure,
    lambda numbers: any(row["certain"] and row["regime"] == "weak" for row in numbers["rows"]),
    claims=("garrod2025/global-rank-decay",),
)
