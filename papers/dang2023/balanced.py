"""Balanced classes of dang2023, section 3: orthogonal frames without bias, simplex ETFs with one, trivial collapse."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...theory import deep_linear, global_minima
from ...theory.critical_values import CriticalPoint
from ...theory.rounding import decimal_string
from ...theory.symbols import POSITIVE, integers
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction
from .critical_points import ENOUGH, VERSION
from .deep import (
    EXISTS,
    FEATURE_DECAY,
    LAYERS,
    MINIMAL,
    OPTIMAL,
    READING,
    SIZES,
    STARTS,
    WEIGHT_DECAYS,
    evaluated,
    layer_decays,
    near_threshold,
    parameters,
)

if TYPE_CHECKING:
    from torch import Tensor

    from ...numerics.deep_linear import Factors

frame = global_minima.Minimisers(CriticalPoint(labels=True, balanced=True))
FRAME_DOMAIN = Domain(parameters(frame.at))
frame_setting = frame.setting(FRAME_DOMAIN.ranges)

simplex = global_minima.Minimisers(CriticalPoint(labels=True, balanced=True, bias=True))
SIMPLEX_DOMAIN = Domain(parameters(simplex.at))
simplex_setting = simplex.setting(SIMPLEX_DOMAIN.ranges)

collapse = global_minima.Collapse()
COLLAPSE_DOMAIN = Domain(
    (
        *parameters(collapse.at),
        Parameter(global_minima.c, integers(1), "rows of a layer"),
        Parameter(global_minima.e, integers(1), "columns of a layer"),
        Parameter(global_minima.lam_V, POSITIVE, "decay of a layer"),
    ),
    (ENOUGH,),
)
collapse_setting = collapse.setting(COLLAPSE_DOMAIN.ranges)


# ---- predictions
def predicted(alive: int, values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    """x, p and f*, where ``alive`` directions have sigma^2 = n and no other one counts."""
    found = evaluated((values["n"],) * alive, values["K"] * values["n"], layer_decays(values), digits)
    return {"x": found["x"][0], "p": found["p"][0], "f_min": found["f_min"]}


def predict_frame(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    return predicted(values["K"], values, digits)


def predict_simplex(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    share = Fraction(1, values["K"])
    bias = float(share) if digits is None else decimal_string(share, digits)
    return predicted(values["K"] - 1, values, digits) | {"bias": bias}


INPUTS = (
    Input("K", integers(2), "number of classes"),
    Input("n", integers(1), "samples in each class"),
    WEIGHT_DECAYS,
    FEATURE_DECAY,
    LAYERS,
)


# ---- simulation
def searched(values: Mapping[str, Any], each: int, ratio: float, seed: int, bias: bool) -> tuple[Any, Any, Any]:
    """The decays, the least point found, and what theory predicts, for b = ``ratio`` beta_M."""
    from ...numerics import minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    counts = (each,) * values["K"]
    decays = near_threshold(each, sum(counts), values["M"], ratio, random.Random(seed))
    model = DeepLinearUFM(counts, values["K"] - bias + seed % 3, values["M"], decays, bias=bias)
    found = minimisation.global_minimum(model, seed, starts=STARTS, sizes=SIZES)
    squares = (each,) * (values["K"] - bias)
    return decays, found, deep_linear.minimum(squares, sum(counts), decays)


def simulate_frames(bias: bool) -> Callable[[Mapping[str, Any], int], Comparison]:
    """f, W W^T, Hbar^T Hbar, W Hbar, W beside Hbar^T, and the bias, at the least f found."""

    def simulate(values: Mapping[str, Any], seed: int) -> Comparison:
        classes, each = values["K"], values["n"]
        ratio = 10 ** random.Random(seed).uniform(-1.5, -0.02)
        decays, found, theory = searched(values, each, ratio, seed, bias)
        best: Factors = found.value.best
        ridge = classes * each * decays[-1]
        p = float(theory.p[0])
        weights, means = best.product / ridge**0.5, best.features * ridge**0.5
        projection = weights.new_ones(classes, classes).div(-classes if bias else float("inf")).fill_diagonal_(0)
        projection.diagonal().fill_(1 - 1 / classes if bias else 1.0)
        share = p / (p + ridge)
        scale = max(1.0, p / ridge)
        pairs: list[tuple[Tensor, Tensor]] = [
            (weights @ weights.mT / scale, p / ridge / scale * projection),
            (means.mT @ means, share * (1 - share) * projection),
            (weights @ means, share * projection),
            (weights / scale, (1 + p / ridge) / scale * means.mT),
        ]
        if best.bias is not None:
            pairs.append((best.bias, weights.new_full((classes, 1), 1 / classes)))
        measured = [x for left, _ in pairs for x in left.flatten().tolist()]
        theoretical = [x for _, right in pairs for x in right.flatten().tolist()]
        measured.append(float(found.stats.loss))
        theoretical.append(theory.f_min)
        return Comparison(measured, theoretical, 1e-6, converged=found.converged)

    return simulate


def simulate_collapse(values: Mapping[str, Any], seed: int) -> Comparison:
    """All weights and features at the least f found, in their natural units, beside zero; with a bias or without."""
    each = max(1, values["N"] // values["K"])
    ratio = 10 ** random.Random(seed).uniform(0.01, 0.5)
    decays, found, _ = searched(values, each, ratio, seed, bool(seed % 2))
    best: Factors = found.value.best
    chain = zip((*best.weights, best.features), decays, strict=True)
    measured = [x for factor, decay in chain for x in (factor * decay**0.5).flatten().tolist()]
    return Comparison(measured, [0.0] * len(measured), 1e-6, converged=found.converged)


BALANCED = "Labels are balanced: N = K n, b = M K gamma, and x is the only minimiser of g_b, b being no threshold. "

CLAIMS = (
    Claim(
        "dang2023/balanced-of",
        "Balanced, no bias: features collapse, W W^T, Hbar^T Hbar and W Hbar are multiples of I, w_k is one of hbar_k",
        Kind.IDENTITY,
        frame.statement,
        frame_setting,
        FRAME_DOMAIN,
        lambda: global_minima.minima(frame, frame_setting),
        simulate_frames(bias=False),
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        lemmas=EXISTS,
        notes=READING + OPTIMAL + MINIMAL + BALANCED + "Here X_opt = x I; Hbar = H Y^T/n. No width may be less than K.",
        predict=Prediction(INPUTS, predict_frame),
    ),
    Claim(
        "dang2023/balanced-etf",
        "Balanced, free bias: the same with a simplex ETF in place of I, and b = (1/K) 1; widths from K - 1 suffice",
        Kind.IDENTITY,
        simplex.statement,
        simplex_setting,
        SIMPLEX_DOMAIN,
        lambda: global_minima.minima(simplex, simplex_setting),
        simulate_frames(bias=True),
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        lemmas=EXISTS,
        notes=READING + OPTIMAL + MINIMAL + BALANCED + "Here X_opt = x F with F = I - 1 1^T/K of rank K - 1: so widths "
        "need be no more than K - 1. Hbar = H Y^T/n. The bias is not assumed: it follows from its gradient.",
        predict=Prediction(INPUTS, predict_simplex),
    ),
    Claim(
        "dang2023/trivial-collapse",
        "Balanced, above the threshold: all weights and features of every global minimiser are zero",
        Kind.IDENTITY,
        collapse.statement,
        collapse_setting,
        COLLAPSE_DOMAIN,
        lambda: global_minima.collapsed(collapse, collapse_setting),
        simulate_collapse,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        lemmas=EXISTS,
        notes=READING
        + "Any targets T = Y whose singular values sigma all have b = M (N/sigma^2) gamma > beta_M: then g_b(x) > "
        "g_b(0) for x > 0 (scalar-minimiser), and Theta (I + Q)^(-1) + M gamma X - Theta = Z Z^T, with X = Z L, as X "
        "vanishes where Z does. Balanced labels have sigma^2 = n; with a free bias Y stands for the centred labels, as "
        "in balanced-etf. V is any layer, or the features. At zero f is ||Y||^2/(2N); a minimiser has no larger f, so "
        "Z = 0, and then V = 0.",
    ),
)
