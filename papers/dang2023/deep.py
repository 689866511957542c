"""Deep linear models of dang2023, no bias: one scalar problem a class, lengths in closed form, collapse at beta_M."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from ...theory import critical_values, deep_linear, global_minima, label_spectrum, scalar_problem, symbols
from ...theory.critical_values import CriticalPoint
from ...theory.symbols import POSITIVE, integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, to_float
from .critical_points import CLASSES, ENOUGH, SAMPLES, VERSION, class_counts, grams

CLASS_SIZES = Input("n", integers(1), "class sizes", many=True)
FEATURE_DECAY = Input("lam_H", POSITIVE, "decay of the features")
WEIGHT_DECAYS = Input("lam_W", POSITIVE, "decays of the layers", many=True)
LAYERS = Input("M", integers(1), "number of layers", optional=True)
MOST_LAYERS = 10_000


def evaluated(
    squares: Any, samples: int, decays: tuple[Any, ...], digits: int | None, width: int | None = None
) -> dict[str, Any]:
    """b, x and p, in the order of the squared singular values, and the minimum of f."""
    if digits is not None:
        return deep_linear.certified(squares, samples, decays, digits, width)
    for name, decay in zip((*("lam_W",) * (len(decays) - 1), "lam_H"), decays, strict=True):
        to_float(name, decay)
    found = deep_linear.minimum(squares, samples, decays, width)
    if not found.converged:
        raise ArithmeticError("Newton's method did not converge")
    return {"b": found.b.tolist(), "x": found.x.tolist(), "p": found.p.tolist(), "f_min": found.f_min}


def layer_decays(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """(lam_1, ..., lam_M, lam_H): one decay of layers stands for all of them."""
    weights = values["lam_W"]
    depth = values.get("M", len(weights))
    if depth > MOST_LAYERS:
        raise ValueError(f"M (number of layers): expected at most {MOST_LAYERS}, got {depth}")
    if len(weights) == 1:
        weights *= depth
    if len(weights) != depth:
        raise ValueError(f"lam_W: expected one decay, or M = {depth}, got {len(weights)}")
    return *weights, values["lam_H"]


def predict_lengths(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    found = evaluated(values["n"], sum(values["n"]), (values["lam_W"], values["lam_H"]), digits)
    return {"s2": found["p"], "f_min": found["f_min"]}


def predict_deep(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    return evaluated(values["n"], sum(values["n"]), layer_decays(values), digits)


def predict_centred(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    """sigma^2, x and p of labels with a free bias, descending, the last ones zero, and the minimum of f."""
    counts, decays = values["n"], layer_decays(values)
    if len(counts) < 2:
        raise ValueError("n (class sizes): expected at least two classes")
    if digits is not None:
        found = evaluated(lambda bits: label_spectrum.enclosed(counts, bits)[:-1], sum(counts), decays, digits)
    else:
        squares = [low if low == high else float(low) for low, high in label_spectrum.enclosed(counts, 64)[:-1]]
        found = evaluated(squares, sum(counts), decays, None) | {"sigma2": list(map(float, squares))}
    zero = 0.0 if digits is None else "0"
    return {**{name: [*found[name], zero] for name in ("sigma2", "x", "p")}, "f_min": found["f_min"]}


LENGTHS_PREDICTION = Prediction(
    (CLASS_SIZES, Input("lam_W", POSITIVE, "decay of the classifier"), FEATURE_DECAY), predict_lengths
)
DEEP_PREDICTION = Prediction((CLASS_SIZES, WEIGHT_DECAYS, FEATURE_DECAY, LAYERS), predict_deep)
CENTRED_PREDICTION = Prediction(DEEP_PREDICTION.inputs, predict_centred)


# ---- domains
def parameters(at: CriticalPoint) -> tuple[Parameter, ...]:
    """Of a critical point in its setting."""
    depth = Parameter(scalar_problem.M, integers(1), "number of layers M", sampled_to=3)
    classes = Parameter(CLASSES.symbol, CLASSES.range, CLASSES.says, sampled_to=3)
    samples = (
        Parameter(symbols.n, integers(1), "samples in each class")
        if at.balanced
        else Parameter(SAMPLES.symbol, SAMPLES.range, SAMPLES.says, sampled_to=20)
    )
    found = [
        depth,
        classes,
        samples,
        Parameter(critical_values.d, integers(1), "dimension of the features"),
        Parameter(critical_values.a, integers(1), "width below the top layer"),
        Parameter(critical_values.z, integers(1), "columns of Z"),
        Parameter(critical_values.lam_M, POSITIVE, "decay of the top layer"),
        Parameter(critical_values.lam_H, POSITIVE, "decay of the features"),
        Parameter(critical_values.product, POSITIVE, "product of the decays of all layers"),
        Parameter(critical_values.gamma, POSITIVE, "(N P)^(1/M)"),
        Parameter(critical_values.decay, reals(0), "sum of all decay terms of layers"),
    ]
    if not at.dead:
        found.append(Parameter(critical_values.decay_opt, reals(0), "the same of the factors of X_opt"))
    if at.balanced:
        found.append(Parameter(scalar_problem.x, POSITIVE, "minimiser of the scalar problem"))
    return tuple(found)


REDUCTION_DOMAIN = Domain(
    (
        *parameters(global_minima.POINT),
        Parameter(symbols.n, integers(1), "size of a class"),
        Parameter(global_minima.xi, reals(0), "eigenvalue of X"),
    ),
    (ENOUGH,),
)
reduction_setting = global_minima.reduction_setting(REDUCTION_DOMAIN.ranges)
lengths = global_minima.Minimisers(CriticalPoint(labels=True))
LENGTHS_DOMAIN = Domain(parameters(lengths.at), (ENOUGH,))
lengths_setting = lengths.setting(LENGTHS_DOMAIN.ranges)


# ---- simulation
# Found by trial: from 12 starts of sizes 0.3 to 30 two of 250 minima at zero were missed, and none from these.
STARTS, SIZES = 24, (0.03, 30.0)


def near_threshold(square: float, samples: int, depth: int, ratio: float, rng: random.Random) -> tuple[float, ...]:
    """Unequal decays for which b = ``ratio`` beta_M where the target has this squared singular value."""
    slope = scalar_problem.threshold(depth) * ratio
    product = (slope * square / (depth * samples)) ** depth / samples
    spread = [10 ** rng.uniform(-0.3, 0.3) for _ in range(depth + 1)]
    shift = (product / math.prod(spread)) ** (1 / (depth + 1))
    return tuple(shift * each for each in spread)


def example(values: Mapping[str, Any], seed: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Class sizes, and decays for which a random class lies near its threshold, on either side."""
    rng = random.Random(seed)
    counts = class_counts(values["K"], values["N"], seed)
    ratio = 10 ** rng.uniform(-1.5, 0.2)
    return counts, near_threshold(rng.choice(counts), values["N"], values["M"], ratio, random.Random(seed))


