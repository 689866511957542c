"""One layer on free features, imbalanced classes, no bias: lengths, alignment, minority collapse (dang2023, section 4).

Decays are written lambda_W and lambda_H = tau^2 lambda_W, so that (lambda_W lambda_H)^(1/2) = tau lambda_W.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...theory import deep_linear, factorisation
from ...theory.derivation import Setting
from ...theory.proof.statement import AllOf
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from .critical_points import CLASSES, ENOUGH, SAMPLES, VERSION, class_counts, grams
from .deep import LENGTHS_PREDICTION

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = Parameter(factorisation.d, integers(1), "dimension of the features")
DECAY = Parameter(factorisation.lam_W, reals(0, open=True), "decay of the classifier")
RATIO = Parameter(factorisation.tau, reals(0, open=True), "square root of lambda_H/lambda_W")
DOMAIN = Domain((CLASSES, SAMPLES, WIDTH, DECAY, RATIO), (ENOUGH, factorisation.d >= factorisation.K))
problem = factorisation.Factorisation(one_hot=True)
setting = problem.setting(DOMAIN.ranges)
LENGTHS = ("weights", "collapse", "means", "outputs")
ALIGNMENT = ("alignment", "weights", "means")

case = factorisation.one_class()
CLASS_DOMAIN = Domain(
    (
        *DOMAIN.parameters,
        Parameter(case.length, reals(0), "length of a row of W"),
        Parameter(case.shrunk, reals(0), "length of its residual over that of its labels"),
    ),
    DOMAIN.conditions,
)
class_setting = case.setting(CLASS_DOMAIN.ranges)

ROOT = Parameter(sp.Symbol("a", positive=True), reals(0, open=True), "square root of a class size")
INVERSE = Parameter(sp.Symbol("t", positive=True), reals(0, open=True), "inverse of both decays")
SMALL_DOMAIN = Domain((SAMPLES, ROOT, INVERSE))


def _small(rng: random.Random) -> Any:
    return {SAMPLES.symbol: rng.randint(1, 9), ROOT.symbol: rng.randint(1, 4), INVERSE.symbol: rng.randint(1, 9)}


small_setting = Setting(SMALL_DOMAIN.ranges, (), _small)


# ---- simulation
def minimum(counts: tuple[int, ...], width: int, decays: tuple[float, float], seed: int) -> tuple[Tensor, Tensor, bool]:
    """W and the class means where minimisation ends: with one layer, every local minimum is global."""
    from ...numerics import initialisers, minimisation
    from ...numerics.deep_linear import DeepLinearUFM

    model = DeepLinearUFM(counts, width, 1, decays)
    start = initialisers.gaussian(model, seed=seed, collapsed=True)
    scaled = start.map(lambda tensor: tensor * (sum(counts) * decays[1]) ** 0.5)  # the unit of singular values of W
    found = minimisation.minimise(model, scaled)
    return found.value.weights[0], found.value.features, found.converged


def drawn(values: Mapping[str, Any], seed: int) -> tuple[tuple[int, ...], tuple[float, float]]:
    """Class sizes, and the decays divided by N, so that classes live and collapse."""
    scale = values["lambda_W"] / values["N"]
    return class_counts(values["K"], values["N"], seed), (scale, values["tau"] ** 2 * scale)


def simulate_lengths(values: Mapping[str, Any], seed: int) -> Comparison:
    """W W^T, Hbar^T Hbar and W Hbar, found by minimisation, in units of their natural size."""
    import numpy as np

    counts, decays = drawn(values, seed)
    weights, means, converged = minimum(counts, values["d"], decays, seed)
    predicted = deep_linear.lengths(deep_linear.minimum(counts, sum(counts), decays).p, sum(counts), decays[1])
    units = values["tau"], 1 / values["tau"], 1.0
    measured = [
        x / unit for matrix, unit in zip(grams(weights, means), units, strict=True) for x in matrix.flatten().tolist()
    ]
    theoretical = [x / unit for row, unit in zip(predicted, units, strict=True) for x in np.diag(row).ravel().tolist()]
    return Comparison(measured, theoretical, 1e-6, converged=converged)


def simulate_alignment(values: Mapping[str, Any], seed: int) -> Comparison:
    """w_k beside (n_k lambda_H/lambda_W)^(1/2) hbar_k."""
    counts, decays = drawn(values, seed)
    weights, means, converged = minimum(counts, values["d"], decays, seed)
    scales = means.new_tensor(counts).sqrt() * values["tau"]
    unit = values["tau"] ** 0.5
    measured, theoretical = weights / unit, (scales * means).mT / unit
    return Comparison(measured.flatten().tolist(), theoretical.flatten().tolist(), 1e-6, converged=converged)


def simulate_collapse(values: Mapping[str, Any], seed: int) -> Comparison:
    """Which classes have collapsed, as 0 or 1, beside the threshold, with decays near the one of a random class."""
    import numpy as np

    rng = random.Random(seed)
    counts = class_counts(values["K"], values["N"], seed)
    edge = math.sqrt(rng.choice(counts)) / sum(counts)  # of (lam_W lam_H)^(1/2)
    product = edge * math.exp(rng.choice((-1, 1)) * rng.uniform(0.02, 0.5))
    decays = (product / values["tau"], product * values["tau"])
    weights, _, converged = minimum(counts, values["d"], decays, seed)
    lengths = weights.square().sum(dim=-1).numpy() / (sum(counts) * decays[1])
    predicted = [float(sum(counts) ** 2 * decays[0] * decays[1] < n) for n in counts]
    return Comparison((np.asarray(lengths) > 1e-6).astype(float).tolist(), predicted, 0.0, converged=converged)


def simulate_small_decays(values: Mapping[str, Any], seed: int) -> Comparison:
    """The ratio of two rows of W, found by minimisation at decays that fall."""
    counts = class_counts(2, values["N"] + 1, seed)
    ratios: list[float] = []
    converged = True
    for decay in (1e-2, 1e-3, 1e-4):
        weights, _, each = minimum(counts, 2, (decay / sum(counts), decay / sum(counts)), seed)
        first, second = weights.square().sum(dim=-1).tolist()
        ratios.append(first / second)
        converged = converged and each
    limit = (counts[0] / counts[1]) ** 0.5
    return Comparison([ratio / limit for ratio in ratios], [1.0] * 3, 1e-3, converged=converged)


CLAIMS = (
    Claim(
        "dang2023/imbalanced-lengths",
        "One layer, no bias, classes of any sizes: features collapse, and all lengths have closed forms",
        Kind.IDENTITY,
        problem.statement(LENGTHS),
        setting,
        DOMAIN,
        lambda: factorisation.minimisers(problem, setting, LENGTHS),
        simulate_lengths,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        notes="B, D, E are diagonal here, and R = diag(n_1, ..., n_K)^(-1/2): the labels are Y = R^(-1) V^T. Entry by "
        "entry n_k^(1/2) = b_k^2/tau + N tau lambda_W d_k, so that b_k^2 = s_k^2 = tau n_k^(1/2) - N lambda_H where "
        "that is positive, else 0. W_0, H_0 are any minimiser: the lengths are those of all of them.",
        predict=LENGTHS_PREDICTION,
    ),
    Claim(
        "dang2023/imbalanced-alignment",
        "In the same case each row of the classifier is a multiple of its class mean, and both are orthogonal frames",
        Kind.IDENTITY,
        problem.statement(ALIGNMENT),
        setting,
        DOMAIN,
        lambda: factorisation.minimisers(problem, setting, ALIGNMENT),
        simulate_alignment,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        notes="W_0 = tau R^(-1) Hbar^T says w_k = (n_k lambda_H/lambda_W)^(1/2) hbar_k; B and R are diagonal.",
    ),
    Claim(
        "dang2023/minority-collapse",
        "In the same case a class collapses exactly when the decays are too large for its size",
        Kind.IDENTITY,
        case.statement,
        class_setting,
        CLASS_DOMAIN,
        lambda: factorisation.collapse_of_a_class(case, class_setting),
        simulate_collapse,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        notes="k is the unit vector of the class, beta the length of its row of W. Of the two terms that make up n_k - "
        "N^2 lambda_W lambda_H the first is positive exactly where beta is, and then delta = 1 and the second is zero; "
        "where beta = 0 only the second is left, which is not positive.",
    ),
    Claim(
        "dang2023/small-decay-lengths",
        "As both decays tend to zero, squared rows of W are as the roots of class sizes, squared class means inversely",
        Kind.LIMIT,
        AllOf(factorisation.small_decay_limits(ROOT.symbol, INVERSE.symbol, SAMPLES.symbol)),
        small_setting,
        SMALL_DOMAIN,
        lambda: factorisation.small_decays(ROOT.symbol, INVERSE.symbol, SAMPLES.symbol, small_setting),
        simulate_small_decays,
        Verdict.PROVED,
        version=VERSION,
        locator="section 4",
        notes="By imbalanced-lengths s_k^2 = a - N/t, for a = n_k^(1/2) and lambda_W = lambda_H = 1/t, and "
        " |hbar_k|^2 = s_k^2/n_k. For M layers the scalar problem gives x^(M+1) ~ M/b, hence ratios "
        "(n_i/n_j)^(M/(M+1)).",
    ),
)
