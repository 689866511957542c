"""Deep linear models of dang2023, no bias: one scalar problem a class, lengths in closed form, collapse at beta_M."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...theory import deep_linear
from ...theory.derivation import Setting
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, to_float
from .critical_points import CLASSES, ENOUGH, SAMPLES, VERSION, class_counts

SIZES = Input("n", integers(1), "class sizes", many=True)
POSITIVE = reals(0, open=True)
FEATURE_DECAY = Input("lam_H", POSITIVE, "decay of the features")


def predict_lengths(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    found = evaluated(values["n"], (values["lam_W"], values["lam_H"]), digits)
    return {"s2": found["p"], "f_min": found["f_min"]}


LENGTHS_PREDICTION = Prediction(
    (SIZES, Input("lam_W", POSITIVE, "decay of the classifier"), FEATURE_DECAY), predict_lengths
)


def evaluated(counts: tuple[int, ...], decays: tuple[Any, ...], digits: int | None) -> dict[str, Any]:
    """b, x and p, in the order of n, and the minimum of f."""
    if digits is not None:
        return deep_linear.certified(counts, sum(counts), decays, digits)
    for name, decay in zip((*("lam_W",) * (len(decays) - 1), "lam_H"), decays, strict=True):
        to_float(name, decay)
    found = deep_linear.minimum(deep_linear.one_hot(counts), sum(counts), decays)
    if not found.converged:
        raise ArithmeticError("Newton's method did not converge")
    return {"b": found.b.tolist(), "x": found.x.tolist(), "p": found.p.tolist(), "f_min": found.f_min}


MOST_LAYERS = 10_000


def predict_deep(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    weights = values["lam_W"]
    depth = values.get("M", len(weights))
    if depth > MOST_LAYERS:
        raise ValueError(f"M (number of layers): expected at most {MOST_LAYERS}, got {depth}")
    if len(weights) == 1:
        weights *= depth
    if len(weights) != depth:
        raise ValueError(f"lam_W: expected one decay, or M = {depth}, got {len(weights)}")
    return evaluated(values["n"], (*weights, values["lam_H"]), digits)


DEEP_PREDICTION = Prediction(
    (
        SIZES,
        Input("lam_W", POSITIVE, "decays of the layers", many=True),
        FEATURE_DECAY,
        Input("M", integers(1), "number of layers", optional=True),
    ),
    predict_deep,
)

# ---- one class, at the balanced point of product p = N lam_H x^M
DEPTH = Parameter(deep_linear.M, integers(1), "number of layers M", sampled_to=3)
FEW_CLASSES = Parameter(CLASSES.symbol, CLASSES.range, CLASSES.says, sampled_to=3)
FEW_SAMPLES = Parameter(SAMPLES.symbol, SAMPLES.range, SAMPLES.says, sampled_to=20)
SIZE = Parameter(deep_linear.n, integers(1), "size of a class")
DECAY = Parameter(deep_linear.lam_H, POSITIVE, "decay of the features")
ROOT = Parameter(deep_linear.x, POSITIVE, "root of the stationarity equation of the class")
DOMAIN = Domain((DEPTH, FEW_CLASSES, FEW_SAMPLES, SIZE, DECAY, ROOT), (ENOUGH,))


def _sample(rng: random.Random) -> Any:
    values = {DEPTH.symbol: rng.randint(1, 3), CLASSES.symbol: 2, SAMPLES.symbol: rng.randint(2, 9)}
    halves = {symbol: sp.Rational(rng.randint(1, 9), 2) for symbol in (DECAY.symbol, ROOT.symbol)}
    return {**values, SIZE.symbol: rng.randint(1, 5), **halves}


setting = Setting(DOMAIN.ranges, (), _sample)


# ---- simulation
def example(values: Mapping[str, Any], seed: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Class sizes, and unequal decays for which a random class lies near its threshold, on either side."""
    from ...theory import scalar_problem

    rng = random.Random(seed)
    depth, samples = values["M"], values["N"]
    counts = class_counts(values["K"], samples, seed)
    slope = scalar_problem.threshold(depth) * 10 ** rng.uniform(-1.5, 0.2)
    product = (slope * rng.choice(counts) / (depth * samples)) ** depth / samples
    spread = [10 ** rng.uniform(-0.3, 0.3) for _ in range(depth + 1)]
    shift = (product / sp.prod(spread)) ** (1 / (depth + 1))
    return counts, tuple(float(shift * each) for each in spread)


def searched(counts: tuple[int, ...], decays: tuple[float, ...], seed: int) -> Any:
    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    model = DeepLinearUFM(counts, 2 * len(counts), len(decays) - 1, decays)
    return minimisation.global_minimum(model, seed, starts=12)


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

    from ...theory import scalar_problem

    counts, decays = example(values, seed)
    predicted = deep_linear.minimum(counts, sum(counts), decays)
    edge = scalar_problem.threshold(values["M"])
    found = searched(counts, decays, seed)
    best = found.value.best
    weights, means = best.product, best.features
    ridge = sum(counts) * decays[-1]
    units = ridge, 1 / ridge, 1.0
    matrices = (weights @ weights.mT, means.mT @ means, weights @ means)
    rows = deep_linear.lengths(predicted.p, sum(counts), decays[-1])
    measured = [x / unit for matrix, unit in zip(matrices, units, strict=True) for x in matrix.flatten().tolist()]
    theoretical = [x / unit for row, unit in zip(rows, units, strict=True) for x in np.diag(row).ravel().tolist()]
    clear = bool((abs(predicted.b / edge - 1) > 0.02).all()) if values["M"] > 1 else True
    scale = max(1.0, max(map(abs, theoretical)))
    return Comparison(measured, theoretical, 1e-6 * scale, converged=found.converged and clear)


CLAIMS = (
    Claim(
        "dang2023/scalar-reduction",
        "Minimising f is minimising a scalar problem for each class: f* = 1/2 sum_k (n_k/N) min g_{b_k}",
        Kind.OPTIMUM,
        deep_linear.value_of_a_class(),
        setting,
        DOMAIN,
        lambda: deep_linear.attained(setting),
        simulate_reduction,
        Verdict.SUPPORTED,
        version=VERSION,
        locator="section 4",
        notes="What is proved: at balanced factors with product p = N lambda_H x^M and ridge features, x a root of the "
        "stationarity equation, a class adds (n/(2N)) g_b(x) to f. The M + 1 decay terms of a class are equal there.",
        beyond="that no factors do better, which is simulated (for one layer see imbalanced-lengths)",
    ),
    Claim(
        "dang2023/imbalanced-deep",
        "Any number of layers, no bias: lengths p_k = N lambda_H x_k^M, and class k collapses where b_k > beta_M",
        Kind.IDENTITY,
        deep_linear.lengths_of_a_class(),
        setting,
        DOMAIN,
        lambda: deep_linear.lengths_attained(setting),
        simulate_lengths,
        Verdict.SUPPORTED,
        version=VERSION,
        locator="section 4",
        notes="What is proved: the lengths p/(p + N lambda_H) and p/(p + N lambda_H)^2 in terms of x.",
        beyond="that the global minima are these, which is simulated",
        predict=DEEP_PREDICTION,
    ),
)