def searched(counts: tuple[int, ...], decays: tuple[float, ...], seed: int) -> Any:
    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    model = DeepLinearUFM(counts, 2 * len(counts), len(decays) - 1, decays)
    return minimisation.global_minimum(model, seed, starts=STARTS, sizes=SIZES)


def simulate_reduction(values: Mapping[str, Any], seed: int) -> Comparison:
    """The least f of many minimisations beside the sum of the scalar problems."""
    counts, decays = example(values, seed)
    found = searched(counts, decays, seed)
    predicted = deep_linear.minimum(counts, sum(counts), decays)
    others = found.value.losses.flatten().tolist()
    return Comparison([float(found.stats.loss)], [predicted.f_min], 1e-9, others, found.converged)


def simulate_lengths(values: Mapping[str, Any], seed: int) -> Comparison:
    """W W^T, Hbar^T Hbar and W Hbar at the least f found; an example within 2 % of a threshold is not counted."""
    import numpy as np

    counts, decays = example(values, seed)
    predicted = deep_linear.minimum(counts, sum(counts), decays)
    edge = scalar_problem.threshold(values["M"])
    found = searched(counts, decays, seed)
    best = found.value.best
    weights, means = best.product, best.features
    ridge = sum(counts) * decays[-1]
    units = ridge, 1 / ridge, 1.0
    rows = deep_linear.lengths(predicted.p, sum(counts), decays[-1])
    measured = [
        x / unit for matrix, unit in zip(grams(weights, means), units, strict=True) for x in matrix.flatten().tolist()
    ]
    theoretical = [x / unit for row, unit in zip(rows, units, strict=True) for x in np.diag(row).ravel().tolist()]
    clear = bool((abs(predicted.b / edge - 1) > 0.02).all()) if values["M"] > 1 else True
    scale = max(1.0, *map(abs, theoretical))
    return Comparison(measured, theoretical, 1e-6 * scale, converged=found.converged and clear)


EXISTS = ("attained minimum",)
READING = (
    "A = W_M, B is the product of the other layers (I if M = 1), W = A B, D the sum of all lambda_m ||W_m||^2, Lambda "
    "the product of all lambda_m, gamma = (N P)^(1/M), Theta = T T^T/N, X = (lambda_M/gamma) A A^T and Q = X^M: "
    "W W^T = N lambda_H Q, as layers are balanced at a critical point (balancedness). "
)
OPTIMAL = (
    "X_opt has the eigenvectors of T T^T; in that of sigma its eigenvalue minimises g_b for b = M (N/sigma^2) gamma, "
    "and is 0 where sigma = 0 (scalar-minimiser). Q_opt = X_opt^M, and W_opt, H_opt, D_opt belong to balanced layers "
    "of X_opt, which exist if no width is less than the rank of X_opt. Then Theta (I + Q)^(-1) + M gamma X less the "
    "same of X_opt has the eigenvalues (sigma^2/N) (g_b(x) - min g_b) >= 0, so it is Z Z^T. "
)
MINIMAL = (
    "Every minimiser is a critical point with the value of the factors of X_opt, no critical value being less. Z = 0 "
    "says that each eigenvalue of X minimises its scalar problem; X P = X_opt P where only one number does, P being "
    "the projection to all directions but those at their threshold. At the threshold either minimiser is optimal; of "
    "two classes of one size at it, W W^T need not be diagonal. "
)

CLAIMS = (
    Claim(
        "dang2023/scalar-reduction",
        "Minimising the loss is minimising one scalar problem for each class",
        Kind.OPTIMUM,
        global_minima.reduction(),
        reduction_setting,
        REDUCTION_DOMAIN,
        lambda: global_minima.reduced(reduction_setting),
        simulate_reduction,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        lemmas=EXISTS,
        notes=READING
        + OPTIMAL
        + "Of labels T = Y and T T^T = diag(n_1, ..., n_K), so u is the unit vector of a class, "
        "or mixes classes of one size: f = 1/2 sum_k (n_k/N) g_{b_k}(x_k) at every critical point, and the factors of "
        "X_opt attain the least of these. The squared singular value of W that belongs to x_k is N lambda_H x_k^M.",
    ),
    Claim(
        "dang2023/imbalanced-deep",
        "Any number of layers, no bias, classes of any sizes: all lengths at the minimum, and which classes collapse",
        Kind.IDENTITY,
        lengths.statement,
        lengths_setting,
        LENGTHS_DOMAIN,
        lambda: global_minima.minima(lengths, lengths_setting),
        simulate_lengths,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        lemmas=EXISTS,
        notes=READING
        + OPTIMAL
        + MINIMAL
        + "Of labels X_opt = diag(x_1, ..., x_K), and P is diagonal with ones for all classes that are not at their "
        "threshold: their rows of W W^T are p_k = N lambda_H x_k^M on the diagonal and zero beside it. x_k = 0 "
        "exactly for b_k > beta_M (or b_k = beta_M if M = 1).",
        predict=DEEP_PREDICTION,
    ),
)
